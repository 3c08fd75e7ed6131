"""What each page shows: plain data for the templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request

from sensecf.core.counterfactuals import FINDERS
from sensecf.core.version import __version__
from sensecf.runs.finished import shares_in_words
from sensecf.runs.record.languages import languages, read_language
from sensecf.runs.report.page import environment
from sensecf.web import charts, people
from sensecf.web.cards import Card, Seat, bin_text, card, differences, points, real_rows
from sensecf.web.cohort import Cohort
from sensecf.web.controls import COUNTS, MARGINS, ORDERS, Wish
from sensecf.web.desk import Desk, Kept
from sensecf.web.export import to_csv, to_fhir, to_json
from sensecf.web.features import levers, sliders, values
from sensecf.web.plans import EFFORTS, Plan, Pool
from sensecf.web.ranking import rank
from sensecf.web.roster import Person
from sensecf.web.start import PHASES
from sensecf.web.steps import Way, weekly_steps, weeks_of
from sensecf.web.survey import MAX_FEATURES, by_group, ways_to_group
from sensecf.web.visitor import Visitor
from sensecf.web.words import (
    CAUTION,
    REGISTER_NAMES,
    Nouns,
    clean,
    day_reason,
    percent,
    plan_sentence,
    reason_words,
    say,
)
from sensecf.web.written import Data, record

#: The exports: suffix and media type.
EXPORTS = {
    "csv": ("csv", "text/csv; charset=utf-8"),
    "json": ("json", "application/json"),
    "html": ("html", "text/html; charset=utf-8"),
    "fhir": ("fhir.json", "application/fhir+json"),
}
#: What those on the page are called before there are any.
NOBODY = Nouns("person", "people", "day", "days")
LETTERS = "ABCDEFGHIJKLMNOP"
#: Days of a person that are shown at most, the latest ones.
MOST_DAYS = 60
#: Cards that are held in memory; the oldest go first.
MOST_CARDS = 2000
#: Days from which on a trend is told.
TREND = 4


@cache
def _environment() -> Environment:
    made = environment("sensecf.web")
    made.globals |= {
        "CAUTION": CAUTION,
        "letters": LETTERS,
        "version": __version__,
        "registers": REGISTER_NAMES,
        "percent": percent,
        "points": points,
    }
    return made


def _write(request: Request, template: str, **context: Any) -> str:
    csrf = request.scope["csrf"]
    visitor = Visitor.of(request)
    called = context["head"].cohort.nouns if "head" in context else NOBODY
    context.setdefault("word", lambda key: say(key, visitor.register, called))
    return _environment().get_template(template).render(csrf=csrf, path=request.url.path, visitor=visitor, **context)


def _cohort(request: Request, desk: Desk) -> Cohort:
    """The cohort in the words of whoever asks."""
    return desk.worded(Visitor.of(request).register)


@dataclass(frozen=True)
class Head:
    """What the head of every page shows; `alarms` and `auc` in words, "" where not known."""

    cohort: Cohort
    cards: Mapping[str, str]

    @property
    def title(self) -> str:
        return clean(self.cohort.title)

    @property
    def notice(self) -> str:
        return clean(self.cohort.notice)

    @property
    def unheld(self) -> str:
        return clean(self.cohort.unheld)

    @property
    def label(self) -> str:
        return self.cohort.said(self.cohort.task.schema.label)

    @property
    def target(self) -> str:
        return self.cohort.said(self.cohort.target)

    @property
    def shown(self) -> str:
        """The class whose probability is shown."""
        return self.cohort.said(self.cohort.watched)


def _head(cohort: Cohort) -> Head:
    return Head(cohort, {})


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
    cohort = _cohort(request, desk)
    strip = charts.calibration(cohort.trust.bins)
    return _write(
        request, "people.html.j2", head=_head(cohort), trust=cohort.trust, strip=strip, **_people(request, desk, choice)
    )


def people_part(request: Request, desk: Desk, choice: people.ListView) -> str:
    """The list alone."""
    return _write(request, "_people.html.j2", head=_head(_cohort(request, desk)), **_people(request, desk, choice))


@dataclass(frozen=True)
class ListRow:
    """A person in the list."""

    number: int
    name: str
    shown: str
    away: int
    days: int
    strip: Markup
    latest: str
    share: float
    there: bool
    values: list[str]
    state: str


def _people(request: Request, desk: Desk, choice: people.ListView) -> Data:
    cohort = _cohort(request, desk)
    found = people.chosen(cohort, choice)
    pages = max(1, -(-len(found) // people.PAGE))
    page = min(choice.page, pages - 1)
    columns = people.shown_columns(cohort)
    states = _states(desk)
    shown = found[page * people.PAGE : (page + 1) * people.PAGE]
    return {
        "rows": [_list_row(cohort, cohort.persons[int(k)], columns, states) for k in shown],
        "choice": choice,
        "page": page,
        "pages": pages,
        "count": len(found),
        "everybody": len(cohort.persons),
        "away": int(cohort.away.sum()),
        "all_days": len(cohort),
        "several": len(cohort) > len(cohort.persons),
        "shares": _shares(desk),
        "filters": people.FILTERS,
        "columns": [(j, cohort.columns[j].label) for j in columns],
        "nouns": cohort.nouns,
    }


def _list_row(cohort: Cohort, person: Person, columns: list[int], states: Mapping[str, str]) -> ListRow:
    days, latest = person.days[-MOST_DAYS:], int(person.days[-1])
    away = cohort.away[days]
    return ListRow(
        person.number,
        person.name,
        " · ".join(value for _, value in person.shown),
        int(cohort.away[person.days].sum()),
        len(person),
        charts.days_strip(cohort.shown(cohort.chance[days]).tolist(), away.tolist()),
        cohort.chance_text(float(cohort.chance[latest])),
        float(cohort.shown(cohort.chance[latest])),
        not bool(cohort.away[latest]),
        [cohort.columns[j].text(cohort.rows[latest, j], unit=True) for j in columns],
        states.get(person.name, ""),
    )


def _shares(desk: Desk) -> list[str]:
    """Who found the answers of the run that is open, and those of the questions asked on the page."""
    asked, questions = f" {desk.cohort.nouns.days} asked about:", " questions:"
    run = clean(desk.cohort.run_shares).replace(" asked:", asked)
    lines = [f"In the run, {run}."] if run else []
    if desk.found:
        counts = [desk.found[name] for name in FINDERS]
        words = clean(shares_in_words(desk.cohort.generator.name, counts)).replace(" asked:", questions)
        lines.append(f"On this page, {words}.")
    return lines


#: What a decision makes of a plan, in a list.
DECIDED = {
    "bookmark": "bookmarked",
    "sign off": "signed off",
    "countersign": "countersigned",
    "reject": "rejected",
    "note": "noted",
}


def _states(desk: Desk) -> dict[str, str]:
    """What was last decided for each person, by name; and who has limits of their own."""
    found = {str(entry["person"]): "limits set" for entry in desk.journal.of_kind("limits")}
    for entry in desk.journal.of_kind("decision"):
        action = str(entry["action"])
        found[str(entry["plan"]["person"])] = DECIDED.get(action, action)
    return found


# --- a person -----------------------------------------------------------------------------


@dataclass(frozen=True)
class DayLink:
    """A day of the strip."""

    position: int
    when: str
    bar: Markup
    said: str
    away: bool
    picked: bool


@dataclass(frozen=True)
class Face:
    """The head of a person's page. `row`: the day that is looked at; `trend` in words, "" with few days."""

    number: int
    name: str
    title: str
    facts: list[tuple[str, str]]
    row: int
    when: str
    picked: bool
    several: bool
    away: int
    count: int
    there: bool
    said: str
    share: float
    predicted: str
    days: list[DayLink]
    hidden: int
    trend: str
    outside: str
    bin: str
    strip: Markup


