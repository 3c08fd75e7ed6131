"""Does an answer break a rule? Judged anew on the saved row, check by check."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.query import Query
from sensecf.core.rules import EPS
from sensecf.core.task import Task
from sensecf.metrics.answers import read

#: The checks of every schema, before its rules; the request's own limits come last where they are given.
CHECKS = ("locked", "direction", "max_change", "range", "step", "budget")


def breaches(cfs: Counterfactuals, task: Task, query: Query | None = None) -> pd.DataFrame:
    """What each answer breaks: a column per check, then one per rule of the schema; True is broken.

    `locked`: an immutable, protected or unmeasured feature moved at all (not only by half a step: a
    lock that rounding moves is broken) or a value was blanked. `direction`, `max_change`: a change
    beyond what the feature allows. `range`: a value outside the schema's range (half a step of slack
    where it is unchanged). `step`: a changed number that is no multiple of its step. `budget`: more
    features changed than the schema's `max_changes`. `request`, when `query` (in the order of the
    factuals) is given: a lock, range, direction or budget of that person. Rules are judged on the
    whole row, also where the factual broke them already; one with a blank member does not apply.
    """
    answers = read(cfs, task)
    codec, schema = task.codec, task.schema
    before, after, changed = answers.before, answers.after, answers.changed
    with np.errstate(invalid="ignore"):
        moved = (np.abs(after - before) > EPS) | (np.isnan(after) != np.isnan(before))
        delta = after - before
        slack = np.where(changed, EPS, codec.step / 2 + EPS)
        sign = np.array([{"any": 0.0, "increase": 1.0, "decrease": -1.0}[f.direction] for f in schema.features])
        longest = np.array([np.inf if f.max_change is None else f.max_change for f in schema.features])
        cells = after / codec.step
        table = {
            "locked": moved & (~codec.changeable | np.isnan(before) | np.isnan(after)),
            "direction": changed & (delta * sign < -EPS),
            "max_change": changed & codec.numeric & (np.abs(delta) > longest + EPS),
            "range": (after < codec.low - slack) | (after > codec.high + slack),
            "step": changed & codec.numeric & (np.abs(cells - np.round(cells)) > EPS),
        }
    broken = {name: cells_off.any(axis=1) for name, cells_off in table.items()}
    limit = len(schema) if schema.max_changes is None else schema.max_changes
    broken["budget"] = answers.edits > limit
    out = pd.DataFrame(broken, index=answers.index)
    rules = codec.rules.violated(after)
    for number, rule in enumerate(schema.rules):
        out[str(rule)] = rules[:, number]
    if query is not None:
        owner = answers.requests.get_indexer(answers.queries)
        with np.errstate(invalid="ignore"):
            beyond = (after < query.low[owner] - EPS) | (after > query.high[owner] + EPS)
        off = (moved & ~query.movable[owner]) | (changed & beyond)
        out["request"] = off.any(axis=1) | (answers.edits > query.max_changes[owner])
    return out


def feasible(cfs: Counterfactuals, task: Task, query: Query | None = None) -> pd.Series[float]:
    """Does the answer break nothing? 1 or 0, higher is better.

    Formula: no True in its row of `breaches`. Leaves out: what no rule states; and the locks of a
    single person unless `query` is given, since they are no part of the schema. Source: ours.
    """
    return (~breaches(cfs, task, query).any(axis=1)).astype(float).rename("feasible")


def rules_kept(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """The share of the schema's rules that the answer keeps, [0, 1], higher is better.

    Leaves out: locks, ranges, steps (see `breaches`). Undefined for a schema without rules. Source: ours.
    """
    answers = read(cfs, task)
    broken = task.codec.rules.violated(answers.after)
    share = 1.0 - broken.mean(axis=1) if task.schema.rules else np.full(len(answers), np.nan)
    return answers.series(share, "rules_kept")


def in_range(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Are all values inside the schema's ranges? 1 or 0, higher is better. Leaves out: rules. Source: ours."""
    return (~breaches(cfs, task)["range"]).astype(float).rename("in_range")


def locks_kept(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Did every immutable, protected and unmeasured feature stay, to the last digit? 1 or 0, higher is better.

    Leaves out: locks of single persons (see `feasible`). Source: ours.
    """
    return (~breaches(cfs, task)["locked"]).astype(float).rename("locks_kept")
