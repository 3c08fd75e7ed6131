"""What may leave the machine: the card of each kind of device files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sensecf.data.builtin import aireadi, lifesnaps, t1d_uom
from sensecf.data.card import Card

#: Written beside a tree by `simulate`.
SIMULATED_MARK = "causal_graph.json"

SIMULATED = Card(
    name="simulated_sensors",
    source="written by sensecf sensors simulate from the causal graph beside it; nobody is described",
    licence="none needed: no person's data",
    leaves="shareable",
    derivatives="nothing to inherit: no person is described; whatever is made from it stays marked SIMULATED",
    label=aireadi.CARD.label,
    caveats=("effects are those of the simulator: results show that software works, not what is good for anyone",),
    simulated=True,
)

PERSONAL = Card(
    name="personal_export",
    source="exports of watches, rings, phones and glucose sensors, given by their owners",
    licence="belongs to the people described; needs their consent for any use beyond their own",
    leaves="local only",
    derivatives="the owners' consent: this table, counterfactuals and trained weights still describe them",
    label=aireadi.CARD.label,
    caveats=(
        "health data of people who can be recognised by their days",
        "devices differ in how they compute the same feature: compare people only within one format",
    ),
)

T1D_UOM_CAVEATS = (
    "Garmin computes stress from the heart rate, so heart-rate features are partly circular",
    "17 people, not all with every kind of data; rows of one person are correlated: split by person_id",
    "doses and meals are logged by hand: a blank is not zero",
)


def card_of(root: str | Path, format: str) -> Card:
    """The card of the files below `root`: simulated when `simulate` wrote them, else the strict one of the format."""
    root = Path(root)
    if format == "lifesnaps":
        return lifesnaps.CARD
    if format == "t1d_uom":
        return replace(t1d_uom.CARD, name="t1d_uom", label=aireadi.CARD.label, caveats=T1D_UOM_CAVEATS)
    if format != "aireadi":
        return PERSONAL
    return SIMULATED if (root / SIMULATED_MARK).is_file() else aireadi.CARD
