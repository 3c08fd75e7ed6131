"""What came of plans: rows measured later beside each person's plan and days before. It never says why.

A plan was kept where what a person does reached what the plan says, within the error of the device that measured it.
People without a plan are followed beside them; none of them was drawn by lot, so a difference is no effect.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json, write_text
from sensecf.core.people import PERSON, WHEN
from sensecf.core.rules import Bools
from sensecf.core.task import Task
from sensecf.core.version import __version__
from sensecf.data.infer.recognise import known_as
from sensecf.data.whose import whose
from sensecf.metrics.statistics import interval
from sensecf.runs.finished import facts_of
from sensecf.runs.record.bound import Data
from sensecf.runs.record.by_person import newest, person_plans
from sensecf.runs.record.journal import FILE, Journal
from sensecf.runs.record.plans import Change, KeptPlan, plans_of
from sensecf.runs.report.names import Labels
from sensecf.runs.report.page import environment
from sensecf.runs.run import load_task

#: What a follow-up writes.
FILES = ("follow.csv", "follow.json", "follow.html")
#: What everybody reads beside the figures.
CAUTION = (
    "Nobody was given a plan by lot, and people get plans because of the days before, which come back towards the "
    "usual by themselves. What changed may have changed without the plan: no cause is claimed."
)
#: What is averaged over people, and how it reads.
MEASURES = {
    "kept": "Days on which every action reached the plan",
    "toward": "Days on which every action moved the plan's way",
    "answer_before": "Days before that the classifier puts in the wanted class",
    "answer_after": "Days after likewise",
    "answer_change": "Change of that share",
    "label_before": "Days before with the wanted label, as measured",
    "label_after": "Days after likewise",
    "label_change": "Change of that share",
}


@dataclass(frozen=True)
class Followed:
    """What is known of one person; shares are of days, None where there is nothing to take a share of.

    `plan`: its id, "" for people without one. `kept`: every action reached its end; `toward`: every action moved the
    plan's way, beyond the error of its device. `answer_*`: the classifier's answer is the target, before and after;
    `label_*`: the measured label is. `actions`: the share of days on which each action reached its end.
    """

    person: str
    plan: str
    status: str
    days_before: int
    days_after: int
    kept: float | None = None
    toward: float | None = None
    answer_before: float | None = None
    answer_after: float | None = None
    answer_change: float | None = None
    label_before: float | None = None
    label_after: float | None = None
    label_change: float | None = None
    actions: Mapping[str, float] | None = None


def follow(folder: Path, frame: pd.DataFrame, table: Path, out: Path, who: str = "") -> Data:
    """Follow the people of a run folder in a table measured later; returns what `follow.json` says.

    `frame`: the raw rows of the file `table`, with the schema's person and features, its date and label where there are
    any. With a date, rows count that are later than every day that the run knows of the person. `who`: writes an
    entry per person with a plan into the journal under this name. Raises `InputError` where the schema or the table
    names nobody, and where there is no plan to follow.
    """
    task, facts = load_task(folder), facts_of(folder)
    schema, target = task.schema, task.schema.find_class(facts["target"])
    if schema.person is None or schema.person not in frame:
        raise InputError(
            f"{table} cannot be followed: it says of nobody whose rows they are; name the column in the schema "
            f'(person = "…") and have it in the table'
        )
    before = _before(folder, task)
    after = _rows(task, frame, frame.get(schema.label))
    plans, decided = _followed_plans(folder)
    people = list(dict.fromkeys([*plans, *before[PERSON], *after[PERSON]]))
    found = [_person(task, target, name, plans.get(name), _mine(before, name), after) for name in people]
    theirs = [one for one in found if one.plan]
    # Likewise people of whom a day before was not in the wanted class, and who have no plan.
    others = [one for one in found if not one.plan and one.answer_before is not None and one.answer_before < 1.0]
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    told = {
        "sensecf": __version__,
        "table": digest,
        "rows": len(frame),
        "target": target,
        "decided": decided,
        "with_plan": _group(theirs),
        "without_plan": _group(others),
        "caution": CAUTION,
        "people": [asdict(one) for one in (*theirs, *others)],
    }
    _write(out, told, [*theirs, *others], task)
    if who:
        _note(folder, who, theirs, digest, len(frame))
    return told


def _followed_plans(folder: Path) -> tuple[dict[str, KeptPlan], bool]:
    """One plan for each person: those signed off in the journal where there are any, else those of the run (for all of
    a person's days, else that of the newest day); and whether they are the journal's."""
    plans = [plan for plan in plans_of(folder) if plan.person]
    signed = [plan for plan in plans if plan.standing.signed]
    plans += [] if signed else [plan for plan in person_plans(folder) if plan.person]
    chosen: dict[str, KeptPlan] = {}
    for plan in sorted(signed or plans, key=lambda one: (one.standing.since, *newest(one))):
        chosen[plan.person] = plan
    if not chosen:
        raise InputError(f"{folder} has no plan of anybody that the table names; there is nothing to follow")
    return chosen, bool(signed)


def _before(folder: Path, task: Task) -> pd.DataFrame:
    """The days that the run knows: all held-out rows, else those that were asked about."""
    path = next(p for p in (folder / "held_out.csv", folder / "factuals.csv") if p.exists())
    raw = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    if PERSON not in raw:
        raise InputError(f"{path} has no column {PERSON!r}: run sensecf explain again with the person in the schema")
    ids = raw[[name for name in (PERSON, WHEN) if name in raw]].fillna("")
    numbers = {f.name: pd.to_numeric(raw[f.name]) if f.numeric else raw[f.name] for f in task.schema.features}
    label = raw.get(task.schema.label)
    return _judged(task, pd.DataFrame(numbers), ids, label)


def _rows(task: Task, frame: pd.DataFrame, label: Any) -> pd.DataFrame:
    return _judged(task, frame[task.schema.names], whose(task.schema, frame), label)


def _judged(task: Task, frame: pd.DataFrame, ids: pd.DataFrame, label: Any) -> pd.DataFrame:
    """Rows with whose they are, when, their encoded features, the classifier's answer and the label, as text."""
    rows = task.codec.encode(frame)
    judged = task.judge(rows, final=True)
    found = pd.DataFrame(rows, columns=task.schema.names)
    found.insert(0, PERSON, ids[PERSON].astype(str).to_numpy())
    found.insert(1, WHEN, ids[WHEN].astype(str).to_numpy() if WHEN in ids else "")
    said = np.array(task.classes, dtype=object)[judged.predicted]
    blank = np.full(len(rows), None, dtype=object)
    true = blank if label is None else np.array([None if pd.isna(v) else str(v) for v in label], dtype=object)
    return found.assign(**{"\0said": said, "\0true": true})


def _mine(rows: pd.DataFrame, person: str) -> pd.DataFrame:
    return rows[rows[PERSON] == person]


def _person(
    task: Task, target: Any, name: str, plan: KeptPlan | None, before: pd.DataFrame, rows: pd.DataFrame
) -> Followed:
    after = _mine(rows, name)
    last = max([*before[WHEN], plan.when if plan is not None else ""], default="")
    if last and (after[WHEN] != "").any():
        after = after[after[WHEN] > last]
    counts = (name, "" if plan is None else plan.id, "" if plan is None else plan.standing.status)
    answers = [_share(part["\0said"] == target) for part in (before, after)]
    labels = [_share((part["\0true"] == str(target))[part["\0true"].notna()]) for part in (before, after)]
    kept = {} if plan is None or not len(after) else _kept(task, plan, after)
    return Followed(
        *counts,
        len(before),
        len(after),
        answer_before=answers[0],
        answer_after=answers[1],
        answer_change=_less(answers),
        label_before=labels[0],
        label_after=labels[1],
        label_change=_less(labels),
        **kept,
    )


def _kept(task: Task, plan: KeptPlan, after: pd.DataFrame) -> Data:
    """On how many days later the plan was kept; days on which an action was not measured count for no share of it."""
    reached = np.array([_reached(task, change, after) for change in plan.actions])
    moved = np.array([_reached(task, change, after, start=True) for change in plan.actions])
    shares = {c.feature: _share(row) for c, row in zip(plan.actions, reached, strict=True)}
    whole = ~np.isnan(reached).any(axis=0)
    return {
        "kept": _share(reached[:, whole].all(axis=0)),
        "toward": _share(moved[:, whole].all(axis=0)),
        "actions": {name: share for name, share in shares.items() if share is not None},
    }


def _reached(task: Task, change: Change, after: pd.DataFrame, start: bool = False) -> Any:
    """For each day: 1 where an action is at its end within the device's error (`start`: beyond where it began by more
    than that), 0 where it is not, NaN where it was not measured."""
    j = task.schema.columns[change.feature]
    feature, values = task.schema.features[j], after[change.feature].to_numpy(dtype=float)
    if change.delta is None:
        there: Bools = values == feature.levels.index(change.after) if change.after in feature.levels else values < 0
    else:
        error = error_of(task, change.feature)
        way = np.sign(change.delta)
        end = float(change.before) + way * error if start else float(change.after) - way * error
        there = way * values > way * end if start else way * values >= way * end
    return np.where(np.isnan(values), np.nan, there.astype(float))


def error_of(task: Task, name: str) -> float:
    """The error of a device for a feature, in its unit: the catalogue's, else the feature's step."""
    known = known_as(task.schema[name])
    error = None if known is None else known.error
    return float(task.codec.step[task.schema.columns[name]]) if error is None else error


def _share(values: Any) -> float | None:
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else None


def _less(ends: Sequence[float | None]) -> float | None:
    return None if ends[0] is None or ends[1] is None else round(ends[1] - ends[0], 12)


def _group(people: Sequence[Followed]) -> Data:
    """How many there are, how many came back, and each measure over those: the mean by person, 95 % interval."""
    back = [one for one in people if one.days_after]
    found: Data = {"people": len(people), "came_back": len(back), "measures": {}}
    for name in MEASURES:
        values = [getattr(one, name) for one in back if getattr(one, name) is not None]
        low, high = _ends(values, change=name.endswith("_change"))
        ends = [None if end != end else round(float(end), 6) for end in (low, high)]
        mean = round(float(np.mean(values)), 6) if values else None
        found["measures"][name] = {"value": mean, "low": ends[0], "high": ends[1], "people": len(values)}
    if not back:
        found["abstained"] = "nobody came back, so nothing is said"
    return found


def _ends(values: Sequence[float], change: bool) -> tuple[float, float]:
    """A 95 % interval by person; none for changes that are all alike, of which resampling sees no spread."""
    if not values or (change and len(set(values)) == 1):
        return np.nan, np.nan
    return interval(values, np.arange(len(values)), share=not change)


def _write(out: Path, told: Data, people: Sequence[Followed], task: Task) -> None:
    rows = [{**asdict(one), "actions": json.dumps(one.actions or {})} for one in people]
    with replacing(out / FILES[0]) as path:
        pd.DataFrame(rows).to_csv(path, index=False)
    write_json(out / FILES[1], told)
    context = {"told": told, "measures": MEASURES, "caution": CAUTION, "version": __version__, "people": people}
    context |= {"target": task.schema.meaning(told["target"]), "label": task.once(Labels).of}
    page = environment("sensecf.runs.record", keep_trailing_newline=True).get_template("follow.html.j2").render(context)
    write_text(out / FILES[2], page)


def _note(folder: Path, who: str, people: Sequence[Followed], digest: str, rows: int) -> None:
    """An entry of the journal for each person with a plan who came back."""
    if not (folder / FILE).exists():
        raise InputError(f"{folder} has no journal of decisions to write into; leave --who out")
    journal = Journal(folder)
    for one in people:
        if one.days_after:
            found = {"person": one.person, "table": digest, "rows": rows, "plan": one.plan, "found": asdict(one)}
            journal.add("follow", who, found)
