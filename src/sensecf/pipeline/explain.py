"""`explain`: factuals in, verified counterfactuals out.

    query -> propose -> verify -> polish -> verify -> select -> table

Queries are put into one canonical order and cut into batches before anything random happens, so the
answers do not depend on the order in which the rows come.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
import pandas as pd

from sensecf.core.candidates import Candidates
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.frames import as_frame
from sensecf.core.limits import Limits, Shorthand
from sensecf.core.parallel import LOCAL, Engine, spread
from sensecf.core.query import Query, out_of_range
from sensecf.core.task import Task
from sensecf.data.whose import whose
from sensecf.generators import Context, Generator, build, traits_of
from sensecf.generators.search import Search
from sensecf.pipeline.batch import Batch, Shares, followed, table_columns
from sensecf.pipeline.blocking import blame, sentence
from sensecf.pipeline.find import Terms
from sensecf.pipeline.held import find_asked
from sensecf.pipeline.hold import Holding
from sensecf.pipeline.refine import Judged, judge

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: Queries answered together: at least and at most. Between, a sixteenth of all, so that workers share them evenly.
BATCH = (256, 1024)
#: Reasons of a batch for which the generator asked for found nothing that are kept, the most frequent ones.
REASONS = 20
#: The reason where every plan found fails when its consequences are looked at.
UNDONE = (
    "no plan found would hold with what is expected to follow from it; --consequences still looks at the edits alone"
)


def explain(
    task: Task,
    generator: Generator | str,
    factuals: IntoDataFrame,
    target: Any = None,
    n: int = 1,
    *,
    limits: Limits | None = None,
    plausibility: float = 1.0,
    fallback: Generator | str | None = None,
    strict: bool = True,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    engine: Engine = LOCAL,
    jurors: int | None = None,
    per: Literal["row", "person"] = "row",
    days: float = 0.5,
    **shorthand: Unpack[Shorthand],
) -> Counterfactuals:
    """Up to `n` verified counterfactuals per row of `factuals`, and a reason where there is none.

    Every answer is valid by the classifier's own `predict` and breaks no rule, as saved. An
    abstention names the locks, ranges, rules or budget found to block an answer.

    `generator`: one that is built, or a name (see `generators.NAMES`, and `module:Class`), which is then built on
    `task` with this call's `seed` and `plausibility`; one that is built can be asked again at no further cost.
    `factuals`: raw rows with the schema's features; the index names the queries and must be unique.
    `target`: the class to reach (default: the schema's). `limits`: what else is asked of an answer, see
    `Limits`, whose fields may be given as keywords instead (`lock=["steps"]`). `plausibility`: price of being
    unlike the data, 0 for none, 1 by default. `fallback`: a generator asked about the queries that `generator`
    leaves without an answer; the column `generator` says who answered.
    `strict=False` turns factuals outside the schema's ranges into abstentions instead of an error.
    `checkpoint`: a folder in which finished batches are kept, so that an interrupted call goes on
    where it stopped (it must be used for the same call only). `progress(done, total)` is called
    after each batch. `engine`: where batches after the first are answered; the answers are the same.
    `jurors`: how many refits judge whether plans hold, where `limits.hold` is more than 0 (default: 93, fewer where a
    refit is slow). They are fitted once per task, take no part in the search, and those that count have seen no
    answer before: columns `holds`, `holds_low`, `lands`. A plan that fewer of them agree with than `hold` asks is an
    abstention that says how many do. A classifier that cannot be fitted again gives boundary answers, and `cost`
    says so under `no_jury`.
    `per="person"`: up to `n` plans for each person, each for all of their rows outside of the target class, found by
    a search over these together; a plan turns at least `days` of them (a share, or a whole number of days). See
    `pipeline.person`; `generator` is "search", and one process does all of it.

    Raises `InputError` for anything that cannot be asked.

    >>> plans = sensecf.explain(task, "search", people, target="low", n=2, lock=["steps"], hold=0)
    >>> plans.changes()["feature"].eq("steps").any()
    np.False_
    """
    if per not in ("row", "person"):
        raise InputError(f"per {per!r} is unknown; use row or person")
    generator = _built(task, generator, seed, plausibility)
    if per == "person":
        from sensecf.pipeline.person import Wish, explain_people

        check_search(generator.name)
        limits = Limits.of(limits, **shorthand).settled(task.schema)
        wish = Wish(days, n, limits, plausibility, jurors)
        return explain_people(task, as_frame(factuals, "factuals"), target, wish, strict)
    fallback = None if fallback is None else _built(task, fallback, seed, plausibility)
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
    begin_rows = task.rows_judged
    task.check()
    holding = task.once(Holding)
    holding.settle(jurors)
    held = holding.of(position, limits)
    whole = Query.of_rows(task, rows[distinct], goal, limits)
    begin = time.perf_counter()

    asked = Terms(task, generator, fallback, limits, n, plausibility, seed, held)
    answered = [_nothing(task, whole)]
    size = int(np.clip(len(whole) // 16, *BATCH))
    for part in _each(asked, whole, size, None if checkpoint is None else Path(checkpoint), engine):
        answered.append(part)
        if progress is not None:
            progress(min((len(answered) - 1) * size, len(whole)), len(whole))
    batch = Batch.concat(answered)
    judged = task.judge(rows)
    columns, answers = table_columns(batch, factuals, (inside, same.reshape(-1)), outside)
    seconds = time.perf_counter() - begin
    verdict = {
        "predicted": np.array(task.classes, dtype=object)[judged.predicted],
        "probability": judged.proba[:, position].round(6),
    }
    ids = whose(task.schema, factuals).reset_index(drop=True)
    origin = pd.concat([ids, task.codec.decode(rows, nullable=True), pd.DataFrame(verdict)], axis=1)
    return Counterfactuals.of(
        task,
        origin.set_index(factuals.index).infer_objects(),
        columns | {"target": np.full(len(answers), goal, dtype=object)},
        answers,
        attempts=_count(batch.attempts),
        cost={
            "seconds": seconds,
            "classifier_rows": task.rows_judged - begin_rows,
            "queries": len(factuals),
            "distinct_queries": len(whole),
            **({} if held is None else {"hold": held.facts()}),
            **({"no_jury": holding.problem} if held is None and limits.hold > 0 else {}),
        },
        asked=generator.name,
        failures=_failures(batch.failures),
    )


def check_search(name: str) -> None:
    """Raise `InputError` for a generator that makes no plans for people."""
    if name != "search":
        raise InputError(
            f"plans for people come from a search over all of their days, and {name!r} answers row by row; "
            "leave the generator out, or ask per row"
        )


def _built(task: Task, generator: Generator | str, seed: int, plausibility: float) -> Generator:
    if isinstance(generator, str):
        return build(generator, task, Context(seed=seed, plausibility=plausibility))
    return generator


def _each(asked: Terms, whole: Query, size: int, checkpoint: Path | None, engine: Engine) -> Iterator[Batch]:
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


def _one(asked: Terms, part: tuple[int, Query]) -> tuple[Batch, int]:
    """The answers to one batch, and how many rows the classifier was asked for meanwhile."""
    number, query = part
    before = asked.task.rows_judged
    return _answer(asked, query, np.random.default_rng([asked.seed, number])), asked.task.rows_judged - before


def _answer(asked: Terms, query: Query, rng: np.random.Generator) -> Batch:
    """The answers to a batch, those that hold where that is asked; and why the rest has none."""
    began = time.perf_counter()
    task, generator = asked.task, asked.generator
    found, shares, fell = find_asked(asked, query, rng)
    open_queries = found.open(len(query))
    barred = np.setdiff1d(open_queries, list(fell))
    blames = blame(task, query.take(barred), asked.limits, asked.plausibility, rng) if len(barred) else []
    reasons = [sentence(why, task.schema) for why in blames]
    if not isinstance(generator, Search):  # what the search says of itself is what `blame` says better
        words = [f"{generator.name}: {found.own[q]}" for q in barred]
        # What is known for certain stands first.
        reasons = [
            f"{text}; {said}" if why.blocked and why.blocked[0].kind != "blank" else f"{said}; {text}"
            for why, text, said in zip(blames, reasons, words, strict=True)
        ]
    reasons = [UNDONE if q in found.undone else text for q, text in zip(barred, reasons, strict=True)]
    told = fell | dict(zip(barred.tolist(), reasons, strict=True))
    blank = np.full((len(open_queries), len(task.schema)), np.nan)
    texts = [told[q] for q in open_queries.tolist()]
    none = judge(task, query, Candidates.of(open_queries, blank, generator.name, texts))
    shown = Judged.concat([found.answers, none])
    unknown = Shares.unknown(len(open_queries))
    return Batch.of(
        shown,
        followed(task, query, shown),
        np.concatenate([found.rank, np.zeros(len(open_queries), np.intp)]),
        (time.perf_counter() - began) / max(len(query), 1),
        np.concatenate(found.tried) if found.tried else np.empty(0, dtype=object),
        _counted(found.own[found.missed]),
        Shares(*(np.concatenate(pair) for pair in zip(shares, unknown, strict=True))),
    )


def _nothing(task: Task, query: Query) -> Batch:
    """A batch of nobody."""
    none, words = np.empty(0, np.intp), np.empty(0, object)
    judged = judge(task, query, Candidates.of(none, np.empty((0, len(task.schema))), ""))
    return Batch.of(judged, followed(task, query, judged), none, 0.0, words, words, Shares.unknown(0))


def _counted(reasons: np.ndarray) -> np.ndarray:
    """The most frequent reasons as "reason|count"."""
    return np.array([f"{text}|{count}" for text, count in Counter(reasons).most_common(REASONS)], dtype=object)


def _failures(failures: np.ndarray) -> pd.Series[int]:
    rows = [text.rsplit("|", 1) for text in failures.tolist()]
    found = pd.DataFrame(rows, columns=["reason", "count"]).astype({"count": int})
    return found.groupby("reason")["count"].sum().sort_values(ascending=False, kind="stable")


def _count(attempts: np.ndarray) -> pd.DataFrame:
    rows = [text.rsplit("|", 2) for text in attempts.tolist()]
    frame = pd.DataFrame(rows, columns=["generator", "verdict", "count"]).astype({"count": int})
    return frame.groupby(["generator", "verdict"])["count"].sum().reset_index()
