"""The page docs/results/recourse.md, made of benchmarks/recourse.csv and of nothing else."""

from __future__ import annotations

import pandas as pd

from sensecf.runs.recourse import BOTH, FIRST, SECOND, markdown

#: Our own rows, which are no rivals of one another.
OURS = (FIRST, SECOND, BOTH)
RATES = ("type_violation_rates", "mutability_violation_rates", "actionability_violation_rates")
RANKED = {"distance_l0": "L0", "distance_l1": "L1", "knn_5": "kNN-5"}
#: What is asked for at once: every request answered, nothing violated, three ranks of at most 3, and this.
FUTURE, PLACE = 0.95, 3

TEXT = """# The columns of RecourseBench

Made by `python benchmarks/recourse.py` from `benchmarks/recourse.csv`, a comparison per public table and family of
classifiers as named, {cells} of the 9 that the programme knows so far, {requests} held-out rows each (fewer where there
are no more), every feature editable that a schema lets move. German credit and breast cancer are RecourseBench's too
([arXiv:2606.16113](https://arxiv.org/abs/2606.16113)); its splits and fits are not ours, so that figures compare inside
this page and not with its own. How each column is computed:
[comparing](../compare.md#the-columns-of-recoursebench).

## At once

Two lines of ours: `search`, the smallest valid change, and `{both}`, a plan that 95 % of refits agree with, or else
that change. Places are among the methods that are not ours, by the mean over each one's own answers; 1 is best.
The bar is all of validity 1, no violation, the first three places in L0, L1 and kNN-5, and a future validity of 0.95.

{bars}

## Every method

{tables}"""


def ranks(part: pd.DataFrame, method: str) -> dict[str, int]:
    """The place of a row of ours among the methods that are not ours, by column."""
    rivals = part[~part["method"].isin(OURS)]
    ours = part[part["method"] == method].iloc[0]
    return {column: int(1 + (rivals[column] < ours[column]).sum()) for column in RANKED}


def bars(found: pd.DataFrame) -> pd.DataFrame:
    """By comparison and row of ours: validity, the largest violation rate, places, future validity, and whether all of
    it is met."""
    lines = []
    for name, part in found.groupby("comparison", sort=False):
        for method in (SECOND, BOTH):
            ours, places = part[part["method"] == method].iloc[0], ranks(part, method)
            worst = float(ours[list(RATES)].max())
            near = ours["validity"] == 1 and worst == 0 and max(places.values()) <= PLACE
            lines.append(
                {
                    "comparison": name,
                    "method": method,
                    "rivals": int((~part["method"].isin(OURS)).sum()),
                    "validity": ours["validity"],
                    "violations": worst,
                    **places,
                    "future_validity": ours["future_validity"],
                    "near": bool(near),
                    "met": bool(near and ours["future_validity"] >= FUTURE),
                }
            )
    return pd.DataFrame(lines)


def page(found: pd.DataFrame) -> str:
    """The page as Markdown."""
    found = found.assign(method=found["method"].str.removesuffix("+raw"))
    reached = bars(found)
    heads = ["", "method", "rivals", "validity", "violations", *(f"place by {short}" for short in RANKED.values()),
             "future validity", "all but that", "all at once"]  # fmt: skip
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for _, line in reached.iterrows():
        values = [f"{line['validity']:.2f}", f"{line['violations']:.2f}", *(str(line[column]) for column in RANKED)]
        ends = [f"{line['future_validity']:.2f}", *("yes" if line[end] else "no" for end in ("near", "met"))]
        head = [line["comparison"], line["method"], str(line["rivals"])]
        rows.append("| " + " | ".join([*head, *values, *ends]) + " |")
    cells = found["comparison"].nunique()
    counts = dict(list(reached.groupby("method")))
    held = int((counts[BOTH]["future_validity"] >= FUTURE).sum())
    said = (
        f"\n\nOf {cells} comparisons, `{SECOND}` is all but the last in "
        f"{int(counts[SECOND]['near'].sum())}, `{BOTH}` has "
        f"a future validity of {FUTURE:g} in {held}, and all of it at once is met in {int(reached['met'].sum())}."
    )
    requests = int(found["requests"].max())
    return TEXT.format(cells=cells, requests=requests, both=BOTH, bars="\n".join(rows) + said, tables=markdown(found))
