"""How good the explained classifier is: measured on held-out rows, said before any plan."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score

from handmade import Stub
from sensecf import metrics
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task

CLASSES = ("bad", "fair", "good")


class Three:
    """Says what the features say: a probability for each of three classes."""

    classes_ = np.array(CLASSES)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return X[list("abc")].to_numpy(float) / X[list("abc")].sum(axis=1).to_numpy()[:, None]

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def table(rows: int, people: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.integers(1, 30, (rows, 3)), columns=list("abc"))
    proba = Three().predict_proba(frame)
    frame["y"] = [CLASSES[rng.choice(3, p=p)] for p in proba]
    frame["who"] = np.arange(rows) % people
    return frame


def three(group: str | None) -> Task:
    features = tuple(Feature(name, "integer", low=1, high=30, step=1) for name in "abc")
    return Task(FeatureSchema(features, "y", CLASSES, "good", person=group), table(40, 8, seed=9), Three())


def test_the_measures_are_those_of_scikit_learn_for_one_class_against_the_rest() -> None:
    held_out = table(300, 60)
    found, reliability = metrics.quality(three("who"), held_out, "good")
    said, truth = Three().predict_proba(held_out)[:, 2], held_out["y"] == "good"
    there = Three().predict(held_out) == "good"
    value = found["value"]
    assert value["classifier_auc"] == pytest.approx(roc_auc_score(truth, said))
    assert value["classifier_balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, there))
    assert value["classifier_brier"] == pytest.approx(brier_score_loss(truth, said))
    assert value["false_alarms"] == pytest.approx(truth[~there].mean())
    assert found.loc["false_alarms", "n"] == (~there).sum()
    assert reliability["rows"].sum() == 300
    gap = (reliability["said"] - reliability["true"]).abs() * reliability["rows"]
    assert value["classifier_ece"] == pytest.approx(gap.sum() / 300)
    assert ((found["low"] <= value) | (found.index == "classifier_ece")).all()
    assert (value <= found["high"]).all()


def test_intervals_are_of_people_and_not_of_rows() -> None:
    one = table(60, 60)
    many = pd.concat([one] * 5, ignore_index=True)
    alone, repeated = (metrics.quality(three("who"), frame, "good")[0] for frame in (one, many))
    rows = metrics.quality(three(None), many, "good")[0]
    pd.testing.assert_frame_equal(alone[["value", "low", "high"]], repeated[["value", "low", "high"]], rtol=0.02)
    width = rows["high"] - rows["low"]
    assert (width < 0.7 * (alone["high"] - alone["low"])).all()


def test_what_cannot_be_known_is_undefined_and_said() -> None:
    same = table(30, 30).assign(y="bad")
    found = metrics.quality(three(None), same, "good")[0]
    assert not found.loc[["classifier_auc", "classifier_balanced_accuracy"], "defined"].any()
    assert found.loc["classifier_brier", "defined"]
    assert "AUC not defined" in metrics.sentence(found, "svm", "good")
    assert metrics.sentence(metrics.unknown(), "svm", "good") == (
        "It is not known how good svm is: no labelled row was held out from it."
    )


def test_a_perfect_classifier_has_no_false_alarm() -> None:
    schema = FeatureSchema((Feature("a", "integer", low=0, high=9, step=1),), "y", ("no", "yes"), "yes")
    frame = pd.DataFrame({"a": np.arange(10), "y": np.where(np.arange(10) > 4, "yes", "no")})
    task = Task(schema, frame, Stub(lambda X: (X["a"] > 4).astype(float), ("no", "yes")))
    value = metrics.quality(task, frame, "yes")[0]["value"]
    assert value.tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_the_calibration_error_lies_in_its_interval() -> None:
    # Labels spread so evenly that what is said is true in every bin; drawing people again makes it less so.
    frame = table(300, 30).sort_values("c", ignore_index=True)
    said = Three().predict_proba(frame)[:, 2]
    frame["y"] = np.where(np.floor(np.cumsum(said)) > np.floor(np.cumsum(said) - said), "good", "fair")
    row = metrics.quality(three("who"), frame, "good")[0].loc["classifier_ece"]
    assert 0 <= row["low"] <= row["value"] <= row["high"]
