"""Plans carried out: what counts as better, well, worse; the oracle; a run that goes on where it stopped."""

from __future__ import annotations

import importlib
import io
import json
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from command import call, refused
from sensecf.cli.truth import _tables as tables_of
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.data.world.graphs import Graph
from sensecf.data.world.presets import preset
from sensecf.runs.compare.run import requests_of
from sensecf.runs.experiment import QUIETLY
from sensecf.runs.truth import TruthSpec, many, run, truth
from sensecf.runs.truth.carry import MEASURES, Case, of_nobody, of_the_oracle, outcomes
from sensecf.runs.truth.oracle import efforts
from sensecf.runs.truth.run import _compare, _prepared, summary

ROOT = Path(__file__).resolve().parents[1]
SMALL = TruthSpec(("constant+raw",), classifier="logistic", people=40, held_out=12, days=5, settings=("levers",))


@cache
def case(name: str) -> tuple[Case, object]:
    world = Graph(0) if name == "random" else preset(name)
    made, found = _prepared(replace(SMALL, world=name), world, QUIETLY)
    return found, requests_of(made, _compare(SMALL, Limits(edit="actionable"))).query


WORLDS = pytest.mark.parametrize("name", ["easy", "confounded", "drifting", "random"])


def done(found: Case, actions: dict[str, np.ndarray]) -> pd.DataFrame:
    """What comes of plans that set some levers of every row."""
    plans, acted = found.rows.copy(), np.zeros(found.rows.shape, dtype=bool)
    for name, wanted in actions.items():
        j = found.task.schema.columns[name]
        acted[:, j] = ~np.isnan(wanted)
        plans[acted[:, j], j] = wanted[acted[:, j]]
    return outcomes(found, plans, np.ones(len(plans), dtype=bool), acted, True)


@WORLDS
def test_who_does_nothing_is_neither_better_nor_worse(name):
    found, _ = case(name)
    rows = of_nobody(found)
    assert (rows[["improvement", "success", "harm", "better_days"]].fillna(0) == 0).all().all()
    assert (rows["probability_after"] == rows["probability_before"]).all()
    assert (rows["nothing_to_do"] == 1).all()


@WORLDS
def test_the_oracle_makes_well_and_harms_nobody(name):
    found, _ = case(name)
    rows = of_the_oracle(found)
    needy = found.before < 0.5
    assert needy.any()
    planned = rows[rows["answered"] == 1]
    assert (planned["success"].dropna() == 1).all()
    assert (planned["harm"] == 0).all()
    assert (found.best.effort[~needy] == 0).all()


@WORLDS
def test_no_plan_drawn_at_random_is_cheaper_than_the_oracles(name):
    found, query = case(name)
    columns, task = found.task.schema.columns, found.task
    rng = np.random.default_rng(0)
    best = found.best.effort
    beaten = 0
    for _ in range(200):
        actions = {}
        for lever in found.world.levers:
            j = columns[lever]
            low, high = np.minimum(query.low[:, j], query.high[:, j]), query.high[:, j]
            wanted = np.round(rng.uniform(low, high) / task.codec.step[j]) * task.codec.step[j]
            free = query.movable[:, j] & (rng.random(len(low)) < 0.5)
            actions[lever] = np.where(free, wanted, np.nan)
        well = found.world.well(found.noises, actions) >= 0.5
        effort = efforts(task, found.rows, actions)
        assert not (well & np.isnan(best)).any(), "a plan works where the oracle found none"
        beaten += int((well & (effort < best - 0.05 * best - 0.05)).sum())
    assert beaten == 0


def test_a_plan_against_the_law_harms():
    found, _ = case("easy")
    rows = done(found, {"sleep_total_min": np.full(len(found.rows), 240.0)})
    worse = rows["harm"] == 1
    assert worse.mean() > 0.8
    assert (rows["probability_after"][worse] < rows["probability_before"][worse]).all()
    assert not ((rows["harm"] == 1) & (rows["improvement"] == 1)).any()


def test_more_steps_and_sleep_improve_and_sitting_less_does_nothing():
    found, _ = case("easy")
    columns = found.task.schema.columns
    steps = found.rows[:, columns["steps"]]
    rows = done(found, {"steps": steps + 6000, "sleep_total_min": np.full(len(steps), 500.0)})
    assert rows["improvement"].mean() > 0.9
    assert rows["better_days"].mean() > 5
    rows = done(found, {"sedentary_min": found.rows[:, columns["sedentary_min"]] - 120})
    assert (rows["improvement"] == 0).all()
    assert (rows["idle_edits"] == 1).all()


