"""Our NICE and CFNOW beside the originals: `python bench/peers/compare_originals.py`, or `make peers`.

Makes an environment with pinned versions for each original (NICEx, cfnow, dice-ml; some 1.4 GB in all, from the
package registry), hands all of them the same rows and the same classifier through files, runs them in processes
with time limits, and writes `results.json` and `results.md` beside this file: how far our implementations agree
with the originals, and all methods side by side. An original that cannot be installed, crashes or hangs is a row
with its reason.
"""

from __future__ import annotations

import argparse
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from peer_runs import HERE, WORK, Answers, Bench, bench, environment, failed, run_original, run_ours, write_task
from peer_scores import agreement, markdown, scores

import sensecf
from sensecf.core.errors import InputError
from sensecf.core.files import write_json, write_text
from sensecf.core.plain import cores
from sensecf.generators import Nearest, Search
from sensecf.generators.cfnow import CFNow
from sensecf.generators.nice import Nice

TABLES = ("simulated", "t1d_uom_daily_stress")
#: Environment, methods and the name of their rows.
ORIGINALS = {
    "nice": ("sparsity", "proximity", "plausibility"),
    "cfnow": ("greedy", "random"),
    "dice": ("random", "genetic", "kdtree"),
}
AGREEMENT = [
    "table", "ours", "theirs", "queries", "both", "valid_ours", "valid_theirs", "same_row", "same_features", "jaccard",
    "changed_ours", "changed_theirs", "mad_l1_ours", "mad_l1_theirs",
]  # fmt: skip
SIDE_BY_SIDE = [
    "table", "method", "queries", "answered", "valid", "valid_saved", "good", "changed", "mad_l1", "lof_inlier",
    "fixed_moved", "outside", "rule_broken", "seconds", "classifier_rows", "reasons",
]  # fmt: skip


def originals(benches: list[Bench], each: float, total: float, python: str | None) -> dict[str, list[Answers]]:
    """The answers of every original on every table, by table; as many processes at once as there are cores."""
    pythons: dict[str, Path | InputError] = {}
    for kind in ORIGINALS:
        try:
            pythons[kind] = environment(kind, python)
        except InputError as error:
            pythons[kind] = error
    for made in benches:
        write_task(made, WORK / made.name)

    def answer(job: tuple[Bench, str, str]) -> Answers:
        made, kind, method = job
        name, shape, binary = f"{kind}-{method} (original)", made.query.rows.shape, pythons[kind]
        if isinstance(binary, InputError):
            return failed(name, str(binary), shape)
        found = run_original(binary, HERE / f"run_{kind}.py", WORK / made.name, method, name, each, total, shape)
        print(f"{made.name}: {name}: {int((found.reason == '').sum())} of {shape[0]} queries answered", flush=True)
        return found

    jobs = [(made, kind, method) for made in benches for kind, methods in ORIGINALS.items() for method in methods]
    with ThreadPoolExecutor(cores()) as pool:
        answers = list(pool.map(answer, jobs))
    return {made.name: [a for a, job in zip(answers, jobs, strict=True) if job[0] is made] for made in benches}


def ours(task: sensecf.Task, filter_rules: bool = False) -> dict[str, Any]:
    """Our peers, as they come."""
    found: dict[str, Any] = {}
    for optimiser in ORIGINALS["nice"]:
        found[f"nice-{optimiser}"] = Nice(task, optimiser=optimiser, filter_rules=filter_rules)  # type: ignore[arg-type]
    for strategy in ORIGINALS["cfnow"]:
        found[f"cfnow-{strategy}"] = CFNow(task, strategy=strategy, filter_rules=filter_rules)  # type: ignore[arg-type]
    return found


def agreements(made: Bench, theirs: list[Answers]) -> list[dict[str, Any]]:
    """Our peers under the originals' conditions (nothing is fixed, no rules, the finest steps) against them.

    NICE a second time with HEOM as it is defined, instead of the sum of differences that the original computes;
    random CFNOW against itself with another seed, to show how far draws alone carry two runs apart.
    """
    known = {a.name.removesuffix(" (original)"): a for a in theirs}
    task, query, rows = made.free, made.free_query, []
    for name, generator in ours(task).items():
        mine = [run_ours(generator, task, query, f"{name} (ours)")]
        if name.startswith("nice"):
            defined = Nice(task, optimiser=name.removeprefix("nice-"), distance="heom")  # type: ignore[arg-type]
            mine.append(run_ours(defined, task, query, f"{name} (ours, heom)"))
        rows += [{"table": made.name} | agreement(a, known[name], task, query) for a in mine]
        if name == "cfnow-random":
            other = run_ours(generator, task, query, f"{name} (ours, another seed)", seed=1)
            rows.append({"table": made.name} | agreement(mine[0], other, task, query))
    return rows


def side_by_side(made: Bench, theirs: list[Answers]) -> list[dict[str, Any]]:
    """All methods by the table's own schema: the originals, ours, ours behind a rule filter, our own generators."""
    task, query = made.task, made.query
    generators = ours(task) | {f"{k} behind a rule filter": v for k, v in ours(task, filter_rules=True).items()}
    generators |= {"nearest": Nearest(task), "search": Search(task)}
    answers = [*theirs, *(run_ours(generator, task, query, name) for name, generator in generators.items())]
    return [{"table": made.name} | scores(a, task, query) for a in answers]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--queries", type=int, default=50, help="held-out rows per table (50)")
    parser.add_argument("--each", type=float, default=6, help="processor seconds an original has per query (6)")
    parser.add_argument("--total", type=float, default=3000, help="seconds an original has per table (3000)")
    parser.add_argument("--python", help="Python 3.9 to 3.11 for the originals (default: the first that is found)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of results.json and results.md")
    options = parser.parse_args()
    agree: list[dict[str, Any]] = []
    table: list[dict[str, Any]] = []
    benches = [bench(name, options.queries) for name in options.tables.split(",")]
    theirs = originals(benches, options.each, options.total, options.python)
    for made in benches:
        agree += agreements(made, theirs[made.name])
        table += side_by_side(made, theirs[made.name])
    results = {
        "agreement": agree,
        "side_by_side": table,
        "limits": {"processor_seconds_per_query": options.each, "seconds_per_table": options.total},
        "versions": {"python": platform.python_version(), "sensecf": sensecf.__version__, "numpy": np.__version__},
    }
    write_json(options.out / "results.json", results)
    text = f"""XGBoost, {options.queries} held-out rows per table outside the target class, blanks filled by training
medians. The originals had {options.each:g} processor seconds per query. Made by
`python bench/peers/compare_originals.py`; `bench/peers/README.md` says what the columns mean.

## Agreement

{markdown(agree, AGREEMENT)}

## Side by side

{markdown(table, SIDE_BY_SIDE)}
"""
    write_text(options.out / "results.md", text)
    print(text)


if __name__ == "__main__":
    main()
