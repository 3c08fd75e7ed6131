"""What inference finds in the values: codes for "not measured", laws, leaks; and that answers are held to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary import explain
from sensecf import Task
from sensecf.core.codec import Codec
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.missing import find_codes, may_mean_missing, means_missing
from sensecf.core.plausibility import Plausibility
from sensecf.core.rules import Order, Ratio, Total
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.verify import breaches, feasible
from sensecf.data.infer.infer import infer_schema, infer_schema_with_notes
from sensecf.data.infer.laws import find_laws
from sensecf.data.infer.names import parse_names
from sensecf.generators.nearest import Nearest
from sensecf.generators.search import Search
from strategies import cases

N = 240


def table(seed: int = 0, **columns) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"noise": rng.normal(size=N).round(2), "y": rng.integers(0, 2, N)} | columns)


# --- missing in disguise ---


@pytest.mark.parametrize(
    "text",
    [
        *(
            [
                "unknown",
                "Not recorded",
                "N.A.",
                "refused",
                "keine Angabe",
                "non renseigné",
                "NS/NC",
                "not_obtained",
                "(blank)",
                "#DIV/0!",
            ]
        ),
        "data not available",
        "Unknown / not reported",
        "Sin respuesta",
        "não informado",
        "niet bekend",
        "okänd",
        "brak danych",
        "неизвестно",
        "不明",
    ],
)
def test_words_that_say_that_there_is_no_answer(text):
    assert means_missing(text)


@pytest.mark.parametrize(
    "text", ["none", "never", "no", "other", "missionary", "low", "", "other/unknown", "not daily"]
)
def test_words_that_are_an_answer(text):
    assert not means_missing(text)


@pytest.mark.parametrize("text", ["DK", "k.A.", "-", "..", "not applicable", "unclear", "DK/REF"])
def test_abbreviations_and_marks_may_say_that_there_is_no_answer(text):
    assert may_mean_missing(text)
    assert not means_missing(text)


def test_a_minus_beside_a_plus_is_a_result_and_a_number_among_words_is_a_code():
    culture = table(culture=["+", "-"] * (N // 2), alcohol=["daily", "weekly", "none", "999"] * (N // 4))
    schema = infer_schema(culture, label="y")
    assert schema["culture"].suspect_codes == ()
    assert set(schema["culture"].levels) == {"+", "-"}
    assert schema["alcohol"].missing_codes == ("999",)
    assert schema["alcohol"].levels == ("daily", "none", "weekly")


def spread(*codes: float, count: int = 12, low: float = 15, high: float = 99) -> np.ndarray:
    return np.concatenate([np.linspace(low, high, N).round(), np.repeat(codes, count)])


@pytest.mark.parametrize("codes", [(-999,), (-99,), (-9,), (-1,), (-9, -8), (999,), (9999,), (-999, 999)])
def test_codes_outside_the_bulk_are_certain(codes):
    assert find_codes(spread(*codes)).certain == tuple(sorted(codes))


@pytest.mark.parametrize("code", [65535, -32768, 2**31 - 1, 255])
def test_the_ends_of_what_a_machine_holds_are_certain(code):
    assert find_codes(spread(code)).certain == (code,)


@pytest.mark.parametrize("code", [1000, -1000, 511, 12345])
def test_any_number_that_stands_several_times_far_from_all_others_is_doubtful(code):
    assert find_codes(spread(code)) == ((), (code,))
    assert find_codes(spread(code, count=2)) == ((), ())


@pytest.mark.parametrize(
    "values",
    [
        spread(low=0, high=110),  # 77, 88, 99 among the others
        np.tile(np.arange(11.0), 20),  # a scale from 0 to 10
        np.tile(np.arange(1.0, 10.0), 20),
        np.tile([-1.0, 0.0, 1.0], 80),
        np.linspace(-12, 30, N).round(),  # degrees outside
        np.tile([0.0, 1.0], 100),
    ],
)
def test_values_of_the_bulk_are_no_codes(values):
    assert find_codes(values) == ((), ())


def test_one_negative_number_beside_a_scale_is_doubtful_and_certain_where_it_is_frequent():
    scale = np.tile(np.arange(22.0), 10)
    assert find_codes(np.append(scale, [-1.0] * 10)) == ((), (-1,))
    assert find_codes(np.append(scale, [-1.0] * 40)) == ((-1,), ())


def test_a_number_far_more_frequent_than_all_others_and_apart_from_them_is_doubtful():
    bell = np.round(120 + 20 * np.linspace(-2, 2, N))
    assert find_codes(np.append(bell, [1.0] * 20)) == ((), (1,))
    assert find_codes(np.append(np.linspace(20, 79, N).round(), [99.0] * 24)) == ((), (99,))


def test_a_scale_of_few_values_has_codes_too():
    assert find_codes(np.append(np.tile(np.arange(94.0, 101), 30), [511.0] * 9)) == ((), (511,))


def test_an_infinite_value_is_no_code():
    assert find_codes(np.append(spread(), [np.inf] * 50)) == ((), ())


def test_nobody_lives_with_a_resting_heart_rate_of_zero_but_many_take_no_steps():
    zeros = np.arange(N) % 10 == 0
    frame = table(resting_hr_bpm=np.where(zeros, 0, 50 + np.arange(N) % 40))
    feature = infer_schema(frame, "y")["resting_hr_bpm"]
    assert (feature.missing_codes, feature.missing) == ((0,), True)
    assert feature.low == 25
    frame = table(steps=np.where(zeros, 0, 400 + np.arange(N) * 97 % 9000))
    assert infer_schema(frame, "y")["steps"].missing_codes == ()


def test_codes_are_proposed_and_said_and_play_no_part_in_range_and_scale():
    frame = table(hrv=np.where(np.arange(N) % 7 == 0, -999, 15 + np.arange(N) % 80))
    found = infer_schema_with_notes(frame, "y")
    feature = found.schema["hrv"]
    assert feature.missing_codes == (-999,)
    assert (feature.low, feature.high) == (15, 94)
    assert feature.least_change < 5
    assert any("-999 (35 of 240 values)" in remark for remark in found.remarks)
    assert "missing_codes = [-999]" in found.schema.to_toml()
    assert np.isnan(Codec(found.schema).encode(frame)[:, found.schema.columns["hrv"]]).sum() == 35


def test_words_among_numbers_are_codes_and_the_rest_stays_numbers():
    frame = table(glucose=["refused" if i % 20 == 0 else str(80 + i % 90) for i in range(N)])
    feature = infer_schema(frame, "y")["glucose"]
    assert (feature.kind, feature.missing_codes) == ("integer", ("refused",))


def test_what_is_doubtful_stays_a_value_that_no_answer_starts_from_or_leads_to():
    frame = table(score=np.where(np.arange(N) % 20 == 0, 9, 1 + np.arange(N) % 4))
    schema = infer_schema(frame, "y")
    assert schema["score"].suspect_codes == (9,)
    assert schema["score"].high == 4
    task = Task(schema, frame, Threshold("score", 3))
    query = make_query(task, frame.head(2), 1)
    assert query.movable[:, schema.columns["score"]].tolist() == [False, True]


def test_what_is_doubtful_plays_no_part_in_scale_range_and_likeness():
    score = np.random.default_rng(1).integers(1, 5, N)
    marked = np.where(np.arange(N) % 5 == 0, 9, score)
    plain = Feature("score", "integer", low=1, high=9, step=1)
    tasks = [
        Task(
            FeatureSchema((feature, Feature("noise", "continuous", low=-9, high=9, step=0.01)), "y", (0, 1)),
            frame,
            Threshold("score", 3),
        )
        for feature, frame in (
            (replace(plain, suspect_codes=(9,)), table(score=marked)),
            (replace(plain, missing=True), table(score=np.where(marked == 9, np.nan, marked))),
        )
    ]
    asked = np.array([[2.0, 0.1], [4.0, 3.0]])
    target = np.array([1, 1])
    for of in (
        lambda task: task.once(Scale).std,
        lambda task: task.once(Scale).mad,
        lambda task: task.observed_high,
        lambda task: task.once(Plausibility).score(asked, target),
        lambda task: task.once(Plausibility).in_range(asked),
    ):
        np.testing.assert_array_equal(of(tasks[0]), of(tasks[1]))
    assert tasks[0].once(Plausibility).in_range(np.array([[9.0, 0.1]])).all()  # a code that stays is not outside


class Threshold:
    """Class 1 where a column reaches a bound; a blank does not."""

    classes_ = np.array([0, 1])

    def __init__(self, column, bound):
        self.column, self.bound = column, bound

    def predict_proba(self, X):
        high = (X[self.column] == self.bound) if isinstance(self.bound, str) else (X[self.column] >= self.bound)
        proba = np.where(high.to_numpy(dtype=bool, na_value=False), 0.9, 0.1)
        return np.column_stack([1 - proba, proba])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.mark.parametrize("confirmed", [True, False])
def test_unknown_is_the_goal_of_no_answer_confirmed_or_not(confirmed):
    levels = ("daily", "none", "unknown", "weekly")
    codes = {"missing_codes": ("unknown",)} if confirmed else {}
    alcohol = Feature("alcohol", "categorical", levels=levels, **codes)
    schema = FeatureSchema((alcohol, Feature("noise", "continuous", low=-4, high=4, step=0.01)), "y", (0, 1))
    frame = table(alcohol=[levels[i % 4] for i in range(N)])
    task = Task(schema, frame, Threshold("alcohol", "unknown"))
    answers = explain(task, Search(task), frame.head(8), target=1, n=2)
    rows = answers.to_frame()
    assert not (rows["alcohol"] == "unknown")[rows["n_changed"].fillna(0) > 0].any()


# --- the least worthwhile change ---


def test_the_least_worthwhile_change_is_a_tenth_of_a_standard_deviation_in_whole_steps():
    frame = table(x=np.random.default_rng(0).normal(50, 12, N).round(1))
    feature = infer_schema(frame, "y")["x"]
    wanted = frame["x"].std() / 10
    assert wanted <= feature.least_change < wanted + feature.step
    assert round(feature.least_change / feature.step, 6) == round(feature.least_change / feature.step)


def test_the_error_of_the_device_counts_where_it_is_larger():
    frame = table(sbp=120 + np.arange(N) % 7, y=np.tile([0, 1], N // 2))
    assert infer_schema(frame, "y")["sbp"].least_change == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [({"least_change": 0}, "positive"), ({"least_change": 5, "max_change": 4}, "leaves no change")],
)
def test_a_least_change_that_cannot_be_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        Feature("x", "integer", low=0, high=9, step=1, **change)


def asleep() -> tuple[FeatureSchema, pd.DataFrame]:
    deep, light = np.random.default_rng(0).integers(30, 200, (2, N))
    frame = table(deep=deep, light=light, total=deep + light)
    limits = {"low": 0, "high": 500, "step": 1, "least_change": 20}
    features = tuple(Feature(name, "integer", **limits) for name in ("deep", "light", "total"))
    return FeatureSchema(features, "y", (0, 1), rules=(Total(("deep", "light"), "total"),)), frame


def test_an_edit_below_it_is_a_breach_with_words_and_a_follower_is_exempt():
    schema, frame = asleep()
    task = Task(schema, frame, Threshold("deep", 150))
    base = task.rows[:1]
    query = make_query(task, frame.head(1), 1)
    small, fair, follower = (5, 0, 5), (20, 0, 20), (25, -20, 5)
    rows = base + np.array([small, fair, follower])
    owner = np.zeros(3, dtype=np.intp)
    assert "deep moves by less than 20, its least worthwhile change" in breaches(task, query, owner, rows)[0]
    assert breaches(task, query, owner, rows)[1:].tolist() == ["", ""]
    assert feasible(task, query, owner, rows).tolist() == [False, True, True]


@pytest.mark.parametrize("generator", [Search, Nearest])
def test_answers_move_by_as_much_as_is_worthwhile_and_nobody_is_left_out(generator):
    schema, frame = asleep()
    task = Task(schema, frame, Threshold("deep", 150))
    people = frame[frame["deep"].between(120, 149)].head(12)
    answers = explain(task, generator(task), people, target=1)
    after = answers.to_frame().set_index("query")["deep"]
    assert (after - people["deep"] >= 20).all()
    assert len(after) == len(people)


@cases(200)
@given(
    base=st.floats(-50, 50), value=st.floats(-50, 50),
    step=st.sampled_from([0.01, 0.1, 0.5, 1, 5]), steps=st.integers(1, 40),
)  # fmt: skip
def test_what_is_too_small_is_moved_on_to_the_grid_and_away_from_the_factual(base, value, step, steps):
    feature = Feature("x", "continuous", low=-1000, high=1000, step=step, least_change=round(steps * step, 6))
    codec = Codec(FeatureSchema((feature,), "y", (0, 1)))
    here, there = np.array([[base]]), codec.snap(np.array([[value]]))
    moved = codec.worthwhile(here, there)
    if codec.changed(here, there).any():
        assert abs(moved - here) >= feature.least_change - 1e-6
        assert np.sign(moved - here) == np.sign(there - here)
        assert abs(moved / step - np.round(moved / step)) < 1e-6
    else:
        assert moved == there


# --- meanings ---


def test_what_classes_mean_is_written_read_and_checked(tmp_path):
    schema = infer_schema(table(), "y")
    meant = FeatureSchema(schema.features, "y", (0, 1), meanings={"1": "diabetes", "y": "at the last visit"})
    meant.to_toml(tmp_path / "s.toml")
    back = FeatureSchema.from_toml(tmp_path / "s.toml")
    assert (back.meaning(1), back.meaning(0), back.meaning("y")) == ("1 (diabetes)", "0", "y (at the last visit)")
    with pytest.raises(InputError, match="'2' = 'diabetes'"):
        FeatureSchema(schema.features, "y", (0, 1), meanings={"2": "diabetes"})


# --- laws ---


def laws(**columns):
    frame = pd.DataFrame(columns)
    features = infer_schema(frame.assign(y=np.arange(len(frame)) % 2), "y").features
    values = {f.name: frame[f.name].to_numpy(dtype=float) for f in features}
    return find_laws(features, parse_names(frame.columns), values, [])


def test_an_order_that_every_row_keeps_is_a_rule_whatever_the_columns_are_called():
    rng = np.random.default_rng(0)
    mean = rng.gamma(4, 2, 400)
    found = laws(a_width=mean.round(2), b_width=(mean + rng.gamma(2, 1, 400)).round(2)).plain
    assert found == [Order(("a_width", "b_width"))]


def test_ranges_that_do_not_meet_are_no_order_and_a_chain_is_said_once():
    rng = np.random.default_rng(0)
    low = rng.normal(10, 3, 400)
    middle = low + rng.gamma(2, 2, 400)
    found = laws(load_a=low, load_b=middle, load_c=middle + rng.gamma(2, 2, 400), load_d=rng.normal(900, 3, 400)).plain
    assert found == [Order(("load_a", "load_b")), Order(("load_b", "load_c"))]


def test_a_difference_of_two_columns_is_a_total():
    low, width = np.random.default_rng(0).integers([10, 1], [90, 70], (400, 2)).T
    (rule,) = (r for r in laws(lo=low, hi=low + width, w=width).plain if isinstance(r, Total))
    assert (set(rule.parts), rule.whole) == ({"lo", "w"}, "hi")


def test_noise_has_no_laws():
    columns = {f"x{i}": np.random.default_rng(i).normal(size=300).round(3) for i in range(12)}
    assert laws(**columns) == ([], [])


def test_a_narrow_ratio_is_proposed_with_its_bounds_and_left_to_a_person():
    rng = np.random.default_rng(0)
    radius = rng.uniform(5, 30, 400)
    found = laws(radius=radius, perimeter=radius * rng.uniform(6.3, 7.0, 400))
    assert found.plain == []
    (rule,) = (rule for rule in found.doubtful if isinstance(rule, Ratio))
    assert (rule.numerator, rule.denominator) == ("perimeter", "radius")
    assert 6.2 < rule.low < 6.3
    assert 7.0 < rule.high < 7.1


# --- leaks, follow-up, units ---


def test_a_near_leak_is_kept_and_its_figure_said():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 300)
    frame = pd.DataFrame({"x": y * 3.2 + rng.normal(size=600), "z": rng.normal(size=600), "y": y})
    found = infer_schema_with_notes(frame, "y")
    assert "x" in found.schema.names
    assert any(remark.startswith("x: predicts y alone with an AUC of 0.9") for remark in found.remarks)


def test_the_time_until_the_event_is_no_feature_where_the_label_is_the_event():
    frame = table(time=np.arange(N) * 7 % 200).rename(columns={"y": "DEATH_EVENT"})
    assert "follow-up" in infer_schema(frame, "DEATH_EVENT").ignored["time"]
    assert "time" in infer_schema(frame.rename(columns={"DEATH_EVENT": "y"}), "y").names


def test_another_unit_among_the_values_is_said():
    glucose = np.where(np.arange(N) % 40 == 0, 5.5, 90 + np.arange(N) % 100)
    remarks = infer_schema_with_notes(table(glucose_mgdl=glucose), "y").remarks
    assert any("6 of 240 values (5.5 to 5.5) look like mmol/L" in remark for remark in remarks)
