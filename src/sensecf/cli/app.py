"""The command line, `sensecf …`: finds the command, and turns every error into a status and one line."""

from __future__ import annotations

import codecs
import os
import pkgutil
import sys
import warnings
from typing import Any

import click

from sensecf.cli.say import say
from sensecf.core.errors import InputError, SenseCFWarning
from sensecf.core.version import __version__

#: Where each command lives; its file is imported when it is asked for.
COMMANDS = {
    "demo": "sensecf.cli.demo:demo",
    "schema": "sensecf.cli.schema:schema",
    "graph": "sensecf.cli.graph:graph",
    "explain": "sensecf.cli.explain:explain",
    "answer": "sensecf.cli.answer:answer",
    "compare": "sensecf.cli.compare:compare",
    "finetune": "sensecf.cli.finetune:finetune",
    "augment": "sensecf.cli.augment:augment",
    "truth": "sensecf.cli.truth:truth",
    "attack": "sensecf.cli.attack:attack",
    "fairness": "sensecf.cli.fairness:fairness",
    "programme": "sensecf.cli.programme:programme",
    "study": "sensecf.cli.study:study",
    "report": "sensecf.cli.study:report",
    "bench": "sensecf.cli.bench:bench",
    "serve": "sensecf.cli.serve:serve",
    "sheet": "sensecf.cli.sheet:sheet",
    "export": "sensecf.cli.export:export",
    "follow": "sensecf.cli.follow:follow",
    "prompt": "sensecf.cli.prompt:prompt",
    "sensors": "sensecf.cli.sensors:sensors",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = pkgutil.resolve_name(COMMANDS[cmd_name])
        return found


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sensecf")
def cli() -> None:
    """Verified counterfactuals for tables of wearable and clinical data.

    The smallest realistic change to a person's row that makes a classifier give the other answer.
    """


#: Remarks that were printed: python's own memory of them is lost whenever a library sets the filters of warnings.
_SAID: set[str] = set()


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any, **more: Any
) -> None:
    """A remark of ours is one line, once; the place in the code, which other warnings have, says nothing about it."""
    if issubclass(category, SenseCFWarning):
        if str(message) not in _SAID:
            _SAID.add(str(message))
            say(f"sensecf: {message}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno), err=True, nl=False)


#: What stands for a sign that a terminal cannot show: one sign each, so that tables stay in line.
PLAIN = dict(zip("→–—…×−’‘“”≥≤±·µ°", ">--~x-''\"\"><~*uo", strict=True))


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """What is printed in place of signs that an encoding does not have: `PLAIN`, else an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(s) or s.encode("ascii", "backslashreplace").decode("ascii") for s in signs), error.end


def _fit_streams() -> None:
    """Let every text be printed: plain signs on a terminal without UTF-8, UTF-8 elsewhere, nothing where closed."""
    codecs.register_error("plainly", _plainly)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="plainly")


def main() -> None:
    """Entry point: bad input ends with status 2 and one line, an interrupt with 130."""
    _fit_streams()
    try:
        with warnings.catch_warnings():
            _SAID.clear()
            warnings.simplefilter("always", SenseCFWarning)
            warnings.showwarning = _show_warning
            status = cli(standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # `sensecf … | head`: who reads has enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # else the interpreter says so when it ends
        sys.exit(1)
    except InputError as error:
        say(f"sensecf: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = "sensecf" if context is None else context.command_path
        say(f"sensecf: {' '.join(error.format_message().split())} See: {command} --help", err=True)
        sys.exit(2)
    except OSError as error:
        say(f"sensecf: {error}; when that is mended, the same command goes on where it stopped", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        say("sensecf: interrupted; the same command goes on where it stopped", err=True)
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)
