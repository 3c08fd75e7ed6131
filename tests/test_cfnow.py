"""CFNOW: steps, the tabu list and longer steps, the way back, limits, budgets and the rule filter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker import problems
from handmade import Stub
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.rules import Order
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.generators.cfnow import CFNow
from strategies import cases, limits, worlds
from worlds import KINDS, World

STRATEGIES = ["greedy", "random"]

#: Two numbers that training shows from 0 to 100, the schema allows from -100 to 200, and one level.
SCHEMA = FeatureSchema(
    (
        Feature("a", "continuous", low=-100, high=200, step=0.01),
        Feature("b", "continuous", low=-100, high=200, step=0.01),
        Feature("pill", "categorical", levels=("none", "half", "whole")),
    ),
    "y",
    ("no", "yes"),
    "yes",
)
ROWS = pd.DataFrame({"a": [0.0, 100.0], "b": [0.0, 100.0], "pill": ["none", "half"], "y": ["no", "yes"]})


def small(chance: Any, schema: FeatureSchema = SCHEMA) -> Task:
    return Task(schema, ROWS, Stub(chance, ("no", "yes")))


def factual(**edits: Any) -> pd.DataFrame:
    return pd.DataFrame([{"a": 50.0, "b": 50.0, "pill": "none"} | edits])


def answer(task: Task, query: Query, seed: int = 0, **options: Any) -> Candidates:
    return CFNow(task, **options).propose(query, np.random.default_rng(seed))


def crowd(people: int = 80) -> tuple[Task, pd.DataFrame]:
    """Six numbers and a level with a cheap logistic answer, an order of two numbers, and who is in the wrong class."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(0, 100, (people, 6)).round(), columns=list("uvwxyz"))
    table["v"] = np.maximum(table["u"], table["v"])
    table["pill"] = rng.choice(["none", "half", "whole"], people)

    def chance(X: pd.DataFrame) -> Any:
        points = X["u"] - 0.8 * X["v"] + 0.6 * X["w"] + 0.3 * X["x"] + 20 * (X["pill"] == "whole")
        return 1 / (1 + np.exp(-(points - 60) / 15))

    numbers = tuple(Feature(name, "continuous", low=0, high=150, step=0.5) for name in "uvwxyz")
    schema = FeatureSchema((*numbers, SCHEMA["pill"]), "class", ("no", "yes"), "yes", rules=(Order(("u", "v")),))
    table["class"] = np.where(chance(table) > 0.5, "yes", "no")
    task = Task(schema, table, Stub(chance, ("no", "yes")))
    return task, table[table["class"] == "no"]


TASK, WRONG = crowd()


@cases(20)
@given(st.data(), worlds(asked=2), st.sampled_from(KINDS), st.sampled_from(STRATEGIES), st.booleans())
def test_candidates_are_valid_and_keep_every_limit_they_can_be_told(
    data: st.DataObject, world: World, kind: str, strategy: Any, filter_rules: bool
) -> None:
    asked = data.draw(limits(world.schema))
    task = world.task(kind)
    query = make_query(task, world.people, **asked)
    found = answer(task, query, strategy=strategy, filter_rules=filter_rules, max_rows=150)
    assert found.query.tolist() == list(range(len(query)))
    done = found.take(found.reason == "")
    people = task.codec.decode(query.rows).to_dict("records")
    told = world.schema if filter_rules else replace(world.schema, rules=())
    for i, row in zip(done.query, task.codec.decode(done.rows).to_dict("records"), strict=True):
        assert problems(told, people[i], row, seen=world.train, **asked) == []
    assert task.valid(task.judge(done.rows), query.target[done.query]).all()
    assert np.isnan(found.rows[found.reason != ""]).all()


