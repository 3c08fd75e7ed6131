"""Who pays more, at a glance: a line per group, a panel per question, what is claimed in colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from sensecf.runs.fairness.measures import MEASURES
from sensecf.runs.report.drawn import svg as _svg
from sensecf.runs.report.figures import DOWN, INK, RULE, SOFT, UP, _axes, _cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sensecf.runs.fairness.run import Fairness

#: The panels: a measure of `groups.csv`; "equal_start" is of `gaps.csv`, a ratio to all others.
PANELS = ("selection_rate", "no_plan", "distance", "equal_start")
HEADS = {
    "selection_rate": "classifier: put in\nthe target class",
    "no_plan": "left without\na plan",
    "distance": "effort of a plan,\ndistance in MAD",
    "equal_start": "effort at equal start,\ntimes that of others",
}
WIDE, LINE = 9.6, 0.34
#: Lines of one figure.
MOST = 40


def figure(made: Fairness) -> str:
    """The groups of single features and their pairs, with 95 % intervals, as SVG text.

    Filled and in colour where the gap to all others is claimed: orange where the group is worse off, blue where it is
    better off.
    """
    lines = _lines(made.groups)

    def draw(figure: Figure) -> None:
        figure.set_size_inches(WIDE, 0.9 + LINE * max(len(lines), 1))
        grid = figure.add_gridspec(1, len(PANELS))
        for number, measure in enumerate(PANELS):
            axes = _axes(figure, grid[number])
            _panel(axes, made, lines, measure)
            axes.set_title(HEADS[measure], fontsize=9, color=INK, loc="left")
            names = [_cut(name, 34) if group is None else _cut(group, 34) for name, group in reversed(lines)]
            axes.set_yticks(range(len(lines)), names if number == 0 else [])
            if number == 0:
                for tick, (_, group) in zip(axes.get_yticklabels(), reversed(lines), strict=True):
                    tick.set_fontweight("bold" if group is None else "normal")

    return _svg(draw, 1.0, "fairness")


def _lines(groups: pd.DataFrame) -> list[tuple[str, str | None]]:
    """The lines from above: an attribute's name, then its groups."""
    found: list[tuple[str, str | None]] = []
    for name, part in groups.groupby("attribute", sort=False):
        found.append((str(name), None))
        found += [(str(name), str(group)) for group in part["group"].unique()]
    return found[:MOST]


def _panel(axes: Axes, made: Fairness, lines: list[tuple[str, str | None]], measure: str) -> None:
    gaps = made.gaps[made.gaps["measure"] == measure].set_index(["attribute", "group"])
    source = gaps.rename(columns={"gap": "shown"}) if measure == "equal_start" else None
    if source is None:
        part = made.groups[made.groups["measure"] == measure]
        source = part.set_index(["attribute", "group"]).rename(columns={"value": "shown"})
    for place, key in enumerate(reversed(lines)):
        if key[1] is None or key not in source.index:
            continue
        row = cast("pd.Series[Any]", source.xs(key))
        _mark(axes, place, row, _colour(made, measure, key))
    axes.set_ylim(-0.6, len(lines) - 0.4)
    if MEASURES[measure].share:
        axes.set_xlim(-0.04, 1.04)
        axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    elif measure == "equal_start":
        axes.axvline(1.0, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.locator_params(axis="x", nbins=4)
    else:
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=4)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)


def _mark(axes: Axes, place: int, row: pd.Series[Any], colour: str) -> None:
    value, low, high = (float(row[name]) for name in ("shown", "low", "high"))
    if np.isnan(value):
        axes.text(0.02, place, "–", color=SOFT, va="center", transform=axes.get_yaxis_transform())
        return
    if not np.isnan(low):
        axes.plot([low, high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
    filled = "white" if colour == SOFT else colour
    axes.scatter([value], [place], s=26, facecolors=filled, edgecolors=colour, zorder=3)


def _colour(made: Fairness, measure: str, key: tuple[str, str | None]) -> str:
    """The colour of a group: of two groups the other one is claimed with it, the other way round."""
    gaps = made.gaps[(made.gaps["measure"] == measure) & (made.gaps["attribute"] == key[0])]
    gaps = gaps[gaps["family"] != "asked"]
    own = gaps[(gaps["group"] == key[1]) & gaps["claimed"]]
    turned = own.empty and len(gaps) == 1 and bool(gaps["claimed"].iloc[0])
    if own.empty and not turned:
        return SOFT
    row = gaps.iloc[0] if turned else own.iloc[0]
    more = row["gap"] > (0 if row["kind"] == "difference" else 1)
    worse = MEASURES[measure].worse
    return SOFT if not worse else DOWN if (more == (worse == "more")) != turned else UP
