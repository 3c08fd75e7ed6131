"""`compare`: generators side by side on the same queries, classifier, schema and seeds, into a folder.

The folder is complete when `run.json` is there. Until then `unfinished/` holds what each method has
answered, and the same call goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf import generators, metrics
from sensecf.classifiers import storage
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.files import cache_folder, replacing, write_json
from sensecf.core.folder import FILES, UNFINISHED, claimed, named, remove
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Ints, Task
from sensecf.generators import Context, traits_of
from sensecf.llm.language.prompting import Prompting
from sensecf.runs.compare.isolate import CHUNK, TimeLimits, ask
from sensecf.runs.compare.methods import REFERENCE, Asking, Method, answers, is_reference, methods
from sensecf.runs.compare.scores import Scores, score
from sensecf.runs.compare.survival import LADDER, first_held, fresh, prices
from sensecf.runs.compare.worker import Chunk, Job
from sensecf.runs.experiment import QUIETLY, Call, Experiment, Setup, check_counts, experiment, prepared, record, silent
from sensecf.runs.run import LEDGER, estimate, versions

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

    from sensecf.data.card import Card

#: Files of a comparison beside those that it has in common with a run.
OWN_FILES = ("table.csv", "table.md", "comparisons.csv", "price.csv", "figures/*.svg", "figures/*.pdf")
#: Families of classifiers that judge answers, the first three that are not the explained one.
JUDGES = ("random-forest", "svm", "mlp", "logistic", "xgboost")
#: The share of refits that `NAME@hold` is asked to hold in, where the limits say nothing.
HOLD = 0.95
#: The changes whose refits `retrain_validity` is over.
RETRAINED = ("seed", "bootstrap", "fewer")
#: Packages whose versions a comparison depends on beside those of a run.
PEERS = ("dice-ml", "treecf")


@dataclass(frozen=True)
class CompareSpec:
    """What `sensecf compare` was asked; see its options.

    >>> spec = sensecf.CompareSpec(("search", "nearest"), classifier="logistic", limit=20)
    >>> spec.generators
    ('search', 'nearest')
    """

    generators: tuple[str, ...]
    classifier: str = "xgboost"
    classes: tuple[str, ...] = ()
    target: str | None = None
    each_class: bool = False
    limit: int | None = None
    n: int = 1
    limits: Limits = field(default_factory=lambda: Limits(hold=0.0))
    refits: int = 5
    price: bool = False
    seconds_per_query: float = 10.0
    time_limit: float = 600.0
    seed: int = 0
    prompting: Prompting | None = None
    model: str | None = None

    @property
    def setup(self) -> Setup:
        """What the experiment is made with."""
        return Setup(self.classifier, self.classes, self.target, self.each_class, self.seed)


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    `requests`: index `query`, the number of the request; columns `query` (its name in the table),
    `source` (the class predicted), `target`, `group`. `answers`: by method; their queries are numbers of
    requests. `price`: each method at equal survival, see `survival.prices`, without a row where no prices were asked
    for. `facts`: what `run.json` says.
    """

    task: Task
    query: Query
    requests: pd.DataFrame
    methods: list[Method]
    answers: dict[str, Counterfactuals]
    scores: Scores
    price: pd.DataFrame
    facts: dict[str, Any]


def compare(
    frame: IntoDataFrame,
    schema: FeatureSchema,
    out: str | Path,
    request: CompareSpec,
    *,
    queries: IntoDataFrame | None = None,
    card: Card | None = None,
    call: Call = QUIETLY,
) -> Comparison:
    """Compare generators on a table, into the folder `out`.

    Without `queries`, 30 % of the rows (of the people) are held out and those that the classifier does
    not put in the target class are asked about; with `each_class`, towards every class. Each method runs
    in a process of its own under the time limits; its failures are answers with a reason.
    `card`: see `run.run`. What a language model answers is kept in the folder's ledger. Raises `InputError`
    for what cannot be used, before anything is written.

    >>> spec = sensecf.CompareSpec(("search", "nearest"), classifier="logistic", limit=4)
    >>> table = sensecf.compare(data.frame, data.schema, folder / "comparison", spec)  # doctest: +SKIP
    """
    _check(request, schema)
    call = replace(call, notice=f"{call.notice} {request.limits.remark(schema)}".strip())
    request = replace(request, limits=request.limits.settled(schema))
    shown = methods(request.generators)
    for method in shown:
        generators.check(method.generator, Context(model=request.model, prompting=request.prompting))
    table = prepared(frame, schema, request.setup, queries, card)
    table.targets()
    known = {**record(request), **table.record, "command": "compare"}
    folder = named(out)
    with claimed(folder, known, call.overwrite):
        began = time.perf_counter()
        made = experiment(table, call.progress)
        asked = requests_of(made, request)
        remove(folder, [*FILES, *OWN_FILES])
        storage.save_task(made.task, folder / "task", request.classifier if ":" in request.classifier else None)
        setting = Setting(folder, request, made, asked, shown, call)
        model = _model_facts(setting)
        chunks = _chunks_of(setting)
        call.progress("measuring", 0.0)
        found, scores, price, refused = _measured(setting, chunks)
        facts: dict[str, Any] = {
            **known,
            "targets": made.targets,
            "quality": {str(goal): metrics.to_json(made.quality(goal)[0]) for goal in made.targets},
            "reference": setting.reference and setting.reference.generator,
            "train_rows": len(table.train),
            "requests": len(asked.table),
            "people": int(asked.table["group"].nunique()) if schema.group else None,
            "skipped": asked.skipped,
            "refits_refused": refused,
            "versions": versions() | _peer_versions(),
            "seconds": round(time.perf_counter() - began, 1),
            "arguments": call.arguments,
            "methods": {m.label: found[m.label].cost for m in shown},
            **model,
        }
        facts |= {"notice": call.notice} if call.notice else {}
        comparison = Comparison(made.task, asked.query, asked.table, shown, found, scores, price, facts)
        _write(folder, comparison)
        call.progress("measuring", 1.0)
        return comparison