def face(cohort: Cohort, number: int, day: int | None) -> Face:
    """The head of a person's page, with one day picked or none."""
    person = cohort.persons[number]
    row = int(person.days[-1]) if day is None else day
    shown = person.days[-MOST_DAYS:].tolist()
    share = float(cohort.shown(cohort.chance[row]))
    when = cohort.roster.when[row]
    return Face(
        number,
        person.name,
        person.name if cohort.roster.people else f"Row {person.name}",
        _facts(cohort, person),
        row,
        when,
        day is not None,
        len(person) > 1,
        int(cohort.away[person.days].sum()),
        len(person),
        not bool(cohort.away[row]),
        cohort.chance_text(float(cohort.chance[row])),
        share,
        cohort.said(cohort.task.classes[cohort.predicted[row]]),
        [_day_link(cohort, k, day) for k in shown] if len(person) > 1 else [],
        len(person) - len(shown),
        _trend(cohort, person),
        clean(cohort.outside.get(row, "")),
        bin_text(cohort, cohort.trust.at(share)),
        charts.calibration(cohort.trust.bins, share),
    )


def _day_link(cohort: Cohort, row: int, day: int | None) -> DayLink:
    chance, away = float(cohort.chance[row]), bool(cohort.away[row])
    bar = charts.day_bar(float(cohort.shown(chance)), away)
    return DayLink(row, cohort.roster.when[row], bar, cohort.chance_text(chance), away, row == day)


