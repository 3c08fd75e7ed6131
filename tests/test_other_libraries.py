"""Classifiers of other libraries, as they are: LightGBM, CatBoost, Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

import sensecf
from sensecf.testing import check_classifier

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"sleep": RNG.normal(420, 60, 160).round(), "steps": RNG.normal(8000, 2500, 160).round()})
TABLE["stress"] = np.where(TABLE["sleep"] / 60 + TABLE["steps"] / 2500 + RNG.normal(0, 1, 160) > 10, "low", "high")
WORDS = TABLE.assign(shift=RNG.choice(["day", "night"], 160))
NUMBERS = sensecf.infer_schema(TABLE, "stress")
MIXED = sensecf.infer_schema(WORDS, "stress")


def answers(classifier: Any, schema: sensecf.FeatureSchema, frame: pd.DataFrame) -> pd.DataFrame:
    """Boundary answers to five rows; each is checked by the classifier as it came."""
    task = sensecf.Task(schema, frame, classifier)
    told = task.judge(task.codec.encode(frame)).predicted
    rows = frame[told == task.classes.index("high")].head(5)
    found = sensecf.explain(task, "search", rows, target="low", hold=0, edit="mutable").answers
    assert len(found) == 5
    return found


@pytest.mark.parametrize(("schema", "frame"), [(NUMBERS, TABLE), (MIXED, WORDS)], ids=["numbers", "words"])
def test_lightgbm_is_fitted_and_explained(schema: sensecf.FeatureSchema, frame: pd.DataFrame) -> None:
    lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is tried with LightGBM")
    model = lightgbm.LGBMClassifier(n_estimators=20, min_child_samples=5, n_jobs=1, verbose=-1)
    check_classifier(model, schema, frame)
    answers(sensecf.fit_classifier(model, schema, frame), schema, frame)


@pytest.mark.parametrize(("schema", "frame"), [(NUMBERS, TABLE), (MIXED, WORDS)], ids=["numbers", "words"])
def test_catboost_is_fitted_and_explained(
    schema: sensecf.FeatureSchema, frame: pd.DataFrame, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    catboost = pytest.importorskip("catboost", reason="CatBoost is 97 MB and no part of the environment for tests")
    monkeypatch.chdir(tmp_path)  # it writes a folder of its own
    words = [f.name for f in schema.features if not f.numeric]
    model = catboost.CatBoostClassifier(iterations=20, verbose=False, thread_count=1, cat_features=words)
    check_classifier(model, schema, frame)
    answers(sensecf.fit_classifier(model, schema, frame), schema, frame)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras itself
def test_keras_is_explained_by_the_probabilities_that_it_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras and what it needs are no part of the environment for tests")
    scale = keras.layers.Normalization()
    scale.adapt(TABLE[NUMBERS.names].to_numpy(dtype="float32"))
    model = keras.Sequential([scale, keras.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy")
    model.fit(TABLE[NUMBERS.names].to_numpy(dtype="float32"), (TABLE["stress"] == "low").to_numpy(), verbose=0)
    wrapped = sensecf.fit_classifier(model, NUMBERS, TABLE, classes=["high", "low"])
    check_classifier(wrapped, NUMBERS, TABLE)
    answers(wrapped, NUMBERS, TABLE)


class LikeKeras:
    """`predict` gives probabilities in some shape; there is no `predict_proba`."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape
        self.model = LogisticRegression(max_iter=1000).fit(TABLE[NUMBERS.names].to_numpy(), TABLE["stress"])

    def predict(self, rows: Any) -> Any:
        assert isinstance(rows, np.ndarray)
        return self.shape(self.model.predict_proba(rows))


SHAPES = {
    "(n, 1)": lambda p: p[:, [1]],
    "(n,)": lambda p: p[:, 1],
    "(n, k)": lambda p: p,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_probabilities_of_any_of_kerass_shapes_are_read(shape: str) -> None:
    model = LikeKeras(SHAPES[shape])
    wrapped = sensecf.fit_classifier(model, NUMBERS, TABLE, classes=["high", "low"])
    check_classifier(wrapped, NUMBERS, TABLE)
    rows = answers(wrapped, NUMBERS, TABLE)[NUMBERS.names]
    assert (model.model.predict(rows.to_numpy()) == "low").all()


def test_classes_that_are_numbers_need_no_names() -> None:
    frame = TABLE.assign(stress=(TABLE["stress"] == "low").astype(int))
    schema = sensecf.infer_schema(frame, "stress")
    check_classifier(LikeKeras(SHAPES["(n, 1)"]), schema, frame)


def test_whose_columns_nobody_names_is_refused_with_a_remedy() -> None:
    with pytest.raises(sensecf.InputError, match=r"no predict_proba; .*--classes high,low") as raised:
        check_classifier(LikeKeras(SHAPES["(n, k)"]), NUMBERS, TABLE)
    assert "\n" not in str(raised.value)


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(sensecf.InputError, match="as probabilities; they must lie in 0 to 1"):
        check_classifier(
            sensecf.fit_classifier(LikeKeras(lambda p: 100 * p), NUMBERS, TABLE, classes=["high", "low"]),
            NUMBERS,
            TABLE,
        )


def test_what_gives_classes_is_not_taken_for_probabilities() -> None:
    frame = TABLE.assign(stress=(TABLE["stress"] == "low").astype(int))
    schema = sensecf.infer_schema(frame, "stress")
    hard = LikeKeras(lambda p: p.argmax(axis=1))
    with pytest.raises(sensecf.InputError, match="no predict_proba, and its predict gives int64 values"):
        check_classifier(hard, schema, frame)
    with pytest.raises(sensecf.InputError, match=r"LinearSVC\) has no predict_proba"):
        check_classifier(LinearSVC().fit(frame[schema.names], frame["stress"]), schema, frame)
