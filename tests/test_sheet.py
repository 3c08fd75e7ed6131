"""The plan sheet: one page, plain words, local numbers, any direction of writing; languages that others can add."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensecf.core.errors import InputError
from sensecf.data.infer.catalogue import _BY_NAME as CATALOGUE
from sensecf.runs.record.languages import FOLDER, languages, read_language, rounded
from sensecf.runs.record.plans import Change, KeptPlan
from sensecf.runs.record.sheet import WEEKS, Pace, Sheet, file_name, render, stage, weeks_of
from strategies import cases
from webpage import browsing

LEVERS = [entry for entry in CATALOGUE.values() if entry.role == "actionable"]
CHANGES = (
    Change("steps", "Steps", "steps", 2810, 8810, 6000, "2,810", "8,810"),
    Change("sleep_total_min", "Asleep", "min", 444, 558, 114, "444", "558"),
    Change("sedentary_min", "Sitting or lying awake", "min", 788, 718, -70, "788", "718"),
    Change("active_min", "Walking or running", "min", 38, 43, 5, "38", "43"),
    Change("screen_time_min", "Screen time", "min", 300, 60, -240, "300", "60"),
    Change("sleep_midpoint_sd_min", "Irregularity", "min", 90, 20, -70, "90", "20"),
)
DEEP = Change("sleep_deep_min", "Deep sleep", "min", 76, 96, 20, "76", "96", follows=True)
PLAN = KeptPlan("p1", "SIM-0053", "2026-03-04", "stress", "high", "low", 0.2, 0.8, (*CHANGES[:2], DEEP))


def sheet(plan: KeptPlan = PLAN, weeks: int = 3) -> Sheet:
    paces = {c.feature: Pace(abs(c.delta) / weeks, 1.0, 0) for c in plan.actions if c.delta}
    return Sheet(date(2026, 11, 29), paces=paces)


def page(plan: KeptPlan = PLAN, language: str | Path = "en", weeks: int = 3) -> str:
    return render(plan, read_language(language), sheet(plan, weeks))


@given(st.floats(0.01, 1000), st.floats(0.001, 500), st.integers(1, 60), st.sampled_from([1, -1]))
def test_no_week_asks_for_less_than_the_device_can_tell(size: float, error: float, weeks: int, way: int) -> None:
    own = Pace(1.0, 1.0, 0, error)
    ends = [0.0, *(stage(week / weeks, way * size, own) for week in range(1, weeks + 1))]
    assert ends[-1] == 1.0
    moves = [(b - a) * size for a, b in pairwise(ends)]
    assert all(move == 0 or move >= min(error, size) * (1 - 1e-6) for move in moves)
    assert all(end >= week / weeks - 1e-9 for week, end in enumerate(ends))


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text.partition("<body")[2]).split())


def toy(folder: Path, **changes: str) -> Path:
    """A language that is written from right to left, made as the documentation says: a copy of en.toml."""
    text = (FOLDER / "en.toml").read_text(encoding="utf-8")
    text = text.replace('code = "en"', 'code = "he"').replace('dir = "ltr"', 'dir = "rtl"')
    text = text.replace('title = "My plan"', 'title = "התוכנית שלי"').replace(
        "Walk more: {after} a day", "ללכת יותר: {after} ביום"
    )
    for old, new in changes.items():
        text = re.sub(rf"(?m)^{old} = .*\n", new, text)
    path = folder / "he.toml"
    path.write_text(text, encoding="utf-8")
    return path


# --- what it says -----------------------------------------------------------------------------


def test_the_sheet_says_who_what_until_when_and_what_is_not_known() -> None:
    said = words(page())
    for text in (
        "SIM-0053",
        "November 29, 2026",
        "your day of March 4, 2026",
        "Walk more: 8,900 steps a day",
        "(now about 2,800 steps)",
        "Sleep longer: 9 h 20 min a night",
        "Nobody knows yet whether it makes you healthier.",
        "Week 3",
        "My name and signature",
    ):
        assert text in said, text
    assert "Week 4" not in said
    assert "Deep sleep" not in said, "what follows is nothing that anybody does"
    assert "safe" not in said.lower()


def test_numbers_times_and_dates_are_those_of_the_language() -> None:
    german, spanish = words(page(language="de")), words(page(language="es"))
    assert "Mehr gehen: 8.900 Schritte am Tag" in german
    assert "9 Std. 20 Min. pro Nacht" in german
    assert "29. November 2026" in german
    assert "Caminar más: 8.900 pasos al día" in spanish
    assert "29 de noviembre de 2026" in spanish


def test_a_plan_for_several_days_says_of_how_many() -> None:
    assert "looked at 9 of your days" in words(page(replace(PLAN, turns=7, of=9)))
    assert "“low” for 7 of them" in words(page(replace(PLAN, turns=7, of=9)))


def test_a_class_is_said_without_its_code_and_a_person_without_a_name_gets_a_line() -> None:
    said = words(page(replace(PLAN, person="", said="1 (diabetes)", target="0 (no diabetes)")))
    assert "It said “diabetes”" in said, "the column of the label is no word for a person"
    assert "“no diabetes”" in said
    assert "For : " not in said
    assert "p1-" not in said.partition("Week by week")[0]


def test_a_column_that_no_language_knows_is_said_by_its_label() -> None:
    odd = Change("chol", "Cholesterol", "mg/dL", 240.0, 200.5, -39.5, "240.0", "200.5")
    level = Change("cp", "Chest pain", "", "typical", "none", None, "typical", "none")
    text = render(
        replace(PLAN, changes=(odd, level)), read_language("de"), Sheet(date.today(), paces={"chol": Pace(10, 0.1, 1)})
    )
    assert "Cholesterol: bis auf 200,5 mg/dL senken" in words(text)
    assert "Chest pain: none" in words(text)


@cases(200)
@given(before=st.floats(0, 20_000), delta=st.floats(-5000, 5000).filter(lambda v: abs(v) > 0.5),
       unit=st.sampled_from(["steps", "min", "h", "g", "m", "mmHg"]))  # fmt: skip
def test_a_rounded_goal_is_never_short_of_the_plan(before: float, delta: float, unit: str) -> None:
    goal = before + delta
    shown = rounded(goal, delta, unit, 1.0)
    assert (shown - goal) * (1 if delta > 0 else -1) >= -1e-6
    assert abs(shown - goal) <= 100


@cases(60)
@given(st.integers(1, 40))
def test_weeks_climb_to_the_goal_and_a_long_plan_gets_the_next_sheet(weeks: int) -> None:
    assert weeks_of(PLAN, sheet(weeks=weeks).paces) in (weeks, weeks + 1)  # a quotient of floats
    text = page(weeks=weeks)
    shown = re.findall(r'<th scope="row">Week (\d+)', text)
    assert len(shown) == min(weeks_of(PLAN, sheet(weeks=weeks).paces), WEEKS)
    steps = [int(n.replace(",", "")) for n in re.findall(r'<td class="what"><bdi>([\d,]+)</bdi>', text)]
    assert steps == sorted(steps)
    assert ("ask for the next sheet" in text) == (weeks > WEEKS)
    if weeks < WEEKS:
        assert steps[-1] == 8900


# --- how it prints ----------------------------------------------------------------------------


def printed(browser_page: Any, text: str, folder: Path) -> int:
    path = folder / "sheet.html"
    path.write_text(text, encoding="utf-8")
    browser_page.goto(path.as_uri())
    return len(re.findall(rb"/Type\s*/Page\b", browser_page.pdf(prefer_css_page_size=True)))


def test_every_sheet_is_one_page_of_paper(tmp_path: Path) -> None:
    long_name = "Dr. " + "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch " * 2
    with browsing() as browser:
        tab = browser.new_page()
        for language in (*languages(), toy(tmp_path)):
            for actions, weeks in ((1, 1), (2, 6), (4, 3), (4, 12), (6, 3), (6, 30)):
                plan = replace(PLAN, changes=CHANGES[:actions], person=long_name, turns=7, of=9)
                assert printed(tab, page(plan, language, weeks), tmp_path) == 1, (language, actions, weeks)


def test_a_language_from_right_to_left_turns_the_page(tmp_path: Path) -> None:
    text = page(language=toy(tmp_path))
    assert '<html lang="he" dir="rtl">' in text
    assert not re.search(r"(margin|padding|border|text-align): ?-?(left|right)|-(left|right):", text)
    with browsing() as browser:
        tab = browser.new_page(viewport={"width": 900, "height": 1200})
        printed(tab, text, tmp_path)
        middle = (
            "(a) => { const box = document.querySelector(a).getBoundingClientRect(); return box.left + box.width / 2; }"
        )
        assert tab.evaluate(middle, "h1") > tab.evaluate(middle, "header dl")
        assert tab.evaluate(middle, "tbody th") > tab.evaluate(middle, "tbody .box")
        tab.set_viewport_size({"width": 390, "height": 844})
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_sheet_is_accessible(tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the axe package is not installed").Axe()
    with browsing() as browser:
        tab = browser.new_context(bypass_csp=True).new_page()
        for language in (*languages(), toy(tmp_path)):
            printed(tab, page(language=language), tmp_path)
            assert [v["id"] for v in axe.run(tab).response["violations"]] == []


def test_names_stay_text(tmp_path: Path) -> None:
    text = page(replace(PLAN, person="<script>alert(1)</script>"))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "/" not in file_name("../../<etc>", "en").replace("-", "")


# --- languages --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", languages())
def test_every_language_knows_every_lever_of_the_catalogue(code: str) -> None:
    said = read_language(code)
    assert {entry.name for entry in LEVERS} <= set(said.file["features"])
    for entry in LEVERS:
        more = said.action(entry.name, "x", "AMOUNT", 1.0)
        less = said.action(entry.name, "x", "AMOUNT", -1.0)
        assert "AMOUNT" in more
        assert "AMOUNT" in less
        assert more != less


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"care": ""}, r"he.toml, \[text\]: care is absent; in en.toml it says"),
        ({"hours_minutes": ""}, "hours_minutes is absent"),
        ({"dir": 'dir = "up"\n'}, "dir must be 'ltr' or 'rtl'"),
        ({"week": 'week = "{nummer}"\n'}, "nothing fills {nummer}"),
        ({"short": ""}, "short is absent"),
    ],
)
def test_a_language_that_lacks_something_says_what(tmp_path: Path, change: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_language(toy(tmp_path, **change))


def test_an_unknown_language_names_those_there_are() -> None:
    with pytest.raises(InputError, match="language 'fr' is unknown; use de, en, es, or a file of yours"):
        read_language("fr")
