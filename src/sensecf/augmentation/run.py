"""`sensecf augment`: from a table to rows to learn from beside it, and what they are worth on held-out rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf import metrics
from sensecf.augmentation import methods
from sensecf.augmentation.controls import Situation, Treatment
from sensecf.augmentation.measure import Answers, against, answers, learn, score
from sensecf.augmentation.scarcity import positive_class, remove_labels
from sensecf.classifiers import storage
from sensecf.core.budget import Released, spend
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json, write_text
from sensecf.core.folder import named
from sensecf.core.people import Counted
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.core.version import __version__
from sensecf.data.cells import shared_cells
from sensecf.data.prepare import prepare

#: What the command leaves in its folder.
FILES = ("augmented.csv", "scores.csv", "schema.toml", "run.json", "report.md")
#: A loss of F1, or of Brier score, that is worth a word.
HARM = 0.01
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
    gate: bool = True
    judges: tuple[str, ...] = ()
    positive: str | None = None
    classifiers: tuple[str, ...] = methods.LEARNERS
    seed: int = 0
    private: bool = False
    epsilon: float = 8.0


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
    were; or `request.rows`. Unless `request.gate` is off (`methods`' `ungated`), inner folds decide whether there are
    any. `request.judges`: estimators of the user's that judge beside the families. `request.private`: rows of nobody
    instead, drawn from noisy marginals at `request.epsilon`, which is written into `privacy.json`.
    Raises `InputError` for what cannot be used, before anything is written.
    """
    folder, say = _free(out, overwrite), progress or (lambda phase, share: None)
    name = _method(request)
    frame, train, test = prepare(frame, schema, None, request.seed)
    positive = positive_class(schema, request.positive)
    rows, removed = train, train.iloc[:0]
    if request.scenario is not None:
        rows, removed = remove_labels(train, schema, request.scenario, request.removed, positive, request.seed)
    budget = request.rows or len(removed) or len(rows)
    situation = Situation(schema, rows, positive, budget, request.seed, epsilon=request.epsilon)

    began = time.perf_counter()
    made, table, quality, gained = _scored(situation, (*BESIDE, name), request, test, say)
    facts: dict[str, Any] = {
        **asdict(request),
        "sensecf": __version__,
        "data": storage.data_hash(frame),
        "positive": positive,
        "train_rows": len(rows),
        "labels_removed": len(removed),
        "test_rows": len(test),
        "test_people": int(test[schema.person].nunique()) if schema.person else len(test),
        "quality": quality,
        "against_class_weights": {
            name: {key: round(value, 6) for key, value in found.items()} for name, found in gained.items()
        },
        "added_rows": len(made.added),
        "added_weight": round(float(made.added["added_weight"].sum()), 3) if len(made.added) else 0.0,
        "seconds": round(time.perf_counter() - began, 3),
        **made.facts,
    }
    added = made.added if len(made.added) else _nothing(schema)
    for file, content in (("augmented.csv", added), ("scores.csv", table)):
        with replacing(folder / file) as path:
            content.to_csv(path, index=False)
    _told(folder, schema, rows, facts)
    write_json(folder / "run.json", facts)
    write_text(folder / "report.md", _report(facts, table))
    return added, table, facts


def _told(folder: Path, schema: FeatureSchema, rows: pd.DataFrame, facts: MutableMapping[str, Any]) -> None:
    """Write the schema; of rows that cost privacy with the steps that they are written with, and what they cost."""
    if "privacy" in facts:
        schema = shared_cells(schema, rows, every=True)
        told = facts["privacy"]
        what = f"{facts['added_rows']} rows from noisy marginals"
        spent: Released = {
            "epsilon": told["epsilon"],
            "delta": told["delta"],
            "what": what,
            "release": told["release"],
        }
        facts["privacy_total"] = dict(zip(("epsilon", "delta"), spend(folder, facts["data"], spent), strict=True))
    schema.to_toml(folder / "schema.toml")


