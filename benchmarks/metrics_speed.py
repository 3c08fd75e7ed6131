"""How long the metric suite takes: `python benchmarks/metrics_speed.py` (some minutes on two cores).

10,000 answers x 50 features against 4,000 training rows, with judges and retrained models: every metric
of `metrics.summarise`, then each metric alone with what the suite has fitted. All answers are valid. The
bar is 30 s for the suite.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import sensecf
from sensecf import metrics
from sensecf.core.counterfactuals import VERDICT_COLUMNS, Counterfactuals
from sensecf.core.task import Task
from sensecf.metrics.robust import retrained

BAR = 30.0
ANSWERS, FEATURES, ROWS, EDITS = 10_000, 50, 4_000, 6


def made_up(classifier: str, answers: int, features: int, rows: int, seed: int = 0) -> tuple[Task, Counterfactuals]:
    """A table of correlated numbers of 400 people, a classifier on it, and rows that move six features each."""
    rng = np.random.default_rng(seed)

    def draw(n: int) -> pd.DataFrame:
        hidden = rng.normal(size=(n, 8))
        values = hidden @ mix + rng.normal(size=(n, features))
        return pd.DataFrame(values.round(2), columns=[f"f{j}" for j in range(features)])

    mix = rng.normal(size=(8, features))
    frame = draw(rows)
    logit = frame.to_numpy()[:, :6] @ rng.normal(size=6) / 3
    frame["y"] = np.where(logit + rng.logistic(size=rows) > 0, "yes", "no")
    frame["person"] = np.arange(rows) // 10
    schema = sensecf.infer_schema(frame, "y", group="person")
    task = Task(schema, frame, sensecf.fit_classifier(classifier, schema, frame))
    before = draw(answers)
    after = before.to_numpy().copy()
    moved = np.argsort(rng.random(after.shape), axis=1)[:, :EDITS]
    np.put_along_axis(after, moved, rng.normal(size=moved.shape).round(2) * 2, axis=1)
    low = [f.low for f in schema.features]
    high = [f.high for f in schema.features]
    before, after = before.clip(low, high, axis=1), after.clip(low, high)
    reached = np.asarray(task.classifier.predict(pd.DataFrame(after, columns=schema.names)))
    verdicts: dict[str, Any] = {
        "query": np.arange(answers), "rank": pd.array([1] * answers, dtype="Int64"), "generator": "made up",
        "target": reached, "predicted": reached, "probability": 0.5, "valid": True, "feasible": True, "plausible": True,
        "n_changed": EDITS, "proximity": 1.0, "seconds": 0.0, "reason": "",
    }  # fmt: skip
    frame = pd.concat(
        [pd.DataFrame(verdicts, columns=list(VERDICT_COLUMNS)), pd.DataFrame(after, columns=schema.names)], axis=1
    )
    facts = before.rename_axis("query").assign(predicted="no", probability=0.4)
    return task, Counterfactuals(frame, facts, schema, cost={"classifier_rows": 10})


def seconds(function: Any) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def measure(classifier: str) -> pd.DataFrame:
    """Seconds of the suite, then of each metric alone, the slowest first."""
    task, cfs = made_up(classifier, ANSWERS, FEATURES, ROWS)
    judges = {"logistic": sensecf.fit_classifier("logistic", task.schema, task.train.iloc[::2])}
    models = retrained(task, "bootstrap", 3)
    groups = pd.Series(np.arange(ANSWERS) // 20)
    suite = seconds(lambda: metrics.summarise(cfs, task, groups=groups, judges=judges, models=models))
    scored = metrics.read(cfs, task, judges=judges, models=models)
    alone = {name: seconds(partial(m.of, scored)) for name, m in metrics.METRICS.items() if m.function is not None}
    ordered = dict(sorted(alone.items(), key=lambda entry: -entry[1]))
    rows = {"the whole suite": suite, **ordered}
    return pd.DataFrame(
        {"metric": list(rows), "classifier": classifier, "seconds": [round(s, 2) for s in rows.values()]}
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classifiers", default="logistic,xgboost,random-forest,svm,mlp")
    options = parser.parse_args()
    found = pd.concat([measure(name) for name in options.classifiers.split(",")], ignore_index=True)
    print(found[found["seconds"] >= 0.2].to_string(index=False))
    suites = found[found["metric"] == "the whole suite"]
    print(f"bar: {BAR:g} s; the slowest suite takes {suites['seconds'].max():.1f} s")
