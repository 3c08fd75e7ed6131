"""A short report of sections, each with words, tables and perhaps a figure: one HTML page, and the same in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from sensecf.core.files import write_text
from sensecf.core.version import __version__
from sensecf.runs.report.page import from_template, inline
from sensecf.runs.report.tables import Table


@dataclass(frozen=True)
class Section:
    """A part of a sheet. `words`: paragraphs; `figure`: SVG text, with its `caption`."""

    heading: str
    words: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figure: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Sheet:
    """What a command found. `verdict`: what comes first, a sentence a line; `alarm`: whether that is bad news."""

    eyebrow: str
    title: str
    verdict: Sequence[str]
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section] = field(default_factory=tuple)
    alarm: bool = False

    def html(self) -> str:
        """The page as text; it loads and sends nothing."""
        drawn = [
            (number, part, inline(part.figure, f"part-{number}") if part.figure else Markup(""))
            for number, part in enumerate(self.sections)
        ]
        closing = f"Made by SenseCF {__version__}. The page holds all it shows; it loads and sends nothing."
        return from_template("sheet.html.j2", {"sheet": self, "sections": drawn, "closing": closing})

    def markdown(self) -> str:
        """The same without figures."""
        lines = [f"# {self.title}", "", *(f"- {text}" for text in self.verdict), ""]
        lines += [f"{name}: {value}  " for name, value in self.facts]
        for part in self.sections:
            lines += ["", f"## {part.heading}", ""]
            for text in part.words:
                lines += [text, ""]
            for table in part.tables:
                lines += [f"{table.caption}", "", *_table(table), ""]
        return "\n".join(lines).rstrip() + "\n"

    def write(self, folder: Path) -> None:
        """Write `report.html` and `report.md`."""
        write_text(folder / "report.html", self.html())
        write_text(folder / "report.md", self.markdown())


def _table(table: Table) -> list[str]:
    """A table in Markdown."""
    clean = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in (table.heads, *table.rows)]
    rule = "|" + "|".join("---:" if number else "---" for number in table.numeric) + "|"
    lines = [f"| {' | '.join(row)} |" for row in clean]
    return [lines[0], rule, *lines[1:]]
