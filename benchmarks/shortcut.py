"""The study `shortcut`: what helps where a nuisance agrees with the label in training and not in tests.

    python benchmarks/shortcut.py --jobs 2 --minutes 60      cells that are missing, then the page
    python benchmarks/shortcut.py --write                    the page from what is stored

A cell is a table, a nuisance and a seed (docs/results/augmentation-shortcut.md says what is in it); it goes on where it
stopped. Cells are lines of `benchmarks/shortcut.jsonl`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cells
import numpy as np
import pandas as pd
from shortcut_arms import ARMS, Bench, takes
from shortcut_tables import EFFECTS, NATURAL, SHIFTS, world

from sensecf.core.files import write_text

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "benchmarks" / "shortcut.jsonl"
PAGE = ROOT / "docs" / "results" / "augmentation-shortcut.md"
LEARNERS = ("xgboost", "random-forest", "logistic", "mlp")
#: The first seed of the confirmation: arms and settings were chosen on seeds below 500.
SEEDS = (511, 512, 513, 514, 515, 516)
#: Shares of test rows in which the nuisance agrees with the label.
TESTS = (0.9, 0.5, 0.1)
#: The arm that does what `nuisance = true` in a schema does.
NAMED = "dropped, group-weights"
#: Draws of splits for an interval.
DRAWS = 2000
#: Bars: gain over class weights and munge, way to the balanced learner, loss in distribution, control, natural, few.
GAIN, WAY, LOSS, CONTROL, NATURAL_GAIN, FEW = 0.10, 0.80, 0.01, 0.01, 0.03, 0.5


def places(seeds: tuple[int, ...] = SEEDS) -> list[cells.Place]:
    """All cells, every one with its first seed before any with its second."""
    kinds = [(table, kind) for table in EFFECTS for kind in EFFECTS[table]]
    kinds += [(table, kind) for kind, table in {**NATURAL, **SHIFTS}.items()]
    return [{"study": "shortcut", "table": t, "nuisance": k, "seed": seed} for seed in seeds for t, k in kinds]


def cell(place: cells.Place) -> dict[str, Any]:
    """Of every arm and learner: recall, false alarms and Brier score, nuisance agreeing and not; and the prevalence."""
    made = world(place["table"], place["nuisance"], place["seed"])
    bench = Bench(made, place["seed"])
    found: dict[str, dict[str, list[float | None]]] = {}
    for arm, do in ARMS.items():
        found[arm] = {}
        for name in (name for name in LEARNERS if takes(arm, name)):
            told = do(bench, name)
            rates = [_rates(told, rows, made) for rows in (made.agreeing, made.other)]
            found[arm][name] = [
                None if np.isnan(v) else round(float(v), 5) for pair in zip(*rates, strict=True) for v in pair
            ]
    test = pd.concat([made.agreeing, made.other])
    prevalence = float((test[made.schema.label] == made.positive).mean())
    return {"rows": len(made.train), "prevalence": round(prevalence, 5), "rates": found}


def _rates(told: Any, rows: pd.DataFrame, made: Any) -> tuple[float, float, float]:
    """Recall, share of false alarms and Brier score on rows; NaN where there are none."""
    truth = (rows[made.schema.label] == made.positive).to_numpy()
    if truth.all() or not truth.any():
        return float("nan"), float("nan"), float("nan")
    probability = told(rows)
    called = probability >= 0.5
    return float(called[truth].mean()), float(called[~truth].mean()), float(((probability - truth) ** 2).mean())


def f1(prevalence: float, rates: list[float], share: float) -> float:
    """F1 where the nuisance agrees with the label in a share of the rows of each class."""
    recall = share * rates[0] + (1 - share) * rates[1]
    alarms = share * rates[2] + (1 - share) * rates[3]
    hits = prevalence * recall
    return float(2 * hits / (hits + (1 - prevalence) * alarms + prevalence))


def frame(kept: list[dict[str, Any]]) -> pd.DataFrame:
    """One row per cell, arm and learner: F1 of the worst group, and at each test."""
    rows = []
    for line in kept:
        if line["place"]["study"] != "shortcut":
            continue
        for arm, by_learner in line["found"]["rates"].items():
            for learner, rates in by_learner.items():
                if None in rates:
                    continue
                told = {share: f1(line["found"]["prevalence"], rates, share) for share in (*TESTS, 1.0, 0.0)}
                rows.append(
                    {
                        **{key: line["place"][key] for key in ("table", "nuisance", "seed")},
                        "arm": arm,
                        "learner": learner,
                        "worst": min(told[1.0], told[0.0]),
                        **{f"at {share:.0%}": told[share] for share in TESTS},
                        "brier at 10%": 0.1 * rates[4] + 0.9 * rates[5],
                    }
                )
    return pd.DataFrame(rows)


def wide(found: pd.DataFrame, measure: str = "worst", learners: tuple[str, ...] = LEARNERS) -> pd.DataFrame:
    """Mean of the learners: one row per table, nuisance and seed, one column per arm."""
    own = found[found["learner"].isin(learners)]
    return own.pivot_table(index=["table", "nuisance", "seed"], columns="arm", values=measure, aggfunc="mean")


def interval(values: pd.Series[float]) -> str:
    """The mean and its 95 % interval, splits drawn again."""
    numbers = values.dropna().to_numpy()
    if len(numbers) < 3:
        return f"{signed(float(numbers.mean()))}" if len(numbers) else "–"
    drawn = np.random.default_rng(0).choice(numbers, (DRAWS, len(numbers))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{signed(float(numbers.mean()))} ({signed(float(low))} to {signed(float(high))})"


def signed(value: float) -> str:
    """A difference with its sign, in thousandths."""
    return f"{value:+.3f}".replace("-", "−")


def markdown(kept: list[dict[str, Any]]) -> str:
    """The page below its marker."""
    found = frame(kept)
    assigned = found[found["nuisance"].isin(EFFECTS["simulated"])]
    seeds = ", ".join(map(str, sorted(found["seed"].unique())))
    count = found.groupby(["table", "nuisance", "seed"]).ngroups
    made = found.groupby("table")["nuisance"].unique()
    told = "; ".join(f"{name}: {', '.join(kinds)}" for name, kinds in made.items())
    lines = [f"Cells: {count}; seeds {seeds}; learners {', '.join(LEARNERS)}. {told}.", ""]
    lines += ["### F1 of the worst group, mean of seeds and learners", ""]
    lines += _by(assigned, "nuisance", ("site", "device", "wear"), "worst")
    lines += ["### The same by table, mean of the nuisances that were made there", ""]
    lines += _by(assigned, "table", tuple(EFFECTS), "worst")
    lines += ["### F1 where the nuisance agrees with the label in 90, 50 and 10 % of the test rows", ""]
    lines += _tests(assigned)
    lines += ["### Natural nuisances, and natural shifts", ""]
    lines += _by(found, "nuisance", (*NATURAL, *SHIFTS), "worst")
    lines += [f"`invariance@all` less (bar over class weights: +{NATURAL_GAIN} on one):", ""]
    lines += _less(found, (*NATURAL, *SHIFTS), ("class-weights", "munge", "group-weights", "dropped, group-weights"))
    lines += ["### Smooth learners that are taught pairs as pairs", ""]
    smooth = assigned[assigned["learner"].isin(("logistic", "mlp"))]
    for learner in ("logistic", "mlp"):
        lines += [
            f"`{learner}`",
            "",
            *_by(smooth[smooth["learner"] == learner], "nuisance", ("site", "device", "wear"), "worst"),
        ]
    lines += ["### Differences of the worst group's F1, 95 % over splits", "", *_differences(assigned)]
    return "\n".join(lines) + "\n"


def sentence(kept: list[dict[str, Any]]) -> str:
    """What docs/augmentation.md says of the study: F1 of the worst group, mean of the assigned nuisances."""
    found = frame(kept)
    by_cell = wide(found[found["nuisance"].isin(EFFECTS["simulated"])])
    means = by_cell.mean()
    shown = ("class-weights", "munge", "dropped", "group-weights", NAMED, "group-dro", "invariance@all", "corrected")
    told = ", ".join(f"`{arm}` {means[arm]:.3f}" for arm in shown)
    return f"F1 of the worst group in {len(by_cell)} cells: {told}, learned from balanced rows {means['balanced']:.3f}."


def _by(found: pd.DataFrame, key: str, names: tuple[str, ...], measure: str) -> list[str]:
    names = tuple(name for name in names if name in set(found[key]))
    means = found.groupby(["arm", key])[measure].mean().unstack()
    lines = ["| arm | " + " | ".join(names) + " | mean |", "|---" * (len(names) + 2) + "|"]
    for arm in (arm for arm in ARMS if arm in means.index):
        values = [means.loc[arm, name] for name in names]
        lines.append(f"| {arm} | " + " | ".join(f"{v:.3f}" for v in [*values, float(np.mean(values))]) + " |")
    return [*lines, ""]


def _tests(found: pd.DataFrame) -> list[str]:
    measures = [f"at {share:.0%}" for share in TESTS]
    means = found.groupby("arm")[[*measures, "worst", "brier at 10%"]].mean()
    lines = ["| arm | 90 % | 50 % | 10 % | worst group | Brier score at 10 % |", "|---" * 6 + "|"]
    for arm in (arm for arm in ARMS if arm in means.index):
        lines.append(f"| {arm} | " + " | ".join(f"{v:.3f}" for v in means.loc[arm]) + " |")
    return [*lines, ""]


def _differences(found: pd.DataFrame) -> list[str]:
    others = ("class-weights", "munge", "dropped", "group-weights", "dropped, group-weights", "group-dro", "corrected")
    return [
        "`invariance@all` less:",
        "",
        *_less(found, ("site", "device", "wear", "all"), others),
        "`invariance, estimated` (the effect is not known) less:",
        "",
        *_less(
            found, ("site", "device", "wear", "all"), (NAMED, "group-weights", "group-dro"), "invariance, estimated"
        ),
        "`dropped, group-weights` (`nuisance = true`) less:",
        "",
        *_less(
            found, ("site", "device", "wear", "all"), ("class-weights", "dropped", "group-weights", "group-dro"), NAMED
        ),
        *_bars(found),
    ]


def _less(
    found: pd.DataFrame, kinds: tuple[str, ...], others: tuple[str, ...], ours: str = "invariance@all"
) -> list[str]:
    by_cell = wide(found)
    lines = ["| | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for other in others:
        gain = by_cell[ours] - by_cell[other]
        level = gain.index.get_level_values("nuisance")
        parts = [gain if kind == "all" else gain[level == kind] for kind in kinds]
        lines.append(f"| {other} | " + " | ".join(map(interval, parts)) + " |")
    return [*lines, ""]


def _bars(found: pd.DataFrame) -> list[str]:
    """Each bar with its figure."""
    by_table = wide(found).groupby("table").mean()
    even = wide(found, "at 50%").groupby("table").mean()
    alike = wide(found, "at 90%").groupby("table").mean()
    ours = by_table["invariance@all"]
    way = (ours - by_table["class-weights"]) / (by_table["balanced"] - by_table["class-weights"])
    few = (by_table["invariance@16"] - by_table["class-weights"]) / (ours - by_table["class-weights"])
    smooth = wide(found, learners=("logistic", "mlp")).groupby("table").mean()
    taught = (smooth["pairs@16"] - smooth["class-weights"]) / (smooth["pairs@all"] - smooth["class-weights"])
    kinds = {
        f"over class weights (bar +{GAIN})": ours - by_table["class-weights"],
        f"over munge (bar +{GAIN})": ours - by_table["munge"],
        f"way to the balanced learner (bar {WAY:.0%})": way,
        "F1 at 50 % less that of the balanced learner": even["invariance@all"] - even["balanced"],
        "F1 at 90 %, where the nuisance holds, less that of class weights": alike["invariance@all"]
        - alike["class-weights"],
        f"F1 at 90 % less that of the balanced learner (bar −{LOSS})": alike["invariance@all"] - alike["balanced"],
        f"random pairs less class weights (bar ±{CONTROL})": by_table["random pairs"] - by_table["class-weights"],
        f"16 of all pairs as rows, share of the gain (bar {FEW:.0%})": few,
        f"16 of all pairs as pairs, smooth learners (bar {FEW:.0%})": taught,
        "over group weights": ours - by_table["group-weights"],
        "over group-DRO": ours - by_table["group-dro"],
        "over the column dropped": ours - by_table["dropped"],
        "over the effect taken out": ours - by_table["corrected"],
    }
    lines = ["### Bars, by table", "", "| | " + " | ".join(by_table.index) + " |", "|---" * (len(by_table) + 1) + "|"]
    for title, values in kinds.items():
        shares = "share" in title or "way" in title or "as pairs" in title
        lines.append(f"| {title} | " + " | ".join(f"{v:.0%}" if shares else signed(v) for v in values) + " |")
    return lines


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--minutes", type=float, default=600.0)
    options.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    options.add_argument("--out", type=Path, default=STORED)
    options.add_argument("--write", action="store_true", help="only write the page from what is stored")
    given = options.parse_args()
    if not given.write:
        cells.work(cell, places(tuple(given.seeds)), given.out, given.jobs, given.minutes)
    head = PAGE.read_text(encoding="utf-8").partition("<!-- results -->")[0]
    kept = cells.read(given.out)
    write_text(PAGE, f"{head}<!-- results -->\n\n{markdown(kept)}")
    print(sentence(kept))


if __name__ == "__main__":
    main()
