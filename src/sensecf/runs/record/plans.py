"""Plans as they are kept, whoever made them: from the journal of decisions, or from the files of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.runs.finished import facts_of
from sensecf.runs.record.bound import Data
from sensecf.runs.record.journal import FILE, Journal
from sensecf.runs.record.standing import NONE, Standing
from sensecf.runs.report.names import clean, labels


@dataclass(frozen=True)
class Change:
    """One value that a plan changes, in the feature's unit; `delta` is None for levels.

    With several days, `before` and `after` are those of the day that stands for the plan. `follows`: it moves because
    of the others, and is nothing that anybody does.
    """

    feature: str
    label: str
    unit: str
    before: float | str
    after: float | str
    delta: float | None
    before_text: str
    after_text: str
    follows: bool = False


@dataclass(frozen=True)
class KeptPlan:
    """One plan of one person.

    `person`, `when`: as the table names them, "" where it does not. `label`: what the classifier says something of;
    `said` and `target`: what it says now, and with the plan. `probability_before`, `probability`: of the target.
    `holds`, `holds_low`: see `Bound`. `turns` of `of` days: how many of the person's days the plan turns.
    `entry`: the last decision about it, empty where nobody decided.
    """

    id: str
    person: str
    when: str
    label: str
    said: str
    target: str
    probability_before: float
    probability: float
    changes: tuple[Change, ...]
    holds: float | None = None
    holds_low: float | None = None
    turns: int | None = None
    of: int | None = None
    standing: Standing = NONE
    entry: Mapping[str, Any] | None = None

    @property
    def actions(self) -> tuple[Change, ...]:
        """What a person does: all changes that do not follow."""
        return tuple(change for change in self.changes if not change.follows)

    @property
    def sentence(self) -> str:
        """What is done, in one line: "Steps 4,000 → 6,000 steps; Asleep 380 → 440 min"."""
        parts = [f"{c.label} {c.before_text} → {c.after_text} {c.unit}".rstrip() for c in self.actions]
        return "; ".join(parts) or "no change needed"


def of_record(record: Data, entry: Mapping[str, Any] | None = None, standing: Standing = NONE) -> KeptPlan:
    """A plan as the page writes it down. Raises `InputError` where a part of it is absent."""
    try:
        changes = tuple(_change(change) for change in record["changes"])
        bound = (entry or {}).get("bound") or record
        return KeptPlan(
            str(record["plan"]),
            str(record["person"]),
            str(record.get("day", "")),
            str(record["label"]),
            str(record["predicted_before_text"]),
            str(record["target_text"]),
            float(record["probability_before"]),
            float(record["probability"]),
            changes,
            bound.get("holds"),
            bound.get("holds_low"),
            record.get("turns"),
            record.get("of"),
            standing,
            entry,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"a kept plan is damaged ({error}); make it again on the page") from error


def _change(change: Mapping[str, Any]) -> Change:
    return Change(
        str(change["feature"]),
        str(change["label"]),
        str(change["unit"]),
        change["before"],
        change["after"],
        change["delta"],
        str(change["before_text"]),
        str(change["after_text"]),
        bool(change.get("follows", False)),
    )


def kept_plans(journal: Journal) -> list[KeptPlan]:
    """Every plan that somebody decided on or kept, in the order of their first entries, each where it stands."""
    last: dict[str, Data] = {}
    for entry in journal.entries:
        # Plans that were only offered are kept to be found again, and are nobody's.
        if entry["kind"] == "decision" or (entry["kind"] == "plan" and entry["origin"] == "own"):
            last[str(entry["plan"]["plan"])] = entry
    return [
        of_record(entry["plan"], entry if entry["kind"] == "decision" else None, journal.standing(identity))
        for identity, entry in last.items()
    ]


def run_plans(folder: Path) -> list[KeptPlan]:
    """The first plan of every row that a run answered, or of every person where the run asked by person.

    Raises `InputError` where there is no finished run.
    """
    facts = facts_of(folder)
    answers = Counterfactuals.load(folder)
    schema = answers.schema
    found = answers.answers[(answers.answers["rank"] == 1) & (answers.answers["n_changed"] > 0)]
    changes = answers.changes()
    by_query = dict(list(changes[changes["rank"] == 1].groupby("query", sort=False)))
    label = dict(zip(schema.names, labels(schema), strict=True))
    by_plan: dict[str, list[KeptPlan]] = {}
    for row in found.to_dict("records"):
        before = answers.factuals.loc[row["query"]]
        made = KeptPlan(
            str(row.get("plan_id") or f"{row['query']}-1"),
            clean(row.get("person") or ""),
            clean(row.get("when") or ""),
            clean(schema.meaning(schema.label)),
            clean(schema.meaning(before["predicted"])),
            clean(schema.meaning(facts["target"])),
            float(before["probability"]),
            float(row["probability"]),
            tuple(_changed(schema, label, one) for one in by_query[row["query"]].to_dict("records")),
            _number(row.get("holds")),
            _number(row.get("holds_low")),
            _whole(row.get("turns")),
            _whole(row.get("of")),
        )
        by_plan.setdefault(made.id, []).append(made)
    return [_one(days) for days in by_plan.values()]


def _changed(schema: FeatureSchema, label: Mapping[str, str], change: Mapping[Any, Any]) -> Change:
    feature = schema[change["feature"]]
    before, after = change["before"], change["after"]
    delta = round(float(after) - float(before), feature.decimals) if feature.numeric else None
    return Change(
        feature.name,
        label[feature.name],
        clean(feature.unit),
        _end(feature, before),
        _end(feature, after),
        delta,
        clean(feature.format(before)),
        clean(feature.format(after)),
        bool(change["follows"]),
    )


def _end(feature: Feature, value: Any) -> float | str:
    if feature.kind == "integer":
        return int(value)
    return float(value) if feature.numeric else str(value)


def _one(days: list[KeptPlan]) -> KeptPlan:
    """The plan of several days: that of the day whose changes are the median ones; probabilities are means."""
    if len(days) == 1:
        return days[0]
    sizes = np.array([sum(abs(change.delta or 0.0) for change in day.actions) for day in days])
    middle = days[int(np.argsort(sizes, kind="stable")[len(days) // 2])]
    before = float(np.mean([day.probability_before for day in days]))
    after = float(np.mean([day.probability for day in days]))
    return replace(middle, probability_before=before, probability=after)


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _whole(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)


def person_of(plan: KeptPlan) -> str:
    """The person of a plan. Raises `InputError` where the table names nobody: a row number identifies no one."""
    if not plan.person:
        raise InputError(
            f"plan {plan.id} is of nobody that the table names, and a row number is no identifier; name the column of "
            'the persons in the schema (person = "…") and run sensecf explain again'
        )
    return plan.person


def plans_of(folder: Path, decided: bool = False) -> list[KeptPlan]:
    """The plans of a folder: those of its journal, each where it stands, then those of its run; `decided`: the first
    alone. Raises `InputError` where there are none of either, and where the journal was changed."""
    kept = kept_plans(Journal(folder)) if (folder / FILE).exists() else []
    made = [] if decided or not (folder / "run.json").exists() else run_plans(folder)
    if not kept and not made:
        what = "no decision was kept there" if decided else "it holds neither a finished run nor decisions"
        raise InputError(f"{folder}: there is no plan to take: {what}; run sensecf explain, or decide on the page")
    known = {plan.id for plan in kept}
    return [*kept, *(plan for plan in made if plan.id not in known)]
