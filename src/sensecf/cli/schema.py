"""`sensecf schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf.cli.say import say
from sensecf.cli.shared import open_table, split_names, table_options


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--label", required=True, help="Column with the classes.")
@click.option("--person", "--group", help="Column that says whose row it is; found where names or values say.")
@click.option("--when", help="Column with the date or time of a row; found where there is one.")
@click.option("--shown", default="", metavar="A,B", help="Columns that are kept and shown, never learned from or sent.")
@click.option("--name", default="", help="What to call the data set.")
@click.option(
    "--weeks",
    type=click.FloatRange(min=0, min_open=True),
    help="Known columns may change by no more than is reasonable in so many weeks.",
)
@click.option("--merge-spellings", is_flag=True, help="Make levels one that differ in case and blanks only.")
@table_options
def schema(table: Path, label: str, name: str, weeks: float | None, merge_spellings: bool, **whose: Any) -> None:
    """Infer a schema from a table (CSV or Parquet) and print it as commented TOML, to be edited."""
    from sensecf.data.infer.infer import infer_schema_with_notes

    frame = open_table(table, merge_spellings=merge_spellings)
    found = infer_schema_with_notes(
        frame,
        label,
        whose["person"],
        name or table.stem,
        weeks,
        when=whose["when"],
        shown=split_names(whose["shown"]),
    )
    for remark in found.remarks:
        say(remark, err=True)
    click.echo(found.schema.to_toml(notes=found.notes, proposed=found.proposed), nl=False)