def test_what_nobody_can_set_is_not_carried_out():
    found, _ = case("easy")
    j = found.task.schema.columns["resting_hr_bpm"]
    plans, acted = found.rows.copy(), np.zeros(found.rows.shape, dtype=bool)
    plans[:, j], acted[:, j] = 50, True
    rows = outcomes(found, plans, np.ones(len(plans), dtype=bool), acted, False)
    assert (rows["probability_after"] == rows["probability_before"]).all()
    assert (rows["undoable_edits"] == 1).all()
    assert (rows["nothing_to_do"] == 1).all()
    convinced = found.task.judge(plans, final=True).predicted == found.target
    needy = found.before < 0.5
    assert (rows["gaming"][needy] == convinced[needy]).all()


def test_who_has_no_plan_counts_in_the_denominator():
    found, _ = case("easy")
    nobody = np.zeros(len(found.rows), dtype=bool)
    rows = outcomes(found, np.full(found.rows.shape, np.nan), nobody, np.zeros(found.rows.shape, dtype=bool), True)
    table = summary(rows.assign(setting="s", method="m", person=found.group)).set_index("metric")
    assert table.loc["improvement", "n"] == len(found.rows)
    assert table.loc["improvement", "value"] == 0
    assert table.loc["success", "n"] == (found.before < 0.5).sum()
    assert table.loc["improvement_of_plans", "n"] == 0
    assert np.isnan(table.loc["improvement_of_plans", "value"])


def test_half_of_the_adherence_does_less():
    found, _ = case("easy")
    steps = found.rows[:, found.task.schema.columns["steps"]]
    whole = done(found, {"steps": steps + 4000})["probability_after"]
    half = done(replace(found, adherence=0.5), {"steps": steps + 4000})["probability_after"]
    assert (half <= whole + 1e-9).mean() > 0.9
    assert half.mean() < whole.mean() - 0.03


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("truth") / "a"
    truth(SMALL, folder)
    return folder


def test_a_run_leaves_its_files(finished: Path):
    assert not (finished / "unfinished").exists()
    facts = json.loads((finished / "run.json").read_text())
    table, rows = pd.read_csv(finished / "table.csv"), pd.read_csv(finished / "outcomes.csv")
    assert facts["command"] == "truth"
    assert facts["requests"] == len(rows) / 3  # of nobody, of the oracle, of the one method
    assert set(table["metric"]) == set(MEASURES)
    found = json.loads((finished / "metrics.json").read_text())["levers"]["constant"]["improvement"]
    assert found["low"] <= found["value"] <= found["high"]
    assert "<svg" in (finished / "truth.svg").read_text()
    assert "| levers | constant |" in (finished / "table.md").read_text()
    assert json.loads((finished / "card.json").read_text())["simulated"]
    with pytest.raises(InputError, match="--overwrite"):
        truth(SMALL, finished)


@pytest.mark.parametrize("width", [80, 180])
def test_the_table_fits_the_terminal_and_has_every_method(finished: Path, width: int) -> None:
    table = pd.read_csv(finished / "table.csv").fillna({"setting": "–"})
    console = Console(width=width, record=True, file=io.StringIO())
    for shown in tables_of(SimpleNamespace(table=table), width):
        console.print(shown)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert all(str(name) in text for name in {*table["method"], *table["setting"]})


def test_a_run_that_was_interrupted_goes_on_and_says_the_same(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    both = replace(SMALL, settings=("levers", "boundary"))
    asked: list[str] = []
    real = run.ask_method

    def stops(setting, asking):
        asked.append(asking.generator)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(setting, asking)

    monkeypatch.setattr(run, "ask_method", stops)
    with pytest.raises(KeyboardInterrupt):
        truth(both, tmp_path / "a")
    assert not (tmp_path / "a" / "run.json").exists()
    kept = list((tmp_path / "a" / "unfinished").rglob("batch-0*.npz"))
    assert kept
    monkeypatch.setattr(run, "ask_method", real)
    truth(both, tmp_path / "a")
    table, before = pd.read_csv(tmp_path / "a" / "table.csv"), pd.read_csv(finished / "table.csv")
    same = table[table["setting"] != "boundary"].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, before)
    assert set(table["setting"]) == {"–", "levers", "boundary"}
    pairs = pd.read_csv(tmp_path / "a" / "comparisons.csv").set_index("metric")
    rows = table.set_index(["setting", "method", "metric"])["value"]
    for metric in ("improvement", "success", "harm"):
        gap = rows["boundary", "constant", metric] - rows["levers", "constant", metric]
        assert pairs.loc[metric, "difference"] == pytest.approx(gap)


