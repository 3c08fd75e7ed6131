"""One feature is at most the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from sensecf.core.rules.base import Compiling, Named, Rule, Written, names_of

if TYPE_CHECKING:
    from sensecf.core.schema import FeatureSchema


@dataclass(frozen=True)
class Order(Rule):
    """`features[0] <= features[1] <= ...` in every row (min <= mean <= max)."""

    features: tuple[str, ...]
    type: ClassVar[str] = "order"

    def members(self) -> tuple[str, ...]:
        return self.features

    def __str__(self) -> str:
        return " <= ".join(map(str, self.features))

    def check(self, schema: FeatureSchema) -> None:
        self.check_numbers(schema, 2, self.features)

    def compile(self, into: Compiling) -> None:
        for a, b in pairwise(self.features):
            into.linear({a: 1.0, b: -1.0}, high=0.0)

    def renamed(self, names: Mapping[str, str]) -> Order:
        return Order(tuple(names[name] for name in self.features))

    def say(self, name: Named, value: Written) -> str:
        return " must not be more than ".join(map(name, self.features))

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Order:
        return cls(**{**entry, "features": names_of(entry["features"])})

    def entry(self) -> dict[str, object]:
        return {"features": list(self.features)}
