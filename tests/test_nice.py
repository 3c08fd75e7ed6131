"""NICE: the nearest unlike neighbour, the order of the steps, limits and the rule filter."""

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
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.generators.nice import Autoencoder, Nice
from strategies import cases, limits, worlds
from worlds import KINDS, World

OPTIMISERS = ["sparsity", "proximity", "plausibility"]

#: Three numbers from 0 to 10; the only unlike neighbours are (4, 10, 2), which is near, and (10, 10, 10).
ROWS = pd.DataFrame({"a": [0, 4, 10], "b": [0, 10, 10], "c": [0, 2, 10], "y": ["no", "yes", "yes"]})
FACTUAL = pd.DataFrame({"a": [0], "b": [0], "c": [0]})


def small(chance: Any, **edits: Any) -> Task:
    schema = FeatureSchema(
        tuple(Feature(n, "integer", low=0, high=10, step=1) for n in "abc"), "y", ("no", "yes"), "yes"
    )
    return Task(schema.edit(**edits), ROWS, Stub(chance, ("no", "yes")))


def weighted(X: pd.DataFrame) -> Any:
    """Over a half from 4.5 points on; the neighbour (4, 10, 2) has 1.6 of a, 5 of b and 3 of c."""
    points = 0.4 * X["a"] + 0.5 * X["b"] + 1.5 * X["c"]
    return np.clip(0.501 + (points - 4.5) / 12, 0, 1)


def answer(task: Task, query: Query | None = None, **options: Any) -> Candidates:
    query = make_query(task, FACTUAL) if query is None else query
    return Nice(task, **options).propose(query, np.random.default_rng(0))


def bad(task: Task) -> pd.DataFrame:
    """Training rows that the classifier does not put in the target class."""
    return task.train[task.classifier.predict(task.train[task.schema.names]) != task.schema.target]


@cases(30)
@given(st.data(), worlds(asked=4), st.sampled_from(KINDS), st.sampled_from(["sparsity", "proximity"]), st.booleans())
def test_candidates_are_valid_and_keep_every_limit_they_can_be_told(
    data: st.DataObject, world: World, kind: str, optimiser: Any, filter_rules: bool
) -> None:
    asked = data.draw(limits(world.schema))
    task = world.task(kind)
    query = make_query(task, world.people, **asked)
    found = answer(task, query, optimiser=optimiser, filter_rules=filter_rules)
    assert sorted(found.query.tolist()) == list(range(len(query)))
    assert (np.isnan(found.rows).all(axis=1) == (found.reason != "")).all() or np.isnan(query.rows).any()
    done = found.take(found.reason == "")
    people = task.codec.decode(query.rows).to_dict("records")
    told = world.schema if filter_rules else replace(world.schema, rules=())
    for i, row in zip(done.query, task.codec.decode(done.rows).to_dict("records"), strict=True):
        assert problems(told, people[i], row, seen=world.train, **asked) == []
    assert task.valid(task.judge(done.rows), query.target[done.query]).all()


def test_sparsity_takes_the_largest_gain_first() -> None:
    assert answer(small(weighted)).rows.tolist() == [[0, 10, 0]]


def test_proximity_takes_the_largest_gain_per_distance_first() -> None:
    # Points per share of the range: a 4, b 5, c 15; c does not suffice, with b it does.
    assert answer(small(weighted), optimiser="proximity").rows.tolist() == [[0, 10, 2]]


def test_the_root_of_heom_makes_steps_after_the_first_cheaper() -> None:
    # After c, 0.2 away: a adds sqrt(0.2) - 0.2 = 0.25 for 1.6 points, b sqrt(1.04) - 0.2 = 0.82 for 5.
    assert answer(small(weighted), optimiser="proximity", distance="heom").rows.tolist() == [[4, 0, 2]]


def test_equal_rewards_go_in_the_order_of_the_features() -> None:
    task = small(lambda X: np.where((X["a"] == 4).astype(int) + (X["b"] == 10) + (X["c"] == 2) >= 2, 0.9, 0.1))
    assert answer(task).rows.tolist() == [[4, 10, 0]]


def slow_distance(task: Task, a: np.ndarray, b: np.ndarray, power: int) -> float:
    total = 0.0
    for j, feature in enumerate(task.schema.features):
        if np.isnan(a[j]) or np.isnan(b[j]):
            total += 1
        elif feature.numeric:
            seen = task.rows[:, j][~np.isnan(task.rows[:, j])]
            total += (abs(a[j] - b[j]) / (seen.max() - seen.min())) ** power
        else:
            total += float(a[j] != b[j])
    return float(total ** (1 / power))


@pytest.mark.parametrize(
    ("optimiser", "distance"),
    [("sparsity", "sum"), ("sparsity", "heom"), ("proximity", "sum"), ("plausibility", "sum")],
)
def test_every_new_value_comes_from_the_nearest_unlike_neighbour(
    mixed_task: Task, optimiser: str, distance: str
) -> None:
    free = mixed_task.schema.edit(age={"role": "actionable"}, steps={"direction": "any"})
    task = Task(free, mixed_task.train, mixed_task.classifier)
    query = make_query(task, bad(task).dropna().head(15))
    found = answer(task, query, optimiser=optimiser, distance=distance)
    predicted = task.judge(task.rows, final=True).predicted
    unlike = task.rows[(task.y == query.target[0]) & (predicted == query.target[0])]
    power, alike = {"sum": 1, "heom": 2}[distance], 0
    for base, row in zip(query.rows, found.rows, strict=True):
        near = unlike[np.argmin([slow_distance(task, base, other, power) for other in unlike])]
        if np.isnan(near).any():
            continue  # a blank is not taken over, so the next neighbour may have to do
        changed = task.codec.changed(base, row)
        assert changed.any()
        assert (row[changed] == near[changed]).all()
        alike += 1
    assert alike >= 10


