"""The columns of RecourseBench, of finished comparisons: `sensecf bench recourse`.

They are computed in RecourseBench's space from what a comparison wrote: numbers as shares of the training range, a
level as one 0/1 column for each. A request without an answer is a failure there and here: it counts in the two
validities, and in nothing else.

Source: RecourseBench, arXiv:2606.16113.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from sensecf.classifiers.jury import Jury
from sensecf.core.codec import Codec
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json
from sensecf.core.folder import UNFINISHED, claimed, named, remove
from sensecf.core.kept import read_record
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.core.version import __version__
from sensecf.runs.compare.survival import BEYOND
from sensecf.runs.experiment import QUIETLY, Call
from sensecf.runs.run import load_task

#: The columns in RecourseBench's order, and whether more is better.
COLUMNS: dict[str, bool] = {
    "validity": True,
    "distance_l0": False,
    "distance_l1": False,
    "distance_l2": False,
    "distance_linf": False,
    "type_violation_rates": False,
    "mutability_violation_rates": False,
    "actionability_violation_rates": False,
    "knn_5": False,
    "future_validity": True,
}
#: A number may miss a whole one or a bound by so much.
TOLERANCE = 1e-6
#: How many training rows are the neighbours of an answer.
NEIGHBOURS = 5
#: Methods whose gaps another fills: neither speaks for the other, and both together have a name of their own.
PAIRS = (("search@hold", "search"), ("search@hold+likeness", "search@likeness"))


@dataclass(frozen=True)
class Requests:
    """What every method of a comparison was asked.

    `names` (n,): the requests; `rows` (n, d): their encoded rows; `target` (n,): the class to reach, a position.
    `seen` (t, d): the training rows. `refits`: fresh fits of the classifier on people drawn anew.
    """

    task: Task
    names: pd.Index
    rows: Floats
    target: Ints
    refits: Jury


def space(codec: Codec, seen: Floats) -> Callable[[Floats], Floats]:
    """How encoded rows (n, d) become points: numbers as shares of the range of `seen`, a 0/1 column for each level.

    A blank number is the median of `seen`, a blank level none of its columns.
    """
    low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
    width, middle = np.where(high > low, high - low, 1.0), np.nanmedian(seen, axis=0)

    def points(rows: Floats) -> Floats:
        parts = []
        for j in range(rows.shape[1]):
            column = rows[:, j]
            if codec.numeric[j]:
                parts.append(((np.where(np.isnan(column), middle[j], column) - low[j]) / width[j])[:, None])
            else:
                parts.append((column[:, None] == np.arange(codec.n_levels[j])).astype(float))
        return np.hstack(parts)

    return points


def columns(asked: Requests, answers: Floats) -> dict[str, float]:
    """RecourseBench's columns of one method.

    `answers` (n, d): its encoded answer to each request, a row of NaN where there is none. Distances, violations and
    `knn_5` are means over the answers; `validity` and `future_validity` are over all requests, and a request
    without an answer counts as 0. `future_validity` is the mean share of the refits that put an answer in its target
    class, where RecourseBench asks one model that was fitted to a later edition of the table.
    """
    task, there = asked.task, ~np.isnan(answers).all(axis=1)
    found = dict.fromkeys(COLUMNS, float("nan"))
    reached = np.zeros(len(answers), dtype=bool)
    later = np.zeros(len(answers))
    if there.any():
        rows, before, target = answers[there], asked.rows[there], asked.target[there]
        reached[there] = task.judge(rows, final=True).predicted == target
        votes = [judge(rows) == target for judge in asked.refits.judges]
        later[there] = np.mean(votes, axis=0)
        violated = violations(task, before, rows)
        found |= {str(name): float(mean) for name, mean in distances(task, before, rows).mean().items()}
        found |= {f"{name}_violation_rates": float(broken.mean()) for name, broken in violated.items()}
    return found | {"validity": float(reached.mean()), "future_validity": float(later.mean())}


def distances(task: Task, before: Floats, rows: Floats) -> pd.DataFrame:
    """The four distances of each answer (n, d) from its factual, and its mean distance to the nearest training rows."""
    points = space(task.codec, task.rows)
    apart = np.abs(points(rows) - points(before))
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(task.rows))).fit(points(task.rows))
    return pd.DataFrame(
        {
            "distance_l0": (apart > TOLERANCE).sum(axis=1),
            "distance_l1": apart.sum(axis=1),
            "distance_l2": np.linalg.norm(apart, axis=1),
            "distance_linf": apart.max(axis=1),
            "knn_5": near.kneighbors(points(rows))[0].mean(axis=1),
        }
    )


def violations(task: Task, before: Floats, rows: Floats) -> dict[str, Any]:
    """By kind, whether an answer (n, d) breaks something, shape (n,).

    `type`: a blank that was none, a fraction where numbers are whole, a level that does not exist. `mutability`: what
    never changes, changed. `actionability`: that, or a change against the direction that a feature may go.
    """
    codec, features = task.codec, task.schema.features
    with np.errstate(invalid="ignore"):
        moved = np.abs(rows - before) > TOLERANCE
        whole = np.array([f.kind == "integer" or not f.numeric for f in features])
        kind = np.isnan(rows) & ~np.isnan(before)
        kind |= whole & (np.abs(rows - np.round(rows)) > TOLERANCE)
        kind |= ~codec.numeric & ((rows < 0) | (rows >= np.where(codec.numeric, np.inf, codec.n_levels)))
        fixed = np.array([not f.changeable for f in features]) & moved
        up, down = (np.array([f.direction == way for f in features]) for way in ("increase", "decrease"))
        astray = (up & (rows < before - TOLERANCE)) | (down & (rows > before + TOLERANCE))
    broken = {"type": kind, "mutability": fixed, "actionability": fixed | astray}
    return {name: np.asarray(where).any(axis=1) for name, where in broken.items()}


def read(folder: Path, refits: int, seed: int = 0, classifier: Any = None) -> tuple[Requests, dict[str, Floats]]:
    """The requests of a finished comparison, and the answers (n, d) of each of its methods.

    Raises `InputError` for a folder that is none, and for a classifier that cannot be fitted again.
    """
    facts = read_record(folder / "run.json", dict[str, Any])
    if facts.get("command") != "compare":
        raise InputError(f"{folder} is no comparison; name a folder that sensecf compare wrote with --out")
    task = load_task(folder, classifier)
    cfs = Counterfactuals.load(folder)
    names = cfs.factuals.index
    target = np.array([task.target_position(goal) for goal in cfs.factuals["target"]], dtype=np.intp)
    asked = Requests(
        task, names, task.codec.encode(cfs.factuals), target, Jury.fit(task, "bootstrap", refits, BEYOND + seed)
    )
    firsts = cfs.frame[cfs.frame["rank"].eq(1).to_numpy(dtype=bool, na_value=False)]
    who = firsts["generator"].str.replace(r" \(by .*\)$", "", regex=True)
    answers = {}
    for method in dict.fromkeys(cfs.frame["generator"].str.replace(r" \(by .*\)$", "", regex=True)):
        part = firsts[who == method]
        rows = np.full((len(names), len(task.schema)), np.nan)
        rows[names.get_indexer(pd.Index(part["query"]))] = task.codec.encode(part)
        answers[str(method)] = rows
    for first, second in PAIRS:
        if {first, second} <= set(answers):
            gaps = np.isnan(answers[first]).all(axis=1)[:, None]
            answers[both(first, second)] = np.where(gaps, answers[second], answers[first])
    return asked, answers


def both(first: str, second: str) -> str:
    """How answers of one method are called whose gaps another fills."""
    return f"{first}, else {second}"


def table(folders: Sequence[Path], refits: int = 20, seed: int = 0, call: Call = QUIETLY) -> pd.DataFrame:
    """The columns of every method of some comparisons: `comparison`, `method`, `requests`, then `COLUMNS`."""
    lines = []
    for number, folder in enumerate(folders):
        call.progress("measuring", number / len(folders))
        asked, answers = read(folder, refits, seed)
        for method, rows in answers.items():
            head = {"comparison": folder.name, "method": method, "requests": len(asked.names)}
            lines.append(head | columns(asked, rows))
    call.progress("measuring", 1.0)
    return pd.DataFrame(lines)


def bench(
    folders: Sequence[Path], out: str | Path, refits: int = 20, seed: int = 0, call: Call = QUIETLY
) -> pd.DataFrame:
    """`table` into the folder `out`: `recourse.csv`, `recourse.md` and `run.json`.

    Raises `InputError` for fewer than one refit and for what `read` refuses, before anything is written.
    """
    if refits < 1:
        raise InputError(f"--refits {refits}: future validity needs at least one refit")
    folder = named(out)
    known: dict[str, object] = {
        "command": "bench recourse",
        "comparisons": [str(one) for one in folders],
        "refits": refits,
        "seed": seed,
    }
    known["sensecf"] = __version__
    with claimed(folder, known, call.overwrite):
        found = table(folders, refits, seed, call)
        with replacing(folder / "recourse.csv") as path:
            found.to_csv(path, index=False)
        with replacing(folder / "recourse.md") as path:
            path.write_text(markdown(found), encoding="utf-8")
        write_json(folder / "run.json", known | {"arguments": call.arguments})
        remove(folder, UNFINISHED)
    return found


#: The columns as a terminal of 80 has room for them.
SHORT = ("valid", "L0", "L1", "L2", "Linf", "type", "mut", "act", "kNN-5", "future")


def cells(line: pd.Series[Any]) -> list[str]:
    """The columns of one method as text; a dash where nothing was answered."""
    return ["–" if np.isnan(line[name]) else f"{line[name]:.2f}" for name in COLUMNS]


def markdown(found: pd.DataFrame) -> str:
    """A table for each comparison."""
    parts = []
    for name, part in found.groupby("comparison", sort=False):
        heads = ["method", *SHORT]
        lines = [f"**{name}** ({part['requests'].iloc[0]} requests)", "", "| " + " | ".join(heads) + " |"]
        lines.append("|---" * len(heads) + "|")
        lines += ["| " + " | ".join([str(line["method"]), *cells(line)]) + " |" for _, line in part.iterrows()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
