"""Differences between groups of people: a group against all others, by whole people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints
from sensecf.metrics import statistics

#: Groups of fewer people are never shown: a number of so few may say what one of them is.
FEWEST_SHOWN = 10
#: Permutations of a test, and resamples of an interval.
PERMUTATIONS, RESAMPLES = 9999, 2000
#: Permutations that are as extreme as what was seen after which no more are tried (Besag and Clifford 1991).
ENOUGH = 50
#: Equal shares of the starting probability within which effort is compared.
STRATA = 5
#: Values held in memory at a time.
_CHUNK = 2_000_000


#: How two groups are compared: the group's mean less that of the others, over it, or the same of geometric means, which
#: a few very large values hardly move.
Kind = Literal["difference", "ratio", "geometric"]


@dataclass(frozen=True)
class Gap:
    """A group against everybody else.

    `group`, `others`: the means; `value`: see `Kind`; `low`, `high`: its 95 % interval over whole people; `p`: of a
    permutation of who is in the group (two-sided); `n`, `people`: rows and people of the group. NaN where either side
    has too few people.
    """

    group: float
    others: float
    value: float
    low: float
    high: float
    p: float
    n: int
    people: int


def gap(
    values: ArrayLike,
    member: ArrayLike,
    people: ArrayLike,
    *,
    kind: Kind = "difference",
    strata: ArrayLike | None = None,
    seed: int = 0,
) -> Gap:
    """The gap of a group in some measure; NaN values are left out.

    `values` (n,): the measure by row; `member` (n,): who is in the group; `people` (n,): whose the row is. `strata`
    (n,): rows are compared with rows of the same stratum only, weighted as Mantel and Haenszel (1959) do; who is
    in the group is permuted within strata then. Undefined where the group or the others have fewer than
    `FEWEST_SHOWN` people with a value, and for geometric means of values that are not all
    positive; `p` is undefined where all values are one.
    """
    known = np.isfinite(np.asarray(values, dtype=float))
    flat = np.asarray(values, dtype=float)[known]
    inside = np.asarray(member, dtype=bool)[known]
    who: Ints = pd.factorize(np.asarray(people)[known])[0].astype(np.intp)
    level = np.zeros(len(flat), np.intp) if strata is None else pd.factorize(np.asarray(strata)[known])[0]
    sides = len(np.unique(who[inside])), len(np.unique(who[~inside]))
    group, others = (float(flat[side].mean()) if side.any() else float("nan") for side in (inside, ~inside))
    nan = float("nan")
    undefined = Gap(group, others, nan, nan, nan, nan, int(inside.sum()), sides[0])
    if min(sides) < FEWEST_SHOWN or (kind == "geometric" and (flat <= 0).any()):
        return undefined
    if np.ptp(flat) == 0:  # nothing that could differ, and so no member of a family of tests
        none = 0.0 if kind == "difference" else 1.0
        return replace(undefined, value=none)
    cells = _Cells(np.log(flat) if kind == "geometric" else flat, inside, who, level, kind == "ratio")
    found = cells.observed()
    if not np.isfinite(found):  # a ratio to nothing
        return undefined
    *interval, p = cells.tested(seed)
    value, low, high = (float(v) if kind == "difference" else float(np.exp(v)) for v in (found, *interval))
    return Gap(group, others, value, low, high, p, int(inside.sum()), sides[0])


class _Cells:
    """Sums and counts by person and stratum, of which every statistic is made by one product of matrices."""

    def __init__(self, values: Floats, inside: Bools, who: Ints, level: Any, ratio: bool) -> None:
        people, levels = int(who.max()) + 1, int(level.max()) + 1
        cell, shape = who * levels + level, (people, levels)
        self.ratio = ratio

        def summed(weights: Floats) -> Floats:
            return np.bincount(cell, weights=weights, minlength=people * levels).reshape(shape).astype(float)

        self.sums, self.counts = summed(values), summed(np.ones(len(values)))
        self.sums_in, self.counts_in = summed(values * inside), summed(inside.astype(float))
        # A person is in the group when most of the rows are, and of the stratum where most of them lie.
        share = np.bincount(who, weights=inside) / np.bincount(who)
        self.member = share > 0.5
        self.level = self.counts.argmax(axis=1)

    def observed(self) -> float:
        one = np.ones((1, len(self.sums)))
        return float(self._of(one @ self.sums_in, one @ self.counts_in, one @ self.sums, one @ self.counts)[0])

    def tested(self, seed: int) -> tuple[float, float, float]:
        """The ends of the interval, and p."""
        rng = np.random.default_rng([seed, 7])
        people = len(self.sums)
        size = max(1, min(500, _CHUNK // people))
        drawn = []
        for _ in range(0, RESAMPLES, size):
            chosen = rng.integers(0, people, (size, people)) + np.arange(size)[:, None] * people
            weight = np.bincount(chosen.ravel(), minlength=size * people).reshape(size, people).astype(float)
            parts = (weight @ part for part in (self.sums_in, self.counts_in, self.sums, self.counts))
            drawn.append(self._of(*parts))
        low, high = statistics.percentile_interval(np.concatenate(drawn)[:RESAMPLES], statistics.expanded(people))
        # Compared with the same statistic of the people as they are, each wholly on one side.
        own = self._split(self.member[None])[0]
        if not np.isfinite(own):
            return low, high, float("nan")
        extreme = tried = 0
        while tried < PERMUTATIONS and extreme < ENOUGH:
            null = self._split(self._shuffled(rng, size))
            extreme += int((~(np.abs(null) < abs(own) - 1e-12)).sum())
            tried += size
        return low, high, (1 + extreme) / (1 + tried)

    def _shuffled(self, rng: np.random.Generator, size: int) -> Bools:
        """Who is in the group after random permutations within strata, shape (size, people)."""
        out = np.empty((size, len(self.member)), dtype=bool)
        for level in np.unique(self.level):
            at = np.flatnonzero(self.level == level)
            count = int(self.member[at].sum())
            keys = rng.random((size, len(at)), dtype=np.float32)
            if count in (0, len(at)):
                out[:, at] = count > 0
                continue
            out[:, at] = keys < np.partition(keys, count, axis=1)[:, [count]]
        return out

    def _split(self, inside: Bools) -> Floats:
        """The statistic of people who are wholly in the group or not, of each line."""
        weight, one = inside.astype(float), np.ones((1, len(self.sums)))
        return self._of(weight @ self.sums, weight @ self.counts, one @ self.sums, one @ self.counts)

    def _of(self, sums_in: Floats, counts_in: Floats, sums: Floats, counts: Floats) -> Floats:
        """The statistic of each line: difference of means, or the logarithm of their ratio, over strata."""
        sums_out, counts_out = sums - sums_in, counts - counts_in
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.ratio:
                top = np.nansum(sums_in * counts_out / counts, axis=1)
                bottom = np.nansum(sums_out * counts_in / counts, axis=1)
                return np.log(top / bottom)
            weight = counts_in * counts_out / counts
            apart = sums_in / counts_in - sums_out / counts_out
            return np.nansum(np.where(weight > 0, weight * apart, 0.0), axis=1) / np.nansum(weight, axis=1)


def strata(values: ArrayLike, count: int = STRATA) -> Ints:
    """The stratum of each value by quantiles, shape (n,): equal values lie in one stratum; NaN is one of its own."""
    flat = np.asarray(values, dtype=float)
    edges = np.empty(0)
    if np.isfinite(flat).any():
        edges = np.unique(np.nanquantile(flat, np.linspace(0, 1, count + 1)[1:-1]))
    found = np.searchsorted(edges, flat, side="left")
    return np.where(np.isnan(flat), count, found).astype(np.intp)
