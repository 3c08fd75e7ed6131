"""The documentation site: `make docs` builds it from these pages, the docstrings and the notebooks."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import sensecf  # noqa: E402

# `sensecf.datasets` is another name of a module; autodoc imports by name.
sys.modules.setdefault("sensecf.datasets", sensecf.datasets)

project = "SenseCF"
author = "The SenseCF authors"
copyright = "The SenseCF authors"
release = sensecf.__version__
html_title = f"SenseCF {release}"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["notebooks.css"]
html_show_sourcelink = False
# Nothing is fetched when a page is read: scripts, fonts and the search's index lie beside it.
html_baseurl = ""

extensions = [
    "myst_nb",
    "reference",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.doctest",
    "sphinx_copybutton",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["README.md", "_build", "**.ipynb_checkpoints"]
root_doc = "index"
# Docstrings are written for a terminal: what stands between backticks is code.
default_role = "code"
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "dollarmath"]
# The language of a notebook is known once it is executed, which a quick build leaves out.
suppress_warnings = ["myst.header", "myst-nb.lexer"]
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_merge_streams = True

# Two notebooks need public tables that do not come along. Where these are not at hand their code is shown unexecuted.
TABLES = Path(os.environ.setdefault("SENSECF_DATA", str(HERE.parents[1] / "shared" / "data")))
nb_execution_excludepatterns = [
    f"notebooks/{page}.md"
    for page, name in (("heart", "heart_disease_cleveland"), ("t1d", "t1d_uom_daily_stress"))
    if not (TABLES / name).is_dir()
]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_display_short_literal_types = True
maximum_signature_line_length = 88
copybutton_exclude = ".linenos, .gp, .go"

#: Pages of the repository's root that the site shows too, by the name they have there.
ROOT_PAGES = {"README.md": "about/readme", "LOG.md": "about/log", "CHANGELOG.md": "about/changelog"}
ROOT_PAGES |= {"CONTRIBUTING.md": "about/contributing", "SECURITY.md": "about/security"}


def _inside(text: str, depth: int) -> str:
    """Links to pages of the repository's root lead to their copies on the site; to its other files, nowhere."""
    up = "../" * depth
    for name, page in ROOT_PAGES.items():
        text = re.sub(rf"\]\((?:\.\./)+{re.escape(name)}(#[^)]*)?\)", rf"]({up}{page}.md\1)", text)
    return re.sub(
        r"\[([^\]]+)\]\((?:\.\./)+(?!about/)((?:src|tests|benchmarks|studies|bench|constraints|\.ci)[^)]*)\)",
        r"`\2`",
        text,
    )


def _read(app: object, docname: str, source: list[str]) -> None:
    if not docname.startswith("about/"):
        source[0] = _inside(source[0], docname.count("/"))


def _root_pages(app: object) -> None:
    """Copies of the root's pages, with links as seen from `docs/about`."""
    folder = HERE / "about"
    folder.mkdir(exist_ok=True)
    for name, page in ROOT_PAGES.items():
        path = HERE.parent / name
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8").replace("](docs/README.md)", "](../index.md)")
        text = re.sub(r"\]\((?:\./)?docs/", "](../", text)
        text = re.sub(r'src="docs/', 'src="../', text)
        for other, where in ROOT_PAGES.items():
            text = re.sub(rf"\]\({re.escape(other)}(#[^)]*)?\)", rf"]({Path(where).name}.md\1)", text)
        text = re.sub(r"\[([^\]]+)\]\((?!\.\./|https?:|#|[a-z]+\.md)[^)]+\)", r"\1", text)
        made = HERE / f"{page}.md"
        if not made.is_file() or made.read_text(encoding="utf-8") != text:
            made.write_text(text, encoding="utf-8")


def setup(app: object) -> None:
    app.connect("builder-inited", _root_pages)  # type: ignore[attr-defined]
    app.connect("source-read", _read)  # type: ignore[attr-defined]
