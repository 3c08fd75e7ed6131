"""The page's addresses. People and plans are named by position or by a random id, never by a value of theirs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sensecf.core.errors import InputError
from sensecf.data.infer.terms import REGISTERS
from sensecf.runs.record.journal import MAX_NAME
from sensecf.web import programmes, taking, views
from sensecf.web.controls import read_wish
from sensecf.web.desk import Desk, NotReadyError, Say, events
from sensecf.web.guard import Guard, check_form
from sensecf.web.own import Own
from sensecf.web.people import named, read_choice, read_upload
from sensecf.web.plans import Pool
from sensecf.web.visitor import Visitor
from sensecf.web.whatif import what_if
from sensecf.web.written import Data

HERE = Path(__file__).parent
#: Largest request, in bytes: a table of people, or a form.
MAX_BODY = 8 * 2**20
#: Fields of a form at most: a control or two per feature of a wide table.
MAX_FIELDS = 20_000
#: What a stream of progress is called.
STREAM = "application/x-ndjson"


def make_app(desk: Desk, host: str = "127.0.0.1", token: str | None = None) -> Guard:
    """The page over a desk, behind its guard."""
    routes = [
        Route("/", people, methods=["GET", "POST"]),
        Route("/people/add", add_people, methods=["POST"]),
        Route("/enter", enter, methods=["GET", "POST"]),
        Route("/start", start),
        Route("/you", you, methods=["POST"]),
        Route("/person/{person:int}", person),
        Route("/person/{person:int}/ask", ask, methods=["POST"]),
        Route("/person/{person:int}/limits", keep_limits, methods=["POST"]),
        Route("/person/{person:int}/what-if", try_values, methods=["POST"]),
        Route("/person/{person:int}/own", keep_own, methods=["POST"]),
        Route("/pool/{pool}/rank", rank, methods=["POST"]),
        Route("/plan/{plan}", plan),
        Route("/plan/{plan}/robust", robust, methods=["POST"]),
        Route("/plan/{plan}/decide", decide, methods=["POST"]),
        Route("/plan/{plan}/export/{kind}", export),
        *taking.ROUTES,
        Route("/groups", groups, methods=["GET"]),
        Route("/groups/ask", ask_groups, methods=["POST"]),
        Route("/kept", kept),
        *programmes.routes(programmes.Tools(_desk, _person, _form, _page, _said)),
        Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
    ]
    handlers: Mapping[Any, Any] = {
        HTTPException: _http_error,
        InputError: _input_error,
        PermissionError: _old_form,
        NotReadyError: _not_ready,
        Exception: _our_error,
    }
    body_limit = Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY)
    app = Starlette(routes=routes, exception_handlers=handlers, middleware=[body_limit])
    app.state.desk = desk
    return Guard(app, host, token)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _form(request: Request, files: int = 0) -> FormData:
    """The form of a request, checked against its page. Raises `PermissionError` for a form of another page."""
    form = await request.form(max_files=files, max_fields=MAX_FIELDS, max_part_size=MAX_BODY)
    check_form(request, form.get("csrf"))
    return form


def _person(request: Request) -> int:
    position: int = request.path_params["person"]
    if position >= len(_desk(request).cohort.persons):
        raise HTTPException(404, "There is no such person on this page.")
    return position


def _day(request: Request, person: int, text: Any) -> int | None:
    """The row of a person that is picked, None for none. Raises `HTTPException` for one that is not theirs."""
    given = str(text or "")
    if not given:
        return None
    days = _desk(request).cohort.persons[person].days
    if not given.isdecimal() or len(given) > 9 or int(given) not in days:
        raise HTTPException(404, "This person has no such day on this page.")
    return int(given)


async def _page(request: Request, show: Callable[..., str], *arguments: Any, status: int = 200) -> Response:
    """A page written in a thread."""
    text = await to_thread.run_sync(lambda: show(request, *arguments))
    return Response(text, status, media_type="text/html")


def _wants(request: Request, kind: str) -> bool:
    return kind in request.headers.get("accept", "")


async def _said(request: Request, work: Callable[[Say, Callable[[Data], None]], Awaitable[Data]]) -> Response:
    """A piece of work: its progress as it goes where the page asks for it, else a redirect to its result."""
    if not _wants(request, STREAM):
        result = await work(lambda share, words: None, lambda part: None)
        return RedirectResponse(result["address"], 303)

    async def lines() -> AsyncIterator[bytes]:
        async for event in events(work):
            yield json.dumps(event, ensure_ascii=False).encode() + b"\n"

    return StreamingResponse(lines(), media_type=STREAM)


# --- addresses ----------------------------------------------------------------------------


async def people(request: Request) -> Response:
    """The list of people; a POST carries the search, the filter, the order and the page number."""
    desk = _desk(request)
    if desk.start.cohort is None:
        return await _page(request, views.start_page, desk, status=200 if request.method == "GET" else 409)
    form: Mapping[str, Any] = await _form(request) if request.method == "POST" else {}
    choice = read_choice(form)
    if request.headers.get("x-part") == "people":
        return await _page(request, views.people_part, desk, choice)
    if form.get("find"):
        found = await to_thread.run_sync(named, desk.cohort, choice.search)
        if found is not None:
            return RedirectResponse(f"/person/{found.number}", 303)
    return await _page(request, views.people_page, desk, choice)


async def add_people(request: Request) -> Response:
    """Rows of an uploaded table."""
    form = await _form(request, files=1)
    upload = form.get("table")
    if not isinstance(upload, UploadFile) or not upload.filename:
        raise InputError("Choose a CSV file with the columns of the table.")
    try:
        content = await upload.read()
    finally:
        await form.close()
    frame = await to_thread.run_sync(read_upload, content, _desk(request).cohort.task)
    count = await to_thread.run_sync(_desk(request).add, frame)
    cohort = _desk(request).cohort
    last = int(cohort.roster.person_of[len(cohort) - 1])
    return RedirectResponse(f"/person/{last}" if count == 1 else "/", 303)


async def enter(request: Request) -> Response:
    """The door: whoever knows the token gets in."""
    if request.method == "GET":
        return await _page(request, views.enter_page, "")
    form = await _form(request)
    cookie = request.scope["guard"].enter(str(form.get("token", "")))
    if cookie is None:
        return await _page(request, views.enter_page, "This is not the token.", status=403)
    response = RedirectResponse("/", 303)
    response.headers.append("set-cookie", cookie)
    return response


async def start(request: Request) -> Response:
    """How far the start is, for the page that waits for it."""
    found = _desk(request).start
    phases = [{"phase": name, "share": found.shares.get(name, 0.0)} for name in found.shares]
    return JSONResponse({"phases": phases, "ready": found.cohort is not None, "problem": found.problem})


async def you(request: Request) -> Response:
    """Who looks at the page, and in whose words it speaks; back to where they were."""
    form = await _form(request)
    words, known = str(form.get("words", "")), Visitor.of(request)
    name = " ".join(str(form.get("name", known.name)).split())[:MAX_NAME]
    register = next((r for r in REGISTERS if r == words), known.register)
    back = str(form.get("back", "/"))
    local = back.startswith("/") and not back.startswith(("//", "/\\"))
    response = RedirectResponse(back if local else "/", 303)
    Visitor(name, register).remember(response)
    return response


async def person(request: Request) -> Response:
    """One person, with `?day=` one of their days; with `?plans=` the plans of an earlier question, else the last."""
    desk, number = _desk(request), _person(request)
    day = _day(request, number, request.query_params.get("day"))
    kept = await to_thread.run_sync(desk.kept, number)
    asked = desk.pools.get(request.query_params.get("plans", ""))
    pool: Pool | None
    if asked is not None and asked[0].ask.person == number:
        pool, wish = asked
        kept = replace(kept, wish=replace(kept.wish, order=wish.order, count=wish.count))
    else:
        found = await to_thread.run_sync(desk.pool_of, number)
        pool = found if found is not None and (day is None or found.ask.days == (day,)) else None
    return await _page(request, views.person_page, desk, number, day, kept, pool)


async def ask(request: Request) -> Response:
    """Plans for a person, or one of their days, under the limits of the form, which are kept."""
    desk, number = _desk(request), _person(request)
    form = await _form(request)
    day = _day(request, number, form.get("day"))
    wish = read_wish(desk.cohort, form)
    for control in str(form.get("lift", "")).split():
        wish = wish.lift(control)
    asked = wish.ask(desk.cohort, number, day)

    async def work(say: Say, show: Callable[[Data], None]) -> Data:
        async def early(pool: Pool) -> None:
            show({"html": await to_thread.run_sync(views.plans_part, request, desk, pool, wish)})

        pool = await desk.ask(asked, wish, Visitor.of(request).name, say, early)
        html = await to_thread.run_sync(views.plans_part, request, desk, pool, wish)
        where = "" if day is None else f"day={day}&"
        return {"html": html, "address": f"/person/{number}?{where}plans={pool.id}#plans", **_limits_told(desk, number)}

    return await _said(request, work)


async def keep_limits(request: Request) -> Response:
    """The limits of a form, kept for the person."""
    desk, number = _desk(request), _person(request)
    wish = read_wish(desk.cohort, await _form(request))
    await to_thread.run_sync(desk.keep, number, wish, Visitor.of(request).name)
    return JSONResponse(_limits_told(desk, number))


def _limits_told(desk: Desk, number: int) -> Data:
    """What the page says of the limits that are kept."""
    kept = desk.kept(number)
    return {"mark": kept.wish.mark(desk.cohort), "who": kept.who, "time": kept.time[:16].replace("T", " ")}


async def keep_own(request: Request) -> Response:
    """Keep the values of the what-if as a plan of one's own."""
    desk, number = _desk(request), _person(request)
    form = await _form(request)
    row = _day(request, number, form.get("row"))
    own = Own(number, _latest(desk, number) if row is None else row, _values(desk, form))
    plan = await to_thread.run_sync(desk.keep_own, own, Visitor.of(request).name)
    return JSONResponse({"address": f"/plan/{plan.id}", "id": plan.id})


