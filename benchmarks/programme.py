"""Few programmes for many: reach and effort beside plans of one's own, GLANCE and GLOBE-CE, and when carried out.

    python benchmarks/programme.py [--runs DIR] [--write]

    tables   seven tables: how many days one, two, three programmes turn on people who took no part in picking, the
             effort beside that of plans of their own, the gap to the best set; GLANCE's and GLOBE-CE's actions on the
             same days, judged by the same refits
    speed    1,000 people and 300 candidates
    world    programmes carried out in the worlds whose laws are known: what they claim and what becomes true

Finished cells stand in benchmarks/programme.json, and what is there is not measured again. Peers are native and small:
GLANCE (Emiris et al. 2024, arXiv 2405.18921, C-GLANCE): k-means on the affected days, the plans of the days nearest to
each centroid as its local actions, clusters merged by the mean of the distance of their centroids and of their mean
actions until so many are left, of each the action that turns most of its days. GLOBE-CE (Ley et al. 2023, arXiv
2305.17021): random directions over the levers, each scaled; the direction and scale that turn the most, the cheapest
among equals, then the next for the days that are left. Both are given our limits, rules and steps, our verified plans
where they want local counterfactuals, and the classifier's verdict, by which they choose.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from programme_tables import TABLES, explained, people_of
from sklearn.cluster import KMeans

from sensecf.core.distances import Scale
from sensecf.core.files import write_json
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.verify import cost
from sensecf.data.world.presets import preset
from sensecf.metrics.statistics import interval
from sensecf.pipeline.programme.asks import Demand, Programme, candidates
from sensecf.pipeline.programme.claim import calibration
from sensecf.pipeline.programme.cover import best_few
from sensecf.pipeline.programme.find import Cohort, Found, Judges, by_person, find, halves, typical_effort, worth
from sensecf.pipeline.programme.reach import reach
from sensecf.runs.programme.cohort import Opened, judges, opened
from sensecf.runs.programme.tables import expected_of

HERE = Path(__file__).parent
STORE = HERE / "programme.json"
#: What effort takes off the worth of a turned day: the curve of ours that the peers are compared with.
PRICES = (0.05, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0)
#: GLANCE: clusters at first, local actions of each. GLOBE-CE: directions, scales.
CLUSTERS, LOCAL, DIRECTIONS, SCALES = 40, 5, 200, 10
#: Cohorts of each world.
SEEDS = 3


def main() -> None:
    """Measure what is not measured yet."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=Path, default=Path("unfinished-programme"))
    options.add_argument("--part", choices=("tables", "speed", "world"), action="append")
    asked = options.parse_args()
    found = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    work: dict[str, Callable[[], Any]] = {}
    for name in TABLES:
        work[f"tables|{name}"] = lambda name=name: on_table(explained(name, asked.runs), people_of(name))
    work["speed|1,000 people"] = lambda: speed(explained("simulated", asked.runs))
    for seed in range(SEEDS):
        for world in ("easy", "confounded"):
            work[f"world|{world}, seed {seed}"] = lambda world=world, seed=seed: carried_out(world, seed, asked.runs)
    for key, measure in work.items():
        if key in found or (asked.part and key.split("|")[0] not in asked.part):
            continue
        began = time.perf_counter()
        found[key] = measure()
        write_json(STORE, found)
        print(key, f"{time.perf_counter() - began:.0f} s", json.dumps(found[key])[:300], flush=True)


# --- tables ---------------------------------------------------------------------------------


