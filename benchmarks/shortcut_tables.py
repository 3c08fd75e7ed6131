"""Tables in which a nuisance agrees with the label: assigned with a known effect on other columns, or as it came.

An assigned nuisance is a column of two levels, A and B. B goes with the positive class ("agrees") in a chosen share of
the rows of each class, and does to other columns what its `Effect` says. A natural one is in the data (season of
LifeSnaps, kind of glucose sensor of T1D-UOM), its traces are the data's own, and rows are left out until it agrees in
the chosen share of the training rows. A shift is the same two as they came: learned from one level, met by the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from cells import FILES, data_folder

import sensecf
from sensecf.augmentation.scarcity import positive_class
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import Feature, FeatureSchema, Value
from sensecf.data.prepare import prepare

#: Share of training rows in which the nuisance agrees with the label.
AGREES = 0.9
#: Name of the nuisance's column, and its levels; the second goes with the positive class.
COLUMN, LEVELS = "nuisance", ("A", "B")
#: Samples of glucose a day above which the sensor measures every five minutes, not every fifteen.
FIVE_MINUTES = 200
#: First month of the second wave of LifeSnaps.
WINTER = "2021-09"


@dataclass(frozen=True)
class Effect:
    """What level B of a nuisance does to other columns: value * factor + shift, in the column's unit."""

    shift: Mapping[str, float] = field(default_factory=dict)
    factor: Mapping[str, float] = field(default_factory=dict)

    @property
    def touched(self) -> list[str]:
        """The columns that it moves."""
        return [*self.shift, *self.factor]

    def on(self, frame: pd.DataFrame, level: Bools) -> pd.DataFrame:
        """Rows measured with level A as they are with B where `level` (n,) says so."""
        return self._moved(frame, level, 1)

    def off(self, frame: pd.DataFrame, level: Bools) -> pd.DataFrame:
        """Rows measured with B, where `level` (n,) says so, as they are with A."""
        return self._moved(frame, level, -1)

    def _moved(self, frame: pd.DataFrame, level: Bools, way: int) -> pd.DataFrame:
        out = frame.copy()
        for name, by in self.factor.items():
            out[name] = out[name].astype(float) * np.where(level, by**way, 1.0)
        for name, by in self.shift.items():
            out[name] = out[name].astype(float) + way * np.where(level, by, 0.0)
        return out


#: Known effects by table and nuisance. `site` leaves no trace, `device` reads too high, `wear` (of heart disease:
#: another laboratory) scales what is counted. About half to one standard deviation each.
EFFECTS: dict[str, dict[str, Effect]] = {
    "simulated": {
        "site": Effect(),
        "device": Effect({"resting_hr_bpm": 5.0, "hr_mean_bpm": 5.0, "glucose_mean_mgdl": 15.0}),
        "wear": Effect(factor={"steps": 0.75, "active_min": 0.75}),
    },
    "heart_disease_cleveland": {
        "site": Effect(),
        "device": Effect({"trestbps": 10.0, "thalach": 12.0}),
        "wear": Effect({"oldpeak": 0.6}, {"chol": 1.15}),
    },
    "t1d_uom_daily_stress": {
        "site": Effect(),
        "device": Effect({"hr_mean_bpm": 5.0, "hr_max_bpm": 5.0, "resting_hr_bpm": 4.0, "glucose_mean_mmol": 1.0}),
        "wear": Effect(factor={"steps": 0.75, "distance_m": 0.75, "active_kcal": 0.75}),
    },
    "lifesnaps_daily": {
        "site": Effect(),
        "device": Effect({"resting_hr_bpm": 4.0, "hr_mean_bpm": 4.0, "rmssd_ms": -8.0, "nightly_temp_c": 0.5}),
        "wear": Effect(factor={"steps": 0.75, "distance_m": 0.75, "lightly_active_min": 0.75}),
    },
}
#: Natural nuisances, thinned out, and natural shifts: the table each is of.
NATURAL = {"season": "lifesnaps_daily", "sensor": "t1d_uom_daily_stress"}
SHIFTS = {"months": "lifesnaps_daily", "sensors": "t1d_uom_daily_stress"}


