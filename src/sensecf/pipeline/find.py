"""Answers to a batch of queries: proposed, refined, ranked, with why there is none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.limits import Limits
from sensecf.core.query import Query, in_tow
from sensecf.core.task import Ints, Task
from sensecf.generators import Generator, traits_of
from sensecf.pipeline.hold import Held
from sensecf.pipeline.refine import Judged, judge, ranked, refine, standing

#: Leads that are asked for where the answers at the boundary do not withstand what follows from them.
SURER = (0.2, 0.5)
#: Grows when answers are found another way: finished batches of an interrupted call are then found anew.
PROCEDURE = 2


@dataclass(frozen=True)
class Terms:
    """What all batches of a call share. `landing`: whether it is counted how many jurors agree where a person lands a
    little off an answer, which takes as long as the other votes."""

    task: Task
    generator: Generator
    fallback: Generator | None
    limits: Limits
    n: int
    plausibility: float
    seed: int
    held: Held | None = None
    landing: bool = True

    def mark(self, query: Query) -> str:
        """A name for everything that the answers to a batch depend on, but the task."""
        names = self.generator.name, None if self.fallback is None else self.fallback.name
        held = None if self.held is None else self.held.facts()
        digest = hashlib.sha256(repr((PROCEDURE, names, self.n, self.plausibility, self.seed, held)).encode())
        for name, values in sorted(vars(query).items()):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


class Found(NamedTuple):
    """What was found for a batch: answers with their ranks, counts of what was tried, and why the generator asked
    for found nothing (`own`, by query) for the queries `missed`; `undone`: those with an answer that what follows from
    it would undo."""

    answers: Judged
    rank: Ints
    tried: list[np.ndarray]
    own: np.ndarray
    missed: Ints
    undone: Ints

    def open(self, count: int) -> Ints:
        """Of `count` queries those without an answer."""
        return np.setdiff1d(np.arange(count), self.answers.found.query)


def find(asked: Terms, query: Query, sources: Sequence[tuple[str, Generator]], rng: np.random.Generator) -> Found:
    """The answers to a batch: proposed, refined, ranked."""
    task, n, plausibility = asked.task, asked.n, asked.plausibility
    tried: list[np.ndarray] = []
    good = standing(task, query)
    open_queries = np.setdiff1d(np.arange(len(query)), good.found.query)
    own, missed = np.full(len(query), "", dtype=object), np.empty(0, np.intp)
    undone = np.empty(0, np.intp)  # queries with an answer that what follows from it would undo
    for name, source in sources:
        if not len(open_queries):
            continue
        proposed = source.propose(query.take(open_queries), rng)
        who = np.full(len(proposed), name, dtype=object)
        proposed = Candidates(open_queries[proposed.query], proposed.rows, proposed.reason, who)
        proposed = replace(proposed, rows=in_tow(task, query, proposed.query, proposed.rows))
        # What is handed out is judged once more; a foreign `predict` may refuse what looked good, and rule out
        # all that was kept: it is asked about every proposal.
        judged = judge(task, query, proposed, final=not task.takes_codes)
        tried.append(_outcome(judged))
        refined = refine(task, query, judged, n, plausibility)
        good = Judged.concat([good, refined])
        told = judged.found.query[judged.verdict.good]
        undone = np.setdiff1d(told[query.consequences[told] > 0], good.found.query)
        if not traits_of(source).asks_model:  # a model would be asked, and paid, again
            good = Judged.concat([good, *_surer(asked, query, undone, source, name, rng)])
        open_queries = np.setdiff1d(np.arange(len(query)), good.found.query)
        if source is asked.generator:
            missed = open_queries
            own = _why(judged, len(query))
    answers, rank = ranked(task, query, good, n, plausibility)
    return Found(answers, rank, tried, own, missed, undone)


def merged(found: Found, other: Found, who: Ints) -> Found:
    """`found`, with the answers of `other` in place of those of the queries `who` that `other` answers."""
    new = replace(other.answers.found, query=who[other.answers.found.query])
    kept = ~np.isin(found.answers.found.query, new.query)
    answers = Judged.concat([found.answers.take(kept), Judged(new, other.answers.verdict)])
    rank = np.concatenate([found.rank[kept], other.rank])
    return found._replace(answers=answers, rank=rank, tried=[*found.tried, *other.tried])


def _surer(
    asked: Terms, query: Query, undone: Ints, source: Generator, name: str, rng: np.random.Generator
) -> Iterator[Judged]:
    """Answers to queries whose plans end where their consequences would undo them: such as lead by more."""
    task = asked.task
    for margin in SURER:
        undone = undone[query.margin[undone] < margin]
        if not len(undone):
            return
        surer = query.take(undone)
        surer = replace(surer, margin=np.full(len(surer), margin))
        found = source.propose(surer, rng)
        found = replace(found, rows=in_tow(task, surer, found.query, found.rows))
        found = replace(found, generator=np.full(len(found), name, dtype=object))
        judged = judge(task, surer, found, final=not task.takes_codes)
        refined = refine(task, surer, judged, asked.n, asked.plausibility)
        answered = undone[refined.found.query]
        yield replace(refined, found=replace(refined.found, query=answered))
        undone = np.setdiff1d(undone, answered)


def _why(judged: Judged, count: int) -> np.ndarray:
    """For each of `count` queries why its last candidate is not good."""
    why = np.full(count, "nothing was proposed", dtype=object)
    reason = judged.verdict.reason
    why[judged.found.query] = np.where(reason == "", "not valid", reason)
    return why


def _outcome(judged: Judged) -> np.ndarray:
    """What became of the candidates: counts of "generator|verdict" (good, not valid, infeasible, refused)."""
    verdict, candidates = judged.verdict, judged.found
    words = np.array(["refused", "infeasible", "not valid", "good"])
    verdicts = np.select([candidates.reason != "", ~verdict.feasible, ~verdict.valid], [0, 1, 2], 3)
    names, who = np.unique(candidates.generator.astype(str), return_inverse=True)
    pairs, counts = np.unique(who * len(words) + verdicts, return_counts=True)
    labels = [f"{names[p // len(words)]}|{words[p % len(words)]}|{c}" for p, c in zip(pairs, counts, strict=True)]
    return np.array(labels, dtype=object)
