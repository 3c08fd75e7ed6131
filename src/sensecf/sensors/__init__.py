"""Raw device files to one daily table, simulated files to test with, and what is known of each column."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensecf.data.infer.catalogue import known_feature, known_rules
    from sensecf.sensors.days.day import ExampleDay, example_day
    from sensecf.sensors.days.features import Wear
    from sensecf.sensors.report import Report
    from sensecf.sensors.simulator import simulate
    from sensecf.sensors.simulator.graph import causal_graph
    from sensecf.sensors.table import FORMATS, Built, build

__all__ = [
    "FORMATS",
    "Built",
    "ExampleDay",
    "Report",
    "Wear",
    "build",
    "causal_graph",
    "example_day",
    "known_feature",
    "known_rules",
    "simulate",
]

#: Where each public name lives. Imported when first used: schema inference needs the catalogue alone.
_HOME = {
    "FORMATS": "sensors.table",
    "Built": "sensors.table",
    "ExampleDay": "sensors.days.day",
    "Report": "sensors.report",
    "Wear": "sensors.days.features",
    "build": "sensors.table",
    "causal_graph": "sensors.simulator.graph",
    "example_day": "sensors.days.day",
    "known_feature": "data.infer.catalogue",
    "known_rules": "data.infer.catalogue",
    "simulate": "sensors.simulator",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"sensecf.{_HOME[name]}"), name)
