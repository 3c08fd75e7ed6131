"""The record binds: whoever touches a line is found, plans stand where their decisions say, hashes tie them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sensecf
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.runs.record.bound import bind, fingerprint
from sensecf.runs.record.journal import FILE, KEY, Journal
from sensecf.runs.record.standing import STATUSES
from strategies import cases

PLAN = {"plan": "p1", "person": "SIM-0001", "changes": []}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A log of six entries of all kinds, and its key."""
    folder = tmp_path_factory.mktemp("log")
    journal = Journal(folder)
    journal.append("Ada", "sign off", PLAN)
    journal.append("Bob", "countersign", PLAN)
    journal.append("Ada", "agreed", PLAN, "said yes")
    journal.add("limits", "Ada", limits_of(Limits(lock=["steps"], hold=0.0)))
    journal.append("Ada", "active", PLAN)
    journal.append("Ada", "note", PLAN, "went well")
    return (folder / FILE).read_bytes(), (folder / KEY).read_bytes()


def limits_of(limits: Limits) -> dict[str, Any]:
    return {
        "person": "SIM-0001",
        "limits": limits.to_dict(),
        "effort": {"steps": "hard"},
        "fingerprint": fingerprint(limits),
        "note": "",
    }


def opened(folder: Path, log: bytes, key: bytes) -> Journal:
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_bytes(log)
    (folder / KEY).write_bytes(key)
    return Journal(folder)


#: Ways to touch a log without its key: each takes the lines and two numbers, and gives other lines.
TOUCHED: dict[str, Callable[[list[bytes], int, int], list[bytes]]] = {
    "delete": lambda lines, a, b: lines[:a] + lines[a + 1 :],
    "swap": lambda lines, a, b: [lines[b] if k == a else lines[a] if k == b else line for k, line in enumerate(lines)],
    "truncate": lambda lines, a, b: lines[:a],
    "double": lambda lines, a, b: lines[: a + 1] + lines[a:],
    "append another's line": lambda lines, a, b: [*lines, lines[a]],
    "empty": lambda lines, a, b: [],
}


@cases(120)
@given(way=st.sampled_from(sorted(TOUCHED)), a=st.integers(0, 5), b=st.integers(0, 5))
def test_a_line_that_is_taken_out_moved_or_added_is_found(
    kept: tuple[bytes, bytes], tmp_path_factory: pytest.TempPathFactory, way: str, a: int, b: int
) -> None:
    lines = kept[0].splitlines(keepends=True)
    touched = TOUCHED[way](lines, a, b)
    folder = tmp_path_factory.mktemp("touched")
    if touched == lines:
        assert len(opened(folder, b"".join(touched), kept[1]).entries) == 6
        return
    with pytest.raises(InputError, match="move decisions"):
        opened(folder, b"".join(touched), kept[1])


