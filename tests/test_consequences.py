"""What is expected to follow from a plan: mechanisms, bands, verdicts, on a small world with known laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from handmade import Stub
from sensecf import InputError, explain
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.rules import Floats, Order
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.generators import Search
from sensecf.pipeline.consequences import Mechanisms

SCHEMA = FeatureSchema(
    (
        Feature("steps", "integer", "actionable", "steps", 0, 30_000, 100),
        Feature("sleep", "integer", "actionable", "min", 100, 700, 1),
        Feature("glucose", "continuous", "mutable", "mg/dL", 40, 300, 0.1, causes=("steps", "sleep"), sign=("-", "-")),
        Feature("pulse", "continuous", "mutable", "bpm", 30, 140, 0.1, causes=("steps", "glucose"), sign=("-", "+")),
    ),
    label="stress",
    classes=("high", "low"),
    target="low",
    person="who",
    rules=(Order(("pulse", "glucose")),),
)


def laws(steps: Floats, sleep: Floats, luck: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Glucose and pulse: one bends, one is a line; each person has a level of their own."""
    glucose = 150 - 12 * np.tanh((steps - 6000) / 3000) - 0.06 * (sleep - 400) + luck[0]
    pulse = 66 - 0.0006 * (steps - 7000) + 0.05 * (glucose - 150) + luck[1]
    return glucose.round(1), pulse.round(1)


def lived(people: int = 80, days: int = 8, seed: int = 0) -> tuple[pd.DataFrame, tuple[Floats, Floats]]:
    rng = np.random.default_rng(seed)
    n = people * days

    def person(spread: float) -> Floats:
        return np.repeat(rng.normal(0, spread, people), days)

    steps = np.clip(7000 + person(1500) + rng.normal(0, 1800, n), 500, 20000).round(-2)
    sleep = np.clip(400 + person(25) + rng.normal(0, 40, n), 200, 600).round()
    luck = person(8) + rng.normal(0, 3, n), person(4) + rng.normal(0, 1.5, n)
    glucose, pulse = laws(steps, sleep, luck)
    frame = pd.DataFrame({"who": np.repeat(np.arange(people), days), "steps": steps, "sleep": sleep})
    frame = frame.assign(glucose=glucose, pulse=pulse)
    return frame.assign(stress=np.where(glucose + pulse > 216, "high", "low")), luck


def calm(X: pd.DataFrame) -> Floats:
    """The more so the lower glucose and pulse are, and the more steps."""
    return np.asarray(1 / (1 + np.exp((X["glucose"] + X["pulse"] - 216) / 6 - (X["steps"] - 7000) / 1500)))


@pytest.fixture(scope="module")
def world() -> tuple[Task, tuple[Floats, Floats]]:
    frame, luck = lived()
    return Task(SCHEMA, frame, Stub(calm)), luck


def acted(task: Task) -> Floats:
    rng = np.random.default_rng(1)
    rows = task.rows.copy()
    rows[:, 0] = np.clip(rows[:, 0] + rng.integers(-20, 30, len(rows)) * 100, 500, 20000)
    rows[:, 1] = np.clip(rows[:, 1] + rng.integers(-40, 60, len(rows)), 200, 600)
    return rows


def test_expected_values_are_nearer_to_the_truth_than_values_left_still(
    world: tuple[Task, tuple[Floats, Floats]],
) -> None:
    task, luck = world
    rows = acted(task)
    found = task.once(Mechanisms).follow(task.rows, rows)
    for j, true in zip((2, 3), laws(rows[:, 0], rows[:, 1], luck), strict=True):
        assert np.abs(found.expected[:, j] - true).mean() <= 0.5 * np.abs(task.rows[:, j] - true).mean()
        covered = (true >= found.low[:, j] - 1e-9) & (true <= found.high[:, j] + 1e-9)
        assert covered.mean() >= 0.85
    assert not task.codec.rules.violated(found.expected).any()
    np.testing.assert_array_equal(found.expected[:, :2], rows[:, :2])


