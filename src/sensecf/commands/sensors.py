"""`sensecf sensors …`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click


@click.group(name="sensors")
def sensors() -> None:
    """From raw device files to a daily table, and simulated files to try it with."""


@sensors.command(name="build")
@click.argument("root", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", required=True,
    help="What the files are: aireadi, apple, dexcom, fitbit, garmin, libre, lifesnaps or oura.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The table: .csv or .parquet.")
@click.option(
    "--stress-threshold", type=float,
    help="A day is 'high' when its mean valid stress score reaches this; Garmin's bands begin at 26 (default), 51 "
    "and 76.",
)  # fmt: skip
@click.option("--keep-stress-mean", is_flag=True, help="Keep the score that the label is computed from.")
@click.option("--without-heart-rate", is_flag=True, help="Leave out heart rate: the stress score is computed from it.")
@click.option("--timezone", help="IANA zone of files in UTC that name none, e.g. Europe/Berlin.")
@click.option("--folders-are-people", is_flag=True, help="Each folder in ROOT is the export of one person.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes (default: one per processor).")
def build_command(
    root: Path,
    form: str,
    out: Path,
    stress_threshold: float | None,
    keep_stress_mean: bool,
    without_heart_rate: bool,
    timezone: str | None,
    folders_are_people: bool,
    jobs: int | None,
) -> None:
    """Turn the device files below ROOT into one row per person and day.

    What was read and what was left out is printed, and written beside the table as OUT.report.json;
    OUT.card.json says where the data came from and what may be done with them.
    """
    from sensecf.files import replacing, write_json
    from sensecf.sensors.table import STRESS_BANDS, build

    threshold = STRESS_BANDS["low"] if stress_threshold is None else stress_threshold
    with _bar("people") as progress:
        built = build(
            root, form, stress_threshold=threshold, keep_stress_mean=keep_stress_mean,
            heart_rate=not without_heart_rate, timezone=timezone, folders_are_people=folders_are_people,
            jobs=jobs, progress=progress,
        )  # fmt: skip
    with replacing(out) as temporary:
        if out.suffix == ".parquet":
            built.table.to_parquet(temporary, index=False)
        else:
            built.table.to_csv(temporary, index=False)
    write_json(f"{out}.report.json", built.report.to_dict())
    write_json(f"{out}.card.json", asdict(built.card))
    for line in built.report.lines():
        click.echo(line)
    sharing = "may be shared" if built.card.shareable else "keep it on this machine"
    click.echo(f"licence: {built.card.licence} ({sharing})")
    click.echo(f"{out}: {len(built.table):,} rows, {built.table.shape[1]} columns")


@sensors.command(name="simulate")
@click.option("--people", type=int, required=True, help="How many people.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder for the tree.")
@click.option("--days", type=int, default=10, show_default=True, help="Days per person.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--version", type=click.IntRange(1, 3), default=3, show_default=True, help="Layout of which release.")
@click.option("--nested", is_flag=True, help="Nest each datatype folder twice, as some copies do.")
@click.option(
    "--movement", type=click.Choice(["byte", "steps"]), default="byte", show_default=True,
    help="What the field called steps holds: the watch's activity byte, or steps.",
)  # fmt: skip
@click.option("--no-faults", is_flag=True, help="No gaps, absent files or damaged files.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes (default: one per processor).")
def simulate_command(
    people: int,
    out: Path,
    days: int,
    seed: int,
    version: int,
    nested: bool,
    movement: str,
    no_faults: bool,
    jobs: int | None,
) -> None:
    """Write an AI-READI-shaped tree of simulated people, with the causal graph they follow."""
    from sensecf.sensors.simulator import simulate

    with _bar("people") as progress:
        simulate(
            out, people, days, seed, version=version, nested=nested, movement=movement, faults=not no_faults,
            jobs=jobs, progress=progress,
        )  # fmt: skip
    click.echo(f"{out}: {people} people × {days} days")


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, shown only on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
