"""`auto`: the generator that costs least in all, and that the run says which it took and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from boundary import BOUNDARY
from command import call
from handmade import random_task
from sensecf.generators import NAMES, choice
from sensecf.generators.choice import AUTO, PAYS, choose
from sensecf.runs.run import RunSpec, run


def test_a_generator_that_is_named_is_taken_without_a_word() -> None:
    for name in (*NAMES, "module:Class"):
        assert choose(name, 10**9) == (name, "")


def test_for_few_the_search_answers_and_for_many_the_embedded_model() -> None:
    pytest.importorskip("torch")
    few, why = choose(AUTO, PAYS - 1, "svm")
    assert few == "search"
    assert f"{PAYS - 1:,} asked about" in why
    many, why = choose(AUTO, PAYS, "module:mine")
    assert many == "tiny"
    assert why


def test_with_a_quick_classifier_the_search_answers_however_many_there_are() -> None:
    name, why = choose(AUTO, 10**9, "xgboost")
    assert name == "search"
    assert "with xgboost" in why


def test_without_its_package_the_embedded_model_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: None)
    name, why = choose(AUTO, PAYS, "svm")
    assert name == "search"
    assert "pip install" in why


def test_a_run_says_which_generator_it_took_and_why(tmp_path: Path) -> None:
    task = random_task(people=60)
    answers, _, facts = run(
        task.train, task.schema, tmp_path / "out", RunSpec("logistic", target="good", limit=3, limits=BOUNDARY)
    )
    assert facts["generator"] == "search" == answers.asked
    assert "with logistic" in facts["generator_why"]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["generator"] == "search"
    assert facts["generator_why"] in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_command_says_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    task = random_task(people=60)
    task.train.to_csv("table.csv", index=False)
    task.schema.to_toml("schema.toml")
    options = ["--classifier", "logistic", "--target", "good", "--limit", "2", "--out", "out"]
    done = call("explain", "table.csv", "--schema", "schema.toml", *options)
    assert done.status == 0
    assert "Plans by search: with logistic" in done.out
