"""`Ask`: up to five questions "which of these would you rather do?", and what the answers say of a person's taste.

A pool of verified plans is ranked by effort, whose weights differ by person. Choice has two stages (AWP, 2025:
people first leave out what they find unacceptable, then weigh effort; 84 % of their choices, proximity 64 %):

    refuse    a plan may ask for nothing, or for no more than so much, of a feature that this person will not move
    weigh     of what is left, the log-odds of a choice are the difference in effort; the weights of the levers are
              correlated, their posterior is a Laplace approximation

Each question is the set of plans whose answer is expected to say most. Whoever chooses "none" refuses something that
all of them ask; what that is becomes clear from what is shown next. Everything can be undone: what is known is made
from the answers anew each time. What a cohort has said is the next person's prior.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Ints, Task
from sensecf.core.verify import DISTANCE_WEIGHT

#: Questions at most, and plans shown in each beside "none".
QUESTIONS, SHOWN = 5, 3
#: Before anything is known: the spread of the log weights, and how alike those of two levers are.
SPREAD, ALIKE = 1.0, 0.2
#: How sharply a choice follows effort: of two plans a unit apart, the easier one is chosen 55 times of 56.
SHARP = 4.0
#: How likely a lever is refused by somebody nothing is known of, and that a choice is a slip.
REFUSED, SLIP = 0.15, 0.02
#: How likely a lever is refused from some size on, and what a refused plan counts as, the best being 1.
BY_SIZE, DEAR = 0.15, 2.0
#: What a unit of information about the taste is worth in a question, beside how good the first plan then is.
SAYS = 0.05
#: Tastes that are drawn, those that are kept of them by their odds, how many of these a question is chosen with, and
#: the plans among which its sets are looked for. Of a quarter of the draws too few refuse what this person refuses.
DRAWS, KEPT, ASKED, AMONG = 6000, 1500, 96, 14


@dataclass(frozen=True)
class Answer:
    """One question and its answer: positions of the plans shown, and of the one chosen, None for "none of these"."""

    shown: tuple[int, ...]
    chosen: int | None


@dataclass(frozen=True)
class Taste:
    """What is known of the log weights of the levers: `mean` (k,), `cov` (k, k); `refused` (k,): how likely each is
    refused altogether."""

    mean: Floats
    cov: Floats
    refused: Floats

    @classmethod
    def unknown(cls, levers: int) -> Taste:
        """The taste of whom nothing is known of."""
        cov = SPREAD**2 * ((1 - ALIKE) * np.eye(levers) + ALIKE)
        return cls(np.zeros(levers), cov, np.full(levers, REFUSED))


@dataclass
class Ask:
    """The questions to one person, over a pool of verified plans.

    `asks` (m, k): how much each plan asks of each lever, 0 where it leaves it: an edit and half a unit per MAD;
    `levers` (k,): what they are called; `sizes` (m, k): the signed change, in the feature's unit, for the words.
    `prior`: see `cohort_taste`. Raises `InputError` for a pool without a plan.

    >>> import numpy as np
    >>> ask = sensecf.Ask(np.array([[1.5, 0.0], [0.0, 1.2], [0.7, 0.6]]), ["sleep", "steps"])
    >>> len(ask.levers)
    2
    """

    asks: Floats
    levers: Sequence[str]
    sizes: Floats | None = None
    prior: Taste | None = None
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asks = np.asarray(self.asks, dtype=float)
        if not len(self.asks):
            raise InputError("there is no plan to ask about; ask `explain` for more than one (n=8)")
        self._undone: list[Answer] = []
        self._known: tuple[tuple[tuple[tuple[int, ...], int | None], ...], Taste, Draws] | None = None

    @classmethod
    def of(cls, task: Task, query: Query, rows: Floats, prior: Taste | None = None) -> Ask:
        """The pool of one person's verified plans `rows` (m, d), a query of one row."""
        base = query.rows[:1]
        edited = task.codec.changed(base, rows) & ~query.follows[:1]
        parts = edited * (1.0 + DISTANCE_WEIGHT * task.once(Scale).parts(base, rows))
        used = np.flatnonzero(edited.any(axis=0))
        names = [task.schema.names[j] for j in used.tolist()]
        numeric = task.codec.numeric[used]
        sizes = np.where(edited[:, used] & numeric, (rows - base)[:, used], 0.0)
        return cls(parts[:, used], names, np.nan_to_num(sizes), prior)

    # --- the conversation -------------------------------------------------------------------

    def question(self) -> tuple[int, ...] | None:
        """The plans to show next, None when there is nothing more to ask."""
        if len(self.answers) >= QUESTIONS or len(np.unique(self.asks, axis=0)) < 2:
            return None
        tastes = self.known()[1].some(ASKED)
        return next_question(self.asks, tastes, [answer.shown for answer in self.answers])

    def answer(self, shown: Sequence[int], chosen: int | None) -> None:
        """Take an answer. Raises `InputError` for a choice that was not shown, and after the last question."""
        if chosen is not None and chosen not in shown:
            raise InputError(f"plan {chosen} was not among those shown ({', '.join(map(str, shown))})")
        if len(self.answers) >= QUESTIONS:
            raise InputError(f"{QUESTIONS} questions are all there are; undo() takes the last answer back")
        self.answers.append(Answer(tuple(shown), chosen))
        self._undone.clear()

    def undo(self) -> None:
        """Take the last answer back; nothing where there is none."""
        if self.answers:
            self._undone.append(self.answers.pop())

    def redo(self) -> None:
        """Give the answer again that was taken back last."""
        if self._undone:
            self.answers.append(self._undone.pop())

    # --- what is known ----------------------------------------------------------------------

    def known(self) -> tuple[Taste, Draws]:
        """What is known after the answers so far, and draws of it; made once for each state of the conversation."""
        key = tuple((answer.shown, answer.chosen) for answer in self.answers)
        if self._known is None or self._known[0] != key:
            start = self.prior or Taste.unknown(self.asks.shape[1])
            self._known = (key, *drawn(self.asks, start, self.answers))
        return self._known[1], self._known[2]

    def taste(self) -> Taste:
        """What is known after the answers so far."""
        return self.known()[0]

    def effort(self) -> Floats:
        """What each plan is expected to ask of this person beside the best that there is, shape (m,): 1 for the best;
        lower is easier."""
        return expected_effort(self.asks, self.known()[1])

    def rank(self) -> Ints:
        """Positions of the plans, the one that this person would most likely choose first."""
        return np.argsort(self.effort(), kind="stable")

    def chance(self, shown: Sequence[int]) -> Floats:
        """How likely each of some plans is chosen, and last "none of these", shape (len(shown) + 1,)."""
        tastes = self.known()[1]
        out: Floats = tastes.odds @ choices(self.asks[list(shown)][None], tastes)[:, 0]
        return out

    def words(self, schema: FeatureSchema | None = None) -> list[str]:
        """What was learned, in sentences; nothing before the first answer."""
        return said(self, schema)


