"""Data sets by name: a table, its hand-checked schema, and a card that says what it is.

The simulated cohort is made on the spot. The others are read from a data folder, one subfolder
each, that is given by argument, by the environment variable SENSECF_DATA, or lies as `shared/data`
beside the checkout. Adding a data set is one file with `CARD` and `load(folder) -> frame, schema, card`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.schema import FeatureSchema
from sensecf.data.builtin import aireadi, heart, lifesnaps, simulated, t1d_uom
from sensecf.data.builtin.simulated import simulate_cohort
from sensecf.data.card import Card, card_beside
from sensecf.data.splits import split

__all__ = ["NAMES", "Card", "Dataset", "find_card", "load", "simulate_cohort", "split"]

_MODULES: dict[str, ModuleType] = {
    module.CARD.name: module for module in (simulated, heart, lifesnaps, t1d_uom, aireadi)
}
#: The public tables that never change.
_PUBLIC = (heart, lifesnaps, t1d_uom)
#: The names that `load` knows.
NAMES = tuple(_MODULES)


class Dataset(NamedTuple):
    """A table with its schema and card.

    >>> frame, schema, card = sensecf.datasets.load("simulated")
    >>> frame.shape[0], card.simulated
    (2000, True)
    """

    frame: pd.DataFrame
    schema: FeatureSchema
    card: Card


def load(name: str, root: str | Path | None = None) -> Dataset:
    """The data set of that name.

    `root` is the folder that holds a folder per data set; the simulated cohort needs none.
    Raises `InputError` for an unknown name, or when the folder or its file is not there.

    >>> sensecf.datasets.load("simulated").schema.label
    'stress'
    """
    if name not in _MODULES:
        raise InputError(f"data set {name!r} is unknown; the data sets are {', '.join(NAMES)}")
    module = _MODULES[name]
    if module is simulated:
        return Dataset(simulated.simulate_cohort(), simulated.simulated_schema(), simulated.CARD)
    folder = _root(root) / name
    if not folder.is_dir():
        raise InputError(f"data set {name!r}: {folder} is no folder; name the data folder in SENSECF_DATA or by root=")
    return Dataset(*module.load(folder))


def find_card(table: str | Path) -> Card | None:
    """The card of a table file; None where nothing is known of it.

    `TABLE.card.json`, else the `card.json` of its folder (a run folder has one, so that what was made
    from a table is held to the same terms), else the card of the public table that it is, byte by
    byte. Raises `InputError` for a card that cannot be read: it is not taken for none.

    >>> sensecf.datasets.find_card(folder / "days.csv") is None
    True
    """
    card = card_beside(table)
    path = Path(table)
    if card is None and path.is_file():
        for module in _PUBLIC:
            if path.name == module.FILE and hashlib.sha256(path.read_bytes()).hexdigest() == module.SHA256:
                return module.CARD
    return card


def _root(root: str | Path | None) -> Path:
    if root is not None:
        return Path(root)
    if os.environ.get("SENSECF_DATA"):
        return Path(os.environ["SENSECF_DATA"])
    return Path(__file__).resolve().parents[5] / "shared" / "data"  # beside the checkout
