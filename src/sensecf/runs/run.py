"""One run of `explain` from a table to a folder: split, fit, ask, measure, write.

The folder is complete when `run.json` is there. Until then `unfinished/` holds what was asked and
the batches that are done, and the same call goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
import platform
import time
from collections.abc import Callable, Collection, Hashable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

import numpy as np
import pandas as pd

from sensecf import generators, metrics
from sensecf.classifiers import storage
from sensecf.core.budget import BUDGET, spend
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.files import cache_folder, replacing, write_json
from sensecf.core.folder import FILES, UNFINISHED, claimed, named, remove
from sensecf.core.limits import Limits
from sensecf.core.people import days_of
from sensecf.core.query import Query
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Ints, Task
from sensecf.core.verify import verify
from sensecf.data.cells import shared_cells
from sensecf.data.privacy_gate import permission
from sensecf.generators import Context, traits_of
from sensecf.generators.choice import AUTO, choose
from sensecf.generators.own import OwnAnswers
from sensecf.generators.search import THOROUGH, Search
from sensecf.llm.language.prompting import Prompting, costs
from sensecf.metrics.model import own_rows
from sensecf.metrics.statistics import interval
from sensecf.pipeline.explain import check_search, explain
from sensecf.pipeline.held import NOT_HELD
from sensecf.pipeline.hold import Holding
from sensecf.pipeline.person import Wish
from sensecf.runs.experiment import (
    QUIETLY,
    Call,
    Experiment,
    Prepared,
    Setup,
    check_counts,
    experiment,
    prepared,
    record,
)
from sensecf.runs.facts import CountFacts, ModelTold, RunFacts, Share, Told
from sensecf.runs.nobody import of_nobody
from sensecf.runs.people import Asked, beside
from sensecf.runs.report.report import write_report

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

    from sensecf.data.card import Card
    from sensecf.llm.client import Client

#: At most so many queries show what the model does alone.
ALONE_QUERIES = 200
#: What a language model answered, in the run's folder; what was paid for is never removed.
LEDGER = "ledger.jsonl"


class Wishes(TypedDict):
    """What is asked of every answer, as arguments of `explain`."""

    n: int
    limits: Limits
    plausibility: float
    seed: int
    per: Literal["row", "person"]
    days: float


@dataclass(frozen=True)
class RunSpec:
    """What `sensecf explain` was asked; see its options.

    >>> sensecf.RunSpec(classifier="logistic", generator="search", limit=20).n
    1
    """

    classifier: str = "xgboost"
    classes: tuple[str, ...] = ()
    generator: str = AUTO
    target: str | None = None
    limit: int | None = None
    n: int = 1
    limits: Limits = field(default_factory=Limits)
    plausibility: float = 1.0
    seed: int = 0
    prompting: Prompting | None = None
    model: str | None = None
    private: bool = False
    epsilon: float = 3.0
    per: Literal["row", "person"] = "row"
    days: int | float = 0.5

    @property
    def setup(self) -> Setup:
        """What the experiment is made with."""
        return Setup(self.classifier, self.classes, self.target, seed=self.seed)

    @property
    def wishes(self) -> Wishes:
        """What is asked of every answer, as arguments of `explain`."""
        return {
            "n": self.n,
            "limits": self.limits,
            "plausibility": self.plausibility,
            "seed": self.seed,
            "per": self.per,
            "days": self.days,
        }


def run(
    frame: IntoDataFrame,
    schema: FeatureSchema,
    out: str | Path,
    request: RunSpec = RunSpec(),
    *,
    queries: IntoDataFrame | None = None,
    card: Card | None = None,
    call: Call = QUIETLY,
) -> tuple[Counterfactuals, pd.DataFrame, RunFacts]:
    """Explain a table into the folder `out`; returns the answers, the metrics and the facts of `run.json`.

    Without `queries`, 30 % of the rows (of the people where the schema names a group) are held out,
    and those that the classifier does not put in the target class are asked about; held-out rows
    reach no fit of any kind. With `queries`, every row of `frame` may train. `card` says whether rows may go to a
    language model elsewhere, and is copied into the folder. What a model answered stays in the folder, so that
    nothing is asked and paid for twice.
    Raises `InputError` for what cannot be used, before anything is written.

    >>> request = sensecf.RunSpec(classifier="logistic", generator="search", limit=4, limits=sensecf.Limits(hold=0))
    >>> answers, measures, facts = sensecf.run(data.frame, data.schema, folder / "plans", request)
    >>> (folder / "plans" / "report.html").is_file()
    True
    """
    check(request, schema)
    call = replace(call, notice=f"{call.notice} {request.limits.remark(schema)}".strip())
    request = replace(request, limits=request.limits.settled(schema), generator=_named(request))
    permission(call.engine.host, card, call.engine.allows)
    # Until it is known how many are asked about, "auto" stands for what needs nothing.
    generators.check(choose(request.generator, 0)[0], Context(model=request.model, prompting=request.prompting))
    table = _cells(prepared(frame, schema, request.setup, queries, card), request.private)
    [goal] = table.targets()
    asked = {**record(request), **table.record}
    folder = named(out)
    with claimed(folder, asked, call.overwrite), ExitStack() as stack:
        model = None
        if request.prompting is not None:
            model = stack.enter_context(request.prompting.model(folder / LEDGER, card, call.progress))
        began = time.perf_counter()
        made = experiment(table, call.progress)
        known, reliability = made.quality(goal)
        job = _ready(folder, request, made, model, call)
        fitted, rows = time.perf_counter() - began, made.task.rows_judged
        answers, people = _beside(job, _answers(job))
        call.progress("measuring", 0.0)
        told = _told(job, answers)
        facts: RunFacts = {
            **cast(RunFacts, asked),
            "target": goal,
            "train_rows": len(table.train),
            "queries_asked": len(job.at),
            **_counted(job),
            "versions": versions(),
            "seconds": {"fit": round(fitted, 3), "answers": round(answers.cost["seconds"], 3)},
            "classifier_rows": {"fit": rows, "answers": answers.cost["classifier_rows"]},
            "arguments": call.arguments,
            "reliability": [_plain(row) for row in reliability.round(6).to_dict(orient="records")],
            **told,
            **people,
            **_alone(job),
        }
        groups = made.people(job.at)
        scored = metrics.read(answers, made.task)
        own = [own_rows(told["own"])] if "own" in told else []
        summary = pd.concat([known, *own, metrics.summarise(scored, groups=groups, seed=request.seed)])
        _write(job, scored, summary, facts)
        call.progress("measuring", 1.0)
        return answers, summary, facts


def _named(request: RunSpec) -> str:
    """The generator that is asked: where plans are to be private, none that is chosen by how many are asked."""
    return "search" if request.private and request.generator == AUTO else request.generator


def _cells(table: Prepared, private: bool) -> Prepared:
    """The table, with a schema whose new values are shared by several people where plans are to be private."""
    return replace(table, schema=shared_cells(table.schema, table.train)) if private else table


@dataclass(frozen=True)
class _Job:
    """What the steps of a run share. `at`: positions of the held-out rows that are asked about; `why`: why this
    generator, where none was named."""

    folder: Path
    request: RunSpec
    made: Experiment
    at: Ints
    generator: Any
    model: Client | None
    call: Call
    why: str = ""

    @property
    def people(self) -> pd.DataFrame:
        """The raw rows that are asked about."""
        return self.made.table.held_out.iloc[self.at]


def _ready(folder: Path, request: RunSpec, made: Experiment, model: Client | None, call: Call) -> _Job:
    """The generator and the jury made, and the cost of a language model confirmed.

    Raises `InputError` where nobody is asked.
    """
    at = made.asked(request.limit)
    if request.limits.hold > 0:
        holding, target = made.task.once(Holding), made.task.target_position(made.target)
        holding.settle(None, request.seed, cache=cache_folder())
        holding.of(target, request.limits, lambda share: call.progress("jury", share))
    chosen, why = choose(request.generator, len(at), request.classifier)
    if request.per == "person":
        chosen, why = "search", ""
    learning = request.private and chosen == "tiny"
    if not learning:
        remove(folder, [BUDGET])
    context = Context(
        request.seed,
        request.plausibility,
        cache_folder(),
        call.progress,
        request.model,
        llm=model,
        prompting=request.prompting,
        card=made.table.card,
        options=_lessons(folder, request, made) if learning else {},
    )
    generator: Any = generators.build(chosen, made.task, context)
    job = _Job(folder, replace(request, generator=chosen), made, at, generator, model, call, why)
    if model is not None and request.prompting is not None:
        call.confirm(estimate(generator, model, request.prompting, _query(job)))
    return job


def _lessons(folder: Path, request: RunSpec, made: Experiment) -> Mapping[str, Any]:
    """What the embedded model learns from where plans are to be private: rows of nobody, paid for by `epsilon`."""
    nobody = of_nobody(made.table, request.epsilon)
    spend(folder, str(made.table.record["data"]), nobody.spent)
    return lessons(nobody.spent["release"], nobody.lessons)


def lessons(release: str, task: Callable[[], Task]) -> Mapping[str, Any]:
    """The option of the embedded model that learns from a release of noisy counts, told by its name."""
    from sensecf.generators.tiny.tiny import Lessons

    return {"lessons": Lessons(f"nobody {release}", task)}


def _counted(job: _Job) -> CountFacts:
    """Of how many people the rows asked about are, where that is known, and what a row is: "days" or "rows"."""
    found = job.made.counted(job.at)
    return {"people_asked": found.people, "rows_are": found.noun}


def _beside(job: _Job, answers: Counterfactuals) -> tuple[Counterfactuals, Told]:
    """The answers with plans for people and their controls beside them, where people have several rows."""
    request, made = job.request, job.made
    wish = Wish(request.days, request.n if request.per == "person" else 1, request.limits, request.plausibility)
    asked = Asked(made.task, job.people, made.target, wish, request.seed, days_of(made.whose))
    return beside(asked, answers)


def _answers(job: _Job) -> Counterfactuals:
    """What `explain` answers; finished batches are kept in the folder."""
    request, task, judged = job.request, job.made.task, job.made.judged
    # Finished batches are verdicts of one classifier: code of the user's own may have changed since.
    verdicts = hashlib.sha256(judged.proba.round(6).tobytes() + judged.predicted.tobytes()).hexdigest()
    remove(job.folder, FILES)
    return explain(
        task,
        job.generator,
        job.people,
        job.made.target,
        **request.wishes,
        fallback=Search(task, request.seed, effort=THOROUGH, plausibility=request.plausibility),
        strict=job.made.table.named,
        # A model's answers are in its ledger, and the record of them must be whole.
        checkpoint=None if job.model is not None else job.folder / "unfinished" / verdicts[:16],
        progress=lambda done, total: job.call.progress("answers", done / total),
        engine=job.call.engine,
    )


def _told(job: _Job, answers: Counterfactuals) -> Told:
    """What a reader must not miss, and which language model was asked; its tokens become a cost of the answers."""
    facts: Told = {"generator": job.request.generator}
    if job.why:
        facts["generator_why"] = job.why
    if job.call.notice:
        facts["notice"] = job.call.notice
    facts = {**facts, **held(answers)}
    if isinstance(job.generator, OwnAnswers):
        facts["own"] = job.generator.own()
    if job.model is not None:
        model = cast(ModelTold, {**job.generator.facts(), "cost": costs(job.model)})
        facts["model"] = model
        answers.cost["model_tokens"] = model["tokens_in"] + model["tokens_out"]
    return facts


def held(answers: Counterfactuals) -> Told:
    """What is said of plans that hold: what the jury is, how many plans hold, or why there is no jury."""
    if "no_jury" in answers.cost:
        return {"no_jury": f"{answers.cost['no_jury']}; the plans are boundary answers"}
    if "hold" not in answers.cost:
        return {}
    told = answers.cost["hold"]
    moved = answers.answers[answers.answers["n_changed"] > 0]
    fell = int(answers.abstentions["reason"].str.startswith(NOT_HELD).sum())
    headline = (
        f"{len(moved):,} plans hold in at least {told['hold']:.0%} of {told['counting']} refits that took no part in "
        f"finding them; {fell:,} more would not, and are left out."
    )
    return {"jury": {**told, "plans": len(moved), "left_out": fell, "headline": headline}}


def estimate(generator: Any, model: Client, prompting: Prompting, query: Query) -> str:
    """What asking the model costs at most, in words; answers that are in the ledger cost nothing."""
    questions = generator.questions(query)
    first = model.estimate(
        [question.prompt for question in questions],
        prompting.samples,
        json_schemas=[question.json_schema for question in questions] if prompting.constrained else None,
        **generator.sampling,
    )
    more = prompting.rounds
    return f"{first}" + (f"; and up to {more} more rounds, of the same size at most, for what fails" if more else "")


def _query(job: _Job) -> Query:
    """The query for those who are asked about and lie within the schema's ranges."""
    made = job.made
    limits = made.task.once(Holding).asked(made.task.target_position(made.target), job.request.limits)
    return limits.query(made.task, made.table.held_out.iloc[job.at[made.inside[job.at]]], made.target)


