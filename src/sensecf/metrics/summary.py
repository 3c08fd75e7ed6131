"""All metrics of one run: value, interval, denominator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.judge import Classifier
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.metrics import diversity, edits, feasibility, plausibility, proximity, requests, robust, statistics
from sensecf.metrics.answers import read, valid_only

#: What a metric is averaged over: every request, every answer, the answers that are valid, or the
#: requests with at least two of these.
Over = Literal["requests", "answers", "valid answers", "menus"]
Direction = Literal["higher", "lower", "none"]


class Metric(NamedTuple):
    """How `summarise` uses a metric: the function, what it is averaged over, which way is better, and whether
    its values are shares, in [0, 1] (all 1 is then no certainty: see `statistics.interval`)."""

    function: Callable[[Counterfactuals, Task], pd.Series[float]]
    over: Over
    direction: Direction
    share: bool = True


#: Every metric that needs nothing but the answers and the task, by its name in `metrics.json`.
METRICS: dict[str, Metric] = {
    "own_share": Metric(requests.own_share, "requests", "higher"),
    "fallback_share": Metric(requests.fallback_share, "requests", "none"),
    "unanswered_share": Metric(requests.unanswered_share, "requests", "lower"),
    "not_needed_share": Metric(requests.not_needed_share, "requests", "none"),
    "validity": Metric(requests.validity, "requests", "higher"),
    "coverage": Metric(requests.coverage, "requests", "higher"),
    "feasible": Metric(feasibility.feasible, "answers", "higher"),
    "rules_kept": Metric(feasibility.rules_kept, "answers", "higher"),
    "in_range": Metric(feasibility.in_range, "answers", "higher"),
    "locks_kept": Metric(feasibility.locks_kept, "answers", "higher"),
    "n_changed": Metric(edits.n_changed, "valid answers", "lower", share=False),
    "redundancy": Metric(edits.redundancy, "valid answers", "lower"),
    "actionable_share": Metric(edits.actionable_share, "valid answers", "higher"),
    "mad_l1": Metric(proximity.mad_l1, "valid answers", "lower", share=False),
    "gower": Metric(proximity.gower, "valid answers", "lower"),
    "heom": Metric(proximity.heom, "valid answers", "lower", share=False),
    "plausible": Metric(plausibility.plausible, "valid answers", "higher"),
    "lof_inlier": Metric(plausibility.lof_inlier, "valid answers", "higher"),
    "in_training_range": Metric(plausibility.in_training_range, "valid answers", "higher"),
    "in_class_range": Metric(plausibility.in_class_range, "valid answers", "higher"),
    "isolation_inlier": Metric(plausibility.isolation_inlier, "valid answers", "higher"),
    "knn_ratio": Metric(plausibility.knn_ratio, "valid answers", "lower", share=False),
    "critic_auc": Metric(plausibility.critic, "valid answers", "lower"),
    "critic_auc_before": Metric(plausibility.critic_before, "valid answers", "none"),
    "probability": Metric(robust.probability, "valid answers", "higher"),
    "margin": Metric(robust.margin, "valid answers", "higher", share=False),
    "noise_validity": Metric(robust.noise_validity, "valid answers", "higher"),
    "pairwise_distance": Metric(diversity.pairwise_distance, "menus", "higher", share=False),
    "distinct_actions": Metric(diversity.distinct_actions, "menus", "higher"),
    "dpp": Metric(diversity.dpp, "menus", "higher"),
    "seconds": Metric(requests.seconds, "requests", "lower", share=False),
}

#: Columns of a summary, in order.
COLUMNS = ("value", "low", "high", "n", "defined", "direction", "over", "people")


class Values(NamedTuple):
    """What `measure` found: the values of each metric, one per request or per answer, and the edits behind them.

    `metrics`: how each is averaged; `values`: indexed by query, or by query and rank;
    `edits`: which features each valid answer changes, 1.0 or 0.0, a column per feature.
    """

    metrics: dict[str, Metric]
    values: dict[str, pd.Series[float]]
    edits: pd.DataFrame

    def of(self, queries: pd.Index) -> Values:
        """The same for some of the queries; metrics of a fit (the critic) keep the values of the whole."""

        def part(found: Any) -> Any:
            return found[_queries(found.index).isin(queries)] if len(found) else found

        return Values(self.metrics, {name: part(series) for name, series in self.values.items()}, part(self.edits))


def summarise(
    cfs: Counterfactuals,
    task: Task,
    *,
    query: Query | None = None,
    groups: pd.Series[Any] | None = None,
    judges: Mapping[str, Classifier | robust.CrossFitted] | None = None,
    models: Mapping[str, Classifier] | None = None,
    reference: pd.Series[float] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Every metric of a run, one row each, judged anew from the saved rows.

    Columns: `value` (the mean), `low`, `high` (95 %: Wilson for shares, bootstrap otherwise, whole
    people resampled), `n` (the denominator), `defined`, `direction` (which way is better) and `over`
    (what `n` counts: requests, answers, valid answers, or menus, the requests with at least two valid
    answers), `people` (whom the intervals resample). An undefined metric has NaN and `defined` False: it
    is never left out; with fewer than `statistics.FEWEST` people there is a value and no interval.

    `query`: the limits of each person (locks), to be held against the answers too. `groups`: the
    person behind each query, indexed by query; without it every query is its own person. `judges`:
    independent classifiers for judge validity. `models`: retrained ones (see `retrained`).
    `reference`: distance of another method's answer per query, for `success_at_3`.
    """
    found = measure(cfs, task, query=query, judges=judges, models=models, reference=reference)
    rows = aggregate(found, groups=groups, seed=seed)
    return pd.concat([rows, _frame(_costs(cfs))])


