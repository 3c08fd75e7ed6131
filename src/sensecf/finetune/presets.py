"""How a language model is tuned, as data: `presets.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

from sensecf.core.errors import InputError


@dataclass(frozen=True)
class Preset:
    """Sizes and rates of tuning.

    `pairs` to learn from, whose answers lead by `slack` more than is asked for (see `text_pairs.draw`); LoRA
    adapters of `rank` on all linear layers, with `embeddings` the input embeddings too (see `supervised.lora`);
    `rate`, `epochs`, `batch` and `accumulate` (batches per step) of the supervised stage, which stops after
    `patience` evaluations without progress, `evaluations` of them per epoch. `preference_queries` are asked,
    `samples` times each, in each of `rounds` rounds of verdicts, at `preference_rate`; `preference_batch` of them
    make a step of GRPO. `four_bit`: base weights in 4 bit (QLoRA). `checkpointing`: activations are computed twice
    to save memory. `ran`: where it was run.
    """

    about: str = ""
    ran: str = ""
    pairs: int = 4000
    slack: float = 0.1
    rank: int = 16
    embeddings: bool = False
    rate: float = 2e-4
    epochs: int = 2
    batch: int = 8
    accumulate: int = 1
    evaluations: int = 1
    patience: int = 3
    validation: int = 100
    rounds: int = 2
    preference_rate: float = 1e-5
    preference_queries: int = 400
    preference_batch: int = 16
    samples: int = 8
    four_bit: bool = False
    checkpointing: bool = False


def presets() -> dict[str, Preset]:
    """The presets by name."""
    text = resources.files("sensecf.finetune").joinpath("presets.toml").read_text(encoding="utf-8")
    return {name: Preset(**fields) for name, fields in tomllib.loads(text).items()}


def preset(name: str) -> Preset:
    """The preset of that name. Raises `InputError` for an unknown one."""
    known = presets()
    if name not in known:
        raise InputError(f"preset {name!r} is unknown; the presets are {', '.join(known)}")
    return known[name]
