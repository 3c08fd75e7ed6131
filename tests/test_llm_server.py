"""Asking a server: everything that can go wrong with one, and everything that must never leave."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import math
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from llm_servers import Received, Script, ScriptedServer, after, completion, error, loopback_only, scripted, send
from sensecf.core.errors import InputError
from sensecf.llm import Completion, Message, Prompt
from sensecf.llm.client import Client
from sensecf.llm.ledger import Ledger
from sensecf.llm.named import connect

pytest.importorskip("openai", reason="needs the openai package")

from sensecf.llm.backends import openai_compatible, transport

__all__ = ["loopback_only"]

KEY = "sk-planted-0123456789"
Writer = asyncio.StreamWriter
Fault = Callable[[ScriptedServer, Received, Writer], Awaitable[None]]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses between tries, and no settings of this machine."""
    monkeypatch.setattr(openai_compatible, "BACKOFF", 0.01)
    for name in ("OPENAI_API_KEY", "SENSECF_LLM_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def say(*texts: str) -> list[Prompt]:
    return [(Message("user", text),) for text in texts]


def numbered(count: int) -> list[Prompt]:
    return say(*(f"row {i}" for i in range(count)))


def fails(fault: Fault, *, times: int = 99) -> Callable[[ScriptedServer], Script]:
    """A server whose first answers to every question are faulty."""

    def script(server: ScriptedServer) -> Script:
        async def act(received: Received, writer: Writer) -> None:
            if received.repeat < times:
                await fault(server, received, writer)
            else:
                await server.reply(received, writer, "fine")

        return act

    return script


def answers(status: int, body: Any, *headers: str) -> Fault:
    async def fault(server: ScriptedServer, received: Received, writer: Writer) -> None:
        send(writer, status, body, *headers)

    return fault


def raw(content: bytes, *, then: str = "close") -> Fault:
    async def fault(server: ScriptedServer, received: Received, writer: Writer) -> None:
        writer.write(content)
        await writer.drain()
        if then == "abort":
            writer.transport.abort()
        elif then == "hang":
            await asyncio.sleep(30)
        else:
            writer.close()

    return fault


def choice(**message: Any) -> dict[str, Any]:
    return completion("fine") | {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}


async def drip(server: ScriptedServer, received: Received, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(300):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def flood(server: ScriptedServer, received: Received, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    part = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for _ in range(100_000):
        writer.write(part)
        await writer.drain()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n"

# What a server can do to one request, and what becomes of it: a number of tries after which the answer is
# there, or the reason of a completion without it.
FAULTS: dict[str, tuple[Fault, int | str]] = {
    # asked again
    "429 with Retry-After": (answers(429, error("rate", "slow down"), "retry-after: 0.05"), 2),
    "429 with a date": (answers(429, error("rate", "slow down"), f"retry-after: {formatdate(0)}"), 2),
    "429 without Retry-After": (answers(429, error("rate", "slow down")), 2),
    "429 with nonsense": (answers(429, error("rate", "slow down"), "retry-after: soon"), 2),
    "408": (answers(408, b""), 2),
    "500": (answers(500, error("internal", "oh")), 2),
    "502 in HTML": (answers(502, b"<html>Bad Gateway</html>"), 2),
    "503 with Retry-After": (answers(503, b"", "retry-after: 0.02"), 2),
    "504": (answers(504, b""), 2),
    "529": (answers(529, error("overloaded", "busy")), 2),
    "closed before the answer": (raw(b""), 2),
    "closed in the head": (raw(HEAD[:40]), 2),
    "closed in mid-body": (raw(HEAD + b'{"choices": [{"mess'), 2),
    "reset in mid-body": (raw(HEAD + b'{"choices"', then="abort"), 2),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), 2),
    "impossible header": (raw(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n"), 2),
    "silence": (raw(b"", then="hang"), 2),
    "slow drip": (drip, 2),
    "truncated JSON": (answers(200, b'{"choices": [{"message": {"content": "fi'), 2),
    "HTML": (answers(200, b"<html>Sign in</html>"), 2),
    "empty body": (answers(200, b""), 2),
    "no content": (answers(204, b""), 2),
    "invalid UTF-8": (answers(200, json.dumps(completion("f@ne")).encode().replace(b"@", b"\xff")), 2),
    "a list": (answers(200, [completion("fine")]), 2),
    "deep nesting": (answers(200, b'{"choices":' + b"[" * 100_000), 2),
    "error in a good answer": (answers(200, error("upstream", "provider is down")), 2),
    "empty choices": (answers(200, completion("fine") | {"choices": []}), 2),
    "choices of another kind": (answers(200, completion("fine") | {"choices": {"0": "fine"}}), 2),
    "choice without a message": (answers(200, completion("fine") | {"choices": [{"text": "fine"}]}), 2),
    "null message": (answers(200, completion("fine") | {"choices": [{"message": None}]}), 2),
    "content of another kind": (answers(200, choice(content=17)), 2),
    # no usable answer, and no better one to expect
    "refusal": (answers(200, choice(content=None, refusal="I cannot help with that")), "refused"),
    "content filter": (answers(200, completion("", finish="content_filter")), "refused"),
    "token limit": (answers(200, completion('{"changes": [', finish="length")), "cut off at the token limit"),
    "null content": (answers(200, choice(content=None)), "empty answer"),
    "blank content": (answers(200, completion(" \n")), "empty answer"),
    "endless body": (flood, "the answer is longer than 8388608 bytes"),
    "huge error": (answers(400, b"x" * 9_000_000), "the answer is longer than 8388608 bytes"),
    "compressed": (
        answers(200, gzip.compress(json.dumps(completion("fine")).encode()), "content-encoding: gzip"),
        "the answer is compressed, which was not asked for",
    ),
    "prompt too long": (
        answers(400, error("context_length_exceeded", "maximum context length is 10 tokens")),
        "HTTP 400: maximum context length is 10 tokens",
    ),
    "413": (answers(413, error("big", "too large")), "HTTP 413: too large"),
    "broken error": (answers(400, b'{"error": {"mess'), 'HTTP 400: {"error": {"mess'),
    "two drafts in the reasoning": (
        answers(200, choice(content=None, reasoning_content='{"a": 1} or {"a": 2}?')),
        "empty answer; what stands in reasoning_content is not one JSON object",
    ),
    "no end of the reasoning": (
        answers(
            200,
            completion("")
            | {"choices": [{"finish_reason": "length", "message": {"content": "", "reasoning": 'Maybe {"a": 1}'}}]},
        ),
        "cut off at the token limit in reasoning, before an answer",
    ),
    # fine after all
    "wrong count": (
        answers(200, completion("fine") | {"choices": completion("fine")["choices"] + completion("other")["choices"]}),
        1,
    ),
    "content in parts": (answers(200, choice(content=[{"type": "text", "text": "fi"}, {"text": "ne"}, {"x": 1}])), 1),
    "no usage": (answers(200, completion("fine") | {"usage": None}), 1),
    "nonsense usage": (
        answers(200, completion("fine") | {"usage": {"prompt_tokens": -1, "completion_tokens": "9"}}),
        1,
    ),
    "unknown fields": (answers(200, completion("fine") | {"usage": [], "x": {"y": []}, "choices_": 3}), 1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_a_server_is_survived_or_said(name: str) -> None:
    fault, outcome = FAULTS[name]
    times = outcome - 1 if isinstance(outcome, int) and outcome > 1 else 99
    with scripted(fails(fault, times=times)) as server:
        client = connect(
            f"{server.url}#m",
            concurrency=1,
            timeout=0.8 if name in ("silence", "slow drip") else 60,
            tries=3,
            token_timeout=0.001,
        )
        [[got]] = client.complete(say("hello"))
        assert (got.text if isinstance(outcome, int) else got.reason) == (
            "fine" if isinstance(outcome, int) else outcome
        )
        tries = outcome if isinstance(outcome, int) else 1
        assert len(server.received) == client.costs()["tries"] == tries
        assert got.tokens_in >= 0
        assert 0 < got.seconds < 10


def test_there_are_at_least_thirty_faults() -> None:
    assert len(FAULTS) >= 30


# What ends the whole job, and what is said then.
FATAL: dict[str, tuple[Fault, str]] = {
    "no key": (answers(401, error("invalid_api_key", "no key given")), "wants a key and none is set"),
    "forbidden": (answers(403, error("forbidden", "not your region")), "not your region"),
    "retired model": (
        answers(404, error("model_not_found", "The model `m` has been deprecated")),
        "has no model 'm'.*deprecated.*name another model",
    ),
    "unknown model of vLLM": (
        answers(404, {"message": "The model `m` does not exist.", "code": 404}),
        "has no model 'm'",
    ),
    "unknown model of transformers": (
        answers(400, {"detail": "Server is pinned to 'x'; requested 'm'."}),
        "has no model",
    ),
    "another path": (answers(404, {"detail": "Not Found"}), "usually ends in /v1"),
    "wrong method": (answers(405, b""), "has no chat interface"),
    "redirect": (answers(307, b"", "location: https://models.example.org/v1"), "redirects to models.example.org"),
    "redirect at home": (answers(308, b"", "location: /v2/chat/completions"), "redirects to another path"),
}


# The server that plays a part here may be collected before its last connection is closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", FATAL)
def test_what_no_request_can_survive_is_an_error_in_one_line(name: str) -> None:
    fault, said = FATAL[name]
    with scripted(fails(fault)) as server:
        with pytest.raises(InputError, match=said) as caught:
            connect(f"{server.url}#m", concurrency=2).complete(say("a", "b", "c"))
        assert "\n" not in str(caught.value)
        assert len(server.received) <= 2


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(
        InputError, match=r"nothing answers at http://127\.0\.0\.1:9/v1 \(no connection.*start the server"
    ):
        connect("http://127.0.0.1:9/v1#m", tries=2).complete(say("a", "b"))


def test_a_server_that_goes_away_leaves_rows_with_reasons() -> None:
    with scripted(after(0)) as server:
        client = connect(f"{server.url}#m", tries=2)
        assert client.complete(say("a"))[0][0].reason == ""
    [[gone]] = client.complete(say("b"))
    assert re.fullmatch(r"no connection: .* after 2 tries", gone.reason)


def test_tries_end() -> None:
    with scripted(fails(answers(500, b""))) as server:
        client = connect(f"{server.url}#m", tries=4)
        assert [row[0].reason for row in client.complete(say("a", "b"))] == ["HTTP 500 after 4 tries"] * 2
        assert len(server.received) == 8


# --- waiting ------------------------------------------------------------------------------


def test_retry_after_holds_everybody_back() -> None:
    moments: list[float] = []

    def script(server: ScriptedServer) -> Script:
        async def act(received: Received, writer: Writer) -> None:
            moments.append(time.monotonic())
            if len(moments) == 1:
                send(writer, 429, error("rate", "slow down"), "retry-after: 0.4")
            else:
                await asyncio.sleep(0.02)
                await server.reply(received, writer)

        return act

    with scripted(script) as server:
        out = connect(f"{server.url}#m", concurrency=2).complete(numbered(8))
    assert all(not row[0].reason for row in out)
    early = [moment for moment in moments[1:] if moment - moments[0] < 0.38]
    assert len(early) <= 1  # the other worker's request was on its way


def test_a_wait_without_end_stops_the_batch() -> None:
    with scripted(fails(answers(429, error("rate", "daily limit"), "retry-after: 86400"))) as server:
        out = connect(f"{server.url}#m", concurrency=2).complete(numbered(20))
        assert len(server.received) <= 2
    reasons = Counter(row[0].reason for row in out)
    waits = "HTTP 429: daily limit, and the server wants 86400 s to pass before the next try"
    assert reasons[waits] + reasons[f"not asked: {waits}"] == 20


@pytest.mark.parametrize("status", [402, 429])
def test_an_account_without_money_stops_the_batch(status: int) -> None:
    fault = answers(status, error("insufficient_quota", "You exceeded your current quota"))
    with scripted(fails(fault)) as server:
        out = connect(f"{server.url}#m", concurrency=2).complete(numbered(20))
        assert len(server.received) <= 2
    assert {row[0].reason.removeprefix("not asked: ") for row in out} == {
        f"HTTP {status}: You exceeded your current quota"
    }


@pytest.mark.parametrize("limits", [{"requests_per_minute": 1200}, {"tokens_per_minute": 1200 * (2 + 10)}], ids=str)
def test_limits_per_minute_are_kept_evenly(limits: dict[str, int]) -> None:
    with scripted(after(0)) as server:
        client = connect(f"{server.url}#m", **limits)
        began = time.perf_counter()
        client.complete(numbered(9), max_tokens=10)
        assert 8 * 0.05 <= time.perf_counter() - began < 5


def test_requests_run_beside_each_other_up_to_the_limit_and_answers_find_their_rows() -> None:
    def script(server: ScriptedServer) -> Script:
        async def act(received: Received, writer: Writer) -> None:
            await asyncio.sleep(random.uniform(0.1, 0.2))
            await server.reply(received, writer, f"to {received.text} with {received.body['seed']}")

        return act

    with scripted(script) as server:
        out = connect(f"{server.url}#m", concurrency=8).complete(numbered(40), 2)
        assert server.most_busy == 8
    for i, row in enumerate(out):
        assert {completion.text.split(" with ")[0] for completion in row} == {f"to row {i}"}
        assert len({completion.text for completion in row}) == 2


def test_most_of_the_ideal_throughput_is_kept() -> None:
    with scripted(after(0.2)) as server:
        client = connect(f"{server.url}#m", concurrency=32)
        began = time.perf_counter()
        client.complete(numbered(200))
        taken = time.perf_counter() - began
        assert server.most_busy == 32
    # Four rounds until all 32 are let in and six with them; benchmarks/llm_throughput.py measures it properly.
    assert 10 * 0.2 / taken > 0.3


# --- what servers refuse ------------------------------------------------------------------


def picky(parameter: str, body: dict[str, Any], status: int = 400) -> Callable[[ScriptedServer], Script]:
    """A server that takes no request with a parameter."""

    def script(server: ScriptedServer) -> Script:
        async def act(received: Received, writer: Writer) -> None:
            if parameter in received.body:
                send(writer, status, body)
            else:
                await server.reply(received, writer, "fine")

        return act

    return script


PICKY: dict[str, tuple[str, dict[str, Any]]] = {
    "OpenAI, a schema": (
        "response_format",
        error("x", "Invalid schema for response_format 'answer'", "response_format"),
    ),
    "llama.cpp, a schema": ("response_format", {"error": {"code": 400, "message": "failed to parse grammar"}}),
    "transformers": ("response_format", {"detail": "Unsupported fields in the request: {'response_format'}"}),
    "Mistral, the seed": ("seed", {"detail": "Extra inputs are not permitted: seed"}),
    "reasoning models, the temperature": (
        "temperature",
        error("unsupported_value", "only 1 is supported", "temperature"),
    ),
    "reasoning models, the limit": (
        "max_tokens",
        error("unsupported_parameter", "Use 'max_completion_tokens' instead.", "max_tokens"),
    ),
}


@pytest.mark.parametrize("name", PICKY)
def test_a_parameter_that_is_refused_is_left_out_with_one_warning(name: str, caplog: pytest.LogCaptureFixture) -> None:
    parameter, body = PICKY[name]
    schemas: list[dict[str, Any]] = [{"type": "object"}] * 6
    with scripted(picky(parameter, body)) as server:
        client = connect(f"{server.url}#m", concurrency=1)
        out = client.complete(numbered(6), json_schemas=schemas, max_tokens=50)
        assert {row[0].text for row in out} == {"fine"}
        assert len(server.received) == client.costs()["tries"] == 7
        limit = server.received[-1].body
        assert limit.get("max_tokens", limit.get("max_completion_tokens")) == 50
    assert [record.message for record in caplog.records] == [
        f"127.0.0.1 refuses {parameter}: asked without it from now on"
    ]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("maxProperties", "min/maxProperties only supported when all keys are required"),
        ("strict", "Invalid schema for response_format 'answer': 'required' is required to be supplied"),
    ],
)
def test_a_schema_is_kept_without_the_part_that_a_server_refuses(what: str, said: str) -> None:
    def script(server: ScriptedServer) -> Script:
        async def act(received: Received, writer: Writer) -> None:
            form = received.body["response_format"]["json_schema"]
            if what in form or what in form["schema"]:
                send(writer, 400, error("x", said, "response_format"))
            else:
                await server.reply(received, writer, "fine")

        return act

    schema = {"type": "object", "properties": {"a": {"enum": [1]}}, "minProperties": 1, "maxProperties": 1}
    with scripted(script) as server:
        client = connect(f"{server.url}#m", concurrency=1)
        out = client.complete(numbered(3), json_schemas=[schema] * 3)
        assert {row[0].text for row in out} == {"fine"}
        assert len(server.received) == 4
        assert server.received[-1].body["response_format"]["json_schema"]["schema"]["properties"] == {
            "a": {"enum": [1]}
        }


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "System role not supported"),
        (500, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (422, "Only user and assistant roles are supported!"),
    ],
)
def test_without_a_system_role_its_words_stand_before_the_users_for_the_whole_run(status: int, said: str) -> None:
    def script(server: ScriptedServer) -> Script:
        async def act(received: Received, writer: Writer) -> None:
            if received.body["messages"][0]["role"] == "system":
                send(writer, status, error("x", said))
            else:
                await server.reply(received, writer, "fine")

        return act

    def talk(text: str) -> Prompt:
        return (Message("system", "Be brief."), Message("user", text), Message("assistant", "a"), Message("user", "b"))

    with scripted(script) as server:
        client = connect(f"{server.url}#m", concurrency=1)
        for text in ("one", "two"):
            assert client.complete([talk(text)])[0][0].text == "fine"
        assert len(server.received) == 3
        assert [turn["content"] for turn in server.received[-1].body["messages"]] == ["Be brief.\n\ntwo", "a", "b"]


@pytest.mark.parametrize("status", [400, 404, 500, 503])
@pytest.mark.parametrize("said", ["Failed to parse grammar", "guided decoding: bad JSON", "response_format"])
def test_an_error_about_the_form_of_an_answer_is_asked_again_without_it(status: int, said: str) -> None:
    with scripted(picky("response_format", error("x", said), status)) as server:
        client = connect(f"{server.url}#m", concurrency=1)
        assert client.complete(numbered(1), json_schemas=[{"type": "object"}])[0][0].text == "fine"
        assert len(server.received) == 2


def test_a_server_that_is_busy_keeps_its_schema_whatever_it_says() -> None:
    with scripted(fails(answers(429, error("rate", "too many JSON tokens")), times=1)) as server:
        connect(f"{server.url}#m").complete(numbered(1), json_schemas=[{"type": "object"}])
        assert "response_format" in server.received[-1].body


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "reasoning_content": 'I think of {this}:\n{"a": [1]}'},
        {"content": "", "reasoning": '{"a": [1]}'},
        {"content": None, "tool_calls": [{"type": "function", "function": {"name": "x", "arguments": '{"a": [1]}'}}]},
        {"content": None, "function_call": {"name": "x", "arguments": '{"a": [1]}'}},
    ],
)
def test_an_answer_in_another_place_is_read_where_it_is_the_one_json_object(message: dict[str, Any]) -> None:
    with scripted(fails(answers(200, choice(**message)))) as server:
        assert connect(f"{server.url}#m").complete(numbered(1))[0][0].text == '{"a": [1]}'


