"""Put the results of a scarcity study into its page below the marker.

    python benchmarks/augmentation.py FOLDER                studies/confirm.toml: docs/results/augmentation-now.md
    python benchmarks/augmentation.py FOLDER --page shares  studies/scarcity.toml: docs/results/augmentation-shares.md

FOLDER is what `sensecf study STUDY --out FOLDER` wrote, finished or not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sensecf.core.files import write_text
from sensecf.runs.study.report import write_study_report

DOCS = Path(__file__).resolve().parents[1] / "docs" / "results"
MARKER = "<!-- results -->"


def main() -> None:
    """Report the study and copy its summary below the marker of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the study")
    parser.add_argument("--page", choices=("now", "results", "shares"), default="now")
    options = parser.parse_args()
    write_study_report(options.folder)
    page = DOCS / f"augmentation-{options.page}.md"
    head = page.read_text().partition(MARKER)[0]
    write_text(page, f"{head}{MARKER}\n\n{(options.folder / 'summary.md').read_text()}")


if __name__ == "__main__":
    main()