def test_random_worlds_are_averaged_over_worlds(tmp_path: Path):
    small = replace(SMALL, world="random", people=30, held_out=8)
    made = many(small, 2, tmp_path / "m")
    row = made.table.set_index(["method", "metric"]).loc[("constant", "improvement")]
    each = [pd.read_csv(tmp_path / "m" / f"world-0{n}" / "table.csv") for n in range(2)]
    values = [t.set_index(["method", "metric"]).loc[("constant", "improvement"), "value"] for t in each]
    assert row["value"] == pytest.approx(np.mean(values))
    assert row["n"] == 2
    before = (tmp_path / "m" / "world-00" / "run.json").stat().st_mtime_ns
    many(small, 2, tmp_path / "m")
    assert (tmp_path / "m" / "world-00" / "run.json").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="another days"):
        many(replace(small, days=4), 2, tmp_path / "m")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--settings", "none"], "setting 'none' is unknown; use boundary"),
        (["--adherence", "2"], "--adherence must lie between 0 and 1"),
        (["--people", "0"], "--people must be at least 1"),
        (["--generators", "nobody"], "generator 'nobody' is unknown"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(tmp_path: Path, options: list[str], says: str):
    refused(call("truth", "--generators", "constant", *options, "--out", tmp_path / "x"), says, left=tmp_path / "x")


def bench(name: str) -> Any:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def test_the_page_shows_what_is_stored():
    page = "docs/truth.md"
    made = bench("truth")
    text = (ROOT / page).read_text(encoding="utf-8")
    for mark, table in made.sections().items():
        if f"<!-- {mark} -->" in text:
            shown = text.split(f"<!-- {mark} -->")[1].split(f"<!-- /{mark} -->")[0]
            assert shown.strip() == table, f"{page}: python benchmarks/truth.py --write"


def test_the_page_says_what_plans_that_hold_made_of_people():
    text = " ".join((ROOT / "docs/truth.md").read_text(encoding="utf-8").split())

    def value(world, metric, setting="levers+hold", method="search"):
        table = pd.read_csv(ROOT / f"benchmarks/truth/{world}.csv")
        row = table[(table["metric"] == metric) & (table["setting"] == setting) & (table["method"] == method)]
        return float(row["value"].iloc[0]), int(row["n"].iloc[0])

    better, given = value("easy", "improvement_of_plans")
    well, bad = value("easy", "success_of_plans")
    assert f"made {better * given:.0f} of the {given} better who got one" in text
    assert f"well {well * bad:.0f} of the {bad} who were not" in text
    assert f"They are given to {value('easy', 'answered')[0]:.0%}".replace("%", " %") in text
    assert f"cost {value('easy', 'effort_to_oracle')[0]:.1f} times what the oracle's do" in text
    everybody = value("easy", "success", "levers", "constant-shift")[0]
    assert (
        f"makes {100 * everybody:.0f} % well, {100 * (everybody - value('easy', 'success')[0]):.0f} points more" in text
    )
    hidden, vain = value("confounded", "success")[0], value("confounded", "gaming")[0]
    assert f"make {100 * hidden:.0f} % well and harm nobody, and {100 * vain:.0f} % still convince in vain" in text
    moved = value("drifting", "success")[0]
    assert f"{100 * moved:.0f} % of those who were not well are well" in text
    assert f"at {value('drifting', 'effort_to_oracle')[0]:.1f} times the oracle's effort" in text
    assert all(value(world, "harm")[0] == 0 for world in ("easy", "confounded", "drifting", "flipped"))


def test_the_page_says_what_was_found_of_consequences():
    made = bench("consequences")
    found = json.loads(made.STORED.read_text(encoding="utf-8"))
    text = (ROOT / "docs/truth.md").read_text(encoding="utf-8")
    assert made.page(found) in text, "python benchmarks/consequences.py --write"
    plans, other = found["plans"], found["dowhy"]
    assert f"Of {plans['plans']:,} plans from {plans['asked']:,} requests" in " ".join(text.split())
    assert plans["edit_what_nobody_does"] == plans["break_a_rule_after_following"] == 0
    assert plans["plans"] >= 10_000
    assert f"takes {found['time']['median']:.2f} times the processor time" in " ".join(text.split())
    assert other["n"] == 1000
    assert other["largest"] <= made.SHARE


def test_consequences_agree_with_dowhy():
    pytest.importorskip("dowhy", reason="DoWhy is not installed: pip install dowhy")
    made = bench("consequences")
    assert made.dowhy(20)["largest"] <= made.SHARE
