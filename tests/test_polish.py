"""Polish: cheaper, and still valid and feasible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker import problems
from handmade import BASE, SCHEMA, TRAIN, Stub, hand_task
from sensecf.core.limits import make_query
from sensecf.core.polish import polish
from sensecf.core.task import Task
from sensecf.core.verify import cost
from sensecf.generators.nearest import walk
from strategies import cases, limits, worlds
from worlds import KINDS, World


def polished(edits: dict[str, object], **asked: object) -> dict[str, object]:
    """A row with some edits of the hand-worked person after polish, plausibility aside."""
    task = hand_task()
    query = make_query(task, pd.DataFrame([BASE]), **asked)  # type: ignore[arg-type]
    rows = polish(task, query, np.array([0]), task.codec.encode(pd.DataFrame([BASE | edits])), plausibility=0)
    return dict(task.codec.decode(rows).iloc[0])


def test_what_is_not_needed_is_taken_back() -> None:
    assert polished({"steps": 8000, "device": "ring", "deep": 40.0}) == BASE | {"steps": 8000}


def test_what_is_more_than_needed_is_shrunk_to_the_step() -> None:
    assert polished({"steps": 12_000}) == BASE | {"steps": 8000}


def test_of_two_ways_the_cheaper_one_stays() -> None:
    # 30 minutes of deep sleep are three MAD, 4000 steps two.
    assert polished({"steps": 8000, "deep": 60.0}) == BASE | {"steps": 8000}


def test_two_edits_that_need_each_other_become_one_where_that_is_cheaper() -> None:
    """3200 steps or 20 minutes of deep sleep go as far as each other, and the steps cost 1.6 MAD, the sleep 2."""

    def chance(X: pd.DataFrame) -> np.ndarray:
        return np.where((X["steps"] - 4000) / 3200 + (X["deep"] - 30) / 20 >= 1, 0.9, 0.2)

    task = Task(SCHEMA, TRAIN, Stub(chance))
    query = make_query(task, pd.DataFrame([BASE]))
    both = task.codec.encode(pd.DataFrame([BASE | {"steps": 5600, "deep": 40.0}]))
    assert task.valid(task.judge(both), query.target, query.margin).all()
    rows = polish(task, query, np.array([0]), both, plausibility=0)
    assert dict(task.codec.decode(rows).iloc[0]) == BASE | {"steps": 7200}


def test_the_margin_asked_for_is_kept() -> None:
    steps = polished({"steps": 9000}, margin=0.7)["steps"]
    assert isinstance(steps, int | np.integer)
    assert 8000 <= steps <= 8500


def test_polish_takes_a_follower_back_with_its_part(mixed_task: Task) -> None:
    people = mixed_task.train.dropna().head(40)
    query = make_query(mixed_task, people)
    owner, rows = walk(mixed_task, query, 3)
    better = polish(mixed_task, query, owner, rows)
    columns = [mixed_task.schema.columns[name] for name in ("deep", "rem", "light", "sleep")]
    np.testing.assert_array_equal(better[:, columns[:3]].sum(axis=1), better[:, columns[3]])


@pytest.mark.parametrize("plausibility", [0.0, 1.0])
def test_polish_makes_real_plans_cheaper(mixed_task: Task, plausibility: float) -> None:
    query = make_query(mixed_task, mixed_task.train.head(60))
    owner, rows = walk(mixed_task, query, 3)
    before = cost(mixed_task, query, owner, rows, plausibility)
    after = cost(mixed_task, query, owner, polish(mixed_task, query, owner, rows, plausibility), plausibility)
    assert (after <= before + 1e-9).all()
    assert after.mean() < before.mean()


@cases(80)
@given(st.data(), worlds(asked=4), st.sampled_from(KINDS), st.sampled_from([0.0, 1.0]))
def test_polished_rows_are_valid_feasible_and_no_dearer(
    data: st.DataObject, world: World, kind: str, plausibility: float
) -> None:
    asked = data.draw(limits(world.schema))
    task = world.task(kind)
    query = make_query(task, world.people, **asked)
    owner, rows = walk(task, query, 3)
    better = polish(task, query, owner, rows, plausibility)
    before, after = (cost(task, query, owner, r, plausibility) for r in (rows, better))
    assert (after <= before + 1e-9).all()
    assert task.valid(task.judge(better), query.target[owner], query.margin[owner]).all()
    people, answers = task.codec.decode(query.rows).to_dict("records"), task.codec.decode(better).to_dict("records")
    for i, answer in zip(owner, answers, strict=True):
        assert problems(world.schema, people[i], answer, seen=world.train, **asked) == []
