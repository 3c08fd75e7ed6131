"""A table made ready: the official split is kept, and never becomes a column to learn from."""

from __future__ import annotations

import pandas as pd
import pytest

from handmade import SCHEMA, TRAIN
from sensecf.core.errors import InputError
from sensecf.data.prepare import prepare


def table() -> pd.DataFrame:
    return pd.concat([TRAIN] * 4, ignore_index=True)


def test_the_split_that_a_table_brings_along_is_respected() -> None:
    parts = ["train"] * 10 + ["val"] * 5 + ["test"] * 5
    frame, train, held_out = prepare(table().assign(recommended_split=parts), SCHEMA, None, seed=0)
    assert held_out.index.tolist() == list(range(15, 20))
    assert train.index.tolist() == list(range(15))
    assert all("recommended_split" not in rows for rows in (frame, train, held_out))


def test_without_one_three_tenths_are_held_out_and_the_seed_says_which() -> None:
    _, train, held_out = prepare(table(), SCHEMA, None, seed=0)
    assert len(train) + len(held_out) == 20
    assert set(train.index) & set(held_out.index) == set()
    assert prepare(table(), SCHEMA, None, seed=0)[2].equals(held_out)


def test_with_queries_every_row_may_train() -> None:
    asked = TRAIN.drop(columns="stress").head(2)
    frame, train, held_out = prepare(table(), SCHEMA, asked, seed=0)
    assert len(frame) == len(train) == 20
    assert held_out.equals(asked)


def test_a_query_outside_the_range_is_named() -> None:
    asked = TRAIN.drop(columns="stress").head(1).assign(steps=30_000)
    with pytest.raises(InputError, match=r"column 'steps': 30,?000.*outside"):
        prepare(table(), SCHEMA, asked, seed=0)
