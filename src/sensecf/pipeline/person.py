"""`explain(..., per="person")`: one plan for all days of a person, held where that is asked.

    search    plans for each person, over all of their days together (`together`)
    agree     half A of the jury votes on the best ones: which days it agrees are turned
    choose    of those that turn enough days, the one that asks least for each day turned
    count     half B, which took no part so far, has the last word on every day

A day that the plan does not turn is an abstention with its reason, and every row that is an answer is valid as saved.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.answer_files import PEOPLE
from sensecf.core.candidates import Candidates
from sensecf.core.counterfactuals import ACTIONS_MARK, Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.names import join_names, split_names
from sensecf.core.people import PERSON, days_of, some
from sensecf.core.query import Query, out_of_range
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Ints, Task
from sensecf.core.verify import cost
from sensecf.data.whose import whose
from sensecf.pipeline.batch import THERE, Batch, Shares, followed, table_columns
from sensecf.pipeline.hold import Held, Holding, lower_bound
from sensecf.pipeline.refine import Judged, judge, standing, withstands
from sensecf.pipeline.together import BURDEN, BY, EXACTLY, LEAST, MOST, Plans, Together, Tried, carried

#: The name that answers go by: not that of the search for single rows.
NAME = "search per person"
#: The share of a person's days that a plan must turn, where nothing else is said.
DAYS = 0.5
#: Leads, beside those asked for, at which the best plans are put to half A: as parts of the calibrated margin and
#: above it.
PARTS, ABOVE = (0.0, 0.5, 1.0), (0.1, 0.2)
#: Plans of each lead that half A votes on.
PUT = 2
#: What a plan says of a feature, as text: `how` and its sign.
_SIGNS = {BY: "+=", LEAST: ">=", MOST: "<=", EXACTLY: "="}


@dataclass(frozen=True)
class Wish:
    """What is asked of plans for people: `days`, a share of a person's days in (0, 1] or, as a whole number, how many;
    `n` plans at most; the rest as in `explain`."""

    days: float = DAYS
    n: int = 1
    limits: Limits = field(default_factory=Limits)
    plausibility: float = 1.0
    jurors: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.days, bool) or not self.days > 0 or (self.days > 1 and self.days != round(self.days)):
            raise InputError(
                f"days must be a share in (0, 1] or a whole number of days, not {self.days}; "
                "0.5 asks for half of a person's days, 3 for three"
            )

    def least(self, of: int) -> int:
        """How many of so many days a plan must turn: at least one, at most all."""
        return least_of(of, self.days)


def least_of(of: int, days: float = DAYS) -> int:
    """How many of so many days a plan must turn, see `Wish`."""
    wanted = days if isinstance(days, int) or days > 1 else math.ceil(days * of - 1e-9)
    return int(min(max(wanted, 1), of))


def explain_people(
    task: Task, factuals: pd.DataFrame, target: Any, wish: Wish, strict: bool = True, as_one: str = ""
) -> Counterfactuals:
    """Up to `wish.n` plans for each person in `factuals`, each for all of their rows outside of the target class.

    `factuals`: raw rows with the schema's features and its column `person`; under the name `as_one` all rows count as
    those of one person, and that column is not needed. The answers have one row per day that a
    plan turns, with the columns `plan_id`, `turns` and `of`; `people` says of each person what the plan is.
    Raises `InputError` for anything that cannot be asked.
    """
    position = task.target_position(task.default_target() if target is None else target)
    ids = whose(task.schema, factuals)
    if as_one:
        ids = ids.assign(**{PERSON: as_one})
    _check_named(task.schema, ids)
    rows = task.codec.encode(factuals)
    outside = out_of_range(task.codec, rows, factuals)
    if strict and outside:
        raise InputError(f"{next(iter(outside.values()))} ({len(outside)} rows in all)")
    inside = np.array([i not in outside for i in range(len(rows))], dtype=bool)
    begin_rows = task.rows_judged
    task.check()
    holding = task.once(Holding)
    holding.settle(wish.jurors)
    held = holding.of(position, wish.limits)
    query = Query.of_rows(task, rows[inside], task.classes[position], wish.limits)
    began = time.perf_counter()
    there = standing(task, query)
    codes, names = pd.factorize(ids[PERSON].to_numpy()[inside])
    asking = Asking(task, held, wish.limits.hold, wish.plausibility, days_of(ids[inside]))
    asked = _Asked(asking, query, wish, codes, list(names), there)
    found = _answered(asking, query, asked.cases)
    batch = _batch(asked, found, (time.perf_counter() - began) / max(len(query), 1))
    columns, answers = table_columns(batch, factuals, (inside, np.arange(len(query))), outside)
    judged = task.judge(rows)
    verdict = {
        "predicted": np.array(task.classes, dtype=object)[judged.predicted],
        "probability": judged.proba[:, position].round(6),
    }
    origin = pd.concat(
        [ids.reset_index(drop=True), task.codec.decode(rows, nullable=True), pd.DataFrame(verdict)], axis=1
    )
    goal = np.full(len(answers), task.classes[position], dtype=object)
    cfs = Counterfactuals.of(
        task,
        origin.set_index(factuals.index).infer_objects(),
        columns | {"target": goal},
        answers,
        cost={
            "seconds": time.perf_counter() - began,
            "classifier_rows": task.rows_judged - begin_rows,
            "queries": len(factuals),
            "distinct_queries": len(query),
            **({} if held is None else {"hold": held.facts()}),
            **({"no_jury": holding.problem} if held is None and wish.limits.hold > 0 else {}),
        },
        asked=NAME,
    )
    return _named(cfs, asked, found, factuals.index[inside])


def _check_named(schema: FeatureSchema, ids: pd.DataFrame) -> None:
    if PERSON not in ids:
        named = f"the rows have no column {schema.person!r}" if schema.person else "the schema names no person"
        raise InputError(f"a plan per person needs to know whose row each is, and {named}; name the column as person")
    blank = ids.index[ids[PERSON] == ""]
    if len(blank):
        raise InputError(
            f"a plan per person needs to know whose row each is: {schema.person!r} is blank in row {blank[0]} "
            f"({len(blank)} in all)"
        )


@dataclass(frozen=True)
class Days:
    """The days of one person that plans are asked for: a row of `query` each, under that person's limits.

    `least`: how many of them a plan must turn, first what is wished; where no plan turns so many, the next one counts.
    `n`: plans at most.
    """

    query: Query
    least: tuple[int, ...]
    n: int = 1


@dataclass(frozen=True)
class Asking:
    """What all who are asked for together share: the jury (None where nothing has to hold), the share of it that must
    agree, the price of being unlike the data, what rows are called, and whether `DaysPlan.lands` is counted, which
    takes as long as all other votes together."""

    task: Task
    held: Held | None
    hold: float
    plausibility: float = 1.0
    noun: str = "days"
    landing: bool = True


@dataclass(frozen=True)
class _Case:
    """The days of a person (positions in a query), how many a plan must turn (see `Days`), and plans at most."""

    days: Ints
    least: tuple[int, ...]
    n: int


@dataclass(frozen=True)
class _Asked:
    """People and their rows: `whose` (q,) the position in `names` of each row of `query`; `there` the rows that need
    no plan."""

    asking: Asking
    query: Query
    wish: Wish
    whose: Ints
    names: list[str]
    there: Judged

    @property
    def cases(self) -> list[_Case]:
        """The rows of each person that need a plan, none for who has no such row."""
        order = np.argsort(self.whose, kind="stable")
        open_ = order[~np.isin(order, self.there.found.query)]
        cuts = np.searchsorted(self.whose[open_], np.arange(1, len(self.names)))
        wish = self.wish
        return [_Case(own, (wish.least(len(own)),) if len(own) else (0,), wish.n) for own in np.split(open_, cuts)]


@dataclass(frozen=True)
class DaysPlan:
    """A plan for a person: `rows` (n, d) of their days with it, `turned` (n,), of `of` jurors `stands` and `lands` (n,)
    agree; `why` (n,) it does not turn the others."""

    plan: Plans
    rows: Floats
    turned: Bools
    stands: Ints
    lands: Ints
    of: int
    why: np.ndarray


@dataclass(frozen=True)
class DaysPlans:
    """The days of a person (positions in the query), how many were to be turned, the plans found, best first, and why
    there is none."""

    days: Ints
    least: int
    plans: list[DaysPlan]
    reason: str = ""


def plans_for(asking: Asking, asked: Sequence[Days]) -> list[DaysPlans]:
    """Plans for the days of several people, each under their own limits, found side by side: nobody's plans depend on
    who else is asked for. No day may be in the target class already."""
    if not asked:
        return []
    ends = np.cumsum([0, *(len(one.query) for one in asked)]).tolist()
    cases = [
        _Case(np.arange(start, end), one.least, one.n) for one, start, end in zip(asked, ends, ends[1:], strict=False)
    ]
    found = _answered(asking, Query.concat([one.query for one in asked]), cases)
    return [replace(one, days=one.days - start) for one, start in zip(found, ends, strict=False)]


def _answered(asking: Asking, query: Query, cases: Sequence[_Case]) -> list[DaysPlans]:
    """The plans of every case."""
    found = [DaysPlans(case.days, case.least[0], []) for case in cases]
    open_ = [k for k, case in enumerate(cases) if len(case.days)]
    if not open_:
        return found
    together = Together(asking.task, query, [cases[k].days for k in open_])
    searched = together.searched()
    for step in range(max(len(cases[k].least) for k in open_)):
        at = [i for i, k in enumerate(open_) if not found[k].plans and step < len(cases[k].least)]
        if not at:
            break
        least = [cases[open_[i]].least[step] for i in at]
        tried = together.tried([searched[i] for i in at], at, least)
        for i, one in zip(at, _made(asking, together, [cases[open_[i]] for i in at], (at, tried, least)), strict=True):
            found[open_[i]] = one
    return found


def _made(
    asking: Asking, together: Together, cases: Sequence[_Case], given: tuple[Sequence[int], Sequence[Tried], list[int]]
) -> list[DaysPlans]:
    """The plans of some cases that turn enough of their days; `given`: the place of each case in `together`, what was
    tried for it, and how many of its days must be turned."""
    rows = list(zip(cases, *given, strict=True))
    ballots = [_ballot(asking, together, at, (one, least, case.n)) for case, at, one, least in rows]
    _voted(asking, together.query, ballots)
    chosen = [_chosen(asking, ballot, least, case.n) for ballot, (case, _, _, least) in zip(ballots, rows, strict=True)]
    counted = _counted(asking, together.query, ballots, chosen)
    found = []
    for (case, _, one, least), ballot, plans in zip(rows, ballots, counted, strict=True):
        good = [plan for plan in plans if plan.turned.sum() >= least]
        reason = "" if good else _why_none(asking, (one, ballot), plans, least)
        found.append(DaysPlans(case.days, least, good, reason))
    return found


@dataclass
class _Ballot:
    """Plans of a person that half A votes on: `rows` (m, n, d), `valid` (m, n) whether a day is turned with what is
    asked of it, `steadiness` (m, n) of each by half A (see `Held.steadiness`), `price` (m,) what each asks for in
    all."""

    days: Ints
    plans: Plans
    rows: Floats
    valid: Bools
    steadiness: Floats
    price: Floats


def _ballot(asking: Asking, together: Together, at: int, wanted: tuple[Tried, int, int]) -> _Ballot:
    """The plans of a person that are worth a vote: the best at each lead, and of different levers where several are
    asked for. `wanted`: what was tried, how many days must be turned, and how many plans are asked for."""
    tried, least, n = wanted
    leads = {0.0}
    if asking.held is not None:
        margin = asking.held.calibration.margin
        leads = {margin * part for part in PARTS} | {min(margin + up, 0.95) for up in ABOVE}
    put: list[int] = []
    for level in sorted(leads):
        price = tried.per_day(level, least)
        order = [int(p) for p in np.argsort(price, kind="stable") if np.isfinite(price[p])]
        put += order[:PUT]
        seen: set[bytes] = set()
        for p in order if n > 1 else []:
            levers = tried.plans.levers[p].tobytes()
            if levers not in seen and len(seen) < 2 * n:
                seen.add(levers)
                put.append(p)
    if not put and len(tried.plans):  # none turns enough days; the one that turns most says what stands in the way
        put = [int(np.lexsort((tried.effort.sum(axis=1), -tried.turned(0.0)))[0])]
    chosen = np.array(sorted(set(put)), dtype=np.intp)
    days, rows = together.on(at, tried.plans.take(chosen))
    owner, flat = np.tile(days, len(chosen)), rows.reshape(-1, rows.shape[-1])
    valid = tried.leads[chosen] >= 0
    task, query = asking.task, together.query
    each = cost(task, query, owner, flat, asking.plausibility).reshape(valid.shape)
    price = BURDEN * len(days) + each.sum(axis=1)
    if len(flat) and (query.consequences[days] > 0).any():
        there = judge(task, query, Candidates.of(owner, flat, NAME), final=False)
        valid &= withstands(task, query, there).reshape(valid.shape)
    return _Ballot(days, tried.plans.take(chosen), rows, valid, np.where(valid, np.inf, -1.0), price)


def _voted(asking: Asking, query: Query, ballots: Sequence[_Ballot]) -> None:
    """Ask half A about all plans of all people at once."""
    if asking.held is None:
        return
    rows = np.concatenate([b.rows[b.valid] for b in ballots])
    target = np.concatenate([np.broadcast_to(query.target[b.days], b.valid.shape)[b.valid] for b in ballots])
    steadiness, start = asking.held.steadiness(rows, target), 0
    for ballot in ballots:
        end = start + int(ballot.valid.sum())
        ballot.steadiness[ballot.valid] = steadiness[start:end]
        start = end


def _chosen(asking: Asking, ballot: _Ballot, least: int, n: int) -> list[int]:
    """Which plans of a ballot are made: of those on enough days of which half A agrees, the ones that ask least for
    each such day; where none is, the one with most such days. Further ones say something of other features."""
    if not len(ballot.plans):
        return []
    # A steady plan on enough days is surer than one that just enough of half A agrees with.
    for least_steady in (asking.held.steady, 0.0) if asking.held is not None else (0.0,):
        agreed = ballot.valid & (ballot.steadiness >= least_steady)
        days = agreed.sum(axis=1)
        order = np.argsort(np.where(days >= least, ballot.price / np.maximum(days, 1), np.inf), kind="stable")
        good = [int(p) for p in order if days[p] >= least]
        if good:
            break
    else:
        return [int(np.lexsort((ballot.price, -days))[0])]
    picked: list[int] = []
    for p in good:
        mine = ballot.plans.levers[p]
        if all((mine & ballot.plans.levers[o]).sum() / (mine | ballot.plans.levers[o]).sum() <= 0.5 for o in picked):
            picked.append(p)
    return picked[:n]


def _counted(
    asking: Asking, query: Query, ballots: Sequence[_Ballot], chosen: Sequence[Sequence[int]]
) -> list[list[DaysPlan]]:
    """The plans with half B's count on each day, for all people at once, and the verdict on the rows as saved."""
    task, held = asking.task, asking.held
    pairs = [(b, p) for b, ps in zip(ballots, chosen, strict=True) for p in ps]
    width = query.rows.shape[1]
    owner = np.concatenate([b.days for b, _ in pairs] or [np.empty(0, np.intp)]).astype(np.intp)
    rows = np.concatenate([b.rows[p] for b, p in pairs] or [np.empty((0, width))])
    last = judge(task, query, Candidates.of(owner, rows, NAME)) if len(owner) else None
    good = np.zeros(0, dtype=bool) if last is None else last.verdict.good & (last.verdict.n_changed > 0)
    good &= np.concatenate([b.valid[p] for b, p in pairs] or [np.zeros(0, dtype=bool)])
    stands, lands = np.zeros(len(owner), np.intp), np.zeros(len(owner), np.intp)
    of = 0
    if held is not None and good.any():
        at = np.flatnonzero(good)
        of = held.counting
        there, target = rows[at], query.target[owner[at]]
        if asking.landing:
            stands[at], lands[at] = held.count(task, query.rows[owner[at]], there, target)
        else:
            stands[at] = held.stand(there, target)
    turned = good & (stands >= asking.hold * of) if held is not None else good
    why = _why_not(last, turned, stands, (asking.hold * of, of))
    plans, start = [], 0
    for b, p in pairs:
        part = slice(start, start + len(b.days))
        start += len(b.days)
        own = b.plans.take(np.array([p]))
        plans.append(DaysPlan(own, rows[part], turned[part], stands[part], lands[part], of, why[part]))
    each = iter(plans)
    return [[next(each) for _ in ps] for ps in chosen]


