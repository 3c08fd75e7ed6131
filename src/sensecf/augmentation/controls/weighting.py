"""Controls that add no row: nothing, class weights, a tuned threshold; and the upper bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import precision_recall_curve
from sklearn.model_selection import FixedThresholdClassifier

from sensecf.augmentation.controls.situation import Situation, Treatment
from sensecf.augmentation.judges import folds
from sensecf.classifiers.fit import fit_classifier

#: Inner folds in which a threshold is tuned.
FOLDS = 5
#: How far the seeds of two fits lie apart that are to differ by chance alone.
OTHER_SEED = 100_000


def nothing(situation: Situation) -> Treatment:
    """The reduced rows as they are, each weighing alike."""
    return Treatment()


def class_weights(situation: Situation) -> Treatment:
    """The reduced rows, each class weighing alike."""
    return Treatment(balanced=True)


def reseeded(situation: Situation) -> Treatment:
    """Class weights with other random numbers: how many cells chance alone harms or helps."""

    def fit(name: str) -> Any:
        return fit_classifier(name, situation.schema, situation.rows, situation.seed + OTHER_SEED)

    return Treatment(fit=fit)


def threshold(situation: Situation) -> Treatment:
    """The threshold of the highest F1 over out-of-fold probabilities of the reduced rows, for each classifier."""
    rows, schema = situation.rows, situation.schema
    smallest = int(np.bincount(situation.y).min())
    parts = folds(rows, schema, min(FOLDS, smallest), situation.seed)
    positive = np.array([v == situation.positive for v in rows[schema.label].tolist()])
    frame = situation.codec.decode(situation.encoded)

    def fit(name: str) -> Any:
        probability = np.empty(len(rows))
        for learned, rest in parts:
            inner = _alike(name, situation, rows.iloc[learned])
            column = np.asarray(inner.classes_).tolist().index(situation.positive)
            probability[rest] = inner.predict_proba(frame.iloc[rest])[:, column]
        precision, recall, thresholds = precision_recall_curve(positive, probability)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        whole = FrozenEstimator(_alike(name, situation, rows))
        best = float(thresholds[f1[:-1].argmax()])
        return FixedThresholdClassifier(
            whole, threshold=best, pos_label=situation.positive, response_method="predict_proba"
        ).fit(frame, rows[schema.label].to_numpy())

    return Treatment(fit=fit)


def _alike(name: str, situation: Situation, rows: pd.DataFrame) -> Any:
    """A classifier to which each row weighs alike."""
    return fit_classifier(name, situation.schema, rows, situation.seed, np.ones(len(rows)))


def oracle(situation: Situation) -> Treatment:
    """All rows with their labels: what was lost, given back. An upper bound, not a method."""
    return Treatment(added=_given_back(situation))


def oracle_weights(situation: Situation) -> Treatment:
    """All rows with their labels, each class weighing alike."""
    everything = pd.concat([situation.rows, _given_back(situation)])

    def fit(name: str) -> Any:
        return fit_classifier(name, situation.schema, everything, situation.seed)

    return Treatment(added=_given_back(situation), fit=fit)


def _given_back(situation: Situation) -> pd.DataFrame:
    assert situation.removed is not None, "the oracle is shown the removed rows"
    return situation.removed
