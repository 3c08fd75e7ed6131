"""The simulated tree: the same in every version, recomputed slowly, and faithful to its causal graph."""

from __future__ import annotations

import functools
import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from slow_features import person_days

from sensecf.core.errors import InputError
from sensecf.sensors import build, known_feature, known_rules, simulate
from sensecf.sensors.simulator.graph import EDGES, NODES, NOISE, TRAITS
from sensecf.sensors.simulator.person import make_person, simulate_days
from sensecf.sensors.simulator.traces import LEAD_IN, glucose_trace


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people, five days, faults and all, over the change of the clock in March."""
    root = tmp_path_factory.mktemp("sim") / "tree"
    simulate(root, 6, 5, seed=3, start="2024-02-24", jobs=1)
    return root


def bytes_of(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_an_independent_slow_computation_agrees_to_rounding(tree: Path) -> None:
    table = build(tree, "aireadi", jobs=1, keep_stress_mean=True).table.set_index(["person_id", "date"])
    compared = 0
    for person in table.index.unique("person_id"):
        slow = person_days(tree, person)
        fast = table.loc[person]
        assert {d for d, row in slow.items() if row} == {date.fromisoformat(d) for d in fast.index}
        for day, expected in slow.items():
            mine = fast.loc[str(day)]
            for name, value in expected.items():
                entry = known_feature(name)
                assert entry is not None
                # Times above range are subtracted after rounding, so that the three sum to 100.
                slack = 1.01 if name in ("glucose_tir_pct", "sleep_light_pct") else 0.51
                assert mine[name] == pytest.approx(value, abs=slack * 10**-entry.decimals), (person, day, name)
                compared += 1
            daily = [c for c in table.columns if c in slow_columns()]
            assert {c for c in daily if not pd.isna(mine[c])} == set(expected), (person, day)
    assert compared > 400


def slow_columns() -> set[str]:
    return {
        "hr_mean_bpm", "hr_min_bpm", "hr_max_bpm", "resting_hr_bpm", "stress_mean", "respiration_mean_brpm",
        "spo2_mean_pct", "glucose_mean_mgdl", "glucose_sd_mgdl", "glucose_cv_pct", "glucose_tbr_pct",
        "glucose_tir_pct", "glucose_tar_pct", "hyperglycaemia_events", "gmi_pct", "mage", "active_min", "active_kcal",
        "sleep_total_min", "sleep_deep_min", "sleep_rem_min", "sleep_light_min", "sleep_deep_pct", "sleep_rem_pct",
        "sleep_light_pct", "sleep_efficiency_pct",
    }  # fmt: skip


def test_every_version_and_nesting_gives_the_same_table(tmp_path: Path) -> None:
    tables = []
    for version, nested in ((1, False), (2, True), (3, False)):
        root = tmp_path / f"v{version}"
        simulate(root, 4, 3, seed=1, version=version, nested=nested, jobs=1)
        tables.append(build(root, "aireadi", jobs=1).table)
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[1], tables[2])


def test_the_same_seed_gives_the_same_bytes_in_one_process_or_two(tmp_path: Path) -> None:
    for name, jobs in (("one", 1), ("two", 2)):
        simulate(tmp_path / name, 3, 2, seed=5, jobs=jobs)
    simulate(tmp_path / "other", 3, 2, seed=6, jobs=1)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert bytes_of(tmp_path / "one") != bytes_of(tmp_path / "other")
    one, two = (build(tmp_path / "one", "aireadi", jobs=jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one.table, two.table)
    assert one.report.to_dict() == two.report.to_dict()


def test_steps_are_kept_when_the_field_holds_steps(tmp_path: Path) -> None:
    simulate(tmp_path / "t", 2, 2, seed=1, movement="steps", faults=False, jobs=1)
    table = build(tmp_path / "t", "aireadi", jobs=1).table
    assert table["steps"].between(table["active_min"] * 104, table["active_min"] * 156).all()


def test_without_faults_nothing_is_missing(tmp_path: Path) -> None:
    simulate(tmp_path / "t", 3, 3, seed=2, faults=False, jobs=1)
    table = build(tmp_path / "t", "aireadi", jobs=1).table
    assert len(table) == 9
    assert not table.isna().any().any()


def test_the_tables_of_a_tree_obey_the_rules_of_the_catalogue(tree: Path) -> None:
    table = build(tree, "aireadi", jobs=1).table
    rules = known_rules(table.columns)
    assert len(rules) == 8
    for rule in rules:
        if rule.type == "total":
            whole = table[rule.whole] if isinstance(rule.whole, str) else rule.whole
            assert (
                (table[list(rule.parts)].sum(axis=1, skipna=False) - whole).dropna().abs() <= rule.tolerance + 1e-6
            ).all()
        elif rule.type == "order":
            assert (table[list(rule.features)].dropna().diff(axis=1).iloc[:, 1:] >= 0).all().all()
        elif rule.type == "implication":
            assert (table["glucose_tir_pct"][table["hyperglycaemia_events"] > 0] < 100).all()
        else:
            total = sum(table[name] * weight for name, weight in rule.weights.items())
            assert ((total - rule.bound).dropna().abs() <= rule.tolerance + 1e-6).all()


def test_values_lie_in_the_catalogue_s_ranges(tree: Path) -> None:
    table = build(tree, "aireadi", jobs=1).table
    for name in table.columns:
        entry = known_feature(name)
        assert entry is not None, name
        if entry.low is not None:
            assert table[name].dropna().between(entry.low, entry.high).all(), name


def test_the_causal_graph_is_written_whole_and_has_no_cycle(tree: Path) -> None:
    graph = json.loads((tree / "causal_graph.json").read_text())
    assert len(graph["edges"]) == len(EDGES)
    order = list(NODES)
    for edge in EDGES:
        assert edge.effect in NODES
        assert edge.cause in NODES or edge.cause in TRAITS
        if edge.lag == 0 and edge.cause in NODES:
            assert order.index(edge.cause) < order.index(edge.effect), edge
    assert set(NOISE) == set(NODES)
    columns = {c for node in graph["nodes"] for c in node["columns"]}
    assert all(known_feature(c) for c in columns)


LONG = 20_000


@functools.cache
def many_days() -> dict[str, np.ndarray]:
    """One average person for 20,000 days."""
    return simulate_days(dict.fromkeys(TRAITS, 0.0), LONG, np.random.default_rng(0))


@pytest.mark.parametrize(
    "edge", [e for e in EDGES if e.lag == 0 and e.cause in NODES], ids=lambda e: f"{e.cause}-{e.effect}"
)
def test_each_edge_of_a_day_can_be_found_again_by_regression(edge: object) -> None:
    """Regressing an effect on all its causes of the same and the day before returns the sizes of the edges."""
    assert hasattr(edge, "effect")
    days = many_days()
    causes = [e for e in EDGES if e.effect == edge.effect and e.cause in NODES]
    x = np.column_stack([np.ones(LONG - 1)] + [days[e.cause][1 - e.lag : LONG - e.lag] for e in causes])
    found = np.linalg.lstsq(x, days[edge.effect][1:], rcond=None)[0][1:]
    assert found[causes.index(edge)] == pytest.approx(edge.size, abs=0.06)


def test_the_traces_show_the_causes(tmp_path: Path) -> None:
    """What the day was meant to be can be read off the table: the true node against its column."""
    people = simulate(tmp_path / "t", 8, 12, seed=4, faults=False, jobs=1)
    table = build(tmp_path / "t", "aireadi", jobs=1, keep_stress_mean=True).table
    for node, column, floor in (
        ("stress", "stress_mean", 0.9), ("activity", "active_min", 0.8), ("sleep", "sleep_total_min", 0.9),
        ("deep", "sleep_deep_pct", 0.9), ("heart", "resting_hr_bpm", 0.9),
    ):  # fmt: skip
        truth = np.concatenate([p.days[node] for p in people])
        shown = np.concatenate([table.loc[table["person_id"] == p.id, column].to_numpy() for p in people])
        assert np.corrcoef(truth, shown)[0, 1] > floor, node


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"people": 0}, "people must lie"),
        ({"people": 1, "days": 0}, "days must lie"),
        ({"people": 1, "version": 4}, "version"),
        ({"people": 1, "start": "soon"}, "no date"),
        ({"people": 1, "movement": "x"}, "movement"),
    ],
)
def test_impossible_arguments_are_refused(tmp_path: Path, arguments: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        simulate(tmp_path / "t", **arguments)  # type: ignore[arg-type]


def test_a_folder_with_files_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        simulate(tmp_path, 1, 1)


def test_progress_counts_people(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    simulate(tmp_path / "t", 2, 1, jobs=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_movement_lowers_glucose_minute_by_minute() -> None:
    person = make_person(0, 2, np.random.default_rng(1))
    local = np.arange(-LEAD_IN, 2 * 1440, dtype=np.int64) * 60
    day = np.floor_divide(local, 86_400)
    rest, walk = np.zeros(len(local)), np.where((local >= 36_000) & (local < 39_600), 1.0, 0.0)
    traces = [glucose_trace(person, day, 2, local, rest, effort, np.random.default_rng(2)) for effort in (rest, walk)]
    lowered = traces[0] - traces[1]
    assert np.allclose(lowered[local < 36_000], 0)
    assert lowered[local == 39_600].item() > 4
    assert 0 < lowered[local == 46_800].item() < 1  # and wears off


def test_stress_is_missing_exactly_while_the_wearer_moves(tmp_path: Path) -> None:
    simulate(tmp_path / "t", 1, 2, seed=3, faults=False, jobs=1)
    table = build(tmp_path / "t", "aireadi", jobs=1).table
    path = next((tmp_path / "t").rglob("*_stress.json"))
    values = [record["stress"]["value"] for record in json.loads(path.read_text())["body"]["stress"]]
    evening = sum(v == -2 for v in values[:LEAD_IN])
    assert sum(v == -2 for v in values) - evening == table["active_min"].sum()
    assert -1 not in values
