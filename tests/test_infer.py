"""Inference says what each column is, leaves out what cannot be a feature, and gives its reasons."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.core.rules import KINDS, Order, Total, rule_from_dict
from sensecf.core.schema import RESERVED, FeatureSchema
from sensecf.data.infer.infer import infer_schema, infer_schema_with_notes
from sensecf.data.tables import read_table

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
N = 200


def table(**columns) -> pd.DataFrame:
    """N rows with a label `y` that nothing predicts and a feature `noise`, unless named otherwise."""
    rng = np.random.default_rng(0)
    return pd.DataFrame({"noise": rng.normal(size=N).round(2), "y": rng.integers(0, 2, N)} | columns)


def repeated(*values) -> list:
    return list(values) * (N // len(values))


def public(name: str) -> pd.DataFrame:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in the data folder beside the checkout")
    return read_table(path)


# --- kind, levels, range, step ---


@pytest.mark.parametrize(
    ("values", "kind", "levels"),
    [
        (repeated(True, False), "binary", (False, True)),
        (repeated(True, False, None, True), "binary", (False, True)),
        (pd.array(repeated(True, None, False, True), dtype="boolean"), "binary", (False, True)),
        (repeated(0.0, 1.0), "binary", (0, 1)),
        (repeated("b", "a"), "binary", ("a", "b")),
        (repeated("b", "c", "a", None), "categorical", ("a", "b", "c")),
        (pd.array(repeated("b", "c", "a", None), dtype="string"), "categorical", ("a", "b", "c")),
        (pd.Categorical(repeated(3, 1, 2, 1)), "categorical", (1, 2, 3)),
        (
            pd.Categorical(repeated("m", "s", "l", "s"), ["s", "m", "l", "xl"], ordered=True),
            "categorical",
            ("s", "m", "l"),
        ),
        (repeated(1, "x", 2, "z"), "categorical", ("1", "2", "x", "z")),
        ([f"level {i % 90}" for i in range(N)], "categorical", tuple(sorted(f"level {i}" for i in range(90)))),
    ],
)
def test_columns_with_levels(values, kind, levels):
    frame = table(x=values)
    feature = infer_schema(frame, "y")["x"]
    assert (feature.kind, feature.levels) == (kind, levels)
    assert feature.missing == frame["x"].isna().any()


@pytest.mark.parametrize(
    ("values", "kind", "low", "high", "step"),
    [
        (repeated(3, 1, 7, 4), "integer", 1, 7, 1),
        (repeated(3.0, 1.0, np.nan, 4.0), "integer", 1, 4, 1),
        (pd.array(repeated(3, 1, None, 4), dtype="Int64"), "integer", 1, 4, 1),
        (repeated(0.5, 1.25, 3.0, 2.0), "continuous", 0.5, 3, 0.01),
        (pd.array(repeated(0.5, 1.25, None, 2), dtype="Float64"), "continuous", 0.5, 2, 0.01),
        (np.array(repeated(0.1, 0.2, 36.6, 0.4), dtype="float32"), "continuous", 0.1, 36.6, 0.1),
        (repeated(0.1 + 0.2, 0.1, 0.7, 1.0), "continuous", 0.1, 1, 0.1),
        (repeated(-2.5, -1.0, 0.0, 3.5), "continuous", -2.5, 3.5, 0.1),
        (repeated(5, 5, 5, 5), "integer", 5, 5, 1),
    ],
)
def test_columns_of_numbers(values, kind, low, high, step):
    feature = infer_schema(table(x=values), "y")["x"]
    assert (feature.kind, feature.step) == (kind, step)
    assert [feature.low, feature.high] == pytest.approx([low, high])


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e9])
def test_many_decimals_get_a_step_of_about_a_thousandth_of_the_range(scale):
    inferred = infer_schema_with_notes(table(x=np.random.default_rng(1).normal(size=N) * scale), "y")
    feature = inferred.schema["x"]
    assert 1 / 4000 < feature.step / (feature.high - feature.low) < 1 / 250
    assert "thousandth of the range" in inferred.notes["x"]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 6).flatmap(
        lambda k: st.tuples(st.just(k), st.lists(st.integers(-(10**5), 10**5), min_size=3, max_size=30))
    )
)
def test_the_step_represents_every_value_and_the_range_holds_them(case):
    decimals, scaled = case
    values = np.resize(np.round(np.array(scaled) / 10**decimals, decimals), N)
    feature = infer_schema(table(x=values), "y")["x"]
    values = values[~np.isin(values, [*feature.missing_codes, *feature.suspect_codes])]
    if feature.numeric:
        cells = values / feature.step
        assert np.abs(cells - np.round(cells)).max() < 1e-6
        assert feature.step >= 10.0**-decimals * (1 - 1e-9)
        assert feature.low <= values.min()
        assert feature.high >= values.max()
    else:
        assert set(values) == set(feature.levels) - set(feature.suspect_codes)


def test_whole_numbers_are_codes_only_when_the_name_says_so():
    frame = table(chest_pain_type=repeated(1, 2, 3, 4), pregnancies=repeated(1, 2, 3, 4), site_id=repeated(7, 8, 9, 7))
    schema = infer_schema(frame, "y")
    assert [schema[n].kind for n in ("chest_pain_type", "pregnancies", "site_id")] == [
        "categorical", "integer", "categorical",
    ]  # fmt: skip


def test_two_numbers_with_a_unit_are_measured():
    assert infer_schema(table(sleep_onset_min=repeated(0, 8)), "y")["sleep_onset_min"].kind == "integer"


def test_a_constant_column_stays_and_is_immutable():
    inferred = infer_schema_with_notes(table(a=repeated(3), b=repeated("k")), "y")
    assert [inferred.schema[n].role for n in "ab"] == ["immutable", "immutable"]
    assert all("constant" in inferred.notes[n] for n in "ab")


# --- roles ---


def test_attributes_of_discrimination_are_protected_and_nothing_else():
    frame = table(
        age=np.arange(N) % 50 + 20, Sex=repeated("F", "M"), ethnicity=repeated(1, 2, 3, 4), steps=np.arange(N) % 9
    )
    schema = infer_schema(frame, "y")
    assert [f.name for f in schema.features if f.protected] == ["age", "Sex", "ethnicity"]


@pytest.mark.parametrize(
    ("name", "role", "protected"),
    [
        ("Geschlecht", "immutable", True),
        ("Alter", "immutable", True),
        ("Größe_cm", "immutable", False),
        ("Koerpergroesse", "immutable", False),
        ("Taille (cm)", "immutable", False),
        ("sexo", "immutable", True),
        ("edad", "immutable", True),
        ("Âge", "immutable", True),
        ("Nationalität", "immutable", True),
        ("Gewicht_kg", "mutable", False),
        ("Blutdruck", "mutable", False),
        ("Ruhepuls", "mutable", False),
        ("Schlafdauer", "actionable", False),
        ("Schritte_pro_Tag", "actionable", False),
        ("pasos", "actionable", False),
        ("Rauchen", "actionable", False),
    ],
)
def test_who_moves_a_column_is_read_in_four_languages(name, role, protected):
    feature = infer_schema(table(**{name: repeated(*range(60, 85))}), "y")[name]
    assert (feature.role, feature.protected) == (role, protected)


def test_units_that_stood_in_the_cells_are_those_of_the_features_and_let_the_catalogue_know_them():
    frame = table(
        strength=repeated(*range(60, 85)), mean_glucose=repeated(*range(90, 190)), Gewicht_kg=repeated(*range(60, 85))
    )
    frame.attrs["units"] = {"strength": "N", "mean_glucose": "mg/dL", "Gewicht_kg": "lb"}
    schema = infer_schema(frame, "y")
    assert [schema[name].unit for name in ("strength", "mean_glucose", "Gewicht_kg")] == ["N", "mg/dL", "kg"]
    assert schema["mean_glucose"].description == "mean glucose"


def test_an_unknown_name_is_mutable_and_said_to_be_a_guess():
    inferred = infer_schema_with_notes(table(foo=repeated(1, 2, 3, 4)), "y")
    assert inferred.schema["foo"].role == "mutable"
    assert "guess" in inferred.notes["foo"]


def test_how_many_features_a_person_can_move_is_the_first_thing_said():
    assert infer_schema_with_notes(table(), "y").remarks[0].startswith("actionable: none of the 1 features")
    steps = infer_schema_with_notes(table(steps=np.arange(N) * 37 % 9000), "y")
    assert steps.remarks[0] == "actionable: 1 of 2 features (steps)"


# --- columns left out ---


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("empty", [None] * N, "no value"),
        ("empty", [np.nan] * N, "no value"),
        ("items", [[1, 2]] * N, "lists"),
        ("visit_id", np.arange(N) * 7 % 1009, "identifier"),
        ("uuid", repeated("u", "v"), "identifier"),
        ("n", np.arange(5, N + 5), "row number"),
        ("nickname", [f"n{'abcdefgh'[i % 8]}{i}x" for i in range(N)], "differs in every row"),
        ("comment", [f"t{i % 150}" for i in range(N)], "free text: 150 different values"),
        ("bedtime", ["22:30", "23:15"] * (N // 2), "date"),
        ("date_of_birth", ["1954-05-01", "1961-05-02"] * (N // 2), "date"),
    ],
)
def test_columns_that_cannot_be_features_are_ignored_with_a_reason(name, values, reason):
    schema = infer_schema(table(**{name: values}), "y")
    assert schema.names == ["noise"]
    assert reason in schema.ignored[name]


def test_a_follow_up_time_in_days_is_no_date():
    assert "time" in infer_schema(table(time=np.arange(N) * 3 % 250), "y").names


def test_a_column_that_gives_the_label_away_is_ignored_with_the_measurement():
    rng = np.random.default_rng(2)
    score = rng.normal(50, 15, N)
    frame = table(score=score.round(1), y=(score > 55).astype(int), words=np.where(score > 55, "ill", "well"))
    schema = infer_schema(frame, "y")
    assert schema.names == ["noise"]
    assert re.search(r"AUC (0\.99|1\.00)", schema.ignored["score"])
    assert "leak" in schema.ignored["words"]


def test_a_strong_predictor_is_kept_unless_it_shares_the_labels_name():
    rng = np.random.default_rng(3)
    score = rng.normal(0, 1, 600)
    label = (score + rng.normal(0, 0.25, 600) > 0).astype(int)
    frame = pd.DataFrame({"cortisol": score, "other": rng.normal(size=600), "high_stress": label})
    assert "cortisol" in infer_schema(frame, "high_stress").names
    renamed = infer_schema(frame.rename(columns={"cortisol": "stress_index"}), "high_stress")
    assert "shares the word 'stress'" in renamed.ignored["stress_index"]


def test_the_only_column_is_kept_even_if_it_leaks():
    frame = pd.DataFrame({"x": np.arange(N) * 7 % 1009, "y": (np.arange(N) * 7 % 1009 > 500).astype(int)})
    inferred = infer_schema_with_notes(frame, "y")
    assert inferred.schema.names == ["x"]
    assert "likely a leak" in inferred.notes["x"]


def test_few_rows_are_not_accused_of_leaking():
    assert infer_schema(pd.DataFrame({"x": np.arange(30) * 7, "y": [0] * 15 + [1] * 15}), "y").names == ["x"]


# --- target ---


@pytest.mark.parametrize(
    ("label", "classes", "target"),
    [
        ("y", (0, 1), 0),
        ("y", (False, True), False),
        ("y", (-1, 1), -1),
        ("y", ("no", "yes"), "no"),
        ("stress", ("high", "low"), "low"),
        ("stress", ("high", "low", "medium"), "low"),
        ("diagnosis", ("Healthy", "Heart disease"), "Healthy"),
        ("state", ("not stressed", "stressed"), "not stressed"),
        ("result", ("negative", "positive"), "negative"),
        ("survived", (0, 1), 1),
        ("loan_approved", ("N", "Y"), "Y"),
        ("y", ("a", "b", "c"), None),
        ("y", (0, 1, 2, 3), None),
    ],
)
def test_the_target_is_the_wanted_class(label, classes, target):
    frame = table().drop(columns="y")
    frame[label] = np.resize(np.array(classes, dtype=object), N)
    schema = infer_schema(frame.infer_objects(), label)
    assert schema.classes == classes
    if len(classes) > 2 and target is None:
        assert schema.target is None
    else:
        assert schema.target == target
        assert type(schema.target) is type(target)


def test_classes_that_say_nothing_leave_the_target_open_however_frequent_one_is():
    inferred = infer_schema_with_notes(table(y=["a"] * 50 + ["b"] * 150), "y")
    assert inferred.schema.target is None
    assert any("--target" in remark for remark in inferred.remarks)


@pytest.mark.parametrize(
    ("label", "classes", "target"),
    [
        ("stress", ("high", "low"), "low"),
        ("sleep_quality", ("high", "low"), "high"),
        ("Schlafqualität", ("hoch", "niedrig"), "hoch"),
        ("label", ("notstressed", "stressed"), "notstressed"),
        ("label", ("no_event", "event"), "no_event"),
        ("appointment", ("no_show", "show"), "show"),
        ("group", ("control", "fibromyalgia"), "control"),
        ("diagnose", ("krank", "gesund"), "gesund"),
        ("befund", ("Diabetes", "kein Diabetes"), "kein Diabetes"),
        ("état", ("malade", "sain"), "sain"),
        ("estrés", ("sí", "no"), "no"),
        ("kind", ("nondiabetic", "diabetic"), "nondiabetic"),
        ("risk", ("low risk", "high risk"), "low risk"),
        ("credit", (1, 2), None),
        ("wine", ("red", "white"), None),
    ],
)
def test_the_class_to_reach_is_read_from_the_names_in_four_languages(label, classes, target):
    assert infer_schema(table(**{label: repeated(*classes)}).drop(columns="y"), label).target == target


def test_rows_without_label_are_counted_but_still_widen_the_range():
    frame = table(x=[*repeated(1, 2, 3, 4)[:-1], 6], y=[*[0, 1] * (N // 2 - 1), 1, None])
    inferred = infer_schema_with_notes(frame, "y")
    assert inferred.schema["x"].high == 6
    assert any("1 of 200 rows have no y" in remark for remark in inferred.remarks)


# --- rules ---


def nights(seed: int = 0) -> pd.DataFrame:
    deep, light, rem, awake = np.random.default_rng(seed).integers(20, 200, (4, N))
    return table(
        sleep_deep_min=deep, sleep_light_min=light, sleep_rem_min=rem, sleep_awake_min=awake,
        sleep_total_min=deep + light + rem,
    )  # fmt: skip


def test_a_total_is_found_without_the_part_that_does_not_belong():
    (rule,) = infer_schema(nights(), "y").rules
    assert rule == Total(("sleep_deep_min", "sleep_light_min", "sleep_rem_min"), "sleep_total_min", tolerance=0.5)


def test_one_row_against_it_and_a_rule_is_gone():
    frame = nights()
    frame.loc[77, "sleep_total_min"] += 9
    assert infer_schema(frame, "y").rules == ()


def test_rows_with_blanks_do_not_speak_against_a_rule():
    frame = nights().astype({"sleep_rem_min": float})
    frame.loc[::3, "sleep_rem_min"] = np.nan
    assert len(infer_schema(frame, "y").rules) == 1


def test_rounded_shares_sum_to_100_within_the_deviation_seen():
    shares = np.random.default_rng(1).dirichlet([3, 2, 1], N) * 100
    frame = table(glucose_tir_pct=shares[:, 0].round(1), glucose_tbr_pct=shares[:, 1].round(1))
    frame["glucose_tar_pct"] = shares[:, 2].round(1)
    (rule,) = infer_schema(frame, "y").rules
    worst = (frame.filter(like="glucose").sum(axis=1) - 100).abs().max()
    assert set(rule.parts) == {"glucose_tir_pct", "glucose_tbr_pct", "glucose_tar_pct"}
    assert rule.whole == 100
    assert worst - 1e-6 <= rule.tolerance <= worst + 1e-4


def test_statistics_of_one_quantity_are_ordered():
    rng = np.random.default_rng(0)
    low = rng.integers(40, 60, N)
    frame = table(
        hr_min_bpm=low, hr_mean_bpm=low + 20.5, hr_max_bpm=low + 60, resting_hr_bpm=low + 7, temp_max=low - 39.5
    )
    assert infer_schema(frame, "y").rules == (
        Order(("hr_min_bpm", "hr_mean_bpm", "hr_max_bpm")),
        Order(("resting_hr_bpm", "hr_mean_bpm")),
        Order(("hr_min_bpm", "resting_hr_bpm")),  # by the values
    )


def test_diastolic_stays_below_systolic():
    low = np.random.default_rng(0).integers(60, 90, N)
    assert infer_schema(table(systolic_bp=low + 40, diastolic_bp=low), "y").rules == (
        Order(("diastolic_bp", "systolic_bp")),
    )


def test_every_rule_found_holds_in_every_row():
    frame = nights(3).assign(hr_min=50, hr_max=range(60, 60 + N))
    schema = infer_schema(frame, "y")
    codec = Codec(schema)
    assert schema.rules
    assert not codec.rules.violated(codec.encode(frame)).any()


# --- whole tables ---


def test_the_schema_survives_its_file_with_notes_for_any_dtype():
    frame = table(
        flag=repeated(True, True, False, False), word=repeated("ü", "b", "c", None), code_type=repeated(1, 2, 2, 3),
        when=pd.date_range("2024-01-01", periods=N), y=repeated(True, False),
    )  # fmt: skip
    inferred = infer_schema_with_notes(frame, "y", name="t")
    text = inferred.schema.to_toml(notes=inferred.notes)
    assert FeatureSchema.from_dict(tomllib.loads(text)) == inferred.schema
    assert "# whole numbers taken as codes" in text


def test_column_names_that_are_numbers_become_text():
    frame = table().set_axis([0, 1], axis=1)
    assert infer_schema(frame, "1").names == ["0"]


@pytest.mark.parametrize("name", sorted({*RESERVED} - {"person", "plan_id"}))  # which are no features
def test_a_name_that_the_results_need_is_refused(name):
    with pytest.raises(InputError, match="rename the column"):
        infer_schema(table(**{name: repeated(1, 2, 3, 4)}), "y")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"x": [1.0, np.inf] * (N // 2)}, "column 'x', row 1: the value is infinite"),
        ({"x": [*map(str, range(N - 1)), "abc"]}, "row 199: 'abc'"),
        ({"noise": [None] * N}, "no column of the table can be a feature"),
    ],
)
def test_values_that_cannot_be_used_are_refused(columns, said):
    with pytest.raises(InputError, match=said):
        infer_schema(table(**columns), "y")


def test_a_bad_value_in_an_ignored_column_is_no_obstacle():
    assert infer_schema(table(record_id=[np.inf] * N), "y").names == ["noise"]


def test_duplicated_columns_are_refused():
    frame = table(x=range(N)).set_axis(["noise", "y", "noise"], axis=1)
    with pytest.raises(InputError, match="'noise' occurs more than once"):
        infer_schema(frame, "y")


def test_one_row_has_one_class():
    with pytest.raises(InputError, match="one class only"):
        infer_schema(table().head(1), "y")


def test_200_columns():
    wide = table(**{f"x{i}": np.random.default_rng(i).integers(0, 50, N) for i in range(198)})
    assert len(infer_schema(wide, "y")) == 199


# --- the public tables ---


def test_t1d_uom():
    schema = infer_schema(public("t1d_uom_daily_stress/t1d_uom_daily_stress.csv"), "high_stress")
    assert set(schema.ignored) == {"stress_mean", "stress_pct_ge51"}
    assert (schema.person, schema.when, schema.target) == ("participant_id", "date", 0)
    assert set(map(str, schema.rules)) >= {
        "hr_min_bpm <= hr_mean_bpm <= hr_max_bpm",
        "resting_hr_bpm <= hr_mean_bpm",
        "sleep_deep_min + sleep_light_min + sleep_rem_min = sleep_total_min",
        "glucose_tir_pct + glucose_tbr_pct + glucose_tar_pct = 100.0",
    }


def test_lifesnaps():
    schema = infer_schema(public("lifesnaps_daily/lifesnaps_stress.csv"), "high_stress")
    assert set(schema.ignored) == {"stress_score"}
    assert (schema.person, schema.when) == ("participant_id", "date")
    assert schema["bmi"].levels[-1] == ">=30"
    assert [f.name for f in schema.features if f.protected] == ["age_group", "gender"]


def test_heart():
    schema = infer_schema(public("heart_disease_cleveland/heart_cleveland.csv"), "target")
    assert set(schema.ignored) == {"num"}
    assert (schema.person, schema.when) == (None, None)
    assert schema["cp"].levels == (1, 2, 3, 4)


# --- the reference ---


def test_the_examples_in_the_reference_are_valid():
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "schema.md").read_text(encoding="utf-8"), re.S)
    assert FeatureSchema.from_dict(tomllib.loads(blocks[0])).target == "low"
    types = [rule_from_dict(entry).type for block in blocks[1:] for entry in tomllib.loads(block).get("rules", [])]
    assert set(types) == set(KINDS)
