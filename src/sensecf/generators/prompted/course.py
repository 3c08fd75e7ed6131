"""One person's way from answer to answer: where the next question starts, and what may not be said again.

Sent back as it is, a failed answer is the likeliest continuation of the conversation that holds it. So it is told in
words, the next question starts from the best row so far, and what leads back to a row that was there before is taken
out of the JSON Schema: no engine that follows it can repeat a row, whatever the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sensecf.core.rules import Floats
from sensecf.llm.language.knowing import without
from sensecf.llm.language.prompts import Allowed, Asked, Prompts
from sensecf.llm.language.wording import quote

#: What was tried before is told of so many answers.
TOLD = 3


class Tried(NamedTuple):
    """An answer that was read: what it named, the row it makes, what is wrong with it, and what the classifier says.

    `edits` by column, None where it could not be read; `lead` is that of the target, -inf for a row that is not
    feasible.
    """

    edits: dict[int, float] | None
    row: Floats
    words: str
    lead: float
    predicted: int = 0
    proba: Floats | None = None


@dataclass
class Course:
    """The questions put to one person, in turn; `asked` is the next."""

    prompts: Prompts
    first: Asked
    asked: Asked
    focus: frozenset[int] | None = None
    _refused: set[tuple[int, float]] = field(default_factory=set)
    _lead: float = -np.inf

    @classmethod
    def of(cls, prompts: Prompts, asked: Asked) -> Course:
        """The course that begins with a question."""
        own = cls(prompts, asked, asked)
        own._lead = _lead(asked.proba, asked.target)
        return own

    def narrow(self, columns: frozenset[int]) -> None:
        """Ask about these features alone, as long as something is left of them."""
        self.focus = columns & self.first.choices.keys() or None
        self._ask(self.asked)

    def failed(self, answers: list[Tried]) -> None:
        """Go on after answers none of which is good: from the best of them where it is better than where we were."""
        for one in answers:
            self._refuse(one)
        lines = [self._told(one) for one in answers][-TOLD:]
        best = max(answers, key=lambda one: one.lead, default=None)
        next_ = self.asked._replace(tried=tuple([*self.asked.tried, *lines][-TOLD:]))
        if best is not None and best.edits is not None and best.proba is not None and best.lead > self._lead + 1e-9:
            before, made = self.asked.at, {**self.asked.made, **best.edits}
            # What was overwritten would lead back.
            self._refused |= {(j, float(before[j])) for j in best.edits if j in self.asked.made}
            self._lead = best.lead
            next_ = next_._replace(at=best.row, made=made, predicted=best.predicted, proba=best.proba)
        self._ask(next_)

    def found(self, good: Tried) -> None:
        """Go on after a good answer, to another one: from the beginning, and not to the same row."""
        self._refuse(good._replace(edits={**self.asked.made, **(good.edits or {})}))
        self._lead = _lead(self.first.proba, self.first.target)
        self._ask(self.first._replace(tried=()))

    def _refuse(self, one: Tried) -> None:
        """Rule out an answer by the value that it names first."""
        if one.edits:
            column = next(j for j in self.prompts.order if j in one.edits)
            self._refused.add((column, one.edits[column]))

    def _told(self, one: Tried) -> str:
        if one.edits is None:
            return f"Tried before, and of no use: {one.words}."
        words = self.prompts.wording
        named = ",".join(f"{quote(words.names[j])}:{words.written(j, value)}" for j, value in one.edits.items())
        return f"Tried before: {named}; {one.words}."

    def _ask(self, wanted: Asked) -> None:
        """Make a question the next one, with what may still be said; without a focus that leaves nothing."""
        self.asked = wanted._replace(choices=self._left(wanted, self.focus))
        if not self.asked.choices and self.focus is not None:
            self.focus = None
            self.asked = wanted._replace(choices=self._left(wanted, None))

    def _left(self, wanted: Asked, focus: frozenset[int] | None) -> dict[int, Allowed]:
        codec = self.prompts.task.codec
        moved = codec.changed(wanted.row, wanted.at)
        full = len(wanted.made) >= wanted.max_changes
        left: dict[int, Allowed] = {}
        for j, choice in self.first.choices.items():
            if (focus is not None and j not in focus) or (full and j not in wanted.made):
                continue
            gone = {value for column, value in self._refused if column == j}
            gone |= {float(wanted.at[j])} if moved[j] else set()
            may = without(choice, gone, float(codec.step[j]))
            if may is not None:
                left[j] = may
        return left


def _lead(proba: Floats, target: int) -> float:
    """How far the target is ahead of the likeliest other class."""
    return float(proba[target] - np.delete(proba, target).max())
