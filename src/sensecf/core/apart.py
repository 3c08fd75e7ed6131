"""Queries that are answered side by side and know nothing of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Ints


@dataclass(frozen=True)
class Apart(Query):
    """Queries that each draw from a stream of random numbers of their own: a search finds for each what it would find
    alone, whoever else is asked about.

    `streams` (q,): a `numpy.random.Generator` each; it goes on where the last search with that query left it.
    """

    streams: np.ndarray

    @classmethod
    def of(cls, query: Query, seeds: Sequence[Sequence[int]]) -> Apart:
        """The queries with a stream from each of the seeds (q)."""
        streams = np.empty(len(query), dtype=object)
        streams[:] = [np.random.default_rng(list(seed)) for seed in seeds]
        return cls(**vars(query), streams=streams)

    def take(self, index: Any) -> Query:
        """The queries at the given positions, with their streams."""
        taken: Query = super().take(index)
        return replace(taken, streams=self.streams[index])  # type: ignore[call-arg]  # replace keeps the class


class Draws:
    """Random numbers for rows, each from the stream of the query that it answers: for queries that are not `Apart` all
    from one."""

    def __init__(self, query: Query, owner: Ints, rng: np.random.Generator) -> None:
        """`owner` (n,): the query of each row, in ascending order; `rng`: the one stream of queries that share it."""
        self._parts = [(rng, len(owner))]
        if isinstance(query, Apart):
            asked, counts = np.unique(owner, return_counts=True)
            self._parts = [(query.streams[q], int(n)) for q, n in zip(asked.tolist(), counts.tolist(), strict=True)]

    def integers(self, high: int, width: int) -> Ints:
        """Whole numbers from 0 to below `high`, shape (n, width)."""
        return np.concatenate([rng.integers(0, high, (n, width)) for rng, n in self._parts])

    def uniform(self, width: int) -> Floats:
        """Numbers in [0, 1), shape (n, width)."""
        return np.concatenate([rng.random((n, width)) for rng, n in self._parts])
