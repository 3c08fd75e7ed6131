"""Methods side by side on the same queries, each in a process of its own, with intervals and tests."""

from __future__ import annotations

from sensecf.runs.compare.run import CompareSpec, Comparison, compare

__all__ = ["CompareSpec", "Comparison", "compare"]
