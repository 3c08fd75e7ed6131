"""Several processes that train one model, each on a GPU of its own; one, where nobody has launched more."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]

#: How long processes wait for one that asks the model many questions.
PATIENCE = timedelta(hours=12)

Told = TypeVar("Told")


def processes(device: str | None = None) -> PartialState:
    """This process among those that `accelerate launch` or `torchrun` has started, and its GPU made the current one.

    `is_main_process` says who writes; `wait_for_everyone` is a barrier. `device`: "cpu" to leave GPUs alone.
    """
    return PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=PATIENCE)


def from_main(told: Told) -> Told:
    """What the main process has, in every process. Rounding must not lead them to different decisions."""
    several = [told]
    broadcast_object_list(several)
    return several[0]
