"""The languages of the plan sheet: one TOML file each, read, checked, and used to write numbers and times."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypedDict

from sensecf.core.errors import InputError
from sensecf.core.kept import check_type, read_toml
from sensecf.data.infer.units import one_unit

#: Where the languages lie that come along.
FOLDER = Path(__file__).parent / "languages"
#: The language that says which keys there are.
REFERENCE = "en"

#: What is worth saying of a unit: what a watch shows and a kitchen weighs.
_SENSIBLE = {"h": 1 / 12, "min": 5.0, "steps": 100.0, "m": 100.0, "g": 5.0, "mg": 10.0}
_BRACES = re.compile(r"\{(\w*)\}")


class Action(TypedDict):
    """What a person does with one feature: its short name, and the sentences for more of it and for less."""

    short: str
    more: str
    less: str


class _Values(TypedDict):
    hours_minutes: str
    hours: str
    minutes: str
    kilometres: str
    steps: str
    other: str


class _Other(TypedDict):
    more: str
    less: str
    level: str


class _File(TypedDict):
    code: str
    name: str
    dir: Literal["ltr", "rtl"]
    decimal: str
    thousands: str
    date: str
    months: tuple[str, str, str, str, str, str, str, str, str, str, str, str]
    weekdays: tuple[str, str, str, str, str, str, str]
    text: dict[str, str]
    values: _Values
    other: _Other
    features: dict[str, Action]


@dataclass(frozen=True)
class Language:
    """A language, as its file says it."""

    file: _File

    def text(self, key: str, **filled: object) -> str:
        """A text of the sheet, its braces filled."""
        return _fill(self.file["text"][key], **filled)

    def number(self, value: float, decimals: int = 0) -> str:
        """A number as it is written: 1,500.5 or 1.500,5."""
        plain = f"{round(value, decimals) + 0.0:,.{decimals}f}"
        marks = {",": self.file["thousands"], ".": self.file["decimal"]}
        return "".join(marks.get(letter, letter) for letter in plain)

    def day(self, when: date) -> str:
        """A date as it is written."""
        month = self.file["months"][when.month - 1]
        return _fill(self.file["date"], day=when.day, month=month, year=when.year)

    def value(self, amount: float | str, unit: str, decimals: int = 0) -> str:
        """An amount as people say it: hours and minutes, kilometres, steps; another unit as it stands."""
        if isinstance(amount, str):
            return amount
        words = self.file["values"]
        unit = one_unit(unit)
        if unit in ("min", "h"):
            return self._duration(amount * (60 if unit == "h" else 1))
        if unit == "m" and abs(amount) >= 1000:
            return _fill(words["kilometres"], n=self.number(amount / 1000, 1))
        if unit == "steps":
            return _fill(words["steps"], n=self.number(amount))
        return _fill(words["other"], n=self.number(amount, decimals), unit=unit).strip()

    def _duration(self, minutes: float) -> str:
        words, (hours, rest) = self.file["values"], divmod(round(minutes), 60)
        if hours and rest:
            return _fill(words["hours_minutes"], hours=self.number(hours), minutes=rest)
        return _fill(words["hours"], hours=self.number(hours)) if hours else _fill(words["minutes"], minutes=rest)

    def short(self, feature: str, label: str) -> str:
        """The short name of a feature."""
        known = self.file["features"].get(feature)
        return label if known is None else known["short"]

    def action(self, feature: str, label: str, after: str, delta: float | None) -> str:
        """What a person does, as a sentence; `delta` is None for a level."""
        if delta is None:
            return _fill(self.file["other"]["level"], label=label, after=after)
        known: Any = self.file["features"].get(feature, self.file["other"])
        return _fill(known["more" if delta > 0 else "less"], label=label, after=after)


def _fill(text: str, **filled: object) -> str:
    """The braces of a text filled, by name; what is filled in may hold braces itself."""
    return _BRACES.sub(lambda found: str(filled[found[1]]), text)


def rounded(value: float, delta: float, unit: str, step: float) -> float:
    """A goal as a watch or a kitchen knows it: 100 steps, 100 m, 5 minutes, 5 g; never short of `value` on the way
    that `delta` goes."""
    by = max(
        {"h": 1 / 12, "steps": 100.0, "m": 100.0, "min": 5.0, "g": 5.0, "mg": 10.0}.get(one_unit(unit), step), step
    )
    toward = math.ceil if delta > 0 else math.floor
    return toward(value / by + (-1e-9 if delta > 0 else 1e-9)) * by


def about(value: float, unit: str) -> float:
    """A value as it is remembered: the nearest 100 steps, 5 minutes; another unit as it stands."""
    by = _SENSIBLE.get(one_unit(unit))
    return value if by is None else round(value / by) * by


def languages() -> list[str]:
    """The languages that come along."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_language(name: str | Path) -> Language:
    """A language by its code ("de"), or from a TOML file of anybody's.

    Raises `InputError` for one that is not there, and naming the file and the key for one that lacks a text, has a text
    of another type, or braces that nothing fills.
    """
    path = Path(name) if str(name).endswith(".toml") else FOLDER / f"{name}.toml"
    if path.parent == FOLDER and path.stem not in languages():
        raise InputError(
            f"language {str(name)!r} is unknown; use {', '.join(languages())}, or a file of yours made like "
            f"{REFERENCE}.toml (docs/record.md)"
        )
    found = read_toml(path)
    for key in ("text", "values", "other", "features"):
        if key not in found:
            raise InputError(f"{path}: [{key}] is absent; copy it from {REFERENCE}.toml and translate it")
    try:
        check_type(found, _File, str(path))
    except InputError as error:
        raise InputError(f"{error}; {REFERENCE}.toml shows every key") from error
    _check(found, path, read_toml(FOLDER / f"{REFERENCE}.toml"))
    return Language(found)  # type: ignore[arg-type]


def _check(found: Mapping[str, Any], path: Path, model: Mapping[str, Any]) -> None:
    """Raise `InputError` for a text that the reference has and this file lacks, or that has other braces."""
    sections = {"text": model["text"], "values": model["values"], "other": model["other"]}
    sections |= {f"features.{name}": model["features"]["steps"] for name in found["features"]}
    for section, texts in sections.items():
        head, _, rest = section.partition(".")
        here = found[head][rest] if rest else found[head]
        for key, text in texts.items():
            if key not in here:
                raise InputError(
                    f"{path}, [{section}]: {key} is absent; in {REFERENCE}.toml it says {text!r}: translate it"
                )
            odd = set(_BRACES.findall(here[key])) - set(_BRACES.findall(text)) - {"label"}
            if odd:
                raise InputError(
                    f"{path}, [{section}], {key}: nothing fills {{{sorted(odd)[0]}}}; see {REFERENCE}.toml"
                )
