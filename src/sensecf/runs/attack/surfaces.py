"""What can be attacked: plans, made-up rows, and the models that a run folder keeps."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from sensecf.classifiers.fit import fit_classifier
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.distances import Scale
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Task
from sensecf.metrics import read
from sensecf.metrics.attacks import ON_ROWS, Release, holders, likelihood_ratio, loss
from sensecf.metrics.membership import Scores
from sensecf.metrics.scored import ask

#: People whose rows are planted, to see whether an attack can see them.
PLANTED = 10
#: Rows that are attacked, and released rows that are looked at, at most; drawn by seed.
MOST_ATTACKED, MOST_RELEASED = 3000, 20_000
#: Models fitted to other draws of people.
SHADOWS = 12
#: Values that fewer people hold are copies.
FEW = 5


@dataclass(frozen=True)
class Crowd:
    """Everybody who may be taken for a member: `rows` (n, d) encoded, `labels` (n,) class positions, `persons` (n,)
    whose they are, `member` (n,) who was learned from. `table`: the rows as they stand."""

    task: Task
    table: pd.DataFrame
    rows: Floats
    labels: Any
    persons: Any
    member: Bools

    @classmethod
    def of(cls, task: Task, members: pd.DataFrame, others: pd.DataFrame, whose: Callable[[pd.DataFrame], Any]) -> Crowd:
        """From the rows that were learned from and those that were not, each with its label."""
        table = pd.concat([members, others])
        labels = np.array([task.target_position(v) if v in task.classes else -1 for v in table[task.schema.label]])
        persons = np.concatenate([whose(members), whose(others)])
        member = np.arange(len(table)) < len(members)
        return cls(task, table, task.codec.encode(table), labels, persons, member)

    def some(self, rng: np.random.Generator, most: int = MOST_ATTACKED) -> Crowd:
        """Rows of as many whole people as make at most `most` rows."""
        if len(self.rows) <= most:
            return self
        sizes = pd.Series(self.persons).value_counts()
        order = rng.permutation(np.sort(sizes.index.to_numpy()))
        kept = order[np.cumsum(sizes[order].to_numpy()) <= most]
        return self.take(np.isin(self.persons, kept))

    def take(self, at: Any) -> Crowd:
        """Some of the rows."""
        return Crowd(self.task, self.table[at], self.rows[at], self.labels[at], self.persons[at], self.member[at])

    @cached_property
    def without(self) -> Any:
        """For each row, shape (n,), the person whose released rows are left out of the attack on it: its own; of a
        member, who has none, those of a random other person, so that members and others are attacked alike."""
        people, outside = np.unique(self.persons), np.unique(self.persons[~self.member])
        if not len(outside):
            return self.persons
        drawn = np.random.default_rng(len(people)).choice(outside, len(people))
        stand_in = dict(zip(people, drawn, strict=True))
        return np.array([stand_in[p] if m else p for p, m in zip(self.persons, self.member, strict=True)])

    def release(self, values: Floats, changed: Bools, whose: Any) -> Release:
        """What was released, as an attacker on these people sees it.

        Nobody is attacked with the rows that started from their own (`without`).
        """
        embed = self.task.once(Scale).embed
        numeric = self.task.codec.numeric
        points = embed(self.rows)
        return Release(embed(values), values, changed, whose, points, self.rows, self.persons, self.without, numeric)


@dataclass(frozen=True)
class Surface:
    """Something that is attacked. `scores(crowd, planted, rng)`: by attack, for the crowd's rows; with `planted` the
    same where ten members are in it by heart, and who they are. `sharp`: the attack of the test of the first ranks."""

    name: str
    title: str
    sharp: str
    scores: Callable[[Crowd, bool, np.random.Generator], Scores]


def of_plans(answers: Counterfactuals, asked: Any, task: Task) -> Surface:
    """The plans alone: the attacker has `counterfactuals.csv` and no model. `asked`: the person of every request."""
    scored = read(answers, task)
    whose = np.asarray(asked)[scored.owner].astype(str)

    def scores(crowd: Crowd, planted: bool, rng: np.random.Generator) -> Scores:
        values, changed = scored.after.copy(), scored.changed.copy()
        if planted and len(values):
            free = list(rng.permutation(len(values)))
            for row in ten_of(crowd, rng):
                # Not into a plan that is left out of the attack on that member.
                seen = [k for k in free if whose[k] != crowd.without[row]]
                if not seen:
                    continue
                free.remove(seen[0])
                movable = task.codec.changeable & ~np.isnan(crowd.rows[row])
                values[seen[0]] = np.where(movable, crowd.rows[row], values[seen[0]])
                changed[seen[0]] = movable
        release = crowd.release(values, changed, whose)
        return Scores.of({name: f(release) for name, f in ON_ROWS.items()}, crowd.persons, crowd.member)

    return Surface("plans", "the plans alone", "value match", scores)


def of_rows(name: str, title: str, made: pd.DataFrame, task: Task) -> Surface:
    """Made-up rows: the attacker has them and no model."""
    encoded = task.codec.encode(made)
    if len(encoded) > MOST_RELEASED:
        encoded = encoded[np.sort(np.random.default_rng(0).choice(len(encoded), MOST_RELEASED, replace=False))]

    def scores(crowd: Crowd, planted: bool, rng: np.random.Generator) -> Scores:
        values = encoded
        if planted and len(values):
            rows = ten_of(crowd, rng)
            values = np.concatenate([values[rng.permutation(len(values))[len(rows) :]], crowd.rows[rows]])
        nobody = np.full(len(values), "", dtype="U1")
        release = crowd.release(values, np.ones(values.shape, dtype=bool), nobody)
        return Scores.of({name: f(release) for name, f in ON_ROWS.items()}, crowd.persons, crowd.member)

    return Surface(name, title, "nearest, calibrated", scores)


def ten_of(crowd: Crowd, rng: np.random.Generator) -> Any:
    """A row each of `PLANTED` members."""
    people = np.unique(crowd.persons[crowd.member])
    chosen = rng.choice(people, min(PLANTED, len(people)), replace=False)
    return np.array([rng.choice(np.flatnonzero(crowd.persons == one)) for one in chosen])


def of_model(name: str, title: str, task: Task, confidence: Callable[[Crowd], Floats], kind: Any) -> Surface:
    """A model that the attacker may ask: `confidence(crowd)` is the probability of each row's own label, (n,).

    Shadow models of the same `kind` are fitted to other halves of the people. Planted is a model that has the rows by
    heart: the nearest neighbour of each class among the members.
    """

    def scores(crowd: Crowd, planted: bool, rng: np.random.Generator) -> Scores:
        target = loss(_by_heart(crowd) if planted else confidence(crowd))
        shadows, inside = _shadows(crowd, kind, rng)
        found = {"loss": target, "likelihood ratio": likelihood_ratio(target, shadows, inside)}
        mean = pd.DataFrame(found).groupby(crowd.persons).transform("mean")
        return Scores.of({key: mean[key].to_numpy(float) for key in found}, crowd.persons, crowd.member)

    return Surface(name, title, "loss", scores)


def own_label(model: Task) -> Callable[[Crowd], Floats]:
    """The probability that a task's classifier gives each row's own label."""
    return lambda crowd: _of_label(ask(model, crowd.rows).proba, crowd.labels)


def own_votes(votes: Callable[[Floats], Any]) -> Callable[[Crowd], Floats]:
    """The share of a jury that gives each row its own label. `votes(rows)`: class positions, (jurors, n)."""
    return lambda crowd: (np.asarray(votes(crowd.rows)) == crowd.labels).mean(axis=0)


def _of_label(proba: Floats, labels: Any) -> Floats:
    return np.where(labels >= 0, proba[np.arange(len(proba)), labels.clip(0)], np.nan)


def _by_heart(crowd: Crowd) -> Floats:
    """The confidence of a model that has the members' rows by heart, (n,)."""
    points = crowd.task.once(Scale).embed(crowd.rows)
    away = []
    for same in (True, False):
        out = np.full(len(points), np.inf)
        for label in np.unique(crowd.labels):
            known = crowd.member & ((crowd.labels == label) == same)
            asked = crowd.labels == label
            if known.any() and asked.any():
                near = NearestNeighbors(n_neighbors=1).fit(points[known])
                out[asked] = near.kneighbors(points[asked])[0][:, 0]
        away.append(out)
    with np.errstate(invalid="ignore"):
        share = away[1] / (away[0] + away[1])
    return np.nan_to_num(share, nan=1.0)


