"""The public names: Python as the design promises it, and pages, docstrings and examples that use nothing else."""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sensecf
from sensecf.generators import Search

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
]
SOURCES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.py"))

#: Modules that are public under their own name; what each names in its `__all__` is public too.
ROOMS = ["adapters", "augmentation", "datasets", "finetune", "generators", "llm", "metrics", "sensors", "testing"]
MODULES = {"sensecf", *(f"sensecf.{room}" for room in ROOMS)}


def public(name: str) -> bool:
    """Whether a dotted name is public, as far as modules go: what follows a class or a function is its own matter."""
    parts = name.split(".")
    for length in range(1, len(parts)):
        module = ".".join(parts[:length])
        if module not in MODULES:
            return True
        if parts[length] not in names(module):
            return False
    return True


def names(module: str) -> list[str]:
    """The `__all__` of a public module, and the measures that are declared."""
    found: object = sensecf
    for part in module.split(".")[1:]:
        found = getattr(found, part)
    listed: list[str] = getattr(found, "__all__")  # noqa: B009
    measures = sensecf.metrics.METRICS if found is sensecf.metrics else ()
    return [*listed, *measures]


def used(code: str) -> set[str]:
    """The dotted names of `sensecf` that some Python imports or uses."""
    tree = ast.parse(code)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sensecf":
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "sensecf"}
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            found |= {name} if re.fullmatch(r"sensecf(\.\w+)+", name) else set()
    return found


def hidden(code: str) -> list[str]:
    """What some Python uses that is not public."""
    return sorted(name for name in used(code) if not public(name))


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_uses_public_names_only(page: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert [name for block in blocks for name in hidden(block)] == []


def test_the_examples_of_docstrings_use_public_names_only() -> None:
    parser = doctest.DocTestParser()
    found = {}
    for source in SOURCES:
        tree = ast.parse((ROOT / source).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                code = "".join(example.source for example in parser.get_examples(ast.get_docstring(node) or ""))
                if name := hidden(code):
                    found[f"{source}: {getattr(node, 'name', 'module')}"] = name
    assert not found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_name_of_a_public_module_is_there(module: str) -> None:
    found: object = sensecf
    for part in module.split(".")[1:]:
        found = getattr(found, part)
    assert [name for name in getattr(found, "__all__") if not hasattr(found, name)] == []  # noqa: B009


def test_the_python_of_the_design_runs(frame: pd.DataFrame) -> None:
    schema = sensecf.infer_schema(frame, label="stress")
    train, people = frame.iloc[:200], frame.iloc[200:210]
    task = sensecf.Task(schema, train, sensecf.fit_classifier("logistic", schema, train))
    plans = sensecf.explain(task, "search", people, target="low", n=3, limits=sensecf.Limits(lock=["steps"], hold=0.0))
    assert "steps" not in set(plans.changes()["feature"])
    assert set(plans.to_frame()["query"]) == set(people.index)
    assert sensecf.metrics.summarise(plans, task).loc["validity", "value"] == 1.0


def test_a_generator_by_name_answers_as_one_that_is_built(mixed_task: sensecf.Task) -> None:
    people = mixed_task.train.head(12)
    named = sensecf.explain(mixed_task, "search", people, "low", fallback="nearest", seed=3, hold=0).to_frame()
    built = sensecf.explain(
        mixed_task,
        Search(mixed_task, 3),
        people,
        "low",
        fallback=sensecf.generators.Nearest(mixed_task, 3),
        seed=3,
        hold=0,
    ).to_frame()
    pd.testing.assert_frame_equal(named.drop(columns="seconds"), built.drop(columns="seconds"))
    with pytest.raises(sensecf.InputError, match="generator 'serch' is unknown"):
        sensecf.explain(mixed_task, "serch", people, "low")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """210 days: stress is high where people sleep little and sit much."""
    rng = np.random.default_rng(5)
    sleep, steps = rng.normal(420, 60, 210).round(), rng.normal(8000, 2500, 210).clip(500).round(-2)
    rest = rng.normal(62, 6, 210).round()
    stress = np.where((420 - sleep) / 60 + (8000 - steps) / 4000 + rng.normal(0, 0.4, 210) > 0, "high", "low")
    return pd.DataFrame({"sleep_total_min": sleep, "steps": steps, "resting_hr_bpm": rest, "stress": stress})
