"""Plans carried out: what is done of a plan, and what comes of it, request by request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats, Total
from sensecf.core.task import Task
from sensecf.data.world.base import Noises, World, ancestors
from sensecf.runs.truth.oracle import LINE, Best, efforts

#: The true probability of the wanted class has improved where it rose by at least this.
GAIN = 0.1
#: Falls of the true probability smaller than this are rounding.
ROUNDING = 1e-3

#: Measure: (title, which direction is better, of what it is a mean, whether it is a share).
MEASURES: dict[str, tuple[str, str, str, bool]] = {
    "answered": ("answered", "higher", "requests", True),
    "improvement": ("truly better by 0.10", "higher", "requests", True),
    "success": ("truly well", "higher", "requests not well before", True),
    "harm": ("truly worse", "lower", "requests", True),
    "gaming": ("convinced, not well", "lower", "requests not well before", True),
    "better_days": ("more good days of 30", "higher", "requests", False),
    "improvement_of_plans": ("truly better, of plans", "higher", "plans", True),
    "success_of_plans": ("truly well, of plans", "higher", "plans for who was not well", True),
    "harm_of_plans": ("truly worse, of plans", "lower", "plans", True),
    "confirmed": ("convinced by the day lived", "higher", "plans", True),
    "nothing_to_do": ("nothing a person can do", "lower", "plans", True),
    "undoable_edits": ("edits nobody can make", "lower", "plans", True),
    "idle_edits": ("edits without effect", "lower", "plans", False),
    "effort": ("effort", "lower", "plans that made well", False),
    "effort_to_oracle": ("effort, oracle = 1", "lower", "plans that made well", False),
}


@dataclass(frozen=True)
class Case:
    """Who is asked about, and what would be true of them.

    `noises` (n,): of their days; `rows` (n, d) encoded; `target`: position of the wanted class; `best`: the oracle's
    plans; `before`, `days` (n, 30): the true probability and the labels where nothing is done; `group` (n,): the
    person; `columns` by feature.
    """

    world: World
    task: Task
    noises: Noises
    rows: Floats
    target: int
    best: Best
    before: Floats
    days: np.ndarray
    group: np.ndarray
    adherence: float
    slip: float
    seed: int


def outcomes(case: Case, plans: Floats, answered: Bools, acted: Bools, results_may_follow: bool) -> pd.DataFrame:
    """What became of a plan for each request, columns of `MEASURES`; NaN where a measure is not defined.

    `plans` (n, d): encoded rows, NaN where nobody answered; `acted` (n, d): which features a plan says are edited.
    `results_may_follow`: a changed part of a sum is no edit where the plan edits the whole.
    """
    task, world, n = case.task, case.world, len(case.rows)
    schema, columns = task.schema, task.schema.columns
    levers = [columns[name] for name in world.levers]
    actions = {
        name: np.where(answered & acted[:, columns[name]], plans[:, columns[name]], np.nan) for name in world.levers
    }
    future = case.days.shape[1]
    lived = world.do(
        case.noises, actions, adherence=case.adherence, slip=case.slip, future=future, seed=case.seed
    )  # the same slips and days to come as in `before`
    after = lived.probability
    plan_valid = np.zeros(n, dtype=bool)
    convinced = np.zeros(n, dtype=bool)
    judge = task.uncounted()
    if answered.any():
        plan_valid[answered] = judge.judge(plans[answered], final=True).predicted == case.target
        convinced[answered] = (
            judge.judge(task.codec.encode(lived.frame[schema.names])[answered], final=True).predicted == case.target
        )
    edits = acted & answered[:, None]
    if results_may_follow:
        edits &= ~_followers(task, edits)
    not_levers = np.ones(len(schema), dtype=bool)
    not_levers[levers] = False
    causes = ancestors(world.edges, schema.label)
    idle = np.array([f.name not in causes for f in schema.features])
    needy: Bools = case.before < LINE
    improved: Bools = after - case.before >= GAIN
    worse: Bools = case.before - after > ROUNDING
    well: Bools = after >= LINE
    effort = efforts(task, case.rows, actions)
    made = answered & needy & well
    count = edits.sum(axis=1)

    def over(where: Bools, values: Any) -> Floats:
        return np.where(where, np.asarray(values, dtype=float), np.nan)

    everybody = np.ones(n, dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        idle_share = (edits & idle).sum(axis=1) / count
    return pd.DataFrame(
        {
            "answered": over(everybody, answered),
            "improvement": over(everybody, answered & improved),
            "success": over(needy, answered & well),
            "harm": over(everybody, answered & worse),
            "gaming": over(needy, answered & plan_valid & ~well),
            "better_days": over(everybody, (lived.labels.mean(axis=1) - case.days.mean(axis=1)) * future),
            "improvement_of_plans": over(answered, improved),
            "success_of_plans": over(answered & needy, well),
            "harm_of_plans": over(answered, worse),
            "confirmed": over(answered, convinced),
            "nothing_to_do": over(answered, ~edits[:, levers].any(axis=1)),
            "undoable_edits": over(answered, (edits & not_levers).any(axis=1)),
            "idle_edits": over(answered & (count > 0), idle_share),
            "effort": over(made, effort),
            "effort_to_oracle": over(made, case.best.effort),
            "probability_before": case.before,
            "probability_after": after,
        }
    )


def of_answers(case: Case, cfs: Counterfactuals, query: Query) -> pd.DataFrame:
    """`outcomes` of the first answer to each request."""
    task = case.task
    frame = cfs.frame[cfs.frame["rank"] == 1].drop_duplicates("query").set_index("query").reindex(range(len(query)))
    answered = frame["rank"].notna().to_numpy()
    plans = np.full(query.rows.shape, np.nan)
    if answered.any():
        plans[answered] = task.codec.encode(frame.loc[answered, task.schema.names])
    acted = np.zeros(plans.shape, dtype=bool)
    acted[answered] = task.codec.changed(query.rows[answered], plans[answered])
    results = [task.schema.columns[f.name] for f in task.schema.features if f.role == "mutable"]
    levers_alone = not query.movable[:, results].any()
    if levers_alone and "actions" in frame:
        named = frame["actions"].fillna("").str.split(";")
        acted &= np.array([[name in said for name in task.schema.names] for said in named])
    return outcomes(case, plans, answered, acted, levers_alone)


def of_nobody(case: Case) -> pd.DataFrame:
    """`outcomes` of leaving every row as it is: the control."""
    everybody = np.ones(len(case.rows), dtype=bool)
    return outcomes(case, case.rows, everybody, np.zeros(case.rows.shape, dtype=bool), True)


def of_the_oracle(case: Case) -> pd.DataFrame:
    """`outcomes` of the plans of somebody who knows the equations."""
    plans, acted = case.rows.copy(), np.zeros(case.rows.shape, dtype=bool)
    for name, wanted in case.best.actions.items():
        j = case.task.schema.columns[name]
        acted[:, j] = ~np.isnan(wanted)
        plans[acted[:, j], j] = wanted[acted[:, j]]
    return outcomes(case, plans, ~np.isnan(case.best.effort), acted, True)


def _followers(task: Task, edits: Bools) -> Bools:
    """Parts of a sum whose whole is edited too."""
    found = np.zeros(edits.shape, dtype=bool)
    columns = task.schema.columns
    for rule in task.schema.rules:
        if isinstance(rule, Total) and isinstance(rule.whole, str):
            parts = [columns[name] for name in rule.parts]
            found[:, parts] |= edits[:, [columns[rule.whole]]]
    return found
