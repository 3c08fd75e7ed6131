"""An independent judge of answers: slow, one value at a time, written from the documentation alone.

It shares nothing with `sensecf.core.verify`, `sensecf.core.rules` or `sensecf.core.codec` but the data classes, so
that a misreading there cannot hide itself. Rows are mappings from feature name to raw value, as a
CSV gives them back.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd

from sensecf.core.rules import Condition, Implication, Linear, Order, Ratio, Rule, Total
from sensecf.core.schema import Feature, FeatureSchema

#: Slack of a rule: decimals are not exact in binary.
SLACK = 1e-6

Row = Mapping[Any, Any]
Ranges = Mapping[str, tuple[float | None, float | None]]


def blank(value: Any) -> bool:
    """Whether a cell is empty."""
    return value is None or str(value) in ("nan", "<NA>", "NaT")


def value_of(feature: Feature, cell: Any) -> Any:
    """A cell as a float, as the level it stands for (1.0 and "1" for 1, "True" for True), or None when blank."""
    if blank(cell):
        return None
    if feature.numeric:
        return float(cell)
    for level in feature.levels:
        if level == cell:
            return level
    for level in feature.levels:
        if str(level) == str(cell):
            return level
    raise AssertionError(f"{cell!r} is no level of {feature.name}")


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same thing (numbers to a billionth: text has finitely many digits)."""
    if a is None or b is None:
        return a is b
    if isinstance(a, float):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-9)
    return bool(a == b)


def differs(feature: Feature, a: Any, b: Any) -> bool:
    """Whether a feature counts as changed: by more than half a step, or to another level."""
    if a is None or b is None:
        return a is not b
    if feature.numeric:
        return abs(a - b) > float(feature.step or 0) / 2
    return bool(a != b)


def _holds(condition: Condition, value: Any) -> bool:
    wanted = condition.value
    number = isinstance(value, float)
    match condition.op:
        case "<":
            return bool(value < wanted - SLACK)
        case "<=":
            return bool(value <= wanted + SLACK)
        case ">":
            return bool(value > wanted + SLACK)
        case ">=":
            return bool(value >= wanted - SLACK)
        case "==":
            return abs(value - wanted) <= SLACK if number else bool(value == wanted)
        case "!=":
            return abs(value - wanted) > SLACK if number else bool(value != wanted)
        case "in":
            return any(abs(value - w) <= SLACK if number else value == w for w in wanted)
    raise AssertionError(condition.op)


def breaks(schema: FeatureSchema, rule: Rule, row: Row) -> bool:
    """Whether a row breaks a rule. A rule with a missing member does not apply."""
    values = {name: value_of(schema[name], row[name]) for name in rule.members()}
    match rule:
        case Order(features):
            pairs = [(values[a], values[b]) for a, b in pairwise(features)]
            return any(a > b + SLACK for a, b in pairs if a is not None and b is not None)
        case Implication(when, then):
            if values[when.feature] is None or values[then.feature] is None:
                return False
            return _holds(when, values[when.feature]) and not _holds(then, values[then.feature])
    if None in values.values():
        return False
    match rule:
        case Total(parts, whole, tolerance):
            goal = values[whole] if isinstance(whole, str) else whole
            return abs(sum(values[p] for p in parts) - goal) > tolerance + SLACK
        case Linear(weights, op, bound, tolerance):
            total = sum(weight * values[name] for name, weight in weights.items())
            if op == "<=":
                return total > bound + tolerance + SLACK
            if op == ">=":
                return total < bound - tolerance - SLACK
            return abs(total - bound) > tolerance + SLACK
        case Ratio(numerator, denominator, low, high):
            over, under = values[numerator], values[denominator]
            return not low * under - SLACK <= over <= high * under + SLACK
    raise AssertionError(rule)


