"""Plans for one person: asked once as a pool, ranked anew as often as one likes.

A pool holds the answers of `explain` to the person alone, so that page and library say the same and plans do not
depend on who else asks.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from sensecf.core.candidates import Candidates
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.distances import Scale
from sensecf.core.limits import Limits
from sensecf.core.plausibility import Plausibility
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.select import select
from sensecf.core.verify import DISTANCE_WEIGHT, edits, outlier_price
from sensecf.pipeline.blocking import blame, sentence
from sensecf.pipeline.consequences import Mechanisms
from sensecf.pipeline.explain import NOT_HELD, explain
from sensecf.pipeline.refine import Judged, judge
from sensecf.web.cohort import Cohort
from sensecf.web.words import Blocker, blocks, clean, inside

Order = Literal["effort", "changes", "lead"]
#: How hard a change of a feature is for this person: its weight in the effort.
EFFORTS = {"easy": 0.5, "normal": 1.0, "hard": 2.5}
#: Leads asked for beside the person's own: the pool holds surer plans too, for the ranking by lead.
SURER = (0.5,)
#: The survival of one plan that nobody asked a jury about.
UNASKED: list[tuple[float | None, float | None]] = [(None, None)]
#: Plans shown side by side.
SHOWN = 4

Say = Callable[[int, str], None]
#: What an ask goes through, for its progress: `Say(step, words)` with steps from 0.
STEPS = ("Looking for plans", "Checking every plan", "Looking harder", "Finding out what stands in the way")


@dataclass(frozen=True)
class Ask:
    """One question: for whom, under which limits, and how hard each feature is (by column; 1 where absent)."""

    person: int
    limits: Limits
    effort: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """One verified answer. `row` (d,): encoded; the rest is the verdict on it, see `verify.Verdicts`.

    `score`: LOF, 0 or more is an inlier; `in_range`: all values inside those seen in training;
    `holds`: the share of refits that took no part in finding it which agree, `holds_low` its exact lower bound, None
    where nobody asked. `similar`, `nearest`: see `Cohort.similar`. `id` is random: it stands in addresses and says
    nothing.
    """

    id: str
    person: int
    row: Floats
    probability: float
    lead: float
    score: float
    in_range: bool
    edited: Bools
    n_changed: int
    proximity: float
    similar: int
    nearest: float
    holds: float | None = None
    holds_low: float | None = None


@dataclass(frozen=True)
class Pool:
    """All plans of one ask; `reason` and `blocks` say why there is none. `there`: the person is in the target class.

    `found`: whose the plans are, one of `counterfactuals.FINDERS`.
    """

    id: str
    ask: Ask
    query: Query
    plans: list[Plan]
    reason: str = ""
    blocks: Sequence[Blocker] = ()
    there: bool = False
    found: str = "own"


def answer(cohort: Cohort, asks: Sequence[Ask], say: Say = lambda step, words: None) -> list[Pool]:
    """The pools of several asks. Raises `InputError` for impossible limits (see `Limits`)."""
    return [_pool(cohort, ask, say) for ask in asks]


def _pool(cohort: Cohort, ask: Ask, say: Say) -> Pool:
    """The answers of `explain` to one ask, in their order, and below them surer ones."""
    query, identity = person_query(cohort, ask), secrets.token_urlsafe(9)
    holding = cohort.held() is not None
    limits = replace(ask.limits, hold=cohort.hold if holding else 0.0)
    say(0, STEPS[0])
    found = _explained(cohort, ask, limits)
    say(1, STEPS[1])
    answers = found.answers
    if len(answers):
        there = bool((cohort.predicted[ask.person] == cohort.position) and not answers["n_changed"].iloc[0])
        own = set(answers["generator"]) == {cohort.generator.name}
        by = "not needed" if there else "own" if own else "fallback"
        if not holding and not there:
            # Plans at the boundary are shown beside surer ones; where plans are to hold, all of them are.
            surer = [_explained(cohort, ask, replace(limits, margin=m)) for m in SURER if m > limits.margin]
            answers = pd.concat([answers, *(more.answers for more in surer)], ignore_index=True)
        rows = cohort.task.codec.encode(answers)
        judged = judge(cohort.task, query, Candidates.of(np.zeros(len(rows), dtype=np.intp), rows, "explain"))
        survival = list(zip(answers["holds"], answers["holds_low"], strict=True)) if holding else UNASKED * len(answers)
        return Pool(identity, ask, query, _plans(cohort, ask, judged, survival), there=there, found=by)
    say(3, STEPS[3])
    reason = str(found.abstentions["reason"].iloc[0])
    if reason.startswith(NOT_HELD):
        return Pool(identity, ask, query, [], reason, found="nobody")
    rng = np.random.default_rng([cohort.seed, ask.person, 1])
    [why] = blame(cohort.task, query, ask.limits, cohort.plausibility, rng)
    blocked = blocks(why, ask.limits, cohort.task.schema, cohort.labels)
    return Pool(identity, ask, query, [], sentence(why, cohort.task.schema), blocked, found="nobody")


def _explained(cohort: Cohort, ask: Ask, limits: Limits) -> Counterfactuals:
    """The answers of `explain` to one ask, as many as are shown."""
    return explain(
        cohort.task,
        cohort.generator,
        cohort.task.codec.decode(cohort.rows[[ask.person]]),
        cohort.target,
        SHOWN,
        limits=limits,
        fallback=cohort.fallback,
        plausibility=cohort.plausibility,
        seed=cohort.seed,
    )


def person_query(cohort: Cohort, ask: Ask) -> Query:
    """The query of one ask. Raises `InputError` for limits that cannot be."""
    return ask.limits.query(cohort.task, cohort.rows[[ask.person]], cohort.target)


def _plans(cohort: Cohort, ask: Ask, good: Judged, survival: Sequence[tuple[float | None, float | None]]) -> list[Plan]:
    """Distinct rows as plans, in their order; `survival`: the share of jurors that agree with each, and its bound."""
    rows, verdict = good.found.rows, good.verdict
    _, first = np.unique(np.where(np.isnan(rows), -np.inf, rows), axis=0, return_index=True)
    first = np.sort(first)
    similar, nearest = cohort.similar(rows[first])
    in_range = cohort.task.once(Plausibility).in_range(rows[first])
    return [
        Plan(
            secrets.token_urlsafe(9),
            ask.person,
            rows[at],
            float(verdict.probability[at]),
            float(verdict.lead[at]),
            float(verdict.score[at]),
            bool(in_range[k]),
            verdict.edited[at],
            int(verdict.n_changed[at]),
            float(verdict.proximity[at]),
            int(similar[k]),
            float(nearest[k]),
            *survival[at],
        )
        for k, at in enumerate(first)
    ]


def effort(cohort: Cohort, pool: Pool, weights: Mapping[int, float]) -> Floats:
    """What each plan of a pool asks of this person, shape (plans,): one per change and half a unit per MAD of
    distance, each feature by its own weight; lower is easier."""
    codec = cohort.task.codec
    rows = np.array([plan.row for plan in pool.plans])
    base, owner = cohort.rows[[pool.ask.person]], np.zeros(len(rows), dtype=np.intp)
    weight = np.ones(len(codec.numeric))
    for column, value in weights.items():
        weight[column] = value
    parts = cohort.task.once(Scale).parts(base, rows)
    total: Floats = (weight * (edits(codec, pool.query, owner, rows) * 1.0 + DISTANCE_WEIGHT * parts)).sum(axis=1)
    return total


def rank(cohort: Cohort, pool: Pool, order: Order, weights: Mapping[int, float], count: int = SHOWN) -> list[Plan]:
    """The plans to show, best first, unlike each other; nobody is asked again.

    `effort`: least effort by the person's own weights, and the first answer of `explain` before all others where
    none are given; `changes`: fewest features, then effort; `lead`: the largest lead in tenths, then effort. Rows
    unlike real people cost in each of them.
    """
    if not pool.plans:
        return []
    codec = cohort.task.codec
    rows = np.array([plan.row for plan in pool.plans])
    ask = effort(cohort, pool, weights)
    odd = outlier_price(np.array([plan.score for plan in pool.plans])) * cohort.plausibility
    margin = np.array([plan.lead for plan in pool.plans])
    count_changed = np.array([plan.n_changed for plan in pool.plans])
    price = {
        "effort": ask + odd,
        "changes": 3.0 * count_changed + 0.3 * ask + odd,
        "lead": -12.0 * np.minimum(margin, 0.95) + 0.3 * ask + odd,
    }[order]
    if order == "effort" and all(weight == 1.0 for weight in weights.values()):
        price = np.maximum(price, price[0])
    changed = edits(codec, pool.query, np.zeros(len(rows), dtype=np.intp), rows)
    place = cohort.task.once(Scale).place(rows)
    way = np.sign(np.nan_to_num(rows - cohort.rows[[pool.ask.person]])) * (changed & codec.numeric)
    chosen, _ = select(np.zeros(len(rows), dtype=np.intp), price, changed, place, min(count, len(rows)), way)
    return [pool.plans[k] for k in chosen[np.argsort(price[chosen], kind="stable")]]


def record(cohort: Cohort, plan: Plan) -> dict[str, Any]:
    """A plan as plain data: what is kept, exported, and written into its sentence."""
    codec, schema = cohort.task.codec, cohort.task.schema
    base = cohort.rows[plan.person]
    changes = []
    for j in np.flatnonzero(codec.changed(base[None], plan.row[None])[0]).tolist():
        feature, column = schema.features[j], cohort.columns[j]
        before, after = float(base[j]), float(plan.row[j])
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
    return {
        "plan": plan.id,
        "person": cohort.names[plan.person],
        "label": cohort.said(schema.label),
        "target": clean(cohort.target),
        "target_text": cohort.said(cohort.target),
        "predicted_before": clean(cohort.task.classes[int(cohort.predicted[plan.person])]),
        "predicted_before_text": cohort.said(cohort.task.classes[int(cohort.predicted[plan.person])]),
        "probability_before": round(float(cohort.chance[plan.person]), 6),
        "probability": round(plan.probability, 6),
        "margin": round(plan.lead, 6),
        "n_changed": plan.n_changed,
        "distance": round(plan.proximity, 6),
        "like_the_target_class": plan.score >= 0,
        "inside_the_values_seen": plan.in_range,
        "similar_people": plan.similar,
        "nearest_person": round(plan.nearest, 3),
        "changes": changes,
        "expected": _expected(cohort, base, plan.row),
    }


def _expected(cohort: Cohort, base: Floats, row: Floats) -> list[dict[str, Any]]:
    """What is expected to follow from a plan, with its band, as plain data, the largest in standard deviations first;
    nothing without accepted causes."""
    codec, mechanisms = cohort.task.codec, cohort.task.once(Mechanisms)
    if not mechanisms:
        return []
    found = mechanisms.follow(base[None], row[None])
    moved = codec.changed(row, found.expected[0])
    spread = cohort.task.once(Scale).std
    size = np.abs(found.expected[0] - base) / np.where(spread > 0, spread, 1.0)
    return [
        {
            "feature": cohort.task.schema.names[j],
            "label": cohort.columns[j].label,
            "unit": clean(cohort.task.schema.features[j].unit),
            "before_text": cohort.columns[j].text(float(base[j])),
            "expected": float(found.expected[0, j]),
            "low": float(found.low[0, j]),
            "high": float(found.high[0, j]),
            "expected_text": cohort.columns[j].text(float(found.expected[0, j])),
            "low_text": cohort.columns[j].text(float(found.low[0, j])),
            "high_text": cohort.columns[j].text(float(found.high[0, j])),
        }
        for j in sorted(np.flatnonzero(moved).tolist(), key=lambda j: -size[j])
        if cohort.columns[j].text(float(base[j])) != cohort.columns[j].text(float(found.expected[0, j]))
    ]


def restore(cohort: Cohort, kept: Mapping[str, Any]) -> tuple[Plan, Pool] | None:
    """The plan of a record, judged anew; None when the person is not here or differs, or the plan is no longer good."""
    schema = cohort.task.schema
    if kept["person"] not in cohort.names:
        return None
    person = cohort.names.index(kept["person"])
    row = cohort.rows[person].copy()
    for change in kept["changes"]:
        if change["feature"] not in schema.columns:
            return None
        j = schema.columns[change["feature"]]
        feature = schema.features[j]
        codes = [change[end] if feature.numeric else _code(feature.levels, change[end]) for end in ("before", "after")]
        if None in codes or codes[0] != row[j]:
            return None
        row[j] = codes[1]
    led = any(change.get("follows", False) for change in kept["changes"])
    ask = Ask(person, Limits(edit="actionable" if led else "mutable"))
    query = person_query(cohort, ask)
    kept_row = judge(cohort.task, query, Candidates.of(np.zeros(1, dtype=np.intp), row[None], "kept"))
    if not kept_row.verdict.good[0]:
        return None
    [plan] = _plans(cohort, ask, kept_row, UNASKED)
    plan = replace(plan, id=str(kept["plan"]))
    return plan, Pool(secrets.token_urlsafe(9), ask, query, [plan])


def _code(levels: Sequence[Any], value: Any) -> int | None:
    return levels.index(value) if value in levels else None
