"""`sensecf truth`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sensecf.cli.progress import progress_bars
from sensecf.cli.prompt_options import confirmed, model_options, prompting
from sensecf.cli.say import say
from sensecf.cli.shared import CLASSIFIERS, OutPath, arguments, gathered, split_names

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from sensecf.runs.truth.run import Truth

#: Columns of a terminal that has room for the table with intervals.
WIDE = 150
#: The measures in a word each, for narrower ones.
SHORT = {
    "answered": "answers",
    "improvement": "better",
    "success": "well",
    "harm": "worse",
    "gaming": "fooled",
    "undoable_edits": "undoable",
    "better_days": "days",
    "effort_to_oracle": "effort",
}


@click.command()
@click.option("--generators", "names", required=True, help="Who is asked: a,b,c, as in `sensecf compare`.")
@click.option("--out", type=OutPath(), required=True, help="Folder to write.")
@click.option("--settings", default="", help="What is asked, see the page: boundary,levers,… (default: all).")
@click.option("--worlds", type=int, default=20, show_default=True, help="How many, with --world random.")
@gathered(
    "world_options",
    click.option(
        "--world",
        type=click.Choice(["easy", "confounded", "drifting", "random"]),
        default="easy",
        show_default=True,
        help="Whose laws hold; random: many worlds drawn at random.",
    ),
    click.option("--classifier", default="xgboost", show_default=True, help=CLASSIFIERS),
    click.option("--people", type=int, default=140, show_default=True, help="People that the classifier learns from."),
    click.option("--held-out", type=int, default=60, show_default=True, help="Others, who are asked about."),
    click.option("--days", type=int, default=10, show_default=True, help="Days of each."),
    click.option("--limit", type=int, help="Ask about N rows, drawn at random."),
    click.option("--adherence", type=float, default=1.0, show_default=True, help="Share of a change that is done."),
    click.option("--slip", type=float, default=0.0, show_default=True, help="SD of that share, by day."),
    click.option("--seconds-per-query", type=float, default=10.0, show_default=True, help="Limit for one request."),
    click.option("--time-limit", type=float, default=600.0, show_default=True, help="Limit for a method and setting."),
    click.option("--seed", type=int, default=0, show_default=True),
)
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
@model_options
def truth(
    world_options: Mapping[str, Any],
    names: str,
    out: Path,
    settings: str,
    worlds: int,
    overwrite: bool,
    model: str | None,
    **asking: Any,
) -> None:
    """Carry out the plans of generators in a world whose laws are known: does following them do anything?

    The people are simulated. A classifier learns from some of them, plans are made for others, and what the plans say
    that a person does is done, with the same chance as before. The table says for how many the true probability
    improved, whether they are truly well, whom it harmed, and what it cost beside the best plan there is. An
    interrupted run goes on when called again.
    """
    from sensecf.runs.experiment import Call
    from sensecf.runs.truth import TruthSpec, many
    from sensecf.runs.truth import truth as run

    request = TruthSpec(
        generators=split_names(names),
        settings=split_names(settings),
        prompting=prompting(asking, [name.partition("+")[0] for name in split_names(names)]),
        model=model,
        **world_options,
    )
    with progress_bars() as progress:
        call = Call(overwrite, "", arguments(), progress, confirmed())
        made = many(request, worlds, out, call=call) if request.world == "random" else run(request, out, call=call)
    _show(made, out)


def _show(made: Truth, out: Path) -> None:
    """The table on the terminal."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 180)
    for shown in _tables(made, console.width):
        console.print(shown)
    if console.width < WIDE:
        say("Means, in per cent but for days and effort (the oracle's is 1); intervals are in the table.")
    say("People of this world are simulated: this says nothing about anybody's health.")
    say(f"Table: {out / 'table.md'}")


def _tables(made: Truth, width: int) -> list[Table]:
    """One table with intervals; where there is no room for it, one of means alone for each setting."""
    from rich.table import Table
    from rich.text import Text

    from sensecf.runs.truth.carry import MEASURES
    from sensecf.runs.truth.report import SHOWN, cells

    if width < WIDE:
        return [_narrow(part, str(setting)) for setting, part in made.table.groupby("setting", sort=False)]
    shown = Table()
    for head in ("setting", "method"):
        shown.add_column(head, no_wrap=True)
    for name in SHOWN:
        shown.add_column(Text(MEASURES[name][0]), justify="right")
    for (setting, method), part in made.table.groupby(["setting", "method"], sort=False):
        values = (text.replace(" (", "\n(") for text in cells(part, SHOWN))
        shown.add_row(str(setting), Text(str(method)), *values)
    return [shown]


def _narrow(part: pd.DataFrame, setting: str) -> Table:
    """The means of one setting, within 80 columns."""
    from rich.table import Table
    from rich.text import Text

    from sensecf.runs.truth.report import SHOWN, cells

    shown = Table(title=Text(setting), title_justify="left", box=None, padding=(0, 1, 0, 0))
    shown.add_column("method", width=21, overflow="fold")
    for name in SHOWN:
        shown.add_column(SHORT[name], justify="right", no_wrap=True)
    for method, lines in part.groupby("method", sort=False):
        values = (text.partition(" (")[0].removesuffix(" %") for text in cells(lines, SHOWN))
        shown.add_row(Text(str(method)), *values)
    return shown
