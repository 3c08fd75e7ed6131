"""Awkward tables from the file to verified answers, through the command line and judged from outside.

The judge (`checker`) shares nothing with the code that made the answers, and reads the CSV files as
anyone would: with plain `pandas.read_csv`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sensecf
from checker import value_of
from command import as_text, explain, judge, make_schema, people

RNG = np.random.default_rng


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))


@dataclass(frozen=True)
class Case:
    """An awkward table: how it is made and written, and how it is asked about."""

    make: Callable[[], pd.DataFrame]
    label: str = "stress"
    write: Callable[[pd.DataFrame, Path], None] = lambda frame, path: frame.to_csv(path, index=False)
    suffix: str = ".csv"
    edit: Mapping[str, str] = field(default_factory=dict)  # in the text of the schema
    rules: str = ""
    options: tuple[Any, ...] = ()
    least: float = 1.0  # share of the queries that must be answered


def with_columns(n: int = 120, **columns: Any) -> Callable[[], pd.DataFrame]:
    """`people` with further or other columns, each an array or a function of the frame."""

    def make() -> pd.DataFrame:
        frame = people(n)
        for name, values in columns.items():
            frame[name] = values(frame) if callable(values) else values
        return frame

    return make


def blanks_everywhere() -> pd.DataFrame:
    frame = people(160)
    rng = RNG(1)
    for name in frame.columns[:-1]:
        frame[name] = frame[name].astype(object).where(rng.random(len(frame)) > 0.15)
    frame.loc[::40, frame.columns[:-1]] = np.nan
    frame.loc[5, "stress"] = np.nan
    return frame


def many_columns() -> pd.DataFrame:
    rng = RNG(2)
    values = rng.normal(size=(150, 200)).round(2)
    frame = pd.DataFrame(values, columns=[f"x{j}" for j in range(200)])
    frame["stress"] = np.where(values[:, :6].sum(axis=1) > 0, "low", "high")
    return frame


def large() -> pd.DataFrame:
    return people(20_000)


def all_binary() -> pd.DataFrame:
    rng = RNG(3)
    frame = pd.DataFrame(rng.integers(0, 2, (120, 6)), columns=list("abcdef"))
    frame["stress"] = np.where(frame[["a", "b", "c"]].sum(axis=1) + rng.normal(0, 0.3, 120) > 1.5, "low", "high")
    return frame


def every_size() -> pd.DataFrame:
    """Values around 1e13, steps of a millionth, and below zero."""
    frame = people()
    frame["steps"] = frame["steps"] * 1_000_000_000
    frame["deep_sleep_min"] = (frame["deep_sleep_min"] * 1e-5).round(6)
    frame["balance"] = (RNG(10).normal(-2_000, 300, len(frame)) + 100 * (frame["stress"] == "low")).round(2)
    return frame


def skewed() -> pd.DataFrame:
    rng = RNG(4)
    frame = pd.DataFrame({"income": rng.lognormal(3, 2.5, 150).round(2), "visits": rng.poisson(0.2, 150)})
    frame["rare"] = np.where(rng.random(150) < 0.02, 1, 0)
    frame["stress"] = np.where(np.log(frame["income"]) + rng.normal(0, 0.5, 150) > 3, "low", "high")
    return frame


def rules_table() -> pd.DataFrame:
    rng = RNG(5)
    n = 150
    frame = pd.DataFrame({"light": rng.integers(100, 300, n), "deep": rng.integers(20, 120, n)})
    frame["rem"] = rng.integers(20, 120, n)
    frame["sleep"] = frame["light"] + frame["deep"] + frame["rem"]
    frame["hr_min"] = rng.integers(40, 60, n)
    frame["hr_mean"] = frame["hr_min"] + rng.integers(5, 20, n)
    frame["hr_max"] = frame["hr_mean"] + rng.integers(10, 60, n)
    frame["alcohol"] = rng.choice(["yes", "no"], n)
    z = (frame["deep"] - 70) / 20 + (frame["rem"] - 70) / 30 - (frame["hr_mean"] - 62) / 10 + (frame["alcohol"] == "no")
    frame["stress"] = np.where(z + rng.normal(0, 0.5, n) > 0, "low", "high")
    return frame


RULES = """
[[rules]]
type = "total"
parts = ["light", "deep", "rem"]
whole = "sleep"

