"""Every metric on rows worked out by hand, against slow loops, and against the known traps."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from handmade import BASE, SCHEMA, TRAIN, Stub, answers, calm, hand, hand_task, random_answers, random_task
from sensecf import metrics
from sensecf.core.codec import Codec
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.rules import Total
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.metrics.model import SHARES
from sensecf.runs.compare.scores import score
from sensecf.runs.compare.tables import more
from sensecf.runs.report import report

VALID = {"steps": 8000}
INVALID = {"steps": 5000}


# --- requests ----------------------------------------------------------------------------


def test_validity_counts_requests_and_an_abstention_is_a_zero() -> None:
    cfs = answers(SCHEMA, dict.fromkeys("abcd", BASE), [("a", 1, VALID), ("b", 1, INVALID), ("c", None, {})])
    assert metrics.validity(cfs, hand_task()).to_dict() == {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0}


def test_coverage_counts_what_is_answered_at_all() -> None:
    cfs = answers(SCHEMA, dict.fromkeys("abcd", BASE), [("a", 1, VALID), ("b", 1, INVALID), ("c", None, {})])
    assert metrics.coverage(cfs, hand_task()).to_dict() == {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0}


def test_validity_of_a_menu_is_the_share_of_its_answers() -> None:
    cfs = answers(SCHEMA, {0: BASE}, [(0, 1, VALID), (0, 2, INVALID)])
    assert metrics.validity(cfs, hand_task()).to_list() == [0.5]


def test_a_tie_is_not_valid() -> None:
    assert metrics.validity(hand({"steps": 7000}), hand_task()).to_list() == [0.0]


def test_success_wants_everything_at_once() -> None:
    cfs = hand(
        {"steps": 8000},  # good
        {"steps": 5000},  # not valid
        {"steps": 8000, "deep": 50.0, "sleep": 420.0, "device": "ring"},  # four changes
        {"steps": 9500},  # beyond the training range
        {"steps": 8050},  # no multiple of its step
    )
    assert metrics.success(cfs, hand_task()).to_list() == [1, 0, 0, 0, 0]
    assert metrics.success(cfs, hand_task(), m=4).to_list() == [1, 0, 0, 0, 0]  # the budget of the schema is 3


def test_success_is_no_farther_than_the_reference() -> None:
    cfs = hand({"steps": 8000}, {"steps": 8000}, {"steps": 8000})  # each 4000 / 2000 = 2 away
    reference = pd.Series({0: 1.9, 1: 2.0})  # nothing known of query 2
    assert metrics.success(cfs, hand_task(), reference=reference).to_list() == [0.0, 1.0, 1.0]


def test_success_looks_at_the_answer_of_lowest_rank() -> None:
    cfs = answers(SCHEMA, {0: BASE, 1: BASE}, [(0, 2, INVALID), (0, 1, VALID), (1, 1, INVALID), (1, 2, VALID)])
    assert metrics.success(cfs, hand_task()).to_dict() == {0: 1.0, 1: 0.0}


def test_seconds_are_those_of_the_request() -> None:
    cfs = answers(SCHEMA, {0: BASE, 1: BASE}, [(0, 1, VALID), (0, 2, VALID)])
    assert metrics.seconds(cfs, hand_task()).to_dict() == pytest.approx({0: 0.25, 1: math.nan}, nan_ok=True)


# --- feasibility -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "broken"),
    [
        ({"steps": 8000}, []),
        ({"age": 49}, ["locked"]),
        ({"steps": 3000}, ["direction"]),
        ({"deep": 95.0}, ["max_change"]),
        ({"steps": 20_100}, ["range"]),
        ({"steps": 4150}, ["step"]),
        ({"steps": 8000, "deep": 31.0, "sleep": 401.0, "device": "ring"}, ["budget"]),
        ({"sleep": 100.0, "deep": 90.0}, []),
        ({"sleep": 100.0}, []),
        ({"sleep": 101.0, "deep": 90.5}, ["max_change"]),
        ({"deep": np.nan}, ["locked"]),
    ],
)
def test_each_check_finds_what_it_is_for(edit: dict[str, Any], broken: list[str]) -> None:
    found = metrics.breaches(hand(edit), hand_task()).iloc[0]
    assert found.index[found].to_list() == broken
    assert metrics.feasible(hand(edit), hand_task()).iloc[0] == float(not broken)


def test_a_rule_is_judged_on_the_saved_row() -> None:
    base = {**BASE, "deep": 110.0, "sleep": 120.0}
    cfs = hand({"deep": 120.0}, {"deep": 120.5}, base=base)
    assert metrics.breaches(cfs, hand_task())["deep <= sleep"].to_list() == [False, True]
    assert metrics.rules_kept(cfs, hand_task()).to_list() == [1.0, 0.0]


def test_rules_kept_is_undefined_without_rules() -> None:
    schema = replace(SCHEMA, rules=())
    assert metrics.rules_kept(hand(VALID, schema=schema), hand_task(schema)).isna().all()


def test_a_rule_that_the_factual_broke_already_still_counts() -> None:
    base = {**BASE, "deep": 150.0, "sleep": 120.0}
    assert metrics.feasible(hand(VALID, base=base), hand_task()).to_list() == [0.0]


def test_the_limits_of_a_person_are_held_against_the_answer_when_they_are_given() -> None:
    task, cfs = hand_task(), hand({"steps": 8000}, {"deep": 60.0})
    query = make_query(task, cfs.factuals, lock=["steps"])
    assert metrics.feasible(cfs, task).to_list() == [1.0, 1.0]
    assert metrics.feasible(cfs, task, query=query).to_list() == [0.0, 1.0]
    budget = make_query(task, cfs.factuals, ranges={"deep": (None, 55)})
    assert metrics.breaches(cfs, task, query=budget)["request"].to_list() == [False, True]


# --- edits -------------------------------------------------------------------------------


def test_changes_are_counted_with_a_tolerance_of_half_a_step() -> None:
    cfs = hand({}, {"steps": 4050}, {"steps": 4051}, {"deep": 30.25}, {"deep": 30.5, "device": "ring"})
    assert metrics.n_changed(cfs, hand_task()).to_list() == [0, 0, 1, 0, 2]


def test_two_blanks_are_equal_and_a_blank_and_a_value_are_not() -> None:
    base = {**BASE, "deep": np.nan}
    assert metrics.n_changed(hand({}, {"deep": 30.0}, base=base), hand_task()).to_list() == [0, 1]


def test_an_edit_is_redundant_when_it_can_be_undone_alone() -> None:
    cfs = hand(
        {"steps": 8000},  # needed
        {"steps": 8000, "device": "ring"},  # the ring is not
        {"steps": 8000, "deep": 60.0},  # either will do: each can be undone alone
        {},
    )
    assert metrics.redundancy(cfs, hand_task()).to_list() == pytest.approx([0.0, 0.5, 1.0, math.nan], nan_ok=True)


def test_an_edit_that_holds_a_rule_is_not_redundant() -> None:
    base = {**BASE, "deep": 110.0, "sleep": 110.0}
    task = Task(SCHEMA, TRAIN, Stub(lambda X: np.where(X["deep"] >= 120, 0.9, 0.1)))
    # Undoing sleep leaves more deep sleep than sleep.
    assert metrics.redundancy(hand({"deep": 120.0, "sleep": 120.0}, base=base), task).to_list() == [0.0]


def test_actionable_share_counts_edits_of_role_actionable() -> None:
    cfs = hand({"steps": 8000}, {"steps": 8000, "sleep": 410.0}, {"sleep": 410.0}, {"age": 51, "deep": 60.0})
    assert metrics.actionable_share(cfs, hand_task()).to_list() == [1.0, 0.5, 0.0, 0.5]


def test_the_change_profile_by_hand() -> None:
    cfs = hand({"steps": 8000}, {"steps": 6000, "deep": 25.0}, {"device": "ring"}, {"deep": 45.0})
    profile = metrics.change_profile(cfs, hand_task())
    assert profile["rate"].to_dict() == {"steps": 0.5, "deep": 0.5, "sleep": 0, "age": 0, "device": 0.25}
    assert profile.loc["deep", ["up", "down"]].to_list() == [0.25, 0.25]
    assert profile.loc["steps", ["effect", "effect_mad", "n"]].to_list() == [3000.0, 1.5, 2]
    assert profile.loc["deep", "effect"] == 5.0
    assert profile.loc[["sleep", "device"], "effect"].isna().all()


def test_entropy_is_0_when_one_feature_takes_all_edits_and_1_when_they_spread() -> None:
    rates = np.array([[0.7, 0, 0, 0], [0.2, 0.2, 0.2, 0.2], [0.5, 0.5, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(metrics.change_entropy(rates), [0.0, 1.0, 0.5, np.nan], atol=1e-12)


# --- proximity ---------------------------------------------------------------------------


def test_distances_by_hand() -> None:
    # steps +4000 is 2 MADs, 1/5 of the schema's range and 1/2 of the training range; deep -10 is
    # 1 MAD, 1/20 and 1/4; another device is 1 everywhere.
    cfs = hand({"steps": 8000, "deep": 20.0, "device": "ring"}, {})
    task = hand_task()
    assert metrics.mad_l1(cfs, task).to_list() == [2 + 1 + 1, 0]
    assert metrics.gower(cfs, task).to_list() == pytest.approx([(0.2 + 0.05 + 1) / 5, 0])
    assert metrics.heom(cfs, task).to_list() == pytest.approx([math.sqrt(0.5**2 + 0.25**2 + 1), 0])


def test_a_feature_without_spread_falls_back_to_the_range() -> None:
    # age is 50 throughout: MAD 0, standard deviation 0, schema range 81.
    assert metrics.mad_l1(hand({"age": 59}), hand_task()).iloc[0] == pytest.approx(9 / 81)


def test_heom_counts_every_unknown_value_as_1_also_two_of_them() -> None:
    base = {**BASE, "deep": np.nan}
    cfs = hand({}, {"deep": 30.0}, base=base)
    assert metrics.heom(cfs, hand_task()).to_list() == [1.0, 1.0]
    assert metrics.mad_l1(cfs, hand_task()).to_list() == [0.0, 1.0]


# --- plausibility ------------------------------------------------------------------------


def test_ranges_by_hand() -> None:
    cfs = hand(
        {"steps": 9000},
        {"steps": 9100},
        {"steps": 6900, "deep": 50.0, "sleep": 420.0},
        {"device": "band"},
        {"steps": 7000, "deep": 50.0, "sleep": 420.0, "device": "ring"},
    )
    task = hand_task()
    assert metrics.in_training_range(cfs, task).to_list() == [1, 0, 1, 0, 1]  # nobody wears a band
    # Among the relaxed: steps 7000 to 9000, deep 50 to 60, sleep 420 to 440, a ring.
    assert metrics.in_class_range(cfs, task).to_list() == [0, 0, 0, 0, 1]


def test_an_odd_value_of_the_factual_is_not_held_against_the_plan() -> None:
    cfs = hand({"steps": 8000}, base={**BASE, "age": 90})
    assert metrics.in_training_range(cfs, hand_task()).to_list() == [0.0]
    assert metrics.plausible(cfs, hand_task()).to_list() == [1.0]


def near_and_far(task: Task) -> Counterfactuals:
    """Twenty real rows of the target class as answers, and twenty on their far side, on one table."""
    real = task.train[task.train["y"] == "good"].head(20)[task.schema.names].to_dict("records")
    far = [{**row, "x2": 4.9, "x3": -4.9} for row in real]
    return answers(task.schema, dict(enumerate(real * 2)), [(i, 1, e) for i, e in enumerate(real + far)], "good")


@pytest.mark.parametrize("metric", [metrics.lof_inlier, metrics.isolation_inlier, metrics.plausible])
def test_inliers_and_outliers_are_told_apart(metric: Any) -> None:
    task = random_task()
    value = metric(near_and_far(task), task).to_numpy()
    assert value[:20].mean() >= 0.8
    assert value[20:].mean() <= 0.05  # the forest has its blind spots


def test_the_knn_ratio_of_real_rows_is_about_one() -> None:
    task = random_task()
    value = metrics.knn_ratio(near_and_far(task), task).to_numpy()
    assert 0.5 < np.median(value[:20]) < 1.2  # each has itself among its neighbours
    assert value[20:].min() > 2


def test_the_knn_ratio_agrees_with_a_slow_loop() -> None:
    task = random_task(people=80)
    cfs = random_answers(task)
    embed = task.once(Scale).embed
    real = embed(task.rows[task.y == task.classes.index("good")])
    rows = embed(metrics.read(cfs, task).after)

    def mean_of_5(point: np.ndarray, others: np.ndarray) -> float:
        return float(np.mean(sorted(math.dist(point, other) for other in others)[:5]))

    typical = np.median([mean_of_5(real[i], np.delete(real, i, axis=0)) for i in range(len(real))])
    np.testing.assert_allclose(metrics.knn_ratio(cfs, task), [mean_of_5(row, real) / typical for row in rows])


def test_the_critic_cannot_tell_real_rows_but_tells_far_ones() -> None:
    task = random_task(people=600)
    rng = np.random.default_rng(0)
    real = task.train[task.train["y"] == "good"]
    half = real.iloc[rng.permutation(len(real))]
    rest, made = half.iloc[100:], half.iloc[:100][task.schema.names].to_dict("records")
    task = Task(task.schema, pd.concat([rest, task.train[task.train["y"] == "bad"]]), task.classifier)
    odd = [{**row, "x2": 3.3} for row in made]
    values = [
        metrics.critic_auc(
            answers(task.schema, dict(enumerate(made)), [(i, 1, r) for i, r in enumerate(rows)], "good"), task
        )
        for rows in (made, odd)
    ]
    assert 0.4 < values[0].mean() < 0.6
    assert values[1].mean() > 0.95


def test_too_few_rows_leave_forest_neighbours_and_critic_undefined() -> None:
    cfs = hand(VALID)
    for metric in (metrics.isolation_inlier, metrics.knn_ratio, metrics.critic_auc):
        assert metric(cfs, hand_task()).isna().all()


# --- diversity ---------------------------------------------------------------------------


def test_diversity_by_hand() -> None:
    cfs = answers(
        SCHEMA,
        {0: BASE, 1: BASE, 2: BASE},
        [
            (0, 1, {"steps": 8000}),
            (0, 2, {"steps": 10_000}),  # 1 MAD from the first, the same set
            (0, 3, {"deep": 60.0}),  # 3 + 2 from the first, 3 + 3 from the second
            (1, 1, {"steps": 8000}),
            (2, 1, {"steps": 8000}),
            (2, 2, {"steps": 8000}),
        ],
    )
    task = hand_task()
    expected = {0: (1 + 5 + 6) / 3, 1: math.nan, 2: 0.0}
    assert metrics.pairwise_distance(cfs, task).to_dict() == pytest.approx(expected, nan_ok=True)
    assert metrics.distinct_actions(cfs, task).to_dict() == pytest.approx({0: 2 / 3, 1: math.nan, 2: 0.5}, nan_ok=True)
    kernel = np.array([[1, 1 / 2, 1 / 6], [1 / 2, 1, 1 / 7], [1 / 6, 1 / 7, 1]])
    expected = {0: np.linalg.det(kernel), 1: math.nan, 2: 0.0}
    assert metrics.dpp(cfs, task).to_dict() == pytest.approx(expected, nan_ok=True)


# --- robustness --------------------------------------------------------------------------


def test_probability_and_margin_are_asked_anew() -> None:
    cfs = hand(VALID, INVALID)
    assert metrics.probability(cfs, hand_task()).to_list() == pytest.approx([0.9, 0.2])
    assert metrics.margin(cfs, hand_task()).to_list() == pytest.approx([0.8, -0.6])


def test_a_cross_fitted_judge_has_not_learned_of_the_person_it_judges() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 3)
    frame = pd.DataFrame({"who": people, "label": rng.permutation(np.repeat(["high", "low"], 30))})
    learned: list[set[int]] = []

    def fit(rows: pd.DataFrame) -> Stub:
        learned.append(set(rows["who"]))
        return Stub(calm)

    found = metrics.cross_fitted(fit, frame, "label", people)
    assert found is not None
    models, fold = found
    assert len(models) == 5
    for who, number in zip(people, fold, strict=True):
        assert who not in learned[number]
    assert metrics.cross_fitted(fit, frame, "label", np.zeros(60)) is None  # one person: nobody else to learn from


def test_each_part_of_a_judge_judges_its_own_fold_and_says_what_was_so_before() -> None:
    yes, no = Stub(lambda X: np.full(len(X), 0.9)), Stub(lambda X: np.full(len(X), 0.1))
    cfs = hand({"steps": 8000}, {"steps": 9000})
    queries = cfs.factuals.index
    judge = metrics.CrossFitted([yes, no], pd.Series(np.arange(len(queries)) % 2, queries))
    assert metrics.judge_validity(cfs, hand_task(), judges={"a": judge}).to_list() == [1.0, 0.0]
    strict = {"strict": Stub(lambda X: np.where(X["steps"] >= 9000, 0.9, 0.1))}
    assert metrics.judge_validity(cfs, hand_task(), judges=strict).to_list() == [0.0, 1.0]
    assert metrics.judge_validity_before(cfs, hand_task(), judges=strict).to_list() == [0.0, 0.0]


def test_judges_vote_and_may_name_their_classes_in_another_order() -> None:
    strict = Stub(lambda X: np.where(X["steps"] >= 9000, 0.9, 0.1))
    reverse = Stub(lambda X: 1 - calm(X), classes=("low", "high"))
    cfs = hand({"steps": 8000}, {"steps": 9000})
    judges = {"strict": strict, "reverse": reverse}
    assert metrics.agreement(metrics.read(cfs, hand_task()), judges).to_numpy().tolist() == [[0, 1], [1, 1]]
    assert metrics.judge_validity(cfs, hand_task(), judges=judges).to_list() == [0.5, 1.0]
    assert metrics.retrain_validity_worst(cfs, hand_task(), models=judges).to_list() == [0.0, 1.0]


@pytest.mark.parametrize("kind", ["seed", "bootstrap", "fewer"])
def test_retrained_models_agree_with_the_first_on_deep_answers_more_than_on_edge_ones(kind: Any) -> None:
    task = random_task()
    models = metrics.retrained(task, kind, count=3)
    assert len(models) == 3
    deep = metrics.retrain_validity(metrics.read(random_answers(task, reach=6.0), task, models=models).valid())
    assert deep.mean() > 0.9


def test_bootstrapped_models_differ_and_seeded_logistic_ones_do_not() -> None:
    task = random_task()
    rows = task.train[task.schema.names]
    spread = {
        kind: np.ptp([m.predict_proba(rows)[:, 1] for m in metrics.retrained(task, kind, 3).values()], axis=0).max()
        for kind in ("seed", "bootstrap")
    }
    assert spread["seed"] < 1e-9 < 0.01 < spread["bootstrap"]


def test_a_classifier_that_cannot_be_cloned_cannot_be_retrained() -> None:
    with pytest.raises(InputError, match="cannot be cloned"):
        metrics.retrained(hand_task(), "seed")


def test_a_frozen_classifier_cannot_be_retrained_and_an_error_of_a_fit_is_one_line() -> None:
    task = random_task()
    with pytest.raises(InputError, match="stays fitted when it is cloned"):
        metrics.retrained(Task(task.schema, task.train, FrozenEstimator(task.classifier)), "seed")

    class Once(LogisticRegression):
        def fit(self, X: Any, y: Any) -> Any:
            raise RuntimeError("a licence\nfor one fit")

    once = Once().set_params()
    once.classes_, once.predict_proba, once.predict = (
        task.classes,
        task.classifier.predict_proba,
        task.classifier.predict,
    )
    with pytest.raises(InputError, match="cannot be fitted on the raw rows: RuntimeError: a licence for one fit"):
        metrics.retrained(Task(task.schema, task.train, once), "bootstrap")


def test_input_noise_harms_the_answer_on_the_edge_and_spares_the_deep_one_and_the_level() -> None:
    cfs = hand({"steps": 8000}, {"steps": 15_000}, {"device": "ring", "deep": 30.0})
    value = metrics.noise_validity(cfs, hand_task()).to_list()
    assert 0.1 <= value[0] <= 0.9
    assert value[1:] == [1.0, 0.0]


def test_noise_moves_changed_numbers_only_and_stays_on_the_grid() -> None:
    task = hand_task()
    read = metrics.read(hand({"steps": 8000, "device": "ring"}), task)
    rows = np.repeat(read.after, 500, axis=0)
    noisy = metrics.perturbed(task, rows, np.repeat(read.changed, 500, axis=0), np.random.default_rng(0))
    assert (noisy[:, 1:] == rows[:, 1:]).all()
    assert (noisy[:, 0] % 100 == 0).all()
    assert np.std(noisy[:, 0]) == pytest.approx(0.1 * np.std([1000, 3000, 5000, 7000, 9000]), rel=0.1)


# --- known traps in others' code ---------------------------------------------------------


def test_trap_carla_a_distance_is_not_its_square() -> None:
    """Twice the change is twice the distance, not four times it."""
    near, far = hand({"steps": 6000, "deep": 35.0}), hand({"steps": 8000, "deep": 40.0})
    for metric in (metrics.mad_l1, metrics.gower, metrics.heom):
        assert metric(far, hand_task()).iloc[0] == pytest.approx(2 * metric(near, hand_task()).iloc[0])


def test_trap_carla_success_is_not_whether_there_was_an_answer() -> None:
    cfs = hand(INVALID, INVALID)
    summary = metrics.summarise(cfs, hand_task())
    assert summary.loc["coverage", "value"] == 1.0
    assert summary.loc["validity", "value"] == 0.0
    assert summary.loc["success_at_3_without_reference", "value"] == 0.0


def test_trap_nice_heom_has_its_root() -> None:
    # Two features over their whole training range: √2, not 2.
    base = {**BASE, "steps": 1000, "deep": 20.0}
    assert metrics.heom(hand({"steps": 9000, "deep": 60.0}, base=base), hand_task()).iloc[0] == pytest.approx(2**0.5)


def test_trap_cel_a_row_left_unchanged_is_not_actionable() -> None:
    cfs = hand({}, {})
    assert metrics.actionable_share(cfs, hand_task()).isna().all()
    assert not metrics.summarise(cfs, hand_task()).loc["actionable_share", "defined"]


def test_trap_robustx_the_lof_check_can_be_true_and_can_be_false() -> None:
    task = random_task()
    assert set(metrics.lof_inlier(near_and_far(task), task)) == {0.0, 1.0}


def test_trap_robustx_about_one_in_twenty_unseen_real_rows_is_an_outlier() -> None:
    table = random_task(people=2000).train
    task = Task(random_task().schema, table.iloc[:1000], random_task().classifier)
    unseen = table.iloc[1000:]
    unseen = unseen[unseen["y"] == "good"][task.schema.names].to_dict("records")
    cfs = answers(task.schema, dict(enumerate(unseen)), [(i, 1, {}) for i in range(len(unseen))], "good")
    assert 0.90 <= metrics.lof_inlier(cfs, task).mean() <= 0.99


def test_trap_dice_random_draws_are_independent_between_features() -> None:
    task = random_task()
    rows = np.zeros((4000, len(task.schema)))
    noisy = metrics.perturbed(task, rows, np.ones(rows.shape, dtype=bool), np.random.default_rng(0))[:, :4]
    correlation = np.corrcoef(noisy.T)[np.triu_indices(4, 1)]
    assert np.abs(correlation).max() < 0.1


def test_trap_dice_a_locked_feature_moved_by_rounding_is_found() -> None:
    base = {**BASE, "age": 50.3}  # rounding makes it 50, less than half a step away
    cfs = hand({"steps": 8000, "age": 50}, {"steps": 8000}, base=base)
    assert metrics.n_changed(cfs, hand_task()).to_list() == [1, 1]
    assert metrics.locks_kept(cfs, hand_task()).to_list() == [0.0, 1.0]
    assert metrics.feasible(cfs, hand_task()).to_list() == [0.0, 1.0]


def test_trap_svc_predict_decides_where_it_disagrees_with_the_probabilities() -> None:
    class Torn(Stub):
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return np.where(super().predict(X) == "low", "high", "low")

    task = Task(SCHEMA, TRAIN, Torn(calm))
    assert metrics.validity(hand(VALID, INVALID), task).to_list() == [0.0, 1.0]


# --- against slow loops ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_vectorised_metrics_agree_with_a_loop_over_rows(seed: int) -> None:
    task = random_task(d=3, seed=seed)
    cfs = random_answers(task, n=2, seed=seed)
    schema, train = task.schema, task.train
    slow: dict[str, list[float]] = {k: [] for k in ("n_changed", "mad_l1", "gower", "heom", "redundancy", "feasible")}
    for _, after in cfs.answers.iterrows():
        before = cfs.factuals.loc[after["query"]]
        changed, l1, gower, square = [], 0.0, 0.0, 0.0
        fine = True
        for f in schema.features:
            a, b = before[f.name], after[f.name]
            if f.numeric:
                assert f.step is not None
                assert f.low is not None
                assert f.high is not None
                column = train[f.name]
                l1 += abs(a - b) / (column - column.median()).abs().median()
                gower += abs(a - b) / (f.high - f.low)
                square += ((a - b) / (column.max() - column.min())) ** 2
                if abs(a - b) > f.step / 2:
                    changed.append(f.name)
                fine &= f.low <= b <= f.high
            else:
                l1, gower, square = l1 + (a != b), gower + (a != b), square + (a != b)
                changed += [f.name] if a != b else []
        undone = 0
        for name in changed:
            trial = pd.DataFrame([after[schema.names]]).assign(**{name: before[name]}).infer_objects()
            undone += task.classifier.predict(trial)[0] == "good"
        slow["n_changed"].append(len(changed))
        slow["mad_l1"].append(l1)
        slow["gower"].append(gower / len(schema))
        slow["heom"].append(math.sqrt(square))
        slow["redundancy"].append(undone / len(changed) if changed else math.nan)
        slow["feasible"].append(float(fine))
    for name, expected in slow.items():
        np.testing.assert_allclose(getattr(metrics, name)(cfs, task), expected, atol=1e-9, err_msg=name)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(12)))
def test_the_order_of_the_rows_changes_no_value(order: list[int]) -> None:
    task = random_task()
    cfs = random_answers(task, queries=12)
    shuffled = replace(cfs, frame=cfs.frame.iloc[order], factuals=cfs.factuals.iloc[order[::-1]])
    for metric in (
        metrics.validity,
        metrics.coverage,
        metrics.mad_l1,
        metrics.heom,
        metrics.redundancy,
        metrics.plausible,
    ):
        pd.testing.assert_series_equal(
            metric(shuffled, task).sort_index(), metric(cfs, task).sort_index(), check_index_type=False
        )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_distances_obey_the_triangle(first: list[float], second: list[float]) -> None:
    task = random_task(d=3)

    def moved(start: dict[str, Any], by: list[float]) -> dict[str, Any]:
        return start | {f"x{j}": start[f"x{j}"] + step for j, step in enumerate(by)}

    a: dict[str, Any] = {"x0": 0.0, "x1": 0.0, "x2": 0.0, "kind": "a"}
    b = moved(a, first)
    c = moved(b, second)
    for metric in (metrics.mad_l1, metrics.gower, metrics.heom):
        ab, bc, ac = (
            metric(answers(task.schema, {0: x}, [(0, 1, y)], "good"), task).iloc[0] for x, y in ((a, b), (b, c), (a, c))
        )
        assert ac <= ab + bc + 1e-9


# --- the whole ---------------------------------------------------------------------------


def test_a_summary_averages_quality_over_valid_answers_and_says_so() -> None:
    cfs = answers(SCHEMA, dict.fromkeys("abcd", BASE), [("a", 1, VALID), ("b", 1, INVALID), ("c", None, {})])
    summary = metrics.summarise(cfs, hand_task())
    assert summary.loc["validity", ["value", "n", "over"]].to_list() == [0.25, 4, "requests"]
    assert summary.loc["coverage", ["value", "n"]].to_list() == [0.5, 4]
    assert summary.loc["feasible", ["value", "n", "over"]].to_list() == [1.0, 2, "answers"]
    assert summary.loc["mad_l1", ["value", "n", "over"]].to_list() == [2.0, 1, "valid answers"]


def test_an_undefined_metric_is_null_with_its_denominator_and_never_left_out() -> None:
    data = metrics.to_json(metrics.summarise(hand(VALID), hand_task()))
    assert data["dpp"] == {
        "value": None, "low": None, "high": None, "n": 0, "defined": False, "direction": "higher",
        "over": "menus", "people": 0,
    }  # fmt: skip
    elsewhere = {*metrics.unknown().index, *(share.name for share in SHARES.values())}  # of the classifier, of a model
    assert set(metrics.METRICS) == set(data) | elsewhere
    json.dumps(data, allow_nan=False)


def test_no_answer_at_all() -> None:
    cfs = answers(SCHEMA, {0: BASE, 1: BASE}, [(0, None, {}), (1, None, {})])
    summary = metrics.summarise(cfs, hand_task())
    assert summary.loc[["validity", "coverage"], "value"].to_list() == [0.0, 0.0]
    assert summary.loc[["validity", "coverage"], "n"].to_list() == [2, 2]
    assert not summary.loc[["feasible", "mad_l1", "plausible", "critic_auc", "change_entropy"], "defined"].any()


def test_no_request_at_all() -> None:
    cfs = hand(VALID)
    empty = Counterfactuals(cfs.frame.iloc[:0], cfs.factuals.iloc[:0], SCHEMA)
    assert not metrics.summarise(empty, hand_task())["defined"].any()


def test_a_summary_comes_back_from_json() -> None:
    summary = metrics.summarise(hand(VALID, INVALID), hand_task())
    pd.testing.assert_frame_equal(
        metrics.from_json(json.loads(json.dumps(metrics.to_json(summary)))), summary, check_dtype=False
    )


def test_intervals_hold_the_value_and_shares_have_a_width_at_the_end() -> None:
    task = random_task()
    summary = metrics.summarise(random_answers(task, queries=60), task)
    known = summary[summary["defined"] & summary["low"].notna()]
    assert ((known["low"] <= known["value"] + 1e-12) & (known["value"] <= known["high"] + 1e-12)).all()
    assert known.loc["locks_kept", "value"] == 1.0
    assert known.loc["locks_kept", "low"] < 1.0


def test_one_person_has_a_value_and_no_interval() -> None:
    cfs = answers(SCHEMA, {0: BASE, 1: BASE}, [(0, 1, VALID), (1, 1, INVALID)])
    row = metrics.summarise(cfs, hand_task()).loc["mad_l1"]
    assert row[["value", "n", "defined"]].to_list() == [2.0, 1, True]
    assert row[["low", "high"]].isna().all()


def test_people_with_several_rows_widen_the_intervals() -> None:
    task = random_task()
    base = {"x0": -1.0, "x1": 0.0, "x2": 0.0, "x3": 0.0, "kind": "a"}
    facts = dict.fromkeys(range(60), base)
    # Three people in six get valid and longer plans throughout.
    edits = [(q, 1, {"x0": 3.0 + 0.1 * (q % 3)} if q // 10 % 2 else {"x2": 0.5}) for q in facts]
    cfs = answers(task.schema, facts, edits, target="good")
    people = pd.Series(np.arange(60) // 10, index=cfs.factuals.index)
    alone, together = metrics.summarise(cfs, task), metrics.summarise(cfs, task, groups=people)
    for name in ("validity", "mad_l1"):
        assert together.loc[name, "value"] == alone.loc[name, "value"]
    width = together["high"] - together["low"]
    assert width["validity"] > 2 * (alone["high"] - alone["low"])["validity"]


def test_same_run_same_summary() -> None:
    task = random_task()
    cfs = random_answers(task)
    pd.testing.assert_frame_equal(metrics.summarise(cfs, task), metrics.summarise(cfs, random_task()))


def test_scoring_costs_the_answers_nothing() -> None:
    task = random_task()
    before = task.rows_judged
    metrics.summarise(random_answers(task), task)
    assert task.rows_judged == before


def test_costs_are_per_answer() -> None:
    cfs = replace(hand(VALID, INVALID), cost={"classifier_rows": 30, "model_tokens": 5})
    summary = metrics.summarise(cfs, hand_task())
    assert summary.loc[["classifier_rows", "model_tokens"], "value"].to_list() == [15.0, 2.5]


def test_optional_views_are_defined_when_their_material_is_given() -> None:
    task = random_task()
    models = metrics.retrained(task, "bootstrap", 2)
    reference = pd.Series(3.0, index=range(30))
    summary = metrics.summarise(random_answers(task), task, judges=models, models=models, reference=reference)
    names = ["judge_validity", "retrain_validity", "retrain_validity_worst", "success_at_3"]
    assert summary.loc[names, "defined"].all()


@pytest.mark.parametrize(
    ("cfs", "message"),
    [
        (answers(SCHEMA, {0: BASE}, [(0, 1, VALID), (0, 1, VALID)]), "query 0 has two answers of rank 1"),
        (replace(hand(VALID), factuals=hand(VALID).factuals.rename({0: 7})), "query 0 has an answer but no factual"),
        (replace(hand(VALID), schema=replace(SCHEMA, rules=(), features=SCHEMA.features[:3])), "different features"),
    ],
)
def test_tables_that_do_not_fit_are_refused(cfs: Counterfactuals, message: str) -> None:
    with pytest.raises(InputError, match=message):
        metrics.validity(cfs, hand_task())


def test_answers_read_back_from_csv_score_the_same(tmp_path: Path) -> None:
    task = random_task()
    cfs = random_answers(task)
    cfs.save(tmp_path)
    back = Counterfactuals(
        pd.read_csv(tmp_path / "counterfactuals.csv"),
        pd.read_csv(tmp_path / "factuals.csv", index_col="query"),
        cfs.schema,
    )
    pd.testing.assert_frame_equal(metrics.summarise(back, task), metrics.summarise(cfs, task))


def test_every_metric_is_documented_with_its_formula_direction_and_source() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name, metric in metrics.METRICS.items():
        way = {"higher": "higher", "lower": "lower", "none": "neither"}[metric.better]
        line = next((line for line in page.splitlines() if line.startswith(f"| `{name}` |")), "")
        assert line, f"docs/metrics.md lacks {name}"
        assert way in line, name
        if metric.function is not None:
            assert "Source: " in str(metric.function.__doc__), name


def test_a_stored_example_scores_as_it_did() -> None:
    task = random_task(d=3, seed=2, people=150)
    cost = {"classifier_rows": 30, "model_tokens": 5}
    cfs = replace(random_answers(task, queries=40, n=2, seed=4), cost=cost, asked="hand")
    found = metrics.summarise(
        cfs, task, query=make_query(task, cfs.factuals, lock=["x1"], max_changes=3),
        models=(models := metrics.retrained(task, "bootstrap", 2)), judges=models,
        reference=pd.Series(2.5, cfs.factuals.index[::2]), groups=pd.Series(np.arange(40) // 3, cfs.factuals.index),
        seed=3,
    )  # fmt: skip
    stored = json.loads((Path(__file__).parent / "stored" / "summary.json").read_text())
    assert set(stored) == set(found.index)
    for name, expected in stored.items():
        row = found.loc[name, ["value", "low", "high", "n"]].to_list()
        assert row == pytest.approx([math.nan if v is None else v for v in expected], abs=1e-12, nan_ok=True), name


def test_answers_are_read_and_judged_once_for_summary_and_report(monkeypatch: pytest.MonkeyPatch) -> None:
    task = random_task()
    cfs = random_answers(task, n=2)
    asked: list[np.ndarray] = []
    encoded: list[int] = []
    encode, judge = Codec.encode, Task.judge

    def counted(codec: Codec, frame: pd.DataFrame) -> np.ndarray:
        encoded.append(len(frame))
        return encode(codec, frame)

    def heard(task: Task, rows: np.ndarray, final: bool = False) -> Any:
        asked.append(rows)
        return judge(task, rows, final)

    monkeypatch.setattr(Codec, "encode", counted)
    monkeypatch.setattr(Task, "judge", heard)
    scored = metrics.read(cfs, task)
    report.render(scored, metrics.summarise(scored), {})
    assert encoded == [len(cfs.factuals), len(cfs.answers)]
    assert sum(np.array_equal(rows, scored.after) for rows in asked) == 1
    assert sum(np.array_equal(rows, scored.before) for rows in asked) == 1
    assert len(asked) == 4  # and the noisy copies, and the rows of which one edit is undone


def test_one_decorated_function_is_all_that_a_metric_needs() -> None:
    @metrics.metric(title="Largest step", section="Effort", over="valid answers", better="lower", share=False)
    def largest_step(scored: metrics.Scored) -> pd.Series[float]:
        """The largest change in MADs. Source: this test."""
        return scored.series(scored.task.once(Scale).gower(scored.before, scored.after) * 10)

    try:
        task, cfs = hand_task(), hand(VALID, INVALID)
        scored = metrics.read(cfs, task)
        summary = metrics.summarise(scored)
        assert metrics.to_json(summary)["largest_step"]["n"] == 1
        assert metrics.largest_step(cfs, task).to_list() == largest_step(scored).to_list()
        page = report.render(scored, summary, {})
        assert "Largest step" in page
        found = score({"a": cfs}, task, make_query(task, cfs.factuals), pd.Series(["x", "x"]), None).summary
        heads = [head["title"] for table in more(found) for head in table["heads"]]
        assert "Largest step" in heads
        with pytest.raises(ValueError, match="largest_step"):
            metrics.METRICS["largest_step"].declare()
    finally:
        del metrics.METRICS["largest_step"]
    with pytest.raises(AttributeError):
        metrics.largest_step(cfs, task)


def test_the_suite_scores_10_000_answers_of_50_features_within_30_seconds() -> None:
    import time

    rng = np.random.default_rng(0)
    names = [f"f{j}" for j in range(50)]
    schema = FeatureSchema(
        tuple(Feature(n, "continuous", low=-9, high=9, step=0.01) for n in names),
        label="y", classes=("high", "low"), target="low", rules=(Total(("f0", "f1"), 0.0, 99.0),),
    )  # fmt: skip
    train = pd.DataFrame(rng.normal(size=(500, 50)).round(2), columns=names)
    train["y"] = np.where(train["f0"] + train["f1"] > 0, "low", "high")
    task = Task(schema, train, Stub(lambda X: 1 / (1 + np.exp(-X["f0"] - X["f1"]))))
    before = pd.DataFrame(rng.normal(size=(10_000, 50)).round(2), columns=names)
    after = before.assign(f0=(before["f0"] + 2).round(2), f1=(before["f1"] + 2).round(2)).clip(-9, 9)
    head = answers(SCHEMA, dict.fromkeys(range(10_000), BASE), [(i, 1, VALID) for i in range(10_000)]).frame.iloc[
        :, :13
    ]
    cfs = Counterfactuals(pd.concat([head, after], axis=1), before.rename_axis("query"), schema)
    start = time.perf_counter()
    assert metrics.summarise(cfs, task).loc["validity", "n"] == 10_000
    assert time.perf_counter() - start < 30
