"""Every notebook of the documentation runs from top to bottom."""

from __future__ import annotations

import os
import re
from pathlib import Path

import matplotlib
import pytest

import sensecf

NOTEBOOKS = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.md") if path.stem != "index")


def cells(name: str) -> list[str]:
    text = (NOTEBOOKS / f"{name}.md").read_text(encoding="utf-8")
    return re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = cells(name)
    if "SENSECF_DATA" in "".join(code):
        folder = Path(os.environ.get("SENSECF_DATA", DATA))
        if not folder.is_dir():
            pytest.skip(f"the public table of {name} is not at hand; SENSECF_DATA names its folder")
        monkeypatch.setenv("SENSECF_DATA", str(folder))
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    namespace: dict[str, object] = {}
    for number, cell in enumerate(code):
        exec(compile(cell, f"{name}, cell {number + 1}", "exec"), namespace)
    assert len(code) >= 3


def test_a_notebook_names_nothing_but_what_is_public() -> None:
    """What is not is there only by chance: after something else was imported."""
    named = {found for name in NAMES for cell in cells(name) for found in re.findall(r"\bsensecf\.(\w+)", cell)}
    assert named - {"cli"} <= set(sensecf.__all__)  # the command line is run, not imported
    assert len(named) > 10


def test_the_list_of_notebooks_has_each() -> None:
    listed = re.findall(r"\]\(([\w-]+)\.md\)", (NOTEBOOKS / "index.md").read_text(encoding="utf-8"))
    assert sorted(listed) == NAMES
