"""The catalogue applied to a schema: units, roles, steps, ranges and rules of the columns it knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sensecf.rules import Rule
from sensecf.schema import Feature, FeatureSchema
from sensecf.sensors.catalogue import Entry, known_feature, known_rules


def recognise(schema: FeatureSchema, weeks: float | None = None) -> tuple[FeatureSchema, dict[str, str]]:
    """The schema with what the catalogue knows of its columns, and a remark for each column it knows.

    A known feature gets the catalogue's unit, step, role, direction and description. Its range stays
    the one seen in the table, extended to the healthy range, so that every row of the table stays
    inside and health stays within reach. Columns that are the source of a label, or that other
    columns of the table determine exactly, move to `ignored`. Rules of the catalogue that are not
    there yet are added. With `weeks`, the largest change is what is reasonable in so many weeks.
    """
    names = set(schema.names)
    features: list[Feature] = []
    ignored = dict(schema.ignored)
    notes: dict[str, str] = {}
    for feature in schema.features:
        entry = known_feature(feature.name)
        if entry is None:
            features.append(feature)
        elif entry.ignore:
            ignored[feature.name] = f"{entry.description}: {entry.ignore}"
        elif entry.derived_from and set(entry.derived_from) <= names:
            ignored[feature.name] = f"determined by {' and '.join(entry.derived_from)}"
        else:
            features.append(_known(feature, entry, weeks))
            notes[feature.name] = _remark(entry)
    kept = {feature.name for feature in features}
    rules = [rule for rule in schema.rules if set(rule.members()) <= kept]
    rules += [rule for rule in known_rules(kept) if not _present(rule, rules)]
    return replace(schema, features=tuple(features), ignored=ignored, rules=tuple(rules)), notes


def _present(rule: Rule, rules: Iterable[Rule]) -> bool:
    return any(type(other) is type(rule) and set(other.members()) == set(rule.members()) for other in rules)


def _known(feature: Feature, entry: Entry, weeks: float | None) -> Feature:
    feature = replace(
        feature, role=entry.role, direction=entry.direction, protected=entry.protected, description=entry.description
    )
    if not feature.numeric or entry.step is None:
        return feature
    assert feature.low is not None
    assert feature.high is not None
    low, high = entry.healthy or (feature.low, feature.high)
    if entry.role == "immutable":
        low, high = feature.low, feature.high
    # A whole-number column stays one even where the catalogue would allow decimals.
    step = max(entry.step, 1.0) if feature.kind == "integer" else entry.step
    return replace(
        feature,
        unit=entry.unit,
        low=min(low, feature.low),
        high=max(high, feature.high),
        step=step,
        max_change=None if weeks is None or entry.weekly is None else entry.weekly * weeks,
    )


def _remark(entry: Entry) -> str:
    parts = []
    if entry.healthy is not None:
        parts.append(f"healthy {entry.healthy[0]:g} to {entry.healthy[1]:g} {entry.unit}")
    if entry.weekly is not None:
        parts.append(f"at most about {entry.weekly:g} {entry.unit} of change in a week is reasonable")
    return "; ".join(parts)
