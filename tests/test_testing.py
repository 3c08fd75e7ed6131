"""`check_generator` passes every generator that is shipped, and says what is wrong with those that are broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from fake_llm import always, answer
from handmade import random_answers, random_task
from sensecf import metrics
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.candidates import Candidates
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.generators import NAMES, Context, build, check
from sensecf.generators.search import Effort
from sensecf.generators.tuned import table_shape
from sensecf.llm.language.brief import BRIEF_VERSION
from sensecf.testing import check_generator, check_metric


@pytest.fixture(scope="module")
def task() -> Task:
    made = random_task(people=120)
    return Task(made.schema, made.train, fit_classifier("xgboost", made.schema, made.train))


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_generator_keeps_the_protocol(name: str, task: Task, tmp_path: Path) -> None:
    options: dict[str, Any] = {"effort": Effort(beam=2, edits=16, depth=3, neighbours=3, keep=3), "seconds": 60.0}
    if name == "tiny":
        torch = pytest.importorskip("torch")
        assert torch
        from sensecf.generators.tiny.tiny import Recipe

        options["recipe"] = Recipe(pairs=60, epochs=1, rounds=1, round_queries=8, samples=4)
    if name in ("prompted", "tuned"):
        options |= {"llm": always(answer(x0=3.0, kind="b")), "samples": 2}
    wording = f"brief {BRIEF_VERSION}"
    record = {
        "base": "base",
        "full": False,
        "wording": wording,
        "schema": table_shape(task.schema),
        "pairs": {"order": task.schema.names},
    }
    (tmp_path / "tuned.json").write_text(json.dumps(record))
    context = Context(model=tmp_path, options=options)
    if name.startswith(("dice", "treecf")):
        pytest.importorskip({"dice": "dice_ml"}.get(name.partition("-")[0], "treecf"))
    if name.startswith(("cfnow", "dice")):  # whose many questions a booster answers slowly
        task = Task(task.schema, task.train, fit_classifier("logistic", task.schema, task.train))
    check(name, context)
    check_generator(lambda task, seed: build(name, task, context), task)


class Honest:
    """Says of everybody that there is nothing."""

    name = "honest"

    def __init__(self, task: Task, seed: int = 0) -> None:
        self.task = task

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        return self.give(query, np.full_like(query.rows, np.nan), "nothing", rng)

    def give(self, query: Query, rows: Any, reason: str, rng: np.random.Generator) -> Candidates:
        return Candidates.of(np.arange(len(query)), rows, self.name, [reason] * len(query))


def broken(change: Callable[[Task, Query, np.random.Generator], Any], **attributes: Any) -> type:
    """A generator with a fault."""

    def propose(self: Any, query: Query, rng: np.random.Generator) -> Any:
        made = change(self.task, query, rng)
        return made if not isinstance(made, np.ndarray) else self.give(query, made, "", rng)

    return type("Broken", (Honest,), {"propose": propose, **attributes})


def moved(query: Query) -> np.ndarray:
    rows = query.rows.copy()
    rows[:, 0] = np.where(rows[:, 0] > 0, -2.0, 2.0)  # what the training rows show, and further than a quarter of it
    return rows


def spoiled(task: Task, query: Query, rng: np.random.Generator) -> Any:
    query.rows[:, 0] = 0.0
    return Honest(task).propose(query, rng)


BROKEN = {
    "its `name` is None": broken(lambda t, q, r: q.rows.copy(), name=None),
    "not `Candidates`": broken(lambda t, q, r: [1]),
    "rows of shape": broken(lambda t, q, r: q.rows[:, :2].copy()),
    "`query` must hold positions": broken(lambda t, q, r: Candidates.of(np.arange(len(q)) + 1, q.rows.copy(), "x")),
    "neither a candidate nor a reason": broken(
        lambda t, q, r: Candidates.of(np.arange(len(q))[1:], q.rows[1:].copy(), "x")
    ),
    "is blank in a candidate without a reason": broken(lambda t, q, r: np.full_like(q.rows, np.nan)),
    "infinite": broken(lambda t, q, r: np.where(np.arange(q.rows.shape[1]) == 0, np.inf, q.rows)),
    "no position of a level": broken(lambda t, q, r: np.where(np.arange(q.rows.shape[1]) == 4, 0.5, q.rows)),
    "every second feature locked: feature 'x0' is locked and moves": broken(lambda t, q, r: moved(q)),
    "a quarter of each range allowed: feature 'x0' leaves its range": broken(
        lambda t, q, r: np.where(q.movable, moved(q), q.rows)
    ),
    "one change allowed: 4 features change, of 1": broken(
        lambda t, q, r: t.codec.snap(
            np.where(q.movable & t.codec.numeric, np.where(q.high - q.rows > 0.2, q.rows + 0.2, q.rows - 0.2), q.rows)
        )
    ),
    "it writes to the query's `rows`": broken(spoiled),
    "the same seed gives other candidates": broken(
        lambda t, q, r: Candidates.of(np.arange(len(q)), np.full_like(q.rows, np.nan), "x", [uuid4().hex] * len(q))
    ),
}


@pytest.mark.parametrize("says", BROKEN)
def test_what_is_broken_is_said(says: str, task: Task) -> None:
    with pytest.raises(AssertionError) as raised:
        check_generator(BROKEN[says], task)
    assert says in str(raised.value)


def test_who_says_why_there_is_nothing_keeps_the_protocol(task: Task) -> None:
    check_generator(Honest, task)


# --- metrics -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scorable() -> tuple[Counterfactuals, Task, dict[str, Any]]:
    made = random_task(people=120)
    models = metrics.retrained(made, "bootstrap", 1)
    cfs = replace(random_answers(made, n=2, reach=3.0), asked="hand")
    reference = pd.Series(2.0, index=cfs.factuals.index)
    return cfs, made, {"judges": models, "models": models, "reference": reference}


@pytest.mark.parametrize("name", [name for name, m in metrics.METRICS.items() if m.function is not None])
def test_every_shipped_metric_keeps_the_protocol(name: str, scorable: Any) -> None:
    cfs, made, given = scorable
    check_metric(getattr(metrics, name), cfs, made, **given)


def spoil(scored: metrics.Scored) -> Any:
    scored.after[:, 0] = 0.0
    return scored.series(scored.edits)


WRONG: dict[str, tuple[Callable[[metrics.Scored], Any], dict[str, Any]]] = {
    "gives ndarray, not a Series": (lambda s: s.edits, {"share": False}),
    "one value per answer": (lambda s: s.series(s.edits)[1:], {"share": False}),
    "one value per request": (lambda s: s.series(s.edits), {"share": False, "over": "requests"}),
    "outside of [0, 1]; declare share=False": (lambda s: s.series(s.edits + 1), {}),
    "infinite": (lambda s: s.series(s.edits * np.inf), {"share": False}),
    "writes to `scored.after`": (spoil, {"share": False}),
    "when asked twice": (lambda s: s.series(np.full(len(s), uuid4().int % 2**40)), {"share": False}),
    "the order of the answers": (lambda s: s.series(np.arange(len(s))), {"share": False}),
}


@pytest.mark.parametrize("says", WRONG)
def test_what_is_wrong_with_a_metric_is_said(says: str, scorable: Any) -> None:
    function, declaration = WRONG[says]

    def wrong(scored: metrics.Scored) -> Any:
        """Wrong."""
        return function(scored)

    options: dict[str, Any] = {"over": "answers", "better": "none", "section": "Effort", "title": "Wrong"}
    made = metrics.metric(**{**options, **declaration})(wrong)
    try:
        with pytest.raises(AssertionError) as raised:
            check_metric(made, *scorable[:2])
        assert says in str(raised.value)
    finally:
        del metrics.METRICS["wrong"]


def test_a_function_that_is_not_declared_is_no_metric(scorable: Any) -> None:
    with pytest.raises(AssertionError, match="not declared"):
        check_metric(spoil, *scorable[:2])
