"""Names and values of a table as a language model is shown them, and read back.

Whatever comes from the table is data. It is written as JSON, so that it cannot end a line or a quotation,
and characters that could pass for markup of a prompt or of a chat template are escaped: a model reads
them, a template does not.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection
from typing import Any

import numpy as np

from sensecf.core.rules import Bools, Floats, Implication
from sensecf.core.schema import Value
from sensecf.core.task import Task

#: "<" opens a tag or a special token (</data>, <|im_end|>, <s>) unless a number follows; "[INST]" is one too.
_MARKUP = re.compile(r"<(?! ?[\d=.])|\[(?=/?[A-Z_]{2,}\])|`(?=``)|\N{FULLWIDTH LESS-THAN SIGN}")
#: Unicode categories without a shape of their own: controls, direction marks, line ends, surrogates, unassigned.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

#: Steps that hidden numbers are shown in; those of whole numbers are whole.
_STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
#: How far hidden numbers are shifted at most, in steps.
_SHIFT = 400


def quote(value: Value) -> str:
    """A name or a value as JSON on one line, with markup and unseen characters escaped."""
    if not isinstance(value, str):
        return json.dumps(value)
    return defused(json.dumps(value, ensure_ascii=False))


def defused(text: str) -> str:
    """A text with markup and unseen characters but line ends escaped as in JSON; JSON keeps its meaning."""
    text = _MARKUP.sub(lambda found: _escape(found[0]), text)
    return "".join(_escape(c) if unicodedata.category(c) in _UNSEEN and c != "\n" else c for c in text)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def number(value: float) -> str:
    """A number with up to 12 significant digits, whole numbers without a point; JSON."""
    rounded = float(f"{value:.12g}")
    return str(int(rounded)) if rounded.is_integer() and abs(rounded) < 1e15 else repr(rounded)


class Wording:
    """How features, values, classes and rules of a task are written in a prompt.

    Masked, nothing can be recognised: features are called x1, x2, ..., levels and classes get letters, and
    numbers are rescaled to another step and shifted, each feature in its own way (drawn by `seed`). The
    scales are positive, so that directions stay, and rules are rewritten for the numbers as shown.
    What a model gains from the true names and numbers is what it remembers of such tables.

    `withheld`: features that are never shown.

    Attributes, of length d: `names`, `units`, `meanings`; `levels` (as shown, [] for numbers); `step` and
    `whole`, `least` (of the numbers as shown; the smallest edit, 0 for any). `label` and `classes` (of the task, in its
    order) are as shown too; `about_classes`: what the label and each class mean, "" where the schema does not say.
    """

    def __init__(self, task: Task, masked: bool = False, seed: int = 0, withheld: Collection[str] = ()) -> None:
        schema, codec = task.schema, task.codec
        d = len(schema)
        self._task = task
        self.withheld: Bools = np.array([name in withheld for name in schema.names])
        self.whole = [f.kind == "integer" for f in schema.features]
        self.names, self.units = list(schema.names), [f.unit for f in schema.features]
        self.meanings = [f.description for f in schema.features]
        self.levels: list[list[Value]] = [list(f.levels) for f in schema.features]
        self.title, self.label, self.classes = schema.name, schema.label, list(task.classes)
        self.about_classes = [schema.meanings.get(str(value), "") for value in (schema.label, *self.classes)]
        self.step = codec.step.copy()
        self.least = codec.least.copy()
        self._scale, self._shift = np.ones(d), np.zeros(d)
        if masked:
            rng = np.random.default_rng([seed, 7])
            self.names = [f"x{j + 1}" for j in range(d)]
            self.units, self.meanings = [""] * d, [""] * d
            self.levels = [[_letters(code) for code in range(len(levels))] for levels in self.levels]
            self.title, self.label, self.about_classes = "", "y", [""] * (len(self.classes) + 1)
            self.classes = [_letters(position).upper() for position in range(len(self.classes))]
            steps = [rng.choice(_STEPS[3:] if whole else _STEPS) for whole in self.whole]
            self.step = np.where(codec.numeric, steps, 1.0)
            self._scale = self.step / codec.step
            self.least = self.least * self._scale
            self._shift = np.where(codec.numeric, rng.integers(-_SHIFT, _SHIFT, d) * self.step, 0.0)
        self.columns = {name: j for j, name in enumerate(self.names) if not self.withheld[j]}

    def shown(self, column: int, value: float) -> Value | None:
        """An encoded value as the model sees it; None for a blank."""
        if np.isnan(value):
            return None
        if not self._task.codec.numeric[column]:
            return self.levels[column][int(value)]
        found = float(f"{value * self._scale[column] + self._shift[column]:.12g}")
        return int(found) if found.is_integer() and abs(found) < 1e15 else found

    def written(self, column: int, value: float) -> str:
        """`shown` as text of a prompt."""
        found = self.shown(column, value)
        return "missing" if found is None else quote(found)

    def meant(self, column: int, value: float) -> float:
        """The encoded number that the model means; the inverse of `shown` for numbers, up to rounding."""
        return float((value - self._shift[column]) / self._scale[column])

    def code(self, column: int, value: Any) -> int | None:
        """The position of the level that the model means, None where there is none.

        Types count: "1" is not 1, and 1 is not true.
        """
        for code, level in enumerate(self.levels[column]):
            if level == value and isinstance(level, str | bool) == isinstance(value, str | bool):
                return code
        return None

    def rules(self) -> list[tuple[int, str]]:
        """Every rule in words, with its number in the schema; an order of three features is two sentences.

        Rules over features that are withheld are left out: verification holds answers to them all the same.
        """
        compiled = self._task.codec.rules
        found = [
            (int(rule), self._linear(compiled.matrix[c], compiled.low[c], compiled.high[c]))
            for c, rule in enumerate(compiled.owner)
            if not (self.withheld & (compiled.matrix[c] != 0)).any()
        ]
        for number_, rule in enumerate(compiled.rules):
            if isinstance(rule, Implication):
                tests = [(self._task.schema.columns[c.feature], c.op, c.value) for c in (rule.when, rule.then)]
                if not any(self.withheld[column] for column, _, _ in tests):
                    when, then = (self._condition(*test) for test in tests)
                    found.append((number_, f"if {when} then {then}"))
        return sorted(found, key=lambda entry: entry[0])

    def _linear(self, weights: Floats, low: float, high: float) -> str:
        """`low <= weights @ row <= high` for the numbers as shown, negative terms on the right."""
        scaled = weights / self._scale
        moved = float(scaled @ self._shift)
        sizes = np.abs(scaled[scaled != 0])
        unit = float(sizes.min()) if len(sizes) else 1.0
        scaled, low, high = scaled / unit, (low + moved) / unit, (high + moved) / unit
        left, right = (
            [self._term(j, sign * scaled[j]) for j in np.flatnonzero(sign * scaled > 0).tolist()] for sign in (1, -1)
        )
        if not np.isfinite(low):
            sign, constant, slack = "<=", high, 0.0
        elif not np.isfinite(high):
            sign, constant, slack = ">=", low, 0.0
        else:
            sign, constant, slack = "=", (low + high) / 2, (high - low) / 2
        if not right or constant > 1e-9:
            right.append(number(constant))
        elif constant < -1e-9:
            left.append(number(-constant))
        text = f"{' + '.join(left) or '0'} {sign} {' + '.join(right)}"
        return f"{text}, give or take {number(slack)}" if slack > 1e-9 else text

    def _term(self, column: int, weight: float) -> str:
        name = quote(self.names[column])
        return name if abs(weight - 1) < 1e-9 else f"{number(weight)} * {name}"

    def _condition(self, column: int, sign: str, value: Any) -> str:
        values = value if sign == "in" else [value]
        if self._task.codec.numeric[column]:
            shown = [self.written(column, float(v)) for v in values]
        else:
            levels = list(self._task.schema.features[column].levels)
            shown = [self.written(column, levels.index(v)) for v in values]
        words = {"==": "is", "!=": "is not", "in": "is one of"}.get(sign, sign)
        return f"{quote(self.names[column])} {words} {', '.join(shown)}"


def _letters(position: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    text = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
