"""Data sets by name: a table, its hand-checked schema, and a card that says what it is.

The simulated cohort is made on the spot. The public tables are read from a data folder, one
subfolder each, that is given by argument, by the environment variable SENSECF_DATA, or lies as
`shared/data` beside the checkout. Adding a data set is one file with `CARD` and `load`.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pandas as pd

from sensecf.datasets import heart, lifesnaps, simulated, t1d_uom
from sensecf.datasets.card import Card
from sensecf.datasets.splits import split
from sensecf.errors import InputError
from sensecf.schema import FeatureSchema

__all__ = ["NAMES", "Card", "Dataset", "load", "split"]

_MODULES: dict[str, ModuleType] = {module.CARD.name: module for module in (simulated, heart, lifesnaps, t1d_uom)}
#: The names that `load` knows.
NAMES = tuple(_MODULES)


class Dataset(NamedTuple):
    """A table with its schema and card."""

    frame: pd.DataFrame
    schema: FeatureSchema
    card: Card


def load(name: str, root: str | Path | None = None) -> Dataset:
    """The data set of that name.

    `root` is the folder that holds a folder per public data set; the simulated cohort needs none.
    Raises `InputError` for an unknown name, or when the folder or its file is not there.
    """
    if name not in _MODULES:
        raise InputError(f"data set {name!r} is unknown; the data sets are {', '.join(NAMES)}")
    module = _MODULES[name]
    if module is simulated:
        return Dataset(simulated.simulate_cohort(), simulated.simulated_schema(), simulated.CARD)
    folder = _root(root) / name
    if not folder.is_dir():
        raise InputError(f"data set {name!r}: {folder} is no folder; name the data folder in SENSECF_DATA or by root=")
    frame, schema = module.load(folder)
    return Dataset(frame, schema, module.CARD)


def _root(root: str | Path | None) -> Path:
    if root is not None:
        return Path(root)
    if os.environ.get("SENSECF_DATA"):
        return Path(os.environ["SENSECF_DATA"])
    return Path(__file__).resolve().parents[4] / "shared" / "data"  # beside the checkout
