"""Groups compared: gaps by whole people, stand-ins, remedies, and a command that hides small groups."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from command import call, explain, make_schema, people, refused
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.schema import Feature
from sensecf.metrics.gaps import FEWEST_SHOWN, gap, strata
from sensecf.metrics.proxies import area, predicted
from sensecf.runs.experiment import Call
from sensecf.runs.fairness import FairnessSpec, fairness
from sensecf.runs.fairness.groups import attributes, cut, shown
from sensecf.runs.fairness.measures import SPENT
from sensecf.runs.run import RunSpec, run

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import fairness as bench  # noqa: E402

#: The schema of the benchmark's cohorts, with the protected columns as features.
SCHEMA = replace(
    bench.SCHEMA,
    features=(
        Feature("group", "categorical", "immutable", levels=("A", "B"), protected=True),
        Feature("age", "integer", "immutable", "years", 20, 80, 1, protected=True),
        *bench.SCHEMA.features,
    ),
)


def efforts(ratio: float, n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Efforts of people with two rows each; the first half of the people are a group."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(n // 2), 2)
    member = who < n // 4
    values = np.exp(rng.normal(0, 0.3, n // 2)[who] + rng.normal(0, 0.1, n)) * np.where(member, ratio, 1.0)
    return values, member, who


def test_a_planted_ratio_lies_in_its_interval_and_is_no_chance():
    values, member, who = efforts(1.3)
    for kind in ("ratio", "geometric"):
        found = gap(values, member, who, kind=kind)
        assert found.low < 1.3 < found.high
        assert found.p < 0.001
    assert found.people == 100
    assert found.n == 200


def test_without_a_gap_p_is_spread_over_its_range():
    ps = [gap(*efforts(1.0, 120, seed), seed=seed).p for seed in range(60)]
    assert 0.3 < np.mean(ps) < 0.7
    assert np.mean(np.array(ps) < 0.05) < 0.15


def test_rows_of_one_person_count_once():
    """A hundred copies of every row make nothing more certain."""
    values, member, who = efforts(1.1, 60)
    once = gap(values, member, who, seed=1)
    often = gap(np.tile(values, 100), np.tile(member, 100), np.tile(who, 100), seed=1)
    assert often.value == pytest.approx(once.value)
    assert often.low == pytest.approx(once.low, abs=0.02)
    assert often.p == pytest.approx(once.p, abs=0.05)


def test_a_gap_that_comes_from_another_start_is_none_at_equal_start():
    rng = np.random.default_rng(0)
    member = rng.random(600) < 0.5
    start = rng.integers(0, 5, 600) + 2 * member
    values = 1 + start + rng.normal(0, 0.2, 600)
    who = np.arange(600)
    assert gap(values, member, who).p < 0.001
    level = strata(start, 7)
    equal = gap(values, member, who, strata=level)
    assert abs(equal.value) < 0.15
    assert equal.low < 0 < equal.high
    assert equal.p > 0.05


def test_too_few_people_have_no_gap():
    values, member, who = efforts(2.0, 4 * FEWEST_SHOWN - 4)
    assert np.isnan(gap(values, member, who).p)
    assert np.isnan(gap(values, ~member, who).value)


def test_equal_values_share_a_stratum():
    assert len(set(strata(np.repeat(0.3, 20)))) == 1
    assert len(set(strata(np.arange(100.0)))) == 5


def test_the_area_is_the_known_one_and_its_interval_respects_people():
    rng = np.random.default_rng(0)
    member = rng.random(200) < 0.4
    score = np.round(rng.normal(0, 1, 200) + member, 1)
    found = area(score, member, np.arange(200))
    assert found.auc == pytest.approx(roc_auc_score(member, score))
    assert found.low < found.auc < found.high
    copies = area(np.tile(score, 5), np.tile(member, 5), np.tile(np.arange(200), 5))
    assert copies.high - copies.low == pytest.approx(found.high - found.low, abs=0.02)


def test_a_group_is_predicted_for_people_that_were_not_seen():
    """Rows of one person are alike and the groups are drawn at random: whoever saw the person would know the group."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(60), 10)
    told = rng.normal(0, 1, (60, 8))[who]
    member = rng.random(60)[who] < 0.5
    assert area(predicted(told, member, who), member, who).auc < 0.7
    assert area(predicted(told, told[:, 0] > 0, who), told[:, 0] > 0, who).auc > 0.9


def test_numbers_are_cut_by_people_and_levels_stay():
    values = pd.Series(np.r_[np.repeat(20, 300), np.arange(30, 60)])
    persons = np.r_[np.repeat("a", 300), np.arange(30).astype(str)]
    sizes = pd.Series(persons).groupby(cut(values, persons).to_numpy()).nunique()
    assert len(sizes) == 3
    assert sizes.min() >= 8
    assert cut(pd.Series(["f", None, "m"]), np.arange(3)).tolist() == ["f", "not stated", "m"]


