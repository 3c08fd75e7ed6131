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

from sensecf.cli import cli
from sensecf.commands.sensors import sensors
from sensecf.errors import InputError


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
        assert (card["name"], card["shareable"]) == (name, False)
        assert "keep it on this machine" in result.output


def test_wrong_input_is_one_line_and_leaves_no_table(tmp_path: Path) -> None:
    result = run("build", tmp_path, "--format", "aireadi", "--out", tmp_path / "days.csv")
    assert isinstance(result.exception, InputError)
    assert "\n" not in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_group_is_named_for_the_command_line() -> None:
    assert sensors.name == "sensors"
    assert set(sensors.commands) == {"build", "simulate"}
    assert isinstance(sensors, click.Group)


def test_the_tutorial_of_the_documentation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sensors simulate | sensors build | schema | explain, as docs/sensors.md has it, smaller."""
    monkeypatch.chdir(tmp_path)
    steps = (
        "sensors simulate --people 12 --days 4 --out tree --jobs 1",
        "sensors build tree --format aireadi --out days.csv --jobs 1",
        "schema days.csv --label stress --group person_id",
        "explain days.csv --schema schema.toml --generator search --classifier logistic --limit 3 --out plans",
    )
    for step in steps:
        result = CliRunner().invoke(cli, step.split())
        assert result.exit_code == 0, result.output
        if step.startswith("schema"):
            (tmp_path / "schema.toml").write_text(result.stdout)
    assert len(pd.read_csv(tmp_path / "plans" / "counterfactuals.csv")) >= 1
