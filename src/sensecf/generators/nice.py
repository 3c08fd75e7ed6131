"""`nice`: from the nearest unlike neighbour, one feature at a time (Brughmans et al. 2023)."""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.query import Query, in_tow
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task
from sensecf.generators.traits import Traits

Optimiser = Literal["sparsity", "proximity", "plausibility"]

#: Neighbours tried per query, the nearest first, in calls of these many each.
TRIED = (1, 3, 12, 48)
#: Distances that are held at once, to bound the memory.
BLOCK = 4_000_000
#: Added to a difference of distances before it divides, as in the authors' package.
EPS = 1e-11


class Nice:
    """NICE: walk from the factual to its nearest unlike neighbour and stop as soon as the class flips.

    The neighbour is the nearest training row of the target class that the classifier puts there too.
    Step by step, the feature whose value earns the highest reward is taken over from it:

    - `sparsity`: the gain in the target's probability;
    - `proximity`: that gain per added distance to the factual;
    - `plausibility`: that gain times the fall in the reconstruction error of an autoencoder. The
      product of two losses is a gain too; that is the published definition.

    The autoencoder is a multi-layer perceptron of scikit-learn with a bottleneck, fitted on the
    training rows (min-max scaled, levels as 0/1 columns); the authors leave it to the user.

    `distance`: "sum" of the differences in shares of the training range, unlike levels and blanks 1 apart:
    what the authors' package computes under the name of HEOM, so that both give the same rows; or "heom"
    as Wilson & Martinez (1997) define it, with squares and a root, which leads to other neighbours and
    makes every step after the first cheaper (measured: more changes, see `bench/peers`).
    `filter_rules`: put the schema's rules in front of it. Steps that keep them go before steps that
    break them, the walk does not stop at a row that breaks one, and the neighbour's values must keep
    them. Without it no rule is looked at, as in the original.

    Locks, ranges, directions and steps are kept: values are taken over only where the query allows,
    clipped to its range. Where the nearest neighbour no longer suffices, the next are tried. An answer
    over the budget of changes becomes an abstention. At most 65 + d (d + 1) / 2 classifier rows per
    query of d features. Draws nothing at random once built; `seed` fixes the autoencoder.

    Source: Brughmans, Leyman & Martens, NICE: an algorithm for nearest instance counterfactual
    explanations, Data Mining and Knowledge Discovery 2023. Raises `InputError` for unknown options.
    """

    traits = Traits(takes=("distance", "filter_rules"))

    def __init__(
        self,
        task: Task,
        seed: int = 0,
        *,
        optimiser: Optimiser = "sparsity",
        distance: Literal["sum", "heom"] = "sum",
        filter_rules: bool = False,
    ) -> None:
        if optimiser not in get_args(Optimiser):
            raise InputError(f"optimiser {optimiser!r} is unknown; use {', '.join(get_args(Optimiser))}")
        if distance not in ("sum", "heom"):
            raise InputError(f"distance {distance!r} is unknown; use sum or heom")
        self.name = f"nice-{optimiser}" + ("-filtered" if filter_rules else "")
        self.task = task
        self._optimiser, self._filter_rules, self._root = optimiser, filter_rules, distance == "heom"
        spread = task.observed_high - task.observed_low
        self._spread = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
        self._justified = np.asarray(task.judge(task.rows, final=True).predicted == task.y)
        self._autoencoder = Autoencoder(task, seed) if optimiser == "plausibility" else None

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """One candidate per query, or the reason why there is none."""
        reason = np.full(len(query), "", dtype=object)
        rows = np.full(query.rows.shape, np.nan)
        goals, found = self._goals(query)
        reason[~found] = "no training row of the target class, with its values where they may change, is valid" + (
            " and keeps the rules" if self._filter_rules else ""
        )
        at = np.flatnonzero(found)
        walked, arrived = self._walk(query.take(at), goals[at])
        short = at[~arrived]
        reason[short] = [f"the way to the neighbour needs more than {k} changes" for k in query.max_changes[short]]
        rows[at[arrived]] = walked[arrived]
        return Candidates.of(np.arange(len(query)), rows, self.name, reason.tolist())

    def _fine(self, rows: Floats) -> Bools:
        """Whether each row may be an answer as far as the rules go."""
        if not self._filter_rules:
            return np.ones(len(rows), dtype=bool)
        return ~np.asarray(self.task.codec.rules.violated(rows).any(axis=1))

    def _goals(self, query: Query) -> tuple[Floats, Bools]:
        """The factual with the values of the nearest neighbour that makes it valid (q, d), and whether there is one."""
        task, codec = self.task, self.task.codec
        goals, found = query.rows.copy(), np.zeros(len(query), dtype=bool)
        for target in np.unique(query.target).tolist():
            unlike = task.rows[self._justified & (task.y == target)]
            asked = np.flatnonzero(query.target == target)
            order = self._nearest(query.rows[asked], unlike, min(sum(TRIED), len(unlike)))
            begin = 0
            for count in TRIED:
                left = np.flatnonzero(~found[asked])
                near = unlike[order[left, begin : begin + count]]
                begin += count
                if not near.size:
                    break
                owner = np.repeat(asked[left], near.shape[1])
                base, low, high = query.rows[owner], query.low[owner], query.high[owner]
                values = codec.worthwhile(base, codec.snap(near.reshape(-1, near.shape[2]), low, high))
                # A range without a multiple of the step in it gives a value outside.
                inside = (values >= low - 1e-9) & (values <= high + 1e-9)
                taken = query.movable[owner] & inside & codec.changed(base, values)
                taken &= ~codec.unmeasured(values)
                rows = np.where(taken, values, base)
                good = task.valid(task.judge(rows), query.target[owner], query.margin[owner])
                good &= self._fine(rows)
                hit, first = np.unique(owner[good], return_index=True)
                goals[hit], found[hit] = rows[good][first], True
        return goals, found

    def _nearest(self, base: Floats, rows: Floats, count: int) -> Ints:
        """Positions of the `count` of `rows` nearest to each of `base`, nearest first, shape (len(base), count)."""
        found = np.empty((len(base), count), dtype=np.intp)
        block = max(1, BLOCK // max(len(rows), 1))
        for begin in range(0, len(base) if count else 0, block):
            part = base[begin : begin + block]
            total = np.zeros((len(part), len(rows)))
            for j, numeric in enumerate(self.task.codec.numeric):
                total += self._apart(part[:, None, j], rows[None, :, j], numeric, self._spread[j])
            near = np.sort(total.argpartition(count - 1, axis=1)[:, :count], axis=1)
            order = np.take_along_axis(total, near, axis=1).argsort(axis=1, kind="stable")
            found[begin : begin + block] = np.take_along_axis(near, order, axis=1)
        return found

    def _distance(self, base: Floats, rows: Floats) -> Floats:
        """Distance of each row to the one in the same place of `base`, shape (n,)."""
        total: Floats = self._apart(base, rows, self.task.codec.numeric, self._spread).sum(axis=1)
        return np.sqrt(total) if self._root else total

    def _apart(self, a: Floats, b: Floats, numeric: np.ndarray | np.bool_, spread: Floats) -> Floats:
        """What one feature adds to a distance; a blank is 1 away from everything, blanks too, as in HEOM."""
        apart = np.where(numeric, np.abs(a - b) / spread, a != b)
        apart = np.where(np.isnan(a) | np.isnan(b), 1.0, apart)
        return apart**2 if self._root else apart

    def _walk(self, query: Query, goals: Floats) -> tuple[Floats, Bools]:
        """The rows at which the walk from factual to goal ends (q, d), and whether they are answers."""
        task = self.task
        rows, n = query.rows.copy(), len(query)
        left = task.codec.changed(rows, goals)
        arrived: Bools = ~np.asarray(left.any(axis=1))
        chance = task.judge(rows).proba[np.arange(n), query.target]
        for step in range(left.shape[1]):
            active = np.flatnonzero(~arrived & left.any(axis=1) & (query.max_changes > step))
            if not len(active):
                break
            place, feature = np.nonzero(left[active])
            at = active[place]
            trials = rows[at]
            trials[np.arange(len(at)), feature] = goals[at, feature]
            if self._filter_rules:  # with the rules in front, what follows a step moves along
                trials = in_tow(task, query, at, trials)
            judged = task.judge(trials)
            gain = judged.proba[np.arange(len(at)), query.target[at]] - chance[at]
            fine = self._fine(trials)
            # Best first within each query; equal rewards in the order of the features.
            order = np.lexsort((-self._reward(query.rows[at], rows[at], trials, gain), ~fine, at))
            best = order[np.searchsorted(at[order], active)]
            rows[active] = trials[best]
            left[active, feature[best]] = False
            chance[active] += gain[best]
            valid = task.valid(judged, query.target[at], query.margin[at])
            arrived[active] = (valid & fine)[best]
        return rows, arrived

    def _reward(self, base: Floats, before: Floats, after: Floats, gain: Floats) -> Floats:
        """Reward of each step, shape (n,); higher is better."""
        if self._optimiser == "proximity":
            return gain / (self._distance(base, after) - self._distance(base, before) + EPS)
        if self._autoencoder is not None:
            return gain * (self._autoencoder.error(before) - self._autoencoder.error(after))
        return gain


class Autoencoder:
    """A multi-layer perceptron that gives rows back through a bottleneck, fitted on the training rows.

    Numbers are scaled to [-1, 1] over the training rows (blanks at the median), levels are 0/1 columns.
    One hidden layer of half as many units as columns, tanh, Adam, at most 300 epochs.
    """

    def __init__(self, task: Task, seed: int = 0) -> None:
        codec = task.codec
        self._numeric, self._medians = codec.numeric, task.medians
        self.levels = [(j, np.arange(codec.n_levels[j])) for j in np.flatnonzero(~codec.numeric).tolist()]
        low, high = np.nan_to_num(task.observed_low), np.nan_to_num(task.observed_high)
        self.low, self.spread = low, np.where(high > low, high - low, 1.0)
        columns = self.columns(task.rows)
        self.model = MLPRegressor(
            hidden_layer_sizes=(max(2, columns.shape[1] // 2),), activation="tanh", max_iter=300, random_state=seed
        )
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter bounds the time on purpose
            self.model.fit(columns, columns if columns.shape[1] > 1 else columns[:, 0])

    def columns(self, rows: Floats) -> Floats:
        """Rows (n, d) as the network sees them, shape (n, columns)."""
        filled = np.where(np.isnan(rows), self._medians, rows)
        parts = [(2 * (filled - self.low) / self.spread - 1)[:, self._numeric]]
        parts += [(rows[:, [j]] == levels).astype(float) for j, levels in self.levels]
        return np.hstack(parts)

    def error(self, rows: Floats) -> Floats:
        """Mean squared error of the reconstruction of each row, shape (n,); lower is more like the data."""
        columns = self.columns(rows)
        with threadpool_limits(1, user_api="blas"):
            back = self.model.predict(columns).reshape(columns.shape)
        error: Floats = ((back - columns) ** 2).mean(axis=1)
        return error
