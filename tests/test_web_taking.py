"""A sheet and FHIR from a plan's page."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the page is not installed: extra 'web'")

from sensecf.web.app import make_app
from sensecf.web.controls import first_wish
from webpage import asked as asked_of
from webpage import away, client, desk_of, small_cohort


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str]:
    """A client and the address of a plan of somebody."""
    cohort = small_cohort()
    desk = desk_of(cohort, tmp_path_factory.mktemp("log"))
    for person in away(cohort)[:20]:
        pool = asyncio.run(desk.ask(asked_of(cohort, person), first_wish(cohort), "Ada", lambda share, words: None))
        if pool.plans:
            return client(make_app(desk)), f"/plan/{pool.plans[0].id}"
    raise AssertionError("nobody has a plan")


def test_the_sheet_comes_in_every_language_as_a_file(asked: tuple[Any, str]) -> None:
    page, plan = asked
    for code, title in (("en", "My plan"), ("de", "Mein Plan"), ("es", "Mi plan")):
        found = page.get(f"{plan}/sheet?language={code}")
        assert found.status_code == 200
        assert f"<h1>{title}</h1>" in found.text
        assert found.headers["content-disposition"].startswith("attachment")
    assert page.get(f"{plan}/sheet?language=../../etc/passwd").status_code == 422
    assert page.get("/plan/none/sheet").status_code == 404


def test_fhir_asks_for_the_namespace(asked: tuple[Any, str], tmp_path: Path) -> None:
    page, plan = asked
    refused = page.get(f"{plan}/fhir")
    assert refused.status_code == 422
    assert "namespace of your patient ids" in refused.text
    found = json.loads(page.get(f"{plan}/fhir?system=https://hospital.example/ids").text)
    [patient] = [e["resource"] for e in found["entry"] if e["resource"]["resourceType"] == "Patient"]
    assert patient["identifier"][0]["system"] == "https://hospital.example/ids"
