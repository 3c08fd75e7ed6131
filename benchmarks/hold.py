"""Do plans hold, and what does it cost: `python benchmarks/hold.py` (hours on two cores; it goes on where it stopped).

    price   a table and a classifier: native RobX, BetaRCE and NICE, a jury that is searched with, and the search at
            a ladder of margins, on the same requests, judged by 50 fresh refits; paired tests at equal survival
    truth   a table, a classifier and a split: a margin is calibrated on the split's training people, the held-out
            people are answered, and fresh refits under every change model judge the answers
    steady  answers at the calibrated margin: how steady the jurors are that may have a part in finding them, and how
            many of those that only count agree
    speed   answering with and without holding, and what a jury and its calibration cost beside fitting `tiny`

Each cell is a file below `--cells`; several of these commands may work on the same folder at once. Fresh refits are
drawn from numbers of their own: no refit that judges here took part in any search or calibration. The finished cells
are put into benchmarks/hold.json in place of those that it has of the same name; `--write` puts the tables into
docs/holding.md.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hold_tables import sections
from sections import replace_section

import sensecf
from sensecf.classifiers.change import Source, refit
from sensecf.classifiers.jury import Jury
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.files import cache_folder, write_json
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.data.builtin.simulated import simulate_cohort, stress_logit
from sensecf.generators import Context, build
from sensecf.generators.search import THOROUGH, Search
from sensecf.metrics import statistics
from sensecf.pipeline.hold import Holding
from sensecf.runs.experiment import Experiment, Setup, experiment, prepared
from sensecf.runs.run import versions

HERE = Path(__file__).resolve().parent
#: The tables, with the class to reach where a schema does not name one.
TABLES: dict[str, Any] = {
    "simulated": None, "simulated-1": None, "simulated-2": None, "simulated-3": None, "t1d_uom_daily_stress": None,
    "lifesnaps_daily": None, "heart_disease_cleveland": None, "breast_cancer": "benign", "german": "good",
    "rice": "Osmancik", "wine_quality": True,
}  # fmt: skip
LABELS = {"german": "class", "rice": "class", "wine_quality": "quality"}
CLASSIFIERS = ("xgboost", "random-forest", "svm", "mlp", "logistic")
#: The share of refits that a plan is asked to hold in.
TARGET = 0.95
#: Grows when plans that hold are found another way: cells of the newest are shown, older ones where there are none.
SEARCH = 2
#: Fresh refits by change: resampled people as the statement has it, and the others beside it.
FRESH = {"bootstrap": 50, "seed": 10, "fewer": 10, "labels": 10, "later": 10, "family": 4}
#: Splits of a cell that are measured in every respect; further ones only for the truth of the statement.
WHOLE = 2
#: The numbers of fresh refits begin here, far from those that a jury has.
BEYOND = 1_000_000
#: Requests of a cell, spread over the people; rows of a table, the first so many people.
ASKED, PRICED, ROWS = 100, 60, 2000
LADDER = (0.0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9)
#: Each rival at the settings that it is given to choose from; see `_pair`.
RIVALS: dict[str, Sequence[dict[str, Any]]] = {
    "nice": ({},),
    "robx": tuple({"tau": tau} for tau in (0.5, 0.6, 0.7, 0.8)),
    "robx-search": tuple({"tau": tau} for tau in (0.5, 0.6, 0.7, 0.8)),
    "betarce": ({"delta": 0.9}, {"delta": 0.8}),
    "betarce-search": ({"delta": 0.9}, {"delta": 0.8}),
}
#: Refits that a jury has which is searched with, the leads it is asked for, and where that takes no hours.
SEARCHED_WITH, LEADS, QUICK = 20, (0.2, 0.4, 0.6), ("xgboost", "logistic")


class Committee:
    """A classifier that says what several say on average."""

    def __init__(self, members: Sequence[Any]) -> None:
        self.members, self.classes_ = members, members[0].classes_

    def predict_proba(self, X: Any) -> Any:
        return np.mean([one.predict_proba(X.copy()) for one in self.members], axis=0)

    def predict(self, X: Any) -> Any:
        return np.asarray(self.classes_)[self.predict_proba(X).argmax(axis=1)]


def table(name: str, folder: Path) -> tuple[pd.DataFrame, sensecf.FeatureSchema]:
    """A table of `TABLES` and its schema."""
    if name.startswith("simulated"):
        data = sensecf.datasets.load("simulated")
        seed = int(name.partition("-")[2] or 0)
        return (simulate_cohort(seed=seed) if seed else data.frame), data.schema
    if name == "breast_cancer":
        from sklearn.datasets import load_breast_cancer

        frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "diagnosis"})
        frame["diagnosis"] = frame["diagnosis"].map({0: "malignant", 1: "benign"})
        return frame, sensecf.infer_schema(frame, "diagnosis")
    if name in LABELS:
        frame = sensecf.read_table(folder / "published_tables" / f"{name}.csv")
        schema = sensecf.infer_schema(frame, LABELS[name])
        return frame.sample(min(ROWS, len(frame)), random_state=0).sort_index().reset_index(drop=True), schema
    data = sensecf.datasets.load(name, folder)
    return data.frame, data.schema


def made(name: str, classifier: str, seed: int, folder: Path) -> tuple[Experiment, Source]:
    """The experiment of a cell, and what its fresh refits are made from."""
    frame, schema = table(name, folder)
    found = experiment(prepared(frame, schema, Setup(classifier, target=TABLES[name], seed=seed)))
    when = frame["date"].reindex(found.table.train.index).reset_index(drop=True) if "date" in frame else None
    return found, Source.of(found.task, when)


def asked(cell: Experiment, most: int, seed: int) -> np.ndarray:
    """Positions of the held-out rows that are asked about: one of each person in turn until there are `most`."""
    at = cell.asked()
    at = np.random.default_rng([seed, 9]).permutation(at[cell.inside[at]])
    people = cell.people(at)
    codes = at if people is None else pd.factorize(people)[0]
    turn = pd.Series(codes).groupby(codes).cumcount().to_numpy()
    return np.sort(at[np.argsort(turn, kind="stable")[:most]])


def people(cell: Experiment, at: np.ndarray) -> np.ndarray:
    """Who stands behind each request."""
    found = cell.people(at)
    return at if found is None else pd.factorize(found)[0]


def fresh(task: Task, source: Source, change: str, seed: int, count: int) -> Jury | None:
    """Refits that nobody has seen; None where the change is none for this table or classifier."""
    try:
        members = [refit(source, change, [BEYOND + seed, number]) for number in range(count)]
    except InputError:
        return None
    return Jury(task, change, BEYOND + seed, members)


def agreed(jury: Jury, rows: Floats, target: np.ndarray) -> Floats:
    """The share of a jury that puts each row in its target class, shape (n,); NaN for a row of none."""
    out, there = np.full(len(rows), np.nan), ~np.isnan(rows).all(axis=1)
    if there.any():
        out[there] = (jury.votes(rows[there]) == target[there]).mean(axis=0)
    return out


def first(query: Query, found: Candidates) -> Floats:
    """The first proposal to each query (q, d), NaN where there is none."""
    rows = np.full(query.rows.shape, np.nan)
    for owner, row, reason in zip(found.query[::-1], found.rows[::-1], found.reason[::-1], strict=True):
        if reason == "":
            rows[owner] = row
    return rows


def explained(cell: Experiment, at: np.ndarray, limits: Limits, generator: Any = None) -> tuple[Floats, pd.DataFrame]:
    """Our answers (q, d), NaN for an abstention, and their table, one line per request; by default the search's.

    The table's attribute `hold` is what the calibration came to, None where nothing was asked to hold.
    """
    task = cell.task
    factuals = cell.table.held_out.iloc[at].set_axis(np.arange(len(at)))
    found = sensecf.explain(
        task, generator or Search(task), factuals, cell.target, fallback=Search(task, effort=THOROUGH), limits=limits
    )
    frame = found.frame.set_index("query").loc[np.arange(len(at))]
    frame.attrs["hold"] = {k: v for k, v in found.cost.get("hold", {}).items() if k not in ("tried", "says")} or None
    rows = task.codec.encode(frame)
    rows[frame["rank"].isna().to_numpy()] = np.nan
    return rows, frame


def line(cell: Experiment, query: Query, who: np.ndarray, rows: Floats, jury: Jury, **more: Any) -> dict[str, Any]:
    """What a method's answers are worth: those that are valid and break nothing count as given."""
    blank = np.isnan(rows).all(axis=1)
    reasons = np.where(blank, "none", "").tolist()
    verdict = verify(cell.task, query, Candidates.of(np.arange(len(query)), rows, "", reasons))
    good = verdict.good
    rows = np.where(good[:, None], rows, np.nan)
    survival = agreed(jury, rows, query.target)
    low, high = statistics.interval(survival[good], who[good])
    return {
        **more, "asked": len(query), "people": len(set(who)), "coverage": float(good.mean()),
        "survival": _mean(survival), "low": low, "high": high,
        "served": float(np.nan_to_num(survival).mean()),
        "changes": _mean(np.where(good, verdict.n_changed, np.nan)),
        "distance": _mean(np.where(good, verdict.proximity, np.nan)),
        "each": {
            "survival": survival, "changes": np.where(good, verdict.n_changed, np.nan),
            "distance": np.where(good, verdict.proximity, np.nan),
        },
    }  # fmt: skip


