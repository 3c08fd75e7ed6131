"""The embedded model of a run as a surface: who did it learn from?

What is attacked is a model file that is handed on. The attacker has its weights and vocabulary, and a row of somebody:
how sure is the model of the search's answer to that row (its loss, Yeom et al. 2018), and which rare values of the row
does it have a token for (its vocabulary are quantiles of the rows that it learned from, the ends among them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.generators.tiny.pairs import teach
from sensecf.metrics.attacks import value_match
from sensecf.metrics.membership import Scores
from sensecf.runs.attack.surfaces import Crowd, Surface, ten_of

if TYPE_CHECKING:
    from sensecf.generators.tiny.tiny import Tiny

#: Rows whose answers are looked at, at most; whole people, drawn by seed. How often planted answers are learned.
MOST, EPOCHS = 600, 60


def of_embedded(model: Tiny) -> Surface:
    """The embedded model alone. Planted is a copy of it that has learned answers to rows of ten members by heart."""

    def scores(crowd: Crowd, planted: bool, rng: np.random.Generator) -> Scores:
        crowd = crowd.some(np.random.default_rng(0), MOST)
        query, at, rows = answers(crowd)
        asked = model
        if planted:
            mine = np.flatnonzero(np.isin(at, np.flatnonzero(np.isin(crowd.persons, _people(crowd, rng)))))
            asked = model.taught(query.take(mine), rows[mine], EPOCHS)
        sure = np.full(len(crowd.rows), np.nan)
        sure[at] = asked.likelihood(query, rows)
        sure = np.where(np.isnan(sure), np.nanmin(sure) if np.isfinite(sure).any() else 0.0, sure)
        found: Mapping[str, Any] = {"loss": sure, "vocabulary": _known(crowd, model)}
        return Scores.of(dict(found), crowd.persons, crowd.member)

    return Surface("embedded", "the embedded model", "loss", scores)


def answers(crowd: Crowd) -> tuple[Query, Any, Floats]:
    """The search's answers to the crowd's rows, each towards the next class: the queries that have one, positions of
    their rows (m,), answers (m, d)."""
    task = crowd.task
    query = Query.of_rows(task, crowd.rows, task.classes[0], Limits(hold=0.0, edit="mutable"))
    query.target[:] = (task.judge(crowd.rows).predicted + 1) % len(task.classes)
    owner, rows = teach(task, query, np.random.default_rng(0), 1.0)
    return query.take(owner), owner, rows


def _people(crowd: Crowd, rng: np.random.Generator) -> Any:
    return np.unique(crowd.persons[ten_of(crowd, rng)])


def _known(crowd: Crowd, model: Tiny) -> Floats:
    """How surprising the values are that a row shares with the vocabulary, (n,): each column of it by itself."""
    values = model.vocabulary.values
    table = np.full((max(map(len, values)), len(values)), np.nan)
    for j, own in enumerate(values):
        table[: len(own), j] = own
    total = np.zeros(len(crowd.rows))
    for j in np.flatnonzero(crowd.task.codec.numeric).tolist():
        only = np.zeros(table.shape, dtype=bool)
        only[:, j] = ~np.isnan(table[:, j])
        total += value_match(crowd.release(np.nan_to_num(table), only, np.full(len(table), "", dtype="U1")))
    return total
