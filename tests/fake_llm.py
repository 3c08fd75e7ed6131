"""Language models for tests: scripted, obedient, random, or as good as the search."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sensecf.core.query import Query
from sensecf.generators.prompted.prompted import Prompted
from sensecf.generators.search import Search
from sensecf.llm import Completion, Prompt


class Scripted:
    """Answers with what `say(prompt, schema, sample)` gives (a text or a completion), and keeps what it was asked."""

    def __init__(self, say: Callable[[Prompt, dict[str, Any], int], str | Completion], host: str | None = None) -> None:
        self.name, self.host = "scripted", host
        self.say = say
        self.calls: list[list[Prompt]] = []
        self.settings: list[dict[str, Any]] = []

    def complete(
        self,
        prompts: Sequence[Prompt],
        n: int = 1,
        *,
        json_schemas: Sequence[dict[str, Any]] | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int = 512,
    ) -> list[list[Completion]]:
        self.calls.append(list(prompts))
        self.settings.append(
            {"n": n, "schemas": json_schemas, "temperature": temperature, "seed": seed, "max_tokens": max_tokens}
        )
        schemas = json_schemas or [{}] * len(prompts)
        return [
            [self._completion(prompt, schema, sample) for sample in range(n)]
            for prompt, schema in zip(prompts, schemas, strict=True)
        ]

    def _completion(self, prompt: Prompt, schema: dict[str, Any], sample: int) -> Completion:
        said = self.say(prompt, schema, sample)
        return said if isinstance(said, Completion) else Completion(said, tokens_in=len(prompt), tokens_out=len(said))


def always(text: str) -> Scripted:
    """A model that says the same to everybody."""
    return Scripted(lambda prompt, schema, sample: text)


def answer(**changes: Any) -> str:
    """The JSON of an answer."""
    return json.dumps(changes)


def draw(schema: dict[str, Any], rng: np.random.Generator) -> str:
    """A random answer that follows a JSON Schema of ours but for steps, which it does not know."""
    members = list(schema["properties"].items())
    changes = {}
    for k in rng.choice(len(members), int(rng.integers(1, schema["maxProperties"] + 1)), replace=False):
        name, value = members[k]
        value = rng.choice(value["anyOf"]) if "anyOf" in value else value
        if "enum" in value:
            made = value["enum"][int(rng.integers(len(value["enum"])))]
        else:
            made = rng.uniform(value["minimum"], value["maximum"])
            step = value.get("multipleOf", 1 if value["type"] == "integer" else 0)
            made = min(max(round(made / step) * step, value["minimum"]), value["maximum"]) if step else round(made, 1)
            made = min(max(made, value["minimum"]), value["maximum"])
        changes[name] = made
    return json.dumps(changes)


def like_the_search(prompted: Prompted, query: Query, otherwise: str = "I cannot.") -> Scripted:
    """A model that writes what the search finds for each person of a query, whatever else it is told."""
    found = Search(prompted.task).propose(query, np.random.default_rng(0))
    best = {int(i): found.rows[found.query == i][0] for i in np.unique(found.query[found.reason == ""])}
    texts = {}
    for i, question in enumerate(prompted.questions(query)):
        texts[question.prompt] = prompted.prompts.completion(question.asked, best[i]) if i in best else otherwise
    return Scripted(lambda prompt, schema, sample: texts.get(prompt, otherwise))
