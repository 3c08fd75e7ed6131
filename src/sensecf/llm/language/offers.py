"""Offers: for each feature the one or two changes that bring a person nearest to the wanted class, and by how much.

What a model is told that cannot see the classifier. They are measured at one question per value, all people at once,
and what they bring is said in points of log odds: unlike probabilities these nearly add up, so that a sum tells
whether a few of them are enough. Values come from training rows that the classifier calls as wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensecf.core.distances import Scale
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.core.verify import DISTANCE_WEIGHT, cost, feasible

if TYPE_CHECKING:
    from sensecf.llm.language.offered import Offered
    from sensecf.llm.language.prompts import Asked, Prompts

#: Offers to a person, at most, and as many as are made at least, though nothing brings a point.
MOST, LEAST = 8, 3
#: Values of a number that are tried: so many quantiles of the rows in the wanted class, from one end to the other.
QUANTILES = np.linspace(0.05, 0.95, 11)
#: Of so many levels each is tried; of more, those that are commonest in the wanted class.
LEVELS = 12
#: A second value of the same feature is offered where it brings so many times as much as the first.
FURTHER = 1.4
#: Points in one unit of log odds, and the probability that is told apart from 0 and from 1.
POINTS, CERTAIN = 10.0, 1e-3
#: Values of rows that are in memory at a time, so that a table of two hundred columns takes no more than others.
CELLS = 20_000_000
#: Offers taken together in an answer to learn from, answers whose likeness to the data is looked at, and the price, in
#: changed features, up to which an answer that can be read off is preferred to the cheapest one.
TOGETHER, LOOKED_AT, DEARER = 4, 12, 2.0


class Offer(NamedTuple):
    """A change of one feature: its column, the encoded value, the points that it brings, and its price alone."""

    column: int
    value: float
    points: int
    price: float


def missing(asked: Asked) -> int:
    """The points that a person lacks to the lead that is asked for; at least one in another class than the wanted."""
    wanted = np.log((1 + min(asked.margin, 0.99)) / (1 - min(asked.margin, 0.99)))
    short = wanted - float(log_odds(asked.proba[None], np.array([asked.target]))[0])
    return max(int(np.ceil(POINTS * short)), int(asked.predicted != asked.target))


def log_odds(proba: Floats, target: Ints) -> Floats:
    """Log odds of the class `target` (m,) against the likeliest other one, shape (m,)."""
    at = np.arange(len(proba))
    clear = np.clip(proba, CERTAIN, 1 - CERTAIN)
    others = clear.copy()
    others[at, target] = 0.0
    odds: Floats = np.log(clear[at, target]) - np.log(others.max(axis=1))
    return odds


def offers(prompts: Prompts, asked: Sequence[Asked]) -> list[tuple[Offer, ...]]:
    """The offers to each person, what brings most for its price first."""
    d = len(prompts.task.schema)
    size = max(1, CELLS // (d * d * len(QUANTILES)))
    return [found for begin in range(0, len(asked), size) for found in _offers(prompts, asked[begin : begin + size])]


def _offers(prompts: Prompts, asked: Sequence[Asked]) -> list[tuple[Offer, ...]]:
    task = prompts.task
    usual = task.once(_Usual)
    tried = [(i, j, v) for i, one in enumerate(asked) for j in one.choices for v in usual.values(one, j)]
    if not tried:
        return [()] * len(asked)
    owner = np.array([i for i, _, _ in tried])
    rows = _made(prompts, asked, owner, [{j: v} for _, j, v in tried])
    target = np.array([one.target for one in asked])
    now = log_odds(np.array([one.proba for one in asked]), target)
    gain = POINTS * (log_odds(task.judge(rows).proba, target[owner]) - now[owner])
    price = 1 + DISTANCE_WEIGHT * task.once(Scale).mad_l1(np.array([one.at for one in asked])[owner], rows)
    by: list[dict[int, list[Offer]]] = [{} for _ in asked]
    for k, (i, j, value) in enumerate(tried):
        by[i].setdefault(j, []).append(Offer(j, value, round(float(gain[k])), float(price[k])))
    return [_chosen(one, found) for one, found in zip(asked, by, strict=True)]


def _chosen(asked: Asked, by: dict[int, list[Offer]]) -> tuple[Offer, ...]:
    """Of each feature the value that brings most for its price, and one that brings much more; the best of all."""
    short = missing(asked)

    def worth(offer: Offer) -> float:
        """Points for the price; more than are lacking bring nothing."""
        return min(offer.points, short) / offer.price

    found: list[Offer] = []
    for several in by.values():
        first = max(several, key=worth)
        most = max(several, key=lambda offer: (offer.points, -offer.price))
        found += [first, most] if most.points > max(FURTHER * first.points, first.points + 1) else [first]
    found.sort(key=worth, reverse=True)
    plenty = [offer for offer in found if offer.points > 0]
    return tuple(plenty[:MOST] if len(plenty) >= LEAST else found[:LEAST])


class _Usual:
    """Values worth trying, from the training rows that the classifier puts into each class; get it with `task.once`."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._predicted = task.judge(task.rows).predicted
        self._known: dict[tuple[int, int], Floats] = {}

    def values(self, asked: Asked, column: int) -> list[float]:
        """What a feature of a person may become and is worth trying, without repeats, in ascending order."""
        choice = asked.choices[column]
        common = self._common(asked.target, column)
        if choice.codes:
            codes = [float(code) for code in choice.codes]
            if len(codes) > LEVELS:
                often = {float(value) for value in common}
                codes = [code for code in codes if code in often] or codes[:LEVELS]
            return codes
        inside = {min(max(float(value), choice.low), choice.high) for value in common}
        # What lies between two parts is the present value, or was refused: a step beside it is no other answer.
        return sorted(v for v in inside if any(low - 1e-9 <= v <= high + 1e-9 for low, high in choice.parts))

    def _common(self, target: int, column: int) -> Floats:
        """Quantiles of a number or the commonest levels among the rows of a class, of all rows where it is empty."""
        if (target, column) not in self._known:
            codec = self._task.codec
            inside = self._task.rows[self._predicted == target, column]
            seen = inside[~np.isnan(inside)]
            if not len(seen):
                every = self._task.rows[:, column]
                seen = every[~np.isnan(every)]
            if codec.numeric[column]:
                found = np.quantile(seen, QUANTILES, method="nearest") if len(seen) else seen
                found = codec.snap_column(found, np.full(len(found), column))
            else:
                levels, counts = np.unique(seen, return_counts=True)
                found = levels[np.argsort(-counts, kind="stable")[:LEVELS]]
            self._known[target, column] = found
        return self._known[target, column]