# --- tastes that a person may have ------------------------------------------------------------


@dataclass(frozen=True)
class Draws:
    """Tastes that a person may have, d of them: `weights` (d, k) of mean 1 each, `most` (d, k): the largest ask of each
    lever that is not refused, `odds` (d,): how likely each is, summing to 1."""

    weights: Floats
    most: Floats
    odds: Floats

    def fine(self, asks: Floats) -> Bools:
        """Whether each draw would do each plan (m, k) at all, shape (d, m)."""
        return ~np.asarray((asks[None] > self.most[:, None] + 1e-9).any(axis=2))

    def some(self, count: int) -> Draws:
        """So many of them, drawn by their odds, alike likely."""
        edges = np.cumsum(self.odds)
        at = np.searchsorted(edges, (np.arange(count) + 0.5) / count * edges[-1])
        return Draws(self.weights[at], self.most[at], np.full(count, 1 / count))


def drawn(asks: Floats, start: Taste, answers: Sequence[Answer]) -> tuple[Taste, Draws]:
    """The taste after some answers, and draws of it.

    Weights are drawn from Laplace's approximation and refusals from what each lever may be refused from; each draw is
    then as likely as the answers are under it (importance sampling), which sets right what either leaves out.
    """
    rng = np.random.default_rng(7)
    taste = learned(asks, start, answers)
    levers = len(start.mean)
    half = np.linalg.cholesky(taste.cov + 1e-9 * np.eye(levers))
    noise = rng.standard_normal((DRAWS, levers))
    logs = taste.mean + noise @ half.T
    most = _bounds(asks, start, rng)
    odds = 0.5 * (noise**2).sum(axis=1) + np.log(np.abs(np.diag(half))).sum() - _quadratic(logs, start)
    weights = np.exp(logs)
    for answer in answers:
        odds = odds + np.log(_likely(asks, answer, weights, most))
    odds = np.exp(odds - odds.max())
    weights = weights / weights.mean(axis=1, keepdims=True)
    found = Draws(weights, most, odds / odds.sum())
    refused = found.odds @ (most <= 0)
    return replace(taste, refused=refused), found.some(KEPT)