def test_a_result_that_is_set_does_not_answer_and_passes_its_own_value_on(
    world: tuple[Task, tuple[Floats, Floats]],
) -> None:
    task, _ = world
    rows = task.rows[:50].copy()
    rows[:, 2] -= 20
    found = task.once(Mechanisms).follow(task.rows[:50], rows)
    np.testing.assert_array_equal(found.expected[:, 2], rows[:, 2])
    assert (found.expected[:, 3] < rows[:, 3]).all()


def test_who_else_is_asked_about_changes_nothing(world: tuple[Task, tuple[Floats, Floats]]) -> None:
    task, _ = world
    rows, mechanisms = acted(task), task.once(Mechanisms)
    whole = mechanisms.follow(task.rows, rows)
    alone = mechanisms.follow(task.rows[7:8], rows[7:8])
    for name in ("expected", "low", "high"):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(whole, name)[7])


def test_without_causes_nothing_follows_and_the_columns_are_blank(world: tuple[Task, tuple[Floats, Floats]]) -> None:
    task, _ = world
    plain = replace(SCHEMA, features=tuple(replace(f, causes=(), sign=()) for f in SCHEMA.features))
    bare = Task(plain, task.train, task.classifier)
    assert not bare.once(Mechanisms)
    found = explain(bare, Search(bare), bare.train[bare.judge(bare.rows).predicted == 0].head(5))
    assert found.consequences().empty
    assert found.answers["cautious_valid"].isna().all()
    assert (found.answers["consequences"] == "").all()


def test_a_plan_says_what_follows_and_the_row_as_saved_is_the_actions_alone(
    world: tuple[Task, tuple[Floats, Floats]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    task, _ = world
    people = task.train[task.judge(task.rows).predicted == 0].head(30)
    found = explain(task, Search(task), people, consequences="cautious")
    answers = found.answers
    assert len(answers) >= 20
    assert answers["cautious_valid"].all()
    assert answers["expected_valid"].all()
    np.testing.assert_array_equal(
        answers[["glucose", "pulse"]], found.factuals.loc[answers["query"], ["glucose", "pulse"]]
    )
    assert (task.judge(task.codec.encode(answers)).predicted == 1).all()
    told = found.consequences()
    assert {"glucose", "pulse"} == set(told["feature"])
    assert ((told["low"] <= told["expected"]) & (told["expected"] <= told["high"])).all()
    assert "glucose" in found.plans()["expected"].iloc[0]
    folder = tmp_path_factory.mktemp("answers")
    found.save(folder)
    pd.testing.assert_frame_equal(Counterfactuals.load(folder).consequences(), told, check_dtype=False)


def test_a_plan_that_its_consequences_would_undo_is_no_plan(world: tuple[Task, tuple[Floats, Floats]]) -> None:
    task, _ = world
    backwards = Task(SCHEMA, task.train, Stub(lambda X: np.where((X["steps"] > 9000) & (X["glucose"] > 140), 0.9, 0.1)))
    people = task.train[(task.train["steps"] < 7000) & (task.train["glucose"].between(141, 145))].head(10)
    plain = explain(backwards, Search(backwards), people)
    assert not plain.answers["cautious_valid"].all()
    found = explain(backwards, Search(backwards), people, consequences="cautious")
    assert found.abstentions["reason"].str.contains("what is expected to follow").any()
    assert found.answers["cautious_valid"].all()


@pytest.mark.parametrize(
    ("causes", "sign", "words"),
    [
        (("nothing",), (), "no feature of the schema"),
        (("steps", "steps"), (), "listed twice"),
        (("steps",), ("+", "-"), "one for each"),
        (("steps",), ("up",), "unknown"),
        (("pulse",), (), "circle"),
    ],
)
def test_causes_that_cannot_be_meant_are_refused(causes: tuple[str, ...], sign: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SCHEMA.edit(glucose={"causes": causes, "sign": sign})
