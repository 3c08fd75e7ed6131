"""A small made table with scarce labels, for the tests of controls, augmentation and studies."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sensecf.augmentation.controls import Situation
from sensecf.core.rules import Order
from sensecf.core.schema import Feature, FeatureSchema

#: Two numbers decide, one follows the first, one is noise; a level shifts the odds.
SCHEMA = FeatureSchema(
    (
        Feature("pulse", "integer", unit="bpm", low=40, high=120, step=1),
        Feature("peak", "integer", unit="bpm", low=40, high=200, step=1),
        Feature("sleep", "continuous", unit="h", low=0, high=14, step=0.1, missing=True),
        Feature("noise", "continuous", low=-5, high=5, step=0.01),
        Feature("device", "categorical", levels=("watch", "ring", "band")),
    ),
    label="stress",
    classes=("high", "low"),
    target="low",
    rules=(Order(("pulse", "peak")),),
)


def table(n: int = 240, seed: int = 0) -> pd.DataFrame:
    """Rows that keep the rule; about 40 % are stressed."""
    rng = np.random.default_rng(seed)
    pulse = np.clip(np.round(rng.normal(70, 12, n)), 40, 120)
    sleep = np.clip(rng.normal(7, 1.2, n).round(1), 0, 14)
    device = rng.choice(["watch", "ring", "band"], n)
    odds = (pulse - 72) / 8 - (sleep - 7) + (device == "ring") - 0.6
    frame = pd.DataFrame(
        {
            "pulse": pulse.astype(int),
            "peak": (pulse + rng.integers(5, 60, n)).astype(int),
            "sleep": sleep,
            "noise": np.clip(rng.normal(size=n), -5, 5).round(2),
            "device": device,
            "stress": np.where(rng.logistic(size=n) < odds, "high", "low"),
        }
    )
    frame.loc[rng.random(n) < 0.05, "sleep"] = np.nan
    return frame


def scarce(n: int = 240, lost: float = 0.5, seed: int = 0) -> Situation:
    """The made table with half of the stressed rows' labels removed; all parts of the situation are given."""
    frame = table(n, seed)
    stressed = frame.index[frame["stress"] == "high"]
    removed = frame.loc[stressed[: round(lost * len(stressed))]]
    rows = frame.drop(index=removed.index)
    return Situation(SCHEMA, rows, "high", len(removed), seed, removed.drop(columns="stress"), removed)
