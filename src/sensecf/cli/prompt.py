"""`sensecf prompt`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf.cli.progress import waiting
from sensecf.cli.prompt_options import as_data, prompt_options
from sensecf.cli.say import say
from sensecf.cli.shared import OutPath, Source, limit_options, source_options, split_names, stated_limits, table_options


@click.command()
@source_options("The first N rows only.")
@click.option("--out", type=OutPath(), help="File to write, JSON lines (default: print them).")
@click.option("--text", is_flag=True, help="Print the conversations to be read by people.")
@limit_options
@click.option("--plausibility", type=float, default=1.0, show_default=True, help="Price of being unlike the data.")
@table_options
@prompt_options
def prompt(
    source: Source,
    out: Path | None,
    text: bool,
    plausibility: float,
    **asking: Any,
) -> None:
    """What `sensecf explain --generator prompted` would send to a language model, without sending it.

    With --llm at a server, each line is the body of one request as it would go out, byte for byte;
    otherwise the query, the messages and the JSON Schema of the answer. Later rounds add the model's
    own answers and what is wrong with them.
    """
    from sensecf.core.files import write_text
    from sensecf.runs.dryrun import dry_run
    from sensecf.runs.run import RunSpec

    request = RunSpec(
        classifier=source.classifier,
        classes=split_names(source.classes),
        generator="prompted",
        target=source.target,
        limit=source.limit,
        limits=stated_limits(),
        plausibility=plausibility,
        seed=source.seed,
        prompting=as_data(asking),
    )
    opened = source.open()
    with waiting("Fitting the classifier and writing prompts"):
        found = dry_run(opened.frame, opened.schema, request, queries=opened.queries, card=opened.card)
    lines = found.lines
    if text:
        lines = [
            "\n".join(f"--- {message.role}\n{message.content}" for message in question.prompt)
            for question in found.questions
        ]
    if out is None:
        for line in lines:
            click.echo(line)
    else:
        write_text(out, "".join(line + "\n" for line in lines))
    from sensecf.core.people import some

    where = "this machine" if found.host is None else found.host
    say(f"{some(len(found.questions), 'rows')}, {len(found.lines)} requests to {where}: {found.permission}", err=True)
    for name, reason in found.withheld.items():
        say(f"never shown: {name} ({reason})", err=True)