@cases(200)
@given(data=st.data())
def test_a_byte_that_is_changed_anywhere_is_found(
    kept: tuple[bytes, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(kept[0]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != kept[0][at]))
    touched = kept[0][:at] + bytes([byte]) + kept[0][at + 1 :]
    with pytest.raises(InputError):
        opened(tmp_path_factory.mktemp("touched"), touched, kept[1])


@cases(60)
@given(cut=st.integers(1, 400))
def test_a_log_cut_at_any_byte_is_found(
    kept: tuple[bytes, bytes], tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    with pytest.raises(InputError):
        opened(tmp_path_factory.mktemp("touched"), kept[0][:-cut], kept[1])


def test_what_was_added_after_the_end_without_the_key_is_found_or_cut_off_and_said(
    kept: tuple[bytes, bytes], tmp_path: Path
) -> None:
    forged = json.dumps(json.loads(kept[0].splitlines()[-1]) | {"note": "never said"}).encode() + b"\n"
    with pytest.raises(InputError, match="move decisions"):
        opened(tmp_path / "a", kept[0] + forged, kept[1])
    torn = opened(tmp_path / "b", kept[0] + forged[:-1], kept[1])
    assert len(torn.entries) == 6
    assert "cut off" in torn.notice


def test_the_seal_tells_another_log_with_its_own_key(kept: tuple[bytes, bytes], tmp_path: Path) -> None:
    whole = opened(tmp_path / "a", *kept)
    other = Journal(tmp_path / "b")
    for entry in whole.of_plan("p1"):
        other.append(entry["who"], entry["action"], entry["plan"], entry["note"])
    assert len(whole.seal) == 64
    assert other.seal != whole.seal


def test_entries_are_found_by_kind_person_and_plan(kept: tuple[bytes, bytes], tmp_path: Path) -> None:
    journal = opened(tmp_path / "a", *kept)
    newest = journal.limits("SIM-0001")
    assert newest is not None
    assert Limits.from_dict(newest["limits"]) == Limits(lock=["steps"], hold=0.0)
    assert (newest["who"], newest["effort"]) == ("Ada", {"steps": "hard"})
    assert journal.limits("SIM-0002") is None
    assert [entry["action"] for entry in journal.of_plan("p1")] == [
        "sign off",
        "countersign",
        "agreed",
        "active",
        "note",
    ]
    assert len(journal.of_kind("decision", "SIM-0001")) == 5
    assert journal.plan("p1") == PLAN
    assert journal.plan("p2") is None


def test_a_log_of_decisions_only_from_before_is_read_as_such(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal._write({"who": "Ada", "action": "sign off", "note": "", "plan": PLAN})
    assert Journal(tmp_path).of_kind("decision")[0]["who"] == "Ada"
    assert Journal(tmp_path).standing("p1").signed == "Ada"


def test_entries_need_their_kind_and_its_content(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(InputError, match="kind 'wish' is unknown"):
        journal.add("wish", "Ada", {})
    with pytest.raises(InputError, match="fingerprint is absent"):
        journal.add("limits", "Ada", {"person": "SIM-0001", "limits": {}, "effort": {}})
    with pytest.raises(InputError, match="Say who you are"):
        journal.add("limits", " ", limits_of(Limits()))
    assert not journal.path.exists()


# --- where a plan stands ----------------------------------------------------------------------


def decided(folder: Path, *actions: tuple[str, str]) -> Journal:
    journal = Journal(folder)
    for who, action in actions:
        journal.append(who, action, PLAN, "because")
    return journal


def test_a_plan_goes_from_offered_to_done(tmp_path: Path) -> None:
    journal = decided(tmp_path, ("Ada", "sign off"))
    assert journal.standing("p1").status == "offered"
    for action in ("agreed", "active", "done"):
        journal.append("Ada", action, PLAN)
        assert Journal(tmp_path).standing("p1").status == action
    assert not journal.standing("p1").open
    with pytest.raises(InputError, match="is done since"):
        journal.append("Ada", "active", PLAN)


@pytest.mark.parametrize(
    ("before", "who", "action", "said"),
    [
        ([], "Bob", "countersign", "signs the plan off first"),
        ([("Ada", "sign off")], "Ada", "countersign", "another person's"),
        ([("Ada Osei", "sign off")], " ADA  osei ", "countersign", "another person's"),
        ([("Ａda", "sign off")], "ada", "countersign", "another person's"),
        ([("Ada", "bookmark")], "Ada", "active", "signed off before it is active"),
        ([("Ada", "sign off")], "Ada", "done", "active before it is done"),
        ([("Ada", "sign off"), ("Ada", "agreed")], "Ada", "offered", "next is active or stopped"),
        ([("Ada", "sign off"), ("Ada", "stopped")], "Ada", "agreed", "is stopped since"),
        ([("Ada", "reject")], "Bob", "sign off", "is stopped since"),
    ],
)
def test_a_decision_that_cannot_follow_is_refused(
    tmp_path: Path, before: list[tuple[str, str]], who: str, action: str, said: str
) -> None:
    journal = decided(tmp_path, *before)
    with pytest.raises(InputError, match=said):
        journal.append(who, action, PLAN)
    assert len(journal.entries) == len(before)


def test_a_second_signature_is_of_another_name_and_a_new_first_one_asks_for_it_anew(tmp_path: Path) -> None:
    journal = decided(tmp_path, ("Ada", "sign off"), ("Bob", "countersign"))
    assert (journal.standing("p1").signed, journal.standing("p1").countersigned) == ("Ada", "Bob")
    journal.append("Bob", "sign off", PLAN)
    assert (journal.standing("p1").signed, journal.standing("p1").countersigned) == ("Bob", "")


def test_a_stop_needs_a_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a stop needs a reason"):
        decided(tmp_path, ("Ada", "sign off")).append("Ada", "stopped", PLAN)


@cases(100)
@given(st.lists(st.sampled_from(STATUSES), max_size=8))
def test_whatever_is_tried_a_status_never_goes_back(tmp_path_factory: pytest.TempPathFactory, tried: list[str]) -> None:
    journal = decided(tmp_path_factory.mktemp("log"), ("Ada", "sign off"))
    seen = [journal.standing("p1").status]
    for action in tried:
        try:
            journal.append("Ada", action, PLAN, "because")
        except InputError:
            continue
        seen.append(journal.standing("p1").status)
    assert [STATUSES.index(status) for status in seen] == sorted({STATUSES.index(status) for status in seen})


# --- what a plan is tied to -------------------------------------------------------------------


def test_a_plan_is_tied_to_the_same_hashes_from_the_task_and_from_its_folder(
    mixed_task: sensecf.Task, tmp_path: Path
) -> None:
    from sensecf.classifiers.storage import save_task

    save_task(mixed_task, tmp_path)
    limits = Limits(max_changes=2, hold=0.5)
    here = bind(mixed_task, limits, 0.75, 0.42)
    there = bind(sensecf.load_task(tmp_path), limits, 0.75, 0.42)
    assert here == there
    assert here.data == json.loads((tmp_path / "task.json").read_text())["data_hash"]
    assert here.to_dict()["holds_low"] == 0.42


def test_another_classifier_or_other_rows_make_other_hashes(mixed_task: sensecf.Task) -> None:
    schema = mixed_task.schema
    fewer = mixed_task.train.iloc[:-5]
    other = sensecf.Task(schema, fewer, sensecf.fit_classifier("logistic", schema, fewer, seed=1))
    one, two = bind(mixed_task, Limits()), bind(other, Limits())
    assert (one.model, one.data) != (two.model, two.data)
    assert one.schema == two.schema


@cases(60)
@given(st.permutations(["steps", "sleep", "rest"]))
def test_the_fingerprint_of_limits_knows_no_order(names: list[str]) -> None:
    ranges = dict.fromkeys(names, (1, 2.0))
    same = Limits(lock=names, ranges=ranges, directions={names[0]: "any"}, margin=0)
    plain = Limits(lock=["rest", "sleep", "steps"], ranges=dict.fromkeys(sorted(names), (1.0, 2)), margin=0.0)
    assert fingerprint(same) == fingerprint(plain)
    assert fingerprint(same, {"steps": "normal"}) == fingerprint(plain)
    assert fingerprint(same, {"steps": "hard"}) != fingerprint(plain)
    assert fingerprint(Limits(lock=names[:2])) != fingerprint(Limits(lock=names))


def test_limits_that_a_record_of_before_was_made_for_are_the_same_limits_now() -> None:
    # The hash that the release before `prefer` gave: plans in journals stay those of their limits.
    limits = Limits(lock=["steps"], hold=0.95)
    assert fingerprint(limits) == "6ad620a39582c6aae1f9cc96abb7c50572b88098bf93cf57a291b1a99acf2c16"
    assert fingerprint(replace(limits, prefer="likeness")) != fingerprint(limits)
