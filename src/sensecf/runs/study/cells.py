"""A study: tables × scenarios × shares removed × seeds × methods × classifiers, read from TOML.

The work is cut into cells, one file each, written whole or not at all: whatever interrupts a study,
the same command goes on. Splits are worked on in parallel, on this machine or a cluster.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from sensecf.augmentation import methods
from sensecf.augmentation.controls import Situation
from sensecf.augmentation.measure import assess
from sensecf.augmentation.scarcity import SCENARIOS, positive_class, remove_labels
from sensecf.classifiers import storage
from sensecf.classifiers.fit import NAMES
from sensecf.core.errors import InputError
from sensecf.core.files import write_json
from sensecf.core.folder import named
from sensecf.core.kept import Json, check_type, is_whole, read_record, read_toml, with_hash
from sensecf.core.parallel import LOCAL, Engine, spread
from sensecf.core.schema import FeatureSchema
from sensecf.core.version import __version__
from sensecf.data.builtin import find_card, load
from sensecf.data.card import Card
from sensecf.data.prepare import TEST_SHARE, prepare
from sensecf.data.privacy_gate import permission
from sensecf.data.splits import split
from sensecf.data.tables import MARKS, read_table

#: What a study keeps in its folder beside the cells.
STUDY, CELLS = "study.json", "cells"

#: The rows of a table that a study works with, and its schema.
Data = tuple[pd.DataFrame, FeatureSchema]
#: A method, and what the file of its cell holds.
Cell = tuple[str, Mapping[str, object]]
#: done cells, all cells, seconds left (NaN before anything is known)
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class StudyTable:
    """A table of a study: a data set by name, or a file with its schema. `positive`: the class F1 is about.

    `decimal`, `thousands`, `encoding`: how the file is written, where it does not settle that itself.
    """

    name: str
    path: str | None = None
    schema: str | None = None
    positive: str | None = None
    decimal: str = ""
    thousands: str = ""
    encoding: str = ""


@dataclass(frozen=True)
class Study:
    """What a study file says.

    `removed`: shares of labels taken away; `methods`: see `methods.find`; `method`: the one of them
    that is compared with the others; `seeds`: how many, from `first_seed`, so that a method can be
    chosen on some splits and confirmed on others. Each seed has a split into training
    and test rows of its own, the same for all else.
    """

    tables: tuple[StudyTable, ...]
    scenarios: tuple[str, ...]
    removed: tuple[float, ...]
    methods: tuple[str, ...]
    classifiers: tuple[str, ...] = ("svm", "random-forest", "xgboost", "mlp")
    seeds: int = 5
    first_seed: int = 0
    method: str = "augment"
    name: str = ""
    about: str = ""

    @property
    def cells(self) -> int:
        """How many cells it has, one for each classifier."""
        lists = (self.tables, self.scenarios, self.removed, self.methods, self.classifiers)
        return math.prod(map(len, lists)) * self.seeds


@dataclass(frozen=True)
class Split:
    """The cells that share training rows: one table, scenario, share and seed."""

    table: StudyTable
    scenario: str
    removed: float
    seed: int

    def folder(self, out: Path) -> Path:
        """Where its cells are."""
        return out / CELLS / self.table.name / f"{self.scenario}-{self.removed:.2f}" / f"seed-{self.seed:03d}"


@dataclass(frozen=True)
class SplitJob:
    """One split and the methods that it still lacks."""

    split: Split
    methods: tuple[str, ...]
    classifiers: tuple[str, ...]
    key: str


@dataclass(frozen=True)
class _Shared:
    """What all jobs share: the tables by name, and the folder."""

    data: Mapping[str, Data]
    out: Path


def read_study(path: str | Path) -> Study:
    """The study in a TOML file; relative paths are relative to it. Raises `InputError` for anything unknown."""
    path = Path(path)
    data = read_toml(path)
    known = {f.name for f in fields(Study)}
    for key in data:
        if key not in known:
            raise InputError(f"{path}: {key!r} is unknown; a study has {', '.join(sorted(known))}")
    for key in ("tables", "scenarios", "removed", "methods"):
        if not isinstance(data.get(key), list) or not data[key]:
            raise InputError(f"{path}: {key} must be a list that is not empty")
    tables = tuple(_table(entry, path) for entry in data.pop("tables"))
    study = Study(tables=tables, **{key: _frozen(value) for key, value in data.items()})
    _check(study, path)
    return study


def kept_study(path: Path) -> Study:
    """The study whose cells a folder holds, from its `study.json`. Raises `InputError` where that is damaged."""
    kept = read_record(path, Json)
    check_type(kept, Study, str(path))
    tables = tuple(
        StudyTable(**{f.name: table[f.name] for f in fields(StudyTable) if f.name in table}) for table in kept["tables"]
    )
    said = {f.name: _frozen(kept[f.name]) for f in fields(Study) if f.name in kept and f.name != "tables"}
    return Study(tables=tables, **said)


def _frozen(value: Any) -> Any:
    """A list of a file as a study holds it; any other value as it is."""
    return tuple(value) if isinstance(value, list) else value


def _table(entry: Any, path: Path) -> StudyTable:
    if isinstance(entry, str):
        return StudyTable(entry)
    known = {f.name for f in fields(StudyTable)}
    if not isinstance(entry, Mapping) or not set(entry) <= known or "name" not in entry:
        raise InputError(f"{path}: table {entry!r} must be the name of a data set, or have {', '.join(sorted(known))}")
    if ("path" in entry) != ("schema" in entry):
        raise InputError(f"{path}: table {entry['name']!r} needs both path and schema, or neither")
    places = {key: str((path.parent / entry[key]).resolve()) for key in ("path", "schema") if key in entry}
    return StudyTable(**{**entry, **places})


def _check(study: Study, path: Path) -> None:
    names = [table.name for table in study.tables]
    if len(set(names)) < len(names) or any(not n or "/" in n or n.startswith(".") for n in names):
        raise InputError(f"{path}: tables need names of their own that can be folders, not {names}")
    for scenario in study.scenarios:
        if scenario not in SCENARIOS:
            raise InputError(f"{path}: scenario {scenario!r} is unknown; use {', '.join(SCENARIOS)}")
    for share in study.removed:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise InputError(f"{path}: removed {share!r} must be a share between 0 and 1")
        if abs(share * 100 - round(share * 100)) > 1e-9:
            raise InputError(f"{path}: removed {share!r} must be whole per cent")
    for method in study.methods:
        methods.find(method)
    for needed in (study.method, "nothing", "oracle"):
        if needed not in study.methods:
            raise InputError(f"{path}: methods lacks {needed!r}, which the report needs")
    if len(set(study.methods)) < len(study.methods):
        raise InputError(f"{path}: a method is listed twice")
    for name in study.classifiers:
        if name not in NAMES:
            raise InputError(f"{path}: classifier {name!r} is unknown; use {', '.join(NAMES)}")
    if isinstance(study.seeds, bool) or not isinstance(study.seeds, int) or study.seeds < 1:
        raise InputError(f"{path}: seeds must be a whole number of at least 1, not {study.seeds!r}")
    if isinstance(study.first_seed, bool) or not isinstance(study.first_seed, int) or study.first_seed < 0:
        raise InputError(f"{path}: first_seed must be a whole number of at least 0, not {study.first_seed!r}")


def splits(study: Study) -> Iterator[Split]:
    """The splits of a study, every setting with its first seed before any with its second."""
    for seed in range(study.first_seed, study.first_seed + study.seeds):
        for table, scenario, share in itertools.product(study.tables, study.scenarios, study.removed):
            yield Split(table, scenario, float(share), seed)


def run_study(
    study: Study,
    out: str | Path,
    jobs: int | None = 1,
    progress: Progress | None = None,
    engine: Engine = LOCAL,
) -> None:
    """Do all cells of the study that the folder lacks, `jobs` splits at a time (None: as `engine.spread` does).

    A cell is done when its file holds all classifiers asked for, made by this version from the same
    table. The folder gets `study.json` and `cells/`. On Ray the workers are sent the tables and send
    back the cells of a split together, and every file is written here; on this machine each cell is
    written as soon as it is done. Raises `InputError` for tables that cannot be read or may not go to
    the engine's machines, and settings that a table cannot have, before the work begins.
    """
    out = named(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder with --out")
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")
    for table in study.tables:
        permission(engine.host, _card(table) if engine.host else None, engine.allows)
    shared = _Shared({table.name: read(table) for table in study.tables}, out)
    keys = {table.name: _key(table, shared.data[table.name]) for table in study.tables}
    for part in splits(study):
        situation(part, shared.data[part.table.name])  # what a table cannot have is told now, not after hours
    write_json(out / STUDY, {"sensecf": __version__, **asdict(study)})
    todo = [job for part in splits(study) if (job := _job(part, study, out, keys[part.table.name])).methods]
    total = sum(1 for _ in splits(study)) * len(study.methods)
    done = total - sum(len(job.methods) for job in todo)
    say = progress or (lambda done, total, left: None)
    say(done, total, math.nan)
    if not todo:
        return
    began, first = time.monotonic(), done
    work = _collect if engine.name == "ray" else _write
    for position, made in spread(work, todo, shared, workers=jobs, engine=engine):
        for method, cell in made:
            write_json(cell_path(todo[position].split, method, out), with_hash(cell))
        done += len(todo[position].methods)
        say(done, total, (time.monotonic() - began) / (done - first) * (total - done))


def _write(shared: _Shared, job: SplitJob) -> list[Cell]:
    for method, cell in cells(job, shared.data[job.split.table.name]):
        write_json(cell_path(job.split, method, shared.out), with_hash(cell))
    return []


def _collect(shared: _Shared, job: SplitJob) -> list[Cell]:
    return list(cells(job, shared.data[job.split.table.name]))


def _job(part: Split, study: Study, out: Path, key: str) -> SplitJob:
    missing = tuple(m for m in study.methods if not _done(part, m, study.classifiers, out, key))
    return SplitJob(part, missing, study.classifiers, key)


def _place(part: Split) -> dict[str, object]:
    """A split as its cells record it. How a file writes numbers is no part of it: the rows are in the cell's key."""
    place = asdict(part)
    place["table"] = {key: value for key, value in place["table"].items() if key not in MARKS}
    return place


