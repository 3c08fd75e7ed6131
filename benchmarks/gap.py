"""How far `tiny` and `search` are from the proven minimum: `python benchmarks/gap.py` (about a quarter of an hour).

Held-out rows of two tables under a logistic regression and a random forest of 50 trees of depth 6. `exact` proves
the cheapest row by `verify.cost` without plausibility; the answers of `sensecf.explain` are held against it, asked
without a price on plausibility (the same objective) and with it (the default; the gap then is what plausibility
costs). The gap of an answer is (price - minimum) / minimum, over requests that have a proven minimum and an answer.
Figures go to benchmarks/gap.json, a Markdown table to stdout and, with `--write`, to docs/results/methods.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sections import replace_section
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

import sensecf
from sensecf.classifiers.fit import Balanced, RowEncoder
from sensecf.core.files import write_json
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.core.verify import cost
from sensecf.generators import Context, build
from sensecf.generators.exact.exact import Exact
from sensecf.runs.experiment import Setup, experiment, prepared
from sensecf.runs.run import versions

STORE = Path(__file__).resolve().parent / "gap.json"
TABLES = ("simulated", "heart_disease_cleveland")
CLASSIFIERS = ("logistic", "forest-50x6")
GENERATORS = ("tiny", "search")
DIALS = (0.0, 1.0)
#: An answer this close to the minimum, relatively, is at it.
SAME = 1e-4


def classifier_of(name: str, schema: FeatureSchema) -> Any:
    """An unfitted classifier: one of ours by name, or the forest of the bar."""
    if name != "forest-50x6":
        return name
    numbers = [f.name for f in schema.features if f.numeric]
    levels = {f.name: list(f.levels) for f in schema.features if not f.numeric}
    forest = RandomForestClassifier(n_estimators=50, max_depth=6, random_state=0)
    return Pipeline([("rows", RowEncoder(numbers, levels)), ("model", Balanced(forest))])


def requests(table: str, classifier: str, limit: int) -> tuple[Task, pd.DataFrame]:
    """The task, and the held-out rows that the classifier does not put in the target class."""
    data = sensecf.datasets.load(table)
    made = experiment(prepared(data.frame, data.schema, Setup(classifier_of(classifier, data.schema))))
    at = made.asked()
    return made.task, made.table.held_out.iloc[at[made.inside[at]][:limit]]


def measure(tables: list[str], classifiers: list[str], limit: int, seconds: float) -> Iterator[dict[str, Any]]:
    """One record per table, classifier, generator and dial."""
    for table in tables:
        for classifier in classifiers:
            task, people = requests(table, classifier, limit)
            query = make_query(task, people)
            exact = Exact(task, seconds=seconds)
            best = exact.propose(query, np.random.default_rng(0)).rows
            proofs = exact.gaps
            shared = {
                "table": table,
                "classifier": classifier,
                "requests": len(people),
                "proven": float(proofs["proven"].mean()),
                "proof_seconds_median": round(float(proofs["seconds"].median()), 3),
                "proof_seconds_max": round(float(proofs["seconds"].max()), 3),
                "minimum": round(float(proofs.loc[proofs["proven"], "price"].mean()), 4),
            }
            for dial in DIALS:
                for name in GENERATORS:
                    generator = build(name, task, Context(plausibility=dial))
                    began = time.perf_counter()
                    answers = sensecf.explain(task, generator, people, plausibility=dial, hold=0.0)
                    took = (time.perf_counter() - began) / len(people)
                    found = gaps(task, query, people, answers, best, proofs)
                    yield {**shared, "generator": name, "plausibility": dial, "seconds": round(took, 4), **found}


def gaps(
    task: Task, query: Query, people: pd.DataFrame, answers: sensecf.Counterfactuals, best: Any, proofs: pd.DataFrame
) -> dict[str, Any]:
    """The gap of the answers, and where it comes from: other features than the minimum's, or the same but farther."""
    table = answers.answers
    owner = people.index.get_indexer(table["query"])
    kept = (proofs["proven"] & proofs["price"].notna()).to_numpy()[owner]
    owner, rows = owner[kept], task.codec.encode(table)[kept]
    minimum = proofs["price"].to_numpy()[owner]
    gap = (cost(task, query, owner, rows, 0.0) - minimum) / minimum
    ours, theirs = (task.codec.changed(query.rows[owner], found) for found in (rows, best[owner]))
    same = (ours == theirs).all(axis=1)

    def mean(values: Any) -> float | None:
        return round(float(np.mean(values)), 4) if len(values) else None

    return {
        "answered": len(table) / len(people),
        "compared": len(gap),
        "gap_mean": mean(gap),
        "gap_median": round(float(np.median(gap)), 4) if len(gap) else None,
        "gap_95": round(float(np.quantile(gap, 0.95)), 4) if len(gap) else None,
        "at_minimum": mean(gap < SAME),
        "same_features": mean(same),
        "gap_same_features": mean(gap[same]),
        "gap_other_features": mean(gap[~same]),
        "more_changes": mean(ours.sum(axis=1) > theirs.sum(axis=1)),
        # For whoever wants to look: the request, the gap, the features of the minimum and of the answer.
        "worst": [
            {
                "query": str(people.index[owner[at]]),
                "gap": round(float(gap[at]), 4),
                "minimum": [task.schema.names[j] for j in np.flatnonzero(theirs[at])],
                "answer": [task.schema.names[j] for j in np.flatnonzero(ours[at])],
            }
            for at in np.argsort(-gap)[:5]
        ],
    }


def markdown(records: list[dict[str, Any]]) -> str:
    """The records as a table."""
    columns = {
        "table": "table", "classifier": "classifier", "generator": "generator", "plausibility": "dial",
        "proven": "proven", "answered": "answered", "compared": "n", "minimum": "minimum", "gap_mean": "mean gap",
        "gap_median": "median", "gap_95": "95 %", "at_minimum": "at the minimum", "same_features": "same features",
        "gap_same_features": "gap then", "gap_other_features": "gap else", "proof_seconds_median": "s per proof",
    }  # fmt: skip
    percent = {
        "proven", "answered", "gap_mean", "gap_median", "gap_95", "at_minimum", "same_features", "gap_same_features",
        "gap_other_features",
    }  # fmt: skip
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + "---|" * len(columns)]
    for record in records:
        cells = [
            "–" if record[key] is None else f"{100 * record[key]:.1f} %" if key in percent else str(record[key])
            for key in columns
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--classifiers", default=",".join(CLASSIFIERS), help="logistic, random-forest, xgboost, ...")
    parser.add_argument("--limit", type=int, default=100, help="requests per table and classifier")
    parser.add_argument("--seconds", type=float, default=60.0, help="for the proof of one request")
    parser.add_argument("--write", action="store_true", help="update docs/results/methods.md")
    options = parser.parse_args()
    done: list[dict[str, Any]] = []
    for row in measure(options.tables.split(","), options.classifiers.split(","), options.limit, options.seconds):
        done.append(row)
        print(json.dumps({key: value for key, value in row.items() if key != "worst"}), flush=True)
        write_json(STORE, {"records": done, "versions": versions()})
    print(markdown(done))
    if options.write:
        replace_section(STORE.parent.parent / "docs" / "results" / "methods.md", "gap", markdown(done))
