"""The command line: `sensecf demo`, `schema`, `explain`, `report`, `sensors`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sensecf import __version__
from sensecf.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from sensecf.counterfactuals import Counterfactuals
    from sensecf.run import Progress

CLASSIFIERS = "xgboost, random-forest, svm, mlp, logistic or module:object"
GENERATORS = "tiny, search, nearest or module:Class"

#: What stands wherever plans are read.
CAUTION = (
    "A counterfactual changes a classifier's answer: an association, not a proven effect. "
    "Whether it changes a person's health is not known."
)


class LazyGroup(click.Group):
    """A group whose `sensors` subcommands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "sensors"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "sensors":
            from sensecf.sensors.commands import sensors

            return sensors
        return super().get_command(ctx, cmd_name)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sensecf")
def cli() -> None:
    """Verified counterfactuals for tables of wearable and clinical data.

    The smallest realistic change to a person's row that makes a classifier give the other answer.
    """


@cli.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder to write."
)
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
@click.option("--seed", default=0, show_default=True)
def demo(out: Path, overwrite: bool, seed: int) -> None:
    """The main job on a simulated cohort: a plan for every test person predicted stressed."""
    from sensecf.datasets import load
    from sensecf.run import Request, run

    data = load("simulated")
    notice = "The data are simulated, shaped like AI-READI's daily summaries. No row is a person's."
    click.echo(f"{len(data.frame):,} simulated days of {data.frame['participant_id'].nunique()} people.")
    with _bars() as progress:
        answers, summary, facts = run(
            data.frame, data.schema, out, Request(seed=seed), overwrite=overwrite, notice=notice, progress=progress
        )
    _show(answers, summary, facts, out)


@cli.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--label", required=True, help="Column with the classes.")
@click.option("--group", help="Column that says whose row it is; found by itself where its name is plain.")
@click.option("--name", default="", help="What to call the data set.")
def schema(table: Path, label: str, group: str | None, name: str) -> None:
    """Infer a schema from a table (CSV or Parquet) and print it as commented TOML, to be edited."""
    from sensecf.infer import infer_schema_with_notes
    from sensecf.tables import read_table

    found = infer_schema_with_notes(read_table(table), label, group, name or table.stem)
    for remark in found.remarks:
        click.echo(remark, err=True)
    click.echo(found.schema.to_toml(notes=found.notes), nl=False)


@cli.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--schema", "schema_path", type=click.Path(path_type=Path), required=True, help="Made by `sensecf schema`."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--classifier", default="xgboost", show_default=True, help=CLASSIFIERS)
@click.option("--generator", default="tiny", show_default=True, help=GENERATORS)
@click.option("--target", help="Class to reach (default: the schema's).")
@click.option(
    "--queries", type=click.Path(path_type=Path), help="Table of rows to ask about; then all of TABLE trains."
)
@click.option("--limit", type=int, help="Ask about the first N held-out rows only.")
@click.option("-n", "count", type=int, default=1, show_default=True, help="Answers per person.")
@click.option("--lock", default="", help='Features that must stay: a,b,"c, d".')
@click.option("--max-changes", type=int, help="At most so many features change.")
@click.option("--robust", is_flag=True, help="Demand a margin: p >= 0.6 with two classes.")
@click.option("--plausibility", type=float, default=1.0, show_default=True, help="Price of being unlike the data.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace an older run in the folder.")
def explain(
    table: Path,
    schema_path: Path,
    out: Path,
    classifier: str,
    generator: str,
    target: str | None,
    queries: Path | None,
    limit: int | None,
    count: int,
    lock: str,
    max_changes: int | None,
    robust: bool,
    plausibility: float,
    seed: int,
    overwrite: bool,
) -> None:
    """Verified counterfactuals for the rows of TABLE, written to a folder with a report.

    Without --queries, 30 % of the rows are held out (by person where the schema names a group) and
    those not in the target class are asked about. An interrupted run goes on when called again.
    """
    from sensecf.folder import belongs
    from sensecf.run import ROBUST_MARGIN, Request, run
    from sensecf.schema import FeatureSchema
    from sensecf.tables import read_table

    request = Request(
        classifier=classifier,
        generator=generator,
        target=target,
        limit=limit,
        n=count,
        lock=_names(lock),
        max_changes=max_changes,
        margin=ROBUST_MARGIN if robust else 0.0,
        plausibility=plausibility,
        seed=seed,
    )
    for path in (table, schema_path, queries):
        if path is not None and belongs(path, out):
            raise InputError(f"{path} is a file that the run writes itself; move it out of {out}")
    found = FeatureSchema.from_toml(schema_path)
    frame = read_table(table)
    asked = None if queries is None else read_table(queries)
    with _bars() as progress:
        answers, summary, facts = run(
            frame, found, out, request, queries=asked, overwrite=overwrite, arguments=_arguments(), progress=progress
        )
    _show(answers, summary, facts, out)


