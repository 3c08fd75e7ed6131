"""Real rows like a plan: how many there are, how many of them are truly in the wanted class, and three of them.

A row is shown only where at least `FEWEST` people are alike, and its values are rounded, so that nobody is told apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sensecf.core.distances import NearestPoints, Scale
from sensecf.core.rules import Floats
from sensecf.core.schema import Feature
from sensecf.core.task import Ints, Task
from sensecf.web.cohort import Cohort

#: People that have to be alike before any is shown, and how many are.
FEWEST, SHOWN = 5, 3
#: Rows that are looked at as alike, at most.
MOST = 200
#: Shown values are rounded to so many standard deviations or a step, whichever is more.
ROUNDED = 0.25


@dataclass(frozen=True)
class Alike:
    """Training rows within the typical distance between neighbours of a plan's row, whatever the classifier says.

    `rows`: how many; `people`: of how many; `wanted`: how many rows are in the target class by their own label;
    `nearest`: distance to the nearest row, in typical distances; `at`: positions of the nearest of the wanted class,
    each of another person, empty where too few people are alike.
    """

    rows: int
    people: int
    wanted: int
    nearest: float
    at: tuple[int, ...] = ()


class _Everybody:
    """An index over all training rows; get it with `task.once(_Everybody)`."""

    def __init__(self, task: Task) -> None:
        self.index = NearestPoints(task.once(Scale).measured(task.rows))
        person = task.schema.person
        known = person is not None and person in task.train
        self.people: Ints = (
            np.unique(task.train[person].astype(str), return_inverse=True)[1] if known else np.arange(len(task.rows))
        )


#: Where nobody was looked for yet.
NOBODY = Alike(0, 0, 0, float("inf"))


def alike(cohort: Cohort, rows: Floats) -> list[Alike]:
    """The training rows like each row (m, d)."""
    task = cohort.task
    everybody = task.once(_Everybody)
    typical = cohort.typical_distance
    apart, at = everybody.index.kneighbors(task.once(Scale).measured(rows), min(MOST, len(task.rows)))
    found = []
    for away, places in zip(apart, at, strict=True):
        near = places[away <= typical]
        wanted = near[task.y[near] == cohort.position]
        people = len(np.unique(everybody.people[near]))
        _, first = np.unique(everybody.people[wanted], return_index=True)
        shown = wanted[np.sort(first)][:SHOWN] if len(first) >= FEWEST else wanted[:0]
        found.append(Alike(len(near), people, len(wanted), float(away[0] / typical), tuple(shown.tolist())))
    return found


def rounded(cohort: Cohort, column: int, value: float) -> str:
    """A real person's value as it is shown: coarse, so that nobody is told apart by it."""
    feature = cohort.task.schema.features[column]
    if np.isnan(value) or not feature.numeric:
        return cohort.columns[column].text(value)
    unit = _coarse(feature, ROUNDED * float(cohort.task.once(Scale).std[column]))
    return "about " + feature.format(round(value / unit) * unit)


def _coarse(feature: Feature, size: float) -> float:
    """The power of ten, or 2 or 5 of it, at or above a size; at least the feature's step."""
    size = max(size, float(feature.step or 1.0))
    power = 10.0 ** math.floor(math.log10(size))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= size - 1e-12)
