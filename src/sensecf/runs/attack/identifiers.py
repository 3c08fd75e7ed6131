"""Names of people in files that are handed on: identifiers of the table, its dates, and what is shown beside a row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from sensecf.core.files import read_text
from sensecf.core.schema import FeatureSchema
from sensecf.data.whose import whose

#: Kinds of files that are read, and the most that is read of one.
KINDS = (".csv", ".json", ".html", ".md", ".txt", ".toml", ".xml", ".svg")
LARGEST = 20_000_000
#: A shorter identifier, or one that is a small number, stands everywhere by chance.
SHORTEST = 4


class Hit(NamedTuple):
    """A file and the column of the table whose values stand in it, how many of them, and an example's length."""

    file: str
    column: str
    values: int
    of: int


def identifiers(schema: FeatureSchema, table: pd.DataFrame) -> dict[str, set[str]]:
    """What names people, by column: persons, dates and times, and what is shown beside rows."""
    found = whose(schema, table)
    if schema.group is not None and schema.group in table:
        found[schema.group] = table[schema.group].astype(str)
    out: dict[str, set[str]] = {}
    for name in found:
        values = {str(v).strip() for v in found[name].dropna().unique()}
        kept = {v for v in values if len(v) >= SHORTEST and not re.fullmatch(r"[\d.]{1,5}", v)}
        if kept:
            out[str(name)] = kept
    return out


def scan(folder: Path, files: Iterable[Path], known: dict[str, set[str]]) -> list[Hit]:
    """The files of a run, and others that were made from it, in which identifiers stand as whole words."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix.lower() in KINDS]
    hits = []
    for path in [*paths, *files]:
        if path.stat().st_size > LARGEST:
            continue
        words = set(re.findall(r"[^\s,;\"'<>(){}\[\]|=]+", read_text(path)))
        name = str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
        for column, values in known.items():
            if there := values & words:
                hits.append(Hit(name, column, len(there), len(values)))
    return hits
