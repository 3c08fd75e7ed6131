"""Plans for REDCap: two repeating instruments, their data, and the data dictionary that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sensecf.runs.record.plans import KeptPlan, person_of
from sensecf.runs.record.standing import STATUSES
from sensecf.runs.record.written import csv_text

#: The instruments: a plan, and what a person does by it.
PLAN, ACTION = "sensecf_plan", "sensecf_action"

#: The columns of a data dictionary, as REDCap writes them.
HEADS = (
    "Variable / Field Name",
    "Form Name",
    "Section Header",
    "Field Type",
    "Field Label",
    "Choices, Calculations, OR Slider Labels",
    "Field Note",
    "Text Validation Type OR Show Slider Number",
    "Text Validation Min",
    "Text Validation Max",
    "Identifier?",
    "Branching Logic (Show field only if...)",
    "Required Field?",
    "Custom Alignment",
    "Question Number (surveys only)",
    "Matrix Group Name",
    "Matrix Ranking?",
    "Field Annotation",
)
_STATUS = {"": 0, **{name: number for number, name in enumerate(STATUSES, start=1)}}
#: Fields by instrument: name, type, label, choices, validation.
_FIELDS: dict[str, tuple[tuple[str, str, str, str, str], ...]] = {
    PLAN: (
        ("scf_plan_id", "text", "Plan", "", ""),
        ("scf_day", "text", "The day that stands for the plan", "", ""),
        ("scf_said", "text", "What the classifier says now", "", ""),
        ("scf_target", "text", "What it says with the plan", "", ""),
        ("scf_prob_before", "text", "Probability of that, now", "", "number"),
        ("scf_prob_after", "text", "Probability of that, with the plan", "", "number"),
        ("scf_turns", "text", "Days that the plan turns", "", "integer"),
        ("scf_of", "text", "Days that it was asked for", "", "integer"),
        ("scf_holds", "text", "Share of refits that agree", "", "number"),
        ("scf_holds_low", "text", "Lower bound of that share", "", "number"),
        (
            "scf_status",
            "dropdown",
            "Where the plan stands",
            "0, nobody decided | " + " | ".join(f"{_STATUS[name]}, {name}" for name in STATUSES),
            "",
        ),
        ("scf_since", "text", "Since", "", "datetime_seconds_ymd"),
        ("scf_signed", "text", "Signed off by", "", ""),
        ("scf_second", "text", "Second signature", "", ""),
        ("scf_version", "text", "SenseCF", "", ""),
        ("scf_model", "text", "Hash of the classifier", "", ""),
        ("scf_schema", "text", "Hash of the schema", "", ""),
        ("scf_data", "text", "Hash of the training rows", "", ""),
        ("scf_limits", "text", "Fingerprint of the limits", "", ""),
    ),
    ACTION: (
        ("scf_action_plan", "text", "Plan", "", ""),
        ("scf_feature", "text", "Column of the table", "", ""),
        ("scf_label", "text", "What is changed", "", ""),
        ("scf_unit", "text", "Unit", "", ""),
        ("scf_before", "text", "Before", "", ""),
        ("scf_after", "text", "With the plan", "", ""),
        ("scf_change", "text", "Change", "", "number"),
    ),
}


def data(plans: Sequence[KeptPlan]) -> str:
    """The rows to import, as CSV: `record_id` is the person, each plan and each action one instance.

    Raises `InputError` for a plan whose person has no id.
    """
    heads = ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance"]
    heads += [field[0] for fields in _FIELDS.values() for field in fields]
    rows: list[dict[str, Any]] = []
    counted: dict[tuple[str, str], int] = {}

    def add(person: str, instrument: str, values: Sequence[Any]) -> None:
        counted[person, instrument] = counted.get((person, instrument), 0) + 1
        row = dict(zip((field[0] for field in _FIELDS[instrument]), values, strict=True))
        rows.append(
            {
                "record_id": person,
                "redcap_repeat_instrument": instrument,
                "redcap_repeat_instance": counted[person, instrument],
                **row,
            }
        )

    for plan in plans:
        person = person_of(plan)
        add(person, PLAN, _plan(plan))
        for change in plan.actions:
            moved = "" if change.delta is None else change.delta
            ends = (change.before, change.after, moved)
            add(person, ACTION, (plan.id, change.feature, change.label, change.unit, *ends))
    return csv_text([heads, *([row.get(head, "") for head in heads] for row in rows)])


def _plan(plan: KeptPlan) -> tuple[Any, ...]:
    bound: Any = (plan.entry or {}).get("bound") or {}
    tied = [bound.get(name, "") for name in ("sensecf", "model", "schema", "data", "limits")]
    found = (
        plan.id,
        plan.when,
        plan.said,
        plan.target,
        round(plan.probability_before, 6),
        round(plan.probability, 6),
        plan.turns,
        plan.of,
        plan.holds,
        plan.holds_low,
        _STATUS[plan.standing.status],
        plan.standing.since[:19].replace("T", " "),
        plan.standing.signed,
        plan.standing.countersigned,
        *tied,
    )
    return tuple("" if value is None else value for value in found)


def dictionary() -> str:
    """The data dictionary of both instruments, as CSV that REDCap imports.

    The project's first field must be `record_id`; both instruments are to be enabled as repeating.
    """
    rows: list[Sequence[str]] = [HEADS, _field("record_id", PLAN, "text", "The person's id", "", "")]
    for instrument, fields in _FIELDS.items():
        for name, kind, label, choices, validation in fields:
            rows.append(_field(name, instrument, kind, label, choices, validation))
    return csv_text(rows)


def _field(name: str, form: str, kind: str, label: str, choices: str, validation: str) -> Sequence[str]:
    found = dict.fromkeys(HEADS, "")
    found |= {HEADS[0]: name, HEADS[1]: form, HEADS[3]: kind, HEADS[4]: label, HEADS[5]: choices, HEADS[7]: validation}
    found[HEADS[10]] = "y" if name == "record_id" else ""
    return list(found.values())
