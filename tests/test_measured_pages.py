"""Pages say what the stored runs of their benchmarks hold."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]


def benchmark(name: str) -> ModuleType:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.mark.parametrize(("name", "page"), [("attack", "privacy"), ("fairness", "fairness")])
def test_the_table_is_that_of_the_stored_runs(name: str, page: str) -> None:
    table = benchmark(name).section(pd.read_csv(ROOT / "benchmarks" / f"{name}.csv"))
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert f"<!-- {name} -->\n{table}\n<!-- /{name} -->" in text


def test_the_page_on_prompting_shows_the_stored_answers() -> None:
    cells = json.loads((ROOT / "benchmarks" / "prompt_parts.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "prompting.md").read_text(encoding="utf-8")
    for name, table in benchmark("prompt_parts").tables(cells).items():
        assert f"<!-- {name} -->\n{table}\n<!-- /{name} -->" in text
