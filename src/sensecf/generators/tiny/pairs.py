"""Pairs for learning: queries drawn from training rows, each with a verified counterfactual."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sensecf.core.limits import Limits
from sensecf.core.polish import polish
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.core.verify import cost
from sensecf.generators.search import Effort, Search

#: The search is asked in batches of so many queries, which bounds memory.
BATCH = 512
#: How hard the teacher searches: enough for one good answer, cheap enough for thousands.
TEACHER = Effort(beam=3, edits=32, depth=4, neighbours=4, keep=3)


def draw_queries(task: Task, count: int, rng: np.random.Generator, margins: Floats) -> Query:
    """Queries over training rows and mixtures of them, with random targets, locks, budgets and margins.

    Half of the factuals are training rows, the others training rows with a few values of another
    one (rules kept). The target is a class that the classifier does not give the row, each as
    often as the others. So the model can be asked anything later: half of the queries lock
    features (each with a probability drawn between 0.1 and 0.7), a quarter has a budget of 1 to 3.
    """
    codec, d = task.codec, len(task.schema)
    rows = task.rows[rng.integers(0, len(task.rows), 3 * count)]
    rows = np.clip(rows, codec.low, codec.high)
    other = np.clip(task.rows[rng.integers(0, len(task.rows), len(rows))], codec.low, codec.high)
    mixed = np.less(rng.random((len(rows), d)), rng.uniform(0.05, 0.4, (len(rows), 1)))
    mixed = mixed & (rng.random((len(rows), 1)) < 0.5) & ~np.isnan(rows) & ~np.isnan(other)
    everything = np.ones(d, dtype=bool)
    follow = codec.rules.follow(everything, task.medians)
    mixture = codec.rules.settle(rows, np.where(mixed, other, rows), follow, codec.step)
    off = (mixture < codec.low) | (mixture > codec.high)
    broken = np.any(off, axis=1) | np.any(codec.rules.violated(mixture), axis=1)
    rows = np.where(broken.reshape(-1, 1), rows, mixture)

    predicted = task.judge(rows).predicted
    target = (predicted + rng.integers(1, len(task.classes), len(rows))) % len(task.classes)
    # Every target equally often, as far as the rows allow.
    order = rng.permutation(len(rows))
    place = np.empty(len(rows), dtype=np.intp)
    for position in range(len(task.classes)):
        members = order[target[order] == position]
        place[members] = np.arange(len(members))
    chosen = np.sort(np.lexsort((order, place))[:count])

    query = Query.of_rows(task, rows[chosen], task.classes[0], Limits(edit="mutable"))
    n = len(query)
    acts = Query.of_rows(task, rows[chosen], task.classes[0], Limits())
    own = rng.random((n, 1)) < 0.5  # half of the lessons are made of what a person does
    locked = np.less(rng.random((n, d)), rng.uniform(0.1, 0.7, (n, 1)))
    locked = locked & (rng.random((n, 1)) < 0.5)
    budget = np.where(rng.random(n) < 0.25, rng.integers(1, 4, n), query.max_changes)
    return Query(
        query.rows,
        target[chosen],
        query.low,
        query.high,
        np.where(own, acts.movable, query.movable) & ~locked,
        own & acts.follows & ~locked,
        np.minimum(budget, query.max_changes),
        rng.choice(margins, n),
        np.zeros(n, dtype=np.intp),
        np.zeros(n, dtype=np.intp),
    )


def teach(
    task: Task,
    query: Query,
    rng: np.random.Generator,
    plausibility: float,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[Ints, Floats]:
    """The teacher's best answer to each query it can answer: (position, row); valid and feasible."""
    teacher = Search(task, effort=TEACHER, plausibility=plausibility)
    owners, rows = [], []
    for begin in range(0, len(query), BATCH):
        part = query.take(slice(begin, begin + BATCH))
        found = teacher.propose(part, rng)
        found = found.take(found.reason == "")
        price = cost(task, part, found.query, found.rows, plausibility)
        order = np.lexsort((price, found.query))
        best = found.take(order[np.unique(found.query[order], return_index=True)[1]])
        owners.append(best.query + begin)
        rows.append(polish(task, part, best.query, best.rows, plausibility, rounds=3))
        progress(min(1.0, (begin + BATCH) / len(query)))
    return np.concatenate(owners), np.concatenate(rows)
