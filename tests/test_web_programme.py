"""Programmes and the five questions in a real browser: to a person and back, and by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the page's packages are not installed")

import sensecf
from sensecf.data.builtin.simulated import simulate_cohort, simulated_schema
from sensecf.web.app import make_app
from sensecf.web.desk import Desk
from sensecf.web.start import PageSource, Start, make_cohort
from webpage import away, browsing, client, csrf_of, desk_of, serving, small_cohort, tab


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The page over a run of boundary answers."""
    run = tmp_path_factory.mktemp("programme") / "run"
    request = sensecf.RunSpec(classifier="logistic", generator="search", limits=sensecf.Limits(hold=0.0))
    sensecf.run(simulate_cohort(60, 6, seed=3), simulated_schema(), run, request)
    source = PageSource(path=run)
    return Desk.open(Start(source, cohort=make_cohort(source)), tmp_path_factory.mktemp("decisions"))


@pytest.fixture(scope="module")
def address(desk: Desk) -> Iterator[str]:
    with serving(make_app(desk)) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as found:
        yield found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with tab(browser, 1280) as found:
        found.set_default_timeout(120_000)  # the machine is shared
        yield found


def violations(page: Any) -> list[str]:
    """What axe finds."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:80]}" for one in found]


def axed(browser: Any, address: str) -> list[str]:
    """What axe finds on a page that lets it in."""
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(address)
    found = violations(page)
    context.close()
    return found


def test_from_a_programme_to_a_person_and_back(browser: Any, page: Any, address: str) -> None:
    page.goto(f"{address}/programme")
    page.click("button:has-text('Find programmes')")
    page.wait_for_selector("article.card", timeout=240_000)
    assert "turn" in page.inner_text(".lead")
    name = page.inner_text("tbody th a bdi >> nth=0")
    page.click("tbody th a >> nth=0")
    assert page.inner_text("h1") == name
    days = page.locator("tbody tr").count()
    assert days >= 1
    page.click("tbody th a >> nth=0")  # a day is a page of its own
    assert "/person/" in page.url
    page.go_back()
    page.click("text=Back to the programmes")
    assert page.url == f"{address}/programme"
    for where in ("/programme", "/programme/person/0"):
        assert axed(browser, address + where) == []


def test_five_questions_are_answered_by_keyboard_alone(browser: Any, page: Any, address: str, desk: Desk) -> None:
    person = desk.cohort.person_of(away(desk.cohort)[3]).number
    page.goto(f"{address}/person/{person}/rather")
    assert axed(browser, f"{address}/person/{person}/rather") == []
    for number in range(1, 6):
        if not page.locator("fieldset").count():
            break
        assert page.inner_text("legend") == f"Question {number}"
        assert page.evaluate("document.activeElement.name") == "choice"
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        assert page.inner_text(":focus") == "This one"
        with page.expect_navigation():
            page.keyboard.press("Enter")
    assert page.locator("#learned + ul li").count() >= 1
    assert page.locator("#best + ol li").count() >= 1
    first = page.inner_text("#best + ol li >> nth=0")
    page.click("text=Take the last answer back")
    assert page.locator("fieldset").count() == 1
    assert first


def test_none_of_these_is_an_answer_and_anything_else_is_refused(desk: Desk) -> None:
    person = desk.cohort.person_of(away(desk.cohort)[-3]).number
    where = f"/person/{person}/rather"
    with client(make_app(desk)) as browser:
        csrf = csrf_of(browser.get(where).text)
        assert browser.post(where, data={"csrf": csrf, "do": "answer", "choice": "none"}).status_code == 200
        assert "What was learned" in browser.get(where).text
        told = browser.post(where, data={"csrf": csrf, "do": "answer", "choice": "99999"})
        assert told.status_code == 422
        assert browser.post(where, data={"do": "undo"}).status_code == 403


def test_without_a_run_the_page_says_what_to_open(tmp_path: Path) -> None:
    with client(make_app(desk_of(small_cohort(), tmp_path))) as browser:
        text = browser.get("/programme").text
        assert "open the page with the folder" in text
        told = browser.post("/programme/find", data={"csrf": csrf_of(text)})
        assert told.status_code == 422
