"""Dexcom Clarity: the CSV export of one or more people, times on the wall clock.

Each CSV file is one person, named by the file; with `folders_are_people`, by the folder, all of
whose files are joined. Rows other than glucose values (alerts, calibrations, insulin, names) are
not used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sensecf.sensors.recording import Recording, make_signal
from sensecf.sensors.report import Report
from sensecf.sensors.source import Source, column, find_files, glucose_values, read_rows
from sensecf.sensors.times import parse_formats

WORDS = {"low": 40.0, "high": 400.0}
TIMES = (
    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S",
)  # fmt: skip


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """One source per CSV file, or per folder. Raises `InputError` when there is none."""
    return csv_people(root, folders_are_people, "Clarity export (*.csv)")


def csv_people(root: Path, folders_are_people: bool, expected: str) -> list[Source]:
    """Sources of formats that have one CSV file per person."""
    sources = find_files(root, {"glucose": ("*.csv", "*.CSV")}, "UTC", folders_are_people, expected)
    if folders_are_people:
        return sources
    return [Source(path.stem, {"glucose": (path,)}) for path in sources[0].files["glucose"]]


def read(source: Source, report: Report) -> Recording:
    """The glucose trace of one person. Bad files and rows are counted in the report."""
    times, values = [], []
    for path in source.files["glucose"]:
        rows = read_rows(path, report)
        head = [cell.lower() for cell in rows[0]] if rows else []
        when = next((i for i, name in enumerate(head) if name.startswith("timestamp")), None)
        what = next((i for i, name in enumerate(head) if name.startswith("glucose value")), None)
        kind = head.index("event type") if "event type" in head else None
        if when is None or what is None:
            if rows:
                report.reject("file", "no columns Timestamp and Glucose Value", path.name)
            continue
        report.seen["records"] += len(rows) - 1
        body = rows[1:]
        if kind is not None:
            named = column(body, kind)
            body = [row for row, event in zip(body, named, strict=True) if event == "EGV"]
            known = sum(event in _OTHER for event in named)
            report.notes["Clarity rows that are no glucose values (names, alerts, insulin, ...)"] += known
            report.reject("record", "event type unknown", path.name, len(named) - len(body) - known)
        times.append(parse_formats(column(body, when), TIMES))
        values.append(glucose_values(column(body, what), "mmol" in head[what], WORDS))
    recording = Recording(source.person)
    if times:
        where = source.files["glucose"][0].name
        signal = make_signal("glucose", np.concatenate(times), np.concatenate(values), report, where)
        if signal is not None:
            recording.signals["glucose"] = signal
    return recording


_OTHER = {
    "FirstName", "LastName", "DateOfBirth", "Device", "Alert", "Calibration", "Insulin", "Carbs", "Exercise",
    "Health", "Notes",
}  # fmt: skip
