"""One plan for many: what is asked stays within everybody's limits, few programmes are the best few, and what is
counted was never asked before."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

import command
from boundary import BOUNDARY
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.core.verify import breaches
from sensecf.pipeline.programme.asks import Demand, Programme, candidates, carried
from sensecf.pipeline.programme.claim import Calibration, calibration, expected_share
from sensecf.pipeline.programme.cover import best_few, curve, exact, greedy, relaxed, within
from sensecf.pipeline.programme.find import (
    FEWEST,
    PRICE,
    Cohort,
    Judges,
    _pick,
    _Terms,
    by_person,
    find,
    halves,
)
from sensecf.pipeline.programme.reach import Reach, agreed, reach
from sensecf.pipeline.weeks import schedule, weeks_needed
from sensecf.runs.programme.cohort import opened
from sensecf.runs.programme.tables import set_table

#: Days turned by person and candidate, in small whole numbers.
GAINS = st.integers(1, 7).flatmap(
    lambda people: st.integers(1, 6).flatmap(
        lambda wide: st.lists(
            st.lists(st.integers(0, 4), min_size=wide, max_size=wide), min_size=people, max_size=people
        )
    )
)


def best(gain: np.ndarray, count: int) -> float:
    """The value of the best set, by looking at all."""
    sets = itertools.combinations(range(gain.shape[1]), min(count, gain.shape[1]))
    return max(float(gain[:, list(one)].max(axis=1).sum()) for one in sets)


@given(GAINS, st.integers(1, 3))
def test_the_chosen_few_are_the_best_few_and_the_bound_is_one(rows: list[list[int]], count: int) -> None:
    gain = np.array(rows, dtype=float)
    found = best_few(gain, count)
    assert found.value == pytest.approx(best(gain, count), abs=1e-3)
    assert found.value <= found.bound + 1e-9
    assert len(found.chosen) <= count


@given(GAINS, st.integers(1, 3))
def test_the_relaxed_bound_lies_below_no_set(rows: list[list[int]], count: int) -> None:
    gain = np.array(rows, dtype=float)
    picked = greedy(gain, count)
    value = float(gain[:, picked].max(axis=1).sum()) if len(picked) else 0.0
    assert relaxed(gain, count, value) >= best(gain, count) - 1e-6
    chosen, bound = exact(gain, count)
    assert bound >= best(gain, count) - 1e-3
    assert chosen is not None


@given(GAINS, st.integers(0, 12), st.integers(0, 5))
def test_a_budget_buys_the_most_that_it_can(rows: list[list[int]], budget: int, seed: int) -> None:
    value = np.array(rows[:4], dtype=float)[:, :3]
    cost = np.random.default_rng(seed).integers(1, 5, value.shape).astype(float)
    found = within(value, cost, budget)
    ways = itertools.product(*[range(-1, value.shape[1])] * len(value))
    most = 0.0
    for way in ways:
        pairs = [(p, k) for p, k in enumerate(way) if k >= 0]
        if sum(cost[pair] for pair in pairs) <= budget:
            most = max(most, sum(float(value[pair]) for pair in pairs))
    assert found.cost <= budget
    assert found.value == pytest.approx(most)
    points = curve(value, cost)
    assert [point.cost for point in points] == sorted(point.cost for point in points)
    assert points[-1].value == pytest.approx(value.max(axis=1).sum())


def days(task: Task, limits: Limits = BOUNDARY) -> Query:
    rows = task.rows[task.judge(task.rows).predicted != task.target_position("low")][:40]
    return Query.of_rows(task, rows, "low", limits)


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_asked_nobody_leaves_their_limits_and_no_rule_breaks(mixed_task: Task, data: st.DataObject) -> None:
    task = mixed_task
    query = days(task, Limits(hold=0.0, edit="mutable", lock=["device"], ranges={"steps": (None, 12_000)}))
    asks = []
    for j in data.draw(st.sets(st.integers(0, len(task.schema) - 1), min_size=1, max_size=4)):
        feature = task.schema.features[j]
        if feature.numeric:
            kind = data.draw(st.sampled_from(["by", "at least", "at most"]))
            reach_ = (feature.high or 0) - (feature.low or 0)
            size = data.draw(st.floats(-reach_, reach_)) if kind == "by" else data.draw(st.floats(0, feature.high or 0))
            asks.append(Demand(j, kind, size))
        else:
            asks.append(Demand(j, "to", float(data.draw(st.integers(0, len(feature.levels) - 1)))))
    one = Programme(tuple(sorted(asks)))
    seen = reach(task, query, [one])
    rows, edited = carried(task, query, [one])
    told = breaches(task, query, np.arange(len(query)), rows[0])
    assert not any(told[seen.feasible[:, 0]])
    assert not (edited[0] & ~query.movable).any()
    assert (seen.turned <= (seen.valid & seen.feasible)).all()
    judged = task.judge(rows[0], final=True)
    assert (task.valid(judged, query.target)[seen.turned[:, 0]]).all()


def test_a_target_leaves_those_who_are_there_where_they_are(mixed_task: Task) -> None:
    query = days(mixed_task)
    j = mixed_task.schema.columns["steps"]
    rows, edited = carried(mixed_task, query, [Programme((Demand(j, "at least", 9_000.0),))])
    now = query.rows[:, j]
    assert (rows[0, now >= 9_000, j] == now[now >= 9_000]).all()
    assert (rows[0, now < 9_000, j] >= 9_000).all()
    assert not edited[0, np.isnan(now)].any()


def cohort(task: Task) -> Cohort:
    """Forty days of twenty people, each with the row of the nearest day that is low as its plan."""
    query = days(task)
    owner = np.arange(len(query))
    j = task.schema.columns["steps"]
    plans = query.rows.copy()
    plans[:, j] = np.where(np.isnan(plans[:, j]), np.nan, 16_000)
    plans[:, task.schema.columns["coffee"]] = 0
    edited = task.codec.changed(query.rows, plans)
    return Cohort(task, query, owner // 2, plans, owner, edited)


def test_without_plans_there_is_no_lever_to_ask_for(mixed_task: Task) -> None:
    query, none = days(mixed_task), mixed_task.rows[:0]
    assert candidates(mixed_task, query, np.arange(0), none, none.astype(bool)) == []
    assert reach(mixed_task, query, []).turned.shape == (len(query), 0)


def test_people_who_count_took_no_part_in_picking(mixed_task: Task) -> None:
    told = cohort(mixed_task)
    asked: list[int] = []

    def juror(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        return np.full(len(rows), mixed_task.target_position("low"))

    found = find(told, Judges([juror], [juror], 0.95), most=2, seed=1)
    assert found.picks.sum() == told.count // 2
    other = Cohort(told.task, told.query, told.people, told.plans, told.owner, told.edited)
    keep = found.picks[told.people]
    plans = other.plans.copy()
    plans[~keep] = other.query.rows[~keep]  # plans of people who are counted change nothing
    again = find(
        Cohort(told.task, told.query, told.people, plans, told.owner, told.edited & keep[:, None]), Judges(), 2, seed=1
    )
    assert again.programmes == find(told, Judges(), 2, seed=1).programmes
    assert asked


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_a_larger_set_turns_no_fewer_days_of_those_who_pick(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sure = np.where(rng.random((30, 8)) < 0.5, rng.choice([0.5, 0.9, 1.0], (30, 8)), 0.0)
    nothing = np.zeros(sure.shape, dtype=bool)
    seen = Reach(nothing, nothing, sure > 0, sure, sure, rng.uniform(0.2, 9.0, sure.shape))
    people, fewest = np.arange(30) // 3, 0.0
    for count in (1, 2, 3):
        picked = _pick(by_person(sure, people), seen, people, _Terms(count, 2.0, PRICE, fewest))
        assert picked is not None
        assert picked[1] >= fewest - 1e-6
        fewest = picked[1]


def test_why_a_larger_set_turns_fewer_is_said(tmp_path: Path) -> None:
    table, schema, run = tmp_path / "days.csv", tmp_path / "schema.toml", tmp_path / "run"
    command.people().to_csv(table, index=False)
    schema.write_text(command.SCHEMA, encoding="utf-8")
    asked = ["explain", str(table), "--schema", str(schema), *command.QUICK, "--hold", "0", "--out", str(run)]
    assert command.call(*asked).status == 0
    opened_run = opened(run)
    found = find(opened_run.cohort, Judges(), 1)
    worse = found.given[0]._replace(stands=np.zeros_like(found.given[0].stands))
    both = replace(found, sets=[*found.sets, *found.sets], given=[*found.given, worse])
    told = set_table(opened_run, both, Calibration())["why_fewer"]
    assert told[0] == ""
    assert "as many" in told[1]
    assert "beyond chance" in told[1] or "within chance" in told[1] or "points" not in told[1]


def test_what_is_claimed_is_right_of_people_whom_the_classifier_had_not_seen(mixed_task: Task) -> None:
    """Probabilities that are too sure by a factor are set right; rows are asked as they are where nothing follows."""

    class TooSure:
        def __init__(self, inner: Any = None) -> None:
            self.inner = inner

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return {"inner": self.inner}

        def set_params(self, **given: Any) -> TooSure:
            self.inner = given.get("inner", self.inner)
            return self

        def fit(self, rows: pd.DataFrame, labels: Any) -> TooSure:
            self.fitted_ = clone(self.inner).fit(rows, labels)
            self.classes_ = self.fitted_.classes_
            return self

        def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
            odds = 4 * logit(self.fitted_.predict_proba(rows)[:, [1]].clip(1e-4, 1 - 1e-4))
            return np.hstack([1 - expit(odds), expit(odds)])

        def predict(self, rows: pd.DataFrame) -> np.ndarray:
            return np.asarray(self.classes_)[self.predict_proba(rows).argmax(axis=1)]

    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=1500).round(2), "z": rng.normal(size=1500).round(2)})
    table["y"] = np.where(rng.random(1500) < expit(table["x"]), "good", "bad")
    features = tuple(Feature(name, "continuous", low=-9, high=9, step=0.01) for name in ("x", "z"))
    schema = FeatureSchema(features, "y", ("bad", "good"), "good")
    task = Task(schema, table, TooSure(LogisticRegression()).fit(table[["x", "z"]], table["y"]))
    told = calibration(task, 1)
    assert told.slope == pytest.approx(0.25, abs=0.08)
    rows = np.column_stack([rng.normal(1.0, 0.5, 400), np.zeros(400)]).round(2)
    said = expected_share(task, rows, rows, np.ones(400, dtype=np.intp), told)
    assert said.low is said.high
    assert said.share.mean() == pytest.approx(expit(rows[:, 0]).mean(), abs=0.05)


def test_where_something_hidden_is_seen_the_claim_is_an_interval_below_what_the_classifier_says() -> None:
    rng = np.random.default_rng(0)
    load = rng.normal(size=800)
    table = pd.DataFrame({"steps": 8000 - 2000 * load + rng.normal(0, 2000, 800)}).round(-1)
    table["pulse"] = (70 + 4 * load + rng.normal(0, 4, 800)).round()
    table["pace"] = (table["steps"] / 1000 + rng.normal(0, 1, 800)).round(1)
    table["stress"] = np.where(load + rng.normal(0, 1, 800) > 0, "high", "low")
    features = (
        Feature("steps", "continuous", "actionable", low=0, high=30_000, step=10),
        Feature("pulse", "continuous", "mutable", low=30, high=120, step=1, causes=("pace",), sign=("+",)),
        Feature("pace", "continuous", "mutable", low=-20, high=60, step=0.1, causes=("steps",), sign=("+",)),
    )
    schema = FeatureSchema(features, "stress", ("high", "low"), "low")
    task = Task(schema, table, LogisticRegression().fit(table[schema.names] / 1, table["stress"]))
    told = calibration(task, 1)
    assert told.against is not None
    base, rows = task.rows[:50], task.rows[:50].copy()
    rows[:, 0] += 4000
    said = expected_share(task, base, rows, np.ones(50, dtype=np.intp), told)
    assert (said.low < said.share).all()
    assert (said.share < said.high).all()
    nothing = expected_share(task, base, base, np.ones(50, dtype=np.intp), told)
    assert np.allclose(nothing.low, nothing.high)


def test_with_few_people_all_pick_and_nobody_is_counted() -> None:
    assert halves(FEWEST - 1, 0).all()
    assert halves(FEWEST, 0).sum() == FEWEST // 2
    assert (halves(30, 3) == halves(30, 3)).all()


def test_jurors_who_refuse_make_a_day_less_sure() -> None:
    rows, target = np.zeros((3, 2)), np.zeros(3, dtype=np.intp)

    def against(some: int) -> list[object]:
        return [lambda asked, k=k: np.where(np.full(len(asked), k < some), 1, 0) for k in range(34)]

    sure = [agreed(against(some), rows, target, 0.95)[0][0] for some in (0, 1, 3, 20)]
    assert sure == sorted(sure, reverse=True)
    assert sure[-1] == 0
    assert agreed(against(1), rows, target, 0.95)[1].all()
    assert not agreed(against(2), rows, target, 0.95)[1].any()


def test_a_schedule_moves_at_its_pace_and_ends_at_the_plan(mixed_task: Task) -> None:
    told = cohort(mixed_task)
    way = schedule(mixed_task, told.query, told.owner, told.plans)
    assert np.array_equal(way.rows[-1], told.plans, equal_nan=True)
    assert (way.weeks == weeks_needed(mixed_task, told.query.rows, told.plans, told.edited)).all()
    j = mixed_task.schema.columns["steps"]
    moved = np.abs(np.diff(way.rows[:, :, j], axis=0))
    whole = np.abs(told.plans[:, j] - told.query.rows[:, j])
    assert (np.nan_to_num(moved) <= np.nan_to_num(whole) / 6 + 100).all()


def test_the_command_writes_the_same_files_twice(tmp_path: Path) -> None:
    table, schema, run = tmp_path / "days.csv", tmp_path / "schema.toml", tmp_path / "run"
    command.people().to_csv(table, index=False)
    schema.write_text(command.SCHEMA, encoding="utf-8")
    asked = ["explain", str(table), "--schema", str(schema), *command.QUICK, "--hold", "0", "--out", str(run)]
    assert command.call(*asked).status == 0
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        done = command.call("programme", str(run), "--out", str(folder), "--budget", "6", "--cost", "steps=2")
        assert done.status == 0, done.err
    for path in sorted(first.iterdir()):
        if path.name != "run.json":
            assert path.read_bytes() == (second / path.name).read_bytes(), path.name
    records = pd.read_csv(first / "redcap.csv")
    fields = pd.read_csv(first / "redcap_dictionary.csv")["Variable / Field Name"]
    assert set(records) - {"redcap_repeat_instrument", "redcap_repeat_instance"} == set(fields)
    told = pd.read_csv(first / "days.csv")
    assert told["why"].notna().eq(~told["reached"]).all()
    people = pd.read_csv(first / "people.csv")
    assert people["reached"].sum() == told["reached"].sum()
    assert people.loc[people["within_budget"], "cost"].notna().all()


def test_the_page_says_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[1]
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    text = (root / "docs" / "programme.md").read_text(encoding="utf-8")
    for name, table in importlib.import_module("programme_docs").tables().items():
        told = text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
        assert told.strip() == table.strip(), name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cost", "steps"], "--cost"),
        (["--cost", "steps=0"], "positive"),
        (["--budget", "-1"], "--budget"),
        (["--programmes", "0"], "--programmes"),
    ],
)
def test_what_cannot_be_asked_is_one_line(tmp_path: Path, options: list[str], words: str) -> None:
    done = command.call("programme", str(tmp_path / "none"), "--out", str(tmp_path / "out"), *options)
    assert done.status == 2
    assert len(done.err.strip().splitlines()) == 1
    if "=" not in options[-1] and words == "--cost":
        assert words in done.err
