"""Soft labels, and what a learner makes of rows that have them.

Judges say how likely each class of a made row is; `leanings` and `settled` make a label of that. `entries`, `combine`
and `learn` give it to a classifier as a row of each class, weighed by its share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from sensecf.classifiers.apart import weigh_apart
from sensecf.classifiers.fit import fit_classifier, make_classifier
from sensecf.core.frames import as_frame
from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Classifier, Ints

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: What the columns of a row's soft label begin with; the class follows.
SOFT = "added_soft_"
#: How many times more frequent than another a class may be among labelled rows and still count for no more frequent
#: than it: labels are scarce, and a class that lost half of them looks twice as rare as it is, and more where it was
#: the rarer one before.
DOUBTED = 2.5
#: How far the odds beyond that are believed: 0 is not at all, each class alike; 1 as they stand. In between neither F1
#: nor Brier score is worse than with class weights: near 0 the one, near 1 the other is, where a class is scarce.
BELIEF = 0.5
#: Rounds of the estimate of `leanings`, and the natural logarithm that they may reach.
ROUNDS, LEANING = 100, 1.0
#: Inner folds in which an SVM is calibrated, as in `classifiers`.
SVM_FOLDS = 5
#: Entries that weigh less are left out: such a row says nothing of the class.
LEAST_WEIGHT = 0.01


def leanings(proba: Floats, y: Ints) -> Floats:
    """Factors (classes,) by which odds are multiplied so that judges name each class as often as it is there.

    `proba` (n, classes): what judges say, to whom each class weighs alike, of labelled rows that they have not seen;
    `y` (n,) their classes. With each class weighing alike, the mean probability of each is then the same. Trees say a
    class of few rows too seldom, whatever the rows weigh.

    >>> import numpy as np
    >>> said = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    >>> sensecf.augmentation.leanings(said, np.array([0, 0, 1])).shape
    (2,)
    """
    k = proba.shape[1]
    share = 1.0 / np.bincount(y, minlength=k)[y] / k
    factor = np.ones(k)
    for _ in range(ROUNDS):
        odds = proba * factor
        mean = share @ (odds / np.maximum(odds.sum(axis=1, keepdims=True), 1e-12))
        logs = np.log(factor) - np.log(np.maximum(mean * k, 1e-12))
        factor = np.exp(np.clip(logs - logs.mean(), -LEANING, LEANING))
    return factor


def settled(proba: Floats, counts: Ints, lean: Floats | float = 1.0) -> Floats:
    """Soft labels (n, classes) from what judges say to whom each class weighs alike.

    `counts` (classes,): labelled rows of each class; `lean` (classes,): `leanings` of the judges. A class more than
    `DOUBTED` times rarer than the most frequent one is held for rare, by the excess to the power `BELIEF`: with each
    class alike a learner that is right about the order of rows says a rare class too often.

    >>> import numpy as np
    >>> sensecf.augmentation.settled(np.array([[0.5, 0.5]]), np.array([10, 10])).round(2).tolist()
    [[0.5, 0.5]]
    """
    odds = proba * lean * np.minimum(1.0, DOUBTED * counts / counts.max()) ** BELIEF
    out: Floats = odds / np.maximum(odds.sum(axis=1, keepdims=True), 1e-12)
    return out


def entries(added: IntoDataFrame, schema: FeatureSchema) -> pd.DataFrame:
    """Added rows as a learner takes them: a row with a soft label becomes one entry per class, of that class and with
    the class's share of the row's `added_weight`. Rows without a soft label stay as they are.

    >>> added = sensecf.augment(task, sensecf.generators.Search(task), 20)
    >>> len(sensecf.augmentation.entries(added, data.schema)) >= len(added)
    True
    """
    added = as_frame(added, "added")
    soft = [f"{SOFT}{c}" for c in schema.classes]
    if not set(soft) & set(added.columns):
        return added
    share = added.reindex(columns=soft).fillna(0.0).to_numpy(dtype=float)
    weight = share * added["added_weight"].to_numpy(dtype=float)[:, None]
    row, label = np.nonzero(weight >= LEAST_WEIGHT)
    words = np.array([*schema.classes, None], dtype=object)
    out = added.iloc[row].drop(columns=[*set(soft) & set(added.columns)]).reset_index(drop=True)
    out[schema.label] = pd.Series(words[label], dtype=object).infer_objects()
    out["added_weight"] = weight[row, label]
    return out


def learn(
    name: str, rows: IntoDataFrame, added: IntoDataFrame, schema: FeatureSchema, seed: int = 0, balanced: bool = True
) -> Classifier:
    """One of the five classifiers, fitted on labelled rows and on rows that were added to them.

    With `balanced` each class weighs alike among the real rows, otherwise each row 1. An added row
    has its `added_weight`, 1 where the frame has no such column, divided among the classes where it has a soft label
    (`entries`). Where it has `added_factual` (position in `rows`,
    or a number beyond them for a row of another origin),
    the inner folds in which an SVM is calibrated keep a row and all that was made from it
    together: a counterfactual in another fold than its factual, to which it is close and whose label it does not
    have, turns the calibration around.

    >>> added = sensecf.augment(task, sensecf.generators.Search(task), 20)
    >>> learned = sensecf.augmentation.learn("logistic", train, added, data.schema)
    >>> learned.classes_.tolist()
    ['high', 'low']
    """
    rows, added = as_frame(rows, "rows"), entries(added, schema)
    train, weight = combine(rows, added, schema, balanced)
    if name != "svm" or "added_factual" not in added:
        return fit_classifier(name, schema, train, seed, weight)
    family = np.concatenate([np.arange(len(rows)), added["added_factual"].to_numpy(dtype=np.intp)])
    labels = train[schema.label].astype(str).to_numpy()
    count = int(min(SVM_FOLDS, np.unique(labels[: len(rows)], return_counts=True)[1].min()))
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    parts = list(splitter.split(labels, labels, family))
    model = make_classifier(name, schema, seed, len(train)).set_params(model__model__cv=parts)
    return fit_classifier(model, schema, train, seed, weight)


def combine(
    rows: IntoDataFrame, added: IntoDataFrame, schema: FeatureSchema, balanced: bool = True
) -> tuple[pd.DataFrame, Floats]:
    """Real and added rows to fit on, and the weight of each; see `learn`.

    >>> added = sensecf.augment(task, sensecf.generators.Search(task), 20)
    >>> rows, weight = sensecf.augmentation.combine(train, added, data.schema)
    >>> len(rows) == len(weight)
    True
    """
    rows, added = as_frame(rows, "rows"), entries(added, schema)
    columns = [*schema.names, schema.label]
    weight = weigh_apart(schema, rows) if balanced else np.ones(len(rows))
    if not len(added):
        return rows[columns], weight
    own = added["added_weight"].to_numpy(dtype=float) if "added_weight" in added else np.ones(len(added))
    return pd.concat([rows[columns], added[columns]], ignore_index=True), np.concatenate([weight, own])
