"""Traces to the JSON files of one person, in the words of each version, with the faults of real ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from sensecf.core.rules import Bools, Floats
from sensecf.sensors.formats.aireadi import CGM, MODALITIES, WATCH
from sensecf.sensors.simulator.person import Person
from sensecf.sensors.simulator.traces import GLUCOSE_LIMITS, LEAD_IN, Traces
from sensecf.sensors.times import Ints

DEVICES = {WATCH: "garmin_vivosmart5", CGM: "dexcom_g6"}
MOVES = ("sedentary", "walking", "running")
#: The watch's activity byte: type in bits 0-4, intensity in bits 5-7.
TYPES = (8, 6, 1)


@dataclass(frozen=True)
class FileStyle:
    """How the files are written: `version` 1 to 3, `movement` "byte" or "steps", with `faults` or without."""

    version: int = 3
    movement: str = "byte"
    faults: bool = True


def person_files(person: Person, traces: Traces, style: FileStyle, rng: np.random.Generator) -> dict[str, str]:
    """Text of each JSON file, by modality (keys of `aireadi.MODALITIES`); a missing key is a file that is absent."""
    worn = _worn(traces, rng) if style.faults else np.ones(len(traces.time), dtype=bool)
    frozen = _frozen(traces, rng) if style.faults else np.zeros(len(traces.time), dtype=bool)
    texts = {
        "heart_rate": _heart(person, traces, worn, frozen, style, rng),
        "stress": _stress(person, traces, worn, style),
        "respiration": _respiration(person, traces, worn, style),
        "spo2": _spo2(person, traces, worn, style, rng),
        "sleep": _sleep(person, traces, style, rng),
        "activity": _activity(person, traces, style, rng),
        "energy": _energy(person, traces, style),
        "glucose": _glucose(person, traces, style, rng),
    }
    return _damage(texts, rng) if style.faults else texts


def path_of(root: Path, kind: str, person: str, nested: bool) -> Path:
    """Where a modality's file of a person lies below the root of the tree."""
    modality = MODALITIES[kind]
    datatype = root / modality.datatype / modality.datatype if nested else root / modality.datatype
    return datatype / modality.folders[0] / DEVICES[modality.datatype] / person / f"{person}{modality.suffix}"


# --- faults -----------------------------------------------------------------------------------


def _worn(traces: Traces, rng: np.random.Generator) -> Bools:
    """Off the wrist for one to two hours every two to three days, for charging."""
    worn = np.ones(len(traces.time), dtype=bool)
    k = LEAD_IN + int(rng.integers(600, 3000))
    while k < len(worn):
        worn[k : k + int(rng.integers(60, 120))] = False
        k += int(rng.integers(2880, 4320))
    return worn


def _frozen(traces: Traces, rng: np.random.Generator) -> Bools:
    """Now and then the watch lies on a table for hours and repeats its last heart rate."""
    frozen = np.zeros(len(traces.time), dtype=bool)
    for k in range(LEAD_IN, len(frozen), 1440):
        if rng.random() < 0.03:
            frozen[k + 600 : k + 600 + int(rng.integers(200, 500))] = True
    return frozen


