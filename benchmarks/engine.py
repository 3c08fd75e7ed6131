"""What workers bring: study cells here, and on Ray with one and two workers: `python benchmarks/engine.py`.

The same splits of the simulated cohort in every way, in turns, `--repeats` times; ratios are taken within
a turn, and medians over turns. Seconds are those of the cells, the workers' imports included; starting Ray
is told apart. All ways must write the same files. Two workers need two processors: the load of the machine
before each turn stands beside the seconds. `--write` keeps the result in benchmarks/engine.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from sensecf.core.files import write_json
from sensecf.core.parallel import LOCAL, Engine, connected
from sensecf.runs.study import Study, run_study
from sensecf.runs.study.cells import StudyTable

HERE = Path(__file__).resolve().parent
RAY = Engine("ray")
#: Name, engine, workers.
WAYS = (("local 1", LOCAL, 1), ("local 2", LOCAL, 2), ("ray 1", RAY, 1), ("ray 2", RAY, 2))
#: The bar: cells on two workers of Ray against one.
BAR = 1.6


def study(seeds: int) -> Study:
    return Study(
        tables=(StudyTable("simulated"),), scenarios=("a", "c"), removed=(0.5,), seeds=seeds, method="smote@1",
        methods=("smote@1", "oversampling@1", "nothing", "oracle"), classifiers=("xgboost", "mlp", "random-forest"),
    )  # fmt: skip


def seconds(asked: Study, out: Path, engine: Engine, workers: int) -> tuple[float, float]:
    """Seconds to start Ray, and to do the cells."""
    began = time.perf_counter()
    if engine is LOCAL:
        run_study(asked, out, workers)
        return 0.0, time.perf_counter() - began
    with connected(engine, workers):
        started = time.perf_counter()
        run_study(asked, out, workers, engine=engine)
        return started - began, time.perf_counter() - started


def cells(out: Path) -> dict[str, str]:
    """The files of a study without the seconds in them."""
    found = {}
    for path in sorted(out.glob("cells/**/*.json")):
        cell = json.loads(path.read_text(encoding="utf-8"))
        del cell["seconds"]
        found[str(path.relative_to(out))] = json.dumps(cell)
    return found


def measure(seeds: int, repeats: int) -> dict[str, Any]:
    """Medians over turns, and whether all ways wrote the same."""
    asked = study(seeds)
    turns: list[dict[str, Any]] = []
    same = True
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(repeats):
            took, written = {}, []
            starts, load = [], os.getloadavg()[0]
            for name, engine, workers in WAYS:
                out = Path(folder) / f"{turn}-{name}"
                start, took[name] = seconds(asked, out, engine, workers)
                starts.append(start)
                written.append(cells(out))
            same &= all(found == written[0] for found in written)
            turns.append({"load": round(load, 1), "start": round(max(starts), 1), "seconds": took})
            print(f"turn {turn + 1}: load {load:.1f}, " + ", ".join(f"{k} {v:.1f} s" for k, v in took.items()))

    def ratio(slow: str, fast: str) -> float:
        return round(statistics.median(t["seconds"][slow] / t["seconds"][fast] for t in turns), 2)

    return {
        "question": "what do two workers bring, and what does Ray cost?",
        "processors": len(os.sched_getaffinity(0)),
        "cells": len(written[0]),
        "splits": 2 * seeds,
        "same_files": same,
        "seconds": {name: round(statistics.median(t["seconds"][name] for t in turns), 1) for name, *_ in WAYS},
        "seconds_to_start_ray": statistics.median(t["start"] for t in turns),
        "ray_2_against_ray_1": ratio("ray 1", "ray 2"),
        "ray_2_against_local_1": ratio("local 1", "ray 2"),
        "local_2_against_local_1": ratio("local 1", "local 2"),
        "bar": BAR,
        "turns": [t | {"seconds": {k: round(v, 1) for k, v in t["seconds"].items()}} for t in turns],
    }


def main() -> None:
    """Print the figures, and keep them with --write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6, help="Two splits for each.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="Keep the result in benchmarks/engine.json.")
    options = parser.parse_args()
    found = measure(options.seeds, options.repeats)
    print(json.dumps(found, indent=2))
    if options.write:
        write_json(HERE / "engine.json", found)


if __name__ == "__main__":
    main()