def test_a_step_is_a_tenth_of_the_share_of_the_training_range() -> None:
    task = small(lambda X: np.clip(0.40 + (X["a"] - 50) / 100 + (X["b"] - 50) / 200, 0, 1))
    seen: list[pd.DataFrame] = []
    asked = task.classifier.predict_proba
    task.classifier.predict_proba = lambda X: seen.append(X) or asked(X)  # type: ignore
    CFNow(task).propose(make_query(task, factual()), np.random.default_rng(0))
    first = next(X for X in seen if len(X) > 1 and "pill" in X and X["a"].iloc[0] == 50)
    steps = first[["a", "b", "pill"]].to_numpy().tolist()
    assert steps == [
        [50, 50, "half"], [50, 50, "whole"], [55, 50, "none"], [50, 55, "none"], [45, 50, "none"], [50, 45, "none"],
    ]  # fmt: skip


def test_it_walks_back_towards_the_factual_until_the_class_is_lost() -> None:
    # Over a half from a = 61 on; steps lead to 55, 60.5 and 66.55.
    task = small(lambda X: np.clip(0.5 + (X["a"] - 60.995) / 200, 0, 1))
    found = answer(task, make_query(task, factual()))
    a, b, pill = found.rows[0]
    assert (b, pill) == (50, 0)
    assert 61 <= a <= 61 + 0.1 * (61 - 50)


def test_a_plateau_is_left_with_a_longer_step() -> None:
    # Nothing changes until a passes 120, beyond what training shows and within the range that is asked for.
    task = small(lambda X: np.where(X["a"] > 120, 0.9, 0.1))
    found = answer(task, make_query(task, factual(), ranges={"a": (-100, 200), "b": (-100, 200)}))
    assert found.reason.tolist() == [""]
    assert 120 < found.rows[0, 0] < 128


def test_a_value_at_the_smallest_of_the_training_rows_does_not_move() -> None:
    task = small(lambda X: np.clip(0.4 + X["a"] / 100, 0, 1))
    found = answer(task, make_query(task, factual(a=0.0), lock=["b", "pill"]))
    assert found.reason.tolist() == ["no step is left that the limits allow"]


def test_a_small_step_is_at_least_one_step_of_the_schema() -> None:
    coarse = SCHEMA.edit(a={"kind": "integer", "step": 10, "low": -100, "high": 200})
    task = small(lambda X: np.clip(0.5 + (X["a"] - 65) / 200, 0, 1), coarse)
    assert answer(task, make_query(task, factual(a=20.0), lock=["b", "pill"])).rows[0, 0] == 70


def test_a_level_is_taken_and_given_back_wholly() -> None:
    task = small(lambda X: np.where(X["pill"] == "whole", 0.9, 0.1))
    assert answer(task, make_query(task, factual())).rows.tolist() == [[50, 50, 2]]


