"""The catalogue applied to the columns of a table whose names it knows and whose values agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.rules import Floats, Rule
from sensecf.core.schema import Feature
from sensecf.data.infer.catalogue import ALIASES, ENTRIES, ERRORS, MOST, SOURCES, Entry, known_rules
from sensecf.data.infer.causes import Known, known_causes
from sensecf.data.infer.names import ColumnName, english, parse_names, words_of

#: Share of a column's values that must lie in the catalogue's range, else its unit is another.
INSIDE = 0.95
#: A step coarser than this share of the column's range would leave few values to choose from.
COARSEST = 1 / 20
#: Largest difference between a column and its formula, as a share of the column's range.
SAME = 0.02

_SAME_WORD = {"avg": "mean", "average": "mean"}


class Recognised(NamedTuple):
    """Features with what is known of them, and the rules that should hold among them.

    `ignored`: why a column is no feature, `notes`: a comment, `errors`: how far off the device is, all by column;
    `causes`: what is known to act on a column; `remarks`: on the table.
    """

    features: list[Feature]
    rules: list[Rule]
    ignored: dict[str, str]
    notes: dict[str, str]
    remarks: list[str]
    errors: dict[str, float]
    causes: dict[str, Known]


def recognise(
    features: Sequence[Feature],
    names: Mapping[str, ColumnName],
    values: Mapping[str, Floats],
    label: str,
    directed: bool,
    weeks: float | None = None,
) -> Recognised:
    """What the catalogue knows of the features of a table with that label.

    `values` holds the numeric columns, NaN where blank. A column is recognised when its name is that
    of an entry (in any order of words) and nearly all of its values are possible in the entry's unit;
    otherwise it stays as it is and a comment says why. A recognised feature has the entry's unit, role,
    description and range, the range widened to the table, and the entry's step unless that is too coarse
    for the table; the entry's direction where plans lead to the good class (`directed`). Columns from which
    the label is computed, and those that other columns determine, are no features. With `weeks`, the largest
    change is what is reasonable in so many weeks.
    """
    out = Recognised([], [], {}, {}, [], {}, {})
    entries: dict[str, Entry] = {}
    for feature in features:
        candidates = _candidates(names[feature.name])
        reasons = [_misfit(feature, entry, values) for entry in candidates]
        entry = next((e for e, reason in zip(candidates, reasons, strict=True) if not reason), None)
        if entry is None:
            if candidates:
                out.notes[feature.name] = (
                    f"called like {candidates[0].description}{_unit(candidates[0])}, but {reasons[0]}: "
                    "nothing of it was taken over"
                )
                out.remarks.append(f"{feature.name}: {out.notes[feature.name]}")
            out.features.append(feature)
            continue
        reason = _not_a_feature(entry, label)
        if reason:
            out.ignored[feature.name] = reason
            continue
        entries[feature.name] = entry
        out.features.append(_known(feature, entry, directed, weeks))
    _drop_determined(out, entries, values)
    for feature in out.features:
        if feature.name in entries:
            entry = entries[feature.name]
            if entry.name in ERRORS:
                out.errors[feature.name] = ERRORS[entry.name][0]
            wider = _widened(feature, entry)
            out.notes[feature.name] = "\n".join([*_comment(entry), *wider])
            out.remarks.extend(f"{feature.name}: {line}" for line in wider)
    out.rules.extend(_rules(entries, out.features))
    columns = {entry.name: name for name, entry in reversed(list(entries.items()))}
    for name, known in known_causes(columns).items():
        out.causes[name] = known
    if entries:
        out.remarks.append(
            f"known by name and values: {', '.join(entries)}; their units, roles, directions, steps and ranges are "
            "those of the catalogue of health columns, edit what does not fit"
        )
    return out


def known_columns(columns: Iterable[str]) -> dict[str, str]:
    """Column by entry, for the columns whose names, without a look at their values, are of one entry only."""
    found: dict[str, str] = {}
    for column, name in parse_names(columns).items():
        candidates = _candidates(name)
        if len(candidates) == 1:
            found.setdefault(candidates[0].name, column)
    return found


def _rules(entries: Mapping[str, Entry], features: Sequence[Feature]) -> list[Rule]:
    """The catalogue's rules among the recognised features, in the names of the table."""
    columns = {entry.name: name for name, entry in reversed(list(entries.items()))}
    steps = {feature.name: feature.step or 0.0 for feature in features}

    return [rule.renamed(columns).rounded(steps) for rule in known_rules(columns)]


def _key(name: ColumnName) -> tuple[tuple[str, ...], str]:
    return tuple(sorted(_SAME_WORD.get(word, word) for word in english(name.stem))), name.unit


def _index() -> dict[tuple[tuple[str, ...], str], tuple[Entry, ...]]:
    by_name: dict[str, tuple[Entry, ...]] = {entry.name: (entry,) for entry in ENTRIES}
    by_name |= {alias: tuple(by_name[name][0] for name in found) for alias, found in ALIASES.items()}
    parsed = parse_names(by_name)
    found = {_key(name): by_name[text] for text, name in parsed.items()}
    for text, name in parsed.items():  # where the name has no unit, that of the values may choose
        for entry in () if name.unit else by_name[text]:
            found.setdefault((_key(name)[0], entry.unit), (entry,))
    return found


