"""The ledger: what was asked and what came back, one JSON line each, appended and never changed.

A line is handed to the operating system in one piece before anything else happens with the answer, so
a killed process loses nothing that had arrived. Once a second and at the end the file is also forced to
the disk: a power cut can cost the last second. A line torn by it is cut off at the next start.

An `asked` line is written before a request goes out. Where no outcome follows (the process was killed),
the request counts as paid at its upper bound, so that a spend cap holds across restarts.

Prompts are not kept, only their hashes; keys and headers never reach this file.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypedDict

from sensecf.core.errors import InputError
from sensecf.core.kept import Amount, Count, append, check_type, lock, parse, read_bytes
from sensecf.llm import Completion
from sensecf.llm.asking import Answer, Request

_HEADER = {"format": "sensecf-llm-ledger", "version": 1}


#: Largest ledger, in bytes: a million long answers.
LARGEST = 2**33


class Asked(TypedDict):
    """A line that is written before a request goes out."""

    event: Literal["asked"]
    model: str
    key: str
    bound: tuple[Count, Count]


class Outcome(TypedDict):
    """A line of what became of a request."""

    event: Literal["answered", "failed"]
    model: str
    key: str
    text: str
    reason: str
    tokens_in: Count
    tokens_out: Count
    seconds: Amount
    tries: Count
    lost: tuple[Count, Count]


@dataclass
class Usage:
    """What a model was asked so far, all runs on the ledger together.

    Attributes:
        asked: requests handed out.
        answered: requests with an answer, usable or not.
        failed: requests given up after all tries.
        tries: times that a server was asked.
        tokens_in, tokens_out: tokens of the answers as the backend counted them.
        lost_in, lost_out: upper bound of the tokens of tries whose outcome is unknown.
        seconds: time between asking and answer, summed over requests.
    """

    asked: int = 0
    answered: int = 0
    failed: int = 0
    tries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    lost_in: float = 0
    lost_out: float = 0
    seconds: float = 0.0


class Ledger:
    """Answers by model and request, in memory and, with a path, in a file that survives the process.

    Raises `InputError` when the file is no ledger, is damaged, or another process writes to it: two
    runs on one ledger would pay for the same questions twice.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._usage: dict[str, Usage] = {}
        self._answers: dict[tuple[str, str], Completion] = {}
        self._file: int | None = None
        self._synced = time.monotonic()
        if self.path is not None:
            self._open(self.path)

    def find(self, model: str, request: Request) -> Completion | None:
        """The answer that is already there, marked as cached."""
        return self._answers.get((model, request.key))

    def usage(self, model: str) -> Usage:
        """A copy of the counts of one model."""
        return replace(self._usage.get(model, Usage()))

    def asked(self, model: str, request: Request) -> None:
        """Note that a request goes out now."""
        self._append({"event": "asked", "model": model, "key": request.key, "bound": request.bound})
        self._of(model).asked += 1

    def answered(self, model: str, request: Request, answer: Answer) -> None:
        """Note what became of a request."""
        completion = answer.completion
        lost = [answer.lost * tokens for tokens in request.bound]
        self._append(
            {
                "event": "answered" if answer.final else "failed",
                "model": model,
                "key": request.key,
                "sample": request.sample,
                "text": completion.text,
                "reason": completion.reason,
                "tokens_in": completion.tokens_in,
                "tokens_out": completion.tokens_out,
                "seconds": round(completion.seconds, 4),
                "tries": answer.tries,
                "lost": lost,
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
        )
        self._count(model, completion, answer.tries, answer.final, lost)
        if answer.final:
            self._answers[model, request.key] = replace(completion, seconds=0.0, cached=True)

    def close(self) -> None:
        """Force everything to the disk and let others have the file."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None

    def _count(self, model: str, completion: Completion, tries: int, final: bool, lost: Sequence[int]) -> None:
        usage = self._of(model)
        usage.answered += final
        usage.failed += not final
        usage.tries += tries
        usage.tokens_in += completion.tokens_in
        usage.tokens_out += completion.tokens_out
        usage.lost_in += lost[0]
        usage.lost_out += lost[1]
        usage.seconds += completion.seconds

    def _of(self, model: str) -> Usage:
        return self._usage.setdefault(model, Usage())

    def _open(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Answers describe people: for the owner's eyes only.
            if path.exists() and not path.is_file():
                raise InputError(f"the ledger {path} is no regular file; name another file")
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as error:
            raise InputError(f"the ledger {path} cannot be opened: {error.strerror}") from error
        try:
            _lock(self._file, path)
            whole = cut_torn_line(read_bytes(path, LARGEST))
            self._read(path, whole)
            os.ftruncate(self._file, len(whole))
            if not whole:
                self._append(_HEADER)
        except BaseException:
            os.close(self._file)
            self._file = None
            raise

    def _read(self, path: Path, content: bytes) -> None:
        bounds: dict[tuple[str, str], tuple[int, int]] = {}
        pending: Counter[tuple[str, str]] = Counter()
        for number, line in enumerate(ledger_lines(path, content), start=2):
            where = line["model"], line["key"]
            if line["event"] == "asked":
                self._of(line["model"]).asked += 1
                bounds[where] = line["bound"]
                pending[where] += 1
                continue
            if not pending[where]:
                raise InputError(f"line {number} of {path} answers what was not asked; remove the line or the file")
            pending[where] -= 1
            completion = completion_of(line)
            final = line["event"] == "answered"
            timed = replace(completion, seconds=line["seconds"])
            self._count(line["model"], timed, line["tries"], final, line["lost"])
            if final:
                self._answers[where] = completion
        for where, times in pending.items():
            usage = self._of(where[0])
            usage.lost_in += times * bounds[where][0]
            usage.lost_out += times * bounds[where][1]

    def _append(self, line: Mapping[str, object]) -> None:
        if self._file is None:
            return
        try:
            append(self._file, (json.dumps(line) + "\n").encode())
        except OSError as error:
            raise InputError(f"the ledger {self.path} could not be written ({error.strerror}); make room") from error
        if time.monotonic() - self._synced > 1.0:
            os.fsync(self._file)
            self._synced = time.monotonic()


def cut_torn_line(content: bytes) -> bytes:
    """A ledger without the line that was being written when the power went."""
    return content[: content.rfind(b"\n") + 1]


def ledger_lines(path: Path, content: bytes) -> Iterator[Asked | Outcome]:
    """The events of a ledger in order. Raises `InputError` naming the line that cannot be read."""
    for number, raw in enumerate(content.splitlines(), start=1):
        try:
            line = parse(raw, "it")
            if number > 1:
                asked = isinstance(line, dict) and line.get("event") == "asked"
                check_type(line, Asked if asked else Outcome, "it")
        except InputError as error:
            raise InputError(f"line {number} of {path} is damaged ({error}); remove the line or the file") from error
        if number == 1 and line != _HEADER:
            raise InputError(f"{path} is no ledger of this version of SenseCF; name another file")
        if number > 1:
            yield line


def completion_of(line: Outcome) -> Completion:
    """The completion that a line of the ledger holds, as one that costs nothing now."""
    return Completion(line["text"], line["reason"], line["tokens_in"], line["tokens_out"], cached=True)


def _lock(file: int, path: Path) -> None:
    try:
        lock(file)
    except OSError as error:
        raise InputError(f"another process writes to the ledger {path}; wait for it or name another file") from error
