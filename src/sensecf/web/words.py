"""What the page says: labels, rules, reasons and the sentence of a plan, for readers of no method's jargon."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from sensecf.core.limits import Limits
from sensecf.core.rules import Rule
from sensecf.core.schema import FeatureSchema
from sensecf.pipeline.blocking import Blame, Blocked
from sensecf.runs.report.names import clean, inside, known, labels

#: With what the page is written elsewhere.
__all__ = [
    "Blocker", "Piece", "blocks", "clean", "inside", "known", "labels", "plan_sentence", "reason_words", "rule_words",
]  # fmt: skip

#: What stands wherever plans are read.
CAUTION = (
    "A plan changes the answer of a classifier. That is an association, not a proven effect: whether it changes "
    "a person’s health is not known. No plan should be followed without a clinician."
)

#: Units of things there can be more of; others are higher or lower.
_AMOUNTS = ("min", "h", "steps", "kcal", "m", "km", "events", "cups", "g")


def rule_words(rule: Rule, schema: FeatureSchema, label: Sequence[str]) -> str:
    """A rule as a sentence."""

    def name(feature: str) -> str:
        return inside(label[schema.columns[feature]])

    def written(feature: str, value: Any) -> str:
        return clean(schema[feature].format(value, unit=True))

    return _sentence(rule.say(name, written))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


class Piece(NamedTuple):
    """A part of a sentence. `field` names the entry of the plan's record that it is written from, "" for words."""

    text: str
    field: str = ""


def plan_sentence(record: Mapping[str, Any]) -> list[Piece]:
    """The sentence of a plan, from its record (see `plans.record`) and from nothing else.

    Every figure stands in a piece of its own that names the field it comes from.
    """
    pieces: list[Piece] = [Piece("With ")]
    for k, change in enumerate(record["changes"]):
        where = f"changes.{k}"
        if k:
            pieces.append(Piece(" and " if k == len(record["changes"]) - 1 else ", "))
        if change["delta"] is None:
            pieces += [
                Piece(change["label_inside"] + " "),
                Piece(change["after_text"], f"{where}.after"),
                Piece(" instead of "),
                Piece(change["before_text"], f"{where}.before"),
            ]
            continue
        name, unit = change["label_inside"], f" {change['unit']}" if change["unit"] else ""
        if change["unit"] in _AMOUNTS:
            unit = "" if change["unit"] == name else unit
            how = f" {'more' if change['delta'] > 0 else 'less'} {name} ("
            pieces += [Piece(change["delta_text"] + unit, f"{where}.delta"), Piece(how)]
        else:
            how = f" {'higher' if change['delta'] > 0 else 'lower'} ("
            pieces += [Piece(f"{name} "), Piece(change["delta_text"] + unit, f"{where}.delta"), Piece(how)]
        pieces += [
            Piece(change["after_text"], f"{where}.after"),
            Piece(" instead of "),
            Piece(change["before_text"], f"{where}.before"),
            Piece(")"),
        ]
    pieces += [
        Piece(", the classifier would say "),
        Piece(record["target_text"], "target_text"),
        Piece(" instead of "),
        Piece(record["predicted_before_text"], "predicted_before_text"),
        Piece(": its probability of "),
        Piece(record["target_text"], "target_text"),
        Piece(" goes from "),
        Piece(f"{record['probability_before']:.2f}", "probability_before"),
        Piece(" to "),
        Piece(f"{record['probability']:.2f}", "probability"),
        Piece("."),
    ]
    return pieces


class Blocker(NamedTuple):
    """What stands in the way of a plan: `field` is the control that would lift it, "" where none can."""

    text: str
    field: str


def blocks(why: Blame, limits: Limits, schema: FeatureSchema, label: Sequence[str]) -> list[Blocker]:
    """What stands in the way, in words, each with the control that lifts it; blanks are no limit."""
    return [_block(part, limits, schema, label) for part in why.blocked if part.kind != "blank"]


def _block(part: Blocked, limits: Limits, schema: FeatureSchema, label: Sequence[str]) -> Blocker:
    j = schema.columns.get(part.feature, -1)
    match part.kind:
        case "budget":
            return Blocker("The largest number of changes allowed", "budget")
        case "margin":
            return Blocker("The certainty asked for", "margin")
        case "rule":
            return Blocker(f"A rule: {rule_words(cast(Rule, part.bound), schema, label)}", "")
        case "lock":
            return Blocker(f"{label[j]} is kept as it is", f"lock-{j}")
        case "range":
            own = part.feature in limits.ranges or part.feature in limits.directions
            return Blocker(f"The limits on {inside(label[j])}", f"limits-{j}" if own else "")
        case "most":
            feature = schema.features[j]
            most = clean(feature.format(feature.most_change, unit=True))
            return Blocker(f"No plan asks for more than {most} of change in {inside(label[j])}", "")
        case "result":
            return Blocker(f"{label[j]} only moves as a result", "")
        case _:
            fixed = "its value was not measured" if schema.features[j].changeable else "the schema keeps it as it is"
            return Blocker(f"{label[j]} cannot move: {fixed}", "")


def reason_words(reason: str) -> str:
    """A reason that names no limit, as a sentence."""
    if reason.startswith("no answer among the rows tried"):
        return "No plan was found among those tried. One may exist: fewer limits give the search more room."
    if reason.startswith("no answer found even without"):
        return (
            "No plan was found even with every lock and limit lifted: only what cannot change would change the answer."
        )
    return _sentence(clean(re.sub(r"^row \S+, column ", "", reason))).replace("..", ".")
