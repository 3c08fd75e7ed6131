"""Which few programmes reach the most: exact on small tables, greedy with a bound beyond.

A person gets one programme, so that the value of a set is the sum over people of the best of it: facility location, of
which maximum coverage is the case of one day per person. It is submodular: greedy reaches 1 − 1/e of the best at
least (Nemhauser, Wolsey & Fisher 1978), and exchanges improve it. How far it is from the best on a table at hand is
bounded by Lagrangian relaxation (Cornuéjols, Fisher & Nemhauser 1977). `scipy.optimize.milp` is HiGHS and is enough:
`highspy` is the same solver under another name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints

#: Pairs of a person and a candidate of some value up to which the choice is exact, and the seconds that it may take.
EXACT, SECONDS = 20_000, 5.0
#: Steps of the bound, and how close it may stop.
STEPS, CLOSE = 200, 1e-4
#: Rounds of exchanges.
EXCHANGES = 20


@dataclass(frozen=True)
class Cover:
    """The programmes chosen (positions), their `value`, and `bound`: no set of as many is worth more."""

    chosen: Ints
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """How far the value may lie below the best, as a share of that; 0 is proven best."""
        return max(0.0, 1.0 - self.value / self.bound) if self.bound > 0 else 0.0


def best_few(gain: Floats, count: int, seconds: float = SECONDS) -> Cover:
    """At most `count` columns of `gain` (people, candidates), not negative, of the largest summed row maxima."""
    worth = np.flatnonzero(gain.any(axis=0))
    if not len(worth) or count < 1:
        return Cover(np.empty(0, np.intp), 0.0, 0.0)
    kept = worth[_undominated(gain[:, worth])]
    small = gain[:, kept]
    picked = exchanged(small, greedy(small, count))
    value = _value(small, picked)
    bound = relaxed(small, count, value)
    if np.count_nonzero(small) <= EXACT and bound - value > CLOSE * bound:
        found, proven = exact(small, count, seconds)
        bound = min(bound, proven)
        if found is not None and _value(small, found) > value:
            picked, value = found, _value(small, found)
    return Cover(kept[picked], value, max(bound, value))


def _value(gain: Floats, chosen: Ints) -> float:
    return float(gain[:, chosen].max(axis=1).sum()) if len(chosen) else 0.0


def _undominated(gain: Floats) -> Ints:
    """Columns that no other column is at least as large as everywhere; of equal ones the first."""
    kept: list[int] = []
    for j in np.argsort(-gain.sum(axis=0), kind="stable").tolist():
        if not kept or not (gain[:, kept] >= gain[:, [j]] - 1e-12).all(axis=0).any():
            kept.append(j)
    return np.sort(np.array(kept, dtype=np.intp))


def greedy(gain: Floats, count: int) -> Ints:
    """One column after the other, each of the largest increase."""
    best = np.zeros(len(gain))
    chosen: list[int] = []
    for _ in range(min(count, gain.shape[1])):
        more = np.maximum(gain - best[:, None], 0.0).sum(axis=0)
        more[chosen] = -1.0
        j = int(more.argmax())
        if more[j] <= 0:
            break
        chosen.append(j)
        best = np.maximum(best, gain[:, j])
    return np.array(chosen, dtype=np.intp)


def exchanged(gain: Floats, chosen: Ints) -> Ints:
    """The set with one column after the other replaced by a better one, until none is."""
    chosen = chosen.copy()
    for _ in range(EXCHANGES):
        before = _value(gain, chosen)
        for place in range(len(chosen)):
            rest = np.delete(chosen, place)
            kept = gain[:, rest].max(axis=1) if len(rest) else np.zeros(len(gain))
            totals = np.maximum(gain, kept[:, None]).sum(axis=0)
            if totals.max() > _value(gain, chosen) + 1e-9:
                chosen[place] = int(totals.argmax())
        if _value(gain, chosen) <= before + 1e-9:
            break
    return chosen


def relaxed(gain: Floats, count: int, reached: float) -> float:
    """A bound on every set of `count` columns: that each person gets one programme is priced instead of asked.

    `reached`: the value of a set that is known, for the size of the steps.
    """
    price = gain.max(axis=1) / 2
    best, pace = float(gain.max(axis=1).sum()), 2.0
    stalled = 0
    for _ in range(STEPS):
        left = np.maximum(gain - price[:, None], 0.0)
        column = left.sum(axis=0)
        top = np.argsort(-column, kind="stable")[:count]
        bound = float(price.sum() + column[top].sum())
        stalled = 0 if bound < best - 1e-9 else stalled + 1
        best = min(best, bound)
        if best - reached <= CLOSE * best:
            break
        if stalled >= 10:
            pace, stalled = pace / 2, 0
        slope = 1.0 - (left[:, top] > 0).sum(axis=1)
        norm = float((slope**2).sum())
        if norm == 0:
            break
        price = np.maximum(price - pace * (bound - reached) / norm * slope, 0.0)
    return best


def exact(gain: Floats, count: int, seconds: float = SECONDS) -> tuple[Ints | None, float]:
    """The best columns as a mixed-integer program for HiGHS, and the bound that it proved."""
    people, columns = np.nonzero(gain)
    pairs, width = len(people), gain.shape[1]
    price = np.concatenate([np.zeros(width), -gain[people, columns]])
    at = np.arange(pairs)
    # A pair only with its column; one pair per person; so many columns.
    rows = np.concatenate([at, at, pairs + people, np.full(width, pairs + len(gain))])
    cols = np.concatenate([width + at, columns, width + at, np.arange(width)])
    data = np.concatenate([np.ones(pairs), -np.ones(pairs), np.ones(pairs), np.ones(width)])
    most = np.concatenate([np.zeros(pairs), np.ones(len(gain)), [count]])
    matrix = coo_array((data, (rows, cols)), shape=(len(most), width + pairs)).tocsr()
    whole = np.concatenate([np.ones(width), np.zeros(pairs)])
    found = milp(
        price,
        constraints=LinearConstraint(matrix, -np.inf, most),
        bounds=Bounds(0, 1),
        integrality=whole,
        options={"time_limit": seconds, "mip_rel_gap": CLOSE},
    )
    bound = np.inf if found.mip_dual_bound is None else -float(found.mip_dual_bound)
    chosen = None if found.x is None else np.flatnonzero(found.x[:width] > 0.5)
    return chosen, bound


# --- budgets --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spent:
    """Who gets what for a budget: `given` (people,), the position of a programme or -1; `cost`, `value` in all."""

    given: Ints
    cost: float
    value: float


def curve(value: Floats, cost: Floats) -> list[Spent]:
    """Reach over budget, from nothing to all that is worth anything: programmes given in the order of what one more
    unit of cost buys, each point as good as any for its budget (Sinha & Zoltners 1979).

    `value`, `cost` (people, programmes), costs more than 0.
    """
    steps = []
    for person in range(len(value)):
        last_value, last_cost = 0.0, 0.0
        for j in _frontier(value[person], cost[person]):
            more, paid = value[person, j] - last_value, cost[person, j] - last_cost
            steps.append((-more / paid, person, j, more, paid))
            last_value, last_cost = value[person, j], cost[person, j]
    given, spent, reached = np.full(len(value), -1), 0.0, 0.0
    points = [Spent(given.copy(), 0.0, 0.0)]
    # Along a person's frontier the ratio falls, so that the order of steps keeps that of the frontier.
    for _, person, j, more, paid in sorted(steps, key=lambda step: step[:2]):
        given[person] = j
        spent, reached = spent + paid, reached + more
        points.append(Spent(given.copy(), spent, reached))
    return points


def _frontier(value: Floats, cost: Floats) -> list[int]:
    """The programmes of one person on the upper hull of value over cost, from nothing on, cheapest first."""
    hull: list[tuple[float, float, int]] = [(0.0, 0.0, -1)]
    for j in np.lexsort((-value, cost)).tolist():
        if value[j] <= hull[-1][1] + 1e-12:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-2], (cost[j], value[j], j)) + 1e-12:
            hull.pop()
        hull.append((float(cost[j]), float(value[j]), j))
    return [j for _, _, j in hull[1:]]


def _slope(a: tuple[float, float, int], b: tuple[float, float, int]) -> float:
    return (b[1] - a[1]) / max(b[0] - a[0], 1e-12)


def within(value: Floats, cost: Floats, budget: float, seconds: float = SECONDS) -> Spent:
    """The best for a budget: at most one programme per person, not more than `budget` in all; by HiGHS.

    Where that is not solved in time, the last point of the curve that the budget pays for.
    """
    affordable = [point for point in curve(value, cost) if point.cost <= budget + 1e-9]
    best = affordable[-1]
    people, columns = np.nonzero(value > 0)
    if not len(people):
        return best
    at = np.arange(len(people))
    matrix = coo_array(
        (
            np.concatenate([np.ones(len(at)), cost[people, columns]]),
            (np.concatenate([people, np.full(len(at), len(value))]), np.concatenate([at, at])),
        ),
        shape=(len(value) + 1, len(at)),
    ).tocsr()
    found = milp(
        -value[people, columns],
        constraints=LinearConstraint(matrix, -np.inf, np.append(np.ones(len(value)), budget)),
        bounds=Bounds(0, 1),
        integrality=np.ones(len(at)),
        options={"time_limit": seconds, "mip_rel_gap": CLOSE},
    )
    taken: Bools = np.zeros(len(at), dtype=bool) if found.x is None else found.x > 0.5
    if value[people[taken], columns[taken]].sum() <= best.value + 1e-9:
        return best
    given = np.full(len(value), -1)
    given[people[taken]] = columns[taken]
    paid, reached = cost[people[taken], columns[taken]].sum(), value[people[taken], columns[taken]].sum()
    return Spent(given, float(paid), float(reached))
