"""The AI-READI tree, versions 1 to 3: files found by walking, one person read at a time.

What differs between the versions, and between copies:

* each datatype folder may be nested twice; the tree may lie in a folder `dataset`;
* version 1 has no list name under `body` for glucose, calories under `duration`, and sleep in
  `sleep_stage_episodes`; the interval of a sleep stage is `sleep_stage_time_frame` in older files;
* version 3 has the time zone in the header; before, it follows from the id (7xxx is Central);
* files may be absent, empty, or hold an empty list.

All times are UTC. The averages of `manifest.tsv` are never used: they count the codes for "no reading".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sensecf.core.errors import InputError
from sensecf.core.kept import Json
from sensecf.core.rules import Floats
from sensecf.sensors.days.clinical import read_facts
from sensecf.sensors.recording import STAGES, Recording, make_signal, make_spans
from sensecf.sensors.report import Report
from sensecf.sensors.source import Source, numbers, read_json
from sensecf.sensors.times import Ints, parse_iso

WATCH, CGM, CLINICAL = "wearable_activity_monitor", "wearable_blood_glucose", "clinical_data"
ZONES = {"pst": "America/Los_Angeles", "cst": "America/Chicago"}
#: The sensor writes a word beyond its range of 40 to 400 mg/dL.
GLUCOSE_WORDS = {"low": 40.0, "high": 400.0}
#: Movement other than rest that lasts longer than an hour is a gap: an interval begins where the record before ended.
LONGEST_MOVE = 3600
#: More steps in one interval than this are an error.
MOST_STEPS = 20_000
#: Types of movement as the watch's activity byte has them (bits 0-4).
WALKING, RUNNING = 6, 1


@dataclass(frozen=True)
class Modality:
    """Where one kind of file lies and under which names its records and values stand, newest first."""

    datatype: str
    folders: tuple[str, ...]
    suffix: str
    body: tuple[str, ...]
    value: tuple[str, ...]


MODALITIES = {
    "heart_rate": Modality(WATCH, ("heart_rate",), "_heartrate.json", ("heart_rate",), ("heart_rate",)),
    "stress": Modality(WATCH, ("stress",), "_stress.json", ("stress",), ("stress",)),
    "spo2": Modality(WATCH, ("oxygen_saturation",), "_oxygensaturation.json", ("breathing",), ("oxygen_saturation",)),
    "respiration": Modality(
        WATCH, ("respiratory_rate",), "_respiratoryrate.json", ("breathing",), ("respiratory_rate",)
    ),
    "energy": Modality(
        WATCH,
        ("physical_activity_calorie", "physical_activity_cal"),
        "_calorie.json",
        ("activity",),
        ("calories_value", "duration"),
    ),
    "glucose": Modality(CGM, ("continuous_glucose_monitoring",), "_DEX.json", ("cgm",), ("blood_glucose",)),
    "sleep": Modality(WATCH, ("sleep",), "_sleep.json", ("sleep",), ("sleep_stage_state",)),
    "activity": Modality(WATCH, ("physical_activity",), "_activity.json", ("activity",), ("base_movement_quantity",)),
}


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """The people of a tree, by id. `timezone` overrides what the files say; people lie in folders anyway.

    Raises `InputError` when there is no tree.
    """
    base = _base(root)
    files: dict[str, dict[str, tuple[Path, ...]]] = {}
    for kind, modality in MODALITIES.items():
        for person, path in _walk(base, modality):
            files.setdefault(person, {})[kind] = (path,)
    facts = read_facts(base, _nested(base, CLINICAL), report)
    without = [person for person in facts if person not in files]
    report.reject("person", "no sensor file", without[0] if without else "", len(without))
    if not files:
        raise InputError(f"{root} has people but no sensor files: expected {WATCH}/heart_rate/<device>/<id>/…")
    for kind in MODALITIES:
        absent = sum(kind not in found for found in files.values())
        if absent:
            report.notes[f"people without a {kind} file"] += absent
    return [Source(person, files[person], facts.get(person, {}), timezone or "") for person in sorted(files)]


def _base(root: Path) -> Path:
    """The folder that holds the datatype folders: `root`, or one folder below."""
    if not root.is_dir():
        raise InputError(f"{root} is no folder; give the root of the AI-READI download")
    for base in (root, root / "dataset", *sorted(child for child in root.iterdir() if child.is_dir())):
        if any((base / name).exists() for name in (WATCH, CGM, "participants.tsv")):
            return base
    raise InputError(f"{root} is no AI-READI tree: it has neither {WATCH}, {CGM} nor participants.tsv")


def _nested(base: Path, datatype: str) -> Path:
    """The datatype's folder; some copies hold it twice."""
    inner = base / datatype / datatype
    return inner if inner.is_dir() else base / datatype