def test_a_search_whose_probability_falls_ends_as_the_original_does() -> None:
    # One step up to 55 gains 0.2; every further step, in either direction, loses more than the list forgives.
    task = small(lambda X: np.select([X["a"] == 55, X["a"] == 50], [0.4, 0.2], 0.3))
    found = answer(task, make_query(task, factual(), lock=["b", "pill"]))
    assert found.reason.tolist() == ["the target's probability fell before a valid row was found"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_everyone_is_answered_where_nothing_is_forbidden(strategy: Any) -> None:
    query = make_query(TASK, WRONG.head(30))
    found = answer(TASK, query, strategy=strategy, max_rows=1_000)
    assert (found.reason == "").all()
    assert verify(TASK, query, found).valid.all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_more_classifier_rows_never_bring_a_farther_answer(strategy: Any) -> None:
    query = make_query(TASK, WRONG.head(8))
    distances = []
    for rows in (60, 160, 400) if strategy == "greedy" else (250, 1_000, 2_500):
        found = answer(TASK, query, strategy=strategy, max_rows=rows)
        apart = np.abs(found.rows - query.rows) / (TASK.observed_high - TASK.observed_low)
        apart = np.where(TASK.codec.numeric, apart, found.rows != query.rows).sum(axis=1)
        distances.append(np.where(found.reason == "", apart, np.inf))
    assert (distances[0] >= distances[1]).all()
    assert (distances[1] >= distances[2]).all()
    answered = np.isfinite(distances[0])
    assert (distances[0] > distances[2])[answered].any()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_budget_of_rows_is_kept_but_for_the_last_round(strategy: Any) -> None:
    before = TASK.rows_judged
    answer(TASK, make_query(TASK, WRONG.iloc[[3]]), strategy=strategy, max_rows=200)
    assert 200 <= TASK.rows_judged - before < 200 + 101


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_early_end_is_an_abstention_with_its_reason(strategy: Any) -> None:
    task = small(lambda X: np.full(len(X), 0.1))
    query = make_query(task, factual(), ranges={"a": (-100, 200), "b": (-100, 200)})
    found = answer(task, query, strategy=strategy, max_rows=50)
    assert found.reason.tolist() == ["no valid row within 50 classifier rows"]
    assert answer(task, query, strategy=strategy, seconds=0).reason.tolist() == ["no valid row within 0 s"]
    locked = make_query(task, factual(), lock=task.schema.names)
    assert answer(task, locked, strategy=strategy).reason.tolist() == ["no step is left that the limits allow"]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("budget", [1, 2])
def test_a_budget_of_changes_is_kept(strategy: Any, budget: int) -> None:
    query = make_query(TASK, WRONG.head(20), max_changes=budget)
    found = answer(TASK, query, strategy=strategy, max_rows=400)
    done = found.take(found.reason == "")
    assert len(done) >= 5
    assert (TASK.codec.changed(query.rows[done.query], done.rows).sum(axis=1) <= budget).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_the_filter_rules_are_broken_and_with_it_none(strategy: Any) -> None:
    query = make_query(TASK, WRONG.head(20))
    kept = []
    for filter_rules in (False, True):
        found = answer(TASK, query, strategy=strategy, filter_rules=filter_rules, max_rows=900)
        found = found.take(found.reason == "")
        assert len(found) >= 15
        kept.append(verify(TASK, query, found).feasible)
    assert not kept[0].all()
    assert kept[1].all()


def test_a_round_is_one_call_to_the_classifier_for_all_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    asked = TASK.judge
    monkeypatch.setattr(TASK, "judge", lambda rows, final=False: calls.append(len(rows)) or asked(rows, final))
    alone = []
    for i in range(12):
        calls.clear()
        answer(TASK, make_query(TASK, WRONG.iloc[[i]]), max_rows=200)
        alone.append(len(calls))
    calls.clear()
    answer(TASK, make_query(TASK, WRONG.head(12)), max_rows=200)
    assert len(calls) == max(alone)


def test_greedy_answers_do_not_depend_on_the_other_queries() -> None:
    query = make_query(TASK, WRONG.head(8))
    together = answer(TASK, query, max_rows=300)
    for i in range(len(query)):
        alone = answer(TASK, query.take(np.array([i])), max_rows=300)
        np.testing.assert_array_equal(together.rows[[i]], alone.rows)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_proposes_the_same_rows_and_only_random_another_seed_others(strategy: Any) -> None:
    query = make_query(TASK, WRONG.head(10))
    one, again, other = (answer(TASK, query, seed, strategy=strategy, max_rows=900) for seed in (5, 5, 6))
    assert one.rows.tobytes() == again.rows.tobytes()
    assert one.reason.tolist() == again.reason.tolist()
    assert (one.rows.tobytes() == other.rows.tobytes()) == (strategy == "greedy")


def test_the_names_tell_the_variants_apart(numeric_task: Task) -> None:
    names = [CFNow(numeric_task, strategy=s, filter_rules=f).name for s in STRATEGIES for f in (False, True)]  # type: ignore[arg-type]
    assert names == ["cfnow-greedy", "cfnow-greedy-filtered", "cfnow-random", "cfnow-random-filtered"]


@pytest.mark.parametrize("option", [{"strategy": "best"}, {"max_rows": 0}])
def test_an_impossible_option_is_refused(numeric_task: Task, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"use greedy, random|at least 1"):
        CFNow(numeric_task, **option)