def _facts(cohort: Cohort, person: Person) -> list[tuple[str, str]]:
    """What is known of a person beside what they do: the columns shown here, and what no plan changes."""
    latest = int(person.days[-1])
    fixed = [j for j, f in enumerate(cohort.task.schema.features) if not f.changeable][:4]
    told = [(cohort.labels[j], cohort.columns[j].text(cohort.rows[latest, j], unit=True)) for j in fixed]
    return [*person.shown, *told]


def _trend(cohort: Cohort, person: Person) -> str:
    """How the second half of a person's days differs from the first, in words."""
    if len(person) < TREND:
        return ""
    shares = cohort.shown(cohort.chance[person.days])
    half = len(shares) // 2
    first, second = float(shares[:half].mean()), float(shares[-half:].mean())
    way = "rising" if second - first > 0.05 else "falling" if first - second > 0.05 else "steady"
    return f"{way}: {percent(first)} on average in the first half, {percent(second)} in the second"


def person_page(request: Request, desk: Desk, number: int, day: int | None, kept: Kept, pool: Pool | None) -> str:
    """One person: days, limits, plans, what-if."""
    cohort = _cohort(request, desk)
    shown = face(cohort, number, day)
    return _write(
        request,
        "person.html.j2",
        head=_head(cohort),
        trust=cohort.trust,
        nouns=cohort.nouns,
        person=shown,
        levers=levers(cohort, shown.row, kept.wish),
        values=values(cohort, shown.row),
        kept=kept,
        mark=kept.wish.mark(cohort),
        wish=kept.wish,
        orders=ORDERS,
        counts=COUNTS,
        margins=MARGINS,
        efforts=EFFORTS,
        sliders=sliders(cohort, shown.row),
        plans=_plans(desk, cohort, number, pool, kept.wish),
        everybody=len(cohort.persons),
    )


# --- plans --------------------------------------------------------------------------------


def plans_part(request: Request, desk: Desk, pool: Pool, wish: Wish) -> str:
    """The plans of a question, ranked, or what stands in their way."""
    cohort = _cohort(request, desk)
    return _write(
        request,
        "_plans.html.j2",
        head=_head(cohort),
        nouns=cohort.nouns,
        plans=_plans(desk, cohort, pool.ask.person, pool, wish),
        orders=ORDERS,
        wish=wish,
    )


def _plans(desk: Desk, cohort: Cohort, number: int, pool: Pool | None, wish: Wish) -> Data:
    own = desk.own_of(number)
    shown = [] if pool is None or pool.there else rank(cohort, pool, wish.order, wish.weights(), wish.count)
    mark = desk.kept(number).wish.mark(cohort)
    cards = []
    for plan in [*shown, *own]:
        of = desk.plan(plan.id)[1] if plan.own or pool is None else pool
        cards.append(_card(desk, cohort, (plan, of), mark))
    asked = pool is not None
    lifted = asked and bool(pool.blocks) and all(block.field for block in pool.blocks) if pool is not None else False
    return {
        "asked": asked,
        "person": number,
        "pool": "" if pool is None else pool.id,
        "there": pool is not None and pool.there,
        "already": pool is not None and not cohort.away[list(pool.ask.days)].any(),
        "held": 0 if pool is None else len(pool.plans),
        "of": 1 if pool is None else len(pool.ask.days),
        "day": "" if pool is None else cohort.roster.when[pool.ask.days[0]],
        "cards": cards,
        "found": len(shown),
        "differences": differences(cohort, cards) if len(cards) > 1 else [],
        "blocks": [] if pool is None else pool.blocks,
        # What the schema or a rule forbids, nobody can lift here; lifting the rest would not help.
        "lifts": " ".join(block.field for block in pool.blocks) if pool is not None and lifted else "",
        "reason": "" if pool is None or pool.plans or pool.blocks else reason_words(pool.reason),
    }


