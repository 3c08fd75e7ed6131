"""The few programmes that turn the most days of a cohort, picked on some of its people and counted on the others.

candidates    verified plans of the people who pick, as changes and as targets, and a small grid
pick          days turned by the classifier and by those jurors that may take part in finding plans; exact or bounded
give          each person the one programme that turns most of their days, by the same judges
count         refits that took no part in any of this, on the people who took no part
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sensecf.core.plausibility import Plausibility
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task
from sensecf.core.verify import cost
from sensecf.pipeline.programme.asks import CANDIDATES, Programme, candidates, carried
from sensecf.pipeline.programme.cover import Cover, best_few
from sensecf.pipeline.programme.reach import Reach, Vote, reach, share_of

#: What a typical plan's effort takes off the worth of a turned day: as much again is asked only for what it buys.
PRICE = 0.25
#: Shares of that price at which a set is picked anew that turns fewer days than a smaller one does.
CHEAPER = (1.0, 0.5, 0.25, 1e-3)
#: A day that is turned is worth so much at least.
LEAST = 0.05
#: People of whom half can pick and half be counted; of fewer all pick, and nobody is left to count.
FEWEST = 10


@dataclass(frozen=True)
class Cohort:
    """Days that are asked about, and what is known of them.

    `query`: the days, n of them, none in the target class yet; `people` (n,): whose each is, numbers from 0;
    `plans` (m, d): verified plans of their own, `owner` (m,) the days that they are for, `edited` (m, d).
    """

    task: Task
    query: Query
    people: Ints
    plans: Floats
    owner: Ints
    edited: Bools

    @property
    def count(self) -> int:
        """How many people."""
        return int(self.people.max(initial=-1)) + 1


@dataclass(frozen=True)
class Judges:
    """`pick`: jurors that take part in picking, `count`: refits that only count; `hold`: the share of each that is to
    agree, 0 where the classifier alone decides."""

    pick: Sequence[Vote] = ()
    count: Sequence[Vote] = ()
    hold: float = 0.0


class Given(NamedTuple):
    """What becomes of every day under the programme that its person is given; arrays (n,).

    `programme`: a position, -1 where none turns a day of the person, who is then shown the one that comes nearest;
    `rows` (n, d); `edited` (n, d); `turned` by the judges that pick, `stands` by those that count; `holds`: the share
    of these.
    """

    programme: Ints
    nearest: Ints
    rows: Floats
    edited: Bools
    feasible: Bools
    valid: Bools
    turned: Bools
    holds: Floats
    stands: Bools
    probability: Floats
    effort: Floats
    plausible: Bools


@dataclass(frozen=True)
class Found:
    """`programmes`: the largest set; `sets`: for 1, 2, … programmes which they are (positions among all that were
    tried) and how near to the best; `given`: for each set what becomes of every day; `picks` (people,): who took part
    in picking; `tried`: all candidates. `offered`: of the largest set, which days each programme turns by the judges
    that pick (n, programmes), and what each edits (programmes, n, d)."""

    tried: list[Programme]
    sets: list[Cover]
    given: list[Given]
    picks: Bools
    offered: tuple[Bools, Bools]

    @property
    def programmes(self) -> list[Programme]:
        """The programmes of the largest set, those of most days first."""
        return [self.tried[k] for k in self.sets[-1].chosen] if self.sets else []


def find(
    cohort: Cohort,
    judges: Judges = Judges(),
    most: int = 3,
    *,
    seed: int = 0,
    limit: int = CANDIDATES,
    price: float = PRICE,
) -> Found:
    """Up to `most` programmes, each number of them picked anew.

    `price`: what a typical plan's effort takes off the worth of a turned day; `limit`: candidates at most. Where a
    larger set would turn fewer of the days of those who pick than a smaller one, effort is priced lower for it.
    """
    picks = halves(cohort.count, seed)
    some = np.flatnonzero(picks[cohort.people])
    place = np.full(len(cohort.query), -1)
    place[some] = np.arange(len(some))
    mine = place[cohort.owner] >= 0
    part = cohort.query.take(some)
    owner = place[cohort.owner[mine]]
    tried = candidates(cohort.task, part, owner, cohort.plans[mine], cohort.edited[mine], limit)
    seen = reach(cohort.task, part, tried, judges.pick, judges.hold)
    typical = typical_effort(cohort, seen)
    people = np.unique(cohort.people[some], return_inverse=True)[1]
    turns = by_person(seen.sure, people)
    sets, given, fewest = [], [], 0.0
    for count in range(1, most + 1):
        picked = _pick(turns, seen, people, _Terms(count, typical, price, fewest))
        if picked is None:
            break  # no further one turns a day
        found, fewest, paid = picked
        order = np.argsort(-seen.turned[:, found.chosen].sum(axis=0), kind="stable")
        sets.append(Cover(found.chosen[order], found.value, found.bound))
        given.append(give(cohort, judges, [tried[k] for k in found.chosen[order]], typical, paid))
    last = [tried[k] for k in sets[-1].chosen] if sets else []
    turned = reach(cohort.task, cohort.query, last, judges.pick, judges.hold).turned
    return Found(tried, sets, given, picks, (turned, carried(cohort.task, cohort.query, last)[1]))


class _Terms(NamedTuple):
    """How many programmes, the typical effort, its price, and the days that a smaller set is expected to turn."""

    programmes: int
    typical: float
    price: float
    fewest: float


def _pick(turns: Floats, seen: Reach, people: Ints, terms: _Terms) -> tuple[Cover, float, float] | None:
    """The best set of so many, the days that it is expected to turn, and the price of effort that it was picked at;
    None where there is no further programme.

    A larger set may turn fewer days than a smaller one, for less effort. Effort is then priced lower, in the end so
    low that it only decides between sets that turn as many, until it turns as many.
    """
    rows, best = np.arange(len(turns)), None
    for paid in [share * terms.price for share in CHEAPER]:
        value = by_person(worth(seen, terms.typical, paid), people)
        found = best_few(value, terms.programmes)
        if len(found.chosen) < terms.programmes:
            return None
        days = float(turns[:, found.chosen][rows, value[:, found.chosen].argmax(axis=1)].sum())
        if best is None or days > best[1]:
            best = (found, days, paid)
        if days >= terms.fewest - 1e-9:
            break
    return best


def halves(count: int, seed: int) -> Bools:
    """Which of `count` people pick, shape (count,): half of them, drawn at random; all where they are few."""
    picks = np.ones(count, dtype=bool)
    if count >= FEWEST:
        picks[np.random.default_rng([seed, 17]).permutation(count)[: count // 2]] = False
    return picks


def typical_effort(cohort: Cohort, seen: Reach) -> float:
    """The mean effort of plans of one's own; without any that of the candidates that turn a day; more than 0."""
    if len(cohort.owner):
        return max(float(cost(cohort.task, cohort.query, cohort.owner, cohort.plans, 0.0).mean()), 1e-9)
    return max(float(seen.effort[seen.turned].mean()), 1e-9) if seen.turned.any() else 1.0


