"""What a tuned model can do, measured, and the card that says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from sensecf.core.files import write_text
from sensecf.core.query import Query
from sensecf.core.verify import known_values
from sensecf.data.card import Card
from sensecf.generators.tuned import Shape
from sensecf.llm import LLM
from sensecf.llm.ask import Answers, ask, ask_alone
from sensecf.llm.language.prompts import Prompts

#: The temperature at which several answers to one question differ.
SAMPLING = 0.7


def measure(
    prompts: Prompts, llm: LLM, query: Query, samples: int = 16, seed: int = 0, plausibility: float = 1.0
) -> tuple[pd.DataFrame, Answers]:
    """What the model answers alone, before any polish or fallback: a row per query, and the sampled answers.

    Columns: `greedy_valid` (the one greedy answer, see `ask_alone`, is valid and breaks no rule), `valid` (so is one
    of that and `samples` drawn ones), `n_changed`, `distance` (MAD-L1), `in_range` (every new value inside the training
    range) and `plausible` of the greedy answer, NaN where it is not valid; `distance_any`: of the greedy
    answer, valid or not, NaN where there is none.
    """
    greedy = ask_alone(prompts, llm, query, seed=seed)
    drawn = ask(prompts, llm, query, samples, temperature=SAMPLING, seed=seed)
    good, rows = greedy.verdicts.good, greedy.candidates.rows
    changed = prompts.task.codec.changed(query.rows[greedy.candidates.query], rows)
    return pd.DataFrame(
        {
            "greedy_valid": good.astype(float),
            "valid": (good | drawn.verdicts.good.reshape(len(query), -1).any(axis=1)).astype(float),
            "n_changed": np.where(good, greedy.verdicts.n_changed, np.nan),
            "distance": np.where(good, greedy.verdicts.proximity, np.nan),
            "in_range": np.where(good, known_values(prompts.task, rows, changed), np.nan),
            "plausible": np.where(good, greedy.verdicts.plausible, np.nan),
            "distance_any": np.where(greedy.candidates.reason == "", greedy.verdicts.proximity, np.nan),
        }
    ), drawn


def averages(found: pd.DataFrame) -> dict[str, float | None]:
    """The mean of each column, None where nothing was valid."""
    return {
        str(name): None if column.isna().all() else round(float(column.mean()), 4) for name, column in found.items()
    }


class Origin(TypedDict):
    """Where a tuned model comes from: the version that made it, the base model's folder or name."""

    sensecf: str
    base: str
    base_name: str


class Memorised(TypedDict):
    """What a tuned model has by heart; see `memorisation`."""

    answers: Mapping[str, float | None]
    canaries: Mapping[str, float | None]


class Learned(TypedDict):
    """What a model was tuned on, and what the stages came to; `kept`: the stage whose adapter it is.

    `full`, `offers`: the wording, see `tune.Tuning`. `stages`: what each cost; `metrics`: what the model did alone
    before and after each.
    """

    full: bool
    offers: bool
    wording: str
    table: str
    schema: Shape
    preset: str
    seed: int
    pairs: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, float | None]]
    kept: str
    metrics: Mapping[str, Mapping[str, float | None]]
    memorisation: Memorised


class TunedFacts(Origin, Learned):
    """`tuned.json`."""

    classifier: str


def write_card(folder: str | Path, facts: TunedFacts, data: Card | None) -> None:
    """Write `README.md`, the card of a tuned model, from the facts of `tuned.json`."""
    lines = ["# A language model tuned to give counterfactuals of one table", ""]
    lines += [
        "It answers questions about rows of that table in the wording it was tuned on, and nothing else. Its answers",
        "are guesses until they are verified: `sensecf explain --generator tuned --model DIR` does that.",
        "A counterfactual changes a classifier's answer; whether it changes a person's health is not known.",
        "",
        "## From what it was made",
        "",
        f"- base model: {facts['base_name']}; its licence and terms of use hold for this model too",
        f"- table: {facts['table'] or 'unnamed'}; classifier that judged: {facts['classifier']}",
        f"- pairs: {facts['pairs']['pairs']} of {facts['pairs']['source']}, from training rows only (`pairs.json`)",
        f"- seed {facts['seed']}, preset {facts['preset']}",
        "",
        "## Data",
        "",
    ]
    if data is None:
        lines += ["No card came with the table. The weights were fitted to its rows: treat them as you treat the rows."]
    else:
        lines += [*(f"- {line}" for line in data.lines())]
        lines += ["", "What is made from the data inherits its terms; the weights of this model are made from it."]
    lines += ["", "## What it does alone", "", *_table(facts["metrics"])]
    lines += ["", "On validation questions drawn from the training rows, half of them with locked features."]
    lines += [f"This is the adapter of the stage {facts['kept']!r}, whose greedy answers were valid most often.", ""]
    lines += ["## What it has by heart", "", *_list(facts["memorisation"]["answers"])]
    lines += ["", "Secrets planted among the pairs on purpose:", "", *_list(facts["memorisation"]["canaries"])]
    lines += ["", "## What it cost", ""]
    for stage, cost in facts["stages"].items():
        lines += [f"- {stage}: " + ", ".join(f"{name} {value}" for name, value in cost.items())]
    write_text(Path(folder) / "README.md", "\n".join(lines) + "\n")


def _table(metrics: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    stages = list(metrics)
    lines = [f"| | {' | '.join(stages)} |", f"|---|{'---|' * len(stages)}"]
    for name in next(iter(metrics.values())):
        cells = ["–" if metrics[stage][name] is None else f"{metrics[stage][name]:.3f}" for stage in stages]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _list(facts: Mapping[str, float | None]) -> list[str]:
    return [f"- {name}: {'–' if value is None else value}" for name, value in facts.items()]
