"""Intervals and tests, against worked numbers, slow loops and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sensecf.core.errors import InputError
from sensecf.metrics.statistics import (
    friedman,
    holm,
    interval,
    paired,
    percentile_interval,
    preference,
    resampled_means,
    share_interval,
    wilson,
)


def test_wilson_agrees_with_scipy() -> None:
    for successes, n in ((0, 10), (3, 10), (10, 10), (81, 263)):
        expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
        assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_nothing_is_undefined() -> None:
    assert all(np.isnan(bound) for bound in wilson(0, 0))


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_holds_the_share_and_stays_within_0_and_1(n: int, part: float) -> None:
    successes = round(part * n)
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high


def test_a_share_of_single_rows_is_plain_wilson() -> None:
    values = np.array([1.0] * 7 + [0.0] * 3)
    assert share_interval(values) == pytest.approx(wilson(7, 10))
    assert share_interval(values, np.arange(10)) == pytest.approx(wilson(7, 10))


def test_blanks_are_no_part_of_a_share() -> None:
    assert share_interval([1.0, 0.0, np.nan, 1.0, 1.0, 0.0]) == pytest.approx(wilson(3, 5))


def test_rows_of_a_person_who_are_all_alike_count_as_one() -> None:
    values = np.repeat([1.0, 0.0] * 10, 25)
    person = np.repeat(np.arange(20), 25)
    assert share_interval(values, person) == pytest.approx(wilson(10, 20), abs=0.02)


def test_a_share_of_all_or_none_has_the_width_of_its_people() -> None:
    person = np.repeat(np.arange(10), 10)
    assert share_interval(np.ones(100), person) == pytest.approx(wilson(10, 10))
    assert share_interval(np.zeros(100), person) == pytest.approx(wilson(0, 10))
    one_off = np.ones(100)
    one_off[3] = 0  # nor does one row tell how people differ
    assert share_interval(one_off, person) == pytest.approx(wilson(9.9, 10))


def test_an_interval_of_fewer_than_five_people_is_not_given() -> None:
    for people in range(1, 5):
        person = np.repeat(np.arange(people), 10)
        values = np.tile([1.0, 0.0], 5 * people)
        assert np.isnan(interval(values, person, share=True)).all()
        assert np.isnan(interval(values + 0.5, person)).all()
        assert np.isnan(interval(np.ones(len(person)), person, share=True)).all()
    assert not np.isnan(interval(np.ones(50), np.repeat(np.arange(5), 10), share=True)).any()


def test_only_a_share_has_a_width_where_all_values_are_one() -> None:
    assert interval(np.ones(30), np.arange(30)) == (1.0, 1.0)  # one change each: as few as can be
    assert interval(np.ones(30), np.arange(30), share=True)[0] < 0.9


@given(st.integers(5, 40), st.integers(1, 30), st.floats(0, 1), st.integers(0, 10_000))
def test_an_interval_of_a_share_holds_it_and_is_never_narrower_than_by_rows(
    people: int, rows: int, rate: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), rows)
    values = (rng.random(len(person)) < rate).astype(float)
    low, high = interval(values, person, share=True)
    assert 0 <= low <= values.mean() <= high <= 1
    by_rows = wilson(values.sum(), len(values))
    assert high - low >= by_rows[1] - by_rows[0] - 1e-9


def test_shares_near_one_are_covered_though_people_differ() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):  # one person in twenty is never served, the others always: true share 0.95
        values = np.repeat((rng.random(15) < 0.95).astype(float), 20)
        low, high = interval(values, np.repeat(np.arange(15), 20), share=True)
        held += low <= 0.95 <= high
    assert held >= 0.93 * 400


def test_clustering_never_narrows_a_share() -> None:
    values = np.tile([1.0, 0.0], 50)  # every person half and half: no variance between people at all
    assert share_interval(values, np.repeat(np.arange(50), 2)) == pytest.approx(wilson(50, 100))


def test_resampled_means_agree_with_a_slow_loop() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(17, 3))
    values[2, 1] = values[9, 2] = np.nan
    person = np.array(list("aabbbccdddddeefgg"))
    fast = resampled_means(values, person, resamples=250, seed=3)

    loop_rng, names, slow = np.random.default_rng(3), sorted(set(person)), []
    for chunk in (100, 100, 50):
        for draw in loop_rng.integers(0, len(names), (chunk, len(names))):
            rows = [i for g in draw for i in range(len(person)) if person[i] == names[g]]
            slow.append([np.mean([values[i, j] for i in rows if not np.isnan(values[i, j])]) for j in range(3)])
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_the_bootstrap_is_the_same_for_the_same_seed_and_in_any_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    values, person = rng.normal(size=60), rng.integers(0, 12, 60)
    order = rng.permutation(60)
    assert interval(values, person) == interval(values, person)
    assert interval(values, person) == pytest.approx(interval(values[order], person[order]))
    assert interval(values, person, seed=1) != interval(values, person)


def test_the_interval_of_people_covers_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = {"people": 0, "rows": 0}
    for trial in range(200):
        values = (rng.normal(size=(30, 1)) + 0.3 * rng.normal(size=(30, 8))).ravel()
        person = np.repeat(np.arange(30), 8)
        for name, clusters in (("people", person), ("rows", np.arange(len(values)))):
            low, high = interval(values, clusters, means=resampled_means(values[:, None], clusters, 400, trial)[:, 0])
            hits[name] += low <= 0 <= high
    assert hits["people"] >= 182
    assert hits["rows"] < 130  # taking rows for people is what it must not do


def test_the_interval_of_six_people_covers_too() -> None:
    rng, held = np.random.default_rng(3), 0
    for trial in range(300):
        values = np.repeat(rng.normal(size=6), 5)
        low, high = interval(values, np.repeat(np.arange(6), 5), seed=trial)
        held += low <= 0 <= high
    assert held >= 0.9 * 300


def test_percentiles_of_mostly_undefined_samples_are_undefined() -> None:
    assert np.isnan(percentile_interval([1.0, np.nan, np.nan])[0])
    assert percentile_interval([0.0, 1.0], level=1.0) == (0.0, 1.0)


def test_paired_uses_the_requests_that_both_answered() -> None:
    result = paired([1.0, 2.0, np.nan, 4.0], [2.0, 4.0, 5.0, np.nan])
    assert (result.n, result.mean_a, result.mean_b, result.difference) == (2, 1.5, 3.0, -1.5)


def test_the_permutation_test_is_exact_for_few_people() -> None:
    # Five people, all in favour of a: 2 of the 32 sign patterns are as extreme.
    assert paired([2, 2, 2, 2, 2.0], [1, 1, 1, 1, 1.0]).p == pytest.approx(2 / 32)


def test_rows_of_a_person_change_sign_together() -> None:
    a, b = np.ones(50), np.zeros(50)
    assert paired(a, b).p < 0.001
    assert paired(a, b, np.repeat(np.arange(5), 10)).p == pytest.approx(2 / 32)
    assert paired(a, b, np.repeat(np.arange(5), 10)).p_wilcoxon == pytest.approx(2 / 32)


def test_two_methods_without_a_difference() -> None:
    result = paired([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (result.difference, result.p, result.p_wilcoxon) == (0.0, 1.0, 1.0)


def test_nothing_in_common_is_undefined() -> None:
    result = paired([np.nan, 1.0], [1.0, np.nan])
    assert result.n == 0
    assert np.isnan(result.p)


def test_paired_wants_the_same_requests() -> None:
    with pytest.raises(InputError, match="request by request"):
        paired([1.0], [1.0, 2.0])


def test_an_unanswered_request_is_lost_to_whoever_answered() -> None:
    a, b = [1.0, np.nan, np.nan, 3.0, 2.0], [2.0, 5.0, np.nan, 3.0, np.nan]
    np.testing.assert_array_equal(preference(a, b, higher_is_better=False), [1, -1, 0, 0, 1])
    np.testing.assert_array_equal(preference(a, b, higher_is_better=True), [-1, -1, 0, 0, 1])


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_is_undefined() -> None:
    np.testing.assert_allclose(holm([0.02, np.nan, 0.5]), [0.04, np.nan, 0.5])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=50)
def test_holm_keeps_the_order_and_never_lowers(p: list[float]) -> None:
    corrected = holm(p)
    assert (corrected >= np.array(p) - 1e-15).all()
    assert (corrected <= 1).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(corrected[order]) >= -1e-15).all()


def test_friedman_and_nemenyi_by_hand() -> None:
    # Three methods, four data sets, always in the same order: chi² = n (k - 1), the most there can be.
    result = friedman(np.tile([0.9, 0.8, 0.7], (4, 1)), higher_is_better=True)
    np.testing.assert_array_equal(result.ranks, [1, 2, 3])
    assert result.statistic == pytest.approx(8.0)
    # Demšar (2006), table 5: q_0.05 = 2.343 for three classifiers.
    assert result.critical == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 4)), abs=1e-3)


def test_friedman_of_equal_methods_finds_nothing() -> None:
    assert friedman(np.ones((4, 3)), higher_is_better=True).p == 1.0


def test_friedman_needs_three_methods() -> None:
    with pytest.raises(InputError, match="at least 2 data sets × 3 methods"):
        friedman(np.ones((4, 2)), higher_is_better=True)
