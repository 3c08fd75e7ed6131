"""Five classifiers on raw rows, and the user's own.

Each of the five is a scikit-learn `Pipeline` of two or three steps: `RowEncoder` turns raw rows into
a matrix, `Balanced` fits a model on it. They take the schema's feature columns as they were read
(numbers, text, blanks) and are deterministic by seed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import ThreadpoolController

from sensecf.classifiers.apart import weigh_apart
from sensecf.classifiers.foreign import (
    NamedClasses,
    Probabilities,
    as_categories,
    check_names,
    fit,
    is_fitted,
    load_object,
    unfitted_copy,
    with_probabilities,
)
from sensecf.core.codec import Codec, check_single, similar_level
from sensecf.core.errors import InputError, one_line
from sensecf.core.frames import as_frame
from sensecf.core.plain import cores
from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema, Value
from sensecf.core.task import Classifier, Task
from sensecf.data.tables import BLANKS

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: The classifiers that `make_classifier` knows by name.
NAMES = ("xgboost", "random-forest", "svm", "mlp", "logistic")

#: Rows a thread must get for a forest to start one: fewer cost more than they bring.
ROWS_PER_THREAD = 2_000

#: Rows each tree of a forest sees at most: more cost time, memory and disk, and bring little.
FOREST_ROWS = 20_000


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()  # looking for the libraries takes 2 ms


def one_blas_thread() -> Any:
    """A context in which BLAS keeps to one thread.

    The matrices here are small. On a machine with other work, waiting for a second thread made an
    SVM's answer ten times and a network's fit four times as slow.
    """
    return _thread_pools().limit(limits=1, user_api="blas")


class RowEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Raw rows (a frame with named columns) to a float64 matrix.

    `numbers` are the numeric columns, `levels` the others with the values each may take. For trees
    (`dense=False`) numbers stay as they are, a level is its position, blanks and unknown levels are
    NaN. For all others (`dense=True`) numbers are filled with the median and standardised, a level
    becomes a 0/1 column; blanks and unknown levels are all 0.

    A `ColumnTransformer` of an imputer, a scaler and a `OneHotEncoder` does the same for few rows of
    20 columns in about 5 ms, this in 1 ms, which is more than most of the models then take.
    """

    def __init__(
        self, numbers: Sequence[str] = (), levels: Mapping[str, Sequence[Value]] | None = None, dense: bool = False
    ) -> None:
        self.numbers = numbers
        self.levels = levels
        self.dense = dense

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn medians and scales from rows (n, d)."""
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        if self.dense:
            values = self._numbers(X)
            empty = np.isnan(values).all(axis=0)
            self.median_ = np.nanmedian(np.where(empty, 0.0, values), axis=0)
            filled = np.where(np.isnan(values), self.median_, values)
            self.mean_, spread = filled.mean(axis=0), filled.std(axis=0)
            self.scale_ = np.where(spread > 1e-12 * np.abs(self.mean_), spread, 1.0)
        return self

    def transform(self, X: pd.DataFrame) -> Floats:
        """Rows (n, d) as a matrix (n, columns)."""
        return self._matrix(
            self._numbers(X), [_positions(levels, X[name]) for name, levels in (self.levels or {}).items()]
        )

    def suits(self, schema: FeatureSchema) -> bool:
        """Whether rows encoded by `Codec(schema)` hold the very numbers and positions that this makes of raw rows."""
        levels = {name: list(values) for name, values in (self.levels or {}).items()}
        return {*self.numbers, *levels} == {f.name for f in schema.features if not f.nuisance} and all(
            f.numeric if f.name not in levels else list(f.levels) == levels[f.name]
            for f in schema.features
            if not f.nuisance
        )

    def of_codes(self, rows: Floats, schema: FeatureSchema) -> Floats:
        """What `transform` makes of the raw rows, from rows (n, d) encoded by `Codec(schema)`: no frame between."""
        codes = []
        for name, levels in (self.levels or {}).items():
            column = rows[:, schema.columns[name]]
            codes.append(np.where(np.isnan(column), _blank(levels), column))
        return self._matrix(rows[:, [schema.columns[name] for name in self.numbers]], codes)

    def _matrix(self, values: Floats, codes: Sequence[Floats]) -> Floats:
        if self.dense:
            values = (np.where(np.isnan(values), self.median_, values) - self.mean_) / self.scale_
        parts = [values]
        for found, levels in zip(codes, (self.levels or {}).values(), strict=True):
            column = found[:, None]
            parts.append((column == np.arange(len(levels))).astype(float) if self.dense else column)
        return np.hstack(parts) if len(parts) > 1 else values

    def _numbers(self, X: pd.DataFrame) -> Floats:
        return X[list(self.numbers)].to_numpy(dtype=float, na_value=np.nan)


def _positions(levels: Sequence[Value], column: pd.Series[Any]) -> Floats:
    """Position of each value among the levels, shape (n,); NaN for blanks and unknown levels."""
    codes = {level: float(code) for code, level in enumerate(levels)}
    which, values = pd.factorize(column)  # -1, the last, for blanks
    table = [codes[value] if value in codes else similar_level(levels, value) for value in values.tolist()]
    return np.array([*table, _blank(levels)], dtype=float)[which]


def _blank(levels: Sequence[Value]) -> float:
    """What a blank is: NaN, or the level that readers of CSV files take for one, such as "None"."""
    return next((float(code) for code, level in enumerate(levels) if level == "None" or level in BLANKS), np.nan)


class Balanced(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fits `model` on classes of any type, each class weighing alike however few its rows.

    `predict` is the class of the highest probability, so that the two always agree.
    """

    def __init__(self, model: Any = None) -> None:
        self.model = model

    def fit(self, X: Floats, y: Any, sample_weight: Floats | None = None) -> Self:
        """Fit a clone of `model`. X (n, d); y (n,). Raises `InputError` when a class is too small.

        `sample_weight` (n,) replaces the weights by which the classes weigh alike.
        """
        self.classes_, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
        model = clone(self.model)
        if isinstance(model, CalibratedClassifierCV) and isinstance(model.cv, int):
            if counts.min() < 2:
                raise InputError(
                    f"class {self.classes_.tolist()[counts.argmin()]!r} has a single row, too few to calibrate an SVM; "
                    "merge or drop the class, or use another classifier"
                )
            model.set_params(cv=int(min(model.cv, counts.min())))
        with warnings.catch_warnings(), one_blas_thread():
            # max_iter bounds the time on purpose: stopping there is no fault.
            warnings.simplefilter("ignore", ConvergenceWarning)
            weight = compute_sample_weight("balanced", codes) if sample_weight is None else sample_weight
            self.model_ = model.fit(X, codes, sample_weight=weight)
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """Probability of each class, shape (n, classes)."""
        with one_blas_thread():
            return np.asarray(self.model_.predict_proba(X), dtype=float)

    def predict(self, X: Floats) -> NDArray[Any]:
        """The most probable class of each row, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class Kernel(Nystroem):  # type: ignore[misc]
    """Nystroem kernel features, of small tables too."""

    def fit(self, X: Floats, y: Any = None) -> Self:
        """Choose the landmarks among the rows (n, d): all of them where there are fewer than asked for."""
        with warnings.catch_warnings(), one_blas_thread():
            warnings.filterwarnings("ignore", message="n_components > n_samples")
            super().fit(X)
        return self

    def transform(self, X: Floats) -> Floats:
        """Rows (n, d) as kernel features (n, components)."""
        with one_blas_thread():
            return np.asarray(super().transform(X))


class Forest(RandomForestClassifier):  # type: ignore[misc]
    """A random forest that answers few rows fast and always the same.

    The stock `predict_proba` starts a job per tree (10 ms for one row, 0.7 ms here) and adds the
    trees' votes in the order in which threads finish, so that the last bits differ between calls.
    """

    def predict_proba(self, X: Floats) -> Floats:
        """Mean of the trees' class shares, shape (n, classes)."""
        rows = np.ascontiguousarray(X, dtype=np.float32)
        if rows.shape[1] != self.n_features_in_:  # compiled code does not look
            raise ValueError(f"{rows.shape[1]} columns, fitted on {self.n_features_in_}")
        threads = min(cores(), len(rows) // ROWS_PER_THREAD)
        if threads < 2:
            return self._votes(rows)
        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(self._votes, np.array_split(rows, threads))))

    def _votes(self, rows: NDArray[np.float32]) -> Floats:
        total = np.zeros((len(rows), self.n_classes_))
        for tree in self.estimators_:
            total += tree.tree_.predict(rows)
        return total / len(self.estimators_)


