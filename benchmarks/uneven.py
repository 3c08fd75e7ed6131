"""The tables of docs/results/augmentation-uneven.md: `python benchmarks/uneven.py` (an hour); `--table NAME` does one.

What rows of `augment` are worth over class weights on tables with a scarce class, easy and hard, beside those of the
published study. A cell (a table, a scenario, a share removed, a seed) is a file in the cache: interrupt it, the same
command goes on. What was found is kept in `benchmarks/uneven.csv`; the page is written from there.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from uneven_tables import PUBLISHED, TABLES

from sensecf.augmentation import methods
from sensecf.augmentation.controls import Situation, Treatment
from sensecf.augmentation.gate import OPTIONS, Gain, accept, weighed
from sensecf.augmentation.measure import assess
from sensecf.augmentation.scarcity import positive_class, remove_labels
from sensecf.core.files import cache_folder, write_json, write_text
from sensecf.data.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "benchmarks" / "uneven.csv"
PAGE = ROOT / "docs" / "results" / "augmentation-uneven.md"
#: Methods that are fitted. `augment` is `ungated` at the weight that the gate chooses (0: class weights), and its rows
#: are the same rows, so it has the scores of that.
ARMS = ("nothing", "class-weights", "ungated", "oracle-weights")
SHOWN = ("nothing", "class-weights", "ungated", "augment", "oracle-weights")
CLASSIFIERS = ("xgboost", "random-forest", "logistic")
SCENARIOS, REMOVED, SEEDS = ("a", "c"), (0.5, 0.7), (510, 511)
#: Measures of the page; of all but the last more is better.
MEASURES = ("f1", "f1_tuned", "average_precision", "auc", "brier")
#: A setting that loses more F1 than this to class weights is harmed.
HARM = 0.01
PLACE = ["table", "scenario", "removed", "seed", "classifier"]


class Place(NamedTuple):
    """The rows that a cell learns from."""

    table: str
    scenario: str
    removed: float
    seed: int


def places(tables: tuple[str, ...], seeds: tuple[int, ...]) -> Iterator[Place]:
    """All cells: every table before any is looked at a second time."""
    for seed, removed, scenario, table in itertools.product(seeds, REMOVED, SCENARIOS, tables):
        yield Place(table, scenario, removed, seed)


def cell(place: Place) -> dict[str, Any]:
    """The scores of every arm and classifier, and what the gate decided."""
    frame, schema = TABLES[place.table]()
    _, train, test = prepare(frame, schema, None, place.seed)
    positive = positive_class(schema)
    rows, removed = remove_labels(train, schema, place.scenario, place.removed, positive, place.seed)
    seen = Situation(schema, rows, positive, len(removed), place.seed, removed.drop(columns=schema.label), removed)
    shared, scores = methods.Shared(), []
    treatments = {arm: methods.apply(arm, seen, shared) for arm in ARMS}
    rows_added = treatments["ungated"].added
    for weight in [option.weight for option in OPTIONS if option.weight != 1]:
        treatments[f"weight {weight:g}"] = Treatment(added=weighed(rows_added, weight), balanced=True)
    for arm, made in treatments.items():
        for name in CLASSIFIERS:
            found = assess(name, seen, made, test)
            scores.append({**place._asdict(), "method": arm, "classifier": name, **{m: found[m] for m in MEASURES}})
    tried = methods.apply("augment", seen, shared).facts["tried"]
    return {"scores": scores, "tried": tried}


def chosen(tried: dict[str, dict[str, dict[str, float]]]) -> float:
    """The weight of the first option that the gate lets pass; 0 where there is none."""
    for option, measured in zip(OPTIONS, tried.values(), strict=False):
        if accept({name: Gain(found["gain"], found["error"]) for name, found in measured.items()}):
            return option.weight
    return 0.0


def run(tables: tuple[str, ...], seeds: tuple[int, ...], folder: Path) -> None:
    """The cells that the folder lacks, and all that it has among the stored results."""
    todo = list(places(tables, seeds))
    for number, place in enumerate(todo):
        path = folder / f"{place.table}-{place.scenario}-{place.removed:g}-{place.seed}.json"
        if not path.exists():
            write_json(path, cell(place))
            print(f"{number + 1} of {len(todo)}: {path.stem}", flush=True)


def collect(folder: Path) -> pd.DataFrame:
    """All cells of the folder: one row per method and classifier, and the weight that the gate chose."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        weight = chosen(kept["tried"])
        source = {1.0: "ungated", 0.0: "class-weights"}.get(weight, f"weight {weight:g}")
        passed = [{**score, "method": "augment"} for score in kept["scores"] if score["method"] == source]
        rows += [{**score, "gate": weight} for score in [*kept["scores"], *passed]]
    return pd.DataFrame(rows).sort_values([*PLACE, "method"], ignore_index=True).round(4)


