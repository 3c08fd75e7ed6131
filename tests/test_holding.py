"""The page on holding shows what benchmarks/hold.json holds, and the benchmark's parts do what they say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from hold import SEARCH  # noqa: E402
from hold_tables import newest, sections  # noqa: E402


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((ROOT / "benchmarks" / "hold.json").read_text(encoding="utf-8"))["cells"]
    return found


def test_every_section_of_the_page_is_made_of_the_stored_cells(cells: list[dict[str, Any]]) -> None:
    page = (ROOT / "docs" / "holding.md").read_text(encoding="utf-8")
    for name, text in sections(cells).items():
        assert f"<!-- {name} -->\n{text}\n<!-- /{name} -->" in page, (
            f"run benchmarks/hold.py --seconds 0 --write ({name})"
        )


def test_the_page_says_how_many_runs_there_are_and_that_they_are_of_one_search(cells: list[dict[str, Any]]) -> None:
    page = (ROOT / "docs" / "holding.md").read_text(encoding="utf-8")
    runs = [cell for cell in cells if cell["part"] == "truth"]
    assert f"200 were aimed at, {len(runs)} made." in page
    assert newest(runs) == runs
    assert {cell["search"] for cell in runs} == {SEARCH}


def test_a_cell_of_an_earlier_search_gives_way_to_one_of_the_newest() -> None:
    cells = [{"table": "a", "classifier": "c", "seed": k, "search": k} for k in (1, 2)]
    other = {"table": "b", "classifier": "c", "seed": 0}
    assert newest([*cells, other]) == [cells[1], other]


def test_answers_that_half_a_agrees_with_are_told_apart_by_how_steady_it_is() -> None:
    cell = {"part": "steady", "agreed": [1.0, 1.0, 0.97, 0.5], "steadiness": [2.0, 3.0, 6.0, -0.5],
            "counted": [0.9, 1.0, 0.95, 0.4]}  # fmt: skip
    rows = [line.split("|")[1:4] for line in sections([cell])["steady"].splitlines()[2:]]
    found = {name.strip(" *"): (int(count), share.strip()) for name, count, share in rows}
    assert found["below 2.75"] == (1, "0.00")
    assert found["2.75 and more"] == (2, "1.00")
    assert found["all that half A agrees with"] == (3, "0.67")
    assert found["half A does not agree"] == (1, "0.00")
    assert found["below 1.75"] == (0, "–")


def test_a_cell_is_stored_once(cells: list[dict[str, Any]]) -> None:
    keys = [(cell["part"], cell["table"], cell["classifier"], cell["seed"]) for cell in cells]
    assert len(keys) == len(set(keys))


def test_at_equal_survival_ours_survives_no_less(cells: list[dict[str, Any]]) -> None:
    pairs = [pair for cell in cells if cell["part"] == "price" for pair in cell.get("pairs", ()) if "changes" in pair]
    assert pairs
    for pair in pairs:
        if pair["equal"]:
            assert pair["our_survival"] >= max(pair["survival"], pair["least"])


def test_a_bound_that_was_not_met_is_counted_as_such() -> None:
    line = {"delta": 0.9, "coverage": 1.0, "stated": 0.9}
    cell = {"part": "price", "pairs": [], "lines": [line | {"survival": 0.88}, line | {"survival": 0.93}]}
    assert "In all: 1 of 2." in sections([cell])["stated"]


def test_a_difference_counts_where_its_p_is_small_and_its_sign_is_right() -> None:
    def pair(ours: float, theirs: float, p: float) -> dict[str, Any]:
        both = {"ours": ours, "theirs": theirs, "p": p, "n": 9, "low": None, "high": None}
        return {"rival": "robx", "least": 0.0, "equal": True, "survival": 0.95, "our_survival": 0.96, "coverage": 1.0,
                "our_coverage": 1.0, "margin": 0.5, "changes": both, "distance": both}  # fmt: skip

    cells = [
        {"part": "price", "table": "t", "classifier": "c", "lines": [], "pairs": [pair(*each)]}
        for each in ((1.0, 2.0, 0.001), (1.0, 2.0, 0.2), (3.0, 2.0, 0.001))
    ]
    row = next(line for line in sections(cells)["prices"].splitlines() if line.startswith("| robx |"))
    assert [text.strip() for text in row.split("|")[2:7]] == ["3 of 3", "1", "1", "1", "1"]


def test_the_share_of_true_statements_has_its_interval_and_runs_without_answers_are_no_evidence() -> None:
    def run(survival: float | None) -> dict[str, Any]:
        mode = {"coverage": 0.0 if survival is None else 1.0, "survival": survival, "by_change": {}, "served": survival,
                "changes": 1.0, "distance": 1.0}  # fmt: skip
        return {"part": "truth", "table": "t", "classifier": "c", "modes": {"all, hold": mode}}

    text = sections([run(0.97), run(0.94), run(None)])["truth"]
    row = next(line for line in text.splitlines() if line.startswith("| all |"))
    assert [part.strip() for part in row.split("|")[2:6]] == ["3", "2", "1", "0.50 (0.09 to 0.91)"]


def test_requests_are_spread_over_the_people() -> None:
    from types import SimpleNamespace

    import pandas as pd
    from hold import asked

    people = pd.Series(np.repeat(["a", "b", "c"], [10, 2, 2]))
    cell = SimpleNamespace(
        asked=lambda: np.arange(14), inside=np.ones(14, dtype=bool), people=lambda at: people.iloc[at]
    )
    chosen = people.iloc[asked(cell, 6, 0)]  # type: ignore[arg-type]
    assert chosen.value_counts().to_dict() == {"a": 2, "b": 2, "c": 2}
