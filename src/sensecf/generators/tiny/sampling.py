"""Masked sampling of edit lists from the embedded model: what comes to its end is feasible by construction."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sensecf.core.query import Query, by_pattern
from sensecf.core.rules import Bools, Floats, Follow
from sensecf.core.task import Ints, Task
from sensecf.core.verify import feasible
from sensecf.generators.tiny.tinylm import END, Cache, TinyLM, Vocabulary

#: Scores computed at a time, in numbers: 1 MiB in single precision.
CACHED = 2**18
#: Tokens whose weights are summed before one of them is drawn.
BLOCK = 64


class Draws(NamedTuple):
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
    budgets: Ints,
    greedy: Bools,
    rng: np.random.Generator,
    *,
    temperature: float = 1.0,
    keep_masks: bool = False,
) -> Draws:
    """An edit list per query and entry of `budgets` (k,), the most changes it may make.

    `greedy` (k,): lists of the likeliest tokens; the others are drawn at `temperature`. Each step's mask
    leaves only edits after which the row is still feasible (locks, ranges, directions, budget, rules, no
    feature twice), and the end only where every rule holds. Lists of one query that have said the same
    so far are asked about once.
    """
    (n, d), k = query.rows.shape, len(budgets)
    if not n:
        return Draws(np.empty((0, k, 1), np.intp), np.empty((0, k, d)), np.empty((0, k), bool), None)
    conditions, features = vocabulary.prompt(query, state)
    prompt = model.read(torch.from_numpy(conditions), torch.from_numpy(features), torch.from_numpy(query.movable))
    guard = TokenMask(vocabulary, task, query)
    out, ended = np.empty((n * k, d)), np.zeros(n * k, dtype=bool)
    written: list[Ints] = []
    masks: list[Tensor] = []
    # Lists that go on, and the beginning that each of them has come to: owner, budget, row, what it has named.
    going = np.arange(n * k)
    most = np.minimum(np.minimum(query.max_changes[:, None], budgets), d)
    kinds, own = np.unique(np.arange(n)[:, None] * (d + 1) + most, return_inverse=True)
    own = own.reshape(-1)
    owner, budget = np.divmod(kinds, d + 1)
    rows, edited = query.rows[owner], np.zeros((len(owner), d), dtype=bool)
    token, past = vocabulary.begin(budget), model.nothing(len(owner))
    for step in range(model.longest + 1):
        allowed = guard.allowed(owner, rows, edited, budget, last=step == model.longest)
        stuck: Bools = ~np.asarray(allowed.any(axis=1))
        allowed[stuck, END] = True
        chosen = np.full(len(going), END)
        point = rng.random(len(going))
        more = np.flatnonzero(allowed[:, END + 1 :].any(axis=1))  # the others need no model to end
        place = np.full(len(owner), -1)
        place[more] = np.arange(len(more))
        if len(more):
            states, past = model.extend(torch.from_numpy(token[more]), owner[more], prompt, _take(past, more))
            asked = np.flatnonzero(place[own] >= 0)
            which = place[own[asked]]
            best = greedy[going[asked] % k]
            chosen[asked] = _draw(model, states, allowed, more, which, best, temperature, point[asked])
        tokens = np.full(n * k, END)
        tokens[going] = chosen
        written.append(tokens)
        if keep_masks:
            whole = np.zeros((n * k, vocabulary.size), dtype=bool)
            whole[:, END] = True
            whole[going] = allowed[own]
            masks.append(torch.from_numpy(whole).view(n, k, -1))
        over = chosen == END
        out[going[over]], ended[going[over]] = rows[own[over]], ~stuck[own[over]]
        going = going[~over]
        if not len(going):
            break
        following, own = np.unique(own[~over] * vocabulary.size + chosen[~over], return_inverse=True)
        parent, token = np.divmod(following, vocabulary.size)
        past = _take(past, place[parent])
        owner, budget = owner[parent], budget[parent]
        rows, edited = guard.edit(owner, rows[parent], token), edited[parent]
        edited[np.arange(len(parent)), vocabulary.feature[token]] = True
    return Draws(
        np.stack(written, axis=1).reshape(n, k, -1),
        out.reshape(n, k, d),
        ended.reshape(n, k),
        torch.stack(masks, 2) if keep_masks else None,
    )


def _take(cache: Cache, kept: Ints) -> Cache:
    """The entries of a cache that belong to some of its lists."""
    at = torch.from_numpy(kept)
    return [(key.index_select(0, at), value.index_select(0, at)) for key, value in cache]


def _draw(
    model: TinyLM,
    states: Tensor,
    allowed: Bools,
    nodes: Ints,
    which: Ints,
    greedy: Bools,
    temperature: float,
    point: Floats,
) -> Ints:
    """A token per list (l,) after the state (m, width) of its beginning `which` (l,), among those that
    `allowed[nodes]` (m, size) leaves.

    The best where `greedy`, else drawn from the softmax by `point` (l,) in [0, 1).
    """
    chosen = np.empty(len(which), dtype=np.intp)
    size = allowed.shape[1]
    # So many beginnings at a time that their scores stay in the processor's cache.
    step = max(CACHED // size, 1)
    for begin in range(0, len(states), step):
        part = slice(begin, begin + step)
        scores = model.logits(states[part]).masked_fill_(torch.from_numpy(~allowed[nodes[part]]), -torch.inf)
        lists = np.flatnonzero((which >= begin) & (which < begin + step))
        best, drawn = lists[greedy[lists]], lists[~greedy[lists]]
        if len(best):
            chosen[best] = scores.numpy()[which[best] - begin].argmax(axis=1)
        if len(drawn):
            weight = scores.div_(temperature).softmax(-1).numpy()
            chosen[drawn] = _pick(weight, which[drawn] - begin, point[drawn])
    return chosen


def _pick(weight: Floats, row: Ints, point: Floats) -> Ints:
    """The token of each list (l,) at which the weights (m, size) of its `row` (l,), summed up, pass the share
    `point` (l,) of their total."""
    size = weight.shape[1]
    # First the block that the point falls into, then the token in it: lists share the sums of their row.
    starts = np.arange(0, size, BLOCK)
    heap = np.add.reduceat(weight, starts, axis=1).cumsum(axis=1, dtype=float)
    # Strictly below the total, here and in the block: a token of weight 0 is never hit.
    below = point * heap[row, -1] * (1 - 1e-9)
    block = np.minimum((heap[row] <= below[:, None]).sum(axis=1), len(starts) - 1)
    below -= np.where(block > 0, heap[row, block - 1], 0.0)
    column = starts[block][:, None] + np.arange(BLOCK)
    inside = np.where(column < size, weight[row[:, None], np.minimum(column, size - 1)], 0.0)
    inside = inside.cumsum(axis=1, dtype=float)
    below = np.minimum(below, inside[:, -1] * (1 - 1e-9))
    chosen: Ints = starts[block] + (inside <= below[:, None]).sum(axis=1)
    return chosen


def replay(
    vocabulary: Vocabulary, task: Task, query: Query, tokens: Ints, longest: int
) -> tuple[Tensor, Floats, Bools]:
    """What was allowed at each step of given lists (n, t): masks (n, t, size), the rows they lead to,
    and whether every token of a list was allowed."""
    guard = TokenMask(vocabulary, task, query)
    n, length = tokens.shape
    owner, rows = np.arange(n), query.rows.copy()
    edited = np.zeros((n, rows.shape[1]), dtype=bool)
    fine, done = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    masks = np.zeros((n, length, vocabulary.size), dtype=bool)
    for step in range(length):
        masks[:, step] = guard.allowed(owner, rows, edited, query.max_changes, last=step == longest)
        fine &= done | masks[owner, step, tokens[:, step]]
        done |= tokens[:, step] == END
        masks[done, step, END] = True
        going = np.flatnonzero(~done)
        rows[going] = guard.edit(going, rows[going], tokens[going, step])
        edited[going, vocabulary.feature[tokens[going, step]]] = True
    return torch.from_numpy(masks), rows, fine


class TokenMask:
    """The mask: which tokens may come next, given the rows as edited so far."""

    def __init__(self, vocabulary: Vocabulary, task: Task, query: Query) -> None:
        self.vocabulary, self.task, self.query = vocabulary, task, query
        self.rules = task.codec.rules
        feature, value = vocabulary.feature, vocabulary.value
        # What the limits alone allow is the same at every step.
        with np.errstate(invalid="ignore"):
            base = query.rows[:, feature]
            static = query.movable[:, feature] & (np.abs(value - base) > task.codec.step[feature] / 2)
            static &= np.abs(value - base) >= task.codec.least[feature] - 1e-9
            static &= (value >= query.low[:, feature] - 1e-9) & (value <= query.high[:, feature] + 1e-9)
        for j in range(len(vocabulary.values)):
            static[:, vocabulary.first[j] : vocabulary.first[j + 1]] &= ~task.codec.unmeasured_in(
                j, vocabulary.values[j]
            )
        static[:, END] = False
        self._static = static
        # How many tokens stand for each feature; the end token goes with the first.
        self._tokens = np.diff(vocabulary.first) + (np.arange(len(vocabulary.values)) == 0)
        self._constrained = np.flatnonzero((self.rules.matrix != 0).any(axis=0))
        self._implied = sorted({t.column for _, when, then in self.rules.implications for t in (when, then)})

    def allowed(self, owner: Ints, rows: Floats, edited: Bools, budget: Ints, last: bool) -> Bools:
        """Mask over tokens (n, size) for rows that answer the queries `owner`; with `last`, only the end.

        `edited` (n, d): features named already; `budget` (n,): the most changes each may make.
        """
        vocabulary, query, codec = self.vocabulary, self.query, self.task.codec
        changed = codec.changed(query.rows[owner], rows) & ~query.follows[owner]
        room = budget - changed.sum(axis=1)
        ends = changed.any(axis=1) & (room >= 0) & feasible(self.task, query, owner, rows)
        open_features = np.zeros(rows.shape, dtype=bool)
        patterns = [] if last else list(by_pattern(self.task, query, owner))
        for at, follow in patterns:
            dear = self._price(follow, changed[at]) > room[at, None]
            open_features[at] = ~edited[at] & follow.editable & ~dear
        # Bytes are copied feature by feature: looking each token's feature up takes five times as long.
        mask: Bools = np.repeat(open_features, self._tokens, axis=1)
        mask &= self._static[owner]
        mask[:, END] = ends
        if len(self._constrained):
            for at, follow in patterns:
                self._restrict(mask, at, owner, rows, follow)
        for j in self._implied:
            first, last_token = vocabulary.first[j], vocabulary.first[j + 1]
            mask[:, first:last_token] &= ~self.rules.forbidden(rows, j, vocabulary.values[j])
        return mask

    def _price(self, follow: Follow, changed: Bools) -> Ints:
        """How many more features count as changed when one is edited, shape (n, d)."""
        price = (~changed).astype(np.intp)
        for f in follow.follower:
            if follow.towed[f]:
                continue
            price += (np.abs(follow.response[f]) > 0) & ~changed[:, [f]]
        return price

    def _restrict(self, mask: Bools, at: Ints, owner: Ints, rows: Floats, follow: Follow) -> None:
        query, vocabulary = self.query, self.vocabulary
        low, high = query.low[owner[at]], query.high[owner[at]]
        low, high = self.rules.intervals(rows[at], low, high, follow)
        for j in self._constrained:
            first, last = vocabulary.first[j], vocabulary.first[j + 1]
            values = vocabulary.values[j]
            with np.errstate(invalid="ignore"):
                inside = (values >= low[:, [j]] - 1e-9) & (values <= high[:, [j]] + 1e-9)
            mask[at, first:last] &= inside

    def edit(self, owner: Ints, rows: Floats, tokens: Ints) -> Floats:
        """Rows with one more edit each, followers moved along."""
        vocabulary, codec = self.vocabulary, self.task.codec
        out = rows.copy()
        out[np.arange(len(rows)), vocabulary.feature[tokens]] = vocabulary.value[tokens]
        for at, follow in by_pattern(self.task, self.query, owner):
            out[at] = codec.rules.settle(self.query.rows[owner[at]], out[at], follow, codec.step)
        return out
