"""Rows to numbers and back: nothing is lost, and snapping is done once and inside the range."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from checker import same, value_of
from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.core.schema import Feature, FeatureSchema
from strategies import cases, schemas, seeds


def made(*features: Feature) -> Codec:
    return Codec(FeatureSchema(features, "y", ("no", "yes")))


def rows_of(schema: FeatureSchema, n: int, seed: int, blanks: bool) -> np.ndarray:
    """Encoded rows on the grid and inside the range, blanks where the schema has them."""
    rng = np.random.default_rng(seed)
    out = np.empty((n, len(schema)))
    for j, f in enumerate(schema.features):
        if f.numeric:
            assert f.low is not None
            assert f.high is not None
            assert f.step is not None
            first, last = int(np.ceil(f.low / f.step - 1e-9)), int(np.floor(f.high / f.step + 1e-9))
            out[:, j] = [round(int(k) * f.step, f.decimals) for k in rng.integers(first, last + 1, n)]
        else:
            out[:, j] = rng.integers(0, len(f.levels), n)
        if f.missing and blanks:
            out[rng.random(n) < 0.3, j] = np.nan
    return out


@cases(100)
@given(schemas(), seeds, st.booleans(), st.booleans())
def test_rows_come_back_from_decode_and_encode(schema: FeatureSchema, seed: int, blanks: bool, nullable: bool) -> None:
    codec, rows = Codec(schema), rows_of(schema, 7, seed, blanks)
    frame = codec.decode(rows, nullable=nullable)
    assert list(frame.columns) == schema.names
    np.testing.assert_array_equal(codec.encode(frame), rows)


@cases(60)
@given(schemas(), seeds)
def test_rows_come_back_from_a_csv(schema: FeatureSchema, seed: int) -> None:
    for feature in schema.features:  # text that a CSV cannot keep apart from a number or a blank
        assume(all(not isinstance(v, str) or (v.isalpha() and v.lower() not in WORDS) for v in feature.levels))
    codec, rows = Codec(schema), rows_of(schema, 5, seed, blanks=True)
    frame = codec.decode(rows, nullable=True)
    plain = frame.set_axis([f"c{j}" for j in range(len(schema))], axis=1)  # the names are not the point here
    read = pd.read_csv(io.StringIO(plain.to_csv())).drop(columns="Unnamed: 0")
    np.testing.assert_allclose(codec.encode(read.set_axis(schema.names, axis=1)), rows, rtol=1e-15, atol=1e-9)


WORDS = {"", "na", "nan", "null", "none", "inf", "infinity", "true", "false"}


@cases(40)
@given(schemas(), seeds)
def test_decoded_cells_are_the_values_people_know(schema: FeatureSchema, seed: int) -> None:
    rows = rows_of(schema, 4, seed, blanks=True)
    frame = Codec(schema).decode(rows)
    for j, feature in enumerate(schema.features):
        for code, cell in zip(rows[:, j], frame[feature.name], strict=True):
            known = None if np.isnan(code) else float(code) if feature.numeric else feature.levels[int(code)]
            assert same(value_of(feature, cell), known)


@cases(120)
@given(schemas(), seeds)
def test_snap_is_idempotent_inside_the_range_and_on_the_grid(schema: FeatureSchema, seed: int) -> None:
    codec, rng = Codec(schema), np.random.default_rng(seed)
    span = codec.high - codec.low + codec.step
    rows = codec.low + span * rng.uniform(-0.5, 1.5, (9, len(schema)))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    snapped = codec.snap(rows)
    np.testing.assert_array_equal(codec.snap(snapped), snapped)
    assert (np.isnan(snapped) == np.isnan(rows)).all()
    kept = ~np.isnan(rows)
    assert (snapped >= codec.low - 1e-9)[kept].all()
    assert (snapped <= codec.high + 1e-9)[kept].all()
    cells = snapped / codec.step
    assert (np.abs(cells - np.round(cells))[kept] < 1e-6).all()


@cases(40)
@given(schemas(), seeds)
def test_snap_moves_a_value_inside_the_range_by_half_a_step_at_most(schema: FeatureSchema, seed: int) -> None:
    codec, rng = Codec(schema), np.random.default_rng(seed)
    rows = codec.snap(np.full((6, len(schema)), np.inf))
    rows = rows + codec.step * rng.uniform(-0.5, 0.5, rows.shape)
    inside = (rows >= codec.low) & (rows <= codec.high)
    assert (np.abs(codec.snap(rows) - rows) <= codec.step * 0.5 + 1e-9)[inside].all()


def test_snap_keeps_a_narrower_range() -> None:
    codec = made(Feature("a", "continuous", low=0, high=10, step=0.5))
    assert codec.snap(np.array([[9.9]]), np.array([1.2]), np.array([3.3])).tolist() == [[3.0]]
    assert codec.snap(np.array([[0.0]]), np.array([1.2]), np.array([3.3])).tolist() == [[1.5]]


def test_snap_writes_no_binary_dust_and_no_negative_zero() -> None:
    codec = made(Feature("a", "continuous", low=-1, high=10, step=0.1))
    assert codec.snap(np.array([[3 * 0.1]])).tolist() == [[0.3]]
    assert not np.signbit(codec.snap(np.array([[-0.01]]))).any()


def test_changed_is_more_than_half_a_step() -> None:
    codec = made(Feature("a", "continuous", low=0, high=10, step=1), Feature("b", "binary", levels=("no", "yes")))
    base = np.array([[2.0, 0.0]])
    rows = np.array([[2.5, 0.0], [2.6, 0.0], [2.0, 1.0], [np.nan, 0.0]])
    assert codec.changed(base, rows).tolist() == [[False, False], [True, False], [False, True], [True, False]]
    assert not codec.changed(np.array([[np.nan, 0.0]]), np.array([[np.nan, 0.0]])).any()


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2], "colour": ["red", "blue"], "on": [1, 0]} | columns, index=["p7", "p8"])


CODEC = made(
    Feature("a", "integer", low=0, high=10, step=1, missing=True),
    Feature("colour", "categorical", levels=("red", "blue")),
    Feature("on", "binary", levels=(0, 1)),
)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": [1, "two"]}, "column 'a', row p8: 'two' is not a number"),
        ({"a": [1, float("inf")]}, "column 'a', row p8: the value is infinite"),
        ({"colour": ["red", "green"]}, "column 'colour', row p8: 'green' is no level"),
        ({"on": [1, 2]}, "column 'on', row p8: 2 is no level"),
    ],
)
def test_a_cell_that_cannot_be_is_named_by_column_row_and_value(columns: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        CODEC.encode(frame_of(**columns))


def test_an_absent_and_a_doubled_column_are_refused() -> None:
    with pytest.raises(InputError, match="no column 'colour'"):
        CODEC.encode(frame_of().drop(columns="colour"))
    with pytest.raises(InputError, match="'a' twice"):
        CODEC.encode(pd.concat([frame_of(), frame_of()[["a"]]], axis=1))


@pytest.mark.parametrize("on", [[1, 0], [1.0, 0.0], ["1", "0"], [True, False]])
def test_levels_are_known_in_every_dress(on: list[Any]) -> None:
    assert CODEC.encode(frame_of(on=on))[:, 2].tolist() == [1.0, 0.0]


def test_columns_may_come_in_any_order_and_with_others_between() -> None:
    frame = frame_of(more=[5, 5])[["on", "more", "colour", "a"]]
    np.testing.assert_array_equal(CODEC.encode(frame), CODEC.encode(frame_of()))


def test_whole_numbers_are_saved_as_such_beside_blanks() -> None:
    codec = CODEC
    text = codec.decode(np.array([[3.0, 0.0, 1.0], [np.nan, np.nan, np.nan]]), nullable=True).to_csv(index=False)
    assert text == "a,colour,on\n3,red,1\n,,\n"


def test_an_integer_feature_without_blanks_never_loses_a_fraction_in_silence() -> None:
    codec = made(Feature("a", "integer", low=0, high=10, step=1))
    frame = pd.DataFrame({"a": [3.4]})
    try:
        rows = codec.encode(frame)
    except InputError:
        return
    assert codec.decode(rows)["a"].tolist() == [3.4]
