"""LibreView: the CSV export of FreeStyle Libre sensors, times on the wall clock of the reader or phone.

A first line tells when the file was made, the second names the columns. Record type 0 is the
historic value every 15 minutes (or every minute), 1 a scan in between; both are used, and a day's
coverage is judged by the usual step between them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sensecf.core.rules import Bools
from sensecf.sensors.formats.exports import Sheet, csv_people, read_export
from sensecf.sensors.formats.exportwords import means
from sensecf.sensors.recording import Recording
from sensecf.sensors.report import Report
from sensecf.sensors.source import Source, column

#: The sensor reads 40 to 500 mg/dL.
LIMITS = (40.0, 500.0)
#: Record types that hold no glucose of the sensor: strips, insulin, food, notes, time changes.
OTHER_TYPES = ("2", "3", "4", "5", "6")


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """One source per CSV file, or per folder. Raises `InputError` when there is none."""
    return csv_people(root, folders_are_people, "LibreView export (*.csv)")


def read(source: Source, report: Report) -> Recording:
    """The glucose trace of one person. Bad files and rows are counted in the report."""
    return read_export(source, report, "libre", _rows, LIMITS)


def _rows(sheet: Sheet, report: Report, where: str) -> list[tuple[Bools, int]]:
    """Historic values and scans, each in its column: by its words, else the first and second with a unit."""
    if sheet.record is None:
        raise ValueError("no column of record types (0: historic value, 1: scan)")
    types = np.array(column(sheet.body, sheet.record), dtype=str)
    report.reject("record", "record type unknown", where, int(np.sum(~np.isin(types, ("0", "1", *OTHER_TYPES)))))
    report.notes["LibreView rows that are no glucose of the sensor"] += int(np.isin(types, OTHER_TYPES).sum())
    scan = next((i for i in sheet.glucose if means(sheet.head[i], "scan")), None)
    historic = next((i for i in sheet.glucose if means(sheet.head[i], "historic")), None)
    left = [i for i in sheet.glucose if i not in (scan, historic)]
    historic = left.pop(0) if historic is None and left else historic
    scan = left.pop(0) if scan is None and left else scan
    out = []
    for code, index in (("0", historic), ("1", scan)):
        mask = types == code
        if index is None:
            report.reject("record", "no column for this record type", where, int(mask.sum()))
        elif mask.any():
            out.append((mask, index))
    return out
