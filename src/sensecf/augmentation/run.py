"""`sensecf augment`: from a table to rows to learn from beside it, and what they are worth on held-out rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sensecf import metrics
from sensecf.augmentation import methods
from sensecf.augmentation.controls import Situation, Treatment
from sensecf.augmentation.measure import assess, learn
from sensecf.augmentation.scarcity import positive_class, remove_labels
from sensecf.classifiers import storage
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json
from sensecf.core.folder import named
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.data.prepare import prepare
from sensecf.version import __version__

#: What the command leaves in its folder.
FILES = ("augmented.csv", "scores.csv", "schema.toml", "run.json")
#: Methods that are scored beside ours.
BESIDE = ("nothing", "class-weights", "smote")

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class AugmentSpec:
    """What `sensecf augment` was asked; see its options."""

    generator: str = "search"
    scenario: str | None = None
    removed: float = 0.5
    amount: float | None = None
    rows: int | None = None
    gate: bool = False
    positive: str | None = None
    classifiers: tuple[str, ...] = methods.LEARNERS
    seed: int = 0


def run(
    frame: pd.DataFrame,
    schema: FeatureSchema,
    out: str | Path,
    request: AugmentSpec = AugmentSpec(),
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Augment a table into the folder `out`; returns the added rows, the scores and the facts of `run.json`.

    30 % of the rows (of the people, where the schema names a group) are held out and only score. `quality` of the
    facts says how good each classifier is on them without added rows, as in `metrics.json`.
    With a scenario, labels are removed from the others first. The rows come from `methods`' `augment`:
    `request.amount` (by default 4) times as many as labels were removed, or as there are labelled rows where none
    were; or `request.rows`. With `request.gate` (`methods`' `gated`) none, where inner folds find them harmful.
    Raises `InputError` for what cannot be used, before anything is written.
    """
    folder, say = _free(out, overwrite), progress or (lambda phase, share: None)
    frame, train, test = prepare(frame, schema, None, request.seed)
    positive = positive_class(schema, request.positive)
    rows, removed = train, train.iloc[:0]
    if request.scenario is not None:
        rows, removed = remove_labels(train, schema, request.scenario, request.removed, positive, request.seed)
    budget = request.rows or len(removed) or len(rows)
    situation = Situation(schema, rows, positive, budget, request.seed)
    if request.gate and (request.amount is not None or request.rows is not None):
        raise InputError("a gate decides about the usual amount; leave out --gate, or --amount and --rows")
    amount = 1.0 if request.rows is not None and request.amount is None else request.amount
    suffix = "" if amount is None else f"@{amount:g}"
    name = f"{'gated' if request.gate else 'augment'}:{request.generator}{suffix}"
    methods.find(name)

    began = time.perf_counter()
    made, table, quality = _scored(situation, (*BESIDE, name), request, test, say)
    facts: dict[str, Any] = {
        **asdict(request),
        "sensecf": __version__,
        "data": storage.data_hash(frame),
        "positive": positive,
        "train_rows": len(rows),
        "labels_removed": len(removed),
        "test_rows": len(test),
        "quality": quality,
        "added_entries": len(made.added),
        "added_weight": round(float(made.added["added_weight"].sum()), 3) if len(made.added) else 0.0,
        "seconds": round(time.perf_counter() - began, 3),
        **made.facts,
    }
    added = made.added if len(made.added) else _nothing(schema)
    for file, content in (("augmented.csv", added), ("scores.csv", table)):
        with replacing(folder / file) as path:
            content.to_csv(path, index=False)
    schema.to_toml(folder / "schema.toml")
    write_json(folder / "run.json", facts)
    return added, table, facts


def _free(out: str | Path, overwrite: bool) -> Path:
    """The folder to write. Raises `InputError` for a file, and for a folder with results unless `overwrite`."""
    folder = named(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder with --out")
    there = [name for name in FILES if (folder / name).exists()]
    if there and not overwrite:
        raise InputError(f"{folder} holds {there[0]}; choose another --out or add --overwrite")
    return folder


def _scored(
    situation: Situation, arms: Sequence[str], request: AugmentSpec, test: pd.DataFrame, say: Progress
) -> tuple[Treatment, pd.DataFrame, dict[str, Any]]:
    """What the last arm makes, the scores of all arms, and how good each classifier is without added rows."""
    shared = methods.Shared()
    treatments: dict[str, Treatment] = {}
    scores, quality = [], {}
    for number, arm in enumerate(arms):
        say("making rows", number / len(arms))
        treatments[arm] = methods.apply(arm, situation, shared)
        for classifier in request.classifiers:
            found = assess(classifier, situation, treatments[arm], test)
            scores.append({"method": arm, "classifier": classifier, **found})
            if arm == "nothing":
                alone = Task(situation.schema, situation.rows, learn(classifier, situation, treatments[arm]))
                measured = metrics.quality(alone, test, situation.positive, request.seed)[0]
                quality[classifier] = metrics.to_json(measured)
    say("making rows", 1.0)
    return treatments[arms[-1]], pd.DataFrame(scores), quality


def _nothing(schema: FeatureSchema) -> pd.DataFrame:
    """No rows, with the columns that rows have."""
    from sensecf.augmentation import PROVENANCE

    return pd.DataFrame(columns=[*schema.names, schema.label, *PROVENANCE])
