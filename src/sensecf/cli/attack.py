"""`sensecf attack`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf.cli.shared import TRUST, OutPath, arguments, progress_bars


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=OutPath(), help="Folder to write (default: RUN/attack).")
@click.option("--table", type=click.Path(path_type=Path), help="The run's table, where it lies elsewhere now.")
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file made from the run (an export, a FHIR file) to look for names of people in; repeatable.",
)
@click.option("--classifier", help="module:object, where the run's classifier could not be saved.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace an older result in the folder.")
@TRUST
def attack(run: Path, out: Path | None, overwrite: bool, **asking: Any) -> None:
    """Who was learned from? Attack what a RUN of `explain` or `augment` made.

    Plans, made-up rows and the models in the folder are attacked by the best known attacks, by person; a planted leak
    proves that they can see one, and where they cannot the report says that they are blind. `label.json` calls a
    surface shareable only where no attack stands in the way.
    """
    from sensecf.runs.attack import AttackSpec
    from sensecf.runs.attack import attack as go
    from sensecf.runs.attack.report import verdict
    from sensecf.runs.experiment import Call

    place = run / "attack" if out is None else out
    request = AttackSpec(asking["seed"], tuple(str(path) for path in asking["files"]))
    with progress_bars() as progress:
        made = go(
            run,
            place,
            request,
            table=asking["table"],
            classifier=asking["classifier"],
            trust=asking["trust"],
            call=Call(overwrite, "", arguments() | {"files": list(request.files)}, progress),
        )
    for line in verdict(made):
        click.echo(line)
    click.echo(f"Report: {place / 'report.html'}")
