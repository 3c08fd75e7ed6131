"""Curation: which proposed rows are kept.

Three kinds go: rows that judges who have not seen the factual confidently put elsewhere, rows unlike
any class, and near copies. Rows that are merely hard are kept: they are what a learner lacks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sensecf.core.distances import Scale
from sensecf.core.plausibility import Plausibility
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task, lead

#: A row goes when judges that have not seen its factual give another class a lead of more than this.
CONTRADICTED = 0.4
#: A row is a near copy when it is closer to one kept before than this share of a typical way between real rows.
COPY = 0.1


@dataclass(frozen=True)
class ProposedRows:
    """Proposed rows and what is known of them.

    `rows` (m, d) encoded; `target` (m,) the class asked for; `factual` (m,) position of the training
    row it was made from; `pair` (m,) a number that a factual shares with its counterfactual; `source`
    (m,) which of the two it is; `generator` (m,) who made it; `unseen` (m, classes) the
    class probabilities by judges that have not seen the training row; `agreement` (m,) the share of
    their families that say the target.
    """

    rows: Floats
    target: Ints
    factual: Ints
    pair: Ints
    source: np.ndarray
    generator: np.ndarray
    unseen: Floats
    agreement: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: np.ndarray) -> ProposedRows:
        """The rows at the given positions (or under a mask)."""
        return ProposedRows(**{name: values[index] for name, values in vars(self).items()})

    @classmethod
    def concat(cls, parts: list[ProposedRows]) -> ProposedRows:
        """All rows of the parts, in order."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})

    @classmethod
    def empty(cls, width: int, classes: int) -> ProposedRows:
        """No rows of `width` features."""
        none, words, blank = np.empty(0, np.intp), np.empty(0, object), np.empty((0, classes))
        return cls(np.empty((0, width)), none, none, none, words, words, blank, np.empty(0))

    def certainty(self) -> Floats:
        """How far the judges prefer their first class to their second, shape (m,), in [0, 1]."""
        ordered = np.sort(self.unseen, axis=1)
        apart: Floats = ordered[:, -1] - ordered[:, -2]
        return apart


def curate(task: Task, pool: ProposedRows, others: Floats | None = None) -> ProposedRows:
    """The rows worth keeping, in order. `others` (k, d): rows beside the training rows that none may copy."""
    kept = pool.take(~contradicted(pool))
    kept = kept.take(_likely(task, kept))
    return kept.take(distinct(task, kept.rows, others))


def contradicted(pool: ProposedRows) -> Bools:
    """Whether judges that have not seen the factual confidently deny the class asked for, shape (m,)."""
    denied: Bools = lead(pool.unseen, pool.target) < -CONTRADICTED
    return denied


def _likely(task: Task, pool: ProposedRows) -> Bools:
    """Whether each row is an inlier of some class, shape (m,)."""
    critic, m = task.once(Plausibility), len(pool)
    likely = np.zeros(m, dtype=bool)
    for position in range(len(task.classes)):
        likely |= critic.score(pool.rows, np.full(m, position)) >= 0
    return likely


def distinct(task: Task, rows: Floats, others: Floats | None = None) -> Bools:
    """Which rows are no near copy of a training row, of one of `others` or of a row before them, shape (m,)."""
    m = len(rows)
    if not m:
        return np.zeros(0, dtype=bool)
    scale = task.once(Scale)
    real, made = scale.embed(task.rows), scale.embed(rows)
    between = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(real)
    typical = float(np.median(between.kneighbors(real)[0][:, 1])) if len(real) > 1 else 0.0
    radius = COPY * typical
    kept = between.kneighbors(made, 1)[0][:, 0] > radius
    if others is not None and len(others):
        known = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(scale.embed(others))
        kept &= known.kneighbors(made)[0][:, 0] > radius
    near = NearestNeighbors(radius=radius, algorithm="brute").fit(made).radius_neighbors(made, return_distance=False)
    for row in range(m):
        if kept[row]:
            later = near[row][near[row] > row]
            kept[later] = False
    return kept
