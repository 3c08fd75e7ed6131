"""Every unwanted day asked about once: which changes are asked of whom, and of whom there is no plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sensecf.core.distances import Scale
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints
from sensecf.core.verify import DISTANCE_WEIGHT
from sensecf.metrics.statistics import interval
from sensecf.pipeline.explain import explain
from sensecf.web.cohort import Cohort
from sensecf.web.words import clean

#: Rows asked about at most; more are thinned evenly.
MAX_ASKED = 400
#: Rows answered between two reports of progress.
PART = 25
#: Features drawn, and groups at most.
MAX_FEATURES, MAX_GROUPS = 8, 6
#: A number is cut into so many groups of about equal size.
BANDS = 3


@dataclass(frozen=True)
class Survey:
    """The first plan of each row asked about. `rows` (q,): their positions; `answered` (q,); `changed` (q, d),
    all False without a plan; `effort` (q,): changes and half a unit per MAD of distance, NaN without a plan.
    `left_out`: rows outside the schema's ranges, which cannot be asked about; `thinned`: how many there were in all."""

    rows: Ints
    answered: Bools
    changed: Bools
    effort: Floats
    left_out: int
    thinned: int


def survey(cohort: Cohort, say: Callable[[float], None]) -> Survey:
    """Ask about every row that is not in the target class, with the features kept that are kept at first."""
    asked = np.flatnonzero(cohort.away)
    inside = np.array([k not in cohort.outside for k in asked], dtype=bool)
    left_out, asked = int((~inside).sum()), asked[inside]
    everyone = len(asked)
    if everyone > MAX_ASKED:
        asked = asked[np.linspace(0, everyone - 1, MAX_ASKED).astype(int)]
    codec = cohort.task.codec
    rows = np.full((len(asked), len(codec.numeric)), np.nan)
    for start in range(0, len(asked), PART):
        say(start / len(asked))
        part = asked[start : start + PART]
        frame = codec.decode(cohort.rows[part])
        found = explain(
            cohort.task,
            cohort.generator,
            frame,
            cohort.target,
            fallback=cohort.fallback,
            plausibility=cohort.plausibility,
            seed=cohort.seed,
            hold=0.0,
        ).answers
        rows[start + found["query"].to_numpy(dtype=np.intp)] = codec.encode(found)
    say(1.0)
    answered = ~np.isnan(rows).all(axis=1)
    base = cohort.rows[asked]
    filled = np.where(answered[:, None], rows, base)
    changed = codec.changed(base, filled)
    effort = changed.sum(axis=1) + DISTANCE_WEIGHT * cohort.task.once(Scale).mad_l1(base, filled)
    return Survey(asked, answered, changed, np.where(answered, effort, np.nan), left_out, everyone)


def ways_to_group(cohort: Cohort) -> list[int]:
    """Features by which rows can be told apart: those that no plan changes; protected ones first."""
    features = cohort.task.schema.features
    fixed = [j for j, f in enumerate(features) if not f.changeable and (f.numeric or len(f.levels) <= 20)]
    return sorted(fixed, key=lambda j: not features[j].protected)


@dataclass(frozen=True)
class Group:
    """One group of a survey. `asked`, `answered`: rows; `people`: of how many.

    `rates` (d,): share of its plans that change a feature; `effort`: median, with the middle half; `silent`: share
    without a plan, with its 95 % interval.
    """

    name: str
    people: int
    asked: int
    answered: int
    rates: Floats
    effort: tuple[float, float, float] | None
    silent: tuple[float, float, float]


def by_group(cohort: Cohort, found: Survey, column: int | None) -> list[Group]:
    """A survey by the values of one feature, or as one group."""
    if column is None:
        names = np.full(len(found.rows), "Everybody", dtype=object)
        order = ["Everybody"]
    else:
        names, order = _group_names(cohort, found, column)
    who = cohort.roster.person_of[found.rows]
    groups = []
    for name in order:
        mine = names == name
        if not mine.any():
            continue
        good = mine & found.answered
        rates = found.changed[good].mean(axis=0) if good.any() else np.zeros(found.changed.shape[1])
        quarters = np.quantile(found.effort[good], [0.25, 0.5, 0.75]) if good.any() else None
        low, high = interval(~found.answered[mine], who[mine], share=True)
        silent = (float((mine & ~found.answered).sum() / mine.sum()), float(low), float(high))
        middle = None if quarters is None else (float(quarters[0]), float(quarters[1]), float(quarters[2]))
        groups.append(Group(name, len(np.unique(who[mine])), int(mine.sum()), int(good.sum()), rates, middle, silent))
    return groups


def _group_names(cohort: Cohort, found: Survey, column: int) -> tuple[np.ndarray, list[str]]:
    shown = cohort.columns[column]
    values = cohort.rows[found.rows, column]
    names = np.full(len(values), "not measured", dtype=object)
    known = ~np.isnan(values)
    if shown.feature.numeric and known.any():
        cuts = np.unique(np.quantile(values[known], np.arange(1, BANDS) / BANDS))
        band = np.searchsorted(cuts, values, side="right")
        order = []
        for k in range(len(cuts) + 1):
            mine = known & (band == k)
            if mine.any():
                ends = (shown.text(values[mine].min()), shown.text(values[mine].max(), unit=True))
                order.append(ends[1] if values[mine].min() == values[mine].max() else f"{ends[0]} to {ends[1]}")
                names[mine] = order[-1]
        return names, [*order, "not measured"]
    counts = pd.Series(values[known]).value_counts()
    order = []
    for code in counts.index[:MAX_GROUPS]:
        order.append(clean(shown.feature.levels[int(code)]))
        names[values == code] = order[-1]
    names[known & ~np.isin(values, counts.index[:MAX_GROUPS])] = "all others"
    return names, [*order, "all others", "not measured"]
