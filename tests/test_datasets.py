"""The data sets fit their schemas, cards travel with tables, splits keep people and classes apart as promised."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.data.builtin import NAMES, Card, aireadi, find_card, heart, lifesnaps, load, simulated, split
from sensecf.data.card import strictest
from sensecf.data.infer.infer import infer_schema

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def dataset(name: str):
    if name != "simulated" and not (DATA / name).is_dir():
        pytest.skip(f"{name} is not in the data folder beside the checkout")
    return load(name, root=DATA)


# --- every data set ---


@pytest.mark.parametrize("name", NAMES)
def test_every_row_fits_the_schema(name):
    frame, schema, card = dataset(name)
    codec = Codec(schema)
    rows = codec.encode(frame)
    assert not codec.rules.violated(rows).any()
    assert not ((rows < codec.low) | (rows > codec.high)).any()
    assert {f.name for f in schema.features if f.missing} >= set(
        frame[schema.names].columns[np.isnan(rows).any(axis=0)]
    )
    assert set(frame.columns) == {*schema.names, schema.label, *schema.ignored, *schema.kept}
    assert set(frame[schema.label]) == set(schema.classes)
    assert card.name == schema.name == name
    assert card.simulated == (name == "simulated")


@pytest.mark.parametrize(
    ("name", "label_sources"),
    [
        ("heart_disease_cleveland", {"num"}),
        ("lifesnaps_daily", {"stress_score", "tense_anxious_ema"}),
        ("t1d_uom_daily_stress", {"stress_mean", "stress_pct_ge51", "stress_n", "hr_n", "act_epochs", "glucose_n"}),
    ],
)
def test_label_sources_are_not_in_the_table(name, label_sources):
    assert not label_sources & set(dataset(name).frame.columns)


def test_rules_of_t1d_uom_are_in_its_schema():
    assert len(dataset("t1d_uom_daily_stress").schema.rules) == 4


def test_thal_and_sex_stay_and_cholesterol_moves_as_a_result():
    schema = dataset("heart_disease_cleveland").schema
    assert [schema[n].role for n in ("sex", "thal", "chol", "thalach")] == [
        "immutable", "immutable", "mutable", "mutable",
    ]  # fmt: skip


def test_the_data_folder_may_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SENSECF_DATA", str(tmp_path))
    with pytest.raises(InputError, match="SENSECF_DATA"):
        load("lifesnaps_daily")
    with pytest.raises(InputError, match="the data sets are simulated"):
        load("mnist")


# --- the simulated cohort ---


def test_the_same_seed_gives_the_same_cohort_and_another_another():
    pd.testing.assert_frame_equal(simulated.simulate_cohort(20, 5, seed=1), simulated.simulate_cohort(20, 5, seed=1))
    assert not simulated.simulate_cohort(20, 5, seed=1).equals(simulated.simulate_cohort(20, 5, seed=2))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 2**31))
def test_any_cohort_fits_its_schema(people, days, seed):
    frame = simulated.simulate_cohort(people, days, seed)
    codec = Codec(simulated.simulated_schema())
    rows = codec.encode(frame)
    assert frame.shape == (people * days, 21)
    assert not codec.rules.violated(rows).any()
    assert not ((rows < codec.low) | (rows > codec.high)).any()
    on_step = np.abs(rows / codec.step - np.round(rows / codec.step))
    assert np.nanmax(on_step) < 1e-6
    stages = frame[["sleep_deep_min", "sleep_light_min", "sleep_rem_min"]].sum(axis=1, skipna=False)
    assert (stages - frame["sleep_total_min"]).dropna().eq(0).all()


def test_the_cohort_is_as_described():
    frame = simulated.simulate_cohort(1000, 10, seed=5)
    assert (frame["stress"] == "high").mean() == pytest.approx(0.40, abs=0.03)
    assert frame["sleep_total_min"].isna().mean() == pytest.approx(simulated.BLANK_SHARE, abs=0.005)
    assert frame["glucose_mean_mgdl"].isna().mean() == pytest.approx(simulated.BLANK_SHARE, abs=0.005)
    assert frame.groupby("participant_id").first()["study_group"].value_counts(normalize=True)["healthy"] == (
        pytest.approx(776 / 2280, abs=0.05)
    )
    numbers = frame.select_dtypes("number")
    correlation = numbers.corr()
    assert correlation.loc["steps", "glucose_mean_mgdl"] < -0.03
    assert correlation.loc["sleep_total_min", "resting_hr_bpm"] < -0.1
    assert correlation.loc["hba1c_pct", "glucose_mean_mgdl"] > 0.8
    for name in ("steps", "sleep_total_min", "resting_hr_bpm"):
        within = frame[name] - frame.groupby("participant_id")[name].transform("mean")
        echo = within.groupby(frame["participant_id"]).shift()
        assert within.corr(echo) > 0.1, f"{name} has no day-to-day correlation within a person"


def test_the_label_follows_its_mechanism():
    frame = simulated.simulate_cohort(1000, 10, seed=6)
    chance = 1 / (1 + np.exp(-simulated.stress_logit(frame)))
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.0)):
        rows = (chance > low) & (chance <= high)
        assert (frame["stress"][rows] == "high").mean() == pytest.approx(chance[rows].mean(), abs=0.06)


def test_xgboost_tells_stress_on_people_it_has_not_seen():
    from sklearn.metrics import roc_auc_score
    from xgboost import XGBClassifier

    frame, schema, _ = load("simulated")
    train, test = split(frame, schema)
    codec = Codec(schema)
    model = XGBClassifier(n_estimators=150, max_depth=3, learning_rate=0.08, n_jobs=1)
    model.fit(codec.encode(train), train["stress"] == "high")
    auc = roc_auc_score(test["stress"] == "high", model.predict_proba(codec.encode(test))[:, 1])
    assert 0.82 < auc < 0.92


def test_inference_agrees_with_the_schema_made_by_hand():
    frame, by_hand, _ = load("simulated")
    inferred = infer_schema(frame, "stress")
    assert inferred.names == by_hand.names
    assert (inferred.kept, inferred.target, inferred.ignored) == (by_hand.kept, by_hand.target, by_hand.ignored)
    assert set(map(str, inferred.rules)) == set(map(str, by_hand.rules))
    assert [f.kind for f in inferred.features] == [f.kind for f in by_hand.features]


def test_an_empty_cohort_is_refused():
    with pytest.raises(InputError, match="at least 1 person"):
        simulated.simulate_cohort(people=0)


# --- AI-READI ---


def test_a_built_table_of_aireadi_is_a_data_set(tmp_path):
    frame = simulated.simulate_cohort(10, 5).rename(columns={"participant_id": "person_id"})
    folder = tmp_path / "aireadi"
    folder.mkdir()
    with pytest.raises(InputError, match="sensecf sensors build DOWNLOAD --format aireadi"):
        load("aireadi", root=tmp_path)
    frame.assign(recommended_split="train", clinical_site="UW").to_csv(folder / "days.csv", index=False)
    found = load("aireadi", root=tmp_path)
    assert found.card is aireadi.CARD  # the strict one, where nothing says otherwise
    assert not found.card.permits("api.example.org")
    assert found.schema.group == "person_id"
    assert {"recommended_split", "clinical_site"} <= set(found.schema.ignored)
    simulated.CARD.save_beside(folder / "days.csv")
    assert load("aireadi", root=tmp_path).card == simulated.CARD


# --- cards ---

NAMED = replace(heart.CARD, name="named", leaves="named hosts", hosts=("llm.example.org", "b.example.org"))


def test_a_card_comes_back_from_its_file(tmp_path):
    for card in (aireadi.CARD, simulated.CARD, NAMED):
        card.save(tmp_path)
        assert Card.read(tmp_path / "card.json") == card


def test_a_card_says_where_rows_may_go():
    assert heart.CARD.permits("anywhere.example.org")
    assert heart.CARD.shareable
    assert not aireadi.CARD.permits("anywhere.example.org")
    assert NAMED.permits("LLM.example.org")
    assert not NAMED.permits("example.org")
    assert not NAMED.shareable
    assert "may leave: only to llm.example.org, b.example.org" in NAMED.lines()
    assert "may leave: local only" in aireadi.CARD.lines()
    assert "data: simulated (SIMULATED)" in simulated.CARD.lines()


def test_a_card_lies_beside_its_table_or_in_its_folder(tmp_path):
    table = tmp_path / "days.csv"
    table.write_text("a\n1\n")
    assert find_card(table) is None
    NAMED.save(tmp_path)  # what was made in a run folder is held to the terms of the run
    assert find_card(table) == NAMED
    aireadi.CARD.save_beside(table)
    assert find_card(table) == aireadi.CARD
    assert find_card(tmp_path / "other.csv") == NAMED


def test_a_public_table_is_known_by_its_bytes(tmp_path):
    dataset("heart_disease_cleveland")
    for module in (heart, lifesnaps):
        source = DATA / module.CARD.name / module.FILE
        copy = tmp_path / module.FILE
        shutil.copy(source, copy)
        assert find_card(copy) is module.CARD
        copy.write_bytes(source.read_bytes() + b"\n")
        assert find_card(copy) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"leaves": "everything"}, "use local only, named hosts, shareable"),
        ({"leaves": "named hosts"}, "hosts are listed where"),
        ({"hosts": ["a.example.org"]}, "hosts are listed where"),
        ({"hosts": "a.example.org"}, "hosts must be a list"),
        ({"licence": None}, "licence must be text"),
        ({"simulated": "no"}, "simulated must be true or false"),
        ({"shareable": True}, "unknown field 'shareable'"),
        ({"source": ...}, "the card has no 'source'"),
    ],
)
def test_a_card_that_cannot_be_read_is_not_taken_for_none(tmp_path, change, said):
    data = {key: value for key, value in {**asdict(aireadi.CARD), **change}.items() if value is not ...}
    (tmp_path / "days.csv.card.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=said):
        find_card(tmp_path / "days.csv")
    (tmp_path / "days.csv.card.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        find_card(tmp_path / "days.csv")


def test_what_is_made_of_several_tables_may_go_where_all_of_them_may():
    assert strictest([heart.CARD]) is heart.CARD
    assert strictest([heart.CARD, heart.CARD]) is heart.CARD
    assert strictest([None, None]) is strictest([None, heart.CARD]) is None
    both = strictest([heart.CARD, NAMED])
    assert (both.leaves, both.hosts) == ("named hosts", NAMED.hosts)
    assert "heart_disease_cleveland + named" in both.name
    other = replace(NAMED, name="other", hosts=("b.example.org", "c.example.org"))
    assert strictest([NAMED, other]).hosts == ("b.example.org",)
    assert strictest([NAMED, replace(other, hosts=("c.example.org",))]).leaves == "local only"
    for cards in ([aireadi.CARD, NAMED], [NAMED, aireadi.CARD], [aireadi.CARD, None], [NAMED, None]):
        assert strictest(cards).leaves == "local only"
    assert strictest([simulated.CARD, heart.CARD]).shareable
    assert not strictest([simulated.CARD, heart.CARD]).simulated


# --- splits ---


def schema_of(group: str | None = None, classes: tuple = (0, 1)) -> FeatureSchema:
    feature = Feature("x", "integer", low=0, high=10**6, step=1)
    return FeatureSchema((feature,), label="y", classes=classes, person=group)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), min_size=2, max_size=80),
    st.sampled_from([0.1, 0.3, 0.5]),
    st.booleans(),
    st.integers(0, 5),
)
def test_a_split_has_every_class_on_both_sides_and_no_person_on_two_or_is_refused(rows, share, grouped, seed):
    frame = pd.DataFrame(rows, columns=["who", "y"], index=range(100, 100 + len(rows))).assign(x=1)
    try:
        train, test = split(frame, schema_of("who" if grouped else None), share, seed)
    except InputError:
        counts = frame.groupby("y")["who"].nunique() if grouped else frame["y"].value_counts()
        few_people = grouped and (counts < 6).any()  # with more, some draw works
        assert counts.min() < 2 or len(counts) < 2 or few_people
        return
    assert set(train["y"]) == set(test["y"]) == set(frame["y"])
    assert sorted([*train.index, *test.index]) == frame.index.tolist()
    assert train.index.is_monotonic_increasing
    assert test.index.is_monotonic_increasing
    if grouped:
        assert not set(train["who"]) & set(test["who"])


def test_the_test_side_has_its_share_of_every_class():
    frame = pd.DataFrame({"x": 1, "y": [0] * 700 + [1] * 300})
    _, test = split(frame, schema_of())
    assert test["y"].value_counts().to_dict() == {0: 210, 1: 90}


def test_groups_are_chosen_so_that_classes_stay_balanced():
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(30), 20)
    frame = pd.DataFrame({"x": 1, "who": who, "y": rng.random(600) < np.repeat(rng.random(30), 20)})
    train, test = split(frame, schema_of("who", classes=(False, True)), seed=3)
    assert train["y"].mean() == pytest.approx(test["y"].mean(), abs=0.03)
    assert len(test) / len(frame) == pytest.approx(0.3, abs=0.03)


def test_a_split_repeats_with_its_seed_and_changes_with_another():
    frame = pd.DataFrame({"x": 1, "y": [0, 1] * 50, "who": np.repeat(np.arange(20), 5)})
    for schema in (schema_of(), schema_of("who")):
        assert split(frame, schema, seed=1)[1].index.equals(split(frame, schema, seed=1)[1].index)
        assert not split(frame, schema, seed=1)[1].index.equals(split(frame, schema, seed=2)[1].index)


@pytest.mark.parametrize(
    ("frame", "group", "said"),
    [
        ({"x": [1, 2, 3], "y": [0, 0, 1]}, None, "class 1 has one row"),
        ({"x": [1, 2], "y": [0, 0]}, None, "one class only"),
        ({"x": [1, 2], "y": [0, None]}, None, "'y' is blank in 1 rows"),
        ({"x": [1] * 4, "y": [0, 1, 0, 1], "who": [1, 1, 1, 1]}, "who", "'who' has one value"),
        ({"x": [1] * 4, "y": [0, 1, 0, 0], "who": [1, 1, 2, 2]}, "who", "class 1 occurs in one who only"),
        ({"x": [1] * 4, "y": [0, 1, 0, 1], "who": [1, None, 2, 2]}, "who", "'who' is blank in 1 rows"),
        ({"x": [1] * 4, "y": [0, 1, 0, 1]}, "who", "no column 'who'"),
    ],
)
def test_a_split_that_cannot_be_is_refused(frame, group, said):
    with pytest.raises(InputError, match=said):
        split(pd.DataFrame(frame), schema_of(group))


def test_a_share_outside_0_and_1_is_refused():
    with pytest.raises(InputError, match="test_share"):
        split(pd.DataFrame({"x": [1, 2], "y": [0, 1]}), schema_of(), test_share=1.0)


OFFICIAL = pd.DataFrame(
    {
        "x": 1,
        "who": np.repeat(list("abcdef"), 2),
        "y": [0, 1] * 6,
        "recommended_split": np.repeat(["train", "test", "val", "train", "Test ", "train"], 2),
    }
)


def test_the_data_set_s_own_split_is_respected():
    for schema in (schema_of(), schema_of("who")):
        for seed in range(3):
            train, test = split(OFFICIAL, schema, seed=seed)
            assert set(test["who"]) == {"b", "e"}
            assert set(train["who"]) == {"a", "c", "d", "f"}


def test_a_feature_of_that_name_is_no_split():
    feature = Feature("recommended_split", "categorical", levels=("Test ", "test", "train", "val"))
    schema = FeatureSchema((feature,), label="y", classes=(0, 1))
    assert len({tuple(split(OFFICIAL, schema, seed=seed)[1].index) for seed in range(5)}) > 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recommended_split": "fold1"}, "row 0: 'fold1' is none of train, val, test"),
        ({"recommended_split": "train"}, "no row is held out"),
        ({"recommended_split": ["train", "test"] * 6}, "has rows on both sides"),
        ({"recommended_split": [None, "test"] * 6}, "is blank in 6 rows"),
        ({"y": [0] * 2 + [1] * 2 + [0] * 8}, "class '1' has no row to learn from"),
    ],
)
def test_a_split_of_the_data_set_that_cannot_be_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        split(OFFICIAL.assign(**change), schema_of("who"))
