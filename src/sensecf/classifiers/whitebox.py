"""A classifier opened: linear models and trees as sums over encoded rows, for generators that may look inside.

Read are the pipelines of `classifiers` for `logistic`, `random-forest` and `xgboost`, and a decision tree behind
the same `RowEncoder`. What was read is checked against the classifier's own answers before it is used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf.classifiers.fit import Balanced, RowEncoder
from sensecf.core.errors import InputError
from sensecf.core.judge import TIE
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task

#: Training rows on which what was read must agree with the classifier.
CHECKED = 200
#: Largest error of a lead that comes from adding in another order, or in float32 as XGBoost does.
NOISE = {"linear": 1e-9, "forest": 1e-9, "boosted": 2e-5}


@dataclass(frozen=True)
class Tree:
    """One tree over encoded rows, as arrays over its nodes; node 0 is the root.

    `column`: the feature that a node asks about, -1 in a leaf. A row goes left where its value is at most
    `bound` (float64, with the model's cast to float32 worked in), or, where `members` holds a set for the
    node, where its level's code is in the set; a blank goes left where `blank_left`.
    `value` (nodes, classes): what a leaf adds to each class's score.
    """

    column: Ints
    bound: Floats
    members: dict[int, frozenset[int]]
    blank_left: Bools
    left: Ints
    right: Ints
    value: Floats

    def goes_left(self, node: int, values: Floats) -> Bools:
        """Which of the values of the node's feature go left, shape as `values`."""
        with np.errstate(invalid="ignore"):
            inside = np.isin(values, list(self.members[node])) if node in self.members else values <= self.bound[node]
        return np.where(np.isnan(values), self.blank_left[node], inside)

    def leaves(self, rows: Floats) -> Ints:
        """The leaf that each encoded row comes to, shape (n,)."""
        at = np.zeros(len(rows), dtype=np.intp)
        waiting = [0]
        while waiting:
            node = waiting.pop()
            here = np.flatnonzero(at == node)
            if self.column[node] < 0 or not len(here):
                continue
            goes_left = self.goes_left(node, rows[here, self.column[node]])
            at[here] = np.where(goes_left, self.left[node], self.right[node])
            waiting += [int(self.left[node]), int(self.right[node])]
        return at


@dataclass(frozen=True)
class Whitebox:
    """A classifier as scores of its classes: the class of the highest score is predicted.

    score = `base` + sum over `trees` of their leaves + sum over numbers of `weight` x value + sum over levels
    of `effect[column][code]`; all per class. The last entry of an effect, and `blank` for numbers, stand for a
    missing value. `kind`: "forest" (scores are probabilities), "boosted" or "linear" (scores are log-odds, and
    with two classes the first score is 0).
    """

    kind: str
    base: Floats
    trees: list[Tree]
    weight: Floats
    blank: Floats
    effect: dict[int, Floats]

    @property
    def noise(self) -> float:
        """How far the difference of two scores may be off the classifier's own arithmetic."""
        return NOISE[self.kind]

    def scores(self, rows: Floats) -> Floats:
        """The score of each class, shape (n, classes), of encoded rows (n, d)."""
        missing = np.isnan(rows)
        out = self.base + np.nan_to_num(rows) @ self.weight + missing.astype(float) @ self.blank
        for column, table in self.effect.items():
            codes = np.where(missing[:, column], len(table) - 1, np.nan_to_num(rows[:, column])).astype(np.intp)
            out = out + table[codes]
        for tree in self.trees:
            out = out + tree.value[tree.leaves(rows)]
        scores: Floats = out
        return scores

    def ahead(self, margin: float) -> float:
        """By how much the target's score must exceed every other one for a lead of `margin` in probability.

        At the least it must be no tie. Raises `InputError` for a margin among more than two classes of a model
        whose probabilities are no linear function of its scores.
        """
        least = max(margin, TIE * (1 + 1e-3))
        if self.kind == "forest":
            return least
        classes = len(self.base)
        if classes > 2:
            if margin > 0:
                raise InputError(
                    "a margin over the other classes is not linear in a model of more than two classes; ask for "
                    "boundary answers (--hold 0, in Python hold=0), or another generator"
                )
            return 2 * classes * TIE  # the winner's probability is at least 1 / classes
        return float(2 * np.arctanh(least))


def open_classifier(task: Task) -> Whitebox:
    """The task's classifier, opened.

    Raises `InputError` when it is none of those that can be read, or when what was read disagrees with what
    the classifier says of the training rows.
    """
    classifier: Any = task.classifier
    steps = [step for _, step in getattr(classifier, "steps", [])]
    if len(steps) != 2 or not isinstance(steps[0], RowEncoder):
        raise _closed(classifier)
    encoder, model = steps
    if isinstance(model, Balanced):
        model = model.model_
    kind = type(model).__module__.partition(".")[0], type(model).__name__
    columns = _columns(task, encoder, classifier)
    if kind == ("sklearn", "LogisticRegression") and encoder.dense:
        opened = _linear(task, encoder, model)
    elif kind == ("xgboost", "XGBClassifier") and not encoder.dense:
        opened = _boosted(task, model, columns)
    elif hasattr(model, "tree_") and not encoder.dense:
        opened = _forest(task, [model], columns)
    elif hasattr(model, "estimators_") and hasattr(model.estimators_[0], "tree_") and not encoder.dense:
        opened = _forest(task, list(model.estimators_), columns)
    else:
        raise _closed(model)
    _check(task, opened)
    return opened


def _closed(model: Any) -> InputError:
    return InputError(
        f"the classifier ({type(model).__name__}) cannot be looked into; logistic, random-forest, xgboost and a "
        "decision tree behind sensecf.classifiers.RowEncoder can, or choose a generator that only asks for predictions"
    )


def _columns(task: Task, encoder: RowEncoder, classifier: Any) -> Ints:
    """The schema's column behind each column of a trees' encoder."""
    schema = task.schema
    for name, levels in (encoder.levels or {}).items():
        if list(levels) != list(schema[name].levels):
            raise InputError(f"the classifier knows other levels of {name!r} than the schema; refit it with the schema")
    return np.array([schema.columns[name] for name in [*encoder.numbers, *(encoder.levels or {})]], dtype=np.intp)


def _check(task: Task, opened: Whitebox) -> None:
    """Raise `InputError` where the opened classifier and its own probabilities disagree on training rows."""
    rows = task.rows[np.linspace(0, len(task.rows) - 1, min(len(task.rows), CHECKED)).astype(np.intp)]
    scores, proba = opened.scores(rows), task.judge(rows).proba
    if opened.kind != "forest":
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
    if not np.allclose(scores, proba, rtol=0, atol=1e-5):
        raise InputError(
            f"the classifier ({type(task.classifier).__name__}) was read, but answers otherwise than what was read "
            f"(by up to {np.abs(scores - proba).max():.2g} in probability); use a generator that only asks"
        )


# --- linear -------------------------------------------------------------------------------


def _linear(task: Task, encoder: RowEncoder, model: Any) -> Whitebox:
    """A logistic regression on medians filled in, standardised numbers, and 0/1 columns of levels."""
    coefficients, base = np.asarray(model.coef_, dtype=float), np.asarray(model.intercept_, dtype=float)
    if len(coefficients) == 1:
        coefficients, base = np.vstack([np.zeros_like(coefficients), coefficients]), np.array([0.0, base[0]])
    d, classes = len(task.schema), len(base)
    weight, blank, effect = np.zeros((d, classes)), np.zeros((d, classes)), {}
    for at, name in enumerate(encoder.numbers):
        j = task.schema.columns[name]
        weight[j] = coefficients[:, at] / encoder.scale_[at]
        blank[j] = weight[j] * encoder.median_[at]
        base = base - weight[j] * encoder.mean_[at]
    at = len(encoder.numbers)
    for name, levels in (encoder.levels or {}).items():
        table = np.vstack([coefficients[:, at : at + len(levels)].T, np.zeros(classes)])
        at += len(levels)
        effect[task.schema.columns[name]] = table
    return Whitebox("linear", base, [], weight, blank, effect)


# --- trees --------------------------------------------------------------------------------


def _trees(task: Task, kind: str, base: Floats, trees: list[Tree]) -> Whitebox:
    nothing = np.zeros((len(task.schema), len(base)))
    return Whitebox(kind, base, trees, nothing, nothing, {})


def _forest(task: Task, estimators: list[Any], columns: Ints) -> Whitebox:
    """The mean of the trees' class shares."""
    trees = []
    for estimator in estimators:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        trees.append(
            Tree(
                np.where(leaf, -1, columns[np.maximum(tree.feature, 0)]),
                _last_below(tree.threshold),
                {},
                tree.missing_go_to_left.astype(bool),
                tree.children_left,
                tree.children_right,
                tree.value[:, 0, :] / len(estimators),
            )
        )
    return _trees(task, "forest", np.zeros(len(task.classes)), trees)


def _boosted(task: Task, model: Any, columns: Ints) -> Whitebox:
    """XGBoost's own JSON: a value below its bound goes left, one in a set of levels goes right."""
    booster = model.get_booster()
    learner = json.loads(bytes(booster.save_raw(raw_format="json")))["learner"]
    grown = learner["gradient_booster"]["model"]
    classes = len(task.classes)
    trees = []
    for data, number in zip(grown["trees"], grown["tree_info"], strict=True):
        left = np.array(data["left_children"], dtype=np.intp)
        right = np.array(data["right_children"], dtype=np.intp)
        leaf = left < 0
        condition = np.array(data["split_conditions"], dtype=np.float32)
        members = {}
        for node, start, size in zip(
            data["categories_nodes"], data["categories_segments"], data["categories_sizes"], strict=True
        ):
            members[int(node)] = frozenset(int(code) for code in data["categories"][start : start + size])
        blank_left = np.array(data["default_left"], dtype=bool)
        for node in members:  # turned round, so that a member goes left
            left[node], right[node] = right[node], left[node]
            blank_left[node] = not blank_left[node]
        value = np.zeros((len(left), classes))
        value[:, int(number) if classes > 2 else 1] = np.where(leaf, condition, 0.0)
        trees.append(
            Tree(
                np.where(leaf, -1, columns[np.array(data["split_indices"], dtype=np.intp)]),
                _last_below(np.nextafter(condition, np.float32(-np.inf)).astype(float)),
                members,
                blank_left,
                left,
                right,
                value,
            )
        )
    opened = _trees(task, "boosted", np.zeros(classes), trees)
    # Where the file keeps the constant differs between versions of XGBoost: it is what the trees leave over.
    encoder: Any = task.classifier
    first = encoder.steps[0][1].transform(task.frame(task.rows[:1]))
    margin = np.asarray(model.predict(first, output_margin=True), dtype=float).reshape(-1)
    base = (margin if classes > 2 else np.array([0.0, margin[0]])) - opened.scores(task.rows[:1])[0]
    return _trees(task, "boosted", base, trees)


def _last_below(thresholds: NDArray[Any]) -> Floats:
    """The largest float64 that a cast to float32 leaves at most each threshold, shape as `thresholds`.

    Trees compare float32 values: x goes left where float32(x) <= threshold, which is x <= what is returned.
    """
    exact = np.asarray(thresholds, dtype=float)
    below = exact.astype(np.float32)
    below = np.where(below.astype(float) > exact, np.nextafter(below, np.float32(-np.inf)), below).astype(np.float32)
    middle = (below.astype(float) + np.nextafter(below, np.float32(np.inf)).astype(float)) / 2
    return np.where(middle.astype(np.float32) == below, middle, np.nextafter(middle, -np.inf))
