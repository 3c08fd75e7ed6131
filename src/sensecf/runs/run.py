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
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf import generators, metrics
from sensecf.classifiers import storage
from sensecf.classifiers.fit import check_answers, fit_classifier
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.files import cache_folder, replacing, write_json
from sensecf.core.folder import FILES, UNFINISHED, claimed, named, remove
from sensecf.core.limits import Limits
from sensecf.core.parallel import LOCAL, Engine
from sensecf.core.query import Query, out_of_range
from sensecf.core.schema import FeatureSchema, Value
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.data.prepare import prepare
from sensecf.data.privacy_gate import permission
from sensecf.generators import Context, traits_of
from sensecf.generators.search import THOROUGH, Search
from sensecf.llm.language.prompting import Prompting, costs
from sensecf.metrics.statistics import interval
from sensecf.pipeline.explain import explain
from sensecf.runs.report.report import write_report
from sensecf.version import __version__

if TYPE_CHECKING:
    from sensecf.data.card import Card
    from sensecf.llm.client import Client

#: At most so many queries show what the model does alone.
ALONE_QUERIES = 200
#: What a language model answered, in the run's folder; what was paid for is never removed.
LEDGER = "ledger.jsonl"

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Request:
    """What `sensecf explain` was asked; see its options."""

    classifier: str = "xgboost"
    classes: tuple[str, ...] = ()
    generator: str = "tiny"
    target: str | None = None
    limit: int | None = None
    n: int = 1
    limits: Limits = field(default_factory=Limits)
    plausibility: float = 1.0
    seed: int = 0
    prompting: Prompting | None = None
    model: str | None = None

    @property
    def wishes(self) -> dict[str, Any]:
        """What is asked of every answer, as arguments of `explain`."""
        return {name: getattr(self, name) for name in ("n", "limits", "plausibility", "seed")}


def run(
    frame: pd.DataFrame,
    schema: FeatureSchema,
    out: str | Path,
    request: Request = Request(),
    *,
    queries: pd.DataFrame | None = None,
    card: Card | None = None,
    overwrite: bool = False,
    notice: str = "",
    arguments: dict[str, Any] | None = None,
    progress: Progress | None = None,
    confirm: Callable[[str], None] = lambda estimate: None,
    engine: Engine = LOCAL,
) -> tuple[Counterfactuals, pd.DataFrame, dict[str, Any]]:
    """Explain a table into the folder `out`; returns the answers, the metrics and the facts of `run.json`.

    Without `queries`, 30 % of the rows (of the people where the schema names a group) are held out,
    and those that the classifier does not put in the target class are asked about; held-out rows
    reach no fit of any kind. With `queries`, every row of `frame` may train.
    `progress(phase, share)` is told how far each phase is. `card` says whether rows may go to a
    language model elsewhere, and is copied into the folder; before a model is asked, `confirm` is
    told what that costs at most, and may raise. Its answers stay in the folder, so that nothing is
    asked and paid for twice. `engine`: where the answers are worked out, which changes none of them.
    Raises `InputError` for what cannot be used, before anything is written.
    """
    check(request, schema)
    notice = f"{notice} {request.limits.remark(schema)}".strip()
    request = replace(request, limits=request.limits.settled(schema))
    permission(engine.host, card, engine.allows)
    goal = schema.goal(request.target)
    generators.check(request.generator, Context(model=request.model, prompting=request.prompting))
    frame, train, held_out = prepare(frame, schema, queries, request.seed)
    if goal not in train[schema.label].tolist():
        raise InputError(f"class {goal!r} has no row to learn from; name another --target or add rows of that class")
    asked = {
        **record(request),
        "data": storage.data_hash(frame),
        "schema": hashlib.sha256(schema.to_toml().encode()).hexdigest(),
        "sensecf": __version__,
    }
    if queries is not None:
        asked["queries"] = storage.data_hash(held_out)
    folder, say = named(out), progress or (lambda phase, share: None)
    with claimed(folder, asked, overwrite), ExitStack() as stack:
        model = None
        if request.prompting is not None:
            model = stack.enter_context(request.prompting.model(folder / LEDGER, card, say))
        began = time.perf_counter()
        say("classifier", 0.0)
        classifier = fit_classifier(request.classifier, schema, train, seed=request.seed, classes=request.classes)
        task = Task(schema, train, classifier)
        check_answers(task, held_out)
        say("classifier", 1.0)
        judged = task.judge(task.codec.encode(held_out), final=True)
        # Finished batches are verdicts of one classifier: code of the user's own may have changed since.
        answers_now = hashlib.sha256(judged.proba.round(6).tobytes() + judged.predicted.tobytes())
        known, reliability = metrics.unknown(), pd.DataFrame()
        if queries is None:
            known, reliability = metrics.quality(task, held_out, goal, request.seed)
            held_out = held_out[judged.predicted != task.target_position(goal)]
        if request.limit is not None:
            held_out = held_out.head(request.limit)
        if held_out.empty:
            raise InputError(
                f"nobody to ask about: the classifier puts every held-out row in {goal!r} already; name --queries"
            )

        generator: Any = generators.build(
            request.generator,
            task,
            Context(
                request.seed, request.plausibility, cache_folder(), say, request.model, llm=model,
                prompting=request.prompting, card=card,
            ),
        )  # fmt: skip
        fallback = Search(task, request.seed, effort=THOROUGH, plausibility=request.plausibility)
        if model is not None and request.prompting is not None:
            confirm(estimate(generator, model, request.prompting, _asked(task, held_out, goal, request)[0]))
        ready = time.perf_counter()
        rows_before = task.rows_judged
        remove(folder, FILES)
        answers = explain(
            task,
            generator,
            held_out,
            goal,
            **request.wishes,
            fallback=fallback,
            strict=queries is not None,
            # A model's answers are in its ledger, and the record of them must be whole.
            checkpoint=None if model is not None else folder / "unfinished" / answers_now.hexdigest()[:16],
            progress=lambda done, total: say("answers", done / total),
            engine=engine,
        )
        say("measuring", 0.0)
        facts: dict[str, Any] = {
            **asked,
            "target": goal,
            "classifier": request.classifier,
            "generator": request.generator,
            "train_rows": len(train),
            "queries_asked": len(held_out),
            "versions": versions(),
            "seconds": {"fit": round(ready - began, 3), "answers": round(answers.cost["seconds"], 3)},
            "classifier_rows": {"fit": rows_before, "answers": answers.cost["classifier_rows"]},
            "arguments": arguments or {},
            "reliability": [_plain(row) for row in reliability.round(6).to_dict(orient="records")],
        }
        if notice:
            facts["notice"] = notice
        if model is not None:
            facts["model"] = {**generator.facts(), "cost": costs(model)}
            answers.cost["model_tokens"] = facts["model"]["tokens_in"] + facts["model"]["tokens_out"]
        facts |= _alone(task, generator, held_out, goal, request)
        groups = None if schema.group is None or schema.group not in held_out else held_out[schema.group]
        scored = metrics.read(answers, task)
        summary = pd.concat([known, metrics.summarise(scored, groups=groups, seed=request.seed)])
        _write(folder, scored, summary, facts, request, generator, held_out, card)
        say("measuring", 1.0)
        return answers, summary, facts


