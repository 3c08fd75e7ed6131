"""Glucose metrics of continuous monitors, in mg/dL, after the published definitions.

Ranges and coverage: Battelino et al. 2019, Diabetes Care 42:1593 (time in range 70–180 mg/dL,
70 % of readings needed). Events: Danne et al. 2017, Diabetes Care 40:1631 (at least 15 minutes
beyond the threshold; over after 15 minutes back). GMI: Bergenstal et al. 2018, Diabetes Care
41:2275. MAGE: Service et al. 1970, Diabetes 19:644.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sensecf.core.rules import Floats
from sensecf.sensors.times import Ints

LOW, HIGH = 70.0, 180.0
EVENT_SECONDS = 15 * 60
#: A pause of more than so many sampling intervals breaks an event.
BREAK = 3


def interval(time: Ints) -> int:
    """The sampling interval in seconds: the median step between readings (300 for a single one)."""
    return int(np.median(np.diff(time))) or 300 if len(time) > 1 else 300


def ranges_pct(value: Floats) -> tuple[float, float, float]:
    """Shares of readings below 70, within 70–180 and above 180 mg/dL, in percent (sum 100)."""
    below, above = float(np.mean(value < LOW)) * 100, float(np.mean(value > HIGH)) * 100
    return below, 100 - below - above, above


def gmi_pct(mean: float) -> float:
    """Glucose management indicator in percent from the mean in mg/dL: 3.31 + 0.02392 × mean."""
    return 3.31 + 0.02392 * mean


def high_events(time: Ints, value: Floats, threshold: float = HIGH) -> Ints:
    """Positions of the readings at which hyperglycaemic events begin, shape (events,).

    An event begins with at least 15 minutes of readings above the threshold and ends after at
    least 15 minutes at or below it, or where the record pauses for more than 3 intervals.
    A reading stands for one sampling interval.
    """
    if len(time) == 0:
        return np.empty(0, np.int64)
    step = interval(time)
    high = value > threshold
    pause = np.diff(time) > BREAK * step
    edges = np.flatnonzero(pause | (np.diff(high) != 0)) + 1
    starts = np.concatenate(([0], edges))
    ends = np.concatenate((edges, [len(time)])) - 1
    out: list[int] = []
    inside = False
    for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
        long_enough = time[last] - time[first] + step >= EVENT_SECONDS
        if first and pause[first - 1]:
            inside = False
        if high[first] and long_enough and not inside:
            out.append(first)
            inside = True
        elif not high[first] and long_enough:
            inside = False
    return np.array(out, dtype=np.int64)


def mage(value: Floats) -> float:
    """Mean amplitude of glycaemic excursions in mg/dL: swings larger than one SD, in one direction.

    Turning points are those at which the curve reverses by more than the SD of `value`; the
    amplitudes counted are those in the direction of the first such swing. 0 when no swing is
    that large; NaN for fewer than 3 readings.
    """
    if len(value) < 3:
        return float("nan")
    sd = float(np.std(value, ddof=1))
    if sd < 1e-9:
        return 0.0
    points = _turning_points(value.tolist(), sd)
    swings = [b - a for a, b in pairwise(points)]
    same = [abs(s) for s in swings[::2]]
    return float(np.mean(same)) if same else 0.0


def _turning_points(values: list[float], threshold: float) -> list[float]:
    """Alternating extremes of which each pair of neighbours differs by more than the threshold."""
    low = high = values[0]
    points: list[float] = []
    direction = 0
    for v in values:
        low, high = min(low, v), max(high, v)
        if direction >= 0 and high - v > threshold:
            # Going down now: before the first swing both extremes are turning points.
            points.append(high)
            direction, low = -1, v
            high = v
        elif direction <= 0 and v - low > threshold:
            points.append(low)
            direction, high = 1, v
            low = v
    if direction:
        points.append(high if direction > 0 else low)
    return points