def on_table(folder: Path, people: pd.Series) -> dict[str, Any]:
    """Ours and the peers on one table."""
    run = opened(folder, people=people)
    who = judges(run)
    cohort = run.cohort
    began = time.perf_counter()
    ours = find(cohort, who, 3, seed=run.seed)
    seconds = time.perf_counter() - began
    own = np.unique(cohort.owner)
    typical = float(cost(run.task, cohort.query, cohort.owner, cohort.plans, 0.0).mean()) if len(own) else None
    counted = ~ours.picks[cohort.people] if (~ours.picks).any() else np.ones(len(cohort.query), dtype=bool)
    return {
        "days": len(cohort.query),
        "people": cohort.count,
        "counted_days": int(counted.sum()),
        "own_plans": len(own),
        "holds": who.hold,
        "seconds": round(seconds, 2),
        "candidates": len(ours.tried),
        "sets": [_set(run, ours, k, own, typical, counted) for k in range(len(ours.sets))],
        "frontier": {str(count): _unique(run, who, sets, counted) for count, sets in _ours(run, who).items()},
        "glance": {str(count): _point(run, who, glance(run, count), counted) for count in (1, 2, 3)},
        "globe-ce": {str(count): _point(run, who, globe(run, count), counted) for count in (1, 2, 3)},
    }


def _unique(run: Opened, who: Judges, sets: list[list[Programme]], counted: np.ndarray) -> list[dict[str, Any]]:
    """The points of different sets."""
    return [_point(run, who, list(one), counted) for one in dict.fromkeys(tuple(one) for one in sets)]


def _set(
    run: Opened, found: Found, k: int, own: np.ndarray, typical: float | None, counted: np.ndarray
) -> dict[str, Any]:
    """What a set of ours reaches, one programme per person."""
    given, cover = found.given[k], found.sets[k]
    low, high = interval(given.stands[counted], run.cohort.people[counted], share=True)
    effort = float(given.effort[given.stands].mean()) if given.stands.any() else None
    return {
        "asks": [found.tried[c].words(run.task.schema) for c in cover.chosen],
        "counted_share": round(float(given.stands[counted].mean()), 4),
        "low": None if np.isnan(low) else round(float(low), 4),
        "high": None if np.isnan(high) else round(float(high), 4),
        "days_reached": int(given.stands.sum()),
        "of_days_with_own_plan": round(float(given.stands[own].mean()), 4) if len(own) else None,
        "effort_to_own": None if effort is None or typical is None else round(effort / typical, 4),
        "gap": round(cover.gap, 5),
    }


def _picking(run: Opened) -> tuple[np.ndarray, Query]:
    """The days that pick, and their query."""
    some = np.flatnonzero(halves(run.cohort.count, run.seed)[run.cohort.people])
    return some, run.cohort.query.take(some)


def _ours(run: Opened, who: Judges) -> dict[int, list[list[Programme]]]:
    """Our sets of one, two, three at each price, as `find` picks them."""
    cohort, (some, part) = run.cohort, _picking(run)
    place = np.full(len(cohort.query), -1)
    place[some] = np.arange(len(some))
    mine = place[cohort.owner] >= 0
    tried = candidates(run.task, part, place[cohort.owner[mine]], cohort.plans[mine], cohort.edited[mine])
    seen = reach(run.task, part, tried, who.pick, who.hold)
    typical = typical_effort(cohort, seen)
    people = np.unique(cohort.people[some], return_inverse=True)[1]
    gains = [by_person(worth(seen, typical, price), people) for price in PRICES]
    return {count: [[tried[k] for k in best_few(gain, count).chosen] for gain in gains] for count in (1, 2, 3)}


def _point(run: Opened, who: Judges, programmes: Sequence[Programme], counted: np.ndarray) -> dict[str, Any]:
    """Where a set lies on the days that are counted: the share turned for good, where each day takes the cheapest that
    turns it, and its mean effort; and the share that the classifier alone would call turned."""
    at = np.flatnonzero(counted)
    seen = reach(run.task, run.cohort.query.take(at), programmes, who.count, who.hold)
    effort = np.where(seen.turned, seen.effort, np.inf).min(axis=1, initial=np.inf)
    fine = np.isfinite(effort)
    return {
        "reached": round(float(fine.mean()), 4),
        "effort": round(float(effort[fine].mean()), 3) if fine.any() else None,
        "by_classifier": round(float((seen.valid & seen.feasible).any(axis=1).mean()), 4) if len(programmes) else 0.0,
    }


def glance(run: Opened, count: int) -> list[Programme]:
    """C-GLANCE: clusters of days, merged by where they are and what would help them, one action each."""
    some, query = _picking(run)
    cohort, task = run.cohort, run.task
    place = np.full(len(cohort.query), -1)
    place[some] = np.arange(len(some))
    mine = place[cohort.owner] >= 0
    owner, plans, edited = place[cohort.owner[mine]], cohort.plans[mine], cohort.edited[mine]
    if not len(owner):
        return []
    points = task.once(Scale).embed(query.rows)
    first = min(CLUSTERS, len(np.unique(points, axis=0)))
    labels = KMeans(first, random_state=13, n_init=4).fit_predict(points)
    actions = [_action(run, query.rows[o], plan, e) for o, plan, e in zip(owner, plans, edited, strict=True)]
    moves = np.where(
        edited, np.nan_to_num(task.once(Scale).place(plans) - task.once(Scale).place(query.rows[owner])), 0
    )
    clusters = []
    for label in range(first):
        days = np.flatnonzero(labels == label)
        centre = points[days].mean(axis=0)
        near = np.argsort(((points[owner] - centre) ** 2).sum(axis=1), kind="stable")[:LOCAL]
        clusters.append((days, set(near.tolist())))
    while len(clusters) > count:
        where = np.array([points[days].mean(axis=0) for days, _ in clusters])
        what = np.array([moves[sorted(local)].mean(axis=0) for _, local in clusters])
        apart = _distances(where) + _distances(what)
        np.fill_diagonal(apart, np.inf)
        a, b = sorted(divmod(int(apart.argmin()), len(clusters)))
        joined = (np.concatenate([clusters[a][0], clusters[b][0]]), clusters[a][1] | clusters[b][1])
        clusters = [c for k, c in enumerate(clusters) if k not in (a, b)] + [joined]
    chosen = []
    for days, local in clusters:
        tried = [actions[k] for k in sorted(local)]
        seen = reach(task, query.take(days), tried)
        chosen.append(tried[int(seen.turned.sum(axis=0).argmax())])
    return chosen


def _distances(points: Floats) -> Floats:
    """Distances between all pairs, as shares of the largest."""
    apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    return apart / max(float(apart.max()), 1e-9)


def _action(run: Opened, before: Floats, plan: Floats, edited: np.ndarray) -> Programme:
    """A plan as an action: the changes as they are."""
    numeric = run.task.codec.numeric
    return Programme(
        tuple(
            Demand(int(j), "by" if numeric[j] else "to", float(plan[j] - before[j] if numeric[j] else plan[j]))
            for j in np.flatnonzero(edited)
            if not np.isnan(before[j])
        )
    )


def globe(run: Opened, count: int) -> list[Programme]:
    """GLOBE-CE: random directions over the levers that may move, at growing scales; each for the days that are left."""
    _, query = _picking(run)
    task = run.task
    rng = np.random.default_rng(0)
    levers = np.flatnonzero(query.movable.any(axis=0) & task.codec.numeric)
    mad = task.once(Scale).mad
    reachable = np.array([task.schema.features[j].most_change or 4 * mad[j] for j in levers])
    if not len(levers):
        return []
    tried = []
    for _ in range(DIRECTIONS):
        way = rng.standard_normal(len(levers))
        way /= np.abs(way * mad[levers] / reachable).max()
        for scale in np.linspace(0, 1, SCALES + 1)[1:]:
            moves = way * scale * mad[levers]
            tried.append(Programme(tuple(Demand(int(j), "by", float(m)) for j, m in zip(levers, moves, strict=True))))
    seen = reach(task, query, tried)
    left, chosen = np.ones(len(query), dtype=bool), []
    for _ in range(count):
        share = seen.turned[left].sum(axis=0).astype(float)
        share -= 1e-6 * np.where(seen.turned, seen.effort, 0).sum(axis=0) / np.maximum(seen.turned.sum(axis=0), 1)
        best = int(share.argmax())
        chosen.append(tried[best])
        left &= ~seen.turned[:, best]
        if not left.any():
            break
    return chosen


# --- speed ----------------------------------------------------------------------------------


