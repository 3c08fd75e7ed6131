"""`betarce`: grow spheres around a counterfactual until enough refits agree (Stępka et al. 2025)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import beta

from sensecf.classifiers.jury import Jury, Votes, judge_of
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task
from sensecf.generators.robx import Base, base_of, first_answers, on_grid, within
from sensecf.generators.traits import Traits

#: Width of a shell in shares of the training ranges (L2), and rows drawn in each.
SHELL, DRAWN = 0.1, 100
#: Queries whose shells are drawn together, to bound the memory.
TOGETHER = 256


class BetaRCE:
    """BetaRCE: the nearest row around a counterfactual at which a Beta bound over refits exceeds `delta`.

    `jurors` refits of the classifier on resampled training rows (whole people where the schema names a group) vote.
    With k of K for the target, the lower bound is the quantile 1 - `confidence` of Beta(k + 1/2, K - k + 1/2).
    The answer of `base` stays where its bound exceeds `delta` already; else rows are drawn in shells around it
    (growing spheres: 100 rows per shell, each shell 0.1 wide in shares of the training ranges, L2), and the nearest
    row of the first shell that has one which the classifier and the bound accept is the answer.

    Adapted: published code draws every 0/1 column anew with chance one half in every shell; here a level moves with
    the chance that a number of its shell would move by half its range, so that near shells stay near. Rows lie on the
    step's grid within the ranges, locked features and blanks stay, features that follow by an equality of the schema
    follow, and with a budget so many features are drawn at random for each row. What breaks another rule is not
    noticed, unless `filter_rules`. Rows that can no longer reach the bound are not shown to further refits; each row
    that one of them judges counts as a classifier row.

    `bound` gives what the method states of its own answers. The refits that it is a bound over are those that were
    searched with, so that it says less of refits to come than it seems to.

    `base`: "nice" or "search", see `RobX`. Source: Stępka, Stefanowski & Lango, Counterfactual explanations with
    probabilistic guarantees on their robustness to model change, KDD 2025; delta 0.9, confidence 0.9 and 32 refits
    are theirs. Raises `InputError` for options that it cannot have, and for a classifier that cannot be refitted.
    """

    traits = Traits(states=True, takes=("delta", "jurors", "filter_rules"))

    def __init__(
        self,
        task: Task,
        seed: int = 0,
        *,
        base: Base = "nice",
        delta: float = 0.9,
        confidence: float = 0.9,
        jurors: int = 32,
        filter_rules: bool = False,
    ) -> None:
        if not 0 < delta < 1 or not 0 < confidence < 1 or jurors < 1:
            raise InputError("delta and confidence must lie between 0 and 1, and jurors must be at least 1")
        votes = np.arange(jurors + 1)
        self._bounds: Floats = beta.ppf(1 - confidence, votes + 0.5, jurors - votes + 0.5)
        if self._bounds[-1] <= delta:
            raise InputError(
                f"{jurors} refits that all agree give a bound of {self._bounds[-1]:.3f}, below delta = {delta:g}; "
                "take more jurors or a smaller delta"
            )
        self.name = "betarce" + ("" if base == "nice" else f"-{base}") + ("-filtered" if filter_rules else "")
        self.task, self.delta, self.confidence = task, delta, confidence
        self._least = int(np.argmax(self._bounds > delta))
        self._filter_rules = filter_rules
        self.base = base_of(base, task, seed, filter_rules)
        self._jurors = [judge_of(task, juror) for juror in Jury.fit(task, "bootstrap", jurors, seed).members]
        spread = task.observed_high - task.observed_low
        self._spread = np.where(task.codec.numeric & np.isfinite(spread) & (spread > 0), spread, 1.0)

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """One candidate per query, or the reason why there is none."""
        started = first_answers(self.task, query, self.base, rng)
        rows, reason = started.rows.copy(), started.reason.copy()
        at = np.flatnonzero(reason == "")
        at = at[self._votes(rows[at], query.target[at]) < self._least]
        for start in range(0, len(at), TOGETHER):
            part = at[start : start + TOGETHER]
            rows[part] = self._grow(query.take(part), rows[part], rng)
        reason[np.isnan(rows).all(axis=1) & (reason == "")] = (
            f"no row around the first answer has a bound above {self.delta:g} within the limits"
        )
        return Candidates.of(np.arange(len(query)), rows, self.name, reason.tolist())

    def bound(self, rows: Floats, target: Ints) -> Floats:
        """The lower bound that the method states of the share of refits that agree, shape (n,), higher is better."""
        votes = np.zeros(len(rows), dtype=np.intp)
        for juror in self._jurors:
            votes += self._agrees(juror, rows, target)
        stated: Floats = self._bounds[votes]
        return stated

    def _agrees(self, juror: Callable[[Floats], Votes], rows: Floats, target: Ints) -> Bools:
        """Whether one refit puts rows in their target class, shape (n,)."""
        self.task.count(len(rows))
        return np.asarray(juror(rows) == target)

    def _votes(self, rows: Floats, target: Ints) -> Ints:
        """How many refits agree, shape (n,); fewer may be said where too many have refused already."""
        votes, open_rows = np.zeros(len(rows), dtype=np.intp), np.arange(len(rows))
        for number, juror in enumerate(self._jurors, start=1):
            votes[open_rows] += self._agrees(juror, rows[open_rows], target[open_rows])
            open_rows = open_rows[number - votes[open_rows] <= len(self._jurors) - self._least]
        return votes

    def _grow(self, query: Query, start: Floats, rng: np.random.Generator) -> Floats:
        """The nearest accepted row around each start, shape as `start`; NaN where there is none."""
        found = np.full(start.shape, np.nan)
        # Beyond the diagonal of the ranges nothing is left to draw.
        shells = int(np.ceil(np.sqrt(start.shape[1]) / SHELL))
        for shell in range(shells):
            active = np.flatnonzero(np.isnan(found).all(axis=1))
            if not len(active):
                break
            owner = np.repeat(active, DRAWN)
            rows = on_grid(self.task, query, owner, self._shell(query, owner, start[owner], shell * SHELL, rng))
            fine = within(self.task, query, owner, rows, self._filter_rules)
            owner, rows = owner[fine], rows[fine]
            valid = self.task.valid(self.task.judge(rows), query.target[owner], query.margin[owner])
            owner, rows = owner[valid], rows[valid]
            # The nearest first, in blocks: whoever is served is not asked about again.
            order = np.lexsort((self._apart(start[owner], rows), owner))
            owner, rows = owner[order], rows[order]
            good = self._votes(rows, query.target[owner]) >= self._least
            hit, first = np.unique(owner[good], return_index=True)
            found[hit] = rows[good][first]
        return found

    def _apart(self, base: Floats, rows: Floats) -> Floats:
        """L2 distance in shares of the training ranges, unlike levels 1 apart, shape (n,)."""
        apart = np.where(self.task.codec.numeric, (rows - base) / self._spread, (rows != base).astype(float))
        return np.asarray(np.sqrt((np.nan_to_num(apart) ** 2).sum(axis=1)))

    def _shell(self, query: Query, owner: Ints, start: Floats, inner: float, rng: np.random.Generator) -> Floats:
        """A row drawn in a shell around each start, shape as `start`."""
        codec, (m, d) = self.task.codec, start.shape
        free = query.movable[owner] & ~np.isnan(start)
        # Within the budget: the features that are changed already first, then any.
        rank = np.where(free, rng.random((m, d)) - codec.changed(query.rows[owner], start), 2.0)
        place = rank.argsort(axis=1).argsort(axis=1)
        free &= place < query.max_changes[owner][:, None]
        direction = rng.standard_normal((m, d)) * (free & codec.numeric)
        length = np.linalg.norm(direction, axis=1, keepdims=True)
        radius = inner + SHELL * rng.random((m, 1))
        moved = start + direction / np.where(length > 0, length, 1.0) * radius * self._spread
        level = np.floor(rng.random((m, d)) * codec.n_levels)
        turned = (
            ~codec.numeric & free & (rng.random((m, d)) < radius / np.sqrt(np.maximum(free.sum(axis=1), 1))[:, None])
        )
        out: Floats = np.where(turned, level, moved)
        return out
