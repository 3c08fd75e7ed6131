"""Answers to single rows that are asked about at the same time, each what it would be alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.core.apart import Apart
from sensecf.core.counterfactuals import consequences_text
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.generators.search import Search
from sensecf.pipeline.batch import followed
from sensecf.pipeline.find import Terms
from sensecf.pipeline.held import find_asked


@dataclass(frozen=True)
class Answered:
    """The answers to one row, best first, as `explain` gives them.

    `rows` (k, d): encoded; `by` (k,): who found each; `holds`, `holds_low` (k,): see `explain`, NaN where no jury is
    asked; `follows` (k,): what is expected to follow, as text; `there`: nothing had to change; `fell`: why plans that
    were found are no answer, "" where there is another reason.
    """

    rows: Floats
    by: list[str]
    holds: Floats
    holds_low: Floats
    follows: list[str]
    there: bool
    fell: str = ""


def answers_apart(terms: Terms, query: Query) -> list[Answered]:
    """The answers of `explain` to each row of a query by itself, without the reasons for those that have none.

    A search answers all rows side by side; other generators are asked row by row.
    """
    seed = [terms.seed, 0]  # as for a batch of that row alone
    if isinstance(terms.generator, Search) and isinstance(terms.fallback, Search | None):
        return _answered(terms, Apart.of(query, [seed] * len(query)), np.random.default_rng(seed))
    parts = [_answered(terms, query.take([q]), np.random.default_rng(seed)) for q in range(len(query))]
    return [one for part in parts for one in part]


def _answered(terms: Terms, query: Query, rng: np.random.Generator) -> list[Answered]:
    found, shares, fell = find_asked(terms, query, rng)
    answers, owner = found.answers, found.answers.found.query
    rows, follow = answers.found.rows, followed(terms.task, query, answers)
    holds, holds_low = shares.holds.round(6), shares.holds_low.round(6)
    each = []
    for q in range(len(query)):
        at = np.flatnonzero(owner == q)
        at = at[np.argsort(found.rank[at], kind="stable")]
        led = {name: follow[name][at] for name in ("expected", "low", "high")}
        follows = [""] * len(at)
        if _moved(rows[at], led["expected"]):
            follows = consequences_text(terms.task, led, rows[at])
        there = bool(len(at)) and not answers.verdict.n_changed[at[0]]
        by = answers.found.generator[at].tolist()
        each.append(Answered(rows[at], by, holds[at], holds_low[at], follows, there, fell.get(q, "")))
    return each


def _moved(rows: Floats, expected: Floats) -> bool:
    """Whether anything is expected to follow at all."""
    return bool((expected != rows)[~np.isnan(rows)].any())
