"""`Recording`: what one person's devices measured, the same for every file format.

Times are local wall-clock seconds (`times.to_local`), because days are cut and nights are named by
the clock on the person's wall. Lengths are taken from real seconds, kept apart from the times, so
that a night with a change of the clock keeps its length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf.core.rules import Bools, Floats
from sensecf.sensors.report import Report
from sensecf.sensors.times import DAY, NO_TIME, Ints, to_local

#: Readings a sensor can give (closed range). Outside lies a code or an error.
#: Stress and respiration below 1, heart rate and SpO2 0 are the vendor's marks for "no reading".
READABLE = {
    "heart_rate": (25.0, 230.0),
    "stress": (1.0, 100.0),
    "respiration": (1.0, 80.0),
    "spo2": (50.0, 100.0),
    "glucose": (20.0, 600.0),
    "energy": (0.0, 20_000.0),
}
STAGES = ("awake", "light", "deep", "rem")
#: A sleep stage of devices that do not tell the stages apart.
UNSTAGED = "asleep"
ACTIVE = ("walking", "running")
#: A sleep stage or a movement interval longer than this is a gap in the record, not an interval.
LONGEST_SPAN = 12 * 3600

#: What is known of a person beyond signals, by feature: age, weight, answers to questions.
Facts = dict[str, Any]
#: A row of the daily table: person, date, label, and values by feature.
Day = dict[str, Any]


@dataclass(frozen=True)
class Signal:
    """Readings in time order, shape (n,) each.

    `time`: local seconds, never falling; `value`: NaN for "no reading"; `seconds`: real seconds,
    strictly rising, for everything that is a length.
    """

    time: Ints
    value: Floats
    seconds: Ints

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Spans:
    """Intervals in time order: `start` (n,) local seconds, `seconds` (n,) length, `kind` (n,), `value` (n,) or NaN."""

    start: Ints
    seconds: Ints
    kind: NDArray[np.str_]
    value: Floats

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: Any) -> Spans:
        """The spans at the given positions, or under a mask."""
        return Spans(self.start[index], self.seconds[index], self.kind[index], self.value[index])


@dataclass
class Recording:
    """One person.

    `signals`: by the names of `READABLE` ("energy" is the running total of active kcal since
    midnight); `sleep`: stages of `STAGES`, or `UNSTAGED`; `activity`: movement, with steps as value where known;
    `daily`: summaries that the device itself gives, by feature and day number (they fill what
    cannot be computed); `facts`: what holds for the person (age, study_group, bmi, ...).
    """

    person: str
    signals: dict[str, Signal] = field(default_factory=dict)
    sleep: Spans | None = None
    activity: Spans | None = None
    daily: dict[str, dict[int, float]] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)

    def add_daily(self, feature: str, day: int, value: float) -> None:
        """Note one value of the device's own summary of a day."""
        self.daily.setdefault(feature, {})[day] = value


def make_signal(
    name: str, time: Ints, value: Floats, report: Report, where: str, timezone: str | None = None
) -> Signal | None:
    """A checked signal: unreadable times dropped, sorted, one reading per moment, codes to NaN; None when empty.

    `time` is UTC seconds when `timezone` is given, else local. Everything left out is counted.
    """
    ok = time != NO_TIME
    report.reject("record", "timestamp cannot be read", where, int(np.sum(~ok)))
    time, value = time[ok], value[ok]
    order = np.argsort(time, kind="stable")
    time, value = time[order], value[order]
    first = np.ones(len(time), dtype=bool)
    first[1:] = np.diff(time) > 0
    report.reject("record", "same moment as the record before", where, int(np.sum(~first)))
    time, value = time[first], value[first]
    low, high = READABLE[name]
    with np.errstate(invalid="ignore"):
        good = (value >= low) & (value <= high)
        code = ~good & (value <= 0)
    report.reject("reading", f"{name}: code for no reading (0 or below)", where, int(np.sum(code)))
    report.reject("reading", f"{name}: blank, text, or outside {low:g} to {high:g}", where, int(np.sum(~good & ~code)))
    value = np.where(good, value, np.nan)
    report.seen["readings"] += int(np.sum(~np.isnan(value)))
    if len(time) == 0:
        return None
    # When the clock is set back an hour happens twice; days must not fall back with it.
    local = time if timezone is None else np.maximum.accumulate(to_local(time, timezone))
    return Signal(local, value, time)


def make_spans(
    start: Ints,
    end: Ints,
    kind: Any,
    value: Floats | None,
    report: Report,
    where: str,
    timezone: str | None = None,
) -> Spans | None:
    """Checked intervals: readable, positive, not longer than `LONGEST_SPAN`, not overlapping; None when empty.

    Of two that overlap the later one gives way. `start`, `end` are UTC when `timezone` is given.
    """
    value = np.full(len(start), np.nan) if value is None else value
    readable = (start != NO_TIME) & (end != NO_TIME)
    report.reject("record", "timestamp cannot be read", where, int(np.sum(~readable)))
    spans = Spans(start, end - start, np.asarray(kind, dtype=str), value).take(readable)
    report.reject("record", "interval of no or negative length", where, int(np.sum(spans.seconds <= 0)))
    report.reject("record", "interval longer than 12 hours (a gap)", where, int(np.sum(spans.seconds > LONGEST_SPAN)))
    spans = spans.take((spans.seconds > 0) & (spans.seconds <= LONGEST_SPAN))
    spans = spans.take(np.lexsort((spans.seconds, spans.start)))
    if len(spans) == 0:
        return None
    ends = spans.start + spans.seconds
    before = np.concatenate((spans.start[:1], np.maximum.accumulate(ends)[:-1]))
    begin = np.maximum(spans.start, before)
    report.reject("record", "interval already covered by another", where, int(np.sum(ends <= begin)))
    spans = Spans(begin, ends - begin, spans.kind, spans.value).take(ends > begin)
    report.seen["intervals"] += len(spans)
    local = spans.start if timezone is None else to_local(spans.start, timezone)
    return Spans(local, spans.seconds, spans.kind, spans.value)


def split_at_midnight(spans: Spans) -> tuple[Ints, Floats, NDArray[np.intp]]:
    """Day number, seconds and position of each piece when the spans are cut at midnight, shapes (pieces,)."""
    end = spans.start + spans.seconds
    first, last = spans.start // DAY, (end - 1) // DAY
    crosses = np.flatnonzero(last > first)
    midnight = last * DAY
    head = np.where(last > first, midnight - spans.start, spans.seconds).astype(float)
    day = np.concatenate((first, last[crosses]))
    seconds = np.concatenate((head, (end - midnight)[crosses].astype(float)))
    return day, seconds, np.concatenate((np.arange(len(spans)), crosses))


def blank_inside(signal: Signal, spans: list[tuple[int, int]]) -> Signal:
    """The signal with the readings inside the closed ranges of real seconds set to NaN."""
    mask: Bools = np.zeros(len(signal), dtype=bool)
    for low, high in spans:
        mask[np.searchsorted(signal.seconds, low) : np.searchsorted(signal.seconds, high, side="right")] = True
    return Signal(signal.time, np.where(mask, np.nan, signal.value), signal.seconds)