def _damage(texts: dict[str, str], rng: np.random.Generator) -> dict[str, str]:
    """One file in thirty absent, one in fifty with an empty list, one in two hundred cut off."""
    out = {}
    for kind, text in texts.items():
        luck = rng.random()
        if luck < 1 / 30:
            continue
        if luck < 1 / 30 + 1 / 50:
            start = text.index("[") + 1
            text = text[:start] + text[text.rindex("]") :]
        elif luck < 1 / 30 + 1 / 50 + 1 / 200:
            text = text[: len(text) // 2]
        out[kind] = text
    return out


# --- files ------------------------------------------------------------------------------------


def _document(person: Person, style: FileStyle, kind: str, schema: tuple[str, str, object], records: list[str]) -> str:
    glucose = kind == "glucose"
    header: dict[str, object] = {
        "uuid": f"AIREADI-{person.id}",
        "creation_date_time": "2025-06-01T00:00:00Z",
        "patient_id" if glucose else "user_id": f"AIREADI-{person.id}",
        "schema_id": dict(zip(("namespace", "name", "version"), schema, strict=True)),
    }
    if glucose:
        header |= {
            "modality": "sensed",
            "acquistion_rate": {"number_of_times": 1, "time_window": {"value": 5, "unit": "min"}},
            "external_datasheets": {"datasheet_type": "source_device", "datasheet_reference": "iri-of-cgm-device"},
        }
    if style.version >= 3:
        header["timezone"] = person.timezone
    name = MODALITIES[kind].body[0]
    body = "[\n" + ",\n".join(records) + "\n]"
    if style.version == 1 and glucose:
        return f'{{"header": {json.dumps(header)}, "body": {body}}}\n'
    if style.version == 1 and kind == "sleep":
        body = f'[{{"sleep_stage_episodes": {body}}}]'
        return f'{{"header": {json.dumps(header)}, "body": {body}}}\n'
    return f'{{"header": {json.dumps(header)}, "body": {{"{name}": {body}}}}}\n'


def _stamps(time: Ints) -> list[str]:
    texts: list[str] = np.datetime_as_string(time.astype("datetime64[s]"), unit="s").tolist()
    return texts


def _point(key: str, value: object, unit: str, stamp: str) -> str:
    return f'{{"{key}": {{"value": {value}, "unit": "{unit}"}}, "effective_time_frame": {{"date_time": "{stamp}Z"}}}}'


def _heart(
    person: Person, traces: Traces, worn: Bools, frozen: Bools, style: FileStyle, rng: np.random.Generator
) -> str:
    """Every one to three minutes; 0 while the watch is off."""
    k = np.cumsum(rng.integers(1, 4, len(traces.time) // 2))
    k = k[k < len(traces.time)]
    value = np.round(traces.heart).astype(int)
    value[frozen] = 61
    value[~worn] = 0
    records = [
        _point("heart_rate", v, "beats/min", s) for v, s in zip(value[k].tolist(), _stamps(traces.time[k]), strict=True)
    ]
    if style.faults and records:
        records.insert(len(records) // 2, records[len(records) // 2])
    return _document(person, style, "heart_rate", ("omh", "heart-rate", 2.0), records)


def _stress(person: Person, traces: Traces, worn: Bools, style: FileStyle) -> str:
    """Every minute; -2 while moving, -1 while off: it is missing for a reason."""
    value = np.round(traces.stress).astype(int)
    value[traces.move > 0] = -2
    value[~worn] = -1
    records = [
        _point("stress", v, "stress level", s) for v, s in zip(value.tolist(), _stamps(traces.time), strict=True)
    ]
    return _document(person, style, "stress", ("", "", ""), records)


def _respiration(person: Person, traces: Traces, worn: Bools, style: FileStyle) -> str:
    value = np.round(traces.respiration, 2)
    value[traces.move > 0] = -2
    value[~worn] = -1
    records = [
        _point("respiratory_rate", v, "breaths/min", s)
        for v, s in zip(value.tolist(), _stamps(traces.time), strict=True)
    ]
    return _document(person, style, "respiration", ("omh", "respiratory-rate", 2.0), records)


def _spo2(person: Person, traces: Traces, worn: Bools, style: FileStyle, rng: np.random.Generator) -> str:
    """Every minute of the first four hours asleep; sometimes 0, rarely NaN."""
    asleep = traces.stage >= 0
    since = np.zeros(len(asleep), dtype=np.int64)
    for falls_asleep in np.flatnonzero(np.diff(asleep.astype(int), prepend=0) == 1):
        since[falls_asleep : falls_asleep + 240] = 1
    k = np.flatnonzero(asleep & (since == 1) & worn)
    texts = [str(int(v)) for v in np.round(traces.spo2[k])]
    if style.faults:
        for i in np.flatnonzero(rng.random(len(texts)) < 0.01):
            texts[i] = "0"
        if len(texts) > 20:
            texts[10] = "NaN"
    records = [
        f'{{"oxygen_saturation": {{"value": {v}, "unit": "%"}}, "effective_time_frame": {{"date_time": "{s}Z"}}, '
        '"measurement_method": "pulse oximetry"}'
        for v, s in zip(texts, _stamps(traces.time[k]), strict=True)
    ]
    return _document(person, style, "spo2", ("omh", "oxygen-saturation", 2.0), records)


def _sleep(person: Person, traces: Traces, style: FileStyle, rng: np.random.Generator) -> str:
    key = "effective_time_frame" if style.version >= 3 else "sleep_stage_time_frame"
    stages = list(traces.sleep)
    if style.faults and stages:
        start, end, _ = stages[int(rng.integers(len(stages)))]
        stages += [(end, end, "light"), (start - 60, start - 30, "unknown")]
    starts = _stamps(np.array([a for a, _, _ in stages], dtype=np.int64))
    ends = _stamps(np.array([b for _, b, _ in stages], dtype=np.int64))
    records = [
        f'{{"sleep_stage_state": "{name}", "{key}": {{"time_interval": '
        f'{{"start_date_time": "{a}Z", "end_date_time": "{b}Z"}}}}}}'
        for (_, _, name), a, b in zip(stages, starts, ends, strict=True)
    ]
    return _document(person, style, "sleep", ("omh", "sleep-stages", 2.0), records)


def _activity(person: Person, traces: Traces, style: FileStyle, rng: np.random.Generator) -> str:
    """One record per change of movement and per hour; an interval begins where the record before ended."""
    changes = np.flatnonzero(np.diff(traces.move)) + 1
    edges = np.unique(np.concatenate((np.arange(0, len(traces.move), 60), changes, [len(traces.move) - 1])))
    stamps = _stamps(traces.time[edges])
    zulu = ("T", "Z") if style.version >= 2 else (" ", "")
    records = []
    for i, (a, b) in enumerate(pairwise(edges.tolist())):
        kind = int(traces.move[a])
        name = MOVES[kind]
        value = str(int((b - a) * (0, 105, 155)[kind]))
        if style.movement == "byte" and kind:
            value = str(int(rng.integers(2, 5)) << 5 | TYPES[kind])
        start, end = (stamps[j].replace("T", zulu[0]) + zulu[1] for j in (i, i + 1))
        if style.faults and kind and rng.random() < 0.02:
            name, value = "", '""'
        records.append(
            f'{{"activity_name": "{name}", "base_movement_quantity": {{"value": {value}, "unit": "steps"}}, '
            f'"effective_time_frame": {{"time_interval": {{"start_date_time": "{start}", "end_date_time": "{end}"}}}}}}'
        )
    return _document(person, style, "activity", ("", "", ""), records)


def _energy(person: Person, traces: Traces, style: FileStyle) -> str:
    """The running total at every quarter of an hour in which it grew, and at midnight."""
    key = "calories_value" if style.version >= 2 else "duration"
    k = np.arange(14, len(traces.time), 15)
    value = np.round(traces.energy).astype(int)
    grew = np.diff(value[k], prepend=-1) != 0
    k = k[grew]
    records = [
        f'{{"activity_name": "kcal_burned", "{key}": {{"value": {v}, "unit": "kcal"}}, '
        f'"effective_time_frame": {{"date_time": "{s}Z"}}}}'
        for v, s in zip(value[k].tolist(), _stamps(traces.time[k]), strict=True)
    ]
    return _document(person, style, "energy", ("ieee", "physical-activity", 1.0), records)


def _glucose(person: Person, traces: Traces, style: FileStyle, rng: np.random.Generator) -> str:
    """Every five minutes; "Low" and "High" beyond the sensor's range; a few hours lost now and then."""
    k = np.arange(int(rng.integers(5)), len(traces.time), 5)
    if style.faults:
        keep = np.ones(len(k), dtype=bool)
        for start in range(0, len(k), 288):
            if rng.random() < 0.1:
                begin = start + int(rng.integers(288))
                keep[begin : begin + int(rng.integers(12, 72))] = False
        k = k[keep]
    low, high = GLUCOSE_LIMITS
    value: Floats = traces.glucose[k]
    texts = ['"Low"' if v < low else '"High"' if v > high else str(round(v)) for v in value.tolist()]
    seconds = (traces.time[k] - traces.time[0]).tolist()
    records = [
        f'{{"effective_time_frame": {{"time_interval": {{"start_date_time": "{s}Z", "end_date_time": "{s}Z"}}}}, '
        f'"event_type": "EGV", "source_device_id": "SIM", "blood_glucose": {{"unit": "mg/dL", "value": {v}}}, '
        f'"transmitter_time": {{"unit": "long integer", "value": {t}}}, "transmitter_id": "SIM{person.id}"}}'
        for v, s, t in zip(texts, _stamps(traces.time[k]), seconds, strict=True)
    ]
    return _document(person, style, "glucose", ("omh", "blood-glucose", 3.0), records)
