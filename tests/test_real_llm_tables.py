"""The tables of the real language model in docs/finetuning.md are those of the stored figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from real_llm_tables import everybody, line, sections  # noqa: E402

STORED = ROOT / "benchmarks" / "real_llm.json"
PAGE = ROOT / "docs" / "finetuning.md"


def cells() -> list[dict[str, object]]:
    if not STORED.exists():
        return []
    return list(json.loads(STORED.read_text(encoding="utf-8"))["cells"])


@pytest.mark.parametrize("name", ["real-main", "real-curve", "real-rewards", "real-small"])
def test_the_page_says_what_was_measured(name: str) -> None:
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    assert found
    assert rest.partition(f"\n<!-- /{name} -->")[0] == sections(cells())[name]


def test_the_page_says_what_one_plan_for_everybody_does() -> None:
    stored = json.loads((ROOT / "benchmarks" / "finetune_constant.json").read_text(encoding="utf-8"))["splits"]
    _, found, rest = PAGE.read_text(encoding="utf-8").partition("<!-- stages-constant -->\n")
    assert found
    assert rest.partition("\n<!-- /stages-constant -->")[0] == everybody(stored)
    assert len(stored) == 6


def test_a_line_compares_a_method_with_the_plan_for_everybody() -> None:
    people = list(range(20))
    answer = {
        "readable": [True] * 20, "valid": [True] * 18 + [False] * 2, "changes": [1.0] * 18 + [None] * 2,
        "distance": [2.0] * 18 + [None] * 2, "plausible": [True] * 9 + [False] * 11, "distinct": 7,
    }  # fmt: skip
    constant = {**answer, "valid": [True] * 8 + [False] * 12}
    near = {**answer, "valid": [True] * 4 + [False] * 16}
    far = {**answer, "valid": [True] * 20}
    controls = {"constant": constant, "constant up to 1.5": near, "constant up to 3": far}
    found = line([{**answer, "people": people, "seed": 0, "controls": controls}])
    assert found["valid"] == "0.90"
    assert found["less constant"] == "+0.50"
    assert found["p"] == "0.002"
    assert found["distance"] == "2.00"
    # The plan for everybody that is no farther than 2 is the one up to 1.5, not the one up to 3.
    assert found["nearer"].startswith("+0.70")
    assert found["plausible"] == "0.50"
    assert found["distinct"] == "7 of 20"
