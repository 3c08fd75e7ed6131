"""What `attack` and `fairness` found of a run, for its report and its page: where they were asked, what they say."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypedDict

from sensecf.core.errors import InputError
from sensecf.core.files import read_text, write_text
from sensecf.core.kept import read_record
from sensecf.runs.report.page import from_template

#: The folders in a run's folder, and what their findings are called.
FOLDERS = {"attack": "Who was learned from", "fairness": "Who pays more"}
#: Between these the report says what was found.
MARKS = ("<!-- findings -->", "<!-- /findings -->")


class Finding(NamedTuple):
    """What one of them says: `lines`, most important first, and the `page` with the rest, beside the run's report."""

    title: str
    lines: list[str]
    page: str


class _Said(TypedDict):
    """What is read here of `run.json`."""

    verdict: list[str]


def findings(folder: Path) -> list[Finding]:
    """What was found of the run in a folder; nothing of what was not asked, is not finished or is of an older
    version."""
    found = []
    for name, title in FOLDERS.items():
        try:
            lines = read_record(folder / name / "run.json", _Said)["verdict"]
        except InputError:
            continue
        found.append(Finding(title, lines, f"{name}/report.html"))
    return found


def into_report(folder: Path) -> None:
    """Write what was found into the run's `report.html`; nothing where that is gone or of an older version."""
    path = folder / "report.html"
    if not path.is_file():
        return
    text = read_text(path)
    before, begin, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if begin and end:
        said = from_template("_findings.html.j2", {"findings": findings(folder)})
        write_text(path, f"{before}{begin}{said}{end}{after}")
