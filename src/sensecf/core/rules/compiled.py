"""Rules compiled: who breaks one, who follows whom, how far one feature may move alone.

`RuleSet` judges encoded rows (see `codec`), says which feature *follows* when another one is edited (a whole
follows its parts), and gives the interval in which one feature may move while everything else stays put. The
interval is what makes a sampled edit feasible by construction instead of by rejection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf.core.rules.base import EPS, Bools, Compiling, Floats, Rule, Test


@dataclass(frozen=True)
class Follow:
    """How encoded rows answer an edit, for one pattern of movable members of the equalities.

    `response[i, j]` is how far feature i moves when feature j is edited by one unit.
    `editable[j]` is False for the features that follow others: they are not edited directly.
    `settles[constraint]` is the feature that follows to keep that equality.
    """

    response: Floats
    editable: Bools
    settles: Mapping[int, int]

    @property
    def follower(self) -> tuple[int, ...]:
        """The features that follow, in the order in which they are set."""
        return tuple(self.settles.values())

    @property
    def trivial(self) -> bool:
        return not self.settles


@dataclass
class RuleSet:
    """Rules compiled to column numbers of the encoded rows.

    `matrix @ row` must lie in `[low, high]` for each linear constraint (an order of three
    features is two of them); `owner` maps a constraint to its rule.
    """

    rules: tuple[Rule, ...]
    matrix: Floats
    low: Floats
    high: Floats
    owner: NDArray[np.intp]
    equalities: list[tuple[int, int | None, list[int]]]
    implications: list[tuple[int, Test, Test]]
    _follow_cache: dict[bytes, Follow] = field(default_factory=dict, repr=False)

    @classmethod
    def compile(cls, rules: Sequence[Rule], columns: Mapping[str, int], encode: Any) -> RuleSet:
        """Compile rules. `encode(feature, value)` gives the encoded value of a condition."""
        made = Compiling(columns, encode)
        for made.number, rule in enumerate(rules):
            rule.compile(made)
        equalities = made.equalities

        # A whole that is a part of another total must follow first, however long the chain.
        depth: dict[int, int] = {}
        for _ in equalities:
            for _, head, members in equalities:
                if head is not None:
                    depth[head] = 1 + max(depth.get(member, 0) for member in members)
        equalities.sort(key=lambda e: max((depth.get(member, 0) for member in e[2]), default=0))
        width = len(columns)
        return cls(
            tuple(rules),
            np.array(made.matrix).reshape(-1, width),
            np.array(made.low),
            np.array(made.high),
            np.array(made.owner, dtype=np.intp),
            equalities,
            made.implications,
        )

    def __len__(self) -> int:
        return len(self.rules)

    @cached_property
    def equality_members(self) -> NDArray[np.intp]:
        """Columns that take part in a total or a linear equality."""
        rows = [row for row, _, _ in self.equalities]
        return np.flatnonzero((self.matrix[rows] != 0).any(axis=0)) if rows else np.empty(0, np.intp)

    @cached_property
    def tied(self) -> list[tuple[NDArray[np.intp], int]]:
        """Columns that equalities tie together, and how many equalities do, per group."""
        groups: list[tuple[set[int], int]] = []
        for row, _, _ in self.equalities:
            members, count, apart = set(np.flatnonzero(self.matrix[row]).tolist()), 1, []
            for other, number in groups:
                if members & other:
                    members, count = members | other, count + number
                else:
                    apart.append((other, number))
            groups = [*apart, (members, count)]
        return [(np.array(sorted(members), dtype=np.intp), count) for members, count in groups]

    def violated(self, rows: Floats) -> Bools:
        """Which rule each row breaks, shape (rows, rules). A rule with a missing member does not apply."""
        out = np.zeros((len(rows), len(self.rules)), dtype=bool)
        if len(self.matrix):
            missing = np.isnan(rows)
            value = np.nan_to_num(rows) @ self.matrix.T
            applies = ~(missing.astype(float) @ (self.matrix.T != 0) > 0)
            broken = ((value < self.low - EPS) | (value > self.high + EPS)) & applies
            for constraint, rule in enumerate(self.owner):
                out[:, rule] |= broken[:, constraint]
        for rule, when, then in self.implications:
            a, b = rows[:, when.column], rows[:, then.column]
            out[:, rule] |= when.holds(a) & ~then.holds(b) & ~np.isnan(b)
        return out

    def follow(self, movable: Bools, sizes: Floats) -> Follow:
        """Who follows whom when the features in `movable` (one pattern, shape (d,)) may move.

        Only the members of equalities matter. A total's whole follows its parts if it can move;
        otherwise the largest part that can move (by `sizes`, the training medians) takes up the
        difference. Where nobody can, the equality leaves its members where they are.
        """
        key = np.packbits(movable[self.equality_members]).tobytes()
        found = self._follow_cache.get(key)
        if found is None:
            found = self._follow(movable, sizes)
            self._follow_cache[key] = found
        return found

    def _follow(self, movable: Bools, sizes: Floats) -> Follow:
        free = movable.copy()
        while True:
            response = np.eye(len(movable))
            settles: dict[int, int] = {}
            seen: set[int] = set()
            stuck: list[int] = []
            for row, whole, parts in self.equalities:
                ranked = ([] if whole is None else [whole]) + sorted(parts, key=lambda c: -sizes[c])
                # A member of an equality dealt with before must not move a second time.
                choice = next((c for c in ranked if free[c] and c not in seen), None)
                seen.update(ranked)
                if choice is None:
                    stuck += [c for c in ranked if c in settles.values() and free[c]]
                    continue
                others = self.matrix[row].copy()
                others[choice] = 0.0
                response[choice] = -(others @ response) / self.matrix[row, choice]
                response[choice, choice] = 0.0
                settles[row] = choice
            if not stuck:
                break
            free[stuck] = False  # nobody can absorb their movement: they stay, and another follows
        editable = np.ones(len(movable), dtype=bool)
        editable[self.equality_members] = movable[self.equality_members]
        editable[list(settles.values())] = False
        response[:, ~editable] = 0.0
        return Follow(response, editable, settles)

    def intervals(self, rows: Floats, low: Floats, high: Floats, follow: Follow) -> tuple[Floats, Floats]:
        """The closed interval each feature may move to, alone, with its followers in tow.

        All shapes (rows, d). Where a row already breaks a constraint, moves that do not make it
        worse are allowed, so that a broken row can be mended step by step. Implications are not
        intervals: see `forbidden`.
        """
        if not len(self.matrix):
            return low, high
        filled, missing = np.nan_to_num(rows), np.isnan(rows)
        least, most = low - rows, high - rows
        reactions = self.matrix @ follow.response
        limits = [
            (
                reactions[c],
                filled @ self.matrix[c],
                np.where(missing[:, self.matrix[c] != 0].any(axis=1), -np.inf, self.low[c]),
                np.where(missing[:, self.matrix[c] != 0].any(axis=1), np.inf, self.high[c]),
            )
            for c in range(len(self.matrix))
        ]
        limits += [(follow.response[f], rows[:, f], low[:, f], high[:, f]) for f in follow.follower]
        for reaction, value, lo, hi in limits:
            lo, hi = np.minimum(lo, value) - value, np.maximum(hi, value) - value
            for j in np.flatnonzero((np.abs(reaction) > 1e-12) & follow.editable):
                a, b = lo / reaction[j], hi / reaction[j]
                least[:, j] = np.fmax(least[:, j], np.minimum(a, b))
                most[:, j] = np.fmin(most[:, j], np.maximum(a, b))
        return rows + least, rows + most

    def forbidden(self, rows: Floats, column: int, values: Floats) -> Bools:
        """Which of `values` for one feature would newly break an implication, shape (rows, values)."""
        out = np.zeros((len(rows), len(values)), dtype=bool)
        for _, when, then in self.implications:
            if column not in (when.column, then.column):
                continue
            condition, consequence = when.holds(rows[:, when.column]), then.holds(rows[:, then.column])
            consequence |= np.isnan(rows[:, then.column])
            fine = ~(condition & ~consequence)[:, None]
            if column == when.column:
                condition = when.holds(values)[None, :] & np.ones((len(rows), 1), bool)
            else:
                condition = condition[:, None]
            consequence = then.holds(values)[None, :] if column == then.column else consequence[:, None]
            out |= fine & condition & ~consequence
        return out

    def settle(self, base: Floats, rows: Floats, follow: Follow, step: Floats) -> Floats:
        """Rows with their followers moved along with the edits, which are read off against `base`.

        An equality that `base` itself breaks, or that rounding to the step would break, is mended by its
        follower: it takes the value on its step that the other members say. A missing member leaves the
        equality alone; a missing value elsewhere changes nothing.
        """
        if follow.trivial:
            return rows
        start = self._mend(base, follow)
        delta = np.where(follow.editable, np.nan_to_num(rows - base), 0.0)
        out = rows.copy()
        for f in follow.follower:
            value = start[:, f] + delta @ follow.response[f]
            snapped = np.round(np.round(value / step[f]) * step[f], 10)
            out[:, f] = np.where(np.abs(snapped - base[:, f]) > step[f] / 2, snapped, base[:, f])
        return self._mend(out, follow, step)

    def _mend(self, rows: Floats, follow: Follow, step: Floats | None = None) -> Floats:
        """Rows whose broken equalities hold again: the follower takes what the others leave, rounded to its step."""
        out = rows.copy()
        for constraint, f in follow.settles.items():
            weights = self.matrix[constraint]
            members = np.flatnonzero(weights)
            value = out[:, members] @ weights[members]  # NaN where a member was not measured
            off = (value < self.low[constraint] - EPS) | (value > self.high[constraint] + EPS)
            if not off.any():
                continue
            # To the middle of the tolerance: a value at its edge would leave it again when it is rounded.
            middle = (self.low[constraint] + self.high[constraint]) / 2
            wanted = out[off, f] + (middle - value[off]) / weights[f]
            out[off, f] = wanted if step is None else np.round(np.round(wanted / step[f]) * step[f], 10)
        return out
