"""Plans for people in a run: beside them, one plan for everybody and the days of each planned singly.

The two are controls: what is gained by planning for a person and not for all, and what is lost by one plan instead of
one for each day. A run that was asked row by row has the plans for people beside its answers; where nobody has several
rows, one plan for everybody stands beside it alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.people import PERSON, Counted, some
from sensecf.core.rules import Bools
from sensecf.core.task import Task
from sensecf.data.whose import whose
from sensecf.pipeline.explain import explain
from sensecf.pipeline.person import Wish, explain_people, in_words
from sensecf.runs.facts import Control, EverybodyFacts, PeopleFacts, Told
from sensecf.runs.report.names import labels

#: With more rows than this nothing is looked for that nobody asked for.
MOST_ROWS = 2_000
#: A plan for everybody is asked to turn so many parts of all days, of this number: as many as there is a plan for.
PARTS = 10


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

    @cached_property
    def open(self) -> Bools:
        """Whether each row is in another class than the wanted one, shape (n,): of these a plan can turn one.

        A row of one's own choice may be there already; it gets a plan that holds, and counts for no control.
        """
        rows = self.task.codec.encode(self.rows[self.task.schema.names])
        return np.asarray(self.task.judge(rows, final=True).predicted != self.task.target_position(self.target))


def beside(asked: Asked, answers: Counterfactuals) -> tuple[Counterfactuals, Told]:
    """Answers with their table of people, the controls among its columns, and what `run.json` says of both.

    Answers to rows get the plans for people that nobody asked for; where nobody has several rows they stay as they
    are, and what one plan for everybody turns is said beside them.
    """
    everybody = _Everybody.of(asked)
    if not len(answers.people) and not asked.repeated:
        return answers, _said(asked, everybody, answers)
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
    else:
        single = answers
        found = explain_people(asked.task, asked.rows, asked.target, asked.wish, strict=False)
        answers = replace(answers, people=found.people)
    person = single.factuals[PERSON]
    controls = {"singly": _by_person(_turned(single) & asked.open, person)}
    if everybody is not None:
        controls["everybody"] = _by_person(everybody.turned & asked.open, person)
    people = answers.people.assign(
        **{
            name: pd.array(series.reindex(answers.people[PERSON]).to_numpy(), dtype="Int64")
            for name, series in controls.items()
        }
    )
    answers = replace(answers, people=people)
    plan = "" if everybody is None else everybody.plan
    return answers, {"people": _facts(people, asked, plan), **_said(asked, everybody, answers)}


@dataclass(frozen=True)
class _Everybody:
    """The one plan for all rows: what it is, as text, "" where there is none, and which rows it `turned`."""

    plan: str
    turned: pd.Series[bool]

    @classmethod
    def of(cls, asked: Asked) -> _Everybody | None:
        """The plan that turns most of the rows asked about, to a tenth of them; of several, the one that asks least for
        each. None where they are too many to look."""
        if len(asked.rows) > MOST_ROWS:
            return None
        best = cls("", pd.Series(False, index=asked.rows.index))
        reached, left = 0, PARTS
        while reached < left:
            tried = (reached + left + 1) // 2
            wish = replace(asked.wish, days=tried / PARTS, n=1)
            found = explain_people(asked.task, asked.rows, asked.target, wish, strict=False, as_one="everybody")
            plans = found.people[found.people["plan"] != ""]
            if len(plans):
                best, reached = cls(str(plans["plan"].iloc[0]), _turned(found)), tried
            else:
                left = tried - 1
        return best


def _said(asked: Asked, everybody: _Everybody | None, answers: Counterfactuals) -> Told:
    """What one plan for everybody turns beside what the answers turn, in numbers and words; {} where nobody looked."""
    if everybody is None:
        return {}
    count, of = int((everybody.turned & asked.open).sum()), some(int(asked.open.sum()), asked.noun)
    own = int((_turned(answers) & asked.open).sum())
    if not everybody.plan:
        words = f"No single {asked.called} for everybody turns {1 / PARTS:.0%} of {of}"
    else:
        names = dict(zip(answers.schema.names, labels(answers.schema), strict=True))
        parts = "; ".join(in_words(answers.schema, everybody.plan, names))
        words = f"The best single {asked.called} for everybody ({parts}) turns {count:,} of {of}"
    told: EverybodyFacts = {
        "plan": everybody.plan,
        "turned": count,
        "own": own,
        "of": int(asked.open.sum()),
        "says": f"{words}; those of their own turn {own:,}.",
    }
    return {"everybody": told}


def _turned(answers: Counterfactuals) -> pd.Series[bool]:
    """Whether each row asked about is turned."""
    moved = answers.answers[answers.answers["n_changed"] > 0]["query"].unique()
    return pd.Series(answers.factuals.index.isin(moved), index=answers.factuals.index)


def _by_person(turned: pd.Series[bool], person: pd.Series[Any]) -> pd.Series[int]:
    """Of each person the rows that are turned."""
    by = pd.Series(turned.to_numpy(), index=person.to_numpy())
    return by.groupby(level=0, sort=False).sum().astype(int)


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
