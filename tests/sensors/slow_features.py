"""Daily features recomputed from the raw JSON with plain loops, sharing no code with the package.

Slow and literal on purpose: minutes and readings are walked one by one, following the text of
docs/sensors.md.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

Rows = dict[date, dict[str, float]]


def _load(path: Path) -> list[Any] | None:
    if not path.exists():
        return None
    try:
        body = json.loads(path.read_text())["body"]
    except ValueError:
        return None
    return body if isinstance(body, list) else next(iter(body.values()))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "").replace(" ", "T")).replace(tzinfo=UTC)


def _series(records: list[Any] | None, key: str, low: float, high: float) -> list[tuple[datetime, float]]:
    """(UTC time, value or NaN), in time order, the first of equal moments kept."""
    seen: dict[datetime, float] = {}
    for record in records or []:
        frame = record["effective_time_frame"]
        moment = _moment(frame["date_time"] if "date_time" in frame else frame["time_interval"]["start_date_time"])
        value = record[key]["value"]
        value = {"Low": 40, "High": 400}.get(value, value)
        if moment not in seen:
            seen[moment] = float(value) if low <= float(value) <= high else math.nan
    return sorted(seen.items())


def _cover(series: list[tuple[datetime, float]]) -> list[float]:
    """Seconds until the next reading, at most ten minutes; the last one stands for the usual step."""
    if not series:
        return []
    steps = [(b[0] - a[0]).total_seconds() for a, b in itertools.pairwise(series)]
    steps.append(statistics.median(steps) if steps else 60.0)
    return [0.0 if math.isnan(v) else min(step, 600.0) for step, (_, v) in zip(steps, series, strict=True)]


def _still(series: list[tuple[datetime, float]]) -> list[tuple[datetime, datetime]]:
    """Runs of at least 12 equal readings over at least three hours, up to the next reading (at most 10 minutes)."""
    runs: list[tuple[datetime, datetime]] = []
    current: list[tuple[datetime, float]] = []
    for moment, value in [*[(m, v) for m, v in series if not math.isnan(v)], (None, math.nan)]:
        if current and value != current[-1][1]:
            if len(current) >= 12 and current[-1][0] - current[0][0] >= timedelta(hours=3):
                limit = current[-1][0] + timedelta(minutes=10)
                runs.append((current[0][0], limit if moment is None else min(moment, limit)))
            current = []
        current.append((moment, value))
    return runs


def _hide(series: list[tuple[datetime, float]], runs: list[tuple[datetime, datetime]]) -> list[tuple[datetime, float]]:
    return [(m, math.nan if any(a <= m < b for a, b in runs) else v) for m, v in series]


def _weighted(series: list[tuple[datetime, float]], place: ZoneInfo, hours: int = 0) -> dict[date, tuple[float, float]]:
    """By local day (that begins `hours` before midnight): minutes covered, weighted mean."""
    sums: dict[date, list[float]] = {}
    for (moment, value), cover in zip(series, _cover(series), strict=True):
        day = (moment.astimezone(place).replace(tzinfo=None) + timedelta(hours=hours)).date()
        slot = sums.setdefault(day, [0.0, 0.0])
        if cover:
            slot[0] += cover
            slot[1] += cover * value
    return {day: (c / 60, s / c if c else math.nan) for day, (c, s) in sums.items()}


def _events(day_readings: list[tuple[datetime, float]]) -> list[datetime]:
    """Starts of events: walk the readings, counting minutes above and at or below 180."""
    if not day_readings:
        return []
    steps = [(b[0] - a[0]).total_seconds() for a, b in itertools.pairwise(day_readings)]
    step = statistics.median(steps)
    events, inside, above, below, began = [], False, 0.0, 0.0, day_readings[0][0]
    previous = None
    for moment, value in day_readings:
        if previous is not None and (moment - previous).total_seconds() > 3 * step:
            inside, above, below = False, 0.0, 0.0
        passed = step if previous is None or (above == 0 and below == 0) else (moment - previous).total_seconds()
        if value > 180:
            if above == 0:
                began, passed = moment, step
            above, below = above + passed, 0.0
            if above >= 900 and not inside:
                inside = True
                events.append(began)
        else:
            if below == 0:
                passed = step
            below, above = below + passed, 0.0
            if below >= 900:
                inside = False
        previous = moment
    return events


def _mage(values: list[float]) -> float:
    """Turning points by brute force: extremes separated by reversals of more than one SD."""
    sd = statistics.stdev(values)
    if sd < 1e-9:
        return 0.0
    points, i, direction = [], 0, 0
    # From each turning point look for the first reading that has come back more than one SD from the extreme.
    for j in range(1, len(values)):
        part = values[i : j + 1]
        down, up = max(part) - values[j] > sd, values[j] - min(part) > sd
        if direction >= 0 and down:
            points.append(max(part))
            i, direction = j, -1
        elif direction <= 0 and up:
            points.append(min(part))
            i, direction = j, 1
    if not points:
        return 0.0
    points.append(max(values[i:]) if direction > 0 else min(values[i:]))
    swings = [abs(b - a) for a, b in itertools.pairwise(points)]
    return statistics.fmean(swings[::2])


def person_days(root: Path, person: str) -> Rows:
    """All daily features of one person of a version 3 tree."""
    watch = root / "wearable_activity_monitor"

    def file(folder: str, suffix: str) -> Path:
        return watch / folder / "garmin_vivosmart5" / person / f"{person}_{suffix}.json"

    place = ZoneInfo("America/Chicago" if person.startswith("7") else "America/Los_Angeles")
    heart = _series(_load(file("heart_rate", "heartrate")), "heart_rate", 25, 230)
    runs = _still(heart)
    heart = _hide(heart, runs)
    stress = _hide(_series(_load(file("stress", "stress")), "stress", 1, 100), runs)
    breath = _hide(_series(_load(file("respiratory_rate", "respiratoryrate")), "respiratory_rate", 1, 80), runs)
    oxygen = _hide(_series(_load(file("oxygen_saturation", "oxygensaturation")), "oxygen_saturation", 50, 100), runs)
    rows: Rows = {}

    worn = _weighted(heart, place)
    for day, (covered, mean) in worn.items():
        mine = [(m, v) for m, v in heart if m.astimezone(place).date() == day and not math.isnan(v)]
        if covered >= 600:
            row = rows.setdefault(day, {})
            row |= {"hr_mean_bpm": mean, "hr_min_bpm": min(v for _, v in mine), "hr_max_bpm": max(v for _, v in mine)}
            windows = []
            for i, (start, _) in enumerate(mine):
                inside = []
                for moment, value in mine[i:]:
                    if moment - start >= timedelta(minutes=30):
                        break
                    inside.append(value)
                if len(inside) >= 5:
                    windows.append(statistics.fmean(inside))
            row["resting_hr_bpm"] = min(windows)
    for series, name, needed, hours in (
        (stress, "stress_mean", 480, 0),
        (breath, "respiration_mean_brpm", 480, 0),
        (oxygen, "spo2_mean_pct", 30, 6),
    ):
        for day, (covered, mean) in _weighted(series, place, hours).items():
            if covered >= needed:
                rows.setdefault(day, {})[name] = mean
    _add_glucose(rows, root, person, place)
    _add_movement(rows, _load(file("physical_activity", "activity")), heart, worn, place)
    for record in _load(file("physical_activity_calorie", "calorie")) or []:
        moment = _moment(record["effective_time_frame"]["date_time"]).astimezone(place).replace(tzinfo=None)
        day = (moment - timedelta(seconds=1)).date()
        if not heart or worn.get(day, (0.0, 0.0))[0] >= 600:
            row = rows.setdefault(day, {})
            row["active_kcal"] = max(row.get("active_kcal", 0), record["calories_value"]["value"])
    _add_sleep(rows, _load(file("sleep", "sleep")), place)
    return rows


def _add_glucose(rows: Rows, root: Path, person: str, place: ZoneInfo) -> None:
    folder = root / "wearable_blood_glucose" / "continuous_glucose_monitoring" / "dexcom_g6" / person
    readings = _series(_load(folder / f"{person}_DEX.json"), "blood_glucose", 20, 600)
    events = [m.astimezone(place).date() for m in _events(readings)]
    days: dict[date, list[float]] = {}
    for moment, value in readings:
        days.setdefault(moment.astimezone(place).date(), []).append(value)
    for day, values in days.items():
        if len(values) < 0.7 * 288:
            continue
        mean, sd = statistics.fmean(values), statistics.stdev(values)
        rows.setdefault(day, {}).update(
            glucose_mean_mgdl=mean,
            glucose_sd_mgdl=sd,
            glucose_cv_pct=100 * sd / mean,
            glucose_tbr_pct=100 * sum(v < 70 for v in values) / len(values),
            glucose_tir_pct=100 * sum(70 <= v <= 180 for v in values) / len(values),
            glucose_tar_pct=100 * sum(v > 180 for v in values) / len(values),
            hyperglycaemia_events=events.count(day),
            gmi_pct=3.31 + 0.02392 * mean,
            mage=_mage(values),
        )


def _add_movement(rows: Rows, records: list[Any] | None, heart: list[Any], worn: Any, place: ZoneInfo) -> None:
    minutes: dict[date, float] = {}
    recorded: dict[date, float] = {}
    for record in records or []:
        frame = record["effective_time_frame"]["time_interval"]
        moment, end = _moment(frame["start_date_time"]), _moment(frame["end_date_time"])
        name = record["activity_name"]
        if name == "" or (name != "sedentary" and end - moment > timedelta(hours=1)):
            continue
        while moment < end:
            day = moment.astimezone(place).date()
            recorded[day] = recorded.get(day, 0) + 1
            minutes[day] = minutes.get(day, 0) + (name in ("walking", "running"))
            moment += timedelta(minutes=1)
    for day, value in minutes.items():
        if (worn.get(day, (0.0, 0.0))[0] if heart else recorded[day]) >= 600:
            rows.setdefault(day, {})["active_min"] = value


def _add_sleep(rows: Rows, records: list[Any] | None, place: ZoneInfo) -> None:
    spans = []
    for record in records or []:
        frame = record["effective_time_frame"]["time_interval"]
        start, end = _moment(frame["start_date_time"]), _moment(frame["end_date_time"])
        if record["sleep_stage_state"] != "unknown" and end > start:
            spans.append((start, end, record["sleep_stage_state"]))
    sleeps: list[list[Any]] = []
    for span in sorted(spans):
        if sleeps and span[0] - sleeps[-1][-1][1] <= timedelta(hours=2):
            sleeps[-1].append(span)
        else:
            sleeps.append([span])
    best: dict[date, dict[str, float]] = {}
    for sleep in sleeps:
        end = sleep[-1][1].astimezone(place).replace(tzinfo=None)
        day = end.date() + timedelta(days=end.hour >= 18)
        minutes = {stage: sum((b - a).total_seconds() / 60 for a, b, s in sleep if s == stage)
                   for stage in ("awake", "light", "deep", "rem")}  # fmt: skip
        asleep = minutes["light"] + minutes["deep"] + minutes["rem"]
        if day not in best or asleep > best[day]["total"]:
            best[day] = {**minutes, "total": asleep}
    for day, night in best.items():
        if night["total"] + night["awake"] < 180:
            continue
        rows.setdefault(day, {}).update(
            sleep_total_min=night["total"],
            sleep_deep_min=night["deep"],
            sleep_rem_min=night["rem"],
            sleep_light_min=night["light"],
            sleep_deep_pct=100 * night["deep"] / night["total"],
            sleep_rem_pct=100 * night["rem"] / night["total"],
            sleep_light_pct=100 * night["light"] / night["total"],
            sleep_efficiency_pct=100 * night["total"] / (night["total"] + night["awake"]),
        )
