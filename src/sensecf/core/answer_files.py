"""The tables of answers read back from their folder, with the types that they had."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from sensecf.core.errors import InputError, one_line
from sensecf.core.kept import read_bytes
from sensecf.core.people import PERSON, WHEN
from sensecf.core.schema import FeatureSchema

#: Columns that are blank where nobody asked for plans that hold: the share of refits, which took no part in finding
#: an answer, that agree with it; its exact lower bound (one-sided, 95 %); the same where the person lands a little off.
SHARES = ("holds", "holds_low", "lands")
#: Of each plan for a person: whose it is, its rank, its mark in column `plan_id`, how many days it turns of how many
#: that are not in the target class, how many were wanted, what it asks for as text (see `pipeline.person.said`), why
#: there is none, and the queries of the days that it turns and of the others, joined by `counterfactuals.ACTIONS_MARK`.
PEOPLE = (PERSON, "rank", "plan_id", "turns", "of", "wanted", "plan", "reason", "turned", "others")
#: Its columns of whole numbers; `everybody` and `singly` are the controls of a run.
_COUNTS = ("rank", "turns", "of", "wanted", "everybody", "singly")


def read_people(path: Path) -> pd.DataFrame:
    """The saved table of people. Raises `InputError` where it is damaged."""
    frame = pd.read_csv(io.BytesIO(read_bytes(path)), dtype=str, keep_default_na=False)
    if missing := [name for name in PEOPLE if name not in frame]:
        raise InputError(f"{path} has no column {missing[0]!r}; save the answers again")
    try:
        numbers = {
            name: pd.to_numeric(frame[name].replace("", None)).astype("Int64") for name in frame if name in _COUNTS
        }
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: {one_line(error)}; save the answers again") from error
    return frame.assign(**numbers)


def read_answers(path: Path, schema: FeatureSchema) -> pd.DataFrame:
    """A saved table with the types that it had: numbers, levels and classes of the schema, blanks."""
    frame = pd.read_csv(io.BytesIO(read_bytes(path)), dtype=str, keep_default_na=False, na_values=[""])
    classes = {str(value): value for value in schema.classes}
    numbers = {"probability", "proximity", "seconds", *SHARES, *(f.name for f in schema.features if f.numeric)}
    whole = {"rank", "n_changed", "turns", "of", *(f.name for f in schema.features if f.kind == "integer")}
    levels = {f.name: {str(level): level for level in f.levels} for f in schema.features if not f.numeric}
    levels |= {"target": classes, "predicted": classes}
    levels |= {name: {"True": True, "False": False} for name in ("valid", "feasible", "plausible")}
    for name in frame:
        column = frame[name]
        try:
            if name in whole:
                frame[name] = pd.to_numeric(column).astype("Int64")
            elif name in numbers:
                frame[name] = pd.to_numeric(column).astype(float)
            elif name in levels:
                frame[name] = column.map(levels[name])
                unknown = frame[name].isna() & column.notna()
                if unknown.any():
                    raise ValueError(f"{column[unknown].iloc[0]!r} is none of {list(levels[name])}")
            elif name == "query":
                numbered = pd.to_numeric(column, errors="coerce")
                # 001 is a name.
                frame[name] = numbered if list(map(str, numbered)) == list(column) else column
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}, column {name!r}: {one_line(error)}; save the answers again") from error
    missing = [name for name in schema.names if name not in frame]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}, which its schema lists; save the answers again")
    frame = frame.astype({n: bool for n in ("valid", "feasible", "plausible") if n in frame})
    for name in ("expected_valid", "cautious_valid"):
        if name in frame:
            frame[name] = frame[name].map({"True": True, "False": False}).astype("boolean")
    for name in ("reason", "actions", "consequences", PERSON, WHEN, "plan_id", *schema.shown):
        if name in frame:
            frame[name] = frame[name].fillna("")
    return frame
