"""What answers cost, and what judged whether they hold, as data: parts of `run.json`."""

from __future__ import annotations

from typing import TypedDict


class JuryFacts(TypedDict):
    """What a reader is told of the refits that plans are held against, and of the margin that was calibrated on them.

    `counting`: how many of the jurors count of a plan whether it holds; see `pipeline.hold.Calibration` for the rest.
    """

    change: str
    jurors: int
    counting: int
    seed: int
    hold: float
    margin: float
    people: int
    held: int
    low: float
    confidence: float
    certified: bool
    tried: list[list[float]]
    says: str


class Cost(TypedDict, total=False):
    """What answers cost in all; which entries there are depends on who made them.

    `no_jury`: why nothing could judge whether plans hold. Of `compare` alone are `model_own` (what the language model
    answered itself, by kind), `fit_seconds`, `fit_rows` (of building the method), `stated` (the mean of the lower
    bounds that a method states itself) and `by_fallback` (answers found by another).
    """

    seconds: float
    classifier_rows: int
    model_tokens: int
    queries: int
    distinct_queries: int
    hold: JuryFacts
    no_jury: str
    model_own: dict[str, int]
    fit_seconds: float
    fit_rows: float
    stated: float
    by_fallback: int