def enough(asked: Asked, offered: Sequence[Offer]) -> dict[int, float]:
    """The cheapest offers whose points add up to what is missing, else those that bring most: no model, no question.

    What a model that is told the offers has to be better than.
    """
    short = missing(asked)
    together = list(_together(asked, offered))
    reached = [several for several in together if sum(offer.points for offer in several) >= short]
    if reached:
        best = min(reached, key=lambda several: sum(offer.price for offer in several))
    else:
        best = max(together, key=lambda several: sum(offer.points for offer in several), default=())
    return {offer.column: offer.value for offer in best}


def added_up(prompts: Offered, asked: Sequence[Asked]) -> Floats:
    """The row that `enough` makes of each person's, shape (n, d); NaN where nothing is offered."""
    rows = _made(prompts, asked, np.arange(len(asked)), [enough(one, one.offers) for one in asked])
    rows[[not one.offers for one in asked]] = np.nan
    return rows


def answers(prompts: Offered, query: Query, plausibility: float, slack: float = 0.0) -> tuple[Ints, Floats]:
    """A verified answer of offered changes to each query that has one: (position, row).

    Answers to learn from, so they are such as can be seen to be right: what is offered, in its order, until it is
    enough. Where that is not valid, or dearer than the cheapest choice by more than `DEARER`, the cheapest is taken.
    They lead by `slack` more than is asked for.
    """
    asked = prompts.ask(query)
    query = harder(query, slack)
    size = max(1, CELLS // (len(prompts.task.schema) * 2**MOST))
    parts = [
        _answers(prompts, query, asked, range(begin, min(begin + size, len(asked))), plausibility)
        for begin in range(0, len(asked), size)
    ]
    nobody = np.zeros(0, dtype=np.intp), np.zeros((0, len(prompts.task.schema)))
    owner, rows = (np.concatenate(part) for part in zip(nobody, *parts, strict=True))
    return owner, rows


def harder(query: Query, slack: float) -> Query:
    """The query with margins that are wider by `slack`, as far as there is room."""
    return replace(query, margin=np.maximum(query.margin, np.minimum(query.margin + slack, 0.95)))


def _answers(
    prompts: Offered, query: Query, asked: Sequence[Asked], some: range, plausibility: float
) -> tuple[Ints, Floats]:
    task = prompts.task
    together = [(i, several) for i in some for several in _together(asked[i], asked[i].offers)]
    who = np.array([i for i, _ in together], dtype=np.intp)
    edits = [{offer.column: offer.value for offer in several} for _, several in together]
    made = _made(prompts, asked, who, edits)
    if not len(made):
        return who, made
    fine = task.valid(task.judge(made), query.target[who], query.margin[who]) & feasible(task, query, who, made)
    read_off = {i: in_order(asked[i], asked[i].offers) for i in some}
    first = np.array([several == read_off[i] for i, several in together])[fine]
    who, made = who[fine], made[fine]
    near = _cheapest(who, cost(task, query, who, made, 0.0) - np.where(first, np.inf, 0.0), LOOKED_AT)
    who, made, first = who[near], made[near], first[near]
    best = _cheapest(who, cost(task, query, who, made, plausibility) - np.where(first, DEARER, 0.0), 1)
    return who[best], made[best]


def in_order(asked: Asked, offered: Sequence[Offer]) -> tuple[Offer, ...]:
    """The first offer of each feature, in the order in which they are told, until their points are enough."""
    short, taken = missing(asked), {}
    for offer in offered:
        if short > 0 and offer.column not in taken:
            taken[offer.column] = offer
            short -= offer.points
    return tuple(taken.values())


def _made(prompts: Prompts, asked: Sequence[Asked], owner: Ints, edits: Sequence[dict[int, float]]) -> Floats:
    """The row of each owner, in order, with its edits and with what follows: `replies.row_of` for many at once."""
    codec = prompts.task.codec
    rows = np.array([asked[i].row for i in owner]).reshape(len(owner), len(prompts.task.schema))
    edits = [{**asked[i].made, **own} for i, own in zip(owner.tolist(), edits, strict=True)]
    for row, own in zip(rows, edits, strict=True):
        row[list(own)] = list(own.values())
    made = rows.copy()
    own_rows = np.flatnonzero(np.diff(owner, prepend=-1, append=-1))
    for begin, end in zip(own_rows[:-1].tolist(), own_rows[1:].tolist(), strict=True):
        one, mine = asked[owner[begin]], slice(begin, end)
        made[mine] = codec.rules.settle(np.tile(one.row, (end - begin, 1)), rows[mine], one.follow, codec.step)
    for row, own in zip(made, edits, strict=True):
        row[list(own)] = list(own.values())
    return made


def _cheapest(owner: Ints, price: Floats, keep: int) -> Ints:
    """Positions of the `keep` cheapest of each owner."""
    order = np.lexsort((price, owner))
    _, first, counts = np.unique(owner[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, counts)
    return np.sort(order[rank < keep])


def _together(asked: Asked, offered: Sequence[Offer]) -> list[tuple[Offer, ...]]:
    """Every choice of offers to a person that an answer may name, at most one of each feature."""
    most = min(TOGETHER, asked.max_changes)
    return [
        several
        for count in range(1, most + 1)
        for several in combinations(offered, count)
        if len({offer.column for offer in several}) == count
    ]
