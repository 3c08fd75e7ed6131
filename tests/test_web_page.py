"""The page in a real browser: the whole path, in light and dark, on a desk and on a phone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the page's packages are not installed")

from sensecf.web.app import make_app
from sensecf.web.desk import Desk
from sensecf.web.start import PageSource, Start
from webpage import away, browsing, desk_of, serving, small_cohort, until

#: The path the tests go begins with somebody who is a good step away from the answer wanted.
STEP = 12


@pytest.fixture(scope="module")
def cohort() -> Any:
    return small_cohort()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def desk(cohort: Any, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return desk_of(cohort, tmp_path_factory.mktemp("decisions"))


@pytest.fixture(scope="module")
def address(desk: Desk) -> Iterator[str]:
    with serving(make_app(desk)) as found:
        yield found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    found = context.new_page()
    said: list[str] = []
    found.on("pageerror", lambda error: said.append(str(error)))
    found.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    yield found
    context.close()
    assert not said, "the browser complained"


def ask(page: Any, address: str, person: int) -> None:
    page.goto(f"{address}/person/{person}")
    page.click("button:has-text('Ask for plans')")
    page.wait_for_selector("#plans-part .card, #plans-part .none")


def test_the_list_is_searched_sorted_filtered_and_walked_by_keyboard(page: Any, address: str, cohort: Any) -> None:
    page.goto(address)
    risks = [int(text.removesuffix(" %")) for text in page.locator("td .figure").all_inner_texts()]
    assert risks == sorted(risks, reverse=True)
    name = cohort.names[5].split(" ")[0]
    page.keyboard.press("/")
    page.keyboard.type(name)
    until(page, f"document.querySelectorAll('tbody a').length == {sum(name in n for n in cohort.names)}")
    assert page.evaluate("document.activeElement.id") == "search"
    assert name not in page.url, "a person's name stands in the address"
    page.fill("#search", "")
    until(page, "document.querySelectorAll('tbody a').length == 50")
    page.check("[name=filter][value=there]")
    until(page, "![...document.querySelectorAll('tbody .chip')].some(c => c.textContent != 'low')")
    page.click("button.sort:has-text('Person')")
    page.wait_for_selector("th[aria-sort=ascending] button:has-text('Person')")
    first = page.locator("tbody a").first.inner_text()
    page.locator("h1").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#ask")
    assert page.inner_text("h1") == first


def test_plans_stand_side_by_side_and_are_ranked_anew_without_asking_again(
    page: Any, address: str, cohort: Any, desk: Desk
) -> None:
    ask(page, address, away(cohort)[STEP])
    assert 3 <= page.locator(".card").count() <= 5
    for words in ("Margin", "Inside the values seen", "Like people in that class", "Similar real people"):
        assert page.locator(f".card dt:has-text('{words}')").count() == page.locator(".card").count()
    assert page.locator("#plans .caution").inner_text().startswith("A plan changes the answer of a classifier.")
    asked, pools = desk.cohort.task.rows_judged, len(desk.pools)
    page.check("[name=order][value=lead]")
    page.wait_for_selector("text=Largest lead first")
    margins = [float(text.split()[0]) for text in page.locator(".facts > div:first-child dd").all_inner_texts()]
    assert margins[0] >= 0.5
    page.check("[name=order][value=changes]")
    page.wait_for_selector("text=Fewest changes first")
    counts = [int(text.split()[0]) for text in page.locator(".card header span").all_inner_texts()]
    assert counts[0] == min(counts)
    assert len(desk.pools) == pools
    assert desk.cohort.task.rows_judged == asked, "the classifier was asked again"


def test_a_hard_feature_sinks_in_the_ranking(page: Any, address: str, cohort: Any) -> None:
    for person in away(cohort)[:: STEP + 1]:
        ask(page, address, person)
        cards = page.locator(".card").all()
        name = page.locator(".card .changes .name").first.inner_text()
        if any(name not in card.locator(".name").all_inner_texts() for card in cards):
            break  # a plan without it can take the first place
    item = page.locator(f".feature:has(.label:text-is('{name}'))")
    item.locator("summary").click()
    with page.expect_response(lambda response: "/rank" in response.url):
        item.locator("select[name^=effort]").select_option("hard")
    page.wait_for_timeout(100)
    assert name not in page.locator(".card").first.locator(".name").all_inner_texts()


def test_a_blocking_lock_is_named_and_lifted(page: Any, address: str, cohort: Any) -> None:
    page.goto(f"{address}/person/{away(cohort)[STEP]}")
    for column in range(len(cohort.columns)):
        for box in page.locator(f"input[name=lock-{column}]").all():
            box.check()
    page.click("button:has-text('Ask for plans')")
    page.wait_for_selector(".none h3:has-text('No plan under these limits')")
    blocked = page.locator(".none li").all_inner_texts()
    assert blocked
    assert any(text.endswith("is kept as it is") for text in blocked)
    locked = page.locator("input[name^=lock-]:checked").count()
    page.click(".lift")
    page.wait_for_selector(".card")
    kept = sum(text.endswith("is kept as it is") for text in blocked)
    assert page.locator("input[name^=lock-]:checked").count() == locked - kept


def test_a_wrong_limit_is_said_beside_the_question(browser: Any, address: str, cohort: Any) -> None:
    page = browser.new_page()
    page.goto(f"{address}/person/{away(cohort)[0]}")
    page.locator(".limits summary").first.click()
    page.locator("input[name^=low-]").first.fill("plenty")
    page.click("button:has-text('Ask for plans')")
    page.wait_for_selector("#ask-problem:has-text('is not a number')")
    page.close()


def test_what_if_answers_live_and_what_adds_up_follows(page: Any, address: str, cohort: Any) -> None:
    person = away(cohort)[STEP]
    ask(page, address, person)
    page.locator(".try-plan").first.click()
    page.wait_for_selector("#try-words:has-text('every rule is kept')")
    assert page.inner_text("#try-chip") == "low"
    page.click("#try-reset")
    page.wait_for_selector("#try-words:has-text('Nothing changed yet')")
    deep, total = (cohort.task.schema.columns[name] for name in ("sleep_deep_min", "sleep_total_min"))
    before = cohort.rows[person]
    page.locator(f"#value-{deep}").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".slider.follows")
    assert page.input_value(f"#value-{total}") == f"{before[total] + 1:g}"
    heart, rest = (cohort.task.schema.columns[name] for name in ("hr_mean_bpm", "resting_hr_bpm"))
    page.evaluate(
        "([low, high]) => { for (const [at, end] of [[low, 'min'], [high, 'max']]) {"
        "  const input = document.querySelector(`#value-${at}`); input.value = input[end];"
        "  input.dispatchEvent(new Event('input', { bubbles: true })); } }",
        [heart, rest],
    )
    page.wait_for_selector("#try-rules li:has-text('Resting heart rate must not be more than mean heart rate.')")


def test_a_plan_has_steps_a_decision_a_print_and_exports(page: Any, address: str, cohort: Any, desk: Desk) -> None:
    ask(page, address, away(cohort)[STEP])
    page.locator(".card a").first.click()
    page.wait_for_selector("#decisions")
    assert page.locator(".steps tbody tr").count() >= 2
    assert page.locator(".steps td:has-text('Keeps every rule')").count() == page.locator(".steps tbody tr").count() - 1
    page.click("text=Test this plan")
    page.wait_for_selector("#robust-part:has-text('of 7')", timeout=60_000)
    page.fill("#who", "Ada Osei")
    page.fill("#note", "Too much at once.")
    page.click("button:has-text('Reject')")
    page.wait_for_selector(".entries:has-text('Too much at once.')")
    last = json.loads(desk.journal.path.read_text(encoding="utf-8").splitlines()[-1])
    assert (last["who"], last["action"], last["note"]) == ("Ada Osei", "reject", "Too much at once.")
    for kind, sign in (("CSV", "person"), ("JSON", "sentence"), ("HTML", "<!doctype html>"), ("FHIR", "CarePlan")):
        with page.expect_download() as download:
            page.click(f"a.button:has-text('{kind}')")
        assert sign in Path(download.value.path()).read_text(encoding="utf-8")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf())) == 1, "the print does not fit one page"
    page.goto(f"{address}/kept")
    assert page.locator("li.panel").first.inner_text().startswith("reject")


def test_the_cohort_by_group(page: Any, address: str) -> None:
    page.goto(f"{address}/groups")
    page.click("button:has-text('Ask for everybody')")
    page.wait_for_selector(".bars", timeout=60_000)
    page.wait_for_selector(".radar")
    assert page.locator("tbody tr").count() == 3, "age in three bands"
    page.click("nav.tabs a:has-text('group')")
    page.wait_for_selector("th[scope=row]:has-text('healthy')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desk", "phone"])
def test_every_page_is_accessible_and_fits(
    browser: Any, address: str, cohort: Any, desk: Desk, scheme: str, size: tuple[int, int]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the axe package is not installed").Axe()
    context = browser.new_context(color_scheme=scheme, viewport={"width": size[0], "height": size[1]})
    page = context.new_page()

    def check(where: str) -> None:
        found = axe.run(page).response["violations"]
        serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
        assert not serious, f"{where}: {serious}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{where} is wider than the window"

    page.goto(address)
    check("people")
    ask(page, address, away(cohort)[STEP])
    page.locator(".limits summary").first.click()
    check("person")
    page.locator(".card a").first.click()
    page.wait_for_selector("#decisions")
    page.fill("#who", "Ada Osei")
    page.click("button:has-text('Bookmark')")
    page.wait_for_selector(".entries")
    check("plan")
    page.goto(f"{address}/groups")
    check("groups")
    page.goto(f"{address}/kept")
    check("kept")
    page.goto(f"{address}/person/99999")
    check("a problem")
    context.close()


def test_asking_moves_nothing_that_is_above_the_plans(page: Any, address: str, cohort: Any) -> None:
    page.goto(f"{address}/person/{away(cohort)[STEP]}")
    place = "document.querySelector('#plans-part').getBoundingClientRect().top + scrollY"
    before = page.evaluate(place)
    page.click("button:has-text('Ask for plans')")
    page.wait_for_selector(".card")
    assert page.evaluate(place) == before


def test_without_scripts_a_plan_is_found_and_decided(browser: Any, address: str, cohort: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/person/{away(cohort)[STEP]}")
    page.click("button:has-text('Ask for plans')")
    page.locator(".card a").first.click()
    page.fill("#who", "Ada Osei")
    page.click("button:has-text('Sign off')")
    assert "sign off" in page.inner_text(".entries")
    context.close()


def test_the_start_shows_its_progress_and_then_the_people(browser: Any, cohort: Any, tmp_path: Path) -> None:
    start = Start(PageSource(hold=0.0))
    with serving(make_app(Desk.open(start, tmp_path))) as address:
        page = browser.new_page()
        page.goto(f"{address}/person/1")
        assert page.inner_text("h1") == "Getting ready"
        start.say("pairs", 0.4)
        until(page, "document.querySelector('#phase-pairs').value == 0.4")
        assert page.locator(".phases .done").count() == 3
        start.cohort = cohort
        page.wait_for_selector("h1:has-text('People')")
        page.close()


def test_a_start_that_fails_says_why(browser: Any, tmp_path: Path) -> None:
    start = Start(PageSource(tmp_path / "absent.csv", tmp_path / "schema.toml"))
    start.run()
    with serving(make_app(Desk.open(start, tmp_path))) as address:
        page = browser.new_page()
        page.goto(address)
        assert "schema.toml does not exist" in page.inner_text(".warn")
        page.close()


def test_nothing_on_the_page_needs_the_word_counterfactual(page: Any, address: str, cohort: Any) -> None:
    ask(page, address, away(cohort)[STEP])
    assert "counterfactual" not in page.content().lower()


def test_the_first_plan_is_on_screen_soon(page: Any, address: str, cohort: Any) -> None:
    seconds = []
    for person in away(cohort)[STEP : STEP + 3]:
        page.goto(f"{address}/person/{person}")
        began = time.perf_counter()
        page.click("button:has-text('Ask for plans')")
        page.wait_for_selector(".card")
        seconds.append(time.perf_counter() - began)
    # benchmarks/page.py measures the bar of 1 s on a quiet machine; a test shares its machine with others.
    assert min(seconds) < 5