def _walk(base: Path, modality: Modality) -> list[tuple[str, Path]]:
    found = []
    for name in modality.folders:
        for path in sorted((_nested(base, modality.datatype) / name).glob(f"*/*/*{modality.suffix}")):
            found.append((path.parent.name, path))
    return found


def read(source: Source, report: Report) -> Recording:
    """All signals of one person, local time. Nothing is raised for bad files: they are counted in the report."""
    recording = Recording(source.person, facts=dict(source.facts))
    for kind, paths in source.files.items():
        for path in paths:
            data = read_json(path, report)
            if data is None:
                continue
            records = _records(data, MODALITIES[kind], report, path.name)
            zone = source.timezone or _zone(data, source.person)
            if not records:
                report.notes["files with an empty list"] += 1
            elif kind == "sleep":
                _sleep(recording, records, zone, report, path.name)
            elif kind == "activity":
                _activity(recording, records, zone, report, path.name)
            else:
                time, values = _points(records, MODALITIES[kind].value, report, path.name)
                number = _floats(values, GLUCOSE_WORDS if kind == "glucose" else {})
                signal = make_signal(kind, parse_iso(time), number, report, path.name, zone)
                if signal is not None:
                    recording.signals[kind] = signal
    return recording


def _zone(data: Any, person: str) -> str:
    """Time zone from the header of version 3, else from the id; fixed offsets would be wrong half of the year."""
    header = data.get("header") if isinstance(data, dict) else None
    written = str(header.get("timezone", "")) if isinstance(header, dict) else ""
    return ZONES.get(written.strip().lower(), ZONES["cst" if person.startswith("7") else "pst"])


def _records(data: Any, modality: Modality, report: Report, where: str) -> list[Any]:
    """The list of records, wherever the version puts it."""
    body = data.get("body") if isinstance(data, dict) else None
    if isinstance(body, dict):
        lists = [body[key] for key in modality.body if isinstance(body.get(key), list)]
        lists = lists or [value for value in body.values() if isinstance(value, list)]
        body = lists[0] if len(lists) == 1 else None
    if not isinstance(body, list):
        report.reject("file", "no list of records under body", where)
        return []
    report.seen["records"] += len(body)
    if any(isinstance(item, dict) and "sleep_stage_episodes" in item for item in body):
        nested = [item.get("sleep_stage_episodes") if isinstance(item, dict) else None for item in body]
        report.reject("record", "no list of sleep_stage_episodes", where, sum(not isinstance(n, list) for n in nested))
        body = [episode for n in nested if isinstance(n, list) for episode in n]
    return body


def _points(records: list[Any], keys: Sequence[str], report: Report, where: str) -> tuple[list[Any], list[Any]]:
    """Time text and value of each record; records that lack one are counted."""
    key = keys[0]
    try:  # all records alike, which is the rule, and much faster
        if "date_time" in records[0]["effective_time_frame"]:
            return [r["effective_time_frame"]["date_time"] for r in records], [r[key]["value"] for r in records]
    except (KeyError, TypeError, IndexError):
        pass  # another version, or a bad record: one by one
    time: list[Any] = []
    values: list[Any] = []
    for record in records:
        try:
            if record.get("event_type", "EGV") != "EGV":
                report.reject("record", "event other than a glucose value (EGV)", where)
                continue
            frame = record["effective_time_frame"]
            moment = frame["date_time"] if "date_time" in frame else frame["time_interval"]["start_date_time"]
            value = next(record[k] for k in keys if k in record)["value"]
        except (KeyError, TypeError, AttributeError, StopIteration):
            report.reject("record", "value or time is absent", where)
            continue
        time.append(moment)
        values.append(value)
    return time, values


