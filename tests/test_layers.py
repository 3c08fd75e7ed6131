"""The house: thirteen rooms in one order, heavy packages where they are the point; and the suite is large enough."""

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

#: The rooms; each imports from itself and from those above it. docs/design.md shows the same list.
ROOMS = [
    "core",
    "data",
    "classifiers",
    "sensors",
    "metrics",
    "llm",
    "generators",
    "pipeline",
    "finetune",
    "augmentation",
    "runs",
    "web",
    "cli",
]
#: What stands beside the rooms.
BESIDE = {"__init__.py", "adapters.py", "py.typed", "testing.py"}
#: The kinds of parts that others check theirs with may know every room but those that write folders and show pages.
TESTING = set(ROOMS[: ROOMS.index("runs")])

#: Who may import PyTorch, and who is loaded on the way.
WITH_TORCH = ("generators.tiny", "finetune", "llm")


def modules() -> dict[str, Path]:
    """Every module below `sensecf` but the package itself, by its name without the package's."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


def room(name: str) -> str:
    return name.split(".")[0]


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
                found.add(full if full in known else base or room(sensecf._HOME.get(alias.name, "") or alias.name))
        if isinstance(node, ast.Import):
            found.update(a.name.removeprefix("sensecf.") for a in node.names if a.name.startswith("sensecf."))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found - {"", name}


def test_the_rooms_are_all_there_is() -> None:
    there = {path.name for path in ROOT.iterdir() if path.name != "__pycache__"}
    assert there == {*ROOMS, *BESIDE}


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_only_the_rooms_above_it(name: str) -> None:
    above = set(ROOMS[: ROOMS.index(name) + 1])
    for module, path in modules().items():
        if room(module) == name:
            up = {other for other in imports(module, path) if room(other) not in above}
            assert not up, f"{module} imports {sorted(up)}, which stands below {name}"


@pytest.mark.parametrize("name", ["adapters", "testing"])
def test_what_stands_beside_the_rooms_imports_none_that_writes_or_shows(name: str) -> None:
    assert {room(other) for other in imports(name, ROOT / f"{name}.py")} <= TESTING


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {name: imports(name, path) for name, path in modules().items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError and names the circle


def test_the_page_on_design_shows_the_rooms_in_their_order() -> None:
    page = (TESTS.parent / "docs" / "design.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)/` \|", page, flags=re.MULTILINE) == ROOMS


@pytest.mark.parametrize("name", sorted(modules()))
def test_only_the_embedded_model_imports_torch(name: str) -> None:
    text = modules()[name].read_text(encoding="utf-8")
    if not f"{name}.".startswith(tuple(f"{package}." for package in WITH_TORCH)):
        assert not re.search(r"^\s*(import|from) (torch|safetensors|transformers)\b", text, flags=re.MULTILINE)


def loaded(code: str) -> set[str]:
    """Top-level packages in memory after some code has run in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded("import sensecf") & {"torch", "matplotlib", "xgboost", "sklearn", "scipy", "pandas"}


def test_importing_every_other_module_loads_neither_torch_nor_a_plotting_library() -> None:
    light = [name for name in modules() if room(name) not in ("web", "cli") and not name.startswith(WITH_TORCH)]
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
