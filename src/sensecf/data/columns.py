"""Columns of a table from the texts in a file: numbers, identifiers, dates, levels; what is worth saying of each.

For a column that looks like numbers there are three ways: it is read, it is refused with its rows, or a
remark says that it stays text. Identifiers stay text wherever reading them as numbers would make one of two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.codec import EXACT, plain_spelling
from sensecf.core.errors import InputError
from sensecf.core.missing import may_mean_missing, means_missing
from sensecf.core.people import as_text
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import FeatureSchema
from sensecf.data.infer.names import ColumnName, english, is_date, is_identifier, word_set
from sensecf.data.numerals import Doubt, Marks, Reading, read, settle, split

#: Spellings of a missing value in any column of a CSV file.
BLANKS = frozenset(
    {"", "?", "NA", "na", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "-nan", "-NaN", "NULL", "null"}
)
#: Spellings of a missing value where every other value of the column is a number.
BLANKS_AMONG_NUMBERS = frozenset({"None", "none", "-", "--", "."})
#: So many different words in a column of measured numbers are a mistake in it, and no levels.
FEW_WORDS = 10
#: A column of text with more different values than this has no levels whose spelling matters.
MAX_SPELLINGS = 200

_LEADING_ZERO = re.compile(r"[+-]?0[0-9]+(?:[eE][+-]?[0-9]+)?")
_EXPONENT = re.compile(r"[0-9]+[eE][0-9]+")
# "7:32" is a length of time under these words and a time of day under those.
_LENGTHS = word_set(
    "duration asleep awake elapsed total length time sleep bed rem deep light nap screen sedentary active"
)
_MOMENTS = word_set("start end onset offset bedtime wake wakeup at clock begin day timestamp datetime hour when")
_PER_MINUTE = {"min": 1.0, "h": 1 / 60, "s": 60.0}
# Ordinals and thousands are no units, and of single letters only these are.
_NO_UNITS = word_set("st nd rd th k K")
_SHORT_UNITS = "%‰°€$£¥mgLlhsdUW"
_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Seconds since 1970 from 2000 to 2038.
_THIS_CENTURY = (946_684_800.0, 2_145_916_800.0)
# Names of dates; the second set only where the name has no other word.
_DATES = word_set("date datetime datum fecha dob birthdate birthday timestamp")
_MOMENTS_ALONE = word_set(
    "day visit admission discharge onset birth appointment jour dia tag recorded measured created on at"
)


@dataclass(frozen=True)
class Wanted:
    """What is known of a table before it is read: its schema, the marks a person stated, whether spellings merge."""

    schema: FeatureSchema | None = None
    marks: Marks | None = None
    merge_spellings: bool = False

    def number(self, name: str) -> bool:
        """Whether the schema has the column as a number."""
        return self.schema is not None and name in self.schema.columns and self.schema[name].numeric

    def text(self, name: str, words: tuple[str, ...]) -> bool:
        """Whether the column identifies: by the schema or by its name."""
        if self.schema is not None and name in self.schema.columns:
            return False
        return self.kept(name) or is_identifier(words)

    def kept(self, name: str) -> bool:
        """Whether the schema has the column as one that names or describes people and is never learned from."""
        return self.schema is not None and name in (self.schema.person, *self.schema.shown)

    def free(self, name: str) -> bool:
        """Whether the column may become what it looks like: without a schema, and where the schema has no levels."""
        return self.schema is None or self.number(name) or name not in {*self.schema.names, self.schema.label}

    def refusable(self, name: str, words: tuple[str, ...]) -> bool:
        """Whether numbers that cannot be read are an error: not for columns that nobody asks for."""
        return self.number(name) if self.schema is not None else not self.text(name, words)

    def fits(self, name: str, values: Floats) -> bool:
        """Whether the values may be the column's, by the schema."""
        if self.schema is None or not self.number(name):
            return True
        feature = self.schema[name]
        low, high, step = (float(v or 0) for v in (feature.low, feature.high, feature.step))
        inside = (values >= low - step / 2) & (values <= high + step / 2)
        return bool(inside.all() and (feature.kind != "integer" or (values % 1 == 0).all()))


