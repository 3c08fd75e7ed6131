"""Tables and numbers of the report, as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sensecf import metrics
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.metrics import METRICS, Scored
from sensecf.metrics.statistics import FEWEST
from sensecf.runs.report.names import Labels

_BETTER = {"higher": "higher", "lower": "lower", "none": "neither"}


@dataclass(frozen=True)
class Table:
    """A table of the page: texts, the first column heading its row, and which columns are numbers."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]


def measures(summary: pd.DataFrame) -> list[tuple[str, Table]]:
    """The defined measures by section; `cost_table` has the costs."""
    found = []
    heads = ("Measure", "Mean", "95 % interval", "Of", "Better")
    for section, declared in metrics.sections().items():
        rows = []
        for metric in _defined(declared, summary) if section != "Cost" else ():
            row = summary.loc[metric.name].to_dict()
            value, ends = written(row["value"], metric.written), interval(row, metric.written) or "–"
            rows.append((metric.title, value, ends, counted(row), _BETTER[row["direction"]]))
        if rows:
            found.append((section, Table(section, heads, rows, (False, True, True, False, False))))
    return found


def undefined(summary: pd.DataFrame) -> str:
    """Titles of the measures that are not defined for the run."""
    return "; ".join(title(str(name)) for name in summary.index[~summary["defined"].astype(bool)])


def title(name: str) -> str:
    """How a measure reads; its name in words where none of that name is declared."""
    return METRICS[name].title if name in METRICS else name.replace("_", " ")


def _defined(declared: Sequence[metrics.Metric], summary: pd.DataFrame) -> list[metrics.Metric]:
    return [metric for metric in declared if metric.name in summary.index and summary.loc[metric.name, "defined"]]


def profile_table(scored: Scored) -> Table:
    """Feature by feature: the numbers behind the first figure."""
    profile = metrics.change_profile(scored)
    profile = profile[profile["n"] > 0].sort_values("rate", ascending=False, kind="stable")
    rows = []
    for name, row in profile.iterrows():
        feature = scored.task.schema[str(name)]
        effect = "–"
        if not math.isnan(row["effect"]):
            sign = "−" if row["effect"] < 0 else "+"
            effect = f"{sign}{written(abs(row['effect']), 'number')} {feature.unit}".rstrip()
        shares = [written(row[column], "share") for column in ("rate", "up", "down")]
        label = scored.task.once(Labels).of[feature.name]
        rows.append((label, feature.name, row["role"], *shares, effect, f"{row['n']:,}"))
    heads = ("Feature", "Column", "Role", "Changed", "Raised", "Lowered", "Mean change", "Answers")
    return Table("Features changed", heads, rows, (False, False, False, True, True, True, True, True))


def alone_table(numbers: Mapping[str, Any]) -> Table:
    """What the model does by itself, as the run noted it."""
    rows = []
    for name, entry in numbers.items():
        found = entry if isinstance(entry, Mapping) else {"value": entry}
        row: dict[str, Any] = {key: number(found.get(key)) for key in ("value", "low", "high")}
        row["people"] = found.get("people")
        style = METRICS[name].written if name in METRICS else "number"
        n = "–" if found.get("n") is None else str(found["n"])
        value = "not defined" if math.isnan(row["value"]) else written(row["value"], style)
        rows.append((title(name), value, interval(row, style) or "–", n))
    caption = "The model alone: one greedy answer each, before any verification"
    return Table(caption, ("Measure", "Mean", "95 % interval", "Of"), rows, (False, True, True, True))


def reliability_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """What the classifier said, and what was true, bin by bin."""
    rows = []
    for entry in entries:
        row = {"low": entry["low"], "high": entry["high"]}
        texts = [written(entry[name], "share") for name in ("said", "true")]
        ends = f"{entry['from']:.1f}–{entry['to']:.1f}"
        rows.append((ends, *texts, interval(row, "share") or "–", f"{entry['rows']:,}"))
    heads = ("Probability of the target", "Said, mean", "True", "95 % interval", "Rows")
    return Table("Said and true, on held-out rows", heads, rows, (False, True, True, True, True))


def cost_table(cfs: Counterfactuals, summary: pd.DataFrame) -> Table:
    """Costs per request and answer, then the totals that the run noted."""
    rows = [
        (m.title, written(summary.loc[m.name, "value"], "number"), interval(summary.loc[m.name], "number") or "–")
        for m in _defined(metrics.sections()["Cost"], summary)
    ]
    totals = [(f"Total: {str(key).replace('_', ' ')}", text(value), "–") for key, value in cfs.cost.items()]
    return Table("What the answers cost", ("Cost", "Amount", "95 % interval"), rows + totals, (False, True, True))


def record_table(run: Mapping[str, Any]) -> Table:
    """All else that the run noted."""
    shown = ("title", "notice", "model_alone", "reliability")
    rows = [(str(key), text(value)) for key, value in run.items() if key not in shown]
    return Table("As it stands in run.json", ("Entry", "Value"), rows, (False, False))


def frame_table(caption: str, frame: pd.DataFrame) -> Table:
    """Any frame."""
    table = frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    numeric = [pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes]
    rows = [[text(value) for value in row] for row in table.itertuples(index=False)]
    return Table(caption, [str(name) for name in table.columns], rows, numeric)


# --- texts -------------------------------------------------------------------------------


def written(value: Any, style: str, like: float | None = None) -> str:
    """A number as the page shows it: shares in per cent, others with about three significant digits,
    or as many decimals as `like` would have."""
    x = number(value)
    if math.isnan(x):
        return "–"
    if style == "share":
        return f"{100 * x:.1f} %" if 0 < x < 1 else f"{100 * x:.0f} %"
    size = abs(x if like is None else like)
    if size and (size >= 1e6 or size < 1e-3):
        return f"{x:.2e}".replace("-", "−")
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or not size else 3 if size >= 0.01 else 4
    return f"{x:,.{digits}f}".replace("-", "−")


def interval(row: Any, style: str) -> str:
    """The interval of a row of a summary, "" where it has none; of too few people it says so."""
    low, high = number(row["low"]), number(row["high"])
    if math.isnan(low) or math.isnan(high):
        people = int(row.get("people") or 0)
        return f"too few to say: {people}" if 0 < people < FEWEST else ""
    ends = written(low, style, high).removesuffix(" %"), written(high, style)
    return " to ".join(ends) if low < 0 else "–".join(ends)


def counted(row: Any) -> str:
    """The denominator of a row of a summary: "82 valid answers"."""
    over = str(row["over"])
    return f"{int(row['n']):,} {over.removesuffix('s') if row['n'] == 1 else over}"


def number(value: Any) -> float:
    """A float; NaN for None."""
    return math.nan if value is None else float(value)


def text(value: Any) -> str:
    """Anything of a run record or a cell, on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(text(entry) for entry in value)
    if isinstance(value, float | np.floating):
        return written(value, "number")
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and abs(int(value)) >= 10_000:
        return f"{int(value):,}"
    return "–" if value is None else str(value)
