"""What `real_llm.py` measures: each cell is one part on one table and split, and gives rows that can be judged again.

A cell holds, for each method, the encoded row that it answers to each unseen person (or why there is none), the text,
tokens and seconds. Whether a row is valid and how far it is is worked out from the rows, here and again in the tables.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import sensecf
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.candidates import Candidates
from sensecf.core.files import write_json
from sensecf.core.limits import make_query
from sensecf.core.query import Query, out_of_range
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.core.verify import cost, verify
from sensecf.data.card import Card
from sensecf.data.tables import read_table
from sensecf.finetune.presets import Preset
from sensecf.generators import Context, build
from sensecf.generators.constant import Constant
from sensecf.generators.tiny.pairs import teach

#: Folder of each table below `--tables`, and the name of its data set.
TABLES = {"heart": "heart_disease_cleveland", "t1d": "t1d_uom_daily_stress", "simulated": "simulated"}
#: Unseen people who are asked about, at most; answers drawn for each beside the greedy one.
ASKED, SAMPLES = 150, 8
#: Distances up to which a constant plan is looked for, in MAD.
CAPS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0)
#: Plans that are made longer by a further edit, and training people on whom distances of plans are measured.
WIDTH = 24


@dataclass(frozen=True)
class Setting:
    """Where things are and how large: all that a cell needs beside its table, split and part.

    `small`: the folder of the small base model. `pace`: how long cells take beside what is expected of them.
    """

    tables: Path
    out: Path
    weights: Path
    device: str
    preset: Preset
    small: Path | None = None
    asked: int = ASKED
    samples: int = SAMPLES
    batch: int = 64
    pace: float = 1.0


@dataclass(frozen=True)
class Asked:
    """A task, the query of its unseen people in the wrong class, who they are, and the table's card."""

    task: Task
    query: Query
    people: list[int]
    card: Card | None


def prepare(folder: Path) -> None:
    """Write the tables as files, for a machine without the data folder: a csv, a schema and a card each."""
    for short, name in TABLES.items():
        data = sensecf.datasets.load(name)
        place = folder / short
        place.mkdir(parents=True, exist_ok=True)
        data.frame.to_csv(place / "table.csv", index=False)
        data.schema.to_toml(place / "schema.toml")
        data.card.save(place)


def table(setting: Setting, name: str) -> tuple[pd.DataFrame, FeatureSchema, Card | None]:
    """A table that `prepare` has written."""
    place = setting.tables / name
    card = Card.read(place / "card.json") if (place / "card.json").exists() else None
    return read_table(place / "table.csv"), FeatureSchema.from_toml(place / "schema.toml"), card


def asked(setting: Setting, name: str, seed: int) -> Asked:
    """The question of a split: whatever may move at all is free (`edit="mutable"`), no lead is asked for."""
    frame, schema, card = table(setting, name)
    train, test = sensecf.datasets.split(frame, schema, seed=seed)
    task = Task(schema, train, fit_classifier("xgboost", schema, train, seed=seed))
    rows = task.codec.encode(test)
    target = task.target_position(task.default_target())
    outside = out_of_range(task.codec, rows, test)
    wrong = np.flatnonzero(task.judge(rows, final=True).predicted != target)
    at = np.array([i for i in wrong if i not in outside])
    at = np.sort(np.random.default_rng(seed).permutation(at)[: setting.asked])
    who = test.iloc[at].reset_index(drop=True)
    people = pd.factorize(who[schema.group])[0] if schema.group else np.arange(len(who))
    query = make_query(task, who, task.default_target(), edit="mutable")
    return Asked(task, query, [int(one) for one in people], card)


# --- what a method said -------------------------------------------------------------------


def said(of: Asked, found: Candidates, **more: Any) -> dict[str, Any]:
    """The answers of a method, one to each person, with what can be said of them now; `more` is kept beside."""
    n, d = len(of.query), len(of.task.schema)
    rows, reasons = np.full((n, d), np.nan), ["no answer"] * n
    rows[found.query] = found.rows
    for at, reason in zip(found.query.tolist(), found.reason.tolist(), strict=True):
        reasons[at] = reason
    verdicts = verify(of.task, of.query, Candidates.of(np.arange(n), rows, "x", reasons))
    good = verdicts.good
    changed = of.task.codec.changed(of.query.rows, np.where(np.isnan(rows), of.query.rows, rows))
    plans = [tuple((j, float(rows[i, j])) for j in np.flatnonzero(changed[i])) for i in range(n)]
    return {
        "readable": [reason == "" for reason in reasons],
        "valid": good.tolist(),
        "changes": np.where(good, verdicts.n_changed, np.nan).tolist(),
        "distance": np.where(good, verdicts.proximity, np.nan).tolist(),
        "plausible": (good & verdicts.plausible).tolist(),
        "distinct": len({plan for plan, reason in zip(plans, reasons, strict=True) if reason == "" and plan}),
        "rows": [[None if np.isnan(v) else float(v) for v in row] for row in rows],
        "reasons": sorted({reason[:120] for reason in reasons if reason}),
        **more,
    }


