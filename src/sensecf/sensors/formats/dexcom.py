"""Dexcom Clarity: the CSV export of one or more people, times on the wall clock.

Each CSV file is one person, named by the file; with `folders_are_people`, by the folder, all of
whose files are joined. Rows other than glucose values (alerts, calibrations, insulin, names) are
not used.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from sensecf.core.rules import Bools
from sensecf.sensors.formats.exports import Sheet, csv_people, read_export
from sensecf.sensors.formats.exportwords import READING
from sensecf.sensors.recording import Recording
from sensecf.sensors.report import Report
from sensecf.sensors.source import Source, column

#: The sensor reads 40 to 400 mg/dL.
LIMITS = (40.0, 400.0)


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """One source per CSV file, or per folder. Raises `InputError` when there is none."""
    return csv_people(root, folders_are_people, "Clarity export (*.csv)")


def read(source: Source, report: Report) -> Recording:
    """The glucose trace of one person. Bad files and rows are counted in the report."""
    return read_export(source, report, "dexcom", _rows, LIMITS)


def _rows(sheet: Sheet, report: Report, where: str) -> list[tuple[Bools, int]]:
    """The rows of glucose events: by their name where known, else the event with most glucose values."""
    index = sheet.glucose[0]
    if sheet.event is None:
        return [(np.ones(len(sheet.body), dtype=bool), index)]
    events = np.array(column(sheet.body, sheet.event), dtype=str)
    filled = np.array([bool(text) for text in column(sheet.body, index)], dtype=bool)
    mask = np.isin(np.char.lower(events), list(READING))
    if not mask.any() and filled.any():
        mask = events == Counter(events[filled].tolist()).most_common(1)[0][0]
    known = ~mask & (~filled | np.isin(events, _OTHER))
    report.notes["Clarity rows that are no glucose values (names, alerts, insulin, ...)"] += int(known.sum())
    report.reject("record", "event type unknown", where, int(np.sum(~mask & ~known)))
    return [(mask, index)]


#: Events that carry a glucose value of another kind: the limit of an alert, the meter's value of a calibration.
_OTHER = (
    "Alert",
    "Calibration",
    "Device",
    "Warnung",
    "Alarm",
    "Kalibrierung",
    "Alerte",
    "Alerta",
    "Calibración",
    "Étalonnage",
    "Calibrage",
    "Avviso",
    "Calibrazione",
)
