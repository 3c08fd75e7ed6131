"""`Situation`, what an arm may see; `Treatment`, what it makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.codec import Codec
from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema, Value
from sensecf.core.task import Classifier, Ints


@dataclass(frozen=True)
class Situation:
    """Scarce labels, as an arm sees them.

    `rows`: features, label and group of the rows that kept their label. `unlabelled`: features and
    group of those that lost it, and `removed`: those rows with their labels; both None for every
    arm that may not see them. `budget`: rows to add at amount 1. `seed`: of everything random.
    `epsilon`: of arms that are differentially private.
    """

    schema: FeatureSchema
    rows: pd.DataFrame
    positive: Value
    budget: int
    seed: int = 0
    unlabelled: pd.DataFrame | None = None
    removed: pd.DataFrame | None = None
    epsilon: float = 8.0

    @cached_property
    def codec(self) -> Codec:
        """The codec of the schema."""
        return Codec(self.schema)

    @cached_property
    def encoded(self) -> Floats:
        """The labelled rows as numbers, shape (n, d)."""
        return self.codec.encode(self.rows)

    @cached_property
    def classes(self) -> list[Value]:
        """The classes that occur, in the schema's order."""
        there = set(self.rows[self.schema.label].tolist())
        return [c for c in self.schema.classes if c in there]

    @cached_property
    def y(self) -> Ints:
        """Class positions of the labelled rows, shape (n,)."""
        positions = {c: i for i, c in enumerate(self.classes)}
        return np.array([positions[v] for v in self.rows[self.schema.label].tolist()], dtype=np.intp)

    def rng(self, stream: int) -> np.random.Generator:
        """Random numbers of one purpose, whatever else was drawn before."""
        return np.random.default_rng([self.seed, stream])

    def allot(self, amount: float = 1.0) -> Ints:
        """How many of `amount` x `budget` new rows each class gets, shape (classes,).

        Row by row to the class with the fewest, so that classes are evened out first and grow alike then.
        """
        return share_out(np.bincount(self.y, minlength=len(self.classes)), round(amount * self.budget))

    def table(self, rows: Floats, y: Ints) -> pd.DataFrame:
        """Encoded rows and class positions as a frame of features and label."""
        frame = self.codec.decode(rows)
        frame[self.schema.label] = pd.Series([self.classes[k] for k in y], index=frame.index, dtype=object)
        return frame.infer_objects()


def share_out(counts: Ints, total: int) -> Ints:
    """How many of `total` rows go to each class so that the smallest classes are filled first, shape (classes,)."""
    level = np.sort(counts)
    given = np.zeros(len(counts), dtype=np.intp)
    for fullest in range(len(level), 0, -1):
        height, rest = divmod(total + int(level[:fullest].sum()), fullest)
        if height >= level[fullest - 1]:
            lowest = np.argsort(counts, kind="stable")[:fullest]
            given[lowest] = height - counts[lowest]
            given[lowest[:rest]] += 1
            break
    return given


@dataclass(frozen=True)
class Treatment:
    """What an arm gives the classifiers.

    `added`: rows (features, label and whatever else) to learn from beside the labelled ones.
    `balanced`: whether each class weighs alike instead of each row. `fit`: replaces fitting on the
    labelled and the added rows: from the name of a classifier to one that is fitted. `note`: what a
    reader of the result must know (that a method could not make what was asked, and what it did).
    """

    added: pd.DataFrame = field(default_factory=pd.DataFrame)
    balanced: bool = False
    fit: Callable[[str], Classifier] | None = None
    note: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


Arm = Callable[[Situation], Treatment]
