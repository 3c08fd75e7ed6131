"""Is an answer like the data? Several views, because each has its blind spot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.model_selection import GroupKFold, PredefinedSplit, cross_val_predict

from sensecf.core.distances import NearestPoints, Scale
from sensecf.core.judge import Ints
from sensecf.core.plausibility import MAX_ROWS, OUTLIERS
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Task
from sensecf.metrics.declare import metric
from sensecf.metrics.scored import Scored

#: Neighbours of the kNN distance ratio.
NEAREST = 5
#: Folds of the critic, and of the threshold of the isolation forest.
FOLDS = 5
#: Leaves of a tree of the critic: with the 31 of scikit-learn it takes twice the time and tells no more.
LEAVES = 15
#: Fewer rows than this, of either sort, and no critic or forest is fitted.
MIN_ROWS = 20


@metric(title="Inlier by LOF", section="Like the data", over="valid answers", better="higher")
def lof_inlier(scored: Scored) -> pd.Series[float]:
    """Is the answer an inlier among the training rows of its target class? 1 or 0, higher is better.

    Formula: local outlier factor in novelty mode, 20 neighbours, in standardised features; the threshold
    calls 5 % of held-out real rows outliers (see `sensecf.core.plausibility`). Leaves out: rules; single
    values that are odd together only in few of many features. A class with under 10 rows counts as inlier.
    Source: Breunig et al. 2000; for counterfactuals Kanamori et al. 2020.
    """
    return scored.series(scored.likeness >= 0)


@metric(title="Inside the training range", section="Like the data", over="valid answers", better="higher")
def in_training_range(scored: Scored) -> pd.Series[float]:
    """Do all values lie between the smallest and the largest training value? 1 or 0, higher is better.

    Unchanged values count too. Leaves out: everything about combinations of values.
    Source: the plausibility of arXiv 2601.14590.
    """
    task = scored.task
    return scored.series(_within(task, scored.after, task.rows).all(axis=1))


@metric(title="Inside the range of the target class", section="Like the data", over="valid answers", better="higher")
def in_class_range(scored: Scored) -> pd.Series[float]:
    """As `in_training_range`, among the training rows of the target class alone. Source: ours."""
    task = scored.task
    inside = np.zeros(len(scored), dtype=bool)
    for target, members in scored.targets():
        inside[members] = _within(task, scored.after[members], task.rows[task.y == target]).all(axis=1)
    return scored.series(inside)


@metric(title="Plausible", section="Like the data", over="valid answers", better="higher")
def plausible(scored: Scored) -> pd.Series[float]:
    """Both main views at once: LOF inlier, and every *changed* value inside the training range.
    1 or 0, higher is better.

    A value that the factual had already is not held against the answer. Leaves out: what LOF does.
    Source: ours; what column `plausible` says, judged anew.
    """
    task = scored.task
    known = _within(task, scored.after, task.rows) | ~scored.changed
    return scored.series((scored.likeness >= 0) & known.all(axis=1))


@metric(title="Inlier by isolation forest", section="Like the data", over="valid answers", better="higher")
def isolation_inlier(scored: Scored) -> pd.Series[float]:
    """Is the answer an inlier by an isolation forest fitted on the target class? 1 or 0, higher is better.

    Formula: 100 trees; the threshold calls 5 % of held-out real rows outliers. Leaves out: local
    density (it sees sparse corners, not holes). Undefined for a class with under 20 rows.
    Source: Liu, Ting & Zhou 2008.
    """
    task = scored.task
    out = np.full(len(scored), np.nan)
    critics = task.once(_Critics)
    for target, members in scored.targets():
        found = critics.forest(target)
        if found is not None:
            forest, filled, threshold = found
            points = filled(critics.points(scored.after[members]))
            out[members] = forest.score_samples(points) >= threshold
    return scored.series(out)


@metric(
    title="Distance to the target class, 1 = like a real row",
    section="Like the data",
    over="valid answers",
    better="lower",
    share=False,
    short="Distance to the class, 1 = a real row",
)
def knn_ratio(scored: Scored) -> pd.Series[float]:
    """How much farther the answer is from the target class than real rows of that class are, from 0 up;
    1 is as near as a typical real row, lower is better.

    Formula: mean distance to the 5 nearest training rows of the target class in standardised
    features, over the median of the same among those rows (each without itself).
    Leaves out: where the class is dense or sparse by nature. Undefined for a class with under 20 rows.
    Source: the yNN and distance-to-training-data family (Pawelczyk et al. 2021); ratio ours.
    """
    task = scored.task
    out = np.full(len(scored), np.nan)
    critics = task.once(_Critics)
    for target, members in scored.targets():
        found = critics.neighbours(target)
        if found is not None:
            index, typical = found
            distance = index.kneighbors(critics.points(scored.after[members]), NEAREST)[0].mean(axis=1)
            out[members] = distance / typical
    return scored.series(out)


@metric(
    title="Told from real rows (AUC), 0.5 = not at all",
    section="Like the data",
    over="valid answers",
    better="lower",
    style="number",
    short="Told from real rows (AUC)",
    of_all=True,
)
def critic_auc(scored: Scored) -> pd.Series[float]:
    """How surely a classifier tells the answer from real training rows of its target class; the mean is
    the critic's AUC: 0.5 when it cannot tell them apart, 1 when it always can. Lower is better.

    Formula: gradient-boosted trees learn real (rounded to the schema's steps) against answer, five
    folds, the answers of one request in one fold; the value of an answer is the share of real rows
    that its fold's critic finds less suspicious (draws count half). Leaves out: which oddity gives an
    answer away. That the answers come from other people than the real rows is part of it: see `critic_auc_before`.
    Undefined under 20 answers, 5 requests or 20 real rows. Source: classifier two-sample test, Lopez-Paz & Oquab 2017.
    """
    return _critic(scored, scored.after)


@metric(
    title="The same of the unchanged rows of these people",
    section="Like the data",
    over="valid answers",
    better="none",
    style="number",
    short="Unchanged rows told from real rows (AUC)",
    of_all=True,
)
def critic_auc_before(scored: Scored) -> pd.Series[float]:
    """The control of `critic_auc`: the same with the factuals in place of the answers, the unchanged rows of the same
    people. They are real: an answer is only as odd as its `critic_auc` exceeds this. No better or worse. Source: ours.
    """
    free = np.full(len(scored.task.schema), np.inf)
    return _critic(scored, scored.task.codec.snap(scored.before, -free, free))


def _critic(scored: Scored, rows: Floats) -> pd.Series[float]:
    """How surely rows (m, d) in place of the answers are told from real ones."""
    task, out = scored.task, np.full(len(scored), np.nan)
    free = np.full(len(task.schema), np.inf)
    for target, members in scored.targets():
        sample, made, people = _members(task, target), rows[members], scored.owner[members]
        if min(len(sample), len(made)) < MIN_ROWS or len(np.unique(people)) < FOLDS:
            continue
        real = task.codec.snap(task.rows[sample], -free, free)
        folds = np.concatenate([_folds(people), _folds(_groups(task, sample))])
        out[members] = _placements(made, real, folds)
    return scored.series(out)


def _folds(groups: Ints) -> Ints:
    """The fold of each row, whole groups in one fold."""
    fold = np.empty(len(groups), dtype=np.intp)
    for number, (_, held) in enumerate(GroupKFold(FOLDS).split(groups, groups=groups)):
        fold[held] = number
    return fold


def _placements(made: Floats, real: Floats, folds: Ints) -> Floats:
    """Share of real rows of the same fold that look less made than each made row, shape (len(made),)."""
    label = np.arange(len(folds)) < len(made)
    model = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=LEAVES, early_stopping=False, random_state=0)
    split = PredefinedSplit(folds)
    score = cross_val_predict(model, np.concatenate([made, real]), label, cv=split, method="predict_proba")[:, 1]
    out = np.empty(len(made))
    for fold in range(FOLDS):
        held = folds == fold
        mine, others = held & label, np.sort(score[held & ~label])
        below = np.searchsorted(others, score[mine], "left") + np.searchsorted(others, score[mine], "right")
        out[np.flatnonzero(mine)] = below / (2 * len(others))
    return out


class _Critics:
    """Isolation forests and neighbour indices per class, fitted on training rows when first asked for."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.points = task.once(Scale).measured
        self._forests: dict[int, tuple[IsolationForest, Callable[[Floats], Floats], float] | None] = {}
        self._neighbours: dict[int, tuple[NearestPoints, float] | None] = {}

    def forest(self, target: int) -> tuple[IsolationForest, Callable[[Floats], Floats], float] | None:
        """The forest of a class, what fills blanks, and the score below which a row is an outlier."""
        if target not in self._forests:
            self._forests[target] = self._fit_forest(target)
        return self._forests[target]

    def neighbours(self, target: int) -> tuple[NearestPoints, float] | None:
        """The neighbour index of a class and the typical distance of its rows."""
        if target not in self._neighbours:
            self._neighbours[target] = self._fit_neighbours(target)
        return self._neighbours[target]

    def _fit_forest(self, target: int) -> tuple[IsolationForest, Callable[[Floats], Floats], float] | None:
        members = _members(self._task, target)
        if len(members) < MIN_ROWS:
            return None
        points = self.points(self._task.rows[members])
        filled = NearestPoints(points).filled  # a blank is at the median of the class: it tells nothing
        points = filled(points)
        fold = _folds(_groups(self._task, members))
        held = [_forest(points[fold != k]).score_samples(points[fold == k]) for k in range(FOLDS)]
        return _forest(points), filled, float(np.quantile(np.concatenate(held), OUTLIERS))

    def _fit_neighbours(self, target: int) -> tuple[NearestPoints, float] | None:
        members = _members(self._task, target)
        if len(members) < MIN_ROWS:
            return None
        points = self.points(self._task.rows[members])
        index = NearestPoints(points)
        typical = float(np.median(index.kneighbors(points, NEAREST, others=True)[0].mean(axis=1)))
        return (index, typical) if typical > 0 else None


def _forest(points: Floats) -> IsolationForest:
    return IsolationForest(n_estimators=100, random_state=0).fit(points)


def _members(task: Task, target: int) -> Ints:
    """Training rows of a class, at most `MAX_ROWS` of them."""
    members = np.flatnonzero(task.y == target)
    if len(members) > MAX_ROWS:
        members = np.sort(np.random.default_rng(0).choice(members, MAX_ROWS, replace=False))
    return members


def _groups(task: Task, rows: Ints) -> Ints:
    """The person of each training row, numbered; every row its own where persons are unknown or too few."""
    if task.schema.group is not None:
        codes: Ints = pd.factorize(task.train[task.schema.group].iloc[rows], use_na_sentinel=False)[0]
        if codes.max() + 1 >= FOLDS:
            return codes
    return np.random.default_rng(0).permutation(len(rows))


def _within(task: Task, rows: Floats, reference: Floats) -> Bools:
    """Which values lie between the smallest and largest of the reference rows, shape as `rows`.

    A level must occur there. A blank is inside. A feature that is blank in all reference rows has
    no range: any value is outside.
    """
    low = np.where(np.isnan(reference), np.inf, reference).min(axis=0, initial=np.inf)
    high = np.where(np.isnan(reference), -np.inf, reference).max(axis=0, initial=-np.inf)
    inside = np.isnan(rows)
    with np.errstate(invalid="ignore"):
        inside |= (rows >= low - 1e-9) & (rows <= high + 1e-9)
    for j in np.flatnonzero(~task.codec.numeric):
        inside[:, j] &= np.isin(rows[:, j], reference[:, j]) | np.isnan(rows[:, j])
    return inside
