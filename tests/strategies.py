"""Hypothesis strategies: any schema that can be written down, worlds to ask about, and limits.

`schemas()` draws schemas of every kind with rules of every kind, and no table. `worlds()` draws a table
too (see `worlds.py`): its structure is drawn by hypothesis and shrinks, its numbers come from a seed.
`limits(world)` draws what a person may ask for beside the target.

The suite runs at least 2,000 cases; `SENSECF_CASES=10000 python -m pytest tests --timeout 3600` five times
as many. With `CI` in the environment they are the same at every run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from sensecf.core.rules import Condition, Implication, Linear, Order, Ratio, Rule, Total
from sensecf.core.schema import RESERVED, Feature, FeatureSchema
from worlds import BLOCKS, HABITS, Plan, World, build

#: How many cases the whole suite is to run.
CASES = int(os.environ.get("SENSECF_CASES", "2000"))
STEPS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 100.0)


def cases(count: int) -> Callable[[Any], Any]:
    """Run a property `count` times of every 2,000 cases of the suite."""
    return settings(max_examples=max(1, round(count * CASES / 2000)))


# --- schemas without a table --------------------------------------------------------------

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(lambda n: n not in RESERVED)
_numbers = st.integers(-1000, 1000) | st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
_words = st.text(st.characters(codec="utf-8"), max_size=8)


@st.composite
def levels(draw: st.DrawFn, most: int = 6) -> tuple[Any, ...]:
    """Levels of one type: text, whole numbers, decimals or booleans."""
    kind = draw(
        st.sampled_from([_words, st.integers(-5, 50), st.floats(-9, 9).map(lambda x: round(x, 2)), st.booleans()])
    )
    return tuple(draw(st.lists(kind, min_size=1, max_size=most, unique=True)))


@st.composite
def features(draw: st.DrawFn, name: str) -> Feature:
    """One feature of any kind; a numeric one has at least one multiple of its step in its range."""
    kind = draw(st.sampled_from(["continuous", "integer", "binary", "categorical"]))
    fields: dict[str, Any] = {
        "role": draw(st.sampled_from(["actionable", "mutable", "immutable"])),
        "unit": draw(st.sampled_from(["", "min", "mg/dL", "°C", '"'])),
        "direction": draw(st.sampled_from(["any", "increase", "decrease"])),
        "max_change": draw(st.none() | st.floats(0.01, 1e4)),
        "protected": draw(st.booleans()),
        "missing": draw(st.booleans()),
        "description": draw(_words),
    }
    if kind in ("binary", "categorical"):
        return Feature(name, kind, levels=draw(levels(2 if kind == "binary" else 6)), **fields)  # type: ignore[arg-type]
    step = draw(st.sampled_from([1.0, 2.0, 10.0, 500.0] if kind == "integer" else STEPS))
    fields["most_change"] = draw(st.none() | st.floats(0.01, 1e4))
    first, count = draw(st.integers(-200, 200)), draw(st.integers(0, 400))
    slack = draw(st.sampled_from([0.0, 0.3])) * step  # ranges need not end on the grid
    low, high = first * step - slack, (first + count) * step + slack
    return Feature(name, kind, low=low, high=high, step=step, **fields)  # type: ignore[arg-type]


def _conditions(feature: Feature) -> st.SearchStrategy[Condition]:
    one = _numbers if feature.numeric else st.sampled_from(feature.levels)
    signs = ["<", "<=", ">", ">=", "==", "!="] if feature.numeric else ["==", "!="]
    single = st.builds(Condition, st.just(feature.name), st.sampled_from(signs), one)
    several = st.builds(Condition, st.just(feature.name), st.just("in"), st.lists(one, min_size=1, max_size=3))
    return single | several


@st.composite
def _rule(draw: st.DrawFn, drawn: list[Feature]) -> Rule | None:
    numeric = [f.name for f in drawn if f.numeric]
    some = st.lists(st.sampled_from(numeric), min_size=2, max_size=4, unique=True) if len(numeric) > 1 else None
    kind = draw(st.sampled_from(["order", "total", "share", "linear", "ratio", "implication"]))
    if kind == "implication":
        when, then = draw(st.sampled_from(drawn)), draw(st.sampled_from(drawn))
        return Implication(draw(_conditions(when)), draw(_conditions(then)))
    if some is None:
        return None
    members = tuple(draw(some))
    tolerance = draw(st.sampled_from([0.0, 0.5, 2.0]))
    if kind == "order":
        return Order(members)
    if kind == "total" and len(members) > 2:
        return Total(members[1:], members[0], tolerance)
    if kind == "linear":
        weights = {m: draw(st.sampled_from([-2.0, -1.0, 0.5, 1.0, 3.0])) for m in members}
        return Linear(weights, draw(st.sampled_from(["<=", ">=", "=="])), draw(_numbers), tolerance)
    if kind == "ratio":
        above = [f.name for f in drawn if f.numeric and f.low is not None and f.low > 0 and f.name != members[0]]
        if not above:
            return None
        low = draw(st.sampled_from([-1.0, 0.5, 2.0]))
        return Ratio(members[0], draw(st.sampled_from(above)), low, low + draw(st.sampled_from([0.25, 1.0, 10.0])))
    return Total(members, float(draw(_numbers)), tolerance)


@st.composite
def schemas(draw: st.DrawFn) -> FeatureSchema:
    """Any schema that can be written down."""
    taken = draw(st.lists(names, min_size=3, max_size=8, unique=True))
    label, group, *rest = taken
    drawn = [draw(features(name)) for name in rest]
    rules = [draw(_rule(drawn)) for _ in range(draw(st.integers(0, 4)))]
    classes = draw(levels().filter(lambda found: len(found) > 1))
    return FeatureSchema(
        tuple(drawn),
        label=label,
        classes=classes,
        target=draw(st.none() | st.sampled_from(classes)),
        person=draw(st.none() | st.just(group)),
        rules=tuple(rule for rule in rules if rule is not None),
        max_changes=draw(st.none() | st.integers(1, 9)),
        ignored=draw(st.dictionaries(names, _words, max_size=2)),
        name=draw(_words),
    )


# --- worlds -------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)


@st.composite
def worlds(draw: st.DrawFn, people: int = 40, asked: int = 5, messy: bool = True, most: int = 4) -> World:
    """A table that keeps its rules, people to ask about and the seed of a classifier.

    With `messy`, the people asked about may have blanks, values between two steps, and broken rules.
    """
    blocks = draw(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=most))
    plan = Plan(
        blocks=("number", *blocks),
        extra=tuple(draw(st.lists(st.sampled_from(["linear", "implication"]), max_size=2))),
        habits=tuple(draw(st.lists(st.sampled_from(HABITS), max_size=6))),
        mess=frozenset(draw(st.sets(st.sampled_from(["blank", "between", "broken"])))) if messy else frozenset(),
        classes=draw(st.sampled_from([("no", "yes"), (0, 1), (False, True), ("low", "mid", "high")])),
        max_changes=draw(st.sampled_from([None, None, None, 2])),
        seed=draw(seeds),
    )
    return build(plan, people, asked)


@st.composite
def limits(draw: st.DrawFn, schema: FeatureSchema) -> dict[str, Any]:
    """Fields of `Limits`: locks, ranges, directions and a budget."""
    numeric = [f for f in schema.features if f.numeric]
    some = st.lists(st.sampled_from(schema.names), max_size=3, unique=True)
    ranges = {}
    for feature in draw(st.lists(st.sampled_from(numeric), max_size=2, unique=True)):
        assert feature.low is not None
        assert feature.high is not None
        ends = sorted(feature.low + draw(st.floats(0, 1)) * (feature.high - feature.low) for _ in range(2))
        ranges[feature.name] = (draw(st.sampled_from([None, ends[0]])), draw(st.sampled_from([None, ends[1]])))
    return {
        "lock": tuple(draw(some)),
        "ranges": ranges,
        "directions": {name: draw(st.sampled_from(["increase", "decrease"])) for name in draw(some)},
        "max_changes": draw(st.none() | st.integers(1, 4)),
        "edit": "mutable",  # a world has what a person does, or has nothing
    }
