"""`sensecf answer`: people who come later are asked about a finished run, part by part, and nothing is fitted anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import boundary
import sensecf
import sensecf.runs.apply
from command import CLASS, SCHEMA, as_text, call, explain, judge, people, refused
from sensecf.core.errors import InputError
from sensecf.data.tables import read_parts
from sensecf.runs.apply import Layout, answer
from sensecf.runs.finished import open_run


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache that the tests share: a classifier that was written here is not looked into at each opening."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENSECF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def run(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that keeps the device and asks for two answers; not to be changed."""
    home = tmp_path_factory.mktemp("run")
    people().to_csv(home / "table.csv", index=False)
    (home / "schema.toml").write_text(SCHEMA, encoding="utf-8")
    ended = explain(home / "table.csv", home / "schema.toml", home / "out", "-n", "2", "--lock", "device")
    assert ended.status == 0, ended.err
    return home / "out"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with people who come later, one of them out of range."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    later = people(90, seed=5).drop(columns="stress")
    later.loc[40, "steps"] = 99_000
    later.to_csv("later.csv", index=False)
    later.to_parquet("later.parquet", row_group_size=7)


def table_of(folder: Path) -> pd.DataFrame:
    """The answers but for what the clock says."""
    return as_text(folder / "counterfactuals.csv").drop(columns="seconds")


def test_later_people_get_the_answers_that_the_run_would_have_given(run: Path) -> None:
    ended = call("answer", run, "later.csv", "--out", "out")
    assert ended.status == 0, ended.err
    finished = open_run(run)
    later = pd.read_csv("later.csv")
    asked = {"n": 2, "lock": ["device"], "fallback": finished.fallback, "strict": False}
    expected = boundary.explain(finished.task, finished.generator, later, "low", **asked)
    expected.frame.to_csv("expected.csv", index=False)
    pd.testing.assert_frame_equal(table_of(Path("out")), as_text(Path("expected.csv")).drop(columns="seconds"))
    facts = json.loads(Path("out/run.json").read_text())
    assert facts["rows"] == 90
    assert facts["abstentions"] == len(expected.abstentions)
    assert facts["rows_in_target"] == int((expected.answers["n_changed"] == 0).sum())
    assert f"{facts['rows_answered'] - facts['rows_in_target']} of {90 - facts['rows_in_target']}" in ended.out


def test_every_answer_is_what_the_classifier_the_schema_and_the_locks_say(run: Path) -> None:
    assert call("answer", run, "later.csv", "--out", "out", "--max-changes", "1").status == 0
    shutil.copytree(run / "task", "out/task")
    shutil.copy(run / "schema.toml", "out")
    later = pd.read_csv("later.csv").rename_axis("query").assign(predicted="", probability=0.0)
    later.to_csv("out/factuals.csv")
    assert len(judge(Path("out"), lock=["device"], max_changes=1)) > 20


def test_what_is_asked_replaces_what_the_run_was_asked(run: Path) -> None:
    wishes = ("--target", "high", "-n", "1", "--lock", "", "--max-changes", "2")
    assert call("answer", run, "later.csv", "--out", "out", *wishes).status == 0
    found = pd.read_csv("out/counterfactuals.csv")
    answers = found[found["rank"].notna()]
    assert set(answers["target"]) == {"high"}
    assert answers["rank"].max() == 1
    assert (answers["n_changed"] <= 2).all()
    facts = json.loads(Path("out/run.json").read_text())
    assert facts["lock"] == []


