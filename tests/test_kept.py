"""What comes back from disk: read by its content, never trusted by its name."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensecf import InputError, read_table
from sensecf.core.folder import named
from sensecf.core.kept import (
    Amount,
    Count,
    append,
    check_type,
    is_whole,
    parse,
    read_arrays,
    read_bytes,
    read_sealed,
    read_toml,
    with_hash,
    write_arrays,
    write_sealed,
)
from sensecf.core.room import check_numbers, check_room
from sensecf.core.rules import Condition, Implication, Linear, Order, Total
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.runs.finished import request_of
from sensecf.runs.record.journal import FILE, KEY, Journal
from strategies import cases


class Form(TypedDict):
    name: str
    n: Count
    share: Amount | None
    lock: tuple[str, ...]
    pair: tuple[Count, Count]


RIGHT = {"name": "a", "n": 1, "share": 0.5, "lock": ["b"], "pair": [1, 2]}


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", 5), ("name", None), ("n", -1), ("n", True), ("n", 1.5), ("n", "1"), ("n", 10**400),
     ("lock", "b"), ("share", float("nan")), ("share", -0.1), ("share", float("inf")), ("share", []),
     ("lock", [1]), ("lock", {"b": 1}), ("pair", [1]), ("pair", [1, 2, 3]), ("pair", [1, "2"])],
)  # fmt: skip
def test_an_entry_of_the_wrong_type_is_named(key: str, value: Any) -> None:
    check_type(RIGHT, Form, "run.json")
    with pytest.raises(InputError, match=f"^run.json: {key}"):
        check_type(RIGHT | {key: value}, Form, "run.json")


@pytest.mark.parametrize("name", ["n", "lock", "seed", "generator", "classifier", "margin", "plausibility", "target"])
@pytest.mark.parametrize("value", [{}, [[]], float("nan")])
def test_a_run_record_of_the_wrong_type_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"run.json: {name}"):
        request_of({"target": "low", name: value})


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(InputError, match="no regular file"):
            read_bytes(path)
    for read in (read_table, FeatureSchema.from_toml):
        os.mkfifo(tmp_path / f"{read.__name__}.csv")
        with pytest.raises(InputError, match="is a named pipe"):
            read(tmp_path / f"{read.__name__}.csv")
    (tmp_path / "long").write_bytes(b"12345")
    with pytest.raises(InputError, match="5 bytes, at most 4"):
        read_bytes(tmp_path / "long", limit=4)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "NaN", "[Infinity]", "", "{", b"\xff", "9" * 5000])
def test_json_that_cannot_be_used_is_one_line(text: str | bytes) -> None:
    with pytest.raises(InputError, match="not valid JSON"):
        parse(text, "f")


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 20_000 + "]" * 20_000, "a = " + "{a = " * 5000 + "1" + "}" * 5000, ".".join("a" * 100_000) + " = 1",
     "[" + ".".join("a" * 100_000) + "]", "[[" + " . ".join("a" * 100_000) + "]]"],
)  # fmt: skip
def test_toml_nested_without_end_is_refused_at_once(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(InputError, match="nested deeper"):
        read_toml(tmp_path / "s.toml")


def test_brackets_and_dots_in_texts_are_no_nesting(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(f"a = '{'[' * 99}' # {'{' * 99}\nb = \"{'a.' * 99}\"\n")
    assert read_toml(tmp_path / "s.toml")["a"] == "[" * 99


@cases(60)
@example(content=b"", at=81, byte=0, cut=True)  # nothing but the end of the line is lost
@given(content=st.binary(max_size=200), at=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
def test_sealed_work_is_read_back_whole_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, at: int, byte: int, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("sealed") / "batch-000000.npz"
    write_sealed(path, content, "question")
    assert read_sealed(path, "question") == content
    assert read_sealed(path, "another question") is None
    whole = path.read_bytes()
    at %= len(whole)
    damaged = whole[:at] if cut else whole[:at] + bytes([byte]) + whole[at + 1 :]
    path.write_bytes(damaged)
    assert (read_sealed(path, "question") == content) == (damaged == whole)
    path.write_bytes(whole)
    other = path.rename(path.with_name("batch-000001.npz"))
    assert read_sealed(other, "question") is None


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", {"numbers": [1.5, 2], "one": 3, "words": ["a", ""]})
    found = read_arrays(tmp_path / "a.npz")
    assert found is not None
    assert (found["numbers"].tolist(), found["one"], found["words"].tolist()) == ([1.5, 2], 3, ["a", ""])
    write_sealed(tmp_path / "a.npz", b"no archive")
    assert read_arrays(tmp_path / "a.npz") is None


def test_a_record_with_its_hash_shows_a_changed_entry() -> None:
    record = with_hash({"scores": {"svm": 0.5}, "rows": 3})
    assert is_whole(json.loads(json.dumps(record)))
    assert not is_whole(record | {"rows": 4})
    assert not is_whole({"rows": 4})


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "batch.npz").mkdir()
    with pytest.raises(InputError, match=r"batch\.npz is a folder where a file is to be written"):
        write_arrays(tmp_path / "batch.npz", {"a": np.arange(3)}, "mark")
    assert [path.name for path in tmp_path.iterdir()] == ["batch.npz"]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "log", os.write
    path.write_bytes(b"one\n")
    file = os.open(path, os.O_RDWR | os.O_APPEND)
    monkeypatch.setattr(os, "write", lambda fd, content: write(fd, content[:2]))
    with pytest.raises(OSError, match="full"):
        append(file, b"two\n")
    os.close(file)
    assert path.read_bytes() == b"one\n"


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("", "empty"),
        (" ", "empty"),
        ("a" * 300, "at most"),
        ("x/" + "é" * 200, "at most"),
        ("/", "root"),
        ("/tmp/..", "root"),
        ("~", "home"),
        ("~/plans", "home"),
    ],
)
def test_what_to_write_needs_a_name_that_a_disk_takes(out: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        named(out)
    assert named(".") == Path()


# --- the log of decisions -------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path)
    for number in range(3):
        journal.append("Ada", "reject", {"plan": str(number)}, "no")
    return journal


def chained(lines: list[bytes], **change: str) -> bytes:
    """A log chained anew by somebody who knows how, but has no key."""
    import hashlib

    last, out = "", []
    for line in lines:
        out.append(json.dumps(json.loads(line) | change | {"previous": last}).encode())
        last = hashlib.sha256(out[-1]).hexdigest()
    return b"\n".join(out) + b"\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b"".join(b.splitlines(True)[:2]) + b.splitlines(True)[2].replace(b'"reject"', b'"sign off"'),
        lambda b: b"".join(b.splitlines(True)[:2]),
        lambda b: b"",
        lambda b: b[:-1],
        lambda b: b + b.splitlines(True)[2],
        lambda b: chained(b.splitlines(), action="sign off"),
        lambda b: b + b"null\n",
        lambda b: b"[" * 100_000 + b"\n",
    ],
    ids=["last edited", "last removed", "emptied", "cut", "doubled", "chained anew", "null", "deep"],
)
def test_a_log_that_was_changed_is_refused(log: Journal, change: Any) -> None:
    log.path.write_bytes(change(log.path.read_bytes()))
    with pytest.raises(InputError, match="move decisions"):
        Journal(log.path.parent)


@pytest.mark.parametrize("name", [FILE, KEY])
def test_a_log_of_which_one_file_is_gone_is_refused(log: Journal, name: str) -> None:
    (log.path.parent / name).unlink()
    with pytest.raises(InputError, match="move decisions"):
        Journal(log.path.parent)


def test_the_key_is_for_its_owner_only(log: Journal) -> None:
    assert (log.path.parent / KEY).stat().st_mode & 0o777 == 0o600


def test_a_torn_line_is_cut_off_and_said(log: Journal) -> None:
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + b'{"time": "20')
    again = Journal(log.path.parent)
    assert again.entries == log.entries
    assert "was cut off" in again.notice
    assert log.path.read_bytes() == whole
    assert not Journal(log.path.parent).notice


@pytest.mark.parametrize("where", ["line", "head"])
def test_what_the_disk_refuses_is_not_kept_and_the_log_opens_again(
    log: Journal, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    before = log.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("os.write" if where == "line" else "sensecf.runs.record.journal.replacing", full)
        with pytest.raises(InputError, match="nothing was kept"):
            log.append("Ada", "note", {"plan": "0"}, "x")
    assert log.path.read_bytes() == before
    assert len(Journal(log.path.parent).entries) == 3
    log.append("Ada", "note", {"plan": "0"}, "y")
    assert [entry["note"] for entry in Journal(log.path.parent).entries] == ["no", "no", "no", "y"]


def test_a_line_that_was_written_and_not_counted_is_kept(log: Journal) -> None:
    head = (log.path.parent / KEY).read_bytes()
    log.append("Ada", "bookmark", {"plan": "9"})
    (log.path.parent / KEY).write_bytes(head)  # killed between the two
    assert len(Journal(log.path.parent).entries) == 4
    assert len(Journal(log.path.parent).entries) == 4


# --- a schema that leaves room --------------------------------------------------------------

A, B = (Feature(name, "integer", low=0, high=1000, step=1) for name in "ab")
LEVEL = Feature("level", "categorical", levels=("x", "y"))


def schema_with(*rules: Any, features: tuple[Feature, ...] = (A, B, LEVEL)) -> FeatureSchema:
    return FeatureSchema(features=features, label="y", classes=("p", "q"), rules=rules)


def when(feature: str, op: Any, value: Any, then: tuple[str, Any, Any]) -> Implication:
    return Implication(Condition(feature, op, value), Condition(*then))


@pytest.mark.parametrize(
    ("rules", "named_rules"),
    [
        ([Linear({"a": 1}, "<=", 100), Linear({"a": 1}, ">=", 200)], ["a <= 100", "a >= 200"]),
        ([Order(("a", "b")), Order(("b", "a"))], ["a <= b", "b <= a"]),
        ([Total(("a", "b"), 5000)], [r"a \+ b = 5000"]),
        ([Total(("a", "b"), 300), Linear({"a": 1, "b": 1}, ">=", 400)], [r"a \+ b = 300", r"1 a \+ 1 b >= 400"]),
        ([Order(("a", "b")), Linear({"b": 1}, "<=", 10), Linear({"a": 1}, ">=", 20)], ["a <= b", "b <= 10", "a >= 20"]),
        (
            [when("level", "==", "x", ("a", "<=", 10)), when("level", "!=", "x", ("a", "<", 9)),
             Linear({"a": 1}, ">=", 20)],
            ["level == x", "level != x", "a >= 20"],
        ),
        ([Linear({"a": 1}, ">=", 100.2), Linear({"a": 1}, "<=", 100.8)], ["a >= 100.2", "a <= 100.8"]),
        ([Linear({"a": 2, "b": 2}, "==", 101)], ["2 a \\+ 2 b == 101"]),
        (
            [when("a", ">=", 0, ("level", "==", "x")), when("a", "<=", 1000, ("level", "==", "y"))],
            ["a >= 0", "a <= 1000"],
        ),
    ],
)  # fmt: skip
def test_rules_that_no_row_can_obey_are_refused_and_named_without_those_that_could_stay(
    rules: list[Any], named_rules: list[str]
) -> None:
    harmless = Linear({"a": 1, "b": -1}, "<=", 2000)
    with pytest.raises(InputError) as caught:
        check_room(schema_with(harmless, *rules))
    for rule in named_rules:
        assert re.search(rule, str(caught.value)), str(caught.value)
    assert "2000" not in str(caught.value)


@pytest.mark.parametrize(
    "rules",
    [
        [Linear({"a": 1}, "<=", 100), Linear({"a": 1}, ">=", 100)],
        [Order(("a", "b")), Linear({"b": 1}, "<=", 0)],
        [when("level", "==", "x", ("a", "<=", 10)), Linear({"a": 1}, ">=", 20)],
        [when("a", ">", 5, ("b", "<", 3))] * 12,
        [],
    ],
)
def test_rules_that_leave_one_row_are_taken(rules: list[Any]) -> None:
    check_room(schema_with(*rules))


@cases(40)
@given(
    point=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
    weights=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 50)), max_size=5),
)
def test_rules_that_a_row_obeys_are_never_refused(point: tuple[int, int], weights: list[tuple[int, int, int]]) -> None:
    rules = [Linear({"a": p, "b": q}, "<=", p * point[0] + q * point[1] + slack) for p, q, slack in weights if p and q]
    check_room(schema_with(*rules))


def test_nan_is_neither_a_bound_nor_a_level() -> None:
    with pytest.raises(InputError, match="not a number"):
        schema_with(Linear({"a": 1}, "<=", float("nan")))
    with pytest.raises(InputError, match="no level"):
        check_numbers(schema_with(features=(A, Feature("f", "categorical", levels=(1.0, float("nan"))))))
