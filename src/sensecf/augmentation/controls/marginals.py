"""Rows of nobody: drawn from noisy counts of each feature beside the label."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sensecf.augmentation.controls.situation import Situation, Treatment, share_out
from sensecf.core.budget import noise_source
from sensecf.core.codec import Codec
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, shared_span
from sensecf.data.cells import PEOPLE, shared_cells

#: With which probability the promise of `epsilon` may fail.
DELTA = 1e-5
#: Cells of a number are joined to at most so many, of which each is counted.
BINS = 12
#: Rows that are drawn for one that is wanted: some break a rule.
DRAWS = 8
#: What a row of nobody weighs beside a real one: at full weight learners lose more F1 than at a tenth
#: (`benchmarks/private.py --rows`).
WEIGHT = 0.1


def marginals(situation: Situation, amount: float = 1.0) -> Treatment:
    """Rows drawn from the counts of each feature's cells by class, with noise, so that no row is anybody's.

    The marginals of the kind that private releases of tables rest on (McKenna et al. 2021), of the first order beside
    the label. Each person counts as one, however many rows they have, and Gaussian noise is added to every count, so
    that all of them together are (epsilon, `DELTA`)-differentially private by person (Bun & Steinke 2016). That is said
    of the counts alone: which cells there are is told by the rule that five people share each (`shared_cells`), and is
    not covered, nor is how many rows the table has. Features depend on each other through the label only; rows that
    break a rule are left out. Classes get as many rows each: how many the table has of each is counted nowhere.
    """
    rng = situation.rng(303)
    schema = shared_cells(situation.schema, situation.rows, every=True)
    codec = Codec(schema)
    rows = codec.encode(situation.rows)
    people = _people(situation)
    weight = 1.0 / np.bincount(people)[people]
    sigma = noise(len(schema), situation.epsilon)
    wanted = share_out(np.zeros(len(situation.classes), dtype=np.intp), round(amount * situation.budget))
    release = (rows.tobytes(), situation.y.tobytes(), people.tobytes(), schema.to_toml(), situation.epsilon, DELTA)
    source, name = noise_source(*release, situation.seed)
    drawn: Floats = np.full((int(wanted.sum()) * DRAWS, len(schema)), np.nan)
    y: Ints = np.repeat(np.arange(len(wanted)), wanted * DRAWS).astype(np.intp)
    every = []
    for j in range(len(schema)):
        groups = _cells(codec, rows[:, j], people, j)
        every.append(np.concatenate(groups))
        counts = _counts(rows[:, j], situation.y, weight, groups, len(wanted))
        counts += source.normal(0, sigma, counts.shape)
        drawn[:, j] = _draw(np.where(counts > sigma, counts, 0.0), groups, y, rng)
    kept = _legal(codec, drawn, every)
    made, labels = _first(kept, y, wanted)
    note = "" if len(made) == wanted.sum() else f"{len(made)} of {wanted.sum()} rows keep the rules"
    facts = {"epsilon": situation.epsilon, "delta": DELTA, "noise": round(sigma, 3), "by": "person", "of": "counts"}
    facts |= {"release": name}
    added = situation.table(made, labels).assign(added_weight=WEIGHT, added_source="nobody")
    return Treatment(added=added, balanced=True, note=note, facts={"privacy": facts})


def noise(counted: int, epsilon: float, delta: float = DELTA) -> float:
    """The standard deviation of the noise on each count so that `counted` tables of counts, to each of which a person
    adds at most 1, are (epsilon, delta)-differentially private (zero-concentrated, Bun & Steinke 2016)."""
    log = np.log(1 / delta)
    rho = (np.sqrt(log + epsilon) - np.sqrt(log)) ** 2
    return float(np.sqrt(counted / (2 * rho)))


def _people(situation: Situation) -> Ints:
    person = situation.schema.person
    if person is None or person not in situation.rows:
        return np.arange(len(situation.rows))
    codes: Ints = pd.factorize(situation.rows[person], use_na_sentinel=False)[0].astype(np.intp)
    return codes


def _cells(codec: Codec, values: Floats, people: Ints, j: int) -> list[Floats]:
    """The values that a feature's cells stand for, joined to at most `BINS` groups; blanks are the last group where the
    schema knows of any."""
    if codec.numeric[j]:
        low, high = shared_span(values, people, codec.step[j], PEOPLE)
        if low > high:  # nobody shares anything: one value that says nothing
            low = high = float(np.round((codec.low[j] + codec.high[j]) / 2 / codec.step[j]) * codec.step[j])
        every = np.round(
            np.arange(np.round(low / codec.step[j]), np.round(high / codec.step[j]) + 1) * codec.step[j], 10
        )
        inside = every[(every >= codec.low[j]) & (every <= codec.high[j])]
        parts = np.array_split(inside if len(inside) else every[:1], min(BINS, max(len(inside), 1)))
    else:
        levels = np.arange(codec.n_levels[j], dtype=float)
        held = [len(np.unique(people[values == level])) >= PEOPLE for level in levels]
        parts = [np.array([level]) for level in (levels[held] if any(held) else levels[:1])]
    return [*parts, np.array([np.nan])] if codec.schema.features[j].missing else list(parts)


def _counts(values: Floats, y: Ints, weight: Floats, groups: list[Floats], classes: int) -> Floats:
    """How many people have a value in each group, by class, shape (groups, classes); the nearest group counts."""
    known = [g for g in groups if not np.isnan(g).any()]
    centres = np.array([g.mean() for g in known])
    at = np.abs(np.nan_to_num(values)[:, None] - centres[None, :]).argmin(axis=1)
    blank = np.isnan(values)
    if len(groups) > len(known):
        at = np.where(blank, len(known), at)
        blank = np.zeros_like(blank)
    counts = np.zeros((len(groups), classes))
    np.add.at(counts, (at[~blank], y[~blank]), weight[~blank])
    return counts


def _draw(counts: Floats, groups: list[Floats], y: Ints, rng: np.random.Generator) -> Floats:
    """A value for each row of a class, drawn by the counts of that class, evenly within a group."""
    out = np.empty(len(y))
    for position in range(counts.shape[1]):
        at = np.flatnonzero(y == position)
        share = counts[:, position]
        share = share / share.sum() if share.sum() > 0 else np.full(len(share), 1 / len(share))
        chosen = rng.choice(len(groups), len(at), p=share)
        place = rng.random(len(at))
        out[at] = [groups[g][int(u * len(groups[g]))] for g, u in zip(chosen, place, strict=True)]
    return out


def _legal(codec: Codec, drawn: Floats, every: list[Floats]) -> Floats:
    """The rows with what follows by a rule put right; infinite where a rule is broken all the same, or a value is in no
    cell. `every`: the values that the cells of each feature stand for."""
    middle = (codec.low + codec.high) / 2
    follow = codec.rules.follow(np.ones(len(middle), dtype=bool), middle)
    out = codec.rules.settle(drawn, drawn, follow, codec.step)
    with np.errstate(invalid="ignore"):
        broken: Bools = np.any((out < codec.low) | (out > codec.high), axis=1)
    for j, values in enumerate(every):
        away = np.abs(np.nan_to_num(out[:, [j]]) - np.nan_to_num(values)[None, :]).min(axis=1)
        broken |= away > 1e-6
    if len(codec.rules):
        broken |= np.any(codec.rules.violated(out), axis=1)
    out[broken] = np.inf
    return out


def _first(rows: Floats, y: Ints, wanted: Ints) -> tuple[Floats, Ints]:
    """As many legal rows of each class as are wanted."""
    at = [np.flatnonzero((y == k) & ~np.isinf(rows).any(axis=1))[:count] for k, count in enumerate(wanted)]
    chosen = np.concatenate(at)
    return rows[chosen], y[chosen]
