"""The rows of a comparison: generators, the way in which each is shown, and the answers this gives.

One rule chooses for all: the first proposal, in the generator's own order of preference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from sensecf import generators, metrics
from sensecf.core.candidates import Candidates
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.query import Query
from sensecf.core.task import Ints, Task
from sensecf.core.verify import verify
from sensecf.generators.own import COUNTS
from sensecf.pipeline.refine import Judged, judge
from sensecf.runs.compare.worker import Chunk

#: Our own generators: shown as `sensecf explain` answers with them. All others are peers.
OWN = ("tiny", "search", "nearest", "prompted", "tuned")
#: The method whose distance `success_at_3` may not exceed.
REFERENCE = "nice-sparsity"

#: What may be asked of the answers of a row, behind an @.
WISHES = ("hold", "likeness")

Way = Literal["raw", "filter", "polish"]


@dataclass(frozen=True)
class Asking:
    """What one process is asked: a generator, the way in which it is run, whether its answers are asked to hold, the
    lead over the other classes that they must have (None: what the limits say), and whether likeness is preferred."""

    generator: str
    way: Way
    hold: bool = False
    margin: float | None = None
    likeness: bool = False

    @property
    def title(self) -> str:
        """How it is named while it runs."""
        words = {"raw": "", "polish": "", "filter": " with the rules in front"}[self.way]
        margin = "" if self.margin is None else f" at a margin of {self.margin:g}"
        wish = "+".join(name for name in WISHES if getattr(self, name))
        return self.generator + ("@" + wish if wish else "") + words + margin


@dataclass(frozen=True)
class Method:
    """A row of the comparison.

    `way`: "raw", what the generator proposes first, whatever it is worth; "filter", the first of its
    proposals that is valid and breaks no rule; "polish", its answer by `explain`: proposals
    verified, polished and selected, with the search as fallback. `run`: what has to be run for it, "raw"
    for a filtered row too, unless the generator can put the rules in front of itself (`filter_rules`). `hold`: its
    answers are asked to hold; all others are boundary answers. `likeness`: it prefers likeness, see `Limits`.
    """

    label: str
    generator: str
    way: Way
    run: Way
    hold: bool = False
    likeness: bool = False

    @property
    def asking(self) -> Asking:
        """What has to be run for it."""
        return Asking(self.generator, self.run, self.hold, likeness=self.likeness)


def methods(names: Sequence[str]) -> list[Method]:
    """The rows for generators as they are named on the command line.

    Our own are shown polished; a peer gets two rows, raw and filtered; `name+way` is that row alone. `name@hold` is
    the row of answers that are asked to hold, `name@likeness` that of answers that prefer likeness,
    `name@hold+likeness` both; always polished.
    Raises `InputError` for unknown generators and ways, and for a row that is named twice.
    """
    found: list[Method] = []
    ways: tuple[Way, ...]
    for text in names:
        shape, at, wish = text.partition("@")
        name, plus, wanted = shape.partition("+")
        if at and (wish not in (*WISHES, "+".join(WISHES)) or wanted not in ("", "polish")):
            raise InputError(
                f"generator {text!r} cannot be read; write {name}@hold for answers that are asked to hold, "
                f"{name}@likeness for such as are like real rows, or {name}@hold+likeness"
            )
        own_filter = "filter_rules" in generators.traits_of(generators.find(name)).takes
        if at:
            ways = ("polish",)
        elif not plus:
            ways = ("polish",) if name in OWN else ("raw", "filter")
        elif wanted in ("raw", "filter", "polish"):
            ways = (cast(Way, wanted),)
        else:
            raise InputError(f"generator {text!r}: the way {wanted!r} is unknown; use +raw, +filter, +polish or none")
        usual: Way = "polish" if name in OWN else "raw"
        for way in ways:
            shown = name.rpartition(":")[2] or name
            label = (shown if way == usual else f"{shown}+{way}") + (at + wish)
            run: Way = "raw" if way == "filter" and not own_filter else way
            found.append(Method(label, name, way, run, "hold" in wish, "likeness" in wish))
    labels = [method.label for method in found]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise InputError(f"generator {twice!r} is named twice; name it once")
    if not found:
        raise InputError("name at least one generator with --generators")
    return found


def is_reference(name: str) -> bool:
    """Whether a generator's name stands for the reference."""
    return generators.NAMES.get(name) == generators.NAMES.get(REFERENCE) is not None


