"""The controls: right numbers of rows, rows that could be, and none that sees more than it may."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scarce import SCHEMA, scarce, table
from sensecf.augmentation import controls, methods
from sensecf.augmentation.controls.situation import share_out
from sensecf.augmentation.controls.space import Space
from sensecf.augmentation.measure import assess, learn, score
from sensecf.core.errors import InputError, MissingExtraError
from strategies import cases

MAKERS = ("oversampling", "smote", "borderline-smote", "cfa", "copula")


@given(counts=st.lists(st.integers(0, 40), min_size=2, max_size=4), total=st.integers(0, 120))
@cases(60)
def test_rows_go_to_the_smallest_class_one_by_one(counts: list[int], total: int) -> None:
    by_hand = list(counts)
    for _ in range(total):
        by_hand[int(np.argmin(by_hand))] += 1
    given_out = share_out(np.array(counts), total)
    assert given_out.sum() == total
    assert sorted(np.array(counts) + given_out) == sorted(by_hand)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("amount", [0.5, 2.0])
def test_every_maker_of_rows_adds_the_same_number_to_the_same_classes(name: str, amount: float) -> None:
    situation = scarce()
    made = methods.apply(f"{name}@{amount:g}", situation, methods.Shared()).added
    wanted = dict(zip(situation.classes, situation.allot(amount).tolist(), strict=True))
    assert made["stress"].value_counts().to_dict() == {c: n for c, n in wanted.items() if n}


def test_without_its_package_a_control_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sensecf.augmentation.controls.oversampling", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "imblearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "imblearn", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sensecf\[augment\]'"):
        controls.find("smote")


def test_adasyn_adds_about_as_many() -> None:
    situation = scarce()
    made = methods.apply("adasyn", situation, methods.Shared()).added
    assert abs(len(made) - situation.budget) <= 0.3 * situation.budget


@pytest.mark.parametrize("name", [*MAKERS, "adasyn", "label-spreading"])
def test_made_rows_fit_the_schema(name: str) -> None:
    situation = scarce()
    made = methods.apply(name, situation, methods.Shared()).added
    rows = situation.codec.encode(made)  # raises for a level or a text that the schema does not know
    assert not (rows < situation.codec.low).any()
    assert not (rows > situation.codec.high).any()
    np.testing.assert_allclose(rows, situation.codec.snap(rows), equal_nan=True)


def test_smote_lies_between_rows_of_its_class() -> None:
    situation = scarce()
    made = methods.apply("smote", situation, methods.Shared()).added
    real = situation.rows[situation.rows["stress"] == "high"]
    assert set(made["stress"]) == {"high"}
    for column in ("pulse", "peak", "noise"):
        assert made[column].between(real[column].min(), real[column].max()).all()


def test_cfa_takes_over_what_a_native_pair_differs_in() -> None:
    frame = pd.DataFrame(
        {
            "pulse": [60, 60, 70, 80, 61, 95, 62, 63, 64, 65, 66, 67],
            "peak": [120] * 12,
            "sleep": [7.0] * 12,
            "noise": [0.0] * 12,
            "device": ["watch"] * 12,
            "stress": ["low"] * 5 + ["high"] + ["low"] * 6,
        }
    )
    situation = controls.Situation(SCHEMA, frame, "high", 4)
    made = methods.apply("cfa", situation, methods.Shared())
    assert (made.added["pulse"] == 95).all()
    assert (made.added[["peak", "sleep", "noise", "device"]] == [120, 7.0, 0.0, "watch"]).all().all()
    assert made.note == ""


def test_cfa_says_when_there_is_no_native_pair() -> None:
    frame = table(60)
    frame["noise"] = np.where(frame["stress"] == "high", 4.0, -4.0)
    frame["device"] = np.where(frame["stress"] == "high", "ring", "band")
    frame["sleep"] = np.where(frame["stress"] == "high", 3.0, 9.0)
    made = methods.apply("cfa", controls.Situation(SCHEMA, frame, "high", 10), methods.Shared())
    assert "no native pair with 2 differences" in made.note


def test_the_copula_keeps_margins_and_correlation() -> None:
    rng = np.random.default_rng(0)
    frame = table(2000)
    pulse = rng.integers(45, 110, 2000)
    frame = frame.assign(pulse=pulse, peak=pulse + rng.integers(5, 15, 2000))
    made = methods.apply("copula", controls.Situation(SCHEMA, frame, "high", 2000), methods.Shared()).added
    for label, part in made.groupby("stress"):
        real = frame[frame["stress"] == label]
        assert part["pulse"].corr(part["peak"]) > 0.9
        assert abs(part["pulse"].median() - real["pulse"].median()) <= 3
        assert part["pulse"].between(real["pulse"].min(), real["pulse"].max()).all()


@given(seed=st.integers(0, 200))
@cases(15)
def test_points_come_back_as_rows(seed: int) -> None:
    situation = scarce(60, seed=seed)
    space = Space(situation)
    filled = np.where(np.isnan(situation.encoded), space.fill, situation.encoded)
    np.testing.assert_allclose(space.rows(space.points(situation.encoded)), filled)


def test_the_threshold_is_that_of_the_best_f1_and_changes_no_probability() -> None:
    situation = scarce()
    tuned = methods.apply("threshold", situation, methods.Shared())
    plain = learn("logistic", situation, methods.apply("nothing", situation, methods.Shared()))
    frame = situation.codec.decode(situation.encoded)
    model = learn("logistic", situation, tuned)
    np.testing.assert_allclose(model.predict_proba(frame), plain.predict_proba(frame))
    assert (np.asarray(model.predict(frame)) == "high").sum() > (np.asarray(plain.predict(frame)) == "high").sum()


def test_self_training_learns_from_rows_without_labels() -> None:
    situation = scarce(400)
    shared = methods.Shared()
    taught = methods.apply("self-training", situation, shared)
    alone = methods.apply("self-training", replace(situation, unlabelled=situation.unlabelled.iloc[:0]), shared)  # type: ignore[union-attr]
    frame = situation.codec.decode(situation.encoded)
    both = [learn("logistic", situation, t).predict_proba(frame) for t in (taught, alone)]
    plain = learn("logistic", situation, methods.apply("nothing", situation, shared)).predict_proba(frame)
    np.testing.assert_allclose(both[1], plain, atol=1e-6)
    assert np.abs(both[0] - both[1]).max() > 1e-3
    for treatment in (taught, alone):
        model = learn("logistic", situation, treatment)
        likeliest = np.asarray(model.classes_)[model.predict_proba(frame).argmax(axis=1)]
        assert model.predict(frame).tolist() == likeliest.tolist()
        assert set(likeliest) == {"high", "low"}


def test_the_oracle_gives_the_removed_rows_back() -> None:
    situation = scarce()
    made = methods.apply("oracle", situation, methods.Shared()).added
    pd.testing.assert_frame_equal(made, situation.removed)


@pytest.mark.parametrize("name", [n for n in controls.CONTROLS if n != "oracle-weights"])
def test_every_control_can_be_learned_from(name: str) -> None:
    situation = scarce()
    found = assess("logistic", situation, methods.apply(name, situation, methods.Shared()), table(100, seed=9))
    assert found["auc"] > 0.7
    assert found["balanced_accuracy"] > 0.6


@pytest.mark.parametrize("name", [n for n, c in controls.CONTROLS.items() if c.sees == "reduced"])
def test_controls_see_neither_removed_nor_unlabelled_rows(name: str) -> None:
    situation, test = scarce(), table(60, seed=9)
    poisoned = _poisoned(situation)
    clean, dirty = (
        assess("logistic", s, methods.apply(name, s, methods.Shared()), test) for s in (situation, poisoned)
    )
    assert clean == dirty


@pytest.mark.parametrize("name", ["self-training", "label-spreading", "unlabelled"])
def test_unlabelled_arms_see_no_label_of_a_removed_row(name: str) -> None:
    situation, test = scarce(), table(60, seed=9)
    lies = situation.removed.assign(stress="low")  # type: ignore[union-attr]
    clean, dirty = (
        assess("logistic", s, methods.apply(name, s, methods.Shared()), test)
        for s in (situation, replace(situation, removed=lies))
    )
    assert clean == dirty


def _poisoned(situation: controls.Situation) -> controls.Situation:
    poison = table(len(situation.removed), seed=77).assign(pulse=120, noise=5.0, device="band")  # type: ignore[arg-type]
    return replace(situation, removed=poison, unlabelled=poison.drop(columns="stress"))


def test_scores_by_hand() -> None:
    truth = np.array([True, True, False, False, False])
    found = score(truth, np.array([True, False, True, False, False]), np.array([0.9, 0.4, 0.6, 0.2, 0.1]))
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["precision"] == found["recall"] == found["f1"] == pytest.approx(1 / 2)
    assert found["macro_f1"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["auc"] == pytest.approx(5 / 6)
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.04 + 0.01) / 5)


def test_nothing_predicted_positive_scores_zero_and_one_class_has_no_auc() -> None:
    found = score(np.array([True, False]), np.zeros(2, bool), np.zeros(2))
    assert found["f1"] == found["precision"] == 0
    assert np.isnan(score(np.zeros(2, bool), np.zeros(2, bool), np.zeros(2))["auc"])


@pytest.mark.parametrize(
    "name", ["smot", "smote:tiny", "nothing@2", "smote@x", "smote@0", "augment:nonsense", "committee@1"]
)
def test_what_is_no_method_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        methods.find(name)
