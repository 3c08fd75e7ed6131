"""Five questions: what is refused and what is hard is learned, said, and can be undone."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.pipeline.ask import QUESTIONS, SHOWN, Ask, Taste, cohort_taste

LEVERS = ("steps", "sitting", "sleep")


def pool(levers: int = 3) -> np.ndarray:
    """Every combination of little and much of each lever but nothing at all."""
    cells = itertools.product([0.0, 1.5, 3.0], repeat=levers)
    return np.array([cell for cell in cells if any(cell)])


def answered(ask: Ask, weights: np.ndarray, refused: np.ndarray) -> Ask:
    """All questions answered by somebody who refuses levers and then takes what is easiest."""
    effort = np.where((ask.asks[:, refused] > 0).any(axis=1), np.inf, ask.asks @ weights)
    while (shown := ask.question()) is not None:
        best = min(shown, key=lambda k: effort[k])
        ask.answer(shown, best if np.isfinite(effort[best]) else None)
    return ask


@settings(max_examples=25)
@given(st.permutations([0.4, 1.0, 2.5]), st.sampled_from([None, 0, 1, 2]))
def test_after_five_questions_the_first_plan_is_one_that_this_person_would_do(
    weights: list[float], no: int | None
) -> None:
    refused = np.array([k == no for k in range(3)])
    ask = answered(Ask(pool(), LEVERS), np.array(weights), refused)
    top = ask.asks[ask.rank()[0]]
    assert not (top[refused] > 0).any()
    if no is None:
        assert top @ np.array(weights) <= 1.3 * (ask.asks @ np.array(weights)).min()


def test_a_question_shows_three_plans_and_never_the_same_three_again() -> None:
    ask, seen = Ask(pool(), LEVERS), set()
    for _ in range(QUESTIONS):
        shown = ask.question()
        assert shown is not None
        assert len(set(shown)) == SHOWN
        assert shown not in seen
        seen.add(shown)
        ask.answer(shown, shown[0])
    assert ask.question() is None
    with pytest.raises(InputError, match="undo"):
        ask.answer((0, 1, 2), 0)


def test_whatever_is_answered_can_be_undone_and_done_again() -> None:
    ask = Ask(pool(), LEVERS)
    before = ask.effort()
    shown = ask.question()
    assert shown is not None
    ask.answer(shown, None)
    after = ask.effort()
    assert not np.array_equal(before, after)
    ask.undo()
    assert np.array_equal(before, ask.effort())
    assert ask.question() == shown
    ask.redo()
    assert np.array_equal(after, ask.effort())
    ask.undo()
    ask.undo()  # nothing is left to undo
    assert ask.answers == []


def test_what_was_learned_is_said_in_words() -> None:
    ask = answered(Ask(pool(), LEVERS), np.array([1.0, 1.0, 1.0]), np.array([False, False, True]))
    assert "You would rather not change sleep at all." in ask.words()
    assert Ask(pool(), LEVERS).words() == []


def test_the_chances_of_a_question_sum_to_one() -> None:
    ask = Ask(pool(), LEVERS)
    assert ask.chance((0, 5, 9)).sum() == pytest.approx(1)
    ask.answer((0, 5, 9), None)
    assert ask.chance((0, 5, 9))[-1] > 0.5


def test_the_next_person_begins_where_the_cohort_is() -> None:
    lazy = [answered(Ask(pool(), LEVERS), np.array([3.0, 0.3, 1.0]), np.zeros(3, dtype=bool)).taste() for _ in range(8)]
    prior = cohort_taste(lazy)
    assert prior.mean[0] > prior.mean[1]
    asked = Ask(pool(), LEVERS, prior=prior)
    alone = asked.asks[asked.rank()]
    first = {tuple(row > 0) for row in alone[:1]}
    assert (True, False, False) not in first
    with pytest.raises(InputError, match="nobody has answered"):
        cohort_taste([])
    assert cohort_taste(lazy[:1]).cov.shape == Taste.unknown(3).cov.shape


def test_plans_are_ranked_again_at_once() -> None:
    rng = np.random.default_rng(0)
    ask = Ask(rng.choice([0.0, 1.5, 2.0, 3.0, 4.0], (200, 6)) + 1e-6, [f"lever {k}" for k in range(6)])
    ask.answer((0, 1, 2), 1)
    began = time.process_time()
    ask.rank()
    assert time.process_time() - began < 0.2  # 0.02 to 0.04 on a quiet machine; see benchmarks/ask.json


def test_a_pool_is_made_of_the_verified_plans_of_a_person(numeric_task: Task) -> None:
    query = Query.of_rows(numeric_task, numeric_task.rows[:1], "good", Limits(hold=0.0))
    rows = np.repeat(query.rows, 3, axis=0)
    rows[0, 0] += 1.0
    rows[1, 1] += 2.0
    rows[2, :2] += 0.5
    ask = Ask.of(numeric_task, query, rows)
    assert ask.levers == ["x0", "x1"]
    assert (ask.asks > 0).tolist() == [[True, False], [False, True], [True, True]]
    with pytest.raises(InputError, match="no plan"):
        Ask.of(numeric_task, query, rows[:0])
    with pytest.raises(InputError, match="not among those shown"):
        ask.answer((0, 1), 2)
