"""The default health schema: complete, consistent, and applied to a schema."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sensecf.codec import Codec
from sensecf.infer import infer_schema
from sensecf.schema import Feature, FeatureSchema
from sensecf.sensors import build, known_feature, known_rules, recognise, simulate
from sensecf.sensors.catalogue import ALIASES, ENTRIES, SOURCES, in_range


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
    for other in found.derived_from:
        assert known_feature(other) is not None


def test_no_name_is_given_twice_and_aliases_lead_to_entries() -> None:
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)
    for alias, name in ALIASES.items():
        assert known_feature(alias) is known_feature(name) is not None


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
    return recognise(infer_schema(table, "stress", group="person_id"))[0]


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
    for name in ("glucose_cv_pct", "gmi_pct", "sleep_deep_pct", "stress_mean"):
        assert name not in schema.names
        assert name in schema.ignored
    assert "sleep_efficiency_pct" in schema.names  # minutes awake are not in the table


def test_every_row_stays_inside_and_breaks_no_rule(table: pd.DataFrame, schema: FeatureSchema) -> None:
    codec = Codec(schema)
    rows = codec.encode(table)
    assert not codec.rules.violated(rows).any()
    assert not ((rows < codec.low) | (rows > codec.high)).any()


def test_health_is_within_reach_even_where_nobody_is_healthy() -> None:
    feature = Feature("glucose_mean_mgdl", "continuous", low=180, high=300, step=0.5)
    schema = FeatureSchema((feature,), label="y", classes=(0, 1))
    known, notes = recognise(schema)
    assert (known["glucose_mean_mgdl"].low, known["glucose_mean_mgdl"].high) == (70, 300)
    assert "healthy 70 to 154 mg/dL" in notes["glucose_mean_mgdl"]


def test_weeks_limit_the_change() -> None:
    feature = Feature("steps", "integer", low=0, high=20000, step=1)
    schema = FeatureSchema((feature,), label="y", classes=(0, 1))
    assert recognise(schema, weeks=2)[0]["steps"].max_change == 5000
    assert recognise(schema)[0]["steps"].max_change is None


def test_unknown_columns_stay_as_they_are() -> None:
    feature = Feature("shoe_size", "integer", low=30, high=50, step=1)
    schema = FeatureSchema((feature,), label="y", classes=(0, 1))
    assert recognise(schema) == (schema, {})
