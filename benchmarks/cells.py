"""Cells of a benchmark done in parallel within a time: one line of JSON each, in the order of their worth."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from shutil import copyfile
from typing import Any

import sensecf

Place = dict[str, Any]

#: Files of the public tables that benchmarks read, below the data folder.
FILES = (
    "heart_disease_cleveland/heart_cleveland.csv",
    "t1d_uom_daily_stress/t1d_uom_daily_stress.csv",
    "lifesnaps_daily/lifesnaps_stress.csv",
)


def prepare_tables(source: Path, folder: Path) -> None:
    """Copy the public tables (half a megabyte) into a folder that can be carried to another machine."""
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copyfile(source / name, folder / name)


def data_folder() -> Path:
    """Where the public tables are: SENSECF_DATA, else beside the checkout."""
    beside = Path(sensecf.__file__).resolve().parents[4] / "shared" / "data"
    return Path(os.environ.get("SENSECF_DATA") or beside)


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of whole cells; a torn last line is left out."""
    out: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:
                continue
    return out


def work(cell: Callable[[Place], Any], todo: Iterable[Place], path: Path, jobs: int, minutes: float) -> None:
    """Do the cells that `path` lacks, `jobs` at a time, in order; none begins or is waited for after `minutes`.

    A cell that fails is told and left out. Each line holds `place`, `seconds` and what `cell` returned as `found`.
    """
    os.environ.update(SENSECF_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    done = {json.dumps(kept["place"], sort_keys=True) for kept in read(path)}
    left = [place for place in todo if json.dumps(place, sort_keys=True) not in done]
    until, running = time.monotonic() + 60 * minutes, {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(_timed, cell, place): place for place in left[:jobs]}
        waiting = iter(left[jobs:])
        while running and time.monotonic() < until:
            finished, _ = wait(running, timeout=max(0.0, until - time.monotonic()), return_when=FIRST_COMPLETED)
            for future in finished:
                _keep(future, running.pop(future), file)
                place = next(waiting, None)
                if place is not None and time.monotonic() < until:
                    running[pool.submit(_timed, cell, place)] = place
        for process in list((pool._processes or {}).values()) if running else ():
            process.terminate()
    print(f"{len(read(path))} cells in {path}; {len(left)} were asked for", flush=True)


def _keep(future: Future[Any], place: Place, file: Any) -> None:
    error = future.exception()
    if error is not None:
        print(f"{place}: {type(error).__name__}: {error}", flush=True)
        return
    seconds, found = future.result()
    file.write(json.dumps({"place": place, "seconds": seconds, "found": found}) + "\n")
    file.flush()


def _timed(cell: Callable[[Place], Any], place: Place) -> tuple[float, Any]:
    began = time.process_time()
    found = cell(place)
    return round(time.process_time() - began, 2), found


def interleaved(parts: Sequence[Sequence[Place]]) -> list[Place]:
    """Places of several kinds in one order, each kind spread evenly."""
    ranked = [((number + 0.5) / len(part), place) for part in parts for number, place in enumerate(part)]
    return [place for _, place in sorted(ranked, key=lambda pair: pair[0])]