def _quadratic(logs: Floats, start: Taste) -> Floats:
    inverse = np.linalg.inv(start.cov + 1e-9 * np.eye(len(start.mean)))
    apart = logs - start.mean
    out: Floats = 0.5 * np.einsum("dk,kl,dl->d", apart, inverse, apart)
    return out


def _bounds(asks: Floats, start: Taste, rng: np.random.Generator) -> Floats:
    """The largest ask of each lever that each draw does, shape (draws, k): nothing where it is refused altogether, one
    of the pool's quantiles where it is refused by size, else whatever is asked."""
    kind = rng.random((DRAWS, asks.shape[1]))
    size = rng.random((DRAWS, asks.shape[1]))
    out = np.full(kind.shape, np.inf)
    for k in range(asks.shape[1]):
        positive = asks[asks[:, k] > 0, k]
        if len(positive):
            by_size = kind[:, k] < start.refused[k] + BY_SIZE
            out[by_size, k] = np.quantile(positive, size[by_size, k])
            out[kind[:, k] < start.refused[k], k] = 0.0
    return out


def _likely(asks: Floats, answer: Answer, weights: Floats, most: Floats) -> Floats:
    """How likely one answer is under each draw, shape (d,)."""
    shown = asks[list(answer.shown)]
    chance = choices(shown[None], Draws(weights / weights.mean(axis=1, keepdims=True), most, np.ones(len(weights))))[
        :, 0
    ]
    place = len(shown) if answer.chosen is None else answer.shown.index(answer.chosen)
    out: Floats = chance[:, place]
    return out


def choices(sets: Floats, tastes: Draws) -> Floats:
    """How likely each plan of each set (s, m, k) is chosen under each draw, and last "none": (d, s, m + 1)."""
    count, size, levers = sets.shape
    flat = sets.reshape(-1, levers)
    out = ~tastes.fine(flat).reshape(-1, count, size)
    effort = (tastes.weights @ flat.T).reshape(-1, count, size)
    power = np.where(out, -np.inf, -SHARP * effort)
    top = power.max(axis=2, keepdims=True)
    weight = np.where(out, 0.0, np.exp(power - np.where(np.isfinite(top), top, 0.0)))
    total = weight.sum(axis=2, keepdims=True)
    chance = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    both = np.concatenate([chance, (total == 0).astype(float)], axis=2)
    return (1 - SLIP) * both + SLIP / both.shape[2]


def beside_best(asks: Floats, tastes: Draws) -> Floats:
    """What each plan asks beside the best that there is for each draw, shape (d, m): 1 for the best, `DEAR` for what is
    refused or costs as much."""
    fine = tastes.fine(asks)
    effort = tastes.weights @ asks.T
    best = np.where(fine, effort, np.inf).min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        ratio = np.minimum(effort / np.maximum(best, 1e-9), DEAR)
    return np.where(fine & np.isfinite(best), ratio, DEAR)


def expected_effort(asks: Floats, tastes: Draws) -> Floats:
    """`beside_best` on average, shape (m,)."""
    out: Floats = tastes.odds @ beside_best(asks, tastes)
    return out


