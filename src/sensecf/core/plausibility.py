"""Is a row like the data? Two views: inside the training range, and an inlier by LOF."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import LocalOutlierFactor

from sensecf.core.distances import NearestPoints, Scale
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task

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
    A row is compared on what was measured of it (`distances.NearestPoints`): blanks count neither way.
    Get it with `task.once(Plausibility)`: classes are fitted when first asked for.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._scale = task.once(Scale)
        self._models: dict[int, tuple[_Lof, float, float] | None] = {}

    def _model(self, target: int) -> tuple[_Lof, float, float] | None:
        if target not in self._models:
            self._models[target] = self._fit(target)
        return self._models[target]

    def _fit(self, target: int) -> tuple[_Lof, float, float] | None:
        task = self._task
        members = np.flatnonzero(task.y == target)
        if len(members) > MAX_ROWS:
            members = np.sort(np.random.default_rng(0).choice(members, MAX_ROWS, replace=False))
        if len(members) < MIN_ROWS:
            return None
        points = self._scale.measured(task.rows[members])
        groups = None if task.schema.group is None else task.train[task.schema.group].to_numpy()[members]
        if groups is not None and len(set(groups)) >= 5:
            folds = GroupKFold(5).split(points, groups=groups)
        else:
            folds = KFold(5, shuffle=True, random_state=0).split(points)
        held_out = np.concatenate([_Lof(points[fit]).score(points[rest]) for fit, rest in folds])
        threshold = float(np.quantile(held_out, OUTLIERS))
        # One unit of score: how far the threshold lies below a typical real row.
        unit = max(float(np.median(held_out)) - threshold, 1e-3)
        return _Lof(points), threshold, unit

    def score(self, rows: Floats, target: Ints) -> Floats:
        """How far inside each row is, shape (n,): 0 at the threshold, 1 at a typical real row, negative outside."""
        out = np.zeros(len(rows))
        for position in np.unique(target):
            model = self._model(int(position))
            mask = target == position
            if model is not None and mask.any():
                lof, threshold, unit = model
                out[mask] = (lof.score(self._scale.measured(rows[mask])) - threshold) / unit
        return out

    def in_range(self, rows: Floats) -> Bools:
        """Whether every value lies inside what the training rows show, shape (n,); blanks do."""
        rows = self._task.codec.known(rows)  # a code that stays is neither inside nor outside
        with np.errstate(invalid="ignore"):
            off = (rows < self._task.observed_low - 1e-9) | (rows > self._task.observed_high + 1e-9)
        return ~np.asarray(off.any(axis=1))


class _Lof:
    """Local outlier factor in novelty mode, negative as in scikit-learn (-1: as dense as its neighbours, lower
    is more of an outlier). Points with blanks (NaN) are compared by what they were measured on (`NearestPoints`)."""

    def __init__(self, points: Floats) -> None:
        self._points = points
        self._k = min(NEIGHBOURS, len(points) - 1)
        self._whole: LocalOutlierFactor | None = None
        if not np.isnan(points).any():
            # Brute force: one matrix product for all rows, which beats a tree from about ten features on.
            lof = LocalOutlierFactor(n_neighbors=self._k, novelty=True, algorithm="brute")
            self._whole = lof.fit(points)

    @cached_property
    def _dense(self) -> tuple[NearestPoints, Floats, Floats]:
        """The index, and of each of its points the distance to the k-th neighbour and the density (both (n,))."""
        index = NearestPoints(self._points)
        distance, at = index.kneighbors(self._points, self._k, others=True)
        return index, distance[:, -1], _density(distance, distance[:, -1][at])

    def score(self, points: Floats) -> Floats:
        """Minus the local outlier factor of each point, shape (n,)."""
        out = np.empty(len(points))
        blank = np.isnan(points).any(axis=1) if self._whole is not None else np.ones(len(points), dtype=bool)
        if self._whole is not None and not blank.all():
            out[~blank] = self._whole.score_samples(points[~blank])
        if blank.any():
            index, reach, density = self._dense
            distance, at = index.kneighbors(points[blank], self._k)
            out[blank] = -(density[at].mean(axis=1) / _density(distance, reach[at]))
        return out


def _density(distance: Floats, reach: Floats) -> Floats:
    """Local reachability density from distances to the neighbours and how far these reach, both (n, k)."""
    density: Floats = 1.0 / (np.maximum(distance, reach).mean(axis=1) + 1e-10)
    return density