def _why_not(last: Judged | None, turned: Bools, stands: Ints, needed: tuple[float, int]) -> np.ndarray:
    """Why each day is not turned, "" where it is; `needed`: how many jurors must agree, and of how many."""
    words = np.full(len(turned), "", dtype=object)
    if last is None:
        return words
    verdict = last.verdict
    for at in np.flatnonzero(~turned).tolist():
        if verdict.reason[at]:
            words[at] = f"on it the plan cannot be carried out: {verdict.reason[at]}"
        elif verdict.n_changed[at] == 0:
            words[at] = "on it all that the plan asks for is done, or was not measured"
        elif not verdict.valid[at]:
            words[at] = "with it the classifier's answer stays what it is"
        elif stands[at] < needed[0]:
            words[at] = f"with it the answer would not hold: {stands[at]} of {needed[1]} refits agree"
        else:
            words[at] = "what is expected to follow would undo it"
    return words


def _why_none(asking: Asking, seen: tuple[Tried, _Ballot], plans: Sequence[DaysPlan], least: int) -> str:
    """Why a person has no plan, from what was tried and put to the vote."""
    tried, ballot = seen
    n = len(ballot.days)
    what = f"no one plan for {some(n, asking.noun)} turns {'it' if n == 1 else f'{least} of them'}"
    if not len(tried.plans):
        return f"{what}: nothing that may change was measured, or the limits leave nothing to change"
    turns = int(tried.turned(0.0).max())
    if turns < least:
        return f"{what} under these limits; the best one found turns {turns}"
    held = max((int(plan.turned.sum()) for plan in plans), default=0)
    return (
        f"{what} and would hold under these limits; the best one found turns {turns}, and holds on {held} "
        "(--hold with a smaller share asks for less, in Python hold=)"
    )


