"""`nearest`: the nearest unlike neighbour, with the fewest of its values that are enough."""

from __future__ import annotations

import numpy as np

from sensecf.candidates import Candidates
from sensecf.neighbours import Neighbours
from sensecf.query import Query, by_pattern
from sensecf.rules import Floats
from sensecf.task import Ints, Task, lead
from sensecf.verify import feasible


class Nearest:
    """Walk from the person towards real people of the target class, one feature at a time.

    For each of the `neighbours` nearest training rows that the classifier puts in the target
    class, the features are ordered by what each does for the target alone; values are taken over
    in that order, and the shortest valid prefix is proposed. (Greedy undo comes with `polish`.)
    The classifier is asked about two rows per neighbour and feature.
    """

    name = "nearest"

    def __init__(self, task: Task, seed: int = 0, *, neighbours: int = 8) -> None:
        self.task = task
        self.neighbours = neighbours
        task.once(Neighbours)

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """At most `neighbours` candidates per query; a query none of them serves gets a reason."""
        owner, rows = walk(self.task, query, self.neighbours)
        found = Candidates.of(owner, rows, self.name)
        left = np.setdiff1d(np.arange(len(query)), owner)
        nothing = Candidates.of(
            left,
            np.full((len(left), len(self.task.schema)), np.nan),
            self.name,
            ["no prefix of a neighbour's values is valid and feasible"] * len(left),
        )
        return Candidates.concat([found, nothing])


def walk(task: Task, query: Query, k: int) -> tuple[Ints, Floats]:
    """Valid, feasible rows on the way to the k nearest rows of the target class: (query position, row)."""
    codec = task.codec
    n, d = len(query), len(task.schema)
    goals = task.once(Neighbours).nearest(query.rows, query.target, k).reshape(n * k, d)
    owner = np.repeat(np.arange(n), k)
    base = query.rows[owner]
    goals = codec.snap(goals, query.low[owner], query.high[owner])
    usable = query.movable[owner] & ~np.isnan(goals) & codec.changed(base, goals)
    for at, follow in by_pattern(task, query, owner):
        usable[at] &= follow.editable

    # What each value does alone.
    pair, feature = np.nonzero(usable)
    alone = base[pair].copy()
    alone[np.arange(len(pair)), feature] = goals[pair, feature]
    alone = _settle(task, query, owner[pair], alone)
    gain = np.full((n * k, d), -np.inf)
    if len(pair):
        gain[pair, feature] = lead(task.judge(alone).proba, query.target[owner[pair]])

    # Prefixes of the order.
    order = np.argsort(-gain, axis=1, kind="stable")
    count = usable.sum(axis=1)
    longest = min(int(count.max(initial=0)), int(query.max_changes.max(initial=0)))
    rows, current = [], base.copy()
    for length in range(longest):
        column = order[:, length]
        going = length < count
        current[going, column[going]] = goals[going, column[going]]
        rows.append(current.copy())
    if not rows:
        return np.empty(0, np.intp), np.empty((0, d))
    stacked = np.stack(rows, axis=1).reshape(n * k * longest, d)
    position = np.repeat(owner, longest)
    stacked = _settle(task, query, position, stacked)
    fine = feasible(codec, query, position, stacked)
    valid = np.zeros(len(stacked), dtype=bool)
    valid[fine] = task.valid(task.judge(stacked[fine]), query.target[position[fine]], query.margin[position[fine]])
    table = valid.reshape(n * k, longest)
    hit, first = table.any(axis=1), table.argmax(axis=1)
    return owner[hit], stacked.reshape(n * k, longest, d)[hit, first[hit]]


def _settle(task: Task, query: Query, owner: Ints, rows: Floats) -> Floats:
    out = rows.copy()
    for at, follow in by_pattern(task, query, owner):
        out[at] = task.codec.rules.settle(query.rows[owner[at]], rows[at], follow, task.codec.step)
    return out
