"""The task: a schema, rows and a classifier that fit together, and what the classifier says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task, lead
from strategies import cases, worlds
from worlds import KINDS, World

SCHEMA = FeatureSchema(
    (Feature("x", "continuous", low=0, high=10, step=1), Feature("z", "continuous", low=0, high=10, step=1)),
    "y",
    ("no", "yes"),
    "yes",
)
TRAIN = pd.DataFrame({"x": [0.0, 2, 4, 6, 8], "z": [1.0, 1, 1, 1, 1], "y": ["no", "no", "no", "yes", "yes"]})


class Line:
    """The probability of the last class is x / 10; `predict` says it from `cut` on."""

    def __init__(self, classes: Any = ("no", "yes"), cut: float = 0.5) -> None:
        self.classes_, self.cut = np.array(classes), cut

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        p = X["x"].to_numpy(float) / 10
        return np.column_stack([1 - p, p])

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.classes_[(self.predict_proba(X)[:, 1] >= self.cut).astype(int)]


def rows(*x: float) -> np.ndarray:
    return np.array([[value, 1.0] for value in x])


def valid(task: Task, *x: float, margin: float = 0.0, final: bool = False) -> list[bool]:
    return task.valid(task.judge(rows(*x), final=final), np.ones(len(x), np.intp), margin).tolist()


def test_a_row_is_valid_where_the_target_leads_and_a_tie_is_not() -> None:
    assert valid(Task(SCHEMA, TRAIN, Line()), 4, 5, 6) == [False, False, True]
    assert valid(Task(SCHEMA, TRAIN, Line()), 4, 5, 6, final=True) == [False, False, True]


def test_a_margin_of_a_fifth_wants_six_tenths() -> None:
    assert valid(Task(SCHEMA, TRAIN, Line()), 5.9, 6.0, 6.1, margin=0.2)[::2] == [False, True]


def test_margins_may_differ_from_row_to_row() -> None:
    task = Task(SCHEMA, TRAIN, Line())
    judged = task.judge(rows(6, 6))
    assert task.valid(judged, np.array([1, 1]), np.array([0.0, 0.5])).tolist() == [True, False]


@pytest.mark.parametrize("final", [True, False])
def test_the_classifiers_own_predict_decides_where_it_is_not_the_likelier_class(final: bool) -> None:
    assert valid(Task(SCHEMA, TRAIN, Line(cut=0.7)), 6, 7, 8, final=final) == [False, True, True]
    assert valid(Task(SCHEMA, TRAIN, Line(cut=0.3)), 2, 3, 4, final=final) == [False, True, True]


def test_every_row_the_classifier_is_asked_for_is_counted() -> None:
    task = Task(SCHEMA, TRAIN, Line())
    before = task.rows_judged
    task.judge(rows(1, 2, 3))
    task.judge(np.empty((0, 2)))
    assert task.rows_judged - before == 3


def test_the_lead_is_over_the_strongest_other_class() -> None:
    proba = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    np.testing.assert_allclose(lead(proba, np.array([0, 2])), [0.2, -0.3])
    np.testing.assert_allclose(proba[0], [0.5, 0.3, 0.2])


def test_columns_go_to_the_classifier_in_the_order_it_was_fitted_with() -> None:
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(random_state=0).fit(TRAIN[["z", "x"]], TRAIN["y"])
    assert Task(SCHEMA, TRAIN, tree).judge(rows(1, 8)).predicted.tolist() == [0, 1]


def test_a_classifier_fitted_on_an_array_gets_an_array() -> None:
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(random_state=0).fit(TRAIN[["x", "z"]].to_numpy(), TRAIN["y"])
    assert Task(SCHEMA, TRAIN, tree).judge(rows(1, 8), final=True).predicted.tolist() == [0, 1]


def without(method: str) -> Any:
    """A classifier that lacks something."""
    line = Line()
    setattr(line, method, None)
    return line


@pytest.mark.parametrize(
    ("train", "classifier", "words"),
    [
        (TRAIN, without("predict_proba"), "no predict_proba"),
        (TRAIN, without("predict"), "no predict"),
        (TRAIN.drop(columns="y"), Line(), "no label column 'y'"),
        (TRAIN.drop(columns="z"), Line(), "no column 'z'"),
        (TRAIN.head(0), Line(), "no training rows"),
        (TRAIN.assign(y="perhaps"), Line(), "label 'y', row 0: 'perhaps' is no class"),
        (TRAIN.assign(y=[None, *["no"] * 4]), Line(), "label 'y', row 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(train: pd.DataFrame, classifier: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Task(SCHEMA, train, classifier)


def test_a_classifier_fitted_with_an_unknown_column_or_not_at_all_is_refused() -> None:
    from sklearn.tree import DecisionTreeClassifier

    other = DecisionTreeClassifier().fit(TRAIN[["x", "z"]].rename(columns={"z": "w"}), TRAIN["y"])
    with pytest.raises(InputError, match="'w', which the schema does not list"):
        Task(SCHEMA, TRAIN, other)
    with pytest.raises(InputError, match="fit it first"):
        Task(SCHEMA, TRAIN, DecisionTreeClassifier())


def test_a_group_column_must_be_there() -> None:
    grouped = FeatureSchema(SCHEMA.features, "y", ("no", "yes"), person="person")
    with pytest.raises(InputError, match="no group column 'person'"):
        Task(grouped, TRAIN, Line())


def test_a_target_is_found_among_the_classes_of_the_classifier() -> None:
    task = Task(SCHEMA, TRAIN, Line())
    assert task.target_position("yes") == 1
    assert task.default_target() == "yes"
    with pytest.raises(InputError, match=r"the classes are no, yes"):
        task.target_position("maybe")


def test_a_class_of_the_schema_that_the_classifier_never_learned_is_an_input_error() -> None:
    task = Task(FeatureSchema(SCHEMA.features, "y", ("no", "yes", "maybe")), TRAIN, Line())
    with pytest.raises(InputError, match="maybe"):
        task.target_position("maybe")


def test_a_task_without_a_target_asks_for_one() -> None:
    with pytest.raises(InputError, match="name a target class"):
        Task(FeatureSchema(SCHEMA.features, "y", ("no", "yes")), TRAIN, Line()).default_target()


def test_what_is_fitted_on_the_training_rows_is_fitted_once() -> None:
    task = Task(SCHEMA, TRAIN, Line())
    assert task.once(Scale) is task.once(Scale)


def test_mad_falls_back_to_the_spread_where_it_is_zero() -> None:
    scale = Task(SCHEMA, TRAIN, Line()).once(Scale)
    assert scale.mad.tolist() == [2.0, 10.0]  # |x - 4| has the median 2; z never varies, its range is 10


@cases(40)
@given(worlds(), st.sampled_from(KINDS))
def test_judging_rows_one_by_one_or_together_is_the_same(world: World, kind: str) -> None:
    task = world.task(kind)
    encoded = task.codec.encode(world.people)
    together = task.judge(encoded, final=True)
    alone = [int(task.judge(encoded[[i]], final=True).predicted[0]) for i in range(len(encoded))]
    assert alone == together.predicted.tolist()
    np.testing.assert_array_equal(np.array(task.classes)[together.predicted], task.classifier.predict(world.people))