# --- the table ----------------------------------------------------------------------------------


def _batch(asked: _Asked, found: Sequence[DaysPlans], seconds: float) -> Batch:
    """Everybody's answers and abstentions as the arrays of a table; ranks follow the plans day by day."""
    task, query = asked.asking.task, asked.query
    owner, rows, stands, lands, plans = [], [], [], [], 0
    for person in found:
        for plan in person.plans:
            owner.append(person.days[plan.turned])
            rows.append(plan.rows[plan.turned])
            stands.append(plan.stands[plan.turned])
            lands.append(plan.lands[plan.turned])
            plans = max(plans, plan.of)
    width = query.rows.shape[1]
    who = np.concatenate([*owner, np.empty(0, np.intp)]).astype(np.intp)
    made = judge(task, query, Candidates.of(who, np.concatenate([*rows, np.empty((0, width))]), NAME))
    there = asked.there
    answered = np.concatenate([who, there.found.query])
    silent = np.setdiff1d(np.arange(len(query)), answered)
    texts = _reasons(asked, found)
    none = judge(
        task, query, Candidates.of(silent, np.full((len(silent), width), np.nan), NAME, [texts[q] for q in silent])
    )
    shown = Judged.concat([made, there, none])
    rank = np.zeros(len(shown), dtype=np.intp)
    rank[: len(answered)] = pd.Series(answered).groupby(answered).cumcount().to_numpy() + 1
    unknown = np.full(len(shown), np.nan)
    shares = Shares(unknown, unknown.copy(), unknown.copy())
    if plans:
        count = np.concatenate([*stands, np.empty(0, np.intp)]).astype(np.intp)
        shares.holds[: len(who)] = count / plans
        shares.holds_low[: len(who)] = lower_bound(count, plans)
        shares.lands[: len(who)] = np.concatenate([*lands, np.empty(0, np.intp)]) / plans
    words = np.empty(0, dtype=object)
    return Batch.of(shown, followed(task, query, shown), rank, seconds, words, words, shares)


