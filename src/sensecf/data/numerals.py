"""Numbers as people write them: marks, units, percent, durations, blood pressure, detection limits.

`1,234` is one thousand two hundred and thirty-four in one country and a little more than one in another. Which is
meant is settled by the whole file (`settle`): every cell rules out the conventions under which it is no number, and
what is left must agree. Where it does not, the column gets a `Doubt` with both readings instead of a guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import NamedTuple

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.rules import Bools, Floats


class Marks(NamedTuple):
    """How numbers are written: the mark before decimals ("." or ",") and the one between thousands ("" for unsaid)."""

    decimal: str = "."
    thousands: str = ""


#: The conventions that a file may follow. Each allows numbers without a thousands mark too.
CONVENTIONS = tuple(Marks(decimal, mark) for decimal, other in (".,", ",.") for mark in (other, " ", "'"))
#: What a user may say: the decimal mark, and the thousands mark.
DECIMALS, THOUSANDS = (".", ","), (",", ".", " ", "'")

# Other characters for minus, blank, apostrophe and the marks.
_SAME = str.maketrans(
    {"−": "-", "–": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "＇": "'", "μ": "µ", "＋": "+"}
    | {"－": "-", "．": ".", "，": ",", "％": "%", "·": ".", "٫": ".", "٬": ",", "٪": "%"}
)
# Ways to write a number around its digits: ="12" and '12 of spreadsheets, (12) and 1.20- of accounts, 1.2×10^3.
_KEPT_AS_TEXT = re.compile(r"""="(?P<formula>[^"]*)"|'(?P<quoted>[^']*)""")
_BELOW_ZERO = re.compile(r"\((?P<braced>[€$£¥₹₽₺₩]? ?[0-9][0-9.,' ]*)\)|(?P<trailing>[0-9]+[.,' ][0-9.,' ]*)-")
_POWER = re.compile(r"(?P<number>[+-]?[0-9]+(?:[.,][0-9]+)?) ?[×xX*] ?10(?:\^|\*\*)?(?P<power>[+-]?[0-9]{1,2})")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
# What begins like a quantity, and is no date.
_BEGINS = re.compile(
    r"(?:[^\w\s]|ca?\.|approx\.?|about)?[^\w\s]? ?[0-9]|(?:[A-Z]{3}|[A-Z]{1,2}[$£]|Rs\.?|[kK]r\.?|zł|Kč|Ft|лв) ?[0-9+-]"
)
_DATE = re.compile(r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}(?:[T ].*)?")
_MONEY = r"EUR|USD|GBP|CHF|SEK|NOK|DKK|CAD|AUD|INR|BRL|PLN|CZK|HUF|JPY|CNY|Rs\.?|[kK]r\.?|zł|Kč|Ft"  # before a number
_CELL = re.compile(
    rf"(?P<bound>[<>≤≥]=?)? ?(?P<money>[A-Z]{{0,2}}[€$£¥₹₽₺₩]|(?:{_MONEY})(?= ?[0-9+-]))? ?"
    r"(?P<number>[+-]?(?:[0-9]+(?:[.,' ][0-9]+)*\.?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r" ?(?P<unit>%|‰|[€$£¥₹₽₺₩]|[^\W\d_°%][^\s<>=,;:]*|°[CFcf]?)?"
)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_HOURS = (
    r"h|hr|hrs|hours?|std|stunden?|heures?|horas?|or[ae]|uur|uren|tim|timm(?:e|ar)|timer?|tuntia?|godz|godzin[ay]?|"
    r"hod|hodin[ay]?|óra|saat"
)
_MINUTES = r"m|mins?|minutes?|minuten|minut[oi]s?|minuut|minut(?:ter|er|y)?|minuuttia?|perc|dk|dakika|'|′"
_SECONDS = r"s|secs?|seconds?|sek|sekunden?|secondes?|segundos?|second[oi]|seconden|sekund(?:er|y)?|sekuntia?"
_DAYS = r"d|days?|tage?|jours?|j|d[ií]as?|giorn[oi]|dag(?:en|ar|er|e)?|dygn|døgn|dni"
# "t" (Danish, Norwegian) and "u" (Dutch) are hours only where minutes follow: 5 t may be tonnes.
_SHORT_HOURS = r"[tu](?=\.?,? ?[0-9])"
_DURATION = re.compile(
    rf"(?:(?P<d>[0-9]+) ?(?:{_DAYS})\.?,? ?)?(?:(?P<h>[0-9]+(?:[.,][0-9]+)?) ?(?:{_HOURS}|{_SHORT_HOURS})\.?,? ?)?"
    rf"(?:(?P<m>[0-9]+(?:[.,][0-9]+)?) ?(?:{_MINUTES})?\.?,? ?)?(?:(?P<s>[0-9]+(?:[.,][0-9]+)?) ?(?:{_SECONDS})\.?)?"
)
_DAYS_AND_CLOCK = re.compile(
    rf"(?P<d>[0-9]+) ?(?:{_DAYS}),? (?P<clock>[0-9]{{1,2}}:[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?)"
)
_CLOCK = re.compile(r"(?P<h>[0-9]{1,3}):(?P<m>[0-5][0-9])(?::(?P<s>[0-5][0-9](?:\.[0-9]+)?))?")
_CLOCK_IN_HOURS = re.compile(rf"(?P<clock>[0-9]{{1,3}}:[0-5][0-9](?::[0-5][0-9])?) ?(?:{_HOURS})\.?")
_PRESSURE = re.compile(r"(?P<high>[0-9]{2,3}) ?/ ?(?P<low>[0-9]{2,3})(?: ?mm ?[Hh][Gg])?")
_TIME_UNITS = re.compile(rf"(?:{_HOURS}|{_MINUTES}|{_SECONDS})\.?", re.IGNORECASE)


