"""Rules compiled: who breaks one, who follows whom, how far one feature may move alone.

`RuleSet` judges encoded rows (see `codec`), says which feature *follows* when another one is edited (a whole
follows its parts; parts follow their whole in the proportion that they have), and gives the interval in which one
feature may move while everything else stays put. The interval is what makes a sampled edit feasible by
construction instead of by rejection.
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

    `response[i, j]` is how far feature i moves when feature j is edited by one unit; where parts follow in
    proportion, for typical shares (`RuleSet.reactions` has those of a row).
    `editable[j]` is False for the features that follow others: they are not edited directly.
    `towed[j]`: the feature only ever moves in tow of others, which counts as no change of its own.
    `settles[constraint]` is the feature that follows to keep that equality, `splits[constraint]` the parts that
    share what it asks for in proportion; `order`: the constraints in the order in which they are kept.
    """

    response: Floats
    editable: Bools
    towed: Bools
    settles: Mapping[int, int]
    splits: Mapping[int, tuple[int, ...]]
    order: tuple[int, ...]

    @property
    def follower(self) -> tuple[int, ...]:
        """The features that follow, in the order in which they are set."""
        return tuple(f for c in self.order for f in self.targets(c))

    def targets(self, constraint: int) -> tuple[int, ...]:
        """The features that follow to keep one equality."""
        return self.splits[constraint] if constraint in self.splits else (self.settles[constraint],)

    @property
    def trivial(self) -> bool:
        return not self.order


