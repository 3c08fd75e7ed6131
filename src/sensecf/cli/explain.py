"""`sensecf explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf.cli.progress import progress_bars
from sensecf.cli.prompt_options import confirmed, model_options, prompting
from sensecf.cli.shared import (
    GENERATORS,
    OutPath,
    Source,
    arguments,
    engine_options,
    limit_options,
    per_options,
    show_card,
    source_options,
    split_names,
    stated_days,
    stated_engine,
    stated_limits,
    table_options,
)
from sensecf.cli.summary import show


@click.command()
@source_options("Ask about the first N held-out rows only.")
@click.option("--out", type=OutPath(), required=True, help="Folder to write.")
@click.option("--generator", default="auto", show_default=True, help=GENERATORS)
@click.option(
    "-n",
    "count",
    type=int,
    default=1,
    show_default=True,
    help="Answers per row, or with --per person plans per person.",
)
@per_options
@limit_options
@click.option("--plausibility", type=float, default=1.0, show_default=True, help="Price of being unlike the data.")
@click.option(
    "--private", is_flag=True, help="New values only from cells that at least five people share; see docs/privacy.md."
)
@click.option("--epsilon", type=float, default=3.0, show_default=True, help="Of --private --generator tiny, by person.")
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
@table_options
@engine_options
@model_options
def explain(
    source: Source,
    out: Path,
    generator: str,
    model: str | None,
    count: int,
    plausibility: float,
    overwrite: bool,
    **asking: Any,
) -> int:
    """Verified counterfactuals for the rows of TABLE, written to a folder with a report.

    Without --queries, 30 % of the rows are held out (by person where the schema names a group) and
    those not in the target class are asked about. An interrupted run goes on when called again.
    """
    from sensecf.runs.experiment import Call
    from sensecf.runs.run import RunSpec, run

    where = stated_engine(asking["allow_hosts"])
    private, epsilon = asking.pop("private"), asking.pop("epsilon")
    of_person, days = asking.pop("per") == "person", stated_days(asking.pop("days") or "0.5")
    request = RunSpec(
        classifier=source.classifier,
        classes=split_names(source.classes),
        generator=generator,
        target=source.target,
        limit=source.limit,
        n=count,
        limits=stated_limits(),
        plausibility=plausibility,
        seed=source.seed,
        prompting=prompting(asking, [generator]),
        model=model,
        private=private,
        epsilon=epsilon,
        per="person" if of_person else "row",
        days=days,
    )
    opened = source.open(out)
    show_card(opened.card)

    with progress_bars() as progress:
        call = Call(overwrite, "", arguments(), progress, confirmed(), where)
        answers, summary, facts = run(
            opened.frame, opened.schema, out, request, queries=opened.queries, card=opened.card, call=call
        )
    return show(answers, summary, facts, out)
