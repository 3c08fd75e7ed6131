"""A plan in weekly steps: as far each week as is achievable, every step checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.pipeline.weeks import pace, schedule, weeks_needed
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


def weeks_of(cohort: Cohort, plan: Plan) -> int | None:
    """How many weeks a plan takes, None for more than are cut into steps."""
    weeks = int(weeks_needed(cohort.task, cohort.rows[plan.day.row][None], plan.row[None], plan.edited[None])[0])
    return weeks if weeks <= MAX_WEEKS else None


def weekly_steps(cohort: Cohort, plan: Plan, query: Query) -> Way:
    """The plan on the day that stands for it in equal weekly parts, as many as the slowest of its changes needs; see
    `pipeline.weeks.schedule`."""
    task, codec = cohort.task, cohort.task.codec
    base = cohort.rows[plan.day.row]
    query = query.take([next(k for k, day in enumerate(plan.days) if day is plan.day)])
    speed, known = pace(task)
    numbers = codec.changed(base[None], plan.row[None])[0] & codec.numeric & plan.edited
    assumed = [cohort.labels[j] for j in np.flatnonzero(numbers & ~known)]
    weeks = weeks_of(cohort, plan)
    if weeks is None:
        need = np.where(numbers, np.abs(np.nan_to_num(plan.row - base)) / speed, 0.0)
        slow = int(need.argmax())
        pace_text = cohort.columns[slow].text(speed[slow], True)
        return Way([], assumed, f"{cohort.labels[slow]} would need {int(need.max()) + 1} weeks at {pace_text} a week.")
    way = schedule(task, query, np.zeros(1, dtype=np.intp), plan.row[None], weeks)
    rows = way.rows[:, 0]
    judged = task.judge(rows, final=True)
    steps = []
    for week in range(weeks):
        there = bool(judged.predicted[week] == cohort.position and not judged.tie[week])
        problems = _problems(cohort, query, rows[week]) if way.broken[week, 0] else []
        steps.append(Step(week + 1, rows[week], float(judged.proba[week, cohort.position]), there, problems))
    return Way(steps, assumed)


def _problems(cohort: Cohort, query: Query, row: Floats) -> list[str]:
    """The rules and limits that a row on the way breaks and the day does not, in words."""
    rules, base = cohort.task.codec.rules, query.rows[0]
    broken = rules.violated(row[None])[0] & ~rules.violated(base[None])[0]
    found = [rule_words(rules.rules[r], cohort.task.schema, cohort.labels) for r in np.flatnonzero(broken)]
    with np.errstate(invalid="ignore"):
        outside = (row < np.fmin(query.low[0], base) - 1e-9) | (row > np.fmax(query.high[0], base) + 1e-9)
    outside &= cohort.task.codec.changed(base[None], row[None])[0]
    return found + [f"{inside(cohort.labels[j])} would leave its limits." for j in np.flatnonzero(outside)]
