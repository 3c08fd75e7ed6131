"""`sensecf attack`."""

from __future__ import annotations

from pathlib import Path

import click

from sensecf.cli.say import say
from sensecf.cli.shared import RunSource, run_options


@click.command()
@run_options(
    click.option(
        "--file",
        "files",
        multiple=True,
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="A file made from the run (an export, a FHIR file) to look for names of people in; repeatable.",
    )
)
def attack(source: RunSource, files: tuple[Path, ...]) -> None:
    """Who was learned from? Attack what a RUN of `explain` or `augment` made, or a model of `finetune`.

    Plans, made-up rows and the models in the folder are attacked by the best known attacks, by person; a planted leak
    proves that they can see one, and where they cannot the report says that they are blind. Of a tuned language model
    the texts count that were planted when it was trained. `label.json` calls a
    surface shareable only where no attack stands in the way.
    """
    from sensecf.runs.attack import AttackSpec
    from sensecf.runs.attack import attack as go
    from sensecf.runs.attack.report import verdict
    from sensecf.runs.attack.text import attack_text, is_text_model

    place = source.place("attack")
    if is_text_model(source.run):
        for line in attack_text(source.run, place, source.seed):
            say(line)
        say(f"Report: {place / 'report.md'}")
        return
    request = AttackSpec(source.seed, tuple(map(str, files)))
    made = source.work(go, place, request, files=list(request.files))
    for line in verdict(made):
        say(line)
    say(f"Report: {place / 'report.html'}")
