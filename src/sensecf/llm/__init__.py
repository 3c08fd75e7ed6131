"""Language models behind one small protocol.

Every backend is one file of this folder and one class with an attribute ``name`` and a method ``complete``.
Failures of a single request are completions with a ``reason``, so that nothing asked is ever missing from a table;
only a wrong configuration raises. `connect` turns one string into a backend.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from sensecf.llm.asking import Answer
    from sensecf.llm.client import Client
    from sensecf.llm.language.brief import Brief
    from sensecf.llm.language.offered import Offered
    from sensecf.llm.language.prompts import Prompts
    from sensecf.llm.named import connect

__all__ = ["LLM", "Answer", "Brief", "Client", "Completion", "Message", "Offered", "Prompt", "Prompts", "connect"]

#: Where the public names of other files live; these files import this one.
from sensecf.core.kept import Json

_HOME = {
    "Answer": "asking",
    "Brief": "language.brief",
    "Client": "client",
    "Offered": "language.offered",
    "Prompts": "language.prompts",
    "connect": "named",
}


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    >>> sensecf.llm.Message("user", "How many steps?").role
    'user'
    """

    role: Literal["system", "user", "assistant"]
    content: str


JsonSchema: TypeAlias = Json
"""A JSON Schema, which an answer has to follow."""

Prompt = tuple[Message, ...]
"""A conversation so far; its last message is what the model answers."""


@dataclass(frozen=True)
class Completion:
    """One answer of a model, or the reason why there is none.

    Attributes:
        text: what the model wrote; it may be partial where ``reason`` is not empty.
        reason: why the text cannot be used: "refused", "cut off at the token limit",
            "HTTP 500 after 5 tries", ...; empty if the answer is fine.
        tokens_in: tokens of the prompt that this answer is charged for, as the backend counted them.
        tokens_out: tokens written.
        seconds: time from the first try to the answer; 0 for an answer from the ledger.
        cached: whether the answer came from a ledger or a recorded run and cost nothing now.

    >>> sensecf.llm.Completion("", reason="cut off at the token limit").cached
    False
    """

    text: str
    reason: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cached: bool = False


@runtime_checkable
class LLM(Protocol):
    """A language model that answers whole batches.

    >>> from sensecf.llm import LLM, Completion
    >>> class Silent:
    ...     name, host = "silent", None
    ...     def complete(self, prompts, n=1, **settings):
    ...         return [[Completion("", "says nothing")] * n for _ in prompts]
    >>> isinstance(Silent(), LLM)
    True
    """

    name: str
    """The name for tables: the preset's or the model's."""

    host: str | None
    """Where prompts go; None where the model runs in this process."""

    def complete(
        self,
        prompts: Sequence[Prompt],
        n: int = 1,
        *,
        json_schemas: Sequence[JsonSchema] | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int = 512,
    ) -> list[list[Completion]]:
        """Answer every prompt ``n`` times.

        Args:
            prompts: the conversations, one per request.
            n: completions per prompt; at least 1.
            json_schemas: one JSON Schema per prompt that its answers have to follow; None for free text.
            temperature: 0 for the most likely answer, higher for more variety.
            seed: same seed, same prompts, same answers, as far as the model allows it.
            max_tokens: longest answer, in tokens of the model.

        Returns:
            One inner list of exactly ``n`` completions per prompt, in the order of the prompts.

        Raises:
            InputError: the configuration cannot work (unknown or retired model, no key, refused host, spend cap 0).
        """
        ...


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
