"""`many`: the same over worlds drawn at random, so that nothing hangs on a world that somebody shaped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json
from sensecf.core.folder import named
from sensecf.core.kept import read_record
from sensecf.data.world.graphs import Graph
from sensecf.metrics import statistics
from sensecf.runs.experiment import QUIETLY, Call, check_counts
from sensecf.runs.truth.carry import MEASURES
from sensecf.runs.truth.report import figure, markdown
from sensecf.runs.truth.run import COLUMNS, Truth, TruthSpec, check, nested, truth


def many(request: TruthSpec, worlds: int, out: str | Path, *, call: Call = QUIETLY) -> Truth:
    """`truth` in the random worlds of the seeds 0 to `worlds` - 1, each in a folder of its own below `out`, and
    what they have in common: the mean over worlds of each mean, with its interval over worlds.

    Worlds that are finished are not done again. Raises `InputError` as `truth` does.
    """
    check_counts(worlds=worlds)
    check(request)
    folder = named(out)
    each: list[pd.DataFrame] = []
    facts: dict[str, Any] = {}
    for number in range(worlds):
        place = folder / f"world-{number:02d}"
        world, part = Graph(number), replace(request, world="random", seed=request.seed)
        if not _finished(place, part, call.overwrite):
            truth(part, place, world=world, call=_of(call, number))
        facts = read_record(place / "run.json", dict[str, Any])
        each.append(pd.read_csv(place / "table.csv").assign(world=number))
        call.progress("worlds", (number + 1) / worlds)
    long = pd.concat(each, ignore_index=True)
    table = over_worlds(long, request.seed)
    ours = [str(name) for name in facts["ours"]]
    counted = [read_record(path, dict[str, Any]) for path in sorted(folder.glob("world-*/run.json"))[:worlds]]
    sums = {name: sum(int(c[name]) for c in counted) for name in ("requests", "people_asked", "not_well_before")}
    facts = facts | sums | {"world": f"random, seeds 0 to {worlds - 1}", "worlds": worlds}
    facts |= {"seconds": round(sum(float(c["seconds"]) for c in counted), 1), "arguments": call.arguments}
    for name, frame in (("table.csv", table), ("worlds.csv", long)):
        with replacing(folder / name) as path:
            frame.to_csv(path, index=False)
    with replacing(folder / "table.md") as path:
        path.write_text(markdown(table, facts), encoding="utf-8")
    with replacing(folder / "truth.svg") as path:
        path.write_text(figure(table, ours), encoding="utf-8")
    write_json(folder / "metrics.json", nested(table))
    write_json(folder / "run.json", facts)
    return Truth(table, long, facts)


def over_worlds(long: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The mean over worlds of each measure, `n` worlds in which it is defined, with the interval over worlds."""
    rows = []
    for (setting, method, metric), part in long.groupby(["setting", "method", "metric"], sort=False):
        known = part["value"].dropna()
        value = float(known.mean()) if len(known) else float("nan")
        low, high = statistics.interval(known.to_numpy(), seed=seed) if len(known) else (float("nan"),) * 2
        better = MEASURES[str(metric)][1]
        rows.append((setting, method, metric, value, low, high, len(known), len(known), better, "worlds"))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _finished(place: Path, request: TruthSpec, overwrite: bool) -> bool:
    """Whether a world was done as it is asked for now. Raises `InputError` where it was done otherwise."""
    if overwrite or not (place / "run.json").exists():
        return False
    found = read_record(place / "run.json", dict[str, Any])
    for name in ("generators", "classifier", "people", "held_out", "days", "limit", "seed", "adherence", "slip"):
        asked = getattr(request, name)
        if found.get(name) != (list(asked) if isinstance(asked, tuple) else asked):
            raise InputError(f"{place} holds a run with another {name}; choose another --out or add --overwrite")
    return True


def _of(call: Call, number: int) -> Call:
    """A call whose progress says which world it is about."""
    return replace(call, progress=lambda phase, share: call.progress(f"world {number}, {phase}", share))
