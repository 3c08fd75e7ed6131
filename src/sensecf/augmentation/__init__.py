"""Rows to learn from beside those at hand: proposed, judged, curated, and added only where that helps.

`rows` makes them (`augment`), `learning` learns from them (`learn`); `judges` and `curate` decide which are
kept, `gate` whether any are added; `loop` repeats it. `scarcity` removes labels, `controls` must be beaten,
`methods` gives each arm its name and `measure` scores it; `run` is `sensecf augment`.
"""

from __future__ import annotations

from sensecf.augmentation.judges import convene
from sensecf.augmentation.learning import SOFT, combine, entries, leanings, learn, settled
from sensecf.augmentation.rows import PROVENANCE, PURPOSES, augment, draw, evenly, munged, to_frame

__all__ = [
    "PROVENANCE",
    "PURPOSES",
    "SOFT",
    "augment",
    "combine",
    "convene",
    "draw",
    "entries",
    "evenly",
    "leanings",
    "learn",
    "munged",
    "settled",
    "to_frame",
]
