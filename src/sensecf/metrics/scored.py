"""Answers beside their factuals, read and judged once: what every metric takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.judge import Classifier, Ints, Judgement
from sensecf.core.plausibility import Plausibility
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Task

#: Rows put to the classifier at once, to bound memory.
BATCH = 100_000

Made = TypeVar("Made")
P = ParamSpec("P")


@dataclass(frozen=True)
class CrossFitted:
    """A judge in parts, none of which has learned of the people it judges: `models[fold[query]]` judges `query`.

    >>> import pandas as pd
    >>> judge = sensecf.metrics.CrossFitted([classifier, classifier], pd.Series([0, 1, 0, 1], index=people.index))
    """

    models: Sequence[Classifier]
    fold: pd.Series[int]


@dataclass(frozen=True)
class Given:
    """What some metrics need beside answers and task; undefined are those that need what is not there.

    `query`: the limits of each person, in the order of the factuals. `judges`: independent classifiers by name.
    `models`: retrained ones (see `retrained`). `reference`: distance of another method's answer per query.

    >>> sensecf.metrics.Given(judges={"again": classifier}).models is None
    True
    """

    query: Query | None = None
    judges: Mapping[str, Classifier | CrossFitted] | None = None
    models: Mapping[str, Classifier] | None = None
    reference: pd.Series[float] | None = None


@dataclass(frozen=True)
class Scored:
    """The answers of `Counterfactuals`, read back from their features; verdict columns are not looked at.

    `index` (m): query and rank of each answer; `before`, `after` (m, d): encoded rows;
    `target` (m,): class positions; `requests`: every query asked, answered or not. What several metrics share
    is computed at the first call and kept; a metric must not write to any of it.

    >>> scored = sensecf.metrics.read(plans, task)
    >>> scored.after.shape == scored.before.shape
    True
    """

    task: Task
    cfs: Counterfactuals
    index: pd.MultiIndex
    before: Floats
    after: Floats
    target: Ints
    requests: pd.Index
    given: Given = Given()
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.after)

    @cached_property
    def changed(self) -> Bools:
        """Which features differ by more than half a step, shape (m, d)."""
        return self.task.codec.changed(self.before, self.after)

    @cached_property
    def edited(self) -> Bools:
        """Which features are edited, shape (m, d): those that differ, but for what follows (see
        `Counterfactuals.acts`)."""
        return self.changed & self.cfs.acts if "actions" in self.cfs.frame else self.changed

    @cached_property
    def edits(self) -> Floats:
        """How many features are edited, shape (m,)."""
        count: Floats = self.edited.sum(axis=1).astype(float)
        return count

    @cached_property
    def queries(self) -> pd.Index:
        """The query of each answer, shape (m,)."""
        return self.index.get_level_values("query")

    @cached_property
    def owner(self) -> Ints:
        """The position of each answer's query among the requests, shape (m,)."""
        return self.requests.get_indexer(self.queries)

    @cached_property
    def judged(self) -> Judgement:
        """The classifier's own word on the answers."""
        return ask(self.task, self.after)

    @cached_property
    def judged_before(self) -> Judgement:
        """The classifier's own word on the factual of each answer."""
        return ask(self.task, self.before)

    @cached_property
    def reached(self) -> Bools:
        """Whether the classifier's `predict` puts each answer in its target class, shape (m,); a tie is not valid."""
        return self.task.valid(self.judged, self.target)

    @cached_property
    def rules_broken(self) -> Bools:
        """Which rules of the schema each answer breaks, shape (m, rules)."""
        return self.task.codec.rules.violated(self.after)

    @cached_property
    def distance(self) -> Floats:
        """MAD-L1 distance from the factual, shape (m,)."""
        return self.task.once(Scale).mad_l1(self.before, self.after)

    @cached_property
    def likeness(self) -> Floats:
        """How far inside the local outlier factor's threshold each answer is, shape (m,); see `Plausibility.score`."""
        return self.task.once(Plausibility).score(self.after, self.target)

    def once(self, function: Callable[[Scored], Made]) -> Made:
        """`function(self)`, computed at the first call and kept."""
        if function not in self._made:
            self._made[function] = function(self)
        made: Made = self._made[function]
        return made

    def series(self, values: ArrayLike) -> pd.Series[float]:
        """One value per answer, indexed by query and rank."""
        return pd.Series(np.asarray(values, dtype=float), index=self.index)

    def targets(self) -> Iterator[tuple[int, Bools]]:
        """Each class that is a target, with the answers that aim at it."""
        for position in np.unique(self.target):
            yield int(position), self.target == position

    def take(self, keep: Bools) -> Scored:
        """The same requests with some of the answers alone (m,); what is known of these is not computed again."""
        part = replace(
            self,
            cfs=replace(self.cfs, frame=self.cfs.answers[keep].reset_index(drop=True)),
            index=self.index[keep],
            before=self.before[keep],
            after=self.after[keep],
            target=self.target[keep],
        )
        for name in ("changed", "distance", "likeness"):
            part.__dict__[name] = getattr(self, name)[keep]
        predicted, proba, tie = self.judged
        part.__dict__["judged"] = Judgement(predicted[keep], proba[keep], tie[keep])
        return part

    def valid(self) -> Scored:
        """The same requests with the valid answers alone."""
        return self.take(self.reached)


def read(answers: Counterfactuals | Scored, task: Task | None = None, **given: Any) -> Scored:
    """Answers as `task` encodes them; what is read already comes back as it is. `given`: see `Given`.

    Raises `InputError` when the features differ, a query was asked twice or never, or several answers
    have one rank (those of two generators: score them one at a time).

    >>> len(sensecf.metrics.read(plans, task).index) == len(plans.answers)
    True
    """
    if isinstance(answers, Scored):
        return replace(answers, given=replace(answers.given, **given)) if given else answers
    if task is None:
        raise TypeError("counterfactuals are scored with their task: give it as the second argument")
    if answers.schema.names != task.schema.names:
        raise InputError("the counterfactuals and the task have different features; score them with their own task")
    requests = answers.factuals.index
    if not requests.is_unique:
        raise InputError(f"query {requests[requests.duplicated()][0]} stands twice in the factuals; number them anew")
    frame = answers.answers
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
    before = task.codec.encode(answers.factuals)[position]
    return Scored(task, answers, index, before, task.codec.encode(frame), target, requests, Given(**given))


def of_answers(function: Callable[Concatenate[Scored, P], Made]) -> Callable[..., Made]:
    """A function of `Scored` that takes `(counterfactuals, task)` too, and what is given (`Given`) by keyword."""
    known = set(Given.__dataclass_fields__)

    @wraps(function)
    def of(answers: Counterfactuals | Scored, task: Task | None = None, **options: Any) -> Made:
        given = {name: options.pop(name) for name in known & set(options)}
        return function(read(answers, task, **given), **options)  # type: ignore[call-arg]

    return of


def ask(task: Task, rows: Floats) -> Judgement:
    """The classifier's own word on rows, in batches; not counted as a cost of the answers."""
    task = task.uncounted()
    parts = [task.judge(rows[start : start + BATCH], final=True) for start in range(0, max(len(rows), 1), BATCH)]
    return Judgement(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def reached(task: Task, rows: Floats, target: Ints) -> Bools:
    """Whether the classifier's `predict` puts each row in its target class; a tie is not valid."""
    return task.valid(ask(task, rows), target)
