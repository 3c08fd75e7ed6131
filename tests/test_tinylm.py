"""The embedded model's mask: whatever an untrained model says, a list that ends is feasible.

Random weights make wild proposals, which is the point: the mask must hold for every one of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from checker import problems
from sensecf.core.limits import Edit, make_query
from sensecf.core.query import Query
from sensecf.core.task import Ints, Task
from sensecf.generators.tiny.sampling import Draws, _pick, replay, sample
from sensecf.generators.tiny.tinylm import END, Shape, TinyLM, Vocabulary
from strategies import cases, limits, seeds, worlds
from worlds import World

SMALL = Shape(width=16, layers=1, heads=2)
#: No budget beyond the query's own.
ANY = 99


def untrained(
    task: Task, query: Query, k: int = 6, seed: int = 0, budgets: Ints | None = None, **options: Any
) -> tuple[TinyLM, Vocabulary, Draws]:
    """What a model with random weights, sharpened so that it insists on nonsense, answers."""
    torch.manual_seed(seed)
    vocabulary = Vocabulary.of(task)
    model = TinyLM(vocabulary, SMALL, longest=min(6, len(task.schema)))
    with torch.no_grad():
        model.bias.normal_(0, 2)
    state = np.zeros((len(query), 2))
    budgets, greedy = np.full(k, ANY) if budgets is None else budgets, np.arange(k) == 0
    answers = sample(model, vocabulary, task, query, state, budgets, greedy, np.random.default_rng(seed), **options)
    return model, vocabulary, answers


@cases(250)
@given(st.data(), worlds(), seeds)
def test_every_list_that_ends_is_feasible(data: st.DataObject, world: World, seed: int) -> None:
    asked = data.draw(limits(world.schema))
    task = world.task()
    query = make_query(task, world.people, **asked)
    _, _, answers = untrained(task, query, seed=seed % 1000)
    rows, ended = answers.rows, answers.ended
    people = task.codec.decode(query.rows).to_dict("records")
    for i, person in enumerate(people):
        for answer in task.codec.decode(rows[i][ended[i]]).to_dict("records"):
            assert problems(world.schema, person, answer, seen=world.train, **asked) == []


@cases(50)
@given(worlds(), seeds)
def test_a_list_that_ends_changes_something_and_names_no_feature_twice(world: World, seed: int) -> None:
    task = world.task()
    query = make_query(task, world.people)
    _, vocabulary, answers = untrained(task, query, seed=seed % 1000)
    changed = task.codec.changed(query.rows[:, None], answers.rows).any(axis=2)
    assert changed[answers.ended].all()
    for tokens in answers.tokens.reshape(-1, answers.tokens.shape[2]):
        named = vocabulary.feature[tokens[tokens != END]]
        assert len(set(named.tolist())) == len(named)


@cases(60)
@given(st.data(), worlds(), seeds)
def test_replay_leads_where_sampling_led(data: st.DataObject, world: World, seed: int) -> None:
    asked = data.draw(limits(world.schema))
    task = world.task()
    query = make_query(task, world.people, **asked)
    model, vocabulary, answers = untrained(task, query, k=3, seed=seed % 1000, keep_masks=True)
    assert answers.masks is not None
    owner = np.repeat(np.arange(len(query)), 3)
    tokens = answers.tokens.reshape(len(owner), -1)
    masks, rows, fine = replay(vocabulary, task, query.take(owner), tokens, model.longest)
    ended = answers.ended.reshape(-1)
    np.testing.assert_array_equal(rows, answers.rows.reshape(rows.shape))
    np.testing.assert_array_equal(fine, ended)
    begun = np.cumsum(tokens == END, axis=1) - (tokens == END) == 0  # up to the end and with it
    np.testing.assert_array_equal(masks.numpy()[begun], answers.masks.flatten(0, 1).numpy()[begun])


def test_without_limits_every_list_ends(numeric_task: Task) -> None:
    query = make_query(numeric_task, numeric_task.train.head(20))
    _, _, answers = untrained(numeric_task, query, k=16)
    assert answers.ended.all()


def test_lists_are_different_and_the_first_is_the_greedy_one(numeric_task: Task) -> None:
    query = make_query(numeric_task, numeric_task.train.head(5))
    _, _, many = untrained(numeric_task, query, k=16)
    _, _, one = untrained(numeric_task, query, k=1, seed=0)
    np.testing.assert_array_equal(many.rows[:, 0], one.rows[:, 0])
    assert all(len(np.unique(rows, axis=0)) > 4 for rows in many.rows)


def test_with_everything_locked_no_list_ends(numeric_task: Task) -> None:
    query = make_query(numeric_task, numeric_task.train.head(3), lock=numeric_task.schema.names)
    _, _, answers = untrained(numeric_task, query)
    assert not answers.ended.any()
    np.testing.assert_array_equal(answers.rows, np.repeat(query.rows[:, None], 6, axis=1))


def test_locks_and_budgets_differ_from_person_to_person(numeric_task: Task) -> None:
    query = make_query(numeric_task, numeric_task.train.head(4))
    query.movable[:] = np.eye(4, dtype=bool)
    _, _, answers = untrained(numeric_task, query, k=12)
    changed = numeric_task.codec.changed(query.rows[:, None], answers.rows)
    assert answers.ended.all()
    np.testing.assert_array_equal(changed.all(axis=1), np.eye(4, dtype=bool))


def test_a_whole_moves_with_its_part_and_counts_against_the_budget_where_it_is_an_edit(mixed_task: Task) -> None:
    """A whole that only follows is no change of a person's; where results are open to edits it is one."""
    people = mixed_task.train.dropna().head(12)
    others = [name for name in mixed_task.schema.names if name not in ("deep", "rem", "light", "sleep")]
    settings: list[tuple[Edit, int]] = [("actionable", 1), ("mutable", 2)]
    for edit, budget in settings:
        asked = make_query(mixed_task, people, lock=others, max_changes=budget, edit=edit)
        _, _, answers = untrained(mixed_task, asked, k=8)
        assert answers.ended.any()
        changed = mixed_task.codec.changed(asked.rows[:, None], answers.rows)[answers.ended]
        assert (changed.sum(axis=1) == 2).all()
        assert changed[:, mixed_task.schema.columns["sleep"]].all()
    _, _, none = untrained(mixed_task, make_query(mixed_task, people, lock=others, max_changes=1, edit="mutable"), k=8)
    assert not none.ended.any()


