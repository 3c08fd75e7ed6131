"""The supervised stage: a LoRA adapter learns pairs, its own answers are judged on the way, and it can be resumed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import datasets  # type: ignore[import-untyped]
import numpy as np
import torch
import transformers
from peft import LoraConfig
from torch.utils.data import Sampler
from transformers import EarlyStoppingCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from sensecf.core.errors import InputError
from sensecf.core.kept import read_record
from sensecf.finetune.presets import Preset
from sensecf.finetune.processes import from_main, processes
from sensecf.llm.tokens import Example, Learner, collate, renamed_names

#: Told the phase and how far it is.
Progress = Callable[[str, float], None]


class Supervised(SFTTrainer):
    """`SFTTrainer` with weights on tokens, and with `judge` beside the loss in every evaluation.

    `judge()` asks the model as it is now and returns what became of its answers.
    """

    judge: Callable[[], dict[str, float]]

    def _send_telemetry(self) -> None:
        """Nobody is told what is trained here: TRL would send model and device to its makers."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """The card of the model is written when there is something to say, see `modelcard`."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Negative log-likelihood of the answer's tokens, times their weights, per token."""
        labels, weights = inputs["labels"], inputs["weights"]
        log = likelihoods(model, inputs)
        count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
        loss = -(log * weights[:, 1:]).sum() / count
        if num_items_in_batch is not None:  # counted over all processes, whose gradients will be averaged
            loss = loss * processes().num_processes
        return (loss, {"loss": loss.detach()}) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> ByLength:
        """Batches of like length; transformers' own grouping draws other batches after an interrupt."""
        data: Any = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(p) + len(a) for p, a in zip(data["input_ids"], data["answer"], strict=True)]
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps * processes().num_processes
        return ByLength(lengths, size, self.args.seed, lambda: int((self.state.epoch or 0) + 1e-6))

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """The loss on the validation pairs, and what the judge says."""
        found = super().evaluation_loop(*args, **kwargs)
        assert found.metrics is not None
        told = from_main(self.judge() if processes().is_main_process else {})
        found.metrics.update({f"eval_{name}": value for name, value in told.items()})
        return found


