"""The catalogue applied to the columns of a table whose names it knows and whose values agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.rules import Floats, Linear, Order, Rule, Total
from sensecf.core.schema import Feature
from sensecf.data.infer.catalogue import ALIASES, ENTRIES, ERRORS, MOST, SOURCES, Entry, known_rules
from sensecf.data.infer.causes import Known, known_causes
from sensecf.data.infer.names import ColumnName, english, parse_names, word_set, words_of
from sensecf.data.infer.phrases import PHRASES
from sensecf.data.infer.units import of_same_quantity, one_unit

#: Share of a column's values that must lie in the catalogue's range, else its unit is another.
INSIDE = 0.95
#: A step coarser than this share of the column's range would leave few values to choose from.
COARSEST = 1 / 20
#: Largest difference between a column and its formula, as a share of the column's range.
SAME = 0.02

#: Words of the names of quantities that mean those of the catalogue's names.
_SAME_WORD = {
    same: word
    for word, others in {
        "mean": "avg average",
        "sleep": "asleep slept sleeping sonno sono slaap dormido dormir geschlafen dormi dormito dormida dormindo",
        "sedentary": "sitting seated sat sit sitzend gesessen assis assise sentado sentada seduto seduta "
        "zitten zittend",
        "screen": "screentime bildschirm bildschirmzeit ecran ecrans pantalla pantallas schermo tela scherm",
        "active": "aktiv actif active activo attivo ativo actief aktivitat",
        "steps": "passi passos stappen",
        "distance": "distanz strecke distancia distanza afstand",
        "caffeine": "koffein cafeine cafeina caffeina",
        "hours": "hrs std ore uren",
        "minutes": "mins minuti",
    }.items()
    for same in others.split()
}
#: Words that say that an amount is one of time or of a day, and nothing of what.
_FILLING = word_set(
    "duration time total daily nightly spent amount quantity number nb nr anzahl nombre numero duree dauer duracion "
    "durata duracao duur temps tiempo tempo zeit tijd count taglich tagliche taglicher quotidien quotidiens "
    "quotidienne quotidiennes journalier journaliers diario diarios diaria diarias giornaliero giornalieri giornaliera "
    "giornaliere dagelijks dagelijkse dagliga daglig daglige aantal antal antall liczba tid czas"
)
#: A whole name needs one of these to be an amount of time where it has no unit.
_TIMED = word_set("duration time total duree dauer duracion durata duracao duur temps tiempo tempo zeit tijd czas tid")
#: Words between others, and "per day".
_BETWEEN = word_set("of in the a de du des del di da do en por von am im per pro par al d la le au em no nel dans an")
_PER = word_set("per pro par por a al am")
_DAY = word_set("day night tag nacht jour nuit dia noche giorno notte noite dag")
#: "Time" at the end of a word in writing without blanks.
_TIME_ENDINGS = ("時間", "时间", "時間", "시간")
_TIME_UNITS = {"hours": "h", "minutes": "min"}
#: No day has more hours than this, and a length of time in minutes seldom so few.
_HOURS = 24.0


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
            if entry.error is not None:
                out.errors[feature.name] = entry.error
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
    factors = {entry.name: entry.factor for entry in entries.values()}
    found = [_in_units(rule, factors) for rule in known_rules(columns)]
    return [rule.renamed(columns).rounded(steps) for rule in found if rule is not None]


def _in_units(rule: Rule, factors: Mapping[str, float]) -> Rule | None:
    """A rule of the catalogue among columns that may be in other units; None where it cannot be said in them."""
    by = [factors[name] for name in rule.members()]
    if set(by) == {1.0} or (isinstance(rule, Order) and len(set(by)) == 1):
        return rule
    if isinstance(rule, Linear):
        return replace(rule, weights={name: weight / factors[name] for name, weight in rule.weights.items()})
    if isinstance(rule, Total) and len(set(by)) == 1 and isinstance(rule.whole, str):
        return replace(rule, tolerance=rule.tolerance * by[0])
    return None


class _Named(NamedTuple):
    """What a name says: the words of the quantity, its unit ("" for none), and whether it says that it is a time."""

    words: tuple[str, ...]
    unit: str
    timed: bool


def _key(name: ColumnName) -> _Named:
    plain = [_SAME_WORD.get(word, word) for word in english(name.stem)]
    unit, lengths = one_unit(name.unit), [word for word in plain if word in _TIME_UNITS]
    if len(lengths) == 1 and len(plain) > 1 and unit in ("", _TIME_UNITS[lengths[0]]):  # hours_sitting, Schlafstunden
        unit = _TIME_UNITS[lengths[0]]
        plain.remove(lengths[0])
    words = [
        word
        for k, word in enumerate(plain)
        if word not in _BETWEEN and not (word in _DAY and k and plain[k - 1] in _PER)
    ]
    told = [word for word in words if word not in _FILLING] or words
    steps = unit == "steps" or (not unit and "steps" in words)
    if steps and set(words) <= _FILLING | {"steps", "mean"}:
        return _Named((), "steps", False)  # they are their own unit, however they are counted
    timed = any(word in _TIMED or word.endswith(_TIME_ENDINGS) for word in words)
    return _Named(tuple(sorted(told)), unit, timed)


def _phrases() -> dict[tuple[str, ...], tuple[tuple[str, ...], str]]:
    """By the words of a phrase: those of the catalogue's name for it, and the unit that goes without saying."""
    found: dict[tuple[str, ...], tuple[tuple[str, ...], str]] = {}
    for name, texts in PHRASES.items():
        known = parse_names([name])[name]
        wanted = _key(known)
        unsaid = "" if known.unit != "steps" and len(known.stem) < len(known.words) else wanted.unit
        for phrase in texts.split("|"):
            found[_key(parse_names([phrase])[phrase]).words] = (wanted.words, unsaid)
    return found


