"""Tables are read as they are meant, or refused in one line that says where and what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensecf.core.errors import InputError, MissingExtraError, TableWarning
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.data.infer.infer import infer_schema
from sensecf.data.tables import check_label, check_names, check_values, read_table


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
        "a|b\n1.5|x\n",
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


def test_text_of_other_encodings_is_read_where_it_is_stated_or_marked(csv):
    text = "Müdigkeit;Größe\nmüde;1,72\nwach;1,80\n"
    for content, stated in [
        (text.encode("cp1252"), "cp1252"),
        (text.encode("mac_roman"), "mac_roman"),
        (text.encode("utf-16"), ""),
        (text.encode("utf-8-sig"), ""),
    ]:
        frame = read_table(csv(content), encoding=stated)
        assert frame["Müdigkeit"].tolist() == ["müde", "wach"]
        assert frame["Größe"].tolist() == [1.72, 1.8]


@pytest.mark.parametrize(
    ("word", "saved", "offered"),
    [
        ("müde", "cp1252", "--encoding cp1252 reads 'müde' there"),
        ("zmęczony", "cp1250", "--encoding cp1250 reads 'zmęczony' there"),
        ("усталый", "cp1251", "--encoding cp1251 reads 'усталый' there"),
        ("κουρασμένος", "cp1253", "--encoding cp1253 reads 'κουρασμένος' there"),
        ("müde", "mac_roman", "--encoding mac_roman reads 'müde' there"),
        ("m²", "cp1252", "--encoding cp1252 reads 'm²' there"),
        ("°C", "cp1252", "--encoding cp1252 reads '°C' there"),
        ("µg", "cp1252", "--encoding cp1252 reads 'µg' there"),
    ],
)
def test_a_word_in_another_encoding_is_shown_as_the_likely_ones_read_it(csv, word, saved, offered):
    content = f"a,b\n1,{word}\n".encode(saved)
    assert offered in refusal(csv(content))
    assert read_table(csv(content), encoding=saved)["b"].tolist() == [word]


def test_an_unknown_encoding_is_refused(csv):
    with pytest.raises(InputError, match="encoding 'cp99' is unknown"):
        read_table(csv("a,b\n1,2\n"), encoding="cp99")
    with pytest.raises(InputError, match="'hex' is unknown"):
        read_table(csv("a,b\n1,2\n"), encoding="hex")


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


def test_a_million_names_that_clash_are_refused_at_once():
    with pytest.raises(InputError, match="'0' occurs more than once"):
        check_names(["x", *["0"] * 1_000_000])


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
    ],
)
def test_codes_and_text_beside_numbers_are_no_stray_words_and_are_named(values):
    with pytest.warns(TableWarning, match="column 'x' has numbers such as .* beside .* and is taken as text"):
        check_values(pd.DataFrame({"x": values}), ["x"])


@pytest.mark.parametrize("value", ["~ 6.5", "6.5 ± 0.2", "1-5", "120 over 80", "5'11\"", "1_000"])
def test_what_begins_as_a_number_and_stays_text_is_named(value):
    with pytest.warns(TableWarning, match="column 'x' has values such as .* and is taken as text, not as numbers"):
        check_values(
            pd.DataFrame(
                {
                    "x": [
                        *(value.replace("5", str(i)).replace("0", str(i)).replace("11", str(i)) for i in range(12)),
                        "none",
                    ]
                }
            ),
            ["x"],
        )


def test_a_time_of_day_that_may_be_a_length_of_time_is_said_to_be_left_out():
    frame = pd.DataFrame({"x": ["7:32", "8:01"] * 20, "steps": [1, 5, 3, 2] * 10, "y": ["a", "b"] * 20})
    with pytest.warns(TableWarning, match="column 'x' .* left out as a time of day"):
        assert infer_schema(frame, label="y").ignored["x"] == "a date or time"


@pytest.mark.parametrize("values", [["a", "b", "c"] * 10, [True, None, False], ["A/5 1", "7", "B", "C", "D"]])
def test_words_are_words(values):
    check_values(pd.DataFrame({"x": values}), ["x"])


def test_an_infinite_value_is_refused_with_its_row():
    with pytest.raises(InputError, match=r"column 'x', row 1: the value is infinite \(2 such values\)"):
        check_values(pd.DataFrame({"x": [1.0, -np.inf, np.inf]}), ["x"])


# --- as people have them ---


def test_german_and_american_files_are_the_same_table(csv):
    american = csv("steps\tglucose\n11,398\t7.2\n987\t10.0\n", "us.tsv")
    german = csv("steps;glucose\n11.398;7,2\n987;10,0\n", "de.csv")
    quoted = csv('steps,glucose\n"11,398",7.2\n987,10.0\n', "quoted.csv")
    for path in (american, german, quoted):
        assert read_table(path).to_dict("list") == {"steps": [11398, 987], "glucose": [7.2, 10.0]}


@pytest.mark.parametrize(
    "text", ["steps;x\n1,234;a\n987;b\n", "steps\tx\n11.398\ta\n", 'steps,x\n"1,234",a\n', "s,x\n1.234,a\n987,b\n"]
)
def test_a_file_with_two_readings_is_refused_and_a_stated_mark_settles_it(csv, text):
    path = csv(text)
    assert "nothing in the file settles which; say --decimal . or --decimal ," in refusal(path)
    point, comma = (read_table(path, decimal=mark).iloc[0, 0] for mark in ".,")
    assert {point, comma} in ({1234, 1.234}, {11398, 11.398})


def test_a_schema_settles_numbers_by_their_range_and_minds_its_own_columns_only(csv):
    feature = Feature("steps", "integer", low=0, high=60000, step=1)
    schema = FeatureSchema(features=(feature,), label="y", classes=("a", "b"))
    frame = read_table(csv('steps,other,y\n"1,234","5,678",a\n'), schema)
    assert frame["steps"].tolist() == [1234]
    assert frame["other"].tolist() == ["5,678"]


@pytest.mark.parametrize(
    "ids",
    [["1", "001"], ["00E1", "00E2", "01E2"], ["1.1", "1.10"], ["1E2", "100"], ["01", "12"], ["9" * 18, "9" * 17 + "8"]],
)
def test_identifiers_stay_as_many_as_they_are_written(csv, ids):
    frame = read_table(csv("subject_id,x\n" + "".join(f"{name},{i}\n" for i, name in enumerate(ids))))
    assert frame["subject_id"].astype(str).tolist() == ids


def test_leading_zeros_make_any_column_text_and_this_is_said(csv):
    with pytest.warns(TableWarning, match="column 'ward': '007' is written like an identifier"):
        frame = read_table(csv("ward,x\n007,1\n12,2\n"))
    assert frame["ward"].tolist() == ["007", "12"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("visit_date", [45000, 45199]),
        ("measured_at", [1714521600, 1714608000]),
        ("clock", [1714521600000, 1714608000000, 1714608000001]),
        ("dob", [19800101, 19991231]),
    ],
)
def test_numbers_that_are_dates_become_dates(csv, name, values):
    with pytest.warns(TableWarning, match=rf"column '{name}': {values[0]} is read as the date"):
        frame = read_table(csv(f"{name},x\n" + "".join(f"{v},1\n" for v in values)))
    assert frame[name].dtype.kind == "M"


@pytest.mark.parametrize(("name", "values"), [("steps", [45000, 45199]), ("date_count", [3, 5]), ("x", [20240000, 1])])
def test_other_numbers_are_no_dates(csv, name, values):
    assert read_table(csv(f"{name},x2\n" + "".join(f"{v},1\n" for v in values)))[name].tolist() == values


def test_units_durations_and_pressures_become_numbers_and_it_is_said(csv):
    rows = ["hr,sat,slept,bp", "72 bpm,83%,7h 32m,120/80", "80 bpm,97 %,8h,111/70", ",,,"]
    with pytest.warns(TableWarning) as said:
        frame = read_table(csv("\n".join(rows)))
    assert frame.columns.tolist() == ["hr", "sat", "slept", "bp_systolic", "bp_diastolic"]
    assert frame.iloc[0].tolist() == [72, 83, 452, 120, 80]
    assert frame.iloc[2].isna().all()
    assert frame.attrs["units"]["hr"] == "bpm"
    assert len(said) == 4


def test_words_among_numbers_are_refused_with_their_rows_however_many(csv):
    words = ["Low", "HI", "blurred", "<3.9", "see note"] * 4
    text = "".join(f'"{v}",a\n' for v in [*(f"{n / 10}".replace(".", ",") for n in range(35, 95)), *words])
    message = refusal(csv("glucose,x\n" + text))
    assert "row 60: 'Low'" in message
    assert "20 of 80 values" in message


def test_spellings_of_a_level_are_said_and_become_one_on_request(csv):
    path = csv("smoker,x\nyes,1\nYes,2\nyes,3\nno,4\n")
    with pytest.warns(TableWarning, match="'Yes' like 'yes'"):
        check_values(read_table(path), ["smoker"])
    assert read_table(path, merge_spellings=True)["smoker"].tolist() == ["yes", "yes", "yes", "no"]


def test_text_of_parquet_is_read_where_digits_alone_stay_text(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs the extra sensecf[parquet]")
    frame = pd.DataFrame(
        {"steps": ["10,927", "987"], "code": ["1", "2"], "glucose": [7.2, 8.0], "hr": ["72 bpm", "80 bpm"]}
    )
    frame.to_parquet(tmp_path / "table.parquet")
    with pytest.raises(InputError, match=r"'10,927' is 10\.927 or 10927"):
        read_table(tmp_path / "table.parquet")
    back = read_table(tmp_path / "table.parquet", thousands=",")
    assert back["steps"].tolist() == [10927, 987]
    assert back["code"].tolist() == ["1", "2"]
    assert back["hr"].tolist() == [72, 80]


def test_a_table_that_unfolds_to_too_much_is_refused_before_it_is_read(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow", reason="Parquet needs the extra sensecf[parquet]")
    monkeypatch.setattr("sensecf.data.tables.MAX_CELLS", 100)
    pd.DataFrame({"x": [0] * 101}).to_parquet(tmp_path / "table.parquet")
    assert "101 rows of 1 columns, more than the 100 cells" in refusal(tmp_path / "table.parquet")


@pytest.mark.parametrize("value", [1e20, 2.0**53, np.uint64(2**64 - 1)])
def test_whole_numbers_that_are_not_exact_are_refused_with_their_row(value):
    with pytest.raises(InputError, match=r"column 'x', row 1: .* is larger than"):
        check_values(pd.DataFrame({"x": pd.Series([1, value], dtype=object)}), ["x"])


def test_numbers_beyond_single_precision_and_lists_are_refused_with_their_row():
    with pytest.raises(InputError, match=r"column 'x', row 0: 1e\+308 is larger than"):
        check_values(pd.DataFrame({"x": [1e308, 0.5]}), ["x"])
    with pytest.raises(InputError, match="column 'x', row 1: a list is no single value"):
        check_values(pd.DataFrame({"x": [1, [2]]}), ["x"])
