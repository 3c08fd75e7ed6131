"""Random schemas, people and limits: is every answer, read back from the saved CSV, what was promised?

    python benchmarks/fuzz.py --schemas 2000 --seed 0 [--from 500] [--generator tiny]

Each schema is a world of `tests/worlds.py` (orders, totals, chains, shares, balances; blanks, broken rules and values
between two steps among the people), with random roles and least worthwhile changes, a random classifier, and five
people who ask for 1 to 3 answers under random locks, ranges, directions, budgets and margins. Answers are saved, read
back with pandas, and held against `tests/checker.py` and the checks below, which share no code with the product, and
against the classifier's own `predict` on the raw saved row. Schema number i of a seed is always the same, so that a
large run can be done in parts. Prints counts; the status is 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import pandas as pd

from checker import SLACK, blank, breaks, differs, problems, value_of
from sensecf import InputError, Task, explain
from sensecf.core.rules import Linear, Total
from sensecf.core.schema import FeatureSchema
from sensecf.generators.nearest import Nearest
from sensecf.generators.search import Effort, Search
from sensecf.generators.tiny.tiny import Recipe, Tiny
from sensecf.generators.tiny.tinylm import Shape
from worlds import BLOCKS, HABITS, KINDS, Plan, World, build

#: A model that has seen next to nothing: what it proposes must be allowed all the same.
SIPS = Recipe(Shape(width=16, layers=1, heads=2), pairs=60, epochs=1, batch=32, rounds=1, round_queries=8, samples=6)
QUICK = Effort(beam=2, edits=12, depth=3, neighbours=3, keep=3)
GENERATORS: dict[str, Callable[[Task], Any]] = {
    "search": lambda task: Search(task, effort=QUICK),
    "nearest": lambda task: Nearest(task, neighbours=3),
    "tiny": lambda task: Tiny(task, recipe=SIPS),
}
#: Which generator answers, by the schema's number: training takes longest.
TURNS = ("search", "nearest", "search", "nearest", "search", "nearest", "tiny")
CLASSES: tuple[tuple[Any, ...], ...] = (("no", "yes"), (0, 1), (False, True), ("low", "mid", "high"))
ASKED = 5
#: What is wrong, a line each.
Lines = Iterator[str]


class Asked(NamedTuple):
    """One question: a world, its classifier, who answers and what is asked for."""

    world: World
    kind: str
    generator: str
    n: int
    target: Any
    margin: float
    edit: str
    limits: dict[str, Any]


def question(seed: int, number: int, generator: str = "") -> Asked:
    """Question number `number` of a seed."""
    rng = random.Random(f"{seed} {number}")
    plan = Plan(
        blocks=("number", *rng.choices(sorted(BLOCKS), k=rng.randint(1, 4))),
        extra=tuple(rng.choices(["linear", "implication"], k=rng.randint(0, 2))),
        habits=tuple(rng.choices(HABITS, k=rng.randint(0, 6))),
        mess=frozenset(m for m in ("blank", "between", "broken") if rng.random() < 0.5),
        classes=rng.choice(CLASSES),
        max_changes=rng.choice([None, None, None, 2]),
        seed=rng.getrandbits(32),
    )
    world = build(plan, 40, ASKED)
    world = replace(world, schema=roles(world.schema, rng))
    kind, method = rng.choice(KINDS), generator or TURNS[number % len(TURNS)]
    return Asked(
        world, kind, method, rng.randint(1, 3), rng.choice(plan.classes), rng.choice([0.0, 0.0, 0.0, 0.1]),
        rng.choice(["actionable", "mutable"]), limits(world.schema, rng),
    )  # fmt: skip


def roles(schema: FeatureSchema, rng: random.Random) -> FeatureSchema:
    """The schema with some features that only follow, and some edits too small to be worth making."""
    features = list(schema.features)
    for i, feature in enumerate(features):
        if feature.role == "actionable" and rng.random() < 0.3:
            features[i] = replace(feature, role="mutable")
        if feature.numeric and rng.random() < 0.4:
            assert feature.step is not None
            least = rng.randint(2, 5) * feature.step
            if feature.max_change is None or least <= feature.max_change:
                features[i] = replace(features[i], least_change=least)
    return replace(schema, features=tuple(features))


def limits(schema: FeatureSchema, rng: random.Random) -> dict[str, Any]:
    """What a person may ask for beside the target."""
    ranges = {}
    for feature in rng.sample([f for f in schema.features if f.numeric], k=rng.randint(0, 1)):
        assert feature.low is not None
        assert feature.high is not None
        low, high = sorted(feature.low + rng.random() * (feature.high - feature.low) for _ in range(2))
        ranges[feature.name] = (rng.choice([None, low]), rng.choice([None, high]))
    some = rng.sample(schema.names, k=min(len(schema), rng.randint(0, 2)))
    return {
        "lock": tuple(rng.sample(schema.names, k=min(len(schema) - 1, rng.randint(0, 2)))),
        "ranges": ranges,
        "directions": {name: rng.choice(["increase", "decrease"]) for name in some},
        "max_changes": rng.choice([None, None, 1, 2, 3]),
    }


# --- what must hold -----------------------------------------------------------------------


def changes(schema: FeatureSchema, before: Mapping[Any, Any], after: Mapping[Any, Any]) -> dict[str, float]:
    """What an answer changes, and by how much (levels: nothing is said)."""
    out = {}
    for feature in schema.features:
        a, b = (value_of(feature, row[feature.name]) for row in (before, after))
        if differs(feature, a, b):
            out[feature.name] = abs(b - a) if feature.numeric else float("inf")
    return out


def small(schema: FeatureSchema, changed: Mapping[str, float]) -> list[str]:
    """Edits below the least worthwhile one, but for those that follow: one per equality where another is large."""
    few = {n for n, size in changed.items() if size < (schema[n].least_change or 0.0) - 1e-9}
    for members, equalities in tied(schema):
        inside = few & members
        if len(inside) <= equalities and (set(changed) & members) - few:
            few -= inside
    return [f"{name} moves by {changed[name]:g}, less than is worthwhile" for name in sorted(few)]


def tied(schema: FeatureSchema) -> Iterator[tuple[set[str], int]]:
    """Features that equalities tie together, and by how many."""
    groups: list[tuple[set[str], int]] = []
    for rule in schema.rules:
        if not (isinstance(rule, Total) or (isinstance(rule, Linear) and rule.op == "==")):
            continue
        members, count = set(rule.members()), 1
        for other in [g for g in groups if g[0] & members]:
            groups.remove(other)
            members, count = members | other[0], count + other[1]
        groups.append((members, count))
    yield from groups


def in_tow(schema: FeatureSchema, before: Mapping[Any, Any], changed: Collection[str]) -> set[str]:
    """What may have moved in tow: results in a sum of measured members where a feature that a person sets was edited,
    or which did not hold before, and so on from sum to sum."""
    sums = [r for r in schema.rules if isinstance(r, Total) and isinstance(r.whole, str)]
    sums = [r for r in sums if not any(blank(before[name]) for name in r.members())]
    moved = {name for name in changed if schema[name].role == "actionable"}
    tow: set[str] = set()
    for _ in sums:
        near = {n for r in sums if (moved | tow) & set(r.members()) or breaks(schema, r, before) for n in r.members()}
        tow = {name for name in near & set(changed) if schema[name].role == "mutable"}
    return tow


def actions(schema: FeatureSchema, answer: Mapping[Any, Any], changed: Collection[str], tow: Collection[str]) -> Lines:
    """What is wrong with what the answer says is edited: all that changed, and nothing of it follows but what may."""
    said = set() if blank(answer["actions"]) else set(str(answer["actions"]).split(";"))
    yield from (f"{name} is said to be edited and did not change" for name in sorted(said - set(changed)))
    yield from (f"{name} is a result and was edited" for name in sorted(set(changed) - said - set(tow)))
    yield from (f"{name} is a result and said to be edited" for name in said if schema[name].role != "actionable")
    if answer["n_changed"] != len(said):
        yield f"n_changed {answer['n_changed']}, {len(said)} are"


def wrong_with(asked: Asked, task: Task, folder: Path) -> Iterator[str]:
    """Everything that is wrong with what was saved."""
    schema, names = asked.world.schema, asked.world.schema.names
    table = pd.read_csv(folder / "counterfactuals.csv")
    people = pd.read_csv(folder / "factuals.csv").set_index("query")
    if list(people.index) != list(asked.world.people.index):
        yield f"{list(people.index)} were asked about"
    for query, person in asked.world.people.iterrows():
        part, before = table[table["query"] == query], people.loc[query]
        lost = [n for n in names if value_of(schema[n], before[n]) != value_of(schema[n], person[n])]
        yield from (f"{query}: {n} {person[n]!r} is saved as {before[n]!r}" for n in lost)
        answers = part[part["rank"].notna()]
        if answers.empty:
            said = len(part) == 1 and isinstance(part["reason"].iloc[0], str) and part["reason"].iloc[0].strip()
            if not said or not all(blank(cell) for cell in part[names].iloc[0]):
                yield f"{query}: an abstention without a reason, or with values"
            continue
        if answers["rank"].tolist() != list(range(1, len(part) + 1)) or len(part) > asked.n:
            yield f"{query}: ranks {part['rank'].tolist()}"
        if answers[names].astype(object).duplicated().any():
            yield f"{query}: the same answer twice"
        for (_, answer), text in zip(answers.iterrows(), judged(asked, task, answers), strict=True):
            changed = changes(schema, before, answer)
            tow = in_tow(schema, before, changed) if asked.edit == "actionable" else set()
            found = [
                *problems(schema, before, answer, seen=asked.world.train, follows=tow, **asked.limits),
                *small(schema, {name: size for name, size in changed.items() if name not in tow}),
                *text,
            ]
            if asked.edit == "actionable":
                found += actions(schema, answer, changed, tow)
            elif answer["n_changed"] != len(changed):
                found.append(f"n_changed {answer['n_changed']}, {len(changed)} are")
            yield from (f"{query}: {problem}" for problem in found)


def judged(asked: Asked, task: Task, answers: pd.DataFrame) -> list[list[str]]:
    """What is wrong with the class and the probability of each answer, asked of the classifier on raw saved rows."""
    classifier: Any = task.classifier
    rows = answers[asked.world.schema.names]
    predicted, proba = classifier.predict(rows), classifier.predict_proba(rows)
    place = list(asked.world.schema.classes).index(asked.target)
    lead = proba[:, place] - np.delete(proba, place, axis=1).max(axis=1)
    out: list[list[str]] = []
    for i, (_, answer) in enumerate(answers.iterrows()):
        found = [] if predicted[i] == asked.target else [f"predict says {predicted[i]!r}"]
        if asked.margin and lead[i] < asked.margin - SLACK:
            found.append(f"leads by {lead[i]:.6f}, {asked.margin} was asked for")
        if abs(answer["probability"] - proba[i, place]) > 2e-6:
            found.append(f"probability {answer['probability']}, {proba[i, place]:.6f} is right")
        # A column of whole numbers with blanks is read as decimals: values are compared, and text.
        same = answer["predicted"] == asked.target or str(answer["predicted"]) == str(asked.target)
        if not same or not (answer["valid"] and answer["feasible"]):
            found.append(f"is said to be {answer['predicted']!r}, {answer['valid']}, {answer['feasible']}")
        out.append(found)
    return out


def ask(asked: Asked, seed: int) -> tuple[Counter[str], list[str]]:
    """Answer one question; returns counts and what is wrong."""
    counts: Counter[str] = Counter()
    task = asked.world.task(asked.kind)
    wishes = {"margin": asked.margin, "edit": asked.edit, "seed": seed, **asked.limits}
    try:
        with tempfile.TemporaryDirectory() as name:
            asked.world.schema.to_toml(Path(name, "schema.toml"))
            if FeatureSchema.from_toml(Path(name, "schema.toml")) != asked.world.schema:
                return counts, ["the schema is another one when it is read back"]
            found = explain(
                task, GENERATORS[asked.generator](task), asked.world.people, asked.target, asked.n, **wishes
            )
            found.save(name)
            wrong = list(wrong_with(asked, task, Path(name)))
    except InputError as error:
        counts["refused: " + str(error).partition(":")[0][:60]] += 1
        return counts, []
    except Exception:
        return counts, [traceback.format_exc()]
    counts["requests"] += len(asked.world.people)
    counts["answers"] += len(found.answers)
    counts["requests answered"] += found.answers["query"].nunique()
    counts["abstentions"] += len(found) - len(found.answers)
    return counts, wrong


def fuzz(
    schemas: int, seed: int, say: Callable[[str], None], first: int = 0, generator: str = ""
) -> tuple[Counter[str], int]:
    """Ask so many questions from number `first` on; returns the counts and how many were answered wrongly."""
    total: Counter[str] = Counter()
    bad = 0
    for number in range(first, first + schemas):
        asked = question(seed, number, generator)
        counts, wrong = ask(asked, seed)
        total += counts + Counter({"schemas": 1, f"schemas, {asked.generator}": 1})
        bad += bool(wrong)
        for line in wrong[:5]:
            say(f"schema {number}, {asked.generator}, {asked.kind}, {asked.edit}, {asked.limits}: {line}")
        if number % 100 == 99:
            say(f"# {number + 1 - first} schemas, {total['requests']} requests, {bad} schemas wrong")
    return total, bad


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--schemas", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", dest="first", type=int, default=0, help="number of the first schema")
    parser.add_argument("--generator", choices=[*GENERATORS], default="", help="one only, not all in turns")
    options = parser.parse_args()
    total, bad = fuzz(
        options.schemas, options.seed, lambda line: print(line, flush=True), options.first, options.generator
    )
    for name, count in sorted(total.items()):
        print(f"{name:<70} {count:>7}")
    print(f"{bad} of {options.schemas} schemas wrong")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
