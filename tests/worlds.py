"""Small made worlds for property tests: a schema, a table that keeps its rules, people, classifiers.

A world is built of blocks (an order, a total, totals in a chain, ...). Each makes its columns in such a
way that every row keeps the block's rules; further rules take their bounds from the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from checker import breaks, value_of
from sensecf.core.rules import Condition, Implication, Linear, Order, Ratio, Rule, Total
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task

#: What a feature may be beside free.
HABITS = (
    *("free", "free", "free", "immutable", "mutable", "protected"),
    *("increase", "decrease", "max_change", "blanks", "least_change"),
)
#: Steps and their decimals.
STEPS = ((0.05, 2), (0.1, 1), (0.5, 1), (1.0, 0), (5.0, 0))

Block = tuple[list[Feature], list[np.ndarray], list[Rule]]


@dataclass(frozen=True)
class Plan:
    """What hypothesis draws of a world."""

    blocks: tuple[str, ...]
    extra: tuple[str, ...] = ()
    habits: tuple[str, ...] = ()
    mess: frozenset[str] = frozenset()
    classes: tuple[Any, ...] = ("no", "yes")
    max_changes: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class World:
    """`train` has the features and the label and keeps every rule; `people` are asked about."""

    plan: Plan
    schema: FeatureSchema
    train: pd.DataFrame
    people: pd.DataFrame

    def task(self, kind: str = "linear") -> Task:
        """The task with a random classifier of a kind; see `RandomClassifier`."""
        return Task(self.schema, self.train, RandomClassifier(self.schema, self.train, kind, self.plan.seed))

    def __repr__(self) -> str:
        people = self.people.to_dict("records")
        return f"World({self.plan}, rules={[str(r) for r in self.schema.rules]}, people={people})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # hypothesis would print every training row


# --- blocks -------------------------------------------------------------------------------


def _numeric(name: str, values: np.ndarray, step: float, rng: np.random.Generator, kind: str = "continuous") -> Feature:
    """A feature whose range is what the values show and a little more, not always ending on a step."""
    below, above = rng.choice([0.0, 0.3, 1.0, 4.0], 2) * step
    low, high = float(values.min() - below), float(values.max() + above)
    return Feature(name, kind, low=round(low, 6), high=round(high, 6), step=step)  # type: ignore[arg-type]


def _cells(rng: np.random.Generator, n: int, most: int = 20, least: int = 0) -> np.ndarray:
    return rng.integers(least, least + rng.integers(1, most + 1) + 1, n)


def _number(name: str, n: int, rng: np.random.Generator) -> Block:
    if rng.random() < 0.5:
        step = int(rng.choice([1, 2, 10]))
        values = _cells(rng, n, 30, int(rng.integers(-5, 5))) * step
        return [_numeric(name, values, step, rng, "integer")], [values], []
    step, decimals = STEPS[rng.integers(len(STEPS))]
    values = (_cells(rng, n, 40, int(rng.integers(-9, 9))) * step).round(decimals)
    return [_numeric(name, values, step, rng)], [values], []


def _level(name: str, n: int, rng: np.random.Generator) -> Block:
    choices = (("red", "green", "blue", "grey"), (3, 1, 2), (0, 1), (False, True), (0.5, 1.5), ("only",))
    levels = choices[rng.integers(len(choices))]
    kind = "binary" if len(levels) == 2 else "categorical"
    values = np.array(levels)[rng.integers(0, len(levels), n)]
    return [Feature(name, kind, levels=levels)], [values], []  # type: ignore[arg-type]


def _order(name: str, n: int, rng: np.random.Generator) -> Block:
    step, decimals = STEPS[rng.integers(len(STEPS))]
    count = int(rng.integers(2, 4))
    values = np.sort(rng.integers(0, 30, (n, count)), axis=1) * step
    columns = [values[:, i].round(decimals) for i in range(count)]
    features = [_numeric(f"{name}{i}", column, step, rng) for i, column in enumerate(columns)]
    return features, columns, [Order(tuple(f.name for f in features))]


def _total(name: str, n: int, rng: np.random.Generator) -> Block:
    """Parts and their whole; the whole is sometimes rounded more coarsely, within a tolerance."""
    step, decimals = STEPS[rng.integers(len(STEPS))]
    parts = [(_cells(rng, n) * step).round(decimals) for _ in range(rng.integers(2, 4))]
    whole, whole_step, tolerance = np.sum(parts, axis=0).round(decimals), step, 0.0
    if rng.random() < 0.25:
        whole_step, tolerance = 4 * step, 2 * step
        whole = (np.round(whole / whole_step) * whole_step).round(decimals)
    features = [_numeric(f"{name}p{i}", part, step, rng) for i, part in enumerate(parts)]
    features.append(_numeric(f"{name}w", whole, whole_step, rng))
    rule = Total(tuple(f.name for f in features[:-1]), features[-1].name, round(tolerance, 6))
    return features, [*parts, whole], [rule]


def _chain(name: str, n: int, rng: np.random.Generator) -> Block:
    """Totals whose wholes are parts of the next one, declared in any order."""
    step, decimals = STEPS[rng.integers(len(STEPS))]
    parts = [(_cells(rng, n, 8) * step).round(decimals) for _ in range(2)]
    columns, names, rules = list(parts), [f"{name}a", f"{name}b"], []
    inner = names[:]
    for depth in range(int(rng.integers(2, 4))):
        whole = np.sum([columns[names.index(p)] for p in inner], axis=0).round(decimals)
        extra = (_cells(rng, n, 8) * step).round(decimals)
        columns += [whole, extra]
        names += [f"{name}w{depth}", f"{name}x{depth}"]
        rules.append(Total(tuple(inner), names[-2]))
        inner = names[-2:]
    features = [_numeric(m, column, step, rng) for m, column in zip(names, columns, strict=True)]
    return features, columns, [rules[i] for i in rng.permutation(len(rules))]


def _share(name: str, n: int, rng: np.random.Generator) -> Block:
    """Parts that sum to a number."""
    cuts = np.sort(rng.integers(0, 21, (n, 2)), axis=1) * 5
    columns = [cuts[:, 0], cuts[:, 1] - cuts[:, 0], 100 - cuts[:, 1]]
    features = [_numeric(f"{name}{i}", column, 5, rng, "integer") for i, column in enumerate(columns)]
    return features, columns, [Total(tuple(f.name for f in features), 100)]


def _overlap(name: str, n: int, rng: np.random.Generator) -> Block:
    """Two totals that have a part in common."""
    a, b, c = (_cells(rng, n) for _ in range(3))
    columns = [a, b, c, a + b, a + c]
    features = [_numeric(f"{name}{m}", v, 1, rng, "integer") for m, v in zip("abcde", columns, strict=True)]
    x = [f.name for f in features]
    return features, columns, [Total((x[0], x[1]), x[3]), Total((x[0], x[2]), x[4])]


def _balance(name: str, n: int, rng: np.random.Generator) -> Block:
    """A linear equality with weights other than one."""
    u, v = _cells(rng, n), _cells(rng, n)
    columns = [u, v, 2 * u - v + 7]
    features = [_numeric(f"{name}{m}", c, 1, rng, "integer") for m, c in zip("uvz", columns, strict=True)]
    x = [f.name for f in features]
    return features, columns, [Linear({x[0]: 2.0, x[1]: -1.0, x[2]: -1.0}, "==", -7.0)]


def _ratio(name: str, n: int, rng: np.random.Generator) -> Block:
    """A quotient within bounds, of a denominator that is never 0."""
    under = rng.integers(5, 30, n)
    over = rng.integers(np.ceil(0.5 * under), 2 * under + 1)
    features = [_numeric(f"{name}{m}", c, 1, rng, "integer") for m, c in zip("nd", (over, under), strict=True)]
    return features, [over, under], [Ratio(features[0].name, features[1].name, 0.5, 2.0)]


BLOCKS: dict[str, Callable[[str, int, np.random.Generator], Block]] = {
    "number": _number,
    "level": _level,
    "order": _order,
    "total": _total,
    "chain": _chain,
    "share": _share,
    "overlap": _overlap,
    "balance": _balance,
    "ratio": _ratio,
}


# --- the whole ----------------------------------------------------------------------------


def build(plan: Plan, people: int, asked: int) -> World:
    """The world of a plan: `people` training rows and `asked` rows to ask about."""
    rng = np.random.default_rng(plan.seed)
    n = people + asked
    features: list[Feature] = []
    columns: list[np.ndarray] = []
    rules: list[Rule] = []
    for number, block in enumerate(plan.blocks):
        made, values, kept = BLOCKS[block](f"{block[0]}{number}", n, rng)
        features += made
        columns += values
        rules += kept
    for at, habit in enumerate(plan.habits):
        spot = (7 * at + plan.seed) % len(features)
        features[spot] = _with_habit(features[spot], habit)
    table = pd.DataFrame({f.name: column for f, column in zip(features, columns, strict=True)})
    table = _blanks(table, features, rng)
    schema = FeatureSchema(
        tuple(features), "label", plan.classes, plan.classes[-1], rules=tuple(rules), max_changes=plan.max_changes
    )
    for kind in plan.extra:
        rule = _linear(schema, table, rng) if kind == "linear" else _implication(schema, table, rng)
        schema = replace(schema, rules=(*schema.rules, rule))
    train = table.iloc[:people].reset_index(drop=True)
    train["label"] = np.array(plan.classes)[np.arange(people) % len(plan.classes)]
    asked_rows = _messy(schema, table.iloc[people:].reset_index(drop=True), plan.mess, rng)
    return World(plan, schema, train, asked_rows)


def _with_habit(feature: Feature, habit: str) -> Feature:
    match habit:
        case "immutable" | "mutable":
            return replace(feature, role=habit)  # type: ignore[arg-type]
        case "increase" | "decrease":
            return replace(feature, direction=habit)  # type: ignore[arg-type]
        case "protected":
            return replace(feature, protected=True)
        case "max_change":
            return replace(feature, max_change=6 * feature.step) if feature.step else feature
        case "least_change":
            room = feature.numeric and feature.max_change is None
            return replace(feature, least_change=3 * feature.step) if room and feature.step else feature
        case "blanks":
            return replace(feature, missing=True)
    return feature


def _blanks(table: pd.DataFrame, features: list[Feature], rng: np.random.Generator) -> pd.DataFrame:
    """One cell in ten empty, where the schema says that blanks occur."""
    for feature in features:
        empty = rng.random(len(table)) < 0.1
        if feature.missing:
            blank = np.nan if feature.numeric else None
            table[feature.name] = table[feature.name].astype(float if feature.numeric else object).mask(empty, blank)
    return table


def _linear(schema: FeatureSchema, table: pd.DataFrame, rng: np.random.Generator) -> Rule:
    """An inequality over up to three numbers that the table just keeps."""
    numeric = [f.name for f in schema.features if f.numeric]
    chosen = rng.choice(numeric, min(len(numeric), int(rng.integers(1, 4))), replace=False)
    weights = {str(m): float(rng.choice([-2.0, -1.0, 0.5, 1.0])) for m in chosen}
    total = sum(table[m].astype(float) * w for m, w in weights.items())
    assert isinstance(total, pd.Series)
    if rng.random() < 0.5:
        return Linear(weights, "<=", float(total.fillna(total.min()).max()))
    return Linear(weights, ">=", float(total.fillna(total.max()).min()))


def _implication(schema: FeatureSchema, table: pd.DataFrame, rng: np.random.Generator) -> Rule:
    """If one feature is on one side, another one is where the table has it."""
    a, b = (schema.features[i] for i in rng.choice(len(schema), 2, replace=len(schema) < 2))
    when = _side(a, table, rng)
    meant = [not breaks(schema, Implication(when, Condition(b.name, "in", [])), row) for row in _rows(table)]
    there = [value_of(b, cell) for cell, spared in zip(table[b.name], meant, strict=True) if not spared]
    if not b.numeric:
        return Implication(when, Condition(b.name, "in", sorted(set(there), key=str) or list(b.levels)))
    op = str(rng.choice(["<=", ">="]))
    bound = (max(there) if op == "<=" else min(there)) if there else (b.high if op == "<=" else b.low)
    return Implication(when, Condition(b.name, op, bound))  # type: ignore[arg-type]


def _side(feature: Feature, table: pd.DataFrame, rng: np.random.Generator) -> Condition:
    if not feature.numeric:
        return Condition(feature.name, "==", feature.levels[0])
    middle = float(table[feature.name].astype(float).median())
    return Condition(feature.name, str(rng.choice(["<", "<=", ">", ">=", "!="])), middle)  # type: ignore[arg-type]


def _messy(schema: FeatureSchema, people: pd.DataFrame, mess: frozenset[str], rng: np.random.Generator) -> pd.DataFrame:
    """People as they come: blanks, values between two steps, and rows that break rules, inside the ranges."""
    people = people.copy()
    for feature in schema.features:
        hit = rng.random((3, len(people))) < 0.3
        column = people[feature.name]
        if "broken" in mess:
            other = column.sample(len(column), random_state=int(rng.integers(2**31))).to_numpy()
            column = column.where(~hit[0], other)
        if "between" in mess and feature.kind == "continuous":
            assert feature.step is not None
            moved = (column.astype(float) + rng.uniform(-0.4, 0.4, len(column)) * feature.step).round(4)
            column = column.where(~hit[1], moved.clip(feature.low, feature.high))
        if "blank" in mess and feature.missing:
            column = column.astype(float if feature.numeric else object).mask(hit[2], np.nan)
        people[feature.name] = column
    return people


def _rows(table: pd.DataFrame) -> list[dict[Any, Any]]:
    return table.to_dict("records")


# --- classifiers --------------------------------------------------------------------------

KINDS = ("linear", "steps", "threshold", "rare")


class RandomClassifier:
    """Random, quick, and not the product's: reads raw cells by name, knows nothing of the codec.

    `linear`: a softmax of random weights. `steps`: votes of four random cuts per class, so ties abound.
    `threshold`: two classes, the last one from a probability of 0.35 on, so that `predict` is not the
    likelier class; with more classes, the first class only above 0.6. `rare`: nearly everyone is in
    the first class.
    """

    def __init__(self, schema: FeatureSchema, train: pd.DataFrame, kind: str, seed: int) -> None:
        rng = np.random.default_rng([seed, 7])
        self.schema, self.kind = schema, kind
        self.classes_ = np.array(schema.classes)
        self.rows_asked = 0
        self._levels = {f.name: rng.normal(size=len(f.levels)) for f in schema.features if not f.numeric}
        self._centre = {f.name: (0.0, 1.0) for f in schema.features}
        points = self._points(train)
        means, spreads = points.mean(axis=0), points.std(axis=0)
        self._centre = {
            f.name: (m, s if s > 0 else 1.0) for f, m, s in zip(schema.features, means, spreads, strict=True)
        }
        d, classes = len(schema), len(schema.classes)
        self._weights = rng.normal(size=(d, classes)) * (rng.random((d, 1)) < 0.7)
        self._cuts = rng.normal(size=(4, classes)) * 0.7
        self._columns = rng.integers(0, d, (4, classes))
        score = self._score(train)
        self._rare = float(np.quantile(score, 0.95))

    def _points(self, frame: pd.DataFrame) -> np.ndarray:
        out = np.zeros((len(frame), len(self.schema)))
        for j, feature in enumerate(self.schema.features):
            column = frame[feature.name]
            if not feature.numeric:
                table = dict(zip(feature.levels, self._levels[feature.name], strict=True))
                column = column.map({cell: table[value_of(feature, cell)] for cell in column.dropna().unique()})
            centre, spread = self._centre[feature.name]
            values = (column.to_numpy(dtype=float, na_value=np.nan) - centre) / spread
            out[:, j] = np.where(np.isnan(values), 0.0, values)
        return out

    def _score(self, frame: pd.DataFrame) -> np.ndarray:
        # Added up column by column: a matrix product rounds otherwise for one row than for many, and `rare` cuts at a
        # score that a row has.
        score: np.ndarray = (self._points(frame) * self._weights[:, 0]).cumsum(axis=1)[:, -1]
        return score

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        self.rows_asked += len(X)
        points, classes = self._points(X), len(self.classes_)
        if self.kind == "steps":
            votes = (points[:, self._columns] > self._cuts).sum(axis=1) + 1.0
            return votes / votes.sum(axis=1, keepdims=True)
        if self.kind == "rare":
            last = np.where(self._score(X) > self._rare, 0.7, 0.01)
            others = np.repeat((1 - last)[:, None] / (classes - 1), classes - 1, axis=1)
            return np.column_stack([others, last])
        logits = points @ self._weights
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        proba = self.predict_proba(X)
        best = proba.argmax(axis=1)
        if self.kind == "threshold" and len(self.classes_) == 2:
            best = (proba[:, 1] >= 0.35).astype(int)
        elif self.kind == "threshold":
            best = np.where((best == 0) & (proba[:, 0] < 0.6), 1 + proba[:, 1:].argmax(axis=1), best)
        return self.classes_[best]
