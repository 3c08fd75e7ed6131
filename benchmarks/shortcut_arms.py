"""The arms of the shortcut study: what each learns from, and how. Those that add rows add as many as there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from shortcut_nets import NO_PAIRS, PairNet, Pairs
from shortcut_tables import COLUMN, LEVELS, Effect, World, estimated, swapped
from sklearn.model_selection import StratifiedKFold

from sensecf.augmentation import learn, methods
from sensecf.augmentation.controls import Situation, Treatment
from sensecf.augmentation.judges import Panel, convene
from sensecf.classifiers.fit import RowEncoder, fit_classifier
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import FeatureSchema

#: Numbers of pairs; "all" is one per training row.
COUNTS = ("1", "4", "16", "64", "all")
#: What few pairs may weigh at most, each, in real rows.
HEAVIEST = 100.0
#: How strongly a pair's term counts.
ALIKE, HIGHER = 1000.0, 1.0
#: Rounds of group-DRO, inner folds in which groups are scored, and how fast weights follow the loss.
ROUNDS, FOLDS, SPEED = 5, 3, 1.0
#: Learners that a pair term can be given.
SMOOTH = ("logistic", "mlp")

#: From rows to the probability of the positive class, (n,).
Answer = Callable[[pd.DataFrame], Floats]


@dataclass(frozen=True)
class Bench:
    """One world with what its arms share, each thing made once."""

    world: World
    seed: int

    @cached_property
    def truth(self) -> Bools:
        """Whether a training row is positive, (n,)."""
        found: Bools = (self.world.train[self.world.schema.label] == self.world.positive).to_numpy()
        return found

    @cached_property
    def level(self) -> Bools:
        """Whether a training row has level B, (n,)."""
        found: Bools = (self.world.train[COLUMN] == LEVELS[1]).to_numpy()
        return found

    @cached_property
    def effect(self) -> Effect:
        """What level B does: known, or else estimated."""
        return estimated(self.world) if self.world.effect is None else self.world.effect

    @cached_property
    def estimate(self) -> Effect:
        """What level B seems to do by the training rows."""
        return estimated(self.world)

    @cached_property
    def situation(self) -> Situation:
        """The training rows for arms of the scarcity study, which add as many."""
        world = self.world
        return Situation(world.schema, world.train, world.positive, len(world.train), self.seed)

    @cached_property
    def panel(self) -> Panel:
        """Judges of the training rows."""
        return convene(self.world.train, self.world.schema, self.seed)

    @cached_property
    def shared(self) -> methods.Shared:
        """Judges for the arms of the scarcity study."""
        return methods.Shared(made={"panel": self.panel})

    @cached_property
    def contrast(self) -> pd.DataFrame:
        """Counterfactuals that leave the nuisance and what it touches alone, judged; as many as training rows."""
        held = {name: {"role": "immutable", "causes": (), "sign": ()} for name in [COLUMN, *self.effect.touched]}
        schema = self.world.schema.edit(**held)
        situation = replace(self.situation, schema=schema)
        return methods.apply("counterfactuals@1", situation, methods.Shared(made={"panel": self.panel})).added

    def balanced(self) -> Floats:
        """Weights by which classes weigh alike."""
        return _alike(self.truth.astype(int))

    def grouped(self) -> Floats:
        """Weights by which the four groups of class and nuisance weigh alike."""
        return _alike(2 * self.truth + self.level)


def _alike(group: Any) -> Floats:
    counts = np.bincount(group)
    out: Floats = (len(group) / (counts > 0).sum() / np.maximum(counts, 1))[group]
    return out


def plain(bench: Bench, name: str, weight: Floats, rows: pd.DataFrame | None = None, without: bool = False) -> Answer:
    """A learner fitted on rows (the training rows) with weights; `without` the nuisance's column."""
    schema = _dropped(bench.world.schema) if without else bench.world.schema
    rows = bench.world.train if rows is None else rows
    model = fit_classifier(name, schema, rows, bench.seed, weight)
    return _answer(model, schema, bench)


def _dropped(schema: FeatureSchema) -> FeatureSchema:
    return schema.edit(**{COLUMN: {"nuisance": True}})


def _answer(model: Any, schema: FeatureSchema, bench: Bench) -> Answer:
    position = np.asarray(model.classes_).tolist().index(bench.world.positive)

    def told(rows: pd.DataFrame) -> Floats:
        out: Floats = np.asarray(model.predict_proba(rows[schema.names]))[:, position]
        return out

    return told


