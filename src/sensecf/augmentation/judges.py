"""Judges: classifiers of several families, asked about rows that they have not learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from sensecf.classifiers.fit import fit_anew, fit_classifier, make_classifier
from sensecf.classifiers.foreign import is_fitted, load_object
from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.core.frames import as_frame
from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema, Value
from sensecf.core.task import Ints

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: The families that judge: unlike each other, so that their mistakes are.
FAMILIES = ("xgboost", "random-forest", "svm", "mlp", "logistic")
#: Folds of out-of-fold judgements.
FOLDS = 4
#: Trees of a forest that judges: it is fitted some twenty times per split, and is one of five.
TREES = 60
#: Probabilities are held this far from 0 and 1 when they are scored.
EDGE = 1e-3

Folds = list[tuple[Ints, Ints]]


def folds(rows: pd.DataFrame, schema: FeatureSchema, count: int, seed: int) -> Folds:
    """(fit, judge) positions of `count` folds, every class in each; whole groups where they allow that.

    With few people no split by person may leave every class on both sides; then the split is by row.
    Raises `InputError` when a class has fewer rows than folds.
    """
    labels = rows[schema.label].to_numpy()
    names, counts = np.unique(labels.astype(str), return_counts=True)
    if len(names) < 2 or counts.min() < count:
        raise InputError(
            f"label {schema.label!r}: class {str(names[counts.argmin()])!r} has {counts.min()} rows, "
            f"too few for {count} folds of two classes"
        )
    everyone = np.arange(len(rows))
    if schema.group is not None:
        people = rows[schema.group].to_numpy()
        if len(set(people.tolist())) >= count:
            splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
            with np.errstate(all="ignore"):
                found = list(splitter.split(everyone, labels.astype(str), people))
            if all(len(set(labels[part].tolist())) == len(names) for pair in found for part in pair):
                return found
    return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(everyone, labels.astype(str)))


@dataclass(frozen=True)
class EvenedOut:
    """An estimator of the user's, fitted on rows as they come, whose answers are those of one to whom the classes
    weigh alike: each probability is divided by the share of its class among the rows that it learned from.

    `shares` (classes,) in the order of `classes_`.
    """

    estimator: Any
    classes_: Any
    shares: Floats

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Class probabilities, shape (n, classes)."""
        told = in_order(self.estimator.predict_proba(X.copy()), self.estimator.classes_, self.classes_.tolist())
        odds = np.clip(told, EDGE, 1.0) / self.shares
        out: Floats = odds / odds.sum(axis=1, keepdims=True)
        return out


