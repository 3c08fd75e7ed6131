"""What prompts have in common is computed once: keys and values of a shared beginning, and of each prompt."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


def reusable(model: Any) -> bool:
    """Whether the cache of a model may be copied to other rows, with padding between two parts of a prompt.

    That needs a cache of plain growing layers (not of a sliding window or of a recurrent state), positions
    that are given and not counted, and rotations that do not depend on the length of the whole.
    """
    known = inspect.signature(model.forward).parameters
    rotation = getattr(model.config, "rope_parameters", None) or {}
    return (
        {"past_key_values", "position_ids", "logits_to_keep"} <= known.keys()
        and not model._is_stateful
        and model._supports_default_dynamic_cache()
        and all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)
        and rotation.get("rope_type") not in ("dynamic", "longrope")
    )


def shared_start(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with, the last token of each left out."""
    columns = zip(*(prompt[:-1] for prompt in prompts), strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def prefill(model: Any, prompts: Sequence[Sequence[int]], pad: int) -> dict[str, Any]:
    """What `generate` goes on from for prompts in tokens, some of which are equal; none is empty.

    `input_ids` and `attention_mask` (prompts, longest), and `past_key_values`: the cache of all but the last
    token. The beginning that all share goes through the model once, the rest of each distinct prompt once.
    Padding stands between the two, so that both ends are aligned.
    """
    places: dict[tuple[int, ...], int] = {}
    owner = [places.setdefault(tuple(prompt), len(places)) for prompt in prompts]
    start, longest = shared_start(list(places)), max(map(len, places))
    ids = torch.full((len(places), longest), pad)
    mask = torch.zeros_like(ids)
    for i, prompt in enumerate(places):
        gap = longest - len(prompt)
        ids[i] = torch.tensor([*prompt[:start], *[pad] * gap, *prompt[start:]])
        mask[i, :start] = mask[i, start + gap :] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    positions = (mask.cumsum(dim=1) - 1).clamp_min(0)
    cache = DynamicCache(config=model.config)
    # No logits are wanted; those of one token are the fewest that a model gives.
    silent = {"past_key_values": cache, "use_cache": True, "logits_to_keep": 1}
    if start:
        model(input_ids=ids[:1, :start], **silent)
        cache.batch_repeat_interleave(len(places))
    if longest - 1 > start:
        model(input_ids=ids[:, start:-1], attention_mask=mask[:, :-1], position_ids=positions[:, start:-1], **silent)
    rows = torch.tensor(owner, device=model.device)
    cache.batch_select_indices(rows)
    return {"input_ids": ids[rows], "attention_mask": mask[rows], "past_key_values": cache}
