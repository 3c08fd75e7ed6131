"""The list of people: searched, filtered, sorted, a page at a time; and people from an uploaded file."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.neighbours import Influence
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.data.tables import read_table
from sensecf.web.cohort import Cohort
from sensecf.web.roster import Person

#: People on one page of the list.
PAGE = 50
#: Longest search, in characters.
MAX_SEARCH = 100
#: Features shown in the list beside each person.
SHOWN = 2
FILTERS = {"all": "All", "away": "Some to change", "there": "None to change"}
ORDERS = ("share", "latest", "name")


@dataclass(frozen=True)
class ListView:
    """What the list is asked to show. `order`: a name of `ORDERS`, or the position of a feature."""

    search: str = ""
    filter: str = "all"
    order: str = "share"
    down: bool = True
    page: int = 0


class Totals:
    """What the list says of each person of a cohort, in their order, arrays (people,)."""

    def __init__(self, cohort: Cohort) -> None:
        self._cohort = cohort
        person_of = cohort.roster.person_of
        self.days: Ints = np.bincount(person_of, minlength=len(cohort.persons))
        self.away: Ints = np.bincount(person_of, weights=cohort.away, minlength=len(cohort.persons)).astype(int)
        self.latest: Ints = np.array([person.days[-1] for person in cohort.persons], dtype=np.intp)
        self.chance: Floats = cohort.chance[self.latest]

    @property
    def share(self) -> Floats:
        """The share of days that are not in the target class."""
        return self.away / np.maximum(self.days, 1)

    @cached_property
    def texts(self) -> list[str]:
        """What a search looks at: the name and all that is shown beside it."""
        return [" ".join([p.name, *(value for _, value in p.shown)]).casefold() for p in self._cohort.persons]


def read_choice(form: Mapping[str, Any]) -> ListView:
    """The choice in a form; what is unknown is as if it were not there."""
    shown = str(form.get("filter", "all"))
    order, down = str(form.get("order", "share")), str(form.get("down", "1")) == "1"
    clicked = str(form.get("sort", ""))
    if clicked:
        order, down = clicked, not down if clicked == order else clicked != "name"
    page = str(form.get("page", "0"))
    return ListView(
        str(form.get("search", ""))[:MAX_SEARCH],
        shown if shown in FILTERS else "all",
        order,
        down,
        int(page) if page.isdecimal() and len(page) < 9 and not clicked else 0,
    )


def shown_columns(cohort: Cohort) -> list[int]:
    """The features that stand in the list: those that move the classifier most."""
    return [int(j) for j in cohort.task.once(Influence).order[:SHOWN]]


def chosen(cohort: Cohort, choice: ListView) -> Ints:
    """Numbers of the people that a choice leaves, in its order."""
    totals = Totals(cohort)
    keep = np.ones(len(cohort.persons), dtype=bool)
    if choice.filter != "all":
        keep &= (totals.away == 0) == (choice.filter == "there")
    words = choice.search.casefold().split()
    if words:
        keep &= np.array([all(word in text for word in words) for text in totals.texts], dtype=bool)
    at = np.flatnonzero(keep)
    keys: list[np.ndarray]
    if choice.order == "name":
        keys = [np.array([_natural(cohort.persons[k].name) for k in at], dtype=str)]
    elif choice.order == "latest":
        keys = [1.0 - totals.chance[at]]
    elif choice.order.isdecimal() and int(choice.order) < len(cohort.columns):
        keys = [cohort.rows[totals.latest[at], int(choice.order)]]
    else:
        keys = [1.0 - totals.chance[at], totals.share[at]]
    order = np.lexsort(keys)
    blank = np.isnan(keys[-1][order]) if keys[-1].dtype.kind == "f" else np.zeros(len(order), dtype=bool)
    known = order[~blank]
    return np.concatenate([at[known[::-1] if choice.down else known], at[order[blank]]])


def named(cohort: Cohort, search: str) -> Person | None:
    """The one person of that very name, or the only one that a search finds; None where there is none such."""
    wanted = " ".join(search.casefold().split())
    if not wanted:
        return None
    exact = [person for person in cohort.persons if person.name.casefold() == wanted]
    if len(exact) == 1:
        return exact[0]
    found = chosen(cohort, ListView(search=search))
    return cohort.persons[int(found[0])] if len(found) == 1 else None


def _natural(name: str) -> str:
    """A name such that person 9 comes before person 10."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(12), name.casefold())


def read_upload(content: bytes, task: Task) -> pd.DataFrame:
    """Rows of an uploaded CSV file, in the schema's columns. Raises `InputError` for what cannot be used."""
    with tempfile.TemporaryDirectory(prefix="sensecf-") as folder:
        path = Path(folder) / "people.csv"
        path.write_bytes(content)
        try:
            frame = read_table(path, task.schema)
        except InputError as error:
            raise InputError(str(error).replace(str(path), "the file")) from error
    absent = [name for name in task.schema.names if name not in frame.columns]
    if absent:
        raise InputError(f"the file has no column {absent[0]!r}, which the schema lists ({len(absent)} absent)")
    frame = frame[[*task.schema.names, *(name for name in task.schema.kept if name in frame.columns)]]
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame
