"""The plans to show, best first: ranked anew as often as one likes, nobody is asked again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sensecf.core.distances import Scale
from sensecf.core.rules import Floats
from sensecf.core.select import select
from sensecf.core.verify import DISTANCE_WEIGHT, edits, outlier_price
from sensecf.web.cohort import Cohort
from sensecf.web.plans import SHOWN, Order, Plan, Pool, kind_of


def effort(cohort: Cohort, pool: Pool, weights: Mapping[int, float]) -> Floats:
    """What each plan of a pool asks of this person, shape (plans,): one per change and half a unit per MAD of
    distance, each feature by its own weight, mean over the days; lower is easier."""
    codec = cohort.task.codec
    weight = np.ones(len(codec.numeric))
    for column, value in weights.items():
        weight[column] = value
    rows = np.concatenate([[day.after for day in plan.days] for plan in pool.plans])
    owner = np.tile(np.arange(len(pool.ask.days)), len(pool.plans))
    parts = cohort.task.once(Scale).parts(pool.query.rows[owner], rows)
    each = (weight * (edits(codec, pool.query, owner, rows) * 1.0 + DISTANCE_WEIGHT * parts)).sum(axis=1)
    total: Floats = each.reshape(len(pool.plans), -1).mean(axis=1)
    return total


def rank(cohort: Cohort, pool: Pool, order: Order, weights: Mapping[int, float], count: int = SHOWN) -> list[Plan]:
    """The plans to show, best first, unlike each other; nobody is asked again.

    `effort`: least effort by the person's own weights, and the first answer of `explain` before all others where
    none are given; `changes`: fewest features, then effort; `lead`: the largest lead in tenths, then effort. Rows
    unlike real people cost in each of them. The best of each kind of lever stands before further ones of a kind.
    """
    if not pool.plans:
        return []
    rows = np.array([plan.row for plan in pool.plans])
    ask = effort(cohort, pool, weights)
    odd = outlier_price(np.array([plan.score for plan in pool.plans])) * cohort.plausibility
    margin = np.array([plan.lead for plan in pool.plans])
    count_changed = np.array([plan.n_changed for plan in pool.plans])
    missed = np.array([len(plan.days) - plan.turns for plan in pool.plans])
    price = {
        "effort": ask + odd + missed,
        "changes": 3.0 * count_changed + 0.3 * ask + odd,
        "lead": -12.0 * np.minimum(margin, 0.95) + 0.3 * ask + odd,
    }[order]
    if order == "effort" and all(weight == 1.0 for weight in weights.values()):
        price = np.maximum(price, price[0])
    changed = np.array([plan.edited for plan in pool.plans])
    place = cohort.task.once(Scale).place(rows)
    base = np.array([cohort.rows[plan.day.row] for plan in pool.plans])
    way = np.sign(np.nan_to_num(rows - base)) * (changed & cohort.task.codec.numeric)
    best: dict[tuple[str, ...], int] = {}
    for k in np.argsort(price, kind="stable").tolist():
        best.setdefault(kind_of(cohort, pool.plans[k]), k)
    kinds = list(best.values())[:count]
    if len(kinds) < count:
        chosen, _ = select(np.zeros(len(rows), dtype=np.intp), price, changed, place, min(count, len(rows)), way)
        kinds += [k for k in chosen.tolist() if k not in kinds][: count - len(kinds)]
    return [pool.plans[k] for k in sorted(kinds, key=lambda k: (price[k], k))]