def record(request: Any) -> dict[str, Any]:
    """What a request says, as it stands in `run.json`: its limits each under its own name."""
    found = asdict(request)
    found |= found.pop("limits")
    if found["prompting"] is None:
        del found["prompting"]
    return found


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


def _asked(task: Task, held_out: pd.DataFrame, goal: Value, request: Request) -> tuple[Query, np.ndarray]:
    """The query for those of `held_out` that lie within the schema's ranges, and their positions."""
    outside = out_of_range(task.codec, task.codec.encode(held_out), held_out)
    keep = np.array([i for i in range(len(held_out)) if i not in outside], dtype=np.intp)
    return request.limits.query(task, held_out.iloc[keep], goal), keep


def check(request: Request, schema: FeatureSchema) -> None:
    """Raise `InputError` for an option that no run can have."""
    for option, value in (("-n", request.n), ("--limit", request.limit)):
        if value is not None and value < 1:
            raise InputError(f"{option} must be at least 1, not {value}")
    if not 0 <= request.plausibility < math.inf:
        raise InputError(f"--plausibility must be 0 or a positive number, not {request.plausibility}")
    if not 0 <= request.seed < 2**32:
        raise InputError(f"--seed must lie between 0 and {2**32 - 1}, not {request.seed}")
    request.limits.check(schema)
    if all(not f.changeable or f.name in request.limits.lock for f in schema.features):
        raise InputError("nothing may change: every feature is immutable, protected or locked; leave one to be changed")


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """A row for JSON: NaN as null."""
    return {str(key): None if value != value else value for key, value in row.items()}


def _alone(task: Task, generator: Any, held_out: pd.DataFrame, goal: Any, request: Request) -> dict[str, Any]:
    """What the model does alone: one greedy answer, unverified, with nothing locked and with half locked."""
    if not traits_of(generator).greedy:
        return {}
    query, keep = _asked(task, held_out, goal, request)
    query, keep = query.take(slice(ALONE_QUERIES)), keep[:ALONE_QUERIES]
    rng = np.random.default_rng([request.seed, 2])
    locked = replace(query, movable=query.movable & (rng.random(query.movable.shape) < 0.5))
    found = Search(task, plausibility=request.plausibility).propose(locked, rng)
    answerable = np.unique(found.query[found.reason == ""])

    group = task.schema.group
    people = keep if group is None or group not in held_out else held_out[group].to_numpy()[keep]

    def share(asked: Query, who: np.ndarray) -> dict[str, Any]:
        good = verify(task, asked, generator.greedy(asked)).good
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


def _write(
    folder: Path,
    scored: metrics.Scored,
    summary: pd.DataFrame,
    facts: dict[str, Any],
    request: Request,
    generator: Any,
    held_out: pd.DataFrame,
    card: Card | None,
) -> None:
    answers, task = scored.cfs, scored.task
    answers.save(folder)
    task.schema.to_toml(folder / "schema.toml")
    if card is not None:
        card.save(folder)
    write_json(folder / "metrics.json", metrics.to_json(summary))
    storage.save_task(task, folder / "task", request.classifier if ":" in request.classifier else None)
    if traits_of(generator).saves:
        generator.save(folder / "task" / generator.name)
    extra = {}
    if request.prompting is not None:
        with replacing(folder / "model_answers.csv") as path:
            generator.answers(held_out).to_csv(path, index=False)
        if facts["model"]["rounds"]:
            rounds = pd.DataFrame(facts["model"]["rounds"])
            extra["Answers of the language model, by round (0 is the first)"] = rounds
    write_report(folder, scored, summary, facts, extra)
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
    """
    directory = Path(directory)
    inside = directory / "task"
    return storage.load_task(inside if inside.is_dir() else directory, classifier, trusted, trust)
