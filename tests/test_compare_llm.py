"""A comparison asks language models as `explain` does: from a recorded run, and a tuned one in its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from fake_llm import answer
from handmade import random_task
from llm_servers import after, loopback_only, scripted, tiny_model
from sensecf.core.errors import InputError
from sensecf.core.task import Task
from sensecf.generators.tuned import table_shape
from sensecf.llm.language.brief import BRIEF_VERSION
from sensecf.llm.language.prompting import Prompting
from sensecf.runs.compare import CompareSpec, Comparison, compare
from sensecf.runs.compare import run as module
from sensecf.runs.run import LEDGER

__all__ = ["loopback_only"]

pytest.importorskip("openai")


@pytest.fixture(scope="module")
def table() -> Task:
    return random_task()


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process for the reference."""
    monkeypatch.setattr(module, "REFERENCE", "no reference")


def run(table: Task, out: Path, llm: str, *names: str, model: str | None = None) -> Comparison:
    people = table.train[table.train["x0"] + table.train["x1"] < -1.5].head(3)
    request = CompareSpec(
        names, classifier="logistic", target="good", prompting=Prompting(llm) if llm else None, model=model, refits=0
    )
    return compare(table.train, table.schema, out, request, queries=people)


def test_a_language_model_is_compared_and_its_tokens_are_counted_also_from_a_recorded_run(
    table: Task, tmp_path: Path
) -> None:
    with scripted(after(0.0, answer(x0=2.0, x1=2.0))) as server:
        asked = run(table, tmp_path / "asked", f"{server.url}#m", "prompted", "nearest+raw")
    assert server.received
    replayed = run(table, tmp_path / "again", f"replay:{tmp_path / 'asked' / LEDGER}", "prompted+raw")
    for made, name in ((asked, "prompted"), (replayed, "prompted+raw")):
        scores = made.scores.summary.query("method == @name and direction == 'all'").set_index("metric")["value"]
        assert scores["validity"] == 1.0
        assert made.answers[name].cost["model_tokens"] > 0
        assert set(made.answers[name].frame["generator"]) == {name}
    assert asked.answers["prompted"].cost["by_fallback"] == 0
    assert asked.answers["prompted"].cost["model_tokens"] == replayed.answers["prompted+raw"].cost["model_tokens"]
    assert pd.isna(asked.answers["nearest+raw"].cost["model_tokens"])
    assert asked.facts["model"]["host"] == "127.0.0.1"
    own = {"people": 3, "readable": 3, "valid_first": 3, "valid": 3, "distinct": 1}
    assert asked.answers["prompted"].cost["model_own"] == replayed.answers["prompted+raw"].cost["model_own"] == own
    assert "model_own" not in asked.answers["nearest+raw"].cost
    told = "prompted itself, asked about 3: 3 readable at the first answer, 3 valid at the first"
    assert told in (tmp_path / "asked" / "report.html").read_text(encoding="utf-8")


def test_a_tuned_model_is_compared(table: Task, tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="needs trl")
    pytest.importorskip("llguidance", reason="needs llguidance")
    folder = tmp_path / "model"
    tiny_model(folder / "merged", "llama", None)
    wording = f"brief {BRIEF_VERSION}"
    record = {
        "base": "base",
        "full": False,
        "wording": wording,
        "schema": table_shape(table.schema),
        "pairs": {"order": table.schema.names},
    }
    (folder / "tuned.json").write_text(json.dumps(record))
    made = run(table, tmp_path / "out", "", "tuned+raw", model=str(folder))
    assert len(made.answers["tuned+raw"].factuals) == 3
    assert not made.answers["tuned+raw"].frame["reason"].str.contains("built").any()
    assert made.answers["tuned+raw"].cost["model_tokens"] > 0


@pytest.mark.parametrize(("name", "option"), [("prompted", "--llm"), ("tuned", "--model")])
def test_a_model_that_is_not_named_is_said_before_anything_is_written(
    table: Task, tmp_path: Path, name: str, option: str
) -> None:
    with pytest.raises(InputError, match=option):
        run(table, tmp_path / "out", "", name)
    assert not (tmp_path / "out").exists()
