"""Columns that give the label away: made from it, or it from them.

Such a column would be the one thing every counterfactual changes, and says nothing. A strong
honest predictor is not a leak, so the bar is high, and lower only for a column that shares its
name with the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.schema import Feature
from sensecf.data.infer.names import STATISTICS, ColumnName, is_follow_up, word_set
from sensecf.data.tables import numbers_in

#: Cross-validated AUC of a small tree on the column alone from which it is taken for a leak.
LEAK_AUC = 0.999
#: From here on a column is kept, and its AUC is said.
NEAR_AUC = 0.95
#: The same for a column that shares a word with the label (stress_mean, label high_stress).
NAMESAKE_AUC = 0.9
#: A class with fewer rows than this is not measured: few rows are told apart by chance.
MIN_CLASS_ROWS = 20
_SAMPLE = 4000

_COMMON_WORDS = STATISTICS | word_set(
    "high low is has had any label target class outcome status flag binary level category score group type result "
    "risk bad good pct n num no not of the and y day daily night time total count value"
)


class Leaks(NamedTuple):
    """The reason for each feature that predicts the label almost alone, and the AUC of those that come near to it."""

    reasons: dict[str, str]
    near: dict[str, float]


def find_leaks(frame: pd.DataFrame, label: str, features: Sequence[Feature], names: Mapping[str, ColumnName]) -> Leaks:
    """What each feature alone says of the label; `frame` has labelled rows only."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    counts = frame[label].value_counts()
    known = frame[frame[label].isin(counts.index[counts >= MIN_CLASS_ROWS])]
    known = known.sample(min(len(known), _SAMPLE), random_state=0)
    counts = known[label].value_counts()
    known = known[known[label].isin(counts.index[counts >= MIN_CLASS_ROWS])]
    y, classes = pd.factorize(known[label], sort=True)
    if len(classes) < 2:
        return Leaks({}, {})
    label_words = set(names[label].words) - _COMMON_WORDS
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    found = Leaks({}, {})
    for feature in features:
        if is_follow_up(names[feature.name].stem, names[label].words):
            found.reasons[feature.name] = (
                f"the time until {label} or the end of the follow-up by its name: known only afterwards; "
                "list it as a feature if it is something else"
            )
            continue
        codes = _codes(known[feature.name], feature)
        tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=3, random_state=0)
        if _auc(y, tree.fit(codes, y).predict_proba(codes)) < NAMESAKE_AUC:
            continue  # not even on the rows it was fitted on
        auc = _auc(y, cross_val_predict(tree, codes, y, cv=folds, method="predict_proba"))
        shared = label_words & set(names[feature.name].words)
        if auc >= LEAK_AUC:
            why = "almost perfectly"
        elif _apart(codes[:, 0], y):
            why = "without any overlap of its classes"
        elif shared and auc >= NAMESAKE_AUC:
            why = f"and shares the word {min(shared)!r} with it"
        else:
            if auc >= NEAR_AUC:
                found.near[feature.name] = auc
            continue
        found.reasons[feature.name] = (
            f"predicts {label} alone {why} (AUC {auc:.3f} of a small tree, cross-validated): likely a leak; "
            "list it as a feature if it is an honest one"
        )
    return found


def _auc(y: np.ndarray[Any, Any], proba: np.ndarray[Any, Any]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, proba[:, 1] if proba.shape[1] == 2 else proba, multi_class="ovr"))


def _apart(codes: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> bool:
    """Whether each class has an interval of values to itself, as when the label is a cut of the column.

    In a few hundred rows the cross-validated tree misses such a cut by a row or two.
    """
    ends = sorted((codes[y == c].min(), codes[y == c].max()) for c in np.unique(y))
    return all(high < low for (_, high), (low, _) in pairwise(ends))


def _codes(column: pd.Series[Any], feature: Feature) -> np.ndarray[Any, Any]:
    """The column as one numeric input, shape (rows, 1), with blanks below every value."""
    numbers = numbers_in(column) if feature.numeric else None
    if numbers is None:
        return pd.factorize(column, sort=feature.kind != "categorical")[0].astype(float).reshape(-1, 1)
    blank = np.isnan(numbers)
    lowest = numbers[~blank].min() if (~blank).any() else 0.0
    return np.where(blank, lowest - 1.0, numbers).reshape(-1, 1)
