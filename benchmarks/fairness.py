"""Is a gap found where one was planted, and none claimed where there is none? `python benchmarks/fairness.py`

Cohorts are simulated: the person's own distance from the boundary is drawn, and the effort of group B is `1 + GAP`
times as large. A hundred cohorts with the gap and a hundred without: boundary answers for the held-out people, and
the gaps that `sensecf fairness` finds among them. Each is kept in benchmarks/fairness.csv, and the same call goes on
where it stopped.
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
from sensecf.runs.experiment import experiment, prepared
from sensecf.runs.fairness.groups import attributes
from sensecf.runs.fairness.measures import found, gaps
from sensecf.runs.run import RunSpec
from sensecf.runs.whose import People

STORED = Path(__file__).with_suffix(".csv")
#: The planted gap in effort, people of a cohort (30 % are held out, half of these asked), and cohorts of each kind.
GAP, PEOPLE, COHORTS = 0.2, 6000, 100

SCHEMA = FeatureSchema(
    (
        Feature("steps", "integer", "actionable", "steps", 0, 40_000, 50),
        Feature("sleep_min", "integer", "actionable", "min", 120, 720, 5),
        Feature("sitting_min", "integer", "actionable", "min", 60, 1_200, 5),
    ),
    "stress",
    ("high", "low"),
    "low",
)
#: Columns of the table that the classifier does not see: where it does, its fit alone makes a small gap of its own.
PROTECTED = ("group", "age")


def cohort(seed: int, planted: float, people: int = PEOPLE) -> pd.DataFrame:
    """People of two groups and three ages. The boundary lies at 16,000 steps; how far somebody is from it is drawn
    alike for all, and those of group B who lie below it lie `1 + planted` times as far."""
    rng = np.random.default_rng([seed, int(1000 * planted)])
    group = rng.choice(["A", "B"], people)
    well = rng.random(people) < 0.5
    far = rng.gamma(6.0, 600.0, people) * np.where(well, 1.0, -np.where(group == "B", 1 + planted, 1.0))
    table = pd.DataFrame(
        {
            "group": group,
            "age": rng.integers(20, 81, people),
            "steps": np.clip(np.round((16_000 + far) / 50) * 50, 0, 40_000).astype(int),
            "sleep_min": np.clip(np.round(rng.normal(430, 50, people) / 5) * 5, 120, 720).astype(int),
            "sitting_min": np.clip(np.round(rng.normal(560, 90, people) / 5) * 5, 60, 1_200).astype(int),
        }
    )
    return table.assign(stress=np.where(well, "low", "high"))


def one(seed: int, planted: float) -> dict[str, object]:
    """What is claimed of one cohort."""
    began = time.perf_counter()
    frame = cohort(seed, planted)
    request = RunSpec(classifier="logistic", generator="search", limits=Limits(hold=0.0), seed=seed)
    made = experiment(prepared(frame, SCHEMA, request.setup))
    asked = made.table.held_out.iloc[made.asked()]
    answers = explain(made.task, "search", asked, made.target, limits=request.limits, seed=seed)
    people = People(Path(), {}, request, frame, made.table, made.task, answers, made.target)
    table_of_gaps = gaps(found(people), attributes(people, PROTECTED)[0], seed)
    claimed = table_of_gaps[table_of_gaps["claimed"]]
    effort = claimed[claimed["measure"].isin(["distance", "equal_start"])]
    own = table_of_gaps[(table_of_gaps["measure"] == "distance") & (table_of_gaps["group"] == "B")].iloc[0]
    return {
        "seed": seed,
        "planted": planted,
        "asked": len(people.answers.factuals),
        "ratio": round(float(own["gap"]), 4),
        "p_holm": float(own["p_holm"]),
        "found": bool((effort["group"] == "B").any()),
        "claims": len(claimed),
        "seconds": round(time.perf_counter() - began, 1),
    }


def section(rows: pd.DataFrame) -> str:
    """The table of docs/fairness.md."""
    lines = ["| cohorts | | of | 95 % interval | mean ratio of efforts |", "|---|---:|---:|---:|---:|"]
    for planted, part in sorted(rows.groupby("planted"), reverse=True):
        hit = part["found"] if planted else part["claims"] == 0
        low, high = wilson(float(hit.sum()), len(part))
        what = f"{planted:.0%} planted: gap found".replace("%", " %") if planted else "none planted: nothing claimed"
        lines.append(f"| {what} | {hit.sum()} | {len(part)} | {low:.3f} to {high:.3f} | {part['ratio'].mean():.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Cohort by cohort, then the two shares with their 95 % intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=COHORTS)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long; the next call goes on")
    parser.add_argument("--write", action="store_true", help="put the table into docs/fairness.md")
    options = parser.parse_args()
    stored = pd.read_csv(STORED) if STORED.exists() else pd.DataFrame(columns=["seed", "planted"])
    rows, until = stored.to_dict("records"), time.monotonic() + 60 * options.minutes
    done = {(row["seed"], row["planted"]) for row in rows}
    for seed in range(options.cohorts):
        for planted in (GAP, 0.0):
            if (seed, planted) in done or time.monotonic() > until:
                continue
            rows.append(one(seed, planted))
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(STORED, index=False)
    print(section(pd.DataFrame(rows)))
    if options.write:
        replace_section(STORED.parents[1] / "docs" / "fairness.md", "fairness", section(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
