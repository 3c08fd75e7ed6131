"""Whose row it is, and when: columns that name people and dates, found by names and values.

They are kept on this machine and never learned from. Names come first; where they say nothing, text that is shaped
like an identifier names people if every row has its own, or if something else of the table is the same in all rows
of each (their age, their sex), as codes of diagnoses are not.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.data.infer.names import ColumnName, is_birth, is_code, is_date, is_identifier, is_person, names_things
from sensecf.data.when import moments

#: Fewer different texts are levels, whatever they look like.
_FEWEST = 8
#: In fewer rows text that differs everywhere may be anything.
_MANY = 20
#: Values that are looked at to see whether a column holds dates.
_SAMPLE = 200
_SHAPE = re.compile(r"[^\W\d_]{0,12}[-_ .:/]?\d{1,12}|[0-9a-f]{16,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)


class Identity(NamedTuple):
    """The columns found, None for none, and a remark on each."""

    person: str | None
    when: str | None
    remarks: tuple[str, ...]


def find_identity(
    frame: pd.DataFrame, label: str, names: Mapping[str, ColumnName], person: str | None, when: str | None
) -> Identity:
    """Whose rows a table has and when they are of; `person` and `when` name the columns where that is stated.

    Raises `InputError` for a stated column that the table does not have, or the label.
    """
    for role, name in (("person", person), ("when", when)):
        if name is not None and name not in names:
            raise InputError(f"the table has no column {name!r} to use as {role}; the columns are {', '.join(names)}")
        if name == label and name is not None:
            raise InputError(f"{name!r} cannot be both the label and the {role}; name another {role}")
    others = [column for column in names if column != label and hashable(frame[column])]
    person = person or _person(frame, [column for column in others if column != when], names)
    when = when or _when(frame, [column for column in others if column != person], names, person)
    remarks = []
    if person is not None:
        people, rows = frame[person].nunique(), int(frame[person].notna().sum())
        what = f"{people:,} people, one row each" if people == rows else f"{rows:,} rows of {people:,} people"
        remarks.append(
            f"person: {person} says whose row it is ({what}): kept on this machine, never learned from, all rows of "
            "one on one side of every split; delete the line if it names something else"
        )
    if when is not None:
        remarks.append(f"when: {when} is the date of a row: kept on this machine, never learned from")
    return Identity(person, when, tuple(remarks))


def hashable(column: pd.Series[Any]) -> bool:
    """Whether a column holds single values."""
    first = column.dropna().head(20)
    return not any(isinstance(value, list | dict | set | np.ndarray) for value in first)


def _person(frame: pd.DataFrame, columns: Sequence[str], names: Mapping[str, ColumnName]) -> str | None:
    """The first column that names people: repeating before unique, by its name before by its values alone."""
    known = {column: frame[column].dropna() for column in columns}
    different = {column: values.nunique() for column, values in known.items()}
    words = {column: names[column].words for column in columns}
    repeats = [column for column in columns if 1 < different[column] < len(known[column])]
    unique = [column for column in columns if 1 < different[column] == len(frame)]

    def named(column: str) -> bool:
        return is_person(words[column])

    def shaped(column: str) -> bool:
        return different[column] >= _FEWEST and _like_identifiers(known[column])

    def called(column: str) -> bool:
        return is_identifier(words[column]) and len(words[column]) > 1 and not is_code(words[column])

    ways: tuple[tuple[list[str], Callable[[str], bool]], ...] = (
        (repeats, named),
        (repeats, lambda column: shaped(column) and _belongs(frame, column, columns)),
        (unique, named),
        (unique, lambda column: called(column) and not names_things(words[column])),
        (unique, lambda column: shaped(column) and len(frame) >= _MANY and not names_things(words[column])),
    )
    return next((column for some, fits in ways for column in some if fits(column)), None)


def _like_identifiers(known: pd.Series[Any]) -> bool:
    """Whether texts look like identifiers, and alike: P001, P002; SIM-0001; long hexadecimal numbers."""
    texts = known.drop_duplicates()
    if not all(isinstance(text, str) for text in texts) or not texts.map(_SHAPE.fullmatch).notna().all():
        return False
    letters = texts.str.replace(r"\d+", "", regex=True)
    return bool(letters.nunique() <= max(3, len(texts) // 10) or texts.str.len().min() >= 16)


def _belongs(frame: pd.DataFrame, column: str, columns: Sequence[str]) -> bool:
    """Whether some other column that varies is the same in all rows of each value, and has fewer values."""
    codes, people = pd.factorize(frame[column])
    for other in columns:
        values, distinct = pd.factorize(frame[other])
        known = (codes >= 0) & (values >= 0)
        if other == column or not 1 < len(distinct) < len(people) or known.sum() < len(frame) / 2:
            continue
        pairs = np.unique(np.column_stack([codes[known], values[known]]), axis=0)
        if len(pairs) == len(np.unique(codes[known])):
            return True
    return False


def _when(
    frame: pd.DataFrame, columns: Sequence[str], names: Mapping[str, ColumnName], person: str | None
) -> str | None:
    """The date of the rows: not a day of birth, nor one that is the same in all rows of a person who has several."""
    found = [column for column in columns if not is_birth(names[column].words) and _is_moment(frame[column])]
    if person is not None and frame[person].nunique() < frame[person].notna().sum():
        found = [column for column in found if (frame.groupby(person)[column].nunique() > 1).any()]
    called = [column for column in found if is_date(names[column].words)]
    return next(iter([*called, *found]), None)


def _is_moment(column: pd.Series[Any]) -> bool:
    """Whether a column holds dates, with or without a time of day."""
    some = column.dropna()
    if some.empty or some.dtype.kind == "m":
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which reading is taken is said where it is taken
        return moments(some.head(_SAMPLE)) is not None