def price(name: str, classifier: str, seed: int, folder: Path) -> dict[str, Any]:
    """Every method on the same requests, and each rival beside the search at the margin that survives as often."""
    cell, source = made(name, classifier, seed, folder)
    task, at = cell.task, asked(cell, PRICED, seed)
    who = people(cell, at)
    query = Limits(edit="mutable", hold=0.0).query(task, cell.rows[at], cell.target)
    jury = fresh(task, source, "bootstrap", seed, FRESH["bootstrap"])
    assert jury is not None
    rate = partial(line, cell, query, who, jury=jury)
    lines = []
    for margin in LADDER:
        began = time.perf_counter()
        rows, _ = explained(cell, at, Limits(edit="mutable", margin=margin, hold=0.0))
        lines.append(rate(rows=rows, method="search", margin=margin, seconds=time.perf_counter() - began))
    for rival, settings in RIVALS.items():
        for setting in settings:
            began = time.perf_counter()
            generator: Any = build(rival, task, Context(seed, options={**setting, "filter_rules": True}))
            rows = first(query, generator.propose(query, np.random.default_rng([seed, 5])))
            spent = time.perf_counter() - began
            stated = {}
            if hasattr(generator, "bound"):
                there = ~np.isnan(rows).all(axis=1)
                stated["stated"] = _mean(generator.bound(rows[there], query.target[there]))
            lines.append(rate(rows=rows, method=rival, seconds=spent, **setting, **stated))
    if classifier in QUICK:
        members = Jury.fit(task, "bootstrap", SEARCHED_WITH, seed).members
        committee = replace(cell, task=Task(task.schema, task.train, Committee(members)))
        for lead in LEADS:
            began = time.perf_counter()
            rows, _ = explained(committee, at, Limits(edit="mutable", margin=lead, hold=0.0))
            lines.append(rate(rows=rows, method="jury", lead=lead, seconds=time.perf_counter() - began))
    rivals = dict.fromkeys(row["method"] for row in lines if row["method"] != "search")
    pairs = [_pair(lines, rival, who) for rival in rivals] + [_pair(lines, "nice", who, TARGET)]
    for row in lines:
        del row["each"]
    return {"lines": lines, "pairs": pairs, "train_rows": len(task.rows), "features": len(task.schema)}


