"""From simulated sensor files to a table: time, memory and growth with the number of people.

    python benchmarks/sensors.py [--people 50,200,2000] [--days 10] [--jobs 2] [--folder DIR]

Each tree is written, built once, and removed. The largest is written with fewer days if it would not
fit into `--disk` GiB. Printed for each: records, seconds to simulate and to build, processor seconds and
the largest memory of all processes of the build together; then how processor time grows from tree to
tree (1.0: linear in the records), which other work on the machine disturbs less than seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

#: GiB of a person's day of files.
_GIB_PER_DAY = 1.1 / 2000


def measure(root: Path, people: int, days: int, jobs: int) -> dict[str, Any]:
    """Simulate, then build in a program of its own whose memory and processor time are watched."""
    from sensecf.sensors import simulate

    began = time.perf_counter()
    simulate(root, people, days, seed=0, jobs=jobs)
    simulated = time.perf_counter() - began
    child = subprocess.Popen(
        [sys.executable, __file__, "--build", str(root), "--jobs", str(jobs)], stdout=subprocess.PIPE, text=True
    )
    peak, busy = 0, {child.pid: 0.0}
    while child.poll() is None:
        seen = _family(child.pid)
        peak = max(peak, sum(memory for memory, _ in seen.values()))
        busy |= {pid: seconds for pid, (_, seconds) in seen.items()}
        time.sleep(0.05)
    assert child.stdout is not None
    facts = json.loads(child.stdout.read())
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    return {
        "people": people, "days": days, "GiB": round(size / 2**30, 2), "simulate_s": round(simulated, 1), **facts,
        "processor_s": round(sum(busy.values()), 1), "peak_MiB": round(peak / 2**20),
    }  # fmt: skip


def build_and_print(root: Path, jobs: int) -> None:
    """What the watched program does."""
    from sensecf.sensors import build

    began = time.perf_counter()
    built = build(root, "aireadi", jobs=jobs)
    seconds = round(time.perf_counter() - began, 1)
    print(json.dumps({"rows": len(built.table), "records": built.report.seen["records"], "build_s": seconds}))


def _family(root: int) -> dict[int, tuple[int, float]]:
    """Memory (bytes, shared pages in proportion) and processor seconds of a process and those it started (Linux)."""
    stats: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stats[int(entry.name)] = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:  # it ended meanwhile
                continue
    found: dict[int, tuple[int, float]] = {}
    todo = [root]
    while todo:
        pid = todo.pop()
        todo += [child for child, fields in stats.items() if int(fields[1]) == pid]
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        memory = sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        ticks = sum(int(field) for field in stats[pid][11:13]) if pid in stats else 0
        found[pid] = (memory, ticks / os.sysconf("SC_CLK_TCK"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", default="50,200,2000")
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--disk", type=float, default=3.0, help="GiB that the largest tree may take")
    parser.add_argument("--folder", type=Path, help="where the trees are written (default: a temporary folder)")
    parser.add_argument("--out", type=Path, help="write the figures as JSON too")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build is not None:
        build_and_print(options.build, options.jobs)
        return
    figures = []
    for people in (int(text) for text in options.people.split(",")):
        days = max(1, min(options.days, math.floor(options.disk / (people * _GIB_PER_DAY))))
        folder = Path(tempfile.mkdtemp(prefix="sensecf-", dir=options.folder))
        try:
            figures.append(measure(folder / "tree", people, days, options.jobs))
        finally:
            shutil.rmtree(folder)
        print(json.dumps(figures[-1]), flush=True)
    for small, large in pairwise(figures):
        growth = math.log(large["processor_s"] / small["processor_s"]) / math.log(large["records"] / small["records"])
        print(f"{small['people']} to {large['people']} people: processor time grows as records ** {growth:.2f}")
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