@dataclass(frozen=True)
class Asked:
    """Whom every method is asked about: the requests (see `Comparison`), their factuals and query, with the position
    of each among the held-out rows in column `place`; and how many are left out, by reason."""

    table: pd.DataFrame
    factuals: pd.DataFrame
    query: Query
    skipped: dict[str, int]


@dataclass(frozen=True)
class Setting:
    """What the steps of a comparison share."""

    folder: Path
    request: CompareSpec
    made: Experiment
    asked: Asked
    shown: list[Method]
    call: Call

    @property
    def reference(self) -> Method | None:
        """The method behind `success_at_3`."""
        return _reference(self.shown)


def _measured(
    setting: Setting, chunks: dict[Asking, list[Chunk]]
) -> tuple[dict[str, Counterfactuals], Scores, pd.DataFrame, dict[str, str]]:
    """The answers of each method, their scores and prices, and why some change of the classifier judged none."""
    request, made, asked, task = setting.request, setting.made, setting.asked, setting.made.task

    def answered(method: Method, asking: Asking, n: int) -> Counterfactuals:
        return answers(task, asked.query, asked.factuals, method, chunks[asking], n)

    found = {m.label: answered(m, m.asking, request.n) for m in setting.shown}
    reference = setting.reference
    nearest = None if reference is None else answered(reference, reference.asking, 1)
    juries, refused = fresh(task, request.refits, request.seed) if request.refits else ({}, {})
    models = {
        f"{change} {i}": model
        for change in RETRAINED
        if change in juries
        for i, model in enumerate(juries[change].members, 1)
    }
    table = made.table
    judges = None if table.named else _judges(request, table.schema, table.held_out, asked.table["place"])
    groups = asked.table["group"] if table.schema.group else None
    scores = score(
        found,
        task,
        asked.query,
        asked.table["direction"],
        groups,
        reference=nearest,
        judges=judges,
        models=models or None,
        juries=juries,
        seed=request.seed,
    )
    rungs = []
    for asking in _ladder(request):
        read = metrics.read(answered(Method("search", "search", "polish", "polish"), asking, 1), task)
        rungs.append((request.limits.margin if asking.margin is None else asking.margin, first_held(read, juries)))
    held = {name: first_held(read, juries) for name, read in scores.scored.items()} if rungs else {}
    return found, scores, prices(held, rungs, groups, request.seed), refused


def _ladder(request: CompareSpec) -> list[Asking]:
    """The margins at which the search is run for a table of prices; none where none is wanted."""
    own = request.limits.margin
    # What "search" is asked anyway is asked once.
    margins = [None if margin == own else margin for margin in LADDER]
    return [Asking("search", "polish", margin=margin) for margin in margins] if request.price else []


def _reference(shown: Sequence[Method]) -> Method | None:
    """The method behind `success_at_3`: as it proposes, asked for or not; none where it is not installed."""
    named = [m.generator for m in shown if is_reference(m.generator)] or [REFERENCE][: REFERENCE in generators.NAMES]
    return Method(REFERENCE, named[0], "raw", "raw") if named else None


def _check(request: CompareSpec, schema: FeatureSchema) -> None:
    """Raise `InputError` for an option that no comparison can have."""
    check_counts(n=request.n, limit=request.limit, seed=request.seed)
    if request.refits < 0 or (request.price and not request.refits):
        raise InputError("--refits must be 0 or more, and at least 1 with --price")
    for option, seconds in (("--seconds-per-query", request.seconds_per_query), ("--time-limit", request.time_limit)):
        if not 0 < seconds < float("inf"):
            raise InputError(f"{option} must be a positive number of seconds, not {seconds:g}")
    if request.each_class and request.target is not None:
        raise InputError("--target and --each-class exclude each other; give one of them")
    request.limits.check(schema)


