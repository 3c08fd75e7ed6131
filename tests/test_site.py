"""The documentation site is built without a warning: links lead somewhere, every public name is in the reference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from test_reference import PUBLIC

ROOT = Path(__file__).resolve().parents[1]


def test_the_site_is_built_without_a_warning_and_names_everything_public(tmp_path: Path) -> None:
    """Notebooks are executed by tests of their own."""
    pytest.importorskip("myst_nb", reason="the site is built with the extra 'docs'")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-D", "nb_execution_mode=off", "-d"]
    command += [str(tmp_path / "doctrees"), "-b", "html", str(ROOT / "docs"), str(tmp_path / "html")]
    made = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert made.returncode == 0, made.stderr
    pages = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "html" / "reference").glob("*.html"))
    missing = [
        name for name in PUBLIC if f'id="{name}"' not in pages and f'id="sensecf.{name.split(".")[-1]}"' not in pages
    ]
    assert not missing
    searched = (tmp_path / "html" / "searchindex.js").read_text(encoding="utf-8")
    assert "http://" not in searched[:200]
    for page in (tmp_path / "html").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert 'src="http' not in text, page
        assert 'rel="stylesheet" type="text/css" href="http' not in text, page
