"""Whose rows they are, in words: rows are never called people.

One place makes every count of rows into words: "258 days of 52 people", "303 rows", "40 people" where each has one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

#: Columns of a run's tables that say whose row it is and of which day.
PERSON, WHEN = "person", "when"
#: Days between two rows of a person, from which on (in the middle) rows with a date are no days of a life.
_APART = 7.0


class Counted(NamedTuple):
    """So many rows of so many people; `people` is None where nobody knows whose rows they are. `noun`: what a row is,
    "rows", "days" or, where each has one, "people"."""

    rows: int
    people: int | None = None
    noun: str = "rows"

    def __str__(self) -> str:
        if self.people is None:
            return some(self.rows, self.noun)
        if self.people == self.rows:
            return some(self.people, "people")
        return f"{some(self.rows, self.noun)} of {some(self.people, 'people')}"

    @property
    def held_out(self) -> str:
        """The same of rows that were held out: "600 held-out days of 60 people"."""
        return str(self).replace(" ", " held-out ", 1)

    @property
    def one(self) -> str:
        """What a single row is called."""
        return ONE[self.noun] if self.people is None or self.people != self.rows else ONE["people"]

    @property
    def many(self) -> str:
        """What rows are called: days, rows, or people where each has one."""
        return self.noun if self.people is None or self.people != self.rows else "people"


ONE = {"rows": "row", "days": "day", "people": "person", "requests": "request"}


class Called(NamedTuple):
    """What those of a table and their rows are called: "people" and "days", or "rows" both. `people`: whether the table
    says whose its rows are."""

    many: str
    days: str

    @property
    def people(self) -> bool:
        return self.many == "people"

    @property
    def one(self) -> str:
        """What one of them is called."""
        return ONE[self.many]

    @property
    def day(self) -> str:
        """What one row is called."""
        return ONE[self.days]


def called(rows: pd.DataFrame) -> Called:
    """The words for a table with the columns `PERSON` and `WHEN`, where it has them."""
    days = days_of(rows)
    return Called("people" if PERSON in rows else days, days)


def some(count: int, noun: str) -> str:
    """A number with its noun: "1 day", "1,204 rows"."""
    return f"{count:,} {ONE.get(noun, noun) if count == 1 else noun}"


def noun_of(rows: pd.DataFrame) -> str:
    """What a row of a table with the columns `PERSON` and `WHEN` (ISO text) is: "people" where each has one, "days"
    where each has a date of its own without a time of day and a person's rows are not weeks apart, else "rows"."""
    if PERSON in rows and len(rows) > 1 and rows[PERSON].is_unique:
        return "people"
    if WHEN not in rows or not len(rows):
        return "rows"
    when = rows[WHEN].fillna("").astype(str)
    if not when.str.fullmatch(r"\d{4}-\d{2}-\d{2}").all():
        return "rows"
    whose = rows[PERSON] if PERSON in rows else pd.Series("", index=rows.index)
    table = pd.DataFrame({"person": whose.to_numpy(), "when": pd.to_datetime(when, errors="coerce").to_numpy()})
    if table["when"].isna().any() or (PERSON in rows and table.duplicated().any()):
        return "rows"
    ordered = table.sort_values(["person", "when"], kind="stable")
    apart = ordered.groupby("person", dropna=False)["when"].diff().dt.days.dropna()
    return "days" if not len(apart) or float(apart.median()) < _APART else "rows"


def days_of(rows: pd.DataFrame) -> str:
    """What the rows of one person are: "days" or "rows"."""
    noun = noun_of(rows)
    return noun if noun != "people" else noun_of(rows.drop(columns=PERSON))


def counted(rows: pd.DataFrame, noun: str | None = None) -> Counted:
    """How many rows of how many people a table with the columns `PERSON` and `WHEN`, where it has them, is.

    `noun`: what a row is, where a larger table says so.
    """
    people = int(rows[PERSON].nunique(dropna=False)) if PERSON in rows else None
    return Counted(len(rows), people, noun_of(rows) if noun is None else noun)


def people_of(rows: pd.DataFrame) -> pd.Series[Any] | None:
    """The person of each row, None where the table does not say."""
    return rows[PERSON] if PERSON in rows and bool((rows[PERSON].fillna("") != "").any()) else None


def as_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """Identifiers as text, "" for blanks: whole numbers without a point, text as it stands but for blanks around."""

    def text(value: Any) -> str:
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return str(value).strip()

    return column.astype(object).map(text, na_action="ignore").fillna("").astype(object)
