"""Damaged folders, logs, checkpoints, schemas and tables: how many end in a traceback, a hang or wrong values?

    python benchmarks/damage.py --tries 1800 --seed 0

Each try copies something that SenseCF wrote, or reads, damages one file of it and goes on with it in a process of
its own. Right is a refusal in one line (status 2), or the result that the undamaged copy gives. Prints a table and
every try that was wrong; the status is 1 where there is one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from sensecf import InputError
from sensecf.cli import main as cli
from sensecf.data.infer.infer import infer_schema
from sensecf.llm import Completion, Message
from sensecf.llm.asking import Answer
from sensecf.llm.asking import Request as Asked
from sensecf.llm.ledger import Ledger
from sensecf.runs.apply import answer
from sensecf.runs.finished import open_run
from sensecf.runs.run import Request, run
from sensecf.web.audit import Journal

#: A try hangs after so many times what the slowest undamaged one took, in seconds at least the second.
HANGS = 10.0, 30.0
#: What stands in JSON where something else should.
STRANGE = (None, True, -1, 0, 1e308, -1e308, "x", "", [], {}, [None], {"a": 1}, [[[]]], 10**30, "\u0000", ["x"] * 50)
QUICK = Request(classifier="logistic", generator="nearest")


class Kind(NamedTuple):
    """Something that is damaged: `files` (patterns) below `folder`; `use` gives what it says, to be compared."""

    name: str
    folder: Path
    files: tuple[str, ...]
    use: Callable[[Path], Any]
    #: Whether what is accepted must be as undamaged; a run's settings or a table may be others, and are obeyed.
    exact: bool


def people(n: int, seed: int = 0) -> pd.DataFrame:
    """A table of n people: two numbers, a level, a label."""
    rng = np.random.default_rng(seed)
    steps, sleep = rng.integers(1000, 15000, n), rng.normal(420, 60, n).round()
    stress = np.where(steps / 8000 + sleep / 420 + rng.normal(0, 0.3, n) < 2, "high", "low")
    return pd.DataFrame({"steps": steps, "sleep": sleep, "sex": rng.choice(["f", "m"], n), "stress": stress})


def answers_in(folder: Path) -> str:
    """The answers of a folder, without the time they took."""
    return pd.read_csv(folder / "counterfactuals.csv").drop(columns="seconds").to_csv(index=False)


def make(base: Path) -> list[Kind]:
    """What there is to damage, made once."""
    frame = people(400)
    schema = infer_schema(frame, label="stress")
    frame.to_csv(base / "table.csv", index=False)
    later = base / "later.csv"
    people(60, 1).drop(columns="stress").to_csv(later, index=False)
    run(frame, schema, base / "run", QUICK)

    queries = people(300, 2).drop(columns="stress")
    queries["steps"] = queries["steps"].clip(*frame["steps"].agg(["min", "max"]))
    queries["sleep"] = queries["sleep"].clip(*frame["sleep"].agg(["min", "max"]))

    def stop(phase: str, share: float) -> None:
        if phase == "answers" and 0.5 < share < 1:
            raise KeyboardInterrupt

    def explain(out: Path, progress: Any = None) -> str:
        run(frame, schema, out, QUICK, queries=queries, progress=progress)
        return answers_in(out)

    def parts(out: Path, progress: Any = None) -> str:
        answer(open_run(base / "run"), later, out, part=20, progress=progress)
        return answers_in(out)

    for name, work in (("checkpoints", explain), ("parts", parts)):
        with contextlib.suppress(KeyboardInterrupt):
            work(base / name, stop)
    ledger = Ledger(base / "asked" / "ledger.jsonl")
    for text in "abcde":
        request = Asked((Message("user", text),))
        ledger.asked("m", request)
        ledger.answered("m", request, Answer(Completion(text, "", 5, 7, 0.5)))
    ledger.close()
    journal = Journal(base / "log")
    for number in range(4):
        journal.append("Dr A", "reject", {"plan": str(number), "person": "1"}, "no")
    (base / "schema").mkdir()
    schema.to_toml(base / "schema" / "schema.toml")
    shutil.copy(base / "table.csv", base / "schema" / "table.csv")

    def spent(folder: Path) -> bool:
        usage = Ledger(folder / "ledger.jsonl").usage("m")
        return min(vars(usage).values()) >= 0

    def command(folder: Path) -> None:
        out = str(folder / "out")
        table, toml = str(folder / "table.csv"), str(folder / "schema.toml")
        options = ["--classifier", "logistic", "--generator", "nearest", "--limit", "2", "--out", out]
        sys.argv = ["sensecf", "explain", table, "--schema", toml, *options]
        cli.main()

    def later_people(folder: Path) -> str:
        sys.argv = ["sensecf", "answer", str(folder), str(later), "--out", str(folder / "out")]
        try:
            cli.main()
        except SystemExit as end:
            if end.code:
                raise
        return answers_in(folder / "out")

    records = ("run.json", "task/task.json", "task/schema.toml", "task/train.csv")
    return [
        Kind("run folder", base / "run", records, later_people, exact=False),
        Kind("checkpoints", base / "checkpoints", ("unfinished/*/*.npz",), explain, exact=True),
        Kind("parts", base / "parts", ("unfinished/part-*",), parts, exact=True),
        Kind("ledger", base / "asked", ("ledger.jsonl",), spent, exact=True),
        Kind("log of decisions", base / "log", ("decisions.*",), lambda f: Journal(f).entries, exact=True),
        Kind("schema", base / "schema", ("schema.toml",), command, exact=False),
        Kind("table", base / "schema", ("table.csv",), command, exact=False),
    ]


def edited(value: Any, rng: random.Random) -> Any:
    """JSON with one entry replaced by something strange, or left out."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        copy = value.copy()
        key = rng.choice(list(copy)) if isinstance(copy, dict) else rng.randrange(len(copy))
        if rng.random() < 0.15:
            del copy[key]
        else:
            copy[key] = edited(copy[key], rng)
        return copy
    return rng.choice(STRANGE)


