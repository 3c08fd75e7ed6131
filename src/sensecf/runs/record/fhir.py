"""Plans as a FHIR bundle: Patient, one Goal per action, CarePlan, with elements that R4, R4B and R5 share."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sensecf.core.errors import InputError
from sensecf.core.version import __version__
from sensecf.data.infer.units import one_unit
from sensecf.runs.record.bound import Data
from sensecf.runs.record.plans import Change, KeptPlan, person_of

#: What stands in every plan that leaves this machine.
CAUTION = (
    "A plan changes the answer of a classifier. That is an association, not a proven effect: whether it changes "
    "a person’s health is not known. No plan should be followed without a clinician."
)
UNITS_OF_MEASURE = "http://unitsofmeasure.org"
_LOINC = "http://loinc.org"
_UCUM = {
    "%": "%",
    "min": "min",
    "h": "h",
    "s": "s",
    "ms": "ms",
    "beats/min": "/min",
    "breaths/min": "/min",
    "mg/dL": "mg/dL",
    "mmol/L": "mmol/L",
    "mmHg": "mm[Hg]",
    "kg": "kg",
    "g": "g",
    "mg": "mg",
    "cm": "cm",
    "m": "m",
    "kg/m²": "kg/m2",
    "kcal": "kcal",
    "steps": "{steps}",
    "ml/kg/min": "mL/kg/min",
    "years": "a",
}
#: LOINC codes of what plans ask for, where there is one, with its name.
_MEASURES = {
    "steps": ("41950-7", "Number of steps in 24 hour Measured"),
    "sleep_total_min": ("93832-4", "Sleep duration"),
}
#: What the status of a plan is called: of the CarePlan, its intent, and of a Goal.
_STATUS = {
    "": ("draft", "proposal", "proposed"),
    "offered": ("draft", "proposal", "proposed"),
    "agreed": ("active", "plan", "accepted"),
    "active": ("active", "plan", "active"),
    "done": ("completed", "plan", "completed"),
    "stopped": ("revoked", "plan", "cancelled"),
}


def coded(unit: str) -> dict[str, str]:
    """System and code of a unit by UCUM, as a FHIR quantity has them; empty for a unit without a code."""
    code = _UCUM.get(one_unit(unit))
    return {"system": UNITS_OF_MEASURE, "code": code} if code else {}


def check_system(system: str) -> str:
    """The namespace of a person's ids, checked. Raises `InputError` for none, and for what is no absolute URI."""
    if not system.strip():
        raise InputError(
            "FHIR needs the namespace of your patient ids, so that an id cannot meet another hospital's; say "
            "--system URI, such as https://your-hospital.example/patient-id or urn:oid:1.2.3"
        )
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+", system.strip()):
        raise InputError(f"--system {system!r} is no absolute URI; write one such as https://your-hospital.example/ids")
    return system.strip()


def bundle(plans: Sequence[KeptPlan], system: str, created: str, weeks: Mapping[str, int] | None = None) -> str:
    """The plans as JSON: a Bundle of type collection, each person once, a CarePlan for each plan.

    `system`: the namespace of the persons' ids (`Patient.identifier.system`). `created`: a date, ISO 8601. `weeks`: how
    long each plan takes, by its id. Raises `InputError` for no namespace, and for a plan whose person has no id.
    """
    system, entries, seen = check_system(system), [], set()
    for plan in plans:
        patient = _identity(system, person_of(plan), "patient")
        if patient not in seen:
            seen.add(patient)
            named = {"resourceType": "Patient", "identifier": [{"system": system, "value": plan.person}]}
            entries.append({"fullUrl": patient, "resource": named})
        entries += _plan(plan, patient, created, (weeks or {}).get(plan.id))
    whole = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _identity(*parts: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(["sensecf", *parts])).urn


def _plan(plan: KeptPlan, patient: str, created: str, weeks: int | None) -> list[Data]:
    status, intent, goal_status = _STATUS[plan.standing.status]
    goals = []
    for change in plan.actions:
        goal = {
            "resourceType": "Goal",
            "lifecycleStatus": goal_status,
            "description": {"text": _said(change)},
            "subject": {"reference": patient},
            "target": [_target(change, weeks)],
        }
        goals.append({"fullUrl": _identity(plan.id, "goal", change.feature), "resource": goal})
    care = {
        "resourceType": "CarePlan",
        "identifier": [{"system": "urn:sensecf:plan", "value": plan.id}],
        "status": status,
        "intent": intent,
        "title": f"Towards {plan.label}: {plan.target}",
        "description": plan.sentence,
        "subject": {"reference": patient},
        "created": created,
        "goal": [{"reference": goal["fullUrl"]} for goal in goals],
        "note": [{"text": text} for text in (CAUTION, *_notes(plan))],
    }
    return [*goals, {"fullUrl": _identity(plan.id, "plan"), "resource": care}]


def _said(change: Change) -> str:
    unit = f" {change.unit}" if change.unit and change.delta is not None else ""
    return f"{change.label}: {change.after_text}{unit} instead of {change.before_text}{unit}"


def _target(change: Change, weeks: int | None) -> Data:
    measure: Data = {"text": change.label}
    if change.feature in _MEASURES:
        code, display = _MEASURES[change.feature]
        measure["coding"] = [{"system": _LOINC, "code": code, "display": display}]
    target: Data = {"measure": measure}
    if change.delta is None:
        target["detailString"] = change.after_text
    else:
        quantity: Data = {"value": change.after}
        if change.unit:
            quantity["unit"] = change.unit
        quantity |= coded(change.unit)
        target["detailQuantity"] = quantity
    if weeks is not None:
        target["dueDuration"] = {"value": weeks, "unit": "wk", "system": UNITS_OF_MEASURE, "code": "wk"}
    return target


def _notes(plan: KeptPlan) -> list[str]:
    """What a reader elsewhere needs to judge a plan: survival, days, signatures, what it is tied to."""
    found = []
    if plan.of is not None and plan.of > 1:
        found.append(f"Turns {plan.turns} of {plan.of} days.")
    if plan.holds is not None:
        low = "" if plan.holds_low is None else f" (lower bound {plan.holds_low:.0%})"
        found.append(f"Agreed to by {plan.holds:.0%} of the classifier's refits that took no part in finding it{low}.")
    if plan.standing.signed:
        second = plan.standing.countersigned
        found.append(f"Signed off by {plan.standing.signed}" + (f", second signature {second}." if second else "."))
    bound: Any = (plan.entry or {}).get("bound") or {}
    if bound:
        found.append("; ".join(f"{name} {bound[name]}" for name in ("sensecf", "model", "schema", "data", "limits")))
    else:
        found.append(f"sensecf {__version__}")
    return found
