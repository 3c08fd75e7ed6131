"""Put the results of the scarcity study into docs/augmentation-results.md: `python benchmarks/augmentation.py FOLDER`.

FOLDER is what `sensecf study studies/confirm.toml --out FOLDER` wrote, finished or not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sensecf.files import write_text
from sensecf.study.report import write_study_report

PAGE = Path(__file__).resolve().parents[1] / "docs" / "augmentation-results.md"
MARKER = "<!-- results -->"


def main() -> None:
    """Report the study and copy its summary below the marker of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the study")
    folder = parser.parse_args().folder
    write_study_report(folder)
    head = PAGE.read_text().partition(MARKER)[0]
    write_text(PAGE, f"{head}{MARKER}\n\n{(folder / 'summary.md').read_text()}")


if __name__ == "__main__":
    main()
