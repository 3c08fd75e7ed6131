"""A feature that is a nuisance is not learned from, never edited, and said in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sensecf
from command import explain
from sensecf.classifiers.apart import weigh_apart
from sensecf.classifiers.fit import NAMES
from sensecf.core.errors import InputError, LimitsWarning


def table(rows: int = 240) -> tuple[pd.DataFrame, sensecf.FeatureSchema]:
    """Days whose label goes with the device more than with steps."""
    rng = np.random.default_rng(0)
    stressed = rng.random(rows) < 0.5
    agrees = rng.random(rows) < 0.9
    frame = pd.DataFrame(
        {
            "steps": (9000 - 2500 * stressed + 2500 * rng.normal(size=rows)).clip(0).round(),
            "sitting_min": (500 + 60 * stressed + 90 * rng.normal(size=rows)).clip(0).round(),
            "device": np.where(stressed == agrees, "B", "A"),
            "stress": np.where(stressed, "high", "low"),
        }
    )
    schema = sensecf.infer_schema(frame, label="stress")
    return frame, replace(schema, target="low").edit(device={"nuisance": True})


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_answers_alike_whatever_the_nuisance_is(name: str) -> None:
    frame, schema = table()
    classifier = sensecf.fit_classifier(name, schema, frame)
    rows = frame[schema.names]
    told = [classifier.predict_proba(rows.assign(device=level)) for level in ("A", "B")]
    assert np.array_equal(*told)
    learned = sensecf.fit_classifier(name, schema.edit(device={"nuisance": False}), frame)
    assert not np.allclose(*(learned.predict_proba(rows.assign(device=level)) for level in ("A", "B")))


def test_rows_weigh_so_that_the_label_does_not_go_with_the_nuisance() -> None:
    frame, schema = table()
    total = pd.crosstab(frame["device"], frame["stress"], weigh_apart(schema, frame), aggfunc="sum")
    assert np.allclose(total["high"], total["low"])
    assert np.allclose(total.sum(axis=1), frame["device"].value_counts().sort_index())
    plain = schema.edit(device={"nuisance": False})
    assert np.allclose(weigh_apart(plain, frame), len(frame) / 2 / frame.groupby("stress")["stress"].transform("size"))


def test_a_level_of_one_positive_row_does_not_outweigh_the_table() -> None:
    frame, schema = table()
    frame["device"] = np.where(frame["stress"] == "low", "A", "B")
    frame.loc[frame.index[frame["stress"] == "low"][0], "device"] = "B"
    weights = weigh_apart(schema, frame)
    assert weights.max() <= 10 * len(frame) / 2 / frame["stress"].value_counts().min()
    frame["device"] = np.where(frame["stress"] == "low", "A", "B")
    assert weigh_apart(schema, frame).tolist() == [1.0] * len(frame)


def test_what_a_nuisance_leaves_in_other_columns_counts_less() -> None:
    frame, schema = table(600)
    frame["steps"] = frame["steps"] + 4000 * (frame["device"] == "A")
    fresh = frame.assign(device="A")[schema.names]
    apart = sensecf.fit_classifier("logistic", schema, frame)
    dropped = sensecf.fit_classifier("logistic", schema, frame, weight=np.ones(len(frame)))
    moved = [
        np.abs(model.predict_proba(fresh)[:, 0] - model.predict_proba(fresh.assign(steps=fresh["steps"] + 4000))[:, 0])
        for model in (apart, dropped)
    ]
    assert moved[0].mean() < 0.8 * moved[1].mean()


def test_no_answer_changes_a_nuisance_whatever_its_role_is() -> None:
    frame, schema = table()
    schema = schema.edit(device={"role": "actionable"})
    task = sensecf.Task(schema, frame, sensecf.fit_classifier("logistic", schema, frame))
    asked = frame[frame["stress"] == "high"].head(12)
    with pytest.warns(LimitsWarning, match="no plan changes it"):
        answers = sensecf.explain(task, "search", asked, limits=sensecf.Limits(edit="mutable", hold=0))
    found = answers.to_frame()
    assert found["steps"].notna().any()
    shown = found[found["steps"].notna()]
    assert (shown["device"].to_numpy() == frame["device"].loc[shown["query"]].to_numpy()).all()


def test_the_key_comes_back_from_toml(tmp_path: Path) -> None:
    schema = table()[1]
    schema.to_toml(tmp_path / "schema.toml")
    assert sensecf.FeatureSchema.from_toml(tmp_path / "schema.toml") == schema


def test_a_table_of_nuisances_has_nothing_to_learn_from() -> None:
    frame, schema = table()
    every = schema.edit(**{name: {"nuisance": True} for name in schema.names})
    with pytest.raises(InputError, match="every feature is a nuisance"):
        sensecf.fit_classifier("logistic", every, frame)


def test_explain_says_that_a_nuisance_is_not_learned_from(tmp_path: Path) -> None:
    frame, schema = table()
    frame.to_csv(tmp_path / "days.csv", index=False)
    schema.to_toml(tmp_path / "schema.toml")
    done = explain(tmp_path / "days.csv", tmp_path / "schema.toml", tmp_path / "run")
    said = "Nuisance, by the schema: device."
    assert done.status == 0
    assert said in done.err
    assert said in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
