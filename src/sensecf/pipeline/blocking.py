"""Why there is no answer: the smallest set of limits found whose lifting would give one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from types import EllipsisType
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from sensecf.core.codec import Codec
from sensecf.core.limits import Limits
from sensecf.core.neighbours import Neighbours
from sensecf.core.query import Query, moves, results
from sensecf.core.rules import Bools, Floats, Rule
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.generators.search import Effort, Search

#: How hard to look for an answer with some limits lifted.
EFFORT = Effort(beam=3, edits=32, depth=4, neighbours=4, keep=1)


Kind = Literal["lock", "result", "fixed", "range", "most", "budget", "margin", "rule", "blank"]


class Blocked(NamedTuple):
    """One thing that stands in the way of an answer.

    `kind`: "lock" (asked for), "result" (only moves as a result, which `edit` holds still), "fixed" (cannot move),
    "range" (of a feature, `bound` its ends), "most" (more than a person can be asked for, see `Feature.most_change`),
    "budget" and "margin" (`bound` the number), "rule" (`bound` the rule), "blank" (not measured).
    `feature`: its name, "" where the kind has none.
    """

    kind: Kind
    feature: str = ""
    bound: tuple[float, float] | float | Rule | None = None


class Blame(NamedTuple):
    """Why a query has no answer: what was found to stand in the way, a smallest set; where nothing was, whether the
    search found an answer without any limit (`possible`). `unmeasured`: what a person does, is free to change and was
    not measured; `every`: whether that is all that a person does."""

    blocked: tuple[Blocked, ...] = ()
    possible: bool = False
    unmeasured: tuple[str, ...] = ()
    every: bool = False


def blame(task: Task, query: Query, limits: Limits, plausibility: float, rng: np.random.Generator) -> list[Blame]:
    """Why there is no answer, for each unanswered query.

    All limits are lifted, then put back one by one; a limit stays lifted when putting it back
    leaves the search without an answer. What stays lifted is a smallest blocking set: putting any
    one of it back blocks the answer again (as far as the search sees). Where no
    limit is in the way a rule is left out, and where that does not help either, blanks are filled.
    What the training rows show (`Task.reach`) is lifted by no limit.
    """
    codec = task.codec
    low, high = np.minimum(query.low, task.reach[0]), np.maximum(query.high, task.reach[1])
    loose = replace(
        query,
        low=low,
        high=high,
        movable=moves(codec, query.rows, low, high),
        follows=np.zeros_like(query.follows),
        max_changes=np.full(len(query), len(task.schema)),
        margin=np.zeros(len(query)),
    )
    found = _answered(task, loose, plausibility, rng)
    blocking = _rules_in_the_way(task, loose, found, plausibility, rng)
    by_rule = np.array([bool(b) for b in blocking])
    found |= by_rule
    unmeasured = _unmeasured(task, loose, ~found, plausibility, rng)
    families = [
        (part, differs & found & ~by_rule, where) for part, differs, where in _families(task, query, loose, limits)
    ]
    for i, part in _in_turn(task, query, loose, families, plausibility, rng):
        bound: Any = part.bound
        if part.kind == "range":
            j = task.schema.columns[part.feature]
            bound = float(query.low[i, j]), float(query.high[i, j])
            if part._replace(bound=bound) in blocking[i]:
                continue  # by its other end
        elif part.kind in ("budget", "margin"):
            bound = getattr(query, part.kind if part.kind == "margin" else "max_changes")[i].item()
        blocking[i].append(part._replace(bound=bound))
    levers = [j for j, f in enumerate(task.schema.features) if f.role == "actionable" and f.changeable]
    levers = [j for j in levers if task.schema.names[j] not in limits.lock]
    unknown = [tuple(task.schema.names[j] for j in levers if np.isnan(row[j])) for row in query.rows]
    return [
        Blame(
            tuple(parts or (Blocked("blank", name) for name in blanks)),
            bool(possible),
            open_,
            len(open_) == len(levers),
        )
        for parts, blanks, possible, open_ in zip(blocking, unmeasured, found, unknown, strict=True)
    ]


def _in_turn(
    task: Task,
    query: Query,
    loose: Query,
    families: Sequence[tuple[Blocked, Bools, dict[str, Any]]],
    plausibility: float,
    rng: np.random.Generator,
) -> Iterator[tuple[int, Blocked]]:
    """Limits are put back in their order, and those that leave a query (its number) without an answer are lifted again.

    Halves of what is left are put back together: where an answer remains, none of them is in the way, so that a few
    among many are found in a few searches, the same ones as one by one.
    """
    differs = np.array([where for _, where, _ in families]).reshape(len(families), len(query))
    current, blamed = loose, np.zeros(len(query), dtype=np.intp)

    def put_back(held: Query, begin: int, end: int, at: np.ndarray) -> Query:
        for number in range(begin, end):
            held = _put_back(held, query, families[number][2], at[differs[number, at]])
        return held

    # Spans of limits and the queries they are put back for. A query is known to be left without an answer by a span
    # where as many limits were blamed as before the other half of the two that have one in the way.
    spans = [(0, len(families), np.flatnonzero(differs.any(axis=0)), np.full_like(blamed, -1))]
    while spans:
        begin, end, at, before = spans.pop()
        at = at[differs[begin:end, at].any(axis=0)]
        unsure = at[blamed[at] != before[at]]
        if len(unsure):
            ok = _answered(task, put_back(current, begin, end, unsure).take(unsure), plausibility, rng)
            current = put_back(current, begin, end, unsure[ok])
            at = np.setdiff1d(at, unsure[ok])
        alone = differs[begin:end, at].sum(axis=0) == 1
        for i in at[alone].tolist():
            blamed[i] += 1
            yield i, families[begin + int(np.flatnonzero(differs[begin:end, i])[0])][0]
        if len(at := at[~alone]):
            middle = (begin + end) // 2
            spans += [(middle, end, at, blamed.copy()), (begin, middle, at, np.full_like(blamed, -1))]


def _rules_in_the_way(
    task: Task, loose: Query, found: Bools, plausibility: float, rng: np.random.Generator
) -> list[list[Blocked]]:
    """For each query without an answer even without limits, the first rule whose lifting gives one."""
    blocking: list[list[Blocked]] = [[] for _ in range(len(loose))]
    at = np.flatnonzero(~found)
    for number, rule in enumerate(task.codec.rules.rules):
        if not len(at):
            break
        hit = _answered(_without_rule(task, number), loose.take(at), plausibility, rng)
        for i in at[hit]:
            blocking[i].append(Blocked("rule", bound=rule))
        at = at[~hit]
    return blocking


#: Parts of a query, by field: a column of it, or all of it.
Parts: TypeAlias = dict[str, int | EllipsisType]


def _families(task: Task, query: Query, loose: Query, limits: Limits) -> Iterator[tuple[Blocked, Bools, Parts]]:
    """The limits that can be put back one by one: what each is, whose queries have it, and its parts of a query.

    What nobody can lift comes first, so that it is not blamed where lifting a wish would do.
    """
    held = results(task.schema) if limits.resolved(task.schema).edit == "actionable" else []
    for j, name in enumerate(task.schema.names):
        fixed = loose.movable[:, j] & ~query.movable[:, j]
        result = name in held or bool(query.follows[:, j].any())
        kind: Kind = "lock" if name in limits.lock else "result" if result else "fixed"
        yield Blocked(kind, name), fixed, {"movable": j, "follows": j}
    for j, name in enumerate(task.schema.names):
        fixed = loose.movable[:, j] & ~query.movable[:, j]
        most = task.schema[name].most_change
        for end, sign in (("low", -1), ("high", 1)):
            there = getattr(query, end)[:, j]
            narrow = (there != getattr(loose, end)[:, j]) & ~fixed
            asked = np.zeros_like(narrow)
            if most is not None and name not in limits.ranges:
                asked = np.isclose(there, query.rows[:, j] + sign * most)
            yield Blocked("most", name, most), narrow & asked, {end: j}
            yield Blocked("range", name), narrow & ~asked, {end: j}
    yield Blocked("budget"), query.max_changes < loose.max_changes, {"max_changes": ...}
    yield Blocked("margin"), query.margin > 0, {"margin": ...}


def sentence(why: Blame, schema: FeatureSchema) -> str:
    """The reason in words."""
    blanks = [part.feature for part in why.blocked if part.kind == "blank"]
    if blanks:
        return _ask_to_measure(blanks)
    if why.blocked:
        return _in_the_way(why, schema)
    if why.possible:
        return "no answer among the rows tried; one may exist: another generator or seed may find it"
    fixed = [f.name for f in schema.features if not f.changeable]
    some = f" (fixed by the schema: {', '.join(fixed[:6])}{', ...' if len(fixed) > 6 else ''})" if fixed else ""
    return f"no answer found even without locks and limits{some}"


def _in_the_way(why: Blame, schema: FeatureSchema) -> str:
    """What stands in the way, limits first; what nobody can set is said last and together."""
    parts = why.blocked
    stay = {kind: [part.feature for part in parts if part.kind == kind] for kind in ("result", "fixed")}
    limits = [_words(part) for part in parts if part.kind not in (*stay, "most")]
    asked = {p.feature: schema[p.feature].format(p.bound, unit=True) for p in parts if p.kind == "most"}
    if asked:
        amounts = "; ".join(f"{name}: {most}" for name, most in asked.items())
        limits.append(f"the most that is asked of a person ({amounts})")
    if stay["fixed"]:
        limits.append(f"{_listed(stay['fixed'])}, which cannot move")
    if not stay["result"]:
        return f"blocked by {_listed(limits)}"
    within = f" within {_listed(limits)}" if limits else ""
    if why.unmeasured:
        was = "was" if len(why.unmeasured) == 1 else "were"
        if why.every:
            names = _listed(why.unmeasured)
            return f"nothing that a person does was measured ({names}), and no answer changes what was not"
        within += f"{',' if limits else ''} without {_listed(why.unmeasured)}, which {was} not measured,"
    they = "it only moves" if len(stay["result"]) == 1 else "they only move"
    return (
        f"what a person can do{within} is not enough: {_listed(stay['result'])} would have to change too, and {they} "
        "as a result"
    )


def _listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _words(part: Blocked) -> str:
    match part.kind:
        case "lock":
            return f"the lock on {part.feature}"
        case "range":
            return f"the limits on {part.feature}"
        case "budget":
            return "the budget of changes"
        case "margin":
            return "the margin asked for"
        case _:
            return f"the rule {part.bound}"


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
        trial = replace(trial, rows=rows, movable=moves(task.codec, rows, trial.low, trial.high))
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


def _put_back(current: Query, strict: Query, where: Parts, at: np.ndarray) -> Query:
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
