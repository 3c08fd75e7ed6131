"""The least effort that truly works: what somebody would advise who knows the equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.core.distances import Scale
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.data.world.base import Noises, World, ancestors

#: Plans that are tried for a day at a time, at most, and days looked at together.
TRIES, CELLS = 1600, 400_000
#: Rounds in which the best plan's neighbourhood is looked at more finely, and values tried of each lever there.
ROUNDS, FINER = 3, 5
#: Values of one lever that are tried where the others stay.
LINES = 81
#: A day is well where its true probability is at least this.
LINE = 0.5


@dataclass(frozen=True)
class Best:
    """The cheapest plan of each day that is truly well afterwards, or as likely well as was asked for.

    `actions`: values by lever (n,), NaN where it stays; `effort` (n,): summed change in units of the training rows'
    MAD, NaN where no plan within the limits works, 0 where the day is well as it is.
    """

    actions: dict[str, Floats]
    effort: Floats


def efforts(task: Task, rows: Floats, actions: dict[str, Floats]) -> Floats:
    """How much each plan moves its levers, shape (n,): |change| / MAD, summed; lower is less work."""
    mad, columns = task.once(Scale).mad, task.schema.columns
    total = np.zeros(len(rows))
    for name, wanted in actions.items():
        total += np.nan_to_num(np.abs(wanted - rows[:, columns[name]]) / mad[columns[name]])
    return total


def cheapest(world: World, task: Task, query: Query, noises: Noises, reach: Floats | float = LINE) -> Best:
    """Search the levers that have a way to the label, within the limits of a query; a grid, then finer ones.

    `reach`: the true probability of the wanted class that a day is to have afterwards, one for all or (n,).
    """
    columns = task.schema.columns
    moving = [name for name in world.levers if name in ancestors(world.edges, task.schema.label)]
    each = max(3, int(TRIES ** (1 / max(len(moving), 1))))
    now = np.column_stack([query.rows[:, columns[name]] for name in moving])
    free = np.column_stack([query.movable[:, columns[name]] for name in moving])
    low = np.where(free, np.column_stack([query.low[:, columns[name]] for name in moving]), now)
    high = np.where(free, np.column_stack([query.high[:, columns[name]] for name in moving]), now)
    step = np.array([task.codec.step[columns[name]] for name in moving])
    mad = np.array([task.once(Scale).mad[columns[name]] for name in moving])
    # What a row lies beyond its limits already is no way to go.
    low, high = np.minimum(low, high), np.maximum(low, high)
    line = np.broadcast_to(np.asarray(reach, dtype=float), len(now))
    effort = np.where(world.well(noises, {}) >= line, 0.0, np.inf)
    best = now.copy()
    todo = np.flatnonzero(effort > 0)
    width = max(1, CELLS // each ** len(moving))
    for start in range(0, len(todo), width):
        at = todo[start : start + width]
        search = _Search(world, noises, at, now[at], mad, moving, line[at])
        search.look(_lines(now[at], low[at], high[at], LINES, step))
        lo, hi, size = low[at], high[at], each
        for _ in range(1 + ROUNDS):
            search.look(_grid(lo, hi, size, now[at], step))
            reach = (hi - lo) / max(size - 1, 1)
            lo, hi = np.maximum(search.found - reach, low[at]), np.minimum(search.found + reach, high[at])
            size = FINER if len(moving) > 2 else 2 * FINER + 1
        for _ in range(2):  # each lever back towards where it was, as far as the day stays well
            search.look(_lines(search.found, now[at], search.found, LINES, step))
        cost, found = search.cost, search.found
        effort[at], best[at] = cost, found
    worked = np.isfinite(effort)
    moved = worked[:, None] & (np.abs(best - now) > step / 2)
    actions = {name: np.where(moved[:, k], best[:, k], np.nan) for k, name in enumerate(moving)}
    return Best(actions, np.where(worked, effort, np.nan))


class _Search:
    """The cheapest plan found so far for some days: `found` (days, levers), `cost` (days,), infinite for none."""

    def __init__(
        self, world: World, noises: Noises, at: np.ndarray, now: Floats, mad: Floats, levers: list[str], line: Floats
    ) -> None:
        self.world, self.noises, self.at, self.now, self.mad, self.levers = world, noises, at, now, mad, levers
        self.line = line
        self.found, self.cost = now.copy(), np.full(len(at), np.inf)

    def look(self, tried: Floats) -> None:
        """Try plans for each day, shape (days, plans, levers)."""
        price = (np.nan_to_num(np.abs(tried - self.now[:, None])) / self.mad).sum(axis=2)
        well = _well(self.world, self.noises, self.at, tried, self.now, self.levers) >= self.line[:, None]
        price = np.where(well, price, np.inf)
        least, days = price.argmin(axis=1), np.arange(len(price))
        better = price[days, least] < self.cost
        self.cost = np.where(better, price[days, least], self.cost)
        self.found = np.where(better[:, None], tried[days, least], self.found)


def _lines(base: Floats, start: Floats, end: Floats, size: int, step: Floats) -> Floats:
    """`base` with one lever at a time moved from a start to an end, shape (days, levers x size, levers)."""
    share = np.linspace(0.0, 1.0, size)
    levers = base.shape[1]
    tried = np.repeat(base[:, None], levers * size, axis=1)
    for k in range(levers):
        values = start[:, [k]] + share * (end - start)[:, [k]]
        tried[:, k * size : (k + 1) * size, k] = np.round(values / step[k]) * step[k]
    return tried


def _grid(low: Floats, high: Floats, size: int, now: Floats, step: Floats) -> Floats:
    """Plans for each day, shape (days, plans, levers): every combination of evenly spread values, and the present
    ones; in whole steps."""
    share = np.linspace(0.0, 1.0, size)
    values = low[:, None] + share[:, None] * (high - low)[:, None]
    values = np.round(values / step) * step
    # The value nearest to the present one is the present one: staying costs nothing.
    with np.errstate(invalid="ignore"):
        apart = np.abs(values - now[:, None])
        nearest = np.nanargmin(np.where(np.isnan(apart), np.inf, apart), axis=1)
    inside = (now >= low) & (now <= high)
    day, lever = np.nonzero(inside)
    values[day, nearest[day, lever], lever] = now[day, lever]
    levers = values.shape[2]
    place = np.stack(np.meshgrid(*[np.arange(size)] * levers, indexing="ij"), axis=-1).reshape(-1, levers)
    grid: Floats = np.stack([values[:, place[:, k], k] for k in range(levers)], axis=2)
    return grid


def _well(world: World, noises: Noises, at: np.ndarray, tried: Floats, now: Floats, levers: list[str]) -> Floats:
    """The true probability after each plan, shape (days, plans); what a plan leaves as it is, nobody sets."""
    days, plans, _ = tried.shape
    part = noises.take(np.repeat(at, plans))
    flat = np.where(tried == now[:, None], np.nan, tried).reshape(days * plans, -1)
    return world.well(part, {name: flat[:, k] for k, name in enumerate(levers)}).reshape(days, plans)