def speed(folder: Path) -> dict[str, Any]:
    """A thousand people with a day each, and 300 candidates: picked, given, counted."""
    run = opened(folder)
    who, cohort = judges(run), run.cohort
    rng = np.random.default_rng(0)
    at = rng.integers(0, len(cohort.query), 1000)
    place = {int(day): k for k, day in enumerate(at)}
    mine = np.flatnonzero(np.isin(cohort.owner, at))
    owner = np.array([place[int(day)] for day in cohort.owner[mine]], dtype=np.intp)
    many = Cohort(run.task, cohort.query.take(at), np.arange(1000), cohort.plans[mine], owner, cohort.edited[mine])
    began = time.perf_counter()
    busy = time.process_time()
    found = find(many, who, 3, seed=0)
    return {
        "people": 1000,
        "candidates": len(found.tried),
        "seconds": round(time.perf_counter() - began, 2),
        "seconds_of_processor": round(time.process_time() - busy, 2),
        "gap": round(found.sets[-1].gap, 5),
        "large": _large(),
    }


def _large() -> dict[str, Any]:
    """Choosing alone where it is not exact: 1,000 people with days of their own and 300 candidates, at random."""
    rng = np.random.default_rng(1)
    ease = rng.normal(size=(1000, 1)) + rng.normal(size=(1000, 3)) @ rng.normal(size=(3, 300))
    gain = np.where(ease > 0.5, rng.integers(1, 10, (1000, 300)), 0).astype(float)
    began = time.perf_counter()
    found = best_few(gain, 3)
    return {"seconds": round(time.perf_counter() - began, 2), "gap": round(found.gap, 5)}


# --- carried out ----------------------------------------------------------------------------


def carried_out(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """A programme run in a world, and what becomes of the days that it is given to."""
    import sensecf
    from sensecf.runs.experiment import Call

    world = preset(name)
    schema = world.schema()
    group = str(schema.group)
    table, _ = world.simulate(140, 10, seed)
    others, noises = world.simulate(60, 10, 2**20 + seed)
    others = others.assign(**{group: "X-" + others[group].astype(str)}).reset_index(drop=True)
    out = folder / f"{name}-{seed}"
    if not (out / "run.json").exists():
        sensecf.run(table, schema, out, sensecf.RunSpec(seed=seed), queries=others, call=Call(overwrite=True))
    run = opened(out)
    who = judges(run)
    found = find(run.cohort, who, 3, seed=seed)
    given = found.given[-1]
    told = calibration(run.task, int(run.cohort.query.target[0]))
    at = np.flatnonzero(given.stands & ~found.picks[run.cohort.people])
    days = run.index.to_numpy()[at].astype(int)
    part = noises.take(days)
    actions = {
        lever: np.where(given.edited[at, schema.columns[lever]], given.rows[at, schema.columns[lever]], np.nan)
        for lever in world.levers
    }
    done = world.do(part, actions, future=30, seed=0)
    before = world.do(part, {}, future=30, seed=0)
    claimed = expected_of(run, given, told)
    people = run.cohort.people[at]
    labels = done.labels.mean(axis=1)
    low, high = interval(labels, people, share=True)
    well = done.probability >= 0.5
    needy = before.probability < 0.5
    return {
        "days": len(at),
        "people": len(np.unique(people)),
        "claimed": round(float(claimed.share[at].mean()), 4),
        "claimed_low": round(float(claimed.low[at].mean()), 4),
        "claimed_high": round(float(claimed.high[at].mean()), 4),
        "classifier_says": round(float(given.probability[at].mean()), 4),
        "good_days_of_30": round(float(labels.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "good_days_before": round(float(before.labels.mean()), 4),
        "true_probability": round(float(done.probability.mean()), 4),
        "truly_well": round(float(well.mean()), 4),
        "truly_well_of_not_well_before": round(float(well[needy].mean()), 4) if needy.any() else None,
        "worse": round(float((before.probability - done.probability > 1e-3).mean()), 4),
    }


if __name__ == "__main__":
    main()
