"""The gate: how many rows to add, none included, decided by inner folds of the labelled rows alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_sample_weight

from sensecf.augmentation import augment, learn
from sensecf.augmentation.judges import EDGE, Committee, Panel, convene_without, in_order
from sensecf.codec import Codec
from sensecf.errors import InputError
from sensecf.generators import Generator
from sensecf.schema import FeatureSchema
from sensecf.task import Task

#: Amounts that are tried, in multiples of what is asked for; 0 is always among them.
AMOUNTS = (0.5, 1.0, 2.0, 4.0)
#: An amount must be better than nothing by so many standard errors of the difference.
ERRORS = 1.0

Build = Callable[[Task, int], Generator]


@dataclass(frozen=True)
class Decision:
    """What the gate found: the `amount` for each learner (0 for nothing), and `loss`, the class-balanced
    log loss of held-out labelled rows by learner and amount, lower is better."""

    amount: dict[str, float]
    loss: dict[str, dict[str, float]]


def choose_amount(
    rows: pd.DataFrame,
    schema: FeatureSchema,
    panel: Panel,
    build: Build,
    wanted: int,
    learners: Sequence[str],
    *,
    purpose: str = "augment",
    amounts: Sequence[float] = AMOUNTS,
    seed: int = 0,
) -> Decision:
    """The amount, in multiples of `wanted` rows, with which each learner judges held-out rows best.

    For each fold of the panel everything is made anew from the other folds: the classifier to be
    crossed (the fold's committee), the judges (committees that have not seen a second fold either), the
    generator (`build(task, seed)`), the rows. A learner gets the best amount,
    or nothing unless it beats nothing by one standard error over all learners' held-out rows: one
    learner's alone are too few to go by.
    """
    if len(panel.folds) < 3:
        raise InputError(f"label {schema.label!r}: a gate needs at least 3 labelled rows of each class; give an amount")
    frame = rows.reset_index(drop=True)
    truth = np.array([panel.classes.index(v) for v in frame[schema.label].tolist()])
    tried = [0.0, *amounts]
    losses = np.zeros((len(learners), len(tried), len(frame)))
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
        largest = round(max(amounts) * wanted * len(fit) / len(frame))
        inner = _inner(panel, number, without, features)
        batch = augment(task, build(task, seed), max(1, largest), purpose=purpose, panel=inner, seed=seed)
        shown = task.frame(task.codec.encode(held))
        for at, amount in enumerate(tried):
            part = portion(batch, amount / max(amounts), seed)
            for k, name in enumerate(learners):
                learner = learn(name, inside, part, schema, seed)
                proba = in_order(learner.predict_proba(shown), learner.classes_, panel.classes)
                losses[k, at, rest] = -np.log(np.clip(proba[np.arange(len(rest)), truth[rest]], EDGE, 1.0))
    share = compute_sample_weight("balanced", truth)
    mean = (losses * share).mean(axis=2)
    gain = ((losses[:, :1] - losses) * share).mean(axis=0)
    overall, error = gain.mean(axis=1), gain.std(axis=1, ddof=1) / np.sqrt(gain.shape[1])
    worth = np.flatnonzero(overall > ERRORS * error)
    chosen = {}
    for k, name in enumerate(learners):
        better = [at for at in worth if mean[k, at] < mean[k, 0]]
        chosen[name] = tried[min(better, key=lambda at: mean[k, at])] if better else 0.0
    table = {
        name: {f"{amount:g}": round(float(mean[k, at]), 6) for at, amount in enumerate(tried)}
        for k, name in enumerate(learners)
    }
    return Decision(chosen, table)


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


def portion(batch: pd.DataFrame, share: float, seed: int = 0) -> pd.DataFrame:
    """A share of the pairs of a batch, and with a smaller share a part of what a larger one gives.

    Weights of each class sum to the same again.
    """
    pairs = batch["pair"].unique()
    kept = np.random.default_rng([seed, 402]).permutation(pairs)[: round(share * len(pairs))]
    return batch[batch["pair"].isin(kept)]
