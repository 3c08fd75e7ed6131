"""The page in a real browser: what five roles do on it, by mouse and by keyboard, in light and dark, at three sizes."""

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
from sensecf.web.start import PageSource, Start
from webpage import away, browsing, desk_of, serving, small_cohort, tab, until, where

#: The paths the tests go begin with a day that is a good step away from the answer wanted.
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
    with tab(browser) as found:
        yield found


def ask(page: Any) -> None:
    """Ask, and wait until plans of all kinds are there: cards of an earlier question may stand there meanwhile."""
    page.click("button:has-text('Ask for plans')")
    page.wait_for_selector("#plans-part[aria-busy=false]", timeout=60_000)
    page.wait_for_selector("#plans-part .card, #plans-part .none")


def several(cohort: Any) -> int:
    """Somebody of whom one plan turns several days."""
    counts = {p.number: int(cohort.away[p.days].sum()) for p in cohort.persons}
    return max((n for n, count in counts.items() if count < 5), key=lambda n: counts[n])


# --- the roles ----------------------------------------------------------------------------


def test_a_nurse_finds_a_person_in_one_step_and_sees_how_good_the_classifier_is_first(
    page: Any, address: str, cohort: Any
) -> None:
    page.goto(address)
    assert page.locator(".people tbody tr").count() == len(cohort.persons) < len(cohort)
    panel = page.inner_text(".trust")
    for words in ("logistic", "AUC", "False alarms", f"{cohort.trust.rows} days of {cohort.trust.people} others"):
        assert words in panel, words
    assert page.locator(".trust").bounding_box()["y"] < page.locator("table.people").bounding_box()["y"]
    shares = [tuple(map(int, re.findall(r"\d+", text))) for text in page.locator(".of").all_inner_texts()]
    assert [a / b for a, b in shares] == sorted((a / b for a, b in shares), reverse=True)
    person = cohort.persons[5]
    page.keyboard.press("/")
    page.keyboard.type(person.name.lower())
    page.keyboard.press("Enter")
    page.wait_for_selector("#ask")
    assert page.inner_text("h1") == person.name
    assert person.name not in page.url, "a person's name stands in the address"
    assert page.locator(".days li").count() == len(person)
    page.locator(".days a").first.click()
    page.wait_for_selector(".days a[aria-current]")
    assert cohort.roster.when[int(person.days[0])] in page.inner_text(".who")


def test_a_clinician_sets_limits_that_stay_and_cards_made_for_others_are_marked(
    page: Any, address: str, cohort: Any, desk: Desk
) -> None:
    row = away(cohort)[STEP]
    person = cohort.person_of(row)
    page.goto(address + where(cohort, row))
    page.fill("#you-name", "Ada Osei")
    with page.expect_response("**/you"):
        page.keyboard.press("Tab")
    ask(page)
    assert page.locator(".card:not(.stale)").count() >= 2
    name = page.locator(".card .changes .name").first.inner_text()
    lever = page.locator(f".lever:has(bdi:text-is('{name}'))")
    with page.expect_response("**/limits"):
        lever.locator("input[type=checkbox]").check()
    page.wait_for_selector(".card.stale .outdated:visible")
    assert page.locator(".card.stale").count() == page.locator(".card").count()
    [entry] = desk.journal.of_kind("limits", person.name)
    assert entry["who"] == "Ada Osei"
    page.click("a[data-key=j], a[data-key=k]")
    page.wait_for_selector("#ask")
    page.goto(f"{address}/person/{person.number}?day={row}")
    assert lever.locator("input[type=checkbox]").is_checked(), "a limit was lost on the way"
    assert "Ada Osei" in page.inner_text("#limits-kept")
    assert page.locator(".card.stale").count() > 0, "after a reload too"
    ask(page)
    assert page.locator(".card.stale").count() == 0
    assert all(name not in card for card in page.locator(".card .changes").all_inner_texts())


