"""What was found, as a table in Markdown and as a figure in the style of the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.people import some
from sensecf.runs.compare import figures as drawings
from sensecf.runs.study.written import percent, plain
from sensecf.runs.truth.carry import MEASURES

#: Columns of the table in Markdown, and the panels of the figure.
SHOWN = (
    "answered",
    "improvement",
    "success",
    "harm",
    "gaming",
    "undoable_edits",
    "better_days",
    "effort_to_oracle",
)
PANELS = ("improvement", "success", "harm", "gaming", "effort_to_oracle")


def markdown(table: pd.DataFrame, facts: dict[str, Any]) -> str:
    """The table: a row per setting and method, a value with its 95 % interval in each cell."""
    lines = [
        "| setting | method | " + " | ".join(MEASURES[name][0] for name in SHOWN) + " |",
        "|---|---|" + "---|" * len(SHOWN),
    ]
    for (setting, method), part in table.groupby(["setting", "method"], sort=False):
        lines.append(f"| {setting} | {method} | " + " | ".join(cells(part, SHOWN)) + " |")
    before = (
        f"World {facts['world']}, {facts['requests']:,} requests of {some(facts['people_asked'], 'people')} "
        f"({facts['not_well_before']:,} truly not well before), classifier {facts['classifier']}, seed {facts['seed']}."
    )
    return before + "\n\n" + "\n".join(lines) + "\n"


def figure(table: pd.DataFrame, ours: Sequence[str]) -> str:
    """Means with their intervals, a line per setting and method, as SVG text."""
    single = table["setting"].nunique() <= 2
    names = table["method"] + ("" if single else " · " + table["setting"].where(table["setting"] != "–", ""))
    shown = table.assign(method=names.str.rstrip(" ·"))
    mine = [name for name, method in zip(shown["method"], table["method"], strict=True) if method in ours]
    panels = [(name, MEASURES[name][0], MEASURES[name][3]) for name in PANELS]
    return drawings.intervals(shown, panels, list(dict.fromkeys(mine)))


def cells(part: pd.DataFrame, measures: Sequence[str]) -> list[str]:
    """What the rows of one setting and method in a table say of some measures, as text."""
    rows = {row["metric"]: row for row in part.to_dict("records")}
    return [_cell(rows[name], MEASURES[name][3]) for name in measures]


def _cell(row: Mapping[Any, Any], share: bool) -> str:
    """A value and its interval as text; a dash where it is not defined."""
    value, low, high = float(row["value"]), float(row["low"]), float(row["high"])
    if np.isnan(value):
        return "–"
    if share:
        text = percent(value, 1)
        return text if np.isnan(low) else f"{text} ({100 * low:.1f} to {100 * high:.1f})"
    text = plain(value, 2)
    return text if np.isnan(low) else f"{text} ({plain(low, 2)} to {plain(high, 2)})"