def test_the_same_seed_gives_the_same_lists(mixed_task: Task) -> None:
    query = make_query(mixed_task, mixed_task.train.head(8))
    first, second = (untrained(mixed_task, query, seed=3)[2] for _ in range(2))
    np.testing.assert_array_equal(first.tokens, second.tokens)
    np.testing.assert_array_equal(first.rows, second.rows)


def test_writing_token_by_token_equals_writing_at_once(mixed_task: Task) -> None:
    """The key-value cache, and asking once for lists that begin alike, are economies, not another model."""
    query = make_query(mixed_task, mixed_task.train.head(3))
    model, vocabulary, answers = untrained(mixed_task, query, k=2)
    conditions, features = vocabulary.prompt(query, np.zeros((3, 2)))
    prompt = model.read(torch.from_numpy(conditions), torch.from_numpy(features), torch.from_numpy(query.movable))
    tokens = torch.from_numpy(answers.tokens)
    # Two lists of the first person, one of the third: as many as each happens to have.
    owner, which = np.array([0, 0, 2]), [0, 1, 0]
    with torch.inference_mode():
        whole = model.write(tokens, prompt)[owner, which]
        past, parts = model.nothing(3), []
        for t in range(tokens.shape[2]):
            states, past = model.extend(tokens[owner, which, t], owner, prompt, past)
            parts.append(states)
    torch.testing.assert_close(torch.stack(parts, 1), whole, rtol=1e-4, atol=1e-5)


