"""`cfnow`: find a row of the other class by single steps, then walk it back (de Oliveira et al. 2023)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task, lead
from sensecf.generators.traits import Traits

Strategy = Literal["greedy", "random"]

#: Share of a number's value that one step adds or takes away, and share of the way back of one step back.
FACTOR = 0.1
#: A greedy search whose last three steps gained less than this is stuck.
STUCK = 0.001
#: Steps that a feature stays on the tabu list: a number (greedy), a share of the features (random).
TABU, TABU_SHARE = 5, 0.2
#: Rows that the random strategy draws per round.
DRAWN = 100


class CFNow:
    """CFNOW: a first counterfactual by greedy or random steps, fine-tuned back towards the factual.

    Numbers are seen as shares of their training range, from 0 at the smallest training value. One step
    adds or takes away a tenth of that share (a feature at 0 does not move), or takes another level.

    *Search.* `greedy` takes the single step that raises the target's probability most. Once stuck, it
    puts the features it changes on a tabu list and lengthens its steps by a whole range at each round
    without gain. `random` draws 100 rows with 1, 2, ... steps at once, all from the same row, and
    lengthens the steps when it has drawn with all numbers of steps. Either ends at the first round with
    a valid row; the nearest of the valid rows is taken.

    *Fine-tuning.* The feature that costs least probability per distance, were it taken back, moves a
    tenth of the way back (a level wholly). Where the row thereby leaves the class, the feature goes on
    the tabu list and the search starts again from there, for a row not seen before. Of all valid rows
    seen, the nearest is the answer (sum of the differences in shares of the range, unlike levels 1 apart).

    Locks, ranges, directions, steps and the budget of changes are kept at every step; a step is at least
    one `step` of the schema long, which the original does not know. `filter_rules`: steps that newly
    break a rule of the schema are refused, and a row that breaks one is no answer; without it no rule is
    looked at, as in the original.

    `max_rows`: classifier rows per query at most (a round is not cut short), by default about what the
    original asks for within its own limits; `seconds`: wall-clock limit of one call of `propose`, none by
    default, since where it strikes depends on the machine. What was found until then is proposed. All
    draws come from the `rng` of `propose`; `seed` is not used.

    Source: de Oliveira, Sörensen & Martens, A model-agnostic and data-independent tabu search algorithm to
    generate counterfactuals for tabular, image, and text data, European Journal of Operational Research
    2023. Raises `InputError` for unknown options.
    """

    traits = Traits(takes=("filter_rules", "max_rows", "seconds"))

    def __init__(
        self,
        task: Task,
        seed: int = 0,
        *,
        strategy: Strategy = "greedy",
        filter_rules: bool = False,
        max_rows: int = 10_000,
        seconds: float | None = None,
    ) -> None:
        if strategy not in get_args(Strategy):
            raise InputError(f"strategy {strategy!r} is unknown; use {', '.join(get_args(Strategy))}")
        if max_rows < 1:
            raise InputError(f"max_rows must be at least 1, not {max_rows}")
        self.name = f"cfnow-{strategy}" + ("-filtered" if filter_rules else "")
        self.task = task
        self.strategy, self.filter_rules, self.max_rows, self.seconds = strategy, filter_rules, max_rows, seconds

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """One candidate per query, or the reason why there is none."""
        search = _Search(self, query, rng)
        end = np.inf if self.seconds is None else time.monotonic() + self.seconds
        while search.active.any():
            if time.monotonic() > end:
                search.stop(np.flatnonzero(search.active), f"no valid row within {self.seconds:g} s")
                break
            search.round()
        return Candidates.of(np.arange(len(query)), search.best, self.name, search.reason.tolist())


@dataclass(frozen=True)
class _Moves:
    """Every single step there is: feature, direction (0 for a level), level. Arrays of length m."""

    feature: Ints
    direction: Floats
    level: Floats

    @classmethod
    def of(cls, task: Task) -> _Moves:
        parts = []
        for j, (numeric, levels) in enumerate(zip(task.codec.numeric, task.codec.n_levels, strict=True)):
            parts += [(j, 1.0, 0.0), (j, -1.0, 0.0)] if numeric else [(j, 0.0, float(v)) for v in range(levels)]
        table = np.array(parts)
        # Levels, then all steps up, then all steps down: the first of equals wins, as in the original.
        table = table[np.lexsort((table[:, 0], -table[:, 1], table[:, 1] != 0))]
        return cls(table[:, 0].astype(np.intp), table[:, 1], table[:, 2])


class _Search:
    """One call of `propose`: all queries in lock-step, one call to the classifier per round.

    A query is either searching or `tuning`. Arrays are per query (q,) or per query and feature (q, d).
    `row`, `score`: where it is; `best`, `distance`: the nearest valid row so far; `listed`, `listings`:
    at which listing a feature was last put on the tabu list, and how many there were; `momentum`,
    `gains`, `stuck`, `steps`: the state of the present search; `spent`: classifier rows.
    """

    def __init__(self, owner: CFNow, query: Query, rng: np.random.Generator) -> None:
        task, (n, d) = owner.task, query.rows.shape
        self.task, self.query, self.rng, self.owner = task, query, rng, owner
        self.greedy = owner.strategy == "greedy"
        self.moves = _Moves.of(task)
        spread = task.observed_high - task.observed_low
        self.spread = np.where(task.codec.numeric & (spread > 0), spread, 1.0)
        self.zero = np.nan_to_num(task.observed_low)
        self.first, self.last = (
            f(v / task.codec.step + e) for f, v, e in ((np.ceil, query.low, -1e-9), (np.floor, query.high, 1e-9))
        )
        # One feature at least stays off the list: with all of them on it the original never ends.
        size = TABU if self.greedy else round(TABU_SHARE * d)
        self.tabu_size = np.clip(query.movable.sum(axis=1, keepdims=True) - 1, 0, size)
        self.row = query.rows.copy()
        self.score = (1 + lead(task.judge(query.rows).proba, query.target)) / 2
        self.best, self.distance = np.full((n, d), np.nan), np.full(n, np.inf)
        self.tuning = np.zeros(n, dtype=bool)
        self.listed, self.listings = np.full((n, d), -np.inf), np.zeros(n)
        self.momentum, self.gains, self.stuck = np.zeros(n), np.zeros((n, 3)), np.zeros(n, dtype=bool)
        self.steps = np.ones(n, dtype=np.intp)
        self.sweep = np.clip(query.movable.sum(axis=1) - 1, 1, np.maximum(query.max_changes, 1))
        self.spent = np.ones(n, dtype=np.intp)
        self.active = np.ones(n, dtype=bool)
        self.reason = np.full(n, "", dtype=object)
        self.seen: set[tuple[int, bytes]] = set()
        self.broken = task.codec.rules.violated(query.rows)

    def stop(self, at: Ints, reason: str) -> None:
        """End the queries at these positions; those without a valid row get the reason."""
        self.active[at] = False
        self.reason[at[np.isinf(self.distance[at])]] = reason

    def round(self) -> None:
        """One round of every active query."""
        over = np.flatnonzero(self.active & (self.spent >= self.owner.max_rows))
        self.stop(over, f"no valid row within {self.owner.max_rows} classifier rows")
        searching = np.flatnonzero(self.active & ~self.tuning)
        at, feature, forward = self._forward(searching)
        tuned, back_feature, whole, part = self._back(np.flatnonzero(self.active & self.tuning))
        owner, rows = np.concatenate([at, tuned, tuned]), np.concatenate([forward, whole, part])
        judged = self.task.judge(rows)
        score = (1 + lead(judged.proba, self.query.target[owner])) / 2
        valid = self.task.valid(judged, self.query.target[owner], self.query.margin[owner])
        if self.owner.filter_rules:
            valid &= ~self.task.codec.rules.violated(rows).any(axis=1)
        np.add.at(self.spent, owner, 1)
        m, k = len(at), len(tuned)
        self._tune(tuned, back_feature, part, score[m : m + k], score[m + k :], valid[m + k :])
        self._search(searching, at, feature, forward, score[:m], valid[:m])

    # --- search ---------------------------------------------------------------------------

    def _forward(self, at: Ints) -> tuple[Ints, Ints, Floats]:
        """Rows one round further for the searching queries: (query, feature of a single step, row)."""
        values, open_move = self._values(at)
        single = np.ones(len(at), dtype=bool) if self.greedy else self.steps[at] == 1
        i, m = np.nonzero(open_move & single[:, None])
        rows = self.row[at[i]]
        feature = self.moves.feature[m]
        rows[np.arange(len(i)), feature] = values[i, m]
        owner = at[i]
        if not single.all():
            drawn_owner, drawn = self._draw(at[~single], values[~single], open_move[~single])
            owner, rows = np.concatenate([owner, drawn_owner]), np.concatenate([rows, drawn])
            feature = np.concatenate([feature, np.full(len(drawn), -1)])
        fine = self._allowed(owner, rows) & ~self._known(owner, rows)
        # A query that has no step left can never find one: its tabu list only moves with its steps.
        idle = np.setdiff1d(at if self.greedy else at[single], owner[fine])
        self.stop(idle, "no step is left that the limits allow")
        return owner[fine], feature[fine], rows[fine]

    def _values(self, at: Ints) -> tuple[Floats, Bools]:
        """The value each single step leads to and whether it can be taken, shapes (len(at), moves)."""
        query, step = self.query, self.task.codec.step[self.moves.feature]
        j = self.moves.feature
        now, base = self.row[at][:, j], query.rows[at][:, j]
        reach = (now - self.zero[j]) * FACTOR + np.sign(now - self.zero[j]) * self.momentum[at, None] * self.spread[j]
        wanted = np.where(self.moves.direction == 0, self.moves.level, now + self.moves.direction * reach)
        values = self._on_grid(at, j, wanted)
        # At least one step of the schema, in the direction of the move.
        short = (np.abs(values - now) < step / 2) & (reach != 0) & (self.moves.direction != 0)
        values = np.where(short, self._on_grid(at, j, now + np.sign(wanted - now) * step), values)
        values = np.where(np.abs(values - base) <= step / 2, base, self.task.codec.worthwhile(base, values, j))
        free = query.movable[at] & ~self._tabu(at) & (self.first[at] <= self.last[at])
        return values, free[:, j] & (np.abs(values - now) > 1e-9)

    def _on_grid(self, at: Ints, j: Ints, values: Floats) -> Floats:
        """Values (len(at), len(j)) of features j as multiples of their step inside the queries' ranges."""
        step = self.task.codec.step[j]
        cells = np.clip(np.round(values / step), self.first[at][:, j], self.last[at][:, j])
        return self.task.codec.snap_column(cells * step, j)

    def _draw(self, at: Ints, values: Floats, open_move: Bools) -> tuple[Ints, Floats]:
        """`DRAWN` rows per query with `steps` random steps of different features at once."""
        n, d = len(at), self.row.shape[1]
        # The values that the open moves of each feature lead to, and how many there are.
        choice = np.zeros((n, d, int(np.bincount(self.moves.feature).max())))
        count = np.zeros((n, d), dtype=np.intp)
        for m, j in enumerate(self.moves.feature):
            can = np.flatnonzero(open_move[:, m])
            choice[can, j, count[can, j]] = values[can, m]
            count[can, j] += 1
        # One of them at random for every row and feature, then `steps` features at random.
        pick = (self.rng.random((n, DRAWN, d)) * count[:, None]).astype(np.intp)
        new = choice[np.arange(n)[:, None, None], np.arange(d), pick]
        rank = np.where(count[:, None] > 0, self.rng.random((n, DRAWN, d)), 2.0).argsort(axis=2).argsort(axis=2)
        taken = (rank < self.steps[at][:, None, None]) & (count[:, None] > 0)
        rows = np.where(taken, new, self.row[at][:, None]).reshape(-1, d)
        owner = np.repeat(at, DRAWN)
        some = taken.any(axis=2).reshape(-1)
        owner, rows = owner[some], rows[some]
        once = np.unique(np.column_stack([owner, np.nan_to_num(rows)]), axis=0, return_index=True)[1]
        return owner[once], rows[once]

    def _search(self, searching: Ints, at: Ints, feature: Ints, rows: Floats, score: Floats, valid: Bools) -> None:
        """Move the searching queries on, or to the fine-tuning where a round brought a valid row."""
        if self.greedy:
            self._climb(at, feature, rows, score, valid)
        else:
            self.steps[searching] += 1
            swept = searching[self.steps[searching] > self.sweep[searching]]
            self.steps[swept] = 1
            self.momentum[swept] += 1
        found = np.flatnonzero(valid)
        new = np.isinf(self.distance)
        here = found[self._keep(at[found], rows[found])]
        owner = at[here]
        self.row[owner], self.score[owner], self.tuning[owner] = rows[here], score[here], True
        self.listed[owner[new[owner]]] = -np.inf  # the fine-tuning begins with an empty tabu list

    def _climb(self, at: Ints, feature: Ints, rows: Floats, score: Floats, valid: Bools) -> None:
        """Take the best single step of each greedy search."""
        going, best = np.unique(at), _first(at, -score)
        gain = score[best] - self.score[going]
        self.row[going], self.score[going] = rows[best], score[best]
        self.gains[going] = np.column_stack([self.gains[going, 1:], gain])
        flat = self.gains[going].sum(axis=1) < STUCK
        self.stuck[going] |= flat
        stuck = self.stuck[going]
        self._list(going[stuck], feature[best][stuck])
        self.momentum[going] = np.where(stuck & flat, self.momentum[going] + 1, 0.0)
        fell = going[(gain < 0) & ~stuck & ~np.isin(going, at[valid])]
        self.stop(fell, "the target's probability fell before a valid row was found")

    # --- fine-tuning ----------------------------------------------------------------------

    def _back(self, at: Ints) -> tuple[Ints, Ints, Floats, Floats]:
        """(query, feature, row with the feature back at the factual, row with it a step on the way)."""
        codec = self.task.codec
        now, base = self.row[at], self.query.rows[at]
        i, j = np.nonzero(codec.changed(base, now) & ~self._tabu(at))
        whole, part = now[i], now[i]
        index = np.arange(len(i))
        whole[index, j] = base[i, j]
        way = base[i, j] - now[i, j]
        stride = np.where(codec.numeric[j], np.maximum(FACTOR * np.abs(way), codec.step[j]), np.abs(way))
        value = codec.snap_column(now[i, j] + np.sign(way) * stride, j)
        least = np.maximum(codec.step[j] / 2, codec.least[j] - 1e-9)
        arrived = (np.abs(value - base[i, j]) <= least) | (np.sign(base[i, j] - value) != np.sign(way))
        part[index, j] = np.where(arrived, base[i, j], value)
        fine = self._allowed(at[i], part) & ~self._known(at[i], whole)
        i, j, whole, part = i[fine], j[fine], whole[fine], part[fine]
        self.stop(np.setdiff1d(at, at[i]), "")
        return at[i], j, whole, part

    def _tune(self, at: Ints, feature: Ints, part: Floats, whole: Floats, score: Floats, valid: Bools) -> None:
        """Take the cheapest step back; where that leaves the class, list the feature and search again.

        `whole` is the score with the feature wholly back, `score` that of the rows `part`.
        """
        going = np.unique(at)
        if not len(going):
            return
        loss = self.score[at] - whole
        apart = self._apart(at, self.row[at])[np.arange(len(at)), feature]
        price = np.where(loss >= 0, loss / np.where(apart > 0, apart, 1.0), loss * apart)
        best = _first(at, price)
        self._keep(at[valid], part[valid])
        self.row[going], self.score[going] = part[best], score[best]
        lost = ~valid[best]
        self._list(going[lost], feature[best][lost])
        again = going[lost]
        self.tuning[again], self.stuck[again] = False, False
        self.momentum[again], self.gains[again], self.steps[again] = 0.0, 0.0, 1

    # --- shared ---------------------------------------------------------------------------

    def _apart(self, at: Ints, rows: Floats) -> Floats:
        """How far rows (m, d) are from their factuals, per feature, in shares of the training range."""
        base = self.query.rows[at]
        apart = np.where(self.task.codec.numeric, np.abs(rows - base) / self.spread, rows != base)
        return np.where(np.isnan(base), 0.0, apart)

    def _keep(self, at: Ints, rows: Floats) -> Ints:
        """Remember valid rows; positions of the nearest one of each query among them."""
        self.seen.update(zip(at.tolist(), map(bytes, rows), strict=True))
        distance = self._apart(at, rows).sum(axis=1)
        nearest = _first(at, distance)
        closer = nearest[distance[nearest] < self.distance[at[nearest]]]
        self.best[at[closer]], self.distance[at[closer]] = rows[closer], distance[closer]
        return nearest

    def _known(self, at: Ints, rows: Floats) -> Bools:
        """Whether each row is a valid one seen before, shape (m,)."""
        seen = self.seen
        return np.array([key in seen for key in zip(at.tolist(), map(bytes, rows), strict=True)], dtype=bool)

    def _allowed(self, at: Ints, rows: Floats) -> Bools:
        """Whether each row keeps the budget and, on request, the rules that its factual keeps."""
        codec = self.task.codec
        fine = codec.changed(self.query.rows[at], rows).sum(axis=1) <= self.query.max_changes[at]
        if self.owner.filter_rules:
            fine &= ~(codec.rules.violated(rows) & ~self.broken[at]).any(axis=1)
        return np.asarray(fine)

    def _tabu(self, at: Ints) -> Bools:
        return np.asarray(self.listings[at, None] - self.listed[at] < self.tabu_size[at])

    def _list(self, at: Ints, feature: Ints) -> None:
        """Put one feature of each query on its tabu list; the oldest falls out."""
        self.listings[at] += 1
        self.listed[at, feature] = self.listings[at]


def _first(at: Ints, key: Floats) -> Ints:
    """For each value of `at`, in ascending order, the position of its smallest key (the first of equals)."""
    order = np.lexsort((key, at))
    return order[np.unique(at[order], return_index=True)[1]]