def _floats(values: list[Any], words: dict[str, float]) -> Floats:
    try:
        if words or any(type(v) is bool for v in values):
            raise ValueError
        return np.array(values, dtype=float)
    except (TypeError, ValueError, OverflowError):  # words among the numbers
        return numbers(words.get(v.strip().lower(), v) if isinstance(v, str) else v for v in values)


def _intervals(records: list[Any], keys: Sequence[str], report: Report, where: str) -> tuple[Ints, Ints, list[Json]]:
    """Start and end (UTC seconds) of each record with an interval under one of the keys, and those records."""
    starts: list[Any] = []
    ends: list[Any] = []
    kept: list[Json] = []
    for record in records:
        try:
            frame = next(record[k] for k in keys if k in record)["time_interval"]
            start, end = frame["start_date_time"], frame["end_date_time"]
        except (KeyError, TypeError, StopIteration):
            report.reject("record", "interval is absent", where)
            continue
        starts.append(start)
        ends.append(end)
        kept.append(record)
    return parse_iso(starts), parse_iso(ends), kept


def _sleep(recording: Recording, records: list[Any], zone: str, report: Report, where: str) -> None:
    keys = ("effective_time_frame", "sleep_stage_time_frame")
    start, end, kept = _intervals(records, keys, report, where)
    kind = np.array([str(r.get("sleep_stage_state")).strip().lower() for r in kept], dtype=str)
    known = np.isin(kind, STAGES)
    report.reject("record", "sleep stage unknown", where, int(np.sum(~known)))
    recording.sleep = make_spans(start[known], end[known], kind[known], None, report, where, zone)


def _activity(recording: Recording, records: list[Any], zone: str, report: Report, where: str) -> None:
    """Movement intervals. Their value is called steps and may be the watch's activity byte (see `step_field`)."""
    start, end, kept = _intervals(records, ("effective_time_frame",), report, where)
    kind = np.array([str(r.get("activity_name", "")).strip().lower() for r in kept], dtype=str)
    quantity = [r.get("base_movement_quantity") for r in kept]
    value = numbers(q.get("value") if isinstance(q, dict) else None for q in quantity)
    holds = step_field(kind, value)
    if holds != "steps":
        report.notes[_STEP_NOTES[holds]] += 1
        value = np.full(len(value), np.nan)
    with np.errstate(invalid="ignore"):
        wrong = (value < 0) | (value > MOST_STEPS)
    report.reject("reading", f"steps outside 0 to {MOST_STEPS:,}", where, int(np.sum(wrong)))
    value = np.where(wrong, np.nan, value)
    unnamed = kind == ""
    report.reject("record", "movement without a name (type 9)", where, int(np.sum(unnamed)))
    gap = ~unnamed & (kind != "sedentary") & (end - start > LONGEST_MOVE)
    report.reject("record", "movement longer than an hour (a gap)", where, int(np.sum(gap)))
    keep = ~unnamed & ~gap
    recording.activity = make_spans(start[keep], end[keep], kind[keep], value[keep], report, where, zone)


_STEP_NOTES = {
    "byte": "people whose steps are the watch's activity byte: active minutes used, steps left blank",
    "unknown": "people with too few movements to tell whether the step field holds steps: left blank",
}


def step_field(kind: NDArray[np.str_], value: Floats) -> Literal["steps", "byte", "unknown"]:
    """What the "steps" of one person's movement records are: steps, FIT activity bytes, or too few to tell.

    A byte has the type in bits 0-4 and the intensity in bits 5-7. They are bytes when each walking
    value is one of type 6 and each running value one of type 1, which steps would be by chance
    once in 32 records; at least 5 records are needed to tell.
    """
    moving = ((kind == "walking") | (kind == "running")) & (value > 0)
    expected = np.where(kind[moving] == "walking", WALKING, RUNNING)
    byte = (value[moving] <= 255) & (np.floor(value[moving]) == value[moving])
    byte &= np.where(byte, value[moving], 0).astype(np.int64) & 31 == expected
    if not byte.all():
        return "steps"
    return "byte" if len(byte) >= 5 else "unknown"
