"""`Mechanisms`: what is expected to follow from a plan, by the causes that the schema accepts.

Each result with causes has a mechanism fitted on the training rows: additive noise, so that a person keeps their
own residual (abduction), and the expected value after an action is what was measured plus what the mechanism says
of the causes now less what it said of them before. Values are those of the same day, not of weeks later. Causes are
taken as the schema says them: nothing here shows that they are true.

Pearl 2009 (abduction, action, prediction); Hoyer et al. 2009 (additive noise); Mundlak 1978 (a person's means beside
the values of the day, so that what differs between people is not taken for an effect).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
from scipy.optimize import lsq_linear
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import Feature
from sensecf.core.task import Ints, Task

#: Fits on people drawn with replacement, from which the bands come.
BOOTSTRAPS = 20
#: Probability that a band claims to hold.
LEVEL = 0.90
#: Folds over people in which the kind of a mechanism is chosen, and rows that one is fitted on at most.
FOLDS, MOST_ROWS = 3, 2000
#: Rows among which boosted trees are compared with what costs next to nothing.
COMPARED = 700
#: Inner knots of a bent line, at quantiles of the cause.
KNOTS = 3
#: Trees of a boosted mechanism.
ROUNDS = 30
#: A mechanism is fitted on at least so many complete rows.
FEWEST = 30
#: A richer kind is taken where its squared error is smaller by more than this share.
GAIN = 0.02
#: Results of whole numbers with at most so many values may be ordinal.
LEVELS = 13
#: What is left of the consequences where a rule would be broken: all of them first, none last.
SHARES = (1.0, 0.75, 0.5, 0.25)

Kind = Literal["linear", "bent", "boosted", "ordinal"]


class Fit(Protocol):
    """A fitted mechanism without its noise."""

    def __call__(self, causes: Floats) -> Floats:
        """What the result is expected to be up to a constant of the person, shape (n,); `causes` (n, p)."""


@dataclass(frozen=True)
class Mechanism:
    """How one result answers to its causes.

    `column` of the result, `parents` those of its causes; `kind`, chosen by `error`, the mean squared error on held-out
    people by kind; `fits`: on all people first, then on each bootstrap sample;
    `other`: the kind that came second, fitted on all people.
    """

    column: int
    parents: tuple[int, ...]
    kind: Kind
    error: dict[Kind, float]
    fits: tuple[Fit, ...]
    other: Fit


@dataclass(frozen=True)
class Followed:
    """What is expected to follow, arrays of shape (m, d) in the order of the rows that were asked about.

    `expected`: rows as the body is expected to show them; `low`, `high`: ends of the band of each result by itself,
    equal to `expected` where nothing follows; `worst`: the row at the ends that lower the probability of the target,
    where a target was given. `expected` and `worst` break no rule that the rows asked about keep.
    """

    expected: Floats
    low: Floats
    high: Floats
    worst: Floats | None = None


class Mechanisms:
    """The mechanisms of a task, fitted on its training rows; get them with `task.once(Mechanisms)`.

    Of a schema without accepted causes there are none (`bool(mechanisms)` is False). The kind of each is chosen by
    cross-validation over people: linear, bent (linear between knots) or boosted trees, both monotone where a sign is
    given, or, for whole numbers of few values, ordinal. Fitted anew where a saved task
    is opened, with the same result: nothing is pickled.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        columns = task.schema.columns
        causes = {f.name: f.causes for f in task.schema.features}
        self.mechanisms: list[Mechanism] = []
        self._members = np.zeros((len(task.schema.rules), len(task.schema)))
        for number, rule in enumerate(task.schema.rules):
            self._members[number, [columns[name] for name in rule.members()]] = 1.0
        group = task.schema.group
        people = np.arange(len(task.rows)) if group is None else _codes(task.train[group].to_numpy())
        for name in TopologicalSorter(causes).static_order():
            feature = task.schema[name]
            if feature.causes:
                made = _mechanism(task, feature, tuple(columns[c] for c in feature.causes), people)
                if made is not None:
                    self.mechanisms.append(made)

    def __bool__(self) -> bool:
        return bool(self.mechanisms)

    @property
    def columns(self) -> list[int]:
        """The results that have a mechanism, causes before what they cause."""
        return [m.column for m in self.mechanisms]

    def follow(self, base: Floats, rows: Floats, still: Bools | None = None) -> Followed:
        """What is expected of rows (m, d) that differ from the factuals `base` (m, d) by actions.

        `still` (m, d): results that are set and so do not answer to their causes; what already differs is among them.
        Blank results and those with a blank cause stay as they are. Expected values are multiples of their steps
        within what the training rows show, and break no rule that `rows` keeps.
        """
        task, codec = self._task, self._task.codec
        held = codec.changed(base, rows) if still is None else still | codec.changed(base, rows)
        # Each fit has a world of its own, (fits, m, d).
        worlds = np.repeat(rows[None].astype(float), BOOTSTRAPS + 1, axis=0)
        moved = np.flatnonzero(held.any(axis=1))
        for m in self.mechanisms:
            parents = list(m.parents)
            at = moved[~held[moved, m.column] & ~np.isnan(base[moved][:, [m.column, *parents]]).any(axis=1)]
            # Only where a cause moved in some world is there anything to compute.
            at = at[(np.abs(worlds[:, at][:, :, parents] - base[at][:, parents]) > 1e-9).any(axis=(0, 2))]
            if not len(at):
                continue
            before = base[at][:, parents]
            for b, fit in enumerate(m.fits):
                worlds[b, at, m.column] = base[at, m.column] + fit(worlds[b, at][:, parents]) - fit(before)
            # What a bootstrap does not know of: another kind of mechanism, and values that were recorded in steps.
            now = worlds[0, at][:, parents]
            doubt = base[at, m.column] + m.other(now) - m.other(before) - worlds[0, at, m.column]
            luck = _luck(m.column)
            worlds[1:, at, m.column] += luck[:, [0]] * codec.step[m.column] / np.sqrt(6) + luck[:, [1]] * doubt
        spread = worlds[1:].std(axis=0, ddof=1) * student.ppf((1 + LEVEL) / 2, BOOTSTRAPS - 1)
        rough = worlds[0]
        ends = []
        for value in (rough, rough - spread, rough + spread):
            there = rows.copy()
            for m in self.mechanisms:
                j = m.column
                free = ~held[:, j] & ~np.isnan(base[:, j]) & (np.abs(rough[:, j] - base[:, j]) > 1e-9)
                bounds = (np.fmin(task.reach[0][j], base[:, j]), np.fmax(task.reach[1][j], base[:, j]))
                there[free, j] = codec.snap_column(np.clip(value[:, j], *bounds)[free], np.full(int(free.sum()), j))
            ends.append(there)
        expected = self.lawful(rows, ends[0])
        # Ends are of each result by itself; a row of nothing but ends need not be possible.
        return Followed(expected, np.fmin(ends[1], expected), np.fmax(ends[2], expected))

    def lawful(self, rows: Floats, there: Floats) -> Floats:
        """`there` with as much of its difference from `rows` as breaks no rule that `rows` keep, shape (m, d)."""
        codec = self._task.codec
        broken = codec.rules.violated(rows)
        out = rows.copy()
        open_rows = np.arange(len(rows))
        columns = np.array(self.columns, dtype=np.intp)
        # What takes part in a rule that would be broken stays; the rest follows all the same.
        there = there.copy()
        worse = codec.rules.violated(there) & ~broken
        there[worse.astype(float) @ self._members > 0] = rows[worse.astype(float) @ self._members > 0]
        for share in SHARES:
            if not len(open_rows):
                break
            trial = rows[open_rows].copy()
            between = trial[:, columns] + share * (there[open_rows][:, columns] - trial[:, columns])
            trial[:, columns] = (
                there[open_rows][:, columns]
                if share == 1
                else np.where(np.isnan(between), trial[:, columns], codec.snap_column(between, columns))
            )
            fine = ~(codec.rules.violated(trial) & ~broken[open_rows]).any(axis=1)
            out[open_rows[fine]] = trial[fine]
            open_rows = open_rows[~fine]
        return out

    def verdicts(
        self, query: Query, owner: Ints, rows: Floats, judge: Task | None = None
    ) -> tuple[Followed, Bools, Bools]:
        """What follows from rows (m, d) that answer the queries `owner`, and whether they stay valid with it.

        The two verdicts, shape (m,): with the expected consequences, and with cautious ones too, where each result
        lies at that end of its band which lowers the probability of the target more. The margin is asked of the rows
        themselves, not of these. `judge`: a copy of the task that is asked instead, where the questions are no cost of
        the answers.
        """
        task = self._task if judge is None else judge
        base, target = query.rows[owner], query.target[owner]
        found = self.follow(base, rows)
        expected = task.judge(found.expected)
        fine = task.valid(expected, target)
        worst = found.expected.copy()
        wide = found.high - found.low > 1e-9
        at, column = np.nonzero(wide & np.isin(np.arange(rows.shape[1]), self.columns))
        if len(at):
            both = np.concatenate([found.expected[at], found.expected[at]])
            position = np.arange(len(both))
            ends = np.concatenate([found.low[at, column], found.high[at, column]])
            both[position, np.tile(column, 2)] = ends
            chance = task.judge(both).proba[position, np.tile(target[at], 2)]
            lower = chance[: len(at)] <= chance[len(at) :]
            worst[at, column] = np.where(lower, ends[: len(at)], ends[len(at) :])
        worst = self.lawful(found.expected, worst)
        cautious = task.valid(task.judge(worst), target) & fine
        return replace(found, worst=worst), fine, cautious


