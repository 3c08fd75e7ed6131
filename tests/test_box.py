"""The box around a plan: whoever lands inside stays in the target class."""

from __future__ import annotations

import numpy as np
import pytest

from boundary import explain
from handmade import hand_task, random_task
from sensecf import fit_classifier
from sensecf.core.task import Task
from sensecf.generators import Search
from sensecf.pipeline.box import Side, box_of, words


@pytest.mark.parametrize("name", ["logistic", "random-forest", "xgboost"])
def test_whoever_lands_in_the_box_stays_in_the_target_class(name: str) -> None:
    base = random_task(people=160)
    task = Task(base.schema, base.train, fit_classifier(name, base.schema, base.train))
    asked = task.train[task.judge(task.rows).predicted == 0].head(8).reset_index(drop=True)
    answers = explain(task, Search(task), asked, margin=0.3).answers
    rng = np.random.default_rng(0)
    wide = 0
    for at, query in enumerate(answers["query"]):
        before, after = task.codec.encode(asked)[int(query)], task.codec.encode(answers)[at]
        sides = box_of(task, before, after, 1)
        rows = np.repeat(after[None], 300, axis=0)
        for side in sides:
            j = task.schema.columns[side.feature]
            assert side.low <= after[j] <= side.high
            rows[:, j] = task.codec.snap_column(rng.uniform(side.low, side.high, 300), np.full(300, j))
            rows[:2, j] = side.low, side.high
            wide += side.high > side.low
        assert (task.judge(rows).predicted == 1).all()
    assert wide > len(answers) // 2


def test_a_classifier_that_cannot_be_looked_into_has_no_box() -> None:
    task = hand_task()
    assert box_of(task, task.rows[0], task.rows[4], 1) == []


def test_a_box_is_said_as_people_say_it() -> None:
    task = hand_task()
    said = words(task, [Side("steps", 8000, 20_000), Side("deep", 0, 50), Side("sleep", 380, 430)])
    assert said == "steps 8,000 steps or more; deep 50.0 min or less; sleep 380 to 430 min"
