"""`compare`: generators side by side on the same queries, classifier, schema and seeds, into a folder.

The folder is complete when `run.json` is there. Until then `unfinished/` holds what each method has
answered, and the same call goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf import generators, metrics
from sensecf.classifiers import storage
from sensecf.classifiers.fit import check_answers, fit_classifier
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json
from sensecf.core.folder import FILES, UNFINISHED, claimed, named, remove
from sensecf.core.limits import Limits
from sensecf.core.query import Query, out_of_range
from sensecf.core.schema import FeatureSchema, Value
from sensecf.core.task import Classifier, Ints, Task
from sensecf.data.prepare import prepare
from sensecf.generators import Context
from sensecf.llm.language.prompting import Prompting
from sensecf.runs.compare.isolate import CHUNK, TimeLimits, ask
from sensecf.runs.compare.methods import REFERENCE, Method, Way, answers, is_reference, methods
from sensecf.runs.compare.scores import Scores, score
from sensecf.runs.compare.worker import Chunk
from sensecf.runs.run import LEDGER, cache_folder, estimate, record, versions
from sensecf.version import __version__

if TYPE_CHECKING:
    from sensecf.data.card import Card

#: Files of a comparison beside those that it has in common with a run.
OWN_FILES = ("table.csv", "table.md", "comparisons.csv", "figures/*.svg")
#: Families of classifiers that judge answers, the first three that are not the explained one.
JUDGES = ("random-forest", "svm", "mlp", "logistic", "xgboost")
#: Retrained models of each kind of change that answers are held against.
RETRAINED = 2
#: Packages whose versions a comparison depends on beside those of a run.
PEERS = ("dice-ml", "treecf")

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Request:
    """What `sensecf compare` was asked; see its options."""

    generators: tuple[str, ...]
    classifier: str = "xgboost"
    classes: tuple[str, ...] = ()
    target: str | None = None
    each_class: bool = False
    limit: int | None = None
    n: int = 1
    limits: Limits = field(default_factory=Limits)
    seconds_per_query: float = 10.0
    time_limit: float = 600.0
    seed: int = 0
    prompting: Prompting | None = None
    model: str | None = None


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    `requests`: index `query`, the number of the request; columns `query` (its name in the table),
    `source` (the class predicted), `target`, `group`. `answers`: by method; their queries are numbers of
    requests. `facts`: what `run.json` says.
    """

    task: Task
    query: Query
    requests: pd.DataFrame
    methods: list[Method]
    answers: dict[str, Counterfactuals]
    scores: Scores
    facts: dict[str, Any]


