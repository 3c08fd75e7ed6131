"""A hand-made AI-READI tree of one or more people, record by record, in the words of each version."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

WATCH, CGM = "wearable_activity_monitor", "wearable_blood_glucose"
PLACES = {
    "heart_rate": (WATCH, "heart_rate", "garmin_vivosmart5", "heartrate", "heart_rate"),
    "stress": (WATCH, "stress", "garmin_vivosmart5", "stress", "stress"),
    "spo2": (WATCH, "oxygen_saturation", "garmin_vivosmart5", "oxygensaturation", "breathing"),
    "respiration": (WATCH, "respiratory_rate", "garmin_vivosmart5", "respiratoryrate", "breathing"),
    "sleep": (WATCH, "sleep", "garmin_vivosmart5", "sleep", "sleep"),
    "activity": (WATCH, "physical_activity", "garmin_vivosmart5", "activity", "activity"),
    "energy": (WATCH, "physical_activity_calorie", "garmin_vivosmart5", "calorie", "activity"),
    "glucose": (CGM, "continuous_glucose_monitoring", "dexcom_g6", "DEX", "cgm"),
}
VALUE = {
    "heart_rate": "heart_rate", "stress": "stress", "spo2": "oxygen_saturation", "respiration": "respiratory_rate",
    "energy": "calories_value", "glucose": "blood_glucose",
}  # fmt: skip

#: Local midnight of 2024-03-05 in Los Angeles (UTC-8) is 08:00 UTC.
MIDNIGHT = datetime(2024, 3, 5, 8, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def every(minutes: float, hours: float = 24, start: datetime = MIDNIGHT) -> list[datetime]:
    return [start + timedelta(minutes=minutes * i) for i in range(int(hours * 60 / minutes))]


def points(kind: str, times: Iterable[datetime], values: Iterable[Any], key: str | None = None) -> list[dict[str, Any]]:
    """Records of readings. One value in `values` may be anything."""
    records = []
    for moment, value in zip(times, values, strict=True):
        frame: dict[str, Any] = {"date_time": stamp(moment)}
        if kind == "glucose":
            frame = {"time_interval": {"start_date_time": stamp(moment), "end_date_time": stamp(moment)}}
        record = {"effective_time_frame": frame, key or VALUE[kind]: {"value": value, "unit": "u"}}
        records.append(record | ({"event_type": "EGV"} if kind == "glucose" else {}))
    return records


def stages(spans: Iterable[tuple[datetime, float, str]], key: str = "effective_time_frame") -> list[dict[str, Any]]:
    """Sleep records from (start, minutes, stage)."""
    return [
        {"sleep_stage_state": stage, key: {"time_interval": {
            "start_date_time": stamp(start), "end_date_time": stamp(start + timedelta(minutes=minutes))}}}
        for start, minutes, stage in spans
    ]  # fmt: skip


def moves(spans: Iterable[tuple[datetime, float, str, Any]], form: str = "%Y-%m-%dT%H:%M:%SZ") -> list[dict[str, Any]]:
    """Activity records from (start, minutes, name, value)."""
    return [
        {"activity_name": name, "base_movement_quantity": {"value": value, "unit": "steps"},
         "effective_time_frame": {"time_interval": {
             "start_date_time": start.strftime(form),
             "end_date_time": (start + timedelta(minutes=minutes)).strftime(form)}}}
        for start, minutes, name, value in spans
    ]  # fmt: skip


def write(
    root: Path,
    kind: str,
    records: list[Any],
    *,
    person: str = "1001",
    timezone: str | None = "pst",
    nested: bool = False,
    body: Any = None,
) -> Path:
    """Write one file; `body` replaces the usual `{name: records}`."""
    datatype, folder, device, suffix, name = PLACES[kind]
    base = root / datatype / datatype if nested else root / datatype
    path = base / folder / device / person / f"{person}_{suffix}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"uuid": f"AIREADI-{person}"} | ({"timezone": timezone} if timezone else {})
    path.write_text(json.dumps({"header": header, "body": {name: records} if body is None else body}))
    return path


def wear(root: Path, days: int = 1, start: datetime = MIDNIGHT, **where: Any) -> None:
    """Heart rate every 5 minutes, never constant, so that days count as worn."""
    times = every(5, 24 * days, start)
    write(root, "heart_rate", points("heart_rate", times, [60 + i % 7 for i in range(len(times))]), **where)
