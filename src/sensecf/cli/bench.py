"""`sensecf bench`: the tables of other people's benchmarks, from our runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sensecf.cli.progress import progress_bars
from sensecf.cli.say import say
from sensecf.cli.shared import OutPath, arguments


@click.group()
def bench() -> None:
    """Tables in the form of public benchmarks, from finished comparisons."""


@bench.command()
@click.argument("comparisons", nargs=-1, required=True, type=click.Path())
@click.option("--out", type=OutPath(), required=True, help="Folder to write.")
@click.option("--refits", type=int, default=20, show_default=True, help="Fresh refits behind the future validity.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the refits.")
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
def recourse(comparisons: tuple[str, ...], out: Path, refits: int, seed: int, overwrite: bool) -> None:
    """The columns of RecourseBench, of folders that `sensecf compare` wrote.

    Validity; distances L0, L1, L2 and Linf (numbers as shares of their range, a 0/1 column for each level); how often
    a type, what never changes or a direction is violated; the mean distance to the 5 nearest training rows; the share
    of fresh refits that agree.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sensecf.runs import recourse as columns
    from sensecf.runs.experiment import Call

    with progress_bars() as progress:
        found = columns.bench(
            [Path(one) for one in comparisons], out, refits, seed, Call(overwrite, "", arguments(), progress)
        )
    console = Console(width=None if sys.stdout.isatty() else 160)
    for name, part in found.groupby("comparison", sort=False):
        shown = Table(title=Text(f"{name} ({part['requests'].iloc[0]} requests)"), title_justify="left", box=None)
        shown.add_column("method")
        for head in columns.SHORT:
            shown.add_column(head, justify="right", no_wrap=True)
        for _, line in part.iterrows():
            shown.add_row(Text(str(line["method"])), *columns.cells(line))
        console.print(shown)
    say(f"Table: {out / 'recourse.csv'}")
