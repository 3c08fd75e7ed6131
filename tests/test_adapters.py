"""The method for RecourseBench keeps that benchmark's contract, on stand-ins of its data set and its model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import sensecf
from sensecf.adapters import RecourseBench

COLUMNS = ["hours", "age", "job_cat_a", "job_cat_b", "job_cat_c", "grade_therm_0", "grade_therm_1", "grade_therm_2",
           "smoker"]  # fmt: skip


class DataSet:
    """Rows as RecourseBench hands them over: scaled numbers, groups of 0/1 columns, what is known by name."""

    def __init__(self, rows: int = 120, seed: int = 0, **known: Any) -> None:
        rng = np.random.default_rng(seed)
        job, grade = rng.integers(3, size=rows), rng.integers(1, 4, size=rows)
        parts = [rng.random((rows, 2)), np.eye(3)[job], (grade[:, None] > np.arange(3)).astype(float)]
        frame = pd.DataFrame(np.hstack([*parts, rng.integers(2, size=(rows, 1))]), columns=COLUMNS)
        self.frame = frame.set_axis(rng.permutation(rows) + 100)
        self.label = pd.DataFrame({"paid": Model().scores(self.frame) > 0}, index=self.frame.index).astype(float)
        self.known = {
            "encoding": {"job": COLUMNS[2:5], "grade": COLUMNS[5:8], "smoker": ["smoker"]},
            "encoded_feature_type": dict.fromkeys(COLUMNS[2:], "binary") | {"hours": "numerical", "age": "numerical"},
            "encoded_feature_mutability": dict.fromkeys(COLUMNS, True) | {"age": False},
            "encoded_feature_actionability": dict.fromkeys(COLUMNS, "any")
            | {"age": "none", "hours": "same-or-increase"},
        } | known

    def get(self, target: bool) -> pd.DataFrame:
        return self.label if target else self.frame

    def attr(self, name: str) -> Any:
        if name not in self.known:
            raise AttributeError(name)
        return self.known[name]


class Tensor:
    """What a tensor of PyTorch is asked here."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> np.ndarray:
        return self.values


class Model:
    """A model that takes nothing but the columns as they are encoded."""

    weights = np.array([3.0, 0.5, -0.6, 0.6, 0.0, 0.0, 0.6, 0.6, -0.8])

    def scores(self, X: pd.DataFrame) -> np.ndarray:
        assert list(X.columns) == COLUMNS
        return X.to_numpy(dtype=float) @ self.weights - 2.0

    def get_prediction(self, X: pd.DataFrame, proba: bool = True) -> Tensor:
        p = 1 / (1 + np.exp(-self.scores(X)))
        return Tensor(np.column_stack([1 - p, p]))

    def get_class_to_index(self) -> dict[int, int]:
        return {0: 0, 1: 1}


@pytest.fixture(scope="module")
def data() -> DataSet:
    return DataSet()


@pytest.fixture(scope="module")
def answered(data: DataSet) -> tuple[pd.DataFrame, pd.DataFrame]:
    method = RecourseBench(Model(), seed=0, device="CPU", desired_class=1, batch_size=20)
    method.fit(data)
    factuals = data.frame[Model().scores(data.frame) < 0].head(15)
    return factuals, method.get_counterfactuals(factuals)


def test_rows_and_columns_are_those_that_were_given(answered: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    factuals, found = answered
    assert found.index.equals(factuals.index)
    assert list(found.columns) == list(factuals.columns)


def test_every_row_gets_the_class_that_is_wanted(answered: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    _, found = answered
    assert found.notna().all(axis=None)
    assert (Model().scores(found) > 0).all()


def test_no_type_mutability_or_direction_is_violated(answered: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    factuals, found = answered
    assert found["age"].equals(factuals["age"].astype(float))
    assert (found["hours"] >= factuals["hours"] - 1e-6).all()
    assert (found[COLUMNS[2:5]].sum(axis=1) == 1).all()
    therm = found[COLUMNS[5:8]].to_numpy()
    assert (therm[:, 0] == 1).all()
    assert (np.diff(therm, axis=1) <= 0).all()
    assert found[COLUMNS[2:]].isin([0.0, 1.0]).all(axis=None)


def test_what_is_not_edited_stays_to_the_last_bit(answered: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    factuals, found = answered
    moved = (found.to_numpy() != factuals.to_numpy()).sum(axis=1)
    assert (np.abs(found.to_numpy() - factuals.to_numpy())[found.to_numpy() != factuals.to_numpy()] > 1e-4).all()
    assert moved.max() < len(COLUMNS)


def test_without_a_class_each_row_is_asked_towards_the_other(data: DataSet) -> None:
    method = RecourseBench(Model())
    method.fit(data)
    found = method.get_counterfactuals(data.frame.head(20))
    there = found.notna().all(axis=1)
    assert there.mean() > 0.8
    before, after = Model().scores(data.frame.head(20)[there]), Model().scores(found[there])
    assert (np.sign(before) == -np.sign(after)).all()


def test_a_row_without_an_answer_is_nan() -> None:
    closed = DataSet(encoded_feature_mutability=dict.fromkeys(COLUMNS, False))
    method = RecourseBench(Model(), desired_class=1)
    method.fit(closed)
    assert method.get_counterfactuals(closed.frame[Model().scores(closed.frame) < 0].head(3)).isna().all(axis=None)


def test_the_contract_of_the_base_class_is_kept(data: DataSet) -> None:
    method = RecourseBench(Model(), desired_class=1)
    wanted = ("_target_model", "_seed", "_device", "_need_grad", "_is_trained", "_desired_class")
    assert all(hasattr(method, name) for name in wanted)
    with pytest.raises(RuntimeError, match="not trained"):
        method.get_counterfactuals(data.frame)


def test_an_encoding_that_is_not_known_is_refused() -> None:
    odd = DataSet(encoding={"both": ["hours", "age"]})
    with pytest.raises(sensecf.InputError, match="neither one-hot nor a thermometer"):
        RecourseBench(Model()).fit(odd)
