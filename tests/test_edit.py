"""One default on all surfaces: plans are made of what a person does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boundary import explain as ask
from command import SCHEMA, explain, people
from handmade import BASE, hand_task
from handmade import SCHEMA as HAND
from sensecf import InputError
from sensecf.core.errors import LimitsWarning
from sensecf.core.limits import make_query
from sensecf.core.query import results
from sensecf.core.rules import Total
from sensecf.core.task import Task
from sensecf.generators import Search

REMARK = (
    "The schema names no feature that a person can change, so plans change what only moves as a result; "
    'write role = "actionable" at what a person can do, or say --edit mutable.'
)
MUTABLE = SCHEMA.replace('role = "actionable"', 'role = "mutable"')


def movable(task: Task, edit: str, **person: float) -> set[str]:
    query = make_query(task, pd.DataFrame([{**BASE, **person}]), "low", edit=edit)  # type: ignore[arg-type]
    return {name for name, free in zip(task.schema.names, query.movable[0], strict=True) if free}


def follows(task: Task, **person: float) -> set[str]:
    query = make_query(task, pd.DataFrame([{**BASE, **person}]), "low", edit="actionable")
    return {name for name, led in zip(task.schema.names, query.follows[0], strict=True) if led}


def test_what_moves_as_a_result_is_held_still() -> None:
    assert results(HAND) == ["sleep"]
    assert movable(hand_task(), "actionable") == {"steps", "deep", "device"}
    assert movable(hand_task(), "mutable") == {"steps", "deep", "device", "sleep"}


def test_a_whole_follows_the_parts_that_a_person_sets_unless_one_was_not_measured() -> None:
    task = hand_task(replace(HAND, rules=(Total(("deep", "steps"), "sleep", 9999.0),)))
    assert results(task.schema) == []
    assert "sleep" in follows(task)
    assert "sleep" not in follows(task, deep=np.nan)
    assert "sleep" not in movable(task, "actionable")


def test_no_answer_names_a_result_by_default(mixed_task: Task) -> None:
    stressed = mixed_task.train[mixed_task.train["stress"] == "high"].head(40)
    edited = {
        e: set(ask(mixed_task, Search(mixed_task), stressed, edit=e).changes()["feature"])
        for e in ("actionable", "mutable")
    }  # type: ignore[arg-type]
    assert edited["actionable"]
    assert not edited["actionable"] & {"pulse_min", "pulse_mean"}
    assert (
        ask(mixed_task, Search(mixed_task), stressed)
        .changes()
        .equals(ask(mixed_task, Search(mixed_task), stressed, edit="actionable").changes())
    )


def test_the_reason_says_that_a_feature_only_moves_as_a_result() -> None:
    task = hand_task(
        replace(HAND, features=tuple(replace(f, role="mutable") if f.name != "device" else f for f in HAND.features))
    )
    (reason,) = ask(task, Search(task), pd.DataFrame([BASE])).abstentions["reason"]
    assert reason == (
        "what a person can do is not enough: deep would have to change too, and it only moves as a result"
    )


def test_the_reason_says_what_could_not_be_asked_because_it_was_not_measured() -> None:
    task = hand_task(
        replace(HAND, features=tuple(replace(f, role="mutable") if f.name == "deep" else f for f in HAND.features))
    )
    row = pd.DataFrame([{**BASE, "steps": np.nan}])
    (some,) = ask(task, Search(task), row).abstentions["reason"]
    (every,) = ask(task, Search(task), row, lock=["device"]).abstentions["reason"]
    assert some == (
        "what a person can do without steps, which was not measured, is not enough: deep would have to change too, and "
        "it only moves as a result"
    )
    assert every == "nothing that a person does was measured (steps), and no answer changes what was not"


def test_without_an_action_there_is_one_warning_and_the_same_answers_as_asked_for() -> None:
    task = hand_task(replace(HAND, features=tuple(replace(f, role="mutable") for f in HAND.features)))
    with pytest.warns(LimitsWarning, match="names no feature that a person can change") as caught:
        found = ask(task, Search(task), pd.DataFrame([BASE]))
    assert len(caught) == 1
    assert found.changes().equals(ask(task, Search(task), pd.DataFrame([BASE]), edit="mutable").changes())
    assert len(found.answers)


@pytest.mark.parametrize("edit", ["actionable", "everything"])
def test_nothing_to_edit_is_an_input_error_that_names_the_way_out(edit: str) -> None:
    schema = replace(HAND, features=tuple(replace(f, role="mutable") for f in HAND.features))
    with pytest.raises(InputError, match="--edit mutable" if edit == "actionable" else "edit 'everything' is unknown"):
        ask(hand_task(schema), Search(hand_task(schema)), pd.DataFrame([BASE]), edit=edit)  # type: ignore[arg-type]


def test_without_an_action_in_the_schema_results_are_changed_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    people().to_csv("table.csv", index=False)
    Path("schema.toml").write_text(MUTABLE, encoding="utf-8")
    ended = explain(Path("table.csv"), Path("schema.toml"), Path("out"), "--edit", "actionable")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert 'role = "actionable"' in ended.err
    assert not Path("out").exists()
    ended = explain(Path("table.csv"), Path("schema.toml"), Path("out"))
    assert ended.status == 0
    assert [line for line in ended.err.splitlines() if 'role = "actionable"' in line] == [f"sensecf: {REMARK}"]
    facts = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    assert (facts["edit"], facts["notice"]) == ("mutable", REMARK)
    assert "names no feature that a person can change" in Path("out/report.html").read_text(encoding="utf-8")
    ended = explain(Path("table.csv"), Path("schema.toml"), Path("out2"), "--edit", "mutable")
    assert (ended.status, "actionable" in ended.err) == (0, False)