def _pair(lines: list[dict[str, Any]], rival: str, who: np.ndarray, least: float = 0.0) -> dict[str, Any]:
    """A rival at the setting at which most of its answers hold, and the search at the least margin that survives no
    less, and in the share `least` of refits at least."""
    mine = [row for row in lines if row["method"] == "search"]
    theirs = [row for row in lines if row["method"] == rival and row["coverage"] > 0]
    if not theirs:
        return {"rival": rival, "answered": 0}
    holding = [row for row in theirs if row["survival"] >= TARGET]
    # Of the settings that hold, the one that answers most, then the cheapest; where none does, the steadiest.
    other = (
        max(holding, key=lambda row: (row["coverage"], -row["distance"]))
        if holding
        else max(theirs, key=lambda row: row["survival"])
    )
    wanted = max(other["survival"], least)
    enough = [row for row in mine if row["coverage"] > 0 and row["survival"] >= wanted]
    own = enough[0] if enough else max(mine, key=lambda row: row["survival"] if row["coverage"] > 0 else -1.0)
    out: dict[str, Any] = {
        "rival": rival, "least": least,
        "setting": {name: other[name] for name in ("tau", "delta", "lead", "stated") if name in other},
        "margin": own["margin"], "equal": bool(enough),
        "survival": other["survival"], "our_survival": own["survival"],
        "coverage": other["coverage"], "our_coverage": own["coverage"],
    }  # fmt: skip
    for measure in ("changes", "distance"):
        found = statistics.paired(own["each"][measure], other["each"][measure], who)
        out[measure] = {"ours": found.mean_a, "theirs": found.mean_b, "p": found.p, "n": found.n, "low": found.low,
                        "high": found.high}  # fmt: skip
    return out


