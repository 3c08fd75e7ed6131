"""Every public name has an example in its docstring, and the examples run.

They share what the reference's first page makes: a table, a task, four people, their answers and an empty folder.
"""

from __future__ import annotations

import doctest
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import sensecf

ROOMS = ("adapters", "augmentation", "datasets", "finetune", "generators", "llm", "metrics", "sensors", "testing")
#: Names whose examples need more than this machine has: weights, a server, minutes.
NEEDS_MORE = {"Client", "Prompted", "Tiny", "compare", "finetune", "programme"}
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def public() -> Iterator[tuple[str, Any]]:
    """Every public class and function once, with the name that the reference shows it under."""
    seen = set()
    for room in ["", *ROOMS]:
        module = getattr(sensecf, room) if room else sensecf
        for name in module.__all__:
            found = getattr(module, name)
            if isinstance(found, ModuleType) or not (inspect.isfunction(found) or inspect.isclass(found)):
                continue
            if id(found) not in seen:
                seen.add(id(found))
                yield ".".join(filter(None, ["sensecf", room, name])), found


PUBLIC = dict(public())


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that examples use, made by the code of the reference's first page."""
    page = (Path(__file__).resolve().parents[1] / "docs" / "reference" / "index.md").read_text(encoding="utf-8")
    made: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(page.split("```python\n")[1].split("```")[0], made)
    return made | {"folder": tmp_path_factory.mktemp("reference")}


@pytest.mark.parametrize("name", PUBLIC)
def test_the_example_of_a_public_name_runs(name: str, shown: dict[str, Any]) -> None:
    found = doctest.DocTestFinder(recurse=False).find(PUBLIC[name], name, globs=dict(shown))
    examples = [example for test in found for example in test.examples]
    assert examples, f"{name} has no example in its docstring"
    skipped = any(example.options.get(doctest.SKIP) for example in examples)
    assert skipped == (name.rpartition(".")[2] in NEEDS_MORE)
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    said: list[str] = []
    for test in found:
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)
