"""Is a row like the data? Two views: inside the training range, and an inlier by LOF."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import LocalOutlierFactor

from sensecf.distances import Scale
from sensecf.rules import Bools, Floats
from sensecf.task import Ints, Task

#: Neighbours of the local outlier factor (Breunig et al. 2000; MISSION: k = 20).
NEIGHBOURS = 20
#: Share of held-out real rows that the threshold calls outliers.
OUTLIERS = 0.05
#: Rows of one class that the LOF is fitted on; more are sampled down, with a fixed seed.
MAX_ROWS = 4000
#: A class with fewer rows has no LOF; its rows count as inliers and the score is 0.
MIN_ROWS = 10


class Plausibility:
    """LOF in novelty mode per class, fitted on the training rows of that class.

    The threshold is the 5 % quantile of the scores of real rows of the class that were held out
    of the fit, in five folds of the training rows (whole groups where the schema names a group).
    Get it with `task.once(Plausibility)`: classes are fitted when first asked for.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._scale = task.once(Scale)
        self._models: dict[int, tuple[LocalOutlierFactor, float, float] | None] = {}

    def _model(self, target: int) -> tuple[LocalOutlierFactor, float, float] | None:
        if target not in self._models:
            self._models[target] = self._fit(target)
        return self._models[target]

    def _fit(self, target: int) -> tuple[LocalOutlierFactor, float, float] | None:
        task = self._task
        members = np.flatnonzero(task.y == target)
        if len(members) > MAX_ROWS:
            members = np.sort(np.random.default_rng(0).choice(members, MAX_ROWS, replace=False))
        if len(members) < MIN_ROWS:
            return None
        points = self._scale.embed(task.rows[members])
        groups = None if task.schema.group is None else task.train[task.schema.group].to_numpy()[members]
        if groups is not None and len(set(groups)) >= 5:
            folds = GroupKFold(5).split(points, groups=groups)
        else:
            folds = KFold(5, shuffle=True, random_state=0).split(points)
        held_out = np.concatenate([_lof(points[fit]).score_samples(points[rest]) for fit, rest in folds])
        threshold = float(np.quantile(held_out, OUTLIERS))
        # One unit of score: how far the threshold lies below a typical real row.
        unit = max(float(np.median(held_out)) - threshold, 1e-3)
        return _lof(points), threshold, unit

    def score(self, rows: Floats, target: Ints) -> Floats:
        """How far inside each row is, shape (n,): 0 at the threshold, 1 at a typical real row, negative outside."""
        out = np.zeros(len(rows))
        for position in np.unique(target):
            model = self._model(int(position))
            mask = target == position
            if model is not None and mask.any():
                lof, threshold, unit = model
                out[mask] = (lof.score_samples(self._scale.embed(rows[mask])) - threshold) / unit
        return out

    def in_range(self, rows: Floats) -> Bools:
        """Whether every value lies inside what the training rows show, shape (n,); blanks do."""
        with np.errstate(invalid="ignore"):
            off = (rows < self._task.observed_low - 1e-9) | (rows > self._task.observed_high + 1e-9)
        return ~np.asarray(off.any(axis=1))


def _lof(points: Floats) -> LocalOutlierFactor:
    # Brute force: one matrix product for all rows, which beats a tree from about ten features on.
    return LocalOutlierFactor(n_neighbors=min(NEIGHBOURS, len(points) - 1), novelty=True, algorithm="brute").fit(points)
