"""The tables of docs/truth.md: `python benchmarks/truth.py` (an hour or two); `--world easy` does one.

Each world is a run of `sensecf truth`, which goes on where it stopped. What was found is kept in `benchmarks/truth/`;
the tables and figures of the pages are written from there.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np
import pandas as pd

from sensecf.core.files import cache_folder, write_json
from sensecf.core.limits import Limits
from sensecf.core.schema import FeatureSchema, Sign
from sensecf.data.world.presets import Preset, preset
from sensecf.runs.compare.run import requests_of
from sensecf.runs.experiment import QUIETLY, Call
from sensecf.runs.truth import TruthSpec, many, truth
from sensecf.runs.truth.carry import MEASURES
from sensecf.runs.truth.oracle import cheapest
from sensecf.runs.truth.report import figure, markdown
from sensecf.runs.truth.run import _compare, _prepared, differences, summary

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "benchmarks" / "truth"
PEERS = ("nice+raw", "cfnow+raw", "dice+raw", "treecf-sparse+raw")
OURS = ("search", "constant+raw", "constant-shift+raw")
EVERYBODY = TruthSpec((*OURS, *PEERS), limit=120, time_limit=300.0)
#: What is asked in twenty worlds: whether plans hold takes a jury in each of them.
QUICK = ("boundary", "levers", "levers+lead")
#: Plans that hold, without and with what follows.
HOLDING = ("levers+hold", "levers+hold+consequences")
OTHER: dict[Sign, Sign] = {"+": "-", "-": "+", "": ""}


@dataclass(frozen=True)
class Flipped(Preset):
    """The easy world with a schema that accepts wrong causes: a `share` of the edges, drawn from the seed `draw`, have
    the other sign or are turned round (half and half; the sign where turning makes a circle)."""

    name: str = "flipped"
    share: float = 0.2
    draw: int = 0

    def schema(self) -> FeatureSchema:
        """The schema with its wrong causes."""
        schema = super().schema()
        edges = [(c, f.name, s) for f in schema.features for c, s in zip(f.causes, f.sign, strict=True)]
        rng = np.random.default_rng(self.draw)
        for at in rng.permutation(len(edges))[: round(self.share * len(edges))]:
            cause, result, sign = edges[at]
            turned = [*edges[:at], (result, cause, sign), *edges[at + 1 :]]
            edges[at] = (cause, result, OTHER[sign])
            if rng.random() < 0.5 and schema[cause].changeable and _no_circle(turned):
                edges = turned
        found = [
            replace(
                feature,
                causes=tuple(c for c, r, _ in edges if r == feature.name),
                sign=tuple(s for _, r, s in edges if r == feature.name),
            )
            for feature in schema.features
        ]
        return replace(schema, features=tuple(found))


def _no_circle(edges: list[tuple[str, str, Sign]]) -> bool:
    causes: dict[str, set[str]] = {}
    for cause, result, _ in edges:
        causes.setdefault(result, set()).add(cause)
    try:
        TopologicalSorter(causes).prepare()
    except CycleError:
        return False
    return True


#: What is run of each world.
RUNS = {
    "easy": EVERYBODY,
    "confounded": replace(EVERYBODY, world="confounded"),
    "drifting": replace(EVERYBODY, world="drifting"),
    "random": replace(EVERYBODY, world="random", generators=(*OURS, "nice+raw"), limit=40, settings=QUICK),
    "flipped": replace(
        EVERYBODY,
        world="flipped",
        generators=("search",),
        settings=("levers", "levers+consequences", *HOLDING),
        limit=60,
    ),
}
WORLDS, DRAWS = 20, 3


def run(name: str, place: Path) -> None:
    """One world, and what it found among the stored results."""
    spec = RUNS[name]
    call = Call(
        arguments={"benchmark": "truth"}, progress=lambda phase, share: print(f"{phase} {share:.2f}", flush=True)
    )
    STORED.mkdir(exist_ok=True)
    if name == "random":
        made = many(spec, WORLDS, place / name, call=call)
    elif name == "flipped":
        each = [truth(spec, place / f"{name}-{draw}", world=Flipped(draw=draw), call=call) for draw in range(DRAWS)]
        # The same requests each time: whole people are drawn, whatever the draw of the edges.
        found = pd.concat([m.outcomes.assign(query=m.outcomes["query"] + 10_000 * k) for k, m in enumerate(each)])
        made = replace(each[0], outcomes=found, table=summary(found, spec.seed))
        made.facts["seconds"] = sum(float(m.facts["seconds"]) for m in each)
    else:
        made = truth(spec, place / name, call=call)
    made.table.round(6).to_csv(STORED / f"{name}.csv", index=False)
    if name != "random":
        pairs = differences(made.outcomes, spec.seed)
        pairs[pairs["method"] == "search"].round(6).to_csv(STORED / f"{name}-pairs.csv", index=False)
    kept = ("world", "requests", "people_asked", "not_well_before", "classifier", "seed", "ours", "people", "days")
    write_json(STORED / f"{name}.json", {key: made.facts[key] for key in (*kept, "limit", "seconds", "settings")})


def stored(name: str) -> tuple[pd.DataFrame, dict[str, object]]:
    """The table of a world and what is said of it."""
    facts = json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))
    return pd.read_csv(STORED / f"{name}.csv"), facts


def pairs() -> str:
    """What holding gains by what follows: a row for each world, of the same requests."""
    lines = [
        "| world | requests | measure | hold | and what follows | difference | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in [n for n in RUNS if (STORED / f"{n}-pairs.csv").exists()]:
        table = pd.read_csv(STORED / f"{name}-pairs.csv")
        asked = table[(table["first"] == HOLDING[0]) & (table["second"] == HOLDING[1])]
        for row in asked.to_dict("records"):
            points = f"{100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"
            means = f"{100 * row['mean_first']:.1f} % | {100 * row['mean_second']:.1f} %"
            lines.append(
                f"| {name} | {row['n']} | {MEASURES[row['metric']][0]} | {means} | {points} points | {row['p']:.3f} |"
            )
    return "\n".join(lines)


#: Whose effort is put beside that of the cheapest plan which truly does as much.
EQUAL = (("levers+hold", "search"), ("levers", "search"), ("levers", "constant-shift"), ("levers", "dice"))


def equal(name: str, place: Path) -> None:
    """The effort of plans beside the least that raises the true probability as far, stored by method and setting.

    Only plans that made a day well count; a plan of which the oracle finds no cheaper one counts as 1.
    """
    spec = RUNS[name]
    made, case = _prepared(spec, preset(spec.world), QUIETLY)
    query = requests_of(made, _compare(spec, Limits(edit="actionable"))).query
    told = pd.read_csv(place / name / "outcomes.csv")
    found = []
    for setting, method in EQUAL:
        part = told[(told["setting"] == setting) & (told["method"] == method)].sort_values("query")
        # A hair less, for what the steps of the levers round away.
        best = cheapest(case.world, made.task, query, case.noises, part["probability_after"].to_numpy() - 0.005)
        gained = (part["effort"] > 0).to_numpy()
        ratio = np.fmax(part["effort"].to_numpy()[gained] / best.effort[gained], 1.0)
        ratio = ratio[np.isfinite(ratio)]
        found.append({"setting": setting, "method": method, "n": len(ratio), "median": float(np.median(ratio))})
    write_json(STORED / f"{name}-equal.json", found)


def equal_effort() -> str:
    """Efforts beside the least for the same effect, a row for each world and method."""
    lines = [
        "| world | setting | method | plans | effort (median), the least for the same effect = 1 |",
        "|---|---|---|---|---|",
    ]
    for name in [n for n in RUNS if (STORED / f"{n}-equal.json").exists()]:
        for row in json.loads((STORED / f"{name}-equal.json").read_text(encoding="utf-8")):
            lines.append(f"| {name} | {row['setting']} | {row['method']} | {row['n']} | {row['median']:.2f} |")
    return "\n".join(lines)


def sections() -> dict[str, str]:
    """What stands between the marks of the pages, by the name of the mark."""
    found = {}
    for name in RUNS:
        if (STORED / f"{name}.csv").exists():
            found[f"truth {name}"] = f"## {name.capitalize()}\n\n{markdown(*stored(name)).strip()}"
    return found | {"truth pairs": pairs(), "truth equal": equal_effort()}


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
    options.add_argument(
        "--equal", action="store_true", help="only the least effort for the same effect, of runs in --out"
    )
    options.add_argument("--write", action="store_true", help="only write the pages from what is stored")
    given = options.parse_args()
    if not given.write:
        for name in given.world or RUNS:
            if not given.equal:
                run(name, given.out)
            if name not in ("random", "flipped"):
                equal(name, given.out)
    write(ROOT / "docs" / "truth.md")
    for name in RUNS:
        if name not in ("random", "flipped") and (STORED / f"{name}.csv").exists():
            table, facts = stored(name)
            svg = figure(table, list(facts["ours"]))  # type: ignore[call-overload]
            (ROOT / "docs" / f"truth-{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
