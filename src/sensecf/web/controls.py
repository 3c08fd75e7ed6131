"""The controls beside a person's values: what the form says, as limits and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.web.cohort import Cohort
from sensecf.web.plans import EFFORTS, SHOWN, Ask, Order

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

    def ask(self, cohort: Cohort, person: int) -> Ask:
        """The question. Raises `InputError` for a person who cannot be asked about."""
        if person in cohort.outside:
            raise InputError(cohort.outside[person])
        names, held = cohort.task.schema.names, set(cohort.locked_first)
        ranges = {names[j]: (self.low.get(j), self.high.get(j)) for j in {*self.low, *self.high}}
        limits = Limits(
            tuple(names[j] for j in sorted(self.lock)),
            ranges,
            {names[j]: way for j, way in self.direction.items()},
            self.budget,
            self.margin,
            # The controls say what is kept, feature by feature; until a result is let move, only actions are edited.
            edit="actionable" if held and held <= self.lock and _acts(cohort) else "mutable",
        )
        return Ask(person, limits, self.weights())

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
