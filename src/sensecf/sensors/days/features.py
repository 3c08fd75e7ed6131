"""From a `Recording` to daily rows: one dict per day, features in physical units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.core.rules import Floats
from sensecf.data.infer.catalogue import in_range, known_feature
from sensecf.sensors.days import glucose as cgm
from sensecf.sensors.days.sleep import EVENING, Night, nights
from sensecf.sensors.recording import ACTIVE, UNSTAGED, Day, Facts, Recording, Signal, blank_inside, split_at_midnight
from sensecf.sensors.report import Report
from sensecf.sensors.times import DAY, Ints

#: A reading stands for the time until the next one, but no longer than this.
COVER = 600
#: Heart rate that stays at one value for so long is a watch on the table.
CONSTANT_SECONDS = 3 * 3600


@dataclass(frozen=True)
class Wear:
    """How much must be measured before a day's value is believed; otherwise it is blank.

    `watch_min`: heart rate recorded (10 hours is the usual rule for wrist and hip monitors,
    Troiano et al. 2008, Med Sci Sports Exerc 40:181); it also guards steps, active minutes and
    active kcal. `stress_min`, `respiration_min`, `spo2_min`: minutes with a valid reading.
    `glucose_share`: share of the day's possible readings (Battelino et al. 2019). `sleep_min`:
    minutes of a night recorded.

    >>> sensecf.sensors.Wear(watch_min=480).glucose_share
    0.7
    """

    watch_min: float = 600
    stress_min: float = 480
    respiration_min: float = 480
    spo2_min: float = 30
    glucose_share: float = 0.7
    sleep_min: float = 180


def daily_rows(recording: Recording, wear: Wear, report: Report) -> list[Day]:
    """The days of one person, oldest first: a dict of feature values each, with `day` (number) and `person_id`.

    A day is given when at least one measured feature has enough behind it; what is missing is left out.
    """
    signals = dict(recording.signals)
    _take_off(signals, report, recording.person)
    days: dict[int, Day] = {}
    worn = _watch(signals, days, wear)
    _level(signals.get("stress"), "stress_mean", wear.stress_min, days)
    _level(signals.get("respiration"), "respiration_mean_brpm", wear.respiration_min, days)
    # Oxygen saturation is measured asleep, so it counts to the morning like the night.
    _level(signals.get("spo2"), "spo2_mean_pct", wear.spo2_min, days, shift=DAY - EVENING)
    _glucose(signals.get("glucose"), days, wear)
    _movement(recording, signals.get("energy"), worn, days, wear)
    facts = dict(recording.facts)
    _sleep(recording, days, facts, wear)
    for feature, values in recording.daily.items():
        for day, value in values.items():
            days.setdefault(day, {}).setdefault(feature, value)
    report.seen["days"] += len(days)
    for row in days.values():
        _round(row, report, recording.person)
    rows = [{"person_id": recording.person, "day": day, **facts, **days[day]} for day in sorted(days) if days[day]]
    report.reject("day", "nothing measured long enough (wear time)", recording.person, len(days) - len(rows))
    return rows


def _take_off(signals: dict[str, Signal], report: Report, person: str) -> None:
    """Blank the watch's signals while its heart rate stands still: it records on after it was taken off."""
    heart = signals.get("heart_rate")
    if heart is None:
        return
    spans = constant_runs(heart, CONSTANT_SECONDS)
    report.reject("stretch", "heart rate constant for 3 hours or more (watch not worn)", person, len(spans))
    for name in ("heart_rate", "stress", "respiration", "spo2"):
        if spans and name in signals:
            signals[name] = blank_inside(signals[name], spans)


def constant_runs(signal: Signal, seconds: int) -> list[tuple[int, int]]:
    """First and last real second of each run of at least 12 equal readings that lasts `seconds` or longer.

    A run reaches to the reading after it, but at most `COVER` beyond its own last one.
    """
    keep = ~np.isnan(signal.value)
    time, value = signal.seconds[keep], signal.value[keep]
    edges = np.flatnonzero(np.diff(value) != 0) + 1
    starts = np.concatenate(([0], edges))
    ends = np.concatenate((edges, [len(time)])) - 1
    if len(time) == 0:
        return []
    long = (time[ends] - time[starts] >= seconds) & (ends - starts >= 11)
    after = np.append(time[1:], time[-1] + COVER)
    stop = np.minimum(time[ends] + COVER, after[ends]) - 1
    return [(int(a), int(b)) for a, b in zip(time[starts][long], stop[long], strict=True)]


