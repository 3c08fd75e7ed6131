"""The query: whom to answer, under which limits, each checked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade import BASE, hand_task
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits, make_query
from sensecf.core.query import Query, by_pattern
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


def test_without_limits_the_schema_speaks_as_far_as_the_training_rows_show() -> None:
    found = query(edit="mutable")
    assert span(found, "steps") == (4000, 9000)  # may only rise; the schema ends at 20,000
    assert span(found, "deep") == (20, 60)
    assert span(query({"deep": 10}), "deep") == (20, 60)  # who is below may come in, within 60 of 10
    assert span(query({"deep": 140}), "deep") == (80, 60)  # who is too far may only stay
    assert "deep" not in free(query({"deep": 140}))
    assert free(found) == {"steps", "deep", "sleep", "device"}
    assert free(query()) == {"steps", "deep", "device"}
    assert found.max_changes.tolist() == [3]
    assert found.target.tolist() == [1]


def test_locks_ranges_directions_and_budgets_narrow_it() -> None:
    found = query(
        lock=["device"],
        ranges={"deep": (20, 200), "sleep": (None, 500)},
        directions={"deep": "decrease"},
        max_changes=2,
        edit="mutable",
    )
    assert span(found, "deep") == (20, 30)
    assert span(found, "sleep") == (360, 500)  # an open end is that of the training rows
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


@pytest.mark.parametrize(
    ("asked", "reach"),
    [
        ((None, 15.0), (0, 15)),  # below all training rows: the open end is the schema's
        ((70.0, None), (70, 90)),  # beyond them all, at most 60 from 30
        ((10.0, None), (10, 60)),
        ((-5.0, 500.0), (0, 90)),  # never beyond the schema
    ],
)
def test_a_range_asked_for_may_reach_beyond_the_training_rows(asked: Any, reach: tuple[float, float]) -> None:
    assert span(query(ranges={"deep": asked}), "deep") == reach


def test_a_feature_with_no_multiple_of_its_step_in_the_training_rows_cannot_move() -> None:
    task = Task(TASK.schema.edit(deep={"step": 100.0}), TASK.train, TASK.classifier)
    assert not make_query(task, pd.DataFrame([BASE])).movable[0, COLUMNS["deep"]]


def test_text_and_words_are_read_as_limits() -> None:
    found = Limits.parse('a,"b, c"', ["x=6:8", "y=z=:2.5", "w=-1e3:"], ["a=up", "b=decrease"], margin=0.2)
    assert found == Limits(
        ("a", "b, c"), {"x": (6.0, 8.0), "y=z": (None, 2.5), "w": (-1000.0, None)},
        {"a": "increase", "b": "decrease"}, margin=0.2,
    )  # fmt: skip


@pytest.mark.parametrize("text", ["sleep", "sleep=", "=6:8", "sleep=6", "sleep=6:7:8", "sleep=a:8", "sleep=:",
                                  "sleep=nan:8", "sleep=6:inf", "sleep=8:6", "sleep=6-8"])  # fmt: skip
def test_a_range_that_cannot_be_read_is_refused_with_its_feature(text: str) -> None:
    with pytest.raises(InputError, match=r"sleep|=6:8"):
        Limits.parse(ranges=[text])


def test_a_feature_is_given_one_range_and_one_direction() -> None:
    for twice in ({"ranges": ["a=1:2", "a=3:4"]}, {"directions": ["a=up", "a=down"]}):
        with pytest.raises(InputError, match="two of"):
            Limits.parse(**twice)  # type: ignore[arg-type]


def test_limits_are_given_as_one_object_or_as_keywords_and_not_both() -> None:
    assert Limits.of(None, lock=["deep"]) == Limits(("deep",)) == Limits.of(Limits(lock=["deep"]))
    with pytest.raises(InputError, match="lock and limits are both given"):
        Limits.of(Limits(), lock=["deep"])


@cases(30)
@given(st.data(), worlds())
def test_limits_come_back_from_json(data: st.DataObject, world: World) -> None:
    asked = Limits(**data.draw(limits(world.schema)))
    assert Limits.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked


@cases(60)
@given(worlds())
def test_a_changed_value_lies_within_the_training_rows(world: World) -> None:
    task = world.task()
    query = make_query(task, world.people, edit="mutable")
    numeric = task.codec.numeric
    for j in np.flatnonzero(numeric).tolist():
        seen = world.train[task.schema.names[j]].to_numpy(float)
        who = query.movable[:, j]
        if not np.isnan(seen).all():
            assert (query.low[who, j] >= np.nanmin(seen) - 1e-9).all()
            assert (query.high[who, j] <= np.nanmax(seen) + 1e-9).all()


def test_protected_features_stay() -> None:
    task = hand_task(TASK.schema.edit(device={"protected": True}))
    assert not make_query(task, pd.DataFrame([BASE])).movable[0, COLUMNS["device"]]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"lock": ["stepz"]}, "'stepz' is no feature"),
        ({"ranges": {"stepz": (0, 1)}}, "'stepz' is no feature"),
        ({"directions": {"stepz": "increase"}}, "'stepz' is no feature"),
        ({"directions": {"steps": "sideways"}}, "use any, increase, decrease, up, down"),
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
