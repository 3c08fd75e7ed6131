"""Measure the promises of docs/results.md: `python benchmarks/bars.py` (about half an hour on two cores).

Tables x classifiers: every boundary answer (hold 0) of `tiny`, `search`, `nearest` and `constant` (one plan for
everybody) as saved and read back; then the fit, the answer time of one person, the batch rate and the model alone on
the simulated cohort.
`--quick` takes one classifier per table. `--write` puts the tables into docs/results.md and docs/results/methods.md.
Results go to benchmarks/bars.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sections import replace_section

import sensecf
from sensecf import metrics
from sensecf.core.files import write_json
from sensecf.core.query import out_of_range
from sensecf.data.builtin.simulated import simulate_cohort
from sensecf.generators import Nearest, Search, Tiny
from sensecf.generators.constant import Constant
from sensecf.generators.search import THOROUGH
from sensecf.runs.experiment import Setup, experiment, prepared
from sensecf.runs.run import RunSpec, run, versions

HERE = Path(__file__).resolve().parent
TABLES = ("simulated", "t1d_uom_daily_stress", "lifesnaps_daily", "heart_disease_cleveland")
CLASSIFIERS = ("xgboost", "random-forest", "svm", "mlp")
GENERATORS = {"tiny": Tiny, "search": Search, "nearest": Nearest, "constant": Constant}
#: Controls, whose answers no search makes good.
ALONE = ("nearest", "constant")
#: Each generator with all that may change, as in the literature; and the search with what a person does, the default.
ASKED = (
    ("tiny", "mutable"),
    ("search", "mutable"),
    ("nearest", "mutable"),
    ("constant", "mutable"),
    ("search", "actionable"),
)


def quality(tables: tuple[str, ...], classifiers: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Every generator on the same queries; verdicts taken from the saved file, read back."""
    for table in tables:
        data = sensecf.datasets.load(table)
        for name in classifiers:
            made = experiment(prepared(data.frame, data.schema, Setup(name)))
            task, goal, asked = made.task, made.target, made.table.held_out.iloc[made.asked()]
            fallback = Search(task, effort=THOROUGH)
            acts = any(f.role == "actionable" and f.changeable for f in task.schema.features)
            for label, edit in ASKED:
                if edit == "actionable" and not acts:  # heart disease: nothing in it is a person's to change
                    continue
                began = time.perf_counter()
                generator = GENERATORS[label](task)
                fitted = time.perf_counter() - began
                before = task.rows_judged
                # `tiny` and `search` fall back on a thorough search; the column `generator` says who answered.
                thorough = None if label in ALONE else fallback
                answers = sensecf.explain(
                    task, generator, asked, goal, strict=False, fallback=thorough, edit=edit, hold=0.0
                )
                cost = (task.rows_judged - before) / len(asked)
                yield {
                    "table": table,
                    "classifier": name,
                    "generator": label,
                    "edit": edit,
                    "queries": len(asked),
                    **_read_back(task, answers, goal),
                    "by_model": float((answers.answers["generator"] == label).mean()),
                    "classifier_rows": round(cost, 1),
                    "fit_seconds": round(fitted, 1),
                    "answer_seconds": round(answers.cost["seconds"], 2),
                }


def _read_back(task: sensecf.Task, answers: sensecf.Counterfactuals, goal: Any) -> dict[str, Any]:
    """Shares over all queries and means over answers, from the CSV as plain pandas reads it."""
    with tempfile.TemporaryDirectory() as folder:
        answers.save(folder)
        saved = pd.read_csv(Path(folder) / "counterfactuals.csv")
    done = saved[saved["rank"].notna()]
    rows = task.codec.encode(done)
    predicted = np.asarray(task.classifier.predict(task.frame(rows)))
    summary = metrics.summarise(answers, task)["value"]
    return {
        "valid": float((predicted == goal).sum() / len(saved)),
        "coverage": len(done) / len(saved),
        "broken": int(task.codec.rules.violated(rows).any(axis=1).sum()),
        "out_of_range": len(out_of_range(task.codec, rows, done)),
        "plausible": round(float(summary["lof_inlier"]), 4),
        "n_changed": round(float(summary["n_changed"]), 4),
        "mad_l1": round(float(summary["mad_l1"]), 4),
    }


def speed() -> dict[str, Any]:
    """Fit, one person, and a batch on the simulated cohort with XGBoost; a warm process, medians."""
    data = sensecf.datasets.load("simulated")
    train, _ = sensecf.datasets.split(data.frame, data.schema)
    classifier = sensecf.fit_classifier("xgboost", data.schema, train)
    task = sensecf.Task(data.schema, train, classifier)
    began = time.perf_counter()
    model = Tiny(task)
    fit = time.perf_counter() - began
    crowd = simulate_cohort(people=2500, days=10, seed=7)
    inside = out_of_range(task.codec, task.codec.encode(crowd), crowd)
    crowd = crowd.drop(index=crowd.index[list(inside)])
    goal = task.default_target()
    other = task.judge(task.codec.encode(crowd)).predicted != task.target_position(goal)
    crowd = crowd[other].head(10_000).reset_index(drop=True)
    sensecf.explain(task, model, crowd.head(5), hold=0.0)
    single = []
    for i in range(100):
        began = time.perf_counter()
        sensecf.explain(task, model, crowd.iloc[[i]], hold=0.0)
        single.append(time.perf_counter() - began)
    rates = []
    for _ in range(3):
        answers = sensecf.explain(task, model, crowd, hold=0.0)
        rates.append(len(answers.answers) / answers.cost["seconds"])
    return {
        "train_rows": len(train),
        "features": len(task.schema),
        "fit_seconds": round(fit, 1),
        "one_person_ms_median": round(1000 * statistics.median(single), 1),
        "one_person_ms_p95": round(1000 * float(np.quantile(single, 0.95)), 1),
        "batch_queries": len(crowd),
        "answers_per_second": round(statistics.median(rates), 1),
        "classifier_rows_per_answer": round(answers.cost["classifier_rows"] / len(crowd), 1),
    }