def _done(part: Split, method: str, classifiers: tuple[str, ...], out: Path, key: str) -> bool:
    try:
        cell = read_cell(cell_path(part, method, out))
    except InputError:  # absent or damaged: it is done again
        return False
    theirs = cell["key"], cell["method"], cell["split"]
    return theirs == (key, method, _place(part)) and set(classifiers) <= set(cell["scores"])


class CellRecord(TypedDict):
    """The file of a cell, as far as it is read; `facts`: what a gate decided."""

    key: str
    split: Json
    method: str
    rows: int
    added_rows: int
    note: str
    facts: Json
    seconds: dict[str, float]
    scores: dict[str, dict[str, float | None]]
    sha256: str


def read_cell(path: Path) -> CellRecord:
    """The content of a cell's file. Raises `InputError` for one that is not as it was written."""
    cell = read_record(path, CellRecord)
    if not is_whole(cell):
        raise InputError(f"{path} was changed after it was written; remove it and run `sensecf study` again")
    return cell


def cell_path(part: Split, method: str, out: Path) -> Path:
    """The file of a cell."""
    return part.folder(out) / f"{method.replace(':', '+')}.json"


def cells(job: SplitJob, data: Data) -> Iterator[Cell]:
    """The cells of one split: each method sees what it may, each classifier learns and is scored."""
    reduced, test = situation(job.split, data)
    shared = methods.Shared()
    for method in job.methods:
        began = time.perf_counter()
        made = methods.apply(method, reduced, shared)
        ready = time.perf_counter()
        scores = {name: _finite(assess(name, reduced, made, test)) for name in job.classifiers}
        added = made.added
        yield (
            method,
            {
                "key": job.key,
                "sensecf": __version__,
                "split": _place(job.split),
                "method": method,
                "rows": len(reduced.rows),
                "removed_rows": 0 if reduced.removed is None else len(reduced.removed),
                "added_rows": len(added),
                "note": made.note,
                "facts": made.facts,
                "seconds": {"make": round(ready - began, 3), "learn": round(time.perf_counter() - ready, 3)},
                "scores": scores,
            },
        )


