"""What the plans of four tables give away, and what `--private` costs: `python benchmarks/private.py` (resumable)

Each table is split anew `SPLITS` times; each time a classifier is fitted, plans are made for up to 60 rows, boundary
answers, as they are by default and from cells that five people share, and both are attacked. An area is the mean over
splits, its interval that of Student's t over them: for these people, over who of them is learned from. Effort is
compared on the requests that both answer. Kept in benchmarks/private.csv. `--rows` does the same of the rows of
`sensecf augment`: as they are by default, without those that are members' own, and from noisy marginals, with the F1 of
what learns from them (benchmarks/private_rows.csv).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import sensecf
from sensecf.augmentation.run import AugmentSpec
from sensecf.augmentation.run import run as augment
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.limits import Limits
from sensecf.core.query import out_of_range
from sensecf.data.cells import shared_cells
from sensecf.metrics import read
from sensecf.pipeline.explain import explain
from sensecf.runs.attack.surfaces import Crowd, copies, of_plans, of_rows
from sensecf.runs.experiment import Experiment, Setup, experiment, prepared

STORED = Path(__file__).with_suffix(".csv")
TABLES = ("simulated", "heart_disease_cleveland", "lifesnaps_daily", "t1d_uom_daily_stress")
SPLITS, ASKED = 6, 60
#: Of the rows: splits, and the epsilons of the marginals.
ROWS = Path(__file__).with_name("private_rows.csv")
ROW_SPLITS, EPSILONS = 3, (8.0, 3.0, 1.0)


def answered(made: Experiment, seed: int) -> tuple[Counterfactuals, np.ndarray]:
    """Plans for up to `ASKED` rows, and the person of each request."""
    held_out = made.table.held_out
    at = made.asked()
    at = np.sort(np.random.default_rng(seed).permutation(at)[:ASKED])
    at = [i for i in at if i not in out_of_range(made.task.codec, made.rows, held_out)]
    asked = held_out.iloc[at]
    limits = Limits(hold=0.0)
    return explain(made.task, "search", asked, made.target, limits=limits, strict=False, seed=seed), persons(
        made, asked
    )


def persons(made: Experiment, rows: pd.DataFrame) -> np.ndarray:
    """Whose rows they are."""
    group = made.table.schema.person
    return (rows[group] if group else rows.index.to_series()).astype(str).to_numpy(str)


def one(table: str, seed: int) -> list[dict[str, object]]:
    """Both kinds of plans of one split, attacked."""
    began = time.perf_counter()
    data = sensecf.datasets.load(table)
    open_table = prepared(data.frame, data.schema, Setup("xgboost", seed=seed))
    rows, efforts = [], {}
    for kind in ("default", "private"):
        split = open_table
        if kind == "private":
            split = replace(open_table, schema=shared_cells(open_table.schema, open_table.train))
        made = experiment(split)
        answers, asked = answered(made, seed)
        scored = read(answers, made.task)
        efforts[kind] = pd.Series(scored.distance, index=scored.queries)
        crowd = Crowd.of(made.task, split.train, split.held_out, lambda rows, made=made: persons(made, rows))
        few = copies(crowd, scored.after, scored.edited)
        followers = copies(crowd, scored.after, scored.changed)
        row = {"table": table, "seed": seed, "kind": kind, "asked": len(asked), "answered": len(scored)}
        row |= {"edits": int(few["made"].sum()), "held_by_few": int(few["held_by_few"].sum())}
        row |= {"with_followers": int(followers["held_by_few"].sum())}
        if len(scored):
            scores = of_plans(answers, asked, made.task).scores(crowd.some(np.random.default_rng(seed)), False,
                                                                np.random.default_rng(seed))  # fmt: skip
            row |= {f"auc {name}": auc for name, auc in scores.areas(seed).set_index("attack")["auc"].items()}
        rows.append(row)
    both = efforts["default"].index.intersection(efforts["private"].index)
    for row in rows:
        row |= {"common": len(both), "effort": float(efforts[str(row["kind"])][both].mean())}
        row["seconds"] = round(time.perf_counter() - began, 1)
    return rows


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """The strongest attack by its upper bound, copies, and effort, by table and kind."""
    out = []
    for (table, kind), part in rows.groupby(["table", "kind"], sort=False):
        worst, (area, low, high) = strongest(part)
        common = part["effort"] * part["common"]
        out.append(
            {
                "table": table,
                "kind": kind,
                "splits": len(part),
                "attack": worst,
                "area": round(area, 3),
                "low": round(low, 3),
                "high": round(high, 3),
                "edits": part["edits"].sum(),
                "held by 1 to 4": part["held_by_few"].sum(),
                "answered": round(part["answered"].sum() / part["asked"].sum(), 3),
                "effort": round(common.sum() / part["common"].sum(), 3) if part["common"].sum() else np.nan,
            }
        )
    return pd.DataFrame(out)


def rows_of(table: str, seed: int) -> list[dict[str, object]]:
    """The rows of `augment` on one split, attacked, and the F1 of forests and boosted trees that learn from them."""
    data = sensecf.datasets.load(table)
    split = prepared(data.frame, data.schema, Setup("logistic", seed=seed))
    made = experiment(split)
    crowd = Crowd.of(made.task, split.train, split.held_out, lambda rows: persons(made, rows))
    crowd = crowd.some(np.random.default_rng(seed))
    learners = ("xgboost", "random-forest")
    asked = [("default", AugmentSpec(classifiers=learners, seed=seed))]
    asked += [
        (f"private, epsilon {e:g}", AugmentSpec(classifiers=learners, seed=seed, private=True, epsilon=e))
        for e in EPSILONS
    ]
    out = []
    for kind, request in asked:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            added, scores, _ = augment(data.frame, data.schema, Path(place) / "rows", request)
        f1 = scores.groupby("method", sort=False)["f1"].mean()
        parts = [(kind, added)]
        if len(added) and (added["added_source"] != "real").any() and kind == "default":
            parts.append(("default, made rows", added[added["added_source"] != "real"]))
        for name, rows in parts:
            row: dict[str, object] = {"table": table, "seed": seed, "kind": name, "rows": len(rows)}
            row |= {"f1": round(float(f1.iloc[-1]), 4), "f1 weights": round(float(f1["class-weights"]), 4)}
            if len(rows):
                surface = of_rows("rows", "rows", rows, made.task)
                scores_of = surface.scores(crowd, False, np.random.default_rng(seed))
                row |= {f"auc {a}": auc for a, auc in scores_of.areas(seed).set_index("attack")["auc"].items()}
            row["seconds"] = round(time.perf_counter() - began, 1)
            out.append(row)
    return out


def row_summary(rows: pd.DataFrame) -> pd.DataFrame:
    """The strongest attack by its upper bound, and F1 beside class weights, by table and kind."""
    out = []
    for (table, kind), part in rows.groupby(["table", "kind"], sort=False):
        worst, (area, low, high) = strongest(part)
        f1 = [round(part[name].mean(), 3) for name in ("f1", "f1 weights")]
        bounds = (round(area, 3), round(low, 3), round(high, 3))
        out.append((table, kind, len(part), int(part["rows"].mean()), worst, *bounds, *f1))
    names = ("table", "kind", "splits", "rows", "attack", "area", "low", "high", "f1", "f1 class weights")
    return pd.DataFrame(out, columns=list(names))


def strongest(part: pd.DataFrame) -> tuple[str, tuple[float, float, float]]:
    """The attack with the largest upper bound: its mean area over splits, and the interval of that."""
    found = {}
    for name in [c for c in part.columns if c.startswith("auc ")]:
        values = part[name].dropna()
        if len(values) > 1:
            half = stats.t.ppf(0.975, len(values) - 1) * values.std() / np.sqrt(len(values))
            found[name[4:]] = (values.mean(), values.mean() - half, values.mean() + half)
    if not found:
        return "–", (np.nan,) * 3
    worst = max(found, key=lambda name: found[name][2])
    return worst, found[worst]


def main() -> None:
    """Split by split, then the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--rows", action="store_true", help="the rows of augment instead of plans")
    options = parser.parse_args()
    stored, make, splits = (ROWS, rows_of, ROW_SPLITS) if options.rows else (STORED, one, options.splits)
    rows = pd.read_csv(stored).to_dict("records") if stored.exists() else []
    done = {(row["table"], row["seed"]) for row in rows}
    for seed in range(splits):
        for table in options.tables.split(","):
            if (table, seed) not in done:
                rows += make(table, seed)
                pd.DataFrame(rows).to_csv(stored, index=False)
    print((row_summary if options.rows else summary)(pd.DataFrame(rows)).to_string(index=False))


if __name__ == "__main__":
    main()
