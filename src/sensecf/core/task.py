"""`Task(schema, train, classifier)`: the thing that is explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from sensecf.core.codec import Codec
from sensecf.core.company import Company
from sensecf.core.errors import InputError
from sensecf.core.frames import as_frame
from sensecf.core.judge import Classifier, Ints, Judge, Judgement
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import FeatureSchema, Value

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: With what a task is spoken of elsewhere.
__all__ = ["Classifier", "Ints", "Judgement", "Task", "lead"]

Fitted = TypeVar("Fitted")


class Task:
    """A schema, the rows that may be learned from, and a fitted classifier.

    `train` holds the features and the label (the group too, where the schema names one): every
    fit of a generator, a range, a critic or a scale sees these rows and no others.
    `classifier` has `predict` and `predict_proba` on raw rows with the schema's features.

    Copies of a task share its judge, so that `rows_judged` counts what they ask too.
    Raises `InputError` when the three do not fit together.

    >>> task = sensecf.Task(data.schema, train, classifier)
    >>> task.rows_judged
    0
    """

    def __init__(self, schema: FeatureSchema, train: IntoDataFrame, classifier: Classifier) -> None:
        frame = as_frame(train, "train")
        if schema.label not in frame.columns:
            raise InputError(f"the training rows have no label column {schema.label!r}")
        if schema.group is not None and schema.group not in frame.columns:
            raise InputError(f"the training rows have no group column {schema.group!r}")
        if frame.empty:
            raise InputError("there are no training rows")
        self.schema = schema
        self.codec = Codec(schema)
        self.classifier = classifier
        self.train = frame.reset_index(drop=True)
        self.rows = self.codec.encode(self.train)
        dtypes = {name: self.train[name].dtype for name in schema.names}
        categories = {name: dtype for name, dtype in dtypes.items() if isinstance(dtype, pd.CategoricalDtype)}
        self._judge: Judge = Judge(schema, classifier, self.rows, categories)
        self._fitted: dict[type, Any] = {}
        self.classes: list[Value] = self._judge.classes
        positions = {c: i for i, c in enumerate(self.classes)}
        self.y = np.array([positions.get(v, -1) for v in self.train[schema.label].tolist()], dtype=np.intp)
        if (self.y < 0).any():
            row = int(np.flatnonzero(self.y < 0)[0])
            raise InputError(
                f"label {schema.label!r}, row {row}: {self.train[schema.label].iloc[row]!r} is no class of the "
                f"classifier ({self.classes}){self._way_out()}"
            )

    def _way_out(self) -> str:
        """What to do where labels are no classes of the classifier."""
        names = [v for v in self.schema.classes if v in set(self.train[self.schema.label])]
        if self.classes != list(range(len(names))):
            return "; fit it on the labels of this table, or give the table the labels that it was fitted on"
        text = ",".join(map(str, names))
        return (
            f"; map the labels with --classes {text} if {names[0]!r} is its class 0, in the order of its classes "
            f"(in Python fit_classifier(..., classes={names!r}))"
        )

    def once(self, fit: type[Fitted]) -> Fitted:
        """`fit(self)`, made at the first call and kept: scales and critics fitted on the training rows."""
        if fit not in self._fitted:
            self._fitted[fit] = fit(self)  # type: ignore[call-arg]
        made: Fitted = self._fitted[fit]
        return made

    def frame(self, rows: Floats) -> Any:
        """Encoded rows in the form the classifier takes."""
        return self._judge.frame(rows)

    @property
    def takes_codes(self) -> bool:
        """Whether the classifier is one of ours, which judges encoded rows as it judges raw ones."""
        return self._judge.takes_codes

    @property
    def rows_judged(self) -> int:
        """How many rows the classifier was asked for: the honest cost of an answer."""
        return self._judge.rows

    def judge(self, rows: Floats, final: bool = False) -> Judgement:
        """Ask the classifier, once, about all rows.

        With `final=True` its own `predict` decides; otherwise `predict` is asked only when it was
        seen to differ from the most probable class.
        Shapes: rows (n, d); predicted (n,), proba (n, classes), tie (n,).
        Raises `InputError` where the classifier fails or its answer cannot be read.
        """
        return self._judge(rows, final)

    def count(self, rows: int) -> None:
        """Add rows that a copy of this task judged in another process."""
        self._judge.add(rows)

    def uncounted(self) -> Task:
        """The same task, whose questions are no cost of an answer: for metrics."""
        other = copy(self)
        other._judge = self._judge.uncounted()
        return other

    def in_company(self, others: Sequence[Callable[[Floats], Floats]]) -> Task:
        """The same task, judged by the mean of its classifier's probabilities and others'; see `Company`."""
        other = copy(self)
        # What is fitted in company is not this task's.
        other._judge, other._fitted = Company(self._judge, others), dict(self._fitted)
        return other

    def sibling(self, classifier: Classifier) -> Judge:
        """The judge of another fit of the classifier; what it is asked is no cost of an answer."""
        return self._judge.sibling(classifier)

    def check(self, rows: Floats | None = None) -> None:
        """Hold the classifier to its contract on rows; without rows, on a few training rows and only once.

        See `Judge.check`. Raises `InputError` that says what is not as it must be, and what to do.
        """
        if rows is not None:
            self._judge.check(rows)
        elif not self._judge.checked:
            self._judge.check(self.rows, most=200)

    def vouch(self) -> None:
        """Take the classifier as checked: it was, where this task was saved."""
        self._judge.checked = True

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
    def known(self) -> Floats:
        """The training rows with blanks where a value may stand for "not measured", shape as `rows`."""
        return self.codec.known(self.rows)

    @cached_property
    def medians(self) -> Floats:
        """Training median of each encoded feature (0 where all are missing), shape (d,)."""
        return np.nan_to_num(_nan(np.nanmedian, self.known))

    @cached_property
    def observed_low(self) -> Floats:
        """Smallest training value of each encoded feature, shape (d,)."""
        return _nan(np.nanmin, self.known)

    @cached_property
    def observed_high(self) -> Floats:
        """Largest training value of each encoded feature, shape (d,)."""
        return _nan(np.nanmax, self.known)

    @cached_property
    def reach(self) -> tuple[Floats, Floats]:
        """Smallest and largest value that a feature may be changed to, shapes (d,): the schema's range as far as the
        training rows show it, on the step's grid; every level. The smallest is larger where no value is left."""
        codec = self.codec
        low = np.where(codec.numeric, np.fmax(codec.low, self.observed_low), codec.low)
        high = np.where(codec.numeric, np.fmin(codec.high, self.observed_high), codec.high)
        if self.schema.shared_by is not None:
            least = self.schema.shared_by
            columns = zip(self.known.T, codec.step, strict=True)
            ends = np.array([shared_span(column, self.people, step, least) for column, step in columns], dtype=float)
            low = np.where(codec.numeric, np.fmax(low, ends[:, 0]), low)
            high = np.where(codec.numeric, np.fmin(high, ends[:, 1]), high)
        inside = np.ceil(low / codec.step - 1e-9) <= np.floor(high / codec.step + 1e-9)
        return np.where(inside, codec.snap(low, low, high), low), np.where(inside, codec.snap(high, low, high), high)

    @cached_property
    def people(self) -> Ints:
        """The person of each training row, a number from 0, shape (n,); a row each where the schema names no person."""
        person = self.schema.person
        if person is None:
            return np.arange(len(self.train))
        codes: Ints = pd.factorize(self.train[person], use_na_sentinel=False)[0].astype(np.intp)
        return codes

    @cached_property
    def rare_levels(self) -> dict[int, Floats]:
        """Codes of the levels that fewer people have than `shared_by` of the schema asks, by column; none without."""
        least = self.schema.shared_by
        if least is None:
            return {}
        found = {}
        for j in np.flatnonzero(~self.codec.numeric).tolist():
            codes = np.arange(self.codec.n_levels[j], dtype=float)
            held = np.array([len(np.unique(self.people[self.rows[:, j] == code])) for code in codes])
            if (held < least).any():
                found[j] = codes[held < least]
        return found

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
        return self.schema.goal()

    def target_position(self, target: Any) -> int:
        """Position of a class among the classifier's classes. Raises `InputError` when it has none there."""
        found = self.schema.find_class(target)
        if found not in self.classes:
            raise InputError(f"the classifier never learned the class {found!r}; it knows {self.classes}")
        return self.classes.index(found)


def shared_span(values: Floats, people: Ints, step: float, least: int) -> tuple[float, float]:
    """The ends of the longest stretch of cells, multiples of `step`, each of which at least so many people have a value
    in; an empty one (the first end is larger) where no cell has. `values`, `people`: (n,), blanks left out."""
    known = ~np.isnan(values)
    if not known.any():
        return np.inf, -np.inf
    pairs = np.unique(np.column_stack([np.round(values[known] / step), people[known]]), axis=0)
    cells, counts = np.unique(pairs[:, 0], return_counts=True)
    full = cells[counts >= least]
    if not len(full):
        return np.inf, -np.inf
    runs = np.split(np.arange(len(full)), np.flatnonzero(np.diff(full) != 1) + 1)
    inside = [int(np.isin(pairs[:, 0], full[run]).sum()) for run in runs]
    best = full[runs[int(np.argmax(inside))]]
    return float(best[0] * step), float(best[-1] * step)


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
