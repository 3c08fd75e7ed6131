"""What a tuned model has by heart: copies of training rows among its answers, and secrets planted on purpose."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from sensecf.core.candidates import Candidates
from sensecf.core.distances import Scale
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.finetune.supervised import Facts
from sensecf.finetune.text_pairs import row_hashes
from sensecf.llm import Prompt
from sensecf.llm.language.prompts import Prompts
from sensecf.llm.tokens import Learner, collate, encode

#: Secrets planted among the pairs, and the other texts that each is ranked among.
CANARIES, ALTERNATIVES = 8, 63
#: Pairs to each secret at least: among fewer, what is learned would be noise for a good part.
PAIRS_EACH = 50
#: An answer is a near copy when a training row is closer than this share of training rows are to each other.
NEAR = 0.05


def canaries(prompts: Prompts, seed: int, count: int = CANARIES) -> tuple[list[Prompt], list[list[str]]]:
    """Prompts about rows that are nobody's, and for each `ALTERNATIVES` + 1 answers drawn alike; the first is planted.

    Rows and new values are uniform over the training range, so nothing but the planted text tells
    the first answer from the others.
    """
    task, rng = prompts.task, np.random.default_rng([seed, 51])
    codec = task.codec
    low, high = np.nan_to_num(task.observed_low), np.nan_to_num(task.observed_high)

    def draw(n: int) -> Floats:
        return np.clip(codec.snap(rng.uniform(low, high, (n, len(low)))), codec.low, codec.high)

    query = Query.of_rows(task, draw(count), task.classes[0], Limits(edit="mutable"))
    asked = prompts.ask(query)
    texts, answers = [], []
    for one in asked:
        free = sorted(one.choices)
        if not free:
            continue
        edited = rng.choice(free, min(2, len(free)), replace=False)
        others = draw(ALTERNATIVES + 1)
        rows = np.tile(one.row, (len(others), 1))
        rows[:, edited] = others[:, edited]
        texts.append(prompts.render(one))
        answers.append([prompts.completion(one, row) for row in rows])
    return texts, answers


@torch.inference_mode()
def exposure(learner: Learner, prompts: list[Prompt], answers: list[list[str]]) -> Facts:
    """How far the planted answers stand out (Carlini et al. 2019), in bits; lower is better.

    The exposure of a secret is log2 of the number of texts minus log2 of its rank by likelihood: about 1.4
    on average for a model that never saw it, `most` for one that has it by heart.
    """
    found = []
    for prompt, texts in zip(prompts, answers, strict=True):
        examples = encode(learner, [prompt] * len(texts), texts)
        device = next(learner.network.parameters()).device
        likely = []
        for begin in range(0, len(examples), 16):
            batch = collate(examples[begin : begin + 16], learner.tokenizer.pad_token_id)
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            logits = learner.network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            labels = batch["labels"][:, 1:]
            log = logits[:, :-1].float().log_softmax(-1).gather(-1, labels.clamp_min(0)[..., None]).squeeze(-1)
            likely += (log * (labels != -100)).sum(dim=1).tolist()
        rank = 1 + sum(value > likely[0] for value in likely[1:])
        found.append(float(np.log2(len(texts) / rank)))
    return {
        "planted": len(found),
        "mean exposure, bits": round(float(np.mean(found)), 3) if found else None,
        "largest exposure, bits": round(max(found), 3) if found else None,
        "most, bits": round(float(np.log2(ALTERNATIVES + 1)), 3),
    }


def copies(task: Task, base: Floats, answers: Candidates) -> Facts:
    """Exact and near copies of training rows among the rows of answers to factuals `base` (q, d), as shares.

    The factual's own row is no copy. Near: closer to a training row than all but `NEAR` of the training
    rows are to each other.
    """
    asked = answers.reason == ""
    rows, own = answers.rows[asked], base[answers.query[asked]]
    if not len(rows):
        return {"answers": 0, "exact copies": None, "near copies": None}
    scale = task.once(Scale)
    known = {name: i for i, name in enumerate(row_hashes(task.rows))}
    exact = np.array([name in known for name in row_hashes(rows)], dtype=bool)
    exact &= np.array([a != b for a, b in zip(row_hashes(rows), row_hashes(own), strict=True)], dtype=bool)
    points = scale.embed(task.rows)
    near = NearestNeighbors(n_neighbors=2).fit(points)
    limit = float(np.quantile(near.kneighbors(points)[0][:, 1], NEAR))
    away, which = near.kneighbors(scale.embed(rows))
    factual = np.array([known.get(name, -1) for name in row_hashes(own)])
    first = np.where(which[:, 0] == factual, away[:, 1], away[:, 0])
    return {
        "answers": len(rows),
        "exact copies": round(float(exact.mean()), 4),
        "near copies": round(float((first < limit).mean()), 4),
    }
