"""What the pages of a run, a comparison, a study and the page of `sensecf serve` are rendered with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sensecf.runs.report import figures
from sensecf.runs.report.drawn import Drawn
from sensecf.runs.report.names import UNSEEN

#: Colours of the figures, as they follow the page's light and dark.
_COLOURS = {
    figures.UP: "--up",
    figures.DOWN: "--down",
    figures.OTHER: "--other",
    figures.INK: "--ink",
    figures.SOFT: "--soft",
    figures.RULE: "--rule",
    figures.FILL: "--fill",
    "#ffffff": "--surface",
}


def environment(package: str = "sensecf.runs.report", **options: Any) -> Environment:
    """The templates of a package: everything escaped, nothing undefined, no unseen characters."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )


def from_template(template: str, context: Mapping[str, Any]) -> str:
    """A report as HTML that loads nothing."""
    return environment(keep_trailing_newline=True).get_template(template).render(context)


def inline(svg: str, name: str) -> Markup:
    """A figure of ours as part of a page: named by its heading, in the page's colours."""
    for colour, variable in _COLOURS.items():
        svg = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var({variable}, {colour})", svg)
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-labelledby="{name}" ', 1))


@dataclass(frozen=True)
class Figure:
    """A figure of a page: `svg`, as it stands under its heading `title`, and `raw`, the file that it is saved to as
    `name`. `id`: of the heading; `narrow`: it takes half of the page's width."""

    id: str
    name: str
    title: str
    caption: str
    raw: Drawn
    svg: Markup
    narrow: bool = False

    @classmethod
    def of(cls, id: str, name: str, title: str, caption: str, raw: Drawn) -> Figure:
        """A figure that stands on the page as it is saved."""
        return cls(id, name, title, caption, raw, inline(raw, id))


def _clean(value: Any) -> Any:
    """A value for the page: text without unseen characters; markup of our own as it is."""
    return value if isinstance(value, Markup) else UNSEEN.sub("\N{REPLACEMENT CHARACTER}", str(value))
