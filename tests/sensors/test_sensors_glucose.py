"""Glucose metrics on traces worked out by hand, and what must hold for any trace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf.sensors.days import glucose as cgm


def times(n: int, minutes: int = 5) -> np.ndarray:
    return np.arange(n, dtype=np.int64) * 60 * minutes


def events(values: list[float], time: np.ndarray | None = None) -> list[int]:
    return cgm.high_events(times(len(values)) if time is None else time, np.array(values, float)).tolist()


def test_ranges_include_their_limits() -> None:
    assert cgm.ranges_pct(np.array([69.0, 70, 180, 181])) == (25, 50, 25)


def test_gmi_of_the_paper() -> None:
    """Bergenstal et al. 2018, table 2: a mean of 150 mg/dL is a GMI of 6.9 %, 250 is 9.3 %."""
    assert cgm.gmi_pct(150) == pytest.approx(6.9, abs=0.05)
    assert cgm.gmi_pct(250) == pytest.approx(9.3, abs=0.05)


HIGH, LOW = 200.0, 100.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([LOW] * 5, []),
        ([LOW, HIGH, HIGH, LOW], []),  # ten minutes are no event
        ([LOW, HIGH, HIGH, HIGH, LOW], [1]),
        ([HIGH] * 50, [0]),
        ([HIGH] * 3 + [LOW] * 2 + [HIGH] * 3, [0]),  # ten minutes back do not end it
        ([HIGH] * 3 + [LOW] * 3 + [HIGH] * 3, [0, 6]),
        ([HIGH] * 3 + [LOW] * 3 + [HIGH] * 2 + [LOW] * 3 + [HIGH] * 3, [0, 11]),
        ([180.0] * 10, []),  # above, not at
    ],
)
def test_events_begin_and_end_after_fifteen_minutes(values: list[float], expected: list[int]) -> None:
    assert events(values) == expected


def test_a_pause_of_the_sensor_ends_an_event() -> None:
    time = times(20)
    time[10:] += 3600
    assert events([HIGH] * 20, time) == [0, 10]


def test_events_of_a_sensor_that_reads_every_fifteen_minutes() -> None:
    assert events([LOW, HIGH, LOW, HIGH, HIGH, LOW], times(6, 15)) == [1, 3]


def test_mage_counts_swings_larger_than_one_sd_in_the_direction_of_the_first() -> None:
    # SD is about 36: swings 100→190 (+90), 190→110 (-80), 110→200 (+90), 200→100 (-100); first one up.
    trace = np.array([100, 130, 190, 150, 110, 160, 200, 150, 100], float)
    assert cgm.mage(trace) == pytest.approx(90)
    assert cgm.mage(300 - trace) == pytest.approx(90)


def test_small_swings_are_not_counted() -> None:
    trace = np.array([100, 105, 100, 105, 100, 200, 195, 200, 100], float)
    assert cgm.mage(trace) == pytest.approx(100)


def test_mage_of_a_flat_trace_is_zero_and_of_two_readings_unknown() -> None:
    assert cgm.mage(np.full(10, 100.0)) == 0
    assert np.isnan(cgm.mage(np.array([100.0, 200.0])))


traces = st.lists(st.integers(40, 400), min_size=3, max_size=120)


@settings(deadline=None)
@given(traces)
def test_mage_lies_between_nothing_and_the_span_and_ignores_shifts(values: list[int]) -> None:
    trace = np.array(values, float)
    found = cgm.mage(trace)
    assert 0 <= found <= np.ptp(trace) + 1e-9
    assert found == 0 or found > np.std(trace, ddof=1)
    assert cgm.mage(trace + 17) == pytest.approx(found)


@settings(deadline=None)
@given(traces)
def test_events_begin_high_and_never_outnumber_quarters_of_an_hour(values: list[int]) -> None:
    found = events([float(v) for v in values])
    assert all(values[i] > 180 for i in found)
    assert len(found) <= len(values) / 6 + 1
    assert found == sorted(set(found))
