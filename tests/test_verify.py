"""Verdicts: by the classifier's own predict and by the rules, on the row as saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker import problems
from handmade import BASE, hand_task
from sensecf.core.candidates import Candidates
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.rules import Linear
from sensecf.core.task import Task
from sensecf.core.verify import COMFORT, OUTLIER_WEIGHT, Verdicts, breaches, cost, feasible, outlier_price, verify
from strategies import cases, limits, seeds, worlds
from worlds import KINDS, World

TASK = hand_task()


def asked(**limits: Any) -> Query:
    return make_query(TASK, pd.DataFrame([BASE]), **limits)


def encoded(**edits: Any) -> np.ndarray:
    return TASK.codec.encode(pd.DataFrame([BASE | edits]))


def reason(query: Query, **edits: Any) -> str:
    text: str = breaches(TASK, query, np.array([0]), encoded(**edits))[0]
    return text


def verdict(query: Query, **edits: Any) -> Verdicts:
    return verify(TASK, query, Candidates.of(np.array([0]), encoded(**edits), "hand"))


def test_a_good_row_is_valid_and_feasible_and_has_no_reason() -> None:
    found = verdict(asked(), steps=8000)
    assert found.good.tolist() == [True]
    assert found.reason.tolist() == [""]
    assert found.n_changed.tolist() == [1]
    assert found.proximity.tolist() == [2.0]  # 4000 steps over a MAD of 2000
    assert found.probability.tolist() == [0.9]


def test_a_tie_is_not_valid() -> None:
    assert verdict(asked(), steps=7000).valid.tolist() == [False]


def test_the_margin_asked_for_must_be_met() -> None:
    assert verdict(asked(margin=0.7), steps=8000).valid.tolist() == [True]
    assert verdict(asked(margin=0.9), steps=8000).valid.tolist() == [False]


@pytest.mark.parametrize(
    ("limits", "edits", "words"),
    [
        ({}, {"age": 40}, "age must stay as it is"),
        ({"lock": ["device"]}, {"device": "ring"}, "device must stay as it is"),
        ({}, {"steps": 3000}, "steps is outside its range"),
        ({}, {"deep": 100.0}, "deep is outside its range"),
        ({"ranges": {"deep": (0, 50)}}, {"deep": 60.0}, "deep is outside its range"),
        ({"directions": {"deep": "decrease"}}, {"deep": 40.0}, "deep is outside its range"),
        ({}, {"steps": 8050}, "steps is no multiple of its step"),
        ({}, {"deep": np.nan}, "deep is blank"),
        ({}, {"sleep": 400.4, "steps": 8000}, "sleep moves by less than half a step"),
        ({"lock": ["sleep"]}, {"sleep": 400.4, "steps": 8000}, "sleep moves by less than half a step"),
        ({"max_changes": 1}, {"steps": 8000, "deep": 60.0}, "more than 1 changes"),
        ({}, {"sleep": 110.0, "deep": 80.0, "steps": 8000, "device": "ring"}, "more than 3 changes"),
        ({}, {"sleep": 101.0, "deep": 102.0}, "breaks deep <= sleep"),
    ],
)
def test_what_a_row_breaks_is_said_in_words(limits: dict[str, Any], edits: dict[str, Any], words: str) -> None:
    query = asked(**limits)
    assert words in reason(query, **edits)
    assert not verdict(query, **edits).good.any()


def test_several_breaches_are_all_said() -> None:
    assert reason(asked(), age=40, steps=3000) == "age must stay as it is; steps is outside its range"


def test_where_nothing_was_proposed_the_reason_stays_and_nothing_is_judged() -> None:
    nothing = Candidates.of(np.array([0]), np.full((1, 5), np.nan), "hand", ["no idea"])
    asked_before = TASK.rows_judged
    found = verify(TASK, asked(), nothing)
    assert TASK.rows_judged == asked_before
    assert found.reason.tolist() == ["no idea"]
    assert not found.good.any()
    assert not found.plausible.any()
    assert np.isnan(found.probability).all()


def test_a_value_no_training_row_has_is_not_plausible() -> None:
    assert verdict(asked(), steps=9000).plausible.tolist() == [True]
    assert verdict(asked(), steps=9500).plausible.tolist() == [False]


def changed_rows(world: World, task: Task, query: Query, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """People with up to three cells taken from training rows, snapped or not."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(query)), 6)
    rows = query.rows[owner].copy()
    for _ in range(3):
        j = rng.integers(0, rows.shape[1], len(rows))
        donor = task.rows[rng.integers(0, len(task.rows), len(rows)), j]
        hit = rng.random(len(rows)) < 0.6
        rows[hit, j[hit]] = donor[hit]
    return owner, rows


@cases(100)
@given(st.data(), worlds(), seeds)
def test_feasible_says_what_the_slow_checker_says(data: st.DataObject, world: World, seed: int) -> None:
    kept = data.draw(limits(world.schema))
    task = world.task()
    query = make_query(task, world.people, **kept)
    owner, rows = changed_rows(world, task, query, seed)
    people, answers = task.codec.decode(query.rows).to_dict("records"), task.codec.decode(rows).to_dict("records")
    words = [
        problems(world.schema, people[i], answer, seen=world.train, **kept)
        for i, answer in zip(owner, answers, strict=True)
    ]
    slow = np.array([not found for found in words])
    np.testing.assert_array_equal(feasible(task, query, owner, rows), slow)
    np.testing.assert_array_equal(breaches(task, query, owner, rows) == "", slow)


@cases(40)
@given(worlds(), seeds, st.sampled_from(KINDS))
def test_valid_is_what_predict_says_of_the_saved_row(world: World, seed: int, kind: str) -> None:
    task = world.task(kind)
    query = make_query(task, world.people)
    owner, rows = changed_rows(world, task, query, seed)
    found = verify(task, query, Candidates.of(owner, rows, "hand"))
    frame = task.codec.decode(rows)
    proba = np.sort(task.classifier.predict_proba(frame), axis=1)
    clear = proba[:, -1] - proba[:, -2] > 1e-6
    wanted = (task.classifier.predict(frame) == world.schema.target) & clear
    np.testing.assert_array_equal(found.valid, wanted)


def test_the_price_of_an_answer_counts_changes_and_half_the_distance() -> None:
    price = cost(TASK, asked(), np.array([0, 0]), np.vstack([encoded(steps=8000), encoded()]), plausibility=0)
    assert price.tolist() == [2.0, 0.0]


def test_the_price_of_being_unlike_the_data_never_falls_as_it_gets_worse() -> None:
    prices = outlier_price(np.array([5.0, COMFORT, 0.1, 0.0, -1e-9, -0.5, -2.0, -50.0]))
    assert (np.diff(prices) >= 0).all()
    assert prices[:2].tolist() == [0.0, 0.0]
    assert prices[4] >= OUTLIER_WEIGHT * 0.9
    assert prices[-1] == prices[-2]


def test_rules_asked_of_the_row_are_all_kept_in_mind() -> None:
    rules = (*TASK.schema.rules, Linear({"steps": 1.0}, "<=", 8500))
    strict = hand_task(replace(TASK.schema, rules=rules))
    query = make_query(strict, pd.DataFrame([BASE]))
    text = breaches(strict, query, np.array([0]), encoded(steps=9000))[0]
    assert text == "breaks 1 steps <= 8500"
