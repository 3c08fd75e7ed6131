"""Counts of what makes code hard to read, over src/sensecf: `python tests/house.py` prints them.

Lines are those of the file, blank ones and docstrings included. `self` and `cls` are no arguments; `*args` and
`**kwargs` count as none, an option of a command as one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1] / "src" / "sensecf"

#: A function is long from so many lines on, and has many arguments from so many on.
LONG, MANY = 61, 8


class Function(NamedTuple):
    """A function, where it stands, its lines and its arguments."""

    place: str
    lines: int
    arguments: int


def functions() -> Iterator[Function]:
    """All functions and methods."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                a = node.args
                names = [one.arg for one in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
                place = f"{path.relative_to(ROOT).as_posix()}:{node.lineno} {node.name}"
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                yield Function(place, lines, len([name for name in names if name not in ("self", "cls")]))


def texts(words: str) -> int:
    """How often some words stand in the source."""
    return sum(path.read_text(encoding="utf-8").count(words) for path in ROOT.rglob("*.py"))


def counts() -> dict[str, int]:
    """Every count by its name."""
    every = list(functions())
    return {
        "functions over 60 lines": sum(one.lines >= LONG for one in every),
        "functions with 8 or more arguments": sum(one.arguments >= MANY for one in every),
        "dict[str, Any]": texts("dict[str, Any]"),
        "fmt: skip": texts("# fmt: skip"),
        "lines": texts("\n"),
    }


if __name__ == "__main__":
    for name, count in counts().items():
        print(f"{count:7,}  {name}")
    for one in sorted(functions(), key=lambda f: (-f.lines, f.place)):
        if one.lines >= LONG or one.arguments >= MANY:
            print(f"{one.lines:5} lines {one.arguments:3} arguments  {one.place}")
