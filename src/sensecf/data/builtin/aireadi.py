"""AI-READI: the daily table that `sensecf sensors build` made from a download, with its schema and card."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.schema import FeatureSchema
from sensecf.data.card import Card, card_beside
from sensecf.data.infer.infer import infer_schema
from sensecf.data.tables import read_table

CARD = Card(
    name="aireadi",
    source="AI-READI flagship data set, FAIRhub (v1 doi 10.60775/fairhub.1, v3 doi 10.60775/fairhub.3)",
    licence="AI-READI custom licence (data licence agreement)",
    leaves="local only",
    derivatives=(
        "the licence, whole: this table, counterfactuals, made-up rows and weights trained on any of them are "
        "derivative data and stay local too"
    ),
    label=(
        "stress: high on days whose mean valid Garmin stress score reaches the threshold (26 unless set otherwise; "
        "the bands begin at 26, 51 and 76; the threshold is a choice of this project), not self-reported"
    ),
    caveats=(
        "rows may not go to a third-party language model without a HIPAA business associate agreement",
        "fine-tuning in house is allowed with precautions against memorising; use must concern type 2 diabetes",
        "publish no more than a small representative sample of rows",
        "the watch computes stress from the heart rate, so heart-rate features are partly circular",
        "stress is missing while the wearer moves: it is not missing at random",
        "rows of one person are correlated: split by person_id, or by recommended_split",
        "the field called steps may hold the watch's activity byte: see the build report",
    ),
)

#: The table in the data set's folder, in the order in which they are looked for.
FILES = ("days.parquet", "days.csv")


def load(folder: Path) -> tuple[pd.DataFrame, FeatureSchema, Card]:
    """The built table, its schema, and the card beside it (without one: AI-READI's own, the strict one).

    Raises `InputError` when the folder holds no built table.
    """
    table = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if table is None:
        raise InputError(
            f"{folder} holds no {' or '.join(FILES)}; "
            f"build it first: sensecf sensors build DOWNLOAD --format aireadi --out {folder / FILES[-1]}"
        )
    frame = read_table(table)
    schema = infer_schema(frame, "stress", person="person_id", name=CARD.name)
    return frame, schema, card_beside(table) or CARD
