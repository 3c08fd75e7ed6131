"""LifeSnaps: the published daily table of 71 people with a Fitbit Sense (Zenodo 10.5281/zenodo.7229547), CC BY 4.0.

`daily_fitbit_sema_df_unprocessed.csv`, one row per person and day. Of sleep stages it has only
ratios to the person's own average, so the table has the total and the efficiency alone; age and
BMI are bins, and are not used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sensecf.sensors.recording import Recording
from sensecf.sensors.report import Report
from sensecf.sensors.source import Source, column, find_files, numbers, read_rows
from sensecf.sensors.times import parse_day

PATTERN = {"table": ("daily_fitbit_sema_df*.csv",)}
COLUMNS = {
    "steps": "steps",
    "minutesAsleep": "sleep_total_min",
    "minutesAwake": "sleep_awake_min",
    "sleep_efficiency": "sleep_efficiency_pct",
    "bpm": "hr_mean_bpm",
    "resting_hr": "resting_hr_bpm",
    "rmssd": "hrv_rmssd_ms",
    "full_sleep_breathing_rate": "respiration_mean_brpm",
    "spo2": "spo2_mean_pct",
    "stress_score": "fitbit_stress_score",
}
#: Summed to active minutes.
ACTIVE = ("moderately_active_minutes", "very_active_minutes")
#: Columns in which 0 stands for "not computed".
ZERO_IS_MISSING = ("stress_score", "resting_hr")


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """The people of the table, by id; it is small and read at once. Raises `InputError` when it is not there."""
    expected = "LifeSnaps table (daily_fitbit_sema_df*.csv)"
    path = find_files(root, PATTERN, "UTC", folders_are_people, expected)[0].files["table"][0]
    rows = read_rows(path, report)
    head = rows[0] if rows else []
    absent = [name for name in ("id", "date", *COLUMNS, *ACTIVE) if name not in head]
    if absent:
        report.reject("file", f"no column {absent[0]}", path.name)
        return []
    body = rows[1:]
    report.seen["records"] += len(body)
    values = {name: numbers(column(body, head.index(name))) for name in (*COLUMNS, *ACTIVE)}
    for name in ZERO_IS_MISSING:
        values[name][values[name] == 0] = np.nan
    features = {feature: values[name] for name, feature in COLUMNS.items()}
    features["active_min"] = values[ACTIVE[0]] + values[ACTIVE[1]]
    people: dict[str, dict[str, dict[int, float]]] = {}
    for i, (person, date) in enumerate(
        zip(column(body, head.index("id")), column(body, head.index("date")), strict=True)
    ):
        day = parse_day(date)
        if not person or day is None:
            report.reject("record", "no id, or date cannot be read", path.name)
            continue
        mine = people.setdefault(person, {})
        for feature, series in features.items():
            if not np.isnan(series[i]):
                mine.setdefault(feature, {})[day] = float(series[i])
    return [Source(person, {"table": (path,)}, daily=people[person]) for person in sorted(people)]


def read(source: Source, report: Report) -> Recording:
    """The person's days."""
    return Recording(source.person, daily=source.daily)
