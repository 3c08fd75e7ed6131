"""Fine-tuning: a language model learns verified counterfactuals of one table, then from the classifier's verdicts.

`tune.finetune` does it from a task to a folder. The rooms: `tokens` (questions as the model reads them),
`supervised` (LoRA on pairs), `preference` (verdicts as reward), `answering` (what became of every answer),
`memorisation`, `modelcard`, `presets`. Pairs in words are made by `sensecf.finetune.text_pairs`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensecf.finetune.text_pairs import draw
    from sensecf.finetune.tune import finetune

__all__ = ["draw", "finetune"]

#: Where each public name lives; imported when first used, since tuning needs PyTorch and pairs do not.
_HOME = {"draw": "text_pairs", "finetune": "tune"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