def _shadows(crowd: Crowd, kind: Any, rng: np.random.Generator) -> tuple[Floats, Bools]:
    """Log odds of the rows' own labels by shadow models (s, n), and whose people each was fitted to (s, n)."""
    task, people = crowd.task, np.unique(crowd.persons)
    logs, sides = [], []
    for number in range(SHADOWS):
        inside = np.isin(crowd.persons, rng.permutation(people)[: max(1, len(people) // 2)])
        train = crowd.table[inside].reset_index(drop=True)
        if train[task.schema.label].nunique() < len(task.classes):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few rows: a shadow need not be good
            model = Task(task.schema, train, fit_classifier(kind, task.schema, train, seed=number))
        if model.classes != task.classes:
            continue
        logs.append(loss(_of_label(ask(model, crowd.rows).proba, crowd.labels)))
        sides.append(inside)
    if not logs:
        return np.zeros((1, len(crowd.rows))), np.zeros((1, len(crowd.rows)), dtype=bool)
    return np.array(logs), np.array(sides)


def copies(crowd: Crowd, values: Floats, changed: Bools) -> pd.DataFrame:
    """Values that fewer than `FEW` members hold, by feature: columns feature, made, held_by_few, held_by_none.

    A value that nobody holds is new; one that few hold may be theirs. A person holds a value whose own, rounded to the
    step of the feature, is it: as exactly as plans are written.
    """
    members, codec = crowd.take(crowd.member), crowd.task.codec

    def rounded(rows: Floats) -> Floats:
        out = rows.copy()
        for j in np.flatnonzero(codec.numeric):
            out[:, j] = codec.snap_column(rows[:, j], np.full(len(rows), j))
        return out

    held = holders(rounded(members.rows), members.persons, rounded(values), changed)
    rows = []
    for j, feature in enumerate(crowd.task.schema.features):
        known = held[:, j][np.isfinite(held[:, j])]
        if len(known):
            rows.append((feature.name, len(known), int(((known > 0) & (known < FEW)).sum()), int((known == 0).sum())))
    return pd.DataFrame(rows, columns=["feature", "made", "held_by_few", "held_by_none"])


def linked(crowd: Crowd, answers: Counterfactuals, asked: Any) -> tuple[int, int]:
    """Of how many plans the row of everybody's that shares most values with it, the nearest of such, is one of the
    person it was made for, and of how many plans: whoever knows a person's row finds the plan."""
    scored = read(answers, crowd.task)
    own = np.asarray(asked)[scored.owner].astype(str)
    embed = crowd.task.once(Scale).embed
    points, plans = embed(crowd.rows), embed(scored.after)
    found = 0
    for row, point, person in zip(scored.after, plans, own, strict=True):
        shared = (crowd.rows == row).sum(axis=1)
        best = np.flatnonzero(shared == shared.max())
        at = best[((points[best] - point) ** 2).sum(axis=1).argmin()]
        found += int(crowd.persons[at] == person)
    return found, len(own)


def planted_and_true(surface: Surface, crowd: Crowd, seed: int) -> tuple[Scores, Mapping[str, float], bool]:
    """The scores of a surface, its tests, and whether ten planted people were seen."""
    true = surface.scores(crowd, False, np.random.default_rng([seed, 12]))
    proof = surface.scores(crowd, True, np.random.default_rng([seed, 12]))
    return true, true.tested(surface.sharp, seed), bool(proof.tested(surface.sharp, seed)["flagged"])
