"""`sensecf sensors …`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sensecf.cli.say import say
from sensecf.cli.shared import ALLOW_HOST, OutPath, engine_options, stated_engine

if TYPE_CHECKING:
    from sensecf.sensors.days.day import ExampleDay


@click.group(name="sensors")
def sensors() -> None:
    """From raw device files to a daily table, and simulated files to try it with."""


@sensors.command(name="build")
@click.argument("root", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    required=True,
    help="What the files are: aireadi, apple, carelink, dexcom, fitbit, garmin, libre, lifesnaps, oura or t1d_uom.",
)
@click.option("--out", type=OutPath(), required=True, help="The table: .csv or .parquet.")
@click.option(
    "--stress-threshold",
    type=float,
    help="A day is 'high' when its mean valid stress score reaches this; Garmin's bands begin at 26 (default), 51 "
    "and 76.",
)
@click.option("--keep-stress-mean", is_flag=True, help="Keep the score that the label is computed from.")
@click.option("--without-heart-rate", is_flag=True, help="Leave out heart rate: the stress score is computed from it.")
@click.option("--timezone", help="IANA zone of files in UTC that name none, e.g. Europe/Berlin.")
@click.option(
    "--dates",
    type=click.Choice(["day-first", "month-first"]),
    help="How dates such as 03/04/2024 are read where nothing in their file settles it.",
)
@click.option("--folders-are-people", is_flag=True, help="Each folder in ROOT is the export of one person.")
@click.option("--jobs", type=click.IntRange(min=1), help="People at a time (default: one per processor).")
@engine_options
@ALLOW_HOST
def build_command(
    root: Path,
    form: str,
    out: Path,
    stress_threshold: float | None,
    without_heart_rate: bool,
    dates: str | None,
    **options: Any,
) -> None:
    """Turn the device files below ROOT into one row per person and day.

    What was read and what was left out is printed, and written beside the table as OUT.report.json;
    OUT.card.json says where the data came from and what may be done with them.
    """
    from sensecf.core.files import replacing, write_json
    from sensecf.sensors.table import STRESS_BANDS, build

    where = stated_engine()
    threshold = STRESS_BANDS["low"] if stress_threshold is None else stress_threshold
    with _bar("people") as progress:
        built = build(
            root,
            form,
            stress_threshold=threshold,
            heart_rate=not without_heart_rate,
            day_first=None if dates is None else dates == "day-first",
            progress=progress,
            engine=where,
            **options,
        )
    with replacing(out) as temporary:
        if out.suffix == ".parquet":
            built.table.to_parquet(temporary, index=False)
        else:
            built.table.to_csv(temporary, index=False)
    write_json(f"{out}.report.json", built.report.to_dict())
    built.card.save_beside(out)
    for line in [*built.report.lines(), *built.card.lines()]:
        say(line)
    say(f"{out}: {len(built.table):,} rows, {built.table.shape[1]} columns")


@sensors.command(name="simulate")
@click.option("--people", type=int, required=True, help="How many people.")
@click.option("--out", type=OutPath(), required=True, help="A new folder for the tree.")
@click.option("--days", type=int, default=10, show_default=True, help="Days per person.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--version", type=click.IntRange(1, 3), default=3, show_default=True, help="Layout of which release.")
@click.option("--nested", is_flag=True, help="Nest each datatype folder twice, as some copies do.")
@click.option(
    "--movement",
    type=click.Choice(["byte", "steps"]),
    default="byte",
    show_default=True,
    help="What the field called steps holds: the watch's activity byte, or steps.",
)
@click.option("--no-faults", is_flag=True, help="No gaps, absent files or damaged files.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes (default: one per processor).")
def simulate_command(
    people: int,
    out: Path,
    days: int,
    no_faults: bool,
    **options: Any,
) -> None:
    """Write an AI-READI-shaped tree of simulated people, with the causal graph they follow."""
    from sensecf.sensors.simulator import simulate

    with _bar("people") as progress:
        simulate(
            out,
            people,
            days,
            faults=not no_faults,
            progress=progress,
            **options,
        )
    say(f"{out}: {people} people × {days} days")


@sensors.command(name="day")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--query", required=True, help="Whose plan, as in counterfactuals.csv.")
@click.option("--rank", type=int, default=1, show_default=True, help="Which of the person's plans.")
@click.option("--wake", type=float, default=6.5, show_default=True, help="Hour of the day at which the night ends.")
@click.option("--out", type=OutPath(), help="Folder for timeline.csv and glucose.csv.")
def day_command(run: Path, query: str, rank: int, wake: float, out: Path | None) -> None:
    """An example day that realises a plan of the run folder RUN: sleep, movement and glucose.

    One of many days with that daily summary, drawn to be read; it is no prescription.
    """
    from sensecf.sensors.days.day import example_day, plan_of

    day = example_day(plan_of(run, query, rank), wake_hour=wake)
    _show_day(day)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        day.timeline.to_csv(out / "timeline.csv", index=False)
        if day.glucose is not None:
            day.glucose.to_csv(out / "glucose.csv", index=False)


def _show_day(day: ExampleDay) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="An example day", title_justify="left")
    for name in ("from", "to", "minutes", "what", "steps"):
        table.add_column(name)
    for row in day.timeline.to_dict("records"):
        steps = "" if row["steps"] is None or row["steps"] != row["steps"] else f"{row['steps']:,.0f}"
        table.add_row(row["start"][11:], row["end"][11:], f"{row['minutes']:g}", row["what"], steps)
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    if day.glucose is not None:
        hours = day.glucose.iloc[::120]
        levels = ", ".join(f"{t[11:]} {v:.0f}" for t, v in zip(hours["time"], hours["glucose_mgdl"], strict=True))
        say(f"glucose, mg/dL: {levels}")
    for name, value in day.realised.items():
        say(f"{name}: {value:g}")
    for name, reason in day.left.items():
        say(f"{name}: not shown: {reason}")


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, shown only on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
