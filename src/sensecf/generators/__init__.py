"""Generators: everything that proposes candidates for a query.

A generator is built on a task (built is fitted) and has one method, `propose`. Whatever it
proposes is checked elsewhere: a generator needs no verdict of its own, and gets no credit for one.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sensecf.candidates import Candidates
from sensecf.query import Query


class Generator(Protocol):
    """Proposes candidates for a batch of queries. `name` is what the tables call it."""

    name: str

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates: ...
