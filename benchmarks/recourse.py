"""RecourseBench's columns on public tables: `python benchmarks/recourse.py` (an hour; goes on where it stopped).

Three tables and three families of classifiers; the methods that run beside ours are asked about the same 50 held-out
rows. Each cell is two comparisons in `--out`, one of the answers that prefer likeness, so that these can be made anew
without the others; they are measured by what `sensecf bench recourse` calls. Finished cells are gathered into
benchmarks/recourse.csv, and what each of our rows and each other method say on the requests that both answer into
benchmarks/recourse_pairs.csv; `--write` makes docs/results/recourse.md of these two alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from hold import TABLES, table
from recourse_page import OURS, RANKED, page

import sensecf
from sensecf.core.files import cache_folder, replacing
from sensecf.core.rules import Floats
from sensecf.runs import recourse

ROOT = Path(__file__).resolve().parents[1]
STORED, PAIRED = ROOT / "benchmarks" / "recourse.csv", ROOT / "benchmarks" / "recourse_pairs.csv"
PAGE = ROOT / "docs" / "results" / "recourse.md"
#: German credit and breast cancer are tables of RecourseBench too; its classifiers are of these three families.
CELLS = [(name, how) for name in ("german", "breast_cancer", "rice") for how in ("logistic", "random-forest", "mlp")]
METHODS = (
    "search", "search@hold", "nearest", "constant+raw", "nice-sparsity+raw", "nice-proximity+raw",
    "nice-plausibility+raw", "cfnow+raw", "dice-random+raw", "robx+raw", "betarce+raw",
)  # fmt: skip
#: The answers that prefer likeness, in a comparison of their own.
ALIKE = ("search@likeness", "search@hold+likeness")
#: TreeCF is for ensembles of trees.
OF_TREES = ("treecf-sparse+raw",)
ASKED, REFITS = 50, 20


def compared(name: str, classifier: str, methods: tuple[str, ...], data: Path, folder: Path) -> None:
    """Make the comparison of one cell where it is not there."""
    if not (folder / "run.json").is_file():
        frame, schema = table(name, data)
        spec = sensecf.CompareSpec(
            methods,
            classifier=classifier,
            target=TABLES[name],
            limit=ASKED,
            limits=sensecf.Limits(edit="mutable", hold=0.0),
            refits=0,
            seconds_per_query=10.0,
            time_limit=300.0,
        )
        sensecf.compare(frame, schema, folder, spec)


def measured(name: str, classifier: str, data: Path, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns of one cell, of all methods, and the pairs."""
    cell = f"{name}-{classifier}"
    others = METHODS + OF_TREES * (classifier == "random-forest")
    parts: dict[str, Floats] = {}
    for end, methods in (("", others), ("-likeness", ALIKE)):
        compared(name, classifier, methods, data, out / (cell + end))
        asked, answers = recourse.read(out / (cell + end), REFITS)
        parts |= answers
    first, second = (pd.read_csv(out / f"{cell}{end}" / "factuals.csv") for end in ("", "-likeness"))
    pd.testing.assert_frame_equal(first, second)  # both were asked the same
    lines = [
        {"comparison": cell, "method": method, "requests": len(asked.names)} | recourse.columns(asked, rows)
        for method, rows in parts.items()
    ]
    return pd.DataFrame(lines), pairs(asked, parts).assign(comparison=cell)


def pairs(asked: recourse.Requests, parts: dict[str, Floats]) -> pd.DataFrame:
    """What each row of ours and each other method come to, on the requests that both answer."""
    there = {method: ~np.isnan(rows).all(axis=1) for method, rows in parts.items()}
    each = {
        method: recourse.distances(asked.task, asked.rows[there[method]], rows[there[method]]).set_index(
            np.flatnonzero(there[method])
        )[list(RANKED)]
        for method, rows in parts.items()
        if there[method].any()
    }
    lines = []
    for ours in (method for method in each if method in OURS):
        for other in (method for method in each if method not in OURS):
            common = each[ours].index.intersection(each[other].index)
            means = each[ours].loc[common].mean(), each[other].loc[common].mean()
            both = {
                f"{side}_{name}": mean[name]
                for side, mean in zip(("our", "their"), means, strict=True)
                for name in RANKED
            }
            lines.append({"comparison": "", "method": ours, "other": other, "requests": len(common)} | both)
    return pd.DataFrame(lines)


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
        for stored, found in zip((STORED, PAIRED), measured(name, how, given.data, given.out), strict=True):
            old = pd.read_csv(stored) if stored.is_file() else found.iloc[:0]
            order = {f"{one}-{other}": at for at, (one, other) in enumerate(CELLS)}
            whole = pd.concat([old[old["comparison"] != f"{name}-{how}"], found], ignore_index=True)
            whole = whole.sort_values("comparison", key=lambda names, order=order: names.map(order), kind="stable")
            with replacing(stored) as path:
                whole.round(6).to_csv(path, index=False)
    with replacing(PAGE) as path:
        path.write_text(page(pd.read_csv(STORED), pd.read_csv(PAIRED)), encoding="utf-8")


if __name__ == "__main__":
    main()
