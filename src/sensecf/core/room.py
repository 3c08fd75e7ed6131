"""Whether a schema leaves any row at all: its rules and ranges together, before anything is fitted."""

from __future__ import annotations

import graphlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.core.rules import EPS, Bools, Floats, Order, Rule, rule_to_dict

if TYPE_CHECKING:
    import pandas as pd

    from sensecf.core.schema import FeatureSchema

#: Ways to obey the implications that are tried before the schema is taken to leave room.
TRIED = 1000
#: Seconds that one of these may take to be judged.
SECONDS = 5.0


def check_numbers(schema: FeatureSchema) -> None:
    """Raise `InputError` naming the rule, feature or class that holds NaN, or a rule that holds infinity."""
    for feature in schema.features:
        if any(level != level for level in feature.levels):
            raise InputError(f"feature {feature.name!r}: nan is no level; a blank is not listed, write missing = true")
    if any(value != value for value in schema.classes):
        raise InputError("nan is no class; name the classes as they stand in the label column")
    for rule in schema.rules:
        if not all(math.isfinite(number) for number in _numbers(rule_to_dict(rule))):
            raise InputError(f"rule {rule}: nan and infinity are no bounds; give a number, or leave the rule out")


def check_room(schema: FeatureSchema) -> None:
    """Raise `InputError` naming the rules that no row within the ranges can obey together, as few as do.

    Rules about numbers are judged together, whole numbers as such; implications by the ways to obey them. A
    contradiction that only other steps make, or more than `TRIED` ways, is not found. Orders in a circle are refused,
    though equal values obey them.
    """
    check_numbers(schema)
    orders = [rule for rule in schema.rules if isinstance(rule, Order)]
    circle = graphlib.TopologicalSorter[str]()
    for rule in orders:
        for a, b in pairwise(rule.features):
            circle.add(b, a)
    try:
        circle.prepare()
    except graphlib.CycleError as error:
        inside = set(pairwise(reversed(error.args[1]))) | set(pairwise(error.args[1]))
        named = [rule for rule in orders if inside & set(pairwise(rule.features))]
        raise InputError(f"the rules {_list(named)} go in a circle: only equal values obey them; drop one") from error
    rules = list(schema.rules)
    if not rules or _possible(schema, rules):
        return
    for tried in schema.rules:
        fewer = [other for other in rules if other is not tried]
        if not _possible(schema, fewer):
            rules = fewer
    what = "the rules" if len(rules) > 1 else "the rule"
    raise InputError(f"no row within the ranges of the schema obeys {what} {_list(rules)}; mend one of them or a range")


def check_ranges(schema: FeatureSchema, frame: pd.DataFrame) -> None:
    """Raise `InputError` naming the feature whose range or levels no row of the table meets."""
    for feature in schema.features:
        if feature.numeric and feature.low is not None and feature.high is not None:
            known = frame[feature.name].dropna().to_numpy(dtype=float)
            if len(known) and not ((known >= feature.low) & (known <= feature.high)).any():
                raise InputError(
                    f"feature {feature.name!r}: the range {feature.low:g} to {feature.high:g} holds none of the "
                    f"{len(known)} values, {known.min():g} to {known.max():g}; mend the range or its unit"
                )


def _list(rules: Sequence[Rule]) -> str:
    return " and ".join(f"({rule})" for rule in rules)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)
    elif isinstance(value, float):
        yield value


def _possible(schema: FeatureSchema, rules: Sequence[Rule]) -> bool:
    """Whether some row within the ranges obeys the rules."""
    codec = Codec(replace(schema, rules=tuple(rules)))
    tests = [(when, then) for _, when, then in codec.rules.implications]
    whole = np.array([feature.kind == "integer" for feature in schema.features])
    left = [TRIED]

    def search(low: Floats, high: Floats, levels: list[Bools], depth: int) -> bool:
        left[0] -= 1
        if (low > high + EPS).any() or not all(known.any() for known in levels):
            return False
        if left[0] <= 0:
            return True
        if depth == len(tests):
            return _solvable(codec, whole, low, high)
        when, then = tests[depth]
        return any(
            search(*_within(codec, (low, high, levels), test, wanted), depth + 1)
            for test, wanted in ((when, False), (then, True))
        )

    levels = [np.ones(int(n), dtype=bool) for n in codec.n_levels if n]
    return search(codec.low.copy(), codec.high.copy(), levels, 0)


def _within(
    codec: Codec, domain: tuple[Floats, Floats, list[Bools]], test: Any, wanted: bool
) -> tuple[Floats, Floats, list[Bools]]:
    """What is left of the ranges and levels where a test comes out as wanted; at least that."""
    low, high, levels = domain[0].copy(), domain[1].copy(), list(domain[2])
    j = test.column
    if not codec.numeric[j]:
        at = int(np.count_nonzero(~codec.numeric[:j]))
        levels[at] = levels[at] & (test.holds(np.arange(len(levels[at]), dtype=float)) == wanted)
        return low, high, levels
    values = np.atleast_1d(np.asarray(test.value, dtype=float))
    if test.op in ("<", "<=", ">", ">="):
        value, step = float(values[0]), codec.step[j]
        strict = (test.op in "<>") == wanted  # then the next multiple of the step
        if (test.op[0] == "<") == wanted:
            high[j] = min(high[j], (math.ceil(value / step - EPS) - 1) * step if strict else value)
        else:
            low[j] = max(low[j], (math.floor(value / step + EPS) + 1) * step if strict else value)
    elif (test.op == "!=") != wanted:  # one of the values
        near = values[(values >= low[j] - EPS) & (values <= high[j] + EPS)]
        low[j], high[j] = (near.min(), near.max()) if len(near) else (1.0, 0.0)
    elif low[j] == high[j] and (np.abs(values - low[j]) <= EPS).any():
        low[j], high[j] = 1.0, 0.0
    return low, high, levels


def _solvable(codec: Codec, whole: Bools, low: Floats, high: Floats) -> bool:
    """Whether the linear rules have a solution within the ranges; `whole`: columns (p,) that hold whole numbers."""
    matrix = codec.rules.matrix
    if not len(matrix):
        return True
    from scipy.optimize import Bounds, LinearConstraint, milp

    rules = LinearConstraint(matrix, codec.rules.low - EPS, codec.rules.high + EPS)
    bounds = Bounds(low, np.maximum(low, high))
    found = milp(
        np.zeros(len(low)), integrality=whole, bounds=bounds, constraints=rules, options={"time_limit": SECONDS}
    )
    return bool(found.status != 2)
