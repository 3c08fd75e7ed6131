"""Which features an answer changes: how many, how many in vain, and which ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.distances import Scale
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.metrics.answers import BATCH, reached, read


def n_changed(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """How many features differ from the factual (sparsity), 0 to d; lower is better.

    Formula: raw columns that differ by more than half the feature's step; levels that differ at
    all; a blank against a value. Leaves out: how far. Source: Mothilal et al. 2020; tolerance ours.
    """
    answers = read(cfs, task)
    return answers.series(answers.edits, "n_changed")


def redundancy(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """The share of an answer's edits that can be undone, each alone, and the row still is valid and
    breaks no rule that it did not break before. Range [0, 1], lower is better; undefined without an edit.

    Leaves out: edits that can only be undone together with others; that a redundant edit may make
    the row more plausible. Source: Pawelczyk et al. 2021, who count them; share and rules are ours.
    """
    answers = read(cfs, task)
    row, column = answers.changed.nonzero()
    rules = task.codec.rules
    broken = rules.violated(answers.after)
    undone = np.zeros(len(answers))
    for start in range(0, len(row), BATCH):
        i, j = row[start : start + BATCH], column[start : start + BATCH]
        trial = answers.after[i]
        trial[np.arange(len(i)), j] = answers.before[i, j]
        good = reached(task, trial, answers.target[i]) & ~(rules.violated(trial) & ~broken[i]).any(axis=1)
        undone += np.bincount(i, weights=good, minlength=len(answers))
    return answers.series(_per_edit(undone, answers.edits), "redundancy")


def actionable_share(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """The share of an answer's edits that fall on features a person can change themself (role
    `actionable`, not `mutable`). Range [0, 1], higher is better; undefined without an edit.

    Leaves out: how hard an edit is. Source: ours; features left alone are not counted as actionable.
    """
    answers = read(cfs, task)
    own = np.array([f.role == "actionable" and f.changeable for f in task.schema.features])
    return answers.series(_per_edit((answers.changed & own).sum(axis=1), answers.edits), "actionable_share")


def change_profile(cfs: Counterfactuals, task: Task) -> pd.DataFrame:
    """Which features are changed, one row per feature (the numbers behind the radar).

    Columns: `role`; `rate`, the share of answers that change it, of which `up` and `down` (numbers;
    a level has neither); `effect`, the mean signed change among the answers that change it, in the
    feature's unit, and `effect_mad`, the same over the MAD (see `Scale`); `n`, answers that change
    it. Undefined values are NaN. Leaves out: which features move together.
    """
    answers = read(cfs, task)
    features, changed = task.schema.features, answers.changed
    total = len(answers) or np.nan
    counts = changed.sum(axis=0)
    with np.errstate(invalid="ignore"):
        delta = np.where(changed & task.codec.numeric, answers.after - answers.before, 0.0)
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
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        share = rates / rates.sum(axis=-1, keepdims=True)
        terms = np.where(share > 0, -share * np.log(share), np.where(np.isnan(share), np.nan, 0.0))
        entropy: Floats = terms.sum(axis=-1) / np.log(rates.shape[-1])
    return entropy


def _per_edit(count: Floats, edits: Floats) -> Floats:
    """Counts over the number of edits; NaN where there is none."""
    share: Floats = np.divide(count, edits, out=np.full(len(edits), np.nan), where=edits > 0)
    return share
