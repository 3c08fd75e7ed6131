"""What the tests of fine-tuning share: a small preset, what a tuned folder holds, a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from sensecf.finetune.presets import Preset
from sensecf.finetune.tune import Tuning

SMALL = Preset(
    pairs=40, rank=4, embeddings=True, rate=5e-3, epochs=2, batch=8, evaluations=2, validation=3, rounds=1,
    preference_rate=1e-3, preference_queries=6, preference_batch=2, samples=3,
)  # fmt: skip
TUNING = Tuning("test", SMALL)
GRPO = replace(TUNING, reward="grpo")


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "adapter_model.safetensors"))


def furthest(one: dict[str, Any], other: dict[str, Any]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def facts_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "tuned.json").read_text(encoding="utf-8")))


class Kill(TrainerCallback):
    """Stops the run in the given step of the given stage, as a kill would."""

    def __init__(self, step: int, stage: str) -> None:
        self.step, self.stage = step, stage

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.stage in args.output_dir and state.global_step == self.step:
            raise KeyboardInterrupt
