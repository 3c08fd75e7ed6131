"""What would be sent to a language model, without sending it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import pandas as pd

from sensecf import generators
from sensecf.core.errors import InputError
from sensecf.core.files import cache_folder
from sensecf.core.schema import FeatureSchema
from sensecf.data.card import Card
from sensecf.data.privacy_gate import permission
from sensecf.generators import Context
from sensecf.generators.prompted.prompted import Prompted, Question
from sensecf.llm import Completion, Prompt
from sensecf.llm.asking import Request as Asking
from sensecf.llm.backends.chat import request_body
from sensecf.llm.backends.presets import preset
from sensecf.llm.language.prompting import Prompting
from sensecf.llm.language.prompts import PROMPT_VERSION
from sensecf.pipeline.hold import Holding
from sensecf.runs.experiment import experiment, prepared
from sensecf.runs.run import RunSpec, check


class DryRun(NamedTuple):
    """The first round of a run: `queries` (names of the rows), a question about each, and `lines`, as sent.

    `host`: where it would go, None for a model in this process. `permission`: why it may, or why not.
    `withheld`: features that no prompt shows, with the reason.
    """

    queries: list[Any]
    questions: list[Question]
    lines: list[str]
    host: str | None
    permission: str
    withheld: dict[str, str]


def dry_run(
    frame: pd.DataFrame,
    schema: FeatureSchema,
    request: RunSpec,
    *,
    queries: pd.DataFrame | None = None,
    card: Card | None = None,
) -> DryRun:
    """The first round of what `run` would ask for a request with `prompting`; nothing is asked, no key is needed.

    Without a model named in it (`Prompting("")`) any model is meant.

    For a server, `lines` are the bodies of its requests, `samples` for each person, as UTF-8 goes over
    the wire. Otherwise they are JSON objects with query, prompt version, messages and JSON Schema.
    Where a server refuses a parameter, a run leaves that parameter out.
    Raises `InputError` as `run` does.
    """
    check(request, schema)
    prompting = request.prompting or Prompting("")
    made = experiment(prepared(frame, schema, request.setup, queries, card))
    at = made.asked(request.limit)
    held_out = made.table.held_out.iloc[at[made.inside[at]]]
    holding = made.task.once(Holding)
    holding.settle(None, request.seed, cache=cache_folder())
    limits = holding.asked(made.task.target_position(made.target), request.limits.settled(schema))
    query = limits.query(made.task, held_out, made.target)
    context = Context(request.seed, request.plausibility, llm=_Silent(), prompting=prompting)
    generator = cast(Prompted, generators.build("prompted", made.task, context))
    questions, names = generator.questions(query), held_out.index.tolist()
    server = server_of(prompting.llm)
    if server is None:
        lines = [_line(name, question, prompting) for name, question in zip(names, questions, strict=True)]
        return DryRun(names, questions, lines, None, permission(None, card), generator.withheld)
    host, model = server
    lines = []
    for question in questions:
        schema_of_answer = question.json_schema if prompting.constrained else None
        for sample in range(prompting.samples):
            asking = Asking(question.prompt, sample, schema_of_answer, **generator.sampling)
            lines.append(_json(request_body(asking, model)))
    try:
        why = permission(host, card, prompting.allow_hosts)
    except InputError as error:
        why = f"refused: {error}"
    return DryRun(names, questions, lines, host, why, generator.withheld)


def _line(name: Any, question: Question, prompting: Prompting) -> str:
    """A question that goes to no server."""
    return _json(
        {
            "query": str(name),
            "prompt_version": PROMPT_VERSION,
            "messages": [vars(message) for message in question.prompt],
            "json_schema": question.json_schema if prompting.constrained else None,
        }
    )


def server_of(spec: str) -> tuple[str, str] | None:
    """The host and the model's name where `sensecf.llm.connect` would ask a server; None where it would not.

    Raises `InputError` for an unknown preset and an address that cannot be used.
    """
    if not spec or spec.startswith(("replay:", "batch:", "transformers:")) or Path(spec).is_dir():
        return None
    if spec.startswith(("http://", "https://")):
        address, _, model = spec.partition("#")
    else:
        file, mark, name = spec.rpartition("#")
        known = preset(name, file) if mark else preset(spec)
        address, model = known.base_url, known.model
    host = urlsplit(address).hostname
    if not host or not model:
        raise InputError(f"{spec!r} names no server and model; write http://host:port/v1#MODEL")
    return host, model


def _json(data: Any) -> str:
    """JSON as the client library sends it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class _Silent:
    """Stands in for the model: a dry run asks nothing."""

    name = "nobody"
    host: str | None = None

    def complete(self, prompts: Sequence[Prompt], n: int = 1, **settings: Any) -> list[list[Completion]]:
        raise AssertionError("a dry run asks nothing")
