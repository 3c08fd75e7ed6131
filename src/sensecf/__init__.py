"""SenseCF: verified counterfactuals for tables of wearable and clinical data.

>>> import sensecf
>>> data = sensecf.datasets.load("simulated")
>>> train, test = sensecf.datasets.split(data.frame, data.schema)
>>> classifier = sensecf.fit_classifier("logistic", data.schema, train)
>>> task = sensecf.Task(data.schema, train, classifier)
>>> answers = sensecf.explain(task, sensecf.generators.Search(task), test.head(2), target="low")
>>> bool(answers.answers["valid"].all())
True
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# OpenMP threads that wait must sleep, not spin: beside one busy neighbour on a small machine,
# spinning made training five times slower. Read when the OpenMP runtime is loaded, so set first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sensecf import datasets, generators, metrics
    from sensecf.augmentation import augment
    from sensecf.classifiers import fit_classifier
    from sensecf.counterfactuals import Counterfactuals
    from sensecf.errors import InputError, SenseCFError
    from sensecf.explainer import explain
    from sensecf.infer import infer_schema
    from sensecf.run import load_task
    from sensecf.schema import Feature, FeatureSchema
    from sensecf.tables import read_table
    from sensecf.task import Task

__all__ = [
    "Counterfactuals",
    "Feature",
    "FeatureSchema",
    "InputError",
    "SenseCFError",
    "Task",
    "augment",
    "datasets",
    "explain",
    "fit_classifier",
    "generators",
    "infer_schema",
    "load_task",
    "metrics",
    "read_table",
]

#: Where each public name lives; it is imported when it is first used, so that `import sensecf` is fast.
_HOME = {
    "Counterfactuals": "counterfactuals",
    "Feature": "schema",
    "FeatureSchema": "schema",
    "InputError": "errors",
    "SenseCFError": "errors",
    "Task": "task",
    "augment": "augmentation",
    "datasets": "",
    "explain": "explainer",
    "fit_classifier": "classifiers",
    "generators": "",
    "infer_schema": "infer",
    "load_task": "run",
    "metrics": "",
    "read_table": "tables",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sensecf' has no attribute {name!r}")
    if not _HOME[name]:
        return importlib.import_module(f"sensecf.{name}")
    found = getattr(importlib.import_module(f"sensecf.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
