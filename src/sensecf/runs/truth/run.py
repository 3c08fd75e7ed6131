"""`truth`: generators in a world, their plans carried out, into a folder.

The folder is complete when `run.json` is there. Until then `unfinished/` holds what each method has answered, and the
same call goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf import generators, metrics
from sensecf.classifiers import storage
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json
from sensecf.core.folder import FILES, claimed, named, remove
from sensecf.core.limits import Limits
from sensecf.core.version import __version__
from sensecf.data.builtin import simulated
from sensecf.data.world.presets import preset
from sensecf.generators import Context
from sensecf.llm.language.prompting import Prompting
from sensecf.metrics import statistics
from sensecf.runs.compare.methods import OWN, Method, answers, methods
from sensecf.runs.compare.run import CompareSpec, Setting, ask_method, requests_of
from sensecf.runs.experiment import QUIETLY, Call, Experiment, Setup, check_counts, experiment, prepared
from sensecf.runs.run import versions
from sensecf.runs.truth.carry import MEASURES, Case, of_answers, of_nobody, of_the_oracle
from sensecf.runs.truth.oracle import cheapest
from sensecf.runs.truth.settings import SETTINGS, chosen

if TYPE_CHECKING:
    from sensecf.data.world.base import World

#: Files beside those that it has in common with a run.
OWN_FILES = ("table.csv", "table.md", "comparisons.csv", "outcomes.csv", "truth.svg", "unfinished/*/*")
#: Days that follow, on which the plan is done too.
FUTURE = 30
#: The rows that are no generator's.
ORACLE, NOBODY = "oracle", "unchanged"
#: Measures in which settings are compared, and the columns of `comparisons.csv`.
COMPARED = ("improvement", "success", "harm", "success_of_plans")
DIFFERENCES = (
    "method",
    "metric",
    "first",
    "second",
    "mean_first",
    "mean_second",
    "difference",
    "low",
    "high",
    "p",
    "n",
    "people",
)
#: Columns of `table.csv`.
COLUMNS = ("setting", "method", "metric", "value", "low", "high", "n", "people", "direction", "over")


@dataclass(frozen=True)
class TruthSpec:
    """What `sensecf truth` was asked; see its options.

    `people`, `held_out`: how many the classifier learns from, and how many others are asked about; `days` of each.
    """

    generators: tuple[str, ...]
    world: str = "easy"
    settings: tuple[str, ...] = ()
    classifier: str = "xgboost"
    people: int = 140
    held_out: int = 60
    days: int = 10
    limit: int | None = None
    adherence: float = 1.0
    slip: float = 0.0
    seconds_per_query: float = 10.0
    time_limit: float = 600.0
    seed: int = 0
    prompting: Prompting | None = None
    model: str | None = None


@dataclass(frozen=True)
class Truth:
    """What was found: `table` with the columns of `COLUMNS`; `outcomes`, one row per setting, method and request with
    `MEASURES`; `facts`: what `run.json` says."""

    table: pd.DataFrame
    outcomes: pd.DataFrame
    facts: dict[str, Any]


def truth(request: TruthSpec, out: str | Path, *, world: World | None = None, call: Call = QUIETLY) -> Truth:
    """Carry out the plans of generators in a world, into the folder `out`.

    A classifier learns from the people of the world; people that it has not seen are asked about, by every method
    under every setting, each in a process of its own under the time limits; what their levers say is done, and what
    comes of it is known. `world`: one of one's own, else the preset that is named. Raises `InputError` for what cannot
    be used, before anything is written.
    """
    check(request)
    shown = methods(request.generators)
    for method in shown:
        generators.check(method.generator, Context(model=request.model, prompting=request.prompting))
    asked_of = chosen(request.settings)
    known = _known(request, asked_of) | {"command": "truth"}
    folder, lived = named(out), world or preset(request.world)
    known["world"] = lived.name
    with claimed(folder, known, call.overwrite):
        began = time.perf_counter()
        remove(folder, [*FILES, *OWN_FILES[:-1]])
        made, case = _prepared(request, lived, call)
        found = pd.concat(_each(request, folder, made, case, shown, asked_of, call), ignore_index=True)
        table = summary(found, request.seed)
        facts = {
            **known,
            "settings": {name: SETTINGS[name][0] for name in asked_of},
            "requests": len(case.before),
            "people_asked": len(np.unique(case.group)),
            "not_well_before": int((case.before < 0.5).sum()),
            "quality": metrics.to_json(_quality(request, lived, made)),
            "versions": versions(),
            "arguments": call.arguments,
            "ours": [m.label for m in shown if m.generator in OWN],
            "seconds": round(time.perf_counter() - began, 1),
        }
        _write(folder, Truth(table, found, facts))
        return Truth(table, found, facts)


def check(request: TruthSpec) -> None:
    """Raise `InputError` for an option that nothing can be found with."""
    check_counts(
        people=request.people, held_out=request.held_out, days=request.days, limit=request.limit, seed=request.seed
    )
    if not 0 <= request.adherence <= 1:
        raise InputError(f"--adherence must lie between 0 and 1, not {request.adherence:g}")
    if not 0 <= request.slip <= 1:
        raise InputError(f"--slip must lie between 0 and 1, not {request.slip:g}")


def _known(request: TruthSpec, asked_of: dict[str, Limits]) -> dict[str, Any]:
    """What was asked, as it stands in `run.json`."""
    found = asdict(request)
    if found["prompting"] is None:
        del found["prompting"]
    return found | {"limits": {name: limits.to_dict() for name, limits in asked_of.items()}, "sensecf": __version__}


def _people(request: TruthSpec, world: World) -> tuple[pd.DataFrame, pd.DataFrame, Any]:
    """The table that is learned from, that of the people who are asked about, and the noises of these."""
    table, _ = world.simulate(request.people, request.days, request.seed)
    others, noises = world.simulate(request.held_out, request.days, request.seed + 2**20)
    group = world.schema().group
    assert group is not None
    return table, others.assign(**{group: "X-" + others[group].astype(str)}), noises


def _prepared(request: TruthSpec, world: World, call: Call) -> tuple[Experiment, Case]:
    """The classifier, and who is asked about with what would be true of them."""
    schema = world.schema()
    table, others, noises = _people(request, world)
    made = experiment(prepared(table, schema, Setup(request.classifier, seed=request.seed), others), call.progress)
    asked = requests_of(made, _compare(request, Limits(edit="actionable")))
    at = asked.table["name"].to_numpy()
    part = noises.take(at)
    before = world.do(part, {}, adherence=request.adherence, slip=request.slip, future=FUTURE, seed=request.seed)
    call.progress("oracle", 0.0)
    best = cheapest(world, made.task, asked.query, part)
    call.progress("oracle", 1.0)
    case = Case(
        world,
        made.task,
        part,
        asked.query.rows,
        made.task.target_position(made.target),
        best,
        before.probability,
        before.labels,
        asked.table["group"].to_numpy(),
        request.adherence,
        request.slip,
        request.seed,
    )
    return made, case


def _compare(request: TruthSpec, limits: Limits) -> CompareSpec:
    """What `compare` would be asked under some limits."""
    return CompareSpec(
        request.generators,
        request.classifier,
        limit=request.limit,
        limits=limits,
        seconds_per_query=request.seconds_per_query,
        time_limit=request.time_limit,
        seed=request.seed,
        prompting=request.prompting,
        model=request.model,
    )


def _each(
    request: TruthSpec,
    folder: Path,
    made: Experiment,
    case: Case,
    shown: list[Method],
    asked_of: dict[str, Limits],
    call: Call,
) -> Iterator[pd.DataFrame]:
    """The outcomes of every method under every setting, of the oracle and of nobody's doing anything."""
    groups = pd.DataFrame({"query": np.arange(len(case.before)), "person": case.group})
    for name, rows in ((NOBODY, of_nobody(case)), (ORACLE, of_the_oracle(case))):
        yield pd.concat([groups.assign(setting="–", method=name), rows], axis=1)
    for setting, limits in asked_of.items():
        spec = _compare(request, limits)
        asked = requests_of(made, spec)
        # Answers of another request of the same folder are none to this one.
        mark = hashlib.sha256(json.dumps(_known(request, {setting: limits}), sort_keys=True, default=str).encode())
        place = folder / "unfinished" / f"{setting}-{mark.hexdigest()[:12]}"
        storage.save_task(made.task, place / "task", request.classifier if ":" in request.classifier else None)
        told = Setting(place, spec, made, asked, shown, _named_call(call, setting))
        # A lead, and whether a plan holds, is asked of answers by `explain`; others propose as they do.
        able = shown if setting in ("boundary", "levers") else [m for m in shown if m.run == "polish"]
        for method in able:
            chunks = ask_method(told, method.asking)
            rows = of_answers(case, answers(made.task, asked.query, asked.factuals, method, chunks, 1), asked.query)
            yield pd.concat([groups.assign(setting=setting, method=method.label), rows], axis=1)


