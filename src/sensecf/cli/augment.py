"""`sensecf augment`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from sensecf.cli.progress import progress_bars
from sensecf.cli.say import say
from sensecf.cli.shared import GENERATORS, SCHEMA, OutPath, open_table, split_names, table_options


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@SCHEMA
@click.option("--out", type=OutPath(), required=True, help="Folder to write.")
@click.option("--generator", default="search", show_default=True, help=GENERATORS)
@click.option(
    "--scenario",
    type=click.Choice(["a", "b", "c"]),
    help="Remove labels first: of the positive class (a), the negative (b) or both (c). Default: none are removed.",
)
@click.option("--removed", type=float, default=0.5, show_default=True, help="Share of the labels removed.")
@click.option("--rows", type=int, help="Rows to add (default: as many as labels were removed, or as there are).")
@click.option("--amount", type=float, help="Multiple of that to add (default: 4; 1 with --rows).")
@click.option(
    "--gate/--no-gate", default=True, show_default=True, help="Add nothing where inner folds find no good in it."
)
@click.option(
    "--judge",
    "judges",
    multiple=True,
    metavar="MODULE:OBJECT",
    help="An unfitted estimator of yours that judges beside the five families, out of fold; may be repeated.",
)
@click.option("--positive", help="Class that F1 is about (default: the one that is not the schema's target).")
@click.option("--classifiers", default="svm,random-forest,xgboost,mlp", show_default=True, help="Which are scored.")
@click.option("--private", is_flag=True, help="Rows of nobody, from noisy marginals; see docs/privacy.md.")
@click.option("--epsilon", type=float, default=8.0, show_default=True, help="Of --private, by person.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
@table_options
def augment(
    table: Path,
    schema_path: Path,
    out: Path,
    overwrite: bool,
    classifiers: str,
    **request: Any,
) -> None:
    """Rows to learn from beside those of TABLE, and what they are worth on held-out rows.

    Writes augmented.csv (features, label, weight, soft label and origin of every row), scores.csv, run.json,
    report.html and report.md.
    """
    from rich.console import Console
    from rich.table import Table

    from sensecf.augmentation.run import AugmentSpec, run, sentences
    from sensecf.core.schema import FeatureSchema
    from sensecf.metrics import from_json, sentence
    from sensecf.runs.report.augment import write

    spec = AugmentSpec(classifiers=split_names(classifiers), **request)
    schema = FeatureSchema.from_toml(schema_path)
    with progress_bars() as progress:
        added, scores, facts = run(open_table(table, schema), schema, out, spec, overwrite=overwrite, progress=progress)
    write(out, scores, facts)
    console = Console(width=None if sys.stdout.isatty() else 120)
    for name, quality in facts["quality"].items():
        say(sentence(from_json(quality), name, facts["positive"]))
    shown = Table(title=f"{facts['test_rows']} held-out rows, mean of the classifiers", title_justify="left")
    measures = ("f1", "f1_tuned", "average_precision", "auc", "brier")
    for column in ("method", *(name.replace("_", " ") for name in measures)):
        shown.add_column(column)
    means = scores.drop(columns="classifier").groupby("method", sort=False).mean()
    for name, row in means.iterrows():
        shown.add_row(str(name), *(f"{row[m]:.3f}" for m in measures))
    console.print(shown)
    for told in sentences(facts):
        say(told)
    say(f"{len(added):,} rows: {out / 'augmented.csv'}")
    say(f"Report: {out / 'report.html'}")
