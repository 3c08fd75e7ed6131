"""Scenarios: ways in which labels are scarce, made from a training set that has them all.

The rows that lose their label are kept apart. Only two arms of a study may see them: the oracle, with
their labels, and the unlabelled arms, without.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.rules import Bools
from sensecf.core.schema import FeatureSchema, Value

#: Scenario: which class is scarce.
SCENARIOS = {"a": "the positive class is scarce", "b": "the negative class is scarce", "c": "both classes are scarce"}
#: Rows that a class keeps at least: out-of-fold judgements need some in every fold.
KEPT = 6


class Reduced(NamedTuple):
    """Training rows after removal: `rows` keep their label, `removed` have lost it (it is still in their column)."""

    rows: pd.DataFrame
    removed: pd.DataFrame


def positive_class(schema: FeatureSchema, named: Any = None) -> Value:
    """The class whose F1 is measured: `named`, else the one of two classes that is not the schema's target.

    A target is what a person wants to reach (low stress), so the other class is what a test is to
    find. Raises `InputError` when it cannot be told.
    """
    if named is not None:
        return schema.find_class(named)
    others = [c for c in schema.classes if c != schema.target]
    if schema.target is None or len(others) != 1:
        raise InputError(
            f"label {schema.label!r} has the classes {list(schema.classes)}: name the positive one (--positive)"
        )
    return others[0]


def remove_labels(
    train: pd.DataFrame, schema: FeatureSchema, scenario: str, share: float, positive: Value, seed: int = 0
) -> Reduced:
    """Take the label from `share` of the rows of the scenario's classes; the same rows for the same seed.

    Where the schema names a group, labels go person by person in random order (whoever is not
    asked has no label on any day), the last person in part, so that the share is exact. A larger
    share removes all that a smaller one does. Both parts keep the order and the index of `train`.
    Raises `InputError` for an unknown scenario, a share outside [0, 1), a blank person, and when fewer
    than `KEPT` rows of a class would be left.
    """
    if scenario not in SCENARIOS:
        raise InputError(f"scenario {scenario!r} is unknown; use {', '.join(SCENARIOS)}")
    if not 0 <= share < 1:
        raise InputError(f"the share removed must lie in [0, 1), not {share}")
    removed = np.zeros(len(train), dtype=bool)
    for number, label in enumerate(schema.classes):
        if scenario == "c" or (scenario == "a") == (label == positive):
            # One stream per class: what happens to one class does not depend on the scenario of the other.
            removed |= _some_of(train, schema, label, share, np.random.default_rng([seed, number]))
    return Reduced(train[~removed], train[removed])


def _some_of(train: pd.DataFrame, schema: FeatureSchema, label: Value, share: float, rng: np.random.Generator) -> Bools:
    """Which rows of a class lose their label."""
    members = np.flatnonzero((train[schema.label] == label).to_numpy())
    count = round(share * len(members))
    if len(members) - count < KEPT:
        raise InputError(
            f"class {label!r} has {len(members)} training rows; removing {share:.0%} of them leaves "
            f"{len(members) - count}, and at least {KEPT} are needed"
        )
    order = rng.permutation(members)
    if schema.group is not None:
        if train[schema.group].isna().any():
            raise InputError(f"column {schema.group!r} is blank in some rows; fill them in or drop the rows")
        codes = pd.factorize(train[schema.group].iloc[order])[0]  # people in the order of their first row
        turn = rng.permutation(codes.max() + 1)
        order = order[np.argsort(turn[codes], kind="stable")]
    chosen = np.zeros(len(train), dtype=bool)
    chosen[order[:count]] = True
    return chosen