def test_a_range_is_set_with_the_arrow_keys_kept_and_obeyed(page: Any, address: str, cohort: Any, desk: Desk) -> None:
    row = away(cohort)[STEP + 1]
    person, steps = cohort.person_of(row), cohort.task.schema.columns["steps"]
    page.goto(address + where(cohort, row))
    lever = page.locator(f".lever[data-column='{steps}']")
    least, most = lever.locator("input.from"), lever.locator("input.to")
    assert least.get_attribute("aria-valuetext") == "no limit"
    most.focus()
    with page.expect_response("**/limits"):
        for _ in range(12):
            page.keyboard.press("ArrowLeft")
    high = float(most.input_value())
    assert page.input_value(f"[name='high-{steps}']") == most.input_value()
    assert most.get_attribute("aria-valuetext") == f"{high:,.0f} steps"
    assert "at most" in lever.locator("[data-ends]").inner_text()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.className") == "from"
    with page.expect_response("**/limits"):
        page.keyboard.press("End")
    assert least.input_value() == most.input_value() or float(least.input_value()) <= float(most.input_value())
    with page.expect_response("**/limits"):
        page.keyboard.press("Home")
    assert page.input_value(f"[name='low-{steps}']") == "", "the end of the way is no limit"
    with page.expect_response("**/limits"):
        lever.locator("summary").click()
        page.fill(f"[name='high-{steps}']", "12000")
        page.keyboard.press("Tab")
    assert abs(float(most.input_value()) - 12000) <= float(most.get_attribute("step"))
    assert desk.journal.limits(person.name)["limits"]["ranges"] == {"steps": [None, 12000.0]}
    ask(page)
    plans = desk.pools[desk.last[person.number]][0].plans
    assert all(day.after[steps] <= 12000 or not plan.edited[steps] for plan in plans for day in plan.days)


def test_a_value_that_was_tried_becomes_a_limit(page: Any, address: str, cohort: Any, desk: Desk) -> None:
    row = away(cohort)[STEP + 2]
    steps = cohort.task.schema.columns["steps"]
    page.goto(address + where(cohort, row))
    slider = page.locator(f".slider[data-column='{steps}']")
    assert slider.locator("[data-bound=low]").is_hidden()
    slider.locator("input").focus()
    page.keyboard.press("PageUp")
    with page.expect_response("**/limits"):
        slider.locator("[data-bound=low]").click()
    tried = slider.locator("input").input_value()
    assert page.input_value(f"[name='low-{steps}']") == tried
    assert "at least" in page.inner_text("#try-limit")
    kept = desk.journal.limits(cohort.person_of(row).name)["limits"]["ranges"]["steps"]
    assert kept == [float(tried), None]


def test_a_clinician_compares_plans_of_different_kinds(page: Any, address: str, cohort: Any, desk: Desk) -> None:
    page.goto(address + where(cohort, away(cohort)[STEP + 5]))
    ask(page)
    cards = page.locator(".card")
    assert 3 <= cards.count() <= 5
    kinds = [text.split(" · ")[1] for text in page.locator(".card h3").all_inner_texts()]
    assert len(set(kinds)) >= 2
    for words in ("Holds in refits", "Real days alike", "Weeks"):
        assert page.locator(f".card dt:has-text('{words}')").count() == cards.count()
    assert all("%" in text for text in page.locator(".worth p").all_inner_texts())
    heads = page.locator(".differences thead th").count()
    assert heads == 2 + cards.count()
    assert any("points" in text for text in page.locator(".differences td").all_inner_texts())
    asked, pools = desk.cohort.task.rows_judged, len(desk.pools)
    page.check("[name=order][value=changes]")
    page.wait_for_selector("text=Fewest changes first")
    assert len(desk.pools) == pools
    assert desk.cohort.task.rows_judged - asked < 5000, "plans were searched again"


def test_a_coach_plans_for_all_days_of_a_person_and_reads_which_ones_turn(page: Any, address: str, cohort: Any) -> None:
    number = several(cohort)
    days = int(cohort.away[cohort.persons[number].days].sum())
    page.goto(f"{address}/person/{number}")
    assert f"For all {days} days to change" in page.inner_text(".limits-section")
    ask(page)
    turned = page.locator(".card .facts dd").first.inner_text()
    assert re.fullmatch(rf"\d of {days} days", turned)
    page.locator(".card a").first.click()
    page.wait_for_selector("#byday-title")
    table = page.locator("section:has(#byday-title) tbody tr")
    assert table.count() == days
    assert table.locator("td:has-text('Yes')").count() == int(turned[0])
    assert f"on {turned[0]} of {days} days" in page.inner_text(".sentence")
    asked, shown = page.locator(".plan-page .changes").all()
    assert asked.locator("svg").count() == 0
    assert shown.locator(".adds").count() == 0, "what an edit adds stands once"