def make_classifier(name: str, schema: FeatureSchema, seed: int = 0, n_rows: int | None = None) -> Pipeline:
    """One of the five, not fitted: a `Pipeline` on frames with the schema's features.

    Features of the schema that are a nuisance are not learned from.
    `n_rows`: how many rows it is going to be fitted on; without it, the settings for a small table.
    The settings are ours, chosen on three public tables of 303 to 1,560 rows and on simulated ones of up
    to 100,000. Raises `InputError` for another name.
    """
    if name not in NAMES:
        raise InputError(f"classifier {name!r} is unknown; use {', '.join(NAMES)} or module:object")
    learned = [f for f in schema.features if not f.nuisance]
    if not learned:
        raise InputError("every feature is a nuisance, so that there is nothing to learn from; leave one that is none")
    numbers = [f.name for f in learned if f.numeric]
    levels = {f.name: list(f.levels) for f in learned if not f.numeric}
    n = n_rows or 1_000
    dense = name in ("svm", "mlp", "logistic")
    steps: list[tuple[str, Any]] = [("rows", RowEncoder(numbers, levels, dense))]
    model: Any
    match name:
        case "xgboost":
            from xgboost import XGBClassifier  # a third of a second that the other four do not need

            model = XGBClassifier(
                n_estimators=300,
                **({"max_depth": 3, "learning_rate": 0.03} if n < 5_000 else {"max_depth": 4, "learning_rate": 0.1}),
                subsample=0.7,
                colsample_bytree=0.5,
                min_child_weight=5,
                reg_lambda=5,
                enable_categorical=True,
                feature_types=["q"] * len(numbers) + ["c" if len(v) > 2 else "q" for v in levels.values()],
                # OpenMP threads spin while they wait: on a busy machine two were up to 60 times slower
                # than one, which fits 100,000 rows of 20 features in 5 s.
                n_jobs=1,
                random_state=seed,
            )
        case "random-forest":
            model = Forest(
                n_estimators=200,
                min_samples_leaf=5,
                max_samples=FOREST_ROWS / n if n > FOREST_ROWS else None,
                n_jobs=cores(),
                random_state=seed,
            )
        case "svm":
            # Kernel features and a linear SVM: about as accurate as the exact SVC on the three tables,
            # ten times as fast to ask once fitted on 2,000 rows, and linear in the rows.
            kernel = Kernel(gamma=0.3 / len(schema), n_components=200, random_state=seed)
            steps.append(("kernel", kernel))
            folds = 5 if n < 20_000 else 3
            model = CalibratedClassifierCV(LinearSVC(C=0.3, random_state=seed), cv=folds, ensemble=False)
        case "mlp":
            # With its usual solver the network's last, small batch is penalised beyond measure
            # (scikit-learn divides alpha by the rows of the batch); L-BFGS has no batches.
            model = MLPClassifier((32,), alpha=20, solver="lbfgs", max_iter=200, random_state=seed)
        case _:
            model = LogisticRegression(C=0.1, max_iter=1_000)
    return Pipeline([*steps, ("model", Balanced(model))])


