"""Scores of a comparison: means with intervals per direction, and what differs between methods."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf import metrics
from sensecf.classifiers.jury import Jury
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Classifier, Task
from sensecf.metrics import statistics
from sensecf.runs.compare.survival import USUAL, rows, survival

#: Direction of the rows over all requests.
ALL = "all"
#: Methods that solve fewer requests than this share do not shrink the set that all are compared on.
SOLVES_ENOUGH = 0.5
#: Metrics compared between methods by their first answers: over all requests, an unanswered one counting as 0 …
ON_ALL = ("success_at_3", "validity", f"served_{USUAL}")
#: … and over the requests that both methods solved.
ON_SOLVED = ("n_changed", "mad_l1", "gower", "lof_inlier", "feasible")
#: Of these, with a second test over all requests: who serves more of them better.
PREFERRED = ("n_changed", "mad_l1")

#: Columns of the summary and of the comparisons, in order.
SUMMARY = ("method", "direction", "metric", "value", "low", "high", "n", "over", "better", "people")
COMPARISONS = (
    "metric",
    "on",
    "a",
    "b",
    "mean_a",
    "mean_b",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "winner",
    "n",
    "people",
)


class Scores(NamedTuple):
    """`summary`: one row per method, direction and metric (columns `SUMMARY`). `comparisons`: one row
    per pair of methods and metric (columns `COMPARISONS`; p by sign flips over people, corrected by
    Holm within a metric). `first`: by metric, the value of each method's first answer, shape
    (requests, methods), NaN where it is not valid. `common`: the requests that all methods solved,
    but those of `left_out`, which solve less than half of all. `scored`: each method's answers, read once."""

    summary: pd.DataFrame
    comparisons: pd.DataFrame
    first: dict[str, pd.DataFrame]
    common: pd.Index
    left_out: tuple[str, ...]
    scored: dict[str, metrics.Scored]


def score(
    answers: Mapping[str, Counterfactuals],
    task: Task,
    query: Query,
    directions: pd.Series[Any],
    groups: pd.Series[Any] | None,
    *,
    reference: Counterfactuals | None = None,
    judges: Mapping[str, Classifier | metrics.CrossFitted] | None = None,
    models: Mapping[str, Classifier] | None = None,
    juries: Mapping[str, Jury] | None = None,
    seed: int = 0,
) -> Scores:
    """Score the methods on the same requests.

    `directions`, `groups`: the direction and the person of each request, indexed by request.
    `reference`: whose distance `success_at_3` may not exceed; without it that metric is undefined.
    `judges`, `models`: see `metrics.Given`. `juries`: fresh refits by change, see `survival`.
    """
    limit = None if reference is None else first_values(metrics.read(reference, task, query=query))["mad_l1"]
    scored = {
        name: metrics.read(cfs, task, query=query, judges=judges, models=models, reference=limit)
        for name, cfs in answers.items()
    }
    found = {name: metrics.measure(read) for name, read in scored.items()}
    held = {name: survival(read, juries or {}) for name, read in scored.items()}
    first = _firsts(scored, found, held)
    solved = first["mad_l1"].notna()
    enough = solved.mean() >= SOLVES_ENOUGH
    common = solved.index[solved.loc[:, enough].all(axis=1)] if enough.any() else solved.index[:0]

    parts = []
    for name, values in found.items():
        for direction, asked in _directions(directions):
            part = metrics.aggregate(values.of(asked), groups=groups, seed=seed)
            part = pd.concat(
                [
                    part,
                    rows(held[name], asked, groups, seed),
                    _on_common(first, name, common.intersection(asked), groups, seed),
                ]
            )
            parts.append(part.reset_index(names="metric").assign(method=name, way=direction))
    summary = pd.concat(parts, ignore_index=True).drop(columns=["defined"])
    summary = summary.rename(columns={"direction": "better", "way": "direction"})[list(SUMMARY)]
    return Scores(
        summary,
        compare_pairs(first, groups, seed),
        first,
        common,
        tuple(enough.index[~enough]),
        scored,
    )


def first_values(scored: metrics.Scored) -> pd.DataFrame:
    """Metrics of the first answer to each request, shape (requests, `ON_SOLVED`); NaN where it is not valid."""
    rank = pd.Series(scored.index.get_level_values("rank"), scored.index)
    first = scored.reached & (rank == rank.groupby(level="query").transform("min")).to_numpy()
    table = pd.DataFrame({name: metrics.METRICS[name].of(scored) for name in ON_SOLVED}, index=scored.index)
    return table[first].droplevel("rank").reindex(scored.requests)


