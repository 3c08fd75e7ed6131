"""How a language model is tuned, as data: `presets.toml`, or a file of one's own."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

from sensecf.core.errors import InputError
from sensecf.core.kept import Amount, check_type, read_toml


@dataclass(frozen=True)
class Preset:
    """Sizes and rates of tuning.

    `pairs` to learn from, whose answers lead by `slack` more than is asked for (see `text_pairs.draw`); LoRA
    adapters of `rank` on all linear layers, with `embeddings` the input embeddings too (see `supervised.lora`);
    `rate`, `epochs`, `batch` and `accumulate` (batches per step) of the supervised stage, which stops after
    `patience` evaluations without progress, `evaluations` of them per epoch, on `validation` questions.
    `preference_queries` are asked, `samples` times each, in each of `rounds` rounds of verdicts, at
    `preference_rate`; `preference_batch` of them make a step of GRPO and of group-averaged alignment. `offers`: the
    wording unless another is asked for (see `tune.Tuning`). `four_bit`: base weights in 4 bit (QLoRA).
    `checkpointing`: activations are computed twice to save memory. `models`: names on Hugging Face of models that it is
    meant for. `memory_gib`: memory of a GPU that is needed, 0 where none is; an
    estimate unless `ran` says where the preset was run.
    """

    about: str = ""
    ran: str = ""
    models: tuple[str, ...] = ()
    memory_gib: Amount = 0.0
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
    offers: bool = False
    four_bit: bool = False
    checkpointing: bool = False


#: Numbers that must be at least this.
_LEAST = {
    "pairs": 1, "rank": 1, "epochs": 1, "batch": 1, "accumulate": 1, "evaluations": 1, "patience": 1, "validation": 1,
    "rounds": 0, "preference_queries": 1, "preference_batch": 1, "samples": 1,
}  # fmt: skip


def presets(path: str | Path | None = None) -> dict[str, Preset]:
    """The presets of a file, or those that come along, by name. Raises `InputError` naming the entry that is wrong."""
    if path is None:
        own = resources.files("sensecf.finetune").joinpath("presets.toml").read_text(encoding="utf-8")
        return {name: _preset(name, table, "presets.toml") for name, table in tomllib.loads(own).items()}
    return {name: _preset(name, table, str(path)) for name, table in read_toml(path).items()}


def preset(name: str) -> Preset:
    """The preset of that name, `FILE#NAME` for one of a file. Raises `InputError` for an unknown one."""
    file, mark, short = name.rpartition("#")
    known = presets(file) if mark else presets()
    if short not in known:
        raise InputError(
            f"preset {name!r} is unknown; the presets are {', '.join(known)}; one of your own is FILE.toml#NAME"
        )
    return known[short]


def _preset(name: str, table: object, source: str) -> Preset:
    """A table of a file as a preset."""
    where = f"[{name}] in {source}"
    if not isinstance(table, dict):
        raise InputError(f"{name!r} in {source} is no table; write [{name}] and its fields below")
    known = [field.name for field in fields(Preset)]
    if unknown := [key for key in table if key not in known]:
        raise InputError(f"{unknown[0]!r} of {where} is no field of a preset; the fields are {', '.join(known)}")
    check_type(table, Preset, where)
    for key, least in _LEAST.items():
        if table.get(key, least) < least:
            raise InputError(f"{key} of {where} must be at least {least}, not {table[key]}")
    for key in ("rate", "preference_rate"):
        if table.get(key, 1.0) <= 0:
            raise InputError(f"{key} of {where} must be above 0, not {table[key]}")
    return Preset(**{**table, "models": tuple(table.get("models", ()))})
