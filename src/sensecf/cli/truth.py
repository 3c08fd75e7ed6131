"""`sensecf truth`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sensecf.cli.prompt_options import confirmed, model_options, prompting
from sensecf.cli.shared import CLASSIFIERS, OutPath, arguments, progress_bars, split_names

if TYPE_CHECKING:
    from sensecf.runs.truth.run import Truth


@click.command()
@click.option(
    "--world",
    type=click.Choice(["easy", "confounded", "drifting", "random"]),
    default="easy",
    show_default=True,
    help="Whose laws hold; random: many worlds drawn at random.",
)
@click.option("--generators", "names", required=True, help="Who is asked: a,b,c, as in `sensecf compare`.")
@click.option("--out", type=OutPath(), required=True, help="Folder to write.")
@click.option("--settings", default="", help="What is asked: boundary, levers, levers+lead (default: all).")
@click.option("--classifier", default="xgboost", show_default=True, help=CLASSIFIERS)
@click.option("--people", type=int, default=140, show_default=True, help="People that the classifier learns from.")
@click.option("--held-out", type=int, default=60, show_default=True, help="Others, who are asked about.")
@click.option("--days", type=int, default=10, show_default=True, help="Days of each.")
@click.option("--limit", type=int, help="Ask about N rows, drawn at random.")
@click.option("--worlds", type=int, default=20, show_default=True, help="How many, with --world random.")
@click.option("--adherence", type=float, default=1.0, show_default=True, help="Share of a change that is carried out.")
@click.option("--slip", type=float, default=0.0, show_default=True, help="Standard deviation of that share, by day.")
@click.option("--seconds-per-query", type=float, default=10.0, show_default=True, help="Limit for one request.")
@click.option("--time-limit", type=float, default=600.0, show_default=True, help="Limit for each method and setting.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
@model_options
def truth(
    world: str,
    names: str,
    out: Path,
    settings: str,
    classifier: str,
    people: int,
    held_out: int,
    days: int,
    limit: int | None,
    worlds: int,
    adherence: float,
    slip: float,
    seconds_per_query: float,
    time_limit: float,
    seed: int,
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
        world=world,
        settings=split_names(settings),
        classifier=classifier,
        people=people,
        held_out=held_out,
        days=days,
        limit=limit,
        adherence=adherence,
        slip=slip,
        seconds_per_query=seconds_per_query,
        time_limit=time_limit,
        seed=seed,
        prompting=prompting(asking, [name.partition("+")[0] for name in split_names(names)]),
        model=model,
    )
    with progress_bars() as progress:
        call = Call(overwrite, "", arguments(), progress, confirmed())
        made = many(request, worlds, out, call=call) if world == "random" else run(request, out, call=call)
    _show(made, out)


def _show(made: Truth, out: Path) -> None:
    """The table on the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sensecf.runs.truth.carry import MEASURES
    from sensecf.runs.truth.report import SHOWN, cell

    console = Console(width=None if sys.stdout.isatty() else 180)
    shown = Table()
    for head in ("setting", "method"):
        shown.add_column(head, no_wrap=True)
    for name in SHOWN:
        shown.add_column(Text(MEASURES[name][0]), justify="right")
    for (setting, method), part in made.table.groupby(["setting", "method"], sort=False):
        rows = part.set_index("metric")
        shown.add_row(
            str(setting),
            Text(str(method)),
            *(cell(rows.loc[name], MEASURES[name][3]).replace(" (", "\n(") for name in SHOWN),
        )
    console.print(shown)
    console.print("People of this world are simulated: this says nothing about anybody's health.", highlight=False)
    console.print(Text(f"Table: {out / 'table.md'}"), soft_wrap=True)
