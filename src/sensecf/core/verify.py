"""Verification: the verdict on candidates, by the classifier and by the rules, on the rows as saved.

Decoding refuses, verification judges, nothing repairs in silence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.codec import Codec
from sensecf.core.distances import Scale
from sensecf.core.likeness import Likeness
from sensecf.core.plausibility import Plausibility
from sensecf.core.query import PREFERENCES, Query, settle
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task, lead

#: Price of one unit of MAD-L1 distance, in changed features.
DISTANCE_WEIGHT = 0.5
#: Price of an implausible row, in changed features, at `plausibility=1`.
OUTLIER_WEIGHT = 6.0
#: Up to this score (see `Plausibility.score`) a row pays for being close to the threshold.
COMFORT = 0.25
#: Prices of a unit of distance and of a unit of unlikeness (see `Likeness`), in changed features, where likeness is
#: preferred; what they were chosen on is in LOG.md.
APART_WEIGHT, UNLIKE_WEIGHT = 12.0, 80.0
#: The position of that preference.
ALIKE = PREFERENCES.index("likeness")


@dataclass(frozen=True)
class Verdicts:
    """The verdict on each candidate, arrays of length m.

    `valid`: the classifier's own `predict` says target, no tie, and the query's margin is met.
    `feasible`: no rule, lock, range, direction, step or budget is broken; `reason` says which.
    `score`: LOF score (0 at the threshold, higher is more like the data), NaN unless valid and
    feasible; `plausible`: score >= 0 and changed values inside the training range.
    `edited` (m, d): the features edited, those that follow left aside; `n_changed`: how many; `proximity` (MAD-L1
    of all that moves): lower is better. `apart`, `unlike`: see `Likeness`, NaN but where a query prefers likeness.
    """

    predicted: Ints
    probability: Floats
    lead: Floats
    valid: Bools
    feasible: Bools
    plausible: Bools
    score: Floats
    edited: Bools
    n_changed: Ints
    proximity: Floats
    reason: np.ndarray
    apart: Floats
    unlike: Floats

    @property
    def good(self) -> Bools:
        """Valid and feasible."""
        return self.valid & self.feasible

    def price(self, plausibility: float) -> Floats:
        """What `cost` gives, from what is known already, shape (m,); NaN where nothing was judged."""
        price: Floats = self.n_changed + DISTANCE_WEIGHT * self.proximity
        price = price + plausibility * outlier_price(self.score) if plausibility > 0 else price
        alike = self.n_changed + APART_WEIGHT * self.apart + plausibility * UNLIKE_WEIGHT * self.unlike
        return np.where(np.isnan(self.apart), price, alike)


def feasible(task: Task, query: Query, owner: Ints, rows: Floats) -> Bools:
    """Whether each row (m, d), answering query `owner` (m,), breaks nothing; the fast form of `breaches`."""
    codec = task.codec
    at, before, after, changed = codec.differing(query.rows[owner], rows)
    row, column = np.divmod(at, rows.shape[1])
    who = owner[row]
    with np.errstate(invalid="ignore"):
        towed = query.follows[who, column]
        off = ~(query.movable[who, column] | towed) | np.isnan(after)
        off |= (after < query.low[who, column] - 1e-9) | (after > query.high[who, column] + 1e-9)
        off |= codec.unmeasured(rows).reshape(-1)[at]
        for j, codes in task.rare_levels.items():
            off |= (column == j) & np.isin(after, codes)
        off = np.where(changed, off, np.abs(after - before) > 1e-9)
        small = np.unique(row[changed & ~towed & (np.abs(after - before) < codec.least[column] - 1e-9)])
    fine: Bools = np.bincount(row[off], minlength=len(rows)) == 0
    if len(small):
        base, moved = query.rows[owner[small]], rows[small]
        fine[small] &= ~codec.too_small(edits(codec, query, owner[small], moved), np.abs(moved - base)).any(axis=1)
    fine &= np.bincount(row[changed & ~towed], minlength=len(rows)) <= query.max_changes[owner]
    led = np.unique(row[towed | np.isin(column, codec.rules.equality_members)])
    fine[led] &= ~astray(task, query, owner[led], rows[led]).any(axis=1)
    if len(codec.rules):
        fine &= ~codec.rules.violated(rows).any(axis=1)
    return fine


def edits(codec: Codec, query: Query, owner: Ints, rows: Floats) -> Bools:
    """The features that each row (m, d) changes of its own accord, shape (m, d): not those that follow."""
    found: Bools = codec.changed(query.rows[owner], rows) & ~query.follows[owner]
    return found


def astray(task: Task, query: Query, owner: Ints, rows: Floats) -> Bools:
    """The followers that are not where the edits of the row put them, shape (m, d)."""
    if not query.follows[owner].any():
        return np.zeros(rows.shape, dtype=bool)
    there = settle(task, query, owner, rows)
    found: Bools = task.codec.changed(there, rows) & query.follows[owner]
    return found


def breaches(task: Task, query: Query, owner: Ints, rows: Floats) -> np.ndarray:
    """What each row breaks, in words, shape (m,); "" where it breaks nothing."""
    codec = task.codec
    base = query.rows[owner]
    changed = codec.changed(base, rows)
    edited = edits(codec, query, owner, rows)
    free = query.movable[owner] | query.follows[owner]
    reasons: list[list[str]] = [[] for _ in range(len(rows))]

    def say(mask: Bools, text: str) -> None:
        for row, column in zip(*mask.nonzero(), strict=True):
            reasons[row].append(f"{codec.schema.names[column]} {text}")

    with np.errstate(invalid="ignore"):
        say(changed & ~free, "must stay as it is")
        say(changed & np.isnan(rows), "is blank")
        outside = (rows < query.low[owner] - 1e-9) | (rows > query.high[owner] + 1e-9)
        say(changed & free & outside, "is outside its range")
        say(changed & (np.abs(rows - codec.snap(rows)) > 1e-9), "is no multiple of its step")
        say(changed & codec.unmeasured(rows), 'would become a code for "not measured"')
        for j, codes in task.rare_levels.items():
            rare = np.zeros_like(changed)
            rare[:, j] = changed[:, j] & np.isin(rows[:, j], codes)
            say(rare, "would become a level that too few people share")
        for row, column in zip(*codec.too_small(edited, np.abs(rows - base)).nonzero(), strict=True):
            feature = codec.schema.features[column]
            least = feature.format(feature.least_change, unit=True)
            reasons[row].append(f"{feature.name} moves by less than {least}, its least worthwhile change")
        say(~changed & (np.abs(rows - base) > 1e-9), "moves by less than half a step, which counts as no change")
    say(astray(task, query, owner, rows), "only follows, and is not where the edits put it")
    for row in np.flatnonzero(edited.sum(axis=1) > query.max_changes[owner]):
        reasons[row].append(f"more than {query.max_changes[owner][row]} changes")
    for row, rule in zip(*codec.rules.violated(rows).nonzero(), strict=True):
        reasons[row].append(f"breaks {codec.rules.rules[rule]}")
    return np.array(["; ".join(r) for r in reasons], dtype=object)


def verify(task: Task, query: Query, candidates: Candidates, final: bool = True) -> Verdicts:
    """Judge candidates, all of them in one call to the classifier, on the rows as they will be saved.

    `final=False` where a later verdict stands behind this one: see `Task.judge`.
    """
    m = len(candidates)
    owner, rows = candidates.query, candidates.rows
    base, target = query.rows[owner], query.target[owner]
    proposed = candidates.reason == ""
    judgement = task.judge(rows[proposed], final=final)
    predicted = np.full(m, -1, dtype=np.intp)
    predicted[proposed] = judgement.predicted
    probability, ahead = np.full(m, np.nan), np.full(m, -1.0)
    probability[proposed] = judgement.proba[np.arange(int(proposed.sum())), target[proposed]]
    ahead[proposed] = lead(judgement.proba, target[proposed])
    valid = np.zeros(m, dtype=bool)
    valid[proposed] = task.valid(judgement, target[proposed], query.margin[owner[proposed]])

    reason = candidates.reason.copy()
    reason[proposed] = breaches(task, query, owner[proposed], rows[proposed])
    fine = reason == ""
    changed = task.codec.changed(base, rows)
    score = np.full(m, np.nan)
    good = valid & fine
    score[good] = task.once(Plausibility).score(rows[good], target[good])
    known = known_values(task, rows, changed)
    edited = changed & ~query.follows[owner]
    apart, unlike = np.full((2, m), np.nan)
    at = np.flatnonzero(good & (query.prefer[owner] == ALIKE))
    if len(at):
        likeness = task.once(Likeness)
        apart[at], unlike[at] = likeness.apart(base[at], rows[at]), likeness.unlike(rows[at])
    return Verdicts(
        predicted,
        probability,
        ahead,
        valid,
        fine,
        (score >= 0) & known & proposed,
        score,
        edited,
        edited.sum(axis=1),
        task.once(Scale).mad_l1(base, rows),
        reason,
        apart,
        unlike,
    )


def known_values(task: Task, rows: Floats, changed: Bools) -> Bools:
    """Whether the changed values lie inside what the training rows show, levels included, shape (m,).

    What a person brings along is no fault of an answer. `changed` (m, d).
    """
    with np.errstate(invalid="ignore"):
        off = (rows < task.observed_low - 1e-9) | (rows > task.observed_high + 1e-9)
    for j, codes in task.unseen_levels.items():
        off[:, j] |= np.isin(rows[:, j], codes)
    off &= changed
    return ~np.asarray(off.any(axis=1))


def cost(task: Task, query: Query, owner: Ints, rows: Floats, plausibility: float = 1.0) -> Floats:
    """What a plan asks for, shape (m,), in changed features; lower is better.

    edits + 0.5 x MAD-L1 + plausibility x (6 if outlier, falling to 0 as the row comes well inside); where the query
    prefers likeness, edits + 12 x distance + plausibility x 80 x unlikeness, both as `Likeness` measures them.
    Rows are compared by it everywhere: in the search, the pairs, the reward, the polish, the selection.
    """
    alike = query.prefer[owner] == ALIKE
    if not alike.any():
        return _effort(task, query, owner, rows, plausibility)
    total = _likeness(task, query, owner, rows, plausibility)
    if not alike.all():
        rest = np.flatnonzero(~alike)
        total[rest] = _effort(task, query, owner[rest], rows[rest], plausibility)
    return total


def _effort(task: Task, query: Query, owner: Ints, rows: Floats, plausibility: float) -> Floats:
    base = query.rows[owner]
    price = edits(task.codec, query, owner, rows).sum(axis=1) + DISTANCE_WEIGHT * task.once(Scale).mad_l1(base, rows)
    if plausibility > 0:
        score = task.once(Plausibility).score(rows, query.target[owner])
        price = price + plausibility * outlier_price(score)
    total: Floats = price
    return total


def _likeness(task: Task, query: Query, owner: Ints, rows: Floats, plausibility: float) -> Floats:
    likeness = task.once(Likeness)
    count = edits(task.codec, query, owner, rows).sum(axis=1)
    total: Floats = count + APART_WEIGHT * likeness.apart(query.rows[owner], rows)
    return total + plausibility * UNLIKE_WEIGHT * likeness.unlike(rows) if plausibility > 0 else total


def outlier_price(score: Floats) -> Floats:
    """0 well inside, rising to a quarter of the weight at the threshold, the whole weight and more outside."""
    inside = 0.25 * OUTLIER_WEIGHT * np.clip(1.0 - score / COMFORT, 0.0, 1.0)
    outside = OUTLIER_WEIGHT * (0.75 + 0.25 * np.clip(-score, 0.0, 2.0))
    price: Floats = inside + np.where(score < 0, outside, 0.0)
    return price
