"""The tables of the benchmarks of programmes, weeks and taste, each explained once into a folder."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import sensecf
from sensecf.core.schema import FeatureSchema
from sensecf.runs.experiment import Call

#: Table: (data set, what is done to it, whether its plans are to hold). On T1D-UOM no plan for a lever holds.
TABLES = {
    "simulated": ("simulated", "", True),
    "heart": ("heart_disease_cleveland", "", True),
    "lifesnaps": ("lifesnaps_daily", "", True),
    "t1d": ("t1d_uom_daily_stress", "", False),
    "uneven": ("simulated", "uneven", True),
    "half blank": ("simulated", "blank", True),
    "oddly named": ("simulated", "odd", True),
}
#: Names that a table at hand may have.
ODD = ("Schritte/Tag", "aktiv (min)", "sitzt; min", "睡眠", "  tief", "léger", "REM?", "eff=%", "مشي", "a,b")


def explained(name: str, folder: Path) -> Path:
    """The run of a table, made where it is not there yet."""
    out = folder / name.replace(" ", "-")
    if not (out / "run.json").exists():
        frame, schema, hold = table(name)
        limits = sensecf.Limits(hold=0.95 if hold else 0.0)
        sensecf.run(frame, schema, out, sensecf.RunSpec(limits=limits), call=Call(overwrite=True))
    return out


def people_of(name: str) -> pd.Series:
    """Whose each row of a table is, by its index."""
    frame, schema, _ = table(name)
    return frame.index.to_series() if schema.group is None else frame[schema.group]


def table(name: str) -> tuple[pd.DataFrame, FeatureSchema, bool]:
    """A table, its schema, and whether its plans are to hold."""
    source, change, hold = TABLES[name]
    data = sensecf.datasets.load(source)
    frame, schema = data.frame.copy(), data.schema
    if change == "uneven":  # one good day of ten
        rng = np.random.default_rng(0)
        low = np.flatnonzero(frame[schema.label] == "low")
        kept = rng.permutation(low)[: int((len(frame) - len(low)) / 9)]
        frame = frame.iloc[np.sort(np.concatenate([np.flatnonzero(frame[schema.label] != "low"), kept]))]
        frame = frame.reset_index(drop=True)
    if change == "blank":
        rng = np.random.default_rng(1)
        may = [f.name for f in schema.features if f.missing]
        for column in may:
            frame[column] = frame[column].astype(float).mask(rng.random(len(frame)) < 0.5)
    if change == "odd":
        named = dict(zip([f.name for f in schema.features if f.role != "immutable"], ODD, strict=False))
        text = schema.to_toml()
        for old, new in named.items():
            written = json.dumps(new, ensure_ascii=False)
            text = text.replace(f'"{old}"', written)
            text = re.sub(rf"(?m)(^|[{{,] ?){old} =", lambda m, w=written: f"{m[1]}{w} =", text)
        schema = _read(text)
        frame = frame.rename(columns=named)
    return frame, schema, hold


def _read(text: str) -> FeatureSchema:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "schema.toml"
        path.write_text(text, encoding="utf-8")
        return FeatureSchema.from_toml(path)