def _mechanism(task: Task, feature: Feature, parents: tuple[int, ...], people: Ints) -> Mechanism | None:
    """The mechanism of one result; None where too few complete rows are there, or nothing varies."""
    column = task.schema.columns[feature.name]
    known = task.known[:, [*parents, column]]
    at = np.flatnonzero(~np.isnan(known).any(axis=1))
    if len(at) > MOST_ROWS:
        at = np.sort(np.random.default_rng(0).choice(at, MOST_ROWS, replace=False))
    x, y, who = known[at, :-1], known[at, -1], _codes(people[at])
    if len(at) < FEWEST or y.std() == 0 or len(np.unique(who)) < FOLDS:
        return None
    signs = np.array([{"+": 1, "-": -1, "": 0}[s] for s in (feature.sign or ("",) * len(parents))])
    kinds: list[Kind] = ["linear", "bent", "boosted"]
    if not feature.numeric or (feature.kind == "integer" and len(np.unique(y)) <= LEVELS):
        kinds.append("ordinal")
    some = np.flatnonzero(np.cumsum(np.bincount(who))[who] <= COMPARED)  # whole people
    some = some if len(np.unique(who[some])) >= FOLDS else np.arange(len(y))
    error = {kind: _held_out_error(kind, x[some], y[some], _codes(who[some]), signs) for kind in kinds}
    # The simplest kind, unless another one is clearly better.
    kind = min(kinds, key=lambda k: error[k] * (1.0 if k == "linear" else 1.0 + GAIN))
    # Kinds that are about as good take part in the bands: each bootstrap chooses anew, on the people it left out.
    close: list[Kind] = [kind]
    close += [k for k in kinds[:2] if k != kind and error[k] <= (1.0 + GAIN) * error[kind]]
    rng = np.random.default_rng([1, column])
    rows_of = [np.flatnonzero(who == person) for person in range(who.max() + 1)]
    fits = [_fit(kind, x, y, who, signs)]
    for _ in range(BOOTSTRAPS):
        drawn = rng.integers(0, len(rows_of), len(rows_of))
        some = np.concatenate([rows_of[k] for k in drawn])
        again = np.repeat(np.arange(len(drawn)), [len(rows_of[k]) for k in drawn])
        left = np.flatnonzero(~np.isin(who, drawn))
        tried = [_fit(k, x[some], y[some], again, signs) for k in close]
        off = [_error(y[left] - fit(x[left]), _codes(who[left])) if len(left) else 0.0 for fit in tried]
        fits.append(tried[int(np.argmin(off))])
    second = min((k for k in kinds if k != kind), key=error.__getitem__)
    return Mechanism(column, parents, kind, error, tuple(fits), _fit(second, x, y, who, signs))


