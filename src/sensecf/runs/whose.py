"""A finished run with the people behind it: who was learned from, who was held out, who was asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf.classifiers.storage import data_hash
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.schema import FeatureSchema, Value
from sensecf.core.task import Task
from sensecf.data.builtin import load
from sensecf.data.tables import MARKS, read_table
from sensecf.runs.experiment import Prepared, prepared
from sensecf.runs.finished import facts_of, load_run, request_of
from sensecf.runs.run import RunSpec, load_task

#: Where a run says nothing of its table, it may be that of the demo.
DEMO = "simulated"


@dataclass(frozen=True)
class People:
    """A run of `explain` and its table, split as the run split it.

    `raw`: the rows that are split or, where queries were named, these, with all their columns; `table`: what was made
    of the table; `answers`: the plans; `target`: the class they lead to; `facts`: what `run.json` says.
    """

    folder: Path
    facts: Mapping[str, Any]
    request: RunSpec
    raw: pd.DataFrame
    table: Prepared
    task: Task
    answers: Counterfactuals
    target: Value

    @property
    def schema(self) -> FeatureSchema:
        """The schema of the run."""
        return self.table.schema

    def persons(self, rows: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Whose each row is, shape (n,); each row is somebody's own where the schema names no group."""
        group = self.schema.group
        known = rows[group] if group is not None and group in rows else rows.index.to_series()
        return known.astype(str).to_numpy()

    def asked(self) -> np.ndarray[Any, Any]:
        """The person of every request, in the order of the factuals."""
        index = self.answers.factuals.index
        held_out = self.table.held_out
        if index.isin(held_out.index).all():
            return self.persons(held_out.loc[index])
        return index.astype(str).to_numpy()


def people_of(folder: Path, table: Path | None = None, classifier: Any = None, trust: bool = False) -> People:
    """Open a run and its table.

    `table`: where the run's table lies now; else as the run was told, else the demo's. `classifier`, `trust`: see
    `load_task`. Raises `InputError` for a folder without a finished run, and for a table that is not the one which the
    run was made from.
    """
    facts = facts_of(folder)
    request = request_of(facts)
    task = load_task(folder, classifier, trust=trust)
    arguments = facts.get("arguments", {})
    raw = _table(task.schema, arguments, table)
    queries = arguments.get("queries")
    asked = None if queries is None else _read(queries, task.schema, arguments)
    made = prepared(raw, task.schema, request.setup, asked)
    if data_hash(made.frame) != facts.get("data"):
        raise InputError(
            f"the table is not the one that {folder} was made from: rows or values differ; name that one with --table"
        )
    answers = load_run(folder)
    goal = task.schema.goal(facts["target"])
    return People(folder, facts, request, raw if asked is None else asked, made, task, answers, goal)


def _table(schema: FeatureSchema, arguments: Mapping[str, Any], table: Path | None) -> pd.DataFrame:
    named = arguments.get("table") if table is None else table
    if named is not None:
        if not Path(named).exists():
            raise InputError(f"{named}, the table of the run, is not there any more; say where it lies with --table")
        return _read(named, schema, arguments)
    demo = load(DEMO)
    if demo.schema.names != schema.names:
        raise InputError("the run does not say what its table was; name it with --table")
    return demo.frame


def _read(path: str | Path, schema: FeatureSchema, arguments: Mapping[str, Any]) -> pd.DataFrame:
    """A table with the marks in numbers that the run was made with."""
    said: dict[str, str] = {mark: arguments.get(mark) or "" for mark in MARKS}
    return read_table(path, schema, merge_spellings=False, **said)
