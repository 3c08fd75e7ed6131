"""What people and power cuts do to files and frames ends in one line or in a result that holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def command(name: str, *options: str) -> str:
    """A benchmark in a process of its own, for it forks; returns what it says. It must find nothing wrong."""
    words = [sys.executable, str(BENCHMARKS / f"{name}.py"), *options]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=500)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_damage_ends_in_one_line_or_in_a_result_that_holds() -> None:
    kinds = ["table, guessed", "frame", "ledger", "log of decisions"]
    said = command("damage", "--tries", "40", "--seed", "5", *(word for kind in kinds for word in ("--kind", kind)))
    assert "40 tries, 0 wrong" in said
    for kind in kinds:
        assert f"{kind:<18}     10     10" in said


def test_answers_to_random_schemas_and_limits_are_as_promised() -> None:
    said = command("fuzz", "--schemas", "7", "--seed", "5")
    assert "0 of 7 schemas wrong" in said