def test_a_locked_feature_sends_it_to_a_neighbour_that_does_without() -> None:
    task = small(lambda X: np.where((X["b"] == 10) & ((X["a"] == 10) | (X["c"] == 2)), 0.9, 0.1))
    assert answer(task).rows.tolist() == [[4, 10, 2]]
    # Without c, (4, 10, 2) is of no use; the values of (10, 10, 10) are.
    assert answer(task, make_query(task, FACTUAL, lock=["c"])).rows.tolist() == [[10, 10, 0]]


def test_values_are_taken_over_as_far_as_the_range_allows() -> None:
    query = make_query(small(weighted), FACTUAL, ranges={"b": (None, 8)})
    assert answer(small(weighted), query).rows.tolist() == [[0, 8, 2]]


@pytest.mark.parametrize("limit", [{"lock": ["b"]}, {"directions": {"b": "decrease"}}, {"ranges": {"b": (0, 3)}}])
def test_no_neighbour_is_an_abstention_with_its_reason(limit: dict[str, Any]) -> None:
    task = small(lambda X: np.where(X["b"] >= 4, 0.9, 0.1))
    found = answer(task, make_query(task, FACTUAL, **limit))
    assert np.isnan(found.rows).all()
    assert found.reason.tolist() == [
        "no training row of the target class, with its values where they may change, is valid"
    ]


def test_no_training_row_of_the_target_class_is_an_abstention_too() -> None:
    found = answer(small(lambda X: np.full(len(X), 0.1)))
    assert found.reason.tolist() == [
        "no training row of the target class, with its values where they may change, is valid"
    ]


def test_neighbours_are_found_block_by_block_as_all_at_once(mixed_task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    query = make_query(mixed_task, bad(mixed_task).head(20))
    at_once = answer(mixed_task, query)
    monkeypatch.setattr("sensecf.generators.nice.BLOCK", 700)
    np.testing.assert_array_equal(answer(mixed_task, query).rows, at_once.rows)


def test_too_small_a_budget_is_an_abstention_with_its_reason() -> None:
    task = small(weighted)
    found = answer(task, make_query(task, FACTUAL, lock=["b"], max_changes=1))
    assert found.reason.tolist() == ["the way to the neighbour needs more than 1 changes"]
    assert answer(task, make_query(task, FACTUAL, lock=["b"], max_changes=2)).rows.tolist() == [[4, 0, 2]]


def test_it_walks_on_until_the_margin_is_met() -> None:
    task = small(weighted)
    assert answer(task, make_query(task, FACTUAL, margin=0.5)).rows.tolist() == [[0, 10, 2]]


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_without_the_filter_rules_are_broken_and_with_it_none(mixed_task: Task, optimiser: str) -> None:
    query = make_query(mixed_task, bad(mixed_task).head(40))
    kept = []
    for filter_rules in (False, True):
        found = answer(mixed_task, query, optimiser=optimiser, filter_rules=filter_rules)
        found = found.take(found.reason == "")
        assert len(found) > 30
        kept.append(verify(mixed_task, query, found).feasible)
    assert not kept[0].all()
    assert kept[1].all()


def test_the_names_tell_the_variants_apart(numeric_task: Task) -> None:
    names = [Nice(numeric_task, optimiser=o, filter_rules=f).name for o in ("sparsity", "proximity") for f in (0, 1)]  # type: ignore[arg-type]
    assert names == ["nice-sparsity", "nice-sparsity-filtered", "nice-proximity", "nice-proximity-filtered"]


def test_the_cost_stays_within_what_is_stated_and_calls_do_not_grow_with_the_queries(mixed_task: Task) -> None:
    nice = Nice(mixed_task)
    query = make_query(mixed_task, bad(mixed_task).head(60))
    d, before = len(mixed_task.schema), mixed_task.rows_judged
    sizes: list[int] = []
    asked = mixed_task.judge
    mixed_task.judge = lambda rows, final=False: sizes.append(len(rows)) or asked(rows, final)  # type: ignore
    try:
        nice.propose(query, np.random.default_rng(0))
    finally:
        del mixed_task.judge
    assert mixed_task.rows_judged - before <= len(query) * (65 + d * (d + 1) / 2)
    assert len(sizes) <= 4 + 1 + d


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_order_of_the_queries_does_not_matter(mixed_task: Task, optimiser: Any) -> None:
    query = make_query(mixed_task, bad(mixed_task).head(30))
    order = np.random.default_rng(0).permutation(30)
    nice = Nice(mixed_task, optimiser=optimiser)
    once = nice.propose(query, np.random.default_rng(0))
    again = Nice(mixed_task, optimiser=optimiser).propose(query.take(order), np.random.default_rng(1))
    np.testing.assert_array_equal(once.rows[order], again.rows)


def test_the_autoencoder_gives_real_rows_back_better_than_shuffled_ones(mixed_task: Task) -> None:
    critic = Autoencoder(mixed_task)
    rng = np.random.default_rng(0)
    shuffled = np.column_stack([rng.permutation(column) for column in mixed_task.rows.T])
    assert critic.error(mixed_task.rows).mean() < 0.8 * critic.error(shuffled).mean()


@pytest.mark.parametrize("option", [{"optimiser": "speed"}, {"distance": "l2"}])
def test_an_unknown_option_is_refused(numeric_task: Task, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is unknown; use"):
        Nice(numeric_task, **option)
