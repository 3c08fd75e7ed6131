"""Questions are answered: one plan for all days of a person, or plans for one day, and plans of other kinds.

A pool holds the answers of `explain` to the person alone, so that page and library say the same and plans do not
depend on who else asks; and below them answers that move one kind of lever only, so that plans differ.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sensecf.core.apart import Apart
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.verify import edits
from sensecf.pipeline.apart import Answered, answers_apart
from sensecf.pipeline.blocking import blame, sentence
from sensecf.pipeline.find import Terms
from sensecf.pipeline.hold import Holding, lower_bound
from sensecf.pipeline.person import Asking, Days, DaysPlans, least_of, plans_for, said
from sensecf.runs.record.bound import fingerprint
from sensecf.web.cohort import Cohort
from sensecf.web.judging import Draft, Known, distinct, drafted, person_query
from sensecf.web.plans import SHOWN, Inquiry, Pool, kind, kind_of, kinds_of
from sensecf.web.words import blocks

#: Leads asked for beside the person's own: the pool holds surer plans too, for the ranking by lead.
SURER = (0.5,)
#: Kinds of levers that are asked about each by itself, and plans of each.
KINDS, PER_KIND = 3, 2

Say = Callable[[int, str], None]
#: What an ask goes through, for its progress: `Say(step, words)` with steps from 0.
STEPS = ("Looking for plans", "Checking every plan", "Looking for plans of other kinds", "Finding what is in the way")


def answer(cohort: Cohort, asks: Sequence[Inquiry], say: Say = lambda step, words: None) -> list[Pool]:
    """The pools of several asks, each what it would be alone: those about several days of a person are answered in one
    search, those about one day under the same limits in another.

    Raises `InputError` for impossible limits (see `Limits`).
    """
    pools: dict[int, Pool] = {}
    several = [k for k, ask in enumerate(asks) if _of_days(cohort, ask)]
    for hold in sorted({asks[k].limits.hold for k in several}):
        together = [k for k in several if asks[k].limits.hold == hold]
        pools |= zip(together, _pools(cohort, [asks[k] for k in together], hold, say), strict=True)
    single: dict[str, list[int]] = {}
    for k, ask in enumerate(asks):
        if k not in pools:
            single.setdefault(fingerprint(ask.limits), []).append(k)
    for together in single.values():
        pools |= zip(together, _pools_by_day(cohort, [asks[k] for k in together], say), strict=True)
    return [pools[k] for k in range(len(asks))]


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
        own = distinct([next(plans) for _ in drawn])
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


def _pools_by_day(cohort: Cohort, asks: Sequence[Inquiry], say: Say) -> list[Pool]:
    """The answers of `explain` to one day each, or to days that need no plan, in their order, and below them surer
    ones; all under the same limits."""
    queries = [person_query(cohort, ask) for ask in asks]
    holding = asks[0].limits.hold > 0 and cohort.held() is not None
    limits = replace(asks[0].limits, hold=asks[0].limits.hold if holding else 0.0)
    say(0, STEPS[0])
    found = _answers(cohort, asks, limits)
    there = [
        not cohort.away[list(ask.days)].any() and any(one.there for one in days)
        for ask, days in zip(asks, found, strict=True)
    ]
    drafts = [_drafts_by_day(*each) for each in zip(asks, queries, found, strict=True)]
    if not holding:
        # Plans at the boundary are shown beside surer ones; where plans are to hold, all of them are.
        open_ = [k for k, drawn in enumerate(drafts) if drawn and not there[k]]
        for margin in (m for m in SURER if m > limits.margin):
            surer = _answers(cohort, [asks[k] for k in open_], replace(limits, margin=margin))
            for k, days in zip(open_, surer, strict=True):
                drafts[k] += _drafts_by_day(asks[k], queries[k], days)
    say(1, STEPS[1])
    plans = iter(drafted(cohort, [draft for drawn in drafts for draft in drawn]))
    pools = []
    for k, (ask, query, drawn) in enumerate(zip(asks, queries, drafts, strict=True)):
        own = distinct([next(plans) for _ in drawn])
        asked = {name for day in found[k] for name in day.by} == {cohort.generator.name}
        by = "nobody" if not own else "not needed" if there[k] else "own" if asked else "fallback"
        reason = "" if own else found[k][-1].fell
        pools.append(Pool(secrets.token_urlsafe(9), ask, query, own, reason, there=there[k], found=by))
    return _blamed(cohort, pools, say)


def _answers(cohort: Cohort, asks: Sequence[Inquiry], limits: Limits) -> list[list[Answered]]:
    """The answers of `explain` to each day of each ask by itself, under these limits."""
    if not asks:
        return []
    task = cohort.task
    task.check()
    meant = limits.resolved(task.schema)
    held = task.once(Holding).of(cohort.position, meant)
    price, seed = cohort.plausibility, cohort.seed
    terms = Terms(task, cohort.generator, cohort.fallback, meant, SHOWN, price, seed, held, landing=False)
    rows = cohort.rows[[day for ask in asks for day in ask.days]]
    found = iter(answers_apart(terms, Query.of_rows(task, rows, cohort.target, meant)))
    return [[next(found) for _ in ask.days] for ask in asks]


def _drafts_by_day(ask: Inquiry, query: Query, found: Sequence[Answered]) -> list[Draft]:
    """The answers to single days as drafts, in their order: one for each rank."""
    drafts = []
    for rank in range(max(len(day.rows) for day in found)):
        turned = np.array([len(day.rows) > rank for day in found])
        at = np.flatnonzero(turned).tolist()
        rows = query.rows.copy()
        rows[at] = [found[k].rows[rank] for k in at]
        holds, low = (float(min(getattr(found[k], name)[rank] for k in at)) for name in ("holds", "holds_low"))
        known = Known(turned=turned) if np.isnan(holds) else Known(holds, low, turned=turned)
        follows = tuple(day.follows[rank] if there else None for day, there in zip(found, turned, strict=True))
        drafts.append(Draft(ask, query, rows, known, follows=follows))
    return drafts


def _blamed(cohort: Cohort, pools: Sequence[Pool], say: Say) -> list[Pool]:
    """Pools under the same limits, with what is in the way where there is neither a plan nor a reason yet."""
    at = [k for k, pool in enumerate(pools) if not pool.plans and not pool.reason]
    if not at:
        return list(pools)
    say(3, STEPS[3])
    task, limits = cohort.task, pools[at[0]].ask.limits
    seeds = [[cohort.seed, pools[k].ask.person, 1] for k in at]
    query = Apart.of(Query.concat([pools[k].query.take([-1]) for k in at]), seeds)
    found = list(pools)
    for k, why in zip(at, blame(task, query, limits, cohort.plausibility, np.random.default_rng(0)), strict=True):
        blocked = blocks(why, limits, task.schema, cohort.labels)
        found[k] = replace(pools[k], reason=sentence(why, task.schema), blocks=blocked)
    return found


#: So many kinds side by side are enough; no others are looked for.
ENOUGH = 3


def widened(cohort: Cohort, pools: Sequence[Pool]) -> list[Pool]:
    """The pools with plans that move one kind of lever only, as far as there are any that they lack, all found in one
    search."""
    found = list(pools)
    open_ = [k for k, pool in enumerate(pools) if not pool.wide and not pool.there and pool.plans]
    for hold in sorted({pools[k].ask.limits.hold for k in open_}):
        at = [k for k in open_ if pools[k].ask.limits.hold == hold]
        wanted = [_lacking(cohort, pools[k]) for k in at]
        more = iter(plans_for(_asking(cohort, hold), [days for kinds in wanted for days in kinds]))
        # What is asked for on one day is what changes there.
        drafts = [
            [replace(d, told="") for _ in kinds for d in _drafts(cohort, pools[k].ask, pools[k].query, next(more))]
            for k, kinds in zip(at, wanted, strict=True)
        ]
        plans = iter(drafted(cohort, [draft for drawn in drafts for draft in drawn]))
        for k, drawn in zip(at, drafts, strict=True):
            own = distinct([*pools[k].plans, *(next(plans) for _ in drawn)])
            found[k] = replace(pools[k], plans=own, wide=True)
    return found


def _lacking(cohort: Cohort, pool: Pool) -> list[Days]:
    """The questions about the kinds of lever that no plan of a pool moves alone."""
    ask, query = pool.ask, pool.query
    have = {kind_of(cohort, plan) for plan in pool.plans}
    return [
        Days(replace(ask.limits, lock=locked).query(cohort.task, query.rows, cohort.target), (len(query),), PER_KIND)
        for name, locked in (_kinds_alone(cohort, query, ask.limits) if len(have) < ENOUGH else [])
        if (name,) not in have
    ]


def _asking(cohort: Cohort, hold: float) -> Asking:
    """What all questions of the page share."""
    holding = hold > 0 and cohort.held() is not None
    held = cohort.task.once(Holding).of(cohort.position, Limits(hold=hold)) if holding else None
    noun = cohort.nouns.days
    return Asking(cohort.task, held, hold if holding else 0.0, cohort.plausibility, noun, landing=False)


def _drafts(cohort: Cohort, ask: Inquiry, query: Query, found: DaysPlans) -> list[Draft]:
    """Plans for several days as drafts, in their order."""
    drafts = []
    for plan in found.plans:
        known = Known(turned=plan.turned, why=tuple(map(str, plan.why)))
        if plan.of:
            stands = int(plan.stands[plan.turned].min())
            low = round(float(lower_bound(stands, plan.of)), 6)
            known = replace(known, holds=round(stands / plan.of, 6), holds_low=low)
        drafts.append(Draft(ask, query, plan.rows, known, said(cohort.task.schema, plan.plan)))
    return drafts