def situation(part: Split, data: Data | None = None) -> tuple[Situation, pd.DataFrame]:
    """What a split has to learn from, the removed rows included, and its test rows. `data`: its table, once read."""
    frame, schema = data or read(part.table)
    train, test = split(frame, schema, TEST_SHARE, part.seed)
    positive = positive_class(schema, part.table.positive)
    rows, removed = remove_labels(train, schema, part.scenario, part.removed, positive, part.seed)
    unlabelled = removed.drop(columns=schema.label)
    return Situation(schema, rows, positive, len(removed), part.seed, unlabelled, removed), test


def read(table: StudyTable) -> Data:
    """The rows and the schema of a table of a study."""
    if table.path is None or table.schema is None:
        data = load(table.name)
        frame, schema = data.frame, data.schema
    else:
        schema = FeatureSchema.from_toml(table.schema)
        frame = read_table(table.path, schema, **{mark: getattr(table, mark) for mark in MARKS})
    return prepare(frame, schema, None, 0)[0].reset_index(drop=True), schema


def _card(table: StudyTable) -> Card | None:
    return load(table.name).card if table.path is None else find_card(table.path)


def _key(table: StudyTable, data: Data) -> str:
    """A name for what a cell of a table depends on beside its place: the rows, the schema, the version."""
    frame, schema = data
    text = repr((__version__, storage.data_hash(frame), schema.to_toml(), table.positive))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in scores.items()}
