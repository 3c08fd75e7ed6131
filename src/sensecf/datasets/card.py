"""`Card`: what a data set is, who may have it, and what it cannot tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """The facts a person needs before using a data set.

    `label` says how the label is defined; `shareable` whether rows (and rows made from them) may
    be passed on; `simulated` whether they come from a random number generator.
    """

    name: str
    source: str
    licence: str
    shareable: bool
    label: str
    caveats: tuple[str, ...]
    simulated: bool = False