def likelihoods(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Log-likelihood of every token after the first, shape (examples, longest - 1); 0 where nothing is learned.

    Scores over the vocabulary are computed only at the places where some example of the batch has a token of its
    answer: with 49 thousand words they are a fifth of the work of a model of 135 million weights, and of its memory
    most. Batches of like length (see `common_arguments`) have answers at like places.
    """
    labels = batch["labels"][:, 1:]
    learned = labels != -100
    places = learned.any(dim=0).nonzero().flatten()
    found = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False, logits_to_keep=places
    )
    targets = labels[:, places].clamp_min(0)
    log = -torch.nn.functional.cross_entropy(found.logits.float().transpose(1, 2), targets, reduction="none")
    out = torch.zeros(labels.shape, device=log.device)
    out[:, places] = log * learned[:, places]
    return out


class ByLength(Sampler[int]):
    """The order of examples in an epoch: batches of like length, so that little is padded, in a random order.

    `lengths` in tokens; `size` of a batch. Another order in each `epoch()`, the same for the same `seed`.
    """

    #: Batches whose examples are sorted among each other.
    POOL = 16

    def __init__(self, lengths: Sequence[int], size: int, seed: int, epoch: Callable[[], int]) -> None:
        self.lengths, self.size, self.seed, self.epoch = np.array(lengths), size, seed, epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, 71, self.epoch()])
        order = rng.permutation(len(self.lengths))
        pools = [order[k : k + self.POOL * self.size] for k in range(0, len(order), self.POOL * self.size)]
        order = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        whole = len(order) - len(order) % self.size
        batches = order[:whole].reshape(-1, self.size)
        # A batch that is not full stays the last.
        yield from np.concatenate([rng.permutation(batches).ravel(), order[whole:]]).tolist()


class StepTimes(TrainerCallback):
    """Says how far the training is, and measures the time of each step."""

    def __init__(self, phase: str, progress: Progress) -> None:
        self.seconds: list[float] = []
        self._phase, self._progress, self._began = phase, progress, 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds.append(time.perf_counter() - self._began)
        self._progress(self._phase, state.global_step / max(state.max_steps, 1))


@dataclass(frozen=True)
class Training:
    """What all stages are trained with: sizes and rates, the seed, who is told, further callbacks of the trainer.

    `plausibility`: price of being unlike the data, for stages that compare the prices of answers.
    """

    preset: Preset
    seed: int = 0
    plausibility: float = 1.0
    progress: Progress = lambda phase, share: None
    callbacks: Sequence[TrainerCallback] = ()


#: Numbers of a stage by what they are, as the card says them; None where there is none.
Facts: TypeAlias = dict[str, float | None]
#: What a trainer logged at a step: its phase, and numbers by their name.
Logged: TypeAlias = dict[str, str | float]


@dataclass(frozen=True)
class Trained:
    """What a stage did: what was logged on the way, and facts: steps, loss, seconds of the median step, memory."""

    history: list[Logged]
    facts: Facts


def supervise(
    learner: Learner,
    examples: Sequence[Example],
    validation: Sequence[Example],
    judge: Callable[[], dict[str, float]],
    folder: Path,
    training: Training,
) -> Trained:
    """Train a LoRA adapter in place and write the best one to `folder/adapter`.

    The best is the one with the highest "score" that `judge` gave. Checkpoints stay in `folder` until
    the stage is complete; called again with the same arguments, it goes on after the last whole one
    and ends with the same weights.
    """
    preset = training.preset
    steps = max(1, -(-len(examples) // (preset.batch * preset.accumulate * processes().num_processes)))
    with processes().main_process_first():
        checkpoint = last_checkpoint(folder)
    record = StepTimes("tuning", training.progress)
    pad = learner.tokenizer.pad_token_id
    with renamed_names():
        trainer = Supervised(
            model=learner.network,
            args=_settings(learner, folder, training, max(1, steps // preset.evaluations)),
            data_collator=lambda rows: collate((Example(r["input_ids"], r["answer"], r["weight"]) for r in rows), pad),
            train_dataset=_dataset(examples),
            eval_dataset=_dataset(validation),
            processing_class=learner.tokenizer,
            peft_config=lora(preset, learner.network),
            callbacks=[EarlyStoppingCallback(preset.patience), record, *training.callbacks],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.judge = judge
        trainer.train(resume_from_checkpoint=checkpoint)
        finish(trainer.model, folder)
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    return Trained(
        logged("tuning", trainer.state),
        {
            "steps": trainer.state.global_step,
            "best step": trainer.state.best_global_step,
            "loss": round(losses[-1], 6),
            **cost_of(record),
        },
    )


def finish(network: Any, folder: Path) -> None:
    """Write the adapter to `folder/adapter` and remove the checkpoints, once where several processes train."""
    if processes().is_main_process:
        network.save_pretrained(str(folder / "adapter"), selected_adapters=["default"])
        for path in folder.glob("checkpoint-*"):
            shutil.rmtree(path)
    processes().wait_for_everyone()


def lora(preset: Preset, network: Any) -> LoraConfig:
    """An adapter on every linear layer, and with `preset.embeddings` the input embeddings themselves.

    A model of a million weights has seen too little to tell the words of a table apart by what it knows: with
    embeddings as they are it hardly learns which class is asked for (LOG.md). They stay as they are where the output
    shares them, since the merged weights would no longer be shared.
    """
    saved = None
    if preset.embeddings and not network.config.tie_word_embeddings:
        words = network.get_input_embeddings()
        saved = [next(name for name, module in network.named_modules() if module is words).rpartition(".")[2]]
    return LoraConfig(
        r=preset.rank,
        lora_alpha=2 * preset.rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        modules_to_save=saved,
        task_type="CAUSAL_LM",
    )


def _settings(learner: Learner, folder: Path, training: Training, every: int) -> SFTConfig:
    """The settings of the trainer, which judges and saves every so many steps."""
    preset = training.preset
    return SFTConfig(
        output_dir=str(folder),
        num_train_epochs=preset.epochs,
        **common_arguments(learner, preset, training.seed),
        per_device_train_batch_size=preset.batch,
        per_device_eval_batch_size=preset.batch,
        learning_rate=preset.rate,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=every,
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        restore_callback_states_from_checkpoint=True,  # how long there was no progress before an interrupt
        metric_for_best_model="eval_score",
        greater_is_better=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
    )


class _State(TypedDict):
    """What is read of the state that transformers keeps."""

    global_step: int


def last_checkpoint(folder: Path) -> str | None:
    """The last whole checkpoint of a stage's own folder; those that a kill cut short are removed.

    The state of the trainer is written last, so a checkpoint that has it is whole. Its optimiser and random
    states are pickles that `Trainer` reads as tensors only (`weights_only=True`), and only from here.
    """
    whole = []
    for path in folder.glob("checkpoint-*"):
        try:
            state = read_record(path / "trainer_state.json", _State, limit=2**28)
            whole.append((state["global_step"], str(path)))
        except InputError:
            shutil.rmtree(path)
    return max(whole)[1] if whole else None


def cost_of(record: StepTimes) -> Facts:
    """Seconds of the median step, and the peak of memory where a GPU counts it."""
    facts: Facts = {}
    if record.seconds:
        facts["seconds per step"] = round(sorted(record.seconds)[len(record.seconds) // 2], 4)
    if torch.cuda.is_available():
        facts["peak GPU memory, MiB"] = round(torch.cuda.max_memory_allocated() / 2**20)
    else:
        import resource

        facts["peak memory of the process, MiB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return facts


def common_arguments(learner: Learner, preset: Preset, seed: int) -> dict[str, Any]:
    """What all trainers are given: no tracker, no upload, no bar, this device."""
    cuda = next(learner.network.parameters()).device.type == "cuda"
    return {
        "gradient_accumulation_steps": preset.accumulate,
        "activation_checkpointing": preset.checkpointing,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,  # a share of all steps
        "bf16": cuda,
        "use_cpu": not cuda,
        "dataloader_pin_memory": cuda,
        "ddp_find_unused_parameters": False,
        "seed": seed,
        "data_seed": seed,
        "logging_steps": 10,
        "report_to": "none",
        "push_to_hub": False,
        "disable_tqdm": True,
        "remove_unused_columns": False,
    }


def _dataset(examples: Sequence[Example]) -> datasets.Dataset:
    if not examples:
        raise InputError("there are no pairs to tune on; ask for more")
    return datasets.Dataset.from_list(
        [{"input_ids": one.prompt, "answer": one.answer, "weight": one.weight} for one in examples]
    )


def logged(phase: str, state: Any) -> list[Logged]:
    """What a trainer logged, also before it was resumed."""
    return [
        {"phase": phase, **{k: v for k, v in entry.items() if isinstance(v, int | float) and v == v}}
        for entry in state.log_history
    ]


def quiet() -> None:
    """No bars and remarks of transformers and datasets on the terminal, in this process: the command has its own."""
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    datasets.disable_progress_bars()
