"""Figures of a study, as SVG text in the style of `figures`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf.augmentation.scarcity import SCENARIOS
from sensecf.metrics.statistics import Ranks
from sensecf.runs.report.drawn import Drawn
from sensecf.runs.report.drawn import svg as _svg
from sensecf.runs.report.figures import DOWN, INK, RULE, SERIES, SOFT, UP, _axes, _cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width in inches of figures with a panel per scenario.
WIDE = 9.6
#: At most so many methods get a line of their own.
MAX_LINES = 8


def curves(summary: pd.DataFrame, methods: Sequence[str], x: str, label: str, name: str) -> Drawn:
    """The measure against `x` (share removed, or amount), one panel per scenario, one line per method.

    `summary`: `study_scores.summarise` by scenario and `x`. Bands are 95 % intervals.
    """
    shown = list(methods)[:MAX_LINES]
    scenarios = [s for s in SCENARIOS if s in set(summary["scenario"])]

    def draw(figure: Figure) -> None:
        figure.set_size_inches(WIDE, 3.4)
        grid = figure.add_gridspec(1, len(scenarios))
        first: Axes | None = None
        for number, scenario in enumerate(scenarios):
            axes = figure.add_subplot(grid[number], sharey=first)
            first = first or axes
            _frame(axes)
            for k, method in enumerate(shown):
                part = summary[(summary["scenario"] == scenario) & (summary["method"] == method)].sort_values(x)
                colour, style = SERIES[k % len(SERIES)], ("-", "--", "-.", ":")[k % 4]
                axes.plot(
                    part[x], part["value"], style, color=colour, linewidth=1.6, marker="o", ms=3, label=_cut(method)
                )
                known = part.dropna(subset=["value_low"])
                axes.fill_between(
                    known[x], known["value_low"], known["value_high"], color=colour, alpha=0.1, linewidth=0
                )
            axes.set_title(f"{scenario.upper()}: {SCENARIOS[scenario]}", fontsize="medium", color=INK, loc="left")
            axes.set_xlabel(label)
        if first is not None:
            first.set_ylabel("F1")
            figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=4)

    return _svg(draw, 3.4, name)


def bars(summary: pd.DataFrame, methods: Sequence[str], column: str, label: str, name: str) -> Drawn:
    """A mean with its interval per method, one panel per scenario; `summary` by scenario."""
    scenarios = [s for s in SCENARIOS if s in set(summary["scenario"])]

    def draw(figure: Figure) -> None:
        figure.set_size_inches(WIDE, 0.9 + 0.26 * len(methods))
        grid = figure.add_gridspec(1, len(scenarios))
        for number, scenario in enumerate(scenarios):
            axes = _axes(figure, grid[number])
            rows = summary[summary["scenario"] == scenario].set_index("method").reindex(list(methods))
            for place, (method, row) in enumerate(reversed(list(rows.iterrows()))):
                _bar(axes, place, row, column, method == methods[0])
            axes.axvline(0, color=SOFT, linewidth=0.8)
            axes.set_yticks(range(len(methods)), [_cut(m) for m in reversed(methods)] if number == 0 else [])
            axes.set_ylim(-0.6, len(methods) - 0.4)
            axes.locator_params(axis="x", nbins=4)
            axes.grid(axis="x", color=RULE, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.set_title(f"{scenario.upper()}: {SCENARIOS[scenario]}", fontsize="medium", color=INK, loc="left")
            axes.set_xlabel(label)

    return _svg(draw, 3.0, name)


def _bar(axes: Axes, place: int, row: pd.Series[Any], column: str, ours: bool) -> None:
    value = float(row[column])
    if np.isnan(value):
        axes.text(0.0, place, " –", color=SOFT, va="center")
        return
    axes.barh(place, value, color=UP if ours else RULE, height=0.62)
    low, high = row.get(f"{column}_low", np.nan), row.get(f"{column}_high", np.nan)
    if not np.isnan(low):
        axes.plot([low, high], [place, place], color=INK, linewidth=1.0)


def ranks(names: Sequence[str], found: Ranks, ours: str) -> Drawn:
    """Mean ranks on a line, 1 is best; the bar is the critical difference of Nemenyi's test."""
    order = np.argsort(found.ranks, kind="stable")

    def draw(figure: Figure) -> None:
        figure.set_size_inches(WIDE * 0.75, 0.9 + 0.24 * len(names))
        axes = _axes(figure)
        for place, at in enumerate(order[::-1]):
            colour = UP if names[at] == ours else SOFT
            axes.plot([1, found.ranks[at]], [place, place], color=RULE, linewidth=1.0)
            axes.plot(found.ranks[at], place, "o", color=colour, ms=5)
            axes.annotate(
                f"{found.ranks[at]:.2f}",
                (found.ranks[at], place),
                (6, 0),
                textcoords="offset points",
                va="center",
                color=SOFT,
            )
        best = found.ranks[order[0]]
        axes.plot([best, best + found.critical], [len(names) - 0.4] * 2, color=DOWN, linewidth=2.0)
        axes.set_yticks(range(len(names)), [_cut(names[at]) for at in order[::-1]])
        axes.text(
            best + found.critical,
            len(names) - 0.4,
            f"  critical difference {found.critical:.2f}",
            va="center",
            color=DOWN,
        ).set_in_layout(False)
        axes.set_ylim(-0.6, len(names) + 0.2)
        # A dot at rank 1 is drawn whole.
        axes.set_xlim(0.9, len(names) + 0.5)
        axes.set_xlabel("mean rank of F1 (1 is best); differences under the bar are not significant")

    return _svg(draw, 3.0, "ranks")


def _frame(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(length=0, colors=SOFT)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
