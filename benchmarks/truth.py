"""The tables of docs/truth.md: `python benchmarks/truth.py` (an hour or two); `--world easy` does one.

Each world is a run of `sensecf truth`, which goes on where it stopped. What was found is kept in `benchmarks/truth/`;
the tables and figures of the pages are written from there.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd

from sensecf.core.files import cache_folder, write_json
from sensecf.runs.experiment import Call
from sensecf.runs.truth import TruthSpec, many, truth
from sensecf.runs.truth.carry import MEASURES
from sensecf.runs.truth.report import cells, figure, markdown

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "benchmarks" / "truth"
PEERS = ("nice+raw", "cfnow+raw", "dice+raw", "treecf-sparse+raw")
OURS = ("search", "constant+raw")
EVERYBODY = TruthSpec((*OURS, *PEERS), limit=120, time_limit=300.0)
#: What is asked in twenty worlds: whether plans hold takes a jury in each of them.
QUICK = ("boundary", "levers", "levers+lead")
#: What is run of each world.
RUNS = {
    "easy": EVERYBODY,
    "confounded": replace(EVERYBODY, world="confounded"),
    "drifting": replace(EVERYBODY, world="drifting"),
    "random": replace(
        EVERYBODY, world="random", generators=("search", "constant+raw", "nice+raw"), limit=40, settings=QUICK
    ),
}
WORLDS = 20
#: Rows and columns of the small table of the README.
SMALL_WORLDS, SMALL = ("easy", "confounded"), ("improvement", "success", "harm", "undoable_edits")
SMALL_METHODS = ("unchanged", "oracle", "search", "nice", "cfnow", "dice", "treecf-sparse")


def run(name: str, place: Path) -> None:
    """One world, and what it found among the stored results."""
    spec = RUNS[name]
    call = Call(
        arguments={"benchmark": "truth"}, progress=lambda phase, share: print(f"{phase} {share:.2f}", flush=True)
    )
    made = many(spec, WORLDS, place / name, call=call) if name == "random" else truth(spec, place / name, call=call)
    STORED.mkdir(exist_ok=True)
    made.table.round(6).to_csv(STORED / f"{name}.csv", index=False)
    kept = ("world", "requests", "people_asked", "not_well_before", "classifier", "seed", "ours", "people", "days")
    write_json(STORED / f"{name}.json", {key: made.facts[key] for key in (*kept, "limit", "seconds", "settings")})


def stored(name: str) -> tuple[pd.DataFrame, dict[str, object]]:
    """The table of a world and what is said of it."""
    facts = json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))
    return pd.read_csv(STORED / f"{name}.csv"), facts


def small() -> str:
    """The table of the README: a row for each method and setting of two worlds."""
    heads = [f"{MEASURES[m][0]}" for m in SMALL]
    lines = ["| world | asked for | method | " + " | ".join(heads) + " |", "|---|---|---|" + "---|" * len(SMALL)]
    for name in [n for n in SMALL_WORLDS if (STORED / f"{n}.csv").exists()]:
        table, _ = stored(name)
        for (setting, method), part in table.groupby(["setting", "method"], sort=False):
            if method in SMALL_METHODS and (setting in ("–", "boundary") or method == "search"):
                lines.append(f"| {name} | {setting} | {method} | " + " | ".join(cells(part, SMALL)) + " |")
    return "\n".join(lines)


def sections() -> dict[str, str]:
    """What stands between the marks of the pages, by the name of the mark."""
    found = {}
    for name in RUNS:
        if (STORED / f"{name}.csv").exists():
            found[f"truth {name}"] = f"## {name.capitalize()}\n\n{markdown(*stored(name)).strip()}"
    return found | {"truth": small()}


def write(page: Path) -> None:
    """Put the tables into a page, between their marks."""
    text = page.read_text(encoding="utf-8")
    for mark, table in sections().items():
        begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
        if begin in text:
            head, rest = text.split(begin, 1)
            text = f"{head}{begin}\n{table}\n{end}{rest.split(end, 1)[1]}"
    page.write_text(text, encoding="utf-8")


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--world", choices=RUNS, action="append")
    options.add_argument("--out", type=Path, default=cache_folder() / "truth-bench")
    options.add_argument("--write", action="store_true", help="only write the pages from what is stored")
    given = options.parse_args()
    if not given.write:
        for name in given.world or RUNS:
            run(name, given.out)
    for page in ("README.md", "docs/truth.md"):
        write(ROOT / page)
    for name in RUNS:
        if name != "random" and (STORED / f"{name}.csv").exists():
            table, facts = stored(name)
            svg = figure(table, list(facts["ours"]))  # type: ignore[call-overload]
            (ROOT / "docs" / f"truth-{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
