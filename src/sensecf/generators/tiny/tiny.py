"""`tiny`: the embedded model, trained from scratch on the task at hand."""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from sensecf.core.candidates import Candidates
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json
from sensecf.core.kept import read_bytes, read_record
from sensecf.core.plausibility import Plausibility
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task, lead
from sensecf.core.verify import cost
from sensecf.core.version import __version__
from sensecf.generators.tiny.pairs import draw_queries, teach
from sensecf.generators.tiny.sampling import TokenMask, replay, sample
from sensecf.generators.tiny.tinylm import END, MARGINS, Shape, TinyLM, Vocabulary
from sensecf.generators.traits import Traits

#: Queries sampled together, which bounds memory.
SAMPLED = 128
#: Budgets under which each query is asked; the last is no limit.
BUDGETS = np.array([1, 2, 4, np.iinfo(np.intp).max])
#: Largest file of a trained model, in bytes; ours have about one million.
LARGEST = 2**28
#: The lead the model is asked for when it answers unchecked.
ALONE = 0.2


@dataclass(frozen=True)
class Recipe:
    """How the embedded model is trained; the defaults fit in about a minute on two cores.

    >>> sensecf.generators.Recipe(pairs=500, epochs=2).pairs
    500
    """

    shape: Shape = field(default_factory=Shape)
    longest: int = 6
    pairs: int = 6000
    epochs: int = 7
    batch: int = 256
    rate: float = 3e-3
    rounds: int = 54
    round_queries: int = 192
    round_samples: int = 8
    round_rate: float = 1e-3
    samples: int = 36
    temperature: float = 1.5


@dataclass(frozen=True)
class Lessons:
    """What the embedded model learns from instead of the task that it is asked about: a task with the same features.

    `name`: what tells these lessons from others; `task()` makes them, where no model of that name is kept.
    """

    name: str
    task: Callable[[], Task]


class Record(TypedDict):
    """`tiny.json`: what a kept model was made for, and the hash of its weights."""

    fingerprint: str
    history: dict[str, list[float]]
    sha256: str


Progress = Callable[[str, float], None]


