"""Replies: the JSON Schema that an answer follows, the answer read or refused, and what is said of a bad one.

The reader accepts what the JSON Schema accepts: a value between two steps, which not every schema can forbid, is
refused too. It is tolerant only about what stands around the JSON (reasoning, a fence, a sentence), about the order
of the features, and about how many there are as long as the person allows as many. Nothing is repaired.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from sensecf.core.kept import Json
from sensecf.core.rules import Floats
from sensecf.llm import JsonSchema
from sensecf.llm.language.prompts import Allowed, Asked, Prompts
from sensecf.llm.language.wording import number, quote

#: Longer texts are no answer to a question for a few changes.
MAX_LENGTH = 20_000
#: Places of a text where JSON may begin that are tried.
MAX_STARTS = 200
#: Features that are named where only they are asked for.
WIDE = 6
#: Characters of a value that are repeated to the model.
MAX_REPEATED = 60

_START = re.compile(r"\[\s*\{|\{\s*[\"}]")
_REASONED = re.compile(
    r"</(?:think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad)>|\[/THINK\]"
    r"|<\|end_of_(?:thought|thinking)\|>|<\|channel\|>\s*final\b[^<]*<\|message\|>",
    re.IGNORECASE,
)
_INSIDE = re.compile(r"(\"\s*:|\[)\s*$")
_FORM = '{"NAME":NEW VALUE,...}'


class Problem(NamedTuple):
    """What is wrong with an answer: `kind` for counting, `words` as the model and the user are told."""

    kind: str
    words: str


class Unreadable(ValueError):
    """A text that holds no answer; says why."""


# --- the schema ---------------------------------------------------------------------------


def json_schema(prompts: Prompts, asked: Asked) -> JsonSchema:
    """The JSON Schema of an answer: the features that may change and what each may become, for one person.

    An object keyed by feature: an engine that holds a model to it lets no feature be named twice. Only keywords are
    used that hosted and local engines for constrained decoding share; not all of them count (`maxProperties`).
    `multipleOf` stands where it is exact in binary: validators take 0.3 for no multiple of 0.1. The reader holds
    answers to every step.
    """
    words, open_ = prompts.wording, prompts.open(asked)
    if asked.which:
        named: JsonSchema = {"enum": [1]}
        members = {words.names[j]: named for j in prompts.sequence(asked) if j in open_}
        return _object(members, min(WIDE, len(members)))
    members = {words.names[j]: _value_schema(prompts, open_[j], j) for j in prompts.sequence(asked) if j in open_}
    return _object(members, prompts.most(asked))


def _object(members: dict[str, JsonSchema], most: int) -> JsonSchema:
    return {
        "type": "object",
        "properties": members,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": most,
    }


def _value_schema(prompts: Prompts, choice: Allowed, column: int) -> JsonSchema:
    words = prompts.wording
    if choice.codes:
        return {"enum": [words.shown(column, code) for code in choice.codes]}
    if choice.parts and all(low == high for low, high in choice.parts):
        return {"enum": [words.shown(column, value) for value, _ in choice.parts]}
    step, whole = float(words.step[column]), words.whole[column]
    parts: list[JsonSchema] = []
    for low, high in choice.parts:
        ends = {"minimum": words.shown(column, low), "maximum": words.shown(column, high)}
        part: JsonSchema = {"type": "integer" if whole else "number", **ends}
        if step.as_integer_ratio()[1] <= 1024 and not (whole and step == 1):
            part["multipleOf"] = int(step) if step.is_integer() else step
        parts.append(part)
    return parts[0] if len(parts) == 1 else {"anyOf": parts}


# --- reading ------------------------------------------------------------------------------


def read(prompts: Prompts, asked: Asked, text: str) -> tuple[Floats | None, list[Problem]]:
    """The encoded row that an answer makes of the person's, or everything that is wrong with it.

    Changes are made together, with those that the question starts from; then the features that follow move, unless
    the answer sets them itself. Rules are not judged here.
    """
    edits, problems = read_edits(prompts, asked, text)
    return (None, problems) if edits is None else (row_of(prompts, asked, edits), [])


def read_edits(prompts: Prompts, asked: Asked, text: str) -> tuple[dict[int, float] | None, list[Problem]]:
    """The encoded values that an answer names, by column, or everything that is wrong with it."""
    try:
        changes = find_changes(text)
    except Unreadable as error:
        return None, [Problem("not JSON", str(error))]
    words = prompts.wording
    problems: list[Problem] = []
    edits: dict[int, float] = {}
    for name, given in changes.items():
        column = words.columns.get(name)
        if column is None:
            problems.append(Problem("unknown feature", f"{_repeated(name)} is no feature of the table"))
        elif column not in asked.choices:
            problems.append(Problem("locked", f"{quote(words.names[column])} must stay as it is"))
        else:
            value, problem = _value(prompts, asked, column, given)
            edits[column] = value
            problems += [] if problem is None else [problem]
    most = min(asked.max_changes, len(asked.choices))
    if len(changes) > most:
        problems.append(Problem("too many changes", f"{len(changes)} changes where at most {most} are allowed"))
    if not changes:
        problems.append(Problem("no change", "no change is named, and without one the answer stays the same"))
    return (None, problems) if problems else (edits, [])


def row_of(prompts: Prompts, asked: Asked, edits: Mapping[int, float]) -> Floats:
    """The person's row with the edits made so far and further ones, and with what follows."""
    codec, row = prompts.task.codec, asked.row.copy()
    edits = {**asked.made, **edits}
    columns, values = list(edits), list(edits.values())
    row[columns] = values
    settled: Floats = codec.rules.settle(asked.row[None], row[None], asked.follow, codec.step)[0]
    settled[columns] = values
    return settled


