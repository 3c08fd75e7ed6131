"""Intervals and tests, against worked numbers, slow loops and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sensecf.errors import InputError
from sensecf.statistics import (
    bootstrap_interval,
    friedman,
    holm,
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
    assert share_interval([1.0, 0.0, np.nan, 1.0]) == pytest.approx(wilson(2, 3))


def test_rows_of_a_person_who_are_all_alike_count_as_one() -> None:
    values = np.repeat([1.0, 0.0, 1.0, 0.0], 25)
    person = np.repeat(np.arange(4), 25)
    low, high = share_interval(values, person)
    assert high - low > 2.5 * np.subtract(*wilson(50, 100)[::-1])


def test_a_share_of_all_or_none_has_the_width_of_its_rows() -> None:
    # As with one row less than all, whose design effect is 1 by construction.
    person = np.repeat(np.arange(10), 10)
    assert share_interval(np.ones(100), person) == pytest.approx(wilson(100, 100))
    one_off = np.ones(100)
    one_off[3] = 0
    assert share_interval(one_off, person) == pytest.approx(wilson(99, 100), abs=0.003)


def test_several_rows_of_one_person_alone_have_no_interval() -> None:
    assert np.isnan(share_interval([1.0, 0.0, 1.0], ["a", "a", "a"])).all()
    assert np.isnan(share_interval([1.0, 1.0], ["a", "a"])).all()
    assert share_interval([1.0], ["a"]) == pytest.approx(wilson(1, 1))


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
    assert bootstrap_interval(values, person) == bootstrap_interval(values, person)
    assert bootstrap_interval(values, person) == pytest.approx(bootstrap_interval(values[order], person[order]))
    assert bootstrap_interval(values, person, seed=1) != bootstrap_interval(values, person)


def test_one_person_has_no_interval() -> None:
    assert np.isnan(bootstrap_interval([1.0, 2.0, 3.0], ["a", "a", "a"])[0])


def test_the_interval_of_people_covers_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = {"people": 0, "rows": 0}
    for trial in range(200):
        values = (rng.normal(size=(30, 1)) + 0.3 * rng.normal(size=(30, 8))).ravel()
        person = np.repeat(np.arange(30), 8)
        for name, clusters in (("people", person), ("rows", None)):
            low, high = bootstrap_interval(values, clusters, resamples=400, seed=trial)
            hits[name] += low <= 0 <= high
    assert hits["people"] >= 175  # 0.875: the percentile interval is a little narrow with 30 people
    assert hits["rows"] < 130  # taking rows for people is what it must not do


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
