"""`Candidates`: what a generator proposed, unchecked, or why it proposed nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sensecf.core.rules import Floats
from sensecf.core.task import Ints


@dataclass(frozen=True)
class Candidates:
    """A batch of proposals, in any order.

    `query` (m,): position of the query each row answers; `rows` (m, d): encoded, all NaN where
    nothing was proposed; `reason` (m,): why nothing was proposed, "" otherwise;
    `generator` (m,): who proposed it.

    >>> import numpy as np
    >>> query = limits.query(task, people, "low")
    >>> found = sensecf.generators.Search(task).propose(query, np.random.default_rng(0))
    >>> found.rows.shape[1] == len(task.schema.names)
    True
    """

    query: Ints
    rows: Floats
    reason: np.ndarray
    generator: np.ndarray

    def __len__(self) -> int:
        return len(self.query)

    @classmethod
    def of(cls, query: Ints, rows: Floats, generator: str, reason: Sequence[str] | None = None) -> Candidates:
        """Candidates of one generator; `reason` defaults to none."""
        texts = np.full(len(query), "", dtype=object) if reason is None else np.array(reason, dtype=object)
        return cls(np.asarray(query, np.intp), rows, texts, np.full(len(query), generator, dtype=object))

    def take(self, index: np.ndarray) -> Candidates:
        """The candidates at the given positions (or under a mask)."""
        return Candidates(self.query[index], self.rows[index], self.reason[index], self.generator[index])

    @classmethod
    def concat(cls, parts: Sequence[Candidates]) -> Candidates:
        """All candidates of the parts, in order."""
        return cls(
            np.concatenate([p.query for p in parts]),
            np.concatenate([p.rows for p in parts]),
            np.concatenate([p.reason for p in parts]),
            np.concatenate([p.generator for p in parts]),
        )
