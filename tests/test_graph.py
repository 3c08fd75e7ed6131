"""Causes: what is known of columns, how a person accepts them, and whether rows contradict them."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pandas as pd
import pytest

from command import call
from sensecf import FeatureSchema, InputError
from sensecf.data.builtin.simulated import simulate_cohort, simulated_schema
from sensecf.data.infer.catalogue import known_feature
from sensecf.data.infer.causes import CITED, EDGES, known_causes
from sensecf.data.infer.infer import infer_schema_with_notes
from sensecf.pipeline.graphcheck import check_graph


@pytest.fixture(scope="module")
def days() -> pd.DataFrame:
    return simulate_cohort(people=100, days=8)


def test_every_known_edge_is_between_columns_of_the_catalogue_has_a_citation_and_runs_in_no_circle() -> None:
    assert len(EDGES) >= 40
    for edge in EDGES:
        assert known_feature(edge.cause), edge
        assert known_feature(edge.effect), edge
        assert CITED[edge.source]
        assert edge.sign in ("+", "-")
    assert len({(e.cause, e.effect) for e in EDGES}) == len(EDGES)
    assert set(CITED) == {e.source for e in EDGES}
    graph: dict[str, set[str]] = {}
    for edge in EDGES:
        graph.setdefault(edge.effect, set()).add(edge.cause)
    assert list(TopologicalSorter(graph).static_order())


def test_causes_are_found_by_the_names_of_the_table() -> None:
    found = known_causes({"steps": "Daily steps", "glucose_mean_mgdl": "Glucose (mg/dL)"})
    assert found["Glucose (mg/dL)"].causes == ("Daily steps",)
    assert found["Glucose (mg/dL)"].sign == ("-",)
    assert "Colberg" in found["Glucose (mg/dL)"].source


def test_proposed_causes_are_off_until_the_marks_are_taken_away(days: pd.DataFrame, tmp_path: Path) -> None:
    inferred = infer_schema_with_notes(days, "stress")
    assert not any(f.causes for f in inferred.schema.features)
    assert any("causes are known for" in remark for remark in inferred.remarks)
    text = inferred.schema.to_toml(notes=inferred.notes)
    path = tmp_path / "schema.toml"
    path.write_text(re.sub(r"^# (causes|sign|causes_source) = ", r"\1 = ", text, flags=re.MULTILINE), encoding="utf-8")
    accepted = FeatureSchema.from_toml(path)
    assert accepted["resting_hr_bpm"].causes == ("sleep_total_min", "active_min")
    assert accepted["resting_hr_bpm"].sign == ("-", "-")
    again = tmp_path / "again.toml"
    accepted.to_toml(again)
    assert FeatureSchema.from_toml(again) == accepted


def test_the_laws_that_made_the_rows_are_not_contradicted(days: pd.DataFrame) -> None:
    found = check_graph(days, simulated_schema())
    assert set(found["kind"]) == {"sign", "independence"}
    assert (found["verdict"] != "contradicted").all()


def test_a_wrong_sign_and_a_missing_cause_are_contradicted(days: pd.DataFrame) -> None:
    wrong = simulated_schema().edit(
        glucose_mean_mgdl={"sign": ("+", "-")}, hr_mean_bpm={"causes": ("resting_hr_bpm",), "sign": ("+",)}
    )
    found = check_graph(days, wrong)
    against = found[found["verdict"] == "contradicted"]
    signs = against[against["kind"] == "sign"]
    assert list(zip(signs["cause"], signs["effect"], strict=True)) == [("steps", "glucose_mean_mgdl")]
    pairs = set(zip(against["cause"], against["effect"], strict=True))
    assert ("active_min", "hr_mean_bpm") in pairs
    assert {effect for _, effect in pairs} <= {"glucose_mean_mgdl", "hr_mean_bpm", "active_min"}


def test_the_same_seed_says_the_same(days: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(check_graph(days, simulated_schema(), 3), check_graph(days, simulated_schema(), 3))


def test_the_command_writes_a_table_and_a_schema_without_causes_is_refused(days: pd.DataFrame, tmp_path: Path) -> None:
    table, schema = tmp_path / "days.csv", tmp_path / "schema.toml"
    days.to_csv(table, index=False)
    simulated_schema().to_toml(schema)
    ended = call("graph", "check", table, "--schema", schema)
    assert ended.status == 0
    assert ended.out.startswith("kind,cause,effect,says,found")
    bare = simulated_schema()
    bare.edit(**{f.name: {"causes": (), "sign": ()} for f in bare.features}).to_toml(schema)
    ended = call("graph", "check", table, "--schema", schema)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    with pytest.raises(InputError, match="accepts no causes"):
        check_graph(days, FeatureSchema.from_toml(schema))