[[rules]]
type = "order"
features = ["hr_min", "hr_mean", "hr_max"]

[[rules]]
type = "linear"
weights = {deep = 1, rem = 1}
op = "<="
bound = 240

[[rules]]
type = "implication"
if = {feature = "alcohol", op = "==", value = "yes"}
then = {feature = "deep", op = "<=", value = 120}
"""


def to_parquet(frame: pd.DataFrame, path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame.to_parquet(path)


def decimal_commas(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, sep=";", decimal=",")


def windows(frame: pd.DataFrame, path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + frame.to_csv(index=False, sep="\t", lineterminator="\r\n").encode())


def dates_and_categories() -> pd.DataFrame:
    frame = people()
    frame["device"] = pd.Categorical(frame["device"], ["watch", "ring", "band"], ordered=True)
    frame["day"] = pd.date_range("2024-01-01", periods=len(frame), tz="UTC")
    frame["nap"] = pd.array(np.where(np.arange(len(frame)) % 7 == 0, None, np.arange(len(frame)) % 90), dtype="Int64")
    frame["sick"] = pd.array(np.where(np.arange(len(frame)) % 9 == 0, None, np.arange(len(frame)) % 2 == 0), "boolean")
    frame["spo2"] = RNG(6).normal(96, 1.5, len(frame)).astype(np.float32).round(1)
    frame["stress"] = pd.Categorical(frame["stress"])
    frame.index = pd.Index(np.arange(len(frame)) + 1_000)
    return frame


def few_rows() -> pd.DataFrame:
    frame = people(300, seed=8)
    return pd.concat([frame[frame["stress"] == c].head(6) for c in ("low", "high")], ignore_index=True)


def digits_as_text() -> pd.DataFrame:
    """Text levels that look like numbers, as only Parquet can hold them."""
    frame = people()
    frame["device"] = frame["device"].map({"watch": "01", "ring": "2", "band": "3.50"})
    frame["flag"] = np.where(frame["steps"] > 7_000, "true", "false")
    frame["mood"] = np.where(frame["deep_sleep_min"] > 60, "1", "2")
    frame.loc[::9, "mood"] = None
    return frame


STRANGE = {
    "steps": "steps per day",
    "deep_sleep_min": 'deep, "true" sleep',
    "age": "=SUM(A1), 年齢",
    "device": "<script>alert('Ø')</script> [/b]",
}

CASES = {
    "blanks in every column": Case(blanks_everywhere, least=0.9),
    "binaries only": Case(all_binary),
    "one feature": Case(lambda: people()[["steps", "stress"]]),
    "levels only": Case(
        with_columns(steps=lambda f: f["steps"].map(lambda v: f"{v // 3000}k"), deep_sleep_min="a", age="b"),
    ),
    "a category of 60 levels": Case(
        with_columns(400, town=lambda f: RNG(7).choice([f"town {i:02d}" for i in range(60)], 400))
    ),
    "a constant column, an empty one and an id": Case(
        with_columns(constant=3.5, same="x", empty=np.nan, patient_id=lambda f: np.arange(len(f)) + 1)
    ),
    "numbers as classes, some blank": Case(
        with_columns(stress=lambda f: (f["stress"] == "high").astype(float).where(f.index % 10 > 0)),
        options=("--target", "0"),
    ),
    "booleans as classes": Case(with_columns(stress=lambda f: f["stress"] == "high"), options=("--target", "False")),
    "classes with markup in their names": Case(
        with_columns(stress=lambda f: f["stress"].map({"low": "[/low]", "high": "<b>high"})),
        options=("--target", "[/low]"),
    ),
    "three classes": Case(
        with_columns(240, stress=lambda f: pd.cut(f["steps"] + 50 * f["deep_sleep_min"], 3, labels=["c", "b", "a"])),
        options=("--target", "b"),
    ),
    "200 columns": Case(many_columns, options=("--limit", "6")),
    "booleans": Case(
        with_columns(
            active=lambda f: f["steps"] > 7_000,
            rested=lambda f: (f["deep_sleep_min"] > 60).astype(object).where(f.index % 8 > 0),
        )
    ),
    "digits as text": Case(digits_as_text, write=to_parquet, suffix=".parquet"),
    "words as classes, and levels that read as blank": Case(
        with_columns(
            stress=lambda f: f["stress"].map({"low": "no", "high": "yes"}),
            disorder=lambda f: np.where(f["deep_sleep_min"] > 50, "None", "apnea"),
        ),
        options=("--target", "no"),
    ),
    "levels with commas, quotes, line ends and signs": Case(
        with_columns(
            device=lambda f: f["device"].map({"watch": 'a, "b"', "ring": "c\nd", "band": "=1+1"}),
            band=lambda f: f["age"].map(lambda v: "<30" if v < 30 else str(v // 10)),
        )
    ),
    "strange names": Case(lambda: people().rename(columns=STRANGE)),
    "decimal commas": Case(with_columns(balance=lambda f: f["deep_sleep_min"] - 99.5), write=decimal_commas),
    "tabs, a byte order mark and Windows line ends": Case(people, write=windows),
    "Parquet with categories, dates and blanks": Case(dates_and_categories, write=to_parquet, suffix=".parquet"),
    "very skewed": Case(skewed),
    "values of every size": Case(every_size),
    "floats without a pattern": Case(with_columns(deep_sleep_min=lambda f: f["deep_sleep_min"] / 7)),
    "whole floats with blanks": Case(with_columns(steps=lambda f: f["steps"].astype(float).where(f.index % 6 > 0))),
    "twelve rows": Case(few_rows),
    "the same row over and over": Case(lambda: pd.concat([few_rows()] * 12, ignore_index=True), least=0.0),
    "20,000 rows": Case(large, options=("--limit", "200")),
    "protected features": Case(
        with_columns(sex=lambda f: RNG(9).choice(["f", "m"], len(f))),
    ),
    "rules of every kind": Case(rules_table, rules=RULES, options=("--generator", "search", "-n", "2")),
    "people": Case(
        with_columns(participant_id=lambda f: [f"p{i % 20:02d}" for i in range(len(f))]), options=("--seed", "3")
    ),
    "one direction only": Case(
        people, edit={'direction = "increase"': 'direction = "increase"\nmax_change = 6000'}, least=0.5
    ),
    "coarse steps": Case(people, edit={"step = 100\n": "step = 250\n"}),
    "a range narrower than the data": Case(people, edit={"high = 60000": "high = 9999"}, least=0.0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_answer_is_valid_and_breaks_nothing(case: Case, tmp_path: Path) -> None:
    table = tmp_path / f"table{case.suffix}"
    case.write(case.make(), table)
    path = make_schema(table, tmp_path / "schema.toml", case.label)
    text = path.read_text(encoding="utf-8")
    for old, new in case.edit.items():
        assert old in text, text
        text = text.replace(old, new, 1)
    if case.rules:
        text = text.split("\n[[rules]]")[0] + case.rules
    path.write_text(text, encoding="utf-8")
    ended = explain(table, path, tmp_path / "out", "--edit", "mutable", *case.options)
    assert ended.status == 0, ended.err
    answers, facts = judge(tmp_path / "out"), as_text(tmp_path / "out" / "factuals.csv")
    assert answers["query"].nunique() >= case.least * len(facts)
    rows = sensecf.read_table(table).iloc[facts["query"].astype(int)]
    for feature in sensecf.FeatureSchema.from_toml(path).features:
        given = [value_of(feature, cell) for cell in rows[feature.name].astype(str)]
        kept = [value_of(feature, cell) for cell in facts[feature.name]]
        assert given == kept, f"{feature.name} is not as it was given"


# --- the user's own classifiers ---------------------------------------------------------------

PIPELINE = """
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import {name}
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

