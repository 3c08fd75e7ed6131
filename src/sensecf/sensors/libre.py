"""LibreView: the CSV export of FreeStyle Libre sensors, times on the wall clock of the reader or phone.

A first line tells when the file was made, the second names the columns. Record type 0 is the
historic value every 15 minutes (or every minute), 1 a scan in between; both are used, and a day's
coverage is judged by the usual step between them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sensecf.sensors.dexcom import csv_people
from sensecf.sensors.recording import Recording, make_signal
from sensecf.sensors.report import Report
from sensecf.sensors.source import Source, column, glucose_values, read_rows
from sensecf.sensors.times import parse_formats

#: The sensor reads 40 to 500 mg/dL.
WORDS = {"lo": 40.0, "hi": 500.0}
TIMES = (
    "%d-%m-%Y %H:%M", "%m-%d-%Y %H:%M", "%m-%d-%Y %I:%M %p", "%d-%m-%Y %I:%M %p", "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M",
)  # fmt: skip
#: Record types that hold no glucose of the sensor: strips, insulin, food, notes, time changes.
OTHER_TYPES = {"2", "3", "4", "5", "6"}


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """One source per CSV file, or per folder. Raises `InputError` when there is none."""
    return csv_people(root, folders_are_people, "LibreView export (*.csv)")


def read(source: Source, report: Report) -> Recording:
    """The glucose trace of one person. Bad files and rows are counted in the report."""
    times, values = [], []
    for path in source.files["glucose"]:
        rows = read_rows(path, report)
        start = next((i for i, row in enumerate(rows[:5]) if "device timestamp" in [c.lower() for c in row]), None)
        if start is None:
            if rows:
                report.reject("file", "no column Device Timestamp in the first five rows", path.name)
            continue
        head = [cell.lower() for cell in rows[start]]
        when = head.index("device timestamp")
        kind = next((i for i, name in enumerate(head) if name == "record type"), None)
        columns = {
            record: next((i for i, name in enumerate(head) if name.startswith(prefix)), None)
            for record, prefix in (("0", "historic glucose"), ("1", "scan glucose"))
        }
        if kind is None or columns["0"] is None:
            report.reject("file", "no columns Record Type and Historic Glucose", path.name)
            continue
        body = rows[start + 1 :]
        report.seen["records"] += len(body)
        types = column(body, kind)
        report.reject("record", "record type unknown", path.name, sum(t not in OTHER_TYPES | {"0", "1"} for t in types))
        report.notes["LibreView rows that are no glucose of the sensor"] += sum(t in OTHER_TYPES for t in types)
        stamps = parse_formats(column(body, when), TIMES)
        for record, index in columns.items():
            wanted = np.array([t == record for t in types], dtype=bool)
            if index is None:
                report.reject("record", "no column for this record type", path.name, int(wanted.sum()))
            elif wanted.any():
                texts = [text for text, yes in zip(column(body, index), wanted, strict=True) if yes]
                times.append(stamps[wanted])
                values.append(glucose_values(texts, "mmol" in head[index], WORDS))
    recording = Recording(source.person)
    if times:
        where = source.files["glucose"][0].name
        signal = make_signal("glucose", np.concatenate(times), np.concatenate(values), report, where)
        if signal is not None:
            recording.signals["glucose"] = signal
    return recording
