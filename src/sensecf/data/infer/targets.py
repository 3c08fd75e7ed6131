"""Which class a counterfactual should reach when nobody says."""

from __future__ import annotations

from collections.abc import Sequence

from sensecf.core.schema import Value
from sensecf.data.infer.classwords import (
    FEELINGS,
    GOOD_QUANTITIES,
    HIGH,
    LOW,
    NEGATIONS,
    NO,
    UNWANTED,
    WANTED,
    WANTED_LABELS,
    YES,
    words,
)
from sensecf.data.infer.names import bare, words_of

_YES, _NO, _NEGATIONS = words(YES), words(NO), words(NEGATIONS)
_ANSWERS = _YES | _NO
_UNWANTED, _WANTED = words(UNWANTED) | _YES, words(WANTED) | _NO
_LOW, _HIGH, _GOOD_QUANTITIES = words(LOW), words(HIGH), words(GOOD_QUANTITIES)
_WANTED_LABELS, _FEELINGS = words(WANTED_LABELS), words(FEELINGS)
_GLUED = ("nicht", "non", "not", "un", "no", "in", "sub", *map(bare, "不非无無未비"))


def named_target(classes: Sequence[Value], label: tuple[str, ...]) -> Value | None:
    """The class whose name says that it is the one to reach; None where no name does, or several do.

    `label`: the words of the label's name.
    """
    # Among more than two numbers 0 and 1 are degrees, and 1 and 2 are codes: not the answers no and yes.
    coded = not all(isinstance(value, str) or value in (-1, 0, 1) for value in classes) or len(classes) > 2
    signs = [0 if coded and not isinstance(value, str) else _sign(value, label) for value in classes]
    wanted = [c for c, sign in zip(classes, signs, strict=True) if sign > 0]
    neutral = [c for c, sign in zip(classes, signs, strict=True) if sign == 0]
    if len(classes) == 2 and not wanted and len(neutral) == 1:
        wanted = neutral
    return wanted[0] if len(wanted) == 1 else None


def default_target(classes: Sequence[Value], label: tuple[str, ...]) -> tuple[Value | None, str]:
    """The class to reach by its name, or None, and one line that says why; `label`: the words of its name.

    How frequent a class is says nothing about whether anybody wants to be in it.
    """
    wanted = named_target(classes, label)
    if wanted is not None:
        return wanted, f"target: {wanted!r} looks like the class to reach, by its name; change it if it is not"
    if len(classes) > 2:
        return (
            None,
            f"target: none of the {len(classes)} classes is plainly the one to reach; set one or use --target",
        )
    return None, (
        f"target: neither {classes[0]!r} nor {classes[1]!r} is plainly the class to reach; set target in the schema, "
        "or name it when asking: --target CLASS"
    )


def _sign(value: Value, label: tuple[str, ...]) -> int:
    """1 for a class to reach, -1 for one to leave, 0 where its name does not say."""
    said = tuple(map(bare, words_of(value))) if isinstance(value, str) else ()
    names = set(map(bare, label))
    # Yes, true and 1 are good news where the label's own name is ("survived").
    turned = -1 if names & _WANTED_LABELS and not names & _NEGATIONS else 1
    if not isinstance(value, str) or said in (("0",), ("1",)):
        number = float(value)
        return turned * (1 if number in (0, -1) else -1 if number == 1 else 0)
    if len(said) == 1 and said[0] in _ANSWERS:
        if names & _FEELINGS and said[0].startswith(("pos", "neg")):
            turned = -1
        return turned * (-1 if said[0] in _YES else 1)
    said = tuple(part for word in said for part in _unglued(word))
    # "not stressed": the negation turns the rest round; "no event": what is denied is rarely wanted.
    negated = len(said) > 1 and bool(set(said) & _NEGATIONS)
    rest = set(said) - _NEGATIONS if negated else set(said)
    sign = bool(rest & _WANTED) - bool(rest & _UNWANTED)
    degree = bool(rest & _LOW) - bool(rest & _HIGH)
    if degree and (not sign or rest & (_UNWANTED | _GOOD_QUANTITIES)):
        good = (rest | names) & _GOOD_QUANTITIES and not (rest | names) & _UNWANTED
        sign = -degree if good else degree
    return (-sign or 1) if negated else sign


def _unglued(word: str) -> tuple[str, ...]:
    """The word, or a negation and the known word that it is glued to: notstressed, unwell, nichtkrank, 不健康."""
    for start in _GLUED:
        rest = word.removeprefix(start)
        if rest != word and word not in _UNWANTED | _WANTED and rest in _UNWANTED | _WANTED:
            return "not", rest
    return (word,)
