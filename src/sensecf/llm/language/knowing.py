"""What a prompt tells of the classifier, which a language model has never seen: the cases nearest to the person that
it calls as wanted, what single changes would make of its answer, and which values are usual.

All of it comes from training rows and from questions to the classifier, which count as cost of an answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.neighbours import Neighbours
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.llm.language.wording import number, quote

if TYPE_CHECKING:
    from sensecf.llm.language.prompts import Allowed, Asked, Prompts

#: The parts of a prompt that can be left out one by one; see `Style.without`.
PARTS = ("neighbours", "leanings", "usual", "example", "form")

#: Cases of the wanted class that are shown.
CASES = 3
#: Features named of each such case, and single changes whose effect is told.
NAMED = 6
#: Of so many levels each is tried.
FEW_LEVELS = 6
#: Changes of the probability below this are not told.
SLIGHT = 0.005
#: Shares of the training rows below and above what is usual.
RARE = 0.05

#: A line that shows the form of an answer, about a table that is none. Its names are numbers: a small model begins its
#: answer with the letter that it saw last, whatever the row says.
EXAMPLE = 'For another table, an answer could be: {"7":2,"12":5}'
#: Asked before any value: which features.
WHICH = 'First, which features should change? One JSON object {"NAME":1,...} that names these alone:'
#: The form once more, where a model begins to write.
FORM = 'The answer, as one JSON object {"NAME":NEW VALUE,...} and nothing else:'


class Known(NamedTuple):
    """What is told about one person: `cases` (k, d) of the wanted class; single changes as (column, value, chance)."""

    cases: Floats
    leanings: tuple[tuple[int, float, float], ...]


class Usual:
    """The values between which most training rows lie, `low` and `high` (d,), on the step; get it with `task.once`."""

    def __init__(self, task: Task) -> None:
        codec, every = task.codec, np.arange(len(task.schema))
        low, high = np.zeros(len(every)), np.zeros(len(every))
        for j in np.flatnonzero(codec.numeric).tolist():
            seen = task.rows[:, j][~np.isnan(task.rows[:, j])]
            if len(seen):
                low[j], high[j] = np.quantile(seen, [RARE, 1 - RARE], method="nearest")
        self.low, self.high = codec.snap_column(low, every), codec.snap_column(high, every)


def allowed(choice: Allowed, value: float) -> float | None:
    """The value, or of a number the nearest one, that a feature may become; None where there is none."""
    if np.isnan(value):
        return None
    if choice.codes:
        return value if value in choice.codes else None
    near = [min(max(value, low), high) for low, high in choice.parts]
    return min(near, key=lambda v: abs(v - value), default=None)


def without(choice: Allowed, values: Collection[float], step: float) -> Allowed | None:
    """What a feature may become but for some values, multiples of its step; None where nothing is left."""
    if choice.codes:
        codes = tuple(code for code in choice.codes if code not in values)
        return choice._replace(codes=codes) if codes else None
    parts = list(choice.parts)
    for value in values:
        cut = [
            piece
            for low, high in parts
            for piece in (
                ((low, min(high, value - step)), (max(low, value + step), high))
                if low - step / 2 < value < high + step / 2
                else ((low, high),)
            )
        ]
        parts = [(low, high) for low, high in cut if low <= high + step * 1e-6]
    return choice._replace(parts=tuple(parts)) if parts else None


def known(prompts: Prompts, asked: Sequence[Asked]) -> list[Known | None]:
    """What the style of the prompts tells about each person; None where it tells nothing, or nothing is known."""
    task, without = prompts.task, prompts.style.without
    if not asked or {"neighbours", "leanings"} <= set(without):
        return [None] * len(asked)
    rows = np.array([one.at for one in asked])
    try:
        cases = task.once(Neighbours).nearest(rows, np.array([one.target for one in asked]), CASES)
    except InputError:  # no training row of that class
        return [None] * len(asked)
    trials = [_trials(one, cases[i]) if "leanings" not in without else [] for i, one in enumerate(asked)]
    changed = [_changed(prompts, one, *trial) for one, own in zip(asked, trials, strict=True) for trial in own]
    chance = iter(task.judge(np.array(changed)).proba if changed else ())
    found: list[Known | None] = []
    for i, (one, own) in enumerate(zip(asked, trials, strict=True)):
        best: dict[int, tuple[int, float, float]] = {}
        for column, value in own:
            reached = float(next(chance)[one.target])
            if column not in best or reached > best[column][2]:
                best[column] = (column, value, reached)
        now = float(one.proba[one.target])
        told = sorted((e for e in best.values() if abs(e[2] - now) >= SLIGHT), key=lambda e: -e[2])[:NAMED]
        found.append(Known(cases[i] if "neighbours" not in without else cases[i][:0], tuple(told)))
    return found


def _trials(asked: Asked, cases: Floats) -> list[tuple[int, float]]:
    """Single changes worth telling of: to what the nearest cases have, and of few levels to any."""
    out: dict[tuple[int, float], None] = {}
    for column, choice in asked.choices.items():
        few = choice.codes if len(choice.codes) <= FEW_LEVELS else ()
        for value in [*cases[:, column].tolist(), *map(float, few)]:
            may = allowed(choice, value)
            if may is not None:
                out[column, may] = None
    return list(out)


def _changed(prompts: Prompts, asked: Asked, column: int, value: float) -> Floats:
    codec = prompts.task.codec
    row = asked.at.copy()
    row[column] = codec.snap_column(np.array([value]), np.array([column]))[0]
    moved: Floats = codec.rules.settle(asked.row[None], row[None], asked.follow, codec.step)[0]
    moved[column] = row[column]
    return moved


def told(prompts: Prompts, asked: Asked) -> list[str]:
    """What is known of the classifier near a person, as lines of a prompt."""
    if asked.known is None:
        return []
    words, wanted = prompts.wording, quote(prompts.wording.classes[asked.target])
    lines = []
    cases = [_case(prompts, asked, row) for row in asked.known.cases]
    if any(cases):
        lines.append(f"The nearest cases that the classifier calls {wanted} have:")
        lines += [f"- {case}" for case in dict.fromkeys(cases) if case]
    if asked.known.leanings:
        now = number(float(f"{asked.proba[asked.target]:.3g}"))
        effects = (
            f"{quote(words.names[j])}:{words.written(j, value)} gives {number(float(f'{chance:.3g}'))}"
            for j, value, chance in asked.known.leanings
        )
        lines.append(f"The probability of {wanted} is {now}. After one change: {', '.join(effects)}.")
    return lines


def _case(prompts: Prompts, asked: Asked, row: Floats) -> str:
    """Where a case differs from the person in what may change, the weightiest features first."""
    words, codec = prompts.wording, prompts.task.codec
    differs = codec.changed(asked.at, row) & ~np.isnan(row)
    at = [j for j in prompts.order if j in asked.choices and differs[j]][:NAMED]
    return ", ".join(f"{quote(words.names[j])}:{words.written(j, row[j])}" for j in at)
