"""Augmentation: rows that keep what they promise, judged by those who have not seen their origin, and no leak."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from scarce import SCHEMA, scarce, table
from sensecf.augmentation import (
    PROVENANCE,
    PURPOSES,
    SOFT,
    augment,
    combine,
    draw,
    entries,
    evenly,
    gate,
    leanings,
    learn,
    measure,
    methods,
    munged,
    settled,
)
from sensecf.augmentation.controls import Situation
from sensecf.augmentation.curate import CONTRADICTED, ProposedRows, contradicted, distinct
from sensecf.augmentation.gate import NOTHING, Gain, Option, choose, decide, standard_error
from sensecf.augmentation.judges import Panel, convene, folds, weigh
from sensecf.augmentation.loop import loop
from sensecf.augmentation.mixtures import between, mix, munge
from sensecf.augmentation.run import AugmentSpec, run, sentences
from sensecf.augmentation.soft import estimate_shares, label_softly
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.query import Query
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.generators.nearest import Nearest
from strategies import cases

FAMILIES = ("logistic", "mlp")


@pytest.fixture(scope="module")
def situation() -> Situation:
    return scarce()


@pytest.fixture(scope="module")
def panel(situation: Situation) -> Panel:
    return convene(situation.rows.reset_index(drop=True), SCHEMA, families=FAMILIES)


@pytest.fixture(scope="module")
def task(situation: Situation, panel: Panel) -> Task:
    return Task(SCHEMA, situation.rows, panel.whole)


def build(task: Task, seed: int) -> Nearest:
    return Nearest(task, seed)


# --- judges -------------------------------------------------------------------------------


@given(people=st.integers(1, 30), count=st.integers(2, 4), seed=st.integers(0, 99))
@cases(30)
def test_every_fold_has_every_class_on_both_sides(people: int, count: int, seed: int) -> None:
    frame = table(80, seed).assign(who=np.random.default_rng(seed).integers(0, people, 80))
    schema = FeatureSchema(SCHEMA.features, "stress", ("high", "low"), person="who")
    found = folds(frame, schema, count, seed)
    assert np.array_equal(np.sort(np.concatenate([rest for _, rest in found])), np.arange(80))
    for fit, rest in found:
        assert not set(fit) & set(rest)
        for part in (fit, rest):
            assert set(frame["stress"].iloc[part]) == {"high", "low"}


def test_people_stay_in_one_fold_where_there_are_enough() -> None:
    frame = table(240).assign(who=np.arange(240) % 24)
    schema = FeatureSchema(SCHEMA.features, "stress", ("high", "low"), person="who")
    for fit, rest in folds(frame, schema, 4, 0):
        assert not set(frame["who"].iloc[fit]) & set(frame["who"].iloc[rest])


def test_too_few_rows_of_a_class_are_refused() -> None:
    frame = table(40).assign(stress=["high"] * 2 + ["low"] * 38)
    with pytest.raises(InputError, match="class 'high' has 2 rows, too few for 3 folds"):
        folds(frame, SCHEMA, 3, 0)


def test_out_of_fold_judges_have_not_learned_the_rows_they_judge(situation: Situation, panel: Panel) -> None:
    rows = situation.rows.reset_index(drop=True)
    frame = situation.codec.decode(situation.encoded)
    for number, committee in enumerate(panel.folds):
        at = np.flatnonzero(panel.fold == number)
        learned = rows.drop(index=at)
        again = np.einsum(
            "m,mnc->nc",
            list(panel.weights.values()),
            [fit_classifier(name, SCHEMA, learned, 0).predict_proba(frame.iloc[at]) for name in FAMILIES],
        )
        np.testing.assert_allclose(panel.proba[at], again)
        np.testing.assert_allclose(committee.predict_proba(frame.iloc[at]), again)


def test_a_committee_says_what_its_members_say(situation: Situation) -> None:
    rows = situation.rows.reset_index(drop=True)
    whole = convene(rows, SCHEMA, families=("xgboost", "logistic", "random-forest", "svm"), count=2).whole
    asked = situation.codec.decode(situation.codec.encode(table(80, seed=3)))
    alone = np.stack([member.predict_proba(asked) for member in whole.members])
    np.testing.assert_array_equal(whole.each(asked), alone)
    np.testing.assert_allclose(whole.predict_proba(asked), np.einsum("m,mnc->nc", list(whole.weights), alone))


def natural() -> Pipeline:
    """An estimator as a user may bring it: numbers only, blanks filled, classes as they come."""
    numbers = ColumnTransformer([("numbers", SimpleImputer(), ["pulse", "peak", "sleep", "noise"])])
    return make_pipeline(numbers, StandardScaler(), LogisticRegression())


def fitted() -> Pipeline:
    return natural().fit(table(100)[SCHEMA.names], table(100)["stress"])


def test_a_judge_of_ones_own_judges_out_of_fold_and_with_the_classes_alike(situation: Situation) -> None:
    rows = situation.rows.reset_index(drop=True)
    panel = convene(rows, SCHEMA, families=("logistic", "test_augment:natural"))
    assert panel.weights["test_augment:natural"] > 0.2
    committee, inside = panel.folds[0], rows[panel.fold != 0]
    share = (inside["stress"] == "high").mean()
    asked = situation.codec.decode(situation.codec.encode(table(60, seed=5)))
    own = natural().fit(situation.codec.decode(situation.codec.encode(inside)), inside["stress"])
    p = own.predict_proba(asked)[:, list(own.classes_).index("high")]
    even = (p / share) / (p / share + (1 - p) / (1 - share))
    at = list(committee.classes_).index("high")
    np.testing.assert_allclose(committee.each(asked)[1, :, at], even, atol=5e-3)


def test_a_judge_that_is_fitted_already_is_refused(situation: Situation) -> None:
    with pytest.raises(InputError, match="fitted already"):
        convene(situation.rows, SCHEMA, families=("logistic", "test_augment:fitted"))


def test_weights_favour_the_better_family_and_leave_nobody_out() -> None:
    y = np.repeat([0, 1], 50)
    good = np.where(y[:, None] == [0, 1], 0.8, 0.2)
    weight = weigh(np.stack([good, np.full((100, 2), 0.5)]), y)
    assert weight.sum() == pytest.approx(1)
    assert weight[0] > 0.7
    assert weight[1] >= 0.24


# --- rows ---------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", PURPOSES)
def test_added_rows_obey_the_schema_and_say_where_they_come_from(task: Task, panel: Panel, purpose: str) -> None:
    made = augment(task, Nearest(task), 40, purpose=purpose, panel=panel)
    soft = [f"{SOFT}high", f"{SOFT}low"] if PURPOSES[purpose].judged else []
    assert list(made.columns) == [*SCHEMA.names, "stress", *PROVENANCE, *soft]
    rows = task.codec.encode(made)
    inside = ~((rows < task.codec.low - 1e-9) | (rows > task.codec.high + 1e-9)).any(axis=1)
    assert inside.all()
    counterfactuals = (made["added_source"] == "counterfactual").to_numpy()
    assert not task.codec.rules.violated(rows[counterfactuals]).any()
    assert made["added_factual"].between(0, len(task.train) - 1).all()
    assert made["stress"].isin(["high", "low"]).all()
    assert (made["added_weight"] > 0).all()
    assert made["added_probability"].between(0, 1).all()
    own = {"real", "around"} if PURPOSES[purpose].around else set()
    assert set(made["added_source"]) == set(PURPOSES[purpose].sides) | own


@given(rows=st.integers(4, 60), seed=st.integers(0, 9))
@cases(8)
def test_an_example_is_one_row_of_weight_one(task: Task, panel: Panel, rows: int, seed: int) -> None:
    made = augment(task, Nearest(task), rows, panel=panel, seed=seed)
    assert not made.duplicated(["added_pair", "added_source"]).any()
    assert (made["added_weight"] == 1).all()
    assert made["added_source"].isin(["between", "around"]).sum() <= rows
    assert (made["added_source"] == "real").sum() == len(task.train)


def test_the_label_is_drawn_by_the_soft_label_and_of_a_real_row_its_own(task: Task, panel: Panel) -> None:
    made = augment(task, Nearest(task), 400, panel=panel)
    soft = made[[f"{SOFT}high", f"{SOFT}low"]].to_numpy()
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-5)
    own = (made["added_source"] == "real").to_numpy()
    high = (made["stress"] == "high").to_numpy()
    assert abs(high[~own].mean() - soft[~own, 0].mean()) < 0.06
    sure = ~own & (soft[:, 1] > 0.75)
    assert high[sure].mean() < 0.35
    assert made["stress"][own].tolist() == task.train["stress"].iloc[made["added_factual"][own]].tolist()
    said = np.where(made["stress"] == "high", soft[:, 0], soft[:, 1])
    np.testing.assert_allclose(made["added_probability"], said, atol=1e-6)


@given(shift=st.floats(-0.8, 0.8), rare=st.integers(30, 300), seed=st.integers(0, 20))
@cases(20)
def test_judges_that_lean_to_a_class_are_set_right(shift: float, rare: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], [300, rare])
    p = 1 / (1 + np.exp(-(rng.normal(np.where(y == 1, 1, -1), 1.2) + shift)))
    proba = np.column_stack([1 - p, p])
    straight = settled(proba, np.array([1, 1]), leanings(proba, y))[:, 1]
    assert straight[y == 1].mean() + straight[y == 0].mean() == pytest.approx(1, abs=0.01)
    assert (np.argsort(straight) == np.argsort(p)).all()


def test_a_learner_gets_an_entry_per_class_and_what_they_weigh_is_the_weight_of_the_row() -> None:
    added = table(3).assign(added_weight=[1.0, 2.0, 0.25], stress="low")
    added[f"{SOFT}high"], added[f"{SOFT}low"] = [0.3, 1.0, 0.5], [0.7, 0.0, 0.5]
    got = entries(added, SCHEMA)
    assert got["stress"].tolist() == ["high", "low", "high", "high", "low"]
    np.testing.assert_allclose(got["added_weight"], [0.3, 0.7, 2.0, 0.125, 0.125])
    assert got["pulse"].tolist() == [added["pulse"][k] for k in (0, 0, 1, 2, 2)]
    plain = table(3).assign(added_weight=0.5)
    assert entries(plain, SCHEMA) is plain


@given(rare=st.integers(1, 100), often=st.integers(100, 400), p=st.floats(0.01, 0.99))
@cases(50)
def test_soft_labels_lie_between_classes_alike_and_as_frequent_as_labelled(rare: int, often: int, p: float) -> None:
    counts = np.array([rare, often])
    said = settled(np.array([[p, 1 - p]]), counts)[0]
    frequent = p * rare / (p * rare + (1 - p) * often)
    assert frequent - 1e-9 <= said[0] <= p + 1e-9
    if often <= 2 * rare:
        assert said[0] == pytest.approx(p)
    elif 0.05 < p < 0.95 and often > 8 * rare:
        assert said[0] < p - 1e-3


@pytest.mark.parametrize(("purpose", "least"), [("margin", 0.6), ("boundary", 0.5)])
def test_plain_purposes_take_the_wanted_class_with_their_margin(
    task: Task, panel: Panel, purpose: str, least: float
) -> None:
    made = augment(task, Nearest(task), purpose=purpose, per_class={"high": 25}, panel=panel)
    assert set(made["stress"]) == {"high"}
    assert (made["added_weight"] == 1).all()
    proba = task.judge(task.codec.encode(made)).proba[:, task.target_position("high")]
    assert (proba >= least - 1e-9).all()
    factuals = task.train["stress"].iloc[made["added_factual"]]
    assert set(factuals) == {"low"}


def test_the_same_arguments_give_the_same_bytes_and_another_seed_other_rows(task: Task, panel: Panel) -> None:
    first, again, other = (augment(task, Nearest(task), 30, panel=panel, seed=s).to_csv() for s in (3, 3, 4))
    assert first == again
    assert first != other


def test_a_factual_is_not_of_the_class_that_its_counterfactual_was_made_for(task: Task, panel: Panel) -> None:
    made = augment(task, Nearest(task), 60, purpose="pairs", panel=panel)
    sides = (
        made.drop_duplicates(["added_pair", "added_source"])
        .pivot(index="added_pair", columns="added_source", values="added_target")
        .dropna()
    )
    assert len(sides) > 5
    assert (sides["factual"] != sides["counterfactual"]).all()
    assert made.loc[made["added_source"] == "factual", "added_agreement"].mean() > 0.6


def test_a_generator_that_finds_nothing_leaves_the_factuals(task: Task, panel: Panel) -> None:
    class Silent:
        name = "silent"

        def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
            n, d = query.rows.shape
            return Candidates.of(np.arange(n), np.full((n, d), np.nan), self.name, ["nothing"] * n)

    assert set(augment(task, Silent(), 20, purpose="pairs", panel=panel)["added_source"]) == {"factual"}
    assert set(augment(task, Silent(), 20, panel=panel)["added_source"]) == {"real", "around"}
    assert augment(task, Silent(), 20, purpose="margin", panel=panel).empty


def test_rows_a_generator_proposes_against_the_rules_are_left_out(task: Task, panel: Panel) -> None:
    class Wild:
        name = "wild"

        def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
            rows = query.rows.copy()
            rows[:, 0], rows[:, 1] = 119, 41  # the pulse above its peak
            return Candidates.of(np.arange(len(rows)), rows, self.name)

    assert augment(task, Wild(), 20, purpose="boundary", panel=panel).empty


def test_draws_go_where_the_learner_is_far_from_the_judges(task: Task, panel: Panel) -> None:
    class Contrary:
        classes_ = np.array(["high", "low"])

        def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
            told = panel.whole.predict_proba(X)
            flip = (X["noise"] > 0).to_numpy()
            return np.where(flip[:, None], told[:, ::-1], told)

        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return self.classes_[self.predict_proba(X).argmax(axis=1)]

    policy = replace(PURPOSES["factuals"], curated=False)
    drawn = [
        draw(task, Nearest(task), evenly(120, 2), policy, panel, 0, learner).rows[:, 3]
        for learner in (None, Contrary())
    ]
    assert (drawn[1] > 0).mean() > (drawn[0] > 0).mean() + 0.1


@pytest.mark.parametrize(("rows", "purpose"), [(0, "augment"), (-3, "augment"), (5, "explain")])
def test_what_cannot_be_asked_is_refused(task: Task, panel: Panel, rows: int, purpose: str) -> None:
    with pytest.raises(InputError):
        augment(task, Nearest(task), rows, purpose=purpose, panel=panel)


def test_no_feature_is_hidden_by_what_is_known_of_a_row() -> None:
    """A table may have a weight in kilograms for a feature and a target for its label."""
    names = {"noise": "weight", "stress": "target"}
    features = tuple(replace(f, name=names.get(f.name, f.name)) for f in SCHEMA.features)
    schema = FeatureSchema(features, "target", ("high", "low"), target="low", rules=SCHEMA.rules)
    rows = scarce().rows.rename(columns=names).reset_index(drop=True)
    panel = convene(rows, schema, families=("logistic",))
    task = Task(schema, rows, panel.whole)
    made = augment(task, Nearest(task), 40, panel=panel)
    assert made["weight"].between(-5, 0).any()  # the feature's values, not what a row counts
    own = made[made["added_source"] == "real"]
    assert set(own["added_factual"]) == set(range(len(rows)))
    both = entries(own, schema).groupby("added_pair")["target"].nunique()
    assert (both == 2).mean() > 0.5
    np.testing.assert_allclose(combine(rows, made, schema)[1][len(rows) :].sum(), len(made), rtol=0.01)
    plain = combine(rows, rows.head(5), schema)[1]
    assert (plain[-5:] == 1).all()


def test_a_training_row_comes_once_more_as_those_judge_it_who_have_not_seen_it(task: Task, panel: Panel) -> None:
    made = augment(task, Nearest(task), 10, panel=panel)
    own = made[made["added_source"] == "real"].sort_values("added_factual")
    counts = np.array([(task.train["stress"] == c).sum() for c in panel.classes])
    lean = leanings(panel.proba, np.array([panel.classes.index(v) for v in task.train["stress"]]))
    np.testing.assert_allclose(
        own[[f"{SOFT}{c}" for c in panel.classes]], settled(panel.proba, counts, lean), atol=1e-5
    )


@given(seed=st.integers(0, 50))
@cases(15)
def test_a_row_between_two_lies_between_them_and_keeps_the_rules(task: Task, seed: int) -> None:
    rng = np.random.default_rng(seed)
    real = np.clip(task.rows, task.codec.low, task.codec.high)
    start, end = real[rng.integers(0, len(real), 50)], real[rng.integers(0, len(real), 50)]
    made = between(task, start, end, rng.random((50, 1)), rng)
    assert not task.codec.rules.violated(made).any()
    np.testing.assert_array_equal(np.isnan(made), np.isnan(start))
    low, high = np.fmin(start, end) - task.codec.step, np.fmax(start, end) + task.codec.step
    assert (((made >= low) & (made <= high)) | np.isnan(made)).all()
    nowhere = between(task, start, end, np.zeros((50, 1)), rng)
    np.testing.assert_array_equal(nowhere, start)


def test_the_control_moves_rows_of_one_fold_and_no_counterfactual_has_a_part_in_it(task: Task, panel: Panel) -> None:
    first = np.arange(len(task.rows))
    rows = munge(task, first, panel.fold, np.random.default_rng(0))
    assert not task.codec.rules.violated(rows).any()
    assert 0.2 < (rows[:, 3] != task.rows[:, 3]).mean() < 0.7
    made = munged(task, 30, panel)
    assert set(made["added_generator"]) == {"munge", "none"}
    assert (made["added_weight"] == 1).all()
    assert munged(task, 30, panel).to_csv() == made.to_csv()


@given(seed=st.integers(0, 50))
@cases(15)
def test_mixtures_lie_between_two_rows_of_a_fold_and_keep_the_rules(task: Task, panel: Panel, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, len(task.rows), 50)
    made = mix(task, first, panel.fold, rng)
    assert not task.codec.rules.violated(made).any()
    np.testing.assert_array_equal(np.isnan(made), np.isnan(task.rows[first]))
    for row, start in zip(made, first, strict=True):
        peers = task.rows[panel.fold == panel.fold[start]]
        low, high = np.minimum(peers, task.rows[start]), np.maximum(peers, task.rows[start])
        step = task.codec.step
        inside = ((row >= low - step) & (row <= high + step)) | np.isnan(row) | np.isnan(low)
        assert inside.all(axis=1).any()


# --- curation -----------------------------------------------------------------------------


def pool_of(task: Task, rows: np.ndarray, unseen: np.ndarray | None = None, target: int = 0) -> ProposedRows:
    n = len(rows)
    proba = np.full((n, 2), 0.5) if unseen is None else unseen
    words = np.full(n, "hand", dtype=object)
    return ProposedRows(rows, np.full(n, target), np.zeros(n, int), np.arange(n), words, words, proba, np.ones(n))


def test_only_confident_contradiction_drops_a_row(task: Task) -> None:
    unseen = np.array([[0.9, 0.1], [0.45, 0.55], [0.5 - CONTRADICTED / 2 - 0.01, 0.5 + CONTRADICTED / 2 + 0.01]])
    assert contradicted(pool_of(task, task.rows[:3], unseen)).tolist() == [False, False, True]


def test_copies_of_real_rows_and_of_each_other_are_shed(task: Task) -> None:
    far = task.rows[:3].copy()
    far[:, 3] = [-4.0, 4.0, 4.0]
    far[:, 0], far[:, 1] = 115, 190
    rows = np.vstack([task.rows[5:6], far, far[:1]])
    far_apart = distinct(task, rows)
    assert far_apart[0] == False  # noqa: E712
    assert far_apart[1]
    assert not far_apart[4]


# --- gate, loop, unlabelled ----------------------------------------------------------------


@pytest.fixture
def lies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that the gate tries say the opposite of what they should."""

    def lying(*args: object, **options: object) -> pd.DataFrame:
        made = augment(*args, **options)  # type: ignore[arg-type]
        high, low = f"{SOFT}high", f"{SOFT}low"
        return made.assign(**{high: made[low], low: made[high]})

    monkeypatch.setattr(gate, "augment", lying)


