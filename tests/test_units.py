"""Sleep in hours is the same lever as sleep in minutes, however the column is spelled, in several languages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensecf.core.schema import Feature
from sensecf.data.infer.catalogue import ENTRIES, known_feature
from sensecf.data.infer.infer import infer_schema
from sensecf.data.infer.recognise import known_as, known_column
from sensecf.data.infer.terms import lever
from sensecf.data.infer.units import factor, of_same_quantity, one_unit

N = 80
RNG = np.random.default_rng(0)
LABEL = RNG.choice(["low", "high"], N)
SLEEP = RNG.normal(420, 60, N).round().clip(200, 640)
SITTING = RNG.normal(520, 120, N).round().clip(60, 1000)


def inferred(name: str, values: np.ndarray) -> Feature:
    frame = pd.DataFrame({name: values, "x": RNG.normal(size=N).round(2), "stress": LABEL})
    return infer_schema(frame, "stress")[name]


#: Spellings of time asleep and of time sitting, in hours: English, German, French, Spanish, Italian, Portuguese, Dutch.
SLEEP_NAMES = (
    "sleep_hours", "hours_slept", "HoursOfSleep", "Sleep (hrs)", "sleep_h", "sleepDuration", "Total sleep time [h]",
    "hours of sleep per night", "Schlaf (h)", "Schlafstunden", "Schlafdauer_h", "schlaf [Std.]", "Schlafzeit (Stunden)",
    "heures_sommeil", "Heures de sommeil", "durée du sommeil (h)", "horas de sueño", "sueño (horas)", "horas_sueno",
    "ore di sonno", "sonno (ore)", "horas de sono", "sono_h", "uren slaap", "slaap (uur)",
)  # fmt: skip
SITTING_NAMES = (
    "hours_sitting", "sitting_hours", "Sitting (h)", "sedentary_hours", "Time sitting (hours per day)", "SittingTime",
    "Sitzen (Std.)", "Sitzzeit (h)", "Sitzzeit (h/Tag)", "heures_assis", "temps assis (h/jour)", "horas sentado",
    "tiempo sentado (h/día)", "ore seduto", "tempo sentado (h/dia)", "uren zitten", "zitten (uur)",
)  # fmt: skip


@pytest.mark.parametrize("name", SLEEP_NAMES)
def test_sleep_in_hours_is_a_lever_of_two_hours_at_most(name: str) -> None:
    feature = inferred(name, (SLEEP / 60).round(1))
    assert (feature.unit, feature.role, feature.direction, feature.most_change) == ("h", "actionable", "any", 2)
    assert feature.least_change is not None
    assert feature.least_change >= 10 / 60
    assert (feature.low, feature.high) == (0, 16)
    assert lever(feature) == "Sleep", "the schema alone says what it is"


@pytest.mark.parametrize("name", SITTING_NAMES)
def test_sitting_in_hours_is_a_lever_that_goes_down(name: str) -> None:
    feature = inferred(name, (SITTING / 60).round(1))
    assert (feature.unit, feature.role, feature.direction) == ("h", "actionable", "decrease")
    assert feature.most_change == 3
    assert lever(feature) == "Activity"


@pytest.mark.parametrize(
    ("name", "values", "unit", "most"),
    [
        ("minutesAsleep", SLEEP, "min", 120),
        ("Schlaf (Minuten)", SLEEP, "min", 120),
        ("sleep_duration", SLEEP, "min", 120),
        ("sleep_duration", SLEEP / 60, "h", 2),
        ("screen_time", SITTING / 120, "h", 3),
        ("sleep_seconds", SLEEP * 60, "s", 7200),
        ("distance_km", SITTING / 100, "km", 5),
        ("Distance (miles)", SITTING / 160, "mi", 3.107),
    ],
)
def test_values_and_units_say_how_much_that_is(name: str, values: np.ndarray, unit: str, most: float) -> None:
    feature = inferred(name, values.round(2))
    assert (feature.unit, feature.most_change) == (unit, most)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sleep", RNG.integers(1, 10, N)),  # a score
        ("sleep quality", RNG.integers(1, 10, N)),
        ("sleep_hours", SLEEP),  # minutes, whatever the name says
        ("Schlafenszeit (h)", SLEEP / 60),
        ("hours_per_week", SITTING / 10),
    ],
)
def test_what_is_no_length_of_sleep_is_not_taken_for_one(name: str, values: np.ndarray) -> None:
    assert inferred(name, values.astype(float).round(1)).most_change is None


@given(st.sampled_from([entry for entry in ENTRIES if of_same_quantity(entry.unit) and entry.step]), st.data())
def test_an_entry_in_another_unit_says_the_same(entry: object, data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from(of_same_quantity(entry.unit)))  # type: ignore[attr-defined]
    known = known_feature(entry.name)  # type: ignore[attr-defined]
    assert known is not None
    other = known.into(unit)
    by = factor(known.unit, unit)
    assert other is not None
    assert by is not None
    for one, two in zip(
        (known.low, known.high, known.weekly, known.most, known.error, *(known.healthy or ())),
        (other.low, other.high, other.weekly, other.most, other.error, *(other.healthy or ())),
        strict=True,
    ):
        assert (one is None) == (two is None)
        if one is not None and two is not None:
            assert two == pytest.approx(one * by, rel=1e-3)
    assert (other.role, other.direction, other.name) == (known.role, known.direction, known.name)
    again = other.into(known.unit)
    assert again is not None
    assert again.factor == pytest.approx(1.0)


@given(st.sampled_from(["h", "min", "s", "km", "m", "mi", "kg", "lb", "g", "mg", "kcal", "kJ", "cm", "in"]), st.data())
def test_a_unit_is_read_however_it_is_written(unit: str, data: st.DataObject) -> None:
    dressed = data.draw(st.sampled_from(["{}", " {} ", "{}.", "{}/day", "{} per day", "{}/Tag", "{} par jour"]))
    assert one_unit(dressed.format(unit)) == unit
    case = data.draw(st.sampled_from([str.upper, str.lower, str.title]))
    assert one_unit(dressed.format(case(unit))) == unit
    assert factor(unit, unit) == 1
    for other in of_same_quantity(unit):
        assert factor(unit, other) == pytest.approx(1 / factor(other, unit))  # type: ignore[operator]


def test_a_feature_is_known_in_its_unit_and_only_where_its_numbers_agree() -> None:
    hours = Feature("sleep_hours", "continuous", unit="h", low=2, high=12, step=0.1)
    entry = known_as(hours)
    assert entry is not None
    assert entry.healthy == (7, 9)
    assert entry.weekly == 1
    odd = Feature("sleep_total_min", "continuous", unit="min", low=2, high=12, step=0.1)
    assert known_as(odd) is None
    assert known_column("sleep_hours", "kg") is None


def test_rules_hold_in_the_units_of_the_table() -> None:
    stages = {"sleep_deep_h": 60, "sleep_rem_h": 90}
    frame = pd.DataFrame({name: RNG.normal(mean / 60, 0.2, N).clip(0.3).round(1) for name, mean in stages.items()})
    frame["sleep_light_h"] = RNG.normal(4, 0.5, N).round(1)
    frame["sleep_total_h"] = frame.sum(axis=1).round(1)
    frame["sedentary_min"] = SITTING.clip(0, 600)
    frame["active_min"] = RNG.integers(10, 90, N)
    schema = infer_schema(frame.assign(stress=LABEL), "stress")
    said = [str(rule) for rule in schema.rules]
    assert any("sleep_total_h" in rule and "sleep_deep_h" in rule for rule in said)
    assert any("60 sleep_total_h" in rule and "<= 1,440" in rule.replace("1440", "1,440") for rule in said)


@pytest.mark.parametrize(
    "name",
    ["Schritte/Tag", "steps/day", "steps_per_day", "Schritte pro Tag", "pasos por día", "Steps (per day)", "steps/d",
     "stappen per dag", "passi al giorno", "daily steps"],
)  # fmt: skip
def test_a_day_behind_a_name_says_nothing_of_a_feature(name: str) -> None:
    steps = inferred(name, RNG.integers(20, 150, N) * 100.0)
    assert (steps.role, steps.description, steps.most_change) == ("actionable", "steps", 6000)


@pytest.mark.parametrize(("name", "unit"), [("sitting (min/day)", "min"), ("Schlaf pro Nacht (min)", "min")])
def test_a_unit_before_the_day_stays(name: str, unit: str) -> None:
    assert inferred(name, SLEEP).unit == unit
    assert inferred(name, SLEEP).most_change is not None
