"""The house: imports point down, heavy packages stay where they are the point; and the suite is large enough."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sensecf

ROOT = Path(sensecf.__file__).parent
TESTS = Path(__file__).parent

#: The floor of each module; a package's modules stand on its floor unless they are named themselves.
FLOORS = {
    # nouns, and what they are made of
    "errors": 0, "files": 0, "kept": 0, "room": 0, "rules": 0, "schema": 0, "codec": 0, "judge": 0, "task": 0,
    "query": 0, "candidates": 0, "counterfactuals": 0, "numerals": 0,
    # pure functions and fits over tables
    "distances": 1, "plausibility": 1, "neighbours": 1, "statistics": 1, "tables": 1, "names": 1, "targets": 1,
    "leaks": 1, "columns": 1, "findrules": 1, "infer": 1, "foreign": 1, "classifiers": 1, "whitebox": 1, "storage": 1,
    "folder": 1, "saved_classifier": 1,
    "prepare": 1, "datasets": 1, "sensors": 1, "missing": 0, "disguise": 1, "laws": 1, "privacy_gate": 1, "engine": 1,
    # asking and judging
    "verify": 2, "polish": 2, "select": 2, "tinylm": 2, "sampling": 2, "llm": 2, "wording": 2, "prompts": 2,
    "replies": 2, "brief": 2, "prompting": 2,
    # methods
    "generators": 3, "pairs": 3, "blame": 3, "explainer": 3, "metrics": 3, "shots": 3, "finetune": 3,
    "text_pairs": 3, "smallbase": 3,
    # studies and reports
    "figures": 4, "report_tables": 4, "report": 4, "run": 4, "finished": 4, "answer": 4, "dryrun": 4, "augmentation": 4,
    "study": 4, "compare": 4, "testing": 4,
    # edges
    "__main__": 5, "cli": 5, "commands": 5, "web": 5,
}  # fmt: skip

#: Who may import PyTorch, and who is loaded on the way.
WITH_TORCH = {"tinylm", "sampling", "generators.tiny", "finetune", "smallbase", "llm"}


def modules() -> dict[str, Path]:
    """Every module below `sensecf` but the package itself, by its name without the package's."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


def floor(name: str) -> int | None:
    """The floor of the longest prefix of a module's name that has one."""
    parts = name.split(".")
    named = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((FLOORS[prefix] for prefix in named if prefix in FLOORS), None)


def imports(name: str, path: Path) -> set[str]:
    """The modules of sensecf that a module imports when it runs, inside functions too; not for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = modules()
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sensecf":
            base = (node.module or "").removeprefix("sensecf").removeprefix(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".removeprefix(".")
                found.add(full if full in known else base)
        if isinstance(node, ast.Import):
            found.update(a.name.removeprefix("sensecf.") for a in node.names if a.name.startswith("sensecf."))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found - {"", name}


@pytest.mark.parametrize("name", modules())
def test_imports_point_down(name: str) -> None:
    mine = floor(name)
    assert mine is not None, f"say on which floor {name} stands: add it to FLOORS"
    for other in sorted(imports(name, modules()[name])):
        theirs = floor(other)
        assert theirs is not None, f"{name} imports {other}, which has no floor"
        assert theirs <= mine, f"{name} (floor {mine}) imports {other} (floor {theirs})"


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {name: imports(name, path) for name, path in modules().items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError and names the circle


@pytest.mark.parametrize("name", sorted(set(modules()) - WITH_TORCH))
def test_only_the_embedded_model_imports_torch(name: str) -> None:
    text = modules()[name].read_text(encoding="utf-8")
    if not any(name.startswith(f"{package}.") for package in WITH_TORCH):
        assert not re.search(r"^\s*(import|from) (torch|safetensors|transformers)\b", text, flags=re.MULTILINE)


def loaded(code: str) -> set[str]:
    """Top-level packages in memory after some code has run in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded("import sensecf") & {"torch", "matplotlib", "xgboost", "sklearn", "scipy", "pandas"}


def test_importing_every_other_module_loads_neither_torch_nor_a_plotting_library() -> None:
    light = [name for name in modules() if floor(name) != 5 and not name.startswith(tuple(WITH_TORCH))]
    code = "import importlib\n" + "\n".join(f"importlib.import_module('sensecf.{name}')" for name in light)
    assert not loaded(code) & {"torch", "matplotlib", "xgboost"}


def test_every_public_name_is_there() -> None:
    for name in sensecf.__all__:
        assert getattr(sensecf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        sensecf.explian  # noqa: B018


def test_the_suite_asks_for_at_least_two_thousand_random_cases() -> None:
    counts = [
        int(count)
        for path in TESTS.glob("test_*.py")
        for count in re.findall(r"^@cases\((\d+)\)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert sum(counts) >= 2000
