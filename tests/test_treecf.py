"""treecf behind the adapter: white box, on the steps, within the limits it can be told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("treecf", reason="the package treecf is not installed")

from handmade import random_task
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.generators.treecf import TreeCF

METHODS = ("sparse", "genetic")


@pytest.fixture(scope="module", params=["xgboost", "random-forest"])
def task(request: pytest.FixtureRequest) -> Task:
    base = random_task()
    return Task(base.schema, base.train, fit_classifier(request.param, base.schema, base.train))


def bad(task: Task, count: int = 12, target: str = "good", **asked: object) -> Query:
    """Queries about people outside the target class."""
    people = task.train[task.judge(task.rows).predicted != task.target_position(target)].head(count)
    return make_query(task, people, target, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", ["good", "bad"])
def test_it_answers_validly_on_the_steps_in_both_directions(task: Task, method: str, target: str) -> None:
    query = bad(task, target=target)
    found = TreeCF(task, method=method).propose(query, np.random.default_rng(0))  # type: ignore[arg-type]
    assert (found.reason == "").all()
    verdict = verify(task, query, found)
    assert verdict.valid.mean() > 0.9
    assert verdict.feasible.all(), verdict.reason


def test_a_price_per_change_makes_fewer_changes(task: Task) -> None:
    query = bad(task, 30)
    changes = {
        method: verify(task, query, TreeCF(task, method=method).propose(query, np.random.default_rng(0))).n_changed  # type: ignore[arg-type]
        for method in METHODS
    }
    assert changes["sparse"].mean() <= changes["genetic"].mean()


def test_locks_and_ranges_hold(task: Task) -> None:
    query = bad(task, lock=["x1", "kind"], ranges={"x0": (-1, 1)})
    found = TreeCF(task).propose(query, np.random.default_rng(0))
    answered = found.take(found.reason == "")
    np.testing.assert_array_equal(answered.rows[:, [1, 4]], query.rows[answered.query][:, [1, 4]])
    moved = answered.rows[:, 0] != query.rows[answered.query, 0]
    assert (np.abs(answered.rows[moved, 0]) <= 1 + 1e-9).all()


def test_the_classifier_is_asked_only_how_to_round(task: Task) -> None:
    query, generator = bad(task), TreeCF(task)
    before = task.rows_judged
    generator.propose(query, np.random.default_rng(0))
    assert task.rows_judged - before <= 17 * len(query)


def test_the_same_seed_gives_the_same_rows(task: Task) -> None:
    runs = [TreeCF(task).propose(bad(task), np.random.default_rng(3)).rows for _ in range(2)]
    np.testing.assert_array_equal(*runs)


def test_where_nothing_may_change_the_reason_says_so(task: Task) -> None:
    found = TreeCF(task).propose(bad(task, 2, lock=task.schema.names), np.random.default_rng(0))
    assert np.isnan(found.rows).all()
    assert all(found.reason)


def test_any_other_classifier_is_refused() -> None:
    base = random_task()
    with pytest.raises(InputError, match="random forest or XGBoost"):
        TreeCF(base)


def test_people_with_blanks_are_answered(mixed_task: Task) -> None:
    schema, train = mixed_task.schema, mixed_task.train
    task = Task(schema, train, fit_classifier("xgboost", schema, train))
    goal = task.default_target()
    holes = train[train[schema.names].isna().any(axis=1)]
    people: pd.DataFrame = holes[task.judge(task.codec.encode(holes)).predicted != task.target_position(goal)].head(3)
    query = make_query(task, people, goal)
    found = TreeCF(task).propose(query, np.random.default_rng(0))
    answered = found.take(found.reason == "")
    assert len(answered)
    np.testing.assert_array_equal(np.isnan(answered.rows), np.isnan(query.rows[answered.query]))
