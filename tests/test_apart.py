"""Rows that are asked about at the same time: each is answered as it would be alone."""

from __future__ import annotations

import numpy as np
import pytest

from handmade import random_task
from sensecf.core.apart import Apart, Draws
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.generators.nearest import Nearest
from sensecf.generators.search import THOROUGH, Search
from sensecf.pipeline.apart import answers_apart
from sensecf.pipeline.blocking import blame
from sensecf.pipeline.explain import explain
from sensecf.pipeline.find import Terms
from sensecf.pipeline.hold import Holding


def unwanted(task: Task, target: int, count: int) -> np.ndarray:
    """The first rows that are not in the target class."""
    return task.rows[task.judge(task.rows).predicted != target][:count]


@pytest.mark.parametrize("name", ["mixed", "limited", "holds"])
def test_rows_that_wait_together_get_what_explain_gives_each_alone(mixed_task: Task, name: str) -> None:
    task = random_task(people=100) if name == "holds" else mixed_task
    limits = {"limited": Limits(hold=0.0, max_changes=1, margin=0.3), "holds": Limits(hold=0.9)}.get(
        name, Limits(hold=0.0)
    )
    meant = limits.resolved(task.schema)
    goal = task.target_position(task.default_target())
    task.once(Holding).settle(12)
    held = task.once(Holding).of(goal, meant)
    rows = unwanted(task, goal, 12)
    search, fallback = Search(task), Search(task, effort=THOROUGH)
    terms = Terms(task, search, fallback, meant, 3, 1.0, 4, held)
    found = answers_apart(terms, Query.of_rows(task, rows, None, meant))
    assert sum(len(one.rows) > 0 for one in found) > 2
    for row, mine in zip(rows, found, strict=True):
        frame = task.codec.decode(row[None])
        alone = explain(task, search, frame, n=3, limits=limits, fallback=fallback, seed=4)
        np.testing.assert_array_equal(mine.rows, task.codec.encode(alone.answers))
        np.testing.assert_array_equal(mine.holds, alone.answers["holds"].to_numpy(dtype=float))
        assert mine.by == alone.answers["generator"].tolist()
        assert mine.follows == alone.answers["consequences"].tolist()
        assert not mine.fell or mine.fell == alone.abstentions["reason"].iloc[0]


def test_another_generator_is_asked_row_by_row_and_nobody_else_changes_its_answers(mixed_task: Task) -> None:
    task, limits = mixed_task, Limits(hold=0.0)
    rows = unwanted(task, task.target_position("low"), 4)
    terms = Terms(task, Nearest(task), None, limits.resolved(task.schema), 1, 1.0, 0)
    for row, mine in zip(rows, answers_apart(terms, Query.of_rows(task, rows, "low", limits)), strict=True):
        alone = explain(task, Nearest(task), task.codec.decode(row[None]), "low", limits=limits)
        np.testing.assert_array_equal(mine.rows, task.codec.encode(alone.answers))


def test_what_is_in_the_way_of_one_does_not_depend_on_who_else_is_asked_about(mixed_task: Task) -> None:
    task, limits = mixed_task, Limits(lock=("sleep", "steps"), max_changes=1, margin=0.8, hold=0.0)
    query = limits.query(task, unwanted(task, task.target_position("low"), 8), "low")
    never = np.random.default_rng(0)
    together = blame(task, Apart.of(query, [[7, q] for q in range(8)]), limits, 1.0, never)
    assert any(why.blocked for why in together)
    for q, why in enumerate(together):
        assert [why] == blame(task, Apart.of(query.take([q]), [[7, q]]), limits, 1.0, never)
    assert never.random() == np.random.default_rng(0).random(), "no number was drawn from the common stream"


def test_a_query_keeps_its_stream_wherever_it_is_taken(mixed_task: Task) -> None:
    query = Apart.of(Limits(hold=0.0).query(mixed_task, mixed_task.rows[:5], "low"), [[q] for q in range(5)])
    owner, unused = np.array([1, 1, 3]), np.random.default_rng(9)
    drawn = Draws(query.take([0, 4, 2, 3]), owner, unused).uniform(2)
    np.testing.assert_array_equal(drawn[:2], np.random.default_rng([4]).random((2, 2)))
    np.testing.assert_array_equal(drawn[2:], np.random.default_rng([3]).random((1, 2)))
