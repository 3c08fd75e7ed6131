"""Controls from imbalanced-learn: random oversampling, SMOTE, Borderline-SMOTE, ADASYN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from imblearn.over_sampling import ADASYN, SMOTE, SMOTENC, BorderlineSMOTE, RandomOverSampler

from sensecf.augmentation.controls.situation import Situation, Treatment
from sensecf.augmentation.controls.space import Space

#: Neighbours between which rows are made (Chawla et al. 2002); fewer in a class that has fewer rows.
NEIGHBOURS = 5


def random(situation: Situation, amount: float = 1.0) -> Treatment:
    """Rows of the class again, drawn with replacement."""
    sampler = RandomOverSampler(sampling_strategy=_wanted(situation, amount), random_state=situation.seed)
    sampler.fit_resample(np.zeros((len(situation.y), 1)), situation.y)
    drawn = sampler.sample_indices_[len(situation.y) :]
    return Treatment(added=situation.table(situation.encoded[drawn], situation.y[drawn]))


def smote(situation: Situation, amount: float = 1.0) -> Treatment:
    """SMOTE (Chawla et al. 2002) where all features are numbers, SMOTENC where some are levels."""
    codec, n = situation.codec, len(situation.y)
    options = {"sampling_strategy": _wanted(situation, amount), "random_state": situation.seed}
    options["k_neighbors"] = _neighbours(situation)
    if codec.numeric.all() or not codec.numeric.any():
        return _between(situation, SMOTE(**options))
    space = Space(situation)
    filled = np.where(np.isnan(situation.encoded), space.fill, situation.encoded)
    scale = np.where(codec.numeric, space.scale, 1.0)
    levels = np.flatnonzero(~codec.numeric).tolist()
    made, y = SMOTENC(categorical_features=levels, **options).fit_resample(filled / scale, situation.y)
    return Treatment(added=situation.table(codec.snap(made[n:] * scale), y[n:]))


def borderline(situation: Situation, amount: float = 1.0) -> Treatment:
    """Borderline-SMOTE (Han et al. 2005): rows made next to those whose neighbours are mostly of another class."""
    return _or_smote(situation, amount, BorderlineSMOTE, {"k_neighbors": _neighbours(situation)})


def adasyn(situation: Situation, amount: float = 1.0) -> Treatment:
    """ADASYN (He et al. 2008): more rows where more neighbours are of another class. Counts are approximate."""
    return _or_smote(situation, amount, ADASYN, {"n_neighbors": _neighbours(situation)})


def _or_smote(situation: Situation, amount: float, method: Any, options: dict[str, Any]) -> Treatment:
    """A method that can find nothing to work on, class by class; SMOTE stands in there, and the note says so."""
    added, notes = [], []
    for position, count in _wanted(situation, amount).items():
        one = {"sampling_strategy": {position: count}, "random_state": situation.seed}
        try:
            added.append(_between(situation, method(**one, **options)).added)
        except ValueError as error:
            plain = SMOTE(**one, k_neighbors=_neighbours(situation))
            added.append(_between(situation, plain).added)
            notes.append(f"SMOTE for class {situation.classes[position]!r}: {' '.join(str(error).split())}")
    table = pd.concat(added, ignore_index=True) if added else pd.DataFrame()
    return Treatment(added=table, note="; ".join(notes))


def _between(situation: Situation, sampler: Any) -> Treatment:
    space = Space(situation)
    made, y = sampler.fit_resample(space.points(situation.encoded), situation.y)
    n = len(situation.y)
    return Treatment(added=situation.table(space.rows(made[n:]), y[n:]))


def _wanted(situation: Situation, amount: float) -> dict[int, int]:
    """How many rows each class that grows is to have at last."""
    counts = np.bincount(situation.y)
    allotted = situation.allot(amount)
    return {int(k): int(counts[k] + allotted[k]) for k in np.flatnonzero(allotted)}


def _neighbours(situation: Situation) -> int:
    return int(min(NEIGHBOURS, np.bincount(situation.y).min() - 1))
