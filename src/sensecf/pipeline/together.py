"""One plan for several days: what is tried, how it is carried out on each day, which are worth asking the jury about.

    moves     what a person could be told of one feature: "30 min more", "at least 8,000", "at most 600 min"
    compose   the best moves are joined, a feature at a time, and judged on all days at once
    shrink    what a plan asks for is made smaller as long as it turns as many days

A plan is carried out as it is said: a day on which it would break a rule, a limit or a range is a day that it does not
turn. All people are searched side by side, each by their own days alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sensecf.core.distances import Scale
from sensecf.core.neighbours import Influence, Neighbours
from sensecf.core.query import Query, settle
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task, lead
from sensecf.core.verify import DISTANCE_WEIGHT, edits, feasible

#: What may be said of a feature: nothing, so much more or less, no less than, no more than, exactly.
NOTHING, BY, LEAST, MOST, EXACTLY = range(5)
#: Features that moves are tried for, those that move the classifier most.
FEATURES = 8
#: Shares of the widest change that are tried.
SHARES = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
#: Quantiles of the rows in the target class that are tried as goals.
GOALS = (0.1, 0.25, 0.5, 0.75, 0.9)
#: Sizes tried between nothing and what a plan asks for, when it is made smaller.
SMALLER = 6
#: Plans of a person that are built upon in each round, and rounds at most.
BEAM, ROUNDS = 6, 4
#: Rows judged at a time.
CHUNK = 100_000
#: What following any plan costs on a day, in changed features: without it the smallest plan always wins, however few of
#: the days it turns.
BURDEN = 4.0
#: The lead beyond which a day is no surer.
SURE = 0.9

How = NDArray[np.int8]


@dataclass(frozen=True)
class Plans:
    """Plans for days: `how` (m, d) says what is said of each feature, `value` (m, d) which number, 0 where nothing."""

    how: How
    value: Floats

    def __len__(self) -> int:
        return len(self.how)

    def take(self, at: np.ndarray) -> Plans:
        """The plans at the given positions (or under a mask)."""
        return Plans(self.how[at], self.value[at])

    @classmethod
    def concat(cls, parts: Sequence[Plans]) -> Plans:
        """All plans of the parts, in order."""
        return cls(np.concatenate([p.how for p in parts]), np.concatenate([p.value for p in parts]))

    @property
    def levers(self) -> Bools:
        """The features that each plan says something of, shape (m, d)."""
        said: Bools = self.how != NOTHING
        return said


def carried(task: Task, query: Query, owner: Ints, plans: Plans) -> Floats:
    """The rows of `owner` (m,), each after its own plan (m of them) is carried out, with what follows moved.

    What was not measured on a day stays blank, and what falls short of the least worthwhile change is there already.
    """
    codec, base = task.codec, query.rows[owner]
    how, value = plans.how, plans.value
    with np.errstate(invalid="ignore"):
        rows = np.where(how == BY, base + value, base)
        rows = np.where((how == LEAST) & (base < value), value, rows)
        rows = np.where((how == MOST) & (base > value), value, rows)
        rows = np.where(how == EXACTLY, value, rows)
        short = (np.abs(rows - base) < codec.least - 1e-9) & (how != BY)
    rows = np.where(np.isnan(base) | short, base, rows)
    moved = rows != base
    rows = np.where(moved & ~np.isnan(base), codec.snap(np.where(np.isnan(rows), 0.0, rows)), base)
    return settle(task, query, owner, rows) if query.follows[owner].any() or len(codec.rules.equality_members) else rows


@dataclass(frozen=True)
class Tried:
    """Plans of one person and what came of them on their n days: `leads` (m, n) of the target class, -inf where a day
    is not turned or the plan cannot be carried out; `effort` (m, n) what it asks for, in changed features."""

    plans: Plans
    leads: Floats
    effort: Floats

    def turned(self, margin: float | Floats = 0.0) -> Ints:
        """How many days each plan turns with so much lead, shape (m,)."""
        count: Ints = (self.leads >= margin).sum(axis=1)
        return count

    def per_day(self, margin: float | Floats = 0.0, least: int = 1) -> Floats:
        """What a plan asks for in all, for each day that it turns, shape (m,); inf where that is fewer than `least`."""
        turned = self.turned(margin)
        whole = BURDEN * self.effort.shape[1] + self.effort.sum(axis=1)
        asked: Floats = np.where(turned >= least, whole / np.maximum(turned, 1), np.inf)
        return asked

    @classmethod
    def concat(cls, parts: Sequence[Tried]) -> Tried:
        """All that the parts tried, in order."""
        return cls(
            Plans.concat([p.plans for p in parts]),
            np.concatenate([p.leads for p in parts]),
            np.concatenate([p.effort for p in parts]),
        )


class Seen:
    """What the training rows show, the same for whoever asks; get it with `task.once(Seen)`."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._wanted: dict[int, Floats] = {}

    @cached_property
    def spread(self) -> Floats:
        """The span of the middle 90 % of the training rows, shape (d,): no change is wider where nothing else says."""
        known = self._task.known
        with np.errstate(invalid="ignore"):
            filled = np.where(np.isnan(known).all(axis=0), 0.0, known)
        span: Floats = np.nanquantile(filled, 0.95, axis=0) - np.nanquantile(filled, 0.05, axis=0)
        return np.where(span > 0, span, self._task.codec.high - self._task.codec.low)

    def wanted(self, target: int) -> Floats:
        """Quantiles of the training rows in a class, shape (len(GOALS), d); NaN where nobody was measured."""
        if target not in self._wanted:
            rows = self._task.once(Neighbours).peers(target).rows
            filled = np.where(np.isnan(rows).all(axis=0), 0.0, rows)
            found: Floats = np.nanquantile(filled, GOALS, axis=0)
            self._wanted[target] = np.where(np.isnan(rows).all(axis=0), np.nan, found)
        return self._wanted[target]


