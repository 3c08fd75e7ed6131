"""`explain`: factuals in, verified counterfactuals out.

    query -> propose -> verify -> polish -> verify -> select -> table

Queries are put into one canonical order and cut into batches before anything random happens, so the
answers do not depend on the order in which the rows come.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd

from sensecf.core.candidates import Candidates
from sensecf.core.codec import as_frame
from sensecf.core.counterfactuals import VERDICT_COLUMNS, Counterfactuals
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.kept import read_arrays, write_arrays
from sensecf.core.limits import Limits, Shorthand
from sensecf.core.parallel import LOCAL, Engine, spread
from sensecf.core.polish import polish
from sensecf.core.query import Query, out_of_range
from sensecf.core.rules import Floats
from sensecf.core.select import select
from sensecf.core.task import Ints, Task
from sensecf.core.verify import Verdicts, feasible, verify
from sensecf.generators import Generator, traits_of
from sensecf.generators.search import Search
from sensecf.pipeline.blocking import blame, sentence

#: Queries answered together: at least and at most. Between, a sixteenth of all, so that workers share them evenly.
BATCH = (256, 1024)
#: Candidates of a query that are polished, for each answer asked for.
POLISHED = 3
#: Reasons of a batch for which the generator asked for found nothing that are kept, the most frequent ones.
REASONS = 20


def explain(
    task: Task,
    generator: Generator,
    factuals: pd.DataFrame,
    target: Any = None,
    n: int = 1,
    *,
    limits: Limits | None = None,
    plausibility: float = 1.0,
    fallback: Generator | None = None,
    strict: bool = True,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    engine: Engine = LOCAL,
    **shorthand: Unpack[Shorthand],
) -> Counterfactuals:
    """Up to `n` verified counterfactuals per row of `factuals`, and a reason where there is none.

    Every answer is valid by the classifier's own `predict` and breaks no rule, as saved. An
    abstention names the locks, ranges, rules or budget found to block an answer.

    `factuals`: raw rows with the schema's features; the index names the queries and must be unique.
    `target`: the class to reach (default: the schema's). `limits`: what else is asked of an answer, see
    `Limits`, whose fields may be given as keywords instead (`lock=["steps"]`). `plausibility`: price of being
    unlike the data, 0 for none, 1 by default. `fallback`: a generator asked about the queries that `generator`
    leaves without an answer; the column `generator` says who answered.
    `strict=False` turns factuals outside the schema's ranges into abstentions instead of an error.
    `checkpoint`: a folder in which finished batches are kept, so that an interrupted call goes on
    where it stopped (it must be used for the same call only). `progress(done, total)` is called
    after each batch. `engine`: where batches after the first are answered; the answers are the same.

    Raises `InputError` for anything that cannot be asked.
    """
    if engine.name == "ray" and traits_of(generator).asks_model:
        raise InputError(
            f"generator {generator.name!r} asks its language model from one process, which keeps the record of what "
            "was asked and paid for; choose --engine local"
        )
    factuals = as_frame(factuals, "factuals")
    if n < 1:
        raise InputError(f"n must be at least 1, not {n}")
    if not factuals.index.is_unique:
        raise InputError("the index of the factuals has duplicates; give every row its own (reset_index)")
    position = task.target_position(task.default_target() if target is None else target)
    goal = task.classes[position]
    limits = Limits.of(limits, **shorthand).settled(task.schema)
    rows = task.codec.encode(factuals)
    outside = out_of_range(task.codec, rows, factuals)
    if strict and outside:
        raise InputError(f"{next(iter(outside.values()))} ({len(outside)} rows in all)")
    inside = np.array([i not in outside for i in range(len(rows))], dtype=bool)

    # One canonical order, equal rows once.
    keys = np.where(np.isnan(rows), -np.inf, rows)
    _, first, same = np.unique(keys[inside], axis=0, return_index=True, return_inverse=True)
    distinct = np.flatnonzero(inside)[first]
    whole = Query.of_rows(task, rows[distinct], goal, limits)
    begin_rows, begin = task.rows_judged, time.perf_counter()
    task.check()

    asked = _Asked(task, generator, fallback, limits, n, plausibility, seed)
    answered = [Batch.empty(len(task.schema))]
    size = int(np.clip(len(whole) // 16, *BATCH))
    for part in _each(asked, whole, size, None if checkpoint is None else Path(checkpoint), engine):
        answered.append(part)
        if progress is not None:
            progress(min((len(answered) - 1) * size, len(whole)), len(whole))
    batch = Batch.concat(answered)
    judged = task.judge(rows)
    table = _table(task, batch, factuals, inside, same.reshape(-1), outside, goal)
    seconds = time.perf_counter() - begin
    verdict = {
        "predicted": np.array(task.classes, dtype=object)[judged.predicted],
        "probability": judged.proba[:, position].round(6),
    }
    origin = pd.concat([task.codec.decode(rows, nullable=True), pd.DataFrame(verdict)], axis=1)
    return Counterfactuals(
        table,
        origin.set_index(factuals.index).infer_objects(),
        task.schema,
        attempts=_count(batch.attempts),
        cost={
            "seconds": seconds,
            "classifier_rows": task.rows_judged - begin_rows,
            "queries": len(factuals),
            "distinct_queries": len(whole),
        },
        asked=generator.name,
        failures=_failures(batch.failures),
    )


@dataclass(frozen=True)
class _Asked:
    """What all batches of a call share."""

    task: Task
    generator: Generator
    fallback: Generator | None
    limits: Limits
    n: int
    plausibility: float
    seed: int

    def mark(self, query: Query) -> str:
        """A name for everything that the answers to a batch depend on, but the task."""
        names = self.generator.name, None if self.fallback is None else self.fallback.name
        digest = hashlib.sha256(repr((names, self.n, self.plausibility, self.seed)).encode())
        for name, values in sorted(vars(query).items()):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def _each(asked: _Asked, whole: Query, size: int, checkpoint: Path | None, engine: Engine) -> Iterator[Batch]:
    """Batches of `size` as they are answered; the first alone and here, since it fits what all share."""
    numbers = range(-(-len(whole) // size))
    stored = {} if checkpoint is None else {number: checkpoint / f"batch-{number:06d}.npz" for number in numbers}

    def part(number: int) -> tuple[int, Query]:
        return number, whole.take(slice(number * size, (number + 1) * size))

    def keep(number: int, batch: Batch) -> Batch:
        if stored:
            batch.save(stored[number], asked.mark(part(number)[1]))
        return batch.shift(number * size)

    todo = []
    for number in numbers:
        done = Batch.load(stored[number], asked.mark(part(number)[1])) if stored else None
        if done is None:
            todo.append(number)
        else:
            yield done.shift(number * size)
    for number in todo[:1]:
        yield keep(number, _one(asked, part(number))[0])
    if len(todo) < 2:
        return
    # Threads do: most of the time goes into matrix products and the classifier, outside the interpreter's lock.
    alone = engine.name == "local" and not traits_of(asked.generator).concurrent
    workers, rest = 1 if alone else None, todo[1:]
    for position, (batch, judged) in spread(_one, map(part, rest), asked, workers=workers, engine=engine, threads=True):
        if engine.name == "ray":  # its workers count on copies of the task
            asked.task.count(judged)
        yield keep(rest[position], batch)


def _one(asked: _Asked, part: tuple[int, Query]) -> tuple[Batch, int]:
    """The answers to one batch, and how many rows the classifier was asked for meanwhile."""
    number, query = part
    before = asked.task.rows_judged
    rng = np.random.default_rng([asked.seed, number])
    batch = _answer(asked.task, asked.generator, asked.fallback, query, asked.limits, asked.n, asked.plausibility, rng)
    return batch, asked.task.rows_judged - before


@dataclass(frozen=True)
class Batch:
    """Answers and abstentions of a batch, as plain arrays: what a checkpoint holds.

    `query`, `rank` (0 for an abstention), `rows`, and the verdict on each; `attempts`: how many
    candidates came to which verdict, as "generator|verdict|count"; `failures`: for how many queries the
    generator asked for found nothing, as "reason|count".
    """

    query: Ints
    rank: Ints
    rows: Floats
    predicted: Ints
    numbers: Floats  # probability, valid, feasible, plausible, n_changed, proximity, seconds
    generator: np.ndarray
    reason: np.ndarray
    attempts: np.ndarray
    failures: np.ndarray

    def save(self, path: Path, mark: str) -> None:
        write_arrays(path, vars(self), mark)

    @classmethod
    def load(cls, path: Path, mark: str) -> Batch | None:
        """The answers to what `mark` names; None where they have to be found again."""
        arrays = read_arrays(path, mark)
        return None if arrays is None else cls(**arrays)

    def shift(self, by: int) -> Batch:
        return Batch(**(vars(self) | {"query": self.query + by}))

    @classmethod
    def concat(cls, parts: list[Batch]) -> Batch:
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0])})

    @classmethod
    def empty(cls, width: int) -> Batch:
        none, words = np.empty(0, np.intp), np.empty(0, object)
        return cls(none, none, np.empty((0, width)), none, np.empty((0, 7)), words, words, words, words)


def _answer(
    task: Task,
    generator: Generator,
    fallback: Generator | None,
    query: Query,
    limits: Limits,
    n: int,
    plausibility: float,
    rng: np.random.Generator,
) -> Batch:
    began = time.perf_counter()
    tried: list[np.ndarray] = []
    good = _stay(task, query)
    open_queries = np.setdiff1d(np.arange(len(query)), good.query)
    own, missed = np.full(len(query), "", dtype=object), np.empty(0, np.intp)
    for name, source in _sources(generator, fallback):
        if not len(open_queries):
            continue
        proposed = source.propose(query.take(open_queries), rng)
        who = np.full(len(proposed), name, dtype=object)
        proposed = Candidates(open_queries[proposed.query], proposed.rows, proposed.reason, who)
        found, verdicts, why = _refine(task, query, proposed, n, plausibility)
        tried.append(verdicts)
        good = Candidates.concat([good, found])
        open_queries = np.setdiff1d(np.arange(len(query)), good.query)
        if source is generator:
            own, missed = why, open_queries

    verdict = verify(task, query, good)
    price = verdict.price(plausibility)
    changed = task.codec.changed(query.rows[good.query], good.rows)
    at, rank = select(good.query, price, changed, task.once(Scale).place(good.rows), n)
    blames = blame(task, query.take(open_queries), limits, plausibility, rng) if len(open_queries) else []
    reasons = [sentence(why, task.schema) for why in blames]
    if not isinstance(generator, Search):  # what the search says of itself is what `blame` says better
        words = [f"{generator.name}: {own[q]}" for q in open_queries]
        # What is known for certain stands first.
        reasons = [
            f"{text}; {said}" if why.blocked and why.blocked[0].kind != "blank" else f"{said}; {text}"
            for why, text, said in zip(blames, reasons, words, strict=True)
        ]
    seconds = (time.perf_counter() - began) / max(len(query), 1)
    m, left = len(at), len(open_queries)
    stay = verdict.n_changed[at] == 0
    numbers = np.column_stack(
        [
            np.concatenate([verdict.probability[at].round(6), np.full(left, np.nan)]),
            np.concatenate([verdict.valid[at], np.zeros(left)]),
            np.concatenate([verdict.feasible[at], np.zeros(left)]),
            np.concatenate([verdict.plausible[at], np.zeros(left)]),
            np.concatenate([verdict.n_changed[at], np.full(left, np.nan)]),
            np.concatenate([verdict.proximity[at].round(6), np.full(left, np.nan)]),
            np.full(m + left, seconds),
        ]
    )
    return Batch(
        query=np.concatenate([good.query[at], open_queries]),
        rank=np.concatenate([rank, np.zeros(left, np.intp)]),
        rows=np.concatenate([good.rows[at], np.full((left, len(task.schema)), np.nan)]),
        predicted=np.concatenate([verdict.predicted[at], np.full(left, -1)]),
        numbers=numbers,
        generator=np.concatenate([good.generator[at], np.full(left, generator.name, dtype=object)]),
        reason=np.concatenate([np.where(stay, "already in the target class", ""), np.array(reasons, dtype=object)]),
        attempts=np.concatenate(tried) if tried else np.empty(0, dtype=object),
        failures=_counted(own[missed]),
    )


def _sources(generator: Generator, fallback: Generator | None) -> list[tuple[str, Generator]]:
    """The generator asked for and its fallback, each with the name its answers go by: never the other's."""
    sources = [(generator.name, generator)]
    if fallback is not None:
        same = fallback.name == generator.name and type(fallback) is not type(generator)
        sources.append((f"{fallback.name} (fallback)" if same else fallback.name, fallback))
    return sources


def _counted(reasons: np.ndarray) -> np.ndarray:
    """The most frequent reasons as "reason|count"."""
    return np.array([f"{text}|{count}" for text, count in Counter(reasons).most_common(REASONS)], dtype=object)


def _stay(task: Task, query: Query) -> Candidates:
    """Factuals that are in the target class already, and break no rule: nothing need change."""
    everyone = Candidates.of(np.arange(len(query)), query.rows, "none")
    judgement = task.judge(query.rows, final=True)
    there = task.valid(judgement, query.target, query.margin)
    return everyone.take(there & feasible(task.codec, query, everyone.query, query.rows))


def _refine(
    task: Task, query: Query, candidates: Candidates, n: int, plausibility: float
) -> tuple[Candidates, np.ndarray, np.ndarray]:
    """The good candidates, the cheapest of each query polished; what became of every candidate; and for
    every query why its last candidate was not good."""
    # What is handed out is judged once more, below; a foreign `predict` may refuse what looked good, and rule out
    # all that was kept: it is asked about every proposal.
    verdict = verify(task, query, candidates, final=not task.takes_codes)
    outcome = _outcome(verdict, candidates)
    why = np.full(len(query), "nothing was proposed", dtype=object)
    why[candidates.query] = np.where(verdict.reason == "", "not valid", verdict.reason)
    good = candidates.take(verdict.good)
    price = verdict.price(plausibility)[verdict.good]
    order = np.lexsort((price, good.query))
    place = np.arange(len(order)) - np.searchsorted(good.query[order], good.query[order])
    best = good.take(order[place < POLISHED * n])
    rows = polish(task, query, best.query, best.rows, plausibility, price=price[order[place < POLISHED * n]])
    polished = Candidates(best.query, rows, best.reason, best.generator)
    # The classifier's own predict has the last word, on what the polish made or else on what was proposed.
    still = verify(task, query, polished).good
    rows = np.where(still[:, None], polished.rows, best.rows)
    stands = still.copy()
    stands[~still] = verify(task, query, best.take(~still)).good
    rows, best = rows[stands], best.take(stands)
    key = np.column_stack([best.query, np.where(np.isnan(rows), -np.inf, rows)])
    once = np.unique(key, axis=0, return_index=True)[1]
    return Candidates(best.query, rows, best.reason, best.generator).take(once), outcome, why


def _outcome(verdict: Verdicts, candidates: Candidates) -> np.ndarray:
    """What became of the candidates: counts of "generator|verdict" (good, not valid, infeasible, refused)."""
    words = np.array(["refused", "infeasible", "not valid", "good"])
    verdicts = np.select([candidates.reason != "", ~verdict.feasible, ~verdict.valid], [0, 1, 2], 3)
    names, who = np.unique(candidates.generator.astype(str), return_inverse=True)
    pairs, counts = np.unique(who * len(words) + verdicts, return_counts=True)
    labels = [f"{names[p // len(words)]}|{words[p % len(words)]}|{c}" for p, c in zip(pairs, counts, strict=True)]
    return np.array(labels, dtype=object)


def _failures(failures: np.ndarray) -> pd.Series[int]:
    rows = [text.rsplit("|", 1) for text in failures.tolist()]
    found = pd.DataFrame(rows, columns=["reason", "count"]).astype({"count": int})
    return found.groupby("reason")["count"].sum().sort_values(ascending=False, kind="stable")


def _count(attempts: np.ndarray) -> pd.DataFrame:
    rows = [text.rsplit("|", 2) for text in attempts.tolist()]
    frame = pd.DataFrame(rows, columns=["generator", "verdict", "count"]).astype({"count": int})
    return frame.groupby(["generator", "verdict"])["count"].sum().reset_index()


def _table(
    task: Task,
    batch: Batch,
    factuals: pd.DataFrame,
    inside: np.ndarray,
    same: Ints,
    outside: Mapping[int, str],
    goal: Any,
) -> pd.DataFrame:
    """The tidy table, one block of rows per factual in the order the factuals came."""
    # Every factual takes the rows of the distinct query it equals.
    order = np.argsort(batch.query, kind="stable")
    starts = np.searchsorted(batch.query[order], np.arange(int(same.max(initial=-1)) + 2))
    source, owner = [], []
    for factual, distinct in zip(np.flatnonzero(inside), same, strict=True):
        block = order[starts[distinct] : starts[distinct + 1]]
        source.append(block)
        owner.append(np.full(len(block), factual))
    at = np.concatenate(source) if source else np.empty(0, np.intp)
    who = np.concatenate(owner) if owner else np.empty(0, np.intp)

    rank = batch.rank[at]
    labels = np.array([*task.classes, None], dtype=object)
    numbers = batch.numbers[at]
    columns: dict[str, Any] = {
        "query": factuals.index.to_numpy()[who],
        "rank": pd.array(np.where(rank > 0, rank, -1), dtype="Int64"),
        "generator": batch.generator[at],
        "target": np.full(len(at), goal, dtype=object),
        "predicted": labels[batch.predicted[at]],
        "probability": numbers[:, 0],
        "valid": numbers[:, 1] > 0,
        "feasible": numbers[:, 2] > 0,
        "plausible": numbers[:, 3] > 0,
        "n_changed": pd.array(np.where(rank > 0, numbers[:, 4], -1).astype(int), dtype="Int64"),
        "proximity": numbers[:, 5],
        "seconds": numbers[:, 6].round(6),
        "reason": batch.reason[at],
    }
    verdicts = pd.DataFrame(columns, columns=list(VERDICT_COLUMNS))
    verdicts.loc[rank == 0, ["rank", "n_changed"]] = pd.NA
    features = task.codec.decode(batch.rows[at], nullable=True)
    table = pd.concat([verdicts, features], axis=1)
    if outside:
        table = pd.concat([table, _refused(task, table, factuals, outside, goal)], ignore_index=True)
        who = np.concatenate([who, list(outside)])
    return table.iloc[np.argsort(who, kind="stable")].reset_index(drop=True)


def _refused(
    task: Task, table: pd.DataFrame, factuals: pd.DataFrame, outside: Mapping[int, str], goal: Any
) -> pd.DataFrame:
    """Abstentions for factuals outside the schema's ranges."""
    blank = task.codec.decode(np.full((len(outside), len(task.schema)), np.nan), nullable=True)
    rows = pd.DataFrame(index=range(len(outside)), columns=list(VERDICT_COLUMNS))
    rows["query"] = factuals.index.to_numpy()[list(outside)]
    rows["generator"], rows["target"], rows["seconds"] = "none", goal, 0.0
    rows[["valid", "feasible", "plausible"]] = False
    rows["reason"] = list(outside.values())
    typed = rows.astype({name: table.dtypes[name] for name in VERDICT_COLUMNS})
    return pd.concat([typed, blank], axis=1)
