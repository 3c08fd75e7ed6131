"""`sensecf serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf.cli.say import say
from sensecf.cli.shared import (
    CLASSES,
    CLASSIFIERS,
    GENERATORS,
    TRUST,
    OutPath,
    split_names,
    stated_marks,
    table_options,
)
from sensecf.core.errors import InputError, MissingExtraError


@click.command()
@click.argument("run_or_table", type=click.Path(path_type=Path), required=False)
@click.option("--schema", type=click.Path(path_type=Path), help="Schema of the table; made by `sensecf schema`.")
@click.option("--classifier", default="xgboost", show_default=True, help=f"For a table: {CLASSIFIERS}")
@CLASSES
@click.option("--generator", default="auto", show_default=True, help=f"For a table: {GENERATORS}")
@TRUST
@click.option("--target", help="Class to reach (default: the schema's).")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--hold", type=float, metavar="SHARE", help="As in explain (default: that of the run; 0.95 for a table).")
@click.option("--out", type=OutPath(), help="Folder for the log of decisions (default: the run's).")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need --token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--token", envvar="SENSECF_TOKEN", help="Whoever opens the page must know it (or SENSECF_TOKEN).")
@table_options
def serve(
    run_or_table: Path | None,
    schema: Path | None,
    classes: str,
    out: Path | None,
    host: str,
    port: int,
    token: str | None,
    **asked: Any,
) -> None:
    """Open a page on which one person at a time is looked at, asked about and planned for.

    RUN_OR_TABLE is the folder of a run, or a table with --schema; without it, the simulated cohort is
    opened. Decisions are added to decisions.jsonl in --out.
    """
    try:
        from sensecf.web.serving import listen
    except ImportError as error:
        raise MissingExtraError(f"the page needs {error.name}: pip install 'sensecf[web]'") from error
    from sensecf.web.start import PageSource

    if run_or_table is not None and not run_or_table.exists():
        raise InputError(f"{run_or_table} does not exist; name the folder of a run, or a table")
    if run_or_table is not None and run_or_table.is_dir() and schema is not None:
        raise InputError(f"{run_or_table} is a folder, which has its own schema; leave --schema out")
    if run_or_table is None and schema is not None:
        raise InputError("--schema needs its table: sensecf serve TABLE --schema schema.toml")
    folder = out or (run_or_table if run_or_table is not None and run_or_table.is_dir() else Path("decisions"))
    source = PageSource(run_or_table, schema, classes=split_names(classes), marks=stated_marks(), **asked)
    listen(source, folder, host, port, token, say)
