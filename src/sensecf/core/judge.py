"""`Judge`: the classifier behind a task. It shows rows, counts them, and holds the answers to a contract."""

from __future__ import annotations

import threading
from copy import copy
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensecf.core.codec import Codec
from sensecf.core.errors import InputError, one_line
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import FeatureSchema, Value

Ints = NDArray[np.intp]

#: Two class probabilities closer than this are a tie, and a tie is not valid.
TIE = 1e-6
#: Probabilities of one row in different company may differ by so much: float32 sums in another order.
SAME = 1e-5
#: Rows that are asked about at once, for classifiers whose answer depends on how many there are.
MANY = 512
#: Rows that are asked one at a time when the contract is checked.
ALONE = 8

#: One caller at a time: a classifier of the user's own need not be safe to ask from several threads.
_ASKING = threading.RLock()


class Classifier(Protocol):
    """Anything with `predict` and `predict_proba` on raw rows, fitted, with `classes_`."""

    classes_: Any

    def predict(self, X: Any) -> Any: ...

    def predict_proba(self, X: Any) -> Any: ...


class Judgement(NamedTuple):
    """What the classifier says of rows: `predicted` (class positions), `proba` (rows, classes), `tie`."""

    predicted: Ints
    proba: Floats
    tie: Bools


class _Count:
    """How many rows were judged; copies of a judge share it."""

    rows = 0


