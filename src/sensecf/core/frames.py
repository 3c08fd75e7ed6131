"""Tables of other libraries (polars, pyarrow, modin, cuDF) as the pandas frame that everything here computes on.

Frames come back as pandas ones: `polars.from_pandas` and `pyarrow.Table.from_pandas` lead back.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from sensecf.core.errors import InputError


def as_frame(table: Any, what: str) -> pd.DataFrame:
    """A table as a DataFrame: one of pandas as it is, any other that narwhals knows, column by column.

    Blanks become NaN, None or NaT; whole numbers without blanks stay whole; categories keep their order. A frame
    of polars gets the index 0, 1, .... Raises `InputError` for anything else, and for a lazy frame.
    """
    if isinstance(table, pd.DataFrame):
        return table
    found = nw.from_native(table, pass_through=True)
    if isinstance(found, nw.LazyFrame):
        raise InputError(f"{what} is a lazy frame, whose rows are not there yet; call its collect() first")
    if not isinstance(found, nw.DataFrame):
        raise InputError(
            f"{what} must be a DataFrame, not {type(table).__name__}; "
            "read a file with sensecf.read_table, or make one with pandas.DataFrame"
        )
    if found.implementation.is_pyarrow():
        return found.to_pandas()  # which knows the index of a table that was made from pandas
    # Polars needs pyarrow for that, which is an extra here.
    return pd.DataFrame({name: _column(found[name]) for name in found.columns}, index=pd.RangeIndex(len(found)))


def _column(column: nw.Series[Any]) -> Any:
    """The values of a column in the dtype that pandas reads from a file."""
    kind = column.dtype
    if isinstance(kind, nw.Decimal):
        column, kind = column.cast(nw.Float64), nw.Float64()
    if kind.is_numeric():
        return column.to_numpy()
    values = column.to_list()
    if isinstance(kind, nw.Categorical | nw.Enum):
        levels = column.cat.get_categories().to_list()
        return pd.Categorical(values, categories=levels, ordered=isinstance(kind, nw.Enum))
    if isinstance(kind, nw.Date | nw.Datetime):
        return pd.to_datetime(pd.Series(values, dtype=object))
    return pd.Series(values)