def _named_call(call: Call, setting: str) -> Call:
    """A call whose progress says which setting is being answered."""
    return replace(call, progress=lambda phase, share: call.progress(f"{setting}: {phase}", share))


def summary(outcomes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Means with their 95 % intervals over whole people, columns of `COLUMNS`; undefined values are NaN."""
    rows = []
    for (setting, method), part in outcomes.groupby(["setting", "method"], sort=False):
        for metric, (_, better, over, share) in MEASURES.items():
            if metric == "effort_to_oracle":
                value, low, high, n, people = _ratio(part, seed)
            else:
                known = part[part[metric].notna()]
                values, who = known[metric].to_numpy(float), known["person"].to_numpy()
                n, people = len(known), known["person"].nunique()
                value = float(values.mean()) if n else float("nan")
                low, high = statistics.interval(values, who, share=share, seed=seed) if n else (float("nan"),) * 2
            rows.append((setting, method, metric, value, low, high, n, people, better, over))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def differences(outcomes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What each setting is worth over the one before it, by method, on the same requests: columns of `DIFFERENCES`.

    `difference` is that of the means, second less first, with its 95 % interval over whole people and the p value of
    sign flips over people; a request that one of them has no value for is left out.
    """
    settings = [name for name in outcomes["setting"].unique() if name != "–"]
    rows = []
    for first, second in pairwise(settings):
        asked = outcomes.groupby("setting")["method"].unique()
        for method in [name for name in asked[first] if name in asked[second]]:
            a, b = (
                outcomes[(outcomes["setting"] == name) & (outcomes["method"] == method)].set_index("query")
                for name in (second, first)
            )
            for metric in COMPARED:
                found = statistics.paired(a[metric], b[metric], a["person"], seed=seed)
                mean = (found.mean_b, found.mean_a, found.difference, found.low, found.high, found.p)
                rows.append((method, metric, first, second, *mean, found.n, found.clusters))
    return pd.DataFrame(rows, columns=list(DIFFERENCES))


def _ratio(part: pd.DataFrame, seed: int) -> tuple[float, float, float, int, int]:
    """Effort in all over the oracle's for the same requests, and its interval over whole people."""
    known = part[part["effort"].notna() & part["effort_to_oracle"].notna()]
    pair = known[["effort", "effort_to_oracle"]].to_numpy(float)
    people = known["person"].nunique()
    nan = float("nan")
    if not len(known) or pair[:, 1].sum() <= 0:
        return nan, nan, nan, len(known), people
    value = float(pair[:, 0].sum() / pair[:, 1].sum())
    if people < statistics.FEWEST:
        return value, nan, nan, len(known), people
    means = statistics.resampled_means(pair, known["person"].to_numpy(), seed=seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = statistics.percentile_interval(means[:, 0] / means[:, 1], statistics.expanded(people))
    return value, low, high, len(known), people


def _quality(request: TruthSpec, world: World, made: Experiment) -> pd.DataFrame:
    """How good the classifier is on the people who are asked about, all their days."""
    _, others, _ = _people(request, world)
    return metrics.quality(made.task, others, made.target, request.seed)[0]


def _write(folder: Path, made: Truth) -> None:
    """Everything that is left, `run.json` last."""
    from sensecf.runs.truth.report import figure, markdown

    with replacing(folder / "table.csv") as path:
        made.table.to_csv(path, index=False)
    with replacing(folder / "comparisons.csv") as path:
        differences(made.outcomes, made.facts["seed"]).to_csv(path, index=False)
    with replacing(folder / "outcomes.csv") as path:
        made.outcomes.to_csv(path, index=False)
    write_json(folder / "metrics.json", nested(made.table))
    with replacing(folder / "table.md") as path:
        path.write_text(markdown(made.table, made.facts), encoding="utf-8")
    with replacing(folder / "truth.svg") as path:
        path.write_text(figure(made.table, made.facts["ours"]), encoding="utf-8")
    if made.facts["world"] in ("easy", "confounded", "drifting"):
        simulated.CARD.save(folder)
    write_json(folder / "run.json", made.facts)
    shutil.rmtree(folder / "unfinished", ignore_errors=True)


def nested(table: pd.DataFrame) -> dict[str, Any]:
    """A table as it stands in `metrics.json`: by setting, method and metric; null for what is undefined."""
    found: dict[str, Any] = {}
    for row in table.to_dict("records"):
        entry = {
            key: None if isinstance(row[key], float) and np.isnan(row[key]) else row[key]
            for key in ("value", "low", "high", "n", "people", "direction", "over")
        }
        entry["defined"] = entry["value"] is not None
        found.setdefault(str(row["setting"]), {}).setdefault(str(row["method"]), {})[str(row["metric"])] = entry
    return found
