"""Damaged tables, frames, schemas, folders, logs and caches: how many end in a traceback, a hang or wrong values?

    python benchmarks/damage.py --tries 1800 --seed 0 [--from 900] [--kind table]

Each try copies something that SenseCF wrote, or reads, damages it and goes on with it in a process of its own, a
fork of this one. Right is a refusal in one line (status 2), or a result that holds: the one that the undamaged copy
gives where that is what is asked for, otherwise people as the table has them and answers that `tests/checker.py`
finds nothing wrong with. Prints how often each kind came to what, and every try that was wrong; the status is 1
where there is one. To save time, one metric makes 5 trees, not 100, and four runs in five write no report.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import pandas as pd
import skops.io  # noqa: F401  # before the forks, once
from damage_ways import COLUMNS, FRAMES, damage
from fuzz import SIPS
from sklearn.ensemble import IsolationForest

from checker import problems
from sensecf import InputError, Task, cli, explain
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.limits import make_query
from sensecf.core.schema import FeatureSchema
from sensecf.data.infer.infer import infer_schema
from sensecf.generators.search import Search
from sensecf.generators.tiny.tiny import Tiny
from sensecf.llm import Completion, Message
from sensecf.llm.asking import Answer
from sensecf.llm.asking import Request as Asked
from sensecf.llm.ledger import Ledger
from sensecf.metrics import plausibility
from sensecf.runs import run as running
from sensecf.runs.apply import Layout, answer
from sensecf.runs.experiment import Call, silent
from sensecf.runs.finished import open_run
from sensecf.runs.record.journal import Journal
from sensecf.runs.run import RunSpec, run

#: A try hangs after so many times what the slowest undamaged one took, in seconds at least the second.
HANGS = 10.0, 30.0
#: How a try may end, and the status of a child that found a wrong value.
RIGHT, WRONG = ("done", "refused"), 44
QUICK = RunSpec(classifier="logistic", generator="search")


class Kind(NamedTuple):
    """Something that is damaged: `files` (patterns) below `folder`; `use` gives what it says, to be compared."""

    name: str
    folder: Path
    files: tuple[str, ...]
    use: Callable[[Path], Any]
    #: Whether what is accepted must be as undamaged; a run's settings or a table may be others, and are obeyed.
    exact: bool = False


class WrongValueError(Exception):
    """What was accepted, and comes out as something else."""


def people(n: int, seed: int = 0) -> pd.DataFrame:
    """A table of n people: two numbers, a level, a label."""
    rng = np.random.default_rng(seed)
    steps, sleep = rng.integers(1000, 15000, n), rng.normal(420, 60, n).round()
    stress = np.where(steps / 8000 + sleep / 420 + rng.normal(0, 0.3, n) < 2, "high", "low")
    return pd.DataFrame({"steps": steps, "sleep": sleep, "sex": rng.choice(["f", "m"], n), "stress": stress})


def answers_in(folder: Path) -> str:
    """The answers of a folder, without the time they took."""
    return pd.read_csv(folder / "counterfactuals.csv").drop(columns="seconds").to_csv(index=False)


def sound(factuals: pd.DataFrame, answers: pd.DataFrame, schema: FeatureSchema, seen: pd.DataFrame) -> None:
    """Raise `WrongValueError` where an answer breaks what the schema says."""
    people = factuals.to_dict("index")
    for row in answers[answers["rank"].notna()].to_dict("records"):
        if wrong := problems(schema, people[row["query"]], row, seen=seen):
            raise WrongValueError(f"query {row['query']}: {wrong}")


def faithful(table: Path, out: Path, task: Path) -> None:
    """Raise `WrongValueError` where people are not as a plain reader finds them, or an answer is not sound."""
    kept = out / "factuals.csv"  # where a run answers a table, the people are that table's rows
    factuals = pd.read_csv(kept, index_col="query") if kept.exists() else pd.read_csv(table)
    schema = FeatureSchema.from_toml(task / "schema.toml")
    sound(factuals, pd.read_csv(out / "counterfactuals.csv"), schema, pd.read_csv(task / "train.csv"))
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = list(csv.DictReader(file))
    for query, person in factuals.iterrows():
        for feature in schema.features:
            cell = rows[query].get(feature.name) if query < len(rows) else None  # type: ignore[operator,call-overload]
            with contextlib.suppress(TypeError, ValueError):
                if feature.numeric and not np.isclose(float(cell), person[feature.name], rtol=1e-9, equal_nan=True):  # type: ignore[arg-type]
                    raise WrongValueError(f"row {query}, {feature.name}: {cell!r} became {person[feature.name]!r}")


def command(*words: object) -> None:
    """The command line in this process; raises `SystemExit` where that does not end with 0."""
    sys.argv = ["sensecf", *map(str, words)]
    try:
        cli.main()
    except SystemExit as end:
        if end.code not in (0, 3):
            raise


def make(base: Path, only: Collection[str] = ()) -> list[Kind]:
    """What there is to damage, made once; `only`: kinds of these names, by default all."""
    frame = people(150)
    schema = infer_schema(frame, label="stress")
    schema = replace(schema, features=tuple(replace(f, role="actionable") for f in schema.features))
    task = Task(schema, frame, fit_classifier("logistic", schema, frame))
    frame.to_csv(base / "table.csv", index=False)
    later = base / "later.csv"
    some = people(60, 1).drop(columns="stress")
    some.to_csv(later, index=False)
    kinds = [*_tables(base, frame, schema), _frames(base, task), *_logs(base)]
    if not only or set(only) - {kind.name for kind in kinds}:
        run(frame, schema, base / "run", replace(QUICK, limit=5))
        kinds += _kept(base, frame, task, later)
    return [kind for kind in kinds if not only or kind.name in only]


def _tables(base: Path, frame: pd.DataFrame, schema: FeatureSchema) -> list[Kind]:
    """Tables as text and as Parquet, and schemas, on the command line."""
    for name in ("schema", "parquet"):
        (base / name).mkdir()
        schema.to_toml(base / name / "schema.toml")
    shutil.copy(base / "table.csv", base / "schema" / "table.csv")
    frame.to_parquet(base / "parquet" / "table.parquet")
    options = ("--classifier", "logistic", "--generator", "search", "--limit", "2", "--out")

    def explained(folder: Path) -> None:
        table = next(iter(folder.glob("table.*")), folder / "table.csv")
        command("explain", table, "--schema", folder / "schema.toml", *options, folder / "out")
        if table.suffix == ".csv":
            faithful(table, folder / "out", folder / "out" / "task")

    def guessed(folder: Path) -> None:
        command("schema", folder / "table.csv", "--label", "stress")

    return [
        Kind("table", base / "schema", ("table.csv",), explained),
        Kind("table, guessed", base / "schema", ("table.csv",), guessed),
        Kind("table, Parquet", base / "parquet", ("table.parquet",), explained),
        Kind("schema", base / "schema", ("schema.toml",), explained),
    ]


def _frames(base: Path, task: Task) -> Kind:
    """Frames in a program: a folder says in a file what is to be done to one."""
    (base / "frames").mkdir()
    (base / "frames" / "frame.txt").write_text("")

    def use(folder: Path) -> str:
        if not (seed := (folder / "frame.txt").read_text()):
            return ""
        rng = random.Random(seed)
        frame: Any = people(40, 3)
        column = rng.choice(list(frame))
        if how := rng.choice(["", *COLUMNS]):
            frame[column] = COLUMNS[how](frame[column] if column in ("steps", "sleep") else frame["steps"])
        if rng.random() < 0.3:
            frame = rng.choice(list(FRAMES.values()))(frame)
        match rng.choice(["infer", "train", "query"]):
            case "infer":
                return repr(infer_schema(frame, label="stress"))
            case "train":
                classifier = fit_classifier("logistic", task.schema, frame)
                asked = Task(task.schema, frame, classifier)
                found = explain(asked, Search(asked), people(3, 4))
            case _:
                asked = task
                found = explain(task, Search(task), frame)
                if len(found.factuals) != len(frame):
                    raise WrongValueError(f"{len(frame)} rows became {len(found.factuals)}")
        if found.factuals.index.is_unique:
            sound(found.factuals, found.frame, task.schema, asked.train)
        return ""

    return Kind("frame", base / "frames", ("frame.txt",), use)


def _kept(base: Path, frame: pd.DataFrame, task: Task, later: Path) -> list[Kind]:
    """What SenseCF keeps of its own work: a finished run, an unfinished one, a model in the cache."""
    schema, quick = task.schema, replace(QUICK, generator="nearest")
    queries = people(300, 2).drop(columns="stress")
    for name in ("steps", "sleep"):
        queries[name] = queries[name].clip(frame[name].min(), frame[name].max())

    def stop(phase: str, share: float) -> None:
        if phase == "answers" and 0.5 < share < 1:
            raise KeyboardInterrupt

    def explained(out: Path, progress: Any = silent) -> str:
        run(frame, schema, out, quick, queries=queries, call=Call(progress=progress))
        return answers_in(out)

    def parts(out: Path, progress: Any = silent) -> str:
        answer(open_run(base / "run"), later, out, layout=Layout(part=20), call=Call(progress=progress))
        return answers_in(out)

    def later_people(folder: Path) -> None:
        command("answer", folder, later, "--out", folder / "out")
        faithful(later, folder / "out", folder / "task")

    def model(folder: Path) -> str:
        tiny = Tiny(task, recipe=SIPS, cache=folder)
        query = make_query(task, queries.head(5))
        return repr(tiny.propose(query, np.random.default_rng(0)).rows.tolist())

    for name, work in (("checkpoints", explained), ("parts", parts)):
        with contextlib.suppress(KeyboardInterrupt):
            work(base / name, stop)
    model(base / "models")
    records = ("run.json", "task/task.json", "task/schema.toml", "task/train.csv", "task/classifier*")
    return [
        Kind("run folder", base / "run", records, later_people),
        Kind("checkpoints", base / "checkpoints", ("unfinished/*/*.npz",), explained, exact=True),
        Kind("parts", base / "parts", ("unfinished/part-*",), parts, exact=True),
        Kind("models", base / "models", ("*/*",), model, exact=True),
    ]


def _logs(base: Path) -> list[Kind]:
    """What was asked of a language model, and what people decided."""
    ledger = Ledger(base / "asked" / "ledger.jsonl")
    for text in "abcde":
        request = Asked((Message("user", text),))
        ledger.asked("m", request)
        ledger.answered("m", request, Answer(Completion(text, "", 5, 7, 0.5)))
    ledger.close()
    journal = Journal(base / "log")
    for number in range(4):
        journal.append("Dr A", "reject", {"plan": str(number), "person": "1"}, "no")

    def spent(folder: Path) -> bool:
        usage = Ledger(folder / "ledger.jsonl").usage("m")
        return min(vars(usage).values()) >= 0

    return [
        Kind("ledger", base / "asked", ("ledger.jsonl",), spent, exact=True),
        Kind("log of decisions", base / "log", ("decisions.*",), lambda f: Journal(f).entries, exact=True),
    ]


def outcome(kind: Kind, folder: Path, limit: float = 900.0) -> tuple[str, str]:
    """What use of a folder comes to in a process of its own: a word, and the last line or the result."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as result:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                result.write(repr(kind.use(folder)))
                result.flush()
                status = 0
            except InputError as error:
                print(f"sensecf: {error}", file=sys.stderr, flush=True)
                status = 2
            except WrongValueError as error:
                print(error, file=sys.stderr, flush=True)
                status = WRONG
            except SystemExit as end:
                status = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        end = time.monotonic() + limit
        while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return "hang", ""
            time.sleep(0.005)
        said.seek(0)
        result.seek(0)
        words = said.read()
        last = (words.strip().splitlines() or [""])[-1]
        if "Traceback" in words or os.WIFSIGNALED(ended[1]):
            return "traceback", last
        status = os.waitstatus_to_exitcode(ended[1])
        known = {0: ("done", result.read()), 2: ("refused", last), WRONG: ("wrong value", last)}
        return known.get(status, (f"status {status}", last))


