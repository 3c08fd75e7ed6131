"""Polish: make an answer cheaper while it stays valid and feasible.

Edits are undone or shrunk; where the row is unlike the data, one more value of a similar real person
may be taken over if that is worth its price.
"""

from __future__ import annotations

import numpy as np

from sensecf.core.distances import Scale
from sensecf.core.neighbours import Influence, Neighbours
from sensecf.core.query import Query, by_pattern
from sensecf.core.rules import Floats, Follow
from sensecf.core.task import Ints, Task
from sensecf.core.verify import cost, feasible

#: Real people whose values an implausible row may take over, and how many trials of that kind the
#: classifier is asked about per row and round.
NEIGHBOURS, REPAIRS = 4, 6
#: Features tried for that, per neighbour: those in which the row is farthest from it.
STRANGEST = 24
#: From so many edits on, several are undone at once.
MANY = 4
#: What is left of an edit in one trial: nothing, a quarter of it, ... (levels: nothing). The rounds repeat
#: them, so what an edit has too much ends below the last gap, 2 % of it.
FRACTIONS = np.array([0.0, 0.25, 0.5, 0.7, 0.85, 0.93, 0.98])
#: Exchanges tried per row and round, and the values among which one is made stronger.
EXCHANGES, STRONGER = 16, 6


def polish(
    task: Task,
    query: Query,
    owner: Ints,
    rows: Floats,
    plausibility: float = 1.0,
    rounds: int = 10,
    price: Floats | None = None,
) -> Floats:
    """Cheaper rows in place of valid ones, shape (m, d).

    Each round tries, for every row, to take back every single edit (in whole or in part); for the
    cheapest row of each query, to undo one edit and make another stronger; and, for rows unlike the
    data, to take over single values of the nearest real people of the target class.
    All trials are judged in one call; per row the valid, feasible one that is cheapest by
    `verify.cost` stays. It ends when no row got cheaper. Rows must be valid to begin with;
    `price` (m,) is their `verify.cost` where it is known.
    """
    rows = rows.copy()
    price = cost(task, query, owner, rows, plausibility) if price is None else price.copy()
    active = np.arange(len(rows))
    for _ in range(rounds):
        if not len(active):
            break
        at, trials = _less(task, query, owner[active], rows[active])
        at, trials, _ = _hopeful(task, query, owner, active[at], trials, price)
        # Dear moves are for the best row of each query.
        leading = active[_cheapest(owner[active], price[active], 1)]
        swap_at, swaps = _exchange(task, query, owner[leading], rows[leading])
        swap_at, swaps, least = _hopeful(task, query, owner, leading[swap_at], swaps, price)
        some = _evenly(swap_at, least, EXCHANGES)
        swap_at, swaps, swap_new = _priced(task, query, owner, swap_at[some], swaps[some], price, plausibility)
        new = np.concatenate([np.full(len(at), np.nan), swap_new])
        at, trials = np.concatenate([at, swap_at]), np.concatenate([trials, swaps])
        if plausibility > 0:
            # What a row costs beyond its changes is what it pays for being unlike the data.
            least = cost(task, query, owner[active], rows[active], 0.0)
            strange = active[price[active] > least + 1e-9]
            more_at, more = _more(task, query, owner[strange], rows[strange])
            more_at, more, _ = _hopeful(task, query, owner, strange[more_at], more, price)
            more_at, more, more_new = _priced(task, query, owner, more_at, more, price, plausibility)
            first = _cheapest(more_at, more_new, REPAIRS)
            at, trials = np.concatenate([at, more_at[first]]), np.concatenate([trials, more[first]])
            new = np.concatenate([new, more_new[first]])
        if not len(at):
            break
        ok = task.valid(task.judge(trials), query.target[owner[at]], query.margin[owner[at]])
        at, trials, new = at[ok], trials[ok], new[ok]
        # Most of what takes an edit back is not valid: the LOF of the rest is asked for now.
        less = np.flatnonzero(np.isnan(new))
        new[less] = cost(task, query, owner[at[less]], trials[less], plausibility)
        better = new < price[at] - 1e-9
        at, trials, new = at[better], trials[better], new[better]
        winners = _cheapest(at, new, 1)
        active = at[winners]
        rows[active], price[active] = trials[winners], new[winners]
    return rows


def _hopeful(
    task: Task, query: Query, owner: Ints, at: Ints, trials: Floats, price: Floats
) -> tuple[Ints, Floats, Floats]:
    """The feasible trials that may be cheaper than the row they come from, with the least that they can cost."""
    fine = feasible(task, query, owner[at], trials)
    at, trials = at[fine], trials[fine]
    # The price of plausibility is never negative: what is dearer without it needs no LOF.
    least = cost(task, query, owner[at], trials, 0.0)
    cheaper = least < price[at] - 1e-9
    return at[cheaper], trials[cheaper], least[cheaper]


def _priced(
    task: Task, query: Query, owner: Ints, at: Ints, trials: Floats, price: Floats, plausibility: float
) -> tuple[Ints, Floats, Floats]:
    """The trials that are cheaper than the row they come from, with their prices."""
    new = cost(task, query, owner[at], trials, plausibility)
    better = new < price[at] - 1e-9
    return at[better], trials[better], new[better]


def _cheapest(at: Ints, price: Floats, count: int) -> Ints:
    """Positions of the `count` cheapest entries of each value of `at`."""
    order = np.lexsort((price, at))
    place = np.arange(len(at)) - np.searchsorted(at[order], at[order])
    chosen: Ints = order[place < count]
    return chosen


