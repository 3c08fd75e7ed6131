"""One refinement for library, page and compare: verify, polish the cheapest, verify again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.distances import Scale
from sensecf.core.polish import polish
from sensecf.core.query import CONSEQUENCES, Query
from sensecf.core.rules import Bools
from sensecf.core.select import select
from sensecf.core.task import Ints, Task
from sensecf.core.verify import Verdicts, edits, verify
from sensecf.pipeline.consequences import Mechanisms

#: Candidates of a query that are polished for each answer asked for, the cheapest ones.
POLISHED = 3


@dataclass(frozen=True)
class Judged:
    """Candidates, and the verdict on each."""

    found: Candidates
    verdict: Verdicts

    def __len__(self) -> int:
        return len(self.found)

    def take(self, at: np.ndarray) -> Judged:
        """Those at the given positions (or under a mask)."""
        return Judged(self.found.take(at), Verdicts(**{name: each[at] for name, each in vars(self.verdict).items()}))

    @classmethod
    def concat(cls, parts: Sequence[Judged]) -> Judged:
        """All of the parts, in order."""
        names = vars(parts[0].verdict)
        verdict = {name: np.concatenate([getattr(part.verdict, name) for part in parts]) for name in names}
        return cls(Candidates.concat([part.found for part in parts]), Verdicts(**verdict))


def judge(task: Task, query: Query, found: Candidates, final: bool = True) -> Judged:
    """Candidates with their verdicts; `final`: see `verify`."""
    return Judged(found, verify(task, query, found, final))


def standing(task: Task, query: Query) -> Judged:
    """Factuals that are in the target class already, and break no rule: nothing need change."""
    found = judge(task, query, Candidates.of(np.arange(len(query)), query.rows, "none"), final=not task.takes_codes)
    there = found.take(found.verdict.good)
    # Most are not there, and the last word costs ten times what the first does.
    there = judge(task, query, there.found) if task.takes_codes and len(there) else there
    return there.take(there.verdict.good)


def refine(task: Task, query: Query, judged: Judged, n: int, plausibility: float) -> Judged:
    """What is good of the cheapest candidates of each query, polished for `n` answers; equal rows once.

    The first answer is chosen among the cheapest few, whatever `n` is: whoever asks for one, for three, or for a
    menu is told the same first. Further answers come from the candidates after them, polished by themselves.
    Each query's first answer stands before its other rows. The classifier's own `predict` has the last word, on what
    the polish made or else on what was proposed; rows that what follows from them would undo are left out, and where
    none of the cheapest few is left there are no further ones.
    """
    good = judged.take(judged.verdict.good)
    order = np.lexsort((good.verdict.price(plausibility), good.found.query))
    place = np.arange(len(order)) - np.searchsorted(good.found.query[order], good.found.query[order])
    first = _polished(task, query, good.take(order[place < POLISHED]), plausibility)
    first = first.take(withstands(task, query, first))
    more = (place >= POLISHED) & (place < POLISHED * n) & np.isin(good.found.query[order], first.found.query)
    further = good.take(order[more])
    done = first
    if len(further):
        further = _polished(task, query, further, plausibility)
        done = Judged.concat([first, further.take(withstands(task, query, further))])
    stage = np.arange(len(done)) >= len(first)
    done = done.take(np.lexsort((done.verdict.price(plausibility), stage, done.found.query)))
    key = np.column_stack([done.found.query, np.where(np.isnan(done.found.rows), -np.inf, done.found.rows)])
    return done.take(np.sort(np.unique(key, axis=0, return_index=True)[1]))


def _polished(task: Task, query: Query, best: Judged, plausibility: float) -> Judged:
    """Rows polished together, where that leaves them good; the others as they were, where they are still good."""
    rows = polish(task, query, best.found.query, best.found.rows, plausibility, price=best.verdict.price(plausibility))
    polished = judge(task, query, replace(best.found, rows=rows))
    still = polished.verdict.good
    before = judge(task, query, best.found.take(~still))
    return Judged.concat([polished.take(still), before.take(before.verdict.good)])


def ranked(task: Task, query: Query, good: Judged, n: int, plausibility: float) -> tuple[Judged, Ints]:
    """The answers of each query, at most `n`, and their ranks from 1; see `select`.

    The row of a query that stands before its others (see `refine`) is its first answer.
    """
    found = good.found
    changed = edits(task.codec, query, found.query, found.rows)
    place = task.once(Scale).place(found.rows)
    _, first, same = np.unique(found.query, return_index=True, return_inverse=True)
    price = good.verdict.price(plausibility)
    # A further one may have become cheaper: at the price of the first it comes after it.
    way = np.sign(np.nan_to_num(found.rows - query.rows[found.query])) * (changed & task.codec.numeric)
    at, rank = select(found.query, np.maximum(price, price[first][same]), changed, place, n, way)
    return good.take(at), rank


def withstands(task: Task, query: Query, good: Judged) -> Bools:
    """Which answers stay valid with what follows from them, as far as their queries ask, shape (m,).

    Nothing follows without accepted causes. The rows themselves, edits alone, are valid already.
    """
    owner = good.found.query
    asked = query.consequences[owner]
    fine = np.ones(len(good), dtype=bool)
    at = np.flatnonzero(asked > 0)
    if len(at) and task.once(Mechanisms):
        _, expected, cautious = task.once(Mechanisms).verdicts(query, owner[at], good.found.rows[at])
        fine[at] = np.where(asked[at] == CONSEQUENCES.index("cautious"), cautious, expected)
    return fine
