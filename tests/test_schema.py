"""The schema: checked when made, and the same after a trip through TOML."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from sensecf.core.errors import InputError
from sensecf.core.rules import Condition, Implication, Linear, Order, Ratio, Total, rule_from_dict, rule_to_dict
from sensecf.core.schema import Feature, FeatureSchema
from strategies import cases, schemas


def number(name: str = "a", **fields: Any) -> Feature:
    return Feature(name, "continuous", **({"low": 0, "high": 10, "step": 0.5} | fields))


def schema(*features: Feature, **fields: Any) -> FeatureSchema:
    found = features or (
        number("a"),
        number("b"),
        number("c"),
        Feature("colour", "categorical", levels=("red", "blue")),
    )
    return FeatureSchema(found, **({"label": "y", "classes": ("no", "yes")} | fields))


@cases(150)
@given(schemas())
def test_any_schema_is_the_same_after_a_trip_through_toml(drawn: FeatureSchema) -> None:
    assert FeatureSchema.from_dict(tomllib.loads(drawn.to_toml())) == drawn


@cases(30)
@given(schemas())
def test_any_rule_is_the_same_after_a_trip_through_its_entry(drawn: FeatureSchema) -> None:
    for rule in drawn.rules:
        assert rule_from_dict(rule_to_dict(rule)) == rule


def test_a_schema_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = schema(
        number("sleep, µs", description='line\nbreak, "quotes" and a \\', unit="°C"),
        Feature("on", "binary", levels=(False, True)),
        rules=(Implication(Condition("on", "==", True), Condition("sleep, µs", "<=", 3)),),
        ignored={"id": "an identifier"},
        target="yes",
        person="person",
        max_changes=2,
        name="nights",
    )
    written.to_toml(tmp_path / "schema.toml", notes={"on": "two\nlines"})
    assert FeatureSchema.from_toml(tmp_path / "schema.toml") == written
    assert "# two\n# lines" in (tmp_path / "schema.toml").read_text(encoding="utf-8")


def test_a_true_and_a_one_stay_apart_in_toml() -> None:
    read = FeatureSchema.from_dict(tomllib.loads(schema(number(), classes=(True, False)).to_toml()))
    assert read.classes[0] is True


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"low": None}, "finite number as low"),
        ({"high": float("inf")}, "finite number as high"),
        ({"low": True}, "finite number as low"),
        ({"low": "0"}, "finite number as low"),
        ({"step": 0}, "must be positive"),
        ({"step": -1}, "must be positive"),
        ({"low": 11}, "range is impossible"),
        ({"levels": ("x",)}, "not levels"),
        ({"role": "frozen"}, "use actionable, mutable, immutable"),
        ({"direction": "up"}, "use any, increase, decrease"),
        ({"max_change": 0}, "must be positive"),
        ({"name": ""}, "must be text"),
        ({"name": "valid"}, "column of counterfactuals.csv"),
        ({"kind": "number"}, "use continuous, integer, binary, categorical"),
        ({"kind": "integer"}, "whole step"),
    ],
)
def test_an_impossible_number_is_refused_in_one_line(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Feature(**({"name": "a", "kind": "continuous", "low": 0, "high": 10, "step": 0.5} | fields))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"levels": ()}, "needs its levels"),
        ({"levels": ("x", "x")}, "listed twice"),
        ({"levels": (1, True)}, "listed twice"),
        ({"kind": "binary", "levels": (1, 2, 3)}, "at most 2 levels"),
        ({"low": 0}, "not a range or step"),
    ],
)
def test_impossible_levels_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Feature(**({"name": "a", "kind": "categorical", "levels": ("x", "y")} | fields))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"features": ()}, "no features"),
        ({"features": (number("a"), number("a"))}, "more than once"),
        ({"label": "a"}, "both the label and a feature"),
        ({"person": "a"}, "both person and a feature"),
        ({"person": "y"}, "both person and the label"),
        ({"when": "a"}, "both when and a feature"),
        ({"shown": ("y",)}, "both shown and the label"),
        ({"person": "w", "when": "w"}, "named twice"),
        ({"shown": ("w", "w")}, "named twice"),
        ({"shown": ("rank",)}, "one of the answers' own columns"),
        ({"classes": ("yes",)}, "at least two classes"),
        ({"target": "maybe"}, "is no class"),
        ({"max_changes": 0}, "at least 1"),
        ({"rules": (Order(("a", "z")),)}, "names 'z'"),
        ({"rules": (Order(("a", "colour")),)}, "not a number"),
        ({"rules": (Total(("a",), "b"),)}, "at least two parts"),
        ({"rules": (Ratio("a", "b", 0.5, 2),)}, "'b' may be 0, and a ratio needs a denominator above 0; raise its low"),
        ({"rules": (Ratio("a", "b", 2, 2),)}, "low must be below high; a ratio that is fixed is a linear rule"),
        ({"rules": (Ratio("a", "a", 1, 2),)}, "names a feature twice"),
        ({"rules": (Ratio("a", "colour", 1, 2),)}, "not a number"),
        ({"rules": (Ratio("a", "b", float("nan"), 2),)}, "nan is not a number"),
        ({"rules": (Implication(Condition("colour", "<", "red"), Condition("a", "<", 1)),)}, "use ==, != or in"),
        ({"rules": (Implication(Condition("colour", "==", "green"), Condition("a", "<", 1)),)}, "no level"),
        ({"rules": (Implication(Condition("a", "~", 1), Condition("a", "<", 1)),)}, "no comparison"),
        ({"rules": (Implication(Condition("a", "in", 1), Condition("a", "<", 1)),)}, "needs a list"),
        ({"rules": (Implication(Condition("a", "<", "1"), Condition("a", "<", 1)),)}, "not a number"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(schema(), **fields)


GOOD = {
    "label": "y",
    "classes": ["no", "yes"],
    "features": [
        {"name": "a", "kind": "continuous", "low": 0, "high": 9, "step": 1},
        {"name": "b", "kind": "continuous", "low": 0, "high": 9, "step": 1},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lable": "y"}, "unknown field 'lable'"),
        ({"label": None}, "no 'label'"),
        ({"features": [{"name": "a", "kind": "continuous", "low": 0, "high": 1, "stepp": 1}]}, "unknown field 'stepp'"),
        ({"features": [{"name": "a"}]}, "both name and kind"),
        ({"rules": {"type": "order"}}, r"\[\[rules\]\]"),
        ({"rules": [{"type": "sum"}]}, "use order, total, linear, ratio or implication"),
        ({"rules": [{"type": "order"}]}, "features"),
        ({"rules": [{"type": "total", "parts": ["a", "b"]}]}, "whole"),
        ({"rules": [{"type": "order", "features": ["a"], "strict": True}]}, "strict"),
        ({"rules": [{"type": "implication", "if": "a < 3", "then": {}}]}, "mapping"),
    ],
)
def test_a_schema_file_that_is_wrong_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    data = {key: value for key, value in (GOOD | change).items() if value is not None}
    with pytest.raises(InputError, match=words):
        FeatureSchema.from_dict(data)


@pytest.mark.parametrize(
    "change",
    [
        {"rules": ["a < b"]},
        {"rules": [{"type": "linear", "weights": {"a": 1}, "op": "<", "bound": 5}]},
        {"rules": [{"type": "linear", "weights": {"a": "one"}, "op": "<=", "bound": 5}]},
        {"rules": [{"type": "linear", "weights": {"a": 1}, "op": "<=", "bound": "5"}]},
        {"rules": [{"type": "linear", "weights": {}, "op": "<=", "bound": 5}]},
        {"rules": [{"type": "total", "parts": ["a", "a"], "whole": "b"}]},
        {"rules": [{"type": "total", "parts": ["a", "b"], "whole": "a"}]},
        {"rules": [{"type": "total", "parts": ["a", "b"], "whole": 9, "tolerance": -1}]},
        {"rules": [{"type": "ratio", "numerator": "a", "denominator": "b", "low": 1, "high": "2"}]},
        {"rules": [{"type": "ratio", "numerator": "a", "denominator": "b", "low": 1}]},
        {"rules": [{"type": "ratio", "numerator": ["a"], "denominator": "b", "low": 1, "high": 2}]},
        {"rules": [{"type": ["order"], "features": ["a", "b"]}]},
        {"rules": [{"type": "order", "features": ["a"]}]},
        {"rules": [{"type": "order", "features": ["a", "b", "a"]}]},
        {"rules": [{"type": "order", "features": "ab"}]},
        {"features": ["a"]},
        {"features": 3},
        {"features": [{"name": "a", "kind": "categorical", "levels": "red"}]},
        {"features": [{"name": "a", "kind": "continuous", "low": 0, "high": 1, "step": 1, "max_change": "much"}]},
        {"features": [{"name": "a", "kind": "continuous", "low": 0, "high": 1, "step": 1, "protected": "no"}]},
        {"features": [{"name": "a", "kind": "continuous", "low": 0.3, "high": 0.6, "step": 1}]},
        {"classes": "no"},
        {"classes": ["no", "no"]},
        {"max_changes": "2"},
        {"max_changes": 1.5},
        {"label": 3},
        {"group": "y"},
    ],
    ids=str,
)
def test_a_slip_of_the_person_who_edits_the_file_is_an_input_error(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        FeatureSchema.from_dict(GOOD | change)


def test_a_file_that_is_no_toml_is_refused_with_its_name_and_line(tmp_path: Path) -> None:
    path = tmp_path / "schema.toml"
    path.write_text('label = "y"\nclasses = no\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"schema\.toml is not valid TOML: .*line 2"):
        FeatureSchema.from_toml(path)
    with pytest.raises(InputError, match="does not exist"):
        FeatureSchema.from_toml(tmp_path / "none.toml")
    path.write_bytes(b'label = "\xff"')
    with pytest.raises(InputError, match="not UTF-8"):
        FeatureSchema.from_toml(path)


def test_a_class_is_found_by_value_and_by_print() -> None:
    numbers = schema(classes=(0, 1))
    assert numbers.find_class(1) == numbers.find_class("1") == 1
    assert schema(classes=(False, True)).find_class("True") is True
    with pytest.raises(InputError, match=r"the classes are 0, 1"):
        numbers.find_class(2)


def test_edit_changes_named_fields_only_and_checks_them() -> None:
    edited = schema().edit(a={"low": 2, "role": "immutable"})
    assert edited == replace(schema(), features=(number("a", low=2, role="immutable"), *schema().features[1:]))
    with pytest.raises(InputError, match="range is impossible"):
        schema().edit(a={"low": 20})
    with pytest.raises(InputError, match="'z' is no feature"):
        schema().edit(z={"low": 2})


@pytest.mark.parametrize(
    ("step", "value", "text"),
    [(0.05, 1234.5, "1,234.50 min"), (5, 40.0, "40 min"), (0.1, 0.30000000000000004, "0.3 min"), (1, None, "missing")],
)
def test_a_value_is_written_with_the_decimals_of_its_step(step: float, value: float | None, text: str) -> None:
    assert number(step=step, high=1e4, unit="min").format(value, unit=True) == text


@pytest.mark.parametrize(
    ("fields", "changes"),
    [({}, True), ({"role": "mutable"}, True), ({"role": "immutable"}, False), ({"protected": True}, False)],
)
def test_immutable_and_protected_features_never_change(fields: dict[str, Any], changes: bool) -> None:
    assert number(**fields).changeable is changes


def test_linear_rules_print_as_people_write_them() -> None:
    assert str(Linear({"a": 2.0, "b": -1.0}, "<=", 3)) == "2 a + -1 b <= 3"
    assert str(Total(("a", "b"), "c")) == "a + b = c"
    assert str(Order(("a", "b"))) == "a <= b"
    assert str(Implication(Condition("a", ">", 1), Condition("b", "in", [1, 2]))) == "if a > 1 then b in [1, 2]"
