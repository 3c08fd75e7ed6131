"""Attacks on what was released: who was among those it was made from?

Every attack gives a score to rows, higher for those that look like members. `Release` says what the attacker sees, and
whom it may not be held against: the pool of rows that densities and distances are calibrated by is everybody, members
and others alike, less the person who is attacked, so that scores of both are made in one way.

Sources: density ratio, van Breugel et al. 2023 (DOMIAS); kernel density, Hilprecht et al. 2019; nearest neighbour and
its calibration, Chen et al. 2020 (GAN-Leaks); that these work on sets of counterfactuals too, without the model, arXiv
2606.06334; likelihood ratio with shadow models, Carlini et al. 2022 (LiRA); loss, Yeom et al. 2018; attribute
inference, Yeom et al. 2018 and Stadler et al. 2022. Matching the changed values is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.decomposition import PCA

from sensecf.core.rules import Bools, Floats

#: Directions in which densities are estimated.
DIMENSIONS = 6
#: Rows held against all others at a time.
CHUNK = 256
#: What a distance of nothing counts as, in standard deviations.
NOTHING = 1e-6

Texts = NDArray[np.str_]


@dataclass(frozen=True)
class Release:
    """What an attacker sees, and the rows that are attacked.

    `seen` (r, k): released rows as points; `changed` (r, d): which features of these are no one's own, all of them for
    made-up rows; `values` (r, d): the encoded rows. `whose` (r,): the person whose row a released one started from, ""
    for nobody's. `rows` (n, d), `points` (n, k): the attacked rows; `persons` (n,): whose they are; `without` (n,):
    the person whose released rows are left out of the attack on a row. `numeric` (d,): which features are numbers.
    """

    seen: Floats
    values: Floats
    changed: Bools
    whose: Texts
    points: Floats
    rows: Floats
    persons: Texts
    without: Texts
    numeric: Bools

    def _chunks(self) -> list[slice]:
        return [slice(at, at + CHUNK) for at in range(0, len(self.points), CHUNK)]

    def _away(self, part: slice, space: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
        """Squared distances of some rows to what was released, and to the pool; infinite where left out."""
        here = space(self.points[part])
        seen = _squared(here, space(self.seen))
        seen[self.without[part][:, None] == self.whose[None, :]] = np.inf
        pool = _squared(here, space(self.points))
        pool[self.persons[part][:, None] == self.persons[None, :]] = np.inf
        return seen, pool

    @cached_property
    def closest(self) -> tuple[Floats, Floats]:
        """The distance to the nearest released row, and to the nearest row of anybody else, shape (n,) each."""
        found = [self._away(part, lambda x: x) for part in self._chunks()]
        seen, pool = (np.concatenate([pair[side].min(axis=1) for pair in found]) for side in (0, 1))
        return np.sqrt(seen), np.sqrt(pool)

    @cached_property
    def densities(self) -> tuple[Floats, Floats]:
        """Log densities of what was released and of everybody else at each row, shape (n,) each: Gaussian kernels in
        the `DIMENSIONS` main directions of the pool, Scott's width."""
        count = min(DIMENSIONS, *self.points.shape)
        space = PCA(count, whiten=True, svd_solver="full").fit(self.points).transform
        out: list[list[Floats]] = [[], []]
        for part in self._chunks():
            for kept, away in zip(out, self._away(part, space), strict=True):
                number = np.isfinite(away).sum(axis=1).clip(1)
                width = number ** (-1.0 / (count + 4))
                log = logsumexp(-away / (2 * width[:, None] ** 2), axis=1)
                kept.append(log - np.log(number) - count * np.log(width))
        return np.concatenate(out[0]), np.concatenate(out[1])


def _squared(a: Floats, b: Floats) -> Floats:
    found: Floats = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T
    return found.clip(0.0)


def kernel_density(release: Release) -> Floats:
    """How dense the released rows are there, shape (n,)."""
    return release.densities[0]


def density_ratio(release: Release) -> Floats:
    """How much denser the released rows are there than everybody's, shape (n,): local overfitting."""
    seen, pool = release.densities
    return seen - np.maximum(pool, pool[np.isfinite(pool)].min(initial=0.0) - 50)


def nearest(release: Release) -> Floats:
    """Minus the distance to the nearest released row, shape (n,)."""
    return -release.closest[0]


def nearest_calibrated(release: Release) -> Floats:
    """How many times closer the nearest released row is than the nearest row of anybody else, logarithm, shape (n,):
    an unusual person has no close row of others, and a copy is close all the same."""
    seen, pool = release.closest
    return -np.log(np.maximum(seen, NOTHING)) + np.log(np.maximum(pool, NOTHING))


