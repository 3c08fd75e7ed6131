"""Every method against every other on four tables x four classifiers: `python benchmarks/compare_peers.py`.

A cell is one `sensecf compare` of all methods on held-out rows, towards every class. Finished cells are
kept (`--cells`, below the cache by default) and not computed again, and an unfinished one goes on where
it stopped. Then the cells are pooled: paired tests of `tiny` and `search` against each other
method, people kept whole; Friedman's test over the cells with critical differences. Figures go to
benchmarks/compare_peers.csv (cells) and .json (tests); `--write` puts tables and pictures into docs/results/methods.md.
About three hours on two cores.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from sections import replace_section

import sensecf
from sensecf.core.files import cache_folder, write_json, write_text
from sensecf.metrics import statistics
from sensecf.runs.compare import CompareSpec, compare
from sensecf.runs.compare.figures import critical_difference
from sensecf.runs.compare.scores import ALL, request_ranks
from sensecf.runs.experiment import Call
from sensecf.runs.run import versions

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs" / "results"
TABLES = ("t1d_uom_daily_stress", "lifesnaps_daily", "heart_disease_cleveland", "simulated")
CLASSIFIERS = ("xgboost", "random-forest", "svm", "mlp")
METHODS = (
    "tiny", "search", "nearest", "nice-sparsity", "nice-proximity", "nice-plausibility", "cfnow-greedy", "cfnow-random",
    "dice-random", "dice-genetic", "dice-kdtree", "treecf-sparse", "treecf-genetic", "exact",
)  # fmt: skip
OURS = ("tiny", "search")
#: The columns of the published table: the title and the metric, and whether it is written in per cent.
COLUMNS = {
    "success@3": "success_at_3", "valid": "validity", "answered": "coverage", "breaks no rule": "feasible",
    "changes": "n_changed", "L1/MAD": "mad_l1", "LOF inlier": "lof_inlier", "in range": "in_training_range",
    "judges": "judge_validity", "retrained": "retrain_validity",
}  # fmt: skip
#: What Friedman's test ranks: the title, the metric, whether more is better.
RANKED = (("success@3", "success_at_3", True), ("distance (L1/MAD)", "mad_l1", False), ("changes", "n_changed", False))


def cell(table: str, classifier: str, folder: Path, options: argparse.Namespace) -> None:
    """One comparison, unless it is there already; `first.csv` holds the values of each request."""
    if (folder / "first.csv").exists():
        return
    data = sensecf.datasets.load(table)
    request = CompareSpec(
        tuple(options.methods.split(",")), classifier=classifier, each_class=True, limit=options.limit,
        seconds_per_query=options.seconds_per_query, time_limit=options.time_limit,
    )  # fmt: skip
    made = compare(
        data.frame, data.schema, folder, request, call=Call(
            (folder / "run.json").exists(),
            progress=lambda phase, share: print(f"{table} {classifier} {phase} {share:.0%}", flush=True),
        ),
    )  # fmt: skip
    first = {
        f"{metric}|{method}": values for metric, found in made.scores.first.items() for method, values in found.items()
    }
    person = made.requests["group"] if data.schema.group else made.requests["name"]
    frame = pd.DataFrame(first).assign(person=[f"{table} {p}" for p in person])
    write_text(folder / "first.csv", frame.to_csv(index=False))


def read(folder: Path) -> tuple[pd.DataFrame, dict[str, pd.DataFrame], pd.Series[Any]]:
    """A finished cell: its summary over all requests, the values of each request by metric, who it is about."""
    summary = pd.read_csv(folder / "table.csv")
    frame = pd.read_csv(folder / "first.csv")
    person = frame.pop("person")
    metrics = dict.fromkeys(str(name).partition("|")[0] for name in frame)
    first = {m: frame.filter(regex=rf"^{m}\|").rename(columns=lambda name: name.partition("|")[2]) for m in metrics}
    return summary[summary["direction"] == ALL], first, person


def pooled(cells: dict[str, Any]) -> pd.DataFrame:
    """Ours against each other method over all cells, with p values corrected by Holm within a metric."""
    methods = [str(name) for name in next(iter(cells.values()))[1]["success_at_3"]]
    people = pd.concat([person for _, _, person in cells.values()], ignore_index=True).to_numpy()
    rows = []
    for metric in ("success_at_3", "validity", "n_changed", "mad_l1", "lof_inlier"):
        table = pd.concat([first[metric] for _, first, _ in cells.values()], ignore_index=True)
        family = []
        for own, other in product(OURS, methods):
            if own != other and own in methods:
                found = statistics.paired(table[own], table[other], people)
                family.append({"metric": metric, "ours": own, "other": other, **vars(found)})
        for row, p in zip(family, statistics.holm([row["p"] for row in family]), strict=True):
            rows.append({**row, "p_holm": float(p)})
    return pd.DataFrame(rows)


def ranked(cells: dict[str, Any]) -> dict[str, Any]:
    """Friedman's test over the cells, of the methods that solve something in every cell."""
    out = {}
    for title, metric, higher in RANKED:
        scores = pd.DataFrame(
            {
                name: first[metric].mean() if higher else request_ranks(first[metric], higher)
                for name, (_, first, _) in cells.items()
            }
        ).T
        there = [m for m in scores if all(first["validity"][m].mean() > 0 for _, first, _ in cells.values())]
        if len(there) < 3 or len(cells) < 2:
            continue
        found = statistics.friedman(scores[there].to_numpy(), higher)
        out[title] = {
            "methods": there, "ranks": found.ranks.tolist(), "statistic": found.statistic, "p": found.p,
            "critical": found.critical, "cells": len(cells),
        }  # fmt: skip
    return out


