"""An example day recomputes to its plan within one step, or there is a reason why not."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf.core.errors import InputError
from sensecf.sensors import build, example_day, known_feature, simulate
from sensecf.sensors.days.day_glucose import STEEPEST
from sensecf.sensors.days.night import stage_sequence

PLAN = {
    "sleep_total_min": 450, "sleep_deep_min": 95, "sleep_rem_min": 110, "sleep_light_min": 245,
    "sleep_efficiency_pct": 91.5, "steps": 8200, "active_min": 75, "active_kcal": 330,
}  # fmt: skip


def assert_within_a_step(plan: dict[str, float], realised: dict[str, float]) -> None:
    for name, value in plan.items():
        entry = known_feature(name)
        assert entry is not None
        assert entry.step is not None
        assert abs(realised[name] - value) <= entry.step + 1e-9, name


def test_a_plan_is_lived_within_one_step() -> None:
    day = example_day(PLAN)
    assert_within_a_step(PLAN, day.realised)
    assert day.left == {}


def test_the_timeline_can_be_read_from_top_to_bottom() -> None:
    timeline = example_day(PLAN, "2024-05-07", wake_hour=7).timeline
    assert timeline["start"].is_monotonic_increasing
    sleep = timeline[timeline["what"].str.startswith("sleep")]
    assert sleep["end"].iloc[-1] == "2024-05-07 07:00"
    walks = timeline[timeline["what"] == "walking"]
    assert walks["minutes"].sum() == pytest.approx(75, abs=0.3)
    assert walks["minutes"].max() <= 30
    assert walks["steps"].sum() == pytest.approx(8200, abs=3)
    assert "awake" in sleep["what"].iloc[3:].str.cat()


def test_shares_of_sleep_are_lived_too() -> None:
    plan = {"sleep_total_min": 437, "sleep_deep_pct": 35.0, "sleep_rem_pct": 20.0, "sleep_light_pct": 45.0}
    assert_within_a_step(plan, example_day(plan).realised)


def test_what_the_plan_leaves_open_is_filled() -> None:
    assert_within_a_step({"sleep_deep_min": 80}, example_day({"sleep_total_min": 400, "sleep_deep_min": 80}).realised)
    assert example_day({"steps": 5000}).realised == {"steps": 5000}


def test_features_a_day_does_not_show_are_named() -> None:
    day = example_day({"steps": 5000, "hba1c_pct": 6.1, "shoe_size": 42, "age": float("nan")})
    assert list(day.left) == ["hba1c_pct"]
    assert day.glucose is None


# --- glucose ---

SUGAR = {
    "glucose_mean_mgdl": 154.0, "glucose_sd_mgdl": 45.0, "glucose_cv_pct": 29.2, "gmi_pct": 6.99,
    "glucose_tir_pct": 70.0, "glucose_tbr_pct": 3.0, "glucose_tar_pct": 27.0, "hyperglycaemia_events": 4,
}  # fmt: skip


def test_a_glucose_plan_is_lived_within_one_step_and_physiological_rates() -> None:
    day = example_day(PLAN | SUGAR)
    assert day.left == {}
    assert_within_a_step(PLAN | SUGAR, day.realised)
    assert day.glucose is not None
    assert len(day.glucose) == 1440
    assert day.glucose["glucose_mgdl"].between(40, 400).all()
    assert np.abs(np.diff(day.recording.signals["glucose"].value)).max() <= STEEPEST


def test_glucose_in_mmol_and_by_index_is_lived_too() -> None:
    plan = {"glucose_mean_mmol": 7.6, "glucose_sd_mmol": 2.0, "glucose_tar_pct": 9.0, "glucose_tbr_pct": 0.7}
    assert_within_a_step(plan, example_day(plan).realised)
    plan = {"gmi_pct": 6.2, "glucose_cv_pct": 25.0}
    assert_within_a_step(plan, example_day(plan).realised)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"glucose_mean_mgdl": 110, "glucose_sd_mgdl": 60, "glucose_tar_pct": 0}, "no day has mean 110.0, SD 60.0"),
        ({"glucose_mean_mgdl": 250, "glucose_tir_pct": 100}, "no day has mean 250.0"),
        ({"glucose_mean_mgdl": 150, "glucose_tbr_pct": 60, "glucose_tar_pct": 60}, "exceed 100 %"),
        ({"glucose_mean_mgdl": 150, "glucose_tar_pct": 1, "hyperglycaemia_events": 4}, "do not fit into 14 minutes"),
        ({"glucose_mean_mgdl": 250, "glucose_tar_pct": 95, "hyperglycaemia_events": 0}, "peaks in a day"),
        ({"glucose_sd_mgdl": 30, "glucose_tir_pct": 90}, "needs the mean"),
    ],
)
def test_a_glucose_summary_that_no_day_has_is_left_with_the_reason(plan: dict[str, float], reason: str) -> None:
    day = example_day({"steps": 6000} | plan)
    assert day.realised == {"steps": 6000}
    assert set(day.left) == set(plan)
    assert reason in day.left[next(iter(plan))]


def test_nearly_every_glucose_day_of_a_simulated_table_can_be_lived(tmp_path: Path) -> None:
    simulate(tmp_path / "t", 8, 5, seed=8, jobs=1)
    table = build(tmp_path / "t", "aireadi", jobs=1).table.dropna(subset="glucose_mean_mgdl")
    lived = 0
    for _, row in table.iterrows():
        plan = {name: float(row[name]) for name in SUGAR}
        day = example_day(plan)
        assert_within_a_step({name: plan[name] for name in day.realised}, day.realised)
        lived += not day.left
    assert lived >= 0.9 * len(table) > 20


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ({"sleep_total_min": 400, "sleep_deep_min": 100, "sleep_rem_min": 100, "sleep_light_min": 100}, "do not sum"),
        ({"sleep_deep_pct": 20}, "no sleep_total_min"),
        ({"sleep_deep_min": 90}, "needs sleep_total_min"),
        ({"steps": 9000, "active_min": 10}, "cannot be walked"),
        ({"steps": 9000, "active_min": 0}, "cannot be walked"),
        ({"active_min": 1000}, "do not fit"),
        ({"sleep_total_min": 1200}, "is no night"),
        ({"sleep_total_min": 400, "sleep_efficiency_pct": 0}, "is no night"),
        ({"steps": -5}, "zero or more"),
    ],
)
def test_days_that_cannot_be_are_refused_with_the_reason(plan: dict[str, float], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        example_day(plan)


def test_every_day_of_a_simulated_table_can_be_lived(tmp_path: Path) -> None:
    simulate(tmp_path / "t", 5, 6, seed=8, movement="steps", faults=False, jobs=1)
    table = build(tmp_path / "t", "aireadi", jobs=1).table
    names = [*PLAN, "sleep_deep_pct", "sleep_rem_pct"]
    for _, row in table.iterrows():
        plan = {name: float(row[name]) for name in names}
        assert_within_a_step(plan, example_day(plan).realised)


@settings(deadline=None, max_examples=60)
@given(
    deep=st.integers(0, 200), rem=st.integers(0, 200), light=st.integers(1, 400), awake=st.integers(0, 120),
)  # fmt: skip
def test_a_night_adds_up_and_never_repeats_a_stage(deep: int, rem: int, light: int, awake: int) -> None:
    amounts = {"deep": deep, "rem": rem, "light": light, "awake": awake}
    sequence = stage_sequence(amounts)
    for stage, amount in amounts.items():
        assert sum(n for s, n in sequence if s == stage) == amount
    assert all(n > 0 for _, n in sequence)
    assert all(a[0] != b[0] for a, b in itertools.pairwise(sequence))


def test_deep_sleep_comes_early_and_rem_sleep_late() -> None:
    minutes = [s for s, n in stage_sequence({"deep": 90, "rem": 105, "light": 225, "awake": 30}) for _ in range(n)]
    centre = {stage: np.mean([i for i, s in enumerate(minutes) if s == stage]) for stage in ("deep", "rem")}
    assert centre["deep"] < 450 / 2.5
    assert centre["rem"] > 450 / 2