def check(request: RunSpec, schema: FeatureSchema) -> None:
    """Raise `InputError` for an option that no run can have."""
    check_counts(n=request.n, limit=request.limit, seed=request.seed)
    if not 0 < request.epsilon < math.inf:
        raise InputError(f"--epsilon must be a positive number, not {request.epsilon}")
    if not 0 <= request.plausibility < math.inf:
        raise InputError(f"--plausibility must be 0 or a positive number, not {request.plausibility}")
    request.limits.check(schema)
    if request.per == "person":
        check_search("search" if request.generator == AUTO else request.generator)
        Wish(request.days, request.n)
        if schema.person is None:
            raise InputError("--per person needs to know whose row each is; name the column as person in the schema")
    if all(not f.changeable or f.name in request.limits.lock for f in schema.features):
        raise InputError("nothing may change: every feature is immutable, protected or locked; leave one to be changed")


def _plain(row: Mapping[Hashable, float]) -> dict[str, float | None]:
    """A row for JSON: NaN as null."""
    return {str(key): None if value != value else value for key, value in row.items()}


def _alone(job: _Job) -> Told:
    """What the model does alone: one greedy answer, unverified, with nothing locked and with half locked."""
    if not traits_of(job.generator).greedy:
        return {}
    made, task = job.made, job.made.task
    query, at = _query(job).take(slice(ALONE_QUERIES)), job.at[made.inside[job.at]][:ALONE_QUERIES]
    rng = np.random.default_rng([job.request.seed, 2])
    locked = replace(query, movable=query.movable & (rng.random(query.movable.shape) < 0.5))
    found = Search(task, plausibility=job.request.plausibility).propose(locked, rng)
    answerable = np.unique(found.query[found.reason == ""])
    groups = made.people(at)
    people = at if groups is None else groups.to_numpy()

    def share(asked: Query, who: np.ndarray) -> Share:
        good = verify(task, asked, job.generator.greedy(asked)).good
        low, high = (None if math.isnan(end) else end for end in interval(good, who, share=True))
        return {
            "value": float(good.mean()) if len(good) else None,
            "low": low,
            "high": high,
            "n": len(good),
            "people": len(set(who.tolist())),
        }

    return {
        "model_alone": {
            "valid, one greedy answer": share(query, people),
            "valid, one greedy answer, half of the features locked at random": share(
                locked.take(answerable), people[answerable]
            ),
        }
    }


