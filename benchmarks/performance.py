"""Where the time of an answer goes: `python benchmarks/performance.py` (about a quarter of an hour on two cores).

Tables of 14, 50 and 200 features, XGBoost, `search` and the embedded model (with fewer pairs than by default: only
asking is measured). Processor time per query in one thread, split into the stages that bound it: the classifier, the
model, the LOF, and the rest (rules, distances, choosing). Then more and more queries at 14 features, for time per
query and memory; and through a file, part by part, with `--only streams --most 1000000` (40 minutes) for a million.
JSON in benchmarks/performance.json; `--write` puts the tables into docs/performance.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sections import replace_section

from sensecf.core.files import write_json

HERE = Path(__file__).resolve().parent
WIDTHS, TRAIN, QUERIES = (14, 50, 200), 2000, 512
AMOUNTS, STREAMS = (1_000, 10_000, 100_000), (10_000, 1_000_000)
#: Matrix products, as PyTorch's profiler names them.
PRODUCTS = ("aten::addmm", "aten::mm", "aten::bmm", "aten::_scaled_dot_product_flash_attention_for_cpu")


def table(width: int, rows: int, seed: int) -> pd.DataFrame:
    """Correlated numbers with one decimal, and a label that eight of them decide with some noise."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(0).normal(size=(6, width))
    values = rng.normal(size=(rows, 6)) @ mix + rng.normal(size=(rows, width))
    score = values[:, :8] @ np.array([2, -1.5, 1, -1, 1, -0.5, 0.5, 0.5]) + rng.normal(size=rows)
    frame = pd.DataFrame(np.round(10 * values + 100, 1), columns=[f"f{j:03d}" for j in range(width)])
    return frame.assign(label=np.where(score > 0, "yes", "no"))


def make(width: int) -> Any:
    """The task of a table."""
    import sensecf
    from sensecf.data.infer.infer import infer_schema

    train = table(width, TRAIN, 1)
    schema = infer_schema(train, "label")
    return sensecf.Task(schema, train, sensecf.fit_classifier("xgboost", schema, train))


def generator_of(name: str, task: Any) -> Any:
    """A generator that is built in seconds."""
    from dataclasses import replace

    from sensecf.generators import Context, build

    if name != "tiny":
        return build(name, task)
    from sensecf.generators.tiny.tiny import Recipe

    return build(name, task, Context(options={"recipe": replace(Recipe(), pairs=1500, rounds=18)}))


def asked(task: Any, count: int, seed: int = 2) -> pd.DataFrame:
    """Rows that nobody has seen and that the classifier does not put in the target class."""
    found = table(len(task.schema), 3 * count, seed)
    rows = np.clip(task.codec.encode(found), task.codec.low, task.codec.high)
    other = task.judge(rows, final=True).predicted != task.target_position("yes")
    people: pd.DataFrame = task.codec.decode(rows[other][:count])
    return people


def stages(width: int, name: str) -> dict[str, Any]:
    """Processor time per query by stage."""
    from dataclasses import replace

    import sensecf
    from sensecf.core.plausibility import Plausibility
    from sensecf.core.task import Task

    task = make(width)
    generator = generator_of(name, task)
    generator.traits = replace(generator.traits, concurrent=False)  # one thread: what is measured is work
    people = asked(task, QUERIES)
    sensecf.explain(task, generator, people.head(16), "yes", hold=0.0)
    spent: Counter[str] = Counter()
    counted: Counter[str] = Counter()

    def watch(owner: Any, attribute: str, stage: str) -> Callable[[], None]:
        inner = getattr(owner, attribute)

        @wraps(inner)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return inner(*args, **kwargs)
            finally:
                spent[stage] += time.process_time() - began
                counted[stage] += len(args[1]) if stage != "model" else 0

        setattr(owner, attribute, timed)
        return lambda: setattr(owner, attribute, inner)

    undo = [watch(Task, "judge", "classifier"), watch(Plausibility, "score", "LOF")]
    if name == "tiny":
        from sensecf.generators.tiny import tiny

        undo.append(watch(tiny, "sample", "model"))
    began = time.process_time()
    answers = sensecf.explain(task, generator, people, "yes", hold=0.0)
    total = time.process_time() - began
    for restore in undo:
        restore()
    per = 1000 / len(people)
    if name == "tiny":
        spent["products"] = products(task, generator, people)
    return {
        "features": width,
        "generator": name,
        "queries": len(people),
        "answered": len(answers.answers) / len(people),
        "ms_per_query": round(total * per, 3),
        **{f"{stage}_ms": round(seconds * per, 3) for stage, seconds in sorted(spent.items())},
        "rest_ms": round((total - sum(spent[stage] for stage in ("classifier", "LOF", "model"))) * per, 3),
        "classifier_rows": round(counted["classifier"] / len(people), 1),
        "lof_rows": round(counted["LOF"] / len(people), 1),
    }


