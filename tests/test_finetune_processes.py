"""Fine-tuning by two processes on a CPU, and what several processes cannot do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llm_servers import tiny_model
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.errors import InputError
from sensecf.core.task import Task
from sensecf.data.builtin.simulated import simulate_cohort, simulated_schema

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("trl", reason="needs trl")
pytest.importorskip("peft", reason="needs peft")

from sensecf.finetune.processes import processes
from sensecf.finetune.text_pairs import Pairs, draw, row_hashes
from sensecf.finetune.tune import VALIDATION, finetune, wording
from tuning import GRPO, SMALL, TUNING, facts_of, furthest, weights

ROOT = Path(__file__).resolve().parents[1]


def together(base: Path, folder: Path, batch: int) -> None:
    """Tune in this process, which may be one of several."""
    schema = simulated_schema()
    table = simulate_cohort(12, 6)
    task = Task(schema, table, fit_classifier("logistic", schema, table))
    preset = replace(
        SMALL, epochs=1, batch=batch, evaluations=1, samples=4, preference_queries=8, preference_batch=batch // 4
    )
    finetune(task, base, folder, replace(GRPO, preset=preset, seed=0), pairs=whole_batches(task, 23), device="cpu")


def whole_batches(task: Task, count: int) -> Pairs:
    """Pairs of which `count` are learned from, whole batches beside one canary, and at least one validates."""
    pairs = draw(wording(task, TUNING), TUNING.preset.pairs)
    aside = np.isin(row_hashes(pairs.query.rows), row_hashes(pairs.split(VALIDATION)[1].query.rows))
    validation, lessons = np.flatnonzero(aside), np.flatnonzero(~aside)[:count]
    assert len(validation)
    assert len(lessons) == count
    return pairs.take(np.concatenate([lessons, validation]))


def test_two_processes_learn_what_one_learns_from_batches_twice_as_large(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", "llama", None)
    together(base, tmp_path / "one", 8)
    script = tmp_path / "run.py"
    script.write_text(
        "from pathlib import Path\n"
        "from sensecf.finetune.supervised import quiet\n"
        "from test_finetune_processes import together\n"
        f"quiet()\ntogether(Path({str(base)!r}), Path({str(tmp_path / 'two')!r}), 4)\n"
    )
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    paths = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = facts_of(tmp_path / "one")["stages"], facts_of(tmp_path / "two")["stages"]
    for stage, name in (("lora", "steps"), ("grpo 1", "steps"), ("grpo 1", "queries"), ("grpo 1", "price of samples")):
        assert one[stage][name] == pytest.approx(two[stage][name])
    for stage in ("lora", "grpo 1"):
        alone, shared = (weights(tmp_path / run / "stages" / stage) for run in ("one", "two"))
        assert furthest(alone, shared) < 1e-5
    stages = tmp_path / "two" / "stages"
    assert furthest(weights(stages / "lora"), weights(stages / "grpo 1")) > 1e-5
    assert not (tmp_path / "two" / "unfinished").exists()


def test_weights_that_are_split_between_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(InputError, match="does not run under FSDP; launch it with torchrun"):
        processes()
