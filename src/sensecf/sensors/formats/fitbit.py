"""Fitbit: the folder of a Google Takeout of any year or of Fitbit's own archive.

Heart rate and steps are in UTC, in JSON (`Global Export Data`) or, since 2024, in CSV (`Physical Activity_GoogleData`);
daily values and sleep logs on the wall clock, the sleep stages of CSV in UTC. The zone is
read from Profile.csv where the export has one. Where both layouts have a day, its steps are counted once: those of
the source (device, layout) with most. Sleep logs of kind "classic" (asleep, restless,
awake) have no stages: they give the total and the efficiency.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sensecf.core.kept import Json
from sensecf.core.rules import Floats
from sensecf.sensors.recording import STAGES, UNSTAGED, Recording, Spans, make_signal, make_spans
from sensecf.sensors.report import Report
from sensecf.sensors.source import Source, column, find_files, numbers, read_json, read_rows
from sensecf.sensors.times import DAY, NO_TIME, Ints, parse_day, parse_iso, parse_wall, to_local, zone

PATTERNS = {
    "profile": ("Profile.csv",),
    "heart_rate": ("heart_rate-*.json",),
    "heart_rate_csv": ("heart_rate_[0-9]*.csv",),
    "steps": ("steps-*.json",),
    "steps_csv": ("steps_[0-9]*.csv",),
    "sleep": ("sleep-*.json",),
    "stages_csv": ("UserSleepStages_*.csv",),
    "resting": ("resting_heart_rate-*.json",),
    "active": ("very_active_minutes-*.json", "moderately_active_minutes-*.json"),
    "resting_csv": ("daily_resting_heart_rate.csv",),
    "spo2": ("Daily SpO2*.csv", "daily_oxygen_saturation.csv"),
    "hrv": ("Daily Heart Rate Variability Summary*.csv", "daily_heart_rate_variability.csv"),
    "respiration": ("Daily Respiratory Rate Summary*.csv", "daily_respiratory_rate.csv"),
    "stress": ("Stress Score.csv",),
}
#: Names of stages in sleep logs of both kinds; restless sleep counts as awake, as Fitbit counts it.
STAGE = {
    "wake": "awake",
    "awake": "awake",
    "restless": "awake",
    "light": "light",
    "deep": "deep",
    "rem": "rem",
    "asleep": UNSTAGED,
}
#: Sleep logs are drawn on a grid of half minutes, the precision of the device.
GRID = 30
LONGEST_NIGHT = 24 * 3600
#: Steps that one record of a minute or a quarter of an hour can hold.
MOST_STEPS = 5000


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """One source for the folder, or one per folder in it. Raises `InputError` when there are no Fitbit files."""
    expected = "Fitbit files (heart_rate-*.json, heart_rate_*.csv, sleep-*.json)"
    return find_files(root, PATTERNS, timezone or "", folders_are_people, expected)


def read(source: Source, report: Report) -> Recording:
    """All signals of one person. Bad files and records are counted in the report."""
    recording = Recording(source.person)
    timezone = source.timezone or _profile_zone(source, report)
    if not timezone:
        report.notes["people without a time zone: UTC taken for local, give --timezone"] += 1
        timezone = "UTC"
    _heart(recording, source, timezone, report)
    _steps(recording, source, timezone, report)
    _sleep(recording, source, report)
    if recording.sleep is None:
        _stages(recording, source, timezone, report)
    for path in source.files.get("resting", ()):
        for record in _list(path, report):
            value = record.get("value") if isinstance(record, dict) else None
            if not isinstance(value, dict):
                report.reject("record", "resting heart rate without a value", path.name)
            elif value.get("date") is not None:  # null on days without a value
                _daily(recording, f"{value['date']} 00:00:00", value.get("value"), report, path.name)
    active: dict[int, float] = {}
    for path in source.files.get("active", ()):
        for day, value in _day_values(path, report).items():
            active[day] = active.get(day, 0.0) + value
    recording.daily |= {"active_min": active} if active else {}
    for kind, wanted, feature in (
        ("resting_csv", ("beats per minute",), "resting_hr_bpm"),
        ("spo2", ("average_value", "average percentage"), "spo2_mean_pct"),
        ("hrv", ("rmssd", "average heart rate variability milliseconds"), "hrv_rmssd_ms"),
        ("respiration", ("daily_respiratory_rate", "breaths per minute"), "respiration_mean_brpm"),
        ("stress", ("stress_score",), "fitbit_stress_score"),
    ):
        for path in source.files.get(kind, ()):
            _summary(recording, path, wanted, feature, report)
    return recording


def _profile_zone(source: Source, report: Report) -> str:
    for path in source.files.get("profile", ()):
        rows = read_rows(path, report)
        head = [cell.lower() for cell in rows[0]] if rows else []
        if "timezone" in head and len(rows) > 1:
            name = column(rows[1:2], head.index("timezone"))[0]
            try:
                zone(name)
            except ValueError:
                report.reject("value", "time zone in Profile.csv unknown", path.name)
                continue
            return name
    return ""


def _list(path: Path, report: Report) -> list[Any]:
    data = read_json(path, report)
    if data is None:
        return []
    if not isinstance(data, list):
        report.reject("file", "no list of records", path.name)
        return []
    report.seen["records"] += len(data)
    return data


def _pairs(path: Path, report: Report, key: str | None) -> tuple[Ints, Floats]:
    """Times as written and values (of `value[key]`, or of `value` itself) of the records of a file."""
    records = _list(path, report)
    good = [r for r in records if isinstance(r, dict) and "dateTime" in r and "value" in r]
    report.reject("record", "no dateTime or no value", path.name, len(records) - len(good))
    values = [
        r["value"] if key is None else r["value"].get(key) if isinstance(r["value"], dict) else None for r in good
    ]
    return parse_wall([r["dateTime"] for r in good], day_first=False), numbers(values)


def _columns(path: Path, report: Report, wanted: Sequence[str]) -> list[list[str]] | None:
    """The time, the first of the wanted columns, and its data source; None, with the reason, when one is absent."""
    rows = read_rows(path, report)
    head = [cell.lower() for cell in rows[0]] if rows else []
    when = next((head.index(name) for name in ("timestamp", "date") if name in head), None)
    what = next((head.index(name) for name in wanted if name in head), None)
    if when is None or what is None:
        if rows:
            report.reject("file", f"no columns timestamp and {wanted[0]}", path.name)
        return None
    report.seen["records"] += len(rows) - 1
    device = head.index("data source") if "data source" in head else len(head)
    return [column(rows[1:], index) for index in (when, what, device)]


def _heart(recording: Recording, source: Source, timezone: str, report: Report) -> None:
    parts = [_pairs(path, report, "bpm") for path in source.files.get("heart_rate", ())]
    for path in source.files.get("heart_rate_csv", ()):
        columns = _columns(path, report, ("beats per minute",))
        if columns is not None:
            parts.append((parse_iso(columns[0]), numbers(columns[1])))
    if parts:
        where = (*source.files.get("heart_rate", ()), *source.files.get("heart_rate_csv", ()))[0].name
        time, value = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        signal = make_signal("heart_rate", time, value, report, where, timezone)
        if signal is not None:
            recording.signals["heart_rate"] = signal


def _steps(recording: Recording, source: Source, timezone: str, report: Report) -> None:
    """Sums of the day by source (phone, watch, layout of the export): the largest is taken, as they count the same."""
    total: dict[int, dict[str, float]] = {}

    def add(path: Path, time: Ints, value: Floats, device: str) -> None:
        good = (time != NO_TIME) & (value >= 0) & (value <= MOST_STEPS)
        report.reject("record", "steps or their time cannot be read", path.name, int(np.sum(~good)))
        _, first = np.unique(time[good], return_index=True)
        report.reject("record", "same moment as the record before", path.name, int(np.sum(good)) - len(first))
        for day, steps in zip(to_local(time[good][first], timezone) // DAY, value[good][first], strict=True):
            sums = total.setdefault(int(day), {})
            sums[device] = sums.get(device, 0.0) + float(steps)

    for path in source.files.get("steps", ()):
        add(path, *_pairs(path, report, None), "")
    for path in source.files.get("steps_csv", ()):
        columns = _columns(path, report, ("steps",))
        if columns is not None:
            time, value, device = parse_iso(columns[0]), numbers(columns[1]), np.array(columns[2], dtype=str)
            for name in np.unique(device).tolist():
                add(path, time[device == name], value[device == name], f"csv {name}")
    if total:
        recording.daily["steps"] = {day: max(sums.values()) for day, sums in total.items()}


def _day_values(path: Path, report: Report) -> dict[int, float]:
    time, value = _pairs(path, report, None)
    good = (time != NO_TIME) & (value >= 0) & (value <= 1440)
    report.reject("record", "minutes or their day cannot be read", path.name, int(np.sum(~good)))
    return {int(t) // DAY: float(v) for t, v in zip(time[good], value[good], strict=True)}


def _daily(recording: Recording, stamp: str, value: Any, report: Report, where: str) -> None:
    time, number = parse_wall([stamp], day_first=False)[0], numbers([value])[0]
    if time == NO_TIME or np.isnan(number):
        report.reject("record", "resting heart rate: value or day cannot be read", where)
    elif number > 0:  # 0: not computed
        recording.add_daily("resting_hr_bpm", int(time) // DAY, float(number))


def _summary(recording: Recording, path: Path, wanted: Sequence[str], feature: str, report: Report) -> None:
    columns = _columns(path, report, wanted)
    if columns is None:
        return
    for text, value in zip(columns[0], numbers(columns[1]), strict=True):
        day = parse_day(text)
        if day is None or np.isnan(value):
            report.reject("record", f"{feature}: value or day cannot be read", path.name)
        elif value > 0:  # 0: not computed
            recording.add_daily(feature, day, float(value))


def _stages(recording: Recording, source: Source, timezone: str, report: Report) -> None:
    """Sleep stages in CSV, in UTC: used where there are no sleep logs."""
    heads = ("sleep_stage_type", "sleep_stage_start", "sleep_stage_end")
    starts, ends, kinds = [], [], []
    for path in source.files.get("stages_csv", ()):
        rows = read_rows(path, report)
        if not rows or any(name not in rows[0] for name in heads):
            report.reject("file", f"no columns {', '.join(heads)}", path.name, bool(rows))
            continue
        report.seen["records"] += len(rows) - 1
        stage, start, end = (column(rows[1:], rows[0].index(name)) for name in heads)
        known = np.array([STAGE.get(text.lower(), "") for text in stage])
        report.reject("record", "sleep stage unknown", path.name, int(np.sum(known == "")))
        starts.append(parse_iso(start)[known != ""])
        ends.append(parse_iso(end)[known != ""])
        kinds.append(known[known != ""])
    if starts:
        where = source.files["stages_csv"][0].name
        start_, end_, kind = (np.concatenate(parts) for parts in (starts, ends, kinds))
        recording.sleep = make_spans(start_, end_, kind, None, report, where, timezone)


def _sleep(recording: Recording, source: Source, report: Report) -> None:
    parts: list[Spans] = []
    seen: set[Any] = set()
    for path in source.files.get("sleep", ()):
        for log in _list(path, report):
            if not isinstance(log, dict) or not isinstance(log.get("levels"), dict):
                report.reject("record", "sleep log without levels", path.name)
                continue
            number = str(log.get("logId", log.get("startTime")))
            if number in seen:
                report.reject("record", "sleep log repeated", path.name)
                continue
            seen.add(number)
            spans = draw_log(log["levels"], report, path.name)
            if spans is not None:
                parts.append(spans)
    if parts:
        start, seconds, value = (
            np.concatenate([getattr(p, name) for p in parts]) for name in ("start", "seconds", "value")
        )
        kind = np.concatenate([p.kind for p in parts])
        recording.sleep = make_spans(start, start + seconds, kind, value, report, source.files["sleep"][0].name)


def draw_log(levels: Json, report: Report, where: str) -> Spans | None:
    """One sleep log as spans, local time: the short wakes of `shortData` are drawn over the stages of `data`."""
    drawn: list[tuple[int, int, str]] = []
    for name in ("data", "shortData"):
        entries = levels.get(name, [])
        for entry in entries if isinstance(entries, list) else []:
            stage = STAGE.get(str(entry.get("level")).lower()) if isinstance(entry, dict) else None
            start = int(parse_iso([entry.get("dateTime")])[0]) if stage else NO_TIME
            seconds = numbers([entry.get("seconds")])[0] if stage else np.nan
            if stage is None or start == NO_TIME or not 0 < seconds <= LONGEST_NIGHT:
                report.reject("record", "sleep stage, its time or length cannot be read", where)
            else:
                drawn.append((start, int(seconds), stage))
    if not drawn:
        return None
    origin = min(start for start, _, _ in drawn)
    length = max(start + seconds for start, seconds, _ in drawn) - origin
    if length > LONGEST_NIGHT:
        report.reject("record", "sleep log longer than a day", where)
        return None
    names = (*STAGES, UNSTAGED)
    grid = np.full(length // GRID + 2, -1)
    for start, seconds, stage in drawn:
        first = (start - origin) // GRID
        grid[first : first + max(1, round(seconds / GRID))] = names.index(stage)
    edges = np.concatenate(([0], np.flatnonzero(np.diff(grid)) + 1, [len(grid)]))
    kept = [(int(a), int(b), int(grid[a])) for a, b in pairwise(edges) if grid[a] >= 0]
    return Spans(
        np.array([origin + GRID * a for a, _, _ in kept], dtype=np.int64),
        np.array([GRID * (b - a) for a, b, _ in kept], dtype=np.int64),
        np.array([names[stage] for _, _, stage in kept], dtype=str),
        np.full(len(kept), np.nan),
    )
