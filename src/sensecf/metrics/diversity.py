"""How different the answers to one request are; undefined for a request with fewer than two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.distances import Scale
from sensecf.core.judge import Ints
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.metrics.answers import Answers, read


def pairwise_distance(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Mean MAD-L1 distance between two answers of a request, from 0 up, higher is more diverse.

    Leaves out: whether the answers differ in kind or only in size. Source: Mothilal et al. 2020.
    """

    def mean_of_pairs(distance: Floats) -> Floats:
        size = distance.shape[1]
        total: Floats = distance.sum(axis=(1, 2)) / (size * (size - 1))
        return total

    return _of_distances(read(cfs, task), mean_of_pairs, "pairwise_distance")


def dpp(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Determinant of the kernel K, K_ij = 1 / (1 + MAD-L1 distance of answers i and j), in [0, 1],
    higher is more diverse; 0 as soon as two answers are equal.

    Leaves out: comparison between requests with unlike numbers of answers, since it falls with
    their number. Source: Mothilal et al. 2020 (determinantal point processes, Kulesza & Taskar 2012).
    """
    return _of_distances(read(cfs, task), lambda distance: np.linalg.det(1.0 / (1.0 + distance)).clip(0.0, 1.0), "dpp")


def distinct_actions(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Distinct sets of changed features among the answers of a request, over their number: 1/n to 1,
    higher is more diverse. Leaves out: the size and direction of changes. Source: ours.
    """
    answers = read(cfs, task)
    sets = np.unique(answers.changed, axis=0, return_inverse=True)[1]
    found = answers.series(sets, "actions").groupby(level="query").agg(["nunique", "size"])
    share = (found["nunique"] / found["size"]).where(found["size"] > 1)
    return share.reindex(answers.requests).rename("distinct_actions")


def _of_distances(answers: Answers, summary: Callable[[Floats], Floats], name: str) -> pd.Series[float]:
    """`summary` of the distance matrices (requests, n, n), for requests of equal n at a time."""
    scale = answers.task.once(Scale)
    owner: Ints = answers.requests.get_indexer(answers.queries)
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=len(answers.requests))
    starts = np.cumsum(counts) - counts
    out = np.full(len(answers.requests), np.nan)
    for size in np.unique(counts[counts > 1]):
        chosen = np.flatnonzero(counts == size)
        members = order[starts[chosen][:, None] + np.arange(size)]
        distance = np.zeros((len(chosen), size, size))
        for i in range(size):
            for j in range(i):
                distance[:, i, j] = distance[:, j, i] = scale.mad_l1(
                    answers.after[members[:, i]], answers.after[members[:, j]]
                )
        out[chosen] = summary(distance)
    return pd.Series(out, answers.requests, name=name)
