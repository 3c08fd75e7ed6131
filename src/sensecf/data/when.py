"""Dates and times of a column in one spelling: ISO text, by which rows of a person are put in order.

A date is read in the first form that all values of the column have. Where day and month could be either, the day
comes first and a remark says so.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import pandas as pd

from sensecf.core.errors import TableWarning
from sensecf.data.columns import dates
from sensecf.data.infer.names import parse_names

_DAYS = (
    "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%b %d %Y",
    "%B %d, %Y", "%B %d %Y", "%d-%b-%y",
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_ZONE = re.compile(r"(?<=\d)(Z|[+-]\d{2}:?\d{2})$")
#: A day of the other order.
_TURNED = {"%d/%m": "%m/%d", "%d-%m": "%m-%d"}


def moments(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """The points in time of a column, as the clock on the wall showed them; NaT for blanks, None where some value is
    no date. A `TableWarning` says how a date with two readings is read."""
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_localize(None)
    if column.dtype.kind == "M":
        return column
    if pd.api.types.is_numeric_dtype(column.dtype):
        if pd.api.types.is_bool_dtype(column.dtype) or not column.notna().any():
            return None
        return dates(column, parse_names([str(column.name)])[str(column.name)])
    texts = column.map(lambda value: _ZONE.sub("", str(value).strip()), na_action="ignore")
    known = texts.dropna()
    if not len(known) or not known.str.contains(r"\d").all():
        return None
    return _read(texts, known, str(column.name))


def _read(texts: pd.Series[Any], known: pd.Series[Any], name: str) -> pd.Series[Any] | None:
    distinct = pd.Series(known.unique())
    if distinct.str.match(r"\d{4}-\d{1,2}-\d{1,2}").all():
        found = pd.to_datetime(distinct, format="ISO8601", errors="coerce")
        return _spread(texts, distinct, found) if found.notna().all() else None
    fitting = [
        (day + time, found)
        for day in _DAYS
        for time in _TIMES
        if (found := pd.to_datetime(distinct, format=day + time, errors="coerce")).notna().all()
    ]
    if not fitting:
        return None
    form, found = fitting[0]
    turned = _TURNED.get(form[:5])
    if turned is not None and any(other.startswith(turned) for other, _ in fitting):
        warnings.warn(
            f"column {name!r}: {distinct[0]!r} is read as {found[0]:%Y-%m-%d}, the day first; "
            "write dates as 2024-05-01 to be sure",
            TableWarning,
            stacklevel=4,
        )
    return _spread(texts, distinct, found)


def _spread(texts: pd.Series[Any], distinct: pd.Series[Any], found: pd.Series[Any]) -> pd.Series[Any]:
    return pd.to_datetime(texts.map(dict(zip(distinct, found, strict=True))))


def written(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of dates as ISO text, without a time of day where none has one; as it stands where it holds no dates.
    Blanks are ""."""
    found = moments(column)
    if found is None:
        return column.map(lambda value: str(value).strip(), na_action="ignore").fillna("").astype(object)
    known = found.dropna()
    form = "%Y-%m-%d" if (known == known.dt.normalize()).all() else "%Y-%m-%dT%H:%M:%S"
    return found.dt.strftime(form).fillna("").astype(object)
