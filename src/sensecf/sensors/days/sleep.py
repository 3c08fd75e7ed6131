"""Nights from sleep stages: a night is named by the day of its morning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.sensors.recording import STAGES, UNSTAGED, Spans
from sensecf.sensors.times import DAY

#: Sleep that ends after 18:00 belongs to the next day.
EVENING = 18 * 3600
#: Stages further apart than this are two sleeps (a night and a nap).
SPLIT = 2 * 3600


@dataclass(frozen=True)
class Night:
    """The main sleep of one day: number of the morning, `minutes` per stage, `start` and `end` (local seconds)."""

    day: int
    minutes: dict[str, float]
    start: int
    end: int

    @property
    def asleep_min(self) -> float:
        """Light, deep and REM minutes, and those of no known stage, together."""
        return sum(minutes for stage, minutes in self.minutes.items() if stage != "awake")

    @property
    def midpoint(self) -> float:
        """Minutes from midnight of `day` to the middle of the sleep; negative before midnight."""
        return ((self.start + self.end) / 2 - self.day * DAY) / 60


def nights(spans: Spans) -> list[Night]:
    """The main sleep of each day, by day. Among the sleeps of one day the one with most time asleep is kept."""
    end = spans.start + spans.seconds
    parts = np.split(np.arange(len(spans)), np.flatnonzero(spans.start[1:] - end[:-1] > SPLIT) + 1)
    best: dict[int, Night] = {}
    for part in parts:
        last = int(end[part[-1]])
        day = (last + DAY - EVENING) // DAY
        kind, seconds = spans.kind[part], spans.seconds[part]
        minutes = {stage: float(seconds[kind == stage].sum()) / 60 for stage in (*STAGES, UNSTAGED)}
        night = Night(day, minutes, int(spans.start[part[0]]), last)
        if day not in best or night.asleep_min > best[day].asleep_min:
            best[day] = night
    return [best[day] for day in sorted(best)]
