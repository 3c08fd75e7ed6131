"""`sensecf sheet`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf.cli.progress import waiting
from sensecf.cli.say import say
from sensecf.cli.shared import TRUST, OutPath


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--person", required=True, help="Whose plan: their id in the table (the row's number where it has none).")
@click.option("--plan", help="Which plan, where the person has several (default: the one that stands furthest).")
@click.option("--language", default="en", show_default=True, help="en, es, de, or a TOML file of yours.")
@click.option("--call", default="", help="Whom to call with questions (default: a line to fill in).")
@click.option("--out", type=OutPath(), help="File to write (default: sheet-PERSON-LANGUAGE.html in RUN).")
@click.option("--overwrite", is_flag=True, help="Replace an older sheet.")
@TRUST
def sheet(
    run: Path, person: str, plan: str | None, out: Path | None, overwrite: bool, trust: bool, **said: Any
) -> None:
    """One printed page in plain words for a person of RUN: week by week, boxes to tick, a line to sign.

    RUN is the folder of `sensecf explain`, with the decisions of `sensecf serve` if there are any.
    """
    from datetime import date

    from sensecf.core.errors import InputError
    from sensecf.core.files import write_text
    from sensecf.runs.record import sheet as sheets
    from sensecf.runs.record.by_person import plan_of
    from sensecf.runs.record.journal import FILE, Journal
    from sensecf.runs.record.languages import read_language
    from sensecf.runs.run import load_task

    language = read_language(said["language"])
    chosen = plan_of(run, person, plan)
    target = out or run / sheets.file_name(person, language.file["code"])
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists; name another file with --out, or add --overwrite")
    seal = Journal(run).seal if (run / FILE).exists() else ""
    with waiting("Opening the run"):
        paces = sheets.paces(load_task(run, trust=trust))
    facts = sheets.Sheet(date.today(), seal, said["call"], paces)
    write_text(target, sheets.render(chosen, language, facts))
    say(f"{target}: one page to print for {person}, plan {chosen.id}")