def damage(path: Path, others: list[Path], rng: random.Random) -> str:
    """Damage one file; returns how."""
    content = path.read_bytes()
    ways = ["empty", "cut", "bytes", "zeros", "doubled", "swapped", "deep", "null", "pipe", "folder", "absent", "large"]
    ways += ["entry"] * 12 if path.suffix in (".json", ".jsonl", ".key") else []
    ways += ["word"] * 6 if path.suffix in (".toml", ".csv", ".jsonl") else []
    how = rng.choice(ways)
    at = rng.randrange(len(content) or 1)
    match how:
        case "entry":
            lines = content.splitlines(keepends=True) if path.suffix == ".jsonl" else [content]
            place = rng.randrange(len(lines))
            lines[place] = json.dumps(edited(json.loads(lines[place]), rng)).encode() + b"\n"
            content = b"".join(lines)
        case "word":
            words = content.split(b" " if path.suffix == ".toml" else b",")
            words[rng.randrange(len(words))] = rng.choice([b"nan", b"1e400", b"-1", b'"', b"[", b"\xff", b"x", b""])
            content = (b" " if path.suffix == ".toml" else b",").join(words)
        case "cut":
            content = content[:at]
        case "bytes":
            content = content[:at] + rng.randbytes(min(8, len(content) - at)) + content[at + 8 :]
        case "zeros":
            content = bytes(len(content))
        case "doubled":
            content += content
        case "swapped":
            content = rng.choice(others).read_bytes()
        case "deep":
            content = b"[" * 100_000 + b"]" * 100_000
        case "null":
            content = b"null\n"
        case "large":
            content = b"[" + b"0," * 10_000_000 + b"0]"
        case "empty":
            content = b""
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how != "absent":
        path.write_bytes(content)
    return how


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
        return {0: ("done", result.read()), 2: ("refused", last), 3: ("done", "")}.get(
            status, (f"status {status}", last)
        )


def tries(count: int, seed: int, say: Callable[[str], None]) -> tuple[Counter[tuple[str, str]], int]:
    """Damage things `count` times; returns how often each kind came to what, and how many were wrong."""
    found: Counter[tuple[str, str]] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        with contextlib.chdir(base):
            kinds = make(base)
            copy = base / "copy"

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
            for number in range(count):
                rng, kind = random.Random(f"{seed} {number}"), kinds[number % len(kinds)]
                copied(kind)
                files = sorted(path for pattern in kind.files for path in copy.glob(pattern))
                path = rng.choice(files)
                how = damage(path, [p for p in files if p != path] or files, rng)
                end, text = outcome(kind, copy, max(HANGS[1], HANGS[0] * slowest))
                if end == "done" and kind.exact and text != undamaged[kind.name][1]:
                    end = "other values"
                found[kind.name, end] += 1
                if end not in ("done", "refused"):
                    wrong += 1
                    say(f"try {number}: {kind.name}, {path.relative_to(copy)}, {how}: {end}; {text[:200]}")
    return found, wrong


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found, wrong = tries(options.tries, options.seed, lambda line: print(line, flush=True))
    for (name, end), number in sorted(found.items()):
        print(f"{name:<18} {end:<14} {number}")
    print(f"{options.tries} tries, {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
