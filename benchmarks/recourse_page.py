"""The page docs/results/recourse.md, made of benchmarks/recourse.csv and recourse_pairs.csv and of nothing else."""

from __future__ import annotations

import pandas as pd

from sensecf.runs.recourse import PAIRS, both, markdown

#: Our own rows, no rivals of one another: boundary answers, plans that hold, and these with their gaps filled.
BOUNDARY, FILLED = [second for _, second in PAIRS], [both(*pair) for pair in PAIRS]
OURS = (*BOUNDARY, *FILLED, *(first for first, _ in PAIRS))
#: Simple generators of this package: rivals where every method counts, none among the published ones.
SIMPLE = ("nearest", "constant")
RATES = ("type_violation_rates", "mutability_violation_rates", "actionability_violation_rates")
RANKED = {"distance_l0": "L0", "distance_l1": "L1", "knn_5": "kNN-5"}
#: What is asked for at once: every request answered, nothing violated, three places of at most 3, and this.
FUTURE, PLACE = 0.95, 3
#: How places are counted, by the name of a column of `bars`.
COUNTS = {"all": "places, all methods", "published": "places, shared requests"}

TEXT = """# The columns of RecourseBench

Made by `python benchmarks/recourse.py` from `benchmarks/recourse.csv` and `benchmarks/recourse_pairs.csv`, a comparison
per public table and family of classifiers as named, {cells} of the 9 that the programme knows so far, {requests}
held-out rows each (fewer where there are no more), every feature editable that a schema lets move. German credit and
breast cancer are RecourseBench's too ([arXiv:2606.16113](https://arxiv.org/abs/2606.16113)); its splits and fits are
not ours, so that figures compare inside this page and not with its own. How each column is computed:
[comparing](../compare.md#the-columns-of-recoursebench).

## At once

Four lines of ours. `search` is the smallest valid change, and `search@likeness` the one that is most like real rows
(`--prefer likeness`); `…@hold…, else …` is a plan of that kind that 95 % of refits agree with, or else that change.
Places are those by L0, L1 and kNN-5; 1 is best. "All methods" counts every method but these four by the mean over its
own answers, whomever it left out, our simple `nearest` and `constant` included. "Shared requests" counts the published
methods, each on the requests that both answer. The bar is all of validity 1, no violation, the first three places in
all three, and a future validity of {future:g}.

{bars}

{said}

{why}

## Every method

{tables}"""

WHY = """Why not all at once: a row close to real ones that takes little to reach lies at the boundary, where half to
nine tenths of refits agree, and so do the answers of every method that is in front by L0 or L1. A plan that holds goes
farther, and its place is among answers of others that do not hold. The weights of `--prefer likeness` were chosen on
the two German cells of logistic regression and random forest, the two of breast cancer likewise and `rice-logistic`, on
these very requests; the other four cells were not looked at before.
"""


def places(part: pd.DataFrame, pairs: pd.DataFrame, method: str, count: str) -> dict[str, int]:
    """The place of a row of ours by column: see `TEXT`."""
    if count == "all":
        rivals, ours = part[~part["method"].isin(OURS)], part[part["method"] == method].iloc[0]
        return {column: int(1 + (rivals[column] < ours[column]).sum()) for column in RANKED}
    met = pairs[(pairs["method"] == method) & ~pairs["other"].isin(SIMPLE)]
    return {column: int(1 + (met[f"their_{column}"] < met[f"our_{column}"]).sum()) for column in RANKED}


def bars(found: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """By comparison and row of ours: validity, the largest violation rate, places, future validity, and what is met."""
    lines = []
    for name, part in found.groupby("comparison", sort=False):
        met = pairs[pairs["comparison"] == name]
        for method in (*BOUNDARY, *FILLED):
            ours = part[part["method"] == method].iloc[0]
            worst = float(ours[list(RATES)].max())
            line = {"comparison": name, "method": method, "validity": ours["validity"], "violations": worst}
            for count in COUNTS:
                place = places(part, met, method, count)
                line[count] = ", ".join(map(str, place.values()))
                near = ours["validity"] == 1 and worst == 0 and max(place.values()) <= PLACE
                line[f"{count}_near"] = bool(near)
                line[f"{count}_met"] = bool(near and ours["future_validity"] >= FUTURE)
            lines.append(line | {"future_validity": ours["future_validity"]})
    return pd.DataFrame(lines)


def _table(reached: pd.DataFrame) -> str:
    heads = ["", "method", "validity", "violations", *COUNTS.values(), "future validity", "the places", "all at once"]
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for _, line in reached.iterrows():
        values = [f"{line['validity']:.2f}", f"{line['violations']:.2f}", *(line[count] for count in COUNTS)]
        ends = [" / ".join("yes" if line[f"{count}_{end}"] else "no" for count in COUNTS) for end in ("near", "met")]
        texts = [line["comparison"], line["method"], *values, f"{line['future_validity']:.2f}", *ends]
        rows.append("| " + " | ".join(texts) + " |")
    return "\n".join(rows)


def _said(reached: pd.DataFrame) -> str:
    cells, parts = reached["comparison"].nunique(), []
    for method, lines in reached.groupby("method", sort=False):
        near, met = ([int(lines[f"{count}_{end}"].sum()) for count in COUNTS] for end in ("near", "met"))
        holds = int((lines["future_validity"] >= FUTURE).sum())
        parts.append(
            f"- `{method}`: valid everywhere in {int((lines['validity'] == 1).sum())}; the first three places in "
            f"{near[0]} of all methods, in {near[1]} of the published ones on shared requests; a future validity of "
            f"{FUTURE:g} in {holds}; all at once in {met[0]} and {met[1]}."
        )
    return f"Of {cells} comparisons:\n\n" + "\n".join(parts)


def page(found: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """The page as Markdown."""
    found = found.assign(method=found["method"].str.removesuffix("+raw"))
    pairs = pairs.assign(other=pairs["other"].str.removesuffix("+raw"))
    reached = bars(found, pairs)
    return TEXT.format(
        cells=found["comparison"].nunique(),
        requests=int(found["requests"].max()),
        future=FUTURE,
        bars=_table(reached),
        said=_said(reached),
        why=WHY,
        tables=markdown(found),
    )
