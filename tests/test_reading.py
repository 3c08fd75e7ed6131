"""What a reader sees in a terminal: the plan first, the largest of what follows, reasons counted together."""

from __future__ import annotations

import io
from dataclasses import replace

import pandas as pd
import pytest

from handmade import SCHEMA
from sensecf.cli.summary import _plans
from sensecf.core.counterfactuals import Counterfactuals


def answers(told: str, reasons: list[str] | None = None) -> Counterfactuals:
    """One answer that raises steps, with what is expected to follow; and abstentions."""
    base = {"steps": 1000, "deep": 40.0, "sleep": 400.0, "age": 50, "device": "watch"}
    asked = pd.DataFrame([base | {"sleep": 400.0 + 20 * n, "deep": 40.0 + n} for n in range(1 + len(reasons or []))])
    verdict = {"rank": 1, "target": "low", "predicted": "low", "probability": 0.9, "valid": True, "plausible": True}
    rows = [{"query": 0, **verdict, **base, "steps": 3000, "actions": "steps", "consequences": told, "reason": ""}]
    rows += [{"query": n, "rank": None, "reason": reason} for n, reason in enumerate(reasons or [], 1)]
    frame = pd.DataFrame(rows).assign(holds=0.97, n_changed=1)
    schema = replace(SCHEMA)
    return Counterfactuals(frame.astype({"rank": "Int64"}), asked, schema)


TOLD = "sleep=460|440|480;deep=42.0|41.0|43.0;age=50|49|51"


def test_the_largest_follows_first_and_what_stays_is_left_out() -> None:
    cfs = answers(TOLD, ["x"] * 4)
    (all_of_it,) = cfs.expected()
    assert [entry.split()[0] for entry in all_of_it.split("; ")] == ["sleep", "deep"]
    assert cfs.expected(most=1) == ["sleep 400 → 460 (440 to 480 min); and 1 more"]
    assert answers("age=50|49|51").expected() == [""]


def test_reasons_that_differ_in_a_count_only_are_one() -> None:
    why = "no plan that would hold under these limits; the nearest one holds in {} of 59 refits (--hold 0 is another)"
    cfs = answers("", [why.format(40), "blocked by the lock on steps", why.format(50), why.format(55)])
    (first, who), (second, one) = cfs.reasons()
    assert "the nearest ones hold in 50 (median; 40 to 55) of 59 refits (--hold 0 is another" in first
    assert (who, second, one) == ([1, 3, 4], "blocked by the lock on steps", [2])
    alone = answers("", [why.format(40)] * 2)
    assert alone.reasons() == [(why.format(40), [1, 2])]


def test_what_nobody_can_set_is_one_reason_that_says_which_it_is_most_often() -> None:
    why = "what a person can do is not enough: {} would have to change too, and {} as a result"
    one, two = why.format("pulse", "it only moves"), why.format("pulse and sugar", "they only move")
    (text, who), (other, last) = answers("", [one, two, one, "no answer"]).reasons()
    assert text == (
        "what a person can do is not enough: what only moves as a result would have to change too (pulse for 3, "
        "sugar for 1)"
    )
    assert (who, other, last) == ([1, 2, 3], "no answer", [4])


def test_what_is_asked_too_much_of_is_one_reason_too() -> None:
    why = "blocked by the budget of changes and the most that is asked of a person ({})"
    told = [
        why.format("steps: 4,000 steps; sleep: 120 min"),
        why.format("sleep: 120 min"),
        "blocked by the budget of changes",
    ]
    (text, who), (other, last) = answers("", told).reasons()
    assert text == (
        "blocked by the budget of changes and the most that is asked of a person (sleep for 2, steps for 1)"
    )
    assert (who, other, last) == ([1, 2], told[2], [3])


@pytest.mark.parametrize("width", [80, 60])
def test_the_table_of_plans_fits_and_begins_with_what_to_do(width: int) -> None:
    from rich.console import Console

    console = Console(width=width, record=True, file=io.StringIO())
    console.print(_plans(answers(TOLD, ["x"]), "low", "plan"))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    body = [line for line in lines if "Steps 1,000 → 3,000 steps" in line]
    assert len(body) == 1
    assert "97%" in body[0].replace(" ", "")
    assert any("then: Total sleep time 400 → 460" in line for line in lines)
