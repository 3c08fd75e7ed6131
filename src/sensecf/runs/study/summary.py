"""A study as one page of Markdown: every method in every setting, beside class weights and SMOTE."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sensecf.augmentation.scarcity import SCENARIOS
from sensecf.core.errors import InputError
from sensecf.metrics.statistics import interval
from sensecf.runs.study.cells import Study
from sensecf.runs.study.scores import CELL, HARM, clusters, compare, rank, summarise
from sensecf.runs.study.written import between, chance, percent, plain, signed

#: Methods beside which every other is put.
BESIDE = ("class-weights", "smote")
#: Where a setting loses so much F1, it is asked how much of that comes back.
WORTH_RECOVERING = 0.05
#: Measures that are told beside F1.
OTHERS = ("macro_f1", "balanced_accuracy", "auc", "brier")
#: Methods that are compared with each other beside the study's own with all others: where both are there.
PAIRS = (
    ("munge", "class-weights"),
    ("committee", "class-weights"),
    ("threshold", "class-weights"),
    ("augment", "ungated"),
    ("ungated", "munge"),
    ("loop@1", "pairs@1"),
    ("boundary@1", "shuffled@1"),
)

#: Methods of which is told, table by table, what they give back of what was lost.
GIVING_BACK = ("class-weights", "threshold", "smote", "augment")

Row = Sequence[str]


def as_markdown(found: pd.DataFrame, results: pd.DataFrame, asked: Study) -> str:
    """The page. `found`: what `scores.gains` gave of `results`, the cells of the study that was `asked` for."""
    method = asked.method
    seeds = sorted(results["seed"].unique().tolist())
    parts = [
        f"Cells: {len(results):,} of {asked.cells:,}; seeds {seeds[0]} to {seeds[-1]}; classifiers "
        f"{', '.join(asked.classifiers)}; tables {', '.join(t.name for t in asked.tables)}.",
        f"### All settings: `{method}` against each method\n\n" + tests(found, method),
        "### Other pairs\n\n" + pairs(found),
        "### All settings together\n\n" + setting(found),
    ]
    for (scenario, removed), part in found.groupby(["scenario", "removed"], sort=True):
        title = f"### Scenario {str(scenario).upper()} ({SCENARIOS[str(scenario)]}), {float(str(removed)):.0%} removed"
        parts.append(f"{title}\n\n{setting(part)}")
    parts.append("### F1 less that of class weights, by table\n\n" + by_table(found))
    parts.append("### F1 less that of class weights, by classifier\n\n" + by_classifier(found))
    parts.append("### Other measures, less those of class weights\n\n" + other_measures(results))
    parts.append("### Relative gain and recovery\n\n" + recovery(found))
    parts.append("### What is lost, and what comes back, by table\n\n" + by_loss(found))
    chosen = results[results["chosen"] != ""].drop_duplicates([*CELL[:-1], "method"])
    if len(chosen):
        parts.append("### What the gate chose, splits\n\n" + choices(chosen))
    return "\n\n".join(parts) + "\n"


def tests(found: pd.DataFrame, method: str) -> str:
    """The method against every other: paired difference, interval, permutation p, Holm's correction."""
    rows = [
        (
            f"`{r['against']}`",
            plain(r["mean"]),
            plain(r["mean_against"]),
            signed(r["difference"]),
            _interval(r["low"], r["high"]),
            chance(r["p"]),
            chance(r["p_holm"]),
            f"{r['cells']} in {r['splits']}",
        )
        for r in compare(found, method).to_dict("records")
    ]
    heads = ("against", "F1", "F1 of the other", "difference", "95 %", "p", "p, Holm", "cells in splits")
    return table(heads, rows)


def pairs(found: pd.DataFrame) -> str:
    """The comparisons of `PAIRS`, uncorrected."""
    names, rows = set(found["method"]), []
    for one, other in PAIRS:
        if one in names and other in names:
            r = compare(found[found["method"].isin((one, other))], one).iloc[0]
            shown = (signed(r["difference"]), _interval(r["low"], r["high"]), chance(r["p"]), percent(r["better"]))
            rows.append((f"`{one}` − `{other}`", *shown))
    return table(("pair", "difference of F1", "95 %", "p, not corrected", "cells won"), rows)


def setting(found: pd.DataFrame) -> str:
    """Every method on some cells: F1, differences, harm, recovery, rank."""
    summary = summarise(found.assign(all=0), ["all"]).set_index("method").sort_values("value", ascending=False)
    try:
        names, ranked = rank(found)
        ranks = dict(zip(names, ranked.ranks.tolist(), strict=True))
    except InputError:
        ranks = {}  # too few complete blocks yet
    wide = found.pivot_table(index=CELL, columns="method", values="value")
    group = clusters(wide.reset_index())
    rows = []
    for name, r in summary.iterrows():
        cells = [plain(r["value"]) + " (" + _interval(r["value_low"], r["value_high"]) + ")"]
        for other in BESIDE:
            cells.append("–" if other not in wide or name == other else _difference(wide[name] - wide[other], group))
        harm = (percent(r["harm"]), percent(r["harm_weights"]), percent(r["recovered"]))
        rows.append((f"`{name}`", *cells, *harm, plain(ranks.get(str(name), np.nan), 2)))
    heads = (
        "method",
        "F1 (95 %)",
        "− class weights (95 %)",
        "− SMOTE (95 %)",
        "harm against nothing",
        "harm against class weights",
        "recovered",
        "mean rank",
    )
    return table(heads, rows)


