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
        ("added_up", "Valid without the model, what it is offered added up"),
    )
}
for _measure in SHARES.values():
    _measure.declare()


def own_rows(own: Mapping[str, int]) -> pd.DataFrame:
    """The shares of what a model answered itself, as rows of a summary; intervals are Wilson's.

    `own`: counts by name, `people` the denominator, `distinct` that of different first answers, which has no interval;
    `added_up`, where the model is told offers, that of those for whom their sum is valid.
    """
    n = int(own["people"])
    rows = {}
    for name, measure in SHARES.items():
        if name not in own:
            continue
        share = own[name] / n if n else float("nan")
        ends = wilson(own[name], n) if n >= FEWEST and name != "distinct" else (float("nan"), float("nan"))
        rows[measure.name] = (share, *ends, n, n > 0, measure.better, measure.over, n)
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))


def own_sentence(summary: pd.DataFrame, name: str) -> str:
    """What a summary with `own_rows` says of the model `name`; "" for one without, or where nobody was asked."""
    if "model_readable" not in summary.index or not int(summary["n"]["model_readable"]):
        return ""
    n = int(summary["n"]["model_readable"])
    told = {
        key: round(n * float(summary["value"][measure.name]))
        for key, measure in SHARES.items()
        if measure.name in summary.index
    }
    readable, first, all_, distinct = (told[key] for key in ("readable", "valid_first", "valid", "distinct"))
    control = ""
    if "added_up" in told:
        control = f"; what it is offered, added up without it, is valid for {told['added_up']:,}"
    return (
        f"{name} itself, asked about {n:,}: {readable:,} readable at the first answer, {first:,} valid at the first, "
        f"{all_:,} valid after all answers, {distinct:,} different ones among the first{control}"
    )
