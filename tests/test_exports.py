"""Plans taken along: CSV, REDCap, FHIR that a validator accepts; never a row number as a patient."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensecf.core.errors import InputError
from sensecf.runs.record import redcap
from sensecf.runs.record.by_person import plan_of
from sensecf.runs.record.export import export
from sensecf.runs.record.fhir import bundle
from sensecf.runs.record.journal import FILE, Journal
from sensecf.runs.record.plans import Change, KeptPlan, kept_plans
from sensecf.runs.record.standing import STATUSES, Standing
from sensecf.runs.record.written import HEADS, plans_text, safe_cell
from strategies import cases

SYSTEM = "https://hospital.example/patient-id"
STEPS = Change("steps", "Steps", "steps", 4100, 6500, 2400, "4,100", "6,500")
ASLEEP = Change("sleep_total_min", "Asleep", "min", 380, 440, 60, "380", "440")
DEEP = Change("sleep_deep_min", "Deep sleep", "min", 60, 70, 10, "60", "70", follows=True)
RING = Change("device", "Device", "", "watch", "ring", None, "watch", "ring")
PLAN = KeptPlan(
    "p1", "SIM-0053", "2026-03-04", "stress", "high", "low", 0.21, 0.83, (STEPS, ASLEEP, DEEP, RING), 1.0, 0.95, 7, 9
)

#: A plan as the page writes it into its journal.
RECORD = {
    "plan": "p1",
    "person": "SIM-0053",
    "label": "stress",
    "predicted_before_text": "high",
    "target_text": "low",
    "probability_before": 0.21,
    "probability": 0.83,
    "changes": [
        {"feature": "steps", "label": "Steps", "unit": "steps", "before": 4100.0, "after": 6500.0, "delta": 2400.0,
         "before_text": "4,100", "after_text": "6,500", "follows": False},
    ],
}  # fmt: skip


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def resources(text: str, kind: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in json.loads(text)["entry"] if e["resource"]["resourceType"] == kind]


# --- FHIR -------------------------------------------------------------------------------------


def test_a_goal_for_each_action_and_none_for_what_follows() -> None:
    text = bundle([PLAN], SYSTEM, "2026-11-29", {"p1": 3})
    goals = resources(text, "Goal")
    assert [goal["target"][0]["measure"]["text"] for goal in goals] == ["Steps", "Asleep", "Device"]
    assert goals[0]["target"][0]["measure"]["coding"][0]["code"] == "41950-7"
    assert goals[0]["target"][0]["detailQuantity"] == {
        "value": 6500, "unit": "steps", "system": "http://unitsofmeasure.org", "code": "{steps}"
    }  # fmt: skip
    assert goals[2]["target"][0]["detailString"] == "ring"
    assert goals[0]["target"][0]["dueDuration"]["value"] == 3
    [care] = resources(text, "CarePlan")
    assert len(care["goal"]) == 3
    assert "not known" in care["note"][0]["text"]


def test_a_person_is_one_patient_with_the_namespace_that_was_asked_for() -> None:
    text = bundle([PLAN, replace(PLAN, id="p2"), replace(PLAN, id="p3", person="SIM-0001")], SYSTEM, "2026-11-29")
    patients = resources(text, "Patient")
    assert [p["identifier"] for p in patients] == [
        [{"system": SYSTEM, "value": "SIM-0053"}], [{"system": SYSTEM, "value": "SIM-0001"}]
    ]  # fmt: skip
    assert len(resources(text, "CarePlan")) == 3
    ours = {entry["fullUrl"] for entry in json.loads(text)["entry"]}
    said = {care["subject"]["reference"] for care in resources(text, "CarePlan")}
    said |= {goal["reference"] for care in resources(text, "CarePlan") for goal in care["goal"]}
    assert said <= ours


@pytest.mark.parametrize("system", ["", "  ", "hospital", "no spaces: here", "https://a b"])
def test_fhir_without_a_namespace_is_refused_with_a_remedy(system: str) -> None:
    with pytest.raises(InputError, match="--system"):
        bundle([PLAN], system, "2026-11-29")


def test_a_row_number_never_becomes_a_patient() -> None:
    nobody = replace(PLAN, id="29-1", person="")
    for make in (lambda: bundle([nobody], SYSTEM, "2026-11-29"), lambda: redcap.data([nobody])):
        with pytest.raises(InputError, match="a row number is no identifier"):
            make()


@pytest.mark.parametrize("version", ["", ".R4B"])
@pytest.mark.parametrize("status", ["", *STATUSES])
def test_the_resources_are_valid_fhir(version: str, status: str) -> None:
    """R4B is what the validator has of R4: CarePlan, Goal and Patient are alike in both."""
    import importlib

    pytest.importorskip("fhir.resources", reason="fhir.resources is not installed")
    standing = Standing(status, "2026-11-29T10:00:00+00:00", "Ada", "Bob")
    text = bundle([replace(PLAN, standing=standing)], SYSTEM, "2026-11-29", {"p1": 3})
    whole = importlib.import_module(f"fhir.resources{version}.bundle").Bundle.model_validate_json(text)
    kinds = {"CarePlan": 1, "Goal": 3, "Patient": 1}
    for entry in whole.entry:
        name = type(entry.resource).__name__
        module = importlib.import_module(f"fhir.resources{version}.{name.lower()}")
        assert isinstance(entry.resource, getattr(module, name))
        kinds[name] -= 1
    assert set(kinds.values()) == {0}


# --- REDCap -----------------------------------------------------------------------------------


def test_redcap_counts_instances_by_person_and_instrument() -> None:
    found = rows(redcap.data([PLAN, replace(PLAN, id="p2"), replace(PLAN, id="p3", person="SIM-0001")]))
    plans = [row for row in found if row["redcap_repeat_instrument"] == redcap.PLAN]
    assert [(row["record_id"], row["redcap_repeat_instance"]) for row in plans] == [
        ("SIM-0053", "1"), ("SIM-0053", "2"), ("SIM-0001", "1")
    ]  # fmt: skip
    actions = [row for row in found if row["redcap_repeat_instrument"] == redcap.ACTION]
    assert [row["redcap_repeat_instance"] for row in actions if row["record_id"] == "SIM-0053"] == list("123456")
    assert (actions[0]["scf_feature"], actions[0]["scf_change"]) == ("steps", "2400")
    assert plans[0]["scf_feature"] == ""


def test_the_dictionary_names_every_field_of_the_data_and_no_other() -> None:
    dictionary = rows(redcap.dictionary())
    names = [row["Variable / Field Name"] for row in dictionary]
    data = list(rows(redcap.data([PLAN]))[0])
    assert ["record_id", *data[3:]] == names
    assert len(set(names)) == len(names)
    for row in dictionary:
        name = row["Variable / Field Name"]
        assert name == name.lower()
        assert name.isidentifier()
        assert len(name) <= 26
        assert row["Field Type"] in ("text", "dropdown")
        assert bool(row["Choices, Calculations, OR Slider Labels"]) == (row["Field Type"] == "dropdown")


def test_every_status_has_its_code_in_the_choices() -> None:
    [choices] = [
        r["Choices, Calculations, OR Slider Labels"]
        for r in rows(redcap.dictionary())
        if "status" in r["Variable / Field Name"]
    ]
    known = dict(part.strip().split(", ", 1) for part in choices.split("|"))
    for status in STATUSES:
        row = rows(redcap.data([replace(PLAN, standing=Standing(status))]))[0]
        assert known[row["scf_status"]] == status


# --- CSV --------------------------------------------------------------------------------------


def test_a_line_per_action_with_survival_and_status() -> None:
    found = rows(plans_text([replace(PLAN, standing=Standing("active", "2026-11-29", "Ada"))]))
    assert list(found[0]) == list(HEADS)
    assert [row["feature"] for row in found] == ["steps", "sleep_total_min", "device"]
    assert (found[0]["change"], found[0]["holds"], found[0]["status"], found[0]["signed"]) == (
        "2400", "1.0", "active", "Ada"
    )  # fmt: skip


@cases(100)
@given(st.text(max_size=20))
def test_no_cell_begins_a_formula(text: str) -> None:
    shown = safe_cell(text)
    assert shown.lstrip("'") == text.lstrip("'") or shown == text
    if len(text.strip()) > 1:
        assert not shown.startswith(("=", "+", "-", "@", "%"))


def test_a_unit_of_one_sign_stays_as_it_is() -> None:
    assert safe_cell("%") == "%"
    assert safe_cell("%1") == "'%1"


# --- from the journal -------------------------------------------------------------------------


@pytest.fixture
def decided(tmp_path: Path) -> Path:
    journal = Journal(tmp_path / "log")
    journal.append("Ada", "sign off", RECORD)
    journal.append("Bob", "countersign", RECORD)
    journal.append("Ada", "active", RECORD)
    journal.add("plan", "Ada", {"person": "SIM-0001", "plan": RECORD | {"plan": "p2", "person": "SIM-0001"},
                                "bound": {}, "origin": "own"})  # fmt: skip
    return tmp_path / "log"


def test_kept_plans_stand_where_their_decisions_say(decided: Path) -> None:
    first, second = kept_plans(Journal(decided))
    assert (first.id, first.standing.status, first.standing.countersigned) == ("p1", "active", "Bob")
    assert (second.id, second.standing.status) == ("p2", "")
    assert first.sentence == "Steps 4,100 → 6,500 steps"
    assert plan_of(decided, "SIM-0053") == first
    with pytest.raises(InputError, match="has no plan for 'SIM-9999'; it has plans for SIM-0001, SIM-0053"):
        plan_of(decided, "SIM-9999")


@pytest.mark.parametrize("form", ["csv", "redcap", "fhir"])
def test_an_export_names_the_seal_of_the_journal_it_was_made_of(decided: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / form
    files = export(decided, form, out, system=SYSTEM, decided=True)
    assert all(path.read_text(encoding="utf-8") for path in files)
    assert json.loads((out / "seal.json").read_text())["journal"] == Journal(decided).seal
    with pytest.raises(InputError, match="--overwrite"):
        export(decided, form, out, system=SYSTEM, decided=True)
    export(decided, form, out, system=SYSTEM, decided=True, overwrite=True)


def test_a_journal_that_was_changed_is_not_exported(decided: Path, tmp_path: Path) -> None:
    log = decided / FILE
    log.write_bytes(log.read_bytes().replace(b"Ada", b"Eve"))
    with pytest.raises(InputError, match="was changed"):
        export(decided, "csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_plans_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a finished run nor decisions; run sensecf explain"):
        export(tmp_path, "csv", tmp_path / "out")
