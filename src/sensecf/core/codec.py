"""Rows to numbers and back, in physical units.

An encoded row is a float64 vector in schema order: numbers as they are, levels as their position
in `Feature.levels`, blanks as NaN. It is how every vectorised part of SenseCF sees a table;
`decode` gives the rows back as the classifier and the user know them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray

from sensecf.core.errors import InputError
from sensecf.core.missing import is_code, means_missing
from sensecf.core.rules import Bools, Floats, RuleSet
from sensecf.core.schema import Feature, FeatureSchema, Value

#: From here on, whole numbers are not exact as floats.
EXACT = 2**53
#: The largest number that every classifier takes: scikit-learn and XGBoost compute in single precision.
LARGEST = float(np.finfo(np.float32).max)


def check_single(column: pd.Series[Any]) -> None:
    """Raise `InputError` naming the row of a list, record or set: a cell holds one value."""
    if column.dtype.kind == "O":
        for row, value in zip(column.index, column.array, strict=True):
            if isinstance(value, list | dict | set | tuple | np.ndarray):
                raise InputError(
                    f"column {column.name!r}, row {row}: a {type(value).__name__} is no single value; "
                    "make columns of its parts, or drop the column"
                )


def check_numbers(column: pd.Series[Any], numbers: Floats, whole: bool = False) -> None:
    """Raise `InputError` naming the row of a number that is infinite or larger than is computed with.

    Classifiers compute in single precision (`LARGEST`), whole numbers are exact below `EXACT`: with `whole`, or
    where all values are whole, this is the limit.
    """
    if not (np.abs(numbers) >= EXACT).any():
        return
    whole = whole or not (numbers[np.isfinite(numbers)] % 1).any()
    bad = np.flatnonzero(np.abs(numbers) >= EXACT if whole else np.abs(numbers) > LARGEST)
    if len(bad):
        value = numbers[bad[0]]
        what = f"{column.iloc[bad[0]]!s} is larger than {EXACT if whole else LARGEST:g}, the most that is computed with"
        what = "the value is infinite" if np.isinf(value) else what
        more = f" ({len(bad)} such values)" if len(bad) > 1 else ""
        raise InputError(f"column {column.name!r}, row {column.index[bad[0]]}: {what}{more}; mend or blank it")


def similar_level(levels: Sequence[Value], value: Any) -> int | None:
    """Position of the one level that `value` stands for in another file, None where there is no such level.

    A CSV knows no types: 1 stands for "1", 2.0 for "2", 3.5 for "3.50", True for "true"; and "YES" for "yes".
    """
    forms: tuple[Callable[[Any], Any], ...] = (str, _number, plain_spelling)
    if isinstance(value, bool):
        forms = (lambda level: str(level).lower(),)
    for form in forms:
        wanted = form(value)
        found = [code for code, level in enumerate(levels) if wanted is not None and form(level) == wanted]
        if len(found) == 1:
            return found[0]
    return None


def plain_spelling(value: Any) -> str:
    """A level without what people write differently: case, and blanks around it."""
    return str(value).strip().casefold()


def _number(value: Any) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def without_codes(feature: Feature, column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of the table with blanks in place of the feature's `missing_codes`."""
    if not feature.missing_codes:
        return column
    codes, uniques = pd.factorize(column)
    coded = np.append(is_code(uniques, feature.missing_codes), False)[codes]
    if not coded.any():
        return column
    # As objects: a blank is not for whole numbers, truth values or the levels of a categorical.
    plain = column.astype(object).mask(coded, np.nan)
    return pd.to_numeric(plain, errors="coerce") if feature.numeric and _all_numbers(plain) else plain.infer_objects()


def _all_numbers(column: pd.Series[Any]) -> bool:
    return bool((pd.to_numeric(column, errors="coerce").notna() | column.isna()).all())


