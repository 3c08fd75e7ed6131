"""A frame of polars or pyarrow is taken wherever one of pandas is, and says the same."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sensecf
from sensecf.core.frames import as_frame
from test_reference import PUBLIC

pl = pytest.importorskip("polars", reason="frames of polars are tried with polars")
pa = pytest.importorskip("pyarrow", reason="frames of pyarrow are tried with the extra 'parquet'")

#: Tables that come from this package itself, or from a benchmark that knows pandas alone.
OWN = {"Counterfactuals", "RecourseBench", "sensecf.metrics.sentence", "sensecf.metrics.to_json", "ExampleDay"}


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, sensecf.FeatureSchema]:
    data = sensecf.datasets.load("simulated")
    return data.frame, data.schema


def as_polars(frame: pd.DataFrame) -> Any:
    return pl.DataFrame({name: _plain(frame[name]) for name in frame.columns})


def as_arrow(frame: pd.DataFrame) -> Any:
    return pa.table({name: _plain(frame[name]) for name in frame.columns})


def _plain(column: pd.Series[Any]) -> list[Any]:
    return [None if pd.isna(v) else v.item() if isinstance(v, np.generic) else v for v in column.tolist()]


MAKERS = {"polars": as_polars, "pyarrow": as_arrow, "narwhals": lambda frame: nw.from_native(as_polars(frame))}


@pytest.mark.parametrize("library", MAKERS)
def test_plans_are_the_same_whatever_frame_they_are_asked_with(
    library: str, table: tuple[pd.DataFrame, sensecf.FeatureSchema]
) -> None:
    frame, schema = table
    make = MAKERS[library]

    def asked(make: Callable[[pd.DataFrame], Any]) -> pd.DataFrame:
        train, test = sensecf.datasets.split(make(frame), schema)
        classifier = sensecf.fit_classifier("logistic", schema, make(train))
        sensecf.testing.check_classifier(classifier, schema, make(test))
        task = sensecf.Task(schema, make(train), classifier)
        high = test[classifier.predict(test[schema.names]) == "high"].head(3).reset_index(drop=True)
        assert len(sensecf.Limits().query(task, make(high), "low")) == 3
        sensecf.metrics.quality(task, make(test), "low")
        plans = sensecf.explain(task, "search", make(high), target="low", hold=0)
        assert isinstance(plans.frame, pd.DataFrame)
        return plans.frame.drop(columns="seconds")

    pd.testing.assert_frame_equal(asked(make), asked(lambda frame: frame))


@pytest.mark.parametrize("library", MAKERS)
def test_a_schema_is_inferred_alike(library: str, table: tuple[pd.DataFrame, sensecf.FeatureSchema]) -> None:
    frame = table[0].head(400)
    found = sensecf.infer_schema(MAKERS[library](frame), "stress")
    assert found.to_toml() == sensecf.infer_schema(frame, "stress").to_toml()


@pytest.mark.parametrize("library", MAKERS)
def test_rows_to_learn_from_are_learned_alike(library: str, table: tuple[pd.DataFrame, sensecf.FeatureSchema]) -> None:
    frame, schema = table[0].head(300).reset_index(drop=True), table[1]
    make, added = MAKERS[library], table[0].tail(40).reset_index(drop=True)
    rows, weight = sensecf.augmentation.combine(make(frame), make(added), schema)
    ours, own = sensecf.augmentation.combine(frame, added, schema)
    pd.testing.assert_frame_equal(rows, ours, check_dtype=False)
    np.testing.assert_array_equal(weight, own)
    learned = sensecf.augmentation.learn("logistic", make(frame), make(added), schema)
    plain = sensecf.augmentation.learn("logistic", frame, added, schema)
    np.testing.assert_allclose(learned.predict_proba(frame), plain.predict_proba(frame))


def test_a_run_and_a_comparison_take_frames_of_polars(
    tmp_path: Path, table: tuple[pd.DataFrame, sensecf.FeatureSchema]
) -> None:
    frame, schema = table
    limits = sensecf.Limits(hold=0.0)
    request = sensecf.RunSpec(classifier="logistic", generator="search", limits=limits, limit=3)
    made = [sensecf.run(given, schema, tmp_path / name, request)[0].frame.drop(columns="seconds")
            for name, given in (("pandas", frame), ("polars", as_polars(frame)))]  # fmt: skip
    pd.testing.assert_frame_equal(*made)
    spec = sensecf.CompareSpec(("nearest",), classifier="logistic", limit=3, refits=0)
    assert sensecf.compare(as_polars(frame), schema, tmp_path / "compared", spec).answers


def test_every_public_name_that_takes_a_table_says_which() -> None:
    """The annotation is narwhals' own; what only this package makes is a frame of pandas."""
    wrong = []
    for name, found in PUBLIC.items():
        if name in OWN or name.rpartition(".")[2] in OWN or name == "sensecf.generators.Prompted":
            continue
        methods = [getattr(found, m) for m in dir(found) if not m.startswith("_")] if inspect.isclass(found) else []
        for function in filter(callable, [found, *methods]):
            try:
                parameters = inspect.signature(function).parameters.values()
            except (TypeError, ValueError):
                continue
            wrong += [f"{name}: {p.name}" for p in parameters if str(p.annotation).startswith("pd.DataFrame")]
    assert not wrong


@given(
    st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), min_size=1),
    st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=1),
)
@settings(max_examples=60, deadline=None)
def test_values_and_blanks_come_through_as_they_are(
    whole: list[int | None], words: list[str | None], numbers: list[float | None], flags: list[bool | None]
) -> None:
    for values, kind in ((whole, pl.Int64), (words, pl.String), (numbers, pl.Float64), (flags, pl.Boolean)):
        found = as_frame(pl.DataFrame({"x": pl.Series(values, dtype=kind)}), "frame")["x"]
        assert _plain(found) == values


def test_dates_categories_and_decimals_keep_their_kind() -> None:
    day = datetime.date(2026, 3, 1)
    frame = as_frame(
        pl.DataFrame(
            {
                "day": [day, None],
                "dose": pl.Series([Decimal("1.5"), None]),
                "grade": pl.Series(["low", "high"], dtype=pl.Enum(["low", "high"])),
                "count": pl.Series([1, 2], dtype=pl.Int16),
            }
        ),
        "frame",
    )
    assert frame["day"].dtype.kind == "M"
    assert frame["day"][0] == pd.Timestamp(day)
    assert frame["dose"].tolist()[0] == 1.5
    assert frame["grade"].cat.ordered
    assert frame["grade"].cat.categories.tolist() == ["low", "high"]
    assert frame["count"].dtype.kind == "i"


def test_an_index_survives_the_way_through_pyarrow() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=["a", "b"])
    assert as_frame(pa.Table.from_pandas(frame), "frame").index.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "says"),
    [(pl.LazyFrame({"x": [1]}), "collect()"), ({"x": [1]}, "must be a DataFrame, not dict"),
     (pl.Series([1]), "not Series"), ([[1]], "not list")],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_a_remedy(given: Any, says: str) -> None:
    with pytest.raises(sensecf.InputError, match="people") as raised:
        as_frame(given, "people")
    assert says in str(raised.value)
