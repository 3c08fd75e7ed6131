"""Many samples of many prompts from a model in this process, with and without what they share computed once.

    python benchmarks/llm_prefix.py            (random weights of the small base's shape; a minute or two)
    python benchmarks/llm_prefix.py --model stages/base

Per wording: tokens of prompts that go through the model, and seconds until all answers are there. Answers are
drawn from the same seeds; how many are equal is printed too, since rounding differs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import sensecf
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.limits import make_query
from sensecf.core.task import Task
from sensecf.finetune.smallbase import BaseRecipe, make_base
from sensecf.finetune.supervised import quiet
from sensecf.llm.client import Client
from sensecf.llm.language.brief import Brief
from sensecf.llm.language.prompts import Prompts
from sensecf.llm.language.replies import json_schema
from sensecf.llm.tokens import load


def measure(learner: Any, prompts: Prompts, people: int, samples: int, reuse: bool) -> tuple[int, float, list[str]]:
    """Tokens of prompts through the model, seconds, and the answers."""
    local, task = learner.local, prompts.task
    asked = prompts.ask(make_query(task, task.train.head(people), task.default_target()))
    local._reuses = reuse
    seen = 0

    def count(module: Any, positional: Any, given: dict[str, Any]) -> None:
        nonlocal seen
        rows, width = given["input_ids"].shape
        seen += rows * width if width > 1 else 0  # one token per row: an answer is being written

    hook = learner.network.model.register_forward_pre_hook(count, with_kwargs=True)
    began = time.perf_counter()
    answered = Client(local).complete(
        [prompts.render(one) for one in asked], samples, json_schemas=[json_schema(prompts, one) for one in asked],
        temperature=0.7, max_tokens=160,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    hook.remove()
    return seen, seconds, [answer.text for several in answered for answer in several]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a model; by default one is made, hardly trained")
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=64)
    options = parser.parse_args()
    quiet()
    data = sensecf.datasets.load("simulated")
    task = Task(data.schema, data.frame, fit_classifier("logistic", data.schema, data.frame))
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or Path(folder)
        if options.model is None:
            make_base(model, 0, BaseRecipe(tables=6, pairs=20, steps=100))
        learner = load(model, batch_size=options.batch_size)
        learner.local._context = 1 << 20  # full prompts are longer than the small model is made for; time is the same
        print(f"{options.people} prompts x {options.samples} samples, {options.batch_size} rows at a time,", end=" ")
        print(f"{learner.network.num_parameters():,} weights, {torch.get_num_threads()} threads")
        for name, prompts in (("brief", Brief(task)), ("full", Prompts(task))):
            before = measure(learner, prompts, options.people, options.samples, reuse=False)
            after = measure(learner, prompts, options.people, options.samples, reuse=True)
            same = sum(one == other for one, other in zip(before[2], after[2], strict=True))
            print(f"{name}: prompt tokens {before[0]:,} -> {after[0]:,} (1/{before[0] / after[0]:.1f}),", end=" ")
            print(f"{before[1]:.1f} s -> {after[1]:.1f} s (1/{before[1] / after[1]:.2f}),", end=" ")
            print(f"{same} of {len(before[2])} answers equal")


if __name__ == "__main__":
    main()
