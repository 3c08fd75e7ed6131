"""What is taken along from a plan's page: the printed sheet in a language, and FHIR with a namespace of patient ids."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sensecf.core.errors import InputError
from sensecf.runs.record import redcap, sheet
from sensecf.runs.record.fhir import bundle
from sensecf.runs.record.languages import languages, read_language
from sensecf.runs.record.plans import KeptPlan, of_record
from sensecf.web.desk import Desk
from sensecf.web.written import record


def _kept(request: Request) -> KeptPlan:
    """The plan of the address, as it stands in the journal."""
    desk: Desk = request.app.state.desk
    try:
        plan, _ = desk.plan(request.path_params["plan"])
    except KeyError:
        raise HTTPException(404, "This plan is no longer held: ask again, or look under Kept.") from None
    decisions = desk.journal.of_plan(plan.id)
    return of_record(record(desk.cohort, plan), decisions[-1] if decisions else None, desk.journal.standing(plan.id))


def _sheet(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    code = request.query_params.get("language", "en")
    if code not in languages():  # an address names no file
        raise InputError(f"language {code!r} is unknown; use {', '.join(languages())}")
    plan = _kept(request)
    facts = sheet.Sheet(datetime.now(UTC).date(), desk.journal.seal, "", sheet.paces(desk.cohort.task))
    return _file(sheet.render(plan, read_language(code), facts), sheet.file_name(plan.person, code), "text/html")


def _fhir(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    plan = _kept(request)
    weeks = {plan.id: sheet.weeks_of(plan, sheet.paces(desk.cohort.task))}
    today = datetime.now(UTC).date().isoformat()
    text = bundle([plan], request.query_params.get("system", ""), today, weeks)
    return _file(text, f"plan-{plan.id}.fhir.json", "application/fhir+json")


def _redcap(request: Request) -> Response:
    plan = _kept(request)
    return _file(redcap.data([plan]), f"redcap-{plan.id}.csv", "text/csv")


def _file(text: str, name: str, media: str) -> Response:
    """A download: the sheet brings its own style, which the page's policy would not let in."""
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(text, media_type=media, headers=headers)


async def plan_sheet(request: Request) -> Response:
    """The plan sheet in the language of `?language=`."""
    return await to_thread.run_sync(_sheet, request)


async def plan_fhir(request: Request) -> Response:
    """The plan as FHIR, under the namespace of `?system=`."""
    return await to_thread.run_sync(_fhir, request)


async def plan_redcap(request: Request) -> Response:
    """The plan as rows that REDCap imports."""
    return await to_thread.run_sync(_redcap, request)


async def redcap_dictionary(request: Request) -> Response:
    """The data dictionary that makes the instruments of these rows."""
    return _file(redcap.dictionary(), "redcap_dictionary.csv", "text/csv")


ROUTES = [
    Route("/plan/{plan}/sheet", plan_sheet),
    Route("/plan/{plan}/fhir", plan_fhir),
    Route("/plan/{plan}/redcap", plan_redcap),
    Route("/redcap/dictionary", redcap_dictionary),
]
