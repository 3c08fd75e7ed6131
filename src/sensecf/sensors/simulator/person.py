"""A simulated person: traits, and the days computed from the causal graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensecf.core.rules import Floats
from sensecf.data.infer.catalogue import GROUPS
from sensecf.sensors.simulator.graph import EDGES, NODES, NOISE

#: Shares of the groups in version 3: 776, 560, 686 and 258 of 2,280 people.
_GROUP_SHARE = np.array([776, 560, 686, 258]) / 2280
SITES = ("UW", "UCSD", "UAB")
#: First digit of the ids of a site; 7 is in Central time.
_SITE_DIGIT = {"UW": "1", "UCSD": "4", "UAB": "7"}
#: Of every 20 people 14 train, 3 val and 3 test, so that the smallest tree can be split as the real one is.
_SPLITS = tuple({"T": "train", "V": "val", "E": "test"}[letter] for letter in "TTTETTVTTTTETTVTTEVT")


@dataclass(frozen=True)
class Person:
    """`traits` by the names of `graph.TRAITS`; `days` (D,) per node of `graph.NODES`; `clinical` values by column."""

    id: str
    site: str
    group: str
    split: str
    age: int
    traits: dict[str, float]
    days: dict[str, Floats]
    clinical: dict[str, float]

    @property
    def severity(self) -> int:
        """Position of the study group, 0 (healthy) to 3 (insulin)."""
        return GROUPS.index(self.group)

    @property
    def timezone(self) -> str:
        """Time zone as the headers of version 3 write it."""
        return "cst" if self.site == "UAB" else "pst"


def make_person(number: int, days: int, rng: np.random.Generator) -> Person:
    """The `number`-th person with `days` days. Ids are unique below 3,000 people."""
    site = SITES[number % 3]
    severity = int(rng.choice(4, p=_GROUP_SHARE))
    age = int(np.clip(rng.normal(60, 11), 40, 88))
    fitness = float(rng.normal(-0.25 * severity, 0.8))
    traits = {"age": (age - 60) / 10, "severity": severity - 1.0, "fitness": fitness, "strain": float(rng.normal())}
    values = simulate_days(traits, days, rng)
    bmi = float(np.clip(rng.normal(27 + 1.6 * severity - 1.2 * fitness, 4), 17, 55))
    a1c = (5.4, 5.9, 7.0, 7.9)[severity] + 0.25 * float(values["glucose"].mean()) + rng.normal(0, 0.25)
    sbp = float(np.clip(rng.normal(122 + 3 * severity + 4 * traits["age"] + 2 * traits["strain"], 11), 85, 210))
    clinical = {
        "bmi": round(bmi, 2),
        "hba1c_pct": round(float(np.clip(a1c, 4.3, 14)), 1),
        "sbp": round(sbp),
        "dbp": round(float(np.clip(0.62 * sbp + rng.normal(0, 6), 45, sbp - 15))),
        "cesd10": float(np.clip(round(7 + 3 * traits["strain"] + rng.normal(0, 3)), 0, 30)),
        "paid5": float(np.clip(round(3 + 1.2 * severity + 2 * traits["strain"] + rng.normal(0, 2)), 0, 20)),
    }
    person = f"{_SITE_DIGIT[site]}{number // 3 + 1:03d}"
    return Person(person, site, GROUPS[severity], _SPLITS[number % len(_SPLITS)], age, traits, values, clinical)


def simulate_days(traits: dict[str, float], days: int, rng: np.random.Generator) -> dict[str, Floats]:
    """The nodes of `days` consecutive days, shape (days,) each, from the edges, the traits and noise.

    Two weeks before the first day are computed and dropped, so that the days do not depend on the start.
    """
    total = days + 14
    values = {node: np.zeros(total) for node in NODES}
    noise = {node: rng.normal(0, NOISE[node], total) for node in NODES}
    parents = {node: [edge for edge in EDGES if edge.effect == node] for node in NODES}
    weekend = np.isin(np.arange(total) % 7, (5, 6))
    for day in range(total):
        for node in NODES:
            level = noise[node][day]
            for edge in parents[node]:
                if edge.cause in traits:
                    level += edge.size * traits[edge.cause]
                elif day >= edge.lag:
                    level += edge.size * values[edge.cause][day - edge.lag]
            values[node][day] = level - (0.6 if node == "load" and weekend[day] else 0.0)
    return {node: series[14:] for node, series in values.items()}
