"""How far rows lie from other rows where every number counts by its range: what a wish for likeness is priced by."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sensecf.core.distances import MAX_LEVELS
from sensecf.core.rules import Floats
from sensecf.core.task import Task

#: Training rows whose mean distance says how unlike the data a row is.
NEIGHBOURS = 5
#: Training rows that are looked at; more are sampled down, with a fixed seed.
MAX_ROWS = 4000
#: Pairs of training rows that the unit is the mean distance of.
DRAWN = 4000


class Likeness:
    """Distances in shares of the training range, in units of what is usual; get it with `task.once(Likeness)`.

    A number is a share of its training range, a level a 0/1 column for each of its `MAX_LEVELS` most frequent values,
    a blank the training median. The unit is the mean distance between two training rows, drawn at random, so that a
    price is worth about the same on tables of other widths. Lower is nearer and more like the data.
    """

    def __init__(self, task: Task) -> None:
        codec, rows = task.codec, task.known
        known = np.where(np.isnan(rows).all(axis=0), 0.0, rows)
        low, high = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
        self._numeric, self._medians = codec.numeric, np.nanmedian(known, axis=0)
        self._low, self._width = low, np.where(high > low, high - low, 1.0)
        self._known = codec.known
        self._levels = []
        for j in np.flatnonzero(~codec.numeric):
            filled = np.where(np.isnan(known[:, j]), self._medians[j], known[:, j]).astype(int)
            counts = np.bincount(filled, minlength=codec.n_levels[j])
            self._levels.append((j, np.argsort(-counts, kind="stable")[:MAX_LEVELS]))
        if len(rows) > MAX_ROWS:
            rows = rows[np.sort(np.random.default_rng(0).choice(len(rows), MAX_ROWS, replace=False))]
        points = self.place(rows)
        self._index = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(points)), algorithm="brute").fit(points)
        one, other = np.random.default_rng(0).integers(len(points), size=(2, DRAWN))
        usual = float(np.abs(points[one] - points[other]).sum(axis=1).mean())
        self.unit = usual if usual > 0 else 1.0

    def place(self, rows: Floats) -> Floats:
        """Rows (m, d) as points."""
        rows = self._known(rows)
        rows = np.where(np.isnan(rows), self._medians, rows)
        parts = [((rows - self._low) / self._width)[:, self._numeric]]
        parts += [(rows[:, [j]] == kept).astype(float) for j, kept in self._levels]
        return np.hstack(parts)

    def apart(self, base: Floats, rows: Floats) -> Floats:
        """Sum over features of how far each row (m, d) lies from `base` (m, d), in units, shape (m,): a share of the
        range, 2 for another level."""
        moved = np.abs(self.place(rows) - self.place(base))
        total: Floats = moved.sum(axis=1) / self.unit
        return total

    def unlike(self, rows: Floats) -> Floats:
        """The mean distance of each row (m, d) to its nearest training rows, in units, shape (m,)."""
        if not len(rows):
            return np.empty(0)
        mean: Floats = self._index.kneighbors(self.place(rows))[0].mean(axis=1) / self.unit
        return mean
