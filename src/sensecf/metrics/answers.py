"""Answers beside their factuals, as encoded rows: what every metric starts from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.judge import Ints, Judgement
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Task

#: Rows put to the classifier at once, to bound memory.
BATCH = 100_000


@dataclass(frozen=True)
class Answers:
    """The answers of `Counterfactuals`, read back from their features; verdict columns are not looked at.

    `index` (m): query and rank of each answer; `before`, `after` (m, d): encoded rows;
    `target` (m,): class positions; `requests`: every query asked, answered or not.
    """

    task: Task
    index: pd.MultiIndex
    before: Floats
    after: Floats
    target: Ints
    requests: pd.Index

    def __len__(self) -> int:
        return len(self.after)

    @cached_property
    def changed(self) -> Bools:
        """Which features differ by more than half a step, shape (m, d)."""
        return self.task.codec.changed(self.before, self.after)

    @cached_property
    def edits(self) -> Floats:
        """How many features differ, shape (m,)."""
        count: Floats = self.changed.sum(axis=1).astype(float)
        return count

    @cached_property
    def queries(self) -> pd.Index:
        """The query of each answer, shape (m,)."""
        return self.index.get_level_values("query")

    def series(self, values: ArrayLike, name: str) -> pd.Series[float]:
        """One value per answer, indexed by query and rank."""
        return pd.Series(np.asarray(values, dtype=float), index=self.index, name=name)

    def targets(self) -> Iterator[tuple[int, Bools]]:
        """Each class that is a target, with the answers that aim at it."""
        for position in np.unique(self.target):
            yield int(position), self.target == position


def read(cfs: Counterfactuals, task: Task) -> Answers:
    """The answers of `cfs` as `task` encodes them.

    Raises `InputError` when the features differ, a query was asked twice or never, or several answers
    have one rank (those of two generators: score them one at a time).
    """
    if cfs.schema.names != task.schema.names:
        raise InputError("the counterfactuals and the task have different features; score them with their own task")
    requests = cfs.factuals.index
    if not requests.is_unique:
        raise InputError(f"query {requests[requests.duplicated()][0]} stands twice in the factuals; number them anew")
    frame = cfs.answers
    position = requests.get_indexer(pd.Index(frame["query"]))
    if (position < 0).any():
        unknown = frame["query"].iloc[int(np.flatnonzero(position < 0)[0])]
        raise InputError(f"query {unknown} has an answer but no factual")
    index = pd.MultiIndex.from_arrays([frame["query"], frame["rank"].astype(int)], names=["query", "rank"])
    if not index.is_unique:
        query, rank = index[index.duplicated()][0]
        raise InputError(f"query {query} has two answers of rank {rank}; score one generator at a time")
    classes = {value: task.target_position(value) for value in frame["target"].unique()}
    target = np.array([classes[value] for value in frame["target"]], dtype=np.intp)
    before = task.codec.encode(cfs.factuals)[position]
    return Answers(task, index, before, task.codec.encode(frame), target, requests)


def ask(task: Task, rows: Floats) -> Judgement:
    """The classifier's own word on rows, in batches; not counted as a cost of the answers."""
    task = task.uncounted()
    parts = [task.judge(rows[start : start + BATCH], final=True) for start in range(0, max(len(rows), 1), BATCH)]
    return Judgement(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def reached(task: Task, rows: Floats, target: Ints) -> Bools:
    """Whether the classifier's `predict` puts each row in its target class; a tie is not valid."""
    return task.valid(ask(task, rows), target)


def valid_only(cfs: Counterfactuals, task: Task) -> Counterfactuals:
    """The same requests with the valid answers alone, judged anew."""
    answers = read(cfs, task)
    good = reached(task, answers.after, answers.target)
    return replace(cfs, frame=cfs.answers[good].reset_index(drop=True))
