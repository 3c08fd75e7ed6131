"""Where one condition holds, another must."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sensecf.core.errors import InputError
from sensecf.core.rules.base import DEMANDS, Compiling, Named, Rule, Test, Written

if TYPE_CHECKING:
    from sensecf.core.schema import FeatureSchema

_HOLDS = {
    "<": "is under",
    "<=": "is at most",
    ">": "is over",
    ">=": "is at least",
    "==": "is",
    "!=": "is not",
    "in": "is one of",
}


@dataclass(frozen=True)
class Condition:
    """One comparison of a feature with a value, or with a list of values for `in`."""

    feature: str
    op: Literal["<", "<=", ">", ">=", "==", "!=", "in"]
    value: Any

    def __str__(self) -> str:
        return f"{self.feature} {self.op} {self.value}"

    @property
    def values(self) -> list[Any]:
        """The values compared with, one for all but `in`."""
        return list(self.value) if isinstance(self.value, list | tuple) else [self.value]


@dataclass(frozen=True)
class Implication(Rule):
    """Where the condition `when` holds, `then` must hold too."""

    when: Condition
    then: Condition
    type: ClassVar[str] = "implication"

    def members(self) -> tuple[str, ...]:
        return (self.when.feature, self.then.feature)

    def __str__(self) -> str:
        return f"if {self.when} then {self.then}"

    def check(self, schema: FeatureSchema) -> None:
        for condition in (self.when, self.then):
            self._check(schema, condition)

    def _check(self, schema: FeatureSchema, condition: Condition) -> None:
        feature = schema[condition.feature]
        if condition.op not in tuple(DEMANDS):  # whatever a file holds, a list included
            raise InputError(f"rule '{self}': {condition.op!r} is no comparison; use < <= > >= == != in")
        if not feature.numeric and condition.op not in ("==", "!=", "in"):
            raise InputError(f"rule '{self}': {feature.name!r} has levels, so use ==, != or in")
        values = condition.value if condition.op == "in" else [condition.value]
        if not isinstance(values, list | tuple):
            raise InputError(f"rule '{self}': 'in' needs a list of values")
        for value in values:
            if feature.numeric and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise InputError(f"rule '{self}': {value!r} is not a number")
            if not feature.numeric and value not in feature.levels:
                raise InputError(f"rule '{self}': {value!r} is no level of {feature.name!r} ({list(feature.levels)})")

    def compile(self, into: Compiling) -> None:
        when, then = (
            Test(into.columns[c.feature], c.op, into.encode(c.feature, c.value)) for c in (self.when, self.then)
        )
        into.implications.append((into.number, when, then))

    def renamed(self, names: Mapping[str, str]) -> Implication:
        when, then = (replace(c, feature=names[c.feature]) for c in (self.when, self.then))
        return Implication(when, then)

    def say(self, name: Named, value: Written) -> str:
        when, then = (
            (name(c.feature), c.op, " or ".join(value(c.feature, v) for v in c.values)) for c in (self.when, self.then)
        )
        return f"where {when[0]} {_HOLDS[when[1]]} {when[2]}, {then[0]} {DEMANDS[then[1]]} {then[2]}"

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Implication:
        rest = dict(entry)
        return cls(Condition(**rest.pop("if")), Condition(**rest.pop("then")), **rest)

    def entry(self) -> dict[str, object]:
        return {"if": vars(self.when).copy(), "then": vars(self.then).copy()}
