"""Questions and answers as tokens: the very tokens that asking the model in this process would use."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sensecf.llm import Prompt
from sensecf.llm.asking import Request
from sensecf.llm.backends.local import Local

#: Tokens of new values weigh so much more in the loss than the others: they make an answer valid or not.
VALUE_WEIGHT = 2.0

_VALUE = re.compile(r'"(?:[^"\\]|\\.)*":("(?:[^"\\]|\\.)*"|[^,}]*)')


class Example(NamedTuple):
    """Tokens of a prompt and of its answer (with the end), and the weight in the loss of each token of the answer."""

    prompt: list[int]
    answer: list[int]
    weight: list[float]


class Learner(NamedTuple):
    """A model that is asked and taught in one process: what is learned shows in its next answer."""

    local: Local
    network: Any
    tokenizer: Any


@contextmanager
def renamed_names() -> Iterator[None]:
    """Without the warnings that peft and TRL still use names which transformers has renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing", category=FutureWarning)
        yield


def load(
    folder: str | Path,
    *,
    adapter: str | Path | None = None,
    four_bit: bool = False,
    device: str | None = None,
    batch_size: int = 64,
) -> Learner:
    """The model of a folder, as `Local` reads it: safetensors only, no code of the folder, no network."""
    with renamed_names():
        local = Local(folder, adapter=adapter, four_bit=four_bit, device=device, batch_size=batch_size)
    return Learner(local, local._model, local._tokenizer)


def encode(learner: Learner, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[Example]:
    """An example per prompt and completion; the prompt's tokens are those that `Local` continues from."""
    end = learner.local._ends[0]
    out = []
    for prompt, completion in zip(prompts, completions, strict=True):
        told = learner.tokenizer(completion, add_special_tokens=False, return_offsets_mapping=True)
        values = [found.span(1) for found in _VALUE.finditer(completion)]
        weight = [
            VALUE_WEIGHT if any(begin < stop and start < finish for start, stop in values) else 1.0
            for begin, finish in told["offset_mapping"]
        ]
        out.append(Example(learner.local._tokens(Request(prompt)), [*told["input_ids"], end], [*weight, 1.0]))
    return out


def collate(examples: Iterable[Example], pad: int, prompt_weight: float = 0.0) -> dict[str, Tensor]:
    """A batch, padded on the right: `input_ids`, `attention_mask`, `labels` (-100 where nothing is learned), `weights`.

    All of shape (examples, longest). `prompt_weight`: the weight of the prompt's tokens in the loss.
    """
    several = list(examples)
    longest = max(len(one.prompt) + len(one.answer) for one in several)
    ids = torch.full((len(several), longest), pad)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    weights = torch.zeros(len(several), longest)
    for i, one in enumerate(several):
        start, stop = len(one.prompt), len(one.prompt) + len(one.answer)
        ids[i, :stop] = torch.tensor(one.prompt + one.answer)
        mask[i, :stop] = 1
        weights[i, :start] = prompt_weight
        weights[i, start:stop] = torch.tensor(one.weight)
        labels[i, :stop] = torch.where(weights[i, :stop] > 0, ids[i, :stop], -100)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels, "weights": weights}