def _luck(column: int) -> Floats:
    """Two independent sets of standard normal quantiles, one for each bootstrap, shape (bootstraps, 2); the same for
    every row, so that an answer does not depend on who else is asked about."""
    even = norm.ppf((np.arange(BOOTSTRAPS) + 0.5) / BOOTSTRAPS)
    rng = np.random.default_rng([2, column])
    return np.column_stack([rng.permutation(even / even.std()) for _ in range(2)])


def _held_out_error(kind: Kind, x: Floats, y: Floats, who: Ints, signs: Ints) -> float:
    """Mean squared error on held-out people of how far a result moves from that person's mean."""
    total = 0.0
    for fit, rest in GroupKFold(FOLDS).split(x, groups=who):
        off = y[rest] - _fit(kind, x[fit], y[fit], _codes(who[fit]), signs)(x[rest])
        total += _error(off, _codes(who[rest])) * len(rest)
    return total / len(y)


def _error(off: Floats, who: Ints) -> float:
    """Mean squared error of residuals (n,); one person's constant is not the mechanism's to know, where there is more
    than one row to take it from."""
    return float(((off - (_means(off, who) if _repeated(who) else off.mean())) ** 2).mean())


def _fit(kind: Kind, x: Floats, y: Floats, who: Ints, signs: Ints) -> Fit:
    """A mechanism fitted on causes (n, p), results (n,) and whose rows they are."""
    if kind == "linear":
        return _linear(x, y, who, signs)
    if kind == "bent":
        knots = [np.unique(np.quantile(c, np.linspace(0, 1, KNOTS + 2)[1:-1])) for c in x.T]
        line = _linear(_segments(x, knots), y, who, np.repeat(signs, [len(k) + 1 for k in knots]))
        return lambda causes: line(_segments(causes, knots))
    if kind == "boosted":
        # A person's own level, as far as a straight line leaves one, is not for the trees.
        level = y - _linear(x, y, who, signs)(x)
        own = _means(level, who) if _repeated(who) else np.zeros(len(y))
        model = HistGradientBoostingRegressor(
            max_iter=ROUNDS,
            learning_rate=0.13,
            max_leaf_nodes=6,
            min_samples_leaf=20,
            random_state=0,
            early_stopping=False,
            monotonic_cst=signs.tolist(),
        ).fit(x, y - own)
        return lambda causes: np.asarray(model.predict(causes))
    context = _context(x, who)
    centre = context.mean(axis=0) if context.shape[1] else np.empty(0)
    wide = np.hstack([x, context])
    cuts = np.unique(y)[1:]
    scale = np.where(wide.std(axis=0) > 0, wide.std(axis=0), 1.0)
    step = np.diff(np.unique(y))
    models = [LogisticRegression(C=1.0).fit(wide / scale, y >= cut) for cut in cuts]
    slopes = np.array([m.coef_[0] / scale for m in models])
    # An effect against its sign is none.
    slopes[:, : x.shape[1]] = np.where(slopes[:, : x.shape[1]] * signs < 0, 0.0, slopes[:, : x.shape[1]])
    starts = np.array([m.intercept_[0] for m in models])

    def expectation(causes: Floats) -> Floats:
        chance = 1 / (1 + np.exp(-(_beside(causes, centre) @ slopes.T + starts)))
        found: Floats = chance @ step
        return found

    return expectation


