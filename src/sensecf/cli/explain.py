"""`sensecf explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf.cli.prompt_options import confirmed, model_options, prompting
from sensecf.cli.shared import (
    CLASSES,
    CLASSIFIERS,
    GENERATORS,
    OutPath,
    arguments,
    engine_of,
    engine_options,
    limit_options,
    open_table,
    progress_bars,
    show,
    show_card,
    split_names,
    stated_limits,
    table_options,
)
from sensecf.core.errors import InputError


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--schema", "schema_path", type=click.Path(path_type=Path), required=True, help="Made by `sensecf schema`."
)
@click.option("--out", type=OutPath(), required=True, help="Folder to write.")
@click.option("--classifier", default="xgboost", show_default=True, help=CLASSIFIERS)
@CLASSES
@click.option("--generator", default="tiny", show_default=True, help=GENERATORS)
@click.option("--target", help="Class to reach (default: the schema's).")
@click.option(
    "--queries", type=click.Path(path_type=Path), help="Table of rows to ask about; then all of TABLE trains."
)
@click.option("--limit", type=int, help="Ask about the first N held-out rows only.")
@click.option("-n", "count", type=int, default=1, show_default=True, help="Answers per person.")
@limit_options
@click.option("--robust", is_flag=True, help="Demand a margin: p >= 0.6 with two classes.")
@click.option("--plausibility", type=float, default=1.0, show_default=True, help="Price of being unlike the data.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
@table_options
@engine_options
@model_options
def explain(
    table: Path,
    schema_path: Path,
    out: Path,
    classifier: str,
    classes: str,
    generator: str,
    model: str | None,
    target: str | None,
    queries: Path | None,
    limit: int | None,
    count: int,
    robust: bool,
    plausibility: float,
    seed: int,
    overwrite: bool,
    yes: bool,
    engine: str,
    ray_address: str | None,
    **asking: Any,
) -> int:
    """Verified counterfactuals for the rows of TABLE, written to a folder with a report.

    Without --queries, 30 % of the rows are held out (by person where the schema names a group) and
    those not in the target class are asked about. An interrupted run goes on when called again.
    """
    from sensecf.core.folder import belongs
    from sensecf.core.schema import FeatureSchema
    from sensecf.data.builtin import find_card
    from sensecf.data.card import strictest
    from sensecf.runs.experiment import Call
    from sensecf.runs.run import RunSpec, run

    where = engine_of(engine, ray_address, asking["allow_hosts"])
    request = RunSpec(
        classifier=classifier,
        classes=split_names(classes),
        generator=generator,
        target=target,
        limit=limit,
        n=count,
        limits=stated_limits(robust),
        plausibility=plausibility,
        seed=seed,
        prompting=prompting(asking, [generator]),
        model=model,
    )
    for path in (table, schema_path, queries):
        if path is not None and belongs(path, out):
            raise InputError(f"{path} is a file that the run writes itself; move it out of {out}")
    found = FeatureSchema.from_toml(schema_path)
    frame = open_table(table, found)
    asked = None if queries is None else open_table(queries, found)
    card = strictest(find_card(path) for path in (table, queries) if path is not None)
    show_card(card)

    with progress_bars() as progress:
        call = Call(overwrite, "", arguments(), progress, confirmed(yes), where)
        answers, summary, facts = run(frame, found, out, request, queries=asked, card=card, call=call)
    return show(answers, summary, facts, out)
