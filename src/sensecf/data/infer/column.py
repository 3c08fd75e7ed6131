"""One column of a table as a feature: its kind, levels or range and step; or why it is none."""

from __future__ import annotations

import datetime
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.errors import TableWarning
from sensecf.core.rules import Floats
from sensecf.core.schema import Feature, Kind, Value
from sensecf.data.infer.disguise import is_clock
from sensecf.data.infer.identity import hashable
from sensecf.data.infer.names import ColumnName, is_code, is_identifier, is_protected, is_row_number, role_of
from sensecf.data.tables import EXACT, numbers_in

#: Why a column is left out whose values are days or times of day.
A_DATE = "a date or time"
_CLOCK_TEXT = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?")
#: Text columns with more levels than this are free text.
MAX_LEVELS = 200
#: Whole numbers with more values than this are numbers even where the name says code.
MAX_CODES = 20
#: Decimals kept as they are; a column with more gets a step of about a thousandth of its range.
MAX_DECIMALS = 6

_DATE_TEXT = re.compile(
    r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([T ].*)?"  # 2024-05-01T10:00
    r"|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})( .*)?"  # 01/05/2024 10:00
    r"|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp]\.?[Mm]\.?)?"  # 10:00 AM
    r"|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{2,4}( .*)?|[A-Za-z]{3,9} \d{1,2},? \d{4}( .*)?"  # 1 May 2024, May 1, 2024
)


def unusable(column: pd.Series[Any], name: ColumnName) -> str:
    """Why a column is no feature, or "" when it can be one."""
    known = column.dropna()
    if known.empty:
        return "no value in any row"
    if not hashable(column) or column.dtype.kind == "c":
        return "holds lists, records or complex numbers, not single values"
    different = known.nunique()
    unique = different == len(known)
    if is_identifier(name.words) and not (is_code(name.words) and different <= MAX_CODES):
        return "an identifier by its name"
    if _is_date(known, name):
        return A_DATE
    if pd.api.types.is_numeric_dtype(column.dtype):
        if is_row_number(name.words) and unique:
            return "a row number by its name"
        counts = unique and len(known) >= 20 and known.is_monotonic_increasing
        return "a row number: counts up by one" if counts and known.iloc[-1] - known.iloc[0] == len(known) - 1 else ""
    return ""


def free_text(column: pd.Series[Any]) -> str:
    """Why a column of text has no levels to speak of, or "" when it has (or holds numbers)."""
    if _is_numbers(column):
        return ""
    known, different = int(column.notna().sum()), column.nunique()
    if different == known and known >= 20:
        return "text that differs in every row: an identifier or free text"
    if different > MAX_LEVELS or (different > 20 and different > known / 2):
        return f"free text: {different} different values in {known} rows"
    return ""


def _is_numbers(column: pd.Series[Any]) -> bool:
    """Whether every value is a number (not a bool), whatever the dtype."""
    if pd.api.types.is_bool_dtype(column.dtype) or isinstance(column.dtype, pd.CategoricalDtype):
        return False
    numbers = numbers_in(column)
    if numbers is None or (np.isnan(numbers) & column.notna().to_numpy()).any():
        return False
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    # Booleans with blanks are objects; and digits too long to be exact are an identifier.
    return not isinstance(column.dropna().iloc[0], bool) and bool(np.nanmax(np.abs(numbers)) < EXACT)


def _is_date(known: pd.Series[Any], name: ColumnName) -> bool:
    if known.dtype.kind in "Mm" or isinstance(known.dtype, pd.PeriodDtype | pd.DatetimeTZDtype):
        return True
    first = known.iloc[0]
    if isinstance(first, datetime.date | datetime.time | datetime.timedelta):
        return True
    if pd.api.types.is_numeric_dtype(known.dtype):
        return not pd.api.types.is_bool_dtype(known.dtype) and is_clock(known.to_numpy(dtype=float), name)
    if not isinstance(first, str):
        return False
    sample = known.head(1000)
    return bool(sample.map(lambda text: _DATE_TEXT.fullmatch(str(text).strip()) is not None).mean() >= 0.95)


def say_clock(column: pd.Series[Any], reason: str) -> None:
    """Warn where "7:32" is left out as a time of day: it may be a length of time."""
    first = next(iter(column.dropna()), None)
    if reason == A_DATE and isinstance(first, str) and _CLOCK_TEXT.fullmatch(first.strip()):
        warnings.warn(
            f"column {column.name!r} has values such as {first!r} and is left out as a time of day; if it is a length "
            f"of time, say so in its name (for instance {column.name}_duration)",
            TableWarning,
            stacklevel=4,
        )


