"""Whose row it is, when, and what is shown beside it: text, kept apart from what is learned from."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sensecf.core.people import PERSON, WHEN, as_text
from sensecf.core.schema import FeatureSchema
from sensecf.data.when import written


def whose(schema: FeatureSchema, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns `person` and `when` and those that are shown, as far as the frame has them; its index."""
    found: dict[str, pd.Series[Any]] = {}
    if schema.person in frame:
        found[PERSON] = as_text(frame[schema.person])
    if schema.when in frame:
        found[WHEN] = written(frame[schema.when])
    found |= {name: as_text(frame[name]) for name in schema.shown if name in frame}
    return pd.DataFrame(found, index=frame.index)
