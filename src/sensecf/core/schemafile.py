"""A schema as the TOML file that a person edits: written with remarks, read with errors that name the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import UnionType
from typing import TYPE_CHECKING, Any

from sensecf.core.errors import InputError
from sensecf.core.feature import Feature, Value
from sensecf.core.rules import Rule, rule_from_dict, rule_to_dict
from sensecf.core.version import FORMAT

if TYPE_CHECKING:
    from sensecf.core.schema import FeatureSchema

#: What each field of a schema file may hold; low, high and step are checked with their feature.
_FIELDS: dict[str, type | UnionType] = {
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
_FEATURE: dict[str, type | UnionType] = {
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


def written(schema: FeatureSchema, notes: Mapping[str, str], proposed: Sequence[Rule]) -> str:
    """The text of a schema file; see `FeatureSchema.to_toml`."""
    import tomlkit

    document = _head(schema)
    features = tomlkit.aot()
    defaults = {f.name: f.default for f in fields(Feature)}
    for feature in schema.features:
        table = tomlkit.table()
        for line in notes.get(feature.name, "").splitlines():
            table.add(tomlkit.comment(line))
        for spec in fields(Feature):
            value = getattr(feature, spec.name)
            if spec.name in ("name", "kind", "role") or value != defaults[spec.name]:
                table.add(spec.name, tomlkit.item(list(value) if isinstance(value, tuple) else value))
        features.append(table)
    document.add("features", features)

    if schema.rules:
        rules = tomlkit.aot()
        for rule in schema.rules:
            rules.append(tomlkit.item(rule_to_dict(rule)))
        document.add("rules", rules)
    text = tomlkit.dumps(document)
    if proposed:
        entries = tomlkit.dumps({"rules": [rule_to_dict(rule) for rule in proposed]}).strip()
        text += "\n# Rules that hold in every row and may be chance: take the # away from those that are laws.\n"
        text += "".join(f"# {line}".rstrip() + "\n" for line in entries.splitlines())
    return text


def _head(schema: FeatureSchema) -> Any:
    """The document of a schema file without its features and rules."""
    import tomlkit

    document = tomlkit.document()
    for line in _HEADER.strip().splitlines():
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    head = {
        "format": FORMAT,
        "name": schema.name or None,
        "label": schema.label,
        "classes": list(schema.classes),
        "target": schema.target,
        "person": schema.person,
        "when": schema.when,
        "shown": list(schema.shown) or None,
        "max_changes": schema.max_changes,
        "shared_by": schema.shared_by,
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
    if schema.ignored:
        document.add("ignored", tomlkit.item(dict(schema.ignored)))
        document["ignored"].comment("columns left out, and why")
    if schema.meanings:
        document.add("meanings", tomlkit.item(dict(schema.meanings)))
    document.add(tomlkit.nl())
    return document


def checked(data: Mapping[str, Any]) -> None:
    """Raise `InputError` for a field that is unknown, absent or of another type; features have one by one of their own,
    see `features_of`."""
    known = {*_FIELDS, "format", "rules"}
    if unknown := sorted(set(data) - known):
        raise InputError(f"unknown field {unknown[0]!r}; the fields of a schema are {', '.join(sorted(known))}")
    for needed in ("label", "classes", "features"):
        if needed not in data:
            raise InputError(f"the schema has no {needed!r}; make one with: sensecf schema TABLE --label COL")
    _check_types(data, _FIELDS, "")


def features_of(data: Mapping[str, Any]) -> tuple[Feature, ...]:
    """The features of a schema file. Raises `InputError` naming the feature and the field that is wrong."""
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
        _check_types(entry, _FEATURE, f"feature {name!r}: ")
        features.append(Feature(**{key: _frozen(value) for key, value in entry.items()}))
    return tuple(features)


def rules_of(data: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules of a schema file. Raises `InputError` for what is none."""
    rules = data.get("rules", [])
    if not isinstance(rules, list):
        raise InputError("rules must be written as [[rules]] entries")
    return tuple(rule_from_dict(rule) for rule in rules)


def person_of(data: Mapping[str, Any]) -> str | None:
    """The column of a schema file that says whose row it is, by its name or by the old one."""
    found = {data[key] for key in ("person", "group") if data.get(key) is not None}
    if len(found) > 1:
        raise InputError("the schema has a person and a group (its old spelling) that differ; delete group")
    return next(iter(found), None)


def _frozen(value: Any) -> Any:
    """A list of a schema file as a feature holds it; any other value as it is."""
    return tuple(value) if isinstance(value, list) else value


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
