"""How well edits, and the values they start from, tell which group a person is of."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sensecf.core.rules import Bools, Floats
from sensecf.metrics import statistics

#: Folds of people of the cross-fit.
FOLDS = 5
#: Resamples of an interval of an area under the ROC curve.
RESAMPLES = 1000


class Area(NamedTuple):
    """An area under the ROC curve, 0.5 is chance, with its 95 % interval over whole people."""

    auc: float
    low: float
    high: float
    n: int
    people: int


def area(score: ArrayLike, member: ArrayLike, people: ArrayLike, seed: int = 0) -> Area:
    """How well a score (n,) tells members of a group (n,) from others; rows of one person are resampled together.

    Undefined with fewer than `statistics.FEWEST` people on a side. NaN scores are left out.
    """
    value = np.asarray(score, dtype=float)
    known = np.isfinite(value)
    value, inside = value[known], np.asarray(member, dtype=bool)[known]
    codes = pd.factorize(np.asarray(people)[known])[0]
    nan = float("nan")
    few = min(len(np.unique(codes[inside])), len(np.unique(codes[~inside]))) if len(codes) else 0
    if few < statistics.FEWEST:
        return Area(nan, nan, nan, len(value), len(np.unique(codes)))
    count = int(codes.max()) + 1
    rng = np.random.default_rng([seed, 8])
    order = np.argsort(value, kind="stable")
    tied = np.unique(value[order], return_inverse=True)[1]

    def of(weight: Floats) -> float:
        """The area where each person counts as often as `weight` (people,) says."""
        own = weight[codes[order]]
        ones = np.bincount(tied, weights=own * inside[order])
        zeros = np.bincount(tied, weights=own * ~inside[order])
        below = np.cumsum(zeros) - zeros
        total = ones.sum() * zeros.sum()
        return float((ones * (below + zeros / 2)).sum() / total) if total > 0 else nan

    drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(float)
    low, high = statistics.percentile_interval([of(w) for w in drawn], statistics.expanded(count))
    return Area(of(np.ones(count)), low, high, len(value), count)


def predicted(features: Floats, member: Bools, people: ArrayLike, seed: int = 0) -> Floats:
    """The probability of being of a group by a logistic regression that has not seen the person, shape (n,).

    `features` (n, k): what it is told of. NaN everywhere where a fold would lack one of the sides.
    """
    codes = pd.factorize(np.asarray(people))[0]
    out = np.full(len(member), np.nan)
    least = min(len(np.unique(codes[member])), len(np.unique(codes[~member])))
    if least < FOLDS or not features.shape[1]:
        return out
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=500))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        for train, test in folds.split(features, member, codes):
            if member[train].all() or not member[train].any():
                return np.full(len(member), np.nan)
            out[test] = model.fit(features[train], member[train]).predict_proba(features[test])[:, 1]
    return out


def p_against_chance(found: Area, members: int) -> float:
    """One-sided p that an area is above chance, by the normal limit of Mann and Whitney's statistic over people.

    `members`: people of the group.
    """
    others = found.people - members
    if np.isnan(found.auc) or members <= 0 or others <= 0:
        return float("nan")
    spread = np.sqrt((found.people + 1) / (12 * members * others))
    return float(stats.norm.sf((found.auc - 0.5) / spread))


def edits_as_features(before: Floats, after: Floats, edited: Bools, scale: Floats) -> Floats:
    """What edits say, shape (n, 2d): which features are edited, and by how much in units of `scale` (d,)."""
    moved: Any = np.where(edited, np.nan_to_num((after - before) / scale), 0.0)
    return np.column_stack([edited.astype(float), moved])
