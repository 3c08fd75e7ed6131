"""Plans for one person as the page knows them: the question, a plan judged on its days, and all plans of one ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.data.infer.terms import lever
from sensecf.web.alike import Alike
from sensecf.web.cohort import Cohort
from sensecf.web.words import Blocker

Order = Literal["effort", "changes", "lead"]
#: How hard a change of a feature is for this person: its weight in the effort.
EFFORTS = {"easy": 0.5, "normal": 1.0, "hard": 2.5}
#: Plans shown side by side.
SHOWN = 4


@dataclass(frozen=True)
class Inquiry:
    """One question: for whom (a number of `Cohort.persons`), on which days (positions of rows), under which limits, and
    how hard each feature is (by column; 1 where absent)."""

    person: int
    days: tuple[int, ...]
    limits: Limits
    effort: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Day:
    """What a plan does to one day. `row`: the day's position on the page; `after` (d,): encoded; `turned`: the
    classifier puts it in the target class and every rule is kept; `probability`: of the target."""

    row: int
    after: Floats
    turned: bool
    probability: float
    lead: float
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """One answer for a person, judged on every day that was asked about.

    `days`: in the order of the ask; `edited` (d,): what the person does, on any of the days; `score`: LOF on the day
    that stands for the plan (`day`), 0 or more is an inlier; `in_range`: all values there inside those seen in
    training; `n_changed`, `proximity`: of that day. `alike`: training rows near that day. `holds`: the share of refits
    that took no part in finding it which agree, `holds_low` its exact lower bound, None where nobody asked; the lowest
    of the turned days. `told`: what it asks for on each of several days, see `pipeline.person.said`.
    `follows`: what is expected to follow on that day, as `Counterfactuals` writes it, None where nobody looked yet.
    `own`: put together by hand. `mark`: the fingerprint of the limits it was made for. `id` is random: it stands in
    addresses and says nothing.
    """

    id: str
    person: int
    days: tuple[Day, ...]
    edited: Bools
    n_changed: int
    proximity: float
    score: float
    in_range: bool
    alike: Alike
    holds: float | None = None
    holds_low: float | None = None
    told: str = ""
    follows: str | None = None
    own: bool = False
    mark: str = ""

    @cached_property
    def day(self) -> Day:
        """The day that stands for the plan: the last one that it turns, else the last."""
        return next((day for day in reversed(self.days) if day.turned), self.days[-1])

    @property
    def row(self) -> Floats:
        """Its values on that day, shape (d,)."""
        return self.day.after

    @property
    def turns(self) -> int:
        """How many of the days it turns."""
        return sum(day.turned for day in self.days)

    @property
    def probability(self) -> float:
        """The mean probability of the target over the days."""
        return float(np.mean([day.probability for day in self.days]))

    @property
    def lead(self) -> float:
        """The smallest lead of the target over the other classes on the days that it turns."""
        return min((day.lead for day in self.days if day.turned), default=self.day.lead)


@dataclass(frozen=True)
class Pool:
    """All plans of one ask; `reason` and `blocks` say why there is none. `there`: every day is in the target class.

    `found`: whose the plans are, one of `counterfactuals.FINDERS`. `query`: one row for each day. `wide`: plans of one
    kind of lever were looked for too.
    """

    id: str
    ask: Inquiry
    query: Query
    plans: list[Plan]
    reason: str = ""
    blocks: Sequence[Blocker] = ()
    there: bool = False
    found: str = "own"
    wide: bool = False


def kind(cohort: Cohort, column: int) -> str:
    """What a lever is about: "Sleep", "Activity"; a column that is not recognised is a kind of its own."""
    return lever(cohort.task.schema.features[column]) or cohort.labels[column]


def kinds_of(cohort: Cohort, columns: Sequence[int]) -> tuple[str, ...]:
    """The kinds of these levers, in the order of the schema."""
    return tuple(dict.fromkeys(kind(cohort, j) for j in columns))


def kind_of(cohort: Cohort, plan: Plan) -> tuple[str, ...]:
    """The kinds of levers that a plan moves, in the order of the schema."""
    return kinds_of(cohort, np.flatnonzero(plan.edited).tolist())
