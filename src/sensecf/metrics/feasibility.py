"""Does an answer break a rule? Judged anew on the saved row, check by check."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sensecf.core.rules import EPS
from sensecf.metrics.declare import metric
from sensecf.metrics.scored import Scored, of_answers


@of_answers
def breaches(scored: Scored) -> pd.DataFrame:
    """What each answer breaks: a column per check, then one per rule of the schema; True is broken.

    `locked`: an immutable, protected or unmeasured feature moved at all (not only by half a step: a
    lock that rounding moves is broken) or a value was blanked. `direction`, `max_change`: a change
    beyond what the feature allows. `range`: a value outside the schema's range (half a step of slack
    where it is unchanged). `step`: a changed number that is no multiple of its step. `budget`: more
    features changed than the schema's `max_changes`. `request`, when `query` (in the order of the
    factuals) is given: a lock, range, direction or budget of that person. Rules are judged on the
    whole row, also where the factual broke them already; one with a blank member does not apply.

    >>> sensecf.metrics.breaches(sensecf.metrics.read(plans, task)).any(axis=None)
    np.False_
    """
    task = scored.task
    codec, schema = task.codec, task.schema
    before, after, changed = scored.before, scored.after, scored.changed
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
    broken["budget"] = scored.edits > limit
    out = pd.DataFrame(broken, index=scored.index)
    rules = scored.rules_broken
    for number, rule in enumerate(schema.rules):
        out[str(rule)] = rules[:, number]
    query, owner = scored.given.query, scored.owner
    if query is not None:
        with np.errstate(invalid="ignore"):
            beyond = (after < query.low[owner] - EPS) | (after > query.high[owner] + EPS)
        off = (moved & ~(query.movable | query.follows)[owner]) | (changed & beyond)
        out["request"] = off.any(axis=1) | (scored.edits > query.max_changes[owner])
    return out


@metric(title="Breaks no rule", section="Rules", over="answers", better="higher")
def feasible(scored: Scored) -> pd.Series[float]:
    """Does the answer break nothing? 1 or 0, higher is better.

    Formula: no True in its row of `breaches`. Leaves out: what no rule states; and the locks of a
    single person unless `query` is given, since they are no part of the schema. Source: ours.
    """
    return (~scored.once(breaches).any(axis=1)).astype(float)


@metric(title="Rules of the schema kept", section="Rules", over="answers", better="higher")
def rules_kept(scored: Scored) -> pd.Series[float]:
    """The share of the schema's rules that the answer keeps, [0, 1], higher is better.

    Leaves out: locks, ranges, steps (see `breaches`). Undefined for a schema without rules. Source: ours.
    """
    share = 1.0 - scored.rules_broken.mean(axis=1) if scored.task.schema.rules else np.full(len(scored), np.nan)
    return scored.series(share)


@metric(title="Inside the schema’s ranges", section="Rules", over="answers", better="higher")
def in_range(scored: Scored) -> pd.Series[float]:
    """Are all values inside the schema's ranges? 1 or 0, higher is better. Leaves out: rules. Source: ours."""
    return (~scored.once(breaches)["range"]).astype(float)


@metric(title="Locked features untouched", section="Rules", over="answers", better="higher")
def locks_kept(scored: Scored) -> pd.Series[float]:
    """Did every immutable, protected and unmeasured feature stay, to the last digit? 1 or 0, higher is better.

    Leaves out: locks of single persons (see `feasible`). Source: ours.
    """
    return (~scored.once(breaches)["locked"]).astype(float)
