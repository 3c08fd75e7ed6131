"""Boundary answers, which most tests are about: `explain` with `hold=0` where a test does not say otherwise.

Plans that hold need a jury, which is fitted for each task; tests/test_hold.py is about them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sensecf
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.limits import Limits

#: The limits of a run that asks for boundary answers.
BOUNDARY = Limits(hold=0.0)


def explain(*arguments: Any, limits: Limits | None = None, **more: Any) -> Counterfactuals:
    """`sensecf.explain` for the smallest valid change."""
    if limits is not None:
        return sensecf.explain(*arguments, limits=replace(limits, hold=0.0), **more)
    return sensecf.explain(*arguments, **{"hold": 0.0, **more})
