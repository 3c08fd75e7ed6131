"""Garmin: monitoring FIT files, the JSON of an account export, and CSV made from FIT files.

* `*.fit`: every monitoring and sleep file (see `fit`).
* `*_sleepData.json` and `UDSFile*.json` (DI_CONNECT of the account export): minutes per sleep stage and
  daily summaries as Garmin computed them.
* `*.csv` with a column `datetime` (UTC) and one of `heart_rate (bpm)`, `stress_value (per minute)`,
  `spo2 (per minute)`, `respiration_rate(breaths/min)`, as AI-READI's pipeline writes them.

Days are local: by `timezone`, else by the offset that the FIT files tell, else UTC, and the report says so.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from sensecf.core.kept import Json
from sensecf.sensors.days.features import night_features
from sensecf.sensors.formats.fit import FitData, read_fit
from sensecf.sensors.recording import STAGES, Recording, make_signal, make_spans
from sensecf.sensors.report import Report
from sensecf.sensors.source import Source, column, find_files, numbers, read_json, read_rows
from sensecf.sensors.times import DAY, NO_TIME, Ints, parse_day, parse_iso, to_local

PATTERNS = {
    "fit": ("*.fit", "*.FIT"),
    "sleep": ("*sleepData.json",),
    "summary": ("UDSFile*.json",),
    "csv": ("*.csv",),
}
CSV_SIGNALS = {
    "heart_rate (bpm)": "heart_rate",
    "stress_value (per minute)": "stress",
    "spo2 (per minute)": "spo2",
    "respiration_rate(breaths/min)": "respiration",
}
SECONDS = {
    "deep": "deepSleepSeconds",
    "light": "lightSleepSeconds",
    "rem": "remSleepSeconds",
    "awake": "awakeSleepSeconds",
}
SUMMARY = {
    "totalSteps": "steps",
    "activeKilocalories": "active_kcal",
    "restingHeartRate": "resting_hr_bpm",
    "minHeartRate": "hr_min_bpm",
    "maxHeartRate": "hr_max_bpm",
}


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """One source for the folder, or one per folder in it. Raises `InputError` when there are no Garmin files."""
    expected = "Garmin files (*.fit, *_sleepData.json, UDSFile*.json, *.csv)"
    return find_files(root, PATTERNS, timezone or "", folders_are_people, expected)


def read(source: Source, report: Report) -> Recording:
    """All signals of one person. Bad files and records are counted; `MissingExtraError` without a FIT decoder."""
    recording = Recording(source.person)
    files = [read_fit(path, report) for path in source.files.get("fit", ())]
    points = _csv(source, report)
    _fit(recording, files, points, source, report)
    for path in source.files.get("sleep", ()):
        for record in _list(path, report):
            _night(recording, record, report, path.name)
    for path in source.files.get("summary", ()):
        for record in _list(path, report):
            _summary(recording, record, report, path.name)
    return recording


# --- signals ----------------------------------------------------------------------------------


def _csv(source: Source, report: Report) -> dict[str, list[tuple[int, float]]]:
    points: dict[str, list[tuple[int, float]]] = {}
    for path in source.files.get("csv", ()):
        rows = read_rows(path, report)
        head = rows[0] if rows else []
        name = next((CSV_SIGNALS[cell] for cell in head if cell in CSV_SIGNALS), None)
        if name is None or "datetime" not in head:
            report.reject("file", "CSV of no kind that is used", path.name)
            continue
        report.seen["records"] += len(rows) - 1
        value = next(i for i, cell in enumerate(head) if cell in CSV_SIGNALS)
        time = parse_iso(column(rows[1:], head.index("datetime")))
        read = time != NO_TIME
        report.reject("record", "timestamp cannot be read", path.name, int(np.sum(~read)))
        values = numbers(column(rows[1:], value))[read]
        points.setdefault(name, []).extend(zip(time[read].tolist(), values.tolist(), strict=True))
    return points


def _fit(
    recording: Recording,
    files: list[FitData],
    points: dict[str, list[tuple[int, float]]],
    source: Source,
    report: Report,
) -> None:
    """Signals of all files together, each file's times moved by its own offset where no zone is given."""
    where = next(iter(source.files.values()))[0].name
    usual = Counter(data.offset for data in files if data.offset is not None).most_common(1)
    if not source.timezone and not usual and (files or points):
        report.notes["people without a time zone: UTC taken for local, give --timezone"] += 1
    shift = usual[0][0] or 0 if usual else 0

    zone_name = source.timezone or None

    def moved(times: list[int], data: FitData | None) -> Ints:
        """Local seconds by the file's offset; UTC still where a zone is given, for lengths to stay true."""
        seconds = np.array(times, dtype=np.int64)
        if zone_name:
            return seconds
        return seconds + (shift if data is None or data.offset is None else data.offset)

    def local(times: list[int], data: FitData) -> list[int]:
        seconds = moved(times, data)
        return (to_local(seconds, zone_name) if zone_name else seconds).tolist()

    parts: dict[str, list[tuple[Ints, Any]]] = {}
    for name, pairs in points.items():
        times = [t for t, _ in pairs]
        parts.setdefault(name, []).append((moved(times, None), np.array([v for _, v in pairs])))
    levels: list[tuple[int, str]] = []
    totals: dict[str, dict[tuple[int, str], float]] = {}
    for data in files:
        for name, pairs in data.points.items():
            parts.setdefault(name, []).append((moved([t for t, _ in pairs], data), np.array([v for _, v in pairs])))
        levels += zip(moved([t for t, _ in data.levels], data).tolist(), [s for _, s in data.levels], strict=True)
        for t, total in zip(local([t for t, *_ in data.totals], data), data.totals, strict=True):
            # A total at midnight closes the day before.
            key = ((t - 1) // DAY, total[1])
            slot = totals.setdefault(total[2], {})
            slot[key] = max(slot.get(key, 0.0), total[3])
        for t, (_, beats) in zip(local([t for t, _ in data.resting], data), data.resting, strict=True):
            recording.add_daily("resting_hr_bpm", t // DAY, beats)
    for name, arrays in parts.items():
        time, value = (np.concatenate(a) for a in zip(*arrays, strict=True))
        signal = make_signal(name, time, value, report, where, zone_name)
        if signal is not None:
            recording.signals[name] = signal
    for feature, by_type in totals.items():
        for (day, _), total_of_type in by_type.items():
            recording.add_daily(feature, day, total_of_type + recording.daily.get(feature, {}).get(day, 0.0))
    _levels(recording, sorted(levels), zone_name, report, where)


def _levels(
    recording: Recording, levels: list[tuple[int, str]], timezone: str | None, report: Report, where: str
) -> None:
    """Each stage lasts until the next record; the last one has no end."""
    if len(levels) < 2:
        return
    time = np.array([t for t, _ in levels], dtype=np.int64)
    kind = np.array([stage for _, stage in levels[:-1]], dtype=str)
    known = np.isin(kind, STAGES) & (np.diff(time) > 0)
    # Many hours between two records are the day between two nights.
    night = np.diff(time) <= 4 * 3600
    report.reject("record", "sleep stage unknown", where, int(np.sum(~np.isin(kind, STAGES))))
    keep = known & night
    recording.sleep = make_spans(time[:-1][keep], time[1:][keep], kind[keep], None, report, where, timezone)


# --- account export ---------------------------------------------------------------------------


def _list(path: Path, report: Report) -> list[Json]:
    data = read_json(path, report)
    if data is None:
        return []
    records = data if isinstance(data, list) else [data]
    report.seen["records"] += len(records)
    good = [record for record in records if isinstance(record, dict)]
    report.reject("record", "no object", path.name, len(records) - len(good))
    return good


def calendar_day(value: Any) -> int | None:
    """The day of "2024-03-05", or of {"date": "Mar 5, 2024 12:00:00 AM"} in older exports; None when it is neither."""
    if isinstance(value, dict):
        value = value.get("date")
    day = parse_day(value)
    if day is None and isinstance(value, str):
        try:
            moment = datetime.strptime(value, "%b %d, %Y %I:%M:%S %p")
        except ValueError:
            return None
        day = parse_day(moment.strftime("%Y-%m-%d"))
    return day


def _night(recording: Recording, record: Json, report: Report, where: str) -> None:
    day = calendar_day(record.get("calendarDate"))
    seconds = numbers(record.get(key, 0) for key in SECONDS.values())
    if day is None or np.isnan(seconds).any() or (seconds < 0).any() or not 0 < seconds[:3].sum() <= DAY:
        report.reject("record", "night whose day or stages cannot be read, or without sleep", where)
        return
    minutes = dict(zip(SECONDS, (seconds / 60).tolist(), strict=True))
    if seconds[3] > DAY:
        report.reject("record", "night awake for more than a day", where)
        return
    for feature, value in night_features(minutes).items():
        recording.add_daily(feature, day, value)


def _summary(recording: Recording, record: Json, report: Report, where: str) -> None:
    day = calendar_day(record.get("calendarDate"))
    if day is None:
        report.reject("record", "day cannot be read", where)
        return
    values: Json = {feature: record.get(key) for key, feature in SUMMARY.items()}
    intensity = numbers([record.get("moderateIntensityMinutes"), record.get("vigorousIntensityMinutes")])
    if not np.isnan(intensity).any():
        values["active_min"] = float(intensity.sum())
    values["stress_mean"] = _day_stress(record)
    for feature, value in values.items():
        if value is None:
            continue
        number = float(numbers([value])[0])
        if np.isfinite(number):  # -1 and -2 stand for "not computed" and fall to the range check of all features
            recording.add_daily(feature, day, number)
        else:
            report.reject("reading", f"{feature}: no number", where)


def _day_stress(record: Json) -> Any:
    stress = record.get("allDayStress")
    parts = stress.get("aggregatorList") if isinstance(stress, dict) else None
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict) and part.get("type") == "TOTAL":
            return part.get("averageStressLevel")
    return record.get("averageStressLevel")