def gains(found: pd.DataFrame, method: str = "augment") -> pd.DataFrame:
    """Each measure of a method less that of class weights, one row per cell and classifier."""
    wide = found.pivot_table(index=PLACE, columns="method", values=list(MEASURES))
    return pd.DataFrame({m: wide[m][method] - wide[m]["class-weights"] for m in MEASURES}).reset_index()


def settings(found: pd.DataFrame, method: str = "augment") -> pd.DataFrame:
    """The same, mean of seeds and classifiers: one row per table, scenario and share removed."""
    every = gains(found, method)
    return every.groupby(["table", "scenario", "removed"], sort=False)[list(MEASURES)].mean().reset_index()


def markdown(found: pd.DataFrame) -> str:
    """The page below its marker."""
    lines = []
    uneven = [name for name in TABLES if name not in PUBLISHED and name in set(found["table"])]
    even = [name for name in PUBLISHED if name in set(found["table"])]
    seeds = ", ".join(map(str, sorted(found["seed"].unique())))
    lines += [f"Cells: {found.groupby(PLACE[:-1]).ngroups}; seeds {seeds}; classifiers {', '.join(CLASSIFIERS)}.", ""]
    for method in ("augment", "ungated"):
        every, by_setting = gains(found, method), settings(found, method)
        lines += [f"### `{method}` less class weights", ""]
        lines += ["| table | F1 at 0.5 | F1, tuned threshold | average precision | AUC | Brier (lower is better) |"]
        lines += ["|---|---|---|---|---|---|"]
        for title, names in (
            ("", uneven),
            ("**mean of these**", uneven),
            ("", even),
            ("**mean of the published**", even),
        ):
            means = every[every["table"].isin(names)].groupby("table")[list(MEASURES)].mean().reindex(names)
            if title and names:
                lines.append(f"| {title} | " + " | ".join(signed(means[m].mean()) for m in MEASURES) + " |")
            elif not title:
                lines += [
                    f"| {n} | " + " | ".join(signed(v) for v in row) + " |"
                    for n, row in zip(names, means.to_numpy(), strict=True)
                ]
        worse = by_setting[by_setting["f1"] < -HARM]
        named = "; ".join(f"{w.table} {w.scenario} {w.removed:.0%} ({signed(w.f1)})" for w in worse.itertuples())
        lines += [
            "",
            f"Settings that lose more than {HARM} F1: {len(worse)} of {len(by_setting)}{named and ': '}{named}.",
            "",
        ]
    gate = found[found["method"] == "augment"].drop_duplicates(PLACE[:-1])["gate"].value_counts()
    told = ", ".join(f"weight {weight:g} in {count}" for weight, count in sorted(gate.items(), reverse=True))
    lines += [f"What the gate chose: {told} of {int(gate.sum())} cells.", ""]
    lines += ["### F1 at 0.5 of each method, and what comes back", ""]
    lines += [
        "Loss: `oracle-weights` (all labels, class weights) less `nothing`; what comes back of 0.05 or more.",
        "",
    ]
    lines += ["| table | " + " | ".join(f"`{arm}`" for arm in SHOWN) + " | loss | back: class weights | `augment` |"]
    lines += ["|---|" + "---|" * (len(SHOWN) + 3)]
    means = found.groupby(["table", "method"])["f1"].mean().unstack()
    for name in [*uneven, *even]:
        row = means.loc[name]
        loss = row["oracle-weights"] - row["nothing"]
        back = [
            f"{(row[m] - row['nothing']) / loss:.0%}" if loss >= 0.05 else "–" for m in ("class-weights", "augment")
        ]
        cells = [*(f"{row[arm]:.3f}" for arm in SHOWN), signed(loss), *back]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def signed(value: float) -> str:
    """A difference with its sign, in thousandths."""
    return f"{value:+.3f}".replace("-", "−")


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--table", choices=TABLES, action="append")
    options.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    options.add_argument("--out", type=Path, default=cache_folder() / "uneven-bench")
    options.add_argument("--write", action="store_true", help="only write the page from what is stored")
    given = options.parse_args()
    if not given.write:
        run(tuple(given.table or TABLES), tuple(given.seeds), given.out)
        collect(given.out).to_csv(STORED, index=False)
    head = PAGE.read_text(encoding="utf-8").partition("<!-- results -->")[0]
    write_text(PAGE, f"{head}<!-- results -->\n\n{markdown(pd.read_csv(STORED))}")


if __name__ == "__main__":
    main()
