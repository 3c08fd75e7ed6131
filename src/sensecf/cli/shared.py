"""Options that several commands have: how they are declared, and how what was given is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from sensecf.cli.say import say
from sensecf.core.errors import InputError
from sensecf.core.names import split_names as split_names

if TYPE_CHECKING:
    import pandas as pd
    from _typeshed import DataclassInstance

    from sensecf.core.limits import Limits
    from sensecf.core.parallel import Engine
    from sensecf.core.schema import FeatureSchema
    from sensecf.data.card import Card

Result = TypeVar("Result")

CLASSIFIERS = "xgboost, random-forest, svm, mlp, logistic or module:object"
#: For commands with --classifier: what a classifier of the user's own calls 0, 1, ....
CLASSES = click.option(
    "--classes",
    default="",
    metavar="A,B",
    help="Names of the classes that a module:object calls 0, 1, ... (XGBoost does), in that order.",
)
#: For commands that open a run.
TRUST = click.option(
    "--trust", is_flag=True, help="Whoever made RUN is trusted: take its classifier as it is, whatever it holds."
)
GENERATORS = (
    "auto (what costs least in all for as many as are asked about), tiny, search, nearest, constant, prompted, tuned, "
    "nice, cfnow, dice, treecf-sparse, robx, betarce, exact or module:Class"
)

#: What stands wherever plans are read.
CAUTION = (
    "A counterfactual changes a classifier's answer: an association, not a proven effect. "
    "Whether it changes a person's health is not known."
)


def arguments() -> dict[str, object]:
    """The options as given, for `run.json`."""
    context = click.get_current_context()
    given = context.params | stated_marks()
    for group in ("limits", "engine", "consent"):
        given |= stated(group)
    return {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}


def keep_as(group: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """A callback that keeps the value of an option which was given, for `stated`."""

    def keep(context: click.Context, option: click.Parameter, value: Any) -> None:
        if value not in (None, ()):
            context.meta.setdefault(f"sensecf.{group}", {})[option.name] = value

    return keep


def stated(group: str) -> dict[str, Any]:
    """The options of a group that were given, by their names."""
    return dict(click.get_current_context().meta.get(f"sensecf.{group}", {}))


@dataclass(frozen=True)
class Source:
    """What is asked about: the options of `source_options`, under the names that click gives them."""

    table: Path
    schema_path: Path
    classifier: str
    classes: str
    seed: int
    target: str | None = None
    queries: Path | None = None
    limit: int | None = None

    def open(self, out: Path | None = None) -> Opened:
        """Read what is named; says what the card says. Raises `InputError`, also for a file that the run writes."""
        from sensecf.core.folder import belongs
        from sensecf.core.schema import FeatureSchema
        from sensecf.data.builtin import find_card
        from sensecf.data.card import strictest

        for path in (self.table, self.schema_path, self.queries):
            if path is not None and out is not None and belongs(path, out):
                raise InputError(f"{path} is a file that the run writes itself; move it out of {out}")
        schema = FeatureSchema.from_toml(self.schema_path)
        frame = open_table(self.table, schema)
        asked = None if self.queries is None else open_table(self.queries, schema)
        card = strictest(find_card(path) for path in (self.table, self.queries) if path is not None)
        return Opened(frame, schema, asked, card)


class Opened(NamedTuple):
    """The table of a `Source`, its schema, the rows asked about (None: held-out ones), and the stricter card."""

    frame: pd.DataFrame
    schema: FeatureSchema
    queries: pd.DataFrame | None
    card: Card | None


SCHEMA = click.option(
    "--schema", "schema_path", type=click.Path(path_type=Path), required=True, help="Made by `sensecf schema`."
)


def source_options(limit: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add TABLE and the options of a `Source` to a command, which takes them as `source`.

    `limit`: what --limit does; None for a command that asks about no rows: without --target, --queries and --limit.
    """
    options = [
        click.argument("table", type=click.Path(path_type=Path)),
        SCHEMA,
        click.option("--classifier", default="xgboost", show_default=True, help=CLASSIFIERS),
        CLASSES,
        click.option("--seed", type=int, default=0, show_default=True),
    ]
    if limit is not None:
        options += [
            click.option("--target", help="Class to reach (default: the schema's)."),
            click.option(
                "--queries",
                type=click.Path(path_type=Path),
                help="Table of rows to ask about; then all of TABLE trains.",
            ),
            click.option("--limit", type=int, help=limit),
        ]

    return _as_source(Source, options)


