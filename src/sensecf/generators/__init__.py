"""Generators: everything that proposes candidates for a query.

A generator is built on a task (built is fitted) and has one method, `propose`. Whatever it
proposes is checked elsewhere: a generator needs no verdict of its own, and gets no credit for one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sensecf.candidates import Candidates
from sensecf.query import Query

if TYPE_CHECKING:
    from sensecf.generators.nearest import Nearest
    from sensecf.generators.search import Search
    from sensecf.generators.tiny import Tiny

__all__ = ["Generator", "Nearest", "Search", "Tiny"]


class Generator(Protocol):
    """Proposes candidates for a batch of queries. `name` is what the tables call it."""

    name: str

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """Candidates for every query; one with a reason where nothing can be proposed."""
        ...


def __getattr__(name: str) -> Any:
    if name not in ("Nearest", "Search", "Tiny"):
        raise AttributeError(f"module 'sensecf.generators' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sensecf.generators.{name.lower()}"), name)