def compare(
    frame: pd.DataFrame,
    schema: FeatureSchema,
    out: str | Path,
    request: Request,
    *,
    queries: pd.DataFrame | None = None,
    card: Card | None = None,
    overwrite: bool = False,
    notice: str = "",
    arguments: dict[str, Any] | None = None,
    progress: Progress | None = None,
    confirm: Callable[[str], None] = lambda estimate: None,
) -> Comparison:
    """Compare generators on a table, into the folder `out`.

    Without `queries`, 30 % of the rows (of the people) are held out and those that the classifier does
    not put in the target class are asked about; with `each_class`, towards every class. Each method runs
    in a process of its own under the time limits; its failures are answers with a reason.
    `progress(phase, share)` is told how far each phase is. `card`, `confirm`: see `run.run`; what a language
    model answers is kept in the folder's ledger.
    Raises `InputError` for what cannot be used, before anything is written.
    """
    _check(request, schema)
    notice = f"{notice} {request.limits.remark(schema)}".strip()
    request = replace(request, limits=request.limits.settled(schema))
    shown = methods(request.generators)
    for method in shown:
        generators.check(method.generator, Context(model=request.model, prompting=request.prompting))
    frame, train, held_out = prepare(frame, schema, queries, request.seed)
    targets = _targets(request, schema, train)
    asked = {
        **record(request),
        "data": storage.data_hash(frame),
        "schema": hashlib.sha256(schema.to_toml().encode()).hexdigest(),
        "sensecf": __version__,
        "command": "compare",
    }
    if queries is not None:
        asked["queries"] = storage.data_hash(held_out)
    folder, say = named(out), progress or (lambda phase, share: None)
    with claimed(folder, asked, overwrite):
        began = time.perf_counter()
        say("classifier", 0.0)
        task = Task(
            schema, train, fit_classifier(request.classifier, schema, train, seed=request.seed, classes=request.classes)
        )
        check_answers(task, held_out)
        requests, factuals, query, skipped = _requests(task, held_out, targets, request)
        say("classifier", 1.0)
        remove(folder, [*FILES, *OWN_FILES])
        spec = request.classifier if ":" in request.classifier else None
        storage.save_task(task, folder / "task", spec)
        model = _model_facts(folder, task, query, request, card, shown, confirm)
        reference = _reference(shown)
        wanted = [(m.generator, m.run) for m in (*shown, *([reference] if reference else []))]
        chunks = {key: _ask(folder, task, query, request, card, key, say) for key in dict.fromkeys(wanted)}

        say("measuring", 0.0)
        found = {m.label: answers(task, query, factuals, m, chunks[m.generator, m.run], request.n) for m in shown}
        nearest = None
        if reference is not None:
            nearest = answers(task, query, factuals, reference, chunks[reference.generator, "raw"], 1)
        models, remark = _retrained(task, request.seed)
        judges = None if queries is not None else _judges(request, schema, held_out, requests["place"])
        scores = score(
            found, task, query, requests["direction"], requests["group"] if schema.group else None,
            reference=nearest, judges=judges, models=models, seed=request.seed,
        )  # fmt: skip
        facts: dict[str, Any] = {
            **asked,
            "targets": targets,
            "quality": _quality(task, None if queries is not None else held_out, targets, request.seed),
            "reference": reference and reference.generator,
            "train_rows": len(train),
            "requests": len(requests),
            "people": int(requests["group"].nunique()) if schema.group else None,
            "skipped": skipped,
            "retrained_models": remark or len(models or {}),
            "versions": versions() | _peer_versions(),
            "seconds": round(time.perf_counter() - began, 1),
            "arguments": arguments or {},
            "methods": {m.label: found[m.label].cost for m in shown},
            **model,
        }
        if notice:
            facts["notice"] = notice
        made = Comparison(task, query, requests, shown, found, scores, facts)
        _write(folder, made)
        say("measuring", 1.0)
        return made


def _reference(shown: Sequence[Method]) -> Method | None:
    """The method behind `success_at_3`: as it proposes, asked for or not; none where it is not installed."""
    named = [m.generator for m in shown if is_reference(m.generator)] or [REFERENCE][: REFERENCE in generators.NAMES]
    return Method(REFERENCE, named[0], "raw", "raw") if named else None


def _check(request: Request, schema: FeatureSchema) -> None:
    """Raise `InputError` for an option that no comparison can have."""
    for option, value in (("-n", request.n), ("--limit", request.limit)):
        if value is not None and value < 1:
            raise InputError(f"{option} must be at least 1, not {value}")
    for option, seconds in (("--seconds-per-query", request.seconds_per_query), ("--time-limit", request.time_limit)):
        if not 0 < seconds < float("inf"):
            raise InputError(f"{option} must be a positive number of seconds, not {seconds:g}")
    if not 0 <= request.seed < 2**32:
        raise InputError(f"--seed must lie between 0 and {2**32 - 1}, not {request.seed}")
    if request.each_class and request.target is not None:
        raise InputError("--target and --each-class exclude each other; give one of them")
    request.limits.check(schema)


def _targets(request: Request, schema: FeatureSchema, train: pd.DataFrame) -> list[Value]:
    """The classes to ask for. Raises `InputError` when there is none, or no row to learn it from."""
    target = request.target if request.target is not None else schema.target
    if request.each_class:
        wanted = list(schema.classes)
    elif target is None:
        raise InputError(f"name a target class (--target) or give --each-class; the classes are {schema.said_classes}")
    else:
        wanted = [schema.find_class(target)]
    known = train[schema.label].unique().tolist()
    for goal in wanted:
        if goal not in known:
            raise InputError(f"class {goal!r} has no row to learn from; name another --target or add rows of it")
    return wanted


