"""`sensecf programme`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sensecf.cli.progress import progress_bars
from sensecf.cli.say import say
from sensecf.cli.shared import CAUTION, TRUST, OutPath, arguments
from sensecf.core.errors import InputError
from sensecf.core.people import some

if TYPE_CHECKING:
    from sensecf.runs.programme.run import Programmes


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=OutPath(), required=True, help="Folder to write.")
@click.option("--programmes", "most", type=int, default=3, show_default=True, help="Programmes at most.")
@click.option("--budget", type=float, help="What may be spent over all people, in the unit of --cost.")
@click.option("--cost", "costs", multiple=True, metavar="FEATURE=N", help="Cost per person of moving it (default: 1).")
@click.option("--classifier", help="module:object, where the classifier of RUN is code of yours.")
@TRUST
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
def programme(
    run: Path, out: Path, most: int, costs: tuple[str, ...], overwrite: bool, budget: float | None, **given: Any
) -> None:
    """One to three programmes for the people of RUN, a finished `sensecf explain`: the same for everybody who gets it.

    A programme is changes of the same size, or values to be reached. Programmes are picked on half of the people and
    counted on the others, by refits that took no part in picking. The folder says what each asks, whom it reaches, who
    is left out and why, what it costs and what one more would buy.
    """
    from sensecf.runs.experiment import Call
    from sensecf.runs.programme import ProgrammeSpec
    from sensecf.runs.programme import programme as work

    request = ProgrammeSpec(most=most, budget=budget, prices=dict(map(_cost, costs)))
    with progress_bars() as progress:
        call = Call(overwrite, arguments=arguments(), progress=progress)
        made = work(run, out, request, call=call, **given)
    _show(made, out)


def _cost(text: str) -> tuple[str, float]:
    """The feature and the number of "feature=number"; a feature's name may hold = itself."""
    name, mark, number = text.rpartition("=")
    try:
        if mark and name.strip():
            return name.strip(), float(number)
    except ValueError:
        pass
    raise InputError(f"--cost {text!r} cannot be read; write --cost steps=2")


def _show(made: Programmes, out: Path) -> None:
    """The programmes on the terminal."""
    from sensecf.runs.report.names import Labels, in_labels

    facts, names = made.facts, made.run.task.once(Labels).of
    say(facts["quality"])
    say(facts["headline"])
    for number in dict.fromkeys(row["programme"] for row in facts["programmes"]):
        mine = [row for row in facts["programmes"] if row["programme"] == number]
        say(f"  {number}. {'; '.join(in_labels(row['asks'], names) for row in mine)}")
        whose = "" if facts["asked_are"] != "people" else f"{some(mine[0]['people'], 'people')}, "
        say(f"     {whose}turns {mine[0]['reached']} of {some(mine[0]['days'], facts['rows_are'])}")
    for one in facts["sets"][1:]:
        count, why = one["programmes"], one["why_fewer"]
        told = f"{count} instead of {count - 1}: {one['one_more_buys']:+.0%} of the {facts['rows_are']}"
        say(f"{told} ({why})." if why else f"{told}.")
    if facts["budget_spent"] is not None:
        spent = facts["budget_spent"]
        whom = some(spent["people"], facts["asked_are"])
        say(f"For {spent['cost']:g}: {whom}, {spent['days']:g} {facts['rows_are']} expected to turn.")
    say(facts["how"])
    say(facts["expected"])
    say(CAUTION)
    say(f"Page: {out / 'programme.html'}")