@cases(60)
@given(st.data(), worlds(), seeds)
def test_a_list_makes_no_more_changes_than_its_budget(data: st.DataObject, world: World, seed: int) -> None:
    asked = data.draw(limits(world.schema))
    task = world.task()
    query = make_query(task, world.people, **asked)
    budgets = np.array([1, 1, 2, ANY])
    _, _, answers = untrained(task, query, k=4, seed=seed % 1000, budgets=budgets)
    made = task.codec.changed(query.rows[:, None], answers.rows).sum(axis=2)
    assert (made <= np.minimum(query.max_changes[:, None], budgets))[answers.ended].all()


def test_an_answer_sees_its_own_tokens_and_no_other_answers(mixed_task: Task) -> None:
    query = make_query(mixed_task, mixed_task.train.head(2))
    model, vocabulary, answers = untrained(mixed_task, query, k=3)
    conditions, features = vocabulary.prompt(query, np.zeros((2, 2)))
    prompt = model.read(torch.from_numpy(conditions), torch.from_numpy(features), torch.from_numpy(query.movable))
    tokens = torch.from_numpy(answers.tokens).clone()
    with torch.inference_mode():
        before = model.write(tokens, prompt)
        tokens[:, 1:] = vocabulary.begin(np.array(1))
        tokens[:, 0, -1] = vocabulary.begin(np.array(1))
        after = model.write(tokens, prompt)
    torch.testing.assert_close(after[:, 0, :-1], before[:, 0, :-1])


@cases(60)
@given(worlds())
def test_every_value_of_the_vocabulary_may_be_saved(world: World) -> None:
    task = world.task()
    vocabulary = Vocabulary.of(task)
    assert vocabulary.feature[END] == -1
    for token in range(1, vocabulary.size):
        feature, value = world.schema.features[vocabulary.feature[token]], vocabulary.value[token]
        if feature.numeric:
            assert feature.low is not None
            assert feature.high is not None
            assert feature.step is not None
            assert feature.low - 1e-9 <= value <= feature.high + 1e-9
            assert abs(value / feature.step - round(value / feature.step)) < 1e-6
        else:
            assert value in range(len(feature.levels))


@cases(40)
@given(worlds())
def test_the_nearest_token_is_the_nearest(world: World) -> None:
    task = world.task()
    vocabulary = Vocabulary.of(task)
    found = vocabulary.nearest(task.rows)
    for j in range(len(world.schema)):
        values = vocabulary.values[j]
        for value, token in zip(task.rows[:, j], found[:, j], strict=True):
            if np.isnan(value):
                assert token == vocabulary.missing[j]
            else:
                assert abs(vocabulary.value[token] - value) == pytest.approx(np.abs(values - value).min())
                assert vocabulary.feature[token] == j


@cases(60)
@given(seed=seeds, size=st.integers(1, 300), share=st.sampled_from([0.02, 0.5, 1.0]))
def test_a_token_is_where_the_sum_of_the_weights_passes_the_point(seed: int, size: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    weight = (rng.random((4, size)) ** 8 * (rng.random((4, size)) < share)).astype(np.float32)
    weight[np.arange(4), rng.integers(0, size, 4)] += 0.1
    weight /= weight.sum(axis=1, keepdims=True)
    row = np.arange(40) % 4
    point = np.concatenate([[0.0, np.nextafter(1, 0)], rng.random(38)])
    token = _pick(weight, row, point)
    assert (weight[row, token] > 0).all()
    total = weight.astype(float).cumsum(axis=1)
    assert (total[row, token] >= point * total[row, -1] - 1e-6).all()
    assert (total[row, token] - weight[row, token] <= point * total[row, -1] + 1e-6).all()
