"""A schema from a table: what the data and the column names say, for a person to edit.

Every decision that a person may want to change is said: the reason of an ignored column stands in
`FeatureSchema.ignored`, the reason of a feature's role or kind in the notes, which `to_toml` writes
above the feature. Columns of health that the catalogue of `sensecf.sensors` knows take what it says.
docs/schema.md lists how each field is decided.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.frames import as_frame
from sensecf.core.rules import Floats, Rule, RuleSet
from sensecf.core.schema import Feature, FeatureSchema, Value
from sensecf.data.infer.causes import Known
from sensecf.data.infer.column import feature_of, free_text, neat, numbers_of, say_clock, unusable
from sensecf.data.infer.disguise import Disguised, mixed_units, uncover
from sensecf.data.infer.findrules import find_rules
from sensecf.data.infer.identity import find_identity
from sensecf.data.infer.laws import find_laws
from sensecf.data.infer.leaks import find_leaks
from sensecf.data.infer.names import ColumnName, parse_names
from sensecf.data.infer.recognise import recognise
from sensecf.data.infer.targets import default_target, named_target
from sensecf.data.tables import check_label, check_names, check_values

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame


class Inferred(NamedTuple):
    """A schema, remarks on single features (by name) and on the table as a whole, and rules a person may take in."""

    schema: FeatureSchema
    notes: dict[str, str]
    remarks: tuple[str, ...]
    proposed: tuple[Rule, ...]


def infer_schema(
    frame: IntoDataFrame,
    label: str,
    person: str | None = None,
    name: str = "",
    *,
    when: str | None = None,
    shown: Sequence[str] = (),
    group: str | None = None,
) -> FeatureSchema:
    """The schema of a table; see `infer_schema_with_notes` for one that explains itself. `group`: the old spelling of
    `person`.

    >>> schema = sensecf.infer_schema(train, label="stress")
    >>> schema.person, schema.classes
    ('participant_id', ('high', 'low'))
    """
    return infer_schema_with_notes(frame, label, group if person is None else person, name, when=when, shown=shown)[0]


def infer_schema_with_notes(
    frame: IntoDataFrame,
    label: str,
    person: str | None = None,
    name: str = "",
    weeks: float | None = None,
    *,
    when: str | None = None,
    shown: Sequence[str] = (),
) -> Inferred:
    """The schema of a table with the reasons of its choices.

    `person` names the column that says whose row it is, `when` that of its date; without them names and values say
    (see `identity`). `shown`: columns that are kept and shown, never learned from. Ranges, steps and levels hold all
    rows. With `weeks`, known columns may change by no more than is reasonable in so many weeks.
    Raises `InputError` for a table or label that cannot be used (see `tables.check_label` and
    `tables.check_values`), a person, when or shown that is no column, and a table that leaves no feature.

    >>> sensecf.infer_schema_with_notes(train, label="stress").schema.label
    'stress'
    """
    frame, names = _named(as_frame(frame, "frame"))
    labelled, unlabelled = check_label(frame, label)
    _check_shown(shown, names)
    whose = find_identity(frame, label, {n: parsed for n, parsed in names.items() if n not in shown}, person, when)
    read = _read(frame, [c for c in frame.columns if c not in (label, whose.person, whose.when, *shown)], names)
    labelled = read.frame[frame[label].notna()].assign(**{label: labelled[label].to_numpy()})

    values = {f.name: numbers_of(read.frame[f.name]) for f in read.features if f.numeric}
    classes: list[Value] = sorted(labelled[label].unique().tolist())
    known = recognise(read.features, names, values, label, named_target(classes, names[label].words) is not None, weeks)
    notes = read.notes | known.notes
    leaks, near = _leaks(labelled, label, known.features, names, notes)
    ignored = read.ignored | known.ignored | leaks
    features = [_least(f, values, known.errors) for f in known.features if f.name not in leaks]
    kept = {whose.person: "an identifier", whose.when: "a date"}
    _check_any(features, ignored | {column: what for column, what in kept.items() if column})
    rules = _rules(features, names, values, known.rules)
    target, why = default_target(classes, names[label].words)
    schema = FeatureSchema(
        features=tuple(features),
        label=label,
        classes=tuple(classes),
        target=target,
        person=whose.person,
        when=whose.when,
        shown=tuple(shown),
        rules=(*rules.found, *rules.known),
        ignored=ignored,
        name=name,
    )
    said = {f.name: read.coded[f.name].said(f.name) + mixed_units(f, names[f.name], values) for f in features}
    for column, auc in near.items():
        said[column].append(f"predicts {label} alone with an AUC of {auc:.3f}: a leak? Delete the feature if it is one")
    proposals = _causes(features, known.causes)
    remarks = [_levers(features), why, *(f"{column}: {line}" for column, lines in said.items() for line in lines)]
    remarks += [*known.remarks, *_said_of_causes(proposals), *whose.remarks]
    if unlabelled:
        remarks.append(f"label: {unlabelled} of {len(frame)} rows have no {label} and are left out of training")
    return Inferred(schema, _noted(said, notes, proposals), (*remarks, *rules.said()), tuple(rules.doubtful))


def _named(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, ColumnName]]:
    """A table under checked names, and these taken apart, with the units that stood behind numbers."""
    units: Mapping[str, str] = frame.attrs.get("units", {})
    frame = frame.set_axis(check_names(frame.columns), axis=1)
    parsed = parse_names(frame.columns)
    return frame, {column: _with_unit(name, units.get(column, "")) for column, name in parsed.items()}


def _said_of_causes(proposals: Mapping[str, list[str]]) -> list[str]:
    """That causes are proposed, where there are any."""
    count = len(proposals)
    return [f"causes are known for {count} columns and stand as comments; take the # away to let them follow"][:count]


def _noted(
    said: Mapping[str, list[str]], notes: Mapping[str, str], proposals: Mapping[str, list[str]]
) -> dict[str, str]:
    """The comments above each feature: what its values say, what is known of it, what may act on it."""
    lines = {column: [*own, *filter(None, [notes[column]]), *proposals.get(column, [])] for column, own in said.items()}
    return {column: "\n".join(own) for column, own in lines.items() if own}


def _check_any(features: Sequence[Feature], ignored: Mapping[str, str]) -> None:
    """Raise `InputError` for a table of which no column is a feature."""
    if not features:
        reasons = "; ".join(f"{column}: {reason}" for column, reason in list(ignored.items())[:3])
        raise InputError(
            f"no column of the table can be a feature ({reasons or 'there is none beside the label'}); "
            "add columns to the table"
        )


class _Read(NamedTuple):
    """Columns read one by one: the table with blanks for codes, what each column hides, features, reasons, notes."""

    frame: pd.DataFrame
    coded: dict[str, Disguised]
    features: list[Feature]
    ignored: dict[str, str]
    notes: dict[str, str]


def _read(frame: pd.DataFrame, columns: Sequence[str], names: Mapping[str, ColumnName]) -> _Read:
    """The features that columns are on their own, and why others are none."""
    out = _Read(frame, {}, [], {}, {})
    plain: dict[str, pd.Series[Any]] = {}
    for column in columns:
        reason = unusable(frame[column], names[column])
        if not reason:
            out.coded[column] = uncover(frame[column], names[column])
            plain[column] = out.coded[column].column
            check_values(plain[column].to_frame(column), [column])
            reason = free_text(plain[column]) if plain[column].notna().any() else "no value in any row but codes"
        if reason:
            out.ignored[column] = reason
            say_clock(frame[column], reason)
            continue
        feature, out.notes[column] = feature_of(plain[column], column, names[column])
        out.features.append(out.coded[column].told(feature))
    return out._replace(frame=frame.assign(**plain))


class _Rules(NamedTuple):
    """Rules found in the rows, those known for such columns, those known and broken, and those to be looked at."""

    found: list[Rule]
    known: list[Rule]
    broken: list[Rule]
    doubtful: list[Rule]

    def said(self) -> list[str]:
        """A line for each rule."""
        lines = [f"rule found in every complete row, delete it if it is no law: {rule}" for rule in self.found]
        lines += [f"rule known for such columns, obeyed by every row: {rule}" for rule in self.known]
        lines += [f"rule known for such columns, left out because rows break it: {rule}" for rule in self.broken]
        if self.doubtful:
            lines.append(f"{len(self.doubtful)} more rules hold in every row; they stand at the end as comments")
        return lines


def _rules(
    features: Sequence[Feature], names: Mapping[str, ColumnName], values: Mapping[str, Floats], known: Sequence[Rule]
) -> _Rules:
    """What holds among the features: by their names, by the catalogue (`known`), by their values alone."""
    found = find_rules(features, names, values)
    added, broken = _obeyed(known, found, features, values)
    laws = find_laws(features, names, values, [*found, *added])
    return _Rules([*found, *laws.plain], added, broken, laws.doubtful)


def _leaks(
    labelled: pd.DataFrame,
    label: str,
    features: Sequence[Feature],
    names: Mapping[str, ColumnName],
    notes: dict[str, str],
) -> tuple[dict[str, str], dict[str, float]]:
    """Features that give the label away, with the reason, and the AUC of those that nearly do.

    Where all do they are kept, which is added to `notes`.
    """
    leaks, near = find_leaks(labelled, label, features, names)
    if leaks and len(leaks) == len(features):
        for column, reason in leaks.items():
            notes[column] = f"{notes[column]}\nkept only because no other feature is left: {reason}".strip()
        return {}, near
    return leaks, near


def _check_shown(shown: Sequence[str], names: Mapping[str, ColumnName]) -> None:
    absent = [name for name in shown if name not in names]
    if absent:
        raise InputError(f"the table has no column {absent[0]!r} to show; the columns are {', '.join(names)}")


def _with_unit(name: ColumnName, unit: str) -> ColumnName:
    """A name with the unit that stood behind the numbers of its column, where the name itself has none."""
    return name if name.unit else name._replace(unit=unit)


def _levers(features: Sequence[Feature]) -> str:
    """How many features a person can move, in a line, and what to do where there is none."""
    levers = [f.name for f in features if f.role == "actionable" and f.changeable]
    if levers:
        some = ", ".join(levers[:8]) + (", ..." if len(levers) > 8 else "")
        return f"actionable: {len(levers)} of {len(features)} features ({some})"
    return (
        f"actionable: none of the {len(features)} features is known as something that a person does; "
        'write role = "actionable" for those that are'
    )


def _causes(features: Sequence[Feature], known: Mapping[str, Known]) -> dict[str, list[str]]:
    """The known causes of each column as lines of a schema file, to be accepted by a person."""
    there = {f.name: f for f in features}
    out: dict[str, list[str]] = {}
    for name, found in known.items():
        if name not in there or not there[name].changeable:
            continue
        pairs = [(c, s) for c, s in zip(found.causes, found.sign, strict=True) if c in there]
        if pairs:
            out[name] = [
                "known to act on it, and off until the # are taken away:",
                f"causes = {json.dumps([c for c, _ in pairs], ensure_ascii=False)}",
                f"sign = {json.dumps([s for _, s in pairs])}",
                f"causes_source = {json.dumps(found.source, ensure_ascii=False)}",
            ]
    return out


def _least(feature: Feature, values: Mapping[str, Floats], errors: Mapping[str, float]) -> Feature:
    """The feature with its least worthwhile change: the device's error or a tenth of a standard deviation."""
    if not feature.numeric or not feature.changeable or feature.low == feature.high:
        return feature
    assert feature.low is not None
    assert feature.high is not None
    assert feature.step is not None
    wanted = max(errors.get(feature.name, 0.0), float(np.nanstd(values[feature.name])) / 10)
    most = min((feature.high - feature.low) / 4, feature.max_change or np.inf, feature.most_change or np.inf)
    cells = min(np.ceil(wanted / feature.step - 1e-9), np.floor(most / feature.step + 1e-9))
    return replace(feature, least_change=neat(round(cells * feature.step, 10))) if cells > 1 else feature


def _obeyed(
    known: Sequence[Rule], found: Sequence[Rule], features: Sequence[Feature], values: Mapping[str, Floats]
) -> tuple[list[Rule], list[Rule]]:
    """The known rules that are not among those found: obeyed by every row, and broken by some."""
    there = {(type(rule), frozenset(rule.members())) for rule in found}
    columns = {f.name: i for i, f in enumerate(f for f in features if f.numeric)}
    new = [r for r in known if (type(r), frozenset(r.members())) not in there and set(r.members()) <= set(columns)]
    if not new:
        return [], []
    rows = np.column_stack([values[name] for name in columns])
    broken = RuleSet.compile(new, columns, lambda name, value: value).violated(rows)
    bad = [bool(rule.any()) for rule in broken.T]
    kept = [rule for rule, wrong in zip(new, bad, strict=True) if not wrong]
    return kept, [rule for rule, wrong in zip(new, bad, strict=True) if wrong]
