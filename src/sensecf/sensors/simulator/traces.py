"""Minute by minute: what the watch and the glucose sensor of a simulated person would have shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.core.rules import Bools, Floats
from sensecf.sensors.days.night import stage_sequence
from sensecf.sensors.recording import STAGES
from sensecf.sensors.simulator.person import Person
from sensecf.sensors.times import DAY, Ints, to_local

SEDENTARY, WALKING, RUNNING = 0, 1, 2
#: Minutes simulated before the first midnight: the evening of the first night.
LEAD_IN = 6 * 60
#: Sensor limits in mg/dL; beyond them the file says Low or High.
GLUCOSE_LIMITS = (40.0, 400.0)


@dataclass(frozen=True)
class Traces:
    """One value a minute, shape (m,): `time` UTC seconds, `stage` position in `STAGES` or -1 when up, `move`, signals.

    `sleep`: (start, end, stage) UTC seconds of each stage. `energy`: kcal since local midnight.
    `glucose` is the true value; a sensor reads it every five minutes.
    """

    time: Ints
    local: Ints
    stage: Ints
    move: Ints
    heart: Floats
    stress: Floats
    respiration: Floats
    spo2: Floats
    glucose: Floats
    energy: Floats
    sleep: list[tuple[int, int, str]]


def make_traces(person: Person, first_midnight: int, zone: str, rng: np.random.Generator) -> Traces:
    """The traces of all days of a person. `first_midnight`: UTC seconds of 00:00 local on the first day."""
    days = len(person.days["load"])
    time = first_midnight + 60 * np.arange(-LEAD_IN, days * 1440, dtype=np.int64)
    local = to_local(time, zone)
    day = (local - local[LEAD_IN]) // DAY
    clock = (local % DAY) / 3600
    node = {name: values[np.clip(day, 0, days - 1)] for name, values in person.days.items()}

    stage, sleep = _sleep(person, time, local, rng)
    asleep = stage >= 0
    move = _movement(person, day, clock, asleep, rng)
    moving, running = move > 0, move == RUNNING
    effort = _decay(moving + 1.2 * running, 0.25)
    circadian = np.cos((clock - 16) / 24 * 2 * np.pi)

    arousal = node["stress"] + 0.7 * _wander(len(time), 60, rng)
    stress = np.where(asleep, 17 + 3 * arousal, 35 + 7 * arousal + 4 * circadian) + rng.normal(0, 4, len(time))
    heart = 63 + 5 * node["heart"] + 3 * circadian + np.where(asleep, -5 - (stage == 2), 6 + 0.8 * arousal)
    heart = heart + 26 * effort + 1.5 * _wander(len(time), 10, rng) + rng.normal(0, 1.2, len(time))
    respiration = 14 + 0.8 * node["respiration"] + np.where(asleep, 0, 2) + 5 * effort + rng.normal(0, 0.7, len(time))
    spo2 = 96 - 0.5 * person.traits["age"] / 2 - 0.4 * person.severity / 3 + rng.normal(0, 1, len(time))
    return Traces(
        time=time,
        local=local,
        stage=stage,
        move=move,
        heart=np.clip(heart, 36, 200),
        stress=np.clip(stress, 1, 99),
        respiration=np.clip(respiration, 7, 40),
        spo2=np.clip(spo2, 80, 100),
        glucose=glucose_trace(person, day, days, local, node["glucose"], effort, rng),
        energy=_energy(local, move),
        sleep=sleep,
    )


def _sleep(
    person: Person, time: Ints, local: Ints, rng: np.random.Generator
) -> tuple[Ints, list[tuple[int, int, str]]]:
    stage = np.full(len(time), -1, dtype=np.int64)
    sleep: list[tuple[int, int, str]] = []
    chronotype = rng.normal(3.2, 0.7)
    last = 0
    for day in range(len(person.days["load"])):
        length = int(np.clip(420 + 45 * person.days["sleep"][day] + rng.normal(0, 10), 220, 620))
        deep = int(length * np.clip(0.16 + 0.035 * person.days["deep"][day], 0.04, 0.32))
        rem = int(length * np.clip(0.20 + 0.035 * person.days["rem"][day], 0.05, 0.34))
        awake = int(np.clip(30 - 12 * person.days["deep"][day] + rng.normal(0, 8), 3, 120))
        plan = stage_sequence({"deep": deep, "rem": rem, "light": length - deep - rem, "awake": awake})
        middle = local[LEAD_IN] + day * DAY + 3600 * (chronotype + rng.normal(0, 0.4))
        k = max(int(np.searchsorted(local, middle - 30 * (length + awake))), last)
        for name, minutes in plan:
            end = min(k + minutes, len(time) - 1)
            if end > k:
                stage[k:end] = STAGES.index(name)
                sleep.append((int(time[k]), int(time[end]), name))
            k = end
        last = k
    return stage, sleep


def _movement(person: Person, day: Ints, clock: Floats, asleep: Bools, rng: np.random.Generator) -> Ints:
    """Bouts of walking and, for fit people, running, while up; the daily minutes follow the node `activity`."""
    move = np.zeros(len(day), dtype=np.int64)
    for number in range(-1, len(person.days["load"])):
        up = np.flatnonzero((day == number) & ~asleep & (clock >= 6))
        if len(up) < 60:
            continue
        minutes = 75 * np.exp(0.5 * person.days["activity"][max(number, 0)]) * len(up) / 960
        left = int(np.clip(minutes, 4, 400))
        while left > 0:
            length = min(int(rng.integers(3, 26)), left)
            start = int(rng.integers(0, max(1, len(up) - length)))
            run = person.traits["fitness"] > 0.3 and rng.random() < 0.12
            move[up[start : start + length]] = RUNNING if run else WALKING
            left -= length
    return move


def glucose_trace(
    person: Person, day: Ints, days: int, local: Ints, level: Floats, effort: Floats, rng: np.random.Generator
) -> Floats:
    """True glucose in mg/dL, one value a minute, shape as `local`.

    A baseline by group and by the node `level`, three meals and snacks (rise within about 45
    minutes, back within three hours), dawn, and lower during and after movement (`effort`).
    """
    base = np.array([94.0, 104.0, 124.0, 138.0])[person.severity]
    swing = np.array([34.0, 48.0, 76.0, 100.0])[person.severity]
    scale = np.array([3.0, 5.0, 11.0, 15.0])[person.severity]
    meals = np.zeros(len(local))
    origin = local[LEAD_IN]
    for number in range(-1, days):
        diet = person.days["diet"][max(number, 0)]
        for hour, size in ((7.6, 0.9), (12.6, 1.0), (18.8, 1.25), (21.0, 0.4), (16.0, 0.35)):
            k = int(np.searchsorted(local, origin + number * DAY + 3600 * (hour + rng.normal(0, 0.5))))
            if k < len(meals) and (size > 0.5 or rng.random() < 0.5):
                meals[k] += size * np.exp(0.18 * diet + rng.normal(0, 0.2))
    minute = np.arange(300)
    kernel = (minute / 45) * np.exp(1 - minute / 45)
    response = np.convolve(meals, kernel)[: len(meals)]
    dawn = 0.06 * base * np.exp(-0.5 * (((local % DAY) / 3600 - 6.5) / 1.6) ** 2)
    tone = np.exp(0.15 * level)
    lowering = (8 + 6 * person.severity) * _decay(effort, 0.03)
    noise = (3 + 5 * person.severity) * _wander(len(local), 60, rng)
    trace: Floats = base + scale * level + swing * tone * response + dawn - lowering + noise
    return trace


def _energy(local: Ints, move: Ints) -> Floats:
    """Active kcal since local midnight: 4.5 a minute walking, 10 running."""
    spent = np.cumsum(np.array([0.0, 4.5, 10.0])[move])
    day = local // DAY
    first = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    before = np.where(first > 0, spent[first - 1], 0.0)
    total: Floats = spent - before[np.cumsum(np.diff(day, prepend=day[0] - 1) != 0) - 1]
    return total


def _wander(n: int, minutes: int, rng: np.random.Generator) -> Floats:
    """A first-order autoregressive series of unit variance that forgets within about `minutes`, shape (n,)."""
    from scipy.signal import lfilter

    a = float(np.exp(-1 / minutes))
    out: Floats = lfilter([np.sqrt(1 - a * a)], [1, -a], rng.normal(0, 1, n))
    return out


def _decay(drive: Floats, rate: float) -> Floats:
    """The drive smoothed by an exponential with the given rate per minute, shape as `drive`."""
    from scipy.signal import lfilter

    out: Floats = lfilter([rate], [1, rate - 1], np.asarray(drive, dtype=float))
    return out
