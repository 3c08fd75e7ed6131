"""`sensecf demo`."""

from __future__ import annotations

from pathlib import Path

import click

from sensecf.cli.progress import progress_bars
from sensecf.cli.say import say
from sensecf.cli.shared import OutPath
from sensecf.cli.summary import show
from sensecf.core.people import Counted


@click.command()
@click.option("--out", type=OutPath(), default=Path("demo"), show_default=True, help="Folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
@click.option("--seed", default=0, show_default=True)
def demo(out: Path, overwrite: bool, seed: int) -> int:
    """The main job on a simulated cohort: a plan for each held-out day that is called stressed, and one for all such
    days of a person."""
    from sensecf.data.builtin import load
    from sensecf.runs.experiment import Call
    from sensecf.runs.run import RunSpec, run

    data = load("simulated")
    notice = "The data are simulated, shaped like AI-READI's daily summaries. No row is a person's."
    say(f"{Counted(len(data.frame), data.frame['participant_id'].nunique(), 'days')}, simulated.")
    with progress_bars() as progress:
        call = Call(overwrite, notice, progress=progress)
        answers, summary, facts = run(data.frame, data.schema, out, RunSpec(seed=seed), call=call)
    status = show(answers, summary, facts, out)
    say(f"Next: sensecf serve {out} opens the page, on this machine alone (with make demo: .venv/bin/sensecf).")
    return status
