"""Drafts become plans: the verdict on every day, what is alike, and what is expected to follow."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.counterfactuals import consequences_text
from sensecf.core.plausibility import Plausibility
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.verify import Verdicts
from sensecf.pipeline.consequences import Mechanisms
from sensecf.pipeline.refine import judge
from sensecf.runs.record.bound import fingerprint
from sensecf.web.alike import NOBODY, alike
from sensecf.web.cohort import Cohort
from sensecf.web.plans import Day, Inquiry, Plan


def person_query(cohort: Cohort, ask: Inquiry) -> Query:
    """The query of one ask, a row for each day. Raises `InputError` for limits that cannot be."""
    return ask.limits.query(cohort.task, cohort.rows[list(ask.days)], cohort.target)


@dataclass(frozen=True)
class Known:
    """What is known of a plan before it is judged.

    `holds`, `holds_low`: see `Plan`. `identity`: its id, "" for a new one. `by_hand`: a day counts as turned where the
    classifier's answer changes, whatever the schema asks of plans. `turned` (k,): days that may count as turned at all,
    None for all: a day on which a plan would not hold does not; `why` (k,): why not, in words, where that is known.
    """

    holds: float | None = None
    holds_low: float | None = None
    identity: str = ""
    by_hand: bool = False
    turned: Bools | None = None
    why: Sequence[str] = ()


@dataclass(frozen=True)
class Draft:
    """A plan before it is judged: the ask, its query, `rows` (k, d) of its days with it, what is known, and what it
    asks for on each of several days (see `pipeline.person.said`). `follows`: what is expected to follow on each day,
    where that was looked at."""

    ask: Inquiry
    query: Query
    rows: Floats
    known: Known = Known()
    told: str = ""
    follows: Sequence[str | None] = ()


def judged_plan(cohort: Cohort, ask: Inquiry, query: Query, rows: Floats, known: Known = Known()) -> Plan:
    """The plan that makes the days of an ask into these rows (k, d), with its verdict."""
    [plan] = drafted(cohort, [Draft(ask, query, rows, known)])
    return plan


def drafted(cohort: Cohort, drafts: Sequence[Draft]) -> list[Plan]:
    """Plans with their verdicts, in order; the classifier is asked once about all of them."""
    if not drafts:
        return []
    task = cohort.task
    rows, query = np.concatenate([draft.rows for draft in drafts]), Query.concat([draft.query for draft in drafts])
    judged = judge(task, query, Candidates.of(np.arange(len(rows)), rows, "plan"))
    plans, start = [], 0
    for draft in drafts:
        part = judged.take(np.arange(start, start + len(draft.rows)))
        start += len(draft.rows)
        plans.append(_plan(cohort, draft, part.verdict))
    shown = np.array([plan.row for plan in plans])
    position = np.full(len(plans), cohort.position)
    plausibility = task.once(Plausibility)
    unknown = np.array([np.isnan(plan.score) for plan in plans])
    score = np.array([plan.score for plan in plans])
    score[unknown] = plausibility.score(shown[unknown], position[unknown])
    follows = _follows(cohort, plans)
    return [
        replace(plan, score=float(score[k]), in_range=bool(inside), alike=like, follows=follows.get(k, plan.follows))
        for k, (plan, inside, like) in enumerate(
            zip(plans, plausibility.in_range(shown), alike(cohort, shown), strict=True)
        )
    ]


def _follows(cohort: Cohort, plans: Sequence[Plan]) -> dict[int, str]:
    """What is expected to follow from each plan for several days that turns some of them, by its position."""
    at = [k for k, plan in enumerate(plans) if plan.told and plan.turns]
    mechanisms = cohort.task.once(Mechanisms) if at else None
    if not mechanisms:
        return {}
    rows = np.array([plans[k].row for k in at])
    led = mechanisms.follow(cohort.rows[[plans[k].day.row for k in at]], rows)
    return dict(zip(at, consequences_text(cohort.task, vars(led), rows), strict=True))


def _plan(cohort: Cohort, draft: Draft, verdict: Verdicts) -> Plan:
    """A plan with the verdict on its days; what is looked at together with other plans is not yet there."""
    known = draft.known
    good = (verdict.valid if known.by_hand else verdict.good) & (True if known.turned is None else known.turned)
    days = tuple(
        Day(
            row,
            draft.rows[k],
            bool(good[k]),
            float(verdict.probability[k]),
            float(verdict.lead[k]),
            str(verdict.reason[k]) or (str(known.why[k]) if known.why and not good[k] else ""),
        )
        for k, row in enumerate(draft.ask.days)
    )
    moved = np.asarray(verdict.edited.any(axis=0))
    shown = next((k for k in reversed(range(len(days))) if days[k].turned), len(days) - 1)
    return Plan(
        known.identity or secrets.token_urlsafe(9),
        draft.ask.person,
        days,
        moved,
        int(moved.sum()),
        float(verdict.proximity[shown]),
        float(verdict.score[shown]),
        False,
        NOBODY,
        known.holds,
        known.holds_low,
        told=draft.told,
        follows=draft.follows[shown] if draft.follows else None,
        mark=fingerprint(draft.ask.limits.resolved(cohort.task.schema)),
    )


def distinct(plans: Sequence[Plan]) -> list[Plan]:
    """Plans that differ on some day, in their order."""
    seen: dict[bytes, Plan] = {}
    for plan in plans:
        seen.setdefault(np.nan_to_num([day.after for day in plan.days], nan=-1e300).tobytes(), plan)
    return list(seen.values())
