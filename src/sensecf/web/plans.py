"""Plans for one person: asked once as a pool, ranked anew as often as one likes.

Whoever waits while others are answered is answered together with them: all rows of a batch share the
verification and the polish. Every ask has its own random numbers, so that its plans do not depend on
who else asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.distances import Scale
from sensecf.core.limits import Limits
from sensecf.core.plausibility import Plausibility
from sensecf.core.polish import polish
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.select import select
from sensecf.core.verify import DISTANCE_WEIGHT, Verdicts, outlier_price, verify
from sensecf.generators import Generator
from sensecf.pipeline.blocking import blame, sentence
from sensecf.web.cohort import Cohort
from sensecf.web.words import Block, blocks, clean, inside

Order = Literal["effort", "changes", "lead"]
#: How hard a change of a feature is for this person: its weight in the effort.
EFFORTS = {"easy": 0.5, "normal": 1.0, "hard": 2.5}
#: Plans of one limit on the margin that are polished and kept.
KEPT = 8
#: Leads asked for beside the person's own: the pool holds surer plans too, for the ranking by lead.
SURER = (0.5,)
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
    `similar`, `nearest`: see `Cohort.similar`. `id` is random: it stands in addresses and says nothing.
    """

    id: str
    person: int
    row: Floats
    probability: float
    lead: float
    score: float
    in_range: bool
    n_changed: int
    proximity: float
    similar: int
    nearest: float


@dataclass(frozen=True)
class Pool:
    """All plans of one ask; `reason` and `blocks` say why there is none. `there`: the person is in the target class."""

    id: str
    ask: Ask
    query: Query
    plans: list[Plan]
    reason: str = ""
    blocks: Sequence[Block] = ()
    there: bool = False


def answer(cohort: Cohort, asks: Sequence[Ask], say: Say = lambda step, words: None) -> list[Pool]:
    """The pools of several asks, computed together. Raises `InputError` for impossible limits (see `Limits`)."""
    parts = [_queries(cohort, ask) for ask in asks]
    owner = np.concatenate([np.full(len(part), k) for k, part in enumerate(parts)])
    query = _concat(parts)
    say(0, STEPS[0])
    proposed = _propose(cohort, cohort.generator, parts, asks)
    say(1, STEPS[1])
    good, verdict = _refine(cohort, query, proposed)
    open_asks = sorted(set(range(len(asks))) - set(owner[good.query].tolist()))
    if open_asks:
        say(2, STEPS[2])
        # Surer margins are a choice beside an answer; here there is none yet.
        at = np.array([int(np.searchsorted(owner, k)) for k in open_asks], dtype=np.intp)
        some = [parts[k].take(slice(0, 1)) for k in open_asks]
        harder = _propose(cohort, cohort.fallback, some, [asks[k] for k in open_asks])
        harder = Candidates(at[harder.query], harder.rows, harder.reason, harder.generator)
        more, more_verdict = _refine(cohort, query, harder)
        good = Candidates.concat([good, more])
        verdict = _joined(verdict, more_verdict)
    pools = []
    told = False
    for k, ask in enumerate(asks):
        mine = np.flatnonzero(owner[good.query] == k)
        first = parts[k].take(slice(0, 1))
        plans = _plans(cohort, ask, good.rows[mine], _taken(verdict, mine), good.query[mine])
        identity = secrets.token_urlsafe(9)
        if plans:
            there = bool((cohort.predicted[ask.person] == cohort.position) and plans[0].n_changed == 0)
            pools.append(Pool(identity, ask, first, plans, there=there))
            continue
        if not told:
            say(3, STEPS[3])
            told = True
        rng = np.random.default_rng([cohort.seed, ask.person, 1])
        [why] = blame(cohort.task, first, ask.limits, cohort.plausibility, rng)
        found = blocks(why, ask.limits, cohort.task.schema, cohort.labels)
        pools.append(Pool(identity, ask, first, [], sentence(why, cohort.task.schema), found))
    return pools


def person_query(cohort: Cohort, ask: Ask) -> Query:
    """The query of one ask. Raises `InputError` for limits that cannot be."""
    return ask.limits.query(cohort.task, cohort.rows[[ask.person]], cohort.target)


def _queries(cohort: Cohort, ask: Ask) -> Query:
    """The query of an ask, and below it the same with surer margins."""
    query = person_query(cohort, ask)
    margins = [float(query.margin[0]), *(m for m in SURER if m > query.margin[0])]
    many = query.take(np.zeros(len(margins), dtype=np.intp))
    many.margin[:] = margins
    return many


def _concat(parts: Sequence[Query]) -> Query:
    return Query(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0])})


