"""`Source`: the files of one person, found before anything is read, and small readers shared by the formats."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.sensors.recording import Facts
from sensecf.sensors.report import Report

#: Glucose: 1 mmol/L in mg/dL.
MGDL_PER_MMOL = 18.0156
#: A single export file larger than this is refused: it would not fit in memory several times over.
LARGEST_FILE = 1 << 30


@dataclass(frozen=True)
class Source:
    """One person's files by kind, what is known of the person, and the time zone of UTC times ("": not known).

    `daily`: values by feature and day number, of formats whose one table holds everybody. `day_first`: how dates
    that could be either are to be read; None: as the file itself tells.
    """

    person: str
    files: dict[str, tuple[Path, ...]]
    facts: Facts = field(default_factory=dict)
    timezone: str = "UTC"
    daily: dict[str, dict[int, float]] = field(default_factory=dict)
    day_first: bool | None = None


def find_files(
    root: Path, patterns: Mapping[str, Sequence[str]], timezone: str, folders_are_people: bool, expected: str
) -> list[Source]:
    """The sources below `root` by file name patterns (glob, at any depth).

    `root` is one person's export, or, with `folders_are_people`, each of its folders is one.
    Raises `InputError` when nothing matches; `expected` says what was looked for.
    """
    if not root.exists():
        raise InputError(f"{root} does not exist; give the folder or file of the export")
    if root.is_file():
        found: dict[str, tuple[Path, ...]] = {
            kind: (root,) for kind, globs in patterns.items() if any(root.match(glob) for glob in globs)
        }
        sources = [Source(root.stem, found, timezone=timezone)] if found else []
    else:
        folders = sorted(child for child in root.iterdir() if child.is_dir()) if folders_are_people else [root]
        sources = [
            Source(folder.resolve().name, files, timezone=timezone)
            for folder in folders
            if (files := _matches(folder, patterns))
        ]
    if not sources:
        raise InputError(f"{root} holds no {expected}; see docs/sensors.md for what each format looks like")
    return sources


def _matches(folder: Path, patterns: Mapping[str, Sequence[str]]) -> dict[str, tuple[Path, ...]]:
    found = {
        kind: tuple(sorted({path for glob in globs for path in folder.rglob(glob) if path.is_file()}))
        for kind, globs in patterns.items()
    }
    return {kind: paths for kind, paths in found.items() if paths}


def read_bytes(path: Path, report: Report) -> bytes | None:
    """The file's bytes; None, with the reason in the report, when it cannot be read, is empty, or is too large."""
    report.seen["files"] += 1
    try:
        if path.stat().st_size > LARGEST_FILE:
            report.reject("file", "larger than 1 GiB", path.name)
            return None
        data = path.read_bytes()
    except OSError as error:
        report.reject("file", f"cannot be read: {error.strerror}", path.name)
        return None
    if not data.strip():
        report.reject("file", "empty", path.name)
        return None
    return data


def read_json(path: Path, report: Report) -> Any:
    """The file's JSON; None, with the reason in the report, when it is none."""
    data = read_bytes(path, report)
    if data is None:
        return None
    try:
        # The bare NaN that some writers leave is not JSON, but the standard reader takes it.
        content = json.loads(data)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        report.reject("file", "not JSON (cut off or damaged)", path.name)
        return None
    if content is None:
        report.reject("file", "holds only null", path.name)
    return content


def numbers(values: Iterable[Any]) -> Floats:
    """Values as floats, shape (n,); numeric text counts, everything else is NaN."""
    return np.array([_number(value) for value in values], dtype=float)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def decode(data: bytes) -> str:
    """The text of a file: by its byte order mark, else UTF-16 where zeros say so, UTF-8, or the Windows code page."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    head = data[:1000]
    if head.count(0) > len(head) // 4:
        low_first = head[1::2].count(0) >= head[::2].count(0)
        return data.decode("utf-16-le" if low_first else "utf-16-be", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Spreadsheets save in the Windows code page, in which every byte is a character.
        return data.decode("cp1252", errors="replace")


def _delimiter(lines: Sequence[str]) -> str:
    """The mark between cells, of comma, semicolon, tab and bar: the one that makes the most cells of the lines."""

    def cells(mark: str) -> int:
        try:
            return sum(len(row) - 1 for row in csv.reader(lines, delimiter=mark) if row)
        except csv.Error:
            return 0

    return max(",;\t|", key=cells)


def read_rows(path: Path, report: Report, delimiter: str | None = None) -> list[list[str]]:
    """The rows of a delimited text file, blanks stripped; rows after damage are lost, and that is reported.

    Encoding and delimiter are found from the file; a line `sep=;` of a spreadsheet settles the latter.
    """
    data = read_bytes(path, report)
    if data is None:
        return []
    rows: list[list[str]] = []
    text = decode(data).replace("\0", "")
    first, _, rest = text.partition("\n")
    if re.fullmatch(r"\s*\"?sep=[,;\t|]\"?\s*", first):
        delimiter, text = first.strip(' "\r')[-1], rest
    delimiter = delimiter or _delimiter(text[:20_000].splitlines()[:60])
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            # Some spreadsheets quote a whole line once more.
            cells = next(csv.reader(row, delimiter=delimiter)) if len(row) == 1 and delimiter in row[0] else row
            rows.append([cell.strip() for cell in cells])
    except csv.Error as error:
        report.reject("file", f"damaged after the first rows: {error}", path.name)
    return rows


def column(rows: list[list[str]], index: int) -> list[str]:
    """One column; blank where a row is too short."""
    return [row[index] if index < len(row) else "" for row in rows]
