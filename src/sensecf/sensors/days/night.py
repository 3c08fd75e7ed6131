"""A night as a sequence of sleep stages with a given amount of each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from sensecf.sensors.recording import STAGES

#: Deep sleep lies in the first cycles, REM sleep in the last (Carskadon & Dement 2017, Principles of Sleep Medicine).
_DEEP_WEIGHT = (5.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.25)
_REM_WEIGHT = (1.0, 2.0, 3.0, 4.0, 4.0, 4.0, 4.0)
#: Minutes of a cycle of sleep.
CYCLE = 90


def stage_sequence(amounts: Mapping[str, int], cycle: int = CYCLE) -> list[tuple[str, int]]:
    """(stage, amount) in order of time, adding up to exactly `amounts`: whole minutes, or any unit `cycle` is in.

    Cycles of about 90 minutes, each light, deep, light, REM and a short time awake.
    """
    length = sum(amounts.get(stage, 0) for stage in STAGES)
    cycles = min(max(1, round(length / cycle)), len(_DEEP_WEIGHT))
    deep = _share(amounts.get("deep", 0), _DEEP_WEIGHT[:cycles])
    rem = _share(amounts.get("rem", 0), _REM_WEIGHT[:cycles])
    awake = _share(amounts.get("awake", 0), (1.0,) * cycles)
    # Light sleep fills each cycle up to the same length.
    light = _share(amounts.get("light", 0), [max(length / cycles - deep[i] - rem[i], 1.0) for i in range(cycles)])
    out: list[tuple[str, int]] = []
    for i in range(cycles):
        first = light[i] // 2
        for stage, count in (
            ("light", first),
            ("deep", deep[i]),
            ("light", light[i] - first),
            ("rem", rem[i]),
            ("awake", awake[i]),
        ):
            if count and out and out[-1][0] == stage:
                out[-1] = (stage, out[-1][1] + count)
            elif count:
                out.append((stage, count))
    return out


def _share(total: int, weights: list[float] | tuple[float, ...]) -> list[int]:
    """Whole numbers in proportion to the weights that sum to `total`."""
    whole = sum(weights)
    edges = [round(total * sum(weights[:i]) / whole) for i in range(len(weights) + 1)]
    return [b - a for a, b in pairwise(edges)]
