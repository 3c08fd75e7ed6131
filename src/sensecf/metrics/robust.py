"""Does an answer hold when the classifier, or the person's luck, is a little different?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold

from sensecf.classifiers.fit import fit_classifier
from sensecf.classifiers.foreign import is_fitted
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.frames import as_frame
from sensecf.core.judge import Classifier, Ints
from sensecf.core.rules import Floats
from sensecf.core.task import Task, lead
from sensecf.metrics.declare import metric
from sensecf.metrics.scored import BATCH, CrossFitted, Scored, reached

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: Input noise, in standard deviations of the training rows.
NOISE = 0.1
#: Noisy copies of each answer.
DRAWS = 10


@metric(title="Probability of the target", section="Confidence", over="valid answers", better="higher", style="number")
def probability(scored: Scored) -> pd.Series[float]:
    """The classifier's probability of the target class, [0, 1], higher is surer.

    Leaves out: whether the probabilities are calibrated. Source: the classifier.
    """
    return scored.series(scored.judged.proba[np.arange(len(scored)), scored.target])


@metric(title="Margin over the next class", section="Confidence", over="valid answers", better="higher", share=False)
def margin(scored: Scored) -> pd.Series[float]:
    """Probability of the target minus that of the strongest other class, [-1, 1], higher is surer.

    Leaves out: the same as `probability`. Source: ours (see `sensecf.core.task.lead`).
    """
    return scored.series(lead(scored.judged.proba, scored.target))


def cross_fitted(
    fit: Callable[[pd.DataFrame], Classifier], frame: IntoDataFrame, label: str, people: ArrayLike, folds: int = 5
) -> tuple[list[Classifier], Ints] | None:
    """Classifiers fitted by `fit` on the rows of `frame` outside of each fold, and the fold of each row (n,).

    Whole people are in one fold. None with fewer than two people, or where some class cannot be learned outside
    of every fold.

    >>> fit = lambda rows: sensecf.fit_classifier("logistic", data.schema, rows)
    >>> models, fold = sensecf.metrics.cross_fitted(fit, train, "stress", train["participant_id"])
    >>> len(models), len(fold) == len(train)
    (5, True)
    """
    frame = as_frame(frame, "frame")
    codes = pd.factorize(np.asarray(people), use_na_sentinel=False)[0]
    folds = min(folds, len(np.unique(codes)))
    if folds < 2:
        return None
    fold = np.empty(len(frame), dtype=np.intp)
    parts = list(StratifiedGroupKFold(folds).split(frame, frame[label].astype(str), codes))
    models = []
    for number, (learned, held) in enumerate(parts):
        fold[held] = number
        if frame[label].iloc[learned].nunique() < frame[label].nunique():
            return None
        models.append(fit(frame.iloc[learned]))
    return models, fold


@metric(
    title="Valid if the person lands a little off",
    section="Confidence",
    over="valid answers",
    better="higher",
    of_all=True,
)
def noise_validity(scored: Scored) -> pd.Series[float]:
    """How often the answer is still valid when the person lands a little off the plan, [0, 1], higher is better.

    Formula: share of 10 noisy copies (see `perturbed`) that are valid. An answer whose edits are all
    levels has nothing to miss and counts as it stands. Leaves out: noise in features left alone.
    Source: Pawelczyk et al. 2023; sizes ours.
    """
    task = scored.task
    rng = np.random.default_rng(0)
    kept = np.zeros(len(scored))
    chunk = max(1, BATCH // DRAWS)
    for start in range(0, len(scored), chunk):
        part = slice(start, start + chunk)
        base, changed = scored.after[part], scored.changed[part]
        noisy = np.concatenate([perturbed(task, base, changed, rng) for _ in range(DRAWS)])
        good = reached(task, noisy, np.tile(scored.target[part], DRAWS))
        kept[part] = good.reshape(DRAWS, -1).mean(axis=0)
    return scored.series(kept)


def agreement(scored: Scored, judges: Mapping[str, Classifier | CrossFitted], before: bool = False) -> pd.DataFrame:
    """Whether each judge puts each answer (its factual with `before`) in its target class, shape (answers, judges),
    1 or 0.

    A judge is fitted, takes raw rows and knows the same classes as the task's classifier.

    >>> other = sensecf.fit_classifier("random-forest", data.schema, train)
    >>> scored = sensecf.metrics.read(plans, task)
    >>> sensecf.metrics.agreement(scored, {"random-forest": other}).columns.tolist()
    ['random-forest']
    """
    task, rows = scored.task, scored.before if before else scored.after
    votes = {}
    for name, judge in judges.items():
        models, fold = (
            ([judge], np.zeros(len(rows)))
            if not isinstance(judge, CrossFitted)
            else (judge.models, judge.fold.loc[scored.queries].to_numpy())
        )
        votes[name] = np.full(len(rows), np.nan)
        for number, model in enumerate(models):
            other, mine = Task(task.schema, task.train, model), fold == number
            place = np.array([other.target_position(c) for c in task.classes], dtype=np.intp)
            votes[name][mine] = reached(other, rows[mine], place[scored.target[mine]])
    return pd.DataFrame(votes, index=scored.index)


@metric(
    title="Valid for independent classifiers",
    section="Confidence",
    over="valid answers",
    better="higher",
    needs="judges",
)
def judge_validity(scored: Scored) -> pd.Series[float]:
    """The share of independent judges that put the answer in the target class, [0, 1], higher is better.

    Formula: mean of `agreement`. Judges (`Given.judges`): classifiers of other families, trained on rows of other
    people (`CrossFitted`): a judge that has seen the person's own label answers from memory. Read it beside
    `judge_validity_before`. Leaves out: judges alike err alike. Undefined without judges. Source: ours;
    cross-model validity in Pawelczyk et al. 2020.
    """
    return agreement(scored, scored.given.judges or {}).mean(axis=1)


@metric(
    title="The same before the change",
    section="Confidence",
    over="valid answers",
    better="none",
    needs="judges",
    short="Independent classifiers before the change",
)
def judge_validity_before(scored: Scored) -> pd.Series[float]:
    """What `judge_validity` is before the change: the same judges on the factual of each answer. [0, 1], no better
    or worse: what the answer adds is the difference. Source: ours.
    """
    return agreement(scored, scored.given.judges or {}, before=True).mean(axis=1)


def _retrained_agree(scored: Scored) -> pd.DataFrame:
    return agreement(scored, scored.given.models or {})


@metric(title="Valid after retraining", section="Confidence", over="valid answers", better="higher", needs="models")
def retrain_validity(scored: Scored) -> pd.Series[float]:
    """The share of retrained models (see `retrained`) for which the answer is still valid, [0, 1],
    higher is better. Undefined without models.

    Leaves out: retraining on later data from elsewhere. Source: Upadhyay et al. 2021; Dutta et al. 2022.
    """
    return scored.once(_retrained_agree).mean(axis=1)


@metric(
    title="Valid after every retraining", section="Confidence", over="valid answers", better="higher", needs="models"
)
def retrain_validity_worst(scored: Scored) -> pd.Series[float]:
    """As `retrain_validity`, but 1 only if the answer is valid for every one of the models. Source: the same."""
    return scored.once(_retrained_agree).min(axis=1)


def retrained(
    task: Task, kind: Literal["seed", "bootstrap", "fewer"], count: int = 5, seed: int = 0
) -> dict[str, Classifier]:
    """The task's classifier fitted anew `count` times, by kind of change.

    `seed`: the same rows, another random state; `bootstrap`: rows drawn with replacement, whole
    groups where the schema names one; `fewer`: a random nine tenths of them. Rows are given as they were to the
    task's classifier (`fit_classifier`). Raises `InputError` when scikit-learn cannot clone the classifier, or a
    clone is fitted as it is or cannot be fitted.

    >>> sorted(sensecf.metrics.retrained(task, "bootstrap", count=2))
    ['bootstrap 1', 'bootstrap 2']
    """
    try:
        blank = clone(task.classifier)
    except TypeError as error:
        raise InputError(
            f"the classifier ({type(task.classifier).__name__}) cannot be cloned for retraining; "
            "give a scikit-learn estimator, or fit the models yourself"
        ) from error
    rng = np.random.default_rng(seed)
    label = task.train[task.schema.label]
    group = None if task.schema.group is None else task.train[task.schema.group]
    units = task.train.index.to_numpy() if group is None else pd.factorize(group)[0]
    models: dict[str, Classifier] = {}
    for number in range(count):
        model = clone(blank)
        states = {name: number + 1 for name in model.get_params() if name.split("__")[-1] == "random_state"}
        rows = _resample(units, kind, rng)
        while label.iloc[rows].nunique() < label.nunique():  # a class may be missed when groups are few
            rows = _resample(units, kind, rng)
        drawn = task.train.iloc[rows].reset_index(drop=True)
        model = model.set_params(**states)
        if is_fitted(model, task.codec.decode(task.rows[:1])):
            raise InputError(
                f"the classifier ({type(task.classifier).__name__}) stays fitted when it is cloned, so it cannot be "
                "fitted anew; give an estimator that is not frozen, or fit the models yourself"
            )
        models[f"{kind} {number + 1}"] = fit_classifier(model, task.schema, drawn)
    return models


def _resample(units: Ints, kind: str, rng: np.random.Generator) -> Ints:
    if kind == "seed":
        return np.arange(len(units))
    if kind == "fewer":
        return np.sort(rng.choice(len(units), max(1, len(units) * 9 // 10), replace=False))
    order = np.argsort(units, kind="stable")
    counts = np.bincount(units)
    starts = np.cumsum(counts) - counts
    drawn = rng.integers(0, len(counts), len(counts))
    return np.concatenate([order[starts[g] : starts[g] + counts[g]] for g in drawn])


def perturbed(task: Task, rows: Floats, changed: np.ndarray, rng: np.random.Generator) -> Floats:
    """Rows whose changed numbers miss their mark, shape as `rows`.

    Normal noise of 0.1 training standard deviations, drawn independently for every row and feature,
    rounded to the step, inside the schema's range.

    >>> import numpy as np
    >>> rows = sensecf.metrics.read(plans, task).after
    >>> missed = sensecf.metrics.perturbed(task, rows, np.ones(rows.shape, bool), np.random.default_rng(0))
    >>> missed.shape == rows.shape
    True
    """
    noise = rng.standard_normal(rows.shape) * NOISE * task.once(Scale).std
    return np.where(changed & task.codec.numeric, task.codec.snap(rows + noise), rows)
