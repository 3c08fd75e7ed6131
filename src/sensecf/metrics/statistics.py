"""Intervals and paired tests that respect people: rows of one person are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sensecf.core.errors import InputError
from sensecf.core.rules import Floats

#: Confidence of every interval.
LEVEL = 0.95
#: Resamples of a bootstrap or a permutation test.
RESAMPLES = 2000
#: Fewer people (splits) than this and no interval is given.
FEWEST = 5
#: Resamples whose counts are held in memory at a time.
CHUNK = 100

Interval = tuple[float, float]
UNDEFINED: Interval = (float("nan"), float("nan"))


def wilson(successes: float, n: float, level: float = LEVEL) -> Interval:
    """Score interval of a share (Wilson 1927), in [0, 1]; undefined (NaN) for n = 0.

    Unlike mean ± 2 standard errors it stays inside [0, 1] and has a width at 0 and at n of n.
    `n` may be an effective sample size and need not be whole.
    """
    if n <= 0:
        return UNDEFINED
    z = float(stats.norm.ppf(0.5 + level / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    # At the ends the bound is exact, but for rounding.
    return 0.0 if share <= 0 else max(0.0, centre - half), 1.0 if share >= 1 else min(1.0, centre + half)


def interval(
    values: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    share: bool = False,
    means: ArrayLike | None = None,
    seed: int = 0,
) -> Interval:
    """The 95 % interval of a mean (NaN left out): the one that every table of SenseCF shows.

    `share_interval` where `share` says that values lie in [0, 1] and all are 0 or 1, the bootstrap
    over clusters otherwise (`means`: bootstrap means that are there already). Undefined with fewer
    than `FEWEST` clusters (people, splits): so few say nothing of those who are not there.
    """
    flat, codes = _finite(values, clusters)
    if share and np.isin(flat, (0.0, 1.0)).all():
        return share_interval(flat, codes)
    people = len(np.unique(codes))
    if people < FEWEST:
        return UNDEFINED
    found = resampled_means(flat[:, None], codes, seed=seed)[:, 0] if means is None else means
    return percentile_interval(found, expanded(people))


def share_interval(values: ArrayLike, clusters: ArrayLike | None = None, level: float = LEVEL) -> Interval:
    """Wilson interval of the mean of 0/1 values (NaN left out), for rows that come in clusters.

    The sample counts as n / design effect (Kish 1965), at most n, where the design effect is the
    variance between clusters over that of independent rows. It cannot be seen where fewer than
    `FEWEST` clusters have the rarer value, above all where all values are equal: the sample counts
    as its clusters then. Undefined with fewer than `FEWEST` clusters. Without clusters, and with one
    row in each, it is plain Wilson.
    """
    flat, codes = _finite(values, clusters)
    n = len(flat)
    sizes = np.bincount(codes).astype(float)
    if len(sizes) < FEWEST:
        return UNDEFINED
    share = float(flat.mean())
    ones = np.bincount(codes, weights=flat)
    effective = float(n)
    if min(np.count_nonzero(ones), np.count_nonzero(sizes - ones)) < FEWEST:
        effective = float(len(sizes))
    if 0 < share < 1:
        residual = ones - share * sizes
        between = len(sizes) / (len(sizes) - 1) * float((residual**2).sum()) / n**2
        independent = share * (1 - share) / (n - 1)
        if between > independent:
            effective = min(effective, n * independent / between)
    return wilson(share * effective, effective, level)


def resampled_means(
    values: Floats, clusters: ArrayLike, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Means of every column in bootstrap samples of whole clusters, shape (resamples, columns).

    `values` (n, columns): NaN where a column has no value, `clusters` (n,): who a row belongs to.
    All columns see the same samples, so that differences of columns can be read off. A column
    without a value in a sample is NaN there.
    """
    codes = _codes(clusters)
    known = ~np.isnan(values)
    groups = int(codes.max()) + 1 if len(codes) else 0
    sums, counts = (
        np.stack([np.bincount(codes, weights=column, minlength=groups) for column in table.T], axis=1)
        if table.shape[1]
        else np.empty((groups, 0))
        for table in (np.where(known, values, 0.0), known.astype(float))
    )
    out = np.full((resamples, values.shape[1]), np.nan)
    rng = np.random.default_rng(seed)
    for start in range(0, resamples if groups else 0, CHUNK):
        size = min(CHUNK, resamples - start)
        drawn = rng.integers(0, groups, (size, groups)) + np.arange(size)[:, None] * groups
        weight = np.bincount(drawn.ravel(), minlength=size * groups).reshape(size, groups).astype(float)
        with np.errstate(invalid="ignore"):
            out[start : start + size] = (weight @ sums) / (weight @ counts)
    return out


