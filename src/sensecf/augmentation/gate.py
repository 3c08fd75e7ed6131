"""The gate: whether rows are added, and how heavy they are, decided by inner folds of the labelled rows alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from sensecf.augmentation import augment, learn
from sensecf.augmentation.controls.situation import Situation
from sensecf.augmentation.judges import EDGE, Committee, Panel, convene_without, in_order
from sensecf.core.codec import Codec
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.generators import Generator

#: Learners on which an option is tried: one of trees and a smooth one, both quick.
WITNESSES = ("xgboost", "logistic")
#: What held-out rows are looked at by; more is better of each gain.
MEASURES = ("log_loss", "brier", "f1")
#: Those of them that look at probabilities.
PROBABILITY = ("log_loss", "brier")
#: Standard errors by which probabilities may be worse: where F1 is no better, and where it is.
ERRORS, CLEAR = 1.0, 3.0

Build = Callable[[Task, int], Generator]


class Option(NamedTuple):
    """Rows that could be added: made for which purpose, how many in multiples of what is asked for, how heavy."""

    purpose: str
    amount: float
    weight: float = 1.0


NOTHING = Option("nothing", 0.0, 0.0)
#: What is tried beside nothing, the most first.
OPTIONS = (Option("augment", 4.0), Option("augment", 4.0, 0.25))


class Gain(NamedTuple):
    """By how much rows are better than none on held-out rows, and the standard error of that, by person."""

    mean: float
    error: float


@dataclass(frozen=True)
class Decision:
    """What the gate found. `option`: what to add, `NOTHING` included; `gains`: of each option by measure."""

    option: Option
    gains: dict[Option, dict[str, Gain]]


def choose(
    situation: Situation,
    panel: Panel,
    build: Build,
    wanted: int,
    *,
    learners: Sequence[str] = WITNESSES,
    options: Sequence[Option] = OPTIONS,
) -> Decision:
    """The rows, in multiples of `wanted`, that do held-out rows no harm; one choice for all learners.

    For each fold of the panel everything is made anew from the other folds: the classifier to be
    crossed (the fold's committee), the judges (committees that have not seen a second fold either), the
    generator (`build(task, seed)`), the rows. Nothing means that each class weighs alike and no row
    is added. Learners are compared by log loss and Brier score, their probabilities as they are, and by F1 of the
    positive class where they themselves draw the line; `accept` says what passes, on the mean of the learners.
    With fewer than three folds nothing can be tried, and nothing is added.
    """
    schema, seed = situation.schema, situation.seed
    if len(panel.folds) < 3:
        return Decision(NOTHING, {})
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
        made: dict[tuple[str, float], pd.DataFrame] = {(NOTHING.purpose, NOTHING.amount): pd.DataFrame()}
        for at, option in enumerate(tried):
            kind = option.purpose, option.amount
            if kind not in made:
                count = max(1, round(option.amount * wanted * len(fit) / len(frame)))
                made[kind] = augment(task, generator, count, purpose=option.purpose, panel=inner, seed=seed)
            for k, name in enumerate(learners):
                learner = learn(name, inside, weighed(made[kind], option.weight), schema, seed)
                said[at, k, rest] = in_order(learner.predict_proba(shown), learner.classes_, panel.classes)
    people = np.arange(len(frame)) if schema.group is None else pd.factorize(frame[schema.group])[0]
    return decide(said, truth, panel.classes.index(situation.positive), options, people)


def weighed(added: pd.DataFrame, weight: float) -> pd.DataFrame:
    """The added rows, each `weight` times as heavy."""
    return added if added.empty or weight == 1 else added.assign(added_weight=added["added_weight"] * weight)


def decide(said: Floats, truth: Ints, positive: int, options: Sequence[Option], people: Ints) -> Decision:
    """The first option that passes, by what learners say (options, learners, rows, classes), nothing added first.

    `truth`, `people` (rows,): class and person of each row; `positive`: the class F1 is about.
    """
    gains: dict[Option, dict[str, Gain]] = {}
    before = [_measured(each, truth, positive) for each in said[0]]
    for option, each in zip(options, said[1:], strict=True):
        now = [_measured(one, truth, positive) for one in each]
        gains[option] = {}
        for name in MEASURES:
            difference = [n[name][0] - b[name][0] for n, b in zip(now, before, strict=True)]
            moved = np.mean([n[name][1] - b[name][1] for n, b in zip(now, before, strict=True)], axis=0)
            gains[option][name] = Gain(float(np.mean(difference)), standard_error(moved, people))
    return Decision(next((option for option in options if accept(gains[option])), NOTHING), gains)


def accept(gains: Mapping[str, Gain]) -> bool:
    """Whether rows pass, by what they gain on held-out rows; nothing measured is nothing that passes.

    Probabilities that are worse by `ERRORS` standard errors, in log loss or Brier score, are harm unless F1 is better;
    worse by `CLEAR` they are harm in any case. F1 alone is no witness: of few labelled rows it is mostly chance, and
    where a class has lost labels it is lower among them than among people to come.
    """
    if not gains:
        return False
    worst = min(
        gains[name].mean + (ERRORS if gains["f1"].mean <= 0 else CLEAR) * gains[name].error for name in PROBABILITY
    )
    return worst >= 0


def _measured(proba: Floats, truth: Ints, positive: int) -> dict[str, tuple[float, Floats]]:
    """Each measure of one learner, more being better, and how much each row (n,) moves it, n times over."""
    n, own = len(truth), np.clip(proba[np.arange(len(truth)), truth], EDGE, 1.0)
    log_loss, brier = np.log(own), -((proba - np.eye(proba.shape[1])[truth]) ** 2).sum(axis=1) / 2
    called, real = proba.argmax(axis=1) == positive, truth == positive
    both = called.astype(float) + real
    f1 = float(2 * (called & real).sum() / max(both.sum(), 1.0))
    moved = (2.0 * (called & real) - f1 * both) * n / max(both.sum(), 1.0)
    return {"log_loss": (float(log_loss.mean()), log_loss), "brier": (float(brier.mean()), brier), "f1": (f1, moved)}


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
