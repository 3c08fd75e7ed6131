"""`Company`: a judge whose probabilities are the mean of its classifier's and of others'."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sensecf.core.judge import Judge, Judgement
from sensecf.core.rules import Floats


class Company(Judge):
    """What a judge says in the company of others: the class is its classifier's, the probabilities are the mean.

    A row that leads its class by a margin in company is so valid for the classifier itself, and clear of the boundary
    for most of the others. `others`: the probabilities (n, classes) that each gives encoded rows (n, d). Rows are
    counted once for each that is asked.
    """

    def __init__(self, own: Judge, others: Sequence[Callable[[Floats], Floats]]) -> None:
        super().__init__(own.schema, own.classifier, own.known, own.dtypes)
        self._own, self._others = own, others
        self._count, self.checked = own._count, own.checked

    def __call__(self, rows: Floats, final: bool = False) -> Judgement:
        """Ask everybody, once, about all rows; see `Task.judge`."""
        told = self._own(rows, final)
        self.add(len(rows) * len(self._others))
        total = told.proba.copy()
        for other in self._others:
            total += other(rows)
        return Judgement(told.predicted, np.asarray(total / (1 + len(self._others))), told.tie)
