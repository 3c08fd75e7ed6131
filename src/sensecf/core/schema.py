"""`FeatureSchema`: what each column is, what may change, and which rules a row obeys.

All data: checked when made, printed, written to TOML, edited by a person, read back.
Rows stay in physical units everywhere; `codec.Codec` turns them into numbers and back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

from sensecf.core.errors import InputError
from sensecf.core.rules import Rule, rule_from_dict, rule_to_dict
from sensecf.version import FORMAT

Kind = Literal["continuous", "integer", "binary", "categorical"]
Role = Literal["actionable", "mutable", "immutable"]
Direction = Literal["any", "increase", "decrease"]
#: Which way an effect goes when its cause grows; "" where nothing is known.
Sign = Literal["+", "-", ""]
Value = str | int | float | bool

#: Columns of `counterfactuals.csv` that stand before the features; a feature may not take their name.
RESERVED = (
    "query", "rank", "generator", "target", "predicted", "probability", "valid", "feasible",
    "plausible", "n_changed", "proximity", "seconds", "reason", "actions", "holds", "holds_low", "lands",
    "expected_valid", "cautious_valid", "consequences", "person", "when", "plan_id", "turns", "of",
)  # fmt: skip


@dataclass(frozen=True)
class Feature:
    """One column of the table.

    `kind`: continuous and integer columns have `low`, `high` (the closed range a counterfactual
    may use, in `unit`) and `step` (values are saved as multiples of it); binary and categorical
    columns have `levels`, every value the column may take.
    `role`: `actionable` (a person can change it), `mutable` (it moves as a result),
    `immutable` (it never changes). `direction` and `max_change` (largest absolute change, in
    `unit`) limit what a counterfactual may do. `protected` marks an attribute such as sex or
    ethnicity: it never changes and effort is compared across it. `missing` says that blanks occur.
    `least_change`: the smallest edit worth a person's while, in `unit`; no answer edits a number by less, but for
    features that follow others by a rule. `nuisance` marks what goes with the label only because of where rows come
    from (a device, a site, a season): it never changes, and none of the five classifiers learns from it.
    `most_change`: the largest change that a person can be asked for, in `unit`; plans made of actions stay within it
    but where a range asks for more, boundary answers do not (`max_change` holds in both). `missing_codes`: values of
    the table that stand for "not measured" and are read as blanks. `suspect_codes`: values that may; they stay, but no
    answer starts from or leads to them.
    `causes`: the features that this one answers to where nobody edits it, as a person has accepted them; `sign`: which
    way, one for each cause or none at all; `causes_source`: where that is from.

    >>> sleep = sensecf.Feature("sleep_total_min", "integer", unit="min", low=240, high=600, step=1)
    >>> sleep.role
    'actionable'
    """

    name: str
    kind: Kind
    role: Role = "actionable"
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    levels: tuple[Value, ...] = ()
    direction: Direction = "any"
    max_change: float | None = None
    protected: bool = False
    missing: bool = False
    description: str = ""
    least_change: float | None = None
    missing_codes: tuple[Value, ...] = ()
    suspect_codes: tuple[Value, ...] = ()
    causes: tuple[str, ...] = ()
    sign: tuple[Sign, ...] = ()
    causes_source: str = ""
    most_change: float | None = None
    nuisance: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            self._fail("the name must be text and not empty")
        if self.name in RESERVED:
            taken = ", ".join(RESERVED)
            self._fail(f"the name is a column of counterfactuals.csv; rename the column (taken: {taken})")
        for attribute, allowed in (
            ("kind", ("continuous", "integer", "binary", "categorical")),
            ("role", ("actionable", "mutable", "immutable")),
            ("direction", ("any", "increase", "decrease")),
        ):
            if getattr(self, attribute) not in allowed:
                self._fail(f"{attribute} {getattr(self, attribute)!r} is unknown: use {', '.join(allowed)}")
        if self.numeric:
            self._check_range()
        else:
            self._check_levels()
        self._check_causes()
        self._check_sizes()
        if self.missing_codes and not self.missing:
            object.__setattr__(self, "missing", True)  # what a code stands for is a blank

    def _fail(self, problem: str) -> NoReturn:
        raise InputError(f"feature {self.name!r}: {problem}")

    def _check_range(self) -> None:
        for attribute in ("low", "high", "step"):
            value = getattr(self, attribute)
            if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
                self._fail(f"a {self.kind} feature needs a finite number as {attribute}, not {value!r}")
        low, high, step = cast(float, self.low), cast(float, self.high), cast(float, self.step)
        if step <= 0:
            self._fail(f"step {step:g} must be positive")
        if low > high:
            self._fail(f"the range is impossible: low {low:g} > high {high:g}")
        if high > low and math.floor(high / step + 1e-9) * step < low - 1e-9 * step:
            self._fail(f"no multiple of the step {step:g} lies in the range {low:g} to {high:g}")
        if self.kind == "integer" and step != round(step):
            self._fail(f"an integer feature needs a whole step, not {step:g}")
        if self.levels:
            self._fail(f"a {self.kind} feature has a range, not levels")

    def _check_levels(self) -> None:
        if not self.levels:
            self._fail(f"a {self.kind} feature needs its levels")
        if len(set(self.levels)) != len(self.levels):
            self._fail("a level is listed twice")
        if self.kind == "binary" and len(self.levels) > 2:
            self._fail(f"a binary feature has at most 2 levels, not {len(self.levels)}")
        if self.low is not None or self.high is not None or self.step is not None:
            self._fail(f"a {self.kind} feature has levels, not a range or step")

    def _check_causes(self) -> None:
        if self.sign and len(self.sign) != len(self.causes):
            self._fail(f"sign has {len(self.sign)} entries for {len(self.causes)} causes; give one for each, or none")
        if wrong := [sign for sign in self.sign if sign not in ("+", "-", "")]:
            self._fail(f'sign {wrong[0]!r} is unknown: use "+", "-" or ""')
        if self.causes and not self.changeable:
            self._fail("what never changes has no causes; delete them, or give the feature another role")
        if self.causes and not self.numeric and self.kind != "binary":
            self._fail(
                "a categorical feature has no causes: what follows must be a number or one of two levels; delete them"
            )

    def _check_sizes(self) -> None:
        if self.max_change is not None and not self.max_change > 0:
            self._fail(f'max_change {self.max_change!r} must be positive; use role = "immutable" to forbid change')
        if self.least_change is not None:
            if not self.numeric:
                self._fail(f"least_change is for numbers, and the feature is {self.kind}; delete it")
            if not 0 < self.least_change < math.inf:
                self._fail(f"least_change {self.least_change!r} must be a positive number; delete it for a single step")
            if self.max_change is not None and self.least_change > self.max_change:
                self._fail(f"least_change {self.least_change:g} > max_change {self.max_change:g} leaves no change")
        if self.most_change is not None:
            if not self.numeric:
                self._fail(f"most_change is for numbers, and the feature is {self.kind}; delete it")
            if not 0 < self.most_change < math.inf:
                self._fail(f"most_change {self.most_change!r} must be a positive number; delete it for no such limit")
            if self.least_change is not None and self.least_change > self.most_change:
                self._fail(f"least_change {self.least_change:g} > most_change {self.most_change:g} leaves no change")

    @property
    def numeric(self) -> bool:
        """True for continuous and integer features."""
        return self.kind in ("continuous", "integer")

    @property
    def changeable(self) -> bool:
        """True when a counterfactual may change the feature at all."""
        return self.role != "immutable" and not self.protected and not self.nuisance

    @cached_property
    def decimals(self) -> int:
        """Decimals needed to write multiples of `step` (0 for levels)."""
        if self.step is None:
            return 0
        return next((n for n in range(13) if abs(self.step * 10**n - round(self.step * 10**n)) < 1e-9), 12)

    def format(self, value: Any, unit: bool = False) -> str:
        """A value as people read it: step decimals, thousands separators, the unit on request."""
        if value is None or value != value:
            return "missing"
        # A small negative number that rounds to zero is written 0, not -0.
        text = f"{round(float(value), self.decimals) + 0.0:,.{self.decimals}f}" if self.numeric else str(value)
        return f"{text} {self.unit}" if unit and self.unit else text


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

    # --- TOML -----------------------------------------------------------------------------

    def to_toml(
        self, path: str | Path | None = None, notes: Mapping[str, str] | None = None, proposed: Sequence[Rule] = ()
    ) -> str:
        """The schema as commented TOML; written to `path` when given (whole or not at all).

        `notes` maps a feature name to a remark that is put above it as a comment; `proposed` rules stand at the
        end as comments.
        """
        import tomlkit

        from sensecf.core.files import write_text

        document = self._head()
        features = tomlkit.aot()
        defaults = {f.name: f.default for f in fields(Feature)}
        for feature in self.features:
            table = tomlkit.table()
            for line in (notes or {}).get(feature.name, "").splitlines():
                table.add(tomlkit.comment(line))
            for spec in fields(Feature):
                value = getattr(feature, spec.name)
                if spec.name in ("name", "kind", "role") or value != defaults[spec.name]:
                    table.add(spec.name, tomlkit.item(list(value) if isinstance(value, tuple) else value))
            features.append(table)
        document.add("features", features)

        if self.rules:
            rules = tomlkit.aot()
            for rule in self.rules:
                rules.append(tomlkit.item(rule_to_dict(rule)))
            document.add("rules", rules)
        text = tomlkit.dumps(document)
        if proposed:
            entries = tomlkit.dumps({"rules": [rule_to_dict(rule) for rule in proposed]}).strip()
            text += "\n# Rules that hold in every row and may be chance: take the # away from those that are laws.\n"
            text += "".join(f"# {line}".rstrip() + "\n" for line in entries.splitlines())
        if path is not None:
            write_text(path, text)
        return text

    def _head(self) -> Any:
        """The document of a schema file without its features and rules."""
        import tomlkit

        document = tomlkit.document()
        for line in _HEADER.strip().splitlines():
            document.add(tomlkit.comment(line))
        document.add(tomlkit.nl())
        head: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name or None,
            "label": self.label,
            "classes": list(self.classes),
            "target": self.target,
            "person": self.person,
            "when": self.when,
            "shown": list(self.shown) or None,
            "max_changes": self.max_changes,
            "shared_by": self.shared_by,
        }
        remarks = {
            "target": "the class a counterfactual is to reach",
            "person": "whose row it is; one person's rows stay on one side of every split",
            "when": "its date or time",
            "shown": "kept on this machine and shown, never learned from, never sent",
        }
        for key, value in head.items():
            if value is not None:
                item = tomlkit.item(value)  # a boolean loses its comment once it is in the document
                if key in remarks:
                    item.comment(remarks[key])
                document.add(key, item)
        if self.ignored:
            document.add("ignored", tomlkit.item(dict(self.ignored)))
            document["ignored"].comment("columns left out, and why")
        if self.meanings:
            document.add("meanings", tomlkit.item(dict(self.meanings)))
        document.add(tomlkit.nl())
        return document

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

        known = {
            "format",
            "name",
            "label",
            "classes",
            "target",
            "person",
            "group",
            "when",
            "shown",
            "max_changes",
            "shared_by",
            "ignored",
            "features",
            "rules",
            "meanings",
        }
        check_format(data, "the schema")
        unknown = sorted(set(data) - known)
        if unknown:
            raise InputError(f"unknown field {unknown[0]!r}; the fields of a schema are {', '.join(sorted(known))}")
        for needed in ("label", "classes", "features"):
            if needed not in data:
                raise InputError(f"the schema has no {needed!r}; make one with: sensecf schema TABLE --label COL")
        _check_types(data, _SCHEMA_TYPES, "")
        features = []
        allowed = {f.name for f in fields(Feature)}
        for entry in data["features"]:
            if not isinstance(entry, Mapping):
                raise InputError("features must be written as [[features]] entries")
            name = entry.get("name", "?")
            wrong = sorted(set(entry) - allowed)
            if wrong:
                raise InputError(f"feature {name!r}: unknown field {wrong[0]!r}; use {', '.join(sorted(allowed))}")
            if "name" not in entry or "kind" not in entry:
                raise InputError(f"feature {name!r}: both name and kind are needed")
            _check_types(entry, _FEATURE_TYPES, f"feature {name!r}: ")
            known_fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
            features.append(Feature(**known_fields))
        return cls(
            features=tuple(features),
            label=data["label"],
            classes=tuple(data["classes"]),
            target=data.get("target"),
            person=_person(data),
            rules=tuple(rule_from_dict(rule) for rule in _entries(data.get("rules", []))),
            max_changes=data.get("max_changes"),
            shared_by=data.get("shared_by"),
            ignored=dict(data.get("ignored", {})),
            name=data.get("name", ""),
            meanings=dict(data.get("meanings", {})),
            when=data.get("when"),
            shown=tuple(map(str, data.get("shown", ()))),
        )


#: What each field of a schema file may hold; low, high and step are checked with their feature.
_SCHEMA_TYPES: dict[str, Any] = {
    "name": str,
    "label": str,
    "classes": list,
    "target": Value,
    "person": str,
    "group": str,
    "when": str,
    "shown": list,
    "max_changes": int,
    "shared_by": int,
    "ignored": Mapping,
    "features": list,
    "meanings": Mapping,
}
_FEATURE_TYPES: dict[str, Any] = {
    "name": str,
    "kind": str,
    "role": str,
    "unit": str,
    "levels": list,
    "direction": str,
    "max_change": int | float,
    "protected": bool,
    "missing": bool,
    "description": str,
    "least_change": int | float,
    "most_change": int | float,
    "missing_codes": list,
    "suspect_codes": list,
    "causes": list,
    "sign": list,
    "causes_source": str,
    "nuisance": bool,
}
_WORDS = {str: "text", list: "a list", int: "a whole number", bool: "true or false", Mapping: "a table"}


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


def _person(data: Mapping[str, Any]) -> str | None:
    """The column of a schema file that says whose row it is, by its name or by the old one."""
    found = {data[key] for key in ("person", "group") if data.get(key) is not None}
    if len(found) > 1:
        raise InputError("the schema has a person and a group (its old spelling) that differ; delete group")
    return next(iter(found), None)


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


def _check_types(entry: Mapping[str, Any], types: Mapping[str, Any], where: str) -> None:
    """Raise `InputError` naming the field of a schema file that holds a value of the wrong type."""
    for key, kind in types.items():
        value = entry.get(key)
        if value is None:
            continue
        fits = isinstance(value, kind) and (kind in (bool, Value) or not isinstance(value, bool))
        if not fits:
            raise InputError(f"{where}{key} must be {_WORDS.get(kind, 'a number')}, not {value!r}")
        if kind is list and key != "features" and not all(isinstance(item, Value) for item in value):
            raise InputError(f"{where}{key} must list texts, numbers or truth values, not {value!r}")


def _entries(rules: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(rules, list):
        raise InputError("rules must be written as [[rules]] entries")
    return rules


_HEADER = """
A SenseCF schema: what each column is, what may change, which rules a row obeys.
Edit it: it is what a counterfactual is held to.
  person, when, shown   whose row it is, its date, columns shown beside: kept on this machine, never learned from
  role       actionable (a person can change it), mutable (it moves as a result), immutable
  direction  any, increase, decrease        max_change  largest absolute change, in the unit
  least_change   the smallest edit worth making, in the unit
  most_change    the largest change that a person can be asked for, in the unit; --range may ask for more
  missing_codes  values that stand for "not measured": read as blanks
  suspect_codes  values that may: rename to missing_codes if they do, delete if they are measured
  [meanings]     what the classes mean: {"1" = "diabetes"}
  low, high  the closed range a counterfactual may use; step: values are multiples of it
  protected  true for attributes such as sex or ethnicity: never changed, compared for fairness
  nuisance   true for what says where rows come from (device, site, season): never changed, not learned from
  [[rules]]  order, total, linear, ratio, implication: see docs/schema.md
"""