def truth(name: str, classifier: str, seed: int, folder: Path) -> dict[str, Any]:
    """One split: what is stated, and what fresh refits say."""
    cell, source = made(name, classifier, seed, folder)
    task, at = cell.task, asked(cell, ASKED, seed)
    who = people(cell, at)
    counts = {change: count for change, count in FRESH.items() if change != "family" or seed < WHOLE}
    juries = {change: fresh(task, source, change, seed, count) for change, count in counts.items()}
    out: dict[str, Any] = {"train_rows": len(task.rows), "features": len(task.schema), "modes": {}}
    for mode, limits in _modes(task, seed).items():
        began = time.perf_counter()
        rows, frame = explained(cell, at, limits)
        spent = time.perf_counter() - began
        query = replace(limits, hold=0.0).query(task, cell.rows[at], cell.target)
        bootstrap = juries["bootstrap"]
        assert bootstrap is not None
        row = line(cell, query, who, rows, bootstrap, seconds=spent)
        del row["each"]
        given = ~np.isnan(rows).all(axis=1)
        # Where the people were too few for a certificate, or a refit was slow, no bound can be as high.
        certified = given & (frame["holds_low"].to_numpy(dtype=float) >= TARGET)
        row["by_change"] = {
            change: {"all": _mean(share := agreed(jury, rows, query.target)), "certified": _mean(share[certified])}
            for change, jury in juries.items()
            if jury is not None
        }
        row["certified"] = int(certified.sum())
        row["stated"] = frame.attrs["hold"]
        row["holds"] = _mean(frame["holds"][given])
        if name.startswith("simulated"):
            row["works"] = _works(cell, at, rows, limits.edit or "mutable")
        out["modes"][mode] = row
    return out


def _modes(task: Task, seed: int) -> dict[str, Limits]:
    """How the held-out people are answered: everything mutable editable, levers only, and the boundary answers; the
    first alone in later splits, which are there for the truth of what is stated."""
    found = {
        "all, hold": Limits(edit="mutable", hold=TARGET),
        "all, boundary": Limits(edit="mutable", hold=0.0),
    }
    if seed >= WHOLE:
        return {"all, hold": found["all, hold"]}
    if any(f.role == "actionable" and f.changeable for f in task.schema.features):
        found |= {
            "levers, hold": Limits(edit="actionable", hold=TARGET),
            "levers, boundary": Limits(edit="actionable", hold=0.0),
        }
    return found