def products(task: Any, generator: Any, people: pd.DataFrame) -> float:
    """Seconds that the matrix products alone of the model's sampling take, of the very same shapes."""
    from torch.profiler import ProfilerActivity, profile

    from sensecf.core.limits import make_query

    query = make_query(task, people, "yes")
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        generator.propose(query, np.random.default_rng(0))
    return sum(e.self_cpu_time_total for e in watched.key_averages() if e.key in PRODUCTS) / 1e6


def amount(count: int, name: str) -> dict[str, Any]:
    """Seconds per query and the most memory, for so many queries of 14 features; run it in a process of its own."""
    import sensecf

    task = make(WIDTHS[0])
    generator = generator_of(name, task)
    people = asked(task, count)
    sensecf.explain(task, generator, people.head(512), "yes", hold=0.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, busy = time.perf_counter(), time.process_time()
    sensecf.explain(task, generator, people, "yes", hold=0.0)
    taken = time.perf_counter() - began
    return {
        "queries": len(people),
        "generator": name,
        "answers_per_second": round(len(people) / taken, 1),
        "processor_ms_per_query": round(1000 * (time.process_time() - busy) / len(people), 3),
        "mib_before": round(before / 1024),
        "mib_most": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "load": round(os.getloadavg()[0], 1),
    }


def stream(count: int, name: str) -> dict[str, Any]:
    """So many queries of 14 features in a Parquet file, through `sensecf answer`: a process that reads part by part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from sensecf.data.infer.infer import infer_schema
    from sensecf.runs.run import RunSpec, run

    with tempfile.TemporaryDirectory() as folder:
        home, train = Path(folder), table(WIDTHS[0], TRAIN, 1)
        schema = infer_schema(train, "label")
        run(train, schema, home / "run", RunSpec(generator=name, target="yes", limit=10))
        task = make(WIDTHS[0])
        written, writer = 0, None
        for seed in itertools.count(2):
            people = asked(task, 100_000, seed).head(count - written)
            part = pa.Table.from_pandas(people, preserve_index=False)
            writer = writer or pq.ParquetWriter(home / "people.parquet", part.schema)
            writer.write_table(part)
            written += len(people)
            if written == count:
                writer.close()
                break
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        script = Path(sys.executable).with_name("sensecf")
        command = [script, "answer", home / "run", home / "people.parquet", "--out", home / "out"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        facts = json.loads((home / "out" / "run.json").read_text(encoding="utf-8"))
        size = (home / "out" / "counterfactuals.parquet").stat().st_size
    return {
        "queries": count,
        "generator": name,
        "answered": round(facts["rows_answered"] / count, 4),
        "answers_per_second": round(count / taken, 1),
        "processor_ms_per_query": round(1000 * busy / count, 3),
        "mib_most": round(after.ru_maxrss / 1024),
        "mib_written": round(size / 2**20),
        "load": round(os.getloadavg()[0], 1),
    }


#: The tables and what measures a line of each; JSON and documents name them alike.
PARTS: dict[str, Callable[[int, str], dict[str, Any]]] = {"stages": stages, "amounts": amount, "streams": stream}


def alone(*arguments: str) -> dict[str, Any]:
    """One measurement (part, number, generator) in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--one", *arguments]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def markdown(records: list[dict[str, Any]]) -> str:
    """Records as a Markdown table."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(str(r.get(key, "")) for key in columns) + " |" for r in records])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, help="one of the tables; the others stay as they are")
    parser.add_argument("--most", type=int, default=AMOUNTS[-1], help="largest number of queries")
    parser.add_argument("--write", action="store_true", help="update docs/performance.md")
    parser.add_argument("--one", nargs=3, metavar=("WHAT", "NUMBER", "GENERATOR"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, number, name = options.one
        print(json.dumps(PARTS[what](int(number), name)))
        return
    asked_for = {
        "stages": [(width, name) for name in ("tiny", "search") for width in WIDTHS],
        "amounts": [(count, "tiny") for count in AMOUNTS if count <= options.most],
        "streams": [(count, "tiny") for count in STREAMS if count <= options.most],
    }
    found: dict[str, Any] = json.loads((HERE / "performance.json").read_text(encoding="utf-8"))
    for part in PARTS if options.only is None else [options.only]:
        found[part] = []
        for number, name in asked_for[part]:
            found[part].append(alone(part, str(number), name))
            print(found[part][-1], flush=True)
    from sensecf.runs.run import versions

    write_json(HERE / "performance.json", found | {"versions": versions()})
    for part in PARTS:
        records = found[part]
        print("\n" + markdown(records))
        if options.write:
            replace_section(HERE.parent / "docs" / "performance.md", part, markdown(records))


if __name__ == "__main__":
    main()