def named_features(prompts: Prompts, asked: Asked, text: str) -> frozenset[int]:
    """The columns that an answer names of those that may change, whatever it says of them."""
    try:
        names = find_changes(text)
    except Unreadable:
        return frozenset()
    columns = prompts.wording.columns
    return frozenset(columns[name] for name in names if columns.get(name) in asked.choices)


def find_changes(text: str) -> Json:
    """The changes in a text, unchecked, by the name of the feature. Raises `Unreadable` unless there is exactly one
    object of them.

    What a model writes before the mark that ends its reasoning (`</think>`, `<|channel|>final<|message|>`, …) is
    passed over. A part of an object or a list does not count.
    """
    if len(text) > MAX_LENGTH:
        raise Unreadable(f"the answer is too long: {len(text):,} characters")
    text = text.strip()
    whole = _decoded(text, 0)
    if whole is None and (marks := list(_REASONED.finditer(text))):  # names may hold one, so the whole comes first
        text = text[marks[-1].end() :].strip()
        whole = _decoded(text, 0)
    if not text:
        raise Unreadable("the answer is empty")
    if whole is not None and whole[1] == len(text):
        if not isinstance(whole[0], dict):
            raise Unreadable(f"the JSON is not of the form {_FORM}")
        return whole[0]
    answers: list[Json] = []
    position = 0
    for _ in range(MAX_STARTS):
        start = _START.search(text, position)
        if start is None:
            break
        position = start.start() + 1
        if _INSIDE.search(text[: start.start()]):
            continue  # what is left of a broken object or list
        decoded = _decoded(text, start.start())
        if decoded is not None:
            found, position = decoded
            if isinstance(found, dict) and found not in answers:
                answers.append(found)
    if len(answers) > 1:
        raise Unreadable(f"the text holds {len(answers)} different answers; give one")
    if not answers:
        raise Unreadable(f"the answer is not JSON of the form {_FORM}")
    return answers[0]


def _decoded(text: str, start: int) -> tuple[Any, int] | None:
    """The JSON value that begins at a place, and where it ends; None where there is none."""
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):  # no JSON, a key twice, NaN; nested too deep
        return None


def _once(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_once,
    parse_constant=_no_number,
    # Digits without end are slow to read as a whole number; as a float they are infinite, and refused.
    parse_int=lambda digits: int(digits) if len(digits) < 40 else float(digits),
)


