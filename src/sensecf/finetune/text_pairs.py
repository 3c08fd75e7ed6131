"""Pairs in words: prompts and the verified counterfactuals that answer them, for tuning a language model.

They come from the training rows of a task and from nowhere else, balanced, without duplicates, and with
a card that says which rows they saw.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf.classifiers.storage import data_hash
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json
from sensecf.core.limits import Limits
from sensecf.core.polish import polish
from sensecf.core.query import Query, in_tow
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task
from sensecf.core.verify import cost, edits, verify
from sensecf.generators import Generator
from sensecf.generators.prompted.shots import answered_by
from sensecf.generators.tiny.pairs import draw_queries
from sensecf.llm import Prompt
from sensecf.llm.language.offered import Offered
from sensecf.llm.language.offers import harder
from sensecf.llm.language.prompts import Prompts
from sensecf.llm.language.replies import find_changes

#: Pairs are drawn in so many times the number wanted, so that there is a choice.
SURPLUS = 1.5
#: Times that queries are drawn, at most, until as many as are wanted are answered.
ROUNDS = 4
#: The hardest pair is so many times as likely to be chosen as the easiest of its kind.
HARDEST = 3.0
#: Answers of more changes count as one kind when pairs are balanced.
MOST_CHANGES = 4
#: The lead over the other classes that queries ask for: often none in particular, else as different ones as may be,
#: so that how much is asked for is read and not only that something is.
MARGINS = np.array([0.0, 0.0, 0.2, 0.4, 0.6])


@dataclass(frozen=True)
class Pairs:
    """Questions and their answers: `query` (n), `rows` (n, d) encoded counterfactuals, the texts, the card."""

    query: Query
    rows: Floats
    prompts: list[Prompt]
    completions: list[str]
    card: Mapping[str, object]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Ints) -> Pairs:
        """The pairs at the given positions, under the same card."""
        return Pairs(
            self.query.take(index),
            self.rows[index],
            [self.prompts[i] for i in index],
            [self.completions[i] for i in index],
            self.card,
        )

    def split(self, share: float) -> tuple[Pairs, Pairs]:
        """Pairs to learn from, and about `share` of them to validate on; no factual is in both.

        Which side a factual falls on follows from its values alone, but that neither side is empty where there are
        two factuals or more.
        """
        names = np.array([int(name[:8], 16) for name in row_hashes(self.query.rows)])
        order = np.unique(names)
        held = int(np.clip((order < share * 16**8).sum(), min(1, len(order) - 1), max(0, len(order) - 1)))
        aside = np.isin(names, order[:held])
        return self.take(np.flatnonzero(~aside)), self.take(np.flatnonzero(aside))

    def firmer(self, prompts: Prompts, margin: Floats) -> Pairs:
        """The pairs with wishes for a lead of at least `margin` (n), wherever the answer has it."""
        query = replace(self.query, margin=np.maximum(self.query.margin, margin))
        enough = verify(prompts.task, query, Candidates.of(np.arange(len(self)), self.rows, "pairs")).good
        query = replace(query, margin=np.where(enough, query.margin, self.query.margin))
        return replace(self, query=query, prompts=[prompts.render(asked) for asked in prompts.ask(query)])

    def save(self, folder: str | Path) -> None:
        """Write `pairs.jsonl`, in the prompt–completion format of chat trainers, and `pairs.json`, the card."""
        folder = Path(folder)
        with replacing(folder / "pairs.jsonl") as path, path.open("w", encoding="utf-8") as file:
            for prompt, completion in zip(self.prompts, self.completions, strict=True):
                turns = [{"role": turn.role, "content": turn.content} for turn in prompt]
                line = {"prompt": turns, "completion": [{"role": "assistant", "content": completion}]}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        write_json(folder / "pairs.json", self.card)


def draw(
    prompts: Prompts,
    count: int,
    seed: int = 0,
    *,
    slack: float = 0.1,
    plausibility: float = 1.0,
    generator: Generator | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Pairs:
    """`count` pairs over training rows and mixtures of them, fewer where fewer can be answered.

    Targets, locks, budgets and margins are drawn as in `pairs.draw_queries`, and drawn again up to `ROUNDS` times
    where too few could be answered; the card says how many were `wanted`. `slack`: answers lead by so
    much more than is asked for, so that a model that is a little off is still valid. `generator`: who
    answers instead of the teacher, which is a search, or takes what the prompts offer (see `offers.answers`);
    its best verified answer is polished and taken.
    Raises `InputError` when nothing can be answered.

    >>> pairs = sensecf.finetune.draw(sensecf.llm.Brief(task), 8)
    """
    if count < 1:
        raise InputError(f"the number of pairs must be at least 1, not {count}")
    task, rng = prompts.task, np.random.default_rng([seed, 21])
    answered = _Answered([], [], 0, set())
    wanted = int(SURPLUS * count) + 1
    for turn in range(ROUNDS):
        more = wanted if turn == 0 else answered.still(wanted)
        asked = draw_queries(task, more, rng, MARGINS)
        asked = replace(asked, movable=asked.movable & ~prompts.wording.withheld)
        if generator is not None:
            at, rows = _best(task, harder(asked, slack), generator, rng, plausibility)
        else:
            at, rows = answered_by(prompts, asked, rng, plausibility, slack, progress)
        answered = answered.beside(asked, at, rows)
        if len(answered.distinct) >= count:
            break
    found = _joined(answered.queries)
    rows = np.concatenate(answered.rows)
    own = "offers" if isinstance(prompts, Offered) else "search"
    source = own if generator is None else generator.name
    facts = {"source": source, "slack": slack, "seed": seed, "wanted": count, "asked": answered.asked}
    return _finish(prompts, found, np.arange(len(found)), rows, count, rng, plausibility, facts)


class _Answered(NamedTuple):
    """What was answered so far: queries and rows in parts, how many were `asked`, and the `distinct` questions."""

    queries: list[Query]
    rows: list[Floats]
    asked: int
    distinct: set[bytes]

    def beside(self, asked: Query, at: Ints, rows: Floats) -> _Answered:
        query = asked.take(at)
        told = np.column_stack(
            [query.rows, query.target, query.low, query.high, query.movable, query.max_changes, query.margin]
        )
        seen = self.distinct | {row.tobytes() for row in told}
        return _Answered([*self.queries, query], [*self.rows, rows], self.asked + len(asked), seen)

    def still(self, wanted: int) -> int:
        """Queries to draw so that about `wanted` are answered, by the share that was answered so far."""
        share = max(len(self.distinct) / self.asked, 0.1)
        return int((wanted - len(self.distinct)) / share) + 1


def from_table(
    prompts: Prompts,
    counterfactuals: pd.DataFrame,
    factuals: pd.DataFrame,
    count: int,
    seed: int = 0,
    *,
    plausibility: float = 1.0,
) -> Pairs:
    """Pairs from the tables of a run folder: `counterfactuals.csv` (`query`, `target`, features), `factuals.csv`.

    Every answer is verified anew by the task's classifier. Answers of rows that are no training
    rows of the task are left out and counted on the card.
    Raises `InputError` for absent columns, and where no row is a training row.
    """
    task = prompts.task
    for table, name, columns in (
        (counterfactuals, "counterfactuals", ["query", "target", *task.schema.names]),
        (factuals, "factuals", ["query", *task.schema.names]),
    ):
        absent = [column for column in columns if column not in table.columns]
        if absent:
            raise InputError(f"the table of {name} has no column {absent[0]!r}; give the one that a run has written")
    answered = counterfactuals[counterfactuals[task.schema.names].notna().any(axis=1)]
    people = factuals.drop_duplicates("query").set_index("query")
    known = set(row_hashes(task.rows))
    strange = 0
    parts, answers = [], []
    for target, group in answered.groupby("target", sort=False):
        group = group[group["query"].isin(people.index)]
        base = people.loc[group["query"], task.schema.names]
        own = np.array([name in known for name in row_hashes(task.codec.encode(base))], dtype=bool)
        strange += int((~own).sum())
        if own.any():
            parts.append(Limits(edit="mutable").query(task, base[own].reset_index(drop=True), target))
            answers.append(task.codec.encode(group.loc[own, task.schema.names].reset_index(drop=True)))
    if not parts:
        raise InputError(
            f"none of the {len(answered)} counterfactuals is of a training row, and pairs are made of no others; "
            "give the run of `explain` that asked about the rows of this table"
        )
    asked = _joined(parts)
    asked = replace(asked, movable=asked.movable & ~prompts.wording.withheld)
    facts = {"source": "table", "seed": seed, "not of a training row": strange}
    rng = np.random.default_rng([seed, 21])
    return _finish(prompts, asked, np.arange(len(asked)), np.concatenate(answers), count, rng, plausibility, facts)


def row_hashes(rows: Floats) -> list[str]:
    """A name of 16 hexadecimal digits for each encoded row (n, d): equal values, equal name."""
    clean = np.where(np.isnan(rows), np.nan, rows + 0.0)  # one zero, one blank
    return [hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest()[:16] for row in clean]


def _finish(
    prompts: Prompts,
    asked: Query,
    at: Ints,
    rows: Floats,
    count: int,
    rng: np.random.Generator,
    plausibility: float,
    facts: Mapping[str, object],
) -> Pairs:
    """Verify, put into words, drop duplicates, balance, and write the card."""
    task = prompts.task
    good = verify(task, asked.take(at), Candidates.of(np.arange(len(at)), rows, "pairs")).good
    at, rows = at[good], rows[good]
    query = asked.take(at)
    if not len(query):
        raise InputError("no query drawn from the training rows could be answered, so there are no pairs to learn from")
    questions = prompts.ask(query)
    answers = [prompts.completion(question, row) for question, row in zip(questions, rows, strict=True)]
    brief_enough = [len(find_changes(text)) <= prompts.most(q) for q, text in zip(questions, answers, strict=True)]
    texts = [prompts.render(question) for question in questions]
    first = sorted({text: i for i, text in reversed(list(enumerate(texts))) if brief_enough[i]}.values())
    if not first:
        raise InputError("every answer found changes more features than an answer in words may name; no pairs are left")
    price = cost(task, query, np.arange(len(query)), rows, plausibility)
    chosen = np.array(first)[_balanced(task, query.take(first), rows[first], price[first], count, rng)]
    query, rows = query.take(chosen), rows[chosen]
    changes = edits(task.codec, query, np.arange(len(query)), rows).sum(axis=1)
    card = {
        **facts,
        "pairs": len(chosen),
        "asked": facts.get("asked", len(asked)),
        "verified": int(good.sum()),
        "too many changes": brief_enough.count(False),
        "duplicates": brief_enough.count(True) - len(first),
        "wording": prompts.version,
        "order": [task.schema.names[j] for j in prompts.order],
        "withheld": [name for name, hidden in zip(task.schema.names, prompts.wording.withheld, strict=True) if hidden],
        "balance": {
            "target": _counts([task.classes[k] for k in query.target]),
            "changes": _counts(changes.tolist()),
            "locked": int(_locked(task, query).sum()),
            "budget": int((query.max_changes < changes.max() + 1).sum()),
        },
        "train": data_hash(task.train),
        # Mixtures are made of, and answers measured against, all training rows: all of them were seen.
        "rows_seen": row_hashes(task.rows),
    }
    return Pairs(query, rows, [texts[i] for i in chosen], [answers[i] for i in chosen], card)


def _balanced(task: Task, query: Query, rows: Floats, price: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Positions of at most `count` pairs: every kind (target, changes, locks) alike, hard ones oftener."""
    changes = np.minimum(edits(task.codec, query, np.arange(len(query)), rows).sum(axis=1), MOST_CHANGES)
    kinds = np.column_stack([query.target, changes, _locked(task, query)])
    _, kind, sizes = np.unique(kinds, axis=0, return_inverse=True, return_counts=True)
    rank = np.argsort(np.argsort(price, kind="stable"), kind="stable") / max(len(price) - 1, 1)
    weight = (1 + (HARDEST - 1) * rank) / sizes[kind.ravel()]
    drawn: Ints = np.sort(rng.choice(len(rows), min(count, len(rows)), replace=False, p=weight / weight.sum()))
    return drawn


def _locked(task: Task, query: Query) -> Bools:
    """Whether a query locks what the schema lets change, shape (q,)."""
    return np.asarray((~(query.movable | query.follows) & task.codec.changeable & ~np.isnan(query.rows)).any(axis=1))


def _best(
    task: Task, query: Query, generator: Generator, rng: np.random.Generator, plausibility: float
) -> tuple[Ints, Floats]:
    """The cheapest verified answer of a generator to each query it can answer, polished: (position, row)."""
    found = generator.propose(query, rng)
    found = replace(found, rows=in_tow(task, query, found.query, found.rows))
    found = found.take(verify(task, query, found).good)
    price = cost(task, query, found.query, found.rows, plausibility)
    order = np.lexsort((price, found.query))
    best = found.take(order[np.unique(found.query[order], return_index=True)[1]])
    return best.query, polish(task, query, best.query, best.rows, plausibility, rounds=3)


def _joined(parts: Sequence[Query]) -> Query:
    """Several batches of queries as one."""
    names = Query.__dataclass_fields__
    return Query(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _counts(values: list[Any]) -> dict[str, int]:
    return {str(value): values.count(value) for value in sorted(set(values), key=str)}