def best(of: Asked, found: Candidates) -> Candidates:
    """The cheapest good candidate for each person; the first one where none is good."""
    good = verify(of.task, of.query, found).good
    price = np.full(len(found), np.inf)
    price[good] = cost(of.task, of.query, found.query[good], found.rows[good], 1.0)
    order = np.lexsort((price, found.query))
    return found.take(order[np.unique(found.query[order], return_index=True)[1]])


# --- controls -----------------------------------------------------------------------------


def controls(of: Asked, seed: int) -> dict[str, Any]:
    """Methods without a language model: constant plans, the nearest example, the search, the embedded model."""
    rng = np.random.default_rng(seed)
    out: dict[str, Any] = {}

    def add(name: str, propose: Callable[[], Candidates]) -> None:
        began = time.perf_counter()
        found = propose()
        out[name] = said(of, best(of, found), seconds=round(time.perf_counter() - began, 3))

    out.update(plans_for_everybody(of))
    add("nearest example copied", lambda: copied(of))
    add("what is offered, added up", lambda: leaned(of))
    for name in ("search", "nearest"):
        add(name, lambda name=name: build(name, of.task, Context(seed)).propose(of.query, rng))  # type: ignore[misc]
    for slack in (0.1, 0.3):
        add(f"teacher, lead {slack}", lambda slack=slack: taught(of, slack, seed))  # type: ignore[misc]
    tiny: Any = build("tiny", of.task, Context(seed))
    add("tiny, greedy", lambda: tiny.greedy(of.query))
    add("tiny", lambda: tiny.propose(of.query, rng))
    return out


def plans_for_everybody(of: Asked) -> dict[str, dict[str, Any]]:
    """What one plan for everybody does: that of `constant`, and the best up to each distance of `CAPS`."""
    found = Constant(of.task).propose(of.query, np.random.default_rng(0))
    out = {"constant": said(of, best(of, found))}
    for cap, plan in nearer(of).items():
        rows, fine = Constant(of.task).made(of.query, np.arange(len(of.query)), [plan])
        rows[~fine] = np.nan
        reasons = ["" if ok else "not open to this row" for ok in fine]
        found = Candidates.of(np.arange(len(of.query)), rows, "constant", reasons)
        out[f"constant up to {cap:g}"] = said(of, found, plan={str(j): value for j, value in plan.items()})
    return out


def taught(of: Asked, slack: float, seed: int) -> Candidates:
    """What the teacher of the pairs answers when asked for a lead."""
    harder = replace(of.query, margin=np.full(len(of.query), slack))
    at, rows = teach(of.task, harder, np.random.default_rng(seed), 1.0)
    return Candidates.of(at, rows, "teacher")


def copied(of: Asked) -> Candidates:
    """The edits that the search made for the training row most like the person, made to the person."""
    task = of.task
    inside = np.ones(len(task.rows), dtype=bool)
    inside[list(out_of_range(task.codec, task.rows, task.train))] = False
    wrong = np.flatnonzero(inside & (task.judge(task.rows).predicted != of.query.target[0]))
    people = Query.of_rows(task, task.rows[wrong], task.default_target(), sensecf.Limits(edit="mutable"))
    at, rows = teach(task, people, np.random.default_rng(0), 1.0)
    from sensecf.core.distances import Scale

    scale = task.once(Scale)
    there, asked = scale.embed(people.rows[at]), scale.embed(of.query.rows)
    near = ((asked[:, None] - there[None]) ** 2).sum(axis=2).argmin(axis=1)
    edited = task.codec.changed(people.rows[at], rows)[near]
    made = np.where(edited, rows[near], of.query.rows)
    return Candidates.of(np.arange(len(of.query)), np.where(edited.any(axis=1, keepdims=True), made, np.nan), "copied")


def leaned(of: Asked) -> Candidates:
    """The cheapest offers whose points add up to a lead of 0.2: no model, and no question after the offers are made.

    What a model that is told the offers has to be better than.
    """
    from sensecf.llm.ask import firmer
    from sensecf.llm.language.offered import Offered
    from sensecf.llm.language.offers import enough
    from sensecf.llm.language.replies import row_of

    words = Offered(of.task)
    made = [(one, enough(one, one.offers)) for one in words.ask(firmer(of.query))]
    rows = np.array([row_of(words, one, edits) if edits else np.full(len(one.row), np.nan) for one, edits in made])
    reasons = ["" if edits else "nothing is offered" for _, edits in made]
    return Candidates.of(np.arange(len(rows)), rows, "leaned", reasons)


