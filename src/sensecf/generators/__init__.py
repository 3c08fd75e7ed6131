"""Generators: everything that proposes candidates for a query.

A generator is built on a task (built is fitted) and has one method, `propose`. Whatever it
proposes is checked elsewhere: a generator needs no verdict of its own, and gets no credit for one.

Adding one is a file here and a line in `NAMES`; `module:Class` needs neither.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sensecf.candidates import Candidates
from sensecf.classifiers import one_line, resolve_object
from sensecf.errors import InputError, MissingExtraError
from sensecf.query import Query
from sensecf.task import Task

if TYPE_CHECKING:
    from sensecf.generators.nearest import Nearest
    from sensecf.generators.search import Search
    from sensecf.generators.tiny import Tiny

__all__ = ["NAMES", "Generator", "Nearest", "Search", "Tiny", "build", "find"]

#: The generators by the name that the command line knows: the class, and the options that the name stands for.
NAMES: dict[str, tuple[str, dict[str, str]]] = {
    "tiny": ("sensecf.generators.tiny:Tiny", {}),
    "search": ("sensecf.generators.search:Search", {}),
    "nearest": ("sensecf.generators.nearest:Nearest", {}),
    "nice": ("sensecf.generators.nice:Nice", {"optimiser": "sparsity"}),
    "nice-sparsity": ("sensecf.generators.nice:Nice", {"optimiser": "sparsity"}),
    "nice-proximity": ("sensecf.generators.nice:Nice", {"optimiser": "proximity"}),
    "nice-plausibility": ("sensecf.generators.nice:Nice", {"optimiser": "plausibility"}),
    "cfnow": ("sensecf.generators.cfnow:CFNow", {"strategy": "greedy"}),
    "cfnow-greedy": ("sensecf.generators.cfnow:CFNow", {"strategy": "greedy"}),
    "cfnow-random": ("sensecf.generators.cfnow:CFNow", {"strategy": "random"}),
    "dice": ("sensecf.generators.dice:Dice", {"method": "random"}),
    "dice-random": ("sensecf.generators.dice:Dice", {"method": "random"}),
    "dice-genetic": ("sensecf.generators.dice:Dice", {"method": "genetic"}),
    "dice-kdtree": ("sensecf.generators.dice:Dice", {"method": "kdtree"}),
    "treecf-sparse": ("sensecf.generators.treecf:TreeCF", {"method": "sparse"}),
    "treecf-genetic": ("sensecf.generators.treecf:TreeCF", {"method": "genetic"}),
    "prompted": ("sensecf.generators.prompted:Prompted", {}),
    "tuned": ("sensecf.generators.tuned:Tuned", {}),
    "exact": ("sensecf.generators.exact:Exact", {}),
}

#: The extra of the package that brings what a generator needs beyond the core.
EXTRAS = {"tiny": "tiny", "dice": "dice", "treecf": "treecf", "prompted": "llm", "tuned": "local-llm"}


class Generator(Protocol):
    """Proposes candidates for a batch of queries. `name` is what the tables call it.

    One with an attribute `concurrent = True` may be asked from several threads at once.
    """

    name: str

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """Candidates for every query; one with a reason where nothing can be proposed."""
        ...


def find(name: str) -> Any:
    """The class behind a name of `NAMES`, or behind `module:Class`.

    Raises `InputError` for an unknown name, a class without `propose`, and an extra that is not installed.
    """
    if ":" in name:
        found = resolve_object(name)
        if not callable(getattr(found, "propose", None)):
            raise InputError(f"{name} has no method propose(query, rng); see sensecf.generators.Generator")
        return found
    if name not in NAMES:
        raise InputError(f"generator {name!r} is unknown; use {', '.join(NAMES)} or module:Class")
    module, _, attribute = NAMES[name][0].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        extra = EXTRAS.get(name.partition("-")[0])
        if extra is None:
            raise
        raise MissingExtraError(
            f"generator {name!r} needs {error.name}: pip install 'sensecf[{extra}]', or choose --generator search"
        ) from error


def build(name: str, task: Task, seed: int = 0, **settings: Any) -> Generator:
    """The generator of that name, built on the task.

    Of `settings` (`plausibility`, `cache`, `progress`, …) each class is given those that its
    `__init__` names: what a generator has no use for is no error.
    Raises `InputError` as `find` does, when a setting that it needs is absent, and when a class of the
    user's own cannot be built as `Class(task, seed)`.
    """
    made = find(name)
    taken = inspect.signature(made).parameters
    options = {key: value for key, value in settings.items() if key in taken}
    for key, parameter in taken.items():
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty and key not in options:
            raise InputError(f"generator {name!r} needs {key!r} (--{key} on the command line); name it")
    if ":" not in name:
        generator: Generator = made(task, seed, **NAMES[name][1], **options)
        return generator
    try:
        own: Generator = made(task, seed, **options)
        return own
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{name} cannot be built as {made.__name__}(task, seed): {one_line(error)}") from error


def __getattr__(name: str) -> Any:
    homes = {target.partition(":")[2]: target.partition(":")[0] for target, _ in NAMES.values()}
    if name not in homes:
        raise AttributeError(f"module 'sensecf.generators' has no attribute {name!r}")
    return getattr(importlib.import_module(homes[name]), name)
