"""Rules: who breaks one, who follows whom, and how far one feature may move alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker import breaks
from sensecf.core.codec import Codec
from sensecf.core.rules import Condition, Implication, Linear, Order, Ratio, Rule, RuleSet, Total
from sensecf.core.schema import Feature, FeatureSchema
from strategies import cases, schemas, seeds, worlds
from test_codec import rows_of
from worlds import World

#: So fine that rounding to it is no rounding: followers land where the arithmetic puts them.
FINE = 1e-9


def compiled(*rules: Rule, low: float = -1000, high: float = 1000, step: float = 1) -> tuple[Codec, RuleSet]:
    """Rules over five numbers a ... e and the levels of `colour`."""
    below = {rule.denominator for rule in rules if isinstance(rule, Ratio)}
    numbers = [
        Feature(name, "continuous", low=step if name in below else low, high=high, step=step) for name in "abcde"
    ]
    features = (*numbers, Feature("colour", "categorical", levels=("red", "green", "blue")))
    codec = Codec(FeatureSchema(features, "y", ("no", "yes"), rules=rules))
    return codec, codec.rules


def row(*values: float) -> np.ndarray:
    return np.array([[*values, *[0.0] * (6 - len(values))]])


def moved(codec: Codec, base: np.ndarray, movable: str, **edits: float) -> dict[str, float]:
    """The row after some edits with followers in tow, when the features in `movable` may move."""
    pattern = np.array([f.name in movable or f.name == "colour" for f in codec.schema.features])
    follow = codec.rules.follow(pattern, np.arange(6.0))
    out = base.copy()
    for name, value in edits.items():
        assert follow.editable[codec.schema.columns[name]], f"{name} follows others"
        out[0, codec.schema.columns[name]] = value
    settled = codec.rules.settle(base, out, follow, codec.step)[0]
    return dict(zip("abcde", settled.tolist(), strict=False))


# --- who breaks a rule --------------------------------------------------------------------


@cases(120)
@given(schemas(), seeds)
def test_violated_reads_the_rules_as_a_slow_reader_does(schema: FeatureSchema, seed: int) -> None:
    codec, rows = Codec(schema), rows_of(schema, 12, seed, blanks=True)
    table = codec.decode(rows).to_dict("records")
    slow = [[breaks(schema, rule, person) for rule in schema.rules] for person in table]
    np.testing.assert_array_equal(codec.rules.violated(rows), np.array(slow, dtype=bool).reshape(12, -1))


@pytest.mark.parametrize(("low", "high", "over"), [(-1, 0, 3.0), (0, 1, -3.0)])
def test_a_ratio_that_ends_at_zero_asks_nothing_where_the_denominator_is_blank(
    low: float, high: float, over: float
) -> None:
    _, rules = compiled(Ratio("a", "b", low, high))
    measured, blank = row(over, 2, 0, 0, 0), row(over, np.nan, 0, 0, 0)
    assert rules.violated(np.concatenate([measured, blank])).tolist() == [[True], [False]]


@cases(100)
@given(worlds())
def test_violated_reads_worlds_as_a_slow_reader_does(world: World) -> None:
    codec = Codec(world.schema)
    for table in (world.people, world.train):
        slow = [
            [breaks(world.schema, rule, person) for rule in world.schema.rules] for person in table.to_dict("records")
        ]
        np.testing.assert_array_equal(codec.rules.violated(codec.encode(table)), np.array(slow, dtype=bool))


@pytest.mark.parametrize(
    ("rule", "fine", "broken"),
    [
        (Order(("a", "b", "c")), (1, 1, 2), (1, 3, 2)),
        (Total(("a", "b"), "c"), (1, 2, 3), (1, 2, 4)),
        (Total(("a", "b"), "c", tolerance=1), (1, 2, 4), (1, 2, 5)),
        (Total(("a", "b"), 100), (40, 60), (40, 61)),
        (Linear({"a": 2, "b": -1}, "<=", 3), (2, 1), (3, 1)),
        (Linear({"a": 2, "b": -1}, ">=", 3), (3, 1), (1, 1)),
        (Linear({"a": 2, "b": -1}, "==", 3), (2, 1), (2, 2)),
        (Ratio("a", "b", 0.5, 2), (4, 2), (5, 2)),
        (Ratio("a", "b", 0.5, 2), (1, 2), (0.9, 2)),
        (Ratio("a", "b", -1, 2), (-2, 2), (-3, 2)),
        (Implication(Condition("a", ">", 1), Condition("b", "in", [2, 3])), (2, 3), (2, 4)),
        (Implication(Condition("a", ">", 1), Condition("b", "!=", 0)), (1, 0), (2, 0)),
    ],
    ids=str,
)
def test_a_rule_tells_a_row_that_keeps_it_from_one_that_does_not(rule: Rule, fine: Any, broken: Any) -> None:
    _, rules = compiled(rule)
    assert not rules.violated(row(*fine)).any()
    assert rules.violated(row(*broken)).all()


def test_levels_in_conditions_are_levels_and_not_codes() -> None:
    rule = Implication(Condition("colour", "in", ["green", "blue"]), Condition("a", "<=", 1))
    _, rules = compiled(rule)
    assert rules.violated(np.array([[2.0, 0, 0, 0, 0, code] for code in (0, 1, 2)]))[:, 0].tolist() == [
        False,
        True,
        True,
    ]


def test_a_rule_with_a_missing_member_does_not_apply() -> None:
    rules = (
        Total(("a", "b"), "c"),
        Linear({"a": 1.0}, ">=", 5),
        Implication(Condition("b", ">", 0), Condition("a", ">", 9)),
    )
    _, compiled_rules = compiled(*rules)
    assert not compiled_rules.violated(row(np.nan, 1, 2)).any()


def test_decimals_that_binary_cannot_write_keep_a_total_and_a_list() -> None:
    _, rules = compiled(Total(("a", "b"), "c"), Implication(Condition("d", "==", 0), Condition("c", "in", [0.3])))
    assert not rules.violated(row(0.1, 0.2, 0.1 + 0.2)).any()


# --- who follows whom ---------------------------------------------------------------------


def test_a_whole_follows_its_parts() -> None:
    codec, _ = compiled(Total(("a", "b"), "c"))
    assert moved(codec, row(1, 2, 3), "abcde", a=5) == {"a": 5, "b": 2, "c": 7, "d": 0, "e": 0}


def test_where_the_whole_is_locked_the_largest_free_part_takes_up_the_difference() -> None:
    codec, _ = compiled(Total(("a", "b", "d"), "c"))
    assert moved(codec, row(1, 2, 13, 10), "abd", a=5) == {"a": 5, "b": 2, "c": 13, "d": 6, "e": 0}
    assert moved(codec, row(1, 2, 13, 10), "ab", a=3) == {"a": 3, "b": 0, "c": 13, "d": 10, "e": 0}


def test_where_nobody_can_follow_nothing_may_move() -> None:
    _, rules = compiled(Total(("a", "b"), "c"))
    follow = rules.follow(np.array([True, False, False, True, True, True]), np.arange(6.0))
    assert follow.editable.tolist() == [False, False, False, True, True, True]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_totals_in_a_chain_pass_a_change_on_to_the_last_whole(order: tuple[int, ...]) -> None:
    chain = [Total(("a", "b"), "c"), Total(("c", "a2"), "d"), Total(("d", "b2"), "e")]
    features = tuple(Feature(n, "continuous", low=0, high=100, step=1) for n in ("a", "b", "c", "a2", "d", "b2", "e"))
    codec = Codec(FeatureSchema(features, "y", ("no", "yes"), rules=tuple(chain[i] for i in order)))
    base = np.array([[1.0, 2, 3, 4, 7, 5, 12]])
    follow = codec.rules.follow(np.ones(7, dtype=bool), np.arange(7.0))
    edited = base.copy()
    edited[0, 0] = 11
    settled = codec.rules.settle(base, edited, follow, codec.step)
    assert settled.tolist() == [[11, 2, 13, 4, 17, 5, 22]]


def test_where_a_whole_is_held_from_above_its_parts_make_room_for_each_other() -> None:
    codec, _ = compiled(Total(("a", "b"), "c"), Total(("c", "d"), "e"))
    assert moved(codec, row(1, 2, 3, 4, 7), "abc", a=3) == {"a": 3, "b": 0, "c": 3, "d": 4, "e": 7}


def test_a_broken_total_is_mended_by_its_follower() -> None:
    codec, _ = compiled(Total(("a", "b"), "c"))
    assert moved(codec, row(1, 2, 9), "abcde", a=5)["c"] == 7


@pytest.mark.parametrize("edit", range(-9, 10))
@pytest.mark.parametrize("whole", [59.5, 60.0, 60.4, 63.0])
def test_a_total_is_what_its_parts_say_after_rounding(edit: int, whole: float) -> None:
    codec, _ = compiled(Total(("a", "b"), "c", 0.5))
    base = row(20, 40, whole)
    base[0, 3] = np.nan  # an unrelated value that was not measured changes nothing
    after = moved(codec, base, "abc", a=20 + edit)
    assert abs(after["a"] + after["b"] - after["c"]) <= 0.5


def test_a_total_with_a_missing_part_is_left_alone() -> None:
    codec, _ = compiled(Total(("a", "b"), "c", 0.5))
    base = row(20, 40, 75)
    base[0, 1] = np.nan
    assert moved(codec, base, "ac", a=20)["c"] == 75


def test_followers_are_rounded_to_their_step_and_stay_when_they_need_not_move() -> None:
    codec, _ = compiled(Total(("a", "b"), "c", tolerance=0.5), step=1)
    assert moved(codec, row(1, 2, 3.4), "abcde", a=5)["c"] == 7
    assert moved(codec, row(1, 2, 3.4), "abcde", d=5)["c"] == 3.4


@cases(150)
@given(worlds(messy=False), seeds)
def test_settle_keeps_every_equality_for_any_lock_pattern(world: World, seed: int) -> None:
    codec, rng = Codec(world.schema), np.random.default_rng(seed)
    rules, rows = codec.rules, codec.encode(world.people)
    movable = rng.random(len(world.schema)) < rng.choice([0.3, 0.7, 1.0])
    follow = rules.follow(movable, np.nan_to_num(rows).mean(axis=0))
    low, high = np.tile(codec.low, (len(rows), 1)), np.tile(codec.high, (len(rows), 1))
    equalities = [
        r for r, rule in enumerate(world.schema.rules) if isinstance(rule, Total) or vars(rule).get("op") == "=="
    ]
    current = rows
    for _ in range(4):  # a few edits, each inside what the one before leaves
        least, most = rules.intervals(current, low, high, follow)
        columns = np.flatnonzero(movable & follow.editable)
        if not len(columns):
            return
        j = int(rng.choice(columns))
        edited = current.copy()
        edited[:, j] = least[:, j] + rng.random(len(rows)) * (most[:, j] - least[:, j])
        current = rules.settle(rows, edited, follow, np.full(len(codec.step), FINE))
        assert not rules.violated(current)[:, equalities].any()
        still = ~movable
        np.testing.assert_array_equal(current[:, still], rows[:, still])


# --- how far one feature may move ---------------------------------------------------------


def linear_of(schema: FeatureSchema) -> list[int]:
    return [number for number, rule in enumerate(schema.rules) if not isinstance(rule, Implication)]


@cases(150)
@given(worlds(messy=False), seeds, st.floats(0, 1))
def test_inside_its_interval_a_feature_keeps_the_rules_and_the_ranges(world: World, seed: int, share: float) -> None:
    codec, rng = Codec(world.schema), np.random.default_rng(seed)
    rules, rows = codec.rules, codec.encode(world.people)
    movable = rng.random(len(world.schema)) < rng.choice([0.5, 1.0])
    follow = rules.follow(movable, np.nan_to_num(rows).mean(axis=0))
    low, high = np.tile(codec.low, (len(rows), 1)), np.tile(codec.high, (len(rows), 1))
    least, most = rules.intervals(rows, low, high, follow)
    for j in np.flatnonzero(movable & follow.editable & codec.numeric):
        there = ~np.isnan(rows[:, j])
        assert (least[:, j] <= rows[:, j] + 1e-9)[there].all()
        assert (most[:, j] >= rows[:, j] - 1e-9)[there].all()
        edited = rows.copy()
        edited[:, j] = least[:, j] + share * (most[:, j] - least[:, j])
        settled = rules.settle(rows, edited, follow, np.full(len(codec.step), FINE))[there]
        assert not rules.violated(settled)[:, linear_of(world.schema)].any()
        with np.errstate(invalid="ignore"):
            assert not (settled < codec.low - 1e-6).any()
            assert not (settled > codec.high + 1e-6).any()


@cases(120)
@given(worlds(messy=False), seeds)
def test_beyond_its_interval_a_feature_breaks_a_rule_or_a_range(world: World, seed: int) -> None:
    codec, rng = Codec(world.schema), np.random.default_rng(seed)
    rules, rows = codec.rules, codec.encode(world.people)
    movable = rng.random(len(world.schema)) < rng.choice([0.5, 1.0])
    follow = rules.follow(movable, np.nan_to_num(rows).mean(axis=0))
    low, high = np.tile(codec.low, (len(rows), 1)), np.tile(codec.high, (len(rows), 1))
    for j in np.flatnonzero(movable & follow.editable & codec.numeric):
        for end, sign in zip(rules.intervals(rows, low, high, follow), (-1, 1), strict=True):
            there = ~np.isnan(rows[:, j])
            edited = rows.copy()
            edited[:, j] = end[:, j] + sign * 0.02
            settled = rules.settle(rows, edited, follow, np.full(len(codec.step), FINE))
            with np.errstate(invalid="ignore"):
                off = ((settled < codec.low - 1e-6) | (settled > codec.high + 1e-6)).any(axis=1)
            off |= rules.violated(settled)[:, linear_of(world.schema)].any(axis=1)
            assert off[there].all()


def test_an_interval_by_hand() -> None:
    codec, rules = compiled(Order(("a", "b")), Total(("b", "c"), "d"), Linear({"e": 2.0, "a": 1.0}, "<=", 20), high=50)
    follow = rules.follow(np.ones(6, dtype=bool), np.arange(6.0))
    low, high = np.tile(codec.low, (1, 1)), np.tile(codec.high, (1, 1))
    least, most = rules.intervals(row(4, 10, 30, 40, 3), low, high, follow)
    a, b, c, _, e, _ = range(6)
    assert (least[0, a], most[0, a]) == (-1000, 10)  # b above it, 2 e + a <= 20
    assert (least[0, b], most[0, b]) == (4, 20)  # a below it, and the whole d ends at 50
    assert most[0, c] == 40
    assert most[0, e] == 8
    assert not follow.editable[codec.schema.columns["d"]]


def test_a_broken_row_may_be_mended_step_by_step_but_not_made_worse() -> None:
    _, rules = compiled(Order(("a", "b")))
    follow = rules.follow(np.ones(6, dtype=bool), np.arange(6.0))
    least, most = rules.intervals(row(9, 4), np.full((1, 6), -1000.0), np.full((1, 6), 1000.0), follow)
    assert (least[0, 0], most[0, 0]) == (-1000, 9)
    assert (least[0, 1], most[0, 1]) == (4, 1000)


@cases(60)
@given(worlds(messy=False), seeds)
def test_forbidden_names_the_values_that_newly_break_an_implication(world: World, seed: int) -> None:
    codec = Codec(world.schema)
    implications = [n for n, rule in enumerate(world.schema.rules) if isinstance(rule, Implication)]
    rows = codec.encode(world.people)
    rng = np.random.default_rng(seed)
    for j, feature in enumerate(world.schema.features):
        pool = codec.encode(world.train)[:, j]
        values = np.unique(pool[~np.isnan(pool)]) if feature.numeric else np.arange(len(feature.levels), dtype=float)
        values = rng.choice(values, min(5, len(values)), replace=False)
        found = codec.rules.forbidden(rows, j, values)
        for i in range(len(rows)):
            for k, value in enumerate(values):
                edited = rows[[i]].copy()
                edited[0, j] = value
                newly = (
                    codec.rules.violated(edited)[0, implications] & ~codec.rules.violated(rows[[i]])[0, implications]
                )
                assert found[i, k] == newly.any()


def test_rules_can_be_compiled_for_a_schema_with_blanks_only() -> None:
    codec, rules = compiled(Total(("a", "b"), "c"))
    table = codec.decode(np.full((2, 6), np.nan))
    assert not rules.violated(codec.encode(pd.DataFrame(table))).any()
    assert replace(codec.schema, rules=()).rules == ()
