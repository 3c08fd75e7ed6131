"""Verdicts as reward: the model's own answers, judged by the classifier; better ones become likelier (DPO)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import datasets  # type: ignore[import-untyped]
import numpy as np
from transformers import PrinterCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.verify import cost
from sensecf.finetune.processes import from_main, processes
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
from sensecf.llm.ask import Answers, ask
from sensecf.llm.client import Client
from sensecf.llm.language.prompts import Prompts
from sensecf.llm.tokens import Learner, encode, renamed_names

#: The temperature at which answers to compare are drawn.
EXPLORING = 1.0
#: Of two good answers, one is preferred when it is cheaper by so much, in changed features.
CLEAR = 0.5
#: How far preferences may move the model from where it was (DPO's beta; Rafailov et al. 2023).
BETA = 0.1
#: The weight of the likelihood of the preferred answer beside the preference, which keeps it from falling.
KEEP = 0.2
#: What an answer that is not good counts as, in changed features: so much worse than good ones, which ask for 3 to 8,
#: that a short answer which is often wrong loses to a longer one which is not.
BAD = 30.0


class Preferences(NamedTuple):
    """For each comparison the position of its query, the better text and the worse one."""

    query: list[int]
    better: list[str]
    worse: list[str]
    facts: Facts


class Preferring(DPOTrainer):
    """`DPOTrainer` over tokens as they are: a template must not put them together in another way."""

    def _send_telemetry(self) -> None:
        """Nobody is told what is trained here."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """The card of the model is written elsewhere, see `modelcard`."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset


def prices(prompts: Prompts, query: Query, answers: Answers, plausibility: float) -> Floats:
    """What each answer asks of a person (see `verify.cost`), `BAD` where it is not good; (queries, samples)."""
    found = np.full(len(answers.texts), BAD)
    good = answers.verdicts.good
    owner = answers.candidates.query[good]
    found[good] = np.minimum(cost(prompts.task, query, owner, answers.candidates.rows[good], plausibility), BAD - 1)
    return found.reshape(len(query), -1)


def compare(
    prompts: Prompts, learner: Learner, pairs: Pairs, samples: int, seed: int, plausibility: float
) -> Preferences:
    """Draw answers from the model itself and pair the cheapest good one with one that is bad or clearly dearer.

    Where no answer is good, the verified answer of the pair is the better one.
    """
    query = pairs.query
    llm = Client(learner.local)
    answers = ask(prompts, llm, query, samples, temperature=EXPLORING, seed=seed)
    price = prices(prompts, query, answers, plausibility)
    texts = np.array(answers.texts, dtype=object).reshape(price.shape)
    rng = np.random.default_rng([seed, 41])
    chosen, better, worse = [], [], []
    taught = 0
    for i in range(len(query)):
        best = int(price[i].argmin())
        own = price[i, best] < BAD
        text = str(texts[i, best]) if own else pairs.completions[i]
        floor = price[i, best] + CLEAR if own else BAD
        losers = [k for k in range(price.shape[1]) if price[i, k] >= floor and texts[i, k] and texts[i, k] != text]
        if not losers:
            continue
        # Half of the time the worst kind, half of the time any: a model must be told of both.
        loser = int(rng.choice(losers)) if rng.random() < 0.5 else max(losers, key=lambda k: price[i, k])
        chosen.append(i)
        better.append(text)
        worse.append(str(texts[i, loser]))
        taught += not own
    facts: Facts = {
        "queries": len(query),
        "valid samples": round(float((price < BAD).mean()), 4),
        "comparisons": len(chosen),
        "won by the teacher": taught,
    }
    return Preferences(chosen, better, worse, facts)


def prefer(
    prompts: Prompts,
    learner: Learner,
    pairs: Pairs,
    folder: Path,
    training: Training,
) -> Trained:
    """One round: draw, judge, compare, and train the model's adapter in place; written to `folder/adapter`.

    A round that was interrupted begins anew, with the same draws.
    """
    preset, seed = training.preset, training.seed
    nothing = Preferences([], [], [], {})
    asking = processes().is_main_process
    found = from_main(
        compare(prompts, learner, pairs, preset.samples, seed, training.plausibility) if asking else nothing
    )
    if not found.query:  # nothing to tell apart: the model is left as it is
        finish(learner.network, folder)
        return Trained([], found.facts)
    asked = [pairs.prompts[i] for i in found.query]
    better, worse = encode(learner, asked, found.better), encode(learner, asked, found.worse)
    rows = [
        {"prompt_ids": b.prompt, "chosen_ids": b.answer, "rejected_ids": w.answer}
        for b, w in zip(better, worse, strict=True)
    ]
    for name, parameter in learner.network.named_parameters():
        parameter.requires_grad_("lora_" in name)
    record = StepTimes("preferences", training.progress)
    with renamed_names():
        trainer = Preferring(
            model=learner.network,
            args=DPOConfig(
                output_dir=str(folder),
                **common_arguments(learner, preset, seed),
                num_train_epochs=1,
                per_device_train_batch_size=max(1, preset.batch // 2),
                learning_rate=preset.preference_rate,
                save_strategy="no",
                beta=BETA,
                loss_type=["sigmoid", "sft"],
                loss_weights=[1.0, KEEP],
                max_length=None,
            ),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=learner.tokenizer,
            callbacks=[record, *training.callbacks],
        )
        trainer.remove_callback(PrinterCallback)
        done = trainer.train()
        finish(learner.network, folder)
    facts = {**found.facts, "steps": trainer.state.global_step, "loss": round(float(done.training_loss), 6)}
    return Trained(logged("preferences", trainer.state), {**facts, **cost_of(record)})
