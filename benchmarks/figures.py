"""What the README's first screen shows: `make figures` (a quarter of an hour on two cores; goes on where it stopped).

One person's days before and after (`docs/person.svg`, from a run on the demo's cohort), and a table of five lines: our
plans beside NICE, CFNOW, DiCE and TreeCF on the same days of that cohort, and what came of them when they were carried
out (`benchmarks/truth/easy.csv`, made by `truth.py`). Figures are kept in `benchmarks/figures.json`; `--write` only
puts them into the README.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

import sensecf
from sensecf.core.files import cache_folder, replacing, write_json

ROOT = Path(__file__).resolve().parents[1]
NAMES = {"steps": ("steps", ""), "sleep_total_min": ("sleep", " min"), "sedentary_min": ("sitting", " min")}
PHRASES = {">=": "at least", "<=": "at most", "=": "exactly"}
STORED = ROOT / "benchmarks" / "figures.json"
#: What is told to everybody alike, whoever they are: what a method has to pass.
CONTROL = "*one plan for everybody*"
#: Name in the table, method of the comparison, setting and method of the world.
LINES = {
    "SenseCF": ("search@hold", "levers+hold", "search"),
    "NICE": ("nice", "boundary", "nice"),
    "CFNOW": ("cfnow", "boundary", "cfnow"),
    "DiCE": ("dice-random", "boundary", "dice"),
    "TreeCF": ("treecf-sparse", "boundary", "treecf-sparse"),
    CONTROL: ("constant", "boundary", "constant"),
}
#: Our plans are asked for as `explain` asks by default, by what a person does; the others change whatever may change.
OURS = sensecf.CompareSpec(("search@hold",), limit=60, refits=20, limits=sensecf.Limits(hold=0.95))
PEERS = replace(
    OURS,
    generators=tuple(method for method, _, _ in LINES.values() if method != "search@hold"),
    limits=sensecf.Limits(edit="mutable", hold=0.0),
    seconds_per_query=20.0,
    time_limit=1200.0,
)


def line(name: str, table: pd.DataFrame, world: pd.DataFrame) -> dict[str, Any]:
    """One method's figures. Shares are of the requests or of the answers, as the table's heads say."""
    method, setting, carried = LINES[name]
    found = table[(table["method"] == method) & (table["direction"] == "all")].set_index("metric")
    done = world[(world["setting"] == setting) & (world["method"] == carried)].set_index("metric")
    return {
        "answered": found.loc["validity", "value"],
        "holds": found.loc["retrain_validity", "value"],
        "changes": found.loc["n_changed", "value"],
        "breaks a rule": 1 - found.loc["feasible", "value"],
        "seconds": found.loc["seconds", "value"],
        "better": done.loc["improvement", "value"],
        "worse": done.loc["harm", "value"],
    }


def filtered(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """What is left of the peers behind a filter that lets through only what breaks no rule."""
    found = table[table["direction"] == "all"].set_index(["method", "metric"])["value"]
    return {
        name: {
            key: float(found[f"{LINES[name][0]}+filter", metric])
            for key, metric in (("answered", "validity"), ("changes", "n_changed"), ("keeps rules", "feasible"))
        }
        for name in ("NICE", "DiCE", "TreeCF")
    }


def differ(folder: Path, method: str) -> float:
    """How many values of an answer differ from the person's on average, what follows from an edit included."""
    facts = pd.read_csv(folder / "factuals.csv").set_index("query")
    table = pd.read_csv(folder / "counterfactuals.csv", low_memory=False)
    answers = table[(table["generator"] == method) & table["valid"].eq(True)]
    features = list(sensecf.FeatureSchema.from_toml(folder / "schema.toml").names)
    before, after = facts.loc[answers["query"], features], answers[features]
    same = (after.to_numpy() == before.to_numpy()) | (after.isna().to_numpy() & before.isna().to_numpy())
    return float((~same).sum(axis=1).mean())


def measure(folder: Path) -> dict[str, Any]:
    """Run the comparison, or go on with it, and read the world's table."""
    data = sensecf.datasets.load("simulated")
    for name, request in (("ours", OURS), ("peers", PEERS)):
        if not (folder / name / "table.csv").is_file():
            sensecf.compare(data.frame, data.schema, folder / name, request, card=data.card)
    table = pd.concat([pd.read_csv(folder / name / "table.csv") for name in ("ours", "peers")])
    world = pd.read_csv(ROOT / "benchmarks" / "truth" / "easy.csv")
    return {
        "requests": int(table.loc[table["metric"] == "validity", "n"].iloc[0]),
        "refits": OURS.refits,
        "lines": {
            name: line(name, table, world)
            | {"values": differ(folder / ("ours" if name == "SenseCF" else "peers"), how)}
            for name, (how, _, _) in LINES.items()
        },
        "filtered": filtered(table),
    }


