"""The tables of docs/results/augmentation-uneven.md.

    python benchmarks/uneven.py --jobs 2          cells that are missing (a quarter of a minute each), then the page
    python benchmarks/uneven.py --write           the page from what is stored

What rows of `augment` are worth over class weights on tables with a scarce class, easy and hard, beside those of the
published study. A cell is a table, a scenario, a share removed and a seed, and a line of the file `--out`: interrupt
it, the same command goes on. What was found is kept in `benchmarks/uneven.csv`; the page is written from there.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cells
import numpy as np
import pandas as pd
from uneven_tables import TABLES

from sensecf.augmentation import methods
from sensecf.augmentation.controls import Situation, Treatment
from sensecf.augmentation.gate import OPTIONS, Gain, accept, weighed
from sensecf.augmentation.measure import Answers, against, answers, score
from sensecf.augmentation.scarcity import positive_class, remove_labels
from sensecf.core.files import cache_folder, write_text
from sensecf.data.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "benchmarks" / "uneven.csv"
PAGE = ROOT / "docs" / "results" / "augmentation-uneven.md"
#: Methods that are fitted. `augment` is `ungated` at the weight that the gate chooses (0: class weights), and its rows
#: are the same rows, so it has the scores of that.
ARMS = ("nothing", "class-weights", "threshold", "ungated", "oracle-weights")
SHOWN = ("nothing", "class-weights", "threshold", "ungated", "augment", "oracle-weights")
CLASSIFIERS = ("xgboost", "random-forest", "logistic", "svm", "mlp")
SCENARIOS, REMOVED = ("a", "c"), (0.5, 0.7)
#: Seeds of the confirmation; choices were made on seeds up to 510.
SEEDS = (511, 512, 513, 514, 515, 516)
#: Measures of the page; of all but the last more is better.
MEASURES = ("f1", "f1_tuned", "average_precision", "auc", "brier")
#: A setting that loses more F1 than this to class weights is harmed.
HARM = 0.01
PLACE = ["table", "scenario", "removed", "seed", "classifier"]


def places(tables: tuple[str, ...] = tuple(TABLES), seeds: tuple[int, ...] = SEEDS) -> list[cells.Place]:
    """All cells: every table before any is looked at a second time."""
    return [
        {"study": "uneven", "table": table, "scenario": scenario, "removed": removed, "seed": seed}
        for seed, removed, scenario, table in itertools.product(seeds, REMOVED, SCENARIOS, tables)
    ]


def cell(place: cells.Place) -> dict[str, Any]:
    """The scores of every arm and classifier, what people say of the rows, and what the gate decided."""
    frame, schema = TABLES[place["table"]]()
    seed = place["seed"]
    _, train, test = prepare(frame, schema, None, seed)
    positive = positive_class(schema)
    rows, removed = remove_labels(train, schema, place["scenario"], place["removed"], positive, seed)
    seen = Situation(schema, rows, positive, len(removed), seed, removed.drop(columns=schema.label), removed)
    shared, scores = methods.Shared(), []
    treatments = {arm: methods.apply(arm, seen, shared) for arm in ARMS}
    rows_added = treatments["ungated"].added
    for weight in [option.weight for option in OPTIONS if option.weight != 1]:
        treatments[f"weight {weight:g}"] = Treatment(added=weighed(rows_added, weight), balanced=True)
    told: dict[str, list[Answers]] = {}
    for arm, made in treatments.items():
        told[arm] = [answers(name, seen, made, test) for name in CLASSIFIERS]
        for name, said in zip(CLASSIFIERS, told[arm], strict=True):
            found = score(*said)
            scores.append({"method": arm, "classifier": name, **{m: round(found[m], 4) for m in MEASURES}})
    people = np.arange(len(test)) if schema.group is None else pd.factorize(test[schema.group])[0]
    by_person = {
        arm: against(told[arm], told["class-weights"], people, seed)["f1"]
        for arm in treatments
        if arm == "ungated" or arm.startswith("weight")
    }
    tried = methods.apply("augment", seen, shared).facts["tried"]
    return {"scores": scores, "by_person": by_person, "tried": tried}


def chosen(tried: dict[str, dict[str, dict[str, float]]]) -> float:
    """The weight of the first option that the gate lets pass; 0 where there is none."""
    for option, measured in zip(OPTIONS, tried.values(), strict=False):
        if accept({name: Gain(found["gain"], found["error"]) for name, found in measured.items()}):
            return option.weight
    return 0.0


def collect(kept: list[dict[str, Any]]) -> pd.DataFrame:
    """All cells: one row per method and classifier, the weight that the gate chose, and F1's error by person."""
    rows = []
    for line in (line for line in kept if line["place"]["study"] == "uneven"):
        place = {key: line["place"][key] for key in PLACE[:-1]}
        found = line["found"]
        weight = chosen(found["tried"])
        source = {1.0: "ungated", 0.0: "class-weights"}.get(weight, f"weight {weight:g}")
        person = found["by_person"].get(source, {"low": 0.0, "high": 0.0})
        extra = {"gate": weight, "error": round((person["high"] - person["low"]) / 3.92, 4)}
        passed = [{**one, "method": "augment"} for one in found["scores"] if one["method"] == source]
        rows += [{**place, **one, **extra} for one in [*found["scores"], *passed]]
    return pd.DataFrame(rows).sort_values([*PLACE, "method"], ignore_index=True)


