"""What a programme asks of everybody: changes of the same size, or values to be reached.

Candidates come from verified plans, as the change that they are and as the value that they reach, both rounded to what
one would say, and from a small grid around the levers that these plans move.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sensecf.core.distances import Scale
from sensecf.core.query import Query, settle
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Ints, Task

#: Candidates at most, unless more are asked for.
CANDIDATES = 300
#: Levers of the grid at most, and its cells at most, for each of its two kinds.
LEVERS, CELLS = 4, 80
#: A number is rounded to about this part of its feature's spread (MAD).
ROUNDED = 0.4
#: Rows that are settled at a time.
ROWS = 50_000

Kind = Literal["by", "at least", "at most", "to"]


@dataclass(frozen=True, order=True)
class Demand:
    """One thing that is asked: a number changed `by` a signed amount, brought to `at least` or `at most` a value, or a
    level changed `to` another (its code). `column`: of the feature; `value` in its unit."""

    column: int
    kind: Kind
    value: float

    def words(self, schema: FeatureSchema) -> str:
        """As people read it: "steps +2,500", "sleep_total_min at least 450 min"."""
        feature = schema.features[self.column]
        if self.kind == "to":
            return f"{feature.name} to {feature.format(feature.levels[int(self.value)])}"
        if self.kind == "by":
            sign = "+" if self.value > 0 else "−"
            return f"{feature.name} {sign}{feature.format(abs(self.value), unit=True)}"
        return f"{feature.name} {self.kind} {feature.format(self.value, unit=True)}"


@dataclass(frozen=True, order=True)
class Programme:
    """The same asks for everybody, at most one per feature, in schema order."""

    asks: tuple[Demand, ...]

    def words(self, schema: FeatureSchema) -> str:
        """As people read it."""
        return "; ".join(ask.words(schema) for ask in self.asks)

    @property
    def columns(self) -> list[int]:
        """The features that it is about."""
        return [ask.column for ask in self.asks]


def carried(task: Task, query: Query, programmes: Sequence[Programme]) -> tuple[Floats, Bools]:
    """What the rows of a query become under each programme: rows (programmes, q, d), and what is edited, same shape.

    A person does what is asked as far as their own limits let them: within their ranges, on the feature's step, nothing
    where a value may not move or was not measured, and nothing where less than the least worthwhile change is left.
    What follows by a rule follows.
    """
    codec, base = task.codec, query.rows
    out = np.repeat(base[None], len(programmes), axis=0)
    for number, programme in enumerate(programmes):
        for ask in programme.asks:
            out[number, :, ask.column] = _reached(task, query, ask)
    edited = codec.changed(base[None], out)
    owner = np.tile(np.arange(len(base)), len(programmes))
    flat = out.reshape(-1, base.shape[1])
    for start in range(0, len(flat), ROWS):
        part = slice(start, start + ROWS)
        flat[part] = settle(task, query, owner[part], flat[part])
    return flat.reshape(out.shape), edited


def _reached(task: Task, query: Query, ask: Demand) -> Floats:
    """The value of one feature in each row after one thing is done, shape (q,)."""
    codec, j = task.codec, ask.column
    now = query.rows[:, j]
    if ask.kind == "to":
        wanted = np.full(len(now), ask.value)
    elif ask.kind == "by":
        wanted = now + ask.value
    else:
        bound = np.fmax if ask.kind == "at least" else np.fmin
        wanted = bound(now, ask.value)
    low, high = query.low[:, j], query.high[:, j]
    if codec.numeric[j]:
        step = codec.step[j]
        least, most = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
        wanted = codec.snap_column(np.clip(np.round(wanted / step), least, most) * step, np.full(len(now), j))
        # What lies beyond its range already is not brought back by a programme that leads the other way.
        back = (wanted - now) * _way(ask, now) < 0
        short = np.abs(wanted - now) < max(codec.least[j], step / 2) - 1e-9
        stays = back | short | (least > most)
    else:
        stays = (wanted < low) | (wanted > high)
    stays |= ~query.movable[:, j] | np.isnan(now) | codec.unmeasured_in(j, wanted)
    return np.where(stays, now, wanted)


def _way(ask: Demand, now: Floats) -> Floats:
    """Which way an ask leads, shape (n,)."""
    sign = {"by": np.sign(ask.value), "at least": 1.0, "at most": -1.0, "to": 0.0}[ask.kind]
    return np.full(len(now), float(sign))


# --- candidates -----------------------------------------------------------------------------


def candidates(
    task: Task, query: Query, owner: Ints, plans: Floats, edited: Bools, most: int = CANDIDATES
) -> list[Programme]:
    """Programmes to choose from, in a fixed order.

    `plans` (m, d) for the queries `owner` (m,), of which `edited` (m, d) is edited: each as a change, as the values it
    reaches, and grids of both kinds over the levers that plans edit most. Where these are too many, plans are taken
    evenly over their effort.
    """
    unit = units(task)
    base = query.rows[owner]
    grid = _grids(task, query, base, plans, edited, unit)
    room = max(0, most - len(grid))
    asked = np.flatnonzero(edited.any(axis=1))
    order = asked[np.argsort(task.once(Scale).mad_l1(base[asked], plans[asked]), kind="stable")]
    found: dict[Programme, None] = {}
    for share in (1, 2, 4, 8, 16, 32):  # ever more of the plans, until there is no room
        for row in order[np.unique(np.linspace(0, len(order) - 1, min(len(order), 8 * share)).astype(int))]:
            for kind in ("by", "reach"):
                made = _of_plan(task, base[row], plans[row], edited[row], kind, unit)
                if made.asks and len(found) < room:
                    found[made] = None
    return list(dict.fromkeys([*found, *grid]))


def units(task: Task) -> Floats:
    """What the numbers of each feature are rounded to in a programme, shape (d,): 1, 2 or 5 of its steps, or ten times
    as many, no larger than two fifths of its MAD and no less than the least worthwhile change."""
    codec, mad = task.codec, task.once(Scale).mad
    out = codec.step.copy()
    for j in np.flatnonzero(codec.numeric).tolist():
        wanted = max(ROUNDED * float(mad[j]), float(codec.least[j])) / codec.step[j]
        if wanted > 1:
            ten = 10.0 ** np.floor(np.log10(wanted))
            out[j] *= ten * max(m for m in (1, 2, 5) if m * ten <= wanted + 1e-9)
    return out


def _of_plan(task: Task, base: Floats, plan: Floats, edited: Bools, kind: str, unit: Floats) -> Programme:
    """A plan as a programme: its changes, or the values that it reaches."""
    asks = []
    for j in np.flatnonzero(edited).tolist():
        move = float(plan[j] - base[j])
        if not task.codec.numeric[j]:
            asks.append(Demand(j, "to", float(plan[j])))
        elif np.isnan(move):
            return Programme(())
        elif kind == "by":
            asks.append(Demand(j, "by", _plain(np.sign(move) * max(1.0, round(abs(move) / unit[j])) * unit[j])))
        elif move > 0:
            asks.append(Demand(j, "at least", _plain(np.ceil(plan[j] / unit[j] - 1e-9) * unit[j])))
        else:
            asks.append(Demand(j, "at most", _plain(np.floor(plan[j] / unit[j] + 1e-9) * unit[j])))
    return Programme(tuple(asks))


def _plain(value: float) -> float:
    return round(float(value), 10) + 0.0


def _grids(task: Task, query: Query, base: Floats, plans: Floats, edited: Bools, unit: Floats) -> list[Programme]:
    """Changes and values to be reached over the levers that plans edit most."""
    often = edited.sum(axis=0)
    levers = [int(j) for j in np.argsort(-often, kind="stable") if often[j] and task.codec.numeric[j]][:LEVERS]
    if not levers:
        return []
    each = max(1, int((CELLS + 1) ** (1 / len(levers)) + 1e-9) - 1)
    changes, reached = [], []
    for j in levers:
        moves = (plans - base)[edited[:, j], j]
        way = 1.0 if np.nanmedian(moves) >= 0 else -1.0
        most = task.schema.features[j].most_change or float(np.nanquantile(np.abs(moves), 0.9))
        steps = np.unique([max(1, round(most * k / each / unit[j])) for k in range(1, each + 1)])
        changes.append([None, *(Demand(j, "by", _plain(way * s * unit[j])) for s in steps)])
        # Where those of the wanted class are: further out the more is asked.
        there = task.rows[task.y == query.target[0], j]
        there = there[~np.isnan(there)] if len(there) else plans[:, j]
        ends = np.quantile(there, np.clip(0.5 + way * np.linspace(0.0, 0.4, each), 0, 1)) if len(there) else np.empty(0)
        values = np.unique(np.round(ends / unit[j])) * unit[j]
        kind: Kind = "at least" if way > 0 else "at most"
        reached.append([None, *(Demand(j, kind, _plain(v)) for v in values)])
    return [
        Programme(tuple(sorted(ask for ask in cell if ask is not None)))
        for ways in (changes, reached)
        for cell in itertools.product(*ways)
        if any(ask is not None for ask in cell)
    ]