class Cell(NamedTuple):
    """A cell that holds one number: the number as written, its unit, and "<" or ">" before a detection limit."""

    number: str
    unit: str = ""
    bound: str = ""


class Doubt(NamedTuple):
    """Why a column of numbers cannot be read: a sentence without the column's name, and what to do."""

    why: str


def split(text: str) -> Cell | None:
    """A text taken apart ("4,3mmol/L", "<0.5", "$1,200", "83 %"), None where it is no number in any convention."""
    found = _CELL.fullmatch(_same(text))
    if found is None or not any(_pattern(marks).fullmatch(found["number"]) for marks in CONVENTIONS):
        return None
    return Cell(found["number"], found["unit"] or found["money"] or "", (found["bound"] or "")[:1])


def begins_as_number(text: str) -> bool:
    """Whether a text begins as a quantity does ("~ 6.5", "6.5 ± 0.2", "7:32", "18-25"), and is no date.

    >>> begins_as_number("ca. 6,5"), begins_as_number("EUR 12"), begins_as_number("2024-05-01"), begins_as_number("A1")
    (True, True, False, False)
    """
    text = _same(text)
    return _BEGINS.match(text) is not None and _DATE.fullmatch(text) is None


def number(text: str, marks: Marks = CONVENTIONS[0]) -> float:
    """The value of a number as written (sign, marks, exponent; no unit), NaN where it is none under the marks."""
    return float(_values([text], marks)[0])


def numbers(texts: Iterable[str], marks: Marks = CONVENTIONS[0]) -> Floats:
    """The values of texts, shape (n,): units are dropped; NaN for words, blanks and detection limits."""
    cells = [split(text) for text in texts]
    return _values(["" if cell is None or cell.bound else cell.number for cell in cells], marks)


def settle(
    columns: Mapping[str, Collection[str]],
    said: Marks | None = None,
    assume: str = "",
    fits: Callable[[str, Floats], bool] | None = None,
) -> dict[str, Marks | Doubt]:
    """The marks of each column of one file, from its distinct texts (words and blanks among them are passed over).

    A column that leaves both decimal marks possible follows the other columns of the file. `said`: marks that a
    person stated ("" for one that was not). `assume`: the decimal mark of a file without evidence ("." for
    comma-separated ones; never where whole numbers stand beside "1.234"). `fits(name, values)`: whether
    values can be the column's, where something is known of it. Otherwise a column gets a `Doubt`.
    """
    written = {name: _written(texts) for name, texts in columns.items()}
    possible = {name: _conventions(texts, said) for name, texts in written.items()}
    whole = set(CONVENTIONS).intersection(*possible.values())
    return {
        name: _settled(written[name], left & whole or left, said, assume, None if fits is None else partial(fits, name))
        for name, left in possible.items()
    }


