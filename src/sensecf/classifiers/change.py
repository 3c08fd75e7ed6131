"""Named changes of the world under which a classifier is fitted again: what a plan is asked to hold against.

    bootstrap   other people like these: whole people drawn with replacement (rows where the schema names no group)
    seed        the same people, another random state
    fewer       a tenth of the people gone
    labels      one label in twenty wrong
    later       the later half of each person's days, of people drawn with replacement; needs dates
    family      another family of classifiers on the same rows: reported beside the others, never counted among them

Every refit also gets a random state of its own. Refits depend on the training rows, the change and the numbers of
the draw alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from sensecf.classifiers.fit import NAMES, fit_anew, make_classifier
from sensecf.classifiers.foreign import is_fitted, unfitted_copy
from sensecf.core.errors import InputError, one_line
from sensecf.core.judge import Classifier, Ints
from sensecf.core.schema import FeatureSchema, Value
from sensecf.core.task import Task

Change = Literal["bootstrap", "seed", "fewer", "labels", "later", "family"]

#: The changes, the default first, and what each says of the classifier, in words.
CHANGES: dict[str, str] = {
    "bootstrap": "fitted again on other people like these",
    "seed": "fitted again with another random state",
    "fewer": "fitted again without a tenth of the people",
    "labels": "fitted again with one label in twenty wrong",
    "later": "fitted again on the later days",
    "family": "of another family",
}
#: Share of the people that "fewer" leaves out, and of the labels that "labels" gets wrong.
GONE, WRONG = 0.1, 0.05
#: How often a draw that nothing can be fitted to (one class, too few rows of one) is drawn anew.
REDRAWS = 20


@dataclass(frozen=True)
class Source:
    """What refits are made from: a classifier that is not fitted, the schema, and rows that it may learn from.

    `train` has the features, the label and the group; `when` (n,) the date of each row where there are dates.
    """

    blank: Any
    schema: FeatureSchema
    train: pd.DataFrame
    when: pd.Series[Any] | None = None

    @classmethod
    def of(cls, task: Task, when: pd.Series[Any] | None = None) -> Source:
        """The source for refits of a task's classifier. Raises `InputError` where it cannot be fitted again."""
        return cls(unfitted(task.classifier), task.schema, task.train, when)

    def on(self, at: Ints) -> Source:
        """The same with the rows at the given positions only."""
        when = None if self.when is None else self.when.iloc[at].reset_index(drop=True)
        return Source(self.blank, self.schema, self.train.iloc[at].reset_index(drop=True), when)

    @property
    def people(self) -> Ints:
        """The person of each row, as a number from 0; each row is a person of its own where there is no group."""
        if self.schema.group is None:
            return np.arange(len(self.train))
        return np.asarray(pd.factorize(self.train[self.schema.group], use_na_sentinel=False)[0], dtype=np.intp)


def unfitted(classifier: Any) -> Any:
    """A copy of a classifier that is not fitted, with the same settings.

    Raises `InputError` for one that cannot be cloned, one without `fit`, and one of which a part comes fitted: its
    refits would be the same classifier again.
    """
    kind = type(classifier).__name__
    if not callable(getattr(classifier, "fit", None)):
        raise InputError(f"the classifier ({kind}) has no fit, so it cannot be fitted again")
    try:
        blank = unfitted_copy(classifier)
        settings = blank.get_params()
    except Exception as error:  # whatever a foreign object does when it is taken apart
        raise InputError(
            f"the classifier ({kind}) cannot be cloned, so it cannot be fitted again ({one_line(error)}); give a "
            "scikit-learn estimator"
        ) from error
    if is_fitted(blank, None) or any(isinstance(part, FrozenEstimator) for part in (blank, *settings.values())):
        raise InputError(f"the classifier ({kind}) comes fitted in parts, so it cannot be fitted again as a whole")
    return blank