def _names(text: str) -> tuple[str, ...]:
    """Names separated by commas; one that holds a comma stands in double quotes."""
    fields = next(csv.reader([text], skipinitialspace=True), [])
    return tuple(name.strip() for name in fields if name.strip())


def _arguments() -> dict[str, Any]:
    """The options as given, for `run.json`."""
    context = click.get_current_context()
    return {key: str(value) if isinstance(value, Path) else value for key, value in context.params.items()}


@contextmanager
def _bars() -> Iterator[Progress]:
    """A progress bar per phase on a terminal, a line per phase elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    names = {
        "classifier": "Fitting the classifier",
        "search": "Searching for pairs to learn from",
        "pairs": "Training on pairs",
        "verdicts": "Training on verdicts",
        "answers": "Answering",
        "measuring": "Measuring and writing",
    }
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<34}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=False, disable=not console.is_terminal) as bar:
        begun: dict[str, Any] = {}

        def progress(phase: str, share: float) -> None:
            if phase not in begun:
                begun[phase] = bar.add_task(names.get(phase, phase), total=1.0)
                if not console.is_terminal:
                    click.echo(names.get(phase, phase))
            bar.update(begun[phase], completed=share)

        yield progress


def _show(answers: Counterfactuals, summary: pd.DataFrame, facts: dict[str, Any], out: Path) -> None:
    """The first plans and the summary, as tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    plans = answers.plans()
    shown = Table(
        title=_plain(f"Plans towards {facts['target']!r} (the first {min(len(plans), 12)} of {len(plans)})"),
        title_justify="left",
    )
    for column, options in (
        ("query", {"justify": "right"}),
        ("plan", {"overflow": "fold"}),
        ("p", {"justify": "right"}),
        ("like the data", {}),
    ):
        shown.add_column(column, **options)  # type: ignore[arg-type]
    for row in plans.head(12).itertuples():
        shown.add_row(_plain(row.query), _plain(row.plan), f"{row.probability:.2f}", "yes" if row.plausible else "no")
    console.print(shown)

    table = Table(title="Summary", title_justify="left")
    for column in ("measure", "value", "95 % interval", "of", "better"):
        table.add_column(column)
    for name in ("validity", "coverage", "feasible", "plausible", "n_changed", "mad_l1", "margin"):
        if name in summary.index:
            m = summary.loc[name]
            interval = f"{m['low']:.3f} to {m['high']:.3f}" if m["low"] == m["low"] else "–"
            value = f"{m['value']:.3f}" if m["defined"] else "not defined"
            table.add_row(name, value, interval, f"{m['n']:,} {m['over']}", str(m["direction"]))
    for name, share in facts.get("model_alone", {}).items():
        if share["n"]:
            table.add_row(
                f"model alone: {name}", f"{share['value']:.3f}", f"{share['low']:.3f} to {share['high']:.3f}",
                f"{share['n']:,} requests", "higher",
            )  # fmt: skip
    console.print(table)
    rows = facts["classifier_rows"]["answers"] / max(facts["queries_asked"], 1)
    console.print(f"The classifier was asked about {rows:,.0f} rows per answer.", highlight=False)
    reasons = answers.abstentions["reason"].value_counts().head(3)
    for reason, number in reasons.items():
        console.print(_plain(f"No answer for {number}: {reason}"))
    console.print(_plain(f"Report: {out / 'report.html'}"), soft_wrap=True)
    console.print(CAUTION, style="italic", highlight=False)


def _plain(value: Any) -> Any:
    """A cell of a table as text that is printed as it stands: no markup, no control characters."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else "�" for c in str(value)))


def main() -> None:
    """Entry point: bad input ends with status 2 and one line, an interrupt with 130."""
    try:
        status = cli(standalone_mode=False)
    except InputError as error:
        click.echo(f"sensecf: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = "sensecf" if context is None else context.command_path
        click.echo(f"sensecf: {' '.join(error.format_message().split())} See: {command} --help", err=True)
        sys.exit(2)
    except OSError as error:
        click.echo(f"sensecf: {error}; when that is mended, the same command goes on where it stopped", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("sensecf: interrupted; the same command goes on where it stopped", err=True)
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)