def _card(desk: Desk, cohort: Cohort, made: tuple[Plan, Pool], mark: str) -> Card:
    """A plan as a card. What never changes of it is made once: a re-rank asks no classifier."""
    plan, pool = made
    key = plan.id, cohort.register
    seat = Seat(cohort, mark, desk.journal.standing(plan.id), desk.robust.get(plan.id))
    known = desk.cards.get(key)
    if known is None:
        known = desk.cards[key] = card(seat, plan, pool)
        while len(desk.cards) > MOST_CARDS:
            desk.cards.popitem(last=False)
    return replace(known, fresh=plan.mark == mark, standing=seat.standing, robust=seat.robust)


def plan_page(request: Request, desk: Desk, plan: Plan, pool: Pool) -> str:
    """One plan with its steps, its decisions and its exports."""
    cohort = _cohort(request, desk)
    known = [(code, str(read_language(code).file["name"])) for code in languages()]
    return _write(request, "plan.html.j2", exports=EXPORTS, languages=known, **_alone(desk, cohort, plan, pool))


def _alone(desk: Desk, cohort: Cohort, plan: Plan, pool: Pool) -> Data:
    """What a plan's own page and its file show."""
    mark = desk.kept(plan.person).wish.mark(cohort)
    standing = desk.journal.standing(plan.id)
    one = _card(desk, cohort, (plan, pool), mark)
    shown = face(cohort, plan.person, plan.day.row)
    called = dict(zip(cohort.task.schema.names, cohort.labels, strict=True))
    return {
        "head": _head(cohort),
        "trust": cohort.trust,
        "nouns": cohort.nouns,
        "person": shown,
        "card": one,
        "bin": bin_text(cohort, one.bin),
        "way": _way(cohort, plan, weekly_steps(cohort, plan, pool.query)),
        "real": real_rows(cohort, plan),
        "days": [
            (
                cohort.roster.when[day.row],
                percent(float(cohort.shown(cohort.chance[day.row]))),
                percent(float(cohort.shown(day.probability))),
                day.turned,
                "" if day.turned else day_reason(day.reason, called),
            )
            for day in plan.days
        ],
        "entries": desk.journal.of_plan(plan.id),
        "standing": standing,
        "pool": pool.id,
        "made": datetime.now(UTC).date().isoformat(),
        "classifier": clean(cohort.classifier),
    }


def _way(cohort: Cohort, plan: Plan, way: Way) -> Data:
    base = cohort.rows[plan.day.row]
    changed = np.flatnonzero(cohort.task.codec.changed(base[None], plan.row[None])[0]).tolist()
    return {
        "features": [cohort.columns[j].label for j in changed],
        "units": [_unit_beside(cohort.columns[j].label, cohort.columns[j].feature.unit) for j in changed],
        "now": [cohort.columns[j].text(base[j]) for j in changed],
        "said": percent(float(cohort.shown(cohort.chance[plan.day.row]))),
        "steps": [
            {
                "week": step.week,
                "values": [cohort.columns[j].text(step.row[j]) for j in changed],
                "said": percent(float(cohort.shown(step.probability))),
                "reached": step.reached,
                "problems": step.problems,
            }
            for step in way.steps
        ],
        "assumed": way.assumed,
        "problem": way.problem,
    }


def _unit_beside(label: str, unit: str) -> str:
    """The unit that stands beside a label, "" where the label says it: steps are counted in steps."""
    return "" if unit.casefold() == label.casefold() else clean(unit)


def robust_part(request: Request, desk: Desk, plan: Plan) -> str:
    """What became of the test of a plan; of one for several days, the test is of the day that stands for it."""
    when = desk.cohort.roster.when[plan.day.row] if len(plan.days) > 1 else ""
    return _write(request, "_robust.html.j2", robust=desk.robust[plan.id], nouns=desk.cohort.nouns, when=when)


def export_text(request: Request, desk: Desk, plan: Plan, pool: Pool, kind: str) -> str:
    """A plan as the text of a file."""
    written = record(desk.cohort, plan)
    weeks = weeks_of(desk.cohort, plan)
    if kind == "csv":
        return to_csv(written)
    if kind == "json":
        return to_json(written, weeks)
    if kind == "fhir":
        return to_fhir(written, weeks, datetime.now(UTC).date().isoformat())
    style = (Path(__file__).parent / "static" / "page.css").read_text(encoding="utf-8")
    cohort = _cohort(request, desk)
    return _write(request, "alone.html.j2", style=Markup(style), **_alone(desk, cohort, plan, pool))


