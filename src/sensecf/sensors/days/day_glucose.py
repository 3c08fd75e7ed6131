"""A day's glucose trace with a planned mean, spread, time in range and number of excursions.

First the values of the day without their order: so many below 70, so many above 180 mg/dL, drawn
out or together until mean and SD are those of the plan. Then their order: up to a peak after each
meal and down again, every branch a sample of all values, so that the curve has no jumps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sensecf.core.rules import Floats
from sensecf.sensors.days.glucose import EVENT_SECONDS, HIGH, LOW
from sensecf.sensors.source import MGDL_PER_MMOL

#: What of a plan a trace can realise (the longest list; mean and one of the others suffice).
FEATURES = (
    "glucose_mean_mgdl",
    "glucose_sd_mgdl",
    "glucose_mean_mmol",
    "glucose_sd_mmol",
    "glucose_cv_pct",
    "gmi_pct",
    "glucose_tir_pct",
    "glucose_tbr_pct",
    "glucose_tar_pct",
    "hyperglycaemia_events",
)
#: Readings of the trace: one a minute, because one of 288 is already a third of a percent of the day.
MINUTES = 1440
#: What sensors can read, and the steepest change in mg/dL a minute (ours; the steepest arrow of sensors begins at 3).
FLOOR, CEILING, STEEPEST = 40.0, 400.0, 4.0
#: First and last peak of the day, in minutes from midnight, and how many there are where the plan leaves it open.
FIRST_PEAK, LAST_PEAK, MEALS = 510, 1170, 3
#: How much more of the lowest, and less of the highest, values the time before the first peak has.
TILT = 0.8
#: Share of the mean that the SD is where the plan leaves it open.
USUAL_CV = 0.2
_EVENT = EVENT_SECONDS // 60
_MOST_PEAKS = 24


def trace(plan: Mapping[str, float]) -> Floats | str:
    """Glucose in mg/dL, one value a minute from midnight, shape (1440,); or why no day has it.

    `plan`: values of `FEATURES`. Those it leaves open are chosen: spread 20 %, nothing out of range
    that the plan does not put there, three peaks. The caller recomputes the features.
    """
    mean = _mean(plan)
    if mean is None:
        return "a trace needs the mean glucose of the day"
    below, above = _outside(plan)
    if below + above > MINUTES:
        return "the shares in, above and below range exceed 100 %"
    peaks = _peaks(plan, above)
    if isinstance(peaks, str):
        return peaks
    lengths, high = _branches(*peaks)
    values = _values(mean, _sd(plan, mean), below, above, lengths, high)
    if isinstance(values, str):
        return values
    ordered = _ordered(values, above, lengths, high)
    steepest = float(np.abs(np.diff(ordered)).max())
    return ordered if steepest <= STEEPEST else _too_steep(steepest)


def _too_steep(change: float) -> str:
    return f"glucose would change by {change:.1f} mg/dL in a minute, more than {STEEPEST:g}"


def _mean(plan: Mapping[str, float]) -> float | None:
    if "glucose_mean_mgdl" in plan:
        return plan["glucose_mean_mgdl"]
    if "glucose_mean_mmol" in plan:
        return plan["glucose_mean_mmol"] * MGDL_PER_MMOL
    return (plan["gmi_pct"] - 3.31) / 0.02392 if "gmi_pct" in plan else None


def _sd(plan: Mapping[str, float], mean: float) -> float | None:
    if "glucose_sd_mgdl" in plan:
        return plan["glucose_sd_mgdl"]
    if "glucose_sd_mmol" in plan:
        return plan["glucose_sd_mmol"] * MGDL_PER_MMOL
    return plan["glucose_cv_pct"] * mean / 100 if "glucose_cv_pct" in plan else None


def _outside(plan: Mapping[str, float]) -> tuple[int, int]:
    """Minutes below and above range."""
    tbr, tar = plan.get("glucose_tbr_pct"), plan.get("glucose_tar_pct")
    if "glucose_tir_pct" in plan:
        rest = max(0.0, 100 - plan["glucose_tir_pct"])
        if tar is None:
            tar = max(0.0, rest - (tbr or 0.0))
        if tbr is None:
            tbr = max(0.0, rest - tar)
    elif tar is None and plan.get("hyperglycaemia_events"):
        tar = 100 * 2 * _EVENT * plan["hyperglycaemia_events"] / MINUTES
    return round((tbr or 0.0) * MINUTES / 100), round((tar or 0.0) * MINUTES / 100)


def _peaks(plan: Mapping[str, float], above: int) -> tuple[int, int] | str:
    """How many peaks the day has, and how many of them are above range; or why there is no such number."""
    if "hyperglycaemia_events" not in plan:
        high = min(MEALS, max(1, above // _EVENT)) if above else 0
        return max(MEALS, high), high
    events = round(plan["hyperglycaemia_events"])
    if events and above < _EVENT * events:
        return (
            f"{events} excursions of {_EVENT} minutes or more above {HIGH:g} do not fit into {above} minutes above it"
        )
    # Without an event every stretch above range must be shorter than one.
    high = events or -(-above // (_EVENT - 1))
    if high > _MOST_PEAKS:
        return f"{above} minutes above {HIGH:g} mg/dL with {events} events would be {high} peaks in a day"
    return max(MEALS, high), high


def _branches(peaks: int, high: int) -> tuple[Floats, Floats]:
    """Minutes of each rise and fall, in order of time, and 1 for those that belong to a peak above range."""
    tops = np.linspace(FIRST_PEAK, LAST_PEAK, peaks)
    valleys = np.concatenate(([0.0], (tops[1:] + tops[:-1]) / 2, [float(MINUTES)]))
    lengths = np.column_stack((tops - valleys[:-1], valleys[1:] - tops)).ravel()
    return lengths, np.repeat(np.arange(peaks) < high, 2).astype(float)


def _values(mean: float, sd: float | None, below: int, above: int, lengths: Floats, high: Floats) -> Floats | str:
    """The readings of the day in rising order, with that mean and SD (n - 1) and so many out of range.

    Neighbours lie so close that a branch, which takes every few of them, changes no faster than it may.
    """
    rank = np.arange(MINUTES)
    inside = MINUTES - below - above
    slope = 0.65 * STEEPEST * min(_shares(lengths, u).min() for u in (0.0, 1.0))
    slope_above = 0.8 * STEEPEST / max(high.sum(), 1.0)
    # Up to the minutes above range the values must have climbed to it, and from those below only climb.
    to_above = (rank - (MINUTES - above)) * slope if above else np.full(MINUTES, -np.inf)
    from_below = (rank - below) * slope if below else np.full(MINUTES, np.inf)
    low = np.maximum(np.repeat([FLOOR, LOW, HIGH + 0.1], [below, inside, above]), HIGH + 0.1 + np.minimum(to_above, 0))
    top = np.minimum(np.repeat([LOW - 0.1, HIGH, CEILING], [below, inside, above]), LOW + np.maximum(from_below, 0))
    top[MINUTES - above :] = np.minimum(CEILING, HIGH + 0.2 + np.arange(above) * slope_above)
    wanted = USUAL_CV * mean if sd is None else sd
    values = mean + wanted * np.linspace(-1.7, 1.7, MINUTES)
    # Alternately onto mean and SD, and onto the ranges; the rising order stays.
    for _ in range(500):
        values = np.clip(values, low, top)
        spread = float(values.std(ddof=1))
        if abs(values.mean() - mean) < 0.01 and (sd is None or abs(spread - wanted) < 0.01):
            return values
        scale = 1.0 if sd is None or spread < 1e-9 else wanted / spread
        values = mean + (values - values.mean()) * scale
    said = "" if sd is None else f", SD {sd:.1f}"
    return (
        f"no day has mean {mean:.1f}{said} mg/dL with {100 * below / MINUTES:.1f} % below {LOW:g} "
        f"and {100 * above / MINUTES:.1f} % above {HIGH:g}, at most {STEEPEST:g} mg/dL of change in a minute"
    )


def _shares(lengths: Floats, rank: float) -> Floats:
    """The share of each branch in the values of a rank (0 lowest, 1 highest): the night has more of the low ones."""
    tilted = lengths.copy()
    tilted[0] *= 1 + TILT * (1 - 2 * rank)
    return tilted / tilted.sum()


def _ordered(values: Floats, above: int, lengths: Floats, high: Floats) -> Floats:
    """The rising values as a day: rises and falls between valleys and peaks."""
    branches: list[list[float]] = [[] for _ in lengths]
    owed = np.zeros(len(lengths))
    for number, value in enumerate(values.tolist()):
        if number == MINUTES - above:
            owed[:] = 0.0
        # The minutes above range belong to the peaks that rise above it, all alike.
        owed += high / high.sum() if number >= MINUTES - above else _shares(lengths, number / MINUTES)
        branch = int(np.argmax(np.round(owed, 9)))  # of equals always the first, whatever the last bit says
        branches[branch].append(value)
        owed[branch] -= 1
    return np.array([value for k, branch in enumerate(branches) for value in (branch if k % 2 == 0 else branch[::-1])])
