"""Whose row it is, when, and what is shown: found, read, kept, and never learned from or sent."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sensecf.core.errors import InputError
from sensecf.core.people import Counted, counted, noun_of
from sensecf.core.schema import FeatureSchema
from sensecf.data.infer.infer import infer_schema, infer_schema_with_notes
from sensecf.data.tables import read_table
from sensecf.data.when import moments, written

N = 200


def table(**columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"noise": rng.normal(size=N).round(2), "y": np.arange(N) % 2} | columns)


# --- found by name and values ---


@pytest.mark.parametrize(
    "name", ["participant_id", "subject", "PatientID", "person", "id", "user_no", "patient_nbr", "Probanden-Nr", "VP"]
)
def test_a_persons_identifier_that_repeats_says_whose_row_it_is(name: str) -> None:
    schema = infer_schema(table(**{name: np.repeat(np.arange(20), N // 20)}), "y")
    assert schema.person == name == schema.group
    assert schema.names == ["noise"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("record_id", np.arange(N) * 7 % 1009),
        ("Patientennummer", np.arange(N) * 7 % 1009),
        ("code", [f"SIM-{i:04d}" for i in range(N)]),
        ("x", [f"{i:024x}" for i in range(N)]),
    ],
)
def test_an_identifier_of_each_row_is_a_person_of_one_row(name: str, values: object) -> None:
    inferred = infer_schema_with_notes(table(**{name: values}), "y")
    assert inferred.schema.person == name
    assert not inferred.schema.ignored
    assert any("200 people, one row each" in remark for remark in inferred.remarks)


def test_one_that_repeats_comes_before_one_of_each_row() -> None:
    schema = infer_schema(table(id=np.arange(N), subject=np.repeat(np.arange(20), 10)), "y")
    assert schema.person == "subject"
    assert "id" in schema.ignored


def test_text_shaped_like_an_identifier_names_people_where_something_else_is_theirs() -> None:
    whose = np.repeat([f"K{i:03d}" for i in range(20)], 10)
    age = np.repeat(np.arange(20) % 7 + 40, 10)
    assert infer_schema(table(Kennung=whose, Alter=age), "y").person == "Kennung"
    codes = np.array([f"E{i % 17:02d}" for i in range(N)])  # of diagnoses: nothing belongs to one
    assert infer_schema(table(diagnosis=codes, Alter=age), "y").person is None


@pytest.mark.parametrize(
    ("name", "values", "first"),
    [
        ("date", [f"2024-05-{i % 28 + 1:02d}" for i in range(N)], "2024-05-01"),
        ("when", ["1/5/2024 10:30", "21/5/2024 11:00"] * (N // 2), "2024-05-01T10:30:00"),
        ("Datum", [f"{i % 28 + 1:02d}.05.2024" for i in range(N)], "2024-05-01"),
        ("Datum", 45000.5 + np.arange(N) * 7 % 200, "2023-03-15T12:00:00"),
        ("stamp", pd.date_range("2024-01-01", periods=N), "2024-01-01"),
        ("stamp", pd.date_range("2024-01-01", periods=N, tz="UTC"), "2024-01-01"),
        ("stamp", ["2024-05-01T23:30:00+02:00", "2024-05-02T23:30:00Z"] * (N // 2), "2024-05-01T23:30:00"),
        ("day", ["1 May 2024", "2 June 2024"] * (N // 2), "2024-05-01"),
        ("timestamp", 1.7e9 + np.arange(N) * 60, "2023-11-14T22:13:20"),
        ("date", 20240501 + np.arange(N) % 28, "2024-05-01"),
        ("visit_date", 45000 + np.arange(N) * 7 % 200, "2023-03-15"),
        ("recorded", 1_700_000_000_000 + np.arange(N) * 7 % 150 * 60_000, "2023-11-14T22:13:20"),
        ("x", 1_700_000_000 + np.arange(N) * 7 % 150 * 60, "2023-11-14T22:13:20"),
    ],
)
def test_a_date_says_when_and_is_written_in_one_way(name: str, values: object, first: str) -> None:
    frame = table(**{name: values})
    schema = infer_schema(frame, "y")
    assert (schema.when, schema.names, dict(schema.ignored)) == (name, ["noise"], {})
    assert written(frame[name]).iloc[0] == first


def test_a_date_that_is_the_same_in_all_rows_of_a_person_is_not_when() -> None:
    whose, enrolled = np.repeat(np.arange(20), 10), np.repeat(pd.date_range("2024-01-01", periods=20), 10)
    day = np.tile(pd.date_range("2024-03-01", periods=10), 20)
    schema = infer_schema(table(subject=whose, date=enrolled, measured=day), "y")
    assert schema.when == "measured"
    assert "date" in schema.ignored


def test_day_first_is_said_where_a_date_has_two_readings() -> None:
    with pytest.warns(UserWarning, match=r"'03/04/2024' is read as 2024-04-03, the day first"):
        assert written(pd.Series(["03/04/2024", "05/04/2024"], name="d")).tolist() == ["2024-04-03", "2024-04-05"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert written(pd.Series(["03/14/2024", "", None], name="d").replace("", np.nan))[0] == "2024-03-14"
    assert moments(pd.Series(["soon", "2024-05-01"])) is None
    assert written(pd.Series(["soon", None, " later"])).tolist() == ["soon", "", "later"]


def test_what_is_stated_wins_and_must_exist() -> None:
    frame = table(subject=np.repeat(np.arange(20), 10), clinic=np.repeat(list("abcde"), 40), note=["x", "y"] * 100)
    schema = infer_schema(frame, "y", group="clinic", shown=["note"])
    assert (schema.person, schema.shown, schema.names) == ("clinic", ("note",), ["noise"])
    assert "subject" in schema.ignored
    for stated in ({"person": "nobody"}, {"when": "nobody"}, {"shown": ["nobody"]}):
        with pytest.raises(InputError, match="no column 'nobody'"):
            infer_schema(frame, "y", **stated)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="both the label and the person"):
        infer_schema(frame, "y", person="y")


# --- the schema ---


def test_the_old_spelling_is_read_and_the_new_one_written(tmp_path: Path) -> None:
    schema = infer_schema(table(subject=np.repeat(np.arange(20), 10), site=["a", "b"] * 100), "y", shown=["site"])
    text = schema.to_toml(tmp_path / "new.toml")
    assert 'person = "subject"' in text
    assert FeatureSchema.from_toml(tmp_path / "new.toml") == schema
    (tmp_path / "old.toml").write_text(text.replace("person = ", "group = "))
    assert FeatureSchema.from_toml(tmp_path / "old.toml") == schema
    (tmp_path / "both.toml").write_text('group = "site2"\n' + text)
    with pytest.raises(InputError, match="differ; delete group"):
        FeatureSchema.from_toml(tmp_path / "both.toml")


def test_identifiers_are_the_text_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    ids = ["007", "7", "1e5", "12345678901234567890", "1,234", "NA", " 12 ", "1.0"]
    rows = "".join(f'"{who}",{i},{i}.5,{"ab"[i % 2]}\n' for i, who in enumerate(ids))
    path.write_text("whose,room,x,y\n" + rows)
    schema = infer_schema(pd.DataFrame({"x": [0.5, 1.5, 7.5], "y": ["a", "b", "a"]}), "y")
    schema = FeatureSchema(schema.features, "y", ("a", "b"), person="whose", shown=("room",))
    frame = read_table(path, schema)
    assert list(frame.columns) == ["whose", "room", "x", "y"]
    assert frame["whose"].fillna("").tolist() == ["007", "7", "1e5", "12345678901234567890", "1,234", "", "12", "1.0"]
    assert frame["room"].tolist() == list("01234567")
    assert frame["x"].dtype == float


# --- counts in words ---


def test_rows_are_never_called_people() -> None:
    assert str(Counted(258, 52, "days")) == "258 days of 52 people"
    assert str(Counted(303)) == "303 rows"
    assert str(Counted(40, 40, "days")) == "40 people"
    assert str(Counted(1, 1)) == "1 person"
    assert str(Counted(1)) == "1 row"
    assert str(Counted(1204, 1, "days")) == "1,204 days of 1 person"


def test_a_row_is_a_day_where_each_has_a_date_of_its_own() -> None:
    days = pd.DataFrame({"person": ["a", "a", "b"], "when": ["2024-05-01", "2024-05-03", "2024-05-01"]})
    assert noun_of(days) == "days"
    assert str(counted(days)) == "3 days of 2 people"
    assert noun_of(days.assign(when="2024-05-01")) == "rows"  # twice the same day
    assert noun_of(days.assign(when=["2024-05-01T10:00:00"] * 3)) == "rows"
    assert noun_of(days.assign(when=["2024-05-01", "2024-06-03", ""])) == "rows"
    assert noun_of(days.assign(when=["2024-05-01", "2024-06-03", "2024-05-01"])) == "rows"  # visits, a month apart
    assert noun_of(days[["person"]]) == "rows"
    assert noun_of(days[["person"]].drop_duplicates()) == "people"
