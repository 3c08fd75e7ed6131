"""Laws that the values show, whatever the columns are called: order, sums, narrow ratios.

A law holds in every complete row, and would hardly do so if the columns had nothing to do with each other:
ranges that do not overlap make no order. A sample refutes most pairs at once; all rows decide about the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from sensecf.core.rules import EPS, Bools, Floats, Order, Ratio, Rule, Total
from sensecf.core.schema import Feature
from sensecf.data.infer.names import STATISTICS, ColumnName, word_set

#: Complete rows, and different values per column, that a law is read from at least.
MIN_ROWS, MIN_VALUES = 50, 10
#: Chance, over all pairs of columns, that unrelated columns with these values keep an order in every row.
CHANCE = 1e-6
#: Largest ratio over smallest, and what each column must span itself, for a ratio to be narrow.
NARROW, WIDE = 1.2, 2.0
#: Rows in which laws are looked for first.
SAMPLE = 400
#: Proposals among columns that need not be commensurable: more than these nobody reads.
MOST = 12


#: Words that say which figure of a quantity a column is, beside the names of statistics.
_KINDS = word_set("worst error se best first last low high lower upper total day night daily nightly")


class Laws(NamedTuple):
    """Laws between plainly commensurable columns, and those that a person should look at first."""

    plain: list[Rule]
    doubtful: list[Rule]


def find_laws(
    features: Sequence[Feature], names: Mapping[str, ColumnName], values: Mapping[str, Floats], known: Sequence[Rule]
) -> Laws:
    """What holds in every row of the numeric features and does not follow from the rules that are `known`.

    `values` holds their columns, NaN where blank. Columns are commensurable when they have the same unit and a
    word of their names in common that is no statistic. Sums need neither: their rows leave no doubt.
    """
    numeric = [f for f in features if f.numeric and len(np.unique(values[f.name][:5000])) >= MIN_VALUES]
    columns = [f.name for f in numeric]
    if len(columns) < 2:
        return Laws([], [])
    table = np.column_stack([values[name] for name in columns])
    complete = np.flatnonzero(~np.isnan(table).all(axis=1))
    sample = table[complete[np.linspace(0, len(complete) - 1, min(len(complete), SAMPLE)).astype(int)]]
    twins = _twins(table, sample)
    kept = [j for j in range(len(columns)) if j not in twins]
    columns, table, sample = [columns[j] for j in kept], table[:, kept], sample[:, kept]
    if len(columns) < 2:
        return Laws([], [])
    steps = np.array([float(numeric[j].step or 0.0) for j in kept])
    related = np.array([[_related(names[a], names[b]) for b in columns] for a in columns])
    bound = {frozenset(rule.members()) for rule in known}
    sums = [rule for rule in _sums(columns, table, sample, steps) if frozenset(rule.members()) not in bound]
    implied = {frozenset(pair) for rule in (*known, *sums) for pair in combinations(rule.members(), 2)}
    held = _orders(table, sample)
    for a, b in np.argwhere(held).tolist():
        held[a, b] = frozenset((columns[a], columns[b])) not in implied
    above = np.array([(numeric[j].low or 0.0) > 0 for j in kept])  # what may be 0 divides nothing
    ratios = _ratios(columns, table, sample, implied, above)
    plain, doubtful = (
        [Order((columns[a], columns[b])) for a, b in np.argwhere(_reduced(part)).tolist()]
        for part in (held & related, held & ~related)
    )
    return Laws([*sums, *plain], [*ratios, *doubtful][:MOST])


def _related(a: ColumnName, b: ColumnName) -> bool:
    words = (set(a.stem) & set(b.stem)) - STATISTICS - _KINDS
    return a.unit == b.unit and any(len(word) > 1 for word in words)


def _twins(table: Floats, sample: Floats) -> set[int]:
    """Columns that repeat an earlier one, value by value."""
    found: set[int] = set()
    for j in range(1, sample.shape[1]):
        same = np.flatnonzero(
            ((sample[:, :j] == sample[:, [j]]) | np.isnan(sample[:, :j] + sample[:, [j]])).all(axis=0)
        )
        found |= {j for i in same.tolist() if np.array_equal(table[:, i], table[:, j], equal_nan=True)}
    return found


def _orders(table: Floats, sample: Floats) -> Bools:
    """Which column is at most which other one in every complete row, and would not be by chance, shape (d, d)."""
    d = table.shape[1]
    with np.errstate(invalid="ignore"):
        held: Bools = ~np.asarray((sample[:, :, None] > sample[:, None, :]).any(axis=0))
    np.fill_diagonal(held, False)
    every = [np.sort(column[~np.isnan(column)]) for column in sample.T]
    for a, b in np.argwhere(held).tolist():
        # How often a value of the one would exceed one of the other if they were unrelated.
        crossing = 1.0 - np.searchsorted(every[a], every[b], side="right").mean() / max(len(every[a]), 1)
        both = ~np.isnan(table[:, a] + table[:, b]) if crossing > 0 else np.zeros(0, dtype=bool)
        lucky = both.sum() * np.log1p(-min(crossing, 1 - 1e-12)) + 2 * np.log(d)
        held[a, b] = (
            both.sum() >= MIN_ROWS and lucky < np.log(CHANCE) and bool((table[:, a] <= table[:, b])[both].all())
        )
    return held


def _reduced(held: Bools) -> Bools:
    """The order without what follows from the rest of it: a <= c where a <= b and b <= c. No circles: no twins."""
    reach = held.copy()
    for k in range(len(held)):
        reach |= reach[:, [k]] & reach[[k], :]
    through: Bools = (reach.astype(np.float32) @ reach.astype(np.float32)) > 0
    return held & ~through


def _sums(columns: Sequence[str], table: Floats, sample: Floats, steps: Floats) -> list[Total]:
    """Totals of two to six columns; a difference is one too (maximum = minimum + width)."""
    from scipy.optimize import nnls

    sample = sample[~np.isnan(sample).any(axis=1)]
    spread = sample.std(axis=0) if len(sample) else np.zeros(len(columns))
    if len(sample) < max(MIN_ROWS, len(columns) + 20) or not (spread > 0).all():
        return []
    found: dict[frozenset[str], Total] = {}
    for whole in range(len(columns)):
        # Parts are never larger than the whole.
        parts = np.flatnonzero((sample <= sample[:, [whole]] + steps[whole]).all(axis=0) & (sample >= 0).all(axis=0))
        parts = parts[parts != whole]
        if len(parts) < 2:
            continue
        weight = nnls(sample[:, parts] / spread[parts], sample[:, whole] / spread[whole], maxiter=50 * len(parts))[0]
        used = weight > 0.02  # in standard deviations; rounding gives others a little
        ratio = weight[used] * spread[whole] / spread[parts[used]]
        chosen = parts[used]
        if not 2 <= len(chosen) <= 6 or np.abs(ratio - 1.0).max() > 0.02:
            continue
        apart = np.abs(table[:, chosen].sum(axis=1) - table[:, whole])
        apart = apart[~np.isnan(apart)]
        halves = steps[[*chosen, whole]] / 2
        # As exact as the steps allow, and far finer than what the columns do.
        if apart.max() <= halves.sum() + EPS and apart.max() <= 0.05 * min(spread[chosen].min(), spread[whole]):
            tolerance = max(float(np.ceil(apart.max() * 1e6 - 1e-3) / 1e6), float(halves.max()))
            rule = Total(tuple(columns[j] for j in chosen), columns[whole], tolerance)
            found.setdefault(frozenset(rule.members()), rule)
    return list(found.values())


def _ratios(
    columns: Sequence[str], table: Floats, sample: Floats, implied: set[frozenset[str]], above: Bools
) -> list[Rule]:
    """Narrow ratios of positive columns that span much more themselves; `above`: those whose range lies above 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        positive = np.flatnonzero((np.nan_to_num(table, nan=1.0) > 0).all(axis=0))
    if not len(positive):
        return []
    low, high = np.nanquantile(sample[:, positive], [0.05, 0.95], axis=0)
    usable = positive[high >= WIDE * low]
    logs = np.log(np.where(sample[:, usable] > 0, sample[:, usable], np.nan))
    pairs: list[tuple[float, int, int]] = []
    for place, a in enumerate(usable.tolist()):
        apart = logs[:, place + 1 :] - logs[:, [place]]
        width = np.nanmax(apart, axis=0) - np.nanmin(apart, axis=0) if apart.shape[1] else np.empty(0)
        for other in np.flatnonzero(width <= np.log(NARROW)).tolist():
            pairs.append((float(width[other]), a, int(usable[place + 1 + other])))
    group = {j: j for j in range(len(columns))}
    rules: list[Rule] = []
    for _, a, b in sorted(pairs):  # the narrowest first; what hangs together already needs no more
        a, b = (a, b) if above[a] else (b, a)
        if not above[a]:
            continue
        ratio = table[:, b] / table[:, a]
        ratio = ratio[~np.isnan(ratio)]
        least, most = float(ratio.min()), float(ratio.max())
        if group[a] == group[b] or frozenset((columns[a], columns[b])) in implied or most > NARROW * least:
            continue
        if len(ratio) < MIN_ROWS:
            continue
        group = {j: group[a] if g == group[b] else g for j, g in group.items()}
        slack = (most - least) / 10  # other people lie a little outside of what is seen
        ends = float(f"{least - slack:.4g}"), float(f"{most + slack:.4g}")
        rules.append(Ratio(columns[b], columns[a], *ends))
    return rules
