"""A finished run of `explain` opened again: what it was asked, its classifier, its generator."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple, TypedDict, cast, get_type_hints

import numpy as np
import pandas as pd

from sensecf import generators, metrics
from sensecf.core.budget import BUDGET
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.files import cache_folder, replacing
from sensecf.core.kept import Json, check_format, check_type, read_bytes, read_record
from sensecf.core.limits import Limits
from sensecf.core.schema import FeatureSchema, Value
from sensecf.core.task import Task
from sensecf.generators import Context, Generator, traits_of
from sensecf.generators.search import THOROUGH, Search
from sensecf.metrics.model import own_sentence
from sensecf.pipeline.hold import Holding
from sensecf.pipeline.person import NAME
from sensecf.runs.experiment import Progress
from sensecf.runs.facts import RunFacts
from sensecf.runs.run import RunSpec, lessons, load_task


class TinyRecord(TypedDict):
    """What is read here of the record of an embedded model."""

    fingerprint: str


class Released(TypedDict):
    """What is read here of `privacy.json`."""

    release: str


class Finished(NamedTuple):
    """A task as it was, its generator, the search that answers where that does not, and what was asked.

    `identity`: a hash of all that the saved task holds.
    """

    task: Task
    generator: Generator
    fallback: Generator
    request: RunSpec
    identity: str


def open_run(
    folder: Path, classifier: str | None = None, progress: Progress | None = None, trust: bool = False
) -> Finished:
    """The run in a folder; an embedded model that was trained there is not trained again.

    `classifier`: `module:object`, where the classifier of the run is code of the user's own, which no folder may
    name. `trust`: see `load_task`. Raises `InputError` for a folder without a finished run, for what `load_task`
    refuses, and for generators that ask a language model or are code of the user's own.
    """
    say = progress or (lambda phase, share: None)
    facts = facts_of(folder)
    request = request_of(facts)
    name = request.generator
    if facts.get("model") or (":" not in name and traits_of(generators.find(name)).asks_model):
        raise InputError(
            f"the plans of {folder} come from a language model; ask it with sensecf explain --generator {name}"
        )
    if ":" in name:
        raise InputError(
            f"the generator of {folder} is the code {name}; ask it with sensecf explain --generator {name}"
        )
    say("opening", 0.0)
    task = load_task(folder, classifier, trust=trust)
    if request.limits.hold > 0 and task.once(Holding).folder is None:
        task.once(Holding).settle(None, request.seed, cache=cache_folder())
    take_model(folder)
    options = lessons_of(folder, request)
    context = Context(request.seed, request.plausibility, cache=cache_folder(), progress=say, options=options)
    generator = generators.build(name, task, context)
    fallback = Search(task, request.seed, effort=THOROUGH, plausibility=request.plausibility)
    say("opening", 1.0)
    identity = hashlib.sha256(read_bytes(folder / "task" / "task.json")).hexdigest()
    return Finished(task, generator, fallback, request, identity)


def lessons_of(folder: Path, request: RunSpec) -> Mapping[str, object]:
    """What the embedded model of a run learned from, where that is rows of nobody: people's are not taken instead.

    Raises `InputError` where the model would have to be trained anew.
    """
    if not (request.private and request.generator == "tiny"):
        return {}
    told = read_record(folder / BUDGET, Released)

    def gone() -> Task:
        raise InputError(
            f"the embedded model of {folder} is gone or damaged, and learning again would cost privacy again; "
            "run sensecf explain anew"
        )

    return lessons(told["release"], gone)


def facts_of(folder: Path) -> RunFacts:
    """What `run.json` says of a run. Raises `InputError` where there is none that is finished."""
    try:
        facts = read_record(folder / "run.json", Json)
    except InputError as error:
        raise InputError(
            f"{folder} is no finished run: it has no readable run.json ({error}); run sensecf explain first"
        ) from error
    check_format(facts, str(folder / "run.json"))
    if "target" not in facts:
        raise InputError(f"{folder} is no run of sensecf explain; name the folder that it wrote with --out")
    return cast(RunFacts, facts)


def load_run(folder: str | Path) -> Counterfactuals:
    """The answers of a run folder, with the name of the generator that was asked for.

    Raises `InputError` where there is no finished run or its files are damaged.

    >>> request = sensecf.RunSpec(classifier="logistic", generator="search", limit=4, limits=limits)
    >>> answers, measures, facts = sensecf.run(data.frame, data.schema, folder / "finished", request)
    >>> len(sensecf.load_run(folder / "finished").answers) == len(answers.answers)
    True
    """
    facts = facts_of(Path(folder))
    answers = Counterfactuals.load(folder)
    answers.asked = NAME if facts.get("per") == "person" else str(facts["generator"])
    return answers


def quality_of(folder: Path, facts: RunFacts) -> str:
    """How good the classifier of a run is, as its `metrics.json` says. Raises `InputError` where it cannot be read."""
    summary = summary_of(folder)
    target = FeatureSchema.from_toml(folder / "schema.toml").meaning(facts["target"])
    return metrics.sentence(
        summary, str(facts.get("classifier", "the classifier")), target, str(facts.get("rows_are", "rows"))
    )


def shares_of(folder: Path, facts: RunFacts) -> str:
    """Who found how many of a run's answers, as its `metrics.json` says; "" where the run does not say.

    Raises `InputError` where the file cannot be read.
    """
    summary = summary_of(folder)
    asked = str(facts.get("generator", ""))
    own = own_sentence(summary, asked)
    names = ("own_share", "fallback_share", "unanswered_share", "not_needed_share")
    if not set(names) <= set(summary.index):
        return ""
    shares = summary.loc[list(names), "value"].to_numpy(dtype=float)
    if np.isnan(shares).any():
        return ""
    n = int(summary["n"].to_numpy()[summary.index.get_loc(names[0])])
    return (f"{own}; " if own else "") + shares_in_words(asked, [round(n * share) for share in shares.tolist()])


def shares_in_words(asked: str, counts: Sequence[int]) -> str:
    """How many requests the generator asked for answered, a fallback, nobody, and how many needed no change."""
    own, fallback, nobody, unneeded = counts
    words = f"{own + fallback + nobody:,} asked: {own:,} answered by {asked}, {fallback:,} by a fallback, "
    return f"{words}{nobody:,} by nobody; {unneeded:,} more in the target class already"


def summary_of(folder: Path) -> pd.DataFrame:
    """The measures of a run, as `metrics.json` has them. Raises `InputError` where it cannot be read."""
    try:
        return metrics.from_json(read_record(folder / "metrics.json", Json))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / 'metrics.json'} is damaged; make the run anew") from error


def request_of(facts: RunFacts) -> RunSpec:
    """What the run was asked, as far as it holds for other people too.

    Raises `InputError` naming an entry of `run.json` that is not of its type.
    """
    others = ("limits", "limit", "prompting", "model")
    said: Json = dict(facts)
    kept = {f.name: said[f.name] for f in fields(RunSpec) if f.name in said and f.name not in others}
    types = get_type_hints(RunSpec) | {"target": Value | None}
    for name, value in kept.items():
        check_type(value, types[name], f"run.json: {name}")
    lists = {name: tuple(value) for name, value in kept.items() if isinstance(value, list)}
    # Older runs: everything moved, and no plan was asked to hold.
    limits = Limits.from_dict({"edit": "mutable", "hold": 0.0} | said, "run.json")
    return RunSpec(**(kept | lists), limits=limits)


def take_model(folder: Path) -> None:
    """Copy a run's trained model to the cache, where it is found by its fingerprint instead of trained anew."""
    saved = folder / "task" / "tiny"
    try:
        fingerprint = read_record(saved / "tiny.json", TinyRecord)["fingerprint"]
    except InputError:
        return  # another generator, or damaged: it is trained
    home, names = cache_folder() / fingerprint, ("model.safetensors", "tiny.json")
    if re.fullmatch(r"[0-9a-f]{32}", fingerprint) and not home.exists() and all((saved / n).is_file() for n in names):
        for name in names:
            with replacing(home / name) as path:
                shutil.copyfile(saved / name, path)
