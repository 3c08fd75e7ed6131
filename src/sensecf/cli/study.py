"""`sensecf study` and `sensecf report`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from sensecf.cli.say import say
from sensecf.cli.shared import ALLOW_HOST, OutPath, engine_options, stated_engine, stated_marks, table_options


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", type=OutPath(), required=True, help="Folder to write, or to go on in.")
@click.option("--jobs", type=click.IntRange(min=1), help="Splits at a time (default: one per processor).")
@table_options
@engine_options
@ALLOW_HOST
def study(study: Path, out: Path, jobs: int | None) -> None:
    """Do the cells of STUDY (a TOML file) that the folder lacks, then report.

    Every cell is a file of its own: interrupt it whenever you like, the same command goes on. --decimal,
    --thousands and --encoding hold for tables of files that do not say their own in STUDY.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from sensecf.runs.study import read_study, run_study
    from sensecf.runs.study.report import write_study_report

    where = stated_engine()
    asked = read_study(study)
    marks = stated_marks()
    tables = (
        table if table.path is None or table.decimal or table.thousands or table.encoding else replace(table, **marks)
        for table in asked.tables
    )
    asked = replace(asked, tables=tuple(tables))
    console = Console(stderr=True)
    columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("cells", total=None, left="")

        def progress(done: int, total: int, left: float) -> None:
            text = "" if left != left else f"{left / 60:,.0f} min left"
            bar.update(task, completed=done, total=total, left=text)
            if not console.is_terminal:
                say(f"{done:,} of {total:,} cells {text}".rstrip(), err=True)

        run_study(asked, out, jobs, progress, where)
    _say(out, write_study_report(out))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write the tables and figures of a study from the cells in its FOLDER, finished or not."""
    from sensecf.runs.study.report import write_study_report

    _say(folder, write_study_report(folder))


def _say(folder: Path, page: Path) -> None:
    """The tests on the terminal, and where the page is."""
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from sensecf.runs.study.written import between, chance, plain, signed

    tests = pd.read_csv(folder / "tests.csv")
    shown = Table(title=f"F1 of {tests['method'].iloc[0]} against each method", title_justify="left")
    for column in ("against", "ours", "other", "difference", "95 % interval", "p (Holm)"):
        shown.add_column(column)
    for row in tests.to_dict("records"):
        shown.add_row(
            str(row["against"]),
            plain(row["mean"]),
            plain(row["mean_against"]),
            signed(row["difference"]),
            between(signed(row["low"]), signed(row["high"])),
            chance(row["p_holm"]),
        )
    console = Console()
    console.print(shown)
    say(f"Report: {page}")
