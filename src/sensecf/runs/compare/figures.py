"""Figures of a comparison, as SVG text in the style of `figures`: vector, colour-blind safe, printable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf.runs.compare.scores import pareto
from sensecf.runs.report.drawn import Drawn
from sensecf.runs.report.drawn import svg as _svg
from sensecf.runs.report.figures import DOWN, INK, RULE, SOFT, UP, _axes, _cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width in inches of figures with several panels.
WIDE = 9.6
#: Colour of methods that are ours, and of the others.
OURS, OTHERS = UP, SOFT
#: More numbers on an axis of a small panel than this lie on each other.
MOST_TICKS = 6


def intervals(summary: pd.DataFrame, panels: Sequence[tuple[str, str, bool]], ours: Sequence[str]) -> Drawn:
    """Means with their 95 % intervals, one panel per metric, one line per method.

    `summary`: rows of one direction, columns of `scores.SUMMARY`; `panels`: metric, title,
    whether it is a share; `ours`: methods drawn filled and in colour. Below a mean its denominator is written.
    """
    names = list(dict.fromkeys(summary["method"]))

    def draw(figure: Figure) -> None:
        figure.set_size_inches(WIDE, 0.95 + 0.36 * len(names))
        grid = figure.add_gridspec(1, len(panels))
        for number, (metric, title, share) in enumerate(panels):
            axes = _axes(figure, grid[number])
            rows = summary[summary["metric"] == metric].set_index("method").reindex(names)
            for place, name in enumerate(reversed(names)):
                _interval(axes, place, rows.loc[name], OURS if name in ours else OTHERS, name in ours)
            axes.set_yticks(range(len(names)), [_cut(name) for name in reversed(names)] if number == 0 else [])
            axes.set_ylim(-0.6, len(names) - 0.4)
            if share:
                axes.set_xlim(-0.04, 1.04)
                axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
            else:
                axes.set_xlim(left=0)
                axes.locator_params(axis="x", nbins=3)
            axes.grid(axis="x", color=RULE, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.set_title(title, fontsize="medium", color=INK, loc="left")

    return _svg(draw, 1.0, "intervals")


def _interval(axes: Axes, place: int, row: pd.Series[Any], colour: str, filled: bool) -> None:
    value, low, high = float(row["value"]), float(row["low"]), float(row["high"])
    if np.isnan(value):
        axes.text(0.02, place, "–", color=SOFT, va="center", transform=axes.get_yaxis_transform())
        return
    if not np.isnan(low):
        axes.plot([low, high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.scatter([value], [place], s=26, facecolors=colour if filled else "white", edgecolors=colour, zorder=3)
    axes.annotate(
        f"{int(row['n']):,}",
        (value, place),
        (0, -9),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize="x-small",
        color=SOFT,
    )


def trade_offs(points: pd.DataFrame, ours: Sequence[str]) -> Drawn:
    """Distance against changes, and distance against likeness; the steps are the Pareto front of each panel.

    `points`: index method, columns `n_changed`, `mad_l1` (means), `lof_inlier` (a share), all over
    the same requests. Distances and changes are drawn on logarithmic axes, since they differ by
    factors. A ring marks the methods that none beats in all three at once.
    """
    known = points.dropna()
    x, changes = (np.log10(known[name].to_numpy(dtype=float).clip(1e-3)) for name in ("mad_l1", "n_changed"))
    unlike = 100 * (1 - known["lof_inlier"].to_numpy(dtype=float))
    best = pareto(np.column_stack([changes, x, unlike]))

    def draw(figure: Figure) -> None:
        figure.set_size_inches(WIDE, 4.2)
        grid = figure.add_gridspec(1, 2)
        for number, (title, y) in enumerate((("features changed", changes), ("not an inlier by LOF, %", unlike))):
            axes = _axes(figure, grid[number])
            (left, right), (low, high) = _span(x, 0.45), _span(y, 0.12)
            _front(axes, x, y)
            for a, b, name, ring in zip(x, y, known.index, best, strict=True):
                mine = name in ours
                if ring:
                    axes.scatter([a], [b], s=130, facecolors="none", edgecolors=DOWN, linewidths=1.2, zorder=2)
                axes.scatter(
                    [a],
                    [b],
                    s=34,
                    facecolors=OURS if mine else "white",
                    edgecolors=OURS if mine else OTHERS,
                    marker="o" if mine else "s",
                    linewidths=1.2,
                    zorder=3,
                )
            _labels(axes, x, y, list(known.index), (left, right), (low, high))
            axes.set_xlim(left, right)
            axes.set_ylim(low, high)
            axes.set_xticks(*_ticks(left, right))
            if number == 0:
                axes.set_yticks(*_ticks(low, high))
            else:
                axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= high])
            axes.set_xlabel("distance (L1 / MAD)")
            axes.set_ylabel(title)
            axes.grid(color=RULE, linewidth=0.6)
            axes.set_axisbelow(True)

    return _svg(draw, 4.2, "tradeoffs")


def _span(values: np.ndarray, room: float) -> tuple[float, float]:
    """The ends of an axis around the values, with room for names beyond the largest."""
    low, high = float(values.min(initial=0.0 if not len(values) else np.inf)), float(values.max(initial=-np.inf))
    width = max(high - low, 0.2)
    return low - 0.12 * width, high + room * width


def _ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Round numbers, six at most, between two powers of ten: their places and how they are written."""
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), tuple(np.arange(10, 100) / 10)):
        numbers = [m * 10.0**k for k in range(-3, 6) for m in steps if low <= np.log10(m * 10.0**k) <= high]
        if len(numbers) >= 3:
            break
    numbers = numbers[:: -(-len(numbers) // MOST_TICKS)] if len(numbers) > MOST_TICKS else numbers
    return [float(np.log10(v)) for v in numbers], [f"{v:g}" for v in numbers]


def _front(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """The Pareto front of two criteria as a step line."""
    front = np.flatnonzero(pareto(np.column_stack([x, y])))
    order = front[np.argsort(x[front], kind="stable")]
    axes.step(x[order], y[order], where="post", color=DOWN, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)


def _labels(
    axes: Axes, x: np.ndarray, y: np.ndarray, names: Sequence[str], wide: tuple[float, float], tall: tuple[float, float]
) -> None:
    """Names beside their points, moved up or down where they would lie on each other, with a line to the point.

    `wide`, `tall`: the ends of the axes.
    """
    across, line = wide[1] - wide[0], (tall[1] - tall[0]) / 20
    gap, dot = 0.02 * across, 0.012 * across
    placed = [(float(a) - dot, float(a) + dot, float(b)) for a, b in zip(x, y, strict=True)]
    for k in np.lexsort((-x, y)):
        name = _cut(names[k])
        width = across * 0.021 * len(name)
        left = float(x[k]) + gap if x[k] + gap + width < wide[1] else float(x[k]) - gap - width
        beside = [at for begin, end, at in placed if left < end and begin < left + width]
        tried = float(y[k]) + line / 4 * np.array([step * side for step in range(80) for side in (1, -1)])
        inside = [h for h in tried if tall[0] + line / 2 < h < tall[1] - line / 2]
        height = next((h for h in inside if all(abs(h - at) >= line for at in beside)), float(y[k]))
        placed.append((left, left + width, height))
        axes.annotate(
            name,
            (x[k], y[k]),
            (left, height),
            va="center",
            fontsize="small",
            color=INK,
            arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3},
        ).set_in_layout(False)


def critical_difference(names: Sequence[str], ranks: Sequence[float], critical: float, title: str) -> Drawn:
    """Mean ranks on a line, best at the left; a bar joins methods whose ranks differ by less than `critical`.

    Source: Demšar 2006.
    """
    order = np.argsort(ranks, kind="stable")
    sorted_names, sorted_ranks = [names[k] for k in order], np.asarray(ranks, dtype=float)[order]
    groups = joined(sorted_ranks, critical)
    half = (len(order) + 1) // 2

    def draw(figure: Figure) -> None:
        figure.set_size_inches(WIDE, 1.15 + 0.24 * half + 0.13 * len(groups))
        axes = _axes(figure)
        low, high = 1.0, float(len(order))
        bars = 0.55 * len(groups)
        axes.set_xlim(low - 0.42 * (high - low), high + 0.42 * (high - low))
        axes.set_ylim(-(bars + half + 0.6), 2.3)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines["bottom"].set_visible(False)
        axes.plot([low, high], [0, 0], color=INK, linewidth=1.0)
        for tick in range(1, len(order) + 1):
            axes.plot([tick, tick], [0, 0.2], color=INK, linewidth=1.0)
            axes.text(tick, 0.3, str(tick), ha="center", va="bottom", fontsize="small", color=SOFT)
        axes.plot([low, low + critical], [1.55, 1.55], color=DOWN, linewidth=2)
        axes.text(low + critical + 0.08, 1.55, f"critical difference {critical:.2f}", va="center", fontsize="small")
        axes.text(low - 0.42 * (high - low), 2.2, title, va="top", fontsize="medium")
        for number, (first, last) in enumerate(groups):
            y = -0.35 - 0.55 * number
            axes.plot([sorted_ranks[first] - 0.03, sorted_ranks[last] + 0.03], [y, y], color=INK, linewidth=3)
        for k, (name, rank) in enumerate(zip(sorted_names, sorted_ranks, strict=True)):
            left = k < half
            y = -(bars + 0.6 + (k if left else len(order) - 1 - k))
            edge = low - 0.04 * (high - low) if left else high + 0.04 * (high - low)
            axes.plot([rank, rank, edge], [0, y, y], color=SOFT, linewidth=0.8)
            axes.text(
                edge + (-0.05 if left else 0.05),
                y,
                f"{_cut(name)}  {rank:.2f}",
                va="center",
                ha="right" if left else "left",
                fontsize="medium",
            )

    return _svg(draw, 2.0, "critical")


def joined(ranks: np.ndarray, critical: float) -> list[tuple[int, int]]:
    """Longest runs of sorted ranks that differ by less than `critical`, as (first, last), two methods at least."""
    runs = [(k, int(np.searchsorted(ranks, ranks[k] + critical, side="left")) - 1) for k in range(len(ranks))]
    return [run for k, run in enumerate(runs) if run[1] > run[0] and (k == 0 or run[1] > runs[k - 1][1])]