def answers(
    task: Task, query: Query, factuals: pd.DataFrame, method: Method, chunks: Sequence[Chunk], n: int
) -> Counterfactuals:
    """The answers of a method to all requests, up to `n` each, judged; and a reason where there is none.

    `factuals`: index `query`, the number of the request; features, `predicted`, `probability`. Column `generator` is
    the method's label where its generator found the answer or nobody did, else the name of the fallback.
    """
    proposed = Candidates(
        np.concatenate([chunk.query for chunk in chunks]),
        np.concatenate([chunk.rows for chunk in chunks]),
        np.concatenate([chunk.reason for chunk in chunks]),
        np.concatenate([chunk.generator for chunk in chunks]),
    )
    verdict = verify(task, query, proposed)
    kept = (proposed.reason == "") & (verdict.good if method.way == "filter" else True)
    at = np.flatnonzero(kept)[np.argsort(proposed.query[kept], kind="stable")]
    place = np.arange(len(at)) - np.searchsorted(proposed.query[at], proposed.query[at])
    at, rank = at[place < n], place[place < n] + 1
    left = np.setdiff1d(np.arange(len(query)), proposed.query[at])
    seconds = np.zeros(len(query))
    for chunk in chunks:
        seconds[chunk.asked] = chunk.seconds / len(chunk.asked)

    # In a polished row, what stands under another name was found by the fallback.
    own = np.full(len(proposed), method.way != "polish") | (proposed.generator == method.generator)
    blank = Candidates.of(left, np.full((len(left), len(task.schema)), np.nan), method.label)
    blank = replace(blank, reason=_why_none(proposed, verdict.reason, left))
    shown = Judged.concat([Judged(proposed, verdict).take(at), judge(task, query, blank)])
    owner = shown.found.query
    order = np.argsort(owner, kind="stable")
    columns = vars(shown.verdict) | {
        "query": owner,
        "rank": np.concatenate([rank, np.zeros(len(left), int)]),
        "generator": np.concatenate([np.where(own[at], method.label, proposed.generator[at]), blank.generator]),
        "target": np.array(task.classes, dtype=object)[query.target[owner]],
        "seconds": seconds[owner],
    }
    columns = {name: values[order] for name, values in columns.items()}
    cost = _cost(chunks, len(query))
    stated = np.concatenate([chunk.stated for chunk in chunks])[at]
    if np.isfinite(stated).any():
        cost["stated"] = float(np.nanmean(stated))
    if method.way == "polish":
        cost["by_fallback"] = int((~own[at]).sum())
    cfs = Counterfactuals.of(task, factuals, columns, shown.found.rows[order], cost=cost, asked=method.label)
    # The verdict scores good rows only; here rows that break a rule are shown too.
    cfs.frame.loc[cfs.frame["rank"].notna(), "plausible"] = metrics.plausible(cfs, task).to_numpy() > 0
    return cfs


def _why_none(proposed: Candidates, reason: np.ndarray, left: Ints) -> np.ndarray:
    """Why each request of `left` has no answer: what the generator said, or what was refused."""
    out = np.full(len(left), "nothing was proposed", dtype=object)
    for place, request in enumerate(left):
        mine = np.flatnonzero(proposed.query == request)
        refused = mine[proposed.reason[mine] == ""]
        if len(refused):
            why = reason[refused[0]] or "is not in the target class"
            out[place] = f"no proposal is valid and breaks no rule ({len(refused)} refused; the first {why})"
        elif len(mine):
            out[place] = proposed.reason[mine[0]]
    return out


def _own(chunks: Sequence[Chunk]) -> dict[str, dict[str, int]]:
    """What a language model answered itself, as `model_own`; nothing where none was asked. Different answers are told
    apart within the part of the requests that one process answers."""
    total = np.sum([chunk.own for chunk in chunks], axis=0)
    if not len(chunks) or np.isnan(total).all():
        return {}
    return {"model_own": {name: int(count) for name, count in zip(COUNTS, total, strict=True) if not np.isnan(count)}}


def _cost(chunks: Sequence[Chunk], requests: int) -> dict[str, Any]:
    """What the method used: totals over all requests, and for building it."""
    return {
        "seconds": sum(chunk.seconds for chunk in chunks),
        "classifier_rows": sum(chunk.classifier_rows for chunk in chunks),
        "model_tokens": sum(chunk.tokens for chunk in chunks),
        **_own(chunks),
        "fit_seconds": max((chunk.fit_seconds for chunk in chunks), default=0.0),
        "fit_rows": max((chunk.fit_rows for chunk in chunks), default=0.0),
        "queries": requests,
    }
