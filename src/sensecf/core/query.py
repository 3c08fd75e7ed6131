"""`Query`: whom to answer, with which class, under which limits. Always a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf.core.codec import Codec
from sensecf.core.rules import Bools, Floats, Follow, Total
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Ints, Task

if TYPE_CHECKING:
    from sensecf.core.limits import Limits


@dataclass(frozen=True)
class Query:
    """Factuals, a target class and limits, row by row.

    `rows` (q, d) encoded factuals; `target` (q,) class positions; `low`, `high` (q, d) the range
    each feature may move in; `movable` (q, d) whether it may move at all; `max_changes` (q,) how
    many features may change; `margin` (q,) the lead over the other classes that an answer must have.
    """

    rows: Floats
    target: Ints
    low: Floats
    high: Floats
    movable: Bools
    max_changes: Ints
    margin: Floats

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of_rows(cls, task: Task, rows: Floats, target: Any, limits: Limits) -> Query:
        """The query for encoded rows (n, d) towards one class (None: the schema's), under limits that were checked.

        A changed value stays within what the training rows show (`Task.reach`), but where a range of `limits`
        reaches further. Raises `InputError` for a target that is no class.
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
        movable = moves(codec, rows, low, high)
        movable[:, [schema.columns[name] for name in limits.lock]] = False
        if limits.resolved(schema).edit == "actionable":
            _hold_results(schema, rows, movable)
        budget = min(x for x in (limits.max_changes, schema.max_changes, len(schema)) if x is not None)
        position = task.target_position(task.default_target() if target is None else target)
        margin = np.full(n, float(limits.margin))
        return cls(rows, np.full(n, position), low, high, movable, np.full(n, budget), margin)

    def take(self, index: Any) -> Query:
        """The queries at the given positions."""
        return replace(
            self,
            rows=self.rows[index],
            target=self.target[index],
            low=self.low[index],
            high=self.high[index],
            movable=self.movable[index],
            max_changes=self.max_changes[index],
            margin=self.margin[index],
        )


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

    A whole with a part that a person sets is none of them: it is the sum of its parts, and follows.
    """
    acts = {f.name for f in schema.features if f.changeable and f.role == "actionable"}
    wholes = {rule.whole for rule in schema.rules if isinstance(rule, Total) and acts & set(rule.parts)}
    return [f.name for f in schema.features if f.changeable and f.role == "mutable" and f.name not in wholes]


def _hold_results(schema: FeatureSchema, rows: Floats, movable: Bools) -> None:
    """Hold still what only moves as a result; a whole too where a part is blank or none of them may move."""
    columns = schema.columns
    movable[:, [columns[name] for name in results(schema)]] = False
    for rule in schema.rules:
        if isinstance(rule, Total) and isinstance(rule.whole, str) and schema[rule.whole].role == "mutable":
            parts = [columns[name] for name in rule.parts]
            follows = ~np.isnan(rows[:, parts]).any(axis=1) & movable[:, parts].any(axis=1)
            movable[:, columns[rule.whole]] &= follows


def by_pattern(task: Task, query: Query, owner: Ints) -> Iterator[tuple[Ints, Follow]]:
    """Positions of `owner` grouped by which members of equalities may move, with who follows whom."""
    rules = task.codec.rules
    patterns = query.movable[owner][:, rules.equality_members]
    if not patterns.size:
        yield np.arange(len(owner)), rules.follow(np.ones(len(task.schema), bool), task.medians)
        return
    _, first, group = np.unique(patterns, axis=0, return_index=True, return_inverse=True)
    for number, at in enumerate(first):
        yield np.flatnonzero(group == number), rules.follow(query.movable[owner[at]], task.medians)


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
