"""Plans for one person: asked once as a pool, ranked anew as often as one likes.

A pool holds the answers of `explain` to the person alone, so that page and library say the same and plans do not
depend on who else asks; and below them answers that move one kind of lever only, so that plans differ.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from sensecf.core.candidates import Candidates
from sensecf.core.counterfactuals import Counterfactuals, consequences_text
from sensecf.core.distances import Scale
from sensecf.core.limits import Limits
from sensecf.core.plausibility import Plausibility
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.select import select
from sensecf.core.verify import DISTANCE_WEIGHT, Verdicts, edits, outlier_price
from sensecf.data.infer.terms import lever
from sensecf.pipeline.blocking import blame, sentence
from sensecf.pipeline.consequences import Mechanisms
from sensecf.pipeline.explain import explain
from sensecf.pipeline.held import NOT_HELD
from sensecf.pipeline.hold import Holding, lower_bound
from sensecf.pipeline.person import Asking, Days, DaysPlans, least_of, plans_for, said
from sensecf.pipeline.refine import judge
from sensecf.runs.record.bound import fingerprint
from sensecf.web.alike import NOBODY, Alike, alike
from sensecf.web.cohort import Cohort
from sensecf.web.words import Blocker, blocks

Order = Literal["effort", "changes", "lead"]
#: How hard a change of a feature is for this person: its weight in the effort.
EFFORTS = {"easy": 0.5, "normal": 1.0, "hard": 2.5}
#: Leads asked for beside the person's own: the pool holds surer plans too, for the ranking by lead.
SURER = (0.5,)
#: Plans shown side by side.
SHOWN = 4
#: Kinds of levers that are asked about each by itself, and plans of each.
KINDS, PER_KIND = 3, 2

Say = Callable[[int, str], None]
#: What an ask goes through, for its progress: `Say(step, words)` with steps from 0.
STEPS = ("Looking for plans", "Checking every plan", "Looking for plans of other kinds", "Finding what is in the way")


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


def answer(cohort: Cohort, asks: Sequence[Inquiry], say: Say = lambda step, words: None) -> list[Pool]:
    """The pools of several asks: those about several days of a person are answered together, the others one by one.

    Raises `InputError` for impossible limits (see `Limits`).
    """
    pools: dict[int, Pool] = {}
    for hold in sorted({ask.limits.hold for ask in asks}):
        together = [k for k, ask in enumerate(asks) if ask.limits.hold == hold and _of_days(cohort, ask)]
        pools |= zip(together, _pools(cohort, [asks[k] for k in together], hold, say), strict=True)
    return [pools[k] if k in pools else _pool(cohort, ask, say) for k, ask in enumerate(asks)]


def _of_days(cohort: Cohort, ask: Inquiry) -> bool:
    """Whether one plan for several days is asked for, none of which is in the target class."""
    days = list(ask.days)
    return len(days) > 1 and cohort.task.schema.person is not None and bool(cohort.away[days].all())


def _pools(cohort: Cohort, asks: Sequence[Inquiry], hold: float, say: Say) -> list[Pool]:
    """The plans of `explain(per="person")` for each ask, and below them plans of one kind of lever each: all asks in
    one search, which finds for each what it would find alone."""
    if not asks:
        return []
    task = cohort.task
    task.check()
    queries = [person_query(cohort, ask) for ask in asks]
    say(0, STEPS[0])
    # Half of the days are asked for first; a plan that turns fewer is better than none, and says how many.
    wanted = [(least_of(len(ask.days)), max(len(ask.days) // 3, 1), 1) for ask in asks]
    main = [Days(q, tuple(dict.fromkeys(w)), SHOWN) for q, w in zip(queries, wanted, strict=True)]
    alone = [_kinds_alone(cohort, query, ask.limits) for query, ask in zip(queries, asks, strict=True)]
    kinds = [
        Days(replace(ask.limits, lock=locked).query(task, query.rows, cohort.target), (least_of(len(query)),), PER_KIND)
        for ask, query, kinds in zip(asks, queries, alone, strict=True)
        for _, locked in kinds
    ]
    found = plans_for(_asking(cohort, hold), [*main, *kinds])
    others = iter(found[len(main) :])
    drafts = []
    for ask, query, one, kinds_of_it in zip(asks, queries, found, alone, strict=False):
        drawn = _drafts(cohort, ask, query, one)
        have = _kinds_moved(cohort, drawn)
        for name, _ in kinds_of_it:
            more = next(others)
            if drawn and len(have) < ENOUGH and (name,) not in have:
                drawn = drawn + _drafts(cohort, ask, query, more)
        drafts.append(drawn)
    say(1, STEPS[1])
    plans = iter(drafted(cohort, [draft for drawn in drafts for draft in drawn]))
    pools = []
    for ask, query, one, drawn in zip(asks, queries, found, drafts, strict=False):
        own = _distinct([next(plans) for _ in drawn])
        reason = "" if own else one.reason
        by = "own" if own else "nobody"
        pools.append(Pool(secrets.token_urlsafe(9), ask, query, own, reason, found=by, wide=True))
    return pools


def _kinds_moved(cohort: Cohort, drawn: Sequence[Draft]) -> set[tuple[str, ...]]:
    """The kinds of lever that each of these plans moves."""
    codec, found = cohort.task.codec, set()
    for draft in drawn:
        moved = edits(codec, draft.query, np.arange(len(draft.query)), draft.rows).any(axis=0)
        found.add(kinds_of(cohort, np.flatnonzero(moved).tolist()))
    return found


def _kinds_alone(cohort: Cohort, query: Query, limits: Limits) -> list[tuple[str, tuple[str, ...]]]:
    """The first kinds of lever that may move, each with what is to be locked for it to move alone; nothing where
    there is but one."""
    names = cohort.task.schema.names
    free = np.flatnonzero(query.movable.any(axis=0)).tolist()
    by_kind: dict[str, list[int]] = {}
    for j in free:
        by_kind.setdefault(kind(cohort, j), []).append(j)
    return [
        (name, tuple(dict.fromkeys([*limits.lock, *(names[j] for j in free if j not in columns)])))
        for name, columns in list(by_kind.items())[:KINDS]
        if len(by_kind) > 1
    ]


def _pool(cohort: Cohort, ask: Inquiry, say: Say) -> Pool:
    """The answers of `explain` to one day, or to days that need no plan, in their order, and below them surer ones."""
    query, identity = person_query(cohort, ask), secrets.token_urlsafe(9)
    holding = ask.limits.hold > 0 and cohort.held() is not None
    limits = replace(ask.limits, hold=ask.limits.hold if holding else 0.0)
    say(0, STEPS[0])
    found = _explained(cohort, ask, limits, SHOWN)
    say(1, STEPS[1])
    answers = found.answers
    if len(answers):
        there = bool(not cohort.away[list(ask.days)].any() and not answers["n_changed"].iloc[0])
        own = set(answers["generator"]) == {cohort.generator.name}
        by = "not needed" if there else "own" if own else "fallback"
        plans = _plans(cohort, ask, query, found)
        if not holding and not there:
            # Plans at the boundary are shown beside surer ones; where plans are to hold, all of them are.
            for margin in (m for m in SURER if m > limits.margin):
                surer = _explained(cohort, ask, replace(limits, margin=margin), SHOWN)
                plans = _distinct([*plans, *_plans(cohort, ask, query, surer)])
        return Pool(identity, ask, query, plans, there=there, found=by)
    say(3, STEPS[3])
    reason = str(found.abstentions["reason"].iloc[-1])
    if reason.startswith(NOT_HELD):
        return Pool(identity, ask, query, [], reason, found="nobody")
    rng = np.random.default_rng([cohort.seed, ask.person, 1])
    [why] = blame(cohort.task, query, ask.limits, cohort.plausibility, rng)
    blocked = blocks(why, ask.limits, cohort.task.schema, cohort.labels)
    return Pool(identity, ask, query, [], sentence(why, cohort.task.schema), blocked, found="nobody")


#: So many kinds side by side are enough; no others are looked for.
ENOUGH = 3


def widened(cohort: Cohort, pool: Pool) -> Pool:
    """The pool with plans that move one kind of lever only, as far as there are any that it lacks."""
    if pool.wide or pool.there or not pool.plans:
        return pool
    ask, query = pool.ask, pool.query
    have = {kind_of(cohort, plan) for plan in pool.plans}
    wanted = [
        Days(replace(ask.limits, lock=locked).query(cohort.task, query.rows, cohort.target), (len(query),), PER_KIND)
        for name, locked in (_kinds_alone(cohort, query, ask.limits) if len(have) < ENOUGH else [])
        if (name,) not in have
    ]
    found = plans_for(_asking(cohort, ask.limits.hold), wanted)
    # What is asked for on one day is what changes there.
    drafts = [replace(draft, told="") for one in found for draft in _drafts(cohort, ask, query, one)]
    return replace(pool, plans=_distinct([*pool.plans, *drafted(cohort, drafts)]), wide=True)


def _asking(cohort: Cohort, hold: float) -> Asking:
    """What all questions of the page share."""
    holding = hold > 0 and cohort.held() is not None
    held = cohort.task.once(Holding).of(cohort.position, Limits(hold=hold)) if holding else None
    noun = cohort.nouns.days
    return Asking(cohort.task, held, hold if holding else 0.0, cohort.plausibility, noun, landing=False)


def kind(cohort: Cohort, column: int) -> str:
    """What a lever is about: "Sleep", "Activity"; a column that is not recognised is a kind of its own."""
    return lever(cohort.task.schema.features[column]) or cohort.labels[column]


def kinds_of(cohort: Cohort, columns: Sequence[int]) -> tuple[str, ...]:
    """The kinds of these levers, in the order of the schema."""
    return tuple(dict.fromkeys(kind(cohort, j) for j in columns))


def kind_of(cohort: Cohort, plan: Plan) -> tuple[str, ...]:
    """The kinds of levers that a plan moves, in the order of the schema."""
    return kinds_of(cohort, np.flatnonzero(plan.edited).tolist())


def _explained(cohort: Cohort, ask: Inquiry, limits: Limits, n: int) -> Counterfactuals:
    """The answers of `explain` to one day, or to days that need no plan; its index are the rows' positions."""
    rows = list(ask.days)
    return explain(
        cohort.task,
        cohort.generator,
        cohort.task.codec.decode(cohort.rows[rows]).set_index(pd.Index(rows)),
        cohort.target,
        n,
        limits=limits,
        fallback=cohort.fallback,
        plausibility=cohort.plausibility,
        seed=cohort.seed,
    )