def _linear(x: Floats, y: Floats, who: Ints, signs: Ints) -> Fit:
    """Least squares within people where they have several rows, with slopes on the side that their sign says."""
    inside = _repeated(who)
    x0, y0 = (v - (_means(v, who) if inside else v.mean(axis=0)) for v in (x, y))
    scale = np.where(x0.std(axis=0) > 0, x0.std(axis=0), 1.0)
    low, high = np.where(signs > 0, 0.0, -np.inf), np.where(signs < 0, 0.0, np.inf)
    slope = lsq_linear(x0 / scale, y0, bounds=(low, high)).x / scale
    slope[x0.std(axis=0) == 0] = 0.0
    return lambda causes: np.asarray(causes @ slope)


def _segments(x: Floats, knots: list[Floats]) -> Floats:
    """How far each cause (n, p) has come within each of its segments: a weighted sum is a line with bends at the knots,
    monotone where the weights of a cause have one sign."""
    columns = []
    for values, at in zip(x.T, knots, strict=True):
        ends = np.concatenate([[-np.inf], at, [np.inf]])
        for low, high in pairwise(ends):
            start = low if np.isfinite(low) else 0.0
            columns.append(np.clip(values, low, high) - start)
    return np.column_stack(columns)


def _context(x: Floats, who: Ints) -> Floats:
    """Each row's person's means of the causes, shape (n, p), or (n, 0) where people have one row each."""
    return _means(x, who) if _repeated(who) else np.empty((len(x), 0))


def _beside(causes: Floats, centre: Floats) -> Floats:
    """Causes with what is typical of people beside them: an effect is that of a day, for a typical person."""
    return np.hstack([causes, np.broadcast_to(centre, (len(causes), len(centre)))])


def _means(values: Floats, who: Ints) -> Floats:
    """The mean of each row's person, shape as `values` (n,) or (n, p)."""
    count = np.bincount(who)
    if values.ndim == 1:
        mean: Floats = (np.bincount(who, weights=values) / count)[who]
        return mean
    return np.column_stack([_means(column, who) for column in values.T])


def _repeated(who: Ints) -> bool:
    """Whether people have two rows or more on average."""
    return len(who) >= 2 * (int(who.max(initial=0)) + 1)


def _codes(people: np.ndarray) -> Ints:
    found: Ints = np.unique(people.astype(str) if people.dtype == object else people, return_inverse=True)[1]
    return found.reshape(-1)
