"""What a kept plan is tied to: classifier, schema, training rows, limits, version, survival."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

from sensecf.classifiers.storage import data_hash
from sensecf.core.limits import Limits
from sensecf.core.task import Task
from sensecf.core.version import __version__

#: Plain data, as it stands in a line of the journal.
Data: TypeAlias = dict[str, Any]

#: Training rows whose answers make the hash of a classifier, evenly spread.
ASKED = 2000


@dataclass(frozen=True)
class Bound:
    """The hashes that tie a plan to what made it, as SHA-256 in hexadecimal.

    `model`: of what the classifier answers to its training rows, so that it is the same from a run folder and from a
    table, whatever the classifier is made of. `schema`: of its TOML, as in run.json. `data`: of the training rows, as
    in task/task.json. `limits`: see `fingerprint`. `holds`: the share of jurors that took no part in finding the plan
    and agree with it, `holds_low` its exact lower bound; None where nobody asked. Higher is better for both.
    """

    sensecf: str
    model: str
    schema: str
    data: str
    limits: str
    holds: float | None = None
    holds_low: float | None = None

    def to_dict(self) -> Data:
        """As data for JSON."""
        return asdict(self)


class Made:
    """The hashes of a task: `task.once(Made)`."""

    def __init__(self, task: Task) -> None:
        some = np.linspace(0, len(task.rows) - 1, min(ASKED, len(task.rows))).astype(int)
        judged = task.judge(task.rows[some], final=True)
        # Six decimals: what another machine's arithmetic changes lies below them, but for answers on an edge.
        answers = (judged.proba.round(6) + 0.0).astype("<f8").tobytes() + judged.predicted.astype("<i8").tobytes()
        self.model = hashlib.sha256(json.dumps(list(map(str, task.classes))).encode() + answers).hexdigest()
        self.schema = hashlib.sha256(task.schema.to_toml().encode()).hexdigest()
        self.data = data_hash(task.train)


def fingerprint(limits: Limits, effort: Mapping[str, str] | None = None) -> str:
    """A hash of all that may be asked of an answer, the same for the same limits in any order.

    `effort`: how hard each feature is for the person, by name; what is "normal" says nothing.
    """
    asked = limits.to_dict()
    asked |= {"lock": sorted(asked["lock"]), "margin": float(asked["margin"]), "hold": float(asked["hold"])}
    asked["ranges"] = {
        name: [None if end is None else float(end) for end in ends]
        for name, ends in asked["ranges"].items()
        if any(end is not None for end in ends)
    }
    if asked.get("prefer") == "effort":
        del asked["prefer"]  # records of before there was a choice stay what they were made for
    asked["directions"] = {name: way for name, way in asked["directions"].items() if way != "any"}
    hard = {name: how for name, how in (effort or {}).items() if how != "normal"}
    return hashlib.sha256(json.dumps({**asked, "effort": hard}, sort_keys=True).encode()).hexdigest()


def bind(task: Task, limits: Limits, holds: float | None = None, holds_low: float | None = None) -> Bound:
    """What a plan that was made for a task under limits is tied to."""
    made = task.once(Made)
    asked = fingerprint(limits.resolved(task.schema))
    return Bound(__version__, made.model, made.schema, made.data, asked, holds, holds_low)