def measure(
    cfs: Counterfactuals,
    task: Task,
    *,
    query: Query | None = None,
    judges: Mapping[str, Classifier | robust.CrossFitted] | None = None,
    models: Mapping[str, Classifier] | None = None,
    reference: pd.Series[float] | None = None,
) -> Values:
    """The values behind a summary, before any mean is taken; arguments as in `summarise`."""
    metrics = METRICS | {
        "feasible": METRICS["feasible"]._replace(function=partial(feasibility.feasible, query=query)),
        # Without a reference it asks for less, and so it has another name.
        "success_at_3_without_reference": Metric(partial(requests.success, query=query), "requests", "higher"),
    }
    if reference is not None:
        success = partial(requests.success, query=query, reference=reference)
        metrics["success_at_3"] = Metric(success, "requests", "higher")
    compared: tuple[tuple[str, Callable[..., pd.Series[float]], Any, Direction], ...] = (
        ("judge_validity", robust.judge_validity, judges, "higher"),
        ("judge_validity_before", robust.judge_validity_before, judges, "none"),
        ("retrain_validity", robust.retrain_validity, models, "higher"),
        ("retrain_validity_worst", robust.retrain_validity_worst, models, "higher"),
    )
    for name, function, others, direction in compared:
        metrics[name] = Metric(_with_others(function, others), "valid answers", direction)

    valid = valid_only(cfs, task)
    sets: dict[Over, Counterfactuals] = {"requests": cfs, "answers": cfs, "valid answers": valid, "menus": valid}
    values = {name: metric.function(sets[metric.over], task) for name, metric in metrics.items()}
    changed = read(valid, task)
    return Values(metrics, values, pd.DataFrame(changed.changed.astype(float), index=changed.index))


def aggregate(found: Values, *, groups: pd.Series[Any] | None = None, seed: int = 0) -> pd.DataFrame:
    """Means, intervals and denominators of measured values: a summary without the costs of the run."""
    rates = found.edits
    rows: dict[str, tuple[Any, ...]] = {}
    samples = _resampled(found.values, rates, groups, seed)
    for name, metric in found.metrics.items():
        series = found.values[name].dropna()
        people = _people(series, groups)
        mean = float(series.mean()) if len(series) else math.nan
        low, high = statistics.interval(series, people, share=metric.share, means=samples.get(name))
        count = pd.Series(people).nunique(dropna=False)
        rows[name] = (mean, low, high, len(series), bool(len(series)), metric.direction, metric.over, count)

    entropy = float(edits.change_entropy(rates.mean().to_numpy())) if len(rates) else math.nan
    people = _people(rates, groups)
    low, high = statistics.interval(np.full(len(people), entropy), people, means=samples.get("change_entropy"))
    # Resampling concentrates edits a little, so that near 1 the interval may end below the value.
    low, high = min(low, entropy), max(high, entropy)
    rows["change_entropy"] = (entropy, low, high, len(rates), not math.isnan(entropy), "none", "valid answers",
                              pd.Series(people).nunique(dropna=False))  # fmt: skip
    return _frame(rows)


