"""Apple Health: the exported XML, read as a stream, so that years of data need little memory.

The file is told by its root element, because its name is in the language of the phone (export.xml, exportar.xml).
What stands before the root is skipped: the document type that some versions of iOS write is not well-formed.

Each record carries its offset, so the first part of its time is the wall clock. Phone and watch
both count steps and energy: of the sources the one with the larger sum is taken for each day.
"""

from __future__ import annotations

import codecs
import re
from array import array
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np

from sensecf.core.errors import InputError
from sensecf.sensors.recording import UNSTAGED, Recording, make_signal, make_spans
from sensecf.sensors.report import Report
from sensecf.sensors.source import MGDL_PER_MMOL, Source, decode, find_files, numbers
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


#: Characters, and references to such, that XML forbids; some apps put them into the names of their sources.
FORBIDDEN = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ufffd]|&#(?:x0*(?:[0-8bcBC]|[eE]|1[0-9a-fA-F])|0*(?:[0-8]|1[124-9]|2\\d|3[01]));"
)
ROOT = re.compile(r"<HealthData[\s/>]")
#: The root stands within so many bytes of an export.
PROLOG = 1 << 18
CHUNK = 1 << 16


def find(root: Path, timezone: str | None, folders_are_people: bool, report: Report) -> list[Source]:
    """One source for the XML file or its folder, or one per folder. Raises `InputError` when there is none."""
    expected = "Apple Health export (an XML file whose root is HealthData)"
    kinds = {"export": ("*.[xX][mM][lL]",)}
    found = find_files(root, kinds, "UTC", folders_are_people, expected)
    exports = [
        replace(s, files={"export": paths}) for s in found if (paths := tuple(filter(_is_export, s.files["export"])))
    ]
    if not exports:
        raise InputError(f"{root} holds no {expected}; see docs/sensors.md for what each format looks like")
    return exports


def _is_export(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return bool(ROOT.search(decode(file.read(PROLOG))))
    except OSError:
        return False


class _Clean:
    """A stream of the export's text from its root element on, without what XML forbids, which is counted."""

    def __init__(self, file: BinaryIO) -> None:
        head = file.read(4)
        name = "utf-16" if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
        self._decoder = codecs.getincrementaldecoder(name)(errors="replace")
        self._file, self._kept, self._begun = file, self._decoder.decode(head), False
        self.dropped = 0

    def read(self, size: int = CHUNK) -> str:
        """The next text; "" at the end."""
        while data := self._file.read(CHUNK):
            text = self._kept + self._decoder.decode(data)
            if not self._begun:
                match = ROOT.search(text)
                if match is None:
                    self._kept = text[-20:]
                    continue
                text, self._begun = text[match.start() :], True
            # A reference that the chunk may have cut in two waits for the next.
            at = text.rfind("&", max(len(text) - 12, 0))
            cut = len(text) if at < 0 or ";" in text[at:] else at
            self._kept, text = text[cut:], text[:cut]
            if text := self._without(text):
                return text
        text, self._kept = self._without(self._kept if self._begun else ""), ""
        return text

    def _without(self, text: str) -> str:
        text, n = FORBIDDEN.subn("", text)
        self.dropped += n
        return text


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
            with path.open("rb") as file:
                clean = _Clean(file)
                _stream(clean, got, report, path.name)
                report.reject(
                    "character", "not allowed in XML, or not in the file's encoding", path.name, clean.dropped
                )
        except OSError as error:
            report.reject("file", f"cannot be read: {error.strerror}", path.name)
    return _finish(source, got, report)


def _stream(clean: _Clean, got: _Collected, report: Report, where: str) -> None:
    root = None
    try:
        for event, element in ElementTree.iterparse(clean, events=("start", "end")):
            if root is None:
                root = element
            if event == "end" and element.tag == "Record":
                report.seen["records"] += 1
                _take(got, element.attrib, report, where)
                root.clear()  # else every element read so far would stay in memory
    except ElementTree.ParseError as error:
        report.reject("file", f"cut off or damaged ({error}): what stands before that is used", where)


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
