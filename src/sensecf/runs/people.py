"""Plans for people in a run: beside them, one plan for everybody and the days of each planned singly.

The two are controls: what is gained by planning for a person and not for all, and what is lost by one plan instead of
one for each day. A run that was asked row by row has the plans for people beside its answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.people import PERSON, Counted, some
from sensecf.core.task import Task
from sensecf.data.whose import whose
from sensecf.pipeline.explain import explain
from sensecf.pipeline.person import Wish, explain_people
from sensecf.runs.facts import Control, PeopleFacts, Told

#: With more rows than this nothing is looked for that nobody asked for.
MOST_ROWS = 2_000
#: Shares of all days that a plan for everybody is asked to turn, until there is one.
SHARES = (0.5, 0.25, 0.1)


@dataclass(frozen=True)
class Asked:
    """Who is asked about: raw `rows`, the class they are to reach, what is wished, and what a row is called."""

    task: Task
    rows: pd.DataFrame
    target: Any
    wish: Wish
    seed: int = 0
    noun: str = "rows"

    @property
    def called(self) -> str:
        """What an answer is called: a plan is asked to hold."""
        return "plan" if self.wish.limits.hold > 0 else "boundary answer"

    @property
    def repeated(self) -> bool:
        """Whether somebody has several rows, and there are not too many to plan for people unasked."""
        ids = whose(self.task.schema, self.rows)
        named = PERSON in ids and bool((ids[PERSON] != "").all())
        return named and len(ids) <= MOST_ROWS and ids[PERSON].nunique() < len(ids)


def beside(asked: Asked, answers: Counterfactuals) -> tuple[Counterfactuals, Told]:
    """Answers with their table of people, the controls among its columns, and what `run.json` says of both.

    Answers to rows get the plans for people that nobody asked for; answers as they are where nobody has several rows.
    """
    if len(answers.people):
        single = explain(
            asked.task,
            "search",
            asked.rows,
            asked.target,
            limits=asked.wish.limits,
            plausibility=asked.wish.plausibility,
            strict=False,
            seed=asked.seed,
        )
    elif asked.repeated:
        single = answers
        found = explain_people(asked.task, asked.rows, asked.target, asked.wish, strict=False)
        answers = replace(answers, people=found.people)
    else:
        return answers, {}
    everybody, plan = _everybody(asked, single.factuals[PERSON])
    singly = _turned(single, single.factuals[PERSON])
    people = answers.people.assign(
        **{
            name: pd.array(series.reindex(answers.people[PERSON]).to_numpy(), dtype="Int64")
            for name, series in (("everybody", everybody), ("singly", singly))
            if series is not None
        }
    )
    answers = replace(answers, people=people)
    return answers, {"people": _facts(people, asked, plan)}


def _everybody(asked: Asked, person: pd.Series[Any]) -> tuple[pd.Series[int] | None, str]:
    """How many days of each person one plan for all of them turns, None where nobody looked; and the plan, as text."""
    if len(asked.rows) > MOST_ROWS:
        return None, ""
    as_one = asked.rows.assign(**{str(asked.task.schema.person): "everybody"})
    for share in SHARES:
        wish = replace(asked.wish, days=share, n=1)
        found = explain_people(asked.task, as_one, asked.target, wish, strict=False)
        plans = found.people[found.people["plan"] != ""]
        if len(plans):
            return _turned(found, person), str(plans["plan"].iloc[0])
    return _turned(found, person) * 0, ""


def _turned(answers: Counterfactuals, person: pd.Series[Any]) -> pd.Series[int]:
    """Of each person the rows that are turned."""
    moved = answers.answers[answers.answers["n_changed"] > 0]["query"].unique()
    turned = pd.Series(person.index.isin(moved), index=person.to_numpy())
    return turned.groupby(level=0, sort=False).sum().astype(int)


def _facts(people: pd.DataFrame, asked: Asked, plan: str) -> PeopleFacts:
    """How many people have a plan, how many of their days it turns, and what the controls turn."""
    each = people[people["of"] > 0].drop_duplicates(PERSON)
    first = each[each["rank"] == 1]
    turned, of = (first[name].to_numpy(dtype=float) for name in ("turns", "of"))
    everybody: Control | None = {"plan": plan, **_control(each, "everybody")} if "everybody" in each else None
    said = (
        f"One {asked.called} for all {asked.noun} of a person: {len(first):,} of {Counted(len(each), len(each))} have "
        f"one. It turns {int(turned.sum()):,} of their {some(int(of.sum()), asked.noun)}"
    )
    if everybody is not None:
        said += f"; the best single one for everybody turns enough {asked.noun} of {everybody['people']:,} people"
    facts: PeopleFacts = {
        "people": len(each),
        "with_plan": len(first),
        "days": int(each["of"].sum()),
        "turned": int(turned.sum()),
        "mean_share_turned": round(float((turned / of).mean()), 4) if len(first) else None,
        "least": asked.wish.days,
        "singly": _control(each, "singly"),
    }
    if everybody is not None:
        facts["everybody"] = everybody
    return {**facts, "says": f"{said}."}


def _control(each: pd.DataFrame, name: str) -> Control:
    """How many days a control turns, and of how many people as many as were wanted."""
    days = each[name].fillna(0).to_numpy(dtype=int)
    wanted = np.maximum(each["wanted"].to_numpy(dtype=int), 1)
    return {"turned": int(days.sum()), "people": int((days >= wanted).sum())}
