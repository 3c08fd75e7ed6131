"""A finished run as a cohort: its days, whose they are, their plans, and the judges that pick and that count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sensecf.classifiers.jury import Jury, fingerprint
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.files import cache_folder
from sensecf.core.limits import Limits
from sensecf.core.people import Called, called
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.pipeline.hold import COUNTING, Held, Holding
from sensecf.pipeline.programme.find import Cohort, Judges
from sensecf.runs.finished import facts_of, load_run, request_of
from sensecf.runs.run import load_task

#: Added to the seed of a run for the refits that only count programmes: no refit of the run is among them.
APART = 500_000_003


@dataclass(frozen=True)
class Opened:
    """A run as programmes see it.

    `names`: of people, by their number; `index` (n,): the run's name of each day; `reasons`: why a day has no plan of
    its own, by that name; `notice`, `target`: what the run says; `held`: its jury, None where there is none, and
    `no_jury` says why.
    """

    cohort: Cohort
    answers: Counterfactuals
    names: list[str]
    index: pd.Index[Any]
    reasons: dict[Any, str]
    limits: Limits
    target: str
    notice: str
    seed: int
    held: Held | None
    no_jury: str

    @property
    def task(self) -> Task:
        """The task of the run."""
        return self.cohort.task

    @property
    def called(self) -> Called:
        """What those of the run and their rows are called."""
        days = called(self.answers.factuals)
        return days if len(self.names) == len(self.index) else days._replace(many="people")


def opened(
    folder: Path, classifier: str | None = None, trust: bool = False, people: pd.Series[Any] | None = None
) -> Opened:
    """The days of a run that are not in the target class, with their plans.

    `people`: whose each row of the run is, by the run's name of the row; by default what the run itself says (column
    `person`), and without that each row is a person of their own. Raises `InputError` where there is no run, or nobody
    is asked about.
    """
    facts = facts_of(folder)
    request = request_of(facts)
    task = load_task(folder, classifier, trust=trust)
    answers = load_run(folder)
    position = task.target_position(facts["target"])
    goal = task.classes[position]
    factuals = answers.factuals[answers.factuals["predicted"] != goal]
    refused = set(answers.abstentions["query"][answers.abstentions["generator"] == "none"])
    factuals = factuals[~factuals.index.isin(list(refused))]
    if factuals.empty:
        raise InputError(f"{folder} asks about nobody outside of {goal!r}: there is nothing to make a programme for")
    limits = request.limits.resolved(task.schema)
    query = Query.of_rows(task, task.codec.encode(factuals), goal, limits)
    holding = task.once(Holding)
    held = holding.of(position, limits)
    acts, shown = answers.acts, answers.answers
    mine = ((shown["n_changed"] > 0) & shown["query"].isin(factuals.index)).to_numpy()
    who = _people(factuals, people)
    numbers, names = pd.factorize(who, sort=True)
    return Opened(
        Cohort(
            task,
            query,
            numbers,
            task.codec.encode(shown[mine]),
            factuals.index.get_indexer(pd.Index(shown["query"][mine])),
            acts[mine],
        ),
        answers,
        [str(name) for name in names],
        factuals.index,
        dict(zip(answers.abstentions["query"], answers.abstentions["reason"], strict=True)),
        limits,
        str(task.schema.meaning(goal)),
        str(facts.get("notice", "")),
        request.seed,
        held,
        "" if held is not None else holding.problem or "the run was not asked for plans that hold",
    )


def _people(factuals: pd.DataFrame, people: pd.Series[Any] | None) -> pd.Series[Any]:
    """Whose each row is, as text."""
    if people is not None:
        found = people.reindex(factuals.index)
        if found.isna().any():
            raise InputError(
                f"nobody is named for row {factuals.index[int(found.isna().to_numpy().argmax())]} of the run"
            )
        return found.astype(str)
    said = factuals["person"].fillna("").astype(str) if "person" in factuals else pd.Series("", index=factuals.index)
    return said.where(said != "", pd.Series([f"row {name}" for name in factuals.index], index=factuals.index))


def judges(run: Opened, say: Callable[[float], None] = lambda share: None) -> Judges:
    """Who picks: the half of the run's jury that may take part in finding plans; who counts: as many refits as the run
    counts plans with, fitted anew and kept in the cache. Nobody where the run has no jury."""
    if run.held is None:
        say(1.0)
        return Judges()
    held, task, seed = run.held, run.task, run.seed + APART
    mark = fingerprint(task, held.jury.change, seed)
    folder = cache_folder() / f"jury-{mark}"
    count = min(COUNTING, held.counting)
    fresh = Jury.load(folder, task, mark)
    if fresh is None or len(fresh) != count:
        fresh = Jury.fit(task, held.jury.change, count, seed, say)
        folder.mkdir(parents=True, exist_ok=True)
        fresh.save(folder, mark)
    say(1.0)
    return Judges(held.jury.judges[: held.raising], fresh.judges, held.hold)