def test_a_server_that_works_on_one_request_at_a_time_is_not_flooded() -> None:
    def script(server: ScriptedServer) -> Script:
        alone = asyncio.Lock()

        async def act(received: Received, writer: Writer) -> None:
            async with alone:
                await asyncio.sleep(0.05)
            await server.reply(received, writer)

        return act

    with scripted(script) as server:
        connect(f"{server.url}#m", concurrency=32).complete(numbered(40))
        assert server.most_busy <= 8


def test_what_is_asked_is_what_the_format_says() -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    prompt = (Message("system", "Be brief."), Message("user", "Grüße"))
    with scripted(after(0)) as server:
        connect(f"{server.url}#org/model").complete([prompt], json_schemas=[schema], temperature=0.7, max_tokens=9)
        [received] = server.received
    assert received.path == "/v1/chat/completions"
    assert received.body.pop("seed") >= 0
    assert received.body == {
        "model": "org/model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße"}],
        "temperature": 0.7,
        "max_tokens": 9,
        "stream": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}},
    }


# --- what must never leave ----------------------------------------------------------------


@pytest.fixture
def loud(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that any library logs."""
    names = ("", "openai", "httpx2", "httpcore2", "httpcore2.http11", "httpcore2.connection", "asyncio")
    before = {name: logging.getLogger(name).level for name in names}
    for name in ("", "openai", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield caplog
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def echo_key(status: int) -> Fault:
    """A server that repeats the key wherever it can, once right at the end of what is shown of a message."""

    async def fault(server: ScriptedServer, received: Received, writer: Writer) -> None:
        said = received.headers.get("authorization", "")
        body = error("x", f"{'.' * 180} {said} {said}", said)
        send(
            writer,
            status,
            completion(said) | body if status == 200 else body,
            f"x-echo: {said}",
            f"set-cookie: k={said}",
        )

    return fault


@pytest.mark.parametrize("status", [200, 400, 401, 404, 413, 429, 500])
def test_planted_secrets_are_found_nowhere(
    status: int, tmp_path: Path, loud: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENSECF_LLM_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other-planted")
    said = ""
    with scripted(fails(echo_key(status))) as server:
        client = connect(f"{server.url}#m", ledger=tmp_path / "ledger.jsonl", tries=2)
        try:
            said = str(client.complete(say("the planted row")))
        except InputError as refused:
            said = str(refused)
        client.close()
        assert {received.headers["authorization"] for received in server.received} == {f"Bearer {KEY}"}
    places = {
        "log": loud.text,
        "answer": said,
        "ledger": (tmp_path / "ledger.jsonl").read_text(),
        "costs": str(client.costs()),
    }
    for place, text in places.items():
        for secret in ("sk-planted", "sk-other", "Bearer sk", "the planted row"):
            assert secret not in text, f"{secret} is in the {place}"


def test_a_row_that_a_server_repeats_in_an_error_goes_nowhere() -> None:
    row = "credit: the planted model was retired"
    detail = [{"loc": ["body", "messages"], "msg": "too many", "input": row, "ctx": {"given": row}}]
    with scripted(fails(answers(422, {"detail": detail}))) as server:
        [[got]] = connect(f"{server.url}#m").complete(say(row))
    assert got.reason == "HTTP 422: ['body', 'messages']: too many"


def test_a_part_of_a_key_is_secret_too() -> None:
    shown = openai_compatible.OpenAICompatible("http://127.0.0.1:9/v1", "m", key=KEY)
    text = openai_compatible._line(shown._redacted("." * 190 + KEY))
    assert "sk-" not in text


def test_a_server_learns_nothing_that_it_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-planted: planted")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://planted.example.org/v1")
    with scripted(after(0)) as server:
        connect(f"{server.url}#m").complete(say("a"))
        [received] = server.received
    needed = "host accept accept-encoding authorization connection content-length content-type user-agent"
    assert set(received.headers) == set(needed.split())
    assert "planted" not in str(received.headers)
    assert received.headers["user-agent"] == "sensecf"


def test_redirects_carry_nothing_to_the_other_host() -> None:
    with scripted(after(0)) as other:
        place = f"location: {other.url}/chat/completions"
        with scripted(fails(answers(307, b"", place))) as server, pytest.raises(InputError, match="redirects to 127"):
            connect(f"{server.url}#m").complete(say("a"))
        assert not other.received


def test_no_proxy_stands_between_us_and_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with scripted(after(0)) as server:
        assert connect(f"{server.url}#m").complete(say("a"))[0][0].reason == ""


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_rows_go_through_no_proxy_that_could_read_them(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with scripted(after(0)) as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(InputError, match=r"through the proxy 127\.0\.0\.1.*NO_PROXY=models\.example\.org"):
            connect("http://models.example.org/v1#m")
        assert connect("https://models.example.org/v1#m").host == "models.example.org"  # the proxy sees no content
        monkeypatch.setenv("no_proxy", "models.example.org")
        assert connect("http://models.example.org/v1#m").host == "models.example.org"
        assert not proxy.received


def test_loggers_are_as_before_afterwards() -> None:
    logger = logging.getLogger("httpcore2")
    before = logger.level
    with transport.quiet():
        assert not logger.isEnabledFor(logging.INFO)
    assert logger.level == before


# --- counting, stopping, going on ---------------------------------------------------------


def test_the_ledger_equals_the_servers_own_count(tmp_path: Path) -> None:
    def script(server: ScriptedServer) -> Script:
        dice = random.Random(0)

        async def act(received: Received, writer: Writer) -> None:
            if dice.random() < 0.3:
                send(writer, dice.choice([429, 500, 503]), b"")
            else:
                await server.reply(received, writer, "word " * dice.randrange(1, 50))

        return act

    with scripted(script) as server:
        client = connect(f"{server.url}#m", ledger=tmp_path / "ledger.jsonl", concurrency=8, tries=9)
        out = client.complete(numbered(100))
        client.close()
        assert {row[0].reason for row in out} == {""}
        ledger = Ledger(tmp_path / "ledger.jsonl")
        usage = ledger.usage(client.backend.model)
        ledger.close()
        assert usage.tries == len(server.received)
        assert usage.answered == sum(server.answered.values()) == 100
        assert (usage.tokens_in, usage.tokens_out) == (server.tokens_in, server.tokens_out)
        assert usage.tokens_in == sum(row[0].tokens_in for row in out)


@pytest.mark.parametrize("concurrency", [1, 4, 32])
@pytest.mark.parametrize("cap", [5, 110, 400])
def test_a_cap_is_exceeded_by_one_answer_at_most_with_many_in_flight(concurrency: int, cap: int) -> None:
    with scripted(after(0.01, "four" * 10)) as server:
        client = connect(f"{server.url}#m", cap_tokens=cap, concurrency=concurrency, tries=2)
        out = client.complete(say(*(f"{i:40}" for i in range(50))))
        spent = server.tokens_in + server.tokens_out
    each = 20
    assert cap <= spent < cap + each
    assert spent == client.costs()["tokens_in"] + client.costs()["tokens_out"]
    assert sum(not row[0].reason for row in out) == spent // each
    assert {row[0].reason for row in out} == {"", f"not asked: the cap of {cap} tokens is reached"}


def test_it_works_where_an_event_loop_is_running() -> None:
    async def notebook(client: Client) -> list[list[Completion]]:
        return client.complete(say("a"))

    with scripted(after(0)) as server:
        assert asyncio.run(notebook(connect(f"{server.url}#m")))[0][0].reason == ""


def test_the_code_of_the_page_on_models_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).resolve().parents[1] / "docs" / "llm.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    with scripted(after(0, "four")) as server:
        exec("\n".join(blocks).replace("http://localhost:8000/v1", server.url), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("3 requests to 127.0.0.1, about ")
    assert said[1] == "four"
    assert said[-1] == "What is 0 + 0?"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_a_batch_at_once_and_keeps_what_has_arrived(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def script(server: ScriptedServer) -> Script:
        async def act(received: Received, writer: Writer) -> None:
            await asyncio.sleep(0.01 if len(server.received) <= 10 else 60)
            await server.reply(received, writer)

        return act

    try:
        with scripted(script) as server:
            client = connect(f"{server.url}#m", ledger=tmp_path / "ledger.jsonl", concurrency=4)

            def interrupt() -> None:
                while sum(server.answered.values()) < 10 or server.busy < 4:
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGINT)

            waiter = threading.Thread(target=interrupt)
            waiter.start()
            began = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                client.complete(numbered(50))
            assert time.monotonic() - began < 30  # not the minute that the server takes
            waiter.join()
            assert client.costs()["answered"] == sum(server.answered.values()) == 10
            client.close()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, to be killed in the middle of their work")
def test_twenty_kills_lose_no_row_and_ask_none_twice(tmp_path: Path) -> None:
    dice, path, in_flight, most = random.Random(7), tmp_path / "ledger.jsonl", 4, [math.inf]

    def script(server: ScriptedServer) -> Script:
        async def act(received: Received, writer: Writer) -> None:
            await asyncio.sleep(0.005)
            while len(server.received) > most[0]:  # so that no process comes to its end before it is killed
                await asyncio.sleep(0.01)
            await server.reply(received, writer)

        return act

    program = [sys.executable, str(Path(__file__).parent / "llm_servers.py"), "nursery"]
    with (
        scripted(script) as server,
        subprocess.Popen(
            [*program, f"{server.url}#m", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as nursery,
    ):
        assert nursery.stdin is not None
        assert nursery.stdout is not None

        def begin() -> int:
            print(file=nursery.stdin, flush=True)
            return int(nursery.stdout.readline())

        assert nursery.stdout.readline() == "ready\n"
        server.received.clear()
        kept: set[str] = set()
        for _ in range(20):
            seen = len(server.received) + dice.randrange(1, 16)
            most[0] = seen + 12
            child = begin()
            while len(server.received) < seen:
                time.sleep(0.001)
            time.sleep(dice.uniform(0, 0.008))
            os.kill(child, signal.SIGKILL)
            assert nursery.stdout.readline() == "over\n"
            lines = path.read_text().splitlines() if path.exists() else []
            now = {line["key"] for line in map(json.loads, lines) if line.get("event") == "answered"}
            assert kept <= now
            kept = now
        assert 0 < len(kept) < 700  # killed in the middle, not before and not after
        most[0] = math.inf
        begin()
        assert nursery.stdout.readline() == "over\n"
        nursery.stdin.close()
        nursery.wait(30)

    asked = Counter(received.text for received in server.received)
    assert set(asked) == {f"row {i}" for i in range(700)}
    assert sum(asked.values()) - 700 <= 20 * in_flight
    events = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    answered = Counter(event["key"] for event in events if event["event"] == "answered")
    assert len(answered) == 700
    assert set(answered.values()) == {1}
    # Everything that reached the server stands in the ledger as asked.
    assert sum(asked.values()) <= sum(event["event"] == "asked" for event in events)
