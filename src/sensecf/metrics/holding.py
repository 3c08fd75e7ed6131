"""What the jury said of plans that were asked to hold.

The jury is not asked again: these columns of the table of answers are the only ones that a metric believes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sensecf.metrics.declare import Metric, metric
from sensecf.metrics.scored import Scored


def _column(scored: Scored, name: str) -> pd.Series[float]:
    """A share of jurors for each answer that changes something, NaN where no jury was asked."""
    answers = scored.cfs.answers
    known = answers[name].to_numpy(dtype=float) if name in answers else np.full(len(answers), np.nan)
    return scored.series(np.where(scored.changed.any(axis=1), known, np.nan))


@metric(title="Refits that agree with the plan", section="Confidence", over="valid answers", better="higher")
def holds(scored: Scored) -> pd.Series[float]:
    """The share of refits that took no part in finding a plan and put it in the target class, [0, 1], higher is better.

    Column `holds`; undefined where no plan was asked to hold. Leaves out: changes of the world that the jury is not
    refitted under. Source: ours, see docs/holding.md.
    """
    return _column(scored, "holds")


@metric(title="Refits that agree, lower bound", section="Confidence", over="valid answers", better="higher")
def holds_low(scored: Scored) -> pd.Series[float]:
    """The exact one-sided 95 % lower bound (Clopper-Pearson) of `holds` for each plan, [0, 1], higher is better.

    Column `holds_low`. Its mean is no bound of the mean. Source: Clopper and Pearson 1934.
    """
    return _column(scored, "holds_low")


@metric(title="Refits that agree where the person lands", section="Confidence", over="valid answers", better="higher")
def lands(scored: Scored) -> pd.Series[float]:
    """The share of refits that agree where each plan is carried out a little off, [0, 1], higher is better.

    Column `lands`: a landing of its own for each refit (see `pipeline.hold.landed`). Source: ours.
    """
    return _column(scored, "lands")


CALIBRATION = [
    Metric("Margin that plans were asked for", "Confidence", "answers", "none", False, name="hold_margin"),
    Metric("Plans that held in calibration", "Confidence", "answers", "higher", name="hold_calibration"),
    Metric("Confidence in the share asked for", "Confidence", "answers", "higher", name="hold_confidence"),
]
for _one in CALIBRATION:
    _one.declare()


def calibrated(told: Mapping[str, Any] | None) -> dict[str, tuple[Any, ...]]:
    """The calibration of a run as rows of a summary, by name; `told`: `Counterfactuals.cost["hold"]`, None for none.

    `hold_calibration` has the exact lower bound of its share; `n` are the people it rests on.
    """
    nothing = (math.nan, math.nan, math.nan)
    rows = dict.fromkeys((one.name for one in CALIBRATION), nothing)
    people = 0
    if told is not None:
        people = int(told["people"])
        rows["hold_margin"] = float(told["margin"]), math.nan, math.nan
        if people:
            rows["hold_calibration"] = told["held"] / people, float(told["low"]), math.nan
            rows["hold_confidence"] = float(told["confidence"]), math.nan, math.nan
    return {
        one.name: (*rows[one.name], people, not math.isnan(rows[one.name][0]), one.better, one.over, people)
        for one in CALIBRATION
    }