def gains(found: pd.DataFrame, method: str = "augment") -> pd.DataFrame:
    """Each measure of a method less that of class weights, one row per cell and classifier."""
    wide = found.pivot_table(index=PLACE, columns="method", values=list(MEASURES))
    return pd.DataFrame({m: wide[m][method] - wide[m]["class-weights"] for m in MEASURES}).reset_index()


def settings(found: pd.DataFrame, method: str = "augment") -> pd.DataFrame:
    """The same, mean of seeds and classifiers: one row per table, scenario and share removed."""
    every = gains(found, method)
    return every.groupby(["table", "scenario", "removed"], sort=False)[list(MEASURES)].mean().reset_index()


def harmed(found: pd.DataFrame, method: str = "augment") -> pd.DataFrame:
    """Settings that lose more than `HARM`, and whether by more than 1.96 errors (test people counting once)."""
    by_setting = settings(found, method).set_index(["table", "scenario", "removed"])
    own = found[found["method"] == "augment"].drop_duplicates(PLACE[:-1])
    error = own.groupby(["table", "scenario", "removed"], sort=False)["error"].agg(
        lambda each: float(np.sqrt((each**2).sum()) / len(each))
    )
    lost = by_setting[by_setting["f1"] < -HARM].assign(error=error)
    return lost.assign(significant=lost["f1"] + 1.96 * lost["error"] < 0).reset_index()


def markdown(found: pd.DataFrame) -> str:
    """The page below its marker."""
    names = [name for name in TABLES if name in set(found["table"])]
    seeds = ", ".join(map(str, sorted(found["seed"].unique())))
    lines = [f"Cells: {found.groupby(PLACE[:-1]).ngroups}; seeds {seeds}; classifiers {', '.join(CLASSIFIERS)}.", ""]
    for method in ("augment", "ungated"):
        lines += [f"### `{method}` less class weights", "", *_differences(found, names, method)]
    gate = found[found["method"] == "augment"].drop_duplicates(PLACE[:-1])["gate"].value_counts()
    told = ", ".join(f"weight {weight:g} in {count}" for weight, count in sorted(gate.items(), reverse=True))
    lines += [f"What the gate chose: {told} of {int(gate.sum())} cells.", ""]
    lines += ["### `augment` less class weights, by classifier and by share removed", ""]
    for key in ("classifier", "removed", "scenario"):
        means = gains(found).groupby(key)[list(MEASURES)].mean()
        lines += _measures(key, [(f"{name:.0%}" if key == "removed" else name, row) for name, row in means.iterrows()])
    lines += ["### What is lost, and what comes back", "", *_recovery(found, names)]
    return "\n".join(lines) + "\n"


