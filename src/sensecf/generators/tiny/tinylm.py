"""The embedded model: a small decoder-only transformer that answers a row with a list of edits.

The vocabulary made from a schema, and the network. Masked sampling is in `sampling`, training in
`generators.tiny`.

One token is one (feature, value) pair, so an answer is a list of value tokens and an end token:
"at most 2, deep sleep 65 min, steps 8,000, end". The prompt holds the query's conditions and one token per
feature of the factual; prompt tokens see each other both ways, answer tokens see the prompt and what
stands before them. What an answer may change at most is its own first token, so that the answers to one
query share the keys and values of its prompt whatever their budgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sensecf.core.codec import Codec
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task

#: Values a numeric feature may take in an answer: quantiles of the training values, on the step.
BINS = 32
#: Upper ends of the bins for "how far is the factual from the target" (its lead, in [-1, 1]).
LEADS = np.array([-0.95, -0.8, -0.6, -0.4, -0.2, -0.05, 0.0])
#: Upper ends of the bins for "how much like the target class is the factual" (its LOF score).
SCORES = np.array([-2.0, -1.0, -0.5, 0.0, 0.5])
#: Prompt tokens that the features of a factual share: wide tables put several features into one.
GROUPS = 12
#: Margins that the model can be asked for.
MARGINS = np.array([0.0, 0.2, 0.4, 0.6])
#: Budgets that the model tells apart; larger ones count as the last.
MAX_BUDGET = 8

END = 0

#: Keys and values of one layer, (lists or prompts, heads, positions, width / heads) each.
Keys = tuple[Tensor, Tensor]
#: Keys and values of all layers.
Cache = list[Keys]


class Vocabulary:
    """Tokens of one schema, with values taken from training rows.

    Token 0 ends an answer. `feature` and `value` (tokens,): what each token sets (-1 and NaN for
    the end token). `missing` (d,): the prompt token of a blank. `prompt_size`, `size`: how many
    tokens there are with and without those that occur in prompts only.
    """

    def __init__(self, codec: Codec, values: list[Floats], classes: int) -> None:
        self.codec = codec
        self.values = values
        self.classes = classes
        self.feature = np.concatenate([[-1], *[np.full(len(v), j) for j, v in enumerate(values)]]).astype(np.intp)
        self.value = np.concatenate([[np.nan], *values])
        self.first = np.concatenate([[1], 1 + np.cumsum([len(v) for v in values])]).astype(np.intp)
        self.size = len(self.feature)
        d = len(values)
        self.missing = self.size + np.arange(d)
        self._target = self.size + d
        self._budget = self._target + classes
        self._margin = self._budget + MAX_BUDGET
        self._lead = self._margin + len(MARGINS)
        self._score = self._lead + len(LEADS) + 1
        self.prompt_size = self._score + len(SCORES) + 1

    @classmethod
    def of(cls, task: Task) -> Vocabulary:
        """The vocabulary of a task: levels as they are, numbers as quantiles of the training rows."""
        values = []
        for j, feature in enumerate(task.schema.features):
            column = task.rows[:, j]
            column = column[~np.isnan(column)]
            if not feature.numeric:
                values.append(np.arange(len(feature.levels), dtype=float))
            elif not len(column):
                values.append(np.array([(task.codec.low[j] + task.codec.high[j]) / 2]))
            else:
                points = np.quantile(column, np.linspace(0, 1, BINS))
                values.append(np.unique(task.codec.snap(np.tile(points[:, None], len(task.schema)))[:, j]))
        return cls(task.codec, values, len(task.classes))

    def nearest(self, rows: Floats) -> Ints:
        """The token nearest to each value, shape (n, d); the blank token where a value is missing."""
        out = np.empty(rows.shape, dtype=np.intp)
        for j, values in enumerate(self.values):
            right = np.clip(np.searchsorted(values, rows[:, j]), 1, max(len(values) - 1, 1))
            left = right - 1
            right = np.minimum(right, len(values) - 1)
            with np.errstate(invalid="ignore"):
                nearer = np.abs(values[right] - rows[:, j]) < np.abs(rows[:, j] - values[left])
            out[:, j] = self.first[j] + np.where(nearer, right, left)
        return np.where(np.isnan(rows), self.missing, out)

    def outward(self, base: Floats, rows: Floats) -> Ints:
        """Like `nearest`, but never closer to `base` than `rows` is: an edit keeps its effect."""
        out = self.nearest(rows)
        for j, values in enumerate(self.values):
            if not self.codec.numeric[j]:
                continue
            up = np.minimum(np.searchsorted(values, rows[:, j] - 1e-9), len(values) - 1)
            down = np.maximum(np.searchsorted(values, rows[:, j] + 1e-9, side="right") - 1, 0)
            with np.errstate(invalid="ignore"):
                token = self.first[j] + np.where(rows[:, j] > base[:, j], up, down)
            out[:, j] = np.where(np.isnan(rows[:, j]), out[:, j], token)
        return out

    def prompt(self, query: Query, state: Floats) -> tuple[Ints, Ints]:
        """Condition tokens (q, 4) and feature tokens (q, d); `state` (q, 2): lead and LOF score of the factual."""
        conditions = np.stack(
            [
                self._target + query.target,
                self._margin + np.searchsorted(MARGINS, query.margin - 1e-9).clip(0, len(MARGINS) - 1),
                self._lead + np.searchsorted(LEADS, state[:, 0]),
                self._score + np.searchsorted(SCORES, state[:, 1]),
            ],
            axis=1,
        )
        return conditions, self.nearest(query.rows)

    def begin(self, budget: Ints) -> Ints:
        """The token that a list begins with: how many changes it may make, any shape."""
        return self._budget + np.clip(budget, 1, MAX_BUDGET) - 1


@dataclass(frozen=True)
class Shape:
    """Size of the network."""

    width: int = 64
    layers: int = 3
    heads: int = 4


class TinyLM(nn.Module):
    """A pre-norm transformer over prompt and answer tokens; input and output embeddings are tied."""

    def __init__(self, vocabulary: Vocabulary, shape: Shape, longest: int) -> None:
        super().__init__()
        self.shape, self.answer_size, self.longest = shape, vocabulary.size, longest
        self.embed = nn.Embedding(vocabulary.prompt_size, shape.width)
        self.embed.weight.data.copy_(_smooth(vocabulary, shape.width))
        self.locked = nn.Parameter(torch.randn(len(vocabulary.values), shape.width) * 0.1)
        self.position = nn.Parameter(torch.randn(longest + 1, shape.width) * 0.02)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.bias = nn.Parameter(torch.zeros(vocabulary.size))

    def read(self, conditions: Tensor, features: Tensor, movable: Tensor) -> Cache:
        """Keys and values of prompts, per layer; conditions (q, c), features and movable (q, d).

        The embeddings of `ceil(d / GROUPS)` features are added up to one position: the prompt is
        most of the work, and the sum keeps what the features say apart (each has its own vectors).
        """
        x = self.embed(features) + (~movable).unsqueeze(-1) * self.locked[: features.shape[1]]
        size = -(-features.shape[1] // GROUPS)
        x = F.pad(x, (0, 0, 0, -features.shape[1] % size)).unflatten(1, (-1, size)).sum(2)
        x = torch.cat([self.embed(conditions), x], 1)
        cache = []
        for block in self.blocks:
            x, keys = cast(Block, block).read(x)
            cache.append(keys)
        return cache

    def write(self, tokens: Tensor, prompt: Cache) -> Tensor:
        """States (q, k, t, width) after each of `tokens` (q, k, t): k lists to each prompt, whole."""
        x = self.embed(tokens) + self.position[: tokens.shape[2]]
        for block, keys in zip(self.blocks, prompt, strict=True):
            x = cast(Block, block).write(x, keys)
        return x

    def extend(self, tokens: Tensor, owner: Ints, prompt: Cache, past: Cache) -> tuple[Tensor, Cache]:
        """States (m, width) after one more token of each of m lists, and `past` with it in.

        `owner` (m,), in rising order: whose prompt each list answers; `past`: what the lists hold so far.
        """
        # Prompts are read by all lists of a query at once, from as many places as the busiest query has.
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        at = torch.from_numpy(owner), torch.from_numpy(place), int(place.max()) + 1
        x = self.embed(tokens) + self.position[past[0][0].shape[2]]
        cache = []
        for block, keys, own in zip(self.blocks, prompt, past, strict=True):
            x, own = cast(Block, block).extend(x, keys, own, *at)
            cache.append(own)
        return x, cache

    def nothing(self, count: int) -> Cache:
        """The past of lists that hold nothing yet."""
        empty = torch.empty(count, self.shape.heads, 0, self.shape.width // self.shape.heads)
        return [(empty, empty)] * self.shape.layers

    def logits(self, states: Tensor) -> Tensor:
        """Logits (..., size) of the next token after states (..., width)."""
        logits: Tensor = F.linear(self.norm(states), self.embed.weight[: self.answer_size], self.bias)
        return logits


class Block(nn.Module):
    """Attention and a feed-forward layer, each after a layer norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        w = shape.width
        self.heads = shape.heads
        self.norm1, self.norm2 = nn.LayerNorm(w), nn.LayerNorm(w)
        self.qkv, self.out = nn.Linear(w, 3 * w), nn.Linear(w, w)
        self.up, self.down = nn.Linear(w, 4 * w), nn.Linear(4 * w, w)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # (q, ..., w) -> three of (q, heads, ..., w / heads)
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        return q.movedim(-2, 1), k.movedim(-2, 1), v.movedim(-2, 1)

    def _finish(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.out(attended.movedim(1, -2).flatten(-2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))

    def read(self, x: Tensor) -> tuple[Tensor, Keys]:
        q, k, v = self._split(x)
        return self._finish(x, F.scaled_dot_product_attention(q, k, v)), (k, v)

    def write(self, x: Tensor, prompt: Keys) -> Tensor:
        q, k, v = self._split(x)  # (q, h, k, t, w/h)
        n, h, answers, t, w = q.shape
        p = prompt[0].shape[2]
        to_prompt = (q.reshape(n, h, answers * t, w) @ prompt[0].transpose(-1, -2)).view(n, h, answers, t, p)
        to_own = (q @ k.transpose(-1, -2)).masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), -torch.inf)
        weight = (torch.cat([to_prompt, to_own], -1) * w**-0.5).softmax(-1)
        attended = (weight[..., :p].reshape(n, h, answers * t, p) @ prompt[1]).view(n, h, answers, t, w)
        return self._finish(x, attended + weight[..., p:] @ v)

    def extend(
        self, x: Tensor, prompt: Keys, past: Keys, owner: Tensor, place: Tensor, places: int
    ) -> tuple[Tensor, Keys]:
        q, k, v = self.qkv(self.norm1(x)).view(len(x), 3, self.heads, -1).unbind(1)  # (m, h, w/h)
        own = torch.cat([past[0], k[:, :, None]], 2), torch.cat([past[1], v[:, :, None]], 2)
        n, h, p, w = prompt[0].shape
        asking = q.new_zeros(n, h, places, w)
        asking[owner, :, place] = q
        to_prompt = (asking @ prompt[0].transpose(-1, -2))[owner, :, place]
        to_own = (own[0] @ q[..., None]).squeeze(-1)
        weight = (torch.cat([to_prompt, to_own], -1) * w**-0.5).softmax(-1)
        given = q.new_zeros(n, h, places, p)
        given[owner, :, place] = weight[..., :p]
        attended = (given @ prompt[1])[owner, :, place] + (weight[:, :, None, p:] @ own[1]).squeeze(2)
        x = x + self.out(attended.flatten(1))
        return x + self.down(F.gelu(self.up(self.norm2(x)))), own


def _smooth(vocabulary: Vocabulary, width: int) -> Tensor:
    """First embeddings: neighbouring values of one feature look alike, features look different."""
    weight = torch.randn(vocabulary.prompt_size, width) * 0.05
    frequencies = torch.arange(1, 5)
    for j, values in enumerate(vocabulary.values):
        place = torch.linspace(0, 1, len(values))[:, None] * torch.pi
        waves = torch.cat([torch.cos(place * frequencies) / frequencies, 2 * place / torch.pi - 1], 1)
        mix = torch.randn(waves.shape[1], width) * 0.08
        first = int(vocabulary.first[j])
        weight[first : first + len(values)] = torch.randn(width) * 0.08 + waves @ mix
    return weight
