"""The embedded model: a small decoder-only transformer that answers a row with a list of edits.

Everything is here: the vocabulary made from a schema, the network, and masked batched sampling with
a key-value cache. Training is in `generators.tiny`.

One token is one (feature, value) pair, so an answer is a list of value tokens and an end token:
"deep sleep 65 min, steps 8,000, end". The prompt holds the query's conditions and one token per
feature of the factual; prompt tokens see each other both ways, answer tokens see the prompt and what
stands before them. The K answers of one query share the prompt's keys and values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sensecf.codec import Codec
from sensecf.query import Query, by_pattern
from sensecf.rules import Bools, Floats, Follow
from sensecf.task import Ints, Task
from sensecf.verify import feasible

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
        self.start = self._score + len(SCORES) + 1
        self.prompt_size = self.start + 1

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
        """Condition tokens (q, 5) and feature tokens (q, d); `state` (q, 2): lead and LOF score of the factual."""
        conditions = np.stack(
            [
                self._target + query.target,
                self._budget + np.clip(query.max_changes, 1, MAX_BUDGET) - 1,
                self._margin + np.searchsorted(MARGINS, query.margin - 1e-9).clip(0, len(MARGINS) - 1),
                self._lead + np.searchsorted(LEADS, state[:, 0]),
                self._score + np.searchsorted(SCORES, state[:, 1]),
            ],
            axis=1,
        )
        return conditions, self.nearest(query.rows)


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

    def read(self, conditions: Tensor, features: Tensor, movable: Tensor) -> list[tuple[Tensor, Tensor]]:
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

    def write(
        self, tokens: Tensor, prompt: list[tuple[Tensor, Tensor]], past: list[tuple[Tensor, Tensor]] | None = None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """States (q, k, t, width) after each of `tokens` (q, k, t), and the cache with them in."""
        begin = 0 if past is None else past[0][0].shape[3]
        x = self.embed(tokens) + self.position[begin : begin + tokens.shape[2]]
        cache = []
        for number, block in enumerate(self.blocks):
            x, own = cast(Block, block).write(x, prompt[number], None if past is None else past[number])
            cache.append(own)
        return x, cache

    def logits(self, states: Tensor) -> Tensor:
        """Logits (..., size) of the next token after states (..., width)."""
        return self.norm(states) @ self.embed.weight[: self.answer_size].T + self.bias


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

    def read(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        q, k, v = self._split(x)
        return self._finish(x, F.scaled_dot_product_attention(q, k, v)), (k, v)

    def write(
        self, x: Tensor, prompt: tuple[Tensor, Tensor], past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        q, k, v = self._split(x)  # (q, h, k, t, w/h)
        if past is not None:
            k, v = torch.cat([past[0], k], 3), torch.cat([past[1], v], 3)
        scale = q.shape[-1] ** -0.5
        n, h, answers, t, w = q.shape
        seen = q.shape[3], k.shape[3]
        p = prompt[0].shape[2]
        to_prompt = (q.reshape(n, h, answers * t, w) @ prompt[0].transpose(-1, -2)).view(n, h, answers, t, p)
        to_own = q @ k.transpose(-1, -2)
        if t > 1:
            later = torch.ones(seen, dtype=torch.bool).triu(seen[1] - seen[0] + 1)
            to_own = to_own.masked_fill(later, -torch.inf)
        weight = (torch.cat([to_prompt, to_own], -1) * scale).softmax(-1)
        attended = (weight[..., :p].reshape(n, h, answers * t, p) @ prompt[1]).view(n, h, answers, t, w)
        return self._finish(x, attended + weight[..., p:] @ v), (k, v)


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


class Answers(NamedTuple):
    """Sampled edit lists: `tokens` (q, k, t), 0 from the end on; `rows` (q, k, d); `ended` (q, k): a
    list that came to a feasible end; `masks`: what was allowed at each step (q, k, t, size)."""

    tokens: Ints
    rows: Floats
    ended: Bools
    masks: Tensor | None


@torch.inference_mode()
def sample(
    model: TinyLM,
    vocabulary: Vocabulary,
    task: Task,
    query: Query,
    state: Floats,
    k: int,
    rng: np.random.Generator,
    *,
    temperature: float = 1.0,
    greedy: int = 1,
    keep_masks: bool = False,
) -> Answers:
    """`k` edit lists per query, the first `greedy` of them by argmax, the others sampled.

    Each step's mask leaves only edits after which the row is still feasible (locks, ranges,
    directions, budget, rules, no feature twice), and the end only where every rule holds: what
    comes to its end is feasible by construction.
    """
    n, d = len(query), len(task.schema)
    if not n:
        return Answers(np.empty((0, k, 1), np.intp), np.empty((0, k, d)), np.empty((0, k), bool), None)
    conditions, features = vocabulary.prompt(query, state)
    prompt = model.read(torch.from_numpy(conditions), torch.from_numpy(features), torch.from_numpy(query.movable))
    guard = Guard(vocabulary, task, query)
    owner = np.repeat(np.arange(n), k)
    rows = query.rows[owner].copy()
    edited = np.zeros((n * k, d), dtype=bool)
    ended = np.zeros(n * k, dtype=bool)
    fixed = np.tile(np.arange(k) < greedy, n)
    going = np.arange(n * k)  # the lists that are not at their end yet
    asked = np.arange(n)  # the queries that the cache holds
    tokens = np.full((n, k), vocabulary.start)
    past: list[tuple[Tensor, Tensor]] | None = None
    written, masks = [], []
    for step in range(model.longest + 1):
        if step == 0:  # the lists of a query are one until the first token is drawn
            allowed = np.repeat(guard.allowed(np.arange(n), query.rows, edited[::k], last=False), k, axis=0)
        else:
            allowed = guard.allowed(owner[going], rows[going], edited[going], last=step == model.longest)
        stuck = ~allowed.any(axis=1)
        allowed[stuck, END] = True
        if keep_masks:
            whole = np.zeros((n * k, vocabulary.size), dtype=bool)
            whole[:, END] = True
            whole[going] = allowed
            masks.append(torch.from_numpy(whole).view(n, k, -1))
        point = np.zeros(len(going))
        point[~fixed[going]] = rng.random(int((~fixed[going]).sum()))
        chosen = np.full(len(going), END)
        open_lists = np.flatnonzero(allowed[:, END + 1 :].any(axis=1))  # the others need no model to end
        if len(open_lists):
            alive = np.unique(going[open_lists] // k)
            if len(alive) < 0.8 * len(asked):  # queries whose lists are all at their end leave the cache
                kept = torch.from_numpy(np.searchsorted(asked, alive))
                prompt, past = _take(prompt, kept), None if past is None else _take(past, kept)
                asked = alive
            width = 1 if step == 0 else k
            states, past = model.write(torch.from_numpy(tokens[asked, :width])[..., None], prompt, past)
            at = going[open_lists]
            place = np.searchsorted(asked, at // k) * width + at % width
            states = states.view(len(asked) * width, -1)
            which = torch.from_numpy(place)
            scores = model.logits(states)[which] if step == 0 else model.logits(states[which])
            scores = scores.masked_fill_(~torch.from_numpy(allowed[open_lists]), -torch.inf)
            chosen[open_lists] = _draw(scores, fixed[at], temperature, point[open_lists])
            if step == 0:
                past = [(key.expand(-1, -1, k, -1, -1), value.expand(-1, -1, k, -1, -1)) for key, value in past]
        tokens = np.full((n, k), END)
        tokens.reshape(-1)[going] = chosen
        written.append(tokens)
        ended[going] = (chosen == END) & ~stuck
        going, chosen = going[chosen != END], chosen[chosen != END]
        if not len(going):
            break
        rows[going] = guard.edit(owner[going], rows[going], chosen)
        edited[going, vocabulary.feature[chosen]] = True
    return Answers(
        np.stack(written, axis=2),
        rows.reshape(n, k, d),
        ended.reshape(n, k),
        torch.stack(masks, 2) if keep_masks else None,
    )


def _take(cache: list[tuple[Tensor, Tensor]], kept: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The entries of a cache that belong to some of its queries."""
    return [(key[kept], value[kept]) for key, value in cache]


