"""One refinement: library and page give one first answer, however many are asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import boundary
from sensecf.core.candidates import Candidates
from sensecf.core.limits import Limits
from sensecf.core.polish import polish
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.pipeline.refine import Judged, judge, ranked, refine, standing
from sensecf.web.asking import answer
from sensecf.web.plans import SHOWN, Inquiry, Pool
from sensecf.web.ranking import rank
from webpage import away, small_cohort

PEOPLE = 50


@pytest.fixture(scope="module", params=["logistic", "xgboost"])
def cohort(request: Any) -> Any:
    return small_cohort(request.param)


@pytest.fixture(scope="module")
def pools(cohort: Any) -> list[Pool]:
    """What the page finds for the first people who are away from the target."""
    return answer(cohort, [Inquiry(cohort.person_of(row).number, (row,), Limits()) for row in away(cohort)[:PEOPLE]])


@pytest.mark.parametrize("n", [1, 3])
def test_the_first_plan_of_the_page_is_the_first_answer_of_the_library(cohort: Any, pools: list[Pool], n: int) -> None:
    people = away(cohort)[:PEOPLE]
    answered = 0
    for person, pool in zip(people, pools, strict=True):
        asked = cohort.task.codec.decode(cohort.rows[[person]])
        found = boundary.explain(
            cohort.task, cohort.generator, asked, cohort.target, n, fallback=cohort.fallback, seed=cohort.seed
        )
        shown = [plan.row for plan in rank(cohort, pool, "effort", {}, 1)]
        answers = found.answers
        expected = cohort.task.codec.encode(answers[answers["rank"] == 1])
        assert len(shown) == len(expected)
        np.testing.assert_array_equal(np.array(shown).reshape(expected.shape), expected)
        answered += len(shown)
    assert answered > PEOPLE // 2


def test_the_page_offers_a_menu_and_no_fewer_plans_than_the_library(cohort: Any, pools: list[Pool]) -> None:
    people = away(cohort)[:PEOPLE]
    asked = cohort.task.codec.decode(cohort.rows[people])
    found = boundary.explain(cohort.task, cohort.generator, asked, cohort.target, SHOWN, fallback=cohort.fallback)
    menus = np.array([len(rank(cohort, pool, "effort", {})) for pool in pools])
    assert menus.sum() >= len(found.answers)
    # Four levers and no two plans that contradict each other leave fewer than four for some.
    assert menus[menus > 0].mean() > 2.5
    assert menus.max() == SHOWN


def best(task: Task, query: Query, found: Candidates) -> Any:
    """The least price of each query's good rows."""
    judged = judge(task, query, found)
    price = np.where(judged.verdict.good, judged.verdict.price(1.0), np.inf)
    least = np.full(len(query), np.inf)
    np.minimum.at(least, found.query, price)
    return least


def polished(task: Task, query: Query, chosen: Judged) -> Any:
    """The least price after a polish, where the row before stays if the polish loses it."""
    found, price = chosen.found, chosen.verdict.price(1.0)
    rows = polish(task, query, found.query, found.rows, 1.0, price=price)
    return np.minimum(best(task, query, found), best(task, query, replace(found, rows=rows)))


def test_one_answer_is_the_cheapest_of_three_polished_and_costs_as_much(cohort: Any) -> None:
    task, people = cohort.task, away(cohort)[:PEOPLE]
    query = Limits(consequences="still").query(task, task.codec.decode(cohort.rows[people]), cohort.target)
    judged = judge(task, query, cohort.generator.propose(query, np.random.default_rng(0)))
    good = judged.take(judged.verdict.good)
    price, owner = good.verdict.price(1.0), good.found.query
    order = np.lexsort((price, owner))
    cheapest = order[np.arange(len(order)) - np.searchsorted(owner[order], owner[order]) < 3]
    before = task.rows_judged
    three = polished(task, query, good.take(cheapest))
    between = task.rows_judged
    now = best(task, query, refine(task, query, judged, 1, 1.0).found)
    np.testing.assert_allclose(now, three, atol=1e-9)
    assert task.rows_judged - between <= (between - before) * 1.1


def test_further_answers_leave_the_first_as_it_is(cohort: Any) -> None:
    task, people = cohort.task, away(cohort)[:PEOPLE]
    query = Limits().query(task, task.codec.decode(cohort.rows[people]), cohort.target)
    judged = judge(task, query, cohort.generator.propose(query, np.random.default_rng(0)))
    menus = [ranked(task, query, refine(task, query, judged, n, 1.0), n, 1.0) for n in (1, 2, SHOWN)]
    firsts = [answers.found.rows[rank == 1] for answers, rank in menus]
    assert len(firsts[0]) > PEOPLE // 2
    for other in firsts[1:]:
        np.testing.assert_array_equal(other, firsts[0])


def test_who_is_there_already_stays_and_equal_rows_are_one(mixed_task: Task) -> None:
    task = mixed_task
    query = Limits(edit="mutable").query(task, task.train.head(40), task.classes[0])
    there = standing(task, query)
    assert there.verdict.good.all()
    assert (there.verdict.n_changed == 0).all()
    assert refine(task, query, there.take(np.zeros(len(there), bool)), 1, 1.0).found.query.size == 0
    twice = Judged.concat([there, there])
    once = refine(task, query, twice, 1, 1.0)
    assert len(np.unique(once.found.query)) == len(once) == len(there)
