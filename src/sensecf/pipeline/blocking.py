"""Why there is no answer: the smallest set of limits found whose lifting would give one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.codec import Codec
from sensecf.core.neighbours import Neighbours
from sensecf.core.query import Edit, Query, make_query, results
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Task
from sensecf.generators.search import Effort, Search

#: How hard to look for an answer with some limits lifted.
EFFORT = Effort(beam=3, edits=32, depth=4, neighbours=4, keep=1)


@dataclass(frozen=True)
class Limits:
    """What was asked of the answers beyond the schema; see `query.make_query`."""

    lock: Collection[str] = ()
    ranges: Mapping[str, tuple[float | None, float | None]] | None = None
    directions: Mapping[str, str] | None = None
    max_changes: int | None = None
    margin: float = 0.0
    edit: Edit = "actionable"

    def query(self, task: Task, factuals: pd.DataFrame, target: Any) -> Query:
        """The query for these factuals under these limits."""
        return make_query(
            task,
            factuals,
            target,
            lock=self.lock,
            ranges=self.ranges,
            directions=self.directions,
            max_changes=self.max_changes,
            margin=self.margin,
            edit=self.edit,
        )


def blame(task: Task, query: Query, limits: Limits, plausibility: float, rng: np.random.Generator) -> list[str]:
    """One sentence per unanswered query.

    All limits are lifted, then put back one by one; a limit stays lifted when putting it back
    leaves the search without an answer. What stays lifted is a smallest blocking set: putting any
    one of it back blocks the answer again (as far as the search sees). Where no
    limit is in the way a rule is left out, and where that does not help either, blanks are filled.
    """
    codec, names = task.codec, task.schema.names
    loose = replace(
        query,
        low=np.tile(codec.low, (len(query), 1)),
        high=np.tile(codec.high, (len(query), 1)),
        movable=np.tile(codec.changeable, (len(query), 1)) & ~np.isnan(query.rows),
        max_changes=np.full(len(query), len(names)),
        margin=np.zeros(len(query)),
    )
    relaxed, current = task, loose
    found = _answered(task, loose, plausibility, rng)
    blocking: list[list[str]] = [[] for _ in range(len(query))]
    if not found.all() and len(codec.rules):
        # Not even without limits: is it a rule?
        for number, rule in enumerate(codec.rules.rules):
            lifted = _without_rule(task, number)
            at = np.flatnonzero(~found)
            hit = at[_answered(lifted, loose.take(at), plausibility, rng)]
            for i in hit:
                blocking[i].append(f"the rule {rule}")
            found[hit] = True
            if found.all():
                break
    by_rule = np.array([bool(b) for b in blocking])
    unmeasured = _unmeasured(task, loose, ~found, plausibility, rng)

    families: list[tuple[str, Bools, dict[str, Any]]] = []
    held = results(task.schema) if limits.edit == "actionable" else []
    for j, name in enumerate(names):
        fixed = loose.movable[:, j] & ~query.movable[:, j]
        why = f"{name}, which {'only moves as a result' if name in held else 'cannot move'}"
        families.append((f"the lock on {name}" if name in limits.lock else why, fixed, {"movable": j}))
        narrow = (query.low[:, j] > loose.low[:, j]) | (query.high[:, j] < loose.high[:, j])
        families.append((f"the limits on {name}", narrow & ~fixed, {"low": j, "high": j}))
    families.append(("the budget of changes", query.max_changes < loose.max_changes, {"max_changes": ...}))
    families.append(("the margin asked for", query.margin > 0, {"margin": ...}))
    for text, differs, where in families:
        at = np.flatnonzero(differs & found & ~by_rule)
        if not len(at):
            continue
        trial = _put_back(current, query, where, at)
        ok = _answered(relaxed, trial.take(at), plausibility, rng)
        current = _put_back(current, query, where, at[ok])
        for i in at[~ok]:
            blocking[i].append(text)
    immovable = [f.name for f in task.schema.features if not f.changeable]
    fixed_text = (
        f" (fixed by the schema: {', '.join(immovable[:6])}{', ...' if len(immovable) > 6 else ''})"
        if immovable
        else ""
    )
    sentences = []
    for i, parts in enumerate(blocking):
        if parts:
            sentences.append(f"blocked by {' and '.join(parts)}")
        elif unmeasured[i]:
            sentences.append(_ask_to_measure(unmeasured[i]))
        elif found[i]:
            sentences.append("no answer among the rows tried; one may exist: another generator or seed may find it")
        else:
            sentences.append(f"no answer found even without locks and limits{fixed_text}")
    return sentences


def _unmeasured(
    task: Task, loose: Query, open_: Bools, plausibility: float, rng: np.random.Generator
) -> list[list[str]]:
    """The blanks that stand in the way of each open query, a smallest set of columns; none where filling them
    with what is typical of the target class (and changing what may change) gives no answer either."""
    columns: list[list[str]] = [[] for _ in range(len(loose))]
    at = np.flatnonzero(open_ & np.isnan(loose.rows).any(axis=1))
    if not len(at):
        return columns
    asked = loose.take(at)
    typical = np.array([_typical(task, int(target)) for target in asked.target])
    blank = np.isnan(asked.rows)

    def helped(filled: Bools, who: np.ndarray) -> Bools:
        trial = asked.take(who)
        rows = np.where(filled[who], typical[who], trial.rows)
        trial = replace(trial, rows=rows, movable=task.codec.changeable & ~np.isnan(rows))
        there = task.valid(task.judge(rows), trial.target)
        there[~there] = _answered(task, trial.take(np.flatnonzero(~there)), plausibility, rng)
        return there

    everyone = np.arange(len(at))
    hit = everyone[helped(blank, everyone)]
    for j in np.flatnonzero(blank[hit].any(axis=0)).tolist():
        who = hit[blank[hit, j]]
        less = blank.copy()
        less[who, j] = False
        blank[who, j] = ~helped(less, who)
    for i in hit.tolist():
        columns[at[i]] = [task.schema.names[j] for j in np.flatnonzero(blank[i])]
    return columns


def _typical(task: Task, target: int) -> Floats:
    """Medians of what was measured of the training rows that the classifier puts in a class, shape (d,)."""
    rows = task.once(Neighbours).peers(target).rows
    known = np.where(np.isnan(rows).all(axis=0), task.medians, rows)
    return task.codec.snap(np.nanmedian(known, axis=0)[None])[0]


def _ask_to_measure(columns: list[str]) -> str:
    """The reason where blanks stand in the way: a question for a measurement, no change to make."""
    was, them = ("was", "it") if len(columns) == 1 else ("were", "them")
    return (
        f"blanks stand in the way: {', '.join(columns)} {was} not measured, and no answer changes what was not "
        f"measured; what measuring {them} would show is a question for the lab, not a plan"
    )


def _put_back(current: Query, strict: Query, where: dict[str, Any], at: np.ndarray) -> Query:
    """`current` with the named parts of `strict` at the given queries."""
    changes = {}
    for name, column in where.items():
        array = getattr(current, name).copy()
        if column is ...:
            array[at] = getattr(strict, name)[at]
        else:
            array[at, column] = getattr(strict, name)[at, column]
        changes[name] = array
    return replace(current, **changes)


def _answered(task: Task, query: Query, plausibility: float, rng: np.random.Generator) -> Bools:
    """Which queries the search can answer."""
    found = Search(task, effort=EFFORT, plausibility=plausibility).propose(query, rng)
    answered: Bools = np.isin(np.arange(len(query)), found.query[found.reason == ""])
    return answered


def _without_rule(task: Task, number: int) -> Task:
    """The task with one rule less; what was fitted on the training rows is shared."""
    rules = task.schema.rules
    lifted = copy(task)
    lifted.schema = replace(task.schema, rules=rules[:number] + rules[number + 1 :])
    lifted.codec = Codec(lifted.schema)
    return lifted
