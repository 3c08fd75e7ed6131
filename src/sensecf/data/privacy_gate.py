"""May rows of a table be sent to a language model, and which columns never are?

Rows stay on this machine unless the card of the data set says otherwise, or the user names the host
and the data set. What prompts never hold, wherever the model runs: the label and the group of any row,
columns that the schema ignores, and features that are identifiers, dates or free text.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from sensecf.core.errors import InputError
from sensecf.core.plain import is_local
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.data.card import Card
from sensecf.data.infer.column import MAX_LEVELS
from sensecf.data.infer.names import is_code, is_date, is_identifier, is_row_number, words_of

#: A level with more words or characters is a sentence somebody wrote.
MAX_WORDS, MAX_CHARACTERS = 10, 100

_DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{2,4}"
    r"|[A-Za-z]{3,9} \d{1,2},? \d{4}|\d{1,2}:\d{2})(\D.*)?"
)


def permission(host: str | None, card: Card | None, allowed: Collection[str] = ()) -> str:
    """Why rows may go to `host`, in words for the record of a run. Raises `InputError` when they may not.

    `card`: the card of the table, None where it has none. `allowed`: what the user allows, each
    `HOST`, or `HOST=NAME` with the name of the data set on its card, which is needed where the
    card keeps the data local.
    """
    if is_local(host):
        return "stays on this machine"
    assert host is not None
    if card is not None and card.permits(host):
        return f"the card of {card.name} permits it"
    given = {entry.casefold() for entry in allowed}
    if card is None:
        if host.casefold() in given:
            return "allowed by the user for this table"
        raise InputError(
            f"rows of the table would leave this machine for {host}, and it has no card that permits it; "
            f"use a local model, or say that they may: --allow-host {host}"
        )
    if f"{host}={card.name}".casefold() in given:
        return f"allowed by the user for {card.name}, against its card"
    raise InputError(
        f"the card of {card.name} keeps its rows away from {host} ({card.leaves}; {card.licence}); stay on "
        f"this machine, or, where an agreement permits it, name both: --allow-host {host}={card.name}"
    )


def withheld(schema: FeatureSchema) -> dict[str, str]:
    """The features that no prompt may show, each with the reason: identifiers, dates, free text."""
    reasons = {feature.name: _private(feature) for feature in schema.features}
    return {name: reason for name, reason in reasons.items() if reason}


def _private(feature: Feature) -> str:
    words = words_of(feature.name)
    if (is_identifier(words) and (feature.numeric or not is_code(words))) or is_row_number(words):
        return "an identifier by its name"
    if feature.numeric:
        # Seconds since 1970, or 20240501.
        large = feature.high is not None and feature.high >= 1.9e7
        return "a date or time" if is_date(words) and large else ""
    texts = [level for level in feature.levels if isinstance(level, str)]
    if texts and sum(_DATE.fullmatch(text) is not None for text in texts) > len(texts) / 2:
        return "a date or time"
    if len(texts) > MAX_LEVELS:
        return f"free text: {len(texts)} different values"
    if any(_is_sentence(text) for text in texts):
        return "free text: a value reads like a sentence"
    return ""


def _is_sentence(text: str) -> bool:
    return len(text) > MAX_CHARACTERS or len(text.split()) > MAX_WORDS
