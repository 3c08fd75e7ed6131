"""A plan as plain data: what is kept in the journal, exported, and written into its sentence; and back."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sensecf.core.counterfactuals import ACTIONS_MARK
from sensecf.core.distances import Scale
from sensecf.core.limits import Limits
from sensecf.core.names import split_names
from sensecf.core.rules import Floats
from sensecf.pipeline.consequences import Mechanisms
from sensecf.pipeline.person import in_words, parts_of
from sensecf.web.cohort import Cohort
from sensecf.web.judging import Known, judged_plan, person_query
from sensecf.web.plans import Inquiry, Plan, Pool, kind_of
from sensecf.web.words import clean, inside, percent

#: Plain data, as JSON has it.
Data = dict[str, Any]


def record(cohort: Cohort, plan: Plan) -> Data:
    """A plan as plain data. Changes and probabilities of one day are those of the day that stands for the plan; with
    several days, `probability_before` and `probability` are means over them."""
    schema, day = cohort.task.schema, plan.day
    rows = [one.row for one in plan.days]
    before = float(cohort.chance[rows].mean())
    predicted = cohort.task.classes[int(cohort.predicted[day.row])]
    held = cohort.held() if plan.holds is not None else None
    return {
        "plan": plan.id,
        "person": cohort.persons[plan.person].name,
        "kind": list(kind_of(cohort, plan)),
        "own": plan.own,
        "limits": plan.mark,
        "label": cohort.said(schema.label),
        "target": clean(cohort.target),
        "target_text": cohort.said(cohort.target),
        "predicted_before": clean(predicted),
        "predicted_before_text": cohort.said(predicted),
        "probability_before": round(before, 6),
        "probability": round(plan.probability, 6),
        "shown_class_text": cohort.said(cohort.watched),
        "shown_before_text": percent(cohort.shown(before)),
        "shown_text": percent(cohort.shown(plan.probability)),
        "margin": round(plan.lead, 6),
        "n_changed": plan.n_changed,
        "distance": round(plan.proximity, 6),
        "like_the_target_class": plan.score >= 0,
        "inside_the_values_seen": plan.in_range,
        "similar_rows": plan.alike.rows,
        "similar_people": plan.alike.people,
        "similar_rows_in_target": plan.alike.wanted,
        "nearest_row": round(plan.alike.nearest, 3),
        "holds": plan.holds,
        "holds_low": plan.holds_low,
        "holds_of": None if held is None else held.counting,
        "turns": plan.turns,
        "of": len(plan.days),
        "day": cohort.roster.when[day.row],
        "day_noun": cohort.nouns.day,
        "days_noun": cohort.nouns.days,
        "told": plan.told,
        "asks": _asks(cohort, plan.told),
        "changes": _changes(cohort, plan, cohort.rows[day.row], day.after),
        "expected": _expected(cohort, plan),
        "days": [
            {
                "when": cohort.roster.when[one.row],
                "turned": one.turned,
                "why": "" if one.turned else one.reason,
                "probability_before": round(float(cohort.chance[one.row]), 6),
                "probability": round(one.probability, 6),
                "values": _values(cohort, cohort.rows[one.row], one.after),
            }
            for one in plan.days
        ],
    }


def _asks(cohort: Cohort, told: str) -> list[Data]:
    """What a plan for several days asks for on each, a phrase for each feature; nothing where it is for one."""
    schema, found = cohort.task.schema, []
    parts = parts_of(schema, told) if told else []
    phrases = in_words(schema, told, dict.fromkeys(schema.names, "")) if told else []
    for (name, _, _), phrase in zip(parts, phrases, strict=True):
        label = cohort.columns[schema.columns[name]].label
        found.append({"feature": name, "label": label, "label_inside": inside(label), "text": clean(phrase)})
    return found


def _changes(cohort: Cohort, plan: Plan, base: Floats, row: Floats) -> list[Data]:
    """Every value that differs on one day, as people read it."""
    codec, schema = cohort.task.codec, cohort.task.schema
    changes = []
    for j in np.flatnonzero(codec.changed(base[None], row[None])[0]).tolist():
        feature, column = schema.features[j], cohort.columns[j]
        before, after = float(base[j]), float(row[j])
        delta = round(after - before, feature.decimals) if feature.numeric else None
        changes.append(
            {
                "feature": feature.name,
                "follows": not plan.edited[j],
                "label": column.label,
                "label_inside": inside(column.label),
                "unit": clean(feature.unit),
                "before": before if feature.numeric else feature.levels[int(before)],
                "after": after if feature.numeric else feature.levels[int(after)],
                "before_text": column.text(before),
                "after_text": column.text(after),
                "delta": delta,
                "delta_text": "" if delta is None else clean(feature.format(abs(delta))),
            }
        )
    # What a person does stands before what follows from it.
    return sorted(changes, key=lambda change: bool(change["follows"]))


def _values(cohort: Cohort, base: Floats, row: Floats) -> dict[str, list[Any]]:
    """Every value that differs on one day, before and after, by feature."""
    features = cohort.task.schema.features
    moved = np.flatnonzero(cohort.task.codec.changed(base[None], row[None])[0]).tolist()
    return {
        features[j].name: [
            float(code) if features[j].numeric else features[j].levels[int(code)] for code in (base[j], row[j])
        ]
        for j in moved
    }


def _expected(cohort: Cohort, plan: Plan) -> list[Data]:
    """What is expected to follow from a plan, with its band, as plain data, the largest in standard deviations first;
    nothing without accepted causes."""
    schema, base = cohort.task.schema, cohort.rows[plan.day.row]
    spread = cohort.task.once(Scale).std
    found = []
    for j, expected, low, high in _followed(cohort, plan):
        column, before = cohort.columns[j], float(base[j])
        if column.text(before) == column.text(expected):
            continue
        size = abs(expected - before) / (float(spread[j]) or 1.0) if spread[j] == spread[j] else 1.0
        said = {
            "feature": schema.names[j],
            "label": column.label,
            "unit": clean(schema.features[j].unit),
            "before_text": column.text(before),
            "expected": expected,
            "low": low,
            "high": high,
            "expected_text": column.text(expected),
            "low_text": column.text(low),
            "high_text": column.text(high),
        }
        found.append((-size, said))
    return [said for _, said in sorted(found, key=lambda one: one[0])]


def _followed(cohort: Cohort, plan: Plan) -> list[tuple[int, float, float, float]]:
    """Which features are expected to follow on the day that stands for a plan: column, expected, low, high, encoded."""
    schema, codec = cohort.task.schema, cohort.task.codec
    if plan.follows is not None:
        found = []
        for part in split_names(plan.follows, ACTIONS_MARK):
            name, _, numbers = part.rpartition("=")
            ends = [float(v) for v in numbers.split("|")]
            found.append((schema.columns[name], ends[0], ends[1], ends[2]))
        return found
    mechanisms = cohort.task.once(Mechanisms)
    if not mechanisms:
        return []
    base, row = cohort.rows[plan.day.row][None], plan.row[None]
    led = mechanisms.follow(base, row)
    moved = np.flatnonzero(codec.changed(row, led.expected)[0]).tolist()
    return [(j, float(led.expected[0, j]), float(led.low[0, j]), float(led.high[0, j])) for j in moved]


def restore(cohort: Cohort, kept: Mapping[str, Any], limits: Limits | None = None) -> tuple[Plan, Pool] | None:
    """The plan of a record, judged anew; None when the person or a day is not here or differs, or when no day that was
    turned still is. `limits`: under which it was made, where that is known."""
    person = next((p for p in cohort.persons if p.name == kept["person"]), None)
    found = None if person is None else _days(cohort, person.days.tolist(), kept.get("days", []))
    if person is None or not found:
        return None
    led = any(change.get("follows", False) for change in kept["changes"])
    asked = limits or Limits(edit="actionable" if led else "mutable")
    ask = Inquiry(person.number, tuple(found), asked)
    query = person_query(cohort, ask)
    own = bool(kept.get("own", False))
    turned = np.array([bool(day["turned"]) for day in kept["days"]])
    rows = np.array(list(found.values()))
    why = tuple(str(day.get("why", "")) for day in kept["days"])
    known = Known(kept.get("holds"), kept.get("holds_low"), str(kept["plan"]), own, None if own else turned, why)
    plan = judged_plan(cohort, ask, query, rows, known)
    plan = replace(plan, told=str(kept.get("told", "")))
    if not plan.turns and not own:
        return None
    plan = replace(plan, own=own, mark=str(kept.get("limits", plan.mark)))
    if own:  # what moved by a rule is no act
        acts = {change["feature"] for change in kept["changes"] if not change.get("follows", False)}
        plan = replace(plan, edited=np.isin(cohort.task.schema.names, list(acts)), n_changed=len(acts))
    return plan, Pool(secrets.token_urlsafe(9), ask, query, [plan])


def _days(cohort: Cohort, rows: Sequence[int], kept: Sequence[Mapping[str, Any]]) -> dict[int, Floats]:
    """What a record makes of the rows of a person, by position; nothing where one of them is not here or differs."""
    schema = cohort.task.schema
    places = {cohort.roster.when[k]: k for k in rows}
    found: dict[int, Floats] = {}
    for day in kept:
        at = places.get(day["when"])
        if at is None:
            return {}
        row = cohort.rows[at].copy()
        for name, ends in day["values"].items():
            if name not in schema.columns:
                return {}
            j = schema.columns[name]
            feature = schema.features[j]
            codes = [end if feature.numeric else _code(feature.levels, end) for end in ends]
            if None in codes or codes[0] != row[j]:
                return {}
            row[j] = codes[1]
        found[at] = row
    return found


def _code(levels: Sequence[Any], value: Any) -> int | None:
    return levels.index(value) if value in levels else None
