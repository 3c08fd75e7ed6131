"""Distances between encoded rows, and the space in which neighbours are looked for."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task

#: Levels of one feature that get a coordinate of their own in `Scale.embed`; rarer ones share none.
MAX_LEVELS = 32
#: Least unit of a number, as a share of the span of the middle 90 % of its values; a normal one's MAD is a fifth of it.
FLOOR = 0.05
#: Distances that are held in memory at a time.
CELLS = 4_000_000


class Scale:
    """Scales fitted on the training rows of a task, on the values that were measured; get it with `task.once(Scale)`.

    `mad` (d,): the unit of the MAD-L1 distance per feature, 1 for levels. For numbers the median
    absolute deviation (Wachter et al. 2017), at least `FLOOR` of the span of the middle 90 % of the
    values: where nearly all are one value its MAD says nothing of the others. Where the MAD is 0 the
    standard deviation; where that is 0 the schema's range; else 1. Floor and fallbacks are ours.
    `std` (d,): standard deviation; `spread` (d,): the schema's range, for Gower.
    """

    def __init__(self, task: Task) -> None:
        codec, rows = task.codec, task.known
        self.numeric = codec.numeric
        # A feature that nobody was measured on has no scale of its own: 0 everywhere.
        measured = np.where(np.isnan(rows).all(axis=0), 0.0, rows)
        mad = np.nanmedian(np.abs(measured - task.medians), axis=0)
        middle = np.nanquantile(measured, 0.95, axis=0) - np.nanquantile(measured, 0.05, axis=0)
        self.std = np.nanstd(measured, axis=0)
        spread = codec.high - codec.low
        fallback = np.where(self.std > 0, self.std, np.where(spread > 0, spread, 1.0))
        self.mad = np.where(codec.numeric, np.where(mad > 0, np.maximum(mad, FLOOR * middle), fallback), 1.0)
        self.spread = np.where(codec.numeric & (spread > 0), spread, 1.0)
        filled = np.where(np.isnan(rows), task.medians, rows)
        self._known = codec.known
        self._medians = task.medians
        self._std = np.where(self.std > 0, self.std, 1.0)
        self._levels = [
            (
                j,
                np.argsort(-np.bincount(filled[:, j].astype(int), minlength=codec.n_levels[j]), kind="stable")[
                    :MAX_LEVELS
                ],
            )
            for j in np.flatnonzero(~codec.numeric)
        ]

    def parts(self, base: Floats, rows: Floats) -> Floats:
        """MAD-L1 distance of each feature, shape as `rows`; unlike levels are 1 apart, a blank and a value too."""
        with np.errstate(invalid="ignore"):
            apart = np.where(self.numeric, np.abs(rows - base) / self.mad, (rows != base).astype(float))
        blank = np.isnan(rows) | np.isnan(base)
        return np.where(blank, (np.isnan(rows) != np.isnan(base)).astype(float), apart)

    def mad_l1(self, base: Floats, rows: Floats) -> Floats:
        """Sum over features of |difference| / MAD, shape (n,); lower is closer."""
        different = rows != base
        at = np.flatnonzero(different)  # most values stay: the sum over all features would be mostly zeros
        before, after = (np.broadcast_to(v, different.shape).reshape(-1)[at] for v in (base, rows))
        column = at % different.shape[1]
        with np.errstate(invalid="ignore"):
            apart = np.where(self.numeric[column], np.abs(after - before) / self.mad[column], 1.0)
        blank = np.isnan(after) | np.isnan(before)
        apart[blank] = (np.isnan(after) != np.isnan(before))[blank]
        total: Floats = np.bincount(at // different.shape[1], weights=apart, minlength=len(different)).astype(float)
        return total

    def place(self, rows: Floats) -> Floats:
        """Rows in units of `mad`, blanks at 0, shape as `rows`: unlike levels are 1 or more apart."""
        placed: Floats = np.nan_to_num(rows / self.mad)
        return placed

    def gower(self, base: Floats, rows: Floats) -> Floats:
        """Gower distance, shape (n,): mean over features of |difference| / range, levels 0 or 1; lower is closer."""
        with np.errstate(invalid="ignore"):
            apart = np.where(self.numeric, np.abs(rows - base) / self.spread, (rows != base).astype(float))
        blank = np.isnan(rows) | np.isnan(base)
        apart = np.where(blank, (np.isnan(rows) != np.isnan(base)).astype(float), apart)
        mean: Floats = apart.mean(axis=1)
        return mean

    def embed(self, rows: Floats) -> Floats:
        """Rows as points: numbers in standard deviations from the median (blanks at the median), levels as
        indicators at distance 1 from each other."""
        return np.nan_to_num(self.measured(rows))

    def measured(self, rows: Floats) -> Floats:
        """As `embed`, with NaN where nothing was measured, or perhaps not: what `NearestPoints` takes."""
        rows = self._known(rows)
        columns = [((rows - self._medians) / self._std)[:, self.numeric]]
        for j, kept in self._levels:
            columns.append(np.where(np.isnan(rows[:, [j]]), np.nan, (rows[:, [j]] == kept) * np.sqrt(0.5)))
        return np.ascontiguousarray(np.hstack(columns))


class NearestPoints:
    """The nearest of some points to any others, by what these others were measured on.

    Euclidean among complete points. A point with blanks (NaN) is compared on the coordinates it has,
    and its squared distance is scaled up by what part of the variance of `points` they carry: rows that
    lack the same values are as far apart as complete ones, whoever else is blank. Blanks of `points` lie
    at their median.
    """

    def __init__(self, points: Floats) -> None:
        unknown = np.isnan(points)
        known = np.where(unknown.all(axis=0), 0.0, points)
        self.complete = not unknown.any()
        self.typical: Floats = np.nanmedian(known, axis=0)
        self._points = self.filled(points)
        self._weight: Floats = np.nanvar(known, axis=0) + 1e-9
        self._index = NearestNeighbors(algorithm="brute").fit(self._points)

    def __len__(self) -> int:
        return len(self._points)

    def filled(self, points: Floats) -> Floats:
        """Points with blanks at the median."""
        return np.where(np.isnan(points), self.typical, points)

    def kneighbors(self, points: Floats, k: int, others: bool = False) -> tuple[Floats, Ints]:
        """Distances and positions of the k nearest, shape (n, k) each, nearest first.

        `others`: `points` are those of the index in their order, and none is its own neighbour.
        """
        blank = np.isnan(points).any(axis=1)
        if not blank.any():
            found: tuple[Floats, Ints] = self._index.kneighbors(None if others else points, k)
            return found
        distance, position = np.empty((len(points), k)), np.empty((len(points), k), dtype=np.intp)
        own = np.flatnonzero(blank | others)
        if len(own) < len(points):  # in the company of others a complete row has the neighbours it has alone
            distance[~blank], position[~blank] = self._index.kneighbors(points[~blank], k)
        for part in np.split(own, range(step := max(1, CELLS // len(self)), len(own), step)):
            apart = self._distances(points[part])
            if others:
                apart[np.arange(len(part)), part] = np.inf
            at = np.argpartition(apart, k - 1, axis=1)[:, :k]
            found = np.take_along_axis(apart, at, axis=1), at
            order = np.argsort(found[0], axis=1, kind="stable")
            distance[part], position[part] = (np.take_along_axis(table, order, axis=1) for table in found)
        return distance, position

    def within(self, points: Floats, radius: float) -> Ints:
        """How many lie within the radius of each point, shape (n,)."""
        step = max(1, CELLS // len(self))
        parts = [self._distances(points[start : start + step]) for start in range(0, len(points), step)]
        return np.concatenate([np.count_nonzero(apart <= radius, axis=1) for apart in parts] or [np.empty(0, np.intp)])

    def _distances(self, points: Floats) -> Floats:
        """All distances, shape (len(points), len(self))."""
        known = (~np.isnan(points)).astype(float)
        there = np.nan_to_num(points)
        square = (there**2).sum(axis=1, keepdims=True) - 2 * there @ self._points.T + known @ (self._points**2).T
        scale = self._weight.sum() / np.maximum(known @ self._weight, 1e-12)
        scale[(known > 0).all(axis=1)] = 1.0
        return np.sqrt(np.maximum(square, 0.0) * scale[:, None])