def test_a_study_lead_keeps_a_what_if_as_a_plan_prints_it_decides_and_finds_it_again_after_a_restart(
    page: Any, address: str, cohort: Any, desk: Desk
) -> None:
    row = away(cohort)[STEP]
    person = cohort.person_of(row)
    page.goto(address + where(cohort, row))
    assert page.locator("#try-keep").is_disabled()
    steps = cohort.task.schema.columns["steps"]
    page.locator(f"#value-{steps}").focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    until(page, "!document.querySelector('#try-keep').disabled")
    page.click("#try-keep")
    page.wait_for_selector("h1:has-text('Own plan for')")
    own = page.url.rpartition("/")[2]
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf())) <= 2
    page.fill("#who", "Bo Lind")
    page.fill("#note", "Her own idea.")
    page.click("button:has-text('Sign off')")
    page.wait_for_selector(".entries:has-text('Her own idea.')")
    for kind, sign in (("CSV", "person"), ("JSON", "sentence"), ("HTML", "<!doctype html>"), ("FHIR", "CarePlan")):
        with page.expect_download() as download:
            page.click(f"a.button:has-text('{kind}')")
        assert sign in Path(download.value.path()).read_text(encoding="utf-8")
    page.goto(address + where(cohort, row))
    assert page.locator(f".card:has(a[href='/plan/{own}'])").count() == 1, "it stands among the others"
    ask(page)
    found = page.locator(".card a").first.get_attribute("href")
    again = desk_of(cohort, desk.journal.path.parent)
    with serving(make_app(again)) as restarted:
        page.goto(f"{restarted}{found}")
        assert person.name in page.inner_text("h1")
        page.goto(restarted + where(cohort, row))
        assert page.locator(f".card:has(a[href='{found}'])").count() == 1
        assert page.locator(f".card:has(a[href='/plan/{own}'])").count() == 1
        page.goto(f"{restarted}/kept")
        journal = page.inner_text("main")
    assert re.search(r"sign off\s+Bo Lind", journal)
    assert "own plan kept" in journal
    last = desk.journal.of_kind("decision")[-1]
    assert (last["who"], last["action"], last["plan"]["plan"]) == ("Bo Lind", "sign off", own)


# --- by keyboard, by eye ------------------------------------------------------------------


def test_the_whole_path_goes_by_keyboard_alone(page: Any, address: str, cohort: Any) -> None:
    def tab_to(selector: str, most: int = 60) -> None:
        for _ in range(most):
            if page.evaluate(f"document.activeElement.matches({json.dumps(selector)})"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached by {most} times Tab")

    page.goto(address)
    page.keyboard.press("/")
    page.keyboard.type(cohort.person_of(away(cohort)[STEP]).name)
    page.keyboard.press("Enter")
    page.wait_for_selector("#ask")
    tab_to("button[name=go]", 40)
    page.keyboard.press("Enter")
    page.wait_for_selector(".card, .none")
    until(page, "document.querySelector('#ask-progress progress').hidden", 60)
    tab_to(".card a", 60)
    page.keyboard.press("Enter")
    page.wait_for_selector("#decisions")
    tab_to("#who")
    page.keyboard.type("Ada Osei")
    tab_to("button[value=bookmark]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".entries:has-text('bookmark')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)], ids=["desk", "tablet", "phone"])
