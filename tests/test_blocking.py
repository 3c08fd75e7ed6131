"""What stands in the way of an answer: a few limits among many, found by putting halves of them back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade import random_task
from sensecf import explain
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.rules import Bools
from sensecf.core.task import Task
from sensecf.pipeline import blocking
from sensecf.pipeline.blocking import blame
from strategies import cases

TASK = random_task(people=40, d=15)
NAMES = TASK.schema.names
LOCKED = Limits(lock=NAMES, edit="mutable", hold=0.0)


def one_by_one(ways: list[set[str]]) -> set[str]:
    """The locks that stay lifted where each is put back in its turn, and none may leave every way shut."""
    lifted = set(NAMES)
    for name in NAMES:
        if any(way <= lifted - {name} for way in ways):
            lifted.discard(name)
    return lifted


ways = st.lists(st.sets(st.sampled_from(NAMES), min_size=1, max_size=4), min_size=1, max_size=4)


@cases(40)
@given(st.lists(ways, min_size=1, max_size=4))
def test_the_same_limits_are_blamed_as_one_by_one(people: list[list[set[str]]]) -> None:
    query = LOCKED.query(TASK, TASK.rows[: len(people)], "good")
    # Who is asked is told by a number of its own: its row.
    rows = {row.tobytes(): ways for row, ways in zip(query.rows, people, strict=True)}

    def answered(task: Task, trial: Query, plausibility: float, rng: np.random.Generator) -> Bools:
        free = [{NAMES[j] for j in np.flatnonzero(movable)} for movable in trial.movable]
        return np.array(
            [any(way <= f for way in rows[row.tobytes()]) for row, f in zip(trial.rows, free, strict=True)], dtype=bool
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocking, "_answered", answered)
        found = blame(TASK, query, LOCKED, 1.0, np.random.default_rng(0))
    assert [{part.feature for part in one.blocked} for one in found] == [one_by_one(ways) for ways in people]


def test_one_lock_among_many_takes_few_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = []

    def answered(task: Task, trial: Query, plausibility: float, rng: np.random.Generator) -> Bools:
        searches.append(len(trial))
        return trial.movable[:, 7]

    monkeypatch.setattr(blocking, "_answered", answered)
    (found,) = blame(TASK, LOCKED.query(TASK, TASK.rows[:1], "good"), LOCKED, 1.0, np.random.default_rng(0))
    assert [part.feature for part in found.blocked] == ["x7"]
    assert len(searches) <= 10  # of 16 locks


def test_a_person_with_every_lever_locked_has_no_plan_and_a_reason() -> None:
    bad = TASK.train[TASK.judge(TASK.rows).predicted == 0].head(6)
    plans = explain(TASK, "search", bad, target="good", per="person", limits=LOCKED)
    assert not len(plans.answers)
    assert plans.abstentions["reason"].str.contains("leave nothing to change").all()
