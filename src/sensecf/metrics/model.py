"""What a language model answered itself, before search, polish and fallback: the first thing to know of such a run."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from sensecf.metrics.declare import Metric, Over, Section
from sensecf.metrics.statistics import FEWEST, wilson
from sensecf.metrics.summary import COLUMNS

SECTION: Section = "The language model itself"
OVER: Over = "people it was asked about"
#: Of what `Own` counts, by the name of the count.
SHARES = {
    name: Metric(title, SECTION, OVER, "higher", name=f"model_{name}")
    for name, title in (
        ("readable", "A first answer that can be read"),
        ("valid_first", "Valid and within all limits at the first answer"),
        ("valid", "Valid and within all limits after all answers"),
        ("distinct", "Different ones among the first answers"),
    )
}
for _measure in SHARES.values():
    _measure.declare()


def own_rows(own: Mapping[str, int]) -> pd.DataFrame:
    """The shares of what a model answered itself, as rows of a summary; intervals are Wilson's.

    `own`: counts by name, `people` the denominator, `distinct` that of different first answers, which has no interval.
    """
    n = int(own["people"])
    rows = {}
    for name, measure in SHARES.items():
        share = own[name] / n if n else float("nan")
        ends = wilson(own[name], n) if n >= FEWEST and name != "distinct" else (float("nan"), float("nan"))
        rows[measure.name] = (share, *ends, n, n > 0, measure.better, measure.over, n)
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))


def own_sentence(summary: pd.DataFrame, name: str) -> str:
    """What a summary with `own_rows` says of the model `name`; "" for one without, or where nobody was asked."""
    if "model_readable" not in summary.index or not int(summary["n"]["model_readable"]):
        return ""
    n = int(summary["n"]["model_readable"])
    readable, first, all_, distinct = (round(n * float(summary["value"][measure.name])) for measure in SHARES.values())
    return (
        f"{name} itself, asked about {n:,}: {readable:,} readable at the first answer, {first:,} valid at the first, "
        f"{all_:,} valid after all answers, {distinct:,} different ones among the first"
    )
