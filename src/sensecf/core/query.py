"""`Query`: whom to answer, with which class, under which limits. Always a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf.core.codec import Codec
from sensecf.core.rules import Bools, Floats, Follow, Total
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Ints, Task

if TYPE_CHECKING:
    from sensecf.core.limits import Limits


#: What an answer has to withstand: the edits alone, what is expected to follow, the worse end of that.
CONSEQUENCES = ("still", "expected", "cautious")
#: What makes one answer better than another: see `verify.cost`.
PREFERENCES = ("effort", "likeness")


@dataclass(frozen=True)
class Query:
    """Factuals, a target class and limits, row by row.

    `rows` (q, d) encoded factuals; `target` (q,) class positions; `low`, `high` (q, d) the range
    each feature may move in; `movable` (q, d) whether it may be edited; `follows` (q, d) whether it moves in
    tow of what is edited and only so, which counts as no change (the stages of a night that is made longer, the
    sum of the parts that a person sets); `max_changes` (q,) how many features may be edited; `margin` (q,) the
    lead over the other classes that an answer must have; `consequences` (q,): what it has to withstand of that which
    follows from it, a position in `CONSEQUENCES`; `prefer` (q,): what makes an answer better than another, a position
    in `PREFERENCES`.

    >>> query = sensecf.Limits(lock=["steps"]).query(task, people, "low")
    >>> query.rows.shape == (len(people), len(task.schema.names))
    True
    >>> bool(query.movable[:, task.schema.names.index("steps")].any())
    False
    """

    rows: Floats
    target: Ints
    low: Floats
    high: Floats
    movable: Bools
    follows: Bools
    max_changes: Ints
    margin: Floats
    consequences: Ints
    prefer: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of_rows(cls, task: Task, rows: Floats, target: Any, limits: Limits) -> Query:
        """The query for encoded rows (n, d) towards one class (None: the schema's), under limits that were checked.

        A changed value stays within what the training rows show (`Task.reach`), and an action within what a person can
        be asked for (`most_change`), but where a range of `limits` reaches further. Raises `InputError` for a target
        that is no class.
        """
        schema, codec = task.schema, task.codec
        n = len(rows)
        low, high = (np.tile(ends, (n, 1)) for ends in task.reach)
        for name, (lo, hi) in limits.ranges.items():
            j = schema.columns[name]
            # An open end is that of the training rows, unless the other end lies beyond it.
            least = codec.low[j] if hi is not None and hi < task.reach[0][j] else task.reach[0][j]
            most = codec.high[j] if lo is not None and lo > task.reach[1][j] else task.reach[1][j]
            low[:, j] = least if lo is None else max(codec.low[j], lo)
            high[:, j] = most if hi is None else min(codec.high[j], hi)
            if schema.shared_by is not None:  # no range leads to what too few people share
                low[:, j], high[:, j] = np.fmax(low[:, j], task.reach[0][j]), np.fmin(high[:, j], task.reach[1][j])
        for name, direction in [(f.name, f.direction) for f in schema.features] + list(limits.directions.items()):
            j = schema.columns[name]
            if direction == "increase":
                low[:, j] = np.fmax(low[:, j], rows[:, j])
            elif direction == "decrease":
                high[:, j] = np.fmin(high[:, j], rows[:, j])
        for j, feature in enumerate(schema.features):
            if feature.max_change is not None and feature.numeric:
                low[:, j] = np.fmax(low[:, j], rows[:, j] - feature.max_change)
                high[:, j] = np.fmin(high[:, j], rows[:, j] + feature.max_change)
        meant = limits.resolved(schema)
        if meant.edit == "actionable":
            _within_what_is_asked(schema, rows, low, high, limits)
        movable = moves(codec, rows, low, high)
        movable[:, [schema.columns[name] for name in limits.lock]] = False
        follows = np.zeros_like(movable)
        if meant.edit == "actionable":
            movable, follows = _acts(schema, rows, movable)
        budget = min(x for x in (limits.max_changes, schema.max_changes, len(schema)) if x is not None)
        position = task.target_position(task.default_target() if target is None else target)
        margin = np.full(n, float(limits.margin))
        asked = np.full(n, CONSEQUENCES.index(meant.consequences or "still"))
        prefer = np.full(n, PREFERENCES.index(limits.prefer))
        return cls(rows, np.full(n, position), low, high, movable, follows, np.full(n, budget), margin, asked, prefer)

    @classmethod
    def concat(cls, parts: Sequence[Query]) -> Query:
        """The queries of all parts, in order, each with its own limits."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def take(self, index: Any) -> Query:
        """The queries at the given positions."""
        return replace(
            self,
            rows=self.rows[index],
            target=self.target[index],
            low=self.low[index],
            high=self.high[index],
            movable=self.movable[index],
            follows=self.follows[index],
            max_changes=self.max_changes[index],
            margin=self.margin[index],
            consequences=self.consequences[index],
            prefer=self.prefer[index],
        )


def _within_what_is_asked(schema: FeatureSchema, rows: Floats, low: Floats, high: Floats, limits: Limits) -> None:
    """Narrow the ranges `low`, `high` (n, d) of actions to what a person can be asked for, in place; an end that
    `limits` states stays as it is stated."""
    for j, feature in enumerate(schema.features):
        if feature.most_change is None or feature.role != "actionable":
            continue
        lowest, highest = limits.ranges.get(feature.name, (None, None))
        if lowest is None:
            low[:, j] = np.fmax(low[:, j], rows[:, j] - feature.most_change)
        if highest is None:
            high[:, j] = np.fmin(high[:, j], rows[:, j] + feature.most_change)


def moves(codec: Codec, rows: Floats, low: Floats, high: Floats) -> Bools:
    """Where a value may become another one, shape (q, d): measured, with another multiple of its step in the range.

    A range of one value leaves a way to those who are not there; what was not measured cannot be changed.
    """
    first, last = np.ceil(low / codec.step - 1e-9), np.floor(high / codec.step + 1e-9)
    with np.errstate(invalid="ignore"):
        elsewhere = (last > first) | ((last == first) & (np.abs(rows - first * codec.step) > codec.step / 2))
    free: Bools = codec.changeable & elsewhere & ~np.isnan(rows) & ~codec.unmeasured(rows)
    return free


def results(schema: FeatureSchema) -> list[str]:
    """Features that only move as a result, and so are held still by `edit="actionable"`.

    None of them are a whole with a part that a person sets, which is the sum of its parts, and the parts of a
    whole that a person sets: they follow.
    """
    acts = {f.name for f in schema.features if f.changeable and f.role == "actionable"}
    towed = _towed(schema, acts)
    return [f.name for f in schema.features if f.changeable and f.role == "mutable" and f.name not in towed]


def _towed(schema: FeatureSchema, acts: set[str]) -> set[str]:
    """The results that equalities tie to what a person sets: parts of a whole, wholes of a part."""
    towed: set[str] = set()
    results = {f.name for f in schema.features if f.changeable and f.role == "mutable"}
    totals = [rule for rule in schema.rules if isinstance(rule, Total) and isinstance(rule.whole, str)]
    for _ in totals:  # a part may be a whole itself
        for rule in totals:
            whole = str(rule.whole)
            if whole in acts | towed:
                towed |= results & set(rule.parts)
            elif (acts | towed) & set(rule.parts):
                towed |= results & {whole}
    return towed


def _acts(schema: FeatureSchema, rows: Floats, movable: Bools) -> tuple[Bools, Bools]:
    """What may be edited and what follows, shapes (q, d), of what may move at all: features that a person sets,
    and the results that a total of measured members ties to those that may be edited in that row."""
    columns = schema.columns
    edited, follows = movable.copy(), np.zeros_like(movable)
    kept = [columns[f.name] for f in schema.features if f.role != "actionable"]
    edited[:, kept] = False
    totals = [rule for rule in schema.rules if isinstance(rule, Total) and isinstance(rule.whole, str)]
    for _ in totals:
        for rule in totals:
            whole, parts = columns[str(rule.whole)], [columns[name] for name in rule.parts]
            results = [j for j in parts if schema.features[j].role == "mutable"]
            known = ~np.isnan(rows[:, [whole, *parts]]).any(axis=1)
            led = known & (edited | follows)[:, whole]
            summed = known & (edited | follows)[:, parts].any(axis=1) & ~led
            follows[:, results] |= led[:, None] & movable[:, results]
            if schema.features[whole].role == "mutable":
                follows[:, whole] |= summed & movable[:, whole]
    return edited, follows


def by_pattern(task: Task, query: Query, owner: Ints) -> Iterator[tuple[Ints, Follow]]:
    """Positions of `owner` grouped by which members of equalities may move, with who follows whom."""
    rules = task.codec.rules
    members = rules.equality_members
    if not len(members) or not len(owner):
        yield np.arange(len(owner)), rules.follow(np.ones(len(task.schema), bool), task.medians)
        return
    asked = np.unique(owner)  # many rows answer few queries
    patterns = np.concatenate([query.movable[asked][:, members], query.follows[asked][:, members]], axis=1)
    _, first, same = np.unique(patterns, axis=0, return_index=True, return_inverse=True)
    group = same.reshape(-1)[np.searchsorted(asked, owner)]
    for number, at in enumerate(first):
        who = asked[at]
        yield np.flatnonzero(group == number), rules.follow(query.movable[who], task.medians, query.follows[who])


def settle(task: Task, query: Query, owner: Ints, rows: Floats) -> Floats:
    """The rows (m, d), which answer the queries `owner`, with the features moved that follow those edited."""
    out = rows.copy()
    for at, follow in by_pattern(task, query, owner):
        out[at] = task.codec.rules.settle(query.rows[owner[at]], rows[at], follow, task.codec.step)
    return out


def in_tow(task: Task, query: Query, owner: Ints, rows: Floats) -> Floats:
    """`settle` where the queries let features follow in tow of edits, else the rows as they are: what every
    generator's proposals go through, whether or not it knows of followers. Blank rows stay blank."""
    led = np.flatnonzero(query.follows[owner].any(axis=1) & ~np.isnan(rows).all(axis=1))
    if not len(led):
        return rows
    out = rows.copy()
    out[led] = settle(task, query, owner[led], rows[led])
    return out


def out_of_range(codec: Codec, rows: Floats, factuals: pd.DataFrame) -> dict[int, str]:
    """Positions of the rows with a value outside the schema's range, each with a sentence that says which."""
    with np.errstate(invalid="ignore"):
        off = (rows < codec.low - codec.step / 2) | (rows > codec.high + codec.step / 2)
    off &= ~codec.unmeasured(rows)  # a code for "not measured" has no place in a range
    out: dict[int, str] = {}
    for row, j in zip(*(v.tolist() for v in np.nonzero(off)), strict=True):
        feature = codec.schema.features[j]
        value = feature.format(rows[row, j], unit=True)
        out.setdefault(
            row,
            f"row {factuals.index[row]}, column {feature.name!r}: {value} lies outside "
            f"the schema's range {feature.format(feature.low)} to {feature.format(feature.high)}; "
            "widen the range in the schema or mend the row",
        )
    return out
