"""A schema whose new values lie in cells that several people share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from sensecf.core.codec import Codec
from sensecf.core.rules import Floats, Total
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Ints, shared_span

#: People that share a cell.
PEOPLE = 5
#: The share of a feature's values that its stretch of shared cells is to hold; and the share where the cells for that
#: would be wider than the feature's MAD: of few people, cells that hold nearly all ask for changes that nobody needs.
HELD, LESS = 0.9, 0.7
#: How many of its steps a cell may be wide.
WIDTHS = [m * 10**e for e in range(7) for m in (1, 2, 5)]


def shared_cells(
    schema: FeatureSchema, train: pd.DataFrame, people: int = PEOPLE, every: bool = False
) -> FeatureSchema:
    """The schema with steps so wide that at least `people` people have a value in every cell a change may lead to.

    A feature's step becomes the smallest multiple of it for which an unbroken stretch of shared cells holds `HELD` of
    the values, or `LESS` of them where that step is wider than the MAD; where none does, the one that holds most.
    Members of one total get one step. `shared_by` says the rest: changes stay inside the stretch, and levels of fewer
    people are not led to (see `Task.reach`, `Task.rare_levels`). `train`: training rows, whose people are counted.
    `every`: of what never changes too.
    """
    codec = Codec(schema)
    known = codec.known(codec.encode(train))
    person = schema.person
    who: Ints = (
        np.arange(len(train)) if person is None else pd.factorize(train[person], use_na_sentinel=False)[0]
    ).astype(np.intp)
    steps = {
        f.name: _step(f, known[:, j], who, people)
        for j, f in enumerate(schema.features)
        if f.numeric and (every or f.changeable)
    }
    for rule in schema.rules:
        if isinstance(rule, Total):
            members = [name for name in rule.members() if name in steps]
            widest = max((steps[name] for name in members), default=0.0)
            steps |= dict.fromkeys(members, widest)
    features = tuple(_widened(f, steps[f.name]) if f.name in steps else f for f in schema.features)
    return replace(schema, features=features, shared_by=people)


def _step(feature: Feature, values: Floats, who: Ints, people: int) -> float:
    """The width of a feature's cells."""
    known = values[~np.isnan(values)]
    step = _width(feature, values, who, people, HELD)
    mad = float(np.median(np.abs(known - np.median(known)))) if len(known) else 0.0
    return _width(feature, values, who, people, LESS) if step > mad > 0 else step


def _width(feature: Feature, values: Floats, who: Ints, people: int, share: float) -> float:
    """The smallest multiple of a feature's step whose stretch of shared cells holds a share of the values, else the one
    that holds most."""
    assert feature.step is not None
    known = values[~np.isnan(values)]
    best, most = feature.step, -1.0
    span = float(np.ptp(known)) if len(known) else 0.0
    for width in WIDTHS:
        step = round(feature.step * width, 10)
        if step > max(span, feature.step):
            break
        low, high = shared_span(values, who, step, people)
        inside = float(((np.round(known / step) * step >= low) & (np.round(known / step) * step <= high)).mean())
        if inside > most + 1e-9:
            best, most = step, inside
        if inside >= share:
            return step
    return best


def _widened(feature: Feature, step: float) -> Feature:
    """The feature with wider steps, where its range has a multiple of them."""
    assert feature.low is not None
    assert feature.high is not None
    return feature if np.floor(feature.high / step) * step < feature.low else replace(feature, step=step)
