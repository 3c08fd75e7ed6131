"""Plans that hold: exact bounds, a sequence that stops where it must, jurors that only count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from handmade import Stub, calm, hand_task, random_task
from sensecf import Feature, FeatureSchema, Limits, explain, fit_classifier
from sensecf.core.errors import InputError, SenseCFWarning
from sensecf.core.task import Task
from sensecf.generators import Search
from sensecf.pipeline.hold import MARGINS, Holding, choose, confidence_of, landed, lower_bound, passes


@given(st.integers(1, 200), st.integers(0, 200))
def test_the_bound_is_that_of_clopper_and_pearson(of: int, held: int) -> None:
    held = min(held, of)
    exact = binomtest(held, of, alternative="greater").proportion_ci(0.95, method="exact").low
    assert lower_bound(held, of) == pytest.approx(exact, abs=1e-9)


def test_59_of_59_are_the_least_for_95_of_100_with_95_confidence() -> None:
    assert passes(59, 59, 0.95)
    assert lower_bound(58, 58) < 0.95
    assert not passes(58, 59, 0.95)
    assert passes(92, 93, 0.95)
    assert confidence_of(59, 59, 0.95) == pytest.approx(1 - 0.95**59)


def test_the_sequence_ends_at_the_first_margin_that_falls_short() -> None:
    seen: list[float] = []

    def people(margin: float) -> tuple[int, int]:
        seen.append(margin)
        return 80, 80 if margin >= 0.5 or margin == 0.3 else 60  # what comes after a failure does not count

    chosen = choose(people, 0.95)
    assert chosen.margin == 0.5
    assert chosen.certified
    assert 0.3 not in seen


def test_margins_that_too_few_can_reach_are_no_failures() -> None:
    chosen = choose(lambda margin: (10, 9) if margin > 0.6 else (70, 70 if margin > 0.35 else 50), 0.95)
    assert (chosen.margin, chosen.certified) == (0.4, True)


def test_the_sequence_begins_where_one_person_may_disagree_unless_that_is_much_less_strict() -> None:
    assert not passes(69, 70, 0.95)
    assert passes(92, 93, 0.95)
    assert not passes(91, 92, 0.95)
    near = choose(lambda margin: (70, 69) if margin > 0.7 else (110, 109), 0.95)
    assert (near.margin, near.certified, near.tried[0]) == (0.0, True, (0.7, 110, 109))
    far = choose(lambda margin: (70, 70) if margin > 0.5 else (110, 50), 0.95)
    assert (far.margin, far.certified, far.tried[0]) == (0.55, True, (0.9, 70, 70))


def test_with_fewer_than_59_people_the_confidence_that_is_reached_is_said_and_nothing_is_certified() -> None:
    chosen = choose(lambda margin: (20, 20 if margin >= 0.4 else 19), 0.95)
    assert (chosen.margin, chosen.certified) == (0.4, False)
    assert chosen.confidence == pytest.approx(1 - 0.95**20)


def test_nobody_to_calibrate_on_gives_no_people_and_no_certificate() -> None:
    chosen = choose(lambda margin: (0, 0), 0.95)
    assert (chosen.people, chosen.certified) == (0, False)


@given(st.lists(st.integers(0, 100), min_size=len(MARGINS), max_size=len(MARGINS)), st.integers(0, 100))
def test_a_certificate_always_has_its_bound(held: list[int], of: int) -> None:
    told = dict(zip(MARGINS, (min(one, of) for one in held), strict=True))
    chosen = choose(lambda margin: (of, told[margin]), 0.95)
    if chosen.certified:
        assert lower_bound(told[chosen.margin], of) >= 0.95
    else:
        assert chosen.low < 0.95


@pytest.fixture(scope="module")
def task() -> Task:
    base = random_task(people=160)
    return Task(base.schema, base.train, fit_classifier("logistic", base.schema, base.train))


def people(task: Task, count: int = 25) -> pd.DataFrame:
    bad = task.train[task.judge(task.rows).predicted == 0]
    return bad.head(count).reset_index(drop=True)


@pytest.fixture(scope="module")
def found(task: Task) -> Any:
    return explain(task, Search(task), people(task), hold=0.9, jurors=20)


def test_what_is_returned_has_the_share_that_was_asked_for(found: Any) -> None:
    answers = found.answers
    assert len(answers)
    assert (answers["holds"] >= 0.9).all()
    assert ((answers["holds_low"] <= answers["holds"]) & (answers["lands"] <= 1)).all()
    assert answers["valid"].all()


def test_the_counts_are_those_of_jurors_that_took_no_part(task: Task, found: Any) -> None:
    held = task.once(Holding).of(1, Limits(hold=0.9))
    assert held is not None
    rows = task.codec.encode(found.answers)
    votes = held.jury.votes(rows)[held.raising :]
    assert np.allclose((votes == 1).mean(axis=0), found.answers["holds"], atol=1e-6)


# --- who has no steady answer ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def held(task: Task, found: Any) -> Any:
    return task.once(Holding).of(1, Limits(hold=0.9))


def test_a_plan_is_steadier_the_wider_its_jurors_agree_and_not_at_all_where_too_few_do(task: Task, held: Any) -> None:
    rows, target = task.rows, np.ones(len(task.rows), dtype=np.intp)
    leads = held.jury.leads(rows, target, slice(0, held.raising))
    steadiness = held.steadiness(rows, target)
    agree = (leads > 0).mean(axis=0)
    assert ((steadiness < 0) == (agree < held.hold)).all()
    sure = agree >= held.hold
    assert steadiness[sure] == pytest.approx((leads.mean(axis=0) / leads.std(axis=0))[sure])
    assert steadiness[~sure] == pytest.approx(agree[~sure] - 1)
    assert sure.any()
    assert not sure.all()


def test_what_counts_as_steady_grows_with_the_share_that_is_asked_for(held: Any) -> None:
    asked = [replace(held, hold=share).steady for share in (0.4, 0.5, 0.8, 0.95, 0.99)]
    assert asked == sorted(asked)
    assert asked[:2] == [0.0, 0.0]
    assert asked[3] == pytest.approx(2.74, abs=0.01)


def test_leads_are_those_of_the_votes(task: Task, held: Any) -> None:
    target = np.ones(len(task.rows), dtype=np.intp)
    leads, votes = held.jury.leads(task.rows, target), held.jury.votes(task.rows)
    assert np.array_equal(leads[votes >= 0] > 0, votes[votes >= 0] == 1)


def test_in_company_the_class_is_the_classifiers_and_the_probabilities_are_the_mean(task: Task, held: Any) -> None:
    others = [lambda rows, one=one: one(rows).proba for one in held.jury.opinions[:3]]
    company, before = task.in_company(others), task.rows_judged
    told, alone = company.judge(task.rows), task.judge(task.rows)
    assert task.rows_judged - before == 5 * len(task.rows)  # four in company, and once alone
    assert np.array_equal(told.predicted, alone.predicted)
    assert told.proba == pytest.approx((alone.proba + sum(other(task.rows) for other in others)) / 4)


def shaky(people: int, most: float, seed: int) -> Task:
    """A small table with much noise and boosted trees, where refits disagree and a person can be asked for little."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(people, 4)).round(1), columns=list("abcd"))
    noise = rng.logistic(size=people) * 0.8
    table["y"] = np.where(table["a"] + table["b"] + 0.5 * table["c"] + noise > 0, "good", "bad")
    features = (Feature(n, "continuous", unit="u", low=-5, high=5, step=0.1, most_change=most) for n in "abcd")
    schema = FeatureSchema(tuple(features), label="y", classes=("bad", "good"), target="good")
    task = Task(schema, table, fit_classifier("xgboost", schema, table))
    task.once(Holding).settle(30)
    return task


