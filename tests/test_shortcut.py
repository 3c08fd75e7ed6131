"""The shortcut study: its worlds, its pairs, its learners, and a page that says what was found."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    sys.path.insert(0, str(BENCHMARKS))
    names = ("cells", "shortcut_tables", "shortcut_nets", "shortcut_arms", "shortcut")
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def world(bench: dict[str, ModuleType]) -> Any:
    return bench["shortcut_tables"].world("simulated", "device", 3)


def agreeing(world: Any, rows: pd.DataFrame) -> float:
    return float(((rows[world.schema.label] == world.positive) == (rows["nuisance"] == "B")).mean())


def test_the_nuisance_agrees_with_the_label_as_often_as_was_asked(world: Any) -> None:
    assert agreeing(world, world.train) == pytest.approx(0.9, abs=0.001)
    assert agreeing(world, world.balanced) == pytest.approx(0.5, abs=0.001)
    assert agreeing(world, world.agreeing) == 1.0
    assert agreeing(world, world.other) == 0.0


def test_no_person_is_on_both_sides(world: Any) -> None:
    assert not set(world.train["participant_id"]) & set(world.other["participant_id"])


def test_a_twin_differs_only_in_the_nuisance_and_what_follows_from_it(bench: Any, world: Any) -> None:
    twin = bench["shortcut_tables"].swapped(world, world.train, world.effect)
    moved = [name for name in twin if not twin[name].equals(world.train[name])]
    assert sorted(moved) == sorted([*world.effect.touched, "nuisance"])
    assert set(twin["nuisance"] == world.train["nuisance"]) == {False}
    back = bench["shortcut_tables"].swapped(world, twin, world.effect)
    pd.testing.assert_frame_equal(back, world.train, check_dtype=False)


@settings(max_examples=20, deadline=None)
@given(st.floats(-50, 50), st.floats(0.2, 5.0), st.lists(st.booleans(), min_size=3, max_size=3))
def test_what_a_nuisance_does_can_be_taken_out_again(shift: float, factor: float, level: list[bool]) -> None:
    sys.path.insert(0, str(BENCHMARKS))
    effect = importlib.import_module("shortcut_tables").Effect({"a": shift}, {"b": factor})
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [3.0, -4.0, 5.0]})
    there = np.array(level)
    pd.testing.assert_frame_equal(effect.off(effect.on(frame, there), there), frame)


def test_the_estimate_finds_what_the_device_does(bench: Any, world: Any) -> None:
    found = bench["shortcut_tables"].estimated(world).shift
    assert set(world.effect.touched) <= set(found)
    assert found["resting_hr_bpm"] == pytest.approx(world.effect.shift["resting_hr_bpm"], abs=2.0)


def test_without_pairs_the_smooth_learner_is_the_products_logistic_regression(bench: Any) -> None:
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(200, 4)), rng.random(200) + 0.5
    y = X @ [1.0, -1.0, 0.5, 0.0] + rng.normal(size=200) > 0
    ours = bench["shortcut_nets"].PairNet("logistic").fit(X, y, weight).log_odds(X)
    theirs = LogisticRegression(C=0.1, max_iter=1000, tol=1e-8).fit(X, y, weight).decision_function(X)
    assert np.abs(ours - theirs).max() < 0.01


def test_slopes_of_the_network_are_those_of_its_log_odds(bench: Any) -> None:
    rng = np.random.default_rng(0)
    net, X, g = bench["shortcut_nets"].PairNet("mlp"), rng.normal(size=(7, 3)), rng.normal(size=7)
    at = net._start(3)
    wrong = check_grad(lambda w: float(net._forward(w, X)[0] @ g), lambda w: net._forward(w, X)[1](g), at)
    assert wrong < 1e-5


def test_one_pair_takes_a_nuisance_out_of_a_linear_learner(bench: Any, world: Any) -> None:
    made = bench["shortcut_arms"].Bench(world, 3)
    told = bench["shortcut_arms"].paired(made, "logistic", "1")
    twin = bench["shortcut_tables"].swapped(world, world.other, world.effect)
    assert np.abs(told(world.other) - told(twin)).max() < 0.05
    plain = bench["shortcut_arms"].plain(made, "logistic", made.balanced())
    assert np.abs(plain(world.other) - plain(twin)).max() > 0.3


def test_f1_of_a_mixture_is_that_of_its_confusions(bench: Any) -> None:
    # of 40 positive rows 20 agree, recall .9 and .5; of 60 negative 30 agree, false alarms .1 and .3
    assert bench["shortcut"].f1(0.4, [0.9, 0.5, 0.1, 0.3], 0.5) == pytest.approx(2 * 28 / (2 * 28 + 12 + 12))


def test_work_goes_on_where_it_stopped_and_tells_what_fails(bench: Any, tmp_path: Path, capfd: Any) -> None:
    todo = [{"study": "x", "number": number} for number in range(4)]
    path = tmp_path / "cells.jsonl"
    bench["cells"].work(halved, todo, path, 2, 1.0)
    assert sorted(line["found"] for line in bench["cells"].read(path)) == [0, 1]
    assert "ValueError: odd" in capfd.readouterr().out
    bench["cells"].work(halved, todo, path, 1, 0.0)
    assert len(bench["cells"].read(path)) == 2


def halved(place: dict[str, Any]) -> int:
    if place["number"] % 2:
        raise ValueError("odd")
    return int(place["number"]) // 2


def test_the_page_has_the_figures_of_the_stored_cells(bench: Any) -> None:
    made = bench["shortcut"]
    page = made.PAGE.read_text(encoding="utf-8").partition("<!-- results -->")[2]
    assert page.strip() == made.markdown(bench["cells"].read(made.STORED)).strip()


def test_the_guide_says_what_the_stored_cells_say(bench: Any) -> None:
    text = " ".join((BENCHMARKS.parent / "docs" / "augmentation.md").read_text(encoding="utf-8").split())
    assert bench["shortcut"].sentence(bench["cells"].read(bench["shortcut"].STORED)) in text
