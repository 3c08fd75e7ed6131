"""The user's own classifier: found by name, fitted where it is not, its classes named."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sensecf.core.errors import InputError, one_line
from sensecf.core.schema import FeatureSchema, Value

#: How libraries say that a model was not fitted: scikit-learn, LightGBM, XGBoost, CatBoost, Keras.
_UNFITTED = re.compile(
    r"not\W?fitted|(not|n't|never)( yet)?( been)? (fitted|trained|built)|no trained model|(call|use) \W?fit|"
    r"fit .{0,40}first",
    re.IGNORECASE,
)


class NamedClasses(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of the classes 0, 1, ... under their names: `classes[k]` is what `model` calls k.

    What `model` says of the columns it was fitted with is said here too.
    """

    def __init__(self, model: Any = None, classes: Sequence[Value] = ()) -> None:
        self.model = model
        self.classes = classes

    def fit(self, X: Any, y: Any) -> Self:
        """Fit a copy of `model` on the numbers of the classes. X (n, d); y (n,), names."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        codes = np.array([numbers[name] for name in np.asarray(y).tolist()])
        self.model = fit(unfitted_copy(self.model), X, codes)
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        return np.array(list(self.classes))

    def predict_proba(self, X: Any) -> Any:
        """What `model` says: a column for each of `classes`."""
        return self.model.predict_proba(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """Names of classes, shape (n,). Raises `InputError` for a number that names none."""
        told = np.asarray(self.model.predict(X)).reshape(-1).tolist()
        numbers = dict(zip(range(len(self.classes)), self.classes_, strict=True))
        unknown = [number for number in told if number not in numbers]
        if unknown:
            raise InputError(f"it predicts {unknown[0]!r}, which is not one of 0 to {len(numbers) - 1}")
        return np.array([numbers[number] for number in told])

    def __sklearn_is_fitted__(self) -> bool:
        return bool(is_fitted(self.model, None))

    def __getattr__(self, name: str) -> Any:
        if name not in ("feature_names_in_", "n_features_in_"):
            raise AttributeError(name)
        return getattr(self.model, name)


class Probabilities(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted model whose `predict` gives probabilities, as Keras's does, as a classifier of `classes`.

    The model is shown the columns as numbers, (n, d). What it gives for n rows is (n, k), a column for each class, or
    (n, 1) or (n,), the probability of the second of two classes. It cannot be fitted again here.
    """

    def __init__(self, model: Any = None, classes: Sequence[Value] = ()) -> None:
        self.model = model
        self.classes = classes

    @property
    def classes_(self) -> NDArray[Any]:
        return np.array(list(self.classes))

    def predict_proba(self, X: pd.DataFrame) -> NDArray[Any]:
        """Probabilities, (n, classes). Raises `InputError` where the model gives classes instead."""
        # Keras draws a progress bar for every `predict`, but not for this one.
        ask = getattr(self.model, "predict_on_batch", self.model.predict)
        found = ask(X.to_numpy(dtype=float))
        told = np.asarray(found.detach().cpu() if hasattr(found, "detach") else found)
        if told.dtype.kind != "f":
            raise InputError(
                f"it has no predict_proba, and its predict gives {told.dtype} values, which are no probabilities; wrap "
                "it, for instance in sklearn.calibration.CalibratedClassifierCV"
            )
        if told.size == len(X) and len(self.classes) == 2:
            second = told.reshape(-1)
            return np.column_stack([1 - second, second])
        return told

    def predict(self, X: pd.DataFrame) -> NDArray[Any]:
        """The most probable class of each row, (n,)."""
        found: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return found

    def __sklearn_is_fitted__(self) -> bool:
        return True


def with_probabilities(classifier: Any, schema: FeatureSchema, classes: Sequence[Any]) -> Any:
    """A model that has `predict` alone, which gives probabilities, with `predict_proba`; any other as it is.

    Raises `InputError` where nobody says which class its columns are, and for one that predicts classes alone.
    """
    if hasattr(classifier, "predict_proba") or not callable(getattr(classifier, "predict", None)):
        return classifier
    if isinstance(classifier, BaseEstimator) or hasattr(classifier, "classes_"):
        raise InputError(
            f"the classifier ({type(classifier).__name__}) has no predict_proba; wrap it, for instance in "
            "sklearn.calibration.CalibratedClassifierCV"
        )
    plain = list(schema.classes) == list(range(len(schema.classes)))  # [False, True] is one of these
    if not classes and not plain:
        raise InputError(
            f"the classifier ({type(classifier).__name__}) has no predict_proba; if its predict gives probabilities, "
            f"name their classes in the order of its columns, for two the one of 1 last: --classes "
            f"{','.join(map(str, schema.classes))} (in Python fit_classifier(..., classes={list(schema.classes)!r})); "
            "if it gives classes, wrap it, for instance in sklearn.calibration.CalibratedClassifierCV"
        )
    return Probabilities(classifier, check_names(classifier, schema, classes or schema.classes))


