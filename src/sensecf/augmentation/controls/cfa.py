"""CFA: counterfactual augmentation from native pairs (Temraz & Keane 2022, arXiv:2111.03516)."""

from __future__ import annotations

import numpy as np

from sensecf.augmentation.controls.situation import Situation, Treatment
from sensecf.augmentation.controls.space import Space
from sensecf.core.rules import Floats
from sensecf.core.task import Ints

#: A native counterfactual differs in at most so many features from its pair (Keane & Smyth 2020).
DIFFERENCES = 2
#: Numbers closer than this many standard deviations count as equal. The published tolerance is not known to us.
TOLERANCE = 0.2


def cfa(situation: Situation, amount: float = 1.0) -> Treatment:
    """Rows of other classes that take over the difference of the native pair nearest to them.

    A native pair is a row of another class and a row of the class that differ in at most two
    features. Where the data have no such pair, one more difference is allowed until there is one,
    and the note says so. Rows that are in a pair themselves are left out as long as there are
    others; once all of them are used the next nearest pair is taken, so that the number of rows
    is that of the other arms.
    """
    space = Space(situation)
    filled = np.where(np.isnan(situation.encoded), space.fill, situation.encoded)
    points = space.points(situation.encoded)
    rows, y, notes = [np.empty((0, filled.shape[1]))], [], []
    for position, count in enumerate(situation.allot(amount)):
        if not count:
            continue
        there = np.flatnonzero(situation.y == position)
        others = np.flatnonzero(situation.y != position)
        left, right, allowed = _pairs(filled, others, there, situation, space)
        if allowed > DIFFERENCES:
            notes.append(
                f"{situation.classes[position]!r}: no native pair with {DIFFERENCES} differences, {allowed} allowed"
            )
        rows.append(_transfer(filled, points, others, (left, right), int(count), situation, space))
        y += [position] * int(count)
    made = situation.codec.snap(np.concatenate(rows))
    return Treatment(added=situation.table(made, np.array(y, dtype=np.intp)), note="; ".join(notes))


def _unlike(a: Floats, b: Floats, situation: Situation, space: Space) -> np.ndarray:
    """Which features of two sets of rows differ beyond the tolerance, broadcast."""
    near = np.where(situation.codec.numeric, TOLERANCE * space.scale, 0.0)
    differ: np.ndarray = np.abs(a - b) > near + 1e-12
    return differ


def _pairs(filled: Floats, others: Ints, there: Ints, situation: Situation, space: Space) -> tuple[Ints, Ints, int]:
    """Native pairs: the row of another class, its nearest match in the class; and the differences allowed."""
    apart = np.stack([_unlike(filled[others], filled[k], situation, space).sum(axis=1) for k in there], axis=1)
    apart = np.where(apart == 0, apart.max() + 1, apart)  # equal rows of two classes have nothing to take over
    allowed = max(DIFFERENCES, int(apart.min()))
    best = apart.argmin(axis=1)
    paired = apart[np.arange(len(others)), best] <= allowed
    return others[paired], there[best[paired]], allowed


def _transfer(
    filled: Floats,
    points: Floats,
    others: Ints,
    pairs: tuple[Ints, Ints],
    count: int,
    situation: Situation,
    space: Space,
) -> Floats:
    """`count` rows of other classes with the difference features of a near pair, the nearest matches first."""
    left, right = pairs
    free = np.setdiff1d(others, left)
    free = free if len(free) else others
    distance = np.linalg.norm(points[free][:, None] - points[left][None], axis=2)
    order = np.argsort(distance, axis=1, kind="stable")
    turn, who = np.divmod(np.arange(count), len(free))
    who = situation.rng(302).permutation(len(free))[who]
    pair = order[who, turn % len(left)]
    change = _unlike(filled[left[pair]], filled[right[pair]], situation, space)
    out: Floats = np.where(change, filled[right[pair]], filled[free[who]])
    return out
