"""What a release is made with: locks with hashes, licences, a container file, types."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "release"))

import licences  # noqa: E402

LOCKS = {"core": (), "web": ("web", "parquet")}


def locked(name: str) -> dict[str, tuple[str, int]]:
    """By package: its version, and how many hashes it may have."""
    found = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / "locks" / f"{name}.txt").read_text(encoding="utf-8")):
        if match := re.match(r"([\w.\-]+)==(\S+)", entry):
            found[licences.name_of(match[1])] = (match[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_has_one_version_and_hashes(name: str) -> None:
    packages = locked(name)
    assert len(packages) > 25
    assert min(hashes for _, hashes in packages.values()) >= 1
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = {licences.name_of(name): v for name, v in re.findall(r"^([\w.\-]+)==(\S+)$", text, re.MULTILINE)}
    assert {p: v for p, (v, _) in packages.items() if p in pins} == {p: pins[p] for p in packages if p in pins}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_all_that_is_asked_for_and_names_no_registry(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for e in LOCKS[name] for one in project["optional-dependencies"][e])]
    wanted = {licences.name_of(re.match(r"[\w.\-]+", one)[0]) for one in asked}  # type: ignore[index]
    assert wanted <= set(locked(name))
    text = (ROOT / "locks" / f"{name}.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?:|index-url|find-links|@ ", text)


def test_no_package_of_the_core_is_under_the_gpl() -> None:
    told = {name: licences.licence(package) for name, package in licences.needed().items()}
    assert len(told) > 20
    assert {name: text for name, text in told.items() if licences.copyleft(text) or text == "not said"} == {}


def test_the_page_of_licences_has_every_package_of_the_core() -> None:
    core = licences.PAGE.read_text(encoding="utf-8").split("## The core")[1].split("\n## ")[0]
    listed = dict(re.findall(r"^\| ([\w.\-]+) \| \S+ \| (.+) \|$", core.split("|---|---|---|")[1], re.MULTILINE))
    assert listed == {name: licences.licence(package) for name, package in licences.needed().items()}
    assert not any(licences.copyleft(line) for line in licences.PAGE.read_text(encoding="utf-8").splitlines()[6:])


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("GPL-3.0-or-later", True),
        ("GNU Affero General Public License v3", True),
        ("AGPL-3.0-only", True),
        ("GNU General Public License v2 (GPLv2)", True),
        ("BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("LGPL-2.1", False),
        ("MIT License", False),
    ],
)
def test_the_gpl_is_known_by_its_names(text: str, bad: bool) -> None:
    assert licences.copyleft(text) is bad


def test_the_container_installs_by_hash_and_runs_as_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes" in text
    assert re.search(r"^USER \d+$", text, re.MULTILINE)
    sources = [part for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for part in line.split()]
    assert all((ROOT / part).exists() for part in sources)


def test_the_package_says_that_it_has_types() -> None:
    assert (ROOT / "src" / "sensecf" / "py.typed").is_file()