_MEANT = _phrases()


def _index() -> dict[tuple[tuple[str, ...], str], tuple[Entry, ...]]:
    """The entries by the words and the unit of their names."""
    by_name: dict[str, tuple[Entry, ...]] = {entry.name: (entry,) for entry in ENTRIES}
    by_name |= {alias: tuple(by_name[name][0] for name in found) for alias, found in ALIASES.items()}
    parsed = parse_names(by_name)
    found: dict[tuple[tuple[str, ...], str], tuple[Entry, ...]] = {}
    for text, name in parsed.items():
        found.setdefault(_key(name)[:2], by_name[text])
    for text, name in parsed.items():  # where the name has no unit, that of the values may choose
        for entry in () if name.unit else by_name[text]:
            found.setdefault((_key(name).words, one_unit(entry.unit)), (entry,))
    return found


_BY_KEY = _index()


def _candidates(name: ColumnName) -> tuple[Entry, ...]:
    """The entries that a column of this name may be, in its unit; the values decide between several."""
    words, unit, timed = _key(name)
    if words in _MEANT and not any(known == words for known, _ in _BY_KEY):
        words, unsaid = _MEANT[words]
        unit = unit or unsaid
    found = _BY_KEY.get((words, unit), ())
    if found or (not unit and not timed):
        return found
    if not unit:  # sleep_duration: minutes, or hours
        minutes = [replace(entry, peak=max(entry.peak, _HOURS)) for entry in _BY_KEY.get((words, "min"), ())]
        return (*minutes, *(hours for entry in minutes if (hours := entry.into("h")) is not None))
    others = (entry for other in of_same_quantity(unit) for entry in _BY_KEY.get((words, other), ()))
    return tuple(entry for one in others if (entry := one.into(unit)) is not None)


@cache
def known_column(name: str, unit: str) -> Entry | None:
    """What the catalogue knows of a column of that name, in its unit; None for an unknown name, or a unit of another
    quantity.

    >>> known_column("sleep_hours", "h").weekly
    1.0
    """
    parsed = parse_names([name])[name]
    wanted = one_unit(unit)
    found = _candidates(parsed._replace(unit=unit) if unit else parsed)
    return next((entry for entry in found if one_unit(entry.unit) == wanted), None)


def known_as(feature: Feature) -> Entry | None:
    """What the catalogue knows of a feature, in its unit; None for an unknown name, a unit of another quantity, and
    numbers that only another unit explains."""
    entry = known_column(feature.name, feature.unit)
    if entry is None or (entry.step is None) == feature.numeric:
        return None
    return None if feature.high is not None and feature.high <= entry.peak else entry


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
    columns = {entry.name: values[name] / entry.factor for name, entry in entries.items() if name in values}
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
    if entry.factor != 1.0:
        step = feature.step
    if step > COARSEST * (feature.high - feature.low):
        step = feature.step
    change = None if weeks is None or entry.weekly is None else entry.weekly * weeks
    return replace(
        feature,
        unit=entry.unit,
        low=min(_on_grid(entry.low, step), feature.low),
        high=max(_on_grid(entry.high, step), feature.high),
        step=step,
        role=feature.role if constant else entry.role,
        direction=entry.direction if directed else "any",
        max_change=change,
        protected=feature.protected or entry.protected,
        description=entry.description,
        most_change=_most(entry, step, constant),
    )


def _on_grid(end: float, step: float) -> float:
    """An end of a range as a multiple of a step, for entries that were made for another unit."""
    return end if abs(end / step - round(end / step)) < 1e-9 else round(round(end / step) * step, 10)


def _most(entry: Entry, step: float, constant: bool) -> float | None:
    """The largest change that a person can be asked for; None where none is known or the steps are coarser."""
    return None if constant or entry.most is None or entry.most < step else entry.most


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
    if entry.error is not None:
        facts.append(
            f"a change of less than {entry.error:g} {entry.unit} is within the error of measurement "
            f"({SOURCES[ERRORS[entry.name][1]]})"
        )
    if entry.name in MOST:
        facts.append(f"most_change: {MOST[entry.name][1]}")
    return [*facts, f"known column; source: {'; '.join(SOURCES[key] for key in entry.sources)}"]
