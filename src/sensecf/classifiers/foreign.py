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
    return clone(classifier) if hasattr(classifier, "get_params") else deepcopy(classifier)


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

    Raises `InputError` as `resolve_object` does, when the call fails, and when the result lacks
    `predict` or `predict_proba`.
    """
    found = resolve_object(spec)
    if isinstance(found, type) or (callable(found) and not hasattr(found, "predict_proba")):
        try:
            found = found()
        except Exception as error:
            raise InputError(f"{spec}: calling it without arguments failed: {one_line(error)}") from error
    for method in ("predict", "predict_proba"):
        if not callable(getattr(found, method, None)):
            raise InputError(
                f"{spec}: the object ({type(found).__name__}) has no {method}; "
                "wrap it, for instance in sklearn.calibration.CalibratedClassifierCV"
            )
    return found
