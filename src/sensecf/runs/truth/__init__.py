"""Whether following plans does anything: plans are carried out in a world whose laws are known."""

from __future__ import annotations

from sensecf.runs.truth.many import many
from sensecf.runs.truth.run import TruthSpec, truth

__all__ = ["TruthSpec", "many", "truth"]
