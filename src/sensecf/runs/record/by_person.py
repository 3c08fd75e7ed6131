"""Plans for all days of a person in a run that was asked row by row: its `people.csv`, carried out on the days; and
which of a person's plans is meant where none is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sensecf.core.counterfactuals import ACTIONS_MARK, Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.names import split_names
from sensecf.core.people import PERSON, WHEN
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Task
from sensecf.core.verify import edits
from sensecf.pipeline.person import carried_out
from sensecf.runs.finished import facts_of, request_of
from sensecf.runs.record.plans import Change, KeptPlan, plans_of
from sensecf.runs.report.names import Labels, clean
from sensecf.runs.run import load_task


def person_plans(folder: Path) -> list[KeptPlan]:
    """The first plan of each person in a run's `people.csv`; none where the run has none, or was asked by person, so
    that its own answers are these plans."""
    if not (folder / "people.csv").is_file() or not (folder / "run.json").is_file():
        return []
    answers = Counterfactuals.load(folder)
    if (answers.frame["plan_id"] != "").any():
        return []
    people = answers.people[(answers.people["rank"] == 1) & (answers.people["plan"] != "")]
    if not len(people):
        return []
    facts, task = facts_of(folder), load_task(folder)
    made = _Made(task, task.schema.find_class(facts["target"]), request_of(facts).limits, answers)
    return [made.plan(row) for row in people.to_dict("records")]


class _Made:
    """What the plans of a run are made with."""

    def __init__(self, task: Task, target: Any, limits: Any, answers: Counterfactuals) -> None:
        self.task, self.target, self.limits, self.answers = task, target, limits, answers
        self.place = {str(query): k for k, query in enumerate(answers.factuals.index)}

    def plan(self, row: dict[Any, Any]) -> KeptPlan:
        """One row of the table of people as a plan."""
        task, schema = self.task, self.task.schema
        turned, others = (split_names(str(row[side]), ACTIONS_MARK) for side in ("turned", "others"))
        days = sorted(self.place[name] for name in (*turned, *others))
        factuals = self.answers.factuals.iloc[days]
        query = self.limits.query(task, task.codec.encode(factuals), self.target)
        rows = carried_out(task, query, str(row["plan"]))
        position = task.target_position(self.target)
        chance = task.judge(rows, final=True).proba[:, position]
        # The newest of the days that it turns stands for the plan.
        shown = max(k for k, day in enumerate(days) if day in {self.place[name] for name in turned})
        acts = np.asarray(edits(task.codec, query, np.arange(len(rows)), rows).any(axis=0))
        return KeptPlan(
            str(row["plan_id"]),
            clean(row[PERSON]),
            clean(factuals[WHEN].iloc[shown]) if WHEN in factuals else "",
            clean(schema.meaning(schema.label)),
            clean(schema.meaning(factuals["predicted"].iloc[shown])),
            clean(schema.meaning(self.target)),
            float(factuals["probability"].mean()),
            float(chance.mean()),
            _changes(task, query.rows[shown], rows[shown], acts),
            turns=int(row["turns"]),
            of=int(row["of"]),
        )


def _changes(task: Task, base: Floats, row: Floats, acts: Bools) -> tuple[Change, ...]:
    """What differs on a day; what is no act follows."""
    labels, found = task.once(Labels).of, []
    for j in np.flatnonzero(task.codec.changed(base[None], row[None])[0]).tolist():
        feature = task.schema.features[j]
        if feature.numeric:
            ends: tuple[Any, Any] = (float(base[j]), float(row[j]))
            delta = round(float(row[j] - base[j]), feature.decimals)
        else:
            ends, delta = (str(feature.levels[int(base[j])]), str(feature.levels[int(row[j])])), None
        before, after = (clean(feature.format(end)) for end in ends)
        unit, follows = clean(feature.unit), not acts[j]
        found.append(Change(feature.name, labels[feature.name], unit, *ends, delta, before, after, follows))
    return tuple(found)


def plan_of(folder: Path, person: str, identity: str | None = None) -> KeptPlan:
    """One plan of a person: the one named, else the open one that stands furthest in the journal, else the one of the
    run for the person or for their newest day. Raises `InputError` where there is none, naming who has plans."""
    plans = [*plans_of(folder), *person_plans(folder)]
    theirs = [plan for plan in plans if person in (plan.person, plan.id) or plan.id == f"{person}-1"]
    if not theirs:
        known = sorted({plan.person or plan.id.removesuffix("-1") for plan in plans})
        some = ", ".join(known[:5]) + (", …" if len(known) > 5 else "")
        raise InputError(f"{folder} has no plan for {person!r}; it has plans for {some}")
    if identity is not None:
        named = [plan for plan in theirs if plan.id == identity]
        if not named:
            ids = ", ".join(plan.id for plan in theirs[:5])
            raise InputError(f"{person!r} has no plan {identity!r}; name one of {ids}")
        return named[0]
    open_ones = [plan for plan in theirs if plan.entry is not None and plan.standing.open]
    order = {status: number for number, status in enumerate(("", "offered", "agreed", "active"))}
    if open_ones:
        return max(open_ones, key=lambda plan: order[plan.standing.status])
    return max((plan for plan in theirs if plan.entry is None), key=newest, default=theirs[-1])


def newest(plan: KeptPlan) -> tuple[bool, str]:
    """What a plan of a run is chosen by: one for several days before those for one, then the newest day."""
    return (plan.of or 1) > 1, plan.when
