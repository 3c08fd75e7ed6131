"""`sensecf fairness`."""

from __future__ import annotations

import click

from sensecf.cli.say import say
from sensecf.cli.shared import RunSource, run_options, split_names


@click.command()
@run_options(
    click.option(
        "--protected",
        default="",
        metavar="A,B",
        help="Columns to compare people by (default: what the schema protects).",
    ),
    click.option("--mend/--no-mend", default=True, show_default=True, help="Try remedies for a claimed gap in effort."),
)
def fairness(source: RunSource, protected: str, mend: bool) -> None:
    """Who gets a plan and who pays more, by protected features and pairs of them, of a RUN of `explain`.

    First the classifier's own gaps on held-out people, then who is left without a plan, whether plans hold, what they
    cost and what they ask, with intervals over whole people and corrected tests; groups of fewer than ten people are
    hidden. Where a gap in effort is claimed, remedies are tried and measured; none is applied.
    """
    from sensecf.runs.fairness import FairnessSpec
    from sensecf.runs.fairness import fairness as compare
    from sensecf.runs.fairness.report import verdict

    place = source.place("fairness")
    made = source.work(compare, place, FairnessSpec(split_names(protected), mend, source.seed))
    say(f"By {', '.join(made.facts['protected'])}, {made.facts['protected_why']}.")
    for line in verdict(made):
        say(line)
    say(f"Report: {place / 'report.html'}")
