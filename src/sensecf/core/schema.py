"""`FeatureSchema`: what each column is, what may change, and which rules a row obeys.

All data: checked when made, printed, written to TOML, edited by a person, read back.
Rows stay in physical units everywhere; `codec.Codec` turns them into numbers and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from sensecf.core import schemafile
from sensecf.core.errors import InputError
from sensecf.core.feature import RESERVED, Direction, Feature, Kind, Role, Sign, Value
from sensecf.core.rules import Rule

__all__ = ["RESERVED", "Direction", "Feature", "FeatureSchema", "Kind", "Role", "Sign", "Value"]


@dataclass(frozen=True)
class FeatureSchema:
    """The features of a table in order, its label, whose rows they are and its rules.

    `classes`: every value of the label. `target`: the class to reach when none is named.
    `person`: the column that says whose row it is; one person's rows stay on one side of every split (`group`, its
    old spelling, is read too). `when`: the column with the date or time of a row. `shown`: columns shown beside them.
    The three are kept on this machine: nothing is learned from them, and no model or endpoint is sent them.
    `ignored`: columns of the table left out on purpose, each with the reason.
    `meanings`: what the label and its classes mean, by name: {"1": "diabetes"}.
    `max_changes`: at most so many features change in one counterfactual. `shared_by`: a changed value lies in a cell (a
    step of the feature, a level) that at least so many people of the training rows share.
    Raises `InputError` when anything does not fit together.

    >>> steps = sensecf.Feature("steps", "integer", low=0, high=30000, step=1)
    >>> age = sensecf.Feature("age", "integer", "immutable", low=18, high=90, step=1)
    >>> schema = sensecf.FeatureSchema((age, steps), label="stress", classes=("high", "low"), target="low")
    >>> schema.names
    ['age', 'steps']
    """

    features: tuple[Feature, ...]
    label: str
    classes: tuple[Value, ...]
    target: Value | None = None
    person: str | None = None
    rules: tuple[Rule, ...] = ()
    max_changes: int | None = None
    ignored: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    when: str | None = None
    shown: tuple[str, ...] = ()
    shared_by: int | None = None

    def __post_init__(self) -> None:
        names = self.names
        if not names:
            raise InputError("the schema has no features")
        twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise InputError(f"the schema lists {', '.join(map(repr, twice))} more than once")
        if self.label in names:
            raise InputError(f"{self.label!r} is both the label and a feature; remove one of them from the schema")
        if len(set(self.classes)) != len(self.classes):
            raise InputError(f"label {self.label!r}: a class is listed twice in {list(self.classes)}")
        if len(self.classes) < 2:
            raise InputError(f"label {self.label!r} needs at least two classes, not {list(self.classes)}")
        _check_kept(self)
        if self.target is not None:
            self.find_class(self.target)
        for key, text in self.meanings.items():
            if key not in {self.label, *map(str, self.classes)} or not isinstance(text, str) or not text:
                raise InputError(
                    f"meanings: {key!r} = {text!r} is no text for the label {self.label!r} or one of its classes "
                    f"{list(map(str, self.classes))}"
                )
        for key in ("max_changes", "shared_by"):
            count = getattr(self, key)
            if count is not None and count < 1:
                raise InputError(f"{key} must be at least 1, not {count}")
        _check_causes(self)
        for rule in self.rules:
            for member in rule.members():
                if member not in names:
                    raise InputError(f"rule '{rule}' names {member!r}, which is no feature of the schema")
            rule.check(self)

    @cached_property
    def names(self) -> list[str]:
        """Feature names in order."""
        return [feature.name for feature in self.features]

    @cached_property
    def columns(self) -> dict[str, int]:
        """Position of each feature."""
        return {name: i for i, name in enumerate(self.names)}

    def __getitem__(self, name: str) -> Feature:
        """The feature of that name. Raises `InputError` when there is none."""
        if name not in self.columns:
            raise InputError(f"{name!r} is no feature of the schema; the features are {', '.join(self.names)}")
        return self.features[self.columns[name]]

    def __len__(self) -> int:
        return len(self.features)

    def find_class(self, value: Any) -> Value:
        """The class that equals `value`, or prints like it ("1" finds 1). Raises `InputError` when none does."""
        for candidate in self.classes:
            if candidate == value and isinstance(candidate, bool) == isinstance(value, bool):
                return candidate
        for candidate in self.classes:
            if str(candidate) == str(value):
                return candidate
        raise InputError(f"target {value!r} is no class of {self.label!r}; the classes are {self.said_classes}")

    def goal(self, wanted: Any = None) -> Value:
        """The class to reach: the one wanted, else the schema's target. Raises `InputError` where neither is."""
        if wanted is None:
            wanted = self.target
        if wanted is None:
            raise InputError(
                f"name a target class (--target): the classes of {self.meaning(self.label)} are {self.said_classes}"
            )
        return self.find_class(wanted)

    @property
    def said_classes(self) -> str:
        """Every class as people read it, in a line."""
        return ", ".join(map(self.meaning, self.classes))

    def meaning(self, value: Any) -> str:
        """A class, or the label, as people read it: "1 (diabetes)" where the schema says what it means.

        The label's own name may be a class too; the class comes first.
        """
        text = self.meanings.get(str(value), "")
        return f"{value} ({text})" if text else str(value)

    @property
    def group(self) -> str | None:
        """The old spelling of `person`."""
        return self.person

    @property
    def kept(self) -> list[str]:
        """The columns that are kept on this machine and never learned from: person, when, shown."""
        return [name for name in (self.person, self.when, *self.shown) if name is not None]

    def edit(self, **changes: Mapping[str, Any]) -> FeatureSchema:
        """A copy in which the named features have the given fields replaced.

        >>> schema.edit(steps={"low": 0, "high": 30000}, age={"role": "immutable"})  # doctest: +SKIP
        """
        for name in changes:
            self[name]
        features = tuple(replace(f, **changes[f.name]) if f.name in changes else f for f in self.features)
        return replace(self, features=features)

    def to_toml(
        self, path: str | Path | None = None, notes: Mapping[str, str] | None = None, proposed: Sequence[Rule] = ()
    ) -> str:
        """The schema as commented TOML; written to `path` when given (whole or not at all).

        `notes` maps a feature name to a remark that is put above it as a comment; `proposed` rules stand at the
        end as comments.
        """
        from sensecf.core.files import write_text

        text = schemafile.written(self, notes or {}, proposed)
        if path is not None:
            write_text(path, text)
        return text

    @classmethod
    def from_toml(cls, path: str | Path) -> FeatureSchema:
        """Read a schema file. Raises `InputError` naming the line, feature or field that is wrong."""
        from sensecf.core.kept import read_toml

        data = read_toml(path)
        try:
            return cls.from_dict(data)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FeatureSchema:
        """A schema from the plain structure of its TOML file. Raises `InputError` on what is unknown or missing."""
        from sensecf.core.kept import check_format

        check_format(data, "the schema")
        schemafile.checked(data)
        return cls(
            features=schemafile.features_of(data),
            label=data["label"],
            classes=tuple(data["classes"]),
            target=data.get("target"),
            person=schemafile.person_of(data),
            rules=schemafile.rules_of(data),
            max_changes=data.get("max_changes"),
            shared_by=data.get("shared_by"),
            ignored=dict(data.get("ignored", {})),
            name=data.get("name", ""),
            meanings=dict(data.get("meanings", {})),
            when=data.get("when"),
            shown=tuple(map(str, data.get("shown", ()))),
        )


