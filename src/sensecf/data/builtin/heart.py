"""UCI Heart Disease, Cleveland: 303 patients, 13 features, no groups."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sensecf.core.schema import FeatureSchema
from sensecf.data.card import Card
from sensecf.data.infer.infer import infer_schema
from sensecf.data.tables import read_table

CARD = Card(
    name="heart_disease_cleveland",
    source="UCI Heart Disease, Cleveland (Janosi, Steinbrunn, Pfisterer, Detrano), doi 10.24432/C52P4X",
    licence="CC BY 4.0",
    leaves="shareable",
    derivatives="attribution to the authors (CC BY 4.0), and a word that rows were changed or made up",
    label="target: 1 where the angiographic diagnosis num is above 0 (disease), 0 where it is 0",
    caveats=(
        "num is the source of the label and is dropped",
        "one row per patient of one clinic in the 1980s",
    ),
)


#: The prepared table and the SHA-256 of its bytes.
FILE = "heart_cleveland.csv"
SHA256 = "ea4979ee2ffd86d2ad342c61be23c9622954dad2089ea4083133528ab7c8b607"


def load(folder: Path) -> tuple[pd.DataFrame, FeatureSchema, Card]:
    """The table without `num`, its schema and card."""
    frame = read_table(folder / FILE).drop(columns="num")
    schema = infer_schema(frame, "target", name=CARD.name).edit(
        sex={"description": "1 male, 0 female"},
        cp={"description": "chest pain: 1 typical, 2 atypical, 3 non-anginal, 4 asymptomatic"},
        trestbps={"role": "mutable", "unit": "mmHg", "description": "resting blood pressure"},
        chol={"role": "mutable", "unit": "mg/dL", "description": "serum cholesterol"},
        fbs={"role": "mutable", "description": "1 where fasting sugar is above 120 mg/dL"},
        restecg={"description": "resting ECG: 0 normal, 1 ST-T abnormality, 2 hypertrophy"},
        thalach={"unit": "bpm", "description": "highest heart rate reached"},
        exang={"description": "1 where exercise brings on angina"},
        oldpeak={"unit": "mm", "description": "ST depression by exercise"},
        slope={"description": "of the ST segment: 1 up, 2 flat, 3 down"},
        ca={"role": "mutable", "description": "vessels coloured by fluoroscopy"},
        thal={"role": "immutable", "description": "3 normal, 6 fixed defect, 7 reversible defect"},
    )
    return frame, schema, CARD
