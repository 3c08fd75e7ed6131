"""The gate: which rows to add, if any, decided by inner folds of the labelled rows alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.utils.class_weight import compute_sample_weight

from sensecf.augmentation import augment, learn
from sensecf.augmentation.controls.situation import Situation
from sensecf.augmentation.judges import EDGE, Committee, Panel, convene_without, in_order
from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.generators import Generator

#: Learners on which an option is tried: a quick one of trees and a quick smooth one.
WITNESSES = ("xgboost", "mlp")
#: Rows are left out when they are worse than nothing by so many standard errors of the difference.
ERRORS = 1.0
#: Natural logarithms between which the temperature of a learner's probabilities is sought.
TEMPERATURES = (-2.0, 2.0)

Build = Callable[[Task, int], Generator]


class Option(NamedTuple):
    """Rows that could be added: made for which purpose, and how many in multiples of what is asked for."""

    purpose: str
    amount: float


NOTHING = Option("nothing", 0.0)
#: What is tried beside nothing. Smaller amounts decided nothing: they move a learner less, in the same direction.
OPTIONS = (Option("augment", 4.0),)


@dataclass(frozen=True)
class Decision:
    """What the gate found. `option`: what to add, `NOTHING` included; `gain`, `error`: by how much each option
    lowers the class-balanced log loss of held-out labelled rows, and the standard error of that."""

    option: Option
    gain: dict[Option, float]
    error: dict[Option, float]


def choose(
    situation: Situation,
    panel: Panel,
    build: Build,
    wanted: int,
    *,
    learners: Sequence[str] = WITNESSES,
    options: Sequence[Option] = OPTIONS,
) -> Decision:
    """The rows, in multiples of `wanted`, with which learners judge held-out rows best; one choice for all learners.

    For each fold of the panel everything is made anew from the other folds: the classifier to be
    crossed (the fold's committee), the judges (committees that have not seen a second fold either), the
    generator (`build(task, seed)`), the rows. Nothing means that each class weighs alike and no row
    is added. The best option is taken unless it is worse than that by one standard error over held-out people
    (rows, where the schema names no group), on the mean of the learners.

    A learner's probabilities are brought to the temperature at which its loss is least before they
    are compared: rows that merely make it less sure of itself, and leave its answers as they are or worse,
    would pass otherwise. Raises `InputError` when the panel has fewer than three folds.
    """
    schema, seed = situation.schema, situation.seed
    if len(panel.folds) < 3:
        raise InputError(f"label {schema.label!r}: a gate needs at least 3 labelled rows of each class; give an amount")
    frame = situation.rows.reset_index(drop=True)
    truth = np.array([panel.classes.index(v) for v in frame[schema.label].tolist()])
    tried = [NOTHING, *options]
    said = np.zeros((len(tried), len(learners), len(frame), len(panel.classes)))
    features = Codec(schema).decode(Codec(schema).encode(frame))
    apart: dict[frozenset[int], Committee] = {}

    def without(one: int, other: int) -> Committee:
        key = frozenset((one, other))
        if key not in apart:
            apart[key] = convene_without(frame, schema, panel, {one, other}, seed)
        return apart[key]

    for number, committee in enumerate(panel.folds):
        rest = np.flatnonzero(panel.fold == number)
        fit = np.flatnonzero(panel.fold != number)
        inside, held = frame.iloc[fit].reset_index(drop=True), frame.iloc[rest]
        task = Task(schema, inside, committee)
        generator, inner = build(task, seed), _inner(panel, number, without, features)
        shown = task.frame(task.codec.encode(held))
        for at, option in enumerate(tried):
            made = pd.DataFrame()
            if option != NOTHING:
                count = max(1, round(option.amount * wanted * len(fit) / len(frame)))
                made = augment(task, generator, count, purpose=option.purpose, panel=inner, seed=seed)
            for k, name in enumerate(learners):
                learner = learn(name, inside, made, schema, seed)
                said[at, k, rest] = in_order(learner.predict_proba(shown), learner.classes_, panel.classes)
    return _decide(said, truth, options, frame if schema.group is None else frame[schema.group])


def _decide(said: Floats, truth: Ints, options: Sequence[Option], people: pd.DataFrame | pd.Series[Any]) -> Decision:
    """The best option by what the learners say (options, learners, rows, classes); the first is nothing added."""
    share = compute_sample_weight("balanced", truth)
    loss = np.array([np.mean([tempered_loss(one, truth, share) for one in each], axis=0) for each in said])
    gains = (loss[0] - loss[1:]) * share
    together = pd.factorize(people)[0] if isinstance(people, pd.Series) else np.arange(len(people))
    gain = {option: float(values.mean()) for option, values in zip(options, gains, strict=True)}
    error = {option: standard_error(values, together) for option, values in zip(options, gains, strict=True)}
    best = max(options, key=lambda option: gain[option])
    return Decision(NOTHING if gain[best] < -ERRORS * error[best] else best, gain, error)


def tempered_loss(said: Floats, truth: Ints, weight: Floats) -> Floats:
    """Log loss of each row, shape (n,), at the one temperature that makes its weighted mean least.

    `said` (n, classes): probabilities; `truth`, `weight` (n,). The most probable class stays the same.
    """
    logs = np.log(np.clip(said, EDGE, 1.0))

    def losses(log_temperature: float) -> Floats:
        told: Floats = log_softmax(logs / np.exp(log_temperature), axis=1)
        return -told[np.arange(len(truth)), truth]

    best = minimize_scalar(lambda t: float((weight * losses(t)).mean()), bounds=TEMPERATURES, method="bounded")
    return losses(float(best.x))


def standard_error(values: Floats, cluster: Ints) -> float:
    """Standard error of the mean of `values` (n,) whose clusters (n,), not its rows, are independent."""
    centred = np.bincount(cluster, values - values.mean())
    return float(np.sqrt((centred**2).sum() * len(centred) / max(1, len(centred) - 1)) / len(values))


def _inner(panel: Panel, number: int, without: Callable[[int, int], Committee], frame: pd.DataFrame) -> Panel:
    """The panel of the rows outside a fold: for each other fold, judges that have seen neither."""
    others = [k for k in range(len(panel.folds)) if k != number]
    at = np.flatnonzero(panel.fold != number)
    fold = np.searchsorted(others, panel.fold[at])
    committees = tuple(without(number, k) for k in others)
    proba = np.empty((len(at), len(panel.classes)))
    for k, committee in enumerate(committees):
        mine = np.flatnonzero(fold == k)
        told = committee.predict_proba(frame.iloc[at[mine]])
        proba[mine] = in_order(told, committee.classes_, panel.classes)
    return Panel(committees, fold, panel.folds[number], proba, panel.weights, panel.classes)
