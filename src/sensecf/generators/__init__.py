"""Generators: everything that proposes candidates for a query.

A generator is built on a task (built is fitted) and has one method, `propose`. Whatever it
proposes is checked elsewhere: a generator needs no verdict of its own, and gets no credit for one.

Adding one is a file here, whose one class with `propose` is then known by the file's name; several names for a class,
or names with options, are lines in `NAMES`. `module:Class` needs neither. What a class declares about itself is in its
`traits`.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sensecf.classifiers.foreign import resolve_object
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError, MissingExtraError, one_line
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.generators.traits import Context, Traits, traits_of

if TYPE_CHECKING:
    from sensecf.generators.nearest import Nearest
    from sensecf.generators.prompted.prompted import Prompted
    from sensecf.generators.search import Search
    from sensecf.generators.tiny.tiny import Recipe, Tiny

__all__ = [
    "NAMES",
    "Context",
    "Generator",
    "Nearest",
    "Prompted",
    "Recipe",
    "Search",
    "Tiny",
    "Traits",
    "build",
    "check",
    "find",
    "traits_of",
]

#: The generators by the name that the command line knows: the class, and the options that the name stands for.
NAMES: dict[str, tuple[str, dict[str, str]]] = {
    "tiny": ("sensecf.generators.tiny.tiny:Tiny", {}),
    "search": ("sensecf.generators.search:Search", {}),
    "nearest": ("sensecf.generators.nearest:Nearest", {}),
    "constant": ("sensecf.generators.constant:Constant", {}),
    "constant-shift": ("sensecf.generators.constant:Shift", {}),
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
    "robx": ("sensecf.generators.robx:RobX", {"base": "nice"}),
    "robx-search": ("sensecf.generators.robx:RobX", {"base": "search"}),
    "betarce": ("sensecf.generators.betarce:BetaRCE", {"base": "nice"}),
    "betarce-search": ("sensecf.generators.betarce:BetaRCE", {"base": "search"}),
    "prompted": ("sensecf.generators.prompted.prompted:Prompted", {}),
    "tuned": ("sensecf.generators.tuned:Tuned", {}),
    "exact": ("sensecf.generators.exact.exact:Exact", {}),
}

# Files that are not named above: the file's name is the generator's.
_NAMED = {target.partition(":")[0] for target, _ in NAMES.values()}
NAMES |= {
    path.stem.replace("_", "-"): (f"{__name__}.{path.stem}:", {})
    for path in sorted(Path(__file__).parent.glob("[!_]*.py"))
    if f"{__name__}.{path.stem}" not in _NAMED and "def propose(" in path.read_text(encoding="utf-8")
}

#: How the embedded model is trained: the one setting of a generator that is a class.
RECIPE = "sensecf.generators.tiny.tiny:Recipe"
#: The extra of the package that brings what a generator needs beyond the core.
EXTRAS = {"tiny": "tiny", "dice": "dice", "treecf": "treecf", "prompted": "llm", "tuned": "local-llm"}
#: What a generator is built with where nothing is said.
USUAL = Context()


class Generator(Protocol):
    """Proposes candidates for a batch of queries. `name` is what the tables call it; see also `Traits`.

    >>> import numpy as np
    >>> class Unchanged:
    ...     name = "unchanged"
    ...     def __init__(self, task, seed=0):
    ...         pass
    ...     def propose(self, query, rng):
    ...         return sensecf.Candidates.of(np.arange(len(query)), query.rows, self.name)
    >>> Unchanged(task).name
    'unchanged'
    """

    name: str

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """Candidates for every query; one with a reason where nothing can be proposed."""
        ...


def find(name: str) -> Any:
    """The class behind a name of `NAMES`, or behind `module:Class`.

    Raises `InputError` for an unknown name, a class without `propose`, and an extra that is not installed.

    >>> sensecf.generators.find("nearest").__name__
    'Nearest'
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
        home = importlib.import_module(module)
        return getattr(home, attribute) if attribute else _only_generator(home)
    except ImportError as error:
        extra = EXTRAS.get(name.partition("-")[0])
        if extra is None:
            raise
        raise MissingExtraError(
            f"generator {name!r} needs {error.name}: pip install 'sensecf[{extra}]', or choose --generator search"
        ) from error


def _only_generator(module: ModuleType) -> Any:
    """The class of a module that has `propose`."""
    mine = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
    (found,) = [one for one in mine if callable(getattr(one, "propose", None))]
    return found


def check(name: str, context: Context) -> Any:
    """The class of that name, which `context` can build. Raises `InputError` as `find` does, and for what it lacks.

    >>> sensecf.generators.check("search", sensecf.generators.Context()).__name__
    'Search'
    """
    made = find(name)
    has = context.settings(traits_of(made)) | ({} if context.prompting is None else {"llm": context.prompting})
    for need in traits_of(made).needs:
        if need not in has:
            what = "asks a language model; name one with" if need == "llm" else f"needs {need!r}; name it with"
            raise InputError(f"generator {name!r} {what} --{need}")
    return made


def build(name: str, task: Task, context: Context = USUAL) -> Generator:
    """The generator of that name, built on the task with what it takes of the context.

    Raises `InputError` as `check` does, and when a class of the user's own cannot be built as `Class(task, seed)`.

    >>> sensecf.generators.build("nearest", task).name
    'nearest'
    """
    made = check(name, context)
    options = context.settings(traits_of(made))
    if ":" not in name:
        generator: Generator = made(task, context.seed, **NAMES[name][1], **options)
        return generator
    try:
        own: Generator = made(task, context.seed, **options)
        return own
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{name} cannot be built as {made.__name__}(task, seed): {one_line(error)}") from error


def __getattr__(name: str) -> Any:
    targets = [*(target for target, _ in NAMES.values()), RECIPE]
    homes = {attribute: module for module, _, attribute in (target.partition(":") for target in targets) if attribute}
    if name not in homes:
        raise AttributeError(f"module 'sensecf.generators' has no attribute {name!r}")
    return getattr(importlib.import_module(homes[name]), name)
