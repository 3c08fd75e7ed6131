"""LifeSnaps: Fitbit days of 37 people with a stress management score."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd

from sensecf.core.errors import TableWarning
from sensecf.core.schema import FeatureSchema
from sensecf.data.card import Card
from sensecf.data.infer.infer import infer_schema
from sensecf.data.tables import read_table

CARD = Card(
    name="lifesnaps_daily",
    source="LifeSnaps (Yfantidou, Karagianni et al., Scientific Data 9:663, 2022), Zenodo 10.5281/zenodo.7229547",
    licence="CC BY 4.0",
    leaves="shareable",
    derivatives="attribution to the authors (CC BY 4.0), and a word that rows were changed or made up",
    label="high_stress: 1 where Fitbit's stress management score is below 75 (ours; a high score is less stress)",
    caveats=(
        "stress_score is the source of the label, tense_anxious_ema a second label: both are dropped",
        "the score is partly computed from heart rate, activity and sleep, so the features are partly circular",
        "rows of one person are correlated: split by participant_id",
    ),
)


#: The prepared table and the SHA-256 of its bytes.
FILE = "lifesnaps_stress.csv"
SHA256 = "4c99a2748df7c9f0dd4de049875993c1f1ef42475f0eb8b2d501784a50f6a219"


def load(folder: Path) -> tuple[pd.DataFrame, FeatureSchema, Card]:
    """The table without label sources, its schema and card."""
    frame = read_table(folder / FILE).drop(columns=["stress_score", "tense_anxious_ema"])
    ratio = {"role": "mutable", "description": "apparently minutes over the person's own 30-day average"}
    with warnings.catch_warnings():  # bmi comes binned, from "<19" to ">=30", and is meant as levels
        warnings.filterwarnings("ignore", "column 'bmi' has numbers", TableWarning)
        guessed = infer_schema(frame, "high_stress", person="participant_id", name=CARD.name)
    schema = guessed.edit(
        day_of_week={"description": "0 is Monday"},
        bmi={"role": "immutable", "unit": "kg/m²", "description": "binned"},
        temp_variation_c={"description": "nightly temperature less the person's baseline"},
        sleep_deep_ratio=ratio,
        sleep_light_ratio=ratio,
        sleep_rem_ratio=ratio,
        sleep_wake_ratio=ratio,
    )
    return frame, schema, CARD
