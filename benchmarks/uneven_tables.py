"""Tables with a scarce class: breast cancer, whole and thinned out, and cohorts of chosen share and difficulty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.datasets import load_breast_cancer

import sensecf
from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema
from sensecf.data.world.presets import preset

#: Shares of the scarce class, and the AUC that the true probabilities reach, of the simulated cohorts.
SHARES, AUCS = (0.05, 0.10, 0.20, 0.50), (0.75, 0.90, 0.98)
#: People and days of a cohort.
PEOPLE, DAYS = 100, 10
#: What decides a cohort's label, and how much a standard deviation of it counts before difficulty is set.
CAUSES = {"sleep_deep_min": -1.2, "steps": -1.0, "resting_hr_bpm": 1.1, "glucose_mean_mgdl": 0.8}

Made = tuple[pd.DataFrame, FeatureSchema]


def cancer(share: float | None = None) -> Made:
    """Breast cancer of scikit-learn; with a share, malignant rows left out at random until they are that share."""
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.rename(columns=lambda name: name.replace(" ", "_"))
    frame["tumour"] = np.where(bunch.target == 0, "malignant", "benign")
    if share is not None:
        malignant = np.flatnonzero(frame["tumour"] == "malignant")
        kept = round(share / (1 - share) * (len(frame) - len(malignant)))
        gone = np.random.default_rng(0).permutation(malignant)[kept:]
        frame = frame.drop(index=frame.index[gone]).reset_index(drop=True)
    return frame, _schema(frame, "tumour", "benign")


def cohort(share: float, auc: float) -> Made:
    """Days of simulated people, a share of them "high", whose true probabilities rank them with that AUC."""
    frame = preset("easy").simulate(PEOPLE, DAYS, seed=0)[0].copy()
    known = frame[list(CAUSES)]
    standard = ((known - known.mean()) / known.std()).fillna(0.0)
    score = (standard * pd.Series(CAUSES)).sum(axis=1).to_numpy()
    score = (score - score.mean()) / score.std()

    def probability(steepness: float) -> Floats:
        at = brentq(lambda b: float(expit(steepness * score + b).mean()) - share, -200, 200)
        told: Floats = expit(steepness * score + at)
        return told

    steepness = brentq(lambda s: _ranked(probability(s)) - auc, 0.1, 60.0)
    high = np.random.default_rng(1).random(len(frame)) < probability(steepness)
    frame["stress"] = np.where(high, "high", "low")
    frame = frame.drop(columns=[name for name in ("date", "day", "recommended_split") if name in frame])
    return frame, _schema(frame, "stress", "low", "participant_id")


def _ranked(probability: Floats) -> float:
    """The AUC that probabilities are expected to have if they are true."""
    p = np.sort(probability)
    below = np.cumsum(1 - p) - (1 - p) / 2
    return float((p * below).sum() / (p.sum() * (1 - p).sum()))


def _schema(frame: pd.DataFrame, label: str, target: str, group: str | None = None) -> FeatureSchema:
    return replace(sensecf.infer_schema(frame, label=label, group=group), target=target)


#: How each table is made, by name.
TABLES: dict[str, Callable[[], Made]] = {
    "cancer": cancer,
    "cancer-10": lambda: cancer(0.10),
    **{
        f"cohort-{100 * share:02.0f}-{100 * auc:.0f}": (lambda share=share, auc=auc: cohort(share, auc))
        for share in SHARES
        for auc in AUCS
    },
}