@dataclass
class RuleSet:
    """Rules compiled to column numbers of the encoded rows.

    `matrix @ row` must lie in `[low, high]` for each linear constraint (an order of three
    features is two of them), and applies where all its `members` are measured, also those of weight 0 (the
    denominator of a ratio of at most 0); `owner` maps a constraint to its rule.
    """

    rules: tuple[Rule, ...]
    matrix: Floats
    members: Bools
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
            np.array(made.members, dtype=bool).reshape(-1, width),
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
            applies = ~(missing.astype(float) @ self.members.T > 0)
            broken = ((value < self.low - EPS) | (value > self.high + EPS)) & applies
            for constraint, rule in enumerate(self.owner):
                out[:, rule] |= broken[:, constraint]
        for rule, when, then in self.implications:
            a, b = rows[:, when.column], rows[:, then.column]
            out[:, rule] |= when.holds(a) & ~then.holds(b) & ~np.isnan(b)
        return out

    def follow(self, movable: Bools, sizes: Floats, towed: Bools | None = None) -> Follow:
        """Who follows whom when the features in `movable` (one pattern, shape (d,)) may move.

        Only the members of equalities matter. `towed` (d,): features that move in tow only: parts whose whole may
        move share its movement in proportion to what they are, a whole takes the sum of its parts. For the others,
        a total's whole follows its parts if it can move; otherwise the largest part that can move (by `sizes`,
        the training medians) takes up the difference. Where nobody can, the equality leaves its members where
        they are.
        """
        tow = np.zeros(len(movable), dtype=bool) if towed is None else towed
        members = self.equality_members
        key = np.packbits(np.concatenate([movable[members], tow[members]])).tobytes()
        found = self._follow_cache.get(key)
        if found is None:
            found = self._follow(movable, tow, sizes)
            self._follow_cache[key] = found
        return found

    def _follow(self, movable: Bools, towed: Bools, sizes: Floats) -> Follow:
        splits = self._splits(movable, towed)
        shared = {part for parts in splits.values() for part in parts}
        free = movable | towed
        free[list(shared)] = False
        while True:
            settles: dict[int, int] = {}
            seen: set[int] = set(shared)
            stuck: list[int] = []
            for row, whole, parts in self.equalities:
                if row in splits:
                    continue
                ranked = ([] if whole is None else [whole]) + sorted(parts, key=lambda c: (not towed[c], -sizes[c]))
                # A member of an equality dealt with before must not move a second time.
                choice = next((c for c in ranked if free[c] and c not in seen), None)
                seen.update(ranked)
                if choice is None:
                    stuck += [c for c in ranked if c in settles.values() and free[c]]
                    continue
                settles[row] = choice
            if not stuck:
                break
            free[stuck] = False  # nobody can absorb their movement: they stay, and another follows
        order = self._order(settles, splits)
        response = np.eye(len(movable))
        for row in order:
            targets = splits.get(row) or (settles[row],)
            others = self.matrix[row].copy()
            others[list(targets)] = 0.0
            needed = -(others @ response)
            size = np.maximum(np.abs(sizes[list(targets)]), 1e-9)
            for target, share in zip(targets, size / size.sum(), strict=True):
                response[target] = share * needed / self.matrix[row, target]
                response[target, target] = 0.0
        editable = np.ones(len(movable), dtype=bool)
        editable[self.equality_members] = movable[self.equality_members]
        editable[[*settles.values(), *shared]] = False
        response[:, ~editable] = 0.0
        return Follow(response, editable, towed, settles, splits, order)

    def _splits(self, movable: Bools, towed: Bools) -> dict[int, tuple[int, ...]]:
        """The equalities whose parts share the movement of their whole, outermost first, with those parts."""
        splits: dict[int, tuple[int, ...]] = {}
        shared: set[int] = set()
        for row, whole, parts in reversed(self.equalities):
            tow = tuple(part for part in parts if towed[part] and part not in shared)
            if whole is not None and tow and (movable[whole] or whole in shared):
                splits[row] = tow
                shared.update(tow)
        return splits

    def _order(self, settles: Mapping[int, int], splits: Mapping[int, tuple[int, ...]]) -> tuple[int, ...]:
        """Constraints so that whatever moves a member comes before the constraint that answers to it."""
        waiting = {
            row: set(splits.get(row) or (settles[row],))
            for row, _, _ in self.equalities
            if row in settles or row in splits
        }
        order: list[int] = []
        while waiting:
            moved = {row: set(np.flatnonzero(self.matrix[row]).tolist()) - own for row, own in waiting.items()}
            ready = (
                row for row in waiting if not any(moved[row] & own for other, own in waiting.items() if other != row)
            )
            row = next(ready, next(iter(waiting)))
            order.append(row)
            del waiting[row]
        return tuple(order)

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
        moves = self.reactions(rows, follow)
        own = self.matrix * follow.editable
        limits = []
        for c in range(len(self.matrix)):
            reaction = own[c]
            for f in moves:
                reaction = reaction + self.matrix[c, f] * moves[f]
            unknown = missing[:, self.members[c]].any(axis=1)
            ends = np.where(unknown, -np.inf, self.low[c]), np.where(unknown, np.inf, self.high[c])
            limits.append((reaction, filled @ self.matrix[c], *ends))
        limits += [(moves[f], rows[:, f], low[:, f], high[:, f]) for f in moves]
        for reaction, value, lo, hi in limits:
            lo, hi = np.minimum(lo, value) - value, np.maximum(hi, value) - value
            answering = (np.abs(reaction) > 1e-12).reshape(-1, reaction.shape[-1]).any(axis=0)
            for j in np.flatnonzero(answering & follow.editable):
                by = reaction[..., j]
                with np.errstate(divide="ignore", invalid="ignore"):
                    a, b = (np.where(np.abs(by) > 1e-12, end / by, np.nan) for end in (lo, hi))
                least[:, j] = np.fmax(least[:, j], np.fmin(a, b))
                most[:, j] = np.fmin(most[:, j], np.fmax(a, b))
        return rows + least, rows + most

    def reactions(self, rows: Floats, follow: Follow) -> dict[int, Floats]:
        """How far each follower moves per unit of each edited feature: shape (d,), or (n, d) where shares differ by
        row (encoded, (n, d))."""
        if not follow.splits:
            return {f: follow.response[f] for f in follow.follower}
        moves: dict[int, Floats] = {}
        for row in follow.order:
            targets = follow.targets(row)
            others = self.matrix[row] * follow.editable
            needed = -others
            for f in moves:
                needed = needed - self.matrix[row, f] * moves[f]
            share = np.ones((len(rows), 1)) if row in follow.settles else self._shares(rows, row, follow)
            for k, target in enumerate(targets):
                move = share[:, [k]] * needed / self.matrix[row, target]
                move[:, target] = 0.0
                moves[target] = move
        return moves

    def _shares(self, rows: Floats, constraint: int, follow: Follow) -> Floats:
        """The share that each part of a split has of them all in each row, shape (n, parts); 0 where a member of the
        equality was not measured, so that it does not apply."""
        parts = list(follow.splits[constraint])
        size = np.abs(np.nan_to_num(rows[:, parts]) * self.matrix[constraint, parts])
        nothing = size.sum(axis=1) <= 0
        size[nothing] = 1.0  # nothing to go by: equal shares
        share: Floats = size / size.sum(axis=1, keepdims=True)
        share[np.isnan(rows[:, self.members[constraint]]).any(axis=1)] = 0.0
        return share

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
        if follow.splits:
            return self._shared(base, rows, follow, step)
        start = self._mend(base, follow)
        delta = np.where(follow.editable, np.nan_to_num(rows - base), 0.0)
        out = rows.copy()
        for f in follow.follower:
            out[:, f] = _on_step(start[:, f] + delta @ follow.response[f], base[:, f], step[f])
        return self._mend(out, follow, step)

    def _shared(self, base: Floats, rows: Floats, follow: Follow, step: Floats) -> Floats:
        """`settle` where parts share a movement: equality by equality, each exact before the next is looked at."""
        out = rows.copy()
        out[:, list(follow.follower)] = base[:, list(follow.follower)]
        for c in follow.order:
            weights, targets = self.matrix[c], list(follow.targets(c))
            members = np.flatnonzero(weights)
            before, now = base[:, members] @ weights[members], out[:, members] @ weights[members]
            off = (before < self.low[c] - EPS) | (before > self.high[c] + EPS)
            # What the targets have to take up: the movement of the others, and what is wrong from the beginning.
            needed = np.nan_to_num(np.where(off, (self.low[c] + self.high[c]) / 2, before) - now)
            share = np.ones((len(rows), 1)) if c in follow.settles else self._shares(base, c, follow)
            leading = share.argmax(axis=1)
            rest = needed.copy()
            for last in (False, True):  # the largest part comes last and takes what rounding leaves
                for k, f in enumerate(targets):
                    mine = (leading == k) == last
                    take = rest if last else share[:, k] * needed
                    value = _on_step(base[:, f] + take / weights[f], base[:, f], step[f])
                    mine &= ~np.isnan(value) & (needed != 0) & (share[:, k] > 0)
                    out[mine, f] = value[mine]
                    rest = rest - np.where(mine, (out[:, f] - np.nan_to_num(base[:, f])) * weights[f], 0.0)
        return out

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


def _on_step(values: Floats, base: Floats, step: float) -> Floats:
    """Values (n,) on the grid of a step; where that is no change from `base`, what was there."""
    snapped = np.round(np.round(values / step) * step, 10)
    kept: Floats = np.where(np.abs(snapped - base) > step / 2, snapped, base)
    return kept