def _differences(found: pd.DataFrame, names: list[str], method: str) -> list[str]:
    """By table, the mean of all, and the settings that are harmed."""
    every, by_setting, lost = gains(found, method), settings(found, method), harmed(found, method)
    means = every.groupby("table")[list(MEASURES)].mean().reindex(names)
    uneven = means[[not name.startswith("cohort-50") for name in names]]
    rows = [*means.iterrows(), ("**mean of the uneven**", uneven.mean()), ("**mean**", means.mean())]
    told = "; ".join(f"{w.table} {w.scenario} {w.removed:.0%} ({signed(w.f1)})" for w in lost.itertuples())
    return [
        *_measures("table", rows),
        f"Settings that lose more than {HARM} F1: {len(lost)} of {len(by_setting)}{told and ': '}{told}. "
        f"By more than their error over test people: {int(lost['significant'].sum())}.",
        "",
    ]


def _measures(title: str, rows: Iterable[tuple[Any, pd.Series[float]]]) -> list[str]:
    lines = [f"| {title} | F1 at 0.5 | F1, tuned threshold | average precision | AUC | Brier (lower is better) |"]
    lines += ["|---" * 6 + "|"]
    return [*lines, *(f"| {name} | " + " | ".join(signed(row[m]) for m in MEASURES) + " |" for name, row in rows), ""]


def _recovery(found: pd.DataFrame, names: list[str]) -> list[str]:
    """F1 of each method; gain over `nothing` absolute, relative, and as a share of what was lost."""
    means = found.groupby(["table", "method"])["f1"].mean().unstack()
    lines = ["F1 at 0.5:", "", "| table | " + " | ".join(f"`{arm}`" for arm in SHOWN) + " |"]
    lines += ["|---" * (len(SHOWN) + 1) + "|"]
    lines += [f"| {n} | " + " | ".join(f"{means.loc[n, arm]:.3f}" for arm in SHOWN) + " |" for n in names]
    lines += [
        "",
        "Loss: `oracle-weights` (all labels, class weights) less `nothing`. Each method: gain over `nothing`,",
    ]
    lines += ["the same relative to the F1 of `nothing`, and as a share of the loss where that is 0.05 or more.", ""]
    back = ("class-weights", "threshold", "augment")
    lines += ["| table | loss | " + " | ".join(f"`{arm}`" for arm in back) + " |", "|---" * (len(back) + 2) + "|"]
    for name in names:
        row = means.loc[name]
        lost = row["oracle-weights"] - row["nothing"]
        lines.append(f"| {name} | {signed(lost)} | " + " | ".join(_back(row, arm, lost) for arm in back) + " |")
    return [*lines, ""]


def _back(row: pd.Series[float], arm: str, lost: float) -> str:
    gain = row[arm] - row["nothing"]
    relative = f"{gain / row['nothing']:+.0%}".replace("-", "−") if row["nothing"] >= 0.05 else "–"
    return f"{signed(gain)}, {relative}, {f'{gain / lost:.0%}' if lost >= 0.05 else '–'}"


def signed(value: float) -> str:
    """A difference with its sign, in thousandths."""
    return f"{value:+.3f}".replace("-", "−")


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--minutes", type=float, default=600.0)
    options.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    options.add_argument("--out", type=Path, default=cache_folder() / "uneven.jsonl")
    options.add_argument("--write", action="store_true", help="only write the page from what is stored")
    given = options.parse_args()
    if not given.write:
        cells.work(cell, places(seeds=tuple(given.seeds)), given.out, given.jobs, given.minutes)
        collect(cells.read(given.out)).to_csv(STORED, index=False)
    head = PAGE.read_text(encoding="utf-8").partition("<!-- results -->")[0]
    write_text(PAGE, f"{head}<!-- results -->\n\n{markdown(pd.read_csv(STORED))}")


if __name__ == "__main__":
    main()