def _reasons(asked: _Asked, found: Sequence[DaysPlans]) -> dict[int, str]:
    """Why each day without an answer has none."""
    texts: dict[int, str] = {}
    for person in found:
        n = len(person.days)
        for at, q in enumerate(person.days.tolist()):
            if not person.plans:
                texts[q] = person.reason
                continue
            best, days = person.plans[0], some(n, asked.asking.noun)
            texts[q] = (
                f"the plan turns {int(best.turned.sum())} of {days} of this person, and not this one: {best.why[at]}"
            )
    return texts


def _named(cfs: Counterfactuals, asked: _Asked, found: Sequence[DaysPlans], index: pd.Index) -> Counterfactuals:
    """The answers with the plan that each is part of, and the table of people."""
    schema = asked.asking.task.schema
    people: list[tuple[Any, ...]] = []
    of_day: dict[Any, list[tuple[str, int, int, bool]]] = {}
    for name, person in zip(asked.names, found, strict=True):
        n = len(person.days)
        for rank, plan in enumerate(person.plans, 1):
            text = said(schema, plan.plan)
            turns = int(plan.turned.sum())
            mark = hashlib.sha256(repr((text, asked.query.rows[person.days].tolist())).encode()).hexdigest()[:12]
            sides = (
                join_names(map(str, index[person.days[side]]), ACTIONS_MARK) for side in (plan.turned, ~plan.turned)
            )
            people.append((name, rank, mark, turns, n, person.least, text, "", *sides))
            for at, q in enumerate(person.days.tolist()):
                of_day.setdefault(index[q], []).append((mark, turns, n, bool(plan.turned[at])))
        if not person.plans:
            days = join_names(map(str, index[person.days]), ACTIONS_MARK)
            people.append((name, pd.NA, "", 0, n, person.least, "", person.reason if n else THERE, "", days))
    frame = cfs.frame.copy()
    told: list[tuple[str, Any, Any]] = []
    for query, rank in zip(frame["query"], frame["rank"], strict=True):
        plans = of_day.get(query, [])
        if not plans:
            told.append(("", pd.NA, pd.NA))
            continue
        turned = [one for one in plans if one[3]]
        mark, turns, n, _ = plans[0] if pd.isna(rank) else turned[int(rank) - 1]
        told.append((mark, turns, n))
    frame["plan_id"] = [mark for mark, _, _ in told]
    frame["turns"] = pd.array([turns for _, turns, _ in told], dtype="Int64")
    frame["of"] = pd.array([n for _, _, n in told], dtype="Int64")
    table = pd.DataFrame(people, columns=list(PEOPLE)).astype({"rank": "Int64"})
    return replace(cfs, frame=frame, people=table)