def requests_of(made: Experiment, request: CompareSpec) -> Asked:
    """Whom every method is asked about. Raises `InputError` when nobody is left."""
    task, held_out, judged = made.task, made.table.held_out, made.judged
    skipped = {"outside the schema's ranges": int((~made.inside).sum()), "already in the target class": 0}
    at, queries = [], []
    for goal in made.targets:
        there = made.inside & made.there(goal)
        open_rows = np.flatnonzero(made.inside & ~there)
        skipped["already in the target class"] += int(there.sum())
        if request.limit is not None and len(open_rows) > request.limit:
            rng = np.random.default_rng([request.seed, task.target_position(goal)])
            open_rows = np.sort(rng.choice(open_rows, request.limit, replace=False))
        if len(open_rows):
            queries.append(Query.of_rows(task, made.rows[open_rows], goal, request.limits))
            at.append(open_rows)
    if not at:
        raise InputError("nobody to ask about: every row is in the target class already; name --queries or --target")
    query = Query(**{f.name: np.concatenate([getattr(q, f.name) for q in queries]) for f in fields(Query)})
    place = np.concatenate(at)
    classes, people = np.array(task.classes, dtype=object), made.people(place)
    source, target = classes[judged.predicted[place]], classes[query.target]
    requests = pd.DataFrame(
        {"name": held_out.index.to_numpy()[place], "source": source, "target": target, "place": place}
    )
    requests = requests.assign(group=np.nan if people is None else people.to_numpy()).rename_axis("query")
    requests["direction"] = [f"{a} → {b}" for a, b in zip(source, target, strict=True)]
    factuals = task.codec.decode(query.rows, nullable=True).rename_axis("query")
    probability = judged.proba[place, query.target].round(6)
    return Asked(requests, factuals.assign(predicted=source, probability=probability), query, skipped)


def _model_facts(setting: Setting) -> dict[str, Any]:
    """Which language model is asked, after `Call.confirm` has heard what that costs at most; {} where none is.

    Raises `InputError` where it cannot be asked, or not about these rows.
    """
    request, card = setting.request, setting.made.table.card
    if request.prompting is None:
        return {}
    with request.prompting.model(setting.folder / LEDGER, card, silent) as model:
        context = Context(request.seed, llm=model, prompting=request.prompting, card=card)
        names = {m.generator for m in setting.shown if "llm" in traits_of(generators.find(m.generator)).needs}
        for name in sorted(names):
            generator = generators.build(name, setting.made.task, context)
            setting.call.confirm(f"{name}: {estimate(generator, model, request.prompting, setting.asked.query)}")
        return {"model": {"name": model.name, "host": model.host or "this process"}}


def _chunks_of(setting: Setting) -> dict[Asking, list[Chunk]]:
    """What every generator answers, in every way that is run, each in a process of its own."""
    wanted = [m.asking for m in (*setting.shown, *([setting.reference] if setting.reference else []))]
    # Every row is of boundary answers but those that are named `@hold`.
    limits = replace(setting.request.limits, hold=0.0)
    boundary = replace(setting, request=replace(setting.request, limits=limits))
    return {
        asking: ask_method(setting if asking.hold else boundary, asking)
        for asking in dict.fromkeys([*wanted, *_ladder(setting.request)])
    }


def ask_method(setting: Setting, asking: Asking) -> list[Chunk]:
    """What one generator answers, in a process of its own."""
    folder, request, task, query = setting.folder, setting.request, setting.made.task, setting.asked.query
    limits = replace(request.limits, hold=request.limits.hold or HOLD) if asking.hold else request.limits
    limits = limits if asking.margin is None else replace(limits, margin=asking.margin)
    limits = replace(limits, prefer="likeness") if asking.likeness else limits
    way = asking.way
    # Finished chunks are verdicts on one classifier: code of the user's own may have changed since.
    probe = task.judge(task.rows[:200]).proba.round(6).tobytes() + query.rows.tobytes()
    mark = hashlib.sha256(repr(asking).encode() + probe).hexdigest()[:16]
    place = folder / "unfinished" / mark
    stored = place / "batch-query.npz"
    with replacing(stored) as temporary:
        np.savez(temporary, **{f.name: getattr(query, f.name) for f in fields(Query)})
    job = Job(
        asking.generator,
        task=str(folder / "task"),
        trusted=(request.classifier,),
        query=str(stored),
        out=str(place),
        polish=way == "polish",
        n=request.n,
        seed=request.seed,
        limits=limits,
        options={"filter_rules": True} if way == "filter" else {},
        cache=str(cache_folder()),
        model=request.model,
        ledger=str(folder / LEDGER),
        card=setting.made.table.card,
        prompting=request.prompting,
    )
    say = partial(setting.call.progress, asking.title)
    say(0.0)
    times = TimeLimits(request.seconds_per_query, request.time_limit)
    made = ask(job, _chunks(query, way == "polish"), len(task.schema), times, say)
    say(1.0)
    return made


def _chunks(query: Query, polish: bool) -> list[Ints]:
    """The requests that are asked in one call: all of a target through `explain`, else some at a time."""
    numbers = np.arange(len(query))
    by_target = [numbers[query.target == target] for target in np.unique(query.target)]
    if polish:
        return by_target
    return [part[start : start + CHUNK] for part in by_target for start in range(0, len(part), CHUNK)]


def _judges(
    request: CompareSpec, schema: FeatureSchema, held_out: pd.DataFrame, place: pd.Series[int]
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
        "price.csv": made.price,
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