def numbers_of(column: pd.Series[Any]) -> Floats:
    """The values of a column of numbers, NaN for blanks."""
    numbers = numbers_in(column)
    assert numbers is not None
    return numbers


def feature_of(column: pd.Series[Any], title: str, name: ColumnName) -> tuple[Feature, str]:
    """The feature a column is, and what a person should know about it (lines, "" for nothing)."""
    role, protected = role_of(name.words), is_protected(name.words)
    missing = bool(column.isna().any())
    known = column.dropna()
    notes = []
    if known.nunique() == 1:
        role = "immutable"
        notes.append("constant in the table: nothing is known about changing it")
    elif role is None:
        notes.append('mutable is a guess: nothing known by this name; write role = "actionable" if a person does it')
    role = role or "mutable"
    common: dict[str, Any] = {"role": role, "protected": protected, "missing": missing}

    if not _is_numbers(column):
        levels = _levels(column)
        kind: Kind = "binary" if len(levels) == 2 else "categorical"
        return Feature(title, kind, levels=levels, **common), "\n".join(notes)

    numbers = numbers_of(column)
    different = np.unique(numbers[np.isfinite(numbers)])
    whole = bool((different == np.round(different)).all())
    plain: tuple[Value, ...] = tuple(int(v) if whole else float(v) for v in different[: MAX_CODES + 1])
    if len(different) == 2 and not name.unit and (plain in ((0, 1), (1, 2), (-1, 1)) or len(known) >= 20):
        return Feature(title, "binary", levels=plain, **common), "\n".join(notes)
    if whole and 2 < len(different) <= MAX_CODES and is_code(name.words):
        notes.append('whole numbers taken as codes by the name; if they are measured, use kind = "integer"')
        return Feature(title, "categorical", levels=plain, **common), "\n".join(notes)

    if whole:
        kind, low, high, step = "integer", float(different[0]), float(different[-1]), 1.0
    else:
        kind = "continuous"
        low, high, step, rounded = _grid(different, single=column.dtype == np.float32)
        if rounded:
            notes.append(f"more than {MAX_DECIMALS} decimals in the table: the step is about a thousandth of the range")
    feature = Feature(title, kind, unit=name.unit, low=neat(low), high=neat(high), step=neat(step), **common)
    return feature, "\n".join(notes)


def neat(number: float) -> float | int:
    """Whole numbers are written without a point."""
    return int(number) if number == round(number) and abs(number) < 1e15 else number


def _grid(different: Floats, single: bool) -> tuple[float, float, float, bool]:
    """Low, high and step of a continuous column, and whether the step is coarser than the data.

    The step is the power of ten that represents every value; where that needs more than
    `MAX_DECIMALS`, about a thousandth of the range. The range is widened to multiples of the step.
    """
    low, high = float(different[0]), float(different[-1])
    noise = (1.2e-7 if single else 1e-14) * max(abs(low), abs(high))  # 0.1 + 0.2 has one decimal
    for decimals in range(MAX_DECIMALS + 1):
        scaled, slack = different * 10.0**decimals, noise * 10.0**decimals
        if slack > 0.1:  # the floats themselves hold no more decimals
            break
        if (np.abs(scaled - np.round(scaled)) <= slack).all():
            return round(low, decimals), round(high, decimals), 10.0**-decimals, False
    spread = high - low if high > low else abs(low)
    power = max(-12, int(np.round(np.log10(spread / 1000))))
    step, decimals = 10.0**power, max(0, -power)
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    return round(float(low), decimals), round(float(high), decimals), round(step, 12), True


def _levels(column: pd.Series[Any]) -> tuple[Value, ...]:
    """The values that occur, sorted; those of an ordered categorical in its order."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.cat.remove_unused_categories().cat
        values = used.categories.tolist()
        if used.ordered:
            return tuple(_value(v) for v in values)
    else:
        values = column.dropna().unique().tolist()
    plain = [_value(v) for v in values]
    same = len({isinstance(v, str) for v in plain}) == 1
    return tuple(sorted(plain)) if same else tuple(sorted(map(str, plain)))


def _value(value: Any) -> Value:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | float | bool) else str(value)