@dataclass
class Committee:
    """Fitted classifiers that vote with weights; itself a classifier on raw rows, with `classes_`.

    `members`: pipelines of `classifiers.make_classifier`, or estimators of the user's (`EvenedOut`), fitted on the same
    rows; `weights` of the same length, summing to 1.
    """

    members: tuple[Any, ...]
    weights: tuple[float, ...]
    classes_: Any

    def each(self, X: pd.DataFrame) -> Floats:
        """Class probabilities of every member, shape (members, n, classes).

        The members have learned from the same rows, so that encoders of one kind are the same and the rows
        are encoded once per kind: that was half of the time of an answer.
        """
        encoded: dict[bool, Floats] = {}
        said = []
        for member in self.members:
            if isinstance(member, EvenedOut):
                said.append(member.predict_proba(X))
                continue
            encoder = member[0]
            if encoder.dense not in encoded:
                encoded[encoder.dense] = encoder.transform(X)
            said.append(np.asarray(member[1:].predict_proba(encoded[encoder.dense]), dtype=float))
        return np.stack(said)

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Weighted mean of the members' class probabilities, shape (n, classes)."""
        return np.einsum("m,mnc->nc", np.array(self.weights), self.each(X))

    def predict(self, X: pd.DataFrame) -> Any:
        """The most probable class of each row, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@dataclass(frozen=True)
class Panel:
    """Committees of every fold, and what is known of them from rows that they have not seen.

    `folds`: a committee per fold that never saw that fold's rows; `fold` (n,): the fold of each
    labelled row; `whole`: the committee of all rows; `proba` (n, classes): what the committee of its
    fold says of each labelled row; `weights`: of each family; `classes`: the columns of `proba`.
    All judge with each class weighing alike.
    """

    folds: tuple[Committee, ...]
    fold: Ints
    whole: Committee
    proba: Floats
    weights: dict[str, float]
    classes: list[Value]


def convene(
    rows: IntoDataFrame,
    schema: FeatureSchema,
    seed: int = 0,
    families: Sequence[str] = FAMILIES,
    count: int = FOLDS,
) -> Panel:
    """Fit the families in folds of labelled rows, weigh them by how well they judge, and fit them on all rows.

    `families`: classifiers by name, or unfitted estimators of the user's by `module:object` (no class weights: see
    `EvenedOut`). `count` is lowered to the rows of the smallest class. Raises `InputError` as `folds` does, and for an
    estimator that is fitted or cannot be.

    >>> panel = sensecf.augmentation.convene(train, data.schema, families=("logistic",), count=2)
    """
    rows = as_frame(rows, "rows")
    labels = rows[schema.label].tolist()
    classes = [c for c in schema.classes if c in set(labels)]
    smallest = min(labels.count(c) for c in classes)
    parts = folds(rows, schema, max(2, min(count, smallest)), seed)
    codec = Codec(schema)
    frame = codec.decode(codec.encode(rows))
    y = np.array([classes.index(v) for v in labels], dtype=np.intp)
    fold = np.empty(len(rows), dtype=np.intp)
    said = np.empty((len(families), len(rows), len(classes)))
    panels = []
    for number, (fit, rest) in enumerate(parts):
        fold[rest] = number
        members = [_judge(name, schema, rows.iloc[fit], seed) for name in families]
        panels.append(members)
        for k, member in enumerate(members):
            said[k, rest] = in_order(member.predict_proba(frame.iloc[rest]), member.classes_, classes)
    weight = weigh(said, y)
    names = np.array(classes)
    order = [_aligned(members, weight, names) for members in panels]
    whole = _aligned([_judge(name, schema, rows, seed) for name in families], weight, names)
    proba = np.einsum("f,fnc->nc", weight, said)
    return Panel(tuple(order), fold, whole, proba, dict(zip(families, weight.tolist(), strict=True)), classes)


def convene_without(
    rows: pd.DataFrame, schema: FeatureSchema, panel: Panel, left_out: set[int], seed: int
) -> Committee:
    """A committee of the panel's families and weights, fitted on the rows of all folds but those left out."""
    fit = np.flatnonzero(~np.isin(panel.fold, sorted(left_out)))
    members = [_judge(name, schema, rows.iloc[fit], seed) for name in panel.weights]
    return Committee(tuple(members), tuple(panel.weights.values()), np.asarray(members[0].classes_))


def _judge(name: str, schema: FeatureSchema, rows: pd.DataFrame, seed: int) -> Any:
    """A family's classifier, fitted with each class weighing alike; or, by `module:object`, the user's estimator.

    Raises `InputError` for an object that is fitted already: it may have learned from the rows that it is to judge.
    """
    if ":" in name:
        found = load_object(name)
        codec = Codec(schema)
        if is_fitted(found, codec.decode(codec.encode(rows.head(1)))):
            raise InputError(f"judge {name} is fitted already and may know the rows it judges; name an unfitted one")
        classes, counts = np.unique(np.array(rows[schema.label].tolist()), return_counts=True)
        return EvenedOut(fit_anew(found, schema, rows), classes, counts / counts.sum())
    model = make_classifier(name, schema, seed, len(rows))
    if name == "random-forest":
        model.set_params(model__model__n_estimators=TREES)
    return fit_classifier(model, schema, rows, seed)


def in_order(proba: Floats, classes: Any, wanted: Sequence[Value]) -> Floats:
    """Columns of `proba` in the order of `wanted`."""
    found = list(np.asarray(classes).tolist())
    return np.asarray(proba)[:, [found.index(c) for c in wanted]]


def weigh(said: Floats, y: Ints) -> Floats:
    """Weights (families,) of the mixture with the least class-balanced log loss; half-way back to equal ones.

    `said` (families, n, classes): out-of-fold probabilities; `y` (n,). Half-way, because the loss of
    few rows is a noisy guide and equal weights are hard to beat (the "forecast combination puzzle").
    """
    share = 1.0 / np.bincount(y)[y]
    own = np.clip(said[:, np.arange(len(y)), y], EDGE, 1.0)

    def loss(z: Floats) -> float:
        weight = np.exp(z - z.max())
        weight = weight / weight.sum()
        return float(-(share * np.log(weight @ own)).sum())

    best = minimize(loss, np.zeros(len(said)), method="L-BFGS-B", options={"maxiter": 50}).x
    best = np.exp(best - best.max())
    return np.asarray(0.5 * best / best.sum() + 0.5 / len(said))


def _aligned(members: Sequence[Any], weight: Floats, names: Any) -> Committee:
    """A committee; the members have learned from the same labels, so that their columns agree."""
    order = np.asarray(members[0].classes_)
    assert sorted(order.tolist()) == sorted(names.tolist()), "every fold has every class"
    return Committee(tuple(members), tuple(weight.tolist()), order)