@pytest.mark.parametrize(("rows", "most", "seed"), [(300, 1.0, 1), (200, 1.5, 0)])
def test_the_search_in_company_finds_plans_where_there_were_none(
    rows: int, most: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = shaky(rows, most, seed)
    with_company = explain(task, Search(task), people(task, 60), hold=0.95)
    monkeypatch.setattr("sensecf.pipeline.held.HALVINGS", 0)
    without = explain(task, Search(task), people(task, 60), hold=0.95)
    answers = with_company.answers
    assert len(answers) > len(without.answers)
    assert (answers["holds"] >= 0.95).all()
    # Valid by the classifier alone, whoever else was asked.
    assert (task.judge(task.codec.encode(answers), final=True).predicted == 1).all()


def test_nobody_but_a_search_that_was_asked_is_led_by_jurors() -> None:
    task = shaky(200, 1.5, 0)
    asked = people(task, 25)
    alone = explain(task, "nearest", asked, hold=0.95)
    assert set(alone.answers["generator"]) <= {"nearest"}
    behind = explain(task, "nearest", asked, hold=0.95, fallback="search")
    assert set(behind.answers["generator"]) <= {"nearest", "search"}
    assert len(behind.answers) >= len(alone.answers)


def test_an_abstention_says_how_many_refits_the_nearest_plan_holds_in(task: Task) -> None:
    tight = explain(task, Search(task), people(task), hold=0.9, jurors=20, max_changes=1)
    words = tight.abstentions["reason"]
    assert words.str.contains(r"no plan that would hold .* holds in \d+ of 13 refits").any()
    assert tight.abstentions[["holds", "holds_low", "lands"]].isna().all(axis=None)


def test_the_same_call_gives_the_same_answers_in_any_order_of_rows(task: Task, found: Any) -> None:
    again = explain(task, Search(task), people(task).iloc[::-1], hold=0.9, jurors=20)
    first, second = (
        one.frame.drop(columns="seconds").sort_values("query").reset_index(drop=True) for one in (found, again)
    )
    pd.testing.assert_frame_equal(first, second)


def test_hold_0_is_the_boundary_answer_and_fits_nothing(task: Task) -> None:
    fresh = Task(task.schema, task.train, task.classifier)
    boundary = explain(fresh, Search(fresh), people(task), hold=0)
    assert fresh.once(Holding)._jury is None
    assert boundary.answers["holds"].isna().all()


def test_a_classifier_that_cannot_be_fitted_again_gives_boundary_answers_and_says_so() -> None:
    closed = hand_task()
    answers = explain(closed, Search(closed), closed.train.head(2), hold=0.95)
    assert "has no fit" in answers.cost["no_jury"]
    assert answers.answers["holds"].isna().all()
    assert isinstance(closed.classifier, Stub)
    assert calm is closed.classifier.chance


def test_hold_outside_of_0_to_1_is_refused() -> None:
    with pytest.raises(InputError, match="hold must lie in"):
        Limits(hold=1.0)


def test_people_land_off_in_what_they_change_and_nowhere_else(task: Task) -> None:
    before = task.rows[:20]
    rows = before.copy()
    rows[:, 0] = np.clip(rows[:, 0] + 1, -5, 5)
    off = landed(task, before, rows, 3)
    assert np.array_equal(off[:, 1:], rows[:, 1:], equal_nan=True)
    assert (off[:, 0] != rows[:, 0]).any()
    assert np.array_equal(off[:1], landed(task, before[:1], rows[:1], 3), equal_nan=True)


def test_a_jury_and_its_margins_are_found_again_and_nothing_is_fitted_twice(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Task(task.schema, task.train, task.classifier)
    first.once(Holding).settle(12, folder=tmp_path)
    before = first.once(Holding).of(1, Limits(hold=0.9))
    monkeypatch.setattr("sensecf.classifiers.jury.refit", None)
    monkeypatch.setattr("sensecf.pipeline.hold.calibrate", None)
    second = Task(task.schema, task.train, task.classifier)
    second.once(Holding).settle(12, folder=tmp_path)
    after = second.once(Holding).of(1, Limits(hold=0.9))
    assert before is not None
    assert after is not None
    assert after.calibration == before.calibration


@pytest.mark.parametrize("rows", [20, 60])
def test_small_tables_and_those_without_people_are_answered(rows: int) -> None:
    rng = np.random.default_rng(0)
    base = random_task(people=200)
    schema = base.schema
    schema = type(schema)(schema.features, schema.label, schema.classes, schema.target)
    train = base.train.iloc[rng.permutation(200)[:rows]].reset_index(drop=True)
    small = Task(schema, train, fit_classifier("logistic", schema, train))
    found = explain(small, Search(small), people(base, 5), hold=0.9, jurors=8)
    assert set(found.frame["query"]) == set(range(5))
    assert not found.cost["hold"]["certified"] or found.cost["hold"]["people"] >= 29


def test_the_first_plan_of_the_page_is_the_first_answer_of_explain_and_says_how_often_it_holds(task: Task) -> None:
    from sensecf.web.asking import answer
    from sensecf.web.cohort import Cohort, encode_people
    from sensecf.web.plans import Inquiry
    from sensecf.web.ranking import rank
    from sensecf.web.robust import robustness

    task.once(Holding).settle(20)
    asked = people(task, 6)
    rows, roster, _ = encode_people(task, asked)
    cohort = Cohort(task, Search(task), Search(task), "good", rows, roster, {}, hold=0.9)
    shown = 0
    asks = [Inquiry(cohort.person_of(k).number, (k,), Limits(hold=0.9)) for k in range(len(rows))]
    for person, pool in enumerate(answer(cohort, asks)):
        found = explain(task, Search(task), asked.iloc[[person]], "good", fallback=Search(task), hold=0.9).answers
        first = rank(cohort, pool, "effort", {}, 1)
        assert len(first) == len(found)
        for plan in first:
            assert np.array_equal(plan.row, task.codec.encode(found)[0], equal_nan=True)
            assert plan.holds == found["holds"].iloc[0]
            told = robustness(cohort, plan, lambda share: None)
            assert told.held / told.refits == pytest.approx(plan.holds, abs=1e-6)
            shown += 1
        assert pool.plans or "no plan that would hold" in pool.reason or pool.reason
    assert shown


# --- what is not an answer's business ---------------------------------------------------------------


def test_a_folder_that_cannot_be_written_ends_nothing_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder is wanted")
    task = random_task(people=80)
    holding = task.once(Holding)
    holding.settle(5, folder=tmp_path / "file" / "cache")
    with pytest.warns(SenseCFWarning, match="the jury is not kept in .*; the next run fits it again"):
        held = holding.of(0, Limits(hold=0.9))
    assert held is not None
    assert len(held.jury) == 5
    assert (tmp_path / "file").read_text() == "a file where a folder is wanted"


def test_the_cache_of_another_way_to_find_margins_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    holding = Holding(random_task(people=40))
    holding.settle(None, cache=tmp_path)
    before = holding.folder
    holding.settle(None, cache=tmp_path)
    assert holding.folder == before
    monkeypatch.setattr("sensecf.pipeline.hold.PROCEDURE", 0)
    holding.settle(None, cache=tmp_path)
    assert holding.folder != before
