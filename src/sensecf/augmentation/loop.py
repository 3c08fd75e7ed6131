"""The loop: train, make rows where the learner is weak, train again; the generator refreshed each round."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from sensecf.augmentation import PURPOSES, draw, evenly, learn, to_frame
from sensecf.augmentation.controls.situation import Situation
from sensecf.augmentation.judges import Panel
from sensecf.core.task import Classifier, Task
from sensecf.generators import Generator

#: Rounds among which the rows are divided.
ROUNDS = 3


def loop(
    situation: Situation,
    panel: Panel,
    build: Callable[[Task, int], Generator],
    learner: str,
    count: int,
    *,
    rounds: int = ROUNDS,
) -> Classifier:
    """A classifier that learned from the labelled rows and, in rounds, from `count` rows made for it.

    Each round builds the generator on the classifier as it is, so that counterfactuals cross its own
    boundary, and takes rows where it is far from the judges (`panel`), who have not changed.
    `learner`: one of the five by name. Raises what `augmentation.learn` and `build` raise.
    """
    rows, schema, seed = situation.rows.reset_index(drop=True), situation.schema, situation.seed
    added: list[pd.DataFrame] = []
    classifier = learn(learner, rows, pd.DataFrame(), schema, seed)
    for number in range(rounds):
        task = Task(schema, rows, classifier)
        wanted = evenly((count * (number + 1)) // rounds - (count * number) // rounds, len(task.classes))
        pool = draw(task, build(task, seed), wanted, PURPOSES["pairs"], panel, seed + 1000 * number, classifier)
        added.append(to_frame(task, pool, PURPOSES["pairs"], panel, seed + 1000 * number))
        classifier = learn(learner, rows, pd.concat(added, ignore_index=True), schema, seed)
    return classifier
