"""Raw device files to one daily table, simulated files to test with, and what is known of each column."""

from __future__ import annotations

from sensecf.sensors.catalogue import known_feature, known_rules
from sensecf.sensors.day import ExampleDay, example_day
from sensecf.sensors.features import Wear
from sensecf.sensors.recognise import recognise
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
    "recognise",
    "simulate",
]