def _works(cell: Experiment, at: np.ndarray, rows: Floats, edit: str) -> float:
    """The share of plans after whose actions alone the cohort's own mechanism makes low stress likelier.

    What a rule moves with an action belongs to it (the stages of a longer night), where actions are all that is edited;
    otherwise what is no action is left as it was.
    """
    task = cell.task
    acts = np.array([edit == "actionable" or f.role == "actionable" for f in task.schema.features])
    done = task.codec.decode(np.where(acts, rows, cell.rows[at]))
    logit = stress_logit(done).to_numpy(dtype=float)[~np.isnan(rows).all(axis=1)]
    return _mean(np.where(np.isnan(logit), np.nan, logit < 0))


def _mean(values: Any) -> float:
    """The mean of those that there are; NaN for none."""
    found = np.asarray(values, dtype=float)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def steady(name: str, classifier: str, seed: int, folder: Path) -> dict[str, Any]:
    """Each answer at the calibrated margin: what half A says of it, and what half B counts."""
    cell, _ = made(name, classifier, seed, folder)
    task, at = cell.task, asked(cell, ASKED, seed)
    position = task.target_position(cell.target)
    held = task.once(Holding).of(position, Limits(edit="mutable", hold=TARGET))
    assert held is not None
    rows, _ = explained(cell, at, Limits(edit="mutable", hold=0.0, margin=held.calibration.margin))
    rows = rows[~np.isnan(rows).all(axis=1)]
    target = np.full(len(rows), position)
    agreed = (held.jury.votes(rows, slice(0, held.raising)) == target).mean(axis=0)
    return {
        "train_rows": len(task.rows), "features": len(task.schema), "margin": held.calibration.margin,
        "agreed": agreed, "steadiness": held.steadiness(rows, target),
        "counted": held.stand(rows, target) / held.counting,
    }  # fmt: skip


def speed(name: str, classifier: str, seed: int, folder: Path) -> dict[str, Any]:
    """Answers a second and the time for one person, with and without holding, in turn; jury and calibration, once."""
    cell, _ = made(name, classifier, seed, folder)
    at = asked(cell, ASKED, seed)
    out: dict[str, Any] = {"train_rows": len(cell.task.rows), "features": len(cell.task.schema)}
    limits = {"hold": Limits(edit="mutable", hold=TARGET), "boundary": Limits(edit="mutable", hold=0.0)}
    for part, wanted in limits.items():
        began = time.perf_counter()
        explained(cell, at, wanted)
        out[f"first_{part}"] = time.perf_counter() - began
    taken: dict[str, list[float]] = {f"{part}_{what}": [] for part in limits for what in ("batch", "one")}
    for number in range(5):
        for part, wanted in limits.items():
            for what, some in (("batch", at), ("one", at[[number % len(at)]])):
                began = time.perf_counter()
                explained(cell, some, wanted)
                taken[f"{part}_{what}"].append(time.perf_counter() - began)
    out |= {what: float(np.median(seconds)) for what, seconds in taken.items()}
    return out


