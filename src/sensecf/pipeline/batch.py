"""Answers and abstentions as plain arrays, on their way from the search to the table: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import ARRAYS, VERDICT_COLUMNS
from sensecf.core.kept import read_arrays, write_arrays
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Ints, Task
from sensecf.pipeline.consequences import Mechanisms
from sensecf.pipeline.refine import Judged

#: The reason where nothing had to change.
THERE = "already in the target class"


@dataclass(frozen=True)
class Batch:
    """Answers and abstentions of a batch, as plain arrays: what a checkpoint holds.

    `query`, `rank` (0 for an abstention), `rows`, and the verdict on each (see `Verdicts`), which features are
    edited among it; `expected`, `low`, `high` (m, d), `expected_valid`, `cautious_valid`: what follows (see
    `consequences.Followed`); `attempts`: how many candidates came to which verdict, as "generator|verdict|count";
    `failures`: for how many queries the generator asked for found nothing, as "reason|count".
    """

    query: Ints
    rank: Ints
    rows: Floats
    predicted: Ints
    probability: Floats
    valid: Bools
    feasible: Bools
    plausible: Bools
    edited: Bools
    expected: Floats
    low: Floats
    high: Floats
    expected_valid: Bools
    cautious_valid: Bools
    n_changed: Ints
    proximity: Floats
    seconds: Floats
    generator: np.ndarray
    reason: np.ndarray
    attempts: np.ndarray
    failures: np.ndarray
    holds: Floats
    holds_low: Floats
    lands: Floats

    def save(self, path: Path, mark: str) -> None:
        write_arrays(path, vars(self), mark)

    @classmethod
    def load(cls, path: Path, mark: str) -> Batch | None:
        """The answers to what `mark` names; None where they have to be found again."""
        arrays = read_arrays(path, mark)
        return None if arrays is None else cls(**arrays)

    def shift(self, by: int) -> Batch:
        return Batch(**(vars(self) | {"query": self.query + by}))

    @classmethod
    def concat(cls, parts: list[Batch]) -> Batch:
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0])})

    @classmethod
    def of(
        cls,
        judged: Judged,
        follow: Mapping[str, np.ndarray],
        rank: Ints,
        seconds: float,
        attempts: np.ndarray,
        failures: np.ndarray,
        shares: Shares,
    ) -> Batch:
        """Answers, and abstentions (rank 0), with what they cost each."""
        found, verdict = judged.found, vars(judged.verdict)
        reason = np.where(judged.verdict.good & (judged.verdict.n_changed == 0), THERE, found.reason)
        kept = {name: verdict[name] for name in cls.__dataclass_fields__ if name in verdict and name != "reason"}
        cost = np.full(len(found), seconds)
        return cls(
            query=found.query,
            rank=rank,
            rows=found.rows,
            seconds=cost,
            generator=found.generator,
            reason=reason.astype(object),
            attempts=attempts,
            failures=failures,
            **shares._asdict(),
            **kept,
            **follow,
        )


class Shares(NamedTuple):
    """Of what share of the jurors each row is in its target class, see `counterfactuals.SHARES`; arrays (m,)."""

    holds: Floats
    holds_low: Floats
    lands: Floats

    @classmethod
    def unknown(cls, m: int) -> Shares:
        return cls(*np.full((3, m), np.nan))


def followed(task: Task, query: Query, judged: Judged) -> dict[str, np.ndarray]:
    """What is expected to follow from each row, and whether it stays valid with it; rows as they are where nothing is
    known to follow."""
    rows, m = judged.found.rows, len(judged)
    found: dict[str, np.ndarray] = {"expected": rows.copy(), "low": rows.copy(), "high": rows.copy()}
    found |= {name: judged.verdict.valid.copy() for name in ("expected_valid", "cautious_valid")}
    at = np.flatnonzero((judged.found.reason == "") & judged.verdict.good & (judged.verdict.n_changed > 0))
    if m and len(at) and task.once(Mechanisms):
        mechanisms = task.once(Mechanisms)
        follow, expected, cautious = mechanisms.verdicts(query, judged.found.query[at], rows[at], task)
        for name in ("expected", "low", "high"):
            found[name][at] = getattr(follow, name)
        found["expected_valid"][at], found["cautious_valid"][at] = expected, cautious
    return found


def table_columns(
    batch: Batch, factuals: pd.DataFrame, origin: tuple[np.ndarray, Ints], outside: Mapping[int, str]
) -> tuple[dict[str, np.ndarray], Floats]:
    """The columns of the table and its encoded rows, one block for each factual in the order the factuals came.

    `origin`: which factuals were asked about, and the distinct query that each of them equals; `outside`: why the
    others were not.
    """
    inside, same = origin
    order = np.argsort(batch.query, kind="stable")
    starts = np.searchsorted(batch.query[order], np.arange(int(same.max(initial=-1)) + 2))
    blocks = [order[starts[distinct] : starts[distinct + 1]] for distinct in same]
    who = np.repeat(np.flatnonzero(inside), [len(block) for block in blocks])
    at = np.concatenate([*blocks, np.empty(0, np.intp)])
    m, width = len(outside), batch.rows.shape[1]
    refused = {
        "predicted": -1,
        "generator": "none",
        "seconds": 0.0,
        "reason": np.array(list(outside.values()), dtype=object),
    }
    columns = {
        name: np.concatenate([values[at], np.full((m, *values.shape[1:]), refused.get(name, 0), dtype=values.dtype)])
        for name, values in vars(batch).items()
        if name in VERDICT_COLUMNS or name in ARRAYS
    }
    who = np.concatenate([who, np.array(list(outside), dtype=np.intp)])
    rows = np.concatenate([batch.rows[at], np.full((m, width), np.nan)])
    place = np.argsort(who, kind="stable")
    columns["query"] = factuals.index.to_numpy()[who]
    return {name: values[place] for name, values in columns.items()}, rows[place]