# --- the cohort ---------------------------------------------------------------------------


def groups_page(request: Request, desk: Desk, by: int | None) -> str:
    """Which changes are asked of whom."""
    cohort, found = _cohort(request, desk), desk.survey
    ways = ways_to_group(cohort)
    column = by if by in ways else (ways[0] if ways else None)
    context: Data = {
        "head": _head(cohort),
        "nouns": cohort.nouns,
        "ways": [(j, cohort.columns[j].label) for j in ways],
        "by": column,
        "asked": None,
        "away": int(cohort.away.sum()),
        "findings": cohort.findings,
    }
    if found is not None and len(found.rows):
        groups = by_group(cohort, found, column)
        total = found.changed[found.answered].mean(axis=0) if found.answered.any() else np.zeros(len(cohort.columns))
        order = np.argsort(-total, kind="stable")
        shown = [int(j) for j in order[:MAX_FEATURES] if total[j] > 0]
        context |= {
            "asked": len(found.rows),
            "asked_people": len(np.unique(cohort.roster.person_of[found.rows])),
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
    """The journal, newest first: decisions, limits and plans put together by hand."""
    cohort = _cohort(request, desk)
    numbers = {person.name: person.number for person in cohort.persons}
    entries = [_entry(cohort, entry, numbers) for entry in reversed(desk.journal.entries)]
    return _write(
        request,
        "kept.html.j2",
        head=_head(cohort),
        nouns=cohort.nouns,
        entries=[entry for entry in entries if entry is not None],
        file=desk.journal.path.name,
    )


@dataclass(frozen=True)
class KeptEntry:
    """A line of the journal as the page shows it."""

    who: str
    time: str
    action: str
    person: str
    number: int | None
    plan: str
    sentence: list[Any]
    note: str


def _entry(cohort: Cohort, entry: Data, numbers: Mapping[str, int]) -> KeptEntry | None:
    """A line of the journal; None for plans that were only offered, which nobody decided on."""
    who, time, kind = str(entry["who"]), str(entry["time"]), str(entry["kind"])
    if kind == "decision" or (kind == "plan" and entry["origin"] == "own"):
        plan = entry["plan"]
        person = str(plan["person"])
        action = entry["action"] if kind == "decision" else "own plan kept"
        sentence = plan_sentence(plan)
        return KeptEntry(
            who, time, action, person, numbers.get(person), str(plan["plan"]), sentence, str(entry.get("note", ""))
        )
    if kind == "limits":
        person = str(entry["person"])
        said = _limits_words(cohort, entry)
        return KeptEntry(who, time, "limits set", person, numbers.get(person), "", said, str(entry.get("note", "")))
    return None


def _limits_words(cohort: Cohort, entry: Data) -> list[Any]:
    """Limits in a sentence."""
    columns, limits = cohort.task.schema.columns, entry["limits"]
    results = {cohort.task.schema.names[j] for j in cohort.locked_first}

    def name(feature: str) -> str:
        return cohort.labels[columns[feature]] if feature in columns else clean(feature)

    locked = [name(f) for f in limits["lock"] if f not in results]
    moving = [name(f) for f in results if f not in limits["lock"]]
    parts = [f"keeps {', '.join(locked)}"] if locked else []
    parts += [f"lets {', '.join(moving)} move"] if moving else []
    parts += [f"{name(f)} {_ends(ends)}" for f, ends in limits["ranges"].items()]
    parts += [f"{name(f)} only {'up' if way == 'increase' else 'down'}" for f, way in limits["directions"].items()]
    parts += [f"{name(f)} is {how}" for f, how in entry["effort"].items()]
    parts += [f"at most {limits['max_changes']} changes"] if limits["max_changes"] else []
    text = "; ".join(parts) or "no limits beyond the schema’s"
    return [(text[:1].upper() + text[1:] + ".", "")]


def _ends(ends: list[float | None]) -> str:
    low, high = ends
    said = [f"at least {low:g}"] if low is not None else []
    return " and ".join([*said, f"at most {high:g}"] if high is not None else said)