class Judge:
    """A fitted classifier with the form of table that it takes, its classes and the count of rows it judged.

    Every call gets a table of its own, so that a classifier that edits its input changes nothing else.
    `known` (n, d): encoded rows of the training table, from which it is seen how the classifier is to be asked;
    `dtypes`: the columns of that table that are pandas categories.

    Raises `InputError` for a classifier without `predict`, `predict_proba` or `classes_`, and for one that was
    fitted with a column that the schema does not list.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        classifier: Classifier,
        known: Floats,
        dtypes: dict[str, pd.CategoricalDtype] | None = None,
    ) -> None:
        self.schema, self.codec, self.classifier, self.known = schema, Codec(schema), classifier, known
        self.dtypes = dtypes or {}
        self.name = f"the classifier ({type(classifier).__name__})"
        for method in ("predict", "predict_proba"):
            if not callable(getattr(classifier, method, None)):
                raise InputError(
                    f"{self.name} has no {method}; wrap it, for instance in sklearn.calibration.CalibratedClassifierCV"
                )
        self.checked = False
        self._argmax: bool | None = None
        self._count = _Count()
        self._as_array = hasattr(classifier, "n_features_in_") and not hasattr(classifier, "feature_names_in_")
        self._order = self._column_order()
        self.classes: list[Value] = self._classes()
        self._position = {label: i for i, label in enumerate(self.classes)}

    @property
    def rows(self) -> int:
        """How many rows the classifier was asked for probabilities about: the honest cost of an answer."""
        return self._count.rows

    def add(self, rows: int) -> None:
        """Count rows that a copy of this judge was asked about in another process."""
        with _ASKING:
            self._count.rows += rows

    def uncounted(self) -> Judge:
        """The same judge with a count of its own: for what is no cost of an answer."""
        other = copy(self)
        other._count = _Count()
        return other

    def sibling(self, classifier: Classifier) -> Judge:
        """The judge of another fit of this classifier, shown the same table; it counts for itself.

        How `predict` goes with the probabilities is taken to be as it is here.
        """
        other = Judge(self.schema, classifier, self.known, self.dtypes)
        if other.takes_codes and self.takes_codes:
            other._argmax = self._by_argmax()
        return other

    def __call__(self, rows: Floats, final: bool = False) -> Judgement:
        """Ask the classifier, once, about all rows; see `Task.judge`."""
        if len(rows) == 0:
            return Judgement(np.empty(0, np.intp), np.empty((0, len(self.classes))), np.empty(0, bool))
        with _ASKING:
            if not final and self._after_encoding is not None:
                # The last word is always that of the classifier itself on rows as they will be saved.
                encoder: Any = self.classifier[0]  # type: ignore[index]
                shown = encoder.of_codes(rows, self.schema)
                proba = self._probabilities(self._after_encoding, shown, len(rows))
                told = None if self._by_argmax() else self._labels(self._after_encoding, shown, len(rows))
            else:
                frame = self.frame(rows)
                proba = self._probabilities(self.classifier, frame.copy(), len(rows))
                told = self._labels(self.classifier, frame, len(rows)) if final or not self._by_argmax() else None
        predicted = proba.argmax(axis=1) if told is None else told
        ordered = np.sort(proba, axis=1)
        return Judgement(predicted, proba, ordered[:, -1] - ordered[:, -2] <= TIE)

    def frame(self, rows: Floats) -> Any:
        """Encoded rows in the form the classifier takes; the caller's own, whatever becomes of it."""
        frame = self.codec.decode(rows)
        if self._order is not None:
            frame = frame[self._order]
        if self._as_array:
            return frame.to_numpy(copy=True)
        # `astype` of nothing costs more than the trees take for a few rows.
        return (frame.astype(self._categories) if self._categories else frame).copy()

    @property
    def takes_codes(self) -> bool:
        """Whether the classifier is one of ours, which judges encoded rows as it judges raw ones."""
        return self._after_encoding is not None

    # --- asking -----------------------------------------------------------------------------

    def _ask(self, method: str, classifier: Any, shown: Any) -> Any:
        try:
            return getattr(classifier, method)(shown)
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # whatever code of the user's own does
            raise InputError(
                f"{self.name} fails in {method} on raw rows of shape {np.shape(shown)}: {one_line(error)}; "
                "it must take any rows of the schema's columns as they are, blanks and unseen levels included"
            ) from error

    def _probabilities(self, classifier: Any, shown: Any, n: int) -> Floats:
        """`predict_proba`, counted, shape (n, classes). Raises `InputError` for another shape."""
        self._count.rows += n
        told = self._ask("predict_proba", classifier, shown)
        if isinstance(told, pd.DataFrame) and len(told.columns) == len(self.classes) == len(set(told.columns)):
            # Columns that are named by their classes may stand in any order.
            told = told[self.classes] if set(told.columns) == set(self.classes) else told
        try:
            proba = np.asarray(told, dtype=float)
        except (TypeError, ValueError) as error:
            raise InputError(f"predict_proba of {self.name} gives no table of numbers: {one_line(error)}") from error
        wanted = (n, len(self.classes))
        if proba.shape != wanted and tuple(s for s in proba.shape if s > 1) == tuple(s for s in wanted if s > 1):
            proba = proba.reshape(wanted)
        if proba.shape != wanted:
            one = proba.size == n
            raise InputError(
                f"predict_proba of {self.name} gave probabilities of shape {proba.shape} for {n} rows and "
                f"{len(self.classes)} classes ({self.classes}); it must give a row of probabilities, one per class, in "
                "the order of classes_" + (": wrap it and return np.column_stack([1 - p, p])" if one else "")
            )
        return proba

    def _labels(self, classifier: Any, shown: Any, n: int) -> Ints:
        """`predict` as class positions, shape (n,). Raises `InputError` for another shape or no class."""
        told = np.asarray(self._ask("predict", classifier, shown))
        if told.size != n or told.ndim == 0:
            raise InputError(
                f"predict of {self.name} gave {len(told) if told.ndim else 'no'} classes, of shape {told.shape}, for "
                f"{n} rows; it must give one class per row: wrap it and return a class of classes_ for each"
            )
        labels = told.reshape(-1).tolist()  # CatBoost gives a column for three classes
        try:
            return np.array([self._position[label] for label in labels], dtype=np.intp)
        except (KeyError, TypeError):
            unknown = next(label for label in labels if label not in self.classes)
            raise InputError(
                f"{self.name} predicts {unknown!r}, which is none of its classes_ ({self.classes}); wrap it so that "
                "predict gives these, or name the classes: --classes A,B (in Python classes=[...])"
            ) from None

    # --- how it is to be asked ----------------------------------------------------------------

    def _column_order(self) -> list[str] | None:
        """Column order the classifier was fitted with, when it says so and it is not the schema's."""
        names = getattr(self.classifier, "feature_names_in_", None)
        if names is None:
            return None
        names = [str(n) for n in names]
        absent = [n for n in names if n not in self.schema.columns]
        if absent:
            raise InputError(
                f"the classifier was fitted with the column {absent[0]!r}, which the schema does not list; "
                "add the feature to the schema or refit the classifier without it"
            )
        return None if names == self.schema.names else names

    def _classes(self) -> list[Value]:
        classes = getattr(self.classifier, "classes_", None)
        if classes is None or len(classes) == 0:
            raise InputError(
                f"{self.name} has no classes_: fit it first, or, where it wraps a fitted model, set classes_ to the "
                "classes in the order of predict_proba's columns or name them: --classes A,B (in Python classes=[...])"
            )
        return [c.item() if isinstance(c, np.generic) else c for c in classes]

    @cached_property
    def _after_encoding(self) -> Any | None:
        """The steps of a pipeline after an encoder that takes rows as the codec has them; None for any other
        classifier, which is shown raw rows."""
        steps = [step for _, step in getattr(self.classifier, "steps", [])]
        if len(steps) < 2 or not hasattr(steps[0], "of_codes") or not steps[0].suits(self.schema):
            return None
        return self.classifier[1:]  # type: ignore[index]

    def _by_argmax(self, judge: Judge | None = None) -> bool:
        """Whether `predict` is the class of the highest probability, seen once on the training rows."""
        if self._argmax is None:
            sample = self.known[np.linspace(0, len(self.known) - 1, min(len(self.known), 2000)).astype(int)]
            seen = (judge or self.uncounted())(sample, final=True)
            self._argmax = bool((seen.predicted == seen.proba.argmax(axis=1))[~seen.tie].all())
        return self._argmax

    @cached_property
    def _categories(self) -> dict[str, pd.CategoricalDtype]:
        """Columns that the classifier must be given as pandas categories, since it was fitted on such.

        LightGBM and XGBoost say so; another is asked about one row as text, and where that fails as categories.
        """
        levels = {f.name: list(f.levels) for f in self.schema.features if not f.numeric}
        if not levels or self._as_array or self.takes_codes:
            return {}
        # As pandas makes them of text, where the table has none: sorted.
        usual = {name: pd.CategoricalDtype(pd.Categorical(values).categories) for name, values in levels.items()}
        wanted = {name: self.dtypes.get(name, dtype) for name, dtype in usual.items()}
        said = self._fitted_categories(levels)
        if said is not None:
            return {name: said.get(name) or wanted[name] for name in levels if name in said}
        row = self.codec.decode(self.known[:1])[self._order or self.schema.names]
        for kinds in ({}, wanted):
            self._count.rows += 1
            try:
                self.classifier.predict_proba(row.astype(kinds).copy())
            except (Exception, SystemExit):  # said in words where it is asked in earnest
                continue
            return kinds
        return {}

    def _fitted_categories(self, levels: dict[str, list[Value]]) -> dict[str, pd.CategoricalDtype | None] | None:
        """What the classifier itself says of the categories that it was fitted on; None where it says nothing."""
        classifier: Any = self.classifier
        try:
            # The property of a foreign object may raise anything.
            classifier = getattr(classifier, "model", classifier)  # of `NamedClasses`
            boosters = [classifier, getattr(classifier, "booster_", None)]
            lists = next((v for b in boosters if (v := getattr(b, "pandas_categorical", None))), None)
            booster = classifier.get_booster() if lists is None and hasattr(classifier, "get_booster") else None
            names, kinds = getattr(booster, "feature_names", None), getattr(booster, "feature_types", None)
        except Exception:
            return None
        if lists is not None:  # LightGBM: the categories of each such column, in the order of columns
            left, found = [list(values) for values in lists], {}
            for name in self._order or self.schema.names:
                if left and name in levels and set(left[0]) & set(levels[name]):
                    found[name] = pd.CategoricalDtype(left.pop(0))
            return found  # type: ignore[return-value]
        if names and kinds and "c" in kinds:
            return {name: None for name, kind in zip(names, kinds, strict=True) if kind == "c"}
        return None

    # --- the contract -------------------------------------------------------------------------

    def check(self, rows: Floats, most: int = 1_000) -> None:
        """Hold the classifier to its contract on at most `most` of the encoded rows (n, d), those with blanks first.

        A row is answered alike when asked twice, in another order, alone and among many; probabilities lie in 0 to 1;
        `predict` gives classes of `classes_`. Raises `InputError` that says which is not so, and what to do.
        """
        sample = rows[np.argsort(~np.isnan(rows).any(axis=1), kind="stable")[:most]]
        proba, labels = self._both(sample)
        if not ((proba >= 0) & (proba <= 1 + 1e-6)).all():
            raise InputError(
                f"{self.name} gave {proba.min():g} to {proba.max():g} as probabilities; they must lie in 0 to 1: wrap "
                "it, for instance in sklearn.calibration.CalibratedClassifierCV"
            )
        order = np.random.default_rng(0).permutation(len(sample))
        if self._differs(sample[order], proba[order], labels[order]) is not None:
            at = self._differs(sample, proba, labels)
            if at is not None:
                raise InputError(
                    f"{self.name} answers differently when asked twice ({at}); fix its seed, and switch off whatever "
                    "it draws anew at each call"
                )
            raise InputError(self._by_company("when the rows are asked in another order"))
        for i in np.unique(np.linspace(0, len(sample) - 1, min(ALONE, len(sample))).astype(int)):
            try:
                at = self._differs(sample[[i]], proba[[i]], labels[[i]])
            except InputError as error:
                raise InputError(
                    f"{error}; asked about {len(sample)} rows together it does: what it needs to know of all rows "
                    "must be fitted once, for instance OneHotEncoder(handle_unknown='ignore') instead of get_dummies"
                ) from error
            if at is not None:
                raise InputError(self._by_company(f"when it is asked about it alone ({at})"))
        if len(sample) < MANY:
            many = np.resize(np.arange(len(sample)), MANY)
            if (at := self._differs(sample[many], proba[many], labels[many])) is not None:
                raise InputError(self._by_company(f"when it is asked about {MANY} rows at once ({at})"))
        self._by_argmax(self)
        self.checked = True

    def _both(self, rows: Floats) -> tuple[Floats, Ints]:
        judged = self(rows, final=True)
        return judged.proba, judged.predicted

    def _differs(self, rows: Floats, proba: Floats, labels: Ints) -> str | None:
        """The first probability that is no longer what it was, in words; None where all are, and labels too."""
        again, told = self._both(rows)
        apart = np.abs(again - proba).max(axis=1)
        top = np.sort(proba, axis=1)
        apart[(told != labels) & (top[:, -1] - top[:, -2] > SAME)] = np.inf
        if apart.max() <= SAME:
            return None
        i = int(apart.argmax())
        k = int(np.abs(again[i] - proba[i]).argmax())
        if not np.isfinite(apart[i]) and abs(again[i, k] - proba[i, k]) <= SAME:
            return f"a row was {self.classes[labels[i]]!r}, then {self.classes[told[i]]!r}"
        return f"the probability of {self.classes[k]!r} was {proba[i, k]:.6g}, then {again[i, k]:.6g}"

    def _by_company(self, when: str) -> str:
        return (
            f"{self.name} answers otherwise about a row {when}: its answer depends on the other rows of the call; "
            "what it learns of the rows, such as means and scales, must be fitted once and kept (StandardScaler in a "
            "Pipeline, not scale)"
        )