@dataclass
class Columns:
    """The columns of one table, read text by text: `remarks` on what was done, `units` found behind numbers."""

    where: str
    names: Mapping[str, ColumnName]
    wanted: Wanted
    remarks: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)

    def say(self, name: str, what: str) -> None:
        remark = f"{self.where}, column {name!r}: {what}"
        self.remarks += [remark] if remark not in self.remarks else []

    def read(
        self,
        frame: pd.DataFrame,
        again: Callable[[list[str]], pd.DataFrame] | None,
        assume: str,
        odd: bool = False,
    ) -> pd.DataFrame:
        """A table as it came from the reader of its file, every column as what it holds.

        `again` gives columns of numbers as the text they stand in; None where the file has typed columns (Parquet), in
        which digits that are text stay text. `assume`: see `numerals.settle`. `odd`: whether some digits in
        the file look like an identifier's.
        """
        kept = self._kept(frame, again)
        order, frame = list(frame), frame.drop(columns=list(kept))
        texts = {str(n): column for n, column in frame.items() if _is_text(column)}
        distinct = {name: column.dropna().unique().tolist() for name, column in texts.items()}
        doubtful: list[str] = []
        evidence: dict[str, list[str]] = {}
        if again is not None:
            commas = any("," in text and split(text) for own in distinct.values() for text in own)
            doubtful, evidence = self._doubtful(frame.drop(columns=list(texts)), commas, odd)
            texts |= {str(n): column for n, column in again(doubtful).items()} if doubtful else {}
            distinct |= {name: texts[name].dropna().unique().tolist() for name in doubtful}
        marks = self.settle(distinct | evidence, assume)
        out: dict[str, pd.Series[Any]] = {}
        for name, column in ((str(n), column) for n, column in frame.items()):
            if name not in texts or (name in doubtful and self._stands(name, column, distinct[name], marks[name])):
                out[name] = column
            else:
                out |= self.mend(texts[name], marks[name], typed=again is None)
        found = self._finished(pd.DataFrame(out, index=frame.index, copy=False))
        if not kept:
            return found
        added = [name for name in found if name not in order]  # the two columns of a blood pressure
        whole = found.assign(**kept)[[*(name for name in order if name in found or name in kept), *added]]
        whole.attrs |= found.attrs
        return whole

    def _kept(
        self, frame: pd.DataFrame, again: Callable[[list[str]], pd.DataFrame] | None
    ) -> dict[str, pd.Series[Any]]:
        """Identifiers and what is shown beside them, as the text that stands in the file."""
        names = [str(name) for name in frame if self.wanted.kept(str(name))]
        if not names:
            return {}
        texts = frame[names] if again is None else again(names)
        return {name: as_text(texts[name]).replace("", np.nan) for name in names}

    def _doubtful(self, numbers: pd.DataFrame, commas: bool, odd: bool) -> tuple[list[str], dict[str, list[str]]]:
        """Columns that were parsed as numbers and must be seen as text; and what the others show of the marks.

        A point before three digits may stand between thousands unless some number of the file shows that it does not.
        """
        doubtful = []
        evidence = {}
        for name, column in ((str(n), c) for n, c in numbers.items() if c.dtype.kind in "iuf"):
            values = column.to_numpy(dtype=float)
            size = np.abs(values[np.isfinite(values)])
            broken = size[size % 1 != 0]
            if ((broken < 1) | (broken > 1000) | (broken * 1000 % 1 != 0)).any():
                evidence[name] = ["0.25"]
            named = self.wanted.text(name, self.names[name].words)
            long = column.dtype.kind != "f" and (size >= EXACT).any()
            if odd or len(broken) or long:
                doubtful.append((name, odd or named or long))
        settled = bool(evidence) and not commas and self.wanted.marks is None
        some = [name for name, always in doubtful if always or not settled]
        return some, {name: texts for name, texts in evidence.items() if name not in some}

    def _stands(self, name: str, column: pd.Series[Any], texts: Sequence[str], marks: Marks | Doubt) -> bool:
        """Whether a column that was parsed as numbers is what was meant."""
        if isinstance(marks, Marks) and marks.decimal != "." and any("." in text for text in texts):
            return False
        stripped = [text.strip() for text in texts]
        values = np.array([float(text) for text in stripped])
        return not (_too_long(stripped) or self.is_identifier(name, stripped, values))

    def _finished(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Dates in place of their numbers, one spelling for a level where that is wished, and the units."""
        for name in list(frame.columns):
            column = frame[name]
            if name not in self.names:
                continue
            if self.wanted.merge_spellings:
                frame[name] = column.replace(spellings(column))
            words = self.names[name].words
            if column.dtype.kind in "iuf" and not (self.wanted.number(name) or self.wanted.text(name, words)):
                when = dates(column, self.names[name]) if self.wanted.free(name) else None
                if when is not None:
                    frame[name] = when
                    first = column.first_valid_index()
                    self.say(name, f"{column[first]:.15g} is read as the date {when[first]:%Y-%m-%d}")
            known = () if self.wanted.schema is None else self.wanted.schema.names
            if set(pressures(name)) <= set(known) - set(frame.columns) and column.isna().all():
                frame = frame.assign(**dict.fromkeys(pressures(name), np.nan))
        if self.units:
            frame.attrs["units"] = self.units
        return frame

    def settle(self, texts: Mapping[str, Sequence[str]], assume: str) -> dict[str, Marks | Doubt]:
        """The marks of each column. Raises `InputError` for a doubt about a column that matters."""
        known = {name: [t for t in own if t.strip() not in BLANKS] for name, own in texts.items()}
        found = settle(known, self.wanted.marks, assume, self.wanted.fits)
        for name, marks in found.items():
            if isinstance(marks, Doubt) and self.wanted.refusable(name, self.names[name].words):
                raise InputError(f"{self.where}, column {name!r}: {marks.why}")
        return found

    def is_identifier(self, name: str, texts: Sequence[str], numbers: Floats) -> bool:
        """Whether digits must stay text: written like an identifier, or equal as numbers and different as texts.

        `texts`: distinct and not blank; `numbers`: their values.
        """
        if self.wanted.number(name):
            return False
        named = self.wanted.text(name, self.names[name].words)
        odd = like_identifier(texts, named)
        if odd is not None and not named:
            self.say(name, f"{odd!r} is written like an identifier and not like a number: the column stays text")
        return odd is not None or (named and len(np.unique(numbers)) < len(texts))

    def mend(self, column: pd.Series[Any], marks: Marks | Doubt, typed: bool = False) -> dict[str, pd.Series[Any]]:
        """What a column of text holds, by name: itself, numbers, or the two numbers of a blood pressure.

        `typed`: who wrote the file called it text (Parquet), so that plain digits stay text.
        Raises `InputError` for stray words in a column of measured numbers.
        """
        name = str(column.name)
        codes, uniques = pd.factorize(column)
        if not all(isinstance(value, str) for value in uniques):  # booleans with blanks, dates, lists
            return {name: column}
        texts = np.array([value.strip() for value in uniques], dtype=object)
        blank = np.isin(texts, list(BLANKS))
        if isinstance(marks, Marks):
            for gaps in (blank, blank | np.isin(texts, list(BLANKS_AMONG_NUMBERS))):
                known = texts[~gaps].tolist()
                found = self._numbers(name, known, marks, typed)
                if found is not None:
                    values = np.full((len(texts) + 1, found.values.shape[1]), np.nan)
                    values[:-1][~gaps] = found.values
                    titles = (name,) if len(values.T) == 1 else pressures(name)
                    return {t: pd.Series(v[codes], column.index, name=t) for t, v in zip(titles, values.T, strict=True)}
            # Words for "not measured" are left to the schema; the numbers beside them are written plainly.
            absent = np.array([self._means_missing(name, text) for text in texts])
            found = self._numbers(name, texts[~gaps & ~absent].tolist(), marks, typed) if absent.any() else None
            if found is not None and found.values.shape[1] == 1:
                texts[~gaps & ~absent] = [f"{value:.15g}" for value in found.values[:, 0]]
                typed = False
            self._refuse_strays(column, texts[~gaps & ~absent].tolist(), marks if found is None else Marks())
        if typed:
            return {name: column}
        texts[blank] = np.nan
        return {name: pd.Series(np.append(texts, np.nan)[codes], index=column.index, name=name).infer_objects()}

    def _means_missing(self, name: str, text: str) -> bool:
        """Whether a text says that nothing was measured, by what it says or by the schema."""
        known = self.wanted.schema[name].missing_codes if self.wanted.schema and self.wanted.number(name) else ()
        return text in known or means_missing(text) or may_mean_missing(text)

    def _numbers(self, name: str, texts: list[str], marks: Marks, typed: bool) -> Reading | None:
        """Distinct texts as numbers, shape (n, 1) or (n, 2); None where they stay text."""
        if not texts:
            return None
        found = read(texts, marks)
        if found.stray.any() or (typed and all(map(_is_plain, texts))):
            return None
        if self.wanted.text(name, self.names[name].words) and not all(map(_is_plain, texts)):
            return None
        if found.kind == "number" and not found.unit:
            if _too_long(texts) or self.is_identifier(name, texts, found.values):
                return None
            grouped = next((t for t in texts if marks.thousands and marks.thousands in t), None)
            if grouped is not None:
                value = found.values[texts.index(grouped)]
                self.say(name, f"{grouped!r} is read as {value:.15g}, with {marks.thousands!r} between thousands")
        elif not self.wanted.free(name) or not self._is_quantity(name, texts, found):
            return None
        return Reading(found.values.reshape(len(texts), -1), found.kind, found.unit)

    def _is_quantity(self, name: str, texts: list[str], found: Reading) -> bool:
        """Whether texts with a unit, durations and pressures are read as such; says how, or why not."""
        unit, words = found.unit, {*self.names[name].words, *english(self.names[name].words)}
        if found.kind == "number" and (unit in _NO_UNITS or (len(unit) == 1 and unit not in _SHORT_UNITS)):
            return False
        if found.kind == "clock" and (not words & _LENGTHS or words & _MOMENTS) and found.values.max() < 1440:
            return False
        if found.kind == "pressure":
            if set(pressures(name)) & set(self.names):
                return False
            self.say(name, f"{texts[0]!r} becomes the columns {' and '.join(pressures(name))}")
        elif found.kind == "number":
            self.say(name, f"{texts[0]!r} is read as {found.values[0]:g} {unit}")
        else:
            unit = self.names[name].unit if self.names[name].unit in _PER_MINUTE else "min"
            found.values[:] *= _PER_MINUTE[unit]
            self.say(name, f"{texts[0]!r} is read as {found.values[0]:g} {unit}")
        self.units |= dict.fromkeys(pressures(name) if found.kind == "pressure" else (name,), unit)
        return True

    def _refuse_strays(self, column: pd.Series[Any], texts: list[str], marks: Marks) -> None:
        """Raise `InputError` for the few words in a column of numbers, or any in one that the schema calls numbers."""
        name = str(column.name)
        if not texts or not self.wanted.refusable(name, self.names[name].words):
            return
        found = read(texts, marks)
        values = dict(zip(texts, found.values.reshape(len(texts), -1)[:, 0].tolist(), strict=True))
        rows = np.array([values.get(str(text).strip(), np.inf) for text in column.tolist()])  # infinite: blank
        refuse_words(column, rows[np.isfinite(rows)], np.isnan(rows), always=self.wanted.number(name))


def like_identifier(texts: Iterable[str], named: bool = False) -> str | None:
    """A text that shows that digits are no numbers ("007", "00E1"); None where none does. `named`: by the column."""
    texts = list(texts)
    exponents = [text for text in texts if _EXPONENT.fullmatch(text)]
    if exponents and (named or 2 * len(exponents) > len(texts)):
        return exponents[0]
    return next((text for text in texts if _LEADING_ZERO.fullmatch(text)), None)


def refuse_words(column: pd.Series[Any], numbers: Floats, stray: Bools, always: bool = False) -> None:
    """Raise `InputError` naming the rows where a column of measured numbers holds a word; where not, do nothing.

    `numbers`: the values that are numbers; `stray` (len(column),): where there is neither a number nor a blank.
    Measured: most values are numbers, these are many different ones, and the words are few different ones.
    Codes such as "<19", "20", "21" and free text such as ticket numbers are no such mixture. `always`: even then.
    """
    if not stray.any():
        return
    different, words = len(np.unique(numbers)), column[stray].nunique()
    looks_measured = different > 20 or different > len(numbers) / 2
    if always or (len(numbers) > stray.sum() and looks_measured and words <= max(FEW_WORDS, 0.05 * different)):
        rows = np.flatnonzero(stray)
        some = ", ".join(f"row {column.index[i]}: {column.iloc[i]!r}" for i in rows[:3])
        limits = any(str(column.iloc[i]).strip()[:1] in "<>≤≥" for i in rows)
        raise InputError(
            f"column {column.name!r} mixes numbers with text ({some}; {len(rows)} of {len(rows) + len(numbers)} "
            f"values); mend or blank these values{' (a detection limit: the limit, or half of it)' if limits else ''}"
        )


def pressures(name: str) -> tuple[str, str]:
    """The names of the two columns that a blood pressure becomes."""
    return f"{name}_systolic", f"{name}_diastolic"


def spellings(column: pd.Series[Any]) -> dict[str, str]:
    """The levels of a column that differ from a more frequent one in case and blanks only, with that one."""
    if not (pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype)):
        return {}
    counts = column.value_counts()  # most frequent first
    if len(counts) > MAX_SPELLINGS or not all(isinstance(level, str) for level in counts.index):
        return {}
    first: dict[str, str] = {}
    for level in counts.index:
        first.setdefault(plain_spelling(level), level)
    return {level: kept for level in counts.index if (kept := first[plain_spelling(level)]) != level}


def dates(column: pd.Series[Any], name: ColumnName) -> pd.Series[Any] | None:
    """A column of numbers as dates where name and values show that it is one, else None.

    Days since 1899-12-30 (Excel) and 20240501 under the name of a date; seconds, milli-, micro- and nanoseconds
    since 1970 of this century under any name.
    """
    values = column.to_numpy(dtype=float, na_value=np.nan)
    known = values[np.isfinite(values)]
    if not len(known) or name.unit:
        return None
    low, high, words = float(known.min()), float(known.max()), set(name.words)
    named = bool(words & _DATES) or is_date(name.words) or words <= _MOMENTS_ALONE
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
        begin, end = (1e8, 4.1e9) if named else _THIS_CENTURY
        if not named and (len(np.unique(known)) < 3 or (known % 1 != 0).any()):
            break
        if begin * scale <= low and high < end * scale:
            return pd.to_datetime(column.astype("Float64").round(), unit=unit)  # type: ignore[call-overload]
    if low >= 19000101 and high <= 21001231 and (known % 1 == 0).all() and (named or len(np.unique(known)) > 2):
        texts = column.astype("Int64").astype("string")
        found = pd.to_datetime(texts, format="%Y%m%d", errors="coerce")
        return found if found.notna().sum() == len(known) else None
    day = (bool(words & _DATES) and low >= 7_000) or (words <= _MOMENTS_ALONE and low >= 36_000)
    if day and high <= 60_000:
        return pd.Timestamp("1899-12-30") + pd.to_timedelta(column.astype(float), unit="D").dt.round("s")
    return None


def _is_text(column: pd.Series[Any]) -> bool:
    if not (pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype)):
        return False
    return bool(column.map(lambda value: isinstance(value, str), na_action="ignore").dropna().all())


def _too_long(texts: Sequence[str]) -> bool:
    """Whether many whole numbers are too long to be exact: an identifier, and no single mistake."""
    long = sum(len(text) > 15 and int(text) >= EXACT for text in texts if text.isdecimal())
    return long > 0.1 * len(texts) and all(text.isdecimal() for text in texts)


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None
