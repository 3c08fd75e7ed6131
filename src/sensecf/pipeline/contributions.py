"""What each edit of a plan adds to the change of the classifier's answer: Shapley values over the edits.

Every subset of the edits is a row of its own, with what follows from it by a rule; an edit's value is what it adds to
the probability of the target on average over the orders in which the edits can be made. The values add up to the whole
change. Shapley 1953; for counterfactuals Albini et al. 2022 (CounterShapley).
"""

from __future__ import annotations

from math import factorial

import numpy as np

from sensecf.core.query import Query, in_tow
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Task

#: Edits up to which every subset is asked about: 256 rows for each row of a plan.
MOST_EDITS = 8


def contributions(task: Task, query: Query, rows: Floats, edited: Bools) -> Floats | None:
    """What each edit adds to the probability of the target, shape (d,), 0 for what is not edited; positive is towards
    the target.

    `rows` (q, d): a plan's row for each query (the same person's days); `edited` (d,): the features that it edits.
    The values are means over the rows and sum to the mean change. None for more than `MOST_EDITS` edits.
    """
    players = np.flatnonzero(edited)
    count, q = len(players), len(rows)
    if count > MOST_EDITS:
        return None
    found = np.zeros(rows.shape[1])
    if not count or not q:
        return found
    subsets = (np.arange(2**count)[:, None] >> np.arange(count)) & 1 == 1
    some = np.repeat(query.rows[None], len(subsets), axis=0)  # (subsets, q, d)
    for k, column in enumerate(players):
        some[subsets[:, k], :, column] = rows[:, column]
    some[-1] = rows
    owner = np.tile(np.arange(q), len(subsets) - 2) if len(subsets) > 2 else np.empty(0, np.intp)
    if len(owner):
        some[1:-1] = in_tow(task, query, owner, some[1:-1].reshape(-1, rows.shape[1])).reshape(-1, q, rows.shape[1])
    flat = some.reshape(-1, rows.shape[1])
    proba = task.judge(flat).proba
    value = proba[np.arange(len(flat)), np.tile(query.target, len(subsets))].reshape(len(subsets), q).mean(axis=1)
    size = subsets.sum(axis=1)
    for k, column in enumerate(players):
        without = np.flatnonzero(~subsets[:, k])
        weight = [factorial(s) * factorial(count - s - 1) / factorial(count) for s in size[without].tolist()]
        found[column] = float(np.dot(weight, value[without + (1 << k)] - value[without]))
    return found