def test_a_row_outside_the_ranges_is_given_its_reason_under_its_number_in_the_table(run: Path) -> None:
    assert call("answer", run, "later.parquet", "--out", "out", "--format", "csv").status == 0
    row = table_of(Path("out")).set_index("query").loc["40"]
    assert "row 40, column 'steps': 99,000 steps lies outside" in row["reason"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_parts_are_put_together_in_the_order_of_the_table(run: Path, form: str) -> None:
    later = pd.read_csv("later.csv")
    later.loc[60:, "deep_sleep_min"] = np.nan  # a part whose column is blank
    later.to_csv("later.csv", index=False)
    finished = open_run(run)
    for part in (25, 1000):
        answer(finished, "later.csv", f"out{part}", layout=Layout(form, part))
    if form == "parquet":
        file = pq.ParquetFile("out25/counterfactuals.parquet")
        assert file.num_row_groups == 4
        assert file.schema_arrow.types == pq.read_schema("out1000/counterfactuals.parquet").types
        found = file.read().to_pandas()
    else:
        found = pd.read_csv("out25/counterfactuals.csv")
    assert found["query"].is_monotonic_increasing
    assert sorted(found["query"].unique()) == list(range(90))
    assert found.loc[found["rank"].isna(), "reason"].str.len().gt(0).all()
    at_once = (
        pd.read_csv("out1000/counterfactuals.csv")
        if form == "csv"
        else pd.read_parquet("out1000/counterfactuals.parquet")
    )
    assert sorted(at_once["query"].unique()) == list(range(90))


def test_a_table_is_read_in_parts_whatever_its_row_groups() -> None:
    for table in ("later.csv", "later.parquet"):
        parts = list(read_parts(Path(table), 20))
        assert max(map(len, parts)) <= 20
        assert [len(part) for part in parts].count(20) >= 3
        pd.testing.assert_frame_equal(pd.concat(parts), pd.read_csv("later.csv"))


def test_an_interrupted_call_goes_on_after_the_parts_that_are_done(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished = open_run(run)
    answer(finished, "later.csv", "whole", layout=Layout(part=30))
    asked: list[int] = []
    stopped = False
    work = sensecf.runs.apply.explain

    def stopping(task: Any, generator: Any, frame: pd.DataFrame, *args: Any, **options: Any) -> Any:
        nonlocal stopped
        if len(asked) == 1 and not stopped:
            stopped = True
            raise KeyboardInterrupt
        asked.append(int(frame.index[0]))
        return work(task, generator, frame, *args, **options)

    monkeypatch.setattr(sensecf.runs.apply, "explain", stopping)
    with pytest.raises(KeyboardInterrupt):
        answer(finished, "later.csv", "out", layout=Layout(part=30))
    assert not Path("out/counterfactuals.csv").exists()
    answer(finished, "later.csv", "out", layout=Layout(part=30))
    assert asked == [0, 30, 60]
    pd.testing.assert_frame_equal(table_of(Path("out")), table_of(Path("whole")))
    assert sorted(p.name for p in Path("out").rglob("*")) == ["counterfactuals.csv", "run.json"]


def test_a_value_that_cannot_be_read_is_said_before_anything_is_answered(run: Path) -> None:
    later = pd.read_csv("later.csv")
    later.loc[88, "device"] = "sundial"
    later.to_csv("later.csv", index=False)
    ended = call("answer", run, "later.csv", "--out", "out")
    refused(ended, "column 'device', row 88: 'sundial' is no level of the feature")


def test_what_cannot_answer_is_refused(run: Path, tmp_path: Path) -> None:
    refused(call("answer", tmp_path, "later.csv", "--out", "out"), "no finished run", "run sensecf explain first")
    refused(call("answer", run, "absent.parquet", "--out", "out"), "absent.parquet does not exist")
    refused(call("answer", run, "later.csv", "--out", "out", "--lock", "shoe"), "'shoe'")
    refused(call("answer", run, "later.csv", "--out", "out", "--target", "calm"), "'calm'")
    ended = call("answer", run, "later.csv", "--out", run)
    assert ended.status == 2
    assert "name another folder" in ended.err
    for name, says in (("prompted", "from a language model"), ("mine:Own", "is the code mine:Own")):
        shutil.copytree(run, name)
        facts = json.loads(Path(name, "run.json").read_text())
        Path(name, "run.json").write_text(json.dumps(facts | {"generator": name}))
        refused(call("answer", name, "later.csv", "--out", "out"), says, f"sensecf explain --generator {name}")


def test_a_classifier_of_the_users_own_is_named_by_the_user_and_not_by_the_folder() -> None:
    people().to_csv("table.csv", index=False)
    Path("schema.toml").write_text(SCHEMA, encoding="utf-8")
    Path("own_answers.py").write_text(CLASS, encoding="utf-8")
    options = ("--classifier", "own_answers:own", "--generator", "search")
    assert explain(Path("table.csv"), Path("schema.toml"), Path("own"), *options).status == 0
    refused(call("answer", "own", "later.csv", "--out", "out"), "own_answers:own")
    assert call("answer", "own", "later.csv", "--out", "out", "--classifier", "own_answers:own").status == 0


def test_the_embedded_model_of_a_run_is_not_trained_again(
    mixed_task: Any, tmp_path: Path, thimble: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sensecf.generators.tiny.tiny import Tiny
    from sensecf.runs.run import RunSpec

    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    rows = mixed_task.train
    rows.to_csv("mixed.csv", index=False)
    mixed_task.schema.to_toml("mixed.toml")
    ended = call("explain", "mixed.csv", "--schema", "mixed.toml", "--out", "trained", "--generator", "tiny",
                 "--classifier", "logistic",
                 "--limit", "3", "--target", mixed_task.classes[0])  # fmt: skip
    assert ended.status == 0, ended.err
    shutil.rmtree(tmp_path / "cache")
    phases: list[str] = []
    finished = open_run(Path("trained"), progress=lambda phase, share: phases.append(phase))
    assert isinstance(finished.generator, Tiny)
    assert set(phases) == {"opening"}
    rows.drop(columns=mixed_task.schema.label).head(5).to_csv("few.csv", index=False)
    assert (
        answer(finished, "few.csv", "out", RunSpec(target=mixed_task.classes[0], limits=boundary.BOUNDARY))["rows"] == 5
    )


def test_an_unknown_format_is_an_input_error(run: Path) -> None:
    with pytest.raises(InputError, match="format 'xlsx' is unknown; use csv or parquet"):
        answer(open_run(run), "later.csv", "out", layout=Layout("xlsx"))