@dataclass(frozen=True)
class Together:
    """The search for plans of people: `days` has the positions of each person's days in `query`."""

    task: Task
    query: Query
    days: Sequence[Ints]

    def searched(self) -> list[Tried]:
        """What the search tries for each person, however many of their days are to be turned."""
        moves = [self._moves(own) for own in self.days]
        found = self._judged(moves)
        beams = [self._kept(one) for one in found]
        most = [int(self.query.max_changes[own].max(initial=1)) for own in self.days]
        for size in range(2, ROUNDS + 1):
            joined = [
                _joined(beam, own) if size <= limit else beam.take(np.empty(0, np.intp))
                for beam, own, limit in zip(beams, moves, most, strict=True)
            ]
            if not any(map(len, joined)):
                break
            more = self._judged(joined)
            beams = [self._kept(one) for one in more]
            found = [Tried.concat(pair) for pair in zip(found, more, strict=True)]
        return found

    def tried(self, found: Sequence[Tried], people: Sequence[int], wanted: Sequence[int]) -> list[Tried]:
        """What the search tried for some of the people (positions), and the best of it made smaller, for plans that
        turn at least `wanted` of their days."""
        some = Together(self.task, self.query, [self.days[p] for p in people])
        smaller = [some._smaller(one, least) for one, least in zip(found, wanted, strict=True)]
        return [Tried.concat(pair) for pair in zip(found, some._judged(smaller), strict=True)]

    def on(self, person: int, plans: Plans) -> tuple[Ints, Floats]:
        """The days of a person (positions in `query`) and the rows that each plan makes of them, shape (m, n, d)."""
        own = self.days[person]
        owner, each = np.tile(own, len(plans)), np.repeat(np.arange(len(plans)), len(own))
        rows = carried(self.task, self.query, owner, plans.take(each))
        return own, rows.reshape(len(plans), len(own), self.query.rows.shape[1])

    # --- judging ----------------------------------------------------------------------------------

    def _judged(self, plans: Sequence[Plans]) -> list[Tried]:
        """The plans of each person on all of their days, people together."""
        leads, effort = [], []
        for part in self._parts(plans):
            one, two = self._scored(*part)
            leads.append(one)
            effort.append(two)
        flat, asked = np.concatenate([*leads, np.empty(0)]), np.concatenate([*effort, np.empty(0)])
        found, start = [], 0
        for own, days in zip(plans, self.days, strict=True):
            end = start + len(own) * len(days)
            shape = (len(own), len(days))
            found.append(Tried(own, flat[start:end].reshape(shape), asked[start:end].reshape(shape)))
            start = end
        return found

    def _parts(self, plans: Sequence[Plans]) -> Iterator[tuple[Ints, Plans]]:
        """Pairs of a day and a plan, `CHUNK` at a time: day by day within a plan, plan by plan within a person."""
        owner = np.concatenate(
            [np.tile(own, len(each)) for own, each in zip(self.days, plans, strict=True)] or [np.empty(0, np.intp)]
        ).astype(np.intp)
        first = np.cumsum([0, *map(len, plans)])
        which = np.concatenate(
            [
                np.repeat(np.arange(start, start + len(each)), len(own))
                for own, each, start in zip(self.days, plans, first.tolist(), strict=False)
            ]
            or [np.empty(0, np.intp)]
        ).astype(np.intp)
        every = Plans.concat(plans)
        for start in range(0, len(owner), CHUNK):
            part = slice(start, start + CHUNK)
            yield owner[part], every.take(which[part])

    def _scored(self, owner: Ints, plans: Plans) -> tuple[Floats, Floats]:
        """The lead of the target on each day, -inf where it is not turned, and what the plan asks for."""
        task, query = self.task, self.query
        rows = carried(task, query, owner, plans)
        base = query.rows[owner]
        effort = edits(task.codec, query, owner, rows).sum(axis=1) + DISTANCE_WEIGHT * task.once(Scale).mad_l1(
            base, rows
        )
        leads = np.full(len(owner), -np.inf)
        fine = np.flatnonzero((effort > 0) & feasible(task, query, owner, rows))
        if len(fine):
            judged = task.judge(rows[fine])
            ahead = lead(judged.proba, query.target[owner[fine]])
            turned = task.valid(judged, query.target[owner[fine]], query.margin[owner[fine]])
            # What is not turned keeps its lead below 0, for the search to climb on.
            leads[fine] = np.where(turned, ahead, np.minimum(ahead, -1e-9))
        return leads, effort

    # --- what is tried ----------------------------------------------------------------------------

    def _moves(self, own: Ints) -> Plans:
        """Single moves for a person: amounts more and less, goals, levels, within what their days allow."""
        task, d = self.task, len(self.task.schema)
        order = task.once(Influence).order
        free = np.asarray(self.query.movable[own].any(axis=0))
        found: list[tuple[int, int, float]] = []
        for j in order[free[order]][:FEATURES].tolist():
            values = self._amounts(own, j) if task.codec.numeric[j] else self._levels(own, j)
            found += [(j, how, value) for how, value in values]
        plans = Plans(np.zeros((len(found), d), dtype=np.int8), np.zeros((len(found), d)))
        for row, (j, how, value) in enumerate(found):
            plans.how[row, j], plans.value[row, j] = how, value
        return plans

    def _amounts(self, own: Ints, j: int) -> list[tuple[int, float]]:
        """Amounts and goals of a number, in round figures."""
        query, codec = self.query, self.task.codec
        wanted = self.task.once(Seen).wanted(int(query.target[0]))[:, j]
        known = own[query.movable[own, j]]
        now, low, high = query.rows[known, j], query.low[known, j], query.high[known, j]
        widest = float(self.task.once(Seen).spread[j])
        found: list[tuple[int, float]] = []
        for sign, room in ((1, high - now), (-1, now - low)):
            most = min(float(np.max(room)), widest)
            grain = round_step(max(most / 12, float(codec.least[j]), float(codec.step[j])), float(codec.step[j]))
            sizes = np.unique(np.floor(most * np.array(SHARES) / grain + 1e-9) * grain)
            sizes = sizes[(sizes >= max(codec.least[j], codec.step[j]) - 1e-9) & (sizes > 0)]
            found += [(BY, sign * float(size)) for size in sizes]
            goals = np.unique(np.round(wanted / grain) * grain)
            goals = goals[~np.isnan(goals)]
            if sign > 0:
                found += [(LEAST, float(v)) for v in goals if v > now.min() and v <= high.max() + 1e-9]
            else:
                found += [(MOST, float(v)) for v in goals if v < now.max() and v >= low.min() - 1e-9]
        return found

    def _levels(self, own: Ints, j: int) -> list[tuple[int, float]]:
        """Levels that some day is not at, and that its query allows."""
        query = self.query
        known = own[query.movable[own, j]]
        codes = np.arange(query.low[known, j].min(), query.high[known, j].max() + 1)
        return [(EXACTLY, float(code)) for code in codes if (query.rows[known, j] != code).any()]

    def _kept(self, tried: Tried) -> Plans:
        """The plans to build upon: those nearest to turning the days, and those that ask least for each day turned."""
        if not len(tried.plans):
            return tried.plans
        near = np.clip(tried.leads, -1.0, SURE).mean(axis=1) - 0.01 * tried.effort.mean(axis=1)
        cheap = tried.per_day(0.0, 1)
        best = np.argsort(-near, kind="stable")[: BEAM - 2]
        best = np.concatenate([best, np.argsort(cheap, kind="stable")[:2]])
        return tried.plans.take(np.unique(best))

    def _smaller(self, tried: Tried, least: int) -> Plans:
        """The best plans of a person with one move made smaller."""
        asked = tried.per_day(0.0, least)
        best = [int(p) for p in np.argsort(asked, kind="stable")[:2] if np.isfinite(asked[p])]
        step = self.task.codec.step
        how, value = [], []
        for p in best:
            for j in np.flatnonzero(tried.plans.how[p] == BY).tolist():
                full = float(tried.plans.value[p, j])
                grain = round_step(max(abs(full) / 4, float(step[j])), float(step[j]))
                sizes = np.unique(np.round(full * np.arange(1, SMALLER) / SMALLER / grain) * grain)
                for size in sizes[(np.abs(sizes) >= self.task.codec.least[j] - 1e-9) & (sizes != 0)]:
                    how.append(tried.plans.how[p])
                    value.append(np.where(np.arange(len(step)) == j, size, tried.plans.value[p]))
        if not how:
            return tried.plans.take(np.empty(0, np.intp))
        return Plans(np.array(how, dtype=np.int8), np.array(value))


def _joined(beam: Plans, moves: Plans) -> Plans:
    """Every plan of the beam with every move of a feature that it says nothing of; equal ones once."""
    left = np.repeat(np.arange(len(beam)), len(moves))
    right = np.tile(np.arange(len(moves)), len(beam))
    apart = ~(beam.levers[left] & moves.levers[right]).any(axis=1)
    left, right = left[apart], right[apart]
    how = np.where(moves.levers[right], moves.how[right], beam.how[left])
    value = np.where(moves.levers[right], moves.value[right], beam.value[left])
    if not len(how):
        return beam.take(np.empty(0, np.intp))
    _, first = np.unique(np.column_stack([how, value]), axis=0, return_index=True)
    return Plans(how.astype(np.int8), value).take(np.sort(first))


def round_step(size: float, step: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50 ... steps of a number that is no larger than `size`."""
    cells = max(size / step, 1.0)
    power = 10.0 ** np.floor(np.log10(cells))
    return step * float(max(m * power for m in (1, 2, 5) if m * power <= cells + 1e-9))
