"""One run of `sensecf attack`: what was made is attacked, and a planted leak proves that the attack can see one."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf.classifiers.jury import Jury
from sensecf.classifiers.storage import data_hash
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json
from sensecf.core.folder import claimed, named, remove
from sensecf.core.kept import read_record
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.core.version import __version__
from sensecf.data.card import Card, card_beside
from sensecf.data.tables import read_table
from sensecf.metrics import read
from sensecf.metrics.statistics import wilson
from sensecf.pipeline.hold import Holding
from sensecf.runs.attack.identifiers import identifiers, scan
from sensecf.runs.attack.label import label
from sensecf.runs.attack.report import sheet, verdict
from sensecf.runs.attack.surfaces import (
    Crowd,
    Surface,
    copies,
    linked,
    of_model,
    of_plans,
    of_rows,
    own_label,
    own_votes,
    planted_and_true,
)
from sensecf.runs.experiment import QUIETLY, Call, Setup, check_counts, experiment, prepared
from sensecf.runs.findings import into_report
from sensecf.runs.whose import people_of

#: A file with a JSON object.
Record = dict[str, Any]
#: What `sensecf augment` leaves.
ROWS = "augmented.csv"


@dataclass(frozen=True)
class AttackSpec:
    """What `sensecf attack` was asked; see its options."""

    seed: int = 0
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attack:
    """What was found. `areas`: a row per surface and attack; `copies`: a row per surface and feature; `labels`: by
    surface what it is called and why not better; `identifiers`: files with names of people; `facts`: `run.json`."""

    areas: pd.DataFrame
    copies: pd.DataFrame
    labels: Mapping[str, Mapping[str, Any]]
    identifiers: pd.DataFrame
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Opened:
    """A folder to attack: everybody, what can be attacked, and for each surface its values and which were made.

    `plans`: of how many plans the nearest row is the person's own, and of how many; None without plans.
    """

    crowd: Crowd
    surfaces: list[Surface]
    values: Mapping[str, tuple[Any, Any]]
    card: Card | None
    names: Mapping[str, set[str]]
    notes: list[str]
    plans: tuple[int, int] | None = None


def attack(
    folder: str | Path,
    out: str | Path,
    request: AttackSpec = AttackSpec(),
    *,
    table: Path | None = None,
    classifier: Any = None,
    trust: bool = False,
    call: Call = QUIETLY,
) -> Attack:
    """Attack what a run of `explain` or `augment` made, into the folder `out`.

    Members are the people that were learned from, the others those that were held out. Each surface is attacked by
    every attack that fits, with the area under the curve and its interval over whole people; then ten people are
    planted, and the report says “blind” where the attack does not see them. Raises `InputError` for what cannot be
    used, before anything is written.
    """
    check_counts(seed=request.seed)
    call.progress("opening", 0.0)
    source = Path(folder)
    made = _rows(source, table) if (source / ROWS).exists() else _plans(source, table, classifier, trust)
    everybody = made.crowd
    made = replace(made, crowd=everybody.some(np.random.default_rng([request.seed, 13])))
    call.progress("opening", 1.0)
    asked = {**asdict(request), "command": "attack", "run": _mark(source), "sensecf": __version__}
    place = named(out)
    with claimed(place, asked, call.overwrite):
        began = time.perf_counter()
        parts = list(_each(made, place, request, call))
        areas = pd.concat([part.assign(surface=name) for name, part, _ in parts], ignore_index=True)
        tests = {name: told for name, _, told in parts}
        found = [
            copies(everybody, *made.values[s.name]).assign(surface=s.name)
            for s in made.surfaces
            if s.name in made.values
        ]
        copied = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["surface", "held_by_few"])
        hits = pd.DataFrame(scan(source, [Path(f) for f in request.files], dict(made.names)))
        hits = hits if len(hits) else pd.DataFrame(columns=["file", "column", "values", "of"])
        labels = _labels(made, areas, copied, tests)
        facts = {
            **asked,
            "members": len(np.unique(made.crowd.persons[made.crowd.member])),
            "others": len(np.unique(made.crowd.persons[~made.crowd.member])),
            "tests": tests,
            "linked": None if made.plans is None else _linked(*made.plans),
            "notes": made.notes,
            "arguments": call.arguments,
            "seconds": round(time.perf_counter() - began, 1),
        }
        done = Attack(areas, copied, labels, hits, facts)
        done = replace(done, facts={**facts, "verdict": verdict(done)})
        _write(place, done, made)
        into_report(source)
        return done


def _each(
    made: Opened, place: Path, request: AttackSpec, call: Call
) -> Iterator[tuple[str, pd.DataFrame, Mapping[str, Any]]]:
    """The areas and tests of each surface; those that are done are kept until all are."""
    for number, surface in enumerate(made.surfaces):
        call.progress("attacking", number / len(made.surfaces))
        kept = place / "unfinished" / f"part-{surface.name}.json"
        if not kept.exists():
            scores, tested, seen = planted_and_true(surface, made.crowd, request.seed)
            areas = scores.areas(request.seed)
            told = {**tested, "seen": float(seen)}
            rows = json.loads(areas.to_json(orient="records", double_precision=9))
            write_json(kept, {"areas": rows, "tests": told})
        part = read_record(kept, Record)
        yield surface.name, pd.DataFrame(part["areas"]).astype({"low": float, "high": float}), part["tests"]
    call.progress("attacking", 1.0)


def _plans(folder: Path, table: Path | None, classifier: Any, trust: bool) -> Opened:
    """A run of `explain`: its plans, and the models in its folder."""
    people = people_of(folder, table, classifier, trust)
    task, notes = people.task, []
    if people.table.named:
        raise InputError(
            f"the queries of {folder} were named, so that nobody is known who was not learned from; "
            "attack a run whose people were held out"
        )
    crowd = Crowd.of(task, people.table.train, people.table.held_out, people.persons)
    asked = people.asked()
    surfaces = [of_plans(people.answers, asked, task)] if len(people.answers.answers) else []
    if not surfaces:
        notes.append("The run has no plans; what its folder keeps is attacked alone.")
    kind = people.request.classifier
    if ":" in kind:
        notes.append("The classifier is code of the user's own, of which no shadow can be fitted; it is not attacked.")
    else:
        surfaces.append(of_model("classifier", "the saved classifier", task, own_label(task), kind))
        jury = Jury.load(folder / "task", task, task.once(Holding).mark(), trust=trust)
        if jury is not None:
            surfaces.append(of_model("jury", "the saved jury", task, own_votes(jury.votes), kind))
    surfaces += _embedded(folder, task)
    values = {}
    if len(people.answers.answers):
        scored = read(people.answers, task)
        values["plans"] = (scored.after, scored.changed)
    names = identifiers(people.schema, people.raw)
    close = linked(crowd, people.answers, asked)
    return Opened(crowd, surfaces, values, _card(folder), names, notes, close)


def _embedded(folder: Path, task: Task) -> list[Surface]:
    """The embedded model of a run, where its folder has one."""
    if not (folder / "task" / "tiny" / "tiny.json").is_file():
        return []
    from sensecf.generators.tiny.tiny import Tiny
    from sensecf.runs.attack.embedded import of_embedded

    model = Tiny.kept(folder / "task" / "tiny", task)
    return [] if model is None else [of_embedded(model)]


def _rows(folder: Path, table: Path | None) -> Opened:
    """A run of `augment`: its rows, all of them and without those that are members' own."""
    facts = read_record(folder / "run.json", Record)
    schema = FeatureSchema.from_toml(folder / "schema.toml")
    named_table = facts.get("arguments", {}).get("table") if table is None else table
    if named_table is None:
        raise InputError(f"{folder} does not say what its table was; name it with --table")
    raw = read_table(Path(named_table), schema)
    split = prepared(raw, schema, Setup("logistic", target=schema.target, seed=int(facts["seed"])))
    if facts.get("data") != data_hash(split.frame):
        raise InputError(f"the table is not the one that {folder} was made from; name that one with --table")
    task = experiment(replace(split, setup=replace(split.setup, target=schema.classes[0]))).task

    def persons(rows: pd.DataFrame) -> Any:
        known = rows[schema.group] if schema.group in rows else rows.index.to_series()
        return known.astype(str).to_numpy()

    crowd = Crowd.of(task, split.train, split.held_out, persons)
    made = pd.read_csv(folder / ROWS)
    if made.empty:
        raise InputError(f"{folder / ROWS} has no rows: there is nothing to attack")
    new = made[made["added_source"] != "real"] if "added_source" in made else made
    surfaces = [of_rows("rows", "all rows of augmented.csv", made, task)]
    notes = []
    if 0 < len(new) < len(made):
        notes.append(f"{len(made) - len(new):,} of {len(made):,} rows are members' own, labelled anew.")
        surfaces.append(of_rows("made rows", "its rows that are no member's own", new, task))
    values = {}
    for surface, frame in zip(surfaces, (made, new), strict=False):
        encoded = task.codec.encode(frame)
        values[surface.name] = (encoded, np.tile(task.codec.numeric, (len(encoded), 1)))
    return Opened(crowd, surfaces, values, _card(folder), identifiers(schema, raw), notes)