def _requests(
    task: Task, held_out: pd.DataFrame, targets: Sequence[Value], request: Request
) -> tuple[pd.DataFrame, pd.DataFrame, Query, dict[str, int]]:
    """Whom every method is asked about: the requests, their factuals and query; and who is left out, by reason.

    Raises `InputError` when nobody is left.
    """
    rows = task.codec.encode(held_out)
    judged = task.judge(rows, final=True)
    inside = np.ones(len(rows), dtype=bool)
    inside[list(out_of_range(task.codec, rows, held_out))] = False
    skipped = {"outside the schema's ranges": int((~inside).sum()), "already in the target class": 0}
    at, queries = [], []
    for goal in targets:
        position = task.target_position(goal)
        there = inside & (judged.predicted == position)
        open_rows = np.flatnonzero(inside & ~there)
        skipped["already in the target class"] += int(there.sum())
        if request.limit is not None and len(open_rows) > request.limit:
            rng = np.random.default_rng([request.seed, position])
            open_rows = np.sort(rng.choice(open_rows, request.limit, replace=False))
        if len(open_rows):
            queries.append(Query.of_rows(task, rows[open_rows], goal, request.limits))
            at.append(open_rows)
    if not at:
        raise InputError("nobody to ask about: every row is in the target class already; name --queries or --target")
    query = Query(**{f.name: np.concatenate([getattr(q, f.name) for q in queries]) for f in fields(Query)})
    place = np.concatenate(at)
    classes = np.array(task.classes, dtype=object)
    group = held_out[task.schema.group].to_numpy()[place] if task.schema.group in held_out else np.nan
    source, target = classes[judged.predicted[place]], classes[query.target]
    requests = pd.DataFrame(
        {"name": held_out.index.to_numpy()[place], "source": source, "target": target, "place": place}
    )
    requests = requests.assign(group=group).rename_axis("query")
    requests["direction"] = [f"{a} → {b}" for a, b in zip(source, target, strict=True)]
    factuals = task.codec.decode(query.rows, nullable=True).rename_axis("query")
    probability = judged.proba[place, query.target].round(6)
    return requests, factuals.assign(predicted=source, probability=probability), query, skipped


def _model_facts(
    folder: Path, task: Task, query: Query, request: Request, card: Card | None, shown: Sequence[Method],
    confirm: Callable[[str], None],
) -> dict[str, Any]:  # fmt: skip
    """Which language model is asked, after `confirm` has heard what that costs at most; {} where none is.

    Raises `InputError` where it cannot be asked, or not about these rows.
    """
    if request.prompting is None:
        return {}
    with request.prompting.model(folder / LEDGER, card, lambda phase, share: None) as model:
        context = Context(request.seed, llm=model, prompting=request.prompting, card=card)
        names = {m.generator for m in shown if "llm" in generators.traits_of(generators.find(m.generator)).needs}
        for name in sorted(names):
            confirm(f"{name}: {estimate(generators.build(name, task, context), model, request.prompting, query)}")
        return {"model": {"name": model.name, "host": model.host or "this process"}}


def _ask(
    folder: Path, task: Task, query: Query, request: Request, card: Card | None, key: tuple[str, Way], say: Progress
) -> list[Chunk]:
    """What one generator answers, in a process of its own."""
    generator, way = key
    # Finished chunks are verdicts on one classifier: code of the user's own may have changed since.
    probe = task.judge(task.rows[:200]).proba.round(6).tobytes() + query.rows.tobytes()
    mark = hashlib.sha256(repr(key).encode() + probe).hexdigest()[:16]
    place = folder / "unfinished" / mark
    stored = place / "batch-query.npz"
    with replacing(stored) as temporary:
        np.savez(temporary, **{f.name: getattr(query, f.name) for f in fields(Query)})
    job = {
        "task": str(folder / "task"), "trusted": [request.classifier], "query": str(stored), "out": str(place),
        "generator": generator, "polish": way == "polish", "n": request.n, "seed": request.seed,
        "options": {"filter_rules": True} if way == "filter" else {}, "cache": str(cache_folder()),
        "model": request.model, "ledger": str(folder / LEDGER), "card": card and asdict(card),
        "prompting": request.prompting and asdict(request.prompting),
        "limits": request.limits.to_dict(),
    }  # fmt: skip
    limits = TimeLimits(request.seconds_per_query, request.time_limit)
    title = generator + (" with the rules in front" if way == "filter" else "")
    say(title, 0.0)
    made = ask(job, _chunks(query, way == "polish"), len(task.schema), limits, lambda share: say(title, share))
    say(title, 1.0)
    return made


