"""Monitoring FIT files of Garmin watches, decoded by fitdecode (the extra `fit`).

Message and field numbers are those of Garmin's FIT profile: heart rate, movement and calories in
`monitoring`, stress in `stress_level`, oxygen in `spo2_data`, breathing in `respiration_rate`, sleep
stages in `sleep_level`, resting heart rate in `monitoring_hr_data`.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from sensecf.core.errors import MissingExtraError
from sensecf.sensors.report import Report
from sensecf.sensors.source import LARGEST_FILE

#: FIT counts seconds from 1989-12-31.
EPOCH = 631_065_600
MONITORING, INFO, STRESS, RESTING, SPO2, SLEEP, RESPIRATION = 55, 103, 227, 211, 269, 275, 297
TIMESTAMP = 253
#: Stages of `sleep_level`; 0 is "cannot be measured".
LEVELS = {1: "awake", 2: "light", 3: "deep", 4: "rem"}
#: Names and numbers of the types of movement whose totals count as active.
MOVING = {"walking": "walking", "running": "running", 6: "walking", 1: "running"}
#: An offset of local time from UTC is at most 14 hours.
LARGEST_OFFSET = 14 * 3600


@dataclass
class FitData:
    """What monitoring files hold, times in UTC seconds.

    `points`: (time, value) by signal; `levels`: (time, stage); `totals`: (time, type, what, value), running
    totals since midnight of `steps`, `active_min` and `active_kcal` per type of movement;
    `resting`: (time, beats/min); `offset`: seconds from UTC to the watch's local time, None when not told.
    """

    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    levels: list[tuple[int, str]] = field(default_factory=list)
    totals: list[tuple[int, str, str, float]] = field(default_factory=list)
    resting: list[tuple[int, float]] = field(default_factory=list)
    offset: int | None = None


def read_fit(path: Path, report: Report) -> FitData:
    """One FIT file; damaged ones are read up to the damage, which is reported. Raises `MissingExtraError`."""
    try:
        import fitdecode
    except ImportError as error:
        raise MissingExtraError("reading FIT files needs fitdecode: pip install 'sensecf[fit]'") from error

    data = FitData()
    report.seen["files"] += 1
    try:
        if path.stat().st_size > LARGEST_FILE:
            report.reject("file", "larger than 1 GiB", path.name)
            return data
        # A wrong checksum is damage like any other; messages before it are kept.
        with fitdecode.FitReader(
            path, processor=None, check_crc=fitdecode.CrcCheck.RAISE, error_handling=fitdecode.ErrorHandling.RAISE
        ) as frames:
            _messages(frames, data, report, path.name)
    # The decoder lets errors of its parsing through beside its own (seen with damaged files).
    except (
        fitdecode.FitError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        AssertionError,
        struct.error,
        ArithmeticError,
    ) as error:
        report.reject("file", f"FIT damaged: {type(error).__name__}", path.name)
    return data


def _messages(frames: Any, data: FitData, report: Report, where: str) -> None:
    last: int | None = None
    kind = ""
    others: Counter[str] = Counter()
    for frame in frames:
        if type(frame).__name__ != "FitDataMessage":
            continue
        number = frame.global_mesg_num
        raw = {f.def_num: f.raw_value for f in frame.fields if f.field_def is not None or f.def_num == TIMESTAMP}
        time = _seconds(raw.get(TIMESTAMP))
        if time is not None:
            last = time
        report.seen["records"] += 1
        if number == MONITORING:
            kind = _monitoring(data, raw, time, last, kind, report, where)
        elif number == INFO and time is not None:
            local = _seconds(raw.get(0))
            if local is not None and abs(local - time) <= LARGEST_OFFSET:
                data.offset = local - time
        elif number == STRESS:
            _point(data, "stress", _seconds(raw.get(1)), raw.get(0), report, where)
        elif number == SPO2:
            _point(data, "spo2", time, raw.get(0), report, where)
        elif number == RESPIRATION:
            value = raw.get(0)
            _point(data, "respiration", time, value / 100 if _is_number(value) else value, report, where)
        elif number == SLEEP and time is not None:
            data.levels.append((time, LEVELS.get(raw.get(0, 0), "unknown")))
        elif number == RESTING and time is not None:
            value = raw.get(1) or raw.get(0)
            if _is_number(value):
                data.resting.append((time, float(value)))
        else:
            others[frame.name] += 1
    report.notes["FIT messages of other kinds"] += sum(others.values())


def _monitoring(
    data: FitData, raw: dict[int, Any], time: int | None, last: int | None, kind: str, report: Report, where: str
) -> str:
    """Heart rate and running totals of one monitoring message; returns the type of movement of totals to come."""
    if time is None and _is_number(raw.get(26)) and last is not None:
        # The low 16 bits of the time, counted on from the last whole timestamp.
        time = last + ((int(raw[26]) - ((last - EPOCH) & 0xFFFF)) & 0xFFFF)
    if time is None:
        report.reject("record", "monitoring message without a time", where)
        return kind
    if raw.get(27) is not None:
        _point(data, "heart_rate", time, raw[27], report, where)
    kind = MOVING.get(raw.get(5), "" if raw.get(5) is not None else kind)
    if raw.get(5) is None and _is_number(raw.get(24)):
        kind = MOVING.get(int(raw[24]) & 31, "")
    # For walking and running the field `cycles` holds steps, unscaled; active time is in milliseconds.
    for number, what, scale in ((3, "steps", 1.0), (4, "active_min", 60_000.0), (19, "active_kcal", 1.0)):
        value = raw.get(number)
        if _is_number(value) and (kind or what == "active_kcal"):
            data.totals.append((time, kind, what, value / scale))
    return kind


def _point(data: FitData, name: str, time: int | None, value: Any, report: Report, where: str) -> None:
    if time is None or not _is_number(value):
        report.reject("record", f"{name}: value or time is absent", where)
    else:
        data.points.setdefault(name, []).append((time, float(value)))


def _seconds(raw: Any) -> int | None:
    # Below 2^28 the number is seconds since the watch was switched on.
    return int(raw) + EPOCH if _is_number(raw) and raw >= 1 << 28 else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
