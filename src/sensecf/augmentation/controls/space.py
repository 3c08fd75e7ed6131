"""The space in which rows are interpolated: standardised numbers, one coordinate per level."""

from __future__ import annotations

import numpy as np

from sensecf.augmentation.controls.situation import Situation
from sensecf.core.rules import Floats


class Space:
    """Encoded rows (n, d) as points (n, c) and back; medians, scales and levels are those of the labelled rows.

    Blanks lie at the median or at the most frequent level, so what comes back has none.
    """

    def __init__(self, situation: Situation) -> None:
        self.codec, rows = situation.codec, situation.encoded
        numeric = self.codec.numeric
        blank = np.isnan(rows)
        typical = [_typical(rows[~blank[:, j], j], bool(numeric[j])) for j in range(rows.shape[1])]
        self.fill = self.codec.snap(np.array(typical)[None])[0]
        filled = np.where(blank, self.fill, rows)
        spread = filled.std(axis=0)
        self.scale = np.where(spread > 0, spread, 1.0)
        self.columns = [
            (j, None if numeric[j] else np.arange(self.codec.n_levels[j], dtype=float)) for j in range(rows.shape[1])
        ]

    def points(self, rows: Floats) -> Floats:
        """Rows as points: a number over its standard deviation; unlike levels are a distance of 1 apart."""
        filled = np.where(np.isnan(rows), self.fill, rows)
        parts = [
            filled[:, [j]] / self.scale[j] if levels is None else (filled[:, [j]] == levels) * np.sqrt(0.5)
            for j, levels in self.columns
        ]
        return np.hstack(parts)

    def rows(self, points: Floats) -> Floats:
        """Points as rows: numbers on their steps and inside their ranges, the level with the largest coordinate."""
        out = np.empty((len(points), len(self.columns)))
        at = 0
        for j, levels in self.columns:
            width = 1 if levels is None else len(levels)
            part = points[:, at : at + width]
            out[:, j] = part[:, 0] * self.scale[j] if levels is None else part.argmax(axis=1)
            at += width
        return self.codec.snap(out)


def _typical(values: Floats, numeric: bool) -> float:
    if not len(values):
        return 0.0
    return float(np.median(values)) if numeric else float(np.bincount(values.astype(int)).argmax())
