"""The judge: a fresh table per call, one count for all copies of a task, and a contract that is checked in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, scale
from xgboost import XGBClassifier

from boundary import explain
from sensecf import generators
from sensecf.classifiers.fit import NAMES, fit_classifier
from sensecf.classifiers.foreign import NamedClasses
from sensecf.core.errors import InputError
from sensecf.core.rules import Linear
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.testing import check_classifier

SCHEMA = FeatureSchema(
    (
        Feature("steps", "integer", low=0, high=20000, step=100),
        Feature("pulse", "continuous", low=40, high=120, step=0.5),
        Feature("sex", "categorical", levels=("F", "M")),
    ),
    label="stress",
    classes=("high", "low"),
    target="low",
)
NUMBERS = ["steps", "pulse"]


def table(n: int = 160, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    steps, pulse = rng.integers(0, 200, n) * 100, rng.integers(80, 240, n) / 2
    score = (pulse - 80) / 20 - (steps - 10000) / 6000 + 0.4 * rng.normal(size=n)
    sex = rng.choice(["F", "M"], n)
    return pd.DataFrame({"steps": steps, "pulse": pulse, "sex": sex, "stress": np.where(score > 0, "high", "low")})


TABLE = table()
PLAIN = make_pipeline(
    ColumnTransformer([("n", SimpleImputer(), NUMBERS), ("w", OneHotEncoder(handle_unknown="ignore"), ["sex"])]),
    LogisticRegression(max_iter=1000),
).fit(TABLE[SCHEMA.names], TABLE["stress"])


class Own:
    """A fitted wrapper that is no estimator; what is asked goes through `shown`, what is said through `told`."""

    classes_ = np.array(["high", "low"])

    def predict_proba(self, X: Any) -> Any:
        return PLAIN.predict_proba(X)

    def predict(self, X: Any) -> Any:
        return self.classes_[np.asarray(self.predict_proba(X))[:, :2].argmax(axis=1)]


class Edits(Own):
    """Maps and scales its input in place."""

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        assert set(X["sex"]) <= {"F", "M"}, "asked about rows that it has edited"
        p = PLAIN.predict_proba(X)
        X["sex"] = X["sex"].map({"F": 0, "M": 1})
        X["steps"] *= 0
        return p


class Scales(Own):
    """Standardises each batch by itself."""

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        p = 1 / (1 + np.exp(-(X["pulse"] - X["pulse"].mean()).to_numpy() / 9))
        return np.column_stack([p, 1 - p])


class Ranks(Own):
    """The answer depends on the place of a row in the call."""

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return PLAIN.predict_proba(X) * 0.9 + np.linspace(0, 0.05, len(X))[:, None]


class Noise(Own):
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        p = (PLAIN.predict_proba(X)[:, 0] + self.rng.normal(size=len(X)) * 0.02).clip(0, 1)
        return np.column_stack([p, 1 - p])


class Dummies(Own):
    """Dummies of the batch: columns go missing where a level does."""

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        wide = pd.get_dummies(X.astype({"sex": str}), columns=["sex"])
        if list(wide.columns) != [*NUMBERS, "sex_F", "sex_M"]:
            raise ValueError("the feature names should match\nthose that were passed during fit")
        return PLAIN.predict_proba(X)


class Crowded(Own):
    """Another answer where many are asked about."""

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        p = PLAIN.predict_proba(X)
        return p if len(X) <= 200 else p * 0.9 + 0.05


class Quits(Own):
    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        raise SystemExit(5)


class Sigmoid(Own):
    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return PLAIN.predict_proba(X)[:, 1]


class Numbers(Own):
    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return PLAIN.predict_proba(X).argmax(axis=1)


class Matrix(Own):
    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return PLAIN.predict_proba(X)


class Nameless(Own):
    classes_ = None


BAD = [
    (Scales(), "answers otherwise about a row when it is asked about it alone .* must be fitted once"),
    (Ranks(), "answers otherwise about a row when the rows are asked in another order"),
    (Noise(), "answers differently when asked twice .* fix its seed"),
    (Dummies(), r"fails in predict_proba on raw rows of shape \(1, 3\): ValueError: .*OneHotEncoder.*get_dummies"),
    (Crowded(), "answers otherwise about a row when it is asked about 512 rows at once"),
    (Quits(), "fails in predict_proba on raw rows of shape .*: SystemExit: 5"),
    (Sigmoid(), r"shape \(160,\) for 160 rows and 2 classes .*column_stack\(\[1 - p, p\]\)"),
    (Numbers(), "predicts 0, which is none of its classes_ .*--classes"),
    (Matrix(), r"gave 160 classes, of shape \(160, 2\).* one class per row"),
    (Nameless(), "has no classes_: .*--classes A,B"),
]


@pytest.mark.parametrize(("classifier", "words"), BAD, ids=lambda v: type(v).__name__)
def test_a_classifier_that_breaks_the_contract_is_refused_in_one_line(classifier: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        check_classifier(classifier, SCHEMA, TABLE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("classifier", [c for c, _ in BAD[:4]], ids=lambda v: type(v).__name__)
def test_explain_checks_it_before_it_asks(classifier: Any) -> None:
    task = Task(SCHEMA, TABLE, classifier)
    with pytest.raises(InputError, match=r"answers|fails in predict_proba"):
        explain(task, generators.Search(task), TABLE[SCHEMA.names].head(3))


@pytest.mark.parametrize("name", NAMES)
def test_the_classifiers_of_the_house_keep_the_contract(name: str) -> None:
    check_classifier(name, SCHEMA, TABLE)


def test_a_classifier_that_edits_its_input_is_judged_and_saved_as_if_it_did_not() -> None:
    check_classifier(Edits(), SCHEMA, TABLE)
    people = TABLE[PLAIN.predict(TABLE[SCHEMA.names]) == "high"][SCHEMA.names].head(12)
    plans = []
    for classifier in (Edits(), Own()):
        task = Task(SCHEMA, TABLE, classifier)
        plans.append(explain(task, generators.Search(task), people).frame.drop(columns="seconds"))
    pd.testing.assert_frame_equal(*plans)
    assert (PLAIN.predict(plans[0][SCHEMA.names]) == "low").all()


def test_an_error_of_a_later_call_is_one_line_that_names_the_call() -> None:
    class Fails(Own):
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            if (X["steps"] > 19000).any():
                raise RuntimeError("no such\nnumber of steps")
            return super().predict(X)

    task = Task(SCHEMA, TABLE.assign(steps=TABLE["steps"].clip(upper=9000)), Fails())
    task.check()
    rows = task.rows[:2].copy()
    rows[0, 0] = 20000
    with pytest.raises(
        InputError, match=r"Fails\) fails in predict on raw rows of shape \(2, 3\): RuntimeError: no such"
    ):
        task.judge(rows, final=True)


def by_class(p: Any) -> pd.DataFrame:
    """Columns named by their classes, in another order than theirs."""
    return pd.DataFrame(p, columns=["high", "low"])[["low", "high"]]


@pytest.mark.parametrize("reshape", [lambda p: p.reshape(-1, 1, 2), lambda p: p.tolist(), pd.DataFrame, by_class])
def test_answers_of_any_form_are_read(reshape: Any) -> None:
    class Column(Own):  # CatBoost: classes of three or more as a column
        def predict_proba(self, X: pd.DataFrame) -> Any:
            return reshape(PLAIN.predict_proba(X))

        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return PLAIN.predict(X).reshape(-1, 1)

    check_classifier(Column(), SCHEMA, TABLE)
    task = Task(SCHEMA, TABLE, Column())
    np.testing.assert_array_equal(task.judge(task.rows, final=True).proba, PLAIN.predict_proba(TABLE[SCHEMA.names]))


class Counting(Own):
    def __init__(self) -> None:
        self.seen = 0

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        self.seen += len(X)
        return PLAIN.predict_proba(X)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return PLAIN.predict(X)


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("name", ["search", "nearest", "nice", "cfnow"])
def test_the_cost_of_an_explanation_is_what_the_classifier_saw(name: str, blocked: bool) -> None:
    rules = (Linear({"pulse": 1.0}, "<=", 1.0),) if blocked else ()
    schema = FeatureSchema(SCHEMA.features, SCHEMA.label, SCHEMA.classes, SCHEMA.target, rules=rules)
    people = TABLE[PLAIN.predict(TABLE[SCHEMA.names]) == "high"][SCHEMA.names].head(6)
    classifier = Counting()
    task = Task(schema, TABLE, classifier)
    generator = generators.build(name, task)
    before = classifier.seen
    answers = explain(task, generator, people)
    assert answers.cost["classifier_rows"] == classifier.seen - before
    assert answers.answers.empty == blocked


def test_what_a_metric_asks_is_no_cost() -> None:
    task = Task(SCHEMA, TABLE, Own())
    task.uncounted().judge(task.rows)
    assert task.rows_judged == 0
    task.uncounted()._judge.add(3)
    assert task.rows_judged == 0
    task.count(3)
    assert task.rows_judged == 3


# --- other libraries: stand-ins that behave as theirs do -----------------------------------------


class LikeCatBoost:
    """No scikit-learn estimator: says by `is_fitted` whether it is, and has no classes before."""

    def __init__(self) -> None:
        self.model: Any = None

    def is_fitted(self) -> bool:
        return self.model is not None

    @property
    def classes_(self) -> Any:
        return [] if self.model is None else self.model.classes_

    def fit(self, X: pd.DataFrame, y: Any) -> LikeCatBoost:
        self.model = LogisticRegression(max_iter=1000).fit(X[NUMBERS], y)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return self.model.predict_proba(X[NUMBERS])

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.model.predict(X[NUMBERS]).reshape(-1, 1)


class SaysSo:
    """Says that it is not fitted only when it is asked; its `fit` returns nothing."""

    classes_: Any

    def fit(self, X: pd.DataFrame, y: Any) -> None:
        self.model = LogisticRegression(max_iter=1000).fit(X[NUMBERS], y)
        self.classes_ = self.model.classes_

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        if not hasattr(self, "model"):
            raise RuntimeError("There is no trained model to use predict_proba(). Use fit() to train model.")
        return self.model.predict_proba(X[NUMBERS])

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.model.predict(X[NUMBERS])


@pytest.mark.parametrize("kind", [LikeCatBoost, SaysSo])
def test_an_unfitted_model_of_any_library_is_fitted_and_itself_left_alone(kind: Any) -> None:
    own = kind()
    check_classifier(own, SCHEMA, TABLE)
    assert not hasattr(own, "model") or own.model is None
    fitted = fit_classifier(own, SCHEMA, TABLE)
    assert fit_classifier(fitted, SCHEMA, TABLE) is fitted


class LikeLightGBM(ClassifierMixin, BaseEstimator):
    """Takes no text; fitted on pandas categories, wants the same number of such columns, and says which."""

    def fit(self, X: pd.DataFrame, y: Any) -> LikeLightGBM:
        if any(X[c].dtype not in (np.int64, np.float64, "category") for c in X):
            raise ValueError("pandas dtypes must be int, float or bool.\nFields with bad pandas dtypes: sex")
        self.pandas_categorical = [list(X[c].cat.categories) for c in X if X[c].dtype == "category"]
        self.model_ = LogisticRegression(max_iter=1000).fit(self._codes(X), y)
        self.classes_ = self.model_.classes_
        return self

    def _codes(self, X: pd.DataFrame) -> np.ndarray:
        words = [c for c in X if X[c].dtype == "category"]
        if [list(X[c].cat.categories) for c in words] != self.pandas_categorical:
            raise ValueError("train and valid dataset categorical_feature do not match.")
        return X.assign(**{c: X[c].cat.codes for c in words}).to_numpy(float)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return self.model_.predict_proba(self._codes(X))

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.model_.predict(self._codes(X))


@pytest.mark.parametrize("order", [["F", "M"], ["M", "F"]])
def test_a_model_fitted_on_categories_is_given_categories(order: list[str]) -> None:
    frame = TABLE.astype({"sex": pd.CategoricalDtype(order)})
    rows = frame[SCHEMA.names]
    model = LikeLightGBM().fit(rows, TABLE["stress"])
    check_classifier(model, SCHEMA, TABLE)
    task = Task(SCHEMA, TABLE, model)
    np.testing.assert_array_equal(task.judge(task.rows, final=True).proba, model.predict_proba(rows))


def test_an_unfitted_model_that_takes_no_text_is_fitted_on_categories() -> None:
    check_classifier(LikeLightGBM(), SCHEMA, TABLE)
    xgboost = XGBClassifier(n_estimators=5, n_jobs=1, enable_categorical=True)
    check_classifier(NamedClasses(xgboost, ["high", "low"]), SCHEMA, TABLE)


def test_the_error_of_a_fit_is_that_of_the_raw_rows() -> None:
    with pytest.raises(InputError, match="cannot be fitted on the raw rows: ValueError: could not convert"):
        fit_classifier(LogisticRegression(), SCHEMA, TABLE)


# --- classes 0, 1, ... under their names ----------------------------------------------------------


class Narrow(TransformerMixin, BaseEstimator):
    def fit(self, X: pd.DataFrame, y: Any = None) -> Narrow:
        self.fitted_ = True
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        return X[NUMBERS].to_numpy(float)


@pytest.mark.parametrize("names", [["high", "low"], ["low", "high"]])
def test_a_classifier_of_numbers_answers_by_the_names_it_is_given(names: list[str]) -> None:
    fitted = make_pipeline(Narrow(), XGBClassifier(n_estimators=20, n_jobs=1)).fit(
        TABLE[SCHEMA.names], (TABLE["stress"] == names[1]).astype(int)
    )
    with pytest.raises(InputError, match=r"is no class of the classifier .*map the labels with --classes high,low if"):
        Task(SCHEMA, TABLE, fitted)
    for model in (fitted, make_pipeline(Narrow(), XGBClassifier(n_estimators=20, n_jobs=1))):
        task = Task(SCHEMA, TABLE, fit_classifier(model, SCHEMA, TABLE, classes=names))
        task.check(task.rows)
        right = np.array(task.classes)[task.judge(task.rows, final=True).predicted] == TABLE["stress"]
        assert right.mean() > 0.85


@pytest.mark.parametrize(
    ("model", "classes", "words"),
    [
        (PLAIN, ["high", "low"], r"this one has \['high', 'low'\]: leave it out"),
        ("logistic", ["high", "low"], "logistic takes the labels as they are"),
        (XGBClassifier(), ["high"], "name each class of the schema once"),
        (XGBClassifier(), ["high", "odd"], "odd"),
    ],
)
def test_names_that_do_not_fit_are_refused(model: Any, classes: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        fit_classifier(model, SCHEMA, TABLE, classes=classes)


def test_a_batch_scaler_in_a_pipeline_is_found_out() -> None:
    pipe = make_pipeline(ColumnTransformer([("n", FunctionTransformer(scale), NUMBERS)]), LogisticRegression())
    with pytest.raises(InputError, match="depends on the other rows of the call"):
        check_classifier(pipe, SCHEMA, TABLE)
