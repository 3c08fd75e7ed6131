"""The cheapest allowed row under a linear model, as a mixed-integer program for HiGHS (scipy.optimize.milp).

HiGHS has the MIT licence, SciPy BSD-3-Clause.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sensecf.classifiers.whitebox import Whitebox
from sensecf.core.distances import Scale
from sensecf.core.query import Query
from sensecf.core.rules import EPS, Floats
from sensecf.core.task import Ints, Task
from sensecf.generators.exact.choices import Bounds, PricedValues, applying, choices

#: Relative gap at which HiGHS calls an answer optimal.
PROVEN = 1e-6
#: HiGHS may break a constraint by 1e-6: leads are multiplied by this, so that it is next to nothing in log-odds.
SHARP = 1e3

Term = tuple[Ints, Floats]


class Solution(NamedTuple):
    """The cheapest row (d,), None where there is none or none was found; no allowed row is cheaper than `bound`."""

    row: Floats | None
    bound: float


@dataclass
class _Program:
    """Minimise a price over whole numbers from 0 to `most`, under rows of linear constraints."""

    price: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)
    entries: list[tuple[int, int, float]] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def columns(self, prices: Floats, most: float = 1.0) -> Ints:
        """Add variables; returns their positions."""
        first = len(self.price)
        self.price += prices.tolist()
        self.most += [most] * len(prices)
        return np.arange(first, len(self.price))

    def row(self, terms: list[Term], low: float, high: float) -> None:
        """Add `low <= sum of coefficient x variable <= high`; a term is (positions, coefficients)."""
        for at, weight in terms:
            used = np.flatnonzero(weight)
            self.entries += [(len(self.low), int(at[u]), float(weight[u])) for u in used]
        self.low.append(low)
        self.high.append(high)

    def solve(self, seconds: float) -> Any:
        """What SciPy's `milp` says."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        at, of, values = np.array(self.entries).T
        shape = len(self.low), len(self.price)
        matrix = csr_array((values, (at.astype(np.intp), of.astype(np.intp))), shape=shape)
        with _quiet():
            return milp(
                np.array(self.price),
                constraints=LinearConstraint(matrix, np.array(self.low), np.array(self.high)),
                bounds=Bounds(0, np.array(self.most)),
                integrality=np.ones(len(self.price)),
                options={"time_limit": max(seconds, 0.0), "mip_rel_gap": PROVEN},
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what HiGHS 1.12 prints past Python, on the process's own standard output, whatever it is told."""
    try:
        ours = os.dup(1)
    except OSError:  # there is no standard output
        yield
        return
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(ours, 1)
            os.close(ours)


@dataclass(frozen=True)
class _Move:
    """A way in which a feature moves: to `first`, its value nearest to the factual, and on by `step` at a time.

    `taken`: the variable that says whether; `on` (none or one): that counts the further steps.
    """

    first: float
    step: float
    taken: Ints
    on: Ints

    def terms(self, factual: float, weight: float) -> list[Term]:
        """Weight x (value - factual)."""
        moved = (self.taken, np.array([weight * (self.first - factual)]))
        return [moved, (self.on, np.full(len(self.on), weight * self.step))]


def cheapest_of_linear(
    task: Task,
    query: Query,
    opened: Whitebox,
    cuts: list[Floats],
    accept: Callable[[Floats], bool],
    bounds: Bounds,
) -> Solution:
    """The cheapest allowed row for a query of one person under a linear model.

    `cuts`: where implications turn (see `find_cuts`); `accept(row)`: the last word on a row (d,).
    A bound of infinity: there is none.
    """
    weights, cap = bounds.weights, bounds.cap
    until = time.perf_counter() + bounds.seconds
    program = _Program()
    moves = [
        _moves(task, program, column, choice, cuts[column], weights)
        for column, choice in enumerate(choices(task, query, weights, cap))
    ]
    every = [(move.taken, np.ones(1)) for found in moves for move in found]
    if not every:
        return Solution(None, np.inf)
    program.row(every, 0.0, float(query.max_changes[0]))
    _rules(task, program, moves, query.rows[0])
    leads = _leads(program, opened, moves, query)

    # First so that no valid row is left out; where the solver's tolerance lets a tie through, a hair beyond.
    ahead, bound = opened.ahead(float(query.margin[0])), np.inf
    for hair in (-opened.noise, 1e-6 / SHARP):
        for at, now in leads:
            program.low[at] = SHARP * (ahead + hair - now)
        found = program.solve(until - time.perf_counter())
        if found.x is None:
            return Solution(None, min(bound, np.inf if found.status == 2 else 0.0))
        bound = min(bound, float(found.mip_dual_bound))
        if found.fun > cap:  # as a constraint, the cap made HiGHS 1.12 fail close to the minimum
            return Solution(None, bound)
        row = _row(task, query, moves, found.x)
        if accept(row):
            return Solution(row, bound)
    return Solution(None, bound)


def _leads(program: _Program, opened: Whitebox, moves: list[list[_Move]], query: Query) -> list[tuple[int, float]]:
    """Add the target's lead over each other class; the program's row of each, and the lead before any move."""
    factual, target = query.rows[0], int(query.target[0])
    now = opened.scores(factual[None])[0]
    leads = []
    for other in np.delete(np.arange(len(now)), target).tolist():
        terms: list[Term] = []
        for column, found in enumerate(moves):
            for move in found:
                if column in opened.effect:
                    gain = opened.effect[column][[int(move.first), int(factual[column])]]
                    gain = gain[:, target] - gain[:, other]
                    terms.append((move.taken, SHARP * (gain[:1] - gain[1:])))
                else:
                    weight = opened.weight[column, target] - opened.weight[column, other]
                    terms += move.terms(factual[column], SHARP * float(weight))
        leads.append((len(program.low), float(now[target] - now[other])))
        program.row(terms, -np.inf, np.inf)
    return leads


def _row(task: Task, query: Query, moves: list[list[_Move]], x: Floats) -> Floats:
    """The row that a solution of the program stands for."""
    row = query.rows[0].copy()
    for column, found in enumerate(moves):
        for move in found:
            if x[move.taken[0]] > 0.5:
                value = np.array([move.first + move.step * round(x[move.on].sum())])
                row[column] = (task.codec.snap_column(value, [column]) if task.codec.numeric[column] else value)[0]
    return row


def _moves(
    task: Task, program: _Program, column: int, choice: PricedValues, cuts: Floats, weights: tuple[float, float]
) -> list[_Move]:
    """The ways in which a feature may move: to each level, or up and down within each cell of an implication."""
    if not task.codec.numeric[column]:
        moved = np.flatnonzero(np.arange(len(choice)) != choice.stay)
        found = [
            _Move(choice.value[at], 0.0, program.columns(choice.price[[at]]), np.empty(0, np.intp)) for at in moved
        ]
    else:
        cell = np.searchsorted(cuts, choice.value, side="left") * 3 + np.sign(np.arange(len(choice)) - choice.stay)
        found = []
        for number in np.unique(np.delete(cell, choice.stay)):
            at = np.flatnonzero(cell == number)
            up = at[0] > choice.stay
            near = at[0] if up else at[-1]
            taken, further = program.columns(choice.price[[near]]), float(len(at) - 1)
            step = float(task.codec.step[column])
            price = weights[1] * step / task.once(Scale).mad[column]
            on = program.columns(np.full(1 if further else 0, price), further)
            if further:
                program.row([(on, np.ones(1)), (taken, np.array([-further]))], -np.inf, 0.0)
            found.append(_Move(choice.value[near], step if up else -step, taken, on))
    if len(found) > 1:
        program.row([(move.taken, np.ones(1)) for move in found], 0.0, 1.0)
    return found


def _rules(task: Task, program: _Program, moves: list[list[_Move]], factual: Floats) -> None:
    """The schema's rules, as far as they apply to this person."""
    rules = task.codec.rules
    for number in np.flatnonzero(applying(task, factual)).tolist():
        weight = rules.matrix[number]
        terms = [
            term
            for column in np.flatnonzero(weight).tolist()
            for move in moves[column]
            for term in move.terms(factual[column], weight[column])
        ]
        now = float(np.nan_to_num(factual) @ weight)
        # Half of the slack that the verdict allows is left to the solver's own tolerance.
        program.row(terms, rules.low[number] - EPS / 2 - now, rules.high[number] + EPS / 2 - now)
    for _, when, then in rules.implications:
        if np.isnan(factual[[when.column, then.column]]).any():
            continue
        # (when holds) <= (then holds), each as the factual's own value plus what the moves change about it.
        terms, now = [], 0.0
        for test, sign in ((when, 1.0), (then, -1.0)):
            stays = float(test.holds(factual[[test.column]])[0])
            now += sign * stays
            for move in moves[test.column]:
                holds = float(test.holds(np.array([move.first]))[0])
                terms.append((move.taken, np.array([sign * (holds - stays)])))
        program.row(terms, -np.inf, -now)