def fit_classifier(
    name_or_object: Any,
    schema: FeatureSchema,
    train: IntoDataFrame,
    seed: int = 0,
    weight: Floats | None = None,
    classes: Sequence[Any] = (),
) -> Classifier:
    """A fitted classifier: one of the five by name, a `module:object`, or an object of the user's.

    An object of any library that has `fit` and says that it is not fitted is copied and fitted on the raw rows, as
    text or, where it takes none, as pandas categories; any other is returned as it is. `train` holds the features
    and the label; it is fitted as `Task` will show rows to it. `weight` (n,): what each row weighs, for the five
    only; by default each class weighs alike, and where the schema names a nuisance, alike within each of its levels
    (`weigh_apart`). `classes`: the schema's names of the classes that the user's object
    calls 0, 1, ..., or that the columns of its `predict` are the probabilities of, where it has no `predict_proba`
    (Keras). Raises `InputError` when the name is unknown, the label has blanks or one class, or the
    user's own code fails.

    >>> classifier = sensecf.fit_classifier("logistic", data.schema, train)
    >>> classifier.predict_proba(people[data.schema.names]).shape
    (4, 2)
    """
    classifier, train = name_or_object, as_frame(train, "train")
    if isinstance(classifier, str):
        if ":" in classifier:
            classifier = load_object(classifier)
        elif classes:
            raise InputError(f"--classes is for a module:object; {classifier} takes the labels as they are")
        else:
            classifier = make_classifier(classifier, schema, seed, n_rows=len(train))
    codec = Codec(schema)
    rows = codec.decode(codec.encode(train))
    classifier = with_probabilities(classifier, schema, classes)
    fitted = is_fitted(classifier, rows.head(1))
    if classes and not isinstance(classifier, NamedClasses | Probabilities):
        classifier = NamedClasses(classifier, check_names(classifier, schema, classes))
    if fitted:
        return classifier
    return fit_anew(classifier, schema, train, weight)


