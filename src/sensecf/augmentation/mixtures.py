"""Rows between rows: synthetic factuals, the way from a factual to its counterfactual, and a control's rows."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sensecf.core.distances import Scale
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task

#: Real rows nearest to a row, one of which it is mixed with.
NEIGHBOURS = 5


def mix(task: Task, first: Ints, fold: Ints, rng: np.random.Generator) -> Floats:
    """For each training row `first` (m,), a row on the way to a near training row of its fold, shape (m, d).

    `fold` (n,): only rows of one fold are mixed, so that judges of the other folds have seen neither.
    The first row is held inside the schema's ranges. See `between`.
    """
    base, near = _held(task, first), _near(task, first, fold, NEIGHBOURS, rng)
    return between(task, base, _held(task, near), rng.random((len(first), 1)), rng)


def munge(task: Task, first: Ints, fold: Ints, rng: np.random.Generator) -> Floats:
    """For each training row `first` (m,), itself with half of its values near those of its nearest row, shape (m, d).

    The rows of model compression (Bucila, Caruana & Niculescu-Mizil 2006), for a control: a level becomes that of
    the nearest row of the fold, a number is drawn about that row's, with their distance for a standard deviation.
    """
    codec, base = task.codec, _held(task, first)
    near = _held(task, _near(task, first, fold, 1, rng))
    drawn = np.where(codec.numeric, near + np.abs(base - near) * rng.normal(size=base.shape), near)
    moved = np.clip(codec.snap(drawn), codec.low, codec.high)
    return _settled(task, base, np.where(rng.random(base.shape) < 0.5, moved, base))


def between(task: Task, start: Floats, end: Floats, share: Floats, rng: np.random.Generator) -> Floats:
    """Rows on the way from `start` to `end`, all (m, d), with `share` (m, 1) of it behind them.

    Numbers lie between the two, on their steps; a level is that of either; what is blank in either is that of
    `start`. Rules are kept: followers follow, and a row that breaks a rule or leaves the schema's ranges is `start`.
    """
    codec = task.codec
    moved = np.where(codec.numeric, start + share * (end - start), end)
    taken = codec.numeric | (rng.random(start.shape) < share)
    return _settled(task, start, np.where(taken, codec.snap(moved), start))


def _held(task: Task, at: Ints) -> Floats:
    """Training rows inside the schema's ranges."""
    return np.clip(task.rows[at], task.codec.low, task.codec.high)


def _near(task: Task, first: Ints, fold: Ints, count: int, rng: np.random.Generator) -> Ints:
    """For each training row one of the `count` nearest to it in its fold, shape (m,)."""
    points, other = task.once(Scale).embed(task.rows), first.copy()
    for number in np.unique(fold[first]):
        members, at = np.flatnonzero(fold == number), np.flatnonzero(fold[first] == number)
        k = min(count + 1, len(members))
        near = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points[members])
        found = members[near.kneighbors(points[first[at]], return_distance=False)]
        # A row is its own nearest neighbour, or a twin of it is.
        other[at] = found[np.arange(len(at)), rng.integers(min(1, k - 1), k, len(at))]
    return other


def _settled(task: Task, base: Floats, wanted: Floats) -> Floats:
    """The wanted rows with blanks as in `base` and the rules kept; `base` where that cannot be."""
    codec = task.codec
    wanted = np.where(np.isnan(base) | np.isnan(wanted), base, wanted)
    follow = codec.rules.follow(np.ones(len(task.schema), dtype=bool), task.medians)
    out = codec.rules.settle(base, wanted, follow, codec.step)
    with np.errstate(invalid="ignore"):
        off = ((out < codec.low - 1e-9) | (out > codec.high + 1e-9)).any(axis=1)
    off |= codec.rules.violated(out).any(axis=1)
    out[off] = base[off]
    return out