def by_table(found: pd.DataFrame) -> str:
    """F1 less that of class weights by table; and how many settings lose by the mean of seeds and classifiers.

    A setting is a table, a scenario and a share: its mean says what a method harms, where a single cell with
    few test rows says as much about the draw.
    """
    wide = found.pivot_table(index=CELL, columns="method", values="value")
    if BESIDE[0] not in wide:
        return "The study has no class weights."
    apart = wide.sub(wide[BESIDE[0]], axis=0)
    names = apart.index.get_level_values("table").unique().tolist()
    place = ["table", "scenario", "removed"]
    settings = [wide.sub(wide[other], axis=0).groupby(level=place).mean() for other in ("nothing", BESIDE[0])]
    rows = []
    for method in found["method"].unique():
        means = [signed(float(apart.loc[name, method].mean())) for name in names]
        harmed = [f"{int((each[method] < -HARM).sum())} of {each[method].notna().sum()}" for each in settings]
        rows.append((f"`{method}`", *means, *harmed))
    heads = ("method", *names, "settings that lose more than 0.01 to `nothing`", "to class weights")
    return table(heads, rows)


def by_classifier(found: pd.DataFrame) -> str:
    """F1 less that of class weights by classifier, with the intervals of whole splits of a table."""
    wide = found.pivot_table(index=CELL, columns="method", values="value")
    if BESIDE[0] not in wide:
        return "The study has no class weights."
    apart = wide.sub(wide[BESIDE[0]], axis=0)
    parts = {str(name): part for name, part in apart.groupby(level="classifier")}
    rows = [
        (f"`{m}`", *(_difference(part[m], clusters(part.reset_index())) for part in parts.values()))
        for m in found["method"].unique()
        if m != BESIDE[0]
    ]
    return table(("method", *parts), rows)


def other_measures(results: pd.DataFrame) -> str:
    """Other measures less those of class weights; of the Brier score lower is better."""
    rows: dict[str, list[str]] = {}
    for measure in OTHERS:
        wide = results.pivot_table(index=CELL, columns="method", values=measure)
        if BESIDE[0] not in wide:
            return "The study has no class weights."
        group = clusters(wide.reset_index())
        for method in [m for m in wide if m != BESIDE[0]]:
            rows.setdefault(str(method), []).append(_difference(wide[method] - wide[BESIDE[0]], group))
    heads = ("method", *(measure.replace("_", " ") for measure in OTHERS))
    return table(heads, [(f"`{method}`", *cells) for method, cells in rows.items()])


def recovery(found: pd.DataFrame) -> str:
    """Relative gain of F1 over doing nothing by share removed; what comes back in the settings that lose much."""
    place = ["table", "scenario", "removed"]
    loss = found.groupby(place)["loss"].transform("mean")
    lost = summarise(found[loss >= WORTH_RECOVERING].assign(all=0), ["all"])
    back = dict(zip(lost["method"], lost["recovered"], strict=True)) if len(lost) else {}
    shares = sorted(found["removed"].unique().tolist())
    gained = {
        (r["removed"], r["method"]): f"{percent(r['relative'])} "
        f"({between(percent(r['relative_low']), percent(r['relative_high']))})"
        for r in summarise(found, ["removed"]).to_dict("records")
    }
    rows = [
        (f"`{m}`", *(gained[share, m] for share in shares), percent(back.get(m, np.nan)))
        for m in found["method"].unique()
        if m != "nothing"
    ]
    heads = (
        "method",
        *(f"relative gain, {share:.0%} removed" for share in shares),
        "recovered of a loss of 0.05 or more",
    )
    return table(heads, rows)


def by_loss(found: pd.DataFrame) -> str:
    """By table: F1 lost by doing nothing to an oracle, and of each of `GIVING_BACK` the gain over doing nothing in F1,
    relative to the F1 of doing nothing, and as a share of the loss (where that is worth recovering).

    The oracle is the one that weighs classes alike where the study has it, since what gives back does so, too.
    """
    means = found.groupby(["table", "method"], sort=False)["value"].mean().unstack()
    oracle = "oracle-weights" if "oracle-weights" in means else "oracle"
    methods = [name for name in GIVING_BACK if name in means]
    rows = []
    for name, row in means.iterrows():
        lost = row[oracle] - row["nothing"]
        cells = [str(name), plain(row["nothing"]), plain(row[oracle]), signed(lost)]
        for method in methods:
            gain = row[method] - row["nothing"]
            share = percent(gain / lost) if lost >= WORTH_RECOVERING else "–"
            cells.append(f"{signed(gain)}, {percent(gain / row['nothing'])}, {share}")
        rows.append(cells)
    return table(("table", "F1 of `nothing`", f"of `{oracle}`", "lost", *(f"`{name}`" for name in methods)), rows)


def choices(chosen: pd.DataFrame) -> str:
    """How often each option of the gate was chosen, by table."""
    counts = pd.crosstab(chosen["table"], chosen["chosen"])
    rows = [(str(name), *(str(v) for v in row)) for name, row in zip(counts.index, counts.to_numpy(), strict=True)]
    return table(("table", *counts.columns), rows)


def table(heads: Row, rows: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in (heads, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(heads), *lines[1:]])


def _difference(values: pd.Series[float], group: np.ndarray) -> str:
    low, high = interval(values, group)
    return f"{signed(float(values.mean()))} ({_interval(low, high)})"


def _interval(low: float, high: float) -> str:
    return between(plain(low), plain(high))
