"""Timestamps of device files to seconds, and UTC to local wall-clock time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensecf.core.errors import InputError

Ints = NDArray[np.int64]

DAY = 86_400
#: Marks a timestamp that could not be read.
NO_TIME = np.iinfo(np.int64).min
#: Devices of this kind did not exist before; later dates are typing or transmission errors.
EARLIEST, LATEST = 946_684_800, 4_102_444_800  # 2000-01-01, 2100-01-01

_PLAIN_LENGTH = 19  # "2024-01-31T23:59:59"
#: Length and every third character from the fifth on: the separators.
_PLAIN_SHAPES = {(19, "--T::"), (19, "-- ::"), (20, "--T::Z"), (20, "-- ::Z")}


def parse_iso(texts: Sequence[Any]) -> Ints:
    """ISO timestamps ("T" or blank between, with or without "Z", fraction or offset) as UTC seconds, shape (n,).

    A timestamp without an offset is taken as it stands. What cannot be read, or lies outside
    2000 to 2099, becomes `NO_TIME`.
    """
    seconds: Ints
    try:
        # NumPy also takes "now" and offsets: only texts with every separator in its place may reach it.
        if not {(len(text), text[4::3]) for text in texts} <= _PLAIN_SHAPES:
            raise ValueError
        seconds = np.array([text[:_PLAIN_LENGTH] for text in texts], dtype="datetime64[s]").astype(np.int64)
    except (TypeError, ValueError, KeyError):  # a text of another shape, or no text
        seconds = np.array([_parse_one(text) for text in texts], dtype=np.int64)
    return np.where((seconds >= EARLIEST) & (seconds < LATEST), seconds, NO_TIME)


def _parse_one(text: Any) -> int:
    if not isinstance(text, str):
        return NO_TIME
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return NO_TIME
    if not 1 < moment.year < 9999:  # an offset may carry the ends of the calendar over the edge
        return NO_TIME
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())


#: A date of three numbers, with or without a time of day; 12-hour clocks in any spelling of a.m. and p.m.
DATE = r"(\d{1,4})([-./])(\d{1,2})\2(\d{1,4})"
CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(?:([ap])\.?\s*m\.?)?"
# Behind a date a clock may have points (Italian, Danish, Finnish), which alone would be a number, and a word.
_POINTED = CLOCK.replace("(\\d{1,2}):", "(\\d{1,2})[:.]").replace("(?::", "(?:[:.]")
_CLOCK = r"(?:(?:klo|kl\.?|um|at|alle|ore|à)\s*)?" + _POINTED
# An offset says where the wall is on which the clock before it hangs.
_OFFSET = r"(?:\s*[+-]\d{2}:?\d{2})?"
STAMP = re.compile(rf"{DATE}[T,\s]+{_CLOCK}(?:\s*(?:UTC|Z|Uhr|h))?{_OFFSET}", re.IGNORECASE)
_WALL = re.compile(rf"{DATE}(?:[T,\s]+{_CLOCK}(?:\s*(?:Uhr|h))?{_OFFSET})?", re.IGNORECASE)


class AmbiguousDates(ValueError):
    """The dates of a file can be read day first and month first, and nothing in it settles which."""

    def __init__(self) -> None:
        super().__init__("dates could be day first or month first: give --dates day-first or --dates month-first")


def parse_wall(texts: Sequence[Any], day_first: bool | None = None, hints: Sequence[str] = ()) -> Ints:
    """Wall-clock times in whatever order of day, month and year the file has, shape (n,); a bare date is midnight.

    One order is used for the whole file, so that 03/04 does not change its meaning midway: `day_first`, else
    the one that reads most of the dates, those of `hints` included (other text of the same file), else the
    one that gives days in a row. What it cannot read becomes `NO_TIME`. Raises `AmbiguousDates`.
    """
    found = [_WALL.fullmatch(text.strip()) if isinstance(text, str) else None for text in texts]
    out = np.full(len(found), NO_TIME, dtype=np.int64)
    rows = np.array([i for i, match in enumerate(found) if match], dtype=np.int64)
    if len(rows) == 0:
        return out
    groups = [match.groups() for match in found if match]
    a, b, c, hour, minute, second = (np.array([int(g[i] or 0) for g in groups]) for i in (0, 2, 3, 4, 5, 6))
    half = np.array([(g[7] or "").lower() for g in groups])
    year_first = np.array([len(g[0]) == 4 for g in groups])
    parts = np.unique(np.column_stack((a, b, c))[~year_first], axis=0)
    if len(parts) and day_first is None:
        day_first = any(g[1] == "." for g in groups) or _day_first(parts, hints)
    year, month, day = (
        np.where(year_first, x, y) for x, y in ((a, c), (b, b if day_first else a), (c, a if day_first else b))
    )
    days = _days(year, month, day)
    hour = np.where((half == "a") & (hour == 12), 0, np.where((half == "p") & (hour < 12), hour + 12, hour))
    seconds = days * DAY + hour * 3600 + minute * 60 + second
    good = (days != NO_TIME) & (hour < 24) & (minute < 60) & (second < 60)
    out[rows] = np.where(good & (seconds >= EARLIEST) & (seconds < LATEST), seconds, NO_TIME)
    return out


def _days(year: Ints, month: Ints, day: Ints) -> Ints:
    """Day numbers, shape (n,); `NO_TIME` where the calendar has no such day. Two digits are a year of this century."""
    year = np.where(year < 100, year + 2000, year)
    good = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1900) & (year < 2200)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0)
    first, after = ((months + k).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for k in (0, 1))
    return np.where(good & (first + day - 1 < after), first + day - 1, NO_TIME)


def _day_first(parts: Ints, hints: Sequence[str]) -> bool:
    """Whether dates (n, 3) of two numbers and a year are day first. Raises `AmbiguousDates`."""
    more = [match.groups() for hint in hints for match in re.finditer(DATE, hint)]
    both = np.array([*parts.tolist(), *([int(g[0]), int(g[2]), int(g[3])] for g in more if len(g[0]) < 3)])
    readings = [_days(both[:, 2], both[:, 1], both[:, 0]), _days(both[:, 2], both[:, 0], both[:, 1])]
    read = [int(np.sum(days != NO_TIME)) for days in readings]
    if read[0] != read[1] or (parts[:, 0] == parts[:, 1]).all():
        return read[0] >= read[1]
    # A file holds days in a row, not the third of each month.
    steps = [np.diff(np.unique(days[: len(parts)][days[: len(parts)] != NO_TIME])) for days in readings]
    usual = [float(np.median(step)) if len(step) else 0.0 for step in steps]
    if len(parts) > 1 and min(usual) <= 7 and max(usual) >= 28:
        return usual[0] < usual[1]
    raise AmbiguousDates


def parse_day(text: Any) -> int | None:
    """A date "YYYY-MM-DD" (whatever follows it) as a day number; None when it is none."""
    if not isinstance(text, str):
        return None
    seconds = int(parse_iso([f"{text[:10]}T00:00:00"])[0])
    return None if seconds == NO_TIME else seconds // DAY


def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name. Raises `InputError` when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(f"time zone {name!r} is unknown; use an IANA name such as America/Los_Angeles") from error


def to_local(seconds: Ints, timezone: str) -> Ints:
    """UTC seconds as local wall-clock seconds (as if the wall clock ran in UTC), shape (n,)."""
    index = pd.DatetimeIndex(seconds.astype("datetime64[s]")).tz_localize("UTC").tz_convert(zone(timezone))
    return index.tz_localize(None).to_numpy(dtype="datetime64[s]").astype(np.int64)


def iso_day(day: int) -> str:
    """A day number (days since 1970-01-01) as YYYY-MM-DD."""
    return str(np.datetime64(int(day), "D"))
