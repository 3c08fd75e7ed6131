"""Scores, differences and chances as words, the same on the terminal, the page and in Markdown; "–" where undefined."""

from __future__ import annotations

import math


def plain(value: float, digits: int = 3) -> str:
    """A score or a rank: "0.669"."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float) -> str:
    """A difference of scores: "+0.023"."""
    return "–" if math.isnan(value) else f"{value:+.3f}".replace("-", "−")


def percent(value: float, digits: int = 0) -> str:
    """A share: "13 %"."""
    return "–" if math.isnan(value) else f"{100 * value:.{digits}f} %".replace("-", "−")


def between(low: str, high: str) -> str:
    """An interval of two written values: "0.017 to 0.031"; there is none of fewer than five splits."""
    return "too few splits" if low == "–" else f"{low} to {high}"


def chance(p: float) -> str:
    """A p value: "< 0.001", "0.003"."""
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