def compare_pairs(first: Mapping[str, pd.DataFrame], groups: pd.Series[Any] | None, seed: int = 0) -> pd.DataFrame:
    """Every pair of methods by every metric of `first`, see `Scores`.

    `on` is "solved", the requests that both solved, or "all". For effort "all" asks who serves a request
    better, coverage counting: `mean_a` and `mean_b` are the shares of requests that each serves better.
    `winner` is "" unless p_holm < 0.05.
    """
    families = [(metric, "all" if metric in ON_ALL else "solved") for metric in first]
    families += [(metric, "all") for metric in PREFERRED if metric in first]
    rows: list[dict[str, Any]] = []
    for metric, on in families:
        table = first[metric]
        people = None if groups is None else groups.reindex(table.index).to_numpy()
        compare = _preferred if on == "all" and metric not in ON_ALL else _paired
        family = [
            {"metric": metric, "on": on, "a": a, "b": b, **compare(table[a], table[b], people, _higher(metric), seed)}
            for a, b in combinations(table.columns, 2)
        ]
        for row, p in zip(family, statistics.holm([row["p"] for row in family]), strict=True):
            rows.append({**row, "p_holm": p, "winner": row[row["winner"]] if row["winner"] and p < 0.05 else ""})
    return pd.DataFrame(rows, columns=list(COMPARISONS))


def _higher(metric: str) -> bool:
    """Whether more of a metric is better."""
    return metric in ON_ALL or metrics.METRICS[metric].better == "higher"


def _paired(a: pd.Series[float], b: pd.Series[float], people: Any, higher: bool, seed: int) -> dict[str, Any]:
    """Two methods on the requests where both have a value."""
    found = statistics.paired(a, b, people, seed=seed)
    winner = "" if not abs(found.difference) > 0 else "a" if (found.difference > 0) == higher else "b"
    return {
        "mean_a": found.mean_a,
        "mean_b": found.mean_b,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "winner": winner,
        "n": found.n,
        "people": found.clusters,
    }


def _preferred(a: pd.Series[float], b: pd.Series[float], people: Any, higher: bool, seed: int) -> dict[str, Any]:
    """Who serves more requests better, among all of them."""
    won = statistics.preference(a, b, higher)
    found = _paired(pd.Series(won), pd.Series(np.zeros(len(won))), people, True, seed)
    return found | {"mean_a": float((won > 0).mean()), "mean_b": float((won < 0).mean())}


def request_ranks(table: pd.DataFrame, higher: bool) -> pd.Series[float]:
    """The mean over requests of each method's rank within the request, 1 is best; who did not solve it is last.

    It counts coverage and needs no common set: what Friedman's test compares over data sets.
    """
    worst = -np.inf if higher else np.inf
    return table.fillna(worst).rank(axis=1, ascending=not higher).mean()


def pareto(values: Floats) -> Bools:
    """Which rows (n, criteria), lower is better, are dominated by no other; NaN is worse than anything."""
    filled = np.where(np.isnan(values), np.inf, values)
    no_worse = (filled[:, None] <= filled[None]).all(axis=2)
    better = (filled[:, None] < filled[None]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0) & ~np.isnan(values).any(axis=1))


def _firsts(
    scored: Mapping[str, metrics.Scored],
    found: Mapping[str, metrics.Values],
    held: Mapping[str, Mapping[str, pd.Series[float]]],
) -> dict[str, pd.DataFrame]:
    tables = {name: first_values(read) for name, read in scored.items()}
    of_all = {name: values.values | dict(held[name]) for name, values in found.items()}
    out = {
        name: pd.DataFrame({method: values[name] for method, values in of_all.items()})
        for name in ON_ALL
        if all(len(values.get(name, ())) for values in of_all.values())
    }
    return out | {name: pd.DataFrame({m: table[name] for m, table in tables.items()}) for name in ON_SOLVED}


def _directions(directions: pd.Series[Any]) -> list[tuple[str, pd.Index]]:
    """All requests, then those of each direction where there are several."""
    named = [(str(name), part.index) for name, part in directions.groupby(directions, sort=True)]
    return [(ALL, directions.index), *(named if len(named) > 1 else [])]


def _on_common(
    first: Mapping[str, pd.DataFrame], method: str, common: pd.Index, groups: pd.Series[Any] | None, seed: int
) -> pd.DataFrame:
    """Effort and likeness of a method's first answers on the requests that all solved."""
    rows = {}
    for name in ("n_changed", "mad_l1", "gower", "lof_inlier"):
        values = first[name].loc[common, method].dropna()
        people = values.index.to_numpy() if groups is None else groups.reindex(values.index).to_numpy()
        share = name == "lof_inlier"
        low, high = statistics.interval(values, people, share=share, seed=seed)
        mean = float(values.mean()) if len(values) else math.nan
        better = "higher" if share else "lower"
        over, count = "requests solved by all", len(set(people))
        rows[f"{name}_common"] = (mean, low, high, len(values), bool(len(values)), better, over, count)
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(metrics.COLUMNS))
