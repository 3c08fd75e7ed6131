"""`Cohort`: whose rows stand on the page, and what is known of every feature before anybody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.neighbours import Influence, Neighbours
from sensecf.core.plausibility import Plausibility
from sensecf.core.query import out_of_range, results
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import Feature, Value
from sensecf.core.task import Ints, Task
from sensecf.data.infer.catalogue import SOURCES
from sensecf.data.infer.recognise import known_as
from sensecf.data.infer.terms import Register
from sensecf.generators import Generator
from sensecf.pipeline.hold import Held, Holding
from sensecf.runs.findings import Finding
from sensecf.runs.report.names import from_left
from sensecf.web.roster import Person, Roster
from sensecf.web.trust import UNKNOWN, Trust
from sensecf.web.words import Nouns, clean, labels, nouns, percent

#: Bars of a feature's distribution.
BINS = 28
#: Neighbours whose distance is called typical, and people of the target class on whom it is measured.
TYPICAL, SAMPLED = 5, 400
#: Rows on the page at most.
MAX_ROWS = 20_000


@dataclass(frozen=True)
class Column:
    """One feature as the page shows it.

    `low`, `high`: the ends of the axis in the feature's unit. `everyone`, `target` (BINS,): shares of the
    training rows, and of those of the target class, by bin; for levels one bin per level.
    `normal`: the healthy range, None where none is known, and `source` where it is from.
    """

    feature: Feature
    label: str
    low: float
    high: float
    everyone: Floats
    target: Floats
    sorted: Floats
    normal: tuple[float, float] | None
    source: str = ""

    def below(self, value: float) -> int | None:
        """How many of 100 rows of the cohort lie below a number; None for levels and blanks."""
        if not self.feature.numeric or np.isnan(value) or not len(self.sorted):
            return None
        rank = (np.searchsorted(self.sorted, value, "left") + np.searchsorted(self.sorted, value, "right")) / 2
        return round(100 * float(rank) / len(self.sorted))

    def text(self, code: float, unit: bool = False) -> str:
        """An encoded value as people read it."""
        value = code if self.feature.numeric or np.isnan(code) else self.feature.levels[int(code)]
        return clean(self.feature.format(value, unit=unit)) if not np.isnan(code) else "not measured"


@dataclass(frozen=True)
class Cohort:
    """A task, its generator, and whose rows stand on the page.

    `rows` (n, d): encoded; `roster`: whose they are, and when; `outside`: for rows with a value outside the schema's
    range, a sentence that says which. `notice`: a sentence that must not be missed. `title`: what the page is about.
    `trust`: how good the classifier is on held-out rows. `run_shares`: who found the answers of the run that is open,
    "" without one. `hold`: the share of refits that are to agree with a plan, 0 for none. `register`: in whose words.
    `findings`: what `attack` and `fairness` found of the run that is open.
    """

    task: Task
    generator: Generator
    fallback: Generator
    target: Value
    rows: Floats
    roster: Roster
    outside: dict[int, str]
    title: str = ""
    notice: str = ""
    classifier: str = ""
    seed: int = 0
    plausibility: float = 1.0
    added: int = 0
    trust: Trust = UNKNOWN
    run_shares: str = ""
    hold: float = 0.0
    register: Register = "clinical"
    findings: Sequence[Finding] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def persons(self) -> list[Person]:
        """Everybody on the page; each row is somebody of its own where the schema names no person."""
        return self.roster.persons

    @cached_property
    def nouns(self) -> Nouns:
        """What those on the page and their rows are called."""
        return nouns(self.roster)

    def person_of(self, row: int) -> Person:
        """Whose row it is."""
        return self.persons[int(self.roster.person_of[row])]

    def called(self, row: int) -> str:
        """A row as people read it: who, and when where they have several."""
        person = self.person_of(row)
        return person.name if len(person) == 1 else f"{person.name}, {self.roster.when[row]}"

    def said(self, value: Any) -> str:
        """A class, or the label, as people read it, on one line."""
        return clean(self.task.schema.meaning(value))

    @cached_property
    def watched(self) -> Value:
        """The class whose probability is shown, in one direction everywhere: with two classes the one that is not
        wanted, else the target itself."""
        others = [c for c in self.task.classes if c != self.task.classes[self.position]]
        return others[0] if len(others) == 1 else self.target

    @property
    def turned_round(self) -> bool:
        """Whether the class that is shown is not the target."""
        return self.watched != self.task.classes[self.position]

    def shown(self, chance: Any) -> Any:
        """The probability of the class that is shown, from that of the target; numbers or arrays."""
        return 1.0 - chance if self.turned_round else chance

    def chance_text(self, chance: float) -> str:
        """A probability of the target as it is said everywhere: "high, 97 %"."""
        return from_left(f"{self.said(self.watched)}", f", {percent(self.shown(chance))}")

    @cached_property
    def away(self) -> Bools:
        """Which rows the classifier does not put in the target class, shape (n,)."""
        away: Bools = self.predicted != self.position
        return away

    def worded(self, register: Register) -> Cohort:
        """The same in other words; nothing is computed again but the labels."""
        if register == self.register:
            return self
        other = replace(self, register=register)
        known_already = {k: v for k, v in vars(self).items() if k not in vars(other) and k not in ("columns", "labels")}
        names = labels(self.task.schema, register)
        columns = [replace(column, label=name) for column, name in zip(self.columns, names, strict=True)]
        vars(other).update(known_already, columns=columns)
        return other

    def held(self) -> Held | None:
        """The jury that says which plans hold, fitted at the first call; None where none is asked for or can be."""
        return self.task.once(Holding).of(self.position, Limits(hold=self.hold))

    @property
    def unheld(self) -> str:
        """Why plans are not asked to hold though they should be, as a sentence; "" where they are."""
        why = self.task.once(Holding).refusal() if self.hold > 0 else ""
        return (
            f"No plan here was asked to hold: {why}. Each is a boundary answer, which a refit may refuse."
            if why
            else ""
        )

    @cached_property
    def position(self) -> int:
        """Position of the target among the classifier's classes."""
        return self.task.target_position(self.target)

    @cached_property
    def chance(self) -> Floats:
        """The classifier's probability of the target class, shape (n,)."""
        return self._judged[1]

    @cached_property
    def predicted(self) -> Ints:
        """The class the classifier puts each row in (positions), shape (n,)."""
        return self._judged[0]

    @cached_property
    def _judged(self) -> tuple[Ints, Floats]:
        judged = self.task.judge(self.rows, final=True)
        return judged.predicted, judged.proba[:, self.position]

    @cached_property
    def columns(self) -> list[Column]:
        """Every feature as the page shows it, in schema order."""
        task, names = self.task, labels(self.task.schema, self.register)
        return [self._column(j, names[j]) for j in range(len(task.schema))]

    @cached_property
    def labels(self) -> list[str]:
        """The label of every feature."""
        return [column.label for column in self.columns]

    def _column(self, j: int, label: str) -> Column:
        task, feature = self.task, self.task.schema.features[j]
        values, wanted = task.rows[:, j], task.rows[task.y == self.position, j]
        values, wanted = values[~np.isnan(values)], wanted[~np.isnan(wanted)]
        if feature.numeric:
            people = self.rows[:, j]
            shown = np.concatenate([values, people[~np.isnan(people)]])
            entry = known_as(feature)
            normal = entry.healthy if entry is not None else None
            # Far values would squeeze all others into a corner; they are drawn at the edge.
            low, high = np.quantile(shown, [0.005, 0.995]) if len(shown) else (self.least(j), self.most(j))
            pad = max((high - low) * 0.06, float(task.codec.step[j]))
            low, high = max(low - pad, self.least(j)), min(high + pad, self.most(j))
            if not high > low:
                low, high = low - 0.5, high + 0.5
            bins = np.linspace(low, high, BINS + 1)
            return Column(
                feature,
                label,
                float(low),
                float(high),
                _shares(np.clip(values, low, high), bins),
                _shares(np.clip(wanted, low, high), bins),
                np.sort(values),
                normal,
                "; ".join(_short(SOURCES[key]) for key in entry.sources) if entry is not None and normal else "",
            )
        edges = np.arange(len(feature.levels) + 1) - 0.5
        return Column(
            feature,
            label,
            0,
            len(feature.levels) - 1,
            _shares(values, edges),
            _shares(wanted, edges),
            np.sort(values),
            None,
        )

    def least(self, j: int) -> float:
        """The smallest value that a feature may be changed to."""
        return float(self.task.reach[0][j])

    def most(self, j: int) -> float:
        """The largest value that a feature may be changed to."""
        return float(self.task.reach[1][j])

    @cached_property
    def locked_first(self) -> list[int]:
        """Features that are kept at first: those that only move as a result."""
        return [self.task.schema.columns[name] for name in results(self.task.schema)]

    @cached_property
    def typical_row(self) -> Floats:
        """A row that the classifier puts in the target class: the median, or the most frequent level, shape (d,)."""
        peers = self.task.once(Neighbours).peers(self.position).rows
        out = np.full(peers.shape[1], np.nan)
        for j, numeric in enumerate(self.task.codec.numeric):
            values = peers[~np.isnan(peers[:, j]), j]
            if len(values):
                out[j] = np.median(values) if numeric else np.bincount(values.astype(int)).argmax()
        return self.task.codec.snap(out[None])[0]

    def leaning(self, row_number: int) -> Floats:
        """What the classifier leans on in one row, shape (d,): how far the probability of the target would
        rise if one value were that of a typical person of the target class, all else as it is; NaN for blanks."""
        row = self.rows[row_number]
        changed = np.repeat(row[None], len(row), axis=0)
        np.fill_diagonal(changed, np.where(np.isnan(self.typical_row), row, self.typical_row))
        gain = self.task.judge(changed).proba[:, self.position] - self.chance[row_number]
        return np.where(np.isnan(row), np.nan, gain)

    def similar(self, rows: Floats) -> tuple[Ints, Floats]:
        """Training rows like each row (m, d) which the classifier puts in the target class: how many lie within
        twice the typical distance between neighbours there, and how far the nearest is, in typical distances."""
        peers = self.task.once(Neighbours).peers(self.position)
        points = self.task.once(Scale).measured(rows)
        typical = self.typical_distance
        nearest = peers.nearest.kneighbors(points, 1)[0][:, 0]
        return peers.nearest.within(points, 2 * typical), nearest / typical

    @cached_property
    def typical_distance(self) -> float:
        """Median distance from people of the target class to their fifth neighbour in it; more than 0."""
        peers = self.task.once(Neighbours).peers(self.position)
        some = peers.rows[np.linspace(0, len(peers.rows) - 1, min(SAMPLED, len(peers.rows))).astype(int)]
        count = min(TYPICAL + 1, len(peers.rows))
        return max(
            float(np.median(peers.nearest.kneighbors(self.task.once(Scale).measured(some), count)[0][:, -1])), 1e-9
        )

    def warm(self) -> None:
        """Fit and measure all that the first person would otherwise wait for."""
        for fit in (Influence, Neighbours, Plausibility):
            self.task.once(fit)
        if len(self):
            row = self.rows[:1]
            self.similar(row)
            self.task.once(Plausibility).score(row, np.array([self.position]))
            self.leaning(0)
        assert self.columns
        assert self.chance is not None

    def with_people(self, frame: pd.DataFrame) -> Cohort:
        """The cohort with further rows. Raises `InputError` where they do not fit the schema, or are too many."""
        if len(self) + len(frame) > MAX_ROWS:
            raise InputError(f"the page holds at most {MAX_ROWS:,} rows; the file has {len(frame):,} more")
        rows, roster, outside = encode_people(self.task, frame)
        if outside:
            raise InputError(next(iter(outside.values())))
        added = replace(roster, who=tuple(f"{name} (added)" for name in roster.who), people=self.roster.people)
        fresh = replace(
            self, rows=np.concatenate([self.rows, rows]), roster=self.roster + added, added=self.added + len(rows)
        )
        fresh.warm()
        return fresh


def encode_people(task: Task, frame: pd.DataFrame) -> tuple[Floats, Roster, dict[int, str]]:
    """Rows as numbers, whose they are, and which lie outside the schema's ranges."""
    rows = task.codec.encode(frame)
    return rows, Roster.of(task.schema, frame), out_of_range(task.codec, rows, frame)


def _short(source: str) -> str:
    """A source in a few words: "Boulos et al. 2019"."""
    return source.partition(",")[0].partition(" (")[0].partition(":")[0]


def _shares(values: Floats, bins: NDArray[Any]) -> Floats:
    counts = np.histogram(values, bins)[0]
    shares: Floats = counts / max(int(counts.sum()), 1)
    return shares
