"""The controls beside a person's values: what the form says, as limits and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.runs.record.bound import fingerprint
from sensecf.web.cohort import Cohort
from sensecf.web.plans import EFFORTS, SHOWN, Inquiry, Order

ORDERS: dict[Order, str] = {"effort": "Least effort", "changes": "Fewest changes", "lead": "Largest lead"}
#: How many plans may stand side by side.
COUNTS = (3, 4, 5)
#: How certain the classifier must be: leads over the strongest other class, and the probability with two classes.
MARGINS = {0.0: "just so", 0.2: "clear, 0.60", 0.5: "wide, 0.75"}


@dataclass(frozen=True)
class Wish:
    """What is set for one person, by column: kept features, directions, ends of the range as typed, effort;
    the largest number of changes (None: any), the ranking, and how many plans to show."""

    lock: frozenset[int] = frozenset()
    direction: Mapping[int, str] = field(default_factory=dict)
    low: Mapping[int, float] = field(default_factory=dict)
    high: Mapping[int, float] = field(default_factory=dict)
    effort: Mapping[int, str] = field(default_factory=dict)
    budget: int | None = None
    margin: float = Limits.margin
    order: Order = "effort"
    count: int = SHOWN

    def weights(self) -> dict[int, float]:
        """The weight of each feature in the effort."""
        return {column: EFFORTS[name] for column, name in self.effort.items()}

    def limits(self, cohort: Cohort) -> Limits:
        """The same as limits by name."""
        names, held = cohort.task.schema.names, set(cohort.locked_first)
        return Limits(
            tuple(names[j] for j in sorted(self.lock)),
            {names[j]: (self.low.get(j), self.high.get(j)) for j in sorted({*self.low, *self.high})},
            {names[j]: way for j, way in sorted(self.direction.items())},
            self.budget,
            self.margin,
            # The controls say what is kept, feature by feature; until a result is let move, only actions are edited.
            edit="actionable" if held and held <= self.lock and _acts(cohort) else "mutable",
            hold=cohort.hold,
        )

    def efforts(self, cohort: Cohort) -> dict[str, str]:
        """How hard each feature is, by name; those that are neither easy nor hard left out."""
        return {cohort.task.schema.names[j]: how for j, how in sorted(self.effort.items())}

    def mark(self, cohort: Cohort) -> str:
        """The fingerprint of what plans have to keep: cards that were made for another one are out of date."""
        return fingerprint(self.limits(cohort).resolved(cohort.task.schema))

    def ask(self, cohort: Cohort, person: int, day: int | None = None) -> Inquiry:
        """The question for a person, or for one day (a row's position) of theirs. Raises `InputError` for one that
        cannot be asked about."""
        days = days_asked(cohort, person, day)
        return Inquiry(person, days, self.limits(cohort), self.weights())

    @classmethod
    def kept(cls, cohort: Cohort, limits: Limits, efforts: Mapping[str, str]) -> Wish:
        """The wish that gave these limits and efforts, as far as the schema still has their features."""
        columns = cohort.task.schema.columns
        ends = {columns[name]: pair for name, pair in limits.ranges.items() if name in columns}
        return cls(
            frozenset(columns[name] for name in limits.lock if name in columns),
            {columns[name]: way for name, way in limits.directions.items() if name in columns},
            {j: low for j, (low, _) in ends.items() if low is not None},
            {j: high for j, (_, high) in ends.items() if high is not None},
            {columns[name]: how for name, how in efforts.items() if name in columns and how in EFFORTS},
            limits.max_changes,
            limits.margin,
        )

    def lift(self, control: str) -> Wish:
        """The same without one limit; an unknown control changes nothing."""
        kind, _, number = control.partition("-")
        column = int(number) if number.isdecimal() else -1

        def without(values: Mapping[int, Any]) -> dict[int, Any]:
            return {j: value for j, value in values.items() if j != column}

        if kind == "lock":
            return replace(self, lock=self.lock - {column})
        if kind == "limits":
            return replace(self, low=without(self.low), high=without(self.high), direction=without(self.direction))
        if kind == "margin":
            return replace(self, margin=0.0)
        return replace(self, budget=None) if kind == "budget" else self


def days_asked(cohort: Cohort, person: int, day: int | None) -> tuple[int, ...]:
    """The rows that a question is about: one day, or all those of a person that are not in the target class, and all
    where none is away. Rows outside the schema's ranges cannot be asked about; raises `InputError` where no other is.
    """
    rows = cohort.persons[person].days.tolist() if day is None else [day]
    inside = [k for k in rows if k not in cohort.outside]
    if not inside:
        raise InputError(cohort.outside[rows[0]])
    return tuple(k for k in inside if cohort.away[k]) or tuple(inside)


def _acts(cohort: Cohort) -> bool:
    return any(f.changeable and f.role == "actionable" for f in cohort.task.schema.features)


def first_wish(cohort: Cohort) -> Wish:
    """What is set before anybody sets anything: what only moves as a result is kept."""
    return Wish(lock=frozenset(cohort.locked_first))


def read_wish(cohort: Cohort, form: Mapping[str, Any]) -> Wish:
    """The wish in a form. Raises `InputError` naming the feature whose entry cannot be used."""
    lock, direction, effort = set(), {}, {}
    low: dict[int, float] = {}
    high: dict[int, float] = {}
    for j, feature in enumerate(cohort.task.schema.features):
        if not feature.changeable:
            continue
        if form.get(f"lock-{j}"):
            lock.add(j)
        way = str(form.get(f"direction-{j}", "any"))
        if way not in ("any", feature.direction):
            if way not in ("increase", "decrease") or not feature.numeric:
                raise InputError(f"{cohort.labels[j]}: this direction is unknown")
            direction[j] = way
        chosen = str(form.get(f"effort-{j}", "normal"))
        if chosen not in EFFORTS:
            raise InputError(f"{cohort.labels[j]}: this effort is unknown")
        if chosen != "normal":
            effort[j] = chosen
        if feature.numeric:
            for name, ends, end in (("low", low, cohort.least(j)), ("high", high, cohort.most(j))):
                value = _number(form.get(f"{name}-{j}"), cohort.labels[j])
                if value is not None and value != end:
                    ends[j] = value
    order = str(form.get("order", "effort"))
    if order not in ORDERS:
        raise InputError("this ranking is unknown")
    budget = _number(form.get("budget"), "At most so many changes")
    if budget is not None and (budget < 1 or budget != int(budget)):
        raise InputError("At most so many changes: use a whole number of at least 1")
    margin = _number(form.get("margin"), "Certainty")
    margin = Limits.margin if margin is None else margin
    if margin not in MARGINS:
        raise InputError("this certainty is unknown")
    count = _number(form.get("count"), "Plans side by side") or SHOWN
    if count not in COUNTS:
        raise InputError(f"Plans side by side: use {COUNTS[0]} to {COUNTS[-1]}")
    found = None if budget is None else int(budget)
    return Wish(frozenset(lock), direction, low, high, effort, found, margin, order, int(count))


def _number(text: Any, what: str) -> float | None:
    """A number from a form, None for an empty field. Raises `InputError`."""
    if text is None or not str(text).strip():
        return None
    try:
        value = float(str(text).strip().replace(",", ""))
    except ValueError:
        raise InputError(f"{what}: {str(text)[:40]!r} is not a number") from None
    if not math.isfinite(value):
        raise InputError(f"{what}: {str(text)[:40]!r} is not a number")
    return value