def as_categories(rows: pd.DataFrame, table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """`rows` with columns as pandas categories: those of the table where it has such, else as pandas makes them."""
    kinds = {name: table[name].dtype for name in names}
    return rows.astype({n: k if isinstance(k, pd.CategoricalDtype) else "category" for n, k in kinds.items()})


def check_names(classifier: Any, schema: FeatureSchema, classes: Sequence[Any]) -> list[Value]:
    """The schema's classes that `classes` names. Raises `InputError` where they are not its classes, each once."""
    names = [schema.find_class(name) for name in classes]
    if sorted(map(str, names)) != sorted(map(str, schema.classes)):
        raise InputError(
            f"--classes {','.join(map(str, classes))}: name each class of the schema once, {list(schema.classes)}, in "
            "the order in which the classifier calls them 0, 1, ..."
        )
    own = [] if (told := getattr(classifier, "classes_", None)) is None else np.asarray(told).tolist()
    if own and own != list(range(len(names))):
        raise InputError(f"--classes is for a classifier of the classes 0, 1, ...; this one has {own}: leave it out")
    return names


def unfitted_copy(classifier: Any) -> Any:
    """A copy that is not fitted, by its parameters where it has such."""
    if not hasattr(classifier, "get_params"):
        return deepcopy(classifier)
    try:
        return clone(classifier)
    except RuntimeError:
        if isinstance(classifier, BaseEstimator):
            raise
        # CatBoost copies the lists among its parameters, which scikit-learn takes for a constructor that changes them.
        return type(classifier)(**classifier.get_params())


def fit(classifier: Any, rows: Any, labels: Any, **given: Any) -> Any:
    """The classifier after `fit`, which in some libraries returns nothing."""
    made = classifier.fit(rows, labels, **given)
    return made if hasattr(made, "predict_proba") else classifier


def is_fitted(classifier: Any, row: pd.DataFrame | None) -> bool:
    """Whether a classifier of any library is fitted: it says so itself, or does not say that it is not when asked."""
    if not callable(getattr(classifier, "fit", None)):
        return True
    if isinstance(classifier, BaseEstimator):
        try:
            check_is_fitted(classifier)
        except NotFittedError:
            return False
        return True
    # CatBoost has `is_fitted`.
    said = getattr(classifier, "__sklearn_is_fitted__", getattr(classifier, "is_fitted", None))
    if said is not None:
        return bool(said() if callable(said) else said)
    if row is None:
        return hasattr(classifier, "classes_")
    try:
        classifier.predict_proba(row)
    # Whatever it fails of, but for being unfitted, is told where it is asked in earnest.
    except (Exception, SystemExit) as error:
        return not _UNFITTED.search(one_line(error))
    return True


def resolve_object(spec: str) -> Any:
    """The object that `module:object` names; the current folder is importable.

    Raises `InputError` that says whether the module, the object or the module's own code is at fault.
    """
    module, _, name = spec.partition(":")
    if not module or not name:
        raise InputError(f"{spec!r} names no object; write it as module:object")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise InputError(f"{spec}: there is no module {error.name!r} here or in the environment") from error
        raise InputError(f"{spec}: importing {module} failed in its own code: {one_line(error)}") from error
    try:
        return pkgutil.resolve_name(spec)
    except (AttributeError, ValueError) as error:
        raise InputError(f"{spec}: the module {module} has no {name!r}") from error


def load_object(spec: str) -> Any:
    """The user's classifier named by `module:object`; a class or function is called without arguments.

    Raises `InputError` as `resolve_object` does, when the call fails, and when the result lacks `predict`.
    """
    found = resolve_object(spec)
    if isinstance(found, type) or (callable(found) and not hasattr(found, "predict")):
        try:
            found = found()
        except Exception as error:
            raise InputError(f"{spec}: calling it without arguments failed: {one_line(error)}") from error
    if not callable(getattr(found, "predict", None)):
        raise InputError(
            f"{spec}: the object ({type(found).__name__}) has no predict; name a classifier, or what makes one"
        )
    return found
