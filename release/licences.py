"""The table docs/licences.md: every package that SenseCF needs, and under which licence it comes.

`python release/licences.py` in an environment with the extras `web`, `parquet` and `tiny`. What the packages say of
themselves is read from their metadata; what those need in turn is followed. Nothing is asked of a registry.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
#: The sets of packages that the page has, with the extras behind them.
SETS = {"The core": (), "With the page and Parquet": ("web", "parquet"), "With the embedded model": ("tiny",)}
#: What a licence may not be. A runtime library of GCC may come with an exception that permits every use.
COPYLEFT = re.compile(r"\bA?GPL|\bGNU (Affero )?General Public", re.IGNORECASE)
EXCEPTION = re.compile(r"GPL-3\.0(-or-later)? WITH GCC-exception-3\.1", re.IGNORECASE)
#: Long texts in the field for names.
NAMES = {
    "Redistribution and use": "BSD-3-Clause",
    "Permission is hereby granted": "MIT",
    "License agreement for matplotlib": "PSF-based (matplotlib)",
}


def name_of(text: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", text).lower()


def needed(extras: tuple[str, ...] = ()) -> dict[str, Distribution]:
    """The packages that pyproject.toml asks for on this platform, with those that these need in turn; by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    found: dict[str, Distribution] = {}
    todo, seen = list(_named(asked, ())), set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # of another platform, or an extra that is not installed
        todo += list(_named(found[name].requires or (), wanted))
    return dict(sorted(found.items()))


def _named(texts: Iterable[str], extras: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Those of some requirements that are meant on this platform, by name, with the extras they ask for."""
    for text in texts:
        one = Requirement(text)
        marks = [{"extra": extra} for extra in ("", *extras)]
        if one.marker is None or any(one.marker.evaluate(mark) for mark in marks):
            yield name_of(one.name), tuple(sorted(one.extras))


def licence(package: Distribution) -> str:
    """What a package says of its licence: the expression, else the classifiers, else the field."""
    told = package.metadata
    if expression := told.get("License-Expression"):
        return str(expression)
    classes = [c.rpartition(" :: ")[2] for c in told.get_all("Classifier") or () if c.startswith("License ::")]
    classes = [c for c in classes if c != "OSI Approved"]
    if classes:
        return ", ".join(classes)
    text = str(told.get("License") or "").strip()
    for begins, short in NAMES.items():
        if begins in text:
            return short
    if text:
        return text.splitlines()[0]
    # Some say it in the file alone.
    files = [f for f in package.files or () if re.match(r"licen[cs]e|copying", f.name, re.IGNORECASE)]
    texts = [f.read_text(encoding="utf-8") for f in files]
    return next((short for begins, short in NAMES.items() for one in texts if begins in one), "not said")


def copyleft(text: str) -> bool:
    """Whether a licence is the GPL or the AGPL, but for the exception of GCC's runtime libraries."""
    return bool(COPYLEFT.search(EXCEPTION.sub("", text)))


def page() -> str:
    """The page as Markdown."""
    lines = [
        "# Licences",
        "",
        "SenseCF is Apache-2.0. These are the packages that it needs, and what they say of their licence themselves:",
        "`python release/licences.py`, on Linux. None in any of these sets is under the GPL or the AGPL. `make sbom`",
        "lists the packages of the first two sets as a bill of materials (CycloneDX), with the hashes of `locks/`.",
        "PyTorch is its CPU build here; the build with CUDA brings NVIDIA's libraries along, under NVIDIA's own terms.",
    ]
    before: set[str] = set()
    for title, extras in SETS.items():
        packages = {n: p for n, p in needed(extras).items() if n not in before}
        before |= set(packages)
        lines += ["", f"## {title}", "", "| package | version | licence |", "|---|---|---|"]
        lines += [f"| {n} | {p.version.partition('+')[0]} | {licence(p)} |" for n, p in packages.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
