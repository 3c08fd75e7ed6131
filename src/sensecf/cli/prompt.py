"""`sensecf prompt`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf.cli.prompt_options import as_data, prompt_options
from sensecf.cli.shared import (
    CLASSES,
    CLASSIFIERS,
    OutPath,
    limit_options,
    open_table,
    split_names,
    stated_limits,
    table_options,
)


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--schema", "schema_path", type=click.Path(path_type=Path), required=True, help="Made by `sensecf schema`."
)
@click.option("--out", type=OutPath(), help="File to write, JSON lines (default: print them).")
@click.option("--text", is_flag=True, help="Print the conversations to be read by people.")
@click.option("--classifier", default="xgboost", show_default=True, help=CLASSIFIERS)
@CLASSES
@click.option("--target", help="Class to reach (default: the schema's).")
@click.option(
    "--queries", type=click.Path(path_type=Path), help="Table of rows to ask about; then all of TABLE trains."
)
@click.option("--limit", type=int, help="The first N people only.")
@limit_options
@click.option("--robust", is_flag=True, help="Demand a margin: p >= 0.6 with two classes.")
@click.option("--plausibility", type=float, default=1.0, show_default=True, help="Price of being unlike the data.")
@click.option("--seed", type=int, default=0, show_default=True)
@table_options
@prompt_options
def prompt(
    table: Path,
    schema_path: Path,
    out: Path | None,
    text: bool,
    classifier: str,
    classes: str,
    target: str | None,
    queries: Path | None,
    limit: int | None,
    robust: bool,
    plausibility: float,
    seed: int,
    **asking: Any,
) -> None:
    """What `sensecf explain --generator prompted` would send to a language model, without sending it.

    With --llm at a server, each line is the body of one request as it would go out, byte for byte;
    otherwise the query, the messages and the JSON Schema of the answer. Later rounds add the model's
    own answers and what is wrong with them.
    """
    from sensecf.core.files import write_text
    from sensecf.core.schema import FeatureSchema
    from sensecf.data.builtin import find_card
    from sensecf.data.card import strictest
    from sensecf.runs.dryrun import dry_run
    from sensecf.runs.run import RunSpec

    request = RunSpec(
        classifier=classifier,
        classes=split_names(classes),
        generator="prompted",
        target=target,
        limit=limit,
        limits=stated_limits(robust),
        plausibility=plausibility,
        seed=seed,
        prompting=as_data(asking),
    )
    schema = FeatureSchema.from_toml(schema_path)
    found = dry_run(
        open_table(table, schema),
        schema,
        request,
        queries=None if queries is None else open_table(queries, schema),
        card=strictest(find_card(path) for path in (table, queries) if path is not None),
    )
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
    where = "this machine" if found.host is None else found.host
    click.echo(f"{len(found.questions)} people, {len(found.lines)} requests to {where}: {found.permission}", err=True)
    for name, reason in found.withheld.items():
        click.echo(f"never shown: {name} ({reason})", err=True)
