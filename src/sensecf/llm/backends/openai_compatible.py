"""Models behind an OpenAI-compatible server: hosted ones, or vLLM, llama.cpp and Ollama nearby."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import math
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import httpx2
import openai
from anyio.from_thread import start_blocking_portal

from sensecf.core.errors import InputError
from sensecf.core.kept import Json
from sensecf.llm import Completion
from sensecf.llm.asking import Answer, Request
from sensecf.llm.backends.chat import Malformed, read_answer, request_body, without_system
from sensecf.llm.backends.pace import FEW, Pace, Room
from sensecf.llm.backends.transport import Unacceptable, checked_url, http_client, quiet

#: Seconds before the second try; doubled from try to try, each shortened at random by up to a half.
BACKOFF = 0.5

#: Longest wait for one more try, in seconds. A server that asks for more ends the batch.
LONGEST_WAIT = 120.0

#: Longest wait for a connection, in seconds.
CONNECTING = 10.0

#: What some servers refuse of a request, by what their messages call it: parameters, and a turn of the system.
_OPTIONAL = {
    "the system role": r"\bsystem\b.{0,20}\b(role|message|prompt)|\brole\b.{0,20}\bsystem\b|roles? must alternate"
    r"|only user\b.*\broles?\b",
    "how many properties": r"(min|max)/?(max)?Properties",
    "strict": r"\bstrict\b|'required' is required",
    "response_format": r"response_format|json|schema|grammar|guided|structured",
    "seed": r"\bseed\b",
    "temperature": r"\btemperature\b",
    "max_tokens": r"\bmax_tokens\b.*max_completion_tokens|\bmax_tokens\b.*(not|un)\W*support",
}
_NO_MODEL = re.compile(
    r"model\b.*\b(not (exist|found|available)|deprecated|retired|decommissioned|no longer)"
    r"|(unknown|invalid|no such) model|pinned to",
    re.IGNORECASE,
)
#: Statuses about the time or the account, whatever the words beside them.
_OF_THE_MOMENT = {408, 409, 425, 429}
_NO_MONEY = {"insufficient_quota", "billing_hard_limit_reached"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Fault:
    """Why a try brought nothing, and what follows from it."""

    reason: str
    again: bool = False
    adapted: bool = False  # the next try is a different one: it is free and needs no pause
    wait: float | None = None  # seconds the server asks for
    lost: bool = False  # the server may have worked, and bill it
    connected: bool = True
    stop: bool = False


class OpenAICompatible:
    """Ask a server, many requests at a time.

    `key`: the API key, sent to this server only; never in a log, an error or a ledger. `concurrency`:
    requests in flight at most; it begins with two, and goes up while the server keeps its pace (see `Room`).
    `requests_per_minute`, `tokens_per_minute`: limits of the account, kept evenly.
    `tries`: attempts per request. Status 408, 409, 425, 429 and 5xx, lost connections, timeouts and
    answers in no known format are asked again, after the server's Retry-After or growing pauses.
    `timeout`: seconds before a server begins to answer, its queue included, and `token_timeout` for each token that
    the answer may have: together they bound one whole try, slow drips included. `note`: said when the model is unknown.

    JSON Schemas go along as `response_format`; a server that refuses to count their properties or to be strict is
    asked without that, one that refuses it, or `seed`, `temperature` or `max_tokens`, without it, with one warning.
    One that refuses the role `system` finds its text at the head of the user's turn.

    Raises `InputError` for an address that cannot be used. `answer` raises it when the server does not
    know the model or refuses the key, when nothing answers there, and for redirects: they are never
    followed, since they could lead to another host.
    """

    #: The keywords that `sensecf.llm.connect` passes on.
    settings: ClassVar[tuple[str, ...]] = (
        "name",
        "key",
        "concurrency",
        "requests_per_minute",
        "tokens_per_minute",
        "tries",
        "timeout",
        "token_timeout",
        "note",
    )
    host: str | None

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        name: str | None = None,
        key: str | None = None,
        concurrency: int = 32,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        tries: int = 5,
        timeout: float = 120.0,
        token_timeout: float = 0.5,
        note: str = "",
    ) -> None:
        self.url, self.host = checked_url(base_url, key is not None)
        if not model:
            raise InputError(f"no model is named for {self.url}; write {self.url}#MODEL")
        for what, value in {
            "concurrency": concurrency,
            "tries": tries,
            "timeout": timeout,
            "token_timeout": token_timeout,
            "requests_per_minute": requests_per_minute,
            "tokens_per_minute": tokens_per_minute,
        }.items():
            if value is not None and not value > 0:
                raise InputError(f"{what} is {value}; give a number above 0")
        self.name = name or model
        self.model = f"{model} at {self.url}"
        self._id = model
        self._key = key
        self._concurrency = concurrency
        self._room = min(FEW, concurrency)  # what was found holds for the next batch
        self._limits = requests_per_minute, tokens_per_minute
        self.tries = tries
        self._timeout = timeout, token_timeout
        self._note = note
        self._refused: set[str] = set()
        self._heard = False

    def answer(self, requests: Iterator[Request], keep: Callable[[Request, Answer], None]) -> None:
        """See `sensecf.llm.asking.Backend`. Ctrl-C cancels what is in flight."""
        # A thread of its own: notebooks and web servers have an event loop running in this one.
        with quiet(), start_blocking_portal() as portal:
            running = portal.start_task_soon(self._answer, requests, keep)
            try:
                running.result()
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None
            except BaseException:
                running.cancel()
                raise

    async def _answer(self, requests: Iterator[Request], keep: Callable[[Request, Answer], None]) -> None:
        pace = Pace(*self._limits)
        trusted = httpx2.create_ssl_context() if self.url.startswith("https") else False

        room = Room(self._room, self._concurrency)

        async def work() -> None:
            # A client, and so a connection, per worker: a shared pool looks through all of its connections
            # at every request.
            async with openai.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=self.url,
                max_retries=0,
                # `_ask` limits the whole try, which no timeout of a single read does.
                timeout=httpx2.Timeout(None, connect=CONNECTING),
                http_client=http_client(self.url, trusted),
            ) as client:
                while True:
                    size = await room.enter()
                    try:
                        # All workers share the iterator: each takes the next request when it is done with one.
                        request = next(requests, None)
                        if request is None:
                            return
                        keep(request, await self._ask(client, pace, room, size, request))
                    finally:
                        await room.leave()

        async with asyncio.TaskGroup() as group:
            for _ in range(self._concurrency):
                group.create_task(work())
        self._room = room.size

    async def _ask(self, client: openai.AsyncOpenAI, pace: Pace, room: Room, size: int, request: Request) -> Answer:
        began = time.perf_counter()
        tries = lost = adapted = 0
        while True:
            await pace.turn(sum(request.bound))
            body = self._body(request)
            tries += 1
            sent = time.perf_counter()
            try:
                async with asyncio.timeout(self._patience(request)):
                    response = await client.post("/chat/completions", cast_to=httpx2.Response, body=body)
                completion = read_answer(response.content, request)
            except (openai.APIError, TimeoutError, Malformed) as error:
                fault = self._judge(error, body, self._patience(request))
                if isinstance(error, TimeoutError):
                    room.late()
            else:
                self._heard = True
                room.took(time.perf_counter() - sent, size)
                seconds = time.perf_counter() - began
                clean = replace(completion, text=self._redacted(completion.text), seconds=seconds)
                return Answer(clean, tries, lost)
            self._heard = self._heard or fault.connected
            lost += fault.lost
            if fault.adapted:
                adapted += 1
                continue
            wait = fault.wait
            if wait is None:
                wait = min(BACKOFF * 2 ** (tries - adapted - 1), LONGEST_WAIT) * random.uniform(0.5, 1.0)
            if not fault.again or tries - adapted >= self.tries or wait > LONGEST_WAIT:
                if not self._heard:
                    raise InputError(
                        f"nothing answers at {self.url} ({fault.reason}); start the server or correct the address"
                    )
                return self._given_up(fault, wait, tries, lost, time.perf_counter() - began)
            if fault.wait is not None:
                pace.pause(wait)
            await asyncio.sleep(wait)

    def _given_up(self, fault: _Fault, wait: float, tries: int, lost: int, seconds: float) -> Answer:
        reason = fault.reason
        stop = f"not asked: {reason}" if fault.stop else ""
        if fault.again and wait > LONGEST_WAIT:
            reason += f", and the server wants {wait:.0f} s to pass before the next try"
            stop = f"not asked: {reason}"
        elif tries > 1:
            reason += f" after {tries} tries"
        return Answer(Completion("", reason, seconds=seconds), tries, lost, final=False, stop=stop)

    def _body(self, request: Request) -> Json:
        body = request_body(request, self._id)
        if "max_tokens" in self._refused:
            body["max_completion_tokens"] = body["max_tokens"]
        if "the system role" in self._refused:
            body["messages"] = without_system(body["messages"])
        form = body.get("response_format", {}).get("json_schema", {})
        if "how many properties" in self._refused and "schema" in form:
            counts = ("minProperties", "maxProperties")
            form["schema"] = {key: value for key, value in form["schema"].items() if key not in counts}
        if "strict" in self._refused:
            form.pop("strict", None)
        return {key: value for key, value in body.items() if key not in self._refused}

    def _patience(self, request: Request) -> float:
        """Seconds for one try of a request."""
        return self._timeout[0] + self._timeout[1] * request.max_tokens

    def _judge(self, error: Exception, body: Json, patience: float) -> _Fault:
        """What follows from an error. Raises `InputError` where no request can succeed."""
        if isinstance(error, Malformed):
            return _Fault(f"malformed answer: {error}", again=True, lost=True)
        if isinstance(error, openai.APIStatusError):
            return self._judge_status(error, body)
        cause = error.__cause__
        if isinstance(cause, Unacceptable):
            return _Fault(str(cause), lost=True)
        if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)):
            said = str(cause) or f"no answer within {CONNECTING:g} s"
            return _Fault(f"no connection: {_line(said)}", again=True, connected=False)
        if isinstance(error, TimeoutError):
            return _Fault(f"no answer within {patience:g} s", again=True, lost=True)
        return _Fault(f"connection lost: {type(cause or error).__name__}", again=True, lost=True)

    def _judge_status(self, error: openai.APIStatusError, body: Json) -> _Fault:
        status, said = error.status_code, _line(self._redacted(_message(error)))
        reason = f"HTTP {status}" + (f": {said}" if said and status < 500 else "")
        if 300 <= status < 400:
            place = httpx2.URL(error.response.headers.get("location", "")).host or "another path"
            raise InputError(f"{self.url} redirects to {place}; redirects are not followed, give the final address")
        if status in (401, 403):
            had = "the key was refused" if self._key else "it wants a key and none is set"
            raise InputError(f"{self.host} does not let us in ({reason}): {had}; correct the key in the environment")
        if status == 402 or error.code in _NO_MONEY:
            return _Fault(reason, stop=True)
        refused = None if status in _OF_THE_MOMENT else self._named(error, said, body)
        if refused is not None:
            if refused not in self._refused:
                _log.warning("%s refuses %s: asked without it from now on", self.host, refused)
                self._refused.add(refused)
            return _Fault(reason, adapted=True)
        if error.code == "model_not_found" or (status in (400, 404, 410, 422) and _NO_MODEL.search(said)):
            hint = f"; {self._note}" if self._note else ""
            raise InputError(f"{self.host} has no model {self._id!r} ({reason}){hint}; name another model")
        if status in (404, 405, 410):
            raise InputError(f"{self.url} has no chat interface ({reason}); the address usually ends in /v1")
        if status in (408, 409, 425, 429) or status >= 500:
            return _Fault(reason, again=True, wait=_retry_after(error.response.headers))
        return _Fault(reason)

    def _named(self, error: openai.APIStatusError, said: str, body: Json) -> str | None:
        """What of this body an error is about and can be left out; where a server broke, only form and roles."""
        there = {key for key in _OPTIONAL if key in body}
        if any(message["role"] == "system" for message in body["messages"]):
            there.add("the system role")
        form = body.get("response_format", {}).get("json_schema", {})
        if "maxProperties" in form.get("schema", {}):
            there.add("how many properties")
        if "strict" in form:
            there.add("strict")
        finer = [key for key in ("how many properties", "strict") if key in there]
        if error.param in there and not any(re.search(_OPTIONAL[key], said, re.IGNORECASE) for key in finer):
            return error.param
        if error.status_code not in (400, 415, 422, 501):
            there &= {"the system role", "how many properties", "response_format"}
        found = (key for key, words in _OPTIONAL.items() if key in there and re.search(words, said, re.IGNORECASE))
        return next(found, None)

    def _redacted(self, text: str) -> str:
        """Text of the server without the key, which some echo."""
        return text.replace(self._key, "***") if self._key else text


def _message(error: openai.APIStatusError) -> str:
    """What the server says of an error."""
    body = error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    if isinstance(body, list):  # of pydantic; beside the message it repeats the input, which is somebody's row
        body = "; ".join(f"{part.get('loc')}: {part.get('msg')}" for part in body if isinstance(part, dict))
    return str(body or "")


def _line(text: str) -> str:
    """Text of a server as one short line. Only text without the key may be shortened: a part of it is secret too."""
    words = " ".join(text.encode("utf-8", "replace").decode().split())
    return words if len(words) <= 200 else words[:197] + "..."


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds to wait, from `Retry-After` as a number or a date (RFC 9110, 10.2.3); None without it."""
    given = headers.get("retry-after", "")
    try:
        seconds = float(given)
    except ValueError:
        try:  # whatever a server writes: years and zones beyond those of this machine too
            moment = email.utils.parsedate_tz(given)
            seconds = math.nan if moment is None else email.utils.mktime_tz(moment) - time.time()
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
    # Never 0: that would be no pause at all.
    return max(seconds, 0.01) if math.isfinite(seconds) else None
