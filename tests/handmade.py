"""Small tables, stub classifiers and counterfactuals made by hand, for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.rules import Order
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task

#: steps may only rise; deep sleep is part of sleep; age stays; device is a level.
SCHEMA = FeatureSchema(
    (
        Feature("steps", "integer", unit="steps", low=0, high=20_000, step=100, direction="increase"),
        Feature("deep", "continuous", unit="min", low=0, high=200, step=0.5, max_change=60),
        Feature("sleep", "continuous", role="mutable", unit="min", low=100, high=700, step=1),
        Feature("age", "integer", role="immutable", unit="years", low=18, high=99, step=1),
        Feature("device", "categorical", levels=("watch", "ring", "band")),
    ),
    label="stress",
    classes=("high", "low"),
    target="low",
    rules=(Order(("deep", "sleep")),),
    max_changes=3,
)

#: Median and MAD by hand: steps 5000 and 2000, deep 40 and 10, sleep 400 and 20; age does not vary.
TRAIN = pd.DataFrame(
    {
        "steps": [1000, 3000, 5000, 7000, 9000],
        "deep": [20.0, 30.0, 40.0, 50.0, 60.0],
        "sleep": [360.0, 380.0, 400.0, 420.0, 440.0],
        "age": [50, 50, 50, 50, 50],
        "device": ["watch", "watch", "watch", "ring", "ring"],
        "stress": ["high", "high", "high", "low", "low"],
    }
)


class Stub:
    """A classifier that puts a row in the last class where `chance` (of a frame) is over a half."""

    def __init__(self, chance: Callable[[pd.DataFrame], Any], classes: Sequence[Any] = ("high", "low")) -> None:
        self.chance = chance
        self.classes_ = np.array(classes)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        last = np.asarray(self.chance(X), dtype=float)
        return np.column_stack([1 - last, last])

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]


def calm(X: pd.DataFrame) -> Any:
    """0.9 with at least 8000 steps or 60 min of deep sleep, 0.5 (a tie) at exactly 7000 steps, else 0.2."""
    good = (X["steps"] >= 8000) | (X["deep"] >= 60)
    return np.where(good, 0.9, np.where(X["steps"] == 7000, 0.5, 0.2))


def hand_task(schema: FeatureSchema = SCHEMA) -> Task:
    """The task of the hand-worked rows: stressed unless `calm`."""
    return Task(schema, TRAIN, Stub(calm))


BASE = {"steps": 4000, "deep": 30.0, "sleep": 400.0, "age": 50, "device": "watch"}


def answers(
    schema: FeatureSchema,
    factuals: Mapping[Any, Mapping[str, Any]],
    edits: Sequence[tuple[Any, int | None, Mapping[str, Any]]],
    target: Any = "low",
    **columns: Any,
) -> Counterfactuals:
    """Counterfactuals from (query, rank or None for an abstention, edits); verdict columns say the contrary
    of the truth wherever they can, so that a metric that trusts them fails."""
    rows = []
    for query, rank, edit in edits:
        verdict = {
            "query": query, "rank": rank, "generator": "hand", "target": target, "predicted": "nonsense",
            "probability": -1.0, "valid": False, "feasible": False, "plausible": False, "n_changed": 99,
            "proximity": -1.0, "seconds": 0.25, "reason": "" if rank else "sleep must stay as it is",
        }  # fmt: skip
        values = dict.fromkeys(schema.names, np.nan) if rank is None else {**factuals[query], **edit}
        rows.append({**verdict, **values, **columns})
    facts = pd.DataFrame.from_dict(dict(factuals), orient="index").rename_axis("query")
    frame = pd.DataFrame(rows)
    frame["rank"] = frame["rank"].astype(float)
    return Counterfactuals(frame, facts.assign(predicted="high", probability=0.2), schema)


def hand(*edits: Mapping[str, Any], base: Mapping[str, Any] = BASE, schema: FeatureSchema = SCHEMA) -> Counterfactuals:
    """One answer per edit, each to a query of its own (0, 1, ...) with the same factual."""
    return answers(schema, dict.fromkeys(range(len(edits)), base), [(i, 1, edit) for i, edit in enumerate(edits)])


def random_task(people: int = 200, d: int = 4, seed: int = 0) -> Task:
    """A made table of `d` numbers (steps of 0.1) and one level with a logistic regression on it."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(seed)
    names = [f"x{j}" for j in range(d)]
    table = pd.DataFrame(rng.normal(size=(people, d)).round(1), columns=names)
    table["kind"] = rng.choice(["a", "b", "c"], people)
    table["person"] = np.arange(people) // 2
    noise = rng.logistic(size=people) * 0.3
    table["y"] = np.where(table["x0"] + table["x1"] + (table["kind"] == "b") + noise > 0, "good", "bad")
    schema = FeatureSchema(
        (
            *(Feature(n, "continuous", unit="u", low=-5, high=5, step=0.1) for n in names),
            Feature("kind", "categorical", levels=("a", "b", "c")),
        ),
        label="y",
        classes=("bad", "good"),
        target="good",
        person="person",
    )
    encode = ColumnTransformer([("numbers", StandardScaler(), names), ("levels", OneHotEncoder(), ["kind"])])
    model = make_pipeline(encode, LogisticRegression()).fit(table[schema.names], table["y"])
    return Task(schema, table, model)


def random_answers(task: Task, queries: int = 30, n: int = 1, reach: float = 1.5, seed: int = 1) -> Counterfactuals:
    """Answers that move one to three random features of made factuals, some of them valid; every
    seventh query abstains."""
    rng = np.random.default_rng(seed)
    schema, names = task.schema, task.schema.names
    facts = {
        q: {**{m: float(v) for m, v in zip(names, rng.normal(-0.5, 1, len(names)).round(1), strict=False)}, "kind": "a"}
        for q in range(queries)
    }
    edits: list[tuple[Any, int | None, Mapping[str, Any]]] = []
    for query, base in facts.items():
        if query % 7 == 6:
            edits.append((query, None, {}))
            continue
        for rank in range(1, n + 1):
            chosen = rng.choice(names, rng.integers(1, 4), replace=False)
            moved = {c: round(base[c] + reach * rng.uniform(0.2, 1), 1) for c in chosen if c != "kind"}
            edits.append((query, rank, moved | ({"kind": rng.choice(["b", "c"])} if "kind" in chosen else {})))
    return answers(schema, facts, edits, target="good")
