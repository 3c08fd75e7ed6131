"""A small language model of the project's own: it knows how questions are put and answered, and no table.

Llama's architecture with about a million weights, and a tokenizer of its own, both trained here on simulated
tables with random features, ranges, rules and classifiers. It stands in for a pretrained model wherever the
weights of a large one cannot be had. What it answers about a real table is a guess in the right form, since
which changes matter differs from table to table; that is what tuning teaches.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from sensecf.core.errors import InputError
from sensecf.core.files import write_json
from sensecf.core.rules import Floats, Rule, Total
from sensecf.core.schema import Feature, FeatureSchema, Value
from sensecf.core.task import Task
from sensecf.finetune.text_pairs import Pairs, draw
from sensecf.llm.language.brief import BRIEF_VERSION, Brief
from sensecf.llm.tokens import Example, Learner, collate, encode, load

#: Words that the names of simulated features are made of: the field in general, no table in particular.
_THINGS = (
    "sleep",
    "steps",
    "heart",
    "glucose",
    "pulse",
    "energy",
    "distance",
    "walking",
    "rest",
    "stress",
    "weight",
    "screen",
    "meal",
    "carb",
    "insulin",
    "oxygen",
    "breathing",
    "temperature",
    "exercise",
    "calories",
    "pressure",
    "deep",
    "light",
    "rem",
    "awake",
    "active",
    "sedentary",
    "recovery",
    "caffeine",
    "alcohol",
    "bmi",
    "age",
    "hr",
)
_SORTS = (
    "total",
    "mean",
    "min",
    "max",
    "sd",
    "resting",
    "events",
    "range",
    "score",
    "level",
    "rate",
    "cv",
    "late",
    "day",
)
_UNITS = ("min", "pct", "bpm", "mgdl", "mmol", "m", "kcal", "g", "u", "h", "kg", "count")
_LEVELS = (
    "low",
    "medium",
    "high",
    "none",
    "some",
    "yes",
    "no",
    "watch",
    "ring",
    "morning",
    "evening",
    "never",
    "often",
)
_CLASSES: tuple[tuple[Value, Value], ...] = (
    ("high", "low"),
    (0, 1),
    ("yes", "no"),
    ("stressed", "calm"),
    ("bad", "good"),
    ("risk", "safe"),
    (False, True),
)
#: Rows of a simulated table.
ROWS = 240
#: Weight in the loss of the prompt's tokens, beside 1 of the answer's.
PROMPT_WEIGHT = 0.1


@dataclass(frozen=True)
class BaseRecipe:
    """How the small model is made; the defaults suit two cores and a quarter of an hour.

    `tables` × `pairs` questions are simulated; `steps` batches of `tokens` tokens are learned from.
    """

    tables: int = 160
    pairs: int = 60
    vocabulary: int = 1536
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    batch_tokens: int = 6144
    rate: float = 3e-3
    steps: int = 1500


def make_base(
    folder: str | Path,
    seed: int = 0,
    recipe: BaseRecipe = BaseRecipe(),
    *,
    device: str | None = None,
    progress: Callable[[str, float], None] = lambda phase, share: None,
) -> dict[str, object]:
    """Simulate tables, train tokenizer and model on questions about them, write the folder of a model.

    Returns what was done, which is also written as `base.json`: parameters, tokens, tokens per
    second, the loss over time. `progress(phase, share)` is told how far "tables" and "base" are.
    The folder is there when all of it is: what an interruption left beside it is thrown away by the next call.
    """
    folder = Path(folder).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; name a new folder for the base model")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    record = _made(unfinished, seed, recipe, device, progress)
    if folder.exists():
        folder.rmdir()
    unfinished.replace(folder)
    return record


def _made(
    folder: Path, seed: int, recipe: BaseRecipe, device: str | None, progress: Callable[[str, float], None]
) -> dict[str, object]:
    """The base model in a folder, `base.json` last; what that says."""
    rng = np.random.default_rng([seed, 31])
    found: list[Pairs] = []
    began = time.perf_counter()
    while len(found) < recipe.tables:
        try:
            found.append(draw(Brief(simulate_task(rng)), recipe.pairs, int(rng.integers(2**31))))
        except InputError:  # a simulated classifier that nothing changes: another table
            continue
        progress("tables", len(found) / recipe.tables)
    simulated = time.perf_counter() - began
    transformers.set_seed(seed)
    tokenizer = train_tokenizer(found, recipe.vocabulary)
    model = _model(recipe, tokenizer)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    learner = load(folder, device=device)
    examples = [example for pairs in found for example in encode(learner, pairs.prompts, pairs.completions)]
    facts = _train(learner, examples, recipe, rng, progress)
    learner.network.save_pretrained(folder)
    record: dict[str, object] = {
        "made by": "sensecf.finetune.smallbase",
        "licence": "Apache-2.0 (part of SenseCF); trained on simulated tables only",
        "wording": f"brief {BRIEF_VERSION}",
        "seed": seed,
        "recipe": asdict(recipe),
        "parameters": int(model.num_parameters()),
        "questions": len(examples),
        "seconds of simulation": round(simulated, 1),
        **facts,
    }
    write_json(folder / "base.json", record)
    return record


def simulate_task(rng: np.random.Generator, rows: int = ROWS) -> Task:
    """A task over a table that never was: random features, ranges, sometimes a total, a random classifier."""
    count = int(rng.integers(6, 24))
    classes = _CLASSES[rng.integers(len(_CLASSES))]
    common = rng.normal(size=(rows, 3))
    features: list[Feature] = []
    columns: dict[str, np.ndarray] = {}
    names = _names(rng, count + 1)
    for name in names[:-1]:
        feature, values = _column(name, rng, common)
        features.append(feature)
        columns[name] = values
    rules: list[Rule] = []
    parts = [f for f in features if f.kind == "integer" and f.low == 0 and f.step == 1][:3]
    if len(parts) == 3 and rng.random() < 0.5:
        whole = np.sum([columns[part.name] for part in parts], axis=0)
        features.append(Feature(names[-1], "integer", low=0, high=sum(int(part.high or 0) for part in parts), step=1))
        columns[names[-1]] = whole
        rules.append(Total(tuple(part.name for part in parts), names[-1]))
    label = "label"
    schema = FeatureSchema(tuple(features), label, classes, classes[int(rng.integers(2))], rules=tuple(rules))
    frame = pd.DataFrame(columns)
    judge = _Judge(schema, frame, classes, rng)
    return Task(schema, frame.assign(**{label: judge.predict(frame)}), judge)


class _Judge:
    """A classifier drawn at random: a smooth score over a few features, some of them with a threshold too."""

    def __init__(
        self, schema: FeatureSchema, frame: pd.DataFrame, classes: tuple[Value, Value], rng: np.random.Generator
    ) -> None:
        self.classes_ = np.array(classes, dtype=object)
        self._levels = {f.name: list(f.levels) for f in schema.features if not f.numeric}
        self._names = schema.names
        numbers = self._numbers(frame)
        self._centre, self._spread = numbers.mean(axis=0), numbers.std(axis=0) + 1e-9
        used = rng.random(len(self._names)) < rng.uniform(0.2, 0.6)
        used[rng.integers(len(used))] = True
        self._weight = np.where(used, rng.normal(0, 1.2, len(used)), 0.0)
        self._jump = np.where(used & (rng.random(len(used)) < 0.3), rng.normal(0, 1.5, len(used)), 0.0)
        self._at = rng.normal(0, 0.7, len(used))
        self._middle = 0.0
        self._middle = float(np.quantile(self._score(frame), rng.uniform(0.35, 0.65)))

    def _numbers(self, frame: pd.DataFrame) -> Floats:
        columns = [
            frame[name].map(self._levels[name].index) if name in self._levels else frame[name] for name in self._names
        ]
        return np.column_stack([column.to_numpy(dtype=float) for column in columns])

    def _score(self, frame: pd.DataFrame) -> Floats:
        z = (self._numbers(frame) - self._centre) / self._spread
        score: Floats = z @ self._weight + (z > self._at) @ self._jump - self._middle
        return score

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        chance = 1 / (1 + np.exp(-np.clip(self._score(frame), -30, 30)))
        return np.column_stack([1 - chance, chance])

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        return self.classes_[(self._score(frame) > 0).astype(int)]


def _names(rng: np.random.Generator, count: int) -> list[str]:
    """Different names such as "sleep_mean_min"."""
    found: dict[str, None] = {}
    while len(found) < count:
        words = [_THINGS[rng.integers(len(_THINGS))]]
        if rng.random() < 0.7:
            words.append((_SORTS + _THINGS)[rng.integers(len(_SORTS) + len(_THINGS))])
        if rng.random() < 0.6:
            words.append(_UNITS[rng.integers(len(_UNITS))])
        found["_".join(dict.fromkeys(words))] = None
    return list(found)


def _column(name: str, rng: np.random.Generator, common: Floats) -> tuple[Feature, Any]:
    """A feature and its values, which share causes with the other columns."""
    roles = {"role": "immutable"} if rng.random() < 0.15 else {}
    drawn = common @ rng.normal(0, 0.4, common.shape[1]) + rng.normal(0, 0.7, len(common))
    kind = rng.random()
    if kind < 0.12:
        levels = tuple(rng.permutation(_LEVELS)[: rng.integers(2, 5)].tolist())
        cuts = np.quantile(drawn, np.linspace(0, 1, len(levels) + 1)[1:-1])
        values = np.array(levels, dtype=object)[np.searchsorted(cuts, drawn)]
        return Feature(name, "binary" if len(levels) == 2 else "categorical", levels=levels, **roles), values  # type: ignore[arg-type]
    high = float(rng.choice([10, 40, 100, 150, 300, 600, 1500, 5000, 30000]))
    spread, middle = high * rng.uniform(0.05, 0.2), high * rng.uniform(0.25, 0.6)
    if kind < 0.62:
        step = float(rng.choice([1, 1, 1, 5, 10])) if high > 60 else 1.0
        values = np.clip(np.round((middle + spread * drawn) / step) * step, 0, high).astype(int)
        low = 0 if rng.random() < 0.6 else int(values.min() // step * step)
        return Feature(name, "integer", low=low, high=int(high), step=int(step), **roles), values  # type: ignore[arg-type]
    step = 0.1 if high <= 600 else 1.0
    values = np.clip(np.round(np.round((middle + spread * drawn) / step) * step, 1), 0, high)
    return Feature(name, "continuous", low=0, high=high, step=step, **roles), values  # type: ignore[arg-type]


def train_tokenizer(pairs: Sequence[Pairs], vocabulary: int) -> Any:
    """A byte-pair tokenizer from the texts of pairs: every digit is a token, and tokens may span words."""
    tokenizer = Tokenizer(models.BPE())
    # Digits alone: a model this small learns what 6500 is from 6, 5, 0, 0.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split("\n", behavior="merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=64,
        show_progress=False,
    )
    texts: list[str] = []
    for several in pairs:
        texts += ["\n".join(f"### {turn.role.capitalize()}\n{turn.content}\n" for turn in p) for p in several.prompts]
        texts += several.completions
    tokenizer.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def _model(recipe: BaseRecipe, tokenizer: Any) -> Any:
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.hidden,
            intermediate_size=8 * recipe.hidden // 3 // 16 * 16,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=2048,
            tie_word_embeddings=False,  # so that tuning may move the input alone, see `finetune.supervised.lora`
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _train(
    learner: Learner,
    examples: list[Example],
    recipe: BaseRecipe,
    rng: np.random.Generator,
    progress: Callable[[str, float], None],
) -> dict[str, object]:
    """All tokens are learned, those of answers ten times as much; batches hold texts of like lengths."""
    network, pad = learner.network, learner.tokenizer.pad_token_id
    device = next(network.parameters()).device
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=0.01)
    schedule = transformers.get_cosine_schedule_with_warmup(optimiser, recipe.steps // 10, recipe.steps)
    network.train()
    losses: list[float] = []
    tokens, began = 0, time.perf_counter()
    queue: list[list[int]] = []
    for step in range(recipe.steps):
        if not queue:
            queue = _batches(examples, recipe.batch_tokens, rng)
        batch = collate((examples[i] for i in queue.pop()), pad, PROMPT_WEIGHT)
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        logits = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        weights = batch["weights"][:, 1:]
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), batch["labels"][:, 1:].flatten(), reduction="none", ignore_index=-100
        )
        total = (loss * weights.flatten()).sum() / weights.sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        tokens += int(batch["attention_mask"].sum())
        losses.append(round(total.item(), 4))
        progress("base", (step + 1) / recipe.steps)
    network.eval()
    seconds = time.perf_counter() - began
    return {
        "tokens": tokens,
        "seconds": round(seconds, 1),
        "tokens per second": round(tokens / seconds),
        "loss": losses[:: max(1, len(losses) // 100)],
    }


def _batches(examples: list[Example], tokens: int, rng: np.random.Generator) -> list[list[int]]:
    """Positions in batches of up to so many tokens, padding included, in random order."""
    lengths = np.array([len(one.prompt) + len(one.answer) for one in examples])
    order = np.argsort(lengths + rng.uniform(0, 8, len(lengths)))
    out: list[list[int]] = [[]]
    longest = 0
    for i in order.tolist():
        longest = max(longest, int(lengths[i]))
        if out[-1] and (len(out[-1]) + 1) * longest > tokens:
            out.append([])
            longest = int(lengths[i])
        out[-1].append(i)
    return [out[i] for i in rng.permutation(len(out))]
