"""A weighted sum keeps a bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.rules.base import DEMANDS, Compiling, Named, Rule, Written, listed, short

if TYPE_CHECKING:
    from sensecf.core.schema import FeatureSchema


@dataclass(frozen=True)
class Linear(Rule):
    """`sum(weight * feature) op bound`; for `==`, within `tolerance`."""

    weights: Mapping[str, float]
    op: Literal["<=", ">=", "=="]
    bound: float
    tolerance: float = 0.0
    type: ClassVar[str] = "linear"

    def members(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def __str__(self) -> str:
        terms = " + ".join(f"{short(weight)} {name}" for name, weight in self.weights.items())
        return f"{terms} {self.op} {short(self.bound)}"

    def check(self, schema: FeatureSchema) -> None:
        if self.op not in ("<=", ">=", "=="):
            raise InputError(f"rule '{self}': {self.op!r} is unknown; use <=, >= or ==")
        self.check_numbers(schema, 1, self.members(), *self.weights.values(), self.bound, self.tolerance)
        if self.tolerance < 0:
            raise InputError(f"rule '{self}': tolerance {self.tolerance:g} must not be negative")

    def compile(self, into: Compiling) -> None:
        low = self.bound - self.tolerance if self.op in ("==", ">=") else -np.inf
        high = self.bound + self.tolerance if self.op in ("==", "<=") else np.inf
        row = into.linear(self.weights, low, high)
        if self.op == "==":
            into.equality(row, None, self.members())

    def renamed(self, names: Mapping[str, str]) -> Linear:
        return replace(self, weights={names[name]: weight for name, weight in self.weights.items()})

    def say(self, name: Named, value: Written) -> str:
        if set(self.weights.values()) == {1}:
            terms = listed([name(f) for f in self.weights]) + (" together" if len(self.weights) > 1 else "")
        else:
            terms = " + ".join(f"{weight:g} × {name(f)}" for f, weight in self.weights.items())
        return f"{terms} {DEMANDS[self.op]} {self.bound:,g}"

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Linear:
        return cls(**{**entry, "weights": dict(entry["weights"])})

    def entry(self) -> dict[str, object]:
        return {"weights": dict(self.weights), "op": self.op, "bound": self.bound, "tolerance": self.tolerance}
