"""Side environments, task folders and the originals as processes with a time limit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peer_files import Trees

import sensecf
from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.query import Query, out_of_range
from sensecf.core.schema import FeatureSchema
from sensecf.generators.nice import Autoencoder

HERE = Path(__file__).resolve().parent
ENVIRONMENTS, WORK = HERE / "envs", HERE / "work"
#: Decimal places of the numbers in the relaxed schema, less than the places of their training range.
FINE = 5


# --- environments -------------------------------------------------------------------------


def old_python(named: str | None = None) -> str:
    """A Python for which pandas 1.5 has wheels (3.9 to 3.11). Raises `InputError` when there is none."""
    candidates = [named] if named else [sys.executable, "python3.11", "python3.10", "python3.9"]
    for candidate in candidates:
        path = shutil.which(candidate)
        if path is None:
            continue
        asked = subprocess.run([path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
        if asked.returncode == 0 and asked.stdout.split() in (["3", "9"], ["3", "10"], ["3", "11"]):
            return path
    raise InputError(f"the originals need Python 3.9 to 3.11, and {', '.join(candidates)} is none; name one: --python")


def environment(name: str, python: str | None = None) -> Path:
    """The Python of the side environment `name`, made from `requirements-<name>.txt` when that is new.

    Raises `InputError` with pip's last line when it cannot be made.
    """
    wanted = (HERE / f"requirements-{name}.txt").read_text()
    home = ENVIRONMENTS / name
    binary = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    made = home / "made-from.txt"
    if made.exists() and made.read_text() == wanted:
        return binary
    print(f"making the environment of {name}", flush=True)
    commands = [
        [old_python(python), "-m", "venv", "--clear", str(home)],
        # Every package is listed with its version, so nothing is left to resolve.
        [str(binary), "-m", "pip", "install", "-q", "--no-deps", "-r", str(HERE / f"requirements-{name}.txt")],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise InputError(f"the environment of {name} cannot be made: {said[-1] if said else command}")
    # cfnow fetches a word list for texts on import, unless it finds a folder of that name.
    (home / "nltk_data" / "corpora" / "wordnet").mkdir(parents=True, exist_ok=True)
    made.write_text(wanted)
    return binary


# --- tasks --------------------------------------------------------------------------------


class Exported:
    """A fitted XGBoost pipeline as `Trees`: the very classifier that the originals ask."""

    def __init__(self, pipeline: Any, schema: FeatureSchema) -> None:
        self.classes_ = pipeline.classes_
        self.trees = Trees(trees_of(pipeline, schema))
        self._codec = Codec(schema)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return self.trees.predict_proba(self._codec.encode(X))

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def trees_of(pipeline: Any, schema: FeatureSchema) -> dict[str, Any]:
    """The ensemble of an XGBoost pipeline (`fit_classifier`, two classes) as plain lists, by schema column."""
    booster = pipeline["model"].model_.get_booster()
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    order = [j for j, f in enumerate(schema.features) if f.numeric]
    order += [j for j, f in enumerate(schema.features) if not f.numeric]
    nodes = max(len(t["left_children"]) for t in trees)
    levels = max([len(f.levels) for f in schema.features if not f.numeric], default=1)
    shape = (len(trees), nodes)
    data: dict[str, Any] = {k: np.zeros(shape, int) for k in ("left", "right", "missing_left", "by_level")}
    data |= {"feature": np.full(shape, -1), "threshold": np.zeros(shape), "value": np.zeros(shape)}
    data["right_levels"] = np.zeros((*shape, levels), int)
    depth = 0
    for i, tree in enumerate(trees):
        left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
        inner, n = left >= 0, len(left)
        conditions = np.array(tree["split_conditions"])
        data["left"][i, :n], data["right"][i, :n] = np.maximum(left, 0), np.maximum(right, 0)
        data["missing_left"][i, :n] = tree["default_left"]
        data["feature"][i, :n] = np.where(inner, np.array(order)[tree["split_indices"]], -1)
        data["threshold"][i, :n], data["value"][i, :n] = np.where(inner, conditions, 0), np.where(inner, 0, conditions)
        data["by_level"][i, :n] = np.array(tree["split_type"]) * inner
        for node, begin, size in zip(
            tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
        ):
            data["right_levels"][i, node, tree["categories"][begin : begin + size]] = 1
        level, width = np.zeros(n, int), 0
        for node in np.flatnonzero(inner):  # children come after their parent
            level[[left[node], right[node]]] = level[node] + 1
            width = max(width, int(level[node]) + 1)
        depth = max(depth, width)
    base = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
    return {k: v.tolist() for k, v in data.items()} | {"base": float(np.log(base / (1 - base))), "depth": depth}


@dataclass(frozen=True)
class Bench:
    """A table ready to compare on: `task` by its own schema; `free` without any limit but the target."""

    name: str
    task: sensecf.Task
    free: sensecf.Task
    query: Query
    free_query: Query


def bench(table: str, queries: int, seed: int = 0) -> Bench:
    """A table without blanks (training medians in their place: the originals refuse them) and its queries.

    Rows that then break a rule are left out. The queries are held-out rows that are not in the target class.
    """
    data = sensecf.datasets.load(table)
    train, test = sensecf.datasets.split(data.frame, data.schema)
    codec = Codec(data.schema)
    known = np.nanmedian(codec.encode(train), axis=0)
    typical = codec.snap(np.where(codec.numeric, known, np.round(known))[None, :])[0]
    schema = replace(data.schema, features=tuple(replace(f, missing=False) for f in data.schema.features))

    def fill(frame: pd.DataFrame) -> pd.DataFrame:
        rows = codec.encode(frame)
        whole = Codec(schema).decode(np.where(np.isnan(rows), typical, rows)).set_index(frame.index)
        return frame.assign(**{name: whole[name] for name in schema.names})

    train, test = fill(train), fill(test)
    # A median in the place of a part need not keep the total.
    train, test = (t[~codec.rules.violated(codec.encode(t)).any(axis=1)] for t in (train, test))
    pipeline = sensecf.fit_classifier("xgboost", schema, train)
    task = sensecf.Task(schema, train, Exported(pipeline, schema))
    gap = np.abs(task.judge(task.rows).proba - pipeline.predict_proba(task.frame(task.rows))).max()
    if gap > 1e-5:
        raise InputError(f"the exported trees differ from XGBoost by {gap:g} on {table}; its format has changed")
    target = task.target_position(task.default_target())
    rows = task.codec.encode(test)
    wrong = task.judge(rows).predicted != target
    wrong[list(out_of_range(task.codec, rows, test))] = False
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(wrong))[:queries]
    asked = test.iloc[np.sort(chosen)]
    free_schema = relaxed(schema, task)
    free = sensecf.Task(free_schema, train, Exported(pipeline, free_schema))
    return Bench(table, task, free, make_query(task, asked), make_query(free, asked))


def relaxed(schema: FeatureSchema, task: sensecf.Task) -> FeatureSchema:
    """The schema as the originals see it: everything may change, any way, anywhere, in the finest steps."""
    features = []
    for j, f in enumerate(schema.features):
        f = replace(f, role="actionable", direction="any", max_change=None, protected=False)
        if f.numeric:
            low, high = float(task.observed_low[j]), float(task.observed_high[j])
            spread = max(high - low, 1.0)
            step = min(float(f.step or 1.0), 10.0 ** (np.floor(np.log10(spread)) - FINE))
            f = replace(f, kind="continuous", low=low - 1e4 * spread, high=high + 1e4 * spread, step=step)
        features.append(f)
    return replace(schema, features=tuple(features), rules=(), max_changes=None)


def write_task(made: Bench, folder: Path) -> None:
    """The task folder of `peer_files`: schema and classifier as JSON, rows as CSV."""
    task, codec = made.task, made.task.codec
    folder.mkdir(parents=True, exist_ok=True)
    directions = [{"any": 0, "increase": 1, "decrease": -1}[f.direction] for f in task.schema.features]
    facts = {
        "names": task.schema.names,
        "numeric": codec.numeric.tolist(),
        "levels": codec.n_levels.tolist(),
        "changeable": codec.changeable.tolist(),
        "target": int(made.query.target[0]),
        "observed": [task.observed_low.tolist(), task.observed_high.tolist()],
        "allowed": [codec.low.tolist(), codec.high.tolist()],
        "direction": directions,
    }
    (folder / "task.json").write_text(json.dumps(facts))
    (folder / "trees.json").write_text(json.dumps(made.task.classifier.trees.data))  # type: ignore[attr-defined]
    (folder / "autoencoder.json").write_text(json.dumps(autoencoder_of(made.free)))
    names = ",".join(task.schema.names)
    table = np.column_stack([task.rows, task.y])
    np.savetxt(folder / "train.csv", table, "%.17g", ",", header=f"{names},label", comments="", encoding="utf-8")
    np.savetxt(folder / "queries.csv", made.query.rows, "%.17g", ",", header=names, comments="", encoding="utf-8")


def autoencoder_of(task: sensecf.Task) -> dict[str, Any]:
    """The autoencoder of our `nice-plausibility` as plain lists."""
    ours = Autoencoder(task)
    return {
        "numeric": task.codec.numeric.tolist(),
        "low": ours.low.tolist(),
        "spread": ours.spread.tolist(),
        "levels": [[j, len(levels)] for j, levels in ours.levels],
        "weights": [w.tolist() for w in ours.model.coefs_],
        "biases": [b.tolist() for b in ours.model.intercepts_],
    }


# --- running ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """What a method answered: `rows` (q, d), NaN without an answer; `reason`, `seconds`, `judged` (q,)."""

    name: str
    rows: np.ndarray
    reason: np.ndarray
    seconds: np.ndarray
    judged: np.ndarray


def run_original(
    python: Path, script: Path, folder: Path, method: str, name: str, each: float, total: float, shape: tuple[int, int]
) -> Answers:
    """Run an original on a task folder; what it had not answered when it ended has the reason why."""
    out = folder / f"{script.stem}-{method}.jsonl"
    out.unlink(missing_ok=True)
    command = [str(python), str(script), str(folder), method, f"{each:g}", str(out)]
    # One thread, like ours; and no word list is fetched.
    words = python.parent.parent / "nltk_data"
    variables = os.environ | {"OMP_NUM_THREADS": "1", "NLTK_DATA": str(words), "PYTHONPATH": str(HERE)}
    with (folder / f"{script.stem}-{method}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=variables)
        try:
            code = process.wait(timeout=total)
            ended = f"the process ended with status {code}: {last_line(Path(log.name))}"
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            ended = f"not reached within {total:g} s for all queries"
    return read_answers(out, name, shape, ended)


def last_line(path: Path) -> str:
    """The last line with anything on it, for a reason."""
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def read_answers(path: Path, name: str, shape: tuple[int, int], ended: str) -> Answers:
    """Answers from a runner's lines; queries without a line get the reason `ended`. A torn last line counts as none."""
    rows, reason = np.full(shape, np.nan), np.full(shape[0], ended, dtype=object)
    seconds, judged = np.full(shape[0], np.nan), np.full(shape[0], np.nan)
    for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
        if not line.endswith("\n"):
            break
        told = json.loads(line)
        i = told["query"]
        reason[i], seconds[i], judged[i] = told["reason"], told["seconds"], told["rows"]
        if told["row"] is not None:
            rows[i] = told["row"]
    return Answers(name, rows, reason, seconds, judged)


def failed(name: str, reason: str, shape: tuple[int, int]) -> Answers:
    """A method that could not even start."""
    nothing = np.full(shape[0], np.nan)
    return Answers(name, np.full(shape, np.nan), np.full(shape[0], reason, dtype=object), nothing, nothing)


def run_ours(generator: Any, task: sensecf.Task, query: Query, name: str, seed: int = 0) -> Answers:
    """One of our generators on all queries at once; its first candidates, mean seconds and rows."""
    before, began = task.rows_judged, time.process_time()
    found = generator.propose(query, np.random.default_rng(seed))
    seconds, judged = time.process_time() - began, task.rows_judged - before
    first = np.unique(found.query, return_index=True)[1]
    found, n = found.take(first), len(query)
    return Answers(name, found.rows, found.reason, np.full(n, seconds / n), np.full(n, judged / n))