def generator(name: str, classifier: str, seed: int, folder: Path) -> dict[str, Any]:
    """Each of our generators at equal hold: what an answer costs, what building costs, how good the answers are."""
    cell, source = made(name, classifier, seed, folder)
    task, at = cell.task, asked(cell, ASKED, seed)
    who = people(cell, at)
    query = Limits(edit="mutable", hold=0.0).query(task, cell.rows[at], cell.target)
    jury = fresh(task, source, "bootstrap", seed, 20)
    assert jury is not None
    began = time.perf_counter()
    task.judge(task.rows)
    lines = []
    row_seconds = (time.perf_counter() - began) / len(task.rows)
    for label in ("search", "nearest", "tiny"):
        began, rows_before = time.perf_counter(), task.rows_judged
        proposer: Any = build(label, task, Context(seed))
        fit = {"fit_seconds": time.perf_counter() - began, "fit_rows": task.rows_judged - rows_before}
        for margin in (0.0, 0.5):
            began, rows_before = time.perf_counter(), task.rows_judged
            rows, _ = explained(cell, at, Limits(edit="mutable", margin=margin, hold=0.0), proposer)
            cost = {
                "seconds_each": (time.perf_counter() - began) / len(at),
                "rows_each": (task.rows_judged - rows_before) / len(at),
            }
            lines.append(line(cell, query, who, rows, jury, method=label, margin=margin, **fit, **cost))
            del lines[-1]["each"]
    return {"lines": lines, "row_seconds": row_seconds, "train_rows": len(task.rows), "features": len(task.schema)}


PARTS: dict[str, Callable[[str, str, int, Path], dict[str, Any]]] = {
    "price": price,
    "truth": truth,
    "steady": steady,
    "speed": speed,
    "generator": generator,
}


def cells(options: argparse.Namespace) -> Iterator[tuple[str, str, str, int]]:
    """What is to be measured: the first split of everything before the second."""
    for seed in range(options.seeds):
        for classifier in options.classifiers.split(","):
            for name in options.tables.split(","):
                for part in options.parts.split(","):
                    if seed == 0 or part == "truth":
                        yield part, name, classifier, seed


def work(options: argparse.Namespace) -> None:
    """Measure what is not there yet, for as long as there is time."""
    end = time.monotonic() + options.seconds
    for part, name, classifier, seed in cells(options):
        path = options.cells / f"{part}-{name}-{classifier}-{seed}.json"
        if path.exists() or time.monotonic() > end:
            continue
        taken = path.with_suffix(".taken")
        try:
            taken.touch(exist_ok=False)
        except FileExistsError:  # another process is at it
            continue
        began = time.perf_counter()
        try:
            found = PARTS[part](name, classifier, seed, options.data)
        except InputError as error:
            found = {"refused": str(error)}
        finally:
            taken.unlink()
        key = {"part": part, "table": name, "classifier": classifier, "seed": seed, "search": SEARCH}
        write_json(path, _plain({**key, "seconds": round(time.perf_counter() - began, 1), **found}))
        print(path.name, f"{time.perf_counter() - began:.0f} s", flush=True)


def gather(folder: Path, stored: Path) -> list[dict[str, Any]]:
    """All finished cells: those of a folder, and of a file those that the folder has not measured again."""
    cells = json.loads(stored.read_text(encoding="utf-8"))["cells"] if stored.exists() else []
    cells += [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    found = {(cell["part"], cell["table"], cell["classifier"], cell["seed"]): cell for cell in cells}
    return [found[key] for key in sorted(found)]


def _plain(value: Any) -> Any:
    """A value for JSON: NaN as null, numbers to six digits."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="price,truth", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--classifiers", default=",".join(CLASSIFIERS))
    parser.add_argument("--seeds", type=int, default=10, help="splits of each table and classifier")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no cell after so many")
    parser.add_argument("--cells", type=Path, default=cache_folder() / "bench-hold", help="where finished cells are")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SENSECF_DATA") or HERE.parents[1] / "shared" / "data"),
        help="where the tables are",
    )  # fmt: skip
    parser.add_argument("--write", action="store_true", help="put the tables into docs/holding.md")
    chosen = parser.parse_args()
    chosen.cells.mkdir(parents=True, exist_ok=True)
    work(chosen)
    finished = gather(chosen.cells, HERE / "hold.json")
    write_json(HERE / "hold.json", {"cells": finished, "versions": versions()})
    if chosen.write:
        for section, text in sections(finished).items():
            replace_section(HERE.parent / "docs" / "holding.md", section, text)
