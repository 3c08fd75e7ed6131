"""`sensecf graph`: the causes of a schema, held against a table."""

from __future__ import annotations

from pathlib import Path

import click

from sensecf.cli.say import say
from sensecf.cli.shared import open_table, table_options


@click.group()
def graph() -> None:
    """The causes that a schema accepts."""


@graph.command("check")
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--schema", "schema_path", required=True, type=click.Path(path_type=Path), help="Schema with causes.")
@click.option("--seed", default=0, show_default=True, help="Draws the permutations.")
@table_options
def check(table: Path, schema_path: Path, seed: int) -> None:
    """Say which signs of the causes, and which independences that they imply, the rows of TABLE contradict.

    Writes a table as CSV to standard output, and a summary to standard error.
    """
    from sensecf.core.schema import FeatureSchema
    from sensecf.pipeline.graphcheck import check_graph

    schema = FeatureSchema.from_toml(schema_path)
    found = check_graph(open_table(table, schema), schema, seed)
    click.echo(found.round(4).to_csv(index=False), nl=False)
    for kind, part in found.groupby("kind", sort=False):
        for verdict, count in part["verdict"].value_counts().items():
            say(f"{kind}: {count} {verdict}", err=True)
    for row in found[found["verdict"] == "contradicted"].itertuples():
        what = f"{row.cause!s} → {row.effect!s} ({row.says or 'no sign'!s})"
        if row.kind == "independence":
            what = f"{row.cause} and {row.effect} are not independent given the causes of {row.effect}"
        say(f"contradicted by the rows: {what}", err=True)


@graph.command("draft")
@click.option("--schema", "schema_path", required=True, type=click.Path(path_type=Path), help="Schema to draft for.")
@click.option("--llm", "model", required=True, help="The language model: a preset, an address, a folder, replay:FILE.")
@click.option("--seed", default=0, show_default=True, help="Handed to the model.")
def draft(schema_path: Path, model: str, seed: int) -> None:
    """Let a language model propose causes, each with its reason, and print the schema with them as comments.

    The model sees the names, units, roles and descriptions of the columns, and no row. Nothing that it proposes is used
    until a person takes the # away.
    """
    from sensecf.core.schema import FeatureSchema
    from sensecf.llm import connect
    from sensecf.llm.language.drafting import draft_causes, proposals

    schema = FeatureSchema.from_toml(schema_path)
    client = connect(model)
    try:
        edges, left = draft_causes(schema, client, seed)
        click.echo(schema.to_toml(notes=proposals(edges, client.name)), nl=False)
    finally:
        client.close()
    say(f"{len(edges)} edges drafted by {client.name}; none is used until its # is taken away", err=True)
    for line in left:
        say(f"left out: {line}", err=True)
