"""`--private`: new values come from cells that at least five people share."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from command import call
from sensecf.augmentation.controls import Situation
from sensecf.augmentation.controls.marginals import DELTA, marginals, noise
from sensecf.core.budget import Released, Spent, noise_source, spend
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task, shared_span
from sensecf.data.cells import PEOPLE, shared_cells
from sensecf.generators.tiny.tiny import Recipe, Tiny
from sensecf.metrics import read
from sensecf.pipeline.explain import explain
from sensecf.runs.attack.surfaces import Crowd, copies
from sensecf.runs.experiment import Setup, prepared
from sensecf.runs.findings import findings
from sensecf.runs.nobody import of_nobody

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import attack as bench  # noqa: E402


def private(task: Task) -> Task:
    return Task(shared_cells(task.schema, task.train), task.train, task.classifier)


def by_row(rows: pd.DataFrame) -> np.ndarray:
    """A person for each row."""
    return rows.index.astype(str).to_numpy(str)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0.1, 5.0))
def test_every_cell_of_a_stretch_is_shared(seed: int, least: int, step: float):
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 30, 120)
    values = rng.normal(0, 5, 120)
    low, high = shared_span(values, people, step, least)
    cells = np.round(values / step)
    for cell in np.arange(np.round(low / step), np.round(high / step) + 1) if low <= high else ():
        assert len(set(people[cells == cell])) >= least


def test_one_persons_days_are_no_crowd():
    low, high = shared_span(np.full(100, 3.0), np.zeros(100, int), 1.0, 5)
    assert low > high
    assert shared_span(np.full(5, 3.0), np.arange(5), 1.0, 5) == (3.0, 3.0)
    assert shared_span(np.array([np.nan]), np.zeros(1, int), 1.0, 1)[0] == np.inf


@pytest.mark.parametrize("name", ["numeric_task", "mixed_task"])
def test_no_changed_value_is_held_by_fewer_than_five(name: str, request: pytest.FixtureRequest):
    open_task = request.getfixturevalue(name)
    task = private(open_task)
    target = task.schema.target
    asked = task.train[task.classifier.predict(task.train[task.schema.names]) != target].head(40)
    found = explain(task, "search", asked, target, limits=Limits(hold=0.0, edit="mutable"))
    assert len(found.answers) > 20
    scored = read(found, task)
    crowd = Crowd.of(task, task.train, task.train.iloc[:0], by_row)
    edits = copies(crowd, scored.after, scored.edited)
    assert edits["held_by_few"].sum() == 0
    assert edits["held_by_none"].sum() == 0
    plain = read(explain(open_task, "search", asked, target, limits=Limits(hold=0.0, edit="mutable")), open_task)
    whose = Crowd.of(
        open_task, open_task.train, open_task.train.iloc[:0], lambda rows: rows.index.astype(str).to_numpy()
    )
    few = copies(whose, plain.after, plain.edited)
    assert few["held_by_few"].sum() + few["held_by_none"].sum() > 0


def test_a_level_of_few_people_is_not_led_to():
    frame = bench.cohort(0).assign(steps=9_000)
    frame["device"] = np.where(frame["who"] == "P0000", "rare", np.where(frame.index % 2 == 0, "watch", "ring"))
    frame["stress"] = np.where(frame["device"] == "watch", "high", "low")
    schema = FeatureSchema.from_dict(
        {
            "label": "stress",
            "classes": ["high", "low"],
            "target": "low",
            "person": "who",
            "features": [{"name": "device", "kind": "categorical", "levels": ["watch", "ring", "rare"]}],
        }
    )

    class Rare:
        classes_ = np.array(["high", "low"], dtype=object)

        def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
            low = np.where(rows["device"] == "rare", 0.9, 0.1)
            return np.column_stack([1 - low, low])

        def predict(self, rows: pd.DataFrame) -> np.ndarray:
            return self.classes_[self.predict_proba(rows).argmax(axis=1)]

    task = Task(schema, frame, Rare())
    asked = frame[frame["device"] == "watch"].head(3)
    assert len(explain(task, "search", asked, limits=Limits(hold=0.0)).answers) == 3
    assert len(explain(private(task), "search", asked, limits=Limits(hold=0.0)).answers) == 0


def test_a_stated_range_does_not_lead_beyond_what_is_shared(numeric_task: Task):
    task = private(numeric_task)
    rows = task.rows[:5]
    query = Limits(hold=0.0, ranges={"x0": (-5, 5)}).query(task, rows, "good")
    assert query.low[0, 0] >= task.reach[0][0]
    assert query.high[0, 0] <= task.reach[1][0]


def test_the_rule_of_five_is_kept_with_the_schema(tmp_path: Path, numeric_task: Task):
    made = shared_cells(numeric_task.schema, numeric_task.train)
    made.to_toml(tmp_path / "schema.toml")
    assert FeatureSchema.from_toml(tmp_path / "schema.toml") == made
    assert made.shared_by == PEOPLE
    with pytest.raises(InputError, match="shared_by"):
        replace(made, shared_by=0)


def test_the_command_makes_private_plans_and_the_attack_counts_no_copies(tmp_path: Path):
    bench.cohort(0).to_csv(tmp_path / "table.csv", index=False)
    bench.SCHEMA.to_toml(tmp_path / "schema.toml")
    base = ("explain", tmp_path / "table.csv", "--schema", tmp_path / "schema.toml", "--classifier", "logistic")
    ended = call(*base, "--generator", "search", "--limit", 60, "--private", "--out", tmp_path / "run")
    assert ended.status == 0, ended.err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["private"] is True
    assert "shared_by = 5" in (tmp_path / "run" / "schema.toml").read_text()
    report = tmp_path / "run" / "report.html"
    assert "What was found of this run" not in report.read_text()
    assert findings(tmp_path / "run") == []
    assert call("attack", tmp_path / "run").status == 0
    assert pd.read_csv(tmp_path / "run" / "attack" / "copies.csv")["held_by_few"].sum() == 0
    [found] = findings(tmp_path / "run")
    assert "The plans alone" in found.lines[0]
    assert report.read_text().count("What was found of this run") == 1
    assert escape(found.lines[0]) in report.read_text()
    assert call("attack", tmp_path / "run", "--overwrite").status == 0
    assert report.read_text().count("What was found of this run") == 1


def test_noise_grows_with_tables_and_falls_with_epsilon():
    """zCDP of rho costs rho + 2 sqrt(rho log(1 / delta)): put back in, epsilon comes out."""
    sigma = noise(20, 3.0)
    rho = 20 / (2 * sigma**2)
    assert rho + 2 * np.sqrt(rho * np.log(1 / DELTA)) == pytest.approx(3.0)
    assert noise(40, 3.0) > sigma > noise(20, 6.0)


def situation(epsilon: float = 8.0) -> Situation:
    frame = bench.cohort(0)
    return Situation(bench.SCHEMA, frame, "high", 400, epsilon=epsilon)


def test_rows_of_nobody_lie_in_shared_cells_and_say_what_they_cost():
    asked = situation()
    made = marginals(asked)
    schema = shared_cells(bench.SCHEMA, asked.rows, every=True)
    task = Task(schema, asked.rows, bench.prepared_crowd(0)[1].task.classifier)
    crowd = Crowd.of(task, asked.rows, asked.rows.iloc[:0], lambda rows: rows["who"].to_numpy(str))
    rows = task.codec.encode(made.added)
    assert copies(crowd, rows, np.ones(rows.shape, bool))[["held_by_few", "held_by_none"]].sum().sum() == 0
    assert made.facts["privacy"]["epsilon"] == 8.0
    assert len(made.added) == 400
    assert set(made.added["added_source"]) == {"nobody"}


def test_the_marginals_are_those_of_the_table_but_for_the_noise():
    table, edges = bench.cohort(0), np.linspace(0, 20_000, 11)

    def away(epsilon: float) -> float:
        made = marginals(situation(epsilon), 5.0).added
        parts = [np.histogram(t[t["stress"] == "low"]["steps"], edges)[0] for t in (made, table)]
        return float(np.abs(np.subtract(*(p / p.sum() for p in parts))).sum())

    assert away(1e6) < 0.2
    assert away(0.05) > 2 * away(1e6)


def test_a_budget_adds_up_over_runs_and_tables_are_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    one: Spent = {"epsilon": 2.0, "delta": 1e-5, "what": "rows"}
    assert spend(tmp_path / "a", "t" * 64, one) == (2.0, 1e-5)
    assert spend(tmp_path / "b", "t" * 64, one) == (4.0, 2e-5)
    assert spend(tmp_path / "c", "u" * 64, one) == (2.0, 1e-5)
    told = json.loads((tmp_path / "b" / "privacy.json").read_text())
    assert (told["runs"], told["total_epsilon"]) == (2, 4.0)


def test_the_same_release_costs_once_and_noises_of_two_say_nothing_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    one: Released = {"epsilon": 2.0, "delta": 1e-5, "what": "rows", "release": "a"}
    assert spend(tmp_path / "a", "t" * 64, one) == (2.0, 1e-5)
    assert spend(tmp_path / "b", "t" * 64, one) == (2.0, 1e-5)
    assert spend(tmp_path / "c", "t" * 64, {**one, "release": "b"}) == (4.0, 2e-5)
    [ledger] = (tmp_path / "cache" / "privacy").glob("t*.json")
    ledger.write_text("{")
    with pytest.raises(InputError, match=ledger.name):
        spend(tmp_path / "d", "t" * 64, one)
    draws = [noise_source("table", epsilon, 0) for epsilon in (3.0, 3.0, 8.0)]
    noises = [source.normal(size=200) for source, _ in draws]
    assert np.array_equal(noises[0], noises[1])
    assert draws[0][1] == draws[1][1] != draws[2][1]
    assert abs(np.corrcoef(noises[0], noises[2])[0, 1]) < 0.3
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "of somebody else"))
    assert not np.array_equal(noise_source("table", 3.0, 0)[0].normal(size=200), noises[0])


def test_how_many_rows_the_table_has_of_a_class_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    asked = situation()
    uneven = asked.rows[(asked.rows["stress"] == "low") | (asked.rows.index % 5 == 0)].reset_index(drop=True)
    made = marginals(replace(asked, rows=uneven)).added
    assert made["stress"].value_counts().tolist() == [200, 200]


def test_what_is_learned_from_nobody_sees_counts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    table = prepared(bench.cohort(0), bench.SCHEMA, Setup("logistic"))
    made = of_nobody(table, 3.0)
    assert made.spent["epsilon"] == 3.0
    assert made.table.schema.person is None
    assert len(made.table.fit().train) == len(made.table.train) > 0
    people = {tuple(row) for row in table.frame[table.schema.names].to_numpy().tolist()}
    assert not people & {tuple(row) for row in made.table.train[table.schema.names].to_numpy().tolist()}
    assert made.table.held_out is made.table.train
    with pytest.raises(InputError, match="--epsilon"):
        of_nobody(table, 0.0)


def test_the_command_adds_rows_of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    bench.cohort(0).to_csv(tmp_path / "table.csv", index=False)
    bench.SCHEMA.to_toml(tmp_path / "schema.toml")
    base = ("augment", tmp_path / "table.csv", "--schema", tmp_path / "schema.toml", "--classifiers", "random-forest")
    ended = call(*base, "--private", "--epsilon", 4, "--out", tmp_path / "rows")
    assert ended.status == 0, ended.err
    assert "epsilon 4 by person" in " ".join(ended.out.split())
    assert json.loads((tmp_path / "rows" / "privacy.json").read_text())["total_epsilon"] == 4.0
    seen = call("attack", tmp_path / "rows", "--table", tmp_path / "table.csv")
    assert seen.status == 0, seen.err
    assert pd.read_csv(tmp_path / "rows" / "attack" / "copies.csv")["held_by_few"].sum() == 0
    refused = call(*base, "--private", "--epsilon", 0, "--out", tmp_path / "none")
    assert refused.status == 2
    assert "--epsilon" in refused.err


def test_the_embedded_model_learns_from_nobody_and_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    recipe = Recipe(pairs=120, epochs=1, rounds=1, round_queries=16, samples=8)
    monkeypatch.setattr(Tiny.__init__, "__kwdefaults__", {**Tiny.__init__.__kwdefaults__, "recipe": recipe})
    table = bench.cohort(0)
    table.to_csv(tmp_path / "table.csv", index=False)
    bench.SCHEMA.to_toml(tmp_path / "schema.toml")
    out = tmp_path / "run"
    asked = ("explain", tmp_path / "table.csv", "--schema", tmp_path / "schema.toml", "--private", "--hold", "0")
    base = (*asked, "--classifier", "logistic", "--limit", 6, "--generator", "tiny")
    ended = call(*base, "--out", out)
    assert ended.status in (0, 3), ended.err  # 3: a model as small as this one may answer nobody by itself
    told = json.loads((out / "privacy.json").read_text())
    assert (told["epsilon"], told["total_epsilon"]) == (3.0, 3.0)
    weights = (out / "task" / "tiny" / "model.safetensors").read_bytes()
    table.head(40).to_csv(tmp_path / "more.csv", index=False)
    again = call("answer", out, tmp_path / "more.csv", "--out", tmp_path / "more")
    assert again.status in (0, 3), again.err
    assert (out / "task" / "tiny" / "model.safetensors").read_bytes() == weights
    (out / "task" / "tiny" / "model.safetensors").write_bytes(b"damaged")
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "of somebody else"))
    gone = call("answer", out, tmp_path / "more.csv", "--out", tmp_path / "none")
    assert gone.status == 2
    assert "would cost privacy again" in gone.err
    refused = call(*base, "--epsilon", 0, "--out", tmp_path / "none")
    assert refused.status == 2
    assert "--epsilon" in refused.err
