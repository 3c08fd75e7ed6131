"""Scenarios: which labels are lost, how many, and whose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensecf.augmentation.scarcity import KEPT, positive_class, remove_labels
from sensecf.core.errors import InputError
from sensecf.core.schema import Feature, FeatureSchema
from strategies import cases

SCHEMA = FeatureSchema(
    (Feature("x", "continuous", low=0, high=1, step=0.01),), label="y", classes=("no", "yes"), target="no"
)


def table(yes: int, no: int, people: int | None = None, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(["yes"] * yes + ["no"] * no)
    frame = pd.DataFrame({"x": rng.random(yes + no).round(2), "y": labels}, index=rng.permutation(yes + no) + 100)
    return frame if people is None else frame.assign(who=rng.integers(0, people, yes + no))


def by_person() -> FeatureSchema:
    return FeatureSchema(SCHEMA.features, SCHEMA.label, SCHEMA.classes, target="no", person="who")


@given(
    yes=st.integers(30, 60), no=st.integers(30, 60), share=st.floats(0, 0.7), scenario=st.sampled_from("abc"),
    people=st.none() | st.integers(1, 20), seed=st.integers(0, 99),
)  # fmt: skip
@cases(40)
def test_the_share_of_the_scenarios_classes_is_removed_exactly(
    yes: int, no: int, share: float, scenario: str, people: int | None, seed: int
) -> None:
    frame, schema = table(yes, no, people), SCHEMA if people is None else by_person()
    rows, removed = remove_labels(frame, schema, scenario, share, "yes", seed)
    pd.testing.assert_frame_equal(pd.concat([rows, removed]).loc[frame.index], frame)
    lost = removed["y"].value_counts()
    assert lost.get("yes", 0) == (round(share * yes) if scenario in "ac" else 0)
    assert lost.get("no", 0) == (round(share * no) if scenario in "bc" else 0)


@given(small=st.floats(0.1, 0.4), more=st.floats(0.0, 0.3), people=st.none() | st.integers(1, 20))
@cases(20)
def test_a_larger_share_removes_all_that_a_smaller_one_does(small: float, more: float, people: int | None) -> None:
    frame, schema = table(50, 50, people), SCHEMA if people is None else by_person()
    few = remove_labels(frame, schema, "c", small, "yes", 3).removed
    many = remove_labels(frame, schema, "c", small + more, "yes", 3).removed
    assert set(few.index) <= set(many.index)


def test_both_scarce_removes_what_either_scenario_removes() -> None:
    frame = table(40, 50)
    lost = {s: set(remove_labels(frame, SCHEMA, s, 0.5, "yes", 1).removed.index) for s in "abc"}
    assert lost["c"] == lost["a"] | lost["b"]


def test_labels_go_person_by_person_and_only_the_last_person_in_part() -> None:
    frame = table(90, 30, people=9)
    rows, removed = remove_labels(frame, by_person(), "a", 0.5, "yes", 0)
    kept = set(rows.loc[rows["y"] == "yes", "who"])
    lost = set(removed["who"])
    assert len(kept & lost) <= 1
    assert len(lost) > 1


def test_another_seed_removes_other_rows_and_the_same_seed_the_same() -> None:
    frame = table(60, 60)
    first, again, other = (remove_labels(frame, SCHEMA, "a", 0.5, "yes", s).removed for s in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert set(first.index) != set(other.index)


def test_a_class_that_would_hardly_be_left_is_refused() -> None:
    frame = table(KEPT * 2 - 2, 50)
    with pytest.raises(InputError, match=rf"class 'yes' has 10 training rows; .* leaves 5, and at least {KEPT}"):
        remove_labels(frame, SCHEMA, "a", 0.5, "yes", 0)


@pytest.mark.parametrize(("scenario", "share"), [("d", 0.5), ("a", 1.0), ("a", -0.1)])
def test_what_no_scenario_is_is_refused(scenario: str, share: float) -> None:
    with pytest.raises(InputError):
        remove_labels(table(30, 30), SCHEMA, scenario, share, "yes", 0)


def test_the_positive_class_is_the_one_that_is_no_target() -> None:
    assert positive_class(SCHEMA) == "yes"
    assert positive_class(SCHEMA, "no") == "no"
    three = FeatureSchema(SCHEMA.features, "y", ("a", "b", "c"), target="a")
    with pytest.raises(InputError, match="--positive"):
        positive_class(three)
    assert positive_class(three, "b") == "b"
