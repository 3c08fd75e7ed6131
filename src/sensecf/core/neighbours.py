"""Training rows that the classifier puts in a class, and the nearest of them to any row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sensecf.core.distances import NearestPoints, Scale
from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task, lead

#: Rows of one class that are kept for neighbour searches; more are sampled down, with a fixed seed.
MAX_ROWS = 5000
#: Rows on which the influence of each feature is measured.
PROBES = 64


class Peers(NamedTuple):
    """Training rows (m, d) that the classifier puts in one class, with their lead (m,) and an index over them."""

    rows: Floats
    lead: Floats
    nearest: NearestPoints


class Influence:
    """How much each feature moves the classifier; get it with `task.once(Influence)`.

    `weight` (d,) sums to 1: the mean absolute change of the class probabilities when a training row
    takes over one value of another row, plus a small share for everybody. It directs the search in
    wide tables; the classifier is asked about 64 rows per feature, once per task.
    """

    def __init__(self, task: Task) -> None:
        rng = np.random.default_rng(0)
        d = len(task.schema)
        rows = task.rows[rng.integers(0, len(task.rows), PROBES)]
        probes = np.repeat(rows[None], d + 1, axis=0)  # the last block stays as it is
        for j in range(d):
            probes[j, :, j] = task.rows[rng.integers(0, len(task.rows), PROBES), j]
        proba = task.judge(probes.reshape(-1, d)).proba.reshape(d + 1, PROBES, -1)
        moved = np.abs(proba[:-1] - proba[-1]).mean(axis=(1, 2))
        total = moved.sum()
        self.weight = np.full(d, 1 / d) if total == 0 else 0.8 * moved / total + 0.2 / d
        self.order = np.argsort(-self.weight, kind="stable")


class Neighbours:
    """Nearest training rows by class; get it with `task.once(Neighbours)`.

    Distances are those of `NearestPoints`: by what was measured.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._scale = task.once(Scale)
        sample = np.arange(len(task.rows))
        limit = MAX_ROWS * len(task.classes)
        if len(sample) > limit:
            sample = np.sort(np.random.default_rng(0).choice(sample, limit, replace=False))
        self.rows = task.rows[sample]
        self._judgement = task.judge(self.rows)
        self._peers: dict[int, Peers] = {}

    def peers(self, target: int) -> Peers:
        """The training rows the classifier puts in class `target`.

        When it puts none there, the rows labelled with that class stand in (a classifier that never
        says the target may still say it elsewhere). Raises `InputError` when there are none either.
        """
        if target not in self._peers:
            j = self._judgement
            members = np.flatnonzero((j.predicted == target) & ~j.tie)
            if not len(members):
                rows = self._task.rows[self._task.y == target][:MAX_ROWS]
                if not len(rows):
                    raise InputError(f"no training row has the class {self._task.classes[target]!r}")
                ahead = np.zeros(len(rows))
            else:
                rows = self.rows[members]
                ahead = lead(j.proba[members], np.full(len(members), target))
            if len(rows) > MAX_ROWS:
                keep = np.sort(np.random.default_rng(0).choice(len(rows), MAX_ROWS, replace=False))
                rows, ahead = rows[keep], ahead[keep]
            index = NearestPoints(self._scale.measured(rows))
            self._peers[target] = Peers(rows, ahead, index)
        return self._peers[target]

    def nearest(self, rows: Floats, target: Ints, k: int) -> Floats:
        """The k nearest rows of each row's target class, shape (n, k, d), nearest first.

        Where a class has fewer than k rows they are repeated.
        """
        out = np.empty((len(rows), k, rows.shape[1]))
        for position in np.unique(target):
            peers = self.peers(int(position))
            mask = target == position
            found = peers.nearest.kneighbors(self._scale.measured(rows[mask]), min(k, len(peers.rows)))[1]
            out[mask] = peers.rows[np.resize(found.T, (k, len(found))).T if found.shape[1] < k else found]
        return out
