"""Rules that the names suggest and that every complete row obeys.

Order rules among statistics of one quantity (hr_min <= hr_mean <= hr_max) and totals of one
family in one unit (deep + light + rem = total; shares that sum to 100). Names and units keep the
search small; a sample refutes most of what they suggest and all rows decide about the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from sensecf.core.rules import EPS, Floats, Order, Rule, Total
from sensecf.core.schema import Feature
from sensecf.data.infer.names import STATISTICS, ColumnName, word_set

#: Complete rows needed before a regularity is called a rule.
MIN_ROWS = 20
_SAMPLE = 200
_MAX_PARTS = 12  # 2^12 subsets of a family are tried at most
_TRIES = 8  # subsets that fit the sample and are checked on all rows

# Where a statistic stands; a mean is only known to lie between the smallest and the largest.
_QUANTILES = {"min": 0, "minimum": 0, "median": 50, "max": 100, "maximum": 100, "peak": 100}
_MEANS = ("mean", "avg", "average")
_PERCENTILE = re.compile(r"[pq](\d{1,2})")
#: Pairs of words where the first quantity never exceeds the second.
_PAIRS = (("diastolic", "systolic"), ("dbp", "sbp"))
_WHOLE = word_set("total sum all overall whole")
#: What parts sum to without a column for the whole, by unit.
_CONSTANTS: dict[str, tuple[float, ...]] = {"%": (100.0,), "min": (1440.0,), "h": (24.0,)}


def find_rules(
    features: Sequence[Feature], names: Mapping[str, ColumnName], values: Mapping[str, Floats]
) -> list[Rule]:
    """Order and total rules over numeric features; `values` holds their columns, NaN where blank."""
    numeric = [f for f in features if f.numeric and f.low != f.high]
    orders = [Order(chain) for chain in _chains([f.name for f in numeric], names)]
    found: list[Rule] = [rule for rule in orders if _ordered(rule, values)]
    return found + list(_totals(numeric, names, values))


def _chains(columns: Sequence[str], names: Mapping[str, ColumnName]) -> list[tuple[str, ...]]:
    """Columns that their names put in order, smallest first."""
    groups: dict[tuple[tuple[str, ...], str], dict[str, str]] = {}
    chains: list[tuple[str, ...]] = []
    for column in columns:
        _, unit, stem = names[column]
        for position, word in enumerate(stem):
            if word in _QUANTILES or word in _MEANS or word == "resting" or _PERCENTILE.fullmatch(word):
                quantity = stem[:position] + stem[position + 1 :]
                groups.setdefault((quantity, unit), {})[word] = column
    for members in groups.values():
        place = {word: _QUANTILES.get(word, -1) for word in members}
        for word in members:
            percentile = _PERCENTILE.fullmatch(word)
            if percentile:
                place[word] = int(percentile[1])
        quantiles = sorted((word for word in members if place[word] >= 0), key=lambda word: place[word])
        means = [members[word] for word in _MEANS if word in members]
        ends = [members[word] for word in quantiles if place[word] in (0, 100)]
        for mean in means:
            low = [members[word] for word in quantiles if place[word] == 0]
            high = [members[word] for word in quantiles if place[word] == 100]
            chains.append((*low[:1], mean, *high[:1]))
            if "resting" in members:
                chains.append((members["resting"], mean))
        chain = tuple(members[word] for word in quantiles)
        if not means or set(chain) - set(ends):  # with a mean, min <= max is said already
            chains.append(chain)
    for smaller, larger in _PAIRS:
        for column in columns:
            stem = names[column].stem
            partner = tuple(larger if word == smaller else word for word in stem)
            chains += [(column, c) for c in columns if smaller in stem and names[c].stem == partner]
    return [chain for chain in dict.fromkeys(chains) if len(chain) > 1]


def _ordered(rule: Order, values: Mapping[str, Floats]) -> bool:
    for smaller, larger in pairwise(rule.features):
        complete = ~np.isnan(values[smaller]) & ~np.isnan(values[larger])
        if complete.sum() < MIN_ROWS or (values[smaller] > values[larger])[complete].any():
            return False
    return True


def _totals(features: Sequence[Feature], names: Mapping[str, ColumnName], values: Mapping[str, Floats]) -> list[Total]:
    found: dict[tuple[frozenset[str], str | float], Total] = {}
    steps = {f.name: float(f.step or 0) for f in features}
    for unit, family in _families(features, names):
        wholes: list[str | float] = [name for name in family if _is_whole(name, family, names)]
        for whole in wholes + list(_CONSTANTS.get(unit, ())):
            parts = [name for name in family if name != whole]
            if isinstance(whole, str):
                shared = _words(names[whole]) - _WHOLE
                parts = [name for name in parts if _words(names[name]) > shared and not _words(names[name]) & _WHOLE]
            verified = (_verified(chosen, whole, steps, values) for chosen in _sums(parts, whole, steps, values))
            total = next((rule for rule in verified if rule is not None), None)
            if total is not None:
                found.setdefault((frozenset(total.parts), whole), total)
    return list(found.values())


def _words(name: ColumnName) -> set[str]:
    return set(name.stem)


def _is_whole(name: str, family: Sequence[str], names: Mapping[str, ColumnName]) -> bool:
    own = _words(names[name]) - _WHOLE
    return sum(own < _words(names[other]) for other in family) >= 2


def _families(features: Sequence[Feature], names: Mapping[str, ColumnName]) -> list[tuple[str, list[str]]]:
    """Columns that may add up: one unit, or one unit and one word in common; statistics do not add up."""
    by_key: dict[tuple[str, str], list[str]] = {}
    for feature in features:
        name = names[feature.name]
        if _words(name) & STATISTICS:
            continue
        for word in sorted(_words(name)) + ([""] if name.unit else []):
            by_key.setdefault((name.unit, word), []).append(feature.name)
    return [(unit, columns) for (unit, _), columns in by_key.items() if 2 <= len(columns) <= _MAX_PARTS + 1]


def _sums(
    parts: Sequence[str], whole: str | float, steps: Mapping[str, float], values: Mapping[str, Floats]
) -> list[list[str]]:
    """Subsets of parts that sum to the whole, within rounding, in a sample of rows; the best few, best first.

    The closest come first, then the largest: a part that is nearly always 0 fits either way.
    """
    if len(parts) < 2:
        return []
    rows = np.linspace(0, len(values[parts[0]]) - 1, min(len(values[parts[0]]), 5 * _SAMPLE)).astype(int)
    columns = np.column_stack([values[name][rows] for name in parts])
    target = values[whole][rows] if isinstance(whole, str) else np.full(len(rows), whole)
    half = np.array([steps[name] for name in parts]) / 2
    half_whole = steps[whole] / 2 if isinstance(whole, str) else 0.0
    with np.errstate(invalid="ignore"):
        keep = np.flatnonzero(~(columns > target[:, None] + half + half_whole + EPS).any(axis=0))
    if not 2 <= len(keep) <= _MAX_PARTS:
        return []
    columns = columns[:, keep]
    complete = np.flatnonzero(~np.isnan(columns).any(axis=1) & ~np.isnan(target))[:_SAMPLE]
    if len(complete) < MIN_ROWS:
        return []
    subsets = (np.arange(1 << len(keep))[:, None] >> np.arange(len(keep)) & 1).astype(float)
    residual = np.abs(subsets @ columns[complete].T - target[complete]).max(axis=1)
    sizes = subsets.sum(axis=1)
    good = np.flatnonzero((residual <= subsets @ half[keep] + half_whole + EPS) & (sizes >= 2))
    best = good[np.lexsort((-sizes[good], np.round(residual[good], 6)))][:_TRIES]
    return [[parts[keep[i]] for i in np.flatnonzero(subsets[row])] for row in best]


def _verified(
    parts: Sequence[str], whole: str | float, steps: Mapping[str, float], values: Mapping[str, Floats]
) -> Total | None:
    """The total over all rows, with the tolerance that they show and at least half a step."""
    residual = np.sum([values[name] for name in parts], axis=0) - (values[whole] if isinstance(whole, str) else whole)
    residual = np.abs(residual[~np.isnan(residual)])
    members = [*parts, whole] if isinstance(whole, str) else list(parts)
    halves = [steps[name] / 2 for name in members]
    if len(residual) < MIN_ROWS or residual.max() > sum(halves) + EPS:
        return None
    # Rounded up to six decimals: the file should not print the noise of binary fractions.
    shown = float(np.ceil(residual.max() * 1e6 - 1e-3) / 1e6)
    return Total(tuple(parts), whole, tolerance=max(shown, *halves))