def person_query(cohort: Cohort, ask: Inquiry) -> Query:
    """The query of one ask, a row for each day. Raises `InputError` for limits that cannot be."""
    return ask.limits.query(cohort.task, cohort.rows[list(ask.days)], cohort.target)


def _plans(cohort: Cohort, ask: Inquiry, query: Query, found: Counterfactuals) -> list[Plan]:
    """The answers of `explain` to single days as plans, in their order: one for each rank."""
    answers, drafts = found.answers, []
    place = {day: k for k, day in enumerate(ask.days)}
    for _, group in answers.groupby("rank", sort=False):
        rows = query.rows.copy()
        at = [place[int(day)] for day in group["query"]]
        rows[at] = cohort.task.codec.encode(group)
        turned = np.isin(np.arange(len(rows)), at)
        known = Known(turned=turned)
        if group["holds"].notna().all():
            known = Known(float(group["holds"].min()), float(group["holds_low"].min()), turned=turned)
        drafts.append(Draft(ask, query, rows, known))
    plans = drafted(cohort, drafts)
    for number, (plan, (_, group)) in enumerate(zip(plans, answers.groupby("rank", sort=False), strict=True)):
        follows = group["consequences"][group["query"] == plan.day.row]
        plans[number] = replace(plan, follows=str(follows.iloc[0]) if len(follows) else None)
    return _distinct(plans)