def said(schema: FeatureSchema, plans: Plans) -> str:
    """A plan as text that `parts_of` reads back: "steps+=2500;sedentary_min<=600"."""
    parts = []
    for j in np.flatnonzero(plans.levers[0]).tolist():
        feature, how, value = schema.features[j], int(plans.how[0, j]), float(plans.value[0, j])
        number = f"{value:.{feature.decimals}f}" if feature.numeric else str(feature.levels[int(value)])
        parts.append(f"{feature.name}{_SIGNS[how]}{number}")
    return join_names(parts, ACTIONS_MARK)


def parts_of(schema: FeatureSchema, text: str) -> list[tuple[str, str, str]]:
    """What a plan (see `said`) asks for: feature, sign ("+=", ">=", "<=" or "=") and value, each as text.

    Raises `InputError` for a part that names no feature of the schema.
    """
    found = []
    for part in split_names(text, ACTIONS_MARK):
        ways = [(name, sign) for name in schema.names for sign in _SIGNS.values() if part.startswith(f"{name}{sign}")]
        if not ways:
            raise InputError(f"the plan {text!r} cannot be read: {part!r} names no feature of the schema")
        name, sign = max(ways, key=lambda way: len(way[0]))
        found.append((name, sign, part[len(name) + len(sign) :]))
    return found


