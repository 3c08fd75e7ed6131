"""No plan asks for more than a person can do, unless the person who asks says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade import SCHEMA, TRAIN, Stub
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.schema import Feature
from sensecf.core.task import Task
from sensecf.data.builtin import load
from sensecf.data.infer.catalogue import MOST, known_feature
from sensecf.data.infer.infer import infer_schema, infer_schema_with_notes
from sensecf.generators.search import Search
from sensecf.pipeline.blocking import Blame, Blocked, sentence
from sensecf.pipeline.explain import explain

BASE: dict[str, Any] = {"steps": 1000, "deep": 40.0, "sleep": 400.0, "age": 50, "device": "watch"}


def walks(most: float | None, need: int) -> Task:
    """Whoever walks `need` steps is calm; only steps may change, and by `most` at the most."""
    fixed = {f.name: {"role": "immutable"} for f in SCHEMA.features if f.name != "steps"}
    schema = SCHEMA.edit(**fixed, steps={"most_change": most})
    return Task(schema, TRAIN, Stub(lambda X: (X["steps"] >= need).astype(float)))


def plans(task: Task, **limits: Any) -> Any:
    return explain(task, Search(task), pd.DataFrame([BASE]), hold=0, **limits)


@given(st.integers(1, 90).map(lambda n: 100 * n), st.integers(1100, 8900))
def test_an_action_stays_within_what_is_asked_of_a_person(most: int, need: int) -> None:
    task = walks(most, 5000)
    query = Limits().query(task, pd.DataFrame([BASE | {"steps": need}]))
    j = task.schema.columns["steps"]
    assert query.high[0, j] <= need + most
    assert query.low[0, j] >= need - most
    free = Limits(edit="mutable").query(task, pd.DataFrame([BASE | {"steps": need}]))
    assert free.high[0, j] == task.reach[1][j]


def test_a_change_that_is_too_much_is_no_plan_and_the_reason_says_so() -> None:
    assert plans(walks(4000, 5000)).answers["steps"].tolist() == [5000]
    none = plans(walks(3000, 5000))
    assert none.abstentions["reason"].tolist() == ["blocked by the most that is asked of a person (steps: 3,000 steps)"]


def test_a_range_or_a_boundary_answer_asks_for_more() -> None:
    task = walks(3000, 5000)
    assert plans(task, ranges={"steps": (None, 6000)}).answers["steps"].tolist() == [5000]
    assert plans(task, edit="mutable").answers["steps"].tolist() == [5000]
    assert plans(task, ranges={"steps": (500, None)}).answers.empty  # the upper end is nobody's wish


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"most_change": 0}, "positive"),
        ({"most_change": float("inf")}, "positive"),
        ({"most_change": 4, "least_change": 5}, "leaves no change"),
    ],
)
def test_a_largest_change_that_cannot_be_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Feature("steps", "integer", low=0, high=100, step=1, **settings)
    with pytest.raises(InputError, match="for numbers"):
        Feature("device", "categorical", levels=("a", "b"), most_change=1)


def test_the_catalogue_says_for_each_what_a_week_brings_at_least_and_why() -> None:
    for name, (most, why) in MOST.items():
        entry = known_feature(name)
        assert entry is not None
        assert entry.role == "actionable"
        assert most >= (entry.weekly or 0)
        assert len(why) > 10


def test_known_levers_of_a_table_get_theirs_with_the_reason_beside_it() -> None:
    frame = load("simulated").frame.drop(columns="date")
    found = infer_schema_with_notes(frame, "stress")
    assert found.schema["steps"].most_change == MOST["steps"][0]
    assert MOST["steps"][1] in found.notes["steps"]
    assert found.schema["bmi"].most_change is None
    coarse = frame.assign(sleep_total_min=(frame["sleep_total_min"] // 60) * 60)
    least = infer_schema(coarse, "stress")["sleep_total_min"]
    assert least.most_change is None or least.most_change >= (least.least_change or 0)


def test_what_stands_in_the_way_is_one_sentence() -> None:
    schema = replace(SCHEMA)
    several = (Blocked("result", "sleep"), Blocked("budget"), Blocked("result", "deep"))
    assert sentence(Blame(several), schema) == (
        "what a person can do within the budget of changes is not enough: sleep and deep would have to change too, and "
        "they only move as a result"
    )
    far = (Blocked("most", "steps", 3000), Blocked("lock", "deep"), Blocked("most", "sleep", 120))
    assert sentence(Blame(far), schema) == (
        "blocked by the lock on deep and the most that is asked of a person (steps: 3,000 steps; sleep: 120 min)"
    )
    limits = (Blocked("lock", "steps"), Blocked("budget"), Blocked("fixed", "age"))
    assert sentence(Blame(limits), schema) == (
        "blocked by the lock on steps, the budget of changes and age, which cannot move"
    )


def test_a_night_asked_for_is_at_most_two_hours_longer_in_the_demo() -> None:
    schema = load("simulated").schema
    assert schema["sleep_total_min"].most_change == 120
    assert np.all([schema[name].most_change is None for name in ("resting_hr_bpm", "glucose_mean_mgdl")])
