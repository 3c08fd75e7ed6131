"""`sensecf compare`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sensecf.cli.progress import progress_bars
from sensecf.cli.prompt_options import confirmed, model_options, prompting
from sensecf.cli.say import say
from sensecf.cli.shared import (
    CAUTION,
    OutPath,
    Source,
    arguments,
    gathered,
    limit_options,
    show_card,
    source_options,
    split_names,
    stated_limits,
    table_options,
)

if TYPE_CHECKING:
    from rich.table import Table

    from sensecf.runs.compare import Comparison


@click.command()
@source_options("Ask about N rows per target, drawn at random.")
@click.option(
    "--generators",
    "names",
    required=True,
    help="Who is compared: a,b,c. NAME+raw, NAME+filter or NAME+polish says how a generator is shown; NAME@hold asks "
    "its answers to hold, NAME@likeness to be like real rows.",
)
@click.option("--out", type=OutPath(), required=True, help="Folder to write.")
@gathered(
    "bounds",
    click.option("--each-class", is_flag=True, help="Ask towards every class, not one."),
    click.option("-n", type=int, default=1, show_default=True, help="Answers per row."),
    click.option(
        "--refits",
        type=int,
        default=5,
        show_default=True,
        help="Fresh refits of the classifier, for each kind of change, that answers are held against; 0 for none.",
    ),
    click.option("--price", is_flag=True, help="Also what each costs at equal survival: runs the search 9 times."),
    click.option("--seconds-per-query", type=float, default=10.0, show_default=True, help="Limit for one request."),
    click.option("--time-limit", type=float, default=600.0, show_default=True, help="Limit for a method, in seconds."),
)
@limit_options
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
@table_options
@model_options
def compare(
    source: Source,
    names: str,
    out: Path,
    bounds: Mapping[str, Any],
    overwrite: bool,
    model: str | None,
    **asking: Any,
) -> None:
    """Generators side by side on the same rows of TABLE: one table with intervals, figures, a report.

    Our own generators are shown as `explain` answers with them, others as they propose, and with a rule
    filter in front. Each runs in a process of its own; one that hangs, crashes or is late stays in the
    table with its reason. An interrupted comparison goes on when called again.
    """
    from sensecf.core.limits import Limits
    from sensecf.runs.compare import CompareSpec
    from sensecf.runs.compare import compare as run
    from sensecf.runs.experiment import Call

    request = CompareSpec(
        generators=split_names(names),
        classifier=source.classifier,
        classes=split_names(source.classes),
        target=source.target,
        limit=source.limit,
        limits=stated_limits(Limits(hold=0.0)),  # what the literature compares
        seed=source.seed,
        prompting=prompting(asking, [name.partition("@")[0].partition("+")[0] for name in split_names(names)]),
        model=model,
        **bounds,
    )
    opened = source.open(out)
    show_card(opened.card)
    with progress_bars() as progress:
        call = Call(overwrite, "", arguments(), progress, confirmed())
        made = run(opened.frame, opened.schema, out, request, queries=opened.queries, card=opened.card, call=call)
    _show(made, out)


def _show(made: Comparison, out: Path) -> None:
    """The table of results on the terminal."""
    from rich.console import Console

    from sensecf.runs.compare import tables
    from sensecf.runs.compare.scores import ALL

    console = Console(width=None if sys.stdout.isatty() else 160)
    for text in (*tables.quality(made), *tables.own(made)):
        say(text)
    parts = [tables.table("", tables.RESULTS, made.scores.summary)]
    if made.facts["refits"]:
        everyone = made.scores.summary[made.scores.summary["direction"] == ALL]
        parts.append(tables.table("", tables.HOLDING, everyone))
    for group in (group | {"heads": found["heads"]} for found in parts for group in found["groups"]):
        for shown in _upright(group) if console.width >= WIDE else _on_its_side(group, console.width):
            console.print(shown)
    schema = made.task.schema
    if schema.meanings:
        say(f"{schema.meaning(schema.label)}: {schema.said_classes}")
    console.print("Mean of how many, and its 95 % interval. Costs, tests and plans are in the report.", highlight=False)
    say(f"Report: {out / 'report.html'}")
    console.print(CAUTION, style="italic", highlight=False)


#: Columns of a terminal from which a table has a row for each method; below it has one for each measure.
WIDE = 120


def _upright(group: Mapping[str, Any]) -> list[Table]:
    """A row for each method, a column for each measure."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=Text(group["title"]), title_justify="left")
    shown.add_column("method", no_wrap=True)
    for head in group["heads"]:
        shown.add_column(Text(head["title"]), justify="right")
    for row in group["rows"]:
        cells = [f"{c['value']} {c['foot']}\n{c['interval'] or '–'}" if c["foot"] else "–" for c in row["cells"]]
        shown.add_row(Text(row["name"]), *cells)
    return [shown]


def _on_its_side(group: Mapping[str, Any], width: int) -> list[Table]:
    """A row for each measure, a column for each method: as many tables as it takes to fit into `width`."""
    from rich.table import Table
    from rich.text import Text

    longest = max(len(head["title"]) for head in group["heads"])
    each = max(17, *(len(row["name"]) for row in group["rows"])) + 3
    fit = max(1, (width - longest - 3) // each)
    found = []
    for first in range(0, len(group["rows"]), fit):
        rows = group["rows"][first : first + fit]
        shown = Table(title=Text(group["title"]), title_justify="left")
        shown.add_column("measure")
        for row in rows:
            shown.add_column(Text(row["name"]), justify="right")
        for number, head in enumerate(group["heads"]):
            cells = [row["cells"][number] for row in rows]
            texts = [f"{c['value']}\n{c['interval'] or '–'}" if c["foot"] else "–" for c in cells]
            shown.add_row(Text(head["title"]), *texts)
        found.append(shown)
    return found
