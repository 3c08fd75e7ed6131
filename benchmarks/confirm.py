"""The confirmation of `augment` and of the shortcut study, on a machine with many cores and little time.

    python benchmarks/confirm.py --prepare DIR                                  the public tables, to be carried along
    python benchmarks/confirm.py --tables DIR --jobs 14 --minutes 5 --out FILE  cells, most worth having first
    python benchmarks/confirm.py --keep FILE ...                                the cells, where the pages find them

Cells of benchmarks/uneven.py and benchmarks/shortcut.py, every one with its first seed before any with its second.
`sensecf study studies/confirm.toml --out FOLDER` is the third part, with SENSECF_DATA naming the same tables.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import cells

SEEDS = (511, 512, 513, 514, 515, 516)


def cell(place: cells.Place) -> dict[str, Any]:
    """One cell of either study."""
    import shortcut
    import uneven

    return shortcut.cell(place) if place["study"] == "shortcut" else uneven.cell(place)


def todo() -> list[cells.Place]:
    """All cells in order."""
    import shortcut
    import uneven

    return [
        place for seed in SEEDS for place in cells.interleaved([shortcut.places((seed,)), uneven.places(seeds=(seed,))])
    ]


def keep(files: list[Path]) -> None:
    """Write the cells of some files, each place once, where the pages are made from."""
    import shortcut
    import uneven

    found = {json.dumps(line["place"], sort_keys=True): line for file in files for line in cells.read(file)}
    lines = [found[key] for key in sorted(found)]
    shortcuts = [line for line in lines if line["place"]["study"] == "shortcut"]
    text = "".join(json.dumps({"place": x["place"], "found": x["found"]}, sort_keys=True) + "\n" for x in shortcuts)
    shortcut.STORED.write_text(text, encoding="utf-8")
    uneven.collect(lines).to_csv(uneven.STORED, index=False)


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--prepare", type=Path)
    options.add_argument("--tables", type=Path)
    options.add_argument("--keep", type=Path, nargs="+")
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--minutes", type=float, default=600.0)
    options.add_argument("--out", type=Path, default=Path("confirm.jsonl"))
    given = options.parse_args()
    if given.tables:
        os.environ["SENSECF_DATA"] = str(given.tables.resolve())
    if given.prepare:
        cells.prepare_tables(cells.data_folder(), given.prepare)
    elif given.keep:
        keep(given.keep)
    else:
        cells.work(cell, todo(), given.out, given.jobs, given.minutes)


if __name__ == "__main__":
    main()
