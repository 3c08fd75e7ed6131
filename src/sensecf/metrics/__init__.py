"""Metrics: functions of answers that are read and judged once, which declare themselves (`metric`).

Each says its formula, range, direction, what it leaves out and where it comes from; `docs/metrics.md`
lists them. All are judged anew from the saved feature values: the verdict columns are not trusted, but for what the
jury said (`metrics.holding`).
Every metric of `METRICS` is a function here and takes `(counterfactuals, task)`, or what `read` made of them.

>>> sensecf.metrics.summarise(cfs, task)  # doctest: +SKIP
>>> scored = sensecf.metrics.read(cfs, task)  # doctest: +SKIP
>>> sensecf.metrics.mad_l1(scored), sensecf.metrics.plausible(scored)  # doctest: +SKIP
"""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from sensecf.metrics.classifier import quality, sentence, unknown
from sensecf.metrics.declare import METRICS, Metric, metric, sections
from sensecf.metrics.edits import change_entropy, change_profile
from sensecf.metrics.feasibility import breaches
from sensecf.metrics.requests import success
from sensecf.metrics.robust import agreement, cross_fitted, perturbed, retrained
from sensecf.metrics.scored import CrossFitted, Given, Scored, of_answers, read
from sensecf.metrics.summary import COLUMNS, Values, aggregate, from_json, measure, summarise, to_json

__all__ = [
    "COLUMNS",
    "METRICS",
    "CrossFitted",
    "Given",
    "Metric",
    "Scored",
    "Values",
    "aggregate",
    "agreement",
    "breaches",
    "change_entropy",
    "change_profile",
    "cross_fitted",
    "from_json",
    "measure",
    "metric",
    "perturbed",
    "quality",
    "read",
    "retrained",
    "sections",
    "sentence",
    "success",
    "summarise",
    "to_json",
    "unknown",
]

# A metric is declared where it is written: reading the modules is all that is needed to have it.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def __getattr__(name: str) -> Callable[..., Any]:
    """The metric of that name."""
    found = METRICS.get(name)
    if found is None or found.function is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return of_answers(found.function)
