"""`sensecf fairness`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf.cli.shared import TRUST, OutPath, arguments, progress_bars, split_names


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=OutPath(), help="Folder to write (default: RUN/fairness).")
@click.option("--table", type=click.Path(path_type=Path), help="The run's table, where it lies elsewhere now.")
@click.option(
    "--protected", default="", metavar="A,B", help="Columns to compare people by (default: what the schema protects)."
)
@click.option("--mend/--no-mend", default=True, show_default=True, help="Try remedies for a claimed gap in effort.")
@click.option("--classifier", help="module:object, where the run's classifier could not be saved.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace an older result in the folder.")
@TRUST
def fairness(run: Path, out: Path | None, overwrite: bool, **asking: Any) -> None:
    """Who gets a plan and who pays more, by protected features and pairs of them, of a RUN of `explain`.

    First the classifier's own gaps on held-out people, then who is left without a plan, whether plans hold, what they
    cost and what they ask, with intervals over whole people and corrected tests; groups of fewer than ten people are
    hidden. Where a gap in effort is claimed, remedies are tried and measured; none is applied.
    """
    from sensecf.runs.experiment import Call
    from sensecf.runs.fairness import FairnessSpec
    from sensecf.runs.fairness import fairness as compare
    from sensecf.runs.fairness.report import verdict

    request = FairnessSpec(split_names(asking["protected"]), asking["mend"], asking["seed"])
    place = run / "fairness" if out is None else out
    with progress_bars() as progress:
        made = compare(
            run,
            place,
            request,
            table=asking["table"],
            classifier=asking["classifier"],
            trust=asking["trust"],
            call=Call(overwrite, "", arguments(), progress),
        )
    click.echo(f"By {', '.join(made.facts['protected'])}, {made.facts['protected_why']}.")
    for line in verdict(made):
        click.echo(line)
    click.echo(f"Report: {place / 'report.html'}")
