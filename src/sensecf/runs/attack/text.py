"""A tuned language model as a surface: the exposure of texts that were planted when it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sensecf.core.budget import BUDGET
from sensecf.core.errors import InputError
from sensecf.core.files import write_json, write_text
from sensecf.core.folder import named
from sensecf.core.kept import read_record
from sensecf.data.card import card_beside
from sensecf.runs.attack.label import NOT, SHAREABLE

#: Draws of what chance does, and below which probability planted texts count as known by heart.
DRAWS, CHANCE = 20_000, 0.05


def is_text_model(folder: Path) -> bool:
    """Whether a folder is one of `sensecf finetune`."""
    return (folder / "tuned.json").is_file()


def by_chance(mean: float, planted: int, most: float = 6.0, seed: int = 0) -> float:
    """How likely planted texts stand out as much in a model that never saw them: the mean exposure of `planted` texts
    in bits, each ranked at random among texts of `most` bits in all (Carlini et al. 2019)."""
    texts = round(2**most)
    ranks = np.random.default_rng([seed, 14]).integers(1, texts + 1, (DRAWS, planted))
    drawn = np.log2(texts / ranks).mean(axis=1)
    return float((1 + (drawn >= mean - 1e-9).sum()) / (1 + DRAWS))


def attack_text(folder: Path, out: Path, seed: int = 0) -> list[str]:
    """What `finetune` measured when it trained the model, as a label and a report in `out`; returns what comes first.

    Texts were planted among the pairs, each once as the pairs are: that they stand out proves that the model knows
    single pairs by heart, and that they do not is the proof that the attack can see for those that do. Raises
    `InputError` for a folder of an older version.
    """
    told = read_record(folder / "tuned.json", dict[str, Any]).get("memorisation")
    if not isinstance(told, dict) or not {"canaries", "answers"} <= set(told):
        raise InputError(f"{folder / 'tuned.json'} says nothing of what the model knows by heart; tune it anew")
    canaries, copied = told["canaries"], told["answers"]
    planted, mean = int(canaries["planted"]), canaries["mean exposure, bits"]
    most = float(canaries["most, bits"])
    p = by_chance(float(mean), planted, most, seed) if planted and mean is not None else float("nan")
    private = (folder / BUDGET).is_file()
    why = _why(p, copied, private)
    card = card_beside(folder / "tuned.json")
    if card is not None and not card.shareable:
        why.insert(0, f"the card of {card.name} says what is made from it stays under its terms ({card.leaves})")
    label = NOT if why else SHAREABLE
    lines = [
        f"The tuned model: {planted} planted texts have an exposure of {mean} bits on average, 1.4 by chance, "
        f"{most:g} where they are known by heart (p {p:.3f}). {label.capitalize()}.",
        *(f"- {one}" for one in why),
        f"Of {copied['answers']} answers {_share(copied['exact copies'])} are rows that were learned from.",
    ]
    place = named(out)
    place.mkdir(parents=True, exist_ok=True)
    title = "the tuned language model"
    write_json(place / "label.json", {"text model": {"label": label, "title": title, "why": why}})
    write_json(
        place / "run.json", {"command": "attack", "seed": seed, "memorisation": told, "p": p, "private": private}
    )
    write_text(place / "report.md", "\n\n".join(["# What a tuned model knows by heart", *lines]) + "\n")
    return lines


def _why(p: float, copied: Mapping[str, Any], private: bool) -> list[str]:
    """What stands in the way of handing the model on."""
    why = []
    if not p >= CHANCE:
        why.append("planted texts stand out: single pairs are known by heart")
    if copied["exact copies"]:
        why.append(f"{_share(copied['exact copies'])} of its answers are rows that were learned from")
    if not private:
        why.append("it learned from people's rows without --private; planted texts say nothing of other attacks")
    return why


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}"
