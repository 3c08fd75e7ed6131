"""Worlds: the same noise gives the same days, actions move what stands below them and nothing else."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.data.builtin import simulated
from sensecf.data.world.base import World, ancestors
from sensecf.data.world.cohort import Cohort
from sensecf.data.world.graphs import Graph
from sensecf.data.world.presets import PRESETS, preset

EVERY: list[World] = [*PRESETS.values(), *(Graph(seed) for seed in range(4))]
by_name = pytest.mark.parametrize("world", EVERY, ids=lambda world: world.name)


def lived(world: World, people: int = 40, seed: int = 3):
    frame, noises = world.simulate(people, 5, seed)
    return frame, noises, world.schema()


def lifted(world: World, frame: pd.DataFrame, lever: str, by: float) -> dict[str, np.ndarray]:
    """An action that moves one lever of every row by a share of its range."""
    feature = world.schema()[lever]
    wide = by * (feature.high - feature.low)
    return {lever: np.round((frame[lever] + wide).clip(feature.low, feature.high).to_numpy(dtype=float))}


def test_the_cohort_of_before_has_the_bytes_of_before():
    frame, _ = Cohort().simulate(200, 10, 0)
    pd.testing.assert_frame_equal(frame, simulated.simulate_cohort(200, 10, 0))
    head = simulated.simulate_cohort(20, 5, 1).to_csv(index=False).encode()
    assert hashlib.sha256(head).hexdigest() == HEAD


HEAD = "ad369c88e9a917774426d81355fc0b5adb309cac403304c9f08d552bb69bd0e5"


@by_name
def test_the_same_arguments_give_the_same_table(world):
    pd.testing.assert_frame_equal(world.simulate(20, 4, 1)[0], world.simulate(20, 4, 1)[0])
    assert not world.simulate(20, 4, 1)[0].equals(world.simulate(20, 4, 2)[0])


@by_name
def test_days_on_which_nothing_is_done_are_lived_as_before(world):
    frame, noises, schema = lived(world)
    out = world.do(noises, {}, future=3)
    if getattr(world, "drift", 0):
        return  # its laws have moved on by then
    pd.testing.assert_frame_equal(out.frame[schema.names], frame[schema.names])
    nothing = world.do(noises, {name: np.full(len(noises), np.nan) for name in world.levers}, future=3)
    pd.testing.assert_frame_equal(nothing.frame, out.frame)
    assert (nothing.labels == out.labels).all()
    assert out.labels.shape == (len(frame), 3)


@by_name
def test_labels_come_as_often_as_their_probability(world):
    frame, noises = world.simulate(400, 5, 7)
    schema = world.schema()
    chance = world.do(noises, {}).probability if not getattr(world, "drift", 0) else None
    if chance is None:
        return
    well = (frame[schema.label] == schema.target).to_numpy()
    for low in (0.0, 0.25, 0.5, 0.75):
        some = (chance >= low) & (chance < low + 0.25)
        assert well[some].mean() == pytest.approx(chance[some].mean(), abs=0.06)


@by_name
def test_an_action_moves_only_what_stands_below_it(world):
    frame, noises, schema = lived(world)
    before = world.do(noises, {})
    for lever in world.levers:
        after = world.do(noises, lifted(world, frame, lever, 0.1))
        moved = {name for name in schema.names if not after.frame[name].equals(before.frame[name])}
        below = {name for name in schema.names if lever in ancestors(world.edges, name)}
        assert lever in moved
        assert moved <= {lever, *below}
        if lever not in ancestors(world.edges, schema.label):
            assert (after.probability == before.probability).all()


@by_name
def test_half_of_a_change_is_half_of_the_way(world):
    frame, noises, _ = lived(world)
    lever = world.levers[0]
    wanted = lifted(world, frame, lever, 0.2)
    natural = world.do(noises, {}).frame[lever].to_numpy()
    half = world.do(noises, wanted, adherence=0.5).frame[lever].to_numpy()
    assert np.abs(half - (natural + wanted[lever]) / 2).max() <= 0.51
    slipped = world.do(noises, wanted, slip=0.3, seed=1).frame[lever].to_numpy()
    assert not np.array_equal(slipped, world.do(noises, wanted, slip=0.3, seed=2).frame[lever].to_numpy())
    assert np.array_equal(slipped, world.do(noises, wanted, slip=0.3, seed=1).frame[lever].to_numpy())


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(list(PRESETS)), st.integers(0, 2**31), st.data())
def test_whatever_is_done_the_day_fits_the_schema(name, seed, data):
    world = preset(name)
    _, noises = world.simulate(10, 3, seed)
    schema = world.schema()
    draw = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    actions = {}
    for lever in world.levers:
        wanted = np.round(draw.uniform(schema[lever].low, schema[lever].high, len(noises)))
        actions[lever] = np.where(draw.random(len(noises)) < 0.5, wanted, np.nan)
    codec = Codec(schema)
    rows = codec.encode(world.do(noises, actions, slip=0.5).frame)
    # Only what is set against the clock can break a rule: more hours than a day has.
    late = np.zeros(len(rows), dtype=bool)
    for day in (actions,):
        late |= sum(np.nan_to_num(day[n]) for n in ("active_min", "sedentary_min", "sleep_total_min")) > 1440 - 300
    assert not codec.rules.violated(rows)[~late].any()
    assert not ((rows < codec.low) | (rows > codec.high))[~late].any()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_the_ranges_that_the_cohort_documents(name):
    frame, _ = preset(name).simulate(600, 10, 5)
    assert (frame["stress"] == "high").mean() == pytest.approx(0.42, abs=0.04)
    correlation = frame.select_dtypes("number").corr()
    assert correlation.loc["steps", "glucose_mean_mgdl"] < -0.03
    assert correlation.loc["sleep_total_min", "resting_hr_bpm"] < -0.1
    assert correlation.loc["hba1c_pct", "glucose_mean_mgdl"] > 0.8
    plain, _ = preset("easy").simulate(600, 10, 5)
    numbers = plain.select_dtypes("number").columns
    apart = (frame[numbers].mean() - plain[numbers].mean()).abs() / plain[numbers].std()
    assert apart.max() < 0.1
    assert (frame[numbers].std() / plain[numbers].std()).between(0.85, 1.15).all()


def test_a_hidden_cause_makes_the_table_promise_more_than_is_done():
    """Days with many steps are better than days on which one walks as much more: the gap is what is hidden."""

    def promised(world: Cohort) -> float:
        frame, noises = world.simulate(1500, 4, 2)
        steps, age = np.log(frame["steps"].to_numpy()), frame["age"].to_numpy()
        kept = noises.of["habit"]
        logit = np.log(1 / world.do(noises, {}).probability - 1) - noises.of["offset"]
        slope = np.linalg.lstsq(np.column_stack([steps, age, kept, np.ones(len(age))]), logit, rcond=None)[0][0]
        more = np.log(1 / world.do(noises, {"steps": np.round(1.3 * frame["steps"].to_numpy())}).probability - 1)
        return float(slope * np.log(1.3) / (more - noises.of["offset"] - logit).mean())

    assert promised(preset("easy")) == pytest.approx(1.0, abs=0.25)
    assert promised(preset("confounded")) > 1.4


def test_laws_that_drift_make_later_days_worse():
    frame, noises = preset("drifting").simulate(200, 5, 1)
    later = preset("drifting").do(noises, {}).probability.mean()
    assert later < Cohort().do(noises, {}).probability.mean() - 0.05
    assert (frame["stress"] == "high").mean() == pytest.approx(0.42, abs=0.06)


@by_name
def test_what_is_no_lever_cannot_be_done(world):
    _, noises, schema = lived(world)
    result = next(f.name for f in schema.features if f.role == "mutable")
    with pytest.raises(InputError, match="nothing that a person sets"):
        world.do(noises, {result: np.zeros(len(noises))})


@by_name
def test_an_empty_world_is_refused(world):
    with pytest.raises(InputError, match="at least 1 person"):
        world.simulate(0, 3)


def test_an_unknown_world_is_refused():
    with pytest.raises(InputError, match="easy, confounded, drifting or random"):
        preset("flat")


@pytest.mark.parametrize("seed", range(20))
def test_a_random_world_can_be_learned_from_and_acted_in(seed):
    world = Graph(seed)
    frame, noises = world.simulate(100, 5)
    assert 0.3 < (frame["state"] == "ill").mean() < 0.55
    working = [n for n in world.levers if n in ancestors(world.edges, "state")]
    assert len(working) >= 2
    before = world.do(noises, {}).probability
    moved = [np.abs(world.do(noises, lifted(world, frame, n, 0.2)).probability - before).mean() for n in working]
    assert max(moved) > 0.03


def test_a_world_without_what_is_hidden_differs_only_by_it():
    shown, hidden = Graph(3, hidden=False), Graph(3)
    assert shown.edges == hidden.edges
    assert shown.schema() == hidden.schema()
    assert not shown.simulate(20, 3)[0].equals(hidden.simulate(20, 3)[0])
