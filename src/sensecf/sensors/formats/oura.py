"""Oura: JSON of the account export or of the API (version 2), in one file or one per kind; CSV of the trends.

Records are told apart by their keys, wherever the file puts the lists. Times carry their offset;
the ring's heart rate is in UTC and is moved by the usual offset of the nights unless a zone is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from sensecf.core.kept import Json
from sensecf.sensors.recording import Recording, Signal, make_signal
from sensecf.sensors.report import Report
from sensecf.sensors.source import Source, find_files, numbers, read_json, read_rows
from sensecf.sensors.times import parse_day, parse_iso

#: Seconds per stage in a record of a night.
STAGE_KEYS = {
    "deep": "deep_sleep_duration",
    "rem": "rem_sleep_duration",
    "light": "light_sleep_duration",
    "awake": "awake_time",
}
#: Columns of the CSV of trends by the keys of the JSON; durations are in seconds in both.
TRENDS = {
    "date": "day",
    "bedtime start": "bedtime_start",
    "deep sleep duration": "deep_sleep_duration",
    "rem sleep duration": "rem_sleep_duration",
    "light sleep duration": "light_sleep_duration",
    "awake time": "awake_time",
    "lowest resting heart rate": "lowest_heart_rate",
    "average hrv": "average_hrv",
    "respiratory rate": "average_breath",
    "steps": "steps",
    "activity burn": "active_calories",
}
#: How deep lists are looked for in a file.
DEPTH = 4


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """One source for the folder or file, or one per folder in it. Raises `InputError` when there is no JSON."""
    return find_files(
        root, {"oura": ("*.json", "*.csv")}, timezone or "", folders_are_people, "Oura export (*.json, *.csv)"
    )


def read(source: Source, report: Report) -> Recording:
    """Nights, days and heart rate of one person. Bad files and records are counted in the report."""
    recording = Recording(source.person)
    nights: dict[int, tuple[float, Json]] = {}
    offsets: Counter[int] = Counter()
    stamps: list[Any] = []
    beats: list[Any] = []
    for path in source.files["oura"]:
        data = _trends(path, report) if path.suffix == ".csv" else read_json(path, report)
        found = 0
        for record in _records(data, DEPTH):
            found += 1
            if "deep_sleep_duration" in record:
                _night(record, nights, offsets, report, path.name)
            elif "bpm" in record and "timestamp" in record:
                stamps.append(record["timestamp"])
                beats.append(record["bpm"])
            elif "day" in record:
                _day(recording, record, report, path.name)
            else:
                report.reject("record", "of no kind that is used", path.name)
        if data is not None and not found:
            report.reject("file", "no records found", path.name)
        report.seen["records"] += found
    for day, (_, record) in nights.items():
        _add_night(recording, day, record, report, source.files["oura"][0].name)
    if stamps:
        _heart(recording, stamps, beats, source.timezone, offsets, report, source.files["oura"][0].name)
    return recording


def _trends(path: Path, report: Report) -> list[dict[str, str]] | None:
    """The days of a CSV of trends, twice: as records of a night where its stages are there, and of a day."""
    rows = read_rows(path, report)
    names = [TRENDS.get(cell.lower(), "") for cell in rows[0]] if rows else []
    if "day" not in names:
        return [] if rows else None
    days = [{name: cell for name, cell in zip(names, row, strict=False) if name and cell} for row in rows[1:]]
    nights = [day for day in days if "deep_sleep_duration" in day]
    return nights + [{key: day[key] for key in ("day", "steps", "active_calories") if key in day} for day in days]


def _records(data: Any, depth: int) -> Iterator[Json]:
    """Objects in lists, at most `depth` levels down."""
    if isinstance(data, list):
        yield from (item for item in data if isinstance(item, dict))
    elif isinstance(data, dict) and depth:
        for value in data.values():
            yield from _records(value, depth - 1)


def _night(
    record: Json,
    nights: dict[int, tuple[float, Json]],
    offsets: Counter[int],
    report: Report,
    where: str,
) -> None:
    """Keep the longest sleep of each day."""
    day = parse_day(record.get("day"))
    seconds = numbers([record.get(key) for key in STAGE_KEYS.values()])
    if day is None or np.isnan(seconds).any() or (seconds < 0).any() or seconds.sum() > 86_400:
        report.reject("record", "night whose day or stages cannot be read", where)
        return
    try:
        shift = datetime.fromisoformat(str(record.get("bedtime_start"))).utcoffset()
    except ValueError:
        shift = None
    if shift is not None:
        offsets[int(shift.total_seconds())] += 1
    asleep = float(seconds[:3].sum())
    if day not in nights or asleep > nights[day][0]:
        nights[day] = (asleep, record)


def _add_night(recording: Recording, day: int, record: Json, report: Report, where: str) -> None:
    from sensecf.sensors.days.features import night_features

    seconds = numbers([record[key] for key in STAGE_KEYS.values()])
    minutes = dict(zip(STAGE_KEYS, (seconds / 60).tolist(), strict=True))
    for feature, value in night_features(minutes).items():
        recording.add_daily(feature, day, value)
    for key, feature in (
        ("lowest_heart_rate", "resting_hr_bpm"),
        ("average_hrv", "hrv_rmssd_ms"),
        ("average_breath", "respiration_mean_brpm"),
    ):
        _add(recording, feature, day, record.get(key), report, where)


def _day(recording: Recording, record: Json, report: Report, where: str) -> None:
    day = parse_day(record["day"])
    if day is None:
        report.reject("record", "day cannot be read", where)
        return
    _add(recording, "steps", day, record.get("steps"), report, where)
    _add(recording, "active_kcal", day, record.get("active_calories"), report, where)
    times = numbers([record.get("medium_activity_time"), record.get("high_activity_time")])
    if not np.isnan(times).any():
        _add(recording, "active_min", day, times.sum() / 60, report, where)
    oxygen = record.get("spo2_percentage")
    if isinstance(oxygen, dict):
        _add(recording, "spo2_mean_pct", day, oxygen.get("average"), report, where)


def _add(recording: Recording, feature: str, day: int, value: Any, report: Report, where: str) -> None:
    if value is None:
        return
    number = float(numbers([value])[0])
    if np.isfinite(number):
        recording.add_daily(feature, day, number)
    else:
        report.reject("reading", f"{feature}: no number", where)


def _heart(
    recording: Recording,
    stamps: list[Any],
    beats: list[Any],
    timezone: str,
    offsets: Counter[int],
    report: Report,
    where: str,
) -> None:
    time = parse_iso(stamps)
    if timezone:
        signal = make_signal("heart_rate", time, numbers(beats), report, where, timezone)
    else:
        signal = make_signal("heart_rate", time, numbers(beats), report, where)
        shift = offsets.most_common(1)[0][0] if offsets else 0
        if not offsets:
            report.notes["people without a time zone: UTC taken for local, give --timezone"] += 1
        if signal is not None:
            signal = Signal(signal.time + shift, signal.value, signal.seconds)
    if signal is not None:
        recording.signals["heart_rate"] = signal
