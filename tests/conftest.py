"""Hypothesis profiles, and tasks that several test files share."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

from sensecf.core.rules import Condition, Implication, Order, Total
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task

settings.register_profile(
    "local", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
# The same cases at every run, so that a change is judged and not the dice.
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def numeric_task() -> Task:
    """Four numbers, a logistic regression on x0 + x1; x3 is noise."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    names = ["x0", "x1", "x2", "x3"]
    table = pd.DataFrame(rng.normal(size=(240, 4)).round(1), columns=names)
    noise = rng.logistic(size=240) * 0.3
    table["y"] = np.where(table["x0"] + table["x1"] + 0.3 * table["x2"] + noise > 0, "good", "bad")
    schema = FeatureSchema(
        tuple(Feature(name, "continuous", low=-5, high=5, step=0.1) for name in names), "y", ("bad", "good"), "good"
    )
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(table[names], table["y"])
    return Task(schema, table, model)


@pytest.fixture(scope="session")
def mixed_task() -> Task:
    """Nights of sleep: levels, blanks, whole numbers, an order, a total, an implication; a shallow tree."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(1)
    n = 300
    deep, rem, light = (rng.integers(low, high, n) * 5.0 for low, high in ((4, 24), (6, 24), (30, 60)))
    least = rng.integers(40, 70, n)
    table = pd.DataFrame(
        {
            "age": rng.integers(20, 80, n),
            "deep": deep,
            "rem": rem,
            "light": light,
            "sleep": deep + rem + light,
            "pulse_min": least,
            "pulse_mean": least + rng.integers(3, 20, n),
            "steps": np.where(rng.random(n) < 0.1, np.nan, rng.integers(10, 180, n) * 100.0),
            "coffee": rng.integers(0, 6, n),
            "device": rng.choice(["watch", "ring", "band"], n),
            "pill": rng.choice(["no", "yes"], n),
        }
    )
    table.loc[table["pill"] == "yes", "coffee"] = table["coffee"].clip(upper=2)
    score = (table["deep"] - 60) / 25 + (table["steps"].fillna(9000) - 9000) / 4000 - (table["coffee"] - 2) / 2
    table["stress"] = np.where(score + rng.normal(size=n) * 0.5 > 0, "low", "high")
    schema = FeatureSchema(
        (
            Feature("age", "integer", role="immutable", unit="years", low=18, high=99, step=1),
            Feature("deep", "continuous", unit="min", low=0, high=180, step=5),
            Feature("rem", "continuous", unit="min", low=0, high=180, step=5),
            Feature("light", "continuous", unit="min", low=60, high=420, step=5),
            Feature("sleep", "continuous", role="mutable", unit="min", low=120, high=660, step=5),
            Feature("pulse_min", "integer", role="mutable", unit="bpm", low=30, high=120, step=1),
            Feature("pulse_mean", "integer", role="mutable", unit="bpm", low=30, high=140, step=1),
            Feature("steps", "integer", low=0, high=25_000, step=100, direction="increase", missing=True),
            Feature("coffee", "integer", unit="cups", low=0, high=8, step=1),
            Feature("device", "categorical", levels=("watch", "ring", "band")),
            Feature("pill", "binary", levels=("no", "yes")),
        ),
        label="stress",
        classes=("high", "low"),
        target="low",
        rules=(
            Total(("deep", "rem", "light"), "sleep"),
            Order(("pulse_min", "pulse_mean")),
            Implication(Condition("pill", "==", "yes"), Condition("coffee", "<=", 2)),
        ),
    )
    numbers = [f.name for f in schema.features if f.numeric]
    encode = ColumnTransformer(
        [("numbers", SimpleImputer(), numbers), ("levels", OneHotEncoder(handle_unknown="ignore"), ["device", "pill"])]
    )
    tree = DecisionTreeClassifier(max_depth=5, min_samples_leaf=8, random_state=0)
    return Task(schema, table, make_pipeline(encode, tree).fit(table[schema.names], table["stress"]))


@pytest.fixture
def thimble(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the embedded model is built by name it is a small one that is trained for seconds: for what is true of
    any model, however well it learned."""
    from sensecf.generators.tiny.tiny import Recipe, Tiny
    from sensecf.generators.tiny.tinylm import Shape

    small = Recipe(Shape(width=32, layers=2, heads=2), pairs=200, epochs=2, batch=32, rounds=2, round_queries=32)
    monkeypatch.setitem(Tiny.__init__.__kwdefaults__, "recipe", small)
