"""What may leave the machine: the card of each kind of device files."""

from __future__ import annotations

from pathlib import Path

from sensecf.datasets.card import Card
from sensecf.datasets.lifesnaps import CARD as LIFESNAPS

#: Written beside a tree by `simulate`.
SIMULATED_MARK = "causal_graph.json"

_LABEL = (
    "stress: high on days whose mean valid Garmin stress score reaches the threshold (26 unless set otherwise; "
    "the bands begin at 26, 51 and 76; the threshold is a choice of this project), not self-reported"
)

AIREADI = Card(
    name="aireadi",
    source="AI-READI flagship data set, FAIRhub (v1 doi 10.60775/fairhub.1, v3 doi 10.60775/fairhub.3)",
    licence="AI-READI custom licence (data licence agreement)",
    shareable=False,
    label=_LABEL,
    caveats=(
        "local only: rows may not go to a third-party language model without a HIPAA business associate agreement",
        "what is made from it inherits the licence: this table, counterfactuals and synthetic rows, trained weights",
        "fine-tuning in house is allowed with precautions against memorising; use must concern type 2 diabetes",
        "publish no more than a small representative sample of rows",
        "the watch computes stress from the heart rate, so heart-rate features are partly circular",
        "stress is missing while the wearer moves: it is not missing at random",
        "rows of one person are correlated: split by person_id, or by recommended_split",
        "the field called steps may hold the watch's activity byte: see the build report",
    ),
)

SIMULATED = Card(
    name="simulated_sensors",
    source="written by sensecf sensors simulate from the causal graph beside it; nobody is described",
    licence="none needed: no person's data",
    shareable=True,
    label=_LABEL,
    caveats=("effects are those of the simulator: results show that software works, not what is good for anyone",),
    simulated=True,
)

PERSONAL = Card(
    name="personal_export",
    source="exports of watches, rings, phones and glucose sensors, given by their owners",
    licence="belongs to the people described; needs their consent for any use beyond their own",
    shareable=False,
    label=_LABEL,
    caveats=(
        "local only: health data of people who can be recognised by their days",
        "what is made from it (this table, counterfactuals, trained weights) still describes them",
        "devices differ in how they compute the same feature: compare people only within one format",
    ),
)


def card_of(root: str | Path, format: str) -> Card:
    """The card of the files below `root`: simulated when `simulate` wrote them, else the strict one of the format."""
    root = Path(root)
    if format == "lifesnaps":
        return LIFESNAPS
    if format != "aireadi":
        return PERSONAL
    return SIMULATED if (root / SIMULATED_MARK).is_file() else AIREADI
