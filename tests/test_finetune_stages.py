"""The smaller version of the three stages: a base model, pairs and verdicts on the simulated cohort, from nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="needs trl")
pytest.importorskip("peft", reason="needs peft")

ROOT = Path(__file__).resolve().parents[1]


def test_three_stages_are_made_and_measured_from_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "finetune_stages.py"), "--quick", "--tables", "simulated"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "stages")], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "stages" / "stages-grpo.json").read_text(encoding="utf-8"))
    table = found["tables"]["simulated"]
    assert list(table["stages"]) == ["pretrained", "lora", "grpo"]
    assert table["asked"] == 8
    for stage in table["stages"].values():
        assert 0 <= stage["greedy_valid"] <= stage["valid"] <= 1
    assert (tmp_path / "stages" / "simulated-grpo" / "adapter_model.safetensors").exists()
    assert found["base"]["parameters"] > 10_000
