"""What if a value were another: the verdict and the rules, for one row, in one call to the classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.plausibility import Plausibility
from sensecf.core.rules import Bools, Floats, Total
from sensecf.core.task import Ints
from sensecf.web.cohort import Cohort
from sensecf.web.words import inside, rule_words


def what_if(cohort: Cohort, row_number: int, values: Mapping[int, float]) -> dict[str, Any]:
    """The verdict on one row with some values replaced (encoded, by column), as plain data for the page.

    Wholes follow their parts (sleep its stages) unless they were set by hand themselves. In the answer,
    `changed` names all features that differ from the row's own, `broken` the rules and ranges that the row
    does not keep, and `against` the values that move the other way than the schema asks of a plan.
    Raises `InputError` for a column that cannot change, was not measured, or a value outside its range.
    """
    task, codec = cohort.task, cohort.task.codec
    base = cohort.rows[row_number]
    row = moved(cohort, base, values)
    judged = task.judge(np.array([row, base]), final=True)
    there = bool(judged.predicted[0] == cohort.position and not judged.tie[0])
    broken = [
        rule_words(codec.rules.rules[r], task.schema, cohort.labels)
        for r in np.flatnonzero(codec.rules.violated(row[None])[0])
    ]
    with np.errstate(invalid="ignore"):
        off = ((row < task.reach[0] - 1e-9) | (row > task.reach[1] + 1e-9)) & codec.changed(base[None], row[None])[0]
    broken += [
        f"{cohort.labels[j]} must stay between {cohort.columns[j].text(cohort.least(int(j)))} and "
        f"{cohort.columns[j].text(cohort.most(int(j)), unit=True)}."
        for j in np.flatnonzero(off)
    ]
    score = float(task.once(Plausibility).score(row[None], np.array([cohort.position]))[0])
    against = [
        f"{cohort.labels[j]} is meant to {task.schema.features[j].direction}."
        for j in sorted(values)
        if (task.schema.features[j].direction == "increase" and row[j] < base[j])
        or (task.schema.features[j].direction == "decrease" and row[j] > base[j])
    ]
    changed = np.flatnonzero(codec.changed(base[None], row[None])[0])
    return {
        "predicted": cohort.said(task.classes[int(judged.predicted[0])]),
        "target": cohort.said(cohort.target),
        "reached": there,
        "tie": bool(judged.tie[0]),
        "probability": round(float(judged.proba[0, cohort.position]), 6),
        "shown": round(float(cohort.shown(judged.proba[0, cohort.position])), 6),
        "shown_text": cohort.chance_text(float(judged.proba[0, cohort.position])),
        "broken": broken,
        "against": against,
        "like": score >= 0,
        "changed": [
            {
                "column": int(j),
                "label": inside(cohort.labels[j]),
                "value": float(row[j]),
                "text": cohort.columns[j].text(row[j], unit=True),
                "follows": int(j) not in values,
            }
            for j in changed
        ],
    }


def moved(cohort: Cohort, base: Floats, values: Mapping[int, float]) -> Floats:
    """A row (d,) with these values, wholes after their parts, and parts of a whole that a person sets in the shares
    that they have of it. Raises `InputError` as `what_if` does."""
    codec, row = cohort.task.codec, base.copy()
    for j, value in values.items():
        label = cohort.labels[j]
        if not codec.changeable[j]:
            raise InputError(f"{label} stays as it is; try another value")
        if np.isnan(base[j]):
            raise InputError(f"{label} was not measured; try another value")
        if not codec.low[j] - codec.step[j] <= value <= codec.high[j] + codec.step[j]:
            raise InputError(f"{label}: {value:g} lies outside {codec.low[j]:g} to {codec.high[j]:g}")
        row[j] = value
    if not values:
        return row
    moved = np.array(sorted(values), dtype=np.intp)
    row[moved] = codec.snap_column(row[moved], moved)
    movable = codec.changeable & ~np.isnan(base)
    wholes, towed = _led(cohort, movable, moved)
    movable[moved] = False
    movable[towed] = False
    movable[wholes] = True
    follow = codec.rules.follow(movable, cohort.task.medians, towed)
    start = base if towed.any() else row
    found: Floats = codec.rules.settle(start[None], row[None], follow, codec.step)[0]
    return found


def _led(cohort: Cohort, movable: Bools, moved: Ints) -> tuple[list[int], Bools]:
    """The wholes that a person sets among the columns that are moved, and which of their parts (d,) move with them: a
    longer night has more of every stage, not of the largest one alone."""
    schema, wholes, towed = cohort.task.schema, [], np.zeros(len(movable), dtype=bool)
    for rule in schema.rules:
        whole = schema.columns[rule.whole] if isinstance(rule, Total) and isinstance(rule.whole, str) else -1
        if whole not in moved or schema.features[whole].role != "actionable":
            continue
        assert isinstance(rule, Total)
        parts = [schema.columns[name] for name in rule.parts]
        free = [j for j in parts if movable[j] and j not in moved and schema.features[j].role == "mutable"]
        if free:
            wholes.append(whole)
            towed[free] = True
    return wholes, towed
