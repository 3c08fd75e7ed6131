"""LifeSnaps: Fitbit days of 37 people with a stress management score."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sensecf.datasets.card import Card
from sensecf.infer import infer_schema
from sensecf.schema import FeatureSchema
from sensecf.tables import read_table

CARD = Card(
    name="lifesnaps_daily",
    source="LifeSnaps (Yfantidou, Karagianni et al., Scientific Data 9:663, 2022), Zenodo 10.5281/zenodo.7229547",
    licence="CC BY 4.0",
    shareable=True,
    label="high_stress: 1 where Fitbit's stress management score is below 75 (ours; a high score is less stress)",
    caveats=(
        "stress_score is the source of the label, tense_anxious_ema a second label: both are dropped",
        "the score is partly computed from heart rate, activity and sleep, so the features are partly circular",
        "rows of one person are correlated: split by participant_id",
    ),
)


def load(folder: Path) -> tuple[pd.DataFrame, FeatureSchema]:
    """The table without label sources, and its schema."""
    frame = read_table(folder / "lifesnaps_stress.csv").drop(columns=["stress_score", "tense_anxious_ema"])
    ratio = {"role": "mutable", "description": "apparently minutes over the person's own 30-day average"}
    schema = infer_schema(frame, "high_stress", group="participant_id", name=CARD.name).edit(
        day_of_week={"description": "0 is Monday"},
        bmi={"role": "immutable", "unit": "kg/m²", "description": "binned"},
        temp_variation_c={"description": "nightly temperature less the person's baseline"},
        sleep_deep_ratio=ratio,
        sleep_light_ratio=ratio,
        sleep_rem_ratio=ratio,
        sleep_wake_ratio=ratio,
    )
    return frame, schema
