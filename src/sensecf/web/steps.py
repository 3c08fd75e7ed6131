"""A plan in weekly steps: as far each week as is achievable, every step checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sensecf.core.query import Query, by_pattern
from sensecf.core.rules import Bools, Floats
from sensecf.web.cohort import Cohort
from sensecf.web.plans import Plan
from sensecf.web.words import inside, rule_words

#: A plan that needs more weeks than this is not cut into steps.
MAX_WEEKS = 52


@dataclass(frozen=True)
class Step:
    """One week. `row` (d,): encoded, what is reached at its end; `probability` of the target there;
    `problems`: rules and limits that the row breaks, in words; none where the step is feasible."""

    week: int
    row: Floats
    probability: float
    reached: bool
    problems: list[str]


@dataclass(frozen=True)
class Way:
    """The way to a plan: its steps, the features whose pace is assumed and not known, and why there are no steps."""

    steps: list[Step]
    assumed: list[str]
    problem: str = ""


def weekly_steps(cohort: Cohort, plan: Plan, query: Query) -> Way:
    """The plan on the day that stands for it in equal weekly parts, as many as the slowest of its changes needs.

    All numbers move together: what lies between two rows that keep a linear rule keeps it too. Levels
    change in the first week, or in the last one where the steps before would break a rule.
    """
    codec = cohort.task.codec
    base = cohort.rows[plan.day.row]
    query = query.take([next(k for k, day in enumerate(plan.days) if day is plan.day)])
    changed = codec.changed(base[None], plan.row[None])[0]
    pace = np.array([column.weekly for column in cohort.columns])
    numbers = changed & codec.numeric
    need = np.abs(plan.row - base)[numbers] / pace[numbers]
    weeks = max(1, math.ceil(float(need.max(initial=0.0)) - 1e-9))
    assumed = [cohort.labels[j] for j in np.flatnonzero(numbers) if not cohort.columns[j].weekly_known]
    if weeks > MAX_WEEKS:
        slow = int(np.flatnonzero(numbers)[int(need.argmax())])
        return Way(
            [],
            assumed,
            f"{cohort.labels[slow]} would need {weeks} weeks at {cohort.columns[slow].text(pace[slow], True)} a week.",
        )
    early = _steps(cohort, plan, query, weeks, numbers, changed & ~codec.numeric, late=False)
    if any(step.problems for step in early) and (changed & ~codec.numeric).any():
        late = _steps(cohort, plan, query, weeks, numbers, changed & ~codec.numeric, late=True)
        if not any(step.problems for step in late):
            return Way(late, assumed)
    return Way(early, assumed)


def _steps(
    cohort: Cohort, plan: Plan, query: Query, weeks: int, numbers: Bools, levels: Bools, late: bool
) -> list[Step]:
    task, codec = cohort.task, cohort.task.codec
    base = query.rows[0]
    share = np.arange(1, weeks + 1)[:, None] / weeks
    rows = np.repeat(base[None], weeks, axis=0)
    wanted = base + share * np.where(numbers, plan.row - base, 0.0)
    columns = np.flatnonzero(numbers)
    rows[:, columns] = codec.snap_column(wanted[:, columns], columns)
    rows[(weeks - 1) if late else 0 :, levels] = plan.row[levels]
    [(_, follow)] = list(by_pattern(task, query, np.zeros(1, dtype=np.intp)))
    rows = codec.rules.settle(np.repeat(base[None], weeks, axis=0), rows, follow, codec.step)
    rows[-1] = plan.row
    judged = task.judge(rows, final=True)
    broken = codec.rules.violated(rows) & ~codec.rules.violated(base[None])
    with np.errstate(invalid="ignore"):
        outside = (rows < query.low - 1e-9) | (rows > query.high + 1e-9)
    outside &= codec.changed(base[None], rows)
    found = []
    for week in range(weeks):
        problems = [rule_words(codec.rules.rules[r], task.schema, cohort.labels) for r in np.flatnonzero(broken[week])]
        problems += [f"{inside(cohort.labels[j])} would leave its limits." for j in np.flatnonzero(outside[week])]
        there = bool(judged.predicted[week] == cohort.position and not judged.tie[week])
        found.append(Step(week + 1, rows[week], float(judged.proba[week, cohort.position]), there, problems))
    return found
