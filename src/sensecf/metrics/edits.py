"""Which features an answer changes: how many, how many in vain, and which ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sensecf.core.distances import Scale
from sensecf.core.rules import Floats
from sensecf.metrics.declare import metric
from sensecf.metrics.scored import BATCH, Scored, of_answers, reached


@metric(title="Features changed", section="Effort", over="valid answers", better="lower", share=False)
def n_changed(scored: Scored) -> pd.Series[float]:
    """How many features are edited (sparsity), 0 to d; lower is better.

    Formula: raw columns that differ by more than half the feature's step; levels that differ at
    all; a blank against a value. What only follows an edit (the stages of a longer night; all that is not in column
    `actions`, where there is one) is no edit. Leaves out: how far. Source: Mothilal et al. 2020; tolerance ours.
    """
    return scored.series(scored.edits)


@metric(title="Edits that could be undone singly", section="Effort", over="valid answers", better="lower")
def redundancy(scored: Scored) -> pd.Series[float]:
    """The share of an answer's edits that can be undone, each alone, and the row still is valid and
    breaks no rule that it did not break before. Range [0, 1], lower is better; undefined without an edit.

    Leaves out: edits that can only be undone together with others; that a redundant edit may make
    the row more plausible. Source: Pawelczyk et al. 2021, who count them; share and rules are ours.
    """
    task = scored.task
    row, column = scored.edited.nonzero()
    rules = task.codec.rules
    broken = scored.rules_broken
    undone = np.zeros(len(scored))
    for start in range(0, len(row), BATCH):
        i, j = row[start : start + BATCH], column[start : start + BATCH]
        trial = scored.after[i]
        trial[np.arange(len(i)), j] = scored.before[i, j]
        good = reached(task, trial, scored.target[i]) & ~(rules.violated(trial) & ~broken[i]).any(axis=1)
        undone += np.bincount(i, weights=good, minlength=len(scored))
    return scored.series(_per_edit(undone, scored.edits))


@metric(title="Edits a person can make", section="Effort", over="valid answers", better="higher")
def actionable_share(scored: Scored) -> pd.Series[float]:
    """The share of an answer's edits that fall on features a person can change themself (role
    `actionable`, not `mutable`). Range [0, 1], higher is better; undefined without an edit.

    Leaves out: how hard an edit is. Source: ours; features left alone are not counted as actionable.
    """
    task = scored.task
    own = np.array([f.role == "actionable" and f.changeable for f in task.schema.features])
    return scored.series(_per_edit((scored.edited & own).sum(axis=1), scored.edits))


@of_answers
def change_profile(scored: Scored) -> pd.DataFrame:
    """Which features are changed, one row per feature (the numbers behind the radar).

    Columns: `role`; `rate`, the share of answers that change it, of which `up` and `down` (numbers;
    a level has neither); `effect`, the mean signed change among the answers that change it, in the
    feature's unit, and `effect_mad`, the same over the MAD (see `Scale`); `n`, answers that change
    it. Undefined values are NaN. Leaves out: which features move together.

    >>> profile = sensecf.metrics.change_profile(sensecf.metrics.read(plans, task))
    >>> profile.index.tolist() == task.schema.names
    True
    """
    task = scored.task
    features, changed = task.schema.features, scored.changed
    total = len(scored) or np.nan
    counts = changed.sum(axis=0)
    with np.errstate(invalid="ignore"):
        delta = np.where(changed & task.codec.numeric, scored.after - scored.before, 0.0)
    known = changed & ~np.isnan(delta)
    divisor = np.where(task.codec.numeric & known.any(axis=0), known.sum(axis=0), np.nan)
    effect = np.nansum(delta, axis=0) / divisor
    return pd.DataFrame(
        {
            "role": [f.role for f in features],
            "rate": counts / total,
            "up": (delta > 0).sum(axis=0) / total,
            "down": (delta < 0).sum(axis=0) / total,
            "effect": effect,
            "effect_mad": effect / task.once(Scale).mad,
            "n": counts,
        },
        index=pd.Index(task.schema.names, name="feature"),
    )


def change_entropy(rates: Floats) -> Floats:
    """How evenly edits spread over the features, [0, 1]: 0 when all fall on one, 1 when spread evenly.

    Formula: Shannon entropy of the shares of all edits, over the log of the number of features.
    `rates` (..., d): how often each feature is changed; undefined (NaN) without an edit or for d = 1.
    No better or worse: it tells a generator that concentrates from one that does not. Source: ours,
    after the radar plots of arXiv 2601.14590.

    >>> import numpy as np
    >>> float(sensecf.metrics.change_entropy(np.array([1.0, 0.0, 0.0])))
    0.0
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        share = rates / rates.sum(axis=-1, keepdims=True)
        terms = np.where(share > 0, -share * np.log(share), np.where(np.isnan(share), np.nan, 0.0))
        entropy: Floats = terms.sum(axis=-1) / np.log(rates.shape[-1])
    return entropy


@metric(
    name="change_entropy",
    title="Evenness of edits over features",
    section="Effort",
    over="valid answers",
    better="none",
    share=False,
    of_means=change_entropy,
)
def changed_features(scored: Scored) -> pd.DataFrame:
    """Which features each answer changes, 1 or 0, a column per feature; the metric is the `change_entropy` of their
    means. Leaves out: which features these are. Source: ours, see `change_entropy`.
    """
    return pd.DataFrame(scored.changed.astype(float), index=scored.index)


def _per_edit(count: Floats, edits: Floats) -> Floats:
    """Counts over the number of edits; NaN where there is none."""
    share: Floats = np.divide(count, edits, out=np.full(len(edits), np.nan), where=edits > 0)
    return share