def _evenly(at: Ints, price: Floats, count: int) -> Ints:
    """Positions of at most `count` entries of each value of `at`, evenly spread from the cheapest to the dearest."""
    order = np.lexsort((price, at))
    _, start, size = np.unique(at[order], return_index=True, return_counts=True)
    place = np.arange(len(at)) - np.repeat(start, size)
    total = np.repeat(size, size)
    chosen: Ints = order[(place * count) // total != ((place - 1) * count) // total]
    return chosen


def _exchange(task: Task, query: Query, owner: Ints, rows: Floats) -> tuple[Ints, Floats]:
    """Every row with one edit undone and another made stronger to make up for it: (position, row)."""
    codec = task.codec
    base = query.rows[owner]
    at, trials = [], []
    for mask, follow in by_pattern(task, query, owner):
        b, r, q = base[mask], rows[mask], owner[mask]
        edits = codec.changed(b, r) & follow.editable
        i, gone, kept = np.nonzero(edits[:, :, None] & edits[:, None, :] & ~np.eye(edits.shape[1], dtype=bool))
        low, high = codec.rules.intervals(r, query.low[q], query.high[q], follow)
        end = np.where(r > b, high, low)
        share = np.tile((np.arange(STRONGER) + 1) / STRONGER, len(i))
        i, gone, kept = (np.repeat(v, STRONGER) for v in (i, gone, kept))
        levels = ~codec.numeric[kept]
        i, gone, kept, share = (v[~levels] for v in (i, gone, kept, share))
        trial = r[i]
        trial[np.arange(len(i)), gone] = b[i, gone]
        # Small steps first: what is far from the data is rarely wanted.
        value = r[i, kept] + share**2 * (end[i, kept] - r[i, kept])
        trial[np.arange(len(i)), kept] = codec.snap_column(value, kept)
        at.append(mask[i])
        trials.append(codec.rules.settle(b[i], trial, follow, codec.step))
    return np.concatenate(at), np.concatenate(trials)


def _more(task: Task, query: Query, owner: Ints, rows: Floats) -> tuple[Ints, Floats]:
    """Every row with one value of a near real person of the target class: (position, row)."""
    codec = task.codec
    if not len(rows):
        return np.empty(0, np.intp), rows
    near = task.once(Neighbours).nearest(rows, query.target[owner], NEIGHBOURS)
    at, trials = [], []
    for mask, follow in by_pattern(task, query, owner):
        q, r = owner[mask], rows[mask]
        low, high = codec.rules.intervals(r, query.low[q], query.high[q], follow)
        values = codec.snap(np.clip(near[mask], low[:, None], np.maximum(low, high)[:, None]))
        values = codec.worthwhile(query.rows[q][:, None], values)
        usable = query.movable[q][:, None] & follow.editable & ~np.isnan(values)
        usable &= np.abs(values - r[:, None]) > codec.step / 2
        if usable.shape[2] > STRANGEST:
            apart = np.abs(values - r[:, None]) / task.once(Scale).mad * usable
            usable &= apart >= np.partition(apart, -STRANGEST, axis=2)[:, :, [-STRANGEST]]
        i, k, j = np.nonzero(usable)
        trial = r[i]
        trial[np.arange(len(i)), j] = values[i, k, j]
        at.append(mask[i])
        trials.append(codec.rules.settle(query.rows[q][i], trial, follow, codec.step))
    return np.concatenate(at), np.concatenate(trials)


def _less(task: Task, query: Query, owner: Ints, rows: Floats) -> tuple[Ints, Floats]:
    """Every row with one of its edits taken back, followers moved along: (position, row)."""
    codec = task.codec
    base = query.rows[owner]
    at, trials = [], []
    for mask, follow in by_pattern(task, query, owner):
        b, r = base[mask], rows[mask]
        i, j = np.nonzero(codec.changed(b, r) & follow.editable)
        i, j = np.repeat(i, len(FRACTIONS)), np.repeat(j, len(FRACTIONS))
        fraction = np.tile(FRACTIONS, len(i) // len(FRACTIONS))
        keep = (fraction == 0) | codec.numeric[j]
        i, j, fraction = i[keep], j[keep], fraction[keep]
        trial = r[i]
        # Undone is undone: the factual's own value, also where it is no multiple of the step.
        value = codec.worthwhile(b[i, j], codec.snap_column(b[i, j] + fraction * (r[i, j] - b[i, j]), j), j)
        trial[np.arange(len(i)), j] = np.where(fraction == 0, b[i, j], value)
        trial = codec.rules.settle(b[i], trial, follow, codec.step)
        moved = codec.changed(r[i], trial).any(axis=1)
        at.append(mask[i[moved]])
        trials.append(trial[moved])
        blocks_at, blocks = _blocks(task, b, r, follow)
        at.append(mask[blocks_at])
        trials.append(blocks)
    return np.concatenate(at), np.concatenate(trials)


def _blocks(task: Task, base: Floats, rows: Floats, follow: Follow) -> tuple[Ints, Floats]:
    """Rows of many edits with half, a quarter or an eighth of them undone at once, the least weighty first."""
    codec = task.codec
    edits = codec.changed(base, rows) & follow.editable
    count = edits.sum(axis=1)
    weight = task.once(Scale).parts(base, rows) * task.once(Influence).weight
    place = np.argsort(np.argsort(np.where(edits, weight, np.inf), axis=1), axis=1)
    at, trials = [], []
    for share in (2, 4, 8):
        many = np.flatnonzero(count >= max(MANY, share))
        undone = edits[many] & (place[many] < (count[many] // share)[:, None])
        trial = np.where(undone, base[many], rows[many])
        at.append(many)
        trials.append(codec.rules.settle(base[many], trial, follow, codec.step))
    return np.concatenate(at), np.concatenate(trials)
