"""Pretrained, tuned, tuned further by verdicts: what a small language model does alone at each stage.

    python benchmarks/finetune_stages.py --out stages           (two cores: under 40 minutes)
    python benchmarks/finetune_stages.py --out stages --quick   (a minute; shows that it runs, not what it can do)
    python benchmarks/finetune_stages.py --out stages --reward grpo   (beside a run with dpo; the base is shared)
    python benchmarks/finetune_stages.py --constant 3  (what one plan for everybody does, three splits: a few minutes)

The base model is made here, on simulated tables that have nothing to do with the ones it is judged on. Each
table is split by person; only the training people's rows reach the pairs, the tuning and the verdicts,
and the stages are measured on the others: one greedy answer per person, asked for a lead since nobody checks
it (`answering.ALONE`), and sixteen drawn ones. Valid is what the classifier says yes to, by however little. No
polish, no fallback. Unanswered counts as not valid. Differences between stages are over the people
that both stages answered validly. A round of verdicts that makes answers to validation questions worse is not
kept; "kept" names the stage whose adapter stands for the last.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from real_llm_parts import Asked, plans_for_everybody
from real_llm_tables import everybody, rounded
from sections import replace_section

import sensecf
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.files import write_json
from sensecf.core.limits import make_query
from sensecf.core.parallel import spread
from sensecf.core.plain import cores
from sensecf.core.query import Query, out_of_range
from sensecf.core.task import Task
from sensecf.finetune.modelcard import averages, measure
from sensecf.finetune.presets import Preset, preset
from sensecf.finetune.smallbase import BaseRecipe, make_base
from sensecf.finetune.supervised import quiet
from sensecf.finetune.tune import ROUNDS, Tuning, finetune, wording
from sensecf.llm.client import Client
from sensecf.llm.tokens import load

TABLES = ("simulated", "t1d_uom_daily_stress")
#: People asked about, per table; answers drawn for each.
ASKED, SAMPLES = 150, 16

QUICK_BASE = BaseRecipe(tables=4, pairs=12, vocabulary=600, hidden=32, layers=2, heads=2, batch_tokens=2048, steps=60)
QUICK_TUNING = Preset(
    pairs=64, rank=8, rate=1e-2, epochs=6, batch=8, validation=4, rounds=1, preference_rate=3e-3, preference_queries=16,
    samples=3,
)  # fmt: skip


def unseen(task: Task, test: pd.DataFrame, limit: int, seed: int) -> Query:
    """Rows of held-out people that the classifier does not put in the target class."""
    rows = task.codec.encode(test)
    target = task.target_position(task.default_target())
    judged = task.judge(rows, final=True)
    outside = out_of_range(task.codec, rows, test)
    at = np.array([i for i in np.flatnonzero(judged.predicted != target) if i not in outside])
    at = np.sort(np.random.default_rng(seed).permutation(at)[:limit])
    return make_query(task, test.iloc[at].reset_index(drop=True), task.default_target(), edit="mutable")


def constants(name: str, seeds: int) -> list[dict[str, Any]]:
    """What one plan for everybody does for the same people: the best one, and the best up to each distance."""
    found = []
    for seed in range(seeds):
        data = sensecf.datasets.load(name)
        train, test = sensecf.datasets.split(data.frame, data.schema, seed=seed)
        task = Task(data.schema, train, fit_classifier("xgboost", data.schema, train, seed=seed))
        query = unseen(task, test, ASKED, seed)
        of = Asked(task, query, list(range(len(query))), None)
        plans = plans_for_everybody(of)
        entries = [
            {
                "plan": plan,
                "valid": float(np.mean(one["valid"])),
                **{
                    key: None if np.isnan(mean := float(np.nanmean(np.where(one["valid"], one[key], np.nan)))) else mean
                    for key in ("changes", "distance", "plausible")
                },
            }
            for plan, one in plans.items()
            if any(one["valid"])
        ]
        found.append({"table": name, "seed": seed, "people": len(query), "plans": entries})
    return found


class Asking(NamedTuple):
    """What all tables share: the base model, where to write, how to tune, people and answers to measure with."""

    base: Path
    out: Path
    tuning: Tuning
    asked: int
    samples: int


def stages(asking: Asking, name: str) -> dict[str, Any]:
    """The three stages on one table."""
    base, out, tuning, asked, samples = asking
    quiet()
    data = sensecf.datasets.load(name)
    train, test = sensecf.datasets.split(data.frame, data.schema, seed=tuning.seed)
    task = Task(data.schema, train, fit_classifier("xgboost", data.schema, train, seed=tuning.seed))
    began = time.perf_counter()
    found: dict[str, pd.DataFrame] = {}
    query = unseen(task, test, asked, tuning.seed)
    prompts = wording(task, tuning)
    folder = out / _named(name, tuning)
    if not (folder / "tuned.json").exists():
        finetune(task, base, folder, tuning, card=data.card, classifier="xgboost")
    adapters = {"pretrained": None, "lora": folder / "stages" / "lora", ROUNDS[tuning.reward]: folder}
    for stage, adapter in adapters.items():
        learner = load(base, adapter=adapter)
        found[stage], _ = measure(prompts, Client(learner.local), query, samples, tuning.seed, tuning.plausibility)
    record = json.loads((folder / "tuned.json").read_text(encoding="utf-8"))
    return {
        "asked": len(query),
        "kept": record["kept"],
        "stages": {stage: averages(frame) for stage, frame in found.items()},
        "paired": {stage: paired(found["pretrained"], frame) for stage, frame in found.items()},
        "seconds": round(time.perf_counter() - began, 1),
    }


def _named(name: str, tuning: Tuning) -> str:
    """Tables and figures of another reward than the usual one stand beside those of it."""
    return name if tuning.reward == "dpo" else f"{name}-{tuning.reward}"


def paired(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, float | int | None]:
    """Distance and changes of greedy answers, over the people for whom both were valid."""
    both = before["distance"].notna() & after["distance"].notna()
    if not both.any():
        return {"people": 0, "distance before": None, "distance after": None}
    return {
        "people": int(both.sum()),
        "distance before": round(float(before.loc[both, "distance"].mean()), 4),
        "distance after": round(float(after.loc[both, "distance"].mean()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--constant", type=int, default=0, help="splits to measure one plan for everybody on, and end")
    parser.add_argument("--quick", action="store_true", help="minutes to seconds: does it run?")
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--reward", choices=list(ROUNDS), default="grpo")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.constant:
        entries = [one for name in options.tables.split(",") for one in constants(name, options.constant)]
        write_json(Path(__file__).with_name("finetune_constant.json"), {"splits": rounded(entries)})
        replace_section(
            Path(__file__).parents[1] / "docs" / "finetuning.md", "stages-constant", everybody(rounded(entries))
        )
        return
    if options.out is None:
        parser.error("name a folder with --out")
    quiet()
    began = time.perf_counter()
    base = options.out / "base"
    recipe = QUICK_BASE if options.quick else BaseRecipe()
    if not (base / "base.json").exists():
        make_base(base, options.seed, recipe)
    facts = json.loads((base / "base.json").read_text(encoding="utf-8"))
    speed = f"{facts['tokens']:,} tokens, {facts['tokens per second']:,} per second"
    print(f"base: {facts['parameters']:,} parameters, {speed}")
    tuning = Tuning("quick" if options.quick else "cpu-small", QUICK_TUNING if options.quick else preset("cpu-small"))
    tuning = replace(tuning, seed=options.seed, reward=options.reward)
    asked, samples = (8, 2) if options.quick else (ASKED, SAMPLES)
    results: dict[str, Any] = {"base": facts, "samples": samples, "tables": {}}
    names = options.tables.split(",")
    asking = Asking(base, options.out, tuning, asked, samples)
    # A table per process and thread: the matrices are too small for two.
    for at, found in spread(stages, names, asking, workers=min(len(names), cores())):
        name = names[at]
        results["tables"][name] = found
        print(f"\n{name}: {found['asked']} rows of unseen people, {found['seconds']:.0f} s")
        print(pd.DataFrame(found["stages"]).T.to_string(float_format="{:.3f}".format))
        print(pd.DataFrame(found["paired"]).T.to_string())
    results["seconds"] = round(time.perf_counter() - began, 1)
    written = options.out / f"{_named('stages', tuning)}.json"
    write_json(written, results)
    print(f"\n{results['seconds']:.0f} s; {written}")


if __name__ == "__main__":
    main()
