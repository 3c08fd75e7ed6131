"""Timestamps of device files to seconds, and UTC to local wall-clock time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensecf.errors import InputError

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


def parse_formats(texts: Sequence[Any], formats: Sequence[str]) -> Ints:
    """Wall-clock times written in one of `formats` (strptime), shape (n,).

    One format is used for the whole file, so that 03/04 does not change its meaning midway: the one
    that reads most of them and, of equals, the one that gives the shortest stretch of time (a file
    holds days in a row, not the third of each month). What it cannot read becomes `NO_TIME`.
    """
    column = pd.Series([text if isinstance(text, str) else None for text in texts], dtype=object)
    best = np.full(len(column), NO_TIME, dtype=np.int64)
    rank = (0, 0)
    for form in formats:
        parsed = pd.to_datetime(column, format=form, errors="coerce")
        seconds = np.where(parsed.isna(), NO_TIME, parsed.to_numpy(dtype="datetime64[s]").astype(np.int64))
        seconds = np.where((seconds >= EARLIEST) & (seconds < LATEST), seconds, NO_TIME)
        read = seconds[seconds != NO_TIME]
        mine = (len(read), -int(np.ptp(read)) if len(read) else 0)
        if mine[0] > rank[0] or (mine[0] == rank[0] > 0 and mine > rank):
            best, rank = seconds, mine
    return best


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
