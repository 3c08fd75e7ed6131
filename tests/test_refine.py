"""One refinement: library and page give one answer to one question, no dearer than either order of before gave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import sensecf
from sensecf.core.candidates import Candidates
from sensecf.core.distances import Scale
from sensecf.core.limits import Limits
from sensecf.core.polish import polish
from sensecf.core.query import Query
from sensecf.core.select import select
from sensecf.core.task import Task
from sensecf.pipeline.refine import Judged, judge, refine, standing
from sensecf.web.plans import Ask, answer, rank
from webpage import away, small_cohort

PEOPLE = 50


@pytest.fixture(scope="module", params=["logistic", "xgboost"])
def cohort(request: Any) -> Any:
    return small_cohort(request.param)


def test_the_first_plan_of_the_page_is_the_first_answer_of_the_library(cohort: Any) -> None:
    people = away(cohort)[:PEOPLE]
    pools = answer(cohort, [Ask(person, Limits()) for person in people])
    answered = 0
    for person, pool in zip(people, pools, strict=True):
        asked = cohort.task.codec.decode(cohort.rows[[person]])
        found = sensecf.explain(
            cohort.task, cohort.generator, asked, cohort.target, fallback=cohort.fallback, seed=cohort.seed
        )
        shown = [plan.row for plan in rank(cohort, pool, "effort", {}, 1)]
        expected = cohort.task.codec.encode(found.answers)
        assert len(shown) == len(expected)
        np.testing.assert_array_equal(np.array(shown).reshape(expected.shape), expected)
        answered += len(shown)
    assert answered > PEOPLE // 2


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


def test_the_refinement_is_no_dearer_than_polishing_three_or_a_choice_of_eight(cohort: Any) -> None:
    task, people = cohort.task, away(cohort)[:PEOPLE]
    query = Limits().query(task, task.codec.decode(cohort.rows[people]), cohort.target)
    judged = judge(task, query, cohort.generator.propose(query, np.random.default_rng(0)))
    good = judged.take(judged.verdict.good)
    price, owner = good.verdict.price(1.0), good.found.query
    order = np.lexsort((price, owner))
    cheapest = order[np.arange(len(order)) - np.searchsorted(owner[order], owner[order]) < 3]
    changed = task.codec.changed(query.rows[owner], good.found.rows)
    unlike, _ = select(owner, price, changed, task.once(Scale).place(good.found.rows), 8)
    now = best(task, query, refine(task, query, judged, 1, 1.0).found)
    assert (now <= polished(task, query, good.take(cheapest)) + 1e-9).all()
    assert (now <= polished(task, query, good.take(unlike)) + 1e-9).all()


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