class World(NamedTuple):
    """One table with its nuisance, split by people.

    `train`, `balanced`: rows to learn from, with the nuisance agreeing in `AGREES` and in half of them. `agreeing`,
    `other`: test rows in which the nuisance agrees with the label, and in which it does not; of an assigned nuisance
    they are the same rows measured twice. `effect`: what level B does, None where nobody knows.
    """

    schema: FeatureSchema
    train: pd.DataFrame
    balanced: pd.DataFrame
    agreeing: pd.DataFrame
    other: pd.DataFrame
    positive: Value
    effect: Effect | None


def world(table: str, nuisance: str, seed: int) -> World:
    """The table with that nuisance: rows, chance and split of one seed."""
    if nuisance in NATURAL or nuisance in SHIFTS:
        return _natural(table, seed) if nuisance in NATURAL else _shift(table, seed)
    data, effect = sensecf.datasets.load(table), EFFECTS[table][nuisance]
    _, train, test = prepare(data.frame, data.schema, None, seed)
    positive = positive_class(data.schema)
    schema = _with_nuisance(data.schema, pd.concat([train, test]), effect)

    def measured(rows: pd.DataFrame, share: float) -> pd.DataFrame:
        return _assigned(rows, schema.label, positive, share, effect, seed)

    return World(
        schema,
        measured(train, AGREES),
        measured(train, 0.5),
        measured(test, 1.0),
        measured(test, 0.0),
        positive,
        effect,
    )


def _assigned(rows: pd.DataFrame, label: str, positive: Value, share: float, effect: Effect, seed: int) -> pd.DataFrame:
    """The rows with the nuisance, agreeing with the label in that share of the rows of each class."""
    truth = (rows[label] == positive).to_numpy()
    agrees = np.zeros(len(rows), dtype=bool)
    for number, own in enumerate((truth, ~truth)):
        order = np.random.default_rng([seed, 700, number]).permutation(np.flatnonzero(own))
        agrees[order[: round(share * len(order))]] = True
    level = truth == agrees
    out = effect.on(rows, level)
    out[COLUMN] = np.array(LEVELS, dtype=object)[level.astype(int)]
    return out.reset_index(drop=True)


def _natural(table: str, seed: int) -> World:
    """A table whose own nuisance is made to agree with the label in training by leaving rows out."""
    schema, train, test = _as_it_came(table, seed)
    positive = positive_class(schema)
    agrees = _agrees(train, schema, positive)
    kept = {share: _thinned(train, agrees, schema, share, seed) for share in (AGREES, 0.5)}
    right = _agrees(test, schema, positive)
    return World(schema, kept[AGREES], kept[0.5], test[right], test[~right], positive, None)


def _shift(table: str, seed: int) -> World:
    """Rows of level A to learn from; test rows of A, and of B. What B does is seen on training people, not by label."""
    schema, train, test = _as_it_came(table, seed)
    later, there = train[COLUMN] == LEVELS[1], test[COLUMN] == LEVELS[1]
    seen = World(schema, train, train, test, test, positive_class(schema), None)
    return seen._replace(
        train=train[~later].reset_index(drop=True), agreeing=test[~there], other=test[there], effect=estimated(seen)
    )


def _as_it_came(table: str, seed: int) -> tuple[FeatureSchema, pd.DataFrame, pd.DataFrame]:
    """The schema with the table's own nuisance, and its training and test rows."""
    data = sensecf.datasets.load(table)
    frame = data.frame.copy()
    level = _level(table, frame)
    schema = _with_nuisance(data.schema, frame, Effect())
    frame[COLUMN] = np.array(LEVELS, dtype=object)[level.astype(int)]
    _, train, test = prepare(frame, schema, None, seed)
    return schema, train, test


