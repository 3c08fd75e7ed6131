"""Generators that misbehave, for tests; a worker imports them by name."""

from __future__ import annotations

import os
import time

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.query import Query
from sensecf.core.task import Task


class Two:
    """Proposes the factual, which is not valid, then the first training row of the target class."""

    name = "two"

    def __init__(self, task: Task, seed: int = 0) -> None:
        self.task = task

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        numbers = np.arange(len(query))
        judged = self.task.judge(self.task.rows).predicted
        goals = np.stack([self.task.rows[judged == target][0] for target in query.target])
        return Candidates.of(np.concatenate([numbers, numbers]), np.concatenate([query.rows, goals]), self.name)


class Moody(Two):
    """As `Two`, but the row with the smallest x0 makes it hang and the one with the largest kills it."""

    name = "moody"

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        print("what a generator prints does not matter")
        if (query.rows[:, 0] <= -2.0).any():
            time.sleep(600)
        if (query.rows[:, 0] >= -0.1).any():
            os._exit(7)
        return super().propose(query, rng)


class Unbuilt:
    """Cannot be built."""

    def __init__(self, task: Task, seed: int = 0) -> None:
        raise RuntimeError("no such model")

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        raise NotImplementedError
