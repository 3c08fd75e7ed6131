"""Tables are read as they are meant, or refused in one line that says where and what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensecf.errors import InputError, MissingExtraError
from sensecf.tables import check_label, check_names, check_values, read_table


@pytest.fixture
def csv(tmp_path):
    """Write a CSV file and give its path."""

    def write(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as error:
        read_table(path)
    message = str(error.value)
    assert "\n" not in message
    return message


# --- what is read ---


def test_numbers_booleans_and_text_get_their_dtypes(csv):
    frame = read_table(csv("whole,real,flag,word\n1,0.1,TRUE,x\n2,2,false,y\n"))
    assert frame["whole"].tolist() == [1, 2]
    assert frame["whole"].dtype == np.int64
    assert frame["real"].tolist() == [0.1, 2.0]
    assert frame["flag"].tolist() == [True, False]
    assert frame["word"].tolist() == ["x", "y"]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1.5,x\n",
        "a;b\n1,5;x\n",
        "a;b\n1.5;x\n",
        "a\tb\n1.5\tx\n",
        "a\tb\n1,5\tx\n",
        "\ufeffa,b\n1.5,x\n",
        "\n a , b \n\n 1.5 , x \n   \n",
        "a,b\r\n1.5,x\r\n",
        "a,b\r1.5,x\r",
    ],
)
def test_delimiters_decimal_commas_spaces_and_line_ends_all_read_alike(csv, text):
    frame = read_table(csv(text))
    assert frame.columns.tolist() == ["a", "b"]
    assert frame.values.tolist() == [[1.5, "x"]]


@pytest.mark.parametrize("blank", ["", "?", "NA", "n/a", "NaN", "null", " ? "])
def test_usual_spellings_of_missing_are_blank_in_any_column(csv, blank):
    frame = read_table(csv(f"number,word\n1,a\n{blank},{blank}\n"))
    assert frame.isna().sum().tolist() == [1, 1]


def test_none_is_a_level_among_words_and_a_blank_among_numbers(csv):
    frame = read_table(csv("disorder,glucose\nNone,5.5\nInsomnia,None\nApnea,-\n"))
    assert frame["disorder"].tolist() == ["None", "Insomnia", "Apnea"]
    assert frame["glucose"].isna().tolist() == [False, True, True]
    assert frame["glucose"].dtype == float


def test_booleans_with_blanks_stay_booleans(csv):
    frame = read_table(csv("flag,x\ntrue,1\n,2\nFALSE,3\n"))
    assert frame["flag"].dropna().tolist() == [True, False]


def test_quoted_fields_may_hold_the_delimiter_and_line_breaks(csv):
    frame = read_table(csv('a,b\n"x, y",1\n"u\nv",2\n'))
    assert frame["a"].tolist() == ["x, y", "u\nv"]


def test_unicode_names_and_values_survive(csv):
    frame = read_table(csv("größe,日\n1,é\n"))
    assert frame.columns.tolist() == ["größe", "日"]
    assert frame["日"].tolist() == ["é"]


def test_underscored_digits_are_no_number(csv):
    assert read_table(csv("a,b\n1_000,2\n3,4\n"))["a"].tolist() == ["1_000", "3"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_floats_are_read_exactly_as_written(csv, values):
    path = csv("a,b\n" + "".join(f"{value!r},x\n" for value in values))
    assert read_table(path)["a"].tolist() == values


# --- what is refused ---


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("a,b\n", "no rows"),
        (b"a,b\n1,caf\xe9\n", "byte 9, line 2: 0xE9"),
        ("a,b\n1,2\n".encode("utf-16"), "iconv -f UTF-16"),
        (b"PK\x03\x04\x00", "zero byte (line 1)"),
        ("a,b\n1,2\n1,2,3\n", "line 3: 3 field(s) where the header has 2"),
        ("a,b\n1,2\n\n1\n", "line 4: 1 field(s) where the header has 2"),
        ("a,b,a\n1,2,3\n", "'a' occurs more than once (columns 1, 3)"),
        ("a, a \n1,2\n", "'a' occurs more than once"),
        (",b\n1,2\n", "column 1 has no name"),
        ('a,b\n"x,2\n', "check the quotes"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_place(csv, content, said):
    assert said in refusal(csv(content))


def test_missing_file_folder_and_unknown_suffix_are_refused(csv, tmp_path):
    assert "does not exist" in refusal(tmp_path / "nowhere.csv")
    assert "is a folder" in refusal(tmp_path)
    assert "'.xlsx' is unknown" in refusal(csv("a", "table.xlsx"))
    assert "no readable Parquet file" in refusal(csv("a,b\n1,2\n", "table.parquet"))


# --- Parquet ---


def test_parquet_comes_back_with_its_dtypes_and_its_named_index(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs the extra sensecf[parquet]")
    frame = pd.DataFrame(
        {"n": [1, 2], "when": pd.to_datetime(["2024-01-01", "2024-01-02"]), "c": pd.Categorical(["u", "v"])},
        index=pd.Index([7, 8], name="person_id"),
    )
    frame.to_parquet(tmp_path / "table.parquet")
    back = read_table(tmp_path / "table.parquet")
    assert back.columns.tolist() == ["person_id", "n", "when", "c"]
    assert back["person_id"].tolist() == [7, 8]
    assert back["when"].dtype.kind == "M"


def test_parquet_without_pyarrow_names_the_extra(csv, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"sensecf\[parquet\]"):
        read_table(csv("PAR1", "table.parquet"))


# --- names, label, values ---


def test_names_become_text_and_clash_as_text():
    assert check_names([0, " a "]) == ["0", "a"]
    with pytest.raises(InputError, match="'1' occurs more than once"):
        check_names([1, "1"])


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0.0, 1.0, np.nan], [0, 1]),
        (pd.array([2, None, 1], dtype="Int64"), [2, 1]),
        (pd.Categorical(["low", "high", None]), ["low", "high"]),
        (pd.array([True, False, None], dtype="boolean"), [True, False]),
        (["yes", "no", None], ["yes", "no"]),
        ([-1.0, 1.0, None], [-1, 1]),
    ],
)
def test_labels_come_back_plain_and_rows_without_one_are_dropped_and_counted(values, classes):
    labelled, dropped = check_label(pd.DataFrame({"x": range(3), "y": values}), "y")
    expected = [c for c in classes if c is not None]
    assert labelled["y"].tolist() == expected
    assert [type(v) for v in labelled["y"].tolist()] == [type(v) for v in expected]
    assert dropped == 3 - len(expected)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1] * 60, "one class only"),
        ([None] * 60, "no value"),
        (list(np.linspace(0, 1, 60)), "60 distinct numbers.*make classes"),
        (list(range(30)) * 2, "30 distinct numbers"),
        ([f"note {i}" for i in range(60)], "60 distinct values in 60 rows"),
        ([1.0, np.inf] * 30, "row 1: the value is infinite"),
    ],
)
def test_a_label_that_is_no_class_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        check_label(pd.DataFrame({"y": values}), "y")


def test_an_unknown_label_gets_the_closest_name():
    with pytest.raises(InputError, match="did you mean 'stress'"):
        check_label(pd.DataFrame({"stress": [0, 1], "steps": [1, 2]}), "stres")


def test_a_stray_word_in_a_measured_column_is_refused_with_its_row():
    frame = pd.DataFrame({"glucose": [*map(str, range(100, 160)), "Low"]})
    with pytest.raises(InputError, match="row 60: 'Low'; 1 of 61 values"):
        check_values(frame, ["glucose"])


@pytest.mark.parametrize(
    "values",
    [
        ["<19", "20", "21", "22", ">=25"] * 20,  # binned codes, mostly numbers
        [f"A/5 {i}" if i % 3 == 0 else str(i) for i in range(90)],  # ticket numbers
        ["a", "b", "c"] * 10,
        [True, None, False],
    ],
)
def test_codes_and_text_are_no_stray_words(values):
    check_values(pd.DataFrame({"x": values}), ["x"])


def test_an_infinite_value_is_refused_with_its_row():
    with pytest.raises(InputError, match=r"column 'x', row 1: the value is infinite \(2 such values\)"):
        check_values(pd.DataFrame({"x": [1.0, -np.inf, np.inf]}), ["x"])
