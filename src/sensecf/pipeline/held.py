"""Answers to a batch that hold: at the margin where refits agree, judged by refits that took no part in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sensecf.core.query import Query
from sensecf.core.task import Ints
from sensecf.generators import Generator, traits_of
from sensecf.pipeline.batch import Shares
from sensecf.pipeline.find import Found, Terms, find, merged
from sensecf.pipeline.hold import RAISE, RAISES, STRICTEST, Held, lower_bound

#: How the reason begins where there are plans, and none that holds.
NOT_HELD = "no plan that would hold"
#: How often the span between no margin and the calibrated one is halved for a person who cannot reach the latter.
HALVINGS = 3


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

    The calibrated margin first; where half A disagrees, a larger one, up to `RAISES` times; where there is no answer
    at the margin, the one without it, and then margins between. Half B judges what is left. The fallback, which
    searches long where there is nothing, is asked at the calibrated margin alone, and only where there is an answer
    without one.
    """
    surer = replace(query, margin=np.maximum(query.margin, held.calibration.margin))
    lead = held.calibration.margin > 0
    found = find(asked, surer, sources[:1] if lead else sources, rng)
    if traits_of(asked.generator).asks_model:  # which is paid for by the question
        sources = sources[1:]
    lost = found.open(len(query)) if lead and sources else np.empty(0, np.intp)
    without = find(asked, query.take(lost), sources, rng)
    reached = np.unique(lost[without.answers.found.query])
    others = [one for one in sources if one[1] is not asked.generator]
    found = merged(found, find(asked, surer.take(reached), others, rng), reached)
    for step in range(1, RAISES + 1):
        answers, first = found.answers, found.rank == 1
        moved = answers.verdict.n_changed > 0
        weak = first & moved
        weak[weak] = held.raisers(answers.found.rows[weak], surer.target[answers.found.query[weak]]) < held.hold
        who = answers.found.query[weak]
        again = replace(surer, margin=np.minimum(surer.margin + step * RAISE, STRICTEST)).take(who)
        if not len(who) or not sources:
            break
        found = merged(found, find(asked, again, sources[:1], rng), who)
    short = np.intersect1d(reached, found.open(len(query)))
    if len(short):
        kept = np.isin(lost[without.answers.found.query], short)
        without = without._replace(answers=without.answers.take(kept), rank=without.rank[kept])
        found = _nearer(asked, held, query, sources[:1], rng, merged(found, without, lost), short)
    answers, owner = found.answers, found.answers.found.query
    of = held.counting
    if asked.landing:
        stands, lands = held.count(asked.task, query.rows[owner], answers.found.rows, query.target[owner])
    else:
        stands, lands = held.stand(answers.found.rows, query.target[owner]), np.full(len(owner), np.nan)
    keep = (stands >= held.hold * of) | (answers.verdict.n_changed == 0)
    fell: dict[int, str] = {}
    for who in np.setdiff1d(owner, owner[keep]).tolist():
        most = int(stands[owner == who].max())
        fell[who] = (
            f"{NOT_HELD} under these limits; the nearest one holds in {most} of {of} refits "
            "(--hold with a smaller share asks for less, in Python hold=)"
        )
    at = np.flatnonzero(keep)
    at = at[np.lexsort((found.rank[at], owner[at]))]
    rank = np.arange(len(at)) - np.searchsorted(owner[at], owner[at]) + 1
    shares = Shares(stands[at] / of, lower_bound(stands[at], of), lands[at] / of)
    return found._replace(answers=answers.take(at), rank=rank), shares, fell


def _nearer(
    asked: Terms,
    held: Held,
    query: Query,
    sources: Sequence[tuple[str, Generator]],
    rng: np.random.Generator,
    found: Found,
    who: Ints,
) -> Found:
    """`found`, with answers that lead by more for the queries `who`, which have one without a margin but none at the
    calibrated one.

    Margins between the two are halved, up to `HALVINGS` times, for as long as half A disagrees: where the limits keep
    a person from the calibrated margin, the jurors may agree before it. Half B judges what is left.
    """
    low, high = np.zeros(len(query)), np.full(len(query), held.calibration.margin)
    for _ in range(HALVINGS):
        answers = found.answers
        weak = (found.rank == 1) & np.isin(answers.found.query, who)
        owner = answers.found.query[weak]
        who = owner[held.raisers(answers.found.rows[weak], query.target[owner]) < held.hold]
        if not len(who):
            break
        middle = (low + high) / 2
        again = query.take(who)
        other = find(asked, replace(again, margin=np.maximum(again.margin, middle[who])), sources, rng)
        found = merged(found, other, who)
        reached = np.zeros(len(query), dtype=bool)
        reached[who[other.answers.found.query]] = True
        low, high = np.where(reached, middle, low), np.where(reached, high, middle)
    return found
