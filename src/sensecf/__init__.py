"""SenseCF: verified counterfactuals for tables of wearable and clinical data.

>>> import sensecf
>>> data = sensecf.datasets.load("simulated")
>>> train, test = sensecf.datasets.split(data.frame, data.schema)
>>> classifier = sensecf.fit_classifier("logistic", data.schema, train)
>>> task = sensecf.Task(data.schema, train, classifier)
>>> answers = sensecf.explain(task, "search", test.head(2), target="low")
>>> bool(answers.answers["valid"].all())
True
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from sensecf.core.version import __version__

# OpenMP threads that wait must sleep, not spin: beside one busy neighbour on a small machine,
# spinning made training five times slower. Read when the OpenMP runtime is loaded, so set first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


if TYPE_CHECKING:
    from sensecf import adapters, augmentation, finetune, generators, llm, metrics, sensors, testing
    from sensecf.augmentation import augment
    from sensecf.classifiers.fit import fit_classifier
    from sensecf.classifiers.storage import save_task
    from sensecf.core.candidates import Candidates
    from sensecf.core.counterfactuals import Counterfactuals
    from sensecf.core.errors import InputError, SenseCFError
    from sensecf.core.limits import Limits
    from sensecf.core.query import Query
    from sensecf.core.schema import Feature, FeatureSchema
    from sensecf.core.task import Task
    from sensecf.data import builtin as datasets
    from sensecf.data.infer.infer import infer_schema, infer_schema_with_notes
    from sensecf.data.tables import read_table
    from sensecf.generators import Generator
    from sensecf.pipeline.ask import Ask
    from sensecf.pipeline.explain import explain
    from sensecf.runs.compare.run import CompareSpec, compare
    from sensecf.runs.finished import load_run
    from sensecf.runs.programme.run import ProgrammeSpec, programme
    from sensecf.runs.run import RunSpec, load_task, run

__all__ = [
    "Ask",
    "Candidates",
    "CompareSpec",
    "Counterfactuals",
    "Feature",
    "FeatureSchema",
    "Generator",
    "InputError",
    "Limits",
    "ProgrammeSpec",
    "Query",
    "RunSpec",
    "SenseCFError",
    "Task",
    "__version__",
    "adapters",
    "augment",
    "augmentation",
    "compare",
    "datasets",
    "explain",
    "finetune",
    "fit_classifier",
    "generators",
    "infer_schema",
    "infer_schema_with_notes",
    "llm",
    "load_run",
    "load_task",
    "metrics",
    "programme",
    "read_table",
    "run",
    "save_task",
    "sensors",
    "testing",
]

#: Where each public name lives; it is imported when it is first used, so that `import sensecf` is fast.
_HOME = {
    "Ask": "pipeline.ask",
    "Candidates": "core.candidates",
    "CompareSpec": "runs.compare.run",
    "Counterfactuals": "core.counterfactuals",
    "Feature": "core.schema",
    "FeatureSchema": "core.schema",
    "Generator": "generators",
    "InputError": "core.errors",
    "Limits": "core.limits",
    "ProgrammeSpec": "runs.programme.run",
    "Query": "core.query",
    "RunSpec": "runs.run",
    "SenseCFError": "core.errors",
    "Task": "core.task",
    "adapters": "",
    "augment": "augmentation",
    "augmentation": "",
    "compare": "runs.compare.run",
    "datasets": "data.builtin",
    "explain": "pipeline.explain",
    "finetune": "",
    "fit_classifier": "classifiers.fit",
    "generators": "",
    "infer_schema": "data.infer.infer",
    "infer_schema_with_notes": "data.infer.infer",
    "llm": "",
    "load_run": "runs.finished",
    "load_task": "runs.run",
    "metrics": "",
    "programme": "runs.programme.run",
    "read_table": "data.tables",
    "run": "runs.run",
    "save_task": "classifiers.storage",
    "sensors": "",
    "testing": "",
}

#: Public names that are modules themselves.
_ROOMS = {"adapters", "augmentation", "datasets", "finetune", "generators", "llm", "metrics", "sensors", "testing"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sensecf' has no attribute {name!r}")
    room = importlib.import_module(f"sensecf.{_HOME[name] or name}")
    found = room if name in _ROOMS else getattr(room, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
