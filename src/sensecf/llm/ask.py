"""Many questions put to a model at once, one round, and what became of every answer."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.core.verify import Verdicts, verify
from sensecf.llm import LLM
from sensecf.llm.language.prompts import Prompts
from sensecf.llm.language.replies import json_schema, read

#: The lead that a model is asked for when nobody checks its answer, as the embedded model is (`tiny.ALONE`).
ALONE = 0.2


class Answers(NamedTuple):
    """`candidates` (q × samples, in the order of the query), the verdict on each, the texts, and the tokens used."""

    candidates: Candidates
    verdicts: Verdicts
    texts: list[str]
    tokens: int = 0


def ask_alone(prompts: Prompts, llm: LLM, query: Query, *, seed: int = 0, name: str = "model") -> Answers:
    """One greedy answer to each query, for use unchecked: the wish is for a lead of at least `ALONE`.

    The verdicts say what became of it under the query's own margin.
    """
    found = ask(prompts, llm, firmer(query), seed=seed, name=name)
    return found._replace(verdicts=verify(prompts.task, query, found.candidates))


def firmer(query: Query) -> Query:
    """The query with margins of at least `ALONE`."""
    return replace(query, margin=np.maximum(query.margin, ALONE))


def ask(
    prompts: Prompts,
    llm: LLM,
    query: Query,
    samples: int = 1,
    *,
    temperature: float = 0.0,
    seed: int = 0,
    name: str = "model",
) -> Answers:
    """Ask once about each query, `samples` times, under the JSON Schema of each answer; verified, not repaired.

    Questions go out by length, so that a batch wastes little on padding. Where nothing may
    change nobody is asked, and the reason says so.
    """
    task: Task = prompts.task
    asked = prompts.ask(query)
    talks = [prompts.render(one) for one in asked]
    open_ = [i for i, one in enumerate(asked) if one.choices]
    open_.sort(key=lambda i: sum(len(turn.content) for turn in talks[i]))
    answered = llm.complete(
        [talks[i] for i in open_],
        samples,
        json_schemas=[json_schema(prompts, asked[i]) for i in open_],
        temperature=temperature,
        seed=seed,
        max_tokens=prompts.longest,
    )
    n = len(query)
    rows = np.full((n * samples, len(task.schema)), np.nan)
    reasons, texts = ["nothing may change"] * len(rows), [""] * len(rows)
    for i, several in zip(open_, answered, strict=True):
        for k, answer in enumerate(several):
            at = i * samples + k
            texts[at], reasons[at] = answer.text, answer.reason
            if answer.reason:
                continue
            row, problems = read(prompts, asked[i], answer.text)
            reasons[at] = "; ".join(problem.words for problem in problems)
            if row is not None:
                rows[at] = row
    found = Candidates.of(np.repeat(np.arange(n), samples), rows, name, reasons)
    tokens = sum(answer.tokens_in + answer.tokens_out for several in answered for answer in several)
    return Answers(found, verify(task, query, found), texts, tokens)