def added(bench: Bench, name: str, rows: pd.DataFrame, without: bool = False) -> Answer:
    """Class weights, and rows beside; `without` the nuisance's column."""
    schema = _dropped(bench.world.schema) if without else bench.world.schema
    return _answer(learn(name, bench.world.train, rows, schema, bench.seed), schema, bench)


def twins(bench: Bench, effect: Effect, count: str = "all") -> pd.DataFrame:
    """Training rows with the nuisance swapped and the label kept, each with the class weight of its row.

    Few of them weigh more, up to `HEAVIEST` rows each.
    """
    n = len(bench.world.train)
    at = np.arange(n) if count == "all" else np.random.default_rng([bench.seed, 702]).permutation(n)[: int(count)]
    out = swapped(bench.world, bench.world.train.iloc[at], effect)
    out["added_weight"] = bench.balanced()[at] * min(n / len(at), HEAVIEST)
    out["added_factual"] = at
    return out


def measured(bench: Bench, count: int) -> Effect:
    """The effect as so many training rows show it that were measured with both levels: the mean difference."""
    at = np.random.default_rng([bench.seed, 702]).permutation(len(bench.truth))[:count]
    one = bench.world.train.iloc[at]
    other, sign = swapped(bench.world, one, bench.effect), np.where(bench.level[at], -1.0, 1.0)
    names = [f.name for f in bench.world.schema.features if f.numeric]
    moved = (other[names].astype(float) - one[names].astype(float)).mul(sign, axis=0).mean()
    return Effect({name: float(by) for name, by in moved.items() if abs(by) > 1e-9})


def random_twins(bench: Bench) -> pd.DataFrame:
    """A control: training rows with one feature drawn from another row, the nuisance left as it is."""
    rng = np.random.default_rng([bench.seed, 703])
    out = bench.world.train.copy()
    names = [name for name in bench.world.schema.names if name not in (COLUMN, *bench.effect.touched)]
    which, other = rng.integers(len(names), size=len(out)), rng.permutation(len(out))
    for number, name in enumerate(names):
        moved = np.flatnonzero(which == number)
        values = out[name].to_numpy(copy=True)
        values[moved] = bench.world.train[name].to_numpy()[other[moved]]
        out[name] = values
    return out.assign(added_weight=bench.balanced(), added_factual=np.arange(len(out)))


