"""A schema from a table: what the data and the column names say, for a person to edit.

Every decision that a person may want to change is said: the reason of an ignored column stands in
`FeatureSchema.ignored`, the reason of a feature's role or kind in the notes, which `to_toml` writes
above the feature. Columns of health that the catalogue of `sensecf.sensors` knows take what it says.
docs/schema.md lists how each field is decided.
"""

from __future__ import annotations

import datetime
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError, TableWarning
from sensecf.core.frames import as_frame
from sensecf.core.rules import Floats, Rule, RuleSet
from sensecf.core.schema import Feature, FeatureSchema, Kind, Value
from sensecf.data.infer.causes import Known
from sensecf.data.infer.disguise import Disguised, is_clock, mixed_units, uncover
from sensecf.data.infer.findrules import find_rules
from sensecf.data.infer.identity import find_identity, hashable
from sensecf.data.infer.laws import find_laws
from sensecf.data.infer.leaks import find_leaks
from sensecf.data.infer.names import (
    ColumnName,
    is_code,
    is_identifier,
    is_protected,
    is_row_number,
    parse_names,
    role_of,
)
from sensecf.data.infer.recognise import recognise
from sensecf.data.infer.targets import default_target, named_target
from sensecf.data.tables import EXACT, check_label, check_names, check_values, numbers_in

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: Why a column is left out whose values are days or times of day.
A_DATE = "a date or time"
_CLOCK_TEXT = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?")
#: Text columns with more levels than this are free text.
MAX_LEVELS = 200
#: Whole numbers with more values than this are numbers even where the name says code.
MAX_CODES = 20
#: Decimals kept as they are; a column with more gets a step of about a thousandth of its range.
MAX_DECIMALS = 6

_DATE_TEXT = re.compile(
    r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([T ].*)?"  # 2024-05-01T10:00
    r"|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})( .*)?"  # 01/05/2024 10:00
    r"|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp]\.?[Mm]\.?)?"  # 10:00 AM
    r"|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{2,4}( .*)?|[A-Za-z]{3,9} \d{1,2},? \d{4}( .*)?"  # 1 May 2024, May 1, 2024
)


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

    values = {f.name: _numbers(read.frame[f.name]) for f in read.features if f.numeric}
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
        reason = _unusable(frame[column], names[column])
        if not reason:
            out.coded[column] = uncover(frame[column], names[column])
            plain[column] = out.coded[column].column
            check_values(plain[column].to_frame(column), [column])
            reason = _free_text(plain[column]) if plain[column].notna().any() else "no value in any row but codes"
        if reason:
            out.ignored[column] = reason
            _say_clock(frame[column], reason)
            continue
        feature, out.notes[column] = _feature(plain[column], column, names[column])
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
    return replace(feature, least_change=_neat(round(cells * feature.step, 10))) if cells > 1 else feature


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


def _unusable(column: pd.Series[Any], name: ColumnName) -> str:
    """Why a column is no feature, or "" when it can be one."""
    known = column.dropna()
    if known.empty:
        return "no value in any row"
    if not hashable(column) or column.dtype.kind == "c":
        return "holds lists, records or complex numbers, not single values"
    different = known.nunique()
    unique = different == len(known)
    if is_identifier(name.words) and not (is_code(name.words) and different <= MAX_CODES):
        return "an identifier by its name"
    if _is_date(known, name):
        return A_DATE
    if pd.api.types.is_numeric_dtype(column.dtype):
        if is_row_number(name.words) and unique:
            return "a row number by its name"
        counts = unique and len(known) >= 20 and known.is_monotonic_increasing
        return "a row number: counts up by one" if counts and known.iloc[-1] - known.iloc[0] == len(known) - 1 else ""
    return ""


def _free_text(column: pd.Series[Any]) -> str:
    """Why a column of text has no levels to speak of, or "" when it has (or holds numbers)."""
    if _is_numbers(column):
        return ""
    known, different = int(column.notna().sum()), column.nunique()
    if different == known and known >= 20:
        return "text that differs in every row: an identifier or free text"
    if different > MAX_LEVELS or (different > 20 and different > known / 2):
        return f"free text: {different} different values in {known} rows"
    return ""


def _is_numbers(column: pd.Series[Any]) -> bool:
    """Whether every value is a number (not a bool), whatever the dtype."""
    if pd.api.types.is_bool_dtype(column.dtype) or isinstance(column.dtype, pd.CategoricalDtype):
        return False
    numbers = numbers_in(column)
    if numbers is None or (np.isnan(numbers) & column.notna().to_numpy()).any():
        return False
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    # Booleans with blanks are objects; and digits too long to be exact are an identifier.
    return not isinstance(column.dropna().iloc[0], bool) and bool(np.nanmax(np.abs(numbers)) < EXACT)


