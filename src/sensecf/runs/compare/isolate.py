"""Asking a method in a process of its own, under time limits; what it finished is kept, whatever becomes of it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from sensecf.core.task import Ints
from sensecf.runs.compare.worker import NOT_BUILT, Chunk, Job, name_of

#: Requests that a method is asked about in one call, unless it is asked through `explain`.
CHUNK = 16


@dataclass(frozen=True)
class TimeLimits:
    """Seconds that a method may take: for each request of a call, and for all of it, building included."""

    per_query: float = 10.0
    whole: float = 600.0


@dataclass(frozen=True)
class _End:
    """How a worker ended: "" when it was done, else "late", "crashed" or "not built", at which chunk and why."""

    how: str
    chunk: int
    reason: str
    seconds: float


def ask(
    job: Job,
    chunks: list[Ints],
    width: int,
    limits: TimeLimits,
    progress: Callable[[float], None] | None = None,
) -> list[Chunk]:
    """What the method of `job` makes of all `chunks`, none of which is lost.

    A chunk that hangs or kills its worker is asked again one request at a time; the request that does
    so alone stays without an answer, with the reason, and so do all that the method's time does not
    reach. Finished chunks lie in the folder `job.out`: calling again goes on from there. `width`
    is the number of features; `progress` is told the share of requests that is done.
    """
    folder = Path(job.out)
    folder.mkdir(parents=True, exist_ok=True)
    done = Chunk.all_in(folder)
    finished = {int(number) for chunk in done for number in chunk.asked}
    spent = sum(chunk.seconds for chunk in done) + max((chunk.fit_seconds for chunk in done), default=0.0)
    todo = [left for chunk in chunks if len(left := chunk[~np.isin(chunk, list(finished))])]

    def say(waiting: list[Ints], answered: int) -> None:
        if progress is not None:
            progress(1.0 - (sum(map(len, waiting)) - answered) / sum(map(len, chunks)))

    def give_up(requests: Ints, reason: str, seconds: float = 0.0) -> None:
        chunk = Chunk.nothing(requests, width, job.generator, reason, seconds)
        chunk.save(folder / name_of(requests))

    while todo:
        remains = limits.whole - spent
        if remains <= 0:
            give_up(np.concatenate(todo), f"not answered within the {limits.whole:g} s that each method may take")
            break
        began = time.monotonic()
        end = _work(job, todo, limits, remains, partial(say, todo))
        spent += time.monotonic() - began
        rest, failed = todo[end.chunk + 1 :], todo[end.chunk] if end.chunk < len(todo) else None
        if end.how == "not built":
            give_up(np.concatenate(todo), end.reason, end.seconds)
            break
        if failed is None:
            break
        if len(failed) == 1 or spent >= limits.whole:
            give_up(failed, end.reason, end.seconds)
            todo = rest
        else:
            todo = [failed[[i]] for i in range(len(failed))] + rest
    return Chunk.all_in(folder)


def _work(job: Job, chunks: list[Ints], limits: TimeLimits, left: float, progress: Callable[[int], object]) -> _End:
    """Run one worker over the chunks until it is done, late or dead."""
    path = [p or str(Path.cwd()) for p in sys.path]
    order = {"job": asdict(job), "chunks": [chunk.tolist() for chunk in chunks], "path": path}
    began = mark = time.monotonic()
    with tempfile.TemporaryFile("w+") as words:
        worker = subprocess.Popen(
            [sys.executable, "-c", "from sensecf.runs.compare.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            start_new_session=True,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read, args=(worker.stdout, lines), daemon=True).start()
        number, ready, done = 0, False, 0
        try:
            _write(worker.stdin, json.dumps(order))
            while number < len(chunks):
                whole = left - (mark - began)
                limit = min(whole, limits.per_query * len(chunks[number])) if ready else whole
                try:
                    line = lines.get(timeout=max(limit, 0.0))
                except queue.Empty:
                    passed = time.monotonic() - mark
                    if not ready:
                        return _End("not built", 0, f"could not be built within the {limits.whole:g} s limit", passed)
                    which = f"{limit:g} s" if limit < whole else f"the {limits.whole:g} s that each method may take"
                    return _End("late", number, f"no answer within {which}", passed)
                if not line:
                    status = worker.wait()
                    how = "crashed" if ready else "not built"
                    return _End(how, number, _why(status, words, ready), time.monotonic() - mark)
                mark = time.monotonic()
                if ready:
                    done += len(chunks[number])
                    number += 1
                    progress(done)
                ready = True
        finally:
            _end(worker)
    return _End("", len(chunks), "", 0.0)


def _read(stream: IO[str], lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def _write(stream: IO[str], text: str) -> None:
    """Send one line; a worker that is dead already is found out when its lines are read."""
    with suppress(BrokenPipeError):
        stream.write(text + "\n")
        stream.flush()


def _end(worker: subprocess.Popen[str]) -> None:
    """Kill a worker and whatever it started, and close its pipes."""
    if worker.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(worker.pid, signal.SIGKILL)
        else:
            worker.kill()
    worker.wait()
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):  # what was not sent is not missed
                stream.close()


def _why(status: int, words: IO[str], ready: bool) -> str:
    """Why a worker ended before its time, from its status and its last words."""
    words.seek(0)
    said = [line.strip() for line in words.read().splitlines() if line.strip()]
    last = said[-1] if said else ""
    if status == NOT_BUILT:
        return f"cannot be built: {last.removeprefix('InputError: ')}"
    if status < 0:
        how = f"its process was ended by {signal.Signals(-status).name}"
    else:
        how = f"its process ended with status {status}" + (f" ({last})" if last else "")
    return how if ready else f"{how} while it was being built"
