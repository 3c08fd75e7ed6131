"""The options of commands that ask a language model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from sensecf.cli.say import say
from sensecf.cli.shared import keep_as, stated
from sensecf.core.errors import InputError

if TYPE_CHECKING:
    from sensecf.llm.language.prompting import Prompting

LLM = (
    "The language model of the generator prompted: a preset (gpt-4o, llama-3.1-8b-instruct, FILE.toml#NAME), an "
    "address (http://localhost:8000/v1#MODEL), a folder of a model, or replay:FILE."
)

_OPTIONS = (
    click.option("--llm", help=LLM),
    click.option("--shots", type=int, default=0, show_default=True, help="Examples in each prompt."),
    click.option(
        "--shot-choice",
        type=click.Choice(["nearest", "diverse", "fixed"]),
        default="nearest",
        show_default=True,
        help="Which training rows are the examples.",
    ),
    click.option("--rounds", type=int, default=2, show_default=True, help="How often a failed answer goes back."),
    click.option("--samples", type=int, default=1, show_default=True, help="Answers per round."),
    click.option(
        "--calls",
        type=int,
        help="Instead of rounds and samples so many calls per person: first which features, then values, for different "
        "answers.",
    ),
    click.option("--json-values", is_flag=True, help="Write rows as JSON instead of lines of text."),
    click.option("--masked", is_flag=True, help="Hide names and shift numbers: what the model knows by heart."),
    click.option("--hint", is_flag=True, help="Name the features that the classifier leans on."),
    click.option(
        "--without",
        multiple=True,
        type=click.Choice(["neighbours", "leanings", "usual", "example", "form"]),
        help="Leave a part of the prompt out.",
    ),
    click.option(
        "--offers",
        is_flag=True,
        help="Tell the changes that bring most, in points, and nothing else: short prompts, for small models.",
    ),
    click.option("--unconstrained", is_flag=True, help="Do not hand the model the JSON Schema of its answer."),
    click.option(
        "--max-tokens",
        type=int,
        help="Longest answer (default: what the form of the answer takes); models that reason first need more.",
    ),
    click.option(
        "--allow-host",
        "allow_hosts",
        multiple=True,
        metavar="HOST[=DATA]",
        help="Rows may be sent to this host; with =DATA against the card of that data set.",
    ),
    click.option("--spend-cap", "cap_money", type=float, help="Stop at so much money, in the preset's currency."),
    click.option("--token-cap", "cap_tokens", type=int, help="Stop at so many tokens, in and out."),
    click.option("--timeout", type=float, help="Seconds before a server begins to answer (default: 120)."),
    click.option("--token-timeout", type=float, help="And so many for each token of an answer (default: 0.5)."),
    click.option(
        "--concurrency", type=int, help="Requests at a server at once, at most (default: 32); fewer while it is slow."
    ),
)


def prompt_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which takes them as `**asking` for `prompting`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add those of `prompt_options`, and --model and --yes, to a command that builds generators."""
    yes = click.option(
        "--yes",
        is_flag=True,
        expose_value=False,
        callback=keep_as("consent"),
        help="Ask a language model without a question about its cost.",
    )
    model = click.option("--model", help="Folder that `sensecf finetune` made, for the generator tuned.")
    return model(prompt_options(yes(command)))


def confirmed() -> Callable[[str], None]:
    """What shows an estimate of the cost before a model is asked, and waits for a y where a person sits there."""

    def confirm(estimate: str) -> None:
        say(estimate, err=True)
        if sys.stdin.isatty() and not stated("consent")["yes"]:
            # A whole line: beside a progress bar, a prompt without an end is not shown.
            say("Type y to ask.", err=True)
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                raise click.Abort

    return confirm


def prompting(asking: dict[str, Any], names: Sequence[str]) -> Prompting | None:
    """The options as data, None where no model is asked. Raises `InputError` where none of the generators takes one."""
    from sensecf.generators import find, traits_of

    if asking["llm"] is None:
        return None
    if not any("llm" in traits_of(find(name)).needs for name in names):
        said = ", ".join(map(repr, names))
        raise InputError(f"generator {said} asks no language model; leave --llm out or use the generator prompted")
    return as_data(asking)


def as_data(asking: dict[str, Any]) -> Prompting:
    """The options as data; without --llm for no model in particular."""
    from sensecf.llm.language.prompting import Prompting

    options = {**asking, "llm": asking["llm"] or ""}
    options["values"] = "json" if options.pop("json_values") else "plain"
    options["constrained"] = not options.pop("unconstrained")
    return Prompting(**options)
