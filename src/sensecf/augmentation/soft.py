"""Unlabelled rows with what judges say of them for a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sensecf.augmentation.judges import Panel, in_order
from sensecf.augmentation.learning import LEAST_WEIGHT
from sensecf.core.codec import Codec
from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema

#: Rounds of the estimate of the class shares among the unlabelled rows.
ROUNDS = 200
#: The shares' estimate starts from, and is pulled towards, equal ones by so many rows of each class.
PRIOR_ROWS = 5.0


def label_softly(
    unlabelled: pd.DataFrame, rows: pd.DataFrame, schema: FeatureSchema, panel: Panel
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Unlabelled rows, one entry per class, weighed by the judges' probability; and what was estimated.

    The class shares among unlabelled rows need not be those of the labelled ones (labels are lost
    where people are stressed), so they are estimated from the rows themselves by expectation
    maximisation (Saerens, Latinne & Decaestecker 2002), and the probabilities follow. The weights
    of a class are scaled so that, with real rows whose classes weigh alike, the classes weigh alike on the whole.
    """
    codec = Codec(schema)
    frame = codec.decode(codec.encode(unlabelled))
    said = in_order(panel.whole.predict_proba(frame), panel.whole.classes_, panel.classes)
    shares, proba = estimate_shares(said)
    k, n = len(panel.classes), len(frame)
    weight = proba * (n / k / np.maximum(proba.sum(axis=0), 1e-9))
    row, label = np.nonzero(proba >= LEAST_WEIGHT)
    out = frame.iloc[row].reset_index(drop=True)
    words = np.array([*panel.classes, None], dtype=object)
    out[schema.label] = pd.Series(words[label], dtype=object).infer_objects()
    out["added_weight"] = weight[row, label].round(6)
    out["added_source"] = "unlabelled"
    out["added_factual"] = len(rows) + row  # no labelled row, but one of its own
    out["added_probability"] = proba[row, label].round(6)
    found = {str(c): round(float(s), 4) for c, s in zip(panel.classes, shares, strict=True)}
    return out, {"estimated_shares": found}


def estimate_shares(said: Floats) -> tuple[Floats, Floats]:
    """Class shares (classes,) of rows, and their probabilities (n, classes) under these shares.

    `said` (n, classes): probabilities by judges to whom each class weighs alike.
    """
    k = said.shape[1]
    shares = np.full(k, 1.0 / k)
    proba = said
    for _ in range(ROUNDS):
        odds = said * shares
        proba = odds / odds.sum(axis=1, keepdims=True)
        new = (proba.sum(axis=0) + PRIOR_ROWS) / (len(said) + k * PRIOR_ROWS)
        if np.abs(new - shares).max() < 1e-6:
            break
        shares = new
    return shares, proba