def _draw(scores: Tensor, fixed: Bools, temperature: float, point: Floats) -> Ints:
    """One token per row: the best where `fixed`, else drawn from the softmax by `point` (n,) in [0, 1)."""
    best = scores.argmax(-1).numpy()
    free = np.flatnonzero(~fixed)
    if len(free):
        heap = (scores[free] / temperature).softmax(-1).cumsum(-1).numpy()
        # The point lies strictly below the total, so a token of probability 0 is never hit.
        below = point[free].astype(np.float32)[:, None] * heap[:, -1:] * np.float32(1 - 1e-6)
        best[free] = (heap <= below).sum(axis=1)
    chosen: Ints = best
    return chosen


def replay(
    vocabulary: Vocabulary, task: Task, query: Query, tokens: Ints, longest: int
) -> tuple[Tensor, Floats, Bools]:
    """What was allowed at each step of given lists (n, t): masks (n, t, size), the rows they lead to,
    and whether every token of a list was allowed."""
    guard = Guard(vocabulary, task, query)
    n, length = tokens.shape
    owner, rows = np.arange(n), query.rows.copy()
    edited = np.zeros((n, rows.shape[1]), dtype=bool)
    fine, done = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    masks = np.zeros((n, length, vocabulary.size), dtype=bool)
    for step in range(length):
        masks[:, step] = guard.allowed(owner, rows, edited, last=step == longest)
        fine &= done | masks[owner, step, tokens[:, step]]
        done |= tokens[:, step] == END
        masks[done, step, END] = True
        going = np.flatnonzero(~done)
        rows[going] = guard.edit(going, rows[going], tokens[going, step])
        edited[going, vocabulary.feature[tokens[going, step]]] = True
    return torch.from_numpy(masks), rows, fine


