"""`nearest`: the nearest unlike neighbour, with the fewest of its values that are enough."""

from __future__ import annotations

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.neighbours import Influence, Neighbours
from sensecf.core.query import Query, by_pattern, settle
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task, lead
from sensecf.core.verify import feasible
from sensecf.generators.traits import Traits

#: Features whose effect alone is measured, per neighbour.
PROBED = 40


class Nearest:
    """Walk from the person towards real people of the target class, one feature at a time.

    For each of the `neighbours` nearest training rows that the classifier puts in the target
    class, the features are ordered by what each does for the target alone; values are taken over
    in that order, and the shortest valid prefix is proposed. (Greedy undo comes with `polish`.)
    The classifier is asked about at most two rows per neighbour and feature, and some 60 per
    neighbour where there are many features.

    >>> nearest = sensecf.generators.Nearest(task)
    >>> sensecf.explain(task, nearest, people, target="low", hold=0).answers["valid"].all()
    np.True_
    """

    name = "nearest"
    traits = Traits(concurrent=True, takes=("neighbours",))

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
    goals = codec.worthwhile(base, codec.snap(goals, query.low[owner], query.high[owner]))
    usable = query.movable[owner] & ~np.isnan(goals) & codec.changed(base, goals) & ~codec.unmeasured(goals)
    # What is worthwhile may lie beyond the limits.
    usable &= (goals >= query.low[owner] - 1e-9) & (goals <= query.high[owner] + 1e-9)
    for at, follow in by_pattern(task, query, owner):
        usable[at] &= follow.editable

    # What each value does alone, for the most influential features.
    leading = task.once(Influence).order
    probed = np.zeros_like(usable)
    probed[:, leading] = usable[:, leading] & (usable[:, leading].cumsum(axis=1) <= PROBED)
    pair, feature = np.nonzero(probed)
    alone = base[pair].copy()
    alone[np.arange(len(pair)), feature] = goals[pair, feature]
    alone = settle(task, query, owner[pair], alone)
    gain = np.full((n * k, d), -np.inf)
    if len(pair):
        gain[pair, feature] = lead(task.judge(alone).proba, query.target[owner[pair]])

    # Prefixes of the order: probed features by what they do, the others by influence, the rest last.
    gain = np.where(usable & ~probed, -2.0 + task.once(Influence).weight, gain)
    order = np.argsort(-gain, axis=1, kind="stable")
    count = usable.sum(axis=1)
    longest = min(int(count.max(initial=0)), int(query.max_changes.max(initial=0)))
    if not longest:
        return np.empty(0, np.intp), np.empty((0, d))
    lengths = _lengths(longest)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(d)[None], axis=1)
    stacked = np.where((place[:, None] < lengths[:, None]) & usable[:, None], goals[:, None], base[:, None])
    stacked = stacked.reshape(-1, d)
    position = np.repeat(owner, len(lengths))
    stacked = settle(task, query, position, stacked)
    fine = feasible(task, query, position, stacked)
    valid = np.zeros(len(stacked), dtype=bool)
    valid[fine] = task.valid(task.judge(stacked[fine]), query.target[position[fine]], query.margin[position[fine]])
    table = valid.reshape(n * k, len(lengths))
    hit, first = table.any(axis=1), table.argmax(axis=1)
    return owner[hit], stacked.reshape(n * k, len(lengths), d)[hit, first[hit]]


def _lengths(longest: int) -> Ints:
    """Every length up to `PROBED`, from there on in steps of a third, and the longest."""
    lengths = list(range(1, min(longest, PROBED) + 1))
    while lengths[-1] < longest:
        lengths.append(min(longest, lengths[-1] * 4 // 3 + 1))
    return np.array(lengths, dtype=np.intp)
