"""Apple Health: export.xml, read as a stream, so that years of data need little memory.

Each record carries its offset, so the first part of its time is the wall clock. Phone and watch
both count steps and energy: of the sources the one with the larger sum is taken for each day.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from sensecf.sensors.recording import UNSTAGED, Recording, make_signal, make_spans
from sensecf.sensors.report import Report
from sensecf.sensors.source import MGDL_PER_MMOL, Source, find_files, numbers
from sensecf.sensors.times import DAY, NO_TIME, parse_iso

PREFIX = "HKQuantityTypeIdentifier"
#: Signals and the factor to their unit; percent are written as shares.
SIGNALS = {
    "HeartRate": ("heart_rate", 1.0),
    "RespiratoryRate": ("respiration", 1.0),
    "OxygenSaturation": ("spo2", 100.0),
}
GLUCOSE = "BloodGlucose"
#: Amounts that are summed over the day, by source.
SUMS = {"StepCount": "steps", "ActiveEnergyBurned": "active_kcal", "AppleExerciseTime": "active_min"}
#: Values the device gives once a day.
DAILY = {"RestingHeartRate": "resting_hr_bpm"}
KJ_PER_KCAL = 4.184
STAGE = {
    "HKCategoryValueSleepAnalysisAwake": "awake",
    "HKCategoryValueSleepAnalysisAsleepCore": "light",
    "HKCategoryValueSleepAnalysisAsleepDeep": "deep",
    "HKCategoryValueSleepAnalysisAsleepREM": "rem",
    "HKCategoryValueSleepAnalysisAsleepUnspecified": UNSTAGED,
    "HKCategoryValueSleepAnalysisAsleep": UNSTAGED,
}
IN_BED = "HKCategoryValueSleepAnalysisInBed"


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """One source for export.xml or its folder, or one per folder. Raises `InputError` when there is none."""
    return find_files(
        root, {"export": ("export.xml", "Export.xml")}, "UTC", folders_are_people, "Apple Health export (export.xml)"
    )


class _Collected:
    """Readings gathered from the stream: compact arrays, and sums per day and source."""

    def __init__(self) -> None:
        self.time = {name: array("q") for name in ("heart_rate", "respiration", "spo2", "glucose")}
        self.value = {name: array("d") for name in self.time}
        self.sleep: list[tuple[int, int, str]] = []
        self.sums: dict[tuple[str, int, str], float] = {}
        self.daily: list[tuple[str, int, float]] = []


def read(source: Source, report: Report) -> Recording:
    """All signals of one person. A damaged file is read up to the damage; bad records are counted."""
    got = _Collected()
    for path in source.files["export"]:
        report.seen["files"] += 1
        try:
            stream = ElementTree.iterparse(path, events=("start", "end"))
            _, root = next(stream, (None, None))
            for event, element in stream:
                if event == "end" and element.tag == "Record":
                    report.seen["records"] += 1
                    _take(got, element.attrib, report, path.name)
                    if root is not None:  # else every element read so far would stay in memory
                        root.clear()
        except ElementTree.ParseError as error:
            report.reject("file", f"damaged: {error}", path.name)
        except (OSError, ValueError, LookupError) as error:  # unreadable, or an encoding that does not exist
            report.reject("file", f"cannot be read: {error}", path.name)
    return _finish(source, got, report)


def _local(text: str | None) -> int:
    """ "2024-03-05 08:00:00 -0800" as local seconds."""
    return int(parse_iso([None if text is None else text[:19]])[0])


def _take(got: _Collected, record: dict[str, str], report: Report, where: str) -> None:
    kind = record.get("type", "").removeprefix(PREFIX)
    start = _local(record.get("startDate"))
    if kind == "HKCategoryTypeIdentifierSleepAnalysis":
        stage = record.get("value", "")
        if stage in STAGE:
            got.sleep.append((start, _local(record.get("endDate")), STAGE[stage]))
        elif stage != IN_BED:
            report.reject("record", "sleep stage unknown", where)
        return
    if kind not in SIGNALS and kind not in SUMS and kind not in DAILY and kind != GLUCOSE:
        report.notes["Apple records of other kinds"] += 1
        return
    value = float(numbers([record.get("value")])[0])
    if start == NO_TIME or not np.isfinite(value) or value < 0:
        report.reject("record", f"{kind}: value or time cannot be read", where)
    elif kind in SIGNALS:
        name, factor = SIGNALS[kind]
        got.time[name].append(start)
        got.value[name].append(value * factor)
    elif kind == GLUCOSE:
        got.time["glucose"].append(start)
        got.value["glucose"].append(value * (MGDL_PER_MMOL if "mmol" in record.get("unit", "") else 1.0))
    elif kind in DAILY:
        got.daily.append((DAILY[kind], start // DAY, value))
    else:
        key = (SUMS[kind], start // DAY, record.get("sourceName", ""))
        got.sums[key] = got.sums.get(key, 0.0) + value / (KJ_PER_KCAL if record.get("unit") == "kJ" else 1.0)


def _finish(source: Source, got: _Collected, report: Report) -> Recording:
    recording = Recording(source.person)
    where = source.files["export"][0].name
    for name, times in got.time.items():
        signal = make_signal(name, np.array(times, np.int64), np.array(got.value[name], float), report, where)
        if signal is not None:
            recording.signals[name] = signal
    if got.sleep:
        start, end, kind = zip(*got.sleep, strict=True)
        recording.sleep = make_spans(
            np.array(start, dtype=np.int64), np.array(end, dtype=np.int64), np.array(kind), None, report, where
        )
    for feature, day, value in got.daily:
        recording.add_daily(feature, day, value)
    for (feature, day, _), value in got.sums.items():
        recording.add_daily(feature, day, max(value, recording.daily.get(feature, {}).get(day, 0.0)))
    return recording