def _propose(cohort: Cohort, source: Generator, parts: Sequence[Query], asks: Sequence[Ask]) -> Candidates:
    """Candidates for every part, each with random numbers of its own; `query` counts through all parts."""
    begin, found = 0, []
    for part, ask in zip(parts, asks, strict=True):
        one = source.propose(part, np.random.default_rng([cohort.seed, ask.person]))
        kept = one.take(one.reason == "")
        found.append(Candidates(kept.query + begin, kept.rows, kept.reason, kept.generator))
        begin += len(part)
    return Candidates.concat(found)


def _refine(cohort: Cohort, query: Query, proposed: Candidates) -> tuple[Candidates, Verdicts]:
    """The good candidates, polished, with their verdicts as they stand."""
    task = cohort.task
    stay = Candidates.of(np.arange(len(query)), query.rows, "none")
    proposed = Candidates.concat([stay, proposed])
    verdict = verify(task, query, proposed)
    there = verdict.good[: len(query)]
    # Whoever is in the target class already needs no plan.
    good = np.flatnonzero(verdict.good & (~there[proposed.query] | (np.arange(len(proposed)) < len(query))))
    price = verdict.price(cohort.plausibility)[good]
    changed = task.codec.changed(query.rows[proposed.query[good]], proposed.rows[good])
    place = task.once(Scale).place(proposed.rows[good])
    best = good[select(proposed.query[good], price, changed, place, KEPT)[0]]
    kept, price = proposed.take(best), verdict.price(cohort.plausibility)[best]
    rows = polish(task, query, kept.query, kept.rows, cohort.plausibility, price=price)
    polished = Candidates(kept.query, rows, kept.reason, kept.generator)
    # What the polish made must be good by the classifier's own word; else the row before it stays.
    after = verify(task, query, polished)
    still = after.good
    final = Candidates.concat([polished.take(still), kept.take(~still)])
    return final, _joined(_taken(after, np.flatnonzero(still)), _taken(verdict, best[~still]))


def _joined(a: Verdicts, b: Verdicts) -> Verdicts:
    return Verdicts(**{name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in vars(a)})


def _taken(verdict: Verdicts, at: np.ndarray) -> Verdicts:
    return Verdicts(**{name: values[at] for name, values in vars(verdict).items()})


def _plans(cohort: Cohort, ask: Ask, rows: Floats, verdict: Verdicts, source: np.ndarray) -> list[Plan]:
    """Distinct rows as plans, those found without a surer margin first."""
    if not len(rows):
        return []
    _, first = np.unique(np.where(np.isnan(rows), -np.inf, rows), axis=0, return_index=True)
    first = first[np.argsort(source[first], kind="stable")]
    similar, nearest = cohort.similar(rows[first])
    in_range = cohort.task.once(Plausibility).in_range(rows[first])
    return [
        Plan(
            secrets.token_urlsafe(9), ask.person, rows[at], float(verdict.probability[at]), float(verdict.lead[at]),
            float(verdict.score[at]), bool(in_range[k]), int(verdict.n_changed[at]), float(verdict.proximity[at]),
            int(similar[k]), float(nearest[k]),
        )
        for k, at in enumerate(first)
    ]  # fmt: skip


def effort(cohort: Cohort, pool: Pool, weights: Mapping[int, float]) -> Floats:
    """What each plan of a pool asks of this person, shape (plans,): one per change and half a unit per MAD of
    distance, each feature by its own weight; lower is easier."""
    codec = cohort.task.codec
    rows = np.array([plan.row for plan in pool.plans])
    base = cohort.rows[[pool.ask.person]]
    weight = np.ones(len(codec.numeric))
    for column, value in weights.items():
        weight[column] = value
    parts = cohort.task.once(Scale).parts(base, rows)
    total: Floats = (weight * (codec.changed(base, rows) * 1.0 + DISTANCE_WEIGHT * parts)).sum(axis=1)
    return total


def rank(cohort: Cohort, pool: Pool, order: Order, weights: Mapping[int, float], count: int = SHOWN) -> list[Plan]:
    """The plans to show, best first, unlike each other; nobody is asked again.

    `effort`: least effort by the person's own weights; `changes`: fewest features, then effort;
    `lead`: the largest lead in tenths, then effort. Rows unlike real people cost in each of them.
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
    changed = codec.changed(cohort.rows[[pool.ask.person]], rows)
    place = cohort.task.once(Scale).place(rows)
    chosen, _ = select(np.zeros(len(rows), dtype=np.intp), price, changed, place, min(count, len(rows)))
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
    }


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
    ask = Ask(person, Limits(edit="mutable"))
    query = person_query(cohort, ask)
    verdict = verify(cohort.task, query, Candidates.of(np.zeros(1, dtype=np.intp), row[None], "kept"))
    if not verdict.good[0]:
        return None
    [plan] = _plans(cohort, ask, row[None], verdict, np.zeros(1, dtype=np.intp))
    plan = replace(plan, id=str(kept["plan"]))
    return plan, Pool(secrets.token_urlsafe(9), ask, query, [plan])


def _code(levels: Sequence[Any], value: Any) -> int | None:
    return levels.index(value) if value in levels else None
