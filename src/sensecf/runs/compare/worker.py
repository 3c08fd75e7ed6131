"""One method of a comparison in a process of its own; `main` is what that process runs.

It reads a job as one line of JSON, prints `ready` when the generator is built and `done K` when chunk
K lies in its file, and ends when its standard input closes, so that it never outlives its parent.
Nothing that a generator does here (hang, crash, fill the terminal) reaches the parent.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sensecf import generators
from sensecf.classifiers.storage import load_task
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError, one_line
from sensecf.core.kept import read_arrays, write_arrays
from sensecf.core.limits import Limits
from sensecf.core.query import Query, in_tow
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.data.card import Card
from sensecf.generators import Context, Generator, traits_of
from sensecf.generators.own import COUNTS, OwnAnswers
from sensecf.generators.search import THOROUGH, Search
from sensecf.llm.language.prompting import Prompting
from sensecf.pipeline.explain import explain
from sensecf.pipeline.hold import Holding

#: Exit status of a worker whose generator cannot be built; its last words say why.
NOT_BUILT = 3


@dataclass(frozen=True)
class Job:
    """What one worker is to do.

    `generator` is built with `options`, `model`, `cache` and, where it asks one, the language model of `prompting`
    (whose `ledger` is a file), and is asked about the query in the file `query` on the task in the folder `task`,
    whose classifier's name is `trusted`. `polish`: through `explain`, for `n` answers under `limits`. Chunks are
    written to the folder `out`.
    """

    generator: str
    out: str
    task: str = ""
    query: str = ""
    trusted: tuple[str, ...] = ()
    polish: bool = False
    n: int = 1
    seed: int = 0
    limits: Limits = field(default_factory=lambda: Limits(hold=0.0))
    options: Mapping[str, bool] = field(default_factory=dict)
    cache: str | None = None
    model: str | None = None
    ledger: str = ""
    card: Card | None = None
    prompting: Prompting | None = None

    @classmethod
    def read(cls, data: dict[str, Any]) -> Job:
        """From what `dataclasses.asdict` gave, once written as JSON."""
        parts: dict[str, type[Any]] = {"limits": Limits, "card": Card, "prompting": Prompting}
        made = {name: part(**_tupled(data[name])) for name, part in parts.items() if data[name] is not None}
        return cls(**(_tupled(data) | made))


@dataclass(frozen=True)
class Chunk:
    """What came of some requests that were asked together.

    `asked` (k,): numbers of the requests; `query` (m,): the request that each row answers, in the
    order of preference in which the generator gave them; `rows` (m, d): encoded, NaN where nothing was proposed;
    `reason` (m,): why not, else ""; `generator` (m,): who proposed it; `stated` (m,): the bound that the generator
    states of it (see `Traits.states`), NaN where it states none. `seconds`, `classifier_rows`
    and `tokens` (NaN where nobody counts them) are those of the chunk, `fit_seconds` and `fit_rows`
    those of building the generator. `own`: what its language model answered itself, in the order of `COUNTS`; NaN where
    none is asked.
    """

    asked: Ints
    query: Ints
    rows: Floats
    reason: np.ndarray
    generator: np.ndarray
    stated: Floats
    seconds: float
    classifier_rows: float
    tokens: float = float("nan")
    fit_seconds: float = 0.0
    fit_rows: float = 0.0
    own: Floats = field(default_factory=lambda: np.full(len(COUNTS), np.nan))

    @classmethod
    def nothing(cls, asked: Ints, width: int, generator: str, reason: str, seconds: float) -> Chunk:
        """No answer to any of the requests, for one reason."""
        blank, m = np.full((len(asked), width), np.nan), len(asked)
        words, names = np.full(m, reason, object), np.full(m, generator, object)
        return cls(asked, asked, blank, words, names, np.full(m, np.nan), seconds, 0.0)

    def save(self, path: Path) -> None:
        """Write the chunk whole or not at all."""
        write_arrays(path, vars(self), path.parent.name)

    @classmethod
    def all_in(cls, folder: Path) -> list[Chunk]:
        """The chunks that `save` wrote to a folder and that are whole."""
        found = [read_arrays(path, folder.name) for path in sorted(folder.glob("batch-*x*.npz"))]
        return [cls(**arrays) for arrays in found if arrays is not None]


def name_of(asked: Sequence[int] | Ints) -> str:
    """The file of a chunk, by its first request and its size."""
    return f"batch-{int(asked[0]):06d}x{len(asked)}.npz"


def main() -> None:
    """Work off the job on standard input."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a generator prints is no message
    order = json.loads(sys.stdin.readline())
    sys.path[:] = order["path"]
    job = Job.read(order["job"])
    threading.Thread(target=_end_with_the_parent, daemon=True).start()

    with np.load(job.query, allow_pickle=False) as data:
        query = Query(**{name: data[name] for name in data.files})
    task = load_task(job.task, trusted=job.trusted)
    with ExitStack() as stack:
        began, before = time.perf_counter(), task.rows_judged
        try:
            generator = generators.build(job.generator, task, _context(job, stack))
        except InputError as error:
            print(f"InputError: {error}", file=sys.stderr)
            sys.exit(NOT_BUILT)
        if job.polish and job.limits.hold > 0:  # a jury and its margins are built once, as a generator is
            for target in np.unique(query.target).tolist():
                task.once(Holding).of(target, job.limits)
        built = {"fit_seconds": time.perf_counter() - began, "fit_rows": task.rows_judged - before}
        channel.write("ready\n")
        for number, asked in enumerate(order["chunks"]):
            requests = np.array(asked, dtype=np.intp)
            answer(task, generator, query, requests, job, built).save(Path(job.out) / name_of(requests))
            channel.write(f"done {number}\n")
    channel.close()


