"""Sentences on a terminal: broken between words at its width; into a file or a pipe they go as they are."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click


def say(text: str, err: bool = False) -> None:
    """Print text to stdout, or to stderr. A path or another long word is never broken, so that it can be copied."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False, drop_whitespace=True) or line
            for line in str(text).split("\n")
        )
    # Named, since click takes a stream in ASCII for misconfigured and writes UTF-8 into it.
    click.echo(text, file=stream)
