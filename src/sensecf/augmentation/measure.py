"""How well a classifier does that has learned from scarce labels, on rows that nobody else sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from sensecf import augmentation
from sensecf.augmentation.controls.situation import Situation, Treatment
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Classifier

#: The measures of a cell; all but the Brier score are better when higher.
MEASURES = ("accuracy", "precision", "recall", "f1", "macro_f1", "auc", "balanced_accuracy", "brier")


def learn(name: str, situation: Situation, treatment: Treatment) -> Classifier:
    """The classifier of that name, fitted on the labelled rows as the treatment has it.

    Each row weighs 1, with `treatment.balanced` each class alike; an added row what its column
    `added_weight` says where there is one.
    """
    if treatment.fit is not None:
        return treatment.fit(name)
    rows, added = situation.rows, treatment.added
    return augmentation.learn(name, rows, added, situation.schema, situation.seed, treatment.balanced)


def score(truth: Bools, predicted: Bools, probability: Floats) -> dict[str, float]:
    """The `MEASURES` of one classifier, all arrays (n,) over test rows.

    `truth`, `predicted`: whether a row is, and is said to be, of the positive class; `probability`: of
    that class. Precision is 0 where nothing is predicted positive, and so is F1. The AUC is NaN where
    the test rows have one class. The Brier score is the mean squared error of the probability (lower is better).
    """
    both = truth.any() and not truth.all()
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "precision": float(precision_score(truth, predicted, zero_division=0)),
        "recall": float(recall_score(truth, predicted, zero_division=0)),
        "f1": float(f1_score(truth, predicted, zero_division=0)),
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0)),
        "auc": float(roc_auc_score(truth, probability)) if both else float("nan"),
        "balanced_accuracy": float(balanced_accuracy_score(truth, predicted)) if both else float("nan"),
        "brier": float(brier_score_loss(truth, probability)),
    }


def assess(name: str, situation: Situation, treatment: Treatment, test: pd.DataFrame) -> dict[str, float]:
    """Fit the classifier of that name as the treatment has it, and score it on the test rows."""
    classifier = learn(name, situation, treatment)
    frame = situation.codec.decode(situation.codec.encode(test))
    classes = np.asarray(classifier.classes_).tolist()
    probability = np.asarray(classifier.predict_proba(frame))[:, classes.index(situation.positive)]
    said = np.asarray(classifier.predict(frame)).tolist()
    assert set(said) <= set(classes), f"{name} predicts {set(said)}, which are not its classes {classes}"
    predicted: Any = np.array([v == situation.positive for v in said])
    truth = np.array([v == situation.positive for v in test[situation.schema.label].tolist()])
    return score(truth, predicted, probability)
