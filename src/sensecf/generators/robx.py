"""`robx`: walk a counterfactual towards stable training rows until it is stable itself (Dutta et al. 2022)."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.query import Query, settle
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task
from sensecf.core.verify import feasible
from sensecf.generators.nice import Nice
from sensecf.generators.search import Search
from sensecf.generators.traits import Traits

#: Whose answers are walked on from.
Base = Literal["nice", "search"]

#: Rows that the classifier is asked about in one call.
ASKED = 100_000
#: Share of the way left that one step goes, and steps before the stable row itself is tried.
STRIDE, STEPS = 0.1, 25


def base_of(base: Base, task: Task, seed: int, filter_rules: bool) -> Nice | Search:
    """The generator whose answers are made to hold. Raises `InputError` for an unknown name."""
    if base not in get_args(Base):
        raise InputError(f"base {base!r} is unknown; use {' or '.join(get_args(Base))}")
    return Nice(task, seed, filter_rules=filter_rules) if base == "nice" else Search(task, seed)


class RobX:
    """RobX: make a counterfactual robust by walking it towards training rows where the classifier is steady.

    The counterfactual stability of a row is the mean less the standard deviation of the target's probability over
    `draws` Gaussian neighbours, `noise` of each feature's training range wide. A training row of the target class
    that the classifier puts there too, and whose stability is more than `tau`, is stable. The answer of `base`
    stays where it is stable already; else it walks towards its `neighbours` nearest stable rows (L1 in shares of
    the range) at once, a tenth of the way left per step, and ends at the first step at which a walk is stable.

    Adapted: levels and blanks stay as they are among the neighbours of a row, and a level is taken over once its
    walk has gone half the way. A stable row lends its values only where the query lets the feature move, on the
    step's grid within the range; features that follow by an equality of the schema follow. What breaks another rule
    is not noticed, unless `filter_rules`. A walk of more changes than the budget is none. At most
    `draws` x (training rows of the class + 26 x `neighbours` x queries) classifier rows beside those of `base`.

    `base`: "nice" (NICE by sparsity) or "search" (the beam search of this package, polished by nobody).
    The defaults of `tau`, `noise`, `draws` and `neighbours` are those of published code for min-max scaled tables,
    which sets `tau` by table; higher is steadier and farther. It states no probability of holding.

    Source: Dutta, Long, Mishra, Tilli & Magazzeni, Robust counterfactual explanations for tree-based ensembles,
    ICML 2022. Raises `InputError` for options that it cannot have.
    """

    traits = Traits(takes=("tau", "filter_rules"))

    def __init__(
        self,
        task: Task,
        seed: int = 0,
        *,
        base: Base = "nice",
        tau: float = 0.7,
        noise: float = 0.1,
        draws: int = 100,
        neighbours: int = 3,
        filter_rules: bool = False,
    ) -> None:
        if not 0 < tau < 1:
            raise InputError(f"tau must lie between 0 and 1, not {tau}")
        if not noise > 0 or draws < 2 or neighbours < 1:
            raise InputError("noise must be positive, draws at least 2 and neighbours at least 1")
        self.name = "robx" + ("" if base == "nice" else f"-{base}") + ("-filtered" if filter_rules else "")
        self.task, self.tau, self.noise, self.draws, self.neighbours = task, tau, noise, draws, neighbours
        self._filter_rules = filter_rules
        self.base = base_of(base, task, seed, filter_rules)
        spread = task.observed_high - task.observed_low
        self._spread = np.where(task.codec.numeric & np.isfinite(spread) & (spread > 0), spread, 1.0)
        rng = np.random.default_rng([seed, 3])
        # One cloud for all rows: two rows then differ in stability by where they are, not by luck.
        self._cloud = rng.standard_normal((draws, len(task.schema))) * noise * self._spread * task.codec.numeric
        self._stable: dict[int, Floats] = {}

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """One candidate per query, or the reason why there is none."""
        started = first_answers(self.task, query, self.base, rng)
        rows, reason = started.rows.copy(), started.reason.copy()
        at = np.flatnonzero(reason == "")
        steady = self.stability(rows[at], query.target[at]) > self.tau
        at = at[~steady]
        walked, arrived = self._walk(query.take(at), rows[at])
        rows[at] = np.where(arrived[:, None], walked, np.nan)
        reason[at[~arrived]] = f"no walk towards a stable row reaches a stability of {self.tau:g} within the limits"
        return Candidates.of(np.arange(len(query)), rows, self.name, reason.tolist())

    def stability(self, rows: Floats, target: Ints) -> Floats:
        """Mean less standard deviation of the target's probability around each row, shape (n,); higher is steadier."""
        out = np.empty(len(rows))
        size = max(1, ASKED // self.draws)
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            around = (rows[part][:, None] + self._cloud).reshape(-1, rows.shape[1])
            chance = self.task.judge(around).proba[np.arange(len(around)), np.repeat(target[part], self.draws)]
            chance = chance.reshape(-1, self.draws)
            out[part] = chance.mean(axis=1) - chance.std(axis=1)
        return out

    def _stable_rows(self, target: int) -> Floats:
        """The stable training rows of a class, shape (m, d)."""
        if target not in self._stable:
            task = self.task
            own = task.rows[(task.y == target) & (task.judge(task.rows).predicted == target)]
            steady = self.stability(own, np.full(len(own), target)) > self.tau
            self._stable[target] = own[steady]
        return self._stable[target]

    def _goals(self, query: Query, rows: Floats) -> tuple[Ints, Floats]:
        """For each query its nearest stable rows, with the factual's values where it may not move: (owner, goal)."""
        codec = self.task.codec
        owners, goals = [np.empty(0, np.intp)], [np.empty((0, rows.shape[1]))]
        for i in range(len(query)):
            stable = self._stable_rows(int(query.target[i]))
            base, low, high = query.rows[i], query.low[i], query.high[i]
            apart = np.where(codec.numeric, np.abs(stable - rows[i]) / self._spread, stable != rows[i])
            near = np.argsort(np.nan_to_num(apart, nan=1.0).sum(axis=1), kind="stable")[: self.neighbours]
            values = codec.worthwhile(base, codec.snap(stable[near], low, high))
            with np.errstate(invalid="ignore"):
                taken = query.movable[i] & (values >= low - 1e-9) & (values <= high + 1e-9)
            taken &= ~codec.unmeasured(values)
            owners.append(np.full(len(near), i))
            goals.append(np.where(taken, values, base))
        return np.concatenate(owners), np.concatenate(goals)

    def _walk(self, query: Query, rows: Floats) -> tuple[Floats, Bools]:
        """The rows at which the walks from `rows` end (q, d), and whether they are stable answers."""
        task, codec, n = self.task, self.task.codec, len(query)
        ends, arrived = rows.copy(), np.zeros(n, dtype=bool)
        owner, goals = self._goals(query, rows)
        for step in range(1, STEPS + 2):
            going = np.flatnonzero(~arrived[owner])
            if not len(going):
                break
            way = 1.0 if step > STEPS else 1 - (1 - STRIDE) ** step
            who, start, goal = owner[going], rows[owner[going]], goals[going]
            walked = np.where(codec.numeric, start + way * (goal - start), goal if way >= 0.5 else start)
            moved = np.where(codec.changed(start, goal), walked, start)
            placed = on_grid(task, query, who, moved)
            fine = within(task, query, who, placed, self._filter_rules)
            who, placed = who[fine], placed[fine]
            valid = task.valid(task.judge(placed), query.target[who], query.margin[who])
            who, placed = who[valid], placed[valid]
            score = self.stability(placed, query.target[who])
            order = np.lexsort((-score, who))
            best = order[np.unique(who[order], return_index=True)[1]]
            best = best[score[best] > self.tau]
            ends[who[best]], arrived[who[best]] = placed[best], True
        return ends, arrived


def first_answers(task: Task, query: Query, base: Any, rng: np.random.Generator) -> Candidates:
    """The first candidate of another generator for each query, in the order of the queries."""
    found = base.propose(query, rng)
    order = np.argsort(found.query, kind="stable")
    return Candidates.concat([found.take(order[np.unique(found.query[order], return_index=True)[1]])])


def within(task: Task, query: Query, owner: Ints, rows: Floats, rules: bool) -> Bools:
    """Whether each row keeps the locks, ranges and budget of the query that it answers, and with `rules` the rules."""
    if rules:
        return feasible(task, query, owner, rows)
    changed = task.codec.changed(query.rows[owner], rows)
    with np.errstate(invalid="ignore"):
        off = (rows < query.low[owner] - 1e-9) | (rows > query.high[owner] + 1e-9) | ~query.movable[owner]
    fine: Bools = ~(changed & off).any(axis=1) & (changed.sum(axis=1) <= query.max_changes[owner])
    return fine


def on_grid(task: Task, query: Query, owner: Ints, rows: Floats) -> Floats:
    """Rows that answer the queries `owner` on the grid of steps, within the ranges, where the query lets them move.

    An edit that would be smaller than is worthwhile is made as large; what a range has no room for stays.
    """
    codec = task.codec
    base, low, high = query.rows[owner], query.low[owner], query.high[owner]
    values = codec.worthwhile(base, codec.snap(rows, low, high))
    with np.errstate(invalid="ignore"):
        taken = query.movable[owner] & codec.changed(base, rows) & (values >= low - 1e-9) & (values <= high + 1e-9)
    taken &= ~codec.unmeasured(values) & ~np.isnan(values)
    return settle(task, query, owner, np.where(taken, values, base))