def _latest(desk: Desk, number: int) -> int:
    return int(desk.cohort.persons[number].days[-1])


def _values(desk: Desk, form: FormData) -> dict[int, float]:
    """The values of a what-if, encoded, by column. Raises `InputError` for what is no number."""
    found: dict[int, float] = {}
    for name, text in form.multi_items():
        if name.startswith("value-") and name[6:].isdecimal() and int(name[6:]) < len(desk.cohort.columns):
            try:
                found[int(name[6:])] = float(str(text))
            except ValueError:
                raise InputError(f"{desk.cohort.labels[int(name[6:])]}: this is not a number") from None
    return found


async def rank(request: Request) -> Response:
    """The plans of an earlier question in another order, by other efforts: nobody is asked again."""
    desk = _desk(request)
    asked = desk.pools.get(request.path_params["pool"])
    if asked is None:
        raise HTTPException(404, "These plans are no longer held: ask again.")
    pool, _ = asked
    wish = read_wish(desk.cohort, await _form(request))
    desk.pools[pool.id] = (pool, wish)
    if request.headers.get("x-part") == "plans":
        return await _page(request, views.plans_part, desk, pool, wish)
    day = "" if len(pool.ask.days) > 1 else f"day={pool.ask.days[0]}&"
    return RedirectResponse(f"/person/{pool.ask.person}?{day}plans={pool.id}#plans", 303)


