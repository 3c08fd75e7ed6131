"""`simulate`: a whole AI-READI-shaped tree of people who do not exist, for tests, demos and teaching.

`graph` says what causes what, `person` draws people and their days from it, `traces` makes the
minutes, `files` writes them as the pipeline of the real data set does.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed

from sensecf.core.errors import InputError
from sensecf.core.files import write_json, write_text
from sensecf.sensors.cards import SIMULATED_MARK
from sensecf.sensors.formats.aireadi import CGM, WATCH, ZONES
from sensecf.sensors.simulator.files import FileStyle, path_of, person_files
from sensecf.sensors.simulator.graph import causal_graph
from sensecf.sensors.simulator.person import Person, make_person
from sensecf.sensors.simulator.traces import make_traces
from sensecf.sensors.times import DAY, EARLIEST, LATEST, zone

#: Ids are four digits: a site and a number.
MOST_PEOPLE = 2997

DATATYPES = (
    "cardiac_ecg",
    "clinical_data",
    "environment",
    "retinal_flio",
    "retinal_oct",
    "retinal_octa",
    "retinal_photography",
    WATCH,
    CGM,
)


@dataclass(frozen=True)
class _Job:
    number: int
    days: int
    seed: int
    start: str
    style: FileStyle
    nested: bool


def simulate(
    root: str | Path,
    people: int,
    days: int = 10,
    seed: int = 0,
    *,
    version: int = 3,
    nested: bool = False,
    movement: str = "byte",
    faults: bool = True,
    start: str = "2024-03-04",
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Person]:
    """Write a simulated AI-READI tree below `root` and return its people (with the true values of their days).

    `version` 1, 2 or 3 and `nested` choose the layout; `movement`: whether the "steps" hold the
    watch's activity byte ("byte") or steps; `faults`: gaps, codes for no reading, absent, empty and
    cut-off files. `start`: first local day. Also written: `causal_graph.json`, `participants.tsv`,
    `clinical_data/`. The same arguments give the same bytes, whatever `jobs` is.
    Raises `InputError` for impossible arguments, and when `root` already holds files.

    >>> len(sensecf.sensors.simulate(folder / "tree", people=2, days=2, jobs=1))
    2
    """
    root = Path(root).absolute()  # worker processes that are reused may stand in another folder
    _check(root, people, days, version, movement, start)
    style = FileStyle(version, movement, faults)
    todo = [_Job(number, days, seed, start, style, nested) for number in range(people)]
    done: list[Person] = []
    workers = min(jobs or cpu_count(), people)
    for person in _each(root, todo, workers):
        done.append(person)
        if progress is not None:
            progress(len(done), people)
    _tables(root, done, version)
    write_json(root / SIMULATED_MARK, causal_graph())
    write_text(root / "README.md", _README)
    return done


def _check(root: Path, people: int, days: int, version: int, movement: str, start: str) -> None:
    if not 1 <= people <= MOST_PEOPLE:
        raise InputError(f"people must lie in 1 to {MOST_PEOPLE}, not {people}")
    if not 1 <= days <= 366:
        raise InputError(f"days must lie in 1 to 366, not {days}")
    if version not in (1, 2, 3):
        raise InputError(f"version must be 1, 2 or 3, not {version}")
    if movement not in ("byte", "steps"):
        raise InputError(f"movement must be byte or steps, not {movement!r}")
    try:
        first = np.datetime64(start, "D").astype(int) * DAY
    except ValueError as error:
        raise InputError(f"start {start!r} is no date; write YYYY-MM-DD") from error
    if not EARLIEST + DAY <= first < LATEST - 400 * DAY:
        raise InputError(f"start {start} must lie between 2000-01-02 and 2098")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(f"{root} is not empty; name a new folder")


def _each(root: Path, todo: list[_Job], workers: int) -> Any:
    if workers == 1:
        return (_write_person(root, job) for job in todo)
    parallel = Parallel(n_jobs=workers, return_as="generator", pre_dispatch=2 * workers, batch_size=1)
    return parallel(delayed(_write_person)(root, job) for job in todo)


def _write_person(root: Path, job: _Job) -> Person:
    rng = np.random.default_rng([job.seed, job.number])
    person = make_person(job.number, job.days, rng)
    place = ZONES[person.timezone]
    # Spread over the first four weeks, as people were enrolled.
    begin = np.datetime64(job.start, "D") + int(rng.integers(28))
    local = begin.astype("datetime64[s]").item().replace(tzinfo=zone(place))
    traces = make_traces(person, int(local.timestamp()), place, rng)
    for kind, text in person_files(person, traces, job.style, rng).items():
        path = path_of(root, kind, person.id, job.nested)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return person


def _tables(root: Path, people: list[Person], version: int) -> None:
    identifier = "person_id" if version >= 3 else "participant_id"
    with (root / "participants.tsv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        head = ["clinical_site", "study_group", "age", "study_visit_date", "recommended_split"]
        rows.writerow([identifier, *head, *DATATYPES])
        present = ["TRUE" if name in ("clinical_data", WATCH, CGM) else "FALSE" for name in DATATYPES]
        for p in people:
            rows.writerow([p.id, p.site, p.group, p.age, "2024-03-01", p.split, *present])
    clinical = root / "clinical_data"
    clinical.mkdir(exist_ok=True)
    _omop(clinical / "measurement.csv", "measurement", _MEASUREMENTS, people, version)
    _omop(clinical / "observation.csv", "observation", _OBSERVATIONS, people, 3)


#: Code, label and column of each row of the clinical tables; version 1 has the label alone.
_MEASUREMENTS = (
    ("bmi_vsorres", "BMI", "bmi"),
    ("import_hba1c", "HbA1c (%)", "hba1c_pct"),
    ("bp1_sysbp_vsorres", "Systolic (mmHg)", "sbp"),
    ("bp1_diabp_vsorres", "Diastolic (mmHg)", "dbp"),
)
_OBSERVATIONS = (("cestl", "CES-D-10 total", "cesd10"), ("paidscore", "PAID-5 total", "paid5"))


def _omop(path: Path, name: str, wanted: tuple[tuple[str, str, str], ...], people: list[Person], version: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([f"{name}_id", "person_id", f"{name}_source_value", "value_as_number"])
        number = 0
        for person in people:
            for code, label, column in wanted:
                number += 1
                source = label if version == 1 else f"{code}, {label}"
                rows.writerow([number, person.id, source, person.clinical[column]])


_README = """# Simulated people

Written by `sensecf sensors simulate`. Nobody is described here: people, days and files are drawn
from `causal_graph.json`. The layout follows the AI-READI data set so that software can be tested
without it; nothing here was derived from its rows.
"""
