"""What a programme claims: of the days that it turns, the share that is expected to be truly of the target class.

The classifier's probability of the days as asked says something else: it is not calibrated, and it is of rows on which
nothing has followed yet. So it is asked about the rows with what is expected to follow, where causes are known, and set
right by what became of its like on people whom the classifier had not seen: slope and intercept of its log-odds (Platt
1999), fitted to probabilities from folds over the training people.

Where the table contradicts the accepted causes (`pipeline.graphcheck`), something hidden moves levers and results
together, and part of what the classifier takes for an effect is none. Then nothing is counted as following, and the
claim is an interval: its upper end as if the hidden cause did not touch the label, its lower end as if it moved the
label as strongly as the result that it is seen to move most (a benchmark, Cinelli & Hazlett 2020); the middle is what
is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from sensecf.classifiers.change import Source
from sensecf.classifiers.fit import fit_anew, one_blas_thread
from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.pipeline.consequences import Mechanisms
from sensecf.pipeline.graphcheck import check_graph

#: Folds over people, and how close to 0 and 1 a probability is taken to be.
FOLDS, EDGE = 5, 1e-4
#: The variance of log-odds that chance adds to those of a day.
LOGISTIC = np.pi**2 / 3


class Expected(NamedTuple):
    """How likely rows are truly of their class, arrays (m,): the middle, and the ends where something is hidden."""

    share: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Calibration:
    """Slope and intercept of the log-odds of one class; `because`: why there are none, and probabilities stay.

    `against`: two features that the accepted causes say are independent and that move together most, None where there
    are none; `hidden` (d,): by how much a hidden cause may make the log-odds of a change of one unit too large.
    """

    slope: float = 1.0
    intercept: float = 0.0
    because: str = ""
    against: tuple[str, str] | None = None
    hidden: Floats = field(default_factory=lambda: np.empty(0))

    def odds(self, probability: Floats) -> Floats:
        """The log-odds of probabilities, set right, shape as given."""
        out: Floats = self.intercept + self.slope * logit(np.clip(probability, EDGE, 1 - EDGE))
        return out


def calibration(task: Task, target: int) -> Calibration:
    """The calibration of a task's classifier for the class `target`, a position.

    The classifier is fitted again without a fifth of the training people each time, and asked about these.
    """
    truth = task.y == target
    said, because = _unseen(task, target)
    known = ~np.isnan(said)
    told = Calibration(because=because)
    if not because and len(np.unique(truth[known])) < 2:
        told = Calibration(because="there are too few people to calibrate with")
    elif not because:
        odds = logit(np.clip(said[known], EDGE, 1 - EDGE))
        found = LogisticRegression(C=1e6).fit(odds[:, None], truth[known])
        told = Calibration(float(found.coef_[0, 0]), float(found.intercept_[0]))
    return _with_hidden(task, target, told)


def _unseen(task: Task, target: int) -> tuple[Floats, str]:
    """The probability of the class for each training row (n,) by a classifier that had not seen its person, NaN where
    there is none; and why there are none."""
    said = np.full(len(task.rows), np.nan)
    try:
        source = Source.of(task)
    except InputError as error:
        return said, str(error)
    people, goal = source.people, task.classes[target]
    count = min(FOLDS, len(np.unique(people)))
    if count < 2:
        return said, "there are too few people to calibrate with"
    with one_blas_thread():
        for fit, rest in GroupKFold(count, shuffle=True, random_state=0).split(people, groups=people):
            part = source.on(fit)
            try:
                judge = task.sibling(fit_anew(part.blank, part.schema, part.train))
            except InputError:  # a fold without a class
                continue
            if goal in judge.classes:
                said[rest] = judge(task.rows[rest]).proba[:, judge.classes.index(goal)]
    return said, ""


def _with_hidden(task: Task, target: int, told: Calibration) -> Calibration:
    """The calibration with what training rows say of hidden causes: nothing where no causes are accepted."""
    if not any(feature.causes for feature in task.schema.features):
        return told
    checked = check_graph(task.train, task.schema)
    off = checked[(checked["kind"] == "independence") & (checked["verdict"] == "contradicted")]
    if off.empty:
        return told
    strength = off["found"].abs().to_numpy()
    ends = off[["cause", "effect"]].to_numpy(str)
    odds = told.odds(task.judge(task.rows).proba[:, target])
    latent = np.sqrt(odds.var() + LOGISTIC)
    hidden = np.zeros(len(task.schema))
    for j, feature in enumerate(task.schema.features):
        mine = strength[(ends == feature.name).any(axis=1)]
        spread = float(np.nanstd(task.rows[:, j])) if task.codec.numeric[j] else 0.0
        if feature.role == "actionable" and len(mine) and spread > 0:
            hidden[j] = mine.max() * latent / spread
    worst = ends[int(strength.argmax())]
    return replace(told, against=(str(worst[0]), str(worst[1])), hidden=hidden)


def expected_share(task: Task, base: Floats, rows: Floats, target: Ints, told: Calibration) -> Expected:
    """How likely each of the rows (m, d) is truly of its class, `target` (m,), when it is done from `base` (m, d)."""
    at = np.arange(len(rows))
    mechanisms = task.once(Mechanisms)
    counts = told.against is None and mechanisms and len(rows)
    there = mechanisms.follow(base, rows).expected if counts else rows
    odds = told.odds(task.judge(there).proba[at, target])
    high = expit(odds)
    if told.against is None:
        return Expected(high, high, high)
    # Levers move together, and with them one hidden cause: the largest of their parts, not the sum.
    lost = np.nan_to_num(np.abs(rows - base) * told.hidden).max(axis=1, initial=0.0)
    low = expit(odds - lost)
    return Expected((low + high) / 2, low, high)
