"""What each part of a prompt is worth to a real model, and what calls are: people that no training row is of.

    python benchmarks/prompt_parts.py --model smollm2 --out parts        (again to go on; --people 20)
    python benchmarks/prompt_parts.py --out parts --write                (the tables of docs/prompting.md)

`--model`: a folder of a model, or whatever `sensecf.llm.connect` takes (a server: `http://127.0.0.1:8080/v1#smollm2`).
One greedy answer each under its JSON Schema, before repair, polish and fallback, each part of the prompt left out by
itself; then three calls a person, spent in several ways. Edits of everything that may change, no margin. Answers are
kept in `OUT`, the tables are printed and written to benchmarks/prompt_parts.json. Intervals are exact (Clopper-Pearson,
95 %); p is of the exact McNemar test against the whole prompt, on the same people.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sections import replace_section

import sensecf
from sensecf.core.candidates import Candidates
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.generators.prompted.prompted import Prompted
from sensecf.llm import connect
from sensecf.llm.ask import firmer
from sensecf.llm.language.knowing import PARTS
from sensecf.llm.language.offered import Offered
from sensecf.llm.language.offers import added_up
from sensecf.llm.language.prompts import Style

HERE = Path(__file__).parent
TABLE = "heart_disease_cleveland"


@dataclass(frozen=True)
class Variant:
    """A way to ask: parts left out, examples, and how calls are spent; see `Prompted`."""

    without: tuple[str, ...] = ()
    shots: int = 0
    rounds: int = 0
    samples: int = 1
    calls: int = 0
    offers: bool = False


VARIANTS = {
    "whole": Variant(),
    "bare": Variant(PARTS),
    **{f"without {part}": Variant((part,)) for part in PARTS},
    "bare, 3 examples": Variant(PARTS, 3),
    "whole, 3 examples": Variant((), 3),
    "offers": Variant(offers=True),
    "offers, 3 examples": Variant(shots=3, offers=True),
}
#: What the offers do without a model: of the cheapest whose points add up, one answer to each.
NO_MODEL = "offers, added up: no model"
#: Three calls a person: as published methods ask, with what is here, with failed answers going back, and as a budget.
SPENT = {
    "bare, three drawn": Variant(PARTS, samples=3),
    "whole, three drawn": Variant((), samples=3),
    "whole, two repairs": Variant((), rounds=2),
    "whole, --calls 3": Variant((), calls=3),
    "offers, 3 examples, three drawn": Variant(shots=3, samples=3, offers=True),
    "offers, 3 examples, two repairs": Variant(shots=3, rounds=2, offers=True),
    "offers, 3 examples, --calls 3": Variant(shots=3, calls=3, offers=True),
}


def question() -> tuple[Task, Any, Query]:
    """The task, and the unseen people whom the classifier does not put where they should be."""
    data = sensecf.datasets.load(TABLE)
    train, test = sensecf.datasets.split(data.frame, data.schema)
    task = Task(data.schema, train, sensecf.fit_classifier("xgboost", data.schema, train))
    target = data.schema.target
    people = test[task.classifier.predict(test[data.schema.names]) != target].reset_index(drop=True)
    return task, people, Limits(edit="mutable").query(task, people, target)


def asked(model: str, out: Path, variant: Variant, count: int) -> dict[str, Any]:
    """What the first `count` people get."""
    task, people, query = question()
    query = query.take(np.arange(min(count, len(people))))
    settings = {"batch_size": 4} if Path(model).is_dir() else {}  # so that little is lost where a run is ended
    llm = connect(model, ledger=out / "answers.jsonl", **settings)
    generator = Prompted(
        task, llm=llm, rounds=variant.rounds, samples=variant.samples, calls=variant.calls or None,
        shots=variant.shots, shot_choice="fixed", style=Style(without=variant.without, offers=variant.offers),
    )  # fmt: skip
    found = generator.propose(query, np.random.default_rng(0))
    verdicts = verify(task, query, found)
    llm.close()
    table = generator.answers(people)
    helped = np.zeros(len(query), dtype=bool)
    helped[found.query[verdicts.good]] = True
    own = generator.facts()
    texts = [tuple(np.round(row, 6)) for row in found.rows[found.reason == ""]]
    changes = task.codec.changed(query.rows[found.query], found.rows).sum(axis=1)
    return {
        "variant": asdict(variant), "people": len(query), "readable": int((found.reason == "").sum()),
        "valid": helped.tolist(), "answers": len(table), "unique_valid": own["unique_valid"],
        "valid_first": int(own["rounds"][0]["good"]), "distinct": len(set(texts)),
        "changes": float(changes[verdicts.good].mean()) if verdicts.good.any() else None,
        "tokens_in": float(table["tokens_in"].mean()), "tokens_out": float(table["tokens_out"].mean()),
        "named": float(changes[found.reason == ""].mean()) if (found.reason == "").any() else None,
    }  # fmt: skip


def added(count: int) -> dict[str, Any]:
    """What the same people get where nobody is asked: their offers, added up."""
    task, _, query = question()
    query = query.take(np.arange(min(count, len(query))))
    words = Offered(task)
    found = Candidates.of(np.arange(len(query)), added_up(words, words.ask(firmer(query))), "added up")
    verdicts = verify(task, query, found)
    changes = task.codec.changed(query.rows, found.rows).sum(axis=1)
    return {
        "variant": asdict(Variant(offers=True)), "people": len(query), "readable": len(query),
        "valid": verdicts.good.tolist(), "answers": 0, "unique_valid": int(verdicts.good.sum()),
        "distinct": len({row.tobytes() for row in found.rows}), "changes": float(changes[verdicts.good].mean()),
        "tokens_in": 0.0, "tokens_out": 0.0,
    }  # fmt: skip


def table(cells: dict[str, Any]) -> str:
    """The cells as a table in Markdown."""
    lines = [
        "| prompt | readable | valid | 95 % | p against whole | changes | distinct | tokens in / out |",
        "|---|---|---|---|---|---|---|---|",
    ]
    whole = np.array(cells["whole"]["valid"]) if "whole" in cells else None
    for name, cell in cells.items():
        valid, n = np.array(cell["valid"]), cell["people"]
        low, high = binomtest(int(valid.sum()), n).proportion_ci()
        p = "–"
        if whole is not None and name != "whole" and len(whole) == n:
            only, other = int((whole & ~valid).sum()), int((valid & ~whole).sum())
            value = binomtest(only, only + other).pvalue if only + other else 1.0
            p = "< 0.001" if value < 0.001 else f"{value:.3f}"
        changes = "–" if cell["changes"] is None else f"{cell['changes']:.1f}"
        lines.append(
            f"| {name} | {cell['readable']}/{n} | {valid.sum()}/{n} | {low:.2f} to {high:.2f} | {p} | {changes} | "
            f"{cell['distinct']} | {cell['tokens_in']:.0f} / {cell['tokens_out']:.0f} |"
        )
    return "\n".join(lines)


def calls(cells: dict[str, Any]) -> str:
    """What three calls a person bring."""
    lines = [
        "| three calls | people with a valid answer | 95 % | of them at the first call | calls made "
        "| different valid answers | of them per call | tokens in / out |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, cell in cells.items():
        valid, n = int(np.sum(cell["valid"])), cell["people"]
        low, high = binomtest(valid, n).proportion_ci()
        first = "–" if cell["variant"]["calls"] or cell["variant"]["samples"] > 1 else str(cell["valid_first"])
        each = cell["unique_valid"] / max(cell["answers"], 1)
        lines.append(
            f"| {name} | {valid}/{n} | {low:.2f} to {high:.2f} | {first} | {cell['answers']} | {cell['unique_valid']} "
            f"| {each:.2f} | {cell['tokens_in']:.0f} / {cell['tokens_out']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="nobody is asked without one")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=[*VARIANTS, *SPENT])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/prompting.md")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    ways = VARIANTS | SPENT
    for name in options.only if options.model else ():
        path = options.out / _file(name)
        if not path.exists():
            cell = asked(options.model, options.out, ways[name], options.people)
            path.write_text(json.dumps(cell, indent=1), encoding="utf-8")
            print(name, sum(cell["valid"]), "of", cell["people"], flush=True)
    if "offers" in options.only and not (options.out / _file(NO_MODEL)).exists():
        (options.out / _file(NO_MODEL)).write_text(json.dumps(added(options.people), indent=1), encoding="utf-8")
    ways = VARIANTS | {NO_MODEL: Variant()} | SPENT
    cells = {
        name: json.loads((options.out / _file(name)).read_text(encoding="utf-8"))
        for name in ways
        if (options.out / _file(name)).exists()
    }
    (HERE / "prompt_parts.json").write_text(json.dumps(cells, indent=1) + "\n", encoding="utf-8")
    for section, text in tables(cells).items():
        print(text)
        if options.write:
            replace_section(HERE.parent / "docs" / "prompting.md", section, text)


def tables(cells: dict[str, Any]) -> dict[str, str]:
    """The sections of the page."""
    return {
        "prompt-parts": table({name: cell for name, cell in cells.items() if name not in SPENT}),
        "calls": calls({name: cell for name, cell in cells.items() if name in SPENT}),
    }


def _file(name: str) -> str:
    return f"{name.replace(' ', '-').replace(',', '')}.json"


if __name__ == "__main__":
    main()
