"""A jury is made of refits under a named change; what it says is theirs, and it comes back from disk as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from handmade import Stub, calm, hand_task, random_task
from sensecf import fit_classifier
from sensecf.classifiers import change
from sensecf.classifiers.change import CHANGES, Source, refit, unfitted
from sensecf.classifiers.fit import NAMES
from sensecf.classifiers.jury import Jury, fingerprint
from sensecf.core.errors import InputError
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task


def drawn(task: Task, name: str, key: int = 0, when: pd.Series[Any] | None = None) -> tuple[np.ndarray, list[Any]]:
    source = Source.of(task, when)
    number = list(CHANGES).index(name)
    return change._drawn(source, source.people, name, np.random.default_rng([number, 0, key]))


def test_bootstrap_draws_whole_people() -> None:
    task = random_task(people=60)  # two rows of each person
    at, _ = drawn(task, "bootstrap")
    counts = np.bincount(at, minlength=60)
    assert (counts[::2] == counts[1::2]).all()
    assert counts.max() > 1
    assert (counts == 0).any()
    assert len(at) == 60


def test_fewer_leaves_out_a_tenth_of_the_people_with_all_their_rows() -> None:
    at, _ = drawn(random_task(people=60), "fewer")
    assert len(at) == 54
    assert len(set((at // 2).tolist())) == 27


def test_labels_gets_one_in_twenty_wrong_and_the_rows_stay() -> None:
    task = random_task(people=60)
    at, labels = drawn(task, "labels")
    assert (at == np.arange(60)).all()
    assert sum(a != b for a, b in zip(labels, task.train["y"], strict=True)) == 3


def test_seed_keeps_rows_and_labels_but_not_the_random_state() -> None:
    task = random_task(people=60)
    at, labels = drawn(task, "seed")
    assert (at == np.arange(60)).all()
    assert labels == task.train["y"].tolist()
    forest = Task(task.schema, task.train, fit_classifier("random-forest", task.schema, task.train))
    first, second = (refit(Source.of(forest), "seed", [0, k]).predict_proba(forest.frame(forest.rows)) for k in (1, 2))
    assert not np.allclose(first, second)


def test_later_takes_the_later_days_of_each_person_and_wants_dates() -> None:
    task = random_task(people=80)
    when = pd.Series(pd.to_datetime("2026-01-01") + pd.to_timedelta(np.arange(80) % 2, unit="D"))
    at, _ = drawn(task, "later", when=when)
    assert (at % 2 == 1).all()
    with pytest.raises(InputError, match="no dates"):
        refit(Source.of(task), "later", [0, 0])


def test_family_is_another_family() -> None:
    task = random_task(people=80)
    forest = Task(task.schema, task.train, fit_classifier("random-forest", task.schema, task.train))
    others = {change.family(refit(Source.of(forest), "family", [0, k])) for k in range(4)}
    assert others == set(NAMES) - {"random-forest"}


def test_an_unknown_change_is_refused() -> None:
    with pytest.raises(InputError, match="'wind' is unknown; use bootstrap"):
        refit(Source.of(random_task(people=20)), "wind", [0, 0])


@pytest.mark.parametrize("name", NAMES)
def test_every_classifier_of_ours_is_fitted_again_the_same_way_twice_and_otherwise_by_seed(name: str) -> None:
    base = random_task(people=90)
    task = Task(base.schema, base.train, fit_classifier(name, base.schema, base.train))
    juries = [Jury.fit(task, jurors=3, seed=seed) for seed in (0, 0, 1)]
    proba = [[one.predict_proba(task.frame(task.rows)) for one in jury.members] for jury in juries]
    assert np.array_equal(proba[0], proba[1])
    assert not np.allclose(proba[0], proba[2])
    assert not np.allclose(proba[0][0], proba[0][1])
    votes = juries[0].votes(task.rows)
    assert votes.shape == (3, 90)
    told = [[task.classes.index(c) for c in one.predict(task.frame(task.rows))] for one in juries[0].members]
    assert (np.array(told) == votes).mean() > 0.99


def test_a_juror_that_never_saw_a_class_answers_with_the_others() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=40).round(1), "who": np.arange(40) // 2})
    table["y"] = np.where(table["x"] > 0, "b", "a")
    table.loc[table["who"] == 0, "y"] = "c"  # one person alone has it
    schema = FeatureSchema(
        (Feature("x", "continuous", low=-9, high=9, step=0.1),), "y", ("a", "b", "c"), "b", person="who"
    )
    for name in NAMES:
        task = Task(schema, table, fit_classifier(name, schema, table))
        jury = Jury.fit(task, jurors=6)
        assert any(len(np.unique(one.classes_)) == 2 for one in jury.members)
        votes = jury.votes(task.rows)
        assert set(np.unique(votes)) <= {-1, 0, 1, 2}
        told = [[task.classes.index(c) for c in one.predict(task.frame(task.rows))] for one in jury.members]
        assert ((votes == np.array(told)) | (votes == -1)).all()


def test_what_cannot_be_fitted_again_says_why() -> None:
    with pytest.raises(InputError, match="no fit"):
        Source.of(hand_task())

    class Closed(Stub):
        def fit(self, X: Any, y: Any) -> Closed:
            return self

    with pytest.raises(InputError, match="cannot be cloned"):
        unfitted(Closed(calm))
    base = random_task(people=40)
    frozen = CalibratedClassifierCV(FrozenEstimator(base.classifier)).fit(
        base.train[base.schema.names], base.train["y"]
    )
    with pytest.raises(InputError, match="comes fitted in parts"):
        unfitted(frozen)


def test_a_pipeline_of_the_users_own_is_fitted_again() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 2)).round(1), columns=["a", "b"])
    table["y"] = np.where(table["a"] + rng.normal(size=60) > 0, 1, 0)
    schema = FeatureSchema(tuple(Feature(n, "continuous", low=-9, high=9, step=0.1) for n in "ab"), "y", (0, 1), 1)
    own = make_pipeline(StandardScaler(), LogisticRegression()).fit(table[["a", "b"]], table["y"])
    task = Task(schema, table, own)
    jury = Jury.fit(task, jurors=5)
    weights = {float(one.steps[-1][1].coef_[0, 0]) for one in jury.members}  # type: ignore[attr-defined]
    assert len(weights) == 5
    assert own.steps[-1][1].coef_[0, 0] not in weights


@pytest.mark.parametrize("name", ["xgboost", "svm", "logistic"])
def test_a_saved_jury_votes_as_before_and_no_refit_is_made(name: str, tmp_path: Path) -> None:
    base = random_task(people=80)
    task = Task(base.schema, base.train, fit_classifier(name, base.schema, base.train))
    jury = Jury.fit(task, jurors=4)
    mark = fingerprint(task, "bootstrap", 0)
    assert jury.save(tmp_path, mark)
    again = Jury.load(tmp_path, task, mark)
    assert again is not None
    assert (again.change, again.seed, len(again)) == ("bootstrap", 0, 4)
    assert np.array_equal(again.votes(task.rows), jury.votes(task.rows))
    assert Jury.load(tmp_path, task, fingerprint(task, "seed", 0)) is None


def test_a_changed_jury_is_refused(tmp_path: Path) -> None:
    base = random_task(people=60)
    task = Task(base.schema, base.train, fit_classifier("logistic", base.schema, base.train))
    Jury.fit(task, jurors=2).save(tmp_path, "mark")
    path = tmp_path / "jury.skops"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="was changed after the jury was saved"):
        Jury.load(tmp_path, task, "mark")


@settings(max_examples=20)
@given(st.integers(2, 12), st.integers(1, 5), st.integers(0, 99))
def test_a_bootstrap_keeps_each_persons_rows_together(people: int, days: int, seed: int) -> None:
    who = np.repeat(np.arange(people), days)
    at = change._resampled(who, np.random.default_rng(seed))
    counts = np.bincount(at, minlength=len(who)).reshape(people, days)
    assert (counts == counts[:, :1]).all()
    assert counts[:, 0].sum() == people
