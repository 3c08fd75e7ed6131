"""What the page says: labels, rules, reasons and the sentence of a plan, for readers of no method's jargon."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

from sensecf.core.limits import Limits
from sensecf.core.rules import Rule
from sensecf.core.schema import FeatureSchema
from sensecf.data.infer.terms import REGISTERS, Register
from sensecf.pipeline.blocking import Blame, Blocked
from sensecf.runs.report.names import clean, inside, known, labels

#: With what the page is written elsewhere.
__all__ = [
    "Blocker", "Nouns", "Piece", "blocks", "clean", "day_reason", "inside", "known", "labels", "nouns", "percent",
    "plan_sentence", "reason_words", "rule_words", "say",
]  # fmt: skip

#: What stands wherever plans are read.
CAUTION = (
    "A plan changes the answer of a classifier. That is an association, not a proven effect: whether it changes "
    "a person’s health is not known. No plan should be followed without a clinician."
)

#: Units of things there can be more of; others are higher or lower.
_AMOUNTS = ("min", "h", "steps", "kcal", "m", "km", "events", "cups", "g")


@dataclass(frozen=True)
class Nouns:
    """What those on the page are called, one and several, and their rows: "person", "people", "day", "days"."""

    one: str
    many: str
    day: str
    days: str

    def count(self, number: int) -> str:
        """So many of them."""
        return f"{number:,} {self.one if number == 1 else self.many}"

    def count_days(self, number: int) -> str:
        """So many of their rows."""
        return f"{number:,} {self.day if number == 1 else self.days}"


PEOPLE, ROWS = ("person", "people"), ("row", "rows")


class Rostered(Protocol):
    """What the nouns depend on: whether there are people, and whether their rows have days."""

    @property
    def people(self) -> bool: ...

    @property
    def dated(self) -> bool: ...


def nouns(roster: Rostered) -> Nouns:
    """The nouns for a roster: rows are rows where the schema names no person, and days only where it says when."""
    return Nouns(*(PEOPLE if roster.people else ROWS), *(("day", "days") if roster.dated else ROWS))


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
    """The sentence of a plan, from its record (see `written.record`) and from nothing else.

    Every figure stands in a piece of its own that names the field it comes from.
    """
    record = _completed(record)
    pieces: list[Piece] = [Piece("With ")]
    acts = [
        _change_pieces(change, f"changes.{k}")
        for k, change in enumerate(record["changes"])
        if not change.get("follows")
    ]
    if record["asks"]:  # for several days
        acts = [
            [Piece(f"{ask['label_inside']} "), Piece(ask["text"], f"asks.{k}.text")]
            for k, ask in enumerate(record["asks"])
        ]
    for at, act in enumerate(acts):
        pieces += [Piece(" and " if at == len(acts) - 1 else ", "), *act] if at else act
    return [*(pieces if acts else [Piece("With nothing changed")]), *_verdict_pieces(record)]


def _change_pieces(change: Mapping[str, Any], where: str) -> list[Piece]:
    """One change of one day."""
    ends = [
        Piece(change["after_text"], f"{where}.after"),
        Piece(" instead of "),
        Piece(change["before_text"], f"{where}.before"),
    ]
    name, unit = change["label_inside"], f" {change['unit']}" if change["unit"] else ""
    if change["delta"] is None:
        return [Piece(f"{name} "), *ends]
    more = change["delta"] > 0
    if change["unit"] in _AMOUNTS:
        unit = "" if change["unit"] == name else unit
        said = [Piece(change["delta_text"] + unit, f"{where}.delta"), Piece(f" {'more' if more else 'less'} {name}")]
    else:
        amount = Piece(change["delta_text"] + unit, f"{where}.delta")
        said = [Piece(f"{name} "), amount, Piece(f" {'higher' if more else 'lower'}")]
    return [*said, Piece(" ("), *ends, Piece(")")]


def _verdict_pieces(record: Mapping[str, Any]) -> list[Piece]:
    if record["of"] > 1:
        pieces = [
            Piece(f" on each {record['day_noun']}, the classifier would say "),
            Piece(record["target_text"], "target_text"),
            Piece(" and hold to it on " if record.get("holds") is not None else " on "),
            Piece(str(record["turns"]), "turns"),
            Piece(" of "),
            Piece(str(record["of"]), "of"),
            Piece(f" {record['days_noun']}; on average "),
        ]
    elif record["turns"]:
        pieces = [
            Piece(", the classifier would say "),
            Piece(record["target_text"], "target_text"),
            Piece(" instead of "),
            Piece(record["predicted_before_text"], "predicted_before_text"),
            Piece(": "),
        ]
    else:
        pieces = [
            Piece(", the classifier would still not say "),
            Piece(record["target_text"], "target_text"),
            Piece(": "),
        ]
    return [
        *pieces,
        Piece(record["shown_class_text"], "shown_class_text"),
        Piece(" goes from "),
        Piece(record["shown_before_text"], "shown_before_text"),
        Piece(" to "),
        Piece(record["shown_text"], "shown_text"),
        Piece("."),
    ]


def _completed(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record with what those of older logs lack: they are of one day each."""
    older = {
        "asks": [],
        "of": 1,
        "turns": 1,
        "day_noun": "row",
        "days_noun": "rows",
        "shown_class_text": record["target_text"],
        "shown_before_text": percent(record["probability_before"]),
        "shown_text": percent(record["probability"]),
    }
    return {**older, **record}


