"""Batches as files in the format of OpenAI's Batch API, which `vllm run-batch` reads and writes too.

The first run writes the requests and says so for every row. Have them answered, put the results beside
them, and run the same command again:

    vllm run-batch -i ask.jsonl -o ask.results.jsonl --model MODEL
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from sensecf.core.errors import InputError
from sensecf.core.files import write_text
from sensecf.core.kept import Json, parse, read_bytes
from sensecf.llm import Completion
from sensecf.llm.asking import Answer, Request
from sensecf.llm.backends.chat import Malformed, completion_in, request_body
from sensecf.llm.ledger import LARGEST

_log = logging.getLogger(__name__)


class BatchFile:
    """Write requests to `path`, and take answers from the file beside it that ends in `.results.jsonl`.

    Answers are found by their ids, which are hashes of everything asked: order, foreign ids and results of
    older runs do not matter. What has no answer yet is in `path` after the call. The file holds the prompts
    in full: where it goes is up to whoever takes it there.
    """

    #: The keywords that `sensecf.llm.connect` passes on.
    settings: ClassVar[tuple[str, ...]] = ()
    host: str | None = None

    def __init__(self, path: str | Path, model: str) -> None:
        if not model:
            raise InputError(f"no model is named for the batch file {path}; write batch:{path}#MODEL")
        self.path = Path(path)
        self.results = self.path.with_suffix(".results.jsonl")
        self.name = model
        self.model = f"{model} in batch"
        self._id = model
        #: What waits for an answer: a cap may cut one batch into several calls.
        self._open: list[Request] = []

    def answer(self, requests: Iterator[Request], keep: Callable[[Request, Answer], None]) -> None:
        """See `sensecf.llm.asking.Backend`."""
        results = read_results(self.results) if self.results.exists() else {}
        open_requests = self._open
        before = len(open_requests)
        for request in requests:
            answer = _outcome(results.get(request.key), request, self.results.name)
            if answer is None:
                open_requests.append(request)
            else:
                keep(request, answer)
        if len(open_requests) == before:
            return
        write_requests(self.path, open_requests, self._id)
        where = f"has no answer in {self.results.name}" if results else "waits for its answer"
        reason = f"{where}; asked in {self.path.name}"
        for request in open_requests[before:]:
            keep(request, Answer(Completion("", reason), tries=0, final=False))


def write_requests(path: str | Path, requests: list[Request], model: str) -> None:
    """Write a batch, one request a line, each with its key as `custom_id`."""
    lines = (
        {
            "custom_id": request.key,
            "method": "POST",
            "url": "/v1/chat/completions",
            # A batch does not stream, and OpenAI refuses fields that it does not know.
            "body": {key: value for key, value in request_body(request, model).items() if key != "stream"},
        }
        for request in requests
    )
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def read_results(path: Path) -> dict[str, Json]:
    """The lines of a file of results by `custom_id`; of several with one id, the last with a good status.

    Lines that are no result are left out with one warning: their requests are then without an answer.
    """
    results: dict[str, Json] = {}
    strange = 0
    for raw in read_bytes(path, LARGEST).split(b"\n"):
        if not raw.strip():
            continue
        try:
            line = parse(raw, path.name)
        except InputError:
            line = None
        if not isinstance(line, dict) or not isinstance(line.get("custom_id"), str):
            strange += 1
        elif _good(line) or not _good(results.get(line["custom_id"])):
            results[line["custom_id"]] = line
    if strange:
        _log.warning("%s: %d lines are no results of a batch and were left out", path, strange)
    return results


def _good(line: Json | None) -> bool:
    response = (line or {}).get("response")
    return (
        isinstance(response, dict)
        and response.get("status_code", 200) == 200
        and isinstance(response.get("body"), dict)
    )


def _outcome(line: Json | None, request: Request, name: str) -> Answer | None:
    """The answer in a line of results; None where there is no line, or one that says that it was never run."""
    if line is None:
        return None
    if _good(line):
        try:
            return Answer(completion_in(line["response"]["body"], request))
        except Malformed as error:
            return Answer(Completion("", f"malformed answer in {name}: {error}"), lost=1, final=False)
    response = line.get("response")
    status = response.get("status_code") if isinstance(response, dict) else None
    said = line.get("error") or (response.get("body") if isinstance(response, dict) else None)
    text = " ".join(str(said).split())[:200]
    return Answer(Completion("", f"error in {name}: {'' if status is None else f'HTTP {status} '}{text}"), final=False)
