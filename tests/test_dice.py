"""DiCE behind the adapter: its limits told, its traps avoided, its deaths in the table."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("dice_ml", reason="the package dice-ml is not installed")

from handmade import random_task
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.generators.dice import Dice

METHODS = ("random", "genetic", "kdtree")


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task()


def bad(task: Task, count: int = 3, **asked: object) -> Query:
    """Queries about people outside the target class."""
    people = task.train[task.judge(task.rows).predicted != task.target_position("good")].head(count)
    return make_query(task, people, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_it_answers_with_rows_that_the_classifier_puts_in_the_target(task: Task, method: str) -> None:
    query = bad(task)
    found = Dice(task, method=method).propose(query, np.random.default_rng(0))  # type: ignore[arg-type]
    answered = found.take(found.reason == "")
    assert set(answered.query) == {0, 1, 2}
    assert verify(task, query, answered).valid.mean() > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_what_is_locked_keeps_its_own_value_although_dice_rounds(task: Task, method: str) -> None:
    query = bad(task, lock=["x1", "kind"])
    rows = query.rows.copy()
    rows[:, 1] += 0.0123  # no multiple of the step, and more decimals than the column shows
    query = make_query(task, task.codec.decode(rows), lock=["x1", "kind"])
    found = Dice(task, method=method).propose(query, np.random.default_rng(0))  # type: ignore[arg-type]
    answered = found.take(found.reason == "")
    assert method == "kdtree" or len(answered)  # a k-d tree knows training rows only, and none has that value
    np.testing.assert_array_equal(answered.rows[:, [1, 4]], rows[answered.query][:, [1, 4]])


def test_ranges_and_directions_hold(task: Task) -> None:
    query = bad(task, ranges={"x0": (None, 0.5)}, directions={"x2": "decrease"})
    found = Dice(task).propose(query, np.random.default_rng(0))
    answered = found.take(found.reason == "")
    assert len(answered)
    assert (answered.rows[:, 0] <= np.maximum(0.5, query.rows[answered.query, 0]) + 1e-9).all()
    assert (answered.rows[:, 2] <= query.rows[answered.query, 2] + 1e-9).all()


def test_the_features_of_a_sample_are_drawn_independently(task: Task) -> None:
    """DiCE's own `random_seed` seeds anew for every feature: all would be correlated by 1."""
    dice = Dice(task)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    inner = dice._dice
    samples = inner.get_samples({}, {f"f{j}": [-5.0, 5.0] for j in range(4)} | {"f4": ["0", "1"]}, None, 500)
    seeded = inner.get_samples({}, {f"f{j}": [-5.0, 5.0] for j in range(4)} | {"f4": ["0", "1"]}, 7, 500)
    assert np.abs(np.corrcoef(samples[["f0", "f1", "f2"]].to_numpy(float).T) - np.eye(3)).max() < 0.2
    assert np.corrcoef(seeded[["f0", "f1"]].to_numpy(float).T)[0, 1] > 0.99, "the trap is gone: use random_seed"


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_rows_and_the_global_generators_are_put_back(task: Task, method: str) -> None:

    def states() -> tuple[object, object]:
        return random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]  # noqa: NPY002

    before = states()
    runs = [Dice(task, method=method).propose(bad(task), np.random.default_rng(3)).rows for _ in range(2)]  # type: ignore[arg-type]
    np.testing.assert_array_equal(*runs)
    assert states() == before


def test_every_row_the_classifier_sees_is_counted(task: Task) -> None:
    dice, query, before = Dice(task), bad(task, 1), task.rows_judged
    dice.propose(query, np.random.default_rng(0))
    assert task.rows_judged - before >= 2000  # two rounds of 1,000 samples


def test_a_query_has_its_time_and_no_more(task: Task) -> None:
    found = Dice(task, seconds=0.0).propose(bad(task), np.random.default_rng(0))
    assert set(found.reason) == {"stopped after 0 s"}
    assert np.isnan(found.rows).all()


def test_whatever_it_dies_of_is_a_reason(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = Dice(task)
    monkeypatch.setattr(dice._dice, "generate_counterfactuals", lambda *_, **__: 1 / 0)
    assert set(dice.propose(bad(task), np.random.default_rng(0)).reason) == {
        "DiCE: ZeroDivisionError: division by zero"
    }


def test_where_nothing_may_change_it_is_not_asked(task: Task) -> None:
    found = Dice(task).propose(bad(task, lock=task.schema.names), np.random.default_rng(0))
    assert set(found.reason) == {"nothing may change"}


def test_a_blank_stays_a_blank(mixed_task: Task) -> None:
    """The fixture's table has blanks, whole numbers and levels."""
    holes = mixed_task.train[mixed_task.train[mixed_task.schema.names].isna().any(axis=1)]
    outside = mixed_task.judge(mixed_task.codec.encode(holes)).predicted != mixed_task.target_position(
        mixed_task.default_target()
    )
    query = make_query(mixed_task, holes[outside].head(3))
    assert len(query)
    found = Dice(mixed_task, method="genetic").propose(query, np.random.default_rng(0))
    answered = found.take(found.reason == "")
    np.testing.assert_array_equal(np.isnan(answered.rows), np.isnan(query.rows[answered.query]))
    whole = mixed_task.codec.step % 1 == 0
    steps = answered.rows[:, whole & mixed_task.codec.numeric]
    assert np.array_equal(steps[np.isfinite(steps)], steps[np.isfinite(steps)].round())


def test_no_query_gives_no_candidates(task: Task) -> None:
    assert len(Dice(task).propose(bad(task, 1).take(slice(0, 0)), np.random.default_rng(0))) == 0


def test_names_that_dice_would_stumble_over_do_not_matter() -> None:
    task = random_task()
    renamed = {"x0": "outcome", "x1": "x[1] <mg>", "x2": "a b", "x3": "1"}
    table = task.train.rename(columns=renamed)
    features = tuple(replace(f, name=renamed.get(f.name, f.name)) for f in task.schema.features)
    schema = replace(task.schema, features=features)

    class Renamed:
        classes_ = task.classifier.classes_

        def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
            return task.classifier.predict_proba(X.rename(columns={new: old for old, new in renamed.items()}))

        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return self.classes_[self.predict_proba(X).argmax(axis=1)]

    other = Task(schema, table, Renamed())
    found = Dice(other).propose(bad(other, 2), np.random.default_rng(0))
    assert (found.reason == "").all()