def problems(
    schema: FeatureSchema,
    factual: Row,
    answer: Row,
    *,
    seen: pd.DataFrame,
    lock: Collection[str] = (),
    ranges: Ranges | None = None,
    directions: Mapping[str, str] | None = None,
    max_changes: int | None = None,
    edit: str = "mutable",
    follows: Collection[str] = (),
) -> list[str]:
    """Everything that is wrong with an answer to a factual under the limits, but for its class.

    `seen`: the training rows, whose values a changed one lies within, but where `ranges` says otherwise. `follows`:
    features that move in tow of an edit: no edits of their own, so neither counted nor too small to be worth making.
    """
    assert edit == "mutable", "what only moves as a result is judged elsewhere"
    found = []
    changes = 0
    small = []
    for feature in schema.features:
        before, after = (value_of(feature, row[feature.name]) for row in (factual, answer))
        if same(before, after):
            continue
        changes += feature.name not in follows
        both = {feature.direction, (directions or {}).get(feature.name, "any")} - {"any"}
        lo, hi = (ranges or {}).get(feature.name, (None, None))
        if feature.numeric:
            lo, hi = reach(feature, seen[feature.name], lo, hi)
        why = _change(feature, before, after, both, lo, hi, feature.name in lock)
        found += [f"{feature.name} {before!r} -> {after!r}: {problem}" for problem in why]
        least = feature.least_change or 0
        short = feature.numeric and None not in (before, after) and abs(after - before) < least - 1e-9
        if short and feature.name not in follows:
            small.append(feature.name)
    moved = {f.name for f in schema.features if not same(*(value_of(f, row[f.name]) for row in (factual, answer)))}
    found += [f"{name} moves by less than is worthwhile" for name in small if not _follows(schema, name, small, moved)]
    budget = min(b for b in (max_changes, schema.max_changes, len(schema)) if b is not None)
    if changes > budget:
        found.append(f"{changes} changes, {budget} allowed")
    found += [f"breaks {rule}" for rule in schema.rules if breaks(schema, rule, answer)]
    return found


def reach(feature: Feature, seen: Any, lo: float | None, hi: float | None) -> tuple[float | None, float | None]:
    """The ends of the values that a number may take: those asked for, and where none is, those of the training rows;
    where these have none on the side of the end asked for, the schema's."""
    values = [float(value) for value in seen if not blank(value)]
    if not values:
        return lo, hi
    least, most = min(values), max(values)
    return (
        (None if hi is not None and hi < least else least) if lo is None else lo,
        (None if lo is not None and lo > most else most) if hi is None else hi,
    )


def _follows(schema: FeatureSchema, name: str, small: Collection[str], moved: Collection[str]) -> bool:
    """Whether a small edit may be what keeps an equality after a larger one of a feature that it is tied to.

    Of features that equalities tie together, one per equality may follow; the others move by as much as is worthwhile.
    """
    tied = [
        set(rule.members())
        for rule in schema.rules
        if isinstance(rule, Total) or (isinstance(rule, Linear) and rule.op == "==")
    ]
    group = {name}
    while (joined := group.union(*(members for members in tied if members & group))) != group:
        group = joined
    count = sum(bool(members & group) for members in tied)
    short = group & set(small)
    return count > 0 and len(short) <= count and bool((group & set(moved)) - short)


def _change(
    feature: Feature, before: Any, after: Any, directions: set[str], lo: float | None, hi: float | None, locked: bool
) -> list[str]:
    """What is wrong with one change of one feature."""
    out = []
    if locked:
        out.append("is locked")
    if feature.role == "immutable" or feature.protected:
        out.append("may never change")
    if before is None:
        return [*out, "was not measured"]
    if after is None:
        return [*out, "is blank"]
    if not feature.numeric:
        step = feature.levels.index(after) - feature.levels.index(before)
        out += [f"may only {d}" for d in directions if step * {"increase": -1, "decrease": 1}[d] > 0]
        return out
    assert feature.low is not None
    assert feature.high is not None
    assert feature.step is not None
    if not differs(feature, before, after):
        out.append("moves by less than half a step, unseen")
    low = max(feature.low, feature.low if lo is None else lo)
    high = min(feature.high, feature.high if hi is None else hi)
    if not low - 1e-9 <= after <= high + 1e-9:
        out.append(f"lies outside {low} to {high}")
    out += [f"may only {d}" for d in directions if (after - before) * {"increase": -1, "decrease": 1}[d] > 0]
    if feature.max_change is not None and abs(after - before) > feature.max_change + 1e-9:
        out.append(f"moves by more than {feature.max_change}")
    cells = after / feature.step
    if abs(cells - round(cells)) > 1e-6:
        out.append(f"is no multiple of {feature.step}")
    return out
