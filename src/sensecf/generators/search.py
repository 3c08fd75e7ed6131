"""`search`: a vectorised beam search over single edits; the teacher of the embedded model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.core.apart import Draws
from sensecf.core.candidates import Candidates
from sensecf.core.neighbours import Influence, Neighbours
from sensecf.core.query import Query, by_pattern
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task, lead
from sensecf.core.verify import cost, edits, feasible
from sensecf.generators.nearest import walk
from sensecf.generators.traits import Traits


@dataclass(frozen=True)
class Effort:
    """How hard to search.

    Each of `depth` rounds extends `beam` rows per query by `edits` single edits each; a query without an answer after
    them goes on up to the round `further`, where it may move so many features. `neighbours` training rows are
    walked to first; `keep` candidates per query are proposed. A query whose best lead has not grown for `patience`
    rounds is given up.
    """

    beam: int = 4
    edits: int = 64
    depth: int = 5
    further: int = 0
    neighbours: int = 6
    keep: int = 6
    patience: int = 5


#: A lead that grows by less than this does not grow.
GROWS = 0.005
#: What a search does where nothing is said. Plans that hold may need more edits than five rounds make; whoever has an
#: answer by then is asked no more.
USUAL = Effort(further=10)
#: For the few queries that nothing else answers.
THOROUGH = Effort(beam=8, edits=128, depth=10, neighbours=20, patience=3)


class Search:
    """Propose sparse, close, plausible rows by beam search, for all queries at once.

    A round extends every beam row by single edits whose values come from real people of the target
    class (half of them from the nearest ones), within the interval the rules leave. Valid rows go
    to a pool ordered by `verify.cost`; the beam goes on from the rows closest to the target and
    from valid rows that are not yet plausible. A query leaves the search when one more change
    could not pay, or without an answer when its lead over the next class has not grown for `patience` rounds. The
    classifier is asked about at most
    `beam x edits x max(depth, further) + 60 x neighbours` rows per query. Features are tried in proportion to
    their influence on the classifier.

    `plausibility`: the dial of `verify.cost`; 0 ignores it.

    >>> search = sensecf.generators.Search(task)
    >>> sensecf.explain(task, search, people, target="low", hold=0).answers["feasible"].all()
    np.True_
    """

    name = "search"
    traits = Traits(concurrent=True, takes=("effort", "plausibility"))

    def __init__(self, task: Task, seed: int = 0, *, effort: Effort = USUAL, plausibility: float = 1.0) -> None:
        self.task = task
        self.effort = effort
        self.plausibility = plausibility
        task.once(Neighbours)

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """Up to `effort.keep` candidates per query, valid and feasible; a reason where there is none.

        Queries that are `Apart` draw from their own streams, and `rng` is not used.
        """
        pool = _Pool(self.task, query, self.effort.keep, self.plausibility)
        pool.add(*walk(self.task, query, self.effort.neighbours))
        beam = query.rows[:, None, :]  # (q, beam, d)
        active = np.arange(len(query))
        best, grew = np.full(len(query), -np.inf), np.zeros(len(query), dtype=np.intp)
        moves = query.movable.sum(axis=1)
        for depth in range(1, max(self.effort.depth, self.effort.further) + 1):
            # Going on costs at least depth changes; whoever has an answer for less is done.
            active_mask = (pool.price[active, 0] > depth + 0.5) & (query.max_changes[active] >= depth)
            found = np.isfinite(pool.price[active, 0])
            active_mask &= found | (depth - grew[active] <= self.effort.patience)
            active_mask &= (depth <= self.effort.depth) | (~found & (moves[active] >= depth))
            active, beam = active[active_mask], beam[active_mask]
            if not len(active):
                break
            beam, ahead = self._round(query, active, beam, pool, rng)
            grew[active[ahead > best[active] + GROWS]] = depth
            best[active] = np.maximum(best[active], ahead)
        return pool.candidates(self.name)

    def _round(
        self, query: Query, active: Ints, beam: Floats, pool: _Pool, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """One extension of the beams (a, b, d) of the active queries; returns the next beams, and the best lead of each
        query (a,) among the new rows."""
        task, d = self.task, len(self.task.schema)
        width = beam.shape[1]
        owner = np.repeat(active, width)
        rows, parent = self._extend(query, owner, beam.reshape(-1, d), rng)
        at = owner[parent]
        fine = feasible(task, query, at, rows)
        rows, at, parent = rows[fine], at[fine], parent[fine]
        judgement = task.judge(rows)
        target = query.target[at]
        valid = task.valid(judgement, target, query.margin[at])
        pool.add(at[valid], rows[valid])
        ahead = lead(judgement.proba, target)
        # The next beam: half by lead, half by price among the valid (they may still turn plausible).
        spread = edits(task.codec, query, at, rows).sum(axis=1)
        rank = ahead - 0.02 * spread
        rank[valid] = -cost(task, query, at[valid], rows[valid], self.plausibility)
        slot = np.searchsorted(active, at)
        most = np.full(len(active), -np.inf)
        np.maximum.at(most, slot, ahead)
        return _best(rows, slot, rank, valid, len(active), self.effort.beam, beam), most

    def _extend(self, query: Query, owner: Ints, rows: Floats, rng: np.random.Generator) -> tuple[Floats, Ints]:
        """Single edits of beam rows: (new rows, position of the beam row each comes from)."""
        task, codec = self.task, self.task.codec
        n, count = len(rows), self.effort.edits
        neighbours = task.once(Neighbours)
        near = neighbours.nearest(rows, query.target[owner], 16)  # real people near where we are
        patterns = list(by_pattern(task, query, owner))
        weight = np.tile(task.once(Influence).weight, (n, 1))
        for at, follow in patterns:  # who is followed weighs what follows
            weight[at] += (weight[at] * follow.towed) @ (np.abs(follow.response) > 0)
        draws = Draws(query, owner, rng)
        feature = _pick_features(query.movable[owner] * weight, count, draws.uniform(1))
        value = near[np.arange(n)[:, None], draws.integers(16, count), feature]
        anyone = np.empty((n, count))
        for position in np.unique(query.target[owner]):
            mask = query.target[owner] == position
            peers = neighbours.peers(int(position)).rows
            anyone[mask] = peers[Draws(query, owner[mask], rng).integers(len(peers), count), feature[mask]]
        value = np.where(draws.uniform(count) < 0.5, value, anyone)
        out, parents = [], []
        for at, follow in patterns:
            lo, hi = codec.rules.intervals(rows[at], query.low[owner[at]], query.high[owner[at]], follow)
            i, e = np.nonzero(
                np.isfinite(value[at]) & follow.editable[feature[at]] & query.movable[owner[at][:, None], feature[at]]
            )
            j = feature[at][i, e]
            new = rows[at][i].copy()
            wanted = np.clip(value[at][i, e], lo[i, j], np.maximum(lo[i, j], hi[i, j]))
            new[np.arange(len(i)), j] = codec.worthwhile(query.rows[owner[at]][i, j], codec.snap_column(wanted, j), j)
            new = codec.rules.settle(query.rows[owner[at]][i], new, follow, codec.step)
            moved = codec.changed(rows[at][i], new).any(axis=1)
            out.append(new[moved])
            parents.append(at[i[moved]])
        rows_out, parent = np.concatenate(out), np.concatenate(parents)
        order = np.lexsort((*rows_out.T[::-1], parent))
        rows_out, parent = rows_out[order], parent[order]
        same = (parent[1:] == parent[:-1]) & ((rows_out[1:] == rows_out[:-1]) | np.isnan(rows_out[1:])).all(axis=1)
        keep = np.concatenate([[True], ~same]) if len(parent) else np.empty(0, bool)
        return rows_out[keep], parent[keep]


def _pick_features(weight: Floats, count: int, start: Floats) -> Ints:
    """For each row of weights (n, d), `count` features drawn by weight, evenly spaced draws from `start` (n, 1), random
    in [0, 1). Shape (n, count)."""
    heap = weight.cumsum(axis=1)
    points = (np.arange(count) + start) / count * heap[:, -1:]
    picked: Ints = (heap[:, None, :] <= points[:, :, None]).sum(axis=2).clip(0, weight.shape[1] - 1)
    return picked


def _best(rows: Floats, slot: Ints, rank: Floats, valid: Bools, n: int, width: int, previous: Floats) -> Floats:
    """The next beams (n, width, d): the best invalid rows, the best valid ones in the other half."""
    beams = np.repeat(previous[:, :1], width, axis=1).copy()
    for mask, first, last in ((~valid, 0, width - width // 2), (valid, width - width // 2, width)):
        at, score = slot[mask], rank[mask]
        order = np.lexsort((-score, at))
        at, chosen = at[order], rows[mask][order]
        place = np.arange(len(at)) - np.searchsorted(at, at)
        within = place < last - first
        beams[at[within], first + place[within]] = chosen[within]
    return beams


class _Pool:
    """The cheapest valid rows of each query so far."""

    def __init__(self, task: Task, query: Query, keep: int, plausibility: float) -> None:
        self._task, self._query, self._keep, self._plausibility = task, query, keep, plausibility
        self.price = np.full((len(query), keep), np.inf)
        self._rows = np.full((len(query), keep, query.rows.shape[1]), np.nan)

    def add(self, owner: Ints, rows: Floats) -> None:
        """Take in valid, feasible rows; the worst fall out."""
        if not len(owner):
            return
        # Only the rows that could enter at the price without plausibility need their LOF.
        cheap = cost(self._task, self._query, owner, rows, 0.0)
        order = np.lexsort((cheap, owner))
        owner, rows, cheap = owner[order], rows[order], cheap[order]
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        entering = (place < 8 * self._keep) & (cheap < self.price[owner, -1])
        owner, rows = owner[entering], rows[entering]
        price = cost(self._task, self._query, owner, rows, self._plausibility)
        touched = np.unique(owner)
        old = np.isfinite(self.price[touched])
        at, place = np.nonzero(old)
        owner = np.concatenate([touched[at], owner])
        rows = np.concatenate([self._rows[touched[at], place], rows])
        price = np.concatenate([self.price[touched[at], place], price])
        keep = self._distinct(owner, rows, price)
        owner, rows, price = owner[keep], rows[keep], price[keep]
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        within = place < self._keep
        self.price[touched] = np.inf
        self.price[owner[within], place[within]] = price[within]
        self._rows[owner[within], place[within]] = rows[within]

    def _distinct(self, owner: Ints, rows: Floats, price: Floats) -> Ints:
        """Positions in order of query and price, without equal rows and with at most half of a
        query's places for one set of changed features: near copies leave no room for other plans."""
        once = np.unique(np.column_stack([owner, np.where(np.isnan(rows), -np.inf, rows)]), axis=0, return_index=True)[
            1
        ]
        order = once[np.lexsort((price[once], owner[once]))]
        changed = edits(self._task.codec, self._query, owner[order], rows[order])
        kind = np.unique(np.column_stack([owner[order], changed]), axis=0, return_inverse=True)[1].reshape(-1)
        by_kind = np.argsort(kind, kind="stable")
        place = np.empty(len(kind), dtype=np.intp)
        place[by_kind] = np.arange(len(kind)) - np.searchsorted(kind[by_kind], kind[by_kind])
        return order[place < max(1, self._keep // 2)]

    def candidates(self, name: str) -> Candidates:
        """The pool as candidates; a query without one gets a reason."""
        at, place = np.nonzero(np.isfinite(self.price))
        left = np.flatnonzero(~np.isfinite(self.price).any(axis=1))
        nothing = np.full((len(left), self._rows.shape[2]), np.nan)
        reasons = ["no valid and feasible row within the effort"] * len(left)
        found = Candidates.of(at, self._rows[at, place], name)
        return Candidates.concat([found, Candidates.of(left, nothing, name, reasons)])
