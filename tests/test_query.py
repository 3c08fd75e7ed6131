"""The query: whom to answer, under which limits, each checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade import BASE, hand_task
from sensecf.core.errors import InputError
from sensecf.core.query import Query, by_pattern, make_query
from sensecf.core.task import Task
from strategies import cases, limits, worlds
from worlds import World

TASK = hand_task()
COLUMNS = TASK.schema.columns


def query(base: dict[str, Any] | None = None, **asked: Any) -> Query:
    return make_query(TASK, pd.DataFrame([BASE | (base or {})]), **asked)


def span(found: Query, name: str) -> tuple[float, float]:
    return float(found.low[0, COLUMNS[name]]), float(found.high[0, COLUMNS[name]])


def free(found: Query) -> set[str]:
    return {name for name, j in COLUMNS.items() if found.movable[0, j]}


def test_without_limits_the_schema_speaks() -> None:
    found = query()
    assert span(found, "steps") == (4000, 20_000)  # may only rise
    assert span(found, "deep") == (0, 90)  # at most 60 from 30
    assert free(found) == {"steps", "deep", "sleep", "device"}
    assert found.max_changes.tolist() == [3]
    assert found.target.tolist() == [1]


def test_locks_ranges_directions_and_budgets_narrow_it() -> None:
    found = query(
        lock=["device"],
        ranges={"deep": (20, 200), "sleep": (None, 500)},
        directions={"deep": "decrease"},
        max_changes=2,
    )
    assert span(found, "deep") == (20, 30)
    assert span(found, "sleep") == (100, 500)
    assert free(found) == {"steps", "deep", "sleep"}
    assert found.max_changes.tolist() == [2]


def test_the_schemas_budget_is_the_most_that_can_be_asked() -> None:
    assert query(max_changes=5).max_changes.tolist() == [3]


def test_a_direction_asked_for_does_not_lift_the_schemas() -> None:
    found = query(directions={"steps": "decrease"})
    assert "steps" not in free(found) or span(found, "steps")[0] >= 4000


def test_what_was_not_measured_or_has_one_value_cannot_move() -> None:
    assert "deep" not in free(query({"deep": np.nan}))
    assert "steps" not in free(query({"steps": 20_000}))


def test_a_range_of_one_value_leaves_a_way_to_those_who_are_not_there() -> None:
    people = pd.DataFrame([BASE, BASE | {"steps": 8000}])
    query = make_query(hand_task(), people, ranges={"steps": (8000, 8000)})
    assert query.movable[:, 0].tolist() == [True, False]


def test_protected_features_stay() -> None:
    task = hand_task(TASK.schema.edit(device={"protected": True}))
    assert not make_query(task, pd.DataFrame([BASE])).movable[0, COLUMNS["device"]]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"lock": ["stepz"]}, "'stepz' is no feature"),
        ({"ranges": {"stepz": (0, 1)}}, "'stepz' is no feature"),
        ({"directions": {"stepz": "increase"}}, "'stepz' is no feature"),
        ({"directions": {"steps": "up"}}, "use any, increase or decrease"),
        ({"ranges": {"deep": (50, 20)}}, "range for 'deep': 50 to 20 is impossible"),
        ({"ranges": {"deep": (300, 400)}}, "impossible within 0 to 200"),
        ({"ranges": {"device": (0, 1)}}, "lock it instead"),
        ({"ranges": {"deep": (float("nan"), 20)}}, "deep"),
        ({"max_changes": 0}, "at least 1"),
        ({"margin": 1.0}, "margin"),
        ({"margin": -0.1}, "margin"),
        ({"margin": float("nan")}, "margin"),
        ({"target": "calm"}, "is no class"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        query(**asked)
    assert "\n" not in str(caught.value)


def test_a_person_outside_the_schemas_range_is_named() -> None:
    people = pd.DataFrame([BASE, BASE | {"age": 120}], index=["p1", "p2"])
    with pytest.raises(InputError, match=r"row p2, column 'age': 120 years lies outside .* 18 to 99"):
        make_query(TASK, people)


def test_half_a_step_outside_is_rounding_and_not_outside() -> None:
    assert len(query({"deep": 200.2})) == 1


def test_take_keeps_every_part_in_step() -> None:
    people = pd.DataFrame([BASE | {"steps": steps} for steps in (1000, 2000, 3000)])
    taken = make_query(TASK, people, lock=["device"]).take([2, 0])
    assert taken.rows[:, 0].tolist() == [3000, 1000]
    assert {len(value) for value in vars(taken).values()} == {2}


@cases(40)
@given(st.data(), worlds())
def test_patterns_part_the_queries_and_know_what_may_move(data: st.DataObject, world: World) -> None:
    task: Task = world.task()
    query = make_query(task, world.people, **data.draw(limits(world.schema)))
    query.movable[:] &= np.random.default_rng(world.plan.seed).random(query.movable.shape) < 0.7
    owner = np.arange(len(query))
    seen = []
    for at, follow in by_pattern(task, query, owner):
        seen += at.tolist()
        for f in follow.follower:
            assert query.movable[at, f].all()
    assert sorted(seen) == owner.tolist()
