"""Plans put together by hand: moves of the what-if that are kept, opened, compared and printed like any other."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.rules import Floats
from sensecf.pipeline.hold import lower_bound
from sensecf.web.cohort import Cohort
from sensecf.web.controls import Wish
from sensecf.web.judging import Known, judged_plan, person_query
from sensecf.web.plans import Inquiry, Plan, Pool
from sensecf.web.whatif import moved
from sensecf.web.words import rule_words


@dataclass(frozen=True)
class Own:
    """A hand-made plan. `person`: a number of `Cohort.persons`; `day`: the row that was moved; `values`: encoded, by
    column."""

    person: int
    day: int
    values: Mapping[int, float]


def own_plan(cohort: Cohort, own: Own, wish: Wish) -> tuple[Plan, Pool]:
    """The plan and a pool of it alone, judged on its day, whether the answer changes or not, whatever the limits say.

    The share of refits that agree is counted where there is a jury. Raises `InputError` for a row that breaks a rule
    and for one that differs in nothing.
    """
    task, base = cohort.task, cohort.rows[own.day]
    row = moved(cohort, base, own.values)
    if not task.codec.changed(base[None], row[None]).any():
        raise InputError("Nothing is changed yet: move a value, then keep it.")
    worse = task.codec.rules.violated(row[None])[0] & ~task.codec.rules.violated(base[None])[0]
    broken = [rule_words(task.codec.rules.rules[r], task.schema, cohort.labels) for r in np.flatnonzero(worse)]
    if broken:
        raise InputError(f"This cannot be kept: {' '.join(broken)}")
    free = _free(cohort, base, row)
    ask = Inquiry(own.person, (own.day,), free)
    query = person_query(cohort, ask)
    plan = judged_plan(cohort, ask, query, row[None], Known(*_survival(cohort, base, row), by_hand=True))
    acted = np.zeros(len(row), dtype=bool)
    acted[list(own.values)] = True
    acted &= task.codec.changed(base[None], row[None])[0]
    plan = replace(plan, own=True, edited=acted, n_changed=int(acted.sum()), mark=wish.mark(cohort))
    return plan, Pool(secrets.token_urlsafe(9), ask, query, [plan])


def _free(cohort: Cohort, base: Floats, row: Floats) -> Limits:
    """Limits that let a hand-made row be what it is, as far as the schema does."""
    names = cohort.task.schema.names
    ends: dict[str, tuple[float | None, float | None]] = {}
    for j in np.flatnonzero(cohort.task.codec.changed(base[None], row[None])[0]).tolist():
        if cohort.task.schema.features[j].numeric:
            ends[names[j]] = (float(min(base[j], row[j])), float(max(base[j], row[j])))
    return Limits(ranges=ends, edit="mutable", hold=0.0)


def _survival(cohort: Cohort, base: Floats, row: Floats) -> tuple[float | None, float | None]:
    """The share of refits that agree with a row, and its bound; None where there is no jury."""
    held = cohort.held()
    if held is None:
        return None, None
    [stands], _ = held.count(cohort.task, base[None], row[None], np.array([cohort.position]))
    return float(stands) / held.counting, float(lower_bound(int(stands), held.counting))
