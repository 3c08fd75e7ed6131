"""Answers to a batch that hold: at the margin where refits agree, judged by refits that took no part in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sensecf.classifiers.jury import Opinion
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Ints
from sensecf.generators import Generator, traits_of
from sensecf.generators.search import Search
from sensecf.pipeline.batch import Shares
from sensecf.pipeline.find import Found, Terms, find, merged
from sensecf.pipeline.hold import RAISE, RAISES, STRICTEST, Held, lower_bound
from sensecf.pipeline.refine import judge

#: How the reason begins where there are plans, and none that holds.
NOT_HELD = "no plan that would hold was found"
#: One juror in so many of half A leads a search for those whose answers are not steady; the span of the leads that are
#: asked for is halved so often.
LEADING, HALVINGS = 3, 5


def find_asked(asked: Terms, query: Query, rng: np.random.Generator) -> tuple[Found, Shares, dict[int, str]]:
    """The answers to a batch as its terms ask for them, those that hold where there is a jury: see `find_holding`."""
    sources = _sources(asked.generator, asked.fallback)
    if asked.held is not None:
        return find_holding(asked, asked.held, query, sources, rng)
    found = find(asked, query, sources, rng)
    return found, Shares.unknown(len(found.answers)), {}


def _sources(generator: Generator, fallback: Generator | None) -> list[tuple[str, Generator]]:
    """The generator asked for and its fallback, each with the name its answers go by: never the other's."""
    sources = [(generator.name, generator)]
    if fallback is not None:
        same = fallback.name == generator.name and type(fallback) is not type(generator)
        sources.append((f"{fallback.name} (fallback)" if same else fallback.name, fallback))
    return sources


def find_holding(
    asked: Terms, held: Held, query: Query, sources: Sequence[tuple[str, Generator]], rng: np.random.Generator
) -> tuple[Found, Shares, dict[int, str]]:
    """Answers that hold, how many jurors agree with each, and why a query that has answers has none that holds.

    The calibrated margin first, and a larger one, up to `RAISES` times, where half A is not `steady` about the answer.
    Whoever is left without a steady answer, and has one at the boundary, is searched for in the company of a third of
    half A; the rest of it says whether what is found is steadier. Half B judges what is left, once.
    """
    surer = replace(query, margin=np.maximum(query.margin, held.calibration.margin))
    lead = held.calibration.margin > 0
    found = find(asked, surer, sources[:1] if lead else sources, rng)
    if traits_of(asked.generator).asks_model:  # which is paid for by the question
        sources = sources[1:]
    lost = found.open(len(query)) if lead and sources else np.empty(0, np.intp)
    without = find(asked, query.take(lost), sources, rng)
    reached = np.unique(lost[without.answers.found.query])
    if not isinstance(asked.generator, Search):
        others = [source for source in sources if source[1] is not asked.generator]
        found = merged(found, find(asked, surer.take(reached), others, rng), reached)
    who: Ints = np.arange(len(query))
    for step in range(1, RAISES + 1):
        who = _unsteady(held, query, found, who)[0]
        if not len(who) or not sources:
            break
        again = replace(surer, margin=np.minimum(surer.margin + step * RAISE, STRICTEST)).take(who)
        found = merged(found, find(asked, again, sources[:1], rng), who)
    short = np.isin(lost[without.answers.found.query], found.open(len(query)))
    without = without._replace(answers=without.answers.take(short), rank=without.rank[short])
    found = merged(found, without, lost)
    doubted = _unsteady(held, query, found, np.union1d(who, lost))
    found = _in_company(asked, held, query, sources, rng, found, doubted)
    answers, owner = found.answers, found.answers.found.query
    of = held.counting
    if asked.landing:
        stands, lands = held.count(asked.task, query.rows[owner], answers.found.rows, query.target[owner])
    else:
        stands, lands = held.stand(answers.found.rows, query.target[owner]), np.full(len(owner), np.nan)
    keep = (stands >= held.hold * of) | (answers.verdict.n_changed == 0)
    fell: dict[int, str] = {}
    for one in np.setdiff1d(owner, owner[keep]).tolist():
        most = int(stands[owner == one].max())
        fell[one] = (
            f"{NOT_HELD} under these limits; the nearest one holds in {most} of {of} refits "
            "(--hold with a smaller share asks for less, in Python hold=)"
        )
    at = np.flatnonzero(keep)
    at = at[np.lexsort((found.rank[at], owner[at]))]
    rank = np.arange(len(at)) - np.searchsorted(owner[at], owner[at]) + 1
    shares = Shares(stands[at] / of, lower_bound(stands[at], of), lands[at] / of)
    return found._replace(answers=answers.take(at), rank=rank), shares, fell


def _unsteady(held: Held, query: Query, found: Found, among: Ints) -> tuple[Ints, Floats]:
    """Of some queries those whose first answer changes something and is not steady by half A, and how steady it is."""
    answers = found.answers
    first = (found.rank == 1) & (answers.verdict.n_changed > 0) & np.isin(answers.found.query, among)
    owner = answers.found.query[first]
    steadiness = held.steadiness(answers.found.rows[first], query.target[owner])
    return owner[steadiness < held.steady], steadiness[steadiness < held.steady]


def _in_company(
    asked: Terms,
    held: Held,
    query: Query,
    sources: Sequence[tuple[str, Generator]],
    rng: np.random.Generator,
    found: Found,
    doubted: tuple[Ints, Floats],
) -> Found:
    """`found`, with steadier answers to the queries `doubted` (see `_unsteady`), as far as a search finds any that is
    led by the mean of the classifier and a third of half A.

    Where the classifier alone is sure, its refits need not be. The lead that is asked for is raised where what it
    finds is not steady, and lowered where it finds nothing; jurors that lead no search judge what it finds.
    """
    leading = held.raising // LEADING
    name = next((name for name, one in sources if isinstance(one, Search)), None)
    if name is None or not leading:
        return found
    who, before = doubted
    best = np.full(len(query), np.inf)
    best[who] = before
    task = asked.task.in_company([_proba_of(opinion) for opinion in held.jury.opinions[:leading]])
    leader = Search(task, plausibility=asked.plausibility)
    terms = replace(asked, task=task, generator=leader, fallback=None)
    low, high = np.zeros(len(query)), np.full(len(query), STRICTEST)
    for _ in range(HALVINGS):
        if not len(who):
            break
        some, middle = query.take(who), (low + high) / 2
        led = replace(some, margin=np.maximum(some.margin, middle[who]))
        other = find(terms, led, [(name, leader)], rng)
        judged = judge(asked.task, some, other.answers.found)  # by the classifier alone, as it is saved
        owner, good = who[judged.found.query], judged.verdict.good
        steadiness = held.steadiness(judged.found.rows, query.target[owner], slice(leading, held.raising))
        better = good & (other.rank == 1) & (steadiness > best[owner])
        best[owner[better]] = steadiness[better]
        # Further answers stand and fall with the first.
        kept = good & np.isin(owner, owner[better])
        found = merged(found, other._replace(answers=judged.take(kept), rank=other.rank[kept]), who)
        reached = np.isin(np.arange(len(query)), owner[good])
        low, high = np.where(reached, middle, low), np.where(reached, high, middle)
        who = who[best[who] < held.steady]
    return found


def _proba_of(opinion: Callable[[Floats], Opinion]) -> Callable[[Floats], Floats]:
    return lambda rows: opinion(rows).proba
