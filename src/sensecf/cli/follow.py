"""`sensecf follow`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sensecf.cli.progress import waiting
from sensecf.cli.say import say
from sensecf.cli.shared import OutPath, open_table, table_options
from sensecf.core.people import some


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("later", type=click.Path(path_type=Path))
@click.option("--out", type=OutPath(), help="Folder to write (default: RUN).")
@click.option("--who", default="", help="Your name: writes what was found into the journal of decisions too.")
@table_options
def follow(run: Path, later: Path, out: Path | None, who: str) -> None:
    """What came of the plans of RUN: rows measured LATER beside each person's plan and days before.

    Says whether plans were kept (within the error of the devices), and whether the classifier's answer and the
    measured label changed, by person, beside people without a plan. It claims no cause. Writes follow.csv,
    follow.json and follow.html.
    """
    from sensecf.core.schema import FeatureSchema
    from sensecf.runs.record.follow import CAUTION, FILES
    from sensecf.runs.record.follow import follow as work

    with waiting("Opening the run and looking at who came back"):
        schema = FeatureSchema.from_toml(run / "schema.toml")
        told = work(run, open_table(later, schema), later, out or run, who)
    for group, words in (("with_plan", "with a plan"), ("without_plan", "without a plan")):
        found = told[group]
        say(f"{found['came_back']} of {some(found['people'], 'people')} {words} came back.{_said(found)}")
    say(CAUTION)
    say(f"{out or run}: {', '.join(FILES)}")


def _said(found: Mapping[str, Any]) -> str:
    """The change of the answer and of the label, in words, as far as they are known."""
    parts = []
    for name, words in (("kept", "plan kept on"), ("answer_change", "answer"), ("label_change", "label")):
        one = found["measures"][name]
        if one["value"] is None:
            continue
        sign = "" if name == "kept" else "+" if one["value"] >= 0 else "−"
        ends = "" if one["low"] is None else f" ({100 * one['low']:.0f} to {100 * one['high']:.0f})"
        what = "% of days" if name == "kept" else "points"
        parts.append(f"{words} {sign}{abs(100 * one['value']):.0f} {what}{ends}")
    return f" By person: {'; '.join(parts)}." if parts else ""
