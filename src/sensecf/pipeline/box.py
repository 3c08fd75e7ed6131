"""The box around a plan in which the answer stays, whatever a person lands on inside: for trees and linear models.

    steps 8,400 or more; sitting 380 to 430 min

The box is sound: no row inside it leaves the target class. It need not be the largest: each tree is taken at its worst
by itself. Features that the plan leaves alone, and levels, stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.classifiers.whitebox import Whitebox, open_classifier
from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task

#: Ends that a linear model is tried at, on each side of a value.
STEPS = 64


@dataclass(frozen=True)
class Side:
    """How far one changed feature may miss its mark: `low` to `high`, in the feature's unit, both reached."""

    feature: str
    low: float
    high: float


def box_of(task: Task, before: Floats, after: Floats, target: int) -> list[Side]:
    """The sides of the box around the plan `after` (d,) for the factual `before` (d,), in schema order.

    Empty where the classifier cannot be looked into, or nothing but levels changes. `target`: a class position.
    """
    try:
        opened = task.once(_Opened).box
    except InputError:
        return []
    codec = task.codec
    moved = np.flatnonzero(codec.changed(before[None], after[None])[0] & codec.numeric)
    low, high = after.copy(), after.copy()
    if not len(moved) or not opened.stays(low, high, target):
        return []
    ends = {j: opened.ends(j, task) for j in moved.tolist()}
    # Ways still open: a feature and a side. Each goes on by one end at a time, so that none takes all the room.
    ways = [(j, side) for j in moved.tolist() for side in (-1, 1)]
    while ways:
        left = []
        for j, side in ways:
            reach = low if side < 0 else high
            further = ends[j][ends[j] > reach[j]][:1] if side > 0 else ends[j][ends[j] < reach[j]][-1:]
            if not len(further):
                continue
            held, reach[j] = reach[j], further[0]
            if opened.stays(low, high, target):
                left.append((j, side))
            else:
                reach[j] = held
        ways = left
    names = task.schema.names
    return [Side(names[j], float(low[j]), float(high[j])) for j in moved.tolist()]


def words(task: Task, sides: list[Side]) -> str:
    """The sides as people read them: "steps 8,400 or more; sitting 380 to 430 min"; "" for none."""
    said = []
    for side in sides:
        feature = task.schema[side.feature]
        j = task.schema.columns[side.feature]
        least, most = side.low <= task.codec.low[j] + 1e-9, side.high >= task.codec.high[j] - 1e-9
        high = feature.format(side.high, unit=True)
        if least and most:
            said.append(f"{feature.name} whatever it is")
        elif most:
            said.append(f"{feature.name} {feature.format(side.low, unit=True)} or more")
        elif least:
            said.append(f"{feature.name} {high} or less")
        elif side.low == side.high:
            said.append(f"{feature.name} exactly {high}")
        else:
            said.append(f"{feature.name} {feature.format(side.low)} to {high}")
    return "; ".join(said)


class _Opened:
    """The opened classifier of a task; get it with `task.once(_Opened)`. Raises `InputError` where it is closed."""

    def __init__(self, task: Task) -> None:
        self.box = _Worst(open_classifier(task))


class _Worst:
    """What an opened classifier says at worst anywhere in a box."""

    def __init__(self, opened: Whitebox) -> None:
        self.opened = opened
        sizes = [len(tree.column) for tree in opened.trees]
        starts = np.cumsum([0, *sizes])[:-1] if sizes else np.empty(0, np.intp)
        self.roots = starts.astype(np.intp)
        join = np.concatenate
        if sizes:
            shift = np.repeat(starts, sizes)
            self.column = join([tree.column for tree in opened.trees])
            self.bound = join([tree.bound for tree in opened.trees])
            self.left = join([tree.left for tree in opened.trees]) + shift
            self.right = join([tree.right for tree in opened.trees]) + shift
            self.blank_left = join([tree.blank_left for tree in opened.trees])
            self.value = join([tree.value for tree in opened.trees])
            self.members = {
                int(start) + node: codes
                for start, tree in zip(starts, opened.trees, strict=True)
                for node, codes in tree.members.items()
            }
            self.by_level = np.isin(np.arange(len(self.column)), list(self.members))

    def ends(self, j: int, task: Task) -> Floats:
        """Values of a feature at which a box may end, on its grid and in its range, sorted."""
        codec = task.codec
        low, high, step = float(codec.low[j]), float(codec.high[j]), float(codec.step[j])
        if len(self.roots):
            cuts = np.unique(self.bound[(self.column == j) & ~self.by_level])
            inner = np.concatenate([np.floor(cuts / step) * step, np.floor(cuts / step) * step + step])
        else:
            inner = np.linspace(low, high, 2 * STEPS)
        grid = codec.snap_column(np.concatenate([inner, [low, high]]), np.full(len(inner) + 2, j))
        found: Floats = np.unique(grid[(grid >= low - 1e-9) & (grid <= high + 1e-9)])
        return found

    def stays(self, low: Floats, high: Floats, target: int) -> bool:
        """Whether every row between `low` and `high` (d,) is in the target class."""
        others = [k for k in range(len(self.opened.base)) if k != target]
        need = self.opened.ahead(0.0) + self.opened.noise
        leads = np.array([self._least(low, high, target, other) for other in others])
        return bool((leads > need).all())

    def _least(self, low: Floats, high: Floats, target: int, other: int) -> float:
        """A lower bound of the target's score less another's in a box; blanks and levels are those of `low`."""
        opened = self.opened
        missing = np.isnan(low)
        weight = opened.weight[:, target] - opened.weight[:, other]
        blank = opened.blank[:, target] - opened.blank[:, other]
        ends = np.minimum(np.nan_to_num(low) * weight, np.nan_to_num(high) * weight)
        total = float(opened.base[target] - opened.base[other] + ends[~missing].sum() + blank[missing].sum())
        for column, table in opened.effect.items():
            code = len(table) - 1 if missing[column] else int(low[column])
            total += float(table[code, target] - table[code, other])
        if not len(self.roots):
            return total
        gain = self.value[:, target] - self.value[:, other]
        worst = np.full(len(self.roots), np.inf)
        node, tree = self.roots, np.arange(len(self.roots))
        while len(node):
            leaf = self.column[node] < 0
            np.minimum.at(worst, tree[leaf], gain[node[leaf]])
            node, tree = node[~leaf], tree[~leaf]
            goes_left, goes_right = self._ways(node, low, high)
            node = np.concatenate([self.left[node[goes_left]], self.right[node[goes_right]]])
            tree = np.concatenate([tree[goes_left], tree[goes_right]])
        return total + float(worst.sum())

    def _ways(self, node: Ints, low: Floats, high: Floats) -> tuple[np.ndarray, np.ndarray]:
        """Whether some row of the box goes left, and right, at each node."""
        column, bound = self.column[node], self.bound[node]
        blank = np.isnan(low[column])
        with np.errstate(invalid="ignore"):
            goes_left, goes_right = low[column] <= bound, high[column] > bound
        for at in np.flatnonzero(self.by_level[node] & ~blank).tolist():
            goes_left[at] = int(low[column[at]]) in self.members[int(node[at])]
            goes_right[at] = not goes_left[at]
        goes_left = np.where(blank, self.blank_left[node], goes_left)
        goes_right = np.where(blank, ~self.blank_left[node], goes_right)
        return goes_left, goes_right
