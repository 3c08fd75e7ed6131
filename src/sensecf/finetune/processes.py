"""Several processes that train one model, each on a GPU of its own; one, where nobody has launched more."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]

from sensecf.core.errors import InputError
from sensecf.finetune.presets import Preset

#: How long processes wait for one that asks the model many questions.
PATIENCE = timedelta(hours=12)

Told = TypeVar("Told")


def processes(device: str | None = None) -> PartialState:
    """This process among those that `accelerate launch` or `torchrun` has started, and its GPU made the current one.

    `is_main_process` says who writes; `wait_for_everyone` is a barrier. `device`: "cpu" to leave GPUs alone.
    Raises `InputError` where weights are to be split between processes: the model is asked on the way, in
    one process, and that needs all of them.
    """
    for name in ("FSDP", "DEEPSPEED"):
        if os.environ.get(f"ACCELERATE_USE_{name}") == "true":
            raise InputError(
                f"tuning does not run under {name}; launch it with torchrun, or tune the pairs with trl sft"
            )
    return PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=PATIENCE)


def remarks(name: str, preset: Preset) -> list[str]:
    """What a person should know before tuning with a preset here: never run, a GPU that is absent or too small."""
    found = []
    if not preset.ran:
        found.append(f"preset {name} has not been run to the end yet: its sizes are estimates")
    if preset.memory_gib and not torch.cuda.is_available():
        found.append(f"preset {name} is for a GPU of {preset.memory_gib:g} GiB, and there is none: it will take long")
    elif preset.memory_gib and (there := torch.cuda.get_device_properties(0).total_memory / 2**30) < preset.memory_gib:
        found.append(f"preset {name} needs about {preset.memory_gib:g} GiB of memory, this GPU has {there:.0f}")
    return found


def from_main(told: Told) -> Told:
    """What the main process has, in every process. Rounding must not lead them to different decisions."""
    several = [told]
    broadcast_object_list(several)
    return several[0]
