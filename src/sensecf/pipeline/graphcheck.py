"""Do rows contradict the causes of a schema? Signs of edges, and the independences that the graph implies.

Both are looked at within people where they have several rows, so that what differs between people is not taken for an
effect. A contradiction says that an edge, a missing edge or a hidden common cause is wrong; agreement proves nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.core.rules import Floats, Total
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Ints

#: Permutations of an independence, bootstraps of a sign, and complete rows that either needs at least.
DRAWS, BOOTSTRAPS, FEWEST = 200, 200, 40
#: A contradiction is called where chance gives one at most this often over all that is tested,
LEVEL = 0.05
#: and where the correlation that is left is at least so large.
LEAST = 0.1


class Finding(NamedTuple):
    """One thing that the graph says. `kind`: "sign" of the edge `cause` → `effect`, or "independence" of the two given
    the causes of `effect`; `says`: the sign, or ""; `found`: slope per standard deviations or partial correlation, with
    `low`, `high` (90 %, signs only); `p`: how often chance gives as much (independences only); `verdict`: "agrees",
    "not seen", "contradicted", or "too few rows"."""

    kind: str
    cause: str
    effect: str
    says: str
    found: float
    low: float
    high: float
    p: float
    verdict: str


def check_graph(frame: pd.DataFrame, schema: FeatureSchema, seed: int = 0) -> pd.DataFrame:
    """What rows say of the causes of a schema, one `Finding` per row: every edge's sign, then the independences.

    The same seed draws the same permutations. Raises `InputError` for a schema without causes.
    """
    causes = {f.name: f.causes for f in schema.features if f.causes}
    if not causes:
        raise InputError(
            "the schema accepts no causes; take the # away from those that `sensecf schema` proposes, or write "
            'causes = ["steps"] at a result'
        )
    codec = Codec(schema)
    rows = codec.known(codec.encode(frame))
    group = schema.group
    people = np.arange(len(rows)) if group is None or group not in frame else pd.factorize(frame[group])[0]
    below = {name: _descendants(causes, name) for name in schema.names}
    tied = {
        frozenset((a, b))
        for rule in schema.rules
        if isinstance(rule, Total)
        for a in rule.members()
        for b in rule.members()
    }
    rng = np.random.default_rng(seed)
    signs, pairs = [], []
    for effect, parents in causes.items():
        for cause, sign in zip(parents, schema[effect].sign or ("",) * len(parents), strict=True):
            signs.append(_sign(rows, people, schema, cause, effect, parents, sign, rng))
        for other in schema.names:
            feature = schema[other]
            if other == effect or other in parents or other in below[effect] or frozenset((other, effect)) in tied:
                continue
            # What nobody says anything of is not claimed to be unrelated.
            if not (feature.numeric or feature.kind == "binary") or not (feature.causes or below[other]):
                continue
            pairs.append((other, effect, parents))
    found = [_independence(rows, people, schema, *pair, rng=rng) for pair in pairs]
    tests = sum(f.verdict != "too few rows" for f in found)
    judged = [
        f._replace(verdict="contradicted" if f.p * tests <= LEVEL and abs(f.found) >= LEAST else "agrees")
        if f.verdict != "too few rows"
        else f
        for f in found
    ]
    return pd.DataFrame([*signs, *judged], columns=list(Finding._fields))


def _sign(
    rows: Floats,
    people: Ints,
    schema: FeatureSchema,
    cause: str,
    effect: str,
    parents: tuple[str, ...],
    sign: str,
    rng: np.random.Generator,
) -> Finding:
    columns = [schema.columns[name] for name in (*parents, effect)]
    values, who = _inside(rows[:, columns], people)
    at = parents.index(cause)
    if len(values) < FEWEST:
        return Finding("sign", cause, effect, sign, np.nan, np.nan, np.nan, np.nan, "too few rows")
    slope = _slopes(values)[at]
    of = [np.flatnonzero(who == k) for k in range(who.max() + 1)]
    drawn = [
        _slopes(values[np.concatenate([of[k] for k in rng.integers(0, len(of), len(of))])])[at]
        for _ in range(BOOTSTRAPS)
    ]
    low, high = np.quantile(drawn, [0.05, 0.95])
    way = {"+": low, "-": -high}.get(sign, max(low, -high))
    against = {"+": high < 0, "-": low > 0}.get(sign, False)
    verdict = "contradicted" if against else "agrees" if way > 0 else "not seen"
    return Finding("sign", cause, effect, sign, float(slope), float(low), float(high), np.nan, verdict)


def _independence(
    rows: Floats,
    people: Ints,
    schema: FeatureSchema,
    other: str,
    effect: str,
    parents: tuple[str, ...],
    *,
    rng: np.random.Generator,
) -> Finding:
    given = rows[:, [schema.columns[name] for name in parents]]
    # Bends and products of the causes, so that what is left over is not their doing.
    k = given.shape[1]
    bent = [given[:, i] * given[:, j] for i in range(k) for j in range(i, k)] + [column**3 for column in given.T]
    ends = rows[:, [schema.columns[other], schema.columns[effect]]]
    values, who = _inside(np.column_stack([given, *bent, ends]), people)
    if len(values) < FEWEST:
        return Finding("independence", other, effect, "", np.nan, np.nan, np.nan, np.nan, "too few rows")
    z = values[:, :-2]
    a, b = (v - z @ np.linalg.lstsq(z, v, rcond=None)[0] for v in (values[:, -2], values[:, -1]))
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    seen = float(a @ b) / size if size > 0 else 0.0
    chance = np.array([float(_shifted(a, who, rng) @ b) / size if size > 0 else 0.0 for _ in range(DRAWS)])
    # Many things are tested, so that small probabilities count: they come from the spread of the permutations.
    spread = float(chance.std())
    p = float(2 * norm.sf(abs(seen) / spread)) if spread > 0 else 1.0
    return Finding("independence", other, effect, "", seen, np.nan, np.nan, p, "")


def _inside(values: Floats, people: Ints) -> tuple[Floats, Ints]:
    """Complete rows in standard deviations, less each person's mean where people have several; and whose they are."""
    at = np.flatnonzero(~np.isnan(values).any(axis=1))
    values, who = values[at], np.unique(people[at], return_inverse=True)[1].reshape(-1)
    if not len(at):
        return values, who
    if len(who) >= 2 * (who.max() + 1):
        count = np.bincount(who)[:, None]
        sums = np.column_stack([np.bincount(who, weights=column) for column in values.T])
        values = values - (sums / count)[who]
    spread = values.std(axis=0)
    scaled: Floats = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled, who


def _slopes(values: Floats) -> Floats:
    found: Floats = np.asarray(np.linalg.lstsq(values[:, :-1], values[:, -1], rcond=None)[0], dtype=np.float64)
    return found


def _shifted(values: Floats, who: Ints, rng: np.random.Generator) -> Floats:
    """Values with each person's days turned by a random number of days, so that the echo of days stays; of people
    with one row each, in any order."""
    if len(who) < 2 * (who.max() + 1):
        return values[rng.permutation(len(values))]
    order = np.argsort(who, kind="stable")
    count = np.bincount(who)
    start = np.repeat(np.cumsum(count) - count, count)
    place = np.arange(len(who)) - start
    turn = np.repeat(rng.integers(0, count), count)
    out = np.empty_like(values)
    out[order] = values[order[start + (place + turn) % np.repeat(count, count)]]
    return out


def _descendants(causes: dict[str, tuple[str, ...]], name: str) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        node = todo.pop()
        new = {effect for effect, parents in causes.items() if node in parents} - found
        found |= new
        todo += sorted(new)
    return found