def carried_out(task: Task, query: Query, told: str) -> Floats:
    """What a plan for several days makes of each row of a query, shape (k, d); the rows as they are where nothing is
    told."""
    if not told:
        return query.rows.copy()
    rows, hows = query.rows, {sign: how for how, sign in _SIGNS.items()}
    d = rows.shape[1]
    plan = Plans(np.zeros((1, d), dtype=np.int8), np.zeros((1, d)))
    for name, sign, number in parts_of(task.schema, told):
        j = task.schema.columns[name]
        feature = task.schema.features[j]
        levels = [str(level) for level in feature.levels]
        plan.how[0, j], plan.value[0, j] = hows[sign], float(number) if feature.numeric else levels.index(number)
    return carried(task, query, np.arange(len(rows)), plan.take(np.zeros(len(rows), dtype=np.intp)))


def in_words(schema: FeatureSchema, text: str, labels: Mapping[str, str] | None = None) -> list[str]:
    """What a plan (see `said`) asks for, a phrase for each feature: "steps +2,500", "sitting at most 600 min".

    `labels`: what features are called, where that is not their name.
    """
    phrases = []
    for name, sign, number in parts_of(schema, text):
        feature, label = schema[name], (labels or {}).get(name, name)
        unit = feature.unit.casefold() not in label.casefold().split()  # steps are not said twice
        if sign == "+=":
            value = float(number)
            phrases.append(f"{label} {'+' if value > 0 else '−'}{feature.format(abs(value), unit=unit)}")
        else:
            word = {">=": "at least ", "<=": "at most ", "=": ""}[sign]
            shown = feature.format(float(number), unit=unit) if feature.numeric else number
            phrases.append(f"{label} {word}{shown}")
    return phrases
