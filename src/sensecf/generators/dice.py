"""`dice`: the package dice-ml (Mothilal et al. 2020; MIT licence), as it is, under the limits it can be told."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any, Literal

import dice_ml
import numpy as np
import pandas as pd

from sensecf.core.candidates import Candidates
from sensecf.core.errors import one_line
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Task
from sensecf.generators.traits import Traits

Method = Literal["random", "genetic", "kdtree"]

#: The outcome column of the frames that DiCE is given; features are called f0, f1, ...
OUTCOME = "outcome"


class Dice:
    """DiCE with its own defaults, one query after the other, as the package works.

    Told: locks (`features_to_vary`), ranges and directions (`permitted_range`), the target. Not told,
    since it has no words for them: rules, budgets, margins, steps. Its rows are rounded to the steps of
    the schema and nothing else is mended, but for what DiCE did not mean: its rounding also moves
    locked features, which are put back. A row that leaves a range all the same is left out.

    Blanks, which DiCE refuses, are shown to it as the training median (the first level) and kept
    locked; the classifier sees the blank. `total`: answers asked for per query. `seconds`: how long one
    query may take; then DiCE is stopped at its next question to the classifier, and the reason says so.

    The random numbers come from the two global generators that DiCE draws from; they are seeded once
    per query and put back afterwards. Its own `random_seed` is not used: it seeds anew for every
    feature, so that all samples are perfectly correlated.
    """

    traits = Traits(keeps_budget=False, takes=("total", "seconds"))

    def __init__(
        self, task: Task, seed: int = 0, *, method: Method = "random", total: int = 4, seconds: float = 30.0
    ) -> None:
        self.task = task
        self.name = f"dice-{method}"
        self.seed, self.total, self.seconds = seed, total, seconds
        codec = task.codec
        self._names = [f"f{j}" for j in range(len(task.schema))]
        self._whole = codec.numeric & (codec.step % 1 == 0)
        self._fill = np.where(codec.numeric, codec.snap(task.medians[None])[0], 0.0)
        self._asked = _Asked(self)
        table = self._frame(np.where(np.isnan(task.rows), self._fill, task.rows)).assign(**{OUTCOME: task.y})
        numeric = [name for name, is_number in zip(self._names, codec.numeric, strict=True) if is_number]
        with _silence(seed):
            data = dice_ml.Data(dataframe=table, continuous_features=numeric, outcome_name=OUTCOME)
            model = dice_ml.Model(model=self._asked, backend="sklearn", model_type="classifier")
            self._dice = dice_ml.Dice(data, model, method=method)

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """Up to `total` rows per query, in DiCE's order; a reason where it has none."""
        owners, found, reasons = [], [], []
        seeds = rng.integers(0, 2**32 - 1, len(query))
        for i in range(len(query)):
            rows, reason = self._answer(query.take(slice(i, i + 1)), int(seeds[i]))
            owners += [i] * max(1, len(rows))
            found.append(rows if len(rows) else np.full((1, query.rows.shape[1]), np.nan))
            reasons += [""] * len(rows) or [reason]
        rows = np.concatenate(found) if found else np.empty((0, query.rows.shape[1]))
        return Candidates.of(np.array(owners, dtype=np.intp), rows, self.name, reasons)

    def _answer(self, one: Query, seed: int) -> tuple[Floats, str]:
        codec, row, movable = self.task.codec, one.rows[0], one.movable[0]
        if not movable.any():
            return np.empty((0, len(row))), "nothing may change"
        shown = np.where(np.isnan(row), self._fill, row)
        ranges: dict[str, Any] = {}
        for j in np.flatnonzero(movable):
            low, high = one.low[0, j], one.high[0, j]
            if codec.numeric[j]:
                low, high = _steps(low, high, codec.step[j])
                ranges[self._names[j]] = [int(low), int(high)] if self._whole[j] else [float(low), float(high)]
            else:
                ranges[self._names[j]] = [str(level) for level in range(int(low), int(high) + 1)]
        self._asked.begin(row, movable, self.seconds)
        with _silence(seed):
            try:
                made = self._dice.generate_counterfactuals(
                    self._frame(shown[None]),
                    total_CFs=self.total,
                    desired_class=int(one.target[0]),
                    features_to_vary=[self._names[j] for j in np.flatnonzero(movable)],
                    permitted_range=ranges,
                )
            except _Late:
                return np.empty((0, len(row))), f"stopped after {self.seconds:g} s"
            except Exception as error:  # whatever a peer dies of is its answer, and stays in the table
                nothing = "No counterfactuals found" in str(error)
                return np.empty((0, len(row))), "none found" if nothing else f"DiCE: {one_line(error)}"
        example = made.cf_examples_list[0]
        # What DiCE shows: after its own sparsity step, where it has one.
        frame = example.final_cfs_df if example.final_cfs_df_sparse is None else example.final_cfs_df_sparse
        if frame is None or frame.empty:
            return np.empty((0, len(row))), "none found"
        rows = frame[self._names].to_numpy(dtype=float)
        rows = np.where(movable & codec.changed(row, rows), codec.snap(rows), row)
        with np.errstate(invalid="ignore"):
            off = (rows < one.low[0] - 1e-9) | (rows > one.high[0] + 1e-9)
        inside = ~(codec.changed(row, rows) & off).any(axis=1)
        return rows[inside], "" if inside.any() else "DiCE left the ranges that it was told"

    def _frame(self, rows: Floats) -> pd.DataFrame:
        """Encoded rows without blanks as DiCE takes them: whole numbers, numbers, levels as text."""
        columns: dict[str, Any] = {}
        for j, name in enumerate(self._names):
            if not self.task.codec.numeric[j]:
                columns[name] = pd.Series([str(int(v)) for v in rows[:, j]], dtype=object)
            else:
                columns[name] = rows[:, j].round().astype(int) if self._whole[j] else rows[:, j]
        return pd.DataFrame(columns)


def _steps(low: float, high: float, step: float) -> tuple[float, float]:
    """The first and the last multiple of a step within a range, so that rounding does not lead out of it."""
    first, last = np.ceil(low / step - 1e-9) * step, np.floor(high / step + 1e-9) * step
    return (max(low, first), min(high, last)) if first <= last else (low, high)


class _Late(Exception):
    """DiCE has had its time for a query."""


class _Asked:
    """The task's classifier as DiCE sees it; every row counts in `task.rows_judged`."""

    def __init__(self, owner: Dice) -> None:
        self._owner = owner
        self._row: Floats | None = None
        self._movable: Bools | None = None
        self._until = np.inf

    def begin(self, row: Floats, movable: Bools, seconds: float) -> None:
        """From now on: this person, whose other features stay as they are, blanks included."""
        self._row, self._movable, self._until = row, movable, time.monotonic() + seconds

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Class probabilities, shape (n, classes). Raises `_Late` when the time is over."""
        if time.monotonic() > self._until:
            raise _Late
        task = self._owner.task
        rows = frame[self._owner._names].to_numpy(dtype=float)
        if self._row is not None and self._movable is not None and len(rows):
            rows = np.where(self._movable, rows, self._row)
        proba: Floats = task.judge(rows).proba
        return proba

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Class positions, shape (n,)."""
        return self.predict_proba(frame).argmax(axis=1)


@contextmanager
def _silence(seed: int) -> Iterator[None]:
    """DiCE without its progress bars and warnings, its two global generators seeded and put back."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 — the generator that DiCE draws from
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
