"""Controls of the unlabelled arm: self-training and label spreading, both scikit-learn's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sensecf.augmentation.controls.situation import Situation, Treatment
from sensecf.augmentation.controls.space import Space
from sensecf.classifiers.fit import make_classifier
from sensecf.core.rules import Floats

#: Confidence from which self-training takes its own prediction for a label (scikit-learn's default).
CONFIDENT = 0.75
#: Neighbours among which labels spread.
NEIGHBOURS = 7


class NamedSelfTraining(SelfTrainingClassifier):  # type: ignore[misc]
    """Scikit-learn's, fitted on positions of classes (-1 where there is no label); its `classes_` may be renamed."""

    def predict(self, X: Floats, **params: Any) -> Any:
        """The name of the likeliest class: scikit-learn's own answers with what it was fitted on."""
        return self.classes_[self.predict_proba(X, **params).argmax(axis=1)]


def self_training(situation: Situation) -> Treatment:
    """Each classifier labels the unlabelled rows it is sure of and learns from them (Yarowsky 1995)."""
    unlabelled = _unlabelled(situation)

    def fit(name: str) -> Any:
        labelled = situation.codec.decode(situation.encoded)
        everything = situation.codec.decode(np.concatenate([situation.encoded, unlabelled]))
        (_, first), *middle, (_, balanced) = make_classifier(
            name, situation.schema, situation.seed, len(everything)
        ).steps
        first.fit(labelled)
        y = np.concatenate([situation.y, np.full(len(unlabelled), -1)])
        inner = balanced.model
        if isinstance(inner, CalibratedClassifierCV):
            inner.set_params(cv=int(min(inner.cv, np.bincount(situation.y).min())))
        # The model inside `Balanced`: each row weighs alike here.
        learner = NamedSelfTraining(Pipeline([*middle, ("model", inner)]), threshold=CONFIDENT)
        with warnings.catch_warnings():
            # Nothing unlabelled, or nothing sure: it is then the plain classifier, as it should be.
            warnings.filterwarnings("ignore", message="y contains no unlabeled samples")
            warnings.simplefilter("ignore", ConvergenceWarning)  # as in `classifiers`: a bound on the time
            learner.fit(first.transform(everything), y)
        learner.classes_ = np.array(situation.classes)[learner.classes_]
        return Pipeline([("rows", first), ("model", learner)])

    return Treatment(fit=fit)


def label_spreading(situation: Situation) -> Treatment:
    """The unlabelled rows with the label that spreads to them over a neighbour graph (Zhou et al. 2004)."""
    unlabelled = _unlabelled(situation)
    if not len(unlabelled):
        return Treatment()
    space = Space(situation)
    points = space.points(np.concatenate([situation.encoded, unlabelled]))
    y = np.concatenate([situation.y, np.full(len(unlabelled), -1)])
    model = LabelSpreading(kernel="knn", n_neighbors=NEIGHBOURS, max_iter=200)
    with warnings.catch_warnings():
        # A row whose neighbours reach no label divides 0 by 0; it gets the first class.
        warnings.simplefilter("ignore")
        spread = model.fit(points, y).transduction_[len(situation.y) :]
    return Treatment(added=situation.table(unlabelled, spread.astype(np.intp)))


def _unlabelled(situation: Situation) -> Floats:
    rows: pd.DataFrame | None = situation.unlabelled
    assert rows is not None, "these arms are shown the unlabelled rows"
    return situation.codec.encode(rows)