def _value(prompts: Prompts, asked: Asked, column: int, value: Any) -> tuple[float, Problem | None]:
    """The encoded value of one change, or what is wrong with it."""
    words, codec, choice = prompts.wording, prompts.task.codec, asked.choices[column]
    name = quote(words.names[column])

    def bad(kind: str, text: str) -> tuple[float, Problem]:
        return math.nan, Problem(kind, f"{name}: {_repeated(value)} {text}")

    if choice.codes:
        code = words.code(column, value)
        if code not in choice.codes:
            levels = ", ".join(words.written(column, code) for code in choice.codes)
            return bad("wrong type" if isinstance(value, list | dict | None) else "no level", f"is none of {levels}")
        return float(code), None
    kind = "a whole number" if words.whole[column] else "a number"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return bad("wrong type", f"is not {kind}")
    if not math.isfinite(value):
        return bad("outside the range", "is not finite")
    if words.whole[column] and value != round(value):
        return bad("wrong type", f"is not {kind}")
    meant, step = words.meant(column, value), float(codec.step[column])
    if not choice.low - 1e-6 * step <= meant <= choice.high + 1e-6 * step:
        ends = words.written(column, choice.low), words.written(column, choice.high)
        return bad("outside the range", f"is outside {ends[0]} to {ends[1]}")
    cells = meant / step
    if abs(cells - round(cells)) > 1e-6:
        return bad("off the step", f"is no multiple of {number(float(words.step[column]))}")
    at = float(codec.snap_column(np.array([meant]), np.array([column]))[0])
    if not any(first - 1e-6 * step <= at <= last + 1e-6 * step for first, last in choice.parts):
        now = float(asked.at[column])
        if abs(at - now) <= step / 2:
            return bad("present value", "is what it is already")
        return bad("too small", f"is less than {number(float(words.least[column]))} away from what it is")
    return at, None


def _repeated(value: Any) -> str:
    """What a model wrote, for a message: JSON on one line, cut where it is long."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, str) and len(value) > MAX_REPEATED:
        return quote(value[:MAX_REPEATED] + "…")
    return "null" if value is None else quote(value) if not isinstance(value, float) else repr(value)


# --- what goes back -----------------------------------------------------------------------


def infeasible_words(prompts: Prompts, asked: Asked, row: Floats) -> list[str]:
    """What a row that was read breaks nevertheless: rules, the limits of features that followed, the budget."""
    words, codec = prompts.wording, prompts.task.codec
    changed = codec.changed(asked.row, row)
    broken = np.flatnonzero(codec.rules.violated(row[None])[0])
    found = [f"this does not hold: {text}" for rule, text in words.rules() if rule in broken]
    for j in np.flatnonzero(changed & ~words.withheld).tolist():
        name, value, choice = quote(words.names[j]), words.written(j, row[j]), asked.choices.get(j)
        if asked.follow.towed[j]:
            continue
        if choice is None:
            found.append(f"{name} must stay as it is, but would follow to {value}")
        elif not choice.codes and not choice.low - 1e-9 <= row[j] <= choice.high + 1e-9:
            ends = words.written(j, choice.low), words.written(j, choice.high)
            found.append(f"{name} would follow to {value}, outside {ends[0]} to {ends[1]}")
    with np.errstate(invalid="ignore"):
        nudged = ~changed & (np.abs(row - asked.row) > 1e-9)
    found += [f"{quote(words.names[j])} moves by less than half a step: leave it out" for j in np.flatnonzero(nudged)]
    edited = changed & ~asked.follow.towed
    small = codec.too_small(edited[None], np.abs(row - asked.row)[None])[0] & ~words.withheld
    found += [
        f"{quote(words.names[j])} moves by less than {number(float(words.least[j]))}: move it by more, or leave it out"
        for j in np.flatnonzero(small)
    ]
    if edited.sum() > asked.max_changes:
        found.append(f"{edited.sum()} features change, those that follow included; at most {asked.max_changes} may")
    return found or ["a limit of the table is not kept"]


def invalid_words(prompts: Prompts, asked: Asked, predicted: int, probability: float, ahead: float) -> str:
    """Why a row is not valid: what the classifier says of it, and what is needed.

    `predicted`: class position; `probability` of the class wanted; `ahead`: its lead over the others.
    """
    words = prompts.wording
    own, other = quote(words.classes[asked.target]), quote(words.classes[predicted])
    told = f"not valid: with these changes the probability of {own} is {number(float(f'{probability:.3g}'))}"
    if predicted != asked.target and ahead > 0:
        return f"{told}, but the classifier's own decision is {other} all the same"
    if len(words.classes) == 2:
        needed = f"at least {number((1 + asked.margin) / 2)}" if asked.margin > 0 else "more than 0.5"
        return f"{told}, and {needed} is needed"
    by = f" by at least {number(asked.margin)}" if asked.margin > 0 else ""
    strongest = number(float(f"{probability - ahead:.3g}"))
    return f"{told} and that of the strongest other class {strongest}; {own} must be ahead{by}"