def nearer(of: Asked) -> dict[float, dict[int, float]]:
    """For each cap the constant plan of up to three edits that turns most training people at no more mean distance.

    What `constant` looks for without a limit: beam search instead of one greedy path, on training people only.
    """
    maker = Constant(of.task)
    people = maker._people(of.query)
    single = maker._edits(of.query)
    plans: list[dict[int, float]] = list(single)
    scored = _turned(of.task, people, plans)
    for _ in range(2):
        # The widest beam that stays cheap: best by people turned, and best by people turned per distance.
        order = sorted(range(len(plans)), key=lambda k: -scored[k][0])[: WIDTH // 2]
        order += sorted(range(len(plans)), key=lambda k: -scored[k][0] / (0.5 + scored[k][1]))[: WIDTH // 2]
        known = {tuple(sorted(plan.items())) for plan in plans}
        longer = {
            tuple(sorted((plans[k] | edit).items())): plans[k] | edit
            for k in order
            for edit in single
            if not edit.keys() & plans[k].keys()
        }
        fresh = [plan for key, plan in longer.items() if key not in known]
        if not fresh:
            break
        scored += _turned(of.task, people, fresh)
        plans += fresh
    out = {}
    for cap in CAPS:
        fitting = [k for k in range(len(plans)) if scored[k][1] <= cap and scored[k][0] > 0]
        if fitting:
            out[cap] = plans[max(fitting, key=lambda k: (scored[k][0], -scored[k][1]))]
    return out


def _turned(task: Task, people: Query, plans: list[dict[int, float]]) -> list[tuple[float, float]]:
    """Share of people that each plan turns, and the mean distance where it does."""
    found = []
    for begin in range(0, len(plans), 64):
        part = plans[begin : begin + 64]
        owner = np.tile(np.arange(len(people)), len(part))
        rows, fine = Constant(task).made(people, owner, part)
        rows[~fine] = np.nan
        reasons = ["" if ok else "no" for ok in fine]
        verdicts = verify(task, people, Candidates.of(owner, rows, "x", reasons))
        good = verdicts.good.reshape(len(part), -1)
        away = np.where(good, verdicts.proximity.reshape(len(part), -1), np.nan)
        for k in range(len(part)):
            far = float(np.nanmean(away[k])) if good[k].any() else np.inf
            found.append((float(good[k].mean()), far))
    return found


# --- the language model -------------------------------------------------------------------


def prompted(setting: Setting, of: Asked, seed: int) -> dict[str, Any]:
    """The model as it comes: free, held to the schema, with three examples; one greedy answer each."""
    nearest = {"three examples, the nearest": {"shots": 3}} if setting.device != "cpu" else {}
    ways: dict[str, dict[str, Any]] = {
        "zero-shot, free": {"constrained": False, "max_tokens": 96},
        "zero-shot": {},
        "three examples, the same": {"shots": 3, "shot_choice": "fixed"},
        **nearest,
    }
    return _prompted(setting, of, seed, ways)


def offered(setting: Setting, of: Asked, seed: int) -> dict[str, Any]:
    """The model as it comes, told what is offered: without examples, with three and with six; one greedy answer each.

    And what it says in the words in which it will be tuned.
    """
    from sensecf.llm.language.prompts import Style

    ways = {
        f"offers, {count} examples": {"shots": count, "shot_choice": "fixed", "style": Style(offers=True)}
        for count in (0, 3, 6)
    }
    return {**_prompted(setting, of, seed, ways), **alone_base(setting, of, seed)}


def _prompted(setting: Setting, of: Asked, seed: int, ways: dict[str, dict[str, Any]]) -> dict[str, Any]:
    from sensecf.generators.prompted.prompted import Prompted
    from sensecf.llm.client import Client
    from sensecf.llm.tokens import load

    local = load(setting.weights, device=setting.device, batch_size=max(8, setting.batch // 4)).local
    out = {}
    for name, options in ways.items():
        began = time.perf_counter()
        asking = Prompted(of.task, seed, llm=Client(local), rounds=0, samples=1, **options)
        found = asking.propose(of.query, np.random.default_rng(seed))
        seconds = time.perf_counter() - began
        answers = pd.DataFrame(asking._log)
        tokens = {name: float(answers[name].mean()) for name in ("tokens_in", "tokens_out")}
        out[name] = said(of, found, seconds=round(seconds, 3), **tokens)
    return out


def alone(setting: Setting, of: Asked, base: Path, prompts: Any, adapter: Path | None, seed: int) -> dict[str, Any]:
    """The model in the words it is tuned in: one greedy answer with and without a lead asked for, and drawn ones."""
    from sensecf.finetune.modelcard import SAMPLING
    from sensecf.llm.ask import ask, ask_alone
    from sensecf.llm.client import Client
    from sensecf.llm.tokens import load

    client = Client(load(base, adapter=adapter, device=setting.device, batch_size=setting.batch * 4).local)
    began = time.perf_counter()
    greedy = ask_alone(prompts, client, of.query, seed=seed)
    seconds = time.perf_counter() - began
    plain = ask(prompts, client, of.query, seed=seed)
    samples = setting.samples
    drawn = ask(prompts, client, of.query, samples, temperature=SAMPLING, seed=seed)
    some = greedy.verdicts.good | drawn.verdicts.good.reshape(len(of.query), -1).any(axis=1)
    several = [len(set(drawn.texts[k : k + samples])) for k in range(0, len(drawn.texts), samples)]
    more = {
        "seconds": round(seconds, 3),
        "tokens": round(greedy.tokens / max(len(of.query), 1), 1),
        "valid of all drawn": some.tolist(),
        "distinct drawn": round(float(np.mean(several)) / samples, 4),
        "texts": greedy.texts,
    }
    return {"lead 0.2": said(of, greedy.candidates, **more), "no lead": said(of, plain.candidates)}


def alone_base(setting: Setting, of: Asked, seed: int) -> dict[str, Any]:
    """What the model that was not tuned answers in the words that it will be tuned in."""
    from sensecf.finetune.tune import Tuning, wording

    out = {}
    for name, offers in (("pretrained", False), ("pretrained, offers", True)):
        prompts = wording(of.task, Tuning("gpu-135m", setting.preset, offers=offers, seed=seed))
        out[name] = alone(setting, of, setting.weights, prompts, None, seed)
    return out


def base(setting: Setting) -> dict[str, Any]:
    """Make the small base model, where it is not there yet."""
    from sensecf.finetune.smallbase import make_base
    from sensecf.finetune.supervised import quiet

    assert setting.small is not None
    quiet()
    if not (setting.small / "base.json").exists():
        make_base(setting.small, device=setting.device)
    return dict(json.loads((setting.small / "base.json").read_text(encoding="utf-8")))


def small(setting: Setting, of: Asked, seed: int) -> dict[str, Any]:
    """The small model of the project's own, before and after pairs and verdicts, in the preset that it has."""
    from sensecf.finetune.presets import preset
    from sensecf.finetune.supervised import quiet
    from sensecf.finetune.tune import Tuning, finetune, wording

    assert setting.small is not None
    quiet()
    tuning = Tuning("cpu-small", preset("cpu-small"), reward="grpo", seed=seed)
    prompts = wording(of.task, tuning)
    folder = setting.out / "models" / f"small-{of.task.schema.name}-{seed}"
    if not (folder / "tuned.json").exists():
        finetune(of.task, setting.small, folder, tuning, card=of.card, device=setting.device)
    facts = json.loads((folder / "tuned.json").read_text(encoding="utf-8"))
    out: dict[str, Any] = {"facts": {key: facts[key] for key in ("stages", "kept", "metrics", "pairs")}}
    for stage, adapter in {"pretrained": None, "pairs": folder / "stages" / "lora", "verdicts": folder}.items():
        out[stage] = alone(setting, of, setting.small, prompts, adapter, seed)
    return out


def tuned(
    setting: Setting, of: Asked, name: str, seed: int, *, count: int, reward: str, offers: bool
) -> dict[str, Any]:
    """Tune on `count` pairs, then by verdicts; what the model answers alone before and after each stage."""
    from sensecf.finetune.supervised import quiet
    from sensecf.finetune.tune import ROUNDS, Tuning, finetune, wording

    quiet()
    tuning = Tuning("gpu-135m", replace(setting.preset, pairs=count), reward=reward, offers=offers, seed=seed)
    prompts = wording(of.task, tuning)
    pairs = lessons(setting, of.task, prompts, name, seed, count)
    folder = setting.out / "models" / f"{name}-{seed}-{count}-{reward}{'-offers' if offers else ''}"
    began = time.perf_counter()
    if not (folder / "tuned.json").exists():
        finetune(of.task, setting.weights, folder, tuning, pairs=pairs, card=of.card, device=setting.device)
    seconds = time.perf_counter() - began
    facts = json.loads((folder / "tuned.json").read_text(encoding="utf-8"))
    out: dict[str, Any] = {"facts": {key: facts[key] for key in ("stages", "kept", "metrics", "pairs", "memorisation")}}
    stages = {"pairs": folder / "stages" / "lora"}
    if reward in ROUNDS:
        stages["verdicts"] = folder / "stages" / f"{ROUNDS[reward]} 1"
    for stage, adapter in stages.items():
        out[stage] = alone(setting, of, setting.weights, prompts, adapter, seed)
    out["seconds"] = round(seconds, 1)
    return out


def few(setting: Setting, of: Asked, name: str, seed: int, *, count: int, offers: bool) -> dict[str, Any]:
    """Tune on few pairs where there is no GPU: without secrets and without questions on the way, which cost as much.

    The adapter of the last step is taken. A run that was interrupted goes on after the last quarter of an epoch.
    """
    from sensecf.finetune.supervised import Training, quiet, supervise
    from sensecf.finetune.tune import Tuning, wording
    from sensecf.llm.tokens import encode, load

    quiet()
    preset = replace(setting.preset, pairs=count, evaluations=4, patience=1000)
    prompts = wording(of.task, Tuning("few", preset, offers=offers, seed=seed))
    pairs = lessons(setting, of.task, prompts, name, seed, count)
    folder = setting.out / "models" / f"few-{name}-{seed}-{count}{'-offers' if offers else ''}"
    done = folder / "facts.json"
    if not done.exists():
        learner = load(setting.weights, device=setting.device)
        learned, aside = pairs.split(0.02)
        examples = encode(learner, learned.prompts, learned.completions)
        checked = encode(learner, aside.prompts, aside.completions) or examples[:4]
        began = time.perf_counter()
        # What is later is better, also after an interruption.
        training = Training(preset, seed)
        trained = supervise(learner, examples, checked[:8], lambda: {"score": time.time()}, folder, training)
        write_json(done, {"pairs": len(learned), "seconds": round(time.perf_counter() - began, 1), **trained.facts})
    return {
        "facts": json.loads(done.read_text(encoding="utf-8")),
        "pairs": alone(setting, of, setting.weights, prompts, folder / "adapter", seed),
    }


def lessons(setting: Setting, task: Task, prompts: Any, name: str, seed: int, count: int) -> Any:
    """`count` of the pairs that the part `pairs` has drawn, in the words of `prompts`."""
    from sensecf.finetune.text_pairs import Pairs

    place = _kept(setting, prompts, name, seed)
    with np.load(place.with_suffix(".npz"), allow_pickle=False) as kept:
        rows = kept["answers"]
        query = Query(**{field: kept[field] for field in Query.__dataclass_fields__})
    card = json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))
    chosen = np.sort(np.random.default_rng([seed, 5]).permutation(len(rows))[:count])
    rows, query = rows[chosen], query.take(chosen)
    questions = prompts.ask(query)
    texts = [prompts.completion(one, row) for one, row in zip(questions, rows, strict=True)]
    return Pairs(query, rows, [prompts.render(one) for one in questions], texts, {**card, "pairs": len(rows)})


def _kept(setting: Setting, prompts: Any, name: str, seed: int) -> Path:
    """Where the pairs of a split are kept, without a suffix: those of each wording have a teacher of their own."""
    return setting.out / "pairs" / f"{name}-{seed}-{prompts.version.replace(' ', '-')}"


def draw_pairs(setting: Setting, of: Asked, name: str, seed: int) -> dict[str, Any]:
    """Draw the pairs of a split once for all parts, in both wordings: as many as the preset says."""
    from sensecf.finetune.text_pairs import draw
    from sensecf.finetune.tune import Tuning, wording

    found: dict[str, Any] = {}
    for offers in (False, True):
        prompts = wording(of.task, Tuning("gpu-135m", setting.preset, offers=offers, seed=seed))
        began = time.perf_counter()
        pairs = draw(prompts, setting.preset.pairs, seed, slack=setting.preset.slack)
        place = _kept(setting, prompts, name, seed)
        place.parent.mkdir(parents=True, exist_ok=True)
        arrays = {field: getattr(pairs.query, field) for field in Query.__dataclass_fields__}
        write_json(place.with_suffix(".json"), pairs.card)
        np.savez(place.with_suffix(".part.npz"), answers=pairs.rows, **arrays)
        place.with_suffix(".part.npz").rename(place.with_suffix(".npz"))
        found[prompts.version] = {"pairs": len(pairs), "seconds": round(time.perf_counter() - began, 1)}
    return found
