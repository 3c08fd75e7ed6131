"""Seconds per usable answer in a large batch: the original NICE, treecf and ours on the same people, in one run.

`python bench/peers/seconds.py` (five minutes). New people of the simulated cohort who are not in the target class; one
classifier, evaluated alike for all (treecf walks the trees itself); one thread each; processor seconds, which hold
verification and polish of ours. An answer is usable when it is valid as saved and breaks no rule, range or lock; the
standard of `success@3` (docs/metrics.md) asks for likeness, at most three changes and no more distance than NICE
besides. Ours and treecf are asked for everybody at once, NICE one by one, which is all that it offers.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from typing import Any

os.environ["SENSECF_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before anything counts the cores

import numpy as np
import pandas as pd
from peer_runs import HERE, WORK, Answers, Bench, bench, environment, run_original, run_ours, write_task
from peer_scores import markdown

import sensecf
from sensecf.core.distances import Scale
from sensecf.core.files import write_json
from sensecf.core.limits import make_query
from sensecf.core.plausibility import Plausibility
from sensecf.core.query import out_of_range
from sensecf.core.verify import breaches, known_values
from sensecf.data.builtin.simulated import simulate_cohort
from sensecf.generators import Search, Tiny
from sensecf.generators.treecf import TreeCF

COLUMNS = ["method", "queries", "usable", "success@3", "ms_per_query", "ms_per_usable_answer", "ms_per_success",
           "classifier_rows"]  # fmt: skip


def crowd(made: Bench, count: int) -> tuple[Bench, pd.DataFrame]:
    """The bench with that many new people in place of the held-out ones, and the people."""
    task = made.task
    people = simulate_cohort(people=max(count // 3, 10), days=10, seed=7)[task.schema.names].dropna()
    rows = task.codec.encode(people)
    asked = task.judge(rows).predicted != made.query.target[0]
    asked[list(out_of_range(task.codec, rows, people))] = False
    asked &= ~task.codec.rules.violated(rows).any(axis=1)
    people = people[asked].head(count).reset_index(drop=True)
    return replace(made, query=make_query(task, people), free_query=make_query(made.free, people)), people


def explained(task: sensecf.Task, generator: Any, people: pd.DataFrame, name: str) -> Answers:
    """Answers by `explain`, warm, as it saves them."""
    sensecf.explain(task, generator, people.head(64))
    began = time.process_time()
    found = sensecf.explain(task, generator, people)
    seconds, n = time.process_time() - began, len(people)
    rows = np.full((n, len(task.schema)), np.nan)
    answers = found.answers
    rows[answers["query"].to_numpy()] = task.codec.encode(answers[task.schema.names])
    reason = np.where(np.isnan(rows).any(axis=1), "no answer", "").astype(object)
    judged = found.cost["classifier_rows"] / n
    return Answers(name, rows, reason, np.full(n, seconds / n), np.full(n, judged))


def line(answers: Answers, made: Bench, limit: np.ndarray) -> dict[str, Any]:
    """Shares of all queries, and processor milliseconds over them; `limit` (q,): NICE's distance, NaN for none."""
    task, query = made.task, made.query
    codec, n = task.codec, len(query)
    saved, at = _saved(answers, made)
    base, target = query.rows[at], query.target[at]
    changed = codec.changed(base, saved)
    usable = task.valid(task.judge(saved, final=True), target) & (breaches(task, query, at, saved) == "")
    near = ~(task.once(Scale).mad_l1(base, saved) > limit[at] + 1e-9)
    like = (task.once(Plausibility).score(saved, target) >= 0) & known_values(task, saved, changed)
    success = usable & near & like & (changed.sum(axis=1) <= 3)
    spent = 1000 * float(np.nansum(answers.seconds))
    return {
        "method": answers.name,
        "queries": n,
        "usable": round(float(usable.sum()) / n, 3),
        "success@3": round(float(success.sum()) / n, 3),
        "ms_per_query": round(spent / n, 2),
        "ms_per_usable_answer": round(spent / max(int(usable.sum()), 1), 2),
        "ms_per_success": round(spent / max(int(success.sum()), 1), 2),
        "classifier_rows": round(float(np.nanmean(answers.judged)), 1),
    }


def _saved(answers: Answers, made: Bench) -> tuple[np.ndarray, np.ndarray]:
    """Answers rounded to their steps as they would be saved, and whose they are."""
    codec = made.task.codec
    at = np.flatnonzero(~np.isnan(answers.rows).any(axis=1))
    base, given = made.query.rows[at], answers.rows[at]
    rounded = codec.snap_column(given, np.arange(given.shape[1]))
    return np.where(codec.changed(base, given), rounded, base), at


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--python", help="Python 3.9 to 3.11 for NICE (default: the first that is found)")
    options = parser.parse_args()
    made, people = crowd(bench("simulated", 1), options.queries)
    folder = WORK / "seconds"
    write_task(made, folder)
    python, script = environment("nice", options.python), HERE / "run_nice.py"
    task, found = made.task, []
    for method in ("sparsity", "proximity", "plausibility"):
        name = f"nice-{method} (original)"
        found.append(run_original(python, script, folder, method, name, 6, 3000, made.query.rows.shape))
    data = sensecf.datasets.load("simulated")
    own = sensecf.Task(task.schema, task.train, sensecf.fit_classifier("xgboost", data.schema, task.train))
    for mode in ("sparse", "genetic"):
        few = make_query(own, people.head(200))
        answers = run_ours(TreeCF(own, method=mode), own, few, f"treecf-{mode} (200 queries)")
        found.append(answers)
    for name, generator in (("search", Search(task)), ("tiny", Tiny(task))):
        found.append(explained(task, generator, people, name))
    saved, at = _saved(found[0], made)
    limit = np.full(len(made.query), np.nan)
    limit[at] = task.once(Scale).mad_l1(made.query.rows[at], saved)
    few = replace(made, query=made.query.take(slice(0, 200)))
    rows = [line(a, few if len(a.rows) == 200 else made, limit) for a in found]
    write_json(HERE / "seconds.json", rows)
    print(markdown(rows, COLUMNS))


if __name__ == "__main__":
    main()