def _context(job: Job, stack: ExitStack) -> Context:
    """What the generator of a job is built with; a language model is open for as long as `stack` is."""
    prompting = llm = None
    if job.prompting is not None and "llm" in traits_of(generators.find(job.generator)).needs:
        prompting = job.prompting
        llm = stack.enter_context(prompting.model(Path(job.ledger), job.card, lambda phase, share: None))
    return Context(
        job.seed, cache=job.cache, model=job.model, llm=llm, prompting=prompting, card=job.card, options=job.options
    )


def _tupled(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of a frozen dataclass as they were before they became JSON."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}


def answer(task: Task, generator: Generator, query: Query, asked: Ints, job: Job, built: dict[str, float]) -> Chunk:
    """Ask about a chunk; where that raises, ask one request at a time and note who raised what."""
    began, rows, tokens, own = time.perf_counter(), task.rows_judged, _tokens(generator), _own(generator)
    try:
        if job.polish:
            (found, stated), numbers = _explained(task, generator, query, asked, job), asked
        else:
            rng = np.random.default_rng([job.seed, int(asked[0]), len(asked)])
            asking = query.take(asked)
            found = _checked(task, generator.propose(asking, rng), len(asked))
            kept = found.reason == ""
            found.rows[kept] = in_tow(task, asking, found.query[kept], found.rows[kept])
            numbers, stated = asked, None
    except Exception as error:
        if len(asked) == 1:
            width, reason = len(task.schema), f"the generator raised {type(error).__name__}: {one_line(error)}"
            return Chunk.nothing(asked, width, generator.name, reason, time.perf_counter() - began)
        return _joined([answer(task, generator, query, asked[[i]], job, built) for i in range(len(asked))])
    spent, judged = time.perf_counter() - began, float(task.rows_judged - rows)
    # What is stated is no part of finding it, and not charged.
    if stated is None:
        stated = _stated(task, generator, query.take(numbers[found.query]).target, found)
    return Chunk(
        asked,
        numbers[found.query],
        found.rows,
        found.reason,
        found.generator,
        stated,
        spent,
        judged,
        _tokens(generator) - tokens,
        own=_own(generator) - own,
        **built,
    )


def _stated(task: Task, generator: Any, target: Ints, found: Candidates) -> Floats:
    """The bound that a generator states of each of its rows, shape (m,); NaN where it states none."""
    stated = np.full(len(found), np.nan)
    own = np.flatnonzero((found.reason == "") & (found.generator == generator.name))
    if traits_of(generator).states and len(own):
        stated[own] = generator.bound(found.rows[own], target[own])
    return stated


def _explained(task: Task, generator: Generator, query: Query, asked: Ints, job: Job) -> tuple[Candidates, Floats]:
    """The answers of `explain`, as a user of the generator gets them, and the bounds that it states of them; requests
    of one target."""
    part = query.take(asked)
    cfs = explain(
        task,
        generator,
        task.codec.decode(part.rows),
        task.classes[part.target[0]],
        job.n,
        limits=job.limits,
        fallback=Search(task, job.seed, effort=THOROUGH),
        seed=job.seed,
    )
    frame = cfs.frame
    rows = task.codec.encode(frame)
    reason = frame["reason"].where(frame["rank"].isna(), "").to_numpy(dtype=object)
    owner = frame["query"].to_numpy(dtype=np.intp)
    # Under the name of the job what its generator found or gave up, under its own what the fallback found.
    who = frame["generator"].where(frame["generator"] != cfs.asked, job.generator)
    stated = frame["holds_low"].to_numpy(dtype=float)
    return Candidates(owner, rows, reason, who.to_numpy(dtype=object)), stated


def _checked(task: Task, proposed: Candidates, count: int) -> Candidates:
    """Proposals that a table can hold; a row that it cannot hold is a row with a reason.

    Raises `ValueError` where queries or shapes are wrong.
    """
    owner, rows = np.asarray(proposed.query), np.array(proposed.rows, dtype=float)
    if rows.shape != (len(owner), len(task.schema)) or len(proposed.reason) != len(owner):
        raise ValueError(f"proposals of shape {rows.shape} for {len(owner)} queries of {len(task.schema)} features")
    if len(owner) and not 0 <= owner.min() <= owner.max() < count:
        raise ValueError(f"proposals for query {owner.min()} to {owner.max()}, of {count}")
    codec, reason = task.codec, np.array(proposed.reason, dtype=object)
    given = reason == ""
    reason[given & np.isnan(rows).all(axis=1)] = "an empty row was proposed"
    reason[given & np.isinf(rows).any(axis=1)] = "an infinite value was proposed"
    levels = rows[:, ~codec.numeric]
    with np.errstate(invalid="ignore"):
        off = (levels % 1 != 0) | (levels < 0) | (levels > codec.high[~codec.numeric])
    reason[given & (off & ~np.isnan(levels)).any(axis=1)] = "a value that is no level of its feature was proposed"
    rows[reason != ""] = np.nan
    return type(proposed)(owner.astype(np.intp), rows, reason, np.asarray(proposed.generator, dtype=object))


def _joined(parts: list[Chunk]) -> Chunk:
    """Chunks of one request each as one chunk."""
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("asked", "query", "rows", "reason", "generator", "stated")
    }
    sums: dict[str, Any] = {
        name: float(sum(getattr(part, name) for part in parts)) for name in ("seconds", "classifier_rows", "tokens")
    }
    built: dict[str, Any] = {name: max(getattr(part, name) for part in parts) for name in ("fit_seconds", "fit_rows")}
    return Chunk(**arrays, **sums, **built, own=np.sum([part.own for part in parts], axis=0))


def _tokens(generator: Any) -> float:
    """Tokens of a language model that the generator has used so far; NaN where it asks none."""
    return float(generator.tokens) if traits_of(generator).asks_model else float("nan")


def _own(generator: Any) -> Floats:
    """What the language model of the generator has answered itself so far; NaN where it asks none."""
    if not isinstance(generator, OwnAnswers):
        return np.full(len(COUNTS), np.nan)
    counts = generator.own()
    return np.array([counts.get(name, np.nan) for name in COUNTS], dtype=float)


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(1)
