"""`treecf`: the package treecf (MIT licence), a white-box search over tree ensembles, under limits it can be told."""

from __future__ import annotations

import copy
import itertools
import warnings
from typing import Any, Literal

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from treecf import AllowedCategories, Freeze, Infeasible, Range, Target
from treecf.api import Explainer, Grid

from sensecf.classifiers.fit import Balanced, Forest, RowEncoder
from sensecf.core.candidates import Candidates
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError, one_line
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.generators.traits import Traits

Method = Literal["sparse", "genetic"]

#: Price of one changed feature in MAD, as `verify.cost` has it: 1 against 0.5.
PER_CHANGE = 2.0
#: How far past the tie an answer must be: a tie is not valid, and XGBoost adds up in float32.
PAST = 1e-5
#: So many changed values of an answer are tried rounded up and down, which asks the classifier at most 17 rows.
ROUNDED = 4


class TreeCF:
    """Answers of `treecf` for the task's random forest or XGBoost, two classes.

    `method`: "genetic" minimises the MAD-L1 distance, "sparse" adds a price per changed feature; both
    are its genetic search, which looks inside the trees; the classifier is asked only how to round. Told: locks,
    ranges, directions, steps. Not told: rules, budgets and plausibility. `seconds`: time per query.

    Raises `InputError` for any other classifier.
    """

    traits = Traits(keeps_budget=False, takes=("seconds",))

    def __init__(self, task: Task, seed: int = 0, *, method: Method = "sparse", seconds: float = 10.0) -> None:
        self.task = task
        self.name = f"treecf-{method}"
        self.seed, self.seconds = seed, seconds
        self.per_change = PER_CHANGE if method == "sparse" else 0.0
        self._model, names, self._sets = _trees(task)
        self._columns = np.array([task.schema.columns[name] for name in names], dtype=np.intp)

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """One row per query, or why there is none."""
        rows = np.full(query.rows.shape, np.nan)
        reasons = np.full(len(query), "", dtype=object)
        seeds = rng.integers(0, 2**31 - 1, len(query))
        for i in range(len(query)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    rows[i], reasons[i] = self._answer(query.take(slice(i, i + 1)), int(seeds[i]))
                except Exception as error:  # whatever a peer dies of is its answer, and stays in the table
                    reasons[i] = f"treecf: {one_line(error)}"
        found = np.flatnonzero(reasons == "")
        if len(found):
            rows[found] = self._on_steps(query.take(found), rows[found])
        return Candidates.of(np.arange(len(query)), rows, self.name, reasons.tolist())

    def _answer(self, one: Query, seed: int) -> tuple[Floats, str]:
        row, columns = one.rows[0], self._columns
        constraints: list[Any] = []
        policy: dict[str, Any] = {}
        for k, j in enumerate(columns):
            low, high = one.low[0, j], one.high[0, j]
            if one.movable[0, j] and k in self._sets:
                constraints.append(AllowedCategories(f"f{k}", list(range(int(low), int(high) + 1))))
            elif one.movable[0, j]:
                constraints.append(Range(f"f{k}", low, high))
                policy[f"f{k}"] = Grid(self.task.codec.step[j])
            else:
                constraints.append(Freeze(f"f{k}"))
        explainer = Explainer(
            self._model,
            normalizers=self.task.once(Scale).mad[columns],
            constraints=constraints,
            value_policy=policy,
            categories={f"f{k}": [str(c) for c in range(self.task.codec.n_levels[columns[k]])] for k in self._sets},
        )
        said = Target.raw if isinstance(self._model, RandomForestClassifier) else Target.probability
        target = said(op=">=", value=0.5 + PAST) if one.target[0] else said(op="<=", value=0.5 - PAST)
        found = explainer.explain(
            row[columns], target, time_budget_s=self.seconds, sparsity_weight=self.per_change, seed=seed
        )
        if isinstance(found, (Infeasible, dict)):
            return np.full(len(row), np.nan), "none found"
        new = row.copy()
        new[columns] = found.x_cf
        return new, ""

    def _on_steps(self, query: Query, rows: Floats) -> Floats:
        """The rows with every changed value on a multiple of its step that keeps the row valid, where there is one.

        treecf takes a rounding back where it would cost the answer; what is saved must be on the step.
        """
        task, codec = self.task, self.task.codec
        options, owners = [], []
        for i, (base, row) in enumerate(zip(query.rows, rows, strict=True)):
            away = np.abs(row - base) > 1e-9
            moved = np.flatnonzero(away)
            nearest = np.where(away, codec.worthwhile(base, codec.snap(row[None])[0]), base)
            edits = moved[:ROUNDED]
            for up in itertools.product((False, True), repeat=len(edits)):
                option = nearest.copy()
                steps = row[edits] / codec.step[edits]
                option[edits] = codec.step[edits] * np.where(up, np.ceil(steps - 1e-9), np.floor(steps + 1e-9))
                option = np.where(away, codec.snap(option[None])[0], base)
                within = option.clip(query.low[i], query.high[i])
                options += [nearest, within] if not any(up) else [within]
                owners += [i, i] if not any(up) else [i]
        owner, table = np.array(owners, dtype=np.intp), np.array(options).reshape(len(options), -1)
        valid = task.valid(task.judge(table), query.target[owner])
        # The nearest comes first of each row, and stays where nothing is valid.
        order = np.lexsort((~valid, owner))
        chosen: Floats = table[order[np.unique(owner[order], return_index=True)[1]]]
        return chosen


def _trees(task: Task) -> tuple[Any, list[str], set[int]]:
    """The model that treecf can read, the features in the order of its columns, and the positions of those whose
    levels its trees ask by sets (the others go by position). Raises `InputError`."""
    steps = [step for _, step in getattr(task.classifier, "steps", [])]
    model = steps[-1].model_ if steps and isinstance(steps[-1], Balanced) else (steps[-1] if steps else None)
    if len(steps) != 2 or not isinstance(steps[0], RowEncoder) or steps[0].dense or len(task.classes) != 2:
        raise InputError("treecf reads a random forest or XGBoost of ours with two classes; use another generator")
    if isinstance(model, Forest):
        model = copy.copy(model)
        model.__class__ = RandomForestClassifier  # treecf goes by the class; ours only limits rows and threads
    names = [*steps[0].numbers, *(steps[0].levels or {})]
    try:
        read = Explainer(model, normalizers=np.ones(len(names)))
    except Exception as error:
        raise InputError(f"treecf cannot read {type(model).__name__}: {one_line(error)}") from error
    return model, names, set(read.ir.categorical)
