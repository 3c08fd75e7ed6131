"""Which days each programme turns: every row settled, held against all limits and rules, judged, and put to jurors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task
from sensecf.core.verify import cost, feasible
from sensecf.pipeline.programme.asks import ROWS, Programme, carried

Vote = Callable[[Floats], np.ndarray]

#: Jurors are asked about a row until it is less likely than this to hold.
HOPELESS = 0.1


@dataclass(frozen=True)
class Reach:
    """What becomes of days (n) under programmes (c), shape (n, c) each.

    `valid`: the classifier puts the day in the target class with the query's margin; `feasible`: no limit or rule is
    broken and something is done; `turned`: both, and enough jurors agree; `sure`: how likely it is that a share `hold`
    of all refits does, 0 where it is not turned by the classifier; `probability` of the target; `effort`: edits and
    half of the MAD-L1 distance, as `verify.cost` without a price of likeness.
    """

    valid: Bools
    feasible: Bools
    turned: Bools
    sure: Floats
    probability: Floats
    effort: Floats


def reach(
    task: Task, query: Query, programmes: Sequence[Programme], jurors: Sequence[Vote] = (), hold: float = 0.0
) -> Reach:
    """What becomes of every day of a query under every programme; `jurors` of whom a share `hold` is to agree."""
    n, parts = len(query), []
    each = max(1, ROWS // max(n, 1))
    for start in range(0, len(programmes), each):
        some = programmes[start : start + each]
        rows, edited = carried(task, query, some)
        flat, owner = rows.reshape(-1, rows.shape[2]), np.tile(np.arange(n), len(some))
        fine = feasible(task, query, owner, flat) & edited.any(axis=2).reshape(-1)
        judged = task.judge(flat)
        good = task.valid(judged, query.target[owner], query.margin[owner])
        both = np.flatnonzero(good & fine)
        sure, held = np.zeros(len(flat)), np.zeros(len(flat), dtype=bool)
        sure[both], held[both] = agreed(jurors, flat[both], query.target[owner[both]], hold)
        chance = judged.proba[np.arange(len(flat)), query.target[owner]]
        asked = cost(task, query, owner, flat, 0.0)
        parts.append([values.reshape(len(some), n).T for values in (good, fine, held, sure, chance, asked)])
    if not parts:
        none, nothing = np.zeros((n, 0), dtype=bool), np.zeros((n, 0))
        return Reach(none, none, none, nothing, nothing, nothing)
    return Reach(*(np.concatenate(columns, axis=1) for columns in zip(*parts, strict=True)))


def agreed(jurors: Sequence[Vote], rows: Floats, target: Ints, hold: float) -> tuple[Floats, Bools]:
    """How likely it is that a share `hold` of all refits puts each row (m, d) in its target class, and whether such a
    share of these jurors does, shape (m,) each.

    The likelihood is that of a share of which so many of so many were seen, all shares alike before. Rows that have
    become unlikely are asked about no further.
    """
    count = len(jurors)
    if not count or hold <= 0:
        return np.ones(len(rows)), np.ones(len(rows), dtype=bool)
    against = np.arange(count + 1)
    likely = beta.sf(hold, count - against + 1, against + 1)
    allowed = int(max(count - np.ceil(hold * count - 1e-9), (against[likely >= HOPELESS]).max(initial=0)))
    said, open_rows = np.zeros(len(rows), dtype=np.intp), np.arange(len(rows))
    for juror in jurors:
        if not len(open_rows):
            break
        said[open_rows] += juror(rows[open_rows]) != target[open_rows]
        open_rows = open_rows[said[open_rows] <= allowed]
    return np.where(said <= allowed, likely[said], 0.0), count - said >= hold * count - 1e-9


def share_of(jurors: Sequence[Vote], rows: Floats, target: Ints) -> Floats:
    """The share of jurors that puts each row (m, d) in its target class, shape (m,); NaN without jurors."""
    if not jurors or not len(rows):
        return np.full(len(rows), np.nan)
    share: Floats = np.mean([juror(rows) == target for juror in jurors], axis=0)
    return share
