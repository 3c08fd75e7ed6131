"""The Programme page: what a few programmes reach of the run that is open, and the way to each person and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sensecf.core.errors import InputError
from sensecf.pipeline.programme.find import find
from sensecf.pipeline.weeks import MISSED
from sensecf.runs.programme.cohort import Opened, judges, opened
from sensecf.runs.programme.report import card, figure, labelled, people_rows, reasons, set_rows
from sensecf.runs.programme.run import claim, headline, how
from sensecf.runs.programme.tables import tables
from sensecf.runs.report.page import inline
from sensecf.web import rather
from sensecf.web.desk import Desk, Say
from sensecf.web.views import _head as head_of
from sensecf.web.views import _write as written
from sensecf.web.words import clean
from sensecf.web.written import Data


class Tools(NamedTuple):
    """What the addresses of the page share."""

    desk: Callable[[Request], Desk]
    person: Callable[[Request], int]
    form: Callable[[Request], Awaitable[FormData]]
    page: Callable[..., Awaitable[Response]]
    said: Callable[[Request, Callable[[Say, Callable[[Data], None]], Awaitable[Data]]], Awaitable[Response]]


@dataclass
class Shown:
    """What was found, as the page shows it; `asking`: conversations by person, see `rather`."""

    found: Mapping[str, Any] | None = None
    asking: rather.Talks = field(default_factory=rather.Talks)


def routes(tools: Tools) -> list[Route]:
    """The addresses of programmes and of the questions about taste."""
    shown = Shown()

    async def programme(request: Request) -> Response:
        return await tools.page(request, programme_page, tools.desk(request), shown.found)

    async def find_them(request: Request) -> Response:
        desk = tools.desk(request)
        await tools.form(request)

        async def work(say: Say, show: Callable[[Data], None]) -> Data:
            from anyio import to_thread

            shown.found = await to_thread.run_sync(found_for, desk, say)
            return {"address": "/programme"}

        return await tools.said(request, work)

    async def person(request: Request) -> Response:
        number: int = request.path_params["number"]
        if shown.found is None:
            return RedirectResponse("/programme", 303)
        if number >= len(shown.found["people"]):
            raise HTTPException(404, "There is no such person in these programmes.")
        return await tools.page(request, person_page, tools.desk(request), shown.found, number)

    return [
        Route("/programme", programme, methods=["GET"]),
        Route("/programme/find", find_them, methods=["POST"]),
        Route("/programme/person/{number:int}", person, methods=["GET"]),
        *rather.routes(tools, shown.asking),
    ]


def found_for(desk: Desk, say: Say) -> Mapping[str, Any]:
    """The programmes of the run that is open. Raises `InputError` where the page was opened with no run."""
    folder = desk.start.source.path
    if folder is None or not Path(folder).is_dir():
        raise InputError("Programmes are made of a run: open the page with the folder of sensecf explain.")
    say(0.0, "Reading the run")
    run = opened(Path(folder), trust=desk.start.source.trust)
    who = judges(run, lambda share: say(0.1 + 0.5 * share, "Fitting the classifiers that count"))
    say(0.7, "Trying programmes")
    found = find(run.cohort, who, 3, seed=run.seed)
    if not found.sets:
        raise InputError("No programme turns any of those that pick: plans of their own are what there is.")
    made = tables(run, found, {}, None)
    places = _places(desk, run)
    people = labelled(run, people_rows(made))
    for row in people:
        for day in row["rows"]:
            place = places.get(day["query"])
            day["position"] = place
            day["number"] = None if place is None else desk.cohort.person_of(place).number
    return {
        "headline": headline(run, found, made),
        "how": f"{how(run, found, len(who.count))} {claim(made)}",
        "cards": [
            {**one, "asks": rather.in_words(desk.cohort, one["asks"])}
            for one in (card(found, made, k) for k in range(len(found.programmes)))
        ],
        "sets": set_rows(made),
        "reasons": reasons(made),
        "people": people,
        "picture": inline(figure(made, run), "reach"),
        "missed": MISSED,
    }


def _places(desk: Desk, run: Opened) -> Mapping[str, int]:
    """Where each day of the run stands among the rows of the page, by the run's name of the day."""
    known = {np.nan_to_num(row, nan=-9e9).tobytes(): k for k, row in enumerate(desk.cohort.rows)}
    rows = np.nan_to_num(run.cohort.query.rows, nan=-9e9)
    found = {str(name): known.get(row.tobytes()) for name, row in zip(run.index, rows, strict=True)}
    return {name: k for name, k in found.items() if k is not None}


def programme_page(request: Request, desk: Desk, found: Mapping[str, Any] | None) -> str:
    """All programmes, or the button that finds them."""
    ready = desk.start.source.path is not None and Path(desk.start.source.path).is_dir()
    return written(
        request, "programme.html.j2", head=head_of(desk.cohort), nouns=desk.cohort.nouns, found=found, ready=ready
    )


def person_page(request: Request, desk: Desk, found: Mapping[str, Any], number: int) -> str:
    """One person's days under the programme that they are given."""
    row = found["people"][number]
    cards = {str(one["number"]): one for one in found["cards"]}
    return written(
        request,
        "programme_person.html.j2",
        head=head_of(desk.cohort),
        nouns=desk.cohort.nouns,
        person=row,
        name=clean(row["name"]),
        given=cards.get(row["programme"]),
    )