def both(bench: Bench) -> pd.DataFrame:
    """Half twins, half contrasts."""
    half = np.random.default_rng([bench.seed, 704]).permutation(len(bench.truth))[: len(bench.truth) // 2]
    contrast = bench.contrast
    kept = np.random.default_rng([bench.seed, 705]).permutation(len(contrast))[: len(contrast) // 2]
    own = twins(bench, bench.effect).iloc[half]
    classes = bench.world.schema.classes
    soft = {f"added_soft_{c}": (own[bench.world.schema.label] == c).astype(float) for c in classes}
    return pd.concat([own.assign(**soft), contrast.iloc[kept]], ignore_index=True)


def group_dro(bench: Bench, name: str) -> Answer:
    """Group-DRO for any learner: groups that inner folds show to be answered badly weigh more (Sagawa et al. 2020)."""
    group = 2 * bench.truth + bench.level
    parts = list(StratifiedKFold(FOLDS, shuffle=True, random_state=bench.seed).split(group, group))
    share, total = np.full(4, 0.25), np.zeros(4)
    counts = np.bincount(group, minlength=4)
    for _ in range(ROUNDS):
        weight = (len(group) * share / np.maximum(counts, 1))[group]
        loss = np.empty(len(group))
        for fit, rest in parts:
            rows = bench.world.train.iloc[fit]
            told = plain(bench, name, weight[fit], rows)(bench.world.train.iloc[rest])
            right = np.where(bench.truth[rest], told, 1 - told)
            loss[rest] = -np.log(np.clip(right, 1e-3, 1.0))
        total += share
        by_group = np.bincount(group, loss, 4) / np.maximum(counts, 1)
        share = share * np.exp(SPEED * by_group)
        share /= share.sum()
    return plain(bench, name, (len(group) * total / total.sum() / np.maximum(counts, 1))[group])


def paired(bench: Bench, name: str, count: str | None, contrast: bool = False) -> Answer:
    """A smooth learner with a term of each pair: twins alike, contrasts a margin apart."""
    schema = bench.world.schema
    encoder = RowEncoder(
        [f.name for f in schema.features if f.numeric],
        {f.name: list(f.levels) for f in schema.features if not f.numeric},
        True,
    ).fit(bench.world.train[schema.names])
    X = encoder.transform(bench.world.train[schema.names])
    alike = higher = NO_PAIRS
    if count is not None:
        made = twins(bench, bench.effect, count)
        alike = Pairs(X[made["added_factual"].to_numpy()], encoder.transform(made[schema.names]), ALIKE)
    if contrast:
        made = bench.contrast
        ends = X[made["added_factual"].to_numpy()], encoder.transform(made[schema.names])
        up = (made["added_target"] == bench.world.positive).to_numpy()[:, None]
        higher = Pairs(np.where(up, ends[0], ends[1]), np.where(up, ends[1], ends[0]), HIGHER)
    net = PairNet(name, bench.seed).fit(X, bench.truth, bench.balanced(), alike, higher)
    return lambda rows: 1 / (1 + np.exp(-net.log_odds(encoder.transform(rows[schema.names]))))


def corrected(bench: Bench, name: str, effect: Effect) -> Answer:
    """What the nuisance does taken out of the rows, its column dropped."""

    def clean(rows: pd.DataFrame) -> pd.DataFrame:
        return effect.off(rows, (rows[COLUMN] == LEVELS[1]).to_numpy())

    told = plain(bench, name, bench.balanced(), clean(bench.world.train), without=True)
    return lambda rows: told(clean(rows))


def treated(bench: Bench, name: str, method: str) -> Answer:
    """An arm of the scarcity study."""
    made: Treatment = methods.apply(method, bench.situation, bench.shared)
    return _answer(
        learn(name, bench.world.train, made.added, bench.world.schema, bench.seed, made.balanced),
        bench.world.schema,
        bench,
    )


def ideal(bench: Bench, name: str) -> Answer:
    """The same learner where the nuisance goes with no class."""
    rows = bench.world.balanced
    weight = _alike((rows[bench.world.schema.label] == bench.world.positive).to_numpy().astype(int))
    return plain(bench, name, weight, rows)


Arm = Callable[[Bench, str], Answer]
#: All arms by name, the cheap ones first. Those named "pairs…" are for smooth learners alone.
ARMS: dict[str, Arm] = {
    "nothing": lambda b, n: plain(b, n, np.ones(len(b.truth))),
    "class-weights": lambda b, n: plain(b, n, b.balanced()),
    "group-weights": lambda b, n: plain(b, n, b.grouped()),
    "dropped": lambda b, n: plain(b, n, b.balanced(), without=True),
    "dropped, group-weights": lambda b, n: plain(b, n, b.grouped(), without=True),
    **{f"invariance@{count}": (lambda b, n, count=count: added(b, n, twins(b, b.effect, count))) for count in COUNTS},
    "invariance, effect of 16 pairs": lambda b, n: added(b, n, twins(b, measured(b, 16))),
    "invariance, estimated": lambda b, n: added(b, n, twins(b, b.estimate)),
    "invariance, dropped": lambda b, n: added(b, n, twins(b, b.effect), without=True),
    "invariance, estimated, dropped": lambda b, n: added(b, n, twins(b, b.estimate), without=True),
    "corrected": lambda b, n: corrected(b, n, b.effect),
    "corrected, estimated": lambda b, n: corrected(b, n, b.estimate),
    **{f"pairs@{count}": (lambda b, n, count=count: paired(b, n, count)) for count in COUNTS},
    "random pairs": lambda b, n: added(b, n, random_twins(b)),
    "balanced": ideal,
    "smote": lambda b, n: treated(b, n, "smote"),
    "munge": lambda b, n: treated(b, n, "munge@1"),
    "contrast": lambda b, n: added(b, n, b.contrast),
    "both": lambda b, n: added(b, n, both(b)),
    "pairs, contrast": lambda b, n: paired(b, n, None, True),
    "pairs, both": lambda b, n: paired(b, n, "all", True),
    "group-dro": group_dro,
}


def takes(arm: str, learner: str) -> bool:
    """Whether an arm is for that learner."""
    return learner in SMOOTH or not arm.startswith("pairs")