def _is_date(known: pd.Series[Any], name: ColumnName) -> bool:
    if known.dtype.kind in "Mm" or isinstance(known.dtype, pd.PeriodDtype | pd.DatetimeTZDtype):
        return True
    first = known.iloc[0]
    if isinstance(first, datetime.date | datetime.time | datetime.timedelta):
        return True
    if pd.api.types.is_numeric_dtype(known.dtype):
        return not pd.api.types.is_bool_dtype(known.dtype) and is_clock(known.to_numpy(dtype=float), name)
    if not isinstance(first, str):
        return False
    sample = known.head(1000)
    return bool(sample.map(lambda text: _DATE_TEXT.fullmatch(str(text).strip()) is not None).mean() >= 0.95)


def _say_clock(column: pd.Series[Any], reason: str) -> None:
    """Warn where "7:32" is left out as a time of day: it may be a length of time."""
    first = next(iter(column.dropna()), None)
    if reason == A_DATE and isinstance(first, str) and _CLOCK_TEXT.fullmatch(first.strip()):
        warnings.warn(
            f"column {column.name!r} has values such as {first!r} and is left out as a time of day; if it is a length "
            f"of time, say so in its name (for instance {column.name}_duration)",
            TableWarning,
            stacklevel=4,
        )


def _numbers(column: pd.Series[Any]) -> Floats:
    numbers = numbers_in(column)
    assert numbers is not None
    return numbers


def _feature(column: pd.Series[Any], title: str, name: ColumnName) -> tuple[Feature, str]:
    """The feature a column is, and what a person should know about it (lines, "" for nothing)."""
    role, protected = role_of(name.words), is_protected(name.words)
    missing = bool(column.isna().any())
    known = column.dropna()
    notes = []
    if known.nunique() == 1:
        role = "immutable"
        notes.append("constant in the table: nothing is known about changing it")
    elif role is None:
        notes.append('mutable is a guess: nothing known by this name; write role = "actionable" if a person does it')
    role = role or "mutable"
    common: dict[str, Any] = {"role": role, "protected": protected, "missing": missing}

    if not _is_numbers(column):
        levels = _levels(column)
        kind: Kind = "binary" if len(levels) == 2 else "categorical"
        return Feature(title, kind, levels=levels, **common), "\n".join(notes)

    numbers = _numbers(column)
    different = np.unique(numbers[np.isfinite(numbers)])
    whole = bool((different == np.round(different)).all())
    plain: tuple[Value, ...] = tuple(int(v) if whole else float(v) for v in different[: MAX_CODES + 1])
    if len(different) == 2 and not name.unit and (plain in ((0, 1), (1, 2), (-1, 1)) or len(known) >= 20):
        return Feature(title, "binary", levels=plain, **common), "\n".join(notes)
    if whole and 2 < len(different) <= MAX_CODES and is_code(name.words):
        notes.append('whole numbers taken as codes by the name; if they are measured, use kind = "integer"')
        return Feature(title, "categorical", levels=plain, **common), "\n".join(notes)

    if whole:
        kind, low, high, step = "integer", float(different[0]), float(different[-1]), 1.0
    else:
        kind = "continuous"
        low, high, step, rounded = _grid(different, single=column.dtype == np.float32)
        if rounded:
            notes.append(f"more than {MAX_DECIMALS} decimals in the table: the step is about a thousandth of the range")
    feature = Feature(title, kind, unit=name.unit, low=_neat(low), high=_neat(high), step=_neat(step), **common)
    return feature, "\n".join(notes)


def _neat(number: float) -> float | int:
    """Whole numbers are written without a point."""
    return int(number) if number == round(number) and abs(number) < 1e15 else number


def _grid(different: Floats, single: bool) -> tuple[float, float, float, bool]:
    """Low, high and step of a continuous column, and whether the step is coarser than the data.

    The step is the power of ten that represents every value; where that needs more than
    `MAX_DECIMALS`, about a thousandth of the range. The range is widened to multiples of the step.
    """
    low, high = float(different[0]), float(different[-1])
    noise = (1.2e-7 if single else 1e-14) * max(abs(low), abs(high))  # 0.1 + 0.2 has one decimal
    for decimals in range(MAX_DECIMALS + 1):
        scaled, slack = different * 10.0**decimals, noise * 10.0**decimals
        if slack > 0.1:  # the floats themselves hold no more decimals
            break
        if (np.abs(scaled - np.round(scaled)) <= slack).all():
            return round(low, decimals), round(high, decimals), 10.0**-decimals, False
    spread = high - low if high > low else abs(low)
    power = max(-12, int(np.round(np.log10(spread / 1000))))
    step, decimals = 10.0**power, max(0, -power)
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    return round(float(low), decimals), round(float(high), decimals), round(step, 12), True


def _levels(column: pd.Series[Any]) -> tuple[Value, ...]:
    """The values that occur, sorted; those of an ordered categorical in its order."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.cat.remove_unused_categories().cat
        values = used.categories.tolist()
        if used.ordered:
            return tuple(_value(v) for v in values)
    else:
        values = column.dropna().unique().tolist()
    plain = [_value(v) for v in values]
    same = len({isinstance(v, str) for v in plain}) == 1
    return tuple(sorted(plain)) if same else tuple(sorted(map(str, plain)))


def _value(value: Any) -> Value:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | float | bool) else str(value)
