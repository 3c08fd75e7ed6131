"""Back to the day: an example of how a planned daily summary could be lived.

The night's stages in order, bouts of walking through the waking hours, a glucose trace. It is one
of many days with that summary, drawn to be read, not a prescription.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.data.infer.catalogue import known_feature
from sensecf.data.infer.recognise import known_columns
from sensecf.sensors.days import day_glucose
from sensecf.sensors.days.features import Wear, daily_rows
from sensecf.sensors.days.night import CYCLE, stage_sequence
from sensecf.sensors.recording import Recording, Signal, Spans
from sensecf.sensors.report import Report
from sensecf.sensors.source import MGDL_PER_MMOL
from sensecf.sensors.times import DAY, iso_day, parse_day

#: What a plan may say and this module can live. Other features of a plan are listed in `ExampleDay.left`.
SLEEP = (
    "sleep_total_min",
    "sleep_deep_min",
    "sleep_rem_min",
    "sleep_light_min",
    "sleep_deep_pct",
    "sleep_rem_pct",
    "sleep_light_pct",
    "sleep_efficiency_pct",
)
MOVEMENT = ("active_min", "steps", "active_kcal")
#: Efficiency of a night whose plan does not say it.
USUAL_EFFICIENCY = 90.0
#: Steps a minute: walking at a moderate pace (Tudor-Locke et al. 2018, Br J Sports Med 52:776), and what legs can do.
CADENCE, SLOWEST, FASTEST = 100.0, 20.0, 200.0
#: Longest bout of walking, in minutes.
BOUT = 30
#: Movement begins this long after waking and ends this long before bedtime, in minutes.
MARGIN = 30
#: The clock of the example: hours from midnight to the end of the day's movement.
EVENING_HOUR = 22.0


@dataclass(frozen=True)
class ExampleDay:
    """`timeline`: start, end (local), minutes and what, in order of time; `recording`: the same as device data.

    `realised`: the plan's features recomputed from the recording, each within one step of the plan.
    `left`: the other features that the catalogue knows, each with the reason why the day does not realise it.

    >>> day = sensecf.sensors.example_day({"sleep_total_min": 450, "steps": 8000})
    >>> sorted(day.realised)
    ['sleep_total_min', 'steps']
    """

    timeline: pd.DataFrame
    recording: Recording
    realised: dict[str, float]
    left: dict[str, str]

    @property
    def glucose(self) -> pd.DataFrame | None:
        """The glucose trace, a row a minute: time (local) and mg/dL; None without one."""
        signal = self.recording.signals.get("glucose")
        if signal is None:
            return None
        return pd.DataFrame({"time": [_clock(t) for t in signal.time.tolist()], "glucose_mgdl": signal.value.round(1)})


def example_day(plan: Mapping[str, Any], date: str = "2024-01-02", wake_hour: float = 6.5) -> ExampleDay:
    """A day that realises the plan: a row of daily features, such as a counterfactual (blanks are skipped).

    The night ends at `wake_hour` on `date`. A glucose summary that no trace within physiological rates
    has is left, with the reason. Raises `InputError` when no such night or movement exists: stages that
    do not sum to the total, more movement than waking hours, steps too fast or too slow to walk.

    >>> sensecf.sensors.example_day({"sleep_total_min": 450, "steps": 8000}).timeline.columns.tolist()
    ['start', 'end', 'minutes', 'what', 'steps']
    """
    day = parse_day(date)
    if day is None:
        raise InputError(f"date {date!r} is no date; write YYYY-MM-DD")
    if not 0 <= wake_hour < 18:
        raise InputError(f"wake_hour {wake_hour:g} must lie in 0 to 18")
    lived = (*SLEEP, *MOVEMENT, *day_glucose.FEATURES)
    wanted = {k: float(plan[k]) for k in lived if k in plan and not pd.isna(plan[k])}
    for name, value in wanted.items():
        if not np.isfinite(value) or value < 0:
            raise InputError(f"{name} {value:g} of the plan must be zero or more")
    known = [str(k) for k in plan if known_feature(str(k)) is not None]
    left = {k: "a day alone does not show it" for k in known if k not in lived and not pd.isna(plan[k])}
    wake = day * DAY + int(3600 * wake_hour)
    recording = Recording("example")
    if any(name in wanted for name in SLEEP):
        recording.sleep = _night(_stages(wanted), wake)
    if any(name in wanted for name in MOVEMENT):
        _move(recording, wanted, day, wake)
    sugar = {name: wanted.pop(name) for name in day_glucose.FEATURES if name in wanted}
    if sugar:
        trace = day_glucose.trace(sugar)
        if isinstance(trace, str):
            left |= dict.fromkeys(sugar, trace)
            sugar = {}
        else:
            time = day * DAY + 60 * np.arange(len(trace), dtype=np.int64)
            recording.signals["glucose"] = Signal(time, trace, time)
    rows = daily_rows(recording, Wear(sleep_min=0), Report())
    row = next((row for row in rows if row["day"] == day), {})
    for name in ("mean", "sd"):
        if f"glucose_{name}_mgdl" in row:
            row[f"glucose_{name}_mmol"] = row[f"glucose_{name}_mgdl"] / MGDL_PER_MMOL
    off = {name: text for name, value in wanted.items() if (text := _apart(name, value, row))}
    if off:
        raise InputError(f"no example day: {next(iter(off.values()))}; check its features")
    left |= {name: text for name, value in sugar.items() if (text := _apart(name, value, row))}
    realised = {name: float(row[name]) for name in (*wanted, *sugar) if name in row and name not in left}
    return ExampleDay(_timeline(recording), recording, realised, left)


def plan_of(run: str | Path, query: str, rank: int = 1) -> dict[str, Any]:
    """The plan of a run folder's counterfactuals.csv as the catalogue's features.

    Raises `InputError` when the file is absent, or holds no such answer.
    """
    path = Path(run) / "counterfactuals.csv"
    if not path.is_file():
        raise InputError(f"{path} does not exist; name a folder that sensecf explain wrote")
    table = pd.read_csv(path, dtype={"query": str, "reason": str})
    mine = table[table["query"] == query]
    if mine.empty:
        raise InputError(f"{path} has no query {query!r}; its queries are {', '.join(table['query'].unique()[:8])} ...")
    row = mine[mine["rank"] == rank]
    if row.empty:
        why = "" if mine["rank"].notna().any() else f" (no answer: {mine['reason'].iloc[0]})"
        raise InputError(f"query {query} of {path} has no plan of rank {rank}{why}")
    return {name: row[column].iloc[0] for name, column in known_columns(table.columns).items()}


def _stages(plan: dict[str, float]) -> dict[str, int]:
    """Seconds per stage, from minutes where the plan has them, else from shares of the total."""
    total = plan.get("sleep_total_min")
    minutes: dict[str, float] = {}
    for stage in ("deep", "rem", "light"):
        if f"sleep_{stage}_min" in plan:
            minutes[stage] = plan[f"sleep_{stage}_min"]
        elif f"sleep_{stage}_pct" in plan:
            if total is None:
                raise InputError(f"the plan has sleep_{stage}_pct but no sleep_total_min to take it from")
            minutes[stage] = plan[f"sleep_{stage}_pct"] * total / 100
    if total is None and len(minutes) < 3:
        raise InputError("the plan needs sleep_total_min, or the minutes of deep, REM and light sleep")
    if total is not None:
        rest = total - sum(minutes.values())
        # What the plan leaves open is light sleep first, then REM and deep sleep in usual shares.
        if "light" not in minutes:
            share = {"deep": 0.16, "rem": 0.22, "light": 0.62}
            open_stages = [stage for stage in share if stage not in minutes]
            whole = sum(share[stage] for stage in open_stages)
            for stage in open_stages:
                minutes[stage] = rest * share[stage] / whole
        elif len(minutes) == 2:
            minutes[next(stage for stage in ("deep", "rem") if stage not in minutes)] = rest
        elif len(minutes) == 1:
            minutes |= {"deep": rest * 0.42, "rem": rest * 0.58}
        if min(minutes.values()) < 0 or abs(sum(minutes.values()) - total) > 1.5:
            raise InputError(f"the sleep stages of the plan do not sum to sleep_total_min {total:g}")
    asleep = sum(minutes.values())
    efficiency = plan.get("sleep_efficiency_pct", USUAL_EFFICIENCY)
    if not 0 < efficiency <= 100 or not 0 < asleep <= 16 * 60:
        raise InputError(f"{asleep:g} minutes asleep at an efficiency of {efficiency:g} % is no night")
    minutes["awake"] = asleep * (100 / efficiency - 1)
    if asleep + minutes["awake"] > 24 * 60:
        raise InputError(f"{asleep:g} minutes asleep at an efficiency of {efficiency:g} % is longer than a day")
    return {stage: round(60 * value) for stage, value in minutes.items()}


def _night(seconds: dict[str, int], wake: int) -> Spans:
    sequence = stage_sequence(seconds, cycle=60 * CYCLE)
    length = np.array([amount for _, amount in sequence], dtype=np.int64)
    start = wake - int(length.sum()) + np.concatenate(([0], np.cumsum(length)[:-1]))
    return Spans(start, length, np.array([stage for stage, _ in sequence], dtype=str), np.full(len(length), np.nan))


def _move(recording: Recording, plan: dict[str, float], day: int, wake: int) -> None:
    """Bouts of equal length at equal distances, rest between them, over the whole day."""
    steps = plan.get("steps")
    minutes = plan.get("active_min", (steps or 0.0) / CADENCE)
    if steps is not None and steps > 0 and (minutes == 0 or not SLOWEST <= steps / minutes <= FASTEST):
        raise InputError(
            f"{steps:g} steps in {minutes:g} active minutes cannot be walked: "
            f"between {SLOWEST:g} and {FASTEST:g} a minute are possible"
        )
    first, last = wake + 60 * MARGIN, day * DAY + int(3600 * EVENING_HOUR)
    active = round(60 * minutes)
    if active > max(0, last - first):
        raise InputError(f"{minutes:g} active minutes do not fit between waking and {EVENING_HOUR:g}:00")
    count = -(-active // (60 * BOUT))
    lengths = np.diff(np.round(np.linspace(0, active, count + 1))).astype(np.int64) if count else np.empty(0, np.int64)
    gap = (last - first - active) / (count + 1)
    bouts = [(round(first + (i + 1) * gap + lengths[:i].sum()), int(lengths[i])) for i in range(count)]
    spans: list[tuple[int, int, str, float]] = []
    now = day * DAY
    for start, length in [*bouts, ((day + 1) * DAY, 0)]:
        # Rest is told in hours: a longer stretch would be taken for a gap.
        while now < start:
            end = min(start, now + 3600)
            spans.append((now, end - now, "sedentary", 0.0))
            now = end
        if length:
            spans.append((start, length, "walking", np.nan if steps is None else steps * length / active))
            now = start + length
    start_of, seconds, kind, value = zip(*spans, strict=True)
    values = np.array(value, dtype=float)
    recording.activity = Spans(
        np.array(start_of, dtype=np.int64),
        np.array(seconds, dtype=np.int64),
        np.array(kind, dtype=str),
        values if steps is not None else np.full(len(values), np.nan),
    )
    if "active_kcal" in plan:
        time = np.array([day * DAY + 1, (day + 1) * DAY], dtype=np.int64)
        recording.signals["energy"] = Signal(time, np.array([0.0, plan["active_kcal"]]), time)


def _apart(name: str, value: float, row: Mapping[str, Any]) -> str:
    """How a recomputed feature differs from the plan by more than a step, or ""."""
    entry = known_feature(name)
    assert entry is not None
    assert entry.step is not None
    got = float(row.get(name, 0.0 if name in ("steps", "active_min", "active_kcal") else "nan"))
    return "" if abs(got - value) <= entry.step + 1e-9 else f"{name} comes out as {got:g}, the plan says {value:g}"


def _timeline(recording: Recording) -> pd.DataFrame:
    """Sleep stages and bouts of walking, in order of time."""
    parts = []
    for spans, name in ((recording.sleep, "sleep: "), (recording.activity, "")):
        if spans is not None:
            parts += [
                (int(start), int(seconds), f"{name}{kind}", value)
                for start, seconds, kind, value in zip(
                    spans.start, spans.seconds, spans.kind.tolist(), spans.value, strict=True
                )
                if kind != "sedentary"
            ]
    parts.sort()
    return pd.DataFrame(
        {
            "start": [_clock(start) for start, *_ in parts],
            "end": [_clock(start + seconds) for start, seconds, *_ in parts],
            "minutes": [round(seconds / 60, 1) for _, seconds, *_ in parts],
            "what": [what for *_, what, _ in parts],
            "steps": [round(value) if value == value and what == "walking" else None for *_, what, value in parts],
        }
    )


def _clock(seconds: int) -> str:
    return f"{iso_day(seconds // DAY)} {seconds % DAY // 3600:02d}:{seconds % 3600 // 60:02d}"