def marks_of(columns: Mapping[str, Collection[str]], where: str, said: Marks | None = None) -> dict[str, Marks]:
    """The marks of each column of one file (see `settle`). Raises `InputError` naming the column of a doubt."""
    out = {}
    for name, found in settle(columns, said).items():
        if isinstance(found, Doubt):
            raise InputError(f"{where}, column {name!r}: {found.why}")
        out[name] = found
    return out


@dataclass(frozen=True)
class Reading:
    """The distinct texts of a column, read.

    `values`: shape (n,), for blood pressure (n, 2), systolic first; NaN where a text is no such value.
    `kind`: "number", "duration" (in minutes), "clock" (of a day, or hours and minutes: minutes) or "pressure" (mmHg).
    `unit`: what stands behind every number, "" for nothing.
    """

    values: Floats
    kind: str
    unit: str = ""

    @cached_property
    def stray(self) -> Bools:
        """Which texts are no values, shape (n,)."""
        return np.isnan(self.values if self.values.ndim == 1 else self.values[:, 0])


def read(texts: Sequence[str], marks: Marks = CONVENTIONS[0]) -> Reading:
    """Distinct, non-blank texts as the kind of value that most of them are; `Reading.stray` marks the others."""
    plain = Reading(_values(texts, marks), "number")
    if not plain.stray.any():
        return plain
    texts = [_same(text) for text in texts]
    pairs = np.array([_pressure(text) for text in texts], dtype=float).reshape(-1, 2)
    readings = [_with_unit(texts, marks), Reading(pairs, "pressure", "mmHg")]
    readings += [
        Reading(np.array([minutes(text) for text in texts], dtype=float), kind, "min")
        for kind, minutes in (("duration", _duration), ("clock", _clock))
    ]
    return min(readings, key=lambda reading: int(reading.stray.sum()))


def _with_unit(texts: Sequence[str], marks: Marks) -> Reading:
    """Numbers with the unit that most of them have; a number with another unit, or without, is a stray."""
    cells = [split(text) for text in texts]
    counts = Counter(_plain_unit(cell.unit) for cell in cells if cell is not None and not cell.bound)
    plain = counts.most_common(1)[0][0] if counts else ""
    unit = next((c.unit for c in cells if c is not None and _plain_unit(c.unit) == plain), "")
    if _TIME_UNITS.fullmatch(plain) and plain != "m":  # metres
        return Reading(np.array([_duration(text) for text in texts], dtype=float), "duration", "min")
    values = ["" if c is None or c.bound or _plain_unit(c.unit) != plain else c.number for c in cells]
    return Reading(_values(values, marks), "number", unit)


def _plain_unit(unit: str) -> str:
    """A unit such that "Days", "day" and "days." are one."""
    unit = unit.lower().rstrip(".")
    return unit.removesuffix("s") if len(unit) > 3 else unit


# --- conventions ---


def _same(text: str) -> str:
    """A text without blanks around it and with one character for minus, blank and apostrophe."""
    if not text.isascii():
        text = text.translate(_SAME)
        if any(c in "⁰¹²³⁴⁵⁶⁷⁸⁹" for c in text) and "10" in text:
            text = text.translate(_SUPERSCRIPTS)
        # The digits of any script; what else there is stays.
        text = "".join(str(unicodedata.decimal(c)) if c > "\x7f" and c.isdecimal() else c for c in text)
    text = text.strip()
    if text[:1] in ("=", "'") and (kept := _KEPT_AS_TEXT.fullmatch(text)):
        text = (kept["formula"] if kept["quoted"] is None else kept["quoted"]).strip()
    if text[-1:] in (")", "-") and (below := _BELOW_ZERO.fullmatch(text)):
        return "-" + (below["braced"] or below["trailing"]).strip()
    if "10" in text and (power := _POWER.fullmatch(text)):
        return f"{power['number']}e{power['power']}"
    return text


def _values(texts: Sequence[str], marks: Marks) -> Floats:
    """Values of numbers as written, NaN where a text is none under the marks."""
    patterns = [_pattern(rule) for rule in _matching(marks)]
    others = [mark for mark in THOUSANDS if mark != marks.decimal]
    out = np.full(len(texts), np.nan)
    for i, text in enumerate(map(_same, texts)):
        if any(pattern.fullmatch(text) for pattern in patterns):
            for mark in others:
                text = text.replace(mark, "")
            out[i] = float(text.replace(",", "."))
        elif _INFINITE.fullmatch(text):
            out[i] = float(text)
    return out


