"""What can be done about a gap in effort, each tried and measured; nothing is applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.limits import Limits
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.generators import Context, build
from sensecf.metrics import read
from sensecf.metrics.gaps import gap
from sensecf.metrics.scored import ask
from sensecf.pipeline.explain import explain
from sensecf.runs.fairness.groups import Attribute
from sensecf.runs.fairness.measures import Found

#: Columns of `mending.csv`.
COLUMNS = (
    "attribute",
    "group",
    "remedy",
    "what",
    "gap",
    "low",
    "high",
    "effort_group",
    "effort_others",
    "no_plan_group",
    "no_plan_others",
    "accuracy",
    "n",
    "people",
)
#: Requests that remedies are tried on, drawn by person, and the others that a threshold is found on.
MOST = 200
#: Steps of the search for a threshold, and the most that the log odds are moved by.
HALVINGS, FARTHEST = 4, 2.0
#: Levers that are locked for everybody, one remedy each.
LOCKED = 2


class Moved:
    """A classifier whose log odds of one class are moved for the people of a group.

    `classes_`, `predict`, `predict_proba`: as every classifier's. `member(rows)` says who is of the group.
    """

    def __init__(self, task: Task, target: int, shift: float, member: Callable[[pd.DataFrame], Any]) -> None:
        self.task, self.target, self.shift, self.member = task, target, shift, member
        self.classes_ = np.array(task.classes, dtype=object)

    def predict_proba(self, rows: pd.DataFrame) -> Floats:
        """Probabilities after the move, shape (n, classes)."""
        proba = ask(self.task, self.task.codec.encode(rows)).proba.copy()
        proba[:, self.target] *= np.where(self.member(rows), np.exp(self.shift), 1.0)
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, rows: pd.DataFrame) -> Any:
        """The most probable class, shape (n,)."""
        return self.classes_[self.predict_proba(rows).argmax(axis=1)]


@dataclass(frozen=True)
class _Trial:
    """A gap that something is tried against.

    `labels`: the group of every request; `rows`: positions of the requests that count, `apart`: of the others, which a
    threshold is found on.
    """

    made: Found
    attribute: Attribute
    group: str
    rows: Any
    apart: Any
    limits: Limits
    seed: int

    def member(self, at: Any) -> Any:
        """Which requests are of the group."""
        return self.attribute.of(self.made.people.answers.factuals.index[at]) == self.group

    def asked(self, at: Any, task: Task, generator: str = "search", limits: Limits | None = None) -> pd.DataFrame:
        """Effort (NaN without a plan) and whether there is no plan, of some requests."""
        people = self.made.people
        factuals = people.answers.factuals.iloc[at][people.schema.names]
        found = explain(
            task,
            build(generator, task, Context(self.seed, people.request.plausibility)),
            factuals,
            people.target,
            limits=limits or self.limits,
            plausibility=people.request.plausibility,
            strict=False,
            seed=self.seed,
        )
        scored = read(found, people.task)
        place = factuals.index.get_indexer(scored.queries)
        effort = np.full(len(factuals), np.nan)
        effort[place] = scored.distance
        return pd.DataFrame({"effort": effort, "no_plan": np.isnan(effort).astype(float)}, index=factuals.index)

    def within(self, limits: Limits) -> tuple[pd.DataFrame, Task]:
        """The requests that count, asked anew under other limits."""
        task = self.made.people.task
        return self.asked(self.rows, task, limits=limits), task

    def row(self, remedy: str, what: str, found: pd.DataFrame, accuracy: float) -> tuple[Any, ...]:
        """A row of `COLUMNS`."""
        member = self.member(self.rows)
        persons = self.made.people.asked()[self.rows]
        one = gap(found["effort"].to_numpy(float), member, persons, kind="ratio", seed=self.seed)
        none = found["no_plan"].to_numpy(float)
        shares = (float(none[side].mean()) if side.any() else float("nan") for side in (member, ~member))
        head = (self.attribute.name, self.group, remedy, what, one.value, one.low, one.high, one.group, one.others)
        return (*head, *shares, accuracy, len(self.rows), len(np.unique(persons)))


def mending(
    made: Found,
    attributes: list[Attribute],
    claimed: pd.DataFrame,
    seed: int = 0,
    say: Callable[[float], None] = lambda share: None,
) -> pd.DataFrame:
    """What each remedy makes of the largest claimed gap in effort, on up to `MOST` requests; columns of `COLUMNS`.

    Boundary answers under the limits of the run otherwise, so that a remedy costs seconds. "as it is" is the same
    requests without a remedy. "limits": a lever that is asked more often of the group is locked for everybody.
    "common programme": one plan for all. "threshold by cost": the log odds that count as the target class are
    moved for the group until the mean effort is the same, on other people than it is measured on. Empty without a gap.
    """
    gaps = claimed[(claimed["measure"] == "distance") & (claimed["family"] == "main") & claimed["claimed"]]
    if gaps.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    worst = gaps.loc[np.log(gaps["gap"]).abs().idxmax()]
    attribute = next(one for one in attributes if one.name == worst["attribute"])
    trial = _trial(made, attribute, str(worst["group"]), seed)
    rows = []
    remedies = list(_remedies(trial, claimed))
    for number, (remedy, what, tried) in enumerate(remedies):
        say(number / len(remedies))
        found, task = tried()
        rows.append(trial.row(remedy, what(), found, _accuracy(made, task)))
    say(1.0)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _trial(made: Found, attribute: Attribute, group: str, seed: int) -> _Trial:
    """Who is asked: half of the people count, the others are what a threshold is found on."""
    persons = made.people.asked()
    rng = np.random.default_rng([seed, 9])
    order = rng.permutation(np.unique(persons))
    half = np.isin(persons, order[: len(order) // 2])
    parts = [np.flatnonzero(side) for side in (half, ~half)]
    kept = [np.sort(rng.choice(part, min(MOST, len(part)), replace=False)) for part in parts]
    limits = replace(made.people.request.limits, hold=0.0)
    return _Trial(made, attribute, group, kept[0], kept[1], limits, seed)


def _remedies(
    trial: _Trial, gaps: pd.DataFrame
) -> Iterator[tuple[str, Callable[[], str], Callable[[], tuple[pd.DataFrame, Task]]]]:
    """Each remedy with its words and what tries it."""
    people = trial.made.people
    yield "as it is", lambda: "–", lambda: (trial.asked(trial.rows, people.task), people.task)
    asked = gaps[(gaps["family"] == "asked") & (gaps["attribute"] == trial.attribute.name)]
    asked = asked[(asked["group"] == trial.group) & asked["p"].notna()].sort_values("p").head(LOCKED)
    for name in asked["measure"].str.removeprefix("edits:"):
        limits = replace(trial.limits, lock=(*trial.limits.lock, name))
        if any(f.changeable and f.name not in limits.lock for f in people.schema.features):
            yield (
                "limits",
                partial("{} is asked of nobody".format, name),
                partial(trial.within, limits),
            )
    yield (
        "common programme",
        lambda: "one plan for everybody whom it reaches",
        lambda: (trial.asked(trial.rows, people.task, "constant"), people.task),
    )
    if trial.attribute.name in people.schema.names:
        found: list[float] = []

        def threshold() -> tuple[pd.DataFrame, Task]:
            shift, task = _threshold(trial)
            found.append(shift)
            return trial.asked(trial.rows, task), task

        yield "threshold by cost", lambda: f"log odds {found[0]:+.2f} for the group", threshold


def _threshold(trial: _Trial) -> tuple[float, Task]:
    """The move of the group's log odds at which the mean efforts meet, by halving, on the people apart."""
    people = trial.made.people
    name = trial.attribute.name
    values = people.raw[name]

    def member(rows: pd.DataFrame) -> Any:
        known = dict(zip(values.to_numpy(), trial.attribute.of(values.index), strict=True))
        return rows[name].map(known).to_numpy() == trial.group

    def moved(shift: float) -> Task:
        target = people.task.target_position(people.target)
        return Task(people.schema, people.task.train, Moved(people.task, target, shift, member))

    def apart(shift: float) -> float:
        found = trial.asked(trial.apart, moved(shift))["effort"].to_numpy(float)
        side = trial.member(trial.apart)
        return float(np.nanmean(found[side]) - np.nanmean(found[~side]))

    sign = np.sign(apart(0.0))
    low, high = 0.0, FARTHEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if sign * apart(sign * middle) > 0 else (low, middle)
    shift = float(sign * (low + high) / 2)
    return shift, moved(shift)


def _accuracy(made: Found, task: Task) -> float:
    """The share of held-out rows that a task's classifier tells rightly; NaN without labels."""
    people = made.people
    rows, label = people.table.held_out, people.schema.label
    if label not in rows or people.table.named:
        return float("nan")
    judged = ask(task, task.codec.encode(rows))
    return float((judged.predicted == [task.target_position(v) for v in rows[label]]).mean())
