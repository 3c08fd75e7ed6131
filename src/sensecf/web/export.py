"""A plan to take along: CSV that no spreadsheet takes for a formula, JSON, and a FHIR draft."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sensecf.runs.record.fhir import UNITS_OF_MEASURE, coded
from sensecf.runs.record.written import csv_text
from sensecf.web.words import CAUTION, plan_sentence


def to_csv(record: Mapping[str, Any]) -> str:
    """One line per change; numbers as numbers, in the feature's unit."""
    heads = ("person", "target", "feature", "unit", "before", "after", "change", "probability_before", "probability")
    rows: list[Sequence[Any]] = [heads]
    for change in record["changes"]:
        edit = (change["feature"], change["unit"], change["before"], change["after"], change["delta"])
        rows.append((record["person"], record["target"], *edit, record["probability_before"], record["probability"]))
    return csv_text(rows)


def to_json(record: Mapping[str, Any], weeks: int | None) -> str:
    """The whole record, its sentence, and the line that says what a plan is."""
    sentence = "".join(piece.text for piece in plan_sentence(record))
    return json.dumps(
        {**record, "sentence": sentence, "weeks": weeks, "caution": CAUTION}, indent=2, ensure_ascii=False
    )


def to_fhir(record: Mapping[str, Any], weeks: int | None, created: str) -> str:
    """A draft as a FHIR Bundle of type collection: Patient, one Goal per change, CarePlan.

    It uses only elements that R4 and R5 share; the plan is `draft`, a `proposal`, every goal `proposed`.
    `weeks`: how long the weekly steps take, None where there are none. `created`: a date.
    """

    def identity(part: str) -> str:
        return uuid.uuid5(uuid.NAMESPACE_URL, f"sensecf:{record['plan']}:{part}").urn

    # An identifier without its system may meet another patient's: `sensecf export --system` writes both.
    patient = {"resourceType": "Patient"}
    entries: list[dict[str, Any]] = [{"fullUrl": identity("patient"), "resource": patient}]
    goals = []
    for number, change in enumerate(record["changes"]):
        target: dict[str, Any] = {"measure": {"text": change["label"]}}
        if change["delta"] is None:
            target["detailString"] = change["after_text"]
            text = f"{change['label']}: {change['after_text']} instead of {change['before_text']}"
        else:
            quantity: dict[str, Any] = {"value": change["after"]}
            if change["unit"]:
                quantity["unit"] = change["unit"]
            quantity |= coded(change["unit"])
            target["detailQuantity"] = quantity
            unit = f" {change['unit']}" if change["unit"] else ""
            text = f"{change['label']}: {change['after_text']}{unit} instead of {change['before_text']}{unit}"
        if weeks is not None:
            target["dueDuration"] = {"value": weeks, "unit": "wk", "system": UNITS_OF_MEASURE, "code": "wk"}
        goal = {
            "resourceType": "Goal",
            "lifecycleStatus": "proposed",
            "description": {"text": text},
            "subject": {"reference": identity("patient")},
            "target": [target],
        }
        goals.append({"reference": identity(f"goal-{number}")})
        entries.append({"fullUrl": identity(f"goal-{number}"), "resource": goal})
    plan = {
        "resourceType": "CarePlan",
        "status": "draft",
        "intent": "proposal",
        "title": f"Draft towards {record['label']}: {record['target_text']}",
        "description": "".join(piece.text for piece in plan_sentence(record)),
        "subject": {"reference": identity("patient")},
        "created": created,
        "goal": goals,
        "note": [{"text": CAUTION}],
    }
    entries.append({"fullUrl": identity("plan"), "resource": plan})
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}, indent=2, ensure_ascii=False)
