"""Shots: examples for a prompt, each a training row with a verified counterfactual.

They come from the training rows of the task and from nowhere else. The search answers and the polish trims, or what
the prompt offers is taken; verification has the last word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.limits import Edit, Limits
from sensecf.core.query import Query, out_of_range
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints
from sensecf.core.verify import edits, verify
from sensecf.generators.tiny.pairs import teach
from sensecf.llm.language.offered import Offered
from sensecf.llm.language.offers import answers, harder
from sensecf.llm.language.prompts import Asked, Prompts

#: Training rows for which a counterfactual is sought, per target class.
POOL = 160

Choice = Literal["nearest", "diverse", "fixed"]


class ShotPool(NamedTuple):
    """Verified pairs towards one class: the questions, their encoded rows (m, d), the answers and edits (m, d)."""

    asked: list[Asked]
    rows: Floats
    answers: Floats
    edits: Bools


class Shots:
    """Verified pairs towards each target class, from which examples are chosen; made when first needed.

    `choice`: "nearest" takes the pairs whose factuals are most like the person; "diverse" begins with
    the nearest and goes on with pairs that change other features; "fixed" gives everybody the same,
    spread over the training rows. A pair that changes what the person has locked, that changes more
    features than the person allows, or whose factual is the person's own row is passed over, so that
    there may be fewer than `count`.
    """

    def __init__(
        self, prompts: Prompts, count: int, choice: Choice = "nearest", *, seed: int = 0, plausibility: float = 1.0
    ) -> None:
        if count < 0:
            raise InputError(f"the number of shots must be at least 0, not {count}")
        if choice not in get_args(Choice):
            raise InputError(f"shots are chosen {', '.join(get_args(Choice))}, not {choice!r}")
        self._prompts, self._task = prompts, prompts.task
        self.count = count
        self.choice = choice
        self._seed, self._plausibility = seed, plausibility
        self._pools: dict[tuple[int, float, Edit], ShotPool] = {}

    def pool(self, target: int, margin: float = 0.0, edit: Edit = "mutable") -> ShotPool:
        """The pairs towards a class position, for answers that lead by `margin` and edit what `edit` says."""
        key = (target, margin, edit)
        if key not in self._pools:
            self._pools[key] = self._make(*key)
        return self._pools[key]

    def choose(self, query: Query) -> list[list[tuple[Asked, Floats]]]:
        """The examples for each person as `Prompts.render` takes them, the one most like the person last."""
        chosen: list[list[tuple[Asked, Floats]]] = [[] for _ in range(len(query))]
        for i in range(len(query) if self.count else 0):
            # Where something follows, the pairs show what following looks like.
            edit: Edit = "actionable" if query.follows[i].any() else "mutable"
            pool = self.pool(int(query.target[i]), float(query.margin[i]), edit)
            chosen[i] = [(pool.asked[at], pool.answers[at]) for at in self._pick(query, i, pool)[::-1].tolist()]
        return chosen

    def _make(self, target: int, margin: float, edit: Edit) -> ShotPool:
        task = self._task
        rng = np.random.default_rng([self._seed, 11, target])
        judged = task.judge(task.rows)
        usable = np.flatnonzero((judged.predicted != target) | judged.tie)
        usable = usable[~np.isin(usable, list(out_of_range(task.codec, task.rows, task.train)))]
        drawn = np.sort(rng.permutation(usable)[:POOL])
        query = Query.of_rows(task, task.rows[drawn], task.classes[target], Limits(margin=margin, edit=edit))
        query = replace(query, movable=query.movable & ~self._prompts.wording.withheld)
        rows = query.rows
        if len(query):
            at, rows = answered_by(self._prompts, query, rng, self._plausibility)
            good = verify(task, query, Candidates.of(at, rows, "shots")).good
            query, rows = query.take(at[good]), rows[good]
        changes = edits(task.codec, query, np.arange(len(query)), rows)
        return ShotPool(self._prompts.ask(query), query.rows, rows, changes)

    def _pick(self, query: Query, i: int, pool: ShotPool) -> Ints:
        """Positions of the pairs for one person, the best first."""
        scale, person = self._task.once(Scale), query.rows[i]
        edited = pool.edits
        same = ((pool.rows == person) | (np.isnan(pool.rows) & np.isnan(person))).all(axis=1)
        fits = ~(edited & ~query.movable[i]).any(axis=1) & (edited.sum(axis=1) <= query.max_changes[i]) & ~same
        at = np.flatnonzero(fits)
        if not len(at):
            return at
        points = scale.embed(pool.rows[at])
        if self.choice == "fixed":
            return at[_spread(points, self.count)]
        away = np.linalg.norm(points - scale.embed(person[None]), axis=1)
        near = np.argsort(away, kind="stable")
        if self.choice == "diverse":
            near = _different(edited[at], near, self.count)
        return at[near[: self.count]]


def answered_by(
    prompts: Prompts,
    query: Query,
    rng: np.random.Generator,
    plausibility: float,
    slack: float = 0.0,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[Ints, Floats]:
    """Verified answers to show or to learn from, (position, row), which lead by `slack` more than is asked for.

    Made of what the prompts offer, where they offer something (see `offers.answers`); else the search's.
    """
    if isinstance(prompts, Offered):
        return answers(prompts, query, plausibility, slack)
    return teach(prompts.task, harder(query, slack), rng, plausibility, progress)


def _spread(points: Floats, count: int) -> Ints:
    """Positions that begin in the middle and go on with the point farthest from all before."""
    chosen = [int(np.linalg.norm(points - np.median(points, axis=0), axis=1).argmin())]
    apart = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen, dtype=np.intp)


def _different(edits: Bools, order: Ints, count: int) -> Ints:
    """The first of `order`, then again and again the first of those that share the fewest edits with the chosen."""
    chosen: list[int] = []
    left = order.tolist()
    shared = np.zeros(len(edits))
    while left and len(chosen) < count:
        best = min(left, key=lambda position: shared[position])  # the first of equals
        chosen.append(best)
        left.remove(best)
        union = (edits | edits[best]).sum(axis=1)
        shared = np.maximum(shared, (edits & edits[best]).sum(axis=1) / np.maximum(union, 1))
    return np.array(chosen, dtype=np.intp)