def test_small_groups_are_hidden():
    labels = np.array(["a"] * 30 + ["b"] * 9 + ["c"] * 100)
    persons = np.r_[np.arange(39), np.zeros(100)].astype(str)
    assert shown(labels, persons) == (["a"], 2)


def test_families_share_five_per_cent():
    assert sum(SPENT.values()) <= 1 + 1e-9


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in which one group pays half as much again."""
    place = tmp_path_factory.mktemp("planted")
    table = bench.cohort(0, 0.5, 1600)
    table.to_csv(place / "table.csv", index=False)
    asked = RunSpec(classifier="logistic", generator="search", limits=Limits(hold=0.0))
    run(table, SCHEMA, place / "run", asked, call=Call(arguments={"table": str(place / "table.csv")}))
    return place


def test_a_planted_gap_is_found_and_remedies_are_measured(planted: Path):
    made = fairness(planted / "run", planted / "out")
    effort = made.claimed[made.claimed["measure"] == "distance"]
    assert set(effort["group"]) == {"B"}
    assert effort["low"].iloc[0] > 1
    tried = made.mending.set_index("remedy")
    assert {"as it is", "common programme", "threshold by cost"} <= set(tried.index)
    assert abs(np.log(tried.loc["threshold by cost", "gap"])) < abs(np.log(tried.loc["as it is", "gap"]))
    assert tried.loc["threshold by cost", "accuracy"] <= tried.loc["as it is", "accuracy"]
    assert made.facts["protected_edited"] == {"group": 0, "age": 0}
    assert "group B: effort" in (planted / "out" / "report.md").read_text()
    assert (planted / "out" / "fairness.svg").read_text().startswith("<svg")


def test_the_command_says_where_protected_features_are_from_and_gives_the_same_bytes(planted: Path):
    first = call("fairness", planted / "run", "--out", planted / "a", "--no-mend")
    second = call("fairness", planted / "run", "--out", planted / "b", "--no-mend")
    assert first.status == second.status == 0
    assert "By group, age, as the schema protects them." in first.out
    for name in ("groups.csv", "gaps.csv", "proxies.csv", "fairness.svg"):
        assert (planted / "a" / name).read_bytes() == (planted / "b" / name).read_bytes()
    again = call("fairness", planted / "run", "--out", planted / "a")
    assert again.status == 2
    assert "--overwrite" in again.err


def test_no_group_of_fewer_than_ten_people_is_in_any_table(tmp_path: Path):
    frame = people(240)
    frame["region"] = np.where(np.arange(240) % 40 == 0, "small", np.where(np.arange(240) % 2 == 0, "north", "south"))
    frame.to_csv(tmp_path / "table.csv", index=False)
    schema = make_schema(tmp_path / "table.csv", tmp_path / "schema.toml")
    assert explain(tmp_path / "table.csv", schema, tmp_path / "run").status == 0
    ended = call("fairness", tmp_path / "run", "--protected", "region,age", "--no-mend")
    assert ended.status == 0, ended.err
    for name in ("groups.csv", "gaps.csv", "proxies.csv", "report.md", "report.html", "fairness.svg"):
        assert "small" not in (tmp_path / "run" / "fairness" / name).read_text()
    assert json.loads((tmp_path / "run" / "fairness" / "run.json").read_text())["hidden"]["region"] == 1


def test_a_table_that_is_not_the_runs_is_refused(planted: Path, tmp_path: Path):
    other = bench.cohort(1, 0.35, 1600)
    other.to_csv(tmp_path / "other.csv", index=False)
    out = tmp_path / "out"
    ended = call("fairness", planted / "run", "--out", out, "--table", tmp_path / "other.csv")
    refused(ended, "not the one", "--table", left=out)
    refused(call("fairness", planted / "run", "--out", out, "--protected", "shoe"), "shoe", "group", left=out)
    refused(call("fairness", tmp_path, "--out", out), "no finished run", left=out)


def test_a_seed_is_checked(planted: Path, tmp_path: Path):
    with pytest.raises(Exception, match="seed"):
        fairness(planted / "run", tmp_path / "out", FairnessSpec(seed=-1))


def test_whose_a_row_is_and_when_is_no_group():
    named = SimpleNamespace(schema=replace(SCHEMA, person="who", when="day"), raw=pd.DataFrame({"who": ["P1"]}))
    with pytest.raises(InputError, match="--protected who: that says whose row it is or when, which is no group"):
        attributes(cast(Any, named), ("who",))
