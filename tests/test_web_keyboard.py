"""Tasks of nurse, clinician, coach and auditor by keyboard alone, in Chromium: nothing here is done with a mouse."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the page's packages are not installed")

from sensecf.web.app import make_app
from sensecf.web.desk import Desk
from webpage import away, browsing, desk_of, serving, small_cohort, tab, until

#: Somebody a good step away from the answer wanted.
STEP = 12


@pytest.fixture(scope="module")
def cohort() -> Any:
    return small_cohort()


@pytest.fixture(scope="module")
def desk(cohort: Any, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return desk_of(cohort, tmp_path_factory.mktemp("decisions"))


@pytest.fixture(scope="module")
def address(desk: Desk) -> Iterator[str]:
    with serving(make_app(desk)) as found:
        yield found


@pytest.fixture
def page() -> Iterator[Any]:
    with browsing() as browser, tab(browser) as found:
        yield found


def tab_to(page: Any, selector: str, most: int = 120) -> None:
    """Press Tab until an element has the focus; it must be seen to have it."""
    for _ in range(most):
        if page.evaluate(f"document.activeElement.matches({json.dumps(selector)})"):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", selector
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by {most} times Tab")


def find(page: Any, address: str, name: str) -> None:
    """Find a person from the list: one key, their id, Enter."""
    page.goto(address)
    page.keyboard.press("/")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_selector("#ask")
    assert name in page.inner_text("h1")


def ask(page: Any) -> None:
    """Ask for plans, and wait for all of them."""
    tab_to(page, "button[name=go]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#plans-part[aria-busy=false]", timeout=60_000)
    page.wait_for_selector("#plans-part .card")
    until(page, "document.querySelector('#ask-progress progress').hidden", 60)


def test_a_nurse_finds_a_person_and_one_of_their_days(page: Any, address: str, cohort: Any) -> None:
    person = max(cohort.persons, key=len)
    find(page, address, person.name)
    tab_to(page, ".days a")
    page.keyboard.press("Enter")
    page.wait_for_selector(".days a[aria-current]")
    assert cohort.roster.when[int(person.days[0])] in page.inner_text(".who")


def test_a_clinician_sets_limits_asks_and_compares(page: Any, address: str, cohort: Any, desk: Desk) -> None:
    row = away(cohort)[STEP]
    person = cohort.person_of(row)
    find(page, address, person.name)
    page.goto(f"{page.url}?day={row}")
    tab_to(page, "#you-name")
    page.keyboard.type("Ada Osei")
    with page.expect_response("**/you"):
        page.keyboard.press("Tab")
    steps = cohort.task.schema.columns["steps"]
    tab_to(page, f".lever[data-column='{steps}'] input.to")
    with page.expect_response("**/limits"):
        for _ in range(4):
            page.keyboard.press("ArrowLeft")
    [entry] = [e for e in desk.journal.of_kind("limits", person.name) if "steps" in e["limits"]["ranges"]][-1:]
    most = entry["limits"]["ranges"]["steps"][1]
    assert entry["who"] == "Ada Osei"
    page.goto(page.url)  # from the top: the button stands before the levers
    ask(page)
    pool = desk.pools[desk.last[person.number]][0]
    assert all(day.after[steps] <= most or not plan.edited[steps] for plan in pool.plans for day in plan.days)
    cards = page.locator("#plans-part .card").count()
    assert cards >= 2
    tab_to(page, ".differences summary")
    if not page.evaluate("document.activeElement.parentElement.open"):
        page.keyboard.press("Enter")
    assert page.locator(".differences thead th:visible").count() == cards + 2
    page.goto(page.url)
    tab_to(page, "[name=order]")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=Fewest changes first")


def test_a_coach_tries_values_and_keeps_them_as_a_plan(page: Any, address: str, cohort: Any, desk: Desk) -> None:
    row = away(cohort)[STEP + 1]
    find(page, address, cohort.person_of(row).name)
    page.goto(f"{page.url}?day={row}")
    tab_to(page, f"#value-{cohort.task.schema.columns['steps']}", 200)
    for _ in range(3):
        page.keyboard.press("PageUp")
    until(page, "!document.querySelector('#try-keep').disabled")
    page.keyboard.press("Shift+Tab")
    for _ in range(40):
        if page.evaluate("document.activeElement.id") == "try-keep":
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Own plan for')")
    kept = page.url.rpartition("/")[2]
    assert desk.journal.plan(kept) is not None


def test_an_auditor_reads_who_did_what(page: Any, address: str, cohort: Any, desk: Desk) -> None:
    plan, pool = desk.plans[next(iter(desk.plans))] if desk.plans else (None, None)
    if plan is None or pool is None:
        pytest.skip("the tests before this one made no plan")
    desk.decide(plan, pool, "Cleo Marsh", "reject", "Too far for her knee.")
    page.goto(address)
    tab_to(page, "nav a[href='/kept']", 20)
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Journal')")
    told = page.inner_text("main")
    assert re.search(r"reject\s+Cleo Marsh", told)
    assert "Too far for her knee." in told
    tab_to(page, f"a[href='/plan/{plan.id}']", 60)
    page.keyboard.press("Enter")
    page.wait_for_selector(".entries:has-text('Too far for her knee.')")


def test_a_study_lead_prints_decides_and_finds_it_again_after_a_restart(
    page: Any, address: str, cohort: Any, desk: Desk
) -> None:
    row = away(cohort)[STEP + 2]
    person = cohort.person_of(row)
    find(page, address, person.name)
    page.goto(f"{page.url}?day={row}")
    ask(page)
    tab_to(page, ".card a")
    page.keyboard.press("Enter")
    page.wait_for_selector("#decisions")
    plan = page.url.rpartition("/plan/")[2].partition("#")[0]
    tab_to(page, "#who")
    page.keyboard.type("Bo Lind")
    tab_to(page, "#note")
    page.keyboard.type("Agreed at the ward round.")
    tab_to(page, "button[value='sign off']")
    page.keyboard.press("Enter")
    page.wait_for_selector(".entries:has-text('Agreed at the ward round.')")
    tab_to(page, "#language", 200)
    page.keyboard.press("ArrowDown")
    with page.expect_download() as download:
        tab_to(page, ".take button.primary, .take a.primary", 20)
        page.keyboard.press("Enter")
    sheet = Path(download.value.path()).read_text(encoding="utf-8")
    assert person.name in sheet
    assert 'lang="en"' not in sheet, "the language that was picked"
    with serving(make_app(desk_of(cohort, desk.journal.path.parent))) as restarted:
        find(page, restarted, person.name)
        page.goto(f"{page.url}?day={row}")
        tab_to(page, f".card a[href='/plan/{plan}']", 200)
        page.keyboard.press("Enter")
        page.wait_for_selector(".entries:has-text('Agreed at the ward round.')")
