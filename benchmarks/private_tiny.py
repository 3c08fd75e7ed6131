"""What privacy costs the embedded model: by noise on gradients, and by learning from rows of nobody.

    python benchmarks/private_tiny.py [--seeds 2]      needs opacus beside torch, for its accountant alone

Two tables, small recipes. `people`: the model as it is. `DP-SGD`: supervised on pairs of people's own rows, the
gradient of each person (all their pairs) clipped and noised (Abadi et al. 2016; people drawn by Poisson sampling, sigma
by opacus' accountant), no verdicts afterwards. It is favoured: the values that the model knows and the teacher's
answers are taken from people without any noise, which its promise does not cover. `nobody`: all of it, classifier,
pairs, verdicts and values, from rows of nobody (`runs/nobody.py`). `untrained`: random weights. Of up to 40 held-out
requests each: the share that the model's one greedy answer, and its best of many, turns as the true classifier says,
and the effort beside that of the search on the same requests. Kept in benchmarks/private_tiny.csv; a second call goes
on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import sensecf
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.data.cells import shared_cells
from sensecf.generators.tiny.pairs import teach
from sensecf.generators.tiny.tiny import Lessons, Recipe, Tiny
from sensecf.metrics import read
from sensecf.pipeline.explain import explain
from sensecf.runs.experiment import Experiment, Setup, experiment, prepared
from sensecf.runs.nobody import of_nobody

STORED = Path(__file__).with_suffix(".csv")
TABLES = ("simulated", "heart_disease_cleveland")
ASKED, EPSILONS, DELTA = 40, (8.0, 3.0), 1e-5
RECIPE = Recipe(pairs=1500, epochs=5, rounds=16, round_queries=96)
#: DP-SGD: share of the people in a step, steps, largest gradient of a person, rate, pairs of a person in a step.
SHARE, STEPS, CLIP, RATE, EACH = 0.25, 120, 1.0, 2e-3, 8


class ByPerson(Tiny):
    """The embedded model trained with noise on the sum of clipped gradients of people."""

    def __init__(self, task: Task, people: np.ndarray, epsilon: float, seed: int) -> None:
        self.people, self.epsilon = people, epsilon
        super().__init__(task, seed, recipe=RECIPE)

    def _fit(self, rng: np.random.Generator) -> None:
        from opacus.accountants.utils import get_noise_multiplier

        task = self.task
        query = Query.of_rows(task, task.rows, task.classes[0], Limits(hold=0.0, edit="mutable"))
        away = (task.judge(task.rows).predicted + 1) % len(task.classes)
        query = replace(query, target=away)
        owner, rows = teach(task, query, rng, self.plausibility)
        taught = query.take(owner)
        tokens, kept = self._lists(taught, rows)
        taught, tokens, whose = taught.take(kept), tokens[kept], self.people[owner[kept]]
        state = self._state(taught)
        everybody = np.unique(self.people)
        sigma = get_noise_multiplier(
            target_epsilon=self.epsilon, target_delta=DELTA, sample_rate=SHARE, steps=STEPS, accountant="rdp"
        )
        optimiser = torch.optim.Adam(self.model.parameters(), lr=RATE)
        noise = torch.Generator().manual_seed(int(rng.integers(2**31)))
        for _ in range(STEPS):
            total = [torch.zeros_like(p) for p in self.model.parameters()]
            for person in everybody[rng.random(len(everybody)) < SHARE]:
                own = np.flatnonzero(whose == person)
                if not len(own):
                    continue
                at = rng.permutation(own)[:EACH]
                self.model.zero_grad()
                self._loss(taught.take(at), tokens[at], state[at]).backward()
                grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.model.parameters()]
                norm = torch.sqrt(sum((g**2).sum() for g in grads))
                for sums, grad in zip(total, grads, strict=True):
                    sums += grad * min(1.0, CLIP / (float(norm) + 1e-9))
            for p, sums in zip(self.model.parameters(), total, strict=True):
                p.grad = (sums + sigma * CLIP * torch.randn(sums.shape, generator=noise)) / (SHARE * len(everybody))
            optimiser.step()

    def _loss(self, query: Query, tokens: np.ndarray, state: np.ndarray) -> torch.Tensor:
        from sensecf.generators.tiny.sampling import replay

        masks, _, _ = replay(self.vocabulary, self.task, query, tokens, self.model.longest)
        chosen = self._log_likelihood(query, state, tokens[:, None], masks[:, None])
        return -chosen.sum() / len(tokens)


class Untrained(Tiny):
    """Random weights."""

    def _fit(self, rng: np.random.Generator) -> None:
        pass


def arms(made: Experiment, seed: int) -> dict[str, object]:
    """The model of each arm, made when asked for."""
    task, table = made.task, made.table
    person = table.schema.person
    people = np.arange(len(table.train)) if person is None else pd.factorize(table.train[person])[0]
    found: dict[str, object] = {
        "people": lambda: Tiny(task, seed, recipe=RECIPE),
        "untrained": lambda: Untrained(task, seed, recipe=RECIPE),
    }
    for epsilon in EPSILONS:
        found[f"nobody, epsilon {epsilon:g}"] = lambda e=epsilon: Tiny(
            task, seed, recipe=RECIPE, lessons=Lessons(f"{e}", lambda: of_nobody(table, e).lessons())
        )
        found[f"DP-SGD, epsilon {epsilon:g}"] = lambda e=epsilon: ByPerson(task, people, e, seed)
    return found


def one(name: str, seed: int, done: set[tuple[str, int, str]]) -> Iterator[dict[str, object]]:
    """The arms on one split that are not done yet."""
    data = sensecf.datasets.load(name)
    open_table = prepared(data.frame, data.schema, Setup("xgboost", seed=seed))
    made = experiment(replace(open_table, schema=shared_cells(open_table.schema, open_table.train)))
    asked = made.table.held_out.iloc[made.asked(ASKED)]
    limits = Limits(hold=0.0, edit="mutable")
    plain = read(explain(made.task, "search", asked, made.target, limits=limits, strict=False), made.task)
    effort = pd.Series(plain.distance, index=plain.queries)
    query = Query.of_rows(made.task, made.task.codec.encode(asked), made.target, limits)
    for arm, build in arms(made, seed).items():
        if (name, seed, arm) in done:
            continue
        model = build()
        alone = model.greedy(query)
        good = alone.reason == ""
        good[good] = made.task.valid(made.task.judge(alone.rows[good]), query.target[alone.query[good]])
        found = read(explain(made.task, model, asked, made.target, limits=limits, strict=False), made.task)
        own = pd.Series(found.distance, index=found.queries)
        both = effort.index.intersection(own.index)
        yield {
            "table": name,
            "seed": seed,
            "arm": arm,
            "asked": len(asked),
            "greedy_turns": round(float(good.mean()), 4),
            "answered": round(len(own) / len(asked), 4),
            "effort_to_search": round(float(own[both].mean() / effort[both].mean()), 4) if len(both) else None,
        }


def main() -> None:
    """Split by split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    rows = pd.read_csv(STORED).to_dict("records") if STORED.exists() else []
    for seed in range(options.seeds):
        for name in TABLES:
            for row in one(name, seed, {(row["table"], row["seed"], row["arm"]) for row in rows}):
                rows.append(row)
                print(row, flush=True)
                pd.DataFrame(rows).to_csv(STORED, index=False)
    table = pd.DataFrame(rows)
    print(table.groupby(["table", "arm"])[["greedy_turns", "answered", "effort_to_search"]].mean().round(3))


if __name__ == "__main__":
    main()
