"""The embedded model trained on a thimbleful: it obeys, repeats itself, is kept and read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary import explain
from checker import problems
from handmade import Stub
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.generators.tiny.tiny import Recipe, Tiny
from sensecf.generators.tiny.tinylm import Shape
from strategies import cases, limits, worlds
from worlds import KINDS, World

THIMBLE = Recipe(
    shape=Shape(width=16, layers=1, heads=2), pairs=60, epochs=1, batch=32, rounds=1, round_queries=8, samples=6
)
SPOON = replace(THIMBLE, shape=Shape(width=32, layers=2, heads=2), pairs=200, rounds=2, round_queries=32, samples=16)


def bad(task: Task, count: int) -> pd.DataFrame:
    """Training rows that the classifier does not put in the target class."""
    found = task.train[task.classifier.predict(task.train[task.schema.names]) != task.schema.target]
    return found.head(count)


@pytest.fixture(scope="module")
def tiny(mixed_task: Task) -> Tiny:
    return Tiny(mixed_task, seed=1, recipe=SPOON)


@cases(25)
@given(st.data(), worlds(asked=4), st.sampled_from(KINDS))
def test_any_world_can_be_learned_and_what_is_proposed_is_feasible(
    data: st.DataObject, world: World, kind: str
) -> None:
    task = world.task(kind)
    asked = data.draw(limits(world.schema))
    query = make_query(task, world.people, **asked)
    found = Tiny(task, recipe=THIMBLE).propose(query, np.random.default_rng(0))
    assert set(found.query.tolist()) == set(range(len(query)))
    proposed = found.take(found.reason == "")
    people = task.codec.decode(query.rows).to_dict("records")
    for i, answer in zip(proposed.query, task.codec.decode(proposed.rows).to_dict("records"), strict=True):
        assert problems(world.schema, people[i], answer, seen=world.train, **asked) == []


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"lock": ("steps", "deep")},
        {"ranges": {"deep": (60, 120)}, "max_changes": 2},
        {"directions": {"coffee": "decrease", "deep": "increase"}},
    ],
    ids=str,
)
def test_answers_hold_to_what_was_asked_as_saved(tiny: Tiny, asked: dict[str, Any]) -> None:
    task = tiny.task
    asked = asked | {"edit": "mutable"}
    people = bad(task, 40)
    found = explain(task, tiny, people, n=2, **asked)
    assert set(found.to_frame()["query"]) == set(people.index)
    assert len(found.answers) > 5
    answers = found.answers
    assert (task.classifier.predict(answers[task.schema.names]) == "low").all()
    for _, answer in answers.iterrows():
        assert problems(task.schema, people.loc[answer["query"]], answer, seen=task.train, **asked) == []


def test_proposals_of_a_person_are_distinct(tiny: Tiny) -> None:
    query = make_query(tiny.task, bad(tiny.task, 20))
    found = tiny.propose(query, np.random.default_rng(0))
    keys = np.column_stack([found.query, np.nan_to_num(found.rows, nan=-1e9)])
    assert len(np.unique(keys, axis=0)) == len(keys)


def test_greedy_gives_one_answer_or_reason_each(tiny: Tiny) -> None:
    query = make_query(tiny.task, bad(tiny.task, 20))
    found = tiny.greedy(query)
    assert found.query.tolist() == list(range(20))
    assert (np.isnan(found.rows).all(axis=1) == (found.reason != "")).all()


def test_with_everything_locked_it_says_why_it_is_silent(tiny: Tiny) -> None:
    query = make_query(tiny.task, bad(tiny.task, 3), lock=tiny.task.schema.names)
    found = tiny.propose(query, np.random.default_rng(0))
    assert found.query.tolist() == [0, 1, 2]
    assert all(found.reason)


def propose(generator: Tiny, query: Query) -> np.ndarray:
    return generator.propose(query, np.random.default_rng(7)).rows


def test_the_same_seed_learns_the_same_and_another_seed_something_else(mixed_task: Task, tiny: Tiny) -> None:
    query = make_query(mixed_task, bad(mixed_task, 10))
    again = Tiny(mixed_task, seed=1, recipe=SPOON)
    np.testing.assert_array_equal(propose(tiny, query), propose(again, query))
    other = Tiny(mixed_task, seed=2, recipe=SPOON)
    assert other.fingerprint != tiny.fingerprint
    assert not np.array_equal(propose(tiny, query), propose(other, query))


def test_asking_does_not_change_the_model(mixed_task: Task, tiny: Tiny) -> None:
    query = make_query(mixed_task, bad(mixed_task, 10))
    first = propose(tiny, query)
    explain(mixed_task, tiny, bad(mixed_task, 5))
    np.testing.assert_array_equal(propose(tiny, query), first)


def test_a_model_is_kept_and_read_back(mixed_task: Task, tmp_path: Path) -> None:
    said: list[str] = []
    fresh = Tiny(mixed_task, recipe=THIMBLE, cache=tmp_path, progress=lambda phase, share: said.append(phase))
    assert said
    trained = len(said)
    kept = Tiny(mixed_task, recipe=THIMBLE, cache=tmp_path, progress=lambda phase, share: said.append(phase))
    assert len(said) == trained  # nothing was learned again
    query = make_query(mixed_task, bad(mixed_task, 10))
    np.testing.assert_array_equal(propose(fresh, query), propose(kept, query))
    assert kept.history == fresh.history


def test_a_model_is_not_reused_for_another_task_recipe_or_dial(mixed_task: Task, tmp_path: Path) -> None:
    Tiny(mixed_task, recipe=THIMBLE, cache=tmp_path)
    train = mixed_task.train
    relabelled = train.assign(coffee=train["coffee"].iloc[::-1].to_numpy())
    others = [
        (Task(mixed_task.schema, relabelled, mixed_task.classifier), {}),
        (Task(mixed_task.schema.edit(deep={"high": 170}), train, mixed_task.classifier), {}),
        (Task(mixed_task.schema, train, Stub(lambda X: X["coffee"] / 5, ("high", "low"))), {}),
        (mixed_task, {"seed": 5}),
        (mixed_task, {"plausibility": 0.5}),
        (mixed_task, {"recipe": replace(THIMBLE, epochs=2)}),
    ]
    names = {path.name for path in tmp_path.iterdir()}
    for task, options in others:
        names.add(Tiny(task, **({"recipe": THIMBLE, "cache": tmp_path} | options)).fingerprint)
    assert len(names) == len(others) + 1
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize("name", ["tiny.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe\x00\x01nonsense"])
def test_a_damaged_copy_is_learned_again_and_mended(
    mixed_task: Task, tmp_path: Path, name: str, content: bytes
) -> None:
    fresh = Tiny(mixed_task, recipe=THIMBLE, cache=tmp_path)
    path = tmp_path / fresh.fingerprint / name
    good = path.read_bytes()
    path.write_bytes(content)
    Tiny(mixed_task, recipe=THIMBLE, cache=tmp_path)
    assert path.read_bytes() == good


def test_a_kept_model_holds_no_pickle_and_its_record_is_plain_json(mixed_task: Task, tmp_path: Path) -> None:
    fresh = Tiny(mixed_task, recipe=THIMBLE, cache=tmp_path)
    folder = tmp_path / fresh.fingerprint
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".safetensors"}
    record = json.loads((folder / "tiny.json").read_text(encoding="utf-8"))
    assert record["fingerprint"] == fresh.fingerprint


def test_progress_runs_from_nothing_to_all_in_every_phase(mixed_task: Task) -> None:
    told: dict[str, list[float]] = {}
    Tiny(mixed_task, recipe=THIMBLE, progress=lambda phase, share: told.setdefault(phase, []).append(share))
    assert len(told) > 1
    for shares in told.values():
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


def test_learning_makes_the_taught_lists_likelier(mixed_task: Task) -> None:
    longer = Tiny(mixed_task, recipe=replace(SPOON, epochs=12, rounds=0))
    losses = longer.history["loss"]
    third = len(losses) // 3
    assert np.mean(losses[-third:]) < 0.8 * np.mean(losses[:third])


def test_a_classifier_that_never_says_the_target_leaves_nothing_to_learn(mixed_task: Task) -> None:
    stubborn = Task(mixed_task.schema, mixed_task.train, Stub(lambda X: np.full(len(X), 0.1), ("high", "low")))
    people = mixed_task.train.head(3)
    try:
        generator = Tiny(stubborn, recipe=THIMBLE)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    found = explain(stubborn, generator, people)
    assert len(found.answers) == 0
    assert len(found.abstentions) == 3