@cache
def _pattern(marks: Marks) -> re.Pattern[str]:
    mark, decimals = re.escape(marks.thousands), r"\.[0-9]*" if marks.decimal == "." else ",[0-9]+"
    # Lakh and crore: 12,34,567. Nobody groups the digits before an exponent.
    groups = r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}" if marks == Marks(".", ",") else ""
    grouped = rf"(?:[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+{groups})(?:{decimals})?"
    plain = rf"(?:[0-9]+(?:{decimals})?|{re.escape(marks.decimal)}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    return re.compile(rf"[+-]?(?:{grouped}|{plain})")


def _matching(said: Marks) -> list[Marks]:
    """The conventions that agree with what was said."""
    return [c for c in CONVENTIONS if said.decimal in ("", c.decimal) and said.thousands in ("", c.thousands)]


def _written(texts: Collection[str]) -> list[str]:
    """The numbers of a column as written; none where most of its texts are something else (detection limits, too)."""
    cells = [cell.number for cell in map(split, texts) if cell is not None and not cell.bound]
    return cells if 2 * len(cells) >= len(texts) else []


def _conventions(written: Sequence[str], said: Marks | None) -> set[Marks]:
    """The conventions under which every number is one. A pass for each is faster than all of them for each number."""
    return {c for c in _matching(said or Marks("", "")) if all(map(_pattern(c).fullmatch, written))}


def _settled(
    written: list[str], left: set[Marks], said: Marks | None, assume: str, fits: Callable[[Floats], bool] | None
) -> Marks | Doubt:
    marked = [text for text in written if "." in text or "," in text]
    if not left:
        return _contradiction(written, said)
    decimals = sorted({marks.decimal for marks in left}) if marked else [max(left).decimal]
    if len(decimals) > 1 and fits is not None:
        values = {d: np.array([number(text, Marks(d)) for text in marked]) for d in decimals}
        decimals = [d for d in decimals if fits(values[d])] or decimals
    if len(decimals) > 1 and assume and all(assume in text for text in written):
        decimals = [assume]
    if len(decimals) > 1:
        low, high = sorted(number(marked[0], Marks(d)) for d in decimals)
        return Doubt(
            f"{marked[0]!r} is {low:g} or {high:g}, and nothing in the file settles which; "
            "say --decimal . or --decimal , (in Python decimal=)"
        )
    return next(marks for marks in CONVENTIONS if marks in left and marks.decimal == decimals[0])


def _contradiction(written: list[str], said: Marks | None) -> Doubt:
    """What is said of a column whose numbers follow no convention together."""
    left = set(CONVENTIONS)
    for text in written:
        left &= _conventions([text], said)
        if not left:
            break
    other = next((t for t in written if not _conventions([t, text], said)), text)
    if other == text:
        return Doubt(f"{text!r} is no number with the marks that were stated; state others, or mend the value")
    return Doubt(f"{other!r} and {text!r} follow different conventions; write all numbers of the column in one way")


# --- kinds of values ---


def _pressure(text: str) -> tuple[float, float]:
    found = _PRESSURE.fullmatch(text)
    if found and 50 <= int(found["high"]) <= 300 and 20 <= int(found["low"]) < int(found["high"]):
        return float(found["high"]), float(found["low"])
    return np.nan, np.nan


def _duration(text: str) -> float:
    """Minutes of "7h 32m", "1 d 2 h", "45 min", "90 s"; NaN where the text is none or names no unit."""
    text = text.lower()
    if days := _DAYS_AND_CLOCK.fullmatch(text):
        return 1440 * float(days["d"]) + _clock(days["clock"])
    if clock := _CLOCK_IN_HOURS.fullmatch(text):
        return _clock(clock["clock"])
    found = _DURATION.fullmatch(re.sub(r" (?:und|and|et|y|e|en|og|och|ja|i|a) ", " ", text.removeprefix("pt")))
    if not found or not (found["h"] or found["s"] or (found["m"] and re.search("[m′]", text))):
        return np.nan
    part = {key: float(value.replace(",", ".")) if value else 0.0 for key, value in found.groupdict().items()}
    return 1440 * part["d"] + 60 * part["h"] + part["m"] + part["s"] / 60


def _clock(text: str) -> float:
    """Minutes of "7:32" or "0:45:30"."""
    found = _CLOCK.fullmatch(text)
    return np.nan if not found else 60 * int(found["h"]) + int(found["m"]) + float(found["s"] or 0) / 60
