"""Worlds that nobody shaped: random graphs with random mechanisms and hidden common causes.

A feature is `centre + size x level`; its level is a sum of what its causes do (in proportion, by a tree, or past a
threshold), of what is hidden, of the person's own part and of the day's. The label follows from some of the features
and from what is hidden. Everything is drawn from the seed of the world, before anybody is simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.core.schema import Feature, FeatureSchema, Role
from sensecf.data.world.base import Actions, Noises, Outcome, carried, check_levers, shares

#: Features of a world: causes of nothing above them that stay, levers, and results.
STAYS, LEVERS, RESULTS = 2, 4, 6
#: Hidden common causes, and how many nodes each of them moves.
HIDDEN, REACH = 2, 3
#: Chance that one feature causes another that stands below it, and most causes of one feature.
DENSITY, MOST_CAUSES = 0.35, 3
#: Days on which levels and probabilities are set to scale.
SCALING = 20_000
KINDS = ("linear", "tree", "threshold")
#: Values lie within so many standard deviations.
WIDEST = 4.0
LABEL = "state"

Mechanism = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Cause:
    """How one node moves another: `of` the cause, `mechanism` on its level, `weight`."""

    of: str
    kind: str
    mechanism: Mechanism
    weight: float


@dataclass(frozen=True)
class Graph:
    """The random world of a seed; `hidden` False leaves out what is hidden. See `World`."""

    seed: int
    hidden: bool = True

    @property
    def name(self) -> str:
        """The world's name: its seed."""
        return f"random-{self.seed}"

    @property
    def levers(self) -> tuple[str, ...]:
        """What a person can do."""
        return tuple(f"lever_{number}" for number in range(1, LEVERS + 1))

    @cached_property
    def _nodes(self) -> tuple[str, ...]:
        """The features in an order in which causes stand before their effects."""
        rng = np.random.default_rng([self.seed, 0])
        stays = [f"trait_{number}" for number in range(1, STAYS + 1)]
        results = [f"result_{number}" for number in range(1, RESULTS + 1)]
        rest = [*self.levers, *results]
        # A result that stands before every lever could follow none of them: the first two places are levers'.
        first, others = rest[:2], rest[2:]
        return (*stays, *first, *(others[i] for i in rng.permutation(len(others))))

    @cached_property
    def _causes(self) -> dict[str, list[Cause]]:
        """What moves each feature, and the label."""
        rng = np.random.default_rng([self.seed, 1])
        found: dict[str, list[Cause]] = {}
        for place, node in enumerate(self._nodes):
            above = [n for n in self._nodes[:place] if rng.random() < DENSITY]
            if node.startswith("trait"):
                above = []
            elif node.startswith("result") and not above:
                above = [self._nodes[int(rng.integers(STAYS, place))]]
            rng.shuffle(above)
            found[node] = [_cause(n, rng) for n in above[:MOST_CAUSES]]
        # Two levers or more have a way to the label; what stays has one too.
        wanted = rng.permutation([n for n in self._nodes if n.startswith("result")])[:3]
        direct = rng.permutation(self.levers)[:2]
        found[LABEL] = [_cause(str(n), rng) for n in (*wanted, *direct, self._nodes[0])]
        return found

    @cached_property
    def _moved(self) -> dict[str, list[tuple[int, float]]]:
        """Which hidden causes move a node, and how much; the label is always among them."""
        rng = np.random.default_rng([self.seed, 2])
        found: dict[str, list[tuple[int, float]]] = {}
        for number in range(HIDDEN if self.hidden else 0):
            nodes = rng.choice([n for n in self._nodes if not n.startswith("trait")], REACH, replace=False)
            for node in (*nodes.tolist(), LABEL):
                found.setdefault(node, []).append((number, float(rng.choice([-1, 1]) * rng.uniform(0.4, 0.8))))
        return found

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Who moves whom, what is hidden left aside."""
        return tuple((cause.of, node) for node, causes in self._causes.items() for cause in causes)

    @cached_property
    def _scale(self) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of the sum of causes of each node; of the label's, a slope that gives its
        logit a standard deviation of 2, with two fifths of the days in the unwanted class."""
        noise = self._draw(np.random.default_rng([self.seed, 3]), SCALING, 1)
        scale: dict[str, tuple[float, float]] = {}
        levels: dict[str, Floats] = {}
        for node in (*self._nodes, LABEL):
            total = self._total(node, levels, noise)
            scale[node] = (float(total.mean()), float(total.std()) or 1.0)
            levels[node] = self._level(node, total, noise, scale[node])
        spread = scale[LABEL][1] / 2
        return scale | {LABEL: (float(np.quantile(self._total(LABEL, levels, noise), 0.6)), spread)}

    @cached_property
    def _units(self) -> dict[str, tuple[float, float]]:
        """Centre and size of each feature's values."""
        rng = np.random.default_rng([self.seed, 4])
        return {n: (round(float(rng.uniform(20, 200)), 1), round(float(rng.uniform(2, 20)), 1)) for n in self._nodes}

    def _bounds(self, node: str) -> tuple[float, float]:
        centre, size = self._units[node]
        return round(centre - WIDEST * size, 1), round(centre + WIDEST * size, 1)

    def schema(self) -> FeatureSchema:
        """The schema of the world's table: traits stay, levers are actionable, the rest is mutable and has the causes
        that are no secret."""
        roles: dict[str, Role] = {"trait": "immutable", "lever": "actionable", "result": "mutable"}

        def known(node: str) -> tuple[str, ...]:
            return tuple(sorted({cause.of for cause in self._causes[node]})) if node.startswith("result") else ()

        features = tuple(
            Feature(node, "continuous", roles[node.partition("_")[0]], low=low, high=high, step=0.1, causes=known(node))
            for node in sorted(self._nodes, key=lambda n: (n[0] != "t", n[0] != "l", n))
            for low, high in [self._bounds(node)]
        )
        return FeatureSchema(
            features=features, label=LABEL, classes=("ill", "well"), target="well", person="person", name=self.name
        )

    def simulate(self, people: int, days: int, seed: int = 0) -> tuple[pd.DataFrame, Noises]:
        """See `World`."""
        if people < 1 or days < 1:
            raise InputError(f"a world needs at least 1 person and 1 day, not {people} and {days}")
        noise = self._draw(np.random.default_rng([self.seed, 5, seed]), people, days)
        values, ill = self._lived(noise, {})
        frame = values[self.schema().names]
        names = np.repeat([f"P-{number:04d}" for number in range(1, people + 1)], days)
        frame.insert(0, "person", names)
        frame[LABEL] = np.where(noise["label"] < ill, "ill", "well")
        return frame, noise

    def do(
        self,
        noises: Noises,
        actions: Actions,
        *,
        adherence: float = 1.0,
        slip: float = 0.0,
        future: int = 0,
        seed: int = 0,
    ) -> Outcome:
        """See `World`. Raises `InputError` for an action that is no lever."""
        check_levers(actions, self.levers)
        rng = np.random.default_rng([seed, len(noises)])
        natural, _ = self._lived(noises, {})
        acted = self._carried(natural, actions, natural, shares(rng, len(noises), adherence, slip))
        values, ill = self._lived(noises, acted)
        labels = np.empty((len(noises), future), dtype=bool)
        for day in range(future):
            fresh = {n: rng.normal(size=len(noises)) for n in noises.of if n.startswith("day ")}
            later = Noises({**noises.of, **fresh, "label": rng.random(len(noises))})
            today, _ = self._lived(later, {})
            acted = self._carried(today, actions, natural, shares(rng, len(noises), adherence, slip))
            labels[:, day] = later["label"] >= self._lived(later, acted)[1]
        return Outcome(values[self.schema().names], 1 - ill, labels)

    def well(self, noises: Noises, actions: Actions) -> Floats:
        """The true probability of the wanted class where exactly `actions` happen, shape (n,): `do` in short."""
        return 1 - self._lived(noises, actions)[1]

    def _carried(
        self, today: pd.DataFrame, actions: Actions, natural: pd.DataFrame, share: Floats
    ) -> dict[str, Floats]:
        """What comes of each action on a day, given as a change of another day's natural values; NaN for nothing."""
        acted = {}
        for name, wanted in actions.items():
            now = today[name].to_numpy()
            moved = now + (wanted - natural[name].to_numpy())
            reached = carried(now, moved, share, *self._bounds(name))
            acted[name] = np.where(np.isnan(wanted), np.nan, np.round(reached, 1))
        return acted

    def _draw(self, rng: np.random.Generator, people: int, days: int) -> Noises:
        """Noise of all nodes: a part of the person and one of the day."""
        n = people * days
        of: dict[str, np.ndarray] = {}
        for node in (*self._nodes, *(f"hidden {number}" for number in range(HIDDEN))):
            of[f"person {node}"] = np.repeat(rng.normal(size=people), days)
            of[f"day {node}"] = rng.normal(size=n)
        of["offset"] = np.repeat(rng.normal(0, 0.4, people), days)
        of["label"] = rng.random(n)
        return Noises(of)

    def _total(self, node: str, levels: dict[str, Floats], noise: Noises) -> Floats:
        """What its causes, seen and hidden, make of a node, shape (n,)."""
        total = np.zeros(len(noise))
        for cause in self._causes[node]:
            total += cause.weight * cause.mechanism(levels[cause.of])
        for number, size in self._moved.get(node, []):
            total += size * (0.6 * noise[f"person hidden {number}"] + 0.8 * noise[f"day hidden {number}"])
        return total

    def _level(self, node: str, total: Floats, noise: Noises, scale: tuple[float, float]) -> Floats:
        """A node's level: its causes make 60 % of its variance, where it has any; traits stay from day to day."""
        if node == LABEL:
            return total
        own = noise[f"person {node}"]
        if not node.startswith("trait"):
            own = 0.6 * own + 0.8 * noise[f"day {node}"]
        if not self._causes[node] and node not in self._moved:
            return np.asarray(np.clip(own, -WIDEST, WIDEST))
        level = np.sqrt(0.6) * (total - scale[0]) / scale[1] + np.sqrt(0.4) * own
        return np.asarray(np.clip(level, -WIDEST, WIDEST))

    def _lived(self, noise: Noises, act: Actions) -> tuple[pd.DataFrame, Floats]:
        """The values of all features, by column, and the true probability of the unwanted class, shape (n,)."""
        levels: dict[str, Floats] = {}
        values: dict[str, Floats] = {}
        for node in self._nodes:
            centre, size = self._units[node]
            level = self._level(node, self._total(node, levels, noise), noise, self._scale[node])
            values[node] = np.asarray(np.round(np.clip(centre + size * level, *self._bounds(node)), 1), dtype=float)
            wanted = act.get(node)
            if wanted is not None:
                values[node] = np.where(np.isnan(wanted), values[node], wanted)
            levels[node] = (values[node] - centre) / size
        at, spread = self._scale[LABEL]
        logit = (self._total(LABEL, levels, noise) - at) / spread + noise["offset"]
        return pd.DataFrame(values), 1 / (1 + np.exp(-logit))


def _cause(of: str, rng: np.random.Generator) -> Cause:
    """A cause with a mechanism drawn at random; levels go in, something of about the same size comes out."""
    kind = KINDS[int(rng.integers(len(KINDS)))]
    weight = float(rng.choice([-1, 1]) * rng.uniform(0.5, 1.2))
    made = {"linear": _linear, "tree": _tree, "threshold": _threshold}[kind]
    return Cause(of, kind, made(rng), weight)


def _linear(rng: np.random.Generator) -> Mechanism:
    return lambda level: level


def _threshold(rng: np.random.Generator) -> Mechanism:
    """One value up to a threshold, another beyond it."""
    at = float(rng.uniform(-0.8, 0.8))
    return lambda level: np.where(level > at, 1.0, -1.0)


def _tree(rng: np.random.Generator) -> Mechanism:
    """A tree of three splits, its leaves in no order."""
    cuts = np.sort(rng.uniform(-1.5, 1.5, 3))
    leaves = rng.normal(size=4)
    return lambda level: leaves[np.searchsorted(cuts, level)]