@pytest.mark.usefixtures("lies")
def test_the_gate_adds_nothing_where_rows_are_lies(situation: Situation, panel: Panel) -> None:
    options = (Option("augment", 2.0),)
    decision = choose(situation, panel, build, len(situation.rows), learners=("logistic",), options=options)
    assert decision.option == NOTHING
    for gain in decision.gains[options[0]].values():
        assert gain.mean < -gain.error


def test_the_gate_adds_rows_to_a_learner_that_overfits() -> None:
    few = scarce(300)
    rows = few.rows.reset_index(drop=True)
    panel = convene(rows, SCHEMA, families=("logistic",))
    options = (Option("factuals", 2.0), Option("factuals", 0.1))
    decision = choose(few, panel, build, len(rows), learners=("xgboost",), options=options)
    assert decision.option == options[0]
    assert decision.gains[options[0]]["log_loss"].mean > 0


@pytest.mark.usefixtures("lies")
def test_where_the_gate_leaves_the_rows_out_class_weights_remain(
    situation: Situation, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "convene", lambda rows, schema, seed: panel)
    monkeypatch.setattr(methods, "choose", partial(choose, learners=("logistic",)))
    made = methods.apply("augment", situation, methods.Shared())
    assert made.facts["purpose"] == "nothing"
    plain = methods.apply("class-weights", situation, methods.Shared())
    test = situation.codec.decode(situation.codec.encode(table(100, seed=5)))
    said = [measure.learn("xgboost", situation, arm).predict_proba(test) for arm in (made, plain)]
    np.testing.assert_array_equal(*said)


