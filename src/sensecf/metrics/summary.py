"""All metrics of one run: value, interval, denominator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.people import people_of
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.metrics import statistics
from sensecf.metrics.declare import METRICS, Metric
from sensecf.metrics.holding import calibrated
from sensecf.metrics.scored import Scored, read

#: Columns of a summary, in order.
COLUMNS = ("value", "low", "high", "n", "defined", "direction", "over", "people")


class Values(NamedTuple):
    """What `measure` found: `values` of each metric, one per request or per answer (a table with `of_means`), indexed
    by query, or by query and rank; and how each is declared.

    >>> found = sensecf.metrics.measure(plans, task)
    >>> found.values["n_changed"].min() >= 1
    np.True_
    """

    metrics: dict[str, Metric]
    values: dict[str, pd.Series[float] | pd.DataFrame]

    def of(self, queries: pd.Index) -> Values:
        """The same for some of the queries; metrics of a fit (the critic) keep the values of the whole."""

        def part(found: Any) -> Any:
            return found[_queries(found.index).isin(queries)] if len(found) else found

        return Values(self.metrics, {name: part(found) for name, found in self.values.items()})


def summarise(
    answers: Counterfactuals | Scored,
    task: Task | None = None,
    *,
    groups: pd.Series[Any] | None = None,
    seed: int = 0,
    **given: Any,
) -> pd.DataFrame:
    """Every metric of a run, one row each, judged anew from the saved rows.

    Columns: `value` (the mean), `low`, `high` (95 %: Wilson for shares, bootstrap otherwise, whole
    people resampled), `n` (the denominator), `defined`, `direction` (which way is better) and `over`
    (what `n` counts: requests, answers, valid answers, or menus, the requests with at least two valid
    answers), `people` (whom the intervals resample). An undefined metric has NaN and `defined` False: it
    is never left out; with fewer than `statistics.FEWEST` people there is a value and no interval.

    `answers`: counterfactuals, with their task, or what `read` made of them. `groups`: the person behind each
    query, indexed by query; without it that of the factuals' column `person`, and where there is none every query is
    its own. `given`: what some metrics need besides:
    `query` (limits of each person), `judges`, `models`, `reference`; see `Given`.

    >>> summary = sensecf.metrics.summarise(plans, task, groups=people["participant_id"])
    >>> float(summary.loc["rules_kept", "value"])
    1.0
    """
    scored = read(answers, task, **given)
    groups = people_of(scored.cfs.factuals) if groups is None else groups
    rows = aggregate(measure(scored), groups=groups, seed=seed)
    return pd.concat([rows, _frame(calibrated(scored.cfs.cost.get("hold")) | _costs(scored.cfs))])


def measure(answers: Counterfactuals | Scored, task: Task | None = None, **given: Any) -> Values:
    """The values behind a summary, before any mean is taken; arguments as in `summarise`.

    >>> sorted(sensecf.metrics.measure(plans, task).values)[:2]
    ['actionable_share', 'change_entropy']
    """
    scored = read(answers, task, **given)
    valid = scored.valid()
    sets: dict[str, Scored] = {"requests": scored, "answers": scored, "valid answers": valid, "menus": valid}
    used = {name: metric for name, metric in METRICS.items() if metric.function is not None}
    return Values(used, {name: metric.of(sets[metric.over]) for name, metric in used.items()})


def aggregate(found: Values, *, groups: pd.Series[Any] | None = None, seed: int = 0) -> pd.DataFrame:
    """Means, intervals and denominators of measured values: a summary without the costs of the run.

    >>> found = sensecf.metrics.measure(plans, task)
    >>> float(sensecf.metrics.aggregate(found).loc["rules_kept", "value"])
    1.0
    """
    rows: dict[str, tuple[Any, ...]] = {}
    samples = _resampled(found, groups, seed)
    for name, metric in found.metrics.items():
        values = found.values[name].dropna()
        people, means = _people(values, groups), samples.get(name)
        if isinstance(values, pd.Series):
            value = float(values.mean()) if len(values) else math.nan
            low, high = statistics.interval(values, people, share=metric.share, means=means)
        else:
            assert metric.of_means is not None
            value = float(metric.of_means(values.mean().to_numpy())) if len(values) else math.nan
            low, high = statistics.interval(np.full(len(people), value), people, means=means)
            # Resampling moves what is made of means a little, so that the interval may end before the value.
            low, high = min(low, value), max(high, value)
        count = pd.Series(people).nunique(dropna=False)
        rows[name] = (value, low, high, len(values), not math.isnan(value), metric.better, metric.over, count)
    return _frame(rows)


def _frame(rows: Mapping[str, tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(dict(rows), orient="index", columns=list(COLUMNS)).rename_axis("metric")


def _people(values: pd.Series[float] | pd.DataFrame, groups: pd.Series[Any] | None) -> np.ndarray:
    """Who stands behind each row: its query, or the group of its query."""
    queries = _queries(values.index)
    return queries.to_numpy() if groups is None else groups.reindex(queries).to_numpy()


def _queries(index: pd.Index) -> pd.Index:
    return index.get_level_values("query") if index.nlevels > 1 else index


def _resampled(found: Values, groups: pd.Series[Any] | None, seed: int) -> dict[str, Floats]:
    """Bootstrap means of all metrics, and what is made of means, from the same samples of people."""
    # Answers, requests and tables under one another, blank where a metric has no value: its mean is the metric.
    series = {name: v for name, v in found.values.items() if isinstance(v, pd.Series) and v.notna().any()}
    tables = {name: v for name, v in found.values.items() if isinstance(v, pd.DataFrame) and len(v)}
    parts = [
        pd.DataFrame(one)
        for levels in (1, 2)
        if (one := {name: v for name, v in series.items() if v.index.nlevels == levels})
    ]
    parts += [v.set_axis([f"{name}/{j}" for j in range(v.shape[1])], axis=1) for name, v in tables.items()]
    if not parts:
        return {}
    clusters = np.concatenate([_people(part, groups) for part in parts])
    table = pd.concat([part.reset_index(drop=True) for part in parts], ignore_index=True)
    means = statistics.resampled_means(table.to_numpy(dtype=float), clusters, seed=seed)
    columns = [str(column) for column in table]
    out = {name: means[:, columns.index(name)] for name in series}
    for name, values in tables.items():
        start, make = columns.index(f"{name}/0"), found.metrics[name].of_means
        assert make is not None
        out[name] = make(means[:, start : start + values.shape[1]])
    return out


COSTS = [
    Metric("Rows put to the classifier, per answer", "Cost", "answers", "lower", False, name="classifier_rows"),
    Metric("Model tokens, per answer", "Cost", "answers", "lower", False, name="model_tokens"),
]
for _cost in COSTS:
    _cost.declare()


def _costs(cfs: Counterfactuals) -> dict[str, tuple[Any, ...]]:
    """Costs of the whole run per answer. No interval: a run has one bill."""
    answers = len(cfs.answers)
    rows = {}
    for cost in COSTS:
        total: Any = cfs.cost.get(cost.name)
        defined = total is not None and answers > 0
        value = float(total) / answers if total is not None and answers else math.nan
        rows[cost.name] = (value, math.nan, math.nan, answers if defined else 0, defined, cost.better, cost.over, 0)
    return rows


def to_json(summary: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """A summary as it stands in `metrics.json`: {metric: {value, low, high, n, defined, direction, over, people}},
    null for what is undefined.

    >>> sensecf.metrics.to_json(sensecf.metrics.summarise(plans, task))["rules_kept"]["value"]
    1.0
    """
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
    """The summary that `to_json` wrote; `people` is 0 where an older version left it out.

    >>> summary = sensecf.metrics.summarise(plans, task)
    >>> sensecf.metrics.from_json(sensecf.metrics.to_json(summary)).index.tolist() == summary.index.tolist()
    True
    """
    rows = [[entry.get(column, 0) for column in COLUMNS] for entry in data.values()]
    table = pd.DataFrame(rows, index=pd.Index(list(data), name="metric"), columns=list(COLUMNS))
    return table.astype(dict.fromkeys(("value", "low", "high"), float))


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