def written(stored: dict[str, Any]) -> str:
    """The table as Markdown."""
    heads = [
        "",
        "gets a valid answer",
        "holds in refits",
        "truly better when done",
        "changes",
        "breaks a rule",
        "seconds",
    ]
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, value in stored["lines"].items():
        share = [f"{value[key]:.0%}".replace("%", " %") for key in ("answered", "holds", "better")]
        cells = [name, *share, _changes(value), f"{value['breaks a rule']:.0%}".replace("%", " %")]
        rows.append("| " + " | ".join([*cells, f"{value['seconds']:.2g}"]) + " |")
    return "\n".join(rows)


def _changes(value: dict[str, Any]) -> str:
    """Edits, and the values that differ where more do since they follow."""
    more = f" ({value['values']:.1f} values)" if value["values"] > value["changes"] + 0.05 else ""
    return f"{value['changes']:.1f}{more}"


def picture() -> None:
    """One person's days before and after their plan: of plans of at most two actions the one that turns most days."""
    data = sensecf.datasets.load("simulated")
    train, test = sensecf.datasets.split(data.frame, data.schema)
    task = sensecf.Task(data.schema, train, sensecf.fit_classifier("xgboost", data.schema, train))
    high = test[task.classifier.predict(test[data.schema.names]) == "high"]
    found = sensecf.explain(task, "search", high, target="low", per="person")
    short = found.people[found.people["plan"].notna() & (found.people["plan"].str.count(";") < 2)]
    plan = short.sort_values("turns", ascending=False, kind="stable").iloc[0]
    days = test[test[data.schema.person] == plan["person"]].sort_values("date")
    column = list(task.classes).index("high")
    before = pd.Series(task.classifier.predict_proba(days[data.schema.names])[:, column], index=days.index)
    answers = found.answers[found.answers["plan_id"] == plan["plan_id"]].set_index("query")
    draw_days(before, 1 - answers["probability"], f"{plan['person']}: {say(plan['plan'], data.schema)}", plan)


def say(plan: str, schema: sensecf.FeatureSchema) -> str:
    """What a person does by a plan, in words: "120 min more sleep"."""
    words = []
    for part in plan.split(";"):
        name, how, value = re.match(r"(\w+)(\+=|>=|<=|=)(-?[\d.]+)", part).groups()  # type: ignore[union-attr]
        label, unit = NAMES.get(name, (name, f" {schema[name].unit}"))
        amount = f"{abs(float(value)):,g}{unit}"
        more = "less" if value.startswith("-") else "more"
        words.append(f"{amount} {more} {label}" if how == "+=" else f"{PHRASES[how]} {amount} {label}")
    return ", ".join(words)


def draw_days(before: pd.Series[float], after: pd.Series[float], title: str, plan: pd.Series[Any]) -> None:
    """The probability of a high day, day by day; an arrow where the plan turns the day."""
    figure = Figure(figsize=(7.2, 2.9), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.axhline(0.5, color="#8c959f", lw=1, ls=":")
    for at, (day, value) in enumerate(before.items()):
        axes.plot(at, value, "o", color="#cf222e" if value > 0.5 else "#1f6f8b", ms=9)
        if day in after.index:
            axes.annotate(
                "", (at, after[day]), (at, value), arrowprops={"arrowstyle": "-|>", "color": "#1f6f8b", "lw": 2}
            )
    axes.set(ylim=(0, 1.05), xlim=(-0.6, len(before) - 0.4), xticks=range(len(before)), xlabel="day")
    axes.set_xticklabels([str(at + 1) for at in range(len(before))])
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_ylabel("classifier: high stress")
    axes.set_title(
        f"{title}\nturns {plan['turns']} of {plan['of']} high days, and holds when the classifier is fitted again",
        fontsize=10,
        loc="left",
    )
    axes.spines[["top", "right"]].set_visible(False)
    with rc_context({"svg.hashsalt": "sensecf", "svg.fonttype": "path"}):
        figure.savefig(ROOT / "docs" / "person.svg", metadata={"Date": None, "Creator": None})


def footnote(stored: dict[str, Any]) -> str:
    """What the table does not show: the peers behind a filter."""
    nice, dice, treecf = (stored["filtered"][name] for name in ("NICE", "DiCE", "TreeCF"))
    share = f"{nice['answered']:.0%}, {dice['answered']:.0%} and {treecf['answered']:.0%}".replace("%", " %")
    return (
        f"The others are raw. Behind a rule filter NICE, DiCE and TreeCF answer {share}, "
        f"NICE at {nice['changes']:.1f} changes."
    )


def put(stored: dict[str, Any]) -> None:
    """Write the table and its footnote into the README, between their marks."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    found = re.sub(
        r"(<!-- figures -->\n).*?(<!-- /figures -->)",
        lambda marks: f"{marks[1]}{written(stored)}\n\n{footnote(stored)}\n{marks[2]}",
        text,
        flags=re.DOTALL,
    )
    with replacing(readme) as temporary:
        temporary.write_text(found, encoding="utf-8")


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--out", type=Path, default=cache_folder() / "figures")
    options.add_argument("--write", action="store_true", help="only put what is stored into the README")
    given = options.parse_args()
    if not given.write:
        picture()
        write_json(STORED, measure(given.out))
    put(json.loads(STORED.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
