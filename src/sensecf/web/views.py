"""What each page shows: plain data for the templates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request

from sensecf.core.counterfactuals import FINDERS
from sensecf.runs.finished import shares_in_words
from sensecf.runs.report.page import environment
from sensecf.version import __version__
from sensecf.web import charts, people
from sensecf.web.cohort import Cohort, Column
from sensecf.web.controls import COUNTS, MARGINS, ORDERS, Wish
from sensecf.web.desk import Desk
from sensecf.web.export import to_csv, to_fhir, to_json
from sensecf.web.plans import EFFORTS, Plan, Pool, rank, record
from sensecf.web.start import PHASES
from sensecf.web.steps import Way, weekly_steps
from sensecf.web.survey import MAX_FEATURES, by_group, ways_to_group
from sensecf.web.words import CAUTION, clean, plan_sentence, reason_words

#: The exports: suffix and media type.
EXPORTS = {
    "csv": ("csv", "text/csv; charset=utf-8"),
    "json": ("json", "application/json"),
    "html": ("html", "text/html; charset=utf-8"),
    "fhir": ("fhir.json", "application/fhir+json"),
}
LETTERS = "ABCDEFGH"
ROLES = {
    "actionable": ("What a person does", "These can be changed directly."),
    "mutable": ("What moves as a result", "Nobody sets these directly: they are kept unless you let them move."),
    "immutable": ("What stays", "No plan changes these."),
}


@cache
def _environment() -> Environment:
    made = environment("sensecf.web")
    made.globals |= {"CAUTION": CAUTION, "letters": LETTERS, "version": __version__}
    return made


def _write(request: Request, template: str, **context: Any) -> str:
    csrf = request.scope["csrf"]
    return _environment().get_template(template).render(csrf=csrf, path=request.url.path, **context)


def _head(cohort: Cohort) -> dict[str, Any]:
    """What the head of every page shows."""
    return {
        "title": clean(cohort.title),
        "notice": clean(cohort.notice),
        "quality": clean(cohort.quality),
        "unheld": clean(cohort.unheld),
        "label": cohort.said(cohort.task.schema.label),
        "target": cohort.said(cohort.target),
    }


# --- before there are people --------------------------------------------------------------


def start_page(request: Request, desk: Desk) -> str:
    """How far the start is."""
    shares = desk.start.shares
    phases = [{"name": name, "words": words, "share": shares.get(name, 0.0)} for name, words in PHASES.items()]
    return _write(request, "start.html.j2", phases=phases, problem=clean(desk.start.problem))


def enter_page(request: Request, problem: str) -> str:
    """The door."""
    return _write(request, "enter.html.j2", problem=problem)


def problem_page(request: Request, text: str) -> str:
    """Something that cannot be done, and what to do."""
    return _write(request, "problem.html.j2", text=clean(text))


# --- people -------------------------------------------------------------------------------


def people_page(request: Request, desk: Desk, choice: people.ListView) -> str:
    """The list of people."""
    return _write(request, "people.html.j2", head=_head(desk.cohort), **_people(desk, choice))


def people_part(request: Request, desk: Desk, choice: people.ListView) -> str:
    """The list alone."""
    return _write(request, "_people.html.j2", **_people(desk, choice))


def _people(desk: Desk, choice: people.ListView) -> dict[str, Any]:
    cohort = desk.cohort
    found = people.chosen(cohort, choice)
    pages = max(1, -(-len(found) // people.PAGE))
    page = min(choice.page, pages - 1)
    columns = [cohort.columns[j] for j in people.shown_columns(cohort)]
    decisions = _last_decisions(desk)
    rows = [
        {
            "position": int(k),
            "name": cohort.names[k],
            "predicted": cohort.said(cohort.task.classes[cohort.predicted[k]]),
            "there": bool(cohort.predicted[k] == cohort.position),
            "risk": float(1.0 - cohort.chance[k]),
            "values": [
                c.text(cohort.rows[k, j], unit=True) for c, j in zip(columns, people.shown_columns(cohort), strict=True)
            ],
            "decision": decisions.get(cohort.names[k], ""),
        }
        for k in found[page * people.PAGE : (page + 1) * people.PAGE]
    ]
    return {
        "rows": rows,
        "choice": choice,
        "page": page,
        "pages": pages,
        "count": len(found),
        "everybody": len(cohort),
        "away": int((cohort.predicted != cohort.position).sum()),
        "shares": _shares(desk),
        "filters": people.FILTERS,
        "columns": [(j, cohort.columns[j].label) for j in people.shown_columns(cohort)],
        "target": cohort.said(cohort.target),
    }


def _shares(desk: Desk) -> list[str]:
    """Who found the answers of the run that is open, and those of the questions asked on the page."""
    lines = [f"In the run, {clean(desk.cohort.run_shares)}."] if desk.cohort.run_shares else []
    if desk.found:
        counts = [desk.found[name] for name in FINDERS]
        lines.append(f"On this page, {clean(shares_in_words(desk.cohort.generator.name, counts))}.")
    return lines


def _last_decisions(desk: Desk) -> dict[str, str]:
    words = {
        "bookmark": "bookmarked",
        "sign off": "signed off",
        "countersign": "countersigned",
        "reject": "rejected",
        "note": "noted",
    }
    return {
        entry["plan"]["person"]: words.get(entry["action"], entry["action"])
        for entry in desk.journal.of_kind("decision")
    }


# --- a person -----------------------------------------------------------------------------


def person_page(request: Request, desk: Desk, person: int, wish: Wish, pool: Pool | None) -> str:
    """One person: values, controls, plans, what-if."""
    cohort = desk.cohort
    return _write(
        request,
        "person.html.j2",
        head=_head(cohort),
        person=_person(cohort, person),
        sections=_sections(cohort, person, wish),
        wish=wish,
        orders=ORDERS,
        counts=COUNTS,
        margins=MARGINS,
        efforts=EFFORTS,
        sliders=_sliders(cohort, person),
        plans=None if pool is None else _plans(desk, pool, wish),
        everybody=len(cohort),
    )


def _person(cohort: Cohort, person: int) -> dict[str, Any]:
    return {
        "position": person,
        "name": cohort.names[person],
        "predicted": cohort.said(cohort.task.classes[cohort.predicted[person]]),
        "there": bool(cohort.predicted[person] == cohort.position),
        "chance": float(cohort.chance[person]),
        "outside": clean(cohort.outside.get(person, "")),
    }


def _sections(cohort: Cohort, person: int, wish: Wish) -> list[dict[str, Any]]:
    """Features by who moves them, each with its picture and its controls."""
    leaning = cohort.leaning(person)
    most = max(float(np.nanmax(np.abs(leaning), initial=0.0)), 0.02)
    sections: dict[str, list[dict[str, Any]]] = {role: [] for role in ROLES}
    for j, column in enumerate(cohort.columns):
        feature, value = column.feature, float(cohort.rows[person, j])
        role = feature.role if feature.changeable else "immutable"
        gain = float(leaning[j])
        sections[role].append(
            {
                "column": j,
                "label": column.label,
                "name": clean(feature.name),
                "text": column.text(value),
                "unit": clean(feature.unit) if not np.isnan(value) else "",
                "strip": charts.strip(column, value),
                "below": column.below(value),
                "normal": "" if column.normal is None else _span(column, column.normal),
                "normal_now": _normal_now(column, value),
                "gain": None if np.isnan(gain) else gain,
                "gain_share": 0 if np.isnan(gain) else round(abs(gain) / most * 100),
                "open": feature.changeable and not np.isnan(value),
                "numeric": feature.numeric,
                "own_direction": feature.direction,
                "low": _plain(cohort.least(j)),
                "high": _plain(cohort.most(j)),
                "step": _plain(feature.step),
                "lock": j in wish.lock,
                "direction": wish.direction.get(j, "any"),
                "at_least": _plain(wish.low.get(j)),
                "at_most": _plain(wish.high.get(j)),
                "effort": wish.effort.get(j, "normal"),
            }
        )
    for found in sections.values():
        found.sort(key=lambda feature: -(feature["gain"] or 0.0))
    return [
        {"role": role, "title": ROLES[role][0], "words": ROLES[role][1], "features": found}
        for role, found in sections.items()
        if found
    ]


def _normal_now(column: Column, value: float) -> bool | None:
    if column.normal is None or np.isnan(value):
        return None
    return column.normal[0] <= value <= column.normal[1]


def _span(column: Column, ends: tuple[float, float]) -> str:
    return f"{column.feature.format(ends[0])} to {column.feature.format(ends[1])}"


def _plain(value: float | None) -> str:
    """A number for an input: no thousands separators."""
    return "" if value is None else f"{value:.12g}"


def _sliders(cohort: Cohort, person: int) -> list[dict[str, Any]]:
    """The controls of the what-if: one per feature that may change and was measured."""
    found = []
    for j, column in enumerate(cohort.columns):
        feature, value = column.feature, float(cohort.rows[person, j])
        if not feature.changeable or np.isnan(value):
            continue
        ends = (min(column.low, value), max(column.high, value)) if feature.numeric else (0.0, 0.0)
        low, high = (
            float(end)
            for end in cohort.task.codec.snap(np.full((2, len(cohort.columns)), np.array(ends)[:, None]))[:, j]
        )
        found.append(
            {
                "column": j,
                "label": column.label,
                "unit": clean(feature.unit),
                "numeric": feature.numeric,
                "value": _plain(value),
                "text": column.text(value),
                "decimals": feature.decimals,
                "low": _plain(min(low, value)),
                "high": _plain(max(high, value)),
                "step": _plain(feature.step),
                "levels": [(k, clean(level)) for k, level in enumerate(feature.levels)],
            }
        )
    return found


# --- plans --------------------------------------------------------------------------------


def plans_part(request: Request, desk: Desk, pool: Pool, wish: Wish) -> str:
    """The plans of a question, ranked, or what stands in their way."""
    return _write(request, "_plans.html.j2", plans=_plans(desk, pool, wish), orders=ORDERS, wish=wish)


def _plans(desk: Desk, pool: Pool, wish: Wish) -> dict[str, Any]:
    cohort = desk.cohort
    shown = rank(cohort, pool, wish.order, wish.weights(), wish.count)
    return {
        "pool": pool.id,
        "person": pool.ask.person,
        "there": pool.there,
        "held": len(pool.plans),
        "target": cohort.said(cohort.target),
        "cards": [_card(desk, plan) for plan in shown] if not pool.there else [],
        "blocks": pool.blocks,
        # What the schema or a rule forbids, nobody can lift here; lifting the rest would not help.
        "lifts": " ".join(block.field for block in pool.blocks) if all(block.field for block in pool.blocks) else "",
        "reason": "" if pool.plans or pool.blocks else reason_words(pool.reason),
    }


def _card(desk: Desk, plan: Plan) -> dict[str, Any]:
    """A plan as it stands beside others, or alone."""
    cohort = desk.cohort
    written = record(cohort, plan)
    base = cohort.rows[plan.person]
    for change in written["changes"]:
        j = cohort.task.schema.columns[change["feature"]]
        change["strip"] = charts.strip(cohort.columns[j], float(base[j]), float(plan.row[j]))
        change["column"] = j
        change["code"] = _plain(float(plan.row[j]))
    return {
        "id": plan.id,
        "record": written,
        "sentence": plan_sentence(written),
        "margin": plan.lead,
        "certainty": "narrow" if plan.lead < 0.2 else "clear" if plan.lead < 0.5 else "wide",
        "inlier": plan.score >= 0,
        "in_range": plan.in_range,
        "similar": plan.similar,
        "nearest": plan.nearest,
        "holds": plan.holds,
        "robust": desk.robust.get(plan.id),
        "start": [{"column": j, "code": _plain(float(base[j]))} for j in range(len(base)) if not np.isnan(base[j])],
    }


def plan_page(request: Request, desk: Desk, plan: Plan, pool: Pool) -> str:
    """One plan with its steps, its decisions and its exports."""
    cohort = desk.cohort
    way = weekly_steps(cohort, plan, pool.query)
    return _write(
        request,
        "plan.html.j2",
        head=_head(cohort),
        person=_person(cohort, plan.person),
        card=_card(desk, plan),
        way=_way(cohort, plan, way),
        entries=desk.journal.of_plan(plan.id),
        standing=desk.journal.standing(plan.id),
        exports=EXPORTS,
        pool=pool.id,
        made=datetime.now(UTC).date().isoformat(),
        classifier=clean(cohort.classifier),
    )


def _way(cohort: Cohort, plan: Plan, way: Way) -> dict[str, Any]:
    changed = np.flatnonzero(cohort.task.codec.changed(cohort.rows[[plan.person]], plan.row[None])[0]).tolist()
    return {
        "features": [cohort.columns[j].label for j in changed],
        "units": [clean(cohort.columns[j].feature.unit) for j in changed],
        "now": [cohort.columns[j].text(cohort.rows[plan.person, j]) for j in changed],
        "steps": [
            {
                "week": step.week,
                "values": [cohort.columns[j].text(step.row[j]) for j in changed],
                "probability": step.probability,
                "reached": step.reached,
                "problems": step.problems,
            }
            for step in way.steps
        ],
        "assumed": way.assumed,
        "problem": way.problem,
    }


def robust_part(request: Request, desk: Desk, plan: Plan) -> str:
    """What became of the test of a plan."""
    return _write(request, "_robust.html.j2", card={"id": plan.id, "robust": desk.robust[plan.id]})


def record_of(desk: Desk, plan: Plan) -> dict[str, Any]:
    """A plan as the log keeps it."""
    return record(desk.cohort, plan)


def export_text(request: Request, desk: Desk, plan: Plan, pool: Pool, kind: str) -> str:
    """A plan as the text of a file."""
    written = record(desk.cohort, plan)
    steps = weekly_steps(desk.cohort, plan, pool.query).steps
    weeks = len(steps) or None
    if kind == "csv":
        return to_csv(written)
    if kind == "json":
        return to_json(written, weeks)
    if kind == "fhir":
        return to_fhir(written, weeks, datetime.now(UTC).date().isoformat())
    cohort = desk.cohort
    style = (Path(__file__).parent / "static" / "page.css").read_text(encoding="utf-8")
    return _write(
        request,
        "alone.html.j2",
        head=_head(cohort),
        person=_person(cohort, plan.person),
        card=_card(desk, plan),
        way=_way(cohort, plan, weekly_steps(cohort, plan, pool.query)),
        style=Markup(style),
        made=datetime.now(UTC).date().isoformat(),
        classifier=clean(cohort.classifier),
        entries=desk.journal.of_plan(plan.id),
    )


# --- the cohort ---------------------------------------------------------------------------


def groups_page(request: Request, desk: Desk, by: int | None) -> str:
    """Which changes are asked of whom."""
    cohort, found = desk.cohort, desk.survey
    ways = ways_to_group(cohort)
    column = by if by in ways else (ways[0] if ways else None)
    context: dict[str, Any] = {
        "head": _head(cohort),
        "ways": [(j, cohort.columns[j].label) for j in ways],
        "by": column,
        "asked": None,
        "away": int((cohort.predicted != cohort.position).sum()),
    }
    if found is not None and len(found.people):
        groups = by_group(cohort, found, column)
        total = found.changed[found.answered].mean(axis=0) if found.answered.any() else np.zeros(len(cohort.columns))
        order = np.argsort(-total, kind="stable")
        shown = [int(j) for j in order[:MAX_FEATURES] if total[j] > 0]
        context |= {
            "asked": len(found.people),
            "everyone": found.thinned,
            "left_out": found.left_out,
            "groups": groups,
            "names": [group.name for group in groups],
            "shown": [(j, cohort.columns[j].label) for j in shown],
        }
        around = sorted(shown)
        rates = [[float(group.rates[j]) for j in around] for group in groups]
        context["bars"] = charts.bars([(cohort.columns[j].label, [float(g.rates[j]) for g in groups]) for j in shown])
        context["radar"] = charts.radar([cohort.columns[j].label for j in around], rates) if len(shown) >= 3 else None
    return _write(request, "groups.html.j2", **context)


def kept_page(request: Request, desk: Desk) -> str:
    """The log of decisions, newest first."""
    entries: list[Mapping[str, Any]] = [
        {**entry, "sentence": plan_sentence(entry["plan"])} for entry in reversed(desk.journal.of_kind("decision"))
    ]
    return _write(request, "kept.html.j2", head=_head(desk.cohort), entries=entries, file=desk.journal.path.name)