def _level(table: str, frame: pd.DataFrame) -> Bools:
    """Whether each row is of level B: winter, or a day of a sensor that measures every five minutes."""
    if table == "lifesnaps_daily":
        level: Bools = (frame["date"].astype(str) >= WINTER).to_numpy()
        return level
    samples = pd.read_csv(data_folder() / FILES[1])["glucose_n"]
    assert len(samples) == len(frame), "the table is as it was stored"
    return (samples > FIVE_MINUTES).to_numpy()


def _agrees(rows: pd.DataFrame, schema: FeatureSchema, positive: Value) -> Bools:
    out: Bools = ((rows[schema.label] == positive) == (rows[COLUMN] == LEVELS[1])).to_numpy()
    return out


def _thinned(train: pd.DataFrame, agrees: Bools, schema: FeatureSchema, share: float, seed: int) -> pd.DataFrame:
    """Training rows, as many at every share, in which the nuisance agrees in that share of the rows of each class."""
    kept = []
    for number, label in enumerate(schema.classes):
        own = (train[schema.label] == label).to_numpy()
        with_it, without = np.flatnonzero(own & agrees), np.flatnonzero(own & ~agrees)
        total = min(len(with_it) / AGREES, len(without) / 0.5, len(with_it) / 0.5)
        rng = np.random.default_rng([seed, 701, number])
        kept += [
            rng.permutation(with_it)[: round(share * total)],
            rng.permutation(without)[: round((1 - share) * total)],
        ]
    return train.iloc[np.sort(np.concatenate(kept))].reset_index(drop=True)


def _with_nuisance(schema: FeatureSchema, rows: pd.DataFrame, effect: Effect) -> FeatureSchema:
    """The schema with the nuisance, without rules, and with ranges that hold what the nuisance does."""
    wider = {}
    for name in effect.touched:
        values, feature = rows[name].astype(float), schema[name]
        both = pd.concat([effect.on(rows, np.ones(len(rows), dtype=bool))[name], values])
        span = {"low": min(float(both.min()), feature.low or 0.0), "high": max(float(both.max()), feature.high or 0.0)}
        wider[name] = {**span, "kind": "continuous"}
    added = Feature(COLUMN, "binary", "immutable", levels=LEVELS)
    plain = replace(schema, rules=()).edit(**wider)
    return replace(plain, features=(*plain.features, added))


def swapped(world: World, rows: pd.DataFrame, effect: Effect) -> pd.DataFrame:
    """The rows with the other level of the nuisance and what follows from it; labels stay."""
    level = (rows[COLUMN] == LEVELS[1]).to_numpy()
    out = effect.on(effect.off(rows, level), ~level)
    out[COLUMN] = np.array(LEVELS, dtype=object)[(~level).astype(int)]
    return out


def estimated(world: World) -> Effect:
    """The effect of level B as training rows show it: the mean difference within each class, columns apart.

    Only columns whose difference is beyond two standard errors. Labels and nuisance are all that it sees.
    """
    shift = {}
    rows, level = world.train, (world.train[COLUMN] == LEVELS[1]).to_numpy()
    for feature in world.schema.features:
        if not feature.numeric or feature.step is None or len(set(rows[feature.name].dropna())) < 3:
            continue
        values = rows[feature.name].astype(float).to_numpy()
        found = [_difference(values, (rows[world.schema.label] == c).to_numpy(), level) for c in world.schema.classes]
        weight: Floats = np.array([1 / error**2 for _, error in found])
        mean = float(np.average([difference for difference, _ in found], weights=weight))
        if abs(mean) > 2 / np.sqrt(weight.sum()):
            shift[feature.name] = mean
    return Effect(shift)


def _difference(values: Floats, own: Bools, level: Bools) -> tuple[float, float]:
    """Mean of level B less that of level A among a class's rows, and its standard error."""
    there = own & ~np.isnan(values)
    b, a = values[there & level], values[there & ~level]
    if len(a) < 2 or len(b) < 2:
        return 0.0, 1e9
    return float(b.mean() - a.mean()), max(float(np.sqrt(b.var(ddof=1) / len(b) + a.var(ddof=1) / len(a))), 1e-9)
