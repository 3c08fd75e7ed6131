"""The answers as an object: kept, opened again, and shown without a row of anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from boundary import explain
from sensecf import Counterfactuals, InputError, Task
from sensecf.generators import Search


@pytest.fixture(scope="module")
def found(mixed_task: Task) -> Counterfactuals:
    people = mixed_task.train[mixed_task.schema.names].head(12)
    return explain(mixed_task, Search(mixed_task), people, n=2, edit="mutable")


def test_what_is_saved_is_opened_as_it_was(found: Counterfactuals, tmp_path: Path) -> None:
    found.save(tmp_path)
    again = Counterfactuals.load(tmp_path)
    assert again.schema == found.schema
    columns = list(found.frame)
    pd.testing.assert_frame_equal(again.frame[columns], found.frame, check_dtype=False)
    pd.testing.assert_frame_equal(again.factuals, found.factuals, check_dtype=False, check_names=False)
    again.save(tmp_path / "again")
    for name in ("counterfactuals.csv", "factuals.csv", "schema.toml"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize(
    ("column", "value", "said"), [("rank", "first", "column 'rank'"), ("predicted", "purple", "'purple' is none of")]
)
def test_a_damaged_table_is_refused_with_the_column(
    found: Counterfactuals, tmp_path: Path, column: str, value: Any, said: str
) -> None:
    found.save(tmp_path)
    path = tmp_path / "counterfactuals.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.loc[0, column] = value
    table.to_csv(path, index=False)
    with pytest.raises(InputError, match=said):
        Counterfactuals.load(tmp_path)


def test_it_is_shown_by_counts_and_by_no_row_of_anybody(found: Counterfactuals) -> None:
    assert repr(found).startswith("<Counterfactuals: ")
    assert f"of {len(found.factuals)} requests" in repr(found)
    shown = found._repr_html_()
    changes = found.changes()
    assert changes["feature"].iloc[0] in shown
    for value in {str(v) for v in changes["before"]} | {str(v) for v in changes["after"]}:
        assert f">{value}<" not in shown or value.isdigit()  # counts are numbers too
    assert len(repr(found)) < 120
