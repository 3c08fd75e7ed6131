"""T1D-UOM: watch and glucose-sensor days of 12 adults with type 1 diabetes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sensecf.core.schema import FeatureSchema
from sensecf.data.card import Card
from sensecf.data.infer.infer import infer_schema
from sensecf.data.tables import read_table

CARD = Card(
    name="t1d_uom_daily_stress",
    source="derived from T1D-UOM (Alsuhaymi et al., University of Manchester), Zenodo 10.5281/zenodo.15169263",
    licence="CC BY 4.0",
    leaves="shareable",
    derivatives="attribution to the authors (CC BY 4.0), and a word that rows were changed or made up",
    label="high_stress: 1 where the day's mean Garmin stress score is at least 35 (threshold ours), not self-reported",
    caveats=(
        "stress_mean and stress_pct_ge51 are the source of the label, four columns count samples: all are dropped",
        "Garmin computes stress from the heart rate, so heart-rate features are partly circular",
        "12 people, one without a positive day; rows of one person are correlated: split by participant_id",
    ),
)

#: The prepared table and the SHA-256 of its bytes.
FILE = "t1d_uom_daily_stress.csv"
SHA256 = "619366fd16dd0d069c7e4c22da5a128be11af02309be22a528f0bb41684eb3bf"

_LABEL_SOURCES = ["stress_mean", "stress_pct_ge51"]
_SAMPLE_COUNTS = ["stress_n", "hr_n", "act_epochs", "glucose_n"]


def load(folder: Path) -> tuple[pd.DataFrame, FeatureSchema, Card]:
    """The table without label sources and sample counts, its schema and card."""
    frame = read_table(folder / FILE).drop(columns=_LABEL_SOURCES + _SAMPLE_COUNTS)
    schema = infer_schema(frame, "high_stress", person="participant_id", name=CARD.name).edit(
        day_of_week={"description": "0 is Monday"},
        glucose_tir_pct={"description": "share of the day in 3.9 to 10.0 mmol/L"},
        glucose_tbr_pct={"description": "share of the day below 3.9 mmol/L"},
        glucose_tar_pct={"description": "share of the day above 10.0 mmol/L"},
        bolus_insulin_u={"description": "logged; a blank is not zero"},
        carbs_g={"description": "logged; a blank is not zero"},
    )
    return frame, schema, CARD