class Tiny:
    """The embedded language model of a task; `Tiny(task)` trains it or takes it from the cache.

    Phase 1, pairs: the teacher search answers queries drawn from the training rows, and the model
    learns its answers. Phase 2, verdicts: the model answers, the classifier and the critics
    judge, and better answers of a group become likelier than worse ones (a policy gradient with the
    group's mean as baseline, as in GRPO). Only training rows are seen.

    `seed` fixes the training; `plausibility` is the dial of `verify.cost` in the pairs and the
    reward; `cache`: a folder that holds trained models under `fingerprint`, read and written;
    `progress(phase, share)` is told how far the training is; `lessons`: what is learned from instead of `task`.

    >>> tiny = sensecf.generators.Tiny(task)  # doctest: +SKIP
    >>> sensecf.explain(task, tiny, people, target="low")  # doctest: +SKIP
    """

    name = "tiny"
    traits = Traits(
        concurrent=True, greedy=True, saves=True, takes=("recipe", "plausibility", "cache", "progress", "lessons")
    )

    def __init__(
        self,
        task: Task,
        seed: int = 0,
        *,
        recipe: Recipe = Recipe(),
        plausibility: float = 1.0,
        cache: str | Path | None = None,
        progress: Progress | None = None,
        lessons: Lessons | None = None,
    ) -> None:
        self.task, self.recipe, self.plausibility = task, recipe, plausibility
        self.fingerprint = fingerprint(task, seed, recipe, plausibility, "" if lessons is None else lessons.name)
        self.history: dict[str, list[float]] = {}
        self._say = progress or (lambda phase, share: None)
        home = None if cache is None else Path(cache) / self.fingerprint
        if home is not None and self._read(home):
            return
        self.task = task if lessons is None else lessons.task()
        self.vocabulary = Vocabulary.of(self.task)
        # One thread: the matrices are small, and two threads that wait for each other lose.
        with single_thread():
            torch.manual_seed(seed)
            self.model = TinyLM(self.vocabulary, recipe.shape, min(recipe.longest, len(task.schema)))
            self._fit(np.random.default_rng([seed, 1]))
        self.task = task
        if home is not None:
            self.save(home)

    def __getstate__(self) -> dict[str, Any]:
        # Who is told of the training (a progress bar) stays here: a copy in another process trains no more.
        return {name: value for name, value in vars(self).items() if name != "_say"}

    def save(self, directory: str | Path) -> None:
        """Write `model.safetensors` and `tiny.json` (fingerprint, recipe, history), each whole or not at all."""
        directory = Path(directory)
        tensors = dict(self.model.state_dict())
        for j, values in enumerate(self.vocabulary.values):
            tensors[f"vocabulary.{j}"] = torch.from_numpy(values)
        with replacing(directory / "model.safetensors") as path:
            save_file(tensors, path)
            written = hashlib.sha256(path.read_bytes()).hexdigest()
        record = {
            "fingerprint": self.fingerprint,
            "recipe": asdict(self.recipe),
            "history": self.history,
            "sha256": written,
        }
        write_json(directory / "tiny.json", record)

    def _read(self, directory: Path) -> bool:
        """Take the model in `directory` if it is whole and made for this task, seed and recipe."""
        try:
            record = read_record(directory / "tiny.json", Record)
            content = read_bytes(directory / "model.safetensors", LARGEST)
            if record["fingerprint"] != self.fingerprint or record["sha256"] != hashlib.sha256(content).hexdigest():
                return False
            tensors = load(content)
        except (InputError, ValueError, SafetensorError):
            return False  # absent or damaged: it is trained again
        names = [f"vocabulary.{j}" for j in range(len(self.task.schema))]
        if not set(names) <= set(tensors):
            return False
        values = [tensors.pop(name).numpy() for name in names]
        self.vocabulary = Vocabulary(self.task.codec, values, len(self.task.classes))
        self.model = TinyLM(self.vocabulary, self.recipe.shape, min(self.recipe.longest, len(self.task.schema)))
        try:
            self.model.load_state_dict(tensors)
        except RuntimeError:  # tensors of another shape
            return False
        self.history = record["history"]
        return True

    @classmethod
    def kept(cls, directory: str | Path, task: Task) -> Tiny | None:
        """The model in a folder, whatever it was trained on, asked about a task with the same features; None where
        there is none, or it is damaged."""
        directory = Path(directory)
        try:
            told = read_record(directory / "tiny.json", dict[str, Any])
            shape = Shape(**told["recipe"].pop("shape"))
            recipe, found = Recipe(shape, **told["recipe"]), str(told["fingerprint"])
        except (InputError, KeyError, TypeError, AttributeError):
            return None
        made = cls.__new__(cls)
        made.task, made.recipe, made.plausibility, made.fingerprint = task, recipe, 1.0, found
        made._say = lambda phase, share: None
        return made if made._read(directory) else None

    # --- asking ---------------------------------------------------------------------------

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """`recipe.samples` edit lists per query, duplicates dropped; feasible by construction.

        A quarter each is asked for at most 1, 2 and 4 changes, and what the query allows: the
        model knows short answers that it would rarely give when it may be long.
        """
        recipe = self.recipe
        n, d = len(query), len(self.task.schema)
        each = max(recipe.samples // len(BUDGETS), 1)
        budgets, greedy = np.repeat(BUDGETS, each), np.arange(each * len(BUDGETS)) % each == 0
        owners, proposals = [np.empty(0, np.intp)], [np.empty((0, d))]
        with single_thread():
            state = self._state(query)
            for begin in range(0, n, SAMPLED):
                at = np.arange(begin, min(begin + SAMPLED, n))
                answers = sample(
                    self.model,
                    self.vocabulary,
                    self.task,
                    query.take(at),
                    state[at],
                    budgets,
                    greedy,
                    rng,
                    temperature=recipe.temperature,
                )
                who, which = np.nonzero(answers.ended)
                owners.append(at[who])
                proposals.append(answers.rows[who, which])
        owner, rows = np.concatenate(owners), np.concatenate(proposals)
        key = np.column_stack([owner, np.where(np.isnan(rows), -np.inf, rows)])
        first = np.unique(key, axis=0, return_index=True)[1]
        found = Candidates.of(owner[first], rows[first], self.name)
        left = np.setdiff1d(np.arange(n), owner)
        reasons = ["the limits leave the model no edit that ends in a feasible row"] * len(left)
        return Candidates.concat([found, Candidates.of(left, np.full((len(left), d), np.nan), self.name, reasons)])

    def greedy(self, query: Query) -> Candidates:
        """The model alone: one answer per query by argmax, no verification, no polish.

        It is asked for a lead of at least `ALONE` (p >= 0.6 with two classes), since nobody
        checks what it says.
        """
        asked = replace(query, margin=np.maximum(query.margin, ALONE))
        with single_thread():
            answers = sample(
                self.model,
                self.vocabulary,
                self.task,
                asked,
                self._state(query),
                BUDGETS[-1:],
                np.array([True]),
                np.random.default_rng(0),
            )
        reason = np.where(answers.ended[:, 0], "", "the list came to no feasible end")
        rows = np.where(answers.ended, answers.rows[:, 0], np.nan)
        return Candidates.of(np.arange(len(query)), rows, self.name, reason.tolist())

    def _state(self, query: Query) -> Floats:
        """What the prompt says of the factuals, shape (q, 2): lead of the target, LOF score in the target class."""
        ahead = lead(self.task.judge(query.rows).proba, query.target)
        return np.column_stack([ahead, self.task.once(Plausibility).score(query.rows, query.target)])

    def likelihood(self, query: Query, rows: Floats) -> Floats:
        """How sure the model is of `rows` (n, d), one for each query, shape (n,): the mean log-probability of the
        tokens of each; NaN for rows that it cannot say."""
        out = np.full(len(query), np.nan)
        tokens, kept = self._lists(query, rows)
        state = self._state(query)
        with single_thread(), torch.no_grad():
            for begin in range(0, len(kept), SAMPLED):
                at = kept[begin : begin + SAMPLED]
                lists = tokens[at, : int((tokens[at] != END).sum(axis=1).max()) + 1]
                masks, _, _ = replay(self.vocabulary, self.task, query.take(at), lists, self.model.longest)
                chosen = self._log_likelihood(query.take(at), state[at], lists[:, None], masks[:, None])[:, 0]
                out[at] = chosen.sum(dim=1).numpy() / ((lists != END).sum(axis=1) + 1)
        return out

    def taught(self, query: Query, rows: Floats, epochs: int, seed: int = 0) -> Tiny:
        """A copy that has learned these answers too, `rows` (n, d) to the queries, so often each."""
        other = copy.copy(self)
        other.model, other.history = copy.deepcopy(self.model), {}
        other._say = lambda phase, share: None
        other.recipe = replace(self.recipe, epochs=epochs, batch=max(len(rows), 1))
        tokens, kept = other._lists(query, rows)
        if len(kept):
            with single_thread():
                other._supervise(query.take(kept), tokens[kept], np.random.default_rng(seed))
        return other

    # --- learning -------------------------------------------------------------------------

    def _fit(self, rng: np.random.Generator) -> None:
        recipe = self.recipe
        # The teacher's work grows with the width of the table; its total is held about constant.
        count = min(recipe.pairs, recipe.pairs * 60 // len(self.task.schema))
        query = draw_queries(self.task, count, rng, MARGINS)
        owner, rows = teach(self.task, query, rng, self.plausibility, lambda share: self._say("search", share))
        taught = query.take(owner)
        tokens, kept = self._lists(taught, rows)
        if len(kept):  # else there is nothing to learn from, and nothing to ask for later
            self._supervise(taught.take(kept), tokens[kept], rng)
            self._reward(query, rng)

    def _lists(self, query: Query, rows: Floats) -> tuple[Ints, Ints]:
        """Rows as edit lists (n, longest + 1), the largest edits first as far as the rules allow the order,
        and the positions of those that are still valid with values of the vocabulary."""
        task, vocabulary = self.task, self.vocabulary
        n, length = len(query), self.model.longest
        wanted = np.where(np.isnan(rows), END, vocabulary.outward(query.rows, rows))
        size = task.once(Scale).parts(query.rows, rows)
        size[~task.codec.changed(query.rows, rows)] = 0.0
        order = np.argsort(-size, axis=1, kind="stable")
        tokens = np.zeros((n, length + 1), dtype=np.intp)
        guard = TokenMask(vocabulary, task, query)
        state, edited = query.rows.copy(), np.zeros(size.shape, dtype=bool)
        at = np.arange(n)
        for step in range(length):
            allowed = guard.allowed(at, state, edited, query.max_changes, last=False)
            # Followers need no token: they have moved already when their turn comes.
            open_edit = np.take_along_axis(allowed, wanted, axis=1) & (size > 0)
            ranked = np.take_along_axis(open_edit, order, axis=1)
            going = np.flatnonzero(ranked.any(axis=1))
            if not len(going):
                break
            feature = order[going, ranked[going].argmax(axis=1)]
            tokens[going, step] = wanted[going, feature]
            state[going] = guard.edit(going, state[going], tokens[going, step])
            edited[going, feature] = True
        _, final, fine = replay(vocabulary, task, query, tokens, length)
        valid = task.valid(task.judge(final), query.target, query.margin)
        return tokens, np.flatnonzero(fine & valid & (tokens[:, 0] != END))

    def _supervise(self, query: Query, tokens: Ints, rng: np.random.Generator) -> None:
        recipe = self.recipe
        state = self._state(query)
        steps = recipe.epochs * -(-len(tokens) // recipe.batch)
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=recipe.rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=steps, pct_start=0.15)
        done = 0
        losses: list[float] = []
        for _ in range(recipe.epochs):
            order = rng.permutation(len(tokens))
            for begin in range(0, len(order), recipe.batch):
                at = order[begin : begin + recipe.batch]
                part, lists = query.take(at), tokens[at, : int((tokens[at] != END).sum(axis=1).max()) + 1]
                masks, _, _ = replay(self.vocabulary, self.task, part, lists, self.model.longest)
                chosen = self._log_likelihood(part, state[at], lists[:, None], masks[:, None])
                loss = -chosen.sum() / (lists != END).sum()
                self._step(optimiser, loss)
                schedule.step()
                done += 1
                losses.append(round(loss.item(), 4))
                self._say("pairs", done / steps)
        self.history["loss"] = losses

    def _reward(self, pool: Query, rng: np.random.Generator) -> None:
        recipe, task = self.recipe, self.task
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=recipe.round_rate, weight_decay=0.0)
        state = self._state(pool)
        rewards, valid = [], []
        for number in range(recipe.rounds):
            for group in optimiser.param_groups:
                group["lr"] = recipe.round_rate * min(1.0, (number + 1) / 4) * (1.0 - 0.8 * number / recipe.rounds)
            at = rng.choice(len(pool), min(recipe.round_queries, len(pool)), replace=False)
            query, k = pool.take(at), recipe.round_samples
            answers = sample(
                self.model,
                self.vocabulary,
                task,
                query,
                state[at],
                np.full(k, BUDGETS[-1]),
                np.zeros(k, bool),
                rng,
                keep_masks=True,
            )
            gain = self._judge(query, answers.rows, answers.ended)
            rewards.append(round(float(gain.mean()), 4))
            valid.append(round(float((gain > -INVALID).mean()), 4))
            advantage = gain - gain.mean(axis=1, keepdims=True)
            advantage /= gain.std(axis=1, keepdims=True) + 0.5
            assert answers.masks is not None
            weight = torch.from_numpy(advantage.astype(np.float32))
            with torch.enable_grad():
                chosen = self._log_likelihood(query, state[at], answers.tokens, answers.masks)
                loss = -(weight[..., None] * chosen).sum() / chosen.shape[0] / k
            self._step(optimiser, loss)
            self._say("verdicts", (number + 1) / recipe.rounds)
        self.history |= {"reward": rewards, "valid": valid}

    def _judge(self, query: Query, rows: Floats, ended: Bools) -> Floats:
        """The reward of answers (q, k): minus the price of a good one, minus `INVALID` of any other."""
        n, k, d = rows.shape
        owner, flat = np.repeat(np.arange(n), k), rows.reshape(-1, d)
        good = ended.reshape(-1).copy()
        judged = np.flatnonzero(good)
        good[judged] = self.task.valid(
            self.task.judge(flat[judged]), query.target[owner[judged]], query.margin[owner[judged]]
        )
        gain = np.full(n * k, -INVALID)
        price = cost(self.task, query, owner[good], flat[good], self.plausibility)
        gain[good] = -np.minimum(price, 0.8 * INVALID)
        return gain.reshape(n, k)

    def _log_likelihood(self, query: Query, state: Floats, tokens: Ints, masks: Tensor) -> Tensor:
        """Log-probability of each token of the lists (q, k, t), 0 after the end."""
        conditions, features = self.vocabulary.prompt(query, state)
        cache = self.model.read(
            torch.from_numpy(conditions), torch.from_numpy(features), torch.from_numpy(query.movable)
        )
        wanted = torch.from_numpy(tokens)
        first = torch.from_numpy(self.vocabulary.begin(query.max_changes))[:, None, None]
        given = torch.cat([first.expand_as(wanted[..., :1]), wanted[..., :-1]], -1)
        log = self.model.logits(self.model.write(given, cache)).masked_fill(~masks, -torch.inf).log_softmax(-1)
        chosen = log.gather(-1, wanted[..., None]).squeeze(-1)
        over = (given == END).cummax(-1).values
        return chosen.masked_fill(over, 0.0)

    def _step(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        optimiser.step()


#: Threads inside `single_thread`, and how many PyTorch used before the first of them came.
_inside, _before, _counting = 0, 1, threading.Lock()


@contextmanager
def single_thread() -> Iterator[None]:
    """PyTorch on one thread inside the block, in whatever thread it runs."""
    global _inside, _before
    with _counting:
        if not _inside:
            _before = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _counting:
            _inside -= 1
            torch.set_num_threads(_before)


def fingerprint(task: Task, seed: int, recipe: Recipe, plausibility: float, lessons: str = "") -> str:
    """A name for everything a trained model depends on: schema, training rows, the classifier's
    answers on them, seed, recipe, dial, the name of other lessons and the version of this package."""
    digest = hashlib.sha256()
    named = (lessons,) if lessons else ()
    for part in (__version__, task.schema.to_toml(), task.classes, seed, asdict(recipe), plausibility, *named):
        digest.update(repr(part).encode())
    sample_rows = task.rows[np.linspace(0, len(task.rows) - 1, min(len(task.rows), 2000)).astype(int)]
    for array in (task.rows, task.y, task.judge(sample_rows).proba.round(6)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


#: Reward of an answer that is not valid, in changed features: worse than any valid one.
INVALID = 15.0
