"""The page and its figures: self-contained, honest, accessible, and deaf to what a table says."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from handmade import BASE, SCHEMA, TRAIN, Stub, answers, calm, hand, hand_task, random_answers, random_task
from sensecf import metrics
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.metrics import read
from sensecf.metrics.model import own_rows
from sensecf.runs.report import figures, report
from sensecf.runs.report import tables as report_tables
from sensecf.runs.report.names import labels, whose

DRAWN = (
    figures.change_rates,
    figures.change_counts,
    figures.distance_and_changes,
    figures.probabilities,
    figures.plans,
)
#: What a hostile table may hold in any place where text stands.
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'><svg onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "</title><a href='javascript:alert(1)'>x</a>",
    "<!-- -->]]><![CDATA[<b>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;script&gt; &amp; &#x3c;",
    "$\\frac{1}{2}$ \\alpha _x^y $",
    "fill: #0072b2; url(#x) id=\"y\"",
    "\u202eright to left\u2066",
    "null \x00 bell \x07 del \x7f",
    "line\nbreak\ttab",
    "日本語 😀 ñ",
    "long_" * 40,
)  # fmt: skip


class Page(HTMLParser):
    """The tags of a page with their attributes, its text, and whether every tag is closed in order."""

    VOID = ("meta", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(cfs: Counterfactuals, task: Task, run: dict[str, Any] | None = None, **extra: Any) -> Page:
    return Page(report.render(metrics.read(cfs, task), metrics.summarise(cfs, task), run or {}, **extra))


@pytest.fixture(scope="module")
def usual() -> Page:
    task = random_task()
    run = {
        "title": "A made table", "notice": "Simulated people.", "classifier": "logistic", "seed": 7,
        "versions": {"sensecf": "0.1.0"}, "arguments": {"limit": 30},
        "model_alone": {"validity": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 40}},
        "nothing": None, "flags": ["--strict"],
    }  # fmt: skip
    return page_of(random_answers(task, n=2), task, run)


# --- the page ----------------------------------------------------------------------------


def test_the_page_says_what_was_asked_and_warns_once(usual: Page) -> None:
    for words in (
        "A made table",
        "30 requests",
        "logistic",
        "y = good",
        "26 answered, 4 without",
        "Seed 7",
        "Simulated",
    ):
        assert words in usual.text, words
    warning = "A counterfactual changes a classifier’s answer. Whether it changes a person’s health is not known."
    assert usual.text.count(warning) == 1


def test_the_page_loads_nothing_and_runs_nothing(usual: Page) -> None:
    tags = [tag for tag, _ in usual.tags]
    assert not {"script", "iframe", "object", "embed", "form", "img", "base"} & set(tags)
    policy = next(a["content"] for t, a in usual.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    for tag, attributes in usual.tags:
        for key, value in attributes.items():
            assert not key.startswith("on"), (tag, key)
            if key.endswith(("href", "src")):
                assert value is not None
                assert value.startswith(("#", "data:,")), (tag, key, value)
            if value and "url(" in value:
                assert re.fullmatch(r".*url\(#[\w-]+\).*", value), (tag, value)
    style = " ".join(usual.words)
    assert "@import" not in style
    assert "url(" not in style


def test_the_page_can_be_read_without_seeing_it(usual: Page) -> None:
    tags = usual.tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in tags:
        for name in (attributes.get("aria-labelledby") or "").split():
            assert name in ids
    assert ("html", {"lang": "en"}) in tags
    names = [tag for tag, _ in tags]
    assert names.count("h1") == 1
    assert names.count("caption") == names.count("table") > 5
    assert all("scope" in a for t, a in tags if t == "th")
    drawn = [a for t, a in tags if t == "svg"]
    assert len(drawn) == len(DRAWN)
    assert all(a.get("role") == "img" and a.get("aria-labelledby") for a in drawn)
    assert any(a.get("name") == "viewport" for _, a in tags)


def test_the_page_follows_light_and_dark_and_prints(usual: Page) -> None:
    style = " ".join(usual.words)
    assert "prefers-color-scheme: dark" in style
    assert "size: A4" in style
    bars = [a["style"] for t, a in usual.tags if t == "path" and "var(--up, #0072b2)" in (a.get("style") or "")]
    assert bars


def test_every_number_stands_beside_its_interval_and_denominator(usual: Page) -> None:
    task = random_task()
    summary = metrics.summarise(random_answers(task, n=2), task)
    row = summary.loc["validity"]
    assert f"{100 * row['value']:.1f} %" in usual.text
    assert f"{100 * row['low']:.1f}–{100 * row['high']:.1f} %" in usual.text
    assert "of 30 requests" in usual.text
    assert "Rules of the schema kept;" in usual.text.partition("Not defined for this run: ")[2]
    assert "nan" not in usual.text.lower().split()


def test_the_record_of_the_run_is_listed(usual: Page) -> None:
    for words in ("limit 30", "--strict", "sensecf 0.1.0", "nothing –"):
        assert words in usual.text


def test_what_the_model_does_alone_is_shown(usual: Page) -> None:
    assert re.search(r"The model alone: .* Valid 90\.0 % 80\.0–95\.0 % 40", usual.text)


def test_a_plan_shows_only_what_changes_in_units_with_verdicts_judged_anew() -> None:
    cfs = hand({"steps": 8000, "device": "ring"}, {"deep": 41.5}, {})
    text = page_of(cfs, hand_task()).text
    assert "Steps 4,000 → 8,000 steps (+4,000) Device watch → ring 0.20 → 0.90 yes" in text
    assert "Deep 30.0 → 41.5 min (+11.5) 0.20 → 0.20 no" in text
    assert "no change needed" in text
    assert "-1.00" not in text  # what the frame says of its probabilities


def written(cfs: Counterfactuals, folder: Path) -> dict[str, Page]:
    """The pages of a report by name."""
    scored = metrics.read(cfs, hand_task())
    report.write_report(folder, scored, metrics.summarise(scored), {})
    return {p.relative_to(folder).as_posix(): Page(p.read_text(encoding="utf-8")) for p in folder.rglob("*.html")}


def of_people(cfs: Counterfactuals, people: int) -> Counterfactuals:
    """The same answers, of so many people in turn, a day each."""
    names = [f"P-{k % people:02d}" for k in range(len(cfs.factuals))]
    when = [f"2026-03-{1 + k // people:02d}" for k in range(len(cfs.factuals))]
    factuals = cfs.factuals.assign(person=names, when=when)
    return replace(cfs, factuals=factuals)


def test_only_the_first_rows_are_listed_and_the_others_have_pages(tmp_path: Path) -> None:
    edits = [{"steps": 8000 + 100 * (i % 5)} for i in range(report.PEOPLE + 3)]
    pages = written(hand(*edits), tmp_path)
    assert sorted(pages) == ["people/2.html", "report.html"]
    assert f"The first {report.PEOPLE} of {report.PEOPLE + 3} answered rows" in pages["report.html"].text
    counts = {name: sum(a.get("data-label") == "Whose" for _, a in page.tags) for name, page in pages.items()}
    assert counts == {"report.html": report.PEOPLE, "people/2.html": 3}


def test_everybody_is_found_by_name_from_every_page(tmp_path: Path) -> None:
    cfs = of_people(hand(*[{"steps": 8000}] * 180), 60)
    pages = written(cfs, tmp_path)
    for name, page in pages.items():
        links = [str(a["href"]) for t, a in page.tags if t == "a" and re.search(r"#p\d+$", str(a.get("href")))]
        assert len(links) == 60
        for link in links:
            file, _, anchor = link.partition("#")
            there = (tmp_path / name).parent / file if file else tmp_path / name
            target = pages[there.resolve().relative_to(tmp_path.resolve()).as_posix()]
            assert anchor in {a.get("id") for _, a in target.tags}
    assert "P-00 a plan for 3 of 3 days" in pages["report.html"].text
    assert "P-55 a plan for 3 of 3 days" in pages["people/2.html"].text


def test_the_first_screen_shows_one_person_and_their_days() -> None:
    page = page_of(of_people(hand({"steps": 8000}, {"deep": 20.0}, {"steps": 9000}, {"steps": 8000}), 2), hand_task())
    front = page.text.partition("All measures")[0]
    assert "4 days of 2 people that" in front
    assert "One person P-00 , stress: high on 2 of 2 days. There is a plan for 2 of 2" in front
    assert sum(t == "circle" and a.get("class") == "after" for t, a in page.tags) == 2


def test_the_first_screen_shows_one_plan_where_nobody_has_several_rows() -> None:
    page = page_of(hand({"steps": 8000}, {"steps": 9000}, {"deep": 20.0}), hand_task())
    front = page.text.partition("All measures")[0]
    assert "One of them Row " in front
    assert "in the middle of all, by how much is asked for: steps 8,000 steps instead of 4,000" in front
    assert "Probability of low: 90% instead of 20%." in front


def test_the_first_screen_says_how_good_the_classifier_is_before_any_plan() -> None:
    known = metrics.unknown()
    known.loc["classifier_auc", ["value", "low", "high", "n", "defined", "people"]] = [0.89, 0.85, 0.91, 600, True, 60]
    known.loc["false_alarms", ["value", "low", "high", "n", "defined", "people"]] = [0.26, 0.2, 0.33, 258, True, 52]
    cfs = hand({"steps": 8000})
    summary = pd.concat([known, metrics.summarise(cfs, hand_task())])
    text = Page(report.render(metrics.read(cfs, hand_task()), summary, {"classifier": "xgboost"})).text
    assert "It is right in 74 % (67 to 80 %)" in text
    assert "AUC 0.89 (0.85 to 0.91)" in text
    assert text.index("It is right in") < text.index("Plan: before → after")


def test_a_name_from_right_to_left_does_not_turn_the_date_beside_it() -> None:
    cfs = hand({"steps": 8000})
    cfs = replace(cfs, factuals=cfs.factuals.assign(person="מטופל 003", when="2026-03-04"))
    assert whose(cfs)[0] == "\u200eמטופל 003\u200e · 2026-03-04"
    assert whose(replace(cfs, factuals=cfs.factuals.assign(person="P-1")))[0] == "P-1 · 2026-03-04"


@pytest.mark.parametrize(("left", "right"), [(0.9, 1.0), (0.0, 0.02), (0.5, 0.52), (0.98, 1.0)])
def test_values_beside_a_line_stay_in_its_room_and_apart(left: float, right: float) -> None:
    before, after = "8,000", "13,900 steps"
    a, b = figures._inside(left, right, before, after)
    assert a - figures.LETTER * len(before) >= -0.2 - 1e-9
    assert b + figures.LETTER * len(after) <= 1.2 + 1e-9
    assert b - a >= 0.02 - 1e-9


def test_reasons_say_labels_and_nothing_of_a_command_line() -> None:
    cfs = answers(SCHEMA, {"a": BASE}, [("a", None, {})])
    cfs.frame["reason"] = ["deep stands in the way (--hold with a smaller share asks for less, in Python hold=)"]
    text = page_of(cfs, hand_task()).text.partition("As it stands in run.json")[0]
    assert "deep stands in the way" in text
    assert "--hold" not in text


def test_abstentions_are_grouped_by_reason_the_most_frequent_first() -> None:
    cfs = answers(SCHEMA, dict.fromkeys("abcdefg", BASE), [(q, None, {}) for q in "abcdef"])
    cfs.frame["reason"] = ["steps is locked", *["the budget ran out"] * 5]
    text = page_of(cfs, hand_task()).text
    assert "7 of 7 requests, by reason" in text
    assert "the budget ran out 5 row b, row c, row d, row e, row f steps is locked 1 row a" in text
    assert "no reason was given 1 row g" in text
    assert "No request was answered." in text


def test_a_run_in_which_all_are_answered_says_so() -> None:
    assert "Every request was answered." in page_of(hand({"steps": 8000}), hand_task()).text


def test_no_request_at_all_makes_a_page() -> None:
    cfs = hand({"steps": 8000})
    assert "0 requests" in page_of(Counterfactuals(cfs.frame.iloc[:0], cfs.factuals.iloc[:0], SCHEMA), hand_task()).text


def test_further_tables_can_be_added() -> None:
    frame = pd.DataFrame({"method": ["nice"], "changes": [3.25]})
    text = page_of(hand({"steps": 8000}), hand_task(), extra={"Methods side by side": frame}).text
    assert "Methods side by side method changes nice 3.25" in text


def test_candidates_that_were_tried_are_counted() -> None:
    attempts = pd.DataFrame({"generator": ["hand"], "verdict": ["not valid"], "count": [12]})
    text = page_of(replace(hand({"steps": 8000}), attempts=attempts), hand_task()).text
    assert "Candidates tried, by verdict generator verdict count hand not valid 12" in text


def test_every_metric_has_its_place_on_the_page() -> None:
    own = own_rows({"people": 3, "readable": 3, "valid_first": 2, "valid": 2, "distinct": 1, "added_up": 3})
    summary = pd.concat([metrics.unknown(), metrics.summarise(hand({"steps": 8000}), hand_task()), own])
    everything = summary.assign(defined=True, value=0.5, n=3)
    titles = {row[0] for _, table in report_tables.measures(everything) for row in table.rows}
    titles |= {row[0] for row in report_tables.cost_table(hand({"steps": 8000}), everything).rows}
    assert set(summary.index) == set(metrics.METRICS)
    assert titles == {metric.title for metric in metrics.METRICS.values()}


def test_the_page_is_written_whole_under_its_name(tmp_path: Path) -> None:
    scored = metrics.read(hand({"steps": 8000}), hand_task())
    summary = metrics.summarise(scored)
    assert report.write_report(tmp_path, scored, summary, {}) == tmp_path / "report.html"
    named = report.write_report(tmp_path / "a" / "page.html", scored, summary, {})
    assert named.read_text(encoding="utf-8") == (tmp_path / "report.html").read_text(encoding="utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "figures", "report.html"]
    svgs = sorted(p.stem for p in (tmp_path / "figures").glob("*.svg"))
    assert svgs == sorted(p.stem for p in (tmp_path / "figures").glob("*.pdf"))
    assert len(svgs) == len(DRAWN)


def test_figures_are_as_wide_as_a_column_of_a_journal_and_the_same_bytes(tmp_path: Path) -> None:
    drawn = figures.change_rates(read(hand({"steps": 8000}), hand_task()))
    for name in ("a", "b"):
        drawn.save(tmp_path / name)
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert float(root.attrib["width"].removesuffix("pt")) / 72 * 25.4 == pytest.approx(89, abs=0.1)
    for suffix in ("svg", "pdf"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_the_page_of_a_summary_read_back_is_the_same() -> None:
    scored = metrics.read(hand({"steps": 8000}), hand_task())
    summary = metrics.summarise(scored)
    back = metrics.from_json(metrics.to_json(summary))
    assert report.render(scored, back, {}) == report.render(scored, summary, {})


# --- hostile tables ----------------------------------------------------------------------


def hostile_page(text: str) -> tuple[Page, str]:
    """A page on which `text` stands in every place that a user, a table or a run can fill."""
    schema = FeatureSchema(
        (
            Feature(text, "continuous", unit=text, low=0, high=20_000, step=100, description=text),
            Feature("device", "categorical", levels=("watch", text)),
        ),
        label="label " + text,
        classes=("high", text),
        target=text,
        name=text,
    )
    train = pd.DataFrame(
        {text: TRAIN["steps"], "device": ["watch", text] * 2 + ["watch"], schema.label: ["high"] * 3 + [text] * 2}
    )
    task = Task(schema, train, Stub(lambda X: calm(X.assign(steps=X[text], deep=0)), classes=("high", text)))
    base = {text: 4000, "device": "watch"}
    cfs = answers(
        schema, {text: base, "b": base}, [(text, 1, {text: 8000, "device": text}), ("b", None, {})], text,
        generator=text, reason=text,
    )  # fmt: skip
    cfs = replace(cfs, cost={text: text, "classifier_rows": 3})
    run = {
        "title": text, "notice": text, "classifier": text, "generator": text, "seed": text, "versions": {text: text},
        "model_alone": {text: 0.5}, text + "?": {text: [text]},
    }  # fmt: skip
    extra = {text: pd.DataFrame({text: [text], "n": [1]})}
    html = report.render(read(cfs, task), metrics.summarise(cfs, task), run, extra)
    return Page(html), html


def shape(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(sorted(attributes))) for tag, attributes in page.tags]


@pytest.fixture(scope="module")
def harmless() -> list[tuple[str, tuple[str, ...]]]:
    return shape(hostile_page("plain")[0])


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_table_becomes_part_of_the_page(text: str, harmless: list[tuple[str, tuple[str, ...]]]) -> None:
    page, html = hostile_page(text)
    body = [entry for entry in shape(page) if entry[0] not in ("text", "g", "path", "use", "defs", "rect", "clippath")]
    expected = [entry for entry in harmless if entry[0] not in ("text", "g", "path", "use", "defs", "rect", "clippath")]
    assert body == expected
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]", html)


@pytest.mark.parametrize("text", HOSTILE[:9])
def test_the_reader_still_sees_what_the_table_says(text: str) -> None:
    assert " ".join(text.split()) in hostile_page(text)[0].text


# --- figures -----------------------------------------------------------------------------


@pytest.mark.parametrize("draw", DRAWN)
def test_a_figure_is_xml_with_its_text_as_text_and_the_same_every_time(draw: Any) -> None:
    task = random_task()
    cfs = random_answers(task, queries=40)
    svg = draw(read(cfs, task))
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox")
    assert root.findall(".//{http://www.w3.org/2000/svg}text")
    assert "http" not in svg.replace("http://www.w3.org/", "")
    assert draw(read(cfs, task)) == svg
    thread_result: list[str] = []
    thread = threading.Thread(target=lambda: thread_result.append(draw(read(cfs, task))))
    thread.start()
    thread.join()
    assert thread_result == [svg]


@pytest.mark.parametrize("draw", DRAWN)
def test_a_figure_of_nothing_can_be_drawn(draw: Any) -> None:
    cfs = answers(SCHEMA, {0: BASE}, [(0, None, {})])
    ElementTree.fromstring(draw(read(cfs, hand_task())))


def words_of(svg: str) -> list[str]:
    return [str(t.text) for t in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_change_rates_name_the_features_and_their_shares() -> None:
    cfs = hand({"steps": 8000}, {"steps": 8000, "deep": 20.0}, {"device": "ring"}, {"steps": 9000})
    words = words_of(figures.change_rates(read(cfs, hand_task())))
    assert {"Steps", "75 %", "Deep", "25 %", "Device", "raised", "lowered", "another level"} <= set(words)
    assert "Sleep" not in words


def test_a_share_that_is_there_is_never_said_to_be_none() -> None:
    cfs = hand({"steps": 8000, "deep": 20.0}, *[{"steps": 8000}] * 199)
    words = words_of(figures.change_rates(read(cfs, hand_task())))
    assert "< 1 %" in words
    assert "0 %" not in words


def test_plans_write_values_in_their_units() -> None:
    words = words_of(figures.plans(read(hand({"steps": 8000, "device": "ring"}), hand_task())))
    assert {"row 0", "4,000", "8,000 steps", "watch → ring"} <= set(words)


def test_the_histogram_counts_answers() -> None:
    cfs = hand({"steps": 8000}, {"steps": 9000}, {"device": "ring", "deep": 20.0})
    words = words_of(figures.change_counts(read(cfs, hand_task())))
    assert {"2", "1"} <= set(words)


def test_the_radar_has_a_line_per_method() -> None:
    runs = {name: read(hand(edit), hand_task()) for name, edit in (("nice", {"steps": 8000}), ("tiny", {"deep": 60.0}))}
    words = words_of(figures.change_radar(runs))
    assert {"nice", "tiny", *labels(SCHEMA), "100%"} <= set(words)


def test_large_runs_make_small_figures() -> None:
    task = random_task()
    cfs = random_answers(task, queries=3000)
    for draw in DRAWN:
        assert len(draw(read(cfs, task))) < 400_000, draw.__name__


def test_figures_leave_matplotlib_as_it_was() -> None:
    import matplotlib

    names = [name for name in matplotlib.rcParams if name != "backend"]  # looking at that one sets it
    before = {name: matplotlib.rcParams[name] for name in names}
    figures.change_counts(read(hand({"steps": 8000}), hand_task()))
    assert {name: matplotlib.rcParams[name] for name in names} == before


def test_matplotlib_is_loaded_when_a_figure_is_drawn_and_never_its_global_state() -> None:
    code = """
import sys
from handmade import hand, hand_task
from sensecf.metrics import read
from sensecf.runs.report import figures, report
assert "matplotlib" not in sys.modules
figures.change_counts(read(hand({"steps": 8000}), hand_task()))
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


def test_evenly_spread_positions_keep_both_ends() -> None:
    kept = figures._evenly(1001, 11)
    np.testing.assert_array_equal(kept, np.arange(0, 1001, 100))
    assert len(figures._evenly(0, 5)) == 0
