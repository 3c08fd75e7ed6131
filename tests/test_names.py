"""Names give units and roles where they are plain, and nothing where they are not."""

from __future__ import annotations

import pytest

from sensecf.data.infer.names import parse_names, role_of


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("sleep_deep_min", "min"),
        ("hr_zone_fatburn_min", "min"),
        ("hr_min", ""),
        ("hr_min_bpm", "bpm"),
        ("glucose_mean_mg_dl", "mg/dL"),
        ("glucose_mmol", "mmol/L"),
        ("hba1c_pct", "%"),
        ("weight_kg", "kg"),
        ("rmssd_ms", "ms"),
        ("nightly_temp_c", "°C"),
        ("vitamin_c", ""),
        ("steps", "steps"),
        ("Glucose (mg/dL)", "mg/dL"),
        ("age", "years"),
        ("m", ""),
        # None is better than a wrong one.
        ("insulin_uu_ml", ""),
        ("acc_jerk_mean_g_per_s", ""),
        ("speed_m_s", ""),
        ("output_l_min", ""),
        ("ferritin_ng_ml", ""),
        ("uptake_ml_kg_min", "ml/kg/min"),
        ("日数", ""),
    ],
)
def test_units_come_from_plain_names(name, unit):
    assert parse_names([name])[name].unit == unit


def test_min_beside_max_is_a_minimum():
    assert parse_names(["load_min", "load_max"])["load_min"].unit == ""
    assert parse_names(["load_min"])["load_min"].unit == "min"


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (
            "immutable",
            "age Sex gender race height_cm study_group family_history_diabetes day_of_week month site age_group",
        ),
        (
            "mutable",
            "glucose_mean resting_hr_bpm restingHR HRV_rmssd skin_temp SpO2 breathing_rate SystolicBP HbA1c bmi",
        ),
        ("actionable", "steps active_minutes carbs_g alcohol_per_week sleepHours coffee_cups_per_day Schritte"),
        # Beside another word, what a person does may be a read-out; a dose is set with the clinician.
        (None, "x1 feature 日数 foo walking_speed_sd total_protein light_lux medication_dose DailyCalories"),
    ],
)
def test_roles_come_from_names(role, names):
    names = names.split()
    assert {n: role_of(parse_names([n])[n].words) for n in names} == dict.fromkeys(names, role)
