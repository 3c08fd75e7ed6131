"""What the client and a backend say to each other: requests, answers, and who may answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from sensecf.llm import Completion, JsonSchema, Prompt

#: UTF-8 bytes per token where nobody has counted: English text has about four, tables of numbers fewer.
BYTES_PER_TOKEN = 3


@dataclass(frozen=True, eq=False)
class Request:
    """One answer wanted: a prompt, which of its samples, and how to write it."""

    prompt: Prompt
    sample: int = 0
    schema: JsonSchema | None = None
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 512

    @cached_property
    def key(self) -> str:
        """SHA-256 over everything that the answer depends on, but the model."""
        content = {
            "messages": self.messages,
            "sample": self.sample,
            "schema": self.schema,
            "temperature": float(self.temperature),
            "seed": self.seed,
            "max_tokens": self.max_tokens,
        }
        # Keys of the schema keep their order: a model that follows it writes in that order.
        return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()

    @cached_property
    def draw(self) -> int:
        """The seed of this very sample of this very prompt, in 31 bits: what every backend and server takes."""
        return int(self.key[:8], 16) >> 1

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt as the chat format that servers and templates share."""
        return [{"role": message.role, "content": message.content} for message in self.prompt]

    @cached_property
    def bound(self) -> tuple[int, int]:
        """Tokens in (estimated) and tokens out (the limit) that asking this may cost at most."""
        return estimate_tokens("".join(message.content for message in self.prompt)), self.max_tokens


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Attributes:
        completion: what the caller gets.
        tries: how often a server was asked.
        lost: of these, the tries that may be billed though no usable answer arrived.
        final: whether asking again would only cost again; False for failures on the way.
        stop: why nothing else should be asked; empty to go on.

    >>> from sensecf.llm import Answer, Completion
    >>> Answer(Completion('{"steps": 9000}', tokens_in=120, tokens_out=7)).tries
    1
    """

    completion: Completion
    tries: int = 1
    lost: int = 0
    final: bool = True
    stop: str = ""


class Backend(Protocol):
    """Something that answers requests.

    Attributes:
        name: for tables.
        model: what exactly answers; answers are kept under this name and used for no other.
        host: the name of the machine that prompts are sent to, None where they stay in this process.
    """

    name: str
    model: str
    host: str | None

    def answer(self, requests: Iterator[Request], keep: Callable[[Request, Answer], None]) -> None:
        """Take requests as there is room for them, and hand every answer to `keep` as it comes.

        A request that was taken counts as in flight, so none is taken before it can be asked. Returns
        when `requests` has ended and everything taken was kept. Raises `InputError` when nothing can be
        asked like this.
        """
        ...


def estimate_tokens(text: str) -> int:
    """Tokens of a text, from its length; on the high side for English and for tables of numbers."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)
