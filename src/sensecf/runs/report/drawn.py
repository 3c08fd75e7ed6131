"""Figures as text for a page, and as files in the width of a journal's column."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from sensecf.core.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Width of a figure of one column in inches (text is 9 points: readable beside another one, and on a phone).
WIDTH = 4.8
#: Widths of one and of two columns of a journal, in millimetres.
SINGLE, DOUBLE = 89.0, 183.0
#: Figures wider than this, in inches, are drawn over two columns.
NARROW = 5.5
#: Where figures lie in the folder of a run.
FOLDER = "figures"
#: What a run leaves there, as patterns.
FILES = (f"{FOLDER}/*.svg", f"{FOLDER}/*.pdf")

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_INCH = 25.4
#: The size of type on the page; figures name other sizes relative to it, so that they are scaled along.
_POINTS = 9.0
#: No larger in a journal, where 5 to 7 points are usual.
_MOST = 7.0
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sensecf",
    "pdf.fonttype": 42,  # letters stay letters
    "text.parse_math": False,  # a feature may be called $x$
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "axes.facecolor": "none",
    "axes.labelcolor": "#59636e",
    "text.color": "#1f2328",
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "axes.unicode_minus": True,
    "path.simplify": False,
}


class Drawn(str):
    """SVG text that follows the width and the colours of a page; `save` draws it again for a journal."""

    __slots__ = ("draw", "height")
    draw: Callable[[Figure], None]
    height: float

    def save(self, path: Path) -> None:
        """Write `path`.svg and `path`.pdf, as wide as one column of a journal (89 mm) or two (183 mm)."""
        for suffix in (".svg", ".pdf"):
            with replacing(path.with_name(path.name + suffix)) as temporary:
                self._save(temporary, suffix[1:])

    def _save(self, path: Path, form: str) -> None:
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        wide = self._size()[0] > NARROW
        scale = (DOUBLE if wide else SINGLE) / _INCH / self._size()[0]
        with _styled(min(_POINTS * scale, _MOST)), rc_context({"axes.facecolor": "white"}):
            figure = Figure(figsize=(WIDTH, self.height), layout="constrained", facecolor="white")
            self.draw(figure)
            figure.set_size_inches(*(side * scale for side in figure.get_size_inches()))
            metadata = {"Date": None, "Creator": None} if form == "svg" else {"CreationDate": None, "Creator": None}
            figure.savefig(path, format=form, metadata=metadata)

    def _size(self) -> tuple[float, float]:
        """Width and height on the page, in inches."""
        width, height = re.findall(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', self)[0]
        return float(width) / 72, float(height) / 72


def svg(draw: Callable[[Figure], None], height: float, name: str) -> Drawn:
    """What `draw` puts on a figure, as SVG text; ids start with `name`, so that figures can share a page.

    `height`: in inches; the figure is `WIDTH` wide, unless `draw` sets its size.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with _styled(_POINTS):
        figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="none")
        draw(figure)
        FigureCanvasSVG(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawn = Drawn(_tidy(buffer.getvalue(), name))
    drawn.draw, drawn.height = draw, height
    return drawn


def save_all(figures: Mapping[str, Drawn], folder: Path) -> None:
    """Every figure by its name into `figures/` of a folder, as SVG and PDF; older ones there are removed."""
    there = folder / FOLDER
    for old in (*there.glob("*.svg"), *there.glob("*.pdf")):
        old.unlink()
    for name, figure in figures.items():
        figure.save(there / name)


@contextmanager
def _styled(points: float) -> Iterator[None]:
    """Matplotlib in our style, without its remarks on letters that its font lacks: the reader's fonts draw the text."""
    from matplotlib import rc_context

    with rc_context({**_STYLE, "font.size": points, "legend.fontsize": points}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _tidy(text: str, name: str) -> str:
    """Matplotlib's SVG without prologue, metadata, unused ids and size: as wide as where it stands."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(text)
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'xlink:href="#([^"]+)"', text))
    for child in list(root):  # the licence block, and a style for "*" that would reach the rest of the page
        if child.tag == f"{{{_SVG}}}metadata" or child.find(f"{{{_SVG}}}style") is not None:
            root.remove(child)
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    for element in root.iter():
        own = element.get("id")
        if own is not None and own in used:
            element.set("id", f"{name}-{own}")
        elif own is not None:
            del element.attrib["id"]
        for key, value in element.attrib.items():
            if value.startswith("#") and key.endswith("href"):
                element.set(key, f"#{name}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{name}-"))
    root.set("width", "100%")
    del root.attrib["height"]
    return ElementTree.tostring(root, encoding="unicode")
