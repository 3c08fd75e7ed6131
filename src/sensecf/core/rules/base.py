"""What every kind of rule can do, and what it compiles to."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from sensecf.core.errors import InputError

if TYPE_CHECKING:
    from sensecf.core.schema import FeatureSchema

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Absolute slack when a rule is judged: decimals such as 0.1 + 0.2 are not exact in binary.
EPS = 1e-6

#: Comparisons that a rule demands, in words.
DEMANDS = {
    "<": "must be under",
    "<=": "must be at most",
    ">": "must be over",
    ">=": "must be at least",
    "==": "must be",
    "!=": "must not be",
    "in": "must be one of",
}

#: How a rule is said: the words for a feature, and those for a value of it.
Named = Callable[[str], str]
Written = Callable[[str, Any], str]


class Rule(ABC):
    """A constraint over features, as data: a frozen dataclass. A new kind is a subclass in a file of its own.

    `type` is its name in a schema file, whose other keys are the fields of the dataclass.
    """

    type: ClassVar[str]

    @abstractmethod
    def members(self) -> tuple[str, ...]:
        """The features that it ties together."""

    @abstractmethod
    def check(self, schema: FeatureSchema) -> None:
        """Raise `InputError` for what cannot be meant; the members are features of the schema."""

    @abstractmethod
    def compile(self, into: Compiling) -> None:
        """Add the rule to those that are being compiled."""

    @abstractmethod
    def renamed(self, names: Mapping[str, str]) -> Self:
        """The rule over features of other names."""

    @abstractmethod
    def say(self, name: Named, value: Written) -> str:
        """The rule as the words of a sentence."""

    def rounded(self, steps: Mapping[str, float]) -> Rule:
        """The rule with as much tolerance as members on their steps need."""
        return self

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """The rule of an entry of a schema file, `type` left out. Raises `KeyError`, `TypeError` or `ValueError`."""
        return cls(**entry)

    def entry(self) -> dict[str, object]:
        """The inverse of `read`."""
        return asdict(cast(Any, self))

    def check_numbers(self, schema: FeatureSchema, least: int, members: tuple[str, ...], *numbers: Any) -> None:
        """Raise `InputError` for members that are no numbers, too few or named twice, and for what is no number."""
        for member in self.members():
            if not schema[member].numeric:
                raise InputError(f"rule '{self}' adds or orders {member!r}, which is not a number")
        if len(members) < least:
            raise InputError(f"rule '{self}' needs at least {'two parts' if least == 2 else 'one feature'}")
        if len(set(self.members())) < len(self.members()):
            raise InputError(f"rule '{self}' names a feature twice")
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                raise InputError(f"rule '{self}': {number!r} is not a number")


@dataclass(frozen=True)
class Test:
    """A comparison over a column of encoded rows."""

    column: int
    op: str
    value: Any

    def holds(self, values: Floats) -> Bools:
        """Whether each encoded value meets the comparison; a missing value never does."""
        value = self.value
        with np.errstate(invalid="ignore"):
            match self.op:
                case "<":
                    return values < value - EPS
                case "<=":
                    return values <= value + EPS
                case ">":
                    return values > value + EPS
                case ">=":
                    return values >= value - EPS
                case "==":
                    return np.abs(values - value) <= EPS
                case "!=":
                    return np.abs(values - value) > EPS
                case _:
                    listed: Bools = (np.abs(values[..., None] - np.asarray(value, dtype=float)) <= EPS).any(axis=-1)
                    return listed


@dataclass
class Compiling:
    """Rules on their way into a `RuleSet`: linear rows, equalities and implications over `columns`.

    `encode(feature, value)` gives the encoded value of a condition; `number` is that of the rule at work.
    """

    columns: Mapping[str, int]
    encode: Callable[[str, Any], Any]
    number: int = 0
    matrix: list[Floats] = field(default_factory=list)
    members: list[Bools] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)
    equalities: list[tuple[int, int | None, list[int]]] = field(default_factory=list)
    implications: list[tuple[int, Test, Test]] = field(default_factory=list)

    def linear(self, weights: Mapping[str, float], low: float = -np.inf, high: float = np.inf) -> int:
        """Ask that the weighted sum lies in `[low, high]`; the number of the row."""
        row, members = np.zeros(len(self.columns)), np.zeros(len(self.columns), dtype=bool)
        for name, weight in weights.items():
            row[self.columns[name]] += weight
            members[self.columns[name]] = True
        self.matrix.append(row)
        self.members.append(members)
        self.low.append(low)
        self.high.append(high)
        self.owner.append(self.number)
        return len(self.matrix) - 1

    def equality(self, row: int, whole: str | None, parts: tuple[str, ...]) -> None:
        """Let a member follow where others of a row are edited: the whole before the parts."""
        head = None if whole is None else self.columns[whole]
        self.equalities.append((row, head, [self.columns[name] for name in parts]))


def short(number: Any) -> str:
    """A number without needless decimals; anything else, which is refused later, as it is."""
    return f"{number:g}" if isinstance(number, int | float) else repr(number)


def listed(words: list[str]) -> str:
    """Words as people list them: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def names_of(value: Any) -> tuple[str, ...]:
    """A list of features as a rule holds it. Raises `TypeError` for anything else."""
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list of features")
    return tuple(value)
