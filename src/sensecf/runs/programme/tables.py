"""What was found, as tables: programmes, days, people, groups, sets and budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task
from sensecf.core.verify import breaches, cost
from sensecf.metrics.statistics import interval
from sensecf.pipeline.consequences import Mechanisms
from sensecf.pipeline.programme.asks import Programme
from sensecf.pipeline.programme.claim import Calibration, Expected, calibration, expected_share
from sensecf.pipeline.programme.cover import Spent, curve, within
from sensecf.pipeline.programme.find import Found, Given
from sensecf.pipeline.weeks import weeks_needed
from sensecf.runs.programme.cohort import Opened

#: A number is cut into so many groups of about equal size, and a feature into at most so many.
BANDS, MOST_GROUPS = 3, 6
#: The share that is expected in truth of the days that are turned, and its ends.
EXPECTED = ("expected", "expected_low", "expected_high")
#: Points of the curve of reach over budget that are written.
POINTS = 60
#: What stands in the way of a day, in this order: kind and words.
WAYS = {
    "nothing to do": "nothing of it can be done on this day",
    "rule or limit": "it would break a rule or a limit",
    "limit": "a limit keeps it from going far enough",
    "not enough": "it is not enough to change the classifier's answer",
    "would not hold": "it changes the answer, and too few refits agree",
}


@dataclass(frozen=True)
class Tables:
    """All tables of a programme run; see docs/programme.md for their columns."""

    programmes: pd.DataFrame
    days: pd.DataFrame
    people: pd.DataFrame
    groups: pd.DataFrame
    sets: pd.DataFrame
    consequences: pd.DataFrame
    budget: pd.DataFrame
    spent: Spent | None
    calibration: Calibration


def tables(run: Opened, found: Found, prices: Mapping[str, float], budget: float | None) -> Tables:
    """The tables of the largest set, and how the smaller ones compare."""
    given = found.given[-1]
    told = calibration(run.task, int(run.cohort.query.target[0]))
    days = day_table(run, found, given, told)
    value, paid = _offers(run, found, prices)
    spent = None if budget is None else within(value, paid, budget)
    people = people_table(run, found, given, days, paid)
    if spent is not None:
        people["within_budget"] = spent.given >= 0
        people["programme_within_budget"] = pd.array([k + 1 if k >= 0 else None for k in spent.given], dtype="Int64")
    return Tables(
        programme_table(run, found, given, days),
        days,
        people,
        group_table(run, found, given),
        set_table(run, found, told),
        consequence_table(run, found, given),
        budget_table(curve(value, paid)),
        spent,
        told,
    )


# --- days and people ------------------------------------------------------------------------


def expected_of(run: Opened, given: Given, told: Calibration) -> Expected:
    """How likely each day is truly of the target class when its programme is done, arrays (n,)."""
    query = run.cohort.query
    return expected_share(run.task, query.rows, given.rows, query.target, told)


def day_table(run: Opened, found: Found, given: Given, told: Calibration) -> pd.DataFrame:
    """One line per day: under the programme of its person, or the one that comes nearest."""
    cohort, task = run.cohort, run.task
    own = np.isin(np.arange(len(cohort.query)), cohort.owner)
    kind, words = whys(run, found.programmes, given)
    weeks = weeks_needed(task, cohort.query.rows, given.rows, given.edited)
    return pd.DataFrame(
        {
            "query": run.index,
            "person": [run.names[k] for k in cohort.people],
            "part": np.where(found.picks[cohort.people], "picked", "counted"),
            "programme": pd.array([k + 1 if k >= 0 else None for k in given.programme], dtype="Int64"),
            "nearest": given.nearest + 1,
            "reached": given.stands,
            "holds": given.holds.round(4),
            "probability": given.probability.round(6),
            "expected": expected_of(run, given, told).share.round(4),
            "effort": given.effort.round(4),
            "weeks": weeks,
            "like_real_rows": given.plausible,
            "own_plan": own,
            "does": [done(task, cohort.query.rows[k], given.rows[k], given.edited[k]) for k in range(len(own))],
            "in_the_way": kind,
            "why": words,
        }
    )


def done(task: Task, before: Floats, after: Floats, edited: Bools) -> str:
    """What one day asks for: "steps 4,479 → 10,000 steps; sedentary_min 815 → 690 min"."""
    said = []
    for j in np.flatnonzero(edited).tolist():
        feature = task.schema.features[j]
        texts = [feature.format(v if feature.numeric else feature.levels[int(v)]) for v in (before[j], after[j])]
        said.append(f"{feature.name} {texts[0]} → {texts[1]}{f' {feature.unit}' if feature.unit else ''}")
    return "; ".join(said)


def whys(run: Opened, programmes: Sequence[Programme], given: Given) -> tuple[list[str], list[str]]:
    """What stands in the way of each day that is not reached: a key of `WAYS` and a sentence; "" for those reached."""
    task, query = run.task, run.cohort.query
    n = len(query)
    broken = breaches(task, query, np.arange(n), given.rows)
    kinds, words = [""] * n, [""] * n
    for k in np.flatnonzero(~given.stands).tolist():
        asked = programmes[given.nearest[k]]
        names = [task.schema.names[j] for j in _short(task, query, asked, given, k)]
        if not given.edited[k].any():
            kinds[k], words[k] = "nothing to do", f"{_blocked(task, query, asked, k)}"
        elif broken[k]:
            kinds[k], words[k] = "rule or limit", str(broken[k])
        elif not given.valid[k] and names:
            kinds[k] = "limit"
            words[k] = f"{', '.join(names)} can go no further within this person's limits"
        elif not given.valid[k]:
            kinds[k] = "not enough"
            words[k] = f"done in full, the classifier's probability of {run.target} is {given.probability[k]:.2f}"
        else:
            kinds[k] = "would not hold"
            seen = "" if np.isnan(given.holds[k]) else f"; {given.holds[k]:.0%} of the refits that count agree"
            words[k] = (
                f"the classifier would say {run.target}, but it was not sure to hold when programmes were given{seen}"
            )
    return kinds, words


def _short(task: Task, query: Query, asked: Programme, given: Given, day: int) -> list[int]:
    """The features of which a day could not do all that is asked."""
    short = []
    for ask in asked.asks:
        j = ask.column
        now, then = query.rows[day, j], given.rows[day, j]
        step = task.codec.step[j]
        missed = {
            "by": abs((then - now) - ask.value) > step / 2,
            "at least": then < ask.value - step / 2,
            "at most": then > ask.value + step / 2,
            "to": then != ask.value,
        }[ask.kind]
        if missed or np.isnan(now):
            short.append(j)
    return short


def _blocked(task: Task, query: Query, asked: Programme, day: int) -> str:
    said = []
    for j in asked.columns:
        name = task.schema.names[j]
        if np.isnan(query.rows[day, j]):
            said.append(f"{name} was not measured")
        elif not query.movable[day, j]:
            said.append(f"{name} may not move")
        else:
            said.append(f"{name} is there already, or at its limit")
    return "; ".join(said)


def people_table(run: Opened, found: Found, given: Given, days: pd.DataFrame, paid: Floats) -> pd.DataFrame:
    """One line per person, in the order of their numbers."""
    cohort = run.cohort
    rows = []
    for person, part in days.groupby(cohort.people, sort=True):
        number = cast(int, person)
        reached = part[part["reached"]]
        away = part.loc[~part["reached"], "in_the_way"]
        programme = part["programme"].iloc[0]
        rows.append(
            {
                "person": run.names[number],
                "part": part["part"].iloc[0],
                "programme": programme,
                "days": len(part),
                "reached": len(reached),
                "most_days": bool(2 * len(reached) > len(part)),
                "effort": round(float(reached["effort"].mean()), 4) if len(reached) else np.nan,
                "weeks": int(reached["weeks"].max()) if len(reached) else pd.NA,
                "cost": float(paid[number, programme - 1]) if programme is not pd.NA else 0.0,
                "own_plans": int(part["own_plan"].sum()),
                "in_the_way": "" if away.empty else str(away.mode().iloc[0]),
            }
        )
    return pd.DataFrame(rows)


def _offers(run: Opened, found: Found, prices: Mapping[str, float]) -> tuple[Floats, Floats]:
    """Days that each programme of the largest set would turn for each person, and its cost, (people, programmes).

    Days by the judges that pick; the cost is the sum of the prices of the features that a person is asked to change.
    """
    from sensecf.pipeline.programme.find import by_person

    cohort, programmes = run.cohort, found.programmes
    each = np.array([prices.get(name, 1.0) for name in run.task.schema.names])
    turned, changes = found.offered
    value = by_person(turned.astype(float), cohort.people)
    paid = np.zeros(value.shape)
    for k in range(len(programmes)):
        acts = by_person(changes[k].astype(float), cohort.people) > 0
        paid[:, k] = acts @ each
    return value, np.maximum(paid, 1e-9)


# --- programmes, groups, sets ---------------------------------------------------------------


def programme_table(run: Opened, found: Found, given: Given, days: pd.DataFrame) -> pd.DataFrame:
    """One line per programme and thing that it asks."""
    rows = []
    for k, one in enumerate(found.programmes):
        mine = days[days["programme"] == k + 1]
        reached = mine[mine["reached"]]
        for ask in one.asks:
            feature = run.task.schema.features[ask.column]
            rows.append(
                {
                    "programme": k + 1,
                    "feature": feature.name,
                    "kind": ask.kind,
                    "value": ask.value if feature.numeric else feature.levels[int(ask.value)],
                    "unit": feature.unit,
                    "asks": ask.words(run.task.schema),
                    "people": int(mine["person"].nunique()),
                    "days": len(mine),
                    "reached": len(reached),
                    "effort": round(float(reached["effort"].mean()), 4) if len(reached) else np.nan,
                    "weeks": int(reached["weeks"].median()) if len(reached) else pd.NA,
                }
            )
    return pd.DataFrame(rows)


def set_table(run: Opened, found: Found, told: Calibration) -> pd.DataFrame:
    """One line per number of programmes: what they reach where they are counted, and what one more buys."""
    cohort, rows = run.cohort, []
    counted = ~found.picks[cohort.people]
    honest = counted if counted.any() else np.ones_like(counted)
    own = np.isin(np.arange(len(cohort.query)), cohort.owner)
    typical = cost(run.task, cohort.query, cohort.owner, cohort.plans, 0.0).mean() if len(cohort.owner) else np.nan
    last, before = 0.0, None
    for cover, given in zip(found.sets, found.given, strict=True):
        low, high = interval(given.stands[honest], cohort.people[honest], share=True)
        share = float(given.stands[honest].mean())
        effort = float(given.effort[given.stands].mean()) if given.stands.any() else np.nan
        turned = honest & given.stands
        truly = [float(part[turned].mean()) if turned.any() else np.nan for part in expected_of(run, given, told)]
        rows.append(
            {
                "programmes": len(cover.chosen),
                "asks": " | ".join(found.tried[k].words(run.task.schema) for k in cover.chosen),
                "days": int(honest.sum()),
                "people": len(np.unique(cohort.people[honest])),
                "reached": round(share, 4),
                "low": round(float(low), 4),
                "high": round(float(high), 4),
                **{key: round(value, 4) for key, value in zip(EXPECTED, truly, strict=True)},
                "one_more_buys": round(share - last, 4),
                "reached_of_all_days": int(given.stands.sum()),
                "of_days_with_a_plan": round(float(given.stands[own].mean()), 4) if own.any() else np.nan,
                "effort": round(effort, 4),
                "effort_to_own_plans": round(effort / typical, 4),
                "gap": round(cover.gap, 4),
                "why_fewer": "" if before is None or share >= last else _fewer(run, found, before, given),
            }
        )
        last, before = share, given
    return pd.DataFrame(rows)


def signed(share: float) -> str:
    """Points of a difference, with a sign where it is not 0."""
    points = round(100 * share)
    return f"{'+' if points > 0 else '−' if points < 0 else ''}{abs(points)}"


def _fewer(run: Opened, found: Found, before: Given, given: Given) -> str:
    """Why a larger set turns fewer of the days that are counted than the one before it."""
    people = run.cohort.people
    counted = ~found.picks[people]
    picking = ~counted if counted.any() else np.ones_like(counted)
    honest = np.flatnonzero(counted if counted.any() else picking)
    more = int(given.turned[picking].sum()) - int(before.turned[picking].sum())
    low, high = interval(given.stands[honest].astype(float) - before.stands[honest], people[honest])
    told = "as many" if not more else f"{abs(more)} {'more' if more > 0 else 'fewer'}"
    words = f"of the {int(picking.sum())} days that it was picked on it turns {told}"
    if not np.isnan(low):
        inside = "within" if low <= 0 <= high else "beyond"
        ends = f"{signed(low)} to {signed(high)}"
        words += f"; on those counted the difference ({ends} points) is {inside} chance"
    if not given.stands.any():
        return words
    least, most = (float(one.effort[one.stands].mean()) for one in (given, before))
    return words + (f"; effort is {least:.1f} instead of {most:.1f}" if least < most else "")


def group_table(run: Opened, found: Found, given: Given) -> pd.DataFrame:
    """The share of days that is reached by group: features that no plan changes, numbers in thirds; over the people who
    are counted where there are any, intervals over people."""
    cohort, schema = run.cohort, run.task.schema
    counted = ~found.picks[cohort.people]
    honest = np.flatnonzero(counted if counted.any() else np.ones_like(counted))
    fixed = [j for j, f in enumerate(schema.features) if f.protected or f.role == "immutable"]
    rows = []
    for j in sorted(fixed, key=lambda j: not schema.features[j].protected):
        for name, at in _groups(run.task, cohort.query.rows[honest, j], j):
            who = honest[at]
            low, high = interval(given.stands[who], cohort.people[who], share=True)
            rows.append(
                {
                    "feature": schema.names[j],
                    "group": name,
                    "people": len(np.unique(cohort.people[who])),
                    "days": len(who),
                    "reached": round(float(given.stands[who].mean()), 4),
                    "low": round(float(low), 4),
                    "high": round(float(high), 4),
                }
            )
    return pd.DataFrame(rows, columns=["feature", "group", "people", "days", "reached", "low", "high"])


def _groups(task: Task, values: Floats, j: int) -> list[tuple[str, Ints]]:
    """The rows of each group of one feature, values (n,) encoded."""
    feature, found = task.schema.features[j], []
    known = ~np.isnan(values)
    if feature.numeric:
        cuts = np.unique(np.quantile(values[known], np.arange(1, BANDS) / BANDS)) if known.any() else np.empty(0)
        band = np.searchsorted(cuts, values, side="right")
        for k in range(len(cuts) + 1):
            at = np.flatnonzero(known & (band == k))
            if len(at):
                ends = values[at].min(), values[at].max()
                whole = feature.format(ends[1], unit=True)
                found.append((whole if ends[0] == ends[1] else f"{feature.format(ends[0])} to {whole}", at))
    else:
        codes, counts = np.unique(values[known], return_counts=True)
        for code in codes[np.argsort(-counts, kind="stable")][:MOST_GROUPS]:
            found.append((str(feature.levels[int(code)]), np.flatnonzero(values == code)))
    return found


def consequence_table(run: Opened, found: Found, given: Given) -> pd.DataFrame:
    """What is expected to follow on the days that each programme reaches: mean movement with its mean 90 % band; empty
    where the schema accepts no causes."""
    columns = ["programme", "feature", "unit", "days", "expected", "low", "high"]
    task, mechanisms, rows = run.task, run.task.once(Mechanisms), []
    if not mechanisms:
        return pd.DataFrame(columns=columns)
    for k in range(len(found.programmes)):
        at = np.flatnonzero(given.stands & (given.programme == k))
        if not len(at):
            continue
        base, after = run.cohort.query.rows[at], given.rows[at]
        follow = mechanisms.follow(base, after)
        for j in mechanisms.columns:
            moved = task.codec.changed(after, follow.expected)[:, j]
            if not moved.any():
                continue
            feature = task.schema.features[j]
            ends = [float(np.nanmean((end - base)[:, j])) for end in (follow.expected, follow.low, follow.high)]
            if abs(ends[0]) >= (feature.step or 0) / 2:
                said = [round(v, feature.decimals + 1) for v in ends]
                rows.append([k + 1, feature.name, feature.unit, len(at), *said])
    return pd.DataFrame(rows, columns=columns)


def budget_table(points: Sequence[Spent]) -> pd.DataFrame:
    """The curve of reach over budget, at most `POINTS` of its points."""
    some = np.unique(np.linspace(0, len(points) - 1, min(len(points), POINTS)).astype(int))
    return pd.DataFrame(
        [
            {
                "cost": round(points[k].cost, 6),
                "people": int((points[k].given >= 0).sum()),
                "days": round(points[k].value),
            }
            for k in some
        ]
    )


def plain(frame: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Rows for JSON: what is not defined is null."""
    return [
        {str(k): None if v is pd.NA or v != v else v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
        for row in frame.to_dict(orient="records")
    ]
