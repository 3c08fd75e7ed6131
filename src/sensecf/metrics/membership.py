"""What an attack's scores say, by person: area under the curve, true positives at few false ones, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sensecf.core.rules import Bools, Floats
from sensecf.metrics.proxies import area

#: The share of others that may be taken for members in `tpr`.
FALSE = 0.01
#: What each of two tests may spend of 5 %: how many members stand before everybody else, and the largest area.
TAIL, AREAS = 0.03, 0.01
#: Permutations of who is a member.
PERMUTATIONS = 4999
#: The largest upper bound of an area that is no obstacle to sharing.
BOUND = 0.55


@dataclass(frozen=True)
class Scores:
    """Scores by person. `table`: a column per attack, a row per person; `member` (people,)."""

    table: pd.DataFrame
    member: Bools

    @classmethod
    def of(cls, scores: Mapping[str, Floats], persons: Any, member: Bools) -> Scores:
        """From scores by row: a person's is the largest of the rows', since one row that gives a person away is enough.

        `scores`: (n,) by attack; `persons` (n,): whose the rows are; `member` (n,).
        """
        frame = pd.DataFrame({name: np.nan_to_num(values, neginf=-1e9) for name, values in scores.items()})
        by = frame.groupby(np.asarray(persons))
        inside = pd.Series(member).groupby(np.asarray(persons)).first()
        return cls(by.max(), inside.to_numpy(bool))

    def areas(self, seed: int = 0) -> pd.DataFrame:
        """A row per attack: `auc`, `low`, `high` (95 %, over whole people), `tpr` at `FALSE`, `members`, `others`."""
        rows = []
        for name in self.table.columns:
            value = self.table[name].to_numpy(float)
            found = area(value, self.member, np.arange(len(value)), seed)
            counts = (int(self.member.sum()), int((~self.member).sum()))
            rows.append((name, found.auc, found.low, found.high, tpr(value, self.member), *counts))
        return pd.DataFrame(rows, columns=["attack", "auc", "low", "high", "tpr", "members", "others"])

    def tested(self, sharp: str, seed: int = 0) -> dict[str, float]:
        """p of the two tests, and whether they flag a leak.

        `tail`: how many members come before the first of the others by the attack `sharp`: t of them by chance with
        probability (members / people) to the power t, nearly. `area`: the largest area of all attacks, against
        permutations of who is a member. Under exchangeable people a clean release is flagged in 5 % at most.
        """
        value, member = self.table[sharp].to_numpy(float), self.member
        others = value[~member]
        before = int((value[member] > others.max()).sum()) if len(others) else 0
        people, inside = len(member), int(member.sum())
        logs = np.log(np.arange(inside, inside - before, -1)) - np.log(np.arange(people, people - before, -1))
        tail = float(np.exp(logs.sum()))
        ranks = stats.rankdata(self.table.to_numpy(float), axis=0)
        least = inside * (inside + 1) / 2
        rng = np.random.default_rng([seed, 11])
        keys = rng.random((PERMUTATIONS, people))
        drawn = keys < np.partition(keys, inside, axis=1)[:, [inside]] if inside < people else keys < 2
        with np.errstate(invalid="ignore", divide="ignore"):
            null = ((drawn @ ranks - least) / (inside * (people - inside))).max(axis=1)
            own = float(((ranks[member].sum(axis=0) - least) / (inside * (people - inside))).max())
        p = float((1 + (null >= own - 1e-12).sum()) / (1 + PERMUTATIONS))
        return {"first": before, "tail": tail, "area": p, "flagged": float(tail < TAIL or p < AREAS)}


def tpr(score: Floats, member: Bools, false: float = FALSE) -> float:
    """The share of members above the score that at most a share `false` of the others exceed, [0, 1]; lower is better.

    With fewer than 1 / `false` others that is the largest of theirs.
    """
    others = np.sort(score[~member])[::-1]
    if not len(others) or not member.any():
        return float("nan")
    limit = others[min(int(np.floor(false * len(others))), len(others) - 1)]
    return float((score[member] > limit).mean())
