"""The cheapest allowed row under an ensemble of trees, by branch and bound over boxes of choices.

A box holds a stretch of choices per feature. Its cheapest point is the one nearest to the factual (its corner);
the score of the target in it is at most the sum of the best leaves that the box reaches, tree by tree. A box is
given up when its price or its score rules it out, done with when its corner is an answer, and cut in two
otherwise, the cheapest box first: so the first answer taken is the cheapest there is, and at any time none is
cheaper than the cheapest box that waits. Rules narrow boxes, and what mending a broken rule must cost at least
is added to a box's price.

Why not a library: treecf 0.3 proves the same bounds faster, but knows no totals, no linear rules of three
features, no implications between numbers and no third class; HiGHS, given the leaves as variables, proved half
as many answers in ten seconds.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensecf.classifiers.whitebox import Tree, Whitebox
from sensecf.core.distances import Scale
from sensecf.core.query import Query
from sensecf.core.rules import EPS, Bools, Floats
from sensecf.core.task import Ints, Task
from sensecf.generators.exact.choices import Bounds, PricedValues, applying, choices, nearest_of_each_cell
from sensecf.generators.exact.milp import Solution

#: Leaves x boxes looked at in one go: about 30 MB of working memory.
CELLS = 400_000
#: Slack of a price.
HAIR = 1e-9

Spots = NDArray[np.int32]


@dataclass(frozen=True)
class _Leaves:
    """The leaves within reach, the best first in each tree: which choices of the free features lead to them.

    `start` (trees,): each tree's first leaf; `low`, `high` (f, leaves): the stretch of choices; `members`: for
    features with sets of levels, how many of the levels before each one are in the leaf's set, (leaves, m + 1);
    `gain` (leaves,): what a leaf adds to the lead of the target over one other class, on top of `base`.
    """

    start: Ints
    low: Spots
    high: Spots
    members: dict[int, Spots]
    gain: Floats
    base: float


@dataclass(frozen=True)
class _Problem:
    """What one person may do, over the features that may move at all (f of them)."""

    free: Ints
    choices: list[PricedValues]
    stay: Ints
    leaves: list[_Leaves]
    weights: tuple[float, float]
    unit: Floats
    budget: int
    matrix: Floats
    low: Floats
    high: Floats
    implications: list[tuple[int, Bools, int, Bools]]

    def values(self, at: Ints) -> Floats:
        """The values at positions (n, f)."""
        return np.column_stack([choice.value[at[:, j]] for j, choice in enumerate(self.choices)])

    def prices(self, at: Ints) -> Floats:
        """The price of each choice at positions (n, f)."""
        return np.column_stack([choice.price[at[:, j]] for j, choice in enumerate(self.choices)])


@dataclass
class _Boxes:
    """Boxes that may hold an answer: ends of the stretches (n, f), the corner, and a bound on the price (n,)."""

    low: Ints
    high: Ints
    corner: Ints
    bound: Floats

    def keep(self, mask: Bools) -> _Boxes:
        """The boxes under a mask."""
        return _Boxes(self.low[mask], self.high[mask], self.corner[mask], self.bound[mask])


def cheapest_of_trees(
    task: Task,
    query: Query,
    opened: Whitebox,
    cuts: list[Floats],
    accept: Callable[[Floats], bool],
    bounds: Bounds,
) -> Solution:
    """The cheapest allowed row for a query of one person under an ensemble of trees.

    `cuts`: see `find_cuts`; `accept(row)`: the last word on a row (d,) that should be an answer.
    A bound of infinity: there is none.
    """
    weights, cap = bounds.weights, bounds.cap
    until = time.perf_counter() + bounds.seconds
    # A hair less than a valid lead, so that no valid row is left out for an error of rounding.
    ahead = opened.ahead(float(query.margin[0])) - opened.noise
    problem = _problem(task, query, opened, cuts, weights, cap)
    sizes = np.array([len(choice) for choice in problem.choices], dtype=np.intp)
    if not len(sizes):
        return Solution(None, np.inf)
    leaves = sum(leaves.low.shape[1] for leaves in problem.leaves)
    count = max(8, min(256, CELLS // max(leaves, 1)))
    best: Floats | None = None
    waiting: list[tuple[float, int, Ints, Ints]] = [(0.0, 0, np.zeros_like(sizes), sizes - 1)]
    numbered = 1
    while waiting and waiting[0][0] <= cap:
        if time.perf_counter() > until:
            return Solution(best, waiting[0][0])
        taken = [heapq.heappop(waiting) for _ in range(min(count, len(waiting)))]
        boxes = _narrow(problem, np.array([t[2] for t in taken]), np.array([t[3] for t in taken]), cap)
        boxes, column, cut = _look(problem, boxes, ahead)
        whole = _whole(problem, boxes.corner)
        for at in np.argsort(boxes.bound, kind="stable").tolist():
            if boxes.bound[at] > cap:
                break
            j, first = int(column[at]), int(cut[at])
            if j < 0:  # the corner is in the target class
                if whole[at]:
                    row = query.rows[0].copy()
                    row[problem.free] = problem.values(boxes.corner[[at]])[0]
                    if accept(row):
                        best, cap = row, boxes.bound[at] - HAIR
                        continue
                j, first = _mend(problem, boxes, at)
                if j < 0:
                    continue
            for low, high in ((boxes.low[at, j], first - 1), (first, boxes.high[at, j])):
                half = boxes.low[at].copy(), boxes.high[at].copy()
                half[0][j], half[1][j] = low, high
                heapq.heappush(waiting, (float(boxes.bound[at]), numbered, *half))
                numbered += 1
    return Solution(best, np.inf)


# --- the problem of one person ------------------------------------------------------------


def _problem(
    task: Task, query: Query, opened: Whitebox, cuts: list[Floats], weights: tuple[float, float], cap: float
) -> _Problem:
    """Everything about one person that does not change from box to box."""
    factual, target, rules = query.rows[0], int(query.target[0]), task.codec.rules
    applies = applying(task, factual)
    in_rule = (rules.matrix[applies] != 0).any(axis=0)
    every = [
        choice if in_rule[column] else nearest_of_each_cell(choice, cuts[column])
        for column, choice in enumerate(choices(task, query, weights, cap))
    ]
    free = np.array([column for column, choice in enumerate(every) if len(choice) > 1], dtype=np.intp)
    matrix = rules.matrix[applies][:, free]
    now = np.nan_to_num(factual) @ rules.matrix[applies].T - np.nan_to_num(factual)[free] @ matrix.T
    others = [other for other in range(len(opened.base)) if other != target]
    grown = [_grow(tree, every, free) for tree in opened.trees]
    place = {column: at for at, column in enumerate(free.tolist())}
    implications = []
    for _, when, then in rules.implications:
        if np.isnan(factual[[when.column, then.column]]).any():
            continue
        holds = [test.holds(every[test.column].value) for test in (when, then)]
        # A feature that cannot move stands for the truth it has; the first free feature lends its place.
        ends = [
            (place[test.column], held)
            if test.column in place
            else (0, np.full(len(every[free[0]]) if len(free) else 0, held[0]))
            for test, held in zip((when, then), holds, strict=True)
        ]
        implications.append((*ends[0], *ends[1]))
    return _Problem(
        free,
        [every[column] for column in free.tolist()],
        np.array([every[column].stay for column in free.tolist()], dtype=np.intp),
        [_leaves(grown, opened, every, free, target, other) for other in others] if len(free) else [],
        weights,
        task.once(Scale).mad[free],
        int(query.max_changes[0]),
        matrix,
        rules.low[applies] - EPS - now,
        rules.high[applies] + EPS - now,
        implications,
    )


Path = dict[int, tuple[int, int] | Bools]


def _grow(tree: Tree, every: list[PricedValues], free: Ints) -> list[tuple[Floats, Path]]:
    """The leaves of a tree that the choices reach: what each adds to the scores, and which choices lead to it.

    By column the stretch of choices from one position to another, or a mask over levels.
    """
    found: list[tuple[Floats, Path]] = []

    def walk(node: int, path: Path) -> None:
        column = int(tree.column[node])
        if column < 0:
            found.append((tree.value[node], path))
            return
        value = every[column].value
        left, right = int(tree.left[node]), int(tree.right[node])
        if len(value) == 1:
            walk(left if tree.goes_left(node, value)[0] else right, path)
        elif node in tree.members:
            now = path.get(column)
            mask = now if isinstance(now, np.ndarray) else np.ones(len(value), dtype=bool)
            goes_left = tree.goes_left(node, value)
            for side, within in ((left, mask & goes_left), (right, mask & ~goes_left)):
                if within.any():
                    walk(side, {**path, column: within})
        else:
            now = path.get(column)
            low, high = now if isinstance(now, tuple) else (0, len(value) - 1)
            cut = int(np.searchsorted(value, tree.bound[node], side="right"))
            for side, stretch in ((left, (low, min(high, cut - 1))), (right, (max(low, cut), high))):
                if stretch[0] <= stretch[1]:
                    walk(side, {**path, column: stretch})

    walk(0, {})
    return found


def _leaves(
    grown: list[list[tuple[Floats, Path]]],
    opened: Whitebox,
    every: list[PricedValues],
    free: Ints,
    target: int,
    other: int,
) -> _Leaves:
    """The leaves of all trees as arrays, by what they add to the lead of the target over another class."""
    base = float(opened.base[target] - opened.base[other])
    start: list[int] = []
    kept: list[tuple[float, Path]] = []
    for found in grown:
        gains = [(float(value[target] - value[other]), path) for value, path in found]
        if len({gain for gain, _ in gains}) == 1:
            base += gains[0][0]
            continue
        start.append(len(kept))
        kept += sorted(gains, key=lambda leaf: -leaf[0])
    sizes = [len(every[column]) for column in free.tolist()]
    low = np.zeros((len(free), len(kept)), dtype=np.int32)
    high = np.repeat(np.array(sizes, dtype=np.int32)[:, None] - 1, len(kept), axis=1)
    members: dict[int, Spots] = {}
    for j, column in enumerate(free.tolist()):
        ends = [path.get(column) for _, path in kept]
        if any(isinstance(end, np.ndarray) for end in ends):
            masks = np.array([np.ones(sizes[j], dtype=bool) if end is None else end for end in ends])
            members[j] = np.pad(masks.cumsum(axis=1), ((0, 0), (1, 0))).astype(np.int32)
            continue
        for at, end in enumerate(ends):
            if end is not None:
                low[j, at], high[j, at] = end
    gain = np.array([gain for gain, _ in kept])
    return _Leaves(np.array(start, dtype=np.intp), low, high, members, gain, base)


# --- boxes --------------------------------------------------------------------------------


def _narrow(problem: _Problem, low: Ints, high: Ints, cap: float) -> _Boxes:
    """Boxes without what rules, the budget and the price exclude; those that are left with nothing are dropped."""
    alive = np.ones(len(low), dtype=bool)
    bound = np.zeros(len(low))
    corner = low
    for _ in range(2):
        alive &= _keep_rules(problem, low, high)
        corner = np.clip(problem.stay, low, high)
        prices = problem.prices(corner)
        moved = corner != problem.stay
        forced = moved.sum(axis=1)
        alive &= forced <= problem.budget
        more, stuck = _mending(problem, low, high, corner, moved, problem.budget - forced)
        alive &= ~stuck
        bound = prices.sum(axis=1) + more
        alive &= bound <= cap
        # Whatever one feature may cost beside the others; nothing more where the budget is used up.
        spare = np.where(moved | (forced < problem.budget)[:, None], cap - prices.sum(axis=1)[:, None] + prices, 0.0)
        for j, choice in enumerate(problem.choices):
            up = np.searchsorted(choice.price[choice.stay :], spare[:, j] + HAIR, side="right") - 1
            down = np.searchsorted(choice.price[choice.stay :: -1], spare[:, j] + HAIR, side="right") - 1
            high[:, j] = np.minimum(high[:, j], choice.stay + np.maximum(up, 0))
            low[:, j] = np.maximum(low[:, j], choice.stay - np.maximum(down, 0))
        alive &= (low <= high).all(axis=1)
    return _Boxes(low, high, corner, bound).keep(alive)


def _keep_rules(problem: _Problem, low: Ints, high: Ints) -> Bools:
    """Narrow boxes (n, f) in place to what the rules leave; whether anything may be left, shape (n,)."""
    alive: Bools = np.asarray((low <= high).all(axis=1))
    low[~alive] = high[~alive] = problem.stay
    for row, least, most in zip(problem.matrix, problem.low, problem.high, strict=True):
        at = np.flatnonzero(row)
        if not len(at):
            alive &= (least <= 0) & (most >= 0)
            continue
        ends = row * problem.values(low), row * problem.values(high)
        smallest, largest = np.minimum(*ends)[:, at], np.maximum(*ends)[:, at]
        bottom, top = smallest.sum(axis=1), largest.sum(axis=1)
        alive &= (bottom <= most) & (top >= least)
        for k, j in enumerate(at.tolist()):
            value = problem.choices[j].value
            limits = (most - bottom + smallest[:, k]) / row[j], (least - top + largest[:, k]) / row[j]
            floor, ceiling = np.minimum(*limits), np.maximum(*limits)
            # A limit of infinity is none; 0 x infinity does not occur, as rows hold no zeros here.
            low[:, j] = np.maximum(low[:, j], np.searchsorted(value, floor - HAIR, side="left"))
            high[:, j] = np.minimum(high[:, j], np.searchsorted(value, ceiling + HAIR, side="right") - 1)
        alive &= (low <= high).all(axis=1)
        low[~alive] = high[~alive] = problem.stay
    for a, holds, b, follows in problem.implications:
        always = _count(holds, low[:, a], high[:, a]) == high[:, a] - low[:, a] + 1
        alive &= ~(always & (_count(follows, low[:, b], high[:, b]) == 0))
    return alive


def _count(mask: Bools, low: Ints, high: Ints) -> Ints:
    """How many entries of a mask hold from `low` to `high`, shape (n,)."""
    before = np.concatenate([[0], mask.cumsum()])
    count: Ints = before[high + 1] - before[low]
    return count


def _mending(problem: _Problem, low: Ints, high: Ints, corner: Ints, moved: Bools, left: Ints) -> tuple[Floats, Bools]:
    """What mending the linear constraints that a corner breaks costs at least; and where it cannot be done.

    Whatever moves farther pays at least the cheapest member's price for it, and where those that move anyway do
    not reach, one more feature must move. `left`: how many more may.
    """
    more, stuck = np.zeros(len(corner)), np.zeros(len(corner), dtype=bool)
    change, distance = problem.weights
    here = problem.values(corner)
    for row, least, most in zip(problem.matrix, problem.low, problem.high, strict=True):
        at = np.flatnonzero(row)
        sum_ = here[:, at] @ row[at]
        gap = np.maximum(least - sum_, sum_ - most)
        upward = (least - sum_ > sum_ - most)[:, None] == (row[at] > 0)
        ends = np.where(upward, problem.values(high)[:, at], problem.values(low)[:, at])
        room = np.abs(row[at] * (ends - here[:, at]))
        rate = np.where(room > 0, distance / (np.abs(row[at]) * problem.unit[at]), np.inf).min(axis=1, initial=np.inf)
        another = gap > (room * moved[:, at]).sum(axis=1) + HAIR
        broken = gap > HAIR
        stuck |= broken & ((gap > room.sum(axis=1) + HAIR) | (another & (left <= 0)))
        price = np.where(broken & np.isfinite(rate), gap * np.where(np.isfinite(rate), rate, 0.0), 0.0)
        more = np.maximum(more, price + change * (broken & another))
    return more, stuck


def _whole(problem: _Problem, at: Ints) -> Bools:
    """Whether points (n, f) keep all rules."""
    sums = problem.values(at) @ problem.matrix.T
    whole: Bools = np.asarray(((sums >= problem.low) & (sums <= problem.high)).all(axis=1))
    for a, holds, b, follows in problem.implications:
        whole &= ~holds[at[:, a]] | follows[at[:, b]]
    return whole


# --- scores -------------------------------------------------------------------------------


def _first_leaves(leaves: _Leaves, low: Ints, high: Ints) -> Ints:
    """The best leaf of each tree that boxes reach, shape (trees, n)."""
    reached = np.ones((len(leaves.gain), len(low)), dtype=bool)
    for j in range(len(leaves.low)):
        if j in leaves.members:
            reached &= leaves.members[j][:, high[:, j] + 1] > leaves.members[j][:, low[:, j]]
            continue
        asked = np.flatnonzero((leaves.low[j] > 0) | (leaves.high[j] < leaves.high[j].max(initial=0)))
        inside = leaves.low[j, asked, None] <= high[:, j].astype(np.int32)
        inside &= leaves.high[j, asked, None] >= low[:, j].astype(np.int32)
        reached[asked] &= inside
    position = np.where(reached, np.arange(len(leaves.gain), dtype=np.int32)[:, None], len(leaves.gain))
    return np.minimum.reduceat(position, leaves.start, axis=0)


def _look(problem: _Problem, boxes: _Boxes, ahead: float) -> tuple[_Boxes, Ints, Ints]:
    """The boxes whose best leaves reach the target, and where to cut them: before which choice of which feature.

    The feature is -1 where the corner is in the target class. Otherwise it is the one that keeps the corner from
    the best leaves, weighed by what these would bring.
    """
    n = len(boxes.bound)
    hopeful = np.ones(n, dtype=bool)
    column, cut, missing = np.full(n, -1, dtype=np.intp), np.zeros(n, dtype=np.intp), np.zeros(n)
    for leaves in problem.leaves:
        if not len(leaves.start):
            hopeful &= leaves.base >= ahead
            continue
        best = _first_leaves(leaves, boxes.low, boxes.high)
        hopeful &= leaves.base + leaves.gain[best].sum(axis=0) >= ahead
        own = _first_leaves(leaves, boxes.corner, boxes.corner)
        lacks = ahead - leaves.base - leaves.gain[own].sum(axis=0)
        asked = np.flatnonzero(hopeful & (lacks > 0) & (lacks > missing))
        missing[asked] = lacks[asked]
        better = leaves.gain[best] - leaves.gain[own]
        column[asked], cut[asked] = _where(leaves, boxes, best, better, asked)
    return boxes.keep(hopeful), column[hopeful], cut[hopeful]


def _where(leaves: _Leaves, boxes: _Boxes, best: Ints, better: Floats, asked: Ints) -> tuple[Ints, Ints]:
    """For the boxes asked about the feature to cut and the choice before which, see `_look`."""
    best, better, corner = best[:, asked], better[:, asked], boxes.corner[asked]
    high = boxes.high[asked]
    weight = np.zeros((2 * len(leaves.low), len(asked)))
    places = np.zeros((2 * len(leaves.low), *best.shape), dtype=np.int32)
    away = np.zeros((2 * len(leaves.low), *best.shape), dtype=bool)
    for j in range(len(leaves.low)):
        if j in leaves.members:
            before = leaves.members[j]
            outside = before[best, corner[:, j] + 1] == before[best, corner[:, j]]
            up = outside & (before[best, high[:, j] + 1] > before[best, corner[:, j] + 1])
            down = outside & ~up
            places[2 * j], places[2 * j + 1] = corner[:, j] + 1, corner[:, j]
        else:
            up, down = leaves.low[j, best] > corner[:, j], leaves.high[j, best] < corner[:, j]
            places[2 * j], places[2 * j + 1] = leaves.low[j, best], leaves.high[j, best] + 1
        away[2 * j], away[2 * j + 1] = up, down
        weight[2 * j], weight[2 * j + 1] = (better * up).sum(axis=0), (better * down).sum(axis=0)
    chosen = weight.argmax(axis=0)
    cuts = np.zeros(len(asked), dtype=np.intp)
    for at, side in enumerate(chosen.tolist()):
        trees = away[side, :, at] & (better[:, at] > 0)
        spots, gains = places[side, trees, at], better[trees, at]
        order = np.argsort(spots, kind="stable")
        middle = np.searchsorted(gains[order].cumsum(), gains.sum() / 2)
        cuts[at] = spots[order][min(middle, len(order) - 1)]
    return chosen // 2, cuts


def _mend(problem: _Problem, boxes: _Boxes, at: int) -> tuple[int, int]:
    """Where to cut a box whose corner breaks a rule, or was refused: the feature and the choice before which.

    The feature is -1 where nothing is left to cut.
    """
    low, high, corner = boxes.low[at], boxes.high[at], boxes.corner[at]
    here, ends = problem.values(corner[None])[0], problem.values(np.array([low, high]))
    for row, least, most in zip(problem.matrix, problem.low, problem.high, strict=True):
        sum_ = float(here @ row)
        if least <= sum_ <= most:
            continue
        short = least - sum_ if sum_ < least else most - sum_
        room = np.where(row * short > 0, ends[1] - here, here - ends[0]) * np.abs(row)
        if not (room > 0).any():
            return -1, 0
        moved = (corner != problem.stay) & (room > 0)
        j = int(np.argmax(np.where(moved, room, 0.0) if moved.any() else room))
        up = row[j] * short > 0
        if corner[j] == problem.stay[j]:
            return j, int(corner[j]) + int(up)
        # Cut where this feature alone would mend it.
        value, goal = problem.choices[j].value, here[j] + short / row[j]
        if up:
            return j, int(np.clip(np.searchsorted(value, goal - HAIR, side="left"), corner[j] + 1, high[j]))
        return j, int(np.clip(np.searchsorted(value, goal + HAIR, side="right"), low[j] + 1, corner[j]))
    for a, holds, b, follows in problem.implications:
        if holds[corner[a]] and not follows[corner[b]]:
            for j, wanted in ((a, ~holds), (b, follows)):
                places = np.flatnonzero(wanted[low[j] : high[j] + 1]) + low[j]
                if len(places):
                    nearest = int(places[np.abs(places - corner[j]).argmin()])
                    return j, max(nearest, int(corner[j])) if nearest > corner[j] else nearest + 1
            return -1, 0
    wide = np.flatnonzero(high > low)
    if not len(wide):
        return -1, 0
    j = int(wide[0])
    return j, int(corner[j]) + int(high[j] > corner[j])
