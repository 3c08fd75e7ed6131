"""Selection: which of the good candidates of a query are its answers."""

from __future__ import annotations

import numpy as np

from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints

#: What a further answer pays, in changed features, for changing the same features as one before it.
SAME_FEATURES = 3.0
#: ... and for each feature that it shares with one before it, at most.
SHARED = 1.0
#: An answer nearer than this to one before it, in units of MAD-L1, is that answer again.
COPY = 0.25


def select(
    owner: Ints, price: Floats, changed: Bools, place: Floats, n: int, way: Floats | None = None
) -> tuple[Ints, Ints]:
    """Positions of the answers and their ranks (from 1), ordered by query and rank.

    The first answer of a query is its cheapest candidate; each further one is the cheapest after a
    surcharge for changing what an earlier answer changes, so that the plans differ; near copies of an
    earlier answer are left out, also where that leaves fewer than `n`.
    `owner`, `price` (m,), `changed` (m, d) describe good candidates only; `place` (m, d): where they lie, in
    MADs (`Scale.place`). `way` (m, d): which way each edit goes (-1, 1; 0 for none): an answer that contradicts one
    before it, fewer steps where that asks for more, is left out too.
    """
    chosen, ranks = [], []
    surcharge = np.zeros(len(owner))
    free = np.ones(len(owner), dtype=bool)
    for rank in range(1, n + 1):
        open_rows = np.flatnonzero(free)
        order = open_rows[np.lexsort(((price + surcharge)[open_rows], owner[open_rows]))]
        queries, first = np.unique(owner[order], return_index=True)
        best = order[first]
        if not len(best):
            break
        chosen.append(best)
        ranks.append(np.full(len(best), rank))
        free[best] = False
        if rank == n:
            break
        taken = np.full(int(owner.max()) + 1, -1)
        taken[queries] = best
        mine = taken[owner]
        known = mine >= 0
        free &= ~known | (np.abs(place - place[mine]).sum(axis=1) >= COPY)
        if way is not None:
            free &= ~known | ~(way * way[mine] < 0).any(axis=1)
        shared = (changed & changed[mine]).sum(axis=1) / np.maximum(changed.sum(axis=1), 1)
        same = (changed == changed[mine]).all(axis=1)
        surcharge += np.where(known, SHARED * shared + SAME_FEATURES * same, 0.0)
    if not chosen:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    at, rank_of = np.concatenate(chosen), np.concatenate(ranks)
    order = np.lexsort((rank_of, owner[at]))
    return at[order], rank_of[order]
