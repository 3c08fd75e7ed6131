"""`sensecf answer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf.cli.progress import progress_bars
from sensecf.cli.say import say
from sensecf.cli.shared import (
    ALLOW_HOST,
    CAUTION,
    TRUST,
    OutPath,
    engine_options,
    limit_options,
    per_options,
    show_card,
    stated_days,
    stated_engine,
    stated_limits,
    stated_marks,
    table_options,
)
from sensecf.core.errors import InputError
from sensecf.core.people import Counted, some


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", type=OutPath(), required=True, help="Folder to write.")
@click.option("--target", help="Class to reach (default: that of RUN, as for all that follow).")
@click.option("-n", type=int, help="Answers per row, or per person where RUN was asked so.")
@per_options
@limit_options
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), help="Default: as TABLE.")
@click.option("--classifier", help="module:object, where the classifier of RUN is code of yours.")
@TRUST
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
@table_options
@engine_options
@ALLOW_HOST
def answer(
    run: Path,
    table: Path,
    out: Path,
    form: str | None,
    classifier: str | None,
    trust: bool,
    overwrite: bool,
    **given: Any,
) -> None:
    """Answers for the rows of TABLE from RUN, the folder of a finished `sensecf explain`.

    Nothing is fitted anew: the classifier and the generator of RUN answer, with its options where none are
    given. TABLE may have any number of rows; Parquet is read and written part by part. An interrupted call
    goes on when called again.
    """
    from dataclasses import replace

    from sensecf.core.folder import belongs
    from sensecf.data.builtin import find_card
    from sensecf.data.card import strictest
    from sensecf.runs.apply import Layout
    from sensecf.runs.apply import answer as work
    from sensecf.runs.experiment import Call
    from sensecf.runs.finished import facts_of, open_run, quality_of

    where = stated_engine()
    if belongs(table, out):
        raise InputError(f"{table} is a file that the run writes itself; move it out of {out}")
    if out.resolve() == run.resolve():
        raise InputError(f"{out} is the run that answers; name another folder with --out")
    card = strictest([find_card(table), find_card(run / "run.json")])
    show_card(card)
    with progress_bars() as progress:
        finished = open_run(run, classifier, progress, trust)
        given = {name: value for name, value in given.items() if value is not None}
        given |= {"days": stated_days(given["days"])} if "days" in given else {}
        request = replace(finished.request, limits=stated_limits(finished.request.limits), **given)
        form = form or ("parquet" if table.suffix.lower() in (".parquet", ".pq") else "csv")
        call = Call(overwrite, progress=progress, engine=where)
        layout = Layout(form, marks=stated_marks())
        facts = work(finished, table, out, request, layout=layout, card=card, call=call)
    say(quality_of(run, facts_of(run)))
    asked = Counted(facts["rows"], facts["people"], facts["rows_are"])
    open_rows = facts["rows"] - facts["rows_in_target"]
    say(f"Asked about {asked}.")
    say(
        f"{facts['rows_answered'] - facts['rows_in_target']:,} of {some(open_rows, asked.many)} answered, "
        f"{facts['rows_in_target']:,} more are in {finished.task.schema.meaning(facts['target'])!r} already, "
        "as surely as plans are asked to be; "
        f"{facts['abstentions']:,} without an answer, each with its reason: {out / f'counterfactuals.{form}'}"
    )
    say(CAUTION)
