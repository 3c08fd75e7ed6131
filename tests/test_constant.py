"""The control `constant`: one plan for everybody, chosen on training people; whom it is not open to is told why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import boundary
from checker import problems
from handmade import random_task
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.core.verify import feasible, verify
from sensecf.generators import build
from sensecf.generators.constant import Constant, Shift
from strategies import cases, limits, worlds
from worlds import World

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task()


def asked(task: Task, **limits: object) -> Query:
    bad = task.train[task.judge(task.rows, final=True).predicted == task.target_position("bad")]
    return make_query(task, bad, "good", **limits)  # type: ignore[arg-type]


def test_it_says_the_same_to_everybody_and_turns_most(task: Task) -> None:
    query = asked(task)
    found = Constant(task).propose(query, RNG)
    changed = task.codec.changed(query.rows[found.query], found.rows)
    for j in np.flatnonzero(changed.any(axis=0)):
        assert len(np.unique(found.rows[changed[:, j], j])) == 1
    assert changed.sum(axis=1).max() <= 3
    assert verify(task, query, found).good.mean() > 0.9


def test_no_single_edit_turns_more_training_rows_than_its_first(task: Task) -> None:
    constant, query = Constant(task), asked(task, max_changes=1)
    [(column, value)] = constant.plan(query).items()
    turned = {}
    for edit in constant._edits(query):
        rows = query.rows.copy()
        rows[:, list(edit)] = list(edit.values())
        open_to = feasible(task, query, np.arange(len(query)), rows)
        turned[tuple(edit.items())] = (open_to & (task.judge(rows).predicted == query.target)).sum()
    assert turned[((column, value),)] == max(turned.values())


@cases(25)
@pytest.mark.parametrize("control", [Constant, Shift])
@given(world=worlds(), kind=st.sampled_from(["linear", "steps", "threshold", "rare"]), data=st.data())
def test_what_it_proposes_breaks_nothing_and_the_rest_get_a_reason(
    control: type[Constant], world: World, kind: str, data: st.DataObject
) -> None:
    task = world.task(kind)
    asked = data.draw(limits(world.schema))
    query = make_query(task, world.people, world.schema.classes[-1], **asked)
    found = control(task).propose(query, RNG)
    assert found.query.tolist() == list(range(len(query)))
    given_row = found.reason == ""
    assert np.isnan(found.rows[~given_row]).all()
    rows = task.codec.decode(found.rows[given_row])
    for i, (_, row) in zip(np.flatnonzero(given_row), rows.iterrows(), strict=True):
        assert problems(world.schema, world.people.iloc[i].to_dict(), row.to_dict(), seen=world.train, **asked) == []


def test_a_shift_says_the_same_amounts_to_everybody_up_to_their_own_limits(task: Task) -> None:
    query = asked(task)
    found = Shift(task).propose(query, RNG)
    plan = Shift(task).plan(query)
    assert 1 <= len(plan) <= 3
    for j, amount in plan.items():
        moved = found.rows[:, j] - query.rows[found.query, j]
        ends = np.clip(query.rows[:, j] + amount, query.low[:, j], query.high[:, j])[found.query]
        given_plan = found.reason == ""
        np.testing.assert_allclose(found.rows[given_plan, j], ends[given_plan])
        assert (np.sign(moved[given_plan]) * np.sign(amount) >= 0).all()
    assert verify(task, query, found).good.mean() > 0.7


def test_a_shift_asks_no_more_than_a_person_can_be_asked_for(task: Task) -> None:
    schema = replace(
        task.schema,
        features=tuple(
            replace(f, most_change=4 * f.step, role="actionable") if f.numeric and f.changeable else f
            for f in task.schema.features
        ),
    )
    small = Task(schema, task.train, task.classifier)
    query = asked(small)
    for j, amount in Shift(small).plan(query).items():
        if small.codec.numeric[j]:
            assert abs(amount) <= 4 * small.codec.step[j] + 1e-9


def test_a_locked_feature_is_not_in_the_plan_and_nobody_gets_it(task: Task) -> None:
    query = asked(task, lock=["x0"])
    found = Constant(task).propose(query, RNG)
    assert task.schema.columns["x0"] not in Constant(task).plan(query)
    assert verify(task, query, found).good.mean() > 0.5


def test_explain_and_the_command_line_know_it(task: Task) -> None:
    people = task.codec.decode(asked(task).rows[:5])
    answers = boundary.explain(task, build("constant", task), people, "good")
    assert set(answers.frame["generator"]) == {"constant"}
