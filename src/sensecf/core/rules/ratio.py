"""A quotient keeps within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from sensecf.core.errors import InputError
from sensecf.core.rules.base import Compiling, Named, Rule, Written, short

if TYPE_CHECKING:
    from sensecf.core.schema import FeatureSchema


@dataclass(frozen=True)
class Ratio(Rule):
    """`low <= numerator / denominator <= high` (waist to height, total to HDL cholesterol).

    Judged as `low * denominator <= numerator <= high * denominator`, two linear constraints. That is the
    same for a positive denominator only, so its range must lie above 0. A denominator that is negative in the
    table breaks the rule.
    """

    numerator: str
    denominator: str
    low: float
    high: float
    type: ClassVar[str] = "ratio"

    def members(self) -> tuple[str, ...]:
        return (self.numerator, self.denominator)

    def __str__(self) -> str:
        return f"{short(self.low)} <= {self.numerator} / {self.denominator} <= {short(self.high)}"

    def check(self, schema: FeatureSchema) -> None:
        self.check_numbers(schema, 2, self.members(), self.low, self.high)
        if self.low >= self.high:
            raise InputError(f"rule '{self}': low must be below high; a ratio that is fixed is a linear rule with ==")
        below = schema[self.denominator]
        if below.low is not None and below.low <= 0:
            raise InputError(
                f"rule '{self}': {self.denominator!r} may be {below.low:g}, and a ratio needs a denominator above 0; "
                "raise its low, or delete the rule"
            )

    def compile(self, into: Compiling) -> None:
        into.linear({self.numerator: 1.0, self.denominator: -self.low}, low=0.0)
        into.linear({self.numerator: 1.0, self.denominator: -self.high}, high=0.0)

    def renamed(self, names: Mapping[str, str]) -> Ratio:
        return replace(self, numerator=names[self.numerator], denominator=names[self.denominator])

    def say(self, name: Named, value: Written) -> str:
        share = f"{name(self.numerator)} divided by {name(self.denominator)}"
        return f"{share} must lie between {self.low:,g} and {self.high:,g}"
