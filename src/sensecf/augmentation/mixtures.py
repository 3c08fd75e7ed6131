"""Rows between real rows: the synthetic factuals of an augmentation."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sensecf.distances import Scale
from sensecf.rules import Floats
from sensecf.task import Ints, Task

#: Real rows nearest to a row, one of which it is mixed with.
NEIGHBOURS = 5


def mix(task: Task, first: Ints, fold: Ints, rng: np.random.Generator) -> Floats:
    """For each training row `first` (m,), a row on the way to a near training row of its fold, shape (m, d).

    Numbers lie between the two rows, on their steps; a level is that of either; a blank stays a
    blank. `fold` (n,): only rows of one fold are mixed, so that judges of the other folds have
    seen neither. Rules are kept: followers follow, and a mixture that breaks a rule or leaves the
    schema's ranges is the first row again (held inside the ranges).
    """
    codec, out = task.codec, np.empty((len(first), len(task.schema)))
    base = np.clip(task.rows[first], codec.low, codec.high)
    points = task.once(Scale).embed(task.rows)
    other = first.copy()
    for number in np.unique(fold[first]):
        members, at = np.flatnonzero(fold == number), np.flatnonzero(fold[first] == number)
        k = min(NEIGHBOURS + 1, len(members))
        near = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points[members])
        found = members[near.kneighbors(points[first[at]], return_distance=False)]
        # A row is its own nearest neighbour, or a twin of it is.
        other[at] = found[np.arange(len(at)), rng.integers(min(1, k - 1), k, len(at))]
    partner = np.clip(task.rows[other], codec.low, codec.high)
    share = rng.random((len(first), 1))
    between = np.where(codec.numeric, base + share * (partner - base), partner)
    taken = codec.numeric | (rng.random(base.shape) < share)
    wanted = np.where(taken & ~np.isnan(base) & ~np.isnan(partner), codec.snap(between), base)
    follow = codec.rules.follow(np.ones(len(task.schema), dtype=bool), task.medians)
    out = codec.rules.settle(base, wanted, follow, codec.step)
    with np.errstate(invalid="ignore"):
        off = ((out < codec.low - 1e-9) | (out > codec.high + 1e-9)).any(axis=1)
    off |= codec.rules.violated(out).any(axis=1)
    out[off] = base[off]
    return out
