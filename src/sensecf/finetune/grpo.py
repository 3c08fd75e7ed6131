"""Verdicts as reward, step by step: answers are drawn from the model as it is now, and judged within their group."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]
import numpy as np
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from sensecf.finetune.answering import ask
from sensecf.finetune.preference import BAD, EXPLORING, prices
from sensecf.finetune.presets import Preset
from sensecf.finetune.processes import processes
from sensecf.finetune.supervised import Progress, Record, Trained, common_arguments, cost_of, finish, logged
from sensecf.finetune.tokens import Learner, encode, renamed_names
from sensecf.llm.client import Client
from sensecf.prompts import Prompts
from sensecf.rules import Floats
from sensecf.text_pairs import Pairs


class Grouped(GRPOTrainer):
    """`GRPOTrainer` that tells nobody and writes no card."""

    def _send_telemetry(self) -> None:
        """Nobody is told what is trained here."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """The card of the model is written elsewhere, see `modelcard`."""


def reinforce(
    prompts: Prompts,
    learner: Learner,
    pairs: Pairs,
    folder: Path,
    preset: Preset,
    *,
    seed: int = 0,
    plausibility: float = 1.0,
    progress: Progress = lambda phase, share: None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Trained:
    """One round of GRPO (Shao et al. 2024) over the questions of `pairs`, whose answers are not looked at.

    Each step asks a few questions `preset.samples` times, with constrained decoding as in use. The reward of an
    answer is minus its price (see `preference.prices`), its advantage the reward less the mean of its
    question's answers. It is not divided by their standard deviation (Liu et al. 2025): that makes a dear
    answer among bad ones worth as much as a cheap one. Every answer is learned from once, by the
    weights that gave it, so there is no importance ratio; no reference model holds the weights back.
    Trains the model's adapter in place and writes it to `folder/adapter`. A round that was interrupted
    begins anew, with the same draws.
    """
    for name, parameter in learner.network.named_parameters():
        parameter.requires_grad_("lora_" in name)
    questions, rows = sizes(preset, len(pairs) // processes().num_processes)
    record = Record("grpo", progress)
    paid: list[Floats] = []

    def rollout(positions: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        """Tokens and price of a drawn answer per position; a question stands `preset.samples` times in a row."""
        at = np.array(positions[:: preset.samples], dtype=int)
        learner.network.eval()
        answers = ask(
            prompts, Client(learner.local), pairs.query.take(at), preset.samples, temperature=EXPLORING,
            seed=seed + trainer.state.global_step,
        )  # fmt: skip
        learner.network.train()
        price = prices(prompts, pairs.query.take(at), answers, plausibility).ravel()
        paid.append(price)
        examples = encode(learner, [pairs.prompts[int(i)] for i in positions], answers.texts)
        return {
            "prompt_ids": [one.prompt for one in examples],
            "completion_ids": [one.answer for one in examples],
            "logprobs": None,
            "price": price.tolist(),
        }

    with renamed_names(), _experimental_rollouts():
        trainer = Grouped(
            model=learner.network,
            args=GRPOConfig(
                output_dir=str(folder),
                **common_arguments(learner, preset, seed)
                | {"gradient_accumulation_steps": questions * preset.samples // rows},
                num_train_epochs=1,
                per_device_train_batch_size=rows,
                learning_rate=preset.preference_rate,
                save_strategy="no",
                num_generations=preset.samples,
                temperature=EXPLORING,
                beta=0.0,
                loss_type="grpo",
                scale_rewards="none",
            ),
            reward_funcs=reward,
            rollout_func=rollout,
            # The trainer hands positions around: it would put the words of a question together in its own way.
            train_dataset=datasets.Dataset.from_list([{"prompt": str(i)} for i in range(len(pairs))]),
            processing_class=learner.tokenizer,
            callbacks=[record, *callbacks],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        finish(learner.network, folder)
    every = np.concatenate(gather_object(paid))
    facts = {
        "queries": len(every) // preset.samples,
        "valid samples": round(float((every < BAD).mean()), 4),
        "price of samples": round(float(every.mean()), 4),
        "steps": trainer.state.global_step,
    }
    return Trained(logged("grpo", trainer.state), {**facts, **cost_of(record)})


def reward(price: list[float], **others: Any) -> list[float | None]:
    """The reward of each answer: minus its price."""
    return [-value for value in price]


def sizes(preset: Preset, available: int) -> tuple[int, int]:
    """Questions of a step in one process, and rows that go through the model together.

    As many rows per step as the preset's other stages have, in whole groups, and no more together than
    `preset.batch`.
    """
    questions = min(max(1, preset.batch * preset.accumulate // preset.samples), available)
    total = questions * preset.samples
    return questions, max(n for n in range(1, preset.batch + 1) if total % n == 0)


@contextmanager
def _experimental_rollouts() -> Iterator[None]:
    """Without the warning that TRL may still change how answers of one's own making are handed to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are using 'rollout_func'", category=UserWarning)
        yield
