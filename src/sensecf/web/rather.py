""" "Which of these would you rather do?": five questions to a person on the page, by radio buttons and nothing else."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.pipeline.ask import QUESTIONS, Ask, Taste, cohort_taste
from sensecf.pipeline.explain import explain
from sensecf.pipeline.programme.asks import candidates, carried
from sensecf.pipeline.programme.reach import reach, share_of
from sensecf.runs.programme.tables import done
from sensecf.runs.report.names import in_labels
from sensecf.web.cohort import Cohort
from sensecf.web.desk import Desk
from sensecf.web.views import _head as head_of
from sensecf.web.views import _write as written
from sensecf.web.words import clean

if TYPE_CHECKING:
    from sensecf.web.programmes import Tools

#: Conversations that are held, plans that are asked for first, and plans shown at the end.
MOST, OWN, FIRST = 200, 6, 4


@dataclass
class Talk:
    """One conversation: the plans (m, d) it is about, and what was asked and answered."""

    ask: Ask
    rows: Floats
    base: Floats
    shown: tuple[int, ...] | None = None


@dataclass
class Talks:
    """Conversations by person; what those that ended say is the prior of the next one."""

    by_person: OrderedDict[int, Talk] = field(default_factory=OrderedDict)

    def prior(self, levers: list[str]) -> Taste | None:
        """The taste of the cohort over the same levers; None where nobody has ended a conversation about them."""
        ended = [
            talk.ask.taste()
            for talk in self.by_person.values()
            if len(talk.ask.answers) == QUESTIONS and list(talk.ask.levers) == levers
        ]
        return cohort_taste(ended) if ended else None


def routes(tools: Tools, talks: Talks) -> list[Route]:
    """The addresses of the questions."""

    async def show(request: Request) -> Response:
        desk, person = tools.desk(request), tools.person(request)
        talk = await to_thread.run_sync(_talk, desk, talks, person)
        return await tools.page(request, rather_page, desk, person, talk)

    async def take(request: Request) -> Response:
        desk, person = tools.desk(request), tools.person(request)
        form = await tools.form(request)
        talk = await to_thread.run_sync(_talk, desk, talks, person)
        answered(talk, str(form.get("do", "answer")), str(form.get("choice", "")))
        return RedirectResponse(f"/person/{person}/rather", 303)

    return [
        Route("/person/{person:int}/rather", show, methods=["GET"]),
        Route("/person/{person:int}/rather", take, methods=["POST"]),
    ]


def answered(talk: Talk, what: str, choice: str) -> None:
    """Take an answer ("" for none of these), or take the last one back. Raises `InputError` for what was not shown."""
    if what == "undo":
        talk.ask.undo()
    elif talk.shown is not None:
        if choice not in ("none", *map(str, talk.shown)):
            raise InputError("Choose one of the plans, or none of these.")
        talk.ask.answer(talk.shown, None if choice == "none" else int(choice))
    talk.shown = talk.ask.question()


def _talk(desk: Desk, talks: Talks, person: int) -> Talk:
    """The conversation with a person, begun where there is none. Raises `InputError` where there are too few plans."""
    if person not in talks.by_person:
        rows, query = pool_of(desk.cohort, person)
        ask = Ask.of(desk.cohort.task, query, rows)
        ask.prior = talks.prior(list(ask.levers))
        talk = Talk(ask, rows, query.rows[0])
        talk.shown = ask.question()
        if talk.shown is None:
            raise InputError("There are too few plans that differ to ask about: look at those under Plans.")
        talks.by_person[person] = talk
        while len(talks.by_person) > MOST:
            talks.by_person.popitem(last=False)
    return talks.by_person[person]


def pool_of(cohort: Cohort, person: int) -> tuple[Floats, Query]:
    """Verified plans for the last day to change of one person, each judged as they are.

    They are those of `explain` and what lies around them. Raises `InputError` where there is no plan.
    """
    task, held = cohort.task, cohort.held()
    days = cohort.persons[person].days
    row = int(days[cohort.away[days]][-1]) if cohort.away[days].any() else int(days[-1])
    limits = Limits(hold=cohort.hold if held is not None else 0.0)
    frame = task.codec.decode(cohort.rows[[row]])
    found = explain(
        task, cohort.generator, frame, cohort.target, OWN, limits=limits, fallback=cohort.fallback, seed=cohort.seed
    )
    own = found.answers
    if not len(own) or not (own["n_changed"] > 0).any():
        raise InputError("There is no plan for this person to ask about.")
    query = Query.of_rows(task, cohort.rows[[row]], cohort.target, replace(limits.resolved(task.schema)))
    rows, owner = task.codec.encode(own), np.zeros(len(own), dtype=np.intp)
    tried = candidates(task, query, owner, rows, found.acts)
    half = 0 if held is None else held.raising
    jurors = [] if held is None else held.jury.judges
    seen = reach(task, query, tried, jurors[:half], limits.hold)
    around = carried(task, query, tried)[0][seen.turned[0], 0]
    if held is not None and len(around):
        share = share_of(jurors[half:], around, np.repeat(query.target, len(around)))
        around = around[share >= limits.hold]
    pool = np.concatenate([rows, around])
    _, first = np.unique(np.where(np.isnan(pool), -np.inf, pool), axis=0, return_index=True)
    return pool[np.sort(first)], query


def in_words(cohort: Cohort, lines: Sequence[str]) -> list[str]:
    """Lines that begin with the name of a feature, with what the page calls it."""
    called = dict(zip(cohort.task.schema.names, (column.label for column in cohort.columns), strict=True))

    return [in_labels(line, called) for line in lines]


def rather_page(request: Request, desk: Desk, person: int, talk: Talk) -> str:
    """The next question, or what was learned and the plans in their new order."""
    cohort, ask = desk.cohort, talk.ask

    def said(k: int) -> Mapping[str, Any]:
        row = talk.rows[k]
        edited = cohort.task.codec.changed(talk.base, row)
        levers = [cohort.task.schema.columns[name] for name in ask.levers]
        acts = np.zeros(len(row), dtype=bool)
        acts[levers] = edited[levers]
        told = done(cohort.task, talk.base, row, acts)
        return {"value": k, "lines": [clean(text) for text in in_words(cohort, told.split("; "))]}

    return written(
        request,
        "rather.html.j2",
        head=head_of(cohort),
        person=person,
        name=cohort.persons[person].name,
        number=len(ask.answers) + 1,
        questions=QUESTIONS,
        shown=[said(k) for k in talk.shown or ()],
        answers=len(ask.answers),
        learned=[clean(text) for text in ask.words()],
        best=[said(int(k)) for k in ask.rank()[:FIRST]] if ask.answers else [],
        pool=len(talk.rows),
        hold=cohort.hold if cohort.held() is not None else 0.0,
    )