def _method(request: AugmentSpec) -> str:
    """The name of the arm that makes the rows. Raises `InputError` for one that is not known."""
    if not 0 < request.epsilon < math.inf:
        raise InputError(f"--epsilon must be a positive number, not {request.epsilon}")
    amount = 1.0 if request.rows is not None and request.amount is None else request.amount
    suffix = "" if amount is None else f"@{amount:g}"
    name = f"{'augment' if request.gate else 'ungated'}:{request.generator}{suffix}"
    if request.private:
        name = f"marginals{suffix}"
    methods.find(name)
    return name


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
) -> tuple[Treatment, pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """What the last arm makes, the scores of all arms, how good each classifier is without added rows, and how much
    better than class weights the last arm is."""
    shared = methods.Shared(judges=request.judges)
    treatments: dict[str, Treatment] = {}
    said: dict[str, list[Answers]] = {}
    scores, quality = [], {}
    for number, arm in enumerate(arms):
        say("making rows", number / len(arms))
        treatments[arm] = methods.apply(arm, situation, shared)
        said[arm] = [answers(classifier, situation, treatments[arm], test) for classifier in request.classifiers]
        for classifier, told in zip(request.classifiers, said[arm], strict=True):
            scores.append({"method": arm, "classifier": classifier, **score(*told)})
            if arm == "nothing":
                alone = Task(situation.schema, situation.rows, learn(classifier, situation, treatments[arm]))
                measured = metrics.quality(alone, test, situation.positive, request.seed)[0]
                quality[classifier] = metrics.to_json(measured)
    say("making rows", 1.0)
    group = situation.schema.group
    people = np.arange(len(test)) if group is None else pd.factorize(test[group])[0]
    gained = against(said[arms[-1]], said["class-weights"], people, request.seed)
    return treatments[arms[-1]], pd.DataFrame(scores), quality, gained


def sentences(facts: dict[str, Any]) -> list[str]:
    """What a run says of its rows: what was added, what that is worth beside class weights, and with which caution."""
    out = []
    if "privacy" in facts:
        total = facts["privacy_total"]
        out.append(
            f"Rows of nobody, from counts with noise: epsilon {facts['privacy']['epsilon']:g} by person, "
            f"{total['epsilon']:g} with all runs of this table here; which cells there are is not covered."
        )
    f1, brier = (facts["against_class_weights"][name] for name in ("f1", "brier"))
    if facts.get("purpose") == "nothing":
        out.append("The gate adds nothing: on held-out parts of the labelled rows, rows did harm or too little good.")
    elif facts.get("weight", 1.0) != 1.0:
        out.append(f"The gate gives a row {facts['weight']:g} of the weight of a real one.")
    out.append(
        f"Beside class weights: F1 {_interval(f1)}, Brier score {_interval(brier)} (lower is better), "
        f"95 % intervals over {_held_out(facts)}, mean of the classifiers."
    )
    if f1["high"] < 0 or brier["low"] > 0:
        out.append("Harm: these rows make the classifiers worse; leave them out.")
    elif f1["low"] < -HARM or brier["high"] > HARM:
        out.append(f"Caution: a loss of {HARM:g} or more cannot be excluded with so little held out.")
    out.append(
        "A row is an opinion of classifiers about a made-up day, not a measurement: learn from it, and never count, "
        "publish or test with it."
    )
    return out


def _interval(found: dict[str, float]) -> str:
    return f"{found['difference']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def _held_out(facts: Mapping[str, Any]) -> str:
    """The held-out rows in words; where each is somebody's own, or nobody knows whose, as rows."""
    rows, people = facts["test_rows"], facts["test_people"]
    return Counted(rows, people if people < rows else None).held_out


def _report(facts: dict[str, Any], scores: pd.DataFrame) -> str:
    """The run as a page of Markdown."""
    means = scores.drop(columns="classifier").groupby("method", sort=False).mean()
    shown = ("f1", "f1_tuned", "average_precision", "auc", "balanced_accuracy", "brier")
    lines = ["# Rows to learn from", "", *(f"- {text}" for text in sentences(facts)), ""]
    lines += [f"{facts['test_rows']} held-out rows, mean of the classifiers.", ""]
    lines += ["| method | " + " | ".join(name.replace("_", " ") for name in shown) + " |", "|---" * 7 + "|"]
    lines += [f"| {name} | " + " | ".join(f"{row[m]:.3f}" for m in shown) + " |" for name, row in means.iterrows()]
    return "\n".join(lines) + "\n"


def _nothing(schema: FeatureSchema) -> pd.DataFrame:
    """No rows, with the columns that rows have."""
    from sensecf.augmentation import PROVENANCE

    return pd.DataFrame(columns=[*schema.names, schema.label, *PROVENANCE])