def worth(seen: Reach, typical: float, price: float) -> Floats:
    """What each day is worth, shape (n, c): how likely it is turned for good, less what its effort costs."""
    return seen.sure * np.maximum(1.0 - price * seen.effort / typical, LEAST)


def by_person(value: Floats, people: Ints) -> Floats:
    """Sums over the days of each person, shape (people, c), of values (n, c)."""
    out = np.zeros((int(people.max(initial=-1)) + 1, value.shape[1]))
    np.add.at(out, people, value)
    return out


def give(
    cohort: Cohort, judges: Judges, programmes: Sequence[Programme], typical: float, price: float = PRICE
) -> Given:
    """Each person the programme that turns most of their days for the least effort, and what the counting judges say.

    Judges that count take no part in who gets what.
    """
    task, query = cohort.task, cohort.query
    seen = reach(task, query, programmes, judges.pick, judges.hold)
    value = by_person(worth(seen, typical, price), cohort.people)
    nearest = by_person(np.where(seen.feasible, seen.probability, 0.0), cohort.people)
    chosen = np.where(value.any(axis=1), value.argmax(axis=1), -1)
    shown = np.where(chosen >= 0, chosen, nearest.argmax(axis=1))[cohort.people]
    return _under(cohort, judges, programmes, seen, chosen[cohort.people], shown)


def _under(
    cohort: Cohort, judges: Judges, programmes: Sequence[Programme], seen: Reach, given: Ints, shown: Ints
) -> Given:
    """What becomes of every day under one programme each."""
    task, query, n = cohort.task, cohort.query, len(cohort.query)
    rows, edited = carried(task, query, programmes)
    days = np.arange(n)
    mine, acts = rows[shown, days], edited[shown, days]
    good, fine = seen.valid[days, shown], seen.feasible[days, shown]
    holds = share_of(judges.count, mine, query.target)
    stands = good & fine & ((holds >= judges.hold - 1e-9) if len(judges.count) and judges.hold > 0 else True)
    return Given(
        given,
        shown,
        mine,
        acts,
        fine,
        good,
        seen.turned[days, shown],
        holds,
        stands & (given >= 0),
        seen.probability[days, shown],
        seen.effort[days, shown],
        task.once(Plausibility).score(mine, query.target) >= 0,
    )