numbers = make_pipeline(SimpleImputer(), StandardScaler())
levels = OneHotEncoder(handle_unknown="ignore")
encode = ColumnTransformer([("n", numbers, ["steps", "deep_sleep_min"]), ("l", levels, ["device"])])
model = {model}
"""

OWN = {
    "a pipeline with its own encoding": ("FixedThresholdClassifier", "make_pipeline(encode, LogisticRegression())"),
    "a fixed threshold": (
        "FixedThresholdClassifier",
        "FixedThresholdClassifier(make_pipeline(encode, LogisticRegression()), threshold=0.8, pos_label='low')",
    ),
    "a tuned threshold": (
        "TunedThresholdClassifierCV",
        "TunedThresholdClassifierCV(make_pipeline(encode, LogisticRegression()), random_state=0)",
    ),
}


@pytest.mark.parametrize(("name", "model"), OWN.values(), ids=OWN.keys())
def test_a_pipeline_in_the_working_folder_is_fitted_asked_and_saved(
    name: str, model: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    module = f"own_{list(OWN.values()).index((name, model))}"
    (tmp_path / f"{module}.py").write_text(PIPELINE.format(name=name, model=model))
    frame = people()
    frame["deep_sleep_min"] = frame["deep_sleep_min"].where(frame.index % 10 > 0)
    frame.to_csv(tmp_path / "table.csv", index=False)
    schema = make_schema(tmp_path / "table.csv", tmp_path / "schema.toml")
    ended = explain(
        tmp_path / "table.csv", schema, tmp_path / "out", "--edit", "mutable", "--classifier", f"{module}:model"
    )
    assert ended.status == 0, ended.err
    answers = judge(tmp_path / "out")
    assert len(answers) > 10
    if "fixed" in request.node.callspec.id:
        assert (answers["probability"] >= 0.8 - 1e-6).all(), "the user's threshold decides"


PRETRAINED = """
import numpy as np

