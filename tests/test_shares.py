"""What the generator asked for found, what a fallback found and what nobody found are three numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from boundary import explain
from handmade import BASE, answers, hand_task
from handmade import SCHEMA as HAND
from sensecf import metrics
from sensecf.core.candidates import Candidates
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.query import Query
from sensecf.generators import Search

SHARES = ["own_share", "fallback_share", "unanswered_share", "not_needed_share"]


class Half:
    """Answers the first query with the row of a calm person, refuses the second, and is wrong about the others."""

    def __init__(self, name: str = "half") -> None:
        self.name = name

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        rows = query.rows.copy()
        rows[0, 0] = 9000.0
        reasons = ["", "HTTP 400: too long\nfor this model", *[""] * (len(query) - 2)]
        return Candidates.of(np.arange(len(query)), rows, "somebody else", reasons[: len(query)])


def asked(generator: object, *, fallback: bool, lock: tuple[str, ...] = (), people: int = 4) -> Counterfactuals:
    """The answers for people of unlike age, the last of whom is calm already."""
    rows = [{**BASE, "age": 40 + k} for k in range(people - 1)]
    frame = pd.DataFrame([*rows, {**BASE, "age": 60, "steps": 9000}])
    task = hand_task()
    return explain(task, generator, frame, lock=lock, fallback=Search(task) if fallback else None)  # type: ignore[arg-type]


def values(cfs: Counterfactuals) -> list[float]:
    summary = metrics.summarise(cfs, hand_task())
    assert (summary.loc[SHARES, ["n", "over"]] == [len(cfs.factuals), "requests"]).all(axis=None)
    return [float(v) for v in summary.loc[SHARES, "value"]]


def test_the_shares_say_who_found_the_answers() -> None:
    assert values(asked(Half(), fallback=True)) == [0.25, 0.5, 0.0, 0.25]
    assert values(asked(Half(), fallback=False)) == [0.25, 0.0, 0.5, 0.25]


def test_who_found_an_answer_is_judged_anew() -> None:
    edits = [(0, 1, {"steps": 8000}), (1, 1, {"steps": 4500}), (2, None, {}), (3, 1, {})]
    factuals = {0: BASE, 1: BASE, 2: BASE, 3: {**BASE, "steps": 9000}}
    cfs = answers(HAND, factuals, edits)
    assert not metrics.summarise(cfs, hand_task()).loc[SHARES, "defined"].any(), "nobody knows who was asked"
    cfs.asked = "hand"
    assert values(cfs) == [0.25, 0.0, 0.5, 0.25]


@pytest.mark.parametrize("name", ["half", "search"])
def test_a_fallback_answers_under_its_own_name_alone(name: str) -> None:
    cfs = asked(Half(name), fallback=True)
    assert cfs.found_by().tolist() == ["own", "fallback", "fallback", "not needed"]
    assert cfs.shares() == (
        f"A plan was found for 3 of 3 rows (1 by {name}, 2 by {cfs.fallbacks()}; what kept {name} from the others: "
        "HTTP 400: too long for this model); 1 in the target class already"
    )
    assert cfs.fallbacks() != name


def test_the_reason_of_an_abstention_is_the_generators_own() -> None:
    refused, wrong = asked(Half(), fallback=False).abstentions["reason"]
    assert refused.startswith("half: HTTP 400: too long")
    assert wrong.startswith("half: not valid; no answer among the rows tried")


def test_what_blocks_everybody_is_said_before_what_failed() -> None:
    reasons = asked(Half(), fallback=True, lock=("steps", "deep")).abstentions["reason"]
    assert all(reason.startswith("blocked by the lock on") and "; half: " in reason for reason in reasons)


def test_a_search_gives_the_reason_alone() -> None:
    cfs = asked(Search(hand_task()), fallback=False, lock=("steps", "deep"))
    assert set(cfs.abstentions["reason"]) == {"blocked by the lock on deep"}
    assert cfs.shares() == (
        "A plan was found for none of 3 rows: blocked by the lock on deep; 1 in the target class already"
    )


def test_nobody_answered_is_known_only_where_an_answer_was_needed() -> None:
    assert not asked(Half(), fallback=True).own_none
    assert asked(Half(), fallback=True, lock=("steps",)).own_none, "the search moved deep sleep instead"
    assert not asked(Half(), fallback=True, people=1).own_none, "nobody needed an answer"