def cover_seconds(signal: Signal) -> Floats:
    """Seconds each reading stands for, shape (n,): until the next, at most `COVER`; 0 for no reading."""
    if len(signal) == 0:
        return np.empty(0)
    step = np.diff(signal.seconds)
    usual = float(np.median(step)) if len(step) else 60.0
    cover = np.minimum(np.append(step.astype(float), usual), COVER)
    return np.where(np.isnan(signal.value), 0.0, cover)


def _by_day(time: Ints) -> tuple[Ints, Ints]:
    """Day numbers present and where each begins in the sorted times."""
    return np.unique(time // DAY, return_index=True)


def _means(signal: Signal, shift: int = 0) -> tuple[Ints, Floats, Floats]:
    """Per day: number, minutes covered, mean weighted by cover (NaN where nothing is covered).

    `shift` seconds before midnight a reading already counts to the next day.
    """
    cover = cover_seconds(signal)
    day, first = _by_day(signal.time + shift)
    total = np.add.reduceat(cover, first)
    sums = np.add.reduceat(cover * np.nan_to_num(signal.value), first)
    return day, total / 60, np.divide(sums, total, out=np.full(len(day), np.nan), where=total > 0)


def _level(signal: Signal | None, feature: str, minutes: float, days: dict[int, Day], shift: int = 0) -> None:
    if signal is None:
        return
    for day, covered, mean in zip(*(a.tolist() for a in _means(signal, shift)), strict=True):
        row = days.setdefault(day, {})
        if covered >= minutes:
            row[feature] = mean


def _watch(signals: dict[str, Signal], days: dict[int, Day], wear: Wear) -> dict[int, float] | None:
    """Heart rate features; returns minutes of wear by day, None when there is no heart rate at all."""
    signal = signals.get("heart_rate")
    if signal is None:
        return None
    number, covered, mean = _means(signal)
    _, first = _by_day(signal.time)
    lowest = np.fmin.reduceat(signal.value, first)
    highest = np.fmax.reduceat(signal.value, first)
    resting = _resting(signal, number)
    for i, day in enumerate(number.tolist()):
        row = days.setdefault(day, {})
        if covered[i] >= wear.watch_min:
            row["hr_mean_bpm"] = float(mean[i])
            row["hr_min_bpm"] = float(lowest[i])
            row["hr_max_bpm"] = float(highest[i])
            if day in resting:
                row["resting_hr_bpm"] = resting[day]
    return dict(zip(number.tolist(), covered.tolist(), strict=True))


def _resting(signal: Signal, number: Ints) -> dict[int, float]:
    """The lowest mean of any 30 minutes of a day that hold at least 5 readings, by day."""
    keep = ~np.isnan(signal.value)
    time, value, seconds = signal.time[keep], signal.value[keep], signal.seconds[keep]
    if len(time) == 0:
        return {}
    total = np.concatenate(([0.0], np.cumsum(value)))
    day = time // DAY
    # A window does not reach into the next day.
    end = np.minimum(np.searchsorted(seconds, seconds + 1800), np.searchsorted(time, (day + 1) * DAY))
    count = end - np.arange(len(time))
    mean = np.where(count >= 5, (total[end] - total[:-1]) / np.maximum(count, 1), np.inf)
    present, first = np.unique(day, return_index=True)
    low = np.minimum.reduceat(mean, first)
    return {int(d): float(v) for d, v in zip(present, low, strict=True) if np.isfinite(v)}


def _glucose(signal: Signal | None, days: dict[int, Day], wear: Wear) -> None:
    if signal is None:
        return
    keep = ~np.isnan(signal.value)
    time, value, seconds = signal.time[keep], signal.value[keep], signal.seconds[keep]
    if len(time) == 0:
        return
    needed = wear.glucose_share * DAY / cgm.interval(seconds)
    number, first = _by_day(time)
    events = time[cgm.high_events(seconds, value)] // DAY
    for day, part in zip(number.tolist(), np.split(value, first[1:]), strict=True):
        row = days.setdefault(day, {})
        if len(part) < max(needed, 2):
            continue
        mean, sd = float(part.mean()), float(part.std(ddof=1))
        below, _, above = cgm.ranges_pct(part)
        row["glucose_mean_mgdl"] = mean
        row["glucose_sd_mgdl"] = sd
        row["glucose_cv_pct"] = 100 * sd / mean
        row["glucose_tbr_pct"] = below
        row["glucose_tar_pct"] = above
        # From the rounded shares, so that the three sum to 100 in the table.
        row["glucose_tir_pct"] = 100 - rounded("glucose_tbr_pct", below) - rounded("glucose_tar_pct", above)
        row["hyperglycaemia_events"] = int(np.sum(events == day))
        row["gmi_pct"] = cgm.gmi_pct(mean)
        row["mage"] = cgm.mage(part)


def _movement(
    recording: Recording,
    energy: Signal | None,
    worn: dict[int, float] | None,
    days: dict[int, Day],
    wear: Wear,
) -> None:
    """Active minutes, steps and active kcal of the days on which the watch was worn."""
    spans = recording.activity
    if spans is not None:
        day, seconds, index = split_at_midnight(spans)
        number, inverse = np.unique(day, return_inverse=True)
        recorded = np.bincount(inverse, seconds) / 60
        active = np.bincount(inverse, np.where(np.isin(spans.kind[index], ACTIVE), seconds, 0.0)) / 60
        share = spans.value[index] * seconds / spans.seconds[index]
        steps = np.bincount(inverse, np.nan_to_num(share))
        counted = np.bincount(inverse, ~np.isnan(share)) > 0
        for i, one in enumerate(number.tolist()):
            row = days.setdefault(one, {})
            if (recorded[i] if worn is None else worn.get(one, 0.0)) < wear.watch_min:
                continue
            row["active_min"] = float(active[i])
            if counted[i]:
                row["steps"] = float(steps[i])
    if energy is not None:
        # The running total of a day is written up to and at midnight: that reading closes the day before.
        day = (energy.time - 1) // DAY
        number, first = np.unique(day, return_index=True)
        highest = np.fmax.reduceat(energy.value, first)
        for one, total in zip(number.tolist(), highest.tolist(), strict=True):
            if total == total and (worn is None or worn.get(one, 0.0) >= wear.watch_min):
                days.setdefault(one, {})["active_kcal"] = total


def _sleep(recording: Recording, days: dict[int, Day], facts: Facts, wear: Wear) -> None:
    if recording.sleep is None:
        return
    kept: list[Night] = []
    for night in nights(recording.sleep):
        row = days.setdefault(night.day, {})
        if night.asleep_min + night.minutes["awake"] < wear.sleep_min or night.asleep_min == 0:
            continue
        kept.append(night)
        row.update(night_features(night.minutes))
    if len(kept) >= 3:
        spread = float(np.std([night.midpoint for night in kept], ddof=1))
        facts["sleep_midpoint_sd_min"] = rounded("sleep_midpoint_sd_min", spread)


def night_features(minutes: dict[str, float]) -> dict[str, float]:
    """Sleep features from minutes per stage (`awake`, `light`, `deep`, `rem`).

    Minutes are whole and the total is the sum of the stages; shares are of the unrounded minutes
    and sum to 100. Where minutes asleep have no known stage (`UNSTAGED`) there are only the total
    and the efficiency. Nothing for a night without sleep.
    """
    asleep = sum(value for name, value in minutes.items() if name != "awake")
    if asleep == 0:
        return {}
    efficiency = {"sleep_efficiency_pct": 100 * asleep / (asleep + minutes["awake"])}
    if minutes.get(UNSTAGED):
        return {"sleep_total_min": rounded("sleep_total_min", asleep), **efficiency}
    stage = {name: rounded(f"sleep_{name}_min", minutes[name]) for name in ("deep", "rem", "light")}
    deep, rem = (rounded(f"sleep_{name}_pct", 100 * minutes[name] / asleep) for name in ("deep", "rem"))
    return {
        **{f"sleep_{name}_min": value for name, value in stage.items()},
        "sleep_total_min": sum(stage.values()),
        "sleep_deep_pct": deep,
        "sleep_rem_pct": rem,
        "sleep_light_pct": 100 - deep - rem,
        **efficiency,
    }


def rounded(feature: str, value: float) -> float:
    """The value with the feature's decimals (those of its step in the catalogue)."""
    entry = known_feature(feature)
    if entry is None or entry.step is None:
        return value
    return round(value) if entry.kind == "integer" else round(value, entry.decimals)


def _round(row: Day, report: Report, person: str) -> None:
    """Round a day's values in place; those outside their range in the catalogue are left out and counted."""
    for name, value in list(row.items()):
        if in_range(name, value):
            row[name] = rounded(name, value)
        else:
            report.reject("value", f"{name}: outside its range in the catalogue", person)
            del row[name]
