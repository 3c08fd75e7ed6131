"""How well a classifier does that has learned from scarce labels, on rows that nobody else sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
)

from sensecf import augmentation
from sensecf.augmentation.controls.situation import Situation, Treatment
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Classifier, Ints

#: Times that test people are drawn again for an interval.
DRAWS = 1000
#: The measures of a cell, the first those of what is called; all but the Brier score are better when higher.
_CALLED = ("accuracy", "precision", "recall", "f1", "f1_tuned", "macro_f1", "balanced_accuracy")
MEASURES = (*_CALLED, "auc", "average_precision", "brier")


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
    that class. Precision is 0 where nothing is predicted positive, and so is F1. AUC and average precision are NaN
    where the test rows have one class. `f1_tuned`: F1 where each half of the test rows is called by the threshold
    that is best on the other half; it says how well rows are ranked, `f1` where the line is drawn as well. The Brier
    score is the mean squared error of the probability (lower is better).
    """
    both = truth.any() and not truth.all()
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "precision": float(precision_score(truth, predicted, zero_division=0)),
        "recall": float(recall_score(truth, predicted, zero_division=0)),
        "f1": float(f1_score(truth, predicted, zero_division=0)),
        "f1_tuned": _tuned(truth, probability),
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0)),
        "auc": float(roc_auc_score(truth, probability)) if both else float("nan"),
        "average_precision": float(average_precision_score(truth, probability)) if both else float("nan"),
        "balanced_accuracy": float(balanced_accuracy_score(truth, predicted)) if both else float("nan"),
        "brier": float(brier_score_loss(truth, probability)),
    }


def _tuned(truth: Bools, probability: Floats) -> float:
    """F1 where each half of the rows (every other one) is called by the best threshold of the other half."""
    called, half = np.zeros(len(truth), dtype=bool), np.arange(len(truth)) % 2 == 0
    for learned in (half, ~half):
        if truth[learned].any():
            precision, recall, thresholds = precision_recall_curve(truth[learned], probability[learned])
            best = thresholds[(2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1].argmax()]
            called[~learned] = probability[~learned] >= best
    return float(f1_score(truth, called, zero_division=0))


class Answers(NamedTuple):
    """What a classifier says of test rows, (n,) each: see `score`."""

    truth: Bools
    predicted: Bools
    probability: Floats


def answers(name: str, situation: Situation, treatment: Treatment, test: pd.DataFrame) -> Answers:
    """What the classifier of that name says of the test rows, fitted as the treatment has it."""
    classifier = learn(name, situation, treatment)
    frame = situation.codec.decode(situation.codec.encode(test))
    classes = np.asarray(classifier.classes_).tolist()
    probability = np.asarray(classifier.predict_proba(frame))[:, classes.index(situation.positive)]
    said = np.asarray(classifier.predict(frame)).tolist()
    assert set(said) <= set(classes), f"{name} predicts {set(said)}, which are not its classes {classes}"
    predicted: Any = np.array([v == situation.positive for v in said])
    truth = np.array([v == situation.positive for v in test[situation.schema.label].tolist()])
    return Answers(truth, predicted, probability)


def assess(name: str, situation: Situation, treatment: Treatment, test: pd.DataFrame) -> dict[str, float]:
    """Fit the classifier of that name as the treatment has it, and score it on the test rows."""
    return score(*answers(name, situation, treatment, test))


def against(
    ours: Sequence[Answers], theirs: Sequence[Answers], people: Ints, seed: int = 0
) -> dict[str, dict[str, float]]:
    """F1 and Brier score of one treatment less those of another, mean of the classifiers, with 95 % intervals.

    `ours`, `theirs`: the answers of each classifier; `people` (n,): the number of each test row's person. People are
    drawn again `DRAWS` times; an interval says what other test people would change, not other training rows.
    """
    count = int(people.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=DRAWS)
    times: Floats = np.vstack([np.ones(count), drawn]).astype(float)

    def summed(values: Any) -> Floats:
        total: Floats = times @ np.bincount(people, np.asarray(values, dtype=float), count)
        return total

    def both(one: Answers) -> tuple[Floats, Floats]:
        right = 2 * summed(one.truth & one.predicted)
        called = summed(one.truth) + summed(one.predicted)
        f1 = np.divide(right, called, out=np.zeros_like(right), where=called > 0)
        return f1, summed((one.probability - one.truth) ** 2) / np.maximum(summed(np.ones(len(people))), 1.0)

    moved = np.mean([np.subtract(both(a), both(b)) for a, b in zip(ours, theirs, strict=True)], axis=0)
    out = {}
    for measure, values in zip(("f1", "brier"), moved, strict=True):
        low, high = np.quantile(values[1:], (0.025, 0.975))
        out[measure] = {"difference": float(values[0]), "low": float(low), "high": float(high)}
    return out