_BY_KEY = _index()


def _candidates(name: ColumnName) -> tuple[Entry, ...]:
    return _BY_KEY.get(_key(name), ())


def _unit(entry: Entry) -> str:
    return f" in {entry.unit}" if entry.unit else ""


def _misfit(feature: Feature, entry: Entry, values: Mapping[str, Floats]) -> str:
    """Why a column cannot be what its name says, or ""."""
    if entry.step is None:
        if entry.levels and feature.numeric:
            return "its values are numbers"
        unknown = set(map(str, feature.levels)) - set(entry.levels)
        return f"{sorted(unknown)[0]!r} is none of its levels" if entry.levels and unknown else ""
    if not feature.numeric:
        return "its values are levels"
    numbers = values[feature.name][~np.isnan(values[feature.name])]
    assert entry.low is not None
    assert entry.high is not None
    inside = float(np.mean((numbers >= entry.low) & (numbers <= entry.high)))
    if inside < INSIDE:
        return f"only {inside:.0%} of the values lie in {entry.low:g} to {entry.high:g}"
    if numbers.max() <= entry.peak:
        return f"no value is above {entry.peak:g}, so it may be in another unit"
    return ""


def _not_a_feature(entry: Entry, label: str) -> str:
    if entry.ignore:
        return f"{entry.description}: {entry.ignore}"
    if entry.label_source and "stress" in words_of(label):
        return f"{entry.description}: a source of the label"
    return ""


def _drop_determined(out: Recognised, entries: dict[str, Entry], values: Mapping[str, Floats]) -> None:
    """Move the features that others determine, in this table too, to the ignored ones."""
    columns = {entry.name: values[name] for name, entry in entries.items() if name in values}
    table = pd.DataFrame(columns)
    for name, entry in list(entries.items()):
        if not entry.formula or not set(entry.derived_from) <= set(table):
            continue
        apart = np.abs(table[entry.name].to_numpy() - np.asarray(table.eval(entry.formula), dtype=float))
        apart = apart[np.isfinite(apart)]
        spread = float(np.ptp(values[name][~np.isnan(values[name])]))
        if len(apart) and np.quantile(apart, 0.99) <= max(entry.step or 0.0, SAME * spread):
            out.ignored[name] = f"determined by {' and '.join(entry.derived_from)}: {entry.formula}"
            del entries[name]
    out.features[:] = [feature for feature in out.features if feature.name not in out.ignored]


def _known(feature: Feature, entry: Entry, directed: bool, weeks: float | None) -> Feature:
    if entry.step is None:
        return replace(feature, role=entry.role, description=entry.description)
    assert feature.low is not None
    assert feature.high is not None
    assert feature.step is not None
    assert entry.low is not None
    assert entry.high is not None
    constant = feature.low == feature.high
    # A column of whole numbers stays one even where the catalogue would allow decimals.
    step = max(entry.step, 1) if feature.kind == "integer" else entry.step
    if step > COARSEST * (feature.high - feature.low):
        step = feature.step
    change = None if weeks is None or entry.weekly is None else entry.weekly * weeks
    return replace(
        feature,
        unit=entry.unit,
        low=min(entry.low, feature.low),
        high=max(entry.high, feature.high),
        step=step,
        role=feature.role if constant else entry.role,
        direction=entry.direction if directed else "any",
        max_change=change,
        protected=feature.protected or entry.protected,
        description=entry.description,
        most_change=_most(entry, step, constant),
    )


def _most(entry: Entry, step: float, constant: bool) -> float | None:
    """The largest change that a person can be asked for; None where none is known or the steps are coarser."""
    if constant or entry.name not in MOST or MOST[entry.name][0] < step:
        return None
    return MOST[entry.name][0]


def _widened(feature: Feature, entry: Entry) -> list[str]:
    if entry.low is None or (feature.low, feature.high) == (entry.low, entry.high):
        return []
    return [
        f"range {feature.format(feature.low)} to {feature.format(feature.high)}: widened to the values of the table, "
        f"which leave the usual {entry.low:g} to {entry.high:g} {entry.unit}; look at them"
    ]


def _comment(entry: Entry) -> list[str]:
    facts = []
    if entry.healthy is not None:
        facts.append(f"healthy: {entry.healthy[0]:g} to {entry.healthy[1]:g} {entry.unit}")
    if entry.weekly is not None:
        facts.append(f"reasonable within a week: {entry.weekly:g} {entry.unit} of change")
    if entry.name in ERRORS:
        error, source = ERRORS[entry.name]
        facts.append(
            f"a change of less than {error:g} {entry.unit} is within the error of measurement ({SOURCES[source]})"
        )
    if entry.name in MOST:
        facts.append(f"most_change: {MOST[entry.name][1]}")
    return [*facts, f"known column; source: {'; '.join(SOURCES[key] for key in entry.sources)}"]