class Codec:
    """Encode and decode rows of one schema.

    Attributes, all of length d (features): `low`, `high` (range; for levels 0 and their number
    minus 1), `step` (1 for levels), `least` (the smallest edit worth making, 0 for levels), `numeric`,
    `changeable`; and `rules`, the compiled `RuleSet`.
    """

    def __init__(self, schema: FeatureSchema) -> None:
        self.schema = schema
        features = schema.features
        self.numeric = np.array([f.numeric for f in features])
        self.changeable = np.array([f.changeable for f in features])
        self.step = np.array([f.step if f.numeric else 1.0 for f in features], dtype=float)
        self.low = np.array([f.low if f.numeric else 0.0 for f in features], dtype=float)
        self.high = np.array([f.high if f.numeric else len(f.levels) - 1.0 for f in features], dtype=float)
        self.least = np.array([f.least_change or 0.0 for f in features], dtype=float)
        self.n_levels = np.array([len(f.levels) for f in features])
        self._decimals = np.array([f.decimals for f in features])
        self._codes: dict[str, dict[Any, int]] = {
            f.name: {level: code for code, level in enumerate(f.levels)} for f in features if not f.numeric
        }
        # As pandas arrays, which are taken from by code at once; built anew they cost most of a call.
        self._levels: dict[int, Any] = {
            j: pd.Series(list(f.levels)).array for j, f in enumerate(features) if not f.numeric
        }
        self.rules = RuleSet.compile(schema.rules, schema.columns, self._encode_condition)
        # Values that stand, or may stand, for "not measured", by column.
        self._unmeasured = {j: codes for j, f in enumerate(features) if len(codes := self._no_goals(f))}

    def _no_goals(self, feature: Feature) -> Floats:
        codes = (*feature.missing_codes, *feature.suspect_codes)
        if feature.numeric:
            return np.array([code for code in codes if not isinstance(code, str)], dtype=float)
        coded = is_code(feature.levels, codes) | np.array([means_missing(level) for level in feature.levels])
        return np.flatnonzero(coded).astype(float)

    def unmeasured(self, rows: Floats) -> Bools:
        """Which values stand for "not measured", confirmed or not, shape as `rows` (..., d): no plan leads there."""
        out = np.zeros(rows.shape, dtype=bool)
        for j in self._unmeasured:
            out[..., j] = self.unmeasured_in(j, rows[..., j])
        return out

    def known(self, rows: Floats) -> Floats:
        """Rows with blanks where a value may stand for "not measured": what scales and likeness are taken from."""
        return np.where(self.unmeasured(rows), np.nan, rows) if self._unmeasured else rows

    def unmeasured_in(self, column: int, values: Floats) -> Bools:
        """Like `unmeasured`, for values of one column, any shape."""
        return np.isin(values, self._unmeasured.get(column, ()))

    def _encode_condition(self, name: str, value: Any) -> Any:
        if self.schema[name].numeric:
            return value
        codes = self._codes[name]
        return [codes[v] for v in value] if isinstance(value, list | tuple) else codes[value]

    def encode(self, frame: pd.DataFrame) -> Floats:
        """Rows of a frame as numbers, shape (len(frame), d). Extra columns are ignored.

        Raises `InputError` naming column, row and value for a missing column, text in a numeric
        column, an infinite value, or a level that the schema does not know.
        """
        absent = [name for name in self.schema.names if name not in frame.columns]
        if absent:
            raise InputError(f"the table has no column {absent[0]!r}, which the schema lists ({len(absent)} absent)")
        out = np.empty((len(frame), len(self.schema)), dtype=float)
        for j, feature in enumerate(self.schema.features):
            column = frame[feature.name]
            if isinstance(column, pd.DataFrame):
                raise InputError(f"the table has the column {feature.name!r} twice; rename or drop one")
            column = without_codes(feature, column)
            out[:, j] = self._encode_number(feature, column) if feature.numeric else self._encode_level(feature, column)
        return out

    def _encode_number(self, feature: Feature, column: pd.Series[Any]) -> Floats:
        if str(column.dtype).lower() == "float32":  # 98.7 is meant, not 98.69999694824219
            texts = column.to_numpy(np.float32, na_value=np.nan).astype(str)
            column = pd.Series(texts.astype(float), index=column.index, name=column.name)
        check_single(column)
        numbers = pd.to_numeric(column, errors="coerce")
        if column.dtype.kind in "mM" or numbers.dtype.kind == "c":
            row = int(np.flatnonzero(column.notna())[0])
            raise InputError(
                f"column {feature.name!r}, row {column.index[row]}: {column.iloc[row]!s} is a "
                f"{'complex number' if numbers.dtype.kind == 'c' else 'time'}; the schema calls the feature "
                f"{feature.kind}: give plain numbers"
            )
        values = numbers.to_numpy(dtype=float, na_value=np.nan)
        bad = np.isnan(values) & column.notna().to_numpy()
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"column {feature.name!r}, row {column.index[row]}: {column.iloc[row]!r} is not a number; "
                f"mend the value or make the feature categorical in the schema"
            )
        check_numbers(column, values, whole=feature.kind == "integer")
        return values

    def _encode_level(self, feature: Feature, column: pd.Series[Any]) -> Floats:
        check_single(column)
        codes = self._codes[feature.name]
        uniques = column.dropna().unique().tolist()
        table = {}
        for value in uniques:
            code = codes[value] if value in codes else similar_level(feature.levels, value)
            if code is None:
                row = column.index[int(np.flatnonzero((column == value).to_numpy())[0])]
                some = ", ".join(map(repr, feature.levels[:8])) + (", ..." if len(feature.levels) > 8 else "")
                raise InputError(
                    f"column {feature.name!r}, row {row}: {value!r} is no level of the feature ({some}); "
                    f"mend the value or add the level to the schema"
                )
            table[value] = float(code)
        return column.map(table).to_numpy(dtype=float, na_value=np.nan)

    def decode(self, rows: Floats, nullable: bool = False) -> pd.DataFrame:
        """Encoded rows as a frame with the features in schema order and their own dtypes.

        With `nullable`, whole numbers are "Int64" whether or not there are blanks, so that they
        are saved as 63 and never as 63.0.
        """
        data: dict[str, np.ndarray | ExtensionArray] = {}
        for j, feature in enumerate(self.schema.features):
            column = rows[:, j]
            blank = np.isnan(column)
            if not feature.numeric:
                codes = np.where(blank, -1, column).astype(np.intp)
                kind = "Int64" if nullable and self._levels[j].dtype.kind == "i" else None
                levels = self._levels[j].astype(kind) if kind else self._levels[j]
                if levels.dtype.kind in "ib" and not kind and (feature.missing or blank.any()):
                    # The same dtype with and without blanks.
                    levels = pd.Series(levels, dtype=float if levels.dtype.kind == "i" else object).array
                data[feature.name] = levels.take(codes, allow_fill=True)
            elif feature.kind == "integer" and nullable and (column[~blank] % 1 == 0).all():
                whole = pd.array(np.where(blank, 0, column).astype(np.int64), dtype="Int64")
                whole[blank] = pd.NA
                data[feature.name] = whole
            elif feature.kind == "integer" and not feature.missing and (column % 1 == 0).all():
                data[feature.name] = column.astype(np.int64)
            else:
                data[feature.name] = column
        return pd.DataFrame(data, copy=False)

    def snap(self, rows: Floats, low: Floats | None = None, high: Floats | None = None) -> Floats:
        """Numbers rounded to their step, inside the range on the step's grid (NaN stays)."""
        low, high = self.low if low is None else low, self.high if high is None else high
        with np.errstate(invalid="ignore"):
            cells = np.round(rows / self.step)
            first, last = np.ceil(low / self.step - 1e-9), np.floor(high / self.step + 1e-9)
            out = np.clip(cells, first, last) * self.step
        scale = 10.0**self._decimals
        return np.round(out * scale) / scale + 0.0  # no negative zero

    def snap_column(self, values: Floats, column: Any) -> Floats:
        """Values of the given columns (same length) rounded to their steps, without regard to the range."""
        scale = 10.0 ** self._decimals[column]
        snapped: Floats = np.round(np.round(values / self.step[column]) * self.step[column] * scale) / scale + 0.0
        return snapped

    def worthwhile(self, base: Floats, values: Floats, column: Any = slice(None)) -> Floats:
        """Numbers on their grid, those that move by less than the least worthwhile change moved on to it.

        `base`, `values`: whole rows (..., d), or single values (n,) of the given columns (n,).
        """
        least, step = self.least[column], self.step[column]
        moved = values - base
        with np.errstate(invalid="ignore"):
            short = (np.abs(moved) > step / 2) & (np.abs(moved) < least - 1e-9)
        if not short.any():
            return values
        aim = (base + np.sign(moved) * least) / step
        cells = np.where(moved > 0, np.ceil(aim - 1e-9), np.floor(aim + 1e-9))
        scale = 10.0 ** self._decimals[column]
        out: Floats = np.where(short, np.round(cells * step * scale) / scale + 0.0, values)
        return out

    def too_small(self, changed: Bools, size: Floats) -> Bools:
        """Which edits are smaller than is worthwhile, of changed features and their absolute sizes (m, d).

        Features that follow others are exempt: where equalities tie features together, one of them per
        equality may move by less, if another one moves by as much as is worthwhile.
        """
        with np.errstate(invalid="ignore"):
            small = changed & (size < self.least - 1e-9)
        if small.any():
            for members, equalities in self.rules.tied:
                inside = small[:, members]
                led = (changed[:, members] & ~inside).any(axis=1) & (inside.sum(axis=1) <= equalities)
                small[np.ix_(led, members)] = False
        return small

    def changed(self, base: Floats, rows: Floats) -> Bools:
        """Which features differ by more than half a step, shape as `rows`; a blank equals a blank."""
        at, _, _, apart = self.differing(base, rows)
        changed = np.zeros(np.broadcast_shapes(base.shape, rows.shape), dtype=bool)
        changed.reshape(-1)[at] = apart
        return changed

    def differing(self, base: Floats, rows: Floats) -> tuple[NDArray[np.intp], Floats, Floats, Bools]:
        """Where `rows` is not `base`, to the last bit: positions in the flattened table, the two values, and
        whether they count as changed. Few are, so that what comes after is short."""
        different = rows != base
        at = np.flatnonzero(different)
        before, after = (np.broadcast_to(v, different.shape).reshape(-1)[at] for v in (base, rows))
        with np.errstate(invalid="ignore"):
            apart = np.abs(after - before) > self.step[at % different.shape[-1]] / 2
        return at, before, after, apart | (np.isnan(after) != np.isnan(before))