class Guard:
    """The mask: which tokens may come next, given the rows as edited so far."""

    def __init__(self, vocabulary: Vocabulary, task: Task, query: Query) -> None:
        self.vocabulary, self.task, self.query = vocabulary, task, query
        self.rules = task.codec.rules
        feature, value = vocabulary.feature, vocabulary.value
        # What the limits alone allow is the same at every step.
        with np.errstate(invalid="ignore"):
            base = query.rows[:, feature]
            static = query.movable[:, feature] & (np.abs(value - base) > task.codec.step[feature] / 2)
            static &= (value >= query.low[:, feature] - 1e-9) & (value <= query.high[:, feature] + 1e-9)
        static[:, END] = False
        self._static = static
        self._constrained = np.flatnonzero((self.rules.matrix != 0).any(axis=0))
        self._implied = sorted({t.column for _, when, then in self.rules.implications for t in (when, then)})

    def allowed(self, owner: Ints, rows: Floats, edited: Bools, last: bool) -> Bools:
        """Mask over tokens (n, size) for rows that answer the queries `owner`; with `last`, only the end."""
        vocabulary, query, codec = self.vocabulary, self.query, self.task.codec
        mask = np.zeros((len(owner), vocabulary.size), dtype=bool)
        changed = codec.changed(query.rows[owner], rows)
        mask[:, END] = changed.any(axis=1) & feasible(codec, query, owner, rows)
        if last:
            return mask
        room = query.max_changes[owner] - changed.sum(axis=1)
        for at, follow in by_pattern(self.task, query, owner):
            open_features = ~edited[at] & follow.editable & (self._price(follow, changed[at]) <= room[at, None])
            allowed = self._static[owner[at]] & open_features[:, vocabulary.feature]
            allowed[:, END] = mask[at, END]
            if len(self._constrained):
                self._restrict(allowed, at, owner, rows, follow)
            mask[at] = allowed
        for j in self._implied:
            first, last_token = vocabulary.first[j], vocabulary.first[j + 1]
            mask[:, first:last_token] &= ~self.rules.forbidden(rows, j, vocabulary.values[j])
        return mask

    def _price(self, follow: Follow, changed: Bools) -> Ints:
        """How many more features count as changed when one is edited, followers included, shape (n, d)."""
        price = (~changed).astype(np.intp)
        for f in follow.follower:
            price += (np.abs(follow.response[f]) > 0) & ~changed[:, [f]]
        return price

    def _restrict(self, allowed: Bools, at: Ints, owner: Ints, rows: Floats, follow: Follow) -> None:
        query, vocabulary = self.query, self.vocabulary
        low, high = query.low[owner[at]], query.high[owner[at]]
        low, high = self.rules.intervals(rows[at], low, high, follow)
        for j in self._constrained:
            first, last = vocabulary.first[j], vocabulary.first[j + 1]
            values = vocabulary.values[j]
            with np.errstate(invalid="ignore"):
                inside = (values >= low[:, [j]] - 1e-9) & (values <= high[:, [j]] + 1e-9)
            allowed[:, first:last] &= inside

    def edit(self, owner: Ints, rows: Floats, tokens: Ints) -> Floats:
        """Rows with one more edit each, followers moved along."""
        vocabulary, codec = self.vocabulary, self.task.codec
        out = rows.copy()
        out[np.arange(len(rows)), vocabulary.feature[tokens]] = vocabulary.value[tokens]
        for at, follow in by_pattern(self.task, self.query, owner):
            out[at] = codec.rules.settle(self.query.rows[owner[at]], out[at], follow, codec.step)
        return out
