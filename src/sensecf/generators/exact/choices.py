"""What each feature of one person may become: the values that an exact generator chooses among."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sensecf.classifiers.whitebox import Whitebox
from sensecf.core.distances import Scale
from sensecf.core.query import Query
from sensecf.core.rules import EPS, Bools, Floats
from sensecf.core.task import Task


class Bounds(NamedTuple):
    """Prices of a change and of a unit of MAD-L1; the highest price that is looked for (infinite: any); seconds."""

    weights: tuple[float, float]
    cap: float
    seconds: float


@dataclass(frozen=True)
class PricedValues:
    """The values that one feature may take, in ascending order (levels by code), and what each costs.

    `value`, `price` (m,); `stay`: the position of the factual's own value, whose price is 0. On either side of it
    prices do not fall with the distance.
    """

    value: Floats
    price: Floats
    stay: int

    def __len__(self) -> int:
        return len(self.value)

    def take(self, kept: Bools) -> PricedValues:
        """The choices under a mask (m,), which must hold for the factual's own value."""
        return PricedValues(self.value[kept], self.price[kept], int(kept[: self.stay].sum()))


def choices(task: Task, query: Query, weights: tuple[float, float], cap: float) -> list[PricedValues]:
    """For each column what the first person of the query may do there for a price of at most `cap`.

    All multiples of the step within the limits that are worthwhile; all levels but those that say "unknown".
    `weights`: the price of a change, and of a unit of MAD-L1.
    """
    codec, units = task.codec, task.once(Scale).mad
    found = []
    for column, factual in enumerate(query.rows[0].tolist()):
        low, high = query.low[0, column], query.high[0, column]
        values = np.empty(0)
        if query.movable[0, column] and codec.numeric[column]:
            step, unit = codec.step[column], units[column]
            reach = (cap - weights[0]) / weights[1] * unit
            least, most = max(low, factual - reach), min(high, factual + reach)
            positions = np.arange(np.ceil(least / step - 1e-9), np.floor(most / step + 1e-9) + 1)
            values = codec.snap_column(positions * step, np.full(len(positions), column))
            values = values[np.abs(values - factual) > step / 2]
            if column not in codec.rules.equality_members:  # what follows may move by less
                values = values[np.abs(values - factual) >= codec.least[column] - 1e-9]
            prices = weights[0] + weights[1] * np.abs(values - factual) / unit
        elif query.movable[0, column]:
            values = np.arange(codec.n_levels[column], dtype=float)
            values = values[(values != factual) & (values >= low) & (values <= high)]
            prices = np.full(len(values), weights[0] + weights[1])
        values = values[~codec.unmeasured_in(column, values)]
        if not len(values):
            found.append(PricedValues(np.array([factual]), np.zeros(1), 0))
            continue
        values, prices = values[prices <= cap], prices[prices <= cap]
        at = int(np.searchsorted(values, factual))
        found.append(PricedValues(np.insert(values, at, factual), np.insert(prices, at, 0.0), at))
    return found


def nearest_of_each_cell(choice: PricedValues, cuts: Floats) -> PricedValues:
    """Of the values between two cuts only the one nearest to the factual; see `find_cuts`."""
    cell = np.searchsorted(cuts, choice.value, side="left")
    kept = cell != cell[choice.stay]
    other = np.diff(cell) != 0
    position = np.arange(len(cell))
    kept &= np.where(position > choice.stay, np.append(True, other), np.append(other, True))
    kept[choice.stay] = True
    return choice.take(kept)


def find_cuts(task: Task, opened: Whitebox) -> list[Floats]:
    """For each column the values up to which every tree, and every condition of an implication, answers alike."""
    found: list[set[float]] = [set() for _ in range(len(task.schema))]
    for tree in opened.trees:
        for node in np.flatnonzero(tree.column >= 0).tolist():
            column = int(tree.column[node])
            if node in tree.members:  # a set may hold any levels, so that each stands alone
                found[column].update(range(task.codec.n_levels[column]))
            else:
                found[column].add(float(tree.bound[node]))
    for _, when, then in task.codec.rules.implications:
        for test in (when, then):
            for value in np.atleast_1d(np.asarray(test.value, dtype=float)).tolist():
                found[test.column].update((value - EPS, value + EPS))
    return [np.array(sorted(values)) for values in found]


def applying(task: Task, factual: Floats) -> Bools:
    """Which linear constraints of the rules apply to a person: those without a missing member."""
    applies: Bools = np.logical_not(task.codec.rules.members[:, np.isnan(factual)].any(axis=1))
    return applies
