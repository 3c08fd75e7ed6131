"""`Query`: whom to answer, with which class, under which limits. Always a batch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.core.rules import Bools, Floats, Follow, Total
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Ints, Task

#: What may be edited: what a person does, or also what only moves as a result.
Edit = Literal["actionable", "mutable"]


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


def make_query(
    task: Task,
    factuals: pd.DataFrame,
    target: Any = None,
    *,
    lock: Collection[str] = (),
    ranges: Mapping[str, tuple[float | None, float | None]] | None = None,
    directions: Mapping[str, str] | None = None,
    max_changes: int | None = None,
    margin: float = 0.0,
    edit: Edit = "mutable",
) -> Query:
    """A checked query for the rows of `factuals`, all towards one class.

    `lock`: features that must stay; `ranges`: closed intervals in physical units, narrower than
    the schema's; `directions`: "increase" or "decrease" per feature, beside the schema's (a feature
    that is given both cannot move); `max_changes`: at most so
    many features; `margin` in [0, 1); `edit`: "actionable" holds still what only moves as a result
    (see `results`), "mutable" lets everything move that the schema lets move.
    Raises `InputError` for unknown features, impossible ranges, factuals outside the schema, and where
    `edit` leaves no feature at all.
    """
    schema, codec = task.schema, task.codec
    if max_changes is not None and (not isinstance(max_changes, int) or max_changes < 1):
        raise InputError(f"max_changes must be a whole number of at least 1, not {max_changes}")
    if isinstance(lock, str):
        raise InputError(f"lock takes a list of features, not the text {lock!r}")
    if not 0 <= margin < 1:
        raise InputError(f"margin must lie in [0, 1), not {margin}")
    check_edit(schema, edit)
    rows = codec.encode(factuals)
    outside = out_of_range(codec, rows, factuals)
    if outside:
        raise InputError(f"{next(iter(outside.values()))} ({len(outside)} rows in all)")
    n = len(rows)
    low, high = np.tile(codec.low, (n, 1)), np.tile(codec.high, (n, 1))
    movable = np.tile(codec.changeable, (n, 1))
    moves = [(f.name, f.direction) for f in schema.features] + list((directions or {}).items())
    for name in lock:
        schema[name]
        movable[:, schema.columns[name]] = False
    for name, bounds in (ranges or {}).items():
        feature, j = schema[name], schema.columns[name]
        if len(tuple(bounds)) != 2 or any(v is not None and not np.isfinite(v) for v in bounds):
            raise InputError(f"range for {name!r}: {bounds!r} is no pair of finite numbers (None for an open end)")
        lo, hi = bounds
        if not feature.numeric:
            raise InputError(f"range for {name!r}: the feature has levels, not numbers; lock it instead")
        widest, tallest = codec.low[j], codec.high[j]
        lo, hi = widest if lo is None else lo, tallest if hi is None else hi
        if lo > hi or lo > tallest or hi < widest:
            raise InputError(f"range for {name!r}: {lo:g} to {hi:g} is impossible within {widest:g} to {tallest:g}")
        low[:, j], high[:, j] = np.maximum(low[:, j], lo), np.minimum(high[:, j], hi)
    for name, direction in moves:
        feature, j = schema[name], schema.columns[name]
        if direction not in ("any", "increase", "decrease"):
            raise InputError(f"direction for {name!r}: {direction!r} is unknown; use any, increase or decrease")
        if direction == "increase":
            low[:, j] = np.fmax(low[:, j], rows[:, j])
        elif direction == "decrease":
            high[:, j] = np.fmin(high[:, j], rows[:, j])
        if feature.max_change is not None and feature.numeric:
            low[:, j] = np.fmax(low[:, j], rows[:, j] - feature.max_change)
            high[:, j] = np.fmin(high[:, j], rows[:, j] + feature.max_change)
    # What was not measured cannot be changed, and a value with one choice cannot move.
    # A range of one value leaves a way to those who are not there.
    movable &= ~np.isnan(rows) & ((high > low) | ((high == low) & (np.abs(rows - low) > codec.step / 2)))
    movable &= ~codec.unmeasured(rows)
    if edit == "actionable":
        _hold_results(schema, rows, movable)
    budget = min(x for x in (max_changes, schema.max_changes, len(schema)) if x is not None)
    position = task.target_position(task.default_target() if target is None else target)
    return Query(rows, np.full(n, position), low, high, movable, np.full(n, budget), np.full(n, float(margin)))


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


def check_edit(schema: FeatureSchema, edit: str) -> None:
    """Raise `InputError` for an unknown edit, and for one that leaves nothing that could change."""
    if edit not in get_args(Edit):
        raise InputError(f"edit {edit!r} is unknown; use {' or '.join(get_args(Edit))}")
    if edit == "actionable" and not any(f.changeable and f.role == "actionable" for f in schema.features):
        raise InputError(
            'no feature is a person\'s to change; write role = "actionable" in the schema at those that are, '
            "or let everything move with --edit mutable"
        )


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
