"""Selection: the cheapest first, then plans that differ."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensecf.core.select import select
from strategies import cases, seeds


def test_the_first_answer_is_the_cheapest() -> None:
    at, rank = select(np.array([0, 0, 1]), np.array([2.0, 1.0, 3.0]), np.eye(3, 4, dtype=bool), np.eye(3, 4), 1)
    assert at.tolist() == [1, 2]
    assert rank.tolist() == [1, 1]


def test_the_second_answer_changes_something_else_if_that_is_not_too_dear() -> None:
    changed = np.array([[True, False], [True, False], [False, True]])
    for extra, second in ((2.0, 2), (5.0, 1)):
        price = np.array([1.0, 1.1, 1.1 + extra])
        at, _ = select(np.zeros(3, np.intp), price, changed, np.arange(6.0).reshape(3, 2), 2)
        assert at.tolist() == [0, second]


def test_a_near_copy_is_no_second_answer() -> None:
    changed = np.array([[True, False], [True, False], [True, False]])
    place = np.array([[1.0, 0.0], [1.1, 0.0], [2.0, 0.0]])
    at, rank = select(np.zeros(3, np.intp), np.array([1.0, 1.01, 2.0]), changed, place, 3)
    assert (at.tolist(), rank.tolist()) == ([0, 2], [1, 2])


def test_nothing_selected_from_nothing() -> None:
    at, rank = select(np.empty(0, np.intp), np.empty(0), np.empty((0, 3), bool), np.empty((0, 3)), 2)
    assert len(at) == len(rank) == 0


@cases(60)
@given(seeds, st.integers(1, 4), st.integers(1, 25), st.integers(1, 6))
def test_every_query_gets_its_share_and_no_candidate_twice(seed: int, n: int, m: int, queries: int) -> None:
    rng = np.random.default_rng(seed)
    owner, price = rng.integers(0, queries, m), rng.random(m).round(1)
    changed = rng.random((m, 3)) < 0.5
    place = np.arange(3.0 * m).reshape(m, 3)  # no two near each other
    at, rank = select(owner, price, changed, place, n)
    assert len(set(at.tolist())) == len(at)
    assert sorted(zip(owner[at].tolist(), rank.tolist(), strict=True)) == [
        (q, r) for q in range(queries) for r in range(1, min(n, int((owner == q).sum())) + 1)
    ]
    assert list(zip(owner[at], rank, strict=True)) == sorted(zip(owner[at], rank, strict=True))
    for q in np.unique(owner):
        assert price[at[(owner[at] == q) & (rank == 1)]] == price[owner == q].min()
    order = rng.permutation(m)
    shuffled, _ = select(owner[order], price[order] + 0, changed[order], place[order], 1)
    np.testing.assert_array_equal(price[order][shuffled], price[at[rank == 1]])


def test_answers_of_one_query_never_contradict_each_other() -> None:
    changed = np.array([[True, False], [True, True], [True, False]])
    way = np.array([[1.0, 0.0], [-1.0, 1.0], [1.0, 0.0]])
    place = np.array([[1.0, 0.0], [-1.0, 2.0], [4.0, 0.0]])
    at, _ = select(np.zeros(3, np.intp), np.array([1.0, 1.1, 2.0]), changed, place, 3, way)
    assert at.tolist() == [0, 2]
    at, _ = select(np.zeros(3, np.intp), np.array([1.0, 1.1, 2.0]), changed, place, 3)
    assert sorted(at.tolist()) == [0, 1, 2]
