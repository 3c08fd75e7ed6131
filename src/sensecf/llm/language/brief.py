"""Short prompts for models that are tuned on one table: what they learn there is not told again.

A row and a wish, a tenth of the words of `Prompts`; ranges, steps and rules are left to the training, to
the JSON Schema of the answer and to verification. Answers have the same form, so `replies` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.core.task import lead
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
        marks = self.marks(asked)
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
            lines.append(text + marks.get(j, ""))
        wanted, now = quote(words.classes[asked.target]), quote(words.classes[asked.predicted])
        # The wanted class is the last word, always in the same place: a small model finds it there.
        wish = f"{now} {number(float(f'{asked.proba[asked.target]:.2f}'))}"
        if asked.max_changes < len(asked.choices):
            wish += f" at most {asked.max_changes}"
        if asked.margin > 0:
            wish += f" by {number(asked.margin)}"
        return "\n".join([*lines, f"{wish} to {wanted}"])

    def marks(self, asked: Asked) -> dict[int, str]:
        """What stands behind the value of a feature, by column; nothing here."""
        return {}

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


#: Smallest leaning that is written: less is nothing to a classifier of trees, and costs tokens.
LEAST = 0.05


class Leaning(Brief):
    """`Brief` with what each feature that may change does for the wanted class, for this person.

    `+0.4` behind a value: with the typical value of the wanted class in its place the lead of that class grows by
    0.4. A model cannot see the classifier; this is what it says of this row, at one question per feature.
    """

    def marks(self, asked: Asked) -> dict[int, str]:
        """The leanings of at least `LEAST`, signed, by column."""
        columns = list(asked.choices)
        if not columns:
            return {}
        rows = np.tile(asked.row, (len(columns) + 1, 1))
        typical = self._typical[asked.target]
        for k, j in enumerate(columns):
            choice = asked.choices[j]
            rows[k, j] = typical[j] if choice.codes else np.clip(typical[j], choice.low, choice.high)
        rows[:-1] = np.where(np.isnan(rows[:-1]), asked.row, rows[:-1])
        ahead = lead(self.task.judge(rows).proba, np.full(len(rows), asked.target))
        moved = dict(zip(columns, (ahead[:-1] - ahead[-1]).tolist(), strict=True))
        return {j: f" {by:+.1f}" for j, by in moved.items() if abs(by) >= LEAST}

    @cached_property
    def _typical(self) -> Floats:
        """The usual value of each feature among the training rows in each class, shape (classes, d)."""
        task, codec = self.task, self.task.codec
        predicted = task.judge(task.rows).predicted
        found = np.full((len(task.classes), len(task.schema)), np.nan)
        for target in range(len(task.classes)):
            inside = task.rows[predicted == target]
            for j in range(len(task.schema)):
                seen = inside[~np.isnan(inside[:, j]), j] if len(inside) else inside[:, j]
                if not len(seen):
                    continue
                values, counts = np.unique(seen, return_counts=True)
                usual = float(np.median(seen)) if codec.numeric[j] else float(values[counts.argmax()])
                found[target, j] = codec.snap_column(np.array([usual]), np.array([j]))[0]
        return found
