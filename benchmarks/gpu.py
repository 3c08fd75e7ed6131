"""Tuning and asking models of 7–8 billion weights on one GPU: true shapes, random weights.

    python benchmarks/gpu.py --out gpu            (a quarter of an hour; writes gpu.json, prints a table)

Speed and memory do not depend on what the weights are, so nothing is downloaded. For each model: LoRA in
bf16 and QLoRA in 4 bit (training tokens per second, MFU, peak memory), and generation of lists of
changes (lists per second) against what reading the weights once per token allows. Without a GPU it says what it
would do, and ends with status 0.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

from sensecf.core.files import write_json

#: Layers, width, width of the feed-forward part, heads, heads of keys, vocabulary: as their makers published them.
SHAPES = {
    "llama-3.1-8b": ("llama", 32, 4096, 14336, 32, 8, 128256),
    "mistral-7b": ("mistral", 32, 4096, 14336, 32, 8, 32000),
}
#: Dense bf16 FLOP/s and bytes/s of memory, from the makers' data sheets.
DEVICES = {"H100": (989e12, 3.35e12), "H200": (989e12, 4.8e12), "A100": (312e12, 2.0e12), "L4": (121e12, 0.3e12)}
#: Tokens of a question in the full and in the short wording (26 features), and of an answer.
LONG, SHORT, ANSWER = 1500, 256, 48
STEPS, WARM = 8, 2


def build(name: str, four_bit: bool) -> Any:
    """A model of that shape with random weights on the GPU, with an adapter of rank 16 on all linear layers."""
    kind, layers, width, inner, heads, keys, vocabulary = SHAPES[name]
    config = {"llama": transformers.LlamaConfig, "mistral": transformers.MistralConfig}[kind](
        vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=keys, max_position_embeddings=8192,
    )  # fmt: skip
    with torch.device("cuda"):
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        model = transformers.AutoModelForCausalLM.from_config(config)
        torch.set_default_dtype(before)
    if four_bit:
        _quantise(model)
    return model


def _quantise(model: Any) -> None:
    """Replace the linear layers of the blocks by 4-bit ones with the same weights."""
    import bitsandbytes as bnb

    for parent in list(model.model.layers.modules()):
        for child, linear in list(parent.named_children()):
            if isinstance(linear, torch.nn.Linear):
                small = bnb.nn.Linear4bit(
                    linear.in_features, linear.out_features, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4"
                )
                small.weight = bnb.nn.Params4bit(linear.weight.data.cpu(), requires_grad=False, quant_type="nf4")
                setattr(parent, child, small.to("cuda"))
    model.is_loaded_in_4bit = True


def train(name: str, four_bit: bool, length: int, batch: int, flops: float) -> dict[str, Any]:
    """Median time of a step of LoRA with activation checkpointing, tokens per second, MFU, peak memory."""
    model = build(name, four_bit)
    weights = sum(p.numel() for p in model.parameters()) if not four_bit else _weights(name)
    if four_bit:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    ids = torch.randint(0, 32000, (batch, length), device="cuda")
    labels = ids.clone()
    labels[:, :-ANSWER] = -100
    torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(STEPS + WARM):
        torch.cuda.synchronize()
        began = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            # Only the answer's logits are needed: a vocabulary of 128,256 makes the others the largest tensor of all.
            loss = model(input_ids=ids, labels=None, logits_to_keep=ANSWER + 1).logits
            loss = torch.nn.functional.cross_entropy(loss[:, :-1].flatten(0, 1).float(), labels[:, -ANSWER:].flatten())
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    step = sorted(seconds[WARM:])[STEPS // 2]
    # Forward and the gradient of activations, 2 FLOP per weight each; frozen weights need no gradient of their own.
    # What checkpointing computes twice is no useful work and does not count.
    useful = 4 * weights * batch * length
    return {
        "model": name, "what": "QLoRA" if four_bit else "LoRA", "tokens per question": length, "batch": batch,
        "seconds per step": round(step, 4), "training tokens per second": round(batch * length / step),
        "MFU": round(useful / step / flops, 3), "peak memory, GiB": round(torch.cuda.max_memory_allocated() / 2**30, 1),
    }  # fmt: skip


@torch.inference_mode()
def generate(name: str, length: int, people: int, samples: int, bandwidth: float) -> dict[str, Any]:
    """Lists of changes per second: the prompt is read once per person, then `samples` lists are written at once.

    The floor: every token of an answer reads all weights once for the whole batch.
    """
    model = build(name, False)
    prompts = torch.randint(0, 32000, (people, length), device="cuda")
    seconds = []
    torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        torch.cuda.synchronize()
        began = time.perf_counter()
        read = model(input_ids=prompts, use_cache=True, logits_to_keep=1)
        cache = read.past_key_values
        cache.batch_repeat_interleave(samples)
        token = read.logits[:, -1:].argmax(-1).repeat_interleave(samples, 0)
        for _ in range(ANSWER - 1):
            out = model(input_ids=token, past_key_values=cache, use_cache=True)
            token = out.logits[:, -1:].argmax(-1)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    took = sorted(seconds)[1]
    floor = ANSWER * 2 * _weights(name) / bandwidth
    return {
        "model": name, "what": "generation", "tokens per question": length, "people": people, "samples": samples,
        "lists per second": round(people * samples / took, 1), "seconds": round(took, 3),
        "memory-bandwidth floor, seconds": round(floor, 3),
        "peak memory, GiB": round(torch.cuda.max_memory_allocated() / 2**30, 1),
    }  # fmt: skip


def _weights(name: str) -> int:
    _, layers, width, inner, heads, keys, vocabulary = SHAPES[name]
    block = 2 * width * width + 2 * width * width * keys // heads + 3 * width * inner
    return layers * block + 2 * vocabulary * width


def plan() -> list[tuple[str, Callable[[float, float], dict[str, Any]]]]:
    """What is measured, in words, and how."""
    out: list[tuple[str, Callable[[float, float], dict[str, Any]]]] = []
    for name in SHAPES:
        for four_bit in (False, True):
            for length, batch in ((LONG, 4), (SHORT, 24)):
                words = f"{name}, {'QLoRA' if four_bit else 'LoRA'}, {batch} questions of {length} tokens: "
                words += "training tokens per second, MFU, peak memory"
                out.append((words, lambda f, b, n=name, q=four_bit, t=length, k=batch: train(n, q, t, k, f)))
        for people, samples in ((1, 16), (32, 16)):
            words = f"{name}, {people} × {samples} answers: lists per second against the memory-bandwidth floor"
            out.append((words, lambda f, b, n=name, p=people, s=samples: generate(n, SHORT, p, s, b)))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no GPU (no GPU: torch.cuda.is_available() is False). With one, this would measure:")
        for words, _ in plan():
            print(f"- {words}")
        return
    device = torch.cuda.get_device_name(0)
    flops, bandwidth = next((found for key, found in DEVICES.items() if key in device), (float("nan"), float("nan")))
    rows: list[dict[str, Any]] = []
    for words, run in plan():
        if "QLoRA" in words and importlib.util.find_spec("bitsandbytes") is None:
            rows.append({"what": words, "left out": "bitsandbytes is not installed"})
            continue
        try:
            rows.append(run(flops, bandwidth))
        except torch.OutOfMemoryError:
            rows.append({"what": words, "left out": "does not fit into this GPU's memory"})
        gc.collect()
        torch.cuda.empty_cache()
        print(rows[-1], flush=True)
        found = {
            "device": device, "date": date.today().isoformat(), "torch": torch.__version__,
            "rows": [{k: None if v != v else v for k, v in row.items()} for row in rows],
        }  # fmt: skip
        write_json(options.out / "gpu.json", found)


if __name__ == "__main__":
    main()