def percentile_interval(samples: ArrayLike, level: float = LEVEL) -> Interval:
    """The middle `level` of bootstrap values (Efron 1979); undefined when fewer than half are defined."""
    found = np.asarray(samples, dtype=float)
    finite = found[np.isfinite(found)]
    if len(finite) < max(1, len(found) / 2):
        return UNDEFINED
    low, high = np.quantile(finite, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def expanded(clusters: int, level: float = LEVEL) -> float:
    """The level at which percentiles of a bootstrap over clusters are as wide as Student's t (Hesterberg 2015)."""
    tail = np.sqrt(clusters / (clusters - 1)) * stats.t.ppf(0.5 + level / 2, clusters - 1)
    return float(2 * stats.norm.cdf(tail) - 1)


@dataclass(frozen=True)
class Paired:
    """Two methods on the same requests: mean of each, mean difference a - b with its interval,
    the p values of a sign-flip permutation test over clusters and of Wilcoxon's signed ranks
    (two-sided; NaN where undefined), `n` requests in `clusters` clusters."""

    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p: float
    p_wilcoxon: float
    n: int
    clusters: int


def paired(
    a: ArrayLike, b: ArrayLike, clusters: ArrayLike | None = None, resamples: int = 9999, seed: int = 0
) -> Paired:
    """Compare two methods on the requests where both have a value (arrays of one length, NaN for none).

    `p`: the differences of a person change sign together (exact when there are few people, else
    `resamples` random signs). `p_wilcoxon`: on the mean difference of each person, zeros by Pratt.
    For a comparison over all requests give `preference(a, b, ...)` and zeros instead.
    """
    left, right = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if left.shape != right.shape:
        raise InputError(f"paired values must match request by request, not {left.shape} and {right.shape}")
    both = np.isfinite(left) & np.isfinite(right)
    codes = _codes(np.arange(len(left)) if clusters is None else clusters)[both]
    left, right = left[both], right[both]
    n = len(left)
    nan = float("nan")
    if n == 0:
        return Paired(nan, nan, nan, nan, nan, nan, nan, 0, 0)
    difference = left - right
    codes = _codes(codes)
    sums = np.bincount(codes, weights=difference)
    means = sums / np.bincount(codes)
    p = p_wilcoxon = nan
    if len(sums) > 1:
        # Written on cluster sums, the flip of a cluster's sign is the flip of all its rows.
        result = stats.permutation_test(
            (sums / n,),
            lambda x, axis: x.sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=resamples,
            batch=1000,
            rng=np.random.default_rng(seed),
        )
        p = float(result.pvalue)
        p_wilcoxon = 1.0 if not means.any() else float(stats.wilcoxon(means, zero_method="pratt").pvalue)
    low, high = interval(difference, codes, seed=seed)
    return Paired(
        float(left.mean()), float(right.mean()), float(difference.mean()), low, high, p, p_wilcoxon, n, len(sums)
    )


def preference(a: ArrayLike, b: ArrayLike, higher_is_better: bool) -> Floats:
    """Which method serves each request better: 1 for a, -1 for b, 0 for a draw, shape as `a`.

    Coverage counts: a request that only one method answered (the other has NaN) is won by that
    method; one that neither answered is a draw.
    """
    left, right = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    worst = -np.inf if higher_is_better else np.inf
    left, right = np.where(np.isnan(left), worst, left), np.where(np.isnan(right), worst, right)
    won = np.where(left == right, 0.0, np.where(left > right, 1.0, -1.0))
    return won if higher_is_better else -won + 0.0


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down correction of a family of p values (Holm 1979); an undefined one (NaN) is no member."""
    p = np.asarray(p_values, dtype=float)
    out = np.full(p.shape, np.nan)
    members = np.flatnonzero(~np.isnan(p))
    order = members[np.argsort(p[members], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    out[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return out


@dataclass(frozen=True)
class Ranks:
    """Friedman's test: `ranks` (methods,) the mean rank of each (1 is best), `statistic` and `p`,
    and `critical`, the difference of mean ranks that is significant by Nemenyi's test at 5 %."""

    ranks: Floats
    statistic: float
    p: float
    critical: float


def friedman(scores: Sequence[Sequence[float]] | Floats, higher_is_better: bool) -> Ranks:
    """Rank methods over data sets (Friedman 1937; Demšar 2006), `scores` (data sets, methods) without blanks.

    Raises `InputError` for fewer than three methods or two data sets: use `paired` there.
    """
    table = np.asarray(scores, dtype=float)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 3 or np.isnan(table).any():
        raise InputError(f"Friedman's test needs at least 2 data sets × 3 methods without blanks, not {table.shape}")
    sets, methods = table.shape
    ranks = stats.rankdata(-table if higher_is_better else table, axis=1)
    mean = ranks.mean(axis=0)
    if (ranks == ranks[:, :1]).all():  # all tied in every data set: scipy divides by zero
        statistic, p = 0.0, 1.0
    else:
        statistic, p = (float(v) for v in stats.friedmanchisquare(*table.T))
    quantile = float(stats.studentized_range.ppf(0.95, methods, np.inf)) / np.sqrt(2)
    return Ranks(mean, statistic, p, float(quantile * np.sqrt(methods * (methods + 1) / (6 * sets))))


def _codes(clusters: ArrayLike) -> NDArray[np.intp]:
    """Clusters numbered from 0 in sorted order, shape (n,); unknown ones (NaN) are one cluster."""
    codes: NDArray[np.intp] = pd.factorize(np.asarray(clusters), sort=True, use_na_sentinel=False)[0]
    return codes


def _finite(values: ArrayLike, clusters: ArrayLike | None) -> tuple[Floats, NDArray[np.intp]]:
    """The values that are no NaN, and the cluster number of each (its own position without clusters)."""
    flat = np.asarray(values, dtype=float)
    known = ~np.isnan(flat)
    given = np.arange(len(flat)) if clusters is None else np.asarray(clusters)
    return flat[known], _codes(given[known])
