"""The folder of a run: what is in it, what it replaces, and what an interrupt leaves of it."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sensecf
import sensecf.runs.run
from command import (
    CLASS,
    PROBA,
    QUICK,
    SCHEMA,
    SCRIPT,
    as_text,
    call,
    explain,
    judge,
    outcome,
    people,
    refused,
)
from sensecf.core.schema import FeatureSchema

TABLE = Path("table.csv")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with a table and its schema; modules imported from it do not outlive the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    people().to_csv("table.csv", index=False)
    Path("schema.toml").write_text(SCHEMA, encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on the table and the schema of every test; copy it before changing it."""
    home = tmp_path_factory.mktemp("finished")
    people().to_csv(home / "table.csv", index=False)
    (home / "schema.toml").write_text(SCHEMA, encoding="utf-8")
    assert explain(home / "table.csv", home / "schema.toml", home / "out").status == 0
    return home / "out"


# --- what is in it ----------------------------------------------------------------------------

OPTIONS = ("--generator", "search", "-n", "3", "--max-changes", "2", "--lock", "device", "--seed", "4")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with several answers per person, with blanks, and with abstentions; not to be changed."""
    home = tmp_path_factory.mktemp("run")
    frame = people(150)
    frame["deep_sleep_min"] = frame["deep_sleep_min"].where(frame.index % 12 > 0)
    frame.to_csv(home / "table.csv", index=False)
    (home / "schema.toml").write_text(SCHEMA.replace("low = 1000", "low = 2500"), encoding="utf-8")
    ended = explain(home / "table.csv", home / "schema.toml", home / "out", *OPTIONS)
    assert ended.status == 0, ended.err
    return home / "out"


def test_the_folder_holds_the_files_of_the_contract_and_no_others(run: Path) -> None:
    found = sorted(contents(run))
    pictures = [name for name in found if name.startswith("figures/")]
    assert len(pictures) >= 4
    assert {name.rpartition(".")[2] for name in pictures} == {"svg", "pdf"}
    assert [name for name in found if name not in pictures] == [
        "counterfactuals.csv",
        "factuals.csv",
        "metrics.json",
        "report.html",
        "run.json",
        "schema.toml",
        "task/classifier.skops",
        "task/schema.toml",
        "task/task.json",
        "task/train.csv",
    ]


def test_counterfactuals_have_the_columns_of_the_contract_in_order(run: Path) -> None:
    header = (run / "counterfactuals.csv").read_text().splitlines()[0]
    assert header == (
        "query,rank,generator,target,predicted,probability,valid,feasible,plausible,n_changed,proximity,seconds,reason,"
        "actions,holds,holds_low,lands,expected_valid,cautious_valid,consequences,person,when,plan_id,turns,of,steps,deep_sleep_min,age,device"
    )
    assert (run / "factuals.csv").read_text().splitlines()[0] == (
        "query,steps,deep_sleep_min,age,device,predicted,probability"
    )


def test_every_answer_is_what_the_classifier_the_schema_and_the_locks_say(run: Path) -> None:
    answers = judge(run, lock=["device"], max_changes=2)
    task = sensecf.load_task(run)
    proba = task.classifier.predict_proba(answers[task.schema.names])[:, task.classes.index("low")]
    np.testing.assert_allclose(answers["probability"], proba, atol=1e-6)
    assert (answers["predicted"] == "low").all()
    assert (answers["target"] == "low").all()
    assert (answers["proximity"] > 0).all()
    assert (answers["seconds"] >= 0).all()
    for _, menu in answers.groupby("query"):
        assert menu["rank"].tolist() == list(range(1, len(menu) + 1))
        assert len(menu) <= 3
        assert not menu.duplicated(task.schema.names).any()
    assert (answers.groupby("query").size() == 3).any()


def test_abstentions_are_blank_but_for_the_reason(run: Path) -> None:
    texts = as_text(run / "counterfactuals.csv")
    abstained = texts[texts["rank"].isna()]
    assert len(abstained)
    assert abstained["reason"].str.contains("lies outside the schema's range 2,500 to 15,000").any()
    blank = ["rank", "predicted", "probability", "n_changed", "proximity", "steps", "deep_sleep_min", "age", "device"]
    assert abstained[blank].isna().all(axis=None)
    assert (abstained[["valid", "feasible", "plausible"]] == "False").all(axis=None)
    assert abstained[["query", "generator", "target", "seconds", "reason"]].notna().all(axis=None)


def test_factuals_are_the_rows_of_the_table_as_the_classifier_sees_them(run: Path) -> None:
    table = pd.read_csv(run.parent / "table.csv")
    facts = pd.read_csv(run / "factuals.csv").set_index("query")
    task = sensecf.load_task(run)
    pd.testing.assert_frame_equal(
        facts[task.schema.names], table.loc[facts.index, task.schema.names], check_names=False
    )
    assert (facts["predicted"] == "high").all()
    assert facts["predicted"].tolist() == task.classifier.predict(facts[task.schema.names]).tolist()
    proba = task.classifier.predict_proba(facts[task.schema.names])[:, task.classes.index("low")]
    np.testing.assert_allclose(facts["probability"], proba, atol=1e-6)


def test_metrics_have_value_interval_number_and_whether_they_are_defined(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    table = pd.read_csv(run / "counterfactuals.csv")
    asked, answered = table["query"].nunique(), table.loc[table["rank"].notna(), "query"].nunique()
    for name in ("validity", "coverage"):
        assert metrics[name]["value"] == pytest.approx(answered / asked)
        assert metrics[name]["n"] == asked
        assert metrics[name]["low"] < metrics[name]["value"] < metrics[name]["high"]
    assert metrics["feasible"]["value"] == 1.0
    for name, metric in metrics.items():
        assert {"value", "low", "high", "n", "defined"} <= set(metric), name
        assert (metric["value"] is not None) == metric["defined"], name
        assert metric["defined"] == (metric["n"] > 0), name


def test_run_json_says_how_it_came_about(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    assert {"python", "sensecf", "numpy", "pandas", "scikit-learn"} <= set(facts["versions"])
    assert facts["versions"]["sensecf"] == sensecf.__version__
    assert (facts["seed"], facts["target"], facts["generator"]) == (4, "low", "search")
    given = facts["arguments"]
    assert (given["lock"], given["max_changes"], given["seed"]) == ("device", 2, 4)
    assert given["table"].endswith("table.csv")
    assert re.fullmatch("[0-9a-f]{64}", facts["data"])
    assert facts["schema"] == hashlib.sha256((run / "schema.toml").read_bytes()).hexdigest()
    assert facts["queries_asked"] == len(pd.read_csv(run / "factuals.csv"))
    assert facts["train_rows"] == len(pd.read_csv(run / "task" / "train.csv"))
    assert facts["classifier_rows"]["answers"] > facts["queries_asked"]
    assert facts["seconds"]["fit"] > 0
    assert facts["seconds"]["answers"] > 0
    assert {"generator", "verdict", "count"} == set(facts["attempts"][0])


def test_the_schema_reads_back_as_it_was_given(run: Path) -> None:
    assert FeatureSchema.from_toml(run / "schema.toml") == FeatureSchema.from_toml(run.parent / "schema.toml")


def test_the_report_needs_nothing_but_itself(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.lstrip().startswith("<!doctype html>")
    assert not re.search(r"<script|<iframe|@import|url\(\s*['\"]?(?!#|data:)", page)
    sources = re.findall(r"(?:src|href)\s*=\s*['\"]([^'\"]*)", page)
    assert all(source.startswith(("#", "data:")) for source in sources), sources


def test_the_task_is_loaded_without_pickle(run: Path) -> None:
    kinds = {Path(name).suffix for name in contents(run)}
    assert kinds == {".csv", ".json", ".toml", ".html", ".skops", ".svg", ".pdf"}
    assert not [name for name in zipfile.ZipFile(run / "task" / "classifier.skops").namelist() if "pkl" in name]
    for folder in (run, run / "task"):
        assert sensecf.load_task(folder).schema.names == ["steps", "deep_sleep_min", "age", "device"]


def test_the_queries_are_no_training_rows(run: Path) -> None:
    asked = pd.read_csv(run / "factuals.csv")[["steps", "age"]]
    trained = sensecf.load_task(run).train[["steps", "age"]]
    assert asked.merge(trained).empty


# --- the same again ---------------------------------------------------------------------------


def without_seconds(folder: Path) -> str:
    """The answers as text, but for how long they took."""
    return as_text(folder / "counterfactuals.csv").drop(columns="seconds").to_csv(index=False)


def test_the_same_command_gives_the_same_bytes_but_for_seconds(run: Path) -> None:
    again = Path("again")
    assert explain(run.parent / "table.csv", run.parent / "schema.toml", again, *OPTIONS).status == 0
    assert without_seconds(again) == without_seconds(run)
    for name in ("factuals.csv", "schema.toml", "task/train.csv"):
        assert (again / name).read_bytes() == (run / name).read_bytes(), name
    first, second = (json.loads((folder / "metrics.json").read_text()) for folder in (run, again))
    del first["seconds"], second["seconds"]
    assert first == second


def test_the_order_of_the_queries_changes_no_answer() -> None:
    asked = people(40, seed=9).drop(columns="stress")
    asked.loc[3] = asked.loc[11]  # the same person twice
    asked = asked.assign(key=range(len(asked)))
    answers = []
    for number, order in enumerate((np.arange(40), np.arange(40)[::-1], np.random.default_rng(0).permutation(40))):
        asked.iloc[order].to_csv("queries.csv", index=False)
        out = Path(f"out{number}")
        options = ("--queries", "queries.csv", "--generator", "search", "-n", "2")
        assert explain(TABLE, Path("schema.toml"), out, *options).status == 0
        table = as_text(out / "counterfactuals.csv").drop(columns="seconds")
        table["query"] = order[table["query"].astype(int)]
        answers.append(table.sort_values(["query", "rank"]).reset_index(drop=True))
    pd.testing.assert_frame_equal(answers[0], answers[1])
    pd.testing.assert_frame_equal(answers[0], answers[2])
    twins = [answers[0][answers[0]["query"] == query].drop(columns="query").to_csv(index=False) for query in (3, 11)]
    assert twins[0] == twins[1]


def test_held_out_rows_reach_no_fit(run: Path) -> None:
    """Poison in the held-out rows moves neither the classifier nor the answers to the other rows."""
    frame = pd.read_csv(run.parent / "table.csv")
    task, facts = sensecf.load_task(run), pd.read_csv(run / "factuals.csv").set_index("query")
    poisoned = facts.index[::3]
    frame.loc[poisoned, "steps"], frame.loc[poisoned, "deep_sleep_min"] = 2_500, 5.0
    frame.to_csv("table.csv", index=False)
    for name, table in (("clean", run.parent / "table.csv"), ("poisoned", TABLE)):
        assert explain(table, run.parent / "schema.toml", Path(name), "--seed", "4").status == 0
    np.testing.assert_array_equal(task.rows, sensecf.load_task("poisoned").rows)
    clean, other = (as_text(Path(n) / "counterfactuals.csv").drop(columns="seconds") for n in ("clean", "poisoned"))
    spared = ~clean["query"].astype(int).isin(poisoned)
    assert spared.sum() > 10
    pd.testing.assert_frame_equal(
        clean[spared].reset_index(drop=True),
        other[other["query"].isin(clean.loc[spared, "query"])].reset_index(drop=True),
    )


def test_with_queries_the_whole_table_trains_and_who_is_there_already_may_stay() -> None:
    frame = people()
    frame.nlargest(5, "steps").drop(columns="stress").assign(remark="ok").to_csv("queries.csv", index=False)
    frame.loc[0, "stress"] = None
    frame.to_csv("table.csv", index=False)
    assert explain(TABLE, Path("schema.toml"), Path("out"), "--queries", "queries.csv").status == 0
    assert len(sensecf.load_task("out").train) == len(frame) - 1
    answers = judge(Path("out"))
    stay = answers[answers["n_changed"] == 0]
    assert len(stay)
    assert (stay["reason"] == "already in the target class").all()


def test_limit_asks_about_the_first_rows_only(run: Path) -> None:
    options = (*OPTIONS, "--limit", "4")
    assert explain(run.parent / "table.csv", run.parent / "schema.toml", Path("few"), *options).status == 0
    pd.testing.assert_frame_equal(pd.read_csv("few/factuals.csv"), pd.read_csv(run / "factuals.csv").head(4))


def test_plans_that_hold_are_counted_said_and_kept_and_nothing_is_fitted_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = (TABLE, Path("schema.toml"), Path("out"), "--hold", "0.9")
    first = explain(*asked)
    assert first.status == 0, first.err
    answers = judge(Path("out"))
    assert len(answers) > 3
    assert (answers["holds"] >= 0.9).all()
    facts = json.loads(Path("out/run.json").read_text())
    assert facts["jury"]["change"] == "bootstrap"
    assert facts["jury"]["plans"] == len(answers)
    assert facts["jury"]["headline"] in " ".join(first.out.split())
    assert facts["jury"]["headline"] in Path("out/report.html").read_text(encoding="utf-8")
    assert {path.name for path in Path("out/task").iterdir()} >= {"jury.json", "jury.skops", "hold.json"}

    monkeypatch.setattr("sensecf.classifiers.jury.refit", None)
    monkeypatch.setattr("sensecf.pipeline.hold.refit", None)
    before = Path("out/counterfactuals.csv").read_bytes()
    assert explain(*asked, "--overwrite").status == 0
    drop = {"seconds"}
    pd.testing.assert_frame_equal(
        pd.read_csv(io.BytesIO(before)).drop(columns=drop), pd.read_csv("out/counterfactuals.csv").drop(columns=drop)
    )
    assert call("answer", "out", TABLE, "--out", "later").status == 0
    later = pd.read_csv("later/counterfactuals.csv")
    moved = later[later["n_changed"] > 0]
    assert (moved["holds"] >= 0.9).all()


# --- interrupted ------------------------------------------------------------------------------

#: Queries of several batches.
MANY = 6 * 256 + 40
LONG = ("--queries", "queries.csv", "--classifier", "logistic", "--generator", "search", "--hold", "0")


def batches() -> list[Path]:
    """The batches that are done."""
    return sorted(Path("out/unfinished").glob("*/batch-*.npz"))


def stopped_by(number: signal.Signals) -> subprocess.Popen[str]:
    """The installed script on many queries, stopped once a batch is done."""
    process = subprocess.Popen(
        [SCRIPT, "explain", "table.csv", "--schema", "schema.toml", "--out", "out", *LONG],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that was itself started in the background hands an ignored SIGINT down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not batches() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(number)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
def test_a_stopped_run_leaves_whole_files_and_goes_on(number: signal.Signals) -> None:
    people(MANY, seed=3).drop(columns="stress").to_csv("queries.csv", index=False)
    process = stopped_by(number)
    _, said = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert said.strip() == "sensecf: interrupted; the same command goes on where it stopped"
        assert all(
            re.fullmatch(r"unfinished/(request\.json|\w+/batch-\d{6}\.npz)", name) for name in contents(Path("out"))
        )
    assert process.returncode != 0
    done = batches()
    assert 1 <= len(done) < 7, "stopped in the middle"
    for batch in done:
        # Sealed by a hash over its name, what it answers and its content, and whole.
        assert re.match(rb"sensecf-sealed 1 [0-9a-f]{64}\n", batch.read_bytes()[:100])
        assert np.load(io.BytesIO(batch.read_bytes().partition(b"\n")[2]))["rows"].shape[1] == 4

    ended = call("explain", TABLE, "--schema", "schema.toml", "--out", "out", *LONG, "--seed", "1")
    refused(ended, "out holds an unfinished run of another request", "--overwrite", left=Path("whole"))
    assert batches() == done

    for out in ("out", "whole"):
        ended = call("explain", TABLE, "--schema", "schema.toml", "--out", out, *LONG)
        assert ended.status == 0, ended.err
    assert contents(Path("out")).keys() == contents(Path("whole")).keys()
    assert without_seconds(Path("out")) == without_seconds(Path("whole"))
    assert Path("out/factuals.csv").read_bytes() == Path("whole/factuals.csv").read_bytes()
    resumed, whole = (json.loads(Path(out, "run.json").read_text()) for out in ("out", "whole"))
    assert resumed["classifier_rows"]["answers"] < whole["classifier_rows"]["answers"], "finished batches are kept"


def interrupt(*_: Any, **__: Any) -> None:
    """What Ctrl-C does to whatever is being called."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["experiment.fit_classifier", "run.explain", "run.write_report"])