async def try_values(request: Request) -> Response:
    """The verdict on a row of a person with some values replaced."""
    desk, number = _desk(request), _person(request)
    form = await _form(request)
    row = _day(request, number, form.get("row"))
    row = _latest(desk, number) if row is None else row
    cohort = desk.worded(Visitor.of(request).register)
    return JSONResponse(await to_thread.run_sync(what_if, cohort, row, _values(desk, form)))


def _found(request: Request) -> Any:
    try:
        return _desk(request).plan(request.path_params["plan"])
    except KeyError:
        raise HTTPException(404, "This plan is no longer held: ask again, or look under Kept.") from None


async def plan(request: Request) -> Response:
    """One plan: its steps, its decisions, its exports."""
    return await _page(request, views.plan_page, _desk(request), *await to_thread.run_sync(_found, request))


async def robust(request: Request) -> Response:
    """Whether a plan holds for classifiers fitted again."""
    desk = _desk(request)
    await _form(request)
    found, _ = await to_thread.run_sync(_found, request)

    async def work(say: Say, show: Callable[[Data], None]) -> Data:
        await desk.test(found, say)
        html = await to_thread.run_sync(views.robust_part, request, desk, found)
        return {"html": html, "address": f"/plan/{found.id}#robust"}

    return await _said(request, work)