def made_up(rows: int, features: int, seed: int = 0) -> tuple[pd.DataFrame, sensecf.FeatureSchema]:
    """A table of correlated numbers with a label that a few of them decide."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(rows, 8))
    values = hidden @ rng.normal(size=(8, features)) + rng.normal(size=(rows, features))
    logit = values[:, :6] @ rng.normal(size=6) / 3
    frame = pd.DataFrame(values.round(2), columns=[f"f{j}" for j in range(features)])
    frame["y"] = np.where(logit + rng.logistic(size=rows) > 0, "yes", "no")
    return frame, sensecf.infer_schema(frame, "y")


def fits() -> Iterator[dict[str, Any]]:
    """Seconds to fit the embedded model: 2,000 x 20 and 20,000 x 50, XGBoost."""
    for rows, features in ((2_000, 20), (20_000, 50)):
        frame, schema = made_up(rows, features)
        task = sensecf.Task(schema, frame, sensecf.fit_classifier("xgboost", schema, frame))
        began = time.perf_counter()
        Tiny(task)
        yield {"rows": rows, "features": features, "fit_seconds": round(time.perf_counter() - began, 1)}


def alone() -> dict[str, Any]:
    """The demo run's numbers of the model without verification."""
    data = sensecf.datasets.load("simulated")
    with tempfile.TemporaryDirectory() as folder:
        _, _, facts = run(data.frame, data.schema, folder, RunSpec(generator="tiny"))
    return facts["model_alone"]


def write(results: dict[str, Any]) -> None:
    """Put the tables between the markers of docs/results.md and docs/results/methods.md."""
    frame = pd.DataFrame(results["quality"])
    columns = ["valid", "coverage", "broken", "plausible", "n_changed", "mad_l1", "classifier_rows"]
    groups = frame.groupby(["table", "generator", "edit"], sort=False)
    short = groups[columns].mean().round(3).reset_index()
    short["broken"] = groups["broken"].sum().to_numpy()
    text = f"{_markdown(short)}\n\nMeans over {', '.join(dict.fromkeys(frame['classifier']))}. {_speed_text(results)}"
    replace_section(HERE.parent / "docs" / "results.md", "results", text)
    full = frame.drop(columns=["out_of_range", "fit_seconds", "answer_seconds"]).round(3)
    replace_section(
        HERE.parent / "docs" / "results" / "methods.md", "results", f"{_markdown(full)}\n\n{_speed_text(results)}"
    )


def _others(rows: list[dict[str, Any]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Stored rows of tables and classifiers that are not measured now; none where all are."""
    asked = set(options.tables.split(",")), set(options.classifiers.split(","))
    return [r for r in rows if "table" in r and not (r["table"] in asked[0] and r["classifier"] in asked[1])]


def _speed_text(results: dict[str, Any]) -> str:
    s = results["speed"]
    shares = "; ".join(f"{k}: {v['value']:.3f} of {v['n']}" for k, v in results["alone"].items())
    fitted = ", ".join(f"{f['rows']:,} x {f['features']} in {f['fit_seconds']:.0f} s" for f in results["fits"])
    return (
        f"The embedded model with XGBoost, on two cores that other jobs shared: fitted to {fitted}; "
        "one person answered in "
        f"{s['one_person_ms_median']:.0f} ms (median; 95 %: {s['one_person_ms_p95']:.0f} ms), "
        f"{s['answers_per_second']:.0f} answers a second in batch, "
        f"{s['classifier_rows_per_answer']:.0f} classifier rows per answer. Model alone, simulated cohort: {shares}."
    )


def _markdown(frame: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "|" + "---|" * len(frame.columns)]
    lines += [
        "| " + " | ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in row) + " |" for row in frame.values
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="XGBoost only")
    parser.add_argument("--write", action="store_true", help="update docs/results.md and docs/results/methods.md")
    parser.add_argument(
        "--only", choices=["quality", "speed", "fits", "alone"], help="measure one part, keep the others"
    )
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--classifiers", default=",".join(CLASSIFIERS))
    options = parser.parse_args()
    store = HERE / "bars.json"
    found = json.loads(store.read_text()) if store.exists() and options.only else {}
    names = ("xgboost",) if options.quick else tuple(options.classifiers.split(","))
    parts = {
        "quality": lambda: quality(tuple(options.tables.split(",")), names),
        "speed": speed,
        "fits": fits,
        "alone": alone,
    }
    for part, measure in parts.items():
        if options.only in (None, part):
            measured = measure()
            found[part] = measured if isinstance(measured, dict) else _others(found.get(part, []), options)
            for row in () if isinstance(measured, dict) else measured:
                found[part].append(row)
                print(json.dumps(row), flush=True)
                write_json(store, found)
            found["versions"] = versions()
            write_json(store, found)
            print(json.dumps(found[part]) if isinstance(measured, dict) else "", flush=True)
    if options.write:
        write(found)