class Rule:
    classes_ = np.array(["high", "low"])

    def predict_proba(self, rows):
        low = np.clip(rows["steps"].to_numpy() / 16_000, 0, 1)
        return np.column_stack([1 - low, low])

    def predict(self, rows):
        return np.where(rows["steps"] >= 9_000, "low", "high")  # not where the probability is a half
"""


def test_an_object_that_is_no_scikit_learn_estimator_is_asked_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "own_rule.py").write_text(PRETRAINED)
    people().to_csv(tmp_path / "table.csv", index=False)
    schema = make_schema(tmp_path / "table.csv", tmp_path / "schema.toml")
    ended = explain(
        tmp_path / "table.csv", schema, tmp_path / "out", "--edit", "mutable", "--classifier", "own_rule:Rule"
    )
    assert ended.status == 0, ended.err
    answers = judge(tmp_path / "out", "own_rule:Rule")
    assert (answers["steps"] >= 9_000).all()
    assert len(answers) == len(pd.read_csv(tmp_path / "out" / "factuals.csv"))
    with pytest.raises(sensecf.InputError, match=r"trusted=\['own_rule:Rule'\]"):
        sensecf.load_task(tmp_path / "out")


@pytest.mark.parametrize("name", ["xgboost", "random-forest", "svm", "mlp"])
def test_every_classifier_answers_on_blanks_levels_and_numbers(name: str, tmp_path: Path) -> None:
    blanks_everywhere().to_csv(tmp_path / "table.csv", index=False)
    schema = make_schema(tmp_path / "table.csv", tmp_path / "schema.toml")
    ended = explain(
        tmp_path / "table.csv", schema, tmp_path / "out", "--edit", "mutable", "--classifier", name, "--limit", "15"
    )
    assert ended.status == 0, ended.err
    assert len(judge(tmp_path / "out")) >= 12


def test_the_embedded_model_answers_is_kept_and_is_not_trained_again(tmp_path: Path) -> None:
    people(60)[["steps", "deep_sleep_min", "stress"]].to_csv(tmp_path / "table.csv", index=False)
    schema = make_schema(tmp_path / "table.csv", tmp_path / "schema.toml")
    told = []
    for name, options in (("first", ()), ("second", ()), ("locked", ("--lock", "steps"))):
        ended = explain(
            tmp_path / "table.csv", schema, tmp_path / name, "--edit", "mutable", "--generator", "tiny", *options
        )
        assert ended.status == 0, ended.err
        told.append(ended.out)
    assert ["Training on pairs" in text for text in told] == [True, False, False]
    answers = judge(tmp_path / "first")
    assert (answers["generator"] == "tiny").mean() > 0.9
    judge(tmp_path / "locked", lock=["steps"])
    first, second = (as_text(tmp_path / name / "counterfactuals.csv") for name in ("first", "second"))
    pd.testing.assert_frame_equal(first.drop(columns="seconds"), second.drop(columns="seconds"))
    assert (tmp_path / "first" / "task" / "tiny" / "model.safetensors").exists()
    facts = json.loads((tmp_path / "first" / "run.json").read_text())
    assert all(0 <= share["value"] <= 1 for share in facts["model_alone"].values())


# --- public tables ----------------------------------------------------------------------------

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"

PUBLIC = {
    "t1d_uom_daily_stress/t1d_uom_daily_stress.csv": "high_stress",
    "lifesnaps_daily/lifesnaps_stress.csv": "high_stress",
    "heart_disease_cleveland/heart_cleveland.csv": "target",
}


@pytest.mark.parametrize(("name", "label"), PUBLIC.items(), ids=[Path(name).stem for name in PUBLIC])
def test_public_tables_are_answered_from_their_inferred_schemas(name: str, label: str, tmp_path: Path) -> None:
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not in the data folder beside the repository")
    schema = make_schema(DATA / name, tmp_path / "schema.toml", label)
    ended = explain(
        DATA / name, schema, tmp_path / "out", "--edit", "mutable", "--classifier", "xgboost", "--limit", "40"
    )
    assert ended.status == 0, ended.err
    assert judge(tmp_path / "out")["query"].nunique() == 40


# --- tables that need a word more -------------------------------------------------------------


def test_a_class_of_one_row_cannot_be_split_but_can_be_asked_about(tmp_path: Path) -> None:
    frame = people()
    low = frame.index[frame["stress"] == "low"]
    frame = frame.drop(low[1:])
    frame.to_csv(tmp_path / "table.csv", index=False)
    frame[frame["stress"] == "high"].head(8).to_csv(tmp_path / "queries.csv", index=False)
    schema = make_schema(tmp_path / "table.csv", tmp_path / "schema.toml")
    refused = explain(tmp_path / "table.csv", schema, tmp_path / "out", "--edit", "mutable")
    assert refused.status == 2
    assert "class 'low' has one row" in refused.err
    asked = ("--queries", tmp_path / "queries.csv")
    ended = explain(tmp_path / "table.csv", schema, tmp_path / "out", "--edit", "mutable", *asked)
    assert ended.status == 0, ended.err
    judge(tmp_path / "out")


def test_nobody_of_a_group_is_on_both_sides(tmp_path: Path) -> None:
    frame = people(200)
    frame["who"] = [f"p{i % 25}" for i in range(len(frame))]
    frame.to_csv(tmp_path / "table.csv", index=False)
    schema = make_schema(tmp_path / "table.csv", tmp_path / "schema.toml", "stress", "--group", "who")
    assert explain(tmp_path / "table.csv", schema, tmp_path / "out", "--edit", "mutable").status == 0
    asked = frame.loc[judge(tmp_path / "out")["query"], "who"]
    trained = sensecf.load_task(tmp_path / "out").train["who"]
    assert set(asked).isdisjoint(set(trained))


def test_a_name_with_a_comma_is_locked_in_quotes(tmp_path: Path) -> None:
    frame = people().rename(columns={"steps": "steps, daily", "device": 'the "device"'})
    frame.to_csv(tmp_path / "table.csv", index=False)
    schema = make_schema(tmp_path / "table.csv", tmp_path / "schema.toml")
    locks = '"steps, daily", the "device"'
    ended = explain(tmp_path / "table.csv", schema, tmp_path / "out", "--edit", "mutable", "--lock", locks)
    assert ended.status == 0, ended.err
    answers = judge(tmp_path / "out", lock=["steps, daily", 'the "device"'])
    assert len(answers)


def test_at_most_so_many_features_change(tmp_path: Path) -> None:
    frame = people()
    frame.to_csv(tmp_path / "table.csv", index=False)
    schema = make_schema(tmp_path / "table.csv", tmp_path / "schema.toml")
    assert (
        explain(
            tmp_path / "table.csv", schema, tmp_path / "out", "--edit", "mutable", "-n", "3", "--max-changes", "1"
        ).status
        == 0
    )
    assert len(judge(tmp_path / "out", max_changes=1)) > 20
