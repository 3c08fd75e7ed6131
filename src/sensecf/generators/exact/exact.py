"""`exact`: the cheapest row there is, with a proof, for classifiers that can be looked into."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np
import pandas as pd

from sensecf.classifiers.whitebox import open_classifier
from sensecf.core.candidates import Candidates
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.polish import polish
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.core.verify import DISTANCE_WEIGHT, edits, verify
from sensecf.generators.exact.branch import cheapest_of_trees
from sensecf.generators.exact.choices import Bounds, find_cuts
from sensecf.generators.exact.milp import cheapest_of_linear
from sensecf.generators.search import Search
from sensecf.generators.traits import Traits

#: Two prices closer than this are the same price.
SAME = 1e-6

COLUMNS = ("query", "price", "bound", "gap", "proven", "seconds")


class Exact:
    """Propose, for each query, the cheapest row that is valid and breaks nothing, and prove that it is.

    White box: logistic regression, decision trees, random forests and XGBoost, as `whitebox` reads them.
    The whole schema holds: steps, ranges, directions, locks, budgets and all rules. A search gives a first
    answer; then a mixed-integer program (`milp`, linear models) or branch and bound (`branch`, trees) looks for a
    cheaper one until there is none, or `seconds` per query are over. The classifier is asked about what the
    search tries and about each row that is to be an answer.

    `objective`: "cost" (changed features + 0.5 x MAD-L1, `verify.cost` without plausibility), "distance"
    (MAD-L1) or "changes" (fewest changes, the closest of them).

    `gaps`, a table with one row per query of the last call of `propose`: `price` of the answer by the objective
    (NaN without one), `bound` below which no allowed row lies, `gap` = (price - bound) / price, `proven` (the gap
    is 0, or it is certain that there is no answer), `seconds`. Prices are proven up to a relative error of 1e-6.
    Nothing is proven, and `bound` is 0, where parts follow their whole in proportion (`Query.follows`): the programs
    do not know of that, the search does.

    Raises `InputError` when the classifier cannot be looked into.
    """

    name = "exact"
    traits = Traits(takes=("seconds", "objective"))

    def __init__(
        self,
        task: Task,
        seed: int = 0,
        *,
        seconds: float = 10.0,
        objective: Literal["cost", "distance", "changes"] = "cost",
    ) -> None:
        if objective not in ("cost", "distance", "changes"):
            raise InputError(f"objective {objective!r} is unknown; use cost, distance or changes")
        if not seconds > 0:
            raise InputError(f"seconds must be positive, not {seconds}")
        self.task = task
        self.seconds = seconds
        self.objective = objective
        self.gaps = pd.DataFrame(columns=list(COLUMNS))
        self._opened = open_classifier(task)
        self._cuts = find_cuts(task, self._opened)
        self._search = Search(task, seed, plausibility=0.0)

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """One candidate per query, the cheapest found; a reason where there is none."""
        known, known_price = self._first(query, rng)
        rows, reasons, facts = [], [], []
        for i in range(len(query)):
            began = time.perf_counter()
            row, bound, reason = self._solve(query.take([i]), known[i], known_price[i])
            price = np.nan if np.isnan(row).all() else float(self._price(query, np.array([i]), row[None])[0])
            bound = min(bound, price) if np.isfinite(price) else bound
            gap = 0.0 if price == bound else (price - bound) / price
            proven = gap <= 2 * SAME if np.isfinite(price) else bound == np.inf
            facts.append((i, price, bound, gap, proven, time.perf_counter() - began))
            rows.append(row)
            reasons.append(reason)
        self.gaps = pd.DataFrame(facts, columns=list(COLUMNS))
        width = query.rows.shape[1]
        return Candidates.of(np.arange(len(query)), np.array(rows).reshape(-1, width), self.name, reasons)

    def _first(self, query: Query, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """The cheapest row per query that the search and the polish find, and its price (infinite for none)."""
        found = self._search.propose(query, rng)
        found = found.take(found.reason == "")
        polished = polish(self.task, query, found.query, found.rows, 0.0)
        # To stay as one is may be enough, too.
        owner = np.concatenate([found.query, found.query, np.arange(len(query))])
        rows = np.concatenate([found.rows, polished, query.rows])
        good = verify(self.task, query, Candidates.of(owner, rows, self.name)).good
        owner, rows = owner[good], rows[good]
        price = self._price(query, owner, rows)
        best, best_price = np.full(query.rows.shape, np.nan), np.full(len(query), np.inf)
        for at in np.argsort(-price, kind="stable"):  # the cheapest comes last and stays
            best[owner[at]], best_price[owner[at]] = rows[at], price[at]
        return best, best_price

    def _solve(self, query: Query, row: Floats, price: float) -> tuple[Floats, float, str]:
        """The cheapest row for one query given a first one, the bound, and why there is none."""

        def accept(answer: Floats) -> bool:
            return bool(verify(self.task, query, Candidates.of(np.zeros(1, np.intp), answer[None], self.name)).good[0])

        solve = cheapest_of_trees if self._opened.trees else cheapest_of_linear
        found = solve(
            self.task,
            query,
            self._opened,
            self._cuts,
            accept,
            Bounds(self._weights(query), price - SAME, self.seconds),
        )
        if query.follows.any():
            # The programs know of no parts that follow in proportion: what they find holds, what they prove does not.
            return (
                row if found.row is None else found.row,
                0.0,
                ""
                if found.row is not None or np.isfinite(price)
                else ("no row found, and no proof that there is none: parts follow their whole"),
            )
        if found.row is not None:
            return found.row, found.bound, ""
        if np.isfinite(price):
            return row, found.bound, ""
        if found.bound == np.inf:
            return row, found.bound, "no row within the limits is in the target class (proven)"
        return row, found.bound, f"no row found within {self.seconds:g} s, and no proof that there is none"

    def _weights(self, query: Query) -> tuple[float, float]:
        """The price of a change and of a unit of MAD-L1."""
        if self.objective == "cost":
            return 1.0, DISTANCE_WEIGHT
        if self.objective == "distance":
            return 0.0, 1.0
        # All distances together weigh less than one change.
        unit = self.task.once(Scale).mad
        numeric = self.task.codec.numeric
        farthest = np.where(numeric, np.fmax(query.high - query.rows, query.rows - query.low) / unit, 1.0)
        return 1.0, 0.5 / (1.0 + float(farthest[query.movable].sum()))

    def _price(self, query: Query, owner: Ints, rows: Floats) -> Floats:
        """What the objective says of each row, shape (m,)."""
        base = query.rows[owner]
        changes = edits(self.task.codec, query, owner, rows).sum(axis=1)
        distance = self.task.once(Scale).mad_l1(base, rows)
        weights = np.array([self._weights(query.take([i])) for i in owner]).reshape(-1, 2)
        price: Floats = weights[:, 0] * changes + weights[:, 1] * distance
        return price
