"""Groups of people by protected features and by pairs of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.data.infer.names import is_protected, parse_names
from sensecf.metrics.gaps import FEWEST_SHOWN
from sensecf.runs.whose import People

#: A number with more values than this is cut into `PARTS` by people.
FEW, PARTS = 6, 3
#: What stands where nothing is stated.
UNSTATED = "not stated"
#: Between the two of a pair.
AND = " × "


@dataclass(frozen=True)
class Attribute:
    """A protected feature, or a pair of them.

    `label`: the group of every row of the table, by its index.
    """

    name: str
    label: pd.Series[Any]
    pair: bool = False

    def of(self, rows: pd.Index[Any]) -> np.ndarray[Any, Any]:
        """The group of some rows, shape (n,)."""
        return self.label.reindex(rows).fillna(UNSTATED).astype(str).to_numpy()


def attributes(people: People, names: tuple[str, ...] = ()) -> tuple[list[Attribute], str]:
    """The protected features and their pairs, and where they are from, in words.

    `names`: features, or other columns of the table; else those that the schema protects; else those whose names say
    so. Raises `InputError` where there are none, or a name is no column.
    """
    found, why = protected(people, names)
    frame = people.raw
    singles = []
    for name in found:
        if name not in frame.columns:
            raise InputError(
                f"--protected {name}: the table has no column of that name; its columns are "
                f"{', '.join(map(str, frame.columns))}"
            )
        if name in (people.schema.person, people.schema.when):
            raise InputError(
                f"--protected {name}: that says whose row it is or when, which is no group; name a feature such as sex"
            )
        singles.append(Attribute(name, cut(frame[name], people.persons(frame))))
    pairs = [
        Attribute(f"{a.name}{AND}{b.name}", a.label + AND + b.label, pair=True) for a, b in combinations(singles, 2)
    ]
    return singles + pairs, why


def protected(people: People, names: tuple[str, ...] = ()) -> tuple[list[str], str]:
    """The names of protected columns, and where they are from."""
    schema = people.schema
    if names:
        return list(names), "as named with --protected"
    if found := [f.name for f in schema.features if f.protected]:
        return found, "as the schema protects them"
    words = parse_names(schema.names)
    if found := [name for name in schema.names if is_protected(words[name].words)]:
        return found, "guessed from their names; write protected = true in the schema where that is right"
    raise InputError(
        "no feature is protected: write protected = true at those by which people are to be compared, "
        "or name columns of the table with --protected"
    )


def cut(values: pd.Series[Any], persons: np.ndarray[Any, Any]) -> pd.Series[Any]:
    """The group of each row as text: levels as they are, numbers with many values in parts of as many people."""
    text = values.astype("string").str.replace(r"\.0$", "", regex=True).fillna(UNSTATED)
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values) or values.nunique() <= FEW:
        return text
    first = values.groupby(persons).first()
    edges = np.unique(np.quantile(first.dropna(), np.linspace(0, 1, PARTS + 1)[1:-1], method="higher"))
    part = np.searchsorted(edges, values.to_numpy(float), side="right")
    for number in range(len(edges) + 1):
        inside = values[(part == number) & values.notna().to_numpy()]
        if len(inside):
            text[inside.index] = f"{inside.min():g} to {inside.max():g}"
    return text


def shown(labels: np.ndarray[Any, Any], persons: np.ndarray[Any, Any]) -> tuple[list[str], int]:
    """The groups with enough people to be shown, sorted as numbers where they begin with one, and how many are not."""
    counts = pd.Series(persons).groupby(labels).nunique()
    kept = sorted((str(name) for name in counts.index[counts >= FEWEST_SHOWN]), key=_order)
    return kept, len(counts) - len(kept)


def _order(name: str) -> tuple[float, str]:
    try:
        return float(name.split(" ")[0]), name
    except ValueError:
        return float("inf"), name
