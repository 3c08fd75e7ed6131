"""Tables with blanks: distances, likeness and reasons are about what was measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import boundary
import sensecf
from sensecf.core.distances import FLOOR, NearestPoints, Scale
from sensecf.core.neighbours import Neighbours
from sensecf.core.plausibility import Plausibility
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Task


def people(blanks: str, seed: int, n: int = 400, d: int = 8) -> tuple[pd.DataFrame, Bools]:
    """Two classes half a table apart, and which values would not have been measured: at random, by blocks
    of features, of the ill alone, of the well alone, or none."""
    rng = np.random.default_rng(seed)
    ill = rng.random(n) < 0.5
    common = rng.normal(size=(n, 3)) @ np.random.default_rng(0).normal(size=(3, d))
    values = common * 0.6 + rng.normal(size=(n, d)) + 1.5 * ill[:, None] * (np.arange(d) < d // 2)
    random, blocks = rng.random((n, d)) < 0.5, np.repeat(rng.random((n, d // 2)) < 0.5, 2, axis=1)
    blank = {"none": random & False, "random": random, "blocks": blocks,
             "ill": random & ill[:, None], "well": random & ~ill[:, None]}[blanks]  # fmt: skip
    frame = pd.DataFrame(values.round(2), columns=[f"f{j}" for j in range(d)])
    return frame.assign(state=np.where(ill, "ill", "well")), blank


def blanked(blanks: str, seed: int) -> pd.DataFrame:
    """The people with their blanks."""
    frame, blank = people(blanks, seed)
    names = frame.columns[:-1]
    return frame.assign(**dict(zip(names, frame[names].mask(blank).to_numpy().T, strict=True)))


def task_of(frame: pd.DataFrame) -> Task:
    """The task of a table; what its classifier says does not matter here."""
    schema = sensecf.infer_schema(frame, "state")
    return Task(schema, frame, sensecf.fit_classifier("logistic", schema, frame))


@pytest.mark.parametrize("blanks", ["none", "random", "blocks", "ill", "well"])
def test_real_people_with_the_blanks_of_those_who_ask_are_called_outliers_as_often_as_promised(blanks: str) -> None:
    task = task_of(blanked(blanks, 1))
    fresh, blank = people(blanks, 2, n=1500)
    names = task.schema.names
    well, ill = (fresh["state"] == "well").to_numpy(), (fresh["state"] == "ill").to_numpy()
    rng = np.random.default_rng(0)
    rows = fresh.loc[well, names].to_numpy().copy()
    rows[blank[ill][rng.integers(0, ill.sum(), well.sum())]] = np.nan
    target = np.full(len(rows), task.classes.index("well"))
    called = task.once(Plausibility).score(rows, target) < 0
    assert 0.01 <= called.mean() <= 0.11
    # And what nobody well has is seen: a measured value five standard deviations off.
    j = np.argmax(~np.isnan(rows), axis=1)
    odd = rows.copy()
    odd[np.arange(len(odd)), j] += 5 * task.once(Scale).std[j]
    assert (task.once(Plausibility).score(odd, target) < 0)[~np.isnan(rows).all(axis=1)].mean() > 0.6


def test_complete_tables_keep_the_lof_of_scikit_learn() -> None:
    task = task_of(blanked("none", 1))
    members, rows = task.rows[task.y == 0], task_of(blanked("none", 2)).rows
    scale = task.once(Scale)
    lof = LocalOutlierFactor(novelty=True, algorithm="brute").fit(scale.embed(members))
    expected = lof.score_samples(scale.embed(rows))
    found = task.once(Plausibility).score(rows, np.zeros(len(rows), dtype=np.intp))
    assert np.corrcoef(found, expected)[0, 1] == pytest.approx(1.0, abs=1e-12)
    # The form for blanks agrees with it where there are none.
    almost = rows.copy()
    almost[0, 0] = np.nan
    mixed = task.once(Plausibility).score(almost, np.zeros(len(rows), dtype=np.intp))
    np.testing.assert_array_equal(mixed[1:], found[1:])


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 6), st.floats(0, 0.9))
def test_the_nearest_are_those_of_a_slow_loop(seed: int, n: int, d: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    points, asked = rng.normal(size=(n, d)), rng.normal(size=(7, d))
    points[rng.random(points.shape) < share] = np.nan
    asked[rng.random(asked.shape) < share] = np.nan
    index, k = NearestPoints(points), min(3, n)
    known = np.where(np.isnan(points).all(axis=0), 0.0, points)
    filled, weight = np.where(np.isnan(points), np.nanmedian(known, axis=0), points), np.nanvar(known, axis=0) + 1e-9
    slow = np.empty((7, n))
    for i, row in enumerate(asked):
        there = ~np.isnan(row)
        for m, other in enumerate(filled):
            whole = 1.0 if there.all() else weight.sum() / max(weight[there].sum(), 1e-12)
            slow[i, m] = np.sqrt(((row - other)[there] ** 2).sum() * whole)
    distance, position = index.kneighbors(asked, k)
    np.testing.assert_allclose(distance, np.sort(slow, axis=1)[:, :k], rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(slow, position, axis=1), distance, rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(index.within(asked, 1.0), (slow <= 1.0).sum(axis=1))


def test_a_blank_of_the_one_who_asks_does_not_choose_the_neighbours() -> None:
    task = task_of(blanked("none", 1))
    asked = task.rows[:30].copy()
    asked[:, 4:] = np.nan
    target = np.full(len(asked), task.classes.index("well"))
    peers = task.once(Neighbours).peers(int(target[0])).rows
    found = task.once(Neighbours).nearest(asked, target, 1)[:, 0]
    std = task.once(Scale).std[:4]
    apart = np.linalg.norm((peers[None, :, :4] - asked[:, None, :4]) / std, axis=2)
    np.testing.assert_allclose(np.linalg.norm((found - asked)[:, :4] / std, axis=1), apart.min(axis=1), atol=1e-6)


def numbers(columns: dict[str, Floats]) -> Task:
    """A task whose features are these numbers."""
    frame = pd.DataFrame(columns)
    frame["state"] = np.where(np.arange(len(frame)) % 2, "ill", "well")
    schema = sensecf.infer_schema(frame, "state")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame[schema.names].fillna(0.0), frame["state"])
    return Task(schema, frame, model)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.floats(0.0, 0.95))
def test_a_distance_counts_in_the_mad_of_what_was_measured(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(400, 40, 200).round(1)
    values[rng.random(200) < share] = np.nan
    values[:20] = rng.normal(400, 40, 20).round(1)
    task = numbers({"a": values, "b": rng.normal(size=200).round(2)})
    measured = values[~np.isnan(values)]
    assert task.once(Scale).mad[0] == pytest.approx(np.median(np.abs(measured - np.median(measured))))
    assert task.once(Scale).std[0] == pytest.approx(measured.std())


@settings(max_examples=15)
@given(st.integers(0, 1000), st.floats(1e-9, 1e-2), st.floats(0.51, 0.93))
def test_a_column_that_hardly_varies_does_not_blow_a_distance_up(seed: int, jitter: float, constant: float) -> None:
    rng = np.random.default_rng(seed)
    spike = np.where(rng.random(400) < constant, 1 + rng.normal(0, jitter, 400), rng.normal(8, 2, 400))
    task = numbers({"a": spike, "b": rng.normal(size=400).round(2)})
    low, high = np.quantile(spike, [0.05, 0.95])
    base, there = np.array([[low, 0.0]]), np.array([[high, 0.0]])
    assert task.once(Scale).mad_l1(base, there)[0] <= 1 / FLOOR + 1e-9


def test_one_wild_value_does_not_make_a_distance_free() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(100, 10, 300)
    values[0] = 1e9
    assert 5 < numbers({"a": values, "b": rng.normal(size=300)}).once(Scale).mad[0] < 8


def refused(seed: int, blank: dict[str, float]) -> pd.DataFrame:
    """Reasons of ill people of whom `blank` was not measured (share by column), where the well are complete."""
    rng = np.random.default_rng(seed)
    ill = rng.random(400) < 0.5
    columns = {"age": rng.integers(20, 80, 400), "pressure": rng.normal(80, 8, 400).round(),
               "hemo": rng.normal(15, 1, 400).round(1), "cells": rng.normal(5, 0.5, 400).round(2)}  # fmt: skip
    frame = pd.DataFrame(columns)
    for name, share in blank.items():
        frame[name] = frame[name].mask(ill & (rng.random(400) < share))
    frame["state"] = np.where(ill, "ill", "well")
    schema = sensecf.infer_schema(frame, "state")
    model = sensecf.fit_classifier("xgboost", schema, frame.iloc[:300])
    task = Task(schema, frame.iloc[:300], model)
    rest = frame.iloc[300:]
    asked = rest[(model.predict(rest[schema.names]) == "ill") & rest[list(blank)].isna().any(axis=1)].head(8)
    return (
        boundary.explain(task, sensecf.generators.Search(task), asked, target="well", edit="mutable")
        .to_frame()
        .query("valid != True")
    )


@pytest.mark.parametrize("blank", [{"hemo": 0.9}, {"cells": 0.9, "hemo": 0.9}])
def test_where_only_a_measurement_could_turn_the_answer_the_reason_names_it(blank: dict[str, float]) -> None:
    reasons = refused(0, blank)["reason"]
    assert len(reasons) >= 5
    for reason in reasons:
        columns = reason.removeprefix("blanks stand in the way: ").split(" w")[0].split(", ")
        assert set(columns) <= set(blank)
        assert columns
        assert "not measured" in reason
        assert "age" not in reason.split(";")[0]
