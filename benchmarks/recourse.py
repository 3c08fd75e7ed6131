"""RecourseBench's columns on public tables: `python benchmarks/recourse.py` (an hour; goes on where it stopped).

Three tables and three families of classifiers; the methods that run beside ours are asked about the same 50 held-out
rows. Each cell is a comparison in `--out`, measured by what `sensecf bench recourse` calls; finished cells are gathered
into benchmarks/recourse.csv, and `--write` makes docs/results/recourse.md of that alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from hold import TABLES, table
from recourse_page import page

import sensecf
from sensecf.core.files import cache_folder, replacing
from sensecf.runs import recourse

ROOT = Path(__file__).resolve().parents[1]
STORED, PAGE = ROOT / "benchmarks" / "recourse.csv", ROOT / "docs" / "results" / "recourse.md"
#: German credit and breast cancer are tables of RecourseBench too; its classifiers are of these three families.
CELLS = [(name, how) for name in ("german", "breast_cancer", "rice") for how in ("logistic", "random-forest", "mlp")]
METHODS = (
    "search", "search@hold", "nearest", "constant+raw", "nice-sparsity+raw", "nice-proximity+raw",
    "nice-plausibility+raw", "cfnow+raw", "dice-random+raw", "robx+raw", "betarce+raw",
)  # fmt: skip
#: TreeCF is for ensembles of trees.
OF_TREES = ("treecf-sparse+raw",)
ASKED, REFITS = 50, 20


def compared(name: str, classifier: str, data: Path, out: Path) -> Path:
    """The comparison of one cell, made where it is not there."""
    folder = out / f"{name}-{classifier}"
    if not (folder / "run.json").is_file():
        frame, schema = table(name, data)
        spec = sensecf.CompareSpec(
            METHODS + OF_TREES * (classifier == "random-forest"),
            classifier=classifier,
            target=TABLES[name],
            limit=ASKED,
            limits=sensecf.Limits(edit="mutable", hold=0.0),
            refits=0,
            seconds_per_query=10.0,
            time_limit=300.0,
        )
        sensecf.compare(frame, schema, folder, spec)
    return folder


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options.add_argument("--out", type=Path, default=cache_folder() / "recourse")
    options.add_argument("--cells", default="", help="only these: german-mlp,rice-logistic")
    options.add_argument("--write", action="store_true", help="only make the page of what is stored")
    given = options.parse_args()
    wanted = given.cells.split(",") if given.cells else [f"{name}-{how}" for name, how in CELLS]
    for name, how in CELLS:
        if given.write or f"{name}-{how}" not in wanted:
            continue
        folder = compared(name, how, given.data, given.out)
        found = recourse.table([folder], REFITS)
        old = pd.read_csv(STORED) if STORED.is_file() else found.iloc[:0]
        stored = pd.concat([old[old["comparison"] != folder.name], found], ignore_index=True)
        order = {f"{one}-{other}": at for at, (one, other) in enumerate(CELLS)}
        stored = stored.sort_values("comparison", key=lambda names: names.map(order), kind="stable")
        with replacing(STORED) as path:
            stored.round(6).to_csv(path, index=False)
    with replacing(PAGE) as path:
        path.write_text(page(pd.read_csv(STORED)), encoding="utf-8")


if __name__ == "__main__":
    main()
