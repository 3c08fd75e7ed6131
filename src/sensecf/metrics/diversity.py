"""How different the answers to one request are; undefined for a request with fewer than two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from sensecf.core.distances import Scale
from sensecf.core.rules import Floats
from sensecf.metrics.declare import metric
from sensecf.metrics.scored import Scored


@metric(
    title="Distance between the plans of a person",
    section="A choice of plans",
    over="menus",
    better="higher",
    share=False,
)
def pairwise_distance(scored: Scored) -> pd.Series[float]:
    """Mean MAD-L1 distance between two answers of a request, from 0 up, higher is more diverse.

    Leaves out: whether the answers differ in kind or only in size. Source: Mothilal et al. 2020.
    """

    def mean_of_pairs(distance: Floats) -> Floats:
        size = distance.shape[1]
        total: Floats = distance.sum(axis=(1, 2)) / (size * (size - 1))
        return total

    return _of_distances(scored, mean_of_pairs)


@metric(title="Diversity (DPP)", section="A choice of plans", over="menus", better="higher", style="number")
def dpp(scored: Scored) -> pd.Series[float]:
    """Determinant of the kernel K, K_ij = 1 / (1 + MAD-L1 distance of answers i and j), in [0, 1],
    higher is more diverse; 0 as soon as two answers are equal.

    Leaves out: comparison between requests with unlike numbers of answers, since it falls with
    their number. Source: Mothilal et al. 2020 (determinantal point processes, Kulesza & Taskar 2012).
    """
    return _of_distances(scored, lambda distance: np.linalg.det(1.0 / (1.0 + distance)).clip(0.0, 1.0))


@metric(title="Distinct sets of changes among them", section="A choice of plans", over="menus", better="higher")
def distinct_actions(scored: Scored) -> pd.Series[float]:
    """Distinct sets of changed features among the answers of a request, over their number: 1/n to 1,
    higher is more diverse. Leaves out: the size and direction of changes. Source: ours.
    """
    sets = np.unique(scored.changed, axis=0, return_inverse=True)[1]
    found = scored.series(sets).groupby(level="query").agg(["nunique", "size"])
    share = (found["nunique"] / found["size"]).where(found["size"] > 1)
    return share.reindex(scored.requests)


def _of_distances(scored: Scored, summary: Callable[[Floats], Floats]) -> pd.Series[float]:
    """`summary` of the distance matrices (requests, n, n), for requests of equal n at a time."""
    scale = scored.task.once(Scale)
    order = np.argsort(scored.owner, kind="stable")
    counts = np.bincount(scored.owner, minlength=len(scored.requests))
    starts = np.cumsum(counts) - counts
    out = np.full(len(scored.requests), np.nan)
    for size in np.unique(counts[counts > 1]):
        chosen = np.flatnonzero(counts == size)
        members = order[starts[chosen][:, None] + np.arange(size)]
        distance = np.zeros((len(chosen), size, size))
        for i in range(size):
            for j in range(i):
                distance[:, i, j] = distance[:, j, i] = scale.mad_l1(
                    scored.after[members[:, i]], scored.after[members[:, j]]
                )
        out[chosen] = summary(distance)
    return pd.Series(out, scored.requests)