def next_question(asks: Floats, tastes: Draws, asked: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The set of plans after whose answer the plan then ranked first is expected to be the nearest to the best; of sets
    alike in this, the one whose answer says most of the taste."""
    pool = _apart(asks, tastes)
    size = min(SHOWN, len(pool))
    before = {tuple(sorted(one)) for one in asked}
    every = list(itertools.combinations(pool, size))
    sets = [one for one in every if tuple(sorted(one)) not in before] or every
    chance = choices(asks[np.array(sets, dtype=np.intp)], tastes)
    says = _entropy(chance.mean(axis=0)) - _entropy(chance).mean(axis=0)
    joint = chance.transpose(1, 2, 0).reshape(-1, len(tastes.odds)) / len(tastes.odds)
    after = (joint @ beside_best(asks, tastes)).min(axis=1).reshape(len(sets), -1).sum(axis=1)
    return tuple(int(k) for k in sets[int((SAYS * says - after).argmax())])


def _entropy(chance: Floats) -> Floats:
    out: Floats = -(chance * np.log(np.maximum(chance, 1e-12))).sum(axis=-1)
    return out


def _apart(asks: Floats, tastes: Draws) -> list[int]:
    """A few plans to make sets of: those that are best for most draws, then whichever are farthest from those taken."""
    effort = np.where(tastes.fine(asks), tastes.weights @ asks.T, np.inf)
    often = np.bincount(effort.argmin(axis=1), minlength=len(asks))
    taken = [int(k) for k in np.argsort(-often, kind="stable")[: AMONG // 2] if often[k]]
    expected = expected_effort(asks, tastes)
    near = np.argsort(expected, kind="stable")[: max(AMONG, len(asks) // 2)]
    apart = np.min([np.abs(asks[near] - asks[k]).sum(axis=1) for k in taken], axis=0)
    while len(taken) < min(AMONG, len(near)) and apart.max() > 1e-9:
        taken.append(int(near[apart.argmax()]))
        apart = np.minimum(apart, np.abs(asks[near] - asks[taken[-1]]).sum(axis=1))
    return taken


# --- learning -------------------------------------------------------------------------------


def learned(asks: Floats, start: Taste, answers: Sequence[Answer]) -> Taste:
    """Laplace's approximation of the log weights after some answers, by Newton's method."""
    chosen = [a for a in answers if a.chosen is not None]
    if not chosen:
        return start
    inverse = np.linalg.inv(start.cov + 1e-9 * np.eye(len(start.mean)))
    mean, hessian = start.mean.copy(), inverse
    for _ in range(25):
        slope, hessian = -inverse @ (mean - start.mean), inverse.copy()
        for answer in chosen:
            first, second = _choice(asks[list(answer.shown)], answer.shown.index(answer.chosen), mean, start.refused)
            slope, hessian = slope + first, hessian + second
        step = np.linalg.solve(hessian, slope)
        mean = mean + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-6:
            break
    return Taste(mean, np.linalg.inv(hessian), start.refused)


def _choice(shown: Floats, chosen: int, mean: Floats, refused: Floats) -> tuple[Floats, Floats]:
    """Slope and curvature of the log-likelihood of one choice in the log weights; the curvature is Fisher's, which is
    never negative. Plans that may have been left out because they are refused count for less."""
    weight = np.exp(mean)
    parts = shown * weight / weight.mean()
    fine = np.prod(np.where(shown > 0, 1.0 - refused, 1.0), axis=1)
    fine[chosen] = 1.0
    power = -SHARP * parts.sum(axis=1) + np.log(np.maximum(fine, 1e-9))
    chance = np.exp(power - power.max())
    chance = chance / chance.sum()
    around = parts - chance @ parts
    return -SHARP * around[chosen], SHARP**2 * (around.T * chance) @ around


def cohort_taste(tastes: Sequence[Taste]) -> Taste:
    """What several people's tastes say of the next person's: mean and spread of their log weights, drawn towards not
    knowing where they are few; of people who were asked about the same levers. Raises `InputError` for nobody."""
    if not tastes:
        raise InputError("nobody has answered yet; Taste.unknown is the taste of whom nothing is known of")
    start, n = Taste.unknown(len(tastes[0].mean)), len(tastes)
    means = np.array([t.mean for t in tastes])
    within = np.mean([t.cov for t in tastes], axis=0)
    between = np.cov(means.T, bias=True).reshape(within.shape) if n > 1 else np.zeros_like(within)
    weight = n / (n + 5.0)
    cov = weight * (within + between) + (1 - weight) * start.cov
    refused = (np.sum([t.refused for t in tastes], axis=0) + 5 * REFUSED) / (n + 5)
    return Taste(weight * means.mean(axis=0), cov, refused)


# --- words ----------------------------------------------------------------------------------

#: Log weights that lie so far apart are said to differ; a refusal is said from so likely on.
APART, SURE = 0.35, 0.7


def said(ask: Ask, schema: FeatureSchema | None = None) -> list[str]:
    """What was learned, as sentences: what is refused, what is hard, what is easy."""
    if not ask.answers:
        return []
    taste, tastes = ask.known()
    out = []

    def called(k: int) -> str:
        return ask.levers[k] if schema is None else schema[ask.levers[k]].description or ask.levers[k]

    whole = taste.refused >= SURE
    for k in np.flatnonzero(whole).tolist():
        out.append(f"You would rather not change {called(k)} at all.")
    for k in np.flatnonzero(~whole).tolist():
        most = ask.asks[:, k].max()
        if float(tastes.odds @ (tastes.most[:, k] < most - 1e-9)) >= SURE:
            out.append(f"You would change {called(k)}, and not by as much as the largest plan asks.")
    middle = taste.mean[~whole].mean() if (~whole).any() else 0.0
    order = np.argsort(taste.mean, kind="stable").tolist()
    hard = [called(k) for k in order[::-1] if taste.mean[k] - middle > APART and not whole[k]]
    easy = [called(k) for k in order if middle - taste.mean[k] > APART and not whole[k]]
    if hard:
        out.append(f"Harder for you than the rest: {', '.join(hard)}.")
    if easy:
        out.append(f"Easier for you than the rest: {', '.join(easy)}.")
    return out or ["Nothing sets the things you could change apart so far."]
