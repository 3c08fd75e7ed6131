"""Tables that are named in other ways than ours: what people read of them is what stands in the file, and rows without
people are called rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from handmade import random_task
from sensecf.core.people import called
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.runs.report.names import in_labels, inside, labels


def named(*names: str, unit: str = "") -> list[str]:
    """The labels of numbers of these names."""
    features = tuple(Feature(name, "continuous", low=0, high=9, step=0.1, unit=unit) for name in names)
    return labels(FeatureSchema(features, "y", ("a", "b"), "a"))


@pytest.mark.parametrize(
    "name",
    [
        "Konzentration am Nachmittag, nach Einschätzung der Angehörigen",
        "Ängstlichkeit/Übelkeit %",
        "Donaudampfschifffahrtsgesellschaftskapitänsmützengröße",
        "<script>alert(1)</script>",
        "ندرة الحديد في الدم",
        "p<0.05 & co.",
        "💤 score",
    ],
)
def test_a_name_that_was_written_for_people_is_shown_as_it_stands(name: str) -> None:
    assert named(name) == [name]
    assert inside(name) in (name, name[:1].lower() + name[1:])


def test_a_name_for_machines_is_read_out_and_a_unit_at_the_end_stands_once() -> None:
    assert named("grip_strength", "HDL_ratio", "odd_thing") == ["Grip strength", "HDL ratio", "Odd thing"]
    assert named("Griffkraft der Hand (kg)", unit="kg") == ["Griffkraft der Hand"]
    assert named("spaced  name ") == ["Spaced name"]


def test_within_a_sentence_nouns_and_abbreviations_keep_their_capitals() -> None:
    names = ("Steps", "HbA1c", "REM sleep", "Schlaf pro Nacht", "Übelkeit", "Light sleep (N1 and N2)")
    said = ["steps", "HbA1c", "REM sleep", "Schlaf pro Nacht", "Übelkeit", "light sleep (N1 and N2)"]
    assert [inside(name) for name in names] == said


def test_labels_take_the_place_of_names_at_the_beginning_of_each_part() -> None:
    of = {"sleep": "Total sleep time", "sleep_deep": "Deep"}
    told = in_labels("sleep 300 → 330 min; sleep_deep 40 → 50 min; as it is", of)
    assert told == "Total sleep time 300 → 330 min; Deep 40 → 50 min; as it is"


def test_rows_without_people_are_called_rows() -> None:
    rows = called(pd.DataFrame({"x": [1, 2]}))
    assert (rows.people, rows.many, rows.one, rows.days, rows.day) == (False, "rows", "row", "rows", "row")
    days = called(pd.DataFrame({"person": ["a", "a"], "when": ["2026-01-01", "2026-01-02"]}))
    assert (days.people, days.many, days.one, days.days, days.day) == (True, "people", "person", "days", "day")


# --- on the page ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page_of_rows() -> Any:
    """A page over rows of nobody, with long names in three scripts."""
    pytest.importorskip("starlette", reason="the page's packages are not installed")
    from sensecf.core.task import Task
    from sensecf.generators.search import Search
    from sensecf.web.cohort import Cohort, encode_people
    from sensecf.web.trust import Trust

    base = random_task(people=120)
    odd = (
        "Schlafdauer pro Nacht, gemessen mit dem Sensor am Handgelenk (gewichtet)",
        "عدد الخطوات اليومية",
        "Ängstlichkeit/Übelkeit %",
        "<b>&\"'",
    )
    new = dict(zip(base.schema.names, odd, strict=False))
    features = tuple(replace(f, name=new.get(f.name, f.name), role="actionable") for f in base.schema.features)
    schema = replace(base.schema, features=features, person=None)
    back = {name: old for old, name in new.items()}

    class Renamed:
        """The classifier of the table with other names."""

        classes_ = base.classes

        def predict_proba(self, rows: pd.DataFrame) -> Any:
            return base.classifier.predict_proba(rows.rename(columns=back))

        def predict(self, rows: pd.DataFrame) -> Any:
            return base.classifier.predict(rows.rename(columns=back))

    task = Task(schema, base.train.drop(columns=[str(base.schema.person)]).rename(columns=new), Renamed())
    trust = Trust("stub", auc=(0.8, 0.7, 0.9), rows=30)
    everybody = encode_people(task, task.train.head(30))
    cohort = Cohort(task, Search(task), Search(task), "good", *everybody, trust=trust)
    cohort.warm()
    return cohort


def test_a_page_of_rows_speaks_of_no_people_and_of_no_day(page_of_rows: Any, tmp_path: Any) -> None:
    from sensecf.web.app import make_app
    from webpage import away, client, csrf_of, desk_of

    with client(make_app(desk_of(page_of_rows, tmp_path))) as browser:
        row = away(page_of_rows)[3]
        browser.post(f"/person/{row}/ask", data={"csrf": csrf_of(browser.get("/").text), "day": ""})
        told = {where: browser.get(where).text for where in ("/", f"/person/{row}", "/programme", "/groups")}
    for where, text in told.items():
        words = text.partition("<main")[2].partition('class="caution"')[0].replace("give people away", "")
        for word in (" people", "by person", " days", "patient"):
            assert word not in words, (where, word)
    shown = told[f"/person/{row}"]
    assert "Real rows alike" in shown
    assert "Schlafdauer pro Nacht, gemessen mit dem Sensor am Handgelenk (gewichtet)" in shown
    assert "&lt;b&gt;&amp;" in shown


def test_the_title_of_a_card_is_short_however_long_the_names_are(page_of_rows: Any) -> None:
    from sensecf.web.cards import title_of

    long = [column.label for column in page_of_rows.columns[:4]]
    assert title_of(long[:1]) == "Schlafdauer pro Nacht…"
    assert title_of(long).endswith("and 2 more")
    assert len(title_of(long)) < 80
    assert title_of(["Sleep", "Activity"]) == "Sleep and activity"
    assert title_of([]) == "Nothing"


def test_why_a_day_is_not_turned_is_said_in_the_words_of_the_page() -> None:
    from sensecf.web.words import day_reason

    of = {"steps": "Steps"}
    refits = "with it the answer would not hold: 51 of 59 refits agree"
    assert day_reason("", of) == ""
    assert day_reason(refits, of) == "would not hold, 51 of 59 refits agree"
    assert day_reason("steps is outside its range", of) == "Steps: beyond the limits, or more than is asked of a person"
    assert day_reason("breaks a <= b", of) == "cannot be carried out then"
