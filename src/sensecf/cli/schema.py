"""`sensecf schema`."""

from __future__ import annotations

from pathlib import Path

import click

from sensecf.cli.shared import open_table, table_options


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--label", required=True, help="Column with the classes.")
@click.option("--group", help="Column that says whose row it is; found by itself where its name is plain.")
@click.option("--name", default="", help="What to call the data set.")
@click.option(
    "--weeks",
    type=click.FloatRange(min=0, min_open=True),
    help="Known columns may change by no more than is reasonable in so many weeks.",
)
@click.option("--merge-spellings", is_flag=True, help="Make levels one that differ in case and blanks only.")
@table_options
def schema(table: Path, label: str, group: str | None, name: str, weeks: float | None, merge_spellings: bool) -> None:
    """Infer a schema from a table (CSV or Parquet) and print it as commented TOML, to be edited."""
    from sensecf.data.infer.infer import infer_schema_with_notes

    found = infer_schema_with_notes(
        open_table(table, merge_spellings=merge_spellings), label, group, name or table.stem, weeks
    )
    for remark in found.remarks:
        click.echo(remark, err=True)
    click.echo(found.schema.to_toml(notes=found.notes, proposed=found.proposed), nl=False)
