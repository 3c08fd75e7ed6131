"""The plan sheet: one printed page in plain words, week by week, for the person whose plan it is."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache

from jinja2 import Environment

from sensecf.core.task import Task
from sensecf.core.version import __version__
from sensecf.data.infer.recognise import known_column
from sensecf.data.infer.units import one_unit
from sensecf.pipeline.weeks import errors, pace
from sensecf.runs.record.languages import Language, about, rounded
from sensecf.runs.record.plans import Change, KeptPlan
from sensecf.runs.report.page import environment

#: Weeks that one page has room for; a longer plan gets a sheet for its first weeks.
WEEKS = 12
#: Weeks and twice the goals that fit a page in each size of type, the largest first; more take the smallest.
ROOM = (12, 17, 22)


@dataclass(frozen=True)
class Pace:
    """How far a feature may be asked to move in a week, the smallest step worth stating, and how far off its device
    is: no week asks for less than that."""

    weekly: float
    step: float
    decimals: int
    error: float = 0.0


@dataclass(frozen=True)
class Sheet:
    """What one sheet says beside the plan. `made`: its date; `seal`: of the journal, "" without one; `call`: whom to
    call; `paces`: by feature, see `paces`."""

    made: date
    seal: str = ""
    call: str = ""
    paces: Mapping[str, Pace] = field(default_factory=dict)


def paces(task: Task) -> dict[str, Pace]:
    """The pace of every number of a task, see `pipeline.weeks.pace`."""
    speed, off = pace(task)[0], errors(task)
    return {
        feature.name: Pace(float(speed[j]), float(task.codec.step[j]), feature.decimals, float(off[j]))
        for j, feature in enumerate(task.schema.features)
        if feature.numeric
    }


def weeks_of(plan: KeptPlan, paces: Mapping[str, Pace]) -> int:
    """How many weeks a plan takes, all its changes moving together; at least 1."""
    need = [abs(c.delta) / paces[c.feature].weekly for c in plan.actions if c.delta and c.feature in paces]
    return max(1, math.ceil(max(need, default=0.0) - 1e-9))


def render(plan: KeptPlan, language: Language, sheet: Sheet) -> str:
    """The sheet as one HTML page that loads nothing."""
    weeks = weeks_of(plan, sheet.paces)
    shown = min(weeks, WEEKS)
    said = language.file
    context = {
        "code": said["code"],
        "dir": said["dir"],
        "text": language.text,
        "person": plan.person,
        "made": language.day(sheet.made),
        "why": _why(plan, language),
        "goals": [_goal(change, language, sheet) for change in plan.actions],
        "names": [language.short(_called(change), change.label) for change in plan.actions],
        "weekdays": said["weekdays"],
        "weeks": [
            {
                "title": language.text("week", number=language.number(week)),
                "amounts": [_amount(change, week / weeks, language, sheet, short=True) for change in plan.actions],
            }
            for week in range(1, shown + 1)
        ],
        "shown": language.number(shown),
        "all_weeks": language.number(weeks),
        "longer": weeks > shown,
        "fit": f"fit-{bisect_left(ROOM, shown + 2 * len(plan.actions))}",
        "call": sheet.call,
        "small": f"{plan.id} · SenseCF {__version__}" + (f" · {sheet.seal[:16]}" if sheet.seal else ""),
    }
    return _environment().get_template("sheet.html.j2").render(context)


@cache
def _environment() -> Environment:
    return environment("sensecf.runs.record", keep_trailing_newline=True)


def _why(plan: KeptPlan, language: Language) -> str:
    said, target = (_speaks(plan.label, _bare(meaning)) for meaning in (plan.said, plan.target))
    names = {"label": plan.label, "said": said, "target": target}
    if plan.of is not None and plan.of > 1 and plan.turns is not None:
        return language.text("several_days", of=language.number(plan.of), turns=language.number(plan.turns), **names)
    when = _date(plan.when)
    if when is None:
        return language.text("one_day", **names)
    return language.text("one_day_on", date=language.day(when), **names)


def _bare(meaning: str) -> str:
    """A class without its code: "1 (diabetes)" is "diabetes"."""
    found = re.fullmatch(r"[^()]+ \((.+)\)", meaning)
    return meaning if found is None else found[1]


def _speaks(label: str, said: str) -> str:
    """A class as it is told to a person: as it is where it is a word of its own, else with what it is about."""
    code = re.fullmatch(r"[\W\d_]*|.|(?i:yes|no|true|false|ja|nein|si|sí)", said)
    return said if code is None else f"{label}: {said}"


def _date(when: str) -> date | None:
    try:
        return date.fromisoformat(when[:10])
    except ValueError:
        return None


def _goal(change: Change, language: Language, sheet: Sheet) -> dict[str, str]:
    """What is done in the end, as a sentence, and where it stands now."""
    decimals = sheet.paces[change.feature].decimals if change.feature in sheet.paces else 0
    near = change.before if isinstance(change.before, str) else about(change.before, change.unit)
    now = language.value(near, change.unit, decimals)
    sentence = language.action(_called(change), change.label, _amount(change, 1.0, language, sheet), change.delta)
    return {"sentence": sentence, "now": language.text("now", value=now)}


def _called(change: Change) -> str:
    """The name that languages know a feature by, whatever the table calls it and in whichever unit; else its own."""
    known = known_column(change.feature, change.unit)
    return change.feature if known is None else known.name


def _amount(change: Change, share: float, language: Language, sheet: Sheet, short: bool = False) -> str:
    """How much it is after a share of the way, rounded to what is sensible and never short of the plan; `short`: below
    a head that says what is counted."""
    if change.delta is None or isinstance(change.before, str) or isinstance(change.after, str):
        return language.value(change.after, change.unit)
    own = sheet.paces.get(change.feature, Pace(math.inf, 1.0, 0))
    value = rounded(change.before + stage(share, change.delta, own) * change.delta, change.delta, change.unit, own.step)
    counted = short and one_unit(change.unit) == "steps"
    return language.number(value) if counted else language.value(value, change.unit, own.decimals)


def stage(share: float, delta: float, pace: Pace) -> float:
    """The share of the way that a week's end asks for: the share itself, or the next stage at or beyond it where the
    device could not tell the weeks apart. Stages are equal, and none is smaller than the error of the device."""
    stages = max(1, math.floor(abs(delta) / pace.error + 1e-9)) if pace.error > 0 else 0
    return min(1.0, math.ceil(share * stages - 1e-9) / stages) if stages else share


def file_name(person: str, code: str) -> str:
    """The name of a sheet's file: letters of any script, digits and what joins them."""
    plain = re.sub(r"[^\w.-]+", "-", person).strip("-.") or "plan"
    return f"sheet-{plain[:80]}-{code}.html"
