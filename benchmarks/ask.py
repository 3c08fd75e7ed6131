"""Five questions to simulated choosers: is the first plan then the best for their true taste?

    python benchmarks/ask.py [--runs DIR] [--choosers 1000]

Pools are verified plans of held-out days of the simulated cohort: every candidate that turns the day is one. Two kinds
of choosers, drawn anew each: **two-stage** (a lever is refused altogether with 15 %, from a size on with 20 %; of the
rest the least effort, whose log weights are correlated) and **lexicographic** (one lever refused with 10 %;
then less of the most important lever, to half a unit, then of the next). `within_5`: the plan ranked first costs this
person at most 5 % more than the best one; of a lexicographic person, who knows no costs, that at most 5 % of the
acceptable plans are better. `predicted`: of 20 sets of three that were not shown, the share whose choice ("none" among
them) is foretold. Beside it, with no question asked: the mean taste of the cohort, which is the prior here.
Fifty choosers at a time are kept in benchmarks/ask.json, and the same call goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from programme_tables import explained

from sensecf.core.files import write_json
from sensecf.core.rules import Floats
from sensecf.pipeline.ask import Ask, Taste, cohort_taste
from sensecf.pipeline.programme.asks import candidates, carried
from sensecf.pipeline.programme.reach import reach
from sensecf.runs.programme.cohort import opened

STORE = Path(__file__).parent / "ask.json"
#: Choosers that are kept together, sets foretold for each, plans that a pool has at least.
PART, SETS, LEAST = 50, 20, 15


def main() -> None:
    """Ask those who have not been asked yet."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=Path, default=Path("unfinished-programme"))
    options.add_argument("--choosers", type=int, default=1000)
    asked = options.parse_args()
    found = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {"two-stage": [], "lexicographic": []}
    pools = _pools(explained("simulated", asked.runs))
    for number in range(asked.choosers // PART):
        for kind in ("two-stage", "lexicographic"):
            if len(found[kind]) <= number:
                found[kind].append(_part(pools, kind, number))
                write_json(STORE, found)
                print(kind, number, found[kind][-1], flush=True)


def _pools(folder: Path) -> list[Ask]:
    """A pool of verified plans for each day that has enough."""
    run = opened(folder)
    cohort, held = run.cohort, run.held
    assert held is not None
    tried = candidates(run.task, cohort.query, cohort.owner, cohort.plans, cohort.edited)
    seen = reach(run.task, cohort.query, tried, held.jury.judges[: held.raising], held.hold)
    rows, _ = carried(run.task, cohort.query, tried)
    pools = []
    for day in range(len(cohort.query)):
        pool = np.unique(np.concatenate([rows[seen.turned[day], day], cohort.plans[cohort.owner == day]]), axis=0)
        if len(pool) >= LEAST:
            pools.append(Ask.of(run.task, cohort.query.take([day]), pool))
    return pools


def _part(pools: list[Ask], kind: str, number: int) -> dict[str, Any]:
    """What becomes of `PART` choosers."""
    rng = np.random.default_rng([1000 + number, len(kind)])
    good, mean, hits, before, seconds = 0, 0, [], [], []
    ended: dict[tuple[str, ...], list[Taste]] = {}
    for _ in range(PART):
        pool = pools[int(rng.integers(len(pools)))]
        levers = tuple(pool.levers)
        prior = cohort_taste(ended[levers]) if levers in ended else None
        ask, nobody = Ask(pool.asks, pool.levers, prior=prior), Ask(pool.asks, pool.levers, prior=prior)
        effort = _taste(rng, kind, pool.asks)

        def choice(shown: tuple[int, ...], effort: Floats = effort) -> int | None:
            best = min(shown, key=lambda k: effort[k])
            return best if np.isfinite(effort[best]) else None

        while (shown := ask.question()) is not None:
            ask.answer(shown, choice(shown))
        began = time.process_time()
        first = int(ask.rank()[0])
        seconds.append(time.process_time() - began)
        good += _near(effort, first, kind)
        mean += _near(effort, int(nobody.rank()[0]), kind)
        for _ in range(SETS):
            some = tuple(rng.choice(len(pool.asks), 3, replace=False).tolist())
            hits.append(_told(ask, some) == choice(some))
            before.append(_told(nobody, some) == choice(some))
        ended.setdefault(levers, []).append(ask.taste())
    return {
        "choosers": PART,
        "within_5": good,
        "mean_taste_within_5": mean,
        "predicted": round(float(np.mean(hits)), 4),
        "mean_taste_predicted": round(float(np.mean(before)), 4),
        "milliseconds": round(1000 * float(np.median(seconds)), 1),
    }


def _told(ask: Ask, shown: tuple[int, ...]) -> int | None:
    """The likeliest choice of a set."""
    place = int(ask.chance(shown).argmax())
    return None if place == len(shown) else shown[place]


def _taste(rng: np.random.Generator, kind: str, asks: Floats) -> Floats:
    """What each plan truly costs somebody, infinite where it is refused."""
    levers = asks.shape[1]
    while True:
        if kind == "two-stage":
            spread = 0.7**2 * (0.7 * np.eye(levers) + 0.3)
            weight = np.exp(np.linspace(-0.5, 0.5, levers) + rng.multivariate_normal(np.zeros(levers), spread))
            most = np.where(rng.random(levers) < 0.2, np.quantile(asks, 0.6, axis=0), np.inf)
            most[rng.random(levers) < 0.15] = 0.0
            effort = asks @ (weight / weight.mean())
        else:
            most = np.where(rng.random(levers) < 0.1, 0.0, np.inf)
            order = rng.permutation(levers)
            effort = (np.round(asks[:, order] / 0.5) * 50.0 ** -np.arange(levers)).sum(axis=1)
        fine = (asks <= most + 1e-9).all(axis=1)
        if fine.any():
            return np.where(fine, effort, np.inf)


def _near(effort: Floats, first: int, kind: str) -> bool:
    """Whether a plan is near enough to the best."""
    if not np.isfinite(effort[first]):
        return False
    if kind == "two-stage":
        return bool(effort[first] <= 1.05 * effort.min() + 1e-9)
    known = effort[np.isfinite(effort)]
    return bool((known < effort[first] - 1e-9).mean() <= 0.05)


if __name__ == "__main__":
    main()
