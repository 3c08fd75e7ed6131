"""Weights of training rows by which the label does not go with a nuisance (a device, a site, a season)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_sample_weight

from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema

#: How many times more than by class weights alone a row may weigh: a level of one positive row is no measurement.
HEAVIEST = 10.0


def weigh_apart(schema: FeatureSchema, train: pd.DataFrame) -> Floats:
    """What each training row weighs, shape (n,): classes alike, and alike within each level of the nuisances.

    Without a nuisance of levels these are class weights. A level (of several nuisances: each combination) weighs as
    many rows as it has; blanks are a level. A level that has one class says nothing of the label, and its rows weigh 1.
    What the nuisance does to other columns would give the label away otherwise, though its own column is dropped.
    """
    labels = train[schema.label].astype(str).to_numpy()
    alike = np.asarray(compute_sample_weight("balanced", labels), dtype=float)
    names = [f.name for f in schema.features if f.nuisance and not f.numeric]
    if not names:
        return alike
    level = train.groupby(names, dropna=False, sort=False).ngroup().to_numpy()
    label = pd.factorize(labels)[0]
    counts = np.zeros((level.max() + 1, label.max() + 1))
    np.add.at(counts, (level, label), 1.0)
    share = counts.sum(axis=1) / (counts > 0).sum(axis=1)
    apart: Floats = share[level] / counts[level, label]
    return np.minimum(apart, HEAVIEST * alike)