def percent(share: float) -> str:
    """A share as people read it; nothing is said to be certain.

    >>> percent(0.973), percent(0.9997), percent(0.002)
    ('97 %', 'over 99 %', 'under 1 %')
    """
    if share >= 0.995:
        return "over 99 %"
    return "under 1 %" if share < 0.005 else f"{100 * share:.0f} %"


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


def day_reason(reason: str, called: Mapping[str, str]) -> str:
    """Why a plan does not turn a day, in a few words; "" where that is not known. `called`: features by their names."""
    if held := re.search(r"would not hold: (\d+) of (\d+) refits", reason):
        return f"would not hold, {held[1]} of {held[2]} refits agree"
    parts = [part.removesuffix(" is outside its range") for part in reason.split("; ")]
    if far := [called[name] for name in parts if name in called]:
        return f"{', '.join(far)}: beyond the limits, or more than is asked of a person"
    said = {
        "all that the plan asks for is done": "what it asks for is done already, or was not measured",
        "answer stays what it is": "the answer stays",
        "would undo it": "what is expected to follow would undo it",
    }
    found = next((words for key, words in said.items() if key in reason), None)
    return found or ("cannot be carried out then" if reason else "")


#: What the two registers are called.
REGISTER_NAMES: dict[Register, str] = {"clinical": "Clinical words", "plain": "Plain words"}

#: What the page says in either register, by key: the clinician's words, and the plain ones.
WORDING: dict[str, tuple[str, str]] = {
    "auc": ("AUC{by}", "Tells two apart, in so many of 100 pairs"),
    "balanced": ("Balanced accuracy", "Right answers, both kinds weighed alike"),
    "alarms": ("False alarms among those asked about", "Called so, and were not"),
    "calibration": ("Calibration", "What its percentages have been worth"),
    "holds": ("Holds in refits", "Still so if it learns anew"),
    "alike": ("Real {days} alike", "Real {days} like this"),
    "follows": ("Expected to follow (90 % band)", "What should move along (9 times of 10)"),
    "weeks": ("Weeks", "Weeks"),
    "leans": ("What the classifier leans on", "What this answer rests on"),
    "adds": ("Contribution (Shapley)", "What each part adds"),
    "margin": ("Lead over the other class", "How clear the answer is"),
    "inlier": ("Inlier of the wanted class (LOF)", "Looks like others in that class"),
    "in_range": ("Within observed ranges", "Values others have had"),
}


def say(key: str, register: Register, called: Nouns) -> str:
    """A phrase of the page in a register, with what rows and those on the page are called."""
    by = ", by person" if called.one == PEOPLE[0] else ""
    return WORDING[key][REGISTERS.index(register)].format(days=called.days, by=by)
