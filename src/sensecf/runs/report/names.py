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
    """One label per feature: the term for a recognised column, else its name without underscores and unit."""
    parsed = parse_names(schema.names)
    found = []
    for feature in schema.features:
        plain = " ".join(_cased(word, feature.name) for word in parsed[feature.name].stem) or feature.name
        text = clean(term(feature, register) or plain)
        # HDL and REM stay as they are.
        found.append(text[:1].upper() + text[1:])
    return [_apart(text, schema.names[j], found.count(text)) for j, text in enumerate(found)]


def _apart(text: str, name: str, count: int) -> str:
    """A label; where several columns share it, each with its own name behind it."""
    return clean(name) if not text else text if count == 1 else f"{text} ({clean(name)})"


def _cased(word: str, name: str) -> str:
    """A word as a name has it where that is an abbreviation among other letters: HDL in "HDL mmol", not SEX alone."""
    found = re.search(re.escape(word), name, re.IGNORECASE)
    short = found is not None and found[0].isupper() and 2 <= len(word) <= 5 and not name.isupper()
    return found[0] if found is not None and short else word


def inside(label: str) -> str:
    """A label within a sentence: the first letter small, unless the word is an abbreviation."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def called(facts: Mapping[str, Any]) -> str:
    """What an answer of a run is called: a plan is asked to hold, and a run with `hold = 0` gives boundary answers."""
    return "boundary answer" if facts.get("hold") == 0 else "plan"


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
