"""The list of people: searched, filtered, sorted, a page at a time; and people from an uploaded file."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.neighbours import Influence
from sensecf.core.task import Ints, Task
from sensecf.data.tables import read_table
from sensecf.web.cohort import Cohort

#: People on one page of the list.
PAGE = 50
#: Longest search, in characters.
MAX_SEARCH = 100
#: Features shown in the list beside each person.
SHOWN = 3
FILTERS = {"all": "Everybody", "away": "Not in the wanted class", "there": "In the wanted class"}
ORDERS = ("risk", "name", "verdict")


@dataclass(frozen=True)
class ListView:
    """What the list is asked to show. `order`: a name of `ORDERS`, or the position of a feature."""

    search: str = ""
    filter: str = "all"
    order: str = "risk"
    down: bool = True
    page: int = 0


def read_choice(form: Mapping[str, Any]) -> ListView:
    """The choice in a form; what is unknown is as if it were not there."""
    shown = str(form.get("filter", "all"))
    order, down = str(form.get("order", "risk")), str(form.get("down", "1")) == "1"
    clicked = str(form.get("sort", ""))
    if clicked:
        order, down = clicked, not down if clicked == order else clicked == "risk"
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
    """Positions of the people that a choice leaves, in its order."""
    keep = np.ones(len(cohort), dtype=bool)
    if choice.filter != "all":
        keep &= (cohort.predicted == cohort.position) == (choice.filter == "there")
    words = choice.search.casefold().split()
    if words:
        keep &= np.array([all(word in name.casefold() for word in words) for name in cohort.names], dtype=bool)
    at = np.flatnonzero(keep)
    if choice.order == "name":
        keys = np.array([_natural(cohort.names[k]) for k in at], dtype=str)
    elif choice.order == "verdict":
        keys = cohort.predicted[at]
    elif choice.order.isdecimal() and int(choice.order) < len(cohort.columns):
        keys = cohort.rows[at, int(choice.order)]
    else:
        keys = 1.0 - cohort.chance[at]
    order = np.argsort(keys, kind="stable")
    blank = np.isnan(keys[order]) if keys.dtype.kind == "f" else np.zeros(len(order), dtype=bool)
    known = order[~blank]
    return np.concatenate([at[known[::-1] if choice.down else known], at[order[blank]]])


def _natural(name: str) -> str:
    """A name such that person 9 comes before person 10."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(12), name.casefold())


def read_upload(content: bytes, task: Task) -> pd.DataFrame:
    """People of an uploaded CSV file, in the schema's columns. Raises `InputError` for what cannot be used."""
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
    group = task.schema.group
    frame = frame[[*task.schema.names, *([group] if group in frame.columns else [])]]
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame
