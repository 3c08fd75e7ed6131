"""A table made ready: checked against the schema, and split into rows to learn from and rows to ask about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from sensecf.core.codec import Codec, check_single, plain_spelling, without_codes
from sensecf.core.errors import InputError
from sensecf.core.frames import as_frame
from sensecf.core.query import out_of_range
from sensecf.core.room import check_ranges, check_room
from sensecf.core.schema import FeatureSchema, Value
from sensecf.data.splits import OFFICIAL, split
from sensecf.data.tables import check_label, check_values

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: Share of the rows (or people) that are held out where no queries are given.
TEST_SHARE = 0.3


def prepare(
    frame: IntoDataFrame, schema: FeatureSchema, queries: IntoDataFrame | None, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The labelled rows in the schema's columns, those to train on, and those to ask about.

    Without `queries`, the rows that the table's `recommended_split` calls test are held out and asked
    about, else 30 % of the rows (of the people where the schema names a group); with `queries`,
    every row may train.
    Raises `InputError` naming the column, row and value of what cannot be used.
    """
    frame = as_frame(frame, "frame")
    queries = None if queries is None else as_frame(queries, "queries")
    absent = [n for n in [*schema.names, schema.label, *schema.kept] if n not in frame.columns]
    if absent:
        raise InputError(f"the table has no column {absent[0]!r}, which the schema names; mend the schema or the table")
    # When and what is shown never come to where anything is learned from; whose row it is keeps people on one side.
    learned = [*schema.names, schema.label, *([schema.person] if schema.person else [])]
    columns = [*learned, *(name for name in schema.kept if name != schema.person)]
    for name in columns:
        check_single(frame[name])
    official = [OFFICIAL] if OFFICIAL in frame.columns and OFFICIAL not in columns else []
    check_room(schema)
    frame, _ = check_label(frame[[*columns, *official]], schema.label)
    frame = _uncoded(frame, schema)
    frame[schema.label] = _classes(frame[schema.label], schema)
    check_values(frame, [f.name for f in schema.features if f.numeric])
    check_ranges(schema, frame)
    if queries is None:
        train, test = split(frame, schema, TEST_SHARE, seed)
        return frame[columns], train[learned], test[columns]
    missing = [n for n in schema.names if n not in queries.columns]
    if missing:
        raise InputError(f"the queries have no column {missing[0]!r}, which the schema lists ({len(missing)} absent)")
    if queries.empty:
        raise InputError("the queries have no rows")
    queries = _uncoded(queries, schema)
    codec = Codec(schema)
    outside = out_of_range(codec, codec.encode(queries), queries)
    if outside:
        raise InputError(f"the queries, {next(iter(outside.values()))} ({len(outside)} rows in all)")
    kept = [*schema.names, *(name for name in schema.kept if name in queries.columns)]
    return frame[columns], frame[learned], queries[kept]


def _uncoded(frame: pd.DataFrame, schema: FeatureSchema) -> pd.DataFrame:
    """A copy with blanks in place of the codes that the schema says stand for them."""
    return frame.assign(**{f.name: without_codes(f, frame[f.name]) for f in schema.features if f.missing_codes})


def _classes(labels: pd.Series[Any], schema: FeatureSchema) -> list[Value]:
    """The schema's class of every label. Raises `InputError` naming the row of one that is none."""
    found: dict[Any, Value] = {}
    for value in labels.unique().tolist():
        alike = [c for c in schema.classes if plain_spelling(c) == plain_spelling(value)]
        try:
            found[value] = alike[0] if len(alike) == 1 else schema.find_class(value)
        except InputError:
            row = labels.index[labels.tolist().index(value)]
            raise InputError(
                f"label {schema.label!r}, row {row}: {value!r} is none of the schema's classes "
                f"{list(schema.classes)}; mend the row or add the class to the schema"
            ) from None
    return [found[value] for value in labels.tolist()]
