"""Verdicts as reward, group against group: answers that both judges take for good, and those that they refuse.

The loss is that of TabGRAA (Long et al. 2026, arXiv 2604.18966), with questions where it has rows of a table: what
training has changed in the log-likelihood of answers is averaged over the good ones and over the bad ones of a
batch first, and only then compared, so that no single answer is pushed far. The reference is the model at the
beginning of the round.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import datasets  # type: ignore[import-untyped]
import numpy as np
import torch
from transformers import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from sensecf.classifiers.jury import Jury
from sensecf.core.errors import InputError
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.finetune.preference import BAD, EXPLORING, prices
from sensecf.finetune.processes import from_main, processes
from sensecf.finetune.supervised import (
    Facts,
    StepTimes,
    Supervised,
    Trained,
    Training,
    common_arguments,
    cost_of,
    finish,
    likelihoods,
    logged,
)
from sensecf.finetune.text_pairs import Pairs
from sensecf.llm.ask import Answers, ask
from sensecf.llm.client import Client
from sensecf.llm.language.prompts import Prompts
from sensecf.llm.tokens import Example, Learner, collate, encode, renamed_names

#: How strongly a difference between good and bad answers counts (TabGRAA's beta).
BETA = 0.5
#: The weight of the likelihood of the teacher's answer beside the comparison, per token: what TabGRAA's retained
#: batch of real rows does.
KEEP = 0.2
#: Refits of the classifier that are the second judge.
JURORS = 5
#: What it costs, in changed features, that none of them agrees with an answer.
DOUBT = 3.0


class Row(TypedDict):
    """A question: its tokens, those of each answer with the teacher's as the last, their sides and log-likelihoods."""

    prompt: list[int]
    answers: list[list[int]]
    side: list[int]
    reference: list[float]


class Judged(NamedTuple):
    """Answers of one round: for each question texts, and 1 (good), -1 (bad) or 0 (neither) for each of them."""

    texts: list[list[str]]
    sides: list[list[int]]
    facts: Facts


class Grouped(Supervised):
    """`Supervised` whose batches are questions with their answers, and whose loss compares groups of answers."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """Questions in a random order."""
        return SFTTrainer._get_train_sampler(self, train_dataset)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The comparison of the batch's groups, and the negative log-likelihood of the teacher's answers."""
        log = likelihoods(model, inputs)
        loss = against(log.sum(dim=1) - inputs["reference"], inputs["owner"], inputs["side"])
        taught = inputs["taught"]
        count = (inputs["labels"][taught] != -100).sum().clamp_min(1)
        loss = loss - KEEP * log[taught].sum() / count
        return (loss, {"loss": loss.detach()}) if return_outputs else loss