def _card(folder: Path) -> Card | None:
    return card_beside(folder / "counterfactuals.csv")


def _mark(folder: Path) -> str:
    """What was attacked, as a hash of its record and of what it made."""
    digest = hashlib.sha256()
    for name in ("run.json", "counterfactuals.csv", ROWS):
        path = folder / name
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def _linked(close: int, of: int) -> dict[str, float]:
    low, high = wilson(close, of)
    return {"plans": of, "linked": close, "low": low, "high": high} if of else {"plans": 0, "linked": 0}


def _labels(made: Opened, areas: pd.DataFrame, copied: pd.DataFrame, tests: Mapping[str, Any]) -> Record:
    """What each surface is called, and why not better."""
    out = {}
    for surface in made.surfaces:
        name, told = surface.name, tests[surface.name]
        few = int(copied[copied["surface"] == name]["held_by_few"].sum()) if name in made.values else 0
        more: tuple[str, ...] = ()
        if name == "plans" and made.plans is not None and made.plans[0]:
            close, of = made.plans
            more = (f"{close} of {of} plans share most values with a row of the person they were made for",)
        own = areas[areas["surface"] == name].reset_index(drop=True)
        called, why = label(own, bool(told["seen"]), bool(told["flagged"]), few, more, made.card)
        out[name] = {"label": called, "title": surface.title, "why": why}
    return out


def _write(folder: Path, made: Attack, opened: Opened) -> None:
    """Everything that is left, `run.json` last."""
    for name in ("areas", "copies", "identifiers"):
        with replacing(folder / f"{name}.csv") as path:
            getattr(made, name).to_csv(path, index=False)
    write_json(folder / "label.json", made.labels)
    sheet(made).write(folder)
    if opened.card is not None:
        opened.card.save(folder)
    write_json(folder / "run.json", made.facts)
    remove(folder, ["unfinished/request.json", "unfinished/part-*.json"])
