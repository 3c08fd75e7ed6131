"""T1D-UOM: the published files of 17 people with type 1 diabetes (Zenodo 10.5281/zenodo.15169263), CC BY 4.0.

One CSV file per person and kind, the person's four digits in its name, in folders that do not matter:

* `UoMGlucose<id>`: `bg_ts`, `value` in mmol/L;
* `UoMsleep<id>`: the watch every five minutes: `sleep_ts`, `heart_rate`, `stress_level_value`,
  `resting_heart_rate`, where 0 and below stand for no reading (its `step_count` is a running total
  of several counters and is not used);
* `UoM<id>sleeptime`: nights, with seconds per stage and the intervals of each stage as JSON;
* `UoMActivity<id>`: 15-minute epochs, a row per intensity: seconds, steps, metres, active kcal;
* `UoMBolus<id>`, `UoMNutrition<id>`: logged doses and meals.

Times are DD/MM/YYYY on the wall clock (the description says MM/DD; the epochs of the same rows
settle it), but a night's start is UTC, and its offset stands beside it. In some nights the intervals
headed awake and REM are exchanged: the seconds per stage tell.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.sensors.recording import Recording, make_signal, make_spans
from sensecf.sensors.report import Report
from sensecf.sensors.source import MGDL_PER_MMOL, Source, column, find_files, numbers, read_rows
from sensecf.sensors.times import DAY, NO_TIME, Ints, parse_wall

PATTERNS = {
    "glucose": ("UoMGlucose*.csv",),
    "watch": ("UoMsleep*.csv",),
    "nights": ("UoM*sleeptime.csv",),
    "activity": ("UoMActivity*.csv",),
    "bolus": ("UoMBolus*.csv",),
    "nutrition": ("UoMNutrition*.csv",),
}
SIGNALS = {"heart_rate": "heart_rate", "stress": "stress_level_value"}
#: Seconds of a night by stage: of the stage, and of the intervals headed by it.
STAGE_SECONDS = {"deep": "deep_sleep_s", "light": "light_sleep_s", "rem": "rem_sleep_s", "awake": "awake_s"}
STAGE_MAPS = {stage: f"sleep_levels_map_{stage}" for stage in STAGE_SECONDS}
#: Kind of movement by intensity.
KINDS = {"SEDENTARY": "sedentary", "ACTIVE": "walking", "HIGHLY_ACTIVE": "running"}
#: Sums of a day are given where its epochs cover so much of it, like other values of the watch (`Wear.watch_min`).
LEAST_SECONDS = 10 * 3600
#: Intervals of a stage may differ from its seconds by a minute, the precision of the watch.
SLACK = 60

#: The named columns of one file, as text.
_Table = dict[str, list[str]]


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """The people, by the digits in the file names. Raises `InputError` when there is no such file."""
    expected = "T1D-UOM files (UoMGlucose2301.csv, UoMsleep2301.csv, UoM2301sleeptime.csv, ...)"
    found = find_files(root, PATTERNS, "", False, expected)[0].files
    people: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for kind, paths in found.items():
        for path in paths:
            digits = re.search(r"\d{4}", path.name)
            if digits is None:
                report.reject("file", "no four digits of a person in its name", path.name)
            else:
                people[digits[0]][kind].append(path)
    if not people:
        raise InputError(f"{root} holds no {expected}; see docs/sensors.md for what each format looks like")
    return [
        Source(person, {kind: tuple(paths) for kind, paths in files.items()}, timezone="")
        for person, files in sorted(people.items())
    ]


def read(source: Source, report: Report) -> Recording:
    """All signals of one person, on the wall clock. Bad files and records are counted in the report."""
    recording = Recording(source.person)
    for kind, reader in _READERS.items():
        for path in source.files.get(kind, ()):
            reader(recording, path, report)
    return recording


def _table(path: Path, needed: Sequence[str], report: Report) -> _Table | None:
    """The needed columns; None, with the reason in the report, when one is absent."""
    rows = read_rows(path, report)
    if not rows:
        return None
    absent = [name for name in needed if name not in rows[0]]
    if absent:
        report.reject("file", f"no column {absent[0]}", path.name)
        return None
    report.seen["records"] += len(rows) - 1
    return {name: column(rows[1:], rows[0].index(name)) for name in needed}


def _glucose(recording: Recording, path: Path, report: Report) -> None:
    table = _table(path, ("bg_ts", "value"), report)
    if table is not None:
        values = numbers(table["value"]) * MGDL_PER_MMOL
        signal = make_signal("glucose", parse_wall(table["bg_ts"], day_first=True), values, report, path.name)
        if signal is not None:
            recording.signals["glucose"] = signal


def _watch(recording: Recording, path: Path, report: Report) -> None:
    table = _table(path, ("sleep_ts", *SIGNALS.values(), "resting_heart_rate"), report)
    if table is None:
        return
    time = parse_wall(table["sleep_ts"], day_first=True)
    for name, head in SIGNALS.items():
        signal = make_signal(name, time, numbers(table[head]), report, path.name)
        if signal is not None:
            recording.signals[name] = signal
    resting = numbers(table["resting_heart_rate"])
    days, values = time // DAY, np.where(resting > 0, resting, np.nan)
    for day in np.unique(days[(time != NO_TIME) & (values > 0)]).tolist():
        recording.add_daily("resting_hr_bpm", day, float(np.nanmedian(values[days == day])))


# --- nights -----------------------------------------------------------------------------------


def _nights(recording: Recording, path: Path, report: Report) -> None:
    """The longest record of each date; shorter ones of the same date are earlier versions of it."""
    heads = ("calendar_date", "start_date_ts", "start_time_offset_s", *STAGE_SECONDS.values(), *STAGE_MAPS.values())
    table = _table(path, heads, report)
    if table is None:
        return
    date = parse_wall(table["calendar_date"], day_first=True)
    start = parse_wall(table["start_date_ts"], day_first=True)
    offset = numbers(table["start_time_offset_s"])
    seconds = np.column_stack([numbers(table[head]) for head in STAGE_SECONDS.values()])
    asleep = seconds[:, :3].sum(axis=1)
    good = (date != NO_TIME) & (start != NO_TIME) & np.isfinite(offset) & (np.abs(offset) <= DAY)
    good &= (seconds >= 0).all(axis=1) & (asleep > 0) & (seconds.sum(axis=1) <= DAY)
    report.reject("record", "night whose day or stages cannot be read, or without sleep", path.name, int(np.sum(~good)))
    best: dict[int, int] = {}
    for row in np.flatnonzero(good).tolist():
        day = int(date[row])
        if day not in best or asleep[row] > asleep[best[day]]:
            best[day] = row
    report.reject(
        "record", "another record of the same night (the longest is used)", path.name, int(good.sum()) - len(best)
    )
    pieces: list[tuple[int, int, str]] = []
    for row in best.values():
        shift = int(offset[row])
        maps = {stage: _intervals(table[head][row]) for stage, head in STAGE_MAPS.items()}
        known = dict(zip(STAGE_SECONDS, seconds[row].tolist(), strict=True))
        pieces += [(a + shift, b + shift, stage) for a, b, stage in _staged(maps, known, int(start[row]), report)]
    if pieces:
        begin, end, kind = (np.array(values) for values in zip(*pieces, strict=True))
        recording.sleep = make_spans(begin, end, kind, None, report, path.name)


def _intervals(text: str) -> list[tuple[int, int]] | None:
    """Start and end (UTC seconds) from the JSON of one cell; nothing for a blank one, None for anything else."""
    if not text:
        return []
    try:
        pairs = [(item["startTimeInSeconds"], item["endTimeInSeconds"]) for item in json.loads(text)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    whole = all(type(second) is int and 0 <= second < 1 << 40 for pair in pairs for second in pair)
    return pairs if whole else None


def _staged(
    maps: dict[str, list[tuple[int, int]] | None], seconds: dict[str, float], start: int, report: Report
) -> list[tuple[int, int, str]]:
    """Intervals with their stage, such that each stage has the seconds that the record gives it."""
    exchanged = {"awake": "rem", "rem": "awake"}
    for names, note in (
        ({}, ""),
        (exchanged, "nights whose intervals of awake and REM sleep are exchanged (the seconds per stage tell)"),
    ):
        pieces = [(a, b, names.get(stage, stage)) for stage, found in maps.items() for a, b in found or ()]
        lengths = {stage: sum(b - a for a, b, name in pieces if name == stage) for stage in seconds}
        if all(abs(lengths[stage] - wanted) <= SLACK for stage, wanted in seconds.items()):
            if note:
                report.notes[note] += 1
            return pieces
    report.notes["nights without usable intervals: stages put one after the other"] += 1
    out, now = [], start
    for stage, length in seconds.items():
        if length > 0:
            out.append((now, now + round(length), stage))
            now += round(length)
    return out


# --- days -------------------------------------------------------------------------------------


def _activity(recording: Recording, path: Path, report: Report) -> None:
    """Epochs cut into their intensities, one after the other; sums of the days that they cover."""
    heads = ("activity_ts", "active_Kcal", "step_count", "distance_m", "active_time_s", "intensity")
    table = _table(path, heads, report)
    if table is None:
        return
    rows = list(dict.fromkeys(zip(*table.values(), strict=True)))
    report.reject("record", "the same epoch and intensity again", path.name, len(table["intensity"]) - len(rows))
    if not rows:
        return
    stamps, kcal, steps, metres, length, intensity = (list(cells) for cells in zip(*rows, strict=True))
    time, kind = parse_wall(stamps, day_first=True), np.array([KINDS.get(name, "") for name in intensity])
    seconds = numbers(length)
    good = (time != NO_TIME) & (kind != "") & (seconds > 0) & (seconds <= DAY)
    report.reject("record", "epoch without time, intensity or length", path.name, int(np.sum(~good)))
    order = np.flatnonzero(good)[np.argsort(time[good], kind="stable")]
    time, kind, seconds = time[order], kind[order], seconds[order]
    values = {"steps": numbers(steps)[order], "distance_m": numbers(metres)[order], "active_kcal": numbers(kcal)[order]}
    _, first = np.unique(time, return_index=True)
    before = np.concatenate(([0.0], np.cumsum(seconds)[:-1]))
    begin = time + np.round(before - np.repeat(before[first], np.diff(np.append(first, len(time))))).astype(np.int64)
    recording.activity = make_spans(
        begin, begin + np.round(seconds).astype(np.int64), kind, values.pop("steps"), report, path.name
    )
    values |= {"sedentary_min": np.where(kind == "sedentary", seconds / 60, 0.0)}
    values |= {"very_active_min": np.where(kind == "running", seconds / 60, 0.0)}
    covered = _sums(time, seconds)
    for feature, amounts in values.items():
        for day, total in _sums(time, amounts).items():
            if covered[day] >= LEAST_SECONDS:
                recording.add_daily(feature, day, total)


def _logged(feature: str, when: str, amount: str) -> Callable[[Recording, Path, Report], None]:
    """A reader of what a person wrote down: summed by day; a day without an entry is blank, not zero."""

    def reader(recording: Recording, path: Path, report: Report) -> None:
        table = _table(path, (when, amount), report)
        if table is None:
            return
        time, amounts = parse_wall(table[when], day_first=True), numbers(table[amount])
        good = (time != NO_TIME) & (amounts >= 0)
        report.reject("record", "entry without time or amount", path.name, int(np.sum(~good)))
        for day, total in _sums(time[good], amounts[good]).items():
            recording.add_daily(feature, day, total)

    return reader


def _sums(time: Ints, amounts: Floats) -> dict[int, float]:
    """Sum by day number; amounts that cannot be read count nothing."""
    days, index = np.unique(time // DAY, return_inverse=True)
    totals: Any = np.bincount(index, np.nan_to_num(amounts, posinf=0.0, neginf=0.0), minlength=len(days))
    return dict(zip(days.tolist(), totals.tolist(), strict=True))


_READERS: dict[str, Callable[[Recording, Path, Report], None]] = {
    "glucose": _glucose,
    "watch": _watch,
    "nights": _nights,
    "activity": _activity,
    "bolus": _logged("bolus_insulin_u", "bolus_ts", "bolus_dose"),
    "nutrition": _logged("carbs_g", "meal_ts", "carbs_g"),
}
