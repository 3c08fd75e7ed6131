"""Training and test rows: by person where the schema names a group, every class on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensecf.errors import InputError
from sensecf.rules import Bools
from sensecf.schema import FeatureSchema

#: Draws of groups among which the best balanced one is taken.
_DRAWS = 200


def split(
    frame: pd.DataFrame, schema: FeatureSchema, test_share: float = 0.3, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test rows, each in the order and with the index of `frame`.

    With a group, its rows stay on one side: of many random draws of groups, the one whose test
    side is closest to `test_share` of every class. Without, `test_share` of each class, at least
    one row. Raises `InputError` for rows without label or group, and when some class cannot be on
    both sides.
    """
    if not 0 < test_share < 1:
        raise InputError(f"test_share must lie between 0 and 1, not {test_share}")
    for column in (schema.label, schema.group):
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
    rng = np.random.default_rng(seed)
    if schema.group is None:
        test = _stratified(classes, list(names), test_share, rng)
    else:
        test = _grouped(classes, list(names), frame[schema.group], test_share, rng)
    return frame[~test], frame[test]


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