def refit(source: Source, change: str, key: Sequence[int]) -> Classifier:
    """The classifier fitted again under a change; `key`: whole numbers from 0 that name the draw.

    A draw may leave out a class: the refit then never answers with it. Raises `InputError` for an unknown change,
    for "later" without dates, and where nothing can be fitted in `REDRAWS` draws.
    """
    if change not in CHANGES:
        raise InputError(f"the change {change!r} is unknown; use {', '.join(CHANGES)}")
    if change == "later" and source.when is None:
        raise InputError("the table has no dates, so there are no later days to fit the classifier to")
    rng = np.random.default_rng([list(CHANGES).index(change), *key])
    people, problem = source.people, ""
    for _ in range(REDRAWS):
        at, labels = _drawn(source, people, change, rng)
        if len(set(labels)) < 2:
            problem = "one class is left"
            continue
        train = source.train.iloc[at].reset_index(drop=True)
        train[source.schema.label] = labels
        try:
            return fit_anew(_seeded(source, change, key, int(rng.integers(2**31))), source.schema, train)
        except InputError as error:  # too few rows of a class: the luck of the draw
            problem = str(error)
    raise InputError(f"the classifier cannot be fitted again ({change}): {problem}")


def _drawn(source: Source, people: Ints, change: str, rng: np.random.Generator) -> tuple[Ints, list[Value]]:
    """Positions of the rows to learn from, with repeats, and the label of each."""
    at = np.arange(len(people))
    if change == "later":
        at = _later(source, people)
    if change in ("bootstrap", "later"):
        at = at[_resampled(people[at], rng)]
    if change == "fewer":
        count = int(people.max()) + 1
        gone = rng.permutation(count)[: max(1, round(GONE * count))]
        at = at[~np.isin(people, gone)]
    labels = source.train[source.schema.label].iloc[at].tolist()
    if change == "labels":
        classes = sorted(set(labels), key=str)
        # Exactly one in twenty, so that refits differ in which and not in how many.
        for k in rng.permutation(len(labels))[: max(1, round(WRONG * len(labels)))].tolist():
            others = [c for c in classes if c != labels[k]]
            labels[k] = others[int(rng.integers(len(others)))] if others else labels[k]
    return at, labels


def _resampled(people: Ints, rng: np.random.Generator) -> Ints:
    """Positions of the rows of as many people, drawn with replacement."""
    _, codes = np.unique(people, return_inverse=True)
    order, counts = np.argsort(codes, kind="stable"), np.bincount(codes)
    starts = np.cumsum(counts) - counts
    drawn = rng.integers(0, len(counts), len(counts))
    return np.concatenate([order[starts[who] : starts[who] + counts[who]] for who in drawn.tolist()])


def _later(source: Source, people: Ints) -> Ints:
    """Rows dated after the median date of their person; of everybody where each person has one row."""
    assert source.when is not None
    when = pd.to_datetime(source.when, errors="coerce").astype("int64").to_numpy(dtype=float)
    when[source.when.isna().to_numpy()] = np.nan
    frame = pd.DataFrame({"when": when, "people": people})
    alone = int(frame.groupby("people").size().max()) == 1
    middle = frame["when"].median() if alone else frame.groupby("people")["when"].transform("median")
    later: Ints = np.flatnonzero((frame["when"] >= middle).to_numpy())
    if not len(later):
        raise InputError("no row has a date that can be read, so there are no later days")
    return later


def _seeded(source: Source, change: str, key: Sequence[int], state: int) -> Any:
    """A classifier that is not fitted, with a random state of its own; of another family where that is the change."""
    if change == "family":
        own = family(source.blank)
        others = [name for name in NAMES if name != own]
        return make_classifier(others[key[-1] % len(others)], source.schema, state, len(source.train))
    model = unfitted_copy(source.blank)
    settings = model.get_params()
    # Refits are made side by side, so each keeps to one thread.
    states = {name: state for name in settings if name.rpartition("__")[2] == "random_state"}
    threads = {name: 1 for name, value in settings.items() if name.rpartition("__")[2] == "n_jobs" and value}
    return model.set_params(**states, **threads)


def family(classifier: Any) -> str:
    """The name of the one of ours that a classifier is, or is like where it is scikit-learn's or XGBoost's own."""
    inner = (
        getattr(classifier.steps[-1][1], "model", classifier.steps[-1][1])
        if hasattr(classifier, "steps")
        else classifier
    )
    kinds = {
        "XGBClassifier": "xgboost",
        "Forest": "random-forest",
        "RandomForestClassifier": "random-forest",
        "CalibratedClassifierCV": "svm",
        "SVC": "svm",
        "MLPClassifier": "mlp",
        "LogisticRegression": "logistic",
    }
    return kinds.get(type(inner).__name__, "")