def _write(job: _Job, scored: metrics.Scored, summary: pd.DataFrame, facts: RunFacts) -> None:
    """Everything that a run leaves, `run.json` last."""
    folder, task, spec, answers = job.folder, job.made.task, job.request.classifier, scored.cfs
    answers.save(folder)
    if "person" in job.made.whose and not job.made.table.named:
        with replacing(folder / "held_out.csv") as path:
            job.made.days.to_csv(path, index_label="query")
    if job.made.table.card is not None:
        job.made.table.card.save(folder)
    write_json(folder / "metrics.json", metrics.to_json(summary))
    storage.save_task(task, folder / "task", spec if ":" in spec else None)
    if job.request.limits.hold > 0:
        task.once(Holding).save(folder / "task")
    if traits_of(job.generator).saves:
        job.generator.save(folder / "task" / job.generator.name)
    extra = {}
    if job.request.prompting is not None:
        with replacing(folder / "model_answers.csv") as path:
            job.generator.answers(job.people).to_csv(path, index=False)
        model = facts["model"]
        if isinstance(model, dict) and model["rounds"]:
            extra["Answers of the language model, by round (0 is the first)"] = pd.DataFrame(model["rounds"])
    write_report(folder, scored, summary, facts, extra, None if job.made.table.named else job.made.days)
    attempts = answers.attempts.to_dict(orient="records")
    write_json(folder / "run.json", {**facts, "attempts": [{**a, "count": int(a["count"])} for a in attempts]})
    remove(folder, UNFINISHED)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages a result depends on."""
    found = {"python": platform.python_version()}
    for name in ("sensecf", "numpy", "pandas", "scikit-learn", "scipy", "xgboost-cpu", "xgboost", "torch"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def load_task(
    directory: str | Path, classifier: Any = None, trusted: Collection[str] = (), trust: bool = False
) -> Task:
    """The task of a run folder, or of its `task` folder; no pickle is read.

    `classifier`: the classifier, where it could not be saved. `trusted`: names of types beyond
    scikit-learn and XGBoost that a saved classifier may be built from. `trust`: whoever made the folder is trusted;
    otherwise the classifier of a folder that was not written here is looked into first.
    Raises `InputError` when there is no task, it is damaged, or holds types that are not trusted.

    >>> sensecf.save_task(task, folder / "kept")
    >>> sensecf.load_task(folder / "kept").schema == task.schema
    True
    """
    directory = Path(directory)
    inside = directory / "task"
    inside = inside if inside.is_dir() else directory
    task = storage.load_task(inside, classifier, trusted, trust)
    task.once(Holding).attach(inside, trust)
    return task
