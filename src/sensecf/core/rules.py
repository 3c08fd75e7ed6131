"""Rules over features, as data: order, total, linear, implication.

A rule is a frozen dataclass that is read from and written to TOML. `RuleSet` is the compiled
form over encoded rows (see `codec`): it judges rows, says which feature *follows* when another
one is edited (a whole follows its parts), and gives the interval in which one feature may move
while everything else stays put. The interval is what makes a sampled edit feasible by
construction instead of by rejection.

A rule with a missing member does not apply to that row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sensecf.core.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Absolute slack when a rule is judged: decimals such as 0.1 + 0.2 are not exact in binary.
EPS = 1e-6


@dataclass(frozen=True)
class Order:
    """`features[0] <= features[1] <= ...` in every row (min <= mean <= max)."""

    features: tuple[str, ...]
    type: ClassVar[str] = "order"

    def members(self) -> tuple[str, ...]:
        return self.features

    def __str__(self) -> str:
        return " <= ".join(map(str, self.features))


@dataclass(frozen=True)
class Total:
    """The parts sum to the whole (sleep stages to sleep), within `tolerance`.

    `whole` is a feature, which then follows its parts when one of them is edited, or a number
    (shares that sum to 100). Where the whole cannot move, the largest part that can move
    takes up the difference.
    """

    parts: tuple[str, ...]
    whole: str | float
    tolerance: float = 0.0
    type: ClassVar[str] = "total"

    def members(self) -> tuple[str, ...]:
        return (*self.parts, self.whole) if isinstance(self.whole, str) else self.parts

    def __str__(self) -> str:
        return f"{' + '.join(map(str, self.parts))} = {self.whole}"


@dataclass(frozen=True)
class Linear:
    """`sum(weight * feature) op bound`; for `==`, within `tolerance`."""

    weights: Mapping[str, float]
    op: Literal["<=", ">=", "=="]
    bound: float
    tolerance: float = 0.0
    type: ClassVar[str] = "linear"

    def members(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def __str__(self) -> str:
        terms = " + ".join(f"{_short(weight)} {name}" for name, weight in self.weights.items())
        return f"{terms} {self.op} {_short(self.bound)}"


@dataclass(frozen=True)
class Condition:
    """One comparison of a feature with a value, or with a list of values for `in`."""

    feature: str
    op: Literal["<", "<=", ">", ">=", "==", "!=", "in"]
    value: Any

    def __str__(self) -> str:
        return f"{self.feature} {self.op} {self.value}"


@dataclass(frozen=True)
class Implication:
    """Where the condition `when` holds, `then` must hold too."""

    when: Condition
    then: Condition
    type: ClassVar[str] = "implication"

    def members(self) -> tuple[str, ...]:
        return (self.when.feature, self.then.feature)

    def __str__(self) -> str:
        return f"if {self.when} then {self.then}"


Rule = Order | Total | Linear | Implication


def _short(number: Any) -> str:
    """A number without needless decimals; anything else, which is refused later, as it is."""
    return f"{number:g}" if isinstance(number, int | float) else repr(number)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list of features")
    return tuple(value)


def rule_from_dict(data: Any) -> Rule:
    """Read one `[[rules]]` entry of a schema file. Raises `InputError` on anything unknown."""
    if not isinstance(data, Mapping):
        raise InputError(f"rule {data!r} is no table; write it as a [[rules]] entry, see docs/schema.md")
    entry = dict(data)
    kind = entry.pop("type", None)
    try:
        if kind == "order":
            return Order(_names(entry.pop("features")), **entry)
        if kind == "total":
            return Total(_names(entry.pop("parts")), **entry)
        if kind == "linear":
            return Linear(dict(entry.pop("weights")), **entry)
        if kind == "implication":
            return Implication(Condition(**entry.pop("if")), Condition(**entry.pop("then")), **entry)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"rule {dict(data)}: {error}; see docs/schema.md for the fields of each rule") from error
    raise InputError(f"rule type {kind!r} is unknown: use order, total, linear or implication")


def rule_to_dict(rule: Rule) -> dict[str, Any]:
    """The `[[rules]]` entry of a rule; the inverse of `rule_from_dict`."""
    match rule:
        case Order(features):
            return {"type": "order", "features": list(features)}
        case Total(parts, whole, tolerance):
            return {"type": "total", "parts": list(parts), "whole": whole, "tolerance": tolerance}
        case Linear(weights, op, bound, tolerance):
            return {"type": "linear", "weights": dict(weights), "op": op, "bound": bound, "tolerance": tolerance}
        case Implication(when, then):
            return {"type": "implication", "if": vars(when).copy(), "then": vars(then).copy()}


def _holds(values: Floats, op: str, value: Any) -> Bools:
    """Whether each encoded value meets the comparison; a missing value never does."""
    with np.errstate(invalid="ignore"):
        match op:
            case "<":
                return values < value - EPS
            case "<=":
                return values <= value + EPS
            case ">":
                return values > value + EPS
            case ">=":
                return values >= value - EPS
            case "==":
                return np.abs(values - value) <= EPS
            case "!=":
                return np.abs(values - value) > EPS
            case _:
                listed: Bools = (np.abs(values[..., None] - np.asarray(value, dtype=float)) <= EPS).any(axis=-1)
                return listed


@dataclass(frozen=True)
class _Test:
    """A `Condition` over a column of encoded rows."""

    column: int
    op: str
    value: Any

    def holds(self, values: Floats) -> Bools:
        return _holds(values, self.op, self.value)


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
    implications: list[tuple[int, _Test, _Test]]
    _follow_cache: dict[bytes, Follow] = field(default_factory=dict, repr=False)

    @classmethod
    def compile(cls, rules: Sequence[Rule], columns: Mapping[str, int], encode: Any) -> RuleSet:
        """Compile rules. `encode(feature, value)` gives the encoded value of a condition."""
        matrix: list[Floats] = []
        low: list[float] = []
        high: list[float] = []
        owner: list[int] = []
        equalities: list[tuple[int, int | None, list[int]]] = []
        implications: list[tuple[int, _Test, _Test]] = []

        def add(weights: Mapping[str, float], lo: float, hi: float, rule: int) -> int:
            row = np.zeros(len(columns))
            for name, weight in weights.items():
                row[columns[name]] += weight
            matrix.append(row)
            low.append(lo)
            high.append(hi)
            owner.append(rule)
            return len(matrix) - 1

        for number, rule in enumerate(rules):
            match rule:
                case Order(features):
                    for a, b in pairwise(features):
                        add({a: 1.0, b: -1.0}, -np.inf, 0.0, number)
                case Total(parts, whole, tolerance):
                    weights = dict.fromkeys(parts, 1.0)
                    if isinstance(whole, str):
                        weights[whole] = -1.0
                        constant = 0.0
                    else:
                        constant = float(whole)
                    row = add(weights, constant - tolerance, constant + tolerance, number)
                    head = columns[whole] if isinstance(whole, str) else None
                    equalities.append((row, head, [columns[name] for name in parts]))
                case Linear(weights, op, bound, tolerance):
                    lo = bound - tolerance if op in ("==", ">=") else -np.inf
                    hi = bound + tolerance if op in ("==", "<=") else np.inf
                    row = add(weights, lo, hi, number)
                    if op == "==":
                        equalities.append((row, None, [columns[name] for name in weights]))
                case Implication(when, then):
                    tests = [_Test(columns[c.feature], c.op, encode(c.feature, c.value)) for c in (when, then)]
                    implications.append((number, tests[0], tests[1]))

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
            np.array(matrix).reshape(-1, width),
            np.array(low),
            np.array(high),
            np.array(owner, dtype=np.intp),
            equalities,
            implications,
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