def _drafts(cohort: Cohort, ask: Inquiry, query: Query, found: DaysPlans) -> list[Draft]:
    """Plans for several days as drafts, in their order."""
    drafts = []
    for plan in found.plans:
        known = Known(turned=plan.turned)
        if plan.of:
            stands = int(plan.stands[plan.turned].min())
            known = Known(round(stands / plan.of, 6), round(float(lower_bound(stands, plan.of)), 6), turned=plan.turned)
        drafts.append(Draft(ask, query, plan.rows, known, said(cohort.task.schema, plan.plan)))
    return drafts


@dataclass(frozen=True)
class Known:
    """What is known of a plan before it is judged.

    `holds`, `holds_low`: see `Plan`. `identity`: its id, "" for a new one. `by_hand`: a day counts as turned where the
    classifier's answer changes, whatever the schema asks of plans. `turned` (k,): days that may count as turned at all,
    None for all: a day on which a plan would not hold does not.
    """

    holds: float | None = None
    holds_low: float | None = None
    identity: str = ""
    by_hand: bool = False
    turned: Bools | None = None


@dataclass(frozen=True)
class Draft:
    """A plan before it is judged: the ask, its query, `rows` (k, d) of its days with it, what is known, and what it
    asks for on each of several days (see `pipeline.person.said`)."""

    ask: Inquiry
    query: Query
    rows: Floats
    known: Known = Known()
    told: str = ""


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
        replace(plan, score=float(score[k]), in_range=bool(inside), alike=like, follows=follows[k])
        for k, (plan, inside, like) in enumerate(
            zip(plans, plausibility.in_range(shown), alike(cohort, shown), strict=True)
        )
    ]


