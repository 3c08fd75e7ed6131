"""`constant` and `constant-shift`: one plan said to everybody, in values or in amounts.

Controls: a method that knows the person should do better.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.limits import Limits
from sensecf.core.neighbours import Influence
from sensecf.core.query import Query, by_pattern, out_of_range, settle
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task, lead
from sensecf.core.verify import breaches, feasible

#: Edits of the plan at most.
EDITS = 3
#: Training rows that a plan is chosen on, and features that it is chosen among, at most.
ROWS, FEATURES = 200, 40
#: Values of a number that are tried: quantiles of the training rows in the target class.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

#: Shares of the widest change of a number that are tried as amounts.
SHARES = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0)

#: Edits by column: the value, or the amount that is added to it.
Plan = dict[int, float]


class Constant:
    """The edits, the same for all, that turn the most training rows of the other classes to the target.

    They are chosen one after the other, up to three or as many as the query allows, among the features that may
    move for somebody in it and the values in its ranges; training rows for which they break a limit of the schema
    or a rule count as not turned. A row for which the plan breaks a limit, a lock or a rule gets a reason.
    Deterministic.
    """

    name = "constant"

    def __init__(self, task: Task, seed: int = 0) -> None:
        self.task = task
        task.once(Influence)

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """One candidate per query: the plan made of its row, or why it cannot be."""
        rows = query.rows.copy()
        reasons = np.full(len(query), "", dtype=object)
        for target in np.unique(query.target):
            at = np.flatnonzero(query.target == target)
            part = query.take(at)
            plan = self.plan(part)
            rows[at], open_to = self.made(part, np.arange(len(at)), [plan])
            why = breaches(self.task, part, np.arange(len(at)), rows[at])
            why = np.where(why == "", "a feature of it follows others", why)
            same = ~self.task.codec.changed(part.rows, rows[at]).any(axis=1)
            said = "is what the row has already" if plan else "has no edit: nothing may change"
            words = np.where(same, said, "is not open to this row: " + why.astype(object))
            reasons[at] = np.where(open_to & ~same, "", "the one plan for everybody " + words.astype(object))
        rows[reasons != ""] = np.nan
        return Candidates.of(np.arange(len(query)), rows, self.name, reasons.tolist())

    def plan(self, query: Query) -> Plan:
        """The plan for queries of one target, under the limits that hold for all of them; {} where nothing helps."""
        people = self._people(query)
        tried = self._edits(query)
        plan: Plan = {}
        best = (-1.0, -np.inf)
        for _ in range(min(EDITS, int(query.max_changes.max(initial=0)))):
            further = [plan | edit for edit in tried if not edit.keys() & plan.keys()]
            score, longer = max(self._scores(people, further), key=lambda pair: pair[0], default=(best, plan))
            # A further edit must turn further people; while nobody is turned, it must lead there.
            if score[0] < best[0] or (score[0] == best[0] and (best[0] > 0 or score[1] <= best[1])):
                break
            plan, best = longer, score
        return plan

    def _people(self, query: Query) -> Query:
        """Training rows that the classifier does not put in the target class, evenly spread, as a query."""
        task, target = self.task, query.target[0]
        inside = np.ones(len(task.rows), dtype=bool)
        inside[list(out_of_range(task.codec, task.rows, task.train))] = False
        inside &= np.asarray(task.judge(task.rows).predicted != target)
        at = np.flatnonzero(inside)
        at = at[np.unique(np.linspace(0, len(at) - 1, min(ROWS, len(at))).astype(np.intp))] if len(at) else at
        limits = Limits(margin=float(query.margin.max()), edit="mutable")
        people = Query.of_rows(task, task.rows[at], task.classes[target], limits)
        moves, tow = query.movable.any(axis=0), query.follows.any(axis=0)
        return replace(people, movable=people.movable & moves, follows=people.movable & tow & ~moves)

    def _edits(self, query: Query) -> list[Plan]:
        """The single edits that are tried: what the target's training rows have, within the query's ranges."""
        codec, task = self.task.codec, self.task
        every = np.arange(len(task.schema))
        low = codec.snap_column(np.ceil(query.low.min(axis=0) / codec.step - 1e-9) * codec.step, every)
        high = codec.snap_column(np.floor(query.high.max(axis=0) / codec.step + 1e-9) * codec.step, every)
        there = task.rows[task.judge(task.rows).predicted == query.target[0]]
        order = task.once(Influence).order
        found: list[Plan] = []
        moves = np.asarray(query.movable.any(axis=0))
        for j in order[moves[order]][:FEATURES].tolist():
            seen = there[~np.isnan(there[:, j]), j]
            if not len(seen):
                continue
            values = codec.snap_column(np.quantile(seen, QUANTILES), j) if codec.numeric[j] else seen
            values = np.unique(np.clip(values, low[j], high[j]) if codec.numeric[j] else values)
            found += [{j: float(value)} for value in values if low[j] - 1e-9 <= value <= high[j] + 1e-9]
        return found

    def _scores(self, people: Query, plans: list[Plan]) -> list[tuple[tuple[float, float], Plan]]:
        """Each plan behind its score, higher is better: the rows that it turns, and the mean lead of the target."""
        if not plans or not len(people):
            return []
        owner = np.tile(np.arange(len(people)), len(plans))
        rows, fine = self.made(people, owner, plans)
        turned, leads = np.zeros(len(rows), dtype=bool), np.full(len(rows), np.nan)
        judged = self.task.judge(rows[fine])
        turned[fine] = self.task.valid(judged, people.target[owner[fine]], people.margin[owner[fine]])
        leads[fine] = lead(judged.proba, people.target[owner[fine]])
        counts = turned.reshape(len(plans), -1).sum(axis=1)
        given = fine.reshape(len(plans), -1).sum(axis=1)
        means = np.nansum(leads.reshape(len(plans), -1), axis=1) / np.maximum(given, 1)
        means = np.where(given > 0, means, -np.inf)
        return list(zip(zip(counts.tolist(), means.tolist(), strict=True), plans, strict=True))

    def made(self, query: Query, owner: Ints, plans: list[Plan]) -> tuple[Floats, Bools]:
        """The rows of `owner`, the same number for each plan in turn, with its edits made and what follows moved; and
        which of them break nothing.
        """
        rows = query.rows[owner].copy()
        size = len(owner) // len(plans)
        edited = np.zeros(rows.shape, dtype=bool)
        for number, plan in enumerate(plans):
            own = slice(number * size, (number + 1) * size)
            for j, said in plan.items():
                rows[own, j] = self._carry(query, owner[own], j, said)
            edited[own, list(plan)] = True
        fine = np.ones(len(rows), dtype=bool)
        for at, follow in by_pattern(self.task, query, owner):
            fine[at] = ~(edited[at] & ~follow.editable).any(axis=1)
        rows = settle(self.task, query, owner, rows)
        return rows, fine & feasible(self.task, query, owner, rows)

    def _carry(self, query: Query, owner: Ints, j: int, said: float) -> Floats:
        """What the feature `j` of the rows of `owner` becomes when `said` is said of it, shape (n,)."""
        return np.full(len(owner), said)


class Shift(Constant):
    """The same in amounts: so many steps more, so many minutes less, as far as a person's own limits let them go.

    What `Constant` says in values ("10,000 steps") is far from some people's days and near to others'; an amount is
    the same way for everybody. Numbers that were measured are shifted, each by up to what may be asked of any of those
    who are asked; a category is set, as by `Constant`. Deterministic. The field knows such plans as global translations
    (GLOBE-CE, Ley et al., ICML 2023), there in one direction of all features, here of up to three features.
    """

    name = "constant-shift"

    def _edits(self, query: Query) -> list[Plan]:
        """The single edits that are tried: shares of the widest change up and down, in whole steps."""
        codec = self.task.codec
        order = self.task.once(Influence).order
        found = [edit for edit in super()._edits(query) if not codec.numeric[list(edit)].any()]
        moves = np.asarray(query.movable.any(axis=0)) & codec.numeric
        for j in order[moves[order]][:FEATURES].tolist():
            asked = query.movable[:, j]
            up = float((query.high[asked, j] - query.rows[asked, j]).max(initial=0.0))
            down = float((query.rows[asked, j] - query.low[asked, j]).max(initial=0.0))
            amounts = np.outer([up, -down], SHARES).ravel()
            steps = np.unique(np.trunc(amounts / codec.step[j] + 1e-9 * np.sign(amounts)))
            found += [{j: float(step * codec.step[j])} for step in steps if step]
        return found

    def _carry(self, query: Query, owner: Ints, j: int, said: float) -> Floats:
        """The amount is added, up to the end of the person's range; what was not measured stays so."""
        codec, now = self.task.codec, query.rows[owner, j]
        if not codec.numeric[j]:
            return super()._carry(query, owner, j, said)
        low = np.ceil(query.low[owner, j] / codec.step[j] - 1e-9) * codec.step[j]
        high = np.floor(query.high[owner, j] / codec.step[j] + 1e-9) * codec.step[j]
        there = np.minimum(now + said, np.fmax(high, now)) if said > 0 else np.maximum(now + said, np.fmin(low, now))
        there = codec.snap_column(np.where(np.isnan(there), 0.0, there), j)
        # Who stands at the end of the range, nearer than the least worthwhile change, is there already.
        moved: Floats = np.where(np.isnan(now) | (np.abs(there - now) < codec.least[j] - 1e-9), now, there)
        return moved
