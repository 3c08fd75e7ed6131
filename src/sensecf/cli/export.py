"""`sensecf export`."""

from __future__ import annotations

from pathlib import Path

import click

from sensecf.cli.say import say
from sensecf.cli.shared import OutPath


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["csv", "redcap", "fhir"]), default="csv", show_default=True)
@click.option("--system", default="", metavar="URI", help="For fhir: the namespace of your patient ids.")
@click.option("--decided", is_flag=True, help="Only plans that somebody decided on or kept.")
@click.option("--out", type=OutPath(), required=True, help="Folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace an older export.")
def export(run: Path, form: str, system: str, decided: bool, out: Path, overwrite: bool) -> None:
    """Plans and decisions of RUN for a spreadsheet, for REDCap (with its data dictionary) or as FHIR resources.

    RUN is the folder of `sensecf explain`, or of the decisions of `sensecf serve`. A journal that was changed is
    refused.
    """
    from sensecf.runs.record.export import export as work

    files = work(run, form, out, system=system, decided=decided, overwrite=overwrite)
    say(f"{out}: {', '.join(path.name for path in files)}")
