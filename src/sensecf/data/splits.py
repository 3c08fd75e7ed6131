"""Training and test rows: the data set's own split where it has one, else by person and with every class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensecf.core.errors import InputError
from sensecf.core.frames import as_frame
from sensecf.core.rules import Bools
from sensecf.core.schema import FeatureSchema

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: The column of a data set's own split (AI-READI), and its values: which rows are learnt from, which are asked about.
OFFICIAL = "recommended_split"
_LEARN, _HELD_OUT = ("train", "val"), ("test",)
#: Draws of groups among which the best balanced one is taken.
_DRAWS = 200


def split(
    frame: IntoDataFrame, schema: FeatureSchema, test_share: float = 0.3, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test rows, each in the order and with the index of `frame`.

    Where the frame has a column `recommended_split`, which is no feature, that decides: "train" and
    "val" are learnt from (nothing is tuned on the latter), "test" is held out, and neither
    `test_share` nor `seed` matters. Otherwise, with a group, its rows stay on one side: of many
    random draws of groups, the one whose test side is closest to `test_share` of every class.
    Without, `test_share` of each class, at least one row. Raises `InputError` for rows without
    label, group or recommended split, and when some class cannot be on both sides (by the
    recommended split: in training).

    >>> train, test = sensecf.datasets.split(data.frame, data.schema)
    >>> set(train["participant_id"]) & set(test["participant_id"])
    set()
    """
    frame = as_frame(frame, "frame")
    if not 0 < test_share < 1:
        raise InputError(f"test_share must lie between 0 and 1, not {test_share}")
    official = OFFICIAL in frame.columns and OFFICIAL not in (*schema.names, schema.label, schema.group)
    for column in (schema.label, schema.group, OFFICIAL if official else None):
        if column is None:
            continue
        if column not in frame.columns:
            raise InputError(f"the table has no column {column!r}, which the schema names")
        blank = int(frame[column].isna().sum())
        if blank:
            raise InputError(
                f"column {column!r} is blank in {blank} rows; fill them in or drop the rows before splitting"
            )
    classes, names = pd.factorize(frame[schema.label], sort=True)
    if len(names) < 2:
        raise InputError(f"label {schema.label!r} has one class only in these rows; rows of two classes are needed")
    if official:
        test = _official(frame, schema)
        return frame[~test], frame[test]
    rng = np.random.default_rng(seed)
    if schema.group is None:
        test = _stratified(classes, list(names), test_share, rng)
    else:
        test = _grouped(classes, list(names), frame[schema.group], test_share, rng)
    return frame[~test], frame[test]


def _official(frame: pd.DataFrame, schema: FeatureSchema) -> Bools:
    """The rows that the data set itself holds out."""
    said = frame[OFFICIAL].astype(str).str.strip().str.casefold()
    unknown = said[~said.isin((*_LEARN, *_HELD_OUT))]
    if len(unknown):
        raise InputError(
            f"column {OFFICIAL!r}, row {unknown.index[0]}: {frame[OFFICIAL][unknown.index[0]]!r} is none of "
            f"{', '.join((*_LEARN, *_HELD_OUT))}; mend it, or drop the column to split anew"
        )
    test: Bools = said.isin(_HELD_OUT).to_numpy()
    if schema.group is not None:
        both = set(frame[schema.group][test]) & set(frame[schema.group][~test])
        if both:
            raise InputError(
                f"{schema.group} {sorted(map(str, both))[0]!r} has rows on both sides of {OFFICIAL!r}; "
                "mend it, or drop the column to split anew"
            )
    absent = set(frame[schema.label]) - set(frame[schema.label][~test])
    if absent or not test.any():
        what = f"class {sorted(map(str, absent))[0]!r} has no row to learn from" if absent else "no row is held out"
        raise InputError(f"by {OFFICIAL!r}, {what}; add people, or drop the column to split anew")
    return test


def _stratified(classes: NDArray[np.intp], names: list[Any], share: float, rng: np.random.Generator) -> Bools:
    test = np.zeros(len(classes), dtype=bool)
    for position, name in enumerate(names):
        rows = rng.permutation(np.flatnonzero(classes == position))
        if len(rows) < 2:
            raise InputError(f"class {name!r} has one row, so it cannot be in training and test; add rows or drop it")
        test[rows[: np.clip(round(share * len(rows)), 1, len(rows) - 1)]] = True
    return test


def _grouped(
    classes: NDArray[np.intp], names: list[Any], groups: pd.Series[Any], share: float, rng: np.random.Generator
) -> Bools:
    codes, people = pd.factorize(groups)
    if len(people) < 2:
        raise InputError(f"group {groups.name!r} has one value, so nobody is left to test on; split without a group")
    counts = np.zeros((len(people), len(names)))
    np.add.at(counts, (codes, classes), 1)
    total = counts.sum(axis=0)
    size = int(np.clip(round(share * len(people)), 1, len(people) - 1))
    best, best_distance = None, np.inf
    for _ in range(_DRAWS):
        chosen = rng.permutation(len(people))[:size]
        inside = counts[chosen].sum(axis=0)
        distance = float(np.abs(inside / total - share).sum())
        if (inside > 0).all() and (inside < total).all() and distance < best_distance:
            best, best_distance = chosen, distance
    if best is None:
        lonely = [name for name, column in zip(names, counts.T, strict=True) if (column > 0).sum() < 2]
        why = f"class {lonely[0]!r} occurs in one {groups.name} only" if lonely else "too few people have each class"
        raise InputError(f"cannot put every class in training and test by {groups.name}: {why}; split without a group")
    return np.isin(codes, best)
