"""Which class a counterfactual should reach when nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sensecf.names import word_set, words_of
from sensecf.schema import Value

# Words of a class that say it is to be left, and to be reached.
_UNWANTED = word_set(
    "high higher elevated raised yes y true positive pos stress stressed stressful tense anxious disease diseased "
    "sick ill bad poor worse abnormal case diabetic diabetes present dead died death fail failed failure risk "
    "risky severe unhealthy reject rejected denied declined malignant depressed obese overweight hypertensive "
    "tired default churn late unstable critical burnout insomnia apnea"
)
_WANTED = word_set(
    "low lower no n false negative neg normal healthy good better best absent control none benign calm relaxed "
    "alive survived pass passed approved accepted success rested stable ok fine recovered well remission"
)
_NEGATIONS = word_set("not non no without never free un")
#: Answers to the question that the label's name asks.
_ANSWERS = word_set("yes y true positive pos no n false negative neg")
# Words of a label that make its 1, yes or true the class to reach.
_WANTED_LABELS = word_set(
    "survived survival alive approved approval success successful healthy recovered recovery good pass passed "
    "accepted response responder remission paid repaid adherent adherence improved improvement normal rested "
    "wellbeing"
)


def named_target(classes: Sequence[Value], label: tuple[str, ...]) -> Value | None:
    """The class whose name says that it is the one to reach; None where no name does, or several do.

    `label`: the words of the label's name.
    """
    # Among more than two numbers, 0 and 1 are degrees and not the answers no and yes.
    signs = [0 if len(classes) > 2 and not isinstance(value, str) else _sign(value, label) for value in classes]
    wanted = [c for c, sign in zip(classes, signs, strict=True) if sign > 0]
    neutral = [c for c, sign in zip(classes, signs, strict=True) if sign == 0]
    if len(classes) == 2 and not wanted and len(neutral) == 1:
        wanted = neutral
    return wanted[0] if len(wanted) == 1 else None


def default_target(
    classes: Sequence[Value], values: pd.Series[Any], label: tuple[str, ...]
) -> tuple[Value | None, str]:
    """The class to reach, or None, and one line that says why.

    `values` are the labels of the table (for the majority), `label` the words of its name.
    """
    wanted = named_target(classes, label)
    if wanted is not None:
        return wanted, f"target: {wanted!r} looks like the class to reach, by its name; change it if it is not"
    if len(classes) > 2:
        return (
            None,
            f"target: none of the {len(classes)} classes is plainly the one to reach; set one or use --target",
        )
    counts = values.value_counts()
    majority = max(classes, key=lambda value: int(counts[value]))
    return majority, f"target: {majority!r} only because it is the more frequent class; change it if another is wanted"


def _sign(value: Value, label: tuple[str, ...]) -> int:
    """1 for a class to reach, -1 for one to leave, 0 where its name does not say."""
    words = words_of(value) if isinstance(value, str) else ()
    if not isinstance(value, str) or words in (("0",), ("1",)):
        number = float(value)
        sign = 1 if number in (0, -1) else -1 if number == 1 else 0
    elif len(words) == 1 and words[0] in _ANSWERS:
        sign = -1 if words[0] in _UNWANTED else 1
    else:
        # "not stressed": the negation turns the rest round.
        negated = len(words) > 1 and bool(set(words) & _NEGATIONS)
        rest = set(words) - _NEGATIONS if negated else set(words)
        sign = bool(rest & _WANTED) - bool(rest & _UNWANTED)
        return -sign if negated else sign
    # Yes, true and 1 are good news where the label's own name is ("survived").
    return -sign if set(label) & _WANTED_LABELS and not set(label) & _NEGATIONS else sign
