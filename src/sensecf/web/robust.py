"""Does a plan hold when the classifier is fitted again, or the person lands a little off it?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.task import Task
from sensecf.metrics.robust import noise_validity, retrained
from sensecf.pipeline.box import box_of, words
from sensecf.runs.report.names import in_labels
from sensecf.web.cohort import Cohort
from sensecf.web.plans import Plan

#: How often the classifier is fitted again, each time on people drawn anew.
REFITS = 7


class Robustness(NamedTuple):
    """`held` of `refits` classifiers fitted again agree; `near`: share of near misses that still do; `box`: where a
    person may land and the answer stays, in words, "" where it is not known."""

    held: int
    refits: int
    near: float
    box: str = ""


def robustness(cohort: Cohort, plan: Plan, say: Callable[[float], None]) -> Robustness:
    """Test one plan on the day that stands for it. The classifiers fitted again are kept with the task, so that only
    the first plan waits.

    Raises `InputError` when the classifier cannot be fitted again.
    """
    sides = box_of(cohort.task, cohort.rows[plan.day.row], plan.row, cohort.position)
    box = in_labels(words(cohort.task, sides), dict(zip(cohort.task.schema.names, cohort.labels, strict=True)))
    near = float(noise_validity(as_counterfactuals(cohort, [plan]), cohort.task).iloc[0])
    jury = cohort.held()
    if jury is not None:
        target, base = np.array([cohort.position]), cohort.rows[[plan.day.row]]
        [stands], [lands] = jury.count(cohort.task, base, plan.row[None], target)
        return Robustness(int(stands), jury.counting, int(lands) / jury.counting, box)
    models = cohort.task.once(_Refits).of(say)
    held = 0
    for model in models:
        judged = model.judge(plan.row[None], final=True)
        held += bool(judged.predicted[0] == model.target_position(cohort.target) and not judged.tie[0])
    return Robustness(held, len(models), near, box)


class _Refits:
    """The task's classifier fitted again on bootstrap samples; get it with `task.once(_Refits)`."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._models: list[Task] = []

    def of(self, say: Callable[[float], None]) -> list[Task]:
        for number in range(len(self._models), REFITS):
            say(number / REFITS)
            [model] = retrained(self._task, "bootstrap", 1, seed=number).values()
            self._models.append(Task(self._task.schema, self._task.train, model))
        say(1.0)
        return self._models


def as_counterfactuals(cohort: Cohort, plans: list[Plan]) -> Counterfactuals:
    """Plans as the table that the metrics and the exports of the command line know."""
    task = cohort.task
    people = sorted({plan.day.row for plan in plans})
    rows = np.array([plan.row for plan in plans])
    seen: dict[int, int] = {}
    ranks = []
    for plan in plans:
        seen[plan.day.row] = seen.get(plan.day.row, 0) + 1
        ranks.append(seen[plan.day.row])
    columns: dict[str, Any] = {
        name: np.array([getattr(plan, name) for plan in plans]) for name in ("edited", "n_changed", "proximity")
    }
    columns |= {
        "probability": [plan.day.probability for plan in plans],
        "query": [plan.day.row for plan in plans],
        "rank": ranks,
        "generator": cohort.generator.name,
        "target": np.full(len(plans), cohort.target, dtype=object),
        "predicted": np.full(len(plans), cohort.position),
        "valid": True,
        "feasible": True,
        "plausible": [plan.score >= 0 and plan.in_range for plan in plans],
        "seconds": 0.0,
        "reason": "",
    }
    origin = task.codec.decode(cohort.rows[people], nullable=True)
    origin["predicted"] = np.array(task.classes, dtype=object)[cohort.predicted[people]]
    origin["probability"] = cohort.chance[people].round(6)
    return Counterfactuals.of(task, origin.set_axis(pd.Index(people, name="query")), columns, rows)