async def decide(request: Request) -> Response:
    """A signature, a remark or a status: one more line in the log."""
    desk = _desk(request)
    form = await _form(request)
    found, pool = await to_thread.run_sync(_found, request)
    who, action, note = (str(form.get(name, "")) for name in ("who", "action", "note"))
    await to_thread.run_sync(desk.decide, found, pool, who, action, note)
    response = RedirectResponse(f"/plan/{found.id}#decisions", 303)
    replace(Visitor.of(request), name=" ".join(who.split())[:MAX_NAME]).remember(response)
    return response


async def export(request: Request) -> Response:
    """A plan as a file."""
    kind = request.path_params["kind"]
    if kind not in views.EXPORTS:
        raise HTTPException(404, "There is no such format.")
    found, pool = await to_thread.run_sync(_found, request)
    text = await to_thread.run_sync(views.export_text, request, _desk(request), found, pool, kind)
    suffix, media = views.EXPORTS[kind]
    headers = {"content-disposition": f'attachment; filename="plan-{found.id}.{suffix}"'}
    return Response(text, media_type=media, headers=headers)


async def groups(request: Request) -> Response:
    """What is asked of whom, by group."""
    by = request.query_params.get("by", "")
    return await _page(request, views.groups_page, _desk(request), int(by) if by.isdecimal() else None)


async def ask_groups(request: Request) -> Response:
    """Ask for everybody, once."""
    desk = _desk(request)
    await _form(request)

    async def work(say: Say, show: Callable[[Data], None]) -> Data:
        await desk.ask_everybody(say)
        return {"address": "/groups"}

    return await _said(request, work)


async def kept(request: Request) -> Response:
    """The journal."""
    return await _page(request, views.kept_page, _desk(request))


# --- what goes wrong ----------------------------------------------------------------------


async def _problem(request: Request, status: int, text: str) -> Response:
    """A problem in the form the caller reads: one JSON object, a line of a stream, or a page."""
    if _wants(request, "text/html") and request.headers.get("x-part") is None:
        return await _page(request, views.problem_page, text, status=status)
    return JSONResponse({"problem": text}, status)


async def _input_error(request: Request, error: Exception) -> Response:
    return await _problem(request, 422, str(error))


async def _old_form(request: Request, error: Exception) -> Response:
    return await _problem(request, 403, "The form is too old or comes from another page: open the page again.")


async def _not_ready(request: Request, error: Exception) -> Response:
    if request.method == "GET" and _wants(request, "text/html"):
        return RedirectResponse("/", 303)
    return await _problem(request, 409, "The page is still getting ready.")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = error.detail if error.status_code != 404 or error.detail != "Not Found" else "There is no such page."
    return await _problem(request, error.status_code, text)


async def _our_error(request: Request, error: Exception) -> Response:
    return await _problem(request, 500, "Something went wrong on our side. Nothing was lost; try again.")
