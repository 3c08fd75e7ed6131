"""Numbers are read as the whole file shows that they are meant, or doubted with both readings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensecf.core.errors import InputError
from sensecf.data.numerals import CONVENTIONS, Cell, Doubt, Marks, marks_of, number, numbers, read, settle, split
from strategies import cases


def written(value: float, marks: Marks) -> str:
    """A number as a country writes it."""
    return f"{value:,}".replace(",", "\0").replace(".", marks.decimal).replace("\0", marks.thousands)


def decimal(found: Marks | Doubt) -> str:
    assert isinstance(found, Marks), found
    return found.decimal


@cases(60)
@given(
    st.sampled_from(CONVENTIONS),
    st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20),
    st.lists(st.integers(0, 10**6).map(lambda n: n / 10), min_size=1, max_size=20).filter(
        lambda v: any(x % 1 for x in v)
    ),
)
def test_whole_numbers_follow_the_decimals_of_another_column(marks, counts, sugars):
    columns = {"steps": [written(v, marks) for v in counts], "glucose": [written(v, marks) for v in sugars]}
    found = settle(columns)
    assert [number(text, found["steps"]) for text in columns["steps"]] == counts
    assert [number(text, found["glucose"]) for text in columns["glucose"]] == sugars


@pytest.mark.parametrize("text", ["1,234", "11.398", "-1,000", "999,999"])
def test_one_mark_before_three_digits_is_doubted_with_both_readings_and_the_way_out(text):
    (found,) = settle({"steps": [text, "987"]}).values()
    assert isinstance(found, Doubt)
    assert f"{text!r} is " in found.why
    assert "--decimal" in found.why


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["0,123"], ","),
        (["1,5", "1,234"], ","),
        (["1.234,5"], ","),
        (["1.234.567"], ","),
        (["1 234,5"], ","),
        (["1,234", "1,234,567"], "."),
        (["1'234.5"], "."),
        (["12,34,567", "9,876"], "."),
        (["1,998e+03"], ","),
        (["12345.678"], "."),
        (["1234,567"], ","),
    ],
)
def test_one_cell_that_has_one_reading_settles_its_column(texts, mark):
    assert decimal(settle({"x": texts})["x"]) == mark


def test_what_is_said_settles_and_what_contradicts_it_is_doubted():
    assert decimal(settle({"x": ["1,234"]}, Marks(",", ""))["x"]) == ","
    assert decimal(settle({"x": ["1,234"]}, Marks("", ","))["x"]) == "."
    found = settle({"x": ["1.5"]}, Marks(",", ""))["x"]
    assert isinstance(found, Doubt)
    assert "'1.5' is no number with the marks that were stated" in found.why


def test_two_conventions_in_a_column_are_named_and_in_two_columns_each_keeps_its_own():
    mixed = settle({"x": ["1", "7,25", "7.5"]})["x"]
    assert isinstance(mixed, Doubt)
    assert "'7,25' and '7.5' follow different conventions" in mixed.why
    found = settle({"a": ["7,2"], "b": ["7.5"], "c": ["1.234"]})
    assert (decimal(found["a"]), decimal(found["b"])) == (",", ".")
    assert isinstance(found["c"], Doubt)


def test_a_range_that_only_one_reading_fits_settles():
    found = settle(
        {"steps": ["1,234"], "vo2": ["1,234"]}, fits=lambda name, v: bool((v > 100).all() == (name == "steps"))
    )
    assert decimal(found["steps"]) == "."
    assert decimal(found["vo2"]) == ","


def test_an_assumed_point_holds_where_every_number_has_it_and_not_beside_whole_numbers():
    assert decimal(settle({"x": ["1.234", "5.678"]}, assume=".")["x"]) == "."
    assert isinstance(settle({"x": ["11.398", "987"]}, assume=".")["x"], Doubt)
    assert isinstance(settle({"x": ["1,234", "5,678"]}, assume=".")["x"], Doubt)


@pytest.mark.parametrize(
    "text", ["Low", "", "n.d.", "01.02.2024", "1.2.3", "5-", "12:30", "120/80", "1_000", "72,", "3-5"]
)
def test_words_dates_and_ranges_are_no_numbers(text):
    assert split(text) is None


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("72 bpm", Cell("72", "bpm")),
        ("83%", Cell("83", "%")),
        ("4,3mmol/L", Cell("4,3", "mmol/L")),
        ("<0.5", Cell("0.5", "", "<")),
        ("≥ 7", Cell("7", "", "≥")),
        ("$1,200", Cell("1,200", "$")),
        ("−5", Cell("-5")),
        ("36,6 °C", Cell("36,6", "°C")),
        ("EUR 12.5", Cell("12.5", "EUR")),
        ("(12.5)", Cell("-12.5")),
        ("12.5-", Cell("-12.5")),
        ("1,2 × 10^3", Cell("1,2e3")),
        ("4·10⁻²", None),
        ("1.4×10⁻²", Cell("1.4e-2")),
        ('="0012"', Cell("0012")),
        ("'12", Cell("12")),
        ("１２．５", Cell("12.5")),
        ("٣٫٥", Cell("3.5")),
        ("3·5", Cell("3.5")),
        ("12,34,567", Cell("12,34,567")),
        ("PAT 12", None),
    ],
)
def test_a_cell_is_taken_apart(text, cell):
    assert split(text) == cell


def test_numbers_leave_words_and_detection_limits_blank():
    assert np.array_equal(
        numbers(["5,6", "Low", "<3,9", "7 mmol/L"], Marks(",", ".")), [5.6, np.nan, np.nan, 7.0], True
    )


@pytest.mark.parametrize(
    ("texts", "kind", "unit", "values"),
    [
        (["72 bpm", "80 BPM"], "number", "bpm", [72, 80]),
        (["83%", "7 %"], "number", "%", [83, 7]),
        (["1 day", "3 days"], "number", "day", [1, 3]),
        (["7h 32m", "8h", "45m"], "duration", "min", [452, 480, 45]),
        (["8 h", "7.5 h"], "duration", "min", [480, 450]),
        (["1d 2h", "PT7H32M"], "duration", "min", [1560, 452]),
        (["8 heures et 7 minutes", "7 horas y 5 minutos", "6 Stunden 4 Minuten"], "duration", "min", [487, 425, 364]),
        (["0 days 08:07:00", "1 day, 0:30:00"], "duration", "min", [487, 1470]),
        (["7h 32'", "8h07"], "duration", "min", [452, 487]),
        (["6,73,000", "12,34,567"], "number", "", [673000, 1234567]),
        (["7:32", "10:05"], "clock", "min", [452, 605]),
        (["120/80", "111 / 70 mmHg"], "pressure", "mmHg", [[120, 80], [111, 70]]),
        (["5 m", "7 m"], "number", "m", [5, 7]),
    ],
)
def test_a_column_is_read_as_what_it_holds(texts, kind, unit, values):
    found = read(texts, marks_of({"x": texts}, "t")["x"])
    assert (found.kind, found.unit, found.values.tolist()) == (kind, unit, values)
    assert not found.stray.any()


@pytest.mark.parametrize(
    "texts",
    [["7.2", "5.1", "Low"], ["7.2", "5.1", "<3.9"], ["83%", "7%", "0.83"], ["5 mmol/L", "6 mmol/L", "99 mg/dL"]],
)
def test_what_is_of_another_kind_is_stray(texts):
    assert read(texts).stray.tolist() == [False, False, True]


def test_marks_of_a_file_name_the_column_in_doubt():
    with pytest.raises(InputError, match=r"a\.csv, column 'steps': '1,234' is 1\.234 or 1234"):
        marks_of({"steps": ["1,234"]}, "a.csv")