def gathered(name: str, *options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add options to a command, which takes their values together, by their names, as the mapping `name`."""

    def probe() -> None:
        """Keeps the parameters, for their names."""

    for option in reversed(options):
        option(probe)
    names = [parameter.name for parameter in getattr(probe, "__click_params__")]  # noqa: B009

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def call(**given: Any) -> Any:
            return command(**{name: {one: given.pop(one) for one in names}}, **given)

        for option in reversed(options):
            call = option(call)
        return call

    return add


def table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --decimal, --thousands and --encoding to a command that reads a table with `open_table`."""
    command = click.option(
        "--encoding",
        metavar="NAME",
        expose_value=False,
        callback=keep_as("marks"),
        help="How the text of the table is encoded, where it is not UTF-8: cp1252, for instance.",
    )(command)
    for name, marks, what in (
        ("thousands", [",", ".", " ", "'"], "The mark between thousands"),
        ("decimal", [".", ","], "The mark before decimals"),
    ):
        command = click.option(
            f"--{name}",
            type=click.Choice(marks),
            metavar="MARK",
            expose_value=False,
            callback=keep_as("marks"),
            help=f"{what} in the table, where the file does not settle it.",
        )(command)
    return command


def stated_marks() -> dict[str, str]:
    """The marks of `table_options` that were given, by the name of their option."""
    return stated("marks")


def open_table(path: Path, schema: FeatureSchema | None = None, merge_spellings: bool = False) -> pd.DataFrame:
    """The table in a file, read with what the schema and the options of `table_options` say."""
    from sensecf.data.tables import read_table

    return read_table(path, schema, merge_spellings=merge_spellings, **stated_marks())


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what may be asked of an answer to a command, which reads it with `stated_limits`."""
    for names, settings in (
        (
            ("--edit",),
            {
                "type": click.Choice(["actionable", "mutable"]),
                "help": "What plans may change: what a person does, or also what only moves as a result "
                "(default: actionable, where the schema names something actionable).",
            },
        ),
        (
            ("--consequences",),
            {
                "type": click.Choice(["still", "expected", "cautious"]),
                "help": "What a plan must withstand of what follows from it by the schema's causes: nothing, what is "
                "expected, or the worse end of the band (default: still; what follows is told all the same).",
            },
        ),
        (
            ("--hold",),
            {
                "type": float,
                "metavar": "SHARE",
                "help": "The share of refits of the classifier that are to agree with a plan (default: 0.95); 0 asks "
                "for the boundary answer, the smallest change that this one classifier accepts.",
            },
        ),
        (
            ("--prefer",),
            {
                "type": click.Choice(["effort", "likeness"]),
                "help": "What makes one plan better than another: few and small changes, or a row close to those of "
                "real people (default: effort).",
            },
        ),
        (("--max-changes",), {"type": int, "help": "At most so many features change."}),
        (
            ("--direction", "directions"),
            {
                "multiple": True,
                "metavar": "A=up|down",
                "help": "A feature may only rise, or only fall; repeatable.",
            },
        ),
        (
            ("--range", "ranges"),
            {
                "multiple": True,
                "metavar": "A=LO:HI",
                "help": "A feature stays within a range, one end may be open: sleep=6:8 or sleep=6:; repeatable.",
            },
        ),
        (("--lock",), {"metavar": "A,B", "help": 'Features that must stay: a,b,"c, d".'}),
    ):
        command = click.option(*names, expose_value=False, callback=keep_as("limits"), **settings)(command)
    return command


def stated_limits(base: Limits | None = None) -> Limits:
    """The limits of `limit_options`; what was not given is as in `base`. Raises `InputError`."""
    from dataclasses import replace

    from sensecf.core.limits import Limits

    given = stated("limits")
    read = Limits.parse(**given)
    return replace(base or Limits(), **{name: getattr(read, name) for name in given})


def per_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --per and --days to a command; neither has a default here."""
    command = click.option(
        "--days",
        metavar="SHARE|K",
        help="With --per person: a plan turns at least this share of a person's days, or so many (default: 0.5).",
    )(command)
    return click.option(
        "--per",
        type=click.Choice(["row", "person"]),
        help="A plan for each row, or one for all rows of a person that are not in the target class (default: row).",
    )(command)


def stated_days(text: str) -> int | float:
    """What --days says: "0.5" or "50%" is a share, "3" a number of days. Raises `InputError` for anything else."""
    share = text.strip().endswith("%")
    try:
        number = float(text.strip().rstrip("%"))
    except ValueError:
        raise InputError(f"--days {text!r} is no number; 0.5 asks for half of a person's days, 3 for three") from None
    if share:
        return number / 100
    return int(number) if number.is_integer() and "." not in text else number


class OutPath(click.Path):
    """The path of what a command writes; an empty one (an unset variable in a script) is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """See `folder.named`."""
        from sensecf.core.folder import named

        return named(value)


@dataclass(frozen=True)
class RunSource:
    """A finished run that a command looks at: the options of `run_options`, under the names that click gives them."""

    run: Path
    out: Path | None
    table: Path | None
    classifier: str | None
    seed: int
    overwrite: bool
    trust: bool

    def place(self, name: str) -> Path:
        """The folder to write: the one that was named, else `name` in the run's."""
        return self.run / name if self.out is None else self.out

    def work(self, do: Callable[..., Result], place: Path, request: object, **more: object) -> Result:
        """What `do` makes of the run in a folder; `more`: arguments for the record beside the command line."""
        from sensecf.cli.progress import progress_bars
        from sensecf.runs.experiment import Call

        with progress_bars() as progress:
            return do(
                self.run,
                place,
                request,
                table=self.table,
                classifier=self.classifier,
                trust=self.trust,
                call=Call(self.overwrite, "", arguments() | more, progress),
            )


def run_options(*own: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add RUN and the options of a `RunSource` to a command, which takes them as `source`, and those of its `own`."""
    return _as_source(
        RunSource,
        [
            click.argument("run", type=click.Path(path_type=Path)),
            click.option("--out", type=OutPath(), help="Folder to write (default: one of that name in RUN)."),
            click.option(
                "--table", type=click.Path(path_type=Path), help="The run's table, where it lies elsewhere now."
            ),
            *own,
            click.option("--classifier", help="module:object, where the run's classifier could not be saved."),
            click.option("--seed", type=int, default=0, show_default=True),
            click.option("--overwrite", is_flag=True, help="Replace an older result in the folder."),
            TRUST,
        ],
    )


def _as_source(
    kind: type[DataclassInstance], options: Sequence[Callable[..., Any]]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add options to a command, which takes those that are fields of `kind` as one object, `source`."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def call(**given: Any) -> Any:
            source = kind(**{f.name: given.pop(f.name) for f in fields(kind) if f.name in given})
            return command(source=source, **given)

        for option in reversed(options):
            call = option(call)
        return call

    return add


#: Rows leave this machine: for commands that ask no language model.
ALLOW_HOST = click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="HOST=DATA",
    expose_value=False,
    callback=keep_as("engine"),
    help="Rows may go to this host against the card of that data set.",
)


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --engine and --ray-address to a command, which reads them with `stated_engine`."""
    command = click.option(
        "--ray-address",
        metavar="HOST:PORT",
        expose_value=False,
        callback=keep_as("engine"),
        help="A Ray cluster that is running, for --engine ray; default: start Ray on this machine.",
    )(command)
    return click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        expose_value=False,
        callback=keep_as("engine"),
        help="Where to work; the results are the same.",
    )(command)


def stated_engine(allow_hosts: tuple[str, ...] = ()) -> Engine:
    """The engine of `engine_options` and `ALLOW_HOST`, which `allow_hosts` comes before. Raises `InputError`."""
    from sensecf.core.parallel import Engine

    given = stated("engine")
    return Engine(given["engine"], given.get("ray_address"), allow_hosts or given.get("allow_hosts", ()))


def show_card(card: Card | None) -> None:
    """What the card of a table says, before anything is done with it."""
    for line in () if card is None else card.lines():
        say(line, err=True)
