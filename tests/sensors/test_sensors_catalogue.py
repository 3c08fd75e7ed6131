"""The default health schema: complete, consistent, and applied to the tables whose columns it knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sensecf.core.codec import Codec
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.data.infer.catalogue import ALIASES, ENTRIES, SOURCES, in_range
from sensecf.data.infer.infer import Inferred, infer_schema, infer_schema_with_notes
from sensecf.sensors import build, known_feature, known_rules, simulate


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_each_entry_is_complete_and_makes_a_feature(entry: object) -> None:
    found = known_feature(entry.name)  # type: ignore[attr-defined]
    assert found is entry
    assert found is not None
    assert set(found.sources) <= set(SOURCES)
    assert found.description
    if found.kind in ("continuous", "integer"):
        assert found.unit
        assert found.low is not None
        assert found.high is not None
        assert found.step is not None
        Feature(
            found.name, found.kind, found.role, found.unit, found.low, found.high, found.step, direction=found.direction
        )
        assert abs(found.step * 10**found.decimals - round(found.step * 10**found.decimals)) < 1e-9
        if found.healthy is not None:
            assert found.low <= found.healthy[0] < found.healthy[1] <= found.high
        if found.weekly is not None:
            assert 0 < found.weekly < found.high - found.low
        assert found.peak < found.high
    for other in found.derived_from:
        assert known_feature(other) is not None


def test_no_name_is_given_twice_and_aliases_lead_to_entries() -> None:
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)
    names = {entry.name for entry in ENTRIES}
    for alias, found in ALIASES.items():
        assert alias not in names
        assert known_feature(alias) is known_feature(found[0]) is not None
        assert set(found) <= names


def test_unknown_columns_are_unknown() -> None:
    assert known_feature("shoe_size") is None
    with pytest.raises(KeyError):
        in_range("shoe_size", 42)


def test_rules_need_all_their_members() -> None:
    assert known_rules(["sleep_deep_min", "sleep_rem_min", "sleep_light_min"]) == []
    assert len(known_rules(["sleep_deep_min", "sleep_rem_min", "sleep_light_min", "sleep_total_min"])) == 1


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    root: Path = tmp_path_factory.mktemp("sim") / "tree"
    simulate(root, 10, 4, seed=2, jobs=1)
    return build(root, "aireadi", jobs=1, keep_stress_mean=True).table


@pytest.fixture(scope="module")
def schema(table: pd.DataFrame) -> FeatureSchema:
    return infer_schema(table, "stress", group="person_id")


def test_a_recognised_schema_has_units_roles_and_rules(schema: FeatureSchema) -> None:
    assert schema["glucose_mean_mgdl"].unit == "mg/dL"
    assert schema["age"].role == "immutable"
    assert schema["hba1c_pct"].role == "mutable"
    assert schema["active_min"].role == "actionable"
    assert {str(rule) for rule in schema.rules} >= {
        "hr_min_bpm <= hr_mean_bpm <= hr_max_bpm",
        "sleep_deep_min + sleep_rem_min + sleep_light_min = sleep_total_min",
    }


def test_what_others_determine_and_the_label_s_source_are_no_features(schema: FeatureSchema) -> None:
    for name in ("glucose_cv_pct", "gmi_pct", "sleep_deep_pct", "stress_mean", "recommended_split", "clinical_site"):
        assert name not in schema.names
        assert name in schema.ignored
    assert "sleep_efficiency_pct" in schema.names  # minutes awake are not in the table


def test_every_row_stays_inside_and_breaks_no_rule(table: pd.DataFrame, schema: FeatureSchema) -> None:
    codec = Codec(schema)
    rows = codec.encode(table)
    assert not codec.rules.violated(rows).any()
    assert not ((rows < codec.low) | (rows > codec.high)).any()


# --- tables of every kind ---


def days(**columns: object) -> pd.DataFrame:
    """60 days with a label and the given columns."""
    return pd.DataFrame({**columns, "stress": ["low", "high", "low"] * 20})


def inferred(**columns: object) -> Inferred:
    return infer_schema_with_notes(days(**columns), "stress")


def spread(low: float, high: float, decimals: int = 0) -> np.ndarray:
    return np.round(np.random.default_rng(3).permutation(np.linspace(low, high, 60)), decimals)


def test_health_is_within_reach_even_where_nobody_is_healthy() -> None:
    found = inferred(glucose_mean_mgdl=spread(180, 300, 1))
    feature = found.schema["glucose_mean_mgdl"]
    assert (feature.low, feature.high, feature.unit, feature.role) == (40, 400, "mg/dL", "mutable")
    assert "healthy: 70 to 154 mg/dL" in found.notes["glucose_mean_mgdl"]
    assert "Battelino" in found.notes["glucose_mean_mgdl"]


def test_a_schema_file_keeps_what_was_recognised(tmp_path: Path) -> None:
    found = inferred(steps=spread(2000, 15000), sleep_total_min=spread(300, 520))
    path = tmp_path / "schema.toml"
    text = found.schema.to_toml(path, notes=found.notes)
    assert "# known column; source: Bravata" in text
    assert FeatureSchema.from_toml(path) == found.schema


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("steps", spread(0.4, 14.2, 1), "no value is above 300"),  # thousands
        ("steps", spread(-2, 2, 3), "lie in 0 to 60000"),  # standardised
        ("glucose_mean_mgdl", spread(4.1, 14.8, 1), "lie in 40 to 400"),  # mmol/L
        ("glucose_sd_mgdl", spread(0.6, 4.2, 1), "no value is above 8.5"),  # mmol/L
        ("hba1c", spread(31, 98), "lie in 3.5 to 18"),  # mmol/mol
        ("sleep_total_min", spread(4.5, 9.5, 1), "no value is above 24"),  # hours
        ("glucose_tir_pct", spread(0.31, 0.99, 2), "no value is above 1"),  # fractions
        ("spo2", spread(0.91, 0.99, 2), "lie in 70 to 100"),
        ("resting_hr", spread(0.9, 1.4, 2), "lie in 25 to 230"),  # Hz
        ("age", spread(0, 1, 2), "lie in 18 to 110"),  # scaled
        ("bmi", ["<19", "19-25", ">25"] * 20, "its values are levels"),
        ("study_group", ["a", "b", "c"] * 20, "'a' is none of its levels"),
        ("study_group", spread(0, 10, 1), "its values are numbers"),
    ],
)
def test_a_column_that_only_shares_its_name_stays_as_it_is(column: str, values: object, said: str) -> None:
    found = inferred(**{column: values})
    feature = found.schema[column]
    assert said in found.notes[column]
    assert any(column in remark and said in remark for remark in found.remarks)
    assert (feature.description, feature.direction, feature.max_change) == ("", "any", None)
    if feature.numeric:
        assert (feature.low, feature.high) == (np.min(values), np.max(values))


def test_the_values_tell_the_unit_where_the_name_does_not() -> None:
    assert inferred(glucose_mean=spread(80, 260, 1)).schema["glucose_mean"].unit == "mg/dL"
    assert inferred(glucose_mean=spread(4.4, 14.4, 1)).schema["glucose_mean"].unit == "mmol/L"
    assert inferred(deep_sleep=spread(40, 130)).schema["deep_sleep"].unit == "min"


@pytest.mark.parametrize("name", ["sleep_deep_min", "deep_sleep_min", "deepSleepMinutes", "Sleep deep (min)"])
def test_a_name_is_known_in_any_order_and_spelling(name: str) -> None:
    assert inferred(**{name: spread(20, 140)}).schema[name].description == "deep sleep"


def test_a_range_that_the_table_leaves_is_widened_to_it_and_that_is_said() -> None:
    values = spread(300, 500)
    values[7] = 1047
    found = inferred(sleep_total_min=values)
    assert (found.schema["sleep_total_min"].low, found.schema["sleep_total_min"].high) == (0, 1047)
    assert any("widened" in remark and "1,047" in remark for remark in found.remarks)


def test_a_step_too_coarse_for_the_table_is_not_taken() -> None:
    assert inferred(steps=spread(2000, 15000)).schema["steps"].step == 100
    assert inferred(steps=spread(2000, 3500)).schema["steps"].step == 1
    assert inferred(hyperglycaemia_events=spread(0, 4, 2)).schema["hyperglycaemia_events"].step == 0.01


def test_directions_are_for_plans_towards_the_good_class() -> None:
    steps = spread(2000, 15000)
    assert inferred(steps=steps).schema["steps"].direction == "increase"
    frame = days(steps=steps).assign(stress=["a", "b", "c"] * 20)
    assert infer_schema(frame, "stress")["steps"].direction == "any"


def test_weeks_limit_the_change() -> None:
    frame = days(steps=spread(0, 20000), shoe_size=spread(30, 50))
    schema = infer_schema_with_notes(frame, "stress", weeks=2).schema
    assert schema["steps"].max_change == 5000
    assert schema["shoe_size"].max_change is None
    assert infer_schema(frame, "stress")["steps"].max_change is None


def test_a_constant_column_stays_one_nobody_can_change() -> None:
    feature = inferred(steps=np.full(60, 5000), age=spread(20, 80)).schema["steps"]
    assert (feature.role, feature.low) == ("immutable", 0)


def test_a_column_is_determined_only_where_the_numbers_agree() -> None:
    total, awake = spread(300, 500), spread(10, 60)
    exact = np.round(100 * total / (total + awake), 1)
    assert (
        "sleep_efficiency_pct"
        in inferred(sleep_total_min=total, sleep_awake_min=awake, sleep_efficiency_pct=exact).schema.ignored
    )
    other = np.minimum(exact + spread(0, 9, 1), 100)  # Fitbit's own efficiency is another one
    assert (
        "sleep_efficiency_pct"
        in inferred(sleep_total_min=total, sleep_awake_min=awake, sleep_efficiency_pct=other).schema.names
    )


def test_a_score_is_left_out_only_where_the_label_is_made_of_it() -> None:
    frame = days(stress_mean=spread(10, 60, 1), steps=spread(2000, 9000))
    assert "stress_mean" in infer_schema(frame, "stress").ignored
    assert "stress_mean" in infer_schema(frame.rename(columns={"stress": "burnout"}), "burnout").names


def test_a_known_rule_that_a_row_breaks_is_left_out_and_that_is_said() -> None:
    dbp, sbp = spread(60, 90), spread(110, 150)
    assert "dbp <= sbp" in map(str, inferred(dbp=dbp[:60], sbp=sbp).schema.rules)
    sleep, sitting = spread(350, 500), spread(600, 800)
    rule = "1 sleep_total_min + 1 active_min + 1 sedentary_min <= 1440"
    kept = inferred(sleep_total_min=sleep, active_min=spread(30, 90), sedentary_min=sitting)
    assert rule in map(str, kept.schema.rules)
    sitting[3] = 1400
    broken = inferred(sleep_total_min=sleep, active_min=spread(30, 90), sedentary_min=sitting)
    assert rule not in map(str, broken.schema.rules)
    assert any("rows break it" in remark and rule in remark for remark in broken.remarks)


def test_rules_are_in_the_table_s_own_names() -> None:
    found = inferred(deep_sleep=spread(40, 130), rem_sleep=spread(50, 140), light_sleep=spread(200, 300))
    assert not [rule for rule in found.schema.rules if rule.type == "total"]  # no total in the table
    frame = days(systolic_bp=spread(110, 150), diastolic_bp=spread(60, 90)).head(12)
    assert "diastolic_bp <= systolic_bp" in map(str, infer_schema(frame, "stress").rules)


def test_unknown_columns_stay_as_they_are() -> None:
    found = inferred(shoe_size=spread(30, 50))
    assert "mutable is a guess" in found.notes["shoe_size"]
    assert not [remark for remark in found.remarks if "known by name" in remark]