def _follows(cohort: Cohort, plans: Sequence[Plan]) -> list[str | None]:
    """What is expected to follow from each plan for several days that turns some of them; None for others."""
    found: list[str | None] = [None] * len(plans)
    at = [k for k, plan in enumerate(plans) if plan.told and plan.turns]
    mechanisms = cohort.task.once(Mechanisms) if at else None
    if not mechanisms:
        return found
    rows = np.array([plans[k].row for k in at])
    led = mechanisms.follow(cohort.rows[[plans[k].day.row for k in at]], rows)
    for k, text in zip(at, consequences_text(cohort.task, vars(led), rows), strict=True):
        found[k] = text
    return found


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
            str(verdict.reason[k]),
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
        mark=fingerprint(draft.ask.limits.resolved(cohort.task.schema)),
    )


def _distinct(plans: Sequence[Plan]) -> list[Plan]:
    """Plans that differ on some day, in their order."""
    seen: dict[bytes, Plan] = {}
    for plan in plans:
        seen.setdefault(np.nan_to_num([day.after for day in plan.days], nan=-1e300).tobytes(), plan)
    return list(seen.values())


def effort(cohort: Cohort, pool: Pool, weights: Mapping[int, float]) -> Floats:
    """What each plan of a pool asks of this person, shape (plans,): one per change and half a unit per MAD of
    distance, each feature by its own weight, mean over the days; lower is easier."""
    codec = cohort.task.codec
    weight = np.ones(len(codec.numeric))
    for column, value in weights.items():
        weight[column] = value
    rows = np.concatenate([[day.after for day in plan.days] for plan in pool.plans])
    owner = np.tile(np.arange(len(pool.ask.days)), len(pool.plans))
    parts = cohort.task.once(Scale).parts(pool.query.rows[owner], rows)
    each = (weight * (edits(codec, pool.query, owner, rows) * 1.0 + DISTANCE_WEIGHT * parts)).sum(axis=1)
    total: Floats = each.reshape(len(pool.plans), -1).mean(axis=1)
    return total


def rank(cohort: Cohort, pool: Pool, order: Order, weights: Mapping[int, float], count: int = SHOWN) -> list[Plan]:
    """The plans to show, best first, unlike each other; nobody is asked again.

    `effort`: least effort by the person's own weights, and the first answer of `explain` before all others where
    none are given; `changes`: fewest features, then effort; `lead`: the largest lead in tenths, then effort. Rows
    unlike real people cost in each of them. The best of each kind of lever stands before further ones of a kind.
    """
    if not pool.plans:
        return []
    rows = np.array([plan.row for plan in pool.plans])
    ask = effort(cohort, pool, weights)
    odd = outlier_price(np.array([plan.score for plan in pool.plans])) * cohort.plausibility
    margin = np.array([plan.lead for plan in pool.plans])
    count_changed = np.array([plan.n_changed for plan in pool.plans])
    missed = np.array([len(plan.days) - plan.turns for plan in pool.plans])
    price = {
        "effort": ask + odd + missed,
        "changes": 3.0 * count_changed + 0.3 * ask + odd,
        "lead": -12.0 * np.minimum(margin, 0.95) + 0.3 * ask + odd,
    }[order]
    if order == "effort" and all(weight == 1.0 for weight in weights.values()):
        price = np.maximum(price, price[0])
    changed = np.array([plan.edited for plan in pool.plans])
    place = cohort.task.once(Scale).place(rows)
    base = np.array([cohort.rows[plan.day.row] for plan in pool.plans])
    way = np.sign(np.nan_to_num(rows - base)) * (changed & cohort.task.codec.numeric)
    best: dict[tuple[str, ...], int] = {}
    for k in np.argsort(price, kind="stable").tolist():
        best.setdefault(kind_of(cohort, pool.plans[k]), k)
    kinds = list(best.values())[:count]
    if len(kinds) < count:
        chosen, _ = select(np.zeros(len(rows), dtype=np.intp), price, changed, place, min(count, len(rows)), way)
        kinds += [k for k in chosen.tolist() if k not in kinds][: count - len(kinds)]
    return [pool.plans[k] for k in sorted(kinds, key=lambda k: (price[k], k))]