def value_match(release: Release) -> Floats:
    """How surprising the values are that a released row shares with a row, where the release made them, shape (n,).

    For each row the largest sum over released rows of minus the log of how many people have the value, over
    changed features whose value is exactly that of the row.
    """
    people = np.unique(release.persons)
    worth = np.zeros(release.values.shape)
    codes: list[Floats] = []
    for j in range(release.values.shape[1]):
        held = _holders(release.rows[:, j], release.persons, release.values[:, j])
        # A value of nobody matches nothing; one of everybody says nothing.
        worth[:, j] = np.where(release.changed[:, j], -np.log(np.maximum(held, 1) / len(people)), 0.0)
        codes.append(release.rows[:, j])
    out = np.zeros(len(release.rows))
    for part in release._chunks():
        total = np.zeros((len(release.rows[part]), len(release.values)))
        for j in range(release.values.shape[1]):
            total += (release.rows[part, j][:, None] == release.values[None, :, j]) * worth[None, :, j]
        total[release.without[part][:, None] == release.whose[None, :]] = 0.0
        out[part] = total.max(axis=1, initial=0.0)
    return out


def attribute_inference(release: Release) -> Floats:
    """Minus the mean error, in standard deviations, with which a row's values are guessed one at a time from the
    nearest released row by all other values, shape (n,)."""
    d = release.points.shape[1]
    scale = release.points.std(axis=0)
    kept = np.flatnonzero(scale > 0)
    errors = np.zeros(len(release.points))
    if not len(release.seen):
        return errors
    for part in release._chunks():
        here = release.points[part]
        total = _squared(here, release.seen)
        barred = release.without[part][:, None] == release.whose[None, :]
        for j in kept:
            others = total - (here[:, [j]] - release.seen[None, :, j]) ** 2
            others[barred] = np.inf
            guess = release.seen[others.argmin(axis=1), j]
            errors[part] += np.abs(guess - here[:, j]) / scale[j]
    return -errors / max(min(d, len(kept)), 1)


def _holders(column: Floats, persons: Texts, values: Floats) -> Floats:
    """How many people have each value exactly, shape as `values`."""
    known = ~np.isnan(column)
    people = np.unique(persons[known], return_inverse=True)[1].astype(float)
    pairs = np.unique(np.column_stack([column[known], people]), axis=0)
    at, count = np.unique(pairs[:, 0], return_counts=True)
    place = np.searchsorted(at, values).clip(0, max(len(at) - 1, 0))
    if not len(at):
        return np.zeros(len(values))
    return np.where(at[place] == values, count[place], 0).astype(float)


def holders(rows: Floats, persons: Texts, values: Floats, changed: Bools) -> Floats:
    """How many people hold each changed value exactly, shape as `values`; NaN where nothing was changed.

    `rows` (n, d), `persons` (n,): everybody's rows; `values`, `changed` (r, d): what was released.
    """
    found = np.column_stack([_holders(rows[:, j], persons, values[:, j]) for j in range(rows.shape[1])])
    return np.where(changed & ~np.isnan(values), found, np.nan)


def loss(confidence: Floats) -> Floats:
    """The log odds that a model gives the row's own label, shape (n,). `confidence` (n,): the probability of it."""
    p = confidence.clip(1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def likelihood_ratio(target: Floats, shadows: Floats, inside: Bools) -> Floats:
    """How much likelier the model's log odds are where the person was learned from than where not, shape (n,).

    `target` (n,): log odds of the attacked model; `shadows` (s, n): those of models fitted to other draws of people;
    `inside` (s, n): whether the person was among them. Gaussian, with one spread for all rows.
    """
    means, spreads = [], []
    for side in (inside, ~inside):
        with np.errstate(invalid="ignore"):  # a person who is on one side in all of them has no ratio
            mean = (shadows * side).sum(axis=0) / side.sum(axis=0)
        means.append(mean)
        away = (shadows - mean)[side]
        spreads.append(float(np.sqrt((away[np.isfinite(away)] ** 2).sum() / max(np.isfinite(away).sum(), 1))) or 1.0)
    logs = [-((target - mean) ** 2) / (2 * s**2) - np.log(s) for mean, s in zip(means, spreads, strict=True)]
    return np.nan_to_num(logs[0] - logs[1])


#: The attacks on released rows, by name.
ON_ROWS: dict[str, Callable[[Release], Floats]] = {
    "density ratio": density_ratio,
    "kernel density": kernel_density,
    "nearest": nearest,
    "nearest, calibrated": nearest_calibrated,
    "value match": value_match,
    "attribute inference": attribute_inference,
}