def tries(
    count: int, seed: int, say: Callable[[str], None], first: int = 0, only: Collection[str] = ()
) -> tuple[Counter[tuple[str, str]], int]:
    """Damage things `count` times; returns how often each kind came to what, and how many were wrong.

    `first`: the number of the first try, so that much can be done in parts. `only`: the kinds that are tried.
    """
    found: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name), _hurried() as report:
        base = Path(name)
        copy = base / "copy"
        kinds = make(base, only)

        def copied(kind: Kind) -> None:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(kind.folder, copy)

        undamaged, slowest = {}, 0.0
        for kind in kinds:
            copied(kind)
            began = time.monotonic()
            undamaged[kind.name] = outcome(kind, copy)
            slowest = max(slowest, time.monotonic() - began)
            if undamaged[kind.name][0] != "done":
                raise RuntimeError(f"{kind.name}, undamaged: {undamaged[kind.name]}")
        for number in range(first, first + count):
            rng, kind = random.Random(f"{seed} {number}"), kinds[number % len(kinds)]
            report(number // len(kinds) % 5 == 0)
            copied(kind)
            files = sorted(path for pattern in kind.files for path in copy.glob(pattern) if path.is_file())
            path = rng.choice(files)
            how = damage(path, [p for p in files if p != path] or files, rng)
            end, text = outcome(kind, copy, max(HANGS[1], HANGS[0] * slowest))
            if end == "done" and kind.exact and text != undamaged[kind.name][1]:
                end = "other values"
            found[kind.name, end] += 1
            if end not in RIGHT:
                say(f"try {number}: {kind.name}, {path.relative_to(copy)}, {how}: {end}; {text[:300]}")
    return found, sum(times for (_, end), times in found.items() if end not in RIGHT)


@contextlib.contextmanager
def _hurried() -> Iterator[Callable[[bool], None]]:
    """The one metric with few trees; gives a switch of the report."""
    trees, written = plausibility._forest, running.write_report

    def report(wanted: bool) -> None:
        running.write_report = written if wanted else lambda *given: None

    plausibility._forest = lambda points: IsolationForest(n_estimators=5, random_state=0).fit(points)
    try:
        yield report
    finally:
        plausibility._forest, running.write_report = trees, written


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tries", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", dest="first", type=int, default=0, help="number of the first try")
    parser.add_argument("--kind", action="append", default=[], help="this kind only (may be given again)")
    options = parser.parse_args()
    found, wrong = tries(options.tries, options.seed, lambda line: print(line, flush=True), options.first, options.kind)
    columns = ("traceback", "hang", "wrong value", "other")
    print(f"{'kind':<18}{'tried':>7}{'right':>7}" + "".join(f"{name:>13}" for name in columns))
    for kind in sorted({name for name, _ in found}):
        ends = {end: times for (name, end), times in found.items() if name == kind}
        right = sum(ends.get(end, 0) for end in RIGHT)
        other = ends.get("wrong value", 0) + ends.get("other values", 0)
        counts = [ends.get("traceback", 0), ends.get("hang", 0), other]
        counts.append(sum(ends.values()) - right - sum(counts))
        print(f"{kind:<18}{sum(ends.values()):>7}{right:>7}" + "".join(f"{times:>13}" for times in counts))
    print(f"{options.tries} tries, {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