def _check_kept(schema: FeatureSchema) -> None:
    """Raise `InputError` for a column that is to be learned from and kept apart, or named twice."""
    kept = schema.kept
    for role, name in [("person", schema.person), ("when", schema.when), *(("shown", name) for name in schema.shown)]:
        if name is None:
            continue
        if name in schema.columns:
            raise InputError(f"{name!r} is both {role} and a feature; remove one of them from the schema")
        if name == schema.label:
            raise InputError(f"{name!r} is both {role} and the label; name another column as {role}")
        if kept.count(name) > 1:
            raise InputError(f"{name!r} is named twice among person, when and shown; remove one of them")
        if role == "shown" and name in RESERVED:
            raise InputError(f"{name!r} is shown, and the name is one of the answers' own columns; rename the column")


def _check_causes(schema: FeatureSchema) -> None:
    """Raise `InputError` for a cause that is no other numeric feature of the schema, and for causes in a circle."""
    causes = {f.name: f.causes for f in schema.features}
    for name, own in causes.items():
        for cause in own:
            if cause not in causes:
                raise InputError(f"feature {name!r}: the cause {cause!r} is no feature of the schema; delete it")
            if own.count(cause) > 1:
                raise InputError(f"feature {name!r}: the cause {cause!r} is listed twice; delete one")
            if not schema[cause].numeric and schema[cause].kind != "binary":
                raise InputError(f"feature {name!r}: the cause {cause!r} has levels without an order; delete it")
    try:
        tuple(TopologicalSorter(causes).static_order())
    except CycleError as error:
        circle = " <- ".join(error.args[1])
        raise InputError(f"the causes run in a circle ({circle}); delete one of them") from error
