"""`augment`: rows to learn from beside the real ones, made from counterfactuals of the real ones.

    factuals -> propose -> verify -> judge -> curate -> draw -> between -> judge -> rows with label, weight, origin

A counterfactual near the boundary with the label it was made for is label noise: it says no more than
the classifier that made it believed. So judges of other families say how likely each class is, and a learner
sees the row once per class with that likelihood as its weight. LOG.md has the experiments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf.augmentation.curate import ProposedRows, curate
from sensecf.augmentation.judges import Panel, convene, in_order
from sensecf.augmentation.learning import SOFT, leanings, settled
from sensecf.augmentation.mixtures import between, mix, munge
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.query import Query, in_tow
from sensecf.core.rules import Floats
from sensecf.core.schema import Value
from sensecf.core.task import Classifier, Ints, Task
from sensecf.core.verify import feasible
from sensecf.generators import Generator

if TYPE_CHECKING:
    pass

#: Columns of an augmented row beside features and label: what it counts, where it comes from, what is thought of it.
#: Their names begin so that no feature is hidden by them: a table may well have a `weight` or a `target`.
PROVENANCE = (
    "added_weight",
    "added_source",
    "added_generator",
    "added_factual",
    "added_pair",
    "added_target",
    "added_probability",
    "added_agreement",
)
#: Times the generator is asked again (with other random numbers) while rows are missing.
ATTEMPTS = 4
#: Queries that the generator gets in one call.
BATCH = 512
#: Numbers of pairs of one attempt: more than there can be.
SPAN = 1_000_000


@dataclass(frozen=True)
class Policy:
    """What is added, and what a row must be to be added.

    `margin`: the lead (see `Task.valid`) that the classifier must give the wanted class. `judged`:
    rows have what judges say for a soft label, instead of the wanted class alone.
    `curated`: rows that held-out judges confidently contradict, outliers and near copies are left out.
    `mixed`: where real rows are too few to ask about, mixtures of them are asked about too. `sides`:
    what of each pair is added: its ends, or a row at random between them. `around`: half of the
    rows are made around training rows instead, and these are added once more, as those judge them who have
    not seen them.
    """

    margin: float = 0.0
    judged: bool = True
    curated: bool = True
    mixed: bool = True
    sides: tuple[str, ...] = ("factual", "counterfactual")
    around: bool = False


#: What rows can be made for. `augment` is ours: rows on the way and around. `pairs` are both ends of it, `factuals` and
#: `counterfactuals` one. `margin` (p >= 0.6 with two classes) and `boundary` take the wanted class for the label.
PURPOSES = {
    "augment": Policy(sides=("between",), around=True),
    "pairs": Policy(),
    "factuals": Policy(sides=("factual",)),
    "counterfactuals": Policy(sides=("counterfactual",)),
    "margin": Policy(margin=0.2, judged=False, mixed=False, sides=("counterfactual",)),
    "boundary": Policy(judged=False, curated=False, mixed=False, sides=("counterfactual",)),
}


def augment(
    task: Task,
    generator: Generator,
    rows: int | None = None,
    *,
    purpose: str = "augment",
    per_class: dict[Value, int] | None = None,
    panel: Panel | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows to learn from beside the training rows, made from counterfactuals, with label and provenance columns.

    With purpose "augment", half of the rows lie at random between factuals and their counterfactuals, half around
    training rows, and the training rows themselves come once more. A row has a soft label: what
    judges say who have not seen the training row that it was made from.

    Columns: the features, the label, then, each beginning with `added_`: `weight` (what the row counts beside a
    real row's 1), `source` ("between", "around" or "real", or which end of a pair), `generator`, `factual` (position
    of the training row it was made from), `pair` (shared by a factual and its
    counterfactual), `target` (of a counterfactual the class asked for, of others the class they are put in),
    `probability` (of the label), `agreement` (share of the judges' families that say the target), and the soft label:
    for each class `soft_CLASS`, its probability by the judges (`settled`). The label is drawn by these,
    of "real" rows it is their own. With "margin" and "boundary" it is the class asked for, and there is no soft label.

    `rows`: how many are made (default: as many as there are training rows), or `per_class`: how many towards each
    class. Fit with each class weighing alike among the real rows (`learn` does). Fewer come back where no more are
    found. Made rows together weigh no more than the training rows do. `panel`: judges convened before; by default they
    are convened here. Only training rows are seen, and the same arguments give the same rows.
    Raises `InputError` for an unknown purpose and numbers that are not positive.

    >>> added = sensecf.augment(task, sensecf.generators.Search(task), 40)
    >>> bool(set(data.schema.names) <= set(added.columns))
    True
    """
    if purpose not in PURPOSES:
        raise InputError(f"purpose {purpose!r} is unknown; use {', '.join(PURPOSES)}")
    if rows is not None and rows < 1:
        raise InputError(f"rows must be at least 1, not {rows}")
    panel = panel or convene(task.train, task.schema, seed)
    policy, wanted = PURPOSES[purpose], _wanted(task, rows, per_class)
    if not policy.around:
        return to_frame(task, draw(task, generator, wanted, policy, panel, seed), policy, panel, seed)
    on_the_way = draw(task, generator, wanted // 2, policy, panel, seed)
    pool = ProposedRows.concat([on_the_way, _around(task, panel, wanted - wanted // 2, seed)])
    return _with_opinion(task, panel, pool, seed)


def munged(task: Task, rows: int, panel: Panel, seed: int = 0) -> pd.DataFrame:
    """A control: as `augment`, but all rows are made around training rows; no counterfactual has a part in them.

    >>> panel = sensecf.augmentation.convene(train, data.schema, families=("logistic",), count=2)
    >>> len(sensecf.augmentation.munged(task, 20, panel)) > 0
    True
    """
    return _with_opinion(task, panel, _around(task, panel, evenly(rows, len(task.classes)), seed), seed)


def _around(task: Task, panel: Panel, wanted: Ints, seed: int) -> ProposedRows:
    """As many rows as wanted in all, made around training rows drawn at random (`mixtures.munge`), and judged."""
    rng = np.random.default_rng([seed, 402])
    first = rng.integers(0, len(task.rows), int(wanted.sum()))
    made = _asked(task, munge(task, first, panel.fold, rng), first, "munge")
    number = -1 - len(task.rows) - np.arange(len(first))
    return _judge(task, panel, replace(made, source=np.full(len(first), "around", dtype=object), pair=number))


def _with_opinion(task: Task, panel: Panel, pool: ProposedRows, seed: int) -> pd.DataFrame:
    """The pool's rows after the training rows as those judge them who have not seen them; see `to_frame`."""
    at, policy = np.arange(len(task.rows)), PURPOSES["augment"]
    own = _judge(task, panel, _asked(task, np.clip(task.rows, task.codec.low, task.codec.high), at, "none"))
    own = replace(own, source=np.full(len(at), "real", dtype=object), pair=-1 - at)
    made = to_frame(task, pool, policy, panel, seed)
    made["added_weight"] *= min(1.0, len(at) / max(1, len(pool)))
    return pd.concat([to_frame(task, own, policy, panel, seed), made], ignore_index=True)


def _wanted(task: Task, rows: int | None, per_class: dict[Value, int] | None) -> Ints:
    """How many rows towards each class of the task, shape (classes,)."""
    if per_class is not None:
        if any(count < 0 for count in per_class.values()):
            raise InputError(f"per_class {per_class} must hold no negative number")
        return np.array([per_class.get(c, 0) for c in task.classes], dtype=np.intp)
    return evenly(len(task.train) if rows is None else rows, len(task.classes))


def evenly(total: int, classes: int) -> Ints:
    """`total` rows divided among classes as evenly as may be, shape (classes,).

    >>> sensecf.augmentation.evenly(7, 2).tolist()
    [4, 3]
    """
    return np.array([total // classes + (k < total % classes) for k in range(classes)], dtype=np.intp)


def draw(
    task: Task,
    generator: Generator,
    wanted: Ints,
    policy: Policy,
    panel: Panel,
    seed: int,
    learner: Classifier | None = None,
) -> ProposedRows:
    """As many rows towards each class as wanted (classes,), or as are found: proposed, judged, curated, drawn.

    Which factuals are asked about, and which rows are taken, is drawn by how uncertain the judges
    are there; with a `learner` (on raw rows), by how far it is from what the judges say.

    >>> from sensecf.augmentation import PURPOSES, convene, draw, evenly
    >>> panel = convene(train, data.schema, families=("logistic",), count=2)
    >>> pool = draw(task, sensecf.generators.Search(task), evenly(20, 2), PURPOSES["augment"], panel, seed=0)
    """
    rng = np.random.default_rng([seed, 401])
    empty = ProposedRows.empty(len(task.schema), len(task.classes))
    parts = []
    for position, count in enumerate(wanted.tolist()):
        pool = empty
        for attempt in range(ATTEMPTS):
            short = count - len(pool)
            if short <= 0:
                break
            asked = _factuals(task, panel, policy, position, -(-short // len(policy.sides)), attempt, rng)
            asked = _weak(task, asked, -(-short // len(policy.sides)), rng, learner)
            asked = replace(asked, pair=asked.pair + attempt * SPAN + position * SPAN * ATTEMPTS)
            sides = {"factual": asked}
            if policy.sides != ("factual",):
                found = _judge(task, panel, _propose(task, generator, asked, position, policy.margin, rng))
                sides["counterfactual"] = curate(task, found, pool.rows) if policy.curated else found
            if "between" in policy.sides:
                sides["between"] = _judge(task, panel, _between(task, asked, sides["counterfactual"], rng))
            pool = ProposedRows.concat([pool, *(sides[side] for side in policy.sides)])
        parts.append(_weak(task, pool, count, rng, learner))
    return ProposedRows.concat([empty, *parts])


def _weak(
    task: Task, pool: ProposedRows, count: int, rng: np.random.Generator, learner: Classifier | None
) -> ProposedRows:
    """At most `count` rows, those where the judges, or the learner by their lights, are weak more often."""
    if len(pool) <= count:
        return pool
    if learner is None:
        weight = 1.05 - pool.certainty()
    else:
        told = in_order(learner.predict_proba(task.codec.decode(pool.rows)), learner.classes_, task.classes)
        weight = 0.05 + np.abs(told - pool.unseen).max(axis=1)
    return pool.take(np.sort(rng.choice(len(pool), count, replace=False, p=weight / weight.sum())))


def _factuals(
    task: Task, panel: Panel, policy: Policy, position: int, count: int, attempt: int, rng: np.random.Generator
) -> ProposedRows:
    """Rows to ask about that are to come to a class, at least `count` where there are so many.

    Training rows of other classes; with judges, those that they put in another class, and mixtures
    of training rows where these are too few or had their turn.
    """
    codec, pools = task.codec, []
    if attempt == 0 or not policy.mixed:
        real = np.clip(task.rows, codec.low, codec.high)
        pool = _judge(task, panel, _asked(task, real, np.arange(len(real)), "none"))
        elsewhere = pool.unseen.argmax(axis=1) != position if policy.judged else task.y != position
        pools.append(pool.take(elsewhere))
    if policy.mixed and sum(map(len, pools)) < count:
        first = rng.integers(0, len(task.rows), 3 * count)
        pool = _judge(task, panel, _asked(task, mix(task, first, panel.fold, rng), first, "mixture"))
        pool = pool.take(pool.unseen.argmax(axis=1) != position)
        pools.append(curate(task, pool) if policy.curated else pool)
    found = ProposedRows.concat(pools)
    return replace(found, pair=np.arange(len(found)))


def _asked(task: Task, rows: Floats, origin: Ints, maker: str) -> ProposedRows:
    """Factuals that nobody has judged yet."""
    n = len(rows)
    blank = np.full((n, len(task.classes)), np.nan)
    source, words = np.full(n, "factual", dtype=object), np.full(n, maker, dtype=object)
    return ProposedRows(rows, np.full(n, -1), origin, np.arange(n), source, words, blank, np.full(n, np.nan))


def _propose(
    task: Task, generator: Generator, asked: ProposedRows, position: int, margin: float, rng: np.random.Generator
) -> ProposedRows:
    """One counterfactual per factual, drawn among the generator's that are valid with the margin and break nothing."""
    parts = [asked.take(np.empty(0, np.intp))]
    limits = Limits(margin=margin, edit="mutable")
    for start in range(0, len(asked), BATCH):
        part = asked.take(np.arange(start, min(start + BATCH, len(asked))))
        query = Query.of_rows(task, part.rows, task.classes[position], limits)
        found = generator.propose(query, rng)
        found = replace(found, rows=in_tow(task, query, found.query, found.rows))
        found = found.take(found.reason == "")
        found = found.take(feasible(task, query, found.query, found.rows))
        judgement = task.judge(found.rows, final=True)
        found = found.take(task.valid(judgement, query.target[found.query], query.margin[found.query]))
        moved = task.codec.changed(query.rows[found.query], found.rows).any(axis=1)
        found = found.take(np.flatnonzero(moved))
        found = found.take(rng.permutation(len(found)))
        found = found.take(np.unique(found.query, return_index=True)[1])
        n = len(found)
        made = replace(part.take(found.query), rows=found.rows, generator=found.generator)
        source = np.full(n, "counterfactual", dtype=object)
        parts.append(replace(made, target=np.full(n, position), source=source))
    return ProposedRows.concat(parts)


def _between(task: Task, asked: ProposedRows, found: ProposedRows, rng: np.random.Generator) -> ProposedRows:
    """A row at random on the way from each factual to its counterfactual, judged by nobody yet."""
    n, start = len(found), asked.rows[np.searchsorted(asked.pair, found.pair)]
    rows = between(task, start, found.rows, rng.random((n, 1)), rng)
    return replace(found, rows=rows, target=np.full(n, -1), source=np.full(n, "between", dtype=object))


def _judge(task: Task, panel: Panel, pool: ProposedRows) -> ProposedRows:
    """The pool with what the judges say who have not seen the training rows that a row was made from.

    A row without a target (-1), a factual, gets the class that they put it in.
    """
    unseen, agreement, target = np.empty_like(pool.unseen), np.empty(len(pool)), pool.target.copy()
    fold, frame = panel.fold[pool.factual], task.codec.decode(pool.rows)
    for number in np.unique(fold):
        at, committee = np.flatnonzero(fold == number), panel.folds[number]
        order = [np.asarray(committee.classes_).tolist().index(c) for c in task.classes]
        each = committee.each(frame.iloc[at])[:, :, order]
        unseen[at] = np.einsum("m,mnc->nc", np.array(committee.weights), each)
        target[at] = np.where(target[at] < 0, unseen[at].argmax(axis=1), target[at])
        agreement[at] = (each.argmax(axis=2) == target[at]).mean(axis=0)
    return replace(pool, unseen=unseen, agreement=agreement, target=target)


def to_frame(task: Task, pool: ProposedRows, policy: Policy, panel: Panel, seed: int) -> pd.DataFrame:
    """The pool as labelled rows with their provenance; see `augment`. `panel`: its judges.

    >>> from sensecf.augmentation import PURPOSES, convene, draw, evenly, to_frame
    >>> panel = convene(train, data.schema, families=("logistic",), count=2)
    >>> pool = draw(task, sensecf.generators.Search(task), evenly(20, 2), PURPOSES["augment"], panel, seed=0)
    >>> len(to_frame(task, pool, PURPOSES["augment"], panel, seed=0)) > 0
    True
    """
    n, everyone = len(pool), np.arange(len(pool))
    unseen = in_order(panel.proba, panel.classes, task.classes)
    soft = settled(pool.unseen, np.bincount(task.y, minlength=len(task.classes)), leanings(unseen, task.y))
    drawn = (np.random.default_rng([seed, 404]).random((n, 1)) >= soft.cumsum(axis=1)[:, :-1]).sum(axis=1)
    label = drawn if policy.judged else pool.target
    label = np.where(pool.source == "real", task.y[pool.factual], label)
    frame = task.codec.decode(pool.rows)
    words = np.array([*task.classes, None], dtype=object)
    provenance: dict[str, Any] = {
        task.schema.label: words[label],
        "added_weight": np.ones(n),
        "added_source": pool.source,
        "added_generator": pool.generator,
        "added_factual": pool.factual,
        "added_pair": pool.pair,
        "added_target": words[pool.target],
        "added_probability": soft[everyone, label].round(6),
        "added_agreement": pool.agreement.round(6),
    }
    if policy.judged:
        provenance |= {f"{SOFT}{c}": soft[:, k].round(6) for k, c in enumerate(task.classes)}
    return pd.concat([frame, pd.DataFrame(provenance, index=frame.index)], axis=1).infer_objects()
