"""RobX and BetaRCE: their scores, where they stop, and what they state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.generators import Context, build
from sensecf.generators.betarce import BetaRCE
from sensecf.generators.robx import RobX

NAMES = ["robx", "robx-search", "betarce", "betarce-search"]


def asked(task: Task, count: int = 12, **limits: Any) -> Query:
    """People whom the classifier does not put in the target class."""
    goal = task.target_position(task.default_target())
    rows = task.rows[task.judge(task.rows).predicted != goal][:count]
    return Limits(**{"edit": "mutable", **limits}).query(task, rows)


def found(generator: Any, query: Query) -> Any:
    return generator.propose(query, np.random.default_rng(0))


def test_the_stability_is_the_mean_less_the_deviation_of_the_probability_around_a_row(numeric_task: Task) -> None:
    made = RobX(numeric_task, draws=4000)
    rows = numeric_task.rows[:5]
    spread = numeric_task.observed_high - numeric_task.observed_low
    around = rows[:, None] + 0.1 * spread * np.random.default_rng(7).standard_normal((5, 4000, 4))
    chance = numeric_task.judge(around.reshape(-1, 4)).proba[:, 1].reshape(5, -1)
    expected = chance.mean(axis=1) - chance.std(axis=1)
    assert made.stability(rows, np.ones(5, dtype=np.intp)) == pytest.approx(expected, abs=0.03)


def test_robx_answers_are_steadier_than_tau_and_those_that_were_already_stay(numeric_task: Task) -> None:
    query = asked(numeric_task)
    made = RobX(numeric_task, tau=0.75)
    answers, before = found(made, query), found(made.base, query)
    assert (answers.reason == "").all()
    assert (made.stability(answers.rows, query.target) > 0.75).all()
    steady = made.stability(before.rows, query.target) > 0.75
    assert np.array_equal(answers.rows[steady], before.rows[steady])
    assert not np.array_equal(answers.rows[~steady], before.rows[~steady])


def test_a_higher_tau_leads_farther(numeric_task: Task) -> None:
    query = asked(numeric_task)
    near, far = (
        verify(numeric_task, query, found(RobX(numeric_task, tau=tau), query)).proximity.mean() for tau in (0.5, 0.85)
    )
    assert near < far


def test_a_tau_that_no_row_reaches_is_a_reason(numeric_task: Task) -> None:
    answers = found(RobX(numeric_task, tau=0.99999), asked(numeric_task, 3))
    assert np.isnan(answers.rows).all()
    assert all("reaches a stability of 0.99999" in reason for reason in answers.reason)


def test_betarce_answers_have_the_bound_that_they_were_grown_to(numeric_task: Task) -> None:
    query = asked(numeric_task)
    made = BetaRCE(numeric_task, jurors=16, delta=0.8)
    answers = found(made, query)
    assert (answers.reason == "").all()
    assert (made.bound(answers.rows, query.target) > 0.8).all()
    first = found(made.base, query)
    stay = made.bound(first.rows, query.target) > 0.8
    assert np.array_equal(answers.rows[stay], first.rows[stay])


def test_the_bound_is_the_quantile_of_a_beta_posterior(numeric_task: Task) -> None:
    made = BetaRCE(numeric_task, jurors=8, delta=0.5, confidence=0.9)
    sure = numeric_task.rows[numeric_task.rows[:, :2].sum(axis=1).argmax()][None]
    assert made.bound(sure, np.array([1])) == pytest.approx(beta.ppf(0.1, 8.5, 0.5))
    assert made.bound(sure, np.array([0])) == pytest.approx(beta.ppf(0.1, 0.5, 8.5))


def test_every_row_that_a_refit_judges_is_a_cost(numeric_task: Task) -> None:
    made = BetaRCE(numeric_task, jurors=8, delta=0.5)
    before = numeric_task.rows_judged
    made.bound(numeric_task.rows[:3], np.ones(3, dtype=np.intp))
    assert numeric_task.rows_judged - before == 3 * 8


def test_too_few_refits_for_the_bound_are_refused_with_what_to_do(numeric_task: Task) -> None:
    with pytest.raises(InputError, match="take more jurors or a smaller delta"):
        BetaRCE(numeric_task, jurors=4, delta=0.9)


@pytest.mark.parametrize(("made", "options"), [(RobX, {"tau": 1.5}), (RobX, {"draws": 1}), (BetaRCE, {"delta": 2.0}),
                                               (BetaRCE, {"base": "dice"}), (RobX, {"base": "dice"})])  # fmt: skip
def test_options_that_no_rival_can_have_are_refused(numeric_task: Task, made: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        made(numeric_task, **options)


@pytest.mark.parametrize("name", NAMES)
def test_behind_the_rule_filter_every_answer_is_valid_and_breaks_nothing(name: str, mixed_task: Task) -> None:
    query = asked(mixed_task, 8, lock=("coffee",))
    options = {"filter_rules": True, "tau": 0.55, "delta": 0.7, "jurors": 8}
    answers = found(build(name, mixed_task, Context(options=options)), query)
    kept = answers.take(answers.reason == "")
    assert len(kept)
    assert verify(mixed_task, query, kept).good.all()


@pytest.mark.parametrize("name", ["robx", "betarce"])
def test_a_budget_of_changes_is_kept(name: str, numeric_task: Task) -> None:
    query = asked(numeric_task, 8, max_changes=2)
    answers = found(build(name, numeric_task, Context(options={"tau": 0.6})), query)
    changed = numeric_task.codec.changed(query.rows[answers.query], answers.rows)[answers.reason == ""]
    assert len(changed)
    assert (changed.sum(axis=1) <= 2).all()


def test_nobody_asked_is_nobody_answered(numeric_task: Task) -> None:
    query = asked(numeric_task).take(slice(0))
    assert math.prod(found(RobX(numeric_task), query).rows.shape) == 0
    assert len(found(BetaRCE(numeric_task, jurors=32), query)) == 0
