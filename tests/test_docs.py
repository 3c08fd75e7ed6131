"""What the documentation says is so: its code runs, its commands are understood, its links and names exist."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import boundary
import sensecf
from sensecf.cli.app import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "docs").rglob("*.md")
        if not {"about", "_build"} & {*path.parts}
    ),
]


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def run_blocks(page: str) -> dict[str, Any]:
    """Run the Python of a page in one namespace, which is returned."""
    namespace: dict[str, Any] = {}
    for block in re.finditer(r"^```python\n(.*?)^```", text(page), flags=re.DOTALL | re.MULTILINE):
        # Blank lines in front, so that a traceback names the line of the page.
        above = "\n" * text(page).count("\n", 0, block.start(1))
        exec(compile(above + block[1], page, "exec"), namespace)
    return namespace


def commands() -> list[tuple[str, str]]:
    """Every line of a page that calls `sensecf`, continued lines joined."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```(?:console|bash|)\n(.*?)^```", text(page), flags=re.DOTALL | re.MULTILINE):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page, line.removeprefix("$ ")) for line in lines if re.match(r"(\$ )?sensecf ", line)]
    return found


@pytest.mark.parametrize(
    "page", ["README.md", "docs/tutorial.md", "docs/tables.md", "docs/programme.md", "CONTRIBUTING.md"]
)
def test_the_code_of_a_page_runs_from_top_to_bottom(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    if "Tiny(task, " in text(page):
        pytest.importorskip("torch", reason="the page trains the embedded model: extra 'tiny'")
    assert run_blocks(page)


def test_the_worked_case_says_what_its_code_finds() -> None:
    """Within a tenth: another machine's boosted trees may end a step elsewhere."""
    case = run_blocks("docs/schema.md")["case"]
    shown = text("docs/schema.md").split("<!-- case -->")[1].split("<!-- /case -->")[0]
    rows = [line.strip("| ").split(" | ") for line in shown.splitlines() if re.match(r"\| \w+ \| [\d.,]+ \|", line)]
    told = {name: [float(v.replace(",", "")) for v in values[:2]] for name, *values in rows}
    done = case.changes().set_index("feature")[["before", "after"]].to_dict("index")
    follows = case.consequences().set_index("feature")[["before", "expected"]].to_dict("index")
    assert told == {name: pytest.approx(list(ends.values()), rel=0.1) for name, ends in {**done, **follows}.items()}
    assert all(case.schema[name].role == "actionable" for name in done)
    assert "glucose_mean_mgdl" in follows


def test_the_generator_of_the_contributors_page_is_one(mixed_task: sensecf.Task) -> None:
    made = run_blocks("CONTRIBUTING.md")["Medians"](mixed_task)
    predicted = mixed_task.classifier.predict(mixed_task.train[mixed_task.schema.names])
    people = mixed_task.train[predicted != "low"].head(20)
    attempts = boundary.explain(mixed_task, made, people, "low").attempts
    assert attempts.groupby("generator")["count"].sum().to_dict() == {"medians": 20}
    assert "good" in set(attempts["verdict"])


@pytest.mark.parametrize(("page", "line"), commands())
def test_the_command_line_understands_every_command_of_a_page(page: str, line: str) -> None:
    words = shlex.split(line.split(" > ")[0], comments=True)[1:]
    context, command = click.Context(cli), cli
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert name is not None
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    if "..." not in words and "…" not in words:
        command.make_context(context.info_name, words, parent=context.parent)  # raises for an unknown option


def test_pages_show_the_main_commands() -> None:
    shown = {tuple(shlex.split(line, comments=True)[1:2]) for _, line in commands()}
    assert {("schema",), ("explain",), ("sensors",)} <= shown


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_repository_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}
            assert anchor in anchors, target


def test_every_page_is_listed() -> None:
    listed = set(re.findall(r"\]\(([^)#]+\.md)\)", text("docs/README.md")))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md", "index.md"} <= listed


def test_the_rooms_of_the_design_are_the_folders_of_the_source() -> None:
    named = set(re.findall(r"^\| `(\w+)/` \|", text("docs/design.md"), flags=re.MULTILINE))
    source = Path(sensecf.__file__).parent
    assert named == {path.name for path in source.iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_the_readme_is_short_and_its_table_is_what_is_stored() -> None:
    readme = text("README.md")
    assert len(readme.split()) <= 1200
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        bench = importlib.import_module("figures")
    finally:
        sys.path.pop(0)
    shown = readme.split("<!-- figures -->\n")[1].split("\n<!-- /figures -->")[0]
    stored = json.loads(bench.STORED.read_text(encoding="utf-8"))
    assert shown == f"{bench.written(stored)}\n\n{bench.footnote(stored)}", "make figures"
    assert (ROOT / "docs" / "person.svg").is_file()


def test_what_is_measured_is_made_by_a_command() -> None:
    for page in ("docs/results.md", "docs/results/methods.md"):
        assert text(page).count("<!-- results -->") == text(page).count("<!-- /results -->") == 1
        assert "python benchmarks/bars.py" in text(page)
    assert (ROOT / "benchmarks" / "bars.py").exists()


def test_the_version_is_the_same_everywhere() -> None:
    assert f"version: {sensecf.__version__}\n" in text("CITATION.cff")
    assert re.search(rf"^## (\[)?{re.escape(sensecf.__version__)}\b", text("CHANGELOG.md"), flags=re.MULTILINE)
