"""The straight way to a plan, week by week: does it break a rule, and does the last week hold?

    python benchmarks/weeks.py [--runs DIR] [--plans 10000]

First of all: if straight lines between now and a plan break no rule on the tables at hand, a search for
a way has nothing to find, and weeks are a schedule. Counted over the plans of each table's run and, on the simulated
cohort, over 10,000 verified plans (every candidate that turns a day is one): ends of weeks that break a
rule or a limit, plans on whose way the probability falls by more than 0.01, plans on whose way a row becomes an outlier
that was none. Then every week is carried out with an error of its own (`pipeline.hold.landed`), each from where the
last one ended, and the last week beside the plan done at once. Finished tables stand in benchmarks/weeks.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from programme_tables import TABLES, explained

from sensecf.core.files import write_json
from sensecf.core.rules import Floats
from sensecf.core.task import Ints
from sensecf.pipeline.hold import landed
from sensecf.pipeline.programme.asks import candidates, carried
from sensecf.pipeline.programme.reach import reach
from sensecf.pipeline.weeks import WEEKS, Schedule, schedule
from sensecf.runs.programme.cohort import Opened, opened

STORE = Path(__file__).parent / "weeks.json"
#: Plans looked at in one go.
PART = 1000
#: Draws of what a week's error is.
DRAWS = 3


def main() -> None:
    """Measure what is not measured yet."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=Path, default=Path("unfinished-programme"))
    options.add_argument("--plans", type=int, default=10_000)
    asked = options.parse_args()
    found = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    for name in [*TABLES, "simulated, all candidates"]:
        if name in found:
            continue
        run = opened(explained(name.partition(",")[0], asked.runs))
        cohort = run.cohort
        owner, plans = (cohort.owner, cohort.plans) if name in TABLES else _many(run, asked.plans)
        found[name] = measured(run, owner, plans)
        write_json(STORE, found)
        print(name, json.dumps(found[name]), flush=True)


def _many(run: Opened, most: int) -> tuple[Ints, Floats]:
    """Verified plans: the rows of candidates that turn a day by the jurors that may pick."""
    cohort = run.cohort
    tried = candidates(run.task, cohort.query, cohort.owner, cohort.plans, cohort.edited)
    held = run.held
    jurors = () if held is None else held.jury.judges[: held.raising]
    seen = reach(run.task, cohort.query, tried, jurors, 0.0 if held is None else held.hold)
    rows, _ = carried(run.task, cohort.query, tried)
    day, which = np.nonzero(seen.turned)
    some = np.random.default_rng(0).permutation(len(day))[:most]
    return day[some], rows[which[some], day[some]]


def measured(run: Opened, owner: Ints, plans: Floats) -> dict[str, Any]:
    """The counts for plans (m, d)."""
    counts = {
        "plans": 0,
        "rules": len(run.task.schema.rules),
        "ends of weeks": 0,
        "broken": 0,
        "falls": 0,
        "outliers": 0,
    }
    kept, at_once, weeks, tries = 0, 0, [], 0
    for start in range(0, len(owner), PART):
        who, rows = owner[start : start + PART], plans[start : start + PART]
        way = schedule(run.task, run.cohort.query, who, rows)
        counts["plans"] += len(who)
        counts["ends of weeks"] += way.broken.size
        counts["broken"] += int(way.broken.sum())
        counts["falls"] += int(way.falls.any(axis=0).sum())
        counts["outliers"] += int(way.unlike.any(axis=0).sum())
        weeks += way.weeks.tolist()
        for draw in range(DRAWS):
            good, once = _noise(run, who, rows, way, draw)
            kept, at_once, tries = kept + good, at_once + once, tries + len(who)
    share = {"last_week_holds": kept / tries, "at_once_holds": at_once / tries} if tries else {}
    long = (
        {"weeks": float(np.median(weeks)), "over_twelve_weeks": float(np.mean(np.array(weeks) > WEEKS))}
        if weeks
        else {}
    )
    return counts | {name: round(value, 4) for name, value in (share | long).items()}


def _noise(run: Opened, owner: Ints, plans: Floats, way: Schedule, draw: int) -> tuple[int, int]:
    """How many plans stay in the target class after their last week, and done at once, both a little off."""
    task, query = run.task, run.cohort.query
    now = query.rows[owner]
    for k, wanted in enumerate(way.rows):
        now = landed(task, now, wanted, 1000 * draw + k)
    once = landed(task, query.rows[owner], plans, 1000 * draw + 500)
    target = query.target[owner]
    return tuple(int(task.valid(task.judge(rows), target).sum()) for rows in (now, once))  # type: ignore[return-value]


if __name__ == "__main__":
    main()
