"""How far an answer lies from its factual. Compare methods only on requests that all of them solved."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sensecf.core.distances import Scale
from sensecf.metrics.declare import metric
from sensecf.metrics.scored import Scored


@metric(title="Distance, L1 / MAD", section="Effort", over="valid answers", better="lower", share=False)
def mad_l1(scored: Scored) -> pd.Series[float]:
    """L1 over MAD, from 0 up, lower is closer.

    Formula: Σ |after - before| / MAD of the training rows; where the MAD is 0 the standard deviation,
    then the schema's range, then 1; unlike levels, and a blank against a value, are 1 apart.
    Leaves out: correlation and effort. Source: Wachter et al. 2017; fallbacks ours.
    """
    return scored.series(scored.distance)


@metric(title="Distance, Gower", section="Effort", over="valid answers", better="lower", style="number")
def gower(scored: Scored) -> pd.Series[float]:
    """Gower's distance, [0, 1] inside the schema's ranges, lower is closer.

    Formula: the mean over features of |after - before| / range; unlike levels, and a blank against a
    value, are 1 apart, two blanks 0. Leaves out: the same as `mad_l1`; a wide range hides a large
    change. Source: Gower 1971.
    """
    return scored.series(scored.task.once(Scale).gower(scored.before, scored.after))


@metric(title="Distance, HEOM", section="Effort", over="valid answers", better="lower", share=False)
def heom(scored: Scored) -> pd.Series[float]:
    """Heterogeneous Euclidean-overlap metric, from 0 up (√d inside the training range), lower is closer.

    Formula: √ Σ δ², δ = |after - before| / (largest - smallest training value) for numbers, 0 or 1 for
    levels, and 1 wherever either value is blank, two blanks too, as the definition has it. A feature
    that is constant in training divides by 1. Leaves out: the same as `gower`.
    Source: Wilson & Martinez 1997, with the root that NICE leaves out.
    """
    task, before, after = scored.task, scored.before, scored.after
    spread = task.observed_high - task.observed_low
    spread = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
    with np.errstate(invalid="ignore"):
        apart = np.where(task.codec.numeric, np.abs(after - before) / spread, after != before)
    apart = np.where(np.isnan(after) | np.isnan(before), 1.0, apart)
    return scored.series(np.sqrt((apart**2).sum(axis=1)))
