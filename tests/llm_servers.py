"""Servers for the tests of `sensecf.llm`: a scripted one that speaks raw HTTP, a real one, and tiny models.

Run as a program it is one of the processes that tests and benchmarks need beside their own: a server
that answers after some seconds, or a nursery of clients to be killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Fails every test of a file that imports this when it reaches for another machine; lists what was tried."""
    outside: list[str] = []
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def checked(host: Any) -> None:
        if host not in ("127.0.0.1", "::1", "localhost", b"localhost", None):
            outside.append(str(host))
            raise OSError(f"the tests reach for {host}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            checked(address[0])
        connect(self, address)

    def guarded_lookup(host: Any, *rest: Any, **more: Any) -> Any:
        checked(host)
        return lookup(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_lookup)
    yield outside
    assert not outside


@dataclass
class Received:
    """One request as the server got it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    #: How often this very prompt and seed came before.
    repeat: int

    @property
    def text(self) -> str:
        return str(self.body["messages"][-1]["content"])


#: Writes the answer to one request; may close the connection.
Script = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class ScriptedServer:
    """An HTTP server that does what its script says, and counts."""

    script: Script
    port: int = 0
    received: list[Received] = field(default_factory=list)
    #: Answers sent completely, by prompt and seed.
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    busy: int = 0
    most_busy: int = 0
    _seen: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while received := await self._read(reader):
                self.received.append(received)
                self.busy += 1
                self.most_busy = max(self.most_busy, self.busy)
                try:
                    await self.script(received, writer)
                finally:
                    self.busy -= 1
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away, which is its right
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Received | None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
        question = json.dumps([body.get("seed"), body.get("messages")])
        self._seen[question] += 1
        return Received(first.split()[1], headers, body, self._seen[question] - 1)

    async def serve(self, started: Callable[[], None]) -> None:
        server = await asyncio.start_server(self.handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started()
        async with server:
            await server.serve_forever()

    async def reply(self, received: Received, writer: asyncio.StreamWriter, text: str = "[]", **changes: Any) -> None:
        """A proper completion, counted; `changes` replace parts of the body."""
        tokens = len(received.text) // 4, len(text) // 4
        send(writer, 200, completion(text, *tokens) | changes)
        await writer.drain()
        self.answered[received.text, received.body.get("seed", 0)] += 1
        self.tokens_in += tokens[0]
        self.tokens_out += tokens[1]


def completion(text: str | None, tokens_in: int = 3, tokens_out: int = 2, finish: str = "stop") -> dict[str, Any]:
    """The body of an answer as OpenAI documents it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out},
    }


def send(writer: asyncio.StreamWriter, status: int, body: Any, *headers: str, length: int | None = None) -> None:
    """A whole HTTP answer; bytes as they are, everything else as JSON. `length`: what the header claims."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    claimed = len(content) if length is None else length
    lines = [f"HTTP/1.1 {status} Scripted", "content-type: application/json", f"content-length: {claimed}", *headers]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)


def error(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


@contextmanager
def scripted(script: Callable[[ScriptedServer], Script]) -> Iterator[ScriptedServer]:
    """A scripted server in a thread of this process, gone at the end of the block."""
    server = ScriptedServer(lambda received, writer: act(received, writer))
    act = script(server)
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    ready = threading.Event()

    def started() -> None:
        task = asyncio.current_task()
        assert task is not None
        running.append((asyncio.get_running_loop(), task))
        ready.set()

    def run() -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(server.serve(started))

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    try:
        yield server
    finally:
        [(loop, task)] = running
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)


def after(seconds: float, text: str = "[]") -> Callable[[ScriptedServer], Script]:
    """Answer everything properly after some seconds."""

    def script(server: ScriptedServer) -> Script:
        async def act(received: Received, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(seconds)
            await server.reply(received, writer, text)

        return act

    return script


CHAT = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
#: Like the templates of Mistral: no system message, turns alternate.
STRICT = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message.role == 'user' %}[INST] {{ message.content }} [/INST]{% else %}{{ message.content }}{{ eos_token }}"
    "{% endif %}{% endfor %}"
)


def tiny_model(folder: Path, architecture: str = "llama", template: str | None = CHAT) -> Path:
    """A folder with a language model of some 20,000 random weights and a tokenizer trained here."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = ['{"steps":9000,"deep":62.5}', "minutes of sleep"]
    tokenizer.train_from_iterator(corpus * 20, trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    fast.chat_template = template
    torch.manual_seed(0)
    kinds: dict[str, Any] = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
    }
    config, model = kinds[architecture]
    made = model(
        config(
            vocab_size=len(fast), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=1024, initializer_range=0.3, bos_token_id=1,
            eos_token_id=2, pad_token_id=0,
        )
    )  # fmt: skip
    made.generation_config.do_sample = True  # what a server goes by when it is given a temperature
    made.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@contextmanager
def transformers_serve(folder: Path) -> Iterator[str]:
    """The server of transformers with a model, in a process of its own: its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = "from transformers.cli.transformers import main; main()"
    options = ["serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", script, *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            said = (folder / "serve.log").read_text()
            assert server.poll() is None, f"the server ended: {said}"
            assert time.monotonic() < deadline, f"the server does not start: {said}"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait(30)


def nursery(url: str, ledger: str) -> None:
    """For every line of standard input, fork a process that asks 700 questions; say its number, and its end.

    A question is asked beforehand, so that everything is loaded: a process is at work at once, to be killed there.
    """
    from sensecf.llm import Message
    from sensecf.llm.named import connect

    connect(url).complete([(Message("user", "loaded?"),)])
    print("ready", flush=True)
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            client = connect(url, ledger=ledger, concurrency=4)
            client.complete([(Message("user", f"row {i}"),) for i in range(700)])
            client.close()
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("over", flush=True)


def slow_server(seconds: float) -> None:
    """Serve until killed, after printing the port."""
    alone = ScriptedServer(lambda received, writer: act(received, writer))
    act = after(seconds)(alone)
    asyncio.run(alone.serve(lambda: print(alone.port, flush=True)))


if __name__ == "__main__":
    if sys.argv[1] == "nursery":
        nursery(*sys.argv[2:])
    else:
        slow_server(float(sys.argv[2]))
