"""The search and the nearest unlike neighbour: what they propose is valid and feasible already."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sensecf
from checker import problems
from handmade import random_task
from sensecf.core.candidates import Candidates
from sensecf.core.limits import Limits, make_query
from sensecf.core.query import Query
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task, lead
from sensecf.core.verify import cost, edits, verify
from sensecf.generators import Nearest, Search
from sensecf.generators.search import Effort
from strategies import cases, limits, worlds
from worlds import KINDS, World

QUICK = Effort(beam=2, edits=12, depth=3, neighbours=3, keep=3)


def propose(task: Task, query: Query, seed: int = 0, **options: Any) -> Candidates:
    return Search(task, **options).propose(query, np.random.default_rng(seed))


def bad(task: Task) -> Any:
    """Training rows that the classifier does not put in the target class."""
    return task.train[task.classifier.predict(task.train[task.schema.names]) != task.schema.target]


@cases(60)
@given(st.data(), worlds(asked=4), st.sampled_from(KINDS), st.sampled_from(["search", "nearest"]))
def test_candidates_are_feasible_and_cover_every_query(
    data: st.DataObject, world: World, kind: str, method: str
) -> None:
    asked = data.draw(limits(world.schema))
    task = world.task(kind)
    query = make_query(task, world.people, **asked)
    generator = Search(task, effort=QUICK) if method == "search" else Nearest(task, neighbours=3)
    found = generator.propose(query, np.random.default_rng(0))
    assert set(found.query.tolist()) == set(range(len(query)))
    proposed = found.take(found.reason == "")
    assert np.isnan(found.rows[found.reason != ""]).all()
    assert not set(proposed.query) & set(found.query[found.reason != ""])
    people = task.codec.decode(query.rows).to_dict("records")
    for i, answer in zip(proposed.query, task.codec.decode(proposed.rows).to_dict("records"), strict=True):
        assert problems(world.schema, people[i], answer, seen=world.train, **asked) == []
    judged = task.judge(proposed.rows)
    assert task.valid(judged, query.target[proposed.query]).all()


def test_the_search_answers_everyone_where_nothing_is_forbidden(numeric_task: Task) -> None:
    query = make_query(numeric_task, bad(numeric_task).head(60))
    found = propose(numeric_task, query)
    assert (found.reason == "").all()
    assert verify(numeric_task, query, found).good.all()


def test_the_search_is_cheaper_than_the_nearest_neighbour(mixed_task: Task) -> None:
    query = make_query(mixed_task, bad(mixed_task).head(60))
    best = {}
    for generator in (Search(mixed_task), Nearest(mixed_task)):
        found = generator.propose(query, np.random.default_rng(0))
        found = found.take(found.reason == "")
        price = np.full(len(query), np.inf)
        np.minimum.at(price, found.query, cost(mixed_task, query, found.query, found.rows))
        best[generator.name] = price
    both = np.isfinite(best["search"]) & np.isfinite(best["nearest"])
    assert both.mean() > 0.9
    assert (best["search"] <= best["nearest"] + 1e-9)[both].mean() > 0.9
    assert best["search"][both].mean() < best["nearest"][both].mean()


def test_the_dial_buys_plausibility(mixed_task: Task) -> None:
    query = make_query(mixed_task, bad(mixed_task).head(60))
    shares = []
    for dial in (0.0, 1.0):
        found = propose(mixed_task, query, plausibility=dial)
        found = found.take(found.reason == "")
        shares.append(verify(mixed_task, query, found).plausible.mean())
    assert shares[1] >= shares[0]
    assert shares[1] > 0.9


def test_candidates_of_a_query_are_distinct_and_at_most_as_many_as_kept(numeric_task: Task) -> None:
    query = make_query(numeric_task, bad(numeric_task).head(20))
    found = propose(numeric_task, query, effort=Effort(keep=4))
    for i in range(len(query)):
        rows = found.rows[found.query == i]
        assert len(rows) <= 4
        assert len(np.unique(rows, axis=0)) == len(rows)


def test_with_everything_locked_there_is_a_reason_and_no_row(numeric_task: Task) -> None:
    query = make_query(numeric_task, bad(numeric_task).head(3), lock=numeric_task.schema.names)
    found = propose(numeric_task, query)
    assert (found.reason != "").all()
    assert np.isnan(found.rows).all()


@pytest.mark.parametrize("budget", [1, 2])
def test_a_budget_is_kept(mixed_task: Task, budget: int) -> None:
    query = make_query(mixed_task, bad(mixed_task).head(40), max_changes=budget)
    found = propose(mixed_task, query)
    found = found.take(found.reason == "")
    assert len(found)
    assert (edits(mixed_task.codec, query, found.query, found.rows).sum(axis=1) <= budget).all()


def test_the_same_seed_proposes_the_same_rows(mixed_task: Task) -> None:
    query = make_query(mixed_task, bad(mixed_task).head(10))
    first, again = (propose(mixed_task, query, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.query, again.query)


def test_who_comes_no_nearer_is_given_up_and_who_has_an_answer_is_not() -> None:
    task = random_task()
    bad = task.rows[np.argsort(task.judge(task.rows).proba[:, 1])[:10]]
    stuck = Limits(lock=["x0", "x1", "kind"], edit="mutable", hold=0.0).query(task, bad, "good")  # x2, x3 do nothing
    free = Limits(edit="mutable", hold=0.0).query(task, bad, "good")

    def asked(query: Query, patience: int) -> tuple[int, int]:
        before = task.rows_judged
        effort = Effort(depth=10, patience=patience)
        found = Search(task, effort=effort).propose(query, np.random.default_rng(0))
        return len(np.unique(found.query[found.reason == ""])), task.rows_judged - before

    (none, few), (still_none, many) = asked(stuck, 3), asked(stuck, 99)
    assert none == still_none == 0
    assert few < many
    assert asked(free, 3) == asked(free, 99)


def test_who_needs_more_edits_than_the_usual_rounds_make_is_answered_and_the_others_are_asked_no_more() -> None:
    schema = FeatureSchema(
        tuple(Feature(f"x{i}", "integer", low=0, high=1, step=1) for i in range(9)), "label", (0, 1), 1
    )
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 2, (300, 9)), columns=schema.names)
    unsure = rng.normal(scale=3, size=300)  # so that each of nine edits tells
    frame = frame.assign(label=(frame.sum(axis=1) + unsure >= 5).astype(int))
    frame = frame[frame[schema.names].sum(axis=1) < 8]  # whom to copy is nobody
    task = Task(schema, frame, sensecf.fit_classifier("logistic", schema, frame))
    ones = np.vstack([np.ones(9), 1 - np.eye(9)])
    leads = lead(task.judge(ones).proba, np.ones(10, dtype=int))
    rows = np.zeros((3, 9))
    rows[1, :5], rows[2, :6] = 1, 1
    query = Query.of_rows(task, rows, 1, Limits(margin=float(leads[0] + leads[1:].max()) / 2, hold=0.0))
    usual, short = (Search(task, effort=Effort(further=further, patience=9)) for further in (10, 0))
    found, before = (search.propose(query, np.random.default_rng(1)) for search in (usual, short))
    assert [set(one.query[one.reason == ""].tolist()) for one in (found, before)] == [{0, 1, 2}, {1, 2}]
    for who in (1, 2):
        np.testing.assert_array_equal(found.rows[found.query == who], before.rows[before.query == who])
