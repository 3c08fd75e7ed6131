"""Short prompts for models that are tuned on one table: what they learn there is not told again.

A row and a wish, a tenth of the words of `Prompts`; ranges, steps and rules are left to the training, to
the JSON Schema of the answer and to verification. Answers have the same form, so `replies` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.llm import Message, Prompt
from sensecf.llm.language.prompts import Asked, Prompts
from sensecf.llm.language.wording import number, quote

#: Goes up with every change of wording: a model is asked in the words that it was tuned on.
BRIEF_VERSION = 3

BRIEF_SYSTEM = "Name the smallest change to the row after which the classifier gives the wanted answer, as JSON."


class Brief(Prompts):
    """`Prompts` in few words: a line per feature with its value, to its step.

    "stays" stands where a feature of the schema that may change is locked, limits where a person's
    are narrower than the schema's.

    >>> brief = sensecf.llm.Brief(task)
    >>> messages = brief.render(brief.ask(limits.query(task, people, "low"))[0])
    >>> messages[-1].role
    'user'
    """

    version = f"brief {BRIEF_VERSION}"

    def render(self, asked: Asked, shots: Sequence[tuple[Asked, Floats]] = ()) -> Prompt:
        """The conversation for one question. Raises `InputError` for shots: a tuned model needs none."""
        if shots:
            raise InputError("short prompts take no examples: a tuned model has learned from them; use shots=0")
        return Message("system", BRIEF_SYSTEM), Message("user", self.person(asked))

    def informed(self, asked: list[Asked]) -> list[Asked]:
        """The questions as they are: what the classifier is like was learned in tuning."""
        return asked

    def person(self, asked: Asked) -> str:
        """One question: the row, what departs from the schema's limits, the verdict, the wish."""
        words, codec = self.wording, self.task.codec
        row = np.clip(codec.snap(asked.row), codec.low, codec.high)
        low, high = self._usual(asked.row)
        lines = []
        for j in np.flatnonzero(~words.withheld).tolist():
            text = f"{quote(words.names[j])} {words.written(j, row[j])}"
            choice = asked.choices.get(j)
            if choice is None:
                if low[j] < high[j]:
                    text += " stays"
            elif codec.numeric[j] and (
                choice.low > low[j] + codec.step[j] / 2 or choice.high < high[j] - codec.step[j] / 2
            ):
                text += f" {words.written(j, choice.low)} to {words.written(j, choice.high)}"
            lines.append(text)
        wanted, now = quote(words.classes[asked.target]), quote(words.classes[asked.predicted])
        # The wanted class is the last word, always in the same place: a small model finds it there.
        wish = f"{now} {number(float(f'{asked.proba[asked.target]:.2f}'))}"
        if asked.max_changes < len(asked.choices):
            wish += f" at most {asked.max_changes}"
        if asked.margin > 0:
            wish += f" by {number(asked.margin)}"
        return "\n".join([*lines, f"{wish} to {wanted}"])

    def _usual(self, row: Floats) -> tuple[Floats, Floats]:
        """What schema and training rows let each feature of a row become, shapes (d,); a point where it must stay."""
        codec = self.task.codec
        low, high = (ends.copy() for ends in self.task.reach)
        for j, feature in enumerate(self.task.schema.features):
            if not codec.changeable[j] or np.isnan(row[j]):
                low[j] = high[j] = 0.0
                continue
            reach = np.inf if feature.max_change is None or not feature.numeric else feature.max_change
            low[j] = max(low[j], row[j] - reach, row[j] if feature.direction == "increase" else -np.inf)
            high[j] = min(high[j], row[j] + reach, row[j] if feature.direction == "decrease" else np.inf)
        low, high = np.ceil(low / codec.step - 1e-9) * codec.step, np.floor(high / codec.step + 1e-9) * codec.step
        return low, high
