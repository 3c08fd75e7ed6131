"""`Task(schema, train, classifier)`: the thing that is explained."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensecf.codec import Codec
from sensecf.errors import InputError
from sensecf.rules import Bools, Floats
from sensecf.schema import FeatureSchema, Value

Ints = NDArray[np.intp]

Fitted = TypeVar("Fitted")

#: Two class probabilities closer than this are a tie, and a tie is not valid.
TIE = 1e-6


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


class Task:
    """A schema, the rows that may be learned from, and a fitted classifier.

    `train` holds the features and the label (the group too, where the schema names one): every
    fit of a generator, a range, a critic or a scale sees these rows and no others.
    `classifier` has `predict` and `predict_proba` on raw rows with the schema's features.

    `rows_judged` counts the rows the classifier was asked for: the honest cost of an answer.
    Raises `InputError` when the three do not fit together.
    """

    def __init__(self, schema: FeatureSchema, train: pd.DataFrame, classifier: Classifier) -> None:
        for method in ("predict", "predict_proba"):
            if not callable(getattr(classifier, method, None)):
                raise InputError(
                    f"the classifier ({type(classifier).__name__}) has no {method}; "
                    "wrap it, for instance in sklearn.calibration.CalibratedClassifierCV"
                )
        if schema.label not in train.columns:
            raise InputError(f"the training rows have no label column {schema.label!r}")
        if schema.group is not None and schema.group not in train.columns:
            raise InputError(f"the training rows have no group column {schema.group!r}")
        if train.empty:
            raise InputError("there are no training rows")
        self.schema = schema
        self.codec = Codec(schema)
        self.classifier = classifier
        self.train = train.reset_index(drop=True)
        self.rows = self.codec.encode(self.train)
        self.rows_judged = 0
        self._fitted: dict[type, Any] = {}
        self._as_array = hasattr(classifier, "n_features_in_") and not hasattr(classifier, "feature_names_in_")
        self._order = self._column_order()
        self.classes: list[Value] = self._classes()
        positions = {c: i for i, c in enumerate(self.classes)}
        self.y = np.array([positions.get(v, -1) for v in self.train[schema.label].tolist()], dtype=np.intp)
        if (self.y < 0).any():
            row = int(np.flatnonzero(self.y < 0)[0])
            raise InputError(
                f"label {schema.label!r}, row {row}: {self.train[schema.label].iloc[row]!r} is no class of the "
                f"classifier ({self.classes})"
            )

    def once(self, fit: type[Fitted]) -> Fitted:
        """`fit(self)`, made at the first call and kept: scales and critics fitted on the training rows."""
        if fit not in self._fitted:
            self._fitted[fit] = fit(self)  # type: ignore[call-arg]
        made: Fitted = self._fitted[fit]
        return made

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
        if classes is None:
            raise InputError(f"the classifier ({type(self.classifier).__name__}) has no classes_: fit it first")
        return [c.item() if isinstance(c, np.generic) else c for c in classes]

    def frame(self, rows: Floats) -> Any:
        """Encoded rows in the form the classifier takes."""
        frame = self.codec.decode(rows)
        if self._order is not None:
            frame = frame[self._order]
        return frame.to_numpy() if self._as_array else frame

    @cached_property
    def _after_encoding(self) -> Any | None:
        """The steps of a pipeline after an encoder that takes rows as the codec has them; None for any other
        classifier, which is shown raw rows."""
        steps = [step for _, step in getattr(self.classifier, "steps", [])]
        if len(steps) < 2 or not hasattr(steps[0], "of_codes") or not steps[0].suits(self.schema):
            return None
        return self.classifier[1:]  # type: ignore[index]

    @property
    def takes_codes(self) -> bool:
        """Whether the classifier is one of ours, which judges encoded rows as it judges raw ones."""
        return self._after_encoding is not None

    @cached_property
    def _argmax(self) -> bool:
        """Whether `predict` is the class of the highest probability, seen on the training rows."""
        sample = self.rows[np.linspace(0, len(self.rows) - 1, min(len(self.rows), 2000)).astype(int)]
        frame = self.frame(sample)
        proba = np.asarray(self.classifier.predict_proba(frame), dtype=float)
        predicted = self._positions(self.classifier.predict(frame))
        top = np.sort(proba, axis=1)
        clear = top[:, -1] - top[:, -2] > TIE
        return bool((predicted == proba.argmax(axis=1))[clear].all())

    def _positions(self, labels: Any) -> Ints:
        positions = {c: i for i, c in enumerate(self.classes)}
        return np.array([positions[v] for v in np.asarray(labels).tolist()], dtype=np.intp)

    def judge(self, rows: Floats, final: bool = False) -> Judgement:
        """Ask the classifier, once, about all rows.

        With `final=True` its own `predict` decides; otherwise `predict` is asked only when it was
        seen to differ from the most probable class.
        Shapes: rows (n, d); predicted (n,), proba (n, classes), tie (n,).
        """
        if len(rows) == 0:
            return Judgement(np.empty(0, np.intp), np.empty((0, len(self.classes))), np.empty(0, bool))
        classifier: Any = self.classifier
        # The last word is always that of the classifier itself on rows as they will be saved.
        if not final and self._after_encoding is not None:
            asked, classifier = classifier[0].of_codes(rows, self.schema), self._after_encoding
        else:
            asked = self.frame(rows)
        with _ASKING:
            self.rows_judged += len(rows)
            proba = np.asarray(classifier.predict_proba(asked), dtype=float)
            told = classifier.predict(asked) if final or not self._argmax else None
        if proba.shape != (len(rows), len(self.classes)):
            raise InputError(f"predict_proba gave shape {proba.shape}, not {(len(rows), len(self.classes))}")
        predicted = proba.argmax(axis=1) if told is None else self._positions(told)
        ordered = np.sort(proba, axis=1)
        return Judgement(predicted, proba, ordered[:, -1] - ordered[:, -2] <= TIE)

    def valid(self, judgement: Judgement, target: Ints, margin: float | Floats = 0.0) -> Bools:
        """Whether rows reach the target class (positions, shape (n,)) with the wanted margin.

        The margin is the probability of the target minus that of the strongest other class,
        in [0, 1); 0.2 means p >= 0.6 for two classes.
        """
        valid: Bools = (judgement.predicted == target) & ~judgement.tie
        if np.any(np.asarray(margin) > 0):
            valid &= (margin <= 0) | (lead(judgement.proba, target) >= margin)
        return valid

    @cached_property
    def medians(self) -> Floats:
        """Training median of each encoded feature (0 where all are missing), shape (d,)."""
        return np.nan_to_num(_nan(np.nanmedian, self.rows))

    @cached_property
    def observed_low(self) -> Floats:
        """Smallest training value of each encoded feature, shape (d,)."""
        return _nan(np.nanmin, self.rows)

    @cached_property
    def observed_high(self) -> Floats:
        """Largest training value of each encoded feature, shape (d,)."""
        return _nan(np.nanmax, self.rows)

    @cached_property
    def unseen_levels(self) -> dict[int, Floats]:
        """Codes of the levels that no training row has, by column; columns without such levels are left out."""
        unseen = {
            j: np.setdiff1d(np.arange(self.codec.n_levels[j], dtype=float), self.rows[:, j])
            for j in np.flatnonzero(~self.codec.numeric).tolist()
        }
        return {j: codes for j, codes in unseen.items() if len(codes)}

    def default_target(self) -> Value:
        """The schema's target, checked against the classifier. Raises `InputError` when there is none."""
        if self.schema.target is None:
            raise InputError(f"name a target class (--target); the classes are {self.classes}")
        return self.schema.target

    def target_position(self, target: Any) -> int:
        """Position of a class among the classifier's classes. Raises `InputError` when it has none there."""
        found = self.schema.find_class(target)
        if found not in self.classes:
            raise InputError(f"the classifier never learned the class {found!r}; it knows {self.classes}")
        return self.classes.index(found)


def lead(proba: Floats, target: Ints) -> Floats:
    """Probability of the target minus that of the strongest other class, shape (n,), in [-1, 1]."""
    index = np.arange(len(proba))
    others = proba.copy()
    own = others[index, target].copy()
    others[index, target] = -np.inf
    return own - others.max(axis=1)


def _nan(reduce: Any, rows: Floats) -> Floats:
    """A NaN-aware reduction over rows; a column without any value gives NaN, without a warning."""
    filled = np.where(np.isnan(rows).all(axis=0), 0.0, rows)
    out: Floats = reduce(filled, axis=0)
    return np.where(np.isnan(rows).all(axis=0), np.nan, out)