def against(moved: torch.Tensor, owner: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """The loss over answers of log-ratios `moved` (n) to questions `owner` (n): lower where good ones gained more.

    The mean over the good answers (`side` 1) and that over the bad ones (-1) of each question, averaged over the
    questions that have both; the negative log-sigmoid of `BETA` times their difference. 0 where no question has both.
    """
    gains = []
    for question in sorted(set(owner.tolist())):
        own = owner == question
        good, bad = moved[own & (side > 0)], moved[own & (side < 0)]
        if len(good) and len(bad):
            gains.append(good.mean() - bad.mean())
    if not gains:
        return moved.sum() * 0.0
    return -torch.nn.functional.logsigmoid(BETA * torch.stack(gains).mean())


def judged(prompts: Prompts, learner: Learner, pairs: Pairs, training: Training) -> Judged:
    """Draw answers from the model itself and sort them by two judges.

    The classifier says which answers are good at all; refits of it on resampled people, which took no part in that,
    and the price say which of the good ones are better: the better half is good, a good answer of the other
    half is neither. What the classifier refuses is bad. Each text counts once for a question.
    """
    query, samples = pairs.query, training.preset.samples
    answers = ask(prompts, Client(learner.local), query, samples, temperature=EXPLORING, seed=training.seed)
    price = prices(prompts, query, answers, training.plausibility)
    good = price < BAD
    doubt, jurors = doubts(prompts, query, answers, training.seed)
    price = np.where(good, price + DOUBT * doubt.reshape(price.shape), BAD)
    texts, sides = [], []
    for i in range(len(query)):
        first = {
            text: k for k, text in reversed(list(enumerate(answers.texts[i * samples : (i + 1) * samples]))) if text
        }
        fine = [price[i, k] for k in first.values() if good[i, k]]
        limit = float(np.median(fine)) if fine else 0.0
        texts.append(list(first))
        sides.append([-1 if not good[i, k] else int(price[i, k] <= limit) for k in first.values()])
    facts: Facts = {
        "queries": len(query),
        "valid samples": round(float(good.mean()), 4),
        "distinct samples": round(float(np.mean([len(several) for several in texts]) / samples), 4),
        "questions with both": sum(1 in several and -1 in several for several in sides),
        "jurors": jurors,
        "doubt of good samples": round(float(doubt.reshape(price.shape)[good].mean()), 4) if good.any() else None,
    }
    return Judged(texts, sides, facts)


def doubts(prompts: Prompts, query: Query, answers: Answers, seed: int) -> tuple[Floats, int]:
    """The share of refits that put each answer in another class than is wanted, and how many refits there are.

    0 of them where the classifier cannot be fitted again: the price alone tells good answers apart then.
    """
    found = np.zeros(len(answers.texts))
    good = answers.verdicts.good
    try:
        jury = Jury.fit(prompts.task, jurors=JURORS, seed=seed)
    except InputError:
        return found, 0
    if good.any():
        target = query.target[answers.candidates.query[good]]
        found[good] = (jury.votes(answers.candidates.rows[good]) != target).mean(axis=0)
    return found, len(jury)


def align(prompts: Prompts, learner: Learner, pairs: Pairs, folder: Path, training: Training) -> Trained:
    """One round: draw, judge by two judges, and train the model's adapter in place; written to `folder/adapter`.

    `pairs` are the questions, with the teacher's answer to each. A round that was interrupted begins anew, with the
    same draws. The facts say how far the answers differ: `distinct samples`, the share of drawn answers to a
    question that are different, and `entropy, nats`, an estimate of the entropy of an answer before the round.
    """
    preset, seed = training.preset, training.seed
    asking = processes().is_main_process
    found = from_main(judged(prompts, learner, pairs, training) if asking else Judged([], [], {}))
    for name, parameter in learner.network.named_parameters():
        parameter.requires_grad_("lora_" in name)
    rows = _rows(learner, pairs, found)
    questions = max(1, preset.batch // (preset.samples + 1))
    pad = learner.tokenizer.pad_token_id
    drawn = _refer(learner, rows, questions, pad)
    record = StepTimes("alignment", training.progress)
    common = common_arguments(learner, preset, seed)
    with renamed_names():
        trainer = Grouped(
            model=learner.network,
            args=SFTConfig(
                output_dir=str(folder),
                **common | {"gradient_accumulation_steps": max(1, preset.preference_batch // questions)},
                num_train_epochs=1,
                per_device_train_batch_size=questions,
                learning_rate=preset.preference_rate,
                save_strategy="no",
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
            data_collator=lambda several: _batch(several, pad),
            train_dataset=datasets.Dataset.from_list([dict(row) for row in rows]),
            processing_class=learner.tokenizer,
            callbacks=[record, *training.callbacks],
        )
        trainer.remove_callback(PrinterCallback)
        done = trainer.train()
        finish(learner.network, folder)
    facts = {**found.facts, "entropy, nats": drawn, "steps": trainer.state.global_step}
    return Trained(
        logged("alignment", trainer.state), {**facts, "loss": round(float(done.training_loss), 6), **cost_of(record)}
    )


def _rows(learner: Learner, pairs: Pairs, found: Judged) -> list[Row]:
    """A row per question: its tokens, those of the answers and of the teacher's as the last, and their sides."""
    rows: list[Row] = []
    for i, (texts, sides) in enumerate(zip(found.texts, found.sides, strict=True)):
        told = encode(learner, [pairs.prompts[i]] * (len(texts) + 1), [*texts, pairs.completions[i]])
        # Where no answer of its own is good, the teacher's is the good one.
        last = 0 if 1 in sides else 1
        rows.append(
            {
                "prompt": told[0].prompt,
                "answers": [one.answer for one in told],
                "side": [*sides, last],
                "reference": [0.0] * len(told),
            }
        )
    return rows


def _batch(rows: Sequence[Row], pad: int) -> dict[str, torch.Tensor]:
    """Questions with their answers as one batch: what `collate` makes, and `owner`, `side`, `reference`, `taught`."""
    examples = [Example(row["prompt"], answer, [1.0] * len(answer)) for row in rows for answer in row["answers"]]
    sizes = [len(row["answers"]) for row in rows]
    return {
        **collate(examples, pad),
        "owner": torch.repeat_interleave(torch.arange(len(rows)), torch.tensor(sizes)),
        "side": torch.tensor([side for row in rows for side in row["side"]]),
        "reference": torch.tensor([value for row in rows for value in row["reference"]]),
        "taught": torch.tensor([k == size - 1 for size in sizes for k in range(size)]),
    }


@torch.no_grad()
def _refer(learner: Learner, rows: list[Row], size: int, pad: int) -> float | None:
    """Write the model's own log-likelihood of every answer to the rows, `size` questions at a time.

    Returns minus the mean over the drawn ones.
    """
    network = learner.network
    network.eval()
    drawn: list[float] = []
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        batch = {name: tensor.to(network.device) for name, tensor in _batch(part, pad).items()}
        found = iter(likelihoods(network, batch).sum(dim=1).tolist())
        for row in part:
            row["reference"] = [next(found) for _ in row["answers"]]
            drawn += row["reference"][:-1]
    return round(-float(np.mean(drawn)), 4) if drawn else None