def _frame(rows: Mapping[str, tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(dict(rows), orient="index", columns=list(COLUMNS)).rename_axis("metric")


def _with_others(
    function: Callable[..., pd.Series[float]], others: Mapping[str, Any] | None
) -> Callable[[Counterfactuals, Task], pd.Series[float]]:
    """The metric with its other classifiers filled in; a series without values when there are none."""
    if others:
        return lambda cfs, task: function(cfs, task, others)
    return lambda cfs, task: pd.Series(dtype=float)


def _people(values: pd.Series[float] | pd.DataFrame, groups: pd.Series[Any] | None) -> np.ndarray:
    """Who stands behind each row: its query, or the group of its query."""
    queries = _queries(values.index)
    return queries.to_numpy() if groups is None else groups.reindex(queries).to_numpy()


def _queries(index: pd.Index) -> pd.Index:
    return index.get_level_values("query") if index.nlevels > 1 else index


def _resampled(
    values: Mapping[str, pd.Series[float]], rates: pd.DataFrame, groups: pd.Series[Any] | None, seed: int
) -> dict[str, Floats]:
    """Bootstrap means of all metrics, and the entropy of `rates`, from the same samples of people."""
    # Answers and requests under one another, blank where a metric has no value: its mean is the metric.
    parts: list[pd.DataFrame] = []
    for levels in (1, 2):
        columns = {name: s for name, s in values.items() if s.notna().any() and s.index.nlevels == levels}
        if columns:
            parts.append(pd.DataFrame(columns))
    if len(rates):
        parts.append(rates)
    if not parts:
        return {}
    clusters = np.concatenate([_people(part, groups) for part in parts])
    table = pd.concat([part.reset_index(drop=True) for part in parts], ignore_index=True)
    means = statistics.resampled_means(table.to_numpy(dtype=float), clusters, seed=seed)
    found = {str(name): means[:, j] for j, name in enumerate(table) if name in values}
    if len(rates):
        found["change_entropy"] = edits.change_entropy(means[:, [j for j, name in enumerate(table) if name in rates]])
    return found


def _costs(cfs: Counterfactuals) -> dict[str, tuple[Any, ...]]:
    """Costs of the whole run per answer. No interval: a run has one bill."""
    answers = len(cfs.answers)
    rows = {}
    for name, entry in (("classifier_rows", "classifier_rows"), ("model_tokens", "model_tokens")):
        total = cfs.cost.get(entry)
        defined = total is not None and answers > 0
        value = float(total) / answers if total is not None and answers else math.nan
        rows[name] = (value, math.nan, math.nan, answers if defined else 0, defined, "lower", "answers", 0)
    return rows


def to_json(summary: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """A summary as it stands in `metrics.json`: {metric: {value, low, high, n, defined, direction, over, people}},
    null for what is undefined."""
    return {
        str(name): {
            "value": _number(row["value"]),
            "low": _number(row["low"]),
            "high": _number(row["high"]),
            "n": int(row["n"]),
            "defined": bool(row["defined"]),
            "direction": str(row["direction"]),
            "over": str(row["over"]),
            "people": int(row["people"]),
        }
        for name, row in summary.iterrows()
    }


def from_json(data: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The summary that `to_json` wrote; `people` is 0 where an older version left it out."""
    rows = [[entry.get(column, 0) for column in COLUMNS] for entry in data.values()]
    table = pd.DataFrame(rows, index=pd.Index(list(data), name="metric"), columns=list(COLUMNS))
    return table.astype(dict.fromkeys(("value", "low", "high"), float))


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