def fit_anew(classifier: Any, schema: FeatureSchema, train: pd.DataFrame, weight: Floats | None = None) -> Classifier:
    """A copy of a classifier object, fitted on the raw rows of `train` as `fit_classifier` does.

    Raises `InputError` when the label has blanks or one class, or the user's own code fails.
    """
    codec = Codec(schema)
    rows, labels = codec.decode(codec.encode(train)), _labels(schema, train)
    if weight is None and _ours(classifier) and any(f.nuisance for f in schema.features):
        weight = weigh_apart(schema, train)
    given = {} if weight is None else {"model__sample_weight": weight}
    try:
        return cast(Classifier, fit(unfitted_copy(classifier), rows, labels, **given))
    except InputError:
        raise
    except Exception as error:
        words = {f.name: "category" for f in schema.features if not f.numeric}
        if words:
            with suppress(Exception):  # the error of the raw rows is the one to be told
                return cast(Classifier, fit(unfitted_copy(classifier), as_categories(rows, train, words), labels))
        raise InputError(
            f"the classifier ({type(classifier).__name__}) cannot be fitted on the raw rows: {one_line(error)}; "
            "a scikit-learn Pipeline that owns its encoding and imputation can; where it wants the classes 0, 1, ..., "
            f"map the labels: --classes {','.join(map(str, schema.classes))} (in Python classes=[...])"
        ) from error


def _ours(classifier: Any) -> bool:
    """Whether it is one of the five, fitted or not."""
    return isinstance(classifier, Pipeline) and isinstance(classifier.steps[-1][1], Balanced)


def _labels(schema: FeatureSchema, train: pd.DataFrame) -> NDArray[Any]:
    if schema.label not in train.columns:
        raise InputError(f"the training rows have no label column {schema.label!r}")
    column = train[schema.label]
    check_single(column)
    if column.isna().any():
        row = column.index[int(np.flatnonzero(column.isna().to_numpy())[0])]
        raise InputError(f"label {schema.label!r}, row {row}: the value is missing; fill it or drop the row")
    if column.nunique() < 2:
        raise InputError(f"label {schema.label!r} has {column.nunique()} class in the training rows; two are needed")
    return np.array(column.tolist())


def check_answers(task: Task, frame: pd.DataFrame) -> None:
    """Raise `InputError` when the classifier breaks its contract (`Judge.check`) on raw rows of `frame`."""
    task.check(task.codec.encode(frame))
