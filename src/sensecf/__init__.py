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

from sensecf.version import __version__

# OpenMP threads that wait must sleep, not spin: beside one busy neighbour on a small machine,
# spinning made training five times slower. Read when the OpenMP runtime is loaded, so set first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


if TYPE_CHECKING:
    from sensecf import generators, metrics
    from sensecf.augmentation import augment
    from sensecf.classifiers.fit import fit_classifier
    from sensecf.core.counterfactuals import Counterfactuals
    from sensecf.core.errors import InputError, SenseCFError
    from sensecf.core.schema import Feature, FeatureSchema
    from sensecf.core.task import Task
    from sensecf.data import builtin as datasets
    from sensecf.data.infer.infer import infer_schema
    from sensecf.data.tables import read_table
    from sensecf.pipeline.explain import explain
    from sensecf.runs.run import load_task

__all__ = [
    "Counterfactuals",
    "Feature",
    "FeatureSchema",
    "InputError",
    "SenseCFError",
    "Task",
    "__version__",
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
    "Counterfactuals": "core.counterfactuals",
    "Feature": "core.schema",
    "FeatureSchema": "core.schema",
    "InputError": "core.errors",
    "SenseCFError": "core.errors",
    "Task": "core.task",
    "augment": "augmentation",
    "datasets": "data.builtin",
    "explain": "pipeline.explain",
    "fit_classifier": "classifiers.fit",
    "generators": "",
    "infer_schema": "data.infer.infer",
    "load_task": "runs.run",
    "metrics": "",
    "read_table": "data.tables",
}

#: Public names that are rooms themselves.
_ROOMS = {"datasets", "generators", "metrics"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sensecf' has no attribute {name!r}")
    room = importlib.import_module(f"sensecf.{_HOME[name] or name}")
    found = room if name in _ROOMS else getattr(room, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