def markdown(cells: dict[str, Any], tests: pd.DataFrame, ranks: dict[str, Any]) -> str:
    """The section of docs/results/methods.md."""
    lines = ["Means with their denominators; the intervals stand in `table.csv` of each comparison.", ""]
    heads = ["table", "classifier", "method", *COLUMNS]
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, (summary, _, _) in cells.items():
        by = summary.set_index(["method", "metric"])
        for method in dict.fromkeys(summary["method"]):
            found = [by.loc[(method, metric)] if (method, metric) in by.index else None for metric in COLUMNS.values()]
            texts = ["–" if f is None or not f["n"] else f"{f['value']:.3g} ({int(f['n'])})" for f in found]
            lines.append("| " + " | ".join([*name.split("/"), method, *texts]) + " |")
    lines += ["", "Pooled over all cells; p: sign flips over people, Holm over the metric.", ""]
    heads = ["ours", "against", "success@3", "p", "changes", "p", "L1/MAD", "p", "LOF inlier", "p"]
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for (own, other), part in tests.groupby(["ours", "other"], sort=False):
        row = part.set_index("metric")
        texts = []
        for metric in ("success_at_3", "n_changed", "mad_l1", "lof_inlier"):
            f = row.loc[metric]
            texts += [f"{f['mean_a']:.3g} – {f['mean_b']:.3g} ({int(f['n'])})", f"{f['p_holm']:.2g}"]
        lines.append("| " + " | ".join([str(own), str(other), *texts]) + " |")
    for number, (title, found) in enumerate(ranks.items(), start=1):
        lines += [
            "",
            f"Ranks by {title} over {found['cells']} cells (Friedman p = {found['p']:.2g}); cells of one table are not "
            "independent, so that the difference called critical is rather too small.",
            "",
            f"![Critical-difference diagram: {title}](peers-{number}.svg)",
        ]
    return "\n".join(lines)


def write(text: str, ranks: dict[str, Any]) -> None:
    """Put the section between its markers and the pictures beside it."""
    for number, (title, found) in enumerate(ranks.items(), start=1):
        svg = critical_difference(found["methods"], found["ranks"], found["critical"], title)
        write_text(DOCS / f"peers-{number}.svg", svg.replace('width="100%"', 'width="860"', 1) + "\n")
    replace_section(DOCS / "methods.md", "peers", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--classifiers", default=",".join(CLASSIFIERS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--limit", type=int, default=50, help="requests per class and cell")
    parser.add_argument("--seconds-per-query", type=float, default=10.0)
    parser.add_argument("--time-limit", type=float, default=600.0)
    parser.add_argument("--cells", type=Path, default=cache_folder() / "compare_peers")
    parser.add_argument("--write", action="store_true", help="update docs/results/methods.md")
    options = parser.parse_args()
    cells = {}
    for table, classifier in product(options.tables.split(","), options.classifiers.split(",")):
        folder = options.cells / f"{table}-{classifier}"
        cell(table, classifier, folder, options)
        cells[f"{table}/{classifier}"] = read(folder)
    tests, ranks = pooled(cells), ranked(cells)
    summary = pd.concat([found.assign(cell=name) for name, (found, _, _) in cells.items()], ignore_index=True)
    kept = summary[summary["metric"].isin(COLUMNS.values())].drop(columns=["direction"]).round(6)
    records = {
        "pooled": json.loads(tests.round(6).to_json(orient="records")),
        "ranks": ranks,
        "versions": versions(),
        "limit": options.limit,
    }
    write_json(HERE / "compare_peers.json", records)
    write_text(HERE / "compare_peers.csv", kept.to_csv(index=False))
    text = markdown(cells, tests, ranks)
    print(text)
    if options.write:
        write(text, ranks)


if __name__ == "__main__":
    main()
