"""Parts sum to a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from sensecf.core.errors import InputError
from sensecf.core.rules.base import Compiling, Named, Rule, Written, listed, names_of

if TYPE_CHECKING:
    from sensecf.core.schema import FeatureSchema


@dataclass(frozen=True)
class Total(Rule):
    """The parts sum to the whole (sleep stages to sleep), within `tolerance`.

    `whole` is a feature, which then follows its parts when one of them is edited, or a number
    (shares that sum to 100). Where the whole cannot move, the largest part that can move
    takes up the difference.
    """

    parts: tuple[str, ...]
    whole: str | float
    tolerance: float = 0.0
    type: ClassVar[str] = "total"

    def members(self) -> tuple[str, ...]:
        return (*self.parts, self.whole) if isinstance(self.whole, str) else self.parts

    def __str__(self) -> str:
        return f"{' + '.join(map(str, self.parts))} = {self.whole}"

    def check(self, schema: FeatureSchema) -> None:
        self.check_numbers(
            schema, 2, self.parts, self.tolerance, *([] if isinstance(self.whole, str) else [self.whole])
        )
        if self.tolerance < 0:
            raise InputError(f"rule '{self}': tolerance {self.tolerance:g} must not be negative")

    def compile(self, into: Compiling) -> None:
        weights, constant, whole = dict.fromkeys(self.parts, 1.0), 0.0, None
        if isinstance(self.whole, str):
            whole = self.whole
            weights[whole] = -1.0
        else:
            constant = float(self.whole)
        into.equality(into.linear(weights, constant - self.tolerance, constant + self.tolerance), whole, self.parts)

    def renamed(self, names: Mapping[str, str]) -> Total:
        whole = names[self.whole] if isinstance(self.whole, str) else self.whole
        return replace(self, parts=tuple(names[name] for name in self.parts), whole=whole)

    def rounded(self, steps: Mapping[str, float]) -> Total:
        # What follows the edited members is rounded to its own step.
        return replace(self, tolerance=max(self.tolerance, *(steps[name] / 2 for name in self.members())))

    def say(self, name: Named, value: Written) -> str:
        whole = name(self.whole) if isinstance(self.whole, str) else f"{self.whole:g}"
        return f"{listed([name(part) for part in self.parts])} must add up to {whole}"

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Total:
        return cls(**{**entry, "parts": names_of(entry["parts"])})

    def entry(self) -> dict[str, object]:
        return {"parts": list(self.parts), "whole": self.whole, "tolerance": self.tolerance}
