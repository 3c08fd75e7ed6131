"""The page docs/results/recourse.md, made of benchmarks/recourse.csv and of nothing else."""

from __future__ import annotations

import pandas as pd

from sensecf.runs.recourse import BOTH, FIRST, SECOND, markdown

#: Our own rows, which are no rivals of the one that is ranked.
OURS = (FIRST, SECOND)
RATES = ("type_violation_rates", "mutability_violation_rates", "actionability_violation_rates")
RANKED = {"distance_l0": "L0", "distance_l1": "L1", "knn_5": "kNN-5"}
#: What is asked for at once: every request answered, nothing violated, three ranks of at most 3, and this.
FUTURE, PLACE = 0.95, 3

TEXT = """# The columns of RecourseBench

Made by `python benchmarks/recourse.py` from `benchmarks/recourse.csv`: three public tables, three families of
classifiers, {requests} held-out rows each (fewer where there are no more), every feature editable that a schema lets
move. Two of the tables (German credit, breast cancer) and the three families are RecourseBench's
([arXiv:2606.16113](https://arxiv.org/abs/2606.16113)); its splits and fits are not, so that figures compare inside this
page and not with its own. How each column is computed: [comparing](../compare.md#the-columns-of-recoursebench).

## At once

`{both}` is a plan that 95 % of refits agree with, and the smallest valid change where there is none. Ranks are among it
and the methods that are not ours, by the mean over each one's own answers; 1 is best.

{bars}

## Every method

{tables}"""


def ranks(part: pd.DataFrame) -> dict[str, int]:
    """The place of our row among the methods that are not ours, by column."""
    rivals = part[~part["method"].isin((*OURS, BOTH))]
    ours = part[part["method"] == BOTH].iloc[0]
    return {column: int(1 + (rivals[column] < ours[column]).sum()) for column in RANKED}


def bars(found: pd.DataFrame) -> pd.DataFrame:
    """By comparison: validity, the largest violation rate, places, future validity, and whether all of it is met."""
    lines = []
    for name, part in found.groupby("comparison", sort=False):
        ours, places = part[part["method"] == BOTH].iloc[0], ranks(part)
        worst = float(ours[list(RATES)].max())
        met = ours["validity"] == 1 and worst == 0 and max(places.values()) <= PLACE
        lines.append(
            {
                "comparison": name,
                "rivals": int((~part["method"].isin((*OURS, BOTH))).sum()),
                "validity": ours["validity"],
                "violations": worst,
                **places,
                "future_validity": ours["future_validity"],
                "met": bool(met and ours["future_validity"] >= FUTURE),
            }
        )
    return pd.DataFrame(lines)


def page(found: pd.DataFrame) -> str:
    """The page as Markdown."""
    reached = bars(found)
    heads = ["", "rivals", "validity", "violations", *(f"place by {short}" for short in RANKED.values()),
             "future validity", "all at once"]  # fmt: skip
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for _, line in reached.iterrows():
        values = [f"{line['validity']:.2f}", f"{line['violations']:.2f}", *(str(line[column]) for column in RANKED)]
        ends = [f"{line['future_validity']:.2f}", "yes" if line["met"] else "no"]
        rows.append("| " + " | ".join([line["comparison"], str(line["rivals"]), *values, *ends]) + " |")
    said = f"\n\nAll of it at once: {int(reached['met'].sum())} of {len(reached)}."
    requests = int(found["requests"].max())
    return TEXT.format(requests=requests, both=BOTH, bars="\n".join(rows) + said, tables=markdown(found))
