"""What a column hides: codes for "not measured", clocks among the numbers, values in another unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.missing import codes_among_words, find_codes, is_code, may_mean_missing, means_missing
from sensecf.core.rules import Floats
from sensecf.core.schema import Feature, Value
from sensecf.data.infer.names import ColumnName, is_date, is_day, lives
from sensecf.data.tables import numbers_in

#: Quantities that are measured in two units: words of the name, the unit, the bound that no value passes in
#: it (above or below), the other unit.
_UNITS: tuple[tuple[frozenset[str], str, float, float, str], ...] = (
    (frozenset({"glucose", "sugar"}), "mg/dL", 30, np.inf, "mmol/L"),
    (frozenset({"glucose", "sugar"}), "mmol/L", -np.inf, 40, "mg/dL"),
    (frozenset({"cholesterol", "chol", "ldl", "hdl"}), "mg/dL", 10, np.inf, "mmol/L"),
    (frozenset({"cholesterol", "chol", "ldl", "hdl"}), "mmol/L", -np.inf, 25, "mg/dL"),
    (frozenset({"height"}), "cm", 3, np.inf, "m"),
    (frozenset({"height"}), "m", -np.inf, 3, "cm"),
    (frozenset({"hba1c", "a1c"}), "%", -np.inf, 20, "mmol/mol"),
    (frozenset({"temp", "temperature"}), "°C", -np.inf, 60, "°F"),
    (frozenset({"temp", "temperature"}), "°F", 60, np.inf, "°C"),
)


@dataclass(frozen=True)
class Disguised:
    """A column with blanks in place of its codes, certain and doubtful ones; and how often each code stands there.

    `blanks`: whether the table itself has any.
    """

    column: pd.Series[Any]
    missing: Mapping[Value, int]
    suspect: Mapping[Value, int]
    blanks: bool

    def told(self, feature: Feature) -> Feature:
        """The feature of the column with its codes. Doubtful codes among levels stay levels."""
        levels = (*feature.levels, *self.suspect) if feature.levels else ()
        return replace(
            feature,
            missing=self.blanks or bool(self.missing),
            missing_codes=tuple(self.missing),
            suspect_codes=tuple(self.suspect),
            levels=levels,
            kind="categorical" if len(levels) > 2 else feature.kind,
        )

    def said(self, name: str) -> list[str]:
        """A line for each kind of code."""
        rows = len(self.column)

        def listed(codes: Mapping[Value, int]) -> str:
            return ", ".join(f"{code!r} ({count} of {rows} values)" for code, count in codes.items())

        lines = []
        if self.missing:
            lines.append(
                f"{listed(self.missing)}: a code for a missing value, read as a blank (missing_codes); delete that "
                "line if it was measured"
            )
        if self.suspect:
            lines.append(
                f"{listed(self.suspect)}: perhaps a code for a missing value, so no answer starts there or leads "
                "there; rename suspect_codes to missing_codes if it is one, delete the line if it was measured"
            )
        return lines


def uncover(column: pd.Series[Any], name: ColumnName) -> Disguised:
    """The codes for "not measured" in a column of single values."""
    blanks = bool(column.isna().any())
    if pd.api.types.is_bool_dtype(column.dtype):
        return Disguised(column, {}, {}, blanks)
    different = column.dropna().unique().tolist()
    certain: list[Any] = [value for value in different if means_missing(value)]
    # Beside "+", "-" is the result of a test.
    doubtful: list[Any] = [v for v in different if may_mean_missing(v) and v not in certain and "+" not in different]
    among = codes_among_words([v for v in different if v not in certain and v not in doubtful])
    for codes, found in ((certain, among.certain), (doubtful, among.doubtful)):
        codes += [v for v in different if isinstance(v, str) and _number(v) in found]
    plain = _blanked(column, [*certain, *doubtful])
    numbers = numbers_in(plain)
    if numbers is not None and not (np.isnan(numbers) & plain.notna().to_numpy()).any() and len(different) > 2:
        # A word among numbers is no level.
        hidden = find_codes(numbers, zero_is_missing=lives(name))
        certain = [*certain, *doubtful, *map(_plain_number, hidden.certain)]
        doubtful = [*map(_plain_number, hidden.doubtful)]
        if certain and not pd.api.types.is_numeric_dtype(plain.dtype):
            plain = pd.Series(numbers, column.index, name=column.name)
        plain = _blanked(plain, [*certain, *doubtful])
    counts = column.value_counts()

    def count(codes: list[Any]) -> dict[Value, int]:
        return {code: int(counts[is_code(counts.index, [code])].sum()) for code in codes}

    return Disguised(plain, count(certain), count(doubtful), blanks)


def _blanked(column: pd.Series[Any], codes: list[Any]) -> pd.Series[Any]:
    if not codes:
        return column
    positions, uniques = pd.factorize(column)
    coded = np.append(is_code(uniques, codes), False)[positions]
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.mask(coded).cat.remove_unused_categories()
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype(float).mask(coded)
    return column.mask(coded, np.nan)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _plain_number(value: float) -> Value:
    return int(value) if value == round(value) else value


def is_clock(values: Floats, name: ColumnName) -> bool:
    """Whether numbers are points in time: seconds or milliseconds since 1970, 20240501, a spreadsheet's days.

    Seconds since 1970 are told by their values where they go on for years of today; the others need a name.
    """
    low, high = float(values.min()), float(values.max())
    whole = bool((values == np.round(values)).all())
    for unit in (1.0, 1e3, 1e6, 1e9):  # from 2001 to 2039, one after another
        if whole and not name.unit and 1e9 * unit <= low and high < 2.2e9 * unit and len(np.unique(values)) > 20:
            return True
    if not is_date(name.words):
        return False
    if low >= 1e8 or (low >= 1.9e7 and high < 2.2e7):
        return True
    return is_day(name.words) and not name.unit and low >= 15_000 and high < 80_000  # 1941 to 2119


def mixed_units(feature: Feature, name: ColumnName, values: Mapping[str, Floats]) -> list[str]:
    """A line where some values of a quantity lie where only another unit puts them."""
    if not feature.numeric:
        return []
    numbers = values[feature.name][~np.isnan(values[feature.name])]
    for words, unit, low, high, other in _UNITS:
        if not words & set(name.words) or feature.unit != unit or {"sd", "std", "cv", "change"} & set(name.words):
            continue
        off = (numbers < low) | (numbers > high)
        if 0 < off.sum() < len(numbers):
            few = f"{numbers[off].min():g} to {numbers[off].max():g}"
            return [f"{int(off.sum())} of {len(numbers)} values ({few}) look like {other} among {unit}; convert them"]
    return []
