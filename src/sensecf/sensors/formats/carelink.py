"""Medtronic CareLink: the CSV export of pump and sensor, times on the wall clock of the device.

A banner about the person, then one or more tables with the columns date, time and, among many of the pump,
the sensor's glucose. Rows of the pump (boluses, alarms, meter values) are not used.
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

#: The sensor reads 40 to 400 mg/dL.
LIMITS = (40.0, 400.0)


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """One source per CSV file, or per folder. Raises `InputError` when there is none."""
    return csv_people(root, folders_are_people, "CareLink export (*.csv)")


def read(source: Source, report: Report) -> Recording:
    """The glucose trace of one person. Bad files and rows are counted in the report."""
    return read_export(source, report, "carelink", _rows, LIMITS)


def _rows(sheet: Sheet, report: Report, where: str) -> list[tuple[Bools, int]]:
    """Rows with a value of the sensor: in the column named so, else in the one with most values."""
    filled = {i: np.array([bool(text) for text in column(sheet.body, i)], dtype=bool) for i in sheet.glucose}
    named = [i for i in sheet.glucose if means(sheet.head[i], "sensor")]
    index = max(named or sheet.glucose, key=lambda i: int(filled[i].sum()))
    report.notes["CareLink rows that are no glucose of the sensor"] += int(np.sum(~filled[index]))
    return [(filled[index], index)]
