"""Verdicts as reward, step by step: answers are drawn from the model as it is now, and judged within their group."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]
import numpy as np
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from transformers import PrinterCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from sensecf.core.rules import Floats
from sensecf.finetune.preference import BAD, EXPLORING, prices
from sensecf.finetune.presets import Preset
from sensecf.finetune.processes import processes
from sensecf.finetune.supervised import (
    Facts,
    StepTimes,
    Trained,
    Training,
    common_arguments,
    cost_of,
    finish,
    logged,
)
from sensecf.finetune.text_pairs import Pairs
from sensecf.llm.ask import ask
from sensecf.llm.client import Client
from sensecf.llm.language.prompts import Prompts
from sensecf.llm.tokens import Learner, encode, renamed_names

#: How strongly the teacher's answer is held up beside the drawn ones: the advantage that it always has.
TAUGHT = 2.5
#: Added to the deviation of a group's prices, so that answers of about the same price stay about the same.
SOFTENING = 0.5


class Grouped(GRPOTrainer):
    """`GRPOTrainer` whose groups end with the teacher's answer; it tells nobody and writes no card."""

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        """Answers and advantages; that of the teacher's answer is `TAUGHT`."""
        found = super()._generate_and_score_completions(inputs)
        group = self.num_generations
        assert group is not None
        found["advantages"][group - 1 :: group] = TAUGHT
        return found

    def _send_telemetry(self) -> None:
        """Nobody is told what is trained here."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """The card of the model is written elsewhere, see `modelcard`."""


def reinforce(
    prompts: Prompts,
    learner: Learner,
    pairs: Pairs,
    folder: Path,
    training: Training,
) -> Trained:
    """One round of GRPO (Shao et al. 2024) over the questions of `pairs`.

    Each step asks `preset.preference_batch` questions `preset.samples` times, with constrained decoding as in
    use; `rewards` compares the prices within a question. Every answer is learned from once, by the weights that
    gave it, so there is no importance ratio. The teacher's answer to each question is learned beside them, as in
    the first stage. It does what a reference model is for: without it all people soon get the same short
    answer. The loss sums over tokens, so that a long answer has no smaller share in each of its own.
    Trains the model's adapter in place and writes it to `folder/adapter`. A round that was interrupted
    begins anew, with the same draws.
    """
    preset = training.preset
    for name, parameter in learner.network.named_parameters():
        parameter.requires_grad_("lora_" in name)
    questions, rows = sizes(preset, len(pairs) // processes().num_processes)
    record = StepTimes("grpo", training.progress)
    paid: list[Floats] = []

    def rollout(positions: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        """Tokens and price of an answer per position: `preset.samples` drawn ones and the teacher's, then the next."""
        at = np.array(positions[:: preset.samples + 1], dtype=int)
        learner.network.eval()
        answers = ask(
            prompts,
            Client(learner.local),
            pairs.query.take(at),
            preset.samples,
            temperature=EXPLORING,
            seed=training.seed + trainer.state.global_step,
        )
        learner.network.train()
        price = prices(prompts, pairs.query.take(at), answers, training.plausibility)
        paid.append(price.ravel())
        drawn = np.array(answers.texts, dtype=object).reshape(price.shape)
        texts = np.column_stack([drawn, np.array([pairs.completions[i] for i in at], dtype=object)]).ravel()
        examples = encode(learner, [pairs.prompts[int(i)] for i in positions], texts.tolist())
        return {
            "prompt_ids": [one.prompt for one in examples],
            "completion_ids": [one.answer for one in examples],
            "logprobs": None,
            "earned": np.pad(rewards(price), ((0, 0), (0, 1))).ravel().tolist(),
        }

    with renamed_names(), _experimental_rollouts():
        trainer = Grouped(
            model=learner.network,
            args=_settings(learner, folder, training, questions, rows),
            reward_funcs=reward,
            rollout_func=rollout,
            # The trainer hands positions around: it would put the words of a question together in its own way.
            train_dataset=datasets.Dataset.from_list([{"prompt": str(i)} for i in range(len(pairs))]),
            processing_class=learner.tokenizer,
            callbacks=[record, *training.callbacks],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        finish(learner.network, folder)
    every = np.concatenate(gather_object(paid))
    facts: Facts = {
        "queries": len(every) // preset.samples,
        "valid samples": round(float((every < BAD).mean()), 4),
        "price of samples": round(float(every.mean()), 4),
        "steps": trainer.state.global_step,
    }
    return Trained(logged("grpo", trainer.state), {**facts, **cost_of(record)})


def _settings(learner: Learner, folder: Path, training: Training, questions: int, rows: int) -> GRPOConfig:
    """The settings of the trainer; see `sizes` for `questions` and `rows`."""
    preset = training.preset
    common = common_arguments(learner, preset, training.seed)
    return GRPOConfig(
        output_dir=str(folder),
        **common | {"gradient_accumulation_steps": questions * (preset.samples + 1) // rows},
        num_train_epochs=1,
        per_device_train_batch_size=rows,
        learning_rate=preset.preference_rate,
        save_strategy="no",
        num_generations=preset.samples + 1,
        temperature=EXPLORING,
        beta=0.0,
        loss_type="luspo",
        importance_sampling_level="sequence",
        scale_rewards="none",
    )


def rewards(price: Floats) -> Floats:
    """The reward of each answer (questions, samples): how much cheaper than the mean of its question, in deviations."""
    spread = price.std(axis=1, keepdims=True) + SOFTENING
    found: Floats = (price.mean(axis=1, keepdims=True) - price) / spread
    return found


def reward(earned: list[float], **others: Any) -> list[float | None]:
    """What the rollout says that each answer has earned."""
    return list(earned)


def sizes(preset: Preset, available: int) -> tuple[int, int]:
    """Questions of a step in one process, and rows that go through the model together: no more than `preset.batch`.

    A question has as many rows as answers are drawn, and the teacher's.
    """
    questions = min(preset.preference_batch, available)
    total = questions * (preset.samples + 1)
    return questions, max(n for n in range(1, preset.batch + 1) if total % n == 0)


@contextmanager
def _experimental_rollouts() -> Iterator[None]:
    """Without the warning that TRL may still change how answers of one's own making are handed to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are using 'rollout_func'", category=UserWarning)
        yield