def _chunks(query: Query, polish: bool) -> list[Ints]:
    """The requests that are asked in one call: all of a target through `explain`, else some at a time."""
    numbers = np.arange(len(query))
    by_target = [numbers[query.target == target] for target in np.unique(query.target)]
    if polish:
        return by_target
    return [part[start : start + CHUNK] for part in by_target for start in range(0, len(part), CHUNK)]


def _judges(
    request: Request, schema: FeatureSchema, held_out: pd.DataFrame, place: pd.Series[int]
) -> dict[str, metrics.CrossFitted]:
    """Classifiers of other families, fitted on the held-out rows, from which nobody else has learned; whose row is
    judged has no row among those learned from. `place`: the position of each request among the held-out rows."""
    people = np.arange(len(held_out)) if schema.group is None else held_out[schema.group].to_numpy()
    judges = {}
    for name in [name for name in JUDGES if name != request.classifier][:3]:
        fit = partial(fit_classifier, name, schema, seed=request.seed)
        found = metrics.cross_fitted(fit, held_out, schema.label, people)
        if found is not None:
            models, fold = found
            judges[name] = metrics.CrossFitted(models, pd.Series(fold[place.to_numpy()], place.index))
    return judges


def _quality(task: Task, held_out: pd.DataFrame | None, targets: Sequence[Value], seed: int) -> dict[str, Any]:
    """How good the classifier is towards each target, as in `metrics.json`; undefined without held-out rows."""
    found = {}
    for goal in targets:
        table = metrics.unknown() if held_out is None else metrics.quality(task, held_out, goal, seed)[0]
        found[str(goal)] = metrics.to_json(table)
    return found


def _retrained(task: Task, seed: int) -> tuple[dict[str, Classifier] | None, str]:
    """The classifier fitted anew by each kind of change; or none and why."""
    models: dict[str, Classifier] = {}
    try:
        for kind in ("seed", "bootstrap", "fewer"):
            models |= metrics.retrained(task, kind, RETRAINED, seed)
    except InputError as error:
        return None, str(error)
    return models, ""


def _write(folder: Path, made: Comparison) -> None:
    """Everything that a comparison leaves, `run.json` last."""
    from sensecf.runs.compare.report import write_report
    from sensecf.runs.compare.tables import markdown

    names = made.requests["name"]
    each = [made.answers[m.label].frame.assign(method=m.label) for m in made.methods]
    long = pd.concat(each, ignore_index=True)
    method, who = long.pop("method"), long["generator"]
    long["generator"] = who.where(who == method, method + " (by " + who + ")")
    long["query"] = names.reindex(long["query"]).to_numpy()
    factuals = next(iter(made.answers.values())).factuals
    facts = factuals.assign(target=made.requests["target"]).set_axis(pd.Index(names, name="query"))
    tables = {
        "counterfactuals.csv": long,
        "factuals.csv": facts.reset_index(),
        "table.csv": made.scores.summary,
        "comparisons.csv": made.scores.comparisons,
    }
    for name, table in tables.items():
        with replacing(folder / name) as path:
            table.to_csv(path, index=False)
    with replacing(folder / "table.md") as path:
        path.write_text(markdown(made), encoding="utf-8")
    made.task.schema.to_toml(folder / "schema.toml")
    write_report(folder, made)
    write_json(folder / "run.json", _plain(made.facts))
    remove(folder, UNFINISHED)


def _peer_versions() -> dict[str, str]:
    found = {}
    for name in PEERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _plain(value: Any) -> Any:
    """A value for JSON: NaN as null."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
