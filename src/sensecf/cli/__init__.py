"""The command line. Its door is light: an interrupt that meets an import ends like any other, with one line and 130."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; `python -m sensecf.cli` is the same."""
    try:
        from sensecf.cli.app import main as run

        run()
    except Exception as error:
        # Python wraps an interrupt that meets the making of a class, and some packages one that meets their import.
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        _interrupted()
    except KeyboardInterrupt:
        _interrupted()


def _interrupted() -> None:
    print("sensecf: interrupted; the same command goes on where it stopped", file=sys.stderr)
    sys.exit(130)
