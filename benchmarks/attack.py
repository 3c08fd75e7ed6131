"""Are planted leaks seen, and clean releases left alone? `python benchmarks/attack.py` (resumable)

A hundred runs on simulated people, small ones: plans by the search and made-up rows that are drawn from noisy means of
many people, so that both are clean. Each is attacked as it is, and with ten people's rows put in (copied into plans, or
memorised as rows). Kept in benchmarks/attack.csv. Then, once, whether attacks have the direction that their papers
report: an overfitted generator, and a classifier that has its rows by heart.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sections import replace_section

from sensecf.core.limits import Limits
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.metrics.statistics import wilson
from sensecf.pipeline.explain import explain
from sensecf.runs.attack.surfaces import Crowd, of_model, of_plans, of_rows, own_label
from sensecf.runs.experiment import Setup, experiment, prepared

STORED = Path(__file__).with_suffix(".csv")
RUNS, PEOPLE, DAYS = 100, 200, 3
#: The schema of the cohort.
SCHEMA = FeatureSchema(
    (
        Feature("age", "integer", "immutable", "years", 18, 90, 1),
        Feature("steps", "integer", "actionable", "steps", 0, 30_000, 10),
        Feature("sleep_min", "continuous", "actionable", "min", 120, 720, 1),
        Feature("sitting_min", "continuous", "actionable", "min", 60, 1_200, 1),
        Feature("active_min", "continuous", "actionable", "min", 0, 300, 1),
        Feature("pulse_bpm", "continuous", "mutable", "bpm", 40, 130, 0.1),
    ),
    "stress",
    ("high", "low"),
    "low",
    person="who",
)


def cohort(seed: int) -> pd.DataFrame:
    """People with a level of their own and a few days each."""
    rng = np.random.default_rng([seed, 3])
    who = np.repeat(np.arange(PEOPLE), DAYS)

    def draw(mean: float, between: float, within: float) -> np.ndarray:
        return mean + rng.normal(0, between, PEOPLE)[who] + rng.normal(0, within, len(who))

    table = pd.DataFrame(
        {
            "who": [f"P{one:04d}" for one in who],
            "age": rng.integers(18, 91, PEOPLE)[who],
            "steps": (draw(8_000, 2_000, 1_500) / 10).round().clip(0, 3_000).astype(int) * 10,
            "sleep_min": draw(430, 40, 35).round().clip(120, 720),
            "sitting_min": draw(560, 80, 50).round().clip(60, 1_200),
            "active_min": draw(50, 20, 15).round().clip(0, 300),
            "pulse_bpm": draw(68, 7, 3).round(1).clip(40, 130),
        }
    )
    score = (table["steps"] - 8_000) / 2_500 + (table["sleep_min"] - 430) / 50 - (table["pulse_bpm"] - 68) / 12
    return table.assign(stress=np.where(score + rng.normal(0, 0.7, len(table)) > 0, "low", "high"))


def clean_rows(crowd: Crowd, seed: int, count: int = 300) -> pd.DataFrame:
    """Rows of nobody: normal around means and spreads that are rounded to a tenth of the spread of everybody."""
    rng = np.random.default_rng([seed, 4])
    members = crowd.table[crowd.member]
    names = SCHEMA.names
    spread = crowd.table[names].std()
    mean = (members[names].mean() / spread * 10).round() / 10 * spread
    rows = pd.DataFrame(rng.normal(mean, spread, (count, len(names))), columns=names)
    for feature in SCHEMA.features:
        rows[feature.name] = ((rows[feature.name] / feature.step).round() * feature.step).clip(
            feature.low, feature.high
        )
    return rows


def prepared_crowd(seed: int) -> tuple[Crowd, object]:
    """Everybody of a small experiment, and the experiment."""
    made = experiment(prepared(cohort(seed), SCHEMA, Setup("logistic", seed=seed)))
    return Crowd.of(made.task, made.table.train, made.table.held_out, lambda rows: rows["who"].to_numpy(str)), made


def one(seed: int) -> list[dict[str, object]]:
    """Both surfaces, as they are and planted."""
    began = time.perf_counter()
    crowd, made = prepared_crowd(seed)
    asked = made.table.held_out.iloc[made.asked(80)]
    answers = explain(made.task, "search", asked, made.target, limits=Limits(hold=0.0), seed=seed)
    surfaces = [
        of_plans(answers, asked["who"].to_numpy(str), made.task),
        of_rows("rows", "rows", clean_rows(crowd, seed), made.task),
    ]
    rows = []
    for surface in surfaces:
        for planted in (False, True):
            scores = surface.scores(crowd, planted, np.random.default_rng([seed, 5]))
            told = scores.tested(surface.sharp, seed)
            areas = scores.areas(seed)
            rows.append(
                {
                    "seed": seed,
                    "surface": surface.name,
                    "planted": planted,
                    "flagged": bool(told["flagged"]),
                    "first": int(told["first"]),
                    "p_area": round(told["area"], 4),
                    "largest": round(float(areas["auc"].max()), 3),
                    "upper": round(float(areas["high"].max()), 3),
                    "seconds": round(time.perf_counter() - began, 1),
                }
            )
    return rows


def directions(seed: int = 0) -> pd.DataFrame:
    """Areas where attacks are known to work: rows of an overfitted generator (members with a little noise), of one that
    is not, a random forest grown to single rows, and a logistic regression."""
    crowd, made = prepared_crowd(seed)
    rng = np.random.default_rng([seed, 6])
    members = crowd.table[crowd.member].reset_index(drop=True)
    near = (
        members[SCHEMA.names]
        + rng.normal(0, 1, (len(members), len(SCHEMA))) * 0.2 * crowd.table[SCHEMA.names].std().to_numpy()
    )
    out = []
    for name, rows in (("overfitted rows", near), ("clean rows", clean_rows(crowd, seed, len(near)))):
        clipped = rows.clip([f.low for f in SCHEMA.features], [f.high for f in SCHEMA.features], axis=1)
        surface = of_rows(name, name, clipped, made.task)
        out.append(surface.scores(crowd, False, np.random.default_rng(0)).areas(seed).assign(what=name))
    for kind in ("random-forest", "logistic"):
        model = experiment(prepared(cohort(seed), SCHEMA, Setup(kind, seed=seed))).task
        surface = of_model(kind, kind, model, own_label(model), kind)
        out.append(surface.scores(crowd, False, np.random.default_rng(0)).areas(seed).assign(what=kind))
    return pd.concat(out, ignore_index=True)[["what", "attack", "auc", "low", "high", "tpr"]]


def section(rows: pd.DataFrame) -> str:
    """The table of docs/privacy.md."""
    lines = ["| surface | | flagged | of | 95 % interval |", "|---|---|---:|---:|---:|"]
    for (surface, planted), part in rows.groupby(["surface", "planted"]):
        low, high = wilson(float(part["flagged"].sum()), len(part))
        what = "ten people planted" if planted else "clean"
        lines.append(f"| {surface} | {what} | {part['flagged'].sum()} | {len(part)} | {low:.3f} to {high:.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Run by run, then shares with their 95 % intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--directions", action="store_true", help="only the directions")
    parser.add_argument("--write", action="store_true", help="put the table into docs/privacy.md")
    options = parser.parse_args()
    if options.directions:
        print(directions().round(3).to_string(index=False))
        return
    rows = pd.read_csv(STORED).to_dict("records") if STORED.exists() else []
    done = {row["seed"] for row in rows}
    for seed in range(options.runs):
        if seed not in done:
            rows += one(seed)
            pd.DataFrame(rows).to_csv(STORED, index=False)
    print(section(pd.DataFrame(rows)))
    if options.write:
        replace_section(STORED.parents[1] / "docs" / "privacy.md", "attack", section(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
