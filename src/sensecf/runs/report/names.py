"""What features and people are called: labels instead of names of columns, on one line, without unseen characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.data.infer.catalogue import Entry
from sensecf.data.infer.names import parse_names
from sensecf.data.infer.recognise import known_as
from sensecf.data.infer.terms import Register, term

if TYPE_CHECKING:
    from sensecf.core.counterfactuals import Counterfactuals

#: Characters that neither XML nor HTML can hold, or that would turn the text around them.
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
#: The mark of a text that is written from left to right.
_LEFT = "\u200e"


def clean(text: object) -> str:
    """Text on one line, without characters that cannot be seen or that turn the text around them."""
    return " ".join(UNSEEN.sub("\N{REPLACEMENT CHARACTER}", str(text)).split())


def known(feature: Feature) -> Entry | None:
    """What the catalogue knows of a column, None for an unknown name or one in another unit."""
    return known_as(feature)


def labels(schema: FeatureSchema, register: Register = "clinical") -> list[str]:
    """One label per feature: the term for a recognised column, else its name without its unit: as it stands where it
    was written for people ("Schlafdauer pro Nacht"), without underscores where it was not ("sleep_total")."""
    parsed = parse_names(schema.names)
    found = []
    for feature in schema.features:
        name = parsed[feature.name]
        text = term(feature, register) or ""
        if not text and _written(feature.name):
            text = _without_unit(clean(feature.name), name.unit)
        elif not text:
            text = " ".join(_cased(word, feature.name) for word in name.stem)
        text = clean(text) or clean(feature.name)
        # HDL and REM stay as they are, and a sign is no letter of a sentence.
        found.append(text[:1].upper() + text[1:] if text[:1].isascii() and not _SIGNS.match(text) else text)
    return [_apart(text, schema.names[j], found.count(text)) for j, text in enumerate(found)]


#: A name that was made for a machine, and a text that begins like a formula: "p<0.05".
_IDENTIFIER, _SIGNS = re.compile(r"[A-Za-z0-9_.\-]+"), re.compile(r"\w\W*[<>=~]")


def _written(name: str) -> bool:
    """Whether a column's name was written for people: in several words, another script, or with signs."""
    return _IDENTIFIER.fullmatch(name) is None and ("_" not in name or " " in name.strip())


def _without_unit(text: str, unit: str) -> str:
    """A name without the unit in brackets, or as a word, at its end."""
    if not unit:
        return text
    end = re.escape(unit)
    return re.sub(rf"\s*(?:[(\[{{]\s*{end}\s*[)\]}}]|[,/]?\s+{end})$", "", text, flags=re.IGNORECASE) or text


def _apart(text: str, name: str, count: int) -> str:
    """A label; where several columns share it, each with its own name behind it."""
    return clean(name) if not text else text if count == 1 else f"{text} ({clean(name)})"


def _cased(word: str, name: str) -> str:
    """A word as a name has it where that is an abbreviation among other letters: HDL in "HDL mmol", not SEX alone."""
    found = re.search(re.escape(word), name, re.IGNORECASE)
    short = found is not None and found[0].isupper() and 2 <= len(word) <= 5 and not name.isupper()
    return found[0] if found is not None and short else word


def inside(label: str) -> str:
    """A label within a sentence: the first letter small, unless the word is an abbreviation (HDL, HbA1c), or words with
    a capital stand further on or letters of another language, where a small one may be wrong (German nouns)."""
    first, *rest = label.split(" ")
    kept = first[1:] != first[1:].lower() or not label.isascii() or any(re.match("[A-Z][a-z]", word) for word in rest)
    return label if kept else label[:1].lower() + label[1:]


def called(facts: Mapping[str, Any]) -> str:
    """What an answer of a run is called: a plan is asked to hold, and a run with `hold = 0` gives boundary answers."""
    return "boundary answer" if facts.get("hold") == 0 else "plan"


def in_labels(text: str, called: Mapping[str, str]) -> str:
    """A text of parts joined by "; ", in which what a feature is called stands in place of the name that a part begins
    with."""

    def said(part: str) -> str:
        name = max((name for name in called if part.startswith(f"{name} ")), key=len, default="")
        return from_left(called[name], part[len(name) :]) if name else part

    return "; ".join(map(said, text.split("; ")))


class Labels:
    """The labels of a task's features, `task.once(Labels)`: `of[name]` is the label of a column."""

    def __init__(self, task: Task) -> None:
        self.of = dict(zip(task.schema.names, labels(task.schema), strict=True))


def whose(answers: Counterfactuals) -> dict[Any, str]:
    """What the row of each query is called: its person and its time, as far as the table says, else its number."""
    factuals = answers.factuals
    told = [factuals[name].fillna("").map(clean) for name in ("person", "when") if name in factuals]
    if not told:
        return {query: f"row {clean(query)}" for query in factuals.index}
    parts = zip(*told, strict=True)
    return {query: _joined(list(filter(None, texts))) for query, texts in zip(factuals.index, parts, strict=True)}


def from_left(name: str, rest: str) -> str:
    """A name in any script, and what stands behind it, in this order from left to right."""
    turned = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in name)
    return f"{_LEFT}{name}{_LEFT}{rest}" if turned else name + rest


def _joined(texts: list[str]) -> str:
    """Texts in their order from left to right, also where one of them is written from right to left: a mark that is not
    seen keeps it from turning its neighbours."""
    turned = any(unicodedata.bidirectional(letter) in ("R", "AL") for text in texts for letter in text)
    if not turned or len(texts) < 2:
        return " · ".join(texts)
    return _LEFT + f"{_LEFT} · ".join(texts)