def said(logits: np.ndarray) -> np.ndarray:
    """One learner's probabilities of two classes, shape (1, n, 2)."""
    p = 1 / (1 + np.exp(-logits))
    return np.column_stack([1 - p, p])[None]


@given(temperature=st.floats(2.0, 4.0), seed=st.integers(0, 50))
@cases(20)
def test_rows_that_only_make_a_learner_less_sure_of_itself_are_refused(temperature: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, 400)
    truth = (rng.random(400) < 1 / (1 + np.exp(-logits))).astype(np.intp)
    options = (Option("augment", 1.0),)
    decision = decide(np.stack([said(logits), said(logits / temperature)]), truth, 1, options, np.arange(400))
    assert decision.option == NOTHING
    assert decision.gains[options[0]]["f1"] == Gain(0.0, 0.0)
    assert decision.gains[options[0]]["log_loss"].mean < 0


@given(shift=st.floats(1.5, 4.0), seed=st.integers(0, 50))
@cases(20)
def test_rows_that_move_the_operating_point_of_a_scarce_class_are_refused(shift: float, seed: int) -> None:
    """The order of rows, and so the AUC, is as before: F1 and Brier score are not."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-4, 3, 1500)
    truth = (rng.random(1500) < 1 / (1 + np.exp(-logits))).astype(np.intp)
    decision = decide(
        np.stack([said(logits), said(logits + shift)]), truth, 1, (Option("augment", 1.0),), np.arange(1500)
    )
    assert decision.option == NOTHING


def test_rows_by_which_a_learner_is_better_in_every_respect_pass() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2.5, 600)
    truth = (rng.random(600) < 1 / (1 + np.exp(-logits))).astype(np.intp)
    options = (Option("augment", 4.0), Option("augment", 4.0, 0.25))
    better = [said(logits + rng.normal(0, s, 600)) for s in (3.0, 0.1, 0.1)]
    assert decide(np.stack(better), truth, 1, options, np.arange(600)).option == options[0]


def test_a_person_counts_once_in_the_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=50)
    alone = standard_error(values, np.arange(50))
    assert alone == pytest.approx(values.std(ddof=1) / np.sqrt(50))
    assert standard_error(np.repeat(values, 4), np.repeat(np.arange(50), 4)) == pytest.approx(alone)


def test_added_rows_stand_beside_real_rows_whose_classes_weigh_alike(situation: Situation) -> None:
    added = situation.rows.head(3).assign(added_weight=[0.2, 0.3, 0.5])
    train, weight = combine(situation.rows, added, SCHEMA)
    real = train.iloc[: len(situation.rows)]
    sums = pd.Series(weight[: len(real)]).groupby(real["stress"].to_numpy()).sum()
    assert sums["high"] == pytest.approx(sums["low"])
    assert weight[-3:].tolist() == [0.2, 0.3, 0.5]
    assert (combine(situation.rows, added, SCHEMA, balanced=False)[1][: len(real)] == 1).all()


@pytest.mark.parametrize("name", ["xgboost", "random-forest", "svm", "mlp", "logistic"])
def test_given_weights_replace_those_by_which_classes_weigh_alike(name: str) -> None:
    rows = table(150)
    alike = compute_sample_weight("balanced", rows["stress"])
    frame = rows[SCHEMA.names]
    default, same, plain = (
        fit_classifier(name, SCHEMA, rows, 0, w).predict_proba(frame) for w in (None, alike, np.ones(150))
    )
    np.testing.assert_array_equal(default, same)
    assert np.abs(default - plain).max() > 1e-3


def test_an_svm_is_not_turned_around_by_rows_beside_their_opposites() -> None:
    rows = table(120).reset_index(drop=True)
    other = rows.assign(
        stress=np.where(rows["stress"] == "high", "low", "high"), added_factual=np.arange(120), added_weight=0.45
    )
    test = table(300, seed=8)
    truth = (test["stress"] == "high").to_numpy()
    for added, right in ((other, True), (other.drop(columns="added_factual"), False)):
        svm = learn("svm", rows, added, SCHEMA)
        said = svm.predict_proba(test[SCHEMA.names])[:, list(svm.classes_).index("high")]
        assert (said[truth].mean() > said[~truth].mean()) == right


def test_the_loop_learns_from_what_it_made(situation: Situation, panel: Panel) -> None:
    rows = situation.rows.reset_index(drop=True)
    looped = loop(situation, panel, build, "xgboost", 60, rounds=2)
    again = loop(situation, panel, build, "xgboost", 60, rounds=2)
    plain = fit_classifier("xgboost", SCHEMA, rows)
    test = situation.codec.decode(situation.codec.encode(table(100, seed=5)))
    np.testing.assert_array_equal(looped.predict_proba(test), again.predict_proba(test))
    assert np.abs(looped.predict_proba(test) - plain.predict_proba(test)).max() > 0.01


@given(share=st.floats(0.0, 1.0), seed=st.integers(0, 50))
@cases(20)
def test_shares_of_unlabelled_rows_are_found_from_calibrated_judges(share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(2000) < share
    x = rng.normal(np.where(positive, 1.2, -1.2))
    p = 1 / (1 + np.exp(-2.4 * x))  # the exact posterior at equal shares
    shares, proba = estimate_shares(np.column_stack([1 - p, p]))
    assert abs(shares[1] - positive.mean()) < 0.06
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_unlabelled_rows_get_an_entry_per_class(situation: Situation, panel: Panel) -> None:
    assert situation.unlabelled is not None
    added, facts = label_softly(situation.unlabelled, situation.rows, SCHEMA, panel)
    assert facts["estimated_shares"]["high"] > 0.7  # only stressed people's labels were lost
    assert added["added_weight"].sum() == pytest.approx(len(situation.unlabelled), rel=0.05)


# --- leaks --------------------------------------------------------------------------------


def poisoned(situation: Situation) -> Situation:
    poison = table(len(situation.removed), seed=77).assign(pulse=120, peak=200, noise=5.0)  # type: ignore[arg-type]
    return replace(situation, removed=poison, unlabelled=poison.drop(columns="stress"))


@pytest.mark.parametrize("method", ["augment@1", "ungated@1", "munge@1", "pairs@1", "boundary@1", "shuffled@1"])
def test_no_synthetic_row_depends_on_a_removed_row(
    situation: Situation, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "choose", partial(choose, learners=("logistic",)))
    monkeypatch.setattr(methods, "convene", lambda rows, schema, seed: convene(rows, schema, seed, families=FAMILIES))
    clean, dirty = (methods.apply(method, s, methods.Shared()) for s in (situation, poisoned(situation)))
    assert clean.added.to_csv() == dirty.added.to_csv()
    assert clean.facts == dirty.facts


@pytest.mark.parametrize("method", ["committee", "loop@0.5"])
def test_no_judge_and_no_loop_depends_on_a_removed_row(
    situation: Situation, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "convene", lambda rows, schema, seed: convene(rows, schema, seed, families=FAMILIES))
    asked = situation.codec.decode(situation.codec.encode(table(60, seed=5)))
    said = []
    for s in (situation, poisoned(situation)):
        shared = methods.Shared()
        answer = measure.learn("logistic", s, methods.apply(method, s, shared)).predict_proba(asked)
        panel: Panel = shared.made["panel"]
        judged = [panel.proba, panel.whole.each(asked), *(fold.each(asked) for fold in panel.folds)]
        said.append((panel.weights, [part.tobytes() for part in (answer, *judged)]))
    assert said[0] == said[1]


def test_no_weight_of_the_embedded_model_depends_on_a_removed_row(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="the embedded model needs PyTorch")
    small = {"pairs": 60, "epochs": 1, "rounds": 1, "round_queries": 16, "samples": 6}
    monkeypatch.setattr(methods, "small_recipe", lambda recipe, rows: replace(recipe, **small))
    monkeypatch.setattr(methods, "convene", lambda rows, schema, seed: convene(rows, schema, seed, families=FAMILIES))
    bytes_of = []
    for s in (situation, poisoned(situation)):
        shared = methods.Shared()
        made = methods.apply("augment:tiny@0.3", s, shared)
        state = shared.made["generator tiny"].model.state_dict()
        bytes_of.append((made.added.to_csv(), [tensor.numpy().tobytes() for tensor in state.values()]))
    assert bytes_of[0] == bytes_of[1]


# --- the command --------------------------------------------------------------------------


def test_a_run_writes_rows_scores_and_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "convene", lambda rows, schema, seed: convene(rows, schema, seed, families=FAMILIES))
    request = AugmentSpec("nearest", "a", 0.5, amount=1.0, gate=False, classifiers=("logistic",))
    added, scores, facts = run(table(), SCHEMA, tmp_path / "out", request)
    written = pd.read_csv(tmp_path / "out" / "augmented.csv")
    assert len(written) == len(added) > 0
    assert scores["method"].tolist() == ["nothing", "class-weights", "smote", "ungated:nearest@1"]
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    assert told["labels_removed"] == facts["labels_removed"] > 0
    auc = scores.loc[scores["method"] == "nothing", "auc"].item()
    assert told["quality"]["logistic"]["classifier_auc"]["value"] == pytest.approx(auc)
    again = run(table(), SCHEMA, tmp_path / "again", request)
    assert (tmp_path / "again" / "augmented.csv").read_bytes() == (tmp_path / "out" / "augmented.csv").read_bytes()
    pd.testing.assert_frame_equal(again[1], scores)
    with pytest.raises(InputError, match="--overwrite"):
        run(table(), SCHEMA, tmp_path / "out", request)


@given(seed=st.integers(0, 50))
@cases(10)
def test_what_rows_are_worth_beside_class_weights_is_told_by_person(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, people = rng.random(200) < 0.4, np.repeat(np.arange(20), 10)
    good, bad = (np.clip(0.5 + s * (truth - 0.5) + rng.normal(0, 0.3, 200), 0, 1) for s in (0.9, 0.1))
    ours, theirs = ([measure.Answers(truth, p > 0.5, p)] for p in (good, bad))
    found = measure.against(ours, theirs, people)
    expected = measure.score(*ours[0])["f1"] - measure.score(*theirs[0])["f1"]
    assert found["f1"]["difference"] == pytest.approx(expected)
    assert 0 < found["f1"]["low"] < expected < found["f1"]["high"]
    assert found["brier"]["high"] < 0
    assert measure.against(ours, ours, people)["f1"] == {"difference": 0, "low": 0, "high": 0}


@pytest.mark.parametrize(
    ("f1", "brier", "word"),
    [((-0.1, -0.02), (-0.01, 0.01), "Harm"), ((-0.05, 0.05), (-0.01, 0.01), "Caution"), ((0.01, 0.05), (-0.02, 0), "")],
)
def test_harm_and_caution_are_said(f1: tuple[float, float], brier: tuple[float, float], word: str) -> None:
    worth = {
        name: {"difference": sum(ends) / 2, "low": ends[0], "high": ends[1]}
        for name, ends in (("f1", f1), ("brier", brier))
    }
    said = " ".join(
        sentences(
            {"against_class_weights": worth, "test_people": 9, "test_rows": 90, "purpose": "augment", "weight": 1.0}
        )
    )
    assert [name for name in ("Harm", "Caution") if f"{name}:" in said] == ([word] if word else [])
    assert f"{f1[0]:+.3f} to {f1[1]:+.3f}" in said


@pytest.mark.parametrize("gate", [True, False])
def test_a_run_says_what_its_gate_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: bool) -> None:
    monkeypatch.setattr(methods, "convene", lambda rows, schema, seed: convene(rows, schema, seed, families=FAMILIES))
    monkeypatch.setattr(methods, "choose", partial(choose, learners=("logistic",)))
    request = AugmentSpec("nearest", "a", amount=1.0, gate=gate, classifiers=("logistic",))
    added, scores, facts = run(table(), SCHEMA, tmp_path / "out", request)
    assert scores["method"].iloc[-1] == ("augment:nearest@1" if gate else "ungated:nearest@1")
    assert facts.get("purpose") in (("nothing", "augment") if gate else (None,))
    assert len(added) > 0 or facts["purpose"] == "nothing"
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert all(text in report for text in sentences(facts))
