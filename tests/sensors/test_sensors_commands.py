"""The command line: build, simulate, and what they leave beside the table."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pandas as pd
import pytest
from aireadi_files import wear
from click.testing import CliRunner, Result
from export_files import clarity

from sensecf.cli.app import cli
from sensecf.cli.sensors import sensors
from sensecf.core.errors import InputError
from sensecf.data.builtin import Card, find_card


def run(*arguments: object) -> Result:
    return CliRunner().invoke(sensors, [str(a) for a in arguments])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    result = run("simulate", "--people", 2, "--days", 2, "--out", root, "--jobs", 1)
    assert result.exit_code == 0, result.output
    return root


def test_simulate_then_build_gives_a_table_a_report_and_a_card(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "days.csv"
    result = run("build", tree, "--format", "aireadi", "--out", out, "--jobs", 1)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out, dtype={"person_id": str})
    assert len(table) == 4
    assert set(table["stress"].dropna()) <= {"low", "high"}
    report = json.loads((tmp_path / "days.csv.report.json").read_text())
    assert report["seen"]["rows"] == 4
    card = json.loads((tmp_path / "days.csv.card.json").read_text())
    assert card["simulated"]
    assert "days.csv: 4 rows" in result.output


def test_a_table_may_be_parquet(tree: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    out = tmp_path / "days.parquet"
    assert run("build", tree, "--format", "aireadi", "--out", out, "--jobs", 1).exit_code == 0
    assert len(pd.read_parquet(out)) == 4


def test_options_reach_the_build(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "days.csv"
    options = ("--without-heart-rate", "--keep-stress-mean", "--stress-threshold", 99)
    assert run("build", tree, "--format", "aireadi", "--out", out, "--jobs", 1, *options).exit_code == 0
    table = pd.read_csv(out)
    assert "stress_mean" in table
    assert not [name for name in table if name.startswith(("hr_", "resting"))]
    assert set(table["stress"].dropna()) == {"low"}


def test_real_ai_readi_files_and_personal_exports_stay_local(tmp_path: Path) -> None:
    wear(tmp_path / "tree")
    clarity(tmp_path / "ada.csv")
    for root, form, name in (
        (tmp_path / "tree", "aireadi", "aireadi"),
        (tmp_path / "ada.csv", "dexcom", "personal_export"),
    ):
        out = tmp_path / f"{form}.csv"
        result = run("build", root, "--format", form, "--out", out, "--jobs", 1)
        card = json.loads(Path(f"{out}.card.json").read_text())
        assert (card["name"], card["leaves"]) == (name, "local only")
        assert "may leave: local only" in result.output
        assert find_card(out) == Card.read(f"{out}.card.json")


def test_wrong_input_is_one_line_and_leaves_no_table(tmp_path: Path) -> None:
    result = run("build", tmp_path, "--format", "aireadi", "--out", tmp_path / "days.csv")
    assert isinstance(result.exception, InputError)
    assert "\n" not in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_group_is_named_for_the_command_line() -> None:
    assert sensors.name == "sensors"
    assert set(sensors.commands) == {"build", "simulate", "day"}
    assert isinstance(sensors, click.Group)


#: What makes the tutorial small enough for a test.
SMALLER = {
    "sensors simulate": "--days 4 --jobs 1",
    "sensors build": "--jobs 1",
    "explain": "--generator search --classifier logistic --limit 3 --hold 0",  # so few people give no bound
}


def test_the_tutorial_of_the_documentation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sensors simulate | build | schema | explain | sensors day: the commands of docs/sensors.md, made smaller."""
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).resolve().parents[2] / "docs" / "sensors.md").read_text(encoding="utf-8")
    lines = page.split("```\n")[1].replace("--people 20", "--people 12").splitlines()
    steps = [line.split("#")[0].removeprefix("sensecf ").strip() for line in lines]
    assert [step.split(" --")[0].rsplit(" ", 1)[0] for step in steps] == [
        "sensors", "sensors build", "schema", "explain", "sensors day",
    ]  # fmt: skip
    for step in steps:
        command, _, saved = step.partition(" > ")
        command += "".join(f" {more}" for start, more in SMALLER.items() if step.startswith(start))
        if "--query 3" in command:
            query = pd.read_csv("plans/counterfactuals.csv", dtype=str).dropna(subset="rank")["query"].iloc[0]
            command = command.replace("--query 3", f"--query {query}")
        result = CliRunner().invoke(cli, command.split())
        assert result.exit_code == 0, result.output
        if saved:
            Path(saved).write_text(result.stdout, encoding="utf-8")
    assert "sleep: deep" in result.stdout
    assert "recommended_split" in Path("schema.toml").read_text(encoding="utf-8").split("[[features]]")[0]


def test_a_day_needs_a_plan(tmp_path: Path) -> None:
    def problem(*options: object) -> str:
        result = run("day", tmp_path, *options)
        assert isinstance(result.exception, InputError)
        return str(result.exception)

    assert "does not exist" in problem("--query", 1)
    (tmp_path / "counterfactuals.csv").write_text(
        "query,rank,reason,steps,sleep_total_min\n7,1,,8000,430\n8,,all locked,,\n"
    )
    assert "no query '1'" in problem("--query", 1)
    assert "no plan of rank 2" in problem("--query", 7, "--rank", 2)
    assert "no answer: all locked" in problem("--query", 8)
    shown = run("day", tmp_path, "--query", 7)
    assert shown.exit_code == 0, shown.output
    assert "steps: 8000" in shown.output
    assert "sleep: deep" in shown.output
