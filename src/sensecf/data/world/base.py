"""What every world has: noises that are recorded, and days that are lived again with the same noises."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema

#: Values to be reached by feature, shape (n,) each; NaN where nothing is done.
Actions = Mapping[str, Floats]


@dataclass(frozen=True)
class Noises:
    """What chance decided of each day of each person: `of` by node, shape (n,) each.

    A value that stays with a person is repeated over the person's days.
    """

    of: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.of.values())))

    def __getitem__(self, node: str) -> Any:
        return self.of[node]

    def take(self, at: Any) -> Noises:
        """The noises of the days at some positions; a day may be taken more than once."""
        return Noises({node: values[at] for node, values in self.of.items()})


@dataclass(frozen=True)
class Outcome:
    """Days as they were lived, n of them.

    `frame`: the features as recorded, with the blanks of before; `probability` (n,): the true probability of the
    wanted class, in [0, 1]; `labels` (n, days): whether each of the days that follow, on which the same is done, is of
    the wanted class; no columns where none was asked for.
    """

    frame: pd.DataFrame
    probability: Floats
    labels: np.ndarray


class World(Protocol):
    """Simulated people under known laws.

    `name`; `levers`: the features that a person can set; `edges`: cause and effect, the label among the effects.
    """

    @property
    def name(self) -> str: ...
    @property
    def levers(self) -> tuple[str, ...]: ...
    @property
    def edges(self) -> tuple[tuple[str, str], ...]: ...

    def schema(self) -> FeatureSchema:
        """The schema of its tables; the levers are `actionable`, what follows is `mutable`."""
        ...

    def simulate(self, people: int, days: int, seed: int = 0) -> tuple[pd.DataFrame, Noises]:
        """Days of people, by person and day, with their labels; and the noises that made them, row by row.

        The same arguments give the same rows. Raises `InputError` unless people and days are at least 1.
        """
        ...

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
        """The same days, with the same noises, on which `actions` are carried out.

        `adherence`: the share of each change that is carried out, 1 for all; `slip`: the standard deviation of that
        share from day to day; `future`: days that follow whose labels are wanted, with changes of the same size.
        The same `seed` draws the same slips and the same days that follow, whatever the actions are.
        """
        ...

    def well(self, noises: Noises, actions: Actions) -> Floats:
        """The true probability of the wanted class where exactly these values are set, shape (n,): `do` in short."""
        ...


def check_levers(actions: Actions, levers: Collection[str]) -> None:
    """Raise `InputError` for an action that is no lever."""
    for name in actions:
        if name not in levers:
            raise InputError(f"{name!r} is nothing that a person sets; the levers are {', '.join(levers)}")


def carried(natural: Floats, wanted: Floats | None, share: Floats | float, low: float, high: float) -> Floats:
    """What comes of wanting a value, shape (n,): the natural one (and where nothing is wanted, NaN or None), moved by
    a share of the way and held within the range that a value can have."""
    if wanted is None:
        return natural
    reached: Floats = np.where(np.isnan(wanted), natural, np.clip(natural + share * (wanted - natural), low, high))
    return reached


def shares(rng: np.random.Generator, n: int, adherence: float, slip: float) -> Floats:
    """How much of a change is carried out on each of n days: never less than nothing."""
    drawn: Floats = np.maximum(adherence + slip * rng.normal(size=n), 0.0)
    return drawn


def ancestors(edges: Iterable[tuple[str, str]], of: str) -> Collection[str]:
    """The nodes from which a directed path leads to `of`."""
    parents: dict[str, set[str]] = {}
    for cause, effect in edges:
        parents.setdefault(effect, set()).add(cause)
    found: set[str] = set()
    todo = [of]
    while todo:
        new = parents.get(todo.pop(), set()) - found
        found |= new
        todo += sorted(new)
    return found
