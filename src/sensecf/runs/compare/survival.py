"""Whether a method's answers survive fresh refits of the classifier, and what that costs at equal survival."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sensecf import metrics
from sensecf.classifiers.change import CHANGES, Source
from sensecf.classifiers.jury import Jury
from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.metrics import Metric, statistics
from sensecf.metrics.declare import Over

#: The change that prices are compared at: what a plan is asked to hold against where nothing else is said.
USUAL = "bootstrap"
#: Numbers of the refits that judge begin here, so that none of them is a juror that a method had.
BEYOND = 1_000_000
#: Margins at which the search is asked for a price.
LADDER = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

#: Columns of the table of prices.
PRICE = (
    "method",
    "coverage",
    "survival",
    "margin",
    "our_coverage",
    "our_survival",
    "equal",
    "n",
    *(f"{whose}{measure}" for measure in ("n_changed", "mad_l1") for whose in ("", "our_", "p_")),
)

_KINDS: tuple[tuple[str, Over, str, str], ...] = (
    ("survival", "valid answers", "Answers that survive where the classifier is {}", "Survives: {}"),
    ("served", "requests", "Requests served with an answer that survives where the classifier is {}", "Served: {}"),
)
#: How tables show survival, by name: `survival_…` over the answers that are valid and break no rule, `served_…`
#: over all requests, where an unanswered one, or one with another answer, counts as 0.
SURVIVAL: dict[str, Metric] = {
    f"{kind}_{change}": Metric(
        title.format(words), "Confidence", over, "higher", short=short.format(change), name=f"{kind}_{change}"
    )
    for change, words in CHANGES.items()
    for kind, over, title, short in _KINDS
}


def fresh(task: Task, count: int, seed: int, source: Source | None = None) -> tuple[dict[str, Jury], dict[str, str]]:
    """`count` refits of the task's classifier under each change, by its name; and why some change has none."""
    juries: dict[str, Jury] = {}
    refused: dict[str, str] = {}
    for change in CHANGES:
        try:
            juries[change] = Jury.fit(task, change, count, BEYOND + seed, source=source)
        except InputError as error:
            refused[change] = str(error)
    return juries, refused


def survival(scored: metrics.Scored, juries: Mapping[str, Jury]) -> dict[str, pd.Series[float]]:
    """What `SURVIVAL` declares, by name: one value per valid and feasible answer, or per request for its first answer.

    A value is the share of the refits of that change that put the answer in its target class.
    """
    kept = scored.take(scored.reached & ~scored.rules_broken.any(axis=1))
    rank = pd.Series(kept.index.get_level_values("rank"), kept.index)
    firsts = (rank == rank.groupby(level="query").transform("min")).to_numpy()
    out: dict[str, pd.Series[float]] = {}
    for change, jury in juries.items():
        share = kept.series(_agreeing(jury, kept))
        out[f"survival_{change}"] = share
        out[f"served_{change}"] = share[firsts].droplevel("rank").reindex(kept.requests).fillna(0.0)
    return out


def _agreeing(jury: Jury, scored: metrics.Scored) -> Floats:
    """The share of a jury that puts each answer in its target class, shape (m,)."""
    if not len(scored):
        return np.empty(0)
    share: Floats = (jury.votes(scored.after) == scored.target).mean(axis=0)
    return share


def first_held(scored: metrics.Scored, juries: Mapping[str, Jury]) -> dict[str, pd.Series[float]]:
    """What `prices` compares: `survival`, `n_changed` and `mad_l1` of each request's first answer, NaN for none."""
    kept = scored.take(scored.reached & ~scored.rules_broken.any(axis=1))
    rank = pd.Series(kept.index.get_level_values("rank"), kept.index)
    firsts = (rank == rank.groupby(level="query").transform("min")).to_numpy()
    found = {"survival": _agreeing(juries[USUAL], kept), "n_changed": kept.edits, "mad_l1": kept.distance}
    return {name: kept.series(each)[firsts].droplevel("rank").reindex(kept.requests) for name, each in found.items()}


def rows(
    found: Mapping[str, pd.Series[float]], asked: pd.Index, groups: pd.Series[Any] | None, seed: int
) -> pd.DataFrame:
    """Rows of a summary for some of the requests: mean, interval by person, denominator; index `metric`."""
    table = {}
    for name, values in found.items():
        queries = values.index.get_level_values("query") if values.index.nlevels > 1 else values.index
        part = values[queries.isin(asked)].dropna()
        queries = part.index.get_level_values("query") if part.index.nlevels > 1 else part.index
        people = queries.to_numpy() if groups is None else groups.reindex(queries).to_numpy()
        low, high = statistics.interval(part, people, share=True, seed=seed)
        mean = float(part.mean()) if len(part) else math.nan
        declared = SURVIVAL[name]
        table[name] = (mean, low, high, len(part), bool(len(part)), declared.better, declared.over, len(set(people)))
    return pd.DataFrame.from_dict(table, orient="index", columns=list(metrics.COLUMNS))


def prices(
    methods: Mapping[str, Mapping[str, pd.Series[float]]],
    rungs: Sequence[tuple[float, Mapping[str, pd.Series[float]]]],
    groups: pd.Series[Any] | None,
    seed: int = 0,
) -> pd.DataFrame:
    """Each method beside the search at the least margin that survives no less, columns `PRICE`.

    `methods`, `rungs`: by method and by margin, one value per request of the first valid answer that breaks no rule:
    `survival`, `n_changed`, `mad_l1`; NaN where there is none. Means of effort run over the `n` requests that both
    answered; p by sign flips over people. `equal`: whether any margin survives as often; else the steadiest is shown.
    """
    told = [(margin, part, float(part["survival"].mean())) for margin, part in rungs]
    steady = [rung for rung in told if not math.isnan(rung[2])]
    found = []
    for name, part in methods.items():
        share = float(part["survival"].mean())
        enough = [rung for rung in steady if rung[2] >= share]
        row: dict[str, Any] = dict.fromkeys(PRICE, math.nan) | {
            "method": name,
            "coverage": float(part["survival"].notna().mean()),
            "survival": share,
            "equal": False,
            "n": 0,
        }
        if steady and not math.isnan(share):
            margin, own, reached = enough[0] if enough else max(steady, key=lambda rung: rung[2])
            row |= {
                "margin": margin,
                "our_survival": reached,
                "equal": bool(enough),
                "our_coverage": float(own["survival"].notna().mean()),
            }
            for measure in ("n_changed", "mad_l1"):
                people = None if groups is None else groups.reindex(part[measure].index).to_numpy()
                both = statistics.paired(part[measure], own[measure], people, seed=seed)
                row |= {measure: both.mean_a, f"our_{measure}": both.mean_b, f"p_{measure}": both.p, "n": both.n}
        found.append(row)
    return pd.DataFrame(found, columns=list(PRICE))
