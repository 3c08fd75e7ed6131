"""The options of commands that ask a language model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from sensecf.errors import InputError

if TYPE_CHECKING:
    from sensecf.prompting import Prompting

LLM = (
    "The language model of --generator prompted: a preset (gpt-4o, llama-3.1-8b-instruct, FILE.toml#NAME), an "
    "address (http://localhost:8000/v1#MODEL), a folder of a model, or replay:FILE."
)

_OPTIONS = (
    click.option("--llm", help=LLM),
    click.option("--shots", type=int, default=0, show_default=True, help="Examples in each prompt."),
    click.option(
        "--shot-choice", type=click.Choice(["nearest", "diverse", "fixed"]), default="nearest", show_default=True,
        help="Which training rows are the examples.",
    ),
    click.option("--rounds", type=int, default=2, show_default=True, help="How often a failed answer goes back."),
    click.option("--samples", type=int, default=1, show_default=True, help="Answers per round."),
    click.option("--json-values", is_flag=True, help="Write rows as JSON instead of lines of text."),
    click.option("--masked", is_flag=True, help="Hide names and shift numbers: what the model knows by heart."),
    click.option("--hint", is_flag=True, help="Name the features that the classifier leans on."),
    click.option("--unconstrained", is_flag=True, help="Do not hand the model the JSON Schema of its answer."),
    click.option("--max-tokens", type=int, default=512, show_default=True, help="Longest answer of the model."),
    click.option(
        "--allow-host", "allow_hosts", multiple=True, metavar="HOST[=DATA]",
        help="Rows may be sent to this host; with =DATA against the card of that data set.",
    ),
    click.option("--spend-cap", "cap_money", type=float, help="Stop at so much money, in the preset's currency."),
    click.option("--token-cap", "cap_tokens", type=int, help="Stop at so many tokens, in and out."),
)  # fmt: skip


def prompt_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which takes them as `**asking` for `prompting`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def prompting(asking: dict[str, Any], generator: str) -> Prompting | None:
    """The options as data, None where no model is asked.

    Raises `InputError` when a generator that asks a model has none, or another one is given one.
    """
    import inspect

    from sensecf.generators import find

    made = find(generator)
    wanted = "llm" in inspect.signature(made).parameters and hasattr(made, "questions")
    if asking["llm"] is None:
        if wanted:
            raise InputError(f"generator {generator!r} asks a language model; name one with --llm")
        return None
    if not wanted:
        raise InputError(f"generator {generator!r} asks no language model; leave --llm out or use --generator prompted")
    return as_data(asking)


def as_data(asking: dict[str, Any]) -> Prompting:
    """The options as data; without --llm for no model in particular."""
    from sensecf.prompting import Prompting

    options = {**asking, "llm": asking["llm"] or ""}
    options["values"] = "json" if options.pop("json_values") else "plain"
    options["constrained"] = not options.pop("unconstrained")
    return Prompting(**options)
