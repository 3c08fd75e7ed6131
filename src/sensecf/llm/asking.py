"""What the client and a backend say to each other: requests, answers, and who may answer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

from sensecf.llm import Completion, JsonSchema, Prompt

#: Letters per token where nobody has counted: English words have about five, names of columns fewer.
LETTERS_PER_TOKEN = 3
#: Tokens that a chat template adds to each message, at most.
PER_MESSAGE = 8
_PIECE = re.compile(r"[A-Za-z]+|[^A-Za-z ]")


@dataclass(frozen=True, eq=False)
class Request:
    """One answer wanted: a prompt, which of its samples, and how to write it.

    `counted`: tokens of the prompt, where the model's own tokenizer is at hand; no part of the key.
    """

    prompt: Prompt
    sample: int = 0
    schema: JsonSchema | None = None
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 512
    counted: int | None = None

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
        """Tokens in (as counted, else estimated) and tokens out (the limit) that asking this may cost at most."""
        if self.counted is not None:
            return self.counted, self.max_tokens
        return sum(estimate_tokens(message.content) + PER_MESSAGE for message in self.prompt), self.max_tokens


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


@runtime_checkable
class Counts(Protocol):
    """A backend that has the tokenizer of its model at hand."""

    def count(self, prompt: Prompt) -> int:
        """Tokens of a prompt as the model reads it, its chat template included."""
        ...


def estimate_tokens(text: str) -> int:
    """Tokens of a text where nobody can count them, an upper bound for the prompts and answers of this package.

    A digit, a sign or a byte of another script is a token of its own (tokenizers that split numbers digit by digit
    are the worst case), `LETTERS_PER_TOKEN` letters are one, and blanks belong to what follows. SmolLM2 takes 80 to
    84 % of it for prompts of three tables.
    """
    return sum(
        -(-len(piece) // LETTERS_PER_TOKEN)
        if piece.isascii() and piece.isalpha()
        else len(piece.encode("utf-8", "replace"))
        for piece in _PIECE.findall(text)
    )