def test_every_page_is_accessible_fits_and_needs_no_long_way(
    browser: Any, address: str, cohort: Any, scheme: str, size: tuple[int, int]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the axe package is not installed").Axe()
    context = browser.new_context(color_scheme=scheme, viewport={"width": size[0], "height": size[1]})
    page = context.new_page()

    def check(name: str) -> None:
        found = axe.run(page).response["violations"]
        assert not [(v["id"], v["nodes"][0]["html"][:200]) for v in found], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the window"

    page.goto(address)
    check("people")
    row = away(cohort)[STEP + 3]
    page.goto(address + where(cohort, row))
    if scheme == "dark":
        context.add_cookies([{"name": "sensecf_words", "value": "plain", "url": address}])
        page.reload()
        assert "Time asleep" in page.inner_text(".limits-section")
    page.locator("button:visible", has_text="Ask").last.click()
    page.wait_for_selector(".card")
    until(page, "document.querySelector('#ask-progress progress').hidden", 60)
    if size[0] == 1440:
        bottoms = page.evaluate(
            "[...document.querySelectorAll('button[name=go], .lever:not(.rest), .card .facts')]"
            ".filter(e => e.offsetParent).map(e => e.getBoundingClientRect().bottom)"
        )
        assert max(bottoms) <= 900, f"limits and plans do not fit on one screen: {bottoms}"
    else:
        reach = "document.querySelector('#plans').getBoundingClientRect().top + scrollY"
        assert page.evaluate(reach) <= 2.5 * size[1]
    page.locator(".limits summary").first.click()
    check("person")
    page.locator(".card a").first.click()
    page.wait_for_selector("#decisions")
    check("plan")
    for path in ("/groups", "/kept", "/person/99999"):
        page.goto(f"{address}{path}")
        check(path)
    context.close()


def test_no_page_calls_rows_people_or_says_safe(page: Any, address: str, cohort: Any) -> None:
    rows = len(cohort)
    for path in ("/", where(cohort, away(cohort)[STEP]), f"/person/{several(cohort)}", "/groups", "/kept"):
        page.goto(address + path)
        text = page.inner_text("body").lower()
        assert not re.search(rf"\b{rows}\b (people|persons)", text)
        for word in ("counterfactual", "safe", "holds for most", "probability of"):
            assert word not in text, (path, word)


# --- what else must not break -------------------------------------------------------------


def test_a_blocking_lock_is_named_and_lifted(page: Any, address: str, cohort: Any) -> None:
    page.goto(address + where(cohort, away(cohort)[STEP + 1]))
    page.locator(".more-levers > summary").click()
    for box in page.locator("input[name^=lock-]").all():
        box.check()
    ask(page)
    assert page.inner_text(".none h3") == "No plan under these limits"
    blocked = page.locator(".none li").all_inner_texts()
    assert any(text.endswith("is kept as it is") for text in blocked)
    locked = page.locator("input[name^=lock-]:checked").count()
    page.click(".lift")
    page.wait_for_selector(".card")
    kept = sum(text.endswith("is kept as it is") for text in blocked)
    assert page.locator("input[name^=lock-]:checked").count() == locked - kept


def test_a_wrong_limit_is_said_beside_the_question(browser: Any, address: str, cohort: Any) -> None:
    page = browser.new_page()
    page.goto(address + where(cohort, away(cohort)[0]))
    page.locator(".limits summary").first.click()
    page.locator("input[name^=low-]").first.fill("plenty")
    page.click("button:has-text('Ask for plans')")
    page.wait_for_selector("#ask-problem:has-text('is not a number')")
    page.close()


def test_what_if_answers_live_and_what_adds_up_follows(page: Any, address: str, cohort: Any) -> None:
    row = away(cohort)[STEP]
    page.goto(address + where(cohort, row))
    page.evaluate("document.querySelector('.more-levers').open = true")
    deep, total = (cohort.task.schema.columns[name] for name in ("sleep_deep_min", "sleep_total_min"))
    before = cohort.rows[row]
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
    assert page.locator("#try-keep").is_disabled()
    page.click("#try-reset")
    page.wait_for_selector("#try-words:has-text('Nothing changed yet')")


def test_the_cohort_by_group(page: Any, address: str) -> None:
    page.goto(f"{address}/groups")
    page.click("button:has-text('Ask about all')")
    page.wait_for_selector(".bars", timeout=60_000)
    assert page.locator("tbody tr").count() == 3, "age in three bands"
    page.click("nav.tabs a:has-text('group')")
    page.wait_for_selector("th[scope=row]:has-text('healthy')")


def test_without_scripts_a_plan_is_found_and_decided(browser: Any, address: str, cohort: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + where(cohort, away(cohort)[STEP + 2]))
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
        page.wait_for_selector("h1:has-text('people')")
        page.close()


def test_a_start_that_fails_says_why(browser: Any, tmp_path: Path) -> None:
    start = Start(PageSource(tmp_path / "absent.csv", tmp_path / "schema.toml"))
    start.run()
    with serving(make_app(Desk.open(start, tmp_path))) as address:
        page = browser.new_page()
        page.goto(address)
        assert "schema.toml does not exist" in page.inner_text(".warn")
        page.close()
