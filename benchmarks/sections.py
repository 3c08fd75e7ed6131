"""Sections of Markdown pages that commands write."""

from __future__ import annotations

from pathlib import Path

from sensecf.core.files import read_text, write_text


def replace_section(path: Path, name: str, text: str) -> None:
    """Put `text` between `<!-- name -->` and `<!-- /name -->`. Raises `ValueError` where the page has no such place."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, found, rest = read_text(path).partition(start)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{path.name} has no section {start} … {end}")
    write_text(path, f"{head}{start}\n{text}\n{end}{tail}")
