"""A plan week by week: a straight line at the pace that each change allows, and what is true at every week's end.

It is a schedule and not a search for a way: what lies between two rows that keep a linear rule keeps it too, and on no
table at hand does a straight line break a rule (docs/programme.md). Whether the probability of the target falls on the
way, and whether a week's end is like the data, is looked at and said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.core.distances import Scale
from sensecf.core.plausibility import Plausibility
from sensecf.core.query import Query, settle
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task
from sensecf.core.verify import known_values
from sensecf.data.infer.recognise import known_as

#: A schedule has so many weeks at most, and so many ends of weeks are written down.
WEEKS, POINTS = 12, 6
#: Falls of the probability smaller than this are the grain of a classifier made of steps.
GRAIN = 0.01

#: What to do about a week that was missed.
MISSED = (
    "A missed week is done in the week after it, and everything ends a week later; nothing is caught up by doing twice "
    "as much. After two missed weeks the schedule begins again from where the person then is."
)


def pace(task: Task) -> tuple[Floats, Bools]:
    """How far each number may be expected to move in a week, and whether the catalogue says so, shapes (d,).

    Else half a standard deviation of the training rows stands in, and no less than a step. It is never less than the
    error of the device: nobody could see such a week.
    """
    spread = task.once(Scale).std
    out = np.maximum(spread / 2, task.codec.step)
    said = np.zeros(len(out), dtype=bool)
    for j, feature in enumerate(task.schema.features):
        entry = known_as(feature)
        if entry is not None and entry.weekly and feature.numeric:
            out[j], said[j] = entry.weekly, True
    return np.maximum(out, errors(task)), said


def errors(task: Task) -> Floats:
    """How far off the device of each feature is, shape (d,): the catalogue's figure, else 0."""
    known = [known_as(feature) for feature in task.schema.features]
    return np.array([0.0 if entry is None or entry.error is None else entry.error for entry in known])


def weeks_needed(task: Task, base: Floats, rows: Floats, edited: Bools) -> Ints:
    """How many weeks the slowest edit of each row (m, d) needs, shape (m,), at least 1."""
    numbers = edited & task.codec.numeric
    need = np.where(numbers, np.abs(np.nan_to_num(rows - base)) / pace(task)[0], 0.0).max(axis=1, initial=0.0)
    weeks: Ints = np.maximum(1, np.ceil(need - 1e-9)).astype(np.intp)
    return weeks


@dataclass(frozen=True)
class Schedule:
    """The ends of weeks of m plans, w of them each: `share` (w,) of the way, `rows` (w, m, d), the last the plan.

    `weeks` (m,): how long the whole takes. At each end, shape (w, m): `broken`, a rule that the person keeps is
    broken or a limit is left; `falls`, the probability of the target is lower than at an end before by more than
    `GRAIN`; `unlike`, the row is an outlier and the first one was none; `probability`.
    """

    weeks: Ints
    share: Floats
    rows: Floats
    broken: Bools
    falls: Bools
    unlike: Bools
    probability: Floats


def schedule(task: Task, query: Query, owner: Ints, plans: Floats, points: int = POINTS) -> Schedule:
    """The straight way to plans (m, d) of the queries `owner` (m,), looked at in `points` equal parts.

    Numbers move together; levels change in the first part, or in the last one where the first would break a rule.
    """
    codec, base = task.codec, query.rows[owner]
    changed = codec.changed(base, plans)
    weeks = weeks_needed(task, base, plans, changed & ~query.follows[owner])
    share = np.arange(1, points + 1) / points
    early = _points(task, query, owner, plans, share, late=False)
    late = _points(task, query, owner, plans, share, late=True)
    kept = ~codec.rules.violated(base).any(axis=1)
    bad = np.asarray(np.array([codec.rules.violated(rows).any(axis=1) for rows in early]).any(axis=0) & kept)
    rows = np.where(bad[None, :, None], late, early)
    own = codec.rules.violated(base)
    broken = np.array([(codec.rules.violated(now) & ~own).any(axis=1) for now in rows])
    with np.errstate(invalid="ignore"):
        # Whoever lies beyond a limit and comes nearer to it breaks nothing on the way.
        least, most = np.fmin(query.low[owner], base), np.fmax(query.high[owner], base)
        outside = (rows < least - 1e-9) | (rows > most + 1e-9)
    broken |= (outside & codec.changed(base[None], rows)).any(axis=2)
    target = query.target[owner]
    flat = rows.reshape(-1, rows.shape[2])
    chance = task.judge(flat).proba[np.arange(len(flat)), np.tile(target, points)].reshape(points, -1)
    first = task.judge(base).proba[np.arange(len(base)), target]
    before = np.maximum.accumulate(np.concatenate([first[None], chance[:-1]]), axis=0)
    odd = ~like(task, flat).reshape(points, -1) & like(task, base)
    return Schedule(weeks, share, rows, broken, chance < before - GRAIN, odd, chance)


def like(task: Task, rows: Floats) -> Bools:
    """Whether rows (m, d) are inliers of one of the classes."""
    score = task.once(Plausibility).score
    found = np.zeros(len(rows), dtype=bool)
    for position in range(len(task.classes)):
        found |= score(rows, np.full(len(rows), position)) >= 0
    return found & known_values(task, rows, np.zeros(rows.shape, dtype=bool))


def _points(task: Task, query: Query, owner: Ints, plans: Floats, share: Floats, late: bool) -> Floats:
    """The rows at each share of the way, shape (w, m, d)."""
    codec, base = task.codec, query.rows[owner]
    edited = codec.changed(base, plans) & ~query.follows[owner]
    numbers = np.flatnonzero(codec.numeric)
    levels = edited & ~codec.numeric
    out = np.repeat(base[None], len(share), axis=0)
    for k, part in enumerate(share.tolist()):
        if part >= 1:
            out[k] = plans
            continue
        moved = np.where(edited[:, numbers], plans[:, numbers] - base[:, numbers], 0.0)
        value = codec.snap_column((base[:, numbers] + part * moved), numbers)
        out[k][:, numbers] = np.where(edited[:, numbers], value, base[:, numbers])
        if not late:
            out[k][levels] = plans[levels]
        out[k] = settle(task, query, owner, out[k])
    return out
