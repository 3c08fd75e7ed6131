"""Whose rows stand on the page: people with their days in order, or rows where the schema names no person."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sensecf.core.people import PERSON, WHEN, as_text, noun_of
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Ints
from sensecf.data.whose import whose
from sensecf.web.words import clean


@dataclass(frozen=True)
class Person:
    """Somebody on the page. `days`: positions of their rows, oldest first; `shown`: what is known beside the features,
    as pairs of a column's name and its value on the last day."""

    number: int
    name: str
    days: Ints
    shown: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.days)


@dataclass(frozen=True)
class Roster:
    """Who each row on the page is of, and when. `who` (n,): the person, or the row's own name where the schema names
    no person (`people` is False then); `when` (n,): the day, else what the table calls the row; `dated`: whether those
    are days; `order` (n,): sorts the rows of one person; `shown`: further columns, never learned from, by name."""

    who: tuple[str, ...]
    when: tuple[str, ...]
    order: tuple[tuple[str, int], ...]
    people: bool
    dated: bool
    shown: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, schema: FeatureSchema, frame: pd.DataFrame) -> Roster:
        """The roster of raw rows, or of rows of a run's files; columns that the table lacks are left out."""
        ids = whose(schema, frame)
        for name in (PERSON, WHEN):  # as a run's files have them
            if name not in ids and name in frame and name not in schema.columns:
                ids[name] = as_text(frame[name])
        index = tuple(clean(label) for label in frame.index)
        rows = tuple(f"row {label}" for label in index)
        when = tuple(map(clean, ids[WHEN])) if WHEN in ids else ("",) * len(frame)
        # A name for each row of a person; what has no date of its own is named by the table.
        twice = ids.duplicated([name for name in (PERSON, WHEN) if name in ids], keep=False) if WHEN in ids else None
        told = tuple(
            day if day and not again else f"{day}, {row}" if day else row
            for day, row, again in zip(when, rows, twice if twice is not None else [True] * len(rows), strict=True)
        )
        people = PERSON in ids and bool((ids[PERSON] != "").any())
        who = tuple(clean(v) or row for v, row in zip(ids[PERSON], rows, strict=True)) if people else index
        shown = tuple((clean(name), tuple(map(clean, ids[name]))) for name in ids if name not in (PERSON, WHEN))
        order = tuple(zip(when, range(len(frame)), strict=True))
        return cls(who, told, order, people, noun_of(ids) == "days", shown)

    def __len__(self) -> int:
        return len(self.who)

    def __add__(self, other: Roster) -> Roster:
        """This roster with further rows; columns that only one of them has are blank in the other."""
        names = dict.fromkeys([name for name, _ in (*self.shown, *other.shown)])
        mine, theirs = dict(self.shown), dict(other.shown)
        blank, none = ("",) * len(self), ("",) * len(other)
        shown = tuple((name, mine.get(name, blank) + theirs.get(name, none)) for name in names)
        order = self.order + tuple((when, place + len(self)) for when, place in other.order)
        dated = self.dated and other.dated
        return Roster(self.who + other.who, self.when + other.when, order, self.people, dated, shown)

    @cached_property
    def persons(self) -> list[Person]:
        """Everybody, in the order in which they first appear; each row is somebody of its own without people."""
        if not self.people:
            return [Person(k, name, np.array([k]), self._shown(k)) for k, name in enumerate(self.who)]
        places: dict[str, list[int]] = {}
        for k, name in enumerate(self.who):
            places.setdefault(name, []).append(k)
        found = []
        for number, (name, rows) in enumerate(places.items()):
            days = sorted(rows, key=lambda k: self.order[k])
            found.append(Person(number, name, np.array(days, dtype=np.intp), self._shown(days[-1])))
        return found

    @cached_property
    def person_of(self) -> Ints:
        """The number of the person of each row, shape (n,)."""
        out = np.zeros(len(self), dtype=np.intp)
        for person in self.persons:
            out[person.days] = person.number
        return out

    def _shown(self, row: int) -> tuple[tuple[str, str], ...]:
        return tuple((name, values[row]) for name, values in self.shown if values[row])
