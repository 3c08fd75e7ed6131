"""`Limits`: all that may be asked of an answer beyond the schema; declared, read and checked here and nowhere else."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict, Unpack, get_args, get_type_hints

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError, LimitsWarning
from sensecf.core.frames import as_frame
from sensecf.core.kept import check_type
from sensecf.core.names import split_names
from sensecf.core.query import Query, out_of_range
from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: What may be edited: what a person does, or also what only moves as a result.
Edit = Literal["actionable", "mutable"]
#: What a plan has to withstand: nothing that follows from it, what is expected to, or the worse end of that.
Consequences = Literal["still", "expected", "cautious"]
#: What makes one answer better than another: little to do, or a row among those of real people.
Prefer = Literal["effort", "likeness"]
Range = tuple[float | None, float | None]

#: The share of refits that are to agree with a plan, where nothing else is said.
HOLD = 0.95
#: The words for a direction, and what they mean.
DIRECTIONS = {"any": "any", "increase": "increase", "decrease": "decrease", "up": "increase", "down": "decrease"}


class Shorthand(TypedDict, total=False):
    """The fields of `Limits` as keywords."""

    lock: Collection[str]
    ranges: Mapping[str, Range]
    directions: Mapping[str, str]
    max_changes: int | None
    margin: float
    edit: Edit | None
    consequences: Consequences | None
    hold: float
    prefer: Prefer


class LimitsRecord(TypedDict):
    """The fields of `Limits` as they stand in JSON."""

    lock: list[str]
    ranges: dict[str, list[float | None]]
    directions: dict[str, str]
    max_changes: int | None
    margin: float
    edit: Edit | None
    consequences: Consequences | None
    hold: float
    prefer: NotRequired[Prefer]


@dataclass(frozen=True)
class Limits:
    """What is asked of every answer beyond the schema.

    `lock`: features that stay. `ranges`: closed intervals in physical units by feature, None for an open end;
    within the schema's range, and beyond what the training rows show only as far as an end says so. `directions`:
    "increase" ("up") or "decrease" ("down") by feature, beside the schema's (a feature that is given both cannot
    move). `max_changes`: at most so many features. `margin` in [0, 1): the lead over the other classes. `edit`:
    "actionable" holds still what only moves as a result (see `query.results`), "mutable" lets everything move
    that the schema lets move; None is "actionable" where the schema names an actionable feature, else "mutable".
    `consequences`: "cautious" asks that an answer stays valid where each result that follows from it lies at the worse
    end of its band, "expected" where it lies where it is expected, "still" looks at the edits alone; None is "still",
    since plans that hold work as often without this (docs/truth.md).
    `hold` in [0, 1): the share of refits of the classifier that are to agree with a plan (see `pipeline.hold`); 0 asks
    for the boundary answer, the smallest change that this one classifier accepts.
    `prefer`: what makes one answer better than another: "effort", few changes that are small beside what is usual, in
    a row that is no outlier; "likeness", a row close to real ones and to the person's own, where every number counts
    by its training range (see `verify.cost`).
    Raises `InputError` for what can be no limit in any schema; `check` looks at one schema.

    >>> limits = sensecf.Limits(lock=["steps"], ranges={"sleep_total_min": (None, 480)}, hold=0)
    >>> sensecf.Limits.parse(lock="steps", ranges=["sleep_total_min=:480"], hold=0) == limits
    True
    """

    lock: Collection[str] = ()
    ranges: Mapping[str, Range] = field(default_factory=dict)
    directions: Mapping[str, str] = field(default_factory=dict)
    max_changes: int | None = None
    margin: float = 0.0
    edit: Edit | None = None
    consequences: Consequences | None = None
    hold: float = HOLD
    prefer: Prefer = "effort"

    def __post_init__(self) -> None:
        if isinstance(self.lock, str):
            raise InputError(f"lock takes a list of features, not the text {self.lock!r}")
        count = self.max_changes
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise InputError(f"max_changes must be a whole number of at least 1, not {count}")
        if not 0 <= self.margin < 1:
            raise InputError(f"margin must lie in [0, 1), not {self.margin}")
        if not 0 <= self.hold < 1:
            raise InputError(f"hold must lie in [0, 1), not {self.hold}; 0 asks for the boundary answer")
        if self.edit is not None and self.edit not in get_args(Edit):
            raise InputError(f"edit {self.edit!r} is unknown; use {' or '.join(get_args(Edit))}")
        if self.consequences is not None and self.consequences not in get_args(Consequences):
            raise InputError(f"consequences {self.consequences!r} is unknown; use {', '.join(get_args(Consequences))}")
        if self.prefer not in get_args(Prefer):
            raise InputError(f"prefer {self.prefer!r} is unknown; use {' or '.join(get_args(Prefer))}")
        for name, way in (self.directions or {}).items():
            if way not in DIRECTIONS:
                raise InputError(f"direction for {name!r}: {way!r} is unknown; use {', '.join(DIRECTIONS)}")
        for name, ends in (self.ranges or {}).items():
            _check_ends(name, ends)
        for name, value in (
            ("lock", tuple(self.lock)),
            ("ranges", {name: tuple(ends) for name, ends in (self.ranges or {}).items()}),
            ("directions", {name: DIRECTIONS[way] for name, way in (self.directions or {}).items()}),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, limits: Limits | None, **shorthand: Unpack[Shorthand]) -> Limits:
        """The limits given as one object or as keywords. Raises `InputError` where both are."""
        if limits is not None and shorthand:
            raise InputError(f"{', '.join(shorthand)} and limits are both given; put all of it into limits")
        return cls(**shorthand) if limits is None else limits

    @classmethod
    def parse(cls, lock: str = "", ranges: Sequence[str] = (), directions: Sequence[str] = (), **more: Any) -> Limits:
        """The limits in words: `lock` "a,b", `ranges` "sleep=6:8", "sleep=6:" or "sleep=:8", `directions` "steps=up".

        Raises `InputError` for words that cannot be read, and for a feature that is given two of one kind.
        """
        found = dict(_named("range", text, "sleep=6:8, sleep=6: or sleep=:8") for text in ranges)
        ways = dict(_named("direction", text, "steps=up or steps=down") for text in directions)
        for what, read, given in (("range", found, ranges), ("direction", ways, directions)):
            if len(read) < len(given):
                raise InputError(f"one feature is given two of --{what}; give one")
        ends = {name: _ends(name, text) for name, text in found.items()}
        return cls(**{"lock": split_names(lock), "ranges": ends, "directions": ways, **more})

    def to_dict(self) -> LimitsRecord:
        """As data for JSON."""
        return {
            "lock": list(self.lock),
            "ranges": {name: list(ends) for name, ends in self.ranges.items()},
            "directions": dict(self.directions),
            "max_changes": self.max_changes,
            "margin": self.margin,
            "edit": self.edit,
            "consequences": self.consequences,
            "hold": self.hold,
            "prefer": self.prefer,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "limits") -> Limits:
        """From what `to_dict` gave, other keys left aside. Raises `InputError` naming a key of another type."""
        types = get_type_hints(LimitsRecord)
        known = {name: data[name] for name in types if name in data}
        for name, value in known.items():
            check_type(value, types[name], f"{where}: {name}")
        return cls(**known)

    def check(self, schema: FeatureSchema) -> None:
        """Raise `InputError` for limits that cannot be met in a schema: unknown features, impossible ranges, an
        edit that leaves nothing to change."""
        for name in (*self.lock, *self.directions):
            schema[name]
        for name, (lo, hi) in self.ranges.items():
            feature = schema[name]
            if feature.low is None or feature.high is None:
                raise InputError(f"range for {name!r}: the feature has levels, not numbers; lock it instead")
            lo, hi = feature.low if lo is None else lo, feature.high if hi is None else hi
            if lo > hi or lo > feature.high or hi < feature.low:
                span = f"{feature.low:g} to {feature.high:g}"
                raise InputError(f"range for {name!r}: {lo:g} to {hi:g} is impossible within {span}")
        if self.edit == "actionable" and not _acts(schema):
            raise InputError(
                'no feature is a person\'s to change; write role = "actionable" in the schema at those that are, '
                "or let everything move with --edit mutable"
            )

    def resolved(self, schema: FeatureSchema) -> Limits:
        """These limits with `edit` and `consequences` as they are meant in a schema."""
        edit: Edit = self.edit or ("actionable" if _acts(schema) else "mutable")
        return replace(self, edit=edit, consequences=self.consequences or "still")

    def remark(self, schema: FeatureSchema) -> str:
        """What a person should know of how `edit` is meant in a schema, and of what is never learned from; "" where
        there is nothing to say."""
        remarks = []
        if self.edit is None and not _acts(schema):
            remarks.append(
                "The schema names no feature that a person can change, so plans change what only moves as a result; "
                'write role = "actionable" at what a person can do, or say --edit mutable.'
            )
        if nuisances := [f.name for f in schema.features if f.nuisance]:
            remarks.append(
                f"Nuisance, by the schema: {', '.join(nuisances)}. None of the five classifiers is shown it, rows are "
                "weighed so that the label does not go with it, and no plan changes it; a classifier of your own may "
                "have learned from it."
            )
        return " ".join(remarks)

    def settled(self, schema: FeatureSchema) -> Limits:
        """`resolved` after `check`, with a `LimitsWarning` where there is something to remark."""
        self.check(schema)
        if remark := self.remark(schema):
            warnings.warn(remark, LimitsWarning, stacklevel=3)
        return self.resolved(schema)

    def query(self, task: Task, people: IntoDataFrame | Floats, target: Any = None) -> Query:
        """The checked query for raw rows, or for encoded rows (n, d), all towards one class.

        Raises `InputError` for limits that `check` refuses, a target that is no class, and raw rows outside the
        schema's ranges; encoded rows are taken as they are.
        """
        self.check(task.schema)
        if isinstance(people, np.ndarray):
            return Query.of_rows(task, people, target, self)
        frame = as_frame(people, "people")
        rows = task.codec.encode(frame)
        outside = out_of_range(task.codec, rows, frame)
        if outside:
            raise InputError(f"{next(iter(outside.values()))} ({len(outside)} rows in all)")
        return Query.of_rows(task, rows, target, self)


def make_query(task: Task, people: pd.DataFrame, target: Any = None, **limits: Unpack[Shorthand]) -> Query:
    """`Limits(...).query(task, people, target)`."""
    return Limits(**limits).query(task, people, target)


def _acts(schema: FeatureSchema) -> bool:
    return any(f.changeable and f.role == "actionable" for f in schema.features)


def _check_ends(name: str, ends: Any) -> None:
    pair = tuple(ends)
    if len(pair) != 2 or any(v is not None and not math.isfinite(v) for v in pair):
        raise InputError(f"range for {name!r}: {ends!r} is no pair of finite numbers (None for an open end)")
    lo, hi = pair
    if lo is not None and hi is not None and lo > hi:
        raise InputError(f"range for {name!r}: {lo:g} to {hi:g} is impossible; the smaller end stands first")


def _named(what: str, text: str, such: str) -> tuple[str, str]:
    """The feature and the rest of "feature=rest"; a feature's name may hold = itself."""
    name, mark, rest = text.rpartition("=")
    if not mark or not name.strip() or not rest.strip():
        raise InputError(f"--{what} {text!r} cannot be read; write {such}")
    return name.strip(), rest.strip()


def _ends(name: str, text: str) -> Range:
    """The ends in "6:8", "6:" or ":8"."""
    parts = [part.strip() for part in text.split(":")]
    try:
        lo, hi = (float(part) if part else None for part in parts)
    except ValueError:
        lo = hi = None
    if lo is None and hi is None:
        raise InputError(f"--range for {name!r}: {text!r} is no range of numbers; write 6:8, 6: or :8")
    return lo, hi