@pytest.mark.parametrize("options", [(), ("--overwrite",)], ids=["", "overwrite"])
def test_an_interrupt_at_any_point_leaves_a_run_that_goes_on(
    where: str, options: tuple[str, ...], finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(f"sensecf.runs.{where}", interrupt)
        ended = explain(TABLE, Path("schema.toml"), Path("out"), *options)
    assert ended.status == 130
    assert ended.err.strip() == "sensecf: interrupted; the same command goes on where it stopped"
    assert not Path("out/run.json").exists(), "the folder does not look complete"
    (Path("out") / ".report.html.ab12_xyz.html").write_text("what a killed process was writing")
    assert bool(batches()) == (where == "run.write_report")
    ended = explain(TABLE, Path("schema.toml"), Path("out"), *options)
    assert ended.status == 0, ended.err
    assert contents(Path("out")).keys() == contents(finished).keys()
    assert without_seconds(Path("out")) == without_seconds(finished)


def test_batches_of_another_classifier_are_not_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user may mend the module between the interrupt and the next call."""
    # A name of its own: another test of the same process may have imported a module of a common one.
    own = ("--classifier", "mended_model:Own")
    Path("mended_model.py").write_text(CLASS)
    with monkeypatch.context() as patch:
        patch.setattr(sensecf.runs.run, "write_report", interrupt)
        assert explain(TABLE, Path("schema.toml"), Path("out"), *own).status == 130
    assert batches()
    Path("mended_model.py").write_text(CLASS.replace("/ 16_000", "/ 24_000"))
    monkeypatch.delitem(sys.modules, "mended_model")
    importlib.invalidate_caches()
    shutil.rmtree("__pycache__", ignore_errors=True)
    ended = explain(TABLE, Path("schema.toml"), Path("out"), *own)
    assert ended.status == 0, ended.err
    assert (judge(Path("out"), "mended_model:Own")["steps"] >= 12_000).all()


def test_a_full_disk_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "report.html")

    with monkeypatch.context() as patch:
        patch.setattr(sensecf.runs.run, "write_report", full)
        ended = explain(TABLE, Path("schema.toml"), Path("out"))
    assert ended.status == 1
    assert len(ended.err.splitlines()) == 1
    assert "No space left on device" in ended.err
    assert explain(TABLE, Path("schema.toml"), Path("out")).status == 0


# --- the output folder ------------------------------------------------------------------------


def test_an_output_folder_that_is_a_file() -> None:
    Path("out.txt").write_text("mine")
    for out in (Path("out.txt"), Path("out.txt/run")):
        ended = explain(TABLE, Path("schema.toml"), out)
        refused(ended, "out.txt", "--out")
    assert Path("out.txt").read_text() == "mine"


def test_a_finished_run_is_not_replaced_unless_told(finished: Path) -> None:
    shutil.copytree(finished, "run")
    (Path("run") / "notes.txt").write_text("mine")
    (Path("run") / "task" / "notes.txt").write_text("mine too")
    before = contents(Path("run"))
    refused(explain(TABLE, Path("schema.toml"), Path("run")), "holds another run", "--overwrite")
    assert contents(Path("run")) == before
    ended = explain(TABLE, Path("schema.toml"), Path("run"), "--overwrite", "--limit", "2")
    assert ended.status == 0, ended.err
    after = contents(Path("run"))
    assert after.keys() == before.keys()
    assert after["notes.txt"] == b"mine"
    assert after["task/notes.txt"] == b"mine too"
    assert json.loads(after["run.json"])["limit"] == 2


def test_wrong_input_destroys_no_older_run(finished: Path) -> None:
    shutil.copytree(finished, "run")
    before = contents(Path("run"))
    Path("bad_model.py").write_text(CLASS.replace(PROBA, "return np.tile([0.2, 0.8], (len(rows), 1))"))
    for options in (["--lock", "hope"], ["--classifier", "nowhere:own"], ["--classifier", "bad_model:own"]):
        ended = explain(TABLE, Path("schema.toml"), Path("run"), "--overwrite", *options)
        refused(ended)
        assert contents(Path("run")) == before


@pytest.mark.parametrize(
    "names",
    [
        ["report.html"],
        ["schema.toml"],
        ["task/train.csv"],
        ["run.json"],
        ["run.json", "task/task.json"],
        ["metrics.json"],
    ],
    ids=" and ".join,
)
@pytest.mark.parametrize("options", [(), ("--overwrite",)], ids=["", "overwrite"])
def test_the_files_of_others_are_never_replaced(names: list[str], options: tuple[str, ...]) -> None:
    for name in names:
        path = Path("theirs") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"versions": null}')
    before = contents(Path("theirs"))
    refused(explain(TABLE, Path("schema.toml"), Path("theirs"), *options), "theirs holds", "choose another --out")
    assert contents(Path("theirs")) == before


def test_a_folder_with_other_files_is_used_and_they_stay() -> None:
    Path("shared").mkdir()
    (Path("shared") / "notes.txt").write_text("mine")
    assert explain(TABLE, Path("schema.toml"), Path("shared"), "--limit", "1").status == 0
    assert (Path("shared") / "notes.txt").read_text() == "mine"


def test_wrong_input_leaves_a_folder_with_other_files_as_it_was() -> None:
    Path("shared").mkdir()
    (Path("shared") / "notes.txt").write_text("mine")
    refused(explain(TABLE, Path("schema.toml"), Path("shared"), "--classifier", "nowhere:own"))
    refused(explain(TABLE, Path("schema.toml"), Path("shared/a/b"), "--classifier", "nowhere:own"))
    assert contents(Path("shared")) == {"notes.txt": b"mine"}
    assert os.listdir("shared") == ["notes.txt"]


def test_the_run_does_not_write_over_its_own_input(finished: Path) -> None:
    shutil.copytree(finished, "run")
    edited = (Path("run") / "schema.toml").read_text() + "# edited by hand\n"
    (Path("run") / "schema.toml").write_text(edited)
    refused(explain(TABLE, Path("run/schema.toml"), Path("run"), "--overwrite"), "run/schema.toml", "move it")
    Path("new").mkdir()
    (Path("new") / "schema.toml").write_text(SCHEMA)
    refused(explain(TABLE, Path("new/schema.toml"), Path("new"), "--overwrite"), "new/schema.toml", "move it")
    assert (Path("run") / "schema.toml").read_text() == edited
    assert (Path("new") / "schema.toml").read_text() == SCHEMA


def as_mortal(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed script as somebody for whom permissions hold."""
    command = [str(SCRIPT), *arguments]
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root may write anywhere, and setpriv is not installed to give that up")
        lost = "-dac_override,-dac_read_search"
        command = [setpriv, f"--bounding-set={lost}", f"--inh-caps={lost}", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_folder_that_may_not_be_written() -> None:
    Path("closed").mkdir(mode=0o555)
    ended = as_mortal("explain", "table.csv", "--schema", "schema.toml", "--out", "closed/run", *QUICK)
    refused(outcome(ended), "closed/run cannot be written", "choose another --out")
    ended = as_mortal("explain", "table.csv", "--schema", "schema.toml", "--out", "closed", *QUICK)
    refused(outcome(ended), "closed cannot be written", "choose another --out")


def test_a_table_that_may_not_be_read() -> None:
    TABLE.chmod(0)
    ended = as_mortal("schema", "table.csv", "--label", "stress")
    refused(outcome(ended), "table.csv", "not readable")


# --- abstentions are results ------------------------------------------------------------------


def without_answer(folder: Path) -> pd.Series[Any]:
    table = pd.read_csv(folder / "counterfactuals.csv")
    assert table["rank"].isna().all()
    assert len(table) == len(pd.read_csv(folder / "factuals.csv"))
    return table["reason"]


@pytest.mark.parametrize("generator", ["nearest", "tiny"])
def test_nothing_may_change_by_the_schema(generator: str) -> None:
    """Nobody could be answered: refused before anything is fitted."""
    Path("schema.toml").write_text(SCHEMA.replace("actionable", "immutable"))
    ended = explain(TABLE, Path("schema.toml"), Path("out"), "--edit", "mutable", "--generator", generator)
    refused(ended, "nothing may change: every feature is immutable, protected or locked")


def test_everything_is_locked() -> None:
    ended = explain(TABLE, Path("schema.toml"), Path("out"), "--lock", "steps,deep_sleep_min,age,device")
    refused(ended, "nothing may change: every feature is immutable, protected or locked")


def test_all_that_counts_is_locked() -> None:
    Path("own_locked.py").write_text(CLASS)
    own = ("--classifier", "own_locked:own", "--limit", "5")
    ended = explain(TABLE, Path("schema.toml"), Path("out"), "--lock", "steps", *own)
    assert ended.status == 3, ended.err
    reasons = without_answer(Path("out"))
    assert reasons.str.startswith("blocked by the lock on steps").all()
    assert reasons.iloc[0] in ended.out


def test_a_classifier_that_never_says_the_target() -> None:
    Path("never_low.py").write_text(CLASS.replace(PROBA, "return np.tile([0.8, 0.2], (len(rows), 1))"))
    ended = explain(TABLE, Path("schema.toml"), Path("out"), "--classifier", "never_low:own", "--limit", "5")
    assert ended.status == 3, ended.err
    assert without_answer(Path("out")).str.contains("no answer found even without locks and limits").all()
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert (metrics["validity"]["value"], metrics["coverage"]["value"]) == (0.0, 0.0)
    assert not metrics["n_changed"]["defined"]
    assert metrics["n_changed"]["value"] is None


def test_rows_outside_the_range_are_abstained_from_when_they_were_not_chosen() -> None:
    """The same rows named with --queries are refused: there the user can mend them."""
    Path("schema.toml").write_text(SCHEMA.replace("low = 1000", "low = 4000"))
    ended = explain(TABLE, Path("schema.toml"), Path("out"))
    assert ended.status == 0, ended.err
    table = pd.read_csv("out/counterfactuals.csv")
    outside = table[table["rank"].isna()]
    assert 0 < len(outside) < len(table)
    assert outside["reason"].str.contains("outside the schema's range 4,000 to 15,000").all()
    assert (people().loc[outside["query"], "steps"] < 4_000).all()


def test_a_generator_that_lies_gets_no_answer_past_the_verdict() -> None:
    Path("liars.py").write_text(
        """
import numpy as np
from sensecf.core.candidates import Candidates

class Liar:
    name = "liar"

    def __init__(self, task, seed):
        self.task = task

    def propose(self, query, rng):
        everyone = np.arange(len(query))
        beyond = query.rows.copy()
        beyond[:, 0] = 99_000.0
        older = query.rows.copy()
        older[:, 2] += 1.0
        older[:, 0] = 14_000.0
        broken = query.rows.copy()
        broken[:, 0] = 14_000.5
        blank = np.full_like(query.rows, np.nan)
        rows = np.concatenate([query.rows, beyond, older, broken, blank])
        return Candidates.of(np.tile(everyone, 5), rows, self.name)
"""
    )
    ended = explain(TABLE, Path("schema.toml"), Path("out"), "--generator", "liars:Liar")
    assert ended.status == 3, ended.err
    assert re.search(r"sensecf: 0 of \d+ answered by liar \(.+\); \d+ by search", ended.err)
    table = pd.read_csv("out/counterfactuals.csv")
    assert set(table["generator"]) == {"search"}, "the search answers where the generator does not"
    assert table["valid"].all()
    attempts = pd.DataFrame(json.loads(Path("out/run.json").read_text())["attempts"]).set_index("verdict")
    assert "good" not in attempts.index[attempts["generator"] == "liar"]
